/* The answer by definition: which rows the joins of each fact give, which of them pass, in which group each falls, what
 * each measure is over the rows of its group, which groups pass, in which order. */
#include "differential/reference_internal.h"

#include <stdlib.h>

/* ---- keys -----------------------------------------------------------------------------------------------------------
 */

static diff_value bucket_of(const diff_evaluation *e, size_t time, int64_t us) {
    const gr_time_field *t = &e->query->time_dimensions[time];
    if (e->shift && e->shift->time == time)
        us = gr_interval_add(e->shift->interval, 1, gr_granularity_floor(e->shift->base, t->anchor_local_us, us));
    return diff_time(gr_granularity_floor(t->granularity, t->anchor_local_us, us));
}

diff_value diff_key_value(diff_evaluation *e, const gr_query_column *c) {
    const gr_query *q = e->query;
    int64_t us;
    if (c->kind == GR_COLUMN_TIME) {
        if (!diff_local_time(e, q->time_dimensions[c->index].field.member, &us)) return diff_null();
        return bucket_of(e, c->index, us);
    }
    const gr_member *m = q->dimensions[c->index].member;
    size_t cube = diff_cube_of(e->world, m), index = diff_index_of(e->world, m);
    if (e->world->cubes[cube].dims[index].type != DIFF_DIM_TIME) return diff_eval_dimension(&e->scope, cube, index);
    return diff_local_time(e, m, &us) ? diff_time(us) : diff_null();
}

/* Equal values have equal texts; null is none of them. */
static gr_str key_text(const diff_evaluation *e, const diff_value *keys) {
    gr_buf out, one;
    gr_buf_init(&out, 1 << 20);
    gr_buf_init(&one, 1 << 20);
    for (size_t i = 0; i < e->n_keys; i++) {
        gr_buf_reset(&one);
        bool has_value = diff_show(&keys[i], &one);
        if (keys[i].kind == DIFF_TIME) gr_buf_printf(&one, "%lld", (long long)keys[i].as.us);
        gr_buf_printf(&out, "%c%zu:" GR_FMT, has_value ? 'v' : 'n', one.n, GR_ARG(gr_buf_str(&one)));
    }
    gr_str text = gr_arena_dup(e->arena, gr_buf_str(&out));
    gr_buf_done(&out);
    gr_buf_done(&one);
    return text;
}

diff_group *diff_group_at(diff_evaluation *e, const diff_value *keys) {
    gr_str text = key_text(e, keys);
    diff_group *g = e->query->is_ungrouped ? NULL : gr_map_get(&e->by_key, text);
    if (g) return g;
    g = GR_NEW(e->arena, diff_group);
    g->values = GR_NEW_N(e->arena, diff_value, e->query->n_columns + 1);
    if (e->n_keys) memcpy(g->values, keys, e->n_keys * sizeof *keys);
    g->rows = GR_NEW_N(e->arena, diff_row_list, DIFF_MOST_SOURCES);
    gr_map_put(&e->by_key, text, g);
    GR_PUSH(e->arena, &e->groups, g);
    return g;
}

/* ---- rows -----------------------------------------------------------------------------------------------------------
 */

static void open_source(diff_evaluation *e, const diff_fact *fact, const diff_window *window) {
    diff_source s = {.fact = *fact, .window = window};
    for (size_t i = 0; i < fact->tree.n; i++)
        s.repeats[fact->tree.order[i]] = !e->query->is_ungrouped && diff_repeats(&fact->tree, fact->tree.order[i]);
    diff_joined none;
    for (size_t i = 0; i < DIFF_MAX_CUBES; i++) none.row[i] = DIFF_NO_ROW;
    diff_join_rows(e->world, &fact->tree, 0, none, e->arena, &s.joined);
    GR_PUSH(e->arena, &e->sources, s);
}

gr_status diff_add_source(diff_evaluation *e, const diff_leaves *leaves, const diff_window *window, size_t *ret_first) {
    diff_facts facts = {0};
    *ret_first = e->sources.n;
    GR_TRY(diff_find_facts(e->world, e->query, leaves, e->frame, e->arena, &facts));
    for (size_t i = 0; i < facts.n; i++)
        for (size_t k = 0; k < facts.v[i].leaves.n && !e->query->is_ungrouped; k++)
            if (diff_cannot_fan_out(e->world, &facts.v[i].tree, &facts.v[i].leaves.v[k], e->arena))
                return GR_ERR_PLAN_FAN_OUT;
    if (e->sources.n + facts.n > DIFF_MOST_SOURCES) abort();
    for (size_t i = 0; i < facts.n; i++) open_source(e, &facts.v[i], window);
    return GR_OK;
}

