/* Statements: text to prepared statement, values to its parameters, and the small cache of each connection.
 * Invariant: a prepared statement is touched only when its prepare succeeded (asking a failed one for its type ends the
 * process); the cache holds at most GR_DUCKDB_CACHED statements, all of this connection. */
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

gr_status gr_engine_duckdb_prepare(duckdb_connection handle, gr_str sql, duckdb_prepared_statement *prepared,
                                   gr_error *err) {
    if (sql.n > GR_DUCKDB_SQL_BYTES)
        return gr_error_set(err, GR_ERR_LIMIT, "a statement of %zu bytes is longer than %d", sql.n,
                            GR_DUCKDB_SQL_BYTES);
    if (sql.n && memchr(sql.p, 0, sql.n)) return gr_error_set(err, GR_ERR_ENGINE_SQL, "the statement holds a NUL byte");
    char *text = gr_mem_dup(sql.p, sql.n);
    duckdb_prepared_statement statement = NULL;
    gr_status status = GR_OK;
    if (duckdb_prepare(handle, text, &statement) != DuckDBSuccess) {
        status = gr_engine_duckdb_fail(DUCKDB_ERROR_INVALID, duckdb_prepare_error(statement), err);
        duckdb_destroy_prepare(&statement);
    } else {
        *prepared = statement;
    }
    free(text);
    return status;
}

static duckdb_state bind_one(duckdb_prepared_statement prepared, idx_t at, const gr_value *value, bool *ret_is_known) {
    *ret_is_known = true;
    switch (value->type) {
    case GR_TYPE_NULL: return duckdb_bind_null(prepared, at);
    case GR_TYPE_BOOL: return duckdb_bind_boolean(prepared, at, value->as.b);
    case GR_TYPE_INT64: return duckdb_bind_int64(prepared, at, value->as.i);
    case GR_TYPE_FLOAT64: return duckdb_bind_double(prepared, at, value->as.d);
    case GR_TYPE_UTF8:
        return duckdb_bind_varchar_length(prepared, at, value->as.s.p ? value->as.s.p : "", value->as.s.n);
    case GR_TYPE_DATE:
        if (value->as.i <= -INT32_MAX || value->as.i >= INT32_MAX) return DuckDBError;
        return duckdb_bind_date(prepared, at, (duckdb_date){(int32_t)value->as.i});
    case GR_TYPE_TIMESTAMP: return duckdb_bind_timestamp(prepared, at, (duckdb_timestamp){value->as.i});
    case GR_TYPE_TIMESTAMPTZ: return duckdb_bind_timestamp_tz(prepared, at, (duckdb_timestamp){value->as.i});
    case GR_TYPE_DECIMAL:
    case GR_TYPE_BINARY:
    case GR_TYPE__COUNT: break;
    }
    *ret_is_known = false;
    return DuckDBError;
}

gr_status gr_engine_duckdb_bind(duckdb_prepared_statement prepared, const gr_value *params, size_t n_params,
                                gr_error *err) {
    size_t wanted = (size_t)duckdb_nparams(prepared);
    if (wanted != n_params)
        return gr_error_set(err, GR_ERR_ENGINE_SQL, "the statement takes %zu values and %zu were given", wanted,
                            n_params);
    duckdb_clear_bindings(prepared);
    for (size_t i = 0; i < n_params; i++) {
        bool is_known;
        if (bind_one(prepared, i + 1, &params[i], &is_known) == DuckDBSuccess) continue;
        if (!is_known) return gr_error_set(err, GR_ERR_INTERNAL, "value %zu is of a type that is not bound", i + 1);
        gr_error_set(err, GR_ERR_ENGINE_DATA, "value %zu cannot be bound", i + 1);
        gr_error_hint(err, "texts are UTF-8, and dates lie between the years -5877641 and 5881580");
        return GR_ERR_ENGINE_DATA;
    }
    return GR_OK;
}

gr_duckdb_statement *gr_engine_duckdb_cached(gr_duckdb_conn *conn, gr_str sql) {
    uint64_t hash = gr_str_hash(sql);
    for (size_t i = 0; i < GR_DUCKDB_CACHED; i++) {
        gr_duckdb_statement *s = &conn->cached[i];
        if (!s->sql || s->hash != hash || !gr_str_eq((gr_str){s->sql, s->n}, sql)) continue;
        s->used_at = ++conn->tick;
        return s;
    }
    return NULL;
}

void gr_engine_duckdb_uncache(gr_duckdb_statement *statement) {
    if (!statement->sql) return;
    duckdb_destroy_prepare(&statement->prepared);
    free(statement->sql);
    *statement = (gr_duckdb_statement){0};
}

