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

static size_t time_of(const gr_scan *scan, const gr_member *member) {
    for (size_t i = 0; i < scan->query->n_time_dimensions; i++)
        if (scan->times[i].field.member == member && scan->times[i].has_range) return i;
    return SIZE_MAX;
}

/* The built range on the query's wall clock. Instants in a doubled hour have no such place. */
static bool built_range(const gr_rollup *r, const gr_rollup_state *s, const gr_tz *tz, gr_range *ret) {
    int64_t from = s->range_from_us, to = s->range_to_us;
    if (r->ranged->is_instant) {
        if (from != INT64_MIN) from = gr_tz_to_local(tz, from);
        if (to != INT64_MAX) to = gr_tz_to_local(tz, to);
    }
    *ret = gr_range_of_local(from, to, tz);
    return !r->ranged->is_instant || (!ret->is_from_ambiguous && !ret->is_to_ambiguous);
}

gr_clip gr_tile_clip(const gr_scan *scan, const gr_rollup *r, const gr_rollup_state *s, gr_tiling *tiling) {
    if (!r->ranged || !s || !s->has_range) return GR_CLIP_WHOLE;
    size_t at = time_of(scan, r->ranged->member);
    gr_range built;
    if (at == SIZE_MAX || !built_range(r, s, scan->query->tz, &built)) return GR_CLIP_NONE;
    const gr_range *asked = &scan->times[at].range;
    bool is_from_in = asked->from_local_us >= built.from_local_us, is_to_in = asked->to_local_us <= built.to_local_us;
    if (is_from_in && is_to_in) return GR_CLIP_WHOLE;
    if (scan->query->is_ungrouped || (tiling->column && tiling->time != at)) return GR_CLIP_NONE;
    gr_range inner = *asked;
    if (!is_from_in) {
        inner.from_local_us = built.from_local_us;
        inner.from_utc_us = built.from_utc_us;
        inner.is_from_ambiguous = built.is_from_ambiguous;
    }
    if (!is_to_in) {
        inner.to_local_us = built.to_local_us;
        inner.to_utc_us = built.to_utc_us;
        inner.is_to_ambiguous = built.is_to_ambiguous;
    }
    if (inner.from_local_us >= inner.to_local_us) return GR_CLIP_NONE;
    if (!tiling->column) *tiling = (gr_tiling){.column = r->ranged, .time = at, .outer = *asked};
    tiling->inner = inner;
    return GR_CLIP_PART;
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
