/* The use cases of serve/, played: what a query does is written in the query itself, so that the front door can be
 * tested with real sockets and no engine. Included by one test only. Keys of a query:
 *   {"rows": n}           n rows of orders.count (default 1)
 *   {"sleep_ms": n}       runs that long, or until it is cancelled
 *   {"wait": "name"}      needs the build `name`: answered once fake_build_end(name) was called
 *   {"sleep_first_ms": n} the same, before it finds out that it needs a build
 *   {"fail": "id"}        fails with that id of errors.def
 *   {"fail_late": "id"}   the same, after it has slept
 *   {"key": "x"}          the key of the one column
 * After fake_load_model, a query of that model plays what the first value of its first filter says, as JSON text; its
 * columns are all numbers. */
#ifndef GR_TEST_FAKE_SERVE_H
#define GR_TEST_FAKE_SERVE_H
#include "base/log.h"
#include "base/mem.h"
#include "data/json.h"
#include "http/server.h"
#include "unit/http/fake_entities.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_SUBSCRIBERS = 1024, MAX_FLIGHTS = 16 };

struct gr_flight {
    pthread_mutex_t lock;
    atomic_int refs;
    char name[64];
    bool is_done;
    gr_status status;
    double fraction;
    struct {
        void (*fn)(void *);
        void *arg;
    } subs[MAX_SUBSCRIBERS];
    size_t n_subs;
};

struct gr_serve {
    gr_config config;
    gr_model model, *loaded;
    gr_snapshot snapshot;
    pthread_mutex_t lock;
    gr_flight *flights[MAX_FLIGHTS];
    size_t n_flights;
    gr_preagg_view views[1];
    bool is_reload_bad;
    gr_refresh_state refresh;
    gr_serve_bus *bus;
    gr_serve_stats stats;
    atomic_int n_running, n_queries, n_cancelled, n_builds, n_dropped, most_running;
};

static inline void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

/* ---- flights --------------------------------------------------------------------------------- */
gr_flight *gr_flight_ref(gr_flight *flight) {
    if (!flight) return NULL;
    atomic_fetch_add(&flight->refs, 1);
    return flight;
}

void gr_flight_unref(gr_flight *flight) {
    if (!flight || atomic_fetch_sub(&flight->refs, 1) > 1) return;
    pthread_mutex_destroy(&flight->lock);
    free(flight);
}

uint64_t gr_flight_subscribe_slice(gr_flight *flight, void (*fn)(void *), void *arg) {
    return gr_flight_subscribe(flight, fn, arg);
}
uint64_t gr_flight_subscribe(gr_flight *flight, void (*fn)(void *), void *arg) {
    pthread_mutex_lock(&flight->lock);
    bool is_done = flight->is_done;
    uint64_t ticket = flight->n_subs;
    if (!is_done) {
        flight->subs[flight->n_subs].fn = fn;
        flight->subs[flight->n_subs++].arg = arg;
    }
    pthread_mutex_unlock(&flight->lock);
    if (is_done) fn(arg);
    return ticket;
}

bool gr_flight_unsubscribe(gr_flight *flight, uint64_t ticket) {
    pthread_mutex_lock(&flight->lock);
    bool is_mine = !flight->is_done && flight->subs[ticket].fn;
    if (is_mine) flight->subs[ticket].fn = NULL;
    pthread_mutex_unlock(&flight->lock);
    return is_mine;
}

gr_flight_view gr_flight_look(gr_flight *flight) {
    pthread_mutex_lock(&flight->lock);
    gr_flight_view view = {.preagg_id = gr_str_from(flight->name),
                           .is_done = flight->is_done,
                           .status = flight->status,
                           .fraction = flight->fraction,
                           .started_us = 1000000,
                           .rows = 7};
    pthread_mutex_unlock(&flight->lock);
    return view;
}

bool gr_flight_wait(gr_flight *flight, int64_t deadline_mono_us, gr_error *err) {
    (void)deadline_mono_us;
    if (flight->status) gr_error_set(err, flight->status, "the build of %s broke", flight->name);
    return flight->is_done;
}

/* The flight of this name; made when there is none. Owned by the server. */
static inline gr_flight *fake_flight(gr_serve *serve, const char *name) {
    pthread_mutex_lock(&serve->lock);
    gr_flight *flight = NULL;
    for (size_t i = 0; i < serve->n_flights; i++)
        if (strcmp(serve->flights[i]->name, name) == 0) flight = serve->flights[i];
    if (!flight && serve->n_flights < MAX_FLIGHTS) {
        flight = gr_mem_calloc(1, sizeof *flight);
        pthread_mutex_init(&flight->lock, NULL);
        atomic_init(&flight->refs, 1);
        snprintf(flight->name, sizeof flight->name, "%s", name);
        flight->fraction = 0.25;
        serve->flights[serve->n_flights++] = flight;
    }
    pthread_mutex_unlock(&serve->lock);
    return flight;
}

