/* One request, from the request line to the queued response, on the library's threads. Nothing here waits: what needs a
 * worker is suspended and handed to a lane, and this thread is called again when the answer lies in `out`.
 * Invariant: a refusal that is known from the headers is answered after the body was read and thrown away, so that the
 * client gets to read it; only a body that is announced as huge, or waits for "100 Continue", is cut off. */
#include "base/mem.h"
#include "http/dj_internal.h"
#include "http/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { MAX_DISCARD_BYTES = 64 << 20, MAX_REQUEST_ID = 128 };

/* ---- birth and death ------------------------------------------------------------------------- */
static int socket_of(struct MHD_Connection *conn) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? (int)info->connect_fd : -1;
}

void *gr_http_on_uri(void *cls, const char *uri, struct MHD_Connection *conn) {
    gr_http *http = cls;
    gr_arena *arena = gr_arena_new();
    gr_http_request *request = GR_NEW(arena, gr_http_request);
    *request = (gr_http_request){.http = http,
                                 .conn = conn,
                                 .fd = socket_of(conn),
                                 .arena = arena,
                                 .http_status = 200,
                                 .started_mono_us = gr_clock_mono_us()};
    request->target = gr_arena_dup(arena, gr_str_from(uri));
    gr_buf_init(&request->out, http->max_result_bytes);
    gr_buf_init(&request->body, (size_t)http->config->body_max_bytes);
    request->slot = gr_mem_calloc(1, sizeof *request->slot);
    request->slot->request = request;
    pthread_mutex_lock(&http->lock);
    http->n_open++;
    pthread_mutex_unlock(&http->lock);
    gr_http_count(http, GR_HTTP_N_REQUESTS);
    return request->slot;
}

void gr_http_request_free(gr_http_request *request) {
    if (!request) return;
    gr_flight_unref(request->flight);
    gr_flight_unref(request->waited);
    gr_http_build_unref(request->stream);
    gr_http_answer_unref(request->answer);
    gr_serve_cached_unref(request->cached);
    for (size_t i = 0; i < request->stale.n; i++) gr_serve_cache_refreshed(request->stale.v[i]);
    gr_buf_done(&request->out);
    gr_buf_done(&request->body);
    gr_arena_free(request->work);
    gr_arena_free(request->arena);
}

void gr_http_on_completed(void *cls, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode why) {
    (void)conn;
    (void)why;
    gr_http *http = cls;
    gr_http_slot *slot = *con_cls;
    if (!slot) return;
    *con_cls = NULL;
    gr_http_request_free(slot->request);
    free(slot);
    pthread_mutex_lock(&http->lock);
    http->n_open--;
    if (atomic_load(&http->is_draining)) pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

size_t gr_http_on_unescape(void *cls, struct MHD_Connection *conn, char *text) {
    (void)cls;
    (void)conn;
    return strlen(text);
}

/* ---- what the headers say -------------------------------------------------------------------- */
static gr_str header(const gr_http_request *request, const char *name) {
    return gr_str_from(MHD_lookup_connection_value(request->conn, MHD_HEADER_KIND, name));
}

static bool is_safe_id(gr_str id) {
    if (!id.n || id.n > MAX_REQUEST_ID) return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~' || id.p[i] == '"' || id.p[i] == '\\') return false;
    return true;
}

/* From a store of the thread: one call of the system for many requests. */
static void take_random(unsigned char *ret, size_t n) {
    static _Thread_local unsigned char store[1024];
    static _Thread_local size_t left;
    if (left < n) {
        left = sizeof store;
        if (getrandom(store, sizeof store, 0) != (ssize_t)sizeof store) {
            memcpy(store, &(int64_t){gr_clock_mono_us()}, sizeof(int64_t));
            left = n;
        }
    }
    left -= n;
    memcpy(ret, store + left, n);
}

static gr_str make_id(gr_arena *arena) {
    static const char hex[] = "0123456789abcdef", form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx-span-1";
    unsigned char r[16];
    take_random(r, sizeof r);
    r[6] = (unsigned char)((r[6] & 0x0F) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3F) | 0x80);
    size_t n = sizeof form - 1;
    char *p = GR_NEW_N(arena, char, n);
    for (size_t i = 0, digit = 0; i < n; i++) {
        bool is_digit = form[i] == 'x';
        p[i] = is_digit ? hex[digit % 2 ? r[digit / 2] & 15 : r[digit / 2] >> 4] : form[i];
        digit += is_digit;
    }
    return (gr_str){p, n};
}

