/* Join trees (cube.md 5.1) and which of their cubes are multiplied (5.2).
 *
 * Edges are the declared joins, from the declaring cube to its target. For the cubes that a query needs, each is tried
 * as root; from it the shortest way to each other cube is walked (explicit paths are walked as written); the tree with
 * the fewest cubes wins, the first in collection order among equals. A cube stands in a tree once.
 *
 *      line_items --many_to_one--> orders --many_to_one--> users        root: line_items
 *      users is multiplied: walking from it, an edge is crossed against many_to_one. */
#include "plan/internal.h"

#include "base/buf.h"

static bool path_eq(gr_path a, gr_path b) { return a.n == b.n && memcmp(a.cubes, b.cubes, a.n * sizeof *a.cubes) == 0; }

static void add_path(gr_paths *out, gr_path path, gr_arena *arena) {
    for (size_t i = 0; i < out->n; i++)
        if (path_eq(out->v[i], path)) return;
    GR_PUSH(arena, out, path);
}

static const gr_join *join_between(const gr_cube *from, const gr_cube *to) {
    for (size_t i = 0; i < from->n_joins; i++)
        if (from->joins[i].to == to) return &from->joins[i];
    return NULL;
}

/* The owner's path, continued by the path written in a hole; only the last cube when the first step is not a declared
 * join, so that the shortest way is searched. */
gr_path gr_tree_path_through(gr_path owner, const gr_part *part, gr_arena *arena) {
    gr_path path = {GR_NEW_N(arena, const gr_cube *, owner.n + part->n_path), 0};
    if (part->n_path && join_between(owner.cubes[owner.n - 1], part->path[0]))
        for (size_t i = 0; i < owner.n; i++) path.cubes[path.n++] = owner.cubes[i];
    else if (part->n_path == 1) {
        path.cubes[path.n++] = part->path[0];
        return path;
    }
    for (size_t i = 0; i < part->n_path; i++) path.cubes[path.n++] = part->path[i];
    return path;
}

static void collect_expr(const gr_expr *expr, gr_path owner, gr_arena *arena, gr_paths *out) {
    for (size_t i = 0; expr && i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        gr_path path = part->n_path ? gr_tree_path_through(owner, part, arena) : owner;
        if (part->kind == GR_PART_TABLE && part->n_path) add_path(out, path, arena);
        if (part->kind == GR_PART_MEMBER) gr_tree_collect(part->member, path, arena, out);
    }
}

void gr_tree_collect(const gr_member *member, gr_path path, gr_arena *arena, gr_paths *out) {
    add_path(out, path, arena);
    if (member->is_sub_query) return; /* computed on its own, and joined by the key of its cube */
    collect_expr(member->sql, path, arena, out);
    collect_expr(member->latitude, path, arena, out);
    collect_expr(member->longitude, path, arena, out);
    for (size_t i = 0; i < member->n_cases; i++) {
        collect_expr(member->cases[i].when, path, arena, out);
        collect_expr(member->cases[i].label_sql, path, arena, out);
    }
    for (size_t i = 0; i < member->n_filters; i++) collect_expr(member->filters[i], path, arena, out);
}

uint32_t gr_tree_find(const gr_tree *tree, const gr_cube *cube) {
    for (uint32_t i = 0; i < tree->n; i++)
        if (tree->nodes[i].cube == cube) return i;
    return GR_TREE_NONE;
}

bool gr_tree_same_way(const gr_tree *a, uint32_t node_a, const gr_tree *b, uint32_t node_b) {
    for (;;) {
        const gr_tree_node *x = &a->nodes[node_a], *y = &b->nodes[node_b];
        if (x->cube != y->cube || x->join != y->join) return false;
        if (node_a == 0 || node_b == 0) return node_a == node_b;
        node_a = x->parent;
        node_b = y->parent;
    }
}

typedef struct builder {
    gr_tree tree;
    size_t n_cubes;
    gr_arena *arena;
    const gr_join **came_by; /* scratch of the search, by cube index */
    bool is_ambiguous;
} builder;

/* Hang `join->to` under the node of `join->from`. False when it hangs elsewhere already. */
static bool hang(builder *b, const gr_join *join) {
    uint32_t at = gr_tree_find(&b->tree, join->to);
    if (at != GR_TREE_NONE) {
        b->is_ambiguous |= b->tree.nodes[at].join != join;
        return b->tree.nodes[at].join == join;
    }
    uint32_t parent = gr_tree_find(&b->tree, join->from);
    b->tree.nodes[b->tree.n++] = (gr_tree_node){.cube = join->to, .parent = parent, .join = join};
    return true;
}

