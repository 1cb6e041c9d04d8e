/* The thread behind refresher.h. What its scheduler knows is guarded by `turn`, which is held while a source is asked;
 * what people see is a copy, guarded by `mutex`, which is not. Locks: turn before mutex. */
#include "serve/refresher.h"

#include "base/log.h"

#include <stdlib.h>
#include <time.h>

enum { MOST_STEPS = 32, LOOK_MS = 200, RESYNC_US = 30000000 };

typedef struct watched {
    int64_t id;
    const gr_rollup *rollup;
    const gr_tz *zone;
} watched;

/* A build that ended, told by the lane's thread. */
typedef struct ended {
    struct ended *next;
    int64_t id;
    bool has_failed;
    char error[256];
} ended;

typedef struct shown {
    int64_t id;
    gr_scheduler_view view;
    char error[256];
} shown;

struct gr_refresher {
    gr_serve *serve;
    gr_scheduler *scheduler;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    bool is_running, is_stopping, wants_sync;
    bool is_paused;      /* by people */
    int64_t samples[16]; /* entities that served a sampled query, to be verified */
    size_t n_samples;
    ended *ended;
    shown *shown; /* by id */
    size_t n_shown;
    /* of the thread alone */
    const gr_snapshot *snapshot; /* held: what the items point into */
    gr_arena *arena;             /* policies */
    GR_VEC(watched) items;
    uint64_t generation;
    int64_t synced_us, sampled_us;
    atomic_bool is_cancelled;
};

static const watched *find(const gr_refresher *r, int64_t id) {
    for (size_t i = 0; i < r->items.n; i++)
        if (r->items.v[i].id == id) return &r->items.v[i];
    return NULL;
}

static gr_ctx own_ctx(gr_refresher *r, gr_arena *arena) {
    return (gr_ctx){.arena = arena,
                    .now_us = gr_clock_now_us(),
                    .is_cancelled = &r->is_cancelled,
                    .deadline_mono_us = gr_clock_mono_us() + r->serve->config->refresh_key_timeout_ms * 1000};
}

/* ---- what the scheduler calls --------------------------------------------------------------------------------------
 */

/* Who asks for the same key at the same time gets the same answer. */
static gr_status op_ask(void *arg, const gr_refresh_part *part, gr_arena *arena, gr_str *ret, gr_error *err) {
    enum { SHARED_US = 1000000 };
    gr_refresher *r = arg;
    gr_ctx ctx = own_ctx(r, arena);
    return gr_serve_key_value(r->serve, &ctx, part, part->cube ? part->cube : r->snapshot->model->cubes[0], SHARED_US,
                              ret, err);
}

static gr_status op_look(void *arg, int64_t id, const gr_refresh_policy *policy, const gr_str *sql_values,
                         gr_scheduler_due *ret, gr_error *err) {
    gr_refresher *r = arg;
    const watched *w = find(r, id);
    gr_arena *arena = gr_arena_new();
    gr_serve_freshness f;
    gr_exec_due due = {0};
    int64_t now_us = gr_clock_now_us();
    gr_serve_freshness_init(&f, policy, sql_values, now_us);
    gr_status status = gr_exec_due_of(r->serve->exec, r->snapshot, w->rollup, w->zone, &f.pub, GR_STR("closed"),
                                      INT64_MAX, now_us, arena, &due, err);
    *ret = (gr_scheduler_due){due.is_built, due.n_stale, due.n_missing, INT64_MAX};
    for (size_t i = 0; i < due.n_open; i++) {
        int64_t closes_us = gr_refresh_closes_us(policy, due.open_ends_us[i]);
        if (closes_us > now_us && closes_us < ret->look_again_us) ret->look_again_us = closes_us;
    }
    gr_arena_free(arena);
    return status;
}

typedef struct ending {
    gr_refresher *refresher;
    gr_flight *flight;
    int64_t id;
} ending;

static void tell_ended(gr_refresher *r, int64_t id, const gr_error *err) {
    ended *e = gr_mem_calloc(1, sizeof *e);
    e->id = id;
    e->has_failed = err != NULL;
    if (err) snprintf(e->error, sizeof e->error, "%.255s", err->message);
    pthread_mutex_lock(&r->mutex);
    e->next = r->ended;
    r->ended = e;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
}

