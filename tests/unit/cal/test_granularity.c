/* Granularities: parsing and its rules, anchors, buckets, bases. Vectors: cube.md 1.8, 4.4, cases 85, 86 and 143. */
#include "cal_test.h"

static gr_granularity custom(const char *interval, const char *offset, const char *origin) {
    gr_granularity g = {0};
    gr_error err = {0};
    if (gr_granularity_parse(GR_STR("g"), gr_str_from(interval), gr_str_from(offset), gr_str_from(origin), &g, &err))
        fail_msg("%s / %s / %s: %s", interval, offset ? offset : "", origin ? origin : "", err.message);
    return g;
}

static void test_parse(void **state) {
    (void)state;
    static const char *const natural[] = {
        "1 year",    "7 years",   "1 month",    "2 months",   "3 months",   "4 months",   "6 months",
        "12 months", "1 quarter", "2 quarters", "4 quarters", "1 week",     "1 day",      "1 hour",
        "8 hours",   "12 hours",  "24 hours",   "15 minutes", "60 minutes", "30 seconds", "1 second"};
    for (size_t i = 0; i < COUNT(natural); i++) {
        gr_granularity g = custom(natural[i], NULL, NULL);
        assert_int_equal(g.grain, GR_GRAIN_CUSTOM);
        assert_text(g.interval_text, natural[i], natural[i]);
        assert_false(g.has_origin || g.has_offset);
    }
    gr_granularity g = custom("2 weeks 3 days", NULL, "2024-01-01");
    assert_int_equal(g.interval.days, 17);
    assert_true(g.has_origin && !g.origin_is_utc);
    assert_true(g.origin_local_us == at("2024-01-01"));
    assert_true(custom("5 days", NULL, "2024-01-01T00:00:00Z").origin_is_utc);
    assert_true(custom("5 days", NULL, "2024").origin_local_us == at("2024-01-01"));
    assert_true(custom("5 days", NULL, "2024-04").origin_local_us == at("2024-04-01"));
    g = custom("1 week", "-1 day", NULL);
    assert_true(g.has_offset && g.offset.days == -1);
    g = custom("1 year", "1 month -2 days 3 hours", NULL);
    assert_true(g.offset.months == 1 && g.offset.days == -2 && g.offset.us == INT64_C(10800000000));
}

static void test_rules(void **state) {
    (void)state;
#define ARBITRARY "Arbitrary intervals cannot be used without origin point specified"
    static const struct {
        const char *interval, *offset, *origin, *message;
    } rows[] = {
        {"5 days", NULL, NULL, ARBITRARY},
        {"2 weeks", NULL, NULL, ARBITRARY},
        {"5 months", NULL, NULL, ARBITRARY},
        {"3 quarters", NULL, NULL, ARBITRARY},
        {"24 months", NULL, NULL, ARBITRARY},
        {"7 hours", NULL, NULL, ARBITRARY},
        {"48 hours", NULL, NULL, ARBITRARY},
        {"7 minutes", NULL, NULL, ARBITRARY},
        {"120 minutes", NULL, NULL, ARBITRARY},
        {"45 seconds", "1 second", NULL, ARBITRARY},
        {"1 year 6 months", NULL, NULL, ARBITRARY},
        {"7 days", NULL, NULL, ARBITRARY},
        {"1 month 1 day", NULL, "2024-01-01", "mixes months"},
        {"1 year 1 hour", NULL, NULL, "mixes months"},
        {"0 days", NULL, NULL, "is empty"},
        {"-1 day", NULL, NULL, "is not an interval"},
        {"", NULL, NULL, "is not an interval"},
        {"monthly", NULL, NULL, "is not an interval"},
        {"1 month", "soon", NULL, "is not an offset"},
        {"1 month", NULL, "yesterday", "is not an origin"},
        {"1 month", NULL, "2024-02-30", "is not an origin"},
        {"1 month", NULL, "9e99", "is not an origin"},
        {"1 month", "1 day", "2024-01-01", "not both"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_granularity g = {.grain = GR_GRAIN_NONE};
        gr_error err = {0};
        gr_status status = gr_granularity_parse(GR_STR("g"), gr_str_from(rows[i].interval), gr_str_from(rows[i].offset),
                                                gr_str_from(rows[i].origin), &g, &err);
        if (status != GR_ERR_MODEL_INVALID || !strstr(err.message, rows[i].message))
            fail_msg("row %zu (%s): %d '%s'", i, rows[i].interval, status, err.message);
        assert_int_equal(g.grain, GR_GRAIN_NONE); /* untouched */
    }
}

static void test_predefined(void **state) {
    (void)state;
    static const struct {
        gr_grain grain;
        const char *floor, *next;
    } rows[] = {
        {GR_GRAIN_SECOND, "2024-05-15T13:14:15", "2024-05-15T13:14:16"},
        {GR_GRAIN_MINUTE, "2024-05-15T13:14", "2024-05-15T13:15"},
        {GR_GRAIN_HOUR, "2024-05-15T13:00", "2024-05-15T14:00"},
        {GR_GRAIN_DAY, "2024-05-15", "2024-05-16"},
        {GR_GRAIN_WEEK, "2024-05-13", "2024-05-20"},
        {GR_GRAIN_MONTH, "2024-05-01", "2024-06-01"},
        {GR_GRAIN_QUARTER, "2024-04-01", "2024-07-01"},
        {GR_GRAIN_YEAR, "2024-01-01", "2025-01-01"},
    };
    int64_t point = at("2024-05-15T13:14:15.678901");
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_granularity *g = gr_granularity_predefined(rows[i].grain);
        int64_t floor = gr_granularity_floor(g, 0, point);
        const char *name = gr_grain_name(rows[i].grain).p;
        assert_point(floor, rows[i].floor, name);
        assert_point(gr_granularity_next(g, 0, floor), rows[i].next, name);
        assert_true(gr_granularity_floor(g, 0, floor) == floor);
        assert_int_equal(gr_granularity_base(g, 0), rows[i].grain);
        assert_text(g->title, name, name);
    }
    assert_text(gr_granularity_predefined(GR_GRAIN_WEEK)->interval_text, "1 week", "week");
    assert_null(gr_granularity_predefined(GR_GRAIN_CUSTOM));
    assert_null(gr_granularity_predefined(GR_GRAIN_NONE));
    /* before 1970, and a Sunday */
    assert_point(gr_granularity_floor(gr_granularity_predefined(GR_GRAIN_WEEK), 0, at("1969-12-28T23:00")),
                 "1969-12-22", "week");
    assert_point(gr_granularity_floor(gr_granularity_predefined(GR_GRAIN_MONTH), 0, at("1969-12-28T23:00")),
                 "1969-12-01", "month");
}

