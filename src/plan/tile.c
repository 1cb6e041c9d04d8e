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

size_t gr_tile_time(const gr_scan *scan, const gr_member *member) {
    for (size_t i = 0; i < scan->query->n_time_dimensions; i++)
        if (scan->times[i].field.member == member && scan->times[i].has_range) return i;
    return SIZE_MAX;
}

bool gr_tile_range_of(const gr_rollup *r, const gr_run *run, const gr_tz *tz, gr_range *ret) {
    int64_t from = run->from_us, to = run->to_us;
    bool is_instant = gr_rollup_time(r)->is_instant;
    if (is_instant) {
        if (from != INT64_MIN) from = gr_tz_to_local(tz, from);
        if (to != INT64_MAX) to = gr_tz_to_local(tz, to);
    }
    *ret = gr_range_of_local(from, to, tz);
    /* The end of a doubled hour reads as its beginning, an hour before: what ends there may end earlier, where a bucket
     * ends (not so when half an hour is doubled), but nothing that begins there is there any earlier. */
    const gr_granularity *g = gr_rollup_time(r)->granularity;
    bool is_moved = from != INT64_MIN && ret->from_utc_us != run->from_us;
    bool is_cut = is_instant && to != INT64_MAX && gr_granularity_floor(g, 0, ret->to_utc_us) != ret->to_utc_us;
    return !is_instant || (!ret->is_from_ambiguous && !ret->is_to_ambiguous && !is_moved && !is_cut);
}

gr_run gr_tile_run(const gr_scan *scan, const gr_rollup *r) {
    gr_run all = {INT64_MIN, INT64_MAX};
    size_t at = r->ranged ? gr_tile_time(scan, r->ranged->member) : SIZE_MAX;
    if (at == SIZE_MAX) return all;
    const gr_range *t = &scan->times[at].range;
    if (!r->ranged->is_instant) return (gr_run){t->from_local_us, t->to_local_us};
    /* In a doubled hour the wall clock decides, and goes back by at most a day. */
    const int64_t day_us = 86400000000;
    bool is_open = t->to_utc_us > INT64_MAX - day_us;
    return (gr_run){t->from_utc_us, t->is_to_ambiguous && !is_open ? t->to_utc_us + day_us : t->to_utc_us};
}

static bool do_overlap(const gr_run *a, const gr_run *b) { return a->from_us < b->to_us && b->from_us < a->to_us; }

bool gr_rollup_is_missing(const gr_rollup_state *s, const gr_run *wanted) {
    if (wanted->from_us >= wanted->to_us) return false; /* nothing is wanted, wherever it stands */
    for (size_t i = 0; i < s->n_missing; i++)
        if (do_overlap(&s->missing[i], wanted)) return true;
    return false;
}

/* Partitions whose buckets may lie in the run of the scan. */
gr_reading gr_tile_reading(const gr_scan *scan, const gr_rollup *r, const gr_rollup_state *s, gr_arena *arena) {
    gr_reading reading = {.built_at_us = s->built_at_us};
    if (!s->n_partitions) return reading;
    const gr_run wanted = gr_tile_run(scan, r), *run = &wanted;
    bool is_all = run->from_us == INT64_MIN && run->to_us == INT64_MAX;
    size_t at = gr_tile_time(scan, r->ranged->member);
    bool or_null = at != SIZE_MAX && scan->times[at].or_null && s->partitions[0].run.to_us == INT64_MIN;
    reading.v = GR_NEW_N(arena, const gr_partition *, s->n_partitions + 1);
    reading.built_at_us = INT64_MAX;
    size_t lo = 0, hi = s->n_partitions;
    while (!is_all && lo < hi) { /* the first that ends after the run begins; without a time is before all */
        size_t mid = lo + (hi - lo) / 2;
        if (s->partitions[mid].run.to_us <= run->from_us)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (or_null && !is_all) {
        reading.v[reading.n++] = &s->partitions[0];
        reading.built_at_us = s->partitions[0].built_at_us;
    }
    for (size_t i = lo; i < s->n_partitions && (is_all || s->partitions[i].run.from_us < run->to_us); i++) {
        if (!is_all && s->partitions[i].run.to_us == INT64_MIN) continue;
        reading.v[reading.n++] = &s->partitions[i];
        if (s->partitions[i].built_at_us < reading.built_at_us) reading.built_at_us = s->partitions[i].built_at_us;
    }
    /* Nothing lies there: any table gives no rows, in the right shape. What is not there is as old as the whole. */
    if (!reading.n) {
        reading.v[reading.n++] = &s->partitions[s->n_partitions - 1];
        reading.built_at_us = s->built_at_us;
    }
    return reading;
}

/* Of the covered runs the one that gives most of the range; false: none gives any. */
static bool best_run(const gr_rollup *r, const gr_rollup_state *s, const gr_tz *tz, const gr_range *asked,
                     gr_range *ret) {
    int64_t most = 0;
    for (size_t i = 0; i < s->n_covered; i++) {
        gr_range built;
        if (!gr_tile_range_of(r, &s->covered[i], tz, &built)) continue;
        int64_t from = built.from_local_us > asked->from_local_us ? built.from_local_us : asked->from_local_us,
                to = built.to_local_us < asked->to_local_us ? built.to_local_us : asked->to_local_us;
        if (from >= to) continue;
        uint64_t length = (uint64_t)to - (uint64_t)from;
        int64_t size = length > INT64_MAX ? INT64_MAX : (int64_t)length;
        if (size <= most) continue;
        most = size;
        *ret = built;
    }
    return most > 0;
}

gr_clip gr_tile_clip(const gr_scan *scan, const gr_rollup *r, const gr_rollup_state *s, gr_tiling *tiling) {
    if (!r->ranged || !s || !s->has_range) return GR_CLIP_WHOLE;
    size_t at = gr_tile_time(scan, r->ranged->member);
    gr_range built;
    if (at == SIZE_MAX || !best_run(r, s, scan->query->tz, &scan->times[at].range, &built)) return GR_CLIP_NONE;
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
