#!/usr/bin/env python3
"""kill -9 at every named point of a build, of a change and of a migration, in a binary with fault points: after a start
everything is whole: one version or the other serves, what was interrupted is `failed` or done, no table without a record."""
import copy
import os
import sqlite3

import lab
import machine
import world
from lab import check

CHANGES = ("catalog.add", "catalog.cube_put", "catalog.remove", "catalog.declare")


class Lab:
    """Machines with fault points, on SQLite or on PostgreSQL in schemas of their own."""

    def __init__(self, postgres=None):
        self.postgres, self.n = postgres, 0

    def machine(self):
        self.n += 1
        return machine.Machine(self.postgres, f"faults_{self.n}")

    def run(self, work):
        m = self.machine()
        try:
            work(m)
        finally:
            m.end()


def begin(m):
    m.start()
    m.state.restart()
    m.compare()


def end(m):
    """It answers right, a start sweeps what is left over, and nothing is left then."""
    for grain in (["status"], ["country"], []):
        m.query("orders", ["count", "items"], grain, None)
        m.compare()
    m.restart()
    m.compare()
    m.look_and_stop()


def first_build(m, point):
    begin(m)
    m.build_killed_at(point, m.state.by_id(1))
    m.compare()
    end(m)


def second_build(m, point):
    """Other data: the old table serves, or the new one, each as a whole."""
    begin(m)
    m.query("orders", ["count", "total"], ["status"], None)
    m.write_data(5)
    m.build_killed_at(point, m.state.by_id(1))
    m.compare()
    m.query("orders", ["count", "total"], ["status"], None)
    m.compare()
    end(m)


def wider_build(m, point):
    begin(m)
    m.query("orders", ["count", "total"], ["status"], None)
    m.do_op(lambda _: ("plan", lambda s: s.plan("orders", ["top"], ("status",)),
                       lambda: m.server.post("/preaggs/plan", m.body("orders", ["top"], ("status",)))), None)
    m.compare()
    m.build_killed_at(point, m.state.by_id(1))
    m.compare()
    m.query("orders", ["count", "total"], ["status"], None)
    m.compare()
    end(m)


def change(m, point):
    """A change is there as a whole, or not at all."""
    name = point.split(".")[1]
    begin(m)
    m.do_op(lambda _: ("plan", lambda s: s.plan("orders", ["coded"], ("status", "country")),
                       lambda: m.server.post("/preaggs/plan", m.body("orders", ["coded"], ("status", "country")))), None)
    m.compare()
    planned = m.state.declared("orders", ("status", "country"))
    m.expect(m.server.post(f"/pre-aggregations/{planned.id}/materialize", {"wait": True}), True, "materialize")
    m.state.build(planned)
    m.restart({"GRANARY_FAULT": f"{point}{':2' if name == 'declare' else ''}=kill"})  # a start declares too
    before, after = m.state, copy.deepcopy(m.state)
    if name == "declare":
        m.state.model["total_sql"] = after.model["total_sql"] = 1
        m.write_model()
        call, before = lambda: m.server.post("/ops/reload"), after
    elif name == "remove":
        after.remove(after.by_id(planned.id))
        call = lambda: m.server.call("DELETE", f"/pre-aggregations/{planned.id}")
    elif name == "add":
        after.plan("users", ["count"], ("country",))
        call = lambda: m.server.post("/preaggs/plan", m.body("users", ["count"], ("country",)))
    else:
        after.put_cube("c", "orders", ["items", "coded"], ("status", "country"), False)
        call = lambda: m.server.post("/nodes/cube", {"name": "c", **m.body("orders", ["items", "coded"],
                                                                          ("status", "country"))})
    m.call_and_die(point, call)
    m.state = after if point.endswith("after_commit") else before
    m.start()
    m.state.restart()
    m.compare()
    if name == "cube_put" and point.endswith("after_commit"):
        check(m.server.get("/cubes/c").status == 200, "the cube is not there")
    end(m)


def again_at_the_end(m):
    """A second build is asked for when the first is done in the catalog, and not at its very end yet."""
    m.start({"GRANARY_FAULT": "build.published=sleep-500"})
    m.state.restart()
    m.compare()
    for wait in (False, True):
        answer = m.server.post("/pre-aggregations/1/materialize", {"force": True, "wait": wait})
        check(answer.status in (200, 202), f"materialize: {answer}")
        m.state.build(m.state.by_id(1))
        m.server.settled(1, 5)
        m.compare()
    end(m)


def n_migrations(m):
    begin(m)
    m.server.stop()
    query = "SELECT max(number) FROM schema_migrations"
    if m.postgres:
        return int(m.postgres.sql(f"SET search_path TO {m.schema}; {query}")[0][0])
    db = sqlite3.connect(f"{m.folder}/.granary/catalog.sqlite")
    number = db.execute(query).fetchone()[0]
    db.close()
    return number


