/* Builders of random expression trees over one cube that is being made. */
#ifndef DIFFERENTIAL_GENERATE_EXPR_H
#define DIFFERENTIAL_GENERATE_EXPR_H
#include "differential/generate.h"

typedef struct diff_maker {
    diff_random *r;
    diff_world *w;
    gr_arena *arena;
    size_t cube;
    GR_VEC(diff_dim) dims;
    GR_VEC(diff_measure) measures;
    GR_VEC(diff_segment) segments;
} diff_maker;

size_t diff_add_dim(diff_maker *m, const char *name, diff_dim_type type, const diff_expr *sql);
size_t diff_find_dim(const diff_maker *m, const char *name);
/* Of generate_measure.c: all measures of m->cube, whose dimensions are there. */
void diff_add_measures(diff_maker *m);
/* Of generate_rollup.c. */
void diff_add_rollups(diff_maker *m);
void diff_add_build_ranges(diff_maker *m);
void diff_add_partitions(diff_maker *m);
void diff_add_lambdas(diff_maker *m); /* over rollups that are there, and copies of them */
/* Of generate_more.c: for cubes that are all there. */
void diff_add_sub_queries(diff_maker *m);
void diff_add_view(diff_maker *m);

static inline diff_expr *expr_new(diff_maker *m, diff_op op, const diff_expr *a, const diff_expr *b) {
    diff_expr *e = GR_NEW(m->arena, diff_expr);
    *e = (diff_expr){.op = op, .cube = m->cube, .args = {a, b}, .n_args = (size_t)(a != NULL) + (b != NULL)};
    return e;
}

static inline diff_expr *column(diff_maker *m, size_t index) {
    diff_expr *e = expr_new(m, DIFF_OP_COLUMN, NULL, NULL);
    e->index = index;
    return e;
}

static inline diff_expr *literal(diff_maker *m, diff_value v) {
    diff_expr *e = expr_new(m, DIFF_OP_LITERAL, NULL, NULL);
    e->literal = v;
    return e;
}

static inline diff_expr *word(diff_maker *m) { return literal(m, diff_text(diff_random_word(m->r))); }
static inline diff_expr *number(diff_maker *m, int64_t low, int64_t high) {
    return literal(m, diff_int(diff_between(m->r, low, high)));
}

static inline diff_expr *member(diff_maker *m, size_t cube, size_t index) {
    diff_expr *e = expr_new(m, DIFF_OP_MEMBER, NULL, NULL);
    e->cube = cube;
    e->index = index;
    e->is_bare = diff_chance(m->r, 30);
    return e;
}

static inline diff_expr *measure_ref(diff_maker *m, size_t index) {
    diff_expr *e = expr_new(m, DIFF_OP_MEASURE, NULL, NULL);
    e->index = index;
    e->is_bare = diff_chance(m->r, 50);
    return e;
}

static inline diff_expr *arith(diff_maker *m, char symbol, const diff_expr *a, const diff_expr *b) {
    diff_expr *e = expr_new(m, DIFF_OP_ARITH, a, b);
    e->symbol = symbol;
    return e;
}

static inline diff_expr *compare(diff_maker *m, const char *text, const diff_expr *a, const diff_expr *b) {
    diff_expr *e = expr_new(m, DIFF_OP_COMPARE, a, b);
    e->text = text;
    return e;
}

static inline diff_expr *choice(diff_maker *m, const diff_expr *when, const diff_expr *then,
                                const diff_expr *otherwise) {
    diff_expr *e = expr_new(m, DIFF_OP_CASE, when, then);
    if (otherwise) e->args[e->n_args++] = otherwise;
    return e;
}

static inline diff_expr *aggregate(diff_maker *m, const char *text, const diff_expr *of) {
    diff_expr *e = expr_new(m, DIFF_OP_AGGREGATE, of, NULL);
    e->text = text;
    return e;
}

static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};

/* Column of the table, or the dimension that stands for it: then it can be computed from a rollup. */
static inline diff_expr *subject(diff_maker *m, size_t col) {
    for (size_t i = 0; i < m->dims.n && diff_chance(m->r, 60); i++) {
        const diff_expr *sql = m->dims.v[i].sql;
        if (sql && sql->op == DIFF_OP_COLUMN && sql->index == col) return member(m, m->cube, i);
    }
    return column(m, col);
}

static inline diff_expr *simple_predicate(diff_maker *m) {
    switch (diff_pick(m->r, 8)) {
    case 0: return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_NUM), number(m, -5, 5));
    case 1: return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_TXT), word(m));
    case 2: return subject(m, DIFF_COL_FLAG);
    case 3: return expr_new(m, DIFF_OP_IS_NULL, subject(m, DIFF_COL_TXT2), NULL);
    case 4: return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_DEC), number(m, -3, 3));
    case 5:
        return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_DBL),
                       literal(m, diff_double((double)diff_between(m->r, -9, 9) / 8)));
    case 6: return compare(m, "=", subject(m, DIFF_COL_TXT), subject(m, DIFF_COL_TXT2));
    default: return expr_new(m, DIFF_OP_NOT, subject(m, DIFF_COL_FLAG), NULL);
    }
}

static inline diff_expr *predicate(diff_maker *m) {
    if (diff_chance(m->r, 65)) return simple_predicate(m);
    diff_expr *a = simple_predicate(m), *b = simple_predicate(m);
    return expr_new(m, diff_chance(m->r, 50) ? DIFF_OP_AND : DIFF_OP_OR, a, b);
}
#endif
