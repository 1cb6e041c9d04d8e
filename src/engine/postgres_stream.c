/* Results that arrive row by row, given out as batches. The first batch is read when the stream is opened: errors of a
 * statement that begin with its first row are errors of the query.
 * Invariant: a connection has at most one unfinished stream; whoever runs something else on it detaches the stream
 * first. Rows that nobody read are cancelled at the server, not fetched. */
#include "engine/postgres_internal.h"

#include "base/mem.h"

#include <stdlib.h>

struct gr_postgres_stream {
    gr_stream base;
    gr_postgres_conn *conn; /* NULL once nothing is under way for it */
    gr_postgres_wait wait;
    gr_arena *arena;
    gr_postgres_reader *reader;
    gr_batch batch;
    bool has_batch; /* read ahead, not given out yet */
    bool is_done;
    gr_error failed; /* said again at every later call */
};

static void let_go(gr_postgres_stream *s, bool stop) {
    if (!s->conn) return;
    gr_engine_postgres_drain(s->conn, stop);
    s->conn->open = NULL;
    s->conn = NULL;
}

static gr_status fail_with(gr_postgres_stream *s, const PGresult *result) {
    gr_status status = gr_engine_postgres_fail(s->conn, result, s->wait.fired, &s->failed);
    gr_postgres_conn *conn = s->conn;
    let_go(s, true);
    gr_engine_postgres_rollback(conn);
    return status;
}

/* Rows until the batch is full or the result ends. Takes `result`, which may be NULL: none was read yet. */
static gr_status read_batch(gr_postgres_stream *s, PGresult *result) {
    gr_status status = GR_OK;
    gr_engine_postgres_reader_begin(s->reader);
    if (gr_engine_postgres_wait_look(s->conn, &s->wait)) status = fail_with(s, NULL);
    while (!status && !s->is_done && !gr_engine_postgres_reader_is_full(s->reader)) {
        if (!result) result = gr_engine_postgres_wait_next(s->conn, &s->wait);
        ExecStatusType code = result ? PQresultStatus(result) : PGRES_FATAL_ERROR;
        if (code == PGRES_SINGLE_TUPLE)
            status = gr_engine_postgres_reader_add(s->reader, result, 0, &s->failed);
        else if (code == PGRES_TUPLES_OK)
            s->is_done = true;
        else
            status = fail_with(s, result);
        PQclear(result);
        result = NULL;
    }
    PQclear(result);
    if (!status) status = gr_engine_postgres_reader_end(s->reader, &s->batch, &s->failed);
    if (status || s->is_done) let_go(s, status != GR_OK);
    s->has_batch = !status && s->batch.n_rows > 0;
    return status;
}

static gr_status next(gr_stream *base, const gr_batch **ret, gr_error *err) {
    gr_postgres_stream *s = (gr_postgres_stream *)(void *)base;
    if (!s->failed.status && !s->has_batch && !s->is_done) {
        if (!s->conn)
            return gr_error_set(err, GR_ERR_INTERNAL, "the stream was closed by a later statement of its connection");
        (void)!read_batch(s, NULL);
    }
    if (s->failed.status) {
        if (err) *err = s->failed;
        return s->failed.status;
    }
    *ret = s->has_batch ? &s->batch : NULL;
    s->has_batch = false;
    return GR_OK;
}

static void close_stream(gr_stream *base) {
    if (!base) return;
    gr_postgres_stream *s = (gr_postgres_stream *)(void *)base;
    let_go(s, true);
    gr_engine_postgres_reader_free(s->reader);
    gr_arena_free(s->arena);
    free(s);
}

gr_status gr_engine_postgres_stream_open(gr_postgres_conn *conn, const gr_postgres_wait *wait, PGresult *first,
                                         gr_stream **ret, gr_error *err) {
    gr_postgres_stream *s = gr_mem_calloc(1, sizeof *s);
    gr_column_schema *schema;
    Oid unknown;
    s->arena = gr_arena_new();
    s->conn = conn;
    s->wait = *wait;
    conn->open = s;
    gr_status status = gr_engine_postgres_schema(conn, first, s->arena, &schema, &unknown, &s->failed);
    if (status) {
        PQclear(first);
    } else {
        s->reader = gr_engine_postgres_reader_new(conn, schema, first);
        s->base = (gr_stream){schema, (size_t)PQnfields(first), next, close_stream};
        status = read_batch(s, first);
    }
    if (status) {
        if (err) *err = s->failed;
        close_stream(&s->base);
        return status;
    }
    *ret = &s->base;
    return GR_OK;
}

void gr_engine_postgres_stream_detach(gr_postgres_conn *conn) {
    if (!conn->open) return;
    conn->open->has_batch = false;
    let_go(conn->open, true);
}
