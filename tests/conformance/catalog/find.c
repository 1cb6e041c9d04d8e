/* Finding entities: each condition, all of them together against a plain filter in C, pages and totals. */
#include "conformance/catalog/suite.h"

#include <strings.h>

enum { N_ENTITIES = 60 };

/* What the entities of this file are, by number: everything follows from it. */
static gr_preagg_decl entity(fixture *f, int i) {
    static const char *const nodes[] = {"orders", "users", "visits"};
    static const char *const components[] = {"Count=1", "Count=1 total=2", "total=2 unique=3"};
    const char *node = nodes[i % 3];
    gr_str grain = gr_arena_printf(f->arena, "g%d", i), name = gr_arena_printf(f->arena, "%s.p%d", node, i);
    gr_preagg_decl d = decl_of(f->arena, node, grain.p, grain.p, components[i % 5 % 3], i % 4 ? name.p : "");
    d.grain_columns = i % 7 ? gr_arena_printf(f->arena, "[\"%s.Created.day\",\"%s.status\"]", node, node)
                            : gr_arena_printf(f->arena, "[\"%s.status\"]", node);
    if (i % 6 == 0) d.external = GR_STR("{\"table\": \"t\"}");
    return d;
}

/* Node `orders` goes on to another version, at which the even entities are declared no more. */
static void fill(fixture *f) {
    gr_node_decl nodes[] = {node_of("orders", "1", "m"), node_of("users", "1", "m"), node_of("visits", "1", "m")};
    gr_preagg_decl d[N_ENTITIES];
    for (int i = 0; i < N_ENTITIES; i++) d[i] = entity(f, i);
    gr_preagg_row *rows = declared_by(f, f->catalog, nodes, 3, d, N_ENTITIES, 1);
    for (int i = 0; i < N_ENTITIES; i += 8) built(f, rows[i].id, &d[i], 2);
    begun(f, rows[1].id, &d[1], 3);
    const gr_cube_put put = {.node = {.name = GR_STR("sales"), .type = GR_NODE_CUBE, .content_hash = GR_STR("s")},
                             .entities = &d[10],
                             .n_entities = 7};
    gr_node_row cube;
    assert_ok(f, gr_catalog_cube_put(f->catalog, &put, at(4), f->arena, &cube, NULL, NULL, &f->err));
    nodes[0].content_hash = GR_STR("2");
    size_t n = 0;
    for (int i = 0; i < N_ENTITIES; i++) {
        bool is_orders = gr_str_eq_z(d[i].node, "orders");
        if (!is_orders || i % 2) d[n++] = d[i];
    }
    declared_by(f, f->catalog, nodes, 3, d, n, 5);
}

/* ---- the same conditions in C
 * ---------------------------------------------------------------------------------------- */
static bool holds(gr_str json, gr_str text) {
    for (size_t i = 0; i + text.n + 2 <= json.n; i++) {
        bool is_here =
            json.p[i] == '"' && json.p[i + text.n + 1] == '"' && !strncasecmp(json.p + i + 1, text.p, text.n);
        if (is_here) return true;
    }
    return false;
}

static size_t commas(gr_str json) {
    size_t n = 0;
    for (size_t i = 0; i < json.n; i++) n += json.p[i] == ',';
    return n;
}

static bool has_component(const gr_preagg_row *row, gr_str name) {
    for (size_t i = 0; i < row->decl.n_components; i++)
        if (gr_str_eq_nocase(row->decl.components[i].name, name)) return true;
    return false;
}

static bool passes(const gr_preagg_row *row, const gr_preagg_filter *f) {
    bool is_linked = !f->cube.n, is_right = true;
    for (size_t i = 0; i < row->n_cubes; i++) is_linked |= gr_str_eq(row->cubes[i], f->cube);
    for (size_t i = 0; i < f->n_grain && f->has_grain; i++) is_right &= holds(row->decl.grain_columns, f->grain[i]);
    if (f->has_grain && f->grain_mode == GR_GRAIN_MODE_EXACT)
        is_right &= f->n_grain == (row->decl.grain_columns.n > 2 ? commas(row->decl.grain_columns) + 1 : 0);
    for (size_t i = 0; i < f->n_measures; i++) is_right &= has_component(row, f->measures[i]);
    bool is_external = row->decl.external.n > 0;
    bool is_at_current = gr_str_eq_z(row->version, gr_str_eq_z(row->decl.node, "orders") ? "v2.0" : "v1.0");
    return is_right && is_linked && (!f->node.n || gr_str_eq(row->decl.node, f->node)) &&
           (!f->version.n || gr_str_eq(row->version, f->version)) && (!f->current_only || is_at_current) &&
           (!f->statuses || f->statuses & 1u << row->status) &&
           (!f->grain_group_hash.n || gr_str_eq(f->grain_group_hash, row->grain_group_hash)) &&
           (!f->external || is_external == (f->external > 0));
}

