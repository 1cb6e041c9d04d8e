/* What the files of this room share. */
#ifndef GR_PLAN_INTERNAL_H
#define GR_PLAN_INTERNAL_H
#include "base/buf.h"
#include "plan/plan.h"

/* ---- tree.c ---- */
typedef GR_VEC(gr_path) gr_paths;
/* Add the path of a member and of every foreign member that its expressions need. */
void gr_tree_collect(const gr_member *member, gr_path path, gr_arena *arena, gr_paths *out);
GR_MUST_CHECK gr_status gr_tree_build(const gr_paths *paths, size_t n_cubes, gr_arena *arena, gr_tree *ret,
                                      gr_error *err);
uint32_t gr_tree_find(const gr_tree *tree, const gr_cube *cube);
/* The cube hangs in both trees by the same chain of joins from the same root. */
bool gr_tree_same_way(const gr_tree *a, uint32_t node_a, const gr_tree *b, uint32_t node_b);

/* All nodes of both, those of `a` first and in its order; false when a cube hangs in them by different ways. */
bool gr_tree_union(const gr_tree *a, const gr_tree *b, gr_arena *arena, gr_tree *ret);

/* Walking from one node to the other meets several rows for one. */
bool gr_tree_multiplies(const gr_tree *tree, uint32_t from, uint32_t to);
/* Without the branches that no path needs; the root stays. */
gr_tree gr_tree_pruned(const gr_tree *tree, const gr_paths *paths, gr_arena *arena);
/* The owner's path, continued by the path written in a hole. */
gr_path gr_tree_path_through(gr_path owner, const gr_part *part, gr_arena *arena);
gr_path gr_tree_path_of_cube(const gr_cube *cube, gr_arena *arena);

/* ---- group.c ---- */
/* What is to be computed: the groups and conditions of a query, and components. */
typedef struct gr_ask {
    const gr_snapshot *snapshot;
    const gr_query *query; /* its measures say where components come from; what is computed is `components` */
    gr_components components;
    const struct gr_whole *whole; /* what decides the joins; NULL: just this */
} gr_ask;
/* All that the outermost query reads: one join tree for every relation below it, where there is one. */
typedef struct gr_whole {
    const gr_query *query;
    gr_components components;    /* leaves, below windows and stages too */
    GR_VEC(gr_field) dimensions; /* of add_group_by */
} gr_whole;
/* One group for each fact. */
GR_MUST_CHECK gr_status gr_group_facts(const gr_ask *ask, gr_arena *arena, gr_groups *ret, gr_error *err);
/* The groups of one fact, appended. Errors: plan.fan_out_unsupported. */
GR_MUST_CHECK gr_status gr_group_split(const gr_ask *ask, const gr_group *fact, gr_arena *arena, gr_groups *out,
                                       gr_error *err);

/* The fact's tree without the branches that lead to nothing that the group needs; its key node, given as one of the
 * fact's tree, becomes one of its own. */
void gr_group_prune(const gr_ask *ask, const gr_group *fact, gr_group *group, gr_arena *arena);

/* ---- component.c ---- */
/* Canonical text of a member's expression, with cube names for aliases. */
void gr_component_canonical(const gr_member *member, gr_buf *out);
bool gr_component_is_column(const gr_member *member);       /* of its own cube */
bool gr_component_reads_sub_query(const gr_member *member); /* itself, or through its expressions */
bool gr_component_propagates(const gr_member *member);
gr_str gr_component_value(const gr_member *member, gr_arena *arena); /* the same, kept */
/* NULL: the embedded engine sees it. */
const gr_plan_remote *gr_plan_remote_of(gr_plan_defaults defaults, gr_str source);
void gr_component_index(gr_plan_index *index, gr_plan_defaults defaults, gr_arena *arena); /* fills index->components */

/* ---- plan.c ---- */
/* The part of a range that a rollup can give: whole stored buckets, [inner) within [outer). */
typedef struct gr_tiling {
    const gr_rollup_column *column; /* NULL: not tiled */
    size_t time;                    /* of the query's time dimensions */
    gr_range outer, inner;
} gr_tiling;