static gr_str request_id_of(const gr_http_request *request) {
    gr_str id = header(request, "x-request-id");
    if (!is_safe_id(id)) id = header(request, "traceparent");
    return is_safe_id(id) ? gr_arena_dup(request->arena, id) : make_id(request->arena);
}

gr_str gr_http_param_get(const gr_http_request *request, gr_str key) {
    for (size_t i = 0; i < request->params.n; i++)
        if (gr_str_eq(request->params.v[i].key, key)) return request->params.v[i].value;
    return (gr_str){0};
}

bool gr_http_param_is_on(const gr_http_request *request, gr_str key) {
    for (size_t i = 0; i < request->params.n; i++) {
        if (!gr_str_eq(request->params.v[i].key, key)) continue;
        gr_str value = request->params.v[i].value;
        return !gr_str_eq(value, GR_STR("0")) && !gr_str_eq_nocase(value, GR_STR("false")) &&
               !gr_str_eq_nocase(value, GR_STR("no"));
    }
    return false;
}

static gr_status body_too_large(gr_http_request *request, gr_error *err) {
    gr_error_set(err, GR_ERR_HTTP_BODY, "The request body is larger than %zu bytes", request->body.max);
    gr_error_hint(err, "The limit is the setting http.body_max_bytes.");
    return GR_ERR_HTTP_BODY;
}

static int64_t content_length(const gr_http_request *request) {
    int64_t n = 0;
    gr_str text = header(request, "content-length");
    return text.n && gr_str_to_i64(text, &n) ? n : 0;
}

/* ---- admission ------------------------------------------------------------------------------- */
static gr_status find_route(gr_http_request *request, const char *method, gr_str path, gr_error *err) {
    gr_http_match match;
    GR_TRY(gr_http_route_find(path, request->method, request->arena, &match, err));
    request->route = match.route;
    request->allowed = match.allowed;
    request->is_dj = match.is_dj;
    memcpy(request->segments, match.segments, sizeof request->segments);
    if (match.route || request->method == GR_HTTP_OPTIONS) return GR_OK;
    int shown = (int)(path.n < 200 ? path.n : 200);
    if (!match.allowed)
        return gr_error_set(err, GR_ERR_HTTP_NOT_FOUND, "Cannot %s %.*s: there is no such route", method, shown,
                            path.p);
    return gr_error_set(err, GR_ERR_HTTP_METHOD, "%.*s does not take the method %s", shown, path.p, method);
}

static gr_status stopping(gr_error *err) { return gr_error_set(err, GR_ERR_HTTP_BUSY, "The server is stopping"); }

static gr_status authorize(gr_http_request *request, gr_error *err) {
    request->token = header(request, "x-cube-authorization");
    if (!request->token.n) request->token = header(request, "authorization");
    request->local_token = header(request, "x-granary-local-token");
    return gr_serve_authorize(request->http->serve, request->token, request->local_token,
                              gr_str_from(request->route->scope), err);
}

static gr_status check_query(const gr_http_request *request, gr_error *err) {
    if (!request->route->wants_query || request->method != GR_HTTP_GET) return GR_OK;
    if (gr_http_param_get(request, GR_STR("query")).n) return GR_OK;
    return gr_error_set(err, GR_ERR_QUERY_INVALID, "Query param is required");
}

static gr_status admit(gr_http_request *request, const char *method, gr_error *err) {
    gr_str query;
    gr_http_url_split(request->target, &request->path, &query);
    GR_TRY(find_route(request, method, request->path, err));
    if (!request->route) return GR_OK; /* OPTIONS */
    if (request->route->scope) {
        if (atomic_load(&request->http->is_draining)) return stopping(err);
        GR_TRY(authorize(request, err));
    }
    GR_TRY(gr_http_url_params(query, request->arena, &request->params, err));
    if (content_length(request) > (int64_t)request->body.max) return body_too_large(request, err);
    return check_query(request, err);
}

/* ---- the answer ------------------------------------------------------------------------------ */
void gr_http_answer_error(gr_http_request *request, const gr_error *error) {
    gr_buf_reset(&request->out);
    if (request->is_dj) {
        gr_dj_answer answer = {0};
        gr_dj_put_error(error, &request->out, &answer);
        gr_http_dj_take(request, &answer);
    } else {
        gr_http_encode_error(error, request->request_id, &request->out);
        request->http_status = gr_http_error_status(error->status);
    }
    request->has_timing = request->has_outcome = false;
    request->served_by = (gr_str){0};
    gr_http_count(request->http, error->status == GR_ERR_HTTP_BUSY ? GR_HTTP_N_BUSY : GR_HTTP_N_ERRORS);
}

void gr_http_answer_json(gr_http_request *request, gr_str json) {
    gr_buf_reset(&request->out);
    gr_buf_add(&request->out, json);
    request->http_status = 200;
}

