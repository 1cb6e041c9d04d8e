/* Running the product: everything below the use cases, so that a query is planned, its rollups are built and both SQL
 * texts are executed exactly as a server would, without its threads. */
#include "differential/bench.h"

#include "differential/elsewhere.h"
#include "differential/random.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_ROWS = 100000, MOST_ROUNDS = 64 };

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at) {
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static void remove_dir(gr_str dir) {
    if (dir.n) nftw(dir.p, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Memory for files where there is one: every publish of the product waits for the disk. */
static gr_status make_dir(gr_arena *arena, gr_str *ret, gr_error *err) {
    const char *given = getenv("TMPDIR");
    const char *roots[] = {"/dev/shm", given ? given : "/tmp", "/tmp"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        gr_str pattern = gr_arena_printf(arena, "%s/granary-differential-XXXXXX", roots[i]);
        char *path = gr_arena_alloc(arena, pattern.n + 1);
        memcpy(path, pattern.p, pattern.n);
        if (!mkdtemp(path)) continue;
        *ret = (gr_str){path, pattern.n};
        return GR_OK;
    }
    return gr_error_set(err, GR_ERR_STORE_IO, "no temporary folder can be made");
}

static gr_status update(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, gr_error *err) {
    return sql.n ? conn->driver->update(conn, ctx, sql, NULL, 0, NULL, NULL, NULL, err) : GR_OK;
}

/* The tables are written as the store of an engine of their own, whose file is the product's source afterwards. */
static gr_status write_source(gr_str file, const diff_world *worlds, size_t n, gr_arena *arena, gr_error *err) {
    gr_config config = {.engine_threads = 1, .engine_memory_mb = 512};
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_engine *engine;
    gr_engine_conn *conn = NULL;
    GR_TRY(gr_engine_duckdb_driver.open(&(gr_engine_options){&config, file}, &engine, err));
    gr_status status = engine->driver->connect(engine, GR_STR(""), &conn, err);
    if (!status) status = update(conn, &ctx, GR_STR("BEGIN"), err);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < worlds[i].n_cubes; c++) {
            if (!status) status = update(conn, &ctx, diff_table_create_sql(worlds[i].cubes[c].table, arena), err);
            if (!status) status = update(conn, &ctx, diff_table_insert_sql(worlds[i].cubes[c].table, arena), err);
        }
    if (!status) status = update(conn, &ctx, GR_STR("COMMIT"), err);
    if (conn) engine->driver->disconnect(conn);
    engine->driver->close(engine);
    return status;
}

static gr_status write_config(gr_str file, gr_str sources, int n_threads, const char *build, gr_error *err) {
    FILE *f = fopen(file.p, "w");
    if (!f) return gr_error_set(err, GR_ERR_STORE_IO, "%s cannot be written", file.p);
    if (!sources.n) sources = GR_STR("data_sources:\n  default: {type: duckdb, path: source.duckdb}\n");
    fprintf(f,
            GR_FMT "model: model\nbuild:\n  max_time_zones: 100\n%s"
                   "engine:\n  threads: %d\n  memory_mb: 512\n  connections: 2\n",
            GR_ARG(sources), build, n_threads);
    return fclose(f) ? gr_error_set(err, GR_ERR_STORE_IO, "%s cannot be written", file.p) : GR_OK;
}

gr_status diff_bench_open(const diff_world *worlds, size_t n, int n_threads, diff_bench *ret, gr_error *err) {
    return diff_bench_open_with(worlds, n, n_threads, "", ret, err);
}

gr_status diff_bench_reopen(diff_bench *b, gr_error *err) {
    gr_exec_close(b->exec);
    b->exec = NULL;
    return gr_exec_open(b->config, &b->exec, err);
}

gr_status diff_bench_open_with(const diff_world *worlds, size_t n, int n_threads, const char *build, diff_bench *ret,
                               gr_error *err) {
    diff_bench b = {.arena = gr_arena_new()};
    gr_arena *scratch = gr_arena_new();
    char *no_environment[] = {NULL};
    gr_status status = make_dir(b.arena, &b.dir, err);
    gr_str file = gr_arena_printf(b.arena, GR_FMT "/granary.yml", GR_ARG(b.dir));
    gr_str source = gr_arena_printf(b.arena, GR_FMT "/source.duckdb", GR_ARG(b.dir)), sources;
    if (!status) status = write_source(source, worlds, n, scratch, err);
    if (!status) status = diff_elsewhere_copy(source, worlds, n, scratch, &sources, err);
    if (!status) status = write_config(file, sources, n_threads, build, err);
    if (!status) status = gr_config_load(file, NULL, 0, no_environment, b.arena, &b.config, err);
    if (!status) status = gr_exec_open(b.config, &b.exec, err);
    gr_arena_free(scratch);
    if (status)
        diff_bench_close(&b);
    else
        *ret = b;
    return status;
}

void diff_bench_close(diff_bench *b) {
    gr_exec_close(b->exec);
    remove_dir(b->dir);
    gr_arena_free(b->arena);
    *b = (diff_bench){0};
}

void diff_bench_set_now(int64_t now_us) {
    char now[32];
    snprintf(now, sizeof now, "%lld", (long long)now_us);
    setenv("GRANARY_NOW", now, 1);
}

gr_status diff_bench_load(diff_bench *b, gr_str yaml, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, scratch);
    gr_model_file file = {GR_STR("model.yml"), yaml};
    gr_model *model = NULL;
    gr_status status = gr_model_load_files(&file, 1, &diags, &model, err);
    if (!status) status = gr_exec_set_model(b->exec, model, &diags, err);
    if (status && diags.list.n && err) {
        gr_diag first = diags.list.v[0];
        for (size_t i = 0; i < diags.list.n && first.is_warning; i++) first = diags.list.v[i];
        if (!first.is_warning)
            snprintf(err->message, sizeof err->message, "%u:%u " GR_FMT, first.loc.line, first.loc.col,
                     GR_ARG(first.message));
    }
    gr_model_unref(model);
    gr_arena_free(scratch);
    return status;
}

gr_status diff_bench_use(diff_bench *b, const diff_world *world, gr_error *err) {
    diff_bench_set_now(world->now_us);
    gr_arena *scratch = gr_arena_new();
    gr_str yaml = diff_world_yaml(world, scratch);
    gr_status status = diff_bench_load(b, yaml, err);
    if (!status) status = diff_bench_clear(b, err);
    if (!status) status = diff_bench_define(b, gr_str_hash(yaml), err);
    gr_arena_free(scratch);
    return status;
}

static gr_query_options options_at(int64_t now_us) {
    return (gr_query_options){.default_limit = 10000,
                              .max_limit = 50000,
                              .max_members = 500,
                              .max_filter_depth = 32,
                              .max_filter_values = 10000,
                              .default_tz = gr_tz_utc(),
                              .now_us = now_us};
}

gr_status diff_bench_parse(diff_bench *b, json_t *query, int64_t now_us, gr_arena *arena, gr_query **ret,
                           gr_error *err) {
    const gr_snapshot *snapshot = gr_exec_snapshot_ref(b->exec);
    gr_query_options options = options_at(now_us);
    gr_status status = gr_query_parse(snapshot->model, query, &options, arena, ret, err);
    gr_exec_snapshot_unref(snapshot); /* the model stays in service */
    return status;
}

static gr_status execute(diff_bench *b, const gr_ctx *ctx, const gr_plan *plan, diff_run *run) {
    gr_sql sql;
    gr_stream *stream;
    run->total = -1;
    GR_TRY(gr_sql_query(plan, gr_exec_places(b->exec), ctx->arena, &sql, &run->err));
    run->sql = sql.text;
    GR_TRY(gr_exec_query(b->exec, ctx, &sql, &stream, &run->err));
    gr_status status = gr_table_read(stream, MOST_ROWS, ctx->arena, &run->table, &run->err);
    stream->close(stream);
    if (status || !plan->query->want_total) return status;
    GR_TRY(gr_sql_total(plan, gr_exec_places(b->exec), ctx->arena, &sql, &run->err));
    GR_TRY(gr_exec_query(b->exec, ctx, &sql, &stream, &run->err));
    gr_table *total;
    status = gr_table_read(stream, MOST_ROWS, ctx->arena, &total, &run->err);
    stream->close(stream);
    if (!status && total->n_rows == 1 && !gr_str_to_i64(total->cells[0].text, &run->total)) run->total = -2;
    return status;
}

static void copy_refusals(const gr_plan *plan, gr_arena *arena, diff_run *run) {
    run->refusals = GR_NEW_N(arena, gr_refusal, plan->n_refusals + 1);
    run->n_refusals = plan->n_refusals;
    for (size_t i = 0; i < plan->n_refusals; i++) run->refusals[i] = plan->refusals[i];
}

static bool has_unmergeable(const gr_plan *plan) {
    for (size_t i = 0; i < plan->query->n_measures; i++) {
        const gr_components *c = gr_plan_index_components(plan->snapshot->index, plan->query->measures[i].member);
        for (size_t k = 0; k < c->n; k++)
            if (!gr_component_is_mergeable(c->v[k].agg)) return true;
    }
    return false;
}

/* Two readings for the same component: of different times. */
static bool gives_same(const gr_piece *a, const gr_piece *b) {
    if (a->kind != GR_PIECE_SCAN || b->kind != GR_PIECE_SCAN || !a->components.n || !b->components.n) return false;
    return gr_str_eq(a->components.v[0].key, b->components.v[0].key);
}

static void note_uses(const gr_plan *plan, gr_arena *arena, diff_run *run) {
    for (size_t i = 0; i < plan->n_uses; i++) {
        gr_str id = plan->uses[i].rollup->preagg->id;
        run->is_lambda |= plan->uses[i].lambda != NULL;
        run->served_by = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(run->served_by), i ? ", " : "", GR_ARG(id));
    }
    if (plan->n_uses && plan->reads_source)
        run->served_by = gr_arena_printf(arena, GR_FMT " and the source", GR_ARG(run->served_by));
    for (size_t i = 0; i < plan->n_pieces; i++)
        for (size_t k = 0; k < i && plan->n_uses; k++) run->is_tiled |= gives_same(&plan->pieces[i], &plan->pieces[k]);
    run->is_live = run->is_lambda && plan->reads_source;
    run->has_unmergeable = plan->rollup && has_unmergeable(plan);
}

