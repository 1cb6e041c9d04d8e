/* Builds in flight: a hundred requests that need one rollup wait for one build. The lane runs them one after another.
 */
#include "serve/entities.h"
#include "serve/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_WAITING = 1000, FRESH_US = 5000000 };

gr_flight *gr_flight_ref(gr_flight *f) {
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void gr_flight_unref(gr_flight *f) {
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
    gr_exec_snapshot_unref(f->snapshot);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->cond);
    free(f);
}

gr_flight *gr_flight_new_query(gr_serve *serve) {
    gr_flight *f = gr_mem_calloc(1, sizeof *f);
    atomic_init(&f->refs, 1);
    f->serve = serve;
    f->fraction = -1;
    f->started_us = gr_clock_now_us();
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->cond, &attr);
    pthread_condattr_destroy(&attr);
    return f;
}

static gr_flight *flight_new(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone) {
    gr_flight *f = gr_flight_new_query(serve);
    atomic_store(&f->refs, 2); /* the lane's and the caller's */
    f->snapshot = gr_exec_snapshot_hold(snapshot);
    f->rollup = rollup;
    f->zone = zone;
    const gr_rollup_state *state = gr_snapshot_state(snapshot, rollup->preagg, zone);
    f->entity_id = state ? state->entity_id : 0;
    return f;
}

static bool has_same_components(const gr_rollup *a, const gr_rollup *b) {
    if (a->n_components != b->n_components) return false;
    for (size_t i = 0; i < a->n_components; i++)
        if (!gr_str_eq(a->components[i].name, b->components[i].name)) return false;
    return true;
}

/* The same table would come out: also when definitions by API came and went between the two snapshots. */
static bool is_same(const gr_flight *f, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone) {
    if (!f || f->zone != zone || !gr_model_is_same_files(f->snapshot->model, snapshot->model)) return false;
    const gr_rollup *a = f->rollup->entity, *b = rollup->entity;
    return a == b || (gr_str_eq(a->preagg->id, b->preagg->id) && has_same_components(a, b));
}

/* The flight's rollup as the newest snapshot has it; NULL when its definition is gone. */
static const gr_rollup *as_of(const gr_snapshot *newest, const gr_flight *f) {
    return newest->model == f->snapshot->model ? f->rollup : gr_serve_rollup(newest, f->rollup->preagg->id);
}

/* What the newest snapshot knows already: built, failed too lately to be tried again, or of another model. */
static bool is_settled(gr_serve *serve, const gr_flight *f, bool force) {
    const gr_snapshot *newest = gr_serve_snapshot_ref(serve);
    bool is_reloaded = !gr_model_is_same_files(newest->model, f->snapshot->model);
    const gr_rollup *r = is_reloaded ? NULL : as_of(newest, f);
    const gr_rollup_state *state = r ? gr_snapshot_state(newest, r->preagg, f->zone) : NULL;
    bool is_built = state && state->is_built && !state->lacks;
    bool is_known = is_built || (state && state->is_failed && gr_clock_now_us() < state->retry_at_us);
    gr_serve_snapshot_unref(newest);
    return is_reloaded || (is_known && !force);
}

static void enqueue(gr_lane *lane, gr_flight *f) {
    if (lane->last)
        lane->last->next = f;
    else
        lane->first = f;
    lane->last = f;
    lane->n_waiting++;
    pthread_cond_signal(&lane->cond);
}

static gr_flight *find_failed(const gr_lane *lane, const gr_snapshot *snapshot, const gr_rollup *rollup,
                              const gr_tz *zone) {
    int64_t now = gr_clock_mono_us();
    for (size_t i = 0; i < sizeof lane->failed / sizeof *lane->failed; i++)
        if (is_same(lane->failed[i], snapshot, rollup, zone) && now - lane->failed_at_us[i] < FRESH_US)
            return lane->failed[i];
    return NULL;
}

enum { MOST_FAILED = sizeof((gr_lane *)0)->failed / sizeof(gr_flight *) };

/* A flight holds its snapshot, and that the tables of its time: none is kept longer than it is of use. What is taken
 * out is let go by unref_all once the lane's lock is free, for that may drop tables. */
static void take_failed(gr_lane *lane, int64_t older_than_us, gr_flight **out) {
    for (size_t i = 0; i < MOST_FAILED; i++) {
        bool is_old = lane->failed[i] && lane->failed_at_us[i] <= older_than_us;
        out[i] = is_old ? lane->failed[i] : NULL;
        if (is_old) lane->failed[i] = NULL;
    }
}

static void unref_all(gr_flight **flights) {
    for (size_t i = 0; i < MOST_FAILED; i++) gr_flight_unref(flights[i]);
}

/* When all places are taken, it is simply not kept. */
static void keep_failed(gr_lane *lane, gr_flight *f) {
    for (size_t i = 0; i < MOST_FAILED; i++) {
        if (lane->failed[i]) continue;
        lane->failed[i] = gr_flight_ref(f);
        lane->failed_at_us[i] = gr_clock_mono_us();
        return;
    }
}