def migration(m, number, when):
    """A new catalog whose making was interrupted: the next start makes the rest."""
    point = f"catalog.migrate.{number}.{when}"
    m.server.launch({"GRANARY_FAULT": f"{point}=kill"})
    check(m.server.died(), f"the server passed {point} alive")
    begin(m)
    end(m)


def old_catalog(m, point):
    """A catalog of number 3 (before there were revisions) with an entity that was built; its upgrade is interrupted."""
    m.server.launch({"GRANARY_FAULT": "catalog.migrate.4.before_commit=kill"})
    check(m.server.died(), "the server passed the fourth migration alive")
    path = f"{m.folder}/.granary/catalog.sqlite"
    with sqlite3.connect(path) as db:
        check(db.execute("SELECT max(number) FROM schema_migrations").fetchone() == (3,), "this is no catalog of number 3")
        db.execute("INSERT INTO node VALUES (1, 'orders', 'v1.0'), (2, 'gone', 'v1.0')")
        for entity, node, grain in ((7, 1, '["orders.status"]'), (9, 2, '["gone.x"]')):
            db.execute("INSERT INTO pre_aggregations (id, source_node_id, grain_hash, grain_columns, measures,"
                       " source_node_version, table_hash, status, created_at, updated_at, structure_hash)"
                       " VALUES (?, ?, ?, ?, '[\"orders__count\"]', 'v1.0', 'h', 'active', 1, 1, 's')",
                       (entity, node, f"{entity:032x}", grain))
            db.execute("INSERT INTO builds (preagg_id, number, status, table_name, structure_hash, started_at, finished_at)"
                       " VALUES (?, 1, 'done', ?, 's', 1, 1)", (entity, f"granary_store.main.t_{entity}"))
    db.close()
    m.server.launch({"GRANARY_FAULT": f"{point}=kill"})
    check(m.server.died(), f"the server passed {point} alive")
    m.start()
    rows = {row["id"]: row for row in m.server.entities()}
    check({7, 9} <= set(rows), f"old entities are gone: {sorted(rows)}")
    check(all(rows[i]["status"] in ("stale", "pending") for i in (7, 9)),
          f"old entities without tables are {[rows[i]['status'] for i in (7, 9)]}")
    for _ in range(2):
        answer = m.server.load({"measures": ["orders.count"], "dimensions": ["orders.status"]})
        found = {row["orders.status"]: int(row["orders.count"]) for row in answer.body["data"]}
        wanted = {g[0]: v["count"] for g, v in world.table(m.state.model, m.state.data, "orders", ("status",),
                                                          ("count",)).items()}
        check(found == wanted, f"the answer is {found}, not {wanted}")
        m.server.stop()
        m.start()
    for i in (7, 9):
        if not m.server.entity(i)["cubes"]:
            m.server.good("DELETE", f"/pre-aggregations/{i}")
    m.server.stop()


def main(suite, catalog, is_long=False):
    postgres = lab.Postgres.start() if catalog == "postgres" else None
    why = f"there is no {os.path.relpath(lab.FAULTS, lab.REPO)}" if not os.access(lab.FAULTS, os.X_OK) else \
        "no PostgreSQL is installed" if catalog == "postgres" and not postgres else None
    if why:
        suite.skip("kill -9 at fault points", why)
        return
    of, ways = Lab(postgres), (first_build, second_build, wider_build)

    def run(title, work):
        suite.run(title, lambda: of.run(work))

    for i, point in enumerate(machine.FAULTS):
        for way in ways if is_long else (ways[1], ways[(i % 2) * 2]):
            run(f"{way.__name__.replace('_', ' ')}, kill at {point}", lambda m, way=way, point=point: way(m, point))
    for name in CHANGES:
        for when in ("before_commit", "after_commit"):
            run(f"kill at {name}.{when}", lambda m, point=f"{name}.{when}": change(m, point))
    run("another build at the end of one", again_at_the_end)
    numbers = []
    of.run(lambda m: numbers.append(n_migrations(m)))
    for number in range(4 if postgres else 1, numbers[0] + 1):
        for when in ("before_commit", "after_commit"):
            run(f"a new catalog, kill at migration {number} {when}",
                lambda m, number=number, when=when: migration(m, number, when))
            if not postgres and number >= 4:
                run(f"an old catalog, kill at migration {number} {when}",
                    lambda m, point=f"catalog.migrate.{number}.{when}": old_catalog(m, point))


if __name__ == "__main__":
    import sys
    CATALOG = "postgres" if "postgres" in sys.argv else "sqlite"
    SUITE = lab.Suite(f"faults, {CATALOG}")
    main(SUITE, CATALOG, "--long" in sys.argv)
    SUITE.end()
