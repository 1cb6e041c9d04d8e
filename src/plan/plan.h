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
    GR_AGG_COUNT_DISTINCT_APPROX, /* a sketch, merged by union */
    GR_AGG_M2,     /* sum of squared distances from the mean; merged together with count and sum of the same values */
    GR_AGG_OPAQUE, /* a calculated measure with its own aggregates: its finished value, not mergeable */
    GR_AGG_STAGE,  /* a multi-stage measure: its finished value, never stored */
    GR_AGG__COUNT
} gr_agg;

typedef struct gr_component {
    gr_agg agg;
    const gr_member *measure;  /* whose sql and filters are accumulated */
    gr_str key;                /* canonical: aggregation, expression, filters; and the window, if any */
    gr_str stored_key;         /* without the window: what a rollup stores */
    gr_str count_key, sum_key; /* M2: stored keys of the other two of its three */
    int log2m;                 /* COUNT_DISTINCT_APPROX: precision */
    bool is_state;             /* and a state of ClickHouse, over its hashes, wherever it is kept */
    gr_str suffix;             /* of the stored column: "", "__sum", "__count", "__m2" */
    gr_str value;              /* canonical text of what a row contributes; empty with filters */
    const gr_window *window;   /* read through a rolling window, or NULL */
} gr_component;
typedef GR_VEC(gr_component) gr_components;

/* Merged values of finer groups give the value of the coarser one. */
bool gr_component_is_mergeable(gr_agg agg);
/* A row that stands several times changes nothing. */
bool gr_component_survives_fan_out(gr_agg agg);

/* ---- grain groups ----------------------------------------------------------------------------------------------- */
/* One fact: a join tree, and what is computed over its rows. With a key node the rows of that cube are repeated by the
 * joins, and count once for each group of the answer (cube.md 5.3):
 *
 *      SELECT d, sum(v) FROM (SELECT DISTINCT d, key, v FROM orders LEFT JOIN items …) GROUP BY d */
typedef struct gr_group {
    gr_tree tree;
    uint32_t key_node; /* GR_TREE_NONE: each joined row is one row of what is computed */
    gr_components components;
    uint32_t fact; /* groups of one fact see the same joined rows, so the same groups come out of them */
} gr_group;
typedef GR_VEC(gr_group) gr_groups;
enum { GR_TREE_NONE = UINT32_MAX };

/* ---- rollups ------------------------------------------------------------------------------------------------------
 */
typedef struct gr_rollup gr_rollup;
typedef struct gr_rollup_column {
    const gr_member *member;           /* dimension or segment */
    const gr_granularity *granularity; /* time dimension at a grain, else NULL */
    uint32_t node;                     /* of the rollup's tree */
    gr_str name;                       /* stored column: "orders__created_at_day" */
    bool is_instant;       /* hour and finer: stored as the UTC instant at which the bucket starts (decisions 6) */
    bool depends_on_zone;  /* day and coarser, and expressions that truncate in the query's zone */
    const gr_rollup *part; /* of a rollup_join: the rollup that stores it */
    gr_str value;          /* canonical text of the stored expression; empty for buckets and segments */
    const gr_cube **cubes; /* that its expression reads, its own among them */
    size_t n_cubes;
} gr_rollup_column;

typedef struct gr_rollup_component {
    gr_component component;
    uint32_t node;
    gr_str name; /* stored column */
    const gr_rollup *part;
} gr_rollup_component;

/* A table of a rollup_join: how its stored columns meet those of an earlier one. */
typedef struct gr_rollup_link {
    const gr_rollup *from, *to;
    const gr_rollup_column **from_columns, **to_columns;
    size_t n;
} gr_rollup_link;

