/* Lineage: the closure around nodes, the order of what comes out, its text, and what model and catalog put in. */
#include "serve/lineage.h"

#include "unit/serve/serve_shop.h"

/* ---- the graph -----------------------------------------------------------------------------------------------------
 */

/* a -> b -> d, a -> c -> d, x -> c; made in this order or backwards, with an edge twice. */
static gr_lineage_draft diamond(bool is_backwards, gr_arena *arena) {
    static const char *const names[] = {"a", "b", "c", "d", "x"};
    static const char *const edges[] = {"ab", "bd", "ac", "cd", "xc", "ab"};
    gr_lineage_draft d;
    gr_lineage_draft_init(&d, arena);
    for (size_t i = 0; i < COUNT(names); i++) {
        gr_str name = gr_str_from(names[is_backwards ? COUNT(names) - 1 - i : i]);
        gr_lineage_draft_put(&d, GR_LINEAGE_MEMBER, name, name, GR_STR("m"));
    }
    for (size_t i = 0; i < COUNT(edges); i++) {
        const char *e = edges[is_backwards ? COUNT(edges) - 1 - i : i];
        size_t from = gr_lineage_draft_find(&d, GR_LINEAGE_MEMBER, (gr_str){e, 1});
        gr_lineage_draft_link(&d, from, gr_lineage_draft_find(&d, GR_LINEAGE_MEMBER, (gr_str){e + 1, 1}));
    }
    return d;
}

/* "a b c; a>b a>c" of labels. */
static gr_str words(const gr_lineage *l, gr_arena *arena) {
    gr_str out = {0};
    for (size_t i = 0; i < l->n_nodes; i++)
        out = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(out), i ? " " : "", GR_ARG(l->nodes[i].label));
    out = gr_arena_printf(arena, GR_FMT ";", GR_ARG(out));
    for (size_t i = 0; i < l->n_edges; i++)
        out = gr_arena_printf(arena, GR_FMT " " GR_FMT ">" GR_FMT, GR_ARG(out),
                              GR_ARG(l->nodes[l->edges[i].from].label), GR_ARG(l->nodes[l->edges[i].to].label));
    return out;
}

static void closure(void **state) {
    (void)state;
    static const struct {
        const char *starts, *wanted;
    } rows[] = {
        {"", "a b c d x; a>b a>c b>d c>d x>c"},
        {"a", "a b c d; a>b a>c b>d c>d"},
        {"b", "a b d; a>b b>d"},
        {"c", "a c d x; a>c c>d x>c"},
        {"d", "a b c d x; a>b a>c b>d c>d x>c"},
        {"x", "c d x; c>d x>c"},
        {"xb", "a b c d x; a>b a>c b>d c>d x>c"},
        {"bb", "a b d; a>b b>d"},
    };
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_lineage_draft d = diamond(i % 2, arena);
        size_t starts[4], n = strlen(rows[i / 2].starts);
        for (size_t k = 0; k < n; k++)
            starts[k] = gr_lineage_draft_find(&d, GR_LINEAGE_MEMBER, (gr_str){rows[i / 2].starts + k, 1});
        gr_lineage l = gr_lineage_draft_around(&d, starts, n, arena);
        gr_str got = words(&l, arena);
        if (!gr_str_eq_z(got, rows[i / 2].wanted))
            fail_msg("'%s': '" GR_FMT "' is not '%s'", rows[i / 2].starts, GR_ARG(got), rows[i / 2].wanted);
        gr_arena_free(arena);
    }
}

