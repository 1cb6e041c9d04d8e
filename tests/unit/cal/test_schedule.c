/* `every:` of refresh keys. Vectors: cube.md 1.5, 6.6, 9.4; decisions 24 (months are accepted). */
#include "cal_test.h"

static void test_every(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds, months;
    } good[] = {
        {"10 minutes", 600, 0},
        {"1 day", 86400, 0},
        {"1 week", 604800, 0},
        {"5 minutes", 300, 0},
        {"1 hour", 3600, 0},
        {"30 seconds", 30, 0},
        {"1 seconds", 1, 0},
        {"1 month", 0, 1},
        {"3 months", 0, 3},
        {"7 days", 604800, 0},
        {"999999999 weeks", INT64_C(604799999395200), 0},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        gr_every every = {-1, -1};
        if (!gr_every_parse(gr_str_from(good[i].text), &every)) fail_msg("refused: %s", good[i].text);
        assert_int_equal(every.seconds, good[i].seconds);
        assert_int_equal(every.months, good[i].months);
    }
    static const char *const bad[] = {
        "",        "hour",  "1",      "0 hours", "-1 hour", "1 year",           "2 quarters", "1 hour 30 minutes",
        "1  hour", "1hour", "1 Hour", "1 hour ", " 1 hour", "1234567890 hours", "* * * * *"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        gr_every every = {42, 42};
        if (gr_every_parse(gr_str_from(bad[i]), &every)) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(every.seconds, 42);
        assert_int_equal(every.months, 42);
    }
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static gr_every every_of(const char *text) {
    gr_every every = {0};
    if (!gr_every_parse(gr_str_from(text), &every)) fail_msg("not an interval: %s", text);
    return every;
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *every, *zone, *at;
        int64_t number;
        const char *next;
    } rows[] = {
        {"1 hour", "UTC", "1970-01-01T00:00:00Z", 0, "1970-01-01T01:00:00Z"},
        {"1 hour", "UTC", "1970-01-01T00:59:59.999999Z", 0, "1970-01-01T01:00:00Z"},
        {"1 hour", "UTC", "1970-01-01T01:00:00Z", 1, "1970-01-01T02:00:00Z"},
        {"1 hour", "UTC", "1969-12-31T23:59:59Z", -1, "1970-01-01T00:00:00Z"},
        {"1 day", "UTC", "2024-03-10T12:00:00Z", 19792, "2024-03-11T00:00:00Z"},
        {"10 minutes", "UTC", "2024-03-10T12:00:00Z", 19792 * 144 + 72, "2024-03-10T12:10:00Z"},
        {"1 week", "UTC", "2024-03-10T12:00:00Z", 2827, "2024-03-14T00:00:00Z"}, /* weeks from a Thursday */
        {"1 day", "Asia/Kolkata", "2024-03-10T18:29:59Z", 19792, "2024-03-10T18:30:00Z"},
        {"1 day", "Asia/Kolkata", "2024-03-10T18:30:00Z", 19793, "2024-03-11T18:30:00Z"},
        /* the day of 23 hours and that of 25 */
        {"1 day", "America/New_York", "2024-03-10T05:00:00Z", 19792, "2024-03-11T04:00:00Z"},
        {"1 day", "America/New_York", "2024-11-03T04:00:00Z", 20030, "2024-11-04T05:00:00Z"},
        /* 02:00 is jumped over, 01:00 comes twice: one hour less, one number for two hours */
        {"1 hour", "America/New_York", "2024-03-10T06:59:00Z", 19792 * 24 + 1, "2024-03-10T07:00:00Z"},
        {"1 hour", "America/New_York", "2024-03-10T07:00:00Z", 19792 * 24 + 3, "2024-03-10T08:00:00Z"},
        {"1 hour", "America/New_York", "2024-11-03T05:00:00Z", 20030 * 24 + 1, "2024-11-03T07:00:00Z"},
        {"1 hour", "America/New_York", "2024-11-03T06:30:00Z", 20030 * 24 + 1, "2024-11-03T07:00:00Z"},
        /* ten minutes go back when the clock does */
        {"10 minutes", "America/New_York", "2024-11-03T05:55:00Z", 20030 * 144 + 11, "2024-11-03T06:00:00Z"},
        {"10 minutes", "America/New_York", "2024-11-03T06:00:00Z", 20030 * 144 + 6, "2024-11-03T06:10:00Z"},
        /* midnight is jumped over in Sao Paulo in 2018: the day begins at the jump */
        {"1 day", "America/Sao_Paulo", "2018-11-04T02:59:00Z", 17838, "2018-11-04T03:00:00Z"},
        /* and in February the last hour of the day comes twice */
        {"1 day", "America/Sao_Paulo", "2018-02-18T01:30:00Z", 17579, "2018-02-18T03:00:00Z"},
        {"1 day", "America/Sao_Paulo", "2018-02-18T02:30:00Z", 17579, "2018-02-18T03:00:00Z"},
        /* Lord Howe is set by half an hour */
        {"1 hour", "Australia/Lord_Howe", "2024-04-06T14:45:00Z", 19820 * 24 + 1, "2024-04-06T15:30:00Z"},
        /* St. John's fell back at one minute past midnight: three days began for a minute, and again an hour later */
        {"3 days", "America/St_Johns", "2000-10-29T02:29:00Z", 3752, "2000-10-29T02:30:00Z"},
        {"3 days", "America/St_Johns", "2000-10-29T02:30:00Z", 3753, "2000-10-29T02:31:00Z"},
        {"3 days", "America/St_Johns", "2000-10-29T02:45:00Z", 3752, "2000-10-29T03:30:00Z"},
        {"1 month", "UTC", "1970-01-31T23:00:00Z", 0, "1970-02-01T00:00:00Z"},
        {"1 month", "UTC", "2024-02-29T00:00:00Z", 54 * 12 + 1, "2024-03-01T00:00:00Z"},
        {"3 months", "UTC", "2024-02-29T00:00:00Z", 54 * 4, "2024-04-01T00:00:00Z"},
        {"5 months", "UTC", "1969-12-01T00:00:00Z", -1, "1970-01-01T00:00:00Z"},
        {"1 month", "America/New_York", "2024-03-01T04:59:59Z", 54 * 12 + 1, "2024-03-01T05:00:00Z"},
        {"12 months", "Asia/Kolkata", "2023-12-31T18:30:00Z", 54, "2024-12-31T18:30:00Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char what[80];
        snprintf(what, sizeof what, "%s %s %s", rows[i].every, rows[i].zone, rows[i].at);
        gr_every every = every_of(rows[i].every);
        const gr_tz *tz = zone_of(rows[i].zone);
        int64_t number = gr_every_number(every, tz, at(rows[i].at));
        if (number != rows[i].number) fail_msg("%s: got %ld, want %ld", what, (long)number, (long)rows[i].number);
        assert_point(gr_every_next(every, tz, at(rows[i].at)), rows[i].next, what);
    }
}

