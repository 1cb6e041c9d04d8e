/* Entities as people and clients see them: the catalog's row, and what the model in service makes of it. */
#include "serve/entity.h"

#include <stdlib.h>

static int str_order(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

void gr_serve_sort_names(gr_names *names) {
    if (names->n) qsort(names->v, names->n, sizeof *names->v, str_order);
}

void gr_serve_add_name(gr_names *names, gr_str name, gr_arena *arena) {
    for (size_t i = 0; i < names->n; i++)
        if (gr_str_eq(names->v[i], name)) return;
    GR_PUSH(arena, names, name);
}

bool gr_serve_holds_measure(const gr_snapshot *snapshot, const gr_rollup *r, const gr_member *m) {
    const gr_components *own = gr_plan_index_components(snapshot->index, m);
    for (size_t i = 0; i < own->n; i++) {
        bool is_there = false;
        for (size_t k = 0; k < r->n_components && !is_there; k++)
            is_there = gr_str_eq(own->v[i].stored_key, r->components[k].component.stored_key);
        if (!is_there) return false;
    }
    return own->n > 0;
}

static void find_metrics(const gr_snapshot *snapshot, const gr_rollup *r, gr_arena *arena, gr_entity_view *view) {
    gr_names names = {0};
    for (size_t i = 0; i < r->n_components; i++) /* cubes that a measure of it lives in */
        for (size_t k = 0; k < r->components[i].component.measure->cube->n_measures; k++) {
            const gr_member *m = r->components[i].component.measure->cube->measures[k];
            if (gr_serve_holds_measure(snapshot, r, m)) gr_serve_add_name(&names, gr_arena_dup(arena, m->id), arena);
        }
    gr_serve_sort_names(&names);
    view->metrics = names.v;
    view->n_metrics = names.n;
}

/* The first name of a YAML item, or that of its definition. */
static gr_str name_of(const gr_rollup *r, const gr_preagg_row *row, gr_arena *arena) {
    if (row->decl.n_declared_by) return row->decl.declared_by[0];
    return gr_arena_dup(arena, r->preagg->id);
}

gr_str gr_serve_bare_table(gr_str text, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '"') out[n++] = text.p[i];
    return (gr_str){out, n};
}

static gr_str shown_table(const gr_preagg_row *row, gr_arena *arena) {
    json_t *root;
    if (row->decl.external.n && !gr_json_parse(row->decl.external, 4 << 20, arena, &root, NULL)) {
        const json_t *table = json_object_get(root, "table");
        return json_is_string(table) ? gr_arena_dup(arena, gr_json_str(table)) : (gr_str){0};
    }
    if (row->availability.n && !gr_json_parse(row->availability, 4 << 20, arena, &root, NULL) &&
        json_integer_value(json_object_get(root, "at_us")) > (row->has_serving ? row->serving.finished_us : 0))
        return gr_arena_printf(arena, "%s.%s.%s", json_string_value(json_object_get(root, "catalog")),
                               json_string_value(json_object_get(root, "schema")),
                               json_string_value(json_object_get(root, "table")));
    if (!row->has_serving) return (gr_str){0};
    return gr_serve_bare_table(row->serving.table_name, arena);
}

gr_entity_view gr_serve_view_of(const gr_snapshot *snapshot, const gr_preagg_row *row, gr_arena *arena) {
    gr_entity_view view = {.row = *row, .name = row->decl.name, .table = shown_table(row, arena)};
    const gr_tz *zone;
    const gr_rollup *r = gr_exec_rollup_of(snapshot, row->id, &zone);
    if (!r) return view;
    view.is_in_service = true;
    view.problem = gr_arena_dup(arena, r->problem_text);
    if (!view.name.n) view.name = name_of(r, row, arena); /* a registered table has the handle that it was given */
    find_metrics(snapshot, r, arena, &view);
    return view;
}

static void take_refresh(gr_serve *serve, gr_arena *arena, gr_entity_view *view) {
    view->is_refreshed = gr_serve_refresh_view(serve, view->row.id, arena, &view->refresh);
}

gr_status gr_serve_view_get(gr_serve *serve, int64_t id, gr_arena *arena, gr_entity_view *ret, gr_error *err) {
    gr_preagg_row row;
    bool is_found = false;
    GR_TRY(gr_catalog_get(gr_exec_catalog(serve->exec), id, arena, &row, &is_found, err));
    if (!is_found)
        return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "There is no pre-aggregation with id %lld", (long long)id);
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    *ret = gr_serve_view_of(snapshot, &row, arena);
    take_refresh(serve, arena, ret);
    gr_serve_snapshot_unref(snapshot);
    return GR_OK;
}

gr_str gr_serve_bare_name(gr_str name) {
    static const gr_str prefix = GR_STR_INIT("cube.");
    return gr_str_starts(name, prefix) ? gr_str_sub(name, prefix.n, name.n - prefix.n) : name;
}

gr_status gr_serve_no_node(gr_str name, gr_error *err) {
    int shown = (int)(name.n < 200 ? name.n : 200);
    return gr_error_set(err, GR_ERR_NODE_NOT_FOUND, "A node with name `%.*s` does not exist.", shown, name.p);
}

/* "cube.orders" and "orders" are one node, unless a cube by API has the longer name itself. */
gr_status gr_serve_node_row(gr_serve *serve, gr_str name, gr_str version, gr_arena *arena, gr_node_row *ret,
                            gr_error *err) {
    gr_catalog *catalog = gr_exec_catalog(serve->exec);
    bool is_found = false;
    GR_TRY(gr_catalog_node_get(catalog, name, version, false, arena, ret, &is_found, err));
    if (!is_found)
        GR_TRY(gr_catalog_node_get(catalog, gr_serve_bare_name(name), version, false, arena, ret, &is_found, err));
    return is_found ? GR_OK : gr_serve_no_node(name, err);
}

