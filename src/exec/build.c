/* One build: claim, record, fill a new table, measure it, publish.
 *
 *   claim: build_begin (materializing) -> build_table (its name, before it exists) -> CREATE TABLE AS
 *      |                                                                                     |
 *      '------------------------------- build_failed <-------- any error -------------------+
 *                                                                                            v
 *   new snapshot <- build_done (one transaction: this build serves, older ones are dropped) <- stat
 *
 * Killed anywhere, the catalog still names the old build, and the next start sweeps the table away. */
#include "exec/build.h"

#include "base/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

/* Only the build range is loaded, in whole buckets: what is stored of a bucket is all of it (decisions 2). */
static gr_status limit(gr_exec_job *j, gr_engine_conn *conn, gr_error *err) {
    const gr_rollup *r = j->rollup;
    if (!r->ranged) return GR_OK;
    gr_exec_range range;
    GR_TRY(gr_exec_range_read(j->exec, conn, j->ctx, j->snapshot, r, j->zone, j->options, &range, err));
    gr_exec_axis x = gr_exec_axis_of(r, j->zone, j->ctx->now_us);
    j->range = gr_range_of_local(range.run.from_us, range.run.to_us, x.tz);
    j->options.range = &j->range;
    j->closed_us = range.closed_us;
    return gr_sql_load(j->snapshot, r, j->zone, j->options, &j->exec->places, j->ctx->arena, &j->load, err);
}

/* To who waits here, and once a second to who looks at the catalog. */
void gr_exec_job_tell(gr_exec_job *j, double fraction) {
    enum { EVERY_US = 1000000 };
    int64_t now = gr_clock_mono_us();
    gr_error ignored;
    if (j->ask->progress.fn) j->ask->progress.fn(j->ask->progress.arg, fraction);
    if (now - j->told_us < EVERY_US) return;
    j->told_us = now;
    (void)!gr_catalog_build_progress(j->exec->catalog, j->claim.build_id, fraction, &ignored);
}

bool gr_exec_is_taken(const gr_error *err) { return err && strstr(err->message, "already exists"); }

static gr_status fill(gr_exec_job *j, gr_engine_conn *conn, gr_error *err) {
    GR_TRY(gr_catalog_build_table(j->exec->catalog, j->claim.build_id, j->table.text, err));
    gr_fault_point("build.named");
    j->told_us = gr_clock_mono_us();
    gr_status status = gr_exec_fill(j, true, conn, j->ctx, &j->table, &j->load, err);
    j->is_foreign = status && gr_exec_is_taken(err);
    if (status) return status;
    gr_fault_point("build.chunk");
    GR_TRY(gr_store_stat_table(conn, j->ctx, j->rollup, j->table.local, gr_exec_dialect_of(j->exec, j->rollup->place),
                               &j->stat, err));
    GR_TRY(gr_exec_verify(j->exec, conn, j->ctx, j->snapshot, j->rollup, j->zone, j->options, j->table.local,
                          &j->verified_us, err));
    gr_fault_point("build.verified");
    return GR_OK;
}

/* Written again with the next heartbeats, for as long as it takes. */
static void note_lost(gr_exec *exec, int64_t build_id) {
    pthread_mutex_lock(&exec->mutex);
    GR_PUSH(exec->arena, &exec->lost_builds, build_id);
    pthread_mutex_unlock(&exec->mutex);
}

static gr_status record_failed(gr_exec *exec, int64_t build_id, gr_str why) {
    gr_error ignored;
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_status status = gr_catalog_build_failed(exec->catalog, build_id, why, actor, &ignored);
    if (status == GR_ERR_CATALOG_IO) note_lost(exec, build_id);
    return status;
}

/* They were doomed with the build's record; are so still, unless a start of another server was faster. */
static void forget_dropped(gr_exec_job *j) {
    gr_error ignored;
    gr_doomed_table *doomed;
    size_t n = 0;
    if (!j->dropped.n || gr_catalog_doomed(j->exec->catalog, j->ctx->arena, &doomed, &n, &ignored)) return;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < j->dropped.n; k++)
            if (gr_str_eq(doomed[i].table_name, j->dropped.v[k]))
                (void)!gr_catalog_doomed_done(j->exec->catalog, doomed[i].id, &ignored);
}

