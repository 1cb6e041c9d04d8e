/* Policies: own keys, keys of cubes, defaults. The table of cube.md 6.6, row by row, as Granary deviates from it. */
#include "unit/model/model_fixture.h"

#include "refresh/refresh.h"

/* Three cubes with keys of their own, and a pre-aggregation of the first. */
static const gr_refresh_policy *policy_of(const char *orders, const char *users, const char *cities,
                                          const char *preagg) {
    gr_str yaml =
        gr_arena_printf(arena,
                        "cubes:\n"
                        "  - {name: orders, data_source: sales, sql_table: o%s%s, dimensions: [{name: at, sql: "
                        "at, type: time}], measures: [{name: count, type: count}], pre_aggregations: [{name: "
                        "r, %s}]}\n"
                        "  - {name: users, data_source: crm, sql_table: u%s%s}\n"
                        "  - {name: cities, sql_table: c%s%s}\n",
                        *orders ? ", refresh_key: " : "", orders, preagg, *users ? ", refresh_key: " : "", users,
                        *cities ? ", refresh_key: " : "", cities);
    load_good(yaml.p);
    return gr_refresh_policy_of(model->preaggs[0], (const gr_cube *const *)model->cubes, 3, gr_tz_utc(), arena);
}

/* "orders:time 1 hour; users:sql(crm) 10 seconds default", one for each part. */
static gr_str spell(const gr_refresh_policy *policy) {
    static const char *const kinds[] = {"never", "time", "sql"};
    gr_str text = {0};
    for (size_t i = 0; i < policy->n_parts; i++) {
        const gr_refresh_part *p = &policy->parts[i];
        text = gr_arena_printf(arena, GR_FMT "%s" GR_FMT ":%s", GR_ARG(text), i ? "; " : "",
                               GR_ARG(p->cube ? p->cube->name : GR_STR("own")), kinds[p->kind]);
        if (p->kind == GR_REFRESH_SQL)
            text = gr_arena_printf(arena, GR_FMT "(" GR_FMT ")", GR_ARG(text), GR_ARG(p->data_source));
        if (p->kind != GR_REFRESH_NEVER)
            text = gr_arena_printf(arena, GR_FMT " " GR_FMT "%s", GR_ARG(text), GR_ARG(p->schedule.text),
                                   p->is_default ? " default" : "");
    }
    return text;
}

#define ROLLUP "measures: [count]"
#define KEY(key) ROLLUP ", refresh_key: " key