struct gr_rollup {
    const gr_preagg *preagg;
    const gr_rollup *entity; /* the first rollup of the same identity, maybe itself: they share table and components
                                (decisions 16) */
    gr_tree tree;            /* of its only fact, or of the first; with every cube of its members */
    gr_groups groups;        /* how it is computed */
    const gr_cube **facts;   /* roots of its facts */
    gr_tree *trees;          /* parallel: with all cubes of its members that the fact reaches */
    size_t n_facts;
    gr_rollup_column *columns; /* dimensions, then segments, then time dimensions */
    size_t n_columns, n_dimensions, n_segments, n_times;
    gr_rollup_component *components;
    size_t n_components;
    gr_filter **filters; /* static: only rows that pass are stored (ANDed) */
    size_t n_filters;
    gr_str filters_text;            /* canonical, an extra of the identity; empty without */
    const gr_query *definition;     /* its members as a query; NULL for original_sql */
    gr_str range_start, range_end;  /* build_range_start, build_range_end: SELECTs of the source, or empty */
    bool has_build_range;           /* one of them is given: time outside is not stored */
    gr_grain partition;             /* its rows are kept in partitions of this size; NONE: in one table */
    const gr_rollup_column *ranged; /* the time column that both are about; NULL: neither is given */
    gr_rollup_link *links;          /* rollup_join: one for each part but the first */
    size_t n_links;
    const gr_rollup **parts; /* rollup_lambda: in order of time */
    size_t n_parts;
    bool depends_on_zone; /* then every time zone is an entity of its own */
    bool is_external;     /* in the store that the configuration names; else in the source */
    bool is_remote;       /* its rows come from an engine that the embedded one does not see */
    bool is_elsewhere;    /* its table is not in an engine of the kind that its rows come from */
    bool is_abroad;       /* and not in the embedded one either */
    bool is_for_groups;   /* its table is in an engine that is only asked for groups */
    gr_str place;         /* where its table is: a data source; empty: the embedded store */
    bool is_non_strict;
    bool can_build; /* else: why not */
    gr_status problem;
    gr_str problem_text;
    gr_str joins; /* extra of the grain hash when an earlier rollup of the same grain has joins that do not go with
                     these */
    gr_str grain_columns; /* JSON list, sorted, fully qualified, with grain (decisions 16) */
    gr_str grain_hash;    /* for UTC or when no zone matters; gr_rollup_grain_hash for others */
};

/* Its first time column; NULL: it has none. */
static inline const gr_rollup_column *gr_rollup_time(const gr_rollup *r) {
    return r->n_times ? &r->columns[r->n_columns - r->n_times] : NULL;
}

typedef struct gr_plan_index gr_plan_index;
/* A data source that the embedded engine does not see. */
typedef struct gr_plan_remote {
    gr_str name, engine; /* "postgres": sources of one engine work out the same SQL alike */
    bool is_for_groups;  /* no rows are asked of it, and queries are not finished there */
    bool has_states;     /* sketches of its data are states of ClickHouse */
} gr_plan_remote;
/* What a pre-aggregation is that does not say. */
typedef struct gr_plan_defaults {
    bool is_external;             /* in a store of its own */
    gr_str store;                 /* the data source that is that store; empty: the embedded one */
    bool is_non_strict;           /* allow_non_strict_date_range_match */
    bool is_cheapest;             /* matching.selection: cheapest */
    const gr_plan_remote *remote; /* what stands for the SQL of their cubes lives beside them */
    size_t n_remote;
} gr_plan_defaults;
/* Lives in `arena`. Never fails: a definition that cannot be planned has can_build == false; what is wrong with its
 * static filters goes to `diags` (may be NULL). */
/* Where a pre-aggregation is kept: see gr_rollup.place. */
gr_str gr_plan_place_of(const gr_preagg *preagg, gr_plan_defaults defaults, bool *ret_is_external);
gr_plan_index *gr_plan_index_new(const gr_model *model, gr_plan_defaults defaults, gr_diags *diags, gr_arena *arena);
const gr_rollup *gr_plan_index_rollup(const gr_plan_index *index, const gr_preagg *preagg);
gr_str gr_rollup_grain_hash(const gr_rollup *rollup, const gr_tz *tz, gr_arena *arena);
/* The zone that an entity of this rollup is built for, for queries in `tz`: `tz`, or UTC when no column depends on it.
 */
const gr_tz *gr_rollup_zone(const gr_rollup *rollup, const gr_tz *tz);
/* What must be built before it: the original_sql of its cubes, the parts of a rollup_join or rollup_lambda. Borrowed,
 * in order. */
size_t gr_rollup_dependencies(const gr_plan_index *index, const gr_rollup *rollup, gr_arena *arena,
                              const gr_rollup ***ret);

/* The part of a rollup that decides the values of one of its components; SIZE_MAX: that decides its rows alone. A
 * rollup of just that, over just the joins that it needs: of equal parts, the loads are equal. Of a rollup over several
 * facts it is all of it. Memory: arena. */