/* The table must not outlive its record as failed; when even the drop fails, the sweep at the next start takes it. */
static void give_up(gr_exec_job *j, gr_engine_conn *conn, gr_str why) {
    gr_error ignored;
    gr_ctx ctx = {.arena = j->ctx->arena, .now_us = j->ctx->now_us}; /* without the cancelled job's deadline */
    gr_catalog *catalog = j->exec->catalog;
    if (record_failed(j->exec, j->claim.build_id, why)) return;
    gr_fault_point("failed.recorded");
    forget_dropped(j);
    if (j->is_foreign && gr_catalog_build_table(catalog, j->claim.build_id, GR_STR(""), &ignored)) return;
    if (!conn || j->is_foreign || !j->table.text.n) return;
    if (gr_store_drop(conn, &ctx, j->exec->shared_dir, j->table.local, &ignored)) return;
    gr_fault_point("failed.dropped");
    if (gr_catalog_build_table(catalog, j->claim.build_id, GR_STR(""), &ignored)) return;
}

/* A rollup without partitions is one that is all of it. */
static gr_status run_whole(gr_exec_job *j, gr_engine_conn *conn, gr_error *err) {
    gr_exec_part part;
    j->table = gr_store_table_name(j->exec->config, j->rollup, GR_STR(""), gr_str_from(j->claim.structure_hash),
                                   j->claim.build_id, j->exec->dialect, j->ctx->arena);
    GR_TRY(limit(j, conn, err));
    GR_TRY(gr_exec_whole_look(j, conn, &part, err));
    if (!part.is_due) return GR_OK;
    int64_t built_us = gr_clock_now_us();
    GR_TRY(fill(j, conn, err));
    if (gr_rollup_time(j->rollup) && j->closed_us == INT64_MIN)
        j->closed_us = gr_exec_closed_until(j->rollup, j->zone, j->stat.last_us, j->ctx->now_us);
    j->coverage =
        gr_exec_coverage_write(j->rollup, &j->stat, j->options.range, j->closed_us, j->as_of_us, j->ctx->arena);
    j->result.n_built = 1;
    j->result.rows = j->stat.rows;
    return gr_exec_whole_made(j, &part, built_us, err);
}

/* It makes nothing that is needed: when it fails, everything stays as it was. */
static void run_compaction(gr_exec_job *j, gr_engine_conn *conn) {
    gr_error ignored;
    gr_ctx after = {.arena = j->ctx->arena, .now_us = j->ctx->now_us};
    if (gr_exec_parts_compact(j, conn, &ignored) == GR_OK) return;
    j->n_added = j->n_ended = 0;
    if (j->table.text.n) (void)!gr_store_drop(conn, &after, j->exec->shared_dir, j->table.local, &ignored);
}

static gr_status run(gr_exec_job *j, gr_error *err) {
    gr_engine_conn *conn = NULL;
    gr_status status = gr_exec_take_store(j->exec, j->ctx, j->rollup, &conn, err);
    if (!status && j->ask->is_compaction)
        run_compaction(j, conn);
    else if (!status)
        status = j->rollup->partition != GR_GRAIN_NONE ? gr_exec_parts_build(j, conn, err) : run_whole(j, conn, err);
    if (status) give_up(j, conn, gr_str_from(err->message));
    gr_exec_give(j->exec, conn);
    return status;
}

/* Entities of several zones share the cube's and the rollup's name; the structure hash tells their tables apart. */
gr_status gr_exec_claim(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                        gr_actor actor, gr_build_claim *ret, gr_error *err) {
    gr_exec_base *base = gr_exec_base_of(snapshot);
    gr_exec_entry e;
    pthread_mutex_lock(&exec->publish);
    gr_status status = gr_exec_entry_for(exec, base, rollup, gr_rollup_zone(rollup->entity, zone), &e, err);
    pthread_mutex_unlock(&exec->publish);
    GR_TRY(status);
    gr_build_plan plan = {e.identity.base_hash, e.identity.structure_hash, e.identity.components,
                          e.identity.n_components};
    gr_build_claim claim = {.entity_id = e.entity_id};
    snprintf(claim.structure_hash, sizeof claim.structure_hash, GR_FMT, GR_ARG(e.identity.structure_hash));
    GR_TRY(gr_catalog_build_begin(exec->catalog, e.entity_id, &plan, actor, &claim.build_id, &claim.number, err));
    gr_fault_point("build.claimed");
    pthread_mutex_lock(&exec->mutex);
    GR_PUSH(exec->arena, &exec->claims, claim);
    pthread_mutex_unlock(&exec->mutex);
    *ret = claim;
    return GR_OK;
}

