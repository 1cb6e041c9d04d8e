/* Sub query dimensions (cube.md 5.9): what is loaded, and where they cannot be. */
#include "unit/model/model_fixture.h"

/* The dimension under test stands on line 7; what follows are members and cubes behind it. */
#define MODEL(dimension, rest)                                                                                         \
    "cubes:\n"                                                                                                         \
    "  - name: users\n"                                                                                                \
    "    sql_table: u\n"                                                                                               \
    "    joins: [{name: orders, relationship: one_to_many, sql: \"{CUBE}.id = {orders}.u\"}]\n"                        \
    "    dimensions:\n"                                                                                                \
    "      - {name: id, sql: id, type: number, primary_key: true}\n"                                                   \
    "      - {name: x, " dimension "}\n" rest "  - name: orders\n"                                                     \
    "    sql_table: o\n"                                                                                               \
    "    joins: [{name: items, relationship: one_to_many, sql: \"{CUBE}.id = {items}.o\"}]\n"                          \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: status, sql: s, type: string}]\n"   \
    "    measures: [{name: count, type: count}, {name: last, type: time, sql: \"max({CUBE}.at)\"}]\n"                  \
    "  - name: items\n"                                                                                                \
    "    sql_table: i\n"                                                                                               \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}]\n"                                         \
    "    measures: [{name: count, type: count}]\n"                                                                     \
    "  - {name: alone, sql_table: a, measures: [{name: count, type: count}]}\n"
#define X(sql) MODEL("type: number, sub_query: true, sql: \"" sql "\"", "")

static void test_loaded(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *measure;
        size_t n_path;
        bool propagates;
    } rows[] = {
        {X("{orders.count}"), "orders.count", 1, false},
        {X(" {orders.count}  "), "orders.count", 1, false},
        {X("{CUBE.orders.items.count}"), "items.count", 3, false},
        {X("{items.count}"), "items.count", 1, false},
        {MODEL("type: number, subQuery: \"true\", sql: \"{orders.count}\", propagateFiltersToSubQuery: true", ""),
         "orders.count", 1, true},
        {MODEL("type: time, sub_query: true, sql: \"{orders.last}\", granularities: [{name: fy, interval: 1 year, "
               "offset: 1 month}]",
               "      - {name: y, type: number, sql: \"{x.fy}\"}\n"
               "    measures: [{name: m, type: max, sql: \"{x}\"}]\n"
               "    pre_aggregations: [{name: r, dimensions: [x], measures: [m]}]\n"),
         "orders.last", 1, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        assert_int_equal(diags.list.n, 0);
        const gr_member *m = member("users.x");
        assert_true(m->is_sub_query);
        assert_int_equal(m->propagates_filters, rows[i].propagates);
        assert_int_equal(m->sql->n_parts, 1);
        assert_ptr_equal(m->sql->parts[0].member, member(rows[i].measure));
        assert_int_equal(m->sql->parts[0].n_path, rows[i].n_path);
    }
}

