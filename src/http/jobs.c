/* POST /cubejs-api/v1/pre-aggregations/jobs: {"action": "post", "selector"} starts jobs, {"action": "get", "tokens"}
 * asks how they are. Errors are those of Cube, with the texts of its validator (joi): orchestrators show them.
 * Source: cube.md 3.9. */
#include "serve/jobs.h"
#include "base/map.h"
#include "http/internal.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- validation ------------------------------------------------------------------------------ */
GR_MUST_CHECK static gr_status invalid(gr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static gr_status invalid(gr_error *err, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return gr_error_set(err, GR_ERR_QUERY_INVALID, "Invalid Job query format: %s", text);
}

static bool is_one_of(const json_t *value, const char *const *words) {
    for (size_t i = 0; json_is_string(value) && words[i]; i++)
        if (gr_str_eq_z(gr_json_str(value), words[i])) return true;
    return false;
}

/* `path` is "selector." or empty; the list ends with NULL. */
static gr_status check_keys(const json_t *object, const char *path, const char *const *known, gr_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        bool is_known = false;
        for (size_t i = 0; known[i]; i++) is_known |= strcmp(known[i], key) == 0;
        if (!is_known) return invalid(err, "\"%s%.100s\" is not allowed", path, key);
    }
    return GR_OK;
}

typedef enum need { OPTIONAL, REQUIRED } need;

static gr_status read_texts(const json_t *object, const char *path, const char *key, need how, gr_arena *arena,
                            gr_jobs_filter *ret, gr_error *err) {
    const json_t *list = json_object_get(object, key);
    *ret = (gr_jobs_filter){0};
    if (!list) return how == REQUIRED ? invalid(err, "\"%s%s\" is required", path, key) : GR_OK;
    size_t n = json_array_size(list);
    if (!json_is_array(list)) return invalid(err, "\"%s%s\" must be an array", path, key);
    gr_str *texts = GR_NEW_N(arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item)) return invalid(err, "\"%s%s[%zu]\" must be a string", path, key, i);
        texts[i] = gr_json_str(item);
        if (!texts[i].n) return invalid(err, "\"%s%s[%zu]\" is not allowed to be empty", path, key, i);
    }
    if (how == REQUIRED && !n) return invalid(err, "\"%s%s\" must contain at least 1 items", path, key);
    *ret = (gr_jobs_filter){true, texts, n};
    return GR_OK;
}

/* ---- post ------------------------------------------------------------------------------------ */
static gr_status read_contexts(const json_t *selector, gr_arena *arena, gr_jobs_ask *ret, gr_error *err) {
    enum { MOST_BYTES = 64 << 10 };
    static const char *const known[] = {"securityContext", NULL};
    const json_t *list = json_object_get(selector, "contexts");
    size_t n = json_array_size(list);
    if (!list) return invalid(err, "\"selector.contexts\" is required");
    if (!json_is_array(list)) return invalid(err, "\"selector.contexts\" must be an array");
    if (!n) return invalid(err, "\"selector.contexts\" must contain at least 1 items");
    gr_str *texts = GR_NEW_N(arena, gr_str, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        char path[64];
        snprintf(path, sizeof path, "selector.contexts[%zu].", i);
        if (!json_is_object(item)) return invalid(err, "\"selector.contexts[%zu]\" must be of type object", i);
        if (!json_object_get(item, "securityContext")) return invalid(err, "\"%ssecurityContext\" is required", path);
        GR_TRY(check_keys(item, path, known, err));
        gr_buf text;
        gr_buf_init(&text, MOST_BYTES);
        gr_jw w;
        gr_jw_init(&w, &text);
        gr_jw_json(&w, item);
        texts[i] = gr_arena_dup(arena, gr_buf_str(&text));
        bool is_over = text.is_over;
        gr_buf_done(&text);
        if (is_over) return gr_error_set(err, GR_ERR_LIMIT, "A context of a job has at most %d bytes", MOST_BYTES);
    }
    ret->contexts = texts;
    ret->n_contexts = n;
    return GR_OK;
}

static gr_status read_zones(const json_t *selector, gr_arena *arena, gr_jobs_ask *ret, gr_error *err) {
    gr_jobs_filter names;
    GR_TRY(read_texts(selector, "selector.", "timezones", REQUIRED, arena, &names, err));
    ret->zones = GR_NEW_N(arena, const gr_tz *, names.n);
    for (size_t i = 0; i < names.n; i++)
        if (gr_tz_get(names.v[i], &ret->zones[ret->n_zones++], NULL))
            return invalid(err, "\"selector.timezones[%zu]\" is not a time zone: %.*s", i,
                           (int)(names.v[i].n < 100 ? names.v[i].n : 100), names.v[i].p);
    return GR_OK;
}

static gr_status read_range(const json_t *selector, gr_arena *arena, gr_jobs_ask *ret, gr_error *err) {
    gr_jobs_filter range;
    gr_error cause = {0};
    GR_TRY(read_texts(selector, "selector.", "dateRange", OPTIONAL, arena, &range, err));
    if (!range.is_given) return GR_OK;
    if (range.n != 2) return invalid(err, "\"selector.dateRange\" must contain 2 items");
    ret->has_range = true;
    if (gr_serve_bounds_read(range.v[0], range.v[1], ret->range, &cause) == GR_OK) return GR_OK;
    gr_error_set(err, GR_ERR_QUERY_DATE, "Cannot parse selector date range %.*s,%.*s",
                 (int)(range.v[0].n < 100 ? range.v[0].n : 100), range.v[0].p,
                 (int)(range.v[1].n < 100 ? range.v[1].n : 100), range.v[1].p);
    gr_error_hint(err, "%s", cause.message);
    return GR_ERR_QUERY_DATE;
}

