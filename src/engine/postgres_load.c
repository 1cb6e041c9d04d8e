/* Batches into a table, by COPY … FROM STDIN (FORMAT binary), in one transaction.
 *
 *   header 11 + 4 + 4 bytes, then for each row: int16 columns, for each: int32 length (-1: null), value; int16 -1
 *
 * All integers are big-endian; times count from 2000; a numeric is digits of base 10,000 with a weight. libpq does not
 * block: while the server is not ready to take more, cancel and deadline are looked at. */
#include "engine/postgres_internal.h"

#include "base/mem.h"

#include <poll.h>

enum { DAYS_TO_2000 = 10957, SENT_BYTES = 1 << 18, TICK_US = 100 * 1000, WAIT_MS = 10 };
#define MICROS_TO_2000 INT64_C(946684800000000)

typedef struct loader {
    gr_postgres_conn *conn;
    const gr_engine_load *load;
    gr_stream *rows;
    gr_arena *arena;
    gr_postgres_wait wait;
    gr_buf out;
    int64_t n_rows, n_bytes, told_us;
} loader;

/* ---- statements ----------------------------------------------------------------------------------------------------
 */

static gr_status run(loader *l, gr_str sql, ExecStatusType expected, gr_error *err) {
    PGconn *pg = l->conn->pg->conn;
    gr_str text = gr_arena_dup(l->arena, sql);
    PGresult *result = PQsendQuery(pg, text.p) ? gr_engine_postgres_wait_next(l->conn, &l->wait) : NULL;
    gr_status status = GR_OK;
    if (PQresultStatus(result) != expected) status = gr_engine_postgres_fail(l->conn, result, l->wait.fired, err);
    PQclear(result);
    if (!status && expected == PGRES_COMMAND_OK) gr_engine_postgres_drain(l->conn, false);
    return status;
}

static gr_str table_text(const loader *l) {
    gr_str name = gr_pg_identifier(l->load->name, l->arena);
    if (l->load->is_temporary) return gr_arena_printf(l->arena, "pg_temp." GR_FMT, GR_ARG(name));
    if (!l->load->schema.n) return name;
    return gr_arena_printf(l->arena, GR_FMT "." GR_FMT, GR_ARG(gr_pg_identifier(l->load->schema, l->arena)),
                           GR_ARG(name));
}

static gr_str type_text(const gr_column_schema *s, gr_arena *arena) {
    static const char *const names[GR_TYPE__COUNT] = {
        [GR_TYPE_NULL] = "text",       [GR_TYPE_BOOL] = "boolean",        [GR_TYPE_INT64] = "bigint",
        [GR_TYPE_DECIMAL] = "numeric", [GR_TYPE_UTF8] = "text",           [GR_TYPE_FLOAT64] = "double precision",
        [GR_TYPE_DATE] = "date",       [GR_TYPE_TIMESTAMP] = "timestamp", [GR_TYPE_TIMESTAMPTZ] = "timestamptz",
        [GR_TYPE_BINARY] = "bytea",
    };
    if (s->type == GR_TYPE_DECIMAL && s->precision)
        return gr_arena_printf(arena, "numeric(%d, %d)", s->precision, s->scale);
    return gr_str_from(names[s->type]);
}

static gr_status make_table(loader *l, gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 24);
    gr_str table = table_text(l), text;
    if (l->load->is_temporary) {
        gr_str drop = gr_arena_printf(l->arena, "DROP TABLE IF EXISTS " GR_FMT, GR_ARG(table));
        GR_TRY(run(l, drop, PGRES_COMMAND_OK, err));
    }
    gr_buf_printf(&sql, "CREATE TABLE " GR_FMT " (", GR_ARG(table));
    for (size_t i = 0; i < l->rows->n_columns; i++) {
        gr_str name = l->load->columns ? l->load->columns[i] : l->rows->schema[i].name;
        gr_buf_printf(&sql, "%s" GR_FMT " " GR_FMT, i ? ", " : "", GR_ARG(gr_pg_identifier(name, l->arena)),
                      GR_ARG(type_text(&l->rows->schema[i], l->arena)));
    }
    gr_buf_char(&sql, ')');
    gr_status status = gr_buf_finish(&sql, &text) ? run(l, text, PGRES_COMMAND_OK, err)
                                                  : gr_error_set(err, GR_ERR_LIMIT, "the table has too many columns");
    gr_buf_done(&sql);
    return status;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------
 */

