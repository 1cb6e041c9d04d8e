/* Counts of durations in buckets, for metrics. Adding is two atomic additions: no lock, no allocation.
 * Invariant: bounds ascend, in microseconds; counts[i] is of what lies above bounds[i - 1] and not above bounds[i], the
 * last one of what is above all. Reading while others add gives a sum that may be ahead of the counts or behind them by
 * what is being added. */
#ifndef GR_BASE_HISTOGRAM_H
#define GR_BASE_HISTOGRAM_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { GR_HISTOGRAM_MAX_BOUNDS = 20 };

typedef struct gr_histogram {
    const int64_t *bounds_us; /* static */
    size_t n_bounds;
    atomic_uint_fast64_t counts[GR_HISTOGRAM_MAX_BOUNDS + 1], sum_us;
} gr_histogram;

static inline void gr_histogram_add(gr_histogram *h, int64_t us) {
    size_t i = 0;
    if (us < 0) us = 0;
    while (i < h->n_bounds && us > h->bounds_us[i]) i++;
    atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, (uint_fast64_t)us, memory_order_relaxed);
}
#endif
