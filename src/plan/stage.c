/* Multi-stage measures (cube.md 5.9): a measure over measures, at a grain of its own.
 *
 *      time_shift            inner plan over the moved range; its buckets are moved back          SHIFT
 *      group_by, reduce_by   number: the value at the coarser grain, in each of its rows          SPREAD
 *                            sum, max …: the aggregate over the rows of the answer's grain        OVER
 *      add_group_by          the aggregate over rows of a finer grain                             FOLD
 *      rank                  over the rows of the answer's grain                                  RANK
 *
 * Below each stands a relation planned on its own, so that it may be served by a rollup. */
#include "plan/internal.h"

static gr_status unsupported(const gr_member *m, const char *what, gr_error *err) {
    return gr_error_set(err, GR_ERR_PLAN_UNSUPPORTED, "The multi-stage measure '" GR_FMT "' %s", GR_ARG(m->id), what);
}

static bool is_listed(const gr_member *const *list, size_t n, const gr_member *m) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == m) return true;
    return false;
}

/* ---- filters -------------------------------------------------------------------------------------------------------
 */

static bool filter_is_kept(const gr_stage *s, const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) {
        if (is_listed(s->filter_exclude, s->n_filter_exclude, f->field.member)) return false;
        return !s->has_filter_keep || is_listed(s->filter_keep, s->n_filter_keep, f->field.member);
    }
    for (size_t i = 0; i < f->n_children; i++)
        if (!filter_is_kept(s, f->children[i])) return false;
    return true;
}

static void keep_filters(const gr_stage *s, gr_query *q, gr_arena *arena) {
    if (!s->n_filter_exclude && !s->has_filter_keep) return;
    gr_filter **kept = GR_NEW_N(arena, gr_filter *, q->n_row_filters + 1);
    size_t n = 0;
    for (size_t i = 0; i < q->n_row_filters; i++)
        if (filter_is_kept(s, q->row_filters[i])) kept[n++] = q->row_filters[i];
    q->row_filters = kept;
    q->n_row_filters = n;
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        const gr_member *m = q->time_dimensions[i].field.member;
        bool is_out = is_listed(s->filter_exclude, s->n_filter_exclude, m) ||
                      (s->has_filter_keep && !is_listed(s->filter_keep, s->n_filter_keep, m));
        q->time_dimensions[i].has_range &= !is_out;
    }
}

/* ---- grains --------------------------------------------------------------------------------------------------------
 */

static bool is_in_grain(const gr_stage *s, const gr_member *m) {
    if (s->has_group_by) return is_listed(s->group_by, s->n_group_by, m);
    return !is_listed(s->reduce_by, s->n_reduce_by, m);
}

/* Only the columns of the stage's grain; a time dimension that is not grouped by still limits the rows. */
static void reduce(const gr_stage *s, gr_query *q, gr_arena *arena) {
    gr_field *kept = GR_NEW_N(arena, gr_field, q->n_dimensions + 1);
    size_t n = 0;
    for (size_t i = 0; i < q->n_dimensions; i++)
        if (is_in_grain(s, q->dimensions[i].member)) kept[n++] = q->dimensions[i];
    q->dimensions = kept;
    q->n_dimensions = n;
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (!is_in_grain(s, q->time_dimensions[i].field.member)) q->time_dimensions[i].granularity = NULL;
}

static void extend(const gr_stage *s, gr_query *q, gr_arena *arena) {
    gr_field *more = GR_NEW_N(arena, gr_field, q->n_dimensions + s->n_add_group_by + 1);
    size_t n = q->n_dimensions;
    if (n) memcpy(more, q->dimensions, n * sizeof *more);
    for (size_t i = 0; i < s->n_add_group_by; i++) {
        const gr_member *m = s->add_group_by[i];
        bool is_there = false;
        for (size_t k = 0; k < n; k++) is_there |= more[k].member == m;
        if (!is_there) more[n++] = (gr_field){m->id, m, m, gr_tree_path_of_cube(m->cube, arena)};
    }
    q->dimensions = more;
    q->n_dimensions = n;
}

