/* Running statements: rows as a stream, changes, and the types of a SELECT without running it.
 *
 * Sessions are read-only by default, so that a statement of the model never changes anything; an update opens a
 * transaction that may write. A connection that was lost while it was idle is opened again before the statement; a
 * statement that met the loss itself is an error, for nobody knows how far it came.
 *
 * Invariant: when a call fails, no transaction is open on the connection, and nothing is under way. */
#include "engine/postgres_internal.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

/* ---- parameters ----------------------------------------------------------------------------------------------------
 */

typedef struct arguments {
    int n;
    const char **values;
    Oid *types;
    gr_arena *arena;
} arguments;

/* A text has the type that its place asks for, as a literal has. */
static Oid type_of(gr_type type) {
    switch (type) {
    case GR_TYPE_BOOL: return 16;
    case GR_TYPE_INT64: return 20;
    case GR_TYPE_FLOAT64: return 701;
    case GR_TYPE_DATE: return 1082;
    case GR_TYPE_TIMESTAMP: return 1114;
    case GR_TYPE_TIMESTAMPTZ: return 1184;
    case GR_TYPE_NULL:
    case GR_TYPE_DECIMAL:
    case GR_TYPE_UTF8:
    case GR_TYPE_BINARY:
    case GR_TYPE__COUNT: break;
    }
    return 0;
}

/* As texts: PostgreSQL reads them exactly. The calendar begins in its year 2000. */
static const char *text_of(const gr_value *v, gr_arena *arena) {
    enum { DAYS_TO_2000 = 10957 };
    switch (v->type) {
    case GR_TYPE_BOOL: return v->as.b ? "t" : "f";
    case GR_TYPE_INT64: return gr_arena_printf(arena, "%lld", (long long)v->as.i).p;
    case GR_TYPE_FLOAT64: return gr_arena_printf(arena, "%.17g", v->as.d).p;
    case GR_TYPE_UTF8: return gr_arena_printf(arena, GR_FMT, GR_ARG(v->as.s)).p;
    case GR_TYPE_DATE: {
        int64_t j = v->as.i + 2440588; /* a Julian day, which PostgreSQL reads: no year is too early for it */
        return gr_arena_printf(arena, "J%lld", (long long)j).p;
    }
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: {
        int64_t day = 86400000000, us = ((v->as.i % day) + day) % day, j = (v->as.i - us) / day + 2440588;
        return gr_arena_printf(arena, "J%lld %02d:%02d:%02d.%06d%s", (long long)j, (int)(us / 3600000000),
                               (int)(us / 60000000 % 60), (int)(us / 1000000 % 60), (int)(us % 1000000),
                               v->type == GR_TYPE_TIMESTAMPTZ ? "+00" : "")
            .p;
    }
    case GR_TYPE_NULL:
    case GR_TYPE_DECIMAL:
    case GR_TYPE_BINARY:
    case GR_TYPE__COUNT: break;
    }
    return NULL;
}

static gr_status read_arguments(const gr_value *params, size_t n, gr_arena *arena, arguments *ret, gr_error *err) {
    if (n > UINT16_MAX)
        return gr_error_set(err, GR_ERR_LIMIT, "a statement with %zu values; PostgreSQL takes 65535", n);
    *ret = (arguments){(int)n, GR_NEW_N(arena, const char *, n + 1), GR_NEW_N(arena, Oid, n + 1), arena};
    for (size_t i = 0; i < n; i++) {
        if (params[i].type == GR_TYPE_UTF8 && gr_str_find(params[i].as.s, 0, 0) != SIZE_MAX)
            return gr_error_set(err, GR_ERR_ENGINE_DATA, "PostgreSQL takes no text with a zero byte in it");
        ret->types[i] = type_of(params[i].type);
        ret->values[i] = text_of(&params[i], arena);
    }
    return GR_OK;
}

/* ---- prepared statements -------------------------------------------------------------------------------------------
 */

