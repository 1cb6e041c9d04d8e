/* A thousand versions of a partitioned rollup are published while readers take snapshots, over the fake engine, so that
 * ThreadSanitizer sees it all. Each reader sees one version in all partitions of a snapshot, never an older one than
 * before, and no table of it goes while it is held; in the end the tables of all versions but the last have gone. */
#include "base/clock.h"
#include "base/mem.h"
#include "engine/fake.h"
#include "exec/exec.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { VERSIONS = 1000, READERS = 4, PARTITIONS = 6, TABLES = 2 };
#define DAY_US 86400000000LL
#define FIRST_US (19723 * DAY_US) /* 2024-01-01 */

static const char model_text[] = "cubes:\n"
                                 "- name: sales\n  sql_table: sales\n"
                                 "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
                                 "  - {name: at, sql: at, type: time}\n"
                                 "  measures:\n  - {name: count, type: count}\n"
                                 "  pre_aggregations:\n"
                                 "  - {name: parted, measures: [count], time_dimension: at, granularity: day,\n"
                                 "     partition_granularity: day}\n";

/* ---- an engine that keeps book of its drops ------------------------------------------------------------------------
 */

static gr_engine_driver driver; /* the fake one, with `update` and what leads to it in our place */
static gr_engine *engine;
static atomic_int dropped[VERSIONS + 2];

/* "…"."v12_1": 12. -1: no table of ours. */
static int version_of(gr_str text) {
    size_t at = gr_str_find_str(text, GR_STR("\"v"));
    return at == SIZE_MAX ? -1 : atoi(text.p + at + 2);
}

static gr_status note_update(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params, size_t n,
                             void (*on_progress)(void *, double), void *arg, int64_t *ret_rows, gr_error *err) {
    (void)conn, (void)ctx, (void)params, (void)n, (void)on_progress, (void)arg, (void)err;
    int version = gr_str_starts(sql, GR_STR("DROP TABLE")) ? version_of(sql) : -1;
    if (version >= 0) atomic_fetch_add(&dropped[version], 1);
    if (ret_rows) *ret_rows = 0;
    return GR_OK;
}

static gr_status open_noting(const gr_engine_options *options, gr_engine **ret, gr_error *err) {
    GR_TRY(gr_engine_fake_driver.open(options, ret, err));
    (*ret)->driver = &driver;
    engine = *ret;
    return GR_OK;
}

static gr_status connect_noting(gr_engine *own, gr_str source, gr_engine_conn **ret, gr_error *err) {
    GR_TRY(gr_engine_fake_driver.connect(own, source, ret, err));
    (*ret)->driver = &driver;
    return GR_OK;
}

/* ---- publishing ----------------------------------------------------------------------------------------------------
 */

typedef struct world {
    char folder[64];
    gr_arena *arena;
    gr_config *config;
    gr_model *model;
    gr_exec *exec;
    int64_t live[PARTITIONS];
    atomic_bool is_over;
} world;

static const gr_rollup_state *state_of(const gr_snapshot *s, const gr_rollup **ret) {
    *ret = gr_plan_index_rollup(s->index, s->model->preaggs[0]);
    return gr_snapshot_state(s, s->model->preaggs[0], gr_tz_utc());
}

static void must(gr_status status, const gr_error *err) {
    if (status) fail_msg("%s", err->message);
}

