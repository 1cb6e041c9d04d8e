/* Loads that outlast the wait window. The client is told "Continue wait" and asks again at once; meanwhile the work
 * goes on without it, and the identical request that comes is a poll: it joins the run, or takes the answer.
 *
 *   RUNNING or QUEUED ──(window's end: detach)──> a run with `work`, no connection ──(the worker is done)──> `answer`
 *        its slot gets a new request,                  ^ polls join and leave                               ^ polls
 * take it LEAVING, that says "Continue wait"            └ orphan_us without a poll: cancelled                └ keep_us:
 * gone
 *
 * An answer is kept until each client that was told to ask again has done so, for keep_us at most.
 * Invariants: of one key there is one run; what a detached request points to dies with it, and its worker frees it, so
 * a run never outlives its `work` unless it has the `answer`; a JOINED request is in `active` and in the list of its
 * run. Source: cube.md 3.3. */
#include "base/mem.h"
#include "http/internal.h"

#include <stdlib.h>

/* ---- keys ------------------------------------------------------------------------------------ */
static bool is_mark(char c) { return c && strchr("{}[]:,\"", c); }
static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* JSON without the blanks that mean nothing. A blank between two words stays, so that no malformed text is taken for
 * another one. */
static void put_json(gr_buf *key, gr_str text) {
    bool is_string = false;
    char last = '{';
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!is_string && is_blank(c)) {
            while (i + 1 < text.n && is_blank(text.p[i + 1])) i++;
            if (i + 1 < text.n && !is_mark(last) && !is_mark(text.p[i + 1])) gr_buf_char(key, ' ');
            continue;
        }
        gr_buf_char(key, c);
        last = c;
        if (is_string && c == '\\' && i + 1 < text.n)
            gr_buf_char(key, text.p[++i]);
        else if (c == '"')
            is_string = !is_string;
    }
}

static void put_text(gr_buf *key, gr_str text) {
    gr_buf_i64(key, (int64_t)text.n);
    gr_buf_char(key, ':');
    gr_buf_add(key, text);
}

static bool is_load(const gr_http_request *request) { return request->route && request->route->lane == GR_HTTP_QUERY; }

gr_buf gr_http_run_key(const gr_http_request *request) {
    gr_buf key = {0};
    if (!is_load(request)) return key;
    bool is_post = request->method == GR_HTTP_POST;
    gr_str query = is_post ? gr_buf_str(&request->body) : gr_http_param_get(request, GR_STR("query"));
    gr_buf_init(&key, query.n + request->target.n + request->token.n + request->local_token.n + 256);
    gr_buf_z(&key, request->route->path);
    gr_buf_char(&key, is_post ? 'p' : 'g');
    put_text(&key, request->token);
    put_text(&key, request->local_token);
    gr_buf_char(&key, gr_http_param_is_on(request, GR_STR("explain")) ? '1' : '0');
    gr_buf_char(&key, gr_http_param_is_on(request, GR_STR("without_rollups")) ? '1' : '0');
    if (!is_post) {
        put_text(&key, gr_http_param_get(request, GR_STR("queryType")));
        put_text(&key, gr_http_param_get(request, GR_STR("cache")));
    }
    put_json(&key, query);
    if (key.is_over) gr_buf_done(&key);
    return key;
}

/* ---- shared answers -------------------------------------------------------------------------- */
static gr_http_answer *answer_of(gr_http_request *request) {
    gr_http_answer *answer = gr_mem_calloc(1, sizeof *answer);
    atomic_init(&answer->refs, 1);
    answer->out = request->out;
    request->out = (gr_buf){.max = request->out.max};
    if (answer->out.n && answer->out.n < answer->out.cap) {
        answer->out.p = gr_mem_realloc(answer->out.p, answer->out.n);
        answer->out.cap = answer->out.n;
    }
    gr_buf_init(&answer->served_by, request->served_by.n + 64);
    gr_buf_add(&answer->served_by, request->served_by);
    answer->http_status = request->http_status;
    answer->planned_us = request->planned_us;
    answer->engine_us = request->engine_us;
    answer->has_timing = request->has_timing;
    answer->has_outcome = request->has_outcome;
    answer->outcome = request->outcome;
    return answer;
}

void gr_http_answer_unref(void *arg) {
    gr_http_answer *answer = arg;
    if (!answer || atomic_fetch_sub(&answer->refs, 1) > 1) return;
    gr_buf_done(&answer->out);
    gr_buf_done(&answer->served_by);
    free(answer);
}