static void nodes_are_one_by_kind_and_name(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_lineage_draft d;
    gr_lineage_draft_init(&d, arena);
    size_t table = gr_lineage_draft_put(&d, GR_LINEAGE_TABLE, GR_STR("t"), GR_STR("t"), GR_STR("default"));
    size_t cube = gr_lineage_draft_put(&d, GR_LINEAGE_CUBE, GR_STR("t"), GR_STR("t"), (gr_str){0});
    assert_int_not_equal(table, cube);
    assert_int_equal(gr_lineage_draft_put(&d, GR_LINEAGE_TABLE, GR_STR("t"), GR_STR("t"), GR_STR("default")), table);
    assert_int_equal(gr_lineage_draft_find_id(&d, GR_STR("cube:t")), cube);
    assert_int_equal(gr_lineage_draft_find(&d, GR_LINEAGE_METRIC, GR_STR("t")), SIZE_MAX);
    gr_lineage_draft_link(&d, table, table); /* neither to itself nor to nothing */
    gr_lineage_draft_link(&d, table, SIZE_MAX);
    gr_lineage l = gr_lineage_draft_around(&d, NULL, 0, arena);
    assert_int_equal(l.n_edges, 0);
    assert_int_equal(l.n_nodes, 2);
    assert_int_equal(l.nodes[0].kind, GR_LINEAGE_TABLE);
    assert_true(gr_str_eq_z(l.nodes[0].id, "table:t"));
    assert_true(gr_str_eq_z(l.nodes[0].detail, "default"));
    gr_arena_free(arena);
}

static void nothing_at_all(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_lineage_draft d;
    gr_lineage_draft_init(&d, arena);
    gr_lineage l = gr_lineage_draft_around(&d, NULL, 0, arena);
    assert_int_equal(l.n_nodes + l.n_edges, 0);
    assert_true(gr_str_eq_z(gr_serve_lineage_dot(&l, arena), "digraph lineage {\n  rankdir=LR;\n}\n"));
    gr_arena_free(arena);
}

static void graphviz(void **state) {
    (void)state;
    gr_lineage_node nodes[] = {
        {GR_LINEAGE_TABLE, GR_STR("table:\"a"), GR_STR("say \"a\\b\"\n"), (gr_str){0}},
        {GR_LINEAGE_PREAGG, GR_STR("pre_aggregation:1"), GR_STR("orders.main"), GR_STR("active, v1.0")},
        {GR_LINEAGE_COMPONENT, GR_STR("component:1.x"), GR_STR("x"), GR_STR("\\\\\\\"\"\"")},
    };
    gr_lineage_edge edges[] = {{0, 1}, {0, 2}};
    gr_lineage l = {nodes, COUNT(nodes), edges, COUNT(edges)};
    gr_arena *arena = gr_arena_new();
    gr_str got = gr_serve_lineage_dot(&l, arena);
    static const char wanted[] =
        "digraph lineage {\n  rankdir=LR;\n"
        "  \"table:\\\"a\" [label=\"say \\\"a\\\\b\\\" \", shape=cylinder];\n"
        "  \"pre_aggregation:1\" [label=\"orders.main\\nactive, v1.0\", shape=box3d];\n"
        "  \"component:1.x\" [label=\"x\\n\\\\\\\\\\\\\\\"\\\"\\\"\", shape=component];\n"
        "  \"table:\\\"a\" -> \"pre_aggregation:1\";\n  \"table:\\\"a\" -> \"component:1.x\";\n}\n";
    if (!gr_str_eq_z(got, wanted)) fail_msg(GR_FMT "is not\n%s", GR_ARG(got), wanted);
    gr_arena_free(arena);
}

static void kinds_have_names(void **state) {
    (void)state;
    for (int a = GR_LINEAGE_TABLE; a <= GR_LINEAGE_METRIC; a++)
        for (int b = GR_LINEAGE_TABLE; b <= GR_LINEAGE_METRIC; b++)
            assert_int_equal(gr_str_eq(gr_lineage_kind_name(a), gr_lineage_kind_name(b)), a == b);
    assert_true(gr_str_eq_z(gr_lineage_kind_name(GR_LINEAGE_PREAGG), "pre_aggregation"));
}

/* ---- model and catalog ---------------------------------------------------------------------------------------------
 */

/* "from > to" for every edge into (or out of) the node, by their ids, in order. */
static gr_str ends_of(const gr_lineage *l, const char *id, bool is_out, gr_arena *arena) {
    gr_str out = {0};
    for (size_t i = 0; i < l->n_edges; i++) {
        const gr_lineage_node *a = &l->nodes[l->edges[i].from], *b = &l->nodes[l->edges[i].to];
        if (gr_str_eq_z((is_out ? a : b)->id, id))
            out =
                gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(out), out.n ? " " : "", GR_ARG((is_out ? b : a)->id));
    }
    return out;
}

