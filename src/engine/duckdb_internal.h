/* What the files of the DuckDB driver share. Deprecated functions of the C API stay hidden, except from
 * duckdb_stream.c, because streaming has no other entry. Only the driver includes this header. */
#ifndef GR_ENGINE_DUCKDB_INTERNAL_H
#define GR_ENGINE_DUCKDB_INTERNAL_H
#ifndef GR_ENGINE_DUCKDB_STREAMING
#define DUCKDB_API_NO_DEPRECATED
#endif
#include "base/buf.h"
#include "engine/engine.h"
#include "sketch/sketch.h"

#include <duckdb.h>
#include <pthread.h>
#include <sys/types.h>

/* ---- watch: the one thread that interrupts what runs too long or was cancelled (duckdb_watch.c) ----------------- */
typedef struct gr_duckdb_call { /* on the stack of the thread that runs the statement */
    duckdb_connection handle;
    const gr_ctx *ctx;
    gr_status fired; /* why it was interrupted; under the lock of the watch */
    bool is_listed;
    struct gr_duckdb_call *prev, *next;
} gr_duckdb_call;

typedef struct gr_duckdb_watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    gr_duckdb_call *first;
    bool is_asleep, is_stopping;
} gr_duckdb_watch;

void gr_engine_duckdb_watch_start(gr_duckdb_watch *watch);
void gr_engine_duckdb_watch_stop(gr_duckdb_watch *watch);
/* Fails at once, with nothing to end, when ctx is cancelled or late already. `ctx` may be NULL. */
gr_status gr_engine_duckdb_watch_begin(gr_duckdb_watch *watch, gr_duckdb_call *call, duckdb_connection handle,
                                       const gr_ctx *ctx, gr_error *err);
/* After this no interrupt comes any more. GR_OK, or what fired. */
gr_status gr_engine_duckdb_watch_end(gr_duckdb_watch *watch, gr_duckdb_call *call);

/* granary_local(TIMESTAMP, VARCHAR) for every connection of the instance (duckdb_zone.c). */
bool gr_engine_duckdb_register_zone(duckdb_connection handle);
/* duckdb_round.c */
bool gr_engine_duckdb_register_round(duckdb_connection handle);
double gr_engine_round_decimal(double x, int32_t decimals);
/* granary_hll_add, _union, _cardinality and granary_merge_m2, likewise (duckdb_sketch.c). */
bool gr_engine_duckdb_register_sketch(duckdb_connection handle);

/* ---- sketches held by states of aggregates (duckdb_held.c) ------------------------------------------------------- */
typedef struct gr_duckdb_held gr_duckdb_held;
typedef struct gr_duckdb_ref { /* zeroed: none */
    gr_duckdb_held *slot;
    uint64_t use;
} gr_duckdb_ref;

/* Around every callback that looks at sketches; between the two none is freed but by _drop. */
void gr_engine_duckdb_held_begin(void);
void gr_engine_duckdb_held_end(void);
gr_duckdb_ref gr_engine_duckdb_held_put(gr_hll *sketch); /* takes it */
gr_hll *gr_engine_duckdb_held_get(gr_duckdb_ref ref);    /* borrowed; NULL: none, or over */
bool gr_engine_duckdb_held_is_over(gr_duckdb_ref ref);   /* its statement has ended */
void gr_engine_duckdb_held_drop(gr_duckdb_ref ref);      /* accepts none, and what is over */
size_t gr_engine_duckdb_held_count(void);

/* A statement from its start until its result is gone; zeroed: none. What ended statements left behind is freed when
 * the last that could own it ends. Without any call to these nothing but the engine's own destructors frees. */
typedef struct gr_duckdb_running {
    uint64_t began_at;
    struct gr_duckdb_running *prev, *next;
} gr_duckdb_running;
void gr_engine_duckdb_running_begin(gr_duckdb_running *running); /* ends what it stood for before */
void gr_engine_duckdb_running_end(gr_duckdb_running *running);

