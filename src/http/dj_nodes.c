/* Nodes and cubes. Every cube of the model is a node, and counts as a cube too; a cube made by API is a node of type
 * cube, and the only one that the API changes. Source: dj.md 1.7, 1.8; decisions 18. */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

/* ---- lists ----------------------------------------------------------------------------------- */
static unsigned read_types(gr_dj *dj) {
    gr_str name = gr_dj_param(dj, "node_type");
    if (!name.n) return 0;
    for (unsigned type = GR_NODE_SOURCE; type <= GR_NODE_CUBE; type++)
        if (gr_str_eq_nocase(gr_node_type_name((gr_node_type)type), name)) return 1u << type;
    gr_dj_detail_add(dj, "query", GR_STR("node_type"), "enum",
                     "node_type is source, transform, dimension, metric or cube");
    return 0;
}

static gr_status put_names(gr_dj *dj, unsigned types, gr_str prefix, gr_error *err) {
    gr_node_view *nodes = NULL;
    size_t n = 0;
    GR_TRY(gr_serve_nodes(dj->serve, types, dj->arena, &nodes, &n, err));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++)
        if (gr_str_starts(nodes[i].row.decl.name, prefix)) gr_jw_str(dj->w, nodes[i].row.decl.name);
    gr_jw_array_end(dj->w);
    return GR_OK;
}

gr_status gr_dj_do_nodes(gr_dj *dj, gr_error *err) {
    unsigned types = read_types(dj);
    GR_TRY(gr_dj_check(dj, err));
    return put_names(dj, types, gr_dj_param(dj, "prefix"), err);
}

static const unsigned cube_types = 1u << GR_NODE_SOURCE | 1u << GR_NODE_TRANSFORM | 1u << GR_NODE_CUBE;

gr_status gr_dj_do_cube_names(gr_dj *dj, gr_error *err) { return put_names(dj, cube_types, (gr_str){0}, err); }

gr_status gr_dj_do_node_details(gr_dj *dj, gr_error *err) {
    gr_node_view *nodes = NULL;
    size_t n = 0;
    GR_TRY(gr_serve_nodes(dj->serve, 0, dj->arena, &nodes, &n, err));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++) {
        const gr_node_row *row = &nodes[i].row;
        gr_jw_object(dj->w);
        gr_jw_key_str(dj->w, "name", row->decl.name);
        gr_jw_key_str(dj->w, "display_name", gr_http_node_title(row, dj->arena));
        gr_jw_key_str(dj->w, "description", row->decl.description);
        gr_jw_key_str(dj->w, "type", gr_node_type_name(row->decl.type));
        gr_jw_object_end(dj->w);
    }
    gr_jw_array_end(dj->w);
    return GR_OK;
}

/* ---- one ------------------------------------------------------------------------------------- */
gr_status gr_dj_do_node(gr_dj *dj, gr_error *err) {
    gr_node_view node;
    GR_TRY(gr_dj_node(dj, dj->segments[0], (gr_str){0}, &node, err));
    gr_http_put_node(dj->w, &node, NULL, dj->arena);
    return GR_OK;
}

gr_status gr_dj_do_revisions(gr_dj *dj, gr_error *err) {
    gr_node_view *nodes = NULL;
    size_t n = 0;
    gr_status status = gr_serve_node_revisions(dj->serve, dj->segments[0], dj->arena, &nodes, &n, err);
    if (gr_dj_is(status, "node.not_found")) return gr_dj_no_node(dj->segments[0], err);
    GR_TRY(status);
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++) gr_http_put_node(dj->w, &nodes[i], NULL, dj->arena);
    gr_jw_array_end(dj->w);
    return GR_OK;
}

static gr_status put_cube(gr_dj *dj, gr_str version, gr_error *err) {
    gr_node_view node;
    GR_TRY(gr_dj_node(dj, dj->segments[0], version, &node, err));
    if (!(cube_types >> node.row.decl.type & 1)) return gr_dj_no_node(dj->segments[0], err);
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(dj->serve);
    gr_http_put_cube(dj->w, &node, snapshot->model, dj->arena);
    gr_serve_snapshot_unref(snapshot);
    return GR_OK;
}

gr_status gr_dj_do_cube(gr_dj *dj, gr_error *err) { return put_cube(dj, (gr_str){0}, err); }
gr_status gr_dj_do_cube_version(gr_dj *dj, gr_error *err) { return put_cube(dj, dj->segments[1], err); }