static void put_integer(gr_buf *out, uint64_t v, size_t n) {
    char bytes[8];
    for (size_t i = 0; i < n; i++) bytes[i] = (char)(v >> (8 * (n - 1 - i)));
    gr_buf_add(out, (gr_str){bytes, n});
}

static void put_value(gr_buf *out, uint64_t v, size_t n) {
    put_integer(out, n, 4);
    put_integer(out, v, n);
}

/* The point stands between two digits of base 10,000: the number is first brought to a multiple of four decimals. */
static void put_numeric(gr_buf *out, __int128 value, uint8_t scale) {
    enum { BASE = 10000, MOST = 16 };
    uint16_t digits[MOST];
    unsigned __int128 v = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    size_t n = 0, n_after = (size_t)(scale + 3) / 4, first = 0;
    unsigned shift = (unsigned)(4 * n_after - scale), low = 1; /* 0 to 3 zeros behind the last digit */
    for (unsigned i = 0; i < shift; i++) low *= 10;
    if (shift) { /* the lowest digit by itself, so that nothing overflows */
        unsigned part = BASE / low;
        digits[n++] = (uint16_t)((unsigned)(v % part) * low);
        v /= part;
    }
    for (; v; v /= BASE) digits[n++] = (uint16_t)(v % BASE);
    int weight = (int)n - (int)n_after - 1;
    while (n && !digits[n - 1]) n--, weight--;
    while (first < n && !digits[first]) first++;
    put_integer(out, 8 + 2 * (n - first), 4);
    put_integer(out, n - first, 2);
    put_integer(out, (uint64_t)(n > first ? weight : 0), 2);
    put_integer(out, value < 0 && n > first ? 0x4000 : 0, 2);
    put_integer(out, scale, 2);
    for (size_t i = n; i-- > first;) put_integer(out, digits[i], 2);
}

static void put_cell(gr_buf *out, const gr_column *c, size_t row) {
    if (gr_column_is_null(c, row)) {
        put_integer(out, UINT32_MAX, 4);
        return;
    }
    switch (c->type) {
    case GR_TYPE_BOOL: put_value(out, ((const uint8_t *)c->data)[row], 1); break;
    case GR_TYPE_INT64:
    case GR_TYPE_FLOAT64: put_value(out, ((const uint64_t *)c->data)[row], 8); break;
    case GR_TYPE_DATE: put_value(out, (uint32_t)(((const int32_t *)c->data)[row] - DAYS_TO_2000), 4); break;
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: put_value(out, ((const uint64_t *)c->data)[row] - (uint64_t)MICROS_TO_2000, 8); break;
    case GR_TYPE_DECIMAL: put_numeric(out, ((const __int128 *)c->data)[row], c->scale); break;
    case GR_TYPE_UTF8:
    case GR_TYPE_BINARY: {
        gr_str text = gr_column_text(c, row);
        put_integer(out, text.n, 4);
        gr_buf_add(out, text);
        break;
    }
    case GR_TYPE_NULL:
    case GR_TYPE__COUNT: break;
    }
}

/* Waits until the server takes more; what it says meanwhile is the end of the COPY. */
static gr_status wait_for_room(loader *l, gr_error *err) {
    PGconn *pg = l->conn->pg->conn;
    struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN | POLLOUT};
    gr_status fired = gr_engine_postgres_wait_look(l->conn, &l->wait);
    if (fired) return gr_engine_postgres_fail(l->conn, NULL, fired, err);
    if (fd.fd < 0 || poll(&fd, 1, WAIT_MS) < 0 || ((fd.revents & POLLIN) && !PQconsumeInput(pg)))
        return gr_engine_postgres_fail(l->conn, NULL, GR_OK, err);
    return GR_OK;
}

static gr_status send(loader *l, gr_error *err) {
    PGconn *pg = l->conn->pg->conn;
    gr_str bytes = gr_buf_str(&l->out);
    int is_sent;
    if (l->out.is_over) return gr_error_set(err, GR_ERR_LIMIT, "a row of more than 1 GiB");
    while ((is_sent = PQputCopyData(pg, bytes.p, (int)bytes.n)) == 0) GR_TRY(wait_for_room(l, err));
    if (is_sent < 0) return gr_engine_postgres_fail(l->conn, NULL, GR_OK, err);
    int left;
    while ((left = PQflush(pg)) == 1) GR_TRY(wait_for_room(l, err));
    l->n_bytes += (int64_t)bytes.n;
    gr_buf_reset(&l->out);
    return left < 0 ? gr_engine_postgres_fail(l->conn, NULL, GR_OK, err) : GR_OK;
}