static const gr_member *member_of(const gr_query *q, const gr_query_column *c) {
    return c->kind == GR_COLUMN_DIMENSION ? q->dimensions[c->index].member : q->time_dimensions[c->index].field.member;
}

static bool is_same_column(const gr_query *a, const gr_query_column *x, const gr_query *b, const gr_query_column *y) {
    if (x->kind != y->kind || member_of(a, x) != member_of(b, y)) return false;
    return x->kind == GR_COLUMN_DIMENSION || x->index == y->index;
}

/* Places of the outer group columns among the inner ones. */
static size_t *places(const gr_query *outer, const gr_query *inner, gr_arena *arena) {
    size_t *out = GR_NEW_N(arena, size_t, outer->n_columns + 1), n = 0;
    for (size_t i = 0; i < outer->n_columns; i++) {
        if (outer->columns[i].kind == GR_COLUMN_MEASURE) continue;
        out[n] = SIZE_MAX;
        for (size_t k = 0; k < inner->n_columns; k++)
            if (is_same_column(outer, &outer->columns[i], inner, &inner->columns[k])) out[n] = k;
        n++;
    }
    return out;
}

/* By outer group column: SIZE_MAX for those that the stage does not tell apart. */
static size_t *partitions(const gr_stage *s, const gr_query *q, gr_arena *arena) {
    size_t *out = GR_NEW_N(arena, size_t, q->n_columns + 1), n = 0;
    for (size_t i = 0; i < q->n_columns; i++) {
        if (q->columns[i].kind == GR_COLUMN_MEASURE) continue;
        out[n] = is_in_grain(s, member_of(q, &q->columns[i])) ? n : SIZE_MAX;
        n++;
    }
    return out;
}

/* ---- time shifts ---------------------------------------------------------------------------------------------------
 */

static gr_grain unit_of(gr_interval i) {
    if (i.us) return i.us % 3600000000 == 0 ? GR_GRAIN_HOUR : i.us % 60000000 == 0 ? GR_GRAIN_MINUTE : GR_GRAIN_SECOND;
    return i.days ? GR_GRAIN_DAY : GR_GRAIN_MONTH;
}

/* Moving by whole buckets keeps buckets whole; otherwise finer ones are moved and cut anew. */
static bool moves_whole_buckets(const gr_time_shift *shift, const gr_granularity *g) {
    gr_interval i = shift->interval;
    switch (g->grain) {
    case GR_GRAIN_MONTH: return !i.days && !i.us;
    case GR_GRAIN_QUARTER: return !i.days && !i.us && i.months % 3 == 0;
    case GR_GRAIN_YEAR: return !i.days && !i.us && i.months % 12 == 0;
    case GR_GRAIN_WEEK: return !i.months && !i.us && i.days % 7 == 0;
    case GR_GRAIN_DAY: return !i.months && !i.us;
    case GR_GRAIN_HOUR: return !i.months && i.us % 3600000000 == 0;
    case GR_GRAIN_MINUTE: return !i.months && i.us % 60000000 == 0;
    case GR_GRAIN_SECOND: return !i.months;
    case GR_GRAIN_NONE:
    case GR_GRAIN_CUSTOM:
    case GR_GRAIN__COUNT: break;
    }
    return false;
}

static bool is_mergeable(const gr_components *all) {
    for (size_t i = 0; i < all->n; i++)
        if (!gr_component_is_mergeable(all->v[i].agg)) return false;
    return true;
}

/* The first moment that, moved by the interval, is not before `at`: the ends of long months fall on the end of a short
 * one, so that going back by the interval may be some days early. */
static int64_t unshifted(gr_interval interval, int64_t at) {
    static const int64_t day_us = 86400000000;
    int64_t x = gr_interval_add(interval, -1, at);
    for (int i = 0; i < 4 && gr_interval_add(interval, 1, x) < at; i++)
        x = gr_granularity_floor(gr_granularity_predefined(GR_GRAIN_DAY), 0, x) + day_us;
    return x;
}

