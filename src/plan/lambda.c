/* rollup_lambda (cube.md 4.11, 6.10): a rollup that is no table of its own, but tables of other rollups, one after the
 * other in time, and at last the source.
 *
 *      asked      [------------------------------------------------------)
 *      by_month   [==================)- - -                                 whole partitions that were closed
 *      by_day           - - - - - - -[=============)- -                     the last one: whole buckets
 *      source                                      [=====================)  union_with_source_data
 *
 * A part ends where not all was there yet when it was built: the bucket that was open then is not taken from it. All
 * pieces are merged component by component, as tiles are. Rows without a time come from the first part, once.
 * Invariant: the pieces are half-open, disjoint and in order, and together the range that is asked for. */
#include "plan/internal.h"

/* ---- the definition ------------------------------------------------------------------------------------------------
 */

static void problem(gr_rollup *r, gr_str text) {
    r->can_build = false;
    r->problem = GR_ERR_PLAN_UNSUPPORTED;
    r->problem_text = text;
}

bool gr_rollup_lambda_has_cuts(const gr_rollup *r) { return r->n_parts > 1 || r->preagg->unions_source; }

void gr_rollup_lambda_prepare(gr_plan_index *index, gr_rollup *r, gr_arena *arena) {
    const gr_preagg *p = r->preagg;
    r->parts = GR_NEW_N(arena, const gr_rollup *, p->n_rollups + 1);
    for (size_t i = 0; i < p->n_rollups; i++) r->parts[r->n_parts++] = &index->rollups[p->rollups[i]->index];
    const gr_rollup_column *first = r->n_parts ? gr_rollup_time(r->parts[0]) : NULL;
    if (!r->n_parts) problem(r, GR_STR("it has no rollups"));
    for (size_t i = 0; i < r->n_parts; i++) {
        const gr_rollup *part = r->parts[i];
        const gr_rollup_column *time = gr_rollup_time(part);
        r->depends_on_zone |= part->depends_on_zone;
        if (!part->can_build || !part->entity->can_build)
            problem(r, gr_arena_printf(arena, "its rollup '" GR_FMT "' cannot be built", GR_ARG(part->preagg->id)));
        else if (gr_rollup_lambda_has_cuts(r) && (!time || !first || time->member != first->member))
            problem(r, gr_arena_printf(arena, "its rollups have no time dimension in common, see '" GR_FMT "'",
                                       GR_ARG(part->preagg->id)));
    }
}

/* ---- the walk along time -------------------------------------------------------------------------------------------
 */

typedef struct walk {
    gr_planner *p;
    const gr_rollup *lambda;
    const gr_groups *fact;
    gr_lambda_reading *l;
    gr_range asked, left; /* what no part before gave */
    gr_range closed;      /* up to where the last part has all; unbounded: as far as anybody asks */
    bool is_rangeless, may_tile;
} walk;

static gr_verdict refuse(walk *w, gr_rule rule, const gr_member *member) {
    gr_planner_note(w->p, (gr_refusal){rule, w->lambda, member, NULL});
    return GR_REFUSED;
}

static gr_verdict refuse_as(walk *w, gr_refusal refusal) {
    refusal.rollup = w->lambda;
    gr_planner_note(w->p, refusal);
    return GR_REFUSED;
}

static void set_from(gr_range *r, const gr_range *end) {
    r->from_local_us = end->to_local_us;
    r->from_utc_us = end->to_utc_us;
    r->is_from_ambiguous = end->is_to_ambiguous;
}

static void set_to(gr_range *r, const gr_range *end) {
    r->to_local_us = end->to_local_us;
    r->to_utc_us = end->to_utc_us;
    r->is_to_ambiguous = end->is_to_ambiguous;
}

static bool is_empty(const gr_range *r) { return r->from_local_us >= r->to_local_us; }

/* The time dimension that is cut: one with a range, else any, else the ask gets one. False: the joins do not reach it.
 */
