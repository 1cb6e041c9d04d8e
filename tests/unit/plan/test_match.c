/* Matching, as tables: the worked examples of cube.md §4.8 in their order, then its lists. Where a result departs from
 * the reference, the reason stands beside the row; the decision behind it is in docs/decisions. */
#include "plan_shop.h"
#include "plan_test.h"

#define SEGMENT "  - {name: seg, measures: [count, uniq], dimensions: [status], segments: [done]}\n"
#define NO_TIME "  - {name: flat, measures: [count, uniq], dimensions: [status]}\n"
#define COUNTRY "  - {name: country, measures: [count, total], dimensions: [users.country]}\n"
#define OWN "  - {name: own_grain, measures: [own, spread, opaque], dimensions: [status]}\n"
#define PLAIN_TIME "  - {name: plain, measures: [count, uniq], dimensions: [created_at, status]}\n"
#define TWO_TIMES                                                                                                      \
    "  - name: two\n    measures: [count]\n    time_dimensions:\n"                                                     \
    "    - {dimension: created_at, granularity: day}\n    - {dimension: updated_at, granularity: month}\n"
#define FAT "  - {name: fat, measures: [count], dimensions: [status, city]}\n"
#define THIN "  - {name: thin, measures: [count], dimensions: [status]}\n"
#define ROLLING(grain)                                                                                                 \
    "  - {name: roll, measures: [roll7, rollm, running], time_dimension: created_at, granularity: " grain "}\n"
#define MULTIPLIED "  - {name: mult, measures: [total, count, items.qty], dimensions: [status, items.product]}\n"
#define VALUES "  - {name: vals, dimensions: [status, user_id]}\n"
#define KEYS "  - {name: keys, measures: [count, total], dimensions: [id, status]}\n"

