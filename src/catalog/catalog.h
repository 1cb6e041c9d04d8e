/* The catalog: nodes and their revisions, cubes made by API, pre-aggregation entities, their builds, who uses them, and
 * the history of all that. Stores and enforces their life; knows nothing of SQL generation.
 *
 * Two databases, one behaviour: SQLite (one file, WAL) and PostgreSQL (several servers share it). All rules are written
 * once, over db.h; one conformance suite runs on both. Numbered migrations (migrate.c).
 *
 * Nodes. A cube of the YAML model is a node of type source or transform; a cube made by API is a node of type cube. A
 * node has revisions, versions v<major>.<minor>: another content hash is a new major, another meta hash a new minor. A
 * revision is found again by its hashes: going back to an earlier definition is going back to its version.
 *
 * Identity of an entity: (source node, grain hash, source version), unique as uq_pre_agg_identity (seed; decisions 16).
 *
 * Components. An entity is declared with a list of components, each with a signature: equal signatures, equal values in
 * every stored row. Its base hash stands for the rows themselves (grain, joins, filters, source, store, zone). What
 * serves is the newest done build, and it holds its own base hash and list of components. It covers a declaration when
 * the base hash is equal and every declared component is in it with the same signature.
 *
 * Life (dj.md 5; decisions 17, 18). Every step writes history.
 *
 *     (none) --declared, planned, cube put, registered--> pending   (external with availability: active)
 *     pending, failed, active, stale --begin--> materializing     (a live lease is held: preagg.materializing)
 *     materializing --done--> active  when it covers what is declared now
 *                             pending when it was widened meanwhile  (what was made serves what it holds)
 *                             stale   when its base or a component changed, or nobody declares it any more
 *     materializing --failed, or its owner died--> failed            (what served goes on serving)
 *     active --widened--> pending ; any but materializing --narrowed so that the build covers it--> active
 *     pending, failed, active --changed in substance, or declared by no live server--> stale
 *     stale --declared again--> active (its build covers it), else pending
 *     active, failed, stale, pending --builds dropped--> pending (stale stays stale)
 *     any --availability--> active (not external: what the table holds must be said)
 *     any but materializing, linked to no cube --remove--> (none)
 *
 * Leases. A running build is held by the handle that began it: alive as long as its process lives (SQLite: a byte of
 * <file>.lock; PostgreSQL: a session's advisory lock) and its lease is extended (gr_catalog_heartbeat;
 * GR_CATALOG_LEASE_US on the database's own clock). What is held by nobody any more becomes `failed` at the next begin,
 * heartbeat or open.
 *
 * Threads: any; calls are serialised inside. A call waits at most 10 s for another's transaction. Every call is one
 * transaction: on an error nothing is written. A lost PostgreSQL connection is opened again by the next call; the call
 * that found it lost fails with catalog.io (retryable), or was done whole.
 *
 * Errors: catalog.io, catalog.version; preagg.not_found; preagg.materializing; preagg.in_use; preagg.build_failed for a
 * build that is not in the state that the call needs; node.not_found, node.exists; limit.exceeded for names over 1,024
 * bytes and texts over 1 MiB; internal for texts that are not what this header says.
 *
 * Memory: texts of returned rows live in `arena` and are NUL-terminated. Inputs are borrowed during the call. */
#ifndef GR_CATALOG_CATALOG_H
#define GR_CATALOG_CATALOG_H
#include "base/error.h"

typedef struct gr_catalog gr_catalog;
enum { GR_CATALOG_LEASE_US = 30 * 1000000 };

/* Who does it, and when: for history and time stamps. */
typedef struct gr_actor {
    int64_t now_us;
    gr_str user; /* empty: "granary" */
} gr_actor;

/* ---- opening ----------------------------------------------------------------------------------------------------- */
typedef struct gr_catalog_options {
    gr_str file;          /* SQLite; relative to the working folder. Its .lock stands beside it */
    gr_str postgres;      /* libpq connection string; not empty: PostgreSQL instead of the file */
    gr_str schema;        /* of PostgreSQL, made when missing; empty: "granary" */
    gr_str server;        /* shown to people: "host:pid", or a url */
    gr_str store;         /* identity of the store that this process writes: a path */
    bool is_store_shared; /* other processes may write it too */
} gr_catalog_options;

