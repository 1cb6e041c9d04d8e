#!/usr/bin/env python3
"""A disk that fails (shim/shim.c): fsync with EIO, writes with ENOSPC, of the store, its log, the catalog, the files of a
shared store. A build fails with a clear error, what was built serves on, status tells it; and when the disk is well again,
the next try works and nothing is lost. After a failed fsync the engine does nothing more: the server starts again by itself.

    disk.py [--full]"""
import glob
import os
import sys
import time

import lab
import sales
from lab import check

IDS = ("engine.io", "engine.stopped", "store.io", "catalog.io", "preagg.build_failed")


def shim():
    """Beside the binary with fault points, or beside the other one."""
    for binary in (lab.FAULTS, lab.BINARY):
        found = glob.glob(os.path.join(os.path.dirname(binary), "tests/state/shim/libgranary_shim.so"))
        if found:
            return found[0]
    return None


class Disk:
    """A server on a disk that fails while `fail` says so."""

    def __init__(self, what, postgres=None, schema=""):
        self.s = sales.Sales(postgres, schema)
        self.trigger = f"{self.s.folder}/trigger"
        self.env = {"LD_PRELOAD": shim(), "GRANARY_SHIM_PREFIX": f"{self.s.folder}/{what}",
                    "GRANARY_SHIM_TRIGGER": self.trigger}

    def fail(self, how):
        lab.write(self.s.folder, "trigger", how)

    def mend(self):
        os.remove(self.trigger)
        check(os.path.exists(self.trigger + ".told"), "the disk did not fail")
        with open(self.trigger + ".told", encoding="utf-8") as file:
            return file.read()


def must_be(s, query, rows, what):
    found, _ = s.answer(query)
    wanted = (sales.by_city if query is sales.BY_CITY else sales.by_month)(rows)
    check(found == wanted, f"{what}: the answer is {found}, not {wanted}")


def case(what, how, name, restarts, postgres=None):
    old, new = sales.rows_of(1), sales.rows_of(2)
    d = Disk(what, postgres, f"disk_{os.getpid()}_{abs(hash((what, how, name)))}")
    s = d.s
    try:
        s.server.start(d.env)
        port = s.server.port
        s.good_build("whole")
        s.good_build("parted")
        s.write_rows(new)
        d.fail(how)
        answer = s.build(name)
        check(answer.status >= 500 and answer.id in IDS, f"a build on a failing disk: {answer}")
        if restarts:
            check(answer.id == "engine.stopped" or "engine has stopped" in answer.text, f"it was told: {answer}")
            check(s.server.get("/readyz").status != 200, "a server whose engine has stopped says that it is ready")
            lab.until("the server to start again", lambda: came_back(s), 10, 0.05)
            check(s.server.port == port, "it listens on another port")
        for query in (sales.BY_CITY, sales.BY_MONTH):
            must_be(s, query, old, "while the disk fails")
        if not what.endswith("catalog"):
            row = s.entity(name)
            check(restarts or (row["status"] == "failed" and row["materialization_error"]), f"status does not tell it: {row}")
        told = d.mend()
        s.good_build(name)
        s.good_build("parted" if name == "whole" else "whole")
        for query in (sales.BY_CITY, sales.BY_MONTH):
            must_be(s, query, new, f"after the disk failed with {told.splitlines()[0]}")
        s.server.stop()
        s.server.start(d.env)
        for query in (sales.BY_CITY, sales.BY_MONTH):
            must_be(s, query, new, "after a start")
        s.server.stop()
        s.check_tables("at the end")
    finally:
        s.end()


def start_on_it():
    """What a start drops is written down before: the disk fails then, and the start after that leaves the store alone."""
    d = Disk(".granary/store")
    s = d.s
    try:
        s.server.start({**d.env, "GRANARY_FAULT": "drop.before=kill"})
        s.good_build("whole")
        s.write_rows(sales.rows_of(2))
        try:
            s.build("whole")
        except lab.Gone:
            pass
        check(s.server.died(), "the server passed drop.before alive")
        check(s.named()[1] & s.stored(), "there is nothing to be dropped")
        d.fail("sync")
        s.server.start(d.env)  # and again, before it listens
        check("serve.restarting" in s.server.said(), "it did not start again")
        for _ in range(20):
            must_be(s, sales.BY_CITY, sales.rows_of(2), "on a disk that fails")
            time.sleep(0.1)
        d.mend()
        s.good_build("whole")
        s.server.stop()
        s.server.start(d.env)
        s.server.stop()
        s.check_tables("at the end")
    finally:
        s.end()


