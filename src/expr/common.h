/* SQL that means the same in every engine: what may be worked out by another engine than the one whose dialect it was
 * written in. Pure. Threads: any. */
#ifndef GR_EXPR_COMMON_H
#define GR_EXPR_COMMON_H
#include "expr/expr.h"

/* Literals, holes, arithmetic, comparisons, CASE, COALESCE, NULLIF, GREATEST, LEAST, ABS, SIGN, SQRT, ROUND(x, n),
 * casts to floating point. What is in it and means the same only for some types is told. */
typedef struct gr_common {
    gr_str stranger;   /* the first word or sign that is not common; empty: there is none */
    bool has_order;    /* <, >, BETWEEN, GREATEST …: of texts that is a matter of collations */
    bool has_concat;   /* ||: of numbers it is a matter of their spelling */
    bool orders_text;  /* a literal in quotes is compared so */
    bool has_division; /* which is exact in one engine and in floating point in another */
} gr_common;
gr_common gr_expr_common(const gr_expr *expr);
/* A part of a common expression as the embedded engine spells it: FLOAT has eight bytes, and ROUND is of what a
 * decimal division gives where `is_divided`. */
gr_str gr_expr_common_text(gr_str text, bool is_divided, gr_arena *arena);
#endif
