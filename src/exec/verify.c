/* Stored tables against the source: when they are made, and when somebody asks. */
#include "exec/build.h"

#include <stdio.h>

/* The first few differences as one sentence. */
typedef struct differences {
    char text[600];
    size_t n;
} differences;

static void note(differences *d, const gr_rollup *r, int64_t key_us, gr_str what, gr_arena *arena) {
    enum { SHOWN = 3 };
    size_t at = strlen(d->text);
    if (d->n++ >= SHOWN || at + 1 >= sizeof d->text) return;
    gr_str digits = r->partition == GR_GRAIN_NONE ? GR_STR("") : gr_exec_part_digits(r, key_us, arena);
    snprintf(d->text + at, sizeof d->text - at, "%s" GR_FMT "%s" GR_FMT, d->n > 1 ? "; " : "", GR_ARG(digits),
             digits.n ? " " : "", GR_ARG(what));
}

gr_status gr_exec_differences(gr_engine_conn *conn, const gr_ctx *ctx, const gr_exec *exec, const gr_snapshot *snapshot,
                              const gr_rollup *r, const gr_tz *zone, gr_sql_load_options options, gr_str table,
                              gr_exec_keys *ret, gr_error *err) {
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    *ret = (gr_exec_keys){0};
    GR_TRY(gr_sql_verify(snapshot, r, zone, options, table, &exec->places, ctx->arena, &sql, err));
    GR_TRY(gr_exec_query_on(exec, conn, ctx, &sql, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    while (!status && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            gr_exec_key key = {((const int64_t *)batch->columns[0].data)[i],
                               gr_arena_dup(ctx->arena, gr_column_text(&batch->columns[1], i))};
            GR_PUSH(ctx->arena, ret, key);
        }
        status = stream->next(stream, &batch, err);
    }
    stream->close(stream);
    return status;
}

/* A source that does not say the same twice (it is written to all the time, or calls random()) proves nothing. */
static bool differs_from_itself(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx,
                                const gr_snapshot *snapshot, const gr_rollup *r, const gr_tz *zone,
                                gr_sql_load_options options) {
    gr_sql load;
    gr_exec_keys found = {0};
    if (gr_sql_load(snapshot, r, zone, options, &exec->places, ctx->arena, &load, NULL) || load.n_fetches) return false;
    gr_str table = gr_arena_printf(ctx->arena, "(" GR_FMT ") AS \"again\"", GR_ARG(load.text));
    gr_rollup at_source = *r; /* as if the load were its table */
    at_source.entity = &at_source;
    at_source.place = load.place;
    gr_status status = gr_exec_differences(conn, ctx, exec, snapshot, &at_source, zone, options, table, &found, NULL);
    return !status && found.n;
}

/* A statement that the engine does not take (a sum of intervals has no absolute value) says nothing about the data. */
gr_status gr_exec_verify(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_snapshot *snapshot,
                         const gr_rollup *r, const gr_tz *zone, gr_sql_load_options options, gr_str table,
                         int64_t *ret_verified_us, gr_error *err) {
    gr_exec_keys found;
    gr_error own = {0};
    *ret_verified_us = 0;
    if (!exec->config->build_verify || r->preagg->type != GR_PREAGG_ROLLUP || !gr_sql_can_verify(r)) return GR_OK;
    gr_status status = gr_exec_differences(conn, ctx, exec, snapshot, r, zone, options, table, &found, &own);
    if (status == GR_ERR_ENGINE_SQL) return GR_OK;
    if (status) {
        if (err) *err = own;
        return status;
    }
    if (!found.n) {
        *ret_verified_us = gr_clock_now_us();
        return GR_OK;
    }
    if (differs_from_itself(exec, conn, ctx, snapshot, r, zone, options)) return GR_OK;
    differences d = {0};
    for (size_t i = 0; i < found.n; i++) note(&d, r, found.v[i].key_us, found.v[i].what, ctx->arena);
    gr_error_set(err, GR_ERR_PREAGG_MISMATCH, "What was stored differs from the source: %s", d.text);
    gr_error_hint(err, "the source may be written to while it is read; see build.verify");
    return GR_ERR_PREAGG_MISMATCH;
}

/* ---- on request ----------------------------------------------------------------------------------------------------
 */

static const char *const verdict_names[GR_VERDICT__COUNT] = {"equal", "stale", "quarantined"};
gr_str gr_verdict_name(gr_verdict verdict) { return gr_str_from(verdict_names[verdict]); }

typedef struct look {
    gr_exec *exec;
    const gr_ctx *ctx;
    const gr_snapshot *snapshot;
    const gr_rollup *rollup;
    const gr_rollup_state *state;
    const gr_tz *zone;
    const gr_build_freshness *freshness;
    gr_range range;
    gr_partition_row *rows;
    size_t n_rows;
} look;

static int64_t key_of(const look *l, const gr_partition_row *row) {
    if (l->rollup->partition == GR_GRAIN_NONE) return 0;
    if (row->to_us == INT64_MIN) return INT64_MIN;
    return gr_granularity_floor(gr_granularity_predefined(l->rollup->partition), 0, row->from_us);
}

static const gr_exec_key *difference_of(const gr_exec_keys *found, int64_t key_us) {
    for (size_t i = 0; i < found->n; i++)
        if (found->v[i].key_us == key_us) return &found->v[i];
    return NULL;
}

/* Open ones may lag behind the source, and so may what is due. */
static bool is_settled(const look *l, const gr_partition_row *row) {
    if (l->rollup->partition == GR_GRAIN_NONE || row->to_us == INT64_MIN) return false;
    gr_exec_axis x = gr_exec_axis_of(l->rollup, l->zone, l->ctx->now_us);
    int64_t end_us = gr_tz_to_utc(x.tz, row->to_us, NULL);
    if (end_us > l->ctx->now_us) return false;
    return !l->freshness ||
           gr_str_eq(l->freshness->value(l->freshness->arg, end_us, l->ctx->arena), row->refresh_value);
}

/* Time that the model leaves out is in no partition, and is left out of the source too. */
static gr_status differences_of(look *l, gr_exec_keys *ret, gr_error *err) {
    gr_engine_conn *conn;
    gr_sql_load_options options = {0};
    const gr_rollup *r = l->rollup;
    if (r->has_build_range && l->state->n_covered) {
        gr_exec_axis x = gr_exec_axis_of(r, l->zone, l->ctx->now_us);
        const gr_run *first = &l->state->covered[0], *last = &l->state->covered[l->state->n_covered - 1];
        l->range = gr_range_of_local(first->from_us, last->to_us, x.tz);
        options.range = &l->range;
    }
    gr_str table = gr_arena_printf(l->ctx->arena, GR_FMT " AS \"t\"", GR_ARG(l->state->table));
    GR_TRY(gr_exec_take_store(l->exec, l->ctx, r, &conn, err));
    gr_status status = gr_exec_differences(conn, l->ctx, l->exec, l->snapshot, r, l->zone, options, table, ret, err);
    gr_exec_give(l->exec, conn);
    return status;
}

static gr_status judge(look *l, const gr_exec_keys *found, gr_verification *out, gr_error *err) {
    gr_arena *arena = l->ctx->arena;
    gr_actor actor = {gr_clock_now_us(), {0}};
    GR_VEC(int64_t) equal = {0};
    out->parts = GR_NEW_N(arena, gr_verified_part, l->n_rows + 1);
    for (size_t i = 0; i < l->n_rows; i++) {
        const gr_partition_row *row = &l->rows[i];
        if (!row->since || row->quarantine.n) continue;
        const gr_exec_key *d = difference_of(found, key_of(l, row));
        gr_verified_part *part = &out->parts[out->n++];
        *part = (gr_verified_part){.id = row->id, .rows = row->rows, .verdict = GR_VERDICT_EQUAL};
        if (l->rollup->partition != GR_GRAIN_NONE) part->name = gr_exec_part_digits(l->rollup, key_of(l, row), arena);
        if (d) part->verdict = is_settled(l, row) ? GR_VERDICT_QUARANTINED : GR_VERDICT_STALE;
        if (d) part->what = d->what;
        out->counts[part->verdict]++;
        if (!d) GR_PUSH(arena, &equal, row->id);
        if (part->verdict == GR_VERDICT_QUARANTINED)
            GR_TRY(gr_catalog_partitions_judge(l->exec->catalog, &row->id, 1, d->what, actor, err));
    }
    if (equal.n) GR_TRY(gr_catalog_partitions_judge(l->exec->catalog, equal.v, equal.n, (gr_str){0}, actor, err));
    return out->counts[GR_VERDICT_QUARANTINED] ? gr_exec_publish(l->exec, NULL, NULL, 0, err) : GR_OK;
}

gr_status gr_exec_verify_served(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                const gr_tz *zone, const gr_build_freshness *freshness, gr_verification *ret,
                                gr_error *err) {
    const gr_rollup *r = rollup->entity;
    gr_verification out = {.can_verify = r->preagg->type == GR_PREAGG_ROLLUP && gr_sql_can_verify(r)};
    look l = {.exec = exec, .ctx = ctx, .snapshot = snapshot, .rollup = r, .zone = zone, .freshness = freshness};
    gr_exec_keys found;
    l.state = gr_snapshot_state(snapshot, r->preagg, zone);
    if (!l.state || !l.state->is_built || l.state->is_foreign)
        return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "'" GR_FMT "' is not built: there is nothing to compare",
                            GR_ARG(r->preagg->id));
    if (out.can_verify) {
        GR_TRY(gr_catalog_partitions(exec->catalog, l.state->entity_id, ctx->arena, &l.rows, &l.n_rows, err));
        GR_TRY(differences_of(&l, &found, err));
        GR_TRY(judge(&l, &found, &out, err));
    }
    *ret = out;
    return GR_OK;
}
