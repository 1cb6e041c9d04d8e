/* The laws of plans:
 *
 *   given       each component comes from one window, one stage, or from scans of one group
 *   covered     the scans of a group are boxes, one interval per time dimension: together they are the query's box, and
 * no point is in two of them; the same cut has the same instant on both sides equal       but for their ranges, scans
 * of one group are the same stored      what a scan reads from a rollup is there, and its range is whole stored buckets
 *   rigid       what cannot be merged is cut only where groups of the answer end
 *   in step     the buckets of a window follow each other over the whole range, on boundaries of the base grain */
#include "match_laws.h"

enum { MOST_TIMES = 8, MOST_CUTS = 128 };

/* ---- groups
 * ---------------------------------------------------------------------------------------------------------- */

static bool has_key(const gr_components *all, gr_str key) {
    for (size_t i = 0; i < all->n; i++)
        if (gr_str_eq(all->v[i].key, key)) return true;
    return false;
}

static bool same_components(const gr_components *a, const gr_components *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!has_key(b, a->v[i].key)) return false;
    return true;
}

static bool same_tree(const gr_tree *a, const gr_tree *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->nodes[i].cube != b->nodes[i].cube || a->nodes[i].parent != b->nodes[i].parent ||
            a->nodes[i].join != b->nodes[i].join)
            return false;
    return true;
}

/* ---- one scan
 * -------------------------------------------------------------------------------------------------------- */

static const char *times_fault(const gr_plan *plan, const gr_scan *scan) {
    for (size_t i = 0; i < plan->query->n_time_dimensions; i++) {
        const gr_time_field *asked = &plan->query->time_dimensions[i], *got = &scan->times[i];
        if (asked->field.member != got->field.member || asked->granularity != got->granularity ||
            asked->anchor_local_us != got->anchor_local_us || asked->has_range != got->has_range)
            return "a scan changes more of a time dimension than its range";
    }
    return NULL;
}

static bool has_stored(const gr_scan *scan, const gr_rollup_component *c) {
    for (size_t i = 0; i < scan->rollup->n_components; i++)
        if (c == &scan->rollup->components[i]) return true;
    return false;
}

static bool is_built(const gr_rollup_state *s, const gr_rollup_column *ranged, const gr_range *r) {
    int64_t from = ranged->is_instant ? r->from_utc_us : r->from_local_us,
            to = ranged->is_instant ? r->to_utc_us : r->to_local_us;
    for (size_t i = 0; i < s->n_covered; i++)
        if (from >= s->covered[i].from_us && to <= s->covered[i].to_us) return true;
    return false;
}

static const char *rollup_fault(const gr_plan *plan, const gr_scan *scan) {
    const gr_rollup *r = scan->rollup;
    bool is_within = !r->ranged || !scan->state || !scan->state->has_range;
    if (!r->can_build || !r->entity->can_build) return "a rollup serves that cannot be built";
    for (size_t i = 0; i < scan->group.components.n; i++) {
        const gr_component *wanted = &scan->group.components.v[i];
        const gr_rollup_component *c = gr_scan_stored_component(scan, wanted->stored_key);
        if (gr_scan_value_column(scan, wanted)) continue;
        if (!c || !has_stored(scan, c)) return "a component is not stored in the rollup that gives it";
    }
    for (size_t i = 0; i < plan->query->n_time_dimensions; i++) {
        const gr_time_field *t = &scan->times[i];
        const gr_rollup_column *c = gr_scan_stored_time(scan, t);
        if (!c || !c->granularity) return "a time dimension is not stored in the rollup that serves it";
        const gr_rollup_state *s = scan->state;
        bool is_limited = r->ranged && s && s->has_range && r->ranged->member == t->field.member;
        if (t->has_range && !scan->is_non_strict_range && !is_limited &&
            !gr_range_is_aligned(&t->range, c->granularity, t->anchor_local_us))
            return "the range of a rollup is not whole stored buckets";
        is_within |= is_limited && t->has_range && is_built(s, r->ranged, &t->range);
    }
    return is_within ? NULL : "a rollup serves time that its build range leaves out";
}