static uint64_t hash_of(gr_str sql, const arguments *a) {
    return XXH3_64bits_withSeed(sql.p, sql.n, XXH3_64bits(a->types, (size_t)a->n * sizeof *a->types));
}

static void name_of(const gr_postgres_conn *conn, const gr_postgres_statement *s, char out[24]) {
    snprintf(out, 24, "granary_%d", (int)(s - conn->cached));
}

static gr_postgres_statement *find_cached(gr_postgres_conn *conn, gr_str sql, uint64_t hash) {
    for (size_t i = 0; i < GR_POSTGRES_CACHED; i++) {
        gr_postgres_statement *s = &conn->cached[i];
        if (s->sql && s->hash == hash && s->n == sql.n && memcmp(s->sql, sql.p, sql.n) == 0) {
            s->used_at = ++conn->tick;
            return s;
        }
    }
    return NULL;
}

static void uncache(gr_postgres_conn *conn, gr_postgres_statement *s) {
    char name[24], sql[48];
    name_of(conn, s, name);
    snprintf(sql, sizeof sql, "DEALLOCATE %s", name);
    free(s->sql);
    *s = (gr_postgres_statement){0};
    if (!gr_engine_postgres_is_lost(conn)) PQclear(PQexec(conn->pg->conn, sql));
}

void gr_engine_postgres_uncache_all(gr_postgres_conn *conn) {
    for (size_t i = 0; i < GR_POSTGRES_CACHED; i++) {
        free(conn->cached[i].sql);
        conn->cached[i] = (gr_postgres_statement){0};
    }
}

void gr_engine_postgres_forget(gr_engine_conn *base) {
    gr_postgres_conn *conn = (gr_postgres_conn *)(void *)base;
    gr_engine_postgres_stream_detach(conn);
    gr_engine_postgres_uncache_all(conn);
    if (!gr_engine_postgres_is_lost(conn)) PQclear(PQexec(conn->pg->conn, "DEALLOCATE ALL"));
}

static gr_postgres_statement *free_place(gr_postgres_conn *conn) {
    gr_postgres_statement *oldest = conn->cached;
    for (size_t i = 0; i < GR_POSTGRES_CACHED; i++) {
        if (!conn->cached[i].sql) return &conn->cached[i];
        if (conn->cached[i].used_at < oldest->used_at) oldest = &conn->cached[i];
    }
    uncache(conn, oldest);
    return oldest;
}

static gr_status prepare(gr_postgres_conn *conn, const char *sql, size_t n, uint64_t hash, const arguments *a,
                         gr_postgres_wait *wait, gr_postgres_statement **ret, gr_error *err) {
    char name[24];
    gr_postgres_statement *s = free_place(conn);
    name_of(conn, s, name);
    PGresult *result = NULL;
    if (PQsendPrepare(conn->pg->conn, name, sql, a->n, a->types)) result = gr_engine_postgres_wait_next(conn, wait);
    gr_status status = GR_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) status = gr_engine_postgres_fail(conn, result, wait->fired, err);
    PQclear(result);
    gr_engine_postgres_drain(conn, false);
    if (status) return status;
    *s = (gr_postgres_statement){gr_mem_dup(sql, n), n, hash, ++conn->tick};
    *ret = s;
    return GR_OK;
}

/* ---- query ---------------------------------------------------------------------------------------------------------
 */

static size_t after_comment(gr_str sql, size_t at) {
    const char *end = gr_str_starts(gr_str_sub(sql, at, sql.n - at), GR_STR("--")) ? "\n" : "*/";
    size_t found = gr_str_find_str(gr_str_sub(sql, at, sql.n - at), gr_str_from(end));
    return found == SIZE_MAX ? sql.n : at + found + strlen(end);
}