/* Breadth first from `from`; the joins of the shortest way are hung one after another. */
static bool walk_shortest(builder *b, const gr_cube *from, const gr_cube *to) {
    if (gr_tree_find(&b->tree, to) != GR_TREE_NONE) return true;
    if (!b->came_by) b->came_by = GR_NEW_N(b->arena, const gr_join *, b->n_cubes);
    memset(b->came_by, 0, b->n_cubes * sizeof *b->came_by);
    GR_VEC(const gr_cube *) queue = {0};
    GR_PUSH(b->arena, &queue, from);
    for (size_t head = 0; head < queue.n && !b->came_by[to->index]; head++) {
        const gr_cube *cube = queue.v[head];
        for (size_t i = 0; i < cube->n_joins; i++) {
            const gr_cube *next = cube->joins[i].to;
            if (next == from || b->came_by[next->index]) continue;
            b->came_by[next->index] = &cube->joins[i];
            GR_PUSH(b->arena, &queue, next);
        }
    }
    if (!b->came_by[to->index]) return false;
    GR_VEC(const gr_join *) way = {0};
    for (const gr_cube *at = to; at != from; at = b->came_by[at->index]->from)
        GR_PUSH(b->arena, &way, b->came_by[at->index]);
    for (size_t i = way.n; i-- > 0;)
        if (!hang(b, way.v[i])) return false;
    return true;
}

static bool walk_path(builder *b, gr_path path) {
    if (!walk_shortest(b, b->tree.nodes[0].cube, path.cubes[0])) return false;
    for (size_t i = 1; i < path.n; i++) {
        const gr_join *join = join_between(path.cubes[i - 1], path.cubes[i]);
        if (!join || !hang(b, join)) return false;
    }
    return true;
}

/* Explicit ways first, so that a shortest way does not take their place. */
static bool try_root(builder *b, const gr_paths *paths, const gr_cube *root) {
    b->tree.n = 1;
    b->tree.nodes[0] = (gr_tree_node){.cube = root};
    for (int explicit_ways = 1; explicit_ways >= 0; explicit_ways--)
        for (size_t i = 0; i < paths->n; i++)
            if ((paths->v[i].n > 1) == explicit_ways && !walk_path(b, paths->v[i])) return false;
    return true;
}

/* Crossing this edge away from `from_node` meets several rows for one. */
static bool edge_multiplies(const gr_join *join, bool is_with_declaration) {
    return join->relationship == (is_with_declaration ? GR_JOIN_ONE_TO_MANY : GR_JOIN_MANY_TO_ONE);
}

gr_path gr_tree_path_of_cube(const gr_cube *cube, gr_arena *arena) {
    gr_path path = {GR_NEW_N(arena, const gr_cube *, 1), 1};
    path.cubes[0] = cube;
    return path;
}

static uint32_t depth_of(const gr_tree *tree, uint32_t node) {
    uint32_t depth = 0;
    for (; node != 0; node = tree->nodes[node].parent) depth++;
    return depth;
}

/* Up from the deeper end until the two ways meet. */
bool gr_tree_multiplies(const gr_tree *tree, uint32_t from, uint32_t to) {
    uint32_t a = depth_of(tree, from), b = depth_of(tree, to);
    while (from != to) {
        bool is_up = a >= b;
        const gr_tree_node *node = &tree->nodes[is_up ? from : to];
        if (edge_multiplies(node->join, !is_up)) return true;
        if (is_up) {
            from = node->parent;
            a--;
        } else {
            to = node->parent;
            b--;
        }
    }
    return false;
}

static bool is_multiplied_from(const gr_tree *tree, uint32_t node, uint32_t came_from) {
    for (uint32_t i = 0; i < tree->n; i++) {
        if (i == came_from || i == node) continue;
        bool is_child = i != 0 && tree->nodes[i].parent == node, is_parent = node != 0 && tree->nodes[node].parent == i;
        if (!is_child && !is_parent) continue;
        if (edge_multiplies(is_child ? tree->nodes[i].join : tree->nodes[node].join, is_child)) return true;
        if (is_multiplied_from(tree, i, node)) return true;
    }
    return false;
}

