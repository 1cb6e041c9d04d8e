/* Nodes and cubes as DataJunction shows them, history, grain groups.
 *
 * A member of the model stands for DataJunction's metric or column: "orders.users.country" is the column `country` of
 * the node `orders.users`, "orders.created_at.day" the column `created_at.day` of `orders`. */
#include "http/encode_dj.h"

/* ---- names ----------------------------------------------------------------------------------- */
/* Where the column's name starts in a reference: behind the last dot that no grain follows. */
static size_t column_at(gr_str name) {
    size_t last = SIZE_MAX, before = SIZE_MAX;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.') before = last, last = i;
    if (last == SIZE_MAX) return 0;
    gr_str tail = gr_str_sub(name, last + 1, name.n - last - 1);
    bool is_grain = gr_grain_from_name(tail) != GR_GRAIN_NONE;
    return is_grain && before != SIZE_MAX ? before + 1 : last + 1;
}

static gr_str column_of(gr_str name) { return gr_str_sub(name, column_at(name), name.n - column_at(name)); }
static gr_str node_of(gr_str name) { return gr_str_sub(name, 0, column_at(name) ? column_at(name) - 1 : 0); }

gr_str gr_http_node_title(const gr_node_row *row, gr_arena *arena) {
    if (row->decl.display_name.n) return row->decl.display_name;
    return gr_model_titleize(column_of(row->decl.name), arena);
}

static gr_str namespace_of(gr_str name) {
    gr_str space = node_of(name);
    return space.n ? space : GR_STR("default");
}

/* ---- NodeOutput ------------------------------------------------------------------------------ */
static void put_empty_list(gr_jw *w, const char *key) { gr_http_put_names_key(w, key, NULL, 0); }

static const json_t *definition_of(const gr_node_view *node, gr_arena *arena) {
    gr_str text = node->row.decl.definition;
    json_t *json = NULL;
    gr_error ignored;
    if (!text.n || gr_json_parse(text, text.n, arena, &json, &ignored)) return NULL;
    return json;
}

static void put_list_of(gr_jw *w, const char *key, const json_t *definition) {
    const json_t *list = json_object_get(definition, key);
    if (!json_is_array(list)) {
        put_empty_list(w, key);
        return;
    }
    gr_jw_key(w, gr_str_from(key));
    gr_jw_json(w, list);
}

static void put_catalog(gr_jw *w, const json_t *definition) {
    const json_t *name = json_object_get(definition, "catalog");
    gr_jw_key(w, GR_STR("catalog"));
    gr_jw_object(w);
    gr_jw_key_str(w, "name", json_is_string(name) ? gr_json_str(name) : GR_STR("default"));
    put_empty_list(w, "engines");
    gr_jw_object_end(w);
}

/* "schema.table" of a source in two parts; the catalog, when it is there, is left out. */
static void put_table(gr_jw *w, gr_str table) {
    gr_str schema = node_of(table);
    gr_http_put_text_or_null(w, "schema_", column_of(schema));
    gr_http_put_text_or_null(w, "table", column_of(table));
}

static void put_revision(gr_jw *w, const gr_node_row *row, gr_arena *arena) {
    const gr_node_decl *decl = &row->decl;
    gr_jw_key_i64(w, "node_id", row->id);
    gr_jw_key_i64(w, "node_revision_id", row->revision_id);
    gr_jw_key_str(w, "name", decl->name);
    gr_jw_key_str(w, "display_name", gr_http_node_title(row, arena));
    gr_jw_key_str(w, "version", row->version);
    gr_jw_key_str(w, "current_version", row->current_version);
    gr_jw_key_str(w, "status", decl->status.n ? decl->status : GR_STR("valid"));
    gr_jw_key_str(w, "mode", decl->mode.n ? decl->mode : GR_STR("published"));
    gr_jw_key_str(w, "description", decl->description);
    gr_http_put_time_key(w, "created_at", row->created_us);
    gr_http_put_time_key(w, "updated_at", row->updated_us);
    gr_http_put_time_key(w, "deactivated_at", row->deactivated_us);
}

