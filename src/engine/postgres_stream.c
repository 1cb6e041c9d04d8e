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
    bool is_copy, has_header;
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

/* One row of a COPY: the header of all comes with the first. */
static gr_status read_copied(gr_postgres_stream *s) {
    enum { HEADER = 19, END = 2 };
    char *row = NULL;
    int n = gr_engine_postgres_wait_copied(s->conn, &s->wait, &row);
    if (n < 0) {
        PGresult *result = gr_engine_postgres_wait_next(s->conn, &s->wait);
        gr_status status = fail_with(s, result);
        PQclear(result);
        return status;
    }
    if (n == 0) {
        PGresult *result = gr_engine_postgres_wait_next(s->conn, &s->wait);
        bool is_good = PQresultStatus(result) == PGRES_COMMAND_OK;
        gr_status status = is_good ? GR_OK : fail_with(s, result);
        PQclear(result);
        s->is_done = is_good;
        return status;
    }
    size_t from = !s->has_header && n >= HEADER ? HEADER : 0, left = (size_t)n - from;
    s->has_header = true;
    bool is_end = left == 0 || (left == END && memcmp(row + from, "\377\377", END) == 0);
    gr_status status = is_end ? GR_OK : gr_engine_postgres_reader_add_copied(s->reader, row + from, left, &s->failed);
    PQfreemem(row);
    return status;
}

/* Rows until the batch is full or the result ends. Takes `result`, which may be NULL: none was read yet. */
static gr_status read_batch(gr_postgres_stream *s, PGresult *result) {
    gr_status status = GR_OK;
    gr_engine_postgres_reader_begin(s->reader);
    if (gr_engine_postgres_wait_look(s->conn, &s->wait)) status = fail_with(s, NULL);
    while (!status && !s->is_done && !gr_engine_postgres_reader_is_full(s->reader)) {
        if (s->is_copy) {
            status = read_copied(s);
            continue;
        }
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

static gr_status open_stream(gr_postgres_conn *conn, const gr_postgres_wait *wait, const PGresult *columns,
                             PGresult *first, gr_stream **ret, gr_error *err) {
    gr_postgres_stream *s = gr_mem_calloc(1, sizeof *s);
    gr_column_schema *schema;
    Oid unknown;
    s->arena = gr_arena_new();
    s->conn = conn;
    s->wait = *wait;
    s->is_copy = !first;
    conn->open = s;
    gr_status status = gr_engine_postgres_schema(conn, columns, s->arena, &schema, &unknown, &s->failed);
    if (status) {
        PQclear(first);
    } else {
        s->reader = gr_engine_postgres_reader_new(conn, schema, columns);
        s->base = (gr_stream){schema, (size_t)PQnfields(columns), next, close_stream};
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

gr_status gr_engine_postgres_stream_open(gr_postgres_conn *conn, const gr_postgres_wait *wait, PGresult *first,
                                         gr_stream **ret, gr_error *err) {
    return open_stream(conn, wait, first, first, ret, err);
}

gr_status gr_engine_postgres_stream_copy(gr_postgres_conn *conn, const gr_postgres_wait *wait,
                                         const PGresult *described, gr_stream **ret, gr_error *err) {
    return open_stream(conn, wait, described, NULL, ret, err);
}

void gr_engine_postgres_stream_detach(gr_postgres_conn *conn) {
    if (!conn->open) return;
    conn->open->has_batch = false;
    let_go(conn->open, true);
}