static bool take_claim(gr_exec *exec, int64_t build_id, gr_build_claim *ret) {
    bool is_found = false;
    pthread_mutex_lock(&exec->mutex);
    for (size_t i = 0; i < exec->claims.n && !is_found; i++) {
        if (exec->claims.v[i].build_id != build_id) continue;
        *ret = exec->claims.v[i];
        exec->claims.v[i] = exec->claims.v[--exec->claims.n];
        is_found = true;
    }
    pthread_mutex_unlock(&exec->mutex);
    return is_found;
}

typedef enum waiting { NONE_WAITS, SAME_WAITS, OTHER_WAITS } waiting;

/* A claim that waits for its turn is taken by whoever needs the very table that it makes first. A claim of the same
 * entity for another table (it was widened since) is not: what was built would not be what the catalog says. */
static waiting take_same_claim(gr_exec *exec, const gr_exec_entry *e, gr_build_claim *ret) {
    gr_build_claim found = {0};
    pthread_mutex_lock(&exec->mutex);
    for (size_t i = 0; i < exec->claims.n; i++)
        if (exec->claims.v[i].entity_id == e->entity_id) found = exec->claims.v[i];
    pthread_mutex_unlock(&exec->mutex);
    if (!found.build_id) return NONE_WAITS;
    if (!gr_str_eq_z(e->identity.structure_hash, found.structure_hash)) return OTHER_WAITS;
    return take_claim(exec, found.build_id, ret) ? SAME_WAITS : NONE_WAITS;
}

void gr_exec_claim_drop(gr_exec *exec, const gr_build_claim *claim, const char *why) {
    gr_build_claim mine;
    if (!take_claim(exec, claim->build_id, &mine)) return;
    (void)!record_failed(exec, mine.build_id, gr_str_from(why));
}

/* What is read instead of the cubes' own SQL: their stored original_sql, built by now. */
static gr_status read_originals(gr_exec_job *j, const gr_snapshot *current, const gr_rollup **deps, size_t n_deps,
                                const gr_tz *zone, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    gr_original *originals = GR_NEW_N(arena, gr_original, n_deps + 1);
    size_t n = 0;
    for (size_t i = 0; i < n_deps; i++) {
        const gr_rollup_state *state = gr_snapshot_state(current, deps[i]->preagg, gr_rollup_zone(deps[i], zone));
        if (deps[i]->preagg->type != GR_PREAGG_ORIGINAL_SQL || !state || !state->is_built) continue;
        if (state->built_at_us < j->as_of_us) j->as_of_us = state->built_at_us;
        originals[n++] = (gr_original){deps[i]->preagg->cube, deps[i], state};
    }
    if (!n)
        return gr_sql_load(j->snapshot, j->rollup, zone, (gr_sql_load_options){0}, &j->exec->places, arena, &j->load,
                           err);
    j->options = (gr_sql_load_options){.originals = originals, .n_originals = n};
    return gr_sql_load(current, j->rollup, zone, j->options, &j->exec->places, arena, &j->load, err);
}

/* They are rollups of `snapshot`; which of them are built by now is read from the current one. */
static gr_status build_dependencies(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                    const gr_rollup **deps, size_t n_deps, const gr_tz *zone, gr_error *err) {
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < n_deps; i++) {
        const gr_snapshot *current = gr_exec_snapshot_ref(exec);
        const gr_tz *own = gr_rollup_zone(deps[i], zone);
        bool is_same = gr_model_is_same_files(current->model, snapshot->model);
        const gr_rollup_state *state = gr_snapshot_state(is_same ? current : snapshot, deps[i]->preagg, own);
        gr_build_result ignored;
        const gr_build_ask ask = {.run = gr_run_all};
        if (!state || !state->is_built || state->lacks || state->n_missing)
            status = gr_exec_build(exec, ctx, snapshot, deps[i], own, &ask, &ignored, err);
        gr_exec_snapshot_unref(current);
    }
    return status;
}

