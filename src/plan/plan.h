/* Planning: which rollup serves a query, or exactly why none does. A pure function of (snapshot, query): no I/O, no
 * clock.
 *
 *   gr_plan_index   made once per model: for every pre-aggregation its join tree, grain and stored components
 *   gr_snapshot     model + index + column types of the sources + what is built; immutable, shared
 *   gr_plan         one query's decision: join tree, what serves, refusals
 *
 * Measures are an algebra (house.md §4): a measure is made of components (accumulate + merge) and a finish. Two
 * measures share a component when the canonical accumulate expression and the aggregation are equal, never by name.
 * Source: decisions 1–7, 12–15; cube.md §4, §5.1, §5.2; docs/matching.md. */
#ifndef GR_PLAN_PLAN_H
#define GR_PLAN_PLAN_H
#include "data/batch.h"
#include "query/query.h"

/* ---- join trees ------------------------------------------------------------------------------------------------- */
typedef struct gr_tree_node {
    const gr_cube *cube;
    uint32_t parent;     /* index of the node it hangs from; the root is node 0 and its own parent */
    const gr_join *join; /* NULL for the root */
    bool is_multiplied;  /* rows of this cube may stand several times in the joined rows (cube.md 5.2) */
} gr_tree_node;

typedef struct gr_tree {
    gr_tree_node *nodes; /* parents before children */
    size_t n;
} gr_tree;

/* ---- components ------------------------------------------------------------------------------------------------- */
typedef enum gr_agg {
    GR_AGG_COUNT, /* merged by sum, 0 for nothing */
    GR_AGG_SUM,
    GR_AGG_MIN,
    GR_AGG_MAX,
    GR_AGG_COUNT_DISTINCT,        /* not mergeable */
    GR_AGG_COUNT_DISTINCT_APPROX, /* not mergeable until sketches */
    GR_AGG_OPAQUE,                /* a calculated measure with its own aggregates: its finished value, not mergeable */
    GR_AGG__COUNT
} gr_agg;

typedef struct gr_component {
    gr_agg agg;
    const gr_member *measure; /* whose sql and filters are accumulated */
    gr_str key;               /* canonical: aggregation, expression, filters */
    gr_str suffix;            /* of the stored column: "", "__sum", "__count" */
} gr_component;

bool gr_component_is_mergeable(gr_agg agg);
bool gr_component_survives_fan_out(gr_agg agg);

/* ---- rollups ------------------------------------------------------------------------------------------------------
 */
typedef struct gr_rollup_column {
    const gr_member *member;           /* dimension or segment */
    const gr_granularity *granularity; /* time dimension at a grain, else NULL */
    uint32_t node;                     /* of the rollup's tree */
    gr_str name;                       /* stored column: "orders__created_at_day" */
    bool is_instant;      /* hour and finer: stored as the UTC instant at which the bucket starts (decisions 6) */
    bool depends_on_zone; /* day and coarser, and expressions that truncate in the query's zone */
} gr_rollup_column;

typedef struct gr_rollup_component {
    gr_component component;
    uint32_t node;
    gr_str name; /* stored column */
} gr_rollup_component;

typedef struct gr_rollup gr_rollup;
struct gr_rollup {
    const gr_preagg *preagg;
    const gr_rollup *entity; /* the first rollup of the same identity, maybe itself: they share table and components
                                (decisions 16) */
    gr_tree tree;
    gr_rollup_column *columns; /* dimensions, then segments, then time dimensions */
    size_t n_columns, n_dimensions, n_segments, n_times;
    gr_rollup_component *components;
    size_t n_components;
    bool depends_on_zone; /* then every time zone is an entity of its own */
    bool is_external;     /* in the embedded store; else in the source */
    bool is_non_strict;
    bool can_build; /* else: why not */
    gr_status problem;
    gr_str problem_text;
    gr_str joins; /* extra of the grain hash when an earlier rollup of the same grain has joins that do not go with
                     these */
    gr_str grain_columns; /* JSON list, sorted, fully qualified, with grain (decisions 16) */
    gr_str grain_hash;    /* for UTC or when no zone matters; gr_rollup_grain_hash for others */
};

typedef struct gr_plan_index gr_plan_index;
/* What a pre-aggregation is that does not say. */
typedef struct gr_plan_defaults {
    bool is_external;   /* in the embedded store */
    bool is_non_strict; /* allow_non_strict_date_range_match */
} gr_plan_defaults;
/* Lives in `arena`. Never fails: a definition that cannot be planned has can_build == false. */
gr_plan_index *gr_plan_index_new(const gr_model *model, gr_plan_defaults defaults, gr_arena *arena);
const gr_rollup *gr_plan_index_rollup(const gr_plan_index *index, const gr_preagg *preagg);
gr_str gr_rollup_grain_hash(const gr_rollup *rollup, const gr_tz *tz, gr_arena *arena);
/* The zone that an entity of this rollup is built for, for queries in `tz`: `tz`, or UTC when no column depends on it.
 */
const gr_tz *gr_rollup_zone(const gr_rollup *rollup, const gr_tz *tz);

/* ---- snapshot -----------------------------------------------------------------------------------------------------
 */
