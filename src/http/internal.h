/* The insides of the front door; private to http/.
 *
 *   MHD's thread      begin ── body ──> dispatch ──┬── answered inline ─────────────────────────> respond
 *                                                  └─ suspend ─> QUEUED               DONE ─ resume ─┘
 *   a worker                                                       └──> RUNNING ───────┘
 *   timer, or the build's thread                          QUEUED <── PARKED <─┘  (a build is awaited: no thread held)
 *
 * A load that outlasts the wait window is detached (slow.c): its request stays with the lane, without a connection, and
 * a new one takes its place in the connection's slot to say "Continue wait". The next poll is JOINED to the run.
 *
 * Invariant: every request that is suspended is in `active`, and leaves it before it is resumed; so the sockets of
 * `active` are open, and nobody but MHD touches a request that is not in it; but for detached ones, which belong to
 * their lane until their worker frees them.
 * Locks: `gr_http.lock` guards the lanes, `active`, `runs`, states and counts, and the slot of a suspended connection.
 * While it is held, no function of serve/ and none of MHD but MHD_suspend_connection is called. `gr_http_builds.lock`
 * stands alone. */
#ifndef GR_HTTP_INTERNAL_H
#define GR_HTTP_INTERNAL_H
#include "base/log.h"
#include "base/trace.h"
#include "data/json.h"
#include "http/cube.h"
#include "http/dj.h"
#include "http/route.h"
#include "http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <sys/queue.h>

typedef struct gr_http_lane gr_http_lane;
typedef struct gr_http_build gr_http_build;
typedef struct gr_http_run gr_http_run;
typedef struct gr_http_answer gr_http_answer;

/* ---- requests -------------------------------------------------------------------------------- */
typedef enum gr_http_state {
    GR_HTTP_FRESH,     /* the request line is read */
    GR_HTTP_RECEIVING, /* headers are read, the body comes */
    GR_HTTP_QUEUED,
    GR_HTTP_RUNNING,
    GR_HTTP_SUBSCRIBING, /* about to be parked: the build may end meanwhile */
    GR_HTTP_PARKED,
    GR_HTTP_EXPIRING,    /* the timer takes it out of its flight's list; the build may end meanwhile */
    GR_HTTP_JOINED,      /* waits for the run of an identical request that was detached */
    GR_HTTP_LEAVING,     /* the timer has taken it and answers it */
    GR_HTTP_DONE,        /* `out`, or `answer`, is the answer */
    GR_HTTP_STREAM_WAIT, /* event stream: suspended until the next look */
} gr_http_state;

/* What the library keeps for a connection's request; the request in it changes when one is detached. */
typedef struct gr_http_slot {
    gr_http_request *request;
} gr_http_slot;

struct gr_http_request {
    gr_http *http;
    gr_http_slot *slot; /* NULL once detached, like the next two */
    struct MHD_Connection *conn;
    int fd;
    gr_arena *arena; /* lives as long as the request */
    gr_arena *work;  /* of one run of the handler */
    gr_str target, path;
    unsigned method;
    const gr_http_route *route;
    unsigned allowed;
    bool is_dj; /* errors in the form of DataJunction */
    gr_str segments[GR_HTTP_MAX_WILD];
    gr_http_params params;
    gr_str request_id;
    gr_trace trace;            /* the client's, or a new one, with a span of this request's */
    gr_str token, local_token; /* borrowed from the connection */
    gr_buf body;
    bool is_body_over;
    size_t body_seen;
    gr_error *refusal; /* found before the body was read; answered after it */
    int64_t started_mono_us;

    atomic_bool is_cancelled;
    /* guarded by http->lock while the request is suspended */
    gr_http_state state;
    bool is_fired;            /* the flight ended while subscribing or expiring */
    bool is_waited_out;       /* to be answered "Continue wait" instead of being run */
    int64_t park_deadline_us; /* of the first parking; 0 = none yet */
    gr_flight *flight;        /* owned */
    uint64_t ticket;
    gr_http_run *run; /* that it is joined to; or that was made of it, until nobody wants its answer any more */
    bool is_detached;
    TAILQ_ENTRY(gr_http_request) in_active, in_queue;