static const char *scan_fault(const gr_plan *plan, const gr_scan *scan) {
    if (scan->query != plan->query) return "a scan answers another query than its plan";
    if (!scan->group.tree.n) return "a scan without a fact";
    if (scan->group.key_node != GR_TREE_NONE && scan->group.key_node >= scan->group.tree.n)
        return "the key of a group is not in its tree";
    const char *fault = times_fault(plan, scan);
    return fault || !scan->rollup ? fault : rollup_fault(plan, scan);
}

/* ---- coverage
 * -------------------------------------------------------------------------------------------------------- */

typedef struct interval {
    int64_t from, to;
} interval;
typedef struct cuts {
    int64_t v[MOST_CUTS];
    size_t n;
} cuts;

static interval interval_of(const gr_time_field *t) {
    return t->has_range ? (interval){t->range.from_local_us, t->range.to_local_us} : (interval){INT64_MIN, INT64_MAX};
}

static bool add_cut(cuts *c, int64_t at) {
    size_t i = 0;
    while (i < c->n && c->v[i] < at) i++;
    if (i < c->n && c->v[i] == at) return true;
    if (c->n == MOST_CUTS) return false;
    memmove(&c->v[i + 1], &c->v[i], (c->n - i) * sizeof *c->v);
    c->v[i] = at;
    c->n++;
    return true;
}

/* Both sides of a cut, and the bounds that did not move, are the same point. */
static const char *instants_fault(const gr_time_field *a, const gr_time_field *b) {
    const struct {
        int64_t local, utc;
        bool is_ambiguous;
    } x[] = {{a->range.from_local_us, a->range.from_utc_us, a->range.is_from_ambiguous},
             {a->range.to_local_us, a->range.to_utc_us, a->range.is_to_ambiguous}},
      y[] = {{b->range.from_local_us, b->range.from_utc_us, b->range.is_from_ambiguous},
             {b->range.to_local_us, b->range.to_utc_us, b->range.is_to_ambiguous}};
    for (size_t i = 0; a->has_range && b->has_range && i < 2; i++)
        for (size_t k = 0; k < 2; k++)
            if (x[i].local == y[k].local && (x[i].utc != y[k].utc || x[i].is_ambiguous != y[k].is_ambiguous))
                return "one point on the wall clock is two instants";
    return NULL;
}

static bool is_in(const gr_scan *scan, const int64_t *point, size_t n_times) {
    for (size_t d = 0; d < n_times; d++) {
        interval i = interval_of(&scan->times[d]);
        if (point[d] < i.from || point[d] >= i.to) return false;
    }
    return true;
}

/* Every cell between the cuts is in exactly one scan. */
static const char *cells_fault(const gr_scan *const *scans, size_t n, const cuts *c, size_t n_times) {
    size_t at[MOST_TIMES] = {0};
    for (;;) {
        int64_t point[MOST_TIMES];
        for (size_t d = 0; d < n_times; d++) point[d] = c[d].v[at[d]];
        size_t hits = 0;
        for (size_t i = 0; i < n; i++) hits += is_in(scans[i], point, n_times);
        if (hits == 0) return "a part of the range is in no piece";
        if (hits > 1) return "a part of the range is in two pieces";
        size_t d = 0;
        while (d < n_times && ++at[d] + 1 >= c[d].n) at[d++] = 0;
        if (d == n_times) return NULL;
    }
}

static const char *boxes_fault(const gr_query *q, const gr_scan *const *scans, size_t n) {
    cuts c[MOST_TIMES] = {0};
    bool is_empty = false;
    if (q->n_time_dimensions > MOST_TIMES) return NULL;
    for (size_t d = 0; d < q->n_time_dimensions; d++) {
        interval whole = interval_of(&q->time_dimensions[d]);
        is_empty |= whole.from >= whole.to;
        if (!add_cut(&c[d], whole.from) || !add_cut(&c[d], whole.to)) return NULL;
        for (size_t i = 0; i < n; i++) {
            interval part = interval_of(&scans[i]->times[d]);
            if (part.from < whole.from || part.to > whole.to) return "a piece is outside of the range";
            if (part.from >= part.to && whole.from < whole.to) return "a piece of a range is empty";
            if (!add_cut(&c[d], part.from) || !add_cut(&c[d], part.to)) return "a range is cut in too many pieces";
            const char *fault = instants_fault(&q->time_dimensions[d], &scans[i]->times[d]);
            for (size_t k = 0; k < i && !fault; k++) fault = instants_fault(&scans[k]->times[d], &scans[i]->times[d]);
            if (fault) return fault;
        }
    }
    return is_empty ? NULL : cells_fault(scans, n, c, q->n_time_dimensions);
}

