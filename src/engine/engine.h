/* Engines: SQL text and bound values in, column batches out. A driver is one static vtable; one conformance suite runs
 * on every driver. Knows nothing of models.
 *
 * An engine stands for one *instance* (for DuckDB: the one database of the process, with every data source and the
 * embedded store attached). A *source* in it is opened by name; a connection belongs to one source (unqualified table
 * names resolve there) and to one thread at a time; cancel alone may come from another thread.
 * Source: house.md §5; duckdb.md. */
#ifndef GR_ENGINE_ENGINE_H
#define GR_ENGINE_ENGINE_H
#include "base/ctx.h"
#include "config/config.h"
#include "data/batch.h"

typedef struct gr_engine gr_engine;           /* one instance; begins with the driver */
typedef struct gr_engine_conn gr_engine_conn; /* begins with the driver */
typedef struct gr_engine_driver gr_engine_driver;

enum {
    GR_ENGINE_CAP_STREAM = 1 << 0,     /* results arrive batch by batch */
    GR_ENGINE_CAP_BIND = 1 << 1,       /* values are bound, not spelled */
    GR_ENGINE_CAP_CTAS_STORE = 1 << 2, /* CREATE TABLE AS may read a source and write the embedded store */
    GR_ENGINE_CAP_PROGRESS = 1 << 3,
    GR_ENGINE_CAP_INDEX = 1 << 4, /* tables have indexes that queries need */
};

typedef struct gr_engine_options {
    const gr_config *config;
    gr_str store_file; /* absolute path of the embedded store; empty = none (then :memory:) */
} gr_engine_options;

struct gr_engine {
    const gr_engine_driver *driver;
};
struct gr_engine_conn {
    const gr_engine_driver *driver;
    gr_engine *engine;
    gr_str source; /* set by the pool, borrowed from it: what it was taken for */
};

/* Rows that come from elsewhere into a table that is made for them. */
typedef struct gr_engine_load {
    gr_str catalog, schema, name; /* not quoted; catalog empty: there is none */
    bool is_temporary;            /* seen by this connection alone; in place of one of that name, and without schema */
    const gr_str *columns;        /* their names, as many as the rows have; NULL: those of the rows */
    const int *states;            /* by column: log2m of its states of ClickHouse, 0: it has none; NULL: no column */
    void (*on_rows)(void *arg, int64_t rows,
                    int64_t bytes); /* may be NULL: so far, every 100 ms or so, and at the end */
    void *arg;
} gr_engine_load;

struct gr_engine_driver {
    const char *name;    /* "duckdb" */
    const char *dialect; /* name of the SQL dialect in sql/ */
    unsigned caps;
    /* Start the instance and attach the store. Errors: engine.open, store.locked (with the holder's pid in the hint),
     * store.io. */
    gr_status (*open)(const gr_engine_options *options, gr_engine **ret, gr_error *err);
    void (*close)(gr_engine *engine);
    /* Attach a data source under its name. `want_write`: a pre-aggregation lives in it (only when read_only is unset or
     * false). Calling again with another want_write re-attaches. Errors: engine.open, engine.locked. */
    gr_status (*attach)(gr_engine *engine, const gr_source_config *source, bool want_write, gr_error *err);
    /* A connection whose unqualified names resolve in `source` ("" = the embedded store). */
    gr_status (*connect)(gr_engine *engine, gr_str source, gr_engine_conn **ret, gr_error *err);
    void (*disconnect)(gr_engine_conn *conn);
    /* Run one statement that returns rows; values are bound to $1…$n. ctx outlives the stream. `hint_cache`: keep the
     * prepared statement on the connection under its text. Errors: engine.*, cancelled, timeout. */
    gr_status (*query)(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params, size_t n_params,
                       bool hint_cache, gr_stream **ret, gr_error *err);
    /* The same for many rows, in the way that is fastest for them; nothing is kept on the connection. NULL: as `query`.
     */
    gr_status (*query_bulk)(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                            size_t n_params, gr_stream **ret, gr_error *err);
    /* Run one statement without rows (DDL, CREATE TABLE AS). *ret_rows (may be NULL): rows changed or created.
     * `on_progress` (may be NULL) is called from this call's thread every 100 ms or so with 0…1, or below 0 = unknown.
     */
    gr_status (*update)(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params, size_t n_params,
                        void (*on_progress)(void *arg, double fraction), void *arg, int64_t *ret_rows, gr_error *err);
    /* Make the table and put all rows of the stream into it, in one transaction: it is there whole, or not at all. The
     * rows are read to their end and not closed; memory does not grow with them. Errors: engine.*, cancelled, timeout,
     * those of the rows. NULL: the engine cannot. */
    gr_status (*load)(gr_engine_conn *conn, const gr_ctx *ctx, const gr_engine_load *load, gr_stream *rows,
                      int64_t *ret_rows, gr_error *err);
    /* Make the table, and fill it by a SELECT of the same source, without a way through here; whole or not at all, as
     * `load`. `on_progress` as of `update`. NULL: by CREATE TABLE AS. */
    gr_status (*fill)(gr_engine_conn *conn, const gr_ctx *ctx, const gr_engine_load *load, gr_str select,
                      const gr_value *params, size_t n_params, void (*on_progress)(void *arg, double fraction),
                      void *arg, gr_error *err);
    /* Make something, or let it go, on every server that the source has. NULL: `update` does. */
    gr_status (*define)(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, gr_error *err);
    /* Drop a table that `load` made (qualified and quoted); one that is not there is no error. NULL: by DROP TABLE. */
    gr_status (*drop)(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err);
    /* Column names and types of a SELECT, without running it. */
    gr_status (*describe)(gr_engine_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret, size_t *ret_n,
                          gr_error *err);
    /* Stop what the connection runs now, from any thread. Repeat until it answered. */
    void (*interrupt)(gr_engine_conn *conn);
    /* Forget prepared statements (after a build was published or a source re-attached). */
    void (*forget_statements)(gr_engine_conn *conn);
    /* Make ready for the next user: an unfinished stream is closed, an open transaction rolled back. */
    void (*reset)(gr_engine_conn *conn);
};

