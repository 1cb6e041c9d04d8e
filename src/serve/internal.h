/* What the files of this room share. */
#ifndef GR_SERVE_INTERNAL_H
#define GR_SERVE_INTERNAL_H
#include "base/mem.h"
#include "exec/exec.h"
#include "serve/events.h"
#include "serve/keys.h"
#include "serve/serve.h"
#include "serve/stats.h"

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
    gr_run run;   /* of a partitioned rollup: the time that is wanted; under the lane's lock */
    gr_run *only; /* owned: of that, what touches one of these; n_only 0: all of it */
    size_t n_only;
    bool is_forced;          /* also what is fresh */
    int64_t forced_since_us; /* and was built before then; 0: it has not begun since it was forced */
    bool is_for_refresh;     /* nobody waits for it: goes behind the others */
    bool checks_fingerprint;
    bool is_joined;        /* more was asked of it since its slice began */
    size_t n_slices;       /* that were begun */
    pthread_mutex_t mutex; /* flight: guards all below */
    pthread_cond_t cond;
    bool is_done;
    gr_status status;
    gr_error error;
    double fraction;
    uint64_t n_published; /* slices that serve already */
    int64_t started_us, rows;
    bool is_begun;
    size_t n_built;                            /* partitions, of slices that are published */
    size_t slice_done, slice_due;              /* and of the one that runs */
    int64_t rows_built, slice_rows;            /* of them */
    int64_t moved_rows, moved_bytes, moved_us; /* from one place to another; until when, since the build began */
    struct gr_flight_waiter *waiters;
    uint64_t next_ticket;
    gr_trace trace;                       /* that it was asked for in; empty: none */
    int64_t number_before, begun_mono_us; /* announce.c, on the lane's thread */
};

typedef struct gr_flight_waiter {
    struct gr_flight_waiter *next;
    bool is_for_slices; /* called when a slice is published, too */
    void (*fn)(void *);
    void *arg;
    uint64_t ticket;
} gr_flight_waiter;

/* The build lane: builds.at_once threads. First come first served, in slices: a large build goes to the end of the
 * queue after each, so that it keeps nobody waiting; who has somebody waiting goes before what is refreshed in the
 * background (every second turn, so that neither starves). */
enum { GR_LANE_MOST = 16 };
typedef struct gr_lane {
    pthread_t threads[GR_LANE_MOST];
    size_t n_threads;
    bool is_running;
    pthread_mutex_t mutex; /* lane: taken before flight */
    pthread_cond_t cond;
    gr_flight *first, *last;      /* waiting */
    gr_flight *now[GR_LANE_MOST]; /* running */
    size_t n_waiting, n_turns;
    gr_flight *failed[16]; /* the latest that failed: who asks again within seconds gets the same answer */
    int64_t failed_at_us[16];
    struct {
        int64_t entity_id, at_us;
    } checked[64]; /* whose fingerprints were compared last, and when that began */
    size_t n_checked;
    atomic_bool is_stopping;
    bool is_paused; /* drained: no flight is begun */
} gr_lane;

/* What is wanted of a build. */
typedef struct gr_lane_ask {
    gr_run run;
    const gr_run *only; /* borrowed: of that, what touches one of these; n_only 0: all of it */
    size_t n_only;
    bool is_forced;      /* also what is fresh */
    bool is_by_name;     /* also when it failed a moment ago */
    bool is_for_refresh; /* nobody waits */
    bool checks_fingerprint;
} gr_lane_ask;
typedef struct gr_refresher gr_refresher;
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
    struct gr_jobs *jobs;   /* jobs.h; NULL when check only */
    pthread_mutex_t reload; /* serve.reload: one reload at a time */
    uint64_t fingerprint;   /* of the model folder as loaded; under `reload` */
    gr_str local_token;
    gr_refresher *refresher; /* NULL: no background refresh */
    gr_serve_bus *bus;
    gr_serve_stats stats;
    atomic_int_fast64_t stop_by_us; /* 0: not said */
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

/* The flight's rollup as the newest snapshot has it; NULL when its definition is gone. */
const gr_rollup *gr_flight_rollup(const gr_flight *flight, const gr_snapshot *newest);
/* announce.c: around the run of a flight, on the lane's thread, which works for the flight's trace meanwhile; and after
 * a reload that changed something. */
void gr_serve_build_begun(gr_flight *flight);
void gr_serve_build_ended(gr_flight *flight, gr_status status, const gr_error *err);
void gr_serve_reload_told(gr_serve *serve, const gr_snapshot *before);
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

/* refresher.c */
void gr_refresher_start(gr_serve *serve);
void gr_refresher_stop(gr_serve *serve);                           /* before the lane */
void gr_refresher_free(gr_serve *serve);                           /* after it */
void gr_refresher_note_served(gr_serve *serve, int64_t entity_id); /* a query: one in verify.one_in is verified */
/* freshness.c: what the plan reads and is not as its refresh keys say now is built anew: *ret_flight (owned), or NULL.
 * What was built since `since_us` is fresh. Errors: preagg.refresh_key, … */
GR_MUST_CHECK gr_status gr_serve_revalidate(gr_serve *serve, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                            const gr_plan *plan, int64_t since_us, gr_flight **ret_flight,
                                            gr_error *err);

void gr_serve_refresh_resync(gr_serve *serve); /* schedules have changed: it reads them anew, soon */

void gr_lane_start(gr_serve *serve);
/* Drained: what waits and has not begun ends with http.busy; so does what is asked for from here on. */
void gr_lane_drain(gr_serve *serve, bool is_drained);
bool gr_lane_is_drained(gr_serve *serve);
void gr_lane_stop(gr_serve *serve);
/* The rollup of this name ("orders.main") in a snapshot, or NULL. */
const gr_rollup *gr_serve_rollup(const gr_snapshot *snapshot, gr_str preagg_id);
/* Its fingerprints were compared at this time or later, and what had changed was built. */
bool gr_lane_has_checked(gr_serve *serve, int64_t entity_id, int64_t since_us);
/* Claim a build and queue it; joins a flight that is queued already, which then runs the claim. Errors:
 * preagg.materializing, http.busy (too many wait, or drained). */
GR_MUST_CHECK gr_status gr_lane_submit_claimed(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                               const gr_tz *zone, const gr_lane_ask *ask, gr_actor actor,
                                               gr_flight **ret, gr_error *err);
/* Join the flight for the same rollup and zone of the same model, or queue a new one; unless it is forced, one that has
 * been built (or has failed) since the caller looked comes back as a finished flight. Owned by the caller. While builds
 * are drained: http.busy for what is asked for by name; for others a flight that has failed so. */
GR_MUST_CHECK gr_status gr_lane_submit(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                       const gr_tz *zone, const gr_lane_ask *ask, gr_flight **ret, gr_error *err);
#endif
