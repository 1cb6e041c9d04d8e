/* Multi-stage measures (cube.md 1.9): what is loaded, and each fault with its place. */
#include "unit/model/model_fixture.h"

/* The measure under test stands on line 8, what else it needs behind it. */
#define MODEL(measures)                                                                                                \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: o\n"                                                                                               \
    "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.u = {users}.id\"}]\n"                          \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: status, sql: s, type: string}, "    \
    "{name: at, sql: at, type: time}, {name: shipped, sql: sh, type: time}]\n"                                         \
    "    measures:\n"                                                                                                  \
    "      - {name: revenue, type: sum, sql: amount}\n" measures "    segments: [{name: done, sql: \"s = 1\"}]\n"      \
    "  - name: users\n"                                                                                                \
    "    sql_table: u\n"                                                                                               \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: city, sql: c, type: string}]\n"     \
    "    measures: [{name: count, type: count}]\n"
#define X(text) MODEL("      - {name: x, multi_stage: true, " text "}\n")
#define SUM "type: sum, sql: \"{revenue}\", "

static void test_grains(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        size_t n_group, n_reduce, n_add;
        bool has_group;
        const char *first; /* of the one that is not empty */
    } rows[] = {
        {X(SUM "group_by: [status, users.city]"), 2, 0, 0, true, "orders.status"},
        {X(SUM "groupBy: []"), 0, 0, 0, true, NULL},
        {X(SUM "reduce_by: [CUBE.users.city]"), 0, 1, 0, false, "users.city"},
        {X(SUM "add_group_by: [orders.status]"), 0, 0, 1, false, "orders.status"},
        {X(SUM "grain: {keep_only: [CUBE.status]}"), 1, 0, 0, true, "orders.status"},
        {X(SUM "grain: {keep_only: []}"), 0, 0, 0, true, NULL},
        {X(SUM "grain: {exclude: [status]}"), 0, 1, 0, false, "orders.status"},
        {X(SUM "grain: {include: [users.city, status]}"), 0, 0, 2, false, "users.city"},
        {X(SUM "reduce_by: [status], grain: {include: [users.city]}"), 0, 1, 1, false, "orders.status"},
        {X("type: number, sql: \"{revenue} / {users.count}\""), 0, 0, 0, false, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        assert_int_equal(diags.list.n, 0);
        const gr_stage *s = member("orders.x")->stage;
        assert_non_null(s);
        if (s->n_group_by != rows[i].n_group || s->n_reduce_by != rows[i].n_reduce ||
            s->n_add_group_by != rows[i].n_add || s->has_group_by != rows[i].has_group)
            fail_msg("row %zu: %s", i, rows[i].yaml);
        const gr_member **list = s->n_group_by ? s->group_by : s->n_reduce_by ? s->reduce_by : s->add_group_by;
        if (rows[i].first) assert_ptr_equal(list[0], member(rows[i].first));
        assert_false(gr_measure_is_additive(member("orders.x")));
        assert_null(member("orders.revenue")->stage);
    }
}

static void test_types(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        gr_measure_type agg;
        bool is_calculated;
    } rows[] = {
        {X("type: sum, sql: \"{revenue}\""), GR_MEASURE_SUM, false},
        {X("type: avg, sql: \"{revenue}\""), GR_MEASURE_AVG, false},
        {X("type: count, sql: \"{revenue}\""), GR_MEASURE_COUNT, false},
        {X("type: number, sql: \"{revenue} * 2\""), GR_MEASURE_NUMBER, true},
        {X("type: string, sql: \"case when {revenue} > 1 then 'a' end\""), GR_MEASURE_STRING, true},
        {X("type: number_agg, sql: \"sum({revenue}) / count(*)\", add_group_by: [status]"), GR_MEASURE_NUMBER_AGG,
         true},
        {X("type: numberAgg, sql: \"sum({revenue})\""), GR_MEASURE_NUMBER_AGG, true},
        {X("type: rank, order_by: [{sql: \"{revenue}\"}]"), GR_MEASURE_RANK, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        const gr_member *m = member("orders.x");
        if (m->agg != rows[i].agg || m->is_calculated != rows[i].is_calculated || !m->stage) fail_msg("row %zu", i);
        if (m->agg == GR_MEASURE_RANK)
            assert_null(m->sql);
        else
            assert_non_null(m->sql);
        for (size_t k = 0; k < model->n_members; k++) assert_false(model->members[k]->is_synthetic);
    }
}

