/* Refreshing one of a thousand partitions, reading one of them, and reading while versions are exchanged; each beside
 * the same with nothing around it, in one process and run, in turns. bench_refresh FOLDER ROUNDS; prints one JSON
 * object.
 *
 *      days   1,000 days of ROWS rows each, a partition for every day
 *      day    the last of them alone, of the same table
 *      one    the last of them alone, of a table that has nothing else
 *
 * The folder has an empty folder `data`. */
#include "exec/exec.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { DAYS = 1000, ROWS = 5000, MOST = 100000 };
#define DAY_US INT64_C(86400000000)
#define FIRST_DAY INT64_C(18262) /* 2020-01-01 */

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void must(gr_status status, const gr_error *err) {
    if (!status) return;
    fprintf(stderr, "bench_refresh: %s\n", err->message);
    exit(1);
}

#define CUBE(name, table, range)                                                                                       \
    "- name: " name "\n  sql: SELECT * FROM granary_store.main." table "\n"                                            \
    "  dimensions:\n  - {name: kind, sql: kind, type: number}\n  - {name: ts, sql: ts, type: time}\n"                  \
    "  measures:\n  - {name: count, type: count}\n  - {name: amount, sql: amount, type: sum}\n"                        \
    "  pre_aggregations:\n  - {name: main, measures: [count, amount], dimensions: [kind], time_dimension: ts, "        \
    "granularity: day, partition_granularity: day, refresh_key: {every: 1 hour, fingerprint: rows}" range "}\n"
static const char yaml[] = "cubes:\n" CUBE("days", "days", "") CUBE("one", "one", "")
    CUBE("day", "days",
         ", build_range_start: {sql: \"SELECT TIMESTAMP '2022-09-26'\"}, build_range_end: {sql: \"SELECT TIMESTAMP "
         "'2022-09-26 23:59:59'\"}");

typedef struct bench {
    gr_exec *exec;
    gr_model *model;
    gr_arena *arena;
} bench;

static void run_sql(bench *b, const char *text) {
    gr_error err = {0};
    gr_ctx ctx = {.arena = b->arena, .now_us = gr_clock_now_us()};
    gr_sql sql = {.text = gr_str_from(text)};
    must(gr_exec_update(b->exec, &ctx, &sql, &err), &err);
}

static void make_source(bench *b) {
    char text[1024];
    snprintf(text, sizeof text,
             "CREATE TABLE granary_store.main.days AS SELECT TIMESTAMP '2020-01-01' + to_days(CAST(d AS INTEGER)) + "
             "to_seconds(r * 15) AS ts, (d * 31 + r * 17) %% 50 AS kind, (d * 7 + r) %% 1000 AS amount "
             "FROM range(%d) AS t(d), range(%d) AS s(r) ORDER BY ts",
             DAYS, ROWS);
    run_sql(b, text);
    run_sql(b, "CREATE TABLE granary_store.main.one AS SELECT * FROM granary_store.main.days "
               "WHERE ts >= (SELECT date_trunc('day', max(ts)) FROM granary_store.main.days)");
}

static double build_ms(bench *b, size_t preagg, gr_run run, bool is_forced) {
    gr_error err = {0};
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_build_result result;
    const gr_build_ask ask = {.run = run, .is_forced = is_forced};
    const gr_snapshot *s = gr_exec_snapshot_ref(b->exec);
    int64_t start = now_ns();
    must(gr_exec_build(b->exec, &ctx, s, gr_plan_index_rollup(s->index, b->model->preaggs[preagg]), gr_tz_utc(), &ask,
                       &result, &err),
         &err);
    double ms = (double)(now_ns() - start) / 1e6;
    gr_exec_snapshot_unref(s);
    gr_arena_free(arena);
    return ms;
}

