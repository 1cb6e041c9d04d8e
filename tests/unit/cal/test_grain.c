/* The lattice of grains, intervals, granularityFor. Vectors: cube.md 4.4 and 9.2. */
#include "cal_test.h"

static const char *const names[] = {"second", "minute", "hour", "day", "week", "month", "quarter", "year"};

static void test_names(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        gr_grain grain = gr_grain_from_name(gr_str_from(names[i]));
        assert_int_equal(grain, GR_GRAIN_SECOND + i);
        assert_text(gr_grain_name(grain), names[i], names[i]);
    }
    static const char *const bad[] = {"", "none", "custom", "Day", "days", "decade", "s"};
    for (size_t i = 0; i < COUNT(bad); i++) assert_int_equal(gr_grain_from_name(gr_str_from(bad[i])), GR_GRAIN_NONE);
    static const int64_t seconds[] = {1, 60, 3600, 86400, 604800, 0, 0, 0};
    for (size_t i = 0; i < COUNT(names); i++) assert_int_equal(gr_grain_seconds(GR_GRAIN_SECOND + i), seconds[i]);
}

static void test_built_from(void **state) {
    (void)state;
    /* rows: asked for; columns in the order of `names`: what a rollup has (cube.md 4.4) */
    static const char *const served[] = {
        "1.......", "11......", "111.....", "1111....", "11111...", "1111.1..", "1111.11.", "1111.111",
    };
    for (size_t coarse = 0; coarse < 8; coarse++)
        for (size_t fine = 0; fine < 8; fine++) {
            bool got = gr_grain_is_built_from(GR_GRAIN_SECOND + coarse, GR_GRAIN_SECOND + fine);
            if (got != (served[coarse][fine] == '1')) fail_msg("%s from %s: %d", names[coarse], names[fine], got);
        }
    for (gr_grain g = GR_GRAIN_NONE; g < GR_GRAIN__COUNT; g++) {
        assert_false(gr_grain_is_built_from(GR_GRAIN_CUSTOM, g));
        assert_false(gr_grain_is_built_from(g, GR_GRAIN_CUSTOM));
        assert_false(gr_grain_is_built_from(GR_GRAIN_NONE, g));
        assert_false(gr_grain_is_built_from(g, GR_GRAIN_NONE));
    }
}

