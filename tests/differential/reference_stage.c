/* Multi-stage measures by definition (cube.md 5.9): a measure over the groups of a query of its own.
 *
 *      group_by, reduce_by   number: its value at the coarser grain; else the aggregate over the answer's groups that
 *                            agree in the columns kept
 *      add_group_by          the aggregate over finer groups
 *      time_shift            the same groups, of rows moved in time
 *      rank                  among the answer's groups that agree in the columns kept */
#include "differential/reference_internal.h"

#include <stdlib.h>

struct diff_inner {
    diff_inner *next;
    diff_measure_id id;
    gr_query query;
    diff_shift shift;
    diff_evaluation evaluation; /* of the measure below, at the stage's own grain */
    diff_groups brought;        /* the answer's groups that it knows of; in others it is null */
    size_t *column_of;          /* by group column of the answer: its column there; SIZE_MAX: not looked at */
};

static bool lists(const diff_evaluation *e, const diff_stage *s, size_t cube, const gr_member *m) {
    for (size_t i = 0; i < s->n_dims; i++)
        if (diff_cube_of(e->world, m) == cube && diff_index_of(e->world, m) == s->dims[i]) return true;
    return false;
}

static bool keeps(const diff_evaluation *e, const diff_stage *s, size_t cube, const gr_member *m) {
    return lists(e, s, cube, m) == (s->kind == DIFF_STAGE_GROUP_BY);
}

static const gr_member *member_of(const gr_query *q, const gr_query_column *c) {
    return c->kind == GR_COLUMN_TIME ? q->time_dimensions[c->index].field.member : q->dimensions[c->index].member;
}

/* A copy that shares nothing which is changed here, with its group columns alone. */
static gr_query copy_of(const gr_query *q, size_t n_more, gr_arena *arena) {
    gr_query copy = *q;
    copy.dimensions = GR_NEW_N(arena, gr_field, q->n_dimensions + n_more + 1);
    if (q->n_dimensions) memcpy(copy.dimensions, q->dimensions, q->n_dimensions * sizeof *q->dimensions);
    copy.time_dimensions = GR_NEW_N(arena, gr_time_field, q->n_time_dimensions + 1);
    if (q->n_time_dimensions)
        memcpy(copy.time_dimensions, q->time_dimensions, q->n_time_dimensions * sizeof *q->time_dimensions);
    copy.columns = GR_NEW_N(arena, gr_query_column, q->n_dimensions + q->n_time_dimensions + n_more + 1);
    return copy;
}

void diff_list_columns(gr_query *q) {
    q->n_columns = 0;
    for (size_t i = 0; i < q->n_dimensions; i++)
        q->columns[q->n_columns++] = (gr_query_column){.kind = GR_COLUMN_DIMENSION, .index = i};
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (q->time_dimensions[i].granularity)
            q->columns[q->n_columns++] = (gr_query_column){.kind = GR_COLUMN_TIME, .index = i};
}

static void reduce(const diff_evaluation *e, const diff_stage *s, size_t cube, gr_query *q) {
    size_t n = 0;
    for (size_t i = 0; i < q->n_dimensions; i++)
        if (keeps(e, s, cube, q->dimensions[i].member)) q->dimensions[n++] = q->dimensions[i];
    q->n_dimensions = n;
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (!keeps(e, s, cube, q->time_dimensions[i].field.member)) q->time_dimensions[i].granularity = NULL;
}

static void extend(const diff_evaluation *e, const diff_stage *s, size_t cube, gr_query *q) {
    const diff_cube *c = &e->world->cubes[cube];
    for (size_t i = 0; i < s->n_dims; i++) {
        bool is_there = false;
        for (size_t k = 0; k < q->n_dimensions; k++) {
            const gr_member *m = q->dimensions[k].member;
            is_there |= diff_cube_of(e->world, m) == cube && diff_index_of(e->world, m) == s->dims[i];
        }
        if (is_there) continue;
        gr_field f = {0};
        gr_str id = gr_arena_printf(e->arena, GR_FMT "." GR_FMT, GR_ARG(c->name), GR_ARG(c->dims[s->dims[i]].name));
        if (gr_model_member(q->model, id, &f.member, NULL)) abort();
        f.asked = f.member;
        q->dimensions[q->n_dimensions++] = f;
    }
}

/* ---- time shifts ----------------------------------------------------------------------------------------------------
 */

