/* The thread behind refresher.h. What its scheduler knows is guarded by `turn`, which is held while a source is asked;
 * what people see is a copy, guarded by `mutex`, which is not. Locks: turn before mutex. */
#include "serve/refresher.h"

#include "base/log.h"

#include <stdlib.h>
#include <time.h>

enum { MOST_STEPS = 32, LOOK_MS = 200, RESYNC_US = 30000000, ORDER_US = 120000000 };

typedef struct watched {
    int64_t id;
    const gr_rollup *rollup;
    const gr_tz *zone;
} watched;

/* A build that ended, told by the lane's thread. */
typedef struct ended {
    struct ended *next;
    int64_t id;
    bool has_failed, is_put_off;
    char error[256];
} ended;

/* What people see: a copy. */
typedef struct shown {
    gr_arena *arena;
    gr_refresh_item *items; /* by id */
    size_t n;
} shown;

struct gr_refresher {
    gr_serve *serve;
    gr_scheduler *scheduler;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    bool is_running, is_stopping, wants_sync, wants_now;
    bool is_paused;      /* by people */
    int64_t samples[16]; /* entities that served a sampled query, to be verified */
    size_t n_samples;
    int64_t ordered_us, prebuild_us; /* monotonic: until when an order, and one to build ahead, holds */
    uint64_t n_orders, n_followed;   /* followed: nothing was due any more after it */
    uint64_t n_run;                  /* the order of gr_serve_refresh_run that was not told of yet; 0: none */
    size_t n_zones;                  /* builds of zones that are not known yet */
    ended *ended;
    shown shown;
    /* of the thread alone */
    const gr_snapshot *snapshot; /* held: what the items point into */
    gr_arena *arena;             /* policies */
    GR_VEC(watched) items;
    uint64_t generation;
    int64_t synced_us, hurried_us; /* monotonic; hurried: what was known before is asked anew */
    int64_t sampled_us;
    bool has_prebuilt; /* its items were made so */
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
    int64_t age_us = gr_clock_mono_us() - r->hurried_us;
    return gr_serve_key_value(r->serve, &ctx, part, part->cube ? part->cube : r->snapshot->model->cubes[0],
                              age_us < SHARED_US ? age_us : SHARED_US, ret, err);
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

/* A build that is put off has not failed: its time comes when builds go on. */
static void tell_ended(gr_refresher *r, int64_t id, gr_status status, const gr_error *err) {
    gr_serve_stats *stats = &r->serve->stats;
    ended *e = gr_mem_calloc(1, sizeof *e);
    e->id = id;
    e->is_put_off = status == GR_ERR_CANCELLED || (status == GR_ERR_HTTP_BUSY && gr_lane_is_drained(r->serve));
    e->has_failed = status && !e->is_put_off;
    if (status) snprintf(e->error, sizeof e->error, "%.255s", err->message);
    if (!e->is_put_off) atomic_fetch_add(status ? &stats->refreshes_failed : &stats->refreshes_done, 1);
    pthread_mutex_lock(&r->mutex);
    if (!id) r->n_zones--;
    e->next = r->ended;
    r->ended = e;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
}

static void on_end(void *arg) {
    ending *e = arg;
    gr_error err = {0};
    gr_flight_wait(e->flight, 1, &err);
    tell_ended(e->refresher, e->id, gr_flight_look(e->flight).status, &err);
    gr_flight_unref(e->flight);
    free(e);
}

/* id 0: its end is nobody's. */
static void start(gr_refresher *r, const gr_rollup *rollup, const gr_tz *zone, int64_t id, bool checks_fingerprint) {
    gr_error err = {0};
    gr_flight *flight = NULL;
    const gr_lane_ask ask = {.run = gr_run_all, .is_for_refresh = true, .checks_fingerprint = checks_fingerprint};
    gr_status status = gr_lane_submit(r->serve, r->snapshot, rollup, zone, &ask, &flight, &err);
    if (status) {
        tell_ended(r, id, status, &err);
        return;
    }
    ending *e = gr_mem_alloc(sizeof *e);
    *e = (ending){r, flight, id};
    gr_flight_subscribe(flight, on_end, e);
}

static void op_build(void *arg, int64_t id, bool checks_fingerprint) {
    gr_refresher *r = arg;
    const watched *w = find(r, id);
    start(r, w->rollup, w->zone, id, checks_fingerprint);
}

/* ---- orders --------------------------------------------------------------------------------------------------------
 */

static bool is_paused(gr_refresher *r) {
    pthread_mutex_lock(&r->mutex);
    bool is = r->is_paused;
    pthread_mutex_unlock(&r->mutex);
    return is;
}

/* By the configuration, or for as long as an order holds. */
static bool is_on(gr_refresher *r, bool by_config, const int64_t *until_us) {
    pthread_mutex_lock(&r->mutex);
    bool is = by_config || gr_clock_mono_us() < *until_us;
    pthread_mutex_unlock(&r->mutex);
    return is;
}

static bool may_look(gr_refresher *r) {
    return !is_paused(r) && is_on(r, r->serve->config->refresh_enabled, &r->ordered_us);
}

static bool may_prebuild(gr_refresher *r) {
    return is_on(r, r->serve->config->refresh_enabled && r->serve->config->refresh_prebuild, &r->prebuild_us);
}

/* ---- items ---------------------------------------------------------------------------------------------------------
 */

static bool is_refreshed(const gr_rollup *r) {
    bool has_table = r->preagg->type == GR_PREAGG_ROLLUP || r->preagg->type == GR_PREAGG_ORIGINAL_SQL;
    return r->entity == r && r->can_build && has_table && !r->preagg->external.n &&
           (r->preagg->scheduled_refresh || r->preagg->is_by_api);
}

typedef GR_VEC(gr_scheduler_item) items;

static void add_item(gr_refresher *r, const gr_rollup *rollup, const gr_rollup_state *s, bool prebuilds, items *out) {
    const gr_refresh_policy *policy = NULL;
    gr_error ignored;
    if (!s->entity_id || s->is_foreign) return;
    if (gr_serve_policy(r->serve, rollup, s->zone, s->entity_id, r->arena, &policy, &ignored) || !policy) return;
    bool builds_first = prebuilds || rollup->preagg->is_by_api;
    gr_scheduler_item item = {s->entity_id, policy, builds_first, s->is_built};
    GR_PUSH(r->arena, out, item);
    watched w = {s->entity_id, rollup, s->zone};
    GR_PUSH(r->arena, &r->items, w);
}

/* Zones that are to be built and are not known of a rollup yet: it gets an entity of them by being built. */
static void add_zones(gr_refresher *r, const gr_rollup *rollup) {
    gr_str left = r->serve->config->refresh_timezones;
    while (left.n && rollup->depends_on_zone) {
        size_t comma = gr_str_find(left, ',', 0), n = comma == SIZE_MAX ? left.n : comma;
        const gr_tz *tz;
        gr_error ignored;
        gr_str name = gr_str_trim(gr_str_sub(left, 0, n));
        left = comma == SIZE_MAX ? (gr_str){0} : gr_str_sub(left, n + 1, left.n - n - 1);
        if (!name.n || gr_tz_get(name, &tz, &ignored) || gr_snapshot_state(r->snapshot, rollup->preagg, tz)) continue;
        pthread_mutex_lock(&r->mutex);
        r->n_zones++;
        pthread_mutex_unlock(&r->mutex);
        start(r, rollup, tz, 0, false);
    }
}

/* One round of them at a time: what failed is not tried again at once. */
static bool has_zones(gr_refresher *r) {
    pthread_mutex_lock(&r->mutex);
    bool has = r->n_zones > 0;
    pthread_mutex_unlock(&r->mutex);
    return has;
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
    bool prebuilds = may_prebuild(r), adds_zones = prebuilds && !has_zones(r) && may_look(r);
    r->has_prebuilt = prebuilds;
    for (size_t i = 0; i < r->snapshot->model->n_preaggs; i++) {
        const gr_rollup *rollup = gr_plan_index_rollup(r->snapshot->index, r->snapshot->model->preaggs[i]);
        if (!is_refreshed(rollup)) continue;
        for (size_t k = 0; k < r->snapshot->n_states[i]; k++)
            add_item(r, rollup, &r->snapshot->states[i][k], prebuilds, &list);
        if (adds_zones) add_zones(r, rollup);
    }
    gr_scheduler_set(r->scheduler, list.v, list.n, gr_clock_now_us());
    if (old) gr_exec_snapshot_unref(old);
    if (old_arena) gr_arena_free(old_arena);
}

/* ---- the thread ----------------------------------------------------------------------------------------------------
 */

static bool take_ended(gr_refresher *r) {
    pthread_mutex_lock(&r->mutex);
    ended *e = r->ended;
    r->ended = NULL;
    pthread_mutex_unlock(&r->mutex);
    bool has_any = e != NULL;
    while (e) {
        ended *next = e->next;
        gr_scheduler_built(r->scheduler, e->id, e->has_failed ? e->error : NULL, gr_clock_now_us());
        if (e->is_put_off && e->id) gr_scheduler_hurry(r->scheduler, e->id, gr_clock_now_us());
        free(e);
        e = next;
    }
    return has_any;
}

static int by_id(const void *a, const void *b) {
    int64_t x = ((const gr_refresh_item *)a)->id, y = ((const gr_refresh_item *)b)->id;
    return (x > y) - (x < y);
}

static void show(gr_refresher *r) {
    shown next = {.arena = gr_arena_new()}, old;
    next.items = GR_NEW_N(next.arena, gr_refresh_item, r->items.n + 1);
    for (size_t i = 0; i < r->items.n; i++) {
        const watched *w = &r->items.v[i];
        gr_scheduler_view view;
        if (!gr_scheduler_look(r->scheduler, w->id, &view)) continue;
        next.items[next.n++] = (gr_refresh_item){
            w->id,
            gr_arena_dup(next.arena, w->rollup->preagg->id),
            gr_tz_name(w->zone),
            {view.is_building, view.next_us, view.looked_us, view.n_failures, gr_arena_dup(next.arena, view.error)}};
    }
    qsort(next.items, next.n, sizeof *next.items, by_id);
    pthread_mutex_lock(&r->mutex);
    old = r->shown;
    r->shown = next;
    pthread_mutex_unlock(&r->mutex);
    if (old.arena) gr_arena_free(old.arena);
}

/* Nothing is due, nothing is built, and the items are of what is built: then the orders before `n_orders` are done. */
static void note_followed(gr_refresher *r, uint64_t n_orders) {
    bool is_busy = has_zones(r) || gr_scheduler_next_us(r->scheduler) <= gr_clock_now_us();
    for (size_t i = 0; i < r->items.n && !is_busy; i++) {
        gr_scheduler_view view;
        is_busy = gr_scheduler_look(r->scheduler, r->items.v[i].id, &view) && view.is_building;
    }
    if (is_busy || gr_exec_generation(r->serve->exec) != r->generation) return;
    pthread_mutex_lock(&r->mutex);
    if (r->n_followed < n_orders) r->n_followed = n_orders;
    pthread_mutex_unlock(&r->mutex);
}

/* What somebody wants of the thread. */
typedef struct wanted {
    bool sync, now, ends;
    uint64_t n_orders;
} wanted;

static wanted wait_a_little(gr_refresher *r) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->mutex);
    if (!r->is_stopping && !r->ended && !r->wants_sync) pthread_cond_timedwait(&r->wake, &r->mutex, &until);
    wanted w = {r->wants_sync, r->wants_now, r->is_stopping, r->n_orders};
    r->wants_sync = r->wants_now = false;
    pthread_mutex_unlock(&r->mutex);
    return w;
}

