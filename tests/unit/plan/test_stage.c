/* Multi-stage measures (cube.md §5.9): the form of each, what is read below and at which grain, how rows are moved in
 * time, and what is refused. */
#include "plan_test.h"

#define HEAD                                                                                                           \
    "cubes:\n- name: orders\n  sql_table: orders\n  dimensions:\n"                                                     \
    "  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: status, sql: status, type: string}\n"        \
    "  - {name: city, sql: city, type: string}\n  - {name: user_id, sql: user_id, type: number}\n"                     \
    "  - {name: updated_at, sql: updated_at, type: time}\n"                                                            \
    "  - name: created_at\n    sql: created_at\n    type: time\n    granularities:\n"                                  \
    "    - {name: half_year, interval: 6 months, origin: '2020-01-01'}\n"                                              \
    "  measures:\n  - {name: count, type: count}\n  - {name: total, sql: amount, type: sum}\n"                         \
    "  - {name: uniq, sql: user_id, type: count_distinct}\n"                                                           \
    "  - {name: year_ago, multi_stage: true, sql: \"{total}\", type: number, time_shift: [{interval: 1 year, type: "   \
    "prior}]}\n"                                                                                                       \
    "  - {name: month_ago, multi_stage: true, sql: \"{total}\", type: number, time_shift: [{time_dimension: "          \
    "created_at, interval: 1 month, type: prior}]}\n"                                                                  \
    "  - {name: week_ahead, multi_stage: true, sql: \"{total}\", type: number, time_shift: [{interval: 1 week, type: " \
    "next}]}\n"                                                                                                        \
    "  - {name: uniq_ago, multi_stage: true, sql: \"{uniq}\", type: number, time_shift: [{interval: 1 month, type: "   \
    "prior}]}\n"                                                                                                       \
    "  - {name: growth, multi_stage: true, sql: \"{total} / {year_ago}\", type: number}\n"                             \
    "  - {name: all_of, multi_stage: true, sql: \"{total}\", type: number, group_by: []}\n"                            \
    "  - {name: of_status, multi_stage: true, sql: \"{total}\", type: number, group_by: [status]}\n"                   \
    "  - {name: not_city, multi_stage: true, sql: \"{total}\", type: number, reduce_by: [city]}\n"                     \
    "  - {name: not_time, multi_stage: true, sql: \"{total}\", type: number, grain: {exclude: [created_at]}}\n"        \
    "  - {name: most, multi_stage: true, sql: \"{total}\", type: max, reduce_by: [city]}\n"                            \
    "  - {name: per_user, multi_stage: true, sql: \"{total}\", type: avg, add_group_by: [user_id]}\n"                  \
    "  - {name: place, multi_stage: true, type: rank, order_by: [{sql: \"{total}\", dir: desc}], reduce_by: [city]}\n" \
    "  - {name: any_status, multi_stage: true, sql: \"{total}\", type: number, filter: {exclude: [status]}}\n"         \
    "  - {name: only_city, multi_stage: true, sql: \"{total}\", type: number, filter: {keep_only: [city]}}\n"          \
    "  - {name: any_time, multi_stage: true, sql: \"{total}\", type: number, filter: {exclude: [created_at]}}\n"       \
    "  - {name: of_ago, multi_stage: true, sql: \"{year_ago}\", type: number, group_by: [status]}\n"                   \
    "  - {name: share, sql: \"{total} / {all_of}\", type: number, multi_stage: true}\n"                                \
    "  - {name: bad_shift, multi_stage: true, sql: \"{total}\", type: sum, add_group_by: [user_id], time_shift: "      \
    "[{interval: 1 year, type: prior}]}\n"                                                                             \
    "  - {name: bad_fold, multi_stage: true, sql: \"{total}\", type: sum, add_group_by: [user_id], reduce_by: "        \
    "[city]}\n"                                                                                                        \
    "  - {name: bad_number, multi_stage: true, sql: \"{total}\", type: number, add_group_by: [user_id]}\n"             \
    "  - {name: bad_over, multi_stage: true, sql: \"{total}\", type: count_distinct, reduce_by: [city]}\n"             \
    "  pre_aggregations:\n"