static void test_parts(void **state) {
    (void)state;
    static const struct {
        const char *orders, *users, *cities, *preagg, *want;
    } rows[] = {
        /* its own key, whatever the cubes say */
        {"{every: 1 day}", "{sql: select 1}", "", KEY("{every: 5 minutes}"), "own:time 5 minutes"},
        {"", "", "", KEY("{every: 0 8 * * *}"), "own:time 0 8 * * *"},
        {"", "", "", KEY("{sql: select 1}"), "own:sql(sales) 10 seconds"},
        {"", "", "", KEY("{sql: select 1, every: 1 hour}"), "own:sql(sales) 1 hour"},
        {"{immutable: true}", "", "", KEY("{every: 1 day, incremental: true}"), "own:time 1 day"},
        {"{every: 1 day}", "", "", KEY("{fingerprint: rows}"), "own:never"},
        {"", "", "", KEY("{fingerprint: rows, every: 1 hour}"), "own:never"},
        {"", "", "", KEY("{fingerprint: rows, every: 1 hour, incremental: true}"), "own:time 1 hour"},
        {"", "", "", KEY("{fingerprint: rows, sql: select 1}"), "own:sql(sales) 10 seconds"},
        /* no key anywhere */
        {"", "", "", ROLLUP, "orders:time 1 hour default; users:time 1 hour default; cities:time 1 hour default"},
        /* its own cube has a key, none has sql */
        {"{every: 5 minutes}", "{every: 1 day}", "", ROLLUP,
         "orders:time 5 minutes; users:time 1 day; cities:time 1 hour default"},
        {"{immutable: true}", "{every: 1 day}", "{immutable: true}", ROLLUP,
         "orders:never; users:time 1 day; cities:never"},
        /* only another cube has one, and it is no sql */
        {"", "{every: 5 minutes}", "{immutable: true}", ROLLUP,
         "orders:time 1 hour default; users:time 1 hour default; cities:never"},
        /* some cube has sql */
        {"", "{sql: select 1}", "{every: 1 day}", ROLLUP,
         "orders:time 10 seconds default; users:sql(crm) 10 seconds; cities:time 1 day"},
        {"{sql: select 1, every: 1 hour}", "", "{immutable: true}", ROLLUP,
         "orders:sql(sales) 1 hour; users:time 10 seconds default; cities:never"},
        /* an original_sql reads its own cube alone */
        {"", "{sql: select 1}", "", "type: original_sql, external: true", "orders:time 1 hour default"},
        {"{sql: select 1}", "", "", "type: original_sql, external: true", "orders:sql(sales) 10 seconds"},
        {"{every: 1 week}", "{sql: select 1}", "", "type: original_sql, external: true", "orders:time 1 week"},
        {"{immutable: true}", "", "", "type: original_sql, external: true", "orders:never"},
        {"{immutable: true}", "", "", "type: original_sql, refresh_key: {every: 1 day}", "own:time 1 day"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_policy *policy = policy_of(rows[i].orders, rows[i].users, rows[i].cities, rows[i].preagg);
        gr_str got = spell(policy);
        if (!gr_str_eq_z(got, rows[i].want)) fail_msg("row %zu: '" GR_FMT "', not '%s'", i, GR_ARG(got), rows[i].want);
        for (size_t k = 0; k < policy->n_parts; k++)
            assert_true(policy->parts[k].kind == GR_REFRESH_NEVER || policy->parts[k].schedule.tz);
    }
    /* nobody said which cubes: its own */
    policy_of("{every: 1 day}", "{sql: select 1}", "", ROLLUP);
    expect_str(spell(gr_refresh_policy_of(model->preaggs[0], NULL, 0, gr_tz_utc(), arena)), "orders:time 1 day");
}

static const gr_tz *zone_of(const char *name) {
    const gr_tz *tz = NULL;
    if (gr_tz_get(gr_str_from(name), &tz, &err)) fail_msg("%s", err.message);
    return tz;
}

/* Intervals are of the zone of the rollup, cron lines of their own. */
static void test_zones(void **state) {
    (void)state;
    const gr_tz *berlin = zone_of("Europe/Berlin");
    static const struct {
        const char *key, *zone;
    } rows[] = {
        {KEY("{every: 1 day}"), "Europe/Berlin"},  {KEY("{every: 1 day, timezone: Asia/Kolkata}"), "Europe/Berlin"},
        {KEY("{every: 0 8 * * *}"), "UTC"},        {KEY("{every: 0 8 * * *, timezone: Asia/Kolkata}"), "Asia/Kolkata"},
        {KEY("{sql: select 1}"), "Europe/Berlin"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        policy_of("", "", "", rows[i].key);
        const gr_refresh_policy *policy = gr_refresh_policy_of(model->preaggs[0], NULL, 0, berlin, arena);
        expect_str(gr_tz_name(policy->parts[0].schedule.tz), rows[i].zone);
        assert_ptr_equal(policy->tz, berlin);
    }
}

static void test_rest(void **state) {
    (void)state;
    const gr_refresh_policy *policy =
        policy_of("", "", "", KEY("{every: 1 hour, incremental: true, update_window: 7 days}"));
    assert_true(policy->is_incremental && policy->has_update_window);
    assert_int_equal(policy->update_window.seconds, 604800);
    expect_str(policy->update_window_text, "7 days");
    assert_int_equal(policy->fingerprint, GR_FINGERPRINT_NONE);
    static const struct {
        const char *key, *check;
        gr_fingerprint fingerprint;
    } rows[] = {
        {KEY("{fingerprint: rows}"), "2 minutes", GR_FINGERPRINT_ROWS},
        {KEY("{fingerprint: rows, sql: select 1}"), "2 minutes", GR_FINGERPRINT_ROWS},
        {KEY("{fingerprint: rows, sql: select 1, every: 1 hour}"), "1 hour", GR_FINGERPRINT_ROWS},
        {KEY("{fingerprint: \"{CUBE}.x\", every: 1 hour}"), "1 hour", GR_FINGERPRINT_SQL},
        {KEY("{fingerprint: x, every: 0 1 * * *, incremental: true}"), "0 1 * * *", GR_FINGERPRINT_SQL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        policy = policy_of("", "", "", rows[i].key);
        assert_int_equal(policy->fingerprint, rows[i].fingerprint);
        assert_int_equal(policy->fingerprint_sql != NULL, rows[i].fingerprint == GR_FINGERPRINT_SQL);
        expect_str(policy->check.text, rows[i].check);
        assert_non_null(policy->check.tz);
    }
    /* the keys of cubes give no increments */
    policy = policy_of("{sql: select 1}", "", "", ROLLUP);
    assert_false(policy->is_incremental);
    assert_int_equal(policy->fingerprint, GR_FINGERPRINT_NONE);
    expect_str(policy->parts[0].sql->source, "select 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zones, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
