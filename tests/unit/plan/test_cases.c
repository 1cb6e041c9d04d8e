/* Conformance cases of cube.md §7.2 that planning alone shows; each row begins with its number there. */
#include "plan_shop.h"
#include "plan_test.h"

#define LOOSE ", allow_non_strict_date_range_match: true"
#define AT(name, grain, more)                                                                                          \
    "  - {name: " name ", measures: [count], time_dimension: created_at, granularity: " grain more "}\n"
#define THREE(m, d, h) AT("monthly", "month", m) AT("daily", "day", d) AT("hourly", "hour", h)
#define TYPES                                                                                                          \
    "  - {name: types, measures: [uniq], dimensions: [status, city], segments: [done], time_dimension: created_at, "   \
    "granularity: day}\n"
#define FLAT "  - {name: flat, measures: [uniq], dimensions: [status, city]}\n"
#define ALL                                                                                                            \
    "  - {name: all, measures: [count, total, uniq], dimensions: [status], time_dimension: created_at, granularity: "  \
    "day}\n"
#define RATIO                                                                                                          \
    "  - {name: ratios, measures: [ratio2], dimensions: [status], time_dimension: created_at, granularity: day}\n"
#define CHECKINS "  - {name: checkins, measures: [items.qty, count], dimensions: [status, users.country]}\n"
#define GOOGLE                                                                                                         \
    "  - {name: google, measures: [count], dimensions: [status], segments: [done], time_dimension: created_at, "       \
    "granularity: day}\n"
#define BOTH_KEYS                                                                                                      \
    "  - {name: keys, measures: [total], dimensions: [id, users.id, status, users.name], time_dimension: created_at, " \
    "granularity: day}\n"
#define NO_KEYS                                                                                                        \
    "  - {name: no_keys, measures: [total], dimensions: [id, users.name], time_dimension: created_at, granularity: "   \
    "day}\n"
#define ORIGINAL "  - {name: original, type: original_sql}\n"

