#!/usr/bin/env python3
"""The crash matrix: kill -9 at each pass of each fault point (src/base/fault.def) of building, publishing, widening,
failing, dropping and starting; then a start, and: the answer is the source's as of the old version or the new one, whole;
no table without a record, no record without its table; what was made before is not made again; and the next try works.

    crash.py sqlite | postgres | stop | lost [--full] [--seed S]

sqlite: the embedded store; postgres: a catalog there and a shared store, a sample; stop: SIGSTOP for longer than a lease,
of two servers; lost: the sessions of the catalog are cut at each point. A first run of each way records which points it
passes, and how often; a point of the table that no way passes is a failure. Without --full a sample is drawn by the seed,
that has each point and each way."""
import argparse
import collections
import itertools
import os
import random
import re
import shutil
import threading
import time

import lab
import sales
from lab import Failure, Gone, check

# Passed only when another server has built meanwhile: tests/conformance/catalog/faults.c ends a process there.
ELSEWHERE = {"catalog.build_cancel.before_commit", "catalog.build_cancel.after_commit"}
SHARED_ONLY = {"store.part", "store.renamed"}
OLD, NEW = sales.rows_of(1), sales.rows_of(2)
MAY = 5
CHANGED = sales.rows_of(2, (MAY,), 1)


def points_of_table():
    found = []
    with open(os.path.join(lab.REPO, "src/base/fault.def"), encoding="utf-8") as file:
        for call, name in re.findall(r"^GR_FAULT(_CALL)?\(([a-z_.]+),", file.read(), re.M):
            found += [f"catalog.{name}.before_commit", f"catalog.{name}.after_commit"] if call else [name]
    return found


def may_be(found, query, *rows):
    """The answer is that of one of them, as a whole."""
    wanted = [(sales.by_city if query is sales.BY_CITY else sales.by_month)(r) for r in rows]
    check(found in wanted, f"the answer {found} is none of {wanted}")


class Way:
    """One thing that is interrupted. `city`, `month`: the rows that answers may be of afterwards; `final`: of the end."""
    city, month, final = (OLD,), (OLD,), (OLD, OLD)
    stays = ()  # of the partitions that are made when the server dies: those whose tables must be the same at the end

    def prepare(self, s):
        """With the server running; it is stopped then."""
        s.good_build("whole")
        s.good_build("parted")

    def arm(self, s):
        """Without a server."""

    def act(self, s):
        raise NotImplementedError

    def retry(self, s):
        self.act(s)

    def look(self, s):
        may_be(s.answer(sales.BY_CITY)[0], sales.BY_CITY, *self.city)
        may_be(s.answer(sales.BY_MONTH)[0], sales.BY_MONTH, *self.month)

    def look_at_end(self, s):
        for query, rows in ((sales.BY_CITY, self.final[0]), (sales.BY_MONTH, self.final[1])):
            found, by = s.answer(query)
            may_be(found, query, rows)
            check(by, "at the end a query was not served by a rollup")


class Whole(Way):
    """A rollup without partitions, anew."""
    city, final = (OLD, NEW), (NEW, OLD)

    def arm(self, s):
        s.write_rows(NEW)

    def act(self, s):
        s.good_build("whole")


class First(Way):
    """The first build of a partitioned one: what is made stays made."""
    stays = sales.MONTHS

    def prepare(self, s):
        s.good_build("whole")

    def act(self, s):
        s.good_build("parted", False)


class Changed(Way):
    """One partition of twelve is not fresh."""
    month, final = (CHANGED,), (OLD, CHANGED)
    stays = tuple(m for m in sales.MONTHS if m != MAY)

    def arm(self, s):
        s.write_rows(CHANGED)
        starts = sorted({int(row[0]) for row in s.sql("SELECT from_us FROM partitions WHERE until_number IS NULL AND table_name <> ''")})
        check(len(starts) == len(sales.MONTHS), f"there are {len(starts)} partitions")
        s.sql(f"UPDATE partitions SET quarantine = 'changed' WHERE from_us = {starts[MAY - 1]}")

    def act(self, s):
        s.good_build("parted", False)


