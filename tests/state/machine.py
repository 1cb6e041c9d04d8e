#!/usr/bin/env python3
"""Random sequences of steps through the real binary, each followed by a comparison with the reference.

    machine.py [--seed S] [--steps N] [--sequences K] [--catalog sqlite|postgres] [--servers N] [--shrink SECONDS] [--only K] [-v]

A step is a kind and a number; every choice within it is drawn from that number and the state at the time, so that a
sequence with steps left out is a sequence again. A sequence that fails is printed, shrunk."""
import argparse
import copy
import json
import os
import random
import sqlite3
import sys
import threading
import time

import lab
import reference
import world
from lab import Failure, Gone, check

CONFIG = """data_sources:
  default: {type: duckdb, path: data}
model: model
watch: false
engine: {threads: 1, connections: 4}
"""
KINDS = {"query": 22, "pin": 6, "materialize": 16, "edit": 15, "plan": 9, "cube_create": 6, "cube_update": 6, "cube_delete": 4,
         "remove": 6, "data": 5, "break": 4, "mend": 4, "restart": 3, "kill": 4, "wrong": 3, "slow": 2, "fault": 2}
EDITS = ("items", "items", "items", "about_orders", "about_users", "has_spare", "has_top", "has_top", "total_sql", "total_sql",
         "orders_sql", "users_sql", "country_sql", "bigs_min")
WITHOUT = set()  # kinds of steps and edits that are left out, to look past a fault that is known
FAULTS = ("catalog.build_begin.before_commit", "catalog.build_begin.after_commit", "build.claimed", "build.named",
          "build.filled", "catalog.build_done.before_commit", "catalog.build_done.after_commit", "build.published")


def grain_of(row):
    """The grain of a row of the API in the words of the world."""
    words = {"day": "day", "country": "country", "status": "status"}
    found = [words[column.rsplit(".", 1)[1]] for column in row["grain_columns"]]
    return tuple(g for g in world.GRAINS[row["node_name"]] if g in found)


def version_text(version):
    return f"v{version[0]}.{version[1]}"


