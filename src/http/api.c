/* What the routes of Cube's API do: read the query out of the request, call the use case, encode.
 * Invariant: whatever is opened here (an answer, a snapshot) is released here, on every way out. Source:
 * cube.md 3.1–3.8. */
#include "http/internal.h"

#include "engine/engine.h"

/* ---- reading the request --------------------------------------------------------------------- */
gr_ctx gr_http_ctx(gr_http_request *request) {
    return (gr_ctx){.arena = request->work,
                    .deadline_mono_us = gr_clock_mono_us() + request->http->config->query_timeout_ms * 1000,
                    .is_cancelled = &request->is_cancelled,
                    .request_id = request->request_id,
                    .now_us = gr_clock_now_us()};
}

gr_status gr_http_body_json(gr_http_request *request, json_t **ret, gr_error *err) {
    gr_str body = gr_str_trim(gr_buf_str(&request->body));
    *ret = NULL;
    if (!body.n) return GR_OK;
    gr_error cause = {0};
    gr_status status = gr_json_parse(body, request->body.max, request->work, ret, &cause);
    if (!status) return GR_OK;
    return gr_error_set(err, status, "Unable to decode the request body as JSON, error: %s", cause.message);
}

static gr_status parse_query_text(gr_http_request *request, gr_str text, json_t **ret, gr_error *err) {
    if (!gr_str_trim(text).n) return gr_error_set(err, GR_ERR_QUERY_INVALID, "Query param is required");
    gr_error cause = {0};
    size_t max_bytes = (size_t)request->http->config->body_max_bytes;
    gr_status status = gr_json_parse(text, max_bytes, request->work, ret, &cause);
    if (!status) return GR_OK;
    return gr_error_set(err, status, "Unable to decode query param as JSON, error: %s", cause.message);
}

static const gr_str cache_modes[] = {[GR_CACHE_STALE_IF_SLOW] = GR_STR_INIT("stale-if-slow"),
                                     [GR_CACHE_STALE_WHILE_REVALIDATE] = GR_STR_INIT("stale-while-revalidate"),
                                     [GR_CACHE_MUST_REVALIDATE] = GR_STR_INIT("must-revalidate"),
                                     [GR_CACHE_NO_CACHE] = GR_STR_INIT("no-cache")};

static gr_status read_cache(gr_str text, gr_http_asked *ret, gr_error *err) {
    if (!text.n) return GR_OK;
    for (size_t i = 0; i < sizeof cache_modes / sizeof *cache_modes; i++) {
        if (!gr_str_eq(cache_modes[i], text)) continue;
        ret->serve.cache = (gr_cache_mode)i;
        ret->serve.has_cache = true;
        return GR_OK;
    }
    return gr_error_set(
        err, GR_ERR_QUERY_INVALID,
        "Unknown cache mode '%.*s': it is one of stale-if-slow, stale-while-revalidate, must-revalidate, no-cache",
        (int)(text.n < 100 ? text.n : 100), text.p);
}

static gr_str text_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? gr_json_str(value) : (gr_str){0};
}

static gr_status read_body(gr_http_request *request, gr_http_asked *ret, gr_str *ret_type, gr_str *ret_cache,
                           gr_error *err) {
    json_t *body;
    GR_TRY(gr_http_body_json(request, &body, err));
    if (body && !json_is_object(body))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "The request body must be a JSON object with the key query");
    json_t *query = json_object_get(body, "query");
    if (!query || json_is_null(query)) return gr_error_set(err, GR_ERR_QUERY_INVALID, "Query param is required");
    *ret_type = text_of(body, "queryType");
    *ret_cache = text_of(body, "cache");
    ret->wants_estimate = json_is_true(json_object_get(body, "estimate"));
    if (json_is_string(query)) return parse_query_text(request, gr_json_str(query), &ret->serve.query, err);
    ret->serve.query = query;
    return GR_OK;
}

static gr_status read_asked(gr_http_request *request, gr_http_asked *ret, gr_error *err) {
    gr_str type = {0}, cache = {0};
    *ret = (gr_http_asked){0};
    if (request->method == GR_HTTP_POST) {
        GR_TRY(read_body(request, ret, &type, &cache, err));
    } else {
        type = gr_http_param_get(request, GR_STR("queryType"));
        cache = gr_http_param_get(request, GR_STR("cache"));
        GR_TRY(parse_query_text(request, gr_http_param_get(request, GR_STR("query")), &ret->serve.query, err));
    }
    GR_TRY(read_cache(cache, ret, err));
    ret->is_multi = gr_str_eq(type, GR_STR("multi"));
    ret->type = gr_query_type_of(ret->serve.query);
    ret->serve.without_rollups = gr_http_param_is_on(request, GR_STR("without_rollups"));
    ret->wants_estimate |= gr_http_param_is_on(request, GR_STR("estimate"));
    return GR_OK;
}

/* ---- load ------------------------------------------------------------------------------------ */
gr_http_load_options gr_http_load_options_of(const gr_http_request *request) {
    const gr_config *config = request->http->config;
    return (gr_http_load_options){
        .config = config,
        .want_explain = gr_http_param_is_on(request, GR_STR("explain")),
        .request_id = config->dev_mode ? request->request_id : (gr_str){0},
    };
}

