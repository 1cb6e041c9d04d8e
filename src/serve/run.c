/* The use case of a query: parse, plan, build what is missing, execute. */
#include "serve/internal.h"

gr_status gr_serve_query_options(const gr_serve *serve, int64_t now_us, gr_query_options *ret, gr_error *err) {
    const gr_config *c = serve->config;
    const gr_tz *tz;
    GR_TRY(gr_tz_get(c->default_timezone, &tz, err));
    *ret = (gr_query_options){.default_limit = c->default_limit,
                              .max_limit = c->max_limit,
                              .max_members = (size_t)c->max_members,
                              .max_filter_depth = (size_t)c->max_filter_depth,
                              .max_filter_values = (size_t)c->max_filter_values,
                              .default_tz = tz,
                              .now_us = now_us};
    return GR_OK;
}

/* Rollups whose build failed during this request. */
typedef GR_VEC(const gr_rollup *) rollups;

static gr_status plan_once(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, bool as_if_built,
                           const rollups *failed, gr_answer *a, gr_error *err) {
    gr_query_options options;
    gr_query *query;
    int64_t start = gr_clock_mono_us();
    GR_TRY(gr_serve_query_options(serve, ctx->now_us, &options, err));
    GR_TRY(gr_query_parse(a->snapshot->model, request->query, &options, ctx->arena, &query, err));
    a->parsed_us = gr_clock_mono_us() - start;
    if (request->has_cache) query->cache = request->cache;
    a->query = query;
    gr_plan_options how = {.without_rollups = request->without_rollups,
                           .without_builds = gr_lane_is_drained(serve),
                           .ignore_builds = as_if_built,
                           .excluded = failed->v,
                           .n_excluded = failed->n,
                           .now_us = ctx->now_us};
    gr_plan *plan;
    GR_TRY(gr_exec_plan(serve->exec, ctx, a->snapshot, query, how, &plan, err));
    a->plan = plan;
    a->data_source = plan->data_source;
    const gr_source_config *source = gr_config_source(serve->config, plan->data_source);
    a->db_type = gr_config_kind_name(source ? source->kind : GR_SOURCE_DUCKDB);
    return GR_OK;
}

void gr_answer_done(gr_answer *a) {
    if (!a) return;
    if (a->stream) a->stream->close(a->stream);
    if (a->snapshot) gr_serve_snapshot_unref(a->snapshot);
    if (a->cached && a->wants_refresh) atomic_store(&a->cached->is_refreshing, false); /* it was not taken over */
    gr_serve_cached_unref(a->cached);
    gr_serve_cached_lead_end(&a->ticket);
    a->stream = NULL;
    a->snapshot = NULL;
    a->cached = NULL;
}

gr_status gr_serve_plan(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, bool as_if_built, gr_answer *ret,
                        gr_error *err) {
    gr_answer a = {.snapshot = gr_serve_snapshot_ref(serve)};
    int64_t start = gr_clock_mono_us();
    gr_status status = plan_once(serve, ctx, request, as_if_built, &(rollups){0}, &a, err);
    if (!status) {
        const gr_plan *decided = a.plan;
        a.shown = decided;
        if (decided->to_build) { /* what is built first serves then */
            status = plan_once(serve, ctx, request, true, &(rollups){0}, &a, err);
            a.shown = a.plan;
            a.plan = decided;
        }
        int64_t planned = gr_clock_mono_us();
        if (!status) status = gr_sql_query(a.shown, gr_exec_places(serve->exec), ctx->arena, &a.sql, err);
        a.rendered_us = gr_clock_mono_us() - planned;
    }
    a.planned_us = gr_clock_mono_us() - start;
    if (status)
        gr_answer_done(&a);
    else
        *ret = a;
    return status;
}

static gr_status read_total(gr_serve *serve, const gr_ctx *ctx, gr_answer *a, gr_error *err) {
    gr_sql sql;
    gr_stream *stream;
    GR_TRY(gr_sql_total(a->plan, gr_exec_places(serve->exec), ctx->arena, &sql, err));
    GR_TRY(gr_exec_query(serve->exec, ctx, &sql, &stream, err));
    const gr_batch *batch;
    gr_status status = stream->next(stream, &batch, err);
    if (!status && batch && batch->n_rows) {
        a->total = ((const int64_t *)batch->columns[0].data)[0];
        a->has_total = true;
    }
    stream->close(stream);
    return status;
}

/* Its SQL is rendered already. */
static gr_status execute(gr_serve *serve, const gr_ctx *ctx, gr_answer *a, gr_error *err) {
    int64_t start = gr_clock_mono_us();
    if (a->query->want_total) GR_TRY(read_total(serve, ctx, a, err));
    GR_TRY(gr_exec_query(serve->exec, ctx, &a->sql, &a->stream, err));
    a->started_us = gr_clock_mono_us() - start;
    a->refreshed_us = ctx->now_us;
    for (size_t i = 0; i < a->plan->n_uses; i++) { /* as old as the oldest of what serves */
        const gr_rollup_state *state = a->plan->uses[i].state;
        if (state && a->plan->uses[i].built_at_us < a->refreshed_us) a->refreshed_us = a->plan->uses[i].built_at_us;
        if (state) gr_exec_note_hit(serve->exec, state->entity_id, ctx->now_us);
        if (state) gr_refresher_note_served(serve, state->entity_id);
    }
    return GR_OK;
}

