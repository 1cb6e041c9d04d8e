/* Filling a table of a build: where it is to be, from where its rows are.
 *
 *      the statement is of the store's own engine   CREATE TABLE AS, in one go
 *      it reads what is fetched                     the same, over what was fetched
 *      it is of another engine                      its rows stream into the store, a batch at a time */
#include "exec/build.h"

static void told_fraction(void *arg, double fraction) { gr_exec_job_tell(arg, fraction); }

/* One table that is filled from elsewhere; several of a build are at once. */
typedef struct moving {
    gr_exec_job *job;
    bool tells;
    int64_t rows, bytes; /* that are told of */
} moving;

static void told_rows(void *arg, int64_t rows, int64_t bytes) {
    moving *m = arg;
    const gr_build_progress *progress = &m->job->ask->progress;
    if (m->tells) gr_exec_job_tell(m->job, -1);
    if (progress->moved) progress->moved(progress->arg, rows - m->rows, bytes - m->bytes);
    m->rows = rows;
    m->bytes = bytes;
}

static gr_status transfer(gr_exec_job *j, bool tells, gr_engine_conn *conn, const gr_ctx *ctx,
                          const gr_store_table *table, const gr_sql *load, gr_error *err) {
    gr_stream *rows;
    moving m = {.job = j, .tells = tells};
    const gr_store_told told = {.on_rows = told_rows, .arg = &m};
    GR_TRY(gr_exec_query_beside(j->exec, conn, ctx, load, &rows, err));
    gr_status status = gr_store_build_from(conn, ctx, j->rollup, table, j->exec->shared_dir, rows, told, err);
    rows->close(rows);
    return status;
}

gr_status gr_exec_fill(gr_exec_job *j, bool tells, gr_engine_conn *conn, const gr_ctx *ctx, const gr_store_table *table,
                       const gr_sql *load, gr_error *err) {
    if (!gr_exec_is_for(j->exec, conn, load)) {
        GR_TRY(transfer(j, tells, conn, ctx, table, load, err));
        return gr_store_index(conn, ctx, j->rollup, table, err);
    }
    gr_status status = gr_exec_fetch(j->exec, conn, NULL, ctx, load, err);
    if (!status)
        status = gr_store_build_in_place(conn, ctx, j->rollup, table, j->exec->shared_dir, load,
                                         tells ? told_fraction : NULL, j, err);
    gr_exec_fetched_drop(conn, load->n_fetches);
    if (!status) status = gr_store_index(conn, ctx, j->rollup, table, err);
    return status;
}
