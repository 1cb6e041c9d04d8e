/* Batches into a table, by INSERT … FORMAT Native: a batch becomes a block, and is sent while the next one is read.
 *
 * There are no transactions: when anything fails the table is dropped, and nobody knows its name before it is whole.
 * Every column but those of states is Nullable; the order of rows in the table is that in which they come. Decimals
 * without a declared scale have that of the embedded store (docs/decisions/0017); one of which a value does not fit
 * fails with engine.data. */
#include "engine/clickhouse_internal.h"

#include "base/mem.h"
#include "sketch/sketch.h"

#include <stdlib.h>
#include <string.h>

enum { OPEN_SCALE = 10, MOST_BLOCK = 1 << 30, TICK_US = 100 * 1000 };

typedef struct loader {
    gr_clickhouse_conn *conn;
    const gr_engine_load *load;
    gr_clickhouse_table table;
    gr_stream *rows;
    gr_arena *arena;
    gr_buf block;
    size_t sent;
    bool is_over;
    gr_status status; /* of the rows, or of what does not fit */
    gr_error error;
    int64_t n_rows, n_bytes, told_us;
} loader;

static gr_str column_name(const loader *l, size_t i) {
    return l->load->columns ? l->load->columns[i] : l->rows->schema[i].name;
}

/* Sketches of another engine's rows are kept as their bytes, states as what they are. */
static int state_of(const loader *l, size_t i) { return l->load->states ? l->load->states[i] : 0; }

static gr_str type_text(const loader *l, size_t i) {
    static const char *const names[GR_TYPE__COUNT] = {
        [GR_TYPE_NULL] = "String",
        [GR_TYPE_BOOL] = "UInt8",
        [GR_TYPE_INT64] = "Int64",
        [GR_TYPE_FLOAT64] = "Float64",
        [GR_TYPE_UTF8] = "String",
        [GR_TYPE_BINARY] = "String", /* of bytes; hex() sends them back as text */
        [GR_TYPE_DATE] = "Date",
        [GR_TYPE_TIMESTAMP] = "DateTime('UTC')",
        [GR_TYPE_TIMESTAMPTZ] = "DateTime",
    };
    const gr_column_schema *s = &l->rows->schema[i];
    if (state_of(l, i)) return gr_engine_clickhouse_state_type(state_of(l, i), l->arena);
    if (s->type == GR_TYPE_DECIMAL)
        return gr_arena_printf(l->arena, "Nullable(Decimal(%d, %d))", s->precision ? s->precision : 38,
                               s->precision ? s->scale : OPEN_SCALE);
    return gr_arena_printf(l->arena, "Nullable(%s)", names[s->type]);
}

static gr_str columns_text(const loader *l) {
    gr_str columns = GR_STR("");
    for (size_t i = 0; i < l->rows->n_columns; i++) {
        gr_str name = gr_engine_clickhouse_quote(column_name(l, i), '`', l->arena), type = type_text(l, i);
        columns = gr_arena_printf(l->arena, GR_FMT "%s" GR_FMT " " GR_FMT, GR_ARG(columns), i ? ", " : "", GR_ARG(name),
                                  GR_ARG(type));
    }
    return columns;
}

/* ---- blocks --------------------------------------------------------------------------------------------------------
 */

static void put_varuint(gr_buf *out, uint64_t v) {
    for (; v > 127; v >>= 7) gr_buf_char(out, (char)(v | 128));
    gr_buf_char(out, (char)v);
}

static void put_string(gr_buf *out, gr_str s) {
    put_varuint(out, s.n);
    gr_buf_add(out, s);
}

static void put_bytes(gr_buf *out, const void *p, size_t n) { gr_buf_add(out, (gr_str){p, n}); }

static gr_status misfit(const loader *l, size_t i, const char *what, gr_error *err) {
    return gr_error_set(err, GR_ERR_ENGINE_DATA, "a value of column \"" GR_FMT "\" %s", GR_ARG(column_name(l, i)),
                        what);
}

