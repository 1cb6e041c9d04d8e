/* Kinds of pre-aggregations (cube.md 1.13, 4.9, 4.10) and static filters: what is loaded, and each fault. */
#include "unit/model/model_fixture.h"

/* The pre-aggregations under test start on line 10. */
#define HEAD                                                                                                           \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: o\n"                                                                                               \
    "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.u = {users}.id\"}, {name: shops, "             \
    "relationship: many_to_one, sql: \"{CUBE}.s = {shops}.id\"}]\n"                                                    \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: status, sql: s, type: string}, "    \
    "{name: at, sql: at, type: time}]\n"                                                                               \
    "    measures: [{name: count, type: count}]\n"                                                                     \
    "    segments: [{name: done, sql: \"s = 1\"}]\n"                                                                   \
    "    pre_aggregations:\n"                                                                                          \
    "      - {name: main, measures: [count], dimensions: [status]}\n"
#define TAIL                                                                                                           \
    "  - name: users\n"                                                                                                \
    "    sql_table: u\n"                                                                                               \
    "    joins: [{name: shops, relationship: many_to_one, sql: \"{CUBE}.h = {shops}.id\"}]\n"                          \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: country, sql: c, type: string}]\n"  \
    "    pre_aggregations: [{name: main, dimensions: [id, country]}, {name: other, dimensions: [country]}, {name: "    \
    "all, type: original_sql}]\n"                                                                                      \
    "  - name: shops\n"                                                                                                \
    "    sql_table: h\n"                                                                                               \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: town, sql: t, type: string}]\n"     \
    "    pre_aggregations: [{name: main, dimensions: [id, town]}]\n"
#define P(text) HEAD "      - {name: p, " text "}\n" TAIL /* line 10, keys from column 19 */
#define R(text) P("measures: [count], " text)             /* from column 38 */
#define J(text) P("type: rollup_join, measures: [count], dimensions: [users.country], " text) /* from column 86 */

static const gr_preagg *preagg(const char *id) {
    for (size_t i = 0; i < model->n_preaggs; i++)
        if (gr_str_eq_z(model->preaggs[i]->id, id)) return model->preaggs[i];
    fail_msg("no pre-aggregation '%s'", id);
    return NULL;
}

static void test_original_sql(void **state) {
    (void)state;
    load_good(HEAD
              "      - {name: p, type: originalSql}\n"
              "      - {name: q, type: original_sql, external: false, time_dimension: CUBE.at, "
              "partition_granularity: month, refresh_key: {every: 1 day}}\n"
              "      - {name: r, measures: [count], dimensions: [at], useOriginalSqlPreAggregations: \"true\"}\n" TAIL);
    for (size_t i = 0; i < model->n_preaggs; i++) assert_int_equal(model->preaggs[i]->index, i);
    const gr_preagg *p = preagg("orders.p");
    assert_int_equal(p->type, GR_PREAGG_ORIGINAL_SQL);
    assert_int_equal(p->is_external, -1);
    assert_int_equal(p->n_measures + p->n_dimensions + p->n_segments + p->n_time_dimensions, 0);
    assert_true(p->scheduled_refresh);
    p = preagg("orders.q");
    assert_int_equal(p->is_external, 0);
    assert_int_equal(p->partition_granularity, GR_GRAIN_MONTH);
    assert_int_equal(p->n_time_dimensions, 0);
    assert_non_null(p->refresh_key);
    assert_true(preagg("orders.r")->uses_original_sql);
    assert_false(preagg("orders.main")->uses_original_sql);
    assert_int_equal(preagg("orders.main")->type, GR_PREAGG_ROLLUP);
    assert_int_equal(diags.n_errors, 0);
}

static void test_rollup_join(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *first, *second;
    } rows[] = {
        {J("rollups: [main, users.main]"), "orders.main", "users.main"},
        {J("rollups: [CUBE.main, users.other]"), "orders.main", "users.other"},
        {J("rollupReferences: [users.main, orders.main]"), "users.main", "orders.main"},
        {J("rollups: [orders.main, users.main, shops.main], scheduled_refresh: false"), "orders.main", "users.main"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        const gr_preagg *p = preagg("orders.p");
        assert_int_equal(p->type, GR_PREAGG_ROLLUP_JOIN);
        assert_int_equal(p->n_rollups, i == 3 ? 3 : 2);
        assert_ptr_equal(p->rollups[0], preagg(rows[i].first));
        assert_ptr_equal(p->rollups[1], preagg(rows[i].second));
        assert_int_equal(p->n_measures, 1);
        assert_false(p->scheduled_refresh);
        assert_int_equal(p->is_external, -1);
    }
}

