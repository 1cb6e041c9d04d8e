#!/usr/bin/env python3
"""Two servers on one PostgreSQL catalog and one shared store: concurrent clients, rolling deploys, deaths."""
import os
import signal
import threading
import time

import lab
import world
from lab import Failure, check

N_CLIENTS = 16
SLOW_ROWS = 1500000  # a build of about a second

SLOW = f"""
  - name: slow
    sql: "SELECT i AS id, i % 50 AS k, md5(i::VARCHAR) AS h FROM range({SLOW_ROWS}) AS r(i)"
    measures:
      - {{name: count, type: count}}
      - {{name: longest, type: max, sql: "md5({{CUBE}}.h || 'x')"}}
      - {{name: least, type: min, sql: "md5({{CUBE}}.h || 'y')"}}
    dimensions:
      - {{name: id, sql: id, type: number, primary_key: true}}
      - {{name: k, sql: k, type: number}}
"""
COUNT_BY_STATUS = {"measures": ["orders.count", "orders.total"], "dimensions": ["orders.status"]}


class Pair:
    """Servers a and b in one folder: models of their own, tables, data and catalog in common."""

    def __init__(self, postgres, schema):
        self.folder, self.postgres, self.schema = lab.make_folder(), postgres, schema
        self.model = dict(world.FIRST)
        self.data = world.Data(7, False)
        for name, rows in (("orders", self.data.orders), ("users", self.data.users)):
            lab.write(self.folder, f"data/{name}.csv", world.Data.csv(rows))
        self.servers = {name: self.server(name) for name in "ab"}
        self.a, self.b = self.servers["a"], self.servers["b"]
        self.write_model("a")
        self.write_model("b")

    def server(self, name, storage=None):
        storage = storage or f"shared: true, tables: {self.folder}/tables"
        lab.write(self.folder, f"{name}.yml", f"""data_sources:
  default: {{type: duckdb, path: data}}
model: model_{name}
watch: false
engine: {{threads: 1, connections: 8}}
catalog: {{postgres: "{self.postgres.conninfo}", schema: {self.schema}}}
storage: {{path: .{name}, {storage}}}
""")
        return lab.Server(self.folder, config=f"{name}.yml", state=f".{name}")

    def write_model(self, name, **changes):
        lab.write(self.folder, f"model_{name}/model.yml", world.yaml({**self.model, **changes}) + SLOW)

    def files(self):
        return sorted(os.listdir(f"{self.folder}/tables"))

    def __enter__(self):
        self.a.start()
        self.b.start()
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            server.kill()
        lab.drop_folder(self.folder)

    def sql(self, text):
        return self.postgres.sql(f"SET search_path TO {self.schema}; {text}")

    def clients(self, work, n=N_CLIENTS):
        """Runs work(client's own server handle, number) in n threads that begin together, half on each server."""
        barrier, results, wrong = threading.Barrier(n), [None] * n, []

        def run(i):
            handle = lab.Server(self.folder)
            of = (self.a, self.b)[i % 2]
            handle.port, handle.process = of.port, of.process
            try:
                barrier.wait()
                results[i] = work(handle, i)
            except Exception as error:  # told by the main thread
                wrong.append(f"client {i}: {type(error).__name__}: {error}")
            finally:
                handle.close()

        threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not wrong, "\n    ".join(wrong))
        return results


def named(server, name):
    found = [row for row in server.entities() if row["name"] == name]
    check(len(found) == 1, f"there are {len(found)} entities {name}")
    return found[0]


def served(server, query, rows=None):
    """(id, build) of what served the query, or None for the source; the numbers are right, if `rows` are given."""
    answer = server.load(query)
    check(answer.status == 200, f"query {query}: {answer}")
    if rows is not None:
        found = {row["orders.status"]: (float(row["orders.count"]), float(row["orders.total"]))
                 for row in answer.body["data"]}
        check(found == rows, f"the answer is {found}, not {rows}")
    used = lab.served_by(answer)
    return (used[0]["id"], used[0]["version"]) if used else None


