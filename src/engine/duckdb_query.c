/* Running statements: rows as a stream, changes with progress, and the types of a SELECT without running it.
 * Invariant: when a call fails, no transaction is open on the connection (the engine would refuse everything after the
 * error until a ROLLBACK), and no interrupt of this call is still under way. */
#include "engine/duckdb_internal.h"

#include <stdlib.h>
#include <time.h>

enum { PROGRESS_US = 100 * 1000, PAUSE_NS = 500 * 1000 };

/* The end of every call on a connection. */
static gr_status finish(gr_duckdb_conn *conn, gr_duckdb_call *call, gr_status status, gr_error *err) {
    gr_status fired = gr_engine_duckdb_watch_end(&gr_engine_duckdb_of(&conn->base)->watch, call);
    if (!status) return GR_OK;
    gr_engine_duckdb_rollback(conn->handle);
    return gr_engine_duckdb_reason(conn, fired, status, err);
}

/* ---- query --------------------------------------------------------------------------------------------------------
 */

static gr_status check_rows(duckdb_prepared_statement prepared, gr_error *err) {
    duckdb_statement_type type = duckdb_prepared_statement_type(prepared);
    if (type == DUCKDB_STATEMENT_TYPE_SELECT || type == DUCKDB_STATEMENT_TYPE_EXPLAIN) return GR_OK;
    return gr_error_set(err, GR_ERR_ENGINE_SQL, "only a statement that reads rows can be run as a query");
}

/* A statement that was prepared before its tables changed plans itself again; where that fails, a fresh prepare may do.
 */
static bool is_outdated(duckdb_error_type type) {
    return type == DUCKDB_ERROR_CATALOG || type == DUCKDB_ERROR_BINDER || type == DUCKDB_ERROR_TRANSACTION;
}

static gr_status run_cached(gr_duckdb_conn *conn, const gr_ctx *ctx, gr_duckdb_statement *cached,
                            const gr_value *params, size_t n_params, gr_stream **ret, duckdb_error_type *ret_type,
                            gr_error *err) {
    *ret_type = DUCKDB_ERROR_INVALID;
    GR_TRY(gr_engine_duckdb_bind(cached->prepared, params, n_params, err));
    return gr_engine_duckdb_stream_open(conn, ctx, cached->prepared, ret, ret_type, err);
}

static gr_status run_query(gr_duckdb_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params, size_t n_params,
                           bool hint_cache, gr_stream **ret, gr_error *err) {
    duckdb_error_type type;
    uint64_t generation = atomic_load(&gr_engine_duckdb_of(&conn->base)->generation);
    if (conn->generation != generation) gr_engine_duckdb_forget(&conn->base);
    conn->generation = generation;
    gr_duckdb_statement *cached = hint_cache ? gr_engine_duckdb_cached(conn, sql) : NULL;
    if (cached) {
        gr_status status = run_cached(conn, ctx, cached, params, n_params, ret, &type, err);
        if (!status || !is_outdated(type)) return status;
        gr_engine_duckdb_uncache(cached);
    }
    duckdb_prepared_statement prepared;
    GR_TRY(gr_engine_duckdb_prepare(conn->handle, sql, &prepared, err));
    gr_status status = check_rows(prepared, err);
    if (!status) status = gr_engine_duckdb_bind(prepared, params, n_params, err);
    if (!status) status = gr_engine_duckdb_stream_open(conn, ctx, prepared, ret, &type, err);
    if (!status && hint_cache && sql.n <= GR_DUCKDB_CACHED_SQL_BYTES)
        gr_engine_duckdb_cache(conn, sql, prepared);
    else
        duckdb_destroy_prepare(&prepared);
    return status;
}

gr_status gr_engine_duckdb_query(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                 size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    gr_duckdb_call call;
    atomic_store(&conn->is_interrupted, false);
    gr_engine_duckdb_stream_detach(conn);
    GR_TRY(gr_engine_duckdb_watch_begin(&gr_engine_duckdb_of(base)->watch, &call, conn->handle, ctx, err));
    gr_engine_duckdb_running_begin(&conn->running);
    gr_status status = finish(conn, &call, run_query(conn, ctx, sql, params, n_params, hint_cache, ret, err), err);
    if (status) gr_engine_duckdb_running_end(&conn->running);
    return status;
}

/* ---- update -------------------------------------------------------------------------------------------------------
 */

typedef struct progress {
    void (*call)(void *arg, double fraction);
    void *arg;
    int64_t next_us;
} progress;

static void report(progress *p, duckdb_connection handle) {
    int64_t now = gr_clock_mono_us();
    if (now < p->next_us) return;
    p->next_us = now + PROGRESS_US;
    double percent = duckdb_query_progress(handle).percentage;
    p->call(p->arg, percent < 0 ? -1.0 : percent > 100 ? 1.0 : percent / 100);
}

