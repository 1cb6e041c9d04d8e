/* Statements over HTTP: one request at a time on a connection that is kept open.
 *
 *   send ──> pump, pump … ──> done          between two looks at the socket: cancelled? late? interrupted?
 *                        └──> KILL QUERY, by a connection of its own; the request is given up
 *
 * For changes wait_end_of_query makes the status of the answer that of the whole statement. Of rows it would make the
 * server keep all of them on its disk first; there an error after the first rows stands as text behind them, which is
 * no block (clickhouse_query.c). Closing a connection does not stop a statement in 18.16, so it is killed. */
#include "engine/clickhouse_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 10, TICK_US = 100 * 1000, MOST_ANSWER = 1 << 30, KILL_MS = 5000, CONNECT_MS = 10000 };

static size_t take(char *data, size_t size, size_t n, void *arg) {
    gr_clickhouse_request *r = arg;
    gr_buf_add(&r->body, (gr_str){data, size * n});
    return r->body.is_over ? 0 : size * n;
}

static size_t give(char *to, size_t size, size_t n, void *arg) {
    gr_clickhouse_request *r = arg;
    return r->read(r->read_arg, to, size * n);
}

static void add_setting(gr_buf *url, const char *name, int64_t value) {
    gr_buf_printf(url, "&%s=%lld", name, (long long)value);
}

static gr_str escaped(CURL *easy, gr_str text, gr_arena *arena) {
    char *out = curl_easy_escape(easy, text.p, (int)text.n);
    gr_str ret = gr_arena_dup(arena, gr_str_from(out ? out : ""));
    curl_free(out);
    return ret;
}

/* What every statement is sent with (engines.md §8). */
static gr_str url_of(gr_clickhouse_request *r, gr_str sql) {
    gr_clickhouse_conn *c = r->conn;
    gr_buf url;
    gr_buf_init(&url, 1 << 26);
    gr_buf_printf(&url, "%s/?query_id=%s", c->source->url, c->query_id);
    gr_buf_z(&url, r->has_rows ? "&default_format=Native&buffer_size=1048576" : "&wait_end_of_query=1");
    gr_str database = escaped(c->easy, gr_str_from(c->source->database), r->arena);
    if (database.n) gr_buf_printf(&url, "&database=" GR_FMT, GR_ARG(database));
    add_setting(&url, "join_use_nulls", 1);
    add_setting(&url, "insert_distributed_sync", 1);
    add_setting(&url, "max_query_size", 16 << 20);
    add_setting(&url, "max_ast_elements", 1000000);
    add_setting(&url, "max_expanded_ast_elements", 1000000);
    if (c->source->memory_bytes) add_setting(&url, "max_memory_usage", c->source->memory_bytes);
    if (r->ctx && r->ctx->deadline_mono_us) {
        int64_t left = (r->ctx->deadline_mono_us - gr_clock_mono_us()) / 1000000 + 1;
        add_setting(&url, "max_execution_time", left > 1 ? left : 1);
    }
    if (c->version > 18) {
        add_setting(&url, "output_format_decimal_trailing_zeros", 1);
        add_setting(&url, "cancel_http_readonly_queries_on_client_close", 1);
    }
    gr_str statement = r->read ? escaped(c->easy, sql, r->arena) : (gr_str){0};
    if (r->read) gr_buf_printf(&url, "&query=" GR_FMT, GR_ARG(statement));
    gr_str text = gr_arena_dup(r->arena, gr_buf_str(&url));
    gr_buf_done(&url);
    return text;
}

static struct curl_slist *headers_of(const gr_clickhouse_source *s, gr_arena *arena) {
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    if (*s->user) list = curl_slist_append(list, gr_arena_printf(arena, "X-ClickHouse-User: %s", s->user).p);
    if (*s->password) list = curl_slist_append(list, gr_arena_printf(arena, "X-ClickHouse-Key: %s", s->password).p);
    return list;
}

static void set_common(CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
}

static gr_status fired_of(const gr_clickhouse_request *r) {
    if (atomic_load(&r->conn->is_interrupted)) return GR_ERR_CANCELLED;
    if (r->ctx && gr_ctx_is_cancelled(r->ctx)) return GR_ERR_CANCELLED;
    return r->ctx && gr_ctx_is_late(r->ctx) ? GR_ERR_TIMEOUT : GR_OK;
}

static gr_status fail_fired(gr_status fired, gr_error *err) {
    if (fired == GR_ERR_TIMEOUT)
        return gr_error_set(err, GR_ERR_TIMEOUT, "the statement ran into the time limit and was stopped");
    return gr_error_set(err, GR_ERR_CANCELLED, "cancelled");
}