gr_status diff_check_repeats(const diff_evaluation *e, size_t first, const gr_time_field *time) {
    for (size_t i = first; i < e->sources.n; i++) {
        const diff_fact *fact = &e->sources.v[i].fact;
        for (size_t k = 0; k < fact->leaves.n; k++)
            if (!diff_stands_fan_out(&fact->leaves.v[k]) &&
                diff_repeats_by(e->world, &fact->tree, fact->leaves.v[k].cube, &time->field, e->arena))
                return GR_ERR_PLAN_FAN_OUT;
    }
    return GR_OK;
}

static void add_rows(diff_evaluation *e, size_t source) {
    const diff_joins *joined = &e->sources.v[source].joined;
    diff_value *keys = GR_NEW_N(e->arena, diff_value, e->n_keys + 1);
    for (size_t i = 0; i < joined->n; i++) {
        e->scope.row = &joined->v[i];
        if (!diff_row_passes(e, SIZE_MAX)) continue;
        for (size_t k = 0; k < e->n_keys; k++) keys[k] = diff_key_value(e, &e->query->columns[k]);
        diff_group *g = diff_group_at(e, keys);
        GR_PUSH(e->arena, &g->rows[source], &joined->v[i]);
    }
    if (!e->n_keys && !e->query->is_ungrouped) diff_group_at(e, keys);
}

static bool has_key(const diff_cube *c) {
    for (size_t i = 0; i < c->n_dims; i++)
        if (c->dims[i].is_primary_key) return true;
    return false;
}

/* A row that a join did not find is no row of the cube; of repeated ones the first counts (5.3). */
static diff_rows rows_found(const diff_evaluation *e, diff_rows rows, size_t cube, bool is_distinct) {
    bool *is_seen = GR_NEW_N(e->arena, bool, e->world->cubes[cube].table->n_rows + 1);
    diff_row_list kept = {0};
    for (size_t i = 0; i < rows.n; i++) {
        int32_t row = rows.v[i]->row[cube];
        if (row == DIFF_NO_ROW || (is_distinct && is_seen[row])) continue;
        is_seen[row] = true;
        GR_PUSH(e->arena, &kept, rows.v[i]);
    }
    return (diff_rows){kept.v, kept.n};
}

static diff_rows rows_of(void *context, const diff_leaf *leaf) {
    const diff_evaluation *e = context;
    for (size_t i = 0; i < e->sources.n; i++) {
        const diff_source *s = &e->sources.v[i];
        if (!diff_has_leaf(&s->fact.leaves, leaf)) continue;
        diff_rows rows = {e->group->rows[i].v, e->group->rows[i].n};
        bool is_guarded =
            leaf->cube != s->fact.tree.root && !diff_is_opaque(leaf) && has_key(&e->world->cubes[leaf->cube]);
        bool is_distinct = s->repeats[leaf->cube] && !diff_stands_fan_out(leaf);
        return is_guarded || is_distinct ? rows_found(e, rows, leaf->cube, is_distinct) : rows;
    }
    abort();
}

diff_value diff_measure_in(diff_evaluation *e, const diff_group *group, size_t cube, size_t index) {
    const diff_group *before = e->group;
    e->group = group;
    diff_value v = diff_eval_measure(&e->scope, cube, index);
    e->group = before;
    return v;
}

/* ---- evaluation -----------------------------------------------------------------------------------------------------
 */

static bool has_window(const diff_leaves *leaves) {
    for (size_t i = 0; i < leaves->n; i++)
        if (leaves->v[i].measure->window) return true;
    return false;
}

/* A measure whose SQL calls aggregates itself means nothing on one row. */
static bool has_call(const diff_leaves *leaves) {
    for (size_t i = 0; i < leaves->n; i++)
        if (leaves->v[i].call) return true;
    return false;
}

static gr_status add_windows(diff_evaluation *e, diff_leaves windowed) {
    while (windowed.n) {
        diff_leaves same = {0}, rest = {0};
        for (size_t i = 0; i < windowed.n; i++) {
            bool is_same = diff_same_window(windowed.v[i].measure->window, windowed.v[0].measure->window);
            if (is_same)
                GR_PUSH(e->arena, &same, windowed.v[i]);
            else
                GR_PUSH(e->arena, &rest, windowed.v[i]);
        }
        GR_TRY(diff_add_window(e, &same));
        windowed = rest;
    }
    return GR_OK;
}

