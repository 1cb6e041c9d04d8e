/* Planning time against models of 10, 100 and 1,000 cubes with five rollups each: JSON text to plan, and to SQL.
 * Prints one JSON object. The ratio that matters is between the model sizes. */
#include "base/buf.h"
#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 20000 };

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static gr_model *make_model(size_t n, gr_arena *arena) {
    gr_buf y;
    gr_buf_init(&y, 64u << 20);
    gr_buf_z(&y, "cubes:\n");
    for (size_t i = 0; i < n; i++) {
        gr_buf_printf(&y, "- name: c%zu\n  sql_table: t%zu\n", i, i);
        if (i + 1 < n)
            gr_buf_printf(&y,
                          "  joins:\n  - {name: c%zu, sql: '{CUBE}.next_id = {c%zu.id}', relationship: many_to_one}\n",
                          i + 1, i + 1);
        gr_buf_z(&y, "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n");
        for (int d = 0; d < 8; d++) gr_buf_printf(&y, "  - {name: d%d, sql: d%d, type: string}\n", d, d);
        gr_buf_z(&y, "  - {name: at, sql: at, type: time}\n  measures:\n  - {name: count, type: count}\n");
        for (int m = 0; m < 6; m++) gr_buf_printf(&y, "  - {name: m%d, sql: m%d, type: sum}\n", m, m);
        gr_buf_z(&y, "  - {name: ratio, sql: '{m0} / {count}', type: number}\n  pre_aggregations:\n");
        for (int p = 0; p < 5; p++)
            gr_buf_printf(&y,
                          "  - {name: p%d, measures: [count, m0, m%d], dimensions: [d%d, d%d], time_dimension: at, "
                          "granularity: %s}\n",
                          p, p + 1, p, p + 1, p == 4 ? "day" : "month");
    }
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), gr_buf_str(&y)};
    gr_model *model = NULL;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    gr_buf_done(&y);
    return model;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Plans the same query text ROUNDS times; the fifth rollup serves it, so that four are refused first. */
static void measure(const gr_snapshot *s, const char *text, bool with_sql, int64_t *ret_median, int64_t *ret_p99) {
    static int64_t took[ROUNDS];
    gr_arena *arena = gr_arena_new();
    for (int i = 0; i < ROUNDS; i++) {
        gr_arena_reset(arena);
        int64_t start = now_ns();
        gr_query_options options = {10000, 50000, 500, 32, 1000, gr_tz_utc(), 1594944000000000, false};
        gr_error err = {0};
        json_t *json;
        gr_query *query;
        gr_plan *plan;
        gr_sql sql;
        gr_status status = gr_json_parse(gr_str_from(text), 1 << 20, arena, &json, &err);
        if (!status) status = gr_query_parse(s->model, json, &options, arena, &query, &err);
        if (!status) status = gr_plan_query(s, query, (gr_plan_options){.ignore_builds = true}, arena, &plan, &err);
        if (!status && with_sql) status = gr_sql_query(plan, gr_dialect_get(GR_STR("duckdb")), arena, &sql, &err);
        took[i] = now_ns() - start;
        if (status || !plan->rollup) {
            fprintf(stderr, "not served: %s\n", err.message);
            exit(1);
        }
    }
    gr_arena_free(arena);
    qsort(took, ROUNDS, sizeof *took, by_value);
    *ret_median = took[ROUNDS / 2];
    *ret_p99 = took[ROUNDS * 99 / 100];
}

int main(void) {
    static const size_t sizes[] = {10, 100, 1000};
    static const char query[] = "{\"measures\":[\"c3.count\",\"c3.ratio\"],\"dimensions\":[\"c3.d4\",\"c3.d5\"],"
                                "\"timeDimensions\":[{\"dimension\":\"c3.at\","
                                "\"granularity\":\"day\",\"dateRange\":[\"2020-01-01\",\"2020-01-31\"]}],\"filters\":[{"
                                "\"member\":\"c3.d4\",\"operator\":\"equals\","
                                "\"values\":[\"x\"]}],\"limit\":100}";
    printf("{");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        gr_arena *arena = gr_arena_new();
        int64_t start = now_ns();
        gr_model *model = make_model(sizes[i], arena);
        gr_snapshot s = {.model = model,
                         .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, arena),
                         .max_zones = 8};
        int64_t load = now_ns() - start, median, p99, median_sql, p99_sql;
        measure(&s, query, false, &median, &p99);
        measure(&s, query, true, &median_sql, &p99_sql);
        printf("%s\"cubes_%zu\": {\"load_ms\": %.1f, \"plan_us_median\": %.1f, \"plan_us_p99\": %.1f, "
               "\"plan_and_sql_us_median\": %.1f, \"plan_and_sql_us_p99\": %.1f}",
               i ? ", " : "", sizes[i], (double)load / 1e6, (double)median / 1e3, (double)p99 / 1e3,
               (double)median_sql / 1e3, (double)p99_sql / 1e3);
        gr_model_unref(model);
        gr_arena_free(arena);
    }
    printf("}\n");
    return 0;
}