/* Another process builds it: when it is done, what it made serves here too. A claim of this one may only now be on its
 * way to the list: who waits looks for it, too. */
static gr_status wait_for_other(gr_exec *exec, const gr_ctx *ctx, const gr_exec_entry *e, gr_build_claim *ret,
                                waiting *ret_own, bool *ret_is_done, gr_error *err) {
    enum { PAUSE_US = 20000 };
    for (;;) {
        gr_preagg_row row;
        bool is_found = false;
        if (gr_ctx_is_cancelled(ctx)) return gr_error_set(err, GR_ERR_CANCELLED, "The build was cancelled");
        if (gr_ctx_is_late(ctx))
            return gr_error_set(err, GR_ERR_TIMEOUT, "Another process builds it, and takes too long");
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000L}, NULL);
        *ret_own = take_same_claim(exec, e, ret);
        if (*ret_own != NONE_WAITS) return GR_OK;
        GR_TRY(gr_catalog_get(exec->catalog, e->entity_id, ctx->arena, &row, &is_found, err));
        if (is_found && row.status == GR_PREAGG_MATERIALIZING) continue;
        *ret_is_done = is_found && row.status == GR_PREAGG_ACTIVE;
        return *ret_is_done ? gr_exec_publish(exec, NULL, NULL, 0, err) : GR_OK;
    }
}

/* A claim of this process; or *ret_is_done when another process has built it meanwhile, or is about to build more in
 * this one: who waits plans again. What another did may have been to put tables together, or other partitions, or begun
 * before this was ordered: who forces a build, or builds partitions, takes its own turn and looks what is due then. */
static gr_status claim_or_wait(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *r,
                               const gr_tz *zone, const gr_build_ask *ask, gr_build_claim *ret, bool *ret_is_done,
                               gr_error *err) {
    bool takes_turn = ask->is_forced || r->partition != GR_GRAIN_NONE;
    *ret_is_done = false;
    for (;;) {
        gr_actor actor = {gr_clock_now_us(), {0}};
        gr_status status = gr_exec_claim(exec, snapshot, r, zone, actor, ret, err);
        if (!status) return take_claim(exec, ret->build_id, ret) ? GR_OK : GR_ERR_INTERNAL;
        if (status != GR_ERR_PREAGG_MATERIALIZING || ask->must_not_wait) return status;
        gr_exec_entry e;
        pthread_mutex_lock(&exec->publish);
        status = gr_exec_entry_for(exec, gr_exec_base_of(snapshot), r, gr_rollup_zone(r, zone), &e, err);
        pthread_mutex_unlock(&exec->publish);
        GR_TRY(status);
        waiting own = take_same_claim(exec, &e, ret);
        if (own == NONE_WAITS) status = wait_for_other(exec, ctx, &e, ret, &own, ret_is_done, err);
        if (own == NONE_WAITS && takes_turn) *ret_is_done = false;
        if (own == OTHER_WAITS) *ret_is_done = true;
        if (status || own == SAME_WAITS || *ret_is_done) return status;
    }
}

/* A catalog that is away for a moment (a restart of PostgreSQL) does not cost what took an hour to fill. */
static gr_status record_done(gr_exec_job *j, gr_doomed_table **ret_old, size_t *ret_n_old, gr_error *err) {
    enum { PAUSE_US = 200000, PATIENCE_US = 60 * 1000000 };
    int64_t until_us = gr_clock_mono_us() + PATIENCE_US;
    const gr_build_made made = {.rows = j->stat.rows,
                                .bytes = j->stat.bytes,
                                .coverage = j->coverage,
                                .keep = j->exec->config->keep_versions,
                                .added = j->added,
                                .n_added = j->n_added,
                                .ended = j->ended,
                                .n_ended = j->n_ended};
    for (;;) {
        gr_actor actor = {gr_clock_now_us(), {0}};
        gr_status status = gr_catalog_build_publish(j->exec->catalog, j->claim.build_id, &made, actor, j->ctx->arena,
                                                    ret_old, ret_n_old, err);
        if (status != GR_ERR_CATALOG_IO || gr_clock_mono_us() > until_us || gr_ctx_is_cancelled(j->ctx)) return status;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000L}, NULL);
    }
}

