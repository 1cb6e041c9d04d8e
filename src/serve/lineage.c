/* Lineage of a name: everything that the model in service and the catalog have is put into one graph, and what hangs on
 * the nodes of that name is cut out of it. A name stands for all that has it: a member and a pre-aggregation may share
 * one. */
#include "serve/lineage.h"
#include "serve/entity.h"

typedef struct finding {
    const gr_snapshot *snapshot;
    gr_lineage_draft *draft;
    const gr_entity_view *views;
    const gr_rollup **rollups; /* parallel: of the model in service, or NULL */
    size_t n_views;
    gr_arena *arena;
    GR_VEC(size_t) starts;
} finding;

static void add_start(finding *f, size_t at) {
    if (at != SIZE_MAX) GR_PUSH(f->arena, &f->starts, at);
}

static void add_entity_start(finding *f, const gr_entity_view *view) {
    gr_str id = gr_arena_printf(f->arena, "%lld", (long long)view->row.id);
    add_start(f, gr_lineage_draft_find(f->draft, GR_LINEAGE_PREAGG, id));
}

static void add_members(finding *f, gr_member *const *members, size_t n) {
    for (size_t i = 0; i < n; i++) add_start(f, gr_lineage_draft_find(f->draft, GR_LINEAGE_MEMBER, members[i]->id));
}

/* Not its table, unless it has nothing else: another cube may stand on the same one. */
static void find_cube(finding *f, gr_str name) {
    const gr_cube *cube = gr_model_cube(f->snapshot->model, name);
    if (cube) {
        add_members(f, cube->dimensions, cube->n_dimensions);
        add_members(f, cube->measures, cube->n_measures);
        add_members(f, cube->segments, cube->n_segments);
    }
    for (size_t i = 0; i < f->n_views; i++)
        if (gr_str_eq(f->views[i].row.decl.node, name)) add_entity_start(f, &f->views[i]);
    if (cube && !cube->is_view && !f->starts.n) add_start(f, gr_lineage_draft_put_table(f->draft, cube));
}

static bool is_declared_by(const gr_entity_view *view, gr_str name) {
    for (size_t i = 0; i < view->row.decl.n_declared_by; i++)
        if (gr_str_eq(view->row.decl.declared_by[i], name)) return true;
    return false;
}

/* In every version and zone. */
static void find_entities(finding *f, gr_str name) {
    int64_t id = 0;
    bool is_id = gr_str_to_i64(name, &id);
    const gr_rollup *named = gr_serve_rollup(f->snapshot, name);
    for (size_t i = 0; i < f->n_views; i++) {
        const gr_entity_view *view = &f->views[i];
        if ((is_id && view->row.id == id) || (named && named->entity == f->rollups[i]) || gr_str_eq(view->name, name) ||
            gr_str_eq(view->row.decl.name, name) || is_declared_by(view, name))
            add_entity_start(f, view);
    }
}

static void find_name(finding *f, gr_str name) {
    if (!name.n) return;
    add_start(f, gr_lineage_draft_find_id(f->draft, name));
    add_start(f, gr_lineage_draft_find(f->draft, GR_LINEAGE_CUBE, name));
    add_start(f, gr_lineage_draft_find(f->draft, GR_LINEAGE_MEMBER, name));
    find_cube(f, name);
    find_entities(f, name);
}

static gr_status cut(finding *f, gr_str name, gr_arena *arena, gr_lineage *ret, gr_error *err) {
    if (name.n) find_name(f, name);
    if (name.n && !f->starts.n) find_name(f, gr_serve_bare_name(name));
    if (name.n && !f->starts.n) return gr_serve_no_node(name, err);
    *ret = gr_lineage_draft_around(f->draft, f->starts.v, f->starts.n, arena);
    return GR_OK;
}

/* What the catalog has. */
typedef struct rows {
    gr_preagg_row *entities;
    gr_node_row *cubes;
    size_t n_entities, n_cubes;
} rows;

static gr_status lineage_of(const gr_snapshot *snapshot, const rows *all, gr_str name, gr_arena *scratch,
                            gr_arena *arena, gr_lineage *ret, gr_error *err) {
    gr_lineage_draft draft;
    gr_lineage_draft_init(&draft, scratch);
    gr_lineage_draft_add_model(&draft, snapshot);
    for (size_t i = 0; i < all->n_cubes; i++) gr_lineage_draft_add_cube(&draft, snapshot->model, &all->cubes[i]);
    gr_entity_view *views = GR_NEW_N(scratch, gr_entity_view, all->n_entities + 1);
    const gr_rollup **rollups = GR_NEW_N(scratch, const gr_rollup *, all->n_entities + 1);
    for (size_t i = 0; i < all->n_entities; i++) {
        views[i] = gr_serve_view_of(snapshot, &all->entities[i], scratch);
        rollups[i] = gr_exec_rollup_of(snapshot, all->entities[i].id, NULL);
        gr_lineage_draft_add_entity(&draft, snapshot->model, &views[i], rollups[i]);
    }
    finding f = {snapshot, &draft, views, rollups, all->n_entities, scratch, {0}};
    return cut(&f, name, arena, ret, err);
}

gr_status gr_serve_lineage(gr_serve *serve, gr_str name, gr_arena *arena, gr_lineage *ret, gr_error *err) {
    gr_catalog *catalog = gr_exec_catalog(serve->exec);
    gr_preagg_filter everything = {0};
    rows all = {0};
    int64_t total;
    gr_arena *scratch = gr_arena_new();
    gr_status status = gr_catalog_find(catalog, &everything, scratch, &all.entities, &all.n_entities, &total, err);
    if (!status) status = gr_catalog_nodes(catalog, 1U << GR_NODE_CUBE, scratch, &all.cubes, &all.n_cubes, err);
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    if (!status) status = lineage_of(snapshot, &all, name, scratch, arena, ret, err);
    gr_serve_snapshot_unref(snapshot);
    gr_arena_free(scratch);
    return status;
}