static void test_common(void **state) {
    (void)state;
    static const struct {
        gr_grain a, b, common;
    } rows[] = {
        {GR_GRAIN_YEAR, GR_GRAIN_WEEK, GR_GRAIN_DAY},      {GR_GRAIN_QUARTER, GR_GRAIN_MONTH, GR_GRAIN_MONTH},
        {GR_GRAIN_MONTH, GR_GRAIN_WEEK, GR_GRAIN_DAY},     {GR_GRAIN_HOUR, GR_GRAIN_WEEK, GR_GRAIN_HOUR},
        {GR_GRAIN_WEEK, GR_GRAIN_WEEK, GR_GRAIN_WEEK},     {GR_GRAIN_MONTH, GR_GRAIN_YEAR, GR_GRAIN_MONTH},
        {GR_GRAIN_YEAR, GR_GRAIN_YEAR, GR_GRAIN_YEAR},     {GR_GRAIN_YEAR, GR_GRAIN_QUARTER, GR_GRAIN_QUARTER},
        {GR_GRAIN_SECOND, GR_GRAIN_YEAR, GR_GRAIN_SECOND}, {GR_GRAIN_NONE, GR_GRAIN_DAY, GR_GRAIN_DAY},
        {GR_GRAIN_CUSTOM, GR_GRAIN_DAY, GR_GRAIN_NONE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(gr_grain_common(rows[i].a, rows[i].b), rows[i].common);
        assert_int_equal(gr_grain_common(rows[i].b, rows[i].a), rows[i].common);
    }
}

static void test_of_point(void **state) {
    (void)state;
    static const struct {
        const char *from, *after; /* the range, and the point behind it */
        gr_grain of_from, of_after, common;
    } rows[] = {
        {"2020-01-01", "2021-01-01", GR_GRAIN_YEAR, GR_GRAIN_YEAR, GR_GRAIN_YEAR},
        {"2020-01-01", "2020-02-01", GR_GRAIN_YEAR, GR_GRAIN_MONTH, GR_GRAIN_MONTH},
        {"2020-02-01", "2020-05-01", GR_GRAIN_MONTH, GR_GRAIN_MONTH, GR_GRAIN_MONTH},
        {"2020-01-06", "2020-01-13", GR_GRAIN_WEEK, GR_GRAIN_WEEK, GR_GRAIN_WEEK},
        {"2020-06-01", "2020-06-08", GR_GRAIN_MONTH, GR_GRAIN_WEEK, GR_GRAIN_DAY},
        {"2020-01-02", "2020-01-16", GR_GRAIN_DAY, GR_GRAIN_DAY, GR_GRAIN_DAY},
        {"2020-01-01", "2020-01-31T23:00", GR_GRAIN_YEAR, GR_GRAIN_HOUR, GR_GRAIN_HOUR},
        {"2020-01-01", "2020-01-31T22:51", GR_GRAIN_YEAR, GR_GRAIN_MINUTE, GR_GRAIN_MINUTE},
        {"2020-01-01", "2020-01-31T22:50:51", GR_GRAIN_YEAR, GR_GRAIN_SECOND, GR_GRAIN_SECOND},
        {"2020-01-01", "2020-02-01T00:00:00.001", GR_GRAIN_YEAR, GR_GRAIN_SECOND, GR_GRAIN_SECOND},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(gr_grain_of_point(at(rows[i].from)), rows[i].of_from);
        assert_int_equal(gr_grain_of_point(at(rows[i].after)), rows[i].of_after);
        assert_int_equal(gr_grain_common(rows[i].of_from, rows[i].of_after), rows[i].common);
    }
}

static void test_interval_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool allow_negative;
        gr_interval want;
    } good[] = {
        {"1 year", false, {12, 0, 0}},
        {"2 quarters", false, {6, 0, 0}},
        {"15 minutes", false, {0, 0, INT64_C(900000000)}},
        {"2 weeks 3 days", false, {0, 17, 0}},
        {"1 month 1 day 1 hour 1 second", false, {1, 1, INT64_C(3601000000)}},
        {"1 days 1 day 1 day 1 day 1 day 1 day 1 day 1 day", false, {0, 8, 0}},
        {"-1 day", true, {0, -1, 0}},
        {"-1 month 2 days -3 hours", true, {-1, 2, INT64_C(-10800000000)}},
        {"0 days", false, {0, 0, 0}},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        gr_interval got = {-9, -9, -9};
        if (!gr_interval_parse(gr_str_from(good[i].text), good[i].allow_negative, &got)) fail_msg("%s", good[i].text);
        assert_memory_equal(&got, &good[i].want, sizeof got);
    }
    static const char *const bad[] = {
        "",
        "day",
        "1",
        "1day",
        "one day",
        "1 fortnight",
        "1 Day",
        "1 day,",
        "1 day ",
        " 1 day",
        "1 dayss",
        "-1 day",
        "1.5 days",
        "1 day 1 day 1 day 1 day 1 day 1 day 1 day 1 day 1 day",
        "99999999999999999999 days",
        "999999999999999 years",
        "999999999999 weeks",
        "+1 day",
        "1 s",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        gr_interval got = {5, 5, 5};
        if (gr_interval_parse(gr_str_from(bad[i]), false, &got)) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(got.days, 5); /* untouched */
    }
    gr_interval got;
    assert_false(gr_interval_parse(GR_STR("--1 day"), true, &got));
    assert_false(gr_interval_parse(GR_STR("- 1 day"), true, &got));
}

static void test_interval_add(void **state) {
    (void)state;
    static const struct {
        const char *interval;
        int64_t count;
        const char *from, *to;
    } rows[] = {
        {"1 month", 1, "2020-01-31", "2020-02-29"},
        {"1 month", 13, "2020-01-31", "2021-02-28"},
        {"1 month", -2, "2020-01-31", "2019-11-30"},
        {"1 year", 1, "2020-02-29T12:00", "2021-02-28T12:00"},
        {"1 year", 4, "2020-02-29", "2024-02-29"},
        {"1 quarter", -1, "2021-05-31", "2021-02-28"},
        {"1 month 1 day", 1, "2020-01-31", "2020-03-01"},
        {"2 weeks", 2, "2024-01-01", "2024-01-29"},
        {"90 minutes", -1, "2024-01-01", "2023-12-31T22:30"},
        {"1 day", 0, "2024-01-01T10:00", "2024-01-01T10:00"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_interval v;
        assert_true(gr_interval_parse(gr_str_from(rows[i].interval), false, &v));
        assert_point(gr_interval_add(v, rows[i].count, at(rows[i].from)), rows[i].to, rows[i].interval);
    }
    gr_interval huge = {INT64_MAX, INT64_MAX, INT64_MAX};
    assert_true(gr_interval_add(huge, INT64_MAX, 0) == INT64_MAX);
    assert_true(gr_interval_add(huge, INT64_MIN, 0) == INT64_MIN);
    assert_true(gr_interval_add((gr_interval){0, 1, 0}, INT64_MAX, INT64_MAX) == INT64_MAX);
    assert_true(gr_interval_add((gr_interval){1, 0, 0}, INT64_MIN, 0) == INT64_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),          cmocka_unit_test(test_built_from),
                                       cmocka_unit_test(test_common),         cmocka_unit_test(test_of_point),
                                       cmocka_unit_test(test_interval_parse), cmocka_unit_test(test_interval_add)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
