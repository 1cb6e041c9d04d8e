/* A world of one case: tables in memory and a model over them, whose expressions are small typed trees. From a tree
 * come both the SQL text of the YAML model (model_text.c) and the value that the reference evaluator computes
 * (reference.c). Memory: everything in one arena. */
#ifndef DIFFERENTIAL_WORLD_H
#define DIFFERENTIAL_WORLD_H
#include "differential/value.h"

enum { DIFF_MAX_CUBES = 4 };

/* ---- tables -------------------------------------------------------------------------------------------------------
 */
typedef struct diff_column {
    gr_str name;
    const char *sql_type; /* "DECIMAL(12,2)" */
    bool is_wild;         /* doubles whose sum depends on the order */
} diff_column;

typedef struct diff_table {
    gr_str name;
    diff_column *columns;
    size_t n_columns, n_rows;
    diff_value *cells; /* row-major */
} diff_table;

/* ---- expressions --------------------------------------------------------------------------------------------------
 */
typedef enum diff_op {
    DIFF_OP_COLUMN,  /* of the own cube: `{CUBE}.name`, or the bare name when it is the whole expression */
    DIFF_OP_MEMBER,  /* dimension `index` of `cube`: `{CUBE.name}`, `{users.name}` */
    DIFF_OP_MEASURE, /* measure `index` of `cube` */
    DIFF_OP_BUCKET,  /* `{CUBE.at.month}`: time dimension `index` of the own cube at predefined `grain` */
    DIFF_OP_LITERAL,
    DIFF_OP_CONCAT,
    DIFF_OP_ARITH,   /* symbol + - * / */
    DIFF_OP_COMPARE, /* text: = <> < <= > >= */
    DIFF_OP_AND,
    DIFF_OP_OR,
    DIFF_OP_NOT,
    DIFF_OP_IS_NULL,
    DIFF_OP_CASE, /* when, then, when, then, …, else */
    DIFF_OP_COALESCE,
    DIFF_OP_NULLIF,
    DIFF_OP_LOWER,
    DIFF_OP_UPPER,
    DIFF_OP_TEXT,      /* CAST(… AS VARCHAR) */
    DIFF_OP_PART,      /* date_part('month', …): month, quarter or year of a bucket */
    DIFF_OP_AGGREGATE, /* text: sum, count distinct, var_pop …, without argument count(*): in a calculated measure */
} diff_op;

typedef struct diff_expr diff_expr;
struct diff_expr {
    diff_op op;
    const char *text; /* of COMPARE, PART, AGGREGATE */
    char symbol;
    size_t cube, index;
    gr_grain grain;
    bool is_bare; /* COLUMN and MEMBER: spelled without {CUBE} */
    diff_value literal;
    const diff_expr *args[7];
    size_t n_args;
    const diff_expr *where; /* of AGGREGATE: FILTER (WHERE …), or NULL */
};

/* ---- the model ----------------------------------------------------------------------------------------------------
 */
typedef enum diff_dim_type {
    DIFF_DIM_STRING,
    DIFF_DIM_NUMBER,
    DIFF_DIM_BOOLEAN,
    DIFF_DIM_TIME,
    DIFF_DIM_GEO
} diff_dim_type;

typedef struct diff_granularity {
    const char *name, *interval, *offset, *origin;
} diff_granularity;

typedef struct diff_dim {
    gr_str name;
    diff_dim_type type;
    const diff_expr *sql; /* or, for `case:`, a DIFF_OP_CASE in `cases`; for geo latitude and longitude */
    const diff_expr *cases;
    const diff_expr *latitude, *longitude;
    const diff_granularity *granularities; /* ended by a NULL name */
    bool is_primary_key;
    bool is_sub_query, propagates; /* `sql` is a MEASURE of another cube, for each key of this one */
    bool is_dropped;               /* taken out by shrinking */
} diff_dim;

typedef enum diff_measure_type {
    DIFF_COUNT,
    DIFF_SUM,
    DIFF_AVG,
    DIFF_MIN,
    DIFF_MAX,
    DIFF_COUNT_DISTINCT,
    DIFF_COUNT_DISTINCT_APPROX,
    DIFF_CALC_NUMBER,
    DIFF_CALC_STRING,
    DIFF_CALC_BOOLEAN,
    DIFF_RANK, /* multi-stage */
} diff_measure_type;

/* `rolling_window:`; texts are as in the model, NULL: not given. */
typedef struct diff_window {
    const char *trailing, *leading; /* "7 day", "unbounded" */
    bool is_offset_start;
    gr_grain to_date; /* then nothing else */
} diff_window;

/* `multi_stage: true`. Dimensions are of the own cube. */
typedef enum diff_stage_kind {
    DIFF_STAGE_GROUP_BY,
    DIFF_STAGE_REDUCE_BY,
    DIFF_STAGE_ADD_GROUP_BY,
    DIFF_STAGE_SHIFT,
    DIFF_STAGE_RANK
} diff_stage_kind;
typedef struct diff_stage {
    diff_stage_kind kind;
    size_t dims[2], n_dims; /* of group_by, reduce_by, add_group_by; of RANK: reduce_by */
    const char *interval;   /* SHIFT */
    bool is_next, is_desc;
    size_t of; /* the measure that it is about */
} diff_stage;

