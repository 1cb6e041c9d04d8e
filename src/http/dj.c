/* One request of DataJunction's or the seed's routes, from its text to its answer; and what several handlers need.
 * Invariant: whatever happens, `out` holds one whole answer, unless it is to be waited for. */
#include "http/dj.h"

#include "base/clock.h"
#include "http/dj_internal.h"
#include "http/encode.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- the call -------------------------------------------------------------------------------- */
static void read_body(gr_dj *dj, gr_str text) {
    gr_error cause = {0};
    text = gr_str_trim(text);
    if (!text.n || !(dj->route->methods & (GR_HTTP_POST | GR_HTTP_PATCH))) return;
    gr_status status = gr_json_parse(text, text.n, dj->arena, &dj->body, &cause);
    if (status) gr_dj_detail_add(dj, "body", (gr_str){0}, "json_invalid", "%s", cause.message);
}

static gr_status answer_error(const gr_dj *dj, const gr_error *error, gr_buf *out, gr_dj_answer *ret) {
    gr_flight_unref(ret->flight);
    ret->flight = NULL;
    ret->is_stream = false;
    gr_buf_reset(out);
    if (dj && dj->details.n)
        gr_dj_put_details(dj->details.v, dj->details.n, out, ret);
    else
        gr_dj_put_error(error, out, ret);
    return error->status;
}

gr_status gr_dj_run(gr_serve *serve, const gr_dj_asked *asked, gr_arena *arena, gr_buf *out, gr_dj_answer *ret,
                    gr_error *err) {
    gr_jw w;
    gr_jw_init(&w, out);
    *ret = (gr_dj_answer){.http_status = asked->route->doc.status, .content_type = "application/json"};
    gr_dj dj = {.serve = serve,
                .arena = arena,
                .actor = {gr_clock_now_us(), asked->user},
                .route = asked->route,
                .params = asked->params,
                .wants_stream = asked->wants_stream,
                .waited = asked->waited,
                .w = &w,
                .answer = ret};
    memcpy(dj.segments, asked->segments, sizeof dj.segments);
    gr_error error = {0};
    read_body(&dj, asked->body);
    gr_status status = asked->route->dj(&dj, &error);
    if (!status && !ret->flight && !ret->is_stream) status = gr_http_encode_check(out, &error);
    if (!status) return GR_OK;
    if (err) *err = error;
    return answer_error(&dj, &error, out, ret);
}

static gr_status find_route(const gr_dj_request *request, gr_str path, gr_arena *arena, gr_http_match *ret,
                            gr_error *err) {
    gr_str method = gr_arena_dup(arena, request->method);
    GR_TRY(gr_http_route_find(path, gr_http_method(method.p), arena, ret, err));
    if (ret->route && ret->route->dj) return GR_OK;
    return gr_error_set(err, GR_ERR_HTTP_NOT_FOUND, "Cannot %s " GR_FMT ": there is no such route", method.p,
                        GR_ARG(path));
}

gr_status gr_dj_call(gr_serve *serve, const gr_dj_request *request, gr_arena *arena, gr_buf *out, gr_dj_answer *ret,
                     gr_error *err) {
    gr_str path, query;
    gr_http_match match;
    gr_error error = {0};
    *ret = (gr_dj_answer){.content_type = "application/json"};
    gr_http_url_split(request->target, &path, &query);
    gr_dj_asked asked = {
        .body = request->body, .user = request->user, .wants_stream = request->wants_stream, .waited = request->waited};
    gr_status status = find_route(request, path, arena, &match, &error);
    if (!status) status = gr_http_url_params(query, arena, &asked.params, &error);
    if (status) {
        if (err) *err = error;
        return answer_error(NULL, &error, out, ret);
    }
    asked.route = match.route;
    memcpy(asked.segments, match.segments, sizeof asked.segments);
    return gr_dj_run(serve, &asked, arena, out, ret, err);
}

/* ---- what handlers share --------------------------------------------------------------------- */
bool gr_dj_is_strict(const gr_dj *dj) { return gr_str_starts(gr_str_from(dj->route->path), GR_STR("/preaggs")); }

/* Whoever wrote the error: it says which one was asked for. */
static gr_status name_entity(const gr_dj *dj, gr_status status, gr_error *err) {
    gr_str asked = dj->segments[0];
    if (!gr_dj_is(status, "preagg.not_found") || !err) return status;
    if (gr_str_find_str(gr_str_from(err->message), asked) != SIZE_MAX) return status;
    gr_error old = *err;
    gr_error_set(err, status, "There is no pre-aggregation '%.*s'", (int)(asked.n < 200 ? asked.n : 200), asked.p);
    if (old.hint[0]) gr_error_hint(err, "%s", old.hint);
    return status;
}

gr_status gr_dj_entity(gr_dj *dj, gr_entity_view *ret, gr_error *err) {
    gr_str asked = dj->segments[0];
    int64_t id = 0;
    if (!gr_dj_is_strict(dj)) {
        GR_TRY(gr_dj_check(dj, err));
        return name_entity(dj, gr_serve_entity_find(dj->serve, asked, dj->arena, ret, err), err);
    }
    if (!gr_str_to_i64(asked, &id))
        gr_dj_detail_add(dj, "path", GR_STR("preagg_id"), "int_parsing", "The id must be an integer");
    GR_TRY(gr_dj_check(dj, err));
    return name_entity(dj, gr_serve_entity(dj->serve, id, dj->arena, ret, err), err);
}

gr_status gr_dj_no_node(gr_str name, gr_error *err) {
    return gr_error_set(err, gr_dj_status_of(GR_STR("node.not_found"), GR_ERR_HTTP_NOT_FOUND),
                        "A node with name `%.*s` does not exist.", (int)(name.n < 300 ? name.n : 300), name.p);
}

gr_status gr_dj_node(gr_dj *dj, gr_str name, gr_str version, gr_node_view *ret, gr_error *err) {
    gr_status status = gr_serve_node(dj->serve, name, version, dj->arena, ret, err);
    if (!gr_dj_is(status, "node.not_found")) return status;
    if (!version.n) return gr_dj_no_node(name, err);
    /* Clients look for "node .* does not exist". */
    return gr_error_set(err, status, "A node with name `%.*s` and version `%.*s` does not exist.",
                        (int)(name.n < 300 ? name.n : 300), name.p, (int)(version.n < 40 ? version.n : 40), version.p);
}

void gr_dj_put_message(gr_dj *dj, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) n = 0;
    gr_jw_object(dj->w);
    gr_jw_key_str(dj->w, "message", (gr_str){text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1});
    gr_jw_object_end(dj->w);
}
