/* Tiling: a range that is not whole stored buckets is cut in at most three pieces.
 *
 *      outer  [----------------------------)
 *      inner       [-----------------)          whole buckets: the rollup
 *      edges  [----)                 [------)   a finer rollup, or the source
 *
 * Invariant: the pieces are half-open, disjoint, and their union is the outer range; both sides of a cut are the same
 * point, with the same instant. */
#include "plan/internal.h"

#include <assert.h>

bool gr_tile_inner(const gr_time_field *t, const gr_granularity *g, const gr_tz *tz, gr_range *ret) {
    int64_t from = t->range.from_local_us, to = t->range.to_local_us;
    if (from != INT64_MIN) {
        int64_t start = gr_granularity_floor(g, t->anchor_local_us, from);
        if (start != from) from = gr_granularity_next(g, t->anchor_local_us, start);
    }
    if (to != INT64_MAX) to = gr_granularity_floor(g, t->anchor_local_us, to);
    if (from >= to) return false;
    gr_range inner = gr_range_of_local(from, to, tz);
    /* A bound that did not move keeps its own instant. */
    if (from == t->range.from_local_us) {
        inner.from_utc_us = t->range.from_utc_us;
        inner.is_from_ambiguous = t->range.is_from_ambiguous;
    }
    if (to == t->range.to_local_us) {
        inner.to_utc_us = t->range.to_utc_us;
        inner.is_to_ambiguous = t->range.is_to_ambiguous;
    }
    *ret = inner;
    return true;
}

size_t gr_tile_edges(const gr_tiling *t, gr_range ret[2]) {
    const gr_range *outer = &t->outer, *inner = &t->inner;
    size_t n = 0;
    if (outer->from_local_us < inner->from_local_us) {
        gr_range r = *outer;
        r.to_local_us = inner->from_local_us;
        r.to_utc_us = inner->from_utc_us;
        r.is_to_ambiguous = inner->is_from_ambiguous;
        ret[n++] = r;
    }
    if (inner->to_local_us < outer->to_local_us) {
        gr_range r = *outer;
        r.from_local_us = inner->to_local_us;
        r.from_utc_us = inner->to_utc_us;
        r.is_from_ambiguous = inner->is_to_ambiguous;
        ret[n++] = r;
    }
    /* what the house promises: disjoint, in order, and nothing left out */
    assert(inner->from_local_us < inner->to_local_us);
    assert(n < 1 || ret[0].from_local_us < ret[0].to_local_us);
    assert(n < 2 || ret[0].to_local_us == inner->from_local_us);
    return n;
}
