/* Grain groups: which facts a query asks about, and which rows of each count how often.
 *
 *   all members in one join tree               -> one fact
 *   measures that no common root reaches       -> several facts, each with every dimension, filter and segment
 *   in a fact: components whose rows the joins repeat (5.2, 5.3) -> a group per repeated cube, over its distinct keys
 *
 * Groups of one fact see the same joined rows; branches that a group does not need are left out of its tree, which
 * keeps the rows of the root, so that it may meet a rollup or a simpler source query. */
#include "plan/internal.h"

/* ---- what is needed ---------------------------------------------------------------------------------------------- */

static void collect_filter(const gr_filter *f, gr_arena *arena, gr_paths *out) {
    if (f->kind == GR_FILTER_LEAF) gr_tree_collect(f->field.member, f->field.path, arena, out);
    for (size_t i = 0; i < f->n_children; i++) collect_filter(f->children[i], arena, out);
}

/* measureFilter names a measure and is about rows. */
static void collect_row_measures(const gr_filter *f, gr_arena *arena, gr_paths *out) {
    if (f->kind == GR_FILTER_LEAF && f->op == GR_OP_MEASURE_FILTER)
        gr_tree_collect(f->field.member, f->field.path, arena, out);
    for (size_t i = 0; i < f->n_children; i++) collect_row_measures(f->children[i], arena, out);
}

static void collect_shared(const gr_ask *ask, gr_arena *arena, gr_paths *out) {
    const gr_query *q = ask->query;
    for (size_t i = 0; i < q->n_dimensions; i++)
        gr_tree_collect(q->dimensions[i].member, q->dimensions[i].path, arena, out);
    for (size_t i = 0; i < q->n_segments; i++) gr_tree_collect(q->segments[i].member, q->segments[i].path, arena, out);
    for (size_t i = 0; i < q->n_row_filters; i++) collect_filter(q->row_filters[i], arena, out);
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        gr_tree_collect(q->time_dimensions[i].field.member, q->time_dimensions[i].field.path, arena, out);
    for (size_t i = 0; i < q->n_measure_filters; i++) collect_row_measures(q->measure_filters[i], arena, out);
}

/* A window reads the same components as without it. */
static bool gives(const gr_ask *ask, const gr_member *measure, const gr_component *c) {
    const gr_components *own = gr_plan_index_components(ask->snapshot->index, measure);
    for (size_t i = 0; i < own->n; i++)
        if (gr_str_eq(own->v[i].stored_key, c->stored_key)) return true;
    return false;
}

/* What decides the joins: all that the whole query computes, so that a measure means the same rows whether it is read
 * beside others or below a stage. */
static const gr_components *deciding(const gr_ask *ask) {
    return ask->whole ? &ask->whole->components : &ask->components;
}

static bool gives_any(const gr_ask *ask, const gr_member *measure) {
    const gr_components *all = deciding(ask);
    for (size_t i = 0; i < all->n; i++)
        if (gives(ask, measure, &all->v[i])) return true;
    return false;
}

static bool is_given_by_filter(const gr_ask *ask, const gr_filter *f, const gr_component *c) {
    if (f->kind == GR_FILTER_LEAF) return gives(ask, f->field.member, c);
    for (size_t i = 0; i < f->n_children; i++)
        if (is_given_by_filter(ask, f->children[i], c)) return true;
    return false;
}

/* Some measure that the query names leads to it, by the way that the query names. */
static bool is_given(const gr_ask *ask, const gr_component *c) {
    const gr_query *q = ask->whole ? ask->whole->query : ask->query;
    for (size_t i = 0; i < q->n_measures; i++)
        if (gives(ask, q->measures[i].member, c)) return true;
    for (size_t i = 0; i < q->n_measure_filters; i++)
        if (is_given_by_filter(ask, q->measure_filters[i], c)) return true;
    return false;
}

static void collect_measure_filter(const gr_ask *ask, const gr_filter *f, gr_arena *arena, gr_paths *out) {
    bool is_wanted = f->kind == GR_FILTER_LEAF && (f->op == GR_OP_MEASURE_FILTER || gives_any(ask, f->field.member));
    if (is_wanted) gr_tree_collect(f->field.member, f->field.path, arena, out);
    for (size_t i = 0; i < f->n_children; i++) collect_measure_filter(ask, f->children[i], arena, out);
}

