/* Which stretch of time a rollup stores, and the partitions that it is cut into.
 *
 *      build range   explicit: SELECTs of the model, in whole stored buckets; what lies outside is not stored
 *                    else: from the first value of the time column to the last; outside there is nothing to store
 *      partition     the stored buckets that start in one hour, day, … year of the rollup's zone
 *
 *      buckets   |----|----|----|----|----|          weeks, say
 *      months        |            |           |
 *      run       .    [----------------)..             of whole buckets, so that runs are disjoint and leave no gap
 *      closed    .     .......[---------.             all of it was there; its end is the bucket that was still open
 *
 * Bounds are made of the calendar alone, and never of local midnights as instants: a day on which the clock changes is
 * a day like others. */
#include "exec/build.h"

#include "base/buf.h"

/* A bound is an instant; a naive one may be meant as the wall clock: the wider reading is taken. */
static int64_t first_bucket(const gr_exec_axis *x, int64_t us) {
    int64_t local = gr_tz_to_local(x->tz, us);
    return gr_granularity_floor(x->granularity, x->anchor, local < us ? local : us);
}

static int64_t after_last_bucket(const gr_exec_axis *x, int64_t us) {
    int64_t local = gr_tz_to_local(x->tz, us);
    int64_t last = gr_granularity_floor(x->granularity, x->anchor, local > us ? local : us);
    return gr_granularity_next(x->granularity, x->anchor, last);
}

/* The earliest that the clock will show from here on: it may be set back. */
static int64_t earliest_local(const gr_tz *tz, int64_t us) {
    const int64_t day_us = 86400000000;
    int64_t back = gr_tz_to_local(tz, us - day_us) - gr_tz_to_local(tz, us + day_us) + 2 * day_us;
    return gr_tz_to_local(tz, us) - (back > 0 ? back : 0);
}

/* What is still to come is not closed, whatever the model or a row says. Of the two readings the earlier one. */
static int64_t open_bucket(const gr_exec_axis *x, int64_t us, int64_t now_us, bool may_be_local) {
    if (us > now_us) us = now_us;
    int64_t local = earliest_local(x->tz, us);
    return gr_granularity_floor(x->granularity, x->anchor, may_be_local && us < local ? us : local);
}

/* Nothing was there: before all that ever will be. */
static int64_t bucket_before_all(const gr_exec_axis *x) {
    return gr_granularity_floor(x->granularity, x->anchor, gr_civil_to_us((gr_civil){.year = 1, .month = 1, .day = 1}));
}

int64_t gr_exec_closed_until(const gr_rollup *r, const gr_tz *zone, int64_t last_us, int64_t now_us) {
    gr_exec_axis x = gr_exec_axis_of(r, zone, now_us);
    if (last_us == INT64_MIN) return bucket_before_all(&x);
    return open_bucket(&x, gr_tz_to_utc(x.tz, last_us, NULL), now_us, false);
}

gr_exec_axis gr_exec_axis_of(const gr_rollup *r, const gr_tz *zone, int64_t now_us) {
    const gr_rollup_column *time = gr_rollup_time(r);
    const gr_granularity *g = time->granularity;
    const gr_tz *tz = time->is_instant ? gr_tz_utc() : zone;
    return (gr_exec_axis){.granularity = g, .tz = tz, .anchor = gr_granularity_anchor(g, tz, now_us)};
}

typedef struct answer {
    int64_t v[3];
    bool is_null[3];
} answer;

