/* Worker lanes: bounded queues of suspended requests, and threads that run their handlers. A request that must wait for
 * a build is parked: it holds no thread, and goes back into its queue when the build ends.
 *
 *        submit            pop                  flight is set
 *   ───────────> QUEUED ────────> RUNNING ─────────────────────> SUBSCRIBING ────> PARKED ──(timer)──> EXPIRING
 *                  ^                 │ finish                         │               │                    │
 *                  │                 v                                │               │                    │
 *                  │               DONE                               │               │                    │
 *                  └──────── the build ended, or it has waited long enough ───────────┴────────────────────┘
 *
 * A load may lose its client while it is QUEUED or RUNNING (slow.c); it is worked on all the same.
 * Invariant: exactly one thread works on a suspended request at any time; whoever changes its state under the lock to
 * QUEUED or DONE gives it away. */
#include "http/internal.h"

#include "base/mem.h"

#include <stdlib.h>

/* ---- queue ----------------------------------------------------------------------------------- */
void gr_http_lane_init(gr_http_lane *lane, gr_http *http, size_t max_queued) {
    *lane = (gr_http_lane){.http = http, .max_queued = max_queued};
    TAILQ_INIT(&lane->queue);
    pthread_cond_init(&lane->wake, NULL);
}

static gr_http_lane *lane_of(gr_http_request *request) {
    return &request->http->lanes[request->is_waited_out ? GR_HTTP_LIGHT : request->route->lane];
}

/* What was admitted once comes back whatever the queue's length. */
void gr_http_lane_push(gr_http_request *request) {
    gr_http_lane *lane = lane_of(request);
    request->state = GR_HTTP_QUEUED;
    TAILQ_INSERT_TAIL(&lane->queue, request, in_queue);
    lane->n_queued++;
    pthread_cond_signal(&lane->wake);
}

/* Under the lock: the timer is to look then, or sooner. */
static void wake_timer(gr_http *http, int64_t at_us) {
    if (at_us >= http->timer_next_us) return;
    http->timer_next_us = at_us;
    pthread_cond_signal(&http->timer_wake);
}

bool gr_http_lane_submit(gr_http_request *request) {
    gr_http *http = request->http;
    gr_http_lane *lane = lane_of(request);
    struct MHD_Connection *conn = request->conn;
    /* Whoever polls was answered after its run had been entered, and sees it here. */
    gr_buf key = atomic_load(&http->n_runs) ? gr_http_run_key(request) : (gr_buf){0};
    pthread_mutex_lock(&http->lock);
    gr_http_join joined = !http->is_closed && key.n ? gr_http_run_join(request, gr_buf_str(&key)) : GR_HTTP_NO_RUN;
    bool is_queued = !http->is_closed && !joined && lane->n_queued < lane->max_queued;
    if (is_queued || joined == GR_HTTP_IS_JOINED) {
        TAILQ_INSERT_TAIL(&http->active, request, in_active);
        http->n_active++;
        if (is_queued) gr_http_lane_push(request);
        wake_timer(http, request->started_mono_us + http->continue_wait_us);
    }
    pthread_mutex_unlock(&http->lock);
    gr_buf_done(&key);
    if (joined == GR_HTTP_IS_TAKEN) MHD_resume_connection(conn);
    return is_queued || joined;
}

void gr_http_finish(gr_http_request *request) {
    gr_http *http = request->http;
    pthread_mutex_lock(&http->lock);
    struct MHD_Connection *conn = request->conn; /* NULL: it was detached, which can not happen any more after this */
    request->state = GR_HTTP_DONE;
    if (conn) {
        TAILQ_REMOVE(&http->active, request, in_active);
        http->n_active--;
        if (atomic_load(&http->is_draining)) pthread_cond_broadcast(&http->changed);
    }
    pthread_mutex_unlock(&http->lock);
    if (conn)
        MHD_resume_connection(conn);
    else
        gr_http_run_end(request);
}

