/* Build jobs, as orchestrators ask for them (cube.md 3.9): a token for each table or partition that a selector means,
 * built by force and in the background; later asked how it is.
 *
 *      scheduled -> processing -> done
 *          |            '-------> failure: <why>
 *          |            '-------> missing_partition     (it is not part of what was built, or was dropped)
 *          '--------------------> pre_agg_not_found     (a reload took it out of the model)
 *
 * What is on the right stays as it is. Tokens are kept in memory, for a day and up to a number; then, as those of an
 * earlier process, they are `not_found`.
 *
 * Threads: any. Memory: results live in `arena`, inputs are borrowed during the call. */
#ifndef GR_SERVE_JOBS_H
#define GR_SERVE_JOBS_H
#include "serve/partitions.h"

enum { GR_JOBS_MOST_TOKENS = 100000 };

typedef struct gr_jobs_filter {
    bool is_given; /* else: any. Given and empty: none */
    const gr_str *v;
    size_t n;
} gr_jobs_filter;
typedef struct gr_jobs_ask {
    const gr_str *contexts; /* JSON of each: a token of its own for each table */
    size_t n_contexts;
    const gr_tz **zones;
    size_t n_zones;
    gr_jobs_filter data_sources, cubes, preaggs; /* "orders.main" */
    bool has_range;
    gr_bound range[2]; /* partitions that touch it; a wall clock is that of each zone */
} gr_jobs_ask;
/* *ret_n is 0 when nothing is meant. Pre-aggregations made by API are meant by name only; a rollup_join stands for its
 * parts. Errors: limit.exceeded (too many tokens); what makes one that is asked for by name impossible to build;
 * catalog.*. */
GR_MUST_CHECK gr_status gr_serve_jobs_post(gr_serve *serve, const gr_ctx *ctx, const gr_jobs_ask *ask, gr_str **ret,
                                           size_t *ret_n, gr_error *err);

typedef struct gr_job_view {
    gr_str token, status;
    bool is_known; /* else: not_found, and nothing of the rest */
    gr_str table;  /* "granary.orders_main20240101" */
    gr_str cube, preagg, data_source, context;
    gr_str *zones;
    size_t n_zones;
} gr_job_view;
/* *ret: parallel to tokens. */
void gr_serve_jobs_look(gr_serve *serve, const gr_str *tokens, size_t n, gr_arena *arena, gr_job_view **ret);

/* serve.c: its thread ends before the lane does, for it asks that for flights. */
typedef struct gr_jobs gr_jobs;
gr_jobs *gr_serve_jobs_new(gr_serve *serve);
void gr_serve_jobs_free(gr_jobs *jobs); /* accepts NULL */
#endif