void gr_exec_lost_builds_record(gr_exec *exec) {
    for (;;) {
        int64_t id = 0;
        pthread_mutex_lock(&exec->mutex);
        if (exec->lost_builds.n) id = exec->lost_builds.v[--exec->lost_builds.n];
        pthread_mutex_unlock(&exec->mutex);
        if (!id || record_failed(exec, id, GR_STR("the catalog was away when the build ended"))) return;
    }
}

static gr_status publish_done(gr_exec_job *j, gr_doomed_table **ret_old, size_t *ret_n_old, gr_error *err) {
    gr_fault_point("build.filled");
    GR_TRY(record_done(j, ret_old, ret_n_old, err));
    gr_fault_point("build.published");
    return GR_OK;
}

/* The lease was lost, or the catalog cannot be written: the table serves nobody. */
static void drop_unpublished(gr_exec_job *j) {
    gr_ctx ctx = {.arena = j->ctx->arena, .now_us = j->ctx->now_us};
    gr_engine_conn *conn;
    if (gr_exec_take_store(j->exec, &ctx, j->rollup, &conn, NULL)) return;
    give_up(j, conn, GR_STR("it could not be published"));
    gr_exec_give(j->exec, conn);
}

static gr_status run_job(gr_exec_job *j, gr_error *err) {
    gr_exec *exec = j->exec;
    const gr_snapshot *current = gr_exec_snapshot_ref(exec); /* holds the tables that are read */
    const gr_rollup **deps;
    size_t n_deps = gr_rollup_dependencies(j->snapshot->index, j->rollup, j->ctx->arena, &deps);
    bool is_same = gr_model_is_same_files(current->model, j->snapshot->model);
    j->current = is_same ? current : j->snapshot;
    gr_status status = read_originals(j, j->current, deps, is_same ? n_deps : 0, j->zone, err);
    if (status)
        give_up(j, NULL, gr_str_from(err->message));
    else
        status = run(j, err);
    gr_exec_snapshot_unref(current);
    return status;
}

/* Nothing of it was due: as if it had not been begun. */
static bool is_idle(const gr_exec_job *j) { return !j->result.n_built && !j->n_added && !j->n_ended && !j->is_news; }

static gr_status end_job(gr_exec_job *j, gr_error *err) {
    gr_doomed_table *old = NULL;
    size_t n_old = 0;
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_exec *exec = j->exec;
    if (is_idle(j) && gr_catalog_build_cancel(exec->catalog, j->claim.build_id, actor, NULL) == GR_OK) return GR_OK;
    gr_status status = publish_done(j, &old, &n_old, err);
    if (status) drop_unpublished(j);
    if (!status) j->result.build_number = j->claim.number;
    gr_error publish_err = {0};
    gr_status published = gr_exec_publish(exec, NULL, old, n_old, &publish_err);
    if (!status && published) {
        status = published;
        if (err) *err = publish_err;
    }
    return status;
}

/* A background look that finds nothing leaves no trace: it is done before anything is claimed. */
static gr_status is_fresh(const gr_exec_job *asked, bool *ret, gr_error *err) {
    gr_exec_job j = *asked;
    gr_exec_entry e;
    gr_engine_conn *conn;
    size_t n_due = 0;
    j.current = j.snapshot;
    pthread_mutex_lock(&j.exec->publish);
    gr_status status = gr_exec_entry_for(j.exec, gr_exec_base_of(j.snapshot), j.rollup, j.zone, &e, err);
    pthread_mutex_unlock(&j.exec->publish);
    GR_TRY(status);
    j.claim.entity_id = e.entity_id;
    snprintf(j.claim.structure_hash, sizeof j.claim.structure_hash, GR_FMT, GR_ARG(e.identity.structure_hash));
    GR_TRY(gr_exec_take_store(j.exec, j.ctx, j.rollup, &conn, err));
    if (j.rollup->partition != GR_GRAIN_NONE) {
        status = gr_exec_parts_look(&j, conn, &n_due, err);
    } else {
        gr_exec_part part = {0};
        status = gr_exec_whole_look(&j, conn, &part, err);
        n_due = part.is_due;
    }
    gr_exec_give(j.exec, conn);
    *ret = !status && !n_due;
    return status;
}

