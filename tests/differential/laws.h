/* Laws that answers obey whatever the reference thinks of them: parts sum up to the whole, days to months. */
#ifndef DIFFERENTIAL_LAWS_H
#define DIFFERENTIAL_LAWS_H
#include "differential/bench.h"
#include "differential/random.h"

#include <jansson.h>

typedef enum diff_law { DIFF_LAW_PARTS, DIFF_LAW_MONTHS, DIFF_LAW__COUNT } diff_law;

/* Asks variants of the query with rollups. False: the law is broken, *detail says where. *ret_held: the law was about
 * this query at all. The query must join no rows repeatedly and take over no filters. */
bool diff_law_holds(diff_bench *bench, const diff_world *world, diff_law law, json_t *query, int64_t now_us,
                    uint64_t seed, gr_arena *arena, bool *ret_held, gr_str *detail);
#endif
