/* What a start finds of an earlier process that was killed, of a store that was deleted, of a catalog that was
 * restored.
 *
 *      catalog names     store has
 *      doomed            a table or none    -> dropped, forgotten
 *      a live one        none               -> its record does not serve any more, what it held is built again
 *      nothing           one of our form    -> an orphan: removed where the store is this process's own, else told
 *      nothing           anything else      -> not ours, and left alone
 *
 * Invariant: nothing is built or served before, so that in a store of our own a table without a record has no owner: a
 * build names its table before it makes it. */
#include "exec/internal.h"

#include "base/fault.h"
#include "base/map.h"

/* The table that the catalog names is not there: the store was deleted, or the source's file exchanged. */
static bool is_gone(gr_engine_conn *conn, gr_arena *arena, gr_str table) {
    gr_error err = {0};
    gr_column_schema *columns;
    size_t n;
    gr_str probe = gr_arena_printf(arena, "SELECT * FROM " GR_FMT " AS \"p\"", GR_ARG(table));
    gr_status status = conn->driver->describe(conn, probe, arena, &columns, &n, &err);
    if (status || conn->driver == &gr_engine_duckdb_driver)
        return status == GR_ERR_ENGINE_SQL || status == GR_ERR_ENGINE_IO;
    /* Of a table that is spread a part may be gone, which only who reads it is told. */
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_stream *rows;
    gr_str read = gr_arena_printf(arena, "SELECT 1 AS one FROM " GR_FMT " AS \"p\" WHERE 1 = 0", GR_ARG(table));
    status = conn->driver->query(conn, &ctx, read, NULL, 0, false, &rows, &err);
    if (!status) rows->close(rows);
    return status == GR_ERR_ENGINE_SQL;
}

bool gr_exec_is_gone(gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup, gr_str table) {
    gr_engine_conn *conn;
    if (gr_exec_take_store(exec, ctx, rollup, &conn, NULL)) return false;
    bool gone = is_gone(conn, ctx->arena, table);
    gr_exec_give(exec, conn);
    return gone;
}

/* Of a table as the catalog knows it. A source that is away says nothing of its tables. */
static bool is_lost(gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, gr_str table) {
    gr_str place = gr_store_place(exec->config, table);
    if (!place.n) return is_gone(conn, ctx->arena, table);
    if (gr_exec_take(exec, ctx, place, true, &conn, NULL)) return false;
    gr_error err = {0};
    gr_column_schema *columns;
    size_t n;
    gr_str probe = gr_arena_printf(ctx->arena, "SELECT * FROM " GR_FMT, GR_ARG(gr_store_local(exec->config, table)));
    gr_status status = conn->driver->describe(conn, probe, ctx->arena, &columns, &n, &err);
    gr_exec_give(exec, conn);
    return status == GR_ERR_ENGINE_SQL;
}

typedef struct sweep {
    gr_exec *exec;
    gr_arena *arena;
    gr_ctx ctx;
    gr_engine_conn *conn;
} sweep;

static gr_status drop_doomed(sweep *s, gr_error *err) {
    gr_doomed_table *doomed;
    size_t n = 0;
    GR_TRY(gr_catalog_doomed(s->exec->catalog, s->arena, &doomed, &n, err));
    for (size_t i = 0; i < n; i++) gr_exec_forget_table(s->exec, s->conn, &s->ctx, &doomed[i]);
    return GR_OK;
}

/* ---- records without a table ---------------------------------------------------------------------------------------
 */

/* Of a shared store another server may know better. */
static gr_status forget_gone_builds(sweep *s, gr_error *err) {
    gr_build_row *rows;
    size_t n = 0;
    GR_TRY(gr_catalog_builds(s->exec->catalog, 0, 0, s->arena, &rows, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].status != GR_BUILD_DONE || !rows[i].table_name.n) continue;
        if (gr_store_is_shared_table(rows[i].table_name)) continue;
        if (is_lost(s->exec, s->conn, &s->ctx, rows[i].table_name))
            GR_TRY(gr_exec_forget_builds(s->exec, rows[i].preagg_id, err));
    }
    return GR_OK;
}

/* Only what the lost table held is missing then, and is built again; the other partitions serve on. */
static gr_status quarantine_gone_partitions(sweep *s, gr_error *err) {
    static bool there = true, gone = false;
    gr_partition_row *rows;
    size_t n = 0, n_lost = 0;
    gr_map known;
    gr_map_init(&known, s->arena);
    GR_TRY(gr_catalog_partitions(s->exec->catalog, 0, s->arena, &rows, &n, err));
    int64_t *lost = GR_NEW_N(s->arena, int64_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str name = rows[i].table_name;
        if (!name.n || rows[i].quarantine.n || gr_store_is_shared_table(name)) continue;
        const bool *seen = gr_map_get(&known, name);
        if (!seen) {
            seen = is_lost(s->exec, s->conn, &s->ctx, name) ? &gone : &there;
            gr_map_put(&known, name, (void *)(uintptr_t)seen);
        }
        if (!*seen) lost[n_lost++] = rows[i].id;
    }
    gr_actor actor = {s->ctx.now_us, {0}};
    return gr_catalog_partitions_judge(s->exec->catalog, lost, n_lost, GR_STR("its table is gone"), actor, err);
}

