/* SQL that another engine would work out: rollups of a source that the embedded engine does not see. */
#include "plan_test.h"

static const char head[] =
    "cubes:\n"
    "- name: orders\n  sql_table: orders\n"
    "  dimensions:\n"
    "  - {name: id, sql: id, type: number, primary_key: true, public: true}\n"
    "  - {name: status, sql: status, type: string}\n"
    "  - {name: size, sql: size, type: number}\n"
    "  - {name: at, sql: at, type: time}\n"
    "  - {name: is_done, sql: \"CASE WHEN {status} = 'done' THEN 1 ELSE 0 END\", type: number}\n"
    "  - {name: is_late, sql: \"CASE WHEN {status} > 'm' THEN 1 ELSE 0 END\", type: number}\n"
    "  - {name: word, sql: \"lower({status})\", type: string}\n"
    "  - {name: label, sql: \"'s' || {size}\", type: string}\n"
    "  - {name: tag, sql: \"{status} || '!'\", type: string}\n"
    "  - {name: same, sql: \"{status}\", type: string}\n"
    "  - {name: cased, type: string, case: {when: [{sql: \"lower({status}) = 'a'\", label: x}], else: {label: y}}}\n"
    "  measures:\n"
    "  - {name: count, type: count}\n"
    "  - {name: total, sql: amount, type: sum}\n"
    "  - {name: share, sql: \"ROUND({total} / {count}, 2)\", type: number}\n"
    "  - {name: whole, sql: \"ROUND({total} / {count})\", type: number}\n"
    "  - {name: twice, sql: \"2 * {whole}\", type: number}\n"
    "  - {name: own, sql: \"round(sum({CUBE}.amount))\", type: number}\n"
    "  pre_aggregations:\n";
/* of another source, and rollups of it nowhere else */
static const char tail[] =
    "- name: others\n  sql_table: others\n  data_source: other\n"
    "  dimensions: [{name: n, sql: n, type: number}]\n  measures: [{name: count, type: count}]\n";

#define IN_STORE "  - {name: main, external: true, measures: [count, total], dimensions: [status, size]}\n"
#define BESIDE "  - {name: main, external: false, measures: [count, total], dimensions: [status, size]}\n"
#define IN_OTHER "  - {name: main, store: other, measures: [count, total], dimensions: [status, size]}\n"
#define IN_KEYS "  - {name: main, store: other, measures: [count], dimensions: [id, status]}\n"
#define IN_OWN_KEYS "  - {name: main, measures: [count], dimensions: [id, status]}\n"
#define IN_SAME "  - {name: main, store: same, measures: [count, total], dimensions: [status, size]}\n"
#define BY_DAY                                                                                                         \
    "  - {name: main, external: false, measures: [count, total], dimensions: [status], time_dimension: at, "           \
    "granularity: day}\n"
#define LAMBDA                                                                                                         \
    "  - {name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true}\n"                           \
    "  - {name: main, external: false, measures: [count, total], dimensions: [status], time_dimension: at, "           \
    "granularity: day, partition_granularity: month}\n"
#define OWN "  - {name: main, measures: [own], dimensions: [status]}\n"

