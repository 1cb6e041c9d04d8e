/* Makes a failing case small: takes away rollups, parts of the query, rows, members, one by one, and keeps what the
 * same difference survives. Greedy, within a number of tries. */
#ifndef DIFFERENTIAL_SHRINK_H
#define DIFFERENTIAL_SHRINK_H
#include "differential/judge.h"

/* `world` is changed in place; returns the query that is left (new reference) and its case. False, and nothing is
 * changed, when the case does not differ alone. */
bool diff_shrink(diff_world *world, json_t *query, int64_t now_us, uint64_t seed, gr_arena *arena, json_t **ret_query,
                 diff_case *ret);
#endif
