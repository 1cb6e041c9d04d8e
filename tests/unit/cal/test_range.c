/* Ranges of two ends, points, alignment. Vectors: cube.md 2.3, 4.5, 5.5, 6.4 and case 127. */
#include "cal_test.h"

static gr_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_arena_free(arena);
    return 0;
}

static gr_range pair(const char *from, const char *to, const char *zone) {
    gr_range r = {0};
    gr_error err = {0};
    if (gr_range_parse_pair(gr_str_from(from), gr_str_from(to), zone_of(zone), 0, arena, &r, &err))
        fail_msg("%s..%s: %s", from, to, err.message);
    return r;
}

static void test_pairs(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *from_text, *to_text, *from_us, *to_us;
    } rows[] = {
        {"2020-01-01", "2020-01-01", "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999", "2020-01-01", "2020-01-02"},
        {"2020-01-01", "2020-01-31", "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999", "2020-01-01", "2020-02-01"},
        {"2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999", "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999",
         "2020-01-01", "2020-02-01"},
        {"2020-01-01", "2020-01-31T23:59:59.999999", "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999", "2020-01-01",
         "2020-02-01"},
        {"2020-01-01", "2020-01-31T23:59:59", "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.000", "2020-01-01",
         "2020-01-31T23:59:59.000001"},
        {"2020-01-01", "2020-02-01T00:00:00.000", "2020-01-01T00:00:00.000", "2020-02-01T00:00:00.000", "2020-01-01",
         "2020-02-01T00:00:00.000001"},
        {"2020-01-01 10:30", "2020-01-01 11:00:00.998", "2020-01-01T10:30:00.000", "2020-01-01T11:00:00.998",
         "2020-01-01T10:30", "2020-01-01T11:00:00.998001"},
        /* a zone: the wall clock of UTC is taken, whatever the query's zone */
        {"2020-01-01T00:00:00Z", "2020-01-01T05:00:00+05:00", "2020-01-01T00:00:00.000", "2020-01-01T00:00:00.000",
         "2020-01-01", "2020-01-01T00:00:00.000001"},
        {" 2020-01-01 ", "2020-01-02\n", "2020-01-01T00:00:00.000", "2020-01-02T23:59:59.999", "2020-01-01",
         "2020-01-03"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = pair(rows[i].from, rows[i].to, "America/Los_Angeles");
        assert_point(r.from_local_us, rows[i].from_us, rows[i].from);
        assert_point(r.to_local_us, rows[i].to_us, rows[i].to);
        assert_text(r.from_text, rows[i].from_text, rows[i].from);
        assert_text(r.to_text, rows[i].to_text, rows[i].to);
    }
}