/* What DataJunction's nodes have and Granary's have not. */
static void put_absent(gr_jw *w) {
    static const char *const lists[] = {"materializations", "tags", "owners"};
    static const char *const nulls[] = {"availability", "metric_metadata", "created_by", "custom_metadata", "git_info"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) put_empty_list(w, lists[i]);
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) gr_http_put_null_key(w, nulls[i]);
    gr_jw_key_bool(w, "missing_table", false);
}

static void put_members(gr_jw *w, const gr_node_view *node) {
    gr_http_put_names_key(w, "metrics", node->metrics, node->n_metrics);
    gr_http_put_names_key(w, "dimensions", node->dimensions, node->n_dimensions);
    gr_http_put_json_key(w, "filters", node->filters, "[]");
}

static void put_needs(gr_jw *w, const gr_entity_plan *plan) {
    gr_jw_key(w, GR_STR("pre_aggregations"));
    gr_jw_array(w);
    for (size_t i = 0; i < plan->n_groups; i++)
        if (plan->groups[i].entity_id) gr_jw_i64(w, plan->groups[i].entity_id);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("warnings"));
    gr_http_put_warnings(w, plan);
}

void gr_http_put_node(gr_jw *w, const gr_node_view *node, const gr_entity_plan *plan, gr_arena *arena) {
    const json_t *definition = definition_of(node, arena);
    gr_jw_object(w);
    gr_jw_key_str(w, "namespace", namespace_of(node->row.decl.name));
    gr_jw_key_str(w, "type", gr_node_type_name(node->row.decl.type));
    put_revision(w, &node->row, arena);
    put_catalog(w, definition);
    put_table(w, node->table);
    gr_http_put_text_or_null(w, "query", node->query);
    put_list_of(w, "columns", definition);
    put_list_of(w, "parents", definition);
    put_list_of(w, "dimension_links", definition);
    put_members(w, node);
    put_absent(w);
    if (plan) put_needs(w, plan);
    gr_jw_object_end(w);
}

/* ---- the cube object ------------------------------------------------------------------------- */
/* number, string, time, boolean …; of a member that the model has no more: null. */
static void put_type(gr_jw *w, const gr_model *model, gr_str name, bool is_metric) {
    const gr_member *member = NULL;
    gr_error ignored;
    gr_str column = column_of(name), whole = name;
    size_t grain = gr_str_find(column, '.', 0);
    if (!is_metric && grain != SIZE_MAX) whole.n -= column.n - grain;
    gr_jw_key(w, GR_STR("type"));
    if (!model || gr_model_member(model, whole, &member, &ignored))
        gr_jw_null(w);
    else
        gr_jw_str(w, is_metric ? gr_http_measure_type(member) : gr_http_dim_type(member));
}

static void put_element(gr_jw *w, gr_str name, bool is_metric, gr_arena *arena) {
    gr_jw_object(w);
    gr_jw_key_str(w, "name", is_metric ? name : column_of(name));
    gr_jw_key_str(w, "display_name", gr_model_titleize(column_of(name), arena));
    gr_jw_key_str(w, "node_name", is_metric ? name : node_of(name));
    gr_jw_key_str(w, "type", is_metric ? GR_STR("metric") : GR_STR("dimension"));
    gr_http_put_null_key(w, "partition");
    gr_http_put_null_key(w, "role");
    gr_jw_object_end(w);
}

static void put_column(gr_jw *w, gr_str name, bool is_metric, const gr_model *model, gr_arena *arena) {
    gr_jw_object(w);
    gr_jw_key_str(w, "name", name);
    gr_jw_key_str(w, "display_name", gr_model_titleize(column_of(name), arena));
    put_type(w, model, name, is_metric);
    put_empty_list(w, "attributes");
    gr_http_put_null_key(w, "dimension");
    gr_http_put_null_key(w, "partition");
    gr_jw_object_end(w);
}

static void put_elements(gr_jw *w, const gr_node_view *node, gr_arena *arena) {
    gr_jw_key(w, GR_STR("cube_elements"));
    gr_jw_array(w);
    for (size_t i = 0; i < node->n_metrics; i++) put_element(w, node->metrics[i], true, arena);
    for (size_t i = 0; i < node->n_dimensions; i++) put_element(w, node->dimensions[i], false, arena);
    gr_jw_array_end(w);
    gr_http_put_names_key(w, "cube_node_metrics", node->metrics, node->n_metrics);
    gr_http_put_names_key(w, "cube_node_dimensions", node->dimensions, node->n_dimensions);
    gr_http_put_json_key(w, "cube_filters", node->filters, "[]");
}

