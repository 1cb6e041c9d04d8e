/* One build: declare, record, fill a new table, measure it, publish.
 *
 *   declare -> build_begin (materializing) -> build_table (its name, before it exists) -> CREATE TABLE AS
 *      |                                                                                     |
 *      '------------------------------- build_failed <-------- any error -------------------+
 *                                                                                            v
 *   new snapshot <- build_done (one transaction: this build serves, older ones are dropped) <- stat
 *
 * Killed anywhere, the catalog still names the old build, and the next start sweeps the table away. */
#include "exec/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_DELAY_US = 5 * 1000000, MOST_DELAY_US = 600 * 1000000 };

static void remember_failure(gr_exec *exec, gr_str key, const gr_error *err) {
    pthread_mutex_lock(&exec->mutex);
    gr_exec_failure *f = exec->failures;
    while (f && !gr_str_eq_z(key, f->key)) f = f->next;
    if (!f) {
        f = gr_mem_calloc(1, sizeof *f);
        snprintf(f->key, sizeof f->key, GR_FMT, GR_ARG(key));
        f->next = exec->failures;
        exec->failures = f;
    }
    f->delay_us = f->delay_us ? f->delay_us * 2 : FIRST_DELAY_US;
    if (f->delay_us > MOST_DELAY_US) f->delay_us = MOST_DELAY_US;
    f->retry_at_us = gr_clock_now_us() + f->delay_us;
    snprintf(f->message, sizeof f->message, "%s", err->message);
    pthread_mutex_unlock(&exec->mutex);
}

static void forget_failure(gr_exec *exec, gr_str key) {
    pthread_mutex_lock(&exec->mutex);
    for (gr_exec_failure **at = &exec->failures; *at;) {
        gr_exec_failure *f = *at;
        if (gr_str_eq_z(key, f->key)) {
            *at = f->next;
            free(f);
        } else {
            at = &f->next;
        }
    }
    pthread_mutex_unlock(&exec->mutex);
}

typedef struct job {
    gr_exec *exec;
    const gr_ctx *ctx;
    const gr_rollup *rollup;
    gr_exec_identity identity;
    int64_t build_id, number;
    gr_store_table table;
    gr_store_stat stat;
    const gr_snapshot *snapshot;
    const gr_tz *zone;
    gr_sql_load_options options;
    gr_range range;  /* of the build range, in whole buckets */
    bool is_foreign; /* a table of that name was there before: not ours to drop */
} job;

/* A bound is an instant; a naive one may be meant as the wall clock: the wider reading is taken. */
static int64_t first_bucket(const gr_rollup *r, const gr_tz *tz, int64_t us, int64_t anchor) {
    int64_t local = gr_tz_to_local(tz, us);
    return gr_granularity_floor(r->ranged->granularity, anchor, local < us ? local : us);
}

static int64_t after_last_bucket(const gr_rollup *r, const gr_tz *tz, int64_t us, int64_t anchor) {
    int64_t local = gr_tz_to_local(tz, us);
    int64_t last = gr_granularity_floor(r->ranged->granularity, anchor, local > us ? local : us);
    return gr_granularity_next(r->ranged->granularity, anchor, last);
}

/* Ask the source for the build range, and load whole buckets that hold it: what is stored of a bucket is all of it
 * (decisions 2). */