static const test_case shop[] = {
    /* 1, 2: the first that matches; weeks never from months */
    {THREE("", "", ""), "count", "", "year 2016-12-01 2018-12-31", "'timezone':'America/Los_Angeles'", "monthly", NULL},
    {THREE("", "", ""), "count", "", "week 2017-01-02 2019-02-08",
     "'filters':[{'or':[" F("count", "equals", "'5'") "," F("count", "equals", "'2'") "]}]", "daily", "granularity"},
    /* 4, 5 */
    {THREE("", "", ""), "count", "", "week 2017-01-01 2017-03-31", "", "daily", "granularity"},
    {THREE("", "", ""), "count", "", "week 2017-01-01 2017-03-30T22:59:59.999", "", "hourly", "granularity"},
    /* 7: tiled, where the reference finds none */
    {THREE("", "", ""), "count", "", "week 2017-01-01 2017-03-30T22:50:50.999", "", "daily + hourly + source",
     "granularity"},
    /* 8: the reference reads the month whole; here that must be allowed, else the range is tiled */
    {THREE("", "", ""), "count", "", "- 2017-01-01 2017-03-30T22:50:50.999", "", "monthly + daily + hourly + source",
     "range_not_aligned"},
    {THREE(LOOSE, "", ""), "count", "", "- 2017-01-01 2017-03-30T22:50:50.999", "", "monthly", NULL},
    /* 10, 11, 13: whole matches go before tilings, so that the one that may be inexact is read */
    {THREE("", LOOSE, ""), "count", "", "- 2017-01-01 2017-03-30T22:50:50.999", "", "daily", "range_not_aligned"},
    {THREE("", "", LOOSE), "count", "", "month 2017-01-01 2017-03-31", "", "monthly", NULL},
    {THREE("", "", LOOSE), "count", "", "- 2017-01-01 2017-03-30T22:50:50.999", "", "hourly", "range_not_aligned"},
    /* 14, 16, 17 */
    {ALL, "count", "", "day 2017-01-01 2017-03-31", "", "all", NULL},
    {ALL, "count", "", "week 2017-01-02 2017-01-29", "", "all", NULL},
    {ALL, "uniq", "status", "week 2017-01-02 2017-01-29", "", "source", "exact_grain"},
    /* 19: tiled: the bucket that the range cuts comes from the source */
    {AT("g", "two_weeks", ""), "count", "", "two_weeks 2024-01-08 2024-02-11", "", "g + source", "range_not_aligned"},
    {AT("g", "two_weeks", ""), "count", "", "two_weeks 2024-01-02 2024-01-10", "", "source", "range_not_aligned"},
    /* 20, 22 */
    {AT("g", "day", ""), "count", "", "two_weeks 2024-01-01 2024-01-28", "", "g", NULL},
    {AT("g", "day", ""), "count", "", "two_weeks_at_ten 2024-01-01 2024-01-28", "", "source", "granularity"},
    {AT("g", "hour", ""), "count", "", "two_weeks_at_ten 2024-01-01 2024-01-28", "", "g", NULL},
    /* 23 */
    {FLAT, "uniq", "", "", "'filters':[" F("status", "equals", "'a'") "," F("city", "equals", "'b'") "]", "flat", NULL},
    {FLAT, "uniq", "", "", FILTER("status", "equals", "'a'"), "source", "exact_grain"},
    /* 25 */
    {FLAT, "uniq", "city", "",
     "'filters':[{'and':[" F("status", "equals", "'a','b'") "," F("status", "equals", "'a'") "]}]", "flat", NULL},
    {FLAT, "uniq", "city", "",
     "'filters':[{'and':[" F("status", "equals", "'a','b'") "," F("status", "equals", "'a','c'") "]}]", "source",
     "exact_grain"},
    /* 26 */
    {FLAT, "uniq", "city", "", "'filters':[{'or':[" F("status", "equals", "'a'") "," F("city", "equals", "'b'") "]}]",
     "source", "exact_grain"},
    /* 28: another operator pins nothing; beside one that does, it does no harm */
    {FLAT, "uniq", "", "", "'filters':[" F("status", "equals", "'a'") "," F("city", "contains", "'b'") "]", "source",
     "exact_grain"},
    {FLAT, "uniq", "city", "", "'filters':[" F("status", "equals", "'a'") "," F("status", "contains", "'b'") "]",
     "flat", NULL},
    /* 29 */
    {TYPES, "uniq", "status city", "day", "'segments':['orders.done']", "types", NULL},
    {TYPES, "uniq", "status city", "day", "", "source", "exact_grain"},
    /* 31, 32: a view over the joins; a rollup with a time dimension that the query does not name */
    {THREE("", "", ""), "ov.count", "", "ov.created_at:month 2017-01-01 2017-01-31", "", "monthly", NULL},
    {ALL, "total", "status", "", "", "all", NULL},
    {ALL, "ov.count", "ov.status", "", "", "all", NULL},
    /* 38: a calculated measure at its exact columns, also through a view */
    {RATIO, "ratio2", "status", "day", "", "ratios", NULL},
    {RATIO, "ov.ratio", "ov.status", "ov.created_at:day", "", "ratios", NULL},
    {RATIO, "ov.uniq", "ov.status", "ov.created_at:day", "", "ratios", NULL},
    /* 40: derived dimension, a measure that does not merge: no rollup, and the stored rows of the cube are the source
     */
    {ALL ORIGINAL, "uniq", "status_city", "", "", "source", "dimension_missing"},
    {"  - {name: two, measures: [uniq], dimensions: [status, city]}\n" ORIGINAL, "uniq", "status_city", "", "",
     "source", "exact_grain"},
    /* 41: a count that the joins repeat; exact columns and no others. The status of an order does not repeat it. */
    {"  - {name: mult, measures: [count], dimensions: [items.product], time_dimension: created_at, granularity: day}\n",
     "count", "items.product", "day", "", "mult", NULL},
    {"  - {name: mult, measures: [users.count], dimensions: [status], time_dimension: created_at, granularity: day}\n",
     "users.count", "status", "", "", "source/users", "fan_out"},
    {"  - {name: mult, measures: [users.count], dimensions: [status], time_dimension: created_at, granularity: day}\n",
     "users.count", "status", "day", "", "mult", NULL},
    /* 44 */
    {"  - {name: plain, measures: [count], dimensions: [created_at]}\n", "count", "", "",
     FILTER("created_at", "inDateRange", "'2017-01-01','2017-01-31'"), "plain", NULL},
    /* 46 */
    {GOOGLE, "count", "", "week 2017-01-02 2017-01-29", "'segments':['orders.done']", "google", NULL},
    /* 53: grouped rows are not rows; also through a view */
    {NO_KEYS, "", "id users.name", "", "'ungrouped':true", "source", "ungrouped"},
    {NO_KEYS, "", "id users.name", "", "'ungrouped':true," FILTER("id", "equals", "'1'"), "source", "ungrouped"},
    {NO_KEYS, "", "ov.id ov.name", "", "'ungrouped':true", "source", "ungrouped"},
    /* 55, 56: with the keys of all joined cubes they are, whether or not the query selects them */
    {BOTH_KEYS, "", "id users.name", "", "'ungrouped':true", "keys", NULL},
    {BOTH_KEYS, "total", "id users.id", "", "'ungrouped':true", "keys", NULL},
    {BOTH_KEYS, "", "ov.status ov.name", "", "'ungrouped':true", "keys", NULL},
    /* Only one of the two cubes: a row of the rollup is a row of it all the same, but that is not asked. */
    {BOTH_KEYS, "total", "id", "", "'ungrouped':true", "source", "ungrouped"},
    /* 67 */
    {ALL, "count total uniq", "status", "day", "", "all", NULL},
    {ALL, "count total", "", "month", "", "all", NULL},
    /* 68: an average is stored as sum and count, so that it rolls up; the reference serves it at full match only */
    {"  - {name: avg, measures: [avg_a], dimensions: [status]}\n", "avg_a", "status", "", "", "avg", NULL},
    {"  - {name: avg, measures: [avg_a], dimensions: [status]}\n", "avg_a", "", "", "", "avg", NULL},
    /* 70, 71: measures over measures over measures, from their leaves, or stored themselves (which stores the leaves)
     */
    {"  - {name: base, measures: [count, total, avg_a], dimensions: [status]}\n", "ratio3", "status", "", "", "base",
     NULL},
    {"  - {name: base, measures: [count, total, avg_a], dimensions: [status]}\n", "ratio3", "", "", "", "base", NULL},
    {"  - {name: base, measures: [ratio3], dimensions: [status]}\n", "ratio3", "status", "", "", "base", NULL},
    {"  - {name: base, measures: [ratio3], dimensions: [status]}\n", "ratio3", "", "", "", "base", NULL},
    {"  - {name: base, measures: [count, total], dimensions: [status]}\n", "ratio2", "status", "", "", "source",
     "measure_missing"},
    /* 73 */
    {GOOGLE, "count", "status", "day", "'segments':['orders.done']", "google", NULL},
    {GOOGLE, "count", "status", "day", "", "google", NULL},
    {GOOGLE, "count", "status", "day", "'segments':['orders.big']", "source", "segment_missing"},
    /* 74: a custom grain; from days; finer than stored; an average rolls up here */
    {AT("g", "half_year", ""), "count", "", "half_year", "", "g", NULL},
    {AT("g", "half_year", ""), "count", "", "month", "", "source", "granularity"},
    {AT("g", "day", ""), "count", "", "half_year", "", "g", NULL},
    {"  - {name: g, measures: [avg_a], time_dimension: created_at, granularity: day}\n", "avg_a", "", "half_year", "",
     "g", NULL},
    {"  - {name: g, measures: [uniq], time_dimension: created_at, granularity: day}\n", "uniq", "", "half_year", "",
     "source", "exact_grain"},
    /* Several granularities are stored side by side: the first that the query's is built from. */
    {"  - name: g\n    measures: [uniq, count]\n    time_dimensions:\n    - {dimension: created_at, granularity: "
     "month}\n"
     "    - {dimension: created_at, granularity: day}\n",
     "count", "", "week", "", "g", NULL},
    {"  - name: g\n    measures: [uniq, count]\n    time_dimensions:\n    - {dimension: created_at, granularity: "
     "month}\n"
     "    - {dimension: created_at, granularity: day}\n",
     "uniq", "", "month", "", "source", "exact_grain"},
};