/* As a build does it: claimed, named, made, published in one transaction, swapped in; each version has new tables. */
static void publish(world *w, int version) {
    gr_arena *arena = gr_arena_new();
    gr_error err = {0};
    gr_partition_row rows[PARTITIONS];
    int64_t added[PARTITIONS];
    gr_build_claim claim;
    gr_actor actor = {.now_us = gr_clock_now_us()};
    const gr_snapshot *s = gr_exec_snapshot_ref(w->exec);
    const gr_rollup *r;
    state_of(s, &r);
    must(gr_exec_claim(w->exec, s, r, gr_tz_utc(), actor, &claim, &err), &err);
    gr_exec_snapshot_unref(s);
    for (int i = 0; i < PARTITIONS; i++)
        rows[i] = (gr_partition_row){
            .from_us = FIRST_US + i * DAY_US,
            .to_us = FIRST_US + (i + 1) * DAY_US,
            .table_name = gr_arena_printf(arena, "\"granary_store\".\"main\".\"v%d_%d\"", version, i % TABLES),
            .table_parts = PARTITIONS / TABLES,
            .structure_hash = gr_str_from(claim.structure_hash),
            .rows = version};
    must(gr_catalog_partitions_begin(gr_exec_catalog(w->exec), claim.build_id, rows, PARTITIONS, added, &err), &err);
    for (int i = 0; i < PARTITIONS; i++) {
        rows[i].id = added[i];
        rows[i].checksum = GR_STR("0");
        rows[i].built_us = actor.now_us;
    }
    must(gr_catalog_partitions_made(gr_exec_catalog(w->exec), claim.build_id, rows, PARTITIONS, &err), &err);
    gr_build_made made = {.rows = version,
                          .coverage = gr_arena_printf(arena,
                                                      "{\"build range\":[null,null],\"wanted\":[%lld,%lld],"
                                                      "\"without time\":0}",
                                                      (long long)FIRST_US, (long long)(FIRST_US + PARTITIONS * DAY_US)),
                          .added = added,
                          .n_added = PARTITIONS,
                          .ended = w->live,
                          .n_ended = version > 1 ? PARTITIONS : 0};
    gr_doomed_table *old;
    size_t n_old = 0;
    must(gr_catalog_build_publish(gr_exec_catalog(w->exec), claim.build_id, &made, actor, arena, &old, &n_old, &err),
         &err);
    assert_int_equal(n_old, version > 1 ? TABLES : 0);
    must(gr_exec_drop_tables(w->exec, old, n_old, &err), &err);
    memcpy(w->live, added, sizeof added);
    gr_arena_free(arena);
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

typedef struct reader {
    world *w;
    pthread_t thread;
    unsigned seed;
    size_t n_looks, n_versions;
    char wrong[256]; /* the first thing that was */
} reader;

static void note_wrong(reader *r, bool is, const char *what, int version, int other) {
    if (is && !*r->wrong) snprintf(r->wrong, sizeof r->wrong, "%s: %d, %d", what, version, other);
}

/* Returns the version, or -1. */
static int look(reader *r, int last) {
    const gr_snapshot *s = gr_exec_snapshot_ref(r->w->exec);
    const gr_rollup *rollup;
    const gr_rollup_state *state = state_of(s, &rollup);
    int version = state && state->n_tables ? version_of(state->tables[0].text) : -1;
    note_wrong(r, !state || !state->is_built || version < last, "the version before, and now", last, version);
    for (size_t i = 0; version >= 0 && i < state->n_partitions; i++) {
        const gr_partition *p = &state->partitions[i];
        note_wrong(r, version_of(state->tables[p->table].text) != version || p->rows != version,
                   "one partition of another version", version, (int)p->rows);
    }
    if (version >= 0) {
        note_wrong(r, state->n_partitions != PARTITIONS || state->n_missing, "partitions are missing", version,
                   (int)state->n_partitions);
        note_wrong(r, state->build_number != version || state->rows != (int64_t)version * PARTITIONS, "another build",
                   version, (int)state->build_number);
        gr_str rest = state->table;
        for (size_t at; (at = gr_str_find_str(rest, GR_STR("\"v"))) != SIZE_MAX;) {
            rest = gr_str_sub(rest, at + 2, rest.n - at - 2);
            note_wrong(r, atoi(rest.p) != version, "the SQL reads another version", version, atoi(rest.p));
        }
    }
    if (rand_r(&r->seed) % 4 == 0) nanosleep(&(struct timespec){.tv_nsec = rand_r(&r->seed) % 2000000}, NULL);
    note_wrong(r, version >= 0 && atomic_load(&dropped[version]), "a table went while it was held", version, 0);
    gr_exec_snapshot_unref(s);
    return version;
}

static void *read_on(void *arg) {
    reader *r = arg;
    int last = 1;
    while (!atomic_load(&r->w->is_over)) {
        int version = look(r, last);
        if (version > last) r->n_versions++;
        if (version > last) last = version;
        r->n_looks++;
    }
    return NULL;
}

/* ---- */

static void open_world(world *w) {
    gr_error err = {0};
    gr_diags diags;
    static const gr_column_schema columns[] = {{.name = GR_STR_INIT("id"), .type = GR_TYPE_INT64},
                                               {.name = GR_STR_INIT("at"), .type = GR_TYPE_TIMESTAMP}};
    static const gr_column_schema names[] = {{.name = GR_STR_INIT("table_name"), .type = GR_TYPE_UTF8}};
    static const gr_fake_answer script[] = {{.sql_has = "duckdb_tables", .schema = names, .n_columns = 1},
                                            {.schema = columns, .n_columns = 2}};
    snprintf(w->folder, sizeof w->folder, "/tmp/granary-swaps-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->arena = gr_arena_new();
    gr_str file = gr_arena_printf(w->arena, "%s/granary.yml", w->folder);
    assert_int_equal(mkdir(gr_arena_printf(w->arena, "%s/data", w->folder).p, 0700), 0);
    FILE *out = fopen(file.p, "w");
    assert_non_null(out);
    fputs("data_sources:\n  default: {type: duckdb, path: data}\n", out);
    fclose(out);
    static char *const environment[] = {NULL};
    must(gr_config_load(file, NULL, 0, environment, w->arena, &w->config, &err), &err);
    driver = gr_engine_fake_driver;
    driver.open = open_noting;
    driver.connect = connect_noting;
    driver.update = note_update;
    must(gr_exec_open_on(w->config, &driver, &w->exec, &err), &err);
    gr_engine_fake_script(engine, script, 2);
    gr_diags_init(&diags, w->arena);
    gr_model_file model = {GR_STR("m.yml"), gr_str_from(model_text)};
    must(gr_model_load_files(&model, 1, &diags, &w->model, &err), &err);
    must(gr_exec_set_model(w->exec, w->model, &diags, &err), &err);
}

static void close_world(world *w) {
    gr_exec_close(w->exec);
    gr_model_unref(w->model);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    assert_int_equal(system(command), 0);
    gr_arena_free(w->arena);
}

static void readers_see_one_version(void **unused) {
    (void)unused;
    world w = {0};
    reader readers[READERS] = {0};
    open_world(&w);
    publish(&w, 1);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){.w = &w, .seed = 7 + (unsigned)i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (int version = 2; version <= VERSIONS; version++) publish(&w, version);
    atomic_store(&w.is_over, true);
    for (int i = 0; i < READERS; i++) pthread_join(readers[i].thread, NULL);
    for (int i = 0; i < READERS; i++) {
        if (*readers[i].wrong) fail_msg("reader %d: %s", i, readers[i].wrong);
        assert_true(readers[i].n_looks >= readers[i].n_versions);
        assert_true(readers[i].n_versions > VERSIONS / 20); /* it has not slept through them */
    }
    for (int version = 1; version < VERSIONS; version++) assert_int_equal(atomic_load(&dropped[version]), TABLES);
    assert_int_equal(atomic_load(&dropped[VERSIONS]), 0);
    gr_doomed_table *doomed;
    size_t n_doomed = 0;
    gr_error err = {0};
    must(gr_catalog_doomed(gr_exec_catalog(w.exec), w.arena, &doomed, &n_doomed, &err), &err);
    assert_int_equal(n_doomed, 0);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_see_one_version)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
