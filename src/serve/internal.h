/* What the files of this room share. */
#ifndef GR_SERVE_INTERNAL_H
#define GR_SERVE_INTERNAL_H
#include "base/mem.h"
#include "exec/exec.h"
#include "serve/keys.h"
#include "serve/serve.h"

#include <pthread.h>

/* One running or waiting build, or a query that identical ones wait for (without rollup and snapshot). Counted: the
 * lane, the registry and each waiter hold it. */
struct gr_flight {
    atomic_int refs;
    gr_serve *serve;
    gr_flight *next;             /* in the lane's queue and, until done, in the registry */
    const gr_snapshot *snapshot; /* held: rollup points into it */
    const gr_rollup *rollup;
    const gr_tz *zone;
    int64_t entity_id; /* 0: not known when it was asked for */
    bool has_claim;
    gr_build_claim claim;
    pthread_mutex_t mutex; /* flight: guards all below */
    pthread_cond_t cond;
    bool is_done;
    gr_status status;
    gr_error error;
    double fraction;
    int64_t started_us, rows;
    struct gr_flight_waiter *waiters;
    uint64_t next_ticket;
};

typedef struct gr_flight_waiter {
    struct gr_flight_waiter *next;
    void (*fn)(void *);
    void *arg;
    uint64_t ticket;
} gr_flight_waiter;

/* The build lane: one thread, first come first served (one writer at a time, duckdb.md §3). */
typedef struct gr_lane {
    pthread_t thread;
    bool is_running;
    pthread_mutex_t mutex; /* lane: taken before flight */
    pthread_cond_t cond;
    gr_flight *first, *last; /* waiting */
    gr_flight *now;          /* running */
    size_t n_waiting;
    gr_flight *failed[16]; /* the latest that failed: who asks again within seconds gets the same answer */
    int64_t failed_at_us[16];
    atomic_bool is_stopping;
} gr_lane;

/* A query that runs, for identical ones to wait for. */
typedef struct gr_lead {
    struct gr_lead *next;
    char *text; /* key and renewal */
    size_t n_text;
    gr_flight *flight;
} gr_lead;

struct gr_serve {
    const gr_config *config;
    gr_serve_options options;
    gr_exec *exec;    /* NULL when check only */
    gr_str model_dir; /* absolute */
    gr_arena *arena;
    gr_lane lane;
    pthread_mutex_t reload; /* serve.reload: one reload at a time */
    uint64_t fingerprint;   /* of the model folder as loaded; under `reload` */
    gr_str local_token;
    gr_cache *cache;
    gr_keys *keys;
    pthread_mutex_t leads_lock; /* serve.leads: stands alone */
    gr_lead *leads;
    atomic_uint_fast64_t reloads, outcomes[GR_CACHE__COUNT];
};

/* The limits of the configuration, for parsing one query. */
GR_MUST_CHECK gr_status gr_serve_query_options(const gr_serve *serve, int64_t now_us, gr_query_options *ret,
                                               gr_error *err);

/* repair.c: what would make the candidates of a report fit. `ret`: parallel to report->candidates. */
GR_MUST_CHECK gr_status gr_serve_repairs_find(const gr_serve *serve, const gr_ctx *ctx, const gr_plan *plan,
                                              const gr_plan_report *report, bool wants_estimate, gr_repair *ret,
                                              gr_error *err);

/* ---- the result cache ---- */
/* Which values of refresh keys an answer is compared with. */
typedef enum gr_renewal_how {
    GR_RENEWAL_CACHED, /* as young as the key wants */
    GR_RENEWAL_ANEW,   /* asked now */
    GR_RENEWAL_KNOWN,  /* nothing is asked; what is not known is no value */
} gr_renewal_how;
/* renewal.c: what was asked: equal texts, equal answers from the same versions. */
gr_str gr_serve_identity(const gr_query *query, gr_str form, gr_arena *arena);
/* What a planned and rendered answer is made from. Errors: those of asking a refresh key, cancelled, timeout. */
GR_MUST_CHECK gr_status gr_serve_renewal(gr_serve *serve, const gr_ctx *ctx, const gr_answer *answer,
                                         gr_renewal_how how, gr_cache_ticket *ret, gr_error *err);
gr_keys_ask gr_serve_ask_key; /* arg: the gr_serve */
/* cached.c. Of a planned answer whose SQL is rendered unless something must be built first. Sets answer->cached when
 * that is the answer; *ret_flight (owned) when an identical query runs; else the ticket, with which it is run. */
GR_MUST_CHECK gr_status gr_serve_cached_look(gr_serve *serve, const gr_ctx *ctx, const gr_request *request,
                                             gr_answer *answer, gr_flight **ret_flight, gr_error *err);
void gr_serve_cached_count(gr_serve *serve, const gr_answer *answer); /* when it is handed out */
void gr_serve_cached_lead_end(gr_cache_ticket *ticket);               /* the run has ended; its lead is NULL then */
/* flight.c: one that is ended by gr_flight_finish alone. References: the caller's. */
gr_flight *gr_flight_new_query(gr_serve *serve);
void gr_flight_finish(gr_flight *flight, gr_status status, const gr_error *err, int64_t rows);

void gr_lane_start(gr_serve *serve);
void gr_lane_stop(gr_serve *serve);
/* The rollup of this name ("orders.main") in a snapshot, or NULL. */
const gr_rollup *gr_serve_rollup(const gr_snapshot *snapshot, gr_str preagg_id);
/* Claim a build and queue it; joins a flight that is queued already, which then runs the claim. Errors:
 * preagg.materializing, http.busy. */
GR_MUST_CHECK gr_status gr_lane_submit_claimed(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                               const gr_tz *zone, gr_actor actor, gr_flight **ret, gr_error *err);
/* Join the flight for the same rollup and zone of the same model, or queue a new one; without `force`, one that has
 * been built (or has failed) since the caller looked comes back as a finished flight. Owned by the caller. */
GR_MUST_CHECK gr_status gr_lane_submit(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                       const gr_tz *zone, bool force, gr_flight **ret, gr_error *err);
#endif