static inline void fake_build_end(gr_serve *serve, const char *name, gr_status status) {
    gr_flight *flight = gr_flight_ref(fake_flight(serve, name));
    pthread_mutex_lock(&flight->lock);
    flight->is_done = true;
    flight->status = status;
    size_t n = flight->n_subs;
    pthread_mutex_unlock(&flight->lock);
    for (size_t i = 0; i < n; i++)
        if (flight->subs[i].fn) flight->subs[i].fn(flight->subs[i].arg);
    gr_flight_unref(flight);
}

/* ---- queries --------------------------------------------------------------------------------- */
typedef struct fake_stream {
    gr_stream base;
    int64_t left, *values;
    gr_column *columns;
    size_t n_columns;
    gr_batch batch;
} fake_stream;

enum { FAKE_BATCH = 100 };

static gr_status fake_next(gr_stream *stream, const gr_batch **ret, gr_error *err) {
    (void)err;
    fake_stream *s = (fake_stream *)stream;
    size_t n = s->left < FAKE_BATCH ? (size_t)s->left : FAKE_BATCH;
    for (size_t i = 0; i < n; i++) s->values[i] = (int64_t)i;
    s->left -= (int64_t)n;
    for (size_t c = 0; c < s->n_columns; c++) s->columns[c] = (gr_column){.type = GR_TYPE_INT64, .data = s->values};
    s->batch = (gr_batch){n, s->n_columns, s->columns};
    *ret = n ? &s->batch : NULL;
    return GR_OK;
}

static void fake_close(gr_stream *stream) {
    free(((fake_stream *)stream)->values);
    free(((fake_stream *)stream)->columns);
    free(stream);
}

static gr_stream *fake_stream_new(int64_t rows, size_t n_columns) {
    static const gr_column_schema schema[] = {{GR_STR_INIT("orders__count"), GR_TYPE_INT64, 0, 0, false}};
    fake_stream *s = gr_mem_calloc(1, sizeof *s);
    s->base = (gr_stream){schema, 1, fake_next, fake_close};
    s->left = rows;
    s->values = gr_mem_calloc(FAKE_BATCH, sizeof *s->values);
    s->columns = gr_mem_calloc(n_columns, sizeof *s->columns);
    s->n_columns = n_columns;
    return &s->base;
}

static gr_status fake_sleep(gr_serve *serve, const gr_ctx *ctx, int64_t ms, gr_error *err) {
    int now = atomic_fetch_add(&serve->n_running, 1) + 1, most = atomic_load(&serve->most_running);
    while (now > most && !atomic_compare_exchange_weak(&serve->most_running, &most, now)) continue;
    for (int64_t t = 0; t < ms && !gr_ctx_is_cancelled(ctx); t += 5) sleep_ms(5);
    atomic_fetch_sub(&serve->n_running, 1);
    if (!gr_ctx_is_cancelled(ctx)) return GR_OK;
    atomic_fetch_add(&serve->n_cancelled, 1);
    return gr_error_set(err, GR_ERR_CANCELLED, "The query was cancelled");
}

static gr_status fake_fail(const json_t *query, const char *key, gr_error *err) {
    const char *id = json_string_value(json_object_get(query, key));
    if (!id) return GR_OK;
    for (int s = 1; s < GR_STATUS__COUNT; s++) {
        if (strcmp(gr_error_info_of((gr_status)s)->id, id)) continue;
        gr_error_set(err, (gr_status)s, "it broke: \"%s\"", id);
        gr_error_hint(err, "mend it");
        return (gr_status)s;
    }
    return gr_error_set(err, GR_ERR_INTERNAL, "unknown id %s", id);
}

static inline void fake_load_model(gr_serve *serve) {
    static const char yaml[] = "cubes:\n"
                               "  - name: orders\n"
                               "    sql_table: orders\n"
                               "    measures:\n"
                               "      - {name: count, type: count}\n"
                               "    dimensions:\n"
                               "      - {name: play, type: string, sql: play}\n"
                               "      - {name: at, type: time, sql: at}\n";
    gr_model_file file = {GR_STR("orders.yml"), gr_str_from(yaml)};
    gr_error err = {0};
    gr_arena *arena = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, arena);
    if (gr_model_load_files(&file, 1, &diags, &serve->loaded, &err)) fail_msg("%s", err.message);
    serve->model = *serve->loaded;
    gr_arena_free(arena);
}

