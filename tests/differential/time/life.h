/* One case of the harness with time: a world whose first table changes, a virtual clock, the product over it, and every
 * version that the table ever had.
 *
 *      version   0 ----- 1 ----- 2 ----- 3 ----- 4        each change of the table makes one
 *      partition     a@0             b@2     c@3          made from the version of that moment
 *      as served     rows of a from 0, of b from 2, of c from 3; of what no rollup covers, from 4
 *
 * Invariant: a query that is served by a rollup has the answer that the reference evaluator gives over "as served".
 * Memory: everything in one arena. */
#ifndef DIFFERENTIAL_TIME_LIFE_H
#define DIFFERENTIAL_TIME_LIFE_H
#include "differential/generate.h"
#include "differential/judge.h"

#define TIME_SECOND INT64_C(1000000)
#define TIME_HOUR (3600 * TIME_SECOND)
#define TIME_DAY (24 * TIME_HOUR)

/* A partition (or all of an unpartitioned rollup), and what it was made from. */
typedef struct time_made {
    int64_t id;
    size_t version;
    int64_t now_us;
} time_made;

/* After a look that misses nothing all that an entity serves is of this version. */
typedef struct time_promise {
    int64_t entity_id;
    size_t version;
} time_promise;

enum { TIME_MAX_ROLLUPS = 2 };

typedef struct time_counts {
    uint64_t queries, served, mixed, skipped, failed_builds, builds, kept, replaced, unsure, reopened, by_law,
        compactions;
} time_counts;

typedef struct time_life {
    gr_arena *arena;
    diff_world world;         /* cubes[0].table is the version of now */
    const diff_table *pool;   /* rows that come into being later */
    size_t n_pooled, ts;      /* next row of the pool; the dimension of the ranged column */
    const gr_tz *tz;          /* of the first zone */
    int64_t jump_us, unit_us; /* times lie around this jump of the clock; about one partition */
    unsigned null_percent;
    int64_t now_us, redefined_us; /* since then the rollups are as they are */
    diff_bench bench;
    GR_VEC(const diff_table *) versions;
    GR_VEC(time_made) made;
    GR_VEC(time_promise) promises;
    size_t n_stretched; /* partitions_at_once */
    gr_buf log;
    bool is_quiet; /* a fault is noted, and not printed */
    gr_str fault;  /* the first; empty: none */
    time_counts *counts;
    /* of the query that runs */
    const diff_table *served;
    bool is_skipped, is_by_rollup, is_mixed, is_promised;
} time_life;

#define TIME_LOG(life, ...) gr_buf_printf(&(life)->log, __VA_ARGS__)
void time_fail(time_life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool time_is_well(const time_life *life) { return !life->fault.n; }
static inline size_t time_version(const time_life *life) { return life->versions.n - 1; }
static inline diff_table *time_table(const time_life *life) { return life->world.cubes[0].table; }

/* ---- world.c ---- */
/* Everything but the product. */
void time_life_make(time_life *life, uint64_t seed, uint64_t number);
/* Another partition size, refresh key or zone of one rollup. */
void time_change_rollup(time_life *life, diff_random *r, diff_rollup *rollup);
gr_str time_yaml(const time_life *life, gr_arena *arena);
/* A time around the jump, as the table's column holds it. */
diff_value time_random_cell(const time_life *life, diff_random *r);
int64_t time_random_instant(const time_life *life, diff_random *r);
/* The instant of a row; false: it has none. */
bool time_of_row(const diff_table *table, size_t row, int64_t *ret_us);

/* ---- change.c: changes of the table ---- */
typedef enum time_change {
    TIME_INSERT_LAST,
    TIME_INSERT_LATE,
    TIME_UPDATE,
    TIME_MOVE,
    TIME_DELETE,
    TIME_DELETE_STRETCH,
    TIME_DELETE_ALL
} time_change;
void time_change_table(time_life *life, diff_random *r, time_change change);
/* Statements on the source, run as the product would. */
gr_status time_run_sql(time_life *life, gr_str sql, gr_error *err);

/* ---- served.c: what is served, and whether the state of it is sound ---- */
const time_made *time_made_of(const time_life *life, int64_t id);
/* After a build: partitions that were not there before are of the version of now. */
void time_note_made(time_life *life);
void time_check_states(time_life *life);
void time_on_plan(void *life, const gr_plan *plan);
/* The rows of a version in a run of a rollup's ranged column are the same as those of another. */
bool time_is_same_slice(const time_life *life, const gr_rollup *rollup, const gr_tz *zone, const gr_run *run, size_t a,
                        size_t b, int64_t anchor_now_us);

size_t time_rows_in(const time_life *life, const gr_rollup *rollup, const gr_tz *zone, const gr_run *run,
                    size_t version, int64_t anchor_now_us);

/* ---- refresh.c ---- */
void time_refresh(time_life *life, diff_random *r);
/* Everything that is not fresh, with a look at the fingerprint. */
void time_look(time_life *life, diff_random *r);
/* A build that fails: the table is away, or a row of it cannot be read. */
void time_fail_refresh(time_life *life, diff_random *r);
/* What serves is compared with the source; what is closed and differs does not serve any more. */
void time_verify(time_life *life, diff_random *r);
/* Everything, whatever is fresh. */
void time_refresh_all(time_life *life, diff_random *r);
void time_before_build(void *life, const gr_ctx *ctx, const gr_rollup *rollup, const gr_tz *zone, gr_build_ask *ask);
void time_after_build(void *life);

/* ---- ask.c ---- */
void time_ask(time_life *life, diff_random *r);

/* ---- script.c ---- */
enum { TIME_MAX_STEPS = 24 };
/* Lives the case; `without[i]`: the step is left out. `life` comes with arena, counts and is_quiet; afterwards it has
 * fault and log. *ret_steps: how many there are. */
void time_live(time_life *life, uint64_t seed, uint64_t number, const bool *without, size_t *ret_steps);

#endif
