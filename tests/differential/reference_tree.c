/* Which cubes a query needs and by which ways, the tree of joins over them, the facts that measures fall into, and what
 * the joins repeat. Ways are walked as written first, then the shortest ones (cube.md 5.1). */
#include "differential/reference_internal.h"

#include <stdlib.h>

/* ---- names ----------------------------------------------------------------------------------------------------------
 */

size_t diff_cube_of(const diff_world *w, const gr_member *m) {
    for (size_t i = 0; i < w->n_cubes; i++)
        if (gr_str_eq(w->cubes[i].name, m->cube->name)) return i;
    abort();
}

size_t diff_index_of(const diff_world *w, const gr_member *m) {
    const diff_cube *c = &w->cubes[diff_cube_of(w, m)];
    for (size_t i = 0; m->kind == GR_MEMBER_DIMENSION && i < c->n_dims; i++)
        if (gr_str_eq(c->dims[i].name, m->name)) return i;
    for (size_t i = 0; m->kind == GR_MEMBER_MEASURE && i < c->n_measures; i++)
        if (gr_str_eq(c->measures[i].name, m->name)) return i;
    for (size_t i = 0; m->kind == GR_MEMBER_SEGMENT && i < c->n_segments; i++)
        if (gr_str_eq(c->segments[i].name, m->name)) return i;
    abort();
}

/* ---- leaves ---------------------------------------------------------------------------------------------------------
 */

bool diff_has_leaf(const diff_leaves *leaves, const diff_leaf *leaf) {
    for (size_t i = 0; i < leaves->n; i++)
        if (leaves->v[i].measure == leaf->measure && leaves->v[i].call == leaf->call) return true;
    return false;
}

static void expr_leaves(const diff_world *w, size_t cube, const diff_measure *owner, const diff_expr *e,
                        gr_arena *arena, diff_leaves *out, diff_measure_ids *stages) {
    if (e->op == DIFF_OP_MEASURE) diff_leaves_of(w, e->cube, e->index, arena, out, stages);
    diff_leaf leaf = {cube, owner, e};
    if (e->op == DIFF_OP_AGGREGATE) {
        if (!diff_has_leaf(out, &leaf)) GR_PUSH(arena, out, leaf);
        return;
    }
    for (size_t i = 0; i < e->n_args; i++) expr_leaves(w, cube, owner, e->args[i], arena, out, stages);
}

void diff_leaves_of(const diff_world *w, size_t cube, size_t index, gr_arena *arena, diff_leaves *out,
                    diff_measure_ids *stages) {
    const diff_measure *m = &w->cubes[cube].measures[index];
    diff_leaf leaf = {cube, m, NULL};
    if (m->stage) {
        for (size_t i = 0; stages && i < stages->n; i++)
            if (stages->v[i].cube == cube && stages->v[i].index == index) return;
        if (stages) GR_PUSH(arena, stages, (diff_measure_id){cube, index});
    } else if (m->type >= DIFF_CALC_NUMBER) {
        expr_leaves(w, cube, m, m->sql, arena, out, stages);
    } else if (!diff_has_leaf(out, &leaf)) {
        GR_PUSH(arena, out, leaf);
    }
}

/* ---- ways -----------------------------------------------------------------------------------------------------------
 */

typedef struct way {
    size_t cubes[2 * DIFF_MAX_CUBES], n;
} way;
typedef GR_VEC(way) ways;

typedef struct collector {
    const diff_world *w;
    gr_arena *arena;
    ways all;
} collector;

static const diff_join *join_between(const diff_world *w, size_t from, size_t to) {
    for (size_t i = 0; i < w->cubes[from].n_joins; i++)
        if (w->cubes[from].joins[i].to == to) return &w->cubes[from].joins[i];
    return NULL;
}

static way way_of(size_t cube) { return (way){{cube}, 1}; }

/* What another cube's member is reached by: the declared join, else whatever way there is. */
static way way_on(const diff_world *w, way from, size_t cube) {
    if (from.cubes[from.n - 1] == cube) return from;
    if (!join_between(w, from.cubes[from.n - 1], cube) || from.n == sizeof from.cubes / sizeof *from.cubes)
        return way_of(cube);
    from.cubes[from.n++] = cube;
    return from;
}

static void need_way(collector *c, way wanted) {
    for (size_t i = 0; i < c->all.n; i++)
        if (c->all.v[i].n == wanted.n && !memcmp(c->all.v[i].cubes, wanted.cubes, wanted.n * sizeof *wanted.cubes))
            return;
    GR_PUSH(c->arena, &c->all, wanted);
}

