/* Points as text, and civil arithmetic. */
#include "cal_test.h"

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
        gr_time_zone_part zone;
        bool is_date;
    } rows[] = {
        {"1970-01-01", 0, GR_TIME_NAIVE, true},
        {"1970-01-02T00:00", INT64_C(86400000000), GR_TIME_NAIVE, false},
        {"1970-01-01 00:00:01", 1000000, GR_TIME_NAIVE, false},
        {"1970-01-01T00:00:00.5", 500000, GR_TIME_NAIVE, false},
        {"1970-01-01T00:00:00.123456789", 123456, GR_TIME_NAIVE, false},
        {"1970-01-01T00:00:00Z", 0, GR_TIME_ZONED, false},
        {"1970-01-01T05:30:00+05:30", 0, GR_TIME_ZONED, false},
        {"1970-01-01T05:30:00+0530", 0, GR_TIME_ZONED, false},
        {"1969-12-31T19:00:00-05", 0, GR_TIME_ZONED, false},
        {"1970-01-01 00:00:00 +00:00", 0, GR_TIME_ZONED, false},
        {"2000-02-29", INT64_C(951782400000000), GR_TIME_NAIVE, true},
        {"2024-12-31T23:59:59.999", INT64_C(1735689599999000), GR_TIME_NAIVE, false},
        {"1969-12-31T23:59:59.999999", -1, GR_TIME_NAIVE, false},
        {"0000-01-01", INT64_C(-62167219200000000), GR_TIME_NAIVE, true},
        {"9999-12-31", INT64_C(253402214400000000), GR_TIME_NAIVE, true},
        {"+010000-01-01", INT64_C(253402300800000000), GR_TIME_NAIVE, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t us = -7;
        gr_time_zone_part zone = GR_TIME_NAIVE;
        bool is_date = !rows[i].is_date;
        if (!gr_time_parse(gr_str_from(rows[i].text), &us, &zone, &is_date)) fail_msg("refused: %s", rows[i].text);
        if (us != rows[i].us) fail_msg("%s: %ld", rows[i].text, (long)us);
        assert_int_equal(zone, rows[i].zone);
        assert_int_equal(is_date, rows[i].is_date);
    }
}

static void test_refuse(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "2021",
        "2021-02",
        "2021-02-30",
        "2021-02-29",
        "1900-02-29",
        "2021-13-01",
        "2021-00-01",
        "2021-01-00",
        "2021-01-32",
        "2021-1-01",
        "21-01-01",
        "20210-01-01",
        "2021-01-01T",
        "2021-01-01T10",
        "2021-01-01T24:00",
        "2021-01-01T10:60",
        "2021-01-01T10:00:60",
        "2021-01-01T10:00:",
        "2021-01-01T10:00:00.",
        "2021-01-01T10:00Q",
        "2021-01-01T10:00+",
        "2021-01-01T10:00+5",
        "2021-01-01T10:00+05:",
        "2021-01-01T10:00+05:60",
        "2021-01-01T10:00+19:00",
        "2021-01-01Z",
        " 2021-01-01",
        "2021-01-01 ",
        "2021/01/01",
        "today",
        "+999999-01-01",
        "-999999-01-01",
        "2021-01-01T10:00:00ZZ",
        "2021-01-01T1:00",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t us = 42;
        gr_time_zone_part zone;
        bool is_date;
        if (gr_time_parse(gr_str_from(bad[i]), &us, &zone, &is_date)) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(us, 42); /* untouched */
    }
    int64_t us;
    gr_time_zone_part zone;
    bool is_date;
    assert_false(gr_time_parse((gr_str){0}, &us, &zone, &is_date));
}

static void test_format(void **state) {
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000"},
        {-1, "1969-12-31T23:59:59.999"},
        {1609459199999999, "2020-12-31T23:59:59.999"},
        {951782400000000, "2000-02-29T00:00:00.000"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999"},
        {INT64_C(253402300800000000), "+010000-01-01T00:00:00.000"},
        {INT64_C(-62167219200000000), "0000-01-01T00:00:00.000"},
        {INT64_C(-62167219200000001), "-000001-12-31T23:59:59.999"},
        {INT64_MAX, "+294247-01-10T04:00:54.775"},
        {INT64_MIN, "-290308-12-21T19:59:05.224"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[40];
        assert_text((gr_str){out, gr_time_format(rows[i].us, out)}, rows[i].text, rows[i].text);
    }
    static const struct {
        int32_t days;
        const char *text;
    } dates[] = {{0, "1970-01-01"},
                 {-1, "1969-12-31"},
                 {11016, "2000-02-29"},
                 {19723, "2024-01-01"},
                 {INT32_MAX, "+05881580-07-11"},
                 {INT32_MIN, "-05877641-06-23"},
                 {-719529, "-000001-12-31"}};
    for (size_t i = 0; i < COUNT(dates); i++) {
        char out[40];
        assert_text((gr_str){out, gr_date_format(dates[i].days, out)}, dates[i].text, dates[i].text);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    uint64_t random = 3;
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t)next_random(&random);
        if (i % 2) us /= 100;
        us -= us % 1000;
        char out[40];
        int64_t back;
        gr_time_zone_part zone;
        bool is_date;
        gr_str text = {out, gr_time_format(us, out)};
        if (!gr_time_parse(text, &back, &zone, &is_date) || back != us) fail_msg(GR_FMT, GR_ARG(text));
        gr_civil c = gr_civil_from_us(us);
        assert_in_range(c.month, 1, 12);
        assert_in_range(c.day, 1, 31);
        assert_true(gr_civil_to_us(c) == us);
    }
}

static void test_civil(void **state) {
    (void)state;
    gr_civil c = gr_civil_from_us(at("2021-03-14T15:09:26.535897"));
    assert_int_equal(c.year, 2021);
    assert_int_equal(c.month, 3);
    assert_int_equal(c.day, 14);
    assert_int_equal(c.hour, 15);
    assert_int_equal(c.minute, 9);
    assert_int_equal(c.second, 26);
    assert_int_equal(c.us, 535897);
    assert_true(gr_civil_to_us((gr_civil){.year = 2021, .month = 13, .day = 1}) == at("2022-01-01"));
    assert_true(gr_civil_to_us((gr_civil){.year = 2021, .month = 0, .day = 1}) == at("2020-12-01"));
    assert_true(gr_civil_to_us((gr_civil){.year = 2021, .month = 1, .day = 32, .hour = 24}) == at("2021-02-02"));
    assert_true(gr_civil_to_us((gr_civil){.year = INT64_MAX, .month = 1, .day = 1}) == INT64_MAX);
    assert_true(gr_civil_to_us((gr_civil){.year = INT64_MIN, .month = -5, .day = 1}) == INT64_MIN);
    /* every day of nine centuries, against a plain count */
    int64_t us = at("1600-01-01");
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int year = 1600; year < 2500; year++)
        for (int month = 1; month <= 12; month++) {
            bool is_leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
            for (int day = 1; day <= days[month - 1] + (month == 2 && is_leap); day++, us += INT64_C(86400000000)) {
                gr_civil got = gr_civil_from_us(us);
                if (got.year != year || got.month != month || got.day != day) fail_msg("%d-%d-%d", year, month, day);
            }
        }
    assert_true(us == at("2500-01-01"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_refuse),
                                       cmocka_unit_test(test_format), cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_civil)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