/* Opens or creates it, migrates it (one process at a time), registers this handle as a live server and fails builds of
 * dead ones. Errors also: config.store_not_shared, when another live handle of a PostgreSQL catalog has another store,
 * or one of the two is not shared (decisions 21). */
GR_MUST_CHECK gr_status gr_catalog_open(const gr_catalog_options *options, gr_catalog **ret, gr_error *err);
/* A PostgreSQL that could hold a catalog answers: *ret says which one, in `arena`, without the password. Changes
 * nothing. Errors: catalog.io. */
GR_MUST_CHECK gr_status gr_catalog_reach(gr_str postgres, gr_arena *arena, gr_str *ret, gr_error *err);
/* Leaves the list of servers. Entities that only this handle declared become stale when other live servers are left. */
void gr_catalog_close(gr_catalog *catalog);
/* Extends the leases of this handle's running builds, fails those of dead ones, takes dead servers off the list (with
 * what follows for entities that only they declared). To be called every few seconds. *ret_changed (may be NULL):
 * something that a snapshot shows was written. */
GR_MUST_CHECK gr_status gr_catalog_heartbeat(gr_catalog *catalog, int64_t now_us, bool *ret_changed, gr_error *err);
/* Another handle has committed something that a snapshot shows since the last call (hits, progress and heartbeats do
 * not count on PostgreSQL; on SQLite they may). Never waits. PostgreSQL: LISTEN/NOTIFY; SQLite: data_version. After a
 * lost connection: true. */
GR_MUST_CHECK gr_status gr_catalog_changed(gr_catalog *catalog, bool *ret_changed, gr_error *err);

/* ---- nodes ------------------------------------------------------------------------------------------------------- */
typedef enum gr_node_type {
    GR_NODE_SOURCE,
    GR_NODE_TRANSFORM,
    GR_NODE_DIMENSION,
    GR_NODE_METRIC,
    GR_NODE_CUBE
} gr_node_type;
gr_str gr_node_type_name(gr_node_type type); /* static, lower case */

/* A revision as it is declared. */
typedef struct gr_node_decl {
    gr_str name; /* "orders" */
    gr_node_type type;
    gr_str content_hash, meta_hash;   /* another content hash: major; another meta hash: minor */
    gr_str display_name, description; /* may be empty */
    gr_str mode;                      /* "published" (empty is that), "draft": first version v0.1 */
    gr_str status;                    /* "valid" (empty is that), "invalid" */
    gr_str definition;                /* JSON object; empty: {} */
} gr_node_decl;

typedef struct gr_node_row {
    int64_t id, revision_id;
    gr_node_decl decl;
    gr_str version, current_version; /* of this revision; of the node */
    int64_t created_us, updated_us;  /* of the node; of this revision */
    int64_t deactivated_us;          /* 0: active */
} gr_node_row;

/* `version` empty: the current one. Deactivated nodes are found only with `with_deactivated`. */
GR_MUST_CHECK gr_status gr_catalog_node_get(gr_catalog *catalog, gr_str name, gr_str version, bool with_deactivated,
                                            gr_arena *arena, gr_node_row *ret, bool *ret_found, gr_error *err);
/* Active nodes by name, each at its current version; `types`: bits 1 << gr_node_type, 0: all. */
GR_MUST_CHECK gr_status gr_catalog_nodes(gr_catalog *catalog, unsigned types, gr_arena *arena, gr_node_row **ret,
                                         size_t *ret_n, gr_error *err);
/* Revisions of a node, oldest first. Errors: node.not_found. */
GR_MUST_CHECK gr_status gr_catalog_revisions(gr_catalog *catalog, gr_str name, gr_arena *arena, gr_node_row **ret,
                                             size_t *ret_n, gr_error *err);