static gr_status put_decimals(loader *l, size_t i, const gr_column *c, size_t n, gr_error *err) {
    const gr_column_schema *s = &l->rows->schema[i];
    int precision = s->precision ? s->precision : 38, scale = s->precision ? s->scale : OPEN_SCALE;
    size_t width = precision <= 9 ? 4 : precision <= 18 ? 8 : 16;
    __int128 factor = 1, most = 1;
    if (c->scale > scale) return misfit(l, i, "has too many decimals: give its type a scale", err);
    for (int k = c->scale; k < scale; k++) factor *= 10;
    for (int k = 0; k < precision; k++) most *= 10;
    for (size_t k = 0; k < n; k++) {
        bool is_null = gr_column_is_null(c, k);
        __int128 v = is_null ? 0 : ((const __int128 *)c->data)[k], size = v < 0 ? -v : v;
        if (size > (most - 1) / factor) return misfit(l, i, "has more than 38 digits", err);
        v *= factor;
        put_bytes(&l->block, &v, width);
    }
    return GR_OK;
}

/* 18.16 has whole seconds from 1970 to 2106, and days up to then. */
static gr_status put_times(loader *l, size_t i, const gr_column *c, size_t n, gr_error *err) {
    for (size_t k = 0; k < n; k++) {
        int64_t us = gr_column_is_null(c, k) ? 0 : ((const int64_t *)c->data)[k];
        if (us < 0 || us / 1000000 > UINT32_MAX || us % 1000000)
            return misfit(l, i, "is no whole second from 1970 to 2106", err);
        uint32_t s = (uint32_t)(us / 1000000);
        put_bytes(&l->block, &s, sizeof s);
    }
    return GR_OK;
}

static gr_status put_dates(loader *l, size_t i, const gr_column *c, size_t n, gr_error *err) {
    for (size_t k = 0; k < n; k++) {
        int32_t days = gr_column_is_null(c, k) ? 0 : ((const int32_t *)c->data)[k];
        if (days < 0 || days > UINT16_MAX) return misfit(l, i, "is no day from 1970 to 2149", err);
        uint16_t day = (uint16_t)days;
        put_bytes(&l->block, &day, sizeof day);
    }
    return GR_OK;
}

static gr_status put_state(loader *l, size_t i, gr_str bytes, gr_error *err) {
    gr_hll *state;
    GR_TRY(gr_hll_load(bytes.p, bytes.n, &state, err));
    bool fits = gr_hll_is_state(state) && gr_hll_log2m(state) == state_of(l, i);
    size_t n = fits ? gr_hll_state_size(state) : 0;
    void *out = gr_mem_alloc(n + 1);
    if (fits) put_bytes(&l->block, out, gr_hll_store_state(state, out));
    free(out);
    gr_hll_free(state);
    return fits ? GR_OK : misfit(l, i, "is no state of its precision", err);
}

/* Null is a state of nothing. */
static gr_status put_states(loader *l, size_t i, const gr_column *c, size_t n, gr_error *err) {
    gr_hll *none = gr_hll_new_state(state_of(l, i));
    char bytes[8];
    gr_str nothing = {bytes, gr_hll_store_state(none, bytes)};
    gr_status status = GR_OK;
    for (size_t k = 0; k < n && !status; k++) {
        if (c->type == GR_TYPE_NULL || gr_column_is_null(c, k))
            gr_buf_add(&l->block, nothing);
        else
            status = put_state(l, i, gr_column_text(c, k), err);
    }
    gr_hll_free(none);
    return status;
}

static gr_status put_column(loader *l, size_t i, const gr_column *c, size_t n, gr_error *err) {
    put_string(&l->block, column_name(l, i));
    put_string(&l->block, type_text(l, i));
    if (state_of(l, i)) return put_states(l, i, c, n, err);
    for (size_t k = 0; k < n; k++) gr_buf_char(&l->block, gr_column_is_null(c, k));
    switch (l->rows->schema[i].type) {
    case GR_TYPE_BOOL: put_bytes(&l->block, c->data, n); break;
    case GR_TYPE_INT64:
    case GR_TYPE_FLOAT64: put_bytes(&l->block, c->data, n * 8); break;
    case GR_TYPE_DECIMAL: return put_decimals(l, i, c, n, err);
    case GR_TYPE_DATE: return put_dates(l, i, c, n, err);
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: return put_times(l, i, c, n, err);
    case GR_TYPE_UTF8:
    case GR_TYPE_BINARY:
        for (size_t k = 0; k < n; k++)
            put_string(&l->block, gr_column_is_null(c, k) ? (gr_str){0} : gr_column_text(c, k));
        break;
    case GR_TYPE_NULL:
        for (size_t k = 0; k < n; k++) put_varuint(&l->block, 0);
        break;
    case GR_TYPE__COUNT: break;
    }
    return GR_OK;
}