static void expect_ends(const gr_lineage *l, const char *id, bool is_out, const char *wanted, gr_arena *arena) {
    gr_str got = ends_of(l, id, is_out, arena);
    if (!gr_str_eq_z(got, wanted))
        fail_msg("%s %s: '" GR_FMT "' is not '%s'", id, is_out ? "gives" : "comes from", GR_ARG(got), wanted);
}

static void model(void **state) {
    (void)state;
    static const struct {
        const char *id, *comes_from;
    } rows[] = {
        {"column:shop.fact_sales.amount", "table:shop.fact_sales"},
        {"member:orders.count", "table:shop.fact_sales"}, /* reads no column */
        {"member:orders.revenue", "column:shop.fact_sales.amount"},
        {"member:orders.day", "column:shop.fact_sales.date_id"},
        {"member:orders.is_done", "member:orders.status"},
        {"member:orders.ratio", "member:orders.count member:orders.revenue"},
        {"member:orders.spread", "column:shop.fact_sales.fee"}, /* through measures that stand in no list */
        {"member:orders.done", "column:shop.fact_sales.order_status"},
        {"member:ov.status", "member:orders.status"},
        {"member:users.country", "column:sql of users.country"},
        {"table:sql of users", "table:people"},
        {"table:people", ""},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    gr_lineage_draft d;
    gr_lineage_draft_init(&d, arena);
    gr_lineage_draft_add_model(&d, &s);
    gr_lineage l = gr_lineage_draft_around(&d, NULL, 0, arena);
    for (size_t i = 0; i < COUNT(rows); i++) expect_ends(&l, rows[i].id, false, rows[i].comes_from, arena);
    for (size_t i = 0; i < l.n_nodes; i++) { /* measures that stand in no list are no nodes */
        const gr_member *m;
        if (l.nodes[i].kind != GR_LINEAGE_MEMBER) continue;
        assert_int_equal(gr_model_member(s.model, l.nodes[i].label, &m, NULL), GR_OK);
        assert_true(gr_str_eq_z(l.nodes[i].detail, m->kind == GR_MEMBER_MEASURE     ? "measure"
                                                   : m->kind == GR_MEMBER_DIMENSION ? "dimension"
                                                                                    : "segment"));
    }
    expect_ends(&l, "column:shop.fact_sales.amount", true, "member:orders.big member:orders.revenue member:orders.week",
                arena);
    shop_free(&s, arena);
}

/* The rollup "orders.main", as a row of the catalog and what the views show of it. */
static gr_entity_view main_view(gr_component_decl *components, gr_str *cubes, gr_str *metrics) {
    components[0] =
        (gr_component_decl){.name = GR_STR("orders__count"),
                            .details = GR_STR("{\"measure\": \"orders.count\", \"aggregation\": \"COUNT\"}")};
    components[1] =
        (gr_component_decl){.name = GR_STR("orders__revenue"),
                            .details = GR_STR("{\"measure\": \"orders.revenue\", \"aggregation\": \"SUM\"}")};
    cubes[0] = GR_STR("orders");
    cubes[1] = GR_STR("sales");
    metrics[0] = GR_STR("orders.count");
    return (gr_entity_view){
        .row = {.id = 12,
                .version = GR_STR("v1.0"),
                .status = GR_PREAGG_ACTIVE,
                .cubes = cubes,
                .n_cubes = 2,
                .decl = {.node = GR_STR("orders"),
                         .grain_columns =
                             GR_STR("[\"orders.created_at.day\", \"orders.status\", \"orders.users.country\"]"),
                         .components = components,
                         .n_components = 2}},
        .name = GR_STR("orders.main"),
        .metrics = metrics,
        .n_metrics = 1};
}

static bool has_node(const gr_lineage *l, const char *id) {
    for (size_t i = 0; i < l->n_nodes; i++)
        if (gr_str_eq_z(l->nodes[i].id, id)) return true;
    return false;
}

static gr_lineage with_main(gr_snapshot *s, bool is_in_service, gr_arena *arena) {
    static gr_component_decl components[2];
    static gr_str cubes[2], metrics[1];
    gr_entity_view view = main_view(components, cubes, metrics);
    gr_node_row sales = {.version = GR_STR("v2.1"),
                         .decl = {.name = GR_STR("sales"),
                                  .type = GR_NODE_CUBE,
                                  .definition = GR_STR("{\"metrics\": [\"orders.ratio\", \"gone.x\"], \"dimensions\": "
                                                       "[\"orders.created_at.day\", \"orders.users.name\", 7]}")}};
    gr_lineage_draft d;
    gr_lineage_draft_init(&d, arena);
    gr_lineage_draft_add_model(&d, s);
    gr_lineage_draft_add_cube(&d, s->model, &sales);
    const gr_rollup *rollup = is_in_service ? gr_plan_index_rollup(s->index, s->model->preaggs[0]) : NULL;
    gr_lineage_draft_add_entity(&d, s->model, &view, rollup);
    size_t start = gr_lineage_draft_find(&d, GR_LINEAGE_PREAGG, GR_STR("12"));
    assert_int_not_equal(start, SIZE_MAX);
    gr_lineage all = gr_lineage_draft_around(&d, NULL, 0, arena), mine = gr_lineage_draft_around(&d, &start, 1, arena);
    assert_true(has_node(&mine, "metric:orders.count"));
    assert_true(has_node(&all, "member:fact_visits.number")); /* visits have nothing to do with it */
    assert_false(has_node(&mine, "member:fact_visits.number"));
    return all;
}

static void entity(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    gr_lineage l = with_main(&s, true, arena);
    /* What its join compares, its grain, its components. */
    expect_ends(&l, "pre_aggregation:12", false,
                "table:sql of users column:shop.fact_sales.user_id member:orders.status member:users.country "
                "component:12.orders__count component:12.orders__revenue",
                arena);
    expect_ends(&l, "pre_aggregation:12", true, "cube:sales metric:orders.count", arena);
    /* All that are stored as such: a ratio, and the sum that a window reads, too. */
    expect_ends(&l, "component:12.orders__revenue", false, "member:orders.revenue member:orders.week", arena);
    expect_ends(&l, "cube:sales", false,
                "member:orders.created_at member:orders.ratio member:users.name pre_aggregation:12", arena);
    for (size_t i = 0; i < l.n_nodes; i++) {
        if (l.nodes[i].kind == GR_LINEAGE_PREAGG) assert_true(gr_str_eq_z(l.nodes[i].detail, "active, v1.0"));
        if (l.nodes[i].kind == GR_LINEAGE_PREAGG) assert_true(gr_str_eq_z(l.nodes[i].label, "orders.main"));
        if (l.nodes[i].kind == GR_LINEAGE_CUBE) assert_true(gr_str_eq_z(l.nodes[i].detail, "valid, v2.1"));
    }
    shop_free(&s, arena);
}

/* Of an earlier version there is what was written down. */
static void entity_out_of_service(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    gr_lineage l = with_main(&s, false, arena);
    expect_ends(&l, "pre_aggregation:12", false,
                "member:orders.created_at member:orders.status member:users.country component:12.orders__count "
                "component:12.orders__revenue",
                arena);
    expect_ends(&l, "component:12.orders__revenue", false, "member:orders.revenue", arena);
    shop_free(&s, arena);
}

/* Without grain and components it is made of its table alone. */
static void entity_of_a_table(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    gr_lineage_draft d;
    gr_lineage_draft_init(&d, arena);
    gr_lineage_draft_add_model(&d, &s);
    gr_entity_view view = {.row = {.id = 3, .decl = {.node = GR_STR("orders"), .grain_columns = GR_STR("[]")}}};
    gr_lineage_draft_add_entity(&d, s.model, &view, NULL);
    gr_lineage l = gr_lineage_draft_around(&d, NULL, 0, arena);
    expect_ends(&l, "pre_aggregation:3", false, "table:shop.fact_sales", arena);
    shop_free(&s, arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closure),
        cmocka_unit_test(nodes_are_one_by_kind_and_name),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(graphviz),
        cmocka_unit_test(kinds_have_names),
        cmocka_unit_test(model),
        cmocka_unit_test(entity),
        cmocka_unit_test(entity_out_of_service),
        cmocka_unit_test(entity_of_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