static void need_expr(collector *c, way at, const diff_expr *e);

static void need_dim(collector *c, way at, size_t index) {
    const diff_dim *d = &c->w->cubes[at.cubes[at.n - 1]].dims[index];
    need_way(c, at);
    if (d->is_sub_query) return; /* it has joins of its own */
    need_expr(c, at, d->sql);
    need_expr(c, at, d->latitude);
    need_expr(c, at, d->longitude);
    need_expr(c, at, d->cases);
}

static void need_measure(collector *c, way at, const diff_measure *m) {
    need_way(c, at);
    need_expr(c, at, m->sql);
    for (size_t i = 0; i < m->n_filters; i++) need_expr(c, at, m->filters[i]);
}

static void need_expr(collector *c, way at, const diff_expr *e) {
    if (!e) return;
    bool is_member = e->op == DIFF_OP_MEMBER || e->op == DIFF_OP_BUCKET;
    if (is_member) need_dim(c, way_on(c->w, at, e->cube), e->index);
    if (e->op == DIFF_OP_MEASURE) need_measure(c, way_on(c->w, at, e->cube), &c->w->cubes[e->cube].measures[e->index]);
    for (size_t i = 0; i < e->n_args; i++) need_expr(c, at, e->args[i]);
    need_expr(c, at, e->where);
}

static void need_leaf(collector *c, way at, const diff_leaf *leaf) {
    if (!leaf->call) {
        need_measure(c, at, leaf->measure);
        return;
    }
    need_way(c, at);
    need_expr(c, at, leaf->call);
}

static way way_of_field(const diff_world *w, const gr_field *f) {
    way out = {{0}, 0};
    for (size_t i = 0; i < f->path.n; i++)
        for (size_t k = 0; k < w->n_cubes; k++)
            if (gr_str_eq(w->cubes[k].name, f->path.cubes[i]->name)) out.cubes[out.n++] = k;
    return out.n ? out : way_of(diff_cube_of(w, f->member));
}

static void need_field(collector *c, const gr_field *f) {
    size_t cube = diff_cube_of(c->w, f->member), index = diff_index_of(c->w, f->member);
    way at = way_of_field(c->w, f);
    if (f->member->kind == GR_MEMBER_DIMENSION) need_dim(c, at, index);
    if (f->member->kind == GR_MEMBER_MEASURE) need_measure(c, at, &c->w->cubes[cube].measures[index]);
    if (f->member->kind != GR_MEMBER_SEGMENT) return;
    need_way(c, at);
    need_expr(c, at, c->w->cubes[cube].segments[index].sql);
}

static bool gives_any(const collector *c, const gr_member *measure, const diff_leaves *leaves) {
    diff_leaves own = {0};
    diff_leaves_of(c->w, diff_cube_of(c->w, measure), diff_index_of(c->w, measure), c->arena, &own, NULL);
    for (size_t i = 0; i < own.n; i++)
        if (diff_has_leaf(leaves, &own.v[i])) return true;
    return false;
}

static void need_filter(collector *c, const gr_filter *f, const diff_leaves *leaves) {
    if (f->kind == GR_FILTER_LEAF) {
        bool is_measure = f->field.member->kind == GR_MEMBER_MEASURE;
        if (!is_measure || f->op == GR_OP_MEASURE_FILTER || gives_any(c, f->field.member, leaves))
            need_field(c, &f->field);
    }
    for (size_t i = 0; i < f->n_children; i++) need_filter(c, f->children[i], leaves);
}

/* Conditions, and unless `only_time` is given all group columns. */
static void need_shared(collector *c, const gr_query *q, const diff_leaves *leaves, const gr_time_field *only_time) {
    for (size_t i = 0; i < q->n_dimensions && !only_time; i++) need_field(c, &q->dimensions[i]);
    for (size_t i = 0; i < q->n_segments; i++) need_field(c, &q->segments[i]);
    for (size_t i = 0; i < q->n_row_filters; i++) need_filter(c, q->row_filters[i], leaves);
    for (size_t i = 0; leaves && i < q->n_measure_filters; i++) need_filter(c, q->measure_filters[i], leaves);
    for (size_t i = 0; i < q->n_time_dimensions && !only_time; i++) need_field(c, &q->time_dimensions[i].field);
    if (only_time) need_field(c, &only_time->field);
}

/* ---- the tree -------------------------------------------------------------------------------------------------------
 */