#define DAY                                                                                                            \
    "  - {name: day, measures: [total, count], dimensions: [status, city], time_dimension: created_at, granularity: "  \
    "day}\n"
#define MONTH "  - {name: month, measures: [total], time_dimension: created_at, granularity: month}\n"
#define USER "  - {name: user, measures: [total], dimensions: [user_id, status]}\n"

static const test_case plans[] = {
    /* Moved in time: the range below is the moved one. */
    {DAY, "year_ago", "", "month 2020-01-01 2020-03-31", "", "shift(day[2019-01-01 .. 2019-04-01))", NULL},
    {MONTH, "year_ago", "", "month 2020-01-01 2020-03-31", "", "shift(month[2019-01-01 .. 2019-04-01))", NULL},
    {MONTH, "year_ago", "", "quarter 2020-01-01 2020-03-31", "", "shift(month[2019-01-01 .. 2019-04-01))", NULL},
    {MONTH, "month_ago", "", "quarter 2020-01-01 2020-03-31", "", "shift(source[2019-12-01 .. 2020-03-01))",
     "granularity"},
    {DAY, "month_ago", "", "quarter 2020-01-01 2020-03-31", "", "shift(day[2019-12-01 .. 2020-03-01))", NULL},
    {DAY, "week_ahead", "", "week 2020-01-06 2020-01-12", "", "shift(day[2020-01-13 .. 2020-01-20))", NULL},
    {DAY, "year_ago", "", "- 2020-01-01 2020-03-31", "", "shift(day[2019-01-01 .. 2019-04-01))", NULL},
    {DAY, "year_ago", "", "day", "", "shift(day)", NULL},
    {DAY, "year_ago", "status", "", "", "shift(day)", NULL},
    {DAY, "year_ago", "", "- 2020-01-01T10:00:00 2020-01-02", "",
     "shift(day[2019-01-02 .. 2019-01-03) + source[2019-01-01T10:00:00.000 .. 2019-01-02))", "range_not_aligned"},
    /* Only the time dimension that the shift names. */
    {DAY, "month_ago", "", "updated_at:day 2020-01-01 2020-01-31", "", "shift(source[2020-01-01 .. 2020-02-01))",
     "time_dimension_missing"},
    {DAY, "year_ago", "", "updated_at:day 2020-01-01 2020-01-31", "", "shift(source[2019-01-01 .. 2019-02-01))",
     "time_dimension_missing"},
    /* Month ends clamp: the first day that comes to lie in the range. */
    {DAY, "month_ago", "", "day 2020-03-01 2020-03-31", "", "shift(day[2020-02-01 .. 2020-03-01))", NULL},
    {DAY, "year_ago", "", "day 2021-02-28 2021-02-28", "", "shift(day[2020-02-28 .. 2020-03-01))", NULL},
    /* The value of a coarser grain in each row. */
    {DAY, "all_of", "status", "", "", "spread(day, day)", NULL},
    {DAY USER, "of_status", "status city", "", "", "spread(day, day)", NULL},
    {DAY, "of_status", "city", "", "", "spread(day, day)", NULL},
    {DAY MONTH, "not_city", "city", "month 2020-01-01 2020-01-31", "",
     "spread(day[2020-01-01 .. 2020-02-01), day[2020-01-01 .. 2020-02-01))", NULL},
    {MONTH DAY, "not_city", "city", "month 2020-01-01 2020-01-31", "",
     "spread(day[2020-01-01 .. 2020-02-01), month[2020-01-01 .. 2020-02-01))", NULL},
    {MONTH, "not_time", "", "month 2020-01-01 2020-03-31", "",
     "spread(month[2020-01-01 .. 2020-04-01), month[2020-01-01 .. 2020-04-01))", NULL},
    /* An aggregate over the rows of the answer, a rank among them; over rows of a finer grain. */
    {DAY, "most", "status city", "", "", "over(day)", NULL},
    {DAY, "place", "status city", "", "", "rank(day)", NULL},
    {DAY USER, "per_user", "status", "", "", "fold(user)", NULL},
    {DAY, "per_user", "status", "", "", "fold(source)", "dimension_missing"},
    /* Beside others, and below each other. */
    {DAY, "total year_ago", "", "month 2020-01-01 2020-03-31", "",
     "day[2020-01-01 .. 2020-04-01) + shift(day[2019-01-01 .. 2019-04-01))", NULL},
    {DAY, "growth", "", "month 2020-01-01 2020-03-31", "",
     "day[2020-01-01 .. 2020-04-01) + shift(day[2019-01-01 .. 2019-04-01))", NULL},
    {DAY, "share", "status", "", "", "day + spread(day, day)", NULL},
    {DAY, "of_ago", "status city", "- 2020-01-01 2020-01-31", "",
     "spread(shift(day[2019-01-01 .. 2019-02-01)), shift(day[2019-01-01 .. 2019-02-01)))", NULL},
    {DAY, "total", "status", "", FILTER("all_of", "gt", "'5'"), "day + spread(day, day)", NULL},
    /* Filters that do not hold below. */
    {USER, "any_status", "", "", FILTER("status", "equals", "'a'"), "spread(user, user)", NULL},
    {MONTH DAY, "any_status", "", "", FILTER("status", "equals", "'a'"), "spread(day, month)", "filter_missing"},
    {MONTH DAY, "only_city", "", "", "'filters':[" F("status", "equals", "'a'") "," F("city", "equals", "'b'") "]",
     "spread(day, day)", NULL},
    {MONTH DAY, "only_city", "", "", FILTER("status", "equals", "'a'"), "spread(day, month)", NULL},
    {DAY, "any_time", "", "month 2020-01-01 2020-01-31", "", "spread(day[2020-01-01 .. 2020-02-01), day)", NULL},
    /* Distinct counts move with whole buckets; parts of buckets could not be put together again. */
    {DAY, "uniq_ago", "", "month 2020-02-01 2020-02-29", "", "shift(source[2020-01-01 .. 2020-02-01))", NULL},
    {DAY, "uniq_ago", "", "week 2020-02-03 2020-02-09", "", "plan.unsupported", NULL},
    {DAY, "uniq_ago", "", "half_year 2020-01-01 2020-06-30", "", "plan.unsupported", NULL},
    /* Refused. */
    {DAY, "bad_shift", "status", "", "", "plan.unsupported", NULL},
    {DAY, "bad_fold", "status", "", "", "plan.unsupported", NULL},
    {DAY, "bad_number", "status", "", "", "plan.unsupported", NULL},
    {DAY, "bad_over", "status", "", "", "plan.unsupported", NULL},
    {DAY, "year_ago", "status", "", "'ungrouped':true", "plan.unsupported", NULL},
};

