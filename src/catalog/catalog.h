/* The catalog: pre-aggregation entities, their builds, and what serves. Stores and enforces their life; knows nothing
 * of SQL generation. First implementation: SQLite, one file, WAL (sqlite.c), numbered migrations (migrate.c).
 *
 * Identity of an entity: (source node, grain hash, source version), unique as uq_pre_agg_identity (seed; decisions 16).
 *
 * Life: pending -> materializing -> active | failed; failed -> materializing; active -> stale when its definition is
 * gone or asks for another structure; stale -> active when the definition of its served build is back; active and stale
 * -> materializing when built again; any -> pending when its builds are dropped (unless one is running). The picture is
 * in preaggs.c; a step that is not there is refused (internal).
 *
 * A build's table is visible to readers only through its `done` record. `serving` of an entity = its newest done build
 * whose structure hash is the one asked for. At most one build of an entity runs at a time.
 *
 * Threads: any; calls are serialised inside. Several processes may have the file open; a call waits at most 10 s for
 * another's transaction.
 *
 * Errors: catalog.io, catalog.version; preagg.not_found for an id that is none; preagg.build_failed for a second
 * running build, and for a build that is not in the state that the call needs; limit.exceeded for names over 1,024
 * bytes and lists over 1 MiB; internal for texts that are not what this header says.
 *
 * Memory: texts of returned rows live in `arena` and are NUL-terminated. */
#ifndef GR_CATALOG_CATALOG_H
#define GR_CATALOG_CATALOG_H
#include "base/error.h"

typedef struct gr_catalog gr_catalog;

typedef enum gr_preagg_status {
    GR_PREAGG_PENDING,
    GR_PREAGG_MATERIALIZING,
    GR_PREAGG_ACTIVE,
    GR_PREAGG_FAILED,
    GR_PREAGG_STALE
} gr_preagg_status;
gr_str gr_preagg_status_name(gr_preagg_status status); /* static, lower case */

typedef enum gr_build_status { GR_BUILD_RUNNING, GR_BUILD_DONE, GR_BUILD_FAILED, GR_BUILD_DROPPED } gr_build_status;
gr_str gr_build_status_name(gr_build_status status);

/* What an entity is declared as. */
typedef struct gr_preagg_decl {
    gr_str node;           /* "orders": the cube it is rooted at */
    gr_str node_version;   /* "v1.0" */
    gr_str grain_hash;     /* 32 hex digits (decisions 16) */
    gr_str grain_columns;  /* JSON list */
    gr_str measures;       /* JSON list of component names */
    gr_str declared_by;    /* given: one name, "orders.main"; in a returned row: the JSON list of all names,
                              ["orders.main"] */
    gr_str time_zone;      /* "UTC", or empty when no column depends on it */
    gr_str structure_hash; /* of everything that its table's content depends on */
    gr_str store;          /* "embedded", or "source:<name>" */
} gr_preagg_decl;

typedef struct gr_build_row {
    int64_t id, preagg_id, number; /* number counts per entity from 1 */
    gr_build_status status;
    gr_str table_name; /* qualified as its store needs it */
    gr_str structure_hash;
    int64_t started_us, finished_us, rows, bytes; /* finished_us: 0 while it runs */
    gr_str error;
    gr_str coverage; /* JSON: per time dimension column [min_us, max_us] of the stored buckets, "{}" when none */
} gr_build_row;

typedef struct gr_preagg_row {
    int64_t id;
    gr_preagg_decl decl;
    gr_preagg_status status;
    gr_str table_hash; /* the first 16 digits of the structure hash */
    gr_str error;      /* of the last build when that failed, else empty */
    int64_t created_us, updated_us;
    int64_t materialized_us; /* when the served build was published; 0 = never */
    bool has_serving;
    gr_build_row serving; /* newest done build, whatever its structure hash */
} gr_preagg_row;

/* Opens or creates the file (and <file>.lock beside it) and migrates it. Builds still `running` from an earlier process
 * become `failed` ("the process ended during the build"), and their entities `failed`; builds of processes that live,
 * and of other open handles, are left alone. A relative path is relative to the working folder. */
