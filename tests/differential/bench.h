/* The product under test, in a folder of its own: a source database with the tables of some worlds, a store, a catalog;
 * and one query run through it, with rollups, with some, and without. */
#ifndef DIFFERENTIAL_BENCH_H
#define DIFFERENTIAL_BENCH_H
#include "differential/world.h"
#include "exec/exec.h"

/* Of who looks over the shoulder of diff_bench_run; each may be NULL. */
typedef struct diff_watch {
    void *arg;
    void (*on_plan)(void *arg, const gr_plan *plan); /* the one that is executed, while its snapshot is held */
    void (*before_build)(void *arg, const gr_ctx *ctx, const gr_rollup *rollup, const gr_tz *zone, gr_build_ask *ask);
    void (*after_build)(void *arg);
} diff_watch;

typedef struct diff_bench {
    gr_arena *arena;
    gr_config *config;
    gr_exec *exec;
    gr_str dir;
    diff_watch watch;
} diff_bench;

/* Makes the folder and fills the source. On failure nothing is left. `n_threads`: of the engine. */
GR_MUST_CHECK gr_status diff_bench_open(const diff_world *worlds, size_t n, int n_threads, diff_bench *ret,
                                        gr_error *err);
/* With more lines in the section `build:` of its configuration. */
GR_MUST_CHECK gr_status diff_bench_open_with(const diff_world *worlds, size_t n, int n_threads, const char *build,
                                             diff_bench *ret, gr_error *err);
/* As after a restart; no model is in service then. */
GR_MUST_CHECK gr_status diff_bench_reopen(diff_bench *bench, gr_error *err);
void diff_bench_close(diff_bench *bench);
/* The clock of the product, from now on. */
void diff_bench_set_now(int64_t now_us);
/* Put a model in service. */
GR_MUST_CHECK gr_status diff_bench_load(diff_bench *bench, gr_str yaml, gr_error *err);
/* Load the world's model and put it in service. */
GR_MUST_CHECK gr_status diff_bench_use(diff_bench *bench, const diff_world *world, gr_error *err);

/* define.c: of some rollups a part by API, and built of that a part. diff_bench_use calls both. */
GR_MUST_CHECK gr_status diff_bench_clear(diff_bench *bench, gr_error *err);
GR_MUST_CHECK gr_status diff_bench_define(diff_bench *bench, uint64_t seed, gr_error *err);

/* One way through the product. */
typedef struct diff_run {
    gr_status status;
    gr_error err;
    gr_table *table;
    int64_t total; /* -1: not asked for */
    gr_str sql;
    gr_str served_by;     /* ids of the rollups that it reads, and the source beside them; empty: the source alone */
    bool is_tiled;        /* a range was cut: a rollup gives part of one fact */
    bool is_lambda;       /* a rollup is read as a part of a rollup_lambda */
    bool is_live;         /* … and the source beside it */
    bool has_unmergeable; /* a rollup serves a measure that is only right at its exact grain */
    gr_refusal *refusals;
    size_t n_refusals, n_builds;
    int64_t took_us; /* all of it, builds included */
} diff_run;

/* Parse against the model in service. *ret_snapshot is held until diff_bench_release. */
GR_MUST_CHECK gr_status diff_bench_parse(diff_bench *bench, json_t *query, int64_t now_us, gr_arena *arena,
                                         gr_query **ret, gr_error *err);
typedef enum diff_path {
    DIFF_WITHOUT_ROLLUPS,
    DIFF_WITH_ROLLUPS,
    DIFF_WITH_SOME, /* a random subset of the rollups */
} diff_path;
void diff_bench_run(diff_bench *bench, json_t *query, int64_t now_us, diff_path path, uint64_t seed, gr_arena *arena,
                    diff_run *ret);
#endif