/* ---- entities ---------------------------------------------------------------------------------------------------- */
typedef enum gr_preagg_status {
    GR_PREAGG_PENDING,
    GR_PREAGG_MATERIALIZING,
    GR_PREAGG_ACTIVE,
    GR_PREAGG_FAILED,
    GR_PREAGG_STALE
} gr_preagg_status;
gr_str gr_preagg_status_name(gr_preagg_status status); /* static, lower case */
bool gr_preagg_status_from_name(gr_str name, gr_preagg_status *ret);

typedef struct gr_component_decl {
    gr_str name;      /* stored column: "orders__amount" */
    gr_str signature; /* equal: equal values. 32 hex digits */
    gr_str token;     /* DJ's measure token: "<expr_hash>:<AGGREGATION>" */
    gr_str details;   /* JSON object, shown to people; kept as it is */
} gr_component_decl;

/* What an entity is declared as. */
typedef struct gr_preagg_decl {
    gr_str node;          /* "orders": the cube it is rooted at */
    gr_str grain_hash;    /* 32 hex digits (decisions 16) */
    gr_str grain_columns; /* JSON list of texts, sorted */
    gr_str filters;       /* JSON list, canonical; empty: [] */
    gr_component_decl *components;
    size_t n_components;
    gr_str base_hash, structure_hash; /* structure: base and all components */
    gr_str time_zone;                 /* "UTC", or empty when no column depends on it */
    gr_str store;                     /* "embedded", "source:<name>" */
    gr_str sql, columns;              /* the SELECT that fills it; JSON list of its columns. For people */
    /* Names of YAML items that declare it, "orders.main"; each links the node before the dot to the entity. In a row:
     * what is declared now by this or another live server. */
    gr_str *declared_by;
    size_t n_declared_by;
    /* Of entities made by API: JSON object from which the declaration can be made again for another model; what the
     * catalog keeps of it is opaque to it. Empty: leave what is there. */
    gr_str definition;
    /* What its definition was when this one was made from it (empty: none): refused (node.changed) when the row has
     * another one by now, so that two servers that widen one entity at once both get what they need. */
    gr_str definition_was;
    bool has_definition_was;
    gr_str name;     /* handle; empty: leave what is there */
    gr_str external; /* JSON object of a registered table; empty: built by Granary */
} gr_preagg_decl;

typedef enum gr_build_status { GR_BUILD_RUNNING, GR_BUILD_DONE, GR_BUILD_FAILED, GR_BUILD_DROPPED } gr_build_status;
gr_str gr_build_status_name(gr_build_status status);

typedef struct gr_build_row {
    int64_t id, preagg_id, number; /* number counts per entity from 1 */
    gr_build_status status;
    gr_str table_name; /* qualified as its store needs it */
    gr_str base_hash, structure_hash;
    gr_component_decl *components; /* name, signature; token and details may be empty */
    size_t n_components;
    int64_t started_us, finished_us, rows, bytes; /* finished_us: 0 while it runs */
    double fraction;                              /* of a running one, below 0: unknown */
    gr_str error;
    gr_str coverage; /* JSON: per time dimension column [min_us, max_us] of the stored buckets, "{}" when none */
    gr_str server;   /* who ran it */
} gr_build_row;

typedef struct gr_preagg_row {
    int64_t id, node_id, node_revision_id;
    gr_node_type node_type;
    gr_preagg_decl decl;
    gr_str version; /* source_node_version */
    gr_preagg_status status;
    gr_str table_hash;                                           /* the first 16 digits of the structure hash */
    gr_str grain_group_hash, preagg_hash;                        /* DJ's (hashes.h) */
    gr_str error;                                                /* of the last build when that failed, else empty */
    gr_str strategy, schedule, lookback_window, workflow_status; /* empty: null */
    gr_str availability;                                         /* JSON object of an external one, or empty */
    gr_str *cubes;                                               /* names of nodes linked to it, sorted */
    size_t n_cubes;
    int64_t created_us, updated_us;
    int64_t materialized_us; /* when the served build was published; 0 = never */
    int64_t hits, served_us; /* last served; 0 = never */
    bool is_current;         /* of the node's current version, and not stale */
    bool has_serving;
    gr_build_row serving; /* newest done build, whatever it holds */
} gr_preagg_row;

