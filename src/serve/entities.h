/* Entities through the API: pre-aggregations as DataJunction and the seed show them, cubes made by API, grain groups,
 * lineage. Names are members of the model ("orders.count", "orders.status", "orders.users.country" by join path,
 * "orders.created_at.day" with a grain), or views' members.
 *
 * Threads: any. Memory: results live in `arena`, inputs are borrowed during the call. What is made is in the snapshot
 * of this server when the call returns. Source: seed; dj.md 1.7, 4, 5, appendix D; decisions 15–22. */
#ifndef GR_SERVE_ENTITIES_H
#define GR_SERVE_ENTITIES_H
#include "query/metrics.h"
#include "serve/serve.h"

/* ---- asking ------------------------------------------------------------------------------------------------------ */
typedef gr_metrics_ask gr_entity_ask; /* query/metrics.h */

/* ---- entities ---------------------------------------------------------------------------------------------------- */
typedef struct gr_entity_view {
    gr_preagg_row row;
    gr_str name;     /* as answers call it, when the model in service has it: "orders.main",
                        "orders.preagg_1a2b3c4d"; else row.decl.name or empty */
    gr_str *metrics; /* measures of the model that it can serve at its grain, sorted: "orders.count" */
    size_t n_metrics;
    gr_str problem;     /* why its definition cannot be built now, or empty */
    gr_str table;       /* of the served build, or the external one: "catalog.schema.table"; empty: none */
    bool is_in_service; /* the model in service declares it: default queries may use it */
    bool is_refreshed;  /* by itself */
    gr_refresh_view refresh;
} gr_entity_view;

/* Errors: catalog.*. An unknown node or cube of the filter: node.not_found. */
GR_MUST_CHECK gr_status gr_serve_entities(gr_serve *serve, const gr_preagg_filter *filter, gr_arena *arena,
                                          gr_entity_view **ret, size_t *ret_n, int64_t *ret_total, gr_error *err);
GR_MUST_CHECK gr_status gr_serve_entity(gr_serve *serve, int64_t id, gr_arena *arena, gr_entity_view *ret,
                                        gr_error *err); /* preagg.not_found */
/* By id in digits, or by a name that a YAML item or an answer has ("orders.main"): the one of the current version, in
 * UTC when there are several zones. Errors: preagg.not_found with a hint. */
GR_MUST_CHECK gr_status gr_serve_entity_find(gr_serve *serve, gr_str id_or_name, gr_arena *arena, gr_entity_view *ret,
                                             gr_error *err);
/* Nodes linked to it (cubes by API and YAML cubes), by name. */
GR_MUST_CHECK gr_status gr_serve_entity_cubes(gr_serve *serve, int64_t id, gr_arena *arena, gr_node_row **ret,
                                              size_t *ret_n, gr_error *err);
/* The flight of this process that builds it, or will: owned (gr_flight_unref); NULL when there is none. Never waits. */
gr_flight *gr_serve_entity_flight(gr_serve *serve, int64_t id);
/* Its builds, newest first. */
GR_MUST_CHECK gr_status gr_serve_entity_builds(gr_serve *serve, int64_t id, int64_t limit, gr_arena *arena,
                                               gr_build_row **ret, size_t *ret_n, gr_error *err);

typedef struct gr_materialize_ask {
    bool force;          /* also when it is active */
    gr_str strategy;     /* empty: the stored one, else "full" */
    bool needs_strategy; /* DJ's own path: query.invalid when none is stored, and workflow fields are filled */
} gr_materialize_ask;
/* Claims the build at once (the row is `materializing` when this returns) and starts it. *ret_flight (owned) is NULL
 * when it is active already and not forced. Errors: preagg.not_found; preagg.materializing (409); preagg.external
 * (422); preagg.stale (409: its definition is gone, and no SQL of it is kept); http.busy; plan.*. */
GR_MUST_CHECK gr_status gr_serve_materialize(gr_serve *serve, int64_t id, const gr_materialize_ask *ask, gr_actor actor,
                                             gr_arena *arena, gr_entity_view *ret, gr_flight **ret_flight,
                                             gr_error *err);
/* Errors: preagg.not_found, preagg.in_use, preagg.materializing. */
GR_MUST_CHECK gr_status gr_serve_entity_remove(gr_serve *serve, int64_t id, gr_actor actor, gr_error *err);