static bool find_time(walk *w, const gr_ask *ask, const gr_time_field *times, const gr_rollup_column *column) {
    const gr_query *asked = ask->query;
    gr_scan view = {.query = asked, .times = (gr_time_field *)(uintptr_t)times};
    w->l->ask = *ask;
    w->l->times = times;
    w->l->time = gr_tile_time(&view, column->member);
    for (size_t i = 0; i < asked->n_time_dimensions && w->l->time == SIZE_MAX; i++)
        if (times[i].field.member == column->member) w->l->time = i;
    if (w->l->time != SIZE_MAX) return true;
    for (size_t i = 0; i < column->n_cubes; i++)
        if (gr_tree_find(&w->fact->v[0].tree, column->cubes[i]) == GR_TREE_NONE) return false;
    size_t n = asked->n_time_dimensions;
    gr_query *q = GR_NEW(w->p->arena, gr_query);
    gr_time_field *all = GR_NEW_N(w->p->arena, gr_time_field, n + 1);
    if (n) memcpy(all, times, n * sizeof *all);
    const gr_member *m = column->member;
    all[n].field = (gr_field){m->id, m, m, gr_tree_path_of_cube(m->cube, w->p->arena)};
    *q = *asked;
    q->time_dimensions = all;
    q->n_time_dimensions = n + 1;
    w->l->ask.query = q;
    w->l->times = all;
    w->l->time = n;
    return true;
}

/* A reading of the parts' fact over some of the time. */
static gr_scan scan_of(walk *w, const gr_range *range, bool or_null) {
    gr_scan scan = gr_planner_scan(w->p, &w->l->ask, &w->fact->v[0], w->l->times);
    gr_time_field *t = &scan.times[w->l->time];
    t->has_range = true;
    t->range = *range;
    t->or_null = or_null;
    scan.lambda = w->lambda;
    return scan;
}

/* Every part fits by definition; unless tiles are allowed, but for an end of the range that another part or the source
 * gives. */
static gr_verdict check_definitions(walk *w) {
    const gr_rollup *r = w->lambda;
    for (size_t i = 0; i < r->n_parts; i++) {
        gr_scan scan = gr_planner_scan(w->p, &w->l->ask, &w->fact->v[0], w->l->times);
        gr_tiling tiling = {0};
        gr_refusal refusal = {0};
        if (!gr_planner_matches(w->p, w->fact, r->parts[i], &scan, &tiling, &refusal)) return refuse_as(w, refusal);
        if (!tiling.column) continue;
        const gr_member *member = tiling.column->member;
        bool is_other = tiling.time != w->l->time;
        bool is_from_in = tiling.inner.from_local_us == tiling.outer.from_local_us,
             is_to_in = tiling.inner.to_local_us == tiling.outer.to_local_us;
        bool is_last = i + 1 == r->n_parts && !r->preagg->unions_source;
        if (is_other || (!w->may_tile && (!is_from_in || (is_last && !is_to_in))))
            return refuse(w, GR_RULE_RANGE, member);
    }
    return GR_SERVES;
}

/* The end of the whole partitions that were closed when they were built; where none is, there was nothing before the
 * first. */
static int64_t complete_until(const gr_rollup_state *s) {
    int64_t until = INT64_MIN;
    for (size_t i = 0; i < s->n_partitions; i++) {
        const gr_run *run = &s->partitions[i].run;
        if (run->to_us == INT64_MIN) continue;
        if (until == INT64_MIN) until = run->from_us < s->closed_until_us ? run->from_us : s->closed_until_us;
        if (run->to_us <= s->closed_until_us) until = run->to_us;
    }
    return until;
}

/* Where what is on both sides of a cut cannot be merged, it is moved back to a whole group of the answer. */
static bool align(walk *w, gr_scan *scan, const gr_rollup *part, gr_range *range, gr_refusal *refusal) {
    int64_t cut_us = range->to_local_us;
    if (cut_us <= w->asked.from_local_us || cut_us >= w->asked.to_local_us) return true;
    const gr_tree *tree = gr_rollup_fact_tree(part, scan->group.tree.nodes[0].cube);
    if (!gr_match_cut(scan, part, tree ? tree : &part->tree, w->l->time, &cut_us, refusal)) return false;
    gr_range moved = gr_range_of_local(INT64_MIN, cut_us, scan->query->tz);
    if (cut_us != range->to_local_us) set_to(range, &moved);
    return true;
}

/* Where the part ends on the query's clock: *ret is all before. False: that cannot be told. */
static bool find_cut(const gr_rollup *part, const gr_rollup_state *state, bool is_last, const gr_tz *tz,
                     gr_range *ret) {
    bool is_off = gr_rule_is_off(GR_RULE_LAMBDA);
    if (!state->has_closed && !is_off) return false;
    gr_run run = {INT64_MIN, is_last ? state->closed_until_us : complete_until(state)};
    if (run.to_us != INT64_MIN) return gr_tile_range_of(part, &run, tz, ret) || is_off;
    *ret = (gr_range){
        .from_local_us = INT64_MIN, .to_local_us = INT64_MIN, .from_utc_us = INT64_MIN, .to_utc_us = INT64_MIN};
    return true;
}