const gr_rollup *gr_rollup_part(const gr_plan_index *index, const gr_rollup *rollup, size_t component, gr_arena *arena);
/* The facts of a request for the stored form of its measures, with what is computed over each; what is never stored
 * (stages, opaque measures) is left out. Errors: plan.no_join_path, plan.fan_out_unsupported. */
GR_MUST_CHECK gr_status gr_plan_facts(const gr_plan_index *index, const gr_query *query, gr_arena *arena,
                                      gr_groups *ret, gr_error *err);

/* ---- snapshot -----------------------------------------------------------------------------------------------------
 */
/* What is known of one rollup in one zone. */
/* Of a member, between an earlier version of its cube and the current one. */
typedef enum gr_member_change {
    GR_MEMBER_SAME,
    GR_MEMBER_SQL_CHANGED, /* what is computed; its kind, type, aggregation and grains are what they were */
    GR_MEMBER_CHANGED      /* those too, or it is not known */
} gr_member_change;

/* [from, to) of the ranged column as it is stored: wall clock, or instants of an instant column. INT64_MIN and
 * INT64_MAX: without bound. */
typedef struct gr_run {
    int64_t from_us, to_us;
} gr_run;
/* Whole stored buckets of a stretch of time, built at one moment. Its table is its own or shared with others. */
typedef struct gr_partition {
    int64_t id;
    gr_run run;     /* both INT64_MIN: the rows whose time is null */
    uint32_t table; /* of the state's tables */
    int64_t rows, built_at_us;
} gr_partition;
typedef struct gr_partition_table {
    gr_str text;        /* qualified and quoted */
    const gr_run *live; /* what is read of it, in order; NULL: all that it holds */
    size_t n_live;
    bool has_null; /* with `live`: rows without a time too */
} gr_partition_table;

typedef struct gr_rollup_state {
    const gr_tz *zone;
    int64_t entity_id;
    bool is_built;
    gr_str table; /* qualified and quoted for the engine that holds it; of a registered table a SELECT in brackets */
    /* Components of the rollup that the build does not hold, or holds with other values: parallel to its components.
     * NULL: it holds all (decisions 17). */
    const bool *lacks;
    gr_str version;                  /* of the source node that it was made of: "v1.0" */
    gr_str current_version;          /* of the source node, when what it holds is what is meant now; else empty */
    const gr_member_change *changes; /* by member index, of a build of an earlier version; NULL: of the current one */
    bool is_foreign;                 /* the table is somebody else's: it may be gone at any time */
    int64_t build_number, built_at_us, rows;
    bool is_failed;      /* the last try failed */
    int64_t retry_at_us; /* until then no other try is made */
    gr_str failure;
    /* Instants of the first and last stored bucket of each instant column (parallel to rollup->columns); used to prove
     * that a zone's offsets divide the grain. */
    int64_t *min_us, *max_us;
    bool has_range; /* only these runs of the ranged column are stored; what lies in one of them is all there */
    const gr_run *covered;
    size_t n_covered; /* in order, disjoint, none next to another */
    /* Of a partitioned rollup; `table` then reads all of them. */
    const gr_partition *partitions; /* in order of time, rows without time first */
    const gr_partition_table *tables;
    size_t n_partitions, n_tables;
    gr_run wanted, limits;  /* what it is meant to hold; and beyond the limits (of the model) nothing is stored */
    int64_t n_without_time; /* rows that have none, when it was looked last */
    const gr_run *missing;  /* what its definition stores and is not built, in order */
    size_t n_missing;
    /* Of the first time column, as it is stored: before it all was there when it was built; the bucket that starts at
     * it was still open. */
    bool has_closed;
    int64_t closed_until_us;
} gr_rollup_state;

/* What is read of a state whose time is in the run: the oldest build, and how many partitions. */
typedef struct gr_reading {
    const gr_partition **v; /* NULL: not partitioned */
    size_t n;
    int64_t built_at_us;
} gr_reading;