static void test_filters_shifts_order(void **state) {
    (void)state;
    load_good(X(SUM "filter: {exclude: [status, users.city], mode: relative}"));
    const gr_stage *s = member("orders.x")->stage;
    assert_int_equal(s->n_filter_exclude, 2);
    assert_ptr_equal(s->filter_exclude[1], member("users.city"));
    assert_false(s->has_filter_keep);
    load_good(X(SUM "filter: {keepOnly: []}"));
    s = member("orders.x")->stage;
    assert_int_equal(s->n_filter_keep, 0);
    assert_true(s->has_filter_keep);
    load_good(X(SUM "filter: {keep_only: [status]}"));
    s = member("orders.x")->stage;
    assert_int_equal(s->n_filter_keep, 1);
    assert_ptr_equal(s->filter_keep[0], member("orders.status"));

    load_good(X("type: number, sql: \"{revenue}\", time_shift: [{interval: 1 year, type: prior}]"));
    s = member("orders.x")->stage;
    assert_int_equal(s->n_shifts, 1);
    assert_null(s->shifts[0].time);
    assert_int_equal(s->shifts[0].interval.months, 12);
    load_good(X("type: number, sql: \"{revenue}\", timeShift: [{timeDimension: CUBE.at, interval: 2 days, type: next}, "
                "{time_dimension: orders.shipped, interval: -1 hour, type: next}]"));
    s = member("orders.x")->stage;
    assert_int_equal(s->n_shifts, 2);
    assert_ptr_equal(s->shifts[0].time, member("orders.at"));
    assert_int_equal(s->shifts[0].interval.days, -2);
    assert_ptr_equal(s->shifts[1].time, member("orders.shipped"));
    assert_int_equal(s->shifts[1].interval.us, INT64_C(3600000000));

    load_good(X("type: rank, reduce_by: [status], order_by: [{sql: \"{revenue}\", dir: desc}, {sql: \"{users.city}\"}, "
                "{sql: \"{CUBE.status}\", dir: asc}]"));
    s = member("orders.x")->stage;
    assert_int_equal(s->n_order_by, 3);
    assert_true(s->order_by[0].is_desc);
    assert_false(s->order_by[1].is_desc);
    assert_false(s->order_by[2].is_desc);
    assert_ptr_equal(s->order_by[0].sql->parts[0].member, member("orders.revenue"));
    assert_ptr_equal(s->order_by[1].sql->parts[0].member, member("users.city"));
}

/* Of a view and of a child, the stage is that of the base. */
static void test_views_and_children(void **state) {
    (void)state;
    load_good(X(SUM "group_by: [CUBE.status]") "  - {name: child, extends: orders, sql_table: c}\nviews:\n"
                                               "  - {name: v, cubes: [{join_path: orders, includes: \"*\"}]}\n");
    assert_ptr_equal(member("v.x")->stage, member("orders.x")->stage);
    assert_ptr_equal(member("child.x")->stage->group_by[0], member("child.status"));
    for (size_t i = 0; i < model->n_members; i++) assert_int_equal(model->members[i]->index, i);
    assert_ptr_equal(model->members[member("v.x")->index], member("v.x"));
}

typedef struct fault {
    const char *yaml;
    gr_status status;
    const char *message;
    uint32_t line, col;
    const char *hint;
} fault;