class Again(Way):
    """All partitions anew: never some of the old and some of the new."""
    month, final = (OLD, NEW), (OLD, NEW)

    def arm(self, s):
        s.write_rows(NEW)

    def act(self, s):
        s.good_build("parted")


class Wider(Way):
    """A measure comes to a rollup that is built."""
    city, final = (OLD, NEW), (NEW, OLD)

    def arm(self, s):
        s.write_model(sales.MANY)
        s.write_rows(NEW)

    def act(self, s):
        s.good_build("whole", False)

    def retry(self, s):
        s.good_build("whole")


class Drop(Way):
    """The tables go; queries build what they need again."""
    city, month, final = (OLD, NEW), (OLD, NEW), (NEW, NEW)

    def arm(self, s):
        s.write_rows(NEW)

    def act(self, s):
        for name in ("parted", "whole"):
            s.server.good("DELETE", f"/ops/pre-aggregations/sales.{name}")

    def retry(self, s):
        s.good_build("parted")
        s.good_build("whole")


class Fails(Way):
    """A build that ends with an error: the old version serves on."""
    final = (NEW, NEW)

    def arm(self, s):
        rows = sales.rows_of(2)
        rows[0]["code"] = "nx"  # in the oldest month, which is built last
        s.write_rows(rows)

    def act(self, s):
        for name in ("whole", "parted"):
            s.build(name)
            row = s.entity(name)
            check(row["status"] == "failed" and row["materialization_error"], f"a build of bad data: {row}")

    def retry(self, s):
        s.write_rows(NEW)
        s.good_build("whole")
        s.good_build("parted")


class Api(Way):
    """An entity and a cube by API; then they go."""
    PLAN = {"metrics": ["sales.total"], "dimensions": ["sales.city", "sales.at.month"]}

    def act(self, s):
        planned = s.server.good("POST", "/preaggs/plan", self.PLAN)["preaggs"][0]["id"]
        if s.server.entity(planned)["status"] == "pending":
            answer = s.server.post(f"/pre-aggregations/{planned}/materialize", {"wait": True})
            check(answer.status < 300, f"materialize: {answer}")
        if s.server.get("/cubes/made").status != 200:
            s.server.good("POST", "/nodes/cube", {"name": "made", "metrics": ["sales.total"], "dimensions": ["sales.city"]})
        s.server.good("DELETE", f"/pre-aggregations/{planned}")


class Restored(Way):
    """The catalog is an older one than the store: tables that it does not know, and records of tables that are gone."""
    city, month, final = (NEW,), (NEW,), (NEW, NEW)

    def prepare(self, s):
        super().prepare(s)
        s.server.stop()
        shutil.copytree(f"{s.folder}/.granary", f"{s.folder}/before")
        s.write_rows(NEW)
        s.server.start()
        super().prepare(s)

    def arm(self, s):
        for name in os.listdir(f"{s.folder}/.granary"):
            if name.startswith("catalog."):
                os.remove(f"{s.folder}/.granary/{name}")
        for name in os.listdir(f"{s.folder}/before"):
            if name.startswith("catalog."):
                shutil.copy(f"{s.folder}/before/{name}", f"{s.folder}/.granary/{name}")
        check(s.stored() - s.named()[0] and s.named()[0] - s.stored(), "the store is not beyond the catalog")

    def act(self, s):
        """A start is all of it."""
        check(s.server.said().count("store.orphan") == 2, f"orphans are not told: {s.server.said()}")

    def retry(self, s):
        s.good_build("whole")
        s.good_build("parted")


WAYS = (Whole(), First(), Changed(), Again(), Wider(), Drop(), Fails(), Api(), Restored())
ON_POSTGRES = tuple(w for w in WAYS if not isinstance(w, Restored))  # of a shared store nothing is removed by its form


