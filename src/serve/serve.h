/* The use cases: run a query, explain it, build a pre-aggregation, reload the model. Everything that HTTP and the
 * command line do goes through here. Threads: any, unless a comment says otherwise. Source: house.md §1, decisions 11,
 * 15, 21, 27. */
#ifndef GR_SERVE_SERVE_H
#define GR_SERVE_SERVE_H
#include "base/ctx.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "data/batch.h"
#include "exec/verified.h"
#include "plan/plan.h"
#include "serve/cache.h"
#include "serve/events.h"
#include "serve/stats.h"
#include "sql/sql.h"

typedef struct gr_serve gr_serve;
typedef struct gr_flight gr_flight; /* one running build that any number of callers wait for */

typedef struct gr_serve_options {
    bool is_check_only; /* model only: no engine, no catalog */
    bool refreshes;     /* in the background (refresher.h); with refresh.enabled off only when it is told to */
    bool is_restart;    /* after engine.stopped: gr_exec_spare_store */
} gr_serve_options;

/* Load the model, open engine and catalog. Diagnostics (also of a failing load) go to `diags`. `config` is borrowed for
 * the server's life. Errors: model.*, engine.*, catalog.*, store.locked (another process serves this store). */
GR_MUST_CHECK gr_status gr_serve_open(const gr_config *config, gr_serve_options options, gr_diags *diags,
                                      gr_serve **ret, gr_error *err);
/* Cancels what runs, waits for builds to stop, closes everything. */
void gr_serve_close(gr_serve *serve);
const gr_config *gr_serve_config(const gr_serve *serve);
/* The server stops, and should be closed by then (monotonic us): how long webhooks may take. */
void gr_serve_stop_by(gr_serve *serve, int64_t until_mono_us);
/* Load the model again and swap it in; on errors the model in service stays. *ret_changed (may be NULL). */
GR_MUST_CHECK gr_status gr_serve_reload(gr_serve *serve, gr_diags *diags, bool *ret_changed, gr_error *err);
/* The model folder changed since the model in service was loaded (names, sizes, times); cheap, for the watcher. */
bool gr_serve_model_changed(gr_serve *serve);

/* ---- what happens, and how much of it -----------------------------------------------------------------------------
 */
/* Tell it to readers of /ops/events and to webhooks, in the trace that the thread works for. Never waits for anybody.
 */
void gr_serve_event(gr_serve *serve, gr_event_kind kind, const gr_event_fields *fields);
gr_serve_bus *gr_serve_events(gr_serve *serve);
gr_serve_stats *gr_serve_counts(gr_serve *serve);
const struct gr_exec_orphan *gr_serve_orphans(const gr_serve *serve, size_t *ret_n); /* gr_exec_orphans */
typedef struct gr_builds_now {
    size_t running, queued;
    size_t begun;       /* of those queued: between two of their slices */
    size_t for_refresh; /* of all: in the background */
} gr_builds_now;
gr_builds_now gr_serve_builds_now(gr_serve *serve);

/* ---- snapshots --------------------------------------------------------------------------------------------------- */
const gr_snapshot *gr_serve_snapshot_ref(gr_serve *serve); /* never NULL once open */
void gr_serve_snapshot_unref(const gr_snapshot *snapshot);

/* ---- queries ----------------------------------------------------------------------------------------------------- */
typedef struct gr_request {
    json_t *query;       /* parsed query object, borrowed */
    gr_cache_mode cache; /* of the request; used when has_cache */
    bool has_cache;
    bool without_rollups; /* answer from the source (tests and `granary query --no-rollups`) */
    bool must_not_wait;   /* a needed build: return it as ret_flight at once instead of waiting for it */
    /* The caller can answer from gr_answer.cached, and calls gr_answer_keep. With must_not_wait it may also be given
     * the flight of an identical query that runs already (gr_answer.joined); unless must_run: it has waited for one.
     * When such a flight ends, its answer is in the cache, or was not kept, or its caller was cancelled (the flight's
     * status): then somebody else should run, for all. */
    int64_t since_us; /* wall clock at which it came in; must-revalidate takes what is younger as fresh. 0: now */
    bool may_cache, must_run;
    gr_str accepts; /* what it has waited for (gr_answer.joined): its answer will do, also when keys have moved since */
    gr_str form;    /* what else than the query the text of its answer depends on */
} gr_request;

