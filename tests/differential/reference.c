/* The answer by definition: which cubes, which rows of their join, which of them pass, in which group each falls, what
 * each measure is over the rows of its group, which groups pass, in which order. */
#include "differential/reference.h"

#include "differential/evaluate.h"

#include <stdlib.h>

typedef struct tree {
    size_t root;
    bool has[DIFF_MAX_CUBES];
    size_t order[DIFF_MAX_CUBES]; /* parents before children */
    size_t n;
    size_t parent[DIFF_MAX_CUBES];
    const diff_join *join[DIFF_MAX_CUBES]; /* from the parent to it; NULL for the root */
} tree;

typedef struct evaluation {
    const diff_world *world;
    const gr_query *query;
    gr_arena *arena;
    diff_scope scope;
    bool is_unsure;
    GR_VEC(diff_joined) joined;
} evaluation;

/* ---- names ----------------------------------------------------------------------------------------------------------
 */

static size_t cube_of(const diff_world *w, const gr_member *m) {
    for (size_t i = 0; i < w->n_cubes; i++)
        if (gr_str_eq(w->cubes[i].name, m->cube->name)) return i;
    abort();
}

static size_t index_of(const diff_world *w, const gr_member *m) {
    const diff_cube *c = &w->cubes[cube_of(w, m)];
    for (size_t i = 0; m->kind == GR_MEMBER_DIMENSION && i < c->n_dims; i++)
        if (gr_str_eq(c->dims[i].name, m->name)) return i;
    for (size_t i = 0; m->kind == GR_MEMBER_MEASURE && i < c->n_measures; i++)
        if (gr_str_eq(c->measures[i].name, m->name)) return i;
    for (size_t i = 0; m->kind == GR_MEMBER_SEGMENT && i < c->n_segments; i++)
        if (gr_str_eq(c->segments[i].name, m->name)) return i;
    abort();
}

/* ---- which cubes ----------------------------------------------------------------------------------------------------
 */

typedef struct cubes {
    size_t list[DIFF_MAX_CUBES], n;
} cubes;

static void need_cube(cubes *needed, size_t cube) {
    for (size_t i = 0; i < needed->n; i++)
        if (needed->list[i] == cube) return;
    needed->list[needed->n++] = cube;
}

static void need_expr(const diff_world *w, size_t cube, const diff_expr *e, cubes *needed);

static void need_dim(const diff_world *w, size_t cube, size_t index, cubes *needed) {
    const diff_dim *d = &w->cubes[cube].dims[index];
    need_cube(needed, cube);
    need_expr(w, cube, d->sql, needed);
    need_expr(w, cube, d->cases, needed);
    need_expr(w, cube, d->latitude, needed);
    need_expr(w, cube, d->longitude, needed);
}

static void need_measure(const diff_world *w, size_t cube, size_t index, cubes *needed) {
    const diff_measure *m = &w->cubes[cube].measures[index];
    need_cube(needed, cube);
    need_expr(w, cube, m->sql, needed);
    for (size_t i = 0; i < m->n_filters; i++) need_expr(w, cube, m->filters[i], needed);
}

static void need_expr(const diff_world *w, size_t cube, const diff_expr *e, cubes *needed) {
    if (!e) return;
    if (e->op == DIFF_OP_MEMBER || e->op == DIFF_OP_BUCKET) need_dim(w, e->cube, e->index, needed);
    if (e->op == DIFF_OP_MEASURE) need_measure(w, cube, e->index, needed);
    for (size_t i = 0; i < e->n_args; i++) need_expr(w, cube, e->args[i], needed);
}

static void need_member(const diff_world *w, const gr_member *m, cubes *needed) {
    size_t cube = cube_of(w, m), index = index_of(w, m);
    if (m->kind == GR_MEMBER_DIMENSION) need_dim(w, cube, index, needed);
    if (m->kind == GR_MEMBER_MEASURE) need_measure(w, cube, index, needed);
    if (m->kind != GR_MEMBER_SEGMENT) return;
    need_cube(needed, cube);
    need_expr(w, cube, w->cubes[cube].segments[index].sql, needed);
}

