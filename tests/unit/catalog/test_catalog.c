/* The catalog's rules one by one: what a declaration changes, which steps are refused, what is limited. */
#include "unit/catalog/catalog_fixture.h"

#define HASH_1 GR_STR("0123456789abcdef0123456789abcdef")
#define HASH_2 GR_STR("fedcba9876543210fedcba9876543210")

static void test_names(void **state) {
    (void)state;
    const char *const preagg[] = {"pending", "materializing", "active", "failed", "stale"};
    const char *const build[] = {"running", "done", "failed", "dropped"};
    for (int i = 0; i < 5; i++) assert_str(gr_preagg_status_name((gr_preagg_status)i), preagg[i]);
    for (int i = 0; i < 4; i++) assert_str(gr_build_status_name((gr_build_status)i), build[i]);
    assert_str(gr_preagg_status_name((gr_preagg_status)5), "unknown");
    assert_str(gr_build_status_name((gr_build_status)4), "unknown");
}

static void test_declared_row(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    gr_preagg_row row = declared(f, &d, 1000);
    assert_int_equal(row.id, 1);
    assert_str(row.decl.node, "orders");
    assert_str(row.decl.node_version, "v1.0");
    assert_str(row.decl.grain_hash, grain_a);
    assert_str(row.decl.grain_columns, "[\"orders.status\"]");
    assert_str(row.decl.measures, "[\"orders.count\"]");
    assert_str(row.decl.declared_by, "[\"orders.main\"]");
    assert_str(row.decl.time_zone, "UTC");
    assert_true(gr_str_eq(row.decl.structure_hash, HASH_1));
    assert_str(row.decl.store, "embedded");
    assert_str(row.table_hash, "0123456789abcdef");
    assert_int_equal(row.status, GR_PREAGG_PENDING);
    assert_str(row.error, "");
    assert_int_equal(row.created_us, 1000);
    assert_int_equal(row.updated_us, 1000);
    assert_int_equal(row.materialized_us, 0);
    assert_false(row.has_serving);
}

static void test_short_structure_hash(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    d.structure_hash = GR_STR("abc");
    d.time_zone = (gr_str){0};
    gr_preagg_row row = declared(f, &d, 1000);
    assert_str(row.table_hash, "abc");
    assert_str(row.decl.time_zone, "");
}

static void test_redeclared_is_updated_only_when_new(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1000).id;
    assert_int_equal(declared(f, &d, 2000).updated_us, 1000);

    struct {
        gr_str *field, value;
    } const changes[] = {
        {&d.grain_columns, GR_STR("[\"orders.status\",\"orders.created_at.day\"]")},
        {&d.measures, GR_STR("[\"orders.count\",\"orders.total\"]")},
        {&d.declared_by, GR_STR("users.by \"status\"")},
        {&d.time_zone, GR_STR("Europe/Berlin")},
        {&d.structure_hash, HASH_2},
        {&d.store, GR_STR("source:default")},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        int64_t now = 3000 + (int64_t)i;
        *changes[i].field = changes[i].value;
        gr_preagg_row row = declared(f, &d, now);
        assert_int_equal(row.id, id);
        assert_int_equal(row.updated_us, now);
        assert_int_equal(row.created_us, 1000);
        assert_int_equal(declared(f, &d, 9000).updated_us, now);
    }
    gr_preagg_row row = got(f, id);
    assert_true(gr_str_eq(row.decl.grain_columns, d.grain_columns));
    assert_true(gr_str_eq(row.decl.measures, d.measures));
    assert_str(row.decl.declared_by, "[\"orders.main\",\"users.by \\\"status\\\"\"]");
    assert_str(row.decl.time_zone, "Europe/Berlin");
    assert_true(gr_str_eq(row.decl.structure_hash, HASH_2));
    assert_str(row.table_hash, "fedcba9876543210");
    assert_str(row.decl.store, "source:default");
}