void gr_engine_duckdb_cache(gr_duckdb_conn *conn, gr_str sql, duckdb_prepared_statement prepared) {
    gr_duckdb_statement *oldest = &conn->cached[0];
    for (size_t i = 0; i < GR_DUCKDB_CACHED && oldest->sql; i++)
        if (!conn->cached[i].sql || conn->cached[i].used_at < oldest->used_at) oldest = &conn->cached[i];
    gr_engine_duckdb_uncache(oldest);
    *oldest = (gr_duckdb_statement){gr_mem_dup(sql.p, sql.n), sql.n, gr_str_hash(sql), ++conn->tick, prepared};
}

void gr_engine_duckdb_forget(gr_engine_conn *base) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    for (size_t i = 0; i < GR_DUCKDB_CACHED; i++) gr_engine_duckdb_uncache(&conn->cached[i]);
}

gr_status gr_engine_duckdb_run(duckdb_connection handle, gr_str sql, gr_error *err) {
    char *text = gr_mem_dup(sql.p, sql.n);
    duckdb_result result;
    gr_status status = GR_OK;
    if (duckdb_query(handle, text, &result) != DuckDBSuccess) status = gr_engine_duckdb_fail_result(&result, err);
    duckdb_destroy_result(&result);
    free(text);
    return status;
}

static void read_texts(duckdb_data_chunk chunk, size_t n_columns, gr_arena *arena, gr_str *cells) {
    size_t n_rows = (size_t)duckdb_data_chunk_get_size(chunk);
    for (size_t c = 0; c < n_columns; c++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, c);
        duckdb_string_t *strings = duckdb_vector_get_data(vector);
        uint64_t *validity = duckdb_vector_get_validity(vector);
        for (size_t r = 0; r < n_rows; r++) {
            if (validity && !duckdb_validity_row_is_valid(validity, r)) continue;
            gr_str text = {duckdb_string_t_data(&strings[r]), duckdb_string_t_length(strings[r])};
            cells[r * n_columns + c] = gr_arena_dup(arena, text);
        }
    }
}

gr_status gr_engine_duckdb_texts(duckdb_connection handle, gr_str sql, gr_arena *arena, gr_str **ret, size_t *ret_rows,
                                 size_t *ret_columns, gr_error *err) {
    char *text = gr_mem_dup(sql.p, sql.n);
    duckdb_result result;
    gr_status status = GR_OK;
    if (duckdb_query(handle, text, &result) != DuckDBSuccess) status = gr_engine_duckdb_fail_result(&result, err);
    free(text);
    size_t n_columns = status ? 0 : (size_t)duckdb_column_count(&result);
    for (size_t c = 0; c < n_columns && !status; c++)
        if (duckdb_column_type(&result, c) != DUCKDB_TYPE_VARCHAR)
            status = gr_error_set(err, GR_ERR_INTERNAL, "column %zu is not text", c + 1);
    GR_VEC(gr_str) cells = {0};
    for (duckdb_data_chunk chunk; !status && (chunk = duckdb_fetch_chunk(result));) {
        size_t before = cells.n, added = (size_t)duckdb_data_chunk_get_size(chunk) * n_columns;
        for (size_t i = 0; i < added; i++) GR_PUSH(arena, &cells, (gr_str){0});
        if (added) read_texts(chunk, n_columns, arena, cells.v + before);
        duckdb_destroy_data_chunk(&chunk);
    }
    duckdb_destroy_result(&result);
    if (status) return status;
    *ret = cells.v;
    *ret_columns = n_columns;
    *ret_rows = n_columns ? cells.n / n_columns : 0;
    return GR_OK;
}

/* An interrupt meant for the statement that failed may still hit this one: then once more. */
void gr_engine_duckdb_rollback(duckdb_connection handle) {
    for (int tries = 0; tries < 100; tries++) {
        duckdb_result result;
        bool is_interrupted = duckdb_query(handle, "ROLLBACK", &result) != DuckDBSuccess &&
                              duckdb_result_error_type(&result) == DUCKDB_ERROR_INTERRUPT;
        duckdb_destroy_result(&result);
        if (!is_interrupted) return;
    }
}

static void add_quoted(gr_buf *out, char quote, gr_str text) {
    gr_buf_char(out, quote);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == quote) gr_buf_char(out, quote);
        gr_buf_char(out, text.p[i]);
    }
    gr_buf_char(out, quote);
}

void gr_engine_duckdb_add_name(gr_buf *out, gr_str name) { add_quoted(out, '"', name); }
void gr_engine_duckdb_add_literal(gr_buf *out, gr_str text) { add_quoted(out, '\'', text); }