/* A member of a view brings every cube on its way, for its rows are those of the whole way. */
static void need_field(const diff_world *w, const gr_field *f, cubes *needed) {
    for (size_t i = 0; i < f->path.n; i++)
        for (size_t k = 0; k < w->n_cubes; k++)
            if (gr_str_eq(w->cubes[k].name, f->path.cubes[i]->name)) need_cube(needed, k);
    need_member(w, f->member, needed);
}

static void need_filter(const diff_world *w, const gr_filter *f, cubes *needed) {
    if (f->kind == GR_FILTER_LEAF) need_field(w, &f->field, needed);
    for (size_t i = 0; i < f->n_children; i++) need_filter(w, f->children[i], needed);
}

static cubes needed_cubes(const diff_world *w, const gr_query *q) {
    cubes needed = {0};
    for (size_t i = 0; i < q->n_measures; i++) need_field(w, &q->measures[i], &needed);
    for (size_t i = 0; i < q->n_dimensions; i++) need_field(w, &q->dimensions[i], &needed);
    for (size_t i = 0; i < q->n_segments; i++) need_field(w, &q->segments[i], &needed);
    for (size_t i = 0; i < q->n_row_filters; i++) need_filter(w, q->row_filters[i], &needed);
    for (size_t i = 0; i < q->n_measure_filters; i++) need_filter(w, q->measure_filters[i], &needed);
    for (size_t i = 0; i < q->n_time_dimensions; i++) need_field(w, &q->time_dimensions[i].field, &needed);
    return needed;
}

/* ---- the join tree --------------------------------------------------------------------------------------------------
 */

/* Shortest ways from the root along declared joins to every needed cube. */
static bool tree_from(const diff_world *w, size_t root, const cubes *needed, tree *ret) {
    size_t queue[DIFF_MAX_CUBES] = {root}, n_queue = 1, came_from[DIFF_MAX_CUBES];
    const diff_join *came_by[DIFF_MAX_CUBES] = {0};
    for (size_t head = 0; head < n_queue; head++) {
        const diff_cube *c = &w->cubes[queue[head]];
        for (size_t i = 0; i < c->n_joins; i++) {
            size_t to = c->joins[i].to;
            if (to == root || came_by[to]) continue;
            came_by[to] = &c->joins[i];
            came_from[to] = queue[head];
            queue[n_queue++] = to;
        }
    }
    tree t = {.root = root};
    t.has[root] = true;
    for (size_t i = 0; i < needed->n; i++) {
        size_t at = needed->list[i];
        if (at != root && !came_by[at]) return false;
        for (; at != root; at = came_from[at]) t.has[at] = true;
    }
    for (size_t i = 0; i < n_queue; i++) { /* breadth first: parents come first */
        if (!t.has[queue[i]]) continue;
        t.order[t.n++] = queue[i];
        t.join[queue[i]] = came_by[queue[i]];
        t.parent[queue[i]] = i ? came_from[queue[i]] : root;
    }
    *ret = t;
    return true;
}

static bool find_tree(const diff_world *w, const cubes *needed, tree *ret) {
    bool is_found = false;
    for (size_t i = 0; i < needed->n; i++) {
        tree t;
        if (!tree_from(w, needed->list[i], needed, &t) || (is_found && t.n >= ret->n)) continue;
        *ret = t;
        is_found = true;
    }
    return is_found;
}

/* Some join on the way from the root is many to one: then a row of this cube may stand in many joined rows. */
static bool is_multiplied(const tree *t, size_t cube) {
    for (; cube != t->root; cube = t->parent[cube])
        if (t->join[cube]->relationship == DIFF_MANY_TO_ONE) return true;
    return false;
}

static bool expr_stands_fan_out(const diff_world *w, size_t cube, const diff_expr *e);

static bool stands_fan_out(const diff_world *w, size_t cube, size_t index) {
    const diff_measure *m = &w->cubes[cube].measures[index];
    if (m->type >= DIFF_CALC_NUMBER) return expr_stands_fan_out(w, cube, m->sql);
    return m->type != DIFF_COUNT && m->type != DIFF_SUM && m->type != DIFF_AVG;
}

