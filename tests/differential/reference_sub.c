/* sub_query dimensions by definition (cube.md 5.9): a measure of another cube by the keys of this one, met by those
 * keys. With propagate_filters_to_sub_query the conditions of the query hold inside too, each whose members the joins
 * of the inner query reach. */
#include "differential/reference_internal.h"

#include <stdlib.h>

typedef struct diff_sub_query {
    struct diff_sub_query *next;
    size_t cube, index;
    diff_value *values; /* by row of the cube's table */
} diff_sub_query;

/* ---- what takes part ------------------------------------------------------------------------------------------------
 */

static bool expr_has_sub_query(const diff_world *w, const diff_expr *e);

static bool dim_has_sub_query(const diff_world *w, size_t cube, size_t index) {
    const diff_dim *d = &w->cubes[cube].dims[index];
    return d->is_sub_query || expr_has_sub_query(w, d->sql) || expr_has_sub_query(w, d->cases);
}

static bool expr_has_sub_query(const diff_world *w, const diff_expr *e) {
    if (!e) return false;
    if (e->op == DIFF_OP_MEMBER && dim_has_sub_query(w, e->cube, e->index)) return true;
    for (size_t i = 0; i < e->n_args; i++)
        if (expr_has_sub_query(w, e->args[i])) return true;
    return false;
}

static bool filter_has_sub_query(const diff_world *w, const gr_filter *f) {
    const gr_member *m = f->field.member;
    if (f->kind == GR_FILTER_LEAF)
        return m->kind == GR_MEMBER_DIMENSION && dim_has_sub_query(w, diff_cube_of(w, m), diff_index_of(w, m));
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_has_sub_query(w, f->children[i])) return true;
    return false;
}

static bool can_join(const diff_evaluation *e, const gr_query *q, const diff_measure_ids *measures) {
    diff_frame frame;
    diff_find_frame(e->world, q, measures, e->arena, &frame);
    return frame.has_tree;
}

static void take_over(const diff_evaluation *e, const gr_query *outer, const diff_measure_ids *measures, gr_query *q) {
    q->row_filters = GR_NEW_N(e->arena, gr_filter *, outer->n_row_filters + 1);
    for (size_t i = 0; i < outer->n_row_filters; i++) {
        if (filter_has_sub_query(e->world, outer->row_filters[i])) continue;
        q->row_filters[q->n_row_filters++] = outer->row_filters[i];
        if (!can_join(e, q, measures)) q->n_row_filters--;
    }
    q->segments = GR_NEW_N(e->arena, gr_field, outer->n_segments + 1);
    for (size_t i = 0; i < outer->n_segments; i++) {
        const gr_member *m = outer->segments[i].member;
        const diff_segment *s = &e->world->cubes[diff_cube_of(e->world, m)].segments[diff_index_of(e->world, m)];
        if (expr_has_sub_query(e->world, s->sql)) continue;
        q->segments[q->n_segments++] = outer->segments[i];
        if (!can_join(e, q, measures)) q->n_segments--;
    }
    q->time_dimensions = GR_NEW_N(e->arena, gr_time_field, outer->n_time_dimensions + 1);
    for (size_t i = 0; i < outer->n_time_dimensions; i++) {
        if (!outer->time_dimensions[i].has_range) continue;
        q->time_dimensions[q->n_time_dimensions] = outer->time_dimensions[i];
        q->time_dimensions[q->n_time_dimensions++].granularity = NULL;
        if (!can_join(e, q, measures)) q->n_time_dimensions--;
    }
}

/* ---- values ---------------------------------------------------------------------------------------------------------
 */

static gr_field field_of(const diff_evaluation *e, const gr_query *q, size_t cube, gr_str name) {
    gr_field f = {0};
    gr_str id = gr_arena_printf(e->arena, GR_FMT "." GR_FMT, GR_ARG(e->world->cubes[cube].name), GR_ARG(name));
    if (gr_model_member(q->model, id, &f.member, NULL)) abort();
    f.asked = f.member;
    return f;
}

static void name_way(const diff_evaluation *e, const gr_query *q, size_t from, gr_field *f) {
    const gr_cube **cubes = GR_NEW_N(e->arena, const gr_cube *, 2);
    for (size_t i = 0; i < q->model->n_cubes; i++)
        if (gr_str_eq(q->model->cubes[i]->name, e->world->cubes[from].name)) cubes[0] = q->model->cubes[i];
    cubes[1] = f->member->cube;
    f->path.cubes = cubes;
    f->path.n = 2;
}

