/* What every finished plan must be, worked out from the plan alone (plan/plan.h), not by the planner's own code. */
#ifndef GR_FUZZ_MATCH_LAWS_H
#define GR_FUZZ_MATCH_LAWS_H
#include "plan/plan.h"

/* NULL, or the law that is broken; the text is static. Looks into inner plans too. */
const char *match_plan_fault(const gr_plan *plan);
/* Rows of the series of all windows, and pieces; of inner plans too. */
size_t match_plan_buckets(const gr_plan *plan);
size_t match_plan_pieces(const gr_plan *plan);
#endif