static bool expr_stands_fan_out(const diff_world *w, size_t cube, const diff_expr *e) {
    if (e->op == DIFF_OP_AGGREGATE) return false;
    if (e->op == DIFF_OP_MEASURE) return stands_fan_out(w, cube, e->index);
    for (size_t i = 0; i < e->n_args; i++)
        if (!expr_stands_fan_out(w, cube, e->args[i])) return false;
    return true;
}

static bool member_fans_out(const diff_world *w, const tree *t, const gr_member *m) {
    size_t cube = cube_of(w, m);
    return m->kind == GR_MEMBER_MEASURE && is_multiplied(t, cube) && !stands_fan_out(w, cube, index_of(w, m));
}

static bool filter_fans_out(const diff_world *w, const tree *t, const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return member_fans_out(w, t, f->field.member);
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_fans_out(w, t, f->children[i])) return true;
    return false;
}

static bool query_fans_out(const diff_world *w, const tree *t, const gr_query *q) {
    if (q->is_ungrouped) return false;
    for (size_t i = 0; i < q->n_measures; i++)
        if (member_fans_out(w, t, q->measures[i].member)) return true;
    for (size_t i = 0; i < q->n_measure_filters; i++)
        if (filter_fans_out(w, t, q->measure_filters[i])) return true;
    return false;
}

/* A measure whose SQL calls aggregates itself means nothing on one row. */
static bool expr_aggregates(const diff_world *w, size_t cube, const diff_expr *e) {
    if (e->op == DIFF_OP_AGGREGATE) return true;
    const diff_measure *m = e->op == DIFF_OP_MEASURE ? &w->cubes[cube].measures[e->index] : NULL;
    if (m && m->type >= DIFF_CALC_NUMBER) return expr_aggregates(w, cube, m->sql);
    for (size_t i = 0; i < e->n_args; i++)
        if (expr_aggregates(w, cube, e->args[i])) return true;
    return false;
}

static bool member_aggregates(const diff_world *w, const gr_member *member) {
    if (member->kind != GR_MEMBER_MEASURE) return false;
    size_t cube = cube_of(w, member);
    const diff_measure *m = &w->cubes[cube].measures[index_of(w, member)];
    return m->type >= DIFF_CALC_NUMBER && expr_aggregates(w, cube, m->sql);
}

static bool filter_aggregates(const diff_world *w, const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return member_aggregates(w, f->field.member);
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_aggregates(w, f->children[i])) return true;
    return false;
}

static bool query_aggregates_itself(const diff_world *w, const gr_query *q) {
    for (size_t i = 0; i < q->n_measures; i++)
        if (member_aggregates(w, q->measures[i].member)) return true;
    for (size_t i = 0; i < q->n_measure_filters; i++)
        if (filter_aggregates(w, q->measure_filters[i])) return true;
    return false;
}

static void join_rows(evaluation *e, const tree *t, size_t at, diff_joined so_far) {
    if (at == t->n) {
        GR_PUSH(e->arena, &e->joined, so_far);
        return;
    }
    size_t cube = t->order[at];
    const diff_table *table = e->world->cubes[cube].table;
    const diff_join *join = t->join[cube];
    bool has_partner = false;
    for (size_t row = 0; row < table->n_rows; row++) {
        diff_joined next = so_far;
        next.row[cube] = (int32_t)row;
        if (join) {
            const diff_table *from = e->world->cubes[t->parent[cube]].table;
            int32_t parent_row = so_far.row[t->parent[cube]];
            if (parent_row == DIFF_NO_ROW) break;
            const diff_value *a = &from->cells[(size_t)parent_row * from->n_columns + join->from_column];
            const diff_value *b = &table->cells[row * table->n_columns + join->to_column];
            if (a->kind == DIFF_NULL || b->kind == DIFF_NULL || !diff_same(a, b)) continue;
        }
        has_partner = true;
        join_rows(e, t, at + 1, next);
    }
    if (join && !has_partner) join_rows(e, t, at + 1, so_far);
}

/* ---- filters --------------------------------------------------------------------------------------------------------
 */