class Bench:
    """Folders in which a way is about to begin, each made once: for one thread."""
    n = itertools.count()

    def __init__(self, postgres):
        self.postgres, self.kept = postgres, {}

    def begin(self, way):
        if way in self.kept:
            self.kept[way].go_back()
            return self.kept[way]
        s = sales.Sales(self.postgres, f"crash_{os.getpid()}_{next(self.n)}")
        s.server.start()
        way.prepare(s)
        s.server.stop()
        way.arm(s)
        if not self.postgres:
            s.keep()
            self.kept[way] = s
        return s

    def done(self, s):
        s.server.kill()
        if self.postgres:
            s.end()

    def end(self):
        for s in self.kept.values():
            s.end()
            lab.drop_folder(s.copy)


def record(bench, way):
    """How often each point is passed, from a start to a stop."""
    s = bench.begin(way)
    try:
        log = f"{s.folder}/passes"
        s.server.start({"GRANARY_FAULT_LOG": log})
        way.act(s)
        s.server.stop()
        with open(log, encoding="utf-8") as file:
            return collections.Counter(line.strip() for line in file)
    finally:
        bench.done(s)


def die(s, way, point, at):
    """The server ends itself at that pass."""
    try:
        s.server.start({"GRANARY_FAULT": f"{point}:{at}=kill"})
        way.act(s)
        s.server.stop()
    except (Gone, Failure):
        if s.server.is_alive():
            time.sleep(0.2)  # a connection may be cut before the process is gone
        if s.server.is_alive():
            raise
    check(s.server.process.poll() == -9 or s.server.died(5), f"the server passed {point} alive")
    check(s.server.process.returncode == -9, f"the server ended with {s.server.process.returncode}")
    s.server.forget()


def start_again(s):
    """PostgreSQL may take a moment to see that a session has ended; the next heartbeat sees it at the latest."""
    s.server.start()
    if s.postgres:
        lab.until("the dead server's build to be failed",
                  lambda: all(row["status"] != "materializing" for row in s.server.entities()), 6)


def months_made(s):
    """{month: table}, as far as they are made."""
    made = {int(start): table for start, table in s.made().items() if table}
    return {time.gmtime(start / 1e6).tm_mon: table for start, table in made.items() if abs(start) < 1 << 60}


def whole_after(s, way, what):
    """The server is dead: what is there is whole, and the next try works."""
    before = months_made(s)
    start_again(s)
    way.look(s)
    s.server.stop()
    s.check_tables(f"after a start {what}")
    s.server.start()
    way.retry(s)
    way.look_at_end(s)
    s.server.stop()
    s.check_tables(f"at the end {what}")
    after = months_made(s)
    for month in way.stays:
        check(before.get(month) in (None, after.get(month)),
              f"the partition of month {month} was made in {before.get(month)}, and again in {after.get(month)}")


def case(bench, way, point, at):
    s = bench.begin(way)
    try:
        die(s, way, point, at)
        whole_after(s, way, f"(killed at {point}:{at})")
    finally:
        bench.done(s)


def sample(cases, wanted, seed, points):
    """Each of these points, each way, and then whatever comes."""
    r = random.Random(seed)
    cases = cases[:]
    r.shuffle(cases)
    chosen, seen = [], set()

    def take(is_wanted):
        for one in cases:
            if one not in chosen and is_wanted(one):
                seen.update(one[:2])
                chosen.append(one)

    take(lambda one: one[1] in points and one[1] not in seen)
    take(lambda one: one[0] not in seen)
    take(lambda one: len(chosen) < wanted)
    return chosen