static void test_instants(void **state) {
    (void)state;
    static const struct {
        const char *zone, *from, *to, *from_utc, *to_utc;
        bool is_from_ambiguous, is_to_ambiguous;
    } rows[] = {
        {"America/Los_Angeles", "2020-01-01", "2020-01-31", "2020-01-01T08:00", "2020-02-01T08:00", false, false},
        {"America/Los_Angeles", "2020-03-08", "2020-03-10", "2020-03-08T08:00", "2020-03-11T07:00", false, false},
        {"America/New_York", "2024-03-10", "2024-03-10", "2024-03-10T05:00", "2024-03-11T04:00", false, false},
        {"America/New_York", "2021-11-07T01:30", "2021-11-07", "2021-11-07T05:30", "2021-11-08T05:00", true, false},
        {"America/New_York", "2021-11-07", "2021-11-07T01:29:59.999", "2021-11-07T04:00", "2021-11-07T05:30", false,
         true},
        {"America/Sao_Paulo", "2018-11-03", "2018-11-03", "2018-11-03T03:00", "2018-11-04T03:00", false, false},
        {"America/Sao_Paulo", "2018-11-04", "2018-11-04", "2018-11-04T03:00", "2018-11-05T02:00", false, false},
        {"America/St_Johns", "1995-10-28", "1995-10-28", "1995-10-28T02:30", "1995-10-29T02:30", false, true},
        {"Asia/Tokyo", "2024-01-01", "2024-01-03", "2023-12-31T15:00", "2024-01-03T15:00", false, false},
        {"UTC", "2024-01-01", "2024-01-03", "2024-01-01", "2024-01-04", false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = pair(rows[i].from, rows[i].to, rows[i].zone);
        assert_point(r.from_utc_us, rows[i].from_utc, rows[i].zone);
        assert_point(r.to_utc_us, rows[i].to_utc, rows[i].zone);
        assert_int_equal(r.is_from_ambiguous, rows[i].is_from_ambiguous);
        assert_int_equal(r.is_to_ambiguous, rows[i].is_to_ambiguous);
    }
}

static void test_reversed(void **state) {
    (void)state;
    gr_range r = pair("2020-02-01", "2020-01-01", "Europe/London");
    assert_true(r.from_local_us == at("2020-02-01"));
    assert_true(r.to_local_us == r.from_local_us && r.to_utc_us == r.from_utc_us);
    assert_text(r.to_text, "2020-01-01T23:59:59.999", "reversed");
    r = pair("+294247-01-10", "+294247-01-10", "UTC"); /* the last day of all */
    assert_true(r.to_local_us == INT64_MAX);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } rows[] = {
        {"2021-02-30", "2021-03-01", "Can't parse date: '2021-02-30'"},
        {"2021-02-01", "2021-02-30", "Can't parse date: '2021-02-30'"},
        {"today", "2021-02-28", "Can't parse date: 'today'"},
        {"2021-02-01", "", "Can't parse date: ''"},
        {"2021-02-01", "2021-02-01T25:00", "Can't parse date: '2021-02-01T25:00'"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = {.from_local_us = 42};
        gr_error err = {0};
        assert_int_equal(
            gr_range_parse_pair(gr_str_from(rows[i].from), gr_str_from(rows[i].to), gr_tz_utc(), 0, arena, &r, &err),
            GR_ERR_QUERY_DATE);
        assert_string_equal(err.message, rows[i].message);
        assert_int_equal(r.from_local_us, 42);
    }
    char big[5000];
    memset(big, 'x', sizeof big);
    for (size_t i = 0; i + 1 < sizeof big; i += 2) memcpy(big + i, "\xc3\xa9", 2);
    big[0] = 'x', big[1] = 'y';
    gr_range r;
    gr_error err = {0};
    gr_str text = {big + 1, sizeof big - 1}; /* the cut would fall within a letter */
    assert_int_equal(gr_range_parse_text(text, gr_tz_utc(), 0, arena, &r, &err), GR_ERR_QUERY_DATE);
    assert_true(strlen(err.message) < 300);
    assert_true(gr_str_is_utf8(gr_str_from(err.message)));
}

static void test_points(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool want_end;
        const char *zone, *local, *utc;
        bool is_ambiguous;
    } rows[] = {
        {"2024-01-15", false, "UTC", "2024-01-15", "2024-01-15", false},
        {"2024-01-15", true, "UTC", "2024-01-15", "2024-01-15", false},
        {"2024-01-15T23:59:59.999", false, "UTC", "2024-01-15T23:59:59.999", "2024-01-15T23:59:59.999", false},
        {"2024-01-15T23:59:59.999", true, "UTC", "2024-01-15T23:59:59.999999", "2024-01-15T23:59:59.999999",
         false}, /* case 95 */
        {"2024-01-15T10:00", true, "America/New_York", "2024-01-15T10:00", "2024-01-15T15:00", false},
        {"2024-01-15T10:00Z", true, "America/New_York", "2024-01-15T10:00", "2024-01-15T15:00", false},
        {"today", false, "UTC", "2021-11-07", "2021-11-07", false},
        {"today", true, "UTC", "2021-11-07T23:59:59.999999", "2021-11-07T23:59:59.999999", false},
        {"last month", true, "America/New_York", "2021-10-31T23:59:59.999999", "2021-11-01T03:59:59.999999", false},
        {"2021-03-14T02:30", false, "America/New_York", "2021-03-14T02:30", "2021-03-14T07:00",
         false}, /* jumped over */
        {"2021-03-14T02:30", true, "America/New_York", "2021-03-14T02:30", "2021-03-14T06:59:59.999999", false},
        {"2021-11-07T01:30", false, "America/New_York", "2021-11-07T01:30", "2021-11-07T05:30", true},
        {"2021-11-07T01:30", true, "America/New_York", "2021-11-07T01:30", "2021-11-07T05:30", true},
    };
    int64_t now = at("2021-11-07T12:00Z");
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = {0};
        gr_error err = {0};
        if (gr_range_parse_point(gr_str_from(rows[i].text), rows[i].want_end, zone_of(rows[i].zone), now, arena, &r,
                                 &err))
            fail_msg("%s: %s", rows[i].text, err.message);
        assert_point(r.from_local_us, rows[i].local, rows[i].text);
        assert_point(r.from_utc_us, rows[i].utc, rows[i].text);
        assert_true(r.to_local_us == r.from_local_us && r.to_utc_us == r.from_utc_us);
        assert_int_equal(r.is_from_ambiguous, rows[i].is_ambiguous);
        assert_int_equal(r.is_to_ambiguous, rows[i].is_ambiguous);
    }
    gr_range r;
    gr_error err = {0};
    assert_int_equal(gr_range_parse_point(GR_STR("2021-02-30"), false, gr_tz_utc(), now, arena, &r, &err),
                     GR_ERR_QUERY_DATE);
    assert_string_equal(err.message, "Can't parse date: '2021-02-30'");
}