static diff_value asked_value(const diff_value *subject, gr_str text) {
    diff_value v;
    double d;
    if (subject->kind == DIFF_BOOL) return diff_bool(gr_str_eq_z(text, "true"));
    if (subject->kind == DIFF_DOUBLE) return gr_str_to_f64(text, &d) ? diff_double(d) : diff_null();
    if (subject->kind == DIFF_INT || subject->kind == DIFF_DECIMAL) {
        if (diff_parse_number(text, &v)) return v;
        return gr_str_to_f64(text, &d) ? diff_double(d) : diff_null();
    }
    return diff_text(text);
}

/* A time without offset is what the clock of the query's zone shows; with one it is an instant. */
static bool is_same_time(const evaluation *e, int64_t instant, gr_str text) {
    int64_t us;
    gr_time_zone_part part;
    bool is_date;
    if (!gr_time_parse(text, &us, &part, &is_date)) return false;
    return part == GR_TIME_ZONED ? us == instant : us == gr_tz_to_local(e->query->tz, instant);
}

static bool equals_any(evaluation *e, const diff_value *subject, const gr_filter *f, bool is_time) {
    for (size_t i = 0; i < f->n_values; i++) {
        if (is_time) {
            if (is_same_time(e, subject->as.us, f->values[i])) return true;
            continue;
        }
        diff_value asked = asked_value(subject, f->values[i]);
        if (asked.kind != DIFF_NULL && diff_cmp(subject, &asked, &e->is_unsure) == 0) return true;
    }
    return false;
}

static bool is_like(const evaluation *e, gr_str text, gr_str asked, gr_filter_op op) {
    gr_str a = diff_fold(text, e->arena), b = diff_fold(asked, e->arena);
    if (op == GR_OP_STARTS_WITH || op == GR_OP_NOT_STARTS_WITH) return gr_str_starts(a, b);
    if (op == GR_OP_ENDS_WITH || op == GR_OP_NOT_ENDS_WITH) return gr_str_ends(a, b);
    return b.n == 0 || gr_str_find_str(a, b) != SIZE_MAX;
}

static bool like_any(const evaluation *e, const diff_value *subject, const gr_filter *f) {
    gr_str text = diff_cast_text(subject, e->arena);
    for (size_t i = 0; i < f->n_values; i++)
        if (is_like(e, text, f->values[i], f->op)) return true;
    return false;
}

typedef enum family { EQUALITY, LIKENESS, ORDER, PRESENCE, RANGE, OWN_FILTERS } family;
enum { LESS = 1, EQUAL = 2, GREATER = 4 };

static const struct meaning {
    family family;
    bool is_negated;
    unsigned accepts; /* ORDER: how the value may stand to what was asked */
} meanings[GR_OP__COUNT] = {
    [GR_OP_EQUALS] = {EQUALITY, false, 0},
    [GR_OP_IN] = {EQUALITY, false, 0},
    [GR_OP_NOT_EQUALS] = {EQUALITY, true, 0},
    [GR_OP_NOT_IN] = {EQUALITY, true, 0},
    [GR_OP_CONTAINS] = {LIKENESS, false, 0},
    [GR_OP_STARTS_WITH] = {LIKENESS, false, 0},
    [GR_OP_ENDS_WITH] = {LIKENESS, false, 0},
    [GR_OP_NOT_CONTAINS] = {LIKENESS, true, 0},
    [GR_OP_NOT_STARTS_WITH] = {LIKENESS, true, 0},
    [GR_OP_NOT_ENDS_WITH] = {LIKENESS, true, 0},
    [GR_OP_GT] = {ORDER, false, GREATER},
    [GR_OP_GTE] = {ORDER, false, GREATER | EQUAL},
    [GR_OP_LT] = {ORDER, false, LESS},
    [GR_OP_LTE] = {ORDER, false, LESS | EQUAL},
    [GR_OP_BEFORE_DATE] = {ORDER, false, LESS},
    [GR_OP_BEFORE_OR_ON_DATE] = {ORDER, false, LESS | EQUAL},
    [GR_OP_AFTER_DATE] = {ORDER, false, GREATER},
    [GR_OP_AFTER_OR_ON_DATE] = {ORDER, false, GREATER | EQUAL},
    [GR_OP_SET] = {PRESENCE, false, 0},
    [GR_OP_NOT_SET] = {PRESENCE, true, 0},
    [GR_OP_IN_DATE_RANGE] = {RANGE, false, 0},
    [GR_OP_ON_THE_DATE] = {RANGE, false, 0},
    [GR_OP_NOT_IN_DATE_RANGE] = {RANGE, true, 0},
    [GR_OP_MEASURE_FILTER] = {OWN_FILTERS, false, 0},
};

