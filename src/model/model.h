/* The semantic graph: cubes, views, members, joins, pre-aggregation definitions. Loaded from a folder of YAML files,
 * all diagnostics at once; bound (every reference is a pointer); sealed: immutable and shared by reference count.
 * Memory: everything lives in the model's own arena. Threads: any number of readers. Source: cube.md §1, decisions
 * 24–26. */
#ifndef GR_MODEL_MODEL_H
#define GR_MODEL_MODEL_H
#include "base/map.h"
#include "data/yaml.h"
#include "expr/expr.h"

typedef struct gr_cube gr_cube;
typedef struct gr_member gr_member;
typedef struct gr_preagg gr_preagg;

/* A member by its way through the joins. cubes[0] is where the path starts, cubes[n-1] the member's cube. One cube: the
 * way is not given and is searched (shortest). */
typedef struct gr_path {
    const gr_cube **cubes;
    size_t n;
} gr_path;

typedef struct gr_member_ref {
    const gr_member *member;
    const gr_granularity *granularity; /* or NULL */
    gr_path path;
    gr_loc loc;
} gr_member_ref;

typedef enum gr_member_kind { GR_MEMBER_DIMENSION, GR_MEMBER_MEASURE, GR_MEMBER_SEGMENT } gr_member_kind;
typedef enum gr_dim_type { GR_DIM_STRING, GR_DIM_NUMBER, GR_DIM_BOOLEAN, GR_DIM_TIME, GR_DIM_GEO } gr_dim_type;
typedef enum gr_measure_type {
    GR_MEASURE_COUNT,
    GR_MEASURE_SUM,
    GR_MEASURE_AVG,
    GR_MEASURE_MIN,
    GR_MEASURE_MAX,
    GR_MEASURE_COUNT_DISTINCT,
    GR_MEASURE_COUNT_DISTINCT_APPROX,
    GR_MEASURE_NUMBER,
    GR_MEASURE_STRING,
    GR_MEASURE_BOOLEAN,
    GR_MEASURE_TIME,
    GR_MEASURE_NUMBER_AGG, /* multi-stage: its sql holds the aggregate that runs over the finer rows */
    GR_MEASURE_RANK,       /* multi-stage */
    GR_MEASURE_M2          /* synthetic: sum of squared distances from the mean, of var_pop and its kin */
} gr_measure_type;

/* `rolling_window:` (cube.md 1.10, 5.8). Intervals may be negative. */
typedef enum gr_window_kind { GR_WINDOW_NONE, GR_WINDOW_FIXED, GR_WINDOW_TO_DATE } gr_window_kind;
typedef struct gr_window {
    gr_window_kind kind;
    bool has_trailing, is_trailing_unbounded, has_leading, is_leading_unbounded; /* has_: given at all */
    gr_interval trailing, leading;
    gr_grain unit;        /* the smaller unit of the two, none when both are unbounded or absent */
    bool is_offset_start; /* offset: start; else end */
    gr_grain to_date;     /* TO_DATE */
} gr_window;

/* One item of `time_shift:`. The leaf is read at (bucket - interval) for prior, (bucket + interval) for next. */
typedef struct gr_time_shift {
    const gr_member *time; /* NULL: every time dimension of the query */
    gr_interval interval;  /* positive = prior */
} gr_time_shift;

typedef struct gr_stage_order {
    const gr_expr *sql; /* over members */
    bool is_desc;
} gr_stage_order;

/* `multi_stage: true` (cube.md 1.9, 5.9): computed from aggregated rows of a grain of its own.
 *   group_by      grain = these, as far as the query has them     (grain: {keep_only})
 *   reduce_by     grain = the query's without these               (grain: {exclude})
 *   add_group_by  grain = the query's and these                   (grain: {include}) */