static const json_t *fake_play(const gr_ctx *ctx, const json_t *query) {
    const json_t *filter = json_array_get(json_object_get(query, "filters"), 0);
    const json_t *value = json_array_get(json_object_get(filter, "values"), 0);
    json_t *play;
    if (!json_is_string(value) || gr_json_parse(gr_json_str(value), 10000, ctx->arena, &play, NULL)) return query;
    return play;
}

static gr_query *fake_parse(gr_serve *serve, const gr_ctx *ctx, json_t *json) {
    gr_query_options options = {.default_limit = 100,
                                .max_limit = 100,
                                .max_members = 100,
                                .max_filter_depth = 10,
                                .max_filter_values = 100,
                                .default_tz = gr_tz_utc(),
                                .now_us = ctx->now_us};
    gr_query *query;
    gr_error err = {0};
    if (gr_query_parse(&serve->model, json, &options, ctx->arena, &query, &err)) {
        fprintf(stderr, "a query that was good is not: %s\n", err.message);
        abort();
    }
    return query;
}

static void fake_answer(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, const json_t *play,
                        gr_answer *ret) {
    const char *key = json_string_value(json_object_get(play, "key"));
    gr_query_column *column = GR_NEW(ctx->arena, gr_query_column);
    gr_query *query = GR_NEW(ctx->arena, gr_query);
    gr_plan *plan = GR_NEW(ctx->arena, gr_plan);
    *column = (gr_query_column){.kind = GR_COLUMN_MEASURE,
                                .key = gr_arena_dup(ctx->arena, gr_str_from(key ? key : "orders.count")),
                                .alias = GR_STR("orders__count")};
    *query = (gr_query){.model = &serve->model, .columns = column, .n_columns = 1, .tz = gr_tz_utc()};
    *plan = (gr_plan){.query = query, .snapshot = &serve->snapshot, .data_source = GR_STR("default")};
    if (json_object_get(request->query, "measures")) *query = *fake_parse(serve, ctx, request->query);
    *ret = (gr_answer){.query = query,
                       .plan = plan,
                       .data_source = plan->data_source,
                       .planned_us = 11,
                       .started_us = 22,
                       .refreshed_us = 1612325106000000,
                       .sql = {.text = GR_STR("SELECT 1")}};
}

/* The build that the query waits for, or NULL. Borrowed. */
static gr_flight *fake_awaited(gr_serve *serve, const json_t *play) {
    const char *wait = json_string_value(json_object_get(play, "wait"));
    return wait ? fake_flight(serve, wait) : NULL;
}

gr_status gr_serve_query(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, gr_answer *ret,
                         gr_flight **ret_flight, gr_error *err) {
    atomic_fetch_add(&serve->n_queries, 1);
    const json_t *play = fake_play(ctx, request->query);
    const json_t *first_ms = json_object_get(play, "sleep_first_ms");
    if (first_ms) GR_TRY(fake_sleep(serve, ctx, json_integer_value(first_ms), err));
    gr_flight *flight = fake_awaited(serve, play);
    if (flight && !gr_flight_look(flight).is_done) {
        *ret_flight = gr_flight_ref(flight);
        return GR_OK;
    }
    GR_TRY(fake_fail(play, "fail", err));
    const json_t *ms = json_object_get(play, "sleep_ms"), *rows = json_object_get(play, "rows");
    if (ms) GR_TRY(fake_sleep(serve, ctx, json_integer_value(ms), err));
    GR_TRY(fake_fail(play, "fail_late", err));
    fake_answer(serve, ctx, request, play, ret);
    ret->stream = fake_stream_new(rows ? json_integer_value(rows) : 1, ret->query->n_columns);
    return GR_OK;
}

gr_status gr_serve_plan(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, bool as_if_built, gr_answer *ret,
                        gr_error *err) {
    static const gr_rollup rollup;
    const json_t *play = fake_play(ctx, request->query);
    gr_flight *flight = fake_awaited(serve, play);
    GR_TRY(fake_fail(play, "fail", err));
    fake_answer(serve, ctx, request, play, ret);
    gr_plan *plan = GR_NEW(ctx->arena, gr_plan);
    *plan = *ret->plan;
    if (flight && !as_if_built && !gr_flight_look(flight).is_done) plan->to_build = &rollup;
    ret->plan = plan;
    return GR_OK;
}

