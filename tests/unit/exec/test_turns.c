/* A build that finds its entity being built by another process waits for it. What the other did may have been something
 * else (tables put together, other partitions, a build that began before this one was ordered): who forces a build, or
 * builds partitions, then takes a turn of its own; a whole rollup that the other has built is not built twice. */
#include "base/clock.h"
#include "engine/engine.h"
#include "exec/exec.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char model_text[] = "cubes:\n"
                                 "- name: sales\n  sql_table: sales\n"
                                 "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
                                 "  - {name: at, sql: at, type: time}\n"
                                 "  measures:\n  - {name: count, type: count}\n  - {name: last, type: max, sql: id}\n"
                                 "  pre_aggregations:\n"
                                 "  - {name: parted, measures: [count], time_dimension: at, granularity: day,\n"
                                 "     partition_granularity: day}\n"
                                 "  - {name: whole, measures: [last], time_dimension: at, granularity: day}\n";

typedef struct world {
    char folder[64];
    gr_arena *arena;
    gr_config *config;
    gr_model *model;
    gr_exec *exec;
    gr_catalog *other; /* of another process, as it were */
} world;

static void must(gr_status status, const gr_error *err) {
    if (status) fail_msg("%s", err->message);
}

static void write_file(const world *w, const char *name, const char *text) {
    FILE *out = fopen(gr_arena_printf(w->arena, "%s/%s", w->folder, name).p, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void open_world(world *w) {
    static char *const environment[] = {NULL};
    gr_error err = {0};
    gr_diags diags;
    *w = (world){.arena = gr_arena_new()};
    snprintf(w->folder, sizeof w->folder, "/tmp/granary-turns-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    assert_int_equal(mkdir(gr_arena_printf(w->arena, "%s/data", w->folder).p, 0700), 0);
    write_file(w, "granary.yml", "data_sources:\n  default: {type: duckdb, path: data}\n");
    write_file(w, "data/sales.csv", "id,at\n1,2024-01-01 10:00:00\n2,2024-01-02 10:00:00\n3,2024-01-03 10:00:00\n");
    gr_str file = gr_arena_printf(w->arena, "%s/granary.yml", w->folder);
    must(gr_config_load(file, NULL, 0, environment, w->arena, &w->config, &err), &err);
    must(gr_exec_open(w->config, &w->exec, &err), &err);
    gr_diags_init(&diags, w->arena);
    gr_model_file model = {GR_STR("m.yml"), gr_str_from(model_text)};
    must(gr_model_load_files(&model, 1, &diags, &w->model, &err), &err);
    must(gr_exec_set_model(w->exec, w->model, &diags, &err), &err);
    gr_catalog_options options = {.file = gr_arena_printf(w->arena, "%s/.granary/catalog.sqlite", w->folder),
                                  .server = GR_STR("other:1"),
                                  .store = GR_STR("elsewhere"),
                                  .is_store_shared = true};
    must(gr_catalog_open(&options, &w->other, &err), &err);
}

static void close_world(world *w) {
    gr_catalog_close(w->other);
    gr_exec_close(w->exec);
    gr_model_unref(w->model);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    assert_int_equal(system(command), 0);
    gr_arena_free(w->arena);
}

static gr_build_result build(world *w, size_t preagg, bool is_forced) {
    gr_error err = {0};
    gr_build_result result = {0};
    const gr_snapshot *s = gr_exec_snapshot_ref(w->exec);
    gr_ctx ctx = {.arena = w->arena, .now_us = gr_clock_now_us()};
    const gr_build_ask ask = {.run = gr_run_all, .is_forced = is_forced};
    must(gr_exec_build(w->exec, &ctx, s, gr_plan_index_rollup(s->index, w->model->preaggs[preagg]), gr_tz_utc(), &ask,
                       &result, &err),
         &err);
    gr_exec_snapshot_unref(s);
    return result;
}

typedef struct holder {
    world *w;
    int64_t build_id;
} holder;

/* It finds nothing to do, after a while. */
static void *let_go(void *arg) {
    holder *h = arg;
    usleep(150000);
    if (gr_catalog_build_cancel(h->w->other, h->build_id, (gr_actor){.now_us = gr_clock_now_us()}, NULL)) abort();
    return NULL;
}

static gr_build_result build_beside_another(world *w, size_t preagg, bool is_forced) {
    gr_error err = {0};
    gr_preagg_row *rows;
    size_t n;
    int64_t number;
    pthread_t thread;
    const gr_preagg_filter all = {0};
    must(gr_catalog_find(w->other, &all, w->arena, &rows, &n, NULL, &err), &err);
    size_t at = 0;
    gr_str id = w->model->preaggs[preagg]->id;
    while (at < n && !(rows[at].decl.n_declared_by && gr_str_eq(rows[at].decl.declared_by[0], id))) at++;
    assert_true(at < n);
    const gr_build_plan plan = {rows[at].serving.base_hash, rows[at].serving.structure_hash, NULL, 0};
    holder h = {.w = w};
    must(gr_catalog_build_begin(w->other, rows[at].id, &plan, (gr_actor){.now_us = gr_clock_now_us()}, &h.build_id,
                                &number, &err),
         &err);
    int64_t start = gr_clock_mono_us();
    assert_int_equal(pthread_create(&thread, NULL, let_go, &h), 0);
    gr_build_result result = build(w, preagg, is_forced);
    pthread_join(thread, NULL);
    assert_true(gr_clock_mono_us() - start > 100000); /* it has waited */
    return result;
}

static void turns_are_taken(void **state) {
    (void)state;
    world w;
    open_world(&w);
    assert_int_equal(build(&w, 0, false).n_built, 3);
    assert_true(build(&w, 1, false).build_number > 0);

    assert_int_equal(build_beside_another(&w, 0, true).n_built, 3);  /* forced: all of them anew */
    assert_int_equal(build_beside_another(&w, 0, false).n_built, 0); /* nothing was due */
    assert_true(build_beside_another(&w, 1, true).build_number > 0);
    assert_int_equal(build_beside_another(&w, 1, false).build_number, 0); /* it is there: not once more */
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns_are_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
