/* Expressions on one joined row, and measures on the joined rows of one group. */
#ifndef DIFFERENTIAL_EVALUATE_H
#define DIFFERENTIAL_EVALUATE_H
#include "differential/world.h"

enum { DIFF_NO_ROW = -1 };
/* A joined row: which row of each cube's table stands in it; DIFF_NO_ROW: no partner, or not joined. */
typedef struct diff_joined {
    int32_t row[DIFF_MAX_CUBES];
} diff_joined;

typedef struct diff_scope {
    const diff_world *world;
    gr_arena *arena;
    const gr_tz *tz;
    const diff_joined *row;         /* expressions look here */
    const diff_joined *const *rows; /* measures look here */
    size_t n_rows;
} diff_scope;

diff_value diff_eval(const diff_scope *scope, size_t cube, const diff_expr *expr);
diff_value diff_eval_dimension(const diff_scope *scope, size_t cube, size_t index);
diff_value diff_eval_measure(const diff_scope *scope, size_t cube, size_t index);
/* What the row contributes to the measure when it is asked ungrouped (cube.md 2.5). */
diff_value diff_eval_contribution(const diff_scope *scope, size_t cube, size_t index);
/* All of the measure's own filters hold. */
bool diff_eval_own_filters(const diff_scope *scope, size_t cube, const diff_measure *measure);
bool diff_is_true(const diff_value *v);
#endif