    bool is_unanswered; /* the run ended because it needs a build: whoever polls asks anew */
    /* the answer */
    gr_buf out;
    gr_http_answer *answer; /* instead of `out`: shared with others; a reference */
    int http_status;
    gr_str served_by;                     /* in arena */
    const char *content_type, *exception; /* static; NULL: JSON; no X-DBAPI-Exception */
    gr_flight *waited;                    /* owned: the build that this request was parked for; of entities' routes */
    int64_t planned_us, engine_us;
    bool has_timing;

    /* the result cache (cached.c) */
    gr_cached *cached;        /* owned: its head is the answer, instead of `out` */
    gr_cache_moment moment;   /* when the handler began to run */
    gr_cache_outcome outcome; /* of the least of its parts; with has_outcome */
    bool has_outcome, is_hot;
    gr_str joined;             /* it has waited for an identical query, made from this; in arena */
    bool is_refresh;           /* nobody waits for it: it makes cached answers anew */
    GR_VEC(gr_cached *) stale; /* owned, in arena: that this request is to have made anew */
    GR_VEC(int64_t) entities;  /* in work: that served the cached parts */

    /* event stream of a build (stream.c) */
    gr_http_build *stream; /* owned */
    bool is_stream, is_stream_done;
    size_t stream_sent; /* bytes of `out` that were given to MHD */
    int64_t stream_beat_us, stream_look_us;
    double stream_fraction;
    int64_t stream_rows;
    int64_t stream_moved;
    bool is_event_stream; /* of /ops/events (event_stream.c) */
    uint64_t event_cursor;
};
typedef TAILQ_HEAD(gr_http_list, gr_http_request) gr_http_list;

struct gr_http_lane {
    gr_http *http;
    gr_http_list queue;
    size_t n_queued, max_queued, n_busy, n_threads;
    pthread_cond_t wake;
    pthread_t *threads;
};

/* The answer of a detached run, shared by all that wait for it. */
struct gr_http_answer {
    atomic_uint refs;
    gr_buf out;
    int http_status;
    gr_buf served_by;
    int64_t planned_us, engine_us;
    bool has_timing, has_outcome;
    gr_cache_outcome outcome;
};

/* A load that went on without its client: exactly one of `work` (it runs, or waits for a worker) and `answer` is set.
 */
struct gr_http_run {
    gr_buf key;
    gr_http_request *work;
    gr_http_answer *answer;
    gr_http_list joined;
    size_t n_joined;
    size_t n_owed; /* clients that were told to ask again and have not yet */
    int64_t polled_us, finished_us;
    TAILQ_ENTRY(gr_http_run) in_runs;
};
enum { GR_HTTP_MAX_RUNS = 64, GR_HTTP_MAX_RUN_BYTES = 256 << 20 };

/* Builds that were started through the API (builds.c), oldest first, at most one per pre-aggregation and zone. */
enum { GR_HTTP_MAX_BUILDS = 64 };
typedef struct gr_http_builds {
    pthread_mutex_t lock;
    gr_http_build *v[GR_HTTP_MAX_BUILDS];
    size_t n;
} gr_http_builds;

typedef enum gr_http_counter {
    GR_HTTP_N_REQUESTS,
    GR_HTTP_N_ERRORS,
    GR_HTTP_N_BUSY,
    GR_HTTP_N_CONTINUE,
    GR_HTTP_N_DISCONNECTED,
    GR_HTTP_N__COUNT
} gr_http_counter;

