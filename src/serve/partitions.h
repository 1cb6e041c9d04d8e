/* Partitions of an entity: which there are, what is built of them, and building chosen ones again.
 *
 * Threads: any. Memory: results live in `arena` (ctx->arena), inputs are borrowed during the call. Source: cube.md 6.2,
 * 6.4; decisions 2. */
#ifndef GR_SERVE_PARTITIONS_H
#define GR_SERVE_PARTITIONS_H
#include "serve/entities.h"

typedef enum gr_partition_status {
    GR_PARTITION_BUILT,
    GR_PARTITION_MISSING,
    GR_PARTITION_QUARANTINED
} gr_partition_status;
gr_str gr_serve_partition_status_name(gr_partition_status status); /* static */

typedef struct gr_partition_view {
    gr_partition_status status;
    gr_str digits;   /* "20240101"; "null": the rows without a time; empty: not partitioned */
    gr_str name;     /* "orders_main20240101" */
    gr_str from, to; /* ISO 8601 without zone, on the entity's own clock, `to` exclusive; empty: without bound */
    gr_str table;    /* "catalog.schema.table"; several may share one. Empty when it is missing, like what follows */
    int64_t rows, bytes, built_us, verified_us;
    gr_str checksum, refresh_value;
    int64_t since; /* the version of the entity that has it first */
    gr_str quarantine;
} gr_partition_view;

typedef struct gr_partitions_view {
    gr_entity_view entity;
    gr_str zone;          /* of the entity's clock */
    gr_partition_view *v; /* in order of time, rows without one first */
    size_t n, counts[3];  /* by status */
    int64_t rows;
    bool is_building;
    bool has_flight; /* it is built by this process: `flight` says how far */
    gr_flight_view flight;
} gr_partitions_view;
/* What is missing of an entity of which nothing is built is asked of the source; else nobody is asked. Errors:
 * preagg.not_found, preagg.too_many_partitions, engine.*, catalog.*. */
GR_MUST_CHECK gr_status gr_serve_partitions(gr_serve *serve, const gr_ctx *ctx, int64_t id, gr_partitions_view *ret,
                                            gr_error *err);

/* Neither names nor a range: all. */
typedef struct gr_partitions_ask {
    const gr_str *names; /* "20240101", "2024-01-01", "2024-01-01T05", "orders_main20240101", "null" */
    size_t n_names;
    gr_str from, to; /* dates or times on the entity's clock (or with a zone of their own), both inclusive */
    bool is_forced;  /* also what is fresh */
} gr_partitions_ask;
/* Claims the build at once and starts it, as gr_serve_materialize does; what is chosen by name or range is built and
 * nothing else. *ret_flight (owned) is NULL when there is nothing to do. Errors: preagg.not_found,
 * preagg.partition_not_found (404), query.date, preagg.materializing, preagg.external, preagg.stale, http.busy,
 * engine.*, plan.*. */
GR_MUST_CHECK gr_status gr_serve_partitions_refresh(gr_serve *serve, const gr_ctx *ctx, int64_t id,
                                                    const gr_partitions_ask *ask, gr_actor actor, gr_entity_view *ret,
                                                    gr_flight **ret_flight, gr_error *err);

/* ---- shared with jobs.c ------------------------------------------------------------------------------------------ */
/* A bound as it was written: a wall clock, or an instant. */
typedef struct gr_bound {
    int64_t us;
    bool is_instant;
} gr_bound;
/* Both inclusive; a date alone as the end is all of its day. Errors: query.date. */
GR_MUST_CHECK gr_status gr_serve_bounds_read(gr_str from, gr_str to, gr_bound ret[2], gr_error *err);
/* The stored time of a rollup that lies between them, where a wall clock is that of `zone`. */
gr_run gr_serve_bounds_run(const gr_bound bounds[2], const gr_tz *zone, const gr_tz *stored);
#endif
