/* The registry of sources and stores: opens them, assembles snapshots (model + what is built), runs plans and builds.
 *
 * Snapshots are immutable and counted. An older snapshot holds the one that came after it, so that the tables which a
 * publish made obsolete are dropped exactly when the last snapshot that could read them is gone.
 * Threads: any, unless said otherwise. */
#ifndef GR_EXEC_EXEC_H
#define GR_EXEC_EXEC_H
#include "catalog/catalog.h"
#include "exec/verified.h"
#include "query/metrics.h"
#include "store/store.h"

typedef struct gr_exec gr_exec;

/* Opens engine and catalog (storage folder is made when missing). `config` is borrowed for life. */
GR_MUST_CHECK gr_status gr_exec_open(const gr_config *config, gr_exec **ret, gr_error *err);
/* The same on another driver: for tests of what stands above engines. */
GR_MUST_CHECK gr_status gr_exec_open_on(const gr_config *config, const gr_engine_driver *driver, gr_exec **ret,
                                        gr_error *err);
void gr_exec_close(gr_exec *exec); /* no snapshot may be left but the current one */
const gr_sql_places *gr_exec_places(const gr_exec *exec);
gr_catalog *gr_exec_catalog(const gr_exec *exec);

/* What pre-aggregations are that do not say. Memory: arena, and the configuration's. */
gr_plan_defaults gr_exec_plan_defaults(const gr_config *config, gr_arena *arena);
/* The model against the configuration: data sources that do not exist, rollups in sources that cannot be written.
 * Errors: model.errors, with what is wrong in `diags`. */
GR_MUST_CHECK gr_status gr_exec_check_model(const gr_config *config, const gr_model *model, gr_diags *diags,
                                            gr_error *err);
/* Take a model into service: check its data sources against the configuration, attach them, learn column types, declare
 * its entities, and publish a snapshot. The model is referenced. Problems that do not stop it go to `diags`.
 * Errors: engine.*, catalog.*, model.* (unknown data source; external: false in a source that cannot be written). */
GR_MUST_CHECK gr_status gr_exec_set_model(gr_exec *exec, gr_model *model, gr_diags *diags, gr_error *err);
const gr_snapshot *gr_exec_snapshot_ref(gr_exec *exec);                /* NULL before the first model */
const gr_snapshot *gr_exec_snapshot_hold(const gr_snapshot *snapshot); /* one more reference to this one */
void gr_exec_snapshot_unref(const gr_snapshot *snapshot);

/* Grows with every snapshot that is published: as long as it is the same, so is the snapshot in service. */
uint64_t gr_exec_generation(const gr_exec *exec);

/* gr_plan_query, with the spans that it needs asked for (options.spans is not looked at). Errors: plan.*, engine.*. */
GR_MUST_CHECK gr_status gr_exec_plan(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                     const gr_query *query, gr_plan_options options, gr_plan **ret, gr_error *err);
/* Run a rendered plan on a pooled connection; the stream gives it back when closed. */
GR_MUST_CHECK gr_status gr_exec_query(gr_exec *exec, const gr_ctx *ctx, const gr_sql *sql, gr_stream **ret,
                                      gr_error *err);
/* Run one statement without rows on a pooled connection. */
GR_MUST_CHECK gr_status gr_exec_update(gr_exec *exec, const gr_ctx *ctx, const gr_sql *sql, gr_error *err);
/* A build that is recorded as running and leased to this process, and not begun yet. */
typedef struct gr_build_claim {
    int64_t entity_id, build_id, number;
    char structure_hash[64];
} gr_build_claim;
typedef struct gr_build_progress {
    void (*fn)(void *, double);
    void *arg;
    void (*parts)(void *, size_t done, size_t due, int64_t rows); /* of a partitioned rollup; or NULL */
    /* So many more have come from another place; of any thread of the build; or NULL. */
    void (*moved)(void *, int64_t rows, int64_t bytes);
} gr_build_progress;
/* Errors: preagg.materializing (somebody alive builds it), catalog.*. */
GR_MUST_CHECK gr_status gr_exec_claim(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                      const gr_tz *zone, gr_actor actor, gr_build_claim *ret, gr_error *err);
/* It will not be built: recorded as failed. */
void gr_exec_claim_drop(gr_exec *exec, const gr_build_claim *claim, const char *why);
/* What is known of an entity's refresh key now: the value of a partition that ends at this instant (INT64_MAX: of what
 * has no end). Equal values: what is built is fresh. */