/* Of what is covered, the stretch that begins at or before the range. */
static void end_at_hole(const gr_rollup *part, const gr_rollup_state *s, const gr_tz *tz, gr_range *range) {
    for (size_t i = 0; s && s->has_range && part->ranged && i < s->n_covered; i++) {
        gr_range built;
        if (!gr_tile_range_of(part, &s->covered[i], tz, &built)) continue;
        bool holds_start = built.from_local_us <= range->from_local_us && range->from_local_us < built.to_local_us;
        if (holds_start && built.to_local_us < range->to_local_us) set_to(range, &built);
    }
}

/* A range that may be read loosely (allow_non_strict_date_range_match) is loose where it was asked so, and not at cuts.
 */
static bool begins_whole(const walk *w, const gr_scan *scan, const gr_rollup *part) {
    const gr_time_field *t = &scan->times[w->l->time];
    if (!scan->is_non_strict_range || t->range.from_local_us == w->asked.from_local_us) return true;
    gr_scan view = *scan;
    view.rollup = part;
    const gr_rollup_column *c = gr_scan_stored_time(&view, t);
    gr_range start = {.from_local_us = t->range.from_local_us, .to_local_us = t->range.from_local_us};
    return c && gr_range_is_aligned(&start, c->granularity, t->anchor_local_us);
}

/* Whole stored buckets of the scan's range that are there. False: none (refusal RANGE), or it does not fit after all.
 */
static bool narrow(walk *w, gr_scan *scan, const gr_rollup *part, const gr_rollup_state *state, gr_refusal *refusal) {
    gr_tiling tiling = {0};
    if (!gr_planner_matches(w->p, w->fact, part, scan, &tiling, refusal)) return false;
    *refusal = (gr_refusal){GR_RULE_RANGE, part, gr_rollup_time(part)->member, NULL};
    gr_clip clip = gr_tile_clip(scan, part, state, &tiling);
    if (clip == GR_CLIP_NONE || (tiling.column && tiling.time != w->l->time)) return false;
    if (!begins_whole(w, scan, part)) return false;
    if (clip == GR_CLIP_WHOLE) return true;
    scan->times[w->l->time].range = tiling.inner;
    const gr_tree *tree = gr_rollup_fact_tree(part, scan->group.tree.nodes[0].cube);
    return gr_match_edges(scan, part, tree ? tree : &part->tree, &tiling, refusal);
}

/* What is left, up to where `next` begins. */
static gr_verdict add_edge(walk *w, const gr_range *next) {
    gr_range edge = w->left;
    edge.to_local_us = next->from_local_us;
    edge.to_utc_us = next->from_utc_us;
    edge.is_to_ambiguous = next->is_from_ambiguous;
    if (is_empty(&edge)) return GR_SERVES;
    if (!w->may_tile) return refuse(w, GR_RULE_RANGE, w->l->times[w->l->time].field.member);
    GR_PUSH(w->p->arena, &w->l->edges, edge);
    return GR_SERVES;
}

/* What the part gives of `range`, which begins where the one before ended. */
static gr_verdict take(walk *w, const gr_rollup *part, const gr_rollup_state *state, const gr_tz *zone,
                       const gr_range *range, bool is_first) {
    bool or_null = w->is_rangeless && is_first;
    gr_scan scan = scan_of(w, range, or_null);
    gr_refusal refusal = {0};
    if (or_null && state && state->has_range)
        return refuse(w, state->n_missing ? GR_RULE_PARTITION : GR_RULE_BUILD_RANGE, gr_rollup_time(part)->member);
    if (!narrow(w, &scan, part, state, &refusal))
        return refusal.rule == GR_RULE_RANGE ? GR_SERVES : refuse_as(w, refusal);
    gr_time_field *t = &scan.times[w->l->time];
    if (add_edge(w, &t->range) != GR_SERVES) return GR_REFUSED;
    set_from(&w->left, &t->range);
    if (or_null && t->range.to_local_us == INT64_MAX) t->has_range = t->or_null = false;
    scan.rollup = part;
    scan.rollup_zone = zone;
    scan.state = state;
    if (state) scan.reading = gr_tile_reading(&scan, part, state, w->p->arena);
    w->l->rows = state && w->l->rows >= 0 ? w->l->rows + state->rows : -1;
    GR_PUSH(w->p->arena, &w->l->scans, scan);
    return GR_SERVES;
}