gr_status diff_evaluate(const diff_world *world, const gr_query *query, const diff_measure_ids *measures,
                        diff_frame *frame, const diff_shift *shift, gr_arena *arena, diff_evaluation *ret) {
    diff_evaluation *e = ret;
    *e = (diff_evaluation){.world = world, .query = query, .frame = frame, .arena = arena, .shift = shift};
    e->scope = (diff_scope){.world = world,
                            .arena = arena,
                            .tz = query->tz,
                            .rows_of = rows_of,
                            .stage_of = diff_stage_value,
                            .sub_query_of = diff_sub_query_value,
                            .context = e};
    gr_map_init(&e->by_key, arena);
    while (e->n_keys < query->n_columns && query->columns[e->n_keys].kind != GR_COLUMN_MEASURE) e->n_keys++;
    diff_leaves all = {0}, plain = {0}, windowed = {0};
    diff_measure_ids stages = {0};
    for (size_t i = 0; i < measures->n; i++)
        diff_leaves_of(world, measures->v[i].cube, measures->v[i].index, arena, &all, &stages);
    if (query->is_ungrouped && (stages.n || has_window(&all))) return GR_ERR_PLAN_UNSUPPORTED;
    for (size_t i = 0; i < all.n; i++) {
        bool is_windowed = all.v[i].measure->window && diff_window_time(query) != SIZE_MAX;
        if (is_windowed)
            GR_PUSH(arena, &windowed, all.v[i]);
        else
            GR_PUSH(arena, &plain, all.v[i]);
    }
    size_t first = 0;
    if (plain.n || (!windowed.n && !stages.n)) {
        GR_TRY(diff_add_source(e, &plain, NULL, &first));
        if (query->is_ungrouped && has_call(&all)) return GR_ERR_PLAN_UNSUPPORTED;
        for (size_t i = first; i < e->sources.n; i++) add_rows(e, i);
    }
    GR_TRY(add_windows(e, windowed));
    for (size_t i = 0; i < stages.n; i++) GR_TRY(diff_add_stage(e, stages.v[i]));
    return GR_OK;
}

/* ---- the answer -----------------------------------------------------------------------------------------------------
 */

static void add_measures(diff_evaluation *e, diff_group *g) {
    e->group = g;
    for (size_t i = 0; i < e->query->n_columns; i++) {
        const gr_query_column *c = &e->query->columns[i];
        if (c->kind != GR_COLUMN_MEASURE) continue;
        const gr_member *m = e->query->measures[c->index].member;
        size_t cube = diff_cube_of(e->world, m), index = diff_index_of(e->world, m);
        if (e->query->is_ungrouped) e->scope.row = g->rows[0].v[0];
        g->values[i] = e->query->is_ungrouped ? diff_eval_contribution(&e->scope, cube, index)
                                              : diff_measure_in(e, g, cube, index);
    }
}

static bool group_passes(diff_evaluation *e) {
    for (size_t i = 0; i < e->query->n_measure_filters && !e->query->is_ungrouped; i++) {
        const gr_filter *f = e->query->measure_filters[i];
        bool is_on_rows = f->kind == GR_FILTER_LEAF && f->op == GR_OP_MEASURE_FILTER;
        if (!is_on_rows && !diff_filter_passes(e, f)) return false;
    }
    return true;
}

/* Nulls come last in either direction. */
static int cmp_column(diff_evaluation *e, const diff_group *a, const diff_group *b, size_t column, bool is_desc) {
    const diff_value *x = &a->values[column], *y = &b->values[column];
    if (x->kind == DIFF_NULL || y->kind == DIFF_NULL) return (x->kind == DIFF_NULL) - (y->kind == DIFF_NULL);
    int order = diff_cmp(x, y, &e->is_unsure);
    return is_desc ? -order : order;
}

/* The order asked for; the group columns that it does not name break ties. */
static int cmp_groups(const void *x, const void *y, void *evaluation) {
    diff_evaluation *e = evaluation;
    const diff_group *a = *(diff_group *const *)x, *b = *(diff_group *const *)y;
    const gr_query *q = e->query;
    int order = 0;
    for (size_t i = 0; i < q->n_order && !order; i++)
        order = cmp_column(e, a, b, q->order[i].column, q->order[i].is_desc);
    for (size_t i = 0; i < e->n_keys && !order; i++) order = cmp_column(e, a, b, i, false);
    return order;
}

