/* Reading and deleting pre-aggregations: lists, one, its cubes, builds, history. Source: seed; dj.md 4.3, appendix D.
 */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

enum { MOST_ITEMS = 100, SOME_ITEMS = 50, MOST_OFFSET = 1 << 30 };

/* ---- lists ----------------------------------------------------------------------------------- */
/* The first of two names of one parameter that is given. */
static gr_str either(const gr_dj *dj, const char *one, const char *other) {
    return gr_dj_param_has(dj, one) ? gr_dj_param(dj, one) : gr_dj_param(dj, other);
}

/* DataJunction answers an unknown status with 404. */
static gr_status read_statuses(gr_dj *dj, unsigned *ret, gr_error *err) {
    gr_dj_texts names = gr_dj_param_texts(dj, "status", true);
    for (size_t i = 0; i < names.n; i++) {
        gr_preagg_status status;
        if (gr_preagg_status_from_name(names.v[i], &status)) {
            *ret |= 1u << status;
            continue;
        }
        int shown = (int)(names.v[i].n < 100 ? names.v[i].n : 100);
        if (gr_dj_is_strict(dj))
            return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "There is no status `%.*s` of pre-aggregations", shown,
                                names.v[i].p);
        gr_dj_detail_add(dj, "query", GR_STR("status"), "enum",
                         "A status is pending, materializing, active, failed or stale, not '%.*s'", shown,
                         names.v[i].p);
    }
    return GR_OK;
}

static void read_grain(gr_dj *dj, gr_preagg_filter *ret) {
    gr_dj_texts grain = gr_dj_param_texts(dj, "grain", true), measures = gr_dj_param_texts(dj, "measures", true);
    gr_str mode = gr_dj_param(dj, "grain_mode");
    ret->grain = grain.v;
    ret->n_grain = grain.n;
    ret->has_grain = grain.n > 0;
    ret->measures = measures.v;
    ret->n_measures = measures.n;
    if (gr_str_eq(mode, GR_STR("superset")))
        ret->grain_mode = GR_GRAIN_MODE_SUPERSET;
    else if (mode.n && !gr_str_eq(mode, GR_STR("exact")))
        gr_dj_detail_add(dj, "query", GR_STR("grain_mode"), "enum", "grain_mode is exact or superset");
}

/* Nodes are named in the filter as the catalog has them; what does not exist is not an empty list. */
static gr_status resolve_names(gr_dj *dj, gr_preagg_filter *filter, gr_error *err) {
    gr_node_view node;
    if (filter->node.n) {
        GR_TRY(gr_dj_node(dj, filter->node, filter->version, &node, err));
        filter->node = node.row.decl.name;
    }
    if (!filter->cube.n) return GR_OK;
    GR_TRY(gr_dj_node(dj, filter->cube, (gr_str){0}, &node, err));
    filter->cube = node.row.decl.name;
    return GR_OK;
}

static gr_status read_filter(gr_dj *dj, gr_preagg_filter *ret, gr_error *err) {
    bool is_strict = gr_dj_is_strict(dj);
    *ret = (gr_preagg_filter){.node = either(dj, "source_node", "node_name"),
                              .version = either(dj, "version", "node_version"),
                              .cube = gr_dj_param(dj, "cube"),
                              .grain_group_hash = gr_dj_param(dj, "grain_group_hash"),
                              .limit = gr_dj_param_int(dj, "limit", 1, MOST_ITEMS, SOME_ITEMS),
                              .offset = gr_dj_param_int(dj, "offset", 0, MOST_OFFSET, 0)};
    if (is_strict && !ret->node.n) ret->version = (gr_str){0};
    if (gr_dj_param_has(dj, "external")) ret->external = gr_dj_param_bool(dj, "external", false) ? 1 : -1;
    /* DataJunction: a node alone means its current revision; the seed: old versions stay in view. */
    bool with_stale = gr_dj_param_bool(dj, "include_stale", !is_strict || !ret->node.n);
    ret->current_only = !with_stale && !ret->version.n;
    read_grain(dj, ret);
    GR_TRY(read_statuses(dj, &ret->statuses, err));
    GR_TRY(gr_dj_check(dj, err));
    return resolve_names(dj, ret, err);
}