static void test_other_structure_makes_stale_and_back(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1000).id;
    done(f, begun(f, id, HASH_1, 2000), 3000);
    assert_int_equal(declared(f, &d, 4000).status, GR_PREAGG_ACTIVE);
    d.structure_hash = HASH_2;
    gr_preagg_row row = declared(f, &d, 5000);
    assert_int_equal(row.status, GR_PREAGG_STALE);
    assert_true(row.has_serving);
    assert_true(gr_str_eq(row.serving.structure_hash, HASH_1));
    d.structure_hash = HASH_1;
    assert_int_equal(declared(f, &d, 6000).status, GR_PREAGG_ACTIVE);
    d.structure_hash = HASH_2;
    assert_int_equal(declared(f, &d, 7000).status, GR_PREAGG_STALE);
    assert_int_equal(done(f, begun(f, id, HASH_2, 8000), 9000), 1);
    assert_int_equal(got(f, id).status, GR_PREAGG_ACTIVE);
}

static void test_redefined_during_build_ends_stale(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1000).id, build = begun(f, id, HASH_1, 2000);
    d.structure_hash = HASH_2;
    assert_int_equal(declared(f, &d, 3000).status, GR_PREAGG_MATERIALIZING);
    done(f, build, 4000);
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_STALE);
    assert_true(gr_str_eq(row.serving.structure_hash, HASH_1));
}

static void test_new_version_retires_the_old(void **state) {
    fixture *f = *state;
    gr_preagg_decl v1 = decl_of("orders", "v1.0", grain_a), v2 = decl_of("orders", "v2.0", grain_a);
    gr_preagg_decl pending = decl_of("orders", "v1.0", grain_b), other = decl_of("users", "v1.0", grain_a);
    int64_t old = declared(f, &v1, 1000).id, old_pending = declared(f, &pending, 1000).id;
    int64_t users = declared(f, &other, 1000).id;
    done(f, begun(f, old, HASH_1, 2000), 3000);
    done(f, begun(f, users, HASH_1, 2000), 3000);
    gr_preagg_row fresh = declared(f, &v2, 4000);
    assert_int_not_equal(fresh.id, old);
    assert_int_equal(fresh.status, GR_PREAGG_PENDING);
    assert_int_equal(got(f, old).status, GR_PREAGG_STALE);
    assert_int_equal(got(f, old).updated_us, 4000);
    assert_true(got(f, old).has_serving);
    assert_int_equal(got(f, old_pending).status, GR_PREAGG_PENDING);
    assert_int_equal(got(f, users).status, GR_PREAGG_ACTIVE);
    assert_int_equal(declared(f, &v1, 5000).status, GR_PREAGG_ACTIVE);
}

static void test_retire(void **state) {
    fixture *f = *state;
    gr_preagg_decl a = decl_of("orders", "v1.0", grain_a), b = decl_of("orders", "v1.0", grain_b);
    gr_preagg_decl u = decl_of("users", "v1.0", grain_a);
    int64_t ia = declared(f, &a, 1).id, ib = declared(f, &b, 1).id, iu = declared(f, &u, 1).id;
    done(f, begun(f, ia, HASH_1, 2), 3);
    done(f, begun(f, ib, HASH_1, 2), 3);
    int64_t running = begun(f, iu, HASH_1, 2);
    assert_ok(f, gr_catalog_retire(f->catalog, &ia, 1, 4, &f->err));
    assert_int_equal(got(f, ia).status, GR_PREAGG_ACTIVE);
    assert_int_equal(got(f, ib).status, GR_PREAGG_STALE);
    assert_int_equal(got(f, iu).status, GR_PREAGG_MATERIALIZING);
    done(f, running, 5);
    assert_int_equal(got(f, iu).status, GR_PREAGG_STALE);

    b.declared_by = GR_STR("orders.again");
    gr_preagg_row back = declared(f, &b, 6);
    assert_int_equal(back.status, GR_PREAGG_ACTIVE);
    assert_str(back.decl.declared_by, "[\"orders.again\"]");
    const int64_t all[] = {ia, ib, iu};
    assert_ok(f, gr_catalog_retire(f->catalog, all, 3, 7, &f->err));
    assert_int_equal(got(f, ib).status, GR_PREAGG_ACTIVE);
    assert_ok(f, gr_catalog_retire(f->catalog, NULL, 0, 8, &f->err));
    assert_int_equal(got(f, ia).status, GR_PREAGG_STALE);
    assert_int_equal(got(f, ia).updated_us, 8);
    assert_ok(f, gr_catalog_retire(f->catalog, NULL, 0, 9, &f->err));
    assert_int_equal(got(f, ia).updated_us, 8);
    assert_int_equal(gr_catalog_retire(f->catalog, all, 1000001, 9, &f->err), GR_ERR_LIMIT);
}

