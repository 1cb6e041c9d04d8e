/* Build jobs: tokens, and the thread that has their builds made.
 *
 *   posting (one POST) ──> builds, one for each entity ──> slots, one for each partition
 *      '──> tokens, one for each slot and context
 *
 * A build waits for other flights of its entity to end, since what runs has begun with what it was asked; then it
 * submits one of its own, and looks at the catalog as often as a slice of that is published. A slot is done when a row
 * of its time is live that was recorded after that flight was submitted: nothing else proves that it was built again.
 *
 * Locks: jobs.mutex, before the lane's and a flight's. */
#include "serve/jobs.h"

#include "base/map.h"
#include "data/digest.h"
#include "serve/entity.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum { TRIES = 3, TICK_MS = 20, MOST_POSTINGS = 1000 };
static const int64_t kept_us = (int64_t)24 * 3600 * 1000000;

typedef enum slot_state { SCHEDULED, PROCESSING, DONE, FAILED, MISSING, GONE } slot_state;

typedef struct slot {
    gr_run run;
    gr_str table;
    slot_state state;
} slot;

typedef struct build {
    gr_str preagg, cube, data_source;
    const gr_tz *zone;
    int64_t entity_id;
    slot *slots;
    size_t n_slots;
    gr_names zones; /* of the selector, that mean this entity */
    bool is_over;
    gr_flight *flight; /* owned */
    uint64_t seen;     /* slices of it */
    int64_t newest_id; /* of the entity's partitions, when it was submitted */
    int n_tries;
    char why[sizeof((gr_error *)0)->message + 16]; /* of FAILED: "failure: …" */
} build;

typedef struct job {
    build *build;
    size_t slot;
    gr_str context;
} job;

typedef struct posting {
    struct posting *next; /* older */
    gr_arena *arena;      /* it is in it */
    gr_map jobs;          /* by token */
    size_t n_jobs;
    int64_t posted_us;
    GR_VEC(build *) builds;
    bool is_over;
} posting;

struct gr_jobs {
    gr_serve *serve;
    pthread_mutex_t mutex; /* jobs: guards all below */
    pthread_cond_t cond;
    pthread_t thread;
    bool has_thread, is_stopping;
    posting *first; /* the newest */
    size_t n_postings, n_tokens;
    uint64_t nonce[2], n_made; /* tokens are told by nobody else */
};

gr_jobs *gr_serve_jobs_new(gr_serve *serve) {
    gr_jobs *j = gr_mem_calloc(1, sizeof *j);
    j->serve = serve;
    pthread_mutex_init(&j->mutex, NULL);
    pthread_cond_init(&j->cond, NULL);
    if (getrandom(j->nonce, sizeof j->nonce, 0) != sizeof j->nonce) j->nonce[0] = (uint64_t)gr_clock_now_us();
    return j;
}

static void posting_free(posting *p) {
    for (size_t i = 0; i < p->builds.n; i++) gr_flight_unref(p->builds.v[i]->flight);
    gr_arena_free(p->arena);
}

void gr_serve_jobs_free(gr_jobs *j) {
    if (!j) return;
    pthread_mutex_lock(&j->mutex);
    j->is_stopping = true;
    pthread_cond_broadcast(&j->cond);
    pthread_mutex_unlock(&j->mutex);
    if (j->has_thread) pthread_join(j->thread, NULL);
    for (posting *p = j->first, *next; p; p = next) {
        next = p->next;
        posting_free(p);
    }
    pthread_mutex_destroy(&j->mutex);
    pthread_cond_destroy(&j->cond);
    free(j);
}

/* ---- one build, a step at a time ---------------------------------------------------------------------------------
 */

static bool is_open(const slot *s) { return s->state == SCHEDULED || s->state == PROCESSING; }

static void end_open(build *b, slot_state state) {
    for (size_t i = 0; i < b->n_slots; i++)
        if (is_open(&b->slots[i])) b->slots[i].state = state;
    b->is_over = true;
}

