/* The background refresh to people and to `granary worker`: its state, what it does next, orders to it. */
#include "http/internal.h"

gr_status gr_http_do_refresh(gr_http_request *request, gr_error *err) {
    gr_refresh_overview all = gr_serve_refresh_overview(request->http->serve, request->work);
    return gr_http_encode_refresh(&all, &request->out, err);
}

/* ---- orders ---------------------------------------------------------------------------------- */
static const struct {
    const char *name;
    json_type type;
} order_keys[] = {{"state", JSON_STRING}, {"now", JSON_TRUE}, {"prebuild", JSON_TRUE}};

static bool is_of_type(const json_t *value, json_type type) {
    return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

static gr_status check_order(json_t *body, gr_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(body) || !json_object_size(body))
        return gr_error_set(err, GR_ERR_QUERY_INVALID,
                            "The body must be an object: {\"state\": …, \"now\": …, \"prebuild\": …}");
    json_object_foreach(body, key, value) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof order_keys / sizeof *order_keys; i++)
            is_known |= strcmp(key, order_keys[i].name) == 0 && is_of_type(value, order_keys[i].type);
        if (!is_known)
            return gr_error_set(err, GR_ERR_QUERY_INVALID,
                                "\"%.40s\" is none of: state (text), now (boolean), prebuild (boolean)", key);
    }
    return GR_OK;
}

gr_status gr_http_do_refresh_order(gr_http_request *request, gr_error *err) {
    gr_serve *serve = request->http->serve;
    json_t *body = NULL;
    gr_refresh_state state;
    GR_TRY(gr_http_body_json(request, &body, err));
    GR_TRY(check_order(body, err));
    const json_t *name = json_object_get(body, "state");
    if (name && !gr_serve_refresh_state_from(gr_json_str(name), &state))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "state must be running, paused or drained");
    if (name) gr_serve_refresh_set(serve, state);
    const gr_refresh_order order = {.now = json_is_true(json_object_get(body, "now")),
                                    .prebuild = json_is_true(json_object_get(body, "prebuild"))};
    if (order.now || order.prebuild) (void)gr_serve_refresh_order(serve, order);
    return gr_http_do_refresh(request, err);
}

gr_status gr_http_do_scheduled_refresh(gr_http_request *request, gr_error *err) {
    (void)err;
    gr_jw w;
    gr_jw_init(&w, &request->out);
    gr_jw_object(&w);
    gr_jw_key_bool(&w, "finished", gr_serve_refresh_run(request->http->serve));
    gr_jw_object_end(&w);
    return GR_OK;
}
