#!/usr/bin/env python3
"""A catalog that cannot be written, is of a newer Granary, or goes away under a running server: clear errors with ids,
nothing half written, what is built serves on, and everything works again afterwards."""
import hashlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time

import lab
import machine
from lab import Failure, Gone, check

READ = {"measures": ["orders.count", "orders.total"], "dimensions": ["orders.status"]}


class Unprivileged(lab.Server):
    """File modes hold for it, also when the tests run as root."""

    def launch(self, env=None):
        if os.getuid() == 0:
            wrapper = os.path.join(self.folder, "unprivileged")
            with open(wrapper, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search "{lab.BINARY}" "$@"\n')
            os.chmod(wrapper, 0o755)
            self.binary = wrapper
        super().launch(env)


def begin(m):
    m.start()
    m.state.restart()
    m.compare()
    m.query("orders", ["count", "total"], ["status"], None)
    m.compare()


def end(m):
    """All of it works again."""
    for step in (m.do_plan, m.do_cube_create):
        for number in range(3):
            step(__import__("random").Random(number))
            m.compare()
    row = m.state.by_id(2)
    m.expect(m.server.post("/pre-aggregations/2/materialize", {"wait": True, "force": True}), True, "materialize")
    m.state.build(row)
    m.query("orders", ["count"], ["country"], None)
    m.compare()
    m.restart()
    m.compare()
    m.look_and_stop()


def digest(folder):
    """Of every file of the catalog (the lock is no part of it, and a journal that holds nothing)."""
    sums = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.startswith("catalog.sqlite") and not name.endswith((".lock", "-shm")) and os.path.getsize(path):
            with open(path, "rb") as file:
                sums[name] = hashlib.sha256(file.read()).hexdigest()
    return sums


def writes(server):
    """Calls that have to write the catalog."""
    return [("plan", lambda: server.post("/preaggs/plan", {"metrics": ["orders.top"], "dimensions": ["orders.status",
                                                                                                "users.country"]})),
            ("cube", lambda: server.post("/nodes/cube", {"name": "x", "metrics": ["orders.top"],
                                                         "dimensions": ["orders.status", "users.country"]})),
            ("materialize", lambda: server.post("/pre-aggregations/1/materialize", {"force": True, "wait": True})),
            ("configure", lambda: server.call("PATCH", "/preaggs/1/config", {"schedule": "0 1 * * *"})),
            ("delete", lambda: server.call("DELETE", "/pre-aggregations/1"))]


def refused(m, is_read_refused):
    """While the catalog is away: what writes is refused soon, with an id; what is built serves."""
    for what, call in writes(m.server):
        began = time.monotonic()
        answer = call()
        took = time.monotonic() - began
        check(answer.status in (500, 503) and answer.id == "catalog.io", f"{what} without a catalog: {answer}")
        check(took < 15 * lab.PATIENCE, f"{what} was refused after {took:.1f} s")
    if is_read_refused:
        answer = m.server.get("/pre-aggregations/")
        check(answer.status in (500, 503) and answer.id == "catalog.io", f"the list without a catalog: {answer}")
    answer = m.server.load(READ)
    check(answer.status == 200, f"a built rollup does not serve without a catalog: {answer}")
    check([u["id"] for u in lab.served_by(answer)] == [1], "a query was not served by what is built")
    check(m.server.get("/livez").status == 200, "the server is not alive")


# ---- SQLite --------------------------------------------------------------------------------------------------------

def sqlite_read_only(m):
    begin(m)
    m.look_and_stop()
    state, catalog = os.path.join(m.folder, ".granary"), os.path.join(m.folder, ".granary/catalog.sqlite")
    before = digest(state)
    server = Unprivileged(m.folder)
    os.chmod(catalog, 0o444)
    text = server.refuses_to_start()
    check("catalog.io" in text, f"on a read-only catalog it said: {text}")
    os.chmod(catalog, 0o644)
    check(digest(state) == before, "the refused start wrote to the catalog")
    m.start()
    m.state.restart()
    m.compare()
    end(m)


def sqlite_newer(m):
    begin(m)
    m.look_and_stop()
    state, catalog = os.path.join(m.folder, ".granary"), os.path.join(m.folder, ".granary/catalog.sqlite")
    with sqlite3.connect(catalog) as db:
        db.execute("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'of tomorrow', 1)")
    db.close()
    before = digest(state)
    text = m.server.refuses_to_start()
    check("catalog.version" in text and "9999" in text, f"on a newer catalog it said: {text}")
    check(digest(state) == before, f"the refused start wrote to the catalog: {before} {digest(state)}")
    with sqlite3.connect(catalog) as db:
        db.execute("DELETE FROM schema_migrations WHERE number = 9999")
    db.close()
    m.start()
    m.state.restart()
    m.compare()
    end(m)


def sqlite_not_a_catalog(m):
    for content in (b"this is no database, it is a text of some length " * 20, None):
        shutil.rmtree(os.path.join(m.folder, ".granary"), ignore_errors=True)
        os.mkdir(os.path.join(m.folder, ".granary"), 0o700)
        path = os.path.join(m.folder, ".granary/catalog.sqlite")
        if content:
            with open(path, "wb") as file:
                file.write(content)
        else:
            with sqlite3.connect(path) as db:
                db.execute("CREATE TABLE others (x)")
            db.close()
        text = m.server.refuses_to_start()
        check("catalog.io" in text, f"on what is no catalog it said: {text}")
        if content:
            with open(path, "rb") as file:
                check(file.read() == content, "a file of somebody else was written")
    shutil.rmtree(os.path.join(m.folder, ".granary"))
    begin(m)
    end(m)


def sqlite_locked(m):
    """Somebody holds the file's write lock for longer than a call waits."""
    begin(m)
    db = sqlite3.connect(os.path.join(m.folder, ".granary/catalog.sqlite"), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    answer = m.server.post("/preaggs/plan", {"metrics": ["orders.top"], "dimensions": ["orders.status"]})
    check(answer.id == "catalog.io", f"a plan on a locked catalog: {answer}")
    answer = m.server.load(READ)
    check(answer.status == 200, f"a query beside a locked catalog: {answer}")
    db.execute("ROLLBACK")
    db.close()
    m.compare()
    end(m)


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------

def postgres_newer(m):
    begin(m)
    m.look_and_stop()
    at = f"SET search_path TO {m.schema};"
    dump = f"{at} SELECT md5(string_agg(p::text, '|' ORDER BY p.id)) FROM pre_aggregations p"
    m.postgres.sql(f"{at} INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'of tomorrow', 1)")
    before = m.postgres.sql(dump)
    text = m.server.refuses_to_start()
    check("catalog.version" in text and "9999" in text, f"on a newer catalog it said: {text}")
    check(m.postgres.sql(dump) == before, "the refused start wrote to the catalog")
    m.postgres.sql(f"{at} DELETE FROM schema_migrations WHERE number = 9999")
    m.start()
    m.state.restart()
    m.compare()
    end(m)


def cut_sessions(m):
    """Ends the sessions of Granary's servers, as a restart of PostgreSQL or a firewall does."""
    m.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                   " AND backend_type = 'client backend'")


def postgres_read_only(m):
    begin(m)
    m.postgres.sql("ALTER DATABASE postgres SET default_transaction_read_only = on")
    try:
        cut_sessions(m)
        first = m.server.get("/pre-aggregations/")  # finds the session lost, perhaps
        check(first.status == 200 or first.id == "catalog.io", f"the first call after a cut: {first}")
        refused(m, False)  # whether it may be read is left open: a new session has to write that it is there
    finally:
        m.postgres.sql("ALTER DATABASE postgres RESET default_transaction_read_only")
        cut_sessions(m)
    m.compare_soon()
    end(m)


def postgres_gone(m):
    begin(m)
    m.postgres.stop()
    try:
        refused(m, True)
        # A query whose rollup is not built has the source.
        answer = m.server.load({"measures": ["orders.count"], "dimensions": ["users.country"]})
        check(answer.status == 200 and not lab.served_by(answer), f"a query without rollup and catalog: {answer}")
        with open(f"{m.folder}/granary.yml", encoding="utf-8") as file:
            lab.write(m.folder, "other.yml", file.read().replace("path: .granary,", "path: .other,"))
        text = lab.Server(m.folder, config="other.yml", state=".other").refuses_to_start()
        check("catalog.io" in text, f"a start without a catalog said: {text}")
    finally:
        m.postgres.again()
    m.compare_soon()
    end(m)


def postgres_gone_while_building(m):
    """The catalog goes away under a build, and comes back before it is done, or after."""
    for downtime in (0.2, 1.6):
        m.server.stop() if m.server.is_alive() else None
        m.start({"GRANARY_FAULT": "build.filled=sleep-1000"})
        m.state.restart()
        m.compare()
        answer = m.server.post("/pre-aggregations/1/materialize", {"force": True})
        check(answer.status == 202, f"materialize: {answer}")
        time.sleep(0.3)
        m.postgres.stop()
        time.sleep(downtime)
        m.postgres.again()
        row = lab.until("the build to end", lambda: entity_or_none(m.server, 1), 45, 0.1)
        check(row["status"] in ("active", "failed"), f"the entity is {row['status']}")
        check(row["status"] == "active" or row["materialization_error"], "it failed without a reason")
        m.adopt([m.after_build(m.state, 1, how) for how in ("build", "interrupt")], "an outage during a build")
        m.query("orders", ["count", "total"], ["status"], None)
        m.compare()
    end(m)


def entity_or_none(server, entity):
    answer = server.get(f"/pre-aggregations/{entity}")
    return answer.body if answer.status == 200 and answer.body["status"] != "materializing" else None


def postgres_sessions_cut(m):
    """Sessions end at random moments under changing clients: each call is done as a whole, or refused with catalog.io."""
    begin(m)
    stop, told, wrong = threading.Event(), [], []

    def cut():
        while not stop.wait(0.15):
            cut_sessions(m)

    def work(i):
        handle = lab.Server(m.folder)
        handle.port, handle.process = m.server.port, m.server.process
        try:
            for k in range(25):
                body = {"metrics": ["orders.count"], "dimensions": ["orders.status"]}
                answer = handle.post("/nodes/cube", {"name": f"n{i}_{k}", **body})
                told.append((f"n{i}_{k}", answer.status))
                if answer.status >= 300 and answer.id != "catalog.io":
                    wrong.append(str(answer))
                answer = handle.load(READ)
                if answer.status != 200:
                    wrong.append(str(answer))
        except (Failure, Gone) as error:
            wrong.append(str(error))
        finally:
            handle.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)] + [threading.Thread(target=cut)]
    for thread in threads:
        thread.start()
    for thread in threads[:-1]:
        thread.join()
    stop.set()
    threads[-1].join()
    check(not wrong, "\n    ".join(wrong[:5]))
    lab.until("the catalog to be back", lambda: m.server.get("/pre-aggregations/").status == 200, 10)
    cubes = set(m.server.good("GET", "/cubes/"))
    for name, status in told:
        check(status != 201 or name in cubes, f"the cube {name} was created, and is not there")
    rows = m.server.entities()
    check(len(rows) == 4, f"there are {len(rows)} entities")
    linked = set(next(row for row in rows if row["id"] == 1)["cubes"])
    check(linked - {"orders"} == {name for name in cubes if name.startswith("n")}, "cubes and their links differ")
    m.server.stop()


