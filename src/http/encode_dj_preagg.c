/* A pre-aggregation as the seed and DataJunction show it: one object for both. */
#include "http/encode_dj.h"

/* ---- parts ----------------------------------------------------------------------------------- */
void gr_http_put_names_key(gr_jw *w, const char *key, const gr_str *names, size_t n) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) gr_jw_str(w, names[i]);
    gr_jw_array_end(w);
}

void gr_http_put_json_key(gr_jw *w, const char *key, gr_str json, const char *fallback) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_raw(w, json.n ? json : gr_str_from(fallback));
}

void gr_http_put_text_or_null(gr_jw *w, const char *key, gr_str text) {
    if (text.n)
        gr_jw_key_str(w, key, text);
    else
        gr_http_put_null_key(w, key);
}

void gr_http_put_time_key(gr_jw *w, const char *key, int64_t us) {
    gr_jw_key(w, gr_str_from(key));
    gr_http_put_instant(w, us);
}

static void put_number(gr_jw *w, const char *key, bool is_there, int64_t number) {
    if (is_there)
        gr_jw_key_i64(w, key, number);
    else
        gr_http_put_null_key(w, key);
}

static const json_t *parse(gr_str text, gr_arena *arena) {
    json_t *json = NULL;
    gr_error ignored;
    if (!text.n || gr_json_parse(text, text.n, arena, &json, &ignored)) return NULL;
    return json;
}

/* ---- components ------------------------------------------------------------------------------ */
static void put_rest(gr_jw *w, const json_t *details) {
    /* jansson's iterators take no const, and change nothing. */
    json_t *object = (json_t *)(uintptr_t)details;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        if (strcmp(json_object_iter_key(it), "name") == 0) continue;
        gr_jw_key(w, (gr_str){json_object_iter_key(it), json_object_iter_key_len(it)});
        gr_jw_json(w, json_object_iter_value(it));
    }
}

/* What the details do not tell is taken from the token "<expr_hash>:<AGGREGATION>". */
static void put_component(gr_jw *w, const gr_component_decl *c, gr_arena *arena) {
    const json_t *details = parse(c->details, arena);
    size_t colon = gr_str_find(c->token, ':', 0);
    gr_jw_object(w);
    gr_jw_key_str(w, "name", c->name);
    if (json_is_object(details)) put_rest(w, details);
    if (colon != SIZE_MAX && !json_object_get(details, "expr_hash"))
        gr_jw_key_str(w, "expr_hash", gr_str_sub(c->token, 0, colon));
    if (colon != SIZE_MAX && !json_object_get(details, "aggregation"))
        gr_jw_key_str(w, "aggregation", gr_str_sub(c->token, colon + 1, c->token.n - colon - 1));
    gr_jw_object_end(w);
}

void gr_http_put_components(gr_jw *w, const gr_component_decl *components, size_t n, gr_arena *arena) {
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) put_component(w, &components[i], arena);
    gr_jw_array_end(w);
}

static void put_component_names(gr_jw *w, const char *key, const gr_component_decl *components, size_t n) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) gr_jw_str(w, components[i].name);
    gr_jw_array_end(w);
}

/* ---- what is there of it --------------------------------------------------------------------- */
/* One end of what a build holds, per time dimension: [min_us, max_us] of each column, as times. */
static void put_coverage_end(gr_jw *w, const char *key, const json_t *coverage, size_t end) {
    gr_jw_key(w, gr_str_from(key));
    if (!json_object_size(coverage)) {
        gr_jw_null(w);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)coverage;
    gr_jw_array(w);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const json_t *us = json_array_get(json_object_iter_value(it), end);
        if (!json_is_integer(us)) continue;
        char text[48];
        size_t n = gr_time_format(json_integer_value(us), text);
        gr_jw_str(w, (gr_str){text, n});
    }
    gr_jw_array_end(w);
}

/* What was told of a table that somebody else filled; NULL when what Granary built is newer. */
static const json_t *told_of(const gr_preagg_row *row, gr_arena *arena) {
    const json_t *told = parse(row->availability, arena);
    int64_t built_us = row->has_serving ? row->serving.finished_us : 0;
    if (row->decl.external.n || json_integer_value(json_object_get(told, "at_us")) > built_us) return told;
    return NULL;
}