static void fail(build *b, const gr_error *err) {
    snprintf(b->why, sizeof b->why, "failure: %s", err->message);
    end_open(b, FAILED);
}

static bool is_of(const gr_partition_row *row, const slot *s) {
    if (s->run.to_us == INT64_MIN || row->to_us == INT64_MIN) return s->run.to_us == row->to_us;
    return row->from_us < s->run.to_us && s->run.from_us < row->to_us;
}

static bool is_whole(gr_run run) { return run.from_us == INT64_MIN && run.to_us == INT64_MAX; }

/* What is live of it by now. One that stands for everything is done when the flight is. */
static gr_status take_done(gr_jobs *j, build *b, bool is_end, bool *ret_is_all, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_partition_row *rows;
    size_t n = 0;
    gr_status status = gr_catalog_partitions(gr_exec_catalog(j->serve->exec), b->entity_id, arena, &rows, &n, err);
    bool is_all = true;
    for (size_t i = 0; !status && i < b->n_slots; i++) {
        slot *s = &b->slots[i];
        for (size_t k = 0; is_open(s) && k < n && (is_end || !is_whole(s->run)); k++)
            if (rows[k].since && !rows[k].quarantine.n && rows[k].id > b->newest_id && is_of(&rows[k], s))
                s->state = DONE;
        is_all &= !is_open(s);
    }
    gr_arena_free(arena);
    if (!status) *ret_is_all = is_all;
    return status;
}

static gr_status newest_row(gr_jobs *j, const build *b, int64_t *ret, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_partition_row *rows;
    size_t n = 0;
    gr_status status = gr_catalog_partitions(gr_exec_catalog(j->serve->exec), b->entity_id, arena, &rows, &n, err);
    *ret = 0;
    for (size_t i = 0; !status && i < n; i++)
        if (rows[i].id > *ret) *ret = rows[i].id;
    gr_arena_free(arena);
    return status;
}

/* The runs of what is open; neighbours become one. */
static gr_lane_ask ask_of(const build *b, gr_arena *arena) {
    GR_VEC(gr_run) only = {0};
    gr_lane_ask ask = {.run = gr_run_all, .is_forced = true, .is_by_name = true, .is_for_refresh = true};
    for (size_t i = 0; i < b->n_slots; i++) {
        gr_run run = b->slots[i].run;
        if (!is_open(&b->slots[i])) continue;
        if (is_whole(run)) return ask;
        if (run.to_us == INT64_MIN) run.to_us++; /* as a state says that it misses the rows without a time */
        if (only.n && only.v[only.n - 1].to_us == run.from_us)
            only.v[only.n - 1].to_us = run.to_us;
        else
            GR_PUSH(arena, &only, run);
    }
    ask.only = only.v;
    ask.n_only = only.n;
    if (only.n) ask.run = (gr_run){only.v[0].from_us, only.v[only.n - 1].to_us};
    return ask;
}

static void submit(gr_jobs *j, build *b) {
    gr_error err = {0};
    gr_flight *other = gr_serve_entity_flight(j->serve, b->entity_id);
    if (other) { /* its turn comes */
        gr_flight_unref(other);
        return;
    }
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(j->serve);
    const gr_rollup *r = gr_serve_rollup(snapshot, b->preagg);
    gr_arena *arena = gr_arena_new();
    gr_status status = GR_OK;
    if (!r) {
        end_open(b, GONE);
    } else {
        const gr_lane_ask ask = ask_of(b, arena);
        status = newest_row(j, b, &b->newest_id, &err);
        if (!status) status = gr_lane_submit(j->serve, snapshot, r, b->zone, &ask, &b->flight, &err);
        b->seen = 0;
        b->n_tries++;
    }
    if (status == GR_ERR_HTTP_BUSY)
        b->n_tries--; /* later */
    else if (status)
        fail(b, &err);
    gr_arena_free(arena);
    gr_serve_snapshot_unref(snapshot);
}