static void on_end(void *arg) {
    ending *e = arg;
    gr_error err = {0};
    gr_flight_wait(e->flight, 1, &err);
    tell_ended(e->refresher, e->id, gr_flight_look(e->flight).status ? &err : NULL);
    gr_flight_unref(e->flight);
    free(e);
}

static void op_build(void *arg, int64_t id, bool checks_fingerprint) {
    gr_refresher *r = arg;
    const watched *w = find(r, id);
    gr_error err = {0};
    gr_flight *flight = NULL;
    const gr_lane_ask ask = {.run = gr_run_all, .is_for_refresh = true, .checks_fingerprint = checks_fingerprint};
    if (gr_lane_submit(r->serve, r->snapshot, w->rollup, w->zone, &ask, &flight, &err)) {
        tell_ended(r, id, &err);
        return;
    }
    ending *e = gr_mem_alloc(sizeof *e);
    *e = (ending){r, flight, id};
    gr_flight_subscribe(flight, on_end, e);
}

/* ---- items ---------------------------------------------------------------------------------------------------------
 */

static bool is_refreshed(const gr_rollup *r) {
    bool has_table = r->preagg->type == GR_PREAGG_ROLLUP || r->preagg->type == GR_PREAGG_ORIGINAL_SQL;
    return r->entity == r && r->can_build && has_table && !r->preagg->external.n && r->preagg->scheduled_refresh;
}

typedef GR_VEC(gr_scheduler_item) items;

static void add_item(gr_refresher *r, const gr_rollup *rollup, const gr_rollup_state *s, items *out) {
    const gr_refresh_policy *policy = NULL;
    gr_error ignored;
    if (!s->entity_id || s->is_foreign) return;
    if (gr_serve_policy(r->serve, rollup, s->zone, s->entity_id, r->arena, &policy, &ignored) || !policy) return;
    bool builds_first = r->serve->config->refresh_prebuild || rollup->preagg->is_by_api;
    gr_scheduler_item item = {s->entity_id, policy, builds_first};
    GR_PUSH(r->arena, out, item);
    watched w = {s->entity_id, rollup, s->zone};
    GR_PUSH(r->arena, &r->items, w);
}

/* Zones that are to be built and are not known of a rollup yet: it gets an entity of them by being built. */
static void add_zones(gr_refresher *r, const gr_rollup *rollup) {
    gr_str left = r->serve->config->refresh_timezones;
    while (left.n && r->serve->config->refresh_prebuild && rollup->depends_on_zone) {
        size_t comma = gr_str_find(left, ',', 0), n = comma == SIZE_MAX ? left.n : comma;
        const gr_tz *tz;
        gr_flight *flight = NULL;
        gr_error ignored;
        gr_str name = gr_str_trim(gr_str_sub(left, 0, n));
        left = comma == SIZE_MAX ? (gr_str){0} : gr_str_sub(left, n + 1, left.n - n - 1);
        if (!name.n || gr_tz_get(name, &tz, &ignored) || gr_snapshot_state(r->snapshot, rollup->preagg, tz)) continue;
        const gr_lane_ask ask = {.run = gr_run_all, .is_for_refresh = true};
        if (!gr_lane_submit(r->serve, r->snapshot, rollup, tz, &ask, &flight, &ignored)) gr_flight_unref(flight);
    }
}

static void sync(gr_refresher *r) {
    gr_arena *old_arena = r->arena;
    const gr_snapshot *old = r->snapshot;
    items list = {0};
    r->generation = gr_exec_generation(r->serve->exec);
    r->snapshot = gr_exec_snapshot_ref(r->serve->exec);
    r->arena = gr_arena_new();
    r->items.v = NULL;
    r->items.n = r->items.cap = 0;
    r->synced_us = gr_clock_mono_us();
    for (size_t i = 0; i < r->snapshot->model->n_preaggs; i++) {
        const gr_rollup *rollup = gr_plan_index_rollup(r->snapshot->index, r->snapshot->model->preaggs[i]);
        if (!is_refreshed(rollup)) continue;
        for (size_t k = 0; k < r->snapshot->n_states[i]; k++) add_item(r, rollup, &r->snapshot->states[i][k], &list);
        add_zones(r, rollup);
    }
    gr_scheduler_set(r->scheduler, list.v, list.n, gr_clock_now_us());
    if (old) gr_exec_snapshot_unref(old);
    if (old_arena) gr_arena_free(old_arena);
}

