/* Which columns of its own table an expression of the model reads: for lineage. */
#ifndef GR_EXPR_COLUMNS_H
#define GR_EXPR_COLUMNS_H
#include "expr/expr.h"

/* Columns of the own cube: `{CUBE}.col`, and bare `col` outside of sub-selects that have a FROM. Left out: member
 * holes, whose own expressions the caller follows; names qualified by anything else; and stars. As written, without
 * quotes; sorted by bytes, each once. SQL that the parser does not understand (other dialects, more than 16 KiB) gives
 * the names right behind `{CUBE}.`. *ret in the arena. Pure. */
void gr_expr_columns(const gr_expr *expr, gr_arena *arena, gr_str **ret, size_t *ret_n);
#endif
