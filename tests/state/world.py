"""The small world of the machine: data that can be changed and broken, a model that can be edited, and what any query or
rollup over them is, computed here from the rows. Amounts are quarters, so that sums of them are exact."""
import random
from collections import defaultdict

STATUSES, COUNTRIES = "abcd", ("de", "fr", "it", "pt")

# What can be asked of each node: its measures, and its groupings in the order that names have them.
MEASURES = {"orders": ("count", "total", "items", "top", "coded"), "bigs": ("count", "total"), "users": ("count",)}
GRAINS = {"orders": ("status", "country", "day"), "bigs": ("status",), "users": ("country",)}
NAMES = {("orders", "country"): "users.country", ("orders", "day"): "orders.at.day"}
ITEMS = {  # YAML pre-aggregations: node, grain, and the sets of measures that an edit chooses from
    "orders.main": ("orders", ("status",), (("count", "total"), ("count",), ("count", "total", "items"), None)),
    "orders.by_country": ("orders", ("country",), (("count", "items"), ("items", "top"), None)),
    "orders.daily": ("orders", ("day",), (("count", "total"), ("total", "coded"), None)),
    "bigs.main": ("bigs", ("status",), (("count", "total"), ("total",), None)),
}

FIRST = {"orders_sql": 0, "users_sql": 0, "bigs_min": 40, "total_sql": 0, "country_sql": 0, "about_orders": 0,
         "about_users": 0, "has_spare": False, "has_top": True,
         "items": {name: sets[0] for name, (_, _, sets) in ITEMS.items()}}


def name_of(node, column):
    return NAMES.get((node, column), f"{node}.{column}")


# ---- data ----------------------------------------------------------------------------------------------------------

class Data:
    def __init__(self, seed, is_bad):
        r = random.Random(seed)
        self.users = [{"id": i + 1, "country": r.choice(COUNTRIES), "age": r.randint(10, 70)} for i in range(20)]
        self.orders = [{"id": i + 1, "user_id": r.randint(1, 22), "status": r.choice(STATUSES), "code": f"n{r.randint(1, 9)}",
                        "amount": r.randint(4, 400) / 4, "qty": r.randint(1, 9),
                        "at": f"2024-{r.randint(1, 3):02}-{r.randint(1, 28):02} {r.randint(0, 23):02}:30:00"}
                       for i in range(150)]
        if is_bad:  # a text that does not convert, in a row that every variant of the model reads
            self.orders[r.randrange(150)].update(code="nx", qty=9)

    @staticmethod
    def csv(rows):
        lines = [",".join(rows[0])] + [",".join(str(value) for value in row.values()) for row in rows]
        return "\n".join(lines) + "\n"


# ---- the model as files --------------------------------------------------------------------------------------------

TOTALS, COUNTRY_SQL = ("amount", "{CUBE}.amount * 2"), ("country", "upper({CUBE}.country)")
ORDERS_SQL = ("sql_table: orders", 'sql: "SELECT * FROM orders WHERE qty >= 3"')
USERS_SQL = ("sql_table: users", 'sql: "SELECT * FROM users WHERE age >= 30"')


def _items_of(model, node):
    lines = []
    for name, (of, grain, _) in ITEMS.items():
        measures = model["items"][name]
        if of != node or measures is None:
            continue
        if not model["has_top"]:
            measures = [m for m in measures if m != "top"]
        by = "time_dimension: at, granularity: day" if grain == ("day",) else \
            "dimensions: [" + ", ".join("users.country" if g == "country" else g for g in grain) + "]"
        lines.append(f"      - {{name: {name.split('.')[1]}, measures: [{', '.join(measures)}], {by}}}\n")
    return "    pre_aggregations:\n" + "".join(lines) if lines else ""