/* The whole model of this server: its cubes, and every entity that they, or definitions by API, make. Nodes get their
 * versions, and each entity its row, at its node's version:
 *   - a row of this version (or of one with the same content hash): declared again; what is declared replaces what was
 *   - none, but a row of another version of equal base hash, and with no component of equal name and other signature:
 *     the same thing under a new version. It is pinned to the newer of the two versions
 *   - else a new row, pending. A row of an earlier version that was declared hands its links to cubes by API, its
 *     definition, strategy, schedule, lookback window and workflow status to it
 * Then every row that neither this declaration nor another live server's holds is declared by nobody: stale. Links of
 * YAML nodes to rows become those of the declared names (those that other live servers declare stay). Definitions of
 * rows that are not declared stay as they are. Nothing is written when nothing is new. ret_nodes, ret_rows are parallel
 * to the inputs. Entities of further time zones are declared in `entities` too, each as a decl of its own. */
typedef struct gr_model_decl {
    const gr_node_decl *nodes;
    size_t n_nodes;
    const gr_preagg_decl *entities;
    size_t n_entities;
} gr_model_decl;
GR_MUST_CHECK gr_status gr_catalog_declare(gr_catalog *catalog, const gr_model_decl *model, gr_actor actor,
                                           gr_arena *arena, gr_node_row **ret_nodes, gr_preagg_row **ret_rows,
                                           gr_error *err);
/* More entities of nodes that this handle has declared: a time zone on demand, a plan. As above for each, and they
 * count as declared by this handle; nothing else is touched. `config` (may be NULL): fields that are not empty replace.
 * ret_created[i] (may be NULL). Errors also: node.not_found. */
typedef struct gr_preagg_config {
    gr_str strategy, schedule, lookback_window, workflow_status;
} gr_preagg_config;
GR_MUST_CHECK gr_status gr_catalog_add(gr_catalog *catalog, const gr_preagg_decl *decls, size_t n,
                                       const gr_preagg_config *config, gr_actor actor, gr_arena *arena,
                                       gr_preagg_row **ret_rows, bool *ret_created, gr_error *err);

/* A cube by API, with the entities it needs (as gr_catalog_add): linked to each, unlinked from all others. Creating
 * needs a name that no active node has (node.exists; a deactivated cube of the name is taken up again, another type is
 * node.exists); updating one that is there at version `if_version` (node.not_found; node.changed). A revision is made
 * only when a hash is another. */
typedef struct gr_cube_put {
    gr_node_decl node; /* type cube */
    bool is_update;
    gr_str if_version; /* of an update; empty: any */
    const gr_preagg_decl *entities;
    size_t n_entities;
} gr_cube_put;
GR_MUST_CHECK gr_status gr_catalog_cube_put(gr_catalog *catalog, const gr_cube_put *put, gr_actor actor,
                                            gr_arena *arena, gr_node_row *ret, gr_preagg_row **ret_rows,
                                            bool *ret_created, gr_error *err);
/* Only its status ("valid", "invalid"), without a revision; nothing when it is so. */
GR_MUST_CHECK gr_status gr_catalog_cube_status(gr_catalog *catalog, gr_str name, gr_str status, gr_actor actor,
                                               gr_error *err);
/* Deactivated and unlinked from all entities. Errors: node.not_found, also for what is no cube by API. */
GR_MUST_CHECK gr_status gr_catalog_cube_delete(gr_catalog *catalog, gr_str name, gr_actor actor, gr_error *err);

/* null: keep (DJ's PATCH config). Errors: preagg.not_found. */
GR_MUST_CHECK gr_status gr_catalog_configure(gr_catalog *catalog, int64_t preagg_id, const gr_preagg_config *config,
                                             gr_actor actor, gr_arena *arena, gr_preagg_row *ret, gr_error *err);