typedef struct gr_snapshot {
    gr_model *model;
    gr_plan_index *index;
    const gr_column_schema *
        *types; /* by member index: type of a dimension's expression at the source, NULL = unknown */
    const gr_column_schema **values; /* of what a min or max is taken of, by member index; NULL = unknown */
    gr_rollup_state **states;        /* by preagg index: the zones known */
    size_t *n_states;
    gr_rollup_state **old_states; /* the same for builds of earlier versions, which serve only who pins one (decisions
                                     19); NULL: none */
    size_t *n_old_states;
    int64_t max_zones;
    int64_t now_us; /* when it was assembled: anchors of stored custom grains */
    bool is_rollup_only;
} gr_snapshot;

/* Some of this time is meant to be stored and is not built. */
bool gr_rollup_is_missing(const gr_rollup_state *state, const gr_run *wanted);
const gr_rollup_state *gr_snapshot_state(const gr_snapshot *snapshot, const gr_preagg *preagg, const gr_tz *zone);
/* Of a version, be it the current one or an earlier one. */
const gr_rollup_state *gr_snapshot_pinned(const gr_snapshot *snapshot, const gr_preagg *preagg, const gr_tz *zone,
                                          gr_str version);

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

typedef GR_VEC(gr_refusal) gr_refusals;

gr_str gr_rule_id(gr_rule rule);                                      /* static: "match.dimension_missing" */
gr_str gr_rule_doc(gr_rule rule);                                     /* static */
gr_str gr_refusal_detail(const gr_refusal *refusal, gr_arena *arena); /* one sentence */
gr_str gr_refusal_repair(const gr_refusal *refusal,
                         gr_arena *arena); /* the smallest change that would help, or empty */

/* ---- plans --------------------------------------------------------------------------------------------------------
 *
 * An answer is the union of pieces. Each piece gives rows of (group columns of the query, some components); the rows of
 * all pieces are merged by group, component by component, and finished:
 *
 *      piece: rollup, whole days     \
 *      piece: source, first morning   >  UNION ALL -> GROUP BY -> merge -> finish -> HAVING, ORDER, LIMIT
 *      piece: another fact, a window /
 *
 * A piece that lacks a component has NULL there, which merges as nothing. */
typedef struct gr_plan gr_plan;

/* An original_sql pre-aggregation that stands for the SQL of its cube. */
typedef struct gr_original {
    const gr_cube *cube;
    const gr_rollup *rollup;
    const gr_rollup_state *state; /* NULL when it is planned as if built */
} gr_original;

/* A reading of one rollup or of the source. */
typedef struct gr_scan {
    const gr_query *query;
    const gr_snapshot *snapshot;
    gr_group group;
    gr_time_field *times;    /* parallel to the query's, with the ranges of this piece */
    const gr_rollup *rollup; /* NULL: the source */
    const gr_rollup_state *state;
    const gr_tz *rollup_zone;
    const gr_rollup *lambda;  /* whose part the rollup is here, or NULL */
    gr_reading reading;       /* of the state, with the range of this piece */
    bool is_exact_match;      /* one stored row is one group of the answer */
    bool is_non_strict_range; /* exactness "non_strict_range" (decisions 1) */
} gr_scan;

/* A rolling window (cube.md 5.8): the buckets of the answer, each with the stretch of time that it looks at. */
typedef struct gr_bucket {
    int64_t at_local_us;                /* the answer's bucket */
    int64_t from_local_us, to_local_us; /* [from, to) on the wall clock; INT64_MIN, INT64_MAX: unbounded */
} gr_bucket;

typedef struct gr_window_read {
    const gr_plan *inner; /* the same components without window, at the base grain, over the widened range */
    size_t time;          /* index of the time dimension, in both queries */
    gr_bucket *buckets;
    size_t n_buckets;
    bool keeps_empty;   /* no dimensions: a bucket without data is a row too */
    bool counts_values; /* distinct counts: the last dimension of `inner` is the value, and the one component counts it
                         */
} gr_window_read;

