/* The ClickHouse driver: data sources by the address of their HTTP interface, one kept connection for each connection
 * of a pool. A server that is away is no reason not to start: a source is attached without a look, and connecting says
 * what is wrong, and which version it is.
 *
 * Threads: an engine is shared; a connection has one user at a time, and interrupt may come from any thread. */
#include "engine/clickhouse_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static gr_clickhouse *engine_of(gr_engine *engine) { return (gr_clickhouse *)(void *)engine; }

static gr_status open_engine(const gr_engine_options *options, gr_engine **ret, gr_error *err) {
    (void)err;
    gr_clickhouse *e = gr_mem_calloc(1, sizeof *e);
    e->base.driver = &gr_engine_clickhouse_driver;
    e->memory_bytes = options->config ? options->config->engine_memory_mb << 20 : 0;
    pthread_mutex_init(&e->lock, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    *ret = &e->base;
    return GR_OK;
}

static void close_engine(gr_engine *engine) {
    gr_clickhouse *e = engine_of(engine);
    for (gr_clickhouse_source *s = e->sources, *next; s; s = next) {
        next = s->next;
        free(s->name);
        free(s->url);
        free(s->user);
        free(s->password);
        free(s->database);
        free(s->cluster);
        for (size_t i = 0; i < s->n_nodes; i++) free(s->nodes[i]);
        free(s->nodes);
        free(s);
    }
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static const gr_clickhouse_source *source_named(gr_clickhouse *e, gr_str name) {
    pthread_mutex_lock(&e->lock);
    const gr_clickhouse_source *s = e->sources;
    while (s && !gr_str_eq_z(name, s->name)) s = s->next;
    pthread_mutex_unlock(&e->lock);
    return s;
}

static char *copy(gr_str s) { return gr_mem_dup(s.p, s.n); }

static gr_str without_slash(gr_str url) {
    while (url.n && url.p[url.n - 1] == '/') url.n--;
    return url;
}

static gr_status attach(gr_engine *engine, const gr_source_config *source, bool want_write, gr_error *err) {
    (void)want_write, (void)err; /* who may write is the server's to say */
    gr_clickhouse *e = engine_of(engine);
    if (source_named(e, source->name)) return GR_OK;
    gr_clickhouse_source *s = gr_mem_calloc(1, sizeof *s);
    *s = (gr_clickhouse_source){.name = copy(source->name),
                                .url = copy(without_slash(source->url.value)),
                                .user = copy(source->user),
                                .password = copy(source->password.value),
                                .database = copy(source->schema.n ? source->schema : source->database),
                                .memory_bytes = e->memory_bytes,
                                .cluster = copy(source->cluster)};
    s->nodes = gr_mem_calloc(source->n_nodes + 1, sizeof *s->nodes);
    for (; s->n_nodes < source->n_nodes; s->n_nodes++)
        s->nodes[s->n_nodes] = copy(without_slash(source->nodes[s->n_nodes]));
    pthread_mutex_lock(&e->lock);
    s->next = e->sources;
    e->sources = s;
    pthread_mutex_unlock(&e->lock);
    return GR_OK;
}

static void free_conn(gr_clickhouse_conn *conn) {
    curl_easy_cleanup(conn->easy);
    curl_multi_cleanup(conn->multi);
    free(conn);
}

static gr_status learn_version(gr_clickhouse_conn *conn, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_str text = {0};
    gr_status status = gr_engine_clickhouse_run(conn, NULL, GR_STR("SELECT version()"), arena, &text, err);
    if (!status) conn->version = (int)strtol(gr_arena_dup(arena, text).p, NULL, 10);
    if (!status && conn->version < 1)
        status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "%s: what answers is no ClickHouse", conn->what);
    gr_arena_free(arena);
    return status;
}

static gr_status connect_to(gr_engine *engine, gr_str source, gr_engine_conn **ret, gr_error *err) {
    const gr_clickhouse_source *s = source_named(engine_of(engine), source);
    if (!s) return gr_error_set(err, GR_ERR_ENGINE_OPEN, "there is no data source \"" GR_FMT "\"", GR_ARG(source));
    gr_clickhouse_conn *conn = gr_mem_calloc(1, sizeof *conn);
    conn->base = (gr_engine_conn){.driver = &gr_engine_clickhouse_driver, .engine = engine};
    conn->source = s;
    conn->multi = curl_multi_init();
    conn->easy = curl_easy_init();
    snprintf(conn->what, sizeof conn->what, "data source \"%s\"", s->name);
    gr_status status = learn_version(conn, err);
    if (status)
        free_conn(conn);
    else
        *ret = &conn->base;
    return status;
}

static void disconnect(gr_engine_conn *base) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    if (!conn) return;
    gr_engine_clickhouse_stream_detach(conn);
    free_conn(conn);
}

static void interrupt(gr_engine_conn *base) {
    gr_clickhouse_conn *conn = (gr_clickhouse_conn *)(void *)base;
    atomic_store(&conn->is_interrupted, true);
}

static void forget(gr_engine_conn *base) { gr_engine_clickhouse_stream_detach((gr_clickhouse_conn *)(void *)base); }
static void reset(gr_engine_conn *base) { gr_engine_clickhouse_stream_detach((gr_clickhouse_conn *)(void *)base); }

const gr_engine_driver gr_engine_clickhouse_driver = {
    .name = "clickhouse",
    .dialect = "clickhouse",
    .caps = GR_ENGINE_CAP_STREAM,
    .open = open_engine,
    .close = close_engine,
    .attach = attach,
    .connect = connect_to,
    .disconnect = disconnect,
    .query = gr_engine_clickhouse_query,
    .update = gr_engine_clickhouse_update,
    .load = gr_engine_clickhouse_load,
    .fill = gr_engine_clickhouse_fill,
    .define = gr_engine_clickhouse_define,
    .drop = gr_engine_clickhouse_drop,
    .describe = gr_engine_clickhouse_describe,
    .interrupt = interrupt,
    .forget_statements = forget,
    .reset = reset,
};