static gr_status encode_load(gr_http_request *request, const gr_http_asked *asked, gr_answer *answer, gr_error *err) {
    gr_http_load_options options = gr_http_load_options_of(request);
    options.is_multi = asked->is_multi;
    request->served_by = (gr_str){0};
    GR_TRY(gr_http_cached_put(request, answer, options, request->work, err));
    request->planned_us = answer->planned_us;
    request->engine_us = answer->started_us;
    request->has_timing = true;
    gr_serve_stats_answered(gr_serve_counts(request->http->serve), answer->plan);
    gr_http_cached_end(request);
    return GR_OK;
}

gr_status gr_http_do_load(gr_http_request *request, gr_error *err) {
    gr_http_asked asked;
    gr_ctx ctx = gr_http_ctx(request);
    GR_TRY(read_asked(request, &asked, err));
    asked.serve.must_not_wait = true;
    asked.serve.since_us = ctx.now_us - (gr_clock_mono_us() - request->started_mono_us);
    gr_http_cached_begin(request, &asked, ctx.now_us);
    if (asked.type) return gr_http_load_set(request, &asked, &ctx, err);
    gr_answer answer = {0};
    gr_status status = gr_serve_query(request->http->serve, &ctx, &asked.serve, &answer, &request->flight, err);
    if (answer.joined.n) request->joined = gr_arena_dup(request->arena, answer.joined);
    if (!status && !request->flight) status = encode_load(request, &asked, &answer, err);
    gr_answer_done(&answer);
    return status;
}

/* ---- plans ----------------------------------------------------------------------------------- */
typedef gr_status plan_encoder(gr_http_request *request, const gr_answer *answer, gr_error *err);
typedef gr_status set_handler(gr_http_request *request, const gr_http_asked *asked, gr_error *err);

static gr_status with_plan(gr_http_request *request, plan_encoder *encode, set_handler *of_set, gr_error *err) {
    gr_http_asked asked;
    GR_TRY(read_asked(request, &asked, err));
    if (asked.type) return of_set(request, &asked, err);
    gr_ctx ctx = gr_http_ctx(request);
    gr_answer answer = {0};
    gr_status status = gr_serve_plan(request->http->serve, &ctx, &asked.serve, true, &answer, err);
    if (!status) {
        request->served_by = (gr_str){0};
        gr_http_add_served(request, &answer);
        status = encode(request, &answer, err);
    }
    gr_answer_done(&answer);
    return status;
}

static gr_status encode_sql(gr_http_request *request, const gr_answer *answer, gr_error *err) {
    return gr_http_encode_sql(answer, request->http->config, request->work, &request->out, err);
}

static gr_status encode_dry_run(gr_http_request *request, const gr_answer *answer, gr_error *err) {
    const gr_query *query = answer->query;
    gr_query_set alone = {.queries = &query, .n = 1};
    return gr_http_encode_dry_run(&alone, request->work, &request->out, err);
}

gr_status gr_http_do_sql(gr_http_request *request, gr_error *err) {
    return with_plan(request, encode_sql, gr_http_sql_set, err);
}
gr_status gr_http_do_dry_run(gr_http_request *request, gr_error *err) {
    return with_plan(request, encode_dry_run, gr_http_dry_run_set, err);
}

gr_status gr_http_do_explain(gr_http_request *request, gr_error *err) {
    gr_http_asked asked;
    GR_TRY(read_asked(request, &asked, err));
    gr_ctx ctx = gr_http_ctx(request);
    gr_explain_request wanted = {.serve = asked.serve,
                                 .as_if_built = gr_http_param_is_on(request, GR_STR("as_if_built")),
                                 .wants_estimate = asked.wants_estimate};
    gr_explanations all;
    GR_TRY(gr_serve_explain(request->http->serve, &ctx, &wanted, &all, err));
    request->served_by = (gr_str){0};
    for (size_t i = 0; i < all.n; i++) gr_http_add_served(request, &all.v[i].answer);
    gr_status status = gr_http_encode_explain(&all, request->work, &request->out, err);
    gr_serve_explanations_done(&all);
    return status;
}

/* ---- meta and health ------------------------------------------------------------------------- */
gr_status gr_http_do_meta(gr_http_request *request, gr_error *err) {
    gr_http_meta_options options = {.only_views = gr_http_param_is_on(request, GR_STR("onlyViews"))};
    for (size_t i = 0; i < request->params.n; i++)
        if (gr_str_eq(request->params.v[i].key, GR_STR("extended"))) options.is_extended = true;
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(request->http->serve);
    gr_status status = gr_http_encode_meta(snapshot->model, options, &request->out, err);
    gr_serve_snapshot_unref(snapshot);
    return status;
}

gr_status gr_http_do_health(gr_http_request *request, gr_error *err) {
    (void)err;
    gr_http_answer_json(request, GR_STR("{\"health\":\"HEALTH\"}"));
    return GR_OK;
}

gr_status gr_http_do_ready(gr_http_request *request, gr_error *err) {
    bool is_ready = !atomic_load(&request->http->is_draining) && !gr_engine_duckdb_is_stopped();
    if (is_ready) return gr_http_do_health(request, err);
    gr_http_answer_json(request, GR_STR("{\"health\":\"DOWN\"}"));
    request->http_status = 500;
    return GR_OK;
}