static bool hang(diff_tree *t, size_t from, const diff_join *join) {
    if (t->has[join->to]) return t->join[join->to] == join;
    t->has[join->to] = true;
    t->join[join->to] = join;
    t->parent[join->to] = from;
    t->order[t->n++] = join->to;
    return true;
}

/* Breadth first over declared joins. */
static bool walk_shortest(const diff_world *w, diff_tree *t, size_t from, size_t to) {
    size_t queue[DIFF_MAX_CUBES] = {from}, n_queue = 1, came_from[DIFF_MAX_CUBES], way_back[DIFF_MAX_CUBES], n = 0;
    bool is_seen[DIFF_MAX_CUBES] = {false};
    if (t->has[to]) return true;
    is_seen[from] = true;
    for (size_t head = 0; head < n_queue; head++)
        for (size_t i = 0; i < w->cubes[queue[head]].n_joins; i++) {
            size_t next = w->cubes[queue[head]].joins[i].to;
            if (is_seen[next]) continue;
            is_seen[next] = true;
            came_from[next] = queue[head];
            queue[n_queue++] = next;
        }
    if (!is_seen[to]) return false;
    for (size_t at = to; at != from; at = came_from[at]) way_back[n++] = at;
    while (n-- > 0)
        if (!hang(t, came_from[way_back[n]], join_between(w, came_from[way_back[n]], way_back[n]))) return false;
    return true;
}

static bool walk(const diff_world *w, diff_tree *t, const way *along) {
    if (!walk_shortest(w, t, t->root, along->cubes[0])) return false;
    for (size_t i = 1; i < along->n; i++) {
        const diff_join *join = join_between(w, along->cubes[i - 1], along->cubes[i]);
        if (!join || !hang(t, along->cubes[i - 1], join)) return false;
    }
    return true;
}

static bool tree_from(const diff_world *w, size_t root, const ways *all, diff_tree *ret) {
    diff_tree t = {.root = root, .order = {root}, .n = 1};
    t.has[root] = true;
    t.parent[root] = root;
    for (int is_written = 1; is_written >= 0; is_written--)
        for (size_t i = 0; i < all->n; i++)
            if ((all->v[i].n > 1) == is_written && !walk(w, &t, &all->v[i])) return false;
    *ret = t;
    return true;
}

/* The fewest joins, the first in order of collection among equals. */
static bool find_tree(const diff_world *w, const ways *all, diff_tree *ret) {
    bool is_found = false;
    for (size_t i = 0; i < all->n; i++) {
        diff_tree t;
        if (!tree_from(w, all->v[i].cubes[0], all, &t) || (is_found && t.n >= ret->n)) continue;
        *ret = t;
        is_found = true;
    }
    return is_found;
}

gr_status diff_find_probe(const diff_world *w, const gr_query *q, const gr_time_field *time, gr_arena *arena,
                          diff_tree *ret) {
    collector c = {.w = w, .arena = arena};
    need_shared(&c, q, NULL, time);
    return find_tree(w, &c.all, ret) ? GR_OK : GR_ERR_PLAN_NO_JOIN_PATH;
}

bool diff_tree_for_dimension(const diff_world *w, size_t root, size_t cube, size_t dim, gr_arena *arena,
                             diff_tree *ret) {
    collector c = {.w = w, .arena = arena};
    need_dim(&c, way_of(cube), dim);
    return tree_from(w, root, &c.all, ret);
}

/* ---- facts ----------------------------------------------------------------------------------------------------------
 */

static way way_of_leaf(collector *c, const gr_query *q, const diff_leaves *asked, const diff_leaf *leaf) {
    for (size_t i = 0; i < q->n_measures; i++) {
        way at = way_of_field(c->w, &q->measures[i]);
        if (at.cubes[at.n - 1] == leaf->cube && gives_any(c, q->measures[i].member, asked)) return at;
    }
    return way_of(leaf->cube);
}

static bool tree_of_leaves(const diff_world *w, const gr_query *q, const diff_leaves *asked, const diff_leaves *leaves,
                           gr_arena *arena, diff_tree *ret) {
    collector c = {.w = w, .arena = arena};
    for (size_t i = 0; i < leaves->n; i++) need_leaf(&c, way_of_leaf(&c, q, asked, &leaves->v[i]), &leaves->v[i]);
    need_shared(&c, q, NULL, NULL);
    return find_tree(w, &c.all, ret);
}