static void note_processing(build *b) {
    for (size_t i = 0; i < b->n_slots; i++)
        if (b->slots[i].state == SCHEDULED) b->slots[i].state = PROCESSING;
}

/* Looks at what its flight has made. */
static void follow(gr_jobs *j, build *b) {
    gr_flight_view view = gr_flight_look(b->flight);
    uint64_t n_slices = gr_flight_slices(b->flight);
    gr_error err = {0}, why = {0};
    bool is_all = false;
    if (view.is_begun) note_processing(b);
    if (!view.is_done && n_slices == b->seen) return;
    b->seen = n_slices;
    if (take_done(j, b, view.is_done && !view.status, &is_all, &err)) { /* the catalog is away: the next look may do */
        b->seen = UINT64_MAX;
        return;
    }
    if (is_all) b->is_over = true;
    if (!view.is_done) return;
    if (view.status && !is_all) {
        (void)gr_flight_wait(b->flight, 1, &why);
        fail(b, &why);
    }
    if (!b->is_over && b->n_tries >= TRIES) end_open(b, MISSING);
    gr_flight_unref(b->flight);
    b->flight = NULL;
}

static void step(gr_jobs *j, build *b) {
    if (b->flight)
        follow(j, b);
    else if (!b->is_over)
        submit(j, b);
    if (b->is_over && b->flight) {
        gr_flight_unref(b->flight);
        b->flight = NULL;
    }
}

/* ---- the thread --------------------------------------------------------------------------------------------------
 */

/* A posting that is over is let go after a day; one that is not is younger, or its builds hang. */
static void drop_old(gr_jobs *j, int64_t before_us, size_t most_tokens, size_t most_postings) {
    for (;;) {
        posting **oldest = NULL;
        for (posting **at = &j->first; *at; at = &(*at)->next)
            if ((*at)->is_over) oldest = at;
        if (!oldest) return;
        bool is_full = j->n_tokens > most_tokens || j->n_postings > most_postings;
        if (!is_full && (*oldest)->posted_us >= before_us) return;
        posting *p = *oldest;
        *oldest = p->next;
        j->n_tokens -= p->n_jobs;
        j->n_postings--;
        posting_free(p);
    }
}

/* True when something is left to do. */
static bool step_all(gr_jobs *j) {
    bool is_busy = false;
    for (posting *p = j->first; p; p = p->next) {
        if (p->is_over) continue;
        p->is_over = true;
        for (size_t i = 0; i < p->builds.n; i++) {
            build *b = p->builds.v[i];
            if (!b->is_over || b->flight) step(j, b);
            p->is_over &= b->is_over && !b->flight;
        }
        is_busy |= !p->is_over;
    }
    return is_busy;
}

static void wait_a_tick(gr_jobs *j, bool is_busy) {
    if (!is_busy) {
        pthread_cond_wait(&j->cond, &j->mutex);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&j->cond, &j->mutex, &until);
}

static void *jobs_main(void *arg) {
    gr_jobs *j = arg;
    pthread_mutex_lock(&j->mutex);
    while (!j->is_stopping) {
        bool is_busy = step_all(j);
        drop_old(j, gr_clock_now_us() - kept_us, GR_JOBS_MOST_TOKENS, MOST_POSTINGS);
        if (!j->is_stopping) wait_a_tick(j, is_busy);
    }
    pthread_mutex_unlock(&j->mutex);
    return NULL;
}

/* ---- posting -----------------------------------------------------------------------------------------------------
 */

typedef struct poster {
    gr_jobs *jobs;
    const gr_ctx *ctx;
    const gr_jobs_ask *ask;
    const gr_snapshot *snapshot;
    posting *p;
    size_t n_slots;
} poster;

static bool is_in(const gr_jobs_filter *filter, gr_str text) {
    for (size_t i = 0; i < filter->n; i++)
        if (gr_str_eq(filter->v[i], text)) return true;
    return !filter->is_given;
}

