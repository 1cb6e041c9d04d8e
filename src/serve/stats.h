/* What is counted of queries and builds, since the process began. Counting is an atomic addition or a few: no lock, no
 * allocation. Threads: any. */
#ifndef GR_SERVE_STATS_H
#define GR_SERVE_STATS_H
#include "base/histogram.h"
#include "plan/plan.h"

typedef enum gr_serve_by { GR_SERVE_BY_ROLLUP, GR_SERVE_BY_SOURCE, GR_SERVE_BY_BOTH, GR_SERVE_BY__COUNT } gr_serve_by;
enum { GR_SERVE_HIT_SLOTS = 4096 };

typedef struct gr_serve_hit {
    atomic_int_fast64_t entity_id; /* 0: free; set once */
    atomic_uint_fast64_t n;
} gr_serve_hit;

typedef struct gr_serve_stats {
    atomic_uint_fast64_t queries[GR_SERVE_BY__COUNT], refusals[GR_RULE__COUNT];
    atomic_uint_fast64_t builds_done, builds_failed;
    atomic_uint_fast64_t refreshes_done, refreshes_failed; /* of those, in the background */
    gr_histogram builds;
    gr_serve_hit hits[GR_SERVE_HIT_SLOTS]; /* open addressing by entity */
} gr_serve_stats;

void gr_serve_stats_init(gr_serve_stats *stats);
/* A query was answered by this plan. */
void gr_serve_stats_answered(gr_serve_stats *stats, const gr_plan *plan);
/* The same answer once more, from the result cache: without the rules, which were counted when it was planned. */
void gr_serve_stats_repeated(gr_serve_stats *stats, const int64_t *entities, size_t n, gr_serve_by by);
void gr_serve_stats_built(gr_serve_stats *stats, bool is_done, int64_t us);
/* Answers that read the entity's table. */
uint64_t gr_serve_stats_hits(const gr_serve_stats *stats, int64_t entity_id);
gr_str gr_serve_by_name(gr_serve_by by); /* static: "rollup" */
#endif