static void put_columns(gr_jw *w, const gr_node_view *node, const gr_model *model, gr_arena *arena) {
    gr_jw_key(w, GR_STR("columns"));
    gr_jw_array(w);
    for (size_t i = 0; i < node->n_metrics; i++) put_column(w, node->metrics[i], true, model, arena);
    for (size_t i = 0; i < node->n_dimensions; i++) put_column(w, node->dimensions[i], false, model, arena);
    gr_jw_array_end(w);
}

void gr_http_put_cube(gr_jw *w, const gr_node_view *node, const gr_model *model, gr_arena *arena) {
    gr_jw_object(w);
    gr_jw_key_str(w, "type", GR_STR("cube"));
    gr_jw_key_str(w, "node_type", gr_node_type_name(node->row.decl.type));
    put_revision(w, &node->row, arena);
    put_elements(w, node, arena);
    gr_http_put_text_or_null(w, "query", node->query);
    put_columns(w, node, model, arena);
    put_empty_list(w, "sql_columns");
    put_empty_list(w, "measures");
    put_absent(w);
    gr_jw_object_end(w);
}

/* ---- grain groups ---------------------------------------------------------------------------- */
void gr_http_put_group(gr_jw *w, const gr_grain_group *group, gr_arena *arena) {
    gr_jw_object(w);
    gr_jw_key_str(w, "node_name", group->node);
    gr_jw_key_str(w, "node_version", group->node_version);
    gr_http_put_json_key(w, "grain_columns", group->grain_columns, "[]");
    gr_jw_key_str(w, "grain_hash", group->grain_hash);
    gr_http_put_json_key(w, "filters", group->filters, "[]");
    gr_http_put_names_key(w, "metrics", group->metrics, group->n_metrics);
    gr_jw_key_str(w, "aggregability", group->aggregability);
    gr_jw_key(w, GR_STR("components"));
    gr_http_put_components(w, group->components, group->n_components, arena);
    gr_http_put_text_or_null(w, "sql", group->sql);
    gr_http_put_json_key(w, "columns", group->columns, "null");
    gr_http_put_text_or_null(w, "name", group->name);
    gr_http_put_text_or_null(w, "problem", group->problem);
    if (group->entity_id) {
        gr_jw_key_i64(w, "pre_aggregation_id", group->entity_id);
        gr_jw_key_str(w, "status", gr_preagg_status_name(group->status));
    } else {
        gr_http_put_null_key(w, "pre_aggregation_id");
        gr_http_put_null_key(w, "status");
    }
    gr_jw_key_bool(w, "is_covered", group->is_covered);
    gr_jw_key_bool(w, "is_served", group->is_served);
    gr_jw_object_end(w);
}

void gr_http_put_warnings(gr_jw *w, const gr_entity_plan *plan) {
    gr_jw_array(w);
    for (size_t i = 0; i < plan->n_warnings; i++) {
        const gr_warning *warning = &plan->warnings[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "code", warning->code);
        gr_jw_key_str(w, "message", warning->message);
        gr_jw_key(w, GR_STR("debug"));
        gr_jw_object(w);
        gr_http_put_text_or_null(w, "member", warning->member);
        gr_jw_object_end(w);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

/* ---- history --------------------------------------------------------------------------------- */
void gr_http_put_history(gr_jw *w, const gr_history_row *row) {
    gr_jw_object(w);
    gr_jw_key_i64(w, "id", row->id);
    gr_jw_key_str(w, "entity_type", row->entity_type);
    gr_jw_key_str(w, "entity_name", row->entity_name);
    gr_http_put_text_or_null(w, "node", row->node);
    gr_jw_key_str(w, "activity_type", row->activity);
    gr_http_put_text_or_null(w, "user", row->user);
    gr_http_put_json_key(w, "pre", row->pre, "{}");
    gr_http_put_json_key(w, "post", row->post, "{}");
    gr_http_put_json_key(w, "details", row->details, "{}");
    gr_http_put_time_key(w, "created_at", row->at_us);
    gr_jw_object_end(w);
}