static gr_status read_selector(const json_t *body, gr_arena *arena, gr_jobs_ask *ret, gr_error *err) {
    static const char *const known[] = {"contexts",        "timezones", "dataSources", "cubes",
                                        "preAggregations", "dateRange", NULL};
    const json_t *selector = json_object_get(body, "selector");
    *ret = (gr_jobs_ask){0};
    if (!selector) return invalid(err, "\"selector\" is required");
    if (!json_is_object(selector)) return invalid(err, "\"selector\" must be of type object");
    GR_TRY(read_contexts(selector, arena, ret, err));
    GR_TRY(read_zones(selector, arena, ret, err));
    GR_TRY(read_texts(selector, "selector.", "dataSources", OPTIONAL, arena, &ret->data_sources, err));
    GR_TRY(read_texts(selector, "selector.", "cubes", OPTIONAL, arena, &ret->cubes, err));
    GR_TRY(read_texts(selector, "selector.", "preAggregations", OPTIONAL, arena, &ret->preaggs, err));
    GR_TRY(check_keys(selector, "selector.", known, err));
    return read_range(selector, arena, ret, err);
}

static gr_status post(gr_http_request *request, const gr_jobs_ask *ask, gr_error *err) {
    gr_str *tokens;
    size_t n;
    gr_ctx ctx = gr_http_ctx(request);
    GR_TRY(gr_serve_jobs_post(request->http->serve, &ctx, ask, &tokens, &n, err));
    if (!n)
        return gr_error_set(err, GR_ERR_QUERY_INVALID,
                            "A user's selector doesn't match any of the pre-aggregations defined in the data model.");
    gr_jw w;
    gr_jw_init(&w, &request->out);
    gr_jw_array(&w);
    for (size_t i = 0; i < n; i++) gr_jw_str(&w, tokens[i]);
    gr_jw_array_end(&w);
    return GR_OK;
}

/* ---- get ------------------------------------------------------------------------------------- */
static void put_list(gr_jw *w, const char *key, const gr_str *texts, size_t n) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) gr_jw_str(w, texts[i]);
    gr_jw_array_end(w);
}

static void put_job(gr_jw *w, const gr_job_view *job, bool with_token) {
    gr_jw_object(w);
    if (with_token) gr_jw_key_str(w, "token", job->token);
    if (job->is_known) gr_jw_key_str(w, "table", job->table);
    gr_jw_key_str(w, "status", job->status);
    if (job->is_known) {
        gr_jw_key(w, GR_STR("selector"));
        gr_jw_object(w);
        put_list(w, "cubes", &job->cube, 1);
        put_list(w, "preAggregations", &job->preagg, 1);
        gr_jw_key(w, GR_STR("contexts"));
        gr_jw_array(w);
        gr_jw_raw(w, job->context);
        gr_jw_array_end(w);
        put_list(w, "timezones", job->zones, job->n_zones);
        put_list(w, "dataSources", &job->data_source, 1);
        gr_jw_object_end(w);
    }
    gr_jw_object_end(w);
}

static gr_status get(gr_http_request *request, const gr_jobs_filter *tokens, bool is_object) {
    gr_job_view *jobs;
    gr_map told; /* an object has each token once */
    gr_map_init(&told, request->work);
    gr_serve_jobs_look(request->http->serve, tokens->v, tokens->n, request->work, &jobs);
    gr_jw writer, *w = &writer;
    gr_jw_init(w, &request->out);
    if (is_object)
        gr_jw_object(w);
    else
        gr_jw_array(w);
    for (size_t i = 0; i < tokens->n; i++) {
        if (is_object && !gr_map_put(&told, jobs[i].token, &told)) continue;
        if (is_object) gr_jw_key(w, jobs[i].token);
        put_job(w, &jobs[i], !is_object);
    }
    if (is_object)
        gr_jw_object_end(w);
    else
        gr_jw_array_end(w);
    return GR_OK;
}

/* What belongs to the other action is refused. */
gr_status gr_http_do_jobs(gr_http_request *request, gr_error *err) {
    static const char *const actions[] = {"post", "get", NULL}, *const of_post[] = {"action", "selector", NULL},
                             *const of_get[] = {"action", "tokens", "resType", NULL},
                             *const forms[] = {"array", "object", NULL}, *const object[] = {"object", NULL};
    json_t *body;
    gr_jobs_ask ask;
    gr_jobs_filter tokens;
    GR_TRY(gr_http_body_json(request, &body, err));
    bool is_empty = !body || json_is_null(body) || (json_is_object(body) && !json_object_size(body)) ||
                    (json_is_array(body) && !json_array_size(body));
    if (is_empty) return gr_error_set(err, GR_ERR_QUERY_INVALID, "No job description provided");
    if (!json_is_object(body)) return invalid(err, "\"value\" must be of type object");
    const json_t *action = json_object_get(body, "action"), *form = json_object_get(body, "resType");
    if (!action) return invalid(err, "\"action\" is required");
    if (!is_one_of(action, actions)) return invalid(err, "\"action\" must be one of [post, get]");
    if (gr_str_eq(gr_json_str(action), GR_STR("post"))) {
        GR_TRY(read_selector(body, request->work, &ask, err));
        GR_TRY(check_keys(body, "", of_post, err));
        return post(request, &ask, err);
    }
    GR_TRY(read_texts(body, "", "tokens", REQUIRED, request->work, &tokens, err));
    if (form && !is_one_of(form, forms)) return invalid(err, "\"resType\" must be one of [array, object]");
    GR_TRY(check_keys(body, "", of_get, err));
    return get(request, &tokens, is_one_of(form, object));
}
