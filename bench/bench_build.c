/* Build of a rollup over the demo's line_items beside the bare CREATE TABLE AS of the same SELECT, in one process and
 * run, alternating. bench_build DEMO_FOLDER ROUNDS; prints one JSON object. The demo must not be in use. */
#include "exec/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void must(gr_status status, const gr_error *err) {
    if (!status) return;
    fprintf(stderr, "bench_build: %s\n", err->message);
    exit(1);
}

static const char yaml[] =
    "cubes:\n- name: line_items\n  sql_table: line_items\n  dimensions:\n  - {name: id, sql: id, type: number, "
    "primary_key: true}\n"
    "  - {name: product_id, sql: product_id, type: number}\n  - {name: created_at, sql: created_at, type: time}\n"
    "  measures:\n  - {name: count, type: count}\n  - {name: quantity, sql: quantity, type: sum}\n  - {name: price, "
    "sql: price, type: sum}\n"
    "  pre_aggregations:\n  - {name: bench, measures: [count, quantity, price], dimensions: [product_id], "
    "time_dimension: created_at, granularity: month}\n";

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: bench_build DEMO_FOLDER ROUNDS\n"), 2;
    int rounds = (int)strtol(argv[2], NULL, 10);
    gr_arena *arena = gr_arena_new();
    gr_error err = {0};
    gr_source_config source = {.name = GR_STR("default"),
                               .path = gr_arena_printf(arena, "%s/data/shop.duckdb", argv[1])};
    gr_config config = {.root = gr_str_from(argv[1]),
                        .sources = &source,
                        .n_sources = 1,
                        .state_dir = gr_arena_printf(arena, "%s/bench-state", argv[1]),
                        .preagg_schema = GR_STR("granary"),
                        .external_default = true,
                        .max_build_zones = 8,
                        .engine_memory_mb = 4096,
                        .engine_threads = 2,
                        .engine_connections = 2};
    gr_exec *exec;
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model *model;
    gr_model_file file = {GR_STR("m.yml"), {yaml, sizeof yaml - 1}};
    must(gr_model_load_files(&file, 1, &diags, &model, &err), &err);
    must(gr_exec_open(&config, &exec, &err), &err);
    must(gr_exec_set_model(exec, model, &diags, &err), &err);
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    double ours = 1e9, bare = 1e9;
    int64_t rows = 0;
    gr_build_result built;
    const gr_build_ask ask = {.run = gr_run_all, .is_forced = true};
    const gr_snapshot *s = gr_exec_snapshot_ref(exec);
    const gr_rollup *rollup = gr_plan_index_rollup(s->index, model->preaggs[0]);
    gr_sql load;
    must(gr_sql_load(s, rollup, gr_tz_utc(), (gr_sql_load_options){0}, gr_exec_places(exec), arena, &load, &err), &err);
    for (int i = 0; i < rounds; i++) {
        int64_t start = now_ns();
        must(gr_exec_build(exec, &ctx, s, rollup, gr_tz_utc(), &ask, &built, &err), &err);
        rows = built.rows;
        double took = (double)(now_ns() - start) / 1e6;
        if (took < ours) ours = took;
        /* The same statement, the same connection settings, into the same store. */
        gr_str make =
                   gr_arena_printf(arena, "CREATE TABLE granary_store.main.bare_%d AS " GR_FMT, i, GR_ARG(load.text)),
               drop = gr_arena_printf(arena, "DROP TABLE granary_store.main.bare_%d", i);
        const gr_sql made = gr_sql_given(gr_exec_places(exec), GR_STR("default"), make),
                     dropped = gr_sql_given(gr_exec_places(exec), GR_STR("default"), drop);
        start = now_ns();
        must(gr_exec_update(exec, &ctx, &made, &err), &err);
        took = (double)(now_ns() - start) / 1e6;
        if (took < bare) bare = took;
        must(gr_exec_update(exec, &ctx, &dropped, &err), &err);
    }
    printf("{\"rows\": %lld, \"build_ms\": %.1f, \"bare_ctas_ms\": %.1f, \"ratio\": %.3f}\n", (long long)rows, ours,
           bare, ours / bare);
    gr_exec_snapshot_unref(s);
    gr_exec_close(exec);
    if (system(gr_arena_printf(arena, "rm -rf %s/bench-state", argv[1]).p)) fprintf(stderr, "bench-state stays\n");
    gr_model_unref(model);
    gr_arena_free(arena);
    return 0;
}
