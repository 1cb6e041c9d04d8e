/* The catalog in a schema of PostgreSQL, shared by several servers.
 *
 *     main       statements; holds the advisory lock of this handle's number: the session ends, the lock is free
 *     listener   LISTEN; what the others committed is asked for without waiting
 *
 * Invariants: a write transaction holds schema_migrations exclusively, so that one server writes at a time and rules
 * read what stays true; readers are not held up. A session that is lost takes nothing with it but the transaction that
 * was open: reopen() takes the number's lock again, or another number when the old session still holds it. */
#include "catalog/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "pg/pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_IDENTIFIER = 63,       /* bytes of a name in PostgreSQL; longer ones would be cut silently */
    GATE_CLASS = 0x67726e61,   /* "grna": the first half of the advisory lock of opening */
    LISTEN_AGAIN_US = 5000000, /* how often a lost listener is opened again */
    LOCK_TRIES = 20            /* for a session that is just ending */
};

typedef struct postgres_db {
    gr_catalog_db base;                               /* first: a gr_catalog_db * is a postgres_db * */
    gr_pg *main, *listener;                           /* no listener: it was lost */
    char *schema, *what;                              /* what: the catalog "granary" */
    bool is_prepared[ST__COUNT], has_missed, is_open; /* is_open: it has listened once */
    int64_t listen_at_mono_us;                        /* not before */
} postgres_db;

static postgres_db *postgres_of(gr_catalog_db *db) { return (postgres_db *)db; }

static gr_status fail(postgres_db *d, const PGresult *result, const char *doing, gr_error *err) {
    d->base.is_lost = gr_pg_is_lost(d->main);
    return gr_pg_fail(d->main, result, d->what, doing, err);
}

/* ---- statements ----------------------------------------------------------------------------------------------------
 */
static gr_status exec(gr_catalog_db *db, const char *sql, const char *doing, gr_error *err) {
    postgres_db *d = postgres_of(db);
    gr_status status = gr_pg_exec(d->main, sql, d->what, doing, err);
    d->base.is_lost = gr_pg_is_lost(d->main);
    return status;
}

/* ?12 -> $12. There is no other question mark in our SQL. */
static const char *with_dollars(const char *sql, gr_arena *arena) {
    gr_str copy = gr_arena_dup(arena, gr_str_from(sql));
    char *text = gr_arena_alloc(arena, copy.n + 1);
    for (size_t i = 0; i < copy.n; i++) text[i] = copy.p[i] == '?' ? '$' : copy.p[i];
    return text;
}

typedef struct arguments {
    const char **values;
    int *lengths, *formats;
    int n;
} arguments;

/* Texts go as they are (binary), numbers as text; the server knows the types from the statement. */
static arguments arguments_of(const gr_catalog_param *params, size_t n, gr_arena *arena) {
    arguments a = {GR_NEW_N(arena, const char *, n + 1), GR_NEW_N(arena, int, n + 1), GR_NEW_N(arena, int, n + 1),
                   (int)n};
    for (size_t i = 0; i < n; i++) {
        const gr_catalog_param *p = &params[i];
        if (p->kind == GR_CATALOG_NULL) continue;
        a.formats[i] = p->kind == GR_CATALOG_TEXT;
        a.lengths[i] = (int)p->text.n;
        a.values[i] = p->kind == GR_CATALOG_I64 ? gr_catalog_id_text(p->number, arena).p : p->text.n ? p->text.p : "";
    }
    return a;
}

static void read_row(const PGresult *result, int row, gr_catalog_cell *cells) {
    enum { INT8 = 20, INT4 = 23 }; /* type ids, fixed for good */
    for (int i = 0; i < PQnfields(result); i++) {
        gr_catalog_cell *cell = &cells[i];
        *cell = (gr_catalog_cell){.is_null = PQgetisnull(result, row, i)};
        if (cell->is_null) continue;
        gr_str text = {PQgetvalue(result, row, i), (size_t)PQgetlength(result, row, i)};
        Oid type = PQftype(result, i);
        if (type == INT8 || type == INT4)
            gr_str_to_i64(text, &cell->number);
        else
            cell->text = text;
    }
}

static gr_catalog_table table_of(const PGresult *result, gr_arena *arena) {
    gr_catalog_table t = {(size_t)PQntuples(result), (size_t)PQnfields(result), NULL};
    t.cells = GR_NEW_N(arena, gr_catalog_cell, t.n_rows * t.n_columns + 1);
    for (size_t i = 0; i < t.n_rows; i++) read_row(result, (int)i, &t.cells[i * t.n_columns]);
    for (size_t i = 0; i < t.n_rows * t.n_columns; i++) t.cells[i].text = gr_arena_dup(arena, t.cells[i].text);
    return t;
}

