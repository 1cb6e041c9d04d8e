"""The life of entities as the seed and the decisions tell it, written apart from the product: what every step must leave
in the catalog. A State is plain data and can be copied; entities get their ids from the product when it is first seen
(`bind`). See the head of src/catalog/catalog.h for the machine in one table."""
import copy

import world


class Build:
    def __init__(self, number, model, data, node, grain, measures):
        self.number, self.model, self.data = number, copy.deepcopy(model), data
        self.base = world.base(model, node, grain)
        self.signatures = {m: world.signature(model, node, grain, m) for m in measures}


class Row:
    def __init__(self, node, grain, version):
        self.id, self.node, self.grain, self.version = None, node, grain, version
        self.status, self.is_declared = "pending", False
        self.base, self.signatures = None, {}
        self.names, self.cubes = set(), set()  # YAML items that declare it; cubes by API linked to it
        self.serving, self.n_builds, self.has_error = None, 0, False
        self.moves = ["pending"]
        self.has_loose_links = False  # what an invalid cube by API is linked to is left open

    def move(self, status):
        if status != self.status:
            self.moves.append(status)
        self.status = status

    def is_covered(self):
        s = self.serving
        return bool(s) and s.base == self.base and all(s.signatures.get(m) == sig for m, sig in self.signatures.items())

    def links(self):
        return self.cubes | {name.split(".")[0] for name in self.names}


