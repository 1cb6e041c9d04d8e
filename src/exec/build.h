/* What the files of one build share: the job, the range of time that it stores, and the partitions of that. */
#ifndef GR_EXEC_BUILD_H
#define GR_EXEC_BUILD_H
#include "exec/internal.h"

typedef struct gr_exec_job {
    gr_exec *exec;
    const gr_ctx *ctx;
    const gr_rollup *rollup;
    const gr_build_ask *ask;
    gr_build_claim claim;
    gr_sql load;
    gr_store_table table;
    gr_store_stat stat;
    const gr_snapshot *snapshot; /* of the definition */
    const gr_snapshot *current;  /* whose tables may be read; held */
    const gr_tz *zone;
    gr_sql_load_options options;
    gr_range range;   /* of the build range, in whole buckets */
    int64_t as_of_us; /* of the oldest stored table that is read */
    int64_t verified_us;
    int64_t closed_us;      /* of a build range that says where it ends; INT64_MIN: it does not */
    bool is_foreign;        /* a table of that name was there before: not ours to drop */
    int64_t *added, *ended; /* partitions that are to be published, and those that go */
    size_t n_added, n_ended;
    GR_VEC(gr_str) dropped; /* tables of chunks that failed: gone, and to be forgotten with the build's record */
    gr_str coverage;
    bool is_news; /* what was asked for is said to be missing: that it is there, or need not be, is to be published */
    gr_build_result result;
    int64_t told_us;
} gr_exec_job;

/* The first time column as it is stored, the one that ranges are about. */
typedef struct gr_exec_axis {
    const gr_granularity *granularity;
    const gr_tz *tz;
    int64_t anchor;
} gr_exec_axis;
gr_exec_axis gr_exec_axis_of(const gr_rollup *rollup, const gr_tz *zone, int64_t now_us);
/* The start of the bucket that was still open in a table whose last bucket is this one; INT64_MIN: it has none. */
int64_t gr_exec_closed_until(const gr_rollup *rollup, const gr_tz *zone, int64_t last_us, int64_t now_us);

/* ---- range.c ---- */
typedef struct gr_exec_range {
    gr_run run;            /* whole stored buckets */
    bool has_from, has_to; /* told by the model: what lies beyond is not stored. Else there is nothing beyond */
    int64_t closed_us; /* start of the bucket that was still open; INT64_MIN: unknown, without partitions and has_to */
    int64_t n_without_time;
} gr_exec_range;
/* Asks the source. Errors: preagg.build_range, engine.*. */
GR_MUST_CHECK gr_status gr_exec_range_read(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx,
                                           const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                           gr_sql_load_options options, gr_exec_range *ret, gr_error *err);

typedef struct gr_exec_part {
    gr_run run;
    int64_t start_us;            /* of the hour, day, …: its name; INT64_MIN: rows without a time */
    const gr_partition_row *row; /* what there is of it, or NULL */
    gr_str value, fingerprint;   /* as of now */
    bool is_due, is_made;        /* now */
} gr_exec_part;
typedef GR_VEC(gr_exec_part) gr_exec_parts;
/* In order of time, rows without one first. Errors: preagg.partitions (more than `most`). */
GR_MUST_CHECK gr_status gr_exec_parts_list(const gr_rollup *rollup, const gr_tz *zone, const gr_exec_range *range,
                                           int64_t most, int64_t now_us, gr_arena *arena, gr_exec_parts *ret,
                                           gr_error *err);
/* "20240105", "2024010512", "null" (cube.md 6.2). */
gr_str gr_exec_part_digits(const gr_rollup *rollup, int64_t start_us, gr_arena *arena);

/* ---- fill.c ---- */
/* Make and fill a table on a connection to the store. `tells`: the job's progress is this table's. */
GR_MUST_CHECK gr_status gr_exec_fill(gr_exec_job *job, bool tells, gr_engine_conn *conn, const gr_ctx *ctx,
                                     const gr_store_table *table, const gr_sql *load, gr_error *err);

/* ---- parts.c ---- */
/* Build the partitions that are due, as far as the ask wants them; the job then has what is to be published. What was
 * made stays made when this fails. */
GR_MUST_CHECK gr_status gr_exec_parts_build(gr_exec_job *job, gr_engine_conn *conn, gr_error *err);

/* How many are due, without building any. */
GR_MUST_CHECK gr_status gr_exec_parts_look(gr_exec_job *job, gr_engine_conn *conn, size_t *ret_due, gr_error *err);
/* Of a rollup without partitions: whether it is due, and with which values. */
GR_MUST_CHECK gr_status gr_exec_whole_look(gr_exec_job *job, gr_engine_conn *conn, gr_exec_part *ret, gr_error *err);
/* Its table is filled: recorded, to be published in place of the one before. */
GR_MUST_CHECK gr_status gr_exec_whole_made(gr_exec_job *job, const gr_exec_part *part, int64_t built_us, gr_error *err);

/* ---- compact.c ---- */
/* The tables of the served version, where they are too many, in fewer; the job then has what is to be published. */
GR_MUST_CHECK gr_status gr_exec_parts_compact(gr_exec_job *job, gr_engine_conn *conn, gr_error *err);

/* ---- verify.c ---- */
typedef struct gr_exec_key {
    int64_t key_us; /* gr_sql_verify */
    gr_str what;
} gr_exec_key;
typedef GR_VEC(gr_exec_key) gr_exec_keys;
/* Partitions in which a table (FROM text) differs from the source over `options`. */
GR_MUST_CHECK gr_status gr_exec_differences(gr_engine_conn *conn, const gr_ctx *ctx, const gr_exec *exec,
                                            const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                            gr_sql_load_options options, gr_str table, gr_exec_keys *ret,
                                            gr_error *err);
/* The same as a verdict. *ret_verified_us: when it was found equal; 0: it was not compared (build.verify, a rollup that
 * has nothing to compare). Errors: preagg.mismatch, engine.*. */
GR_MUST_CHECK gr_status gr_exec_verify(const gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx,
                                       const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                       gr_sql_load_options options, gr_str table, int64_t *ret_verified_us,
                                       gr_error *err);

/* ---- coverage.c ---- */
/* `closed_us`: where the first of its partitions was still open. */
gr_str gr_exec_coverage_of_parts(const gr_exec_job *job, const gr_exec_range *range, int64_t closed_us);

/* ---- build.c ---- */
bool gr_exec_is_taken(const gr_error *err); /* a CREATE TABLE met a table of that name: it is not ours */
void gr_exec_job_tell(gr_exec_job *job, double fraction);
#endif