/* What a range or a point says is said about the wall clock of the query's zone. */
static bool order_passes(evaluation *e, const gr_filter *f, const diff_value *subject, bool is_time) {
    diff_value own = *subject, asked;
    if (is_time) {
        own = diff_time(gr_tz_to_local(e->query->tz, subject->as.us));
        asked = diff_time(f->range.from_local_us);
    } else {
        asked = asked_value(subject, f->values[0]);
        if (asked.kind == DIFF_NULL) abort();
    }
    int order = diff_cmp(&own, &asked, &e->is_unsure);
    return meanings[f->op].accepts & (order < 0 ? LESS : order > 0 ? GREATER : EQUAL);
}

static bool value_passes(evaluation *e, const gr_filter *f, const diff_value *subject, bool is_time) {
    const struct meaning *m = &meanings[f->op];
    bool is_null = subject->kind == DIFF_NULL;
    if (m->family == PRESENCE) return is_null == m->is_negated;
    if (m->family == EQUALITY || m->family == LIKENESS) { /* null is kept by a negation, unless null was named */
        if (is_null) return f->has_null != m->is_negated;
        bool is_met = m->family == EQUALITY ? equals_any(e, subject, f, is_time) : like_any(e, subject, f);
        return is_met != m->is_negated;
    }
    if (is_null) return false;
    if (m->family == ORDER) return order_passes(e, f, subject, is_time);
    int64_t t = gr_tz_to_local(e->query->tz, subject->as.us);
    return (t >= f->range.from_local_us && t < f->range.to_local_us) != m->is_negated;
}

static bool leaf_passes(evaluation *e, const gr_filter *f) {
    const gr_member *m = f->field.member;
    size_t cube = cube_of(e->world, m), index = index_of(e->world, m);
    if (m->kind == GR_MEMBER_MEASURE) {
        if (f->op == GR_OP_MEASURE_FILTER)
            return diff_eval_own_filters(&e->scope, cube, &e->world->cubes[cube].measures[index]);
        diff_value v = e->query->is_ungrouped ? diff_eval_contribution(&e->scope, cube, index)
                                              : diff_eval_measure(&e->scope, cube, index);
        e->is_unsure |= v.kind == DIFF_ANY;
        return value_passes(e, f, &v, false);
    }
    diff_value v = diff_eval_dimension(&e->scope, cube, index);
    diff_dim_type type = e->world->cubes[cube].dims[index].type;
    int64_t us;
    if (type == DIFF_DIM_TIME && diff_instant(&v, &us)) v = diff_time(us);
    if (type == DIFF_DIM_STRING && v.kind != DIFF_NULL) v = diff_text(diff_cast_text(&v, e->arena));
    return value_passes(e, f, &v, type == DIFF_DIM_TIME);
}

static bool filter_passes(evaluation *e, const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return leaf_passes(e, f);
    bool is_and = f->kind == GR_FILTER_AND;
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_passes(e, f->children[i]) != is_and) return !is_and;
    return is_and;
}

static bool local_time(const evaluation *e, const gr_member *m, int64_t *ret) {
    diff_value v = diff_eval_dimension(&e->scope, cube_of(e->world, m), index_of(e->world, m));
    int64_t us;
    if (!diff_instant(&v, &us)) return false;
    *ret = gr_tz_to_local(e->query->tz, us);
    return true;
}