/* ---- parking --------------------------------------------------------------------------------- */
/* Called once by the flight, from the build's thread or from within gr_flight_subscribe. */
static void on_flight_end(void *arg) {
    gr_http_request *request = arg;
    gr_http *http = request->http;
    pthread_mutex_lock(&http->lock);
    if (request->state == GR_HTTP_PARKED) {
        http->n_parked--;
        gr_http_lane_push(request);
    } else {
        request->is_fired = true; /* SUBSCRIBING or EXPIRING: that thread puts it back */
    }
    pthread_mutex_unlock(&http->lock);
}

static void park_or_push(gr_http_request *request) {
    if (request->is_fired) {
        gr_http_lane_push(request);
    } else {
        request->state = GR_HTTP_PARKED;
        request->http->n_parked++;
    }
}

/* False: there is no client any more that would wait. */
static bool park(gr_http_request *request) {
    gr_http *http = request->http;
    pthread_mutex_lock(&http->lock);
    bool is_detached = request->is_detached;
    if (!is_detached) request->state = GR_HTTP_SUBSCRIBING;
    request->is_fired = false;
    pthread_mutex_unlock(&http->lock);
    if (is_detached) return false;
    uint64_t ticket = gr_flight_subscribe_slice(request->flight, on_flight_end, request);
    pthread_mutex_lock(&http->lock);
    request->ticket = ticket;
    park_or_push(request);
    wake_timer(http, request->park_deadline_us);
    pthread_mutex_unlock(&http->lock);
    return true;
}

void gr_http_answer_wait(gr_http_request *request) {
    gr_http *http = request->http;
    pthread_mutex_lock(&http->lock);
    bool is_closed = http->is_closed;
    pthread_mutex_unlock(&http->lock);
    if (is_closed) {
        gr_error err = {0};
        gr_error_set(&err, GR_ERR_HTTP_BUSY, "The server is stopping");
        gr_http_answer_error(request, &err);
        return;
    }
    gr_http_answer_json(request, GR_STR("{\"error\":\"Continue wait\"}"));
    gr_http_count(http, GR_HTTP_N_CONTINUE);
}

/* The answer is left to a worker, because letting go of a flight may be the end of a snapshot and take time. */
void gr_http_expire(gr_http_request *request) {
    bool is_ours = gr_flight_unsubscribe(request->flight, request->ticket);
    pthread_mutex_lock(&request->http->lock);
    if (is_ours) {
        request->is_waited_out = true;
        gr_http_lane_push(request);
    } else {
        /* The build's end has been told, or is being told: the one that comes second puts the request back. */
        request->park_deadline_us = INT64_MAX;
        park_or_push(request);
    }
    pthread_mutex_unlock(&request->http->lock);
}

/* ---- running --------------------------------------------------------------------------------- */
static gr_status run_handler(gr_http_request *request, gr_error *err) {
    if (atomic_load(&request->is_cancelled)) return gr_error_set(err, GR_ERR_CANCELLED, "The request was cancelled");
    if (!request->work) request->work = gr_arena_new();
    gr_arena_reset(request->work);
    gr_buf_reset(&request->out);
    request->http_status = 200;
    request->content_type = request->exception = NULL;
    request->has_outcome = false;
    return request->route->handle(request, err);
}

static bool must_park(gr_http_request *request) {
    if (!request->flight) return false;
    int64_t now = gr_clock_mono_us();
    /* Nobody who asked to wait for a build is told "Continue wait". */
    int64_t window_us =
        request->is_dj ? request->http->config->query_timeout_ms * 1000 : request->http->continue_wait_us;
    if (!request->park_deadline_us || request->park_deadline_us == INT64_MAX)
        request->park_deadline_us = request->started_mono_us + window_us;
    return now < request->park_deadline_us && !atomic_load(&request->is_cancelled);
}

static void answer_late(gr_http_request *request) {
    pthread_mutex_lock(&request->http->lock);
    bool is_closed = request->http->is_closed;
    pthread_mutex_unlock(&request->http->lock);
    if (request->is_dj && !is_closed)
        gr_http_dj_answer_late(request);
    else
        gr_http_answer_wait(request);
}

/* The client has its answer, of an older version: this worker makes it anew. What fails is made anew when it is asked
 * for again. */
