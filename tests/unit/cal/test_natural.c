/* Relative and natural-language ranges. Vectors: cube.md 2.3, cases 136 to 139. */
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

typedef struct row {
    const char *text, *zone, *now, *from, *to; /* the inclusive texts of the answer */
} row;

static void check(const row *r) {
    gr_range range = {0};
    gr_error err = {0};
    if (gr_range_parse_text(gr_str_from(r->text), zone_of(r->zone), at(r->now), arena, &range, &err))
        fail_msg("%s: %s", r->text, err.message);
    assert_text(range.from_text, r->from, r->text);
    assert_text(range.to_text, r->to, r->text);
    assert_true(range.to_local_us == at(r->to) + 1000);
    assert_true(range.from_local_us == at(r->from));
    assert_true(range.from_utc_us == gr_tz_to_utc(zone_of(r->zone), range.from_local_us, NULL));
}

#define NOW "2021-03-10T12:34:56.789Z" /* a Wednesday */

static void test_units(void **state) {
    (void)state;
    static const row rows[] = {
        {"today", "UTC", NOW, "2021-03-10T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"Yesterday", "UTC", NOW, "2021-03-09T00:00:00.000", "2021-03-09T23:59:59.999"},
        {"TOMORROW", "UTC", NOW, "2021-03-11T00:00:00.000", "2021-03-11T23:59:59.999"},
        {"until tomorrow, please", "UTC", NOW, "2021-03-11T00:00:00.000", "2021-03-11T23:59:59.999"},
        {"this second", "UTC", NOW, "2021-03-10T12:34:56.000", "2021-03-10T12:34:56.999"},
        {"this minute", "UTC", NOW, "2021-03-10T12:34:00.000", "2021-03-10T12:34:59.999"},
        {"this hour", "UTC", NOW, "2021-03-10T12:00:00.000", "2021-03-10T12:59:59.999"},
        {"this day", "UTC", NOW, "2021-03-10T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"this week", "UTC", NOW, "2021-03-08T00:00:00.000", "2021-03-14T23:59:59.999"},
        {"this month", "UTC", NOW, "2021-03-01T00:00:00.000", "2021-03-31T23:59:59.999"},
        {"this quarter", "UTC", NOW, "2021-01-01T00:00:00.000", "2021-03-31T23:59:59.999"},
        {"this year", "UTC", NOW, "2021-01-01T00:00:00.000", "2021-12-31T23:59:59.999"},
        {"last hour", "UTC", NOW, "2021-03-10T11:00:00.000", "2021-03-10T11:59:59.999"},
        {"last week", "UTC", NOW, "2021-03-01T00:00:00.000", "2021-03-07T23:59:59.999"},
        {"Last  Month", "UTC", NOW, "2021-02-01T00:00:00.000", "2021-02-28T23:59:59.999"},
        {"last quarter", "UTC", NOW, "2020-10-01T00:00:00.000", "2020-12-31T23:59:59.999"},
        {"last year", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-12-31T23:59:59.999"},
        {"next week", "UTC", NOW, "2021-03-15T00:00:00.000", "2021-03-21T23:59:59.999"},
        {"next month", "UTC", "2021-03-05T13:00Z", "2021-04-01T00:00:00.000", "2021-04-30T23:59:59.999"},
        {"next month", "UTC", "2021-01-31T13:00Z", "2021-02-01T00:00:00.000", "2021-02-28T23:59:59.999"},
        {"next quarter", "UTC", NOW, "2021-04-01T00:00:00.000", "2021-06-30T23:59:59.999"},
        {"in the last month or so", "UTC", NOW, "2021-02-01T00:00:00.000", "2021-02-28T23:59:59.999"},
        {"today", "Asia/Tokyo", "2021-03-10T20:00Z", "2021-03-11T00:00:00.000", "2021-03-11T23:59:59.999"},
        {"today", "America/Los_Angeles", "2021-03-10T02:00Z", "2021-03-09T00:00:00.000", "2021-03-09T23:59:59.999"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) check(&rows[i]);
}

static void test_counted_units(void **state) {
    (void)state;
    static const row rows[] = {
        {"last 7 days", "UTC", NOW, "2021-03-03T00:00:00.000", "2021-03-09T23:59:59.999"},
        {"last 1 day", "UTC", NOW, "2021-03-09T00:00:00.000", "2021-03-09T23:59:59.999"},
        {"next 1 day", "UTC", NOW, "2021-03-11T00:00:00.000", "2021-03-11T23:59:59.999"},
        {"next 5 days", "UTC", "2021-03-05T13:00Z", "2021-03-06T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"last 2 quarters", "UTC", "2021-02-15T13:00Z", "2020-07-01T00:00:00.000", "2020-12-31T23:59:59.999"},
        {"last 6 months", "UTC", "2021-02-15T13:00Z", "2020-08-01T00:00:00.000", "2021-01-31T23:59:59.999"},
        {"last 6 months", "UTC", "2021-03-15T13:00Z", "2020-09-01T00:00:00.000", "2021-02-28T23:59:59.999"},
        {"last 1 month", "UTC", "2021-03-31T13:00Z", "2021-02-01T00:00:00.000", "2021-02-28T23:59:59.999"},
        {"next 6 months", "UTC", "2021-02-20T13:00Z", "2021-03-01T00:00:00.000", "2021-08-31T23:59:59.999"},
        {"last 6 hours", "UTC", NOW, "2021-03-10T06:00:00.000", "2021-03-10T11:59:59.999"},
        {"last 15 minutes", "UTC", NOW, "2021-03-10T12:19:00.000", "2021-03-10T12:33:59.999"},
        {"last 2 weeks", "UTC", NOW, "2021-02-22T00:00:00.000", "2021-03-07T23:59:59.999"},
        {"next 2 years", "UTC", NOW, "2022-01-01T00:00:00.000", "2023-12-31T23:59:59.999"},
        /* across the change of 2021-03-14: hours are elapsed time, days are days */
        {"last 3 hours", "America/New_York", "2021-03-14T08:30Z", "2021-03-14T00:00:00.000", "2021-03-14T03:59:59.999"},
        {"last 2 days", "America/New_York", "2021-03-15T08:30Z", "2021-03-13T00:00:00.000", "2021-03-14T23:59:59.999"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) check(&rows[i]);
}

static void test_from_to(void **state) {
    (void)state;
    static const row rows[] = {
        {"from 1 hour ago to now", "America/Los_Angeles", "2020-09-22T13:03:20.518Z", "2020-09-22T05:00:00.000",
         "2020-09-22T06:59:59.999"},
        {"from 7 days ago to now", "UTC", NOW, "2021-03-03T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"from 1 days ago to now", "UTC", NOW, "2021-03-09T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"from 7 days ago to 7 days from now", "UTC", NOW, "2021-03-03T00:00:00.000", "2021-03-17T23:59:59.999"},
        {"from 23 hours ago to now", "UTC", NOW, "2021-03-09T13:00:00.000", "2021-03-10T12:59:59.999"},
        {"from now to 23 hours from now", "UTC", NOW, "2021-03-10T12:00:00.000", "2021-03-11T11:59:59.999"},
        {"from 90 seconds ago to now", "UTC", NOW, "2021-03-10T12:33:26.000", "2021-03-10T12:34:56.999"},
        {"from 2 minutes ago to now", "UTC", NOW, "2021-03-10T12:32:00.000", "2021-03-10T12:34:59.999"},
        {"from 1 quarter ago to now", "UTC", "2021-05-03T12:00Z", "2021-02-03T00:00:00.000", "2021-05-03T23:59:59.999"},
        {"from 1 month ago to now", "UTC", "2021-03-31T12:00Z", "2021-02-28T00:00:00.000", "2021-03-31T23:59:59.999"},
        {"from 2020-01-01 to 2020-01-31", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999"},
        {"From Jan 1 2020 To 15 January 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-15T23:59:59.999"},
        {"from 2020-01-01 10:15 to 2020-01-01T12:30:00 by hour", "UTC", NOW, "2020-01-01T10:00:00.000",
         "2020-01-01T12:59:59.999"},
        {"from January 2020 to March 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-03-31T23:59:59.999"},
        {"from 12AM till now by hour", "UTC", NOW, "2021-03-10T00:00:00.000", "2021-03-10T12:59:59.999"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) check(&rows[i]);
}

static void test_instants(void **state) {
    (void)state;
    static const row rows[] = {
        {"now", "UTC", NOW, "2021-03-10T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"from now", "UTC", NOW, "2021-03-10T00:00:00.000", "2021-03-10T23:59:59.999"},
        {"now by minute", "UTC", NOW, "2021-03-10T12:34:00.000", "2021-03-10T12:34:59.999"},
        {"2 weeks ago by hour", "UTC", "2021-03-05T13:00Z", "2021-02-19T13:00:00.000", "2021-02-19T13:59:59.999"},
        {"3 days ago", "UTC", NOW, "2021-03-07T00:00:00.000", "2021-03-07T23:59:59.999"},
        {"a week ago", "UTC", NOW, "2021-03-03T00:00:00.000", "2021-03-03T23:59:59.999"},
        {"an hour ago", "UTC", NOW, "2021-03-10T11:00:00.000", "2021-03-10T11:59:59.999"},
        {"three days from now", "UTC", NOW, "2021-03-13T00:00:00.000", "2021-03-13T23:59:59.999"},
        {"in 2 days", "UTC", NOW, "2021-03-12T00:00:00.000", "2021-03-12T23:59:59.999"},
        {"2 days later", "UTC", NOW, "2021-03-12T00:00:00.000", "2021-03-12T23:59:59.999"},
        {"2020-02-29", "UTC", NOW, "2020-02-29T00:00:00.000", "2020-02-29T23:59:59.999"},
        {"2020-01-01T10:15:00", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999"},
        {"2020-01-01T23:30:00-05:00", "America/New_York", NOW, "2020-01-02T00:00:00.000", "2020-01-02T23:59:59.999"},
        {"2020-01-01T23:30:00Z", "America/New_York", NOW, "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999"},
        {"2020-01-01 to 2020-02-15", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-02-15T23:59:59.999"},
        {"2020-01-01 - 2020-02-15", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-02-15T23:59:59.999"},
        {"Jan 1 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999"},
        {"Jan. 1st, 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999"},
        {"1 January 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999"},
        {"22nd of May 2020", "UTC", NOW, "2020-05-22T00:00:00.000", "2020-05-22T23:59:59.999"},
        {"Sept 30, 2020 at 3pm by hour", "UTC", NOW, "2020-09-30T15:00:00.000", "2020-09-30T15:59:59.999"},
        {"December 31, 2020 12:05 am by minute", "UTC", NOW, "2020-12-31T00:05:00.000", "2020-12-31T00:05:59.999"},
        {"January 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999"},
        {"feb 2020", "UTC", NOW, "2020-02-01T00:00:00.000", "2020-02-29T23:59:59.999"},
        {"Jan 1 2020 to Feb 1 2020", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-02-01T23:59:59.999"},
        {"2020/1/31", "UTC", NOW, "2020-01-31T00:00:00.000", "2020-01-31T23:59:59.999"},
        {"1/31/2020", "UTC", NOW, "2020-01-31T00:00:00.000", "2020-01-31T23:59:59.999"},
        {" 2020-01-01 ", "UTC", NOW, "2020-01-01T00:00:00.000", "2020-01-01T23:59:59.999"},
        {"9999-12-31", "UTC", NOW, "9999-12-31T00:00:00.000", "9999-12-31T23:59:59.999"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) check(&rows[i]);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *culprit;
    } rows[] = {
        {"unexpected date", NULL},
        {"", NULL},
        {"   ", NULL},
        {"from invalid to 2020-02-02", "invalid"},
        {"from 2020-02-02 to invalid", "invalid"},
        {"from 2021-02-30 to 2021-03-01", "2021-02-30"},
        {"From Never To Now", "Never"},
        {"from  to now", ""},
        {"from now and so on", NULL},
        {"2021-02-30", NULL},
        {"2021-13-01", NULL},
        {"2021-02-01T25:00", NULL},
        {"Feb 30 2021", NULL},
        {"30 February 2021", NULL},
        {"13/13/2020", NULL},
        {"Jan 1", NULL},
        {"2020", NULL},
        {"january", NULL},
        {"7 days", NULL},
        {"7 fortnights ago", NULL},
        {"last fortnight", NULL},
        {"last 0 days", NULL},
        {"last 99999999999 days", NULL},
        {"last 999999999 years", NULL},
        {"next 99999 years", NULL},
        {"999999999 years ago", NULL},
        {"2 weeks ago by month", NULL},
        {"2 weeks ago by", NULL},
        {"2020-01-01 to", NULL},
        {"2020-01-01 to now and then", NULL},
        {"2020-01-01x", NULL},
        {"+012345-01-01", NULL},
        {"13pm", NULL},
        {"0am", NULL},
        {"'; drop table orders; --", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_range r = {.from_local_us = 42};
        gr_error err = {0};
        gr_status status = gr_range_parse_text(gr_str_from(rows[i].text), gr_tz_utc(), at(NOW), arena, &r, &err);
        if (status != GR_ERR_QUERY_DATE) fail_msg("accepted: %s", rows[i].text);
        char want[256];
        snprintf(want, sizeof want, "Can't parse date: '%s'", rows[i].culprit ? rows[i].culprit : rows[i].text);
        assert_string_equal(err.message, want);
        assert_int_equal(r.from_local_us, 42);
    }
    gr_range r;
    assert_int_equal(gr_range_parse_text((gr_str){0}, gr_tz_utc(), 0, arena, &r, NULL), GR_ERR_QUERY_DATE);
}

/* Whatever the words, there is an answer or an error, and an answer is a range. */
static void test_random_words(void **state) {
    (void)state;
    static const char *const words[] = {
        "from", "to",   "now",      "last",  "next", "this",  "7",   "999999999",  "0",
        "day",  "days", "weeks",    "hour",  "ago",  "in",    "by",  "2020-01-01", "2021-02-30",
        "jan",  "1st",  "2020",     ",",     "-",    "12:30", "3pm", "z",          "+05:00",
        "t",    "/",    "1/2/2020", "month", "an",   "of",    "at",  "\xc3\xa9"};
    uint64_t random = 13;
    for (int i = 0; i < 100000; i++) {
        char text[128];
        size_t n = 0;
        for (uint64_t k = next_random(&random) % 7 + 1; k > 0; k--) {
            const char *word = words[next_random(&random) % COUNT(words)];
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", word, next_random(&random) % 4 ? " " : "");
        }
        char *exact = test_malloc(n); /* so that a read behind the end is seen */
        memcpy(exact, text, n);
        gr_range r;
        gr_error err;
        if (gr_range_parse_text((gr_str){exact, n}, zone_of("America/New_York"), at(NOW), arena, &r, &err) == GR_OK) {
            assert_true(r.from_local_us <= r.to_local_us && r.from_utc_us <= r.to_utc_us);
            assert_int_equal(r.from_text.n, 23);
        }
        test_free(exact);
        if (i % 1000 == 0) gr_arena_reset(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),    cmocka_unit_test(test_counted_units), cmocka_unit_test(test_from_to),
        cmocka_unit_test(test_instants), cmocka_unit_test(test_refused),       cmocka_unit_test(test_random_words),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
