/* Running statements: rows as a stream of blocks, changes, and the types of a SELECT without running it.
 *
 * A stream reads its first block when it is opened, so that it knows its columns; an answer without any block has no
 * rows, and its columns are asked for (DESCRIBE). A statement that fails after its first rows ends in a text that says
 * why; whatever is no block, or not all of one, is an error. Invariant: a connection has at most one unfinished stream;
 * whoever runs something else on it detaches the stream first. */
#include "engine/clickhouse_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct gr_clickhouse_stream {
    gr_stream base;
    gr_clickhouse_conn *conn; /* NULL once nothing is under way for it */
    gr_arena *arena;
    gr_clickhouse_request request;
    gr_clickhouse_reader *reader;
    size_t taken, tried; /* bytes of the body: read already; that were not enough for a block */
    gr_batch batch;
    bool has_batch, is_done;
    gr_error failed; /* said again at every later call */
};

static void let_go(gr_clickhouse_stream *s) {
    if (!s->conn) return;
    gr_engine_clickhouse_end(&s->request);
    s->conn->open = NULL;
    s->conn = NULL;
}

/* A block that is not whole is not looked at again before there is half as much more of it. */
static bool is_worth_a_try(const gr_clickhouse_stream *s) {
    size_t have = s->request.body.n - s->taken;
    return s->request.is_done ? have > 0 : have > s->tried + s->tried / 2;
}

static void drop_taken(gr_clickhouse_stream *s) {
    gr_buf *body = &s->request.body;
    if (!s->taken || (s->taken < body->n && s->taken < (1 << 20))) return;
    memmove(body->p, body->p + s->taken, body->n - s->taken);
    body->n -= s->taken;
    s->taken = 0;
}

/* What stands where a block should be: the server's last words, or nothing that is known. */
static gr_status last_words(gr_clickhouse_stream *s) {
    gr_error own = {0};
    gr_status status = GR_OK;
    while (!status && !s->request.is_done) status = gr_engine_clickhouse_pump(&s->request, &own);
    gr_str rest = gr_str_sub(gr_buf_str(&s->request.body), s->taken, s->request.body.n - s->taken);
    size_t at = gr_str_find_str(rest, GR_STR("Code: "));
    bool is_known = !status && at != SIZE_MAX && gr_str_find_str(rest, GR_STR("DB::Exception")) != SIZE_MAX;
    if (is_known) return gr_engine_clickhouse_fail(s->conn, gr_str_sub(rest, at, rest.n - at), &s->failed);
    if (status) s->failed = own;
    return s->failed.status;
}

static gr_status read_block(gr_clickhouse_stream *s) {
    gr_error *err = &s->failed;
    size_t used = 0;
    s->has_batch = false;
    drop_taken(s);
    while (!s->is_done && !s->has_batch) {
        if (is_worth_a_try(s)) {
            gr_str bytes = gr_str_sub(gr_buf_str(&s->request.body), s->taken, s->request.body.n - s->taken);
            if (gr_engine_clickhouse_reader_read(s->reader, bytes, &used, &s->batch, err)) return last_words(s);
            s->tried = used ? 0 : bytes.n;
            s->taken += used;
            s->has_batch = used && s->batch.n_rows;
            if (used) continue;
        }
        if (s->request.is_done && s->taken < s->request.body.n) {
            gr_error_set(err, GR_ERR_ENGINE_IO, "%s: the answer ends in the middle", s->conn->what);
            return last_words(s);
        }
        s->is_done = s->request.is_done;
        if (!s->is_done) GR_TRY(gr_engine_clickhouse_pump(&s->request, err));
    }
    return GR_OK;
}