/* A multi-stage measure (5.9). */
typedef enum gr_stage_form {
    GR_STAGE_SHIFT,  /* inner rows are moved in time, and merged by the answer's groups */
    GR_STAGE_SPREAD, /* the value of the coarser inner group stands in each of its rows */
    GR_STAGE_OVER,   /* the measure's aggregate runs over inner rows that share the columns `keeps` */
    GR_STAGE_FOLD,   /* the measure's aggregate runs over the finer inner rows of each group of the answer */
    GR_STAGE_RANK
} gr_stage_form;
typedef struct gr_stage_read {
    gr_stage_form form;
    const gr_member *measure;
    const gr_plan *rows; /* SPREAD: the groups of the answer */
    const gr_plan
        *inner; /* at the stage's own grain; the group columns of the answer come first, as far as it has them */
    /* By group column of the answer. SPREAD: its place in `inner`, SIZE_MAX when the stage does not have it. OVER and
     * RANK: SIZE_MAX when rows that differ in it are one partition. FOLD, SHIFT: its place in `inner`. */
    size_t *column_of;
    const gr_time_shift **shifts; /* SHIFT: by time dimension of the query, NULL: not moved */
} gr_stage_read;

typedef enum gr_piece_kind { GR_PIECE_SCAN, GR_PIECE_WINDOW, GR_PIECE_STAGE } gr_piece_kind;
typedef struct gr_piece {
    gr_piece_kind kind;
    gr_components components; /* what it gives */
    gr_scan scan;
    gr_window_read window;
    gr_stage_read stage;
} gr_piece;

/* A rollup that a plan reads, once however often. */
typedef struct gr_plan_use {
    const gr_rollup *rollup;
    const gr_rollup_state *state;
    const gr_tz *zone;
    int64_t built_at_us;     /* the oldest of what is read */
    size_t n_partitions;     /* the most that one piece reads; 0: not partitioned */
    const gr_rollup *lambda; /* that it is read for, or NULL */
} gr_plan_use;

struct gr_plan {
    const gr_query *query;
    const gr_snapshot *snapshot;
    gr_tree tree; /* of the query, or of its first fact; root first */
    gr_str data_source;
    gr_components components; /* of the answer; those of the pieces refer to them by key */
    gr_piece *pieces;
    size_t n_pieces;
    GR_VEC(gr_piece) piece_list; /* while planning */
    gr_original *originals;      /* cubes that are read from their original_sql table */
    size_t n_originals;
    gr_plan_use *uses; /* every rollup that serves, also in inner plans; none: the source alone */
    size_t n_uses;
    bool reads_source; /* some piece reads the source */
    /* The one rollup that serves the whole answer, else NULL. */
    const gr_rollup *rollup;
    const gr_rollup_state *state;
    const gr_tz *rollup_zone;
    bool is_exact_match, is_non_strict_range;
    /* A rollup that matches and is to be built on demand first; then plan again. No pieces then. */
    const gr_rollup *to_build;
    const gr_tz *to_build_zone;
    gr_run to_build_run; /* of a partitioned one: what the query needs of it */
    /* A time dimension whose first and last value must be known first (a window without dateRange); then plan again
     * with it among options.spans. */
    const gr_time_field *to_probe;
    gr_refusal *refusals; /* one for each candidate that does not serve, in order of trial */
    size_t n_refusals;
};

/* The answer to to_probe: first and last value on the wall clock of the query's zone. */
typedef struct gr_span {
    const gr_member *member;
    bool is_empty;
    int64_t min_local_us, max_local_us;
} gr_span;

typedef struct gr_plan_options {
    bool without_rollups;             /* the source, always (tests, explain) */
    bool without_builds;              /* what is not built is passed by: nothing is built now (drained) */
    bool ignore_builds;               /* match by definition alone, as if everything were built (explain, sql) */
    const gr_rollup *const *excluded; /* whose build failed for this request already: match.build_failed */
    size_t n_excluded;
    const gr_rollup *only;             /* no other one is a candidate; NULL: all are */
    const gr_rollup *const *passed_by; /* no candidates */
    size_t n_passed_by;
    const gr_span *spans;
    size_t n_spans;
    int64_t now_us; /* for retries of failed builds; an input, so that planning stays pure */
} gr_plan_options;

/* Errors: plan.no_join_path, plan.fan_out_unsupported, plan.rollup_only, plan.mixed_sources, plan.series_too_long.
 * Never fails because no rollup fits: it plans the source and records refusals. */
GR_MUST_CHECK gr_status gr_plan_query(const gr_snapshot *snapshot, const gr_query *query, gr_plan_options options,
                                      gr_arena *arena, gr_plan **ret, gr_error *err);
/* The plan that fills a sub_query dimension: its measure per primary key of its cube, from the source; `outer` gives
 * the filters that are propagated and may be NULL. */
