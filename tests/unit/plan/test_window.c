/* Windows over time (cube.md §5.8): the buckets of an answer with the stretch that each looks at, the grain and range
 * that are read below, and which pieces a plan has. A bucket in words: "2020-01-10: 2020-01-04 .. 2020-01-11", its
 * start and the first and the end of its stretch; an open end is empty. */
#include "plan_test.h"

#define MODEL(window)                                                                                                  \
    "cubes:\n- name: orders\n  sql_table: orders\n  dimensions:\n"                                                     \
    "  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: status, sql: status, type: string}\n"        \
    "  - {name: updated_at, sql: updated_at, type: time}\n"                                                            \
    "  - name: created_at\n    sql: created_at\n    type: time\n    granularities:\n"                                  \
    "    - {name: half_year, interval: 6 months, origin: '2020-01-01'}\n"                                              \
    "    - {name: fifteen_min, interval: 15 minutes}\n"                                                                \
    "    - {name: sunday_week, interval: 1 week, offset: -1 day}\n"                                                    \
    "  measures:\n  - {name: count, type: count}\n  - {name: total, sql: amount, type: sum}\n"                         \
    "  - {name: w, sql: amount, type: sum, rolling_window: {" window "}}\n"

typedef struct window_case {
    const char *window, *times;
    const char *base;    /* granularity of the inner plan */
    const char *range;   /* that is read, on the wall clock */
    const char *buckets; /* in words, separated by "; " */
} window_case;

