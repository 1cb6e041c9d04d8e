/* What goes in and comes out, one text at a time: what is kept, what is refused, what is limited. What the rules do is
 * in tests/conformance/catalog, on both databases. */
#include "unit/catalog/catalog_fixture.h"

static void test_names(void **state) {
    (void)state;
    const char *const preagg[] = {"pending", "materializing", "active", "failed", "stale"};
    const char *const build[] = {"running", "done", "failed", "dropped"};
    const char *const node[] = {"source", "transform", "dimension", "metric", "cube"};
    gr_preagg_status status = GR_PREAGG_STALE;
    for (int i = 0; i < 5; i++) {
        assert_str(gr_preagg_status_name((gr_preagg_status)i), preagg[i]);
        assert_str(gr_node_type_name((gr_node_type)i), node[i]);
        assert_true(gr_preagg_status_from_name(gr_str_from(preagg[i]), &status));
        assert_int_equal(status, i);
    }
    for (int i = 0; i < 4; i++) assert_str(gr_build_status_name((gr_build_status)i), build[i]);
    assert_str(gr_preagg_status_name((gr_preagg_status)5), "unknown");
    assert_str(gr_build_status_name((gr_build_status)4), "unknown");
    assert_str(gr_node_type_name((gr_node_type)5), "unknown");
    status = GR_PREAGG_ACTIVE;
    assert_false(gr_preagg_status_from_name(GR_STR("Pending"), &status));
    assert_int_equal(status, GR_PREAGG_ACTIVE);
}

static gr_preagg_decl full_decl(fixture *f) {
    gr_preagg_decl d =
        decl_of(f->arena, "orders", "g1", "b1", "orders__count=s1 orders__total=s2", "orders.main orders.also");
    d.filters = GR_STR("[{\"member\":\"orders.status\"}]");
    d.definition = GR_STR("{\"d\": 1}");
    d.name = GR_STR("handle");
    d.time_zone = GR_STR("Europe/Berlin");
    return d;
}

static void test_declared_row(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = full_decl(f);
    gr_preagg_row row = declared(f, "c1", &d, 1000);
    const gr_preagg_decl *r = &row.decl;
    assert_int_equal(row.id, 1);
    assert_int_equal(row.node_type, GR_NODE_SOURCE);
    const gr_str *const pairs[][2] = {
        {&d.node, &r->node},
        {&d.grain_hash, &r->grain_hash},
        {&d.grain_columns, &r->grain_columns},
        {&d.filters, &r->filters},
        {&d.base_hash, &r->base_hash},
        {&d.structure_hash, &r->structure_hash},
        {&d.time_zone, &r->time_zone},
        {&d.store, &r->store},
        {&d.sql, &r->sql},
        {&d.columns, &r->columns},
        {&d.definition, &r->definition},
        {&d.name, &r->name},
        {&d.components[0].name, &r->components[0].name},
        {&d.components[1].name, &r->components[1].name},
        {&d.components[1].signature, &r->components[1].signature},
        {&d.components[1].token, &r->components[1].token},
        {&d.components[1].details, &r->components[1].details},
        {&d.declared_by[1], &r->declared_by[0]}, /* sorted */
        {&d.declared_by[0], &r->declared_by[1]},
    };
    for (size_t i = 0; i < N_OF(pairs); i++) {
        assert_true(gr_str_eq(*pairs[i][0], *pairs[i][1]));
        assert_int_equal(pairs[i][1]->p[pairs[i][1]->n], 0);
    }
    assert_int_equal(r->n_components, 2);
    assert_int_equal(r->n_declared_by, 2);
    assert_str(row.version, "v1.0");
    assert_int_equal(row.table_hash.n, 16);
    assert_int_equal(row.grain_group_hash.n, 32);
    assert_int_equal(row.preagg_hash.n, 8);
    assert_int_equal(row.status, GR_PREAGG_PENDING);
    const gr_str empty[] = {row.error,           row.strategy,     row.schedule, row.lookback_window,
                            row.workflow_status, row.availability, r->external};
    for (size_t i = 0; i < N_OF(empty); i++) assert_int_equal(empty[i].n, 0);
    assert_int_equal(row.n_cubes, 1);
    assert_str(row.cubes[0], "orders");
    assert_int_equal(row.created_us, 1000);
    assert_int_equal(row.updated_us, 1000);
    assert_int_equal(row.materialized_us + row.hits + row.served_us, 0);
    assert_true(row.is_current);
    assert_false(row.has_serving);
}

