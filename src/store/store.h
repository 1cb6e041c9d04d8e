/* Where rollups live: in Granary's embedded store, or beside the data in the source. A table of a build has a name of
 * its own for ever; it is made in one statement, so that half a table is never visible; readers find it only through
 * the catalog. Source: decisions 21, 22; duckdb.md §3. */
#ifndef GR_STORE_STORE_H
#define GR_STORE_STORE_H
#include "engine/engine.h"
#include "sql/sql.h"

typedef struct gr_store_table {
    gr_str catalog, schema, name; /* unquoted */
    gr_str text;  /* qualified and quoted: as the catalog of Granary knows it, "src_NAME"."schema"."name" */
    gr_str local; /* as the engine that holds it knows it: without the source that it does not attach */
} gr_store_table;

/* Of a table as the catalog knows it: the data source whose own engine holds it; empty: the embedded engine sees it. */
gr_str gr_store_place(const gr_config *config, gr_str table);
gr_str gr_store_local(const gr_config *config, gr_str table);

/* `<cube>_<preagg>[<partition digits>]_<structure>_<build>` (decisions 22), where the rollup lives. Memory: arena. */
/* `<schema>.<cube>_<pre-aggregation>`, the name without version that clients see (cube.md 3.4), and the same without
 * its schema. */
gr_str gr_store_table_key(const gr_config *config, const gr_rollup *rollup, gr_arena *arena);
gr_str gr_store_table_base(const gr_rollup *rollup, gr_arena *arena);
gr_store_table gr_store_table_name(const gr_config *config, const gr_rollup *rollup, gr_str digits,
                                   gr_str structure_hash, int64_t build, const gr_dialect *dialect, gr_arena *arena);
gr_str gr_store_name(const gr_rollup *rollup, gr_arena *arena); /* "embedded", "source:default" */

/* A shared store is a folder, used by any number of processes: each table is a database file of its own, that is
 * written once and read-only from then on.
 *
 *      store_dir/<name>.duckdb     attached as catalog "t_<name>"; the table is "t_<name>"."main"."<name>" */
bool gr_store_is_shared_table(gr_str table);
/* Make a table of a shared store readable by this process; it may be so already. Errors: store.io when it is gone. */
GR_MUST_CHECK gr_status gr_store_attach(gr_engine_conn *conn, const gr_ctx *ctx, gr_str store_dir, gr_str table,
                                        gr_error *err);

/* This process reads it no more; others may. */
GR_MUST_CHECK gr_status gr_store_detach(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err);

/* What stands in names in a source in place of the structure hash: that of one project alone. Memory: arena. */
gr_str gr_store_source_hash(const gr_config *config, gr_str structure_hash, gr_arena *arena);

typedef enum gr_store_kind { GR_STORE_EMBEDDED, GR_STORE_SHARED, GR_STORE_SOURCE } gr_store_kind;
/* A table whose name has the form that gr_store_table_name gives. */
typedef struct gr_store_found {
    gr_str name, text; /* text: qualified and quoted, as a catalog names it */
    gr_str where;      /* for people: of a shared store the file's path, else `text` */
    gr_store_kind kind;
} gr_store_found;
/* All there are: in the embedded store, or (`store_dir`) the shared one, and in the sources that are databases. Memory:
 * ctx->arena. Errors: engine.*, store.io. */
GR_MUST_CHECK gr_status gr_store_list(gr_engine_conn *conn, const gr_ctx *ctx, const gr_config *config,
                                      gr_str store_dir, const gr_dialect *dialect, gr_store_found **ret, size_t *ret_n,
                                      gr_error *err);
gr_str gr_store_hash_in(gr_str name); /* the eight digits; empty: the name has not our form */

/* Fill the table from a SELECT; `store_dir`: of the shared store, or empty. Errors: engine.*, store.io, cancelled,
 * timeout; then no table is there. */
GR_MUST_CHECK gr_status gr_store_build_in_place(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *rollup,
                                                const gr_store_table *table, gr_str store_dir, const gr_sql *select,
                                                void (*on_progress)(void *, double), void *arg, gr_error *err);
/* The same from rows that come from another place, in the order of the rollup's columns and components. */
typedef struct gr_store_told {
    void (*on_rows)(void *arg, int64_t rows, int64_t bytes); /* or NULL */
    void *arg;
} gr_store_told;
GR_MUST_CHECK gr_status gr_store_build_from(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *rollup,
                                            const gr_store_table *table, gr_str store_dir, gr_stream *rows,
                                            gr_store_told told, gr_error *err);
/* Its `indexes`, where the store is a database that has any use for them. */
GR_MUST_CHECK gr_status gr_store_index(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *rollup,
                                       const gr_store_table *table, gr_error *err);
typedef struct gr_store_part_stat {
    int64_t key_us; /* gr_sql_partition_key */
    int64_t rows;
    gr_str checksum;
} gr_store_part_stat;
typedef struct gr_store_stat {
    int64_t rows, bytes;
    int64_t *min_us, *max_us;  /* by rollup column; of instant columns only */
    int64_t last_us;           /* last bucket of its first time column; INT64_MIN: none */
    gr_store_part_stat *parts; /* by partition; those that have rows */
    size_t n_parts;
} gr_store_stat;
GR_MUST_CHECK gr_status gr_store_stat_table(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *rollup,
                                            gr_str table, const gr_dialect *dialect, gr_store_stat *ret, gr_error *err);
/* A table that is not there is no error. */
GR_MUST_CHECK gr_status gr_store_drop(gr_engine_conn *conn, const gr_ctx *ctx, gr_str store_dir, gr_str table,
                                      gr_error *err);
#endif