static bool take_turns(gr_refresher *r) {
    int n = 0;
    while (n < MOST_STEPS && may_look(r) && gr_scheduler_step(r->scheduler, gr_clock_now_us())) n++;
    return n > 0;
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
    sync(r);
    show(r);
    for (wanted w = wait_a_little(r); !w.ends; w = wait_a_little(r)) {
        int64_t age_us = gr_clock_mono_us() - r->synced_us;
        bool is_old = gr_exec_generation(r->serve->exec) != r->generation || may_prebuild(r) != r->has_prebuilt;
        bool has_changed = take_ended(r), must_sync = is_old || w.sync || age_us > RESYNC_US;
        if (must_sync) sync(r);
        if (w.now) r->hurried_us = gr_clock_mono_us();
        if (w.now) gr_scheduler_hurry(r->scheduler, 0, gr_clock_now_us());
        has_changed |= take_turns(r);
        if (!is_paused(r)) verify_sample(r);
        if (has_changed || must_sync) show(r);
        note_followed(r, w.n_orders);
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
    if (r->shown.arena) gr_arena_free(r->shown.arena);
    pthread_mutex_destroy(&r->mutex);
    pthread_cond_destroy(&r->wake);
    free(r);
    serve->refresher = NULL;
}

/* ---- for people ----------------------------------------------------------------------------------------------------
 */

static void wake(gr_refresher *r) {
    r->wants_sync = true;
    pthread_cond_signal(&r->wake);
}

void gr_serve_refresh_resync(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    if (!r) return;
    pthread_mutex_lock(&r->mutex);
    wake(r);
    pthread_mutex_unlock(&r->mutex);
}

/* Under the lock. */
static uint64_t give_order(gr_refresher *r, gr_refresh_order order) {
    int64_t until_us = gr_clock_mono_us() + ORDER_US;
    r->ordered_us = until_us;
    if (order.prebuild) r->prebuild_us = until_us;
    r->wants_now |= order.now;
    wake(r);
    return ++r->n_orders;
}

bool gr_serve_refresh_order(gr_serve *serve, gr_refresh_order order) {
    gr_refresher *r = serve->refresher;
    if (!r) return false;
    pthread_mutex_lock(&r->mutex);
    (void)give_order(r, order);
    pthread_mutex_unlock(&r->mutex);
    return true;
}

bool gr_serve_refresh_run(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    if (!r) return true;
    pthread_mutex_lock(&r->mutex);
    bool is_finished = r->n_run && r->n_followed >= r->n_run;
    if (!r->n_run) r->n_run = give_order(r, (gr_refresh_order){.now = true, .prebuild = true});
    if (is_finished) r->n_run = 0;
    pthread_mutex_unlock(&r->mutex);
    return is_finished;
}

static gr_refresh_item copy_of(const gr_refresh_item *item, gr_arena *arena) {
    gr_refresh_item copy = *item;
    copy.preagg_id = gr_arena_dup(arena, item->preagg_id);
    copy.view.error = gr_arena_dup(arena, item->view.error);
    return copy;
}

bool gr_serve_refresh_view(gr_serve *serve, int64_t entity_id, gr_arena *arena, gr_refresh_view *ret) {
    gr_refresher *r = serve->refresher;
    if (!r) return false;
    const gr_refresh_item key = {.id = entity_id};
    pthread_mutex_lock(&r->mutex);
    const gr_refresh_item *found = r->shown.n ? bsearch(&key, r->shown.items, r->shown.n, sizeof key, by_id) : NULL;
    if (found) *ret = copy_of(found, arena).view;
    bool is_found = found != NULL;
    pthread_mutex_unlock(&r->mutex);
    return is_found;
}

gr_refresh_overview gr_serve_refresh_overview(gr_serve *serve, gr_arena *arena) {
    gr_refresher *r = serve->refresher;
    gr_builds_now builds = gr_serve_builds_now(serve);
    gr_refresh_overview all = {.state = gr_serve_refresh_state(serve),
                               .is_enabled = r && serve->config->refresh_enabled,
                               .is_finished = true,
                               .n_done = atomic_load(&serve->stats.refreshes_done),
                               .n_failed = atomic_load(&serve->stats.refreshes_failed)};
    all.is_drained = all.state == GR_REFRESH_DRAINED && !builds.running && !builds.begun;
    if (!r) return all;
    pthread_mutex_lock(&r->mutex);
    all.is_finished = r->n_followed >= r->n_orders && !r->n_zones;
    all.items = GR_NEW_N(arena, gr_refresh_item, r->shown.n + 1);
    for (size_t i = 0; i < r->shown.n; i++) {
        all.items[all.n_items] = copy_of(&r->shown.items[i], arena);
        all.is_finished &= !all.items[all.n_items++].view.is_building;
    }
    pthread_mutex_unlock(&r->mutex);
    return all;
}

static const char *const state_names[] = {
    [GR_REFRESH_RUNNING] = "running", [GR_REFRESH_PAUSED] = "paused", [GR_REFRESH_DRAINED] = "drained"};

gr_str gr_serve_refresh_state_name(gr_refresh_state state) { return gr_str_from(state_names[state]); }

bool gr_serve_refresh_state_from(gr_str name, gr_refresh_state *ret) {
    for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++) {
        if (!gr_str_eq_z(name, state_names[i])) continue;
        *ret = (gr_refresh_state)i;
        return true;
    }
    return false;
}

void gr_serve_refresh_set(gr_serve *serve, gr_refresh_state state) {
    gr_refresher *r = serve->refresher;
    bool is_paused = state != GR_REFRESH_RUNNING, was = gr_serve_refresh_state(serve) != GR_REFRESH_RUNNING;
    if (r) {
        pthread_mutex_lock(&r->mutex);
        r->is_paused = is_paused;
        wake(r);
        pthread_mutex_unlock(&r->mutex);
    }
    gr_lane_drain(serve, state == GR_REFRESH_DRAINED);
    if (was != is_paused) gr_serve_event(serve, is_paused ? GR_EVENT_PAUSED : GR_EVENT_RESUMED, NULL);
}

gr_refresh_state gr_serve_refresh_state(gr_serve *serve) {
    gr_refresher *r = serve->refresher;
    if (gr_lane_is_drained(serve)) return GR_REFRESH_DRAINED;
    return r && is_paused(r) ? GR_REFRESH_PAUSED : GR_REFRESH_RUNNING;
}