/* `<` and `>=` against the start, `<=` and `>` against the end are the same asked of instants as of the wall clock. */
static void test_point_law(void **state) {
    (void)state;
    static const char *const zones[] = {"America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"};
    uint64_t random = 9;
    for (size_t z = 0; z < COUNT(zones); z++) {
        const gr_tz *tz = zone_of(zones[z]);
        for (int i = 0; i < 4000; i++) {
            int64_t local = random_between(&random, at("2016-01-01"), at("2019-01-01")) / 900000000 * 900000000;
            char out[40];
            gr_str text = {out, gr_time_format(local, out)};
            gr_range start, end;
            assert_int_equal(gr_range_parse_point(text, false, tz, 0, arena, &start, NULL), GR_OK);
            assert_int_equal(gr_range_parse_point(text, true, tz, 0, arena, &end, NULL), GR_OK);
            for (int64_t d = -7200; d <= 7200; d += 450) {
                int64_t t = start.from_utc_us + d * 1000000, wall = gr_tz_to_local(tz, t);
                if (!start.is_from_ambiguous) assert_int_equal(t < start.from_utc_us, wall < local);
                if (!end.is_from_ambiguous) assert_int_equal(t <= end.from_utc_us, wall <= local);
            }
        }
    }
}

static void test_aligned(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        const char *aligned; /* second minute hour day week month quarter year */
    } rows[] = {
        {"2020-01-01", "2020-12-31", "1111.111"},
        {"2020-01-01", "2020-01-31", "1111.1.."},
        {"2020-01-01", "2020-01-15", "1111...."},
        {"2020-06-01", "2020-06-07", "11111..."},
        {"2020-01-01", "2020-01-31T22:59:59.999", "111....."},
        {"2020-01-01", "2020-01-31T22:50:59.999", "11......"},
        {"2020-01-01", "2020-01-31T22:50:50.999", "1......."},
        {"2020-01-01", "2020-02-01T00:00:00.000", "........"},
        {"2020-01-01", "2020-01-31T23:59:59", "........"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = pair(rows[i].from, rows[i].to, "America/New_York");
        for (gr_grain g = GR_GRAIN_SECOND; g < GR_GRAIN_CUSTOM; g++) {
            bool got = gr_range_is_aligned(&r, gr_granularity_predefined(g), 0);
            if (got != (rows[i].aligned[g - GR_GRAIN_SECOND] == '1')) fail_msg("row %zu, grain %d: %d", i, (int)g, got);
        }
    }
    gr_granularity fiscal;
    assert_int_equal(
        gr_granularity_parse(GR_STR("fiscal"), GR_STR("1 year"), GR_STR("3 months"), (gr_str){0}, &fiscal, NULL),
        GR_OK);
    int64_t anchor = gr_granularity_anchor(&fiscal, gr_tz_utc(), at("2024-06-01"));
    gr_range r = pair("2020-04-01", "2021-03-31", "UTC");
    assert_true(gr_range_is_aligned(&r, &fiscal, anchor));
    r = pair("2020-01-01", "2020-12-31", "UTC");
    assert_false(gr_range_is_aligned(&r, &fiscal, anchor));
}