/* By its first word: what a session reads changes nothing, and what sets something would be there for the next user. */
static gr_status check_reads(gr_str sql, gr_error *err) {
    static const char *const words[] = {"select", "with", "values", "table", "explain", "show", NULL};
    size_t at = 0;
    while (at < sql.n) {
        gr_str rest = gr_str_sub(sql, at, sql.n - at);
        if (gr_str_starts(rest, GR_STR("--")) || gr_str_starts(rest, GR_STR("/*")))
            at = after_comment(sql, at);
        else if (strchr(" \t\r\n\f(", sql.p[at]) && sql.p[at])
            at++;
        else
            break;
    }
    for (const char *const *w = words; *w; w++) {
        size_t n = strlen(*w);
        if (sql.n - at > n && gr_str_eq_nocase(gr_str_sub(sql, at, n), gr_str_from(*w)) &&
            !isalnum((unsigned char)sql.p[at + n]) && sql.p[at + n] != '_')
            return GR_OK;
    }
    return gr_error_set(err, GR_ERR_ENGINE_SQL, "only a statement that reads rows can be run as a query");
}

typedef struct job {
    gr_postgres_conn *conn;
    gr_postgres_wait wait;
    gr_arena *arena;
    gr_str sql;
    const char *text; /* the same, with a zero byte at its end */
    arguments args;
} job;

/* What went over the wire and came back, when that was nothing but a complaint about a prepared statement. */
static bool is_outdated(const PGresult *result) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    return state && (strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0);
}

/* The first result of the statement, in single-row mode. */
static gr_status send_query(job *j, bool is_cached, bool *ret_was_known, PGresult **ret, gr_error *err) {
    gr_postgres_conn *conn = j->conn;
    PGconn *pg = conn->pg->conn;
    int is_sent;
    *ret = NULL;
    if (is_cached) {
        char name[24];
        uint64_t hash = hash_of(j->sql, &j->args);
        gr_postgres_statement *s = find_cached(conn, j->sql, hash);
        *ret_was_known = s != NULL;
        if (!s) GR_TRY(prepare(conn, j->text, j->sql.n, hash, &j->args, &j->wait, &s, err));
        name_of(conn, s, name);
        is_sent = PQsendQueryPrepared(pg, name, j->args.n, j->args.values, NULL, NULL, 1);
        if (is_sent) PQsetSingleRowMode(pg);
        if (is_sent) *ret = gr_engine_postgres_wait_next(conn, &j->wait);
        if (*ret_was_known && is_outdated(*ret)) uncache(conn, s);
    } else {
        *ret_was_known = false;
        is_sent = PQsendQueryParams(pg, j->text, j->args.n, j->args.types, j->args.values, NULL, NULL, 1);
        if (is_sent) PQsetSingleRowMode(pg);
        if (is_sent) *ret = gr_engine_postgres_wait_next(conn, &j->wait);
    }
    ExecStatusType code = PQresultStatus(*ret);
    if (code == PGRES_SINGLE_TUPLE || code == PGRES_TUPLES_OK) return GR_OK;
    if (code == PGRES_COMMAND_OK || code == PGRES_COPY_IN || code == PGRES_COPY_OUT || code == PGRES_EMPTY_QUERY)
        return gr_error_set(err, GR_ERR_ENGINE_SQL, "only a statement that reads rows can be run as a query");
    return gr_engine_postgres_fail(conn, *ret, j->wait.fired, err);
}

/* A type that is met for the first time is asked for, and the statement, which only reads, sent once more. */
static gr_status open_stream(job *j, PGresult *first, bool is_again, gr_stream **ret, bool *ret_again, gr_error *err) {
    gr_column_schema *schema;
    Oid unknown = 0;
    gr_arena *scratch = gr_arena_new();
    gr_status status = gr_engine_postgres_schema(j->conn, first, scratch, &schema, &unknown, err);
    gr_arena_free(scratch);
    *ret_again = !status && unknown && !is_again;
    if (!status && !unknown) return gr_engine_postgres_stream_open(j->conn, &j->wait, first, ret, err);
    PQclear(first);
    gr_engine_postgres_drain(j->conn, true);
    if (*ret_again) return gr_engine_postgres_learn(j->conn, unknown, err);
    return status ? status : gr_error_set(err, GR_ERR_ENGINE_DATA, "more new types than can be told apart");
}

