/* Expressions on one joined row, and measures on the joined rows of one group. */
#ifndef DIFFERENTIAL_EVALUATE_H
#define DIFFERENTIAL_EVALUATE_H
#include "differential/world.h"

enum { DIFF_NO_ROW = -1 };
/* A joined row: which row of each cube's table stands in it; DIFF_NO_ROW: no partner, or not joined. */
typedef struct diff_joined {
    int32_t row[DIFF_MAX_CUBES];
} diff_joined;

/* What aggregates: a measure, or one aggregate call in a calculated measure's own SQL. */
typedef struct diff_leaf {
    size_t cube;
    const diff_measure *measure;
    const diff_expr *call; /* or NULL */
} diff_leaf;

typedef struct diff_rows {
    const diff_joined *const *v;
    size_t n;
} diff_rows;

typedef struct diff_scope {
    const diff_world *world;
    gr_arena *arena;
    const gr_tz *tz;
    const diff_joined *row; /* expressions look here */
    /* Measures look at the rows that this gives for each of their leaves. */
    diff_rows (*rows_of)(void *context, const diff_leaf *leaf);
    diff_value (*stage_of)(void *context, size_t cube, size_t index);                  /* a multi-stage measure */
    diff_value (*sub_query_of)(void *context, size_t cube, size_t index, int32_t row); /* or NULL: not known here */
    void *context;
    const diff_measure *owner; /* the calculated measure in whose SQL an aggregate stands */
} diff_scope;

diff_value diff_eval(const diff_scope *scope, size_t cube, const diff_expr *expr);
diff_value diff_eval_dimension(const diff_scope *scope, size_t cube, size_t index);
diff_value diff_eval_measure(const diff_scope *scope, size_t cube, size_t index);
/* What the row contributes to the measure when it is asked ungrouped (cube.md 2.5). */
diff_value diff_eval_contribution(const diff_scope *scope, size_t cube, size_t index);
/* All of the measure's own filters hold. */
bool diff_eval_own_filters(const diff_scope *scope, size_t cube, const diff_measure *measure);
bool diff_is_true(const diff_value *v);
/* One of several values by the aggregate of a measure's type, nulls left out. */
diff_value diff_aggregate(const diff_value *values, size_t n, diff_measure_type type, gr_arena *arena);
/* The aggregate is the same when rows are repeated. */
bool diff_stands_fan_out(const diff_leaf *leaf);
/* The aggregate of several parts cannot be made from theirs. */
bool diff_is_mergeable(const diff_leaf *leaf);
bool diff_is_opaque(const diff_leaf *leaf);
#endif