static void put_availability(gr_jw *w, const gr_preagg_row *row, gr_arena *arena) {
    const json_t *told = told_of(row, arena);
    if (told || row->decl.external.n) {
        gr_jw_key(w, GR_STR("valid_through_ts"));
        gr_jw_json(w, json_object_get(told, "valid_through_ts"));
        gr_jw_key(w, GR_STR("min_partition"));
        gr_jw_json(w, json_object_get(told, "min_temporal_partition"));
        gr_jw_key(w, GR_STR("max_partition"));
        gr_jw_json(w, json_object_get(told, "max_temporal_partition"));
        return;
    }
    const json_t *coverage = row->has_serving ? parse(row->serving.coverage, arena) : NULL;
    gr_http_put_null_key(w, "valid_through_ts");
    put_coverage_end(w, "min_partition", coverage, 0);
    put_coverage_end(w, "max_partition", coverage, 1);
}

static void put_served_build(gr_jw *w, const gr_preagg_row *row) {
    const gr_build_row *b = &row->serving;
    put_number(w, "row_count", row->has_serving, b->rows);
    put_number(w, "build_ms", row->has_serving, (b->finished_us - b->started_us) / 1000);
    put_number(w, "bytes", row->has_serving, b->bytes);
    gr_jw_key(w, GR_STR("served_build"));
    if (!row->has_serving) {
        gr_jw_null(w);
        return;
    }
    gr_jw_object(w);
    gr_jw_key_i64(w, "id", b->id);
    gr_jw_key_i64(w, "version", b->number);
    gr_http_put_time_key(w, "started_at", b->started_us);
    gr_http_put_time_key(w, "finished_at", b->finished_us);
    put_component_names(w, "measures", b->components, b->n_components);
    gr_jw_object_end(w);
}

/* A workflow of DataJunction's is what its scheduler runs; here the schedule of the entity. */
static void put_workflow(gr_jw *w, const gr_preagg_row *row, gr_arena *arena) {
    gr_http_put_text_or_null(w, "workflow_status", row->workflow_status);
    if (!row->workflow_status.n) {
        gr_http_put_null_key(w, "workflow_urls");
        gr_http_put_null_key(w, "workflow_names");
        return;
    }
    gr_str name = gr_arena_printf(arena, "preagg-%lld", (long long)row->id);
    gr_jw_key(w, GR_STR("workflow_urls"));
    gr_jw_array(w);
    gr_jw_object(w);
    gr_jw_key_str(w, "label", GR_STR("scheduled"));
    gr_jw_key_str(w, "url", gr_arena_printf(arena, "/pre-aggregations/%lld/builds", (long long)row->id));
    gr_jw_object_end(w);
    gr_jw_array_end(w);
    gr_http_put_names_key(w, "workflow_names", &name, 1);
}

/* ---- the object ------------------------------------------------------------------------------ */
static void put_identity(gr_jw *w, const gr_preagg_row *row) {
    gr_jw_key(w, GR_STR("source_node"));
    gr_jw_object(w);
    gr_jw_key_i64(w, "id", row->node_id);
    gr_jw_key_str(w, "name", row->decl.node);
    gr_jw_key_str(w, "type", gr_node_type_name(row->node_type));
    gr_jw_object_end(w);
    gr_jw_key_str(w, "source_node_version", row->version);
    gr_jw_key_i64(w, "node_revision_id", row->node_revision_id);
    gr_jw_key_str(w, "node_name", row->decl.node);
    gr_jw_key_str(w, "node_version", row->version);
    gr_http_put_json_key(w, "grain_columns", row->decl.grain_columns, "[]");
    gr_jw_key_str(w, "grain_hash", row->decl.grain_hash);
    gr_http_put_text_or_null(w, "grain_group_hash", row->grain_group_hash);
    gr_http_put_text_or_null(w, "preagg_hash", row->preagg_hash);
    gr_http_put_json_key(w, "filters", row->decl.filters, "[]");
    gr_http_put_text_or_null(w, "time_zone", row->decl.time_zone);
    gr_http_put_text_or_null(w, "store", row->decl.store);
}

static void put_content(gr_jw *w, const gr_preagg_row *row, bool is_dj, gr_arena *arena) {
    const gr_preagg_decl *decl = &row->decl;
    if (is_dj) {
        gr_jw_key(w, GR_STR("measures"));
        gr_http_put_components(w, decl->components, decl->n_components, arena);
    } else {
        put_component_names(w, "measures", decl->components, decl->n_components);
    }
    gr_jw_key(w, GR_STR("measure_details"));
    gr_http_put_components(w, decl->components, decl->n_components, arena);
    gr_http_put_json_key(w, "columns", decl->columns, "null");
    gr_http_put_text_or_null(w, "sql", decl->sql);
}