/* strategy, schedule, lookback_window and workflow_status become null. *ret_had: there was a workflow. */
GR_MUST_CHECK gr_status gr_catalog_workflow_clear(gr_catalog *catalog, int64_t preagg_id, gr_actor actor, bool *ret_had,
                                                  gr_error *err);
/* The table of an external entity, or one that somebody else made of an entity's SQL: `availability` (JSON object)
 * replaces what was, and it becomes active. Of an entity that Granary builds it says what the table holds:
 * {"base_hash", "components": [{"name", "signature"}]}, which covers the declaration as a build does. Errors:
 * preagg.not_external when it does not say so. */
GR_MUST_CHECK gr_status gr_catalog_availability(gr_catalog *catalog, int64_t preagg_id, gr_str availability,
                                                gr_actor actor, gr_arena *arena, gr_preagg_row *ret, gr_error *err);
/* The row and its builds go; tables that were built are named in `ret_tables` as gr_catalog_doomed names them. Errors:
 * preagg.in_use (the message lists the cubes), preagg.materializing. */
typedef struct gr_doomed_table {
    int64_t id;
    gr_str table_name;
} gr_doomed_table;
GR_MUST_CHECK gr_status gr_catalog_remove(gr_catalog *catalog, int64_t preagg_id, gr_actor actor, gr_arena *arena,
                                          gr_doomed_table **ret_tables, size_t *ret_n, gr_error *err);
/* Tables that are to be dropped: of removed entities, of failed and dropped builds. They are forgotten once dropped. */
GR_MUST_CHECK gr_status gr_catalog_doomed(gr_catalog *catalog, gr_arena *arena, gr_doomed_table **ret, size_t *ret_n,
                                          gr_error *err);
GR_MUST_CHECK gr_status gr_catalog_doomed_done(gr_catalog *catalog, int64_t id, gr_error *err);
/* Every table that a record names, whatever for: builds, partitions, doomed ones. What is in a store of ours and not
 * among them belongs to nothing. */
GR_MUST_CHECK gr_status gr_catalog_table_names(gr_catalog *catalog, gr_arena *arena, gr_str **ret, size_t *ret_n,
                                               gr_error *err);

typedef enum gr_grain_mode { GR_GRAIN_MODE_EXACT, GR_GRAIN_MODE_SUPERSET } gr_grain_mode;
/* What is not set is not asked for. Texts are compared case-folded (grain, measures) or exactly (all else). */
typedef struct gr_preagg_filter {
    gr_str node, version;
    bool current_only;   /* of the node's current version */
    unsigned statuses;   /* bits 1 << gr_preagg_status */
    gr_str cube;         /* linked to this node */
    const gr_str *grain; /* sorted or not */
    size_t n_grain;
    bool has_grain;
    gr_grain_mode grain_mode;
    const gr_str *measures; /* component names, all of them there */
    size_t n_measures;
    gr_str grain_group_hash;
    int external;          /* 0: no matter, 1: only external, -1: only built ones */
    int64_t limit, offset; /* limit 0: all */
} gr_preagg_filter;
/* By id; *ret_total counts all that the filter lets pass. */
GR_MUST_CHECK gr_status gr_catalog_find(gr_catalog *catalog, const gr_preagg_filter *filter, gr_arena *arena,
                                        gr_preagg_row **ret, size_t *ret_n, int64_t *ret_total, gr_error *err);
/* All of them, by id, with what a snapshot is made from: id, node, version, status, grain hash, time zone, definition,
 * external, availability, materialized_us and the served build. All other fields are empty. */
GR_MUST_CHECK gr_status gr_catalog_scan(gr_catalog *catalog, gr_arena *arena, gr_preagg_row **ret, size_t *ret_n,
                                        gr_error *err);
GR_MUST_CHECK gr_status gr_catalog_get(gr_catalog *catalog, int64_t id, gr_arena *arena, gr_preagg_row *ret,
                                       bool *ret_found, gr_error *err);
/* Add to the counts of entities; no history, no notice to others. Unknown ids are left out. */
GR_MUST_CHECK gr_status gr_catalog_note_served(gr_catalog *catalog, const int64_t *ids, const int64_t *hits,
                                               const int64_t *last_us, size_t n, gr_error *err);

