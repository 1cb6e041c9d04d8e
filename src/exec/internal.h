/* What the files of this room share.
 *
 * Locks, in this order: exec.define (one change of definitions or model at a time), exec.publish (one publisher at a
 * time; guards the entries of bases), exec.current (guards `current`, `failures`, `hits`; never held over a call into
 * engine or catalog). */
#ifndef GR_EXEC_INTERNAL_H
#define GR_EXEC_INTERNAL_H
#include "base/mem.h"
#include "exec/exec.h"

#include <pthread.h>

typedef struct gr_exec_identity {
    gr_str grain_hash, base_hash, structure_hash;
    gr_component_decl *components; /* parallel to the rollup's */
    size_t n_components;
    gr_sql load;
} gr_exec_identity;

/* A rollup in a zone, as the catalog knows it. */
typedef struct gr_exec_entry {
    const gr_rollup *rollup; /* first of its identity */
    const gr_tz *zone;
    gr_exec_identity identity;
    gr_str fingerprint; /* of the rollup within one loading of the files: equal, equal identities */
    int64_t entity_id;
    gr_str version;
} gr_exec_entry;

typedef GR_VEC(const gr_preagg *) gr_preagg_list;

/* What depends on the model and the definitions alone; shared by the snapshots that were made from it. */
typedef struct gr_exec_base {
    atomic_int refs;
    gr_arena *arena;
    gr_model *model;
    gr_plan_index *index;
    const gr_column_schema **types, **values; /* values: of measures that are a min or max (gr_snapshot) */
    bool *is_unknown;                         /* by cube index: its source could not say what its columns are */
    bool has_unknown_types;
    struct gr_exec_base *files; /* that types come from; NULL: itself */
    gr_exec_definitions definitions;
    gr_str definitions_key;        /* of all of them, as the catalog had them */
    const gr_preagg **preaggs;     /* parallel to definitions: what was made of each; NULL: it does not fit the model */
    GR_VEC(gr_exec_entry) entries; /* under exec.publish */
    size_t *definition_of;         /* by preagg index: its definition, SIZE_MAX for those of files */
    gr_preagg_list *users;         /* by preagg index of the first of an identity: all that share it */
    const gr_node_decl *nodes;
    size_t n_nodes;
    bool is_lenient;  /* definitions are declared whatever the catalog has by now */
    gr_str *versions; /* parallel to nodes, as the catalog gave them; NULL: not declared yet */
} gr_exec_base;

typedef struct gr_exec_snapshot {
    gr_snapshot pub; /* first */
    atomic_int refs;
    gr_arena *arena;
    gr_exec *exec;
    gr_exec_base *base;
    struct gr_exec_snapshot *next; /* the one published after it; held */
    GR_VEC(gr_doomed_table) drops; /* tables of builds that only this one and older ones may read */
    GR_VEC(gr_str) tables;         /* that its states read, in a shared store */
} gr_exec_snapshot;

/* A build that failed lately, by entity. */
typedef struct gr_exec_failure {
    struct gr_exec_failure *next;
    char key[64]; /* structure hash */
    char message[1024];
    int64_t retry_at_us, delay_us;
} gr_exec_failure;

enum { GR_EXEC_HIT_SLOTS = 4096 };
typedef struct gr_exec_hit {
    int64_t id, count, last_us;
} gr_exec_hit;

struct gr_exec {
    const gr_config *config;
    gr_arena *arena;
    gr_engine *engine;
    gr_pool *pool;
    gr_catalog *catalog;
    const gr_dialect *dialect;                 /* of the embedded engine */
    gr_engine *engines[GR_SOURCE_KIND__COUNT]; /* of the other kinds; NULL: no source is of it, or the embedded one */
    gr_pool *pools[GR_SOURCE_KIND__COUNT];
    gr_sql_places places;
    gr_sql_place *own_places; /* the same, to be written */
    bool *are_files;          /* by source of the configuration: it is a folder, not a database */
    gr_str shared_dir;        /* of a shared store; empty: the embedded one */
    pthread_mutex_t define, publish, mutex;
    gr_exec_snapshot *current;
    atomic_uint_fast64_t generation; /* of `current` */
    gr_exec_failure *failures;
    gr_exec_hit hits[GR_EXEC_HIT_SLOTS]; /* since they were written last; open addressing by id */
    size_t n_hits;
    GR_VEC(gr_build_claim) claims;  /* that wait for their turn, under `mutex` */
    GR_VEC(gr_exec_orphan) orphans; /* that the start found */
    GR_VEC(int64_t) lost_builds;    /* that ended while the catalog was away, under `mutex` */
    pthread_t watcher;
    pthread_mutex_t watch_lock;
    pthread_cond_t watch_wake;
    bool is_watching, is_watch_stopping, is_store_spared;
};

