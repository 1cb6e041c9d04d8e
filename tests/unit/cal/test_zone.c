/* Zones: names, the edges of daylight saving in eight zones, the law of gr_tz_to_utc at random points, ICU's own
 * answers. */
#include "cal_test.h"

#include <pthread.h>
#include <unicode/ucal.h>

#define HOUR_US INT64_C(3600000000)
#define DAY_US (24 * HOUR_US)

static const char *const zones[] = {"America/New_York",  "Europe/London",     "Asia/Kolkata",     "Australia/Lord_Howe",
                                    "America/St_Johns",  "America/Sao_Paulo", "America/Havana",   "Africa/Monrovia",
                                    "Africa/Casablanca", "Pacific/Apia",      "Antarctica/Troll", "UTC"};

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *given, *canonical;
        bool is_utc;
    } good[] = {
        {"utc", "UTC", true},
        {"america/new_york", "America/New_York", false},
        {"AMERICA/NEW_YORK", "America/New_York", false},
        {"US/Eastern", "US/Eastern", false},
        {"etc/utc", "Etc/UTC", true},
        {"GMT", "GMT", true},
        {"europe/london", "Europe/London", false},
        {"EST5EDT", "EST5EDT", false},
        {"Africa/Abidjan", "Africa/Abidjan", false},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        const gr_tz *tz = zone_of(good[i].given);
        assert_text(gr_tz_name(tz), good[i].canonical, good[i].given);
        assert_int_equal(gr_tz_name(tz).p[gr_tz_name(tz).n], 0);
        assert_int_equal(gr_tz_is_utc(tz), good[i].is_utc);
        assert_ptr_equal(tz, zone_of(good[i].canonical));
    }
    assert_ptr_equal(zone_of("UTC"), gr_tz_utc());
    static const char *const bad[] = {"+05:00",
                                      "-0800",
                                      "",
                                      "Mars/Olympus",
                                      "PST",
                                      "IST",
                                      "SystemV/PST8",
                                      "Etc/Unknown",
                                      "GMT+05:30",
                                      "UTC ",
                                      "America/New_York\xff",
                                      "America/New_York/America/New_York/America/New_York/America/New_York/America/X"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const gr_tz *tz = NULL;
        gr_error err = {0};
        if (gr_tz_get(gr_str_from(bad[i]), &tz, &err) != GR_ERR_QUERY_TIMEZONE) fail_msg("accepted: %s", bad[i]);
        assert_null(tz);
        assert_non_null(strstr(err.message, "Unknown time zone"));
    }
    gr_error err = {0};
    const gr_tz *tz;
    assert_int_equal(gr_tz_get(GR_STR("Europe/Lodnon"), &tz, &err), GR_ERR_QUERY_TIMEZONE);
    assert_non_null(strstr(err.hint, "Europe/London"));
    assert_int_equal(gr_tz_get(GR_STR("nowhere"), &tz, NULL), GR_ERR_QUERY_TIMEZONE);
    assert_int_equal(gr_tz_get((gr_str){0}, &tz, NULL), GR_ERR_QUERY_TIMEZONE);
}