/* ---- builds ------------------------------------------------------------------------------------------------------ */
/* A new `running` build with the next number, leased to this handle; the entity becomes `materializing`. What it will
 * hold is given. Of the builds that ended without leaving a table, the last 100 of an entity are kept.
 * Errors: preagg.materializing (somebody alive builds it). */
typedef struct gr_build_plan {
    gr_str base_hash, structure_hash;
    const gr_component_decl *components;
    size_t n_components;
} gr_build_plan;
GR_MUST_CHECK gr_status gr_catalog_build_begin(gr_catalog *catalog, int64_t preagg_id, const gr_build_plan *plan,
                                               gr_actor actor, int64_t *ret_build_id, int64_t *ret_number,
                                               gr_error *err);
/* Where the build writes, recorded before the table is made, so that a crash leaves a name to clean up. An empty name
 * for a failed or dropped build records that its table is gone. */
GR_MUST_CHECK gr_status gr_catalog_build_table(gr_catalog *catalog, int64_t build_id, gr_str table_name, gr_error *err);
GR_MUST_CHECK gr_status gr_catalog_build_progress(gr_catalog *catalog, int64_t build_id, double fraction,
                                                  gr_error *err);
/* One transaction: the build is done, the entity moves as above. `coverage` may be empty. Earlier done builds of the
 * entity become `dropped`; their tables are returned, to be dropped once no reader uses them. Errors also:
 * preagg.build_failed when the lease was lost meanwhile. */
GR_MUST_CHECK gr_status gr_catalog_build_done(gr_catalog *catalog, int64_t build_id, int64_t rows, int64_t bytes,
                                              gr_str coverage, gr_actor actor, gr_arena *arena,
                                              gr_doomed_table **ret_old, size_t *ret_n_old, gr_error *err);
/* What a build publishes besides itself. */
typedef struct gr_build_made {
    int64_t rows, bytes;
    gr_str coverage;      /* may be empty */
    int64_t keep;         /* so many earlier done builds stay done: readable, and not what serves */
    const int64_t *added; /* partitions that it has from now on */
    size_t n_added;
    const int64_t *ended; /* and those that it has no more */
    size_t n_ended;
} gr_build_made;
/* As gr_catalog_build_done, with partitions: all live ones of the build's structure hash that are not ended go on. Rows
 * of other structures end; what was made and is not added goes. */
GR_MUST_CHECK gr_status gr_catalog_build_publish(gr_catalog *catalog, int64_t build_id, const gr_build_made *made,
                                                 gr_actor actor, gr_arena *arena, gr_doomed_table **ret_old,
                                                 size_t *ret_n_old, gr_error *err);
/* Error texts are cut at 4 KiB. A build that failed already stays as it is. What served goes on serving. */
GR_MUST_CHECK gr_status gr_catalog_build_failed(gr_catalog *catalog, int64_t build_id, gr_str error, gr_actor actor,
                                                gr_error *err);
/* Nothing was to be done: the build is forgotten, and the entity is what it was before. */
GR_MUST_CHECK gr_status gr_catalog_build_cancel(gr_catalog *catalog, int64_t build_id, gr_actor actor, gr_error *err);
/* All builds of an entity, newest first; preagg_id 0 = of all. limit 0: all. */
GR_MUST_CHECK gr_status gr_catalog_builds(gr_catalog *catalog, int64_t preagg_id, int64_t limit, gr_arena *arena,
                                          gr_build_row **ret, size_t *ret_n, gr_error *err);
/* The entity's done builds become `dropped`, and it pending (it stays `materializing` while a build runs, and stale
 * when it is); their tables are returned. */
GR_MUST_CHECK gr_status gr_catalog_drop_builds(gr_catalog *catalog, int64_t preagg_id, gr_actor actor, gr_arena *arena,
                                               gr_doomed_table **ret, size_t *ret_n, gr_error *err);