/* places.c */
GR_MUST_CHECK gr_status gr_exec_places_open(gr_exec *exec, gr_error *err);
void gr_exec_places_close(gr_exec *exec);
GR_MUST_CHECK gr_status gr_exec_places_attach(gr_exec *exec, const gr_source_config *source, bool want_write,
                                              gr_error *err);
void gr_exec_places_forget(gr_exec *exec); /* prepared statements */
/* A connection to a place: to its own engine, or to the embedded one on its behalf. */
GR_MUST_CHECK gr_status gr_exec_take(const gr_exec *exec, const gr_ctx *ctx, gr_str place, bool is_native,
                                     gr_engine_conn **ret, gr_error *err);
void gr_exec_give(const gr_exec *exec, gr_engine_conn *conn); /* accepts NULL */
/* To where a rollup's table is, or is to be. */
GR_MUST_CHECK gr_status gr_exec_take_store(const gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup,
                                           gr_engine_conn **ret, gr_error *err);
gr_str gr_exec_store_source(const gr_rollup *rollup); /* the place that such a connection is about */
const gr_dialect *gr_exec_dialect_of(const gr_exec *exec, gr_str place);
/* Run a statement on `conn` when that is of its place and engine; else, and with NULL, on a connection of its own,
 * given back when the stream is closed. `conn` may then be read from until it is open. */
/* A statement of many rows, on a connection of its own beside the one that is held. */
GR_MUST_CHECK gr_status gr_exec_query_beside(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx,
                                             const gr_sql *sql, gr_stream **ret, gr_error *err);
bool gr_exec_is_for(const gr_exec *exec, const gr_engine_conn *conn, const gr_sql *sql);
/* What a statement fetches, into temporary tables of the connection that it is to run on. */
GR_MUST_CHECK gr_status gr_exec_fetch(const gr_exec *exec, gr_engine_conn *conn, gr_engine_conn *at_hand,
                                      const gr_ctx *ctx, const gr_sql *sql, gr_error *err);
void gr_exec_fetched_drop(gr_engine_conn *conn, size_t n_fetches);
GR_MUST_CHECK gr_status gr_exec_query_on(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx,
                                         const gr_sql *sql, gr_stream **ret, gr_error *err);

/* identity.c */
GR_MUST_CHECK gr_status gr_exec_identify(const gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                         const gr_tz *zone, gr_arena *arena, gr_exec_identity *ret, gr_error *err);
gr_preagg_decl gr_exec_declaration(const gr_rollup *rollup, const gr_tz *zone, const gr_exec_identity *identity,
                                   gr_arena *arena);

/* coverage.c. `range`: what was loaded of the ranged column, or NULL. `as_of_us`: when the oldest of the stored tables
 * that it was loaded from was built, INT64_MAX: the source was read. `closed_us`: the start of the bucket that was
 * still open. */
gr_str gr_exec_coverage_write(const gr_rollup *rollup, const gr_store_stat *stat, const gr_range *range,
                              int64_t closed_us, int64_t as_of_us, gr_arena *arena);
void gr_exec_coverage_read(const gr_rollup *rollup, gr_str json, gr_arena *arena, gr_rollup_state *state);

/* Of a partitioned one: what it is meant to hold, and what lies outside of the limits is not stored at all. */
bool gr_exec_coverage_wanted(gr_str json, gr_arena *arena, gr_run *ret_wanted, gr_run *ret_limits,
                             int64_t *ret_without_time);

/* parts_state.c: the partitions of a build, as a state shows them. `rows`: of the entity. */
void gr_exec_parts_show(const gr_exec *exec, const gr_rollup *rollup, const gr_build_row *build,
                        const gr_partition_row *rows, size_t n, gr_arena *arena, gr_rollup_state *state);

/* node.c: the cubes of a model, views left out. Memory: arena, and the model's. */
gr_node_decl *gr_exec_nodes(const gr_model *model, const gr_column_schema *const *types, gr_arena *arena,
                            size_t *ret_n);
/* Types of a cube's members, from the definition of an earlier revision: of those whose SQL is what it was. */
void gr_exec_types_recall(const gr_model *model, const gr_cube *cube, gr_str definition, gr_arena *arena,
                          const gr_column_schema **types);
/* What became of the members of a cube since the revision of this definition: by member index. `now`: the definition
 * of the current one. */