/* Without these settings progress is -1. */
static gr_status want_progress(gr_duckdb_conn *conn, gr_error *err) {
    static const char *const settings[] = {"SET enable_progress_bar = true", "SET enable_progress_bar_print = false",
                                           "SET progress_bar_time = 0"};
    for (size_t i = 0; !conn->tells_progress && i < sizeof settings / sizeof *settings; i++)
        GR_TRY(gr_engine_duckdb_run(conn->handle, gr_str_from(settings[i]), err));
    conn->tells_progress = true;
    return GR_OK;
}

/* The statement's tasks are worked off here, with pauses while only other threads have some. */
static gr_status run_with_progress(duckdb_connection handle, duckdb_prepared_statement prepared, progress *p,
                                   duckdb_result *result, gr_error *err) {
    duckdb_pending_result pending = NULL;
    duckdb_pending_state state = DUCKDB_PENDING_ERROR;
    p->next_us = gr_clock_mono_us() + PROGRESS_US;
    if (duckdb_pending_prepared(prepared, &pending) == DuckDBSuccess) {
        while ((state = duckdb_pending_execute_task(pending)) != DUCKDB_PENDING_ERROR &&
               !duckdb_pending_execution_is_finished(state)) {
            if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE) nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
            report(p, handle);
        }
    }
    gr_status status = GR_OK;
    if (state == DUCKDB_PENDING_ERROR) {
        status = gr_engine_duckdb_fail(DUCKDB_ERROR_INVALID, duckdb_pending_error(pending), err);
    } else if (duckdb_execute_pending(pending, result) != DuckDBSuccess) {
        status = gr_engine_duckdb_fail_result(result, err);
        duckdb_destroy_result(result);
    }
    duckdb_destroy_pending(&pending);
    return status;
}

/* CREATE TABLE AS tells its rows in a result of one number. */
static int64_t rows_of(duckdb_result *result) {
    int64_t rows = (int64_t)duckdb_rows_changed(result);
    const char *name = duckdb_column_name(result, 0);
    if (rows || duckdb_column_count(result) != 1 || !name || strcmp(name, "Count") != 0 ||
        duckdb_column_type(result, 0) != DUCKDB_TYPE_BIGINT)
        return rows;
    duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
    if (!chunk) return 0;
    if (duckdb_data_chunk_get_size(chunk))
        rows = *(const int64_t *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
    duckdb_destroy_data_chunk(&chunk);
    return rows;
}

/* An error has rolled back already, so that its caller's own ROLLBACK finds nothing to do. */
static bool is_idle_rollback(duckdb_prepared_statement prepared, gr_str sql, duckdb_result *result) {
    sql = gr_str_trim(sql);
    return duckdb_prepared_statement_type(prepared) == DUCKDB_STATEMENT_TYPE_TRANSACTION && sql.n >= 8 &&
           gr_str_eq_nocase(gr_str_sub(sql, 0, 8), GR_STR("rollback")) &&
           duckdb_result_error_type(result) == DUCKDB_ERROR_TRANSACTION &&
           strstr(duckdb_result_error(result), "no transaction is active");
}

static gr_status run_plain(duckdb_prepared_statement prepared, gr_str sql, duckdb_result *result, bool *ret_has_result,
                           gr_error *err) {
    *ret_has_result = duckdb_execute_prepared(prepared, result) == DuckDBSuccess;
    if (*ret_has_result) return GR_OK;
    gr_status status = GR_OK;
    if (!is_idle_rollback(prepared, sql, result)) status = gr_engine_duckdb_fail_result(result, err);
    duckdb_destroy_result(result);
    return status;
}

static gr_status run_update(gr_duckdb_conn *conn, gr_str sql, const gr_value *params, size_t n_params, progress *p,
                            int64_t *ret_rows, gr_error *err) {
    duckdb_prepared_statement prepared;
    if (p->call) GR_TRY(want_progress(conn, err));
    GR_TRY(gr_engine_duckdb_prepare(conn->handle, sql, &prepared, err));
    conn->may_be_in_transaction |= duckdb_prepared_statement_type(prepared) == DUCKDB_STATEMENT_TYPE_TRANSACTION;
    duckdb_result result;
    bool has_result = false;
    gr_status status = gr_engine_duckdb_bind(prepared, params, n_params, err);
    if (!status && p->call) {
        status = run_with_progress(conn->handle, prepared, p, &result, err);
        has_result = !status;
    } else if (!status) {
        status = run_plain(prepared, sql, &result, &has_result, err);
    }
    if (has_result) {
        if (ret_rows) *ret_rows = rows_of(&result);
        duckdb_destroy_result(&result);
    } else if (!status && ret_rows) {
        *ret_rows = 0;
    }
    duckdb_destroy_prepare(&prepared);
    return status;
}

gr_status gr_engine_duckdb_update(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                  size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                                  int64_t *ret_rows, gr_error *err) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    gr_duckdb_call call;
    progress p = {on_progress, arg, 0};
    atomic_store(&conn->is_interrupted, false);
    gr_engine_duckdb_stream_detach(conn);
    GR_TRY(gr_engine_duckdb_watch_begin(&gr_engine_duckdb_of(base)->watch, &call, conn->handle, ctx, err));
    gr_engine_duckdb_running_begin(&conn->running);
    gr_status status = finish(conn, &call, run_update(conn, sql, params, n_params, &p, ret_rows, err), err);
    gr_engine_duckdb_running_end(&conn->running);
    return status;
}