typedef struct gr_stage {
    const gr_member **group_by, **reduce_by, **add_group_by;
    size_t n_group_by, n_reduce_by, n_add_group_by;
    bool has_group_by; /* also when empty: over everything */
    gr_time_shift *shifts;
    size_t n_shifts;
    gr_stage_order *order_by; /* rank */
    size_t n_order_by;
    /* `filter:`: which of the query's filters hold below: none of `exclude`, or only `keep_only`. */
    const gr_member **filter_exclude, **filter_keep;
    size_t n_filter_exclude, n_filter_keep;
    bool has_filter_keep;
} gr_stage;

/* One branch of `case:`; label_sql or label. The else branch has when == NULL. */
typedef struct gr_case {
    const gr_expr *when;
    const gr_expr *label_sql; /* NULL: the literal label */
    gr_str label;
} gr_case;

struct gr_member {
    gr_member_kind kind;
    uint32_t index;  /* unique in the model, from 0, dense */
    gr_str name, id; /* "count", "orders.count" */
    gr_str column;   /* result and storage alias: "orders__count" (cube.md 1.17) */
    const gr_cube *cube;
    gr_loc loc;
    gr_str title, short_title, description, format, currency; /* empty when absent; titles always set */
    const gr_yaml *format_node;                               /* format as a map, or NULL */
    const gr_yaml *meta;                                      /* or NULL */
    bool is_public, is_primary_key;
    /* A member of a view stands for another: everything below belongs to alias_of. */
    const gr_member *alias_of;
    gr_path path; /* view members: the join path to alias_of's cube */
    /* Dimensions and segments */
    gr_dim_type dim_type;
    const gr_expr *sql; /* also measures; NULL for count(*), case, geo */
    gr_case *cases;
    size_t n_cases;
    const gr_expr *latitude, *longitude;
    gr_granularity *granularities;
    size_t n_granularities;
    gr_str order; /* asc, desc or empty: metadata */
    bool suggest_filter_values;
    bool is_sub_query; /* sql is one measure of another cube, computed per primary key of this one (cube.md 5.9) */
    bool propagates_filters; /* propagate_filters_to_sub_query */
    /* Measures */
    gr_measure_type agg;
    const gr_expr **filters;
    size_t n_filters;
    bool is_calculated; /* number, string, boolean, time: sql is emitted as it is */
    bool is_cumulative;
    /* Calculated, and its text calls aggregate functions itself, in a way that could not be decomposed. Where it could,
     * `sql` refers to synthetic measures, one for each call. */
    bool has_own_aggregate;
    bool is_synthetic;     /* stands in no list of its cube and in no query: an aggregate call of another measure */
    gr_window window;      /* kind NONE for most */
    gr_stage *stage;       /* NULL: not multi-stage */
    int hll_log2m;         /* count_distinct_approx: precision, 11 when not given */
    gr_str *drill_members; /* ids */
    size_t n_drill_members;
};

/* `every:` and `timezone:` of a refresh key. */
typedef struct gr_schedule {
    gr_str text; /* as written */
    bool is_cron;
    gr_every every;  /* not is_cron */
    gr_cron cron;    /* is_cron */
    const gr_tz *tz; /* NULL: not given; cron lines are then of UTC, and intervals do not look at it */
} gr_schedule;

/* What tells whether rows came, went or changed, asked for all partitions at once (a key of Granary). */
typedef enum gr_fingerprint { GR_FINGERPRINT_NONE, GR_FINGERPRINT_ROWS, GR_FINGERPRINT_SQL } gr_fingerprint;

/* `refresh_key:` of a cube or a pre-aggregation, one of:
 *   every                                               of both; of pre-aggregations also incremental, fingerprint
 *   sql, maybe every (an interval)                      of both; of pre-aggregations also fingerprint
 *   immutable                                           of cubes
 *   fingerprint                                         of pre-aggregations
 * (cube.md 1.5, 1.13; months: decisions 24). */
typedef struct gr_refresh_key {
    gr_loc loc;
    const gr_expr *sql; /* a whole query; its only holes are {cube.sql()} */
    bool has_every, is_immutable, is_incremental, has_update_window;
    gr_schedule every;
    gr_every update_window;
    gr_str update_window_text;
    gr_fingerprint fingerprint;
    const gr_expr *fingerprint_sql; /* SQL: over columns and dimensions of the own cube, no aggregate */
} gr_refresh_key;

