/* The door into a running server: HTTP on loopback with the token of server.json.
 * Invariant: the token leaves this process only towards the address in a server.json that nobody else could have
 * written. */
#include "cli/door.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/progress.h"
#include "http/dj.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 2000, FIRST_POLL_MS = 5, LAST_POLL_MS = 200, SERVER_FILE_MAX_BYTES = 16384 };

/* What the server is asked, by use. */
typedef enum route {
    ROUTE_LOAD,
    ROUTE_SQL,
    ROUTE_EXPLAIN,
    ROUTE_PREAGGS,
    ROUTE_BUILD,
    ROUTE_PROGRESS,
    ROUTE_DROP,
    ROUTE_CALL
} route;
static const struct {
    const char *method, *path; /* %s: the id of a pre-aggregation */
} routes[] = {
    [ROUTE_LOAD] = {"POST", "/cubejs-api/v1/load"},
    [ROUTE_SQL] = {"POST", "/cubejs-api/v1/sql"},
    [ROUTE_EXPLAIN] = {"POST", "/v1/explain"},
    [ROUTE_PREAGGS] = {"GET", "/ops/pre-aggregations"},
    [ROUTE_BUILD] = {"POST", "/ops/pre-aggregations/%s/build"},
    [ROUTE_PROGRESS] = {"GET", "/ops/pre-aggregations/%s/build"},
    [ROUTE_DROP] = {"DELETE", "/ops/pre-aggregations/%s"},
    [ROUTE_CALL] = {NULL, ""}, /* the question has both */
};

typedef struct remote_door {
    gr_door door;
    gr_cli *cli;
    gr_server_info server;
    CURL *curl;
    struct curl_slist *headers;
    long last_code; /* HTTP status of the last answer */
} remote_door;

/* ---- server.json --------------------------------------------------------------------------------------------------
 */

gr_str gr_cli_config_path(const gr_config *config, gr_str path, gr_arena *arena) {
    if (path.n && path.p[0] == '/') return gr_arena_dup(arena, path);
    return gr_arena_printf(arena, GR_FMT "/" GR_FMT, GR_ARG(config->root), GR_ARG(path));
}

gr_str gr_cli_server_file(const gr_config *config, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT "/server.json", GR_ARG(gr_cli_config_path(config, config->state_dir, arena)));
}

static bool is_trusted(gr_str file) {
    struct stat st;
    return lstat(file.p, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 022) == 0 &&
           (st.st_uid == geteuid() || st.st_uid == 0);
}

static bool is_alive(int64_t pid) {
    return pid > 0 && pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

gr_status gr_cli_server_find(const gr_config *config, gr_arena *arena, gr_server_info *ret, bool *ret_found,
                             gr_error *err) {
    *ret_found = false;
    gr_str file = gr_cli_server_file(config, arena), text;
    bool is_there;
    gr_error read_error = {0};
    gr_status status = gr_cli_read_file(file, SERVER_FILE_MAX_BYTES, arena, &text, &is_there, &read_error);
    if (status) {
        *err = read_error;
        return status;
    }
    if (!is_there || !is_trusted(file)) return GR_OK;
    json_t *json;
    if (gr_json_parse(text, SERVER_FILE_MAX_BYTES, arena, &json, &read_error)) return GR_OK; /* not a file of ours */
    gr_server_info info = {gr_cli_json_text(json, "url"), gr_cli_json_text(json, "token"),
                           gr_cli_json_number(json, "pid"), gr_cli_json_number(json, "port")};
    if (!info.url.n || !info.token.n || !is_alive(info.pid)) return GR_OK;
    /* The process id of a server that was killed may belong to something else by now. */
    if (!gr_cli_server_answers(&info)) return GR_OK;
    *ret = info;
    *ret_found = true;
    return GR_OK;
}

/* ---- one exchange -------------------------------------------------------------------------------------------------
 */

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg) {
    gr_buf *out = arg;
    gr_buf_add(out, (gr_str){bytes, size * n});
    return out->is_over ? 0 : size * n;
}

