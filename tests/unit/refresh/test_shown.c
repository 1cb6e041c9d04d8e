/* Keys as the reference shows them. Vectors: cube.md 6.6, 9.4; conformance cases 43, 82, 83. */
#include "refresh_test.h"

#define SELECT(key) "SELECT " key " as refresh_key"
#define EPOCH "EXTRACT(EPOCH FROM NOW())"

static void test_queries(void **state) {
    (void)state;
    static const struct {
        const char *cube_key, *key, *zone, *want;
        int64_t threshold_s;
    } rows[] = {
        {"", "{every: 10 minutes}", "UTC", SELECT("FLOOR((" EPOCH ") / 600)"), 60},
        {"", "{every: 1 day}", "UTC", SELECT("FLOOR((" EPOCH ") / 86400)"), 300},
        {"", "{every: 1 week}", "UTC", SELECT("FLOOR((" EPOCH ") / 604800)"), 300},
        {"{every: 5 minutes}", "", "UTC", SELECT("FLOOR((" EPOCH ") / 300)"), 30},
        {"", "{every: 4 seconds}", "UTC", SELECT("FLOOR((" EPOCH ") / 4)"), 1},
        {"", "{every: 15 seconds}", "UTC", SELECT("FLOOR((" EPOCH ") / 15)"), 2},
        {"", "", "UTC", SELECT("FLOOR((" EPOCH ") / 3600)"), 10}, /* the default of an hour */
        {"", "{sql: select max(at) from t, every: 1 hour}", "UTC", "select max(at) from t", 3600},
        {"", "{sql: select max(at) from t}", "UTC", "select max(at) from t", 10},
        {"{sql: select max(at) from t}", "", "UTC", "select max(at) from t", 10},
        {"{immutable: true}", "", "UTC", "", 86400},
        {"", "{every: 1 month}", "UTC",
         SELECT("FLOOR((EXTRACT(YEAR FROM NOW()) * 12 + EXTRACT(MONTH FROM NOW()) - 23641) / 1)"), 300},
        {"", "{every: 3 months}", "Asia/Kolkata",
         SELECT(
             "FLOOR((EXTRACT(YEAR FROM NOW() AT TIME ZONE 'Asia/Kolkata') * 12 + EXTRACT(MONTH FROM NOW() AT TIME ZONE "
             "'Asia/Kolkata') - 23641) / 3)"),
         300},
        /* 82: the offset of the query's zone, now */
        {"", "{every: 1 hour}", "America/Los_Angeles", SELECT("FLOOR((-28800 + " EPOCH ") / 3600)"), 300},
        /* the zone of the key counts for cron lines only */
        {"", "{every: 1 hour, timezone: America/Los_Angeles}", "UTC", SELECT("FLOOR((" EPOCH ") / 3600)"), 300},
        /* 83 */
        {"", "{every: 0 10 * * *, timezone: America/Los_Angeles}", "UTC",
         SELECT("FLOOR((-28800 + " EPOCH " - 36000) / 86400)"), 300},
        {"", "{every: 0 10 * * *}", "America/Los_Angeles", SELECT("FLOOR((" EPOCH " - 36000) / 86400)"), 300},
        {"", "{every: 30 5 * * 5}", "UTC", SELECT("FLOOR((" EPOCH " - 106200) / 604800)"), 300},
        {"", "{every: 0 8 * * *}", "UTC", SELECT("FLOOR((" EPOCH " - 28800) / 86400)"), 300},
        {"", "{every: 0 8 * * *, timezone: America/Los_Angeles}", "UTC",
         SELECT("FLOOR((-28800 + " EPOCH " - 28800) / 86400)"), 300},
        /* refused there, though equal; and unequal */
        {"", "{every: \"*/15 * * * *\"}", "UTC", SELECT("FLOOR((" EPOCH " - 0) / 900)"), 90},
        {"", "{every: 0 8 * * 1-3}", "UTC", SELECT("'2024-01-15T08:00:00.000Z'"), 300},
        {"", "{every: \"0,1 * * * *\"}", "UTC", SELECT("'2024-01-15T12:01:00.000Z'"), 6},
        {"", "{every: 0 0 30 2 *}", "UTC", SELECT("NULL"), 300},
        /* incremental */
        {"", "{every: 1 hour, incremental: true}", "UTC",
         SELECT("CASE WHEN NOW() < $1::timestamptz THEN FLOOR((" EPOCH ") / 3600) END"), 300},
        {"", "{every: 1 hour, incremental: true, update_window: 7 days}", "UTC",
         SELECT("CASE WHEN NOW() < $1::timestamptz + interval '7 days' THEN FLOOR((" EPOCH ") / 3600) END"), 300},
    };
    int64_t now_us = at("2024-01-15T12:30:00Z"); /* a Monday, in winter */
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_policy *policy = policy_of(rows[i].cube_key, rows[i].key, rows[i].zone);
        expect_text(gr_refresh_sql(policy, &policy->parts[0], now_us, arena), rows[i].want, rows[i].key);
        if (gr_refresh_threshold_s(&policy->parts[0]) != rows[i].threshold_s)
            fail_msg("%s: threshold %ld", rows[i].key, (long)gr_refresh_threshold_s(&policy->parts[0]));
    }
    const gr_refresh_policy *policy = policy_of("", "{every: 1 hour}", "America/Los_Angeles");
    expect_text(gr_refresh_sql(policy, &policy->parts[0], at("2024-07-15T12:00:00Z"), arena),
                SELECT("FLOOR((-25200 + " EPOCH ") / 3600)"), "in summer");
}

/* 43: min(seconds since the window ended, 86400). */
static void test_outside(void **state) {
    (void)state;
    const gr_refresh_policy *policy = policy_of("", "{every: 1 hour, incremental: true, update_window: 7 days}", "UTC");
    assert_int_equal(policy->update_window.seconds, 604800);
    int64_t to_us = at("2024-02-01T00:00:00Z");
    static const struct {
        const char *now;
        int64_t want_s;
    } rows[] = {{"2024-01-20T00:00:00Z", 0},    {"2024-02-07T23:59:59Z", 0},     {"2024-02-08T00:00:00Z", 0},
                {"2024-02-08T00:01:00Z", 60},   {"2024-02-08T23:59:59Z", 86399}, {"2024-02-09T00:00:00Z", 86400},
                {"2030-02-09T00:00:00Z", 86400}};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(gr_refresh_outside_threshold_s(policy, to_us, at(rows[i].now)), rows[i].want_s);
    assert_int_equal(gr_refresh_outside_threshold_s(policy, INT64_MAX, at("2030-01-01T00:00:00Z")), 0);
    policy = policy_of("", "{every: 1 hour}", "UTC");
    assert_int_equal(gr_refresh_outside_threshold_s(policy, to_us, at("2030-01-01T00:00:00Z")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_queries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
