/* Counting. A slot for an entity is claimed by one compare-and-swap and is never given up: entities are few. When all
 * are taken, hits of further ones are not counted. */
#include "serve/stats.h"

#define MS(n) ((n)*INT64_C(1000))
static const int64_t build_bounds_us[] = {MS(10),     MS(50),      MS(100),    MS(500),   MS(1000),
                                          MS(5000),   MS(10000),   MS(30000),  MS(60000), MS(300000),
                                          MS(600000), MS(1800000), MS(3600000)};

gr_str gr_serve_by_name(gr_serve_by by) {
    static const gr_str names[] = {[GR_SERVE_BY_ROLLUP] = GR_STR_INIT("rollup"),
                                   [GR_SERVE_BY_SOURCE] = GR_STR_INIT("source"),
                                   [GR_SERVE_BY_BOTH] = GR_STR_INIT("rollup_and_source")};
    return names[by];
}

void gr_serve_stats_init(gr_serve_stats *stats) {
    memset(stats, 0, sizeof *stats);
    stats->builds.bounds_us = build_bounds_us;
    stats->builds.n_bounds = sizeof build_bounds_us / sizeof *build_bounds_us;
}

static void add(atomic_uint_fast64_t *counter) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }

static void hit(gr_serve_stats *stats, int64_t entity_id) {
    for (size_t k = 0; k < GR_SERVE_HIT_SLOTS; k++) {
        gr_serve_hit *slot = &stats->hits[((size_t)entity_id + k) % GR_SERVE_HIT_SLOTS];
        int_fast64_t owner = atomic_load_explicit(&slot->entity_id, memory_order_relaxed);
        if (!owner && atomic_compare_exchange_strong(&slot->entity_id, &owner, entity_id)) owner = entity_id;
        if (owner != entity_id) continue;
        add(&slot->n);
        return;
    }
}

void gr_serve_stats_answered(gr_serve_stats *stats, const gr_plan *plan) {
    gr_serve_by by = !plan->n_uses ? GR_SERVE_BY_SOURCE : plan->reads_source ? GR_SERVE_BY_BOTH : GR_SERVE_BY_ROLLUP;
    add(&stats->queries[by]);
    for (size_t i = 0; i < plan->n_refusals; i++) add(&stats->refusals[plan->refusals[i].rule]);
    for (size_t i = 0; i < plan->n_uses; i++) {
        const gr_rollup_state *state = plan->uses[i].state;
        if (state && state->entity_id) hit(stats, state->entity_id);
    }
}

void gr_serve_stats_repeated(gr_serve_stats *stats, const int64_t *entities, size_t n, gr_serve_by by) {
    add(&stats->queries[by]);
    for (size_t i = 0; i < n; i++)
        if (entities[i]) hit(stats, entities[i]);
}

void gr_serve_stats_built(gr_serve_stats *stats, bool is_done, int64_t us) {
    add(is_done ? &stats->builds_done : &stats->builds_failed);
    gr_histogram_add(&stats->builds, us);
}

uint64_t gr_serve_stats_hits(const gr_serve_stats *stats, int64_t entity_id) {
    for (size_t k = 0; entity_id && k < GR_SERVE_HIT_SLOTS; k++) {
        const gr_serve_hit *slot = &stats->hits[((size_t)entity_id + k) % GR_SERVE_HIT_SLOTS];
        int64_t owner = (int64_t)atomic_load_explicit(&slot->entity_id, memory_order_relaxed);
        if (owner == entity_id) return atomic_load_explicit(&slot->n, memory_order_relaxed);
        if (!owner) return 0;
    }
    return 0;
}