static const test_case numbered[] = {
    /*  1 */ {MAIN, "count", "status", "", "", "main", NULL},
    /*  2 */ {MAIN, "count", "", "", "", "main", NULL},
    /*  3 */ {MAIN, "uniq", "status", "", "", "source", "exact_grain"},
    /*  4 */ {MAIN, "uniq", "status city", "", "", "source", "exact_grain"},
    /*  5 */ {MAIN, "uniq", "city status", "day", "", "main", NULL},
    /*  6 */ {MAIN, "uniq", "status city", "month", "", "source", "exact_grain"},
    /*  7 */ {MAIN, "uniq", "status city", "day 2020-01-01 2020-01-31", "", "main", NULL},
    /*  8: the last day comes from the source, which no day of the rollup shares */
    {MAIN, "uniq", "status city", "day 2020-01-01 2020-01-31T15:30:00", "", "main + source", "range_not_aligned"},
    /*  9 */
    {MAIN, "uniq", "", "day", "'filters':[" F("status", "equals", "'a'") "," F("city", "equals", "'b'") "]", "main",
     NULL},
    /* 10 */ {MAIN, "uniq", "city", "day", FILTER("status", "equals", "'a'"), "main", NULL},
    /* 11 */ {MAIN, "uniq", "city", "day", FILTER("status", "equals", "'a','b'"), "source", "exact_grain"},
    /* 12 */ {MAIN, "uniq", "city status", "day", FILTER("status", "equals", "'a','b'"), "main", NULL},
    {MAIN, "uniq", "city status", "day", FILTER("status", "notEquals", "'a'"), "main", NULL},
    /* 13 */ {MAIN, "avg_a", "city status", "day", "", "main", NULL},
    /* 14 */ {MAIN, "ratio", "status", "", "", "main", NULL},
    /* 15: an average is a sum and a count here, so it rolls up; a distinct count does not */
    {MAIN, "ratio3", "status", "", "", "main", NULL},
    {MAIN, "ratio2", "status", "", "", "source", "exact_grain"},
    /* 16 */ {MAIN, "ratio2", "status city", "day", "", "main", NULL},
    /* 17 */ {MAIN, "done_total", "status", "", "", "source", "measure_missing"},
    /* 18 */ {MAIN, "count", "", "updated_at:day", "", "source", "time_dimension_missing"},
    /* 19 */ {MAIN, "count", "", "- 2020-01-01 2020-01-31", "", "main", NULL},
    /* 20, 21: tiled, where the reference drops or widens the edges, or refuses (strict) */
    {MAIN, "count", "", "- 2020-01-01T10:00:00 2020-01-31", "", "main + source", "range_not_aligned"},
    {MAIN, "total", "", "month 2020-01-01T10:00:00 2020-01-31T15:00:00", "", "main + source + source",
     "range_not_aligned"},
    /* 22 */ {MAIN, "count", "", "hour", "", "source", "granularity"},
    /* 23 */ {MAIN, "count", "", "week", "", "main", NULL},
    {MAIN, "count", "", "quarter", "", "main", NULL},
    {MAIN, "count", "", "year", "", "main", NULL},
    {MAIN, "count", "", "fiscal_year", "", "main", NULL},
    {MAIN, "count", "", "half_year", "", "main", NULL},
    {MAIN, "count", "", "sunday_week", "", "main", NULL},
    /* 24 */ {MAIN, "count", "", "fifteen_min", "", "source", "granularity"},
    /* 25 */ {MAIN, "count", "", "day; month", "", "main", NULL},
    /* 26 */
    {MAIN, "count", "", "", FILTER("created_at", "inDateRange", "'2020-01-01','2020-01-31'"), "source",
     "filter_missing"},
    /* 27 */ {MAIN, "count", "created_at", "", "", "source", "dimension_missing"},
    /* 28 */ {MAIN, "count", "status_city", "", "", "main", NULL},
    {MAIN, "count", "status_raw", "", "", "source", "dimension_missing"}, /* a raw column hides in it */
    /* 29 */ {MAIN, "uniq", "status_city", "day", "", "source", "exact_grain"},
    /* 30 */ {MAIN, "uniq", "status_alias city", "day", "", "main", NULL},
    /* 31 */ {MAIN, "count", "", "", "'segments':['orders.done']", "source", "segment_missing"},
    /* 32 */ {MAIN, "count", "status", "", FILTER("count", "gt", "'1'"), "main", NULL},
    /* 33 */ {MAIN, "count", "", "", FILTER("done_total", "gt", "'1'"), "source", "measure_missing"},
    /* 34 */
    {MAIN, "count", "", "", "'filters':[{'or':[" F("status", "equals", "'a'") "," F("city", "equals", "'b'") "]}]",
     "main", NULL},
    /* 35 */ {MAIN, "count", "users.name", "", "", "source", "dimension_missing"},
    /* 36 */ {MAIN, "ov.count", "ov.status", "", "", "main", NULL},
    {MAIN, "ov.ratio", "ov.status", "", "", "main", NULL},
    {MAIN, "ov.avg_a", "ov.status ov.city", "ov.created_at:day", "", "main", NULL},
    {MAIN, "ov.uniq", "ov.status ov.city", "ov.created_at:day", "", "main", NULL},
    {MAIN, "ov.uniq", "ov.status", "ov.created_at:day", "", "source", "exact_grain"},
    /* 37 */ {MAIN, "", "status", "", "", "main", NULL},
    /* 38 */ {MAIN, "", "user_id", "", "", "source", "dimension_missing"},
    /* 39 */ {MAIN, "count", "status", "", "'ungrouped':true", "source", "ungrouped"},
    /* 40 */
    {MAIN, "done_total", "", "", "'filters':[{'member':'orders.done_total','operator':'measureFilter'}]", "source",
     "measure_filter"},
    /* 41 */
    {MAIN, "count", "status", "", "'order':{'orders.status':'desc'},'limit':3,'offset':2,'total':true", "main", NULL},
    {MAIN, "count", "status", "", "'order':{'orders.count':'asc'},'limit':0", "main", NULL},
};

