/* Grains, ranges and zones: the matrix of cube.md §4.4, alignment (§4.5, §9.2, with the exact default of decisions 1),
 * stored instants in other zones (decisions 6), anchors of custom grains. */
#include "plan_shop.h"
#include "plan_test.h"

#define STORED "  - {name: g, measures: [count], time_dimension: created_at, granularity: %s%s}\n"

static gr_snapshot stored_by(const char *grain, const char *more, gr_arena *arena) {
    gr_str rollup = gr_arena_printf(arena, STORED, grain, more);
    return test_snapshot(gr_arena_printf(arena, "%s" GR_FMT "%s", HEAD, GR_ARG(rollup), USERS).p, arena);
}

/* Rows are stored grains, columns the queries that they serve. */
static void grain_matrix(void **state) {
    (void)state;
    static const char *const queries[] = {
        "second",   "minute",      "hour",      "day",         "week",        "month",     "quarter",
        "year",     "fiscal_year", "half_year", "sunday_week", "fifteen_min", "two_weeks", "two_weeks_at_ten",
        "month_end"};
    static const struct {
        const char *stored, *serves;
    } rows[] = {
        {"second", "111111111111111"},      {"minute", "011111111111111"},
        {"hour", "001111111110111"},        {"day", "000111111110101"},
        {"week", "000010000000100"},        {"month", "000001111100000"},
        {"quarter", "000000111100000"},     {"year", "000000010000000"},
        {"fiscal_year", "000000001000000"}, {"half_year", "000000000100000"},
        {"sunday_week", "000000000010000"}, {"fifteen_min", "000000000001000"},
        {"two_weeks", "000000000000100"},   {"two_weeks_at_ten", "000000000000010"},
        {"month_end", "000000000000001"},
    };
    for (size_t r = 0; r < COUNT(rows); r++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = stored_by(rows[r].stored, "", arena);
        for (size_t q = 0; q < COUNT(queries); q++) {
            gr_plan *plan;
            gr_error err = {0};
            const char *json = test_json("count", "", queries[q], "", arena);
            if (test_plan(&s, json, arena, &plan, &err)) fail_msg("%s: %s", json, err.message);
            if ((plan->rollup != NULL) != (rows[r].serves[q] == '1'))
                fail_msg("stored %s, query %s: served %d", rows[r].stored, queries[q], plan->rollup != NULL);
            bool is_itself = !strcmp(rows[r].stored, queries[q]);
            if (plan->rollup && plan->is_exact_match != is_itself)
                fail_msg("stored %s, query %s: exact %d", rows[r].stored, queries[q], plan->is_exact_match);
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* §9.2: the coarsest stored grain on whose boundaries the range starts and ends. */
static void alignment(void **state) {
    (void)state;
    static const char *const grains[] = {"year", "quarter", "month", "week", "day", "hour", "minute", "second"};
    static const struct {
        const char *from, *to, *serves;
    } rows[] = {
        {"2020-01-01", "2020-12-31", "11101111"},
        {"2020-01-01", "2020-01-31", "00101111"},
        {"2020-02-01", "2020-04-30", "00101111"},
        {"2020-01-06", "2020-01-12", "00011111"},
        {"2020-06-01", "2020-06-07", "00011111"}, /* beyond the reference, whose Monday 1 June is a month start only */
        {"2020-01-02", "2020-01-15", "00001111"},
        {"2020-01-01", "2020-01-31T22:59:59.999", "00000111"},
        {"2020-01-01", "2020-01-31T22:50:59.999", "00000011"},
        {"2020-01-01", "2020-01-31T22:50:50.999", "00000001"},
        {"2020-01-01", "2020-02-01T00:00:00.000", "00000000"},
    };
    for (size_t g = 0; g < COUNT(grains); g++) {
        gr_arena *arena = gr_arena_new();
        gr_str loose = gr_arena_printf(arena,
                                       "}\n  - {name: loose, measures: [count], time_dimension: created_at, "
                                       "granularity: %s, allow_non_strict_date_range_match: true",
                                       strcmp(grains[g], "year") ? "year" : "month");
        gr_snapshot s = stored_by(grains[g], loose.p, arena);
        for (size_t r = 0; r < COUNT(rows); r++) {
            gr_plan *plan;
            gr_error err = {0};
            gr_str times = gr_arena_printf(arena, "- %s %s", rows[r].from, rows[r].to);
            if (test_plan(&s, test_json("count", "", times.p, "", arena), arena, &plan, &err))
                fail_msg("%s: %s", times.p, err.message);
            assert_non_null(plan->rollup); /* the second one takes what the first refuses, and says so */
            bool is_strict = gr_str_eq_z(plan->rollup->preagg->name, "g");
            if (is_strict != (rows[r].serves[g] == '1'))
                fail_msg("stored %s, range %s: served strictly %d", grains[g], times.p, is_strict);
            if (is_strict) assert_false(plan->is_non_strict_range);
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* §4.5: granularity and range together, against one stored grain. */
#define G(grain) "  - {name: g, measures: [count], time_dimension: created_at, granularity: " grain "}\n"
#define LOOSE(grain)                                                                                                   \
    "  - {name: g, measures: [count], time_dimension: created_at, granularity: " grain                                 \
    ", allow_non_strict_date_range_match: true}\n"

static const test_case required[] = {
    {G("month"), "count", "", "- 2020-01-01 2020-01-31", "", "g", NULL},
    {G("month"), "count", "", "- 2020-01-01 2020-01-15", "", "source", "range_not_aligned"},
    {G("month"), "count", "", "- 2020-01-01 2020-02-01T00:00:00.000", "", "g + source", "range_not_aligned"},
    {G("month"), "count", "", "month 2020-01-01 2020-01-31", "", "g", NULL},
    {G("month"), "count", "", "year 2020-02-01 2020-04-30", "", "g", NULL},
    {G("month"), "count", "", "month", "", "g", NULL},
    {G("day"), "count", "", "month 2020-01-10 2020-03-15", "", "g", NULL},
    {G("week"), "count", "", "week 2020-06-01 2020-06-14", "", "g", NULL},
    {G("week"), "count", "", "- 2020-06-01 2020-06-30", "", "g + source", "range_not_aligned"},
    {G("hour"), "count", "", "day 2020-01-01T10:00:00 2020-01-03T11:59:59.999", "", "g", NULL},
    /* A range that ends before it starts holds nothing, and starts on a boundary. */
    {G("day"), "count", "", "- 2020-01-31 2020-01-01", "", "g", NULL},
    /* Custom grains: whole buckets of its own, or what it is built from. */
    {G("month"), "count", "", "half_year 2020-01-01 2020-12-31", "", "g", NULL},
    {G("month"), "count", "", "half_year 2020-02-01 2020-03-31", "", "g", NULL},
    {G("month"), "count", "", "half_year 2020-02-10 2020-03-31", "", "g + source", "range_not_aligned"},
    {G("half_year"), "count", "", "half_year 2020-01-01 2020-06-30", "", "g", NULL},
    {G("half_year"), "count", "", "half_year 2020-07-01 2021-12-31", "", "g", NULL},
    {G("half_year"), "count", "", "half_year 2020-02-01 2021-03-31", "", "g + source + source", "range_not_aligned"},
    {G("half_year"), "count", "", "half_year 2020-01-01 2020-03-31", "", "source", "range_not_aligned"},
    {G("half_year"), "count", "", "- 2020-01-01 2020-06-30", "", "source", "range_not_aligned"},
    {G("half_year"), "count", "", "year 2020-01-01 2020-12-31", "", "source", "granularity"},
    {G("fiscal_year"), "count", "", "fiscal_year 2019-04-01 2020-03-31", "", "g", NULL},
    {G("fiscal_year"), "count", "", "fiscal_year 2020-01-01 2020-12-31", "", "source", "range_not_aligned"},
    {G("sunday_week"), "count", "", "sunday_week 2020-06-07 2020-06-20", "", "g", NULL},
    {G("sunday_week"), "count", "", "sunday_week 2020-06-01 2020-06-20", "", "g + source", "range_not_aligned"},
    {G("fifteen_min"), "count", "", "fifteen_min 2020-06-01T10:15:00 2020-06-01T10:44:59.999", "", "g", NULL},
    {G("fifteen_min"), "count", "", "fifteen_min 2020-06-01T10:20:00 2020-06-01T10:44:59.999", "", "g + source",
     "range_not_aligned"},
    {G("two_weeks"), "count", "", "two_weeks 2024-01-01 2024-01-28", "", "g", NULL},
    {G("two_weeks"), "count", "", "two_weeks 2024-01-08 2024-01-28", "", "g + source", "range_not_aligned"},
    /* The range of the same time dimension may be given apart from its granularity. */
    {G("day"), "count", "", "day; - 2020-01-01 2020-01-31", "", "g", NULL},
    /* Non-strict, when the model says so: any range, and the answer says it. */
    {LOOSE("month"), "count", "", "- 2020-01-10 2020-01-15T10:20:30", "", "g", NULL},
    {LOOSE("month"), "count", "", "quarter 2020-01-10 2020-01-15T10:20:30", "", "g", NULL},
    {LOOSE("month"), "count", "", "day 2020-01-01 2020-01-31", "", "source", "granularity"},
    {LOOSE("half_year"), "count", "", "- 2020-01-10 2020-01-15", "", "g", NULL},
};

static void ranges_by_granularity(void **state) {
    (void)state;
    test_check_cases(HEAD, USERS, required, COUNT(required), false);
}

/* Stored instants are cut anew for a zone whose offsets divide the grain, over the time that matters. Nothing is built
 * here, so that without a range all time since 1970 matters. */
static void zones(void **state) {
    (void)state;
    static const struct {
        const char *stored, *zone, *times, *serves, *rule, *entity_zone;
    } rows[] = {
        {"hour", "UTC", "day", "g", NULL, "UTC"},
        {"hour", "Asia/Tokyo", "day", "g", NULL, "UTC"},
        {"hour", "America/New_York", "day", "g", NULL, "UTC"},
        {"hour", "Europe/Berlin", "hour", "g", NULL, "UTC"},
        {"hour", "Asia/Kolkata", "day", "source", "time_zone", NULL},
        {"hour", "Asia/Kolkata", "day 2020-01-01 2020-01-31", "source", "time_zone", NULL},
        {"hour", "Asia/Kolkata", "", "g", NULL, "UTC"},      /* time does not matter */
        {"minute", "Asia/Kolkata", "day", "g", NULL, "UTC"}, /* once built, what is stored decides */
        {"minute", "Asia/Kolkata", "day 2020-01-01 2020-01-31", "g", NULL, "UTC"},
        {"second", "Asia/Kolkata", "day", "g", NULL, "UTC"},
        {"hour", "Asia/Kathmandu", "hour 2020-01-01 2020-01-31", "source", "time_zone", NULL},
        {"hour", "Australia/Lord_Howe", "day 2020-06-01 2020-06-30", "source", "time_zone", NULL}, /* +10:30 */
        {"hour", "Australia/Lord_Howe", "day 2020-01-01 2020-01-31", "g", NULL, "UTC"},            /* +11 */
        /* the clock jumps from 2:00 to 2:30, in the middle of a stored hour */
        {"hour", "Australia/Lord_Howe", "hour 2020-10-04T02:00:00 2020-10-04T22:59:59.999", "source", "time_zone",
         NULL},
        {"hour", "Australia/Lord_Howe", "hour 2020-10-04T03:00:00 2020-10-04T22:59:59.999", "g", NULL, "UTC"},
        {"minute", "Australia/Lord_Howe", "day 2020-01-01 2020-06-30", "g", NULL, "UTC"},
        /* A day and coarser are stored on the wall clock: of each zone its own. */
        {"day", "Asia/Kolkata", "day", "g", NULL, "Asia/Kolkata"},
        {"month", "Asia/Tokyo", "year", "g", NULL, "Asia/Tokyo"},
        {"fifteen_min", "Asia/Tokyo", "fifteen_min", "g", NULL, "Asia/Tokyo"},
        {"day", "Etc/UTC", "day", "g", NULL, "UTC"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = stored_by(rows[i].stored, "", arena);
        gr_str zone = gr_arena_printf(arena, "'timezone':'%s'", rows[i].zone);
        test_case c = {"", "count", "", rows[i].times, zone.p, rows[i].serves, rows[i].rule};
        if (!test_case_holds(&s, &c, i, false, arena)) fail_msg("stored %s in %s", rows[i].stored, rows[i].zone);
        gr_plan *plan;
        gr_error err = {0};
        assert_int_equal(test_plan(&s, test_json("count", "", rows[i].times, zone.p, arena), arena, &plan, &err),
                         GR_OK);
        if (rows[i].entity_zone)
            assert_string_equal(gr_tz_name(plan->rollup_zone).p, rows[i].entity_zone);
        else
            assert_null(plan->rollup_zone);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* In another zone an hour of the wall clock may be two stored hours, so that it is not one stored row. */
static void doubled_hours(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(
        HEAD "  - {name: g, measures: [count, uniq], time_dimension: created_at, granularity: hour}\n" USERS, arena);
    static const test_case cases[] = {
        {"", "uniq", "", "hour", "", "g", NULL},
        {"", "uniq", "", "hour", "'timezone':'America/New_York'", "source", "exact_grain"},
        {"", "count", "", "hour", "'timezone':'America/New_York'", "g", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) assert_true(test_case_holds(&s, &cases[i], i, false, arena));
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* A stored custom grain serves itself also when it was assembled in another year, as long as its bins are the same. */
static void anchors(void **state) {
    (void)state;
    static const struct {
        const char *grain;
        int years_ago;
        bool serves;
    } rows[] = {
        {"fiscal_year", 0, true},
        {"fiscal_year", 3, true},
        {"half_year", 3, true},
        {"sunday_week", 1, true},
        {"sunday_week", 7, true},
        {"fifteen_min", 9, true},
        {"two_weeks_at_ten", 5, true},
        {"month_end", 0, true},
        /* Month ends clamp, so that bins are taken for the same only when they are counted from the same point. */
        {"month_end", 1, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = stored_by(rows[i].grain, "", arena);
        s.now_us = gr_interval_add((gr_interval){.months = -12}, rows[i].years_ago, test_now);
        gr_plan *plan;
        gr_error err = {0};
        assert_int_equal(test_plan(&s, test_json("count", "", rows[i].grain, "", arena), arena, &plan, &err), GR_OK);
        if ((plan->rollup != NULL) != rows[i].serves) fail_msg("%s, %d years", rows[i].grain, rows[i].years_ago);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* Bins counted from gr_plan_anchor are those counted from the point itself. */
static void anchor_keeps_bins(void **state) {
    (void)state;
    static const struct {
        const char *interval, *origin;
    } rows[] = {{"2 weeks", "2024-01-01"},
                {"6 months", "2020-02-29"},
                {"1 month", "2020-01-31"},
                {"7 days", "2020-01-03T10:00"},
                {"90 minutes", "1999-12-31T23:59:59"},
                {"3 months", "2020-11-15"},
                {"5 years", "1913-07-01"},
                {"36 hours", "2030-05-05T05:05:05"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_granularity g;
        assert_int_equal(gr_granularity_parse(GR_STR("g"), gr_str_from(rows[i].interval), (gr_str){0},
                                              gr_str_from(rows[i].origin), &g, NULL),
                         GR_OK);
        int64_t from = gr_granularity_anchor(&g, gr_tz_utc(), test_now), anchor = gr_plan_anchor(&g, from);
        for (int64_t at = -4000000000000000; at < 4000000000000000; at += 12345678901234)
            if (gr_granularity_floor(&g, from, at) != gr_granularity_floor(&g, anchor, at))
                fail_msg("%s from %s at %lld", rows[i].interval, rows[i].origin, (long long)at);
        assert_true(anchor == from || (anchor <= 0 && gr_granularity_next(&g, from, anchor) > 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grain_matrix),  cmocka_unit_test(alignment), cmocka_unit_test(ranges_by_granularity),
        cmocka_unit_test(zones),         cmocka_unit_test(anchors),   cmocka_unit_test(anchor_keeps_bins),
        cmocka_unit_test(doubled_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
