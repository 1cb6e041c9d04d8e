/* Tables on a cluster: a part on every node, and over them one table that is spread, on every node too, so that any of
 * them may be asked.
 *
 *      "db"."name"    Distributed(cluster, db, name_l, rand())     rows go to a shard each, readings come from all
 *      "db"."name_l"  MergeTree                                    on every shard
 *
 * What makes and drops tables is sent to each node by itself (the servers could pass it on only with ZooKeeper). A node
 * that is down fails it; what had been made on others is dropped again, and nobody knows its name. Readings of a table
 * of which a shard is down fail: a part of an answer is none. */
#include "engine/clickhouse_internal.h"

#include <stdio.h>
#include <string.h>

static gr_status run_at(const gr_clickhouse_conn *conn, char *url, const gr_ctx *ctx, gr_str sql, gr_error *err) {
    char none[] = "";
    gr_clickhouse_source at = *conn->source;
    at.url = url;
    at.database = none; /* it need not be there */
    gr_arena *arena = gr_arena_new();
    gr_clickhouse_conn own = {.base = conn->base, .source = &at, .version = conn->version};
    own.multi = curl_multi_init();
    own.easy = curl_easy_init();
    snprintf(own.what, sizeof own.what, "data source \"%s\", node %s", at.name, url);
    gr_status status = gr_engine_clickhouse_run(&own, ctx, sql, arena, NULL, err);
    curl_easy_cleanup(own.easy);
    curl_multi_cleanup(own.multi);
    gr_arena_free(arena);
    return status;
}

/* All nodes are asked, also when one of them fails: the first error is told. */
gr_status gr_engine_clickhouse_define(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    if (!gr_clickhouse_is_cluster(conn))
        return gr_engine_clickhouse_update(base, ctx, sql, NULL, 0, NULL, NULL, NULL, err);
    gr_status status = GR_OK;
    for (size_t i = 0; i < conn->source->n_nodes; i++) {
        gr_error later;
        gr_status one = run_at(conn, conn->source->nodes[i], ctx, sql, status ? &later : err);
        if (!status) status = one;
    }
    return status;
}

gr_str gr_engine_clickhouse_part(gr_str table, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT "_l%c", GR_ARG(gr_str_sub(table, 0, table.n - 1)), table.p[table.n - 1]);
}

gr_status gr_engine_clickhouse_drop(gr_engine_conn *base, const gr_ctx *ctx, gr_str table, gr_error *err) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    gr_arena *arena = gr_arena_new();
    gr_str drop = GR_STR("DROP TABLE IF EXISTS ");
    gr_status status =
        gr_engine_clickhouse_define(base, ctx, gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(drop), GR_ARG(table)), err);
    if (gr_clickhouse_is_cluster(conn)) {
        gr_error later;
        gr_str part = gr_engine_clickhouse_part(table, arena);
        gr_status one = gr_engine_clickhouse_define(
            base, ctx, gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(drop), GR_ARG(part)), status ? &later : err);
        if (!status) status = one;
    }
    gr_arena_free(arena);
    return status;
}