GR_MUST_CHECK gr_status gr_catalog_open(gr_str file, gr_catalog **ret, gr_error *err);
void gr_catalog_close(gr_catalog *catalog);

/* Find the entity of this identity or create it `pending`. When the structure hash or declaration changed, they are
 * updated; an active entity whose served build has another structure hash becomes `stale`, a stale one whose served
 * build has this hash becomes `active` again. The name is added to declared_by. What is declared replaces what was: a
 * caller with several definitions of one identity widens the measures first. The first declaration
 * for another version of the node retires what other versions have (as gr_catalog_retire). Nothing is written when
 * nothing is new. */
GR_MUST_CHECK gr_status gr_catalog_declare(gr_catalog *catalog, const gr_preagg_decl *decl, int64_t now_us,
                                           gr_arena *arena, gr_preagg_row *ret, gr_error *err);
/* After the whole model was declared: every entity whose id is not among these is declared by nobody any more. When
 * active it becomes `stale` (when it is being built, at the end of that); it goes on serving who asks for it. */
GR_MUST_CHECK gr_status gr_catalog_retire(gr_catalog *catalog, const int64_t *declared_ids, size_t n, int64_t now_us,
                                          gr_error *err);
/* All entities, by id. */
GR_MUST_CHECK gr_status gr_catalog_list(gr_catalog *catalog, gr_arena *arena, gr_preagg_row **ret, size_t *ret_n,
                                        gr_error *err);
GR_MUST_CHECK gr_status gr_catalog_get(gr_catalog *catalog, int64_t id, gr_arena *arena, gr_preagg_row *ret,
                                       bool *ret_found, gr_error *err);
/* A new `running` build with the next number; the entity becomes `materializing`. Of the builds that ended without
 * leaving a table, the last 100 of an entity are kept. */
GR_MUST_CHECK gr_status gr_catalog_build_begin(gr_catalog *catalog, int64_t preagg_id, gr_str structure_hash,
                                               int64_t now_us, int64_t *ret_build_id, int64_t *ret_number,
                                               gr_error *err);
/* Where the build writes, recorded before the table is made, so that a crash leaves a name to clean up. An empty name
 * for a failed or dropped build records that its table is gone; so the rows of those two that have a name are what to
 * drop. */
GR_MUST_CHECK gr_status gr_catalog_build_table(gr_catalog *catalog, int64_t build_id, gr_str table_name, gr_error *err);
/* One transaction: the build is done, the entity active (stale, when by now another structure is declared, or nobody
 * declares it). `coverage` may be empty. Earlier done builds of the entity become `dropped`; their tables are returned,
 * to be dropped once no reader uses them. */
GR_MUST_CHECK gr_status gr_catalog_build_done(gr_catalog *catalog, int64_t build_id, int64_t rows, int64_t bytes,
                                              gr_str coverage, int64_t now_us, gr_arena *arena, gr_build_row **ret_old,
                                              size_t *ret_n_old, gr_error *err);
/* Error texts are cut at 4 KiB. A build that failed already stays as it is. What served goes on serving. */
GR_MUST_CHECK gr_status gr_catalog_build_failed(gr_catalog *catalog, int64_t build_id, gr_str error, int64_t now_us,
                                                gr_error *err);
/* All builds of an entity, newest first; preagg_id 0 = of all. */
GR_MUST_CHECK gr_status gr_catalog_builds(gr_catalog *catalog, int64_t preagg_id, gr_arena *arena, gr_build_row **ret,
                                          size_t *ret_n, gr_error *err);
/* The entity's done builds become `dropped` and it `pending` (it stays `materializing` while a build runs); their rows
 * are returned so that the tables can be dropped. */
GR_MUST_CHECK gr_status gr_catalog_drop_builds(gr_catalog *catalog, int64_t preagg_id, int64_t now_us, gr_arena *arena,
                                               gr_build_row **ret, size_t *ret_n, gr_error *err);
#endif