static double probe_ms(bench *b) {
    gr_error err = {0};
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    const gr_snapshot *s = gr_exec_snapshot_ref(b->exec);
    int64_t start = now_ns();
    must(gr_sql_fingerprint(s, gr_plan_index_rollup(s->index, b->model->preaggs[0]), gr_tz_utc(),
                            (gr_sql_load_options){0}, NULL, gr_exec_places(b->exec), arena, &sql, &err),
         &err);
    must(gr_exec_query(b->exec, &ctx, &sql, &stream, &err), &err);
    do must(stream->next(stream, &batch, &err), &err);
    while (batch);
    stream->close(stream);
    gr_exec_snapshot_unref(s);
    gr_arena_free(arena);
    return (double)(now_ns() - start) / 1e6;
}

/* Plan, render, run: one day by kind. */
static double read_us(bench *b, const char *cube, size_t *ret_tables) {
    gr_error err = {0};
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    json_error_t where;
    char text[512];
    snprintf(text, sizeof text,
             "{\"measures\":[\"%s.amount\"],\"dimensions\":[\"%s.kind\"],\"timeDimensions\":[{\"dimension\":\"%s.ts\","
             "\"dateRange\":[\"2022-09-26\",\"2022-09-26\"]}]}",
             cube, cube, cube);
    json_t *json = json_loads(text, 0, &where);
    const gr_query_options options = {.default_limit = 1000,
                                      .max_limit = 1000,
                                      .max_members = 50,
                                      .max_filter_depth = 4,
                                      .max_filter_values = 10,
                                      .default_tz = gr_tz_utc(),
                                      .now_us = ctx.now_us};
    int64_t start = now_ns();
    const gr_snapshot *s = gr_exec_snapshot_ref(b->exec);
    gr_query *query;
    gr_plan *plan;
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    size_t rows = 0;
    must(gr_query_parse(s->model, json, &options, arena, &query, &err), &err);
    must(gr_plan_query(s, query, (gr_plan_options){.now_us = ctx.now_us}, arena, &plan, &err), &err);
    if (!plan->rollup || plan->reads_source) must(gr_error_set(&err, GR_ERR_INTERNAL, "not served"), &err);
    must(gr_sql_query(plan, gr_exec_places(b->exec), arena, &sql, &err), &err);
    must(gr_exec_query(b->exec, &ctx, &sql, &stream, &err), &err);
    do {
        must(stream->next(stream, &batch, &err), &err);
        if (batch) rows += batch->n_rows;
    } while (batch);
    stream->close(stream);
    double us = (double)(now_ns() - start) / 1e3;
    if (rows != 50) must(gr_error_set(&err, GR_ERR_INTERNAL, "%zu rows instead of 50", rows), &err);
    if (ret_tables) *ret_tables = plan->uses[0].n_partitions;
    gr_exec_snapshot_unref(s);
    json_decref(json);
    gr_arena_free(arena);
    return us;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, size_t n, double q) {
    qsort(v, n, sizeof *v, by_size);
    return n ? v[(size_t)((double)(n - 1) * q)] : 0;
}

typedef struct reader {
    bench *b;
    double *v;
    size_t n;
    atomic_bool *is_over;
} reader;

static void *read_on(void *arg) {
    reader *r = arg;
    while (!atomic_load(r->is_over) && r->n < MOST) r->v[r->n++] = read_us(r->b, "days", NULL);
    return NULL;
}

