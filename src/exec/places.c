/* Where statements run: the embedded engine, and one engine for each other kind of data source, with their pools.
 *
 *   statement      embedded engine   <- load -   fetched rows   <- query -   the place of each fetch
 *
 * A connection is held while those of the fetches are waited for, which come out of a count of their own
 * (gr_pool_take_second) and are given back before anything else is waited for: there is no circle. */
#include "exec/internal.h"

#include <stdlib.h>
#include <sys/stat.h>

/* NULL: it is the embedded engine's. */
static const gr_engine_driver *native_driver(gr_source_kind kind) {
    return kind == GR_SOURCE_DUCKDB ? NULL : gr_engine_driver_of(kind);
}

static gr_status open_engine(gr_exec *exec, gr_source_kind kind, gr_error *err) {
    gr_engine_options options = {exec->config, {0}};
    const gr_engine_driver *driver = native_driver(kind);
    if (!driver || exec->engines[kind]) return GR_OK;
    GR_TRY(driver->open(&options, &exec->engines[kind], err));
    exec->pools[kind] = gr_pool_new(exec->engines[kind], (size_t)exec->config->engine_connections);
    return GR_OK;
}

gr_status gr_exec_places_open(gr_exec *exec, gr_error *err) {
    const gr_config *config = exec->config;
    gr_sql_place *places = GR_NEW_N(exec->arena, gr_sql_place, config->n_sources + 1);
    exec->are_files = GR_NEW_N(exec->arena, bool, config->n_sources + 1);
    places[0] = (gr_sql_place){.dialect = exec->dialect, .is_embedded = true};
    for (size_t i = 0; i < config->n_sources; i++) {
        const gr_source_config *s = &config->sources[i];
        gr_source_kind kind = s->kind;
        GR_TRY(open_engine(exec, kind, err));
        const gr_engine_driver *driver = native_driver(kind);
        const gr_dialect *dialect = driver ? gr_dialect_get(gr_str_from(driver->dialect)) : exec->dialect;
        places[i + 1] = (gr_sql_place){.name = s->name, .dialect = dialect, .is_embedded = !driver};
        struct stat st;
        exec->are_files[i] = !driver && s->path.n && (stat(s->path.p, &st) || S_ISDIR(st.st_mode));
        if (s->max_queries)
            gr_pool_limit(exec->pools[kind] ? exec->pools[kind] : exec->pool, s->name, (size_t)s->max_queries);
    }
    exec->own_places = places;
    exec->places = (gr_sql_places){places, config->n_sources + 1};
    return GR_OK;
}

void gr_exec_places_close(gr_exec *exec) {
    for (int k = 0; k < GR_SOURCE_KIND__COUNT; k++) {
        gr_pool_free(exec->pools[k]);
        if (exec->engines[k]) exec->engines[k]->driver->close(exec->engines[k]);
    }
}

/* What the server can, it says; one that is away says nothing, and is asked again with the next model. */
static void learn_dialect(gr_exec *exec, const gr_source_config *source) {
    static const char probe[] = "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'hll'";
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    const gr_sql sql = gr_sql_given(&exec->places, source->name, gr_str_from(probe));
    gr_stream *stream;
    gr_table *table;
    gr_error ignored;
    if (source->kind == GR_SOURCE_POSTGRES && !gr_exec_query(exec, &ctx, &sql, &stream, &ignored)) {
        bool is_there = !gr_table_read(stream, 1, arena, &table, &ignored) && table->n_rows;
        stream->close(stream);
        for (size_t i = 0; i < exec->places.n; i++)
            if (gr_str_eq(exec->places.v[i].name, source->name))
                exec->own_places[i].dialect = gr_dialect_get(is_there ? GR_STR("postgres+hll") : GR_STR("postgres"));
    }
    gr_arena_free(arena);
}

gr_status gr_exec_places_attach(gr_exec *exec, const gr_source_config *source, bool want_write, gr_error *err) {
    gr_engine *own = exec->engines[source->kind];
    GR_TRY(exec->engine->driver->attach(exec->engine, source, want_write, err));
    if (!own) return GR_OK;
    GR_TRY(own->driver->attach(own, source, want_write, err));
    learn_dialect(exec, source);
    return GR_OK;
}

gr_plan_defaults gr_exec_plan_defaults(const gr_config *config, gr_arena *arena) {
    gr_plan_remote *remote = GR_NEW_N(arena, gr_plan_remote, config->n_sources + 1);
    gr_plan_defaults defaults = {.is_external = config->external_default,
                                 .store = config->storage_store,
                                 .is_non_strict = config->allow_non_strict,
                                 .remote = remote};
    for (size_t i = 0; i < config->n_sources; i++) {
        const gr_engine_driver *driver = native_driver(config->sources[i].kind);
        if (!driver) continue;
        const gr_dialect *dialect = gr_dialect_get(gr_str_from(driver->dialect));
        remote[defaults.n_remote++] =
            (gr_plan_remote){config->sources[i].name, gr_str_from(driver->name), gr_dialect_is_for_groups(dialect),
                             gr_dialect_has_states(dialect)};
    }
    return defaults;
}