/* In a child, its own cube's rollups are its own. */
static void test_inherited(void **state) {
    (void)state;
    load_good(HEAD "      - {name: p, type: rollup_join, measures: [CUBE.count], dimensions: [CUBE.users.country], "
                   "rollups: [CUBE.main, users.main]}\n"
                   "      - {name: f, measures: [CUBE.count], filters: [{member: CUBE.status, operator: set}]}\n"
                   "  - {name: child, extends: orders, sql_table: c}\n" TAIL);
    assert_ptr_equal(preagg("child.p")->rollups[0], preagg("child.main"));
    assert_ptr_equal(preagg("orders.p")->rollups[0], preagg("orders.main"));
    expect_str(gr_yaml_get(preagg("child.f")->filters->items[0], GR_STR("member"))->text, "child.status");
}

static void test_selection(void **state) {
    (void)state;
    load_good(R("selection: cheapest"));
    assert_true(preagg("orders.p")->is_cheapest);
    assert_false(preagg("orders.main")->is_cheapest);
    assert_false(gr_model_cube(model, GR_STR("orders"))->is_cheapest);
    assert_int_equal(diags.list.n, 0);
    load_good("cubes: [{name: a, sql_table: t, selection: cheapest}, {name: b, sql_table: t, selection: first}]\n");
    assert_true(gr_model_cube(model, GR_STR("a"))->is_cheapest);
    assert_false(gr_model_cube(model, GR_STR("b"))->is_cheapest);
    assert_int_equal(diags.list.n, 0);
}

static void test_filters(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *json; /* the filters in query form, NULL: none */
    } rows[] = {
        {R("filters: []"), NULL},
        {R("filters: [{member: status, operator: equals, values: [done, \"1\", 1, 2.5, true, null]}]"),
         "[{\"member\":\"orders.status\",\"operator\":\"equals\",\"values\":[\"done\",\"1\",1,2.5,true,null]}]"},
        {R("filters: [{dimension: CUBE.status, operator: set}, {member: orders.at, operator: inDateRange, values: "
           "[2024-01-01, 2024-12-31]}]"),
         "[{\"member\":\"orders.status\",\"operator\":\"set\"},{\"member\":\"orders.at\",\"operator\":\"inDateRange\","
         "\"values\":[\"2024-01-01\",\"2024-12-31\"]}]"},
        {R("filters: [{or: [{member: users.country, operator: equals, values: [DE]}, {and: [{member: "
           "CUBE.users.country, "
           "operator: notSet}, {member: status, operator: set}]}]}]"),
         "[{\"or\":[{\"member\":\"users.country\",\"operator\":\"equals\",\"values\":[\"DE\"]},{\"and\":[{\"member\":"
         "\"users.country\",\"operator\":\"notSet\"},{\"member\":\"orders.status\",\"operator\":\"set\"}]}]}]"},
        {R("filters: [{member: CUBE.shops.town, operator: equals, values: [a]}]"),
         "[{\"member\":\"shops.town\",\"operator\":\"equals\",\"values\":[\"a\"]}]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        const gr_preagg *p = preagg("orders.p");
        if (!rows[i].json) {
            assert_null(p->filters);
            continue;
        }
        gr_buf out;
        gr_buf_init(&out, 1 << 16);
        gr_yaml_to_json(p->filters, &out);
        gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
        gr_buf_done(&out);
        expect_str(text, rows[i].json);
        assert_int_equal(p->filters->loc.line, 10);
        assert_int_equal(diags.list.n, 0);
    }
}

typedef struct fault {
    const char *yaml;
    gr_status status;
    const char *message;
    uint32_t col; /* of line 10 */
    const char *hint;
} fault;

static void expect(const fault *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (load(rows[i].yaml) != GR_ERR_MODEL_INVALID_SET) fail_msg("row %zu is accepted", i);
        const gr_diag *d = find_diag(rows[i].status, rows[i].message);
        expect_at(d, 10, rows[i].col);
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
        if (diags.n_errors == 1) continue;
        print_diags();
        fail_msg("row %zu: %zu errors", i, diags.n_errors);
    }
}