static void adopt(gr_http_request *request, gr_http_answer *answer) {
    atomic_fetch_add(&answer->refs, 1);
    request->answer = answer;
    request->http_status = answer->http_status;
    request->served_by = gr_buf_str(&answer->served_by);
    request->planned_us = answer->planned_us;
    request->engine_us = answer->engine_us;
    request->has_timing = answer->has_timing;
    request->has_outcome = answer->has_outcome;
    request->outcome = answer->outcome;
    request->state = GR_HTTP_DONE;
}

/* ---- the table, under the lock --------------------------------------------------------------- */
static size_t bytes_of(const gr_http_run *run) { return run->key.cap + (run->answer ? run->answer->out.cap : 0); }

static gr_http_run *find(gr_http *http, gr_str key) {
    gr_http_run *run;
    TAILQ_FOREACH(run, &http->runs, in_runs) if (gr_str_eq(gr_buf_str(&run->key), key)) return run;
    return NULL;
}

/* Nobody is joined to it. */
static void drop(gr_http *http, gr_http_run *run) {
    if (run->work) run->work->run = NULL;
    TAILQ_REMOVE(&http->runs, run, in_runs);
    atomic_fetch_sub(&http->n_runs, 1);
    http->run_bytes -= bytes_of(run);
    gr_http_answer_unref(run->answer);
    gr_buf_done(&run->key);
    free(run);
}

void gr_http_runs_init(gr_http *http) { TAILQ_INIT(&http->runs); }

void gr_http_runs_done(gr_http *http) {
    gr_http_run *run;
    while ((run = TAILQ_FIRST(&http->runs))) drop(http, run);
}

void gr_http_runs_cancel(gr_http *http) {
    gr_http_run *run;
    TAILQ_FOREACH(run, &http->runs, in_runs) if (run->work) atomic_store(&run->work->is_cancelled, true);
}

static bool is_stale(const gr_http *http, const gr_http_run *run, int64_t now) {
    return run->answer && now - run->finished_us >= http->keep_us;
}

void gr_http_runs_sweep(gr_http *http, int64_t now) {
    gr_http_run *run, *next;
    for (run = TAILQ_FIRST(&http->runs); run; run = next) {
        next = TAILQ_NEXT(run, in_runs);
        bool is_orphan = run->work && !run->n_joined && now - run->polled_us >= http->orphan_us;
        if (is_orphan) atomic_store(&run->work->is_cancelled, true);
        if (is_orphan || is_stale(http, run, now)) drop(http, run);
    }
}

/* Answers that were not fetched give way to a newer one, oldest first. */
static void make_room(gr_http *http, const gr_http_run *newest) {
    gr_http_run *run, *next;
    for (run = TAILQ_FIRST(&http->runs); run && http->run_bytes > http->max_run_bytes; run = next) {
        next = TAILQ_NEXT(run, in_runs);
        if (run->answer && run != newest) drop(http, run);
    }
}

bool gr_http_run_exists(const gr_http_request *request) {
    gr_http *http = request->http;
    if (!atomic_load(&http->n_runs)) return false;
    gr_buf key = gr_http_run_key(request);
    pthread_mutex_lock(&http->lock);
    bool is_found = key.n && find(http, gr_buf_str(&key));
    pthread_mutex_unlock(&http->lock);
    gr_buf_done(&key);
    return is_found;
}

/* ---- detaching and joining, under the lock --------------------------------------------------- */
bool gr_http_may_detach(const gr_http_request *request) {
    return (request->state == GR_HTTP_QUEUED || request->state == GR_HTTP_RUNNING) && !request->is_waited_out &&
           is_load(request);
}

/* A request in the place of `request`, which loses its connection. */
static gr_http_request *take_client(gr_http_request *request) {
    gr_http *http = request->http;
    gr_arena *arena = gr_arena_new();
    gr_http_request *client = GR_NEW(arena, gr_http_request);
    *client = (gr_http_request){.http = http,
                                .slot = request->slot,
                                .conn = request->conn,
                                .fd = request->fd,
                                .arena = arena,
                                .path = gr_arena_dup(arena, request->path),
                                .method = request->method,
                                .route = request->route,
                                .allowed = request->allowed,
                                .request_id = gr_arena_dup(arena, request->request_id),
                                .trace = request->trace,
                                .started_mono_us = request->started_mono_us,
                                .http_status = 200,
                                .state = GR_HTTP_LEAVING};
    gr_buf_init(&client->out, http->max_result_bytes);
    TAILQ_INSERT_BEFORE(request, client, in_active);
    TAILQ_REMOVE(&http->active, request, in_active);
    client->slot->request = client;
    request->slot = NULL;
    request->conn = NULL;
    request->fd = -1;
    request->token = request->local_token = (gr_str){0};
    request->is_detached = true;
    http->n_detached++;
    return client;
}