static void test_what_may_be_left_out(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = {.node = GR_STR("orders"),
                        .grain_hash = GR_STR("g1"),
                        .grain_columns = GR_STR("[]"),
                        .base_hash = GR_STR("b1"),
                        .structure_hash = GR_STR("abc"),
                        .store = GR_STR("embedded")};
    gr_preagg_row row = declared(f, "c1", &d, 1000);
    assert_str(row.decl.filters, "[]");
    assert_str(row.decl.columns, "[]");
    assert_str(row.decl.time_zone, "");
    assert_str(row.decl.definition, "");
    assert_str(row.table_hash, "abc");
    assert_int_equal(row.decl.n_components, 0);
    assert_int_equal(row.decl.n_declared_by, 0);
    assert_int_equal(row.n_cubes, 0);
    assert_int_equal(declared(f, "c1", &d, 2000).updated_us, 1000);
}

static size_t history_rows(fixture *f) {
    const gr_history_filter all = {.limit = 100000};
    gr_history_row *rows;
    size_t n = 0;
    assert_ok(f, gr_catalog_history(f->catalog, &all, f->arena, &rows, &n, &f->err));
    return n;
}

static void test_updated_only_when_new(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = full_decl(f), other = full_decl(f);
    int64_t id = declared(f, "c1", &d, 1000).id;
    struct {
        gr_str *field, value;
    } const changes[] = {
        {&d.grain_columns, GR_STR("[\"orders.status\",\"orders.created_at.day\"]")},
        {&d.filters, GR_STR("[]")},
        {&d.time_zone, GR_STR("UTC")},
        {&d.structure_hash, GR_STR("fedcba9876543210fedcba9876543210")},
        {&d.store, GR_STR("source:default")},
        {&d.sql, GR_STR("SELECT 2")},
        {&d.columns, GR_STR("[]")},
        {&d.definition, GR_STR("{}")},
        {&d.name, GR_STR("other")},
        {&d.components[0].details, GR_STR("{}")},
        {&d.components[0].token, GR_STR("t")},
    };
    for (size_t i = 0; i < N_OF(changes); i++) {
        int64_t now = 3000 + (int64_t)i;
        *changes[i].field = changes[i].value;
        gr_preagg_row row = declared(f, "c1", &d, now);
        assert_int_equal(row.id, id);
        assert_int_equal(row.updated_us, now);
        assert_int_equal(row.created_us, 1000);
        size_t n = history_rows(f);
        assert_int_equal(declared(f, "c1", &d, 9000).updated_us, now);
        assert_int_equal(history_rows(f), n);
    }
    gr_preagg_row row = got(f, id);
    assert_true(gr_str_eq(row.decl.grain_columns, d.grain_columns));
    assert_str(row.table_hash, "fedcba9876543210");
    assert_str(row.decl.components[0].token, "t");
    /* Left out: what is there stays. */
    d.definition = d.name = (gr_str){0};
    row = declared(f, "c1", &d, 9000);
    assert_str(row.decl.definition, "{}");
    assert_str(row.decl.name, "other");
    assert_int_equal(row.updated_us, 3010);
    assert_true(gr_str_eq(declared(f, "c1", &other, 9500).decl.definition, other.definition));
}