void gr_exec_places_forget(gr_exec *exec) {
    gr_pool_forget_statements(exec->pool);
    for (int k = 0; k < GR_SOURCE_KIND__COUNT; k++)
        if (exec->pools[k]) gr_pool_forget_statements(exec->pools[k]);
}

/* ---- connections ---------------------------------------------------------------------------------------------------
 */

static gr_pool *pool_of(const gr_exec *exec, gr_str place, bool is_native) {
    const gr_source_config *source = is_native ? gr_config_source(exec->config, place) : NULL;
    return source && exec->pools[source->kind] ? exec->pools[source->kind] : exec->pool;
}

gr_status gr_exec_take(const gr_exec *exec, const gr_ctx *ctx, gr_str place, bool is_native, gr_engine_conn **ret,
                       gr_error *err) {
    return gr_pool_take(pool_of(exec, place, is_native), ctx, place, ret, err);
}

static gr_status take_second(const gr_exec *exec, const gr_ctx *ctx, const gr_sql *sql, gr_engine_conn **ret,
                             gr_error *err) {
    return gr_pool_take_second(pool_of(exec, sql->place, sql->is_native), ctx, sql->place, ret, err);
}

void gr_exec_give(const gr_exec *exec, gr_engine_conn *conn) {
    if (!conn) return;
    gr_pool *pool = exec->pool;
    for (int k = 0; k < GR_SOURCE_KIND__COUNT; k++)
        if (exec->engines[k] == conn->engine) pool = exec->pools[k];
    gr_pool_give(pool, conn);
}

gr_str gr_exec_store_source(const gr_rollup *r) { return r->place.n ? r->place : gr_sql_load_source(r); }

gr_status gr_exec_take_store(const gr_exec *exec, const gr_ctx *ctx, const gr_rollup *r, gr_engine_conn **ret,
                             gr_error *err) {
    bool is_native = r->place.n && !gr_sql_place_of(&exec->places, r->place)->is_embedded;
    return gr_exec_take(exec, ctx, gr_exec_store_source(r), is_native, ret, err);
}

const gr_dialect *gr_exec_dialect_of(const gr_exec *exec, gr_str place) {
    return gr_sql_place_of(&exec->places, place)->dialect;
}

/* ---- statements ----------------------------------------------------------------------------------------------------
 */

/* A stream that puts in order what it was made on, when it is closed. */
typedef struct placed_stream {
    gr_stream pub;
    gr_stream *inner;
    const gr_exec *exec;
    gr_engine_conn *conn; /* to be given back, or NULL */
    gr_engine_conn *on;
    size_t n_tables; /* temporary ones */
} placed_stream;

static gr_status placed_next(gr_stream *s, const gr_batch **ret, gr_error *err) {
    placed_stream *p = (placed_stream *)s;
    return p->inner->next(p->inner, ret, err);
}

void gr_exec_fetched_drop(gr_engine_conn *conn, size_t n) {
    if (!n) return;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    for (size_t i = 0; i < n; i++) {
        gr_str sql = gr_arena_printf(arena, "DROP TABLE IF EXISTS temp.main.granary_f%zu", i);
        gr_error ignored;
        (void)!conn->driver->update(conn, &ctx, sql, NULL, 0, NULL, NULL, NULL, &ignored);
    }
    gr_arena_free(arena);
}

static void placed_close(gr_stream *s) {
    placed_stream *p = (placed_stream *)s;
    p->inner->close(p->inner);
    gr_exec_fetched_drop(p->on, p->n_tables);
    gr_exec_give(p->exec, p->conn);
    free(p);
}

/* The connection at hand is of the engine, and about the place, that the statement is for. */
bool gr_exec_is_for(const gr_exec *exec, const gr_engine_conn *conn, const gr_sql *sql) {
    bool is_embedded = conn->engine == exec->engine;
    if (is_embedded == sql->is_native) return false;
    return gr_str_eq(conn->source, sql->place);
}

/* `at_hand` (or NULL) is used when it is of the right place. */
static gr_status fetch_one(const gr_exec *exec, gr_engine_conn *conn, gr_engine_conn *at_hand, const gr_ctx *ctx,
                           const gr_sql_fetch *f, gr_error *err) {
    const gr_engine_load load = {.name = f->table, .is_temporary = true, .columns = f->columns};
    gr_engine_conn *from = at_hand, *own = NULL;
    gr_stream *rows;
    if (!at_hand || !gr_exec_is_for(exec, at_hand, &f->sql)) {
        GR_TRY(take_second(exec, ctx, &f->sql, &own, err));
        from = own;
    }
    gr_status status = from->driver->query(from, ctx, f->sql.text, f->sql.params, f->sql.n_params, true, &rows, err);
    if (!status) {
        status = conn->driver->load(conn, ctx, &load, rows, NULL, err);
        rows->close(rows);
    }
    gr_exec_give(exec, own);
    return status;
}

