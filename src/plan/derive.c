/* Which SQL text may be computed from stored columns: no raw column of the source may hide in it. */
#include "expr/portable.h"
#include "plan/internal.h"

bool gr_derive_text_is_portable(gr_str text) { return gr_expr_text_is_portable(text); }
