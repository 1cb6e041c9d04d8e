/* What the routes under /ops/ do: pre-aggregations, their builds, reload, status. Source: decisions 15, 20. */
#include "http/internal.h"

/* ---- pre-aggregations ------------------------------------------------------------------------ */
gr_status gr_http_do_preaggs(gr_http_request *request, gr_error *err) {
    gr_preagg_view *views;
    size_t n;
    GR_TRY(gr_serve_preaggs(request->http->serve, request->work, &views, &n, err));
    return gr_http_encode_preaggs(views, n, &request->out, err);
}

gr_status gr_http_do_drop(gr_http_request *request, gr_error *err) {
    size_t n_tables = 0;
    GR_TRY(gr_serve_drop(request->http->serve, request->segments[0], &n_tables, err));
    gr_jw w;
    gr_jw_init(&w, &request->out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "pre_aggregation", request->segments[0]);
    gr_jw_key_str(&w, "status", GR_STR("pending"));
    gr_jw_key_i64(&w, "dropped_tables", (int64_t)n_tables);
    gr_jw_object_end(&w);
    return GR_OK;
}

/* ---- builds ---------------------------------------------------------------------------------- */
typedef struct build_asked {
    const gr_tz *zone;
    bool force;
} build_asked;

static gr_status read_build(gr_http_request *request, build_asked *ret, gr_error *err) {
    json_t *body = NULL;
    gr_str name = gr_http_param_get(request, GR_STR("timezone"));
    ret->force = gr_http_param_is_on(request, GR_STR("force"));
    if (request->method == GR_HTTP_POST) GR_TRY(gr_http_body_json(request, &body, err));
    if (body && !json_is_object(body))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "The body must be an object: {\"timezone\": …, \"force\": …}");
    const json_t *zone = json_object_get(body, "timezone"), *force = json_object_get(body, "force");
    if (zone && !json_is_null(zone) && !json_is_string(zone))
        return gr_error_set(err, GR_ERR_QUERY_TIMEZONE, "timezone must be the name of a time zone");
    if (force && !json_is_null(force) && !json_is_boolean(force))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "force must be true or false");
    if (json_is_string(zone)) name = gr_json_str(zone);
    if (json_is_boolean(force)) ret->force = json_is_true(force);
    if (!name.n) name = request->http->config->default_timezone;
    if (name.n) return gr_tz_get(name, &ret->zone, err);
    ret->zone = gr_tz_utc();
    return GR_OK;
}

/* What the catalog knows: for builds that were not started here, or that are long over. */
static gr_status progress_from_catalog(gr_http_request *request, const gr_tz *zone, gr_http_progress *ret,
                                       gr_error *err) {
    gr_preagg_view *views, *found = NULL;
    size_t n;
    GR_TRY(gr_serve_preaggs(request->http->serve, request->work, &views, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!gr_str_eq(views[i].id, request->segments[0])) continue;
        if (!found || gr_str_eq(views[i].zone, gr_tz_name(zone))) found = &views[i];
    }
    if (!found) {
        int shown = (int)(request->segments[0].n < 200 ? request->segments[0].n : 200);
        return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "There is no pre-aggregation '%.*s'", shown,
                            request->segments[0].p);
    }
    bool is_running = gr_str_eq(found->status, GR_STR("materializing"));
    *ret = (gr_http_progress){.preagg_id = found->id,
                              .zone = found->zone,
                              .status = found->status,
                              .is_done = !is_running,
                              .fraction = found->is_built && !is_running ? 1 : -1,
                              .rows = found->rows};
    if (!found->error.n || !gr_str_eq(found->status, GR_STR("failed"))) return GR_OK;
    gr_error *error = GR_NEW(request->work, gr_error);
    gr_error_set(error, GR_ERR_PREAGG_BUILD, GR_FMT, GR_ARG(found->error));
    ret->error = error;
    return GR_OK;
}

static gr_status answer_progress(gr_http_request *request, const gr_http_progress *progress, gr_error *err) {
    if (gr_http_wants_stream(request)) {
        gr_http_stream_one(request, progress);
        return GR_OK;
    }
    return gr_http_encode_progress(progress, &request->out, err);
}