def came_back(s):
    """It has let go of everything, and is ready again: the same process."""
    try:
        return "serve.restarting" in s.server.said() and s.server.get("/readyz").status == 200
    except lab.Gone:
        check(s.server.is_alive(), f"the server has ended: {s.server.said()}")
        return False


def full_at_a_checkpoint(how):
    """A store that grows by megabytes: the failing write may be any, of the log or of the file."""
    d = Disk(".granary/store")
    s = d.s
    try:
        lab.write(s.folder, "model/many.yml", """cubes:
  - name: many
    sql: "SELECT i AS id, md5(i::VARCHAR) AS h, i % 7 AS v FROM range(300000) AS r(i)"
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: v}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: h, sql: h, type: string}
    pre_aggregations:
      - {name: all_of_it, measures: [count, total], dimensions: [h]}
""")
        s.server.start(d.env)
        s.good_build("whole")
        d.fail(how)
        s.write_rows(sales.rows_of(2))
        path = f"/pre-aggregations/{next(r for r in s.server.entities() if r['declared_by'] == ['many.all_of_it'])['id']}/materialize"
        answer = s.server.post(path, {"force": True, "wait": True})
        check(answer.status >= 500 and answer.id in IDS, f"a large build on a full disk: {answer}")
        if "engine has stopped" in answer.text:
            lab.until("the server to start again", lambda: came_back(s), 10, 0.05)
        must_be(s, sales.BY_CITY, sales.rows_of(1), "on a full disk")
        d.mend()
        answer = s.server.post(path, {"force": True, "wait": True})
        check(answer.status < 300, f"the build after the disk had room again: {answer}")
        found = s.server.load({"measures": ["many.count", "many.total"]}).body["data"]
        check(found == [{"many.count": "300000", "many.total": str(sum(i % 7 for i in range(300000)))}], f"it holds {found}")
        s.server.stop()
        s.server.start(d.env)
        must_be(s, sales.BY_CITY, sales.rows_of(1), "after a start")
        s.server.stop()
        s.check_tables("at the end")
    finally:
        s.end()


def main():
    suite, is_full = lab.Suite("disk"), "--full" in sys.argv
    if not shim():
        suite.skip("a disk that fails", "libgranary_shim.so is not built")
        suite.end()
    store, catalog, tables = ".granary/store", ".granary/catalog", "tables/"
    cases = [(store, "sync", "whole", True), (store, "write 0", "parted", False), (catalog, "sync", "whole", False),
             (catalog, "write 0", "parted", False)]
    if is_full:
        cases += [(store, "sync", "parted", True), (store, "write 0", "whole", False), (catalog, "sync", "parted", False),
                  (catalog, "write 0", "whole", False), (catalog, "write 9000", "parted", False)]
    for what, how, name, restarts in cases:
        suite.run(f"{what}: {how}, {name}", lambda case_of=(what, how, name, restarts): case(*case_of))
    for bytes_left in (0, 100000, 1000000, 3000000) if is_full else (1000000,):
        suite.run(f"{store}: full after {bytes_left} bytes of a large build", lambda n=bytes_left: full_at_a_checkpoint(f"write {n}"))
    if os.access(lab.FAULTS, os.X_OK):
        suite.run("a start on a disk that fails", start_on_it)
    else:
        suite.skip("a start on a disk that fails", "there is no binary with fault points")
    postgres = lab.Postgres.start()
    if not postgres:
        suite.skip("a shared store on a disk that fails", "no PostgreSQL is installed")
    else:
        for how in ("write 0", "sync"):
            suite.run(f"shared store: {how}", lambda how=how: case(tables, how, "parted" if how == "sync" else "whole",
                                                                  how == "sync", postgres))
    suite.end()


if __name__ == "__main__":
    main()