def by_status(pair, **changes):
    table = world.table({**pair.model, **changes}, pair.data, "orders", ("status",), ("count", "total"))
    return {group[0]: (row["count"], row["total"]) for group, row in table.items()}


def forbid_two_running(pair):
    """Whatever the product holds itself to: a second running build of one entity is an error from here on."""
    pair.sql("CREATE UNIQUE INDEX one_running_for_the_test ON builds (preagg_id) WHERE status = 'running'")


def check_tables(pair):
    """The files of the store are the tables of the served builds."""
    wanted = sorted(row["table"].rsplit(".", 1)[1].strip('"') + ".duckdb" for row in pair.b.entities() if row["table"])
    lab.until(f"the files {pair.files()} of the shared store to be {wanted}", lambda: pair.files() == wanted, 5)


# ---- tests ---------------------------------------------------------------------------------------------------------

def concurrent_clients(pair):
    forbid_two_running(pair)
    slow = {"metrics": ["slow.count", "slow.longest"], "dimensions": ["slow.k"]}

    def work(server, _):
        planned = server.good("POST", "/preaggs/plan", slow)["preaggs"]
        check(len(planned) == 1, f"the plan made {len(planned)} entities")
        entity = planned[0]["id"]
        answer = server.post(f"/pre-aggregations/{entity}/materialize")
        check(answer.status in (200, 202, 409), f"materialize: {answer}")
        check(answer.status != 409 or answer.id == "preagg.materializing", f"materialize: {answer}")
        return entity, answer.status

    results = pair.clients(work)
    ids = {entity for entity, _ in results}
    check(len(ids) == 1, f"one identity has the ids {ids}")
    entity = ids.pop()
    check([s for _, s in results].count(202) == 1, f"materialize was answered {[s for _, s in results]}: one starts a build")
    running = pair.sql("SELECT count(*) FROM builds WHERE status = 'running'")
    check(running == [["1"]], f"{running[0][0]} builds run at a time")
    row = pair.a.settled(entity)
    check(row["status"] == "active", f"the entity is {row['status']}: {row['materialization_error']}")
    query = {"measures": ["slow.count"], "dimensions": ["slow.k"]}
    for server in (pair.a, pair.b):
        lab.until("both servers to serve it", lambda s=server: served(s, query) == (entity, 1), 1)
    check(len(pair.a.builds(entity)) == 1, "more than one build was made")
    check_tables(pair)


def concurrent_force(pair):
    forbid_two_running(pair)
    row = named(pair.a, "orders.main")

    def work(server, _):
        done = 0
        for _ in range(5):
            answer = server.post(f"/pre-aggregations/{row['id']}/materialize", {"force": True, "wait": True})
            check(answer.status in (200, 202, 409), f"materialize: {answer}")
            done += answer.status != 409
            check(served(server, COUNT_BY_STATUS, by_status(pair)) is not None, "the source answered beside a built rollup")
        return done

    done = sum(pair.clients(work))
    pair.a.settled(row["id"])
    builds = pair.a.builds(row["id"])
    check(builds[0]["version"] == done, f"{done} builds were begun, and the last has number {builds[0]['version']}")
    check(all(build["status"] in ("done", "dropped") for build in builds), f"builds are {builds}")
    check_tables(pair)


def concurrent_queries(pair):
    results = pair.clients(lambda server, _: served(server, COUNT_BY_STATUS, by_status(pair)))
    row = named(pair.a, "orders.main")
    check(set(results) == {(row["id"], 1)}, f"queries were served by {set(results)}")
    check(len(pair.a.builds(row["id"])) == 1, "queries on both servers built it more than once")
    check_tables(pair)


