/* Results that arrive chunk by chunk. The only file that uses the deprecated functions of the C API: in 1.4 and 1.5
 * there is no other way to a streamed result, and a materialised one is not counted against the memory limit.
 * Invariant: a connection has at most one unfinished stream; whoever runs something else on it detaches the stream
 * first. A stream that ended or failed has let go of its result, so that it no longer holds a snapshot open. */
#define GR_ENGINE_DUCKDB_STREAMING
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <stdlib.h>

struct gr_duckdb_stream {
    gr_stream base;
    gr_duckdb_conn *conn; /* NULL once the stream let go of its result */
    const gr_ctx *ctx;
    gr_arena *arena;
    duckdb_result result;
    duckdb_data_chunk chunk; /* what the last batch points into */
    gr_duckdb_reader *reader;
    gr_batch batch;
    bool is_done;
    gr_error failed; /* said again at every later call */
};

static void let_go(gr_duckdb_stream *s) {
    if (!s->conn) return;
    /* Closed before its end: its query goes on holding its transaction, and with it the attached source. */
    if (!s->is_done) s->conn->may_be_in_transaction = true;
    duckdb_destroy_result(&s->result);
    gr_engine_duckdb_running_end(&s->conn->running);
    s->conn->open = NULL;
    s->conn = NULL;
}

static gr_status fail(gr_duckdb_stream *s, gr_error *err) {
    if (s->conn) {
        duckdb_connection handle = s->conn->handle;
        let_go(s);
        gr_engine_duckdb_rollback(handle);
    }
    if (err) *err = s->failed;
    return s->failed.status;
}

static void fail_as_said(gr_duckdb_stream *s) {
    gr_status status = gr_engine_duckdb_fail_result(&s->result, &s->failed);
    (void)!gr_engine_duckdb_reason(s->conn, GR_OK, status, &s->failed);
}

static gr_status next(gr_stream *base, const gr_batch **ret, gr_error *err) {
    gr_duckdb_stream *s = (gr_duckdb_stream *)(void *)base;
    duckdb_destroy_data_chunk(&s->chunk);
    if (s->is_done) {
        *ret = NULL;
        return GR_OK;
    }
    if (s->failed.status) return fail(s, err);
    if (!s->conn)
        return gr_error_set(err, GR_ERR_INTERNAL, "the stream was closed by a later statement of its connection");

    gr_duckdb_watch *watch = &gr_engine_duckdb_of(&s->conn->base)->watch;
    gr_duckdb_call call;
    if (gr_engine_duckdb_watch_begin(watch, &call, s->conn->handle, s->ctx, &s->failed)) return fail(s, err);
    do {
        duckdb_destroy_data_chunk(&s->chunk);
        s->chunk = duckdb_fetch_chunk(s->result);
    } while (s->chunk && !duckdb_data_chunk_get_size(s->chunk));
    gr_status fired = gr_engine_duckdb_watch_end(watch, &call);

    const char *message = s->chunk ? NULL : duckdb_result_error(&s->result);
    bool is_failed = message && *message;
    if (fired && (s->chunk || is_failed))
        gr_engine_duckdb_fired(fired, &s->failed);
    else if (is_failed)
        fail_as_said(s);
    else if (s->chunk)
        (void)!gr_engine_duckdb_reader_read(s->reader, s->chunk, &s->batch, &s->failed);
    if (s->failed.status) return fail(s, err);
    *ret = s->chunk ? &s->batch : NULL;
    if (!s->chunk) {
        s->is_done = true;
        let_go(s);
    }
    return GR_OK;
}

static void close_stream(gr_stream *base) {
    if (!base) return;
    gr_duckdb_stream *s = (gr_duckdb_stream *)(void *)base;
    duckdb_destroy_data_chunk(&s->chunk);
    let_go(s);
    gr_engine_duckdb_reader_free(s->reader);
    gr_arena_free(s->arena);
    free(s);
}

gr_status gr_engine_duckdb_stream_open(gr_duckdb_conn *conn, const gr_ctx *ctx, duckdb_prepared_statement prepared,
                                       gr_stream **ret, duckdb_error_type *ret_type, gr_error *err) {
    *ret_type = DUCKDB_ERROR_INVALID;
    duckdb_result result;
    if (duckdb_execute_prepared_streaming(prepared, &result) != DuckDBSuccess) {
        *ret_type = duckdb_result_error_type(&result);
        gr_status status = gr_engine_duckdb_fail_result(&result, err);
        duckdb_destroy_result(&result);
        return status;
    }
    gr_duckdb_stream *s = gr_mem_calloc(1, sizeof *s);
    s->arena = gr_arena_new();
    gr_status status = gr_engine_duckdb_reader_new(&result, s->arena, &s->reader, err);
    if (status) {
        duckdb_destroy_result(&result);
        gr_arena_free(s->arena);
        free(s);
        return status;
    }
    s->base = (gr_stream){.next = next, .close = close_stream};
    s->base.schema = gr_engine_duckdb_reader_schema(s->reader, &s->base.n_columns);
    s->conn = conn;
    s->ctx = ctx;
    s->result = result;
    conn->open = s;
    *ret = &s->base;
    return GR_OK;
}

void gr_engine_duckdb_stream_detach(gr_duckdb_conn *conn) {
    if (conn->open) let_go(conn->open);
}
