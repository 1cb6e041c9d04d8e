/* The registry of sources and stores: opens them, assembles snapshots (model + what is built), runs plans and builds.
 *
 * Snapshots are immutable and counted. An older snapshot holds the one that came after it, so that the tables which a
 * publish made obsolete are dropped exactly when the last snapshot that could read them is gone.
 * Threads: any, unless said otherwise. */
#ifndef GR_EXEC_EXEC_H
#define GR_EXEC_EXEC_H
#include "catalog/catalog.h"
#include "store/store.h"

typedef struct gr_exec gr_exec;

/* Opens engine and catalog (storage folder is made when missing). `config` is borrowed for life. */
GR_MUST_CHECK gr_status gr_exec_open(const gr_config *config, gr_exec **ret, gr_error *err);
void gr_exec_close(gr_exec *exec); /* no snapshot may be left but the current one */
const gr_dialect *gr_exec_dialect(const gr_exec *exec);
gr_catalog *gr_exec_catalog(const gr_exec *exec);

/* The model against the configuration: data sources that do not exist, rollups in sources that cannot be written.
 * Errors: model.errors, with what is wrong in `diags`. */
GR_MUST_CHECK gr_status gr_exec_check_model(const gr_config *config, const gr_model *model, gr_diags *diags,
                                            gr_error *err);
/* Take a model into service: check its data sources against the configuration, attach them, learn column types, declare
 * its entities, and publish a snapshot. The model is referenced. Problems that do not stop it go to `diags`.
 * Errors: engine.*, catalog.*, model.* (unknown data source; external: false in a source that cannot be written). */
GR_MUST_CHECK gr_status gr_exec_set_model(gr_exec *exec, gr_model *model, gr_diags *diags, gr_error *err);
const gr_snapshot *gr_exec_snapshot_ref(gr_exec *exec);                /* NULL before the first model */
const gr_snapshot *gr_exec_snapshot_hold(const gr_snapshot *snapshot); /* one more reference to this one */
void gr_exec_snapshot_unref(const gr_snapshot *snapshot);

/* Run a rendered plan on a pooled connection; the stream gives it back when closed. */
GR_MUST_CHECK gr_status gr_exec_query(gr_exec *exec, const gr_ctx *ctx, gr_str data_source, const gr_sql *sql,
                                      gr_stream **ret, gr_error *err);
/* Run one statement without rows on a pooled connection. */
GR_MUST_CHECK gr_status gr_exec_update(gr_exec *exec, const gr_ctx *ctx, gr_str data_source, const gr_sql *sql,
                                       gr_error *err);
/* Build `rollup` of `snapshot` for `zone`, record it, publish a new snapshot. One build at a time (the caller's lane).
 * A failure is recorded too, with the time before which no query tries again. */
GR_MUST_CHECK gr_status gr_exec_build(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                      const gr_rollup *rollup, const gr_tz *zone, void (*on_progress)(void *, double),
                                      void *arg, int64_t *ret_rows, gr_error *err);
/* Drop every table of the pre-aggregation, in all zones, and publish a snapshot without them. */
GR_MUST_CHECK gr_status gr_exec_drop(gr_exec *exec, const gr_ctx *ctx, const gr_rollup *rollup, size_t *ret_tables,
                                     gr_error *err);
/* A table that a snapshot names does not exist (somebody deleted the store, or exchanged the source's file). */
bool gr_exec_is_gone(gr_exec *exec, const gr_ctx *ctx, gr_str table);
/* The catalog's row of a rollup in a zone; *ret_found false when it was never declared. */
GR_MUST_CHECK gr_status gr_exec_entity(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                       const gr_tz *zone, gr_arena *arena, gr_preagg_row *ret, bool *ret_found,
                                       gr_error *err);
#endif