static gr_flight *find_waiting(const gr_lane *lane, const gr_snapshot *snapshot, const gr_rollup *rollup,
                               const gr_tz *zone) {
    for (gr_flight *f = lane->first; f; f = f->next)
        if (is_same(f, snapshot, rollup, zone)) return f;
    return NULL;
}

static gr_flight *find_flight(const gr_lane *lane, const gr_snapshot *snapshot, const gr_rollup *rollup,
                              const gr_tz *zone) {
    return is_same(lane->now, snapshot, rollup, zone) ? lane->now : find_waiting(lane, snapshot, rollup, zone);
}

/* Under the lane's lock, before it runs. A claim that it had is gone: the catalog gives one at a time. */
static void take_over(gr_flight *f, const gr_build_claim *claim) {
    f->has_claim = true;
    f->claim = *claim;
    f->entity_id = claim->entity_id;
}

static gr_status submit_new(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                            bool force, const gr_build_claim *claim, gr_flight **ret, gr_error *err) {
    gr_lane *lane = &serve->lane;
    if (atomic_load(&lane->is_stopping)) return gr_error_set(err, GR_ERR_CANCELLED, "The server is stopping");
    if (lane->n_waiting >= MOST_WAITING)
        return gr_error_set(err, GR_ERR_HTTP_BUSY, "Too many pre-aggregations wait to be built");
    gr_flight *f = flight_new(serve, snapshot, rollup, zone);
    if (claim) take_over(f, claim);
    if (is_settled(serve, f, force)) {
        f->is_done = true; /* planning again is all there is to do */
        atomic_store(&f->refs, 1);
    } else {
        enqueue(lane, f);
    }
    *ret = f;
    return GR_OK;
}

gr_status gr_lane_submit(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                         bool force, gr_flight **ret, gr_error *err) {
    gr_lane *lane = &serve->lane;
    gr_status status = GR_OK;
    pthread_mutex_lock(&lane->mutex);
    gr_flight *found = find_flight(lane, snapshot, rollup, zone);
    if (!found && !force) found = find_failed(lane, snapshot, rollup, zone);
    if (found)
        *ret = gr_flight_ref(found);
    else
        status = submit_new(serve, snapshot, rollup, zone, force, NULL, ret, err);
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

gr_status gr_lane_submit_claimed(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                 const gr_tz *zone, gr_actor actor, gr_flight **ret, gr_error *err) {
    gr_lane *lane = &serve->lane;
    gr_build_claim claim;
    GR_TRY(gr_exec_claim(serve->exec, snapshot, rollup, zone, actor, &claim, err));
    pthread_mutex_lock(&lane->mutex);
    gr_flight *found = find_waiting(lane, snapshot, rollup, zone); /* the running one has its own claim */
    gr_status status = GR_OK;
    if (found) {
        *ret = gr_flight_ref(found);
        take_over(found, &claim);
    } else {
        status = submit_new(serve, snapshot, rollup, zone, true, &claim, ret, err);
    }
    bool is_unwanted = !status && (*ret)->is_done && (*ret)->has_claim; /* the model was exchanged in between */
    pthread_mutex_unlock(&lane->mutex);
    if (status || is_unwanted)
        gr_exec_claim_drop(serve->exec, &claim, status && err ? err->message : "the model was exchanged meanwhile");
    return status;
}

gr_flight *gr_serve_entity_flight(gr_serve *serve, int64_t id) {
    gr_lane *lane = &serve->lane;
    gr_flight *found = NULL;
    pthread_mutex_lock(&lane->mutex);
    if (lane->now && lane->now->entity_id == id) found = lane->now;
    for (gr_flight *f = lane->first; f && !found; f = f->next)
        if (f->entity_id == id) found = f;
    if (found) gr_flight_ref(found);
    pthread_mutex_unlock(&lane->mutex);
    return found;
}

static void note_progress(void *arg, double fraction) {
    gr_flight *f = arg;
    pthread_mutex_lock(&f->mutex);
    f->fraction = fraction;
    pthread_mutex_unlock(&f->mutex);
}

void gr_flight_finish(gr_flight *f, gr_status status, const gr_error *err, int64_t rows) {
    pthread_mutex_lock(&f->mutex);
    f->is_done = true;
    f->status = status;
    if (status) f->error = *err;
    f->rows = rows;
    gr_flight_waiter *w = f->waiters;
    f->waiters = NULL;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mutex);
    while (w) {
        gr_flight_waiter *next = w->next;
        w->fn(w->arg);
        free(w);
        w = next;
    }
}