static bool place_leaf(const diff_world *w, const gr_query *q, const diff_leaves *asked, const diff_leaf *leaf,
                       gr_arena *arena, diff_facts *facts) {
    for (size_t k = 0; k < facts->n; k++) {
        diff_fact *fact = &facts->v[k];
        diff_leaves more = {0};
        for (size_t i = 0; i < fact->leaves.n; i++) GR_PUSH(arena, &more, fact->leaves.v[i]);
        GR_PUSH(arena, &more, *leaf);
        diff_tree t;
        if (!tree_of_leaves(w, q, asked, &more, arena, &t) || t.root != fact->tree.root) continue;
        *fact = (diff_fact){t, more};
        return true;
    }
    diff_fact fresh = {.leaves = {0}};
    GR_PUSH(arena, &fresh.leaves, *leaf);
    if (!tree_of_leaves(w, q, asked, &fresh.leaves, arena, &fresh.tree)) return false;
    GR_PUSH(arena, facts, fresh);
    return true;
}

static bool filter_gives(collector *c, const gr_filter *f, const diff_leaves *leaves) {
    if (f->kind == GR_FILTER_LEAF) return gives_any(c, f->field.member, leaves);
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_gives(c, f->children[i], leaves)) return true;
    return false;
}

/* What a stage stands on is named by no query. */
static void need_unnamed(collector *c, const gr_query *q, const diff_leaf *leaf) {
    diff_leaves one = {0};
    GR_PUSH(c->arena, &one, *leaf);
    for (size_t i = 0; i < q->n_measures; i++)
        if (gives_any(c, q->measures[i].member, &one)) return;
    for (size_t i = 0; i < q->n_measure_filters; i++)
        if (filter_gives(c, q->measure_filters[i], &one)) return;
    need_leaf(c, way_of(leaf->cube), leaf);
}

/* What stages group their rows by besides. */
static void need_extensions(collector *c, const diff_measure_ids *stages) {
    for (size_t i = 0; stages && i < stages->n; i++) {
        size_t cube = stages->v[i].cube;
        const diff_stage *s = c->w->cubes[cube].measures[stages->v[i].index].stage;
        for (size_t k = 0; s->kind == DIFF_STAGE_ADD_GROUP_BY && k < s->n_dims; k++)
            need_dim(c, way_of(cube), s->dims[k]);
    }
}

static bool tree_of_all(const diff_world *w, const gr_query *q, const diff_leaves *leaves,
                        const diff_measure_ids *stages, gr_arena *arena, diff_tree *ret) {
    collector c = {.w = w, .arena = arena};
    for (size_t i = 0; i < q->n_measures; i++)
        if (gives_any(&c, q->measures[i].member, leaves)) need_field(&c, &q->measures[i]);
    for (size_t i = 0; i < leaves->n; i++) need_unnamed(&c, q, &leaves->v[i]);
    need_extensions(&c, stages);
    need_shared(&c, q, leaves, NULL);
    return find_tree(w, &c.all, ret);
}

void diff_find_frame(const diff_world *w, const gr_query *q, const diff_measure_ids *measures, gr_arena *arena,
                     diff_frame *ret) {
    diff_measure_ids stages = {0};
    *ret = (diff_frame){.query = q};
    for (size_t i = 0; i < measures->n; i++)
        diff_leaves_of(w, measures->v[i].cube, measures->v[i].index, arena, &ret->leaves, &stages);
    for (size_t i = 0; i < stages.n; i++) { /* the list grows while it is walked */
        diff_measure_id id = stages.v[i];
        diff_leaves_of(w, id.cube, w->cubes[id.cube].measures[id.index].stage->of, arena, &ret->leaves, &stages);
    }
    ret->has_tree = tree_of_all(w, q, &ret->leaves, &stages, arena, &ret->tree);
}

/* The root, and the ways to what these leaves and this query need. */
static diff_tree pruned(const diff_world *w, const gr_query *q, const diff_tree *whole, const diff_leaves *leaves,
                        gr_arena *arena) {
    collector c = {.w = w, .arena = arena};
    bool is_needed[DIFF_MAX_CUBES] = {false};
    for (size_t i = 0; i < leaves->n; i++) need_leaf(&c, way_of(leaves->v[i].cube), &leaves->v[i]);
    need_shared(&c, q, leaves, NULL);
    is_needed[whole->root] = true;
    for (size_t i = 0; i < c.all.n; i++)
        for (size_t k = 0; k < c.all.v[i].n; k++)
            for (size_t at = c.all.v[i].cubes[k]; whole->has[at] && !is_needed[at]; at = whole->parent[at])
                is_needed[at] = true;
    diff_tree t = *whole;
    t.n = 0;
    for (size_t i = 0; i < whole->n; i++) {
        t.has[whole->order[i]] = is_needed[whole->order[i]];
        if (is_needed[whole->order[i]]) t.order[t.n++] = whole->order[i];
    }
    return t;
}

