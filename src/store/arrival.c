/* What was sent to a table is what stands in it: the rows, the values that are not NULL, and the sums of whole numbers,
 * counted here while they pass and there when they have arrived. */
#include "store/arrival.h"

#include "base/buf.h"
#include "sql/sql.h"

__extension__ typedef __int128 wide;

struct gr_arrival {
    gr_stream base;
    gr_stream *from;
    gr_arena *arena;
    int64_t n_rows;
    int64_t *n_values; /* that are not NULL, by column */
    wide *sums;
    bool *is_whole; /* all of its values are int64 */
};

static void count_column(gr_arrival *a, size_t at, const gr_column *c, size_t n) {
    const int64_t *values = c->data;
    bool is_whole = c->type == GR_TYPE_INT64;
    for (size_t i = 0; i < n; i++) {
        if (gr_column_is_null(c, i)) continue;
        a->n_values[at]++;
        if (is_whole) a->sums[at] += values[i];
    }
    a->is_whole[at] &= is_whole || c->type == GR_TYPE_NULL;
}

static gr_status next(gr_stream *stream, const gr_batch **ret, gr_error *err) {
    gr_arrival *a = (gr_arrival *)(void *)stream;
    GR_TRY(a->from->next(a->from, ret, err));
    a->base.schema = a->from->schema; /* the first batch may say more of it */
    if (!*ret) return GR_OK;
    for (size_t i = 0; i < (*ret)->n_columns; i++) count_column(a, i, &(*ret)->columns[i], (*ret)->n_rows);
    a->n_rows += (int64_t)(*ret)->n_rows;
    return GR_OK;
}

static void close_nothing(gr_stream *stream) { (void)stream; } /* `from` is its owner's */

gr_arrival *gr_store_arrival(gr_stream *from, gr_arena *arena) {
    gr_arrival *a = GR_NEW(arena, gr_arrival);
    size_t n = from->n_columns + 1;
    *a = (gr_arrival){
        .base = {.schema = from->schema, .n_columns = from->n_columns, .next = next, .close = close_nothing},
        .from = from,
        .arena = arena,
        .n_values = GR_NEW_N(arena, int64_t, n),
        .sums = GR_NEW_N(arena, wide, n),
        .is_whole = GR_NEW_N(arena, bool, n)};
    for (size_t i = 0; i < n; i++) {
        a->n_values[i] = 0;
        a->sums[i] = 0;
        a->is_whole[i] = true;
    }
    return a;
}

gr_stream *gr_store_arrival_rows(gr_arrival *a) { return &a->base; }

static gr_str text_of(wide value, gr_arena *arena) {
    const gr_column column = {.type = GR_TYPE_DECIMAL, .data = &value};
    bool is_bool;
    gr_buf text;
    gr_buf_init(&text, 64);
    (void)!gr_batch_format(&column, 0, &text, &is_bool);
    gr_str copy = gr_arena_dup(arena, gr_buf_str(&text));
    gr_buf_done(&text);
    return copy;
}

static bool has_sum(const gr_arrival *a, size_t i) { return a->is_whole[i] && a->n_values[i]; }

static gr_str question(const gr_arrival *a, const gr_dialect *dialect, gr_str table, const gr_str *names) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 20);
    gr_buf_z(&sql, "SELECT CAST(count(*) AS VARCHAR)");
    for (size_t i = 0; i < a->base.n_columns; i++) {
        gr_str name = gr_sql_quote(dialect, names ? names[i] : a->base.schema[i].name, a->arena);
        gr_buf_printf(&sql, ", CAST(count(" GR_FMT ") AS VARCHAR)", GR_ARG(name));
        if (has_sum(a, i))
            gr_buf_printf(&sql, ", CAST(" GR_FMT " AS VARCHAR)", GR_ARG(gr_sql_exact_sum(dialect, name, a->arena)));
    }
    gr_buf_printf(&sql, " FROM " GR_FMT, GR_ARG(table));
    gr_str text = gr_arena_dup(a->arena, gr_buf_str(&sql));
    gr_buf_done(&sql);
    return text;
}

static gr_status differs(const gr_table *seen, size_t *at, const char *what, gr_str column, wide want, gr_arena *arena,
                         gr_error *err) {
    gr_str got = seen->cells[(*at)++].text, sent = text_of(want, arena);
    if (gr_str_eq(got, sent)) return GR_OK;
    return gr_error_set(err, GR_ERR_STORE_IO,
                        "what arrived is not what was sent: %s" GR_FMT " is " GR_FMT " in the table, and was " GR_FMT,
                        what, GR_ARG(column), GR_ARG(got), GR_ARG(sent));
}

gr_status gr_store_arrived(const gr_arrival *a, gr_engine_conn *conn, const gr_ctx *ctx, gr_str table,
                           const gr_engine_load *load, gr_error *err) {
    const gr_str *names = load->columns;
    const gr_dialect *dialect = gr_dialect_get(gr_str_from(conn->driver->dialect));
    gr_stream *stream;
    gr_table *seen;
    GR_TRY(conn->driver->query(conn, ctx, question(a, dialect, table, names), NULL, 0, false, &stream, err));
    gr_status status = gr_table_read(stream, 1, a->arena, &seen, err);
    stream->close(stream);
    size_t at = 0;
    if (!status) status = differs(seen, &at, "the number of rows", (gr_str){0}, a->n_rows, a->arena, err);
    for (size_t i = 0; i < a->base.n_columns && !status; i++) {
        gr_str name = names ? names[i] : a->base.schema[i].name;
        bool is_state = load->states && load->states[i] && gr_dialect_has_states(dialect);
        wide n_values = is_state ? a->n_rows : a->n_values[i];
        status = differs(seen, &at, "the number of values of ", name, n_values, a->arena, err);
        if (!status && has_sum(a, i)) status = differs(seen, &at, "the sum of ", name, a->sums[i], a->arena, err);
    }
    return status;
}