/* ---- instance and connection (duckdb.c) -------------------------------------------------------------------------- */
typedef struct gr_duckdb_source { /* owned by the engine, under its lock */
    struct gr_duckdb_source *next;
    char *name;
    bool is_folder, is_attached, is_writable;
    bool is_guest, divides_integers; /* of another engine */
    dev_t device;
    ino_t inode;
} gr_duckdb_source;

typedef struct gr_duckdb {
    gr_engine base;
    duckdb_database db;
    duckdb_connection admin; /* attaches; stays in catalog "memory"; under the lock */
    pthread_mutex_t lock;
    gr_duckdb_source *sources;
    gr_duckdb_watch watch;
    char *store_file;                /* owned, "" = none */
    atomic_uint_fast64_t generation; /* grows with every attachment: what was prepared before it is forgotten */
    struct gr_duckdb *next_open;
} gr_duckdb;

typedef struct gr_duckdb_stream gr_duckdb_stream;

enum { GR_DUCKDB_CACHED = 64, GR_DUCKDB_CACHED_SQL_BYTES = 1 << 16, GR_DUCKDB_SQL_BYTES = 1 << 24 };

typedef struct gr_duckdb_statement {
    char *sql; /* owned; NULL = the place is free */
    size_t n;
    uint64_t hash, used_at;
    duckdb_prepared_statement prepared;
} gr_duckdb_statement;

typedef struct gr_duckdb_conn {
    gr_engine_conn base;
    duckdb_connection handle;
    gr_duckdb_stream *open;     /* the unfinished stream, or NULL */
    gr_duckdb_running running;  /* from the start of a statement until its stream has let go of the result */
    bool may_be_in_transaction; /* BEGIN, COMMIT or ROLLBACK was run since it was reset */
    bool tells_progress;        /* the progress of its statements is kept: 2 % of a small query */
    atomic_bool is_interrupted; /* from outside, since the last statement began */
    uint64_t tick, generation;
    gr_duckdb_statement cached[GR_DUCKDB_CACHED];
} gr_duckdb_conn;

static inline gr_duckdb *gr_engine_duckdb_of(gr_engine_conn *conn) { return (gr_duckdb *)(void *)conn->engine; }

/* ---- statements (duckdb_statement.c) ----------------------------------------------------------------------------- */
/* `prepared` is set only on GR_OK. */
gr_status gr_engine_duckdb_prepare(duckdb_connection handle, gr_str sql, duckdb_prepared_statement *prepared,
                                   gr_error *err);
gr_status gr_engine_duckdb_bind(duckdb_prepared_statement prepared, const gr_value *params, size_t n_params,
                                gr_error *err);
gr_duckdb_statement *gr_engine_duckdb_cached(gr_duckdb_conn *conn, gr_str sql);
/* The cache takes `prepared` and gives up the least recently used. */
void gr_engine_duckdb_cache(gr_duckdb_conn *conn, gr_str sql, duckdb_prepared_statement prepared);
void gr_engine_duckdb_uncache(gr_duckdb_statement *statement);
void gr_engine_duckdb_forget(gr_engine_conn *conn);
/* Run a statement of the driver's own and drop its result. */
gr_status gr_engine_duckdb_run(duckdb_connection handle, gr_str sql, gr_error *err);
/* All rows of a statement whose columns are VARCHAR; NULL is a gr_str with p == NULL. Row-major, in `arena`. */
gr_status gr_engine_duckdb_texts(duckdb_connection handle, gr_str sql, gr_arena *arena, gr_str **ret, size_t *ret_rows,
                                 size_t *ret_columns, gr_error *err);
/* Whatever transaction is open is over. */
void gr_engine_duckdb_rollback(duckdb_connection handle);
void gr_engine_duckdb_add_name(gr_buf *out, gr_str name);    /* "a ""name""" */
void gr_engine_duckdb_add_literal(gr_buf *out, gr_str text); /* 'a ''text''' */

