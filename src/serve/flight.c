/* Builds in flight: a hundred requests that need one rollup wait for one build. The lane runs them one after another.
 */
#include "serve/entities.h"
#include "serve/refresher.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WAITING = 1000, FRESH_US = 5000000, KEY_AGE_US = 1000000, BUILD_NICE = 10 };

gr_flight *gr_flight_ref(gr_flight *f) {
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void gr_flight_unref(gr_flight *f) {
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
    gr_exec_snapshot_unref(f->snapshot);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->cond);
    free(f->only);
    free(f);
}

static void add_only(gr_flight *f, const gr_run *runs, size_t n) {
    f->only = gr_mem_realloc(f->only, (f->n_only + n) * sizeof *runs);
    memcpy(f->only + f->n_only, runs, n * sizeof *runs);
    f->n_only += n;
}

gr_flight *gr_flight_new_query(gr_serve *serve) {
    gr_flight *f = gr_mem_calloc(1, sizeof *f);
    atomic_init(&f->refs, 1);
    f->serve = serve;
    f->fraction = -1;
    if (gr_trace_current()) f->trace = *gr_trace_current();
    f->started_us = gr_clock_now_us();
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->cond, &attr);
    pthread_condattr_destroy(&attr);
    return f;
}

static gr_flight *flight_new(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                             const gr_lane_ask *ask) {
    gr_flight *f = gr_flight_new_query(serve);
    atomic_store(&f->refs, 2); /* the lane's and the caller's */
    f->snapshot = gr_exec_snapshot_hold(snapshot);
    f->rollup = rollup;
    f->zone = zone;
    const gr_rollup_state *state = gr_snapshot_state(snapshot, rollup->preagg, zone);
    f->entity_id = state ? state->entity_id : 0;
    f->run = ask->run;
    if (ask->n_only) add_only(f, ask->only, ask->n_only);
    f->is_forced = ask->is_forced;
    f->is_for_refresh = ask->is_for_refresh;
    f->checks_fingerprint = ask->checks_fingerprint;
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

const gr_rollup *gr_flight_rollup(const gr_flight *f, const gr_snapshot *newest) {
    return newest->model == f->snapshot->model ? f->rollup : gr_serve_rollup(newest, f->rollup->preagg->id);
}

/* What the newest snapshot knows already: built, failed too lately to be tried again, or of another model. */
static bool is_settled(gr_serve *serve, const gr_flight *f, bool force) {
    const gr_snapshot *newest = gr_serve_snapshot_ref(serve);
    bool is_reloaded = !gr_model_is_same_files(newest->model, f->snapshot->model);
    const gr_rollup *r = is_reloaded ? NULL : gr_flight_rollup(f, newest);
    const gr_rollup_state *state = r ? gr_snapshot_state(newest, r->preagg, f->zone) : NULL;
    bool is_built = state && state->is_built && !state->lacks && !gr_rollup_is_missing(state, &f->run);
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
    for (size_t i = 0; i < lane->n_threads; i++)
        if (is_same(lane->now[i], snapshot, rollup, zone)) return lane->now[i];
    return find_waiting(lane, snapshot, rollup, zone);
}

/* Before the runs are joined: what of both is wanted. Too many of them are as good as all. */
static void join_only(gr_flight *f, const gr_lane_ask *ask) {
    enum { MOST_RUNS = 20000 };
    if (!f->n_only && !ask->n_only) return;
    if (f->n_only + ask->n_only > MOST_RUNS) {
        f->n_only = 0;
        return;
    }
    if (!f->n_only) add_only(f, &f->run, 1);
    add_only(f, ask->n_only ? ask->only : &ask->run, ask->n_only ? ask->n_only : 1);
}

static bool adds(const gr_flight *f, const gr_lane_ask *ask) {
    bool is_within = ask->run.from_us >= f->run.from_us && ask->run.to_us <= f->run.to_us;
    return ask->is_forced || !is_within || f->n_only || (ask->checks_fingerprint && !f->checks_fingerprint);
}

/* One that waits does for both what either wants. One that runs has begun with what it was asked, and comes back for
 * what was added: who forces a build gets one that began after it was asked for. */
static void join(gr_flight *f, const gr_lane_ask *ask) {
    f->is_joined |= adds(f, ask);
    join_only(f, ask);
    if (ask->run.from_us < f->run.from_us) f->run.from_us = ask->run.from_us;
    if (ask->run.to_us > f->run.to_us) f->run.to_us = ask->run.to_us;
    f->is_forced |= ask->is_forced;
    if (ask->is_forced) f->forced_since_us = 0;
    f->is_for_refresh &= ask->is_for_refresh;
    f->checks_fingerprint |= ask->checks_fingerprint;
}

/* Under the lane's lock, before it runs. A claim that it had is gone: the catalog gives one at a time. */
static void take_over(gr_flight *f, const gr_build_claim *claim) {
    f->has_claim = true;
    f->claim = *claim;
    f->entity_id = claim->entity_id;
}

static gr_status put_off(gr_error *err) {
    gr_error_set(err, GR_ERR_HTTP_BUSY, "Builds are drained: none begins now");
    gr_error_hint(err, "POST /ops/refresh with {\"state\": \"running\"} lets them go on");
    return GR_ERR_HTTP_BUSY;
}

/* Whoever plans with its answer goes on without it. */
static gr_flight *new_put_off(gr_serve *serve) {
    gr_flight *f = gr_flight_new_query(serve);
    f->is_done = true;
    f->status = put_off(&f->error);
    return f;
}

static gr_status submit_new(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                            const gr_lane_ask *ask, const gr_build_claim *claim, gr_flight **ret, gr_error *err) {
    gr_lane *lane = &serve->lane;
    if (atomic_load(&lane->is_stopping)) return gr_error_set(err, GR_ERR_CANCELLED, "The server is stopping");
    if (lane->n_waiting >= MOST_WAITING)
        return gr_error_set(err, GR_ERR_HTTP_BUSY, "Too many pre-aggregations wait to be built");
    bool is_asked_for = claim || ask->is_forced || ask->is_by_name || ask->is_for_refresh;
    if (lane->is_paused && is_asked_for) return put_off(err);
    if (lane->is_paused) {
        *ret = new_put_off(serve);
        return GR_OK;
    }
    gr_flight *f = flight_new(serve, snapshot, rollup, zone, ask);
    if (claim) take_over(f, claim);
    if (is_settled(serve, f, is_asked_for)) {
        f->is_done = true; /* planning again is all there is to do */
        atomic_store(&f->refs, 1);
    } else {
        enqueue(lane, f);
    }
    *ret = f;
    return GR_OK;
}

gr_status gr_lane_submit(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                         const gr_lane_ask *ask, gr_flight **ret, gr_error *err) {
    gr_lane *lane = &serve->lane;
    gr_status status = GR_OK;
    pthread_mutex_lock(&lane->mutex);
    gr_flight *found = find_flight(lane, snapshot, rollup, zone);
    if (found) join(found, ask);
    if (!found && !ask->is_forced && !ask->is_by_name && !ask->is_for_refresh)
        found = find_failed(lane, snapshot, rollup, zone);
    if (found)
        *ret = gr_flight_ref(found);
    else
        status = submit_new(serve, snapshot, rollup, zone, ask, NULL, ret, err);
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

gr_status gr_lane_submit_claimed(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                 const gr_tz *zone, const gr_lane_ask *ask, gr_actor actor, gr_flight **ret,
                                 gr_error *err) {
    gr_lane *lane = &serve->lane;
    gr_build_claim claim;
    if (gr_lane_is_drained(serve)) return put_off(err);
    GR_TRY(gr_exec_claim(serve->exec, snapshot, rollup, zone, actor, &claim, err));
    pthread_mutex_lock(&lane->mutex);
    gr_flight *found = find_waiting(lane, snapshot, rollup, zone); /* the running one has its own claim */
    gr_status status = GR_OK;
    if (found) {
        *ret = gr_flight_ref(found);
        join(found, ask);
        take_over(found, &claim);
    } else {
        status = submit_new(serve, snapshot, rollup, zone, ask, &claim, ret, err);
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
    for (size_t i = 0; i < lane->n_threads; i++)
        if (lane->now[i] && lane->now[i]->entity_id == id) found = lane->now[i];
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

static void note_parts(void *arg, size_t done, size_t due, int64_t rows) {
    gr_flight *f = arg;
    pthread_mutex_lock(&f->mutex);
    f->slice_done = done;
    f->slice_due = due;
    f->slice_rows = rows;
    pthread_mutex_unlock(&f->mutex);
}

static void note_moved(void *arg, int64_t rows, int64_t bytes) {
    gr_flight *f = arg;
    pthread_mutex_lock(&f->mutex);
    f->moved_rows += rows;
    f->moved_bytes += bytes;
    f->moved_us = gr_clock_mono_us() - f->begun_mono_us;
    pthread_mutex_unlock(&f->mutex);
}

/* Takes those out that are to be called: all, or who waits for any part of it. */
static gr_flight_waiter *take_waiters(gr_flight *f, bool is_end) {
    gr_flight_waiter *taken = NULL;
    for (gr_flight_waiter **at = &f->waiters; *at;) {
        gr_flight_waiter *w = *at;
        if (!is_end && !w->is_for_slices) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = taken;
        taken = w;
    }
    return taken;
}

static void call_waiters(gr_flight_waiter *w) {
    while (w) {
        gr_flight_waiter *next = w->next;
        w->fn(w->arg);
        free(w);
        w = next;
    }
}

void gr_flight_finish(gr_flight *f, gr_status status, const gr_error *err, int64_t rows) {
    pthread_mutex_lock(&f->mutex);
    f->is_done = true;
    f->status = status;
    if (status) f->error = *err;
    if (rows) f->rows = rows;
    gr_flight_waiter *waiters = take_waiters(f, true);
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mutex);
    call_waiters(waiters);
}

static void note_slice(gr_flight *f, const gr_build_result *result) {
    pthread_mutex_lock(&f->mutex);
    f->rows = result->rows;
    f->n_built += result->n_built;
    f->rows_built += f->slice_rows;
    f->slice_due -= f->slice_done < f->slice_due ? f->slice_done : f->slice_due;
    f->slice_done = 0;
    f->slice_rows = 0;
    f->n_published++;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->mutex);
}

static void wake_for_slice(gr_flight *f) {
    pthread_mutex_lock(&f->mutex);
    gr_flight_waiter *waiters = take_waiters(f, false);
    pthread_mutex_unlock(&f->mutex);
    call_waiters(waiters);
}

/* One slice of it; true when there is more, and the flight is back in the queue. */
static bool run_slice(gr_serve *serve, gr_flight *f, const gr_build_ask *asked, gr_status *ret_status, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_build_ask ask = *asked;
    gr_ctx ctx = {.arena = arena,
                  .deadline_mono_us = gr_clock_mono_us() + serve->config->build_timeout_ms * 1000,
                  .is_cancelled = &serve->lane.is_stopping,
                  .now_us = gr_clock_now_us(),
                  .is_build = true};
    gr_build_result result = {0};
    gr_serve_freshness freshness;
    bool has = false;
    gr_error why = {0};
    /* A key that cannot be asked stands in nobody's way: what is built is then due when it can. */
    if (!gr_serve_freshness_ask(serve, &ctx, f->rollup, f->zone, f->entity_id, KEY_AGE_US, &freshness, &has, &why) &&
        has) {
        freshness.pub.checks_fingerprint = f->checks_fingerprint;
        ask.freshness = &freshness.pub;
    }
    *ret_status = gr_exec_build(serve->exec, &ctx, f->snapshot, f->rollup, f->zone, &ask, &result, err);
    gr_arena_free(arena);
    if (*ret_status == GR_ERR_PREAGG_MATERIALIZING && ask.must_not_wait) *ret_status = GR_OK; /* somebody does it */
    if (!*ret_status) note_slice(f, &result);
    return !*ret_status && result.is_more;
}

/* After a build that left many tables; nobody waits for it any more. */
static void tidy(gr_flight *f) {
    gr_serve *serve = f->serve;
    const gr_snapshot *newest = gr_serve_snapshot_ref(serve);
    const gr_rollup *r = gr_flight_rollup(f, newest);
    if (r && !atomic_load(&serve->lane.is_stopping) && gr_exec_wants_compaction(newest, r, f->zone)) {
        gr_arena *arena = gr_arena_new();
        gr_ctx ctx = {
            .arena = arena, .is_cancelled = &serve->lane.is_stopping, .now_us = gr_clock_now_us(), .is_build = true};
        const gr_build_ask ask = {.run = gr_run_all, .is_compaction = true, .must_not_wait = true};
        gr_build_result ignored;
        gr_error err;
        (void)!gr_exec_build(serve->exec, &ctx, newest, r, f->zone, &ask, &ignored, &err);
        gr_arena_free(arena);
    }
    gr_serve_snapshot_unref(newest);
}

/* Under the lane's lock. */
static void note_checked(gr_lane *lane, int64_t entity_id, int64_t at_us) {
    enum { MOST = sizeof lane->checked / sizeof *lane->checked };
    size_t at = 0;
    while (at < MOST && lane->checked[at].entity_id != entity_id) at++;
    if (at == MOST) at = lane->n_checked++ % MOST;
    lane->checked[at].entity_id = entity_id;
    lane->checked[at].at_us = at_us;
}

bool gr_lane_has_checked(gr_serve *serve, int64_t entity_id, int64_t since_us) {
    gr_lane *lane = &serve->lane;
    bool has = false;
    pthread_mutex_lock(&lane->mutex);
    for (size_t i = 0; i < sizeof lane->checked / sizeof *lane->checked; i++)
        has |= lane->checked[i].entity_id == entity_id && lane->checked[i].at_us >= since_us;
    pthread_mutex_unlock(&lane->mutex);
    return has;
}

/* Who joins while it runs changes the list. Owned. */
static gr_run *copy_only(const gr_flight *f) {
    gr_run *only = f->n_only ? gr_mem_alloc(f->n_only * sizeof *only) : NULL;
    if (only) memcpy(only, f->only, f->n_only * sizeof *only);
    return only;
}

static void note_begun(gr_flight *f) {
    pthread_mutex_lock(&f->mutex);
    f->is_begun = true;
    pthread_mutex_unlock(&f->mutex);
}

static void run_flight(gr_flight *f, size_t slot) {
    gr_serve *serve = f->serve;
    gr_lane *lane = &serve->lane;
    gr_error err = {0};
    gr_status status;
    pthread_mutex_lock(&lane->mutex);
    if (f->is_forced && !f->forced_since_us) f->forced_since_us = gr_clock_now_us();
    f->is_joined = false;
    gr_run *only = copy_only(f);
    const gr_build_ask ask = {.claim = f->has_claim ? &f->claim : NULL,
                              .progress = {note_progress, f, note_parts, note_moved},
                              .run = f->run,
                              .only = only,
                              .n_only = f->n_only,
                              .is_forced = f->is_forced,
                              .forced_since_us = f->forced_since_us,
                              .must_not_wait = f->is_for_refresh,
                              .slice_us = serve->config->build_slice_ms * 1000};
    bool is_first = !f->n_slices++, checks = f->checks_fingerprint;
    pthread_mutex_unlock(&lane->mutex);
    note_begun(f);
    gr_trace_enter(&f->trace);
    if (is_first) gr_serve_build_begun(f);
    int64_t began_us = gr_clock_now_us();
    bool is_more = run_slice(serve, f, &ask, &status, &err);
    free(only);
    pthread_mutex_lock(&lane->mutex); /* who asks from here on plans with the new snapshot */
    lane->now[slot] = NULL;
    f->has_claim = false;
    is_more |= !status && f->is_joined;
    if (is_more) enqueue(lane, gr_flight_ref(f)); /* another thread may be done with it before this one */
    if (status) keep_failed(lane, f);
    if (!status && !is_more && checks && f->entity_id) note_checked(lane, f->entity_id, began_us);
    pthread_cond_signal(&lane->cond); /* its source has room for another one */
    pthread_mutex_unlock(&lane->mutex);
    if (!is_more) gr_serve_build_ended(f, status, &err);
    gr_trace_enter(NULL);
    if (is_more) {
        wake_for_slice(f);
    } else {
        gr_flight_finish(f, status, &err, 0);
        if (!status) tidy(f);
    }
    gr_flight_unref(f);
}

static gr_str source_of(const gr_flight *f) { return f->rollup->entity->preagg->cube->data_source; }

/* What has begun may end; nothing begins while builds are drained, or while its source has as many as it may. */
static bool may_run(gr_serve *serve, const gr_flight *f) {
    gr_lane *lane = &serve->lane;
    const gr_source_config *source = gr_config_source(serve->config, source_of(f));
    size_t n = 0;
    if (atomic_load(&lane->is_stopping)) return true;
    if (lane->is_paused && !f->n_slices) return false;
    if (!source || !source->max_builds) return true;
    for (size_t i = 0; i < lane->n_threads; i++) n += lane->now[i] && gr_str_eq(source_of(lane->now[i]), source->name);
    return n < (size_t)source->max_builds;
}

/* The first that may run; of two turns one is that of whoever has somebody waiting, if there is such a one. Who is
 * passed by keeps his place. */
static gr_flight *take_next(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    gr_flight **taken = NULL, *before = NULL, *last = NULL;
    bool wants_waited = lane->n_turns % 2 == 0;
    for (gr_flight **at = &lane->first; *at; last = *at, at = &last->next) {
        bool is_better = !taken || !(*at)->is_for_refresh;
        if (!is_better || !may_run(serve, *at)) continue;
        taken = at;
        before = last;
        if (!wants_waited || !(*at)->is_for_refresh) break;
    }
    if (!taken) return NULL;
    gr_flight *f = *taken;
    *taken = f->next;
    if (lane->last == f) lane->last = before;
    lane->n_waiting--;
    lane->n_turns++;
    f->next = NULL;
    return f;
}

/* Wakes now and then while failed flights are kept, to let them go. */
static gr_flight *next_flight(gr_serve *serve, size_t slot) {
    gr_lane *lane = &serve->lane;
    gr_flight *old[MOST_FAILED];
    pthread_mutex_lock(&lane->mutex);
    gr_flight *f = take_next(serve);
    if (!f && !atomic_load(&lane->is_stopping)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 2;
        pthread_cond_timedwait(&lane->cond, &lane->mutex, &until);
        f = take_next(serve);
    }
    take_failed(lane, gr_clock_mono_us() - FRESH_US, old);
    if (f) lane->now[slot] = f;
    pthread_mutex_unlock(&lane->mutex);
    unref_all(old);
    return f;
}

static gr_status stopping(gr_error *err) { return gr_error_set(err, GR_ERR_CANCELLED, "The server is stopping"); }

/* One that is in no queue any more. */
static void end_unbegun(gr_flight *f, gr_status (*why)(gr_error *err)) {
    gr_error err = {0};
    gr_status status = why(&err);
    if (f->has_claim) gr_exec_claim_drop(f->serve->exec, &f->claim, err.message);
    gr_flight_finish(f, status, &err, 0);
    gr_flight_unref(f);
}

static void stop_flight(gr_serve *serve, gr_flight *f, size_t slot) {
    pthread_mutex_lock(&serve->lane.mutex);
    serve->lane.now[slot] = NULL;
    pthread_mutex_unlock(&serve->lane.mutex);
    end_unbegun(f, stopping);
}

typedef struct lane_thread {
    gr_serve *serve;
    size_t slot;
} lane_thread;

static void *lane_main(void *arg) {
    lane_thread t = *(lane_thread *)arg;
    free(arg);
    /* Builds give way to queries, and so do the threads that they start. Where that is not allowed they do not. */
    (void)!setpriority(PRIO_PROCESS, (id_t)gettid(), BUILD_NICE);
    for (;;) {
        gr_flight *f = next_flight(t.serve, t.slot);
        bool is_stopping = atomic_load(&t.serve->lane.is_stopping);
        if (!f && is_stopping) return NULL;
        if (f && is_stopping)
            stop_flight(t.serve, f, t.slot);
        else if (f)
            run_flight(f, t.slot);
    }
}

void gr_lane_start(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->cond, NULL);
    atomic_init(&lane->is_stopping, false);
    lane->is_running = true;
    size_t n = (size_t)serve->config->build_at_once;
    for (size_t i = 0; i < n && i < GR_LANE_MOST; i++) {
        lane_thread *t = gr_mem_alloc(sizeof *t);
        *t = (lane_thread){serve, i};
        pthread_mutex_lock(&lane->mutex);
        bool is_started = pthread_create(&lane->threads[i], NULL, lane_main, t) == 0;
        if (is_started) lane->n_threads++;
        pthread_mutex_unlock(&lane->mutex);
        if (is_started) continue;
        free(t);
        break;
    }
}

bool gr_lane_is_drained(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    if (!lane->is_running) return false;
    pthread_mutex_lock(&lane->mutex);
    bool is = lane->is_paused;
    pthread_mutex_unlock(&lane->mutex);
    return is;
}

/* Takes those out that have not begun; in order. */
static gr_flight *take_unbegun(gr_lane *lane) {
    gr_flight *taken = NULL, **end = &taken;
    lane->last = NULL;
    for (gr_flight **at = &lane->first; *at;) {
        gr_flight *f = *at;
        if (f->n_slices) {
            lane->last = f;
            at = &f->next;
            continue;
        }
        *at = f->next;
        f->next = NULL;
        *end = f;
        end = &f->next;
        lane->n_waiting--;
    }
    return taken;
}

void gr_lane_drain(gr_serve *serve, bool is_drained) {
    gr_lane *lane = &serve->lane;
    if (!lane->is_running) return;
    pthread_mutex_lock(&lane->mutex);
    lane->is_paused = is_drained;
    gr_flight *left = is_drained ? take_unbegun(lane) : NULL;
    pthread_cond_broadcast(&lane->cond);
    pthread_mutex_unlock(&lane->mutex);
    while (left) {
        gr_flight *next = left->next;
        end_unbegun(left, put_off);
        left = next;
    }
}

void gr_lane_stop(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    if (!lane->is_running) return;
    pthread_mutex_lock(&lane->mutex);
    atomic_store(&lane->is_stopping, true);
    pthread_cond_broadcast(&lane->cond);
    pthread_mutex_unlock(&lane->mutex);
    for (size_t i = 0; i < lane->n_threads; i++) pthread_join(lane->threads[i], NULL);
    lane->is_running = false;
    gr_flight *old[MOST_FAILED];
    take_failed(lane, INT64_MAX, old);
    unref_all(old);
    pthread_mutex_destroy(&lane->mutex);
    pthread_cond_destroy(&lane->cond);
}

gr_builds_now gr_serve_builds_now(gr_serve *serve) {
    gr_lane *lane = &serve->lane;
    gr_builds_now now = {0};
    if (!lane->is_running) return now;
    pthread_mutex_lock(&lane->mutex);
    for (size_t i = 0; i < lane->n_threads; i++) {
        now.running += lane->now[i] != NULL;
        now.for_refresh += lane->now[i] && lane->now[i]->is_for_refresh;
    }
    for (const gr_flight *f = lane->first; f; f = f->next) {
        now.for_refresh += f->is_for_refresh;
        now.begun += f->n_slices > 0;
    }
    now.queued = lane->n_waiting;
    pthread_mutex_unlock(&lane->mutex);
    return now;
}

gr_flight_view gr_flight_look(gr_flight *f) {
    pthread_mutex_lock(&f->mutex);
    gr_flight_view view = {.preagg_id = f->rollup ? f->rollup->preagg->id : (gr_str){0},
                           .is_done = f->is_done,
                           .status = f->status,
                           .fraction = f->is_done && !f->status ? 1 : f->fraction,
                           .started_us = f->started_us,
                           .rows = f->rows,
                           .is_begun = f->is_begun,
                           .n_done = f->n_built + f->slice_done,
                           .n_due = f->n_built + f->slice_due,
                           .rows_built = f->rows_built + f->slice_rows,
                           .moved_rows = f->moved_rows,
                           .moved_bytes = f->moved_bytes,
                           .moved_us = f->moved_us};
    pthread_mutex_unlock(&f->mutex);
    return view;
}

/* Until it is done, or (is_any) more of it serves than at `seen`. */
static bool wait_until(gr_flight *f, bool is_any, uint64_t seen, int64_t deadline_mono_us, gr_error *err) {
    struct timespec until = {deadline_mono_us / 1000000, deadline_mono_us % 1000000 * 1000};
    pthread_mutex_lock(&f->mutex);
    int rc = 0;
    while (!f->is_done && !(is_any && f->n_published > seen) && rc != ETIMEDOUT)
        rc = deadline_mono_us ? pthread_cond_timedwait(&f->cond, &f->mutex, &until)
                              : pthread_cond_wait(&f->cond, &f->mutex);
    bool is_done = f->is_done;
    if (is_done && err) *err = f->error;
    is_done |= is_any && f->n_published > seen;
    pthread_mutex_unlock(&f->mutex);
    return is_done;
}

bool gr_flight_wait(gr_flight *f, int64_t deadline_mono_us, gr_error *err) {
    return wait_until(f, false, 0, deadline_mono_us, err);
}

bool gr_flight_wait_slice(gr_flight *f, uint64_t seen, int64_t deadline_mono_us) {
    return wait_until(f, true, seen, deadline_mono_us, NULL);
}

uint64_t gr_flight_slices(gr_flight *f) {
    pthread_mutex_lock(&f->mutex);
    uint64_t n = f->n_published;
    pthread_mutex_unlock(&f->mutex);
    return n;
}

static uint64_t subscribe(gr_flight *f, bool is_for_slices, void (*fn)(void *arg), void *arg) {
    gr_flight_waiter *w = gr_mem_alloc(sizeof *w);
    pthread_mutex_lock(&f->mutex);
    uint64_t ticket = ++f->next_ticket;
    bool is_done = f->is_done;
    *w = (gr_flight_waiter){f->waiters, is_for_slices, fn, arg, ticket};
    if (!is_done) f->waiters = w;
    pthread_mutex_unlock(&f->mutex);
    if (is_done) {
        free(w);
        fn(arg);
    }
    return ticket;
}

uint64_t gr_flight_subscribe(gr_flight *f, void (*fn)(void *arg), void *arg) { return subscribe(f, false, fn, arg); }

uint64_t gr_flight_subscribe_slice(gr_flight *f, void (*fn)(void *arg), void *arg) {
    return subscribe(f, true, fn, arg);
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