static bool moves_whole(const gr_granularity *g, gr_interval by) {
    bool is_months = !by.days && !by.us, is_days = !by.months && !by.us;
    switch (g->grain) {
    case GR_GRAIN_YEAR: return is_months && by.months % 12 == 0;
    case GR_GRAIN_QUARTER: return is_months && by.months % 3 == 0;
    case GR_GRAIN_MONTH: return is_months;
    case GR_GRAIN_WEEK: return is_days && by.days % 7 == 0;
    case GR_GRAIN_DAY: return is_days;
    case GR_GRAIN_HOUR:
    case GR_GRAIN_MINUTE:
    case GR_GRAIN_SECOND: return is_days;
    case GR_GRAIN_NONE:
    case GR_GRAIN_CUSTOM:
    case GR_GRAIN__COUNT: break;
    }
    return false;
}

static const gr_granularity *shifted_grain(const gr_time_field *t, gr_interval by) {
    if (moves_whole(t->granularity, by)) return t->granularity;
    gr_grain base = gr_granularity_base(t->granularity, t->anchor_local_us);
    return gr_granularity_predefined(base < GR_GRAIN_DAY ? base : GR_GRAIN_DAY);
}

static bool is_about(const gr_filter *f, const gr_member *m) {
    if (f->kind == GR_FILTER_LEAF) return f->field.member == m;
    for (size_t i = 0; i < f->n_children; i++)
        if (is_about(f->children[i], m)) return true;
    return false;
}

static gr_status move(const diff_stage *s, bool is_mergeable, gr_query *q, diff_shift *ret) {
    gr_interval by;
    if (!gr_interval_parse(gr_str_from(s->interval), false, &by)) abort();
    if (s->is_next) by = (gr_interval){-by.months, -by.days, -by.us};
    *ret = (diff_shift){.time = SIZE_MAX, .interval = by};
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        gr_time_field *t = &q->time_dimensions[i];
        for (size_t k = 0; k < q->n_row_filters; k++) /* the filter would be about the time before it is moved */
            if (is_about(q->row_filters[k], t->field.member)) return GR_ERR_PLAN_UNSUPPORTED;
        if (!t->granularity) continue;
        ret->time = i;
        ret->base = shifted_grain(t, by);
        if (ret->base != t->granularity && !is_mergeable) return GR_ERR_PLAN_UNSUPPORTED;
    }
    return GR_OK;
}

/* ---- what it brings -------------------------------------------------------------------------------------------------
 */

static bool is_mergeable(const diff_evaluation *e, size_t cube, size_t index) {
    diff_leaves leaves = {0};
    diff_leaves_of(e->world, cube, index, e->arena, &leaves, NULL);
    for (size_t i = 0; i < leaves.n; i++)
        if (!diff_is_mergeable(&leaves.v[i])) return false;
    return true;
}

static bool is_value(const diff_measure *m) { return m->type == DIFF_CALC_NUMBER; }

static bool is_spread(const diff_measure *m) {
    return is_value(m) && (m->stage->kind == DIFF_STAGE_GROUP_BY || m->stage->kind == DIFF_STAGE_REDUCE_BY);
}

static void find_columns(const diff_evaluation *e, const diff_stage *s, size_t cube, diff_inner *inner) {
    inner->column_of = GR_NEW_N(e->arena, size_t, e->n_keys + 1);
    for (size_t i = 0; i < e->n_keys; i++) {
        const gr_query_column *c = &e->query->columns[i];
        bool is_kept = s->kind == DIFF_STAGE_ADD_GROUP_BY || s->kind == DIFF_STAGE_SHIFT ||
                       keeps(e, s, cube, member_of(e->query, c));
        inner->column_of[i] = SIZE_MAX;
        for (size_t k = 0; is_kept && k < inner->query.n_columns; k++) {
            const gr_query_column *d = &inner->query.columns[k];
            bool is_same = c->kind == d->kind && member_of(e->query, c) == member_of(&inner->query, d);
            if (is_same && (c->kind == GR_COLUMN_DIMENSION || c->index == d->index)) inner->column_of[i] = k;
        }
    }
}

/* The answer's groups: those of the measure below, at the answer's own grain or moved there. */
static gr_status bring_groups(diff_evaluation *e, diff_inner *inner, const diff_measure_ids *below) {
    const diff_stage *s = e->world->cubes[inner->id.cube].measures[inner->id.index].stage;
    diff_evaluation same_grain, *from = &inner->evaluation;
    bool is_other_grain = s->kind != DIFF_STAGE_SHIFT && s->kind != DIFF_STAGE_RANK;
    if (is_other_grain) {
        gr_query *copy = GR_NEW(e->arena, gr_query);
        *copy = copy_of(e->query, 0, e->arena);
        diff_list_columns(copy);
        GR_TRY(diff_evaluate(e->world, copy, below, e->frame, NULL, e->arena, &same_grain));
        from = &same_grain;
    }
    for (size_t i = 0; i < from->groups.n; i++)
        GR_PUSH(e->arena, &inner->brought, diff_group_at(e, from->groups.v[i]->values));
    return GR_OK;
}

