/* Which SQL text gives the same value wherever it runs, and reads nothing but the holes it is written around. Pure. */
#ifndef GR_EXPR_PORTABLE_H
#define GR_EXPR_PORTABLE_H
#include "base/str.h"

/* The text between holes uses only literals, operators, keywords and calls of deterministic scalar functions: no raw
 * column, no aggregate. */
bool gr_expr_text_is_portable(gr_str text);
/* A call of this name, in any case, is a deterministic scalar function. */
bool gr_expr_call_is_portable(gr_str name);
#endif