/* Given on the wall clock: the same instants and doubts as a range that was parsed; open ends stay open. */
static void test_of_local(void **state) {
    (void)state;
    static const struct {
        const char *zone, *from, *to, *from_utc, *to_utc; /* NULL: open */
        bool is_from_ambiguous, is_to_ambiguous;
    } rows[] = {
        {"UTC", "2020-01-01", "2020-02-01", "2020-01-01", "2020-02-01", false, false},
        {"America/New_York", "2020-01-01", "2020-07-01", "2020-01-01T05:00", "2020-07-01T04:00", false, false},
        /* a gap: the instant of the jump, for both of its sides */
        {"America/New_York", "2020-03-08T02:30", "2020-03-08T03:00", "2020-03-08T07:00", "2020-03-08T07:00", false,
         false},
        /* a doubled hour: the earlier instant; its first reading is certain, and so is the hour behind it */
        {"America/New_York", "2019-11-03T01:00", "2019-11-03T01:30", "2019-11-03T05:00", "2019-11-03T05:30", false,
         true},
        {"America/New_York", "2019-11-03T01:30", "2019-11-03T02:00", "2019-11-03T05:30", "2019-11-03T07:00", true,
         false},
        {"UTC", NULL, "2020-02-01", NULL, "2020-02-01", false, false},
        {"America/New_York", "2020-01-01", NULL, "2020-01-01T05:00", NULL, false, false},
        {"America/New_York", NULL, NULL, NULL, NULL, false, false},
        {"UTC", "2020-01-01", "2020-01-01", "2020-01-01", "2020-01-01", false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t from = rows[i].from ? at(rows[i].from) : INT64_MIN, to = rows[i].to ? at(rows[i].to) : INT64_MAX;
        gr_range r = gr_range_of_local(from, to, zone_of(rows[i].zone));
        assert_int_equal(r.from_local_us, from);
        assert_int_equal(r.to_local_us, to);
        assert_int_equal(r.from_utc_us, rows[i].from_utc ? at(rows[i].from_utc) : INT64_MIN);
        assert_int_equal(r.to_utc_us, rows[i].to_utc ? at(rows[i].to_utc) : INT64_MAX);
        if (r.is_from_ambiguous != rows[i].is_from_ambiguous || r.is_to_ambiguous != rows[i].is_to_ambiguous)
            fail_msg("row %zu", i);
        assert_int_equal(r.from_text.n + r.to_text.n, 0);
    }
}

/* An open end is a boundary of every grain. */
static void test_open_is_aligned(void **state) {
    (void)state;
    const gr_granularity *day = gr_granularity_predefined(GR_GRAIN_DAY);
    static const struct {
        const char *from, *to;
        bool is_aligned;
    } rows[] = {
        {NULL, NULL, true},
        {NULL, "2020-01-01", true},
        {"2020-01-01", NULL, true},
        {NULL, "2020-01-01T10:00", false},
        {"2020-01-01T10:00", NULL, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = gr_range_of_local(rows[i].from ? at(rows[i].from) : INT64_MIN,
                                       rows[i].to ? at(rows[i].to) : INT64_MAX, gr_tz_utc());
        if (gr_range_is_aligned(&r, day, 0) != rows[i].is_aligned) fail_msg("row %zu", i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),   cmocka_unit_test(test_instants), cmocka_unit_test(test_reversed),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_points),   cmocka_unit_test(test_point_law),
        cmocka_unit_test(test_aligned), cmocka_unit_test(test_of_local), cmocka_unit_test(test_open_is_aligned),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
