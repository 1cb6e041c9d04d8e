/* The PostgreSQL driver: data sources by their connection strings, one session for each connection of a pool.
 *
 * A session is read-only, in UTC, in UTF-8, with the source's schema in front of the search path. A server that is away
 * is no reason not to start: a source is attached without a look, and connecting says what is wrong.
 *
 * Threads: an engine is shared; a connection has one user at a time, and interrupt may come from any thread. */
#include "engine/postgres_internal.h"

#include "base/mem.h"

#include <poll.h>
#include <stdlib.h>

static gr_postgres *engine_of(gr_engine *engine) { return (gr_postgres *)(void *)engine; }

/* ---- sources -------------------------------------------------------------------------------------------------------
 */

static gr_status open_engine(const gr_engine_options *options, gr_engine **ret, gr_error *err) {
    (void)options, (void)err;
    gr_postgres *e = gr_mem_calloc(1, sizeof *e);
    e->base.driver = &gr_engine_postgres_driver;
    pthread_mutex_init(&e->lock, NULL);
    *ret = &e->base;
    return GR_OK;
}

static void close_engine(gr_engine *engine) {
    gr_postgres *e = engine_of(engine);
    for (gr_postgres_source *s = e->sources, *next; s; s = next) {
        next = s->next;
        free(s->name);
        free(s->conninfo);
        free(s->schema);
        free(s);
    }
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static const gr_postgres_source *source_named(gr_postgres *e, gr_str name) {
    pthread_mutex_lock(&e->lock);
    const gr_postgres_source *s = e->sources;
    while (s && !gr_str_eq_z(name, s->name)) s = s->next;
    pthread_mutex_unlock(&e->lock);
    return s;
}

static gr_status attach(gr_engine *engine, const gr_source_config *source, bool want_write, gr_error *err) {
    (void)want_write, (void)err; /* who may write is the server's to say */
    gr_postgres *e = engine_of(engine);
    if (source_named(e, source->name)) return GR_OK;
    gr_postgres_source *s = gr_mem_calloc(1, sizeof *s);
    s->name = gr_mem_dup(source->name.p, source->name.n);
    s->conninfo = gr_mem_dup(source->url.value.p, source->url.value.n);
    s->schema = gr_mem_dup(source->schema.p, source->schema.n);
    pthread_mutex_lock(&e->lock);
    s->next = e->sources;
    e->sources = s;
    pthread_mutex_unlock(&e->lock);
    return GR_OK;
}

/* ---- sessions ------------------------------------------------------------------------------------------------------
 */

static gr_status begin_session(gr_postgres_conn *conn, gr_error *err) {
    static const char settings[] =
        "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;"
        " SET standard_conforming_strings = on; SET default_transaction_read_only = on";
    gr_arena *arena = gr_arena_new();
    /* A server that notices that its client is gone does not work on for nobody. */
    const char *check =
        PQserverVersion(conn->pg->conn) >= 140000 ? "; SET client_connection_check_interval = '10s'" : "";
    gr_str sql = gr_arena_printf(arena, "%s%s", settings, check);
    if (*conn->source->schema) {
        gr_str schema = gr_pg_identifier(gr_str_from(conn->source->schema), arena);
        sql = gr_arena_printf(arena, GR_FMT "; SET search_path = " GR_FMT ", public", GR_ARG(sql), GR_ARG(schema));
    }
    PGresult *result = PQexec(conn->pg->conn, sql.p);
    gr_status status = GR_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) status = gr_engine_postgres_fail(conn, result, GR_OK, err);
    PQclear(result);
    gr_arena_free(arena);
    const char *encoding = PQparameterStatus(conn->pg->conn, "server_encoding");
    conn->is_ascii = encoding && strcmp(encoding, "SQL_ASCII") == 0;
    return status;
}

static gr_status connect(gr_engine *engine, gr_str source, gr_engine_conn **ret, gr_error *err) {
    const gr_postgres_source *s = source_named(engine_of(engine), source);
    if (!s) return gr_error_set(err, GR_ERR_ENGINE_OPEN, "there is no data source \"" GR_FMT "\"", GR_ARG(source));
    gr_postgres_conn *conn = gr_mem_calloc(1, sizeof *conn);
    gr_arena *arena = gr_arena_new();
    gr_str what = gr_arena_printf(arena, "data source \"" GR_FMT "\"", GR_ARG(source));
    conn->base = (gr_engine_conn){.driver = &gr_engine_postgres_driver, .engine = engine};
    conn->source = s;
    gr_status status = gr_pg_open(gr_str_from(s->conninfo), (gr_pg_use){what.p, GR_ERR_ENGINE_OPEN}, &conn->pg, err);
    gr_arena_free(arena);
    if (!status) status = begin_session(conn, err);
    if (status) {
        gr_pg_close(conn->pg);
        free(conn);
        return status;
    }
    *ret = &conn->base;
    return GR_OK;
}

static void disconnect(gr_engine_conn *base) {
    gr_postgres_conn *conn = (gr_postgres_conn *)(void *)base;
    if (!conn) return;
    gr_engine_postgres_stream_detach(conn);
    gr_engine_postgres_uncache_all(conn);
    gr_pg_close(conn->pg);
    free(conn);
}

/* What an idle connection has to say is that it is over. */
static bool was_lost(gr_postgres_conn *conn) {
    if (gr_engine_postgres_is_lost(conn)) return true;
    struct pollfd fd = {.fd = PQsocket(conn->pg->conn), .events = POLLIN};
    while (!gr_engine_postgres_is_lost(conn) && poll(&fd, 1, 0) > 0) /* its last words, and then its end */
        if (!PQconsumeInput(conn->pg->conn)) return true;
    return gr_engine_postgres_is_lost(conn);
}

gr_status gr_engine_postgres_revive(gr_postgres_conn *conn, gr_error *err) {
    if (!was_lost(conn)) return GR_OK;
    gr_engine_postgres_uncache_all(conn);
    conn->n_types = 0; /* another server may stand there, where the same number is another type */
    GR_TRY(gr_pg_reopen(conn->pg, err));
    return begin_session(conn, err);
}

static void interrupt(gr_engine_conn *base) {
    gr_postgres_conn *conn = (gr_postgres_conn *)(void *)base;
    atomic_store(&conn->is_interrupted, true);
}

static void reset(gr_engine_conn *base) {
    gr_postgres_conn *conn = (gr_postgres_conn *)(void *)base;
    gr_engine_postgres_stream_detach(conn);
    gr_engine_postgres_rollback(conn);
}

const gr_engine_driver gr_engine_postgres_driver = {
    .name = "postgres",
    .dialect = "postgres",
    .caps = GR_ENGINE_CAP_STREAM | GR_ENGINE_CAP_BIND | GR_ENGINE_CAP_INDEX,
    .open = open_engine,
    .close = close_engine,
    .attach = attach,
    .connect = connect,
    .disconnect = disconnect,
    .query = gr_engine_postgres_query,
    .query_bulk = gr_engine_postgres_query_bulk,
    .update = gr_engine_postgres_update,
    .load = gr_engine_postgres_load,
    .describe = gr_engine_postgres_describe,
    .interrupt = interrupt,
    .forget_statements = gr_engine_postgres_forget,
    .reset = reset,
};