static diff_value value_of_key(diff_evaluation *inner, const diff_value *keys, size_t cube, size_t index) {
    for (size_t i = 0; i < inner->n_keys; i++)
        if (keys[i].kind == DIFF_NULL) return diff_null();
    for (size_t i = 0; i < inner->groups.n; i++) {
        const diff_group *g = inner->groups.v[i];
        bool is_same = true;
        for (size_t k = 0; k < inner->n_keys; k++) is_same &= diff_same(&g->values[k], &keys[k]);
        if (is_same) return diff_measure_in(inner, g, cube, index);
    }
    return diff_null();
}

static gr_query query_of(const diff_evaluation *e, size_t cube, const diff_dim *dim, const diff_measure_ids *measures) {
    const gr_query *outer = e->frame->query;
    const diff_cube *c = &e->world->cubes[cube];
    gr_query q = {.model = outer->model, .tz = outer->tz, .limit = -1, .n_measures = 1};
    q.measures = GR_NEW(e->arena, gr_field);
    size_t to = measures->v[0].cube;
    q.measures[0] = field_of(e, &q, to, e->world->cubes[to].measures[measures->v[0].index].name);
    q.dimensions = GR_NEW_N(e->arena, gr_field, c->n_dims + 1);
    for (size_t i = 0; i < c->n_joins; i++) /* by the join that the reference to the measure names */
        if (c->joins[i].to == to) name_way(e, &q, cube, &q.measures[0]);
    q.columns = GR_NEW_N(e->arena, gr_query_column, c->n_dims + 1);
    for (size_t i = 0; i < c->n_dims; i++)
        if (c->dims[i].is_primary_key) q.dimensions[q.n_dimensions++] = field_of(e, &q, cube, c->dims[i].name);
    if (dim->propagates) take_over(e, outer, measures, &q);
    diff_list_columns(&q);
    return q;
}

static diff_sub_query *evaluate(diff_evaluation *e, size_t cube, size_t index) {
    const diff_cube *c = &e->world->cubes[cube];
    const diff_dim *dim = &c->dims[index];
    diff_sub_query *s = GR_NEW(e->arena, diff_sub_query);
    *s = (diff_sub_query){e->frame->sub_queries, cube, index, GR_NEW_N(e->arena, diff_value, c->table->n_rows + 1)};
    e->frame->sub_queries = s;
    diff_measure_ids measures = {0};
    GR_PUSH(e->arena, &measures, (diff_measure_id){dim->sql->cube, dim->sql->index});
    gr_query *q = GR_NEW(e->arena, gr_query);
    *q = query_of(e, cube, dim, &measures);
    diff_frame *frame = GR_NEW(e->arena, diff_frame);
    diff_find_frame(e->world, q, &measures, e->arena, frame);
    diff_evaluation *inner = GR_NEW(e->arena, diff_evaluation);
    gr_status status = diff_evaluate(e->world, q, &measures, frame, NULL, e->arena, inner);
    if (status) e->frame->due = status;
    diff_value *keys = GR_NEW_N(e->arena, diff_value, q->n_dimensions + 1);
    for (size_t row = 0; row < c->table->n_rows && !status; row++) {
        diff_joined alone;
        for (size_t i = 0; i < DIFF_MAX_CUBES; i++) alone.row[i] = DIFF_NO_ROW;
        alone.row[cube] = (int32_t)row;
        diff_scope scope = {.world = e->world, .arena = e->arena, .tz = e->query->tz, .row = &alone};
        for (size_t i = 0, n = 0; i < c->n_dims; i++)
            if (c->dims[i].is_primary_key) keys[n++] = diff_eval_dimension(&scope, cube, i);
        s->values[row] = value_of_key(inner, keys, dim->sql->cube, dim->sql->index);
    }
    e->frame->is_unsure |= inner->is_unsure || frame->is_unsure;
    return s;
}

diff_value diff_sub_query_value(void *evaluation, size_t cube, size_t index, int32_t row) {
    diff_evaluation *e = evaluation;
    diff_sub_query *s = e->frame->sub_queries;
    while (s && (s->cube != cube || s->index != index)) s = s->next;
    if (!s) s = evaluate(e, cube, index);
    return s->values[row];
}