static gr_status look(loader *l, gr_error *err) {
    int64_t now = gr_clock_mono_us();
    if (l->load->on_rows && now - l->told_us >= TICK_US) {
        l->told_us = now;
        l->load->on_rows(l->load->arg, l->n_rows, l->n_bytes);
    }
    gr_status fired = gr_engine_postgres_wait_look(l->conn, &l->wait);
    return fired ? gr_engine_postgres_fail(l->conn, NULL, fired, err) : GR_OK;
}

static gr_status put_rows(loader *l, gr_error *err) {
    static const char header[19] = "PGCOPY\n\377\r\n\0";
    const gr_batch *batch;
    gr_buf_add(&l->out, (gr_str){header, sizeof header});
    for (;;) {
        GR_TRY(l->rows->next(l->rows, &batch, err));
        if (!batch) break;
        for (size_t row = 0; row < batch->n_rows; row++) {
            put_integer(&l->out, batch->n_columns, 2);
            for (size_t i = 0; i < batch->n_columns; i++) put_cell(&l->out, &batch->columns[i], row);
            if (l->out.n >= SENT_BYTES) GR_TRY(send(l, err));
        }
        l->n_rows += (int64_t)batch->n_rows;
        GR_TRY(look(l, err));
    }
    put_integer(&l->out, UINT16_MAX, 2);
    return send(l, err);
}

/* The server's word on what was sent: its complaint goes before ours. */
static gr_status end_copy(loader *l, gr_status status, gr_error *err) {
    PGconn *pg = l->conn->pg->conn;
    int is_sent;
    while ((is_sent = PQputCopyEnd(pg, status ? "given up" : NULL)) == 0)
        if (wait_for_room(l, NULL)) break;
    while (is_sent == 1 && PQflush(pg) == 1)
        if (wait_for_room(l, NULL)) break;
    PQsetnonblocking(pg, 0);
    PGresult *result = gr_engine_postgres_wait_next(l->conn, &l->wait);
    bool is_ours = status && !gr_engine_postgres_is_lost(l->conn) && status != GR_ERR_ENGINE_IO;
    if (!is_ours && PQresultStatus(result) != PGRES_COMMAND_OK)
        status = gr_engine_postgres_fail(l->conn, result, l->wait.fired, err);
    PQclear(result);
    gr_engine_postgres_drain(l->conn, false);
    return status;
}

static gr_status copy(loader *l, gr_error *err) {
    gr_str sql = gr_arena_printf(l->arena, "COPY " GR_FMT " FROM STDIN (FORMAT binary)", GR_ARG(table_text(l)));
    GR_TRY(run(l, sql, PGRES_COPY_IN, err));
    PQsetnonblocking(l->conn->pg->conn, 1);
    return end_copy(l, put_rows(l, err), err);
}

gr_status gr_engine_postgres_load(gr_engine_conn *base, const gr_ctx *ctx, const gr_engine_load *load, gr_stream *rows,
                                  int64_t *ret_rows, gr_error *err) {
    gr_postgres_conn *conn = (gr_postgres_conn *)(void *)base;
    loader l = {.conn = conn, .load = load, .rows = rows, .arena = gr_arena_new()};
    atomic_store(&conn->is_interrupted, false);
    gr_engine_postgres_stream_detach(conn);
    gr_buf_init(&l.out, 1 << 30);
    gr_status status = gr_engine_postgres_wait_begin(&l.wait, ctx, err);
    if (!status) status = gr_engine_postgres_revive(conn, err);
    if (!status) status = run(&l, GR_STR("BEGIN READ WRITE"), PGRES_COMMAND_OK, err);
    if (!status) status = make_table(&l, err);
    if (!status) status = copy(&l, err);
    if (!status) status = run(&l, GR_STR("COMMIT"), PGRES_COMMAND_OK, err);
    if (status) {
        gr_engine_postgres_drain(conn, true);
        gr_engine_postgres_rollback(conn);
    }
    gr_buf_done(&l.out);
    gr_arena_free(l.arena);
    if (!status && load->on_rows) load->on_rows(load->arg, l.n_rows, l.n_bytes);
    if (ret_rows) *ret_rows = l.n_rows;
    return status;
}