static gr_status run_query(job *j, bool is_cached, gr_stream **ret, gr_error *err) {
    gr_status status = GR_OK;
    bool is_again = true, was_known;
    for (int i = 0; is_again && !status && i < GR_POSTGRES_TYPES; i++) {
        PGresult *first;
        status = send_query(j, is_cached, &was_known, &first, err);
        if (status && was_known && is_outdated(first) && !j->wait.fired) { /* its tables have changed */
            PQclear(first);
            gr_engine_postgres_drain(j->conn, false);
            status = send_query(j, is_cached, &was_known, &first, err);
        }
        if (status) {
            PQclear(first);
            return status;
        }
        status = open_stream(j, first, i + 1 == GR_POSTGRES_TYPES, ret, &is_again, err);
    }
    return status;
}

/* The connection is ready for a statement: nothing under way, and open as far as one can see. */
static gr_status begin(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params, size_t n_params,
                       job *ret, gr_error *err) {
    gr_postgres_conn *conn = (gr_postgres_conn *)(void *)base;
    *ret = (job){.conn = conn, .sql = sql};
    atomic_store(&conn->is_interrupted, false);
    gr_engine_postgres_stream_detach(conn);
    GR_TRY(gr_engine_postgres_wait_begin(&ret->wait, ctx, err));
    GR_TRY(gr_engine_postgres_revive(conn, err));
    if (gr_str_find(sql, 0, 0) != SIZE_MAX)
        return gr_error_set(err, GR_ERR_ENGINE_SQL, "a statement with a zero byte in it");
    ret->arena = gr_arena_new();
    ret->text = gr_arena_printf(ret->arena, GR_FMT, GR_ARG(sql)).p;
    gr_status status = read_arguments(params, n_params, ret->arena, &ret->args, err);
    if (status) gr_arena_free(ret->arena);
    return status;
}

static gr_status finish(job *j, gr_status status) {
    gr_arena_free(j->arena);
    if (!status) return GR_OK;
    gr_engine_postgres_drain(j->conn, true);
    gr_engine_postgres_rollback(j->conn);
    return status;
}

gr_status gr_engine_postgres_query(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                   size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err) {
    job j;
    GR_TRY(begin(base, ctx, sql, params, n_params, &j, err));
    gr_status status = check_reads(sql, err);
    if (status) return finish(&j, status);
    return finish(&j, run_query(&j, hint_cache && sql.n <= GR_POSTGRES_CACHED_SQL_BYTES, ret, err));
}

/* ---- update --------------------------------------------------------------------------------------------------------
 */

/* Runs constant SQL of ours. */
static gr_status run_own(job *j, const char *sql, gr_error *err) {
    PGresult *result = NULL;
    if (PQsendQuery(j->conn->pg->conn, sql)) result = gr_engine_postgres_wait_next(j->conn, &j->wait);
    gr_status status = GR_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        status = gr_engine_postgres_fail(j->conn, result, j->wait.fired, err);
    PQclear(result);
    gr_engine_postgres_drain(j->conn, false);
    return status;
}

static bool is_word(gr_str sql, const char *word) {
    sql = gr_str_trim(sql);
    while (sql.n && sql.p[sql.n - 1] == ';') sql = gr_str_trim(gr_str_sub(sql, 0, sql.n - 1));
    return gr_str_eq_nocase(sql, gr_str_from(word));
}