class Machine:
    def __init__(self, postgres=None, schema="", verbose=False, n_servers=1):
        self.folder, self.postgres, self.schema, self.verbose = lab.make_folder(), postgres, schema, verbose
        self.state = reference.State()
        self.data_seed = 0
        self.has_faults = os.access(lab.FAULTS, os.X_OK)
        self.write_data(1)
        self.write_model()
        self.servers = [self.make_server(i) for i in range(n_servers)]
        self.server = self.servers[0]  # that the present step talks to

    def make_server(self, i):
        config, state = CONFIG, f".granary{i or ''}"
        storage = f"path: {state}"
        if self.postgres:
            config += f"catalog: {{postgres: \"{self.postgres.conninfo}\", schema: {self.schema}}}\n"
            storage += f", shared: true, tables: {self.folder}/tables"
        lab.write(self.folder, f"granary{i or ''}.yml", f"{config}storage: {{{storage}}}\n")
        return lab.Server(self.folder, lab.FAULTS if self.has_faults else lab.BINARY, f"granary{i or ''}.yml", state)

    # ---- the files

    def write_model(self):
        lab.write(self.folder, "model/model.yml", world.yaml(self.state.model))

    def write_data(self, seed=None):
        self.data_seed = seed or self.data_seed
        data = self.state.data = world.Data(self.data_seed, self.state.is_bad)
        for name, rows in (("orders", data.orders), ("users", data.users)):
            path = os.path.join(self.folder, "data", f"{name}.csv")
            if name not in self.state.missing:
                lab.write(self.folder, f"data/{name}.csv", world.Data.csv(rows))
            elif os.path.exists(path):
                os.remove(path)

    # ---- comparing

    def entities(self, server=None):
        rows = (server or self.server).entities()
        seen = set()
        for row in rows:
            key = (row["node_name"], row["grain_hash"], row["source_node_version"])
            check(key not in seen, f"two entities of identity {key}")
            seen.add(key)
        return rows

    @staticmethod
    def differences(state, rows):
        """What the catalog shows otherwise than the reference; binds the ids of entities seen for the first time."""
        wrong, unbound = [], [r for r in state.rows if r.id is None]
        known = {r.id: r for r in state.rows if r.id is not None}
        for seen in rows:
            row = known.pop(seen["id"], None)
            if row is None:
                row = next((r for r in unbound if (r.node, r.grain, version_text(r.version)) ==
                            (seen["node_name"], grain_of(seen), seen["source_node_version"])), None)
                if row is None:
                    wrong.append(f"entity {seen['id']} of {seen['node_name']} {grain_of(seen)} "
                                 f"{seen['source_node_version']} ({seen['status']}) should not be there")
                    continue
                unbound.remove(row)
                row.id = seen["id"]
            s, current = row.serving, state.version(row.node)
            expected = {
                "source_node_version": version_text(row.version), "status": row.status,
                "measures": sorted(f"{row.node}__{m}" for m in row.signatures), "declared_by": sorted(row.names),
                "served_build": s and {"version": s.number, "measures": sorted(f"{row.node}__{m}" for m in s.signatures)},
                "is_current": row.version == current and row.status != "stale", "is_in_service": row.is_declared,
                "cubes": sorted(row.links()), "has_error": row.has_error, "has_time": bool(s), "has_table": bool(s)}
            served = seen["served_build"]
            found = {key: seen[key] for key in expected if key in seen}
            found.update(measures=sorted(seen["measures"]), declared_by=sorted(seen["declared_by"]),
                         served_build=served and {"version": served["version"], "measures": sorted(served["measures"])},
                         cubes=sorted(seen["cubes"]), has_error=bool(seen["materialization_error"]),
                         has_time=bool(seen["materialized_at"]), has_table=bool(seen["table"]))
            if row.has_error and row.status != "failed":
                expected["has_error"] = found["has_error"]  # of the last build, or of the present status: both make sense
            if row.has_loose_links:
                expected["cubes"] = found["cubes"]
            wrong += [f"entity {row.id} ({row.node} {row.grain}): {key} is {found[key]!r}, not {expected[key]!r}"
                      for key in expected if found[key] != expected[key]]
        wrong += [f"entity {r.id} ({r.node} {r.grain} {version_text(r.version)}, {r.status}) is missing"
                  for r in list(known.values()) + unbound]
        return wrong

    def compare(self):
        """On each server; another one than the step talked to has a second to see what happened."""
        for server in [self.server] + [s for s in self.servers if s is not self.server]:
            end = time.monotonic() + (1 * lab.PATIENCE if server is not self.server else 0)
            while True:
                wrong = self.differences(self.state, self.entities(server))
                if not wrong or time.monotonic() > end:
                    break
                time.sleep(0.02)
            check(not wrong, "\n    ".join(wrong))

    def adopt(self, candidates, what):
        """One of several states that are allowed: the one that the product is in."""
        rows, told = self.entities(), []
        n_builds = {row["id"]: max((b["version"] for b in self.server.builds(row["id"])), default=0) for row in rows}
        for state in candidates:
            trial = copy.deepcopy(state)
            wrong = self.differences(trial, rows)
            wrong += [f"entity {row.id} has {n_builds[row.id]} builds, not {row.n_builds}" for row in trial.rows
                      if n_builds.get(row.id, row.n_builds) != row.n_builds]
            if not wrong:
                self.state = trial
                return
            told.append("; ".join(wrong))
        raise Failure(f"after {what} the catalog is in none of the allowed states:\n    " + "\n    or ".join(told))

    def check_history(self):
        """Of each entity: an unbroken chain of statuses, those of the reference, from its creation to what it is now."""
        for row in self.state.rows:
            told = self.server.good("GET", f"/pre-aggregations/{row.id}/history?limit=1000")
            moves, last = [], None
            for entry in reversed(told):
                pre, post = entry["pre"].get("status"), entry["post"].get("status")
                if entry["activity_type"] not in ("create", "status_change"):
                    continue
                check(pre == last, f"the history of entity {row.id} jumps from {last} to {pre}")
                moves.append(post)
                last = post
            check(last == row.status, f"the history of entity {row.id} ends with {last}, and it is {row.status}")
            check(len(self.servers) > 1 or moves == row.moves, f"the history of entity {row.id} is {moves}, not {row.moves}:"
                                      f" {[(e['post'].get('status'), e['created_at'][14:23]) for e in reversed(told)]}")

    def check_store(self):
        """With no server there: the tables are those of the served builds, each with all of its rows."""
        shared = bool(self.postgres)
        store = os.path.join(self.folder, "tables" if shared else ".granary/store.duckdb")
        tables = lab.stored_tables(store, shared)
        for row in self.state.rows:
            if not row.serving:
                continue
            name, build = self.tables[row.id].rsplit(".", 1)[1].strip('"'), row.serving
            check(name in tables, f"the table {name} of entity {row.id} is not in the store")
            columns = {"status": f"{row.node}__status", "country": "users__country", "day": "orders__at_day"}
            found = {}
            for stored in tables.pop(name):
                group = tuple((stored[columns[g]] or "")[:10] if g == "day" else stored[columns[g]] for g in row.grain)
                check(group not in found, f"the table {name} has the group {group} twice")
                found[group] = {m: float(stored[f"{row.node}__{m}"]) for m in build.signatures}
            wanted = world.table(build.model, build.data, row.node, row.grain, build.signatures)
            check(found == wanted, f"the table {name} of entity {row.id} holds {found}, not {wanted}")
        check(not tables, f"tables without a record: {sorted(tables)}")

    def check_catalog(self):
        """In the catalog itself: the seed's unique key is there and holds; no build runs; no record without a row."""
        unique = "SELECT source_node_id, grain_hash, source_node_version, count(*) FROM pre_aggregations" \
                 " GROUP BY 1, 2, 3 HAVING count(*) > 1"
        running = "SELECT count(*) FROM builds WHERE status = 'running'"
        if self.postgres:
            at = f"SET search_path TO {self.schema}; "
            double, open_builds = self.postgres.sql(at + unique), self.postgres.sql(at + running)
        else:
            db = sqlite3.connect(os.path.join(self.folder, ".granary/catalog.sqlite"))
            double, open_builds = db.execute(unique).fetchall(), db.execute(running).fetchall()
            db.close()  # the last one to close leaves no journal behind
        check(not double, f"identities that are there twice: {double}")
        check(int(open_builds[0][0]) == 0, "builds run although no server does")

    # ---- life

    def start(self, env=None):
        """All that are not there; the one with a fault is the one that the step talks to."""
        for server in self.servers:
            if not server.is_alive():
                server.start(env if server is self.server else None)

    def look_and_stop(self):
        self.tables = {row["id"]: row["table"] for row in self.entities()}
        self.check_history()
        for server in self.servers:
            server.stop()
        self.check_store()
        self.check_catalog()

    def start_after_death(self):
        """PostgreSQL may take a moment to see that a session has ended; the next heartbeat sees it at the latest."""
        self.start()
        if self.postgres:
            lab.until("the dead server's build to be failed",
                      lambda: all(row["status"] != "materializing" for row in self.server.entities()), 6)

    def reload(self, what="reload"):
        for server in self.servers:
            self.expect(server.post("/ops/reload"), True, what)

    def restart(self, env=None):
        self.look_and_stop()
        self.start(env)
        self.state.restart()

    # ---- steps

    def run(self, steps):
        try:
            self.start()
            self.state.restart()
            self.compare()
            for at, (kind, number) in enumerate(steps):
                try:
                    self.step(kind, number)
                    self.compare()
                except (Failure, Gone) as error:
                    log = "" if self.server.is_alive() or not self.server.process or \
                        self.server.process.returncode == -9 else f"\n    the server has ended: {self.server.said()[-600:]}"
                    return at, f"{error}{log}"
            try:
                self.restart()  # what a start sweeps
                self.compare()
                self.look_and_stop()
            except (Failure, Gone) as error:
                return len(steps), str(error)
            return None
        finally:
            self.end()

    def end(self):
        for server in self.servers:
            server.kill()
        lab.drop_folder(self.folder)

    def step(self, kind, number):
        r = random.Random(number)
        if len(self.servers) > 1 and kind != "slow":
            self.server = r.choice(self.servers)
        getattr(self, "do_" + kind)(r)

    def say(self, text):
        if self.verbose:
            print("   ", text, flush=True)

    def ask(self, r):
        """What a plan or a cube asks for: a node, some of its measures, a grain."""
        node = r.choice(("orders", "orders", "orders", "bigs", "users"))
        measures = r.sample(world.MEASURES[node], r.randint(1, min(3, len(world.MEASURES[node]))))
        grains = world.GRAINS[node]
        grain = tuple(g for g in grains if r.random() < 1.4 / len(grains))
        return node, sorted(measures), grain

    @staticmethod
    def body(node, measures, grain):
        return {"metrics": [f"{node}.{m}" for m in measures], "dimensions": [world.name_of(node, g) for g in grain]}

    def expect(self, answer, is_accepted, what, error_id=None):
        self.say(f"{what}: {answer.status} {answer.id or ''}")
        check((answer.status < 300) == is_accepted, f"{what} was {'refused' if is_accepted else 'accepted'}: {answer}")
        if error_id:
            check(answer.id == error_id, f"{what}: the error is {answer.id}, not {error_id}")

    # Steps of the API are made of a call and what it does to the reference, so that a kill can stand between them.

    def op_plan(self, r):
        node, measures, grain = self.ask(r)
        return (f"plan {node} {measures} by {grain}", lambda s: s.plan(node, measures, grain),
                lambda: self.server.post("/preaggs/plan", self.body(node, measures, grain)))

    def op_cube_create(self, r):
        name, (node, measures, grain) = f"c{r.randrange(4)}", self.ask(r)
        return (f"create cube {name}: {node} {measures} by {grain}",
                lambda s: s.put_cube(name, node, measures, grain, False),
                lambda: self.server.post("/nodes/cube", {"name": name, **self.body(node, measures, grain)}))

    def op_cube_update(self, r):
        name, (node, measures, grain) = f"c{r.randrange(4)}", self.ask(r)
        return (f"update cube {name}: {node} {measures} by {grain}",
                lambda s: s.put_cube(name, node, measures, grain, True),
                lambda: self.server.call("PATCH", f"/nodes/{name}", self.body(node, measures, grain)))

    def op_cube_delete(self, r):
        name = f"c{r.randrange(4)}"
        return f"delete cube {name}", lambda s: s.delete_cube(name), lambda: self.server.call("DELETE", f"/nodes/{name}")

    def op_remove(self, r):
        if not self.state.rows:
            return self.op_plan(r)
        wanted = [row for row in self.state.rows if not row.links()] or self.state.rows
        entity = r.choice(wanted if r.random() < 0.8 else self.state.rows).id
        return (f"delete entity {entity}", lambda s: s.remove(s.by_id(entity)) is None,
                lambda: self.server.call("DELETE", f"/pre-aggregations/{entity}"))

    def do_op(self, make, r):
        what, apply, call = make(r)
        is_accepted = apply(self.state)
        self.expect(call(), is_accepted, what)

    def do_plan(self, r):
        self.do_op(self.op_plan, r)

    def do_cube_create(self, r):
        self.do_op(self.op_cube_create, r)

    def do_cube_update(self, r):
        self.do_op(self.op_cube_update, r)

    def do_cube_delete(self, r):
        self.do_op(self.op_cube_delete, r)

    def do_remove(self, r):
        self.do_op(self.op_remove, r)

    def do_wrong(self, r):
        """What must be refused, and change nothing."""
        answer = r.choice([
            lambda: self.server.call("DELETE", "/pre-aggregations/99999"),
            lambda: self.server.post("/pre-aggregations/99999/materialize"),
            lambda: self.server.post("/preaggs/plan", {"metrics": ["orders.nothing"], "dimensions": ["orders.status"]}),
            lambda: self.server.post("/preaggs/plan", {"metrics": [], "dimensions": ["orders.status"]}),
            lambda: self.server.post("/preaggs/plan", {"metrics": ["bigs.count"], "dimensions": ["users.country"]}),
            lambda: self.server.post("/nodes/cube", {"name": "orders", "metrics": ["orders.count"], "dimensions": []}),
            lambda: self.server.post("/nodes/cube", {"name": "bad", "metrics": ["orders.nothing"], "dimensions": []}),
            lambda: self.server.call("PATCH", "/nodes/orders", {"metrics": ["orders.count"]}),
            lambda: self.server.call("DELETE", "/nodes/orders"),
            lambda: self.server.get("/cubes/nothing/pre-aggregations"),
            lambda: self.server.get("/nodes/nothing/pre-aggregations"),
            self.reload_broken])()
        self.say(f"wrong: {answer.status} {answer.id}")
        check(400 <= answer.status, f"a wrong request was accepted: {answer}")

    def reload_broken(self):
        lab.write(self.folder, "model/model.yml", world.yaml(self.state.model) + "\n  - name: [broken\n")
        answer = self.server.post("/ops/reload")
        self.write_model()
        return answer

    # -- model and data

    def change_model(self, r):
        model = self.state.model
        key = r.choice([key for key in EDITS if key not in WITHOUT])
        if key == "items":
            name = r.choice(sorted(world.ITEMS))
            model["items"][name] = r.choice(world.ITEMS[name][2])
            self.say(f"edit {name}: {model['items'][name]}")
            return
        values = {"about_orders": (0, 1, 2), "about_users": (0, 1, 2), "bigs_min": (40, 60, 20)}.get(key, (0, 1))
        model[key] = r.choice([v for v in values if v != model[key]])
        self.say(f"edit {key}: {model[key]}")

    def do_edit(self, r):
        self.change_model(r)
        self.write_model()
        self.state.declare()
        self.reload()

    def do_data(self, r):
        self.write_data(r.randrange(1 << 30))
        self.say("other data")

    def do_break(self, r):
        what = r.choice([what for what in ("orders", "users", "code") if what not in WITHOUT])
        if what == "code":
            self.state.is_bad = True
        else:
            self.state.missing.add(what)
        self.write_data()
        self.say(f"broken: {self.state.missing or ''} {'code' if self.state.is_bad else ''}")

    def do_mend(self, _):
        self.state.missing, self.state.is_bad = set(), False
        self.write_data()
        self.state.declare()
        self.reload("mend, reload")  # a new file is seen by a load of the model

    # -- builds

    def pick(self, r):
        declared = [row for row in self.state.rows if row.is_declared]
        return r.choice(declared if declared and r.random() < 0.9 else self.state.rows) if self.state.rows else None

    def do_materialize(self, r):
        row, force, wait = self.pick(r), r.random() < 0.5, r.random() < 0.7
        if row is None:
            return
        path, what = f"/pre-aggregations/{row.id}/materialize", f"materialize {row.id} force={force} wait={wait}"
        answer = self.server.post(path, {"force": force, "wait": wait})
        if not row.is_declared:
            self.expect(answer, False, what, "preagg.stale")
            return
        if row.status == "active" and not force:
            self.expect(answer, True, what)
            check(answer.status == 200 and answer.body["status"] == "active", f"{what}: {answer}")
            return
        is_good = self.state.build(row)
        if wait:
            self.expect(answer, is_good, what, None if is_good else "preagg.build_failed")
            check(not is_good or (answer.status, answer.body["status"]) == (200, "active"), f"{what}: {answer}")
        else:
            self.expect(answer, True, what)
            check(answer.status == 202, f"{what}: {answer}")
            self.server.settled(row.id)

    # -- queries

    @staticmethod
    def query_of(r):
        node = r.choice(("orders", "orders", "orders", "bigs", "users"))
        measures = r.sample(world.MEASURES[node], r.randint(1, min(3, len(world.MEASURES[node]))))
        grain = [g for g in world.GRAINS[node] if r.random() < 0.4]
        by = r.choice(("day", "month")) if "day" in grain else None
        return node, measures, [g for g in grain if g != "day"], by

    def do_query(self, r):
        node, measures, grain, by = self.query_of(r)
        if not self.state.is_known(node, measures):
            measures = ["count"]
        if len(self.servers) > 1:
            time.sleep(0.4)  # for what the other server did to be seen here
        self.query(node, measures, grain, by)

    def query(self, node, measures, grain, by):
        query = {"measures": [f"{node}.{m}" for m in measures], "dimensions": [world.name_of(node, g) for g in grain]}
        if by:
            query["timeDimensions"] = [{"dimension": f"{node}.at", "granularity": by}]
        stored = (*grain, "day") if by else tuple(grain)
        wanted = self.state.on_demand(node, measures, stored)
        tried = set(self.state.tried)
        answer = self.server.load(query)
        self.see_builds(wanted)
        covering = [row for row in self.state.rows if self.state.serves(row, node, measures, stored)]
        what = f"query {node} {measures} by {grain} {by or ''}"
        columns = tuple(grain) + ((by,) if by else ())
        if answer.status != 200:
            self.say(f"{what}: {answer.status} {answer.id}")
            check(not covering, f"{what}: {answer}, but entity {[row.id for row in covering]} serves it")
            check(not self.state.can_build(node, columns, measures), f"{what}: {answer}, but the source is whole")
            return
        served = lab.served_by(answer)
        self.say(f"{what}: {[(used['id'], used['version']) for used in served] or 'source'}")
        if served:
            check(len(served) == 1, f"{what} was served by {served}")
            row = self.state.by_id(served[0]["id"])
            check(row and self.state.may_serve(row, node, measures, stored),
                  f"{what} was served by entity {served[0]['id']}, which must not serve it")
            check(row.serving.number == served[0]["version"], f"{what} was served by build {served[0]['version']} of entity "
                                                              f"{row.id}, whose build {row.serving.number} serves")
            rows = world.table(row.serving.model, row.serving.data, node, columns, measures)
        else:
            check(not covering, f"{what} was answered from the source, but entity {[r.id for r in covering]} serves it")
            idle = [row.id for row in wanted if (row.node, row.grain) not in tried
                    and self.state.can_build(row.node, row.grain, row.signatures)]
            check(not idle, f"{what} was answered from the source, but entity {idle} is to be built on demand")
            rows = world.table(self.state.model, self.state.data, node, columns, measures)
        self.check_numbers(what, answer.body["data"], rows, node, measures, columns)

    @staticmethod
    def check_numbers(what, data, wanted, node, measures, columns):
        keys = {"status": f"{node}.status", "country": "users.country", "day": "orders.at.day", "month": "orders.at.month"}
        found = {}
        for row in data:
            group = tuple(row[keys[c]][:10] if c in ("day", "month") else row[keys[c]] for c in columns)
            check(group not in found, f"{what}: the group {group} is there twice")
            found[group] = {m: float(row[f"{node}.{m}"]) for m in measures}
        check(found == wanted, f"{what}: the answer is {found}, not {wanted}")

    def do_pin(self, r):
        """A query of one version: what was built of it serves, as that version meant it, also when it is stale."""
        rows = [row for row in self.state.rows if row.serving]
        if not rows:
            return
        row = r.choice(rows)
        node, version = row.node, row.version
        held = sorted(m for m in row.serving.signatures if world.has_measure(self.state.model, node, m))
        grain = [g for g in row.grain if r.random() < 0.6]
        if not held:
            return
        measures = r.sample(held, r.randint(1, len(held)))
        if len(self.servers) > 1:
            time.sleep(0.4)
        query = {"measures": [f"{node}.{m}" for m in measures], "pre_aggregation_version": version_text(version),
                 "dimensions": [world.name_of(node, g) for g in grain if g != "day"]}
        if "day" in grain:
            query["timeDimensions"] = [{"dimension": f"{node}.at", "granularity": "day"}]
        what = f"query {node} {measures} by {grain} at {version_text(version)} ({row.status})"
        wanted = self.state.on_demand(node, measures, tuple(grain))
        answer = self.server.load(query)
        self.see_builds(wanted)
        now = self.state.declared(node, row.grain)  # an old table is read through what is declared at its grain now
        if answer.id == "plan.version" and not (now and set(measures) <= set(now.signatures)):
            return
        check(answer.status == 200, f"{what}: {answer}, but entity {row.id} holds it")
        served = lab.served_by(answer)
        self.say(f"{what}: {[(used['id'], used['version']) for used in served] or 'source'}")
        by = self.state.by_id(served[0]["id"]) if len(served) == 1 else None
        check(by and by.version == version, f"{what} was served by {served}, of version {by and version_text(by.version)}")
        build = by.serving
        check(build and build.number == served[0]["version"] and set(measures) <= set(build.signatures)
              and set(grain) <= set(by.grain), f"{what} was served by {served}, which does not hold it")
        rows = world.table(build.model, build.data, node, grain, measures)
        self.check_numbers(what, answer.body["data"], rows, node, measures, tuple(grain))

    def see_builds(self, wanted):
        """Builds that a query has made of what it wanted."""
        for row in wanted:
            newest = self.server.builds(row.id)[:1]
            if newest and newest[0]["version"] == row.n_builds + 1:
                self.say(f"the query built {row.id}")
                self.state.build(row)

    # -- ends

    def do_restart(self, _):
        self.say("restart")
        self.restart()

    def do_kill(self, r):
        """kill -9 at a random moment of something that is under way."""
        kind = r.choice(("plan", "cube_create", "cube_update", "remove", "materialize", "edit", "query"))
        before, delay, candidates = copy.deepcopy(self.state), r.choice((0, 1, 2, 4, 8, 16)) / 1000, []
        redo = getattr(self, "op_" + kind)(r) if kind in ("plan", "cube_create", "cube_update", "remove") else None
        timer = threading.Timer(delay, self.server.process.kill)
        self.say(f"kill after {delay * 1000:g} ms of {kind}")
        timer.start()
        try:
            candidates = self.try_until_killed(kind, r, before, redo)
        finally:
            timer.join()
            self.server.kill()
        self.start_after_death()
        if len(self.servers) > 1 and kind == "edit":
            self.reload()
        for state in candidates:
            state.restart()
        self.adopt(candidates, f"kill -9 during {kind}")
        if kind in ("plan", "cube_update"):  # of these it cannot be seen whether they were done: again, to be sure
            self.do_op(lambda _: redo, r)

    def try_until_killed(self, kind, r, before, op):
        """Does it, if it can; the states that are allowed after it, whatever came of it."""
        after = copy.deepcopy(before)
        try:
            if kind == "edit":
                self.change_model(r)
                self.write_model()
                before.model = after.model = self.state.model
                self.server.post("/ops/reload")
                return [after]
            if kind == "query":
                node, measures, grain, by = self.query_of(r)
                measures = measures if before.is_known(node, measures) else ["count"]
                stored = (*grain, "day") if by else tuple(grain)
                made = [self.after_build(before, row.id, how) for row in before.on_demand(node, measures, stored)
                        for how in ("build", "interrupt")]
                self.server.post("/cubejs-api/v1/load", {"query": {
                    "measures": [f"{node}.{m}" for m in measures],
                    "dimensions": [world.name_of(node, g) for g in grain],
                    "timeDimensions": [{"dimension": f"{node}.at", "granularity": by}] if by else []}})
                return [before, *made]
            if kind == "materialize":
                rows = [row for row in before.rows if row.is_declared]
                if not rows:
                    return [before]
                row = r.choice(rows)
                made = [self.after_build(before, row.id, how) for how in ("build", "interrupt")]
                self.server.post(f"/pre-aggregations/{row.id}/materialize", {"force": True})
                return [before, *made]
            _, apply, call = op
            apply(after)
            call()
        except Gone:
            pass
        if kind in ("query", "materialize"):
            return [before, *made]
        return [before, after]

    @staticmethod
    def after_build(state, entity_id, how):
        after = copy.deepcopy(state)
        getattr(after, how)(after.by_id(entity_id))
        return after

    def do_fault(self, r):
        """kill -9 at a named point of a build."""
        point, row = r.choice(FAULTS), self.pick(r)
        if not self.has_faults or row is None or not row.is_declared or \
                not self.state.can_build(row.node, row.grain, row.signatures):
            return
        self.build_killed_at(point, row)

    def build_killed_at(self, point, row):
        entity = row.id
        self.restart({"GRANARY_FAULT": f"{point}=kill"})
        self.compare()
        row = self.state.by_id(entity)
        if not row.is_declared:
            return
        self.say(f"kill at {point} of {entity}")
        self.call_and_die(point, lambda: self.server.post(f"/pre-aggregations/{entity}/materialize",
                                                          {"force": True, "wait": True}))
        if point in ("catalog.build_done.after_commit", "build.published"):
            self.state.build(row)
        elif point != "catalog.build_begin.before_commit":
            self.state.interrupt(row)
        self.start_after_death()
        self.state.restart()

    def call_and_die(self, point, call):
        try:
            call()
        except Gone:
            pass
        check(self.server.died(), f"the server passed {point} alive")

    def do_slow(self, r):
        """What happens while a build runs: it is made to take its time before it is published."""
        row = self.pick(r)
        if not self.has_faults or row is None or not row.is_declared:
            return
        self.restart({"GRANARY_FAULT": f"build.filled=sleep-{int(250 * lab.PATIENCE)}"})
        self.compare()
        row = self.state.by_id(row.id)
        if not row.is_declared:
            return
        self.say(f"slow build of {row.id}")
        answer = self.server.post(f"/pre-aggregations/{row.id}/materialize", {"force": True})
        check(answer.status == 202, f"materialize: {answer}")
        build = self.state.begin(row)
        if build:
            self.expect(self.server.post(f"/pre-aggregations/{row.id}/materialize", {"force": True}), False,
                        "materialize what is materializing", "preagg.materializing")
            if not row.links():
                self.expect(self.server.call("DELETE", f"/pre-aggregations/{row.id}"), False,
                            "delete what is materializing", "preagg.materializing")
            self.step(r.choice(("plan", "plan", "cube_create", "edit", "edit", "cube_delete")), r.random())
            try:
                self.compare()
            except Failure:
                if self.server.entity(row.id)["status"] == "materializing":  # else the step took longer than the build
                    raise
        self.server.settled(row.id)
        self.state.end(row, build)