static void pieces(void **state) {
    (void)state;
    test_check_cases(HEAD, "", plans, COUNT(plans), true);
}

static const gr_stage_read *stage_of(const gr_plan *plan) {
    for (size_t i = 0; i < plan->n_pieces; i++)
        if (plan->pieces[i].kind == GR_PIECE_STAGE) return &plan->pieces[i].stage;
    fail_msg("no stage");
    return NULL;
}

/* Columns of the inner plan, and the place of each group column of the answer: "-" when it has none. */
static void columns(void **state) {
    (void)state;
    static const struct {
        const char *measures, *dimensions, *times, *inner, *places;
    } rows[] = {
        {"year_ago", "status", "month 2020-01-01 2020-03-31", "orders.status orders.created_at.month", "0 1"},
        {"year_ago", "", "day 2020-01-01 2020-03-31", "orders.created_at.day", "0"},
        {"month_ago", "", "week 2020-01-06 2020-01-12", "orders.created_at.day", "0"},
        {"month_ago", "", "half_year 2020-01-01 2020-06-30", "orders.created_at.day", "0"},
        {"week_ahead", "", "month 2020-01-01 2020-01-31", "orders.created_at.day", "0"},
        {"week_ahead", "", "hour 2020-01-01 2020-01-31", "orders.created_at.hour", "0"},
        {"all_of", "status city", "month 2020-01-01 2020-03-31", "", "- - -"},
        {"of_status", "city status", "month 2020-01-01 2020-03-31", "orders.status", "- 0 -"},
        {"of_status", "city", "", "", "-"},
        {"not_city", "city status", "month 2020-01-01 2020-03-31", "orders.status orders.created_at.month", "- 0 1"},
        {"not_time", "city", "month 2020-01-01 2020-03-31", "orders.city", "0 -"},
        {"per_user", "city", "", "orders.city orders.user_id", "0"},
        {"per_user", "user_id city", "", "orders.user_id orders.city", "0 1"},
        {"per_user", "city", "month 2020-01-01 2020-03-31", "orders.city orders.user_id orders.created_at.month",
         "0 2"},
        /* Partitions: "-" where rows that differ in it are one. */
        {"most", "city status", "", "orders.city orders.status", "- 1"},
        {"place", "status city", "month 2020-01-01 2020-03-31", "orders.status orders.city orders.created_at.month",
         "0 - 2"},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD DAY, arena);
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_plan *plan;
        gr_error err = {0};
        const char *json = test_json(rows[i].measures, rows[i].dimensions, rows[i].times, "", arena);
        if (test_plan(&s, json, arena, &plan, &err)) fail_msg("row %zu: %s", i, err.message);
        const gr_stage_read *read = stage_of(plan);
        const gr_query *inner = read->inner->query;
        gr_str names = {0}, places = {0};
        size_t n = 0;
        for (size_t k = 0; k < inner->n_columns; k++) {
            const gr_query_column *c = &inner->columns[k];
            const gr_granularity *g = c->kind == GR_COLUMN_TIME ? inner->time_dimensions[c->index].granularity : NULL;
            names = gr_arena_printf(arena, GR_FMT "%s" GR_FMT "%s" GR_FMT, GR_ARG(names), k ? " " : "", GR_ARG(c->key),
                                    g ? "." : "", GR_ARG(g ? g->name : GR_STR("")));
        }
        for (size_t k = 0; k < plan->query->n_columns; k++) {
            if (plan->query->columns[k].kind == GR_COLUMN_MEASURE) continue;
            size_t at = read->column_of[n++];
            places = at == SIZE_MAX ? gr_arena_printf(arena, GR_FMT "%s-", GR_ARG(places), places.n ? " " : "")
                                    : gr_arena_printf(arena, GR_FMT "%s%zu", GR_ARG(places), places.n ? " " : "", at);
        }
        if (gr_str_eq_z(names, rows[i].inner) && gr_str_eq_z(places, rows[i].places)) continue;
        print_error("row %zu: '" GR_FMT "', '" GR_FMT "'\n", i, GR_ARG(names), GR_ARG(places));
        n_bad++;
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
    assert_int_equal(n_bad, 0);
}

/* Which time dimension is moved, and how far. */
static void shifts(void **state) {
    (void)state;
    static const struct {
        const char *measures, *times;
        int64_t months[2], days[2];
    } rows[] = {
        {"year_ago", "month 2020-01-01 2020-03-31", {12}, {0}}, {"month_ago", "month 2020-01-01 2020-03-31", {1}, {0}},
        {"week_ahead", "day 2020-01-01 2020-03-31", {0}, {-7}}, {"month_ago", "updated_at:day; day", {0, 1}, {0}},
        {"year_ago", "updated_at:day; day", {12, 12}, {0}},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD DAY, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_plan *plan;
        gr_error err = {0};
        assert_int_equal(test_plan(&s, test_json(rows[i].measures, "", rows[i].times, "", arena), arena, &plan, &err),
                         GR_OK);
        const gr_stage_read *read = stage_of(plan);
        for (size_t k = 0; k < plan->query->n_time_dimensions; k++) {
            gr_interval by = read->shifts[k] ? read->shifts[k]->interval : (gr_interval){0};
            if (by.months != rows[i].months[k] || by.days != rows[i].days[k] || by.us) fail_msg("row %zu", i);
        }
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(columns),
        cmocka_unit_test(shifts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