static gr_status check_filter(gr_serve *serve, gr_preagg_filter *filter, gr_arena *arena, gr_error *err) {
    gr_node_row row;
    if (filter->node.n) {
        GR_TRY(gr_serve_node_row(serve, filter->node, (gr_str){0}, arena, &row, err));
        filter->node = row.decl.name;
    }
    if (filter->cube.n) {
        GR_TRY(gr_serve_node_row(serve, filter->cube, (gr_str){0}, arena, &row, err));
        filter->cube = row.decl.name;
    }
    return GR_OK;
}

gr_status gr_serve_entities(gr_serve *serve, const gr_preagg_filter *asked, gr_arena *arena, gr_entity_view **ret,
                            size_t *ret_n, int64_t *ret_total, gr_error *err) {
    gr_preagg_filter filter = *asked;
    gr_preagg_row *rows;
    size_t n;
    GR_TRY(check_filter(serve, &filter, arena, err));
    GR_TRY(gr_catalog_find(gr_exec_catalog(serve->exec), &filter, arena, &rows, &n, ret_total, err));
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    gr_entity_view *views = GR_NEW_N(arena, gr_entity_view, n + 1);
    for (size_t i = 0; i < n; i++) {
        views[i] = gr_serve_view_of(snapshot, &rows[i], arena);
        take_refresh(serve, arena, &views[i]);
    }
    gr_serve_snapshot_unref(snapshot);
    *ret = views;
    *ret_n = n;
    return GR_OK;
}

gr_status gr_serve_entity(gr_serve *serve, int64_t id, gr_arena *arena, gr_entity_view *ret, gr_error *err) {
    return gr_serve_view_get(serve, id, arena, ret, err);
}

static bool read_id(gr_str text, int64_t *ret) {
    int64_t id = 0;
    if (!text.n || text.n > 18) return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        id = id * 10 + (text.p[i] - '0');
    }
    *ret = id;
    return true;
}

/* By a name that YAML or an answer gives: the entity of its rollup in UTC, or in the zone that it is declared for. */
static int64_t id_of_name(const gr_snapshot *snapshot, gr_str name) {
    const gr_rollup *r = gr_serve_rollup(snapshot, name);
    if (!r) return 0;
    const gr_tz *zone = gr_tz_utc();
    if (r->preagg->time_zone.n && gr_tz_get(r->preagg->time_zone, &zone, NULL)) zone = gr_tz_utc();
    const gr_rollup_state *state = gr_snapshot_state(snapshot, r->preagg, gr_rollup_zone(r, zone));
    return state ? state->entity_id : 0;
}

/* The newest registered table with this handle; handles are not unique. */
static gr_status id_of_handle(gr_serve *serve, gr_str name, gr_arena *arena, int64_t *ret, gr_error *err) {
    gr_preagg_filter registered = {.external = 1};
    gr_preagg_row *rows;
    size_t n;
    int64_t total;
    GR_TRY(gr_catalog_find(gr_exec_catalog(serve->exec), &registered, arena, &rows, &n, &total, err));
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq(rows[i].decl.name, name)) *ret = rows[i].id;
    return GR_OK;
}

gr_status gr_serve_entity_find(gr_serve *serve, gr_str id_or_name, gr_arena *arena, gr_entity_view *ret,
                               gr_error *err) {
    int64_t id = 0;
    if (read_id(id_or_name, &id)) return gr_serve_view_get(serve, id, arena, ret, err);
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    id = id_of_name(snapshot, id_or_name);
    gr_status status = id ? GR_OK : id_of_handle(serve, id_or_name, arena, &id, err);
    if (!status && !id) status = gr_serve_no_preagg(snapshot, id_or_name, err);
    gr_serve_snapshot_unref(snapshot);
    return status ? status : gr_serve_view_get(serve, id, arena, ret, err);
}

gr_status gr_serve_entity_cubes(gr_serve *serve, int64_t id, gr_arena *arena, gr_node_row **ret, size_t *ret_n,
                                gr_error *err) {
    gr_entity_view view;
    GR_TRY(gr_serve_view_get(serve, id, arena, &view, err));
    gr_node_row *rows = GR_NEW_N(arena, gr_node_row, view.row.n_cubes + 1);
    size_t n = 0;
    for (size_t i = 0; i < view.row.n_cubes; i++) {
        bool is_found = false;
        GR_TRY(gr_catalog_node_get(gr_exec_catalog(serve->exec), view.row.cubes[i], (gr_str){0}, false, arena, &rows[n],
                                   &is_found, err));
        n += is_found;
    }
    *ret = rows;
    *ret_n = n;
    return GR_OK;
}

gr_status gr_serve_entity_builds(gr_serve *serve, int64_t id, int64_t limit, gr_arena *arena, gr_build_row **ret,
                                 size_t *ret_n, gr_error *err) {
    gr_entity_view view;
    GR_TRY(gr_serve_view_get(serve, id, arena, &view, err));
    return gr_catalog_builds(gr_exec_catalog(serve->exec), id, limit, arena, ret, ret_n, err);
}

gr_status gr_serve_history(gr_serve *serve, const gr_history_filter *filter, gr_arena *arena, gr_history_row **ret,
                           size_t *ret_n, gr_error *err) {
    return gr_catalog_history(gr_exec_catalog(serve->exec), filter, arena, ret, ret_n, err);
}