static gr_status run_update(job *j, int64_t *ret_rows, gr_error *err) {
    PGconn *pg = j->conn->pg->conn;
    PGresult *result = NULL;
    gr_status status = GR_OK;
    if (PQsendQueryParams(pg, j->text, j->args.n, j->args.types, j->args.values, NULL, NULL, 0))
        result = gr_engine_postgres_wait_next(j->conn, &j->wait);
    ExecStatusType code = PQresultStatus(result);
    if (code == PGRES_COPY_IN || code == PGRES_COPY_OUT || code == PGRES_COPY_BOTH)
        status = gr_error_set(err, GR_ERR_ENGINE_SQL, "COPY does not run as a statement");
    else if (code != PGRES_COMMAND_OK && code != PGRES_TUPLES_OK)
        status = gr_engine_postgres_fail(j->conn, result, j->wait.fired, err);
    else if (ret_rows)
        *ret_rows = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    if (!status) gr_engine_postgres_drain(j->conn, false);
    return status;
}

gr_status gr_engine_postgres_update(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                    size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                                    int64_t *ret_rows, gr_error *err) {
    job j;
    GR_TRY(begin(base, ctx, sql, params, n_params, &j, err));
    j.wait.on_tick = on_progress;
    j.wait.arg = arg;
    if (ret_rows) *ret_rows = 0;
    bool is_own = PQtransactionStatus(j.conn->pg->conn) == PQTRANS_IDLE;
    if (is_word(sql, "begin")) return finish(&j, run_own(&j, "BEGIN READ WRITE", err));
    if (is_word(sql, "commit") || is_word(sql, "rollback")) return finish(&j, run_own(&j, j.text, err));
    gr_status status = is_own ? run_own(&j, "BEGIN READ WRITE", err) : GR_OK;
    if (!status) status = run_update(&j, ret_rows, err);
    if (!status && is_own) status = run_own(&j, "COMMIT", err);
    return finish(&j, status);
}

/* ---- describe ------------------------------------------------------------------------------------------------------
 */

static gr_status describe_once(job *j, PGresult **ret, gr_error *err) {
    PGconn *pg = j->conn->pg->conn;
    PGresult *result = NULL;
    if (PQsendPrepare(pg, "", j->text, 0, NULL)) result = gr_engine_postgres_wait_next(j->conn, &j->wait);
    bool is_prepared = PQresultStatus(result) == PGRES_COMMAND_OK;
    gr_status status = is_prepared ? GR_OK : gr_engine_postgres_fail(j->conn, result, j->wait.fired, err);
    PQclear(result);
    gr_engine_postgres_drain(j->conn, false);
    if (status) return status;
    result = PQsendDescribePrepared(pg, "") ? gr_engine_postgres_wait_next(j->conn, &j->wait) : NULL;
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        status = gr_engine_postgres_fail(j->conn, result, j->wait.fired, err);
        PQclear(result);
        return status;
    }
    gr_engine_postgres_drain(j->conn, false);
    *ret = result;
    return GR_OK;
}

static gr_status describe(job *j, gr_arena *arena, gr_column_schema **ret, size_t *ret_n, gr_error *err) {
    PGresult *result = NULL;
    GR_TRY(describe_once(j, &result, err));
    Oid unknown = 0;
    gr_status status = GR_OK;
    *ret_n = (size_t)PQnfields(result);
    if (!*ret_n)
        status = gr_error_set(err, GR_ERR_ENGINE_SQL, "only a statement that reads rows can be run as a query");
    for (int i = 0; !status && (i == 0 || unknown) && i < GR_POSTGRES_TYPES; i++) {
        if (unknown) status = gr_engine_postgres_learn(j->conn, unknown, err);
        if (!status) status = gr_engine_postgres_schema(j->conn, result, arena, ret, &unknown, err);
    }
    PQclear(result);
    return status;
}

/* ---- many rows -----------------------------------------------------------------------------------------------------
 */

