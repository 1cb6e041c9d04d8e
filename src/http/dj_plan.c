/* Plans, grain groups, registered tables and what is told of them. Source: dj.md 4.4–4.6. */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

#include "base/mem.h"

/* {"preaggs":[…],"warnings":[…]} */
static void put_planned(gr_dj *dj, const gr_entity_plan *plan, const gr_entity_view *views) {
    gr_jw_object(dj->w);
    gr_jw_key(dj->w, GR_STR("preaggs"));
    gr_http_put_entities(dj->w, views, plan->n_groups, true, dj->arena);
    gr_jw_key(dj->w, GR_STR("warnings"));
    gr_http_put_warnings(dj->w, plan);
    gr_jw_object_end(dj->w);
}

gr_status gr_dj_do_plan(gr_dj *dj, gr_error *err) {
    gr_entity_plan plan = {0};
    gr_entity_view *views = NULL;
    gr_dj_need_body(dj);
    gr_entity_ask ask = gr_dj_ask(dj, true);
    gr_preagg_config config = {.strategy = gr_dj_text(dj, dj->body, "strategy", false),
                               .schedule = gr_dj_text(dj, dj->body, "schedule", false),
                               .lookback_window = gr_dj_text(dj, dj->body, "lookback_window", false)};
    GR_TRY(gr_dj_check(dj, err));
    GR_TRY(gr_serve_entity_plan(dj->serve, &ask, &config, dj->actor, dj->arena, &plan, &views, err));
    put_planned(dj, &plan, views);
    return GR_OK;
}

/* Texts are SQL; what starts like JSON is a query filter. */
static json_t *filters_of_params(gr_dj *dj) {
    gr_dj_texts texts = gr_dj_param_texts(dj, "filters", false);
    json_t *list = json_array();
    for (size_t i = 0; i < texts.n; i++) {
        json_t *item = NULL;
        gr_error ignored;
        if (texts.v[i].p[0] != '{' || gr_json_parse(texts.v[i], texts.v[i].n, dj->arena, &item, &ignored))
            json_array_append_new(list, json_stringn(texts.v[i].p, texts.v[i].n));
        else
            json_array_append(list, item);
    }
    return list;
}

static void free_json(void *json) { json_decref(json); }

gr_status gr_dj_do_groups(gr_dj *dj, gr_error *err) {
    gr_entity_plan plan = {0};
    gr_dj_texts metrics = gr_dj_param_texts(dj, "metrics", true),
                dimensions = gr_dj_param_texts(dj, "dimensions", true);
    json_t *filters = filters_of_params(dj);
    if (!filters) gr_mem_die(0);
    gr_arena_defer(dj->arena, free_json, filters);
    gr_entity_ask ask = {.metrics = metrics.v,
                         .n_metrics = metrics.n,
                         .dimensions = dimensions.v,
                         .n_dimensions = dimensions.n,
                         .filters = filters,
                         .time_zone = gr_dj_param(dj, "timezone")};
    GR_TRY(gr_serve_grain_groups(dj->serve, &ask, dj->arena, &plan, err));
    gr_jw_object(dj->w);
    gr_jw_key(dj->w, GR_STR("grain_groups"));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < plan.n_groups; i++) gr_http_put_group(dj->w, &plan.groups[i], dj->arena);
    gr_jw_array_end(dj->w);
    gr_jw_key(dj->w, GR_STR("warnings"));
    gr_http_put_warnings(dj->w, &plan);
    gr_jw_object_end(dj->w);
    return GR_OK;
}

/* ---- external tables ------------------------------------------------------------------------- */
static gr_binding *read_bindings(gr_dj *dj, const char *key, bool is_needed, size_t *ret_n) {
    /* jansson's iterators take no const, and change nothing. */
    json_t *object = (json_t *)(uintptr_t)gr_dj_object(dj, dj->body, key, is_needed);
    GR_VEC(gr_binding) list = {0};
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const json_t *column = json_object_iter_value(it);
        gr_binding binding = {.member = {json_object_iter_key(it), json_object_iter_key_len(it)}};
        if (json_is_string(column))
            binding.column = gr_json_str(column);
        else
            gr_dj_detail_add(dj, "body", gr_str_from(key), "string_type", "Each value must be the name of a column");
        GR_PUSH(dj->arena, &list, binding);
    }
    *ret_n = list.n;
    return list.v;
}

static gr_str schema_of(gr_dj *dj, const json_t *table, bool is_needed) {
    bool is_long = json_is_string(json_object_get(table, "schema_"));
    return gr_dj_text(dj, table, is_long ? "schema_" : "schema", is_needed);
}

static gr_register_ask read_register(gr_dj *dj) {
    gr_register_ask ask = {.ask = gr_dj_ask(dj, true), .name = gr_dj_text(dj, dj->body, "name", false)};
    const json_t *table = gr_dj_object(dj, dj->body, "table", true);
    ask.catalog = gr_dj_text(dj, table, "catalog", true);
    ask.schema = schema_of(dj, table, true);
    ask.table = gr_dj_text(dj, table, "table", true);
    ask.has_valid_through = gr_dj_int(dj, table, "valid_through_ts", false, &ask.valid_through_ts);
    ask.measure_columns = read_bindings(dj, "measure_columns", true, &ask.n_measure_columns);
    ask.dimension_columns = read_bindings(dj, "dimension_columns", false, &ask.n_dimension_columns);
    return ask;
}

gr_status gr_dj_do_register(gr_dj *dj, gr_error *err) {
    gr_entity_plan plan = {0};
    gr_entity_view *views = NULL;
    gr_dj_need_body(dj);
    gr_register_ask ask = read_register(dj);
    GR_TRY(gr_dj_check(dj, err));
    GR_TRY(gr_serve_entity_register(dj->serve, &ask, dj->actor, dj->arena, &plan, &views, err));
    put_planned(dj, &plan, views);
    return GR_OK;
}

gr_status gr_dj_do_availability(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    int64_t valid_through = 0;
    gr_dj_need_body(dj);
    (void)gr_dj_text(dj, dj->body, "catalog", true);
    (void)schema_of(dj, dj->body, false);
    (void)gr_dj_text(dj, dj->body, "table", true);
    (void)gr_dj_int(dj, dj->body, "valid_through_ts", true, &valid_through);
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_serve_availability(dj->serve, view.row.id, dj->body, dj->actor, dj->arena, &view, err));
    gr_http_put_entity(dj->w, &view, true, dj->arena);
    return GR_OK;
}