# ---- sequences -----------------------------------------------------------------------------------------------------

class Runner:
    def __init__(self, catalog, verbose, n_servers=1):
        self.postgres = lab.Postgres.start() if catalog == "postgres" else None
        self.verbose, self.n_servers, self.n_schemas = verbose, n_servers, 0

    def run(self, steps, verbose=False):
        self.n_schemas += 1
        schema = f"machine_{self.n_schemas}"
        failed = Machine(self.postgres, schema, verbose or self.verbose, self.n_servers).run(steps)
        if self.postgres:
            self.postgres.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        return failed

    def shrink(self, steps, seconds):
        """Steps left out, in ever smaller pieces, as long as it still fails."""
        end, size = time.monotonic() + seconds, max(1, len(steps) // 2)
        while size and time.monotonic() < end:
            at, is_smaller = 0, False
            while at < len(steps) and time.monotonic() < end:
                fewer = steps[:at] + steps[at + size:]
                failed = self.run(fewer) if fewer else None
                if failed:
                    steps, is_smaller = fewer[:failed[0] + 1], True
                else:
                    at += size
            size = size // 2 if not is_smaller or size > 1 else size if is_smaller else 0
        return steps


def steps_of(seed, n):
    r = random.Random(seed)
    kinds, weights = list(KINDS), [0 if kind in WITHOUT else weight for kind, weight in KINDS.items()]
    return [(r.choices(kinds, weights)[0], r.randrange(1 << 40)) for _ in range(n)]


def run_sequences(catalog, seed, n_steps, n_sequences, shrink=30.0, verbose=False, only=None, n_servers=1):
    """(passed, failed), or None when there is no PostgreSQL."""
    runner = Runner(catalog, verbose, n_servers)
    if catalog == "postgres" and runner.postgres is None:
        return None
    passed = failed = 0
    for k in range(n_sequences):
        if only is not None and k != only:
            continue
        steps = steps_of(f"{seed}.{k}", n_steps)
        if verbose:
            print(f"sequence {seed}.{k}", flush=True)
        wrong = runner.run(steps)
        if not wrong:
            passed += 1
            continue
        failed += 1
        at, text = wrong
        print(f"not ok: {catalog}: --seed {seed} sequence {k}, step {at + 1} of {n_steps}"
              f" ({steps[at][0] if at < n_steps else 'the end'}):\n    {text}", flush=True)
        if shrink and at < n_steps:
            steps = runner.shrink(steps[:at + 1], shrink)
            print(f"    shrunk to {len(steps)} steps: {json.dumps(steps)}", flush=True)
            again = runner.run(steps, True)
            print(f"    {again[1] if again else 'which passed this time'}", flush=True)
    if runner.postgres:
        runner.postgres.stop()
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--sequences", type=int, default=20)
    parser.add_argument("--catalog", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--servers", type=int, default=1, help="on one catalog; with postgres")
    parser.add_argument("--shrink", type=float, default=60.0, help="seconds for making a failing sequence small")
    parser.add_argument("--only", type=int, help="only this sequence of them")
    parser.add_argument("--without", default="", help="kinds of steps and edits to leave out, with commas")
    parser.add_argument("--replay", help="steps as they were printed, in JSON")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    WITHOUT.update(args.without.split(","))
    if args.replay:
        wrong = Runner(args.catalog, True, args.servers).run([tuple(step) for step in json.loads(args.replay)])
        print(wrong[1] if wrong else "passed")
        sys.exit(1 if wrong else 0)
    done = run_sequences(args.catalog, args.seed, args.steps, args.sequences, args.shrink, args.verbose,
                         args.only, args.servers)
    if done is None:
        print("skipped: random steps on PostgreSQL: none is installed\n0 passed, 0 failed, 1 skipped")
        return
    print(f"{done[0]} passed, {done[1]} failed, 0 skipped")
    sys.exit(1 if done[1] else 0)


if __name__ == "__main__":
    main()