typedef struct diff_measure {
    gr_str name;
    diff_measure_type type;
    const diff_expr *sql; /* NULL: count of the key */
    const diff_expr *filters[2];
    size_t n_filters;
    const diff_window *window; /* or NULL */
    const diff_stage *stage;   /* or NULL; then `sql` is a MEASURE */
    bool is_timeless;          /* its value is a time or a text: no filters by numbers */
    bool is_dropped;
} diff_measure;

typedef struct diff_segment {
    gr_str name;
    const diff_expr *sql;
    bool is_dropped;
} diff_segment;

typedef enum diff_relationship { DIFF_MANY_TO_ONE, DIFF_ONE_TO_ONE, DIFF_ONE_TO_MANY } diff_relationship;
typedef struct diff_join {
    size_t to; /* cube */
    diff_relationship relationship;
    size_t from_column, to_column;
    bool is_by_members; /* {CUBE.fk} = {users.id} instead of {CUBE}.fk = {users}.id */
    size_t from_dim, to_dim;
} diff_join;

typedef enum diff_item_kind {
    DIFF_ITEM_MEASURE,
    DIFF_ITEM_DIMENSION,
    DIFF_ITEM_SEGMENT,
    DIFF_ITEM_TIME
} diff_item_kind;
typedef struct diff_item {
    diff_item_kind kind;
    size_t cube, index;
    const char *granularity; /* TIME */
    bool is_dropped;
} diff_item;

enum { DIFF_MAX_PARTS = 3 };
typedef struct diff_rollup {
    gr_str name;
    gr_str parts[DIFF_MAX_PARTS]; /* of a rollup_lambda, which has their items: rollups of its cube */
    size_t n_parts;               /* 0: a rollup */
    bool unions_source;
    diff_item *items;
    size_t n_items;
    int is_external;   /* -1 unset */
    int is_non_strict; /* -1 unset, 0 */
    gr_str filters;    /* static ones, a JSON list; empty: none */
    bool has_start, has_end;
    int64_t start_us, end_us; /* build range: what the first and the last stored time lie in */
    bool is_range_date;       /* written as DATE */
    bool is_range_of_rows;    /* from the first time of the table to the last, as it then has them */
    const char *partition;    /* partition_granularity, or NULL */
    const char *refresh;      /* refresh_key as flow YAML, or NULL */
    bool is_cheapest;
    bool is_dropped;
} diff_rollup;

/* The column DIFF_COL_FK1 + its index: keys of another cube's rows. */
typedef struct diff_foreign_key {
    size_t to;
    bool is_unique; /* one to one */
} diff_foreign_key;
enum { DIFF_MAX_FKS = 3 };

typedef struct diff_cube {
    gr_str name;
    diff_table *table;
    bool is_subselect; /* sql: SELECT * FROM table */
    diff_dim *dims;
    size_t n_dims;
    diff_measure *measures;
    size_t n_measures;
    diff_segment *segments;
    size_t n_segments;
    diff_join joins[DIFF_MAX_CUBES];
    size_t n_joins;
    diff_foreign_key fks[DIFF_MAX_FKS];
    size_t n_fks;
    bool is_cheapest;
    const char *refresh; /* refresh_key as flow YAML, or NULL */
    diff_rollup *rollups;
    size_t n_rollups;
} diff_cube;

typedef enum diff_prefix { DIFF_PLAIN, DIFF_PREFIXED, DIFF_ALIAS_PREFIXED, DIFF_RENAMED } diff_prefix;
typedef struct diff_view_part {
    size_t way[DIFF_MAX_CUBES], n_way; /* join path; the last is the cube */
    diff_prefix prefix;                /* RENAMED: each member is listed with an alias of its own */
} diff_view_part;
typedef struct diff_view {
    gr_str name;
    diff_view_part parts[DIFF_MAX_CUBES];
    size_t n_parts;
} diff_view;
enum { DIFF_MAX_VIEWS = 2 };

typedef struct diff_world {
    diff_cube cubes[DIFF_MAX_CUBES];
    size_t n_cubes;
    bool is_about_jumps; /* times crowd around jumps of the first zone's clock, and rollups store hours */
    diff_view views[DIFF_MAX_VIEWS];
    size_t n_views;
    bool has_fan_out; /* some join meets many rows for one */
    gr_str zones[4];  /* that its queries use */
    size_t n_zones;
    int64_t now_us;
} diff_world;

/* The way from a cube to another along joins, both included; the number of cubes, 0 when there is none. */
size_t diff_way_to(const diff_world *world, size_t from, size_t cube, size_t ret[DIFF_MAX_CUBES]);
/* The name of a cube's member in a view, without the view; empty: it has none. */
gr_str diff_view_member(const diff_world *world, const diff_view *view, size_t cube, gr_str name, gr_arena *arena);
/* The model as YAML. Memory: arena. */
gr_str diff_world_yaml(const diff_world *world, gr_arena *arena);
gr_str diff_expr_sql(const diff_world *world, size_t cube, const diff_expr *expr, gr_arena *arena);
/* CREATE TABLE and INSERT statements of one table, to be run one by one. */
gr_str diff_table_create_sql(const diff_table *table, gr_arena *arena);
gr_str diff_table_insert_sql(const diff_table *table, gr_arena *arena); /* empty without rows */
void diff_table_csv(const diff_table *table, gr_buf *out);
#endif