def concurrent_widening(pair):
    wishes = ("count", "total", "items", "top", "coded")

    def work(server, i):
        measure = wishes[i % len(wishes)]
        body = {"metrics": [f"orders.{measure}"], "dimensions": ["orders.status", "users.country"]}
        return server.good("POST", "/preaggs/plan", body)["preaggs"][0]["id"], measure

    ids = {entity for entity, _ in pair.clients(work)}
    check(len(ids) == 1, f"one identity has the ids {ids}")
    entity = ids.pop()
    wanted = sorted(f"orders__{m}" for m in wishes)
    for server in (pair.a, pair.b):
        found = lab.until("the wide entity", lambda s=server: sorted(s.entity(entity)["measures"]) == wanted, 1)
        check(found, "it lacks measures")
    pair.b.good("POST", f"/pre-aggregations/{entity}/materialize", {"wait": True})
    query = {"measures": [f"orders.{m}" for m in wishes], "dimensions": ["orders.status", "users.country"]}
    lab.until("a to serve what b built", lambda: served(pair.a, query) == (entity, 1), 1)


def concurrent_cubes(pair):
    body = {"name": "shared_cube", "metrics": ["orders.top"], "dimensions": ["orders.at.day"]}
    answers = pair.clients(lambda server, _: server.post("/nodes/cube", body))
    statuses = sorted(answer.status for answer in answers)
    check(statuses == [201] + [409] * (N_CLIENTS - 1), f"one cube was created {statuses}")
    check(pair.sql("SELECT count(*) FROM node WHERE name = 'shared_cube'") == [["1"]], "the cube is there twice")


def seen_by_the_other(pair):
    body = {"name": "fresh", "metrics": ["orders.items", "orders.top"], "dimensions": ["orders.status", "orders.at.day"]}
    pair.a.good("POST", "/nodes/cube", body)
    began = time.monotonic()

    def ask():
        answer = pair.b.get("/cubes/fresh/pre-aggregations")
        rows = answer.body if answer.status == 200 else []
        return rows[0] if rows and rows[0]["is_in_service"] else None

    row = lab.until("b to have the cube that a made", ask, 1)
    check(time.monotonic() - began < 1 * lab.PATIENCE, "b saw it too late")
    pair.b.good("POST", f"/pre-aggregations/{row['id']}/materialize", {"wait": True})
    query = {"measures": ["orders.items"], "dimensions": ["orders.status"],
             "timeDimensions": [{"dimension": "orders.at", "granularity": "month"}]}
    lab.until("a to serve what b built", lambda: served(pair.a, query) == (row["id"], 1), 1)
    check(pair.b.call("DELETE", f"/pre-aggregations/{row['id']}").id == "preagg.in_use", "an entity in use was removed")
    pair.b.good("DELETE", "/nodes/fresh")
    pair.b.good("DELETE", f"/pre-aggregations/{row['id']}")
    check(pair.a.get(f"/pre-aggregations/{row['id']}").status == 404, "a has an entity that b removed")
    lab.until("a to answer from the source", lambda: served(pair.a, query) is None, 1)
    lab.until("the table to go", lambda: not [name for name in pair.files() if "preagg" in name], 5)


def build_on_the_other_at_once(pair):
    """Without waiting for news: an id that one server gave out is known to the other."""
    for i in range(5):
        body = {"metrics": ["orders.count"], "dimensions": [("orders.status", "users.country", "orders.at.day")[k]
                                                          for k in range(3) if (i + 3) >> k & 1]}
        entity = pair.a.good("POST", "/preaggs/plan", body)["preaggs"][0]["id"]
        row = pair.b.good("POST", f"/pre-aggregations/{entity}/materialize", {"wait": True})
        check(row["status"] == "active", f"b built it, and it is {row['status']}")