static void collect_filter_measures(const diff_evaluation *e, const gr_filter *f, diff_measure_ids *out) {
    if (f->kind == GR_FILTER_LEAF && f->op != GR_OP_MEASURE_FILTER) {
        const gr_member *m = f->field.member;
        GR_PUSH(e->arena, out, (diff_measure_id){diff_cube_of(e->world, m), diff_index_of(e->world, m)});
    }
    for (size_t i = 0; i < f->n_children; i++) collect_filter_measures(e, f->children[i], out);
}

static bool has_row_measure_filter(const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return f->op == GR_OP_MEASURE_FILTER;
    for (size_t i = 0; i < f->n_children; i++)
        if (has_row_measure_filter(f->children[i])) return true;
    return false;
}

void diff_reference_answer(const diff_world *world, const gr_query *q, gr_arena *arena, diff_answer *ret) {
    diff_evaluation e = {.world = world, .arena = arena};
    diff_measure_ids measures = {0};
    for (size_t i = 0; i < q->n_measures; i++) {
        const gr_member *m = q->measures[i].member;
        GR_PUSH(arena, &measures, (diff_measure_id){diff_cube_of(world, m), diff_index_of(world, m)});
    }
    for (size_t i = 0; i < q->n_measure_filters; i++) collect_filter_measures(&e, q->measure_filters[i], &measures);
    *ret = (diff_answer){.n_columns = q->n_columns, .is_unordered = q->is_ungrouped};
    diff_frame frame;
    diff_find_frame(world, q, &measures, arena, &frame);
    ret->due = diff_evaluate(world, q, &measures, &frame, NULL, arena, &e);
    if (ret->due) return;
    for (size_t i = 0; i < q->n_measure_filters && e.sources.n > 1; i++) /* which facts it limits is not said */
        e.is_unsure |= has_row_measure_filter(q->measure_filters[i]);
    diff_groups kept = {0};
    for (size_t i = 0; i < e.groups.n; i++) {
        add_measures(&e, e.groups.v[i]);
        if (group_passes(&e)) GR_PUSH(arena, &kept, e.groups.v[i]);
    }
    if (kept.n) qsort_r(kept.v, kept.n, sizeof *kept.v, cmp_groups, &e);
    size_t from = (size_t)q->offset < kept.n ? (size_t)q->offset : kept.n;
    size_t n = kept.n - from < (size_t)q->limit ? kept.n - from : (size_t)q->limit;
    ret->due = frame.due;
    if (ret->due) return;
    ret->n_groups = kept.n;
    ret->n_rows = n;
    ret->cells = GR_NEW_N(arena, diff_value, n * q->n_columns + 1);
    for (size_t i = 0; i < n * q->n_columns; i++)
        ret->cells[i] = kept.v[from + i / q->n_columns]->values[i % q->n_columns];
    ret->is_unsure = e.is_unsure || frame.is_unsure;
    ret->has_sub_query = frame.sub_queries != NULL;
    ret->n_sources = e.sources.n;
    ret->has_window = e.inner != NULL;
    for (size_t i = 0; i < e.sources.n; i++) ret->has_window |= e.sources.v[i].window != NULL;
    for (size_t i = 0; i < e.sources.n; i++)
        for (size_t k = 0; k < DIFF_MAX_CUBES; k++) ret->has_fan_out |= e.sources.v[i].repeats[k];
}

diff_value diff_reference_dimension(const diff_world *world, size_t root, size_t row, size_t cube, size_t dim,
                                    gr_arena *arena) {
    diff_tree t;
    diff_joins joined = {0};
    if (!diff_tree_for_dimension(world, root, cube, dim, arena, &t)) return diff_null();
    diff_joined first;
    for (size_t i = 0; i < DIFF_MAX_CUBES; i++) first.row[i] = DIFF_NO_ROW;
    first.row[root] = (int32_t)row;
    diff_join_rows(world, &t, 1, first, arena, &joined); /* the root stands first in the tree, and its row is given */
    diff_scope scope = {.world = world, .arena = arena, .tz = gr_tz_utc(), .row = &joined.v[0]};
    return diff_eval_dimension(&scope, cube, dim);
}
