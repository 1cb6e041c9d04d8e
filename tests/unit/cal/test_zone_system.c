/* The zones of this system: rules that are younger than ICU's, agreement with ICU where nothing has changed, names. */
#include "cal/zone_table.h"
#include "cal_test.h"

#include <stdlib.h>

static void test_younger_than_icu(void **state) {
    (void)state;
    static const struct {
        const char *zone, *utc, *local;
    } rows[] = {
        {"Africa/Cairo", "2026-09-26T08:30", "2026-09-26T11:30"}, /* summer time again since 2023 */
        {"Africa/Cairo", "2026-01-15T08:30", "2026-01-15T10:30"},
        {"Africa/Cairo", "2022-07-01T08:30", "2022-07-01T10:30"},
        {"Africa/Cairo", "2426-07-01T08:30", "2426-07-01T11:30"},
        {"Egypt", "2026-09-26T08:30", "2026-09-26T11:30"},
        {"America/Mexico_City", "2023-07-01T12:00", "2023-07-01T06:00"}, /* none since 2022 */
        {"America/Mexico_City", "2022-07-01T12:00", "2022-07-01T07:00"},
        {"Asia/Amman", "2023-01-15T12:00", "2023-01-15T15:00"}, /* +3 for good since October 2022 */
        {"Asia/Amman", "2022-01-15T12:00", "2022-01-15T14:00"},
        {"Asia/Almaty", "2024-07-01T12:00", "2024-07-01T17:00"}, /* +5 since March 2024 */
        {"Asia/Almaty", "2024-01-01T12:00", "2024-01-01T18:00"},
        {"America/Asuncion", "2025-07-01T12:00", "2025-07-01T09:00"}, /* -3 for good since October 2024 */
        {"America/Asuncion", "2024-07-01T12:00", "2024-07-01T08:00"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_point(gr_tz_to_local(zone_of(rows[i].zone), at(rows[i].utc)), rows[i].local, rows[i].zone);
}

static size_t segment_of(const gr_cal_table *table, int64_t utc_us) {
    size_t i = table->n - 1;
    while (i > 0 && table->v[i].start_us > utc_us) i--;
    return i;
}

static void test_same_as_icu(void **state) {
    (void)state;
    static const char *const unchanged[] = {
        "America/New_York", "America/Los_Angeles", "America/St_Johns",    "America/Sao_Paulo", "America/Havana",
        "America/Santiago", "Europe/London",       "Europe/Dublin",       "Europe/Berlin",     "Europe/Moscow",
        "Africa/Monrovia",  "Africa/Johannesburg", "Asia/Kolkata",        "Asia/Kathmandu",    "Asia/Tokyo",
        "Asia/Jerusalem",   "Australia/Sydney",    "Australia/Lord_Howe", "Pacific/Auckland",  "Pacific/Chatham",
        "Pacific/Apia",     "Pacific/Kiritimati",  "Antarctica/Troll",    "Etc/GMT+5",         "UTC",
    };
    uint64_t random = 3;
    gr_cal_table icu;
    gr_cal_table_init(&icu);
    for (size_t z = 0; z < COUNT(unchanged); z++) {
        const gr_tz *tz = zone_of(unchanged[z]);
        assert_true(gr_cal_icu_read(gr_str_from(unchanged[z]), &icu));
        for (int i = 0; i < 2000; i++) {
            int64_t t = random_between(&random, at("1900-01-01"), at("2400-01-01"));
            if (i % 4 == 0 && icu.n > 1) { /* the microseconds around a change */
                const gr_cal_segment *s = &icu.v[1 + next_random(&random) % (icu.n - 1)];
                if (s->start_us >= at("1900-01-01") && s->start_us < at("2400-01-01"))
                    t = s->start_us - (int64_t)(next_random(&random) % 2);
            }
            int64_t got = gr_tz_to_local(tz, t) - t, want = icu.v[segment_of(&icu, t)].offset_us;
            if (got != want) fail_msg("%s at %ld: %ld, ICU says %ld", unchanged[z], (long)t, (long)got, (long)want);
        }
    }
    gr_cal_table_done(&icu);
}

typedef struct tally {
    gr_cal_table table;
    size_t n_read, n_without;
} tally;

static void count_one(void *into, gr_str name) {
    tally *t = into;
    if (gr_cal_dir_read(name, &t->table))
        t->n_read++;
    else
        t->n_without++;
}

/* Were a check of the reader too strict for real files, ICU's older rules would quietly answer. */
static void test_files_are_used(void **state) {
    (void)state;
    tally t = {0};
    gr_cal_table_init(&t.table);
    gr_cal_icu_names(count_one, &t);
    assert_true(t.n_read > 400);
    assert_true(t.n_without < 60); /* early Java's names, mostly */
    t.n_read = t.n_without = 0;
    gr_cal_dir_names(count_one, &t);
    assert_true(t.n_read > 400);
    assert_true(t.n_without <= 1); /* "leapseconds", a text */
    gr_cal_table_done(&t.table);
}

static void test_names(void **state) {
    (void)state;
    assert_text(gr_tz_name(zone_of("america/ciudad_juarez")), "America/Ciudad_Juarez", "newer than ICU");
    assert_point(gr_tz_to_local(zone_of("America/Ciudad_Juarez"), at("2026-07-01T12:00")), "2026-07-01T06:00",
                 "Juarez");
    static const char *const bad[] = {"posixrules",          "localtime",   "right/Europe/London",
                                      "posix/Europe/London", "leapseconds", "zone.tab",
                                      "tzdata.zi",           "Europe",      "../zoneinfo/UTC"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const gr_tz *tz;
        if (gr_tz_get(gr_str_from(bad[i]), &tz, NULL) != GR_ERR_QUERY_TIMEZONE) fail_msg("accepted: %s", bad[i]);
    }
}

int main(void) {
    unsetenv("GRANARY_TZDIR");
    unsetenv("TZDIR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_younger_than_icu),
        cmocka_unit_test(test_same_as_icu),
        cmocka_unit_test(test_files_are_used),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