static gr_status ask(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_sql *sql, size_t n,
                     answer *ret, gr_error *err) {
    gr_stream *stream;
    const gr_batch *batch;
    GR_TRY(gr_exec_query_on(exec, conn, ctx, sql, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    for (size_t i = 0; i < n; i++) {
        bool has_row = !status && batch && batch->n_rows;
        ret->is_null[i] = !has_row || gr_column_is_null(&batch->columns[i], 0);
        ret->v[i] = ret->is_null[i] ? 0 : ((const int64_t *)batch->columns[i].data)[0];
    }
    while (!status && batch) status = stream->next(stream, &batch, err);
    stream->close(stream);
    return status;
}

static gr_status bad_range(const gr_rollup *r, gr_error *err, const char *what) {
    gr_error_set(err, GR_ERR_PREAGG_RANGE, "The build range of '" GR_FMT "' %s", GR_ARG(r->preagg->id), what);
    gr_error_hint(err, "see build_range_start and build_range_end; of a table that may be empty use coalesce(…)");
    return GR_ERR_PREAGG_RANGE;
}

/* What the model says, where it says it. */
static gr_status read_explicit(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r,
                               const gr_exec_axis *x, gr_exec_range *out, gr_error *err) {
    gr_sql sql = gr_sql_build_range(r, &exec->places, ctx->arena);
    answer a;
    GR_TRY(ask(exec, conn, ctx, &sql, 2, &a, err));
    if (r->range_start.n && a.is_null[0]) return bad_range(r, err, "starts at null");
    if (r->range_end.n && a.is_null[1]) return bad_range(r, err, "ends at null");
    if (r->range_start.n && r->range_end.n && a.v[1] < a.v[0]) return bad_range(r, err, "ends before it starts");
    out->has_from = r->range_start.n > 0;
    out->has_to = r->range_end.n > 0;
    if (out->has_from) out->run.from_us = first_bucket(x, a.v[0]);
    if (out->has_to) out->run.to_us = after_last_bucket(x, a.v[1]);
    if (out->has_to) out->closed_us = open_bucket(x, a.v[1], ctx->now_us, true);
    return GR_OK;
}

gr_status gr_exec_range_read(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_snapshot *snapshot,
                             const gr_rollup *r, const gr_tz *zone, gr_sql_load_options options, gr_exec_range *ret,
                             gr_error *err) {
    gr_exec_axis x = gr_exec_axis_of(r, zone, ctx->now_us);
    gr_exec_range out = {.run = {INT64_MIN, INT64_MAX}, .closed_us = INT64_MIN};
    if (r->has_build_range) GR_TRY(read_explicit(exec, conn, ctx, r, &x, &out, err));
    if (r->partition != GR_GRAIN_NONE && !(out.has_from && out.has_to)) {
        gr_sql sql;
        answer a;
        GR_TRY(gr_sql_time_span(snapshot, r, zone, options, &exec->places, ctx->arena, &sql, err));
        GR_TRY(ask(exec, conn, ctx, &sql, 3, &a, err));
        /* Of nothing there is one partition, that of now. */
        int64_t first = a.is_null[0] ? ctx->now_us : a.v[0], last = a.is_null[1] ? ctx->now_us : a.v[1];
        int64_t from = gr_granularity_floor(x.granularity, x.anchor, gr_tz_to_local(x.tz, first)),
                to = gr_granularity_next(x.granularity, x.anchor,
                                         gr_granularity_floor(x.granularity, x.anchor, gr_tz_to_local(x.tz, last)));
        /* All that there is lies beyond the bound: one bucket at it, in which there is nothing. */
        if (!out.has_from && out.has_to && from >= out.run.to_us)
            from = gr_granularity_floor(x.granularity, x.anchor, out.run.to_us - 1);
        if (!out.has_from) out.run.from_us = from;
        if (!out.has_to && to <= out.run.from_us) to = gr_granularity_next(x.granularity, x.anchor, out.run.from_us);
        if (!out.has_to) out.run.to_us = to;
        if (!out.has_to)
            out.closed_us = a.is_null[1] ? bucket_before_all(&x) : open_bucket(&x, last, ctx->now_us, false);
        out.n_without_time = r->has_build_range ? 0 : a.v[2];
    }
    *ret = out;
    return GR_OK;
}

/* ---- partitions ----------------------------------------------------------------------------------------------------
 */

static int64_t ceil_bucket(const gr_exec_axis *x, int64_t us) {
    int64_t start = gr_granularity_floor(x->granularity, x->anchor, us);
    return start == us ? us : gr_granularity_next(x->granularity, x->anchor, start);
}

static gr_status too_many(const gr_rollup *r, int64_t n, int64_t most, gr_error *err) {
    gr_error_set(err, GR_ERR_PREAGG_PARTITIONS,
                 "Pre-aggregation '" GR_FMT "' requested to build %lld partitions which exceeds the maximum number of "
                 "partitions per pre-aggregation of %lld",
                 GR_ARG(r->preagg->id), (long long)n, (long long)most);
    gr_error_hint(err, "use a coarser partition_granularity, narrow the build range, or raise build.max_partitions");
    return GR_ERR_PREAGG_PARTITIONS;
}

gr_status gr_exec_parts_list(const gr_rollup *r, const gr_tz *zone, const gr_exec_range *range, int64_t most,
                             int64_t now_us, gr_arena *arena, gr_exec_parts *ret, gr_error *err) {
    enum { MOST_COUNTED = 20000000 };
    gr_exec_axis x = gr_exec_axis_of(r, zone, now_us);
    const gr_granularity *p = gr_granularity_predefined(r->partition);
    gr_exec_parts parts = {0};
    int64_t n = 0;
    if (range->n_without_time) {
        gr_exec_part none = {.run = {INT64_MIN, INT64_MIN}, .start_us = INT64_MIN};
        GR_PUSH(arena, &parts, none);
    }
    for (int64_t at = gr_granularity_floor(p, 0, range->run.from_us); at < range->run.to_us && n < MOST_COUNTED;) {
        int64_t next = gr_granularity_next(p, 0, at);
        gr_exec_part part = {.run = {ceil_bucket(&x, at), ceil_bucket(&x, next)}, .start_us = at};
        /* Where a bound is told, what lies beyond is not stored; else the bucket is whole, and what comes is in it. */
        if (range->has_from && part.run.from_us < range->run.from_us) part.run.from_us = range->run.from_us;
        if (range->has_to && part.run.to_us > range->run.to_us) part.run.to_us = range->run.to_us;
        at = next;
        if (part.run.from_us >= part.run.to_us) continue;
        if (++n <= most) GR_PUSH(arena, &parts, part);
    }
    if (n > most) return too_many(r, n, most, err);
    *ret = parts;
    return GR_OK;
}

gr_str gr_exec_part_digits(const gr_rollup *r, int64_t start_us, gr_arena *arena) {
    if (start_us == INT64_MIN) return GR_STR("null");
    gr_civil c = gr_civil_from_us(start_us);
    gr_str day = gr_arena_printf(arena, "%04lld%02d%02d", (long long)c.year, c.month, c.day);
    return r->partition == GR_GRAIN_HOUR ? gr_arena_printf(arena, GR_FMT "%02d", GR_ARG(day), c.hour) : day;
}