static gr_status build_one(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *r,
                           const gr_tz *zone, const gr_build_ask *ask, gr_build_result *ret, gr_error *err) {
    gr_exec_job j = {.exec = exec,
                     .ctx = ctx,
                     .rollup = r,
                     .ask = ask,
                     .snapshot = snapshot,
                     .zone = zone,
                     .as_of_us = INT64_MAX,
                     .closed_us = INT64_MIN};
    bool is_done = false;
    if (!ask->claim && ask->must_not_wait && ask->freshness && !ask->is_forced) GR_TRY(is_fresh(&j, &is_done, err));
    if (is_done) return GR_OK;
    if (ask->claim) /* gone: whoever needed it first has run it */
        is_done = !take_claim(exec, ask->claim->build_id, &j.claim);
    else
        GR_TRY(claim_or_wait(exec, ctx, snapshot, r, zone, ask, &j.claim, &is_done, err));
    if (is_done) return GR_OK;
    gr_error own = {0};
    gr_status status = run_job(&j, &own);
    if (!status) status = end_job(&j, &own);
    gr_str key = gr_str_from(j.claim.structure_hash);
    if (status) {
        remember_failure(exec, key, &own);
        gr_error ignored;
        (void)!gr_exec_publish(exec, NULL, NULL, 0, &ignored);
        if (err) *err = own;
    } else {
        forget_failure(exec, key);
        *ret = j.result;
    }
    return status;
}

/* First what it reads. A rollup_join or rollup_lambda has no table of its own: it is built when its parts are. */
gr_status gr_exec_build(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *rollup,
                        const gr_tz *zone, const gr_build_ask *ask, gr_build_result *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    const gr_rollup **deps;
    gr_status status = GR_OK;
    if (!r->can_build)
        status = gr_error_set(err, r->problem, "'" GR_FMT "' cannot be built: " GR_FMT, GR_ARG(r->preagg->id),
                              GR_ARG(r->problem_text));
    size_t n = status ? 0 : gr_rollup_dependencies(snapshot->index, r, ctx->arena, &deps);
    if (!status) status = build_dependencies(exec, ctx, snapshot, deps, n, zone, err);
    if (status && ask->claim)
        gr_exec_claim_drop(exec, ask->claim, err ? err->message : "what it reads could not be built");
    GR_TRY(status);
    *ret = (gr_build_result){0};
    if (!gr_preagg_has_table(r->preagg)) return GR_OK;
    return build_one(exec, ctx, snapshot, r, zone, ask, ret, err);
}

gr_status gr_exec_entity(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                         gr_arena *arena, gr_preagg_row *ret, bool *ret_found, gr_error *err) {
    const gr_rollup_state *state = gr_snapshot_state(snapshot, rollup->preagg, zone);
    *ret_found = false;
    return state ? gr_catalog_get(exec->catalog, state->entity_id, arena, ret, ret_found, err) : GR_OK;
}

gr_status gr_exec_forget_builds(gr_exec *exec, int64_t entity_id, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_doomed_table *rows;
    size_t n = 0;
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_status status = gr_catalog_drop_builds(exec->catalog, entity_id, actor, scratch, &rows, &n, err);
    for (size_t i = 0; !status && i < n; i++) status = gr_catalog_doomed_done(exec->catalog, rows[i].id, err);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_exec_drop(gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup, size_t *ret_tables, gr_error *err) {
    const gr_snapshot *current = gr_exec_snapshot_ref(exec);
    GR_VEC(gr_doomed_table) all = {0};
    uint32_t at = rollup->entity->preagg->index;
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < current->n_states[at]; i++) {
        gr_doomed_table *rows;
        size_t n = 0;
        status =
            gr_catalog_drop_builds(exec->catalog, current->states[at][i].entity_id, actor, ctx->arena, &rows, &n, err);
        for (size_t k = 0; !status && k < n; k++) GR_PUSH(ctx->arena, &all, rows[k]);
    }
    if (!status) status = gr_exec_publish(exec, NULL, all.v, all.n, err);
    gr_exec_snapshot_unref(current);
    if (!status) *ret_tables = all.n;
    return status;
}
