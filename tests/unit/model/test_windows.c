/* Rolling windows (cube.md 1.10), running totals and the precision of sketches: what is loaded, and each fault. */
#include "unit/model/model_fixture.h"

/* The keys of a measure behind name and type; the measure stands on line 6. */
#define M(text)                                                                                                        \
    "cubes:\n  - name: a\n    sql_table: t\n    dimensions: [{name: id, sql: id, type: number, primary_key: true}]\n"  \
    "    measures:\n      - {name: x, " text "}\n"
#define W(text) M("type: sum, sql: x, rolling_window: {" text "}")

typedef struct fault {
    const char *yaml;
    gr_status status;
    const char *message;
    uint32_t col; /* of line 6 */
    const char *hint;
} fault;

static void expect(const fault *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (load(rows[i].yaml) != GR_ERR_MODEL_INVALID_SET) fail_msg("row %zu is accepted", i);
        const gr_diag *d = find_diag(rows[i].status, rows[i].message);
        expect_at(d, 6, rows[i].col);
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
        if (diags.n_errors == 1) continue;
        print_diags();
        fail_msg("row %zu: %zu errors", i, diags.n_errors);
    }
}

static bool same(gr_interval a, gr_interval b) { return a.months == b.months && a.days == b.days && a.us == b.us; }

