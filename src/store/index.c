/* The `indexes` of a pre-aggregation, as indexes of its table: in a database that has them (PostgreSQL). One of type
 * `aggregate` is the same there: it is a copy of the table at a coarser grain elsewhere, which a rollup of its own is
 * here. Column stores, the embedded one among them, have their order and zone maps. And `distribute_by`, with Citus. */
#include "base/buf.h"
#include "data/yaml.h"
#include "store/store.h"

#include <stdio.h>

/* `status`, `orders.status`, `CUBE.status`, each maybe in braces. */
static const gr_rollup_column *column_named(const gr_rollup *r, gr_str text) {
    text = gr_str_trim(text);
    if (text.n > 2 && text.p[0] == '{' && text.p[text.n - 1] == '}') text = gr_str_sub(text, 1, text.n - 2);
    gr_str own = GR_STR("CUBE.");
    if (gr_str_starts(text, own)) text = gr_str_sub(text, own.n, text.n - own.n);
    for (size_t i = 0; i < r->n_columns; i++) {
        const gr_member *m = r->columns[i].member;
        bool is_own = m->cube == r->preagg->cube && gr_str_eq(m->name, text);
        if (is_own || gr_str_eq(m->id, text)) return &r->columns[i];
    }
    return NULL;
}

static gr_status make_index(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, const gr_store_table *table,
                            const gr_yaml *index, size_t at, gr_error *err) {
    const gr_dialect *dialect = gr_dialect_get(gr_str_from(conn->driver->dialect));
    const gr_yaml *columns = gr_yaml_get(index, GR_STR("columns"));
    gr_buf list;
    gr_buf_init(&list, 1 << 20);
    size_t n = 0;
    for (size_t i = 0; columns && i < columns->n; i++) {
        const gr_rollup_column *c = column_named(r, columns->items[i]->text);
        if (!c) continue;
        gr_buf_printf(&list, "%s" GR_FMT, n++ ? ", " : "", GR_ARG(gr_sql_quote(dialect, c->name, ctx->arena)));
    }
    /* The table's name is unique for ever, and so are those of its indexes. */
    gr_str name = gr_arena_printf(ctx->arena, GR_FMT "_i%zu", GR_ARG(table->name), at);
    gr_str sql = gr_arena_printf(ctx->arena, "CREATE INDEX " GR_FMT " ON " GR_FMT " (" GR_FMT ")",
                                 GR_ARG(gr_sql_quote(dialect, name, ctx->arena)), GR_ARG(table->local),
                                 GR_ARG(gr_buf_str(&list)));
    gr_buf_done(&list);
    return n ? conn->driver->update(conn, ctx, sql, NULL, 0, NULL, NULL, NULL, err) : GR_OK;
}

static gr_status has_row(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, bool *ret_has_row, gr_error *err) {
    gr_stream *stream;
    gr_table *table;
    GR_TRY(conn->driver->query(conn, ctx, sql, NULL, 0, false, &stream, err));
    gr_status status = gr_table_read(stream, 1, ctx->arena, &table, err);
    stream->close(stream);
    if (!status) *ret_has_row = table->n_rows > 0;
    return status;
}

/* Over the workers of Citus, where it is: before there are indexes, which go with it. */
static gr_status distribute(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, const gr_store_table *table,
                            gr_error *err) {
    static const char probe[] = "SELECT 1 FROM pg_catalog.pg_proc WHERE proname = 'create_distributed_table'";
    const gr_rollup_column *column = column_named(r, r->preagg->distribute_by);
    bool has_citus = false;
    if (!column)
        return gr_error_set(err, GR_ERR_MODEL_INVALID,
                            "'" GR_FMT "' is distributed by '" GR_FMT "', which is none of its dimensions",
                            GR_ARG(r->preagg->id), GR_ARG(r->preagg->distribute_by));
    GR_TRY(has_row(conn, ctx, gr_str_from(probe), &has_citus, err));
    if (!has_citus) return GR_OK;
    const gr_value params[] = {{.type = GR_TYPE_UTF8, .as.s = table->local},
                               {.type = GR_TYPE_UTF8, .as.s = column->name}};
    gr_str sql = GR_STR("SELECT create_distributed_table(CAST($1 AS regclass), $2)");
    return conn->driver->update(conn, ctx, sql, params, 2, NULL, NULL, NULL, err);
}

gr_status gr_store_index(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, const gr_store_table *table,
                         gr_error *err) {
    const gr_yaml *indexes = r->preagg->indexes;
    if (!(conn->driver->caps & GR_ENGINE_CAP_INDEX)) return GR_OK;
    if (r->preagg->distribute_by.n) GR_TRY(distribute(conn, ctx, r, table, err));
    for (size_t i = 0; indexes && i < indexes->n; i++)
        GR_TRY(make_index(conn, ctx, r, table, indexes->items[i], i, err));
    return GR_OK;
}