/* One reader for two seconds, while (or not) another partition is built and published again and again. */
static void measure_swaps(bench *b, bool is_publishing, double *ret_p50, double *ret_p99, int *ret_swaps) {
    atomic_bool is_over;
    atomic_init(&is_over, false);
    reader r = {b, calloc(MOST, sizeof(double)), 0, &is_over};
    pthread_t thread;
    int64_t end = now_ns() + INT64_C(2000000000);
    const gr_run other = {FIRST_DAY * DAY_US, (FIRST_DAY + 1) * DAY_US};
    *ret_swaps = 0;
    if (pthread_create(&thread, NULL, read_on, &r)) exit(1);
    if (is_publishing) /* as the threads of the server that build */
        (void)!setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    while (now_ns() < end) {
        if (is_publishing) {
            build_ms(b, 0, other, true);
            ++*ret_swaps;
        }
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    *ret_p50 = quantile(r.v, r.n, 0.5);
    *ret_p99 = quantile(r.v, r.n, 0.99);
    free(r.v);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: bench_refresh FOLDER ROUNDS\n"), 2;
    size_t rounds = (size_t)strtol(argv[2], NULL, 10);
    bench b = {.arena = gr_arena_new()};
    gr_error err = {0};
    gr_source_config source = {
        .name = GR_STR("default"), .path = gr_arena_printf(b.arena, "%s/data", argv[1]), .is_folder = true};
    gr_config config = {.root = gr_str_from(argv[1]),
                        .sources = &source,
                        .n_sources = 1,
                        .state_dir = gr_arena_printf(b.arena, "%s/state", argv[1]),
                        .preagg_schema = GR_STR("granary"),
                        .external_default = true,
                        .max_build_zones = 8,
                        .build_max_partitions = 10000,
                        .build_partitions_at_once = 2,
                        .build_verify = true,
                        .engine_memory_mb = 4096,
                        .engine_threads = 2,
                        .engine_connections = 4};
    gr_diags diags;
    gr_diags_init(&diags, b.arena);
    gr_model_file file = {GR_STR("m.yml"), {yaml, sizeof yaml - 1}};
    must(gr_model_load_files(&file, 1, &diags, &b.model, &err), &err);
    must(gr_exec_open(&config, &b.exec, &err), &err);
    make_source(&b);
    must(gr_exec_set_model(b.exec, b.model, &diags, &err), &err);
    double first_ms = build_ms(&b, 0, gr_run_all, false);
    build_ms(&b, 1, gr_run_all, false);
    build_ms(&b, 2, gr_run_all, false);
    const gr_run last = {(FIRST_DAY + DAYS - 1) * DAY_US, (FIRST_DAY + DAYS) * DAY_US};
    double *among = calloc(rounds, sizeof *among), *alone = calloc(rounds, sizeof *alone),
           *small = calloc(rounds, sizeof *small), *probe = calloc(rounds, sizeof *probe),
           *pruned = calloc(20 * rounds, sizeof *pruned), *bare = calloc(20 * rounds, sizeof *bare);
    size_t n_read = 0;
    for (size_t i = 0; i < rounds; i++) {
        among[i] = build_ms(&b, 0, last, true);
        alone[i] = build_ms(&b, 2, gr_run_all, true);
        small[i] = build_ms(&b, 1, gr_run_all, true);
        probe[i] = probe_ms(&b);
    }
    for (size_t i = 0; i < 20 * rounds; i++) {
        pruned[i] = read_us(&b, "days", &n_read);
        bare[i] = read_us(&b, "one", NULL);
    }
    double quiet50, quiet99, swap50, swap99;
    int n_none, n_swaps;
    measure_swaps(&b, false, &quiet50, &quiet99, &n_none);
    measure_swaps(&b, true, &swap50, &swap99, &n_swaps);
    double a = quantile(among, rounds, 0.5), o = quantile(alone, rounds, 0.5), p = quantile(pruned, 20 * rounds, 0.5),
           q = quantile(bare, 20 * rounds, 0.5);
    printf("{\"partitions\": %d, \"source_rows\": %d, \"first_build_ms\": %.1f,\n \"one_day_among_ms\": %.2f, "
           "\"one_day_alone_ms\": %.2f, \"incremental_ratio\": %.2f, \"one_day_of_a_small_table_ms\": %.2f, "
           "\"probe_ms\": %.2f,\n"
           " \"read_one_of_1000_us\": %.0f, \"read_one_of_1_us\": %.0f, \"pruning_ratio\": %.2f, "
           "\"partitions_read\": %zu,\n \"reader_p50_us\": %.0f, \"reader_p99_us\": %.0f, "
           "\"reader_p50_us_with_publishes\": %.0f, \"reader_p99_us_with_publishes\": %.0f, \"publishes\": %d, "
           "\"swap_p99_ratio\": %.2f}\n",
           DAYS, DAYS * ROWS, first_ms, a, o, a / o, quantile(small, rounds, 0.5), quantile(probe, rounds, 0.5), p, q,
           p / q, n_read, quiet50, quiet99, swap50, swap99, n_swaps, swap99 / quiet99);
    gr_exec_close(b.exec);
    gr_model_unref(b.model);
    gr_arena_free(b.arena);
    return 0;
}
