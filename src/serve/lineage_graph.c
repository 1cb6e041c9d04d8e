/* Lineage as a graph: putting it together, the closure around some nodes, its text for Graphviz. Knows nothing of
 * models. Invariant: what comes out depends on what was put, and not on the order. */
#include "serve/lineage.h"

#include "base/buf.h"

#include <stdlib.h>

static const struct {
    gr_str name;
    const char *shape;
} kinds[] = {
    [GR_LINEAGE_TABLE] = {GR_STR_INIT("table"), "cylinder"},
    [GR_LINEAGE_COLUMN] = {GR_STR_INIT("column"), "note"},
    [GR_LINEAGE_MEMBER] = {GR_STR_INIT("member"), "ellipse"},
    [GR_LINEAGE_COMPONENT] = {GR_STR_INIT("component"), "component"},
    [GR_LINEAGE_PREAGG] = {GR_STR_INIT("pre_aggregation"), "box3d"},
    [GR_LINEAGE_CUBE] = {GR_STR_INIT("cube"), "folder"},
    [GR_LINEAGE_METRIC] = {GR_STR_INIT("metric"), "hexagon"},
};

gr_str gr_lineage_kind_name(gr_lineage_kind kind) { return kinds[kind].name; }

/* ---- putting together ----------------------------------------------------------------------------------------------
 */

void gr_lineage_draft_init(gr_lineage_draft *d, gr_arena *arena) {
    *d = (gr_lineage_draft){.arena = arena};
    gr_map_init(&d->by_id, arena);
    gr_map_init(&d->by_component, arena);
}

size_t gr_lineage_draft_find_id(const gr_lineage_draft *d, gr_str id) {
    uintptr_t at = (uintptr_t)gr_map_get(&d->by_id, id);
    return at ? at - 1 : SIZE_MAX;
}

static gr_str id_of(gr_lineage_kind kind, gr_str name, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT ":" GR_FMT, GR_ARG(kinds[kind].name), GR_ARG(name));
}

size_t gr_lineage_draft_find(const gr_lineage_draft *d, gr_lineage_kind kind, gr_str name) {
    return gr_lineage_draft_find_id(d, id_of(kind, name, d->arena));
}

size_t gr_lineage_draft_put(gr_lineage_draft *d, gr_lineage_kind kind, gr_str name, gr_str label, gr_str detail) {
    gr_str id = id_of(kind, name, d->arena);
    size_t at = gr_lineage_draft_find_id(d, id);
    if (at != SIZE_MAX) return at;
    gr_lineage_node node = {kind, id, gr_arena_dup(d->arena, label), gr_arena_dup(d->arena, detail)};
    GR_PUSH(d->arena, &d->nodes, node);
    gr_map_put(&d->by_id, id, (void *)(uintptr_t)d->nodes.n); /* index + 1 */
    return d->nodes.n - 1;
}

void gr_lineage_draft_link(gr_lineage_draft *d, size_t from, size_t to) {
    if (from == to || from == SIZE_MAX || to == SIZE_MAX) return;
    GR_PUSH(d->arena, &d->edges, (gr_lineage_edge){from, to});
}

/* ---- closure -------------------------------------------------------------------------------------------------------
 */

/* The neighbours of node i, in one direction, are to[first[i]] up to to[first[i + 1]]. */
typedef struct neighbours {
    size_t *first, *to;
} neighbours;

static neighbours neighbours_of(const gr_lineage_draft *d, bool is_back, gr_arena *scratch) {
    size_t n = d->nodes.n;
    neighbours a = {GR_NEW_N(scratch, size_t, n + 2), GR_NEW_N(scratch, size_t, d->edges.n + 1)};
    for (size_t i = 0; i < d->edges.n; i++) a.first[(is_back ? d->edges.v[i].to : d->edges.v[i].from) + 2]++;
    for (size_t i = 2; i < n + 2; i++) a.first[i] += a.first[i - 1];
    for (size_t i = 0; i < d->edges.n; i++) { /* first[i + 1] runs to where first[i + 2] stood */
        const gr_lineage_edge *e = &d->edges.v[i];
        a.to[a.first[(is_back ? e->to : e->from) + 1]++] = is_back ? e->from : e->to;
    }
    return a;
}

static void reach(const gr_lineage_draft *d, bool is_back, const size_t *starts, size_t n, bool *is_kept,
                  gr_arena *scratch) {
    neighbours a = neighbours_of(d, is_back, scratch);
    bool *is_seen = GR_NEW_N(scratch, bool, d->nodes.n + 1);
    size_t *todo = GR_NEW_N(scratch, size_t, d->nodes.n + 1), n_todo = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_seen[starts[i]]) {
            is_seen[starts[i]] = true;
            todo[n_todo++] = starts[i];
        }
    while (n_todo) {
        size_t at = todo[--n_todo];
        is_kept[at] = true;
        for (size_t i = a.first[at]; i < a.first[at + 1]; i++)
            if (!is_seen[a.to[i]]) {
                is_seen[a.to[i]] = true;
                todo[n_todo++] = a.to[i];
            }
    }
}

/* ---- order ---------------------------------------------------------------------------------------------------------
 */

typedef struct placed {
    gr_lineage_node node;
    size_t old;
} placed;