gr_status gr_dj_do_list(gr_dj *dj, gr_error *err) {
    gr_preagg_filter filter;
    gr_entity_view *views = NULL;
    size_t n = 0;
    int64_t total = 0;
    GR_TRY(read_filter(dj, &filter, err));
    GR_TRY(gr_serve_entities(dj->serve, &filter, dj->arena, &views, &n, &total, err));
    gr_jw_object(dj->w);
    gr_jw_key(dj->w, GR_STR("items"));
    gr_http_put_entities(dj->w, views, n, gr_dj_is_strict(dj), dj->arena);
    gr_jw_key_i64(dj->w, "total", total);
    gr_jw_key_i64(dj->w, "limit", filter.limit);
    gr_jw_key_i64(dj->w, "offset", filter.offset);
    gr_jw_object_end(dj->w);
    return GR_OK;
}

static gr_status put_all(gr_dj *dj, const gr_preagg_filter *filter, gr_error *err) {
    gr_entity_view *views = NULL;
    size_t n = 0;
    int64_t total = 0;
    GR_TRY(gr_serve_entities(dj->serve, filter, dj->arena, &views, &n, &total, err));
    gr_http_put_entities(dj->w, views, n, false, dj->arena);
    return GR_OK;
}

gr_status gr_dj_do_of_cube(gr_dj *dj, gr_error *err) {
    gr_node_view cube;
    GR_TRY(gr_dj_node(dj, dj->segments[0], (gr_str){0}, &cube, err));
    gr_preagg_filter filter = {.cube = cube.row.decl.name, .version = gr_dj_param(dj, "version")};
    return put_all(dj, &filter, err);
}

gr_status gr_dj_do_of_node(gr_dj *dj, gr_error *err) {
    gr_node_view node;
    gr_preagg_filter filter = {.version = gr_dj_param(dj, "version")};
    filter.current_only = !gr_dj_param_bool(dj, "include_stale", true);
    GR_TRY(read_statuses(dj, &filter.statuses, err));
    GR_TRY(gr_dj_check(dj, err));
    GR_TRY(gr_dj_node(dj, dj->segments[0], filter.version, &node, err));
    filter.node = node.row.decl.name;
    return put_all(dj, &filter, err);
}

/* ---- one ------------------------------------------------------------------------------------- */
gr_status gr_dj_do_get(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    GR_TRY(gr_dj_entity(dj, &view, err));
    gr_http_put_entity(dj->w, &view, gr_dj_is_strict(dj), dj->arena);
    return GR_OK;
}

gr_status gr_dj_do_cubes_of(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_node_row *rows = NULL;
    size_t n = 0;
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_serve_entity_cubes(dj->serve, view.row.id, dj->arena, &rows, &n, err));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++) {
        gr_jw_object(dj->w);
        gr_jw_key_str(dj->w, "name", rows[i].decl.name);
        gr_jw_key_str(dj->w, "display_name", gr_http_node_title(&rows[i], dj->arena));
        gr_jw_key_str(dj->w, "type", gr_node_type_name(rows[i].decl.type));
        gr_jw_key_str(dj->w, "version", rows[i].version);
        gr_jw_key_str(dj->w, "status", rows[i].decl.status.n ? rows[i].decl.status : GR_STR("valid"));
        gr_jw_object_end(dj->w);
    }
    gr_jw_array_end(dj->w);
    return GR_OK;
}

gr_status gr_dj_do_remove(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_serve_entity_remove(dj->serve, view.row.id, dj->actor, err));
    gr_dj_put_message(dj, "Pre-aggregation %lld is deleted%s.", (long long)view.row.id,
                      view.row.decl.external.n ? "; its table stays" : "");
    return GR_OK;
}