static void check(fixture *f, const gr_preagg_row *all, size_t n_all, gr_preagg_filter filter) {
    int64_t expected[N_ENTITIES * 2];
    size_t n_expected = 0, n;
    for (size_t i = 0; i < n_all; i++)
        if (passes(&all[i], &filter)) expected[n_expected++] = all[i].id;
    gr_preagg_row *rows = found(f, filter, &n);
    assert_int_equal(n, n_expected);
    for (size_t i = 0; i < n; i++) assert_int_equal(rows[i].id, expected[i]);
    /* The same by pages: the total counts all. */
    filter.limit = 7;
    for (filter.offset = 0; filter.offset <= (int64_t)n_expected + 7; filter.offset += 7) {
        int64_t total = -1;
        assert_ok(f, gr_catalog_find(f->catalog, &filter, f->arena, &rows, &n, &total, &f->err));
        assert_int_equal(total, n_expected);
        int64_t left = (int64_t)n_expected - filter.offset;
        assert_int_equal(n, left < 0 ? 0 : left < 7 ? left : 7);
        for (size_t i = 0; i < n; i++) assert_int_equal(rows[i].id, expected[(size_t)filter.offset + i]);
    }
}

static void every_condition(fixture *f) {
    fill(f);
    size_t n;
    gr_preagg_row *all = found(f, (gr_preagg_filter){0}, &n);
    assert_true(n > N_ENTITIES / 2 && n <= 2 * (size_t)N_ENTITIES);
    const gr_str status[] = {GR_STR("ORDERS.status")}, both[] = {GR_STR("users.CREATED.Day"), GR_STR("users.Status")},
                 other[] = {GR_STR("orders.statu")}, total[] = {GR_STR("TOTAL")},
                 two[] = {GR_STR("count"), GR_STR("total")}, none[] = {GR_STR("count"), GR_STR("nothing")};
    const gr_preagg_filter filters[] = {
        {0},
        {.node = GR_STR("orders")},
        {.node = GR_STR("nothing")},
        {.version = GR_STR("v1.0")},
        {.node = GR_STR("orders"), .version = GR_STR("v2.0")},
        {.current_only = true},
        {.node = GR_STR("orders"), .current_only = true},
        {.statuses = 1u << GR_PREAGG_ACTIVE},
        {.statuses = 1u << GR_PREAGG_STALE | 1u << GR_PREAGG_MATERIALIZING},
        {.statuses = 1u << 9},
        {.cube = GR_STR("sales")},
        {.cube = GR_STR("orders")},
        {.cube = GR_STR("nothing")},
        {.grain = status, .n_grain = 1, .has_grain = true},
        {.grain = status, .n_grain = 1, .has_grain = true, .grain_mode = GR_GRAIN_MODE_SUPERSET},
        {.grain = both, .n_grain = 2, .has_grain = true},
        {.grain = other, .n_grain = 1, .has_grain = true, .grain_mode = GR_GRAIN_MODE_SUPERSET},
        {.has_grain = true},
        {.has_grain = true, .grain_mode = GR_GRAIN_MODE_SUPERSET},
        {.measures = total, .n_measures = 1},
        {.measures = two, .n_measures = 2},
        {.measures = none, .n_measures = 2},
        {.grain_group_hash = all[3].grain_group_hash},
        {.external = 1},
        {.external = -1, .statuses = 1u << GR_PREAGG_PENDING},
        {.node = GR_STR("users"),
         .current_only = true,
         .statuses = 1u << GR_PREAGG_PENDING,
         .cube = GR_STR("users"),
         .grain = both,
         .n_grain = 2,
         .has_grain = true,
         .measures = total,
         .n_measures = 1,
         .external = -1},
    };
    for (size_t i = 0; i < N_OF(filters); i++) check(f, all, n, filters[i]);
}