/* The grain groups of a request, before anything is recorded. */
typedef struct gr_grain_group {
    gr_str node, node_version;
    gr_str grain_columns, grain_hash, filters; /* JSON lists as in the row */
    gr_str *metrics;                           /* of the request, that take part in it */
    size_t n_metrics;
    gr_str aggregability; /* full, limited, none */
    gr_component_decl *components;
    size_t n_components;
    gr_str sql, columns;
    gr_str name;       /* that the entity has or would have */
    gr_str problem;    /* it cannot be built, or empty */
    int64_t entity_id; /* 0: none yet */
    gr_preagg_status status;
    bool is_covered; /* the entity's declaration has all components */
    bool is_served;  /* so has what is built */
} gr_grain_group;
typedef struct gr_warning {
    gr_str code, message, member; /* NON_DECOMPOSABLE, FANOUT_RISK, …; member may be empty */
} gr_warning;
typedef struct gr_entity_plan {
    gr_grain_group *groups;
    size_t n_groups;
    gr_warning *warnings;
    size_t n_warnings;
} gr_entity_plan;
/* Errors: query.invalid (no metrics), query.unknown_member, plan.*. */
GR_MUST_CHECK gr_status gr_serve_grain_groups(gr_serve *serve, const gr_entity_ask *ask, gr_arena *arena,
                                              gr_entity_plan *ret, gr_error *err);
/* Records them: found, widened or made pending. Parallel to ret->groups: ret_views. Errors also: query.invalid for a
 * strategy other than full and incremental_time, and for incremental_time where the grain has no time dimension. */
GR_MUST_CHECK gr_status gr_serve_entity_plan(gr_serve *serve, const gr_entity_ask *ask, const gr_preagg_config *config,
                                             gr_actor actor, gr_arena *arena, gr_entity_plan *ret,
                                             gr_entity_view **ret_views, gr_error *err);
/* Not NULL fields replace. Errors: preagg.not_found; query.invalid for an unknown strategy or a malformed schedule. */
GR_MUST_CHECK gr_status gr_serve_entity_configure(gr_serve *serve, int64_t id, const gr_preagg_config *config,
                                                  gr_actor actor, gr_arena *arena, gr_entity_view *ret, gr_error *err);
GR_MUST_CHECK gr_status gr_serve_workflow_clear(gr_serve *serve, int64_t id, gr_actor actor, bool *ret_had,
                                                gr_error *err);
/* All of a node that have a workflow; stale_only: not of its current version. Errors: node.not_found. */
typedef struct gr_workflows_cleared {
    int64_t *ids;
    gr_str *names; /* of the workflows */
    size_t n, n_skipped;
} gr_workflows_cleared;
GR_MUST_CHECK gr_status gr_serve_workflows_clear(gr_serve *serve, gr_str node, bool stale_only, gr_actor actor,
                                                 gr_arena *arena, gr_workflows_cleared *ret, gr_error *err);

/* ---- external tables --------------------------------------------------------------------------------------------- */
typedef struct gr_binding {
    gr_str member, column;
} gr_binding;
typedef struct gr_register_ask {
    gr_entity_ask ask;
    gr_str name;
    gr_str catalog, schema, table; /* catalog: a data source, "default" */
    const gr_binding *measure_columns, *dimension_columns;
    size_t n_measure_columns, n_dimension_columns;
    bool has_valid_through;
    int64_t valid_through_ts;
} gr_register_ask;
/* Errors: query.invalid, query.unknown_member (422); config.source_unknown (404). */
GR_MUST_CHECK gr_status gr_serve_entity_register(gr_serve *serve, const gr_register_ask *ask, gr_actor actor,
                                                 gr_arena *arena, gr_entity_plan *ret, gr_entity_view **ret_views,
                                                 gr_error *err);
/* The callback (dj.md 4.6), `body` as it came. Errors: preagg.not_found, preagg.not_external, query.invalid. */
GR_MUST_CHECK gr_status gr_serve_availability(gr_serve *serve, int64_t id, const json_t *body, gr_actor actor,
                                              gr_arena *arena, gr_entity_view *ret, gr_error *err);

/* ---- nodes and cubes --------------------------------------------------------------------------------------------- */
typedef struct gr_node_view {
    gr_node_row row;
    /* Of cubes; YAML cubes have all their measures and dimensions here. */
    gr_str *metrics, *dimensions;
    size_t n_metrics, n_dimensions;
    gr_str filters; /* JSON list, as they were given */
    gr_str query; /* of a cube: the SQL that answers it from the source; of a source: empty; of a transform: its sql */
    gr_str table; /* of a source */
} gr_node_view;
/* A model cube by "orders" or "cube.orders", or a cube by API. version empty: the current one. Errors: node.not_found.
 */