/* Between an instant and the next the number stays, and there it does not. */
static void test_number_law(void **state) {
    (void)state;
    static const char *const zones[] = {
        "America/New_York", "Europe/London",  "Australia/Lord_Howe", "America/Sao_Paulo",
        "Asia/Kolkata",     "Pacific/Apia",   "Pacific/Kwajalein",   "UTC",
        "Africa/Monrovia",  "Asia/Pyongyang", "America/St_Johns"};
    static const char *const everys[] = {"1 second", "7 seconds", "1 minute",       "10 minutes", "7 minutes",
                                         "1 hour",   "5 hours",   "1 day",          "3 days",     "1 week",
                                         "1 month",  "5 months",  "999999999 weeks"};
    uint64_t seed = 7;
    for (size_t i = 0; i < 20000; i++) {
        const gr_tz *tz = zone_of(zones[next_random(&seed) % COUNT(zones)]);
        gr_every every = every_of(everys[next_random(&seed) % COUNT(everys)]);
        int64_t t = random_between(&seed, at("1960-01-01T00:00:00Z"), at("2060-01-01T00:00:00Z"));
        int64_t next = gr_every_next(every, tz, t), number = gr_every_number(every, tz, t);
        if (next == INT64_MAX) continue;
        assert_true(next > t);
        assert_int_not_equal(gr_every_number(every, tz, next), number);
        assert_int_equal(gr_every_number(every, tz, next - 1), number);
        for (int k = 0; k < 20; k++)
            assert_int_equal(gr_every_number(every, tz, random_between(&seed, t, next)), number);
    }
}

static void test_add(void **state) {
    (void)state;
    static const struct {
        const char *every, *zone, *at, *want;
    } rows[] = {
        {"7 days", "UTC", "2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z"},
        {"1 day", "America/New_York", "2024-03-10T05:00:00Z", "2024-03-11T05:00:00Z"}, /* 24 hours, not a date */
        {"1 month", "UTC", "2024-01-31T10:00:00Z", "2024-02-29T10:00:00Z"},
        {"1 month", "America/New_York", "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z"},
        {"3 months", "UTC", "2023-11-30T00:00:00Z", "2024-02-29T00:00:00Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_point(gr_every_add(every_of(rows[i].every), zone_of(rows[i].zone), at(rows[i].at)), rows[i].want,
                     rows[i].at);
    assert_int_equal(gr_every_add(every_of("999999999 weeks"), gr_tz_utc(), 0), INT64_MAX);
    assert_int_equal(gr_every_add(every_of("999999999 months"), zone_of("Europe/London"), 0), INT64_MAX);
    assert_int_equal(gr_every_number(every_of("999999999 months"), gr_tz_utc(), -1), -1);
    assert_int_equal(gr_every_next(every_of("999999999 months"), gr_tz_utc(), 1), INT64_MAX);
    assert_int_equal(gr_every_next(every_of("999999999 weeks"), zone_of("Europe/London"), 1), INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_number_law), cmocka_unit_test(test_add)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