static const test_case lists[] = {
    /* What is pinned, and what is not: status is not selected. */
    {MAIN, "uniq", "city", "day", FILTER("status", "in", "'a'"), "main", NULL},
    {MAIN, "uniq", "city", "day", FILTER("status", "equals", "'a',null"), "source", "exact_grain"},
    {MAIN, "uniq", "city", "day", FILTER("status", "notEquals", "'a'"), "source", "exact_grain"},
    {MAIN, "uniq", "city", "day", FILTER("status", "set", ""), "source", "exact_grain"},
    {MAIN, "uniq", "city", "day", FILTER("status", "contains", "'a'"), "source", "exact_grain"},
    {MAIN, "uniq", "city", "day", FILTER("status_alias", "equals", "'a'"), "main", NULL},
    {MAIN, "uniq", "city", "day", FILTER("status_city", "equals", "'ab'"), "source", "exact_grain"},
    /* A range of exactly one bucket fixes it. */
    {MAIN, "uniq", "status city", "- 2020-01-05 2020-01-05", "", "main", NULL},
    {MAIN, "uniq", "status city", "month 2020-01-05 2020-01-05", "", "main", NULL},
    {MAIN, "uniq", "status city", "- 2020-01-05 2020-01-06", "", "source", "exact_grain"},
    /* What repeated values do not change is computed anew from a stored dimension of that very value. */
    {VALUES, "uniq", "status", "", "", "vals", NULL},
    {VALUES, "uniq uniqa", "", "", "", "vals", NULL},
    {VALUES, "uniq", "", "", FILTER("status", "equals", "'a','b'"), "vals", NULL},
    {VALUES, "ratio2", "", "", "", "source", "measure_missing"},
    {VALUES, "users.count", "", "", "", "source", "nothing"},
    /* Equal components are shared by expression and aggregation, never by name. */
    {MAIN, "total_again", "", "", "", "main", NULL},
    {MAIN, "top", "", "", "", "source", "measure_missing"},
    {MAIN, "uniqa", "status", "", "", "main", NULL},                  /* sketches merge */
    {MAIN, "uniqa14", "status", "", "", "source", "measure_missing"}, /* not of another precision */
    /* Segments stored as columns. */
    {SEGMENT, "count", "status", "", "", "seg", NULL},
    {SEGMENT, "count", "status", "", "'segments':['orders.done']", "seg", NULL},
    {SEGMENT, "uniq", "status", "", "'segments':['orders.done']", "seg", NULL},
    {SEGMENT, "uniq", "status", "", "", "source", "exact_grain"},
    {SEGMENT, "count", "status", "", "'segments':['orders.big']", "source", "segment_missing"},
    {SEGMENT, "count", "status", "", "'segments':['orders.done','orders.big']", "source", "segment_missing"},
    {SEGMENT, "ov.count", "ov.status", "", "'segments':['ov.done']", "seg", NULL},
    /* Without a time dimension. */
    {NO_TIME, "uniq", "status", "", "", "flat", NULL},
    {NO_TIME, "uniq", "", "", "", "source", "exact_grain"},
    {NO_TIME, "uniq", "", "", FILTER("status", "equals", "'a'"), "flat", NULL},
    {NO_TIME, "uniq", "", "", "'filters':[{'and':[" F("status", "equals", "'a'") "," F("status", "set", "") "]}]",
     "flat", NULL},
    {NO_TIME, "uniq", "", "", "'filters':[{'or':[" F("status", "equals", "'a'") "," F("status", "equals", "'b'") "]}]",
     "source", "exact_grain"},
    {NO_TIME, "uniq", "", "",
     "'filters':[{'or':[{'and':[" F("status", "equals", "'a'") "," F("status", "set", "") "]}," F("status", "equals",
                                                                                                  "'b'") "]}]",
     "source", "exact_grain"},
    {NO_TIME, "count", "", "- 2020-01-01 2020-01-31", "", "source", "time_dimension_missing"},
    {NO_TIME, "count", "", "day", "", "source", "time_dimension_missing"},
    /* Rolling windows: stored un-windowed, and asked over a stretch of time. */
    {ROLLING("day"), "roll7", "", "day 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    {ROLLING("day"), "roll7", "", "month 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    {ROLLING("day"), "roll7", "", "- 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    {ROLLING("day"), "roll7", "", "", "", "roll", NULL},
    {ROLLING("day"), "rollm", "", "day 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    {ROLLING("day"), "running", "", "day 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    {ROLLING("day"), "total", "", "day", "", "roll", NULL}, /* the same component */
    {ROLLING("month"), "running", "", "month 2020-01-01 2020-02-29", "", "window(roll)", NULL},
    {ROLLING("month"), "rollm", "", "month 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    /* A month before the last moment of February is a moment of January 29th, and that is no month's start: days are
     * needed, while the reference answers this from whole months, and so differs from its own source. */
    {ROLLING("month"), "rollm", "", "month 2020-01-01 2020-02-29", "", "window(source)", "granularity"},
    {ROLLING("month"), "roll7", "", "month 2020-01-01 2020-01-31", "", "window(source)", "granularity"},
    {ROLLING("hour"), "roll7", "", "day 2020-01-01 2020-01-31", "", "window(roll)", NULL},
    {ROLLING("week"), "roll7", "", "day 2020-01-01 2020-01-31", "", "window(source)", "granularity"},
    /* Across a join. */
    {COUNTRY, "total", "users.country", "", "", "country", NULL},
    {COUNTRY, "total", "", "", "", "country", NULL},
    {COUNTRY, "total", "status", "", "", "source", "dimension_missing"},
    /* Rollups of cubes that the query does not touch are no candidates: users without orders would be missing. */
    {COUNTRY, "users.count", "users.country", "", "", "source", "nothing"},
    {COUNTRY, "", "users.country", "", "", "source", "nothing"},
    {COUNTRY, "ov.count", "ov.country", "", "", "country", NULL},
    {COUNTRY, "", "ov.country", "", "", "country", NULL},
    /* Rows that a join repeats. */
    {MULTIPLIED, "total", "items.product status", "", "", "mult", NULL},
    {MULTIPLIED, "total", "items.product", "", "", "mult",
     NULL}, /* an order has one status: nothing is counted twice */
    {MULTIPLIED, "count", "items.product", "", "", "mult", NULL},
    {MULTIPLIED, "total", "status", "", "", "source", "join_root"},
    {MULTIPLIED, "total items.qty", "status", "", "", "source/orders + mult", "fan_out"},
    {MULTIPLIED, "total", "", "", FILTER("status", "equals", "'a'"), "source", "join_root"},
    {MULTIPLIED, "items.qty", "status", "", "", "mult", NULL},
    {MULTIPLIED, "items.qty", "", "", "", "mult", NULL},
    {MULTIPLIED, "total", "", "", "'filters':[{'member':'items.product','operator':'equals','values':['p']}]", "mult",
     NULL},
    {MULTIPLIED, "total", "", "", "'filters':[{'member':'items.product','operator':'equals','values':['p','q']}]",
     "source/orders", "fan_out"},
    /* Measures with aggregates of their own are taken apart; what cannot be is right at its exact grain only, and only
     * where its row is certain to exist. */
    {OWN, "own", "status", "", "", "own_grain", NULL},
    {OWN, "own", "", "", "", "own_grain", NULL},
    {OWN, "spread", "", "", "", "own_grain", NULL},
    {OWN, "avg_a", "", "", "", "own_grain", NULL},
    {OWN, "opaque", "status", "", "", "own_grain", NULL},
    {OWN, "opaque", "", "", "", "source", "exact_grain"},
    {OWN, "opaque", "", "", FILTER("status", "equals", "'a'"), "source", "exact_grain"},
    /* A time dimension stored as a plain dimension. */
    {PLAIN_TIME, "count", "created_at", "", "", "plain", NULL},
    {PLAIN_TIME, "count", "", "", FILTER("created_at", "inDateRange", "'2020-01-01','2020-01-31'"), "plain", NULL},
    {PLAIN_TIME, "count", "", "", FILTER("created_at", "beforeDate", "'2020-01-01T10:30:00'"), "plain", NULL},
    {PLAIN_TIME, "count", "", "day", "", "source", "time_dimension_missing"},
    {PLAIN_TIME, "count", "", "- 2020-01-01 2020-01-31", "", "source", "time_dimension_missing"},
    /* Its values may be spelt in two ways when the type is not known. */
    {PLAIN_TIME, "uniq", "created_at status", "", "", "source", "exact_grain"},
    /* Several time dimensions. */
    {TWO_TIMES, "count", "", "day", "", "two", NULL},
    {TWO_TIMES, "count", "", "updated_at:month", "", "two", NULL},
    {TWO_TIMES, "count", "", "updated_at:day", "", "source", "granularity"},
    {TWO_TIMES, "count", "", "day; updated_at:month", "", "two", NULL},
    {TWO_TIMES, "count", "", "day; updated_at:day", "", "source", "granularity"},
    {TWO_TIMES, "count", "", "month; updated_at:year", "", "two", NULL},
    /* Definition order, whatever the size. */
    {FAT THIN, "count", "status", "", "", "fat", NULL},
    {THIN FAT, "count", "status", "", "", "thin", NULL},
    {THIN FAT, "count", "city", "", "", "fat", "dimension_missing"},
    /* Rows: one stored row must be one joined row. */
    {KEYS, "count", "status", "", "'ungrouped':true", "keys", NULL},
    {KEYS, "total", "id", "", "'ungrouped':true", "keys", NULL},
    {KEYS, "total", "city", "", "'ungrouped':true", "source", "dimension_missing"},
    {KEYS, "total", "users.name", "", "'ungrouped':true", "source", "ungrouped"},
};

static void worked_examples(void **state) {
    (void)state;
    test_check_cases(HEAD, USERS, numbered, COUNT(numbered), false);
}

static void worked_lists(void **state) {
    (void)state;
    test_check_cases(HEAD, USERS, lists, COUNT(lists), false);
}

/* The default for those that do not say; what says so itself is not overruled. */
static void non_strict_by_default(void **state) {
    (void)state;
    static const struct {
        const char *own;
        bool by_default, is_non_strict;
        const char *serves;
    } rows[] = {
        {"", false, false, "main + source"},
        {"", true, true, "main"},
        {", allow_non_strict_date_range_match: false", true, false, "main + source"},
        {", allow_non_strict_date_range_match: true", false, true, "main"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena,
                                      "%s  - {name: main, measures: [count], time_dimension: created_at, granularity: "
                                      "day%s}\n%s",
                                      HEAD, rows[i].own, USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        s.index = gr_plan_index_new(
            s.model, (gr_plan_defaults){.is_external = true, .is_non_strict = rows[i].by_default}, NULL, arena);
        gr_plan *plan;
        gr_error err = {0};
        const char *json = test_json("count", "", "- 2020-01-01 2020-01-15T15:30:00", "", arena);
        assert_int_equal(test_plan(&s, json, arena, &plan, &err), GR_OK);
        assert_string_equal(test_words(plan, false, arena).p, rows[i].serves);
        assert_int_equal(plan->is_non_strict_range, rows[i].is_non_strict);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* When one stored row is one group of the answer: what that is said of. */
static void exact_matches(void **state) {
    (void)state;
    static const struct {
        const char *measures, *dimensions, *times, *more;
        bool is_exact;
    } rows[] = {
        {"count", "status city", "day", "", true},
        {"count", "city status", "day 2020-01-01 2020-01-31", "", true},
        {"count", "status_alias city", "day", "", true},
        {"count", "city", "day", FILTER("status", "equals", "'a'"), true},
        {"count", "status city", "day; month", "", true},
        {"count", "status", "day", "", false},
        {"count", "status city", "month", "", false},
        {"count", "status city", "- 2020-01-01 2020-01-01", "", true}, /* one bucket */
        {"count", "status city", "month 2020-01-01 2020-01-01", "", true},
        {"count", "status city", "- 2020-01-01 2020-01-02", "", false},
        {"count", "status city", "", "", false},
        {"count", "status_city", "day", "", false},
        {"count", "city", "day", FILTER("status", "equals", "'a','b'"), false},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD MAIN USERS, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_plan *plan;
        gr_error err = {0};
        const char *json = test_json(rows[i].measures, rows[i].dimensions, rows[i].times, rows[i].more, arena);
        assert_int_equal(test_plan(&s, json, arena, &plan, &err), GR_OK);
        assert_non_null(plan->rollup);
        if (plan->is_exact_match != rows[i].is_exact) fail_msg("row %zu %s", i, json);
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* The same inputs give the same plan, and rollup-only mode refuses what nothing serves, and what is served in part. */
static void rollup_only_refuses(void **state) {
    (void)state;
    static const test_case cases[] = {
        {"", "top", "", "", "", "plan.rollup_only", NULL},
        {"", "total", "", "", "", "main", NULL},
        {"", "total", "", "- 2020-01-01 2020-01-31", "", "main", NULL},
        {"", "total", "", "- 2020-01-01T10:00:00 2020-01-31", "", "plan.rollup_only", NULL},
        {"", "total top", "", "", "", "plan.rollup_only", NULL},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD MAIN USERS, arena);
    s.is_rollup_only = true;
    for (size_t i = 0; i < COUNT(cases); i++) assert_true(test_case_holds(&s, &cases[i], i, false, arena));
    gr_plan *plan;
    gr_error err = {0};
    assert_int_equal(test_plan(&s, "{\"measures\":[\"orders.top\"]}", arena, &plan, &err), GR_ERR_PLAN_ROLLUP_ONLY);
    assert_non_null(strstr(err.hint, "orders.main"));
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

#define IN(member, value) "{member: " member ", operator: equals, values: ['" value "']}"

/* decisions 16: MD5 of the bare JSON list of sorted, qualified grain columns; one identity shares its components. */
static void identity(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s =
        test_snapshot(HEAD "  - {name: a, measures: [count], dimensions: [status, city]}\n  - {name: b, measures: "
                           "[total], dimensions: [city, status]}\n"
                           "  - {name: d, measures: [total], time_dimension: created_at, granularity: day}\n" USERS,
                      arena);
    const gr_cube *orders = gr_model_cube(s.model, GR_STR("orders"));
    const gr_rollup *a = gr_plan_index_rollup(s.index, orders->preaggs[0]),
                    *b = gr_plan_index_rollup(s.index, orders->preaggs[1]);
    const gr_rollup *d = gr_plan_index_rollup(s.index, orders->preaggs[2]);
    assert_true(gr_str_eq_z(a->grain_columns, "[\"orders.city\", \"orders.status\"]"));
    assert_true(gr_str_eq(a->grain_hash, b->grain_hash));
    assert_ptr_equal(b->entity, a);
    assert_int_equal(b->n_components, 2);
    assert_true(gr_str_eq_z(d->grain_columns, "[\"orders.created_at.day\"]"));
    const gr_tz *tokyo;
    assert_int_equal(gr_tz_get(GR_STR("Asia/Tokyo"), &tokyo, NULL), GR_OK);
    assert_ptr_equal(gr_rollup_zone(a, tokyo), gr_tz_utc());
    assert_ptr_equal(gr_rollup_zone(d, tokyo), tokyo);
    assert_false(gr_str_eq(gr_rollup_grain_hash(d, tokyo, arena), d->grain_hash));
    gr_plan *plan;
    gr_error err = {0};
    assert_int_equal(test_plan(&s, test_json("count total", "city", "", "", arena), arena, &plan, &err), GR_OK);
    assert_ptr_equal(plan->rollup, a); /* together they cover what neither declares alone */
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* A table is one for all zones only when nothing in it, its static filters included, truncates in the query's zone. */
static void whose_tables_depend_on_the_zone(void **state) {
    (void)state;
    static const struct {
        const char *rollup;
        bool depends;
    } cases[] = {
        {"{name: a, measures: [count], dimensions: [status], time_dimension: created_at, granularity: hour}", false},
        {"{name: a, measures: [count], dimensions: [status], filters: [" IN("status", "a") "]}", false},
        {"{name: a, measures: [count], dimensions: [status], filters: [" IN("created_at", "2024-01-01") "]}", false},
        {"{name: a, measures: [count], time_dimension: created_at, granularity: day}", true},
        {"{name: a, measures: [count], dimensions: [month_no]}", true},
        {"{name: a, measures: [count], dimensions: [status], filters: [" IN("month_no", "11") "]}", true},
        {"{name: a, measures: [count], dimensions: [status], filters: [" IN("month_twice", "11") "]}", true},
        {"{name: a, measures: [count], dimensions: [status], filters: [{or: [" IN("status", "a") ", {and: [" IN(
             "month_no", "11") "]}]}]}",
         true},
        {"{name: a, measures: [count], segments: [in_november]}", true},
        {"{name: a, measures: [novembers]}", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(
            arena,
            "cubes:\n- name: orders\n  sql_table: orders\n  dimensions:\n"
            "  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: status, sql: status, type: string}\n"
            "  - {name: created_at, sql: created_at, type: time}\n"
            "  - {name: month_no, sql: \"extract(month FROM {created_at.day})\", type: number}\n"
            "  - {name: month_twice, sql: \"{month_no} * 2\", type: number}\n"
            "  segments:\n  - {name: in_november, sql: \"{month_no} = 11\"}\n"
            "  measures:\n  - {name: count, type: count}\n"
            "  - {name: novembers, type: count, filters: [{sql: \"{month_no} = 11\"}]}\n"
            "  pre_aggregations:\n  - %s\n",
            cases[i].rollup);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        const gr_rollup *a = gr_plan_index_rollup(s.index, s.model->preaggs[0]);
        assert_true(a->can_build);
        if (a->depends_on_zone != cases[i].depends) fail_msg("%s", cases[i].rollup);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_tables_depend_on_the_zone),
        cmocka_unit_test(worked_examples),
        cmocka_unit_test(worked_lists),
        cmocka_unit_test(non_strict_by_default),
        cmocka_unit_test(exact_matches),
        cmocka_unit_test(rollup_only_refuses),
        cmocka_unit_test(identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