/* In slices as small as can be, so that there are many tables; those are put together like a server does. */
static gr_status build(diff_bench *b, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_plan *plan,
                       gr_error *err) {
    gr_build_result built;
    gr_build_ask ask = {.run = plan->to_build_run, .slice_us = 1};
    const gr_build_ask compaction = {.run = gr_run_all, .is_compaction = true};
    const gr_rollup *r = plan->to_build;
    const gr_tz *zone = gr_rollup_zone(r, plan->to_build_zone);
    const diff_watch *w = &b->watch;
    if (w->before_build) w->before_build(w->arg, ctx, r, plan->to_build_zone, &ask);
    gr_status status = gr_exec_build(b->exec, ctx, snapshot, r, plan->to_build_zone, &ask, &built, err);
    if (w->after_build) w->after_build(w->arg);
    GR_TRY(status);
    const gr_snapshot *newest = gr_exec_snapshot_ref(b->exec);
    if (gr_exec_wants_compaction(newest, r, zone))
        status = gr_exec_build(b->exec, ctx, newest, r, zone, &compaction, &built, err);
    if (!status && gr_exec_wants_compaction(newest, r, zone) && !built.build_number)
        status = gr_error_set(err, GR_ERR_INTERNAL, "the tables were not put together");
    gr_exec_snapshot_unref(newest);
    if (w->after_build) w->after_build(w->arg);
    return status;
}