static bool is_selected(const gr_jobs_ask *ask, const gr_preagg *preagg) {
    if (preagg->external.n || (preagg->is_by_api && !ask->preaggs.is_given)) return false;
    return is_in(&ask->data_sources, preagg->cube->data_source) && is_in(&ask->cubes, preagg->cube->name) &&
           is_in(&ask->preaggs, preagg->id);
}

/* What would be built now; when the source does not say so, what is known: the build will then say what is wrong. */
static void find_slots(poster *w, const gr_rollup *r, const gr_tz *zone, gr_exec_slot **ret, size_t *ret_n) {
    gr_arena *arena = w->ctx->arena;
    gr_error ignored = {0};
    gr_exec *exec = w->jobs->serve->exec;
    if (gr_exec_slots_ask(exec, w->ctx, w->snapshot, r, zone, ret, ret_n, &ignored) == GR_OK) return;
    const gr_rollup_state *state = gr_snapshot_state(w->snapshot, r->preagg, zone);
    size_t n = state && state->is_built ? state->n_partitions : 0;
    gr_exec_slot *slots = GR_NEW_N(arena, gr_exec_slot, n + 1);
    for (size_t i = 0; i < n; i++)
        slots[i] = (gr_exec_slot){state->partitions[i].run, gr_exec_slot_digits(r, state->partitions[i].run, arena)};
    if (!n) slots[0] = (gr_exec_slot){.run = gr_run_all};
    *ret = slots;
    *ret_n = n ? n : 1;
}

static void take_slots(poster *w, build *b, const gr_rollup *r, const gr_tz *asked_zone, const gr_exec_slot *slots,
                       size_t n) {
    const gr_jobs_ask *ask = w->ask;
    gr_arena *arena = w->p->arena;
    gr_run range = gr_run_all;
    if (ask->has_range) range = gr_serve_bounds_run(ask->range, asked_zone, gr_exec_stored_zone(r, b->zone));
    gr_str key = gr_store_table_key(w->jobs->serve->config, r, arena);
    b->slots = GR_NEW_N(arena, slot, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_run run = slots[i].run;
        bool is_meant = !ask->has_range || is_whole(run) || (run.from_us < range.to_us && range.from_us < run.to_us);
        if (!is_meant) continue;
        gr_str table = gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(key), GR_ARG(slots[i].digits));
        b->slots[b->n_slots++] = (slot){.run = run, .table = table};
    }
}

static build *find_build(const posting *p, int64_t entity_id) {
    for (size_t i = 0; i < p->builds.n; i++)
        if (p->builds.v[i]->entity_id == entity_id) return p->builds.v[i];
    return NULL;
}

static gr_status add_build(poster *w, const gr_rollup *r, const gr_tz *zone, gr_error *err) {
    gr_arena *arena = w->p->arena;
    const gr_tz *own = gr_rollup_zone(r->entity, zone);
    gr_exec_slot *slots;
    size_t n = 0;
    int64_t id = 0;
    GR_TRY(gr_exec_entity_id(w->jobs->serve->exec, w->snapshot, r, own, &id, err));
    build *known = find_build(w->p, id);
    if (known) {
        gr_serve_add_name(&known->zones, gr_tz_name(zone), arena);
        return GR_OK;
    }
    find_slots(w, r, own, &slots, &n);
    build *b = GR_NEW(arena, build);
    *b = (build){.preagg = gr_arena_dup(arena, r->preagg->id),
                 .cube = gr_arena_dup(arena, r->preagg->cube->name),
                 .data_source = gr_arena_dup(arena, r->preagg->cube->data_source),
                 .zone = own,
                 .entity_id = id};
    gr_serve_add_name(&b->zones, gr_tz_name(zone), arena);
    take_slots(w, b, r, zone, slots, n);
    b->is_over = !b->n_slots;
    w->n_slots += b->n_slots;
    GR_PUSH(arena, &w->p->builds, b);
    return GR_OK;
}

