/* Rolling windows and to-date measures (cube.md 5.8).
 *
 *      buckets of the answer        |----- f ------ t|----- f ------ t|
 *      trailing 7 days, end              [  t - 7 d ..  t]
 *      base grain                   | d | d | d | d | d | d | d | d | d |
 *
 * Below, the same components are planned without the window, at a base grain that divides both the answer's buckets and
 * the window, over the range widened by the window; so a rollup stores the measure un-windowed and serves it. Above,
 * the base rows of each bucket's stretch are merged. The stretches are worked out here, on the wall clock and by the
 * calendar, and the engine only compares.
 *
 * Invariant: each stretch begins and ends on a boundary of the base grain, or is unbounded. */
#include "plan/internal.h"

#define MS 1000

static const gr_time_field *time_of(const gr_query *q) {
    const gr_time_field *with_range = NULL;
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        if (q->time_dimensions[i].granularity) return &q->time_dimensions[i];
        if (!with_range && q->time_dimensions[i].has_range) with_range = &q->time_dimensions[i];
    }
    return with_range;
}

bool gr_window_has_time(const gr_query *q) { return time_of(q) != NULL; }

static bool same_interval(gr_interval a, gr_interval b) {
    return a.months == b.months && a.days == b.days && a.us == b.us;
}

bool gr_window_is_same(const gr_window *a, const gr_window *b) {
    return a->kind == b->kind && a->has_trailing == b->has_trailing &&
           a->is_trailing_unbounded == b->is_trailing_unbounded && a->has_leading == b->has_leading &&
           a->is_leading_unbounded == b->is_leading_unbounded && same_interval(a->trailing, b->trailing) &&
           same_interval(a->leading, b->leading) && a->is_offset_start == b->is_offset_start &&
           a->to_date == b->to_date;
}

static int64_t moved(gr_interval by, int sign, int64_t at) { return gr_interval_add(by, sign, at); }

typedef struct stretch {
    int64_t from, to;
} stretch;

/* The rows of [from, to) that the bucket [f, end) looks at. Of an end, the last millisecond is what an interval is
 * taken from: a month before February's last moment is January 28th's. */
static stretch stretch_of(const gr_window *w, int64_t f, int64_t end) {
    if (w->kind == GR_WINDOW_TO_DATE)
        return (stretch){gr_granularity_floor(gr_granularity_predefined(w->to_date), 0, f), end};
    int64_t at = w->is_offset_start ? f : end;
    int64_t last = w->is_offset_start ? f : end - MS, step = w->is_offset_start ? 0 : MS;
    stretch s = {at, at};
    if (w->is_trailing_unbounded)
        s.from = INT64_MIN;
    else if (w->has_trailing)
        s.from = moved(w->trailing, -1, last) + step;
    if (w->is_leading_unbounded)
        s.to = INT64_MAX;
    else if (w->has_leading)
        s.to = moved(w->leading, 1, last) + step;
    return s;
}

/* The range of the answer widened by the window. */
static stretch widened(const gr_window *w, stretch range) {
    stretch s = range;
    if (w->kind == GR_WINDOW_TO_DATE) {
        s.from = gr_granularity_floor(gr_granularity_predefined(w->to_date), 0, range.from);
        return s;
    }
    if (w->is_trailing_unbounded)
        s.from = INT64_MIN;
    else if (w->has_trailing)
        s.from = moved(w->trailing, -1, range.from);
    if (w->is_leading_unbounded)
        s.to = INT64_MAX;
    else if (w->has_leading)
        s.to = moved(w->leading, 1, range.to);
    if (s.from > range.from) s.from = range.from;
    if (s.to < range.to) s.to = range.to;
    return s;
}

/* Weeks of a window are seven days from anywhere, quarters three months. */
static gr_grain grain_of(const gr_window *w) {
    if (w->kind == GR_WINDOW_TO_DATE) return w->to_date;
    if (w->unit == GR_GRAIN_WEEK) return GR_GRAIN_DAY;
    return w->unit == GR_GRAIN_QUARTER || w->unit == GR_GRAIN_YEAR ? GR_GRAIN_MONTH : w->unit;
}

/* What the bounds of a stretch fall on: the end of a month moved by a month falls on a day. */
static gr_grain grain_of_stretch(const gr_window *w, stretch s) {
    gr_grain g = grain_of(w);
    if (s.from != INT64_MIN && g) g = gr_grain_common(g, gr_grain_of_point(s.from));
    if (s.to != INT64_MAX && g) g = gr_grain_common(g, gr_grain_of_point(s.to));
    return g;
}

