/* Background refresh: the scheduler of refresh/ over real sources, clocks and builds; and what refresh keys say now.
 *
 *      snapshot ──> items (entity, zone, policy) ──> scheduler ──> keys.h: the queries of keys, asked once for all
 *          ^                                             │
 *          └───────── published <── lane (flight.c) <────┘ builds, behind those that somebody waits for
 *
 * One thread. A pause stops what it begins; a drain stops every build from beginning. */
#ifndef GR_SERVE_REFRESHER_H
#define GR_SERVE_REFRESHER_H
#include "refresh/scheduler.h"
#include "serve/internal.h"

/* ---- freshness.c ---- */
typedef struct gr_serve_freshness {
    gr_build_freshness pub; /* its arg points here */
    const gr_refresh_policy *policy;
    const gr_str *values;
    int64_t now_us;
} gr_serve_freshness;
void gr_serve_freshness_init(gr_serve_freshness *freshness, const gr_refresh_policy *policy, const gr_str *values,
                             int64_t now_us);
/* *ret NULL: it is never refreshed by itself. */
GR_MUST_CHECK gr_status gr_serve_policy(gr_serve *serve, const gr_rollup *rollup, const gr_tz *zone, int64_t entity_id,
                                        gr_arena *arena, const gr_refresh_policy **ret, gr_error *err);
/* Errors: preagg.refresh_key, cancelled. */
GR_MUST_CHECK gr_status gr_serve_key_value(gr_serve *serve, const gr_ctx *ctx, const gr_refresh_part *part,
                                           const gr_cube *own, int64_t max_age_us, gr_str *ret, gr_error *err);
/* With values that are at most so old; *ret_has false: no policy. Everything lives in ctx->arena. */
GR_MUST_CHECK gr_status gr_serve_freshness_ask(gr_serve *serve, const gr_ctx *ctx, const gr_rollup *rollup,
                                               const gr_tz *zone, int64_t entity_id, int64_t max_age_us,
                                               gr_serve_freshness *ret, bool *ret_has, gr_error *err);
/* As gr_serve_verify, of a rollup of a snapshot. */
GR_MUST_CHECK gr_status gr_serve_verify_rollup(gr_serve *serve, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                               const gr_rollup *rollup, const gr_tz *zone, gr_verification *ret,
                                               gr_flight **ret_flight, gr_error *err);
#endif