static gr_status cannot_build(const gr_rollup *r, gr_error *err) {
    return gr_error_set(err, r->problem, "'" GR_FMT "' cannot be built: " GR_FMT, GR_ARG(r->preagg->id),
                        GR_ARG(r->problem_text));
}

static gr_status add_preagg(poster *w, const gr_preagg *preagg, gr_error *err) {
    const gr_rollup *r = gr_plan_index_rollup(w->snapshot->index, preagg);
    for (size_t i = 0; i < preagg->n_rollups; i++) GR_TRY(add_preagg(w, preagg->rollups[i], err));
    if (preagg->type == GR_PREAGG_ROLLUP_JOIN) return GR_OK;
    bool can_build = r->can_build && r->entity->can_build;
    if (!can_build && w->ask->preaggs.is_given) return cannot_build(r->can_build ? r->entity : r, err);
    for (size_t i = 0; can_build && i < w->ask->n_zones; i++) GR_TRY(add_build(w, r, w->ask->zones[i], err));
    return GR_OK;
}

static gr_status too_many(size_t n, gr_error *err) {
    gr_error_set(err, GR_ERR_LIMIT, "The selector means %zu jobs, and at most %d are kept", n, GR_JOBS_MOST_TOKENS);
    gr_error_hint(err, "narrow it with dateRange, preAggregations or contexts");
    return GR_ERR_LIMIT;
}

/* Under the mutex. */
static gr_str make_token(gr_jobs *j, gr_arena *arena) {
    return gr_digest_md5_hex(gr_arena_printf(arena, "%llx %llx %llu", (unsigned long long)j->nonce[0],
                                             (unsigned long long)j->nonce[1], (unsigned long long)++j->n_made),
                             arena);
}

static gr_status put_tokens(poster *w, gr_str **ret, size_t *ret_n, gr_error *err) {
    posting *p = w->p;
    const gr_jobs_ask *ask = w->ask;
    size_t n = 0, most = w->n_slots * ask->n_contexts;
    if (most > GR_JOBS_MOST_TOKENS) return too_many(most, err);
    gr_str *tokens = GR_NEW_N(w->ctx->arena, gr_str, most + 1);
    gr_map_init(&p->jobs, p->arena);
    for (size_t c = 0; c < ask->n_contexts; c++) {
        gr_str context = gr_arena_dup(p->arena, ask->contexts[c]);
        for (size_t i = 0; i < p->builds.n; i++)
            for (size_t k = 0; k < p->builds.v[i]->n_slots; k++) {
                job *one = GR_NEW(p->arena, job);
                *one = (job){p->builds.v[i], k, context};
                gr_str token = make_token(w->jobs, p->arena);
                gr_map_put(&p->jobs, token, one);
                tokens[n++] = gr_arena_dup(w->ctx->arena, token);
            }
    }
    p->n_jobs = n;
    *ret = tokens;
    *ret_n = n;
    return GR_OK;
}

/* Under the mutex. */
static gr_status enter(gr_jobs *j, posting *p, gr_error *err) {
    if (j->is_stopping) return gr_error_set(err, GR_ERR_CANCELLED, "The server is stopping");
    drop_old(j, INT64_MIN, GR_JOBS_MOST_TOKENS - p->n_jobs, MOST_POSTINGS - 1);
    if (j->n_tokens + p->n_jobs > GR_JOBS_MOST_TOKENS || j->n_postings >= MOST_POSTINGS)
        return gr_error_set(err, GR_ERR_HTTP_BUSY, "Too many jobs wait to be built");
    if (!j->has_thread && pthread_create(&j->thread, NULL, jobs_main, j))
        return gr_error_set(err, GR_ERR_HTTP_BUSY, "No thread could be started for jobs");
    j->has_thread = true;
    p->next = j->first;
    j->first = p;
    j->n_postings++;
    j->n_tokens += p->n_jobs;
    pthread_cond_signal(&j->cond);
    return GR_OK;
}