static bool filters_on(const gr_filter *f, const gr_member *m) {
    if (f->kind == GR_FILTER_LEAF) return f->field.member == m;
    for (size_t i = 0; i < f->n_children; i++)
        if (filters_on(f->children[i], m)) return true;
    return false;
}

static gr_status shift_times(const gr_member *m, const gr_components *components, gr_query *q, gr_stage_read *ret,
                             gr_arena *arena, gr_error *err) {
    const gr_stage *s = m->stage;
    ret->shifts = GR_NEW_N(arena, const gr_time_shift *, q->n_time_dimensions + 1);
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        gr_time_field *t = &q->time_dimensions[i];
        for (size_t k = 0; k < s->n_shifts; k++)
            if (!s->shifts[k].time || s->shifts[k].time == t->field.member) ret->shifts[i] = &s->shifts[k];
        const gr_time_shift *shift = ret->shifts[i];
        if (!shift) continue;
        for (size_t k = 0; k < q->n_row_filters; k++)
            if (filters_on(q->row_filters[k], t->field.member))
                return unsupported(m, "is moved in time, and a filter on that time is not; give a dateRange instead",
                                   err);
        if (t->has_range) {
            int64_t from = t->range.from_local_us, to = t->range.to_local_us;
            if (from != INT64_MIN) from = unshifted(shift->interval, from);
            if (to != INT64_MAX) to = unshifted(shift->interval, to);
            t->range = gr_range_of_local(from, to < from ? from : to, q->tz);
        }
        if (!t->granularity || moves_whole_buckets(shift, t->granularity)) continue;
        if (!is_mergeable(components))
            return unsupported(m, "moves part of a bucket, and what it reads cannot be merged", err);
        gr_grain g = gr_grain_common(gr_granularity_base(t->granularity, t->anchor_local_us), unit_of(shift->interval));
        if (g == GR_GRAIN_MONTH || g == GR_GRAIN_QUARTER || g == GR_GRAIN_YEAR || g == GR_GRAIN_WEEK) g = GR_GRAIN_DAY;
        t->granularity = gr_granularity_predefined(g); /* month ends clamp: days are moved one by one */
        t->anchor_local_us = 0;
    }
    return GR_OK;
}

/* ---- the stage -----------------------------------------------------------------------------------------------------
 */

static void inner_components(const gr_planner *p, const gr_expr *sql, gr_components *out) {
    for (size_t i = 0; sql && i < sql->n_parts; i++)
        if (sql->parts[i].kind == GR_PART_MEMBER && sql->parts[i].member->kind == GR_MEMBER_MEASURE)
            gr_measure_components(p->snapshot->index, gr_member_base(sql->parts[i].member), p->arena, out);
}

void gr_stage_components(gr_planner *p, const gr_member *m, gr_components *out) {
    inner_components(p, m->sql, out);
    for (size_t i = 0; i < m->stage->n_order_by; i++) inner_components(p, m->stage->order_by[i].sql, out);
}

static gr_status relation(gr_planner *p, gr_query *q, const gr_components *components, const gr_plan **ret) {
    gr_planner_group_columns(q, p->arena);
    gr_ask ask = {
        .snapshot = p->snapshot, .query = q, .components = *components, .whole = p->whole.query ? &p->whole : NULL};
    gr_plan *plan = NULL;
    GR_TRY(gr_relation_plan(p, &ask, &plan));
    *ret = plan;
    return GR_OK;
}

static gr_stage_form form_of(const gr_member *m) {
    const gr_stage *s = m->stage;
    if (m->agg == GR_MEASURE_RANK) return GR_STAGE_RANK;
    if (s->n_shifts) return GR_STAGE_SHIFT;
    if (s->n_add_group_by) return GR_STAGE_FOLD;
    return m->is_calculated ? GR_STAGE_SPREAD : GR_STAGE_OVER;
}