static const char *rigid_fault(const gr_query *q, const gr_scan *const *scans, size_t n) {
    for (size_t d = 0; d < q->n_time_dimensions; d++) {
        const gr_time_field *t = &q->time_dimensions[d];
        interval whole = interval_of(t);
        for (size_t i = 0; i < n; i++) {
            interval part = interval_of(&scans[i]->times[d]);
            int64_t ends[] = {part.from, part.to};
            for (size_t k = 0; k < 2; k++) {
                if (ends[k] == whole.from || ends[k] == whole.to) continue;
                if (!t->granularity || gr_granularity_floor(t->granularity, t->anchor_local_us, ends[k]) != ends[k])
                    return "what cannot be merged is put together from pieces of one group";
            }
        }
    }
    return NULL;
}

static const char *scans_fault(const gr_plan *plan, const gr_component *c, const gr_scan *const *scans, size_t n) {
    const gr_group *first = &scans[0]->group;
    for (size_t i = 1; i < n; i++) {
        const gr_group *g = &scans[i]->group;
        if (g->tree.nodes[0].cube != first->tree.nodes[0].cube) return "a component is given by two facts";
        if (!same_tree(&g->tree, &first->tree) || g->key_node != first->key_node || g->fact != first->fact)
            return "pieces of one group join other cubes";
        if (!same_components(&g->components, &first->components)) return "pieces of one group give other components";
    }
    const char *fault = boxes_fault(plan->query, scans, n);
    if (!fault && c && n > 1 && !gr_component_is_mergeable(c->agg)) fault = rigid_fault(plan->query, scans, n);
    return fault;
}

/* c == NULL: a plan of groups alone. */
static const char *component_fault(const gr_plan *plan, const gr_component *c) {
    const gr_scan *scans[MOST_CUTS];
    size_t n = 0, others = 0;
    for (size_t i = 0; i < plan->n_pieces; i++) {
        const gr_piece *p = &plan->pieces[i];
        if (c ? !has_key(&p->components, c->key) : p->components.n > 0) continue;
        if (p->kind != GR_PIECE_SCAN)
            others++;
        else if (n < MOST_CUTS)
            scans[n++] = &p->scan;
    }
    if (n + others == 0) return "a component is given by no piece";
    if (others > 1 || (others && n)) return "a component is given by two sorts of pieces";
    return n ? scans_fault(plan, c, scans, n) : NULL;
}

/* ---- windows and stages
 * ------------------------------------------------------------------------------------------------ */

static const char *window_fault(const gr_plan *plan, const gr_piece *piece) {
    const gr_window_read *w = &piece->window;
    if (w->time >= plan->query->n_time_dimensions) return "a window runs over no time dimension";
    const gr_time_field *t = &plan->query->time_dimensions[w->time], *base = &w->inner->query->time_dimensions[w->time];
    if (base->field.member != t->field.member) return "a window reads another time dimension";
    if (w->counts_values && piece->components.n != 1) return "a window counts the values of several measures";
    for (size_t i = 0; i < piece->components.n && !w->counts_values; i++)
        if (!has_key(&w->inner->components, piece->components.v[i].stored_key))
            return "a window does not read the component that it gives";
    if (!t->granularity) return w->n_buckets ? "a window has buckets where the answer has none" : NULL;
    if (!base->granularity) return "a window by buckets reads rows without a base grain";
    for (size_t i = 0; i < w->n_buckets; i++) {
        const gr_bucket *b = &w->buckets[i];
        int64_t next = gr_granularity_next(t->granularity, t->anchor_local_us, b->at_local_us);
        if (gr_granularity_floor(t->granularity, t->anchor_local_us, b->at_local_us) != b->at_local_us)
            return "a bucket of a window is none of the granularity";
        if (i + 1 < w->n_buckets ? w->buckets[i + 1].at_local_us != next : t->has_range && next < t->range.to_local_us)
            return "the buckets of a window leave something out";
        if (i == 0 && t->has_range && b->at_local_us > t->range.from_local_us)
            return "the buckets of a window start late";
        const int64_t ends[] = {b->from_local_us, b->to_local_us};
        for (size_t k = 0; k < 2; k++)
            if (ends[k] != INT64_MIN && ends[k] != INT64_MAX &&
                gr_granularity_floor(base->granularity, base->anchor_local_us, ends[k]) != ends[k])
                return "a stretch of a window cuts a bucket of the base grain";
    }
    return NULL;
}

