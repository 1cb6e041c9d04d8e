/* A measure's SQL that aggregates by itself, taken apart: its aggregate calls, and what is computed of their results.
 *
 *      sum({CUBE}.a) / nullif(count(*) filter (where {ok}), 0)
 *      calls    0: sum of `{CUBE}.a`      1: count of rows where `{ok}`
 *      finish   #0 ` / nullif(` #1 `, 0)`
 *
 * libpg_query's parser says what is what. What it does not understand, and what could read a row outside of an
 * aggregate call, is not split: the text stays as it is. */
#ifndef GR_EXPR_SPLIT_H
#define GR_EXPR_SPLIT_H
#include "expr/expr.h"

typedef enum gr_call_kind {
    GR_CALL_COUNT_ROWS, /* count(*): no argument */
    GR_CALL_COUNT,
    GR_CALL_COUNT_DISTINCT,
    GR_CALL_COUNT_DISTINCT_APPROX,
    GR_CALL_SUM,
    GR_CALL_AVG,
    GR_CALL_MIN,
    GR_CALL_MAX,
    GR_CALL_VAR_POP,
    GR_CALL_VAR_SAMP,
    GR_CALL_STDDEV_POP,
    GR_CALL_STDDEV_SAMP,
    GR_CALL__COUNT
} gr_call_kind;

/* What stands in a hole, which this room cannot see. */
typedef enum gr_hole_role {
    GR_HOLE_ROW,     /* a table, or a member that has a value for each row */
    GR_HOLE_TIME,    /* the same, and the value is a time */
    GR_HOLE_MEASURE, /* a value for each group */
} gr_hole_role;

typedef struct gr_call {
    gr_call_kind kind;
    const gr_expr *argument; /* NULL: COUNT_ROWS. Else as gr_expr_parse would read it, holes bound as they were */
    const gr_expr *filter;   /* FILTER (WHERE …), or NULL */
} gr_call;

typedef struct gr_finish_part {
    const gr_part *part; /* text, or the hole of a measure; NULL: the result of calls[call] */
    size_t call;
} gr_finish_part;

typedef struct gr_split {
    bool is_split;
    const char *why; /* not split: the reason, static */
    gr_call *calls;  /* in order of appearance, equal ones once */
    size_t n_calls;
    gr_finish_part *finish;
    size_t n_finish;
} gr_split;

/* Shapes:  roles[expr->n_parts], only those of holes are looked at.
 * Memory:  *ret lives in `arena`; parts of holes are borrowed from expr.
 * Threads: any number at once, on different arenas. */
void gr_expr_split(const gr_expr *expr, const gr_hole_role *roles, gr_arena *arena, gr_split *ret);
#endif