/* The vtable's query, update and describe (duckdb_query.c). */
gr_status gr_engine_duckdb_query(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                 size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err);
gr_status gr_engine_duckdb_update(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                  size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                                  int64_t *ret_rows, gr_error *err);
gr_status gr_engine_duckdb_describe(gr_engine_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                    size_t *ret_n, gr_error *err);

/* ---- loads (duckdb_load.c) --------------------------------------------------------------------------------------- */
gr_status gr_engine_duckdb_load(gr_engine_conn *conn, const gr_ctx *ctx, const gr_engine_load *load, gr_stream *rows,
                                int64_t *ret_rows, gr_error *err);

/* ---- streams (duckdb_stream.c) ----------------------------------------------------------------------------------- */
/* *ret_type: the engine's error type when it was the execution that failed, else DUCKDB_ERROR_INVALID. */
gr_status gr_engine_duckdb_stream_open(gr_duckdb_conn *conn, const gr_ctx *ctx, duckdb_prepared_statement prepared,
                                       gr_stream **ret, duckdb_error_type *ret_type, gr_error *err);
/* The connection goes on to something else: the stream lets go of its result and fails from here on. */
void gr_engine_duckdb_stream_detach(gr_duckdb_conn *conn);

/* ---- chunks to batches (duckdb_batch.c) -------------------------------------------------------------------------- */
typedef struct gr_duckdb_reader gr_duckdb_reader;
/* Type of a result's column; engine.data, naming the column, when results cannot carry it. */
gr_status gr_engine_duckdb_type(duckdb_logical_type type, gr_str name, gr_column_schema *ret, gr_error *err);
/* The reader and its schema live in `arena`; its buffers are owned. */
gr_status gr_engine_duckdb_reader_new(duckdb_result *result, gr_arena *arena, gr_duckdb_reader **ret, gr_error *err);
void gr_engine_duckdb_reader_free(gr_duckdb_reader *reader);
const gr_column_schema *gr_engine_duckdb_reader_schema(const gr_duckdb_reader *reader, size_t *ret_n);
/* The batch points into the chunk and into the reader until either changes. */
gr_status gr_engine_duckdb_reader_read(gr_duckdb_reader *reader, duckdb_data_chunk chunk, gr_batch *ret, gr_error *err);

/* ---- sources (duckdb_source.c, duckdb_folder.c, duckdb_csv.c) ---------------------------------------------------- */
gr_status gr_engine_duckdb_attach(gr_engine *engine, const gr_source_config *source, bool want_write, gr_error *err);
/* Replace schema "src_NAME" by one view per table of the folder, in one transaction. */
gr_status gr_engine_duckdb_folder(duckdb_connection admin, const gr_source_config *source, gr_error *err);
/* Append the read_csv(...) that reads `patterns` the way the whole of `first_file` asks for. */
gr_status gr_engine_duckdb_csv(duckdb_connection admin, gr_str first_file, const gr_str *patterns, size_t n_patterns,
                               bool is_one_file, gr_arena *arena, gr_buf *out, gr_error *err);
gr_str gr_engine_duckdb_glob_escape(gr_str path, gr_arena *arena);

/* ---- errors (duckdb_error.c) ------------------------------------------------------------------------------------- */
/* `type` may be DUCKDB_ERROR_INVALID: then the message's own prefix tells. */
gr_status gr_engine_duckdb_fail(duckdb_error_type type, const char *message, gr_error *err);
/* The same, out of a failed result. */
gr_status gr_engine_duckdb_fail_result(duckdb_result *result, gr_error *err);
duckdb_error_type gr_engine_duckdb_error_type(const char *message);
bool gr_engine_duckdb_is_lock(const char *message);
/* The process that holds the lock, 0 when the message does not say. */
long gr_engine_duckdb_lock_pid(const char *message);
gr_status gr_engine_duckdb_fired(gr_status fired, gr_error *err);
/* The reason of a failed call: what fired, or what the engine said, unless it claims an interrupt that nobody sent. */
gr_status gr_engine_duckdb_reason(gr_duckdb_conn *conn, gr_status fired, gr_status status, gr_error *err);
#endif