static gr_status next(gr_stream *base, const gr_batch **ret, gr_error *err) {
    gr_clickhouse_stream *s = (gr_clickhouse_stream *)(void *)base;
    if (!s->failed.status && !s->has_batch && !s->is_done) {
        if (!s->conn)
            return gr_error_set(err, GR_ERR_INTERNAL, "the stream was closed by a later statement of its connection");
        gr_status status = read_block(s);
        if (status || s->is_done) let_go(s);
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
    gr_clickhouse_stream *s = (gr_clickhouse_stream *)(void *)base;
    if (!s) return;
    let_go(s);
    gr_engine_clickhouse_reader_free(s->reader);
    gr_arena_free(s->arena);
    free(s);
}

void gr_engine_clickhouse_stream_detach(gr_clickhouse_conn *conn) {
    if (!conn->open) return;
    conn->open->has_batch = false;
    let_go(conn->open);
}

/* ---- query ---------------------------------------------------------------------------------------------------------
 */

/* Whatever the model says stands inside of a SELECT: nothing else is sent as a query. */
static bool is_select(gr_str sql) {
    sql = gr_str_trim(sql);
    while (sql.n && sql.p[0] == '(') sql = gr_str_trim(gr_str_sub(sql, 1, sql.n - 1));
    static const char *const words[] = {"select", "with", "describe", "desc", "show", "exists"};
    size_t n = 0;
    while (n < sql.n && isalpha((unsigned char)sql.p[n])) n++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (gr_str_eq_nocase(gr_str_sub(sql, 0, n), gr_str_from(words[i]))) return true;
    return false;
}

static gr_str without_semicolon(gr_str sql) {
    sql = gr_str_trim(sql);
    while (sql.n && sql.p[sql.n - 1] == ';') sql = gr_str_trim(gr_str_sub(sql, 0, sql.n - 1));
    return sql;
}

static gr_status open_stream(gr_clickhouse_conn *conn, const gr_ctx *ctx, gr_str sql, gr_clickhouse_stream **ret,
                             gr_error *err) {
    gr_clickhouse_stream *s = gr_mem_calloc(1, sizeof *s);
    s->arena = gr_arena_new();
    s->conn = conn;
    s->reader = gr_engine_clickhouse_reader_new(conn, s->arena);
    s->request.has_rows = true;
    gr_status status = gr_engine_clickhouse_send(&s->request, conn, ctx, without_semicolon(sql), &s->failed);
    if (status) {
        s->conn = NULL;
    } else {
        conn->open = s;
        status = read_block(s);
        if (status || s->is_done) let_go(s);
    }
    if (status && err) *err = s->failed;
    if (status)
        close_stream(&s->base);
    else
        *ret = s;
    return status;
}

typedef GR_VEC(gr_column_schema) schema_vec;

/* Rows of DESCRIBE: a name and a type each. */
static gr_status take_columns(const gr_clickhouse_conn *conn, const gr_batch *batch, gr_arena *arena, schema_vec *out,
                              gr_error *err) {
    for (size_t i = 0; i < batch->n_rows; i++) {
        gr_clickhouse_type type;
        gr_str name = gr_arena_dup(arena, gr_column_text(&batch->columns[0], i)),
               of = gr_arena_dup(arena, gr_column_text(&batch->columns[1], i));
        if (!gr_engine_clickhouse_type(of, arena, &type)) {
            gr_error_set(err, GR_ERR_ENGINE_DATA, "%s: results cannot carry column \"" GR_FMT "\" of type " GR_FMT,
                         conn->what, GR_ARG(name), GR_ARG(of));
            gr_error_hint(err, "write toString(…), or another type that fits, in the model");
            return GR_ERR_ENGINE_DATA;
        }
        GR_PUSH(arena, out, gr_engine_clickhouse_schema(name, &type));
    }
    return GR_OK;
}

/* Name and type of each column, by DESCRIBE, whose answer has rows. */
static gr_status ask_columns(gr_clickhouse_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                             size_t *ret_n, gr_error *err) {
    gr_clickhouse_stream *s;
    gr_str text = gr_arena_printf(arena, "DESCRIBE TABLE (" GR_FMT ")", GR_ARG(without_semicolon(sql)));
    schema_vec columns = {0};
    GR_TRY(open_stream(conn, NULL, text, &s, err));
    const gr_batch *batch = NULL;
    gr_status status = next(&s->base, &batch, err);
    while (!status && batch) {
        status = take_columns(conn, batch, arena, &columns, err);
        if (!status) status = next(&s->base, &batch, err);
    }
    close_stream(&s->base);
    *ret = columns.v;
    *ret_n = columns.n;
    return status;
}

gr_status gr_engine_clickhouse_columns(gr_clickhouse_conn *conn, gr_str sql, gr_arena *arena, gr_str *ret,
                                       gr_error *err) {
    gr_clickhouse_stream *s;
    gr_str text = gr_arena_printf(arena, "DESCRIBE TABLE (" GR_FMT ")", GR_ARG(without_semicolon(sql))), all = {0};
    atomic_store(&conn->is_interrupted, false);
    gr_engine_clickhouse_stream_detach(conn);
    GR_TRY(open_stream(conn, NULL, text, &s, err));
    const gr_batch *batch = NULL;
    gr_status status = next(&s->base, &batch, err);
    while (!status && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            gr_str name = gr_engine_clickhouse_quote(gr_column_text(&batch->columns[0], i), '`', arena);
            gr_str type = gr_engine_clickhouse_plain_type(gr_column_text(&batch->columns[1], i));
            all = gr_arena_printf(arena, GR_FMT "%s" GR_FMT " " GR_FMT, GR_ARG(all), all.n ? ", " : "", GR_ARG(name),
                                  GR_ARG(type));
        }
        status = next(&s->base, &batch, err);
    }
    close_stream(&s->base);
    if (!status) *ret = all;
    return status;
}