static gr_status check_form(const gr_member *m, gr_stage_form form, gr_error *err) {
    const gr_stage *s = m->stage;
    bool is_reduced = s->has_group_by || s->n_reduce_by;
    if (form == GR_STAGE_SHIFT && (s->n_add_group_by || is_reduced))
        return unsupported(m, "has a time_shift and a grain of its own; put one of them on a measure below it", err);
    if (form == GR_STAGE_FOLD && is_reduced)
        return unsupported(m, "both adds to the grain and reduces it; put one of them on a measure below it", err);
    bool aggregates = !m->is_calculated || m->agg == GR_MEASURE_NUMBER_AGG;
    if (form == GR_STAGE_FOLD && !aggregates)
        return unsupported(m, "adds to the grain, so its type must aggregate (sum, avg, max, number_agg …)", err);
    if (form == GR_STAGE_OVER && (m->agg == GR_MEASURE_COUNT_DISTINCT || m->agg == GR_MEASURE_COUNT_DISTINCT_APPROX))
        return unsupported(m, "counts distinct values over a reduced grain", err);
    return GR_OK;
}

/* What has the rows that the value is spread over: all else of the answer, and what it is computed from. */
static gr_components spread_over(const gr_ask *ask, const gr_components *below, gr_arena *arena) {
    gr_components rows = {0};
    for (size_t i = 0; i < below->n; i++) gr_components_add(&rows, &below->v[i], arena);
    for (size_t i = 0; i < ask->components.n; i++) {
        const gr_component *c = &ask->components.v[i];
        bool is_spread = c->agg == GR_AGG_STAGE && form_of(c->measure) == GR_STAGE_SPREAD;
        if (!is_spread) gr_components_add(&rows, c, arena);
    }
    return rows;
}

gr_status gr_stage_plan(gr_planner *p, const gr_ask *ask, const gr_component *c, gr_plan *plan) {
    const gr_member *m = c->measure;
    gr_piece piece = {.kind = GR_PIECE_STAGE};
    GR_PUSH(p->arena, &piece.components, *c);
    gr_stage_read *read = &piece.stage;
    *read = (gr_stage_read){.form = form_of(m), .measure = m};
    GR_TRY(check_form(m, read->form, p->err));
    gr_components below = {0};
    gr_stage_components(p, m, &below);
    gr_query *inner = gr_planner_inner_query(ask->query, p->arena);
    keep_filters(m->stage, inner, p->arena);
    switch (read->form) {
    case GR_STAGE_SHIFT: GR_TRY(shift_times(m, &below, inner, read, p->arena, p->err)); break;
    case GR_STAGE_SPREAD: reduce(m->stage, inner, p->arena); break;
    case GR_STAGE_FOLD: extend(m->stage, inner, p->arena); break;
    case GR_STAGE_OVER:
    case GR_STAGE_RANK: break;
    }
    GR_TRY(relation(p, inner, &below, &read->inner));
    if (gr_planner_must_stop(p)) return GR_OK;
    for (size_t i = 0; read->shifts && i < inner->n_time_dimensions; i++) /* finer buckets are merged */
        if (inner->time_dimensions[i].granularity != ask->query->time_dimensions[i].granularity)
            GR_TRY(gr_planner_check_repeats(read->inner, &inner->time_dimensions[i], p->arena, p->err));
    if (read->form == GR_STAGE_SPREAD) {
        gr_components rows = spread_over(ask, &below, p->arena);
        GR_TRY(relation(p, gr_planner_inner_query(ask->query, p->arena), &rows, &read->rows));
    }
    bool is_partitioned = read->form == GR_STAGE_OVER || read->form == GR_STAGE_RANK;
    read->column_of = is_partitioned ? partitions(m->stage, ask->query, p->arena) : places(ask->query, inner, p->arena);
    if (!plan->tree.n) plan->tree = read->inner->tree;
    GR_PUSH(p->arena, &plan->piece_list, piece);
    return GR_OK;
}