/* Takes `result`. */
static gr_status finish(postgres_db *d, PGresult *result, const char *doing, gr_arena *arena, gr_catalog_table *ret,
                        gr_error *err) {
    ExecStatusType code = PQresultStatus(result);
    gr_status status = code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK ? GR_OK : fail(d, result, doing, err);
    if (!status && ret) *ret = table_of(result, arena);
    PQclear(result);
    return status;
}

static gr_status execute(postgres_db *d, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                         PGresult **ret, gr_error *err) {
    char name[16];
    snprintf(name, sizeof name, "s%d", (int)id);
    if (!d->is_prepared[id]) {
        const char *sql = with_dollars(gr_catalog_stmt_sql(id), arena);
        GR_TRY(finish(d, PQprepare(d->main->conn, name, sql, 0, NULL), "preparing", arena, NULL, err));
        d->is_prepared[id] = true;
    }
    arguments a = arguments_of(params, n, arena);
    *ret = PQexecPrepared(d->main->conn, name, a.n, a.values, a.lengths, a.formats, 0);
    return GR_OK;
}

static gr_status run(gr_catalog_db *db, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                     gr_catalog_table *ret, gr_error *err) {
    PGresult *result;
    GR_TRY(execute(postgres_of(db), id, params, n, arena, &result, err));
    return finish(postgres_of(db), result, "working", arena, ret, err);
}

static gr_status each(gr_catalog_db *db, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                      gr_catalog_row_fn fn, void *arg, gr_error *err) {
    PGresult *result;
    GR_TRY(execute(postgres_of(db), id, params, n, arena, &result, err));
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        const gr_catalog_table row = {1, (size_t)PQnfields(result),
                                      GR_NEW_N(arena, gr_catalog_cell, (size_t)PQnfields(result) + 1)};
        for (int i = 0; i < PQntuples(result); i++) {
            read_row(result, i, row.cells);
            fn(arg, &row);
        }
    }
    return finish(postgres_of(db), result, "working", arena, NULL, err);
}

static gr_status run_text(gr_catalog_db *db, const char *sql, const gr_catalog_param *params, size_t n, gr_arena *arena,
                          gr_catalog_table *ret, gr_error *err) {
    postgres_db *d = postgres_of(db);
    arguments a = arguments_of(params, n, arena);
    PGresult *result =
        PQexecParams(d->main->conn, with_dollars(sql, arena), a.n, NULL, a.values, a.lengths, a.formats, 0);
    return finish(d, result, "reading", arena, ret, err);
}

/* One number of a statement without tables of ours. */
static gr_status ask(gr_catalog_db *db, const char *sql, const gr_catalog_param *params, size_t n, int64_t *ret,
                     gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_catalog_table t = {0};
    gr_status status = run_text(db, sql, params, n, arena, &t, err);
    if (!status) *ret = t.n_rows ? gr_catalog_i64(&t, 0, 0) : 0;
    gr_arena_free(arena);
    return status;
}

/* ---- notices of others ----------------------------------------------------------------------------------------------
 */
static void stop_listening(postgres_db *d) {
    gr_pg_close(d->listener);
    d->listener = NULL;
    d->has_missed = true;
    d->listen_at_mono_us = 0;
}

static gr_status listen_to(postgres_db *d, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_str channel = gr_pg_identifier(gr_str_from(d->schema), arena);
    gr_str sql = gr_arena_printf(arena, "LISTEN " GR_FMT, GR_ARG(channel));
    gr_pg *listener = NULL;
    gr_status status = gr_pg_open(gr_str_from(d->main->options), gr_pg_for_catalog, &listener, err);
    if (!status) status = gr_pg_exec(listener, sql.p, d->what, "listening", err);
    if (status)
        gr_pg_close(listener);
    else
        d->listener = listener;
    gr_arena_free(arena);
    return status;
}

/* Not being told is no reason to fail a call: has_missed makes the handle look for itself until it is told again. */
static void listen_again(postgres_db *d) {
    gr_error err;
    int64_t now = gr_clock_mono_us();
    if (!d->is_open || d->listener || now < d->listen_at_mono_us) return;
    d->listen_at_mono_us = now + LISTEN_AGAIN_US;
    d->has_missed |= listen_to(d, &err) == GR_OK;
}

static bool changed(gr_catalog_db *db) {
    postgres_db *d = postgres_of(db);
    bool has_changed = d->has_missed;
    d->has_missed = false;
    if (!d->listener) return has_changed;
    /* The first reads what there is, maybe the server's last words; the second finds the end behind them. */
    bool is_lost = !PQconsumeInput(d->listener->conn) || !PQconsumeInput(d->listener->conn);
    for (PGnotify *n; (n = PQnotifies(d->listener->conn)); PQfreemem(n)) {
        int64_t from = 0;
        gr_str_to_i64(gr_str_from(n->extra), &from);
        has_changed |= from != d->base.owner && from != d->base.earlier_owner;
    }
    if (!is_lost) return has_changed;
    stop_listening(d);
    d->has_missed = false;
    return true;
}