static gr_status next_block(loader *l, gr_error *err) {
    const gr_batch *batch;
    gr_buf_reset(&l->block);
    l->sent = 0;
    do {
        GR_TRY(l->rows->next(l->rows, &batch, err));
        l->is_over = !batch;
    } while (batch && !batch->n_rows);
    if (!batch) return GR_OK;
    put_varuint(&l->block, batch->n_columns);
    put_varuint(&l->block, batch->n_rows);
    for (size_t i = 0; i < batch->n_columns; i++) GR_TRY(put_column(l, i, &batch->columns[i], batch->n_rows, err));
    if (l->block.is_over) return gr_error_set(err, GR_ERR_LIMIT, "a block of more than 1 GiB");
    l->n_rows += (int64_t)batch->n_rows;
    l->n_bytes += (int64_t)l->block.n;
    return GR_OK;
}

/* Called by libcurl when the server takes more. */
static size_t give(void *arg, char *to, size_t size) {
    loader *l = arg;
    if (l->sent == l->block.n && !l->is_over) l->status = next_block(l, &l->error);
    if (l->status) return CURL_READFUNC_ABORT;
    int64_t now = gr_clock_mono_us();
    if (l->load->on_rows && now - l->told_us >= TICK_US) {
        l->told_us = now;
        l->load->on_rows(l->load->arg, l->n_rows, l->n_bytes);
    }
    size_t n = l->block.n - l->sent;
    if (n > size) n = size;
    memcpy(to, l->block.p + l->sent, n);
    l->sent += n;
    return n;
}

static gr_status insert(loader *l, const gr_ctx *ctx, gr_error *err) {
    gr_clickhouse_request r = {.read = give, .read_arg = l};
    gr_str names = GR_STR("");
    for (size_t i = 0; i < l->rows->n_columns; i++) {
        gr_str name = gr_engine_clickhouse_quote(column_name(l, i), '`', l->arena);
        names = gr_arena_printf(l->arena, GR_FMT "%s" GR_FMT, GR_ARG(names), i ? ", " : "", GR_ARG(name));
    }
    gr_str table = l->table.text;
    gr_str sql =
        gr_arena_printf(l->arena, "INSERT INTO " GR_FMT " (" GR_FMT ") FORMAT Native", GR_ARG(table), GR_ARG(names));
    GR_TRY(next_block(l, err));
    if (l->is_over) return GR_OK; /* no rows */
    GR_TRY(gr_engine_clickhouse_send(&r, l->conn, ctx, sql, err));
    gr_status status = GR_OK;
    while (!status && !r.is_done) status = gr_engine_clickhouse_pump(&r, err);
    gr_engine_clickhouse_end(&r);
    if (!l->status) return status;
    if (err) *err = l->error;
    return l->status;
}

gr_status gr_engine_clickhouse_load(gr_engine_conn *base, const gr_ctx *ctx, const gr_engine_load *load,
                                    gr_stream *rows, int64_t *ret_rows, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    loader l = {.conn = conn, .load = load, .rows = rows, .arena = gr_arena_new()};
    atomic_store(&conn->is_interrupted, false);
    gr_engine_clickhouse_stream_detach(conn);
    gr_buf_init(&l.block, MOST_BLOCK);
    bool is_ours;
    l.table = gr_engine_clickhouse_table(conn, load, l.arena);
    gr_status status = gr_engine_clickhouse_make(&l.table, ctx, columns_text(&l), &is_ours, err);
    if (!status) status = insert(&l, ctx, err);
    gr_error ignored;
    if (status && is_ours) (void)!gr_engine_clickhouse_drop(base, NULL, l.table.text, &ignored);
    gr_buf_done(&l.block);
    gr_arena_free(l.arena);
    if (!status && load->on_rows) load->on_rows(load->arg, l.n_rows, l.n_bytes);
    if (ret_rows) *ret_rows = l.n_rows;
    return status;
}