static void test_texts_are_checked(void **state) {
    fixture *f = *state;
    char *big = calloc(1, (1 << 20) + 1);
    memset(big, ' ', (1 << 20) + 1);
    const gr_str long_name = {big, 1025}, long_list = {big, (1 << 20) + 1};
    gr_preagg_decl d;
    const struct {
        gr_str *field, value;
        gr_status status;
    } cases[] = {
        {&d.node, {0}, GR_ERR_INTERNAL},
        {&d.node, long_name, GR_ERR_LIMIT},
        {&d.node, {"a\0b", 3}, GR_ERR_INTERNAL},
        {&d.node, GR_STR_INIT("\xff"), GR_ERR_INTERNAL},
        {&d.node_version, {0}, GR_ERR_INTERNAL},
        {&d.grain_hash, {0}, GR_ERR_INTERNAL},
        {&d.grain_columns, {0}, GR_ERR_INTERNAL},
        {&d.grain_columns, GR_STR_INIT("not JSON"), GR_ERR_INTERNAL},
        {&d.grain_columns, GR_STR_INIT("{}"), GR_ERR_INTERNAL},
        {&d.measures, GR_STR_INIT("1"), GR_ERR_INTERNAL},
        {&d.measures, long_list, GR_ERR_LIMIT},
        {&d.declared_by, {0}, GR_ERR_INTERNAL},
        {&d.time_zone, long_name, GR_ERR_LIMIT},
        {&d.structure_hash, {0}, GR_ERR_INTERNAL},
        {&d.store, {0}, GR_ERR_INTERNAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gr_preagg_row row = {.id = 77};
        d = decl_of("orders", "v1.0", grain_a);
        *cases[i].field = cases[i].value;
        assert_int_equal(gr_catalog_declare(f->catalog, &d, 1, f->arena, &row, &f->err), cases[i].status);
        assert_int_equal(row.id, 77);
        assert_true(*f->err.message);
    }
    gr_preagg_row *rows;
    size_t n = 77;
    assert_ok(f, gr_catalog_list(f->catalog, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 0);
    free(big);
}

static void test_sql_in_texts_is_text(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("o'); DROP TABLE builds; --", "v'1", grain_a);
    d.declared_by = GR_STR("x', '[]'); --\"\n\xc3\xa9");
    gr_preagg_row row = declared(f, &d, 1);
    assert_str(row.decl.node, "o'); DROP TABLE builds; --");
    assert_str(row.decl.declared_by, "[\"x', '[]'); --\\\"\\n\xc3\xa9\"]");
    assert_str(declared(f, &d, 2).decl.declared_by, "[\"x', '[]'); --\\\"\\n\xc3\xa9\"]");
}

static void test_refused_steps(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id, other = 77, number = 77;
    gr_build_row *old = NULL;
    size_t n = 77;
    gr_error *err = &f->err;
    assert_int_equal(gr_catalog_build_begin(f->catalog, 99, HASH_1, 2, &other, &number, err), GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_drop_builds(f->catalog, 99, 2, f->arena, &old, &n, err), GR_ERR_PREAGG_NOT_FOUND);
    assert_int_equal(gr_catalog_build_begin(f->catalog, id, (gr_str){0}, 2, &other, &number, err), GR_ERR_INTERNAL);
    assert_int_equal(gr_catalog_build_failed(f->catalog, 99, GR_STR("x"), 2, err), GR_ERR_INTERNAL);

    int64_t build = begun(f, id, HASH_1, 2);
    assert_int_equal(gr_catalog_build_begin(f->catalog, id, HASH_1, 3, &other, &number, err), GR_ERR_PREAGG_BUILD);
    assert_non_null(strstr(err->message, "running already"));
    assert_int_equal(gr_catalog_build_table(f->catalog, build, (gr_str){0}, err), GR_ERR_PREAGG_BUILD);
    /* A refused publish leaves the build as it was. */
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("[]"), 3, f->arena, &old, &n, err),
                     GR_ERR_INTERNAL);
    assert_int_equal(got(f, id).status, GR_PREAGG_MATERIALIZING);
    done(f, build, 4);
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), 5, f->arena, &old, &n, err),
                     GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_failed(f->catalog, build, GR_STR("x"), 5, err), GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_table(f->catalog, build, GR_STR("t"), err), GR_ERR_PREAGG_BUILD);
    assert_int_equal(gr_catalog_build_table(f->catalog, build, (gr_str){0}, err), GR_ERR_PREAGG_BUILD);
    assert_int_equal(got(f, id).status, GR_PREAGG_ACTIVE);
    assert_int_equal(n, 77);
    assert_int_equal(other, 77);
    assert_int_equal(number, 77);

    bool is_found = true;
    gr_preagg_row row = {.id = 77};
    assert_ok(f, gr_catalog_get(f->catalog, 99, f->arena, &row, &is_found, err));
    assert_false(is_found);
    assert_int_equal(row.id, 77);
    assert_int_equal(gr_catalog_build_begin(f->catalog, 99, HASH_1, 2, &other, &number, NULL), GR_ERR_PREAGG_NOT_FOUND);
}