typedef struct gr_planner {
    const gr_snapshot *snapshot;
    const gr_query *query; /* as it was asked */
    gr_plan_options options;
    gr_arena *arena;
    gr_error *err;
    GR_VEC(const gr_rollup *) candidates; /* in order of trial */
    bool is_cheapest;
    gr_whole whole;
    int depth, n_relations; /* of inner plans; both limited */
    /* what the pieces have in common */
    gr_refusals refusals;
    GR_VEC(gr_original) originals;
    gr_str data_source, first_source;
    bool reads_source;
    const gr_rollup *to_build;
    const gr_tz *to_build_zone;
    gr_run to_build_run;
    const gr_time_field *to_probe;
} gr_planner;
/* The rollups that may serve a query, in order of trial. */
void gr_planner_find_candidates(gr_planner *planner, const gr_query *query);
/* What the planner found goes into the plan. */
void gr_planner_finish(gr_planner *planner, gr_plan *plan);
gr_scan gr_planner_scan(gr_planner *planner, const gr_ask *ask, const gr_group *group, const gr_time_field *times);
const gr_tree *gr_rollup_fact_tree(const gr_rollup *rollup, const gr_cube *root); /* NULL: another fact */
/* Error plan.fan_out_unsupported when a component of the inner plan is repeated over buckets that are to be merged. */
GR_MUST_CHECK gr_status gr_planner_check_repeats(const gr_plan *inner, const gr_time_field *time, gr_arena *arena,
                                                 gr_error *err);
static inline bool gr_planner_must_stop(const gr_planner *p) { return p->to_build || p->to_probe; }
/* A plan that gives the ask's components by the groups of its query. */
GR_MUST_CHECK gr_status gr_relation_plan(gr_planner *planner, const gr_ask *ask, gr_plan **ret);

/* Why a candidate does not serve, once. */
void gr_planner_note(gr_planner *planner, gr_refusal refusal);
/* Definition against the facts that are asked for: all of them, each in its own tree of the rollup. Fills the scan's
 * group and match fields. */
bool gr_planner_matches(gr_planner *planner, const gr_groups *facts, const gr_rollup *rollup, gr_scan *scan,
                        gr_tiling *tiling, gr_refusal *refusal);
const gr_rollup_state *gr_planner_state(const gr_planner *planner, const gr_query *query, const gr_rollup *rollup,
                                        const gr_tz *zone);
typedef enum gr_verdict { GR_REFUSED, GR_SERVES, GR_BUILD_FIRST } gr_verdict;
/* What is built decides. `scan`: what will be read of it, or NULL: all. SERVES also when some of what is wanted is
 * missing and cannot be built. `asked`: who wants it, itself or what it is a part of. */
gr_verdict gr_planner_settle(gr_planner *planner, const gr_query *query, const gr_scan *scan, const gr_rollup *rollup,
                             const gr_rollup *asked, const gr_rollup_state **ret_state, const gr_tz **ret_zone);

/* ---- lambda.c ---- */
/* The pieces of an answer by a rollup_lambda. */
typedef struct gr_lambda_reading {
    gr_ask ask;                 /* with the time dimension that is cut, which the query may not have */
    const gr_time_field *times; /* of its query */
    size_t time;                /* the one that is cut */
    GR_VEC(gr_scan) scans;      /* of its parts, in order of time */
    GR_VEC(gr_range) edges;     /* that no part has whole: left to others */
    bool is_live;               /* the source gives the rest */
    gr_range live;
    int64_t rows; /* of what is read; -1: something is not built */
} gr_lambda_reading;
/* It is more than another name of its only rollup. */
bool gr_rollup_lambda_has_cuts(const gr_rollup *lambda);
void gr_rollup_lambda_prepare(gr_plan_index *index, gr_rollup *rollup, gr_arena *arena);
/* Refusals name the lambda. Without may_tile there are no edges. */
gr_verdict gr_planner_read_lambda(gr_planner *planner, const gr_ask *ask, const gr_groups *fact,
                                  const gr_time_field *times, const gr_rollup *lambda, bool may_tile,
                                  gr_lambda_reading *ret);

/* ---- window.c ---- */
bool gr_window_has_time(const gr_query *query);
bool gr_window_is_same(const gr_window *a, const gr_window *b);
/* Add the piece for components of one window. */
GR_MUST_CHECK gr_status gr_window_plan(gr_planner *planner, const gr_ask *ask, gr_plan *plan);

/* ---- stage.c ---- */
/* What a multi-stage measure is computed from. */
void gr_stage_components(gr_planner *planner, const gr_member *measure, gr_components *out);
GR_MUST_CHECK gr_status gr_stage_plan(gr_planner *planner, const gr_ask *ask, const gr_component *component,
                                      gr_plan *plan);

/* ---- inner.c: queries made from queries ---- */
/* The columns of the answer that group: dimensions, then time dimensions with granularity. */
/* A copy whose lists can be changed; its columns are to be made again with gr_planner_group_columns. */
gr_query *gr_planner_inner_query(const gr_query *query, gr_arena *arena);
void gr_planner_group_columns(gr_query *query, gr_arena *arena);