typedef struct gr_build_freshness {
    gr_str (*value)(const void *arg, int64_t to_utc_us, gr_arena *arena);
    const void *arg;
    bool has_fingerprint;    /* kept with what is built, to be compared later */
    bool checks_fingerprint; /* and compared now: what has changed at the source is not fresh either */
    const gr_expr *change;   /* the change column of the fingerprint; NULL: all that is stored */
} gr_build_freshness;
/* What of an entity is not fresh, by what the catalog has. */
typedef struct gr_exec_due {
    bool is_built;             /* something serves */
    size_t n_stale, n_missing; /* partitions; runs of time */
    int64_t *open_ends_us;     /* instants at which partitions end, of those whose value is not the settled one */
    size_t n_open;
} gr_exec_due;
/* `settled`: the value of a partition that never changes again. What was built at `since_us` or later is not stale.
 * Errors: catalog.*. */
GR_MUST_CHECK gr_status gr_exec_due_of(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                       const gr_tz *zone, const gr_build_freshness *freshness, gr_str settled,
                                       int64_t since_us, int64_t now_us, gr_arena *arena, gr_exec_due *ret,
                                       gr_error *err);
typedef struct gr_build_ask {
    const gr_build_claim *claim; /* NULL: one is claimed first */
    gr_build_progress progress;
    gr_run run;         /* of a partitioned rollup: the time that is wanted */
    const gr_run *only; /* of that: what touches one of these; n_only 0: all of it */
    size_t n_only;
    bool is_forced;                      /* also what is fresh */
    int64_t forced_since_us;             /* … and was built before then; 0: whenever it was */
    bool is_compaction;                  /* builds nothing: puts many tables together (gr_exec_wants_compaction) */
    bool must_not_wait;                  /* when another process builds it: preagg.materializing */
    const gr_build_freshness *freshness; /* NULL: whatever is built is fresh */
    int64_t slice_us; /* of a partitioned rollup: publish after this long, and say that there is more; 0: never */
} gr_build_ask;
typedef struct gr_build_result {
    int64_t rows; /* of the version that is published */
    bool is_more; /* call again */
    size_t n_built, n_due;
    int64_t build_number; /* 0: nothing was to do */
} gr_build_result;
static const gr_run gr_run_all = {INT64_MIN, INT64_MAX};
/* Build `rollup` of `snapshot` for `zone`, record it, publish a new snapshot. Any thread: one entity is built by one at
 * a time. With a claim that build is run; without, one is claimed first, and when another process builds it already,
 * that is waited for. A failure is recorded too, with the time before which no query tries again. Of a partitioned
 * rollup the partitions that are wanted and not fresh are built, newest first; what was made stays made if it fails. */
GR_MUST_CHECK gr_status gr_exec_build(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                      const gr_rollup *rollup, const gr_tz *zone, const gr_build_ask *ask,
                                      gr_build_result *ret, gr_error *err);
/* ---- verification --------------------------------------------------------------------------------------------------
 */
/* Compare what serves with the source, partition by partition, over the same time; what is closed (it ends before
 * ctx->now_us, and `freshness` says that it is fresh) and differs is quarantined, and a snapshot without it published.
 * Errors: preagg.not_found (nothing is built), engine.*, catalog.*. */
GR_MUST_CHECK gr_status gr_exec_verify_served(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                              const gr_rollup *rollup, const gr_tz *zone,
                                              const gr_build_freshness *freshness, gr_verification *ret, gr_error *err);