GR_MUST_CHECK gr_status gr_plan_sub_query(const gr_snapshot *snapshot, const gr_member *dimension,
                                          const gr_query *outer, const gr_tz *tz, gr_arena *arena, gr_plan **ret,
                                          gr_error *err);
/* The first and last value of a time dimension, with the filters of the plan's query: a query of its own. Of the
 * source, or of what is built of `only`; *ret is NULL when that cannot tell. */
GR_MUST_CHECK gr_status gr_plan_probe(const gr_plan *plan, const gr_time_field *time, const gr_rollup *only,
                                      gr_arena *arena, gr_plan **ret, gr_error *err);

/* The versions of everything stored that the plan reads, as a text for keys: two plans with the same one read the same
 * rows of their rollups. Of tables that somebody else fills it says nothing. Memory: arena. */
gr_str gr_plan_version_key(const gr_plan *plan, gr_arena *arena);

/* ---- explanations --------------------------------------------------------------------------------------------------
 */
/* One candidate for one grain group, with every rule that it fails; none: it fits by definition. */
typedef struct gr_candidate {
    const gr_rollup *rollup;
    size_t group; /* of the report's groups */
    gr_refusals refusals;
} gr_candidate;
typedef struct gr_plan_report {
    gr_groups groups;         /* of the plain measures; windows and stages show in the pieces */
    gr_candidate *candidates; /* by group, then in order of trial */
    size_t n_candidates;
} gr_plan_report;
/* Every candidate against every rule, by definition alone: for people, off the hot path. */
GR_MUST_CHECK gr_status gr_plan_explain(const gr_plan *plan, gr_arena *arena, gr_plan_report *ret, gr_error *err);

/* The column of the scan's rollup that holds a member of the query's tree; NULL when it is not stored as such. */
const gr_rollup_column *gr_scan_stored_column(const gr_scan *scan, const gr_member *member);
/* The stored bucket column that serves a time dimension of the scan. */
const gr_rollup_column *gr_scan_stored_time(const gr_scan *scan, const gr_time_field *time);
/* A column that holds the very values a component is over, of a kind that repeated rows do not change (min, max,
 * distinct counts): it can be computed anew from them. NULL: none, or the stored component itself is read. */
const gr_rollup_column *gr_scan_value_column(const gr_scan *scan, const gr_component *component);
/* Stored component of the scan's rollup, or NULL. */
const gr_rollup_component *gr_scan_stored_component(const gr_scan *scan, gr_str stored_key);
/* The rollup's static filters leave only rows that pass this filter: it need not be asked again. */
bool gr_scan_is_absorbed(const gr_scan *scan, const gr_filter *filter);
/* `premise` and the rest of `premises`, ANDed, can only hold where `conclusion` does (docs/matching.md). */
bool gr_plan_filters_imply(gr_filter *const *premises, size_t n, const gr_time_field *times, size_t n_times,
                           const gr_filter *conclusion);
/* The same bins, counted from the one that holds 1970: so that the text of a statement does not change with the year
 * that an origin was taken from. Origins on days 29 to 31 stay, since month ends clamp. */
int64_t gr_plan_anchor(const gr_granularity *granularity, int64_t anchor_local_us);
/* The SQL gives the same value wherever it is worked out (expr/common.h). *ret_divides: exact or not. *ret_why: the
 * word that is not common. */
bool gr_plan_expr_is_common(const gr_expr *expr, const gr_snapshot *snapshot, bool *ret_divides, gr_str *ret_why);
/* Calculated from other measures alone: no aggregate and no raw column of its own. */
bool gr_measure_is_decomposable(const gr_member *measure);
bool gr_measure_has_stage(const gr_member *measure); /* multi-stage, and no mere calculation */
/* The component that is stored under this key and read through the same window as `component`; SIZE_MAX: none. */
size_t gr_components_sibling(const gr_components *all, const gr_component *component, gr_str stored_key);
void gr_components_add(gr_components *out, const gr_component *component, gr_arena *arena); /* once by key */
/* Its own component when it is a leaf, those of all its leaves when it is calculated. Added to `out` once. */
void gr_measure_components(const gr_plan_index *index, const gr_member *measure, gr_arena *arena, gr_components *out);
const gr_components *gr_plan_index_components(const gr_plan_index *index, const gr_member *measure); /* borrowed */
#endif