/* Where an answer came from. */
typedef enum gr_cache_outcome {
    GR_CACHE_BYPASS, /* the cache was not asked: it is off, or must not serve this */
    GR_CACHE_MISS,
    GR_CACHE_HIT,
    GR_CACHE_STALE, /* made from older versions, which the request allows */
    GR_CACHE__COUNT
} gr_cache_outcome;
gr_str gr_serve_cache_outcome_name(gr_cache_outcome outcome); /* static: "hit" … */

/* What an answer is kept under. */
typedef struct gr_cache_ticket {
    gr_str key, renewal; /* in ctx->arena; an empty key: it is not kept */
    int64_t started_mono_us, max_age_us;
    gr_flight *lead;                 /* owned: identical queries wait for this one */
    const atomic_bool *is_cancelled; /* of its caller's ctx */
} gr_cache_ticket;

/* A running answer: rows are pulled from `stream`. Release with gr_answer_done in any case. */
typedef struct gr_answer {
    const gr_snapshot *snapshot; /* referenced */
    const gr_query *query;       /* in ctx->arena */
    const gr_plan *plan;
    const gr_plan *shown; /* gr_serve_plan: whose SQL it is: `plan`, or when that has something to build first, the one
                             after the build */
    gr_sql sql;
    gr_stream *stream; /* NULL for limit 0 is never the case: an empty stream */
    bool has_total;
    int64_t total;
    int64_t refreshed_us;           /* lastRefreshTime: build time of the rollup, or now for the source */
    gr_str data_source, db_type;    /* and the kind of that: "duckdb", "postgres" */
    int64_t planned_us, started_us; /* durations: parse+plan, engine until first batch (monotonic differences) */
    int64_t parsed_us, rendered_us; /* gr_serve_plan: parts of planned_us */
    gr_cache_outcome outcome;
    gr_cached *cached;  /* owned: the answer, instead of `stream` */
    bool wants_refresh; /* of a stale one: this caller is to run it again, and call gr_serve_cache_refreshed(cached) */
    gr_str joined;      /* with a flight: it is that of an identical query, made from this; in ctx->arena */
    bool is_late;       /* the cached one is what was waited for, and keys have moved since: for nobody else */
    gr_cache_ticket ticket;
} gr_answer;

/* Parse, plan, build on demand, execute. When a build is needed: with must_not_wait *ret_flight (owned:
 * gr_flight_unref) is set and GR_OK returned with answer->stream NULL; otherwise waits until ctx's deadline. Errors:
 * query.*, plan.*, engine.*, cancelled, timeout. */
GR_MUST_CHECK gr_status gr_serve_query(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, gr_answer *ret,
                                       gr_flight **ret_flight, gr_error *err);
void gr_answer_done(gr_answer *answer);
/* The answer as text, whole: kept for the next one who asks the same, if it may be. */
void gr_answer_keep(gr_serve *serve, gr_answer *answer, gr_str head, gr_str tail, gr_str served_by);

/* Parse and plan only. With `as_if_built`, rollups match by definition alone. ret->stream is NULL. */
GR_MUST_CHECK gr_status gr_serve_plan(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, bool as_if_built,
                                      gr_answer *ret, gr_error *err);

/* ---- the result cache (cached.c) ---------------------------------------------------------------------------------
 * Answers by query, valid for the versions and refresh keys that they were made from (cube.md 6.7); and, for what is
 * asked often, whole texts by the text of the request, each for the moment in which it can mean nothing else. */
gr_cache_moment gr_serve_cache_moment(const gr_serve *serve, int64_t now_us);
/* The answer to the text of a request in this moment; owned, or NULL. Counts as a hit. */
gr_cached *gr_serve_cache_quick(gr_serve *serve, gr_str text);
/* The entry was asked for before, within the second of now_us: its text is worth being kept by text too. */
bool gr_serve_cache_is_hot(gr_cached *entry, int64_t now_us);
/* Keep `entry` (key, head, served_by, entities, moment) by text, unless its moment is over. */
void gr_serve_cache_quick_put(gr_serve *serve, const gr_cached *entry);
/* Whoever was to refresh a stale entry has done so, or has failed. Takes the reference. */
void gr_serve_cache_refreshed(gr_cached *entry);
typedef struct gr_cache_stats {
    uint64_t count[GR_CACHE__COUNT]; /* answers by outcome */
    uint64_t evictions;
    size_t entries, bytes, max_bytes;
} gr_cache_stats;
gr_cache_stats gr_serve_cache_stats(gr_serve *serve);

