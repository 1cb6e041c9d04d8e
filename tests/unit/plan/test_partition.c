/* Partitions: which are read, what is missing, and what is built first.
 *
 *      wanted      Jan   Feb   Mar   Apr   (2020, a partition for every month)
 *      built       [==)        [==)
 *      missing           [==)        [==)                                                                          */
#include "plan_test.h"

static const char yaml[] = "cubes:\n- name: orders\n  sql_table: orders\n"
                           "  measures:\n  - {name: count, type: count}\n"
                           "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
                           "  - {name: created_at, sql: created_at, type: time}\n"
                           "  pre_aggregations:\n  - {name: p, measures: [count], time_dimension: created_at, "
                           "granularity: day, partition_granularity: month%s}\n";

static int64_t at(const char *text) {
    int64_t us = 0;
    gr_time_zone_part zone;
    bool is_date;
    assert_true(gr_time_parse(gr_str_from(text), &us, &zone, &is_date));
    return us;
}

static gr_run run(const char *from, const char *to) { return (gr_run){at(from), at(to)}; }

/* January and March, in one table; nothing without a time. */
static gr_rollup_state *half_built(gr_arena *arena, bool is_failed) {
    gr_rollup_state *s = GR_NEW(arena, gr_rollup_state);
    gr_run *covered = GR_NEW_N(arena, gr_run, 4), *missing = GR_NEW_N(arena, gr_run, 2);
    gr_partition *parts = GR_NEW_N(arena, gr_partition, 2);
    gr_partition_table *table = GR_NEW(arena, gr_partition_table);
    covered[0] = (gr_run){INT64_MIN, at("2020-02-01")};
    covered[1] = run("2020-03-01", "2020-04-01");
    covered[2] = (gr_run){at("2020-05-01"), INT64_MAX};
    missing[0] = run("2020-02-01", "2020-03-01");
    missing[1] = run("2020-04-01", "2020-05-01");
    parts[0] = (gr_partition){.id = 1, .run = run("2020-01-01", "2020-02-01"), .built_at_us = 100};
    parts[1] = (gr_partition){.id = 2, .run = run("2020-03-01", "2020-04-01"), .built_at_us = 200};
    table->text = GR_STR("t");
    *s = (gr_rollup_state){.zone = gr_tz_utc(),
                           .entity_id = 7,
                           .is_built = true,
                           .is_failed = is_failed,
                           .retry_at_us = test_now + 1,
                           .built_at_us = 100,
                           .has_range = true,
                           .covered = covered,
                           .n_covered = 3,
                           .missing = missing,
                           .n_missing = 2,
                           .partitions = parts,
                           .n_partitions = 2,
                           .tables = table,
                           .n_tables = 1};
    return s;
}

typedef struct partition_case {
    bool is_explicit, is_failed;
    const char *times, *words, *rules;
    size_t n_read;
    int64_t built_at_us;
} partition_case;

static const partition_case cases[] = {
    /* What is built is read, and nothing else. */
    {false, false, "day 2020-01-05 2020-01-06", "p[2020-01-05 .. 2020-01-07)", "nothing", 1, 100},
    {false, false, "day 2020-03-05 2020-03-06", "p[2020-03-05 .. 2020-03-07)", "nothing", 1, 200},
    /* Outside of the data there is nothing: any table says so. */
    {false, false, "day 2019-01-05 2019-01-06", "p[2019-01-05 .. 2019-01-07)", "nothing", 1, 100},
    {false, false, "day 2021-01-05 2021-01-06", "p[2021-01-05 .. 2021-01-07)", "nothing", 1, 100},
    /* What is missing is built first, where it may be. */
    {false, false, "day 2020-02-05 2020-02-06", "build p", "nothing", 0, 0},
    {false, false, "day 2020-01-31 2020-02-01", "build p", "nothing", 0, 0},
    {false, false, "", "build p", "nothing", 0, 0},
    /* Where it may not, its time is the source's, and the rest goes on being served. */
    {true, false, "day 2020-02-05 2020-02-06", "source[2020-02-05 .. 2020-02-07)", "not_built partition_missing", 0, 0},
    {false, true, "day 2020-02-05 2020-02-06", "source[2020-02-05 .. 2020-02-07)", "build_failed partition_missing", 0,
     0},
    {true, false, "day 2020-01-30 2020-02-03", "p[2020-01-30 .. 2020-02-01) + source[2020-02-01 .. 2020-02-04)",
     "not_built partition_missing", 1, 100},
    {true, false, "", "source", "not_built partition_missing", 0, 0},
    {true, false, "day 2020-01-05 2020-01-06", "p[2020-01-05 .. 2020-01-07)", "nothing", 1, 100},
};

static void what_is_read(void **state) {
    (void)state;
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const partition_case *c = &cases[i];
        gr_arena *arena = gr_arena_new();
        char text[1024];
        snprintf(text, sizeof text, yaml, c->is_explicit ? ", build: explicit" : "");
        gr_snapshot s = test_snapshot(text, arena);
        gr_rollup_state *states[1] = {half_built(arena, c->is_failed)};
        size_t n_states[1] = {1};
        gr_error err = {0};
        gr_plan *plan = NULL;
        s.states = states;
        s.n_states = n_states;
        const gr_query *q = test_query(&s, test_json("count", "", c->times, "", arena), arena);
        assert_int_equal(gr_plan_query(&s, q, (gr_plan_options){.now_us = test_now}, arena, &plan, &err), GR_OK);
        gr_str words = test_words(plan, true, arena), rules = test_rules(plan, SIZE_MAX, arena);
        size_t n_read = plan->n_uses ? plan->uses[0].n_partitions : 0;
        int64_t built = plan->n_uses ? plan->uses[0].built_at_us : 0;
        bool is_good = gr_str_eq_z(words, c->words) && gr_str_eq_z(rules, c->rules) && n_read == c->n_read &&
                       built == c->built_at_us;
        if (!is_good)
            print_error("row %zu: '" GR_FMT "' (" GR_FMT "), %zu read, as of %lld\n", i, GR_ARG(words), GR_ARG(rules),
                        n_read, (long long)built);
        n_bad += !is_good;
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* What is wanted of it is said, so that nothing else has to be built. */
static void what_is_wanted(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    char text[1024];
    snprintf(text, sizeof text, yaml, "");
    gr_snapshot s = test_snapshot(text, arena);
    gr_rollup_state *states[1] = {half_built(arena, false)};
    size_t n_states[1] = {1};
    gr_error err = {0};
    gr_plan *plan = NULL;
    s.states = states;
    s.n_states = n_states;
    const gr_query *q = test_query(&s, test_json("count", "", "day 2020-02-05 2020-02-06", "", arena), arena);
    assert_int_equal(gr_plan_query(&s, q, (gr_plan_options){.now_us = test_now}, arena, &plan, &err), GR_OK);
    assert_non_null(plan->to_build);
    assert_true(plan->to_build_run.from_us == at("2020-02-05") && plan->to_build_run.to_us == at("2020-02-07"));
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(what_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