gr_status gr_serve_explain(gr_serve *serve, const gr_ctx *ctx, const gr_explain_request *request, gr_explanations *ret,
                           gr_error *err) {
    *ret = (gr_explanations){.v = GR_NEW(ctx->arena, gr_explanation), .n = 1};
    return gr_serve_plan(serve, ctx, &request->serve, request->as_if_built, &ret->v[0].answer, err);
}

void gr_serve_explanations_done(gr_explanations *explanations) {
    for (size_t i = 0; i < explanations->n; i++) gr_answer_done(&explanations->v[i].answer);
}

void gr_answer_done(gr_answer *answer) {
    if (answer->stream) answer->stream->close(answer->stream);
    *answer = (gr_answer){0};
}

/* ---- the result cache: it is off ---- */
void gr_answer_keep(gr_serve *serve, gr_answer *answer, gr_str head, gr_str tail, gr_str served_by) {
    (void)serve, (void)answer, (void)head, (void)tail, (void)served_by;
}
gr_str gr_serve_cache_outcome_name(gr_cache_outcome outcome) {
    return outcome == GR_CACHE_BYPASS ? GR_STR("bypass") : GR_STR("?");
}
gr_cache_moment gr_serve_cache_moment(const gr_serve *serve, int64_t now_us) {
    (void)serve;
    return (gr_cache_moment){.second = now_us / 1000000};
}
gr_cached *gr_serve_cache_quick(gr_serve *serve, gr_str text) {
    (void)serve, (void)text;
    return NULL;
}
bool gr_serve_cache_is_hot(gr_cached *entry, int64_t now_us) {
    (void)entry, (void)now_us;
    return false;
}
void gr_serve_cache_quick_put(gr_serve *serve, const gr_cached *entry) { (void)serve, (void)entry; }
void gr_serve_cache_refreshed(gr_cached *entry) { (void)entry; }
gr_cached *gr_serve_cached_ref(gr_cached *entry) { return entry; }
void gr_serve_cached_unref(gr_cached *entry) { (void)entry; }
gr_cache_stats gr_serve_cache_stats(gr_serve *serve) {
    (void)serve;
    return (gr_cache_stats){0};
}

/* ---- the rest -------------------------------------------------------------------------------- */
gr_status gr_serve_open(const gr_config *config, gr_serve_options options, gr_diags *diags, gr_serve **ret,
                        gr_error *err) {
    (void)options;
    (void)diags;
    (void)err;
    gr_serve *serve = gr_mem_calloc(1, sizeof *serve);
    serve->config = *config;
    serve->model.hash = GR_STR("feed");
    serve->snapshot.model = &serve->model;
    serve->views[0] = (gr_preagg_view){.id = GR_STR("orders.main"),
                                       .cube = GR_STR("orders"),
                                       .name = GR_STR("main"),
                                       .zone = GR_STR("UTC"),
                                       .store = GR_STR("embedded"),
                                       .status = GR_STR("active"),
                                       .is_built = true,
                                       .table = GR_STR("t"),
                                       .rows = 42,
                                       .entity_id = 1};
    pthread_mutex_init(&serve->lock, NULL);
    serve->bus = gr_serve_bus_new(&serve->config);
    gr_serve_stats_init(&serve->stats);
    *ret = serve;
    return GR_OK;
}

void gr_serve_close(gr_serve *serve) {
    for (size_t i = 0; i < serve->n_flights; i++)
        if (!serve->flights[i]->is_done) fake_build_end(serve, serve->flights[i]->name, GR_ERR_CANCELLED);
    for (size_t i = 0; i < serve->n_flights; i++) gr_flight_unref(serve->flights[i]);
    gr_flight_unref(fake_noted.building);
    fake_noted = (fake_notes){0};
    gr_model_unref(serve->loaded);
    pthread_mutex_destroy(&serve->lock);
    gr_serve_bus_free(serve->bus, 0);
    free(serve);
}