/* Measures first: the order in which roots are tried (5.1). */
static void collect_all(const gr_ask *ask, gr_arena *arena, gr_paths *out) {
    const gr_query *q = ask->whole ? ask->whole->query : ask->query;
    for (size_t i = 0; i < q->n_measures; i++)
        if (gives_any(ask, q->measures[i].member))
            gr_tree_collect(q->measures[i].member, q->measures[i].path, arena, out);
    const gr_components *all = deciding(ask);
    for (size_t i = 0; i < all->n; i++) /* what a stage computes is named by no query */
        if (!is_given(ask, &all->v[i]))
            gr_tree_collect(all->v[i].measure, gr_tree_path_of_cube(all->v[i].measure->cube, arena), arena, out);
    for (size_t i = 0; ask->whole && i < ask->whole->dimensions.n; i++)
        gr_tree_collect(ask->whole->dimensions.v[i].member, ask->whole->dimensions.v[i].path, arena, out);
    for (size_t i = 0; i < q->n_dimensions; i++)
        gr_tree_collect(q->dimensions[i].member, q->dimensions[i].path, arena, out);
    for (size_t i = 0; i < q->n_segments; i++) gr_tree_collect(q->segments[i].member, q->segments[i].path, arena, out);
    for (size_t i = 0; i < q->n_row_filters; i++) collect_filter(q->row_filters[i], arena, out);
    for (size_t i = 0; i < q->n_measure_filters; i++) collect_measure_filter(ask, q->measure_filters[i], arena, out);
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        gr_tree_collect(q->time_dimensions[i].field.member, q->time_dimensions[i].field.path, arena, out);
}

/* ---- several facts ----------------------------------------------------------------------------------------------- */

/* The way that the query itself names to the cube of a component, else the shortest. */
static gr_path path_of_component(const gr_ask *ask, const gr_component *c, gr_arena *arena) {
    const gr_query *q = ask->query;
    for (size_t i = 0; i < q->n_measures; i++) {
        const gr_field *f = &q->measures[i];
        if (f->path.n && f->path.cubes[f->path.n - 1] == c->measure->cube && gives_any(ask, f->member)) return f->path;
    }
    return gr_tree_path_of_cube(c->measure->cube, arena);
}

static gr_status tree_of(const gr_ask *ask, const gr_components *components, gr_arena *arena, gr_tree *ret,
                         gr_error *err) {
    gr_paths paths = {0};
    for (size_t i = 0; i < components->n; i++)
        gr_tree_collect(components->v[i].measure, path_of_component(ask, &components->v[i], arena), arena, &paths);
    collect_shared(ask, arena, &paths);
    return gr_tree_build(&paths, ask->snapshot->model->n_cubes, arena, ret, err);
}

/* Each component goes to the first fact whose tree can be extended to it without moving the fact's root. */
static gr_status split_facts(const gr_ask *ask, gr_arena *arena, gr_groups *ret, gr_error *err) {
    gr_groups facts = {0};
    for (size_t i = 0; i < ask->components.n; i++) {
        const gr_component *c = &ask->components.v[i];
        bool is_placed = false;
        for (size_t k = 0; k < facts.n && !is_placed; k++) {
            gr_group *fact = &facts.v[k];
            gr_components more = {0};
            for (size_t j = 0; j < fact->components.n; j++) GR_PUSH(arena, &more, fact->components.v[j]);
            GR_PUSH(arena, &more, *c);
            gr_tree tree;
            if (tree_of(ask, &more, arena, &tree, NULL) || tree.nodes[0].cube != fact->tree.nodes[0].cube) continue;
            *fact = (gr_group){.tree = tree, .key_node = GR_TREE_NONE, .components = more, .fact = fact->fact};
            is_placed = true;
        }
        if (is_placed) continue;
        gr_group fresh = {.key_node = GR_TREE_NONE, .fact = (uint32_t)facts.n};
        GR_PUSH(arena, &fresh.components, *c);
        GR_TRY(tree_of(ask, &fresh.components, arena, &fresh.tree, err));
        GR_PUSH(arena, &facts, fresh);
    }
    *ret = facts;
    return GR_OK;
}