typedef enum gr_relationship { GR_JOIN_MANY_TO_ONE, GR_JOIN_ONE_TO_MANY, GR_JOIN_ONE_TO_ONE } gr_relationship;
typedef struct gr_join {
    const gr_cube *from, *to;
    gr_relationship relationship;
    const gr_expr *sql;
    gr_loc loc;
} gr_join;

typedef struct gr_hierarchy {
    gr_str name, title;
    bool is_public;
    gr_str *levels;
    size_t n_levels;
} gr_hierarchy;

struct gr_cube {
    gr_str name, alias; /* alias: underscore(sql_alias or name), used in SQL and in column names */
    uint32_t index;
    bool is_view, is_public;
    gr_str title, description, data_source;
    const gr_yaml *meta;
    gr_loc loc;
    const gr_expr *sql, *sql_table; /* exactly one for cubes; none for views */
    gr_member **dimensions, **measures, **segments;
    size_t n_dimensions, n_measures, n_segments;
    gr_map members; /* name -> gr_member */
    gr_member **primary_keys;
    size_t n_primary_keys;
    gr_join *joins; /* declared here, in order */
    size_t n_joins;
    gr_preagg **preaggs; /* in definition order (own before inherited) */
    size_t n_preaggs;
    bool is_cheapest; /* selection: cheapest */
    gr_hierarchy *hierarchies;
    size_t n_hierarchies;
    uint32_t component;            /* connected component of the join graph, from 1 */
    const gr_yaml *refresh_key;    /* as written, or NULL */
    const gr_refresh_key *refresh; /* the same, read; NULL when there is none */
    const gr_cube **view_cubes;    /* views: the cubes behind it, roots first */
    size_t n_view_cubes;
    gr_path *view_paths; /* parallel: the join path of each */
};

typedef enum gr_preagg_type {
    GR_PREAGG_ROLLUP,
    GR_PREAGG_ORIGINAL_SQL,
    GR_PREAGG_ROLLUP_JOIN,
    GR_PREAGG_ROLLUP_LAMBDA
} gr_preagg_type;
typedef enum gr_build_mode { GR_BUILD_ON_DEMAND, GR_BUILD_EXPLICIT } gr_build_mode;

struct gr_preagg {
    gr_str name, id; /* "main", "orders.main" */
    gr_str alias;    /* underscore(sql_alias or name) */
    uint32_t index;  /* unique in the model, dense */
    const gr_cube *cube;
    gr_loc loc;
    gr_preagg_type type;
    gr_build_mode build;
    gr_member_ref *measures, *dimensions, *segments, *time_dimensions; /* time dimensions carry their granularity */
    size_t n_measures, n_dimensions, n_segments, n_time_dimensions;
    const gr_yaml *filters; /* static filters, in query-filter form; NULL = none. Members are checked at load, the rest
                               by plan/ */
    gr_str filters_json;    /* the same of one that is defined by API: a JSON list; empty = none */
    bool is_by_api;         /* in no file: gr_model_extend */
    gr_str external;        /* registered table that holds it: what tells it from others; empty = built by Granary */
    gr_str time_zone;       /* by API: the zone that it is declared for; empty = UTC */
    gr_preagg **rollups;    /* rollup_join: its members, at least two; rollup_lambda: from coarse to fine */
    size_t n_rollups;
    bool unions_source;     /* rollup_lambda: union_with_source_data */
    bool uses_original_sql; /* use_original_sql_pre_aggregations */
    bool is_cheapest;       /* selection: cheapest; one such rollup makes the choice of its cube one by rows */
    int is_external;        /* -1 unset, 0, 1 */
    gr_str store;           /* data source that its table is kept in; empty = as the configuration says */
    gr_str distribute_by;   /* a dimension's name, or empty */
    int is_non_strict;      /* allow_non_strict_date_range_match: -1 unset, 0, 1 */
    const gr_yaml *refresh_key, *indexes, *build_range_start, *build_range_end; /* as written, or NULL */
    const gr_refresh_key *refresh;  /* refresh_key, read; NULL when there is none */
    gr_grain partition_granularity; /* kept; GR_GRAIN_NONE */
    bool scheduled_refresh;
};

