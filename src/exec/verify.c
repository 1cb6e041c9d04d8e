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
    GR_TRY(gr_sql_verify(snapshot, r, zone, options, table, exec->dialect, ctx->arena, &sql, err));
    GR_TRY(conn->driver->query(conn, ctx, sql.text, sql.params, sql.n_params, false, &stream, err));
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
    if (gr_sql_load(snapshot, r, zone, options, exec->dialect, ctx->arena, &load, NULL)) return false;
    gr_str table = gr_arena_printf(ctx->arena, "(" GR_FMT ") AS \"again\"", GR_ARG(load.text));
    gr_status status = gr_exec_differences(conn, ctx, exec, snapshot, r, zone, options, table, &found, NULL);
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
