/* Batches into a table, by the engine's appender: a batch is cut into chunks, whose columns are copied.
 *
 *   decimals whose scale is not declared: DECIMAL(38, 10) in every table, because the engine rounds where decimals of
 *   different scales meet in a union (docs/decisions/0017). A column that does not fit becomes DOUBLE, from its first
 *   such batch on (ALTER … TYPE): a union of the two is DOUBLE.
 *
 * Invariant: no decimal is rounded to another decimal. */
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <stdlib.h>

enum { DECIMAL_DIGITS = 38, OPEN_SCALE = 10, TICK_US = 100 * 1000 };

typedef struct loader {
    gr_duckdb_conn *conn;
    const gr_ctx *ctx;
    const gr_engine_load *load;
    gr_stream *rows;
    gr_arena *arena;
    duckdb_logical_type *types; /* by column; owned */
    uint8_t *scales, *widths;   /* of decimals */
    bool *is_floating;          /* decimals that did not fit */
    duckdb_appender appender;   /* NULL: none yet */
    duckdb_data_chunk chunk;
    int64_t n_rows, n_bytes, told_us;
} loader;

static const duckdb_type types_of[GR_TYPE__COUNT] = {
    [GR_TYPE_NULL] = DUCKDB_TYPE_INTEGER,
    [GR_TYPE_BOOL] = DUCKDB_TYPE_BOOLEAN,
    [GR_TYPE_INT64] = DUCKDB_TYPE_BIGINT,
    [GR_TYPE_FLOAT64] = DUCKDB_TYPE_DOUBLE,
    [GR_TYPE_DECIMAL] = DUCKDB_TYPE_DECIMAL,
    [GR_TYPE_UTF8] = DUCKDB_TYPE_VARCHAR,
    [GR_TYPE_DATE] = DUCKDB_TYPE_DATE,
    [GR_TYPE_TIMESTAMP] = DUCKDB_TYPE_TIMESTAMP,
    [GR_TYPE_TIMESTAMPTZ] = DUCKDB_TYPE_TIMESTAMP_TZ,
    [GR_TYPE_BINARY] = DUCKDB_TYPE_BLOB,
};
static const char *const names_of[GR_TYPE__COUNT] = {"INTEGER", "BOOLEAN", "BIGINT",    "DOUBLE",      "DECIMAL",
                                                     "VARCHAR", "DATE",    "TIMESTAMP", "TIMESTAMPTZ", "BLOB"};

/* ---- the table -----------------------------------------------------------------------------------------------------
 */

static gr_str column_name(const loader *l, size_t i) {
    return l->load->columns ? l->load->columns[i] : l->rows->schema[i].name;
}

static gr_str type_text(const loader *l, size_t i) {
    gr_type type = l->rows->schema[i].type;
    if (l->is_floating[i]) type = GR_TYPE_FLOAT64;
    if (type != GR_TYPE_DECIMAL) return gr_str_from(names_of[type]);
    return gr_arena_printf(l->arena, "DECIMAL(%d, %d)", l->widths[i], l->scales[i]);
}

static void add_table(gr_buf *out, const gr_engine_load *t) {
    gr_engine_duckdb_add_name(out, t->is_temporary ? GR_STR("temp") : t->catalog);
    gr_buf_char(out, '.');
    gr_engine_duckdb_add_name(out, t->is_temporary ? GR_STR("main") : t->schema);
    gr_buf_char(out, '.');
    gr_engine_duckdb_add_name(out, t->name);
}

static gr_status run(loader *l, gr_buf *sql, gr_error *err) {
    gr_str text;
    gr_status status = gr_buf_finish(sql, &text) ? gr_engine_duckdb_run(l->conn->handle, text, err)
                                                 : gr_error_set(err, GR_ERR_LIMIT, "the table has too many columns");
    gr_buf_done(sql);
    return status;
}

static gr_status make_table(loader *l, gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, GR_DUCKDB_SQL_BYTES);
    gr_buf_z(&sql, l->load->is_temporary ? "CREATE OR REPLACE TEMP TABLE " : "CREATE TABLE ");
    add_table(&sql, l->load);
    for (size_t i = 0; i < l->rows->n_columns; i++) {
        gr_buf_z(&sql, i ? ", " : " (");
        gr_engine_duckdb_add_name(&sql, column_name(l, i));
        gr_buf_printf(&sql, " " GR_FMT, GR_ARG(type_text(l, i)));
    }
    gr_buf_char(&sql, ')');
    return run(l, &sql, err);
}

static void drop_appender(loader *l) {
    duckdb_destroy_data_chunk(&l->chunk);
    if (l->appender) duckdb_appender_destroy(&l->appender);
}

static gr_status appender_failed(loader *l, gr_error *err) {
    if (!l->appender) return gr_engine_duckdb_fail(DUCKDB_ERROR_INVALID, NULL, err);
    duckdb_error_data data = duckdb_appender_error_data(l->appender);
    gr_status status = gr_engine_duckdb_fail(duckdb_error_data_error_type(data), duckdb_error_data_message(data), err);
    duckdb_destroy_error_data(&data);
    return status;
}