static void expect(const fault *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (load(rows[i].yaml) != GR_ERR_MODEL_INVALID_SET) fail_msg("row %zu is accepted", i);
        const gr_diag *d = find_diag(rows[i].status, rows[i].message);
        expect_at(d, rows[i].line, rows[i].col);
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
        if (diags.n_errors == 1) continue;
        print_diags();
        fail_msg("row %zu: %zu errors", i, diags.n_errors);
    }
}

#define PLAIN(text) MODEL("      - {name: x, " text "}\n")
#define NUM "type: number, sql: \"{revenue}\", "

static void test_faults(void **state) {
    (void)state;
    static const fault rows[] = {
        /* Only of multi-stage measures. */
        {PLAIN("type: sum, sql: a, group_by: [status]"), GR_ERR_MODEL_INVALID,
         "(measures.x.groupBy) belongs to multi-stage measures", 8, 38, "multi_stage: true"},
        {PLAIN("type: sum, sql: a, grain: {}"), GR_ERR_MODEL_INVALID, "(measures.x.grain) belongs", 8, 38, NULL},
        {PLAIN("type: sum, sql: a, order_by: []"), GR_ERR_MODEL_INVALID, "(measures.x.orderBy) belongs", 8, 38, NULL},
        {PLAIN("type: sum, sql: a, multi_stage: false, time_shift: []"), GR_ERR_MODEL_INVALID,
         "(measures.x.timeShift) belongs", 8, 58, NULL},
        {PLAIN("type: rank, order_by: [{sql: \"{revenue}\"}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.type = rank) belongs to multi-stage measures", 8, 25, "multi_stage: true"},
        {PLAIN("type: number_agg, sql: \"sum({revenue})\""), GR_ERR_MODEL_INVALID,
         "(measures.x.type = number_agg) belongs to multi-stage measures", 8, 25, NULL},
        /* Types and expressions. */
        {X("type: median, sql: \"{revenue}\""), GR_ERR_MODEL_INVALID, "countDistinctApprox, numberAgg, rank]", 8, 44,
         NULL},
        {X("type: running_total, sql: \"{revenue}\""), GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.type = running_total) is not executed for multi-stage measures", 8, 44, "measure of its own"},
        {X("type: sum"), GR_ERR_MODEL_INVALID, "(measures.x.sql) is required", 8, 9, NULL},
        {X("type: count"), GR_ERR_MODEL_INVALID, "(measures.x.sql) is required", 8, 9, NULL},
        {X("type: sum, sql: revenue"), GR_ERR_MODEL_INVALID, "The multi-stage measure 'orders.x' refers to no measure",
         8, 54, "{revenue}"},
        {X("type: number, sql: \"1\""), GR_ERR_MODEL_INVALID, "refers to no measure", 8, 57, "{name}"},
        {X("type: sum, sql: \"{CUBE}.amount\""), GR_ERR_MODEL_INVALID, "refers to the table of 'orders'", 8, 54,
         "measure of the column"},
        {X("type: sum, sql: \"{users}.amount + {revenue}\""), GR_ERR_MODEL_INVALID, "refers to the table of 'users'", 8,
         54, NULL},
        {X("type: sum, sql: \"{revenue} * {status}\""), GR_ERR_MODEL_UNSUPPORTED,
         "refers to the dimension 'orders.status'", 8, 54, "computed of measures"},
        {X("type: number, sql: \"{revenue} / sum({revenue})\""), GR_ERR_MODEL_INVALID, "calls an aggregate function", 8,
         57, "number_agg"},
        {X("type: sum, sql: \"{gone}\""), GR_ERR_MODEL_UNRESOLVED, "gone is not defined", 8, 54, NULL},
        {X(SUM "filters: [{sql: \"{CUBE}.a = 1\"}]"), GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.filters) is not executed for multi-stage measures", 8, 67, "put the filters on the measures"},
        {X(SUM "rolling_window: {trailing: 7 day}"), GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.rollingWindow) is not executed for multi-stage measures", 8, 67, "put the window on"},
        {X(SUM "precision: 11"), GR_ERR_MODEL_INVALID, "(measures.x.precision = 11) is not allowed", 8, 67, NULL},
        {X(SUM "case: {}"), GR_ERR_MODEL_UNSUPPORTED, "(measures.x.case) is not executed yet", 8, 67, NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_faults_of_grains(void **state) {
    (void)state;
    static const fault rows[] = {
        {X(SUM "group_by: [gone]"), GR_ERR_MODEL_UNRESOLVED, "gone is not defined", 8, 78, NULL},
        {X(SUM "group_by: [revenue]"), GR_ERR_MODEL_INVALID,
         "(measures.x.groupBy[0]) 'orders.revenue' is a measure, and a dimension is expected", 8, 78, NULL},
        {X(SUM "group_by: [status, done]"), GR_ERR_MODEL_INVALID,
         "(measures.x.groupBy[1]) 'orders.done' is a segment, and a dimension is expected", 8, 86, NULL},
        {X(SUM "group_by: [users]"), GR_ERR_MODEL_UNRESOLVED, "users is not defined", 8, 78, "'users' is a cube"},
        {X(SUM "group_by: [orders]"), GR_ERR_MODEL_INVALID, "'orders' is a cube, and a dimension is expected", 8, 78,
         NULL},
        {X(SUM "group_by: [at.day]"), GR_ERR_MODEL_INVALID, "(measures.x.groupBy[0]) a granularity is not allowed here",
         8, 78, "orders.at"},
        {X(SUM "reduce_by: [status, CUBE.status]"), GR_ERR_MODEL_DUPLICATE,
         "(measures.x.reduceBy) 'orders.status' is listed twice", 8, 87, NULL},
        {X(SUM "add_group_by: status"), GR_ERR_MODEL_INVALID, "(measures.x.addGroupBy = status) must be an array", 8,
         81, NULL},
        {X(SUM "add_group_by: [[status]]"), GR_ERR_MODEL_INVALID, "(measures.x.addGroupBy[0] = [object Object])", 8, 82,
         NULL},
        {X(SUM "group_by: [status], grain: {keep_only: [at]}"), GR_ERR_MODEL_INVALID,
         "(measures.x.groupBy = [object Object]) is not allowed", 8, 67, NULL},
        {X(SUM "grain: {keep_only: [at], exclude: [status]}"), GR_ERR_MODEL_INVALID,
         "(measures.x.grain.exclude = [object Object]) is not allowed", 8, 92, NULL},
        {X(SUM "grain: {exclude: [status, gone]}"), GR_ERR_MODEL_UNRESOLVED, "gone is not defined", 8, 93, NULL},
        {X(SUM "grain: {include: [revenue]}"), GR_ERR_MODEL_INVALID,
         "(measures.x.grain.include[0]) 'orders.revenue' is a measure", 8, 85, NULL},
        {X(SUM "grain: {only: [at]}"), GR_ERR_MODEL_UNKNOWN_KEY, "(measures.x.grain.only = [object Object])", 8, 75,
         NULL},
        {X(SUM "filter: {exclude: [revenue]}"), GR_ERR_MODEL_INVALID,
         "(measures.x.filter.exclude[0]) 'orders.revenue' is a measure", 8, 86, NULL},
        {X(SUM "filter: {exclude: [status], keep_only: [at]}"), GR_ERR_MODEL_INVALID,
         "(measures.x.filter.exclude = [object Object]) is not allowed", 8, 76, NULL},
        {X(SUM "filter: {include: [{sql: x}]}"), GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.filter.include) is not executed yet", 8, 76, "Filters of its own."},
        {X(SUM "filter: {mode: fixed}"), GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.filter.mode = fixed) is not executed yet", 8, 82, "keep_only: []"},
        {X(SUM "filter: {mode: none}"), GR_ERR_MODEL_INVALID,
         "(measures.x.filter.mode = none) must be one of [relative, fixed]", 8, 82, NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_faults_of_shifts_and_order(void **state) {
    (void)state;
    static const fault rows[] = {
        {X(NUM "time_shift: []"), GR_ERR_MODEL_INVALID, "(measures.x.timeShift = [object Object]) must have 1 to 1000",
         8, 82, NULL},
        {X(NUM "time_shift: [{type: prior}]"), GR_ERR_MODEL_INVALID, "(measures.x.timeShift[0].interval) is required",
         8, 83, NULL},
        {X(NUM "time_shift: [{interval: 1 year}]"), GR_ERR_MODEL_INVALID, "(measures.x.timeShift[0].type) is required",
         8, 83, NULL},
        {X(NUM "time_shift: [{interval: soon, type: prior}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.timeShift[0].interval = soon) does not match regexp", 8, 94, "7 day"},
        {X(NUM "time_shift: [{interval: 1 year, type: before}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.timeShift[0].type = before) must be one of [prior, next]", 8, 108, NULL},
        {X(NUM "time_shift: [{name: retail_year}]"), GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.timeShift[0].name) is not executed yet", 8, 84, "there are no calendar cubes"},
        {X(NUM "time_shift: [{time_dimension: status, interval: 1 year, type: prior}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.timeShift[0].timeDimension) 'orders.status' is not a time dimension", 8, 100, NULL},
        {X(NUM "time_shift: [{time_dimension: gone, interval: 1 year, type: prior}]"), GR_ERR_MODEL_UNRESOLVED,
         "gone is not defined", 8, 100, NULL},
        {X(NUM "time_shift: [{time_dimension: at, interval: 1 year, type: prior}, {interval: 1 year, type: prior}]"),
         GR_ERR_MODEL_INVALID, "(measures.x.timeShift[1].timeDimension) is required", 8, 136, NULL},
        {X(NUM "time_shift: [{time_dimension: at, interval: 1 year, type: prior}, {time_dimension: at, interval: 1 "
               "year, type: prior}]"),
         GR_ERR_MODEL_DUPLICATE, "(measures.x.timeShift[1].timeDimension) 'orders.at' is shifted twice", 8, 153, NULL},
        {X("type: rank"), GR_ERR_MODEL_INVALID, "(measures.x.orderBy) is required", 8, 9, NULL},
        {X("type: rank, sql: \"{revenue}\", order_by: [{sql: \"{revenue}\"}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.sql = {revenue}) is not allowed", 8, 50, NULL},
        {X(NUM "order_by: [{sql: \"{revenue}\"}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.orderBy) belongs to measures of type rank", 8, 70, "type: rank"},
        {X("type: rank, order_by: []"), GR_ERR_MODEL_INVALID, "(measures.x.orderBy = [object Object]) must have", 8, 60,
         NULL},
        {X("type: rank, order_by: [{dir: asc}]"), GR_ERR_MODEL_INVALID, "(measures.x.orderBy[0].sql) is required", 8,
         61, NULL},
        {X("type: rank, order_by: [{sql: \"{revenue}\", dir: up}]"), GR_ERR_MODEL_INVALID,
         "(measures.x.orderBy[0].dir = up) must be one of [asc, desc]", 8, 85, NULL},
        {X("type: rank, order_by: [{sql: \"{CUBE}.x\"}]"), GR_ERR_MODEL_INVALID, "refers to the table of 'orders'", 8,
         67, NULL},
        {X("type: rank, order_by: [{sql: \"{done}\"}]"), GR_ERR_MODEL_UNSUPPORTED,
         "refers to the segment 'orders.done'", 8, 67, "measures or dimensions"},
        {X("type: rank, order_by: [{sql: revenue}]"), GR_ERR_MODEL_INVALID, "refers to no measure", 8, 67, "{revenue}"},
    };
    expect(rows, COUNT(rows));
}

static void test_circles(void **state) {
    (void)state;
    static const fault rows[] = {
        {X("type: sum, sql: \"{x}\""), GR_ERR_MODEL_CYCLE, "orders.x -> orders.x", 8, 54, NULL},
        {MODEL("      - {name: x, multi_stage: true, type: sum, sql: \"{y}\"}\n"
               "      - {name: y, multi_stage: true, type: number, sql: \"{x} + {revenue}\"}\n"),
         GR_ERR_MODEL_CYCLE, "orders.x -> orders.y -> orders.x", 8, 54, NULL},
        {MODEL("      - {name: x, multi_stage: true, type: rank, order_by: [{sql: \"{y}\"}]}\n"
               "      - {name: y, type: number, sql: \"{x} + 1\"}\n"),
         GR_ERR_MODEL_CYCLE, "orders.x -> orders.y -> orders.x", 8, 16, NULL},
    };
    expect(rows, COUNT(rows));
    /* A measure over measures over measures is no circle. */
    load_good(MODEL("      - {name: x, multi_stage: true, type: sum, sql: \"{y}\", reduce_by: [status]}\n"
                    "      - {name: y, multi_stage: true, type: sum, sql: \"{revenue}\", add_group_by: [users.city]}\n"
                    "      - {name: z, type: number, sql: \"{x} / {revenue}\"}\n"));
    assert_ptr_equal(member("orders.x")->sql->parts[0].member, member("orders.y"));
    assert_null(member("orders.z")->stage);
}

/* By way of a dimension that is computed from the measure. */
static void test_circle_through_a_dimension(void **state) {
    (void)state;
    assert_int_equal(
        load("cubes:\n"
             "  - {name: a, sql_table: a, joins: [{name: b, relationship: one_to_many, sql: \"{CUBE}.i = {b}.a\"}],\n"
             "     dimensions: [{name: i, sql: i, type: number, primary_key: true},\n"
             "                  {name: d, sql: \"{b.x}\", type: number, sub_query: true}]}\n"
             "  - {name: b, sql_table: b, dimensions: [{name: i, sql: i, type: number, primary_key: true}],\n"
             "     measures: [{name: n, type: count}, {name: x, type: sum, sql: \"{n}\", multi_stage: true,\n"
             "                 group_by: [a.d]}]}\n"),
        GR_ERR_MODEL_INVALID_SET);
    find_diag(GR_ERR_MODEL_CYCLE, "a.d -> b.x -> a.d");
    assert_int_equal(diags.n_errors, 1);
}

static void test_rollups(void **state) {
    (void)state;
    static const fault rows[] = {
        {MODEL("      - {name: x, multi_stage: true, type: sum, sql: \"{revenue}\"}\n"
               "    pre_aggregations: [{name: r, measures: [revenue, x]}]\n"),
         GR_ERR_MODEL_INVALID, "(preAggregations.r.measures[1]) 'orders.x' is computed in stages", 9, 54,
         "store the measures that it is made of: orders.revenue"},
        {MODEL("      - {name: x, multi_stage: true, type: rank, order_by: [{sql: \"{revenue}\"}]}\n"
               "    pre_aggregations: [{name: r, measures: [x, revenue]}]\n"),
         GR_ERR_MODEL_INVALID, "'orders.x' is computed in stages", 9, 45, "store the measures that it is made of"},
        /* Also when it is made of one. */
        {MODEL("      - {name: x, multi_stage: true, type: sum, sql: \"{revenue}\"}\n"
               "      - {name: y, type: number, sql: \"{x} / {revenue}\"}\n"
               "    pre_aggregations: [{name: r, measures: [y, revenue]}]\n"),
         GR_ERR_MODEL_INVALID, "'orders.y' is computed in stages", 10, 45, NULL},
    };
    expect(rows, COUNT(rows));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_grains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters_shifts_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views_and_children, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_of_grains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_of_shifts_and_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_circles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_circle_through_a_dimension, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rollups, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