/* count.c: requests, by route and in groups of routes. */
typedef enum gr_http_group {
    GR_HTTP_GROUP_LOAD,
    GR_HTTP_GROUP_PLAN, /* sql, dry-run, explain, meta */
    GR_HTTP_GROUP_ENTITIES,
    GR_HTTP_GROUP_OPS,
    GR_HTTP_GROUP_HEALTH,
    GR_HTTP_GROUP_NONE, /* no route */
    GR_HTTP_GROUP__COUNT
} gr_http_group;
enum { GR_HTTP_METHODS = 7, GR_HTTP_CLASSES = 5 }; /* the methods of gr_http_methods, and others; 1xx to 5xx */
typedef struct gr_http_seen {
    size_t n_routes;
    gr_http_group *groups;                                              /* by route, and one for none */
    atomic_uint_fast64_t (*requests)[GR_HTTP_METHODS][GR_HTTP_CLASSES]; /* parallel to groups */
    gr_histogram durations[GR_HTTP_GROUP__COUNT];
} gr_http_seen;

struct gr_http {
    gr_serve *serve;
    const gr_config *config;
    struct MHD_Daemon *daemon;
    int listen_fd; /* the library's while it runs */
    int silent_fd; /* the other end of what takes its place when the server stops */
    uint16_t port;
    char url[300];
    int64_t continue_wait_us, drain_us, started_us, started_mono_us;
    size_t max_result_bytes, max_connections;

    pthread_mutex_t lock;
    pthread_cond_t changed;                  /* n_open or n_active went down while draining */
    gr_http_lane lanes[GR_HTTP_LANE__COUNT]; /* INLINE is unused */
    gr_http_list active, refreshes;          /* the latter: that make cached answers anew, in_active */
    size_t n_open, n_active, n_parked;
    TAILQ_HEAD(, gr_http_run) runs; /* the one that was detached first is first */
    atomic_size_t n_runs;           /* written under the lock */
    size_t n_detached;              /* requests without a client that a lane holds still, wanted or not */
    size_t run_bytes, max_runs, max_run_bytes;
    int64_t orphan_us, keep_us;
    bool is_closed; /* no request is taken any more */
    pthread_t timer;
    pthread_cond_t timer_wake;
    int64_t timer_next_us;
    bool has_timer, is_timer_stopped;

    atomic_bool is_draining;
    gr_http_builds builds;
    atomic_uint_fast64_t counters[GR_HTTP_N__COUNT];
    gr_http_seen seen;
};

/* Load as it is now. */
typedef struct gr_http_lane_now {
    size_t workers, busy, queued;
} gr_http_lane_now;
typedef struct gr_http_load_now {
    gr_http_lane_now lanes[GR_HTTP_LANE__COUNT]; /* INLINE is empty */
    size_t parked, open, detached;
} gr_http_load_now;
gr_http_load_now gr_http_measure(gr_http *http); /* lane.c */

void gr_http_seen_init(gr_http_seen *seen);
void gr_http_seen_done(gr_http_seen *seen);
/* `route` NULL: there is none. No lock, no allocation. */
void gr_http_seen_add(gr_http_seen *seen, const gr_http_route *route, unsigned method, int http_status, int64_t us);
gr_str gr_http_group_name(gr_http_group group); /* static */

/* request.c: the callbacks of MHD */
void *gr_http_on_uri(void *cls, const char *uri, struct MHD_Connection *conn);
enum MHD_Result gr_http_on_access(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **con_cls);
void gr_http_on_completed(void *cls, struct MHD_Connection *conn, void **con_cls, enum MHD_RequestTerminationCode why);
size_t gr_http_on_unescape(void *cls, struct MHD_Connection *conn, char *text);
/* Of a request that has no connection any more. Accepts NULL. */
void gr_http_request_free(gr_http_request *request);
/* Parameter of the URL; empty when absent. */
gr_str gr_http_param_get(const gr_http_request *request, gr_str key);
bool gr_http_param_is_on(const gr_http_request *request, gr_str key); /* present and not 0, false or no */
/* Make `out` the answer to this error, in the form that the route's clients know. */
void gr_http_answer_error(gr_http_request *request, const gr_error *error);
void gr_http_answer_json(gr_http_request *request, gr_str json);

