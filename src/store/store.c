/* Rollup tables in DuckDB databases: the embedded store and file sources. One CREATE TABLE AS per build. */
#include "store/store.h"

#include "base/buf.h"
#include "data/digest.h"

static bool is_embedded(const gr_rollup *r) { return r->is_external; }

gr_str gr_store_name(const gr_rollup *r, gr_arena *arena) {
    if (is_embedded(r)) return GR_STR("embedded");
    return gr_arena_printf(arena, "source:" GR_FMT, GR_ARG(r->tree.nodes[0].cube->data_source));
}

gr_store_table gr_store_table_name(const gr_config *config, const gr_rollup *r, gr_str structure_hash, int64_t build,
                                   const gr_dialect *dialect, gr_arena *arena) {
    gr_store_table t = {.catalog = GR_STR("granary_store"), .schema = GR_STR("main")};
    if (!is_embedded(r)) {
        const gr_source_config *source = gr_config_source(config, r->tree.nodes[0].cube->data_source);
        t.catalog = source ? gr_engine_duckdb_source_catalog(source, arena) : (gr_str){0};
        t.schema = config->preagg_schema;
    }
    /* A source may hold the tables of several projects, whose builds count from 1 each. */
    if (!is_embedded(r))
        structure_hash = gr_digest_md5_hex(
            gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(structure_hash), GR_ARG(config->state_dir)), arena);
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    char number[16];
    size_t at = sizeof number;
    do number[--at] = digits[build & 31];
    while ((build >>= 5) > 0 && at > 0);
    t.name = gr_arena_printf(arena, GR_FMT "_" GR_FMT "_" GR_FMT "_" GR_FMT, GR_ARG(r->preagg->cube->alias),
                             GR_ARG(r->preagg->alias), GR_ARG(gr_str_sub(structure_hash, 0, 8)),
                             GR_ARG(((gr_str){number + at, sizeof number - at})));
    gr_str parts[] = {gr_sql_quote(dialect, t.catalog, arena), gr_sql_quote(dialect, t.schema, arena),
                      gr_sql_quote(dialect, t.name, arena)};
    t.text = gr_arena_printf(arena, GR_FMT "." GR_FMT "." GR_FMT, GR_ARG(parts[0]), GR_ARG(parts[1]), GR_ARG(parts[2]));
    return t;
}

static gr_status run(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, gr_error *err) {
    return conn->driver->update(conn, ctx, sql, NULL, 0, NULL, NULL, NULL, err);
}

gr_status gr_store_build_in_place(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r,
                                  const gr_store_table *table, const gr_sql *select,
                                  void (*on_progress)(void *, double), void *arg, gr_error *err) {
    if (!is_embedded(r)) {
        const gr_dialect *dialect = gr_dialect_get(gr_str_from(conn->driver->dialect));
        gr_str catalog = gr_sql_quote(dialect, table->catalog, ctx->arena),
               schema = gr_sql_quote(dialect, table->schema, ctx->arena);
        GR_TRY(run(conn, ctx,
                   gr_arena_printf(ctx->arena, "CREATE SCHEMA IF NOT EXISTS " GR_FMT "." GR_FMT, GR_ARG(catalog),
                                   GR_ARG(schema)),
                   err));
    }
    gr_str sql =
        gr_arena_printf(ctx->arena, "CREATE TABLE " GR_FMT " AS " GR_FMT, GR_ARG(table->text), GR_ARG(select->text));
    return conn->driver->update(conn, ctx, sql, select->params, select->n_params, on_progress, arg, NULL, err);
}

static gr_status one_row(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, int64_t *ret, size_t n, gr_error *err) {
    gr_stream *stream;
    GR_TRY(conn->driver->query(conn, ctx, sql, NULL, 0, false, &stream, err));
    const gr_batch *batch;
    gr_status status = stream->next(stream, &batch, err);
    for (size_t i = 0; !status && batch && batch->n_rows && i < n; i++) {
        const gr_column *c = &batch->columns[i];
        ret[i] = gr_column_is_null(c, 0) ? 0 : ((const int64_t *)c->data)[0];
    }
    stream->close(stream);
    return status;
}

gr_status gr_store_stat_table(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, gr_str table,
                              const gr_dialect *dialect, gr_store_stat *ret, gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 20);
    gr_buf_z(&sql, "SELECT count(*)");
    for (size_t i = 0; i < r->n_columns; i++) {
        gr_str name = gr_sql_quote(dialect, r->columns[i].name, ctx->arena);
        if (r->columns[i].is_instant)
            gr_buf_printf(&sql, ", epoch_us(min(" GR_FMT ")), epoch_us(max(" GR_FMT "))", GR_ARG(name), GR_ARG(name));
        else
            gr_buf_z(&sql, ", CAST(0 AS BIGINT), CAST(0 AS BIGINT)");
    }
    gr_buf_printf(&sql, " FROM " GR_FMT, GR_ARG(table));
    int64_t *values = GR_NEW_N(ctx->arena, int64_t, 1 + 2 * r->n_columns);
    gr_str text = gr_arena_dup(ctx->arena, gr_buf_str(&sql));
    gr_buf_done(&sql);
    GR_TRY(one_row(conn, ctx, text, values, 1 + 2 * r->n_columns, err));
    *ret = (gr_store_stat){.rows = values[0],
                           .min_us = GR_NEW_N(ctx->arena, int64_t, r->n_columns + 1),
                           .max_us = GR_NEW_N(ctx->arena, int64_t, r->n_columns + 1)};
    for (size_t i = 0; i < r->n_columns; i++) {
        ret->min_us[i] = values[1 + 2 * i];
        ret->max_us[i] = values[2 + 2 * i];
    }
    /* Width of a row by its types is enough for a report; DuckDB does not say how many blocks one table has. */
    ret->bytes = ret->rows * (int64_t)(8 * (r->n_columns + r->n_components));
    return GR_OK;
}

gr_status gr_store_drop(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err) {
    return run(conn, ctx, gr_arena_printf(ctx->arena, "DROP TABLE IF EXISTS " GR_FMT, GR_ARG(table)), err);
}