static gr_status collect(poster *w, gr_error *err) {
    const gr_model *model = w->snapshot->model;
    for (size_t i = 0; i < model->n_preaggs; i++)
        if (is_selected(w->ask, model->preaggs[i])) GR_TRY(add_preagg(w, model->preaggs[i], err));
    return GR_OK;
}

gr_status gr_serve_jobs_post(gr_serve *serve, const gr_ctx *ctx, const gr_jobs_ask *ask, gr_str **ret, size_t *ret_n,
                             gr_error *err) {
    gr_jobs *j = serve->jobs;
    gr_arena *arena = gr_arena_new();
    posting *p = GR_NEW(arena, posting);
    *p = (posting){.arena = arena, .posted_us = ctx->now_us};
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    poster w = {.jobs = j, .ctx = ctx, .ask = ask, .snapshot = snapshot, .p = p};
    gr_status status = collect(&w, err);
    gr_serve_snapshot_unref(snapshot);
    gr_str *tokens = NULL;
    size_t n = 0;
    pthread_mutex_lock(&j->mutex);
    if (!status) status = put_tokens(&w, &tokens, &n, err);
    bool is_entered = !status && n > 0;
    if (is_entered) status = enter(j, p, err);
    pthread_mutex_unlock(&j->mutex);
    if (status || !is_entered) posting_free(p);
    GR_TRY(status);
    *ret = tokens;
    *ret_n = n;
    return GR_OK;
}

/* ---- looking -----------------------------------------------------------------------------------------------------
 */

/* One that was told to be gone does not come back. */
static gr_str status_of(const build *b, slot *s, const gr_snapshot *snapshot, gr_arena *arena) {
    static const gr_str names[] = {[SCHEDULED] = GR_STR_INIT("scheduled"),
                                   [PROCESSING] = GR_STR_INIT("processing"),
                                   [DONE] = GR_STR_INIT("done"),
                                   [FAILED] = GR_STR_INIT("failure"),
                                   [MISSING] = GR_STR_INIT("missing_partition"),
                                   [GONE] = GR_STR_INIT("pre_agg_not_found")};
    if (is_open(s) && !gr_serve_rollup(snapshot, b->preagg)) s->state = GONE;
    return s->state == FAILED ? gr_arena_dup(arena, gr_str_from(b->why)) : names[s->state];
}

static void show(const job *one, const gr_snapshot *snapshot, gr_arena *arena, gr_job_view *ret) {
    const build *b = one->build;
    slot *s = &b->slots[one->slot];
    ret->is_known = true;
    ret->status = status_of(b, s, snapshot, arena);
    ret->table = gr_arena_dup(arena, s->table);
    ret->cube = gr_arena_dup(arena, b->cube);
    ret->preagg = gr_arena_dup(arena, b->preagg);
    ret->data_source = gr_arena_dup(arena, b->data_source);
    ret->context = gr_arena_dup(arena, one->context);
    ret->zones = GR_NEW_N(arena, gr_str, b->zones.n + 1);
    for (size_t i = 0; i < b->zones.n; i++) ret->zones[ret->n_zones++] = gr_arena_dup(arena, b->zones.v[i]);
}

void gr_serve_jobs_look(gr_serve *serve, const gr_str *tokens, size_t n, gr_arena *arena, gr_job_view **ret) {
    gr_jobs *j = serve->jobs;
    gr_job_view *views = GR_NEW_N(arena, gr_job_view, n + 1);
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    int64_t before_us = gr_clock_now_us() - kept_us;
    pthread_mutex_lock(&j->mutex);
    for (size_t i = 0; i < n; i++) {
        job *found = NULL;
        for (posting *p = j->first; p && !found; p = p->next)
            if (p->posted_us >= before_us || !p->is_over) found = gr_map_get(&p->jobs, tokens[i]);
        views[i] = (gr_job_view){.token = tokens[i], .status = GR_STR("not_found")};
        if (found) show(found, snapshot, arena, &views[i]);
    }
    pthread_mutex_unlock(&j->mutex);
    gr_serve_snapshot_unref(snapshot);
    *ret = views;
}