/* Takes the reference. */
static gr_status answer_build(gr_http_request *request, gr_http_build *build, gr_error *err) {
    if (gr_http_wants_stream(request)) {
        gr_http_stream_begin(request, build);
        return GR_OK;
    }
    gr_error error = {0};
    gr_http_progress progress = gr_http_build_look(build, &error);
    gr_status status = gr_http_encode_progress(&progress, &request->out, err);
    gr_http_build_unref(build);
    return status;
}

gr_status gr_http_do_build(gr_http_request *request, gr_error *err) {
    build_asked asked = {0};
    GR_TRY(read_build(request, &asked, err));
    gr_flight *flight = NULL;
    GR_TRY(gr_serve_build(request->http->serve, request->segments[0], asked.zone, asked.force, &flight, err));
    if (!flight) {
        gr_http_progress progress;
        GR_TRY(progress_from_catalog(request, asked.zone, &progress, err));
        return answer_progress(request, &progress, err);
    }
    gr_http_build *build =
        gr_http_builds_put(&request->http->builds, request->segments[0], gr_tz_name(asked.zone), flight);
    gr_flight_unref(flight);
    if (!gr_http_wants_stream(request)) request->http_status = 202;
    return answer_build(request, build, err);
}

gr_status gr_http_do_build_progress(gr_http_request *request, gr_error *err) {
    build_asked asked = {0};
    GR_TRY(read_build(request, &asked, err));
    gr_http_build *build = gr_http_builds_get(&request->http->builds, request->segments[0], gr_tz_name(asked.zone));
    if (build) return answer_build(request, build, err);
    gr_http_progress progress;
    GR_TRY(progress_from_catalog(request, asked.zone, &progress, err));
    return answer_progress(request, &progress, err);
}

/* ---- reload ---------------------------------------------------------------------------------- */
static void put_diags(gr_http_request *request, gr_jw *w, const gr_diags *diags) {
    gr_buf text;
    gr_buf_init(&text, request->out.max);
    gr_http_encode_diags(diags, &text);
    gr_jw_key(w, GR_STR("diagnostics"));
    gr_jw_raw(w, gr_buf_str(&text));
    gr_buf_done(&text);
}

/* The body of the error, with the diagnostics before its closing brace. */
static void answer_bad_model(gr_http_request *request, const gr_error *error, const gr_diags *diags) {
    gr_http_answer_error(request, error);
    request->out.n--;
    gr_buf_z(&request->out, ",\"diagnostics\":");
    gr_http_encode_diags(diags, &request->out);
    gr_buf_char(&request->out, '}');
}

gr_status gr_http_do_reload(gr_http_request *request, gr_error *err) {
    gr_diags diags;
    bool has_changed = false;
    gr_diags_init(&diags, request->work);
    gr_status status = gr_serve_reload(request->http->serve, &diags, &has_changed, err);
    if (status) {
        if (!diags.list.n) return status;
        answer_bad_model(request, err, &diags);
        return GR_OK;
    }
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(request->http->serve);
    gr_jw w;
    gr_jw_init(&w, &request->out);
    gr_jw_object(&w);
    gr_jw_key_bool(&w, "reloaded", true);
    gr_jw_key_bool(&w, "changed", has_changed);
    gr_jw_key_str(&w, "model_hash", snapshot->model->hash);
    put_diags(request, &w, &diags);
    gr_jw_object_end(&w);
    gr_serve_snapshot_unref(snapshot);
    return GR_OK;
}

/* ---- status ---------------------------------------------------------------------------------- */
static void put_model(gr_jw *w, const gr_model *model) {
    size_t n_views = 0;
    for (size_t i = 0; i < model->n_cubes; i++) n_views += model->cubes[i]->is_view;
    char loaded[48];
    size_t n = gr_time_format(model->loaded_us, loaded);
    loaded[n++] = 'Z';
    gr_jw_key(w, GR_STR("model"));
    gr_jw_object(w);
    gr_jw_key_str(w, "hash", model->hash);
    gr_jw_key_str(w, "loaded_at", (gr_str){loaded, n});
    gr_jw_key_i64(w, "cubes", (int64_t)(model->n_cubes - n_views));
    gr_jw_key_i64(w, "views", (int64_t)n_views);
    gr_jw_key_i64(w, "members", (int64_t)model->n_members);
    gr_jw_key_i64(w, "pre_aggregations", (int64_t)model->n_preaggs);
    gr_jw_object_end(w);
}