/* ---- tables without a record ---------------------------------------------------------------------------------------
 */

/* Tables that somebody else made of an entity's SQL are named by what was told of them. */
static bool is_told(gr_str name, const gr_preagg_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memmem(rows[i].availability.p, rows[i].availability.n, name.p, name.n) ||
            memmem(rows[i].decl.external.p, rows[i].decl.external.n, name.p, name.n))
            return true;
    return false;
}

static void look_at(sweep *s, const gr_map *named, const gr_map *hashes, const gr_preagg_row *rows, size_t n_rows,
                    const gr_store_found *found) {
    gr_exec *exec = s->exec;
    if (gr_map_get(named, found->text) || is_told(found->name, rows, n_rows)) return;
    if (found->kind == GR_STORE_SOURCE && !gr_map_get(hashes, gr_store_hash_in(found->name))) return;
    gr_exec_orphan orphan = {.table = gr_arena_dup(exec->arena, found->where)};
    gr_fault_point("sweep.orphan");
    if (found->kind == GR_STORE_EMBEDDED)
        orphan.is_removed = !gr_store_drop(s->conn, &s->ctx, exec->shared_dir, found->text, NULL);
    GR_PUSH(exec->arena, &exec->orphans, orphan);
}

/* How names in sources tell the structures that this catalog has built, here. */
static gr_status read_hashes(sweep *s, gr_map *ret, gr_error *err) {
    gr_build_row *rows;
    size_t n = 0;
    GR_TRY(gr_catalog_builds(s->exec->catalog, 0, 0, s->arena, &rows, &n, err));
    gr_map_init(ret, s->arena);
    for (size_t i = 0; i < n; i++) {
        gr_str hash = gr_store_source_hash(s->exec->config, rows[i].structure_hash, s->arena);
        gr_map_put(ret, gr_str_sub(hash, 0, 8), &rows[i]);
    }
    return GR_OK;
}

/* The store is read before the catalog: what is made meanwhile has its name before it is there. */
static gr_status find_orphans(sweep *s, gr_error *err) {
    gr_exec *exec = s->exec;
    gr_store_found *found;
    gr_str *names;
    gr_preagg_row *rows;
    size_t n = 0, n_names = 0, n_rows = 0;
    gr_map named, hashes;
    GR_TRY(gr_store_list(s->conn, &s->ctx, exec->config, exec->shared_dir, exec->dialect, &found, &n, err));
    if (!n) return GR_OK;
    GR_TRY(gr_catalog_table_names(exec->catalog, s->arena, &names, &n_names, err));
    GR_TRY(gr_catalog_scan(exec->catalog, s->arena, &rows, &n_rows, err));
    GR_TRY(read_hashes(s, &hashes, err));
    gr_map_init(&named, s->arena);
    for (size_t i = 0; i < n_names; i++) gr_map_put(&named, names[i], &names[i]);
    for (size_t i = 0; i < n; i++) look_at(s, &named, &hashes, rows, n_rows, &found[i]);
    return GR_OK;
}

const gr_exec_orphan *gr_exec_orphans(const gr_exec *exec, size_t *ret_n) {
    *ret_n = exec->orphans.n;
    return exec->orphans.v;
}

void gr_exec_spare_store(gr_exec *exec) { exec->is_store_spared = true; }

static gr_status run(sweep *s, gr_error *err) {
    bool may_write = !s->exec->is_store_spared;
    gr_fault_point("sweep.begun");
    if (may_write) GR_TRY(drop_doomed(s, err));
    gr_fault_point("sweep.doomed");
    GR_TRY(forget_gone_builds(s, err));
    GR_TRY(quarantine_gone_partitions(s, err));
    gr_fault_point("sweep.gone");
    if (may_write) GR_TRY(find_orphans(s, err));
    gr_fault_point("sweep.done");
    return GR_OK;
}

gr_status gr_exec_sweep(gr_exec *exec, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_engine_conn *conn;
    gr_status status = gr_pool_take(exec->pool, &ctx, GR_STR(""), &conn, err);
    if (!status) {
        sweep s = {exec, arena, ctx, conn};
        status = run(&s, err);
        gr_pool_give(exec->pool, conn);
    }
    gr_arena_free(arena);
    return status;
}
