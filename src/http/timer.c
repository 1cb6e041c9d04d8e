/* One thread that looks after suspended requests: ends waits that took too long, detaches loads that do, notices
 * clients that left (their query is cancelled), and wakes event streams so that they look at their build again.
 * Invariant: it never runs a handler and never waits for a lock that is held during work. */
#include "base/mem.h"
#include "http/internal.h"

#include <poll.h>
#include <stdlib.h>

enum { TICK_US = 100000, IDLE_US = 500000, STREAM_US = 200000 };

typedef struct sweep {
    gr_http_list expired, streams, waited;
    int64_t next_us;
    struct pollfd *fds;
    gr_http_request **owners;
    size_t cap;
} sweep;

/* A suspended connection is not watched by the library. Its socket is open as long as it is in `active`. */
static void find_leavers(gr_http *http, sweep *s) {
    if (s->cap < http->n_active) {
        s->cap = http->n_active * 2;
        s->fds = gr_mem_realloc(s->fds, s->cap * sizeof *s->fds);
        s->owners = gr_mem_realloc(s->owners, s->cap * sizeof *s->owners);
    }
    size_t n = 0;
    gr_http_request *request;
    TAILQ_FOREACH(request, &http->active, in_active) {
        if (request->fd < 0 || atomic_load(&request->is_cancelled)) continue;
        s->fds[n] = (struct pollfd){.fd = request->fd, .events = POLLRDHUP};
        s->owners[n++] = request;
    }
    if (!n || poll(s->fds, (nfds_t)n, 0) <= 0) return;
    for (size_t i = 0; i < n; i++) {
        if (!(s->fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR))) continue;
        atomic_store(&s->owners[i]->is_cancelled, true);
        gr_http_count(http, GR_HTTP_N_DISCONNECTED);
    }
}

static void take(gr_http *http, gr_http_request *request, gr_http_list *list) {
    if (request->state == GR_HTTP_PARKED) {
        request->state = GR_HTTP_EXPIRING;
        request->is_fired = false;
        http->n_parked--;
        TAILQ_INSERT_TAIL(list, request, in_queue); /* it stays in `active`: its connection is still suspended */
        return;
    }
    TAILQ_REMOVE(&http->active, request, in_active);
    http->n_active--;
    TAILQ_INSERT_TAIL(list, request, in_queue);
}

/* Loads that run, or wait for one that runs: the window's end. While the server stops they may wait on, since nobody
 * would be let in to ask again. */
static void look_at_load(gr_http *http, sweep *s, gr_http_request *request, int64_t now) {
    bool is_joined = request->state == GR_HTTP_JOINED, is_cancelled = atomic_load(&request->is_cancelled);
    int64_t end_us = request->started_mono_us + http->continue_wait_us;
    if (is_joined && is_cancelled)
        end_us = now;
    else if (is_cancelled || atomic_load(&http->is_draining))
        return;
    if (end_us > now) {
        if (end_us < s->next_us) s->next_us = end_us;
        return;
    }
    if (is_joined) gr_http_run_leave(request, now);
    gr_http_request *client = is_joined ? request : gr_http_detach(request, now);
    if (client) TAILQ_INSERT_TAIL(&s->waited, client, in_queue); /* in `active` until it is answered */
}

static void look(gr_http *http, sweep *s, int64_t now) {
    TAILQ_INIT(&s->expired);
    TAILQ_INIT(&s->streams);
    TAILQ_INIT(&s->waited);
    s->next_us = now + (http->n_active || http->n_detached ? TICK_US : IDLE_US);
    find_leavers(http, s);
    gr_http_runs_sweep(http, now);
    gr_http_request *request, *next;
    for (request = TAILQ_FIRST(&http->active); request; request = next) {
        next = TAILQ_NEXT(request, in_active);
        bool is_cancelled = atomic_load(&request->is_cancelled);
        if (request->state == GR_HTTP_PARKED) {
            if (is_cancelled || request->park_deadline_us <= now)
                take(http, request, &s->expired);
            else if (request->park_deadline_us < s->next_us)
                s->next_us = request->park_deadline_us;
        } else if (request->state == GR_HTTP_STREAM_WAIT &&
                   (is_cancelled || now - request->stream_look_us >= STREAM_US)) {
            take(http, request, &s->streams);
        } else if (request->state == GR_HTTP_JOINED || gr_http_may_detach(request)) {
            look_at_load(http, s, request, now);
        }
    }
}

static void act(gr_http *http, sweep *s) {
    gr_http_request *request;
    while ((request = TAILQ_FIRST(&s->expired))) {
        TAILQ_REMOVE(&s->expired, request, in_queue);
        gr_http_expire(request);
    }
    while ((request = TAILQ_FIRST(&s->streams))) {
        TAILQ_REMOVE(&s->streams, request, in_queue);
        MHD_resume_connection(request->conn);
    }
    while ((request = TAILQ_FIRST(&s->waited))) {
        TAILQ_REMOVE(&s->waited, request, in_queue);
        gr_http_answer_wait(request);
        gr_http_finish(request);
    }
    if (!atomic_load(&http->is_draining)) return;
    pthread_mutex_lock(&http->lock);
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

void *gr_http_timer_run(void *arg) {
    gr_http *http = arg;
    sweep s = {0};
    pthread_mutex_lock(&http->lock);
    while (!http->is_timer_stopped) {
        look(http, &s, gr_clock_mono_us());
        http->timer_next_us = s.next_us;
        pthread_mutex_unlock(&http->lock);
        act(http, &s);
        pthread_mutex_lock(&http->lock);
        int64_t next_us = http->timer_next_us; /* it may have come nearer meanwhile */
        struct timespec until = {next_us / 1000000, next_us % 1000000 * 1000};
        if (!http->is_timer_stopped) pthread_cond_timedwait(&http->timer_wake, &http->lock, &until);
    }
    pthread_mutex_unlock(&http->lock);
    free(s.fds);
    free(s.owners);
    return NULL;
}