def matrix(suite, bench, ways, args, wanted, side_by_side=2):
    cases, passed = [], set(ELSEWHERE)
    for way in ways:
        def work(way=way):
            counts = record(bench, way)
            passed.update(counts)
            for point, n in sorted(counts.items()):
                cases.extend((way, point, at) for at in sorted({1, (n + 1) // 2, n}))
        suite.run(f"{type(way).__name__}: {way.__doc__.splitlines()[0]}", work)
    table = set(points_of_table())

    def all_are_passed():
        missed = table - passed - (set() if bench.postgres else SHARED_ONLY)
        missed -= {p for p in table if p == "sweep.orphan"} if bench.postgres else set()
        check(not missed, f"fault points that nothing passes: {sorted(missed)}")

    suite.run("every fault point is passed", all_are_passed)
    each = SHARED_ONLY if bench.postgres else table  # the others have been on SQLite
    chosen = cases if args.full else sample(cases, wanted, args.seed, each)
    print(f"# {len(chosen)} of {len(cases)} cases", flush=True)
    lock = threading.Lock()

    def work():
        own = Bench(bench.postgres)
        while True:
            with lock:
                if not chosen:
                    break
                way, point, at = chosen.pop(0)
            suite.run(f"{type(way).__name__}, kill at {point}:{at}", lambda: case(own, way, point, at))
        own.end()

    threads = [threading.Thread(target=work) for _ in range(side_by_side)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- a catalog whose sessions are cut ------------------------------------------------------------------------------

def cut(s):
    s.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                   " AND backend_type = 'client backend'")


def lost_case(bench, way, point):
    """Cut while the server stands at the point: what it does is done, or refused; it lives, and the next try works."""
    s = bench.begin(way)
    try:
        log, told = f"{s.folder}/passes", []
        s.server.start()
        s.server.stop()  # what a start does is not what is cut
        s.server.start({"GRANARY_FAULT_LOG": log, "GRANARY_FAULT": f"{point}=sleep-500"})
        os.remove(log)

        def act():
            try:
                way.act(s)
            except (Failure, Gone) as error:
                told.append(str(error))

        thread = threading.Thread(target=act)
        thread.start()
        lab.until(f"the server to come to {point}", lambda: os.path.exists(log) and point in open(log, encoding="utf-8").read())
        cut(s)
        thread.join()
        check(s.server.is_alive(), "the server has ended")
        check(all("the catalog " in text or "catalog.io" in text for text in told), f"it was told: {told}")
        lab.until("the catalog to be back", lambda: s.server.get("/pre-aggregations/").status == 200, 10)
        lab.until("nothing to be built", lambda: all(r["status"] != "materializing" for r in s.server.entities()), 20)
        way.look(s)
        s.server.stop()
        s.server.start()
        s.server.stop()
        s.check_tables(f"after a cut at {point}")
        s.server.start()
        way.retry(s)
        way.look_at_end(s)
        s.server.stop()
        s.check_tables(f"at the end of a cut at {point}")
    finally:
        bench.done(s)


def lost(suite, bench, args):
    building = [p for p in points_of_table() if not p.startswith(("sweep.", "failed.", "catalog.")) or
                p in ("catalog.build_begin.before_commit", "catalog.build_done.before_commit")]
    building = [p for p in building if not p.startswith("drop.")]
    plan = [(way, p) for way in (WAYS[0], WAYS[1]) for p in building if not (way is WAYS[0] and p == "build.made")]
    plan += [(WAYS[5], p) for p in ("drop.before", "drop.after", "catalog.drop_builds.before_commit")]
    random.Random(args.seed).shuffle(plan)
    for way, point in plan if args.full else plan[:8]:
        suite.run(f"{type(way).__name__}, sessions cut at {point}", lambda: lost_case(bench, way, point))


# ---- SIGSTOP -------------------------------------------------------------------------------------------------------

LEASE_MS = 5000  # longer than the pause between two heartbeats
STOPS = (("whole", "build.filled", 1), ("parted", "build.chunk", 1), ("whole", "build.named", 1), ("parted", "build.named", 1),
         ("parted", "build.filled", 1), ("whole", "store.part", 1))


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def ask_and_note(server, entity, told):
    try:
        told.append(server.call("POST", f"/pre-aggregations/{entity}/materialize", {"force": True, "wait": True}, 60))
    except Gone:
        pass  # the case has failed, and ended it


def stop_case(postgres, schema, name, point, at):
    """Server a stands still in its build; b takes over when the lease has ended; a comes back, and is refused."""
    s = sales.Sales(postgres, schema)
    a = s.server
    b = lab.Server(s.folder, a.binary, "b.yml", ".b")
    try:
        s.write_config("b.yml", ".b", f'catalog: {{postgres: "{postgres.conninfo}", schema: {schema}}}\n')
        env = {"GRANARY_FAULT_LEASE_MS": str(int(LEASE_MS * lab.PATIENCE))}
        a.start(env)
        s.good_build("whole")
        s.good_build("parted")
        a.stop()
        s.write_rows(NEW)
        a.start({**env, "GRANARY_FAULT": f"{point}:{at}=stop"})
        b.start(env)
        entity, told = s.entity(name)["id"], []
        thread = threading.Thread(target=ask_and_note, args=(a, entity, told))
        thread.start()
        lab.until(f"server a to stand still at {point}", lambda: is_stopped(a.process))
        newest, began = sales.rows_of(3), time.monotonic()
        s.write_rows(newest)
        query = sales.BY_CITY if name == "whole" else sales.BY_MONTH
        body, refused = {"force": True, "wait": True}, []

        def taken_over():
            answer = b.post(f"/pre-aggregations/{entity}/materialize", body)
            if answer.status >= 300:
                check(answer.id == "preagg.materializing", f"a build by b: {answer}")
                refused.append(answer)
                may_be(s.answer(query, b)[0], query, OLD)
            return answer.status < 300

        lab.until("b to take over", taken_over, LEASE_MS / 1000 + 8, 0.2)
        # Where a stood still in the middle of a transaction, b had to wait in place of being refused.
        check(refused or time.monotonic() - began > LEASE_MS / 2000, "b built at once, although the lease of a ran")
        a.process.send_signal(lab.signal.SIGCONT)
        thread.join()
        check(told[0].status >= 300 or told[0].body["status"] != "active" or told[0].body["served_build"]["version"] == 3,
              f"a has published: {told[0]}")
        for _ in range(20):
            may_be(s.answer(query, b)[0], query, newest)
            time.sleep(0.02)
        lab.until("a to see what b has built", lambda: s.answer(query, a)[0] == s.answer(query, b)[0], 3)
        a.stop()
        b.stop()
        s.check_tables("after a take-over")
    finally:
        for server in (a, b):
            if server.is_alive():
                server.process.send_signal(lab.signal.SIGCONT)
            server.kill()
        lab.drop_folder(s.folder)


def stops(suite, postgres, args):
    """Side by side, for all they do is wait."""
    threads = [threading.Thread(target=suite.run, args=(
        f"SIGSTOP at {point}:{at} of {name}, for longer than the lease",
        lambda i=i, case=(name, point, at): stop_case(postgres, f"stop_{os.getpid()}_{i}", *case)))
        for i, (name, point, at) in enumerate(STOPS if args.full else STOPS[:3])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sqlite", "postgres", "stop", "lost"))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--cases", type=int, default=60, help="of the sample on SQLite")
    args = parser.parse_args()
    suite = lab.Suite(f"crash, {args.what}")
    postgres = None if args.what == "sqlite" else lab.Postgres.start()
    if not os.access(lab.FAULTS, os.X_OK):
        suite.skip("the crash matrix", f"there is no {os.path.relpath(lab.FAULTS, lab.REPO)}")
    elif args.what != "sqlite" and not postgres:
        suite.skip("the crash matrix", "no PostgreSQL is installed")
    elif args.what == "stop":
        stops(suite, postgres, args)
    else:
        bench = Bench(postgres)
        if args.what == "lost":
            lost(suite, bench, args)
        else:
            matrix(suite, bench, WAYS if args.what == "sqlite" else ON_POSTGRES, args, args.cases if not postgres else 16)
        bench.end()
    suite.end()


if __name__ == "__main__":
    main()
