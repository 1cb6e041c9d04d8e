/* Nodes as people see them: the cubes of the model, and those by API, with their members and the SQL behind them. */
#include "serve/entity.h"

#include "data/json.h"

#include <stdlib.h>

static void take_names(const json_t *list, gr_arena *arena, gr_str **ret, size_t *ret_n) {
    gr_names names = {0};
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)))
            GR_PUSH(arena, &names, gr_arena_dup(arena, gr_json_str(json_array_get(list, i))));
    *ret = names.v;
    *ret_n = names.n;
}

static void take_members(gr_member *const *members, size_t n, gr_arena *arena, gr_str **ret, size_t *ret_n) {
    *ret = GR_NEW_N(arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) (*ret)[i] = gr_arena_dup(arena, members[i]->id);
    *ret_n = n;
}

/* The SQL that answers it from the source; empty when it does not fit the model in service. */
static gr_str query_of(gr_serve *serve, const gr_snapshot *snapshot, const gr_node_view *view, const json_t *filters,
                       gr_arena *arena) {
    gr_entity_ask ask = {view->metrics, view->dimensions, view->n_metrics, view->n_dimensions, filters, {0}};
    gr_plan_options how = {.without_rollups = true, .now_us = gr_clock_now_us()};
    gr_query *query;
    gr_plan *plan;
    gr_sql sql;
    if (gr_query_of_metrics(snapshot->model, &ask, arena, &query, NULL) ||
        gr_plan_query(snapshot, query, how, arena, &plan, NULL) || plan->to_probe ||
        gr_sql_query(plan, gr_exec_places(serve->exec), arena, &sql, NULL))
        return (gr_str){0};
    return sql.text;
}

static void fill_cube(gr_serve *serve, const gr_snapshot *snapshot, const json_t *definition, gr_arena *arena,
                      gr_node_view *view) {
    const json_t *filters = json_object_get(definition, "filters");
    take_names(json_object_get(definition, "metrics"), arena, &view->metrics, &view->n_metrics);
    take_names(json_object_get(definition, "dimensions"), arena, &view->dimensions, &view->n_dimensions);
    char *text = json_array_size(filters) ? json_dumps(filters, JSON_COMPACT) : NULL;
    if (text) view->filters = gr_arena_dup(arena, gr_str_from(text));
    free(text);
    view->query = query_of(serve, snapshot, view, filters, arena);
}

static gr_str text_of(const json_t *definition, const char *key, gr_arena *arena) {
    const json_t *text = json_object_get(definition, key);
    return json_is_string(text) ? gr_arena_dup(arena, gr_json_str(text)) : (gr_str){0};
}

static gr_node_view view_of(gr_serve *serve, const gr_snapshot *snapshot, const gr_node_row *row, gr_arena *arena) {
    gr_node_view view = {.row = *row, .filters = GR_STR("[]")};
    json_t *definition = NULL;
    if (gr_json_parse(row->decl.definition.n ? row->decl.definition : GR_STR("{}"), 4 << 20, arena, &definition, NULL))
        return view;
    if (row->decl.type == GR_NODE_CUBE) {
        fill_cube(serve, snapshot, definition, arena, &view);
        return view;
    }
    view.query = text_of(definition, "sql", arena);
    view.table = text_of(definition, "sql_table", arena);
    const gr_cube *cube = gr_model_cube(snapshot->model, row->decl.name);
    if (!cube) return view;
    take_members(cube->measures, cube->n_measures, arena, &view.metrics, &view.n_metrics);
    take_members(cube->dimensions, cube->n_dimensions, arena, &view.dimensions, &view.n_dimensions);
    return view;
}

gr_status gr_serve_node(gr_serve *serve, gr_str name, gr_str version, gr_arena *arena, gr_node_view *ret,
                        gr_error *err) {
    gr_node_row row;
    GR_TRY(gr_serve_node_row(serve, name, version, arena, &row, err));
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    *ret = view_of(serve, snapshot, &row, arena);
    gr_serve_snapshot_unref(snapshot);
    return GR_OK;
}

static gr_status views_of(gr_serve *serve, const gr_node_row *rows, size_t n, gr_arena *arena, gr_node_view **ret,
                          size_t *ret_n) {
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    *ret = GR_NEW_N(arena, gr_node_view, n + 1);
    for (size_t i = 0; i < n; i++) (*ret)[i] = view_of(serve, snapshot, &rows[i], arena);
    *ret_n = n;
    gr_serve_snapshot_unref(snapshot);
    return GR_OK;
}

gr_status gr_serve_nodes(gr_serve *serve, unsigned types, gr_arena *arena, gr_node_view **ret, size_t *ret_n,
                         gr_error *err) {
    gr_node_row *rows;
    size_t n;
    GR_TRY(gr_catalog_nodes(gr_exec_catalog(serve->exec), types, arena, &rows, &n, err));
    return views_of(serve, rows, n, arena, ret, ret_n);
}

gr_status gr_serve_node_revisions(gr_serve *serve, gr_str name, gr_arena *arena, gr_node_view **ret, size_t *ret_n,
                                  gr_error *err) {
    gr_node_row row, *rows;
    size_t n;
    GR_TRY(gr_serve_node_row(serve, name, (gr_str){0}, arena, &row, err));
    GR_TRY(gr_catalog_revisions(gr_exec_catalog(serve->exec), row.decl.name, arena, &rows, &n, err));
    return views_of(serve, rows, n, arena, ret, ret_n);
}