static void add_header(struct MHD_Response *response, const char *name, gr_str value) {
    char text[512];
    if (!value.n || value.n >= sizeof text) return;
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    (void)MHD_add_response_header(response, name, text);
}

static void add_cors(const gr_http_request *request, struct MHD_Response *response) {
    gr_str origin = request->http->config->cors_origin;
    if (!origin.n) return;
    add_header(response, "Access-Control-Allow-Origin", origin);
    if (!gr_str_eq(origin, GR_STR("*"))) add_header(response, "Vary", GR_STR("Origin"));
    if (request->method != GR_HTTP_OPTIONS) {
        add_header(response, "Access-Control-Expose-Headers",
                   GR_STR("x-request-id, traceparent, x-granary-served-by, x-granary-cache, x-granary-timing, "
                          "retry-after"));
        return;
    }
    add_header(response, "Access-Control-Allow-Methods", GR_STR("GET, HEAD, POST, PATCH, DELETE, OPTIONS"));
    add_header(response, "Access-Control-Allow-Headers",
               GR_STR("authorization, content-type, x-request-id, x-cube-authorization, traceparent, tracestate, "
                      "last-event-id, accept"));
    add_header(response, "Access-Control-Max-Age", GR_STR("86400"));
}

static void add_allowed(const gr_http_request *request, struct MHD_Response *response) {
    char text[64] = "OPTIONS";
    size_t n_names;
    const gr_http_method_name *names = gr_http_methods(&n_names);
    for (size_t i = 0; i < n_names; i++) {
        if (!(request->allowed & names[i].method)) continue;
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, ", %s", names[i].name);
    }
    add_header(response, "Allow", gr_str_from(text));
}

static void add_trace(const gr_http_request *request, struct MHD_Response *response) {
    if (!request->trace.trace_id[0]) return;
    char text[GR_TRACE_TEXT];
    gr_trace_write(&request->trace, text);
    (void)MHD_add_response_header(response, "traceparent", text);
    if (request->trace.state[0]) (void)MHD_add_response_header(response, "tracestate", request->trace.state);
}

static void add_headers(const gr_http_request *request, struct MHD_Response *response, int64_t total_us) {
    if (request->is_stream) {
        add_header(response, "Content-Type", GR_STR("text/event-stream; charset=utf-8"));
        add_header(response, "Cache-Control", GR_STR("no-store"));
    } else if (request->http_status != 204) {
        gr_str type = gr_str_from(request->content_type);
        add_header(response, "Content-Type", type.n ? type : GR_STR("application/json; charset=utf-8"));
    }
    if (request->exception) {
        add_header(response, "X-DJ-Error", GR_STR("true"));
        add_header(response, "X-DBAPI-Exception", gr_str_from(request->exception));
    }
    add_cors(request, response);
    add_header(response, "x-request-id", request->request_id);
    add_trace(request, response);
    add_header(response, "x-granary-served-by", request->served_by);
    if (request->has_outcome) add_header(response, "x-granary-cache", gr_serve_cache_outcome_name(request->outcome));
    if (request->has_timing) {
        char text[120];
        int n = snprintf(text, sizeof text, "plan=%lld, engine=%lld, total=%lld", (long long)request->planned_us,
                         (long long)request->engine_us, (long long)total_us);
        add_header(response, "x-granary-timing", (gr_str){text, (size_t)n});
    }
    if (request->http_status == 503) add_header(response, "Retry-After", GR_STR("1"));
    if (request->http_status == 405 || request->method == GR_HTTP_OPTIONS) add_allowed(request, response);
}

static void log_request(const gr_http_request *request, int64_t total_us, size_t bytes) {
    const gr_trace *before = gr_trace_enter(&request->trace);
    gr_log_level level = request->http_status < 400    ? GR_LOG_DEBUG
                         : request->http_status < 500  ? GR_LOG_INFO
                         : request->http_status == 503 ? GR_LOG_WARN
                                                       : GR_LOG_ERROR;
    gr_log_event(level, "http.request", "path", request->path, "status", gr_log_i64(request->http_status), "us",
                 gr_log_i64(total_us), "bytes", gr_log_i64((int64_t)bytes), "served_by", request->served_by,
                 "request_id", request->request_id, NULL);
    gr_trace_enter(before);
}

static void unref_cached(void *entry) { gr_serve_cached_unref(entry); }

/* The entry's own bytes, for as long as the library sends them. */
static struct MHD_Response *response_of(gr_cached *entry) {
    union { /* the library only reads */
        const char *from;
        void *to;
    } bytes = {entry->head.p};
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        entry->head.n, bytes.to, unref_cached, gr_serve_cached_ref(entry));
    if (!response) gr_serve_cached_unref(entry);
    return response;
}