static gr_status list_buckets(const gr_window *w, const gr_time_field *t, stretch range, gr_arena *arena,
                              gr_window_read *ret, gr_grain *ret_base, gr_error *err) {
    enum { MOST = 50000 };
    GR_VEC(gr_bucket) list = {0};
    gr_grain base = gr_granularity_base(t->granularity, t->anchor_local_us);
    int64_t at = gr_granularity_floor(t->granularity, t->anchor_local_us, range.from);
    while (range.from < range.to && at < range.to) {
        if (list.n == MOST)
            return gr_error_set(err, GR_ERR_PLAN_SERIES,
                                "A window over '" GR_FMT "' by " GR_FMT " would have more than %d buckets",
                                GR_ARG(t->field.id), GR_ARG(t->granularity->name), MOST);
        int64_t next = gr_granularity_next(t->granularity, t->anchor_local_us, at);
        stretch s = stretch_of(w, at, next);
        gr_bucket bucket = {at, s.from, s.to};
        GR_PUSH(arena, &list, bucket);
        gr_grain g = grain_of_stretch(w, s);
        if (g) base = gr_grain_common(base, g);
        at = next;
    }
    ret->buckets = list.v;
    ret->n_buckets = list.n;
    *ret_base = base;
    return GR_OK;
}

static const gr_span *span_of(const gr_planner *p, const gr_member *member) {
    for (size_t i = 0; i < p->options.n_spans; i++)
        if (p->options.spans[i].member == member) return &p->options.spans[i];
    return NULL;
}

/* The dateRange, or all that there is; false when that must be asked for first. */
static bool range_of(gr_planner *p, const gr_time_field *t, stretch *ret) {
    if (t->has_range) {
        *ret = (stretch){t->range.from_local_us, t->range.to_local_us};
        return true;
    }
    const gr_span *span = span_of(p, t->field.member);
    if (!span) {
        p->to_probe = t;
        return false;
    }
    *ret = (stretch){0, 0};
    if (span->is_empty) return true;
    ret->from = gr_granularity_floor(t->granularity, t->anchor_local_us, span->min_local_us);
    int64_t last = gr_granularity_floor(t->granularity, t->anchor_local_us, span->max_local_us);
    ret->to = gr_granularity_next(t->granularity, t->anchor_local_us, last);
    return true;
}

/* One row of the answer: the stretch is the range of the inner plan. */
static void read_once(const gr_window *w, stretch range, gr_time_field *inner, const gr_tz *tz) {
    stretch s = w->kind == GR_WINDOW_TO_DATE ? widened(w, range) : stretch_of(w, range.from, range.to);
    inner->range = gr_range_of_local(s.from, s.to, tz);
    inner->has_range = true; /* also without bounds: a row without time lies in no stretch */
}

typedef GR_VEC(gr_part) parts;

static void add_text(parts *out, const char *text, gr_arena *arena) {
    GR_PUSH(arena, out, ((gr_part){.kind = GR_PART_TEXT, .text = gr_str_from(text)}));
}

static void add_expr(parts *out, const gr_expr *e, const gr_cube *cube, gr_arena *arena) {
    add_text(out, "(", arena);
    if (e->is_column) {
        GR_PUSH(arena, out, ((gr_part){.kind = GR_PART_TABLE, .cube = cube}));
        add_text(out, ".", arena);
    }
    for (size_t i = 0; i < e->n_parts; i++) GR_PUSH(arena, out, e->parts[i]);
    add_text(out, ")", arena);
}

/* What a row contributes, as a dimension: CASE WHEN <the row is there, and passes the filters> THEN value END. */
static const gr_member *value_of(const gr_member *m, gr_arena *arena) {
    parts when = {0};
    for (size_t i = 0; i < m->cube->n_primary_keys; i++) {
        const gr_member *key = m->cube->primary_keys[i];
        if (when.n) add_text(&when, " AND ", arena);
        GR_PUSH(arena, &when, ((gr_part){.kind = GR_PART_MEMBER, .member = key, .cube = m->cube}));
        add_text(&when, " IS NOT NULL", arena);
    }
    for (size_t i = 0; i < m->n_filters; i++) {
        if (when.n) add_text(&when, " AND ", arena);
        add_expr(&when, m->filters[i], m->cube, arena);
    }
    if (!when.n) add_text(&when, "1 = 1", arena);
    gr_expr *test = GR_NEW(arena, gr_expr);
    *test = (gr_expr){.parts = when.v, .n_parts = when.n};
    gr_member *made = GR_NEW(arena, gr_member);
    *made = *m;
    made->kind = GR_MEMBER_DIMENSION;
    made->dim_type = GR_DIM_NUMBER; /* as it is in the source */
    made->n_filters = 0;
    made->cases = GR_NEW(arena, gr_case);
    made->cases[0] = (gr_case){.when = test, .label_sql = m->sql};
    made->n_cases = 1;
    return made;
}

/* A distinct count cannot be merged from base rows, so its values themselves are the base rows: one more dimension, the
 * cube's own where it has one of this column (which a rollup may store). */
