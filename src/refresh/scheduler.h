/* When to look at which pre-aggregation, and what to do then. Pure but for what it is given: it asks, looks and builds
 * through functions of its caller, and every call says what time it is; so a test runs years in milliseconds.
 *
 *        ┌──────────── rests until the key can have changed ───────────┐
 *        v                                                             │ fresh
 *   WAITING ──time──> asks what the key wants ──> what is stale? ──────┤
 *        ^                     │ failed                │ something     │
 *        │                     v                       v               │
 *        └──── 1, 2, 4 … 600 s, with jitter <──failed── BUILDING ──done┘
 *
 * Fair: of those that are due, the one whose last turn is longest ago comes first. A clock that is set back leaves
 * everybody the time that was left.
 * Threads: one at a time. Memory: policies are borrowed until the next gr_scheduler_set. */
#ifndef GR_REFRESH_SCHEDULER_H
#define GR_REFRESH_SCHEDULER_H
#include "refresh/refresh.h"

typedef struct gr_scheduler gr_scheduler;

/* What of an item is not as its key says. */
typedef struct gr_scheduler_due {
    bool is_built;
    size_t n_stale, n_missing;
    int64_t look_again_us; /* something closes then; INT64_MAX: nothing */
} gr_scheduler_due;

typedef struct gr_scheduler_item {
    int64_t id;
    const gr_refresh_policy *policy;
    bool builds_first; /* also when nothing of it is built yet */
    bool is_built;     /* as the caller knows: when it has become so, it is looked at at once */
} gr_scheduler_item;

typedef struct gr_scheduler_ops {
    void *arg;
    /* The value of an SQL part, as of now. */
    gr_status (*ask)(void *arg, const gr_refresh_part *part, gr_arena *arena, gr_str *ret, gr_error *err);
    gr_status (*look)(void *arg, int64_t id, const gr_refresh_policy *policy, const gr_str *sql_values,
                      gr_scheduler_due *ret, gr_error *err);
    /* Start a build; gr_scheduler_built tells its end, maybe from within. */
    void (*build)(void *arg, int64_t id, bool checks_fingerprint);
} gr_scheduler_ops;

gr_scheduler *gr_scheduler_new(gr_scheduler_ops ops, uint64_t seed);
void gr_scheduler_free(gr_scheduler *scheduler); /* accepts NULL */
/* The items from now on. What is known of an id stays known. */
void gr_scheduler_set(gr_scheduler *scheduler, const gr_scheduler_item *items, size_t n, int64_t now_us);
/* Look at one item that is due; false: none is. */
bool gr_scheduler_step(gr_scheduler *scheduler, int64_t now_us);
/* The end of a build. Its item may be gone. */
void gr_scheduler_built(gr_scheduler *scheduler, int64_t id, const char *error, int64_t now_us);
/* When the next step is due; INT64_MAX: never. */
int64_t gr_scheduler_next_us(const gr_scheduler *scheduler);
void gr_scheduler_hurry(gr_scheduler *scheduler, int64_t id, int64_t now_us); /* at its next turn; 0: all */

/* For people. */
typedef struct gr_scheduler_view {
    bool is_building;
    int64_t next_us, looked_us; /* 0: not yet */
    int64_t n_failures;         /* in a row */
    gr_str error;               /* of the last look or build; valid until the next call */
} gr_scheduler_view;
bool gr_scheduler_look(const gr_scheduler *scheduler, int64_t id, gr_scheduler_view *ret);
#endif