/* ---- background refresh (refresher.h) --------------------------------------------------------------------------- */
typedef enum gr_refresh_state {
    GR_REFRESH_RUNNING,
    GR_REFRESH_PAUSED, /* nothing is refreshed by itself; what somebody asks for is built */
    GR_REFRESH_DRAINED /* no build begins; what runs ends */
} gr_refresh_state;
gr_str gr_serve_refresh_state_name(gr_refresh_state state); /* static */
bool gr_serve_refresh_state_from(gr_str name, gr_refresh_state *ret);
void gr_serve_refresh_set(gr_serve *serve, gr_refresh_state state);
gr_refresh_state gr_serve_refresh_state(gr_serve *serve);
typedef struct gr_refresh_order {
    bool now;      /* ask all keys, also those whose time has not come */
    bool prebuild; /* for the next two minutes, also build what no query has asked for */
} gr_refresh_order;
/* Look at what is due. False: this process does not refresh. */
bool gr_serve_refresh_order(gr_serve *serve, gr_refresh_order order);
/* The same as Cube's scheduled refresh: begins one, or tells of the one that was begun. True: it has ended. */
bool gr_serve_refresh_run(gr_serve *serve);
typedef struct gr_refresh_view {
    bool is_building;
    int64_t next_us, looked_us; /* when its key is looked at next; was last. 0: not yet */
    int64_t n_failures;
    gr_str error; /* of the last look or build */
} gr_refresh_view;
/* False: it is not refreshed by itself. */
bool gr_serve_refresh_view(gr_serve *serve, int64_t entity_id, gr_arena *arena, gr_refresh_view *ret);
typedef struct gr_refresh_item {
    int64_t id;
    gr_str preagg_id, zone;
    gr_refresh_view view;
} gr_refresh_item;
typedef struct gr_refresh_overview {
    gr_refresh_state state;
    bool is_enabled;
    bool is_drained;  /* and nothing runs any more */
    bool is_finished; /* the last order was followed: nothing is due now, or being built for it */
    uint64_t n_done, n_failed;
    gr_refresh_item *items;
    size_t n_items;
} gr_refresh_overview;
gr_refresh_overview gr_serve_refresh_overview(gr_serve *serve, gr_arena *arena);

/* Compare what an entity stores with its source. What is found wrong is built anew in the background: *ret_flight
 * (owned), or NULL. Memory: ctx->arena. Errors: preagg.not_found, preagg.stale, engine.*. */
GR_MUST_CHECK gr_status gr_serve_verify_entity(gr_serve *serve, const gr_ctx *ctx, int64_t entity_id,
                                               gr_verification *ret, gr_flight **ret_flight, gr_error *err);

/* ---- explanations ------------------------------------------------------------------------------------------------ */
typedef enum gr_change_kind {
    GR_CHANGE_MEASURE,
    GR_CHANGE_DIMENSION,
    GR_CHANGE_SEGMENT,
    GR_CHANGE_TIME_DIMENSION
} gr_change_kind;
/* One addition to the definition of a pre-aggregation. */
typedef struct gr_change {
    gr_change_kind kind;
    gr_str member;                         /* as it is written there: "status", "users.country" */
    const gr_granularity *granularity;     /* of a time dimension */
    const gr_granularity *old_granularity; /* that this one stands in place of, or NULL: it is new */
} gr_change;
typedef GR_VEC(gr_change) gr_changes;

/* What would make a candidate fit. */
typedef struct gr_repair {
    bool is_known; /* every rule that fails says what would help: `texts` */
    gr_str *texts;
    size_t n_texts;
    bool is_proved; /* with `changes` alone the definition passes every rule: it was matched again */
    gr_changes changes;
    bool has_rows, has_rows_now;
    int64_t rows;        /* of the changed definition, counted at the source (gr_explain_request.wants_estimate) */
    int64_t rows_now;    /* of what is built */
    gr_str rows_problem; /* why they were not counted, or empty */
} gr_repair;

typedef struct gr_explanation {
    gr_answer answer;
    gr_plan_report report;
    gr_repair *repairs; /* parallel to report.candidates */
    const gr_sql_places *places;
} gr_explanation;
typedef struct gr_explanations {
    gr_query_type type;
    gr_explanation *v; /* one for each query of the request */
    size_t n;
} gr_explanations;
typedef struct gr_explain_request {
    gr_request serve; /* `query` may be a request of any type */
    bool as_if_built;
    bool wants_estimate; /* count the rows that repairs would make: scans the source once for each */
} gr_explain_request;
/* What would serve each query, and for every candidate why it does not and what would help. Nothing is built. Memory:
 * ctx->arena. Errors: query.*, plan.*; with the estimate also cancelled, timeout. */