static gr_status open_appender(loader *l, gr_error *err) {
    const gr_engine_load *t = l->load;
    size_t n = l->rows->n_columns;
    gr_str catalog = gr_arena_dup(l->arena, t->is_temporary ? GR_STR("temp") : t->catalog),
           schema = gr_arena_dup(l->arena, t->is_temporary ? GR_STR("main") : t->schema),
           name = gr_arena_dup(l->arena, t->name);
    if (duckdb_appender_create_ext(l->conn->handle, catalog.p, schema.p, name.p, &l->appender) != DuckDBSuccess)
        return appender_failed(l, err);
    for (size_t i = 0; i < n; i++) {
        duckdb_destroy_logical_type(&l->types[i]);
        gr_type type = l->is_floating[i] ? GR_TYPE_FLOAT64 : l->rows->schema[i].type;
        l->types[i] = type == GR_TYPE_DECIMAL ? duckdb_create_decimal_type(l->widths[i], l->scales[i])
                                              : duckdb_create_logical_type(types_of[type]);
    }
    l->chunk = duckdb_create_data_chunk(l->types, n);
    return GR_OK;
}

/* What is in the appender goes to the table, which may be altered then. */
static gr_status close_appender(loader *l, gr_error *err) {
    gr_status status = GR_OK;
    if (l->appender && duckdb_appender_close(l->appender) != DuckDBSuccess) status = appender_failed(l, err);
    drop_appender(l);
    return status;
}

static bool is_open_scale(const loader *l, size_t i) {
    return l->rows->schema[i].type == GR_TYPE_DECIMAL && !l->rows->schema[i].precision;
}

static __int128 power_of_ten(int n) {
    __int128 v = 1;
    while (n-- > 0) v *= 10;
    return v;
}

static bool fits(const loader *l, size_t i, const gr_column *c, size_t n_rows) {
    if (c->scale > l->scales[i]) return false;
    __int128 most = (power_of_ten(l->widths[i]) - 1) / power_of_ten(l->scales[i] - c->scale);
    for (size_t k = 0; k < n_rows; k++) {
        __int128 v = ((const __int128 *)c->data)[k];
        if (!gr_column_is_null(c, k) && (v > most || v < -most)) return false;
    }
    return true;
}

/* Columns become floating point that have to. */
static gr_status widen(loader *l, const gr_batch *batch, gr_error *err) {
    for (size_t i = 0; i < batch->n_columns; i++) {
        if (!is_open_scale(l, i) || l->is_floating[i] || fits(l, i, &batch->columns[i], batch->n_rows)) continue;
        l->is_floating[i] = true;
        GR_TRY(close_appender(l, err));
        gr_buf sql;
        gr_buf_init(&sql, 1 << 20);
        gr_buf_z(&sql, "ALTER TABLE ");
        add_table(&sql, l->load);
        gr_buf_z(&sql, " ALTER ");
        gr_engine_duckdb_add_name(&sql, column_name(l, i));
        gr_buf_printf(&sql, " TYPE " GR_FMT, GR_ARG(type_text(l, i)));
        GR_TRY(run(l, &sql, err));
    }
    return l->appender ? GR_OK : open_appender(l, err);
}

/* ---- values --------------------------------------------------------------------------------------------------------
 */

static void put_floating(const gr_column *c, size_t from, size_t n, double *data) {
    long double unit = (long double)power_of_ten(c->scale);
    for (size_t k = 0; k < n; k++)
        if (!gr_column_is_null(c, from + k))
            data[k] = (double)((long double)((const __int128 *)c->data)[from + k] / unit);
}

static void put_decimals(loader *l, size_t i, const gr_column *c, size_t from, size_t n, void *data) {
    __int128 factor = power_of_ten(l->scales[i] - c->scale);
    for (size_t k = 0; k < n; k++) {
        if (gr_column_is_null(c, from + k)) continue;
        __int128 v = ((const __int128 *)c->data)[from + k] * factor;
        if (l->widths[i] <= 4)
            ((int16_t *)data)[k] = (int16_t)v;
        else if (l->widths[i] <= 9)
            ((int32_t *)data)[k] = (int32_t)v;
        else if (l->widths[i] <= 18)
            ((int64_t *)data)[k] = (int64_t)v;
        else
            ((duckdb_hugeint *)data)[k] = (duckdb_hugeint){(uint64_t)v, (int64_t)(v >> 64)};
    }
}

static void put_validity(const gr_column *c, size_t from, size_t n, duckdb_vector vector) {
    if (!c->validity && c->type != GR_TYPE_NULL) return;
    duckdb_vector_ensure_validity_writable(vector);
    uint64_t *to = duckdb_vector_get_validity(vector);
    if (c->type == GR_TYPE_NULL)
        memset(to, 0, (n + 63) / 64 * sizeof *to);
    else
        memcpy(to, c->validity + from / 64, (n + 63) / 64 * sizeof *to);
}

