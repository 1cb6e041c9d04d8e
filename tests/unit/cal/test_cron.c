/* Cron lines: their form, their values, and when they fire. Vectors: cube.md 6.6, 7.2 (83), 9.4. */
#include "cal_test.h"

#include <time.h>

static gr_cron cron_of(const char *text) {
    gr_cron cron = {0};
    if (!gr_cron_parse(gr_str_from(text), &cron)) fail_msg("not a cron line: %s", text);
    return cron;
}

static void test_forms(void **state) {
    (void)state;
    gr_cron cron;
    static const char *const good[] = {
        "* * * * *",   "30 5 * * 5",    "0 8 * * *",        "0 10 * * *",      "*/15 * * * *",
        "0 8 * * 1-3", "0 8 * * 1-3/2", "0 0 1,15 * *",     "0 0 1 JAN-Mar *", "0 0 ? * mon,WED",
        "0 0 * * 7",   "0 0 0 1 1 ?",   "59 59 23 31 12 0", "  0 8  * * *\t",  "5/10 * * * *",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        if (!gr_cron_parse(gr_str_from(good[i]), &cron)) fail_msg("refused: %s", good[i]);
    static const char *const bad[] = {
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "*/0 * * * *",
        "*/99 * * * *",
        "5-1 * * * *",
        "1, * * * *",
        ",1 * * * *",
        "1-* * * * *",
        "a * * * *",
        "* * * foo *",
        "* * * * monday",
        "-1 * * * *",
        "? * * * *",
        "*5 * * * *",
        "1 hour",
        "60 * * * * *",
        "99999999999999999999 * * * *",
        "* * * ja *",
        "1/ * * * *",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (gr_cron_parse(gr_str_from(bad[i]), &cron)) fail_msg("accepted: %s", bad[i]);
    char big[1000];
    memset(big, ' ', sizeof big);
    memcpy(big, "* * * * *", 9);
    assert_false(gr_cron_parse((gr_str){big, sizeof big}, &cron));
    assert_true(gr_cron_parse((gr_str){big, 200}, &cron));
    assert_false(gr_cron_parse((gr_str){0}, &cron));
}

static void test_values(void **state) {
    (void)state;
    static const struct {
        const char *text;
        gr_cron want;
    } rows[] = {
        {"* * * * *", {1, 0x0fffffffffffffff, 0xffffff, 0xfffffffe, 0x1ffe, 0x7f}},
        {"* * * * * *", {0x0fffffffffffffff, 0x0fffffffffffffff, 0xffffff, 0xfffffffe, 0x1ffe, 0x7f}},
        {"*/15 5 1,3 2-4 7", {1, UINT64_C(1) | 1 << 15 | 1 << 30 | UINT64_C(1) << 45, 1 << 5, 10, 28, 1}},
        {"1/20 20/2 ? feb,MAR ?", {1, UINT64_C(1) << 1 | 1 << 21 | UINT64_C(1) << 41, 5 << 20, 0xfffffffe, 12, 0x7f}},
        {"30 0 0 1-7/3 12 mon-wed,5/1", {1 << 30, 1, 1, 1 << 1 | 1 << 4 | 1 << 7, 1 << 12, 0x6f}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_cron got = cron_of(rows[i].text), want = rows[i].want;
        if (got.seconds != want.seconds || got.minutes != want.minutes || got.hours != want.hours ||
            got.days != want.days || got.months != want.months || got.weekdays != want.weekdays)
            fail_msg("%s: %lx %lx %x %x %x %x", rows[i].text, (long)got.seconds, (long)got.minutes, got.hours, got.days,
                     got.months, got.weekdays);
    }
}

static void assert_fire(int64_t got_us, const char *want, const char *what, int64_t none) {
    if (want)
        assert_point(got_us, want, what);
    else if (got_us != none)
        fail_msg("%s: got %ld, want none", what, (long)got_us);
}

static void test_fires(void **state) {
    (void)state;
    static const struct {
        const char *cron, *zone, *at, *last, *next;
    } rows[] = {
        {"0 8 * * *", "UTC", "2024-03-10T08:00:00Z", "2024-03-10T08:00:00Z", "2024-03-11T08:00:00Z"},
        {"0 8 * * *", "UTC", "2024-03-10T07:59:59.999999Z", "2024-03-09T08:00:00Z", "2024-03-10T08:00:00Z"},
        {"30 5 * * 5", "UTC", "1970-01-01T00:00:00Z", "1969-12-26T05:30:00Z", "1970-01-02T05:30:00Z"},
        {"*/15 * * * *", "Asia/Kolkata", "2024-03-10T08:01:00Z", "2024-03-10T08:00:00Z", "2024-03-10T08:15:00Z"},
        {"0 * * * *", "Asia/Kolkata", "2024-03-10T08:01:00Z", "2024-03-10T07:30:00Z", "2024-03-10T08:30:00Z"},
        {"0 10 * * *", "America/Los_Angeles", "2024-07-01T00:00:00Z", "2024-06-30T17:00:00Z", "2024-07-01T17:00:00Z"},
        {"59 59 23 31 12 *", "UTC", "2024-03-10T00:00:00Z", "2023-12-31T23:59:59Z", "2024-12-31T23:59:59Z"},
        {"*/20 * * * * *", "UTC", "2024-03-10T00:00:21Z", "2024-03-10T00:00:20Z", "2024-03-10T00:00:40Z"},
        /* dates that some months lack, that most years lack, that no year has */
        {"0 0 31 * *", "UTC", "2024-04-01T00:00:00Z", "2024-03-31T00:00:00Z", "2024-05-31T00:00:00Z"},
        {"0 0 31 * *", "UTC", "2024-02-01T00:00:00Z", "2024-01-31T00:00:00Z", "2024-03-31T00:00:00Z"},
        {"0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 29 2 *", "UTC", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 29 2 *", "UTC", "1896-02-29T00:00:00Z", "1896-02-29T00:00:00Z", "1904-02-29T00:00:00Z"},
        {"0 0 29 2 *", "UTC", "2104-02-28T23:59:59Z", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"},
        {"0 0 30 2 *", "UTC", "2024-03-01T00:00:00Z", NULL, NULL},
        {"0 0 31 4,6,9,11 *", "America/New_York", "2024-03-01T00:00:00Z", NULL, NULL},
        /* both days restricted: one of them is enough; the 13th or a Friday */
        {"0 0 13 * 5", "UTC", "2024-03-09T00:00:00Z", "2024-03-08T00:00:00Z", "2024-03-13T00:00:00Z"},
        {"0 0 13 * 5", "UTC", "2024-03-13T00:00:00Z", "2024-03-13T00:00:00Z", "2024-03-15T00:00:00Z"},
        {"0 0 30 2 1", "UTC", "2024-03-01T00:00:00Z", "2024-02-26T00:00:00Z", "2025-02-03T00:00:00Z"},
        {"0 0 1-31 * 5", "UTC", "2024-03-09T00:00:00Z", "2024-03-08T00:00:00Z", "2024-03-15T00:00:00Z"},
        {"0 0 13 * 0-6", "UTC", "2024-03-14T00:00:00Z", "2024-03-13T00:00:00Z", "2024-04-13T00:00:00Z"},
        /* New York jumps from 02:00 to 03:00: what is jumped over fires at the jump, once */
        {"30 2 * * *", "America/New_York", "2024-03-10T06:59:59Z", "2024-03-09T07:30:00Z", "2024-03-10T07:00:00Z"},
        {"30 2 * * *", "America/New_York", "2024-03-10T07:00:00Z", "2024-03-10T07:00:00Z", "2024-03-11T06:30:00Z"},
        {"*/15 2 * * *", "America/New_York", "2024-03-10T07:00:00Z", "2024-03-10T07:00:00Z", "2024-03-11T06:00:00Z"},
        {"0 2,3 * * *", "America/New_York", "2024-03-10T07:00:00Z", "2024-03-10T07:00:00Z", "2024-03-11T06:00:00Z"},
        /* and falls from 02:00 to 01:00: what comes twice fires the first time */
        {"30 1 * * *", "America/New_York", "2024-11-03T05:29:00Z", "2024-11-02T05:30:00Z", "2024-11-03T05:30:00Z"},
        {"30 1 * * *", "America/New_York", "2024-11-03T05:30:00Z", "2024-11-03T05:30:00Z", "2024-11-04T06:30:00Z"},
        {"30 1 * * *", "America/New_York", "2024-11-03T06:30:00Z", "2024-11-03T05:30:00Z", "2024-11-04T06:30:00Z"},
        {"*/15 * * * *", "America/New_York", "2024-11-03T05:50:00Z", "2024-11-03T05:45:00Z", "2024-11-03T07:00:00Z"},
        {"*/15 * * * *", "America/New_York", "2024-11-03T06:20:00Z", "2024-11-03T05:45:00Z", "2024-11-03T07:00:00Z"},
        {"0 1 * * *", "Europe/London", "2024-03-31T00:59:59Z", "2024-03-30T01:00:00Z", "2024-03-31T01:00:00Z"},
        {"0 2 * * *", "Europe/London", "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z", "2024-04-01T01:00:00Z"},
        {"30 1 * * *", "Europe/London", "2024-10-27T01:00:00Z", "2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"},
        /* half an hour: 02:00 to 02:30, and 02:00 to 01:30 */
        {"15 2 * * *", "Australia/Lord_Howe", "2024-10-05T15:29:59Z", "2024-10-04T15:45:00Z", "2024-10-05T15:30:00Z"},
        {"30 2 * * *", "Australia/Lord_Howe", "2024-10-05T15:29:59Z", "2024-10-04T16:00:00Z", "2024-10-05T15:30:00Z"},
        {"45 1 * * *", "Australia/Lord_Howe", "2024-04-06T15:10:00Z", "2024-04-06T14:45:00Z", "2024-04-07T15:15:00Z"},
        /* Sao Paulo in 2018: no midnight in November, the last hour twice in February */
        {"0 0 * * *", "America/Sao_Paulo", "2018-11-04T02:59:00Z", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z"},
        {"0 0 * * *", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
        {"30 23 * * *", "America/Sao_Paulo", "2018-02-18T02:40:00Z", "2018-02-18T01:30:00Z", "2018-02-19T02:30:00Z"},
        {"0 0 * * *", "America/Sao_Paulo", "2018-02-18T02:40:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"},
        /* Samoa left out 30 December 2011 */
        {"0 12 30 12 *", "Pacific/Apia", "2011-12-30T09:59:00Z", "2010-12-30T22:00:00Z", "2011-12-30T10:00:00Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char what[100];
        snprintf(what, sizeof what, "%s %s %s", rows[i].cron, rows[i].zone, rows[i].at);
        gr_cron cron = cron_of(rows[i].cron);
        const gr_tz *tz = zone_of(rows[i].zone);
        assert_fire(gr_cron_last(&cron, tz, at(rows[i].at)), rows[i].last, what, INT64_MIN);
        assert_fire(gr_cron_next(&cron, tz, at(rows[i].at)), rows[i].next, what, INT64_MAX);
    }
}

static void test_ends(void **state) {
    (void)state;
    gr_cron cron = cron_of("0 0 29 2 *");
    const int64_t points[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < COUNT(points); i++) {
        const gr_tz *tz = zone_of("Europe/London");
        assert_true(gr_cron_last(&cron, tz, points[i]) <= points[i]);
        assert_true(gr_cron_next(&cron, tz, points[i]) >= points[i]);
    }
    assert_int_equal(gr_cron_last(&cron, gr_tz_utc(), INT64_MIN), INT64_MIN);
    assert_int_equal(gr_cron_next(&cron, gr_tz_utc(), INT64_MAX), INT64_MAX);
}

static void test_even(void **state) {
    (void)state;
    static const struct {
        const char *cron;
        int64_t first_s, interval_s;
    } good[] = {
        {"30 5 * * 5", 106200, 604800}, {"0 8 * * *", 28800, 86400},   {"0 10 * * *", 36000, 86400},
        {"* * * * *", 0, 60},           {"* * * * * *", 0, 1},         {"0 * * * *", 0, 3600},
        {"*/15 * * * *", 0, 900},       {"7/15 * * * *", 420, 900},    {"30 */6 * * *", 1800, 21600},
        {"5 0 0 * * *", 5, 86400},      {"0 0 * * 4", 0, 604800},      {"0 0 1-31 1-12 0-6", 0, 86400},
        {"0 1,13 * * *", 3600, 43200},  {"0 0 * * 3", 518400, 604800},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t first_s = -1, interval_s = -1;
        gr_cron cron = cron_of(good[i].cron);
        if (!gr_cron_is_even(&cron, &first_s, &interval_s)) fail_msg("not even: %s", good[i].cron);
        if (first_s != good[i].first_s || interval_s != good[i].interval_s)
            fail_msg("%s: %ld %ld", good[i].cron, (long)first_s, (long)interval_s);
    }
    static const char *const bad[] = {"0 8 * * 1-3", "*/7 * * * *", "0 0 1 * *",   "0 0 * 2 *",
                                      "0 */5 * * *", "0,1 * * * *", "0 1,2 * * *", "0 13,14 * * *",
                                      "0 */6 * * 1", "0 0 13 * 5",  "*/15 1 * * *"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t first_s = -1, interval_s = -1;
        gr_cron cron = cron_of(bad[i]);
        if (gr_cron_is_even(&cron, &first_s, &interval_s)) fail_msg("even: %s", bad[i]);
        assert_int_equal(first_s, -1);
        assert_int_equal(interval_s, -1);
    }
}

/* ---- laws ------------------------------------------------------------------------------------------------------- */

static const char *const zones[] = {"America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo",
                                    "Asia/Kolkata"};

/* A field of few values, of all, or of steps. */
static void random_field(uint64_t *seed, int min, int max, char *out, size_t room) {
    int span = max - min + 1, a = min + (int)(next_random(seed) % (uint64_t)span),
        b = min + (int)(next_random(seed) % (uint64_t)span);
    switch (next_random(seed) % 5) {
    case 0: snprintf(out, room, "%d", a); break;
    case 1: snprintf(out, room, "%d,%d", a, b); break;
    case 2: snprintf(out, room, "%d-%d", a < b ? a : b, a < b ? b : a); break;
    case 3: snprintf(out, room, "*/%d", 1 + (int)(next_random(seed) % (uint64_t)(max - 1))); break;
    default: snprintf(out, room, "*"); break;
    }
}

static void random_cron(uint64_t *seed, char *out, size_t room) {
    char f[5][16];
    random_field(seed, 0, 59, f[0], sizeof f[0]);
    random_field(seed, 0, 23, f[1], sizeof f[1]);
    random_field(seed, 1, 31, f[2], sizeof f[2]);
    random_field(seed, 1, 12, f[3], sizeof f[3]);
    random_field(seed, 0, 6, f[4], sizeof f[4]);
    snprintf(out, room, "%s %s %s %s %s", f[0], f[1], f[2], f[3], f[4]);
}

static void test_laws(void **state) {
    (void)state;
    uint64_t seed = 11;
    for (size_t i = 0; i < 20000; i++) {
        char text[100];
        random_cron(&seed, text, sizeof text);
        gr_cron cron = cron_of(text);
        const gr_tz *tz = zone_of(zones[i % COUNT(zones)]);
        int64_t t = random_between(&seed, at("1990-01-01T00:00:00Z"), at("2050-01-01T00:00:00Z"));
        int64_t last = gr_cron_last(&cron, tz, t), next = gr_cron_next(&cron, tz, t);
        if (last == INT64_MIN || next == INT64_MAX) {
            assert_true(last == INT64_MIN && next == INT64_MAX);
            continue;
        }
        if (last > t || next <= t)
            fail_msg("%s in %s: %ld %ld %ld", text, zones[i % COUNT(zones)], (long)last, (long)t, (long)next);
        assert_int_equal(gr_cron_next(&cron, tz, last - 1), last);
        assert_int_equal(gr_cron_next(&cron, tz, last), next);
        assert_int_equal(gr_cron_last(&cron, tz, next), next);
        assert_int_equal(gr_cron_last(&cron, tz, next - 1), last);
        assert_int_equal(gr_cron_last(&cron, tz, last), last);
    }
}

/* The line holds at a reading, looked at field by field. */
static bool holds(const gr_cron *cron, int64_t local_us) {
    gr_civil c = gr_civil_from_us(local_us);
    int weekday = (int)(((local_us / 86400000000) + 4) % 7);
    bool is_day = cron->days >> c.day & 1, is_weekday = cron->weekdays >> weekday & 1;
    bool any_day = cron->days == 0xfffffffe, any_weekday = cron->weekdays == 0x7f;
    bool is_date = any_day ? is_weekday : any_weekday ? is_day : is_day || is_weekday;
    return is_date && cron->months >> c.month & 1 && cron->hours >> c.hour & 1 && cron->minutes >> c.minute & 1;
}

/* Minute by minute through weeks with a change of the clock: a minute fires when a reading that holds is reached there
 * for the first time. */
static void test_brute_force(void **state) {
    (void)state;
    static const char *const starts[] = {"2024-03-08T00:00:00Z", "2024-03-25T00:00:00Z", "2024-10-01T00:00:00Z",
                                         "2018-10-31T00:00:00Z", "2018-02-14T00:00:00Z", "2024-10-24T00:00:00Z",
                                         "2024-04-03T00:00:00Z", "2024-10-31T00:00:00Z", "2024-02-26T00:00:00Z"};
    const int64_t minute = 60000000;
    uint64_t seed = 5;
    size_t n_fires = 0;
    for (size_t i = 0; i < 400; i++) {
        char text[100];
        random_cron(&seed, text, sizeof text);
        gr_cron cron = cron_of(text);
        const char *zone = zones[next_random(&seed) % COUNT(zones)];
        const gr_tz *tz = zone_of(zone);
        int64_t from = at(starts[i % COUNT(starts)]), to = from + 14 * 1440 * minute;
        int64_t seen = gr_tz_to_local(tz, from - minute), next = gr_cron_next(&cron, tz, from - 1);
        for (int64_t t = from; t < to; t += minute) {
            int64_t local = gr_tz_to_local(tz, t);
            bool fires = false;
            for (int64_t r = seen + minute; r <= local; r += minute) fires = fires || holds(&cron, r);
            if (local > seen) seen = local;
            if (fires != (next == t)) fail_msg("%s in %s at %ld: next is %ld", text, zone, (long)t, (long)next);
            if (!fires) continue;
            n_fires++;
            if (gr_cron_last(&cron, tz, t + minute - 1) != t) fail_msg("%s in %s: last at %ld", text, zone, (long)t);
            next = gr_cron_next(&cron, tz, t);
        }
    }
    assert_true(n_fires > 10000);
}

/* A clock that runs through ten years, fire by fire. */
static void test_ten_years(void **state) {
    (void)state;
    static const struct {
        const char *cron, *zone;
        int64_t fires;
    } rows[] = {
        {"0 0 * * *", "UTC", 3653},
        {"30 2 * * *", "America/New_York", 3653},
        {"30 1 * * *", "Europe/London", 3653},
        {"0 0 * * *", "America/Sao_Paulo", 3653},
        {"0 0 31 * *", "Asia/Kolkata", 70},
        {"0 0 29 2 *", "UTC", 3}, /* 2016, 2020, 2024 */
        {"0 * * * *", "UTC", 3653 * 24},
        /* every reading once, but in ten springs 02:00 and 03:00 are one instant */
        {"0 * * * *", "America/New_York", 3653 * 24 - 10},
        {"*/15 * * * *", "Asia/Kolkata", 3653 * 96},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_cron cron = cron_of(rows[i].cron);
        const gr_tz *tz = zone_of(rows[i].zone);
        /* ten years on the wall clock */
        int64_t to = gr_tz_to_utc(tz, at("2025-01-01T00:00:00"), NULL), n = 0;
        clock_t start = clock();
        for (int64_t t = gr_tz_to_utc(tz, at("2015-01-01T00:00:00"), NULL) - 1; (t = gr_cron_next(&cron, tz, t)) < to;)
            n++;
        double ms = 1000.0 * (double)(clock() - start) / CLOCKS_PER_SEC;
        if (n != rows[i].fires) fail_msg("%s in %s: %ld fires", rows[i].cron, rows[i].zone, (long)n);
        if (ms > 2000) fail_msg("%s in %s: %.0f ms for %ld fires", rows[i].cron, rows[i].zone, ms, (long)n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms),       cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_fires),       cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_even),        cmocka_unit_test(test_laws),
                                       cmocka_unit_test(test_brute_force), cmocka_unit_test(test_ten_years)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