static void add_values(const gr_component *c, gr_query *inner, gr_arena *arena) {
    const gr_cube *cube = c->measure->cube;
    const gr_member *value = NULL;
    for (size_t i = 0; i < cube->n_dimensions && c->value.n && !value && gr_component_is_column(c->measure); i++) {
        const gr_member *d = cube->dimensions[i];
        if (d->dim_type != GR_DIM_TIME && d->sql && gr_str_eq(gr_component_value(d, arena), c->value)) value = d;
    }
    if (!value) value = value_of(c->measure, arena);
    gr_field *dimensions = GR_NEW_N(arena, gr_field, inner->n_dimensions + 1);
    for (size_t i = 0; i < inner->n_dimensions; i++) dimensions[i] = inner->dimensions[i];
    dimensions[inner->n_dimensions++] = (gr_field){value->id, value, value, gr_tree_path_of_cube(cube, arena)};
    inner->dimensions = dimensions;
}

static gr_status plan_one(gr_planner *p, const gr_ask *ask, gr_plan *plan);

/* What merges is read together, each distinct count on its own. */
gr_status gr_window_plan(gr_planner *p, const gr_ask *ask, gr_plan *plan) {
    const gr_time_field *t = time_of(ask->query);
    for (size_t i = 0; i < ask->query->n_time_dimensions; i++) {
        const gr_time_field *other = &ask->query->time_dimensions[i];
        if (other != t && other->granularity && other->field.member == t->field.member)
            return gr_error_set(p->err, GR_ERR_PLAN_UNSUPPORTED,
                                "'" GR_FMT "' is over a window of '" GR_FMT "', which is asked by two granularities",
                                GR_ARG(ask->components.v[0].measure->id), GR_ARG(t->field.id));
    }
    gr_ask merged = {.snapshot = ask->snapshot, .query = ask->query, .whole = ask->whole};
    for (size_t i = 0; i < ask->components.n; i++)
        if (!t->granularity || gr_component_is_mergeable(ask->components.v[i].agg))
            GR_PUSH(p->arena, &merged.components, ask->components.v[i]);
    if (merged.components.n) GR_TRY(plan_one(p, &merged, plan));
    for (size_t i = 0; i < ask->components.n && t->granularity && !gr_planner_must_stop(p); i++) {
        if (gr_component_is_mergeable(ask->components.v[i].agg)) continue;
        gr_ask single = {.snapshot = ask->snapshot, .query = ask->query, .whole = ask->whole};
        GR_PUSH(p->arena, &single.components, ask->components.v[i]);
        GR_TRY(plan_one(p, &single, plan));
    }
    return GR_OK;
}

static gr_status plan_one(gr_planner *p, const gr_ask *ask, gr_plan *plan) {
    const gr_query *q = ask->query;
    const gr_window *w = ask->components.v[0].window;
    const gr_time_field *t = time_of(q);
    gr_piece piece = {.kind = GR_PIECE_WINDOW, .components = ask->components};
    piece.window.time = (size_t)(t - q->time_dimensions);
    piece.window.counts_values = t->granularity && !gr_component_is_mergeable(ask->components.v[0].agg);
    stretch range;
    if (!range_of(p, t, &range)) return GR_OK;
    gr_query *inner = gr_planner_inner_query(q, p->arena);
    gr_time_field *base_time = &inner->time_dimensions[piece.window.time];
    if (!t->granularity) {
        read_once(w, range, base_time, q->tz);
    } else {
        if (piece.window.counts_values) add_values(&ask->components.v[0], inner, p->arena);
        gr_grain base = GR_GRAIN_NONE;
        GR_TRY(list_buckets(w, t, range, p->arena, &piece.window, &base, p->err));
        stretch all = range.from < range.to ? widened(w, range) : range; /* nothing is asked for */
        base_time->granularity = gr_granularity_predefined(base);
        base_time->anchor_local_us = 0;
        base_time->range = gr_range_of_local(all.from, all.to, q->tz);
        base_time->has_range = true; /* a row without time lies in no stretch */
        piece.window.keeps_empty = true;
        for (size_t i = 0; i < q->n_columns; i++)
            piece.window.keeps_empty &=
                q->columns[i].kind == GR_COLUMN_MEASURE ||
                (q->columns[i].kind == GR_COLUMN_TIME && q->columns[i].index == piece.window.time);
    }
    gr_planner_group_columns(inner, p->arena);
    gr_ask below = {.snapshot = p->snapshot, .query = inner, .whole = ask->whole};
    for (size_t i = 0; i < ask->components.n && !piece.window.counts_values; i++) {
        gr_component c = ask->components.v[i];
        c.window = NULL;
        c.key = c.stored_key;
        gr_components_add(&below.components, &c, p->arena);
    }
    gr_plan *read = NULL;
    GR_TRY(gr_relation_plan(p, &below, &read));
    if (t->granularity) GR_TRY(gr_planner_check_repeats(read, t, p->arena, p->err));
    piece.window.inner = read;
    if (!plan->tree.n) plan->tree = read->tree;
    GR_PUSH(p->arena, &plan->piece_list, piece);
    return GR_OK;
}