static gr_status notify(postgres_db *d, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    const gr_catalog_param params[] = {STR(gr_str_from(d->schema)), STR(gr_catalog_id_text(d->base.owner, arena))};
    gr_status status = run_text(&d->base, "SELECT pg_notify(?1, ?2)", params, 2, arena, NULL, err);
    gr_arena_free(arena);
    return status;
}

/* ---- transactions ---------------------------------------------------------------------------------------------------
 */
static gr_status begin(gr_catalog_db *db, bool is_write, gr_error *err) {
    listen_again(postgres_of(db));
    gr_status status = exec(db,
                            is_write ? "BEGIN; LOCK TABLE schema_migrations IN EXCLUSIVE MODE"
                                     : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                            "beginning", err);
    if (status && !db->is_lost) db->driver->rollback(db);
    return status;
}

static void rollback(gr_catalog_db *db) {
    postgres_db *d = postgres_of(db);
    if (PQtransactionStatus(d->main->conn) == PQTRANS_IDLE) return;
    gr_error err;
    if (exec(db, "ROLLBACK", "rolling back", &err)) return; /* then the session has ended, and the transaction too */
}

static gr_status commit(gr_catalog_db *db, bool is_change, gr_error *err) {
    if (is_change) GR_TRY(notify(postgres_of(db), err));
    return exec(db, "COMMIT", "committing", err);
}

/* ---- who lives ------------------------------------------------------------------------------------------------------
 */