static void of_the_shop(void **state) {
    (void)state;
    test_check_cases(HEAD, USERS, shop, COUNT(shop), false);
}

/* 47: the range that a window over a rollup needs. */
static void window_range(void **state) {
    (void)state;
    static const test_case cases[] = {
        {"  - {name: roll, measures: [roll7], time_dimension: created_at, granularity: day}\n", "roll7", "",
         "day 2024-06-10 2024-06-10", "", "window(roll[2024-06-03 .. 2024-06-11))", NULL},
    };
    test_check_cases(HEAD, USERS, cases, COUNT(cases), true);
}

/* ---- 50: a hub that declares joins to its spokes, and stores their members ---- */
#define HUB                                                                                                            \
    "cubes:\n"                                                                                                         \
    "- name: orders\n  sql_table: hub\n  joins:\n"                                                                     \
    "  - {name: categories, sql: '{CUBE}.category_id = {categories.id}', relationship: many_to_one}\n"                 \
    "  - {name: entities, sql: '{CUBE}.entity_id = {entities.id}', relationship: many_to_one}\n"                       \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                                        \
    "  - {name: category, sql: category_id, type: string}\n"                                                           \
    "  measures: [{name: count, type: count}, {name: amount, type: sum, sql: amount}]\n"                               \
    "  pre_aggregations:\n"