static int on_tick(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&gr_cli_is_interrupted);
}

static CURL *new_curl(void) {
    static bool is_ready;
    if (!is_ready) curl_global_init(CURL_GLOBAL_DEFAULT);
    is_ready = true;
    CURL *curl = curl_easy_init();
    if (!curl) gr_mem_die(0);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    return curl;
}

bool gr_cli_server_answers(const gr_server_info *info) {
    gr_buf out;
    gr_buf_init(&out, 4096);
    CURL *curl = new_curl();
    gr_arena *arena = gr_arena_new();
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, gr_arena_printf(arena, GR_FMT "/livez", GR_ARG(info->url)).p);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    bool is_up =
        curl_easy_perform(curl) == CURLE_OK && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK;
    curl_easy_cleanup(curl);
    gr_arena_free(arena);
    gr_buf_done(&out);
    return is_up && code > 0;
}

/* The status of an error body: by its id, or INTERNAL. */
static gr_status status_of(gr_str id) { return gr_dj_status_of(id, GR_ERR_INTERNAL); }

static gr_status error_of_body(const json_t *body, long code, gr_error *err) {
    gr_str message = gr_cli_json_text(body, "error"), hint = gr_cli_json_text(body, "hint");
    gr_status status = status_of(gr_cli_json_text(body, "id"));
    if (json_object_get(body, "errors") || json_object_get(body, "detail"))
        return gr_dj_error_read(body, (int)code, err);
    if (message.n)
        status = gr_error_set(err, status, GR_FMT, GR_ARG(message));
    else
        status = gr_error_set(err, status, "the server answered with status %ld", code);
    if (hint.n) gr_error_hint(err, GR_FMT, GR_ARG(hint));
    return status;
}

/* One thing that is asked. */
typedef struct question {
    route route;
    gr_str id;         /* for %s of the path */
    const char *param; /* of the URL, or NULL */
    gr_str value;
    const json_t *body; /* or NULL */
    const char *method; /* of ROUTE_CALL, like the target */
    gr_str target;
} question;

static gr_str url_of(const remote_door *d, const question *q, gr_arena *arena) {
    gr_buf url;
    gr_str text = {0};
    const char *form = routes[q->route].path, *gap = strstr(form, "%s");
    char *id = q->id.n ? curl_easy_escape(d->curl, q->id.p, (int)q->id.n) : NULL;
    char *value = q->value.n ? curl_easy_escape(d->curl, q->value.p, (int)q->value.n) : NULL;
    gr_buf_init(&url, 64 * 1024);
    gr_buf_add(&url, d->server.url);
    gr_buf_add(&url, q->target);
    gr_buf_add(&url, (gr_str){form, gap ? (size_t)(gap - form) : strlen(form)});
    if (gap && id) gr_buf_z(&url, id);
    if (gap) gr_buf_z(&url, gap + 2);
    if (q->param && value) gr_buf_printf(&url, "?%s=%s", q->param, value);
    text = gr_arena_dup(arena, gr_buf_str(&url));
    gr_buf_done(&url);
    curl_free(id);
    curl_free(value);
    return text;
}