GR_MUST_CHECK gr_status gr_serve_node(gr_serve *serve, gr_str name, gr_str version, gr_arena *arena, gr_node_view *ret,
                                      gr_error *err);
GR_MUST_CHECK gr_status gr_serve_nodes(gr_serve *serve, unsigned types, gr_arena *arena, gr_node_view **ret,
                                       size_t *ret_n, gr_error *err);
GR_MUST_CHECK gr_status gr_serve_node_revisions(gr_serve *serve, gr_str name, gr_arena *arena, gr_node_view **ret,
                                                size_t *ret_n, gr_error *err);

typedef struct gr_cube_ask {
    gr_str name;
    gr_entity_ask ask;
    gr_str display_name, description, mode; /* empty: keep, or the default */
    /* an update: which of the lists are given; the others stay */
    bool is_update, has_metrics, has_dimensions, has_filters, has_description, has_display_name;
} gr_cube_ask;
/* Errors: node.exists (409), node.not_found; query.invalid (422: no metrics, a bad name, an unreachable dimension);
 * node.not_found for a metric that does not exist (404, the message lists all of them); query.unknown_member for a
 * dimension (422). */
GR_MUST_CHECK gr_status gr_serve_cube_put(gr_serve *serve, const gr_cube_ask *ask, gr_actor actor, gr_arena *arena,
                                          gr_node_view *ret, gr_entity_plan *ret_plan, gr_error *err);
/* Errors: node.not_found; node.of_model (409) for a cube of the model's files. */
GR_MUST_CHECK gr_status gr_serve_cube_delete(gr_serve *serve, gr_str name, gr_actor actor, gr_error *err);
GR_MUST_CHECK gr_status gr_serve_history(gr_serve *serve, const gr_history_filter *filter, gr_arena *arena,
                                         gr_history_row **ret, size_t *ret_n, gr_error *err);

/* ---- lineage ----------------------------------------------------------------------------------------------------- */
typedef enum gr_lineage_kind {
    GR_LINEAGE_TABLE,
    GR_LINEAGE_COLUMN,
    GR_LINEAGE_MEMBER, /* dimension or measure */
    GR_LINEAGE_COMPONENT,
    GR_LINEAGE_PREAGG,
    GR_LINEAGE_CUBE,  /* by API */
    GR_LINEAGE_METRIC /* a measure as entities serve it; of the same name as its member, which they come from */
} gr_lineage_kind;
gr_str gr_lineage_kind_name(gr_lineage_kind kind);
typedef struct gr_lineage_node {
    gr_lineage_kind kind;
    gr_str id, label, detail; /* "column:orders.amount", "orders.amount", "" */
} gr_lineage_node;
typedef struct gr_lineage_edge {
    size_t from, to;
} gr_lineage_edge;
typedef struct gr_lineage {
    gr_lineage_node *nodes;
    size_t n_nodes;
    gr_lineage_edge *edges; /* from the source to what is made of it */
    size_t n_edges;
} gr_lineage;
/* Of a node, a member or an entity ("orders", "orders.count", "12", "orders.main"): all that it comes from and all that
 * is made of it; empty name: everything. Errors: node.not_found. */
GR_MUST_CHECK gr_status gr_serve_lineage(gr_serve *serve, gr_str name, gr_arena *arena, gr_lineage *ret, gr_error *err);
/* The same as text for Graphviz. Pure. */
gr_str gr_serve_lineage_dot(const gr_lineage *lineage, gr_arena *arena);

/* ---- importer ---------------------------------------------------------------------------------------------------- */
typedef struct gr_import_line {
    gr_str cube, source_node, result; /* "imported", "shared", "skipped" */
    gr_str problem;                   /* why it was skipped */
    int64_t entity_id;
} gr_import_line;
/* Blobs of `materialization_config.measures_materialization` (seed): one blob, or an object that holds it; a list of
 * cubes
 * {"name", "materialization_config": {…}}; or a map from cube to such (import_read.c). Each blob is recorded whole, as
 * gr_serve_entity_plan does, or skipped; lines are in the order of the document. Cubes are not made. Errors:
 * query.invalid, limit.exceeded (more than 10,000): nothing is imported then; catalog.*: what came before is. */
GR_MUST_CHECK gr_status gr_serve_import_materializations(gr_serve *serve, const json_t *blobs, gr_actor actor,
                                                         gr_arena *arena, gr_import_line **ret, size_t *ret_n,
                                                         gr_error *err);
#endif