static void test_anchor(void **state) {
    (void)state;
    static const struct {
        const char *interval, *offset, *origin, *zone, *now, *anchor;
    } rows[] = {
        {"1 year", NULL, NULL, "UTC", "2024-06-01T00:00Z", "2024-01-01"},
        {"1 year", "3 months", NULL, "UTC", "2024-06-01T00:00Z", "2024-04-01"},
        {"6 months", NULL, NULL, "America/New_York", "2024-01-01T03:00Z", "2023-01-01"}, /* still last year there */
        {"6 months", NULL, NULL, "Asia/Tokyo", "2023-12-31T20:00Z", "2024-01-01"},
        {"1 week", NULL, NULL, "UTC", "2025-06-01T00:00Z", "2024-12-30"}, /* the Monday of the week of January 1 */
        {"1 week", "-1 day", NULL, "UTC", "2025-06-01T00:00Z", "2024-12-29"},
        {"15 minutes", "5 minutes", NULL, "UTC", "2025-06-01T00:00Z", "2025-01-01T00:05"},
        {"5 days", NULL, "2024-03-10", "America/New_York", "2025-06-01T00:00Z", "2024-03-10"},
        {"5 days", NULL, "2024-07-10T00:00:00Z", "America/New_York", "2025-06-01T00:00Z", "2024-07-09T20:00"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_granularity g = custom(rows[i].interval, rows[i].offset, rows[i].origin);
        assert_point(gr_granularity_anchor(&g, zone_of(rows[i].zone), at(rows[i].now)), rows[i].anchor,
                     rows[i].interval);
    }
}

static void test_buckets(void **state) {
    (void)state;
    static const struct {
        const char *interval, *anchor, *point, *floor, *next;
    } rows[] = {
        {"2 months", "2019-03-15", "2021-01-01", "2020-11-15", "2021-01-15"}, /* case 143 */
        {"2 months", "2019-03-15", "2021-12-31", "2021-11-15", "2022-01-15"},
        {"2 months", "2019-03-15", "2019-03-14T23:59", "2019-01-15", "2019-03-15"},
        {"6 months", "2024-01-01", "2025-12-31", "2025-07-01", "2026-01-01"}, /* case 85, exact */
        {"6 months", "2024-04-01", "2024-03-31", "2023-10-01", "2024-04-01"}, /* case 86 */
        {"1 month", "2024-01-31", "2024-02-28T23:59:59.999", "2024-01-31", "2024-02-29"},
        {"1 month", "2024-01-31", "2024-02-29", "2024-02-29", "2024-03-31"},
        {"1 month", "2024-01-31", "2024-03-30", "2024-02-29", "2024-03-31"},
        {"1 month", "2024-01-31", "2023-02-28", "2023-02-28", "2023-03-31"},
        {"1 month", "2024-01-31T10:00", "2024-02-29T09:00", "2024-01-31T10:00", "2024-02-29T10:00"},
        {"1 year", "2024-02-29", "2025-02-28", "2025-02-28", "2026-02-28"},
        {"1 year", "2024-02-29", "2028-02-28", "2027-02-28", "2028-02-29"},
        {"2 weeks", "2024-01-01", "2024-01-14T23:59", "2024-01-01", "2024-01-15"},
        {"2 weeks", "2024-01-01", "2023-12-31", "2023-12-18", "2024-01-01"},
        {"1 week", "2024-12-29", "2024-12-28", "2024-12-22", "2024-12-29"},
        {"15 minutes", "2024-01-01T00:05", "2024-06-01T00:04", "2024-05-31T23:50", "2024-06-01T00:05"},
        {"36 hours", "2024-01-01", "2024-01-02T12:00", "2024-01-02T12:00", "2024-01-04"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_granularity g = custom(rows[i].interval, NULL, "2024-01-01");
        int64_t anchor = at(rows[i].anchor);
        assert_point(gr_granularity_floor(&g, anchor, at(rows[i].point)), rows[i].floor, rows[i].point);
        assert_point(gr_granularity_next(&g, anchor, at(rows[i].floor)), rows[i].next, rows[i].point);
    }
}

/* Buckets tile: a point is in [floor, next), and the bucket before ends where this one starts. */
static void test_tiling(void **state) {
    (void)state;
    static const char *const intervals[] = {"1 month", "5 months",   "1 year",   "3 quarters",
                                            "17 days", "90 minutes", "7 seconds"};
    static const char *const anchors[] = {"2024-01-31", "2024-02-29T13:00", "1999-12-30T23:59:59", "2024-01-01"};
    uint64_t random = 5;
    for (size_t i = 0; i < COUNT(intervals); i++)
        for (size_t a = 0; a < COUNT(anchors); a++) {
            gr_granularity g = custom(intervals[i], NULL, anchors[a]);
            int64_t anchor = at(anchors[a]);
            assert_true(gr_granularity_floor(&g, anchor, anchor) == anchor);
            for (int n = 0; n < 500; n++) {
                int64_t t = random_between(&random, at("1700-01-01"), at("2300-01-01"));
                int64_t floor = gr_granularity_floor(&g, anchor, t), next = gr_granularity_next(&g, anchor, floor);
                assert_true(floor <= t && t < next);
                assert_true(gr_granularity_floor(&g, anchor, floor) == floor);
                assert_true(gr_granularity_floor(&g, anchor, next) == next);
                assert_true(gr_granularity_next(&g, anchor, gr_granularity_floor(&g, anchor, floor - 1)) == floor);
            }
        }
}

static void test_extremes(void **state) {
    (void)state;
    static const int64_t points[] = {INT64_MIN, -1, 0, INT64_MAX};
    gr_granularity g[] = {custom("1 month", NULL, "2024-01-31"),      custom("7 days", NULL, "2024-01-31"),
                          custom("100000 years", NULL, "2024-01-31"), *gr_granularity_predefined(GR_GRAIN_YEAR),
                          *gr_granularity_predefined(GR_GRAIN_WEEK),  *gr_granularity_predefined(GR_GRAIN_HOUR)};
    for (size_t i = 0; i < COUNT(g); i++)
        for (size_t p = 0; p < COUNT(points); p++) {
            int64_t floor = gr_granularity_floor(&g[i], at("2024-01-31"), points[p]);
            assert_true(floor <= points[p]);
            assert_true(gr_granularity_next(&g[i], at("2024-01-31"), points[p]) >= floor);
        }
}

/* cube.md 4.4: rows are what the rollup has, columns what is asked. Where the reference takes the unit of the interval,
 * Granary takes the coarsest grain that tiles: a rollup by quarters serves half years and fiscal years exactly. */
static void test_served_by(void **state) {
    (void)state;
    gr_granularity asked[] = {custom("1 year", "3 months", NULL), custom("6 months", NULL, "2024-01-01"),
                              custom("1 week", "-1 day", NULL), custom("15 minutes", NULL, NULL)};
    static const struct {
        gr_grain rollup;
        const char *serves; /* fiscal_year, half_year, sunday_week, fifteen_min */
    } rows[] = {
        {GR_GRAIN_SECOND, "1111"}, {GR_GRAIN_MINUTE, "1111"}, {GR_GRAIN_HOUR, "111."},    {GR_GRAIN_DAY, "111."},
        {GR_GRAIN_WEEK, "...."},   {GR_GRAIN_MONTH, "11.."},  {GR_GRAIN_QUARTER, "11.."}, {GR_GRAIN_YEAR, "...."},
    };
    for (size_t q = 0; q < COUNT(asked); q++) {
        int64_t anchor = gr_granularity_anchor(&asked[q], gr_tz_utc(), at("2024-06-01"));
        gr_grain base = gr_granularity_base(&asked[q], anchor);
        for (size_t r = 0; r < COUNT(rows); r++) {
            bool got = gr_grain_is_built_from(base, rows[r].rollup);
            if (got != (rows[r].serves[q] == '1')) fail_msg("query %zu, rollup %zu: %d", q, r, got);
        }
    }
}

static void test_base(void **state) {
    (void)state;
    static const struct {
        const char *interval, *anchor;
        gr_grain base;
    } rows[] = {
        {"1 year", "2024-01-01", GR_GRAIN_YEAR},
        {"1 year", "2024-04-01", GR_GRAIN_QUARTER},
        {"1 year", "2024-02-01", GR_GRAIN_MONTH},
        {"1 year", "2024-02-02", GR_GRAIN_DAY},
        {"1 year", "2024-01-08", GR_GRAIN_DAY},
        {"1 month", "2024-01-31", GR_GRAIN_DAY},
        {"2 months", "2024-01-01", GR_GRAIN_MONTH},
        {"3 months", "2024-02-01", GR_GRAIN_MONTH},
        {"1 month", "2024-01-01T06:00", GR_GRAIN_HOUR},
        {"2 weeks", "2024-01-01", GR_GRAIN_WEEK},
        {"14 days", "2024-01-08", GR_GRAIN_WEEK},
        {"14 days", "2024-01-09", GR_GRAIN_DAY},
        {"10 days", "2024-01-08", GR_GRAIN_DAY},
        {"1 day", "2024-01-08T06:00", GR_GRAIN_HOUR},
        {"36 hours", "2024-01-01", GR_GRAIN_HOUR},
        {"48 hours", "2024-01-02", GR_GRAIN_DAY},
        {"15 minutes", "2024-01-01", GR_GRAIN_MINUTE},
        {"1 hour", "2024-01-01T00:00:01", GR_GRAIN_SECOND},
        {"1 hour", "2024-01-01T00:00:00.5", GR_GRAIN_NONE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_granularity g = custom(rows[i].interval, NULL, rows[i].anchor);
        gr_grain base = gr_granularity_base(&g, at(rows[i].anchor));
        if (base != rows[i].base)
            fail_msg("%s from %s: " GR_FMT, rows[i].interval, rows[i].anchor, GR_ARG(gr_grain_name(base)));
        if (base == GR_GRAIN_NONE) continue;
        int64_t bucket = at(rows[i].anchor); /* and it does tile: 200 bounds of buckets are bounds of the base */
        for (int n = 0; n < 200; n++, bucket = gr_granularity_next(&g, at(rows[i].anchor), bucket))
            assert_true(gr_granularity_floor(gr_granularity_predefined(base), 0, bucket) == bucket);
    }
}

static void test_eq(void **state) {
    (void)state;
    gr_granularity a = custom("1 year", "3 months", NULL), b = custom("12 months", "1 quarter", NULL);
    b.name = GR_STR("other");
    assert_true(gr_granularity_eq(&a, &b));
    gr_granularity other[] = {custom("1 year", "2 months", NULL), custom("1 year", NULL, NULL),
                              custom("6 months", "3 months", NULL), custom("1 year", NULL, "2024-04-01"),
                              *gr_granularity_predefined(GR_GRAIN_YEAR)};
    for (size_t i = 0; i < COUNT(other); i++) assert_false(gr_granularity_eq(&a, &other[i]));
    gr_granularity naive = custom("5 days", NULL, "2024-01-01T00:00"),
                   zoned = custom("5 days", NULL, "2024-01-01T00:00Z");
    assert_false(gr_granularity_eq(&naive, &zoned));
    gr_granularity shifted = custom("5 days", NULL, "2024-01-01T02:00+02:00");
    assert_true(gr_granularity_eq(&zoned, &shifted));
    assert_true(gr_granularity_eq(gr_granularity_predefined(GR_GRAIN_DAY), gr_granularity_predefined(GR_GRAIN_DAY)));
    assert_false(gr_granularity_eq(gr_granularity_predefined(GR_GRAIN_DAY), gr_granularity_predefined(GR_GRAIN_WEEK)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_rules),     cmocka_unit_test(test_predefined),
        cmocka_unit_test(test_anchor),   cmocka_unit_test(test_buckets),   cmocka_unit_test(test_tiling),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_served_by), cmocka_unit_test(test_base),
        cmocka_unit_test(test_eq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