static enum MHD_Result respond(gr_http_request *request) {
    struct MHD_Response *response;
    gr_http_answer *answer = request->answer;
    size_t bytes = request->cached ? request->cached->head.n : answer ? answer->out.n : request->out.n;
    if (request->cached) {
        response = response_of(request->cached);
    } else if (answer && bytes) {
        atomic_fetch_add(&answer->refs, 1);
        response =
            MHD_create_response_from_buffer_with_free_callback_cls(bytes, answer->out.p, gr_http_answer_unref, answer);
        if (!response) gr_http_answer_unref(answer);
    } else if (request->is_stream) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, gr_http_stream_read, request, NULL);
    } else if (!bytes) {
        static char nothing[1];
        response = MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    } else {
        response = MHD_create_response_from_buffer(bytes, request->out.p, MHD_RESPMEM_MUST_FREE);
        if (response) request->out = (gr_buf){.max = request->out.max};
    }
    if (!response) return MHD_NO;
    int64_t total_us = gr_clock_mono_us() - request->started_mono_us;
    add_headers(request, response, total_us);
    log_request(request, total_us, bytes);
    gr_http_seen_add(&request->http->seen, request->route, request->method, request->http_status, total_us);
    enum MHD_Result result = MHD_queue_response(request->conn, (unsigned)request->http_status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the library's calls --------------------------------------------------------------------- */
static enum MHD_Result dispatch(gr_http_request *request) {
    gr_error err = {0};
    if (request->refusal) {
        gr_http_answer_error(request, request->refusal);
        return respond(request);
    }
    if (!request->route) {
        request->http_status = 204;
        return respond(request);
    }
    if (request->route->lane == GR_HTTP_INLINE) {
        if (request->route->handle(request, &err)) gr_http_answer_error(request, &err);
        return respond(request);
    }
    if (gr_http_cached_take(request)) return respond(request);
    MHD_suspend_connection(request->conn);
    if (gr_http_lane_submit(request)) return MHD_YES;
    if (atomic_load(&request->http->is_draining)) {
        (void)stopping(&err);
    } else {
        gr_error_set(&err, GR_ERR_HTTP_BUSY, "Too many requests are waiting for a worker");
        gr_error_hint(&err, "Try again in a moment; the limit is the setting http.queue.");
    }
    gr_http_answer_error(request, &err);
    request->state = GR_HTTP_DONE;
    MHD_resume_connection(request->conn);
    return MHD_YES;
}

static enum MHD_Result begin(gr_http_request *request, const char *method) {
    gr_error err = {0};
    request->state = GR_HTTP_RECEIVING;
    request->method = gr_http_method(method);
    request->request_id = request_id_of(request);
    gr_trace_begin(header(request, "traceparent"), header(request, "tracestate"), &request->trace);
    if (admit(request, method, &err) == GR_OK) return MHD_YES;
    request->refusal = GR_NEW(request->arena, gr_error);
    *request->refusal = err;
    if (err.file[0]) request->refusal->loc.file = gr_str_from(request->refusal->file);
    bool is_cut = header(request, "expect").n || content_length(request) > MAX_DISCARD_BYTES;
    return is_cut ? dispatch(request) : MHD_YES;
}

static enum MHD_Result receive(gr_http_request *request, const char *upload, size_t *size) {
    size_t n = *size;
    *size = 0;
    request->body_seen += n;
    if (request->body_seen > MAX_DISCARD_BYTES && request->body_seen > request->body.max) return MHD_NO;
    if (request->refusal) return MHD_YES;
    gr_buf_add(&request->body, (gr_str){upload, n});
    if (!request->body.is_over) return MHD_YES;
    request->refusal = GR_NEW(request->arena, gr_error);
    (void)body_too_large(request, request->refusal);
    gr_buf_done(&request->body);
    gr_buf_init(&request->body, (size_t)request->http->config->body_max_bytes);
    return MHD_YES;
}

enum MHD_Result gr_http_on_access(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **con_cls) {
    (void)cls;
    (void)conn;
    (void)url;
    (void)version;
    gr_http_slot *slot = *con_cls;
    if (!slot) return MHD_NO;
    gr_http_request *request = slot->request;
    if (request->state == GR_HTTP_FRESH) return begin(request, method);
    if (request->state == GR_HTTP_DONE) return respond(request);
    if (request->state != GR_HTTP_RECEIVING) return MHD_NO;
    return *upload_size ? receive(request, upload, upload_size) : dispatch(request);
}