GR_MUST_CHECK gr_status gr_serve_explain(gr_serve *serve, const gr_ctx *ctx, const gr_explain_request *request,
                                         gr_explanations *ret, gr_error *err);
void gr_serve_explanations_done(gr_explanations *explanations);

/* ---- builds -------------------------------------------------------------------------------------------------------
 */
/* Start (or join) the build of pre-aggregation "cube.name" for a zone; `force`: also when it is built already. When it
 * is built and not forced, *ret is NULL and GR_OK. Errors: preagg.not_found, plan.*, http.busy. */
GR_MUST_CHECK gr_status gr_serve_build(gr_serve *serve, gr_str preagg_id, const gr_tz *zone, bool force,
                                       gr_flight **ret, gr_error *err);
typedef struct gr_flight_view {
    gr_str preagg_id; /* borrowed from the flight */
    bool is_done;
    gr_status status; /* of a finished build */
    double fraction;  /* 0…1, below 0 = unknown */
    int64_t started_us, rows;
    bool is_begun;
    size_t n_done, n_due;            /* partitions that are made of those that are to be; of a partitioned rollup */
    int64_t rows_built;              /* in them */
    int64_t moved_rows, moved_bytes; /* that went from one place to another so far */
    int64_t moved_us;                /* how long that took, the source's work included; 0: nothing moved */
} gr_flight_view;
gr_flight_view gr_flight_look(gr_flight *flight);
/* True when it finished before the deadline (monotonic us; 0 = no deadline). *err gets the build's own error, if any.
 */
bool gr_flight_wait(gr_flight *flight, int64_t deadline_mono_us, gr_error *err);
/* The same, and also true when part of it serves that did not at `seen` (gr_flight_slices): planning again may do. */
bool gr_flight_wait_slice(gr_flight *flight, uint64_t seen, int64_t deadline_mono_us);
uint64_t gr_flight_slices(gr_flight *flight);
/* `fn(arg)` is called once, from the build's thread, when it finishes; at once when it has. Returns a ticket. */
uint64_t gr_flight_subscribe(gr_flight *flight, void (*fn)(void *arg), void *arg);
/* The same, or when part of it serves, whichever is first. */
uint64_t gr_flight_subscribe_slice(gr_flight *flight, void (*fn)(void *arg), void *arg);
/* True when fn had not been called and never will be. */
bool gr_flight_unsubscribe(gr_flight *flight, uint64_t ticket);
gr_flight *gr_flight_ref(gr_flight *flight);
void gr_flight_unref(gr_flight *flight);

typedef struct gr_preagg_view {
    gr_str id, cube, name, zone, store; /* "orders.main" */
    int64_t entity_id;                  /* 0: never declared */
    gr_str status;                      /* pending, materializing, active, failed, stale */
    bool is_built;
    gr_str table;
    int64_t build_number, rows, bytes, built_at_us, build_ms;
    gr_str error;
    gr_str problem;    /* why the definition cannot be built, or empty */
    bool is_refreshed; /* by itself */
    gr_refresh_view refresh;
} gr_preagg_view;
/* One line per pre-aggregation of the model and zone known. */
GR_MUST_CHECK gr_status gr_serve_preaggs(gr_serve *serve, gr_arena *arena, gr_preagg_view **ret, size_t *ret_n,
                                         gr_error *err);
/* Drop the tables of "cube.name" in all zones; it becomes pending. */
GR_MUST_CHECK gr_status gr_serve_drop(gr_serve *serve, gr_str preagg_id, size_t *ret_tables, gr_error *err);

/* The token of server.json, set once before requests are served; copied. */
void gr_serve_set_local_token(gr_serve *serve, gr_str token);

/* ---- who may -------------------------------------------------------------------------------------------------------
 */
/* Who a valid token says that its bearer is (username, email or sub); empty without one. Memory: arena. */
gr_str gr_serve_user(const gr_serve *serve, gr_str authorization, gr_arena *arena);
/* `authorization` is the header's value, or empty. Developer mode (no secret, or dev_mode) lets everything pass. The
 * token of server.json (`local_token`) passes for every scope. scope: "data", "meta", "sql", "jobs" or empty.
 * Errors: auth.missing, auth.invalid, auth.scope. */
GR_MUST_CHECK gr_status gr_serve_authorize(const gr_serve *serve, gr_str authorization, gr_str local_token,
                                           gr_str scope, gr_error *err);
#endif