/* lane.c: workers and parking */
void gr_http_lane_init(gr_http_lane *lane, gr_http *http, size_t max_queued);
GR_MUST_CHECK gr_status gr_http_lane_start(gr_http_lane *lane, size_t n_threads, gr_error *err);
void gr_http_lane_join(gr_http_lane *lane); /* http->is_closed is set; the queue is empty */
/* Hand a suspended request over: to its lane, or to the run that it is a poll of. False: the lane is full or the server
 * stops. */
bool gr_http_lane_submit(gr_http_request *request);
/* Under the lock: put a request of `active` into its lane's queue. */
void gr_http_lane_push(gr_http_request *request);
/* The answer is made, by a worker or by the timer: give it to the client, or to those who poll for it. */
void gr_http_finish(gr_http_request *request);
/* "Continue wait", or a refusal when the server stops. */
void gr_http_answer_wait(gr_http_request *request);
/* The request is EXPIRING: have it answered "Continue wait", unless its build has ended meanwhile. */
void gr_http_expire(gr_http_request *request);
/* slow.c: loads that outlast the wait window. Those marked * are called under the lock. */
void gr_http_runs_init(gr_http *http);
void gr_http_runs_done(gr_http *http);
/* What a load asks for, as bytes; the result is empty for what can not be detached. Owned: gr_buf_done. */
gr_buf gr_http_run_key(const gr_http_request *request);
/* * Is it a load in a lane, and still somebody's? */
bool gr_http_may_detach(const gr_http_request *request);
/* An identical request was detached: this one may be its poll, and is for the lane. */
bool gr_http_run_exists(const gr_http_request *request);
/* * Take the client off the request. The result is LEAVING and in `active` in its place: have it answered. NULL: there
 * is no room, the request goes on as it is. */
gr_http_request *gr_http_detach(gr_http_request *request, int64_t now);
typedef enum gr_http_join {
    GR_HTTP_NO_RUN,
    GR_HTTP_IS_JOINED, /* to be put into `active` */
    GR_HTTP_IS_TAKEN,  /* the request is DONE: the run had ended already */
} gr_http_join;
/* * */
gr_http_join gr_http_run_join(gr_http_request *request, gr_str key);
/* * The request is JOINED: take it out; it is LEAVING then. */
void gr_http_run_leave(gr_http_request *request, int64_t now);
/* * Cancel runs that nobody polls for, forget answers that nobody fetches. */
void gr_http_runs_sweep(gr_http *http, int64_t now);
/* * Cancel all runs: the server stops. */
void gr_http_runs_cancel(gr_http *http);
/* The detached request has been run: frees it. Not under the lock. */
void gr_http_run_end(gr_http_request *request);
void gr_http_answer_unref(void *answer);

/* timer.c: ends of waits, clients that left, event streams */
void *gr_http_timer_run(void *http);

/* ---- queries (api.c, multi.c) ---------------------------------------------------------------- */
typedef struct gr_http_asked {
    gr_request serve; /* of the query, when it is one */
    gr_query_type type;
    bool is_multi, wants_estimate;
} gr_http_asked;
/* What serves an answer, into request->served_by: each once, however many parts of a request it serves. */
void gr_http_add_served(gr_http_request *request, const gr_answer *answer);
gr_http_load_options gr_http_load_options_of(const gr_http_request *request);
/* The same routes for a comparison or a blend. One part that fails fails the whole; nothing runs before everything is
 * good and every build that is needed is there. */
GR_MUST_CHECK gr_status gr_http_load_set(gr_http_request *request, const gr_http_asked *asked, const gr_ctx *ctx,
                                         gr_error *err);