/* It is read from more tables than is good. */
bool gr_exec_wants_compaction(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone);
/* Drop every table of the pre-aggregation, in all zones, and publish a snapshot without them. */
GR_MUST_CHECK gr_status gr_exec_drop(gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup, size_t *ret_tables,
                                     gr_error *err);
/* Before the first model: what a start would drop stays until the next one. For a start after the disk has failed,
 * which may fail again as soon as it is written. */
void gr_exec_spare_store(gr_exec *exec);
/* Tables of our form that no record of the catalog names, as the start found them. Those of the embedded store, which
 * belongs to this process alone, are removed; in a shared store or a source (where only those count that have a
 * structure hash of this catalog and place) they may be another Granary's, and are only told. Borrowed from `exec`, in
 * the order of stores and names. */
typedef struct gr_exec_orphan {
    gr_str table; /* qualified; of a shared store: the file's path */
    bool is_removed;
} gr_exec_orphan;
const gr_exec_orphan *gr_exec_orphans(const gr_exec *exec, size_t *ret_n);
/* A table that a snapshot names does not exist (somebody deleted the store, or exchanged the source's file). */
bool gr_exec_is_gone(gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup, gr_str table);
/* The catalog's row of a rollup in a zone; *ret_found false when it was never declared. */
GR_MUST_CHECK gr_status gr_exec_entity(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                       const gr_tz *zone, gr_arena *arena, gr_preagg_row *ret, bool *ret_found,
                                       gr_error *err);

/* ---- partitions ---------------------------------------------------------------------------------------------------
 */
/* One that a rollup has or would have. Of a rollup without partitions there is one: all of it. */
typedef struct gr_exec_slot {
    gr_run run;    /* as it is stored; both INT64_MIN: the rows without a time */
    gr_str digits; /* "20240105", "2024010512", "null" (cube.md 6.2); empty: not partitioned */
} gr_exec_slot;
/* All that would be built now, in order of time: asks the source. Memory: ctx->arena. Errors: preagg.build_range,
 * preagg.too_many_partitions, engine.*. */
GR_MUST_CHECK gr_status gr_exec_slots_ask(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                          const gr_rollup *rollup, const gr_tz *zone, gr_exec_slot **ret, size_t *ret_n,
                                          gr_error *err);
/* Those of a run that a state misses. Asks nobody. Errors: preagg.too_many_partitions. */
GR_MUST_CHECK gr_status gr_exec_slots_cut(const gr_exec *exec, const gr_rollup *rollup, const gr_tz *zone, gr_run run,
                                          int64_t now_us, gr_arena *arena, gr_exec_slot **ret, size_t *ret_n,
                                          gr_error *err);
/* Of a partition by its run. */
gr_str gr_exec_slot_digits(const gr_rollup *rollup, gr_run run, gr_arena *arena);
/* The zone of the wall clock that runs are of. */
const gr_tz *gr_exec_stored_zone(const gr_rollup *rollup, const gr_tz *zone);
/* Of a rollup in a zone, declared when it is new. Errors: catalog.*. */
GR_MUST_CHECK gr_status gr_exec_entity_id(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                          const gr_tz *zone, int64_t *ret, gr_error *err);

/* ---- definitions by API ---------------------------------------------------------------------------------------------
 */
typedef GR_VEC(gr_str) gr_names;
/* Measures by dimensions of one fact, by name. */
typedef struct gr_exec_definition {
    gr_str node; /* the fact's cube */
    gr_names dimensions, measures;
    gr_str filters;   /* JSON list, canonical; or empty */
    gr_str time_zone; /* empty: UTC */
    gr_str external;  /* "catalog.schema.table" of a registered table, or empty */
    gr_str bindings;  /* of that: JSON {"table_text", "dimensions": {column: bound}, "measures": {…}} */
    gr_str was;       /* the catalog's text that it was read from; empty: it is new */
    gr_str key, text; /* made by sealing: what tells it from others; JSON, as the catalog keeps it */
} gr_exec_definition;
typedef GR_VEC(gr_exec_definition) gr_exec_definitions;