gr_serve_bus *gr_serve_events(gr_serve *serve) { return serve->bus; }
gr_serve_stats *gr_serve_counts(gr_serve *serve) { return &serve->stats; }
gr_refresh_overview gr_serve_refresh_overview(gr_serve *serve, gr_arena *arena) {
    static const gr_refresh_item item = {7, GR_STR_INIT("orders.main"), GR_STR_INIT("UTC"), {.next_us = 2000000}};
    gr_refresh_overview all = {.state = serve->refresh, .is_enabled = true, .n_items = 1};
    all.items = GR_NEW(arena, gr_refresh_item);
    *all.items = item;
    return all;
}
gr_refresh_state gr_serve_refresh_state(gr_serve *serve) { return serve->refresh; }
gr_str gr_serve_refresh_state_name(gr_refresh_state state) {
    return state == GR_REFRESH_RUNNING ? GR_STR("running") : GR_STR("paused");
}
bool gr_serve_refresh_state_from(gr_str name, gr_refresh_state *ret) {
    *ret = GR_REFRESH_PAUSED;
    return gr_str_eq_z(name, "paused");
}
void gr_serve_refresh_set(gr_serve *serve, gr_refresh_state state) { serve->refresh = state; }
bool gr_serve_refresh_order(gr_serve *serve, gr_refresh_order order) {
    (void)serve;
    return order.now;
}
bool gr_serve_refresh_run(gr_serve *serve) { return serve->refresh == GR_REFRESH_RUNNING; }
gr_builds_now gr_serve_builds_now(gr_serve *serve) { return (gr_builds_now){.queued = serve->n_flights}; }
void gr_serve_stop_by(gr_serve *serve, int64_t until_mono_us) {
    (void)serve;
    (void)until_mono_us;
}
const gr_config *gr_serve_config(const gr_serve *serve) { return &serve->config; }
bool gr_serve_model_changed(gr_serve *serve) { return serve->is_reload_bad; }
const gr_snapshot *gr_serve_snapshot_ref(gr_serve *serve) { return &serve->snapshot; }
void gr_serve_snapshot_unref(const gr_snapshot *snapshot) { (void)snapshot; }

gr_status gr_serve_reload(gr_serve *serve, gr_diags *diags, bool *ret_changed, gr_error *err) {
    gr_loc loc = {GR_STR("orders.yml"), 3, 5};
    if (serve->is_reload_bad) {
        gr_diags_error(diags, GR_ERR_MODEL_INVALID, loc, "wrong");
        return gr_error_set(err, GR_ERR_MODEL_INVALID_SET, "The model has 1 error");
    }
    gr_diags_warn(diags, GR_ERR_MODEL_NO_EFFECT, loc, "no effect");
    *ret_changed = true;
    return GR_OK;
}

gr_status gr_serve_build(gr_serve *serve, gr_str preagg_id, const gr_tz *zone, bool force, gr_flight **ret,
                         gr_error *err) {
    (void)zone;
    if (!gr_str_starts(preagg_id, GR_STR("orders.")))
        return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "There is no pre-aggregation '" GR_FMT "'",
                            GR_ARG(preagg_id));
    atomic_fetch_add(&serve->n_builds, 1);
    char name[64];
    snprintf(name, sizeof name, GR_FMT, GR_ARG(preagg_id));
    *ret = force ? gr_flight_ref(fake_flight(serve, name)) : NULL;
    return GR_OK;
}

gr_status gr_serve_preaggs(gr_serve *serve, gr_arena *arena, gr_preagg_view **ret, size_t *ret_n, gr_error *err) {
    (void)arena;
    (void)err;
    *ret = serve->views;
    *ret_n = 1;
    return GR_OK;
}

gr_status gr_serve_drop(gr_serve *serve, gr_str preagg_id, size_t *ret_tables, gr_error *err) {
    if (!gr_str_eq(preagg_id, GR_STR("orders.main")))
        return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "There is no such pre-aggregation");
    atomic_fetch_add(&serve->n_dropped, 1);
    *ret_tables = 2;
    return GR_OK;
}

gr_str gr_serve_user(const gr_serve *serve, gr_str authorization, gr_arena *arena) {
    (void)serve;
    (void)authorization;
    (void)arena;
    return (gr_str){0};
}

gr_status gr_serve_authorize(const gr_serve *serve, gr_str authorization, gr_str local_token, gr_str scope,
                             gr_error *err) {
    if (!serve->config.api_secret.value.n || gr_str_eq(local_token, GR_STR("local"))) return GR_OK;
    if (!authorization.n) return gr_error_set(err, GR_ERR_AUTH_MISSING, "Authorization header isn't set");
    if (gr_str_eq(authorization, GR_STR("Bearer all"))) return GR_OK;
    if (!gr_str_eq(authorization, GR_STR("Bearer data")))
        return gr_error_set(err, GR_ERR_AUTH_INVALID, "Invalid token");
    if (gr_str_eq(scope, GR_STR("data"))) return GR_OK;
    return gr_error_set(err, GR_ERR_AUTH_SCOPE, "API scope is missing: " GR_FMT, GR_ARG(scope));
}
#endif