static gr_status now_us(gr_catalog_db *db, int64_t *ret, gr_error *err) {
    return ask(db, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", NULL, 0, ret, err);
}

static gr_status is_held(gr_catalog_db *db, int64_t owner, bool *ret, gr_error *err) {
    static const char sql[] = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
                              " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                              " AND classid::bigint = ?1::bigint >> 32 AND objid::bigint = ?1::bigint & 4294967295";
    int64_t n = 0;
    GR_TRY(ask(db, sql, &I64(owner), 1, &n, err));
    *ret = n > 0;
    return GR_OK;
}

static gr_status try_lock(gr_catalog_db *db, int64_t owner, bool *ret, gr_error *err) {
    int64_t is_mine = 0;
    GR_TRY(ask(db, "SELECT pg_try_advisory_lock(?1::bigint)::int", &I64(owner), 1, &is_mine, err));
    *ret = is_mine != 0;
    return GR_OK;
}

static gr_status take_number(gr_catalog_db *db, gr_error *err) {
    bool is_mine = false;
    while (!is_mine) {
        db->owner = gr_catalog_owner_random();
        if (!db->owner) return gr_error_set(err, GR_ERR_CATALOG_IO, "the system gives no random numbers");
        GR_TRY(try_lock(db, db->owner, &is_mine, err));
    }
    return GR_OK;
}

/* The old session may take a moment to end, or be cut off and not know it. */
static gr_status take_number_again(gr_catalog_db *db, gr_error *err) {
    bool is_mine = false;
    for (int i = 0; i < LOCK_TRIES && !is_mine; i++) {
        if (i) nanosleep(&(struct timespec){.tv_nsec = 25000000}, NULL);
        GR_TRY(try_lock(db, db->owner, &is_mine, err));
    }
    db->earlier_owner = db->owner;
    return is_mine ? GR_OK : take_number(db, err);
}

/* The gate's lock is of the session: two transactions of a migration stand behind it. */
static gr_status gate(gr_catalog_db *db, const char *sql, gr_error *err) {
    const gr_catalog_param params[] = {I64(GATE_CLASS), STR(gr_str_from(postgres_of(db)->schema))};
    int64_t ignored;
    return ask(db, sql, params, 2, &ignored, err);
}

static gr_status gate_enter(gr_catalog_db *db, gr_error *err) {
    return gate(db, "SELECT 1 FROM (SELECT pg_advisory_lock(?1::int, hashtext(?2::text))) AS gate", err);
}

static void gate_leave(gr_catalog_db *db) {
    gr_error err;
    if (gate(db, "SELECT pg_advisory_unlock(?1::int, hashtext(?2::text))::int", &err))
        return; /* ends with the session */
}

/* ---- opening --------------------------------------------------------------------------------------------------------
 */
static gr_status set_up_session(postgres_db *d, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_str schema = gr_pg_identifier(gr_str_from(d->schema), arena);
    gr_str sql = gr_arena_printf(
        arena,
        "SET search_path TO " GR_FMT "; SET lock_timeout = %d; SET client_min_messages = warning;"
        " SET idle_in_transaction_session_timeout = %d; SET default_transaction_isolation = 'read committed';"
        " SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3",
        GR_ARG(schema), (int)CATALOG_WAIT_MS, (int)CATALOG_WAIT_MS);
    memset(d->is_prepared, 0, sizeof d->is_prepared);
    gr_status status = exec(&d->base, sql.p, "opening", err);
    gr_arena_free(arena);
    return status;
}

static gr_status make_schema(postgres_db *d, gr_error *err) {
    static const char find[] = "SELECT count(*) FROM pg_namespace WHERE nspname = ?1";
    int64_t n = 0;
    GR_TRY(ask(&d->base, find, &STR(gr_str_from(d->schema)), 1, &n, err));
    if (n) return GR_OK; /* a role that may not make schemas can use one that was made for it */
    gr_arena *arena = gr_arena_new();
    gr_str schema = gr_pg_identifier(gr_str_from(d->schema), arena);
    gr_str sql = gr_arena_printf(arena, "CREATE SCHEMA " GR_FMT, GR_ARG(schema));
    gr_status status = exec(&d->base, sql.p, "creating the schema", err);
    gr_arena_free(arena);
    return status;
}

static gr_status reopen(gr_catalog_db *db, gr_error *err) {
    postgres_db *d = postgres_of(db);
    GR_TRY(gr_pg_reopen(d->main, err));
    GR_TRY(set_up_session(d, err));
    GR_TRY(take_number_again(db, err));
    db->is_lost = false;
    db->is_reopened = true;
    stop_listening(d); /* what broke the one may have broken the other */
    listen_again(d);
    return GR_OK;
}

static gr_status ready(gr_catalog_db *db, gr_error *err) {
    postgres_db *d = postgres_of(db);
    GR_TRY(listen_to(d, err));
    d->is_open = true;
    return GR_OK;
}

static void close_db(gr_catalog_db *db) {
    postgres_db *d = postgres_of(db);
    gr_pg_close(d->listener);
    gr_pg_close(d->main);
    free(d->base.name);
    free(d->what);
    free(d->schema);
    free(d);
}

static gr_status gate_of_open(gr_catalog_db *db, gr_error *err) {
    GR_TRY(gate_enter(db, err));
    return make_schema(postgres_of(db), err);
}

static const gr_catalog_db_driver driver = {
    .words = {.has_ours = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                          " WHERE n.nspname = current_schema() AND c.relname = 'schema_migrations'",
              .has_others = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                            " WHERE n.nspname = current_schema()"},
    .is_postgres = true,
    .may_reconnect = true,
    .close = close_db,
    .reopen = reopen,
    .gate_enter = gate_of_open,
    .gate_leave = gate_leave,
    .ready = ready,
    .exec = exec,
    .run = run,
    .each = each,
    .run_text = run_text,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .now_us = now_us,
    .is_held = is_held,
    .changed = changed,
};

static void name_db(postgres_db *d, gr_str schema) {
    size_t size = schema.n + strlen(d->main->place) + sizeof "the catalog \"\" in ";
    d->schema = gr_mem_dup(schema.p, schema.n);
    d->what = gr_mem_alloc(size);
    d->base.name = gr_mem_alloc(size);
    snprintf(d->what, size, "the catalog \"%s\"", d->schema);
    snprintf(d->base.name, size, "%s in %s", d->what, d->main->place);
}

gr_status gr_catalog_postgres_open(gr_str conninfo, gr_str schema, gr_catalog_db **ret, gr_error *err) {
    if (schema.n > MAX_IDENTIFIER)
        return gr_error_set(err, GR_ERR_LIMIT, "the name of the catalog's schema has %zu bytes; PostgreSQL keeps %d",
                            schema.n, (int)MAX_IDENTIFIER);
    postgres_db *d = gr_mem_calloc(1, sizeof *d);
    d->base = (gr_catalog_db){.driver = &driver, .store_hint = "set another schema for the catalog"};
    gr_status status = gr_pg_open(conninfo, gr_pg_for_catalog, &d->main, err);
    if (!status) {
        name_db(d, schema);
        status = set_up_session(d, err);
    }
    if (!status) status = take_number(&d->base, err);
    if (status)
        close_db(&d->base);
    else
        *ret = &d->base;
    return status;
}

gr_status gr_catalog_reach(gr_str postgres, gr_arena *arena, gr_str *ret, gr_error *err) {
    gr_pg *pg;
    GR_TRY(gr_pg_open(postgres, gr_pg_for_catalog, &pg, err));
    *ret = gr_arena_dup(arena, gr_str_from(pg->place));
    gr_pg_close(pg);
    return GR_OK;
}