/* ---- partitions ------------------------------------------------------------------------------------------------- */
/* A stretch of time of an entity's rows, in a table of its own or one that it shares. */
typedef struct gr_partition_row {
    int64_t id, preagg_id, build_id; /* of the build that made it */
    int64_t from_us, to_us;          /* [from, to) of the ranged column as it is stored; INT64_MIN, INT64_MAX: all of
                                        it; INT64_MIN twice: the rows without a time */
    gr_str table_name;               /* empty: its build's own */
    int64_t table_parts;             /* how many partitions were put into the table */
    gr_str structure_hash;
    int64_t since, until; /* numbers of the builds that have it: [since, until). 0: not published; 0: still */
    int64_t rows, bytes;
    gr_str checksum;                   /* of what is stored, independent of order */
    gr_str refresh_value, fingerprint; /* of the refresh key, of the source's rows, when it was built */
    int64_t built_us, verified_us;     /* verified_us 0: not compared with the source */
    gr_str quarantine;                 /* why it does not serve, or empty */
} gr_partition_row;
/* Before their table is made: it has a name from now on, so that a crash leaves something to clean up. *ret_ids:
 * parallel. Errors also: preagg.build_failed when the build is not running any more. */
GR_MUST_CHECK gr_status gr_catalog_partitions_begin(gr_catalog *catalog, int64_t build_id, const gr_partition_row *rows,
                                                    size_t n, int64_t *ret_ids, gr_error *err);
/* Somebody else has a table of that name: it is not ours to drop. What is made already stays. */
GR_MUST_CHECK gr_status gr_catalog_partitions_unname(gr_catalog *catalog, const int64_t *ids, size_t n, gr_error *err);
/* They are there: rows to verified_us are taken. They stay when the build fails, for the next one of that structure. */
GR_MUST_CHECK gr_status gr_catalog_partitions_made(gr_catalog *catalog, int64_t build_id, const gr_partition_row *rows,
                                                   size_t n, gr_error *err);
/* Those of the newest version, and those that are made and not published; by entity (0: all) and time. */
GR_MUST_CHECK gr_status gr_catalog_partitions(gr_catalog *catalog, int64_t preagg_id, gr_arena *arena,
                                              gr_partition_row **ret, size_t *ret_n, gr_error *err);
/* Of those of one entity, what is newer than a row that is known (0: all); in the same order. */
GR_MUST_CHECK gr_status gr_catalog_partitions_after(gr_catalog *catalog, int64_t preagg_id, int64_t after_id,
                                                    gr_arena *arena, gr_partition_row **ret, size_t *ret_n,
                                                    gr_error *err);
/* Compared with the source: they are right (empty), or must not serve. */
GR_MUST_CHECK gr_status gr_catalog_partitions_judge(gr_catalog *catalog, const int64_t *ids, size_t n,
                                                    gr_str quarantine, gr_actor actor, gr_error *err);
/* The refresh value changed and their rows did not: refresh_value and fingerprint are taken. */
GR_MUST_CHECK gr_status gr_catalog_partitions_note(gr_catalog *catalog, const gr_partition_row *rows, size_t n,
                                                   gr_error *err);

/* ---- history ----------------------------------------------------------------------------------------------------- */
typedef struct gr_history_row {
    int64_t id, at_us;
    gr_str entity_type; /* "node", "pre_aggregation", "build", "link" */
    gr_str entity_name; /* node name; for entities their id as text */
    gr_str node;
    gr_str activity; /* create, update, status_change, delete, restore, widen, repin, link, unlink, refresh */
    gr_str user;
    gr_str pre, post, details; /* JSON objects */
} gr_history_row;
/* Newest first. Empty texts: no matter. limit 0: 100. */
typedef struct gr_history_filter {
    gr_str entity_type, entity_name, node;
    int64_t limit, offset;
} gr_history_filter;
GR_MUST_CHECK gr_status gr_catalog_history(gr_catalog *catalog, const gr_history_filter *filter, gr_arena *arena,
                                           gr_history_row **ret, size_t *ret_n, gr_error *err);
#endif