class State:
    def __init__(self):
        self.model = copy.deepcopy(world.FIRST)
        self.data = None
        self.missing = set()      # source tables that are away
        self.is_bad = False       # codes that do not convert
        self.versions = {}        # node -> {(content, meta): (major, minor)}
        self.rows = []
        self.wishes = {}          # (node, grain) -> measures asked for by plan or cube: what is defined by API
        self.cubes = {}           # name -> (node, measures, grain) of active cubes by API
        self.tried = set()        # builds that this server saw fail: a query may leave them be for a while

    # -- finding

    def version(self, node):
        known = self.versions.setdefault(node, {})
        content, meta = world.content(self.model, node), world.meta(self.model, node)
        if (content, meta) not in known:
            majors = {c: major for (c, _), (major, _) in known.items()}
            if content in majors:
                known[content, meta] = (majors[content],
                                        1 + max(minor for major, minor in known.values() if major == majors[content]))
            else:
                known[content, meta] = (1 + max((major for major, _ in known.values()), default=0), 0)
        return known[content, meta]

    def declared(self, node, grain):
        return next((r for r in self.rows if r.is_declared and (r.node, r.grain) == (node, grain)), None)

    def by_id(self, entity_id):
        return next((r for r in self.rows if r.id == entity_id), None)

    def holder(self, node, grain):
        """The row that keeps the definition by API: the one that was declared last."""
        same = [r for r in self.rows if (r.node, r.grain) == (node, grain)]
        return max(same, key=lambda r: r.held_at, default=None)

    # -- declaring

    def is_known(self, node, measures):
        return all(world.has_measure(self.model, node, m) for m in measures)

    def wanted(self):
        """{(node, grain): (names of items, measures)}"""
        wanted = {}
        for name, (node, grain, _) in world.ITEMS.items():
            measures = self.model["items"][name]
            if measures is not None:
                entry = wanted.setdefault((node, grain), (set(), set()))
                entry[0].add(name)
                entry[1].update(m for m in measures if world.has_measure(self.model, node, m))
        for (node, grain), measures in self.wishes.items():
            known = {m for m in measures if world.has_measure(self.model, node, m)}
            if known:
                wanted.setdefault((node, grain), (set(), set()))[1].update(known)
        return wanted

    def _declare_wanted(self, node, grain):
        names, measures = self.wanted()[node, grain]
        return self._declare_one(node, grain, names, measures)

    def _row_for(self, node, grain, signatures):
        version, contents = self.version(node), {v[0]: c for (c, _), v in self.versions[node].items()}
        same = [r for r in self.rows if (r.node, r.grain) == (node, grain)]
        for row in same:
            if row.version == version or contents[row.version[0]] == world.content(self.model, node):
                row.version = version
                return row
        like = [r for r in same if r.base == world.base(self.model, node, grain)
                and all(r.signatures.get(m, sig) == sig for m, sig in signatures.items())]
        if like:
            row = max(like, key=lambda r: r.version)
            row.version = max(row.version, version)
            return row
        row = Row(node, grain, version)
        self.rows.append(row)
        earlier = [r for r in same if r.is_declared]
        for old in earlier:
            row.cubes |= old.cubes
            old.cubes = set()
        return row

    def _declare_one(self, node, grain, names, measures):
        signatures = {m: world.signature(self.model, node, grain, m) for m in sorted(measures)}
        row = self._row_for(node, grain, signatures)
        was_covered = row.is_covered()
        row.base, row.signatures, row.names, row.is_declared = world.base(self.model, node, grain), signatures, names, True
        self.clock = getattr(self, "clock", 0) + 1
        row.held_at = self.clock
        if row.status == "stale" or row.status == "active":
            row.move("active" if row.is_covered() else "pending")
        elif row.status in ("pending", "failed") and not was_covered and row.is_covered():
            row.move("active")
        return row

    def declare(self):
        """The whole model is taken into service: at a start, and by a reload."""
        kept = [self._declare_one(node, grain, names, measures)
                for (node, grain), (names, measures) in self.wanted().items()]
        for row in self.rows:
            if row in kept:
                continue
            row.is_declared, row.names = False, set()
            if row.status in ("pending", "failed", "active"):
                row.move("stale")
        for node in world.MEASURES:
            self.version(node)
        for name in self.cubes:
            self.link(name)

    def link(self, name):
        node, measures, grain = self.cubes[name]
        if not self.is_known(node, measures):
            for row in self.rows:
                row.has_loose_links |= name in row.cubes
            return
        for row in self.rows:
            row.cubes.discard(name)
        self.declared(node, grain).cubes.add(name)

    def restart(self):
        self.tried = set()
        self.declare()

    # -- steps of the API: each says whether the product must accept it

    def plan(self, node, measures, grain):
        if not self.is_known(node, measures):
            return False
        self.wishes.setdefault((node, grain), set()).update(measures)
        self._declare_wanted(node, grain)
        return True

    def put_cube(self, name, node, measures, grain, is_update):
        if is_update != (name in self.cubes) or not self.is_known(node, measures):
            return False
        self.wishes.setdefault((node, grain), set()).update(measures)
        self._declare_wanted(node, grain)
        self.cubes[name] = (node, measures, grain)
        self.link(name)
        return True

    def delete_cube(self, name):
        if name not in self.cubes:
            return False
        del self.cubes[name]
        for row in self.rows:
            row.cubes.discard(name)
        return True

    def remove(self, row):
        """None when it is done, else the error's id."""
        if row.links():
            return "preagg.in_use"
        if (row.node, row.grain) in self.wishes and self.holder(row.node, row.grain) is row:
            del self.wishes[row.node, row.grain]
        self.rows.remove(row)
        return None

    # -- builds

    def can_build(self, node, grain, measures):
        needs = {"orders", "users"} if node == "orders" and "country" in grain else \
            {"users"} if node == "users" else {"orders"}
        return not needs & self.missing and not (self.is_bad and node == "orders" and "coded" in measures)

    def begin(self, row):
        """A build of a declared row; what it will hold, or None when it will fail."""
        row.n_builds += 1
        row.move("materializing")
        if not self.can_build(row.node, row.grain, row.signatures):
            return None
        return Build(row.n_builds, self.model, self.data, row.node, row.grain, row.signatures)

    def end(self, row, build):
        row.has_error = not build
        if not build:
            row.move("failed")
            self.tried.add((row.node, row.grain))
            return False
        row.serving = build
        self.tried.discard((row.node, row.grain))
        row.move("active" if row.is_declared and row.is_covered() else "pending" if row.is_declared else "stale")
        return True

    def build(self, row):
        """A whole build; whether it succeeded."""
        return self.end(row, self.begin(row))

    def interrupt(self, row):
        """A build that died with its server."""
        row.n_builds += 1
        row.move("materializing")
        row.move("failed")
        row.has_error = True

    # -- queries

    def may_serve(self, row, node, measures, grain):
        """Its served build holds what this query asks for, as the model in service means it."""
        s = row.serving
        return (row.is_declared and row.node == node and set(grain) <= set(row.grain) and bool(s) and s.base == row.base
                and all(s.signatures.get(m) == world.signature(self.model, node, row.grain, m) for m in measures))

    def serves(self, row, node, measures, grain):
        """And it is declared with it: the source must not be read."""
        return set(measures) <= set(row.signatures) and self.may_serve(row, node, measures, grain)

    def on_demand(self, node, measures, grain):
        """Declared rows of YAML items that match by definition and are not built: a query makes them."""
        return [r for r in self.rows if r.is_declared and r.names and r.node == node and set(grain) <= set(r.grain)
                and set(measures) <= set(r.signatures) and not self.serves(r, node, measures, grain)]