static const test_case cases[] = {
    {IN_STORE, "count share", "status", "", "", "main", "nothing"},
    {IN_STORE, "whole", "status", "", "", "source", "engine_sql"},
    {IN_STORE, "twice", "status", "", "", "source", "engine_sql"},
    {IN_STORE, "count", "is_done tag same", "", "", "main", "nothing"},
    {IN_STORE, "count", "is_late", "", "", "source", "engine_sql"},
    {IN_STORE, "count", "word", "", "", "source", "engine_sql"},
    {IN_STORE, "count", "label", "", "", "source", "engine_sql"},
    {IN_STORE, "count", "cased", "", "", "source", "engine_sql"},
    {IN_STORE, "count", "", "", FILTER("word", "equals", "'a'"), "source", "engine_sql"},
    {IN_STORE, "count", "", "", FILTER("tag", "equals", "'a!'"), "main", "nothing"},
    {IN_STORE, "count", "status", "", FILTER("whole", "gt", "'1'"), "source", "engine_sql"},
    {IN_STORE, "count", "status", "", FILTER("share", "gt", "'1'"), "main", "nothing"},
    {BESIDE, "whole twice", "word label cased", "", "", "main", "nothing"},
    {IN_SAME, "whole twice", "word label cased", "", "", "main", "nothing"},
    /* In another engine nothing is worked out of stored columns, and measures over measures are worked out here. */
    {IN_OTHER, "whole", "status", "", "", "source", "engine_sql"},
    {IN_OTHER, "share", "same", "", "", "main", "nothing"},
    {IN_OTHER, "share", "tag", "", "", "source", "engine_sql"},
    {IN_OTHER, "count", "is_done", "", "", "source", "engine_sql"},
    {IN_OTHER, "count", "cased", "", "", "source", "engine_sql"},
    {IN_OTHER, "count", "", "", FILTER("tag", "equals", "'a!'"), "source", "engine_sql"},
    {IN_KEYS, "count", "id", "", "'ungrouped':true", "source", "ungrouped"},
    {IN_OWN_KEYS, "count", "id", "", "'ungrouped':true", "main", "nothing"},
    /* Of what is stored as it is, the source worked it out; of an aggregate in a call, that is the aggregate alone. */
    {OWN, "own", "status", "", "", "source", "engine_sql"},
    {"  - {name: main, measures: [count], dimensions: [word, label]}\n", "count", "word", "", "", "main", "nothing"},
    /* Rows of several tables meet elsewhere than where they are. */
    {BY_DAY, "whole", "status", "at:day 2024-01-01 2024-01-31", "", "main", "nothing"},
    {BY_DAY, "share", "status", "at:- 2024-01-01 2024-01-31T05:00:00", "", "main + source", NULL},
    {BY_DAY, "whole", "status", "at:- 2024-01-01 2024-01-31T05:00:00", "", "source", NULL},
    {LAMBDA, "whole", "status", "at:day 2024-01-01 2024-01-31", "", "main", "engine_sql"},
    {LAMBDA, "share", "status", "at:day 2024-01-01 2024-01-31", "", "main", "nothing"},
};

static void test_cases(void **state) {
    (void)state;
    size_t n_bad = 0;
    static const gr_plan_remote remote[] = {{GR_STR_INIT("default"), GR_STR_INIT("postgres"), false, false},
                                            {GR_STR_INIT("same"), GR_STR_INIT("postgres"), false, false},
                                            {GR_STR_INIT("other"), GR_STR_INIT("clickhouse"), true, true}};
    const gr_plan_defaults defaults = {.is_external = true, .remote = remote, .n_remote = COUNT(remote)};
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena, "%s%s%s", head, cases[i].rollups, tail);
        gr_snapshot s = test_snapshot_with(yaml.p, defaults, arena);
        n_bad += !test_case_holds(&s, &cases[i], i, false, arena);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* A source that the embedded engine sees: it works out everything. */
static void test_embedded(void **state) {
    (void)state;
    static const test_case seen[] = {
        {IN_STORE, "whole twice", "word label cased", "", "", "main", "nothing"},
    };
    test_check_cases(head, tail, seen, COUNT(seen), false);
}

/* … whose rollups are in another engine: that works out nothing. */
static void test_abroad(void **state) {
    (void)state;
    static const test_case kept[] = {
        {IN_OTHER, "whole twice share", "status same", "", "", "main", "nothing"},
        {IN_OTHER, "count", "word", "", "", "source", "engine_sql"},
        {IN_OTHER, "count", "tag", "", "", "source", "engine_sql"},
    };
    static const gr_plan_remote other = {GR_STR_INIT("other"), GR_STR_INIT("postgres"), false, false};
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(kept); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena, "%s%s%s", head, kept[i].rollups, tail);
        gr_snapshot s = test_snapshot_with(yaml.p, (gr_plan_defaults){.remote = &other, .n_remote = 1}, arena);
        n_bad += !test_case_holds(&s, &kept[i], i, false, arena);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_abroad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