static gr_verdict visit(walk *w, size_t at) {
    const gr_rollup *part = w->lambda->parts[at];
    const gr_query *q = w->l->ask.query;
    bool is_last = at + 1 == w->lambda->n_parts, is_open = is_last && !w->lambda->preagg->unions_source;
    gr_scan scan = scan_of(w, &w->left, w->is_rangeless && at == 0);
    const gr_tz *zone = gr_rollup_zone(part, q->tz);
    const gr_rollup_state *state = gr_planner_state(w->p, q, part, zone);
    gr_refusal refusal = {0};
    if (!gr_match_zone(&scan, part, state && state->is_built ? state : NULL, &refusal)) return refuse_as(w, refusal);
    gr_verdict v = gr_planner_settle(w->p, q, &scan, part, w->lambda, &state, &zone);
    if (v != GR_SERVES) return v;
    gr_range range = w->left, cut;
    if (state && !is_open) {
        if (!find_cut(part, state, is_last, q->tz, &cut))
            return refuse(w, GR_RULE_LAMBDA, gr_rollup_time(part)->member);
        if (!align(w, &scan, part, &cut, &refusal)) return refuse_as(w, refusal);
        if (is_last) set_to(&w->closed, &cut);
        if (cut.to_local_us < range.to_local_us) set_to(&range, &cut);
    }
    end_at_hole(part, state, q->tz, &range);
    if (!align(w, &scan, part, &range, &refusal)) return refuse_as(w, refusal);
    return is_empty(&range) ? GR_SERVES : take(w, part, state, zone, &range, at == 0);
}

/* What no part gave: closed time is an edge; of what is later, with union_with_source_data, the source has the rest. */
static gr_verdict leave(walk *w) {
    gr_lambda_reading *l = w->l;
    const gr_member *member = l->times[l->time].field.member;
    bool unions = w->lambda->preagg->unions_source;
    gr_range live = w->left, end = w->left;
    set_from(&end, &w->left);
    if (!unions || w->closed.to_local_us >= live.to_local_us)
        live = end; /* nothing, at the end */
    else if (w->closed.to_local_us > live.from_local_us)
        set_from(&live, &w->closed);
    if (!is_empty(&w->left) && add_edge(w, &live) != GR_SERVES) return GR_REFUSED;
    l->is_live = !is_empty(&live);
    l->live = live;
    const gr_time_field *first = l->scans.n ? &l->scans.v[0].times[l->time] : NULL;
    bool has_null = first && (first->or_null || !first->has_range);
    if (w->is_rangeless && !has_null && !gr_rule_is_off(GR_RULE_LAMBDA)) return refuse(w, GR_RULE_LAMBDA, member);
    if (!l->scans.n && !l->is_live) return refuse(w, GR_RULE_BUILD_RANGE, member);
    if (l->ask.query->is_ungrouped && l->scans.n + l->edges.n + l->is_live > 1)
        return refuse(w, GR_RULE_UNGROUPED, NULL);
    if (l->is_live && l->ask.query->pinned_version.n) return refuse(w, GR_RULE_VERSION, NULL);
    return GR_SERVES;
}

gr_verdict gr_planner_read_lambda(gr_planner *p, const gr_ask *ask, const gr_groups *fact, const gr_time_field *times,
                                  const gr_rollup *r, bool may_tile, gr_lambda_reading *ret) {
    walk w = {.p = p, .lambda = r, .fact = fact, .l = ret, .may_tile = may_tile};
    *ret = (gr_lambda_reading){0};
    if (!r->can_build) return refuse(&w, GR_RULE_CANNOT_BUILD, NULL);
    const gr_rollup_column *column = gr_rollup_time(r->parts[0]);
    if (!find_time(&w, ask, times, column)) return refuse(&w, GR_RULE_LAMBDA, column->member);
    const gr_time_field *t = &ret->times[ret->time];
    w.is_rangeless = !t->has_range;
    w.asked = t->has_range ? t->range : gr_range_of_local(INT64_MIN, INT64_MAX, ask->query->tz);
    w.left = w.asked;
    w.closed = gr_range_of_local(INT64_MIN, INT64_MAX, ask->query->tz);
    gr_verdict v = check_definitions(&w);
    for (size_t i = 0; i < r->n_parts && v == GR_SERVES && (i == 0 || !is_empty(&w.left)); i++) v = visit(&w, i);
    return v == GR_SERVES ? leave(&w) : v;
}