GR_MUST_CHECK gr_status gr_http_sql_set(gr_http_request *request, const gr_http_asked *asked, gr_error *err);
GR_MUST_CHECK gr_status gr_http_dry_run_set(gr_http_request *request, const gr_http_asked *asked, gr_error *err);

/* cached.c: the result cache */
/* On the library's thread: the answer is known by the text of the request. */
bool gr_http_cached_take(gr_http_request *request);
/* The handler of a load begins to run: what its queries may do with the cache. */
void gr_http_cached_begin(gr_http_request *request, gr_http_asked *asked, int64_t now_us);
/* Encode one answer into `out`, keep it, and note what serves it and where it came from. */
GR_MUST_CHECK gr_status gr_http_cached_put(gr_http_request *request, gr_answer *answer, gr_http_load_options options,
                                           gr_arena *arena, gr_error *err);
/* The whole answer lies in `out`: it is worth being kept by the text of the request, or not. */
void gr_http_cached_end(gr_http_request *request);
/* The request is about to be answered with something stale: another one like it, that makes that anew. NULL: nothing
 * is. Owned: gr_http_request_free. */
gr_http_request *gr_http_cached_again(gr_http_request *request);

/* api.c, ops.c: what the routes do */
gr_http_handler gr_http_do_load, gr_http_do_sql, gr_http_do_dry_run, gr_http_do_explain, gr_http_do_meta,
    gr_http_do_health, gr_http_do_ready, gr_http_do_preaggs, gr_http_do_build, gr_http_do_build_progress,
    gr_http_do_drop, gr_http_do_refresh, gr_http_do_refresh_order, gr_http_do_scheduled_refresh, gr_http_do_jobs,
    gr_http_do_reload, gr_http_do_status, gr_http_do_metrics, gr_http_do_events;
gr_http_handler gr_http_do_dj; /* dj_http.c: all routes that have a gr_dj_handler */
/* Such a request has waited long enough for its build: answer how things are. */
void gr_http_dj_take(gr_http_request *request, const gr_dj_answer *answer); /* status and headers of it */
void gr_http_dj_answer_late(gr_http_request *request);
gr_ctx gr_http_ctx(gr_http_request *request);
/* The body as JSON; *ret is NULL when there is none. */
GR_MUST_CHECK gr_status gr_http_body_json(gr_http_request *request, json_t **ret, gr_error *err);

/* stream.c: server-sent events of a build */
bool gr_http_wants_stream(const gr_http_request *request);
ssize_t gr_http_stream_read(void *cls, uint64_t pos, char *buf, size_t max);
void gr_http_stream_begin(gr_http_request *request, gr_http_build *build);           /* takes the reference */
void gr_http_stream_one(gr_http_request *request, const gr_http_progress *progress); /* one event, then the end */

/* event_stream.c: put into `out` what has happened since the last look. */
void gr_http_events_look(gr_http_request *request);

/* builds.c */
void gr_http_builds_init(gr_http_builds *builds);
void gr_http_builds_done(gr_http_builds *builds);
/* Both owned: gr_http_build_unref. The second is NULL when there is none. */
gr_http_build *gr_http_builds_put(gr_http_builds *builds, gr_str preagg_id, gr_str zone, gr_flight *flight);
gr_http_build *gr_http_builds_get(gr_http_builds *builds, gr_str preagg_id, gr_str zone);
void gr_http_build_unref(gr_http_build *build);
/* One that is in no list; owned. */
gr_http_build *gr_http_build_new(int64_t entity_id, gr_str preagg_id, gr_str zone, gr_flight *flight);
/* The texts are borrowed from the record, the error is copied to *error. */
gr_http_progress gr_http_build_look(gr_http_build *build, gr_error *error);

static inline void gr_http_count(gr_http *http, gr_http_counter counter) {
    atomic_fetch_add_explicit(&http->counters[counter], 1, memory_order_relaxed);
}
#endif
