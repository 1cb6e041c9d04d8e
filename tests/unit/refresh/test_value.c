/* Values of keys, when partitions close, and when to look again; and a clock that runs through ten years. */
#include "refresh_test.h"

#include <time.h>

#define OPEN INT64_MAX
#define SECOND INT64_C(1000000)

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *key, *zone, *now, *value, *next;
    } rows[] = {
        {"{every: 1 hour}", "UTC", "2024-03-10T12:30:00Z", "475020", "2024-03-10T13:00:00Z"},
        {"{every: 1 hour}", "UTC", "2024-03-10T13:00:00Z", "475021", "2024-03-10T14:00:00Z"},
        {"{every: 1 hour}", "Asia/Kolkata", "2024-03-10T12:30:00Z", "475026", "2024-03-10T13:30:00Z"},
        {"{every: 1 day}", "America/New_York", "2024-03-10T04:59:00Z", "19791", "2024-03-10T05:00:00Z"},
        {"{every: 1 month}", "UTC", "2024-03-10T04:59:00Z", "650", "2024-04-01T00:00:00Z"},
        {"{every: 0 8 * * *}", "America/New_York", "2024-03-10T12:30:00Z", "2024-03-10T08:00:00.000Z",
         "2024-03-11T08:00:00Z"},
        {"{every: 30 2 * * *, timezone: America/New_York}", "UTC", "2024-03-10T07:00:00Z", "2024-03-10T07:00:00.000Z",
         "2024-03-11T06:30:00Z"},
        {"{every: 0 0 30 2 *}", "UTC", "2024-03-10T07:00:00Z", "never", NULL},
        {"{fingerprint: rows}", "UTC", "2024-03-10T07:00:00Z", "never", "2024-03-10T07:02:00Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_policy *policy = policy_of("", rows[i].key, rows[i].zone);
        int64_t now_us = at(rows[i].now), asked_us[] = {INT64_MIN};
        expect_text(gr_refresh_value(policy, NULL, now_us, OPEN, arena), rows[i].value, rows[i].key);
        expect_point(gr_refresh_next_us(policy, now_us, asked_us, now_us), rows[i].next, rows[i].key);
    }
    const gr_refresh_policy *never = policy_of("{immutable: true}", "", "UTC");
    int64_t asked_us[] = {INT64_MIN};
    expect_text(gr_refresh_value(never, NULL, 0, OPEN, arena), "never", "immutable");
    assert_int_equal(gr_refresh_next_us(never, 0, asked_us, INT64_MIN), INT64_MAX);
}