/* false, and the key that belongs to it, change nothing. */
static void test_not_one(void **state) {
    (void)state;
    load_good(MODEL("type: number, sql: a, sub_query: false, propagate_filters_to_sub_query: true", ""));
    assert_false(member("users.x")->is_sub_query);
    assert_false(member("users.x")->propagates_filters);
    assert_int_equal(diags.list.n, 0);
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        gr_status status;
        const char *message;
        uint32_t line, col;
        const char *hint;
    } rows[] = {
        {X("{orders.count} + 1"), GR_ERR_MODEL_INVALID,
         "The SQL of the sub query dimension 'users.x' must be one measure of another cube", 7, 55,
         "in a dimension that refers to this one"},
        {X("{orders.count} {items.count}"), GR_ERR_MODEL_INVALID, "must be one measure", 7, 55, NULL},
        {X("orders.count"), GR_ERR_MODEL_INVALID, "must be one measure", 7, 55, "{other_cube.measure}"},
        {X("{orders.status}"), GR_ERR_MODEL_INVALID, "must be one measure", 7, 55, NULL},
        {X("{orders}"), GR_ERR_MODEL_INVALID, "must be one measure", 7, 55, NULL},
        {X("{orders.gone}"), GR_ERR_MODEL_UNRESOLVED, "orders.gone cannot be resolved", 7, 55, NULL},
        {MODEL("type: number, sub_query: true, sql: \"{m}\"", "    measures: [{name: m, type: count}]\n"),
         GR_ERR_MODEL_INVALID, "must be one measure of another cube", 7, 55, "one of the cube itself"},
        {X("{alone.count}"), GR_ERR_MODEL_INVALID, "Can't find join path to join 'users', 'alone'", 7, 55,
         "declare a join from 'users' to 'alone'"},
        {X("{orders.items.count}"), GR_ERR_MODEL_INVALID, "The path of the sub query dimension 'users.x' starts at", 7,
         55, "start at the own cube"},
        {MODEL("type: number, sub_query: true", ""), GR_ERR_MODEL_INVALID, "(dimensions.x.sql) is required", 7, 9,
         NULL},
        {MODEL("type: number, sub_query: true, case: {when: [{sql: a, label: b}]}", ""), GR_ERR_MODEL_INVALID,
         "(dimensions.x.subQuery = true) is not allowed", 7, 33, NULL},
        {MODEL("type: geo, sub_query: true, latitude: {sql: a}, longitude: {sql: b}", ""), GR_ERR_MODEL_INVALID,
         "(dimensions.x.subQuery = true) is not allowed", 7, 30, NULL},
        {MODEL("type: number, sub_query: true, primary_key: true, sql: \"{orders.count}\"", ""), GR_ERR_MODEL_INVALID,
         "The sub query dimension 'users.x' cannot be a primary key", 7, 16, "make the key of columns"},
        {MODEL("type: number, sub_query: true, sql: \"{orders.count}\"",
               "      - {name: k, type: number, primary_key: true, sql: \"{x} + 1\"}\n"),
         GR_ERR_MODEL_INVALID, "The primary key 'users.k' depends on a sub query dimension", 8, 57, NULL},
        {MODEL("type: number, sub_query: true, sql: \"{orders.count}\"",
               "      - {name: y, type: number, sql: \"{x} + 1\"}\n"
               "  - name: other\n"
               "    sql_table: t\n"
               "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.n = {users.y}\"}]\n"),
         GR_ERR_MODEL_UNSUPPORTED, "the join of 'other' to 'users' depends on a sub query dimension", 11, 59,
         "join by columns"},
        {MODEL("type: number, sub_query: true, sql: \"{other.m}\"",
               "  - name: other\n"
               "    sql_table: t\n"
               "    extends: orders\n"
               "    measures: [{name: m, type: sum, sql: \"{users.x}\"}]\n"),
         GR_ERR_MODEL_INVALID, "Can't find join path", 7, 55, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (load(rows[i].yaml) != GR_ERR_MODEL_INVALID_SET) fail_msg("row %zu is accepted", i);
        const gr_diag *d = find_diag(rows[i].status, rows[i].message);
        expect_at(d, rows[i].line, rows[i].col);
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
        /* The last goes round in a circle besides. */
        if (diags.n_errors == (i + 1 == COUNT(rows) ? 2 : 1)) continue;
        print_diags();
        fail_msg("row %zu: %zu errors", i, diags.n_errors);
    }
    find_diag(GR_ERR_MODEL_CYCLE, "users.x -> other.m -> users.x");
}

static void test_without_a_key(void **state) {
    (void)state;
    assert_int_equal(
        load("cubes:\n"
             "  - {name: a, sql_table: a, joins: [{name: b, relationship: one_to_many, sql: \"{CUBE}.i = {b}.a\"}],\n"
             "     dimensions: [{name: d, sql: \"{b.n}\", type: number, sub_query: true}]}\n"
             "  - {name: b, sql_table: b, dimensions: [{name: i, sql: i, type: number, primary_key: true}],\n"
             "     measures: [{name: n, type: count}]}\n"),
        GR_ERR_MODEL_INVALID_SET);
    const gr_diag *d =
        find_diag(GR_ERR_MODEL_INVALID, "primary key for 'a' is required for the sub query dimension 'a.d'");
    expect_at(d, 3, 26);
    assert_true(has(d->hint, "primary_key: true"));
    assert_int_equal(diags.n_errors, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_key, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