static gr_status limit(job *j, gr_engine_conn *conn, gr_error *err) {
    const gr_rollup *r = j->rollup;
    if (!r->ranged) return GR_OK;
    gr_str sql = gr_sql_build_range(r, j->exec->dialect, j->ctx->arena);
    gr_stream *stream;
    const gr_batch *batch;
    GR_TRY(conn->driver->query(conn, j->ctx, sql, NULL, 0, false, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    const gr_tz *tz = r->ranged->is_instant ? gr_tz_utc() : j->zone;
    int64_t from = INT64_MIN, to = INT64_MAX,
            anchor = gr_granularity_anchor(r->ranged->granularity, tz, j->ctx->now_us);
    if (!status && batch && batch->n_rows) {
        if (!gr_column_is_null(&batch->columns[0], 0))
            from = first_bucket(r, tz, ((const int64_t *)batch->columns[0].data)[0], anchor);
        if (!gr_column_is_null(&batch->columns[1], 0))
            to = after_last_bucket(r, tz, ((const int64_t *)batch->columns[1].data)[0], anchor);
    }
    stream->close(stream);
    GR_TRY(status);
    j->range = gr_range_of_local(from, to, tz);
    j->options.range = &j->range;
    return gr_sql_load(j->snapshot, r, j->zone, j->options, j->exec->dialect, j->ctx->arena, &j->identity.load, err);
}

static gr_status fill(job *j, gr_engine_conn *conn, void (*on_progress)(void *, double), void *arg, gr_error *err) {
    GR_TRY(gr_catalog_build_table(j->exec->catalog, j->build_id, j->table.text, err));
    gr_status status =
        gr_store_build_in_place(conn, j->ctx, j->rollup, &j->table, &j->identity.load, on_progress, arg, err);
    j->is_foreign = status && err && strstr(err->message, "already exists");
    if (status) return status;
    return gr_store_stat_table(conn, j->ctx, j->rollup, j->table.text, j->exec->dialect, &j->stat, err);
}

/* The table must not outlive its record as failed; when even the drop fails, the sweep at the next start takes it. */
static void give_up(job *j, gr_engine_conn *conn, const gr_error *err) {
    gr_error ignored;
    gr_ctx ctx = {.arena = j->ctx->arena, .now_us = j->ctx->now_us}; /* without the cancelled job's deadline */
    gr_build_row build = {.id = j->build_id, .table_name = j->table.text};
    gr_catalog *catalog = j->exec->catalog;
    if (gr_catalog_build_failed(catalog, j->build_id, gr_str_from(err->message), gr_clock_now_us(), &ignored)) return;
    if (j->is_foreign && gr_catalog_build_table(catalog, j->build_id, GR_STR(""), &ignored)) return;
    if (conn && !j->is_foreign) gr_exec_forget_table(j->exec, conn, &ctx, &build);
}

static gr_status run(job *j, void (*on_progress)(void *, double), void *arg, gr_error *err) {
    gr_engine_conn *conn = NULL;
    gr_status status = gr_pool_take(j->exec->pool, j->ctx, j->rollup->tree.nodes[0].cube->data_source, &conn, err);
    if (!status) status = limit(j, conn, err);
    if (!status) status = fill(j, conn, on_progress, arg, err);
    if (status) give_up(j, conn, err);
    if (conn) gr_pool_give(j->exec->pool, conn);
    return status;
}

/* Declare the entity and open a build. Entities of several zones share the cube's and the rollup's name; the structure
 * hash tells their tables apart. */
static gr_status start(job *j, const gr_rollup *rollup, const gr_tz *zone, gr_error *err) {
    gr_exec *exec = j->exec;
    gr_preagg_decl decl = gr_exec_declaration(rollup, zone, &j->identity, j->ctx->arena);
    gr_str structure = j->identity.structure_hash;
    gr_preagg_row row;
    GR_TRY(gr_catalog_declare(exec->catalog, &decl, gr_clock_now_us(), j->ctx->arena, &row, err));
    GR_TRY(gr_catalog_build_begin(exec->catalog, row.id, structure, gr_clock_now_us(), &j->build_id, &j->number, err));
    j->table = gr_store_table_name(exec->config, j->rollup, structure, j->number, exec->dialect, j->ctx->arena);
    return GR_OK;
}

/* What is read instead of the cubes' own SQL: their stored original_sql, built by now. */
static gr_status read_originals(job *j, const gr_snapshot *current, const gr_rollup **deps, size_t n_deps,
                                const gr_tz *zone, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    gr_original *originals = GR_NEW_N(arena, gr_original, n_deps + 1);
    size_t n = 0;
    for (size_t i = 0; i < n_deps; i++) {
        const gr_rollup_state *state = gr_snapshot_state(current, deps[i]->preagg, gr_rollup_zone(deps[i], zone));
        if (deps[i]->preagg->type != GR_PREAGG_ORIGINAL_SQL || !state || !state->is_built) continue;
        originals[n++] = (gr_original){deps[i]->preagg->cube, deps[i], state};
    }
    if (!n) return GR_OK;
    j->options = (gr_sql_load_options){.originals = originals, .n_originals = n};
    return gr_sql_load(current, j->rollup, zone, j->options, j->exec->dialect, arena, &j->identity.load, err);
}

static gr_status build_dependencies(gr_exec *exec, const gr_ctx *ctx, const gr_rollup **deps, size_t n_deps,
                                    const gr_tz *zone, gr_error *err) {
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < n_deps; i++) {
        const gr_snapshot *current = gr_exec_snapshot_ref(exec);
        const gr_tz *own = gr_rollup_zone(deps[i], zone);
        const gr_rollup_state *state = gr_snapshot_state(current, deps[i]->preagg, own);
        int64_t rows = 0;
        if (!state || !state->is_built)
            status = gr_exec_build(exec, ctx, current, deps[i], own, NULL, NULL, &rows, err);
        gr_exec_snapshot_unref(current);
    }
    return status;
}

static gr_status build_one(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *rollup,
                           const gr_tz *zone, void (*on_progress)(void *, double), void *arg, int64_t *ret_rows,
                           gr_error *err);

/* First what it reads. A rollup_join has no table of its own: it is built when its parts are. */
gr_status gr_exec_build(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *rollup,
                        const gr_tz *zone, void (*on_progress)(void *, double), void *arg, int64_t *ret_rows,
                        gr_error *err) {
    const gr_rollup *r = rollup->entity;
    if (!r->can_build)
        return gr_error_set(err, r->problem, "'" GR_FMT "' cannot be built: " GR_FMT, GR_ARG(r->preagg->id),
                            GR_ARG(r->problem_text));
    const gr_rollup **deps;
    size_t n = gr_rollup_dependencies(snapshot->index, r, ctx->arena, &deps);
    GR_TRY(build_dependencies(exec, ctx, deps, n, zone, err));
    *ret_rows = 0;
    if (r->preagg->type == GR_PREAGG_ROLLUP_JOIN) return GR_OK;
    return build_one(exec, ctx, snapshot, r, zone, on_progress, arg, ret_rows, err);
}

static gr_status build_one(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *rollup,
                           const gr_tz *zone, void (*on_progress)(void *, double), void *arg, int64_t *ret_rows,
                           gr_error *err) {
    const gr_rollup *r = rollup->entity;
    job j = {.exec = exec, .ctx = ctx, .rollup = r, .snapshot = snapshot, .zone = zone};
    GR_TRY(gr_exec_identify(exec, snapshot, r, zone, ctx->arena, &j.identity, err));
    const gr_snapshot *current = gr_exec_snapshot_ref(exec); /* holds the tables that are read */
    const gr_rollup **deps;
    size_t n_deps = gr_rollup_dependencies(snapshot->index, r, ctx->arena, &deps);
    gr_status originals =
        current->model == snapshot->model ? read_originals(&j, current, deps, n_deps, zone, err) : GR_OK;
    if (originals) {
        gr_exec_snapshot_unref(current);
        return originals;
    }
    gr_status status = start(&j, rollup, zone, err);
    if (!status) status = run(&j, on_progress, arg, err);
    gr_exec_snapshot_unref(current);
    gr_build_row *old = NULL;
    size_t n_old = 0;
    if (!status) {
        gr_str coverage = gr_exec_coverage_write(r, &j.stat, j.options.range, ctx->arena);
        status = gr_catalog_build_done(exec->catalog, j.build_id, j.stat.rows, j.stat.bytes, coverage,
                                       gr_clock_now_us(), ctx->arena, &old, &n_old, err);
    }
    if (status)
        remember_failure(exec, j.identity.structure_hash, err);
    else
        forget_failure(exec, j.identity.structure_hash);
    if (!status) *ret_rows = j.stat.rows;
    gr_error publish_err = {0};
    gr_status published = gr_exec_publish(exec, NULL, old, n_old, &publish_err);
    if (!status && published) {
        status = published;
        if (err) *err = publish_err;
    }
    return status;
}

gr_status gr_exec_entity(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                         gr_arena *arena, gr_preagg_row *ret, bool *ret_found, gr_error *err) {
    const gr_rollup_state *state = gr_snapshot_state(snapshot, rollup->preagg, zone);
    *ret_found = false;
    return state ? gr_catalog_get(exec->catalog, state->entity_id, arena, ret, ret_found, err) : GR_OK;
}

gr_status gr_exec_forget_builds(gr_exec *exec, int64_t entity_id, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_build_row *rows;
    size_t n = 0;
    gr_status status = gr_catalog_drop_builds(exec->catalog, entity_id, gr_clock_now_us(), scratch, &rows, &n, err);
    for (size_t i = 0; !status && i < n; i++)
        status = gr_catalog_build_table(exec->catalog, rows[i].id, GR_STR(""), err);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_exec_drop(gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup, size_t *ret_tables, gr_error *err) {
    const gr_snapshot *current = gr_exec_snapshot_ref(exec);
    GR_VEC(gr_build_row) all = {0};
    uint32_t at = rollup->entity->preagg->index;
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < current->n_states[at]; i++) {
        gr_build_row *rows;
        size_t n = 0;
        status = gr_catalog_drop_builds(exec->catalog, current->states[at][i].entity_id, gr_clock_now_us(), ctx->arena,
                                        &rows, &n, err);
        for (size_t k = 0; !status && k < n; k++) GR_PUSH(ctx->arena, &all, rows[k]);
    }
    if (!status) status = gr_exec_publish(exec, NULL, all.v, all.n, err);
    gr_exec_snapshot_unref(current);
    if (!status) *ret_tables = all.n;
    return status;
}