/* One for each fact of the request; facts of which nothing is ever stored are left out. Errors: plan.*. */
GR_MUST_CHECK gr_status gr_exec_definitions_of(const gr_plan_index *index, const gr_query *query, gr_str external,
                                               gr_arena *arena, gr_exec_definitions *ret, gr_error *err);

/* Fills key and text of one whose other fields were changed. */
void gr_exec_definition_seal(gr_exec_definition *definition, gr_arena *arena);

/* A change of definitions that is not made yet: the model as it would be with them. */
typedef struct gr_exec_draft gr_exec_draft;
typedef struct gr_exec_drafted {
    const gr_rollup *rollup; /* of the draft's index: the entity that the definition is, or shares */
    const gr_preagg *preagg; /* the definition's own */
    gr_preagg_decl decl;     /* empty structure hash: it cannot be built (rollup->problem_text) */
    gr_str version;          /* of the node, as this server has it */
    gr_str bindings;         /* of the merged definition: what was bound before, or empty */
    int64_t entity_id;       /* of the base in service; 0: none yet */
} gr_exec_drafted;
/* Holds exec.define until gr_exec_draft_done: one change at a time. *ret_items: parallel to `more`; lives as long as
 * the draft. `more` is added to what the catalog has. Errors: catalog.*, query.* (a definition that does not fit the
 * model). */
GR_MUST_CHECK gr_status gr_exec_draft_new(gr_exec *exec, const gr_exec_definitions *more, gr_exec_draft **ret,
                                          gr_exec_drafted **ret_items, gr_error *err);
const gr_snapshot *gr_exec_draft_view(const gr_exec_draft *draft); /* without states */
/* After the catalog took the declarations, `ids` parallel to the items: the draft becomes what is in service. */
GR_MUST_CHECK gr_status gr_exec_draft_commit(gr_exec_draft *draft, const gr_preagg_row *rows, gr_error *err);
void gr_exec_draft_done(gr_exec_draft *draft); /* accepts NULL */

/* See files that came into folders since they were looked at. *ret_wants_model: some source could not say what its
 * columns are when the model was taken into service; doing that again would learn it. */
GR_MUST_CHECK gr_status gr_exec_rescan(gr_exec *exec, bool *ret_wants_model, gr_error *err);
/* Look at the catalog again: definitions and builds of other servers, or of calls that wrote without publishing. */
GR_MUST_CHECK gr_status gr_exec_refresh(gr_exec *exec, gr_error *err);
/* The entry of the snapshot in service that is this entity; NULL: none. Borrowed from the snapshot. */
const gr_rollup *gr_exec_rollup_of(const gr_snapshot *snapshot, int64_t entity_id, const gr_tz **ret_zone);
/* Nodes of the model in service with their versions. Borrowed from the snapshot. */
gr_str gr_exec_node_version(const gr_snapshot *snapshot, gr_str node);
/* full, limited, none (dj.md 2.1): the worst of its components. */
gr_str gr_exec_aggregability(const gr_rollup *rollup);
/* A rollup served a query. Cheap; written to the catalog now and then. */
void gr_exec_note_hit(gr_exec *exec, int64_t entity_id, int64_t now_us);
/* Drop tables once no snapshot reads them, with a publish. */
GR_MUST_CHECK gr_status gr_exec_drop_tables(gr_exec *exec, const gr_doomed_table *tables, size_t n, gr_error *err);
/* Columns of a table of a data source. Errors: engine.*. */
GR_MUST_CHECK gr_status gr_exec_describe_table(gr_exec *exec, gr_str data_source, gr_str table_text, gr_arena *arena,
                                               gr_column_schema **ret, size_t *ret_n, gr_error *err);
#endif