/* One round: plan, then build what is wanted first (*ret_again) or execute. */
static gr_status round_of(diff_bench *b, const gr_snapshot *snapshot, json_t *query, const gr_ctx *ctx,
                          gr_plan_options how, diff_run *run, bool *ret_again) {
    gr_query_options options = options_at(ctx->now_us);
    gr_query *parsed;
    gr_plan *plan;
    *ret_again = false;
    GR_TRY(gr_query_parse(snapshot->model, query, &options, ctx->arena, &parsed, &run->err));
    GR_TRY(gr_exec_plan(b->exec, ctx, snapshot, parsed, how, &plan, &run->err));
    if (plan->to_build) {
        *ret_again = true;
        run->n_builds++;
        return build(b, ctx, snapshot, plan, &run->err);
    }
    if (b->watch.on_plan) b->watch.on_plan(b->watch.arg, plan);
    copy_refusals(plan, ctx->arena, run);
    note_uses(plan, ctx->arena, run);
    return execute(b, ctx, plan, run);
}

static void leave_out_some(const gr_snapshot *snapshot, uint64_t seed, gr_arena *arena, gr_plan_options *how) {
    diff_random r = diff_random_of(seed, 0, 0);
    const gr_model *model = snapshot->model;
    const gr_rollup **out = GR_NEW_N(arena, const gr_rollup *, model->n_preaggs + 1);
    for (size_t i = 0; i < model->n_preaggs; i++)
        if (diff_chance(&r, 50)) out[how->n_excluded++] = gr_plan_index_rollup(snapshot->index, model->preaggs[i]);
    how->excluded = out;
}

void diff_bench_run(diff_bench *b, json_t *query, int64_t now_us, diff_path path, uint64_t seed, gr_arena *arena,
                    diff_run *ret) {
    gr_ctx ctx = {.arena = arena, .now_us = now_us};
    int64_t start = gr_clock_mono_us();
    *ret = (diff_run){0};
    bool is_again = true;
    for (int round = 0; round < MOST_ROUNDS && is_again && !ret->status; round++) {
        gr_plan_options how = {.without_rollups = path == DIFF_WITHOUT_ROLLUPS, .now_us = now_us};
        const gr_snapshot *snapshot = gr_exec_snapshot_ref(b->exec);
        if (path == DIFF_WITH_SOME) leave_out_some(snapshot, seed, arena, &how);
        ret->status = round_of(b, snapshot, query, &ctx, how, ret, &is_again);
        gr_exec_snapshot_unref(snapshot);
    }
    if (is_again && !ret->status) ret->status = gr_error_set(&ret->err, GR_ERR_INTERNAL, "planning did not settle");
    ret->took_us = gr_clock_mono_us() - start;
}