/* A row that is found is the row that is got: with its build, its names and its cubes, on a page or one of all. */
static void rows_are_whole(fixture *f) {
    fill(f);
    size_t n;
    gr_preagg_row *all = found(f, (gr_preagg_filter){0}, &n);
    for (size_t i = 0; i < n; i++) {
        const gr_preagg_row *a = &all[i];
        gr_preagg_row b = got(f, a->id);
        assert_true(gr_str_eq(a->decl.grain_hash, b.decl.grain_hash));
        assert_int_equal(a->status, b.status);
        assert_int_equal(a->has_serving, b.has_serving);
        if (a->has_serving) assert_int_equal(a->serving.id, b.serving.id);
        assert_int_equal(a->n_cubes, b.n_cubes);
        for (size_t j = 0; j < a->n_cubes; j++) assert_true(gr_str_eq(a->cubes[j], b.cubes[j]));
        assert_int_equal(a->decl.n_declared_by, b.decl.n_declared_by);
        assert_int_equal(a->decl.n_components, b.decl.n_components);
    }
}

/* What a snapshot is made from is the same, with less around it. */
static void scanned(fixture *f) {
    fill(f);
    size_t n, n_scanned;
    gr_preagg_row *all = found(f, (gr_preagg_filter){0}, &n), *scan;
    assert_ok(f, gr_catalog_scan(f->catalog, f->arena, &scan, &n_scanned, &f->err));
    assert_int_equal(n_scanned, n);
    size_t n_serving = 0;
    for (size_t i = 0; i < n; i++) {
        const gr_preagg_row *a = &all[i], *b = &scan[i];
        const gr_str pairs[][2] = {{a->decl.node, b->decl.node},
                                   {a->version, b->version},
                                   {a->decl.grain_hash, b->decl.grain_hash},
                                   {a->decl.time_zone, b->decl.time_zone},
                                   {a->decl.definition, b->decl.definition},
                                   {a->decl.external, b->decl.external},
                                   {a->availability, b->availability}};
        for (size_t j = 0; j < N_OF(pairs); j++) assert_true(gr_str_eq(pairs[j][0], pairs[j][1]));
        assert_int_equal(a->id, b->id);
        assert_int_equal(a->status, b->status);
        assert_int_equal(a->materialized_us, b->materialized_us);
        assert_int_equal(a->has_serving, b->has_serving);
        n_serving += b->has_serving;
        if (b->has_serving) assert_int_equal(a->serving.id, b->serving.id);
    }
    assert_true(n_serving > 3);
}

/* More rows than are asked for by id at once. */
static void many_rows(fixture *f) {
    enum { N = 450 };
    static gr_preagg_decl d[N];
    const gr_node_decl node = node_of("orders", "1", "m");
    for (int i = 0; i < N; i++) {
        gr_str grain = gr_arena_printf(f->arena, "g%d", i), name = gr_arena_printf(f->arena, "orders.p%d", i);
        d[i] = decl_of(f->arena, "orders", grain.p, grain.p, "a=1", name.p);
    }
    gr_preagg_row *rows = declared_by(f, f->catalog, &node, 1, d, N, 1);
    int64_t ids[N];
    for (int i = 0; i < N; i++) {
        assert_true(gr_str_eq(rows[i].decl.grain_hash, d[i].grain_hash));
        assert_true(gr_str_eq(rows[i].decl.declared_by[0], d[i].declared_by[0]));
        assert_int_equal(rows[i].n_cubes, 1);
        ids[i] = rows[i].id;
    }
    built(f, ids[3], &d[3], 2);
    built(f, ids[N - 1], &d[N - 1], 2);
    static const int64_t limits[] = {0, 1, 2, 99, 100, 101, 250, 400, 401, 449};
    for (size_t i = 0; i < N_OF(limits); i++) {
        const gr_preagg_filter filter = {.limit = limits[i]};
        size_t n, expected = limits[i] ? (size_t)limits[i] : N;
        rows = found(f, filter, &n);
        assert_int_equal(n, expected);
        for (size_t j = 0; j < n; j++) {
            assert_int_equal(rows[j].id, ids[j]);
            assert_int_equal(rows[j].has_serving, j == 3 || j == N - 1);
            assert_int_equal(rows[j].n_cubes, 1);
            assert_int_equal(rows[j].decl.n_declared_by, 1);
        }
    }
    const gr_preagg_decl twice[] = {d[7], d[440], d[7]}; /* one row for each that was asked for, in that order */
    gr_preagg_row *more;
    assert_ok(f, gr_catalog_add(f->catalog, twice, 3, NULL, at(3), f->arena, &more, NULL, &f->err));
    assert_int_equal(more[0].id, ids[7]);
    assert_int_equal(more[1].id, ids[440]);
    assert_int_equal(more[2].id, ids[7]);
}

SUITE(suite_find, CASE(every_condition), CASE(rows_are_whole), CASE(scanned), CASE(many_rows))