/* ---- builds ---------------------------------------------------------------------------------- */
/* What the catalog knows, as one event: of a build that is over, or that another server runs. */
static void tell_once(gr_dj *dj, const gr_entity_view *view, const gr_build_row *newest) {
    bool is_running = newest && newest->status == GR_BUILD_RUNNING;
    gr_http_progress *p = &dj->answer->progress;
    *p = (gr_http_progress){.entity_id = view->row.id,
                            .preagg_id = view->name.n ? view->name : view->row.decl.name,
                            .zone = view->row.decl.time_zone,
                            .status = gr_preagg_status_name(view->row.status),
                            .is_done = !is_running,
                            .fraction = is_running              ? newest->fraction
                                        : view->row.has_serving ? 1
                                                                : -1,
                            .rows = newest ? newest->rows : 0,
                            .started_us = newest ? newest->started_us : 0};
    if (!newest || newest->status != GR_BUILD_FAILED) return;
    gr_error *error = GR_NEW(dj->arena, gr_error);
    gr_error_set(error, GR_ERR_PREAGG_BUILD, GR_FMT, GR_ARG(newest->error));
    p->error = error;
}

static gr_status stream_builds(gr_dj *dj, const gr_entity_view *view, gr_error *err) {
    gr_build_row *rows = NULL;
    size_t n = 0;
    gr_flight *flight = gr_serve_entity_flight(dj->serve, view->row.id);
    gr_status status = gr_serve_entity_builds(dj->serve, view->row.id, 1, dj->arena, &rows, &n, err);
    if (status) {
        gr_flight_unref(flight);
        return status;
    }
    dj->answer->flight = flight;
    dj->answer->is_stream = true;
    tell_once(dj, view, n ? &rows[0] : NULL);
    return GR_OK;
}

gr_status gr_dj_do_builds(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_build_row *rows = NULL;
    size_t n = 0;
    int64_t limit = gr_dj_param_int(dj, "limit", 1, MOST_ITEMS, MOST_ITEMS);
    GR_TRY(gr_dj_entity(dj, &view, err));
    if (dj->wants_stream) return stream_builds(dj, &view, err);
    GR_TRY(gr_serve_entity_builds(dj->serve, view.row.id, limit, dj->arena, &rows, &n, err));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++) gr_http_put_build_row(dj->w, &rows[i]);
    gr_jw_array_end(dj->w);
    return GR_OK;
}

/* ---- history --------------------------------------------------------------------------------- */
static gr_status put_history(gr_dj *dj, gr_history_filter *filter, gr_error *err) {
    gr_history_row *rows = NULL;
    size_t n = 0;
    GR_TRY(gr_serve_history(dj->serve, filter, dj->arena, &rows, &n, err));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++) gr_http_put_history(dj->w, &rows[i]);
    gr_jw_array_end(dj->w);
    return GR_OK;
}

static gr_history_filter read_page(gr_dj *dj) {
    return (gr_history_filter){.limit = gr_dj_param_int(dj, "limit", 1, 1000, MOST_ITEMS),
                               .offset = gr_dj_param_int(dj, "offset", 0, MOST_OFFSET, 0)};
}

gr_status gr_dj_do_history_of(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_history_filter filter = read_page(dj);
    GR_TRY(gr_dj_entity(dj, &view, err));
    filter.entity_type = GR_STR("pre_aggregation");
    filter.entity_name = gr_arena_printf(dj->arena, "%lld", (long long)view.row.id);
    return put_history(dj, &filter, err);
}

gr_status gr_dj_do_history(gr_dj *dj, gr_error *err) {
    gr_history_filter filter = read_page(dj);
    filter.node = gr_dj_param(dj, "node");
    GR_TRY(gr_dj_check(dj, err));
    return put_history(dj, &filter, err);
}

gr_status gr_dj_do_history_by_name(gr_dj *dj, gr_error *err) {
    gr_history_filter filter = read_page(dj);
    GR_TRY(gr_dj_check(dj, err));
    filter.entity_type = dj->segments[0];
    filter.entity_name = dj->segments[1];
    return put_history(dj, &filter, err);
}