#define SPOKES                                                                                                         \
    "- name: categories\n  sql_table: c\n  dimensions:\n  - {name: id, sql: id, type: string, primary_key: true}\n"    \
    "  - {name: name, sql: name, type: string}\n"                                                                      \
    "- name: entities\n  sql_table: e\n  dimensions:\n  - {name: id, sql: id, type: string, primary_key: true}\n"      \
    "  - {name: name, sql: name, type: string}\n"
#define HUB_ROLLUP                                                                                                     \
    "  - {name: hub, measures: [count, amount], dimensions: [category, categories.name, entities.name]}\n"

static const test_case hub[] = {
    {HUB_ROLLUP, "count amount", "category categories.name entities.name", "", "", "hub", NULL},
    {HUB_ROLLUP, "count", "categories.name", "", "", "hub", NULL},
    {HUB_ROLLUP, "amount", "entities.name", "", "", "hub", NULL},
    {HUB_ROLLUP, "amount", "entities.id", "", "", "source", "dimension_missing"},
};

static void of_the_hub(void **state) {
    (void)state;
    test_check_cases(HUB, SPOKES, hub, COUNT(hub), false);
}

/* ---- 52: ways through joins ---- */
#define WAY_CUBE(name, joins)                                                                                          \
    "- name: " name "\n  sql_table: " name "\n  joins: [" joins "]\n"                                                  \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                                        \
    "  measures: [{name: count, type: count}]\n"
#define WAY(to) "{name: " to ", sql: '{CUBE}." to "_id = {" to ".id}', relationship: many_to_one}"
#define WAYS                                                                                                           \
    "cubes:\n" WAY_CUBE("b", WAY("c")) WAY_CUBE("c", WAY("x")) WAY_CUBE("d", WAY("e")) WAY_CUBE("e", WAY("x"))         \
        WAY_CUBE("f", WAY("x")) WAY_CUBE("x", "")                                                                      \
            WAY_CUBE("orders", WAY("b") "," WAY("d") "," WAY("f")) "  pre_aggregations:\n"