static void test_texts_are_checked(void **state) {
    fixture *f = *state;
    char *big = calloc(1, (1 << 20) + 1);
    memset(big, ' ', (1 << 20) + 1);
    const gr_str long_name = {big, 1025}, long_list = {big, (1 << 20) + 1};
    gr_preagg_decl d;
    gr_component_decl component;
    gr_str name;
    const struct {
        gr_str *field, value;
        gr_status status;
    } cases[] = {
        {&d.node, {0}, GR_ERR_INTERNAL},
        {&d.node, long_name, GR_ERR_LIMIT},
        {&d.node, {"a\0b", 3}, GR_ERR_INTERNAL},
        {&d.node, GR_STR_INIT("\xff"), GR_ERR_INTERNAL},
        {&d.node, GR_STR_INIT("users"), GR_ERR_NODE_NOT_FOUND},
        {&d.grain_hash, {0}, GR_ERR_INTERNAL},
        {&d.grain_columns, {0}, GR_ERR_INTERNAL},
        {&d.grain_columns, GR_STR_INIT("not JSON"), GR_ERR_INTERNAL},
        {&d.grain_columns, GR_STR_INIT("{}"), GR_ERR_INTERNAL},
        {&d.grain_columns, GR_STR_INIT("[1]"), GR_ERR_INTERNAL},
        {&d.grain_columns, long_list, GR_ERR_LIMIT},
        {&d.filters, GR_STR_INIT("{}"), GR_ERR_INTERNAL},
        {&d.columns, GR_STR_INIT("1"), GR_ERR_INTERNAL},
        {&d.definition, GR_STR_INIT("[]"), GR_ERR_INTERNAL},
        {&d.external, GR_STR_INIT("\"t\""), GR_ERR_INTERNAL},
        {&d.sql, long_list, GR_ERR_LIMIT},
        {&d.name, long_name, GR_ERR_LIMIT},
        {&d.time_zone, long_name, GR_ERR_LIMIT},
        {&d.base_hash, {0}, GR_ERR_INTERNAL},
        {&d.structure_hash, {0}, GR_ERR_INTERNAL},
        {&d.store, {0}, GR_ERR_INTERNAL},
        {&component.name, {0}, GR_ERR_INTERNAL},
        {&component.name, long_name, GR_ERR_LIMIT},
        {&component.name, GR_STR_INIT("orders__total"), GR_ERR_INTERNAL}, /* twice */
        {&component.signature, {0}, GR_ERR_INTERNAL},
        {&component.token, GR_STR_INIT("\xff"), GR_ERR_INTERNAL},
        {&component.details, GR_STR_INIT("[]"), GR_ERR_INTERNAL},
        {&component.details, long_list, GR_ERR_LIMIT},
        {&name, {0}, GR_ERR_INTERNAL},
        {&name, long_name, GR_ERR_LIMIT},
    };
    gr_node_decl node = node_of("orders", "c1", "m");
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_preagg_row *rows = NULL;
        d = full_decl(f);
        component = d.components[0];
        name = d.declared_by[0];
        *cases[i].field = cases[i].value;
        d.components[0] = component;
        d.declared_by[0] = name;
        const gr_model_decl model = {&node, 1, &d, 1};
        assert_int_equal(gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, &rows, &f->err),
                         cases[i].status);
        assert_null(rows);
        assert_true(*f->err.message);
    }
    size_t n = 77;
    found(f, (gr_preagg_filter){0}, &n);
    assert_int_equal(n, 0);
    assert_int_equal(history_rows(f), 0); /* nor was the node kept */
    free(big);
}

static void test_nodes_are_checked(void **state) {
    fixture *f = *state;
    gr_node_decl good = node_of("orders", "c1", ""), d;
    const struct {
        gr_str *field, value;
    } cases[] = {
        {&d.name, {0}},
        {&d.content_hash, {0}},
        {&d.description, GR_STR_INIT("\xff")},
        {&d.mode, GR_STR_INIT("other")},
        {&d.status, GR_STR_INIT("other")},
        {&d.definition, GR_STR_INIT("[]")},
    };
    gr_node_row *nodes = NULL;
    for (size_t i = 0; i <= N_OF(cases) + 1; i++) {
        d = good;
        if (i < N_OF(cases)) *cases[i].field = cases[i].value;
        if (i == N_OF(cases)) d.type = GR_NODE_CUBE; /* those are made by API */
        if (i == N_OF(cases) + 1) d.type = (gr_node_type)9;
        const gr_model_decl model = {&d, 1, NULL, 0};
        assert_int_equal(gr_catalog_declare(f->catalog, &model, at(1), f->arena, &nodes, NULL, &f->err),
                         GR_ERR_INTERNAL);
    }
    const gr_node_decl twice[] = {good, good};
    const gr_model_decl model = {twice, 2, NULL, 0};
    assert_int_equal(gr_catalog_declare(f->catalog, &model, at(1), f->arena, &nodes, NULL, &f->err), GR_ERR_INTERNAL);
    assert_null(nodes);
}