/* A build that failed is no failure of the query: planning again goes on to the next candidate or the source. */
static gr_status wait_for(gr_flight *flight, const gr_ctx *ctx, gr_error *err) {
    enum { SLICE_US = 50000 };
    uint64_t seen = gr_flight_slices(flight);
    for (;;) {
        int64_t slice = gr_clock_mono_us() + SLICE_US;
        if (gr_flight_wait_slice(flight, seen, slice)) return GR_OK;
        if (gr_ctx_is_cancelled(ctx)) return gr_error_set(err, GR_ERR_CANCELLED, "The request was cancelled");
        if (gr_ctx_is_late(ctx)) return gr_error_set(err, GR_ERR_TIMEOUT, "The pre-aggregation was not built in time");
    }
}

/* The rollup's table is not there although the catalog names it: forget its builds, and plan again. Somebody else's
 * table is not ours to forget: this query goes on without it. */
static bool is_forgotten(gr_serve *serve, const gr_ctx *ctx, const gr_answer *a, gr_status status, rollups *failed) {
    bool is_any = false;
    bool is_reading = status == GR_ERR_ENGINE_SQL || status == GR_ERR_ENGINE_IO;
    for (size_t i = 0; is_reading && i < a->plan->n_uses; i++) {
        const gr_plan_use *use = &a->plan->uses[i];
        gr_error ignored;
        size_t n = 0;
        gr_str probe = use->state ? use->state->table : (gr_str){0};
        if (!use->state || !gr_exec_is_gone(serve->exec, ctx, use->rollup, probe)) continue;
        if (use->state->is_foreign) {
            GR_PUSH(ctx->arena, failed, use->rollup);
            is_any = true;
        } else if (status == GR_ERR_ENGINE_SQL) {
            is_any |= gr_exec_drop(serve->exec, ctx, use->rollup, &n, &ignored) == GR_OK;
        }
    }
    return is_any;
}

/* One round: an answer, a flight to wait for, or (`*ret_again`) something has changed, so that planning again leads on.
 */
static gr_status run_round(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, rollups *failed,
                           gr_answer *ret, gr_flight **ret_flight, bool *ret_again, gr_error *err) {
    gr_answer a = {.snapshot = gr_serve_snapshot_ref(serve)};
    int64_t start = gr_clock_mono_us();
    gr_status status = plan_once(serve, ctx, request, false, failed, &a, err);
    a.planned_us = gr_clock_mono_us() - start;
    gr_flight *flight = NULL;
    bool must_revalidate = !status && !a.plan->to_build && a.query->cache == GR_CACHE_MUST_REVALIDATE;
    int64_t since_us = request->since_us ? request->since_us : ctx->now_us;
    if (must_revalidate) status = gr_serve_revalidate(serve, ctx, a.snapshot, a.plan, since_us, &flight, err);
    bool is_renewed = flight != NULL;
    if (!status && !is_renewed) status = gr_serve_cached_look(serve, ctx, request, &a, &flight, err);
    bool is_joined = flight != NULL;
    if (!status && !is_joined && (a.cached || !a.plan->to_build)) {
        if (!a.cached) status = execute(serve, ctx, &a, err);
        *ret_again = is_forgotten(serve, ctx, &a, status, failed);
        if (!status) gr_serve_cached_count(serve, &a);
        if (!status)
            *ret = a;
        else
            gr_answer_done(&a);
        return *ret_again ? GR_OK : status;
    }
    const gr_rollup *rollup = status || is_joined ? NULL : a.plan->to_build;
    const gr_lane_ask ask = {.run = rollup ? a.plan->to_build_run : gr_run_all};
    if (rollup) status = gr_lane_submit(serve, a.snapshot, rollup, a.plan->to_build_zone, &ask, &flight, err);
    bool is_parked = !status && request->must_not_wait && ret_flight && !gr_flight_look(flight).is_done;
    if (is_parked) {
        *ret = (gr_answer){.joined = is_joined && !is_renewed ? a.ticket.renewal : (gr_str){0}};
        *ret_flight = flight;
    } else if (!status) {
        status = wait_for(flight, ctx, err);
        if (!status && rollup && gr_flight_look(flight).status) GR_PUSH(ctx->arena, failed, rollup);
        gr_flight_unref(flight);
        *ret_again = !status;
    }
    gr_answer_done(&a);
    return status;
}

gr_status gr_serve_query(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, gr_answer *ret,
                         gr_flight **ret_flight, gr_error *err) {
    enum { MOST_ROUNDS = 64 }; /* each ends with one candidate more that is built or has failed */
    rollups failed = {0};
    bool is_fresh = false;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        bool is_again = false;
        gr_error ignored;
        gr_status status = run_round(serve, ctx, request, &failed, ret, ret_flight, &is_again, err);
        /* A build that the catalog shows already may be on its way into the snapshot; nothing else answers who pins. */
        if (status == GR_ERR_PLAN_VERSION && !is_fresh && !gr_exec_refresh(serve->exec, &ignored)) {
            is_fresh = true;
            continue;
        }
        if (status || !is_again) return status;
    }
    return gr_error_set(err, GR_ERR_INTERNAL, "Planning did not settle");
}