#define WAY_VIEWS                                                                                                      \
    "views:\n- {name: by_d, cubes: [{join_path: orders, includes: [count]}, {join_path: orders.d.e.x, includes: "      \
    "[id], prefix: true}]}\n"

static void ways(void **state) {
    (void)state;
    static const char rollup[] = "  - {name: way, measures: [count], dimensions: [CUBE.d.e.x.id]}\n";
    static const test_case cases[] = {
        {rollup, "count", "", "", "", "way", NULL},
        {rollup, "count", "x.id", "", "", "source", "join_path"}, /* by f, the shortest */
        {rollup, "by_d.count", "by_d.x_id", "", "", "way", NULL},
        {rollup, "count", "f.id", "", "", "source", "dimension_missing"},
        {"  - {name: way, measures: [count], dimensions: [x.id]}\n", "count", "x.id", "", "", "way", NULL},
        {"  - {name: way, measures: [count], dimensions: [x.id]}\n", "by_d.count", "by_d.x_id", "", "", "source",
         "join_path"},
    };
    test_check_cases(WAYS, WAY_VIEWS, cases, COUNT(cases), false);
    gr_arena *arena = gr_arena_new();
    gr_str yaml = gr_arena_printf(arena, "%s%s%s", WAYS, rollup, WAY_VIEWS);
    gr_snapshot s = test_snapshot(yaml.p, arena);
    const gr_rollup *r = gr_plan_index_rollup(s.index, s.model->preaggs[0]);
    assert_string_equal(test_tree_words(&r->tree, arena).p, "orders orders>d d>e e>x");
    assert_string_equal(r->grain_columns.p, "[\"orders.d.e.x.id\"]");
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* ---- 64, 65: several facts ---- */
#define FACT(name, rollups)                                                                                            \
    "- name: " name "\n  sql_table: " name "\n  joins: [" WAY(                                                         \
        "customers") "]\n"                                                                                             \
                     "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                       \
                     "  measures: [{name: count, type: count}, {name: total, type: sum, sql: amount}]\n" rollups
#define FACTS                                                                                                          \
    "cubes:\n" FACT("returns", "  pre_aggregations:\n  - {name: of_returns, measures: [count, total], dimensions: "    \
                               "[customers.city]}\n") FACT("orders", "  pre_aggregations:\n")
#define CUSTOMERS                                                                                                      \
    "- name: customers\n  sql_table: customers\n"                                                                      \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: city, sql: city, type: "      \
    "string}\n"
#define OF_ORDERS "  - {name: of_orders, measures: [count, total], dimensions: [customers.city]}\n"
#define OF_BOTH                                                                                                        \
    "  - {name: of_both, measures: [count, total, returns.count, returns.total], dimensions: [customers.city]}\n"

static void facts(void **state) {
    (void)state;
    static const test_case cases[] = {
        {OF_ORDERS, "count total returns.count returns.total", "customers.city", "", "", "of_orders + of_returns",
         NULL},
        {OF_BOTH OF_ORDERS, "count total returns.count returns.total", "customers.city", "", "", "of_both", NULL},
        {OF_ORDERS OF_BOTH, "count returns.total", "customers.city", "", "", "of_both", "join_root"},
        {OF_BOTH, "count", "customers.city", "", "", "source", "facts"},
        /* Each on its own: one from a rollup, the other from the source (decisions 13); the reference takes none. */
        {"  - {name: other, measures: [count], dimensions: [id]}\n", "count returns.total", "customers.city", "", "",
         "source + of_returns", NULL},
    };
    test_check_cases(FACTS, CUSTOMERS, cases, COUNT(cases), false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_the_shop), cmocka_unit_test(window_range), cmocka_unit_test(of_the_hub),
        cmocka_unit_test(ways),        cmocka_unit_test(facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