static const window_case windows[] = {
    /* The table of §5.8, by day. */
    {"trailing: 7 day", "day 2020-01-10 2020-01-11", "day", "2020-01-03 .. 2020-01-12",
     "2020-01-10: 2020-01-04 .. 2020-01-11; 2020-01-11: 2020-01-05 .. 2020-01-12"},
    {"trailing: 7 day, offset: end", "day 2020-01-10 2020-01-10", "day", "2020-01-03 .. 2020-01-11",
     "2020-01-10: 2020-01-04 .. 2020-01-11"},
    {"trailing: 7 day, offset: start", "day 2020-01-10 2020-01-10", "day", "2020-01-03 .. 2020-01-11",
     "2020-01-10: 2020-01-03 .. 2020-01-10"},
    {"leading: 7 day", "day 2020-01-10 2020-01-10", "day", "2020-01-10 .. 2020-01-18",
     "2020-01-10: 2020-01-11 .. 2020-01-18"},
    {"leading: 7 day, offset: start", "day 2020-01-10 2020-01-10", "day", "2020-01-10 .. 2020-01-18",
     "2020-01-10: 2020-01-10 .. 2020-01-17"},
    {"trailing: 2 day, leading: 1 day", "day 2020-01-10 2020-01-10", "day", "2020-01-08 .. 2020-01-12",
     "2020-01-10: 2020-01-09 .. 2020-01-12"},
    {"trailing: 2 day, leading: 1 day, offset: start", "day 2020-01-10 2020-01-10", "day", "2020-01-08 .. 2020-01-12",
     "2020-01-10: 2020-01-08 .. 2020-01-11"},
    {"trailing: unbounded", "day 2020-01-10 2020-01-10", "day", " .. 2020-01-11", "2020-01-10:  .. 2020-01-11"},
    {"trailing: unbounded, offset: start", "day 2020-01-10 2020-01-10", "day", " .. 2020-01-11",
     "2020-01-10:  .. 2020-01-10"},
    {"leading: unbounded", "day 2020-01-10 2020-01-10", "day", "2020-01-10 .. ", "2020-01-10: 2020-01-11 .. "},
    {"leading: unbounded, offset: start", "day 2020-01-10 2020-01-10", "day", "2020-01-10 .. ",
     "2020-01-10: 2020-01-10 .. "},
    {"trailing: unbounded, leading: unbounded", "day 2020-01-10 2020-01-10", "day", " .. ", "2020-01-10:  .. "},
    {"trailing: unbounded, leading: 1 day", "day 2020-01-10 2020-01-10", "day", " .. 2020-01-12",
     "2020-01-10:  .. 2020-01-12"},
    /* A window that ends before its bucket begins. */
    {"trailing: -1 day, leading: 3 day", "day 2020-01-10 2020-01-10", "day", "2020-01-10 .. 2020-01-14",
     "2020-01-10: 2020-01-12 .. 2020-01-14"},
    /* Cases 89 of §7.2: five days, from the start and from the end. */
    {"trailing: 5 day, offset: start", "day 2017-01-06 2017-01-06", "day", "2017-01-01 .. 2017-01-07",
     "2017-01-06: 2017-01-01 .. 2017-01-06"},
    {"trailing: 5 day", "day 2017-01-06 2017-01-06", "day", "2017-01-01 .. 2017-01-07",
     "2017-01-06: 2017-01-02 .. 2017-01-07"},
    /* To date. */
    {"type: to_date, granularity: month", "day 2020-01-31 2020-02-01", "day", "2020-01-01 .. 2020-02-02",
     "2020-01-31: 2020-01-01 .. 2020-02-01; 2020-02-01: 2020-02-01 .. 2020-02-02"},
    {"type: to_date, granularity: quarter", "day 2017-01-05 2017-01-05", "day", "2017-01-01 .. 2017-01-06",
     "2017-01-05: 2017-01-01 .. 2017-01-06"},
    {"type: to_date, granularity: week", "day 2020-01-08 2020-01-08", "day", "2020-01-06 .. 2020-01-09",
     "2020-01-08: 2020-01-06 .. 2020-01-09"},
    {"type: year_to_date", "month 2020-03-01 2020-04-30", "month", "2020-01-01 .. 2020-05-01",
     "2020-03-01: 2020-01-01 .. 2020-04-01; 2020-04-01: 2020-01-01 .. 2020-05-01"},
    {"type: year_to_date", "quarter 2020-04-01 2020-06-30", "month", "2020-01-01 .. 2020-07-01",
     "2020-04-01: 2020-01-01 .. 2020-07-01"},
    {"type: year_to_date", "year 2020-01-01 2020-12-31", "year", "2020-01-01 .. 2021-01-01",
     "2020-01-01: 2020-01-01 .. 2021-01-01"},
    {"type: month_to_date", "week 2020-01-27 2020-02-02", "day", "2020-01-01 .. 2020-02-03",
     "2020-01-27: 2020-01-01 .. 2020-02-03"},
    {"type: month_to_date", "hour 2020-01-02T05:00:00 2020-01-02T05:59:59.999", "hour",
     "2020-01-01 .. 2020-01-02T06:00:00.000", "2020-01-02T05:00:00.000: 2020-01-01 .. 2020-01-02T06:00:00.000"},
    /* Months: an end is its last moment, so that month ends clamp as the source's intervals do. */
    {"trailing: 1 month", "month 2020-01-01 2020-01-31", "month", "2019-12-01 .. 2020-02-01",
     "2020-01-01: 2020-01-01 .. 2020-02-01"},
    {"trailing: 1 month", "month 2020-02-01 2020-03-31", "day", "2020-01-01 .. 2020-04-01",
     "2020-02-01: 2020-01-30 .. 2020-03-01; 2020-03-01: 2020-03-01 .. 2020-04-01"},
    {"trailing: 1 month", "month 2019-02-01 2019-02-28", "day", "2019-01-01 .. 2019-03-01",
     "2019-02-01: 2019-01-29 .. 2019-03-01"},
    {"trailing: 1 month, offset: start", "month 2020-02-01 2020-03-31", "month", "2020-01-01 .. 2020-04-01",
     "2020-02-01: 2020-01-01 .. 2020-02-01; 2020-03-01: 2020-02-01 .. 2020-03-01"},
    {"trailing: 1 month", "day 2020-03-30 2020-03-31", "day", "2020-02-29 .. 2020-04-01",
     "2020-03-30: 2020-03-01 .. 2020-03-31; 2020-03-31: 2020-03-01 .. 2020-04-01"},
    {"leading: 1 month", "day 2020-01-31 2020-01-31", "day", "2020-01-31 .. 2020-03-01",
     "2020-01-31: 2020-02-01 .. 2020-03-01"},
    {"trailing: 1 quarter", "month 2020-06-01 2020-06-30", "day", "2020-03-01 .. 2020-07-01",
     "2020-06-01: 2020-03-31 .. 2020-07-01"},
    {"trailing: 1 year, offset: start", "quarter 2020-04-01 2020-06-30", "month", "2019-04-01 .. 2020-07-01",
     "2020-04-01: 2019-04-01 .. 2020-04-01"},
    /* Shorter ones; a week is seven days. */
    {"trailing: 3 hour", "hour 2020-01-01T10:00:00 2020-01-01T10:59:59.999", "hour",
     "2020-01-01T07:00:00.000 .. 2020-01-01T11:00:00.000",
     "2020-01-01T10:00:00.000: 2020-01-01T08:00:00.000 .. 2020-01-01T11:00:00.000"},
    {"trailing: 90 minute", "hour 2020-01-01T10:00:00 2020-01-01T10:59:59.999", "minute",
     "2020-01-01T08:30:00.000 .. 2020-01-01T11:00:00.000",
     "2020-01-01T10:00:00.000: 2020-01-01T09:30:00.000 .. 2020-01-01T11:00:00.000"},
    {"trailing: 1 week", "day 2020-01-10 2020-01-10", "day", "2020-01-03 .. 2020-01-11",
     "2020-01-10: 2020-01-04 .. 2020-01-11"},
    {"trailing: 12 hour", "day 2020-01-10 2020-01-10", "hour", "2020-01-09T12:00:00.000 .. 2020-01-11",
     "2020-01-10: 2020-01-10T12:00:00.000 .. 2020-01-11"},
    /* Custom granularities. */
    {"trailing: 1 month", "half_year 2020-01-01 2020-06-30", "day", "2019-12-01 .. 2020-07-01",
     "2020-01-01: 2020-05-31 .. 2020-07-01"},
    {"trailing: 1 month", "half_year 2020-07-01 2020-12-31", "month", "2020-06-01 .. 2021-01-01",
     "2020-07-01: 2020-12-01 .. 2021-01-01"},
    {"trailing: 1 hour", "fifteen_min 2020-01-01T10:15:00 2020-01-01T10:29:59.999", "minute",
     "2020-01-01T09:15:00.000 .. 2020-01-01T10:30:00.000",
     "2020-01-01T10:15:00.000: 2020-01-01T09:30:00.000 .. 2020-01-01T10:30:00.000"},
    {"trailing: unbounded", "sunday_week 2020-06-07 2020-06-13", "day", " .. 2020-06-14", "2020-06-07:  .. 2020-06-14"},
    /* The first bucket holds the start of the range, the last its end; only rows of the widened range count. */
    {"trailing: 7 day", "month 2020-01-15 2020-02-10", "day", "2020-01-08 .. 2020-02-11",
     "2020-01-01: 2020-01-25 .. 2020-02-01; 2020-02-01: 2020-02-23 .. 2020-03-01"},
    /* A range that ends before it starts has no bucket, and nothing is looked at. */
    {"trailing: 7 day", "day 2020-01-31 2020-01-01", "day", "2020-01-31 .. 2020-01-31", ""},
    /* Without granularity: one stretch, relative to the range. */
    {"trailing: 7 day", "- 2020-01-10 2020-01-20", "", "2020-01-14 .. 2020-01-21", ""},
    {"trailing: 7 day, offset: start", "- 2020-01-10 2020-01-20", "", "2020-01-03 .. 2020-01-10", ""},
    {"leading: 7 day", "- 2020-01-10 2020-01-20", "", "2020-01-21 .. 2020-01-28", ""},
    {"leading: 7 day, offset: start", "- 2020-01-10 2020-01-20", "", "2020-01-10 .. 2020-01-17", ""},
    {"trailing: unbounded", "- 2017-01-01 2017-01-10", "", " .. 2017-01-11", ""}, /* case 92 */
    {"leading: unbounded, offset: start", "- 2020-01-10 2020-01-20", "", "2020-01-10 .. ", ""},
    {"trailing: unbounded, leading: unbounded", "- 2020-01-10 2020-01-20", "", " .. ", ""}, /* rows that have a time */
    {"type: month_to_date", "- 2020-01-10 2020-01-20", "", "2020-01-01 .. 2020-01-21", ""},
};