/* A value as it stands in a statement: COPY takes no parameters. */
static gr_str literal(job *j, const gr_value *v, const char *text) {
    static const char *const types[GR_TYPE__COUNT] = {
        [GR_TYPE_BOOL] = "boolean", [GR_TYPE_INT64] = "bigint",        [GR_TYPE_FLOAT64] = "double precision",
        [GR_TYPE_DATE] = "date",    [GR_TYPE_TIMESTAMP] = "timestamp", [GR_TYPE_TIMESTAMPTZ] = "timestamptz",
    };
    if (!text) return GR_STR("NULL");
    char *quoted = PQescapeLiteral(j->conn->pg->conn, text, strlen(text));
    gr_str ret = types[v->type] ? gr_arena_printf(j->arena, "CAST(%s AS %s)", quoted ? quoted : "NULL", types[v->type])
                                : gr_arena_printf(j->arena, "%s", quoted ? quoted : "NULL");
    PQfreemem(quoted);
    return ret;
}

/* The statement with its values in place of $1 …, which stand outside of quotes and comments. */
static gr_str with_values(job *j, const gr_value *params, size_t n_params) {
    gr_buf out;
    gr_buf_init(&out, 1 << 28);
    char quote = 0;
    for (size_t i = 0; i < j->sql.n; i++) {
        char c = j->sql.p[i];
        size_t number = 0, end = i + 1;
        if (quote || c == '\'' || c == '"') quote = !quote ? c : c == quote ? 0 : quote;
        while (c == '$' && !quote && end < j->sql.n && isdigit((unsigned char)j->sql.p[end]) && number <= n_params)
            number = number * 10 + (size_t)(j->sql.p[end++] - '0');
        if (number && number <= n_params) {
            gr_buf_add(&out, literal(j, &params[number - 1], j->args.values[number - 1]));
            i = end - 1;
        } else {
            gr_buf_char(&out, c);
        }
    }
    gr_str text = gr_arena_dup(j->arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static gr_status begin_copy(job *j, gr_error *err) {
    gr_str copy = gr_arena_printf(j->arena, "COPY (%s) TO STDOUT (FORMAT binary)", j->text);
    PGresult *result = NULL;
    if (PQsendQuery(j->conn->pg->conn, copy.p)) result = gr_engine_postgres_wait_next(j->conn, &j->wait);
    gr_status status = GR_OK;
    if (PQresultStatus(result) != PGRES_COPY_OUT) status = gr_engine_postgres_fail(j->conn, result, j->wait.fired, err);
    PQclear(result);
    return status;
}

static gr_status run_bulk(job *j, gr_stream **ret, gr_error *err) {
    PGresult *described = NULL;
    gr_column_schema *schema;
    Oid unknown = 0;
    GR_TRY(describe_once(j, &described, err));
    gr_status status = gr_engine_postgres_schema(j->conn, described, j->arena, &schema, &unknown, err);
    for (int i = 0; !status && unknown && i < GR_POSTGRES_TYPES; i++) {
        status = gr_engine_postgres_learn(j->conn, unknown, err);
        if (!status) status = gr_engine_postgres_schema(j->conn, described, j->arena, &schema, &unknown, err);
    }
    if (!status) status = begin_copy(j, err);
    if (!status) status = gr_engine_postgres_stream_copy(j->conn, &j->wait, described, ret, err);
    PQclear(described);
    return status;
}

gr_status gr_engine_postgres_query_bulk(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                        size_t n_params, gr_stream **ret, gr_error *err) {
    job j;
    GR_TRY(begin(base, ctx, sql, params, n_params, &j, err));
    gr_status status = check_reads(sql, err);
    if (status) return finish(&j, status);
    j.text = with_values(&j, params, n_params).p;
    return finish(&j, run_bulk(&j, ret, err));
}

gr_status gr_engine_postgres_describe(gr_engine_conn *base, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                      size_t *ret_n, gr_error *err) {
    job j;
    GR_TRY(begin(base, NULL, sql, NULL, 0, &j, err));
    return finish(&j, describe(&j, arena, ret, ret_n, err));
}