static void test_sql_values(void **state) {
    (void)state;
    const gr_refresh_policy *policy = policy_of("", "{sql: select 1}", "UTC");
    static const struct {
        gr_str value;
        const char *want;
    } rows[] = {
        {GR_STR_INIT("2024-01-01"), "2024-01-01"},
        {GR_STR_INIT(""), ""},
        {{NULL, 0}, "\\N"},
        {GR_STR_INIT("NULL"), "NULL"},
        {GR_STR_INIT("\\N"), "\\\\N"},
        {GR_STR_INIT("a|b"), "a\\|b"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_text(gr_refresh_value(policy, &rows[i].value, 0, OPEN, arena), rows[i].want, rows[i].want);
    char big[2000];
    memset(big, 'x', sizeof big);
    gr_str one = {big, sizeof big}, hashed = gr_refresh_value(policy, &one, 0, OPEN, arena);
    assert_int_equal(hashed.n, 34);
    assert_true(gr_str_starts(hashed, GR_STR("\\#")));
    big[1999] = 'y';
    assert_false(gr_str_eq(hashed, gr_refresh_value(policy, &one, 0, OPEN, arena)));
}

/* Several parts: no two lists of values give one text. */
static void test_joined(void **state) {
    (void)state;
    load_good("cubes:\n"
              "  - {name: a, sql_table: t, refresh_key: {sql: select 1}, measures: [{name: n, type: count}], "
              "pre_aggregations: [{name: r, measures: [n]}]}\n"
              "  - {name: b, sql_table: t, refresh_key: {sql: select 2, every: 1 minute}}\n"
              "  - {name: c, sql_table: t, refresh_key: {every: 1 hour}}\n"
              "  - {name: d, sql_table: t, refresh_key: {immutable: true}}\n");
    const gr_refresh_policy *policy =
        gr_refresh_policy_of(model->preaggs[0], (const gr_cube *const *)model->cubes, 4, gr_tz_utc(), arena);
    int64_t now_us = at("2024-03-10T12:30:00Z");
    gr_str values[4] = {GR_STR("1"), GR_STR("x")};
    expect_text(gr_refresh_value(policy, values, now_us, OPEN, arena), "1|x|475020|never", "joined");
    static const char *const texts[] = {"", "|", "\\", "a", "\\N", "||", "\\|", "|\\"};
    gr_map seen;
    gr_map_init(&seen, arena);
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t k = 0; k < COUNT(texts); k++) {
            gr_str pair[4] = {gr_str_from(texts[i]), gr_str_from(texts[k])};
            gr_str value = gr_refresh_value(policy, pair, now_us, OPEN, arena);
            if (!gr_map_put(&seen, value, arena)) fail_msg("twice: " GR_FMT, GR_ARG(value));
        }
    /* each is asked in its own time */
    int64_t asked_us[4] = {now_us - 3 * SECOND, now_us - 30 * SECOND, INT64_MIN, INT64_MIN};
    expect_point(gr_refresh_next_us(policy, now_us, asked_us, INT64_MIN), "2024-03-10T12:30:07Z", "10 seconds");
    asked_us[0] = now_us;
    asked_us[1] = now_us - 58 * SECOND;
    expect_point(gr_refresh_next_us(policy, now_us, asked_us, INT64_MIN), "2024-03-10T12:30:02Z", "1 minute");
    expect_point(gr_refresh_part_next_us(&policy->parts[2], now_us, INT64_MIN), "2024-03-10T13:00:00Z", "time");
}

static void test_asked(void **state) {
    (void)state;
    static const struct {
        const char *key, *now, *asked, *next; /* asked NULL: never */
    } rows[] = {
        {"{sql: select 1}", "2024-03-10T12:00:00Z", NULL, "2024-03-10T12:00:00Z"},
        {"{sql: select 1}", "2024-03-10T12:00:00Z", "2024-03-10T12:00:00Z", "2024-03-10T12:00:10Z"},
        {"{sql: select 1}", "2024-03-10T12:00:00Z", "2024-03-10T11:59:58Z", "2024-03-10T12:00:08Z"},
        {"{sql: select 1}", "2024-03-10T12:00:00Z", "2024-03-10T11:00:00Z", "2024-03-10T12:00:00Z"}, /* overdue */
        {"{sql: select 1}", "2024-03-10T12:00:00Z", "2025-03-10T11:00:00Z",
         "2024-03-10T12:00:10Z"}, /* clock set back */
        {"{sql: select 1, every: 1 month}", "2024-03-10T12:00:00Z", "2024-02-29T12:00:00Z", "2024-03-29T12:00:00Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_policy *policy = policy_of("", rows[i].key, "UTC");
        int64_t asked_us = rows[i].asked ? at(rows[i].asked) : INT64_MIN;
        expect_point(gr_refresh_next_us(policy, at(rows[i].now), &asked_us, INT64_MIN), rows[i].next, rows[i].key);
    }
    static const struct {
        const char *key, *asked, *next;
    } prints[] = {
        {"{fingerprint: rows}", NULL, "2024-03-10T12:00:00Z"},
        {"{fingerprint: rows}", "2024-03-10T11:59:00Z", "2024-03-10T12:01:00Z"},
        {"{fingerprint: rows, every: 1 hour}", "2024-03-10T11:59:00Z", "2024-03-10T12:59:00Z"},
        {"{fingerprint: rows, every: 0 1 * * *}", "2024-03-10T01:00:00Z", "2024-03-11T01:00:00Z"},
        {"{fingerprint: rows, every: 0 1 * * *}", "2024-03-10T00:59:00Z", "2024-03-10T12:00:00Z"},
        {"{every: 1 hour}", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(prints); i++) {
        const gr_refresh_policy *policy = policy_of("", prints[i].key, "UTC");
        int64_t asked_us = prints[i].asked ? at(prints[i].asked) : INT64_MIN;
        expect_point(gr_refresh_fingerprint_next_us(policy, at("2024-03-10T12:00:00Z"), asked_us), prints[i].next,
                     prints[i].key);
    }
}

static void test_closing(void **state) {
    (void)state;
    static const struct {
        const char *key, *zone, *to, *closes;
    } rows[] = {
        {"{every: 1 hour}", "UTC", "2024-02-01T00:00:00Z", NULL},
        {"{every: 1 hour, incremental: true}", "UTC", "2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z"},
        {"{every: 1 hour, incremental: true, update_window: 7 days}", "UTC", "2024-02-01T00:00:00Z",
         "2024-02-08T00:00:00Z"},
        {"{every: 1 hour, incremental: true, update_window: 1 month}", "UTC", "2024-02-01T00:00:00Z",
         "2024-03-01T00:00:00Z"},
        /* a week is time, a month is of the wall clock */
        {"{every: 1 hour, incremental: true, update_window: 1 week}", "America/New_York", "2024-03-10T05:00:00Z",
         "2024-03-17T05:00:00Z"},
        {"{every: 1 hour, incremental: true, update_window: 1 month}", "America/New_York", "2024-03-10T05:00:00Z",
         "2024-04-10T04:00:00Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_policy *policy = policy_of("", rows[i].key, rows[i].zone);
        int64_t to_us = at(rows[i].to), closes_us = gr_refresh_closes_us(policy, to_us);
        expect_point(closes_us, rows[i].closes, rows[i].key);
        assert_int_equal(gr_refresh_closes_us(policy, OPEN), INT64_MAX);
        if (!rows[i].closes) continue;
        assert_false(gr_str_eq_z(gr_refresh_value(policy, NULL, closes_us - 1, to_us, arena), "closed"));
        expect_text(gr_refresh_value(policy, NULL, closes_us, to_us, arena), "closed", rows[i].key);
        expect_text(gr_refresh_value(policy, NULL, at("2034-01-01T00:00:00Z"), to_us, arena), "closed", rows[i].key);
        assert_false(gr_str_eq_z(gr_refresh_value(policy, NULL, at("2034-01-01T00:00:00Z"), OPEN, arena), "closed"));
    }
}

/* A scheduler that sleeps until gr_refresh_next_us sees every value, each once; one that looks at any other instant
 * sees no other. */
static void test_ten_years(void **state) {
    (void)state;
    static const struct {
        const char *key, *zone;
        size_t changes;
    } rows[] = {
        {"{every: 1 hour}", "UTC", 3653 * 24 - 1}, /* the first hour was there before, the last ends with the years */
        {"{every: 1 day}", "America/New_York", 3653},
        {"{every: 1 day}", "America/Sao_Paulo", 3653},
        {"{every: 1 week}", "Asia/Kolkata", 521},
        {"{every: 1 month}", "Europe/London", 119},
        {"{every: 5 months}", "Australia/Lord_Howe", 24},
        {"{every: 0 0 29 2 *}", "UTC", 3},
        {"{every: 30 2 * * *, timezone: America/New_York}", "UTC", 3653},
    };
    clock_t start = clock();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_policy *policy = policy_of("", rows[i].key, rows[i].zone);
        int64_t now_us = at("2015-01-01T00:00:00Z"), to_us = at("2025-01-01T00:00:00Z"), asked_us = INT64_MIN;
        gr_arena *scratch = gr_arena_new();
        size_t n = 0;
        char kept[64];
        gr_str last = gr_refresh_value(policy, NULL, now_us, OPEN, arena);
        while ((now_us = gr_refresh_next_us(policy, now_us, &asked_us, INT64_MIN)) < to_us) {
            gr_arena_reset(scratch);
            gr_str before = gr_refresh_value(policy, NULL, now_us - 1, OPEN, scratch),
                   now = gr_refresh_value(policy, NULL, now_us, OPEN, scratch);
            if (!gr_str_eq(before, last) || gr_str_eq(now, last))
                fail_msg("%s in %s: '" GR_FMT "' after '" GR_FMT "'", rows[i].key, rows[i].zone, GR_ARG(now),
                         GR_ARG(last));
            last = (gr_str){memcpy(kept, now.p, now.n), now.n};
            n++;
        }
        if (n != rows[i].changes) fail_msg("%s in %s: %zu changes", rows[i].key, rows[i].zone, n);
        gr_arena_free(scratch);
    }
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
}

/* Daily partitions of a month, each built when its value is another: an open one every hour, a last time when it
 * closes, then never again. */
static void test_partitions(void **state) {
    (void)state;
    const gr_refresh_policy *policy = policy_of("", "{every: 1 hour, incremental: true, update_window: 2 days}", "UTC");
    enum { N = 31, HOURS = 24 * 60 };
    char built[N][16] = {{0}};
    size_t builds[N] = {0};
    gr_arena *scratch = gr_arena_new();
    int64_t first_us = at("2024-01-01T00:00:00Z");
    for (int h = 0; h < HOURS; h++) {
        int64_t now_us = first_us + h * 3600 * SECOND + 60 * SECOND;
        for (int64_t d = 0; d < N; d++) {
            int64_t from_us = first_us + d * 86400 * SECOND;
            if (from_us > now_us) continue;
            gr_arena_reset(scratch);
            gr_str value = gr_refresh_value(policy, NULL, now_us, from_us + 86400 * SECOND, scratch);
            if (gr_str_eq_z(value, built[d])) continue;
            snprintf(built[d], sizeof built[d], GR_FMT, GR_ARG(value));
            builds[d]++;
        }
    }
    for (int d = 0; d < N; d++) assert_int_equal(builds[d], 24 * 3 + 1);
    gr_arena_free(scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sql_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ten_years, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partitions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