def rolling_deploy(pair):
    first = named(pair.a, "orders.main")
    pair.b.stop()
    check(served(pair.a, COUNT_BY_STATUS, by_status(pair)) == (first["id"], 1), "a did not build it")
    pair.write_model("b", total_sql=1)
    pair.b.start()
    old, new = by_status(pair), by_status(pair, total_sql=1)
    for _ in range(3):
        check(served(pair.a, COUNT_BY_STATUS, old) == (first["id"], 1), "a does not serve its own version")
        second = served(pair.b, COUNT_BY_STATUS, new)
        check(second and second[0] != first["id"], f"b was served by {second}")
        for server in (pair.a, pair.b):
            rows = {row["id"]: row["status"] for row in server.entities()}
            check((rows[first["id"]], rows[second[0]]) == ("active", "active"), f"while both live: {rows}")
        time.sleep(0.3)
    check(pair.a.good("POST", "/ops/reload") is not None, "reload")
    check(pair.b.entity(second[0])["status"] == "active", "a reload of a made b's entity stale")
    # b leaves: its entity goes stale, a's stays
    pair.b.stop()
    rows = {row["id"]: row["status"] for row in pair.a.entities()}
    check((rows[first["id"]], rows[second[0]]) == ("active", "stale"), f"after b left: {rows}")
    pair.b.start()
    check(served(pair.b, COUNT_BY_STATUS, new) == second, "b's version was not taken up again")
    check(pair.a.entity(second[0])["status"] == "active", "b's entity is not active again")
    pair.a.stop()
    rows = {row["id"]: row["status"] for row in pair.b.entities()}
    check((rows[first["id"]], rows[second[0]]) == ("stale", "active"), f"after a left: {rows}")
    pinned = pair.b.load({**COUNT_BY_STATUS, "pre_aggregation_version": first["source_node_version"]})
    if pinned.status == 200:  # the old version stays readable for who pins it
        found = {row["orders.status"]: float(row["orders.total"]) for row in pinned.body["data"]}
        check(found == {status: total for status, (_, total) in old.items()}, f"the pinned version answered {found}")
    else:
        raise Failure(f"the old version cannot be read: {pinned}")


def rolling_deploy_with_death(pair):
    pair.b.stop()
    first = served(pair.a, COUNT_BY_STATUS, by_status(pair))
    pair.write_model("b", total_sql=1)
    pair.b.start()
    second = served(pair.b, COUNT_BY_STATUS, by_status(pair, total_sql=1))
    pair.a.kill()
    lab.until("the killed server's entity to be stale", lambda: pair.b.entity(first[0])["status"] == "stale", 15, 0.1)
    check(served(pair.b, COUNT_BY_STATUS, by_status(pair, total_sql=1)) == second, "b serves otherwise after a's death")


def rolling_description(pair):
    row = named(pair.a, "orders.main")
    first = served(pair.a, COUNT_BY_STATUS, by_status(pair))
    pair.b.stop()
    pair.write_model("b", about_orders=1)
    pair.b.start()
    for _ in range(3):
        for server in (pair.a, pair.b):
            check(served(server, COUNT_BY_STATUS, by_status(pair)) == first, "it is not served by the one build")
            now = server.entity(row["id"])
            check((now["status"], now["source_node_version"]) == ("active", "v1.1"),
                  f"it is {now['status']} at {now['source_node_version']}")
        time.sleep(0.2)
    pair.a.good("POST", "/ops/reload")
    now = pair.b.entity(row["id"])
    check((now["status"], now["source_node_version"]) == ("active", "v1.1"), "a reload of the older one pinned it back")
    pair.a.stop()
    check(served(pair.b, COUNT_BY_STATUS, by_status(pair)) == first, "after the older server left")
    ids = [r["id"] for r in pair.b.entities() if r["grain_hash"] == row["grain_hash"]]
    check(ids == [row["id"]], f"a description made other entities: {ids}")


def other_stores_refused(pair):
    pair.b.stop()
    for storage in ("shared: false", f"shared: true, tables: {pair.folder}/other"):
        text = pair.server("b", storage).refuses_to_start()
        check("config.store_not_shared" in text, f"b with {storage} said: {text}")
    pair.server("b")
    pair.b.start()
    check(served(pair.b, COUNT_BY_STATUS, by_status(pair)) is not None, "b does not serve after it was refused before")