static gr_status exchange(remote_door *d, const question *q, gr_buf *out, long *ret_code, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_buf text = {0};
    gr_buf_init(&text, 64 << 20);
    curl_easy_setopt(d->curl, CURLOPT_URL, url_of(d, q, arena).p);
    curl_easy_setopt(d->curl, CURLOPT_CUSTOMREQUEST, q->method ? q->method : routes[q->route].method);
    curl_easy_setopt(d->curl, CURLOPT_HTTPHEADER, d->headers);
    curl_easy_setopt(d->curl, CURLOPT_WRITEDATA, out);
    if (q->body) {
        gr_jw w;
        gr_jw_init(&w, &text);
        gr_jw_json(&w, q->body);
        curl_easy_setopt(d->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)text.n);
        curl_easy_setopt(d->curl, CURLOPT_POSTFIELDS, text.p);
    } else {
        curl_easy_setopt(d->curl, CURLOPT_POSTFIELDS, NULL);
        curl_easy_setopt(d->curl, CURLOPT_HTTPGET, 1L);
    }
    CURLcode code = curl_easy_perform(d->curl);
    curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, ret_code);
    gr_buf_done(&text);
    gr_arena_free(arena);
    if (code == CURLE_OK) return GR_OK;
    if (atomic_load(&gr_cli_is_interrupted)) return gr_error_set(err, GR_ERR_CANCELLED, "interrupted");
    if (out->is_over) return gr_error_set(err, GR_ERR_LIMIT, "the answer is larger than %zu bytes", out->max);
    return gr_error_set(err, GR_ERR_ENGINE_IO, "the server at " GR_FMT " does not answer: %s", GR_ARG(d->server.url),
                        curl_easy_strerror(code));
}

static bool is_continue_wait(gr_str text) {
    return text.n < 4096 && gr_str_find_str(text, GR_STR("\"Continue wait\"")) != SIZE_MAX &&
           gr_str_starts(text, GR_STR("{\"error\""));
}

/* One request until it has its answer; `Continue wait` is asked again, with a bar, until Ctrl-C. */
static gr_status ask(remote_door *d, const question *q, gr_buf *out, gr_error *err) {
    size_t before = out->n;
    long code = 0;
    gr_cli_progress bar = {0};
    gr_status status;
    for (bool is_waiting = false;;) {
        status = exchange(d, q, out, &code, err);
        gr_str text = gr_str_sub(gr_buf_str(out), before, out->n - before);
        if (status || code != 200 || !is_continue_wait(text)) break;
        if (!is_waiting) gr_cli_progress_start(&bar, GR_STR("waiting for a build"));
        is_waiting = true;
        gr_cli_progress_update(&bar, -1);
        out->n = before;
    }
    gr_cli_progress_end(&bar);
    d->last_code = code;
    if (status || (code >= 200 && code < 300)) return status;
    json_t *answer = NULL;
    gr_arena *arena = gr_arena_new();
    gr_error ignored = {0};
    gr_str text = gr_str_sub(gr_buf_str(out), before, out->n - before);
    if (gr_json_parse(text, 1 << 20, arena, &answer, &ignored)) answer = NULL; /* not ours: the code must do */
    status = error_of_body(answer, code, err);
    out->n = before;
    gr_arena_free(arena);
    return status;
}

/* ---- the door -----------------------------------------------------------------------------------------------------
 */

static gr_status ask_query(gr_door *door, route r, const gr_door_query *query, gr_buf *out, gr_error *err) {
    json_t *body = json_pack("{s:O}", "query", query->query);
    if (!body || (query->wants_estimate && json_object_set_new(body, "estimate", json_true()))) gr_mem_die(0);
    question q = {.route = r, .body = body};
    if (query->without_rollups) q.param = "without_rollups", q.value = GR_STR("1");
    gr_status status = ask((remote_door *)door, &q, out, err);
    json_decref(body);
    return status;
}

static gr_status remote_load(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err) {
    return ask_query(door, ROUTE_LOAD, query, out, err);
}
static gr_status remote_sql(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err) {
    return ask_query(door, ROUTE_SQL, query, out, err);
}
static gr_status remote_explain(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err) {
    return ask_query(door, ROUTE_EXPLAIN, query, out, err);
}
static gr_status remote_preaggs(gr_door *door, gr_buf *out, gr_error *err) {
    return ask((remote_door *)door, &(question){.route = ROUTE_PREAGGS}, out, err);
}

/* Asks and parses the answer, which lives in `arena`. */
static gr_status ask_json(remote_door *d, const question *q, gr_arena *arena, json_t **ret, gr_error *err) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_status status = ask(d, q, &out, err);
    if (!status) status = gr_json_parse(gr_buf_str(&out), 1 << 20, arena, ret, err);
    gr_buf_done(&out);
    return status;
}