gr_status gr_exec_fetch(const gr_exec *exec, gr_engine_conn *conn, gr_engine_conn *at_hand, const gr_ctx *ctx,
                        const gr_sql *sql, gr_error *err) {
    for (size_t i = 0; i < sql->n_fetches; i++) GR_TRY(fetch_one(exec, conn, at_hand, ctx, &sql->fetches[i], err));
    return GR_OK;
}

typedef enum running { ONCE, CACHED, BULK } running; /* of running a statement */

/* A prepared statement over CSV keeps a buffer of 30 MiB for each file that it reads, also of ten bytes (DuckDB 1.5).
 */
static bool is_too_large_to_keep(const gr_exec *exec, const gr_sql *sql) {
    for (size_t i = 0; sql->reads_source && i < exec->config->n_sources; i++)
        if (exec->are_files[i] && gr_str_eq(exec->config->sources[i].name, sql->place)) return true;
    return false;
}

static gr_status query(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_sql *sql, running how,
                       gr_stream **ret, gr_error *err) {
    if (how == BULK && conn->driver->query_bulk)
        return conn->driver->query_bulk(conn, ctx, sql->text, sql->params, sql->n_params, ret, err);
    bool is_kept = how == CACHED && !sql->n_fetches && !is_too_large_to_keep(exec, sql);
    return conn->driver->query(conn, ctx, sql->text, sql->params, sql->n_params, is_kept, ret, err);
}

static gr_status run_on(const gr_exec *exec, gr_engine_conn *conn, gr_engine_conn *at_hand, bool is_own,
                        const gr_ctx *ctx, const gr_sql *sql, running how, gr_stream **ret, gr_error *err) {
    gr_stream *inner;
    gr_status status = gr_exec_fetch(exec, conn, at_hand, ctx, sql, err);
    if (!status) status = query(exec, conn, ctx, sql, how, &inner, err);
    if (status) {
        gr_exec_fetched_drop(conn, sql->n_fetches);
        return status;
    }
    if (!is_own && !sql->n_fetches) {
        *ret = inner;
        return GR_OK;
    }
    placed_stream *p = gr_mem_alloc(sizeof *p);
    *p = (placed_stream){{inner->schema, inner->n_columns, placed_next, placed_close},
                         inner,
                         exec,
                         is_own ? conn : NULL,
                         conn,
                         sql->n_fetches};
    *ret = &p->pub;
    return GR_OK;
}

static gr_status query_beside(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_sql *sql,
                              running how, gr_stream **ret, gr_error *err) {
    gr_engine_conn *own;
    GR_TRY(conn ? take_second(exec, ctx, sql, &own, err)
                : gr_exec_take(exec, ctx, sql->place, sql->is_native, &own, err));
    gr_status status = run_on(exec, own, conn, true, ctx, sql, how, ret, err);
    if (status) gr_exec_give(exec, own);
    return status;
}

gr_status gr_exec_query_beside(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_sql *sql,
                               gr_stream **ret, gr_error *err) {
    return query_beside(exec, conn, ctx, sql, BULK, ret, err);
}

gr_status gr_exec_query_on(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_sql *sql,
                           gr_stream **ret, gr_error *err) {
    if (conn && gr_exec_is_for(exec, conn, sql)) return run_on(exec, conn, NULL, false, ctx, sql, ONCE, ret, err);
    return query_beside(exec, conn, ctx, sql, ONCE, ret, err);
}

gr_status gr_exec_query(gr_exec *exec, const gr_ctx *ctx, const gr_sql *sql, gr_stream **ret, gr_error *err) {
    gr_engine_conn *conn;
    GR_TRY(gr_exec_take(exec, ctx, sql->place, sql->is_native, &conn, err));
    gr_status status = run_on(exec, conn, NULL, true, ctx, sql, CACHED, ret, err);
    if (status) gr_exec_give(exec, conn);
    return status;
}

gr_status gr_exec_update(gr_exec *exec, const gr_ctx *ctx, const gr_sql *sql, gr_error *err) {
    gr_engine_conn *conn;
    GR_TRY(gr_exec_take(exec, ctx, sql->place, sql->is_native, &conn, err));
    gr_status status = conn->driver->update(conn, ctx, sql->text, sql->params, sql->n_params, NULL, NULL, NULL, err);
    gr_exec_give(exec, conn);
    return status;
}