/* ---- describe -----------------------------------------------------------------------------------------------------
 */

/* False when a parameter leaves the types open: then the engine tells one column of unknown type. */
static bool types_are_known(duckdb_prepared_statement prepared) {
    size_t n = (size_t)duckdb_prepared_statement_column_count(prepared);
    for (size_t i = 0; i < n; i++)
        if (duckdb_prepared_statement_column_type(prepared, i) == DUCKDB_TYPE_INVALID) return false;
    return true;
}

static gr_status schema_of_prepared(duckdb_prepared_statement prepared, gr_arena *arena, gr_column_schema **ret,
                                    size_t *ret_n, gr_error *err) {
    size_t n = (size_t)duckdb_prepared_statement_column_count(prepared);
    gr_column_schema *schema = GR_NEW_N(arena, gr_column_schema, n + 1);
    gr_status status = GR_OK;
    for (size_t i = 0; i < n && !status; i++) {
        const char *name = duckdb_prepared_statement_column_name(prepared, i);
        duckdb_logical_type type = duckdb_prepared_statement_column_logical_type(prepared, i);
        status = gr_engine_duckdb_type(type, gr_arena_dup(arena, gr_str_from(name)), &schema[i], err);
        duckdb_destroy_logical_type(&type);
        duckdb_free((void *)(uintptr_t)name);
    }
    if (status) return status;
    *ret = schema;
    *ret_n = n;
    return GR_OK;
}

static gr_status schema_of_result(duckdb_result *result, gr_arena *arena, gr_column_schema **ret, size_t *ret_n,
                                  gr_error *err) {
    gr_duckdb_reader *reader;
    GR_TRY(gr_engine_duckdb_reader_new(result, arena, &reader, err));
    *ret = GR_NEW_N(arena, gr_column_schema, duckdb_column_count(result) + 1);
    memcpy(*ret, gr_engine_duckdb_reader_schema(reader, ret_n), duckdb_column_count(result) * sizeof **ret);
    gr_engine_duckdb_reader_free(reader);
    return GR_OK;
}

/* With every parameter NULL the engine settles the types; LIMIT 0 reads no row. */
static gr_status schema_by_running(gr_duckdb_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                   size_t *ret_n, gr_error *err) {
    sql = gr_str_trim(sql);
    while (sql.n && sql.p[sql.n - 1] == ';') sql = gr_str_trim(gr_str_sub(sql, 0, sql.n - 1));
    gr_str wrapped = gr_arena_printf(arena, "SELECT * FROM (\n" GR_FMT "\n) LIMIT 0", GR_ARG(sql));
    duckdb_prepared_statement prepared;
    GR_TRY(gr_engine_duckdb_prepare(conn->handle, wrapped, &prepared, err));
    for (idx_t i = 1; i <= duckdb_nparams(prepared); i++) duckdb_bind_null(prepared, i);
    duckdb_result result;
    gr_status status = duckdb_execute_prepared(prepared, &result) == DuckDBSuccess
                           ? schema_of_result(&result, arena, ret, ret_n, err)
                           : gr_engine_duckdb_fail_result(&result, err);
    duckdb_destroy_result(&result);
    duckdb_destroy_prepare(&prepared);
    return status;
}

gr_status gr_engine_duckdb_describe(gr_engine_conn *base, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                    size_t *ret_n, gr_error *err) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    gr_engine_duckdb_stream_detach(conn);
    gr_engine_duckdb_running_begin(&conn->running);
    duckdb_prepared_statement prepared = NULL;
    gr_status status = gr_engine_duckdb_prepare(conn->handle, sql, &prepared, err);
    if (!status) status = check_rows(prepared, err);
    if (!status && types_are_known(prepared))
        status = schema_of_prepared(prepared, arena, ret, ret_n, err);
    else if (!status)
        status = schema_by_running(conn, sql, arena, ret, ret_n, err);
    duckdb_destroy_prepare(&prepared);
    if (status) gr_engine_duckdb_rollback(conn->handle);
    gr_engine_duckdb_running_end(&conn->running);
    return status;
}