def yaml(model):
    spare = "      - {name: spare, type: min, sql: qty}\n" if model["has_spare"] else ""
    top = "      - {name: top, type: max, sql: amount}\n" if model["has_top"] else ""
    return f"""cubes:
  - name: orders
    {ORDERS_SQL[model["orders_sql"]]}
    description: about orders {model["about_orders"]}
    joins:
      - {{name: users, sql: "{{CUBE}}.user_id = {{users.id}}", relationship: many_to_one}}
    measures:
      - {{name: count, type: count}}
      - {{name: total, type: sum, sql: "{TOTALS[model["total_sql"]]}"}}
      - {{name: items, type: sum, sql: qty}}
      - {{name: coded, type: sum, sql: "CAST(substr({{CUBE}}.code, 2) AS BIGINT)"}}
{top}{spare}    dimensions:
      - {{name: id, sql: id, type: number, primary_key: true}}
      - {{name: status, sql: status, type: string}}
      - {{name: at, sql: at, type: time}}
{_items_of(model, "orders")}
  - name: users
    {USERS_SQL[model["users_sql"]]}
    description: about users {model["about_users"]}
    measures:
      - {{name: count, type: count}}
    dimensions:
      - {{name: id, sql: id, type: number, primary_key: true}}
      - {{name: country, sql: "{COUNTRY_SQL[model["country_sql"]]}", type: string}}
{_items_of(model, "users")}
  - name: bigs
    sql: "SELECT * FROM ({{orders.sql()}}) AS o WHERE o.amount >= {model["bigs_min"]}"
    measures:
      - {{name: count, type: count}}
      - {{name: total, type: sum, sql: amount}}
    dimensions:
      - {{name: id, sql: id, type: number, primary_key: true}}
      - {{name: status, sql: status, type: string}}
{_items_of(model, "bigs")}"""


# ---- what depends on what ------------------------------------------------------------------------------------------

def has_measure(model, node, measure):
    return model["has_top"] or (node, measure) != ("orders", "top")


def content(model, node):
    """All that the SQL of a node's cube depends on, and that of the cubes that it reaches."""
    users = (model["users_sql"], model["country_sql"])
    orders = (model["orders_sql"], model["total_sql"], model["has_spare"], model["has_top"], users)
    return {"users": users, "orders": orders, "bigs": (model["bigs_min"], orders)}[node]


def meta(model, node):
    return {"orders": model["about_orders"], "users": model["about_users"], "bigs": 0}[node]


def base(model, node, grain):
    """What the rows of a rollup are: equal bases, equal groups."""
    users = (model["users_sql"], model["country_sql"])
    own = {"orders": (model["orders_sql"],), "bigs": (model["orders_sql"], model["bigs_min"]), "users": users}[node]
    return (node, grain, own, users if node == "orders" and "country" in grain else None)


def signature(model, node, grain, measure):
    return base(model, node, grain), measure, model["total_sql"] if (node, measure) == ("orders", "total") else 0


# ---- what it comes to ----------------------------------------------------------------------------------------------

def _rows(model, data, node):
    users = {u["id"]: u for u in data.users if not model["users_sql"] or u["age"] >= 30}

    def country(user):
        return user and (user["country"].upper() if model["country_sql"] else user["country"])

    if node == "users":
        return [{"country": country(u)} for u in users.values()]
    orders = [o for o in data.orders if not model["orders_sql"] or o["qty"] >= 3]
    if node == "bigs":
        orders = [o for o in orders if o["amount"] >= model["bigs_min"]]
    return [{**o, "country": country(users.get(o["user_id"])), "day": o["at"][:10], "month": o["at"][:7] + "-01"}
            for o in orders]


def _value(model, node, measure, rows):
    if measure == "count":
        return len(rows)
    if measure == "total":
        factor = 2 if node == "orders" and model["total_sql"] else 1
        return sum(row["amount"] * factor for row in rows)
    if measure == "items":
        return sum(row["qty"] for row in rows)
    if measure == "top":
        return max(row["amount"] for row in rows)
    return sum(int(row["code"][1:]) for row in rows)


def table(model, data, node, grain, measures):
    """{group: {measure: number}}"""
    groups = defaultdict(list)
    for row in _rows(model, data, node):
        groups[tuple(row[column] for column in grain)].append(row)
    if not grain and not groups:
        groups[()] = []
    return {group: {m: _value(model, node, m, rows) for m in measures} for group, rows in groups.items()}