/* The tree without the branches that lead to nothing that this group needs. */
void gr_group_prune(const gr_ask *ask, const gr_group *fact, gr_group *g, gr_arena *arena) {
    const gr_cube *key_cube = g->key_node == GR_TREE_NONE ? NULL : fact->tree.nodes[g->key_node].cube;
    gr_paths paths = {0};
    for (size_t i = 0; i < g->components.n; i++)
        gr_tree_collect(g->components.v[i].measure, gr_tree_path_of_cube(g->components.v[i].measure->cube, arena),
                        arena, &paths);
    collect_shared(ask, arena, &paths);
    g->tree = gr_tree_pruned(&fact->tree, &paths, arena);
    if (g->key_node == GR_TREE_NONE) return;
    g->key_node = gr_tree_find(&g->tree, key_cube);
    if (!g->tree.nodes[g->key_node].is_multiplied) g->key_node = GR_TREE_NONE;
}

gr_status gr_group_facts(const gr_ask *ask, gr_arena *arena, gr_groups *ret, gr_error *err) {
    gr_paths paths = {0};
    collect_all(ask, arena, &paths);
    gr_group whole = {.key_node = GR_TREE_NONE, .components = ask->components};
    gr_error first = {0};
    gr_status status = gr_tree_build(&paths, ask->snapshot->model->n_cubes, arena, &whole.tree, &first);
    if (ask->whole) {
        gr_ask alone = *ask;
        alone.whole = NULL;
        if (status) return gr_group_facts(&alone, arena, ret, err); /* several facts: each by its own */
        gr_group_prune(ask, &whole, &whole, arena);
    }
    if (status && ask->components.n > 1 && !ask->query->is_ungrouped && !split_facts(ask, arena, ret, NULL))
        return GR_OK;
    if (status) {
        if (err) *err = first;
        return status;
    }
    GR_PUSH(arena, ret, whole);
    return GR_OK;
}

/* ---- fan-out ----------------------------------------------------------------------------------------------------- */

static gr_status fan_out_error(const gr_component *c, const gr_tree *tree, const char *why, gr_error *err) {
    gr_status status = gr_error_set(err, GR_ERR_PLAN_FAN_OUT,
                                    "The joins of this query multiply the rows of '" GR_FMT "', and '" GR_FMT "' %s",
                                    GR_ARG(c->measure->cube->name), GR_ARG(c->measure->id), why);
    gr_error_hint(err, "ask for the measures of '" GR_FMT "' in a query of their own, without members of '" GR_FMT "'",
                  GR_ARG(c->measure->cube->name), GR_ARG(tree->nodes[0].cube->name));
    return status;
}

/* A component over distinct keys needs a key, and values that the key determines. */
static gr_status check_keyed(const gr_group *fact, const gr_component *c, uint32_t node, gr_arena *arena,
                             gr_error *err) {
    if (c->measure->cube->n_primary_keys == 0)
        return fan_out_error(c, &fact->tree, "cannot be counted once for each, because the cube has no primary key",
                             err);
    if (c->agg == GR_AGG_OPAQUE)
        return fan_out_error(c, &fact->tree, "aggregates in its own SQL, so that the repeated rows cannot be left out",
                             err);
    gr_paths paths = {0};
    gr_tree_collect(c->measure, gr_tree_path_of_cube(c->measure->cube, arena), arena, &paths);
    for (size_t i = 0; i < paths.n; i++) {
        uint32_t to = gr_tree_find(&fact->tree, paths.v[i].cubes[paths.v[i].n - 1]);
        if (to == GR_TREE_NONE || !gr_tree_multiplies(&fact->tree, node, to)) continue;
        gr_status status = gr_error_set(err, GR_ERR_PLAN_FAN_OUT,
                                        "'" GR_FMT "' references cubes that lead to row multiplication. Please rewrite "
                                        "it using sub query.",
                                        GR_ARG(c->measure->id));
        gr_error_hint(err, "its SQL uses '" GR_FMT "', of which there are many for one row of '" GR_FMT "'",
                      GR_ARG(fact->tree.nodes[to].cube->name), GR_ARG(c->measure->cube->name));
        return status;
    }
    return GR_OK;
}