static bool row_passes(evaluation *e) {
    const gr_query *q = e->query;
    for (size_t i = 0; i < q->n_row_filters; i++)
        if (!filter_passes(e, q->row_filters[i])) return false;
    for (size_t i = 0; q->is_ungrouped && i < q->n_measure_filters; i++)
        if (!filter_passes(e, q->measure_filters[i])) return false;
    for (size_t i = 0; i < q->n_segments; i++) {
        size_t cube = cube_of(e->world, q->segments[i].member), index = index_of(e->world, q->segments[i].member);
        diff_value v = diff_eval(&e->scope, cube, e->world->cubes[cube].segments[index].sql);
        if (!diff_is_true(&v)) return false;
    }
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        const gr_time_field *t = &q->time_dimensions[i];
        int64_t us;
        if (!t->has_range) continue;
        if (!local_time(e, t->field.member, &us) || us < t->range.from_local_us || us >= t->range.to_local_us)
            return false;
    }
    return true;
}

/* ---- groups ---------------------------------------------------------------------------------------------------------
 */

typedef struct group {
    diff_value *values; /* of all columns */
    GR_VEC(const diff_joined *) rows;
} group;

typedef GR_VEC(group) groups;

static diff_value group_value(evaluation *e, const gr_query_column *c) {
    const gr_query *q = e->query;
    int64_t us;
    if (c->kind == GR_COLUMN_TIME) {
        const gr_time_field *t = &q->time_dimensions[c->index];
        if (!local_time(e, t->field.member, &us)) return diff_null();
        return diff_time(gr_granularity_floor(t->granularity, t->anchor_local_us, us));
    }
    const gr_member *m = q->dimensions[c->index].member;
    size_t cube = cube_of(e->world, m), index = index_of(e->world, m);
    if (e->world->cubes[cube].dims[index].type != DIFF_DIM_TIME) return diff_eval_dimension(&e->scope, cube, index);
    return local_time(e, m, &us) ? diff_time(us) : diff_null();
}

static size_t count_keys(const gr_query *q) {
    size_t n = 0;
    while (n < q->n_columns && q->columns[n].kind != GR_COLUMN_MEASURE) n++;
    return n;
}

static void add_to_group(evaluation *e, groups *all, const diff_joined *row) {
    size_t n = count_keys(e->query);
    diff_value *key = GR_NEW_N(e->arena, diff_value, e->query->n_columns + 1);
    for (size_t i = 0; i < n; i++) key[i] = group_value(e, &e->query->columns[i]);
    for (size_t g = 0; g < all->n && !e->query->is_ungrouped; g++) {
        size_t i = 0;
        while (i < n && diff_same(&key[i], &all->v[g].values[i])) i++;
        if (i < n) continue;
        GR_PUSH(e->arena, &all->v[g].rows, row);
        return;
    }
    group fresh = {.values = key};
    GR_PUSH(e->arena, &fresh.rows, row);
    GR_PUSH(e->arena, all, fresh);
}

static void add_measures(evaluation *e, group *g) {
    e->scope.rows = g->rows.v;
    e->scope.n_rows = g->rows.n;
    e->scope.row = g->rows.n ? g->rows.v[0] : NULL;
    for (size_t i = 0; i < e->query->n_columns; i++) {
        const gr_query_column *c = &e->query->columns[i];
        if (c->kind != GR_COLUMN_MEASURE) continue;
        const gr_member *m = e->query->measures[c->index].member;
        size_t cube = cube_of(e->world, m), index = index_of(e->world, m);
        g->values[i] = e->query->is_ungrouped ? diff_eval_contribution(&e->scope, cube, index)
                                              : diff_eval_measure(&e->scope, cube, index);
    }
}

static bool group_passes(evaluation *e) {
    for (size_t i = 0; i < e->query->n_measure_filters && !e->query->is_ungrouped; i++)
        if (!filter_passes(e, e->query->measure_filters[i])) return false;
    return true;
}

/* Nulls come last in either direction. */
static int cmp_column(evaluation *e, const group *a, const group *b, size_t column, bool is_desc) {
    const diff_value *x = &a->values[column], *y = &b->values[column];
    if (x->kind == DIFF_NULL || y->kind == DIFF_NULL) return (x->kind == DIFF_NULL) - (y->kind == DIFF_NULL);
    int order = diff_cmp(x, y, &e->is_unsure);
    return is_desc ? -order : order;
}