typedef struct gr_model {
    gr_arena *arena;
    struct gr_model *files;    /* of an extended model: what was loaded; else NULL */
    const gr_member **members; /* by index, synthetic ones too */
    gr_cube **cubes;           /* cubes and views, files sorted by path, then file order */
    size_t n_cubes, n_members, n_preaggs;
    gr_map by_name;
    gr_preagg **preaggs; /* by index */
    gr_str hash;         /* of all file names and texts, 32 hex digits */
    int64_t loaded_us;
} gr_model;

typedef struct gr_model_file {
    gr_str name, text;
} gr_model_file;

/* Load *.yml and *.yaml below `dir` (sorted, hidden files skipped). All problems go to `diags`; with at least one error
 * the result is GR_ERR_MODEL_INVALID_SET and *ret is untouched. Warnings alone do not fail. */
GR_MUST_CHECK gr_status gr_model_load_dir(gr_str dir, gr_diags *diags, gr_model **ret, gr_error *err);
GR_MUST_CHECK gr_status gr_model_load_files(const gr_model_file *files, size_t n, gr_diags *diags, gr_model **ret,
                                            gr_error *err);
gr_model *gr_model_ref(gr_model *model);

/* A pre-aggregation that is in no file: it is defined by API. Members are base members of the model. */
typedef struct gr_preagg_def {
    gr_str name; /* "preagg_1a2b3c4d" */
    const gr_cube *cube;
    const gr_member_ref *measures, *dimensions, *time_dimensions;
    size_t n_measures, n_dimensions, n_time_dimensions;
    gr_str filters;  /* JSON list of query filters, or empty */
    gr_str external; /* or empty */
    gr_str time_zone;
} gr_preagg_def;
/* The model with more pre-aggregations, after its own: cubes, members and pointers stay the same. They are built only
 * when asked (decisions 15). References what was loaded; the defs are copied. */
gr_model *gr_model_extend(gr_model *loaded, const gr_preagg_def *defs, size_t n);
/* Both are of one loading of the files. */
static inline bool gr_model_is_same_files(const gr_model *a, const gr_model *b) {
    return (a->files ? a->files : a) == (b->files ? b->files : b);
}
void gr_model_unref(gr_model *model);

gr_cube *gr_model_cube(const gr_model *model, gr_str name); /* NULL when there is none */
/* "orders.count" -> the member; on failure the reference's text: "Cube 'x' not found for path 'x.y'" or
 * "'y' not found for path 'x.y'" (GR_ERR_QUERY_UNKNOWN_MEMBER), with "did you mean" as hint. */
GR_MUST_CHECK gr_status gr_model_member(const gr_model *model, gr_str id, const gr_member **ret, gr_error *err);
/* A rollup_join and a rollup_lambda are made of tables of others. */
static inline bool gr_preagg_has_table(const gr_preagg *p) {
    return p->type != GR_PREAGG_ROLLUP_JOIN && p->type != GR_PREAGG_ROLLUP_LAMBDA;
}
static inline const gr_member *gr_member_base(const gr_member *m) { return m->alias_of ? m->alias_of : m; }
const gr_granularity *gr_member_granularity(const gr_member *member, gr_str name); /* predefined or custom; NULL */
/* "OrdersPAIndex" -> "orders_pa_index" (cube.md 1.17) */
gr_str gr_model_underscore(gr_str name, gr_arena *arena);
gr_str gr_model_titleize(gr_str name, gr_arena *arena);
bool gr_measure_is_additive(const gr_member *measure); /* count, sum, min, max, count_distinct_approx */
#endif