/* ---- static.c ---- */
/* Fills the rollup's static filters. The JSON that they came from is not kept. Errors: query.*, model.invalid. */
GR_MUST_CHECK gr_status gr_static_filters_read(const gr_model *model, gr_rollup *rollup, gr_arena *arena,
                                               gr_error *err);

/* ---- join.c ---- */
/* A rollup_join: its columns and components in the tables of its parts, and how those meet. False: problem is set. */
bool gr_rollup_join_prepare(gr_plan_index *index, gr_rollup *rollup, gr_arena *arena);

/* ---- index.c ---- */
typedef GR_VEC(const gr_rollup *) gr_rollup_list;
struct gr_plan_index {
    const gr_model *model;
    bool is_cheapest;
    gr_rollup_list *by_fact;   /* by cube index: rollups computed over it, in definition order */
    gr_rollup *rollups;        /* by preagg index */
    gr_components *components; /* by member index; empty for what is no measure */
};

/* ---- derive.c ---- */
/* The text between holes uses only literals, operators, keywords and calls of deterministic functions: no raw column.
 */
bool gr_derive_text_is_portable(gr_str text);

/* ---- engine_sql.c ---- */
/* A member of the query, or what it refers to, whose SQL would be worked out over the rollup's columns in another
 * engine than its source's, and not alike; NULL: there is none. `is_merged`: rows of several tables meet. */
const gr_member *gr_match_engine_sql(const gr_scan *scan, const gr_rollup *rollup, bool is_merged);

/* ---- match.c ---- */
/* Decide whether `rollup` can serve the scan's group by definition; on success fills the scan's match fields, and with
 * a tiling narrows its range to the inner one. `stored_tree`: of the rollup's fact with the group's root. */
bool gr_match_rollup(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_tiling *tiling,
                     gr_refusal *ret_refusal);
/* After the inner range has been narrowed: what cannot be put together from pieces is cut at whole groups. */
bool gr_match_edges(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_tiling *tiling,
                    gr_refusal *ret_refusal);
/* A cut on the wall clock is moved back to a whole group where what is on both sides cannot be merged. */
bool gr_match_cut(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, size_t time, int64_t *cut_us,
                  gr_refusal *ret_refusal);
/* Every rule that fails, by definition. */
void gr_match_all(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_arena *arena,
                  gr_refusals *ret);
/* With what is built: the zone proof of instant columns. */
bool gr_match_zone(const gr_scan *scan, const gr_rollup *rollup, const gr_rollup_state *state, gr_refusal *ret_refusal);
/* A test has switched this rule off (builds with GRANARY_RULES_OFF only): it lets everything pass. */
#ifdef GRANARY_RULES_OFF
bool gr_rule_is_off(gr_rule rule);
#else
static inline bool gr_rule_is_off(gr_rule rule) {
    (void)rule;
    return false;
}
#endif

bool gr_refusal_eq(const gr_refusal *a, const gr_refusal *b);

/* ---- pinned.c ---- */
/* A member whose answer by a build of an earlier version cannot be told; NULL: it can be served. `scan`: what will be
 * read, or NULL. */
const gr_member *gr_plan_pinned_changed(const gr_planner *planner, const gr_query *query, const gr_scan *scan,
                                        const gr_rollup *rollup, const gr_rollup_state *state);

/* ---- tile.c ---- */
/* The largest range of whole buckets within the field's; false when it holds none. */
bool gr_tile_inner(const gr_time_field *time, const gr_granularity *stored, const gr_tz *tz, gr_range *ret);
/* What of the query's range is stored, where a build range limits it: all, the part that is then the tiling's inner
 * range, or nothing that can be told. */
typedef enum gr_clip { GR_CLIP_WHOLE, GR_CLIP_PART, GR_CLIP_NONE } gr_clip;
/* The stretch of the ranged column, as it is stored, that the scan may read. */
gr_run gr_tile_run(const gr_scan *scan, const gr_rollup *rollup);
gr_reading gr_tile_reading(const gr_scan *scan, const gr_rollup *rollup, const gr_rollup_state *state, gr_arena *arena);
/* A run of the first time column on the query's wall clock; false where an instant lies in a doubled hour. */
bool gr_tile_range_of(const gr_rollup *rollup, const gr_run *run, const gr_tz *tz, gr_range *ret);
size_t gr_tile_time(const gr_scan *scan, const gr_member *member); /* of the range that is cut; SIZE_MAX: none */
gr_clip gr_tile_clip(const gr_scan *scan, const gr_rollup *rollup, const gr_rollup_state *state, gr_tiling *tiling);
/* Pieces of [outer) beside [inner): at most two, disjoint, and with it the whole. */
size_t gr_tile_edges(const gr_tiling *tiling, gr_range ret[2]);
#endif