static void put_life(gr_jw *w, const gr_entity_view *view, gr_arena *arena) {
    const gr_preagg_row *row = &view->row;
    gr_http_put_text_or_null(w, "table_hash", row->table_hash);
    gr_http_put_text_or_null(w, "table", view->table);
    gr_http_put_text_or_null(w, "materialized_table_ref", view->table);
    gr_jw_key_str(w, "status", gr_preagg_status_name(row->status));
    gr_http_put_time_key(w, "materialized_at", row->materialized_us);
    gr_http_put_text_or_null(w, "materialization_error", row->error);
    put_served_build(w, row);
    put_availability(w, row, arena);
    gr_http_put_text_or_null(w, "strategy", row->strategy);
    gr_http_put_text_or_null(w, "schedule", row->schedule);
    gr_http_put_text_or_null(w, "lookback_window", row->lookback_window);
    put_workflow(w, row, arena);
}

void gr_http_put_entity(gr_jw *w, const gr_entity_view *view, bool is_dj, gr_arena *arena) {
    const gr_preagg_row *row = &view->row;
    gr_jw_object(w);
    gr_jw_key_i64(w, "id", row->id);
    gr_http_put_text_or_null(w, "name", view->name.n ? view->name : row->decl.name);
    put_identity(w, row);
    put_content(w, row, is_dj, arena);
    put_life(w, view, arena);
    gr_jw_key_bool(w, "external", row->decl.external.n > 0);
    gr_http_put_names_key(w, "cubes", row->cubes, row->n_cubes);
    gr_http_put_names_key(w, "declared_by", row->decl.declared_by, row->decl.n_declared_by);
    if (view->n_metrics)
        gr_http_put_names_key(w, "related_metrics", view->metrics, view->n_metrics);
    else
        gr_http_put_null_key(w, "related_metrics");
    gr_jw_key_bool(w, "is_current", row->is_current);
    gr_jw_key_bool(w, "is_in_service", view->is_in_service);
    gr_http_put_text_or_null(w, "problem", view->problem);
    gr_http_put_refresh_key(w, view->is_refreshed, &view->refresh);
    gr_jw_key_i64(w, "hits", row->hits);
    gr_http_put_time_key(w, "last_served_at", row->served_us);
    gr_http_put_time_key(w, "created_at", row->created_us);
    gr_http_put_time_key(w, "updated_at", row->updated_us);
    gr_jw_object_end(w);
}

void gr_http_put_entities(gr_jw *w, const gr_entity_view *views, size_t n, bool is_dj, gr_arena *arena) {
    gr_jw_array(w);
    for (size_t i = 0; i < n && !w->out->is_over; i++) gr_http_put_entity(w, &views[i], is_dj, arena);
    gr_jw_array_end(w);
}

/* ---- builds ---------------------------------------------------------------------------------- */
void gr_http_put_build_row(gr_jw *w, const gr_build_row *b) {
    bool is_running = b->status == GR_BUILD_RUNNING;
    bool is_done = b->status == GR_BUILD_DONE || b->status == GR_BUILD_DROPPED; /* dropped: done, and replaced */
    gr_jw_object(w);
    gr_jw_key_i64(w, "id", b->id);
    gr_jw_key_i64(w, "pre_aggregation_id", b->preagg_id);
    gr_jw_key_i64(w, "version", b->number);
    gr_jw_key_str(w, "status", gr_build_status_name(b->status));
    gr_jw_key(w, GR_STR("progress"));
    if (is_running && b->fraction >= 0)
        gr_jw_f64(w, b->fraction > 1 ? 1 : b->fraction);
    else if (is_done)
        gr_jw_i64(w, 1);
    else
        gr_jw_null(w);
    gr_http_put_text_or_null(w, "table", b->table_name);
    gr_http_put_time_key(w, "started_at", b->started_us);
    gr_http_put_time_key(w, "finished_at", b->finished_us);
    put_number(w, "build_ms", b->finished_us != 0, (b->finished_us - b->started_us) / 1000);
    put_number(w, "rows", is_done, b->rows);
    put_number(w, "bytes", is_done, b->bytes);
    put_component_names(w, "measures", b->components, b->n_components);
    gr_http_put_json_key(w, "coverage", b->coverage, "{}");
    gr_http_put_text_or_null(w, "error", b->error);
    gr_http_put_text_or_null(w, "server", b->server);
    gr_jw_object_end(w);
}