gr_http_request *gr_http_detach(gr_http_request *request, int64_t now) {
    gr_http *http = request->http;
    if (atomic_load(&http->n_runs) >= http->max_runs || http->run_bytes >= http->max_run_bytes) return NULL;
    gr_buf key = gr_http_run_key(request);
    if (!key.n) return NULL;
    gr_http_run *run = find(http, gr_buf_str(&key));
    gr_http_request *client = take_client(request);
    if (run) { /* one of the two is enough */
        gr_buf_done(&key);
        atomic_store(&request->is_cancelled, true);
    } else {
        run = gr_mem_calloc(1, sizeof *run);
        run->key = key;
        run->work = request;
        request->run = run;
        TAILQ_INIT(&run->joined);
        TAILQ_INSERT_TAIL(&http->runs, run, in_runs);
        atomic_fetch_add(&http->n_runs, 1);
        http->run_bytes += bytes_of(run);
    }
    run->n_owed++;
    run->polled_us = now;
    return client;
}

gr_http_join gr_http_run_join(gr_http_request *request, gr_str key) {
    gr_http *http = request->http;
    int64_t now = gr_clock_mono_us();
    gr_http_run *run = find(http, key);
    if (run && is_stale(http, run, now)) { /* the timer may come later */
        drop(http, run);
        run = NULL;
    }
    if (!run) return GR_HTTP_NO_RUN;
    if (run->n_owed) run->n_owed--;
    run->polled_us = now;
    if (run->answer) {
        adopt(request, run->answer);
        if (!run->n_owed) drop(http, run);
        return GR_HTTP_IS_TAKEN;
    }
    request->state = GR_HTTP_JOINED;
    request->run = run;
    TAILQ_INSERT_TAIL(&run->joined, request, in_queue);
    run->n_joined++;
    return GR_HTTP_IS_JOINED;
}

static void unjoin(gr_http_request *request) {
    TAILQ_REMOVE(&request->run->joined, request, in_queue);
    request->run->n_joined--;
    request->run = NULL;
}

void gr_http_run_leave(gr_http_request *request, int64_t now) {
    request->run->polled_us = now;
    if (!atomic_load(&request->is_cancelled)) request->run->n_owed++;
    unjoin(request);
    request->state = GR_HTTP_LEAVING;
}

/* ---- the end of a run ------------------------------------------------------------------------ */
/* Under the lock. Fills *ret with those to be resumed. */
static void give(gr_http *http, gr_http_run *run, gr_http_answer *answer, gr_http_list *ret) {
    gr_http_request *request;
    while ((request = TAILQ_FIRST(&run->joined))) {
        unjoin(request);
        if (!answer) {
            gr_http_lane_push(request);
            continue;
        }
        adopt(request, answer);
        TAILQ_REMOVE(&http->active, request, in_active);
        http->n_active--;
        TAILQ_INSERT_TAIL(ret, request, in_queue);
    }
}

static void keep(gr_http *http, gr_http_run *run, gr_http_answer *answer) {
    atomic_fetch_add(&answer->refs, 1);
    http->run_bytes -= bytes_of(run);
    run->work = NULL;
    run->answer = answer;
    run->finished_us = gr_clock_mono_us();
    http->run_bytes += bytes_of(run);
    make_room(http, run);
}

void gr_http_run_end(gr_http_request *work) {
    gr_http *http = work->http;
    gr_http_answer *answer = work->is_unanswered ? NULL : answer_of(work);
    gr_http_list done;
    TAILQ_INIT(&done);
    pthread_mutex_lock(&http->lock);
    gr_http_run *run = work->run;
    if (run && http->is_closed) {
        run->work = NULL; /* those who are joined are being turned away by the timer */
    } else if (run) {
        give(http, run, answer, &done);
        if (answer && run->n_owed)
            keep(http, run, answer);
        else
            drop(http, run);
    }
    http->n_detached--;
    if (atomic_load(&http->is_draining)) pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
    gr_http_request *request;
    while ((request = TAILQ_FIRST(&done))) {
        TAILQ_REMOVE(&done, request, in_queue);
        MHD_resume_connection(request->conn); /* the library frees it any time now */
    }
    gr_http_answer_unref(answer);
    gr_http_request_free(work);
}
