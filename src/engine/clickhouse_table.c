/* Tables that are made for a load: on one server a MergeTree, on a cluster (clickhouse_cluster.c) its parts and what is
 * spread over them; and their filling by a SELECT of the same source, which does not come through here. */
#include "engine/clickhouse_internal.h"

/* What is said to every node names its database, which need not be the one that they would take. */
static gr_str schema_of(const gr_clickhouse_conn *conn, const gr_engine_load *load) {
    gr_str own = gr_str_from(conn->source->database);
    if (load->schema.n || !gr_clickhouse_is_cluster(conn)) return load->schema;
    return own.n ? own : GR_STR("default");
}

gr_clickhouse_table gr_engine_clickhouse_table(gr_clickhouse_conn *conn, const gr_engine_load *load, gr_arena *arena) {
    gr_clickhouse_table t = {conn, load, arena, gr_engine_clickhouse_quote(load->name, '`', arena)};
    gr_str schema = schema_of(conn, load);
    if (schema.n)
        t.text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(gr_engine_clickhouse_quote(schema, '`', arena)),
                                 GR_ARG(t.text));
    return t;
}

/* The parts first: what is spread over them can be read as soon as it is there. */
static gr_status make_all(const gr_clickhouse_table *t, const gr_ctx *ctx, gr_str columns, gr_error *err) {
    gr_engine_conn *conn = &t->conn->base;
    bool is_cluster = gr_clickhouse_is_cluster(t->conn);
    gr_str part = is_cluster ? gr_engine_clickhouse_part(t->text, t->arena) : t->text;
    gr_str make = gr_arena_printf(t->arena, "CREATE TABLE " GR_FMT " (" GR_FMT ") ENGINE = MergeTree ORDER BY tuple()",
                                  GR_ARG(part), GR_ARG(columns));
    GR_TRY(gr_engine_clickhouse_define(conn, ctx, make, err));
    if (!is_cluster) return GR_OK;
    gr_str local = gr_arena_printf(t->arena, GR_FMT "_l", GR_ARG(t->load->name));
    gr_str schema = gr_engine_clickhouse_quote(schema_of(t->conn, t->load), '\'', t->arena);
    gr_str name = gr_engine_clickhouse_quote(local, '\'', t->arena);
    gr_str cluster = gr_engine_clickhouse_quote(gr_str_from(t->conn->source->cluster), '\'', t->arena);
    make = gr_arena_printf(t->arena,
                           "CREATE TABLE " GR_FMT " (" GR_FMT ") ENGINE = Distributed(" GR_FMT ", " GR_FMT ", " GR_FMT
                           ", rand())",
                           GR_ARG(t->text), GR_ARG(columns), GR_ARG(cluster), GR_ARG(schema), GR_ARG(name));
    return gr_engine_clickhouse_define(conn, ctx, make, err);
}

gr_status gr_engine_clickhouse_make(const gr_clickhouse_table *t, const gr_ctx *ctx, gr_str columns, bool *ret_is_ours,
                                    gr_error *err) {
    gr_status status = make_all(t, ctx, columns, err);
    /* Of a cluster some nodes may have made it; unless it was there before (an error of SQL). */
    *ret_is_ours = !status || (gr_clickhouse_is_cluster(t->conn) && status != GR_ERR_ENGINE_SQL);
    gr_error ignored;
    if (status && *ret_is_ours) (void)!gr_engine_clickhouse_drop(&t->conn->base, NULL, t->text, &ignored);
    return status;
}

gr_status gr_engine_clickhouse_fill(gr_engine_conn *base, const gr_ctx *ctx, const gr_engine_load *load, gr_str select,
                                    const gr_value *params, size_t n_params,
                                    void (*on_progress)(void *arg, double fraction), void *arg, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    gr_arena *arena = gr_arena_new();
    gr_clickhouse_table t = gr_engine_clickhouse_table(conn, load, arena);
    gr_str columns, text;
    bool is_ours = false;
    gr_status status = gr_engine_clickhouse_with_values(select, params, n_params, arena, &text, err);
    if (!status) status = gr_engine_clickhouse_columns(conn, text, arena, &columns, err);
    if (!status) status = gr_engine_clickhouse_make(&t, ctx, columns, &is_ours, err);
    if (!status) {
        gr_str sql = gr_arena_printf(arena, "INSERT INTO " GR_FMT " " GR_FMT, GR_ARG(t.text), GR_ARG(text));
        status = gr_engine_clickhouse_update(base, ctx, sql, NULL, 0, on_progress, arg, NULL, err);
        gr_error ignored;
        if (status) (void)!gr_engine_clickhouse_drop(base, NULL, t.text, &ignored);
    }
    gr_arena_free(arena);
    return status;
}