static void test_edges(void **state) {
    (void)state;
    static const struct {
        const char *zone, *local, *utc;
        bool is_ambiguous;
    } rows[] = {
        {"America/New_York", "2021-03-14T01:59:59.999999", "2021-03-14T06:59:59.999999", false},
        {"America/New_York", "2021-03-14T02:00", "2021-03-14T07:00", false},
        {"America/New_York", "2021-03-14T02:30", "2021-03-14T07:00", false},
        {"America/New_York", "2021-03-14T03:00", "2021-03-14T07:00", false},
        {"America/New_York", "2021-03-14T03:00:00.000001", "2021-03-14T07:00:00.000001", false},
        {"America/New_York", "2021-11-07T00:59", "2021-11-07T04:59", false},
        {"America/New_York", "2021-11-07T01:00", "2021-11-07T05:00", false},
        {"America/New_York", "2021-11-07T01:00:00.000001", "2021-11-07T05:00:00.000001", true},
        {"America/New_York", "2021-11-07T01:30", "2021-11-07T05:30", true},
        {"America/New_York", "2021-11-07T02:00", "2021-11-07T07:00", false},
        {"Europe/London", "2021-03-28T01:30", "2021-03-28T01:00", false},
        {"Europe/London", "2021-10-31T01:30", "2021-10-31T00:30", true},
        {"Europe/London", "2021-10-31T02:00", "2021-10-31T02:00", false},
        {"Asia/Kolkata", "2021-06-01T00:00", "2021-05-31T18:30", false},
        {"Australia/Lord_Howe", "2021-04-04T01:45", "2021-04-03T14:45", true},
        {"Australia/Lord_Howe", "2021-04-04T02:00", "2021-04-03T15:30", false},
        {"Australia/Lord_Howe", "2021-10-03T02:15", "2021-10-02T15:30", false},
        {"America/St_Johns", "1995-04-02T00:00", "1995-04-02T03:30", false},
        {"America/St_Johns", "1995-04-02T00:30", "1995-04-02T03:31", false},
        {"America/St_Johns", "1995-10-29T00:00", "1995-10-29T02:30", true}, /* 00:01 falls back over midnight */
        {"America/St_Johns", "1995-10-28T23:30", "1995-10-29T02:00", true},
        {"America/St_Johns", "1995-10-29T00:01", "1995-10-29T03:31", false},
        {"America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00", false}, /* no midnight that day */
        {"America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30", true},
        {"America/Sao_Paulo", "2018-02-18T00:00", "2018-02-18T03:00", false},
        {"America/Havana", "2021-03-14T00:00", "2021-03-14T05:00", false},
        {"America/Havana", "2021-11-07T00:00", "2021-11-07T04:00", false}, /* two midnights: the first */
        {"America/Havana", "2021-11-07T00:30", "2021-11-07T04:30", true},
        {"Africa/Monrovia", "1850-01-01T00:00", "1850-01-01T00:43:08", false}, /* local mean time */
        {"Africa/Monrovia", "1950-01-01T00:00", "1950-01-01T00:44:30", false},
        {"Africa/Monrovia", "1972-01-07T00:20", "1972-01-07T00:44:30", false},
        {"Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00", false}, /* the day that was left out */
        {"America/New_York", "2021-07-01T00:00", "2021-07-01T04:00", false},
        {"America/New_York", "3021-07-01T00:00", "3021-07-01T04:00", false},
        {"America/New_York", "3021-01-01T00:00", "3021-01-01T05:00", false},
        {"UTC", "2021-07-01T00:00", "2021-07-01T00:00", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_tz *tz = zone_of(rows[i].zone);
        bool is_ambiguous = !rows[i].is_ambiguous;
        char what[128];
        snprintf(what, sizeof what, "%s %s", rows[i].zone, rows[i].local);
        assert_point(gr_tz_to_utc(tz, at(rows[i].local), &is_ambiguous), rows[i].utc, what);
        if (is_ambiguous != rows[i].is_ambiguous) fail_msg("%s: ambiguous %d", what, is_ambiguous);
        assert_int_equal(gr_tz_to_utc(tz, at(rows[i].local), NULL), at(rows[i].utc));
    }
}

static int64_t offset_at(const gr_tz *tz, int64_t utc) { return gr_tz_to_local(tz, utc) - utc; }

/* Some instant after `utc` reads less than `local`: if so, one at which the offset has just changed. */
static bool has_later_lower(const gr_tz *tz, int64_t utc, int64_t local) {
    for (int64_t t = utc; t < utc + 3 * DAY_US; t += HOUR_US) {
        if (offset_at(tz, t) == offset_at(tz, t + HOUR_US)) continue;
        int64_t before = t, after = t + HOUR_US;
        while (after - before > 1) {
            int64_t mid = before + (after - before) / 2;
            if (offset_at(tz, mid) == offset_at(tz, t))
                before = mid;
            else
                after = mid;
        }
        if (gr_tz_to_local(tz, after) < local) return true;
    }
    return false;
}

static void check_law(const gr_tz *tz, int64_t local, uint64_t *random) {
    bool is_ambiguous;
    int64_t utc = gr_tz_to_utc(tz, local, &is_ambiguous);
    assert_true(gr_tz_to_local(tz, utc) >= local);
    assert_true(gr_tz_to_local(tz, utc - 1) < local); /* the first such instant */
    for (int i = 0; i < 40; i++) {
        int64_t t = random_between(random, utc - 2 * DAY_US, utc + 2 * DAY_US);
        if (t < utc && gr_tz_to_local(tz, t) >= local) fail_msg("an earlier instant reads %ld or more", (long)local);
        if (t >= utc && gr_tz_to_local(tz, t) < local && !is_ambiguous) fail_msg("not told: %ld", (long)local);
    }
    if (is_ambiguous != has_later_lower(tz, utc, local)) {
        char out[41];
        out[gr_time_format(local, out)] = 0;
        fail_msg(GR_FMT " %s: ambiguous %d", GR_ARG(gr_tz_name(tz)), out, is_ambiguous);
    }
}

static void test_law(void **state) {
    (void)state;
    uint64_t random = 7;
    for (size_t z = 0; z < COUNT(zones); z++) {
        const gr_tz *tz = zone_of(zones[z]);
        int64_t from = at("1840-01-01"), to = at("+002990-01-01"), near = from;
        for (int i = 0; i < 60; i++) check_law(tz, random_between(&random, from, to) / 60000000 * 60000000, &random);
        /* around the changes of offset, where it matters */
        int64_t last = gr_tz_to_local(tz, from) - from;
        for (int64_t t = from; t < at("2040-01-01"); t += DAY_US) {
            int64_t offset = gr_tz_to_local(tz, t) - t;
            if (offset == last) continue;
            last = offset;
            near = gr_tz_to_local(tz, t - DAY_US);
            for (int i = 0; i < 6; i++) check_law(tz, random_between(&random, near, near + DAY_US), &random);
        }
    }
}

static int64_t icu_offset_us(UCalendar *calendar, int64_t utc_us) {
    UErrorCode status = U_ZERO_ERROR;
    ucal_setMillis(calendar, (double)(utc_us / 1000), &status);
    int64_t ms = ucal_get(calendar, UCAL_ZONE_OFFSET, &status) + ucal_get(calendar, UCAL_DST_OFFSET, &status);
    assert_true(U_SUCCESS(status));
    return ms * 1000;
}

static void test_same_as_icu(void **state) {
    (void)state;
    uint64_t random = 11;
    for (size_t z = 0; z < COUNT(zones); z++) {
        const gr_tz *tz = zone_of(zones[z]);
        UChar id[64];
        for (size_t i = 0; i <= strlen(zones[z]); i++) id[i] = (UChar)zones[z][i];
        UErrorCode status = U_ZERO_ERROR;
        UCalendar *calendar = ucal_open(id, -1, "en", UCAL_GREGORIAN, &status);
        assert_true(U_SUCCESS(status));
        for (int i = 0; i < 3000; i++) {
            int64_t t = random_between(&random, at("1700-01-01"), at("+004000-01-01")) / 1000 * 1000;
            int64_t got = gr_tz_to_local(tz, t) - t, want = icu_offset_us(calendar, t);
            if (got != want) fail_msg("%s at %ld: %ld, ICU says %ld", zones[z], (long)t, (long)got, (long)want);
        }
        ucal_close(calendar);
    }
}

static void test_extremes(void **state) {
    (void)state;
    static const int64_t points[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    for (size_t z = 0; z < COUNT(zones); z++) {
        const gr_tz *tz = zone_of(zones[z]);
        for (size_t i = 0; i < COUNT(points); i++) {
            bool is_ambiguous;
            int64_t local = gr_tz_to_local(tz, points[i]), utc = gr_tz_to_utc(tz, points[i], &is_ambiguous);
            assert_true(local >= gr_tz_to_local(tz, points[i ? i - 1 : 0])); /* no wrap */
            assert_true(utc >= gr_tz_to_utc(tz, points[i ? i - 1 : 0], NULL));
        }
    }
}

static void test_offsets_divide(void **state) {
    (void)state;
    static const struct {
        const char *zone, *from, *to;
        int64_t seconds;
        bool divides;
    } rows[] = {
        {"America/New_York", "2000-01-01", "2030-01-01", 3600, true},
        {"America/New_York", "1850-01-01", "2030-01-01", 3600, false}, /* local mean time */
        {"America/New_York", "1850-01-01", "2030-01-01", 1, true},
        {"America/New_York", "2000-01-01", "2030-01-01", 86400, false},
        {"Asia/Kolkata", "2000-01-01", "2030-01-01", 3600, false},
        {"Asia/Kolkata", "2000-01-01", "2030-01-01", 1800, true},
        {"Asia/Kathmandu", "2000-01-01", "2030-01-01", 1800, false},
        {"Asia/Kathmandu", "2000-01-01", "2030-01-01", 900, true},
        {"Australia/Lord_Howe", "2021-05-01", "2021-06-01", 3600, false}, /* +10:30 */
        {"Australia/Lord_Howe", "2021-12-01", "2022-01-01", 3600, true},  /* +11 */
        {"Australia/Lord_Howe", "2021-12-01", "2022-01-01", 660, true},
        {"Australia/Lord_Howe", "2021-12-01", "2022-06-01", 3600, false},
        {"Europe/London", "2021-05-01", "2021-06-01", 3600, true},
        {"Europe/London", "2021-01-01", "2021-02-01", 86400, true}, /* zero in winter */
        {"Europe/London", "2021-01-01", "2021-03-28T01:00", 86400, true},
        {"Europe/London", "2021-01-01", "2021-03-28T01:00:00.000001", 86400, false},
        {"Europe/London", "3021-01-01", "3021-12-01", 86400, false}, /* far beyond the table */
        {"Africa/Monrovia", "1950-01-01", "1960-01-01", 60, false},
        {"Africa/Monrovia", "1980-01-01", "2020-01-01", 86400, true},
        {"UTC", "1800-01-01", "2020-01-01", 86400, true},
        {"America/New_York", "2000-01-01", "2030-01-01", 0, false},
        {"America/New_York", "2000-01-01", "2000-01-01", 86400, true}, /* no instant */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool got = gr_tz_offsets_divide(zone_of(rows[i].zone), at(rows[i].from), at(rows[i].to), rows[i].seconds);
        if (got != rows[i].divides) fail_msg("row %zu: %s %s %d", i, rows[i].zone, rows[i].from, got);
    }
    assert_false(gr_tz_offsets_divide(zone_of("Europe/Paris"), INT64_MIN, INT64_MAX, 60));
    assert_true(gr_tz_offsets_divide(zone_of("Europe/Paris"), INT64_MIN, INT64_MAX, 1));
    assert_true(gr_tz_offsets_divide(zone_of("Europe/Paris"), at("2000-01-01"), INT64_MAX, 3600));
    assert_false(gr_tz_offsets_divide(zone_of("Europe/Paris"), at("2000-01-01"), INT64_MAX, INT64_MAX));
    assert_true(gr_tz_offsets_divide(gr_tz_utc(), INT64_MIN, INT64_MAX, 86400));
}

static void *ask_for_zones(void *arg) {
    const gr_tz **got = arg;
    static const char *const names[] = {"Asia/Tokyo", "Europe/Berlin", "America/Chicago", "Africa/Cairo"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (gr_tz_get(gr_str_from(names[i]), &got[i], NULL)) got[i] = NULL;
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    const gr_tz *got[THREADS][4] = {0};
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask_for_zones, got[i]), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        for (int z = 0; z < 4; z++) {
            assert_non_null(got[i][z]);
            assert_ptr_equal(got[i][z], got[0][z]);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_edges),          cmocka_unit_test(test_law),
        cmocka_unit_test(test_same_as_icu),    cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_offsets_divide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