/* A row that is repeated for several buckets of the time counts in each of them; merged, it would count more than once.
 */
static bool repeats(const gr_tree *tree, const gr_component *c, const gr_paths *time) {
    uint32_t node = gr_tree_find(tree, c->measure->cube);
    for (size_t i = 0; node != GR_TREE_NONE && !gr_component_survives_fan_out(c->agg) && i < time->n; i++) {
        uint32_t at = gr_tree_find(tree, time->v[i].cubes[time->v[i].n - 1]);
        if (at != GR_TREE_NONE && gr_tree_multiplies(tree, node, at)) return true;
    }
    return false;
}

gr_status gr_planner_check_repeats(const gr_plan *inner, const gr_time_field *time, gr_arena *arena, gr_error *err) {
    gr_paths paths = {0}; /* every cube that the time is read from */
    gr_tree_collect(time->field.member, time->field.path, arena, &paths);
    for (size_t i = 0; i < inner->n_pieces; i++) {
        const gr_group *g = &inner->pieces[i].scan.group;
        for (size_t k = 0; inner->pieces[i].kind == GR_PIECE_SCAN && k < g->components.n; k++) {
            const gr_component *c = &g->components.v[k];
            if (!repeats(&g->tree, c, &paths)) continue;
            gr_status status =
                gr_error_set(err, GR_ERR_PLAN_FAN_OUT,
                             "'" GR_FMT "' cannot be read over a window of '" GR_FMT "', which repeats its rows",
                             GR_ARG(c->measure->id), GR_ARG(time->field.id));
            gr_error_hint(err, "ask over a time dimension of '" GR_FMT "', or of a cube that it has one row of",
                          GR_ARG(c->measure->cube->name));
            return status;
        }
    }
    return GR_OK;
}

static gr_group *group_of_key(gr_groups *groups, uint32_t node, uint32_t fact, gr_arena *arena) {
    for (size_t i = 0; i < groups->n; i++)
        if (groups->v[i].key_node == node) return &groups->v[i];
    gr_group fresh = {.key_node = node, .fact = fact};
    GR_PUSH(arena, groups, fresh);
    return &groups->v[groups->n - 1];
}

gr_status gr_group_split(const gr_ask *ask, const gr_group *fact, gr_arena *arena, gr_groups *out, gr_error *err) {
    gr_groups groups = {0};
    uint32_t *nodes = GR_NEW_N(arena, uint32_t, fact->components.n + 1);
    size_t n_keyed = 0;
    for (size_t i = 0; i < fact->components.n; i++) {
        const gr_component *c = &fact->components.v[i];
        uint32_t node = gr_tree_find(&fact->tree, c->measure->cube);
        bool is_keyed = !ask->query->is_ungrouped && node != GR_TREE_NONE && fact->tree.nodes[node].is_multiplied &&
                        !gr_component_survives_fan_out(c->agg);
        if (is_keyed) GR_TRY(check_keyed(fact, c, node, arena, err));
        nodes[i] = is_keyed ? node : GR_TREE_NONE;
        n_keyed += is_keyed;
    }
    if (!n_keyed) {
        GR_PUSH(arena, out, *fact);
        return GR_OK;
    }
    for (size_t i = 0; i < fact->components.n; i++) { /* what stands the joins goes along with its cube's own group */
        const gr_component *c = &fact->components.v[i];
        uint32_t node = gr_tree_find(&fact->tree, c->measure->cube);
        for (size_t k = 0; k < fact->components.n && nodes[i] == GR_TREE_NONE && c->agg != GR_AGG_OPAQUE; k++)
            if (nodes[k] == node) nodes[i] = node;
        gr_group *own = group_of_key(&groups, nodes[i], fact->fact, arena);
        GR_PUSH(arena, &own->components, *c);
    }
    for (size_t i = 0; i < groups.n; i++) {
        gr_group_prune(ask, fact, &groups.v[i], arena);
        GR_PUSH(arena, out, groups.v[i]);
    }
    return GR_OK;
}