/* ---- changes --------------------------------------------------------------------------------- */
static gr_cube_ask read_cube(gr_dj *dj, bool is_update) {
    gr_dj_need_body(dj);
    return (gr_cube_ask){.name = is_update ? dj->segments[0] : gr_dj_text(dj, dj->body, "name", true),
                         .ask = gr_dj_ask(dj, !is_update),
                         .display_name = gr_dj_text(dj, dj->body, "display_name", false),
                         .description = gr_dj_text(dj, dj->body, "description", false),
                         .mode = gr_dj_text(dj, dj->body, "mode", false),
                         .is_update = is_update};
}

static gr_status put_changed(gr_dj *dj, const gr_cube_ask *ask, gr_error *err) {
    gr_node_view node;
    gr_entity_plan plan = {0};
    GR_TRY(gr_serve_cube_put(dj->serve, ask, dj->actor, dj->arena, &node, &plan, err));
    gr_http_put_node(dj->w, &node, &plan, dj->arena);
    return GR_OK;
}

gr_status gr_dj_do_cube_create(gr_dj *dj, gr_error *err) {
    gr_cube_ask ask = read_cube(dj, false);
    GR_TRY(gr_dj_check(dj, err));
    return put_changed(dj, &ask, err);
}

/* Fields that DataJunction's client always sends: taken when they say nothing. A cube has none of them. */
static const char *const foreign[] = {
    "columns", "primary_key", "required_dimensions", "metric_metadata", "query", "catalog", "schema_", "table",
    "owners",  "tags",        "custom_metadata",     "orderby",         "limit", NULL};
static const char *const known[] = {"metrics",
                                    "dimensions",
                                    "filters",
                                    "timezone",
                                    "description",
                                    "display_name",
                                    "mode",
                                    "name",
                                    "type",
                                    "columns",
                                    "primary_key",
                                    "required_dimensions",
                                    "metric_metadata",
                                    "query",
                                    "catalog",
                                    "schema_",
                                    "table",
                                    "owners",
                                    "tags",
                                    "custom_metadata",
                                    "orderby",
                                    "limit",
                                    NULL};

static bool says_nothing(const json_t *value) {
    return !value || json_is_null(value) || (json_is_array(value) && !json_array_size(value)) ||
           (json_is_object(value) && !json_object_size(value));
}

static bool is_given(const gr_dj *dj, const char *key) {
    const json_t *value = json_object_get(dj->body, key);
    return value && !json_is_null(value);
}

gr_status gr_dj_do_node_patch(gr_dj *dj, gr_error *err) {
    gr_node_view node;
    gr_cube_ask ask = read_cube(dj, true);
    gr_dj_refuse_others(dj, known);
    for (size_t i = 0; foreign[i]; i++)
        if (!says_nothing(json_object_get(dj->body, foreign[i])))
            gr_dj_detail_add(dj, "body", gr_str_from(foreign[i]), "extra_forbidden",
                             "A cube has no such field to change");
    ask.has_metrics = is_given(dj, "metrics");
    ask.has_dimensions = is_given(dj, "dimensions");
    ask.has_filters = is_given(dj, "filters");
    ask.has_description = is_given(dj, "description");
    ask.has_display_name = is_given(dj, "display_name");
    GR_TRY(gr_dj_check(dj, err));
    GR_TRY(gr_dj_node(dj, dj->segments[0], (gr_str){0}, &node, err));
    ask.name = node.row.decl.name;
    if (node.row.decl.type != GR_NODE_CUBE) {
        gr_error_set(err, GR_ERR_NODE_OF_MODEL, "`" GR_FMT "` is defined in the files of the model", GR_ARG(ask.name));
        gr_error_hint(err, "Change the file; the API changes only what was made by it.");
        return GR_ERR_NODE_OF_MODEL;
    }
    return put_changed(dj, &ask, err);
}

gr_status gr_dj_do_node_delete(gr_dj *dj, gr_error *err) {
    gr_node_view node;
    GR_TRY(gr_dj_node(dj, dj->segments[0], (gr_str){0}, &node, err));
    GR_TRY(gr_serve_cube_delete(dj->serve, node.row.decl.name, dj->actor, err));
    gr_dj_put_message(dj, "Node `" GR_FMT "` is deactivated.", GR_ARG(node.row.decl.name));
    return GR_OK;
}