static int placed_order(const void *x, const void *y) {
    const gr_lineage_node *a = &((const placed *)x)->node, *b = &((const placed *)y)->node;
    return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind) : gr_str_cmp(a->id, b->id);
}

static int edge_order(const void *x, const void *y) {
    const gr_lineage_edge *a = x, *b = y;
    return a->from != b->from ? (a->from > b->from) - (a->from < b->from) : (a->to > b->to) - (a->to < b->to);
}

static void put_nodes(const gr_lineage_draft *d, const bool *is_kept, size_t *new_of, gr_lineage *out, gr_arena *arena,
                      gr_arena *scratch) {
    placed *list = GR_NEW_N(scratch, placed, d->nodes.n + 1);
    for (size_t i = 0; i < d->nodes.n; i++)
        if (is_kept[i]) list[out->n_nodes++] = (placed){d->nodes.v[i], i};
    qsort(list, out->n_nodes, sizeof *list, placed_order);
    out->nodes = GR_NEW_N(arena, gr_lineage_node, out->n_nodes + 1);
    for (size_t i = 0; i < out->n_nodes; i++) {
        const gr_lineage_node *from = &list[i].node;
        out->nodes[i] = (gr_lineage_node){from->kind, gr_arena_dup(arena, from->id), gr_arena_dup(arena, from->label),
                                          gr_arena_dup(arena, from->detail)};
        new_of[list[i].old] = i;
    }
}

static void put_edges(const gr_lineage_draft *d, const bool *is_kept, const size_t *new_of, gr_lineage *out,
                      gr_arena *arena) {
    size_t n = 0, n_kept = 0;
    out->edges = GR_NEW_N(arena, gr_lineage_edge, d->edges.n + 1);
    for (size_t i = 0; i < d->edges.n; i++) {
        const gr_lineage_edge *e = &d->edges.v[i];
        if (is_kept[e->from] && is_kept[e->to]) out->edges[n++] = (gr_lineage_edge){new_of[e->from], new_of[e->to]};
    }
    qsort(out->edges, n, sizeof *out->edges, edge_order);
    for (size_t i = 0; i < n; i++)
        if (!i || edge_order(&out->edges[i], &out->edges[i - 1])) out->edges[n_kept++] = out->edges[i];
    out->n_edges = n_kept;
}

gr_lineage gr_lineage_draft_around(const gr_lineage_draft *d, const size_t *starts, size_t n, gr_arena *arena) {
    gr_arena *scratch = gr_arena_new();
    bool *is_kept = GR_NEW_N(scratch, bool, d->nodes.n + 1);
    size_t *new_of = GR_NEW_N(scratch, size_t, d->nodes.n + 1);
    gr_lineage out = {0};
    if (n) {
        reach(d, false, starts, n, is_kept, scratch);
        reach(d, true, starts, n, is_kept, scratch);
    } else {
        memset(is_kept, true, d->nodes.n);
    }
    put_nodes(d, is_kept, new_of, &out, arena, scratch);
    put_edges(d, is_kept, new_of, &out, arena);
    gr_arena_free(scratch);
    return out;
}

/* ---- Graphviz ------------------------------------------------------------------------------------------------------
 */

/* Inside of quotes: a backslash begins an escape there, and a line end would be taken for one. */
static void add_escaped(gr_buf *out, gr_str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"' || c == '\\') gr_buf_char(out, '\\');
        gr_buf_char(out, (unsigned char)c < ' ' ? ' ' : c);
    }
}

static void add_quoted(gr_buf *out, gr_str text) {
    gr_buf_char(out, '"');
    add_escaped(out, text);
    gr_buf_char(out, '"');
}

/* More than the text can take: each byte of it may be escaped. */
static size_t most_bytes(const gr_lineage *l) {
    size_t n = 256;
    for (size_t i = 0; i < l->n_nodes; i++)
        n += 128 + 2 * (l->nodes[i].id.n + l->nodes[i].label.n + l->nodes[i].detail.n);
    for (size_t i = 0; i < l->n_edges; i++)
        n += 32 + 2 * (l->nodes[l->edges[i].from].id.n + l->nodes[l->edges[i].to].id.n);
    return n;
}

gr_str gr_serve_lineage_dot(const gr_lineage *l, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, most_bytes(l));
    gr_buf_z(&out, "digraph lineage {\n  rankdir=LR;\n");
    for (size_t i = 0; i < l->n_nodes; i++) {
        const gr_lineage_node *node = &l->nodes[i];
        gr_buf_z(&out, "  ");
        add_quoted(&out, node->id);
        gr_buf_z(&out, " [label=\"");
        add_escaped(&out, node->label);
        if (node->detail.n) gr_buf_z(&out, "\\n");
        add_escaped(&out, node->detail);
        gr_buf_printf(&out, "\", shape=%s];\n", kinds[node->kind].shape);
    }
    for (size_t i = 0; i < l->n_edges; i++) {
        gr_buf_z(&out, "  ");
        add_quoted(&out, l->nodes[l->edges[i].from].id);
        gr_buf_z(&out, " -> ");
        add_quoted(&out, l->nodes[l->edges[i].to].id);
        gr_buf_z(&out, ";\n");
    }
    gr_buf_z(&out, "}\n");
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}