def compare_soon(self):
    """As compare, once the server has its catalog again."""
    def ask():
        try:
            self.compare()
            return True
        except Failure:
            return False

    lab.until("the server to have its catalog again", lambda: self.server.get("/pre-aggregations/").status == 200, 15, 0.1)
    try:
        lab.until("the catalog to be as before", ask, 5, 0.1)
    except Failure:
        self.compare()


machine.Machine.compare_soon = compare_soon

SQLITE = (sqlite_read_only, sqlite_newer, sqlite_not_a_catalog, sqlite_locked)
POSTGRES = (postgres_newer, postgres_read_only, postgres_gone, postgres_gone_while_building, postgres_sessions_cut)


def main(suite, only=None):
    """PostgreSQL is stopped and started here: it is a server of this suite's own."""
    postgres = lab.Postgres.start()
    for i, test in enumerate(SQLITE + POSTGRES):
        title = test.__name__.replace("_", " ")
        is_postgres = test in POSTGRES
        if only and only not in test.__name__:
            continue
        if is_postgres and postgres is None:
            suite.skip(title, "no PostgreSQL is installed")
            continue
        if test is postgres_gone_while_building and not os.access(lab.FAULTS, os.X_OK):
            suite.skip(title, "there is no binary with fault points")
            continue

        def run(test=test, i=i, is_postgres=is_postgres):
            m = machine.Machine(postgres if is_postgres else None, f"outage_{i}")
            try:
                test(m)
            finally:
                m.end()

        suite.run(title, run)
    if postgres:
        postgres.stop()


if __name__ == "__main__":
    import sys
    SUITE = lab.Suite("outage")
    main(SUITE, sys.argv[1] if len(sys.argv) > 1 else None)
    SUITE.end()