static void test_sql_in_texts_is_text(void **state) {
    fixture *f = *state;
    const char *const name = "x', '[]'); --\"\n\xc3\xa9";
    gr_preagg_decl d = decl_of(f->arena, "o'); DROP TABLE builds; --", "g'1", "b$1", "c?1=s%s", "");
    gr_str names[] = {gr_str_from(name)};
    d.declared_by = names;
    d.n_declared_by = 1;
    d.grain_columns = GR_STR("[\"o\"]");
    gr_preagg_row row = declared(f, "c", &d, 1);
    assert_str(row.decl.node, "o'); DROP TABLE builds; --");
    assert_str(row.decl.declared_by[0], name);
    assert_str(row.decl.components[0].name, "c?1");
    size_t n;
    assert_int_equal(found(f, (gr_preagg_filter){.node = d.node, .cube = d.node}, &n) != NULL, 1);
    assert_int_equal(n, 0); /* the name before the dot is no node */
    found(f, (gr_preagg_filter){.node = d.node, .measures = &row.decl.components[0].name, .n_measures = 1}, &n);
    assert_int_equal(n, 1);
}

static void test_terms_are_folded(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of(f->arena, "orders", "g", "b", "Sum\xc3\x84=s", "");
    declared(f, "c", &d, 1);
    const gr_str measures[] = {GR_STR("sUM\xc3\xa4"), GR_STR("SUM\xc3\x84"), GR_STR("orders.g")};
    const gr_str grain[] = {GR_STR("ORDERS.STATUS"), GR_STR("orders.G"), GR_STR("orders.status")};
    size_t n;
    found(f, (gr_preagg_filter){.measures = measures, .n_measures = 2}, &n);
    assert_int_equal(n, 1);
    found(f, (gr_preagg_filter){.measures = measures, .n_measures = 3}, &n);
    assert_int_equal(n, 0);
    found(f, (gr_preagg_filter){.grain = grain, .n_grain = 3, .has_grain = true}, &n);
    assert_int_equal(n, 1);
    gr_str many[201];
    for (size_t i = 0; i < N_OF(many); i++) many[i] = GR_STR("orders.g");
    gr_preagg_row *rows = NULL;
    const gr_preagg_filter filter = {.grain = many, .n_grain = N_OF(many), .has_grain = true};
    assert_int_equal(gr_catalog_find(f->catalog, &filter, f->arena, &rows, &n, NULL, &f->err), GR_ERR_LIMIT);
    assert_null(rows);
}