def death_while_building(pair):
    entity = pair.a.good("POST", "/preaggs/plan", {"metrics": ["slow.count", "slow.longest", "slow.least"],
                                                  "dimensions": ["slow.k"]})["preaggs"][0]["id"]
    pair.a.good("POST", f"/pre-aggregations/{entity}/materialize")
    time.sleep(0.2)
    check(pair.b.entity(entity)["status"] == "materializing", "b does not see that a builds")
    refused = pair.b.post(f"/pre-aggregations/{entity}/materialize")
    check(refused.id == "preagg.materializing", f"b may build beside a: {refused}")
    pair.a.kill()

    def ask():
        answer = pair.b.post(f"/pre-aggregations/{entity}/materialize", {"wait": True})
        return answer.body if answer.status < 300 else None

    row = lab.until("b to build what a left", ask, 35, 0.1)
    check(row["status"] == "active", f"b built it, and it is {row['status']}")
    first = pair.b.builds(entity)[-1]
    check(first["status"] == "failed" and first["error"], f"the killed server's build is {first}")
    pair.a.start()
    check(served(pair.a, {"measures": ["slow.count"], "dimensions": ["slow.k"]}) == (entity, 2), "a does not serve b's build")
    check_tables(pair)


def frozen_while_building(pair):
    """A server that stands still for longer than its lease loses its build; when it moves again it publishes nothing."""
    pair.a.stop()
    pair.a.binary = lab.FAULTS
    pair.a.start({"GRANARY_FAULT": "build.filled=stop"})
    row = named(pair.b, "orders.main")
    pair.a.good("POST", f"/pre-aggregations/{row['id']}/materialize")
    began = time.monotonic()

    def ask():
        answer = pair.b.post(f"/pre-aggregations/{row['id']}/materialize", {"wait": True})
        check(answer.status == 200 or answer.id == "preagg.materializing", f"b: {answer}")
        return answer.status == 200

    lab.until("b to build what the frozen server holds", ask, 60, 0.5)
    check(time.monotonic() - began > 20, f"a server that stood still for {time.monotonic() - began:.1f} s lost its build:"
                                         f" {pair.b.builds(row['id'])}")
    check(served(pair.b, COUNT_BY_STATUS, by_status(pair)) == (row["id"], 2), "b does not serve its build")
    pair.a.process.send_signal(signal.SIGCONT)
    lab.until("a to serve b's build", lambda: served(pair.a, COUNT_BY_STATUS, by_status(pair)) == (row["id"], 2), 10)
    time.sleep(1)
    now = pair.b.entity(row["id"])
    check((now["status"], now["served_build"]["version"]) == ("active", 2), f"the frozen server's build came back: {now}")
    check(pair.b.builds(row["id"])[-1]["status"] == "failed", "the frozen server's build is not recorded as failed")
    check_tables(pair)


def starting_together(pair):
    """A new catalog, two servers at once: one migrates it, both start."""
    pair.a.stop()
    pair.b.stop()
    pair.sql(f"DROP SCHEMA {pair.schema} CASCADE")
    pair.a.launch()
    pair.b.start()
    lab.until("a to listen", lambda: os.path.exists(f"{pair.folder}/.a/server.json"), 10)
    pair.a.stop()
    pair.a.start()
    check(len(pair.a.entities()) == len(pair.b.entities()) == 4, "the entities of the model are not there once")


TESTS = (concurrent_clients, concurrent_force, concurrent_queries, concurrent_widening, concurrent_cubes,
         seen_by_the_other, build_on_the_other_at_once, rolling_deploy, rolling_deploy_with_death, rolling_description,
         other_stores_refused, death_while_building, starting_together)
LONG = (frozen_while_building,)  # need a binary with fault points, and longer than a lease


def main(suite, postgres, is_long=False, only=None):
    for i, test in enumerate(TESTS + (LONG if is_long and os.access(lab.FAULTS, os.X_OK) else ())):
        title = test.__name__.replace("_", " ")
        if only and only not in test.__name__:
            continue
        if postgres is None:
            suite.skip(title, "no PostgreSQL is installed")
            continue

        def run(test=test, i=i):
            with Pair(postgres, f"cluster_{i}") as pair:
                test(pair)

        suite.run(title, run)


if __name__ == "__main__":
    import sys
    SUITE = lab.Suite("cluster")
    NAMES = [arg for arg in sys.argv[1:] if arg != "--long"]
    main(SUITE, lab.Postgres.start(), "--long" in sys.argv, NAMES[0] if NAMES else None)
    SUITE.end()