static void test_faults_of_kinds(void **state) {
    (void)state;
    static const fault rows[] = {
        {P("type: original_sql, measures: [count]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.measures = [object Object]) is not allowed", 39, "no members"},
        {P("type: original_sql, dimensions: [status]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.dimensions =", 39,
         NULL},
        {P("type: original_sql, segments: [done]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.segments =", 39, NULL},
        {P("type: original_sql, measureReferences: [count]"), GR_ERR_MODEL_INVALID, "measureReferences =", 39, NULL},
        {P("type: original_sql, time_dimensions: []"), GR_ERR_MODEL_INVALID, "(preAggregations.p.timeDimensions =", 39,
         "partition_granularity"},
        {P("type: original_sql, granularity: day"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.granularity = day) is not allowed", 39, "no grain"},
        {P("type: original_sql, time_dimension: at"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.partitionGranularity) is required", 9, NULL},
        {P("type: original_sql, partition_granularity: day"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.timeDimension) is required", 9, NULL},
        {P("type: original_sql, time_dimension: status, partition_granularity: day"), GR_ERR_MODEL_INVALID,
         "'orders.status' is not a time dimension", 55, NULL},
        {P("type: original_sql, time_dimension: gone, partition_granularity: day"), GR_ERR_MODEL_UNRESOLVED,
         "gone is not defined", 55, NULL},
        {P("type: original_sql, filters: [{member: status, operator: set}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters = [object Object]) is not allowed", 39, "rollups"},
        {P("type: original_sql, rollups: [users.main]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.rollups =", 39,
         "rollup_join"},
        {P("type: original_sql, use_original_sql_pre_aggregations: true"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.useOriginalSqlPreAggregations = true) is not allowed", 39, NULL},
        {R("use_original_sql_pre_aggregations: true"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.useOriginalSqlPreAggregations) needs a pre-aggregation of type original_sql", 38,
         "declare one in the cube 'orders'"},
        {R("rollups: [main, users.main]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.rollups = [object Object])", 38,
         "type: rollup_join"},
        {R("type: auto_rollup"), GR_ERR_MODEL_UNSUPPORTED, "is not executed yet", 44, NULL},
        {R("selection: best"), GR_ERR_MODEL_INVALID, "(preAggregations.p.selection = best) must be one of", 49, NULL},
        {J("external: false"), GR_ERR_MODEL_INVALID, "(preAggregations.p.rollups) is required", 9, NULL},
        {J("rollups: []"), GR_ERR_MODEL_INVALID, "(preAggregations.p.rollups) must have 2 to 100 items", 95,
         "[orders.main, users.main]"},
        {J("rollups: [users.main]"), GR_ERR_MODEL_INVALID, "must have 2 to 100 items", 95, NULL},
        {J("rollups: users.main"), GR_ERR_MODEL_INVALID, "must be an array", 95, NULL},
        {J("rollups: [main, users.man]"), GR_ERR_MODEL_UNRESOLVED,
         "(preAggregations.p.rollups[1]) there is no pre-aggregation 'users.man'", 102, "did you mean 'users.main'?"},
        {J("rollups: [main, nobody.rollup]"), GR_ERR_MODEL_UNRESOLVED, "no pre-aggregation 'nobody.rollup'", 102,
         "cube.rollup"},
        {J("rollups: [main, orders.users.main]"), GR_ERR_MODEL_UNRESOLVED, "no pre-aggregation 'orders.users.main'",
         102, NULL},
        {J("rollups: [main, users]"), GR_ERR_MODEL_UNRESOLVED, "no pre-aggregation 'users'", 102, NULL},
        {J("rollups: [main, users.all]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.rollups[1]) 'users.all' is of type original_sql, and a rollup is expected", 102, NULL},
        {J("rollups: [main, p]"), GR_ERR_MODEL_INVALID, "'orders.p' is of type rollup_join", 102, NULL},
        {J("rollups: [users.main, users.other]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.rollups[1]) 'users.main' and 'users.other' are rollups of one cube", 108,
         "different cubes"},
        {J("rollups: [main, main]"), GR_ERR_MODEL_INVALID, "are rollups of one cube", 102, NULL},
        {J("rollups: [main, users.main], rollup_references: [main]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.rollupReferences = [object Object]) is not allowed", 115, NULL},
        {J("rollups: [main, users.main], scheduled_refresh: true"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.scheduledRefresh = true) is not allowed", 115, "are refreshed"},
        {J("rollups: [main, users.main], filters: [{member: status, operator: set}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters =", 115, "to the rollups that it joins"},
        {J("rollups: [main, users.main], use_original_sql_pre_aggregations: true"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.useOriginalSqlPreAggregations = true) is not allowed", 115, NULL},
        {P("type: rollup_join, rollups: [main, users.main]"), GR_ERR_MODEL_INVALID, "'orders.p' has no members", 16,
         NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_faults_of_filters(void **state) {
    (void)state;
    static const fault rows[] = {
        {R("filters: {member: status}"), GR_ERR_MODEL_INVALID, "must be an array", 47, NULL},
        {R("filters: [status]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.filters[0] = status) must be of type object",
         48, NULL},
        {R("filters: [{operator: set}]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.filters[0].member) is required", 48,
         NULL},
        {R("filters: [{member: status}]"), GR_ERR_MODEL_INVALID, "(preAggregations.p.filters[0].operator) is required",
         48, NULL},
        {R("filters: [{member: status, dimension: status, operator: set}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].dimension = status) is not allowed", 65, NULL},
        {R("filters: [{member: gone, operator: set}]"), GR_ERR_MODEL_UNRESOLVED, "gone is not defined", 57, NULL},
        {R("filters: [{member: count, operator: gt, values: [1]}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].member) 'orders.count' is a measure, and a dimension is expected", 57,
         "by dimensions only"},
        {R("filters: [{member: done, operator: set}]"), GR_ERR_MODEL_INVALID, "'orders.done' is a segment", 57, NULL},
        {R("filters: [{member: at.day, operator: set}]"), GR_ERR_MODEL_INVALID, "a granularity is not allowed here", 57,
         "orders.at"},
        {R("filters: [{member: CUBE.users.shops.town, operator: set}]"), GR_ERR_MODEL_UNSUPPORTED,
         "the path to 'shops.town' is not the shortest one", 57, "extends 'shops'"},
        {R("filters: [{member: status, operator: [equals]}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].operator = [object Object]) must be a string", 75, NULL},
        {R("filters: [{member: status, operator: equals, values: a}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].values = a) must be an array", 91, NULL},
        {R("filters: [{member: status, operator: equals, values: [a, [b]]}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].values[1] = [object Object]) must be a string, a number", 95, NULL},
        {R("filters: [{member: status, operator: equals, value: a}]"), GR_ERR_MODEL_UNKNOWN_KEY,
         "(preAggregations.p.filters[0].value = a) is not allowed", 83, "did you mean 'values'?"},
        {R("filters: [{and: []}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].and = [object Object]) must not be empty", 54, NULL},
        {R("filters: [{or: {member: status}}]"), GR_ERR_MODEL_INVALID, "must be an array", 53, NULL},
        {R("filters: [{and: [{member: status, operator: set}], or: [{member: status, operator: set}]}]"),
         GR_ERR_MODEL_INVALID, "(preAggregations.p.filters[0].or = [object Object]) is not allowed", 89, NULL},
        {R("filters: [{or: [{member: status, operator: set}], member: status}]"), GR_ERR_MODEL_INVALID,
         "(preAggregations.p.filters[0].member = status) is not allowed", 88, NULL},
        {R("filters: [{or: [{member: status, operator: set}, {and: [{member: gone, operator: set}]}]}]"),
         GR_ERR_MODEL_UNRESOLVED, "gone is not defined", 103, NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_limits(void **state) {
    (void)state;
    gr_buf text;
    gr_buf_init(&text, 1 << 20);
    gr_buf_z(&text, HEAD "      - {name: p, measures: [count], filters: [");
    for (int i = 0; i < 1002; i++) gr_buf_z(&text, "{member: status, operator: set},");
    gr_buf_z(&text, "]}\n" TAIL);
    gr_model_file file = {GR_STR("m.yml"), gr_buf_str(&text)};
    assert_int_equal(load_files(&file, 1), GR_ERR_MODEL_INVALID_SET);
    find_diag(GR_ERR_MODEL_INVALID, "(preAggregations.p.filters[1000]) is the filter after the 1000th");
    assert_int_equal(diags.n_errors, 1);
    gr_buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_original_sql, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rollup_join, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_selection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_of_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_of_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