/* ---- the thread ----------------------------------------------------------------------------------------------------
 */

static void take_ended(gr_refresher *r) {
    pthread_mutex_lock(&r->mutex);
    ended *e = r->ended;
    r->ended = NULL;
    pthread_mutex_unlock(&r->mutex);
    while (e) {
        ended *next = e->next;
        gr_scheduler_built(r->scheduler, e->id, e->has_failed ? e->error : NULL, gr_clock_now_us());
        free(e);
        e = next;
    }
}

static void show(gr_refresher *r) {
    shown *v = gr_mem_calloc(r->items.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < r->items.n; i++) {
        shown *s = &v[n];
        if (!gr_scheduler_look(r->scheduler, r->items.v[i].id, &s->view)) continue;
        s->id = r->items.v[i].id;
        snprintf(s->error, sizeof s->error, GR_FMT, GR_ARG(s->view.error));
        n++;
    }
    pthread_mutex_lock(&r->mutex);
    free(r->shown);
    r->shown = v;
    r->n_shown = n;
    pthread_mutex_unlock(&r->mutex);
}

static bool wait_a_little(gr_refresher *r, bool *ret_wants_sync) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->mutex);
    if (!r->is_stopping && !r->ended && !r->wants_sync) pthread_cond_timedwait(&r->wake, &r->mutex, &until);
    bool is_stopping = r->is_stopping;
    *ret_wants_sync = r->wants_sync;
    r->wants_sync = false;
    pthread_mutex_unlock(&r->mutex);
    return !is_stopping;
}

static bool is_paused(gr_refresher *r) {
    pthread_mutex_lock(&r->mutex);
    bool is = r->is_paused;
    pthread_mutex_unlock(&r->mutex);
    return is;
}

/* One now and then: comparing costs the source what building does. */
static void verify_sample(gr_refresher *r) {
    enum { PAUSE_US = 1000000 };
    int64_t id = 0, now = gr_clock_mono_us();
    pthread_mutex_lock(&r->mutex);
    if (r->n_samples && now - r->sampled_us > PAUSE_US) id = r->samples[--r->n_samples];
    pthread_mutex_unlock(&r->mutex);
    const watched *w = id ? find(r, id) : NULL;
    if (!w) return;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena,
                  .now_us = gr_clock_now_us(),
                  .is_cancelled = &r->is_cancelled,
                  .deadline_mono_us = now + r->serve->config->query_timeout_ms * 1000};
    gr_verification ignored;
    gr_flight *flight = NULL;
    gr_error err = {0};
    r->sampled_us = now;
    if (gr_serve_verify_rollup(r->serve, &ctx, r->snapshot, w->rollup, w->zone, &ignored, &flight, &err))
        gr_log_event(GR_LOG_WARN, "preagg.verify_failed", "pre_aggregation", w->rollup->preagg->id, "error",
                     gr_str_from(err.message), NULL);
    gr_flight_unref(flight);
    gr_arena_free(arena);
}

void gr_refresher_note_served(gr_serve *serve, int64_t entity_id) {
    gr_refresher *r = serve->refresher;
    static _Thread_local unsigned turns;
    if (!r || !serve->config->verify_one_in || turns++ % (unsigned)serve->config->verify_one_in) return;
    pthread_mutex_lock(&r->mutex);
    bool is_known = r->n_samples == sizeof r->samples / sizeof *r->samples;
    for (size_t i = 0; i < r->n_samples; i++) is_known |= r->samples[i] == entity_id;
    if (!is_known) r->samples[r->n_samples++] = entity_id;
    pthread_mutex_unlock(&r->mutex);
}

static void *refresher_main(void *arg) {
    gr_refresher *r = arg;
    bool wants_sync = false;
    sync(r);
    while (wait_a_little(r, &wants_sync)) {
        bool is_old = gr_exec_generation(r->serve->exec) != r->generation;
        int64_t age_us = gr_clock_mono_us() - r->synced_us;
        take_ended(r);
        if (is_old || wants_sync || age_us > RESYNC_US) sync(r);
        if (wants_sync) gr_scheduler_hurry(r->scheduler, 0, gr_clock_now_us());
        bool has_any = false;
        for (int i = 0; i < MOST_STEPS && !is_paused(r) && gr_scheduler_step(r->scheduler, gr_clock_now_us()); i++)
            has_any = true;
        if (!is_paused(r)) verify_sample(r);
        if (has_any || is_old || wants_sync || !r->shown) show(r);
    }
    return NULL;
}