gr_status gr_engine_clickhouse_query(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                     size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    (void)hint_cache; /* there is nothing to keep */
    gr_clickhouse_stream *s = NULL;
    gr_arena *arena = gr_arena_new();
    gr_str text;
    atomic_store(&conn->is_interrupted, false);
    gr_engine_clickhouse_stream_detach(conn);
    gr_status status = gr_engine_clickhouse_with_values(sql, params, n_params, arena, &text, err);
    if (!status && !is_select(text))
        status = gr_error_set(err, GR_ERR_ENGINE_SQL, "only a statement that reads rows can be run as a query");
    if (!status) status = open_stream(conn, ctx, text, &s, err);
    if (!status) {
        size_t n = 0;
        const gr_column_schema *schema = gr_engine_clickhouse_reader_schema(s->reader, &n);
        gr_column_schema *asked;
        if (!schema && !(status = ask_columns(conn, text, s->arena, &asked, &n, err))) schema = asked;
        s->base = (gr_stream){schema, n, next, close_stream};
        if (status)
            close_stream(&s->base);
        else
            *ret = &s->base;
    }
    gr_arena_free(arena);
    return status;
}

gr_status gr_engine_clickhouse_describe(gr_engine_conn *base, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                        size_t *ret_n, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    atomic_store(&conn->is_interrupted, false);
    gr_engine_clickhouse_stream_detach(conn);
    if (!is_select(sql))
        return gr_error_set(err, GR_ERR_ENGINE_SQL, "only a statement that reads rows can be run as a query");
    return ask_columns(conn, sql, arena, ret, ret_n, err);
}

/* ---- update --------------------------------------------------------------------------------------------------------
 */

gr_status gr_engine_clickhouse_update(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                      size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                                      int64_t *ret_rows, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    gr_clickhouse_request r = {.on_tick = on_progress, .arg = arg};
    gr_arena *arena = gr_arena_new();
    gr_str text;
    if (ret_rows) *ret_rows = 0; /* it does not say */
    atomic_store(&conn->is_interrupted, false);
    gr_engine_clickhouse_stream_detach(conn);
    gr_status status = gr_engine_clickhouse_with_values(sql, params, n_params, arena, &text, err);
    if (!status) status = gr_engine_clickhouse_send(&r, conn, ctx, without_semicolon(text), err);
    while (!status && !r.is_done) status = gr_engine_clickhouse_pump(&r, err);
    gr_engine_clickhouse_end(&r);
    gr_arena_free(arena);
    return status;
}
