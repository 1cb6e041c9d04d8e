/* One normalised query, made from Cube's query JSON: members resolved, ranges as half-open intervals, filters as a
 * tree. Memory: everything in the given arena; the model is borrowed. Threads: pure. Source: cube.md §2, §3.3;
 * decisions 8, 9, 25. */
#ifndef GR_QUERY_QUERY_H
#define GR_QUERY_QUERY_H
#include "data/json.h"
#include "model/model.h"

typedef struct gr_field {
    gr_str id;               /* as answered: "orders.status", "ov.created_at" (without granularity) */
    const gr_member *asked;  /* maybe a view member */
    const gr_member *member; /* the cube member behind it */
    gr_path path;            /* of the view, or just the member's cube */
} gr_field;

typedef struct gr_time_field {
    gr_field field;
    const gr_granularity *granularity; /* NULL: only a date range */
    int64_t anchor_local_us;           /* gr_granularity_anchor */
    bool has_range;
    gr_range range;
    bool or_null; /* of a piece with a range: rows without a time too */
} gr_time_field;

typedef enum gr_filter_op {
    GR_OP_EQUALS,
    GR_OP_NOT_EQUALS,
    GR_OP_IN,
    GR_OP_NOT_IN,
    GR_OP_CONTAINS,
    GR_OP_NOT_CONTAINS,
    GR_OP_STARTS_WITH,
    GR_OP_NOT_STARTS_WITH,
    GR_OP_ENDS_WITH,
    GR_OP_NOT_ENDS_WITH,
    GR_OP_GT,
    GR_OP_GTE,
    GR_OP_LT,
    GR_OP_LTE,
    GR_OP_SET,
    GR_OP_NOT_SET,
    GR_OP_IN_DATE_RANGE,
    GR_OP_NOT_IN_DATE_RANGE,
    GR_OP_ON_THE_DATE,
    GR_OP_BEFORE_DATE,
    GR_OP_BEFORE_OR_ON_DATE,
    GR_OP_AFTER_DATE,
    GR_OP_AFTER_OR_ON_DATE,
    GR_OP_MEASURE_FILTER,
    GR_OP__COUNT
} gr_filter_op;
gr_str gr_filter_op_name(gr_filter_op op); /* static, camelCase */

typedef enum gr_filter_kind { GR_FILTER_LEAF, GR_FILTER_AND, GR_FILTER_OR } gr_filter_kind;
typedef struct gr_filter gr_filter;
struct gr_filter {
    gr_filter_kind kind;
    gr_filter **children;
    size_t n_children;
    /* LEAF */
    gr_field field;
    gr_filter_op op;
    gr_str *values; /* non-null values as text, in order; checked to fit the member's type (numbers, booleans) */
    size_t n_values;
    bool has_null;  /* null was among the values */
    gr_range range; /* date operators: the range, or the point (from = to) */
};

typedef enum gr_column_kind { GR_COLUMN_DIMENSION, GR_COLUMN_TIME, GR_COLUMN_MEASURE } gr_column_kind;
/* One column of the answer, in select order: dimensions, time dimensions with granularity, measures. */
typedef struct gr_query_column {
    gr_column_kind kind;
    size_t index; /* into dimensions, time_dimensions or measures */
    gr_str key;   /* row key: "orders.status", "orders.created_at.day" */
    gr_str alias; /* SQL alias: "orders__created_at_day", of the asked member */
} gr_query_column;

typedef struct gr_order {
    size_t column;
    bool is_desc;
} gr_order;
typedef enum gr_format { GR_FORMAT_DEFAULT, GR_FORMAT_COMPACT, GR_FORMAT_COLUMNAR } gr_format;
typedef enum gr_cache_mode {
    GR_CACHE_STALE_IF_SLOW,
    GR_CACHE_STALE_WHILE_REVALIDATE,
    GR_CACHE_MUST_REVALIDATE,
    GR_CACHE_NO_CACHE
} gr_cache_mode;

/* `preAggregations` of a request. */
typedef enum gr_rollup_use {
    GR_ROLLUPS_PREFER, /* a rollup that serves, else the source */
    GR_ROLLUPS_REQUIRE,
    GR_ROLLUPS_FORBID
} gr_rollup_use;
/* `selection` of a request. */
typedef enum gr_selection { GR_SELECTION_MODEL, GR_SELECTION_FIRST, GR_SELECTION_CHEAPEST } gr_selection;

typedef struct gr_query {
    const gr_model *model;
    gr_field *measures, *dimensions, *segments;
    size_t n_measures, n_dimensions, n_segments;
    gr_time_field *time_dimensions;
    size_t n_time_dimensions;
    gr_filter **row_filters; /* ANDed; on dimensions */
    size_t n_row_filters;
    gr_filter **measure_filters; /* ANDed; on measures */
    size_t n_measure_filters;
    gr_query_column *columns;
    size_t n_columns;
    gr_order *order; /* by columns of the answer; defaults of cube.md 2.2 applied */
    size_t n_order;
    int64_t limit, offset;
    bool want_total, is_ungrouped;
    const gr_tz *tz;
    gr_format format;
    gr_cache_mode cache;
    gr_rollup_use rollups;
    gr_selection selection;
    gr_str
        pinned_version; /* preAggregationVersion: only rollups of this version of their source serve; empty: current */
    json_t *source;     /* the JSON it came from, borrowed */
    json_t *normalized; /* the `query` of an answer (cube.md 3.4), released with the arena */
} gr_query;

typedef struct gr_query_options {
    int64_t default_limit, max_limit;
    size_t max_members, max_filter_depth, max_filter_values;
    const gr_tz *default_tz;
    int64_t now_us;
    bool sees_hidden; /* members that are not public too: for what the model itself asks */
} gr_query_options;

/* One regular query. Errors: the query.* ids with the reference's texts. `json` must outlive the query. */
GR_MUST_CHECK gr_status gr_query_parse(const gr_model *model, json_t *json, const gr_query_options *options,
                                       gr_arena *arena, gr_query **ret, gr_error *err);

/* ---- several queries in one request (cube.md 2.3, 2.6) ---- */
typedef enum gr_query_type { GR_QUERY_REGULAR, GR_QUERY_COMPARE, GR_QUERY_BLENDING } gr_query_type;
gr_str gr_query_type_name(gr_query_type type); /* static: "regularQuery" … */
/* By its form alone: an array blends, an object with a compareDateRange compares. */
gr_query_type gr_query_type_of(const json_t *json);

enum { GR_QUERY_MAX_SET = 100 };
/* The queries of one request. `source` of each is the JSON of a regular query, which gr_query_parse takes; `normalized`
 * has the type of the set as its queryType. */
typedef struct gr_query_set {
    gr_query_type type;
    const gr_query **queries; /* COMPARE: one for each range */
    size_t n;                 /* at least 1 */
    const gr_range *ranges;   /* COMPARE: what each is about; parallel to `queries` */
    gr_str granularity;       /* BLENDING: of the first time column of each */
} gr_query_set;

/* A request of any type. `json` must outlive the set, which holds references to parts of it. Errors: as gr_query_parse;
 * limit.exceeded for more than GR_QUERY_MAX_SET queries. */
GR_MUST_CHECK gr_status gr_query_parse_set(const gr_model *model, json_t *json, const gr_query_options *options,
                                           gr_arena *arena, gr_query_set *ret, gr_error *err);
/* The cubes that the query names, in collection order: measures, dimensions, segments, filters, time dimensions (views
 * resolved). */
size_t gr_query_cubes(const gr_query *query, gr_arena *arena, const gr_cube ***ret);
#endif