static gr_status build_result(const json_t *answer, gr_error *err) {
    gr_str text = gr_cli_json_text(answer, "error");
    if (!text.n) return GR_OK;
    gr_str id = gr_cli_json_text(answer, "error_id");
    return gr_error_set(err, id.n ? status_of(id) : GR_ERR_PREAGG_BUILD, GR_FMT, GR_ARG(text));
}

static gr_status remote_build(gr_door *door, const gr_door_build *build, bool *ret_was_built, gr_error *err) {
    remote_door *d = (remote_door *)door;
    gr_arena *arena = gr_arena_new();
    json_t *body = json_pack("{s:b}", "force", (int)build->is_forced), *answer = NULL;
    if (!body) gr_mem_die(0);
    question q = {
        .route = ROUTE_BUILD, .id = build->preagg_id, .param = "timezone", .value = build->zone, .body = body};
    gr_status status = ask_json(d, &q, arena, &answer, err);
    q.route = ROUTE_PROGRESS;
    q.body = NULL;
    bool was_built = !status && d->last_code == 200; /* 202: a build was started or joined */
    gr_cli_progress bar = {0};
    int64_t pause_ms = FIRST_POLL_MS; /* short builds are seen at once, long ones cost few questions */
    if (!status && !was_built) gr_cli_progress_start(&bar, build->preagg_id);
    while (!status && !json_is_true(json_object_get(answer, "is_done"))) {
        const json_t *progress = json_object_get(answer, "progress");
        gr_cli_progress_update(&bar, json_is_number(progress) ? json_number_value(progress) : -1);
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000L}, NULL);
        if (pause_ms < LAST_POLL_MS) pause_ms *= 2;
        status = ask_json(d, &q, arena, &answer, err);
        if (!status && atomic_load(&gr_cli_is_interrupted))
            status = gr_error_set(err, GR_ERR_CANCELLED, "interrupted; the server goes on with the build");
    }
    gr_cli_progress_end(&bar);
    if (!status) status = build_result(answer, err);
    if (!status) *ret_was_built = was_built;
    json_decref(body);
    gr_arena_free(arena);
    return status;
}

static gr_status remote_drop(gr_door *door, gr_str preagg_id, int64_t *ret_tables, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    json_t *answer;
    question q = {.route = ROUTE_DROP, .id = preagg_id};
    gr_status status = ask_json((remote_door *)door, &q, arena, &answer, err);
    if (!status) *ret_tables = gr_cli_json_number(answer, "dropped_tables");
    gr_arena_free(arena);
    return status;
}

static gr_status remote_call(gr_door *door, const char *method, gr_str target, const json_t *body, gr_buf *out,
                             gr_error *err) {
    question q = {.route = ROUTE_CALL, .body = body, .method = method, .target = target};
    return ask((remote_door *)door, &q, out, err);
}

static void remote_close(gr_door *door) {
    remote_door *d = (remote_door *)door;
    curl_slist_free_all(d->headers);
    curl_easy_cleanup(d->curl);
}

static const gr_door remote_vtable = {"server",     remote_load, remote_sql,  remote_explain, remote_preaggs,
                                      remote_build, remote_drop, remote_call, remote_close};

gr_status gr_cli_door_open_remote(gr_cli *cli, const gr_server_info *server, gr_door **ret, gr_error *err) {
    (void)err;
    remote_door *d = GR_NEW(cli->arena, remote_door);
    *d = (remote_door){.door = remote_vtable, .cli = cli, .server = *server, .curl = new_curl()};
    gr_str token = gr_arena_printf(cli->arena, "x-granary-local-token: " GR_FMT, GR_ARG(server->token));
    d->headers = curl_slist_append(NULL, token.p);
    d->headers = curl_slist_append(d->headers, "Content-Type: application/json");
    d->headers = curl_slist_append(d->headers, "Expect:");
    gr_cli_catch_interrupts();
    *ret = &d->door;
    return GR_OK;
}