gr_status diff_find_facts(const diff_world *w, const gr_query *q, const diff_leaves *leaves, diff_frame *frame,
                          gr_arena *arena, diff_facts *ret) {
    diff_fact whole = {.leaves = *leaves};
    bool is_found = frame->has_tree;
    if (is_found)
        whole.tree = leaves->n < frame->leaves.n ? pruned(w, q, &frame->tree, leaves, arena) : frame->tree;
    else
        is_found = tree_of_all(w, q, leaves, NULL, arena, &whole.tree);
    if (is_found) {
        GR_PUSH(arena, ret, whole);
        return GR_OK;
    }
    if (q->is_ungrouped || !leaves->n) return GR_ERR_PLAN_NO_JOIN_PATH;
    for (size_t i = 0; i < leaves->n; i++)
        if (!place_leaf(w, q, leaves, &leaves->v[i], arena, ret)) return GR_ERR_PLAN_NO_JOIN_PATH;
    return GR_OK;
}

/* ---- what joins repeat ----------------------------------------------------------------------------------------------
 */

/* Crossing the join between a cube and its parent meets several rows for one. */
static bool crosses_to_many(const diff_tree *t, size_t child, bool is_to_child) {
    return t->join[child]->relationship == (is_to_child ? DIFF_ONE_TO_MANY : DIFF_MANY_TO_ONE);
}

static bool is_above(const diff_tree *t, size_t upper, size_t lower) {
    while (lower != upper && lower != t->root) lower = t->parent[lower];
    return lower == upper;
}

static bool multiplies(const diff_tree *t, size_t from, size_t to) {
    bool is_many = false;
    while (!is_above(t, from, to)) {
        is_many |= crosses_to_many(t, from, false);
        from = t->parent[from];
    }
    for (; to != from; to = t->parent[to]) is_many |= crosses_to_many(t, to, true);
    return is_many;
}

bool diff_repeats(const diff_tree *t, size_t cube) {
    for (size_t i = 0; i < t->n; i++)
        if (multiplies(t, cube, t->order[i])) return true;
    return false;
}

bool diff_repeats_by(const diff_world *w, const diff_tree *t, size_t cube, const gr_field *by, gr_arena *arena) {
    collector c = {.w = w, .arena = arena};
    need_field(&c, by);
    for (size_t i = 0; i < c.all.n && t->has[cube]; i++) {
        size_t at = c.all.v[i].cubes[c.all.v[i].n - 1];
        if (t->has[at] && multiplies(t, cube, at)) return true;
    }
    return false;
}

bool diff_cannot_fan_out(const diff_world *w, const diff_tree *t, const diff_leaf *leaf, gr_arena *arena) {
    if (!diff_repeats(t, leaf->cube) || diff_stands_fan_out(leaf)) return false;
    if (diff_is_opaque(leaf)) return true;
    collector c = {.w = w, .arena = arena};
    need_leaf(&c, way_of(leaf->cube), leaf);
    for (size_t i = 0; i < c.all.n; i++) {
        size_t to = c.all.v[i].cubes[c.all.v[i].n - 1];
        if (t->has[to] && multiplies(t, leaf->cube, to)) return true;
    }
    return false;
}

void diff_join_rows(const diff_world *w, const diff_tree *t, size_t at, diff_joined so_far, gr_arena *arena,
                    diff_joins *out) {
    if (at == t->n) {
        GR_PUSH(arena, out, so_far);
        return;
    }
    size_t cube = t->order[at];
    const diff_table *table = w->cubes[cube].table;
    const diff_join *join = t->join[cube];
    bool has_partner = false;
    for (size_t row = 0; row < table->n_rows; row++) {
        diff_joined next = so_far;
        next.row[cube] = (int32_t)row;
        if (join) {
            const diff_table *from = w->cubes[t->parent[cube]].table;
            int32_t parent_row = so_far.row[t->parent[cube]];
            if (parent_row == DIFF_NO_ROW) break;
            const diff_value *a = &from->cells[(size_t)parent_row * from->n_columns + join->from_column];
            const diff_value *b = &table->cells[row * table->n_columns + join->to_column];
            if (a->kind == DIFF_NULL || b->kind == DIFF_NULL || !diff_same(a, b)) continue;
        }
        has_partner = true;
        diff_join_rows(w, t, at + 1, next, arena, out);
    }
    if (join && !has_partner) diff_join_rows(w, t, at + 1, so_far, arena, out);
}