static size_t group_columns(const gr_query *q) {
    size_t n = 0;
    for (size_t i = 0; i < q->n_columns; i++) n += q->columns[i].kind != GR_COLUMN_MEASURE;
    return n;
}

static const char *stage_fault(const gr_plan *plan, const gr_piece *piece) {
    const gr_stage_read *s = &piece->stage;
    if (!s->inner || (s->form == GR_STAGE_SPREAD) != (s->rows != NULL)) return "a stage lacks what it reads";
    size_t n = group_columns(plan->query), n_inner = group_columns(s->inner->query);
    bool is_place = s->form == GR_STAGE_SPREAD || s->form == GR_STAGE_FOLD || s->form == GR_STAGE_SHIFT;
    for (size_t i = 0; i < n; i++) {
        if (is_place && s->column_of[i] == SIZE_MAX && s->form != GR_STAGE_SPREAD)
            return "a stage does not give a column of the answer";
        if (is_place && s->column_of[i] != SIZE_MAX && s->column_of[i] >= n_inner)
            return "a stage reads a column that is not below it";
    }
    return NULL;
}

/* ---- plans
 * ----------------------------------------------------------------------------------------------------------- */

static const char *piece_fault(const gr_plan *plan, const gr_piece *p) {
    for (size_t i = 0; i < p->components.n; i++)
        if (!has_key(&plan->components, p->components.v[i].key)) return "a piece gives what nobody asked for";
    switch (p->kind) {
    case GR_PIECE_SCAN: return scan_fault(plan, &p->scan);
    case GR_PIECE_WINDOW: return window_fault(plan, p);
    case GR_PIECE_STAGE: return stage_fault(plan, p);
    }
    return "a piece of no kind";
}

const char *match_plan_fault(const gr_plan *plan) {
    const char *fault = plan->n_pieces ? NULL : "a plan without pieces";
    for (size_t i = 0; i < plan->n_pieces && !fault; i++) fault = piece_fault(plan, &plan->pieces[i]);
    for (size_t i = 0; i < plan->components.n && !fault; i++) fault = component_fault(plan, &plan->components.v[i]);
    if (!fault && !plan->components.n) fault = component_fault(plan, NULL);
    for (size_t i = 0; i < plan->n_pieces && !fault; i++) {
        const gr_piece *p = &plan->pieces[i];
        const gr_plan *inner[] = {p->window.inner, p->stage.inner, p->stage.rows};
        for (size_t k = 0; k < 3 && !fault; k++)
            if (inner[k]) fault = match_plan_fault(inner[k]);
    }
    return fault;
}

static size_t count(const gr_plan *plan, bool wants_buckets) {
    size_t n = 0;
    for (size_t i = 0; i < plan->n_pieces; i++) {
        const gr_piece *p = &plan->pieces[i];
        const gr_plan *inner[] = {p->window.inner, p->stage.inner, p->stage.rows};
        n += wants_buckets ? p->window.n_buckets : 1;
        for (size_t k = 0; k < 3; k++)
            if (inner[k]) n += count(inner[k], wants_buckets);
    }
    return n;
}

size_t match_plan_buckets(const gr_plan *plan) { return count(plan, true); }
size_t match_plan_pieces(const gr_plan *plan) { return count(plan, false); }
