/* What the files of the PostgreSQL driver share. Only the driver includes this header. */
#ifndef GR_ENGINE_POSTGRES_INTERNAL_H
#define GR_ENGINE_POSTGRES_INTERNAL_H
#include "base/buf.h"
#include "engine/engine.h"
#include "pg/pg.h"

#include <pthread.h>

/* ---- instance and connection (postgres.c) ------------------------------------------------------------------------ */
typedef struct gr_postgres_source { /* owned by the engine; never changed nor freed before it */
    struct gr_postgres_source *next;
    char *name, *conninfo, *schema; /* schema: "" = as the server has it */
} gr_postgres_source;

typedef struct gr_postgres {
    gr_engine base;
    pthread_mutex_t lock;
    gr_postgres_source *sources;
} gr_postgres;

enum { GR_POSTGRES_CACHED = 64, GR_POSTGRES_CACHED_SQL_BYTES = 1 << 16, GR_POSTGRES_TYPES = 64 };

typedef struct gr_postgres_statement {
    char *sql; /* owned; NULL = the place is free */
    size_t n;
    uint64_t hash, used_at; /* hash: of the text and of the parameters' types */
} gr_postgres_statement;

/* A type that is not one of PostgreSQL's own: asked of the server once per connection. */
typedef struct gr_postgres_type {
    Oid oid;
    gr_type to; /* GR_TYPE_NULL: results do not carry it */
    char name[64];
} gr_postgres_type;

typedef struct gr_postgres_stream gr_postgres_stream;

typedef struct gr_postgres_conn {
    gr_engine_conn base;
    gr_pg *pg; /* never NULL; its connection may be lost */
    const gr_postgres_source *source;
    gr_postgres_stream *open; /* the unfinished stream, or NULL */
    atomic_bool is_interrupted;
    bool is_ascii; /* the database promises no encoding: texts are checked */
    uint64_t tick;
    gr_postgres_statement cached[GR_POSTGRES_CACHED];
    gr_postgres_type types[GR_POSTGRES_TYPES];
    size_t n_types;
} gr_postgres_conn;

/* A connection that was found lost while nothing was under way is opened again. */
gr_status gr_engine_postgres_revive(gr_postgres_conn *conn, gr_error *err);

/* ---- waiting (postgres_wait.c) ------------------------------------------------------------------------------------
 */
typedef struct gr_postgres_wait {
    const gr_ctx *ctx;                           /* may be NULL */
    void (*on_tick)(void *arg, double fraction); /* may be NULL; every 100 ms or so, with -1 */
    void *arg;
    int64_t next_tick_us;
    gr_status fired; /* why the statement was cancelled */
    int64_t fired_us;
} gr_postgres_wait;
/* Fails at once when ctx is cancelled or late already. */
gr_status gr_engine_postgres_wait_begin(gr_postgres_wait *wait, const gr_ctx *ctx, gr_error *err);
/* The next result of what was sent; NULL at its end, and when the connection is lost. Cancels at the server when ctx
 * says so, or an interrupt came. */
PGresult *gr_engine_postgres_wait_next(gr_postgres_conn *conn, gr_postgres_wait *wait);
/* The next row of a COPY TO STDOUT: its bytes, to be freed by PQfreemem; 0: the end; below 0: it failed. */
int gr_engine_postgres_wait_copied(gr_postgres_conn *conn, gr_postgres_wait *wait, char **ret);
/* Between two results: what wait->fired says then. */
gr_status gr_engine_postgres_wait_look(gr_postgres_conn *conn, gr_postgres_wait *wait);
/* Everything that is left of what was sent is read and dropped; `stop`: cancelled first. */
void gr_engine_postgres_drain(gr_postgres_conn *conn, bool stop);
/* A transaction that failed is over. */
void gr_engine_postgres_rollback(gr_postgres_conn *conn);

/* ---- statements (postgres_query.c) --------------------------------------------------------------------------------
 */
gr_status gr_engine_postgres_query(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                   size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err);
gr_status gr_engine_postgres_query_bulk(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                        size_t n_params, gr_stream **ret, gr_error *err);
gr_status gr_engine_postgres_update(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                    size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                                    int64_t *ret_rows, gr_error *err);
gr_status gr_engine_postgres_describe(gr_engine_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                      size_t *ret_n, gr_error *err);
/* The server knows none of them any more (after a new connection). */
void gr_engine_postgres_uncache_all(gr_postgres_conn *conn);
void gr_engine_postgres_forget(gr_engine_conn *conn);

/* ---- loads (postgres_load.c) --------------------------------------------------------------------------------------
 */
gr_status gr_engine_postgres_load(gr_engine_conn *conn, const gr_ctx *ctx, const gr_engine_load *load, gr_stream *rows,
                                  int64_t *ret_rows, gr_error *err);

/* ---- streams (postgres_stream.c) ----------------------------------------------------------------------------------
 */
/* Takes `first`, the first result of what was sent in single-row mode. */
gr_status gr_engine_postgres_stream_open(gr_postgres_conn *conn, const gr_postgres_wait *wait, PGresult *first,
                                         gr_stream **ret, gr_error *err);
/* The rows of a COPY … TO STDOUT (FORMAT binary) that has begun; `described`: the columns of its SELECT, borrowed. */
gr_status gr_engine_postgres_stream_copy(gr_postgres_conn *conn, const gr_postgres_wait *wait,
                                         const PGresult *described, gr_stream **ret, gr_error *err);
void gr_engine_postgres_stream_detach(gr_postgres_conn *conn);

/* ---- types and values (postgres_type.c, postgres_value.c) ---------------------------------------------------------
 */
/* Of each column of a result. *ret_unknown: a type that has to be asked for first, or 0. engine.data, naming the
 * column, when results cannot carry it. Memory: arena. */
gr_status gr_engine_postgres_schema(const gr_postgres_conn *conn, const PGresult *result, gr_arena *arena,
                                    gr_column_schema **ret, Oid *ret_unknown, gr_error *err);
/* Asks the server; nothing may be under way. */
gr_status gr_engine_postgres_learn(gr_postgres_conn *conn, Oid oid, gr_error *err);

typedef struct gr_postgres_reader gr_postgres_reader;
/* `schema` is borrowed. */
gr_postgres_reader *gr_engine_postgres_reader_new(const gr_postgres_conn *conn, const gr_column_schema *schema,
                                                  const PGresult *result);
void gr_engine_postgres_reader_free(gr_postgres_reader *reader);
/* Room for a new batch. */
void gr_engine_postgres_reader_begin(gr_postgres_reader *reader);
gr_status gr_engine_postgres_reader_add(gr_postgres_reader *reader, const PGresult *result, int row, gr_error *err);
/* One row as COPY has it, behind its header. */
gr_status gr_engine_postgres_reader_add_copied(gr_postgres_reader *reader, const char *p, size_t n, gr_error *err);
bool gr_engine_postgres_reader_is_full(const gr_postgres_reader *reader);
/* The batch points into the reader until the next begin. */
gr_status gr_engine_postgres_reader_end(gr_postgres_reader *reader, gr_batch *ret, gr_error *err);

/* ---- errors (postgres_error.c) ------------------------------------------------------------------------------------
 */
/* What a failed result (NULL: the connection) says; `fired` goes before it. */
gr_status gr_engine_postgres_fail(const gr_postgres_conn *conn, const PGresult *result, gr_status fired, gr_error *err);
bool gr_engine_postgres_is_lost(const gr_postgres_conn *conn);
#endif