/* The order asked for; the group columns that it does not name break ties. */
static int cmp_group(evaluation *e, const group *a, const group *b) {
    const gr_query *q = e->query;
    int order = 0;
    for (size_t i = 0; i < q->n_order && !order; i++)
        order = cmp_column(e, a, b, q->order[i].column, q->order[i].is_desc);
    for (size_t i = 0; i < count_keys(q) && !order; i++) order = cmp_column(e, a, b, i, false);
    return order;
}

static void sort_groups(evaluation *e, groups *all) {
    for (size_t i = 1; i < all->n; i++) {
        group g = all->v[i];
        size_t at = i;
        for (; at > 0 && cmp_group(e, &g, &all->v[at - 1]) < 0; at--) all->v[at] = all->v[at - 1];
        all->v[at] = g;
    }
}

static void collect_groups(evaluation *e, groups *all) {
    groups found = {0};
    for (size_t i = 0; i < e->joined.n; i++) {
        e->scope.row = &e->joined.v[i];
        if (row_passes(e)) add_to_group(e, &found, &e->joined.v[i]);
    }
    if (!found.n && !count_keys(e->query) && !e->query->is_ungrouped) {
        group nothing = {.values = GR_NEW_N(e->arena, diff_value, e->query->n_columns + 1)};
        GR_PUSH(e->arena, &found, nothing);
    }
    for (size_t i = 0; i < found.n; i++) {
        add_measures(e, &found.v[i]);
        if (group_passes(e)) GR_PUSH(e->arena, all, found.v[i]);
    }
    sort_groups(e, all);
}

void diff_reference_answer(const diff_world *world, const gr_query *query, gr_arena *arena, diff_answer *ret) {
    evaluation e = {
        .world = world, .query = query, .arena = arena, .scope = {.world = world, .arena = arena, .tz = query->tz}};
    *ret = (diff_answer){.n_columns = query->n_columns, .is_unordered = query->is_ungrouped};
    cubes needed = needed_cubes(world, query);
    tree t;
    if (!find_tree(world, &needed, &t)) {
        ret->due = GR_ERR_PLAN_NO_JOIN_PATH;
        return;
    }
    if (query_fans_out(world, &t, query)) ret->due = GR_ERR_PLAN_FAN_OUT;
    if (query->is_ungrouped && query_aggregates_itself(world, query)) ret->due = GR_ERR_PLAN_UNSUPPORTED;
    if (ret->due) return;
    diff_joined none;
    for (size_t i = 0; i < DIFF_MAX_CUBES; i++) none.row[i] = DIFF_NO_ROW;
    join_rows(&e, &t, 0, none);
    groups all = {0};
    collect_groups(&e, &all);
    size_t from = (size_t)query->offset < all.n ? (size_t)query->offset : all.n;
    size_t n = all.n - from < (size_t)query->limit ? all.n - from : (size_t)query->limit;
    ret->n_groups = all.n;
    ret->n_rows = n;
    ret->cells = GR_NEW_N(arena, diff_value, n * query->n_columns + 1);
    for (size_t i = 0; i < n * query->n_columns; i++)
        ret->cells[i] = all.v[from + i / query->n_columns].values[i % query->n_columns];
    ret->is_unsure = e.is_unsure;
}

diff_value diff_reference_dimension(const diff_world *world, size_t root, size_t row, size_t cube, size_t dim,
                                    gr_arena *arena) {
    evaluation e = {.world = world, .arena = arena};
    cubes needed = {0};
    tree t;
    need_dim(world, cube, dim, &needed);
    if (!tree_from(world, root, &needed, &t)) return diff_null();
    diff_joined first;
    for (size_t i = 0; i < DIFF_MAX_CUBES; i++) first.row[i] = DIFF_NO_ROW;
    first.row[root] = (int32_t)row;
    join_rows(&e, &t, 1, first); /* the root stands first in the tree, and its row is given */
    diff_scope scope = {.world = world, .arena = arena, .tz = gr_tz_utc(), .row = &e.joined.v[0]};
    return diff_eval_dimension(&scope, cube, dim);
}