gr_status diff_add_stage(diff_evaluation *e, diff_measure_id id) {
    const diff_measure *m = &e->world->cubes[id.cube].measures[id.index];
    const diff_stage *s = m->stage;
    diff_inner *inner = GR_NEW(e->arena, diff_inner);
    diff_measure_ids below = {0};
    GR_PUSH(e->arena, &below, (diff_measure_id){id.cube, s->of});
    *inner = (diff_inner){.next = e->inner, .id = id, .query = copy_of(e->query, s->n_dims, e->arena)};
    bool is_shift = s->kind == DIFF_STAGE_SHIFT;
    bool is_reduced = s->kind == DIFF_STAGE_GROUP_BY || s->kind == DIFF_STAGE_REDUCE_BY;
    if (is_shift) GR_TRY(move(s, is_mergeable(e, id.cube, s->of), &inner->query, &inner->shift));
    if (s->kind == DIFF_STAGE_ADD_GROUP_BY) extend(e, s, id.cube, &inner->query);
    if (is_reduced && is_value(m)) reduce(e, s, id.cube, &inner->query);
    diff_list_columns(&inner->query);
    GR_TRY(diff_evaluate(e->world, &inner->query, &below, e->frame, is_shift ? &inner->shift : NULL, e->arena,
                         &inner->evaluation));
    size_t time = inner->shift.time;
    if (is_shift && time != SIZE_MAX && inner->shift.base != inner->query.time_dimensions[time].granularity)
        GR_TRY(diff_check_repeats(&inner->evaluation, 0, &inner->query.time_dimensions[time]));
    find_columns(e, s, id.cube, inner);
    GR_TRY(bring_groups(e, inner, &below));
    e->inner = inner;
    return GR_OK;
}

/* ---- values ---------------------------------------------------------------------------------------------------------
 */

static bool agrees(const diff_evaluation *e, const diff_inner *inner, const diff_group *own, const diff_group *other) {
    for (size_t i = 0; i < e->n_keys; i++) {
        size_t at = inner->column_of[i];
        if (at != SIZE_MAX && !diff_same(&own->values[i], &other->values[at])) return false;
    }
    return true;
}

static diff_value rank_of(diff_evaluation *e, const diff_stage *s, const diff_value *values, size_t n,
                          const diff_value *own) {
    size_t before = 0;
    for (size_t i = 0; i < n; i++) {
        const diff_value *v = &values[i];
        if (v->kind == DIFF_NULL || own->kind == DIFF_NULL) {
            before += own->kind == DIFF_NULL && v->kind != DIFF_NULL;
            continue;
        }
        bool is_close = false;
        int order = diff_cmp(v, own, &is_close);
        e->is_unsure |= is_close && v != own;
        before += s->is_desc ? order > 0 : order < 0;
    }
    return diff_int((diff_wide)before + 1);
}

diff_value diff_stage_value(void *evaluation, size_t cube, size_t index) {
    diff_evaluation *e = evaluation;
    const diff_measure *m = &e->world->cubes[cube].measures[index];
    const diff_stage *s = m->stage;
    diff_inner *inner = e->inner;
    while (inner->id.cube != cube || inner->id.index != index) inner = inner->next;
    diff_evaluation *below = &inner->evaluation;
    const diff_group *group = e->group;
    bool is_brought = is_spread(m); /* in every row of the whole answer */
    for (size_t i = 0; i < inner->brought.n && !is_brought; i++) is_brought = inner->brought.v[i] == group;
    if (!is_brought) return diff_null();
    GR_VEC(diff_value) values = {0};
    diff_value own = diff_null();
    bool is_there = false; /* the group of the answer is one of those below */
    for (size_t i = 0; i < below->groups.n; i++) {
        const diff_group *g = below->groups.v[i];
        if (!agrees(e, inner, group, g)) continue;
        diff_value v = diff_measure_in(below, g, cube, s->of);
        GR_PUSH(e->arena, &values, v);
        bool is_own = true;
        for (size_t k = 0; s->kind == DIFF_STAGE_RANK && k < e->n_keys; k++)
            is_own &= diff_same(&g->values[k], &group->values[k]);
        if (is_own) own = v;
        is_there |= is_own;
    }
    e->is_unsure |= below->is_unsure;
    if (s->kind == DIFF_STAGE_RANK) return is_there ? rank_of(e, s, values.v, values.n, &own) : diff_null();
    if (s->kind != DIFF_STAGE_SHIFT && !is_value(m)) return diff_aggregate(values.v, values.n, m->type, e->arena);
    return own; /* null when nothing was moved there */
}