static void run_refresh(gr_http_request *request) {
    gr_http *http = request->http;
    gr_error err = {0};
    pthread_mutex_lock(&http->lock);
    bool is_closed = http->is_closed;
    if (!is_closed) TAILQ_INSERT_TAIL(&http->refreshes, request, in_active);
    pthread_mutex_unlock(&http->lock);
    if (!is_closed && run_handler(request, &err))
        gr_log_event(GR_LOG_WARN, "cache.refresh_failed", "path", request->path, "error", gr_str_from(err.message),
                     "request_id", request->request_id, NULL);
    pthread_mutex_lock(&http->lock);
    if (!is_closed) TAILQ_REMOVE(&http->refreshes, request, in_active);
    pthread_mutex_unlock(&http->lock);
    gr_http_request_free(request);
}

static void run(gr_http_request *request) {
    gr_error err = {0};
    /* The client of the query that this one waited for has left: another one of those who wait is to run. */
    if (request->flight && gr_flight_look(request->flight).status == GR_ERR_CANCELLED) request->joined = (gr_str){0};
    gr_flight_unref(request->flight);
    request->flight = NULL;
    if (request->is_waited_out) {
        answer_late(request);
    } else if (run_handler(request, &err)) {
        gr_http_answer_error(request, &err);
    } else if (request->flight) {
        if (must_park(request) && park(request)) return;
        gr_flight_unref(request->flight);
        request->flight = NULL;
        request->is_unanswered = true;
        answer_late(request);
    }
    gr_http_request *again = gr_http_cached_again(request);
    gr_http_finish(request);
    if (again) run_refresh(again);
}

static void *work(void *arg) {
    gr_http_lane *lane = arg;
    gr_http *http = lane->http;
    pthread_mutex_lock(&http->lock);
    for (;;) {
        gr_http_request *request = TAILQ_FIRST(&lane->queue);
        if (!request && http->is_closed && http->n_active == 0 && http->n_detached == 0) break;
        if (!request) {
            pthread_cond_wait(&lane->wake, &http->lock);
            continue;
        }
        TAILQ_REMOVE(&lane->queue, request, in_queue);
        lane->n_queued--;
        lane->n_busy++;
        request->state = GR_HTTP_RUNNING;
        pthread_mutex_unlock(&http->lock);
        gr_trace trace = request->trace; /* the request may be given away, and gone, before the run ends */
        gr_trace_enter(&trace);
        run(request);
        gr_trace_enter(NULL);
        pthread_mutex_lock(&http->lock);
        lane->n_busy--;
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

gr_http_load_now gr_http_measure(gr_http *http) {
    gr_http_load_now now = {0};
    pthread_mutex_lock(&http->lock);
    for (size_t i = 0; i < GR_HTTP_LANE__COUNT; i++)
        now.lanes[i] = (gr_http_lane_now){http->lanes[i].n_threads, http->lanes[i].n_busy, http->lanes[i].n_queued};
    now.parked = http->n_parked;
    now.open = http->n_open;
    now.detached = http->n_detached;
    pthread_mutex_unlock(&http->lock);
    return now;
}

gr_status gr_http_lane_start(gr_http_lane *lane, size_t n_threads, gr_error *err) {
    lane->threads = gr_mem_calloc(n_threads, sizeof *lane->threads);
    for (size_t i = 0; i < n_threads; i++) {
        if (pthread_create(&lane->threads[i], NULL, work, lane))
            return gr_error_set(err, GR_ERR_SERVER_LISTEN, "Only %zu of %zu worker threads could be started", i,
                                n_threads);
        lane->n_threads++;
    }
    return GR_OK;
}

void gr_http_lane_join(gr_http_lane *lane) {
    if (!lane->http) return;
    pthread_mutex_lock(&lane->http->lock);
    pthread_cond_broadcast(&lane->wake);
    pthread_mutex_unlock(&lane->http->lock);
    for (size_t i = 0; i < lane->n_threads; i++) pthread_join(lane->threads[i], NULL);
    free(lane->threads);
    pthread_cond_destroy(&lane->wake);
}