static void test_windows(void **state) {
    (void)state;
    enum { TRAILING = 1, TRAILING_ALL = 2, LEADING = 4, LEADING_ALL = 8, START = 16 };
    static const int64_t hour = INT64_C(3600000000);
    const struct {
        const char *yaml;
        gr_window_kind kind;
        int flags;
        gr_interval trailing, leading;
        gr_grain unit, to_date;
    } rows[] = {
        {W("trailing: 7 day"), GR_WINDOW_FIXED, TRAILING, {0, 7, 0}, {0}, GR_GRAIN_DAY, 0},
        {W("type: fixed, trailing: 1 month, offset: start"),
         GR_WINDOW_FIXED,
         TRAILING | START,
         {1, 0, 0},
         {0},
         GR_GRAIN_MONTH,
         0},
        {W("trailing: unbounded"), GR_WINDOW_FIXED, TRAILING | TRAILING_ALL, {0}, {0}, GR_GRAIN_NONE, 0},
        {W("leading: unbounded, offset: end"), GR_WINDOW_FIXED, LEADING | LEADING_ALL, {0}, {0}, GR_GRAIN_NONE, 0},
        {W("trailing: unbounded, leading: 2 hours"),
         GR_WINDOW_FIXED,
         TRAILING | TRAILING_ALL | LEADING,
         {0},
         {0, 0, 2 * hour},
         GR_GRAIN_HOUR,
         0},
        {W("trailing: -1 week, leading: 30 minutes"),
         GR_WINDOW_FIXED,
         TRAILING | LEADING,
         {0, -7, 0},
         {0, 0, hour / 2},
         GR_GRAIN_MINUTE,
         0},
        {W("trailing: 2 weeks"), GR_WINDOW_FIXED, TRAILING, {0, 14, 0}, {0}, GR_GRAIN_WEEK, 0},
        {W("trailing: 1 year, leading: 1 quarter"),
         GR_WINDOW_FIXED,
         TRAILING | LEADING,
         {12, 0, 0},
         {3, 0, 0},
         GR_GRAIN_QUARTER,
         0},
        /* Weeks and months have only days in common. */
        {W("trailing: 1 month, leading: 1 week"),
         GR_WINDOW_FIXED,
         TRAILING | LEADING,
         {1, 0, 0},
         {0, 7, 0},
         GR_GRAIN_DAY,
         0},
        {W("type: to_date, granularity: quarter"), GR_WINDOW_TO_DATE, 0, {0}, {0}, GR_GRAIN_NONE, GR_GRAIN_QUARTER},
        {W("type: to_date, granularity: week"), GR_WINDOW_TO_DATE, 0, {0}, {0}, GR_GRAIN_NONE, GR_GRAIN_WEEK},
        {W("type: year_to_date"), GR_WINDOW_TO_DATE, 0, {0}, {0}, GR_GRAIN_NONE, GR_GRAIN_YEAR},
        {W("type: quarter_to_date"), GR_WINDOW_TO_DATE, 0, {0}, {0}, GR_GRAIN_NONE, GR_GRAIN_QUARTER},
        {W("type: month_to_date"), GR_WINDOW_TO_DATE, 0, {0}, {0}, GR_GRAIN_NONE, GR_GRAIN_MONTH},
        {M("type: running_total, sql: x"), GR_WINDOW_FIXED, TRAILING | TRAILING_ALL, {0}, {0}, GR_GRAIN_NONE, 0},
        {M("type: runningTotal, sql: x"), GR_WINDOW_FIXED, TRAILING | TRAILING_ALL, {0}, {0}, GR_GRAIN_NONE, 0},
        {M("type: sum, sql: x"), GR_WINDOW_NONE, 0, {0}, {0}, GR_GRAIN_NONE, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        assert_int_equal(diags.list.n, 0);
        const gr_member *m = member("a.x");
        const gr_window *w = &m->window;
        int flags = w->has_trailing * TRAILING + w->is_trailing_unbounded * TRAILING_ALL + w->has_leading * LEADING +
                    w->is_leading_unbounded * LEADING_ALL + w->is_offset_start * START;
        assert_int_equal(m->agg, GR_MEASURE_SUM);
        if (w->kind != rows[i].kind || flags != rows[i].flags || w->unit != rows[i].unit ||
            w->to_date != rows[i].to_date || !same(w->trailing, rows[i].trailing) || !same(w->leading, rows[i].leading))
            fail_msg("row %zu: %s", i, rows[i].yaml);
        assert_true(gr_measure_is_additive(m));
    }
}

static void test_types(void **state) {
    (void)state;
    static const char *const types[] = {"sum", "avg", "min", "max", "count", "count_distinct", "count_distinct_approx"};
    for (size_t i = 0; i < COUNT(types); i++) {
        load_good(gr_arena_printf(arena, M("type: %s, sql: x, rollingWindow: {trailing: 7 day}"), types[i]).p);
        assert_int_equal(member("a.x")->window.kind, GR_WINDOW_FIXED);
    }
    load_good(M("type: count, rolling_window: {trailing: 7 day}"));
    assert_int_equal(member("a.x")->window.kind, GR_WINDOW_FIXED);
}

static void test_faults(void **state) {
    (void)state;
    static const fault rows[] = {
        {W(""), GR_ERR_MODEL_INVALID, "(measures.x.rollingWindow) needs trailing or leading", 54, "trailing: 7 day"},
        {W("offset: end"), GR_ERR_MODEL_INVALID, "(measures.x.rollingWindow) needs trailing or leading", 54, NULL},
        {W("trailing: 7"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.trailing = 7) does not match regexp: /^(-?\\d+) "
         "(minute|hour|day|week|month|quarter|year)s?$/",
         65, "7 day"},
        {W("trailing: 30 second"), GR_ERR_MODEL_INVALID, "(measures.x.rollingWindow.trailing = 30 second) does not", 65,
         NULL},
        {W("trailing: 1 day 2 hours"), GR_ERR_MODEL_INVALID, "does not match", 65, NULL},
        {W("trailing: \"- 1 day\""), GR_ERR_MODEL_INVALID, "does not match", 65, NULL},
        {W("trailing: 1 days x"), GR_ERR_MODEL_INVALID, "does not match", 65, NULL},
        {W("trailing: 99999999999999 years"), GR_ERR_MODEL_INVALID, "does not match", 65, NULL},
        {W("leading: for ever"), GR_ERR_MODEL_INVALID, "(measures.x.rollingWindow.leading = for ever)", 64, NULL},
        {W("trailing: [7 day]"), GR_ERR_MODEL_INVALID, "(measures.x.rollingWindow.trailing = [object Object])", 65,
         NULL},
        {W("trailing: 7 day, offset: middle"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.offset = middle) must be one of [start, end]", 80, NULL},
        {W("trailing: 7 day, granularity: day"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.granularity = day) is not allowed", 72, NULL},
        {W("type: sliding, trailing: 7 day"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.type = sliding) must be one of [fixed, to_date, ", 61, NULL},
        {W("type: to_date"), GR_ERR_MODEL_INVALID, "(measures.x.rollingWindow.granularity) is required", 54, NULL},
        {W("type: to_date, granularity: fortnight"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.granularity = fortnight) must be one of [second, minute", 83, NULL},
        {W("type: to_date, granularity: day, trailing: 7 day"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.trailing = 7 day) is not allowed", 88, NULL},
        {W("type: year_to_date, granularity: day"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow.granularity = day) is not allowed", 75, NULL},
        {W("trailing: 7 day, trail: 1 day"), GR_ERR_MODEL_UNKNOWN_KEY, "(measures.x.rollingWindow.trail = 1 day)", 72,
         NULL},
        {M("type: sum, sql: x, rolling_window: 7 day"), GR_ERR_MODEL_INVALID, "must be of type object", 54, NULL},
        {M("type: number, sql: \"sum(x)\", rolling_window: {trailing: 7 day}"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow) needs a measure that aggregates rows", 48, "put the window on the measures"},
        {M("type: string, sql: \"max(x)\", rolling_window: {trailing: 7 day}"), GR_ERR_MODEL_INVALID,
         "needs a measure that aggregates rows", 48, NULL},
        {M("type: running_total"), GR_ERR_MODEL_INVALID, "(measures.x.sql) is required", 9, NULL},
        {M("type: running_total, sql: x, rolling_window: {trailing: 7 day}"), GR_ERR_MODEL_INVALID,
         "(measures.x.rollingWindow = [object Object]) is not allowed", 48, NULL},
        {M("type: count_distinct_approx, sql: x, precision: 3"), GR_ERR_MODEL_INVALID,
         "(measures.x.precision = 3) must be a whole number from 4 to 17", 67, "11"},
        {M("type: count_distinct_approx, sql: x, precision: 18"), GR_ERR_MODEL_INVALID, "from 4 to 17", 67, NULL},
        {M("type: count_distinct_approx, sql: x, precision: high"), GR_ERR_MODEL_INVALID, "from 4 to 17", 67, NULL},
        {M("type: count_distinct_approx, sql: x, precision: 11.5"), GR_ERR_MODEL_INVALID, "from 4 to 17", 67, NULL},
        {M("type: count_distinct, sql: x, precision: 11"), GR_ERR_MODEL_INVALID,
         "(measures.x.precision = 11) is not allowed", 49, NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_precision(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        int log2m;
    } rows[] = {{M("type: count_distinct_approx, sql: x"), 11},
                {M("type: number, sql: \"approx_count_distinct(x)\""), 11},
                {M("type: count_distinct_approx, sql: x, precision: 4"), 4},
                {M("type: countDistinctApprox, sql: x, precision: 17"), 17}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        assert_int_equal(member("a.x")->hll_log2m, rows[i].log2m);
    }
}

/* What a rollup stores of a windowed measure is the measure without its window. */
static void test_rollup_of_windows(void **state) {
    (void)state;
    load_good(M("type: sum, sql: x, rolling_window: {trailing: 7 day}") "    pre_aggregations: [{name: r, measures: "
                                                                        "[x]}]\n"
                                                                        "views:\n"
                                                                        "  - {name: v, cubes: [{join_path: a, "
                                                                        "includes: \"*\"}]}\n");
    assert_ptr_equal(model->preaggs[0]->measures[0].member, member("a.x"));
    assert_int_equal(member("v.x")->window.kind, GR_WINDOW_FIXED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_precision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rollup_of_windows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