gr_status gr_engine_clickhouse_send(gr_clickhouse_request *r, gr_clickhouse_conn *conn, const gr_ctx *ctx, gr_str sql,
                                    gr_error *err) {
    CURL *easy = conn->easy;
    r->conn = conn;
    r->ctx = ctx;
    gr_status fired = GR_OK;
    if (ctx && gr_ctx_is_late(ctx)) fired = GR_ERR_TIMEOUT;
    if (ctx && gr_ctx_is_cancelled(ctx)) fired = GR_ERR_CANCELLED;
    if (fired) return fail_fired(fired, err);
    r->arena = gr_arena_new();
    gr_buf_init(&r->body, MOST_ANSWER);
    r->next_tick_us = gr_clock_mono_us() + TICK_US;
    const unsigned long long of_conn = (uintptr_t)conn, number = ++conn->n_statements + (uint64_t)gr_clock_now_us();
    snprintf(conn->query_id, sizeof conn->query_id, "granary-%llx-%llx", of_conn, number);
    gr_str body = gr_arena_dup(r->arena, sql);
    r->headers = headers_of(conn->source, r->arena);
    curl_easy_reset(easy);
    set_common(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url_of(r, sql).p);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (r->read) {
        r->headers = curl_slist_append(r->headers, "Transfer-Encoding: chunked");
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
        curl_easy_setopt(easy, CURLOPT_READDATA, r);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    } else {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.p);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    r->is_running = curl_multi_add_handle(conn->multi, easy) == CURLM_OK;
    if (r->is_running) return GR_OK;
    gr_engine_clickhouse_end(r);
    return gr_error_set(err, GR_ERR_INTERNAL, "a request cannot be begun");
}

/* By a handle of its own: the one of the statement is busy. What it says does not matter. */
static size_t ignore(char *data, size_t size, size_t n, void *arg) {
    (void)data, (void)arg;
    return size * n;
}

static void kill_statement(gr_clickhouse_conn *conn) {
    gr_arena *arena = gr_arena_new();
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = headers_of(conn->source, arena);
    gr_str sql = gr_arena_printf(arena, "KILL QUERY WHERE query_id = '%s'", conn->query_id);
    set_common(easy);
    curl_easy_setopt(easy, CURLOPT_URL, conn->source->url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, sql.p);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)KILL_MS);
    (void)curl_easy_perform(easy);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    gr_arena_free(arena);
}

void gr_engine_clickhouse_end(gr_clickhouse_request *r) {
    if (r->is_running) {
        if (!r->is_done) kill_statement(r->conn);
        curl_multi_remove_handle(r->conn->multi, r->conn->easy);
        r->is_running = false;
        if (!r->is_done) { /* half an answer is under way on its connection */
            curl_easy_cleanup(r->conn->easy);
            r->conn->easy = curl_easy_init();
        }
    }
    curl_slist_free_all(r->headers);
    r->headers = NULL;
    gr_buf_done(&r->body);
    gr_arena_free(r->arena);
    r->arena = NULL;
}

static void look_for_end(gr_clickhouse_request *r) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(r->conn->multi, &left));) {
        if (m->msg != CURLMSG_DONE || m->easy_handle != r->conn->easy) continue;
        r->code = m->data.result;
        r->is_done = true;
    }
    curl_easy_getinfo(r->conn->easy, CURLINFO_RESPONSE_CODE, &r->status);
}

gr_status gr_engine_clickhouse_pump(gr_clickhouse_request *r, gr_error *err) {
    enum { HTTP_OK = 200 };
    size_t had = r->body.n;
    while (!r->is_done && (r->body.n == had || (r->status && r->status != HTTP_OK))) {
        int n_running = 0;
        curl_multi_perform(r->conn->multi, &n_running);
        look_for_end(r);
        if (r->is_done) break;
        if (r->body.n == had) curl_multi_poll(r->conn->multi, NULL, 0, LOOK_MS, NULL);
        if ((r->fired = fired_of(r))) return fail_fired(r->fired, err);
        if (r->on_tick && gr_clock_mono_us() >= r->next_tick_us) {
            r->next_tick_us = gr_clock_mono_us() + TICK_US;
            r->on_tick(r->arg, -1);
        }
    }
    if (!r->is_done) return GR_OK;
    if (r->body.is_over) return gr_error_set(err, GR_ERR_LIMIT, "%s: an answer of more than 1 GiB", r->conn->what);
    if (r->status && r->status != HTTP_OK) return gr_engine_clickhouse_fail(r->conn, gr_buf_str(&r->body), err);
    if (r->code != CURLE_OK) return gr_engine_clickhouse_unreachable(r->conn, r->code, err);
    return GR_OK;
}

gr_status gr_engine_clickhouse_run(gr_clickhouse_conn *conn, const gr_ctx *ctx, gr_str sql, gr_arena *arena,
                                   gr_str *ret_text, gr_error *err) {
    gr_clickhouse_request r = {0};
    GR_TRY(gr_engine_clickhouse_send(&r, conn, ctx, sql, err));
    gr_status status = GR_OK;
    while (!status && !r.is_done) status = gr_engine_clickhouse_pump(&r, err);
    if (!status && ret_text) *ret_text = gr_arena_dup(arena, gr_buf_str(&r.body));
    gr_engine_clickhouse_end(&r);
    return status;
}