const gr_member_change *gr_exec_changes(const gr_model *model, const gr_cube *cube, gr_str definition, gr_str now,
                                        gr_arena *arena);

/* definition.c */

bool gr_exec_definition_read(gr_str text, gr_arena *arena, gr_exec_definition *ret);
void gr_exec_definitions_merge(gr_exec_definitions *all, const gr_exec_definition *more, gr_arena *arena,
                               size_t *ret_at);
gr_str gr_exec_definitions_key(const gr_exec_definitions *all, gr_arena *arena);
/* False when the model has not all that it names. */
bool gr_exec_definition_resolve(const gr_model *model, const gr_exec_definition *definition, gr_arena *arena,
                                gr_preagg_def *ret);

/* base.c */
gr_exec_base *gr_exec_base_new(gr_exec *exec, gr_model *model, gr_diags *diags);
/* The same files with these definitions. */
gr_exec_base *gr_exec_base_extend(gr_exec *exec, gr_exec_base *base, const gr_exec_definitions *definitions);
void gr_exec_base_unref(gr_exec_base *base);
gr_str gr_exec_base_version(const gr_exec_base *base, gr_str node); /* of a cube, as declared; empty: not known */
gr_snapshot gr_exec_base_view(const gr_exec_base *base);            /* without states: for planning loads */

/* declare.c */
/* What the catalog has, read once (gr_catalog_scan). */
typedef struct gr_exec_rows {
    gr_preagg_row *v;
    size_t n;
} gr_exec_rows;
/* The definitions that it keeps. */
void gr_exec_definitions_read(const gr_exec_rows *rows, gr_arena *arena, gr_exec_definitions *ret);
/* The base's rollups become entries with identities (taken over from `old`, may be NULL, where nothing changed). */
GR_MUST_CHECK gr_status gr_exec_entries_make(gr_exec *exec, gr_exec_base *base, const gr_exec_base *old,
                                             const gr_exec_rows *rows, gr_error *err);
/* What an entry is declared as. Memory: arena and the base's. */
gr_preagg_decl gr_exec_entry_decl(const gr_exec_base *base, const gr_exec_entry *entry, gr_arena *arena);
/* All nodes and entries to the catalog; the entries get their ids. Under exec.define. */
GR_MUST_CHECK gr_status gr_exec_declare_all(gr_exec *exec, gr_exec_base *base, gr_error *err);
/* The entry of a rollup in a zone; made and declared when there is none yet. Under exec.publish. */
GR_MUST_CHECK gr_status gr_exec_entry_for(gr_exec *exec, gr_exec_base *base, const gr_rollup *rollup, const gr_tz *zone,
                                          gr_exec_entry *ret, gr_error *err);

/* state.c: what the catalog's rows are worth for the entries. */
GR_MUST_CHECK gr_status gr_exec_states_make(gr_exec_snapshot *snapshot, gr_error *err);
/* foreign.c: a SELECT over somebody else's table, as the entry would store it; `lacks` (or NULL): what is not read.
 * Empty when a binding is missing. */
gr_str gr_exec_foreign_table(const gr_exec *exec, const gr_exec_entry *entry, const json_t *bindings, bool holds_values,
                             const bool *lacks, gr_arena *arena);

/* snapshot.c */
/* Assemble and publish; `drops` are tables that the new snapshot no longer names. base NULL: that of the current
 * snapshot. */
GR_MUST_CHECK gr_status gr_exec_publish(gr_exec *exec, gr_exec_base *base, const gr_doomed_table *drops, size_t n_drops,
                                        gr_error *err);
/* Drop the table of a build that nobody reads, and forget its name; what fails is found again by the sweep. */
void gr_exec_forget_table(gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_doomed_table *table);
gr_exec_base *gr_exec_base_ref_current(gr_exec *exec);      /* NULL before the first model */
gr_exec_base *gr_exec_base_of(const gr_snapshot *snapshot); /* borrowed */

/* The entity has no table any more: its builds become dropped, without a table to drop. */
GR_MUST_CHECK gr_status gr_exec_forget_builds(gr_exec *exec, int64_t entity_id, gr_error *err);

/* sweep.c: at a start, before anything is built or served. */
GR_MUST_CHECK gr_status gr_exec_sweep(gr_exec *exec, gr_error *err);

/* watch.c */
void gr_exec_watch_start(gr_exec *exec);
void gr_exec_watch_stop(gr_exec *exec);
void gr_exec_hits_flush(gr_exec *exec);
/* build.c: builds that could not be recorded as failed, tried again. */
void gr_exec_lost_builds_record(gr_exec *exec);
#endif