static gr_str bucket_words(const gr_window_read *w, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < w->n_buckets; i++) {
        if (i) gr_buf_z(&out, "; ");
        test_add_point(&out, w->buckets[i].at_local_us);
        gr_buf_z(&out, ": ");
        test_add_point(&out, w->buckets[i].from_local_us);
        gr_buf_z(&out, " .. ");
        test_add_point(&out, w->buckets[i].to_local_us);
    }
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static gr_str range_words(const gr_time_field *t, gr_arena *arena) {
    if (!t->has_range) return GR_STR("");
    gr_buf out;
    gr_buf_init(&out, 1000);
    test_add_point(&out, t->range.from_local_us);
    gr_buf_z(&out, " .. ");
    test_add_point(&out, t->range.to_local_us);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static const gr_piece *window_of(const gr_plan *plan) {
    for (size_t i = 0; i < plan->n_pieces; i++)
        if (plan->pieces[i].kind == GR_PIECE_WINDOW) return &plan->pieces[i];
    fail_msg("no window");
    return NULL;
}

/* On the wall clock, so that they are the same in every zone; the instants of the range are the zone's. */
static void check_windows(const char *zone) {
    const gr_tz *tz = NULL;
    assert_int_equal(gr_tz_get(gr_str_from(zone), &tz, NULL), GR_OK);
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(windows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(gr_arena_printf(arena, MODEL("%s"), windows[i].window).p, arena);
        gr_plan *plan;
        gr_error err = {0};
        gr_str more = gr_arena_printf(arena, "'timezone':'%s'", zone);
        const char *json = test_json("w", "", windows[i].times, more.p, arena);
        if (test_plan(&s, json, arena, &plan, &err)) fail_msg("row %zu: %s", i, err.message);
        assert_int_equal(plan->n_pieces, 1);
        const gr_window_read *w = &window_of(plan)->window;
        const gr_time_field *t = &w->inner->query->time_dimensions[w->time];
        gr_str base = t->granularity ? t->granularity->name : (gr_str){0};
        gr_str range = range_words(t, arena), buckets = bucket_words(w, arena);
        bool is_good = gr_str_eq_z(base, windows[i].base) && gr_str_eq_z(range, windows[i].range) &&
                       gr_str_eq_z(buckets, windows[i].buckets);
        if (!is_good)
            print_error("row %zu %s:\n  " GR_FMT ", '" GR_FMT "', '" GR_FMT "'\n", i, windows[i].window, GR_ARG(base),
                        GR_ARG(range), GR_ARG(buckets));
        n_bad += !is_good;
        if (t->has_range) {
            gr_range expected = gr_range_of_local(t->range.from_local_us, t->range.to_local_us, tz);
            assert_int_equal(t->range.from_utc_us, expected.from_utc_us);
            assert_int_equal(t->range.to_utc_us, expected.to_utc_us);
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

static void buckets(void **state) {
    (void)state;
    check_windows("UTC");
}

static void buckets_in_a_zone(void **state) {
    (void)state;
    check_windows("America/New_York");
}

/* A long series over jumps of the clock and month ends: buckets follow one another, and every stretch begins and ends
 * where the base grain does. */
static void stretches_are_base_grains(void **state) {
    (void)state;
    static const char *const forms[] = {"trailing: 7 day",
                                        "trailing: 1 month",
                                        "leading: 2 month, offset: start",
                                        "trailing: 90 minute",
                                        "trailing: 1 year, leading: 1 quarter",
                                        "type: quarter_to_date",
                                        "trailing: 2 week",
                                        "trailing: 3 hour, leading: 1 day",
                                        "type: to_date, granularity: week"};
    static const char *const grains[] = {"hour", "day", "week", "month", "quarter", "half_year", "sunday_week"};
    for (size_t f = 0; f < COUNT(forms); f++)
        for (size_t g = 0; g < COUNT(grains); g++) {
            gr_arena *arena = gr_arena_new();
            gr_snapshot s = test_snapshot(gr_arena_printf(arena, MODEL("%s"), forms[f]).p, arena);
            gr_plan *plan;
            gr_error err = {0};
            gr_str times = gr_arena_printf(arena, "%s 2019-01-31 2020-03-01", grains[g]);
            const char *json = test_json("w", "", times.p, "'timezone':'America/New_York'", arena);
            if (test_plan(&s, json, arena, &plan, &err)) fail_msg("%s: %s", times.p, err.message);
            const gr_window_read *w = &window_of(plan)->window;
            const gr_time_field *outer = &plan->query->time_dimensions[0],
                                *inner = &w->inner->query->time_dimensions[0];
            const gr_granularity *base = inner->granularity;
            assert_true(
                gr_grain_is_built_from(gr_granularity_base(outer->granularity, outer->anchor_local_us), base->grain));
            assert_true(w->n_buckets > 1);
            assert_true(w->buckets[0].at_local_us <= outer->range.from_local_us);
            for (size_t i = 0; i < w->n_buckets; i++) {
                const gr_bucket *b = &w->buckets[i];
                assert_int_equal(gr_granularity_floor(base, 0, b->from_local_us), b->from_local_us);
                assert_int_equal(gr_granularity_floor(base, 0, b->to_local_us), b->to_local_us);
                if (i)
                    assert_int_equal(b->at_local_us, gr_granularity_next(outer->granularity, outer->anchor_local_us,
                                                                         w->buckets[i - 1].at_local_us));
            }
            assert_true(gr_granularity_next(outer->granularity, outer->anchor_local_us,
                                            w->buckets[w->n_buckets - 1].at_local_us) >= outer->range.to_local_us);
            gr_model_unref(s.model);
            gr_arena_free(arena);
        }
}

/* ---- plans
 * ------------------------------------------------------------------------------------------------------------- */

#define MORE                                                                                                           \
    "  - {name: w_avg, sql: amount, type: avg, rolling_window: {trailing: 7 day}}\n"                                   \
    "  - {name: w_uniq, sql: id, type: count_distinct, rolling_window: {trailing: 7 day}}\n"                           \
    "  - {name: w_uniqa, sql: id, type: count_distinct_approx, rolling_window: {trailing: 7 day}}\n"                   \
    "  - {name: w_top, sql: amount, type: max, rolling_window: {trailing: 7 day}}\n"                                   \
    "  - {name: w_some, sql: id, type: count_distinct, rolling_window: {trailing: 7 day}, filters: [{sql: \"{CUBE}.x " \
    "= 1\"}]}\n"                                                                                                       \
    "  - {name: longer, sql: amount, type: sum, rolling_window: {trailing: 30 day}}\n"                                 \
    "  - {name: running, sql: amount, type: running_total}\n"                                                          \
    "  - {name: share, sql: \"{total} / {w}\", type: number}\n"                                                        \
    "  pre_aggregations:\n"
#define HEAD MODEL("trailing: 7 day") MORE
#define DAY                                                                                                            \
    "  - {name: day, measures: [w, count, w_avg, w_uniqa], dimensions: [status], time_dimension: created_at, "         \
    "granularity: day}\n"
#define VALUES "  - {name: vals, dimensions: [id], time_dimension: created_at, granularity: day}\n"
#define MONTH "  - {name: month, measures: [total], time_dimension: created_at, granularity: month}\n"

static const test_case plans[] = {
    {DAY, "w", "", "day 2020-01-10 2020-01-11", "", "window(day)", NULL},
    {DAY, "w", "status", "day 2020-01-10 2020-01-11", "", "window(day)", NULL},
    {DAY, "w", "id", "day 2020-01-10 2020-01-11", "", "window(source)", "dimension_missing"},
    {DAY, "w_top", "", "day 2020-01-10 2020-01-11", "", "window(source)", "measure_missing"},
    {DAY, "w_avg w_uniqa", "", "day 2020-01-10 2020-01-11", "", "window(day)", NULL},
    /* One piece for each window; what has none beside them. */
    {DAY, "w w_avg", "", "day 2020-01-10 2020-01-11", "", "window(day)", NULL},
    {DAY, "w longer", "", "day 2020-01-10 2020-01-11", "", "window(day) + window(day)", NULL},
    {DAY, "w total", "", "day 2020-01-10 2020-01-11", "", "day + window(day)", NULL},
    {DAY MONTH, "running total", "", "month 2020-01-01 2020-01-31", "", "day + window(day)", NULL},
    {MONTH DAY, "running total", "", "month 2020-01-01 2020-01-31", "", "month + window(month)", NULL},
    {MONTH DAY, "w total", "", "month 2020-01-01 2020-01-31", "", "month + window(day)", "granularity"},
    {DAY, "share", "", "day 2020-01-10 2020-01-11", "", "day + window(day)", NULL},
    {DAY, "total", "", "day 2020-01-10 2020-01-11", FILTER("w", "gt", "'5'"), "day + window(day)", NULL},
    /* Edges of the widened range are tiled like any. */
    {DAY, "w", "", "- 2020-01-10 2020-01-20T10:00:00", "", "window(day + source + source)", "range_not_aligned"},
    /* No time in the query: over everything. */
    {DAY, "w", "status", "", "", "day", NULL},
    {DAY, "running", "", "", "", "day", NULL},
    /* Without a range the first and last value must be known first. */
    {DAY, "w", "", "day", "", "probe created_at", NULL},
    {DAY, "w total", "", "day", "", "probe created_at", NULL},
    {DAY, "running", "", "updated_at:day; day 2020-01-01 2020-01-02", "", "probe updated_at", NULL},
    /* Distinct values cannot be merged over base grains, so the values are read themselves; over one stretch they are
     * counted. */
    {DAY, "w_uniq", "", "day 2020-01-10 2020-01-11", "", "window(source)", "dimension_missing"},
    {DAY VALUES, "w_uniq", "", "day 2020-01-10 2020-01-11", "", "window(vals)", "dimension_missing"},
    {DAY VALUES, "w_uniq w", "", "day 2020-01-10 2020-01-11", "", "window(day) + window(vals)", NULL},
    {DAY VALUES, "w_some", "", "day 2020-01-10 2020-01-11", "", "window(source)", NULL},
    {DAY VALUES, "w_some", "", "- 2020-01-10 2020-01-11", "", "window(source)", NULL},
    {DAY, "w", "", "day 2020-01-10 2020-01-11; month", "", "plan.unsupported", NULL},
    {DAY, "w_uniq", "", "- 2020-01-10 2020-01-11", "", "window(source)", "measure_missing"},
    {DAY, "w_uniq", "", "", "", "source", "measure_missing"},
    {DAY, "w", "", "day 2020-01-10 2020-01-11", "'ungrouped':true", "plan.unsupported", NULL},
    /* 50000 buckets are answered, one more is not. */
    {DAY, "w", "", "minute 2020-01-01 2020-02-04T17:19:59.999", "", "window(source)", "granularity"},
    {DAY, "w", "", "minute 2020-01-01 2020-02-04T17:20:59.999", "", "plan.series_too_long", NULL},
};

static void pieces(void **state) {
    (void)state;
    test_check_cases(HEAD, "", plans, COUNT(plans), false);
}

/* What the answer has rows for: with nothing else to group by, buckets without data too. */
static void empty_buckets(void **state) {
    (void)state;
    static const struct {
        const char *dimensions, *times;
        size_t time, n_inner_columns;
        bool keeps_empty;
    } rows[] = {
        {"", "day 2020-01-10 2020-01-11", 0, 1, true},
        {"status", "day 2020-01-10 2020-01-11", 0, 2, false},
        {"", "day 2020-01-10 2020-01-11; updated_at:day", 0, 2, false},
        {"", "updated_at:- 2020-01-01 2020-01-31; day 2020-01-10 2020-01-11", 1, 1, true},
        {"", "- 2020-01-10 2020-01-11", 0, 0, false},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD DAY, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_plan *plan;
        gr_error err = {0};
        const char *json = test_json("w", rows[i].dimensions, rows[i].times, FILTER("id", "equals", "'1'"), arena);
        assert_int_equal(test_plan(&s, json, arena, &plan, &err), GR_OK);
        const gr_window_read *w = &window_of(plan)->window;
        if (w->time != rows[i].time || w->keeps_empty != rows[i].keeps_empty ||
            w->inner->query->n_columns != rows[i].n_inner_columns)
            fail_msg("row %zu", i);
        assert_int_equal(w->inner->query->n_row_filters, 1); /* the filters hold below */
        assert_int_equal(w->inner->components.n, 1);
        assert_null(w->inner->components.v[0].window);
        assert_non_null(window_of(plan)->components.v[0].window);
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* The answer to a probe: whole buckets from the first value to the last. */
static void spans(void **state) {
    (void)state;
    static const struct {
        const char *grain, *from, *to; /* from NULL: there are no rows */
        const char *buckets;
    } rows[] = {
        {"day", "2020-01-10T05:00:00", "2020-01-11T23:59:59",
         "2020-01-10: 2020-01-04 .. 2020-01-11; 2020-01-11: 2020-01-05 .. 2020-01-12"},
        {"month", "2020-02-10T05:00:00", "2020-02-11", "2020-02-01: 2020-02-23 .. 2020-03-01"},
        {"day", "2020-01-10", "2020-01-10", "2020-01-10: 2020-01-04 .. 2020-01-11"},
        {"day", NULL, NULL, ""},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD DAY, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_query *q = test_query(&s, test_json("w", "", rows[i].grain, "", arena), arena);
        gr_error err = {0};
        gr_plan *plan, *probe;
        gr_plan_options options = {.ignore_builds = true};
        assert_int_equal(gr_plan_query(&s, q, options, arena, &plan, &err), GR_OK);
        assert_ptr_equal(plan->to_probe, &q->time_dimensions[0]);
        assert_int_equal(plan->n_pieces, 0);
        assert_int_equal(gr_plan_probe(plan, plan->to_probe, NULL, arena, &probe, &err), GR_OK);
        assert_string_equal(test_words(probe, false, arena).p, "source");
        assert_int_equal(probe->query->n_time_dimensions, 1);
        gr_span span = {.member = q->time_dimensions[0].field.member, .is_empty = !rows[i].from};
        gr_time_zone_part zone;
        bool is_date;
        if (rows[i].from) {
            assert_true(gr_time_parse(gr_str_from(rows[i].from), &span.min_local_us, &zone, &is_date));
            assert_true(gr_time_parse(gr_str_from(rows[i].to), &span.max_local_us, &zone, &is_date));
        }
        options.spans = &span;
        options.n_spans = 1;
        assert_int_equal(gr_plan_query(&s, q, options, arena, &plan, &err), GR_OK);
        assert_null(plan->to_probe);
        gr_str words = bucket_words(&window_of(plan)->window, arena);
        if (!gr_str_eq_z(words, rows[i].buckets)) fail_msg("row %zu: " GR_FMT, i, GR_ARG(words));
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets), cmocka_unit_test(buckets_in_a_zone), cmocka_unit_test(stretches_are_base_grains),
        cmocka_unit_test(pieces),  cmocka_unit_test(empty_buckets),     cmocka_unit_test(spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