static gr_status no_path(const gr_paths *paths, bool is_ambiguous, gr_arena *arena, gr_error *err) {
    gr_buf names;
    gr_buf_init(&names, 2000);
    GR_VEC(const gr_cube *) seen = {0};
    for (size_t i = 0; i < paths->n; i++) {
        const gr_cube *cube = paths->v[i].cubes[paths->v[i].n - 1];
        bool is_seen = false;
        for (size_t j = 0; j < seen.n; j++) is_seen |= seen.v[j] == cube;
        if (is_seen) continue;
        gr_buf_printf(&names, "%s'" GR_FMT "'", seen.n ? ", " : "", GR_ARG(cube->name));
        GR_PUSH(arena, &seen, cube);
    }
    gr_status status =
        gr_error_set(err, GR_ERR_PLAN_NO_JOIN_PATH, "Can't find join path to join " GR_FMT, GR_ARG(gr_buf_str(&names)));
    if (is_ambiguous)
        gr_error_hint(err, "a cube is reached by two different ways, which one query cannot do yet");
    else
        gr_error_hint(err, "declare a join between these cubes, or ask for their members in separate queries");
    gr_buf_done(&names);
    return status;
}

static void mark_multiplied(gr_tree *tree) {
    for (uint32_t i = 0; tree->n > 1 && i < tree->n; i++)
        tree->nodes[i].is_multiplied = is_multiplied_from(tree, i, GR_TREE_NONE);
}

gr_tree gr_tree_pruned(const gr_tree *tree, const gr_paths *paths, gr_arena *arena) {
    bool *is_needed = GR_NEW_N(arena, bool, tree->n);
    is_needed[0] = true;
    for (size_t i = 0; i < paths->n; i++)
        for (size_t k = 0; k < paths->v[i].n; k++) {
            uint32_t node = gr_tree_find(tree, paths->v[i].cubes[k]);
            for (; node != GR_TREE_NONE && !is_needed[node]; node = tree->nodes[node].parent) is_needed[node] = true;
        }
    gr_tree out = {GR_NEW_N(arena, gr_tree_node, tree->n), 0};
    uint32_t *moved = GR_NEW_N(arena, uint32_t, tree->n);
    for (uint32_t i = 0; i < tree->n; i++) {
        if (!is_needed[i]) continue;
        moved[i] = (uint32_t)out.n;
        out.nodes[out.n] = tree->nodes[i];
        out.nodes[out.n].is_multiplied = false;
        out.nodes[out.n++].parent = moved[tree->nodes[i].parent];
    }
    mark_multiplied(&out);
    return out;
}

bool gr_tree_union(const gr_tree *a, const gr_tree *b, gr_arena *arena, gr_tree *ret) {
    gr_tree all = {GR_NEW_N(arena, gr_tree_node, a->n + b->n), a->n};
    memcpy(all.nodes, a->nodes, a->n * sizeof *a->nodes);
    for (size_t i = 0; i < b->n; i++) {
        uint32_t there = gr_tree_find(&all, b->nodes[i].cube);
        if (there != GR_TREE_NONE && all.nodes[there].join != b->nodes[i].join) return false;
        if (there != GR_TREE_NONE) continue;
        uint32_t parent = gr_tree_find(&all, b->nodes[b->nodes[i].parent].cube);
        all.nodes[all.n++] = (gr_tree_node){.cube = b->nodes[i].cube, .parent = parent, .join = b->nodes[i].join};
    }
    mark_multiplied(&all);
    *ret = all;
    return true;
}

gr_status gr_tree_build(const gr_paths *paths, size_t n_cubes, gr_arena *arena, gr_tree *ret, gr_error *err) {
    gr_tree best = {0};
    bool is_ambiguous = false;
    GR_VEC(const gr_cube *) tried = {0};
    for (size_t i = 0; i < paths->n; i++) {
        const gr_cube *root = paths->v[i].cubes[0];
        bool is_tried = false;
        for (size_t j = 0; j < tried.n; j++) is_tried |= tried.v[j] == root;
        if (is_tried) continue;
        GR_PUSH(arena, &tried, root);
        builder b = {.n_cubes = n_cubes, .arena = arena};
        b.tree.nodes = GR_NEW_N(arena, gr_tree_node, paths->n == 1 && paths->v[0].n == 1 ? 1 : n_cubes);
        if (try_root(&b, paths, root) && (best.n == 0 || b.tree.n < best.n)) best = b.tree;
        is_ambiguous |= b.is_ambiguous;
        if (best.n == 1) break;
    }
    if (best.n == 0) return no_path(paths, is_ambiguous, arena, err);
    mark_multiplied(&best);
    *ret = best;
    return GR_OK;
}