/* Of a kind of source. */
const gr_engine_driver *gr_engine_driver_of(gr_source_kind kind);
extern const gr_engine_driver gr_engine_duckdb_driver;
extern const gr_engine_driver gr_engine_postgres_driver;   /* no store in it; caps without CTAS_STORE */
extern const gr_engine_driver gr_engine_fake_driver;       /* scripted answers, delays and failures; engine/fake.h */
extern const gr_engine_driver gr_engine_clickhouse_driver; /* by HTTP; temporary tables and transactions it has none */
/* A ClickHouse source with a cluster: `load` makes "name", which is spread over the shards, and on each "name_l". */

/* In the DuckDB driver a source of another engine is a guest: nothing is attached, and connections for it see the store
 * and what they have loaded. `/` of two integers is there what it is in the guest's own engine. */
/* How the DuckDB driver names things (the sql room's dialect and the store rely on it):
 *   embedded store            catalog "granary_store", schema "main"
 *   data source NAME, file    catalog "src_NAME"
 *   data source NAME, folder  catalog "memory", schema "src_NAME", one view per file stem or subfolder
 * and it adds the function granary_local(TIMESTAMP, VARCHAR): naive UTC on the wall clock of a zone, by cal/. */
/* The instance of this process has failed with engine.stopped, and does so from now on: only a new process has it back.
 */
bool gr_engine_duckdb_is_stopped(void);
gr_str gr_engine_duckdb_source_catalog(const gr_source_config *source, gr_arena *arena);

/* ---- pool: connections per source, at most `max` each for builds (ctx->is_build), for everything else, and for those
 * who hold one already ----------------------------------------------------------------------------------------------
 */
typedef struct gr_pool gr_pool;
gr_pool *gr_pool_new(gr_engine *engine, size_t max_per_source); /* engine is borrowed */
void gr_pool_free(gr_pool *pool);                               /* all connections must have been given back */
/* Another maximum than `max` for what is no build of this source; before the first connection of it is taken. */
void gr_pool_limit(gr_pool *pool, gr_str source, size_t max);
/* Waits for a free connection until ctx's deadline or cancel. */
GR_MUST_CHECK gr_status gr_pool_take(gr_pool *pool, const gr_ctx *ctx, gr_str source, gr_engine_conn **ret,
                                     gr_error *err);
/* For who holds a connection of another pool or source already, and gives this one back before waiting for any other.
 */
GR_MUST_CHECK gr_status gr_pool_take_second(gr_pool *pool, const gr_ctx *ctx, gr_str source, gr_engine_conn **ret,
                                            gr_error *err);
void gr_pool_give(gr_pool *pool, gr_engine_conn *conn);
/* Every connection, idle or when it comes back, forgets its statements. */
void gr_pool_forget_statements(gr_pool *pool);
#endif