static void test_failed_build_keeps_serving(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id;
    done(f, begun(f, id, HASH_1, 2), 3);
    int64_t build = begun(f, id, HASH_1, 4);
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("no such column: x"), 5, &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("told again"), 6, &f->err));
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    assert_str(row.error, "no such column: x");
    assert_int_equal(row.materialized_us, 3);
    assert_true(row.has_serving);
    assert_int_equal(row.serving.number, 1);
    begun(f, id, HASH_1, 7);
    assert_str(got(f, id).error, "");
}

static void test_error_texts(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id;
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
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t build = begun(f, id, HASH_1, 2);
        assert_ok(f, gr_catalog_build_failed(f->catalog, build, cases[i].given, 3, &f->err));
        assert_int_equal(got(f, id).error.n, cases[i].kept);
    }
}

static void test_tables_are_remembered_until_forgotten(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id, build = begun(f, id, HASH_1, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("store.orders_1"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("x"), 3, &f->err));
    gr_build_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_builds(f->catalog, id, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 1);
    assert_str(rows[0].table_name, "store.orders_1");
    assert_ok(f, gr_catalog_build_table(f->catalog, build, (gr_str){0}, &f->err));
    assert_ok(f, gr_catalog_builds(f->catalog, id, f->arena, &rows, &n, &f->err));
    assert_str(rows[0].table_name, "");
    assert_int_equal(rows[0].status, GR_BUILD_FAILED);
}

static void test_history_is_bounded(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id, first = begun(f, id, HASH_1, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, first, GR_STR("left"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, first, GR_STR("x"), 3, &f->err));
    done(f, begun(f, id, HASH_1, 2), 3);
    for (int i = 3; i <= 130; i++)
        assert_ok(f, gr_catalog_build_failed(f->catalog, begun(f, id, HASH_1, i), GR_STR("x"), i, &f->err));
    gr_build_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_builds(f->catalog, id, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 100 + 2); /* and the one with a table, and the one that serves */
    assert_int_equal(rows[0].number, 130);
    assert_int_equal(rows[99].number, 31);
    assert_int_equal(rows[100].number, 2);
    assert_int_equal(rows[101].number, 1);
    assert_int_equal(got(f, id).serving.number, 2);
}

static void test_drop_while_running(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id;
    done(f, begun(f, id, HASH_1, 2), 3);
    int64_t build = begun(f, id, HASH_1, 4);
    gr_build_row *rows;
    size_t n = 0;
    assert_ok(f, gr_catalog_drop_builds(f->catalog, id, 5, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 1);
    assert_int_equal(got(f, id).status, GR_PREAGG_MATERIALIZING);
    assert_false(got(f, id).has_serving);
    assert_int_equal(got(f, id).materialized_us, 0);
    assert_int_equal(done(f, build, 6), 0);
    assert_int_equal(got(f, id).status, GR_PREAGG_ACTIVE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        TEST(test_declared_row),
        TEST(test_short_structure_hash),
        TEST(test_redeclared_is_updated_only_when_new),
        TEST(test_other_structure_makes_stale_and_back),
        TEST(test_redefined_during_build_ends_stale),
        TEST(test_new_version_retires_the_old),
        TEST(test_retire),
        TEST(test_texts_are_checked),
        TEST(test_sql_in_texts_is_text),
        TEST(test_refused_steps),
        TEST(test_failed_build_keeps_serving),
        TEST(test_error_texts),
        TEST(test_tables_are_remembered_until_forgotten),
        TEST(test_history_is_bounded),
        TEST(test_drop_while_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