/* What is known of one rollup in one zone. */
typedef struct gr_rollup_state {
    const gr_tz *zone;
    int64_t entity_id;
    bool is_built;
    gr_str table; /* qualified and quoted for the engine that holds it */
    int64_t build_number, built_at_us, rows;
    bool is_failed;      /* the last try failed */
    int64_t retry_at_us; /* until then no other try is made */
    gr_str failure;
    /* Instants of the first and last stored bucket of each instant column (parallel to rollup->columns); used to prove
     * that a zone's offsets divide the grain. */
    int64_t *min_us, *max_us;
} gr_rollup_state;

typedef struct gr_snapshot {
    gr_model *model;
    gr_plan_index *index;
    const gr_column_schema *
        *types;               /* by member index: type of a dimension's expression at the source, NULL = unknown */
    gr_rollup_state **states; /* by preagg index: the zones known */
    size_t *n_states;
    int64_t max_zones;
    int64_t now_us; /* when it was assembled: anchors of stored custom grains */
    bool is_rollup_only;
} gr_snapshot;

const gr_rollup_state *gr_snapshot_state(const gr_snapshot *snapshot, const gr_preagg *preagg, const gr_tz *zone);

/* ---- refusals -----------------------------------------------------------------------------------------------------
 */
typedef enum gr_rule {
#define GR_RULE(name, id, doc) GR_RULE_##name,
#include "plan/rules.def"
#undef GR_RULE
    GR_RULE__COUNT
} gr_rule;

typedef struct gr_refusal {
    gr_rule rule;
    const gr_rollup *rollup;
    const gr_member *member;           /* what was missing or did not fit, or NULL */
    const gr_granularity *granularity; /* the query's, or NULL */
} gr_refusal;

gr_str gr_rule_id(gr_rule rule);                                      /* static: "match.dimension_missing" */
gr_str gr_rule_doc(gr_rule rule);                                     /* static */
gr_str gr_refusal_detail(const gr_refusal *refusal, gr_arena *arena); /* one sentence */
gr_str gr_refusal_repair(const gr_refusal *refusal,
                         gr_arena *arena); /* the smallest change that would help, or empty */

/* ---- plans --------------------------------------------------------------------------------------------------------
 */
typedef struct gr_plan {
    const gr_query *query;
    const gr_snapshot *snapshot;
    gr_tree tree; /* of the query, root first */
    gr_str data_source;
    /* What serves: a built rollup, or NULL for the source. */
    const gr_rollup *rollup;
    const gr_rollup_state *state;
    const gr_tz *rollup_zone;
    bool is_exact_match;      /* one stored row is one group of the answer */
    bool is_non_strict_range; /* exactness "non_strict_range" (decisions 1) */
    /* A rollup that matches and is to be built on demand first; then plan again. rollup is NULL then. */
    const gr_rollup *to_build;
    const gr_tz *to_build_zone;
    gr_refusal *refusals; /* one for each candidate that does not serve, in order of trial */
    size_t n_refusals;
} gr_plan;

typedef struct gr_plan_options {
    bool without_rollups;             /* the source, always (tests, explain) */
    bool ignore_builds;               /* match by definition alone, as if everything were built (explain, sql) */
    const gr_rollup *const *excluded; /* whose build failed for this request already: match.build_failed */
    size_t n_excluded;
    int64_t now_us; /* for retries of failed builds; an input, so that planning stays pure */
} gr_plan_options;

/* Errors: plan.no_join_path, plan.fan_out_unsupported, plan.rollup_only, plan.mixed_sources. Never fails because no
 * rollup fits: it plans the source and records refusals. */
GR_MUST_CHECK gr_status gr_plan_query(const gr_snapshot *snapshot, const gr_query *query, gr_plan_options options,
                                      gr_arena *arena, gr_plan **ret, gr_error *err);

/* The column of the plan's rollup that holds a member of the query's tree; NULL when it is not stored as such. */
const gr_rollup_column *gr_plan_stored_column(const gr_plan *plan, const gr_member *member);
/* The stored bucket column that serves a time dimension of the query. */
const gr_rollup_column *gr_plan_stored_time(const gr_plan *plan, const gr_time_field *time);
/* Stored component of the plan's rollup with this key, or NULL. */
const gr_rollup_component *gr_plan_stored_component(const gr_plan *plan, const gr_component *component);
/* The same bins, counted from the one that holds 1970: so that the text of a statement does not change with the year
 * that an origin was taken from. Origins on days 29 to 31 stay, since month ends clamp. */
int64_t gr_plan_anchor(const gr_granularity *granularity, int64_t anchor_local_us);
/* Components of a measure: its own when it is a leaf, those of all its leaves when it is calculated. */
typedef GR_VEC(gr_component) gr_components;
/* Calculated from other measures alone: no aggregate and no raw column of its own. */
bool gr_measure_is_decomposable(const gr_member *measure);
void gr_measure_components(const gr_plan_index *index, const gr_member *measure, gr_arena *arena, gr_components *out);
const gr_components *gr_plan_index_components(const gr_plan_index *index, const gr_member *measure); /* borrowed */
#endif
