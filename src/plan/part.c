/* What decides what: the part of a rollup behind one of its components, and the facts of a request. Two builds store
 * the same values of a component exactly when the loads of its part are the same text; so a build goes on serving what
 * it holds when its entity is widened (decisions 17). */
#include "plan/internal.h"

static const gr_group *group_of(const gr_rollup *r, gr_str key) {
    for (size_t i = 0; i < r->groups.n; i++)
        for (size_t k = 0; k < r->groups.v[i].components.n; k++)
            if (gr_str_eq(r->groups.v[i].components.v[k].key, key)) return &r->groups.v[i];
    return NULL;
}

/* The same joins in an order that does not depend on what else is joined: of those that may come next, the first by
 * name. */
static gr_tree in_order(const gr_tree *tree, gr_arena *arena) {
    gr_tree out = {GR_NEW_N(arena, gr_tree_node, tree->n + 1), 0};
    uint32_t *place = GR_NEW_N(arena, uint32_t, tree->n + 1); /* by node of `tree`; GR_TREE_NONE: not yet */
    for (size_t i = 0; i < tree->n; i++) place[i] = GR_TREE_NONE;
    while (out.n < tree->n) {
        size_t next = SIZE_MAX;
        for (size_t i = 0; i < tree->n; i++) {
            const gr_tree_node *node = &tree->nodes[i];
            if (place[i] != GR_TREE_NONE || (i && place[node->parent] == GR_TREE_NONE)) continue;
            if (next == SIZE_MAX || gr_str_cmp(node->cube->name, tree->nodes[next].cube->name) < 0) next = i;
        }
        place[next] = (uint32_t)out.n;
        out.nodes[out.n] = tree->nodes[next];
        out.nodes[out.n++].parent = place[tree->nodes[next].parent];
    }
    return out;
}

const gr_rollup *gr_rollup_part(const gr_plan_index *index, const gr_rollup *rollup, size_t component,
                                gr_arena *arena) {
    const gr_rollup *r = rollup->entity;
    if (!r->definition || r->n_facts != 1) return r;
    const gr_rollup_component *c = component == SIZE_MAX ? NULL : &r->components[component];
    const gr_group *own = c ? group_of(r, c->component.key) : NULL;
    gr_snapshot view = {.model = (gr_model *)(uintptr_t)index->model, .index = (gr_plan_index *)(uintptr_t)index};
    gr_ask ask = {.snapshot = &view, .query = r->definition};
    gr_group fact = {.tree = in_order(&r->trees[0], arena), .key_node = GR_TREE_NONE}, part = fact;
    if (own && own->key_node != GR_TREE_NONE)
        part.key_node = gr_tree_find(&fact.tree, own->tree.nodes[own->key_node].cube);
    if (c) gr_components_add(&part.components, &c->component, arena);
    gr_group_prune(&ask, &fact, &part, arena);
    gr_rollup *ret = GR_NEW(arena, gr_rollup);
    *ret = *r;
    ret->entity = ret;
    ret->tree = part.tree;
    ret->groups = (gr_groups){0};
    GR_PUSH(arena, &ret->groups, part);
    ret->components = r->components + (c ? component : 0);
    ret->n_components = c ? 1 : 0;
    return ret;
}

gr_status gr_plan_facts(const gr_plan_index *index, const gr_query *query, gr_arena *arena, gr_groups *ret,
                        gr_error *err) {
    gr_components all = {0}, stored = {0};
    for (size_t i = 0; i < query->n_measures; i++) gr_measure_components(index, query->measures[i].member, arena, &all);
    for (size_t i = 0; i < all.n; i++) {
        gr_component c = all.v[i];
        c.key = c.stored_key;
        c.window = NULL;
        if (c.agg != GR_AGG_STAGE && c.agg != GR_AGG_OPAQUE) gr_components_add(&stored, &c, arena);
    }
    gr_snapshot view = {.model = (gr_model *)(uintptr_t)index->model, .index = (gr_plan_index *)(uintptr_t)index};
    gr_ask ask = {.snapshot = &view, .query = query, .components = stored};
    return gr_group_facts(&ask, arena, ret, err);
}