static void put_webhooks(gr_jw *w, gr_http *http) {
    gr_jw_key(w, GR_STR("webhooks"));
    gr_jw_array(w);
    for (size_t i = 0; i < http->config->n_webhooks; i++) {
        gr_webhook_view view = gr_serve_bus_webhook(gr_serve_events(http->serve), i);
        gr_jw_object(w);
        gr_jw_key_str(w, "url", view.origin);
        gr_jw_key_i64(w, "delivered", (int64_t)view.delivered);
        gr_jw_key_i64(w, "retried", (int64_t)view.retried);
        gr_jw_key_i64(w, "lost", (int64_t)view.lost);
        gr_jw_key_i64(w, "dropped", (int64_t)view.dropped);
        gr_jw_key_i64(w, "queued", (int64_t)view.waiting);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static const char *const counter_names[] = {[GR_HTTP_N_REQUESTS] = "requests",
                                            [GR_HTTP_N_ERRORS] = "errors",
                                            [GR_HTTP_N_BUSY] = "busy",
                                            [GR_HTTP_N_CONTINUE] = "continue_wait",
                                            [GR_HTTP_N_DISCONNECTED] = "disconnected"};

static void put_cache(gr_jw *w, gr_serve *serve) {
    static const char *const names[] = {[GR_CACHE_BYPASS] = "bypasses",
                                        [GR_CACHE_MISS] = "misses",
                                        [GR_CACHE_HIT] = "hits",
                                        [GR_CACHE_STALE] = "stale"};
    gr_cache_stats stats = gr_serve_cache_stats(serve);
    gr_jw_key(w, GR_STR("cache"));
    gr_jw_object(w);
    for (size_t i = 0; i < GR_CACHE__COUNT; i++) gr_jw_key_i64(w, names[i], (int64_t)stats.count[i]);
    gr_jw_key_i64(w, "evictions", (int64_t)stats.evictions);
    gr_jw_key_i64(w, "entries", (int64_t)stats.entries);
    gr_jw_key_i64(w, "bytes", (int64_t)stats.bytes);
    gr_jw_key_i64(w, "max_bytes", (int64_t)stats.max_bytes);
    gr_jw_object_end(w);
}

gr_status gr_http_do_status(gr_http_request *request, gr_error *err) {
    (void)err;
    gr_http *http = request->http;
    gr_http_load_now now = gr_http_measure(http);
    const gr_http_lane_now *lane = &now.lanes[GR_HTTP_QUERY]; /* the other one answers this very request */
    gr_jw writer, *w = &writer;
    gr_jw_init(w, &request->out);
    gr_jw_object(w);
    gr_jw_key_str(w, "status", atomic_load(&http->is_draining) ? GR_STR("stopping") : GR_STR("serving"));
    gr_jw_key_str(w, "url", gr_http_url(http));
    gr_jw_key_i64(w, "uptime_ms", (gr_clock_mono_us() - http->started_mono_us) / 1000);
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(http->serve);
    put_model(w, snapshot->model);
    gr_serve_snapshot_unref(snapshot);
    gr_jw_key_i64(w, "workers", (int64_t)lane->workers);
    gr_jw_key_i64(w, "busy_workers", (int64_t)lane->busy);
    gr_jw_key_i64(w, "queued", (int64_t)lane->queued);
    gr_jw_key_i64(w, "parked", (int64_t)now.parked);
    gr_jw_key_i64(w, "open_requests", (int64_t)now.open);
    gr_jw_key_i64(w, "detached", (int64_t)now.detached);
    put_webhooks(w, http);
    gr_jw_key(w, GR_STR("counters"));
    gr_jw_object(w);
    for (size_t i = 0; i < GR_HTTP_N__COUNT; i++)
        gr_jw_key_i64(w, counter_names[i], (int64_t)atomic_load(&http->counters[i]));
    gr_jw_object_end(w);
    put_cache(w, http->serve);
    gr_refresh_overview refresh = gr_serve_refresh_overview(http->serve, request->work);
    gr_jw_key(w, GR_STR("refresh"));
    gr_jw_object(w);
    gr_jw_key_str(w, "state", gr_serve_refresh_state_name(refresh.state));
    gr_jw_key_bool(w, "is_drained", refresh.is_drained);
    gr_jw_key_i64(w, "done", (int64_t)refresh.n_done);
    gr_jw_key_i64(w, "failed", (int64_t)refresh.n_failed);
    gr_jw_object_end(w);
    gr_jw_object_end(w);
    return GR_OK;
}
