"""A small world for tests of builds that are interrupted: sales of a year, every row with the number of the version of the
data that it is of; a rollup as a whole and one by months; and what the catalog and the store hold, read without Granary."""
import os
import shutil
import sqlite3

import lab
from lab import check

CITIES, MONTHS, DAYS = ("ankara", "bergen", "cadiz"), tuple(range(1, 13)), (3, 17)

MODEL = """cubes:
  - name: sales
    sql_table: sales
    measures:
      - {{name: count, type: count}}
      - {{name: total, type: sum, sql: amount}}
      - {{name: coded, type: sum, sql: "CAST(substr({{CUBE}}.code, 2) AS BIGINT)"}}
      - {{name: oldest, type: min, sql: version}}
      - {{name: newest, type: max, sql: version}}
    dimensions:
      - {{name: id, sql: id, type: number, primary_key: true}}
      - {{name: city, sql: city, type: string}}
      - {{name: at, sql: at, type: time}}
    pre_aggregations:
      - {{name: whole, measures: [{whole}], dimensions: [city]}}
      - name: parted
        measures: [count, total, coded, oldest, newest]
        time_dimension: at
        granularity: day
        partition_granularity: month
"""
FEW, MANY = "count, coded, oldest, newest", "count, total, coded, oldest, newest"
CONFIG = """data_sources:
  default: {{type: duckdb, path: data}}
model: model
watch: false
engine: {{threads: 1, connections: 4}}
build: {{partitions_at_once: 1}}
{catalog}storage: {{{storage}}}
"""
MEASURES = ("count", "coded", "oldest", "newest")
BY_CITY = {"measures": [f"sales.{m}" for m in MEASURES], "dimensions": ["sales.city"]}
BY_MONTH = {"measures": [f"sales.{m}" for m in MEASURES],
            "timeDimensions": [{"dimension": "sales.at", "granularity": "month", "dateRange": ["2024-01-01", "2024-12-31"]}]}


def rows_of(version, months=MONTHS, old=None):
    """Of `version` in these months, of `old` in all others."""
    rows = []
    for month in MONTHS:
        v = version if month in months else old
        for day in DAYS:
            for c, city in enumerate(CITIES):
                rows.append({"id": len(rows) + 1, "at": f"2024-{month:02}-{day:02} 10:00:00", "city": city,
                             "amount": v * 1000 + month * 10 + c, "code": f"n{v * 100 + day}", "version": v})
    return rows


def by_city(rows):
    return _grouped(rows, lambda row: row["city"])


def by_month(rows):
    return _grouped(rows, lambda row: row["at"][:7])


def _grouped(rows, key):
    found = {}
    for row in rows:
        count, coded, oldest, newest = found.get(key(row), (0, 0, row["version"], row["version"]))
        v = row["version"]
        found[key(row)] = (count + 1, coded + int(row["code"][1:]), min(oldest, v), max(newest, v))
    return found


class Sales:
    """A folder with its model, data, catalog and store; one server, on SQLite or (`postgres`) on a shared store."""

    def __init__(self, postgres=None, schema=""):
        self.postgres, self.schema = postgres, schema
        self.folder = lab.make_folder()
        self.write_model(FEW)
        self.write_rows(rows_of(1))
        catalog = f'catalog: {{postgres: "{postgres.conninfo}", schema: {schema}}}\n' if postgres else ""
        self.write_config("granary.yml", ".granary", catalog)
        self.server = lab.Server(self.folder, lab.FAULTS if os.access(lab.FAULTS, os.X_OK) else lab.BINARY)

    def write_config(self, name, state, catalog):
        storage = f"path: {state}" + (f", shared: true, tables: {self.folder}/tables" if self.postgres else "")
        lab.write(self.folder, name, CONFIG.format(catalog=catalog, storage=storage))

    def write_model(self, whole):
        lab.write(self.folder, "model/model.yml", MODEL.format(whole=whole))

    def write_rows(self, rows):
        lines = [",".join(rows[0])] + [",".join(str(v) for v in row.values()) for row in rows]
        lab.write(self.folder, "data/sales.csv", "\n".join(lines) + "\n")

    def end(self):
        self.server.kill()
        lab.drop_folder(self.folder)

    def keep(self):
        """A copy, with no server running, that go_back() returns to: in the same place, which identities depend on."""
        self.copy = lab.make_folder()
        shutil.copytree(self.folder, self.copy, dirs_exist_ok=True)

    def go_back(self):
        self.server.kill()
        shutil.rmtree(self.folder)
        shutil.copytree(self.copy, self.folder)

    # ---- asking

    def entity(self, name):
        rows = [row for row in self.server.entities() if f"sales.{name}" in row["declared_by"]]
        check(len(rows) == 1, f"there are {len(rows)} entities of sales.{name}")
        return rows[0]

    def build(self, name, force=True):
        return self.server.post(f"/pre-aggregations/{self.entity(name)['id']}/materialize", {"force": force, "wait": True})

    def good_build(self, name, force=True):
        answer = self.build(name, force)
        check(answer.status < 300, f"the build of {name}: {answer}")
        return answer

    def answer(self, query, server=None):
        """{group: values}, and what served."""
        answer = (server or self.server).load(query)
        check(answer.status == 200, f"a query failed: {answer}")
        key = "sales.city" if "dimensions" in query else "sales.at.month"
        found = {}
        for row in answer.body["data"]:
            group = row[key] if key == "sales.city" else row[key][:7]
            check(group not in found, f"the group {group} came twice")
            found[group] = tuple(int(row[f"sales.{m}"]) for m in MEASURES)
        return found, lab.served_by(answer)

    # ---- looking, without a server

    def sql(self, text):
        if self.postgres:
            rows = self.postgres.sql(f"SET search_path TO {self.schema}; {text}")
            return [tuple(row) for row in rows]
        db = sqlite3.connect(f"{self.folder}/.granary/catalog.sqlite")
        try:
            rows = [tuple("" if v is None else str(v) for v in row) for row in db.execute(text).fetchall()]
            db.commit()
            return rows
        finally:
            db.close()

    @staticmethod
    def bare(text):
        return text.rsplit(".", 1)[1].strip('"')

    def named(self):
        """Names of tables: that serve or are made, and that are to be dropped."""
        live = self.sql("SELECT table_name FROM builds WHERE table_name <> '' AND status IN ('done', 'running') UNION"
                        " SELECT table_name FROM partitions WHERE table_name <> '' AND built_at IS NOT NULL")
        doomed = self.sql("SELECT table_name FROM doomed_table UNION SELECT table_name FROM builds"
                          " WHERE table_name <> '' AND status IN ('failed', 'dropped')")
        return {self.bare(name) for name, in live}, {self.bare(name) for name, in doomed}

    def stored(self):
        store = f"{self.folder}/tables" if self.postgres else f"{self.folder}/.granary/store.duckdb"
        return set(lab.stored_tables(store, bool(self.postgres)))

    def made(self):
        """{start of a partition: its table}, published or not."""
        return dict(self.sql("SELECT from_us, table_name FROM partitions WHERE built_at IS NOT NULL AND"
                             " until_number IS NULL AND quarantine = '' ORDER BY from_us, id"))

    def check_tables(self, what):
        live, doomed = self.named()
        stored = self.stored()
        check(not doomed, f"{what}: tables that are still to be dropped: {sorted(doomed)}")
        check(stored == live, f"{what}: orphans {sorted(stored - live)}, records without a table {sorted(live - stored)}")