void gr_refresher_start(gr_serve *serve) {
    gr_refresher *r = gr_mem_calloc(1, sizeof *r);
    const gr_scheduler_ops ops = {r, op_ask, op_look, op_build};
    r->serve = serve;
    r->scheduler = gr_scheduler_new(ops, (uint64_t)gr_clock_mono_us());
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->wake, NULL);
    atomic_init(&r->is_cancelled, false);
    serve->refresher = r;
    r->is_running = pthread_create(&r->thread, NULL, refresher_main, r) == 0;
}

/* First the thread, so that nothing is begun any more; what it began is told its end by the lane. */
void gr_refresher_stop(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    if (!r || !r->is_running) return;
    atomic_store(&r->is_cancelled, true);
    pthread_mutex_lock(&r->mutex);
    r->is_stopping = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    r->is_running = false;
    if (r->snapshot) gr_exec_snapshot_unref(r->snapshot);
    r->snapshot = NULL;
}

void gr_refresher_free(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    if (!r) return;
    while (r->ended) {
        ended *next = r->ended->next;
        free(r->ended);
        r->ended = next;
    }
    gr_scheduler_free(r->scheduler);
    if (r->arena) gr_arena_free(r->arena);
    free(r->shown);
    pthread_mutex_destroy(&r->mutex);
    pthread_cond_destroy(&r->wake);
    free(r);
    serve->refresher = NULL;
}

/* ---- for people ----------------------------------------------------------------------------------------------------
 */

void gr_serve_refresh_now(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    if (!r) return;
    pthread_mutex_lock(&r->mutex);
    r->wants_sync = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
}

bool gr_serve_refresh_view(gr_serve *serve, int64_t entity_id, gr_arena *arena, gr_refresh_view *ret) {
    gr_refresher *r = serve->refresher;
    bool is_found = false;
    if (!r) return false;
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < r->n_shown && !is_found; i++) {
        const shown *s = &r->shown[i];
        if (s->id != entity_id) continue;
        *ret = (gr_refresh_view){s->view.is_building, s->view.next_us, s->view.looked_us, s->view.n_failures,
                                 gr_arena_dup(arena, gr_str_from(s->error))};
        is_found = true;
    }
    pthread_mutex_unlock(&r->mutex);
    return is_found;
}

static const char *const state_names[] = {
    [GR_REFRESH_RUNNING] = "running", [GR_REFRESH_PAUSED] = "paused", [GR_REFRESH_DRAINED] = "drained"};

gr_str gr_refresh_state_name(gr_refresh_state state) { return gr_str_from(state_names[state]); }

bool gr_refresh_state_from(gr_str name, gr_refresh_state *ret) {
    for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++) {
        if (!gr_str_eq_z(name, state_names[i])) continue;
        *ret = (gr_refresh_state)i;
        return true;
    }
    return false;
}

void gr_serve_refresh_set(gr_serve *serve, gr_refresh_state state) {
    gr_refresher *r = serve->refresher;
    gr_lane *lane = &serve->lane;
    bool was = false;
    if (r) {
        pthread_mutex_lock(&r->mutex);
        was = r->is_paused;
        r->is_paused = state != GR_REFRESH_RUNNING;
        pthread_mutex_unlock(&r->mutex);
    }
    pthread_mutex_lock(&lane->mutex);
    lane->is_paused = state == GR_REFRESH_DRAINED;
    pthread_cond_broadcast(&lane->cond);
    pthread_mutex_unlock(&lane->mutex);
    if (was != (state != GR_REFRESH_RUNNING))
        gr_serve_event(serve, state == GR_REFRESH_RUNNING ? GR_EVENT_RESUMED : GR_EVENT_PAUSED, NULL);
}

gr_refresh_state gr_serve_refresh_state(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    pthread_mutex_lock(&serve->lane.mutex);
    bool is_drained = serve->lane.is_paused;
    pthread_mutex_unlock(&serve->lane.mutex);
    if (is_drained) return GR_REFRESH_DRAINED;
    return r && is_paused(r) ? GR_REFRESH_PAUSED : GR_REFRESH_RUNNING;
}