static void test_refused_steps(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = full_decl(f);
    int64_t id = declared(f, "c1", &d, 1).id, other = 77;
    gr_doomed_table *old = NULL;
    size_t n = 77;
    gr_error *err = &f->err;
    gr_preagg_row row = {.id = 77};
    bool is_found = true;
    const gr_preagg_config config = {.strategy = GR_STR("full")};
    gr_preagg_decl bad = d;
    bad.base_hash = (gr_str){0};
    assert_int_equal(try_begin(f, f->catalog, 99, &d, 2, &other), GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_drop_builds(f->catalog, 99, at(2), f->arena, &old, &n, err), GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_remove(f->catalog, 99, at(2), f->arena, &old, &n, err), GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_configure(f->catalog, 99, &config, at(2), f->arena, &row, err),
                     GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_workflow_clear(f->catalog, 99, at(2), &is_found, err), GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_availability(f->catalog, 99, GR_STR("{}"), at(2), f->arena, &row, err),
                     GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_availability(f->catalog, id, GR_STR("{}"), at(2), f->arena, &row, err),
                     GR_ERR_PREAGG_NOT_EXTERNAL);
    assert_int_equal(gr_catalog_availability(f->catalog, id, GR_STR("[]"), at(2), f->arena, &row, err),
                     GR_ERR_INTERNAL);
    assert_int_equal(try_begin(f, f->catalog, id, &bad, 2, &other), GR_ERR_INTERNAL);
    assert_int_equal(gr_catalog_build_failed(f->catalog, 99, GR_STR("x"), at(2), err), GR_ERR_INTERNAL);
    assert_int_equal(gr_catalog_build_progress(f->catalog, 99, 0.5, err), GR_ERR_INTERNAL);

    int64_t build = begun(f, id, &d, 2);
    assert_int_equal(try_begin(f, f->catalog, id, &d, 3, &other), GR_ERR_PREAGG_MATERIALIZING);
    assert_non_null(strstr(err->message, "running already"));
    assert_int_equal(gr_catalog_build_table(f->catalog, build, (gr_str){0}, err), GR_ERR_PREAGG_BUILD);
    /* A refused publish leaves the build as it was. */
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("[]"), at(3), f->arena, &old, &n, err),
                     GR_ERR_INTERNAL);
    assert_status(f, id, "materializing");
    done(f, build, 4);
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), at(5), f->arena, &old, &n, err),
                     GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_failed(f->catalog, build, GR_STR("x"), at(5), err), GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_table(f->catalog, build, GR_STR("t"), err), GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_table(f->catalog, build, (gr_str){0}, err), GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_progress(f->catalog, build, 0.5, err), GR_ERR_PREAGG_BUILD);
    assert_status(f, id, "active");
    assert_int_equal(n, 77);
    assert_int_equal(other, 77);
    assert_int_equal(row.id, 77);
    assert_null(old);
    assert_ok(f, gr_catalog_get(f->catalog, 99, f->arena, &row, &is_found, err));
    assert_false(is_found);
    assert_int_equal(row.id, 77);
    assert_int_equal(gr_catalog_configure(f->catalog, 99, &config, at(2), f->arena, &row, NULL),
                     GR_ERR_PREAGG_NOT_FOUND);
}

static void test_error_texts(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = full_decl(f);
    int64_t id = declared(f, "c1", &d, 1).id;
    char text[5000];
    memset(text, 'x', sizeof text);
    memcpy(text + 4095, "\xc3\xa9", 2); /* the limit falls between the two bytes */
    const struct {
        gr_str given;
        size_t kept;
    } cases[] = {
        {{text, sizeof text}, 4095},
        {{text, 4095}, 4095},
        {{text, 10}, 10},
        {{0}, sizeof "the build failed without a message" - 1},
        {GR_STR_INIT("\xff"), sizeof "the build failed; its message is not UTF-8 text" - 1},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        int64_t build = begun(f, id, &d, 2);
        assert_str(got(f, id).error, "");
        assert_ok(f, gr_catalog_build_failed(f->catalog, build, cases[i].given, at(3), &f->err));
        assert_int_equal(got(f, id).error.n, cases[i].kept);
    }
}

static void test_builds_are_bounded(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = full_decl(f);
    int64_t id = declared(f, "c1", &d, 1).id, first = begun(f, id, &d, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, first, GR_STR("left"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, first, GR_STR("x"), at(3), &f->err));
    built(f, id, &d, 3);
    for (int i = 3; i <= 130; i++)
        assert_ok(f, gr_catalog_build_failed(f->catalog, begun(f, id, &d, i), GR_STR("x"), at(i), &f->err));
    gr_build_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_builds(f->catalog, id, 0, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 100 + 2); /* and the one with a table, and the one that serves */
    assert_int_equal(rows[0].number, 130);
    assert_int_equal(rows[99].number, 31);
    assert_int_equal(rows[100].number, 2);
    assert_int_equal(rows[101].number, 1);
    assert_int_equal(got(f, id).serving.number, 2);
    assert_ok(f, gr_catalog_builds(f->catalog, id, 3, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 3);
    assert_int_equal(rows[2].number, 128);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     TEST(test_declared_row),       TEST(test_what_may_be_left_out),
        TEST(test_updated_only_when_new), TEST(test_texts_are_checked),  TEST(test_nodes_are_checked),
        TEST(test_sql_in_texts_is_text),  TEST(test_terms_are_folded),   TEST(test_refused_steps),
        TEST(test_error_texts),           TEST(test_builds_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