static void run_flight(gr_flight *f) {
    gr_serve *serve = f->serve;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena,
                  .deadline_mono_us = gr_clock_mono_us() + serve->config->build_timeout_ms * 1000,
                  .is_cancelled = &serve->lane.is_stopping,
                  .now_us = gr_clock_now_us()};
    gr_error err = {0};
    int64_t rows = 0;
    gr_build_progress progress = {note_progress, f};
    gr_status status = gr_exec_build(serve->exec, &ctx, f->snapshot, f->rollup, f->zone,
                                     f->has_claim ? &f->claim : NULL, progress, &rows, &err);
    gr_arena_free(arena);
    pthread_mutex_lock(&serve->lane.mutex); /* who asks from here on plans with the new snapshot */
    serve->lane.now = NULL;
    if (status) keep_failed(&serve->lane, f);
    pthread_mutex_unlock(&serve->lane.mutex);
    gr_flight_finish(f, status, &err, rows);
    gr_flight_unref(f);
}

/* Wakes now and then while failed flights are kept, to let them go. */
static gr_flight *next_flight(gr_lane *lane) {
    gr_flight *old[MOST_FAILED];
    pthread_mutex_lock(&lane->mutex);
    if (!lane->first && !atomic_load(&lane->is_stopping)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 2;
        pthread_cond_timedwait(&lane->cond, &lane->mutex, &until);
    }
    take_failed(lane, gr_clock_mono_us() - FRESH_US, old);
    gr_flight *f = lane->first;
    if (f) {
        lane->first = f->next;
        if (!lane->first) lane->last = NULL;
        lane->n_waiting--;
        f->next = NULL;
        lane->now = f;
    }
    pthread_mutex_unlock(&lane->mutex);
    unref_all(old);
    return f;
}

static void *lane_main(void *arg) {
    gr_serve *serve = arg;
    for (;;) {
        gr_flight *f = next_flight(&serve->lane);
        bool is_stopping = atomic_load(&serve->lane.is_stopping);
        if (!f && is_stopping) return NULL;
        if (f && !is_stopping) run_flight(f);
        if (!f || !is_stopping) continue;
        gr_error err;
        if (f->has_claim) gr_exec_claim_drop(serve->exec, &f->claim, "the server stopped before it was built");
        gr_flight_finish(f, gr_error_set(&err, GR_ERR_CANCELLED, "The server is stopping"), &err, 0);
        gr_flight_unref(f);
    }
}

void gr_lane_start(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->cond, NULL);
    atomic_init(&lane->is_stopping, false);
    lane->is_running = pthread_create(&lane->thread, NULL, lane_main, serve) == 0;
}

void gr_lane_stop(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    if (!lane->is_running) return;
    pthread_mutex_lock(&lane->mutex);
    atomic_store(&lane->is_stopping, true);
    pthread_cond_broadcast(&lane->cond);
    pthread_mutex_unlock(&lane->mutex);
    pthread_join(lane->thread, NULL);
    lane->is_running = false;
    gr_flight *old[MOST_FAILED];
    take_failed(lane, INT64_MAX, old);
    unref_all(old);
    pthread_mutex_destroy(&lane->mutex);
    pthread_cond_destroy(&lane->cond);
}

gr_flight_view gr_flight_look(gr_flight *f) {
    pthread_mutex_lock(&f->mutex);
    gr_flight_view view = {f->rollup ? f->rollup->preagg->id : (gr_str){0}, f->is_done,    f->status,
                           f->is_done && !f->status ? 1 : f->fraction,      f->started_us, f->rows};
    pthread_mutex_unlock(&f->mutex);
    return view;
}

bool gr_flight_wait(gr_flight *f, int64_t deadline_mono_us, gr_error *err) {
    struct timespec until = {deadline_mono_us / 1000000, deadline_mono_us % 1000000 * 1000};
    pthread_mutex_lock(&f->mutex);
    int rc = 0;
    while (!f->is_done && rc != ETIMEDOUT)
        rc = deadline_mono_us ? pthread_cond_timedwait(&f->cond, &f->mutex, &until)
                              : pthread_cond_wait(&f->cond, &f->mutex);
    bool is_done = f->is_done;
    if (is_done && err) *err = f->error;
    pthread_mutex_unlock(&f->mutex);
    return is_done;
}

uint64_t gr_flight_subscribe(gr_flight *f, void (*fn)(void *arg), void *arg) {
    gr_flight_waiter *w = gr_mem_alloc(sizeof *w);
    pthread_mutex_lock(&f->mutex);
    uint64_t ticket = ++f->next_ticket;
    bool is_done = f->is_done;
    *w = (gr_flight_waiter){f->waiters, fn, arg, ticket};
    if (!is_done) f->waiters = w;
    pthread_mutex_unlock(&f->mutex);
    if (is_done) {
        free(w);
        fn(arg);
    }
    return ticket;
}

bool gr_flight_unsubscribe(gr_flight *f, uint64_t ticket) {
    pthread_mutex_lock(&f->mutex);
    gr_flight_waiter **at = &f->waiters;
    while (*at && (*at)->ticket != ticket) at = &(*at)->next;
    gr_flight_waiter *w = *at;
    if (w) *at = w->next;
    pthread_mutex_unlock(&f->mutex);
    free(w);
    return w != NULL;
}