static void put_column(loader *l, size_t i, const gr_column *c, size_t from, size_t n) {
    duckdb_vector vector = duckdb_data_chunk_get_vector(l->chunk, i);
    void *data = duckdb_vector_get_data(vector);
    put_validity(c, from, n, vector);
    switch (c->type) {
    case GR_TYPE_BOOL: memcpy(data, (const uint8_t *)c->data + from, n); break;
    case GR_TYPE_DATE: memcpy(data, (const int32_t *)c->data + from, n * sizeof(int32_t)); break;
    case GR_TYPE_INT64:
    case GR_TYPE_FLOAT64:
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: memcpy(data, (const int64_t *)c->data + from, n * sizeof(int64_t)); break;
    case GR_TYPE_DECIMAL:
        if (l->is_floating[i])
            put_floating(c, from, n, data);
        else
            put_decimals(l, i, c, from, n, data);
        break;
    case GR_TYPE_UTF8:
    case GR_TYPE_BINARY:
        for (size_t k = 0; k < n; k++) {
            if (gr_column_is_null(c, from + k)) continue;
            gr_str text = gr_column_text(c, from + k);
            duckdb_vector_assign_string_element_len(vector, k, text.p, text.n);
            l->n_bytes += (int64_t)text.n;
        }
        break;
    case GR_TYPE_NULL:
    case GR_TYPE__COUNT: break;
    }
    if (!c->offsets) l->n_bytes += (int64_t)n * 8;
}

static gr_status put_batch(loader *l, const gr_batch *batch, gr_error *err) {
    size_t most = duckdb_vector_size();
    GR_TRY(widen(l, batch, err));
    for (size_t from = 0; from < batch->n_rows; from += most) {
        size_t n = batch->n_rows - from < most ? batch->n_rows - from : most;
        duckdb_data_chunk_reset(l->chunk);
        for (size_t i = 0; i < batch->n_columns; i++) put_column(l, i, &batch->columns[i], from, n);
        duckdb_data_chunk_set_size(l->chunk, n);
        if (duckdb_append_data_chunk(l->appender, l->chunk) != DuckDBSuccess) return appender_failed(l, err);
        l->n_rows += (int64_t)n;
    }
    return GR_OK;
}

/* ---- all of it -----------------------------------------------------------------------------------------------------
 */

static gr_status look(loader *l, gr_error *err) {
    int64_t now = gr_clock_mono_us();
    if (l->load->on_rows && now - l->told_us >= TICK_US) {
        l->told_us = now;
        l->load->on_rows(l->load->arg, l->n_rows, l->n_bytes);
    }
    if (atomic_load(&l->conn->is_interrupted) || (l->ctx && gr_ctx_is_cancelled(l->ctx)))
        return gr_engine_duckdb_fired(GR_ERR_CANCELLED, err);
    return l->ctx && gr_ctx_is_late(l->ctx) ? gr_engine_duckdb_fired(GR_ERR_TIMEOUT, err) : GR_OK;
}

static gr_status put_all(loader *l, gr_error *err) {
    const gr_batch *batch;
    GR_TRY(l->rows->next(l->rows, &batch, err));
    for (size_t i = 0; i < l->rows->n_columns; i++) {
        const gr_column_schema *s = &l->rows->schema[i];
        l->widths[i] = s->precision ? s->precision : DECIMAL_DIGITS;
        l->scales[i] = is_open_scale(l, i) ? OPEN_SCALE : s->scale;
    }
    GR_TRY(make_table(l, err));
    while (batch) {
        GR_TRY(put_batch(l, batch, err));
        GR_TRY(look(l, err));
        GR_TRY(l->rows->next(l->rows, &batch, err));
    }
    return close_appender(l, err);
}

gr_status gr_engine_duckdb_load(gr_engine_conn *base, const gr_ctx *ctx, const gr_engine_load *load, gr_stream *rows,
                                int64_t *ret_rows, gr_error *err) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    loader l = {.conn = conn, .ctx = ctx, .load = load, .rows = rows, .arena = gr_arena_new()};
    size_t n = rows->n_columns;
    gr_engine_duckdb_stream_detach(conn);
    atomic_store(&conn->is_interrupted, false);
    l.types = GR_NEW_N(l.arena, duckdb_logical_type, n + 1);
    l.scales = GR_NEW_N(l.arena, uint8_t, n + 1);
    l.widths = GR_NEW_N(l.arena, uint8_t, n + 1);
    l.is_floating = GR_NEW_N(l.arena, bool, n + 1);
    l.told_us = gr_clock_mono_us();
    gr_status status = gr_engine_duckdb_run(conn->handle, GR_STR("BEGIN"), err);
    if (!status) status = put_all(&l, err);
    drop_appender(&l);
    if (!status) status = gr_engine_duckdb_run(conn->handle, GR_STR("COMMIT"), err);
    if (status) gr_engine_duckdb_rollback(conn->handle);
    for (size_t i = 0; i < n; i++) duckdb_destroy_logical_type(&l.types[i]);
    gr_arena_free(l.arena);
    if (!status && load->on_rows) load->on_rows(load->arg, l.n_rows, l.n_bytes);
    if (ret_rows) *ret_rows = l.n_rows;
    return status;
}
