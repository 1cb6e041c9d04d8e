/* The catalog in one SQLite file: opening it, its prepared statements, its transactions, its errors.
 * Invariant: a write transaction begins IMMEDIATE, so that it never has to be upgraded and never fails half-way because
 * of another process. Every commit is synced (synchronous=FULL): what was said to be published stays published when the
 * power fails. Who lives is in the lock file beside it (owner.c). */
#include "catalog/internal.h"

#include "base/mem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

typedef struct sqlite_db {
    gr_catalog_db base; /* first: a gr_catalog_db * is a sqlite_db * */
    sqlite3 *db;
    sqlite3_stmt *stmts[ST__COUNT], *data_version;
    char *file; /* never one of SQLite's special names */
    gr_catalog_owner owner;
    int64_t seen_version;
    bool has_seen;
} sqlite_db;

typedef struct code_text {
    int code;
    gr_status status;
    const char *is, *hint;
} code_text;

/* By SQLite's primary result code; the last row is for all others. */
static const code_text code_texts[] = {
    {SQLITE_READONLY, GR_ERR_CATALOG_IO, "cannot be written",
     "give the user that runs Granary write permission on the file and on its folder"},
    {SQLITE_PERM, GR_ERR_CATALOG_IO, "cannot be written",
     "give the user that runs Granary write permission on the file and on its folder"},
    {SQLITE_CANTOPEN, GR_ERR_CATALOG_IO, "cannot be opened",
     "check that storage.path is a folder in which the user that runs Granary may write"},
    {SQLITE_FULL, GR_ERR_CATALOG_IO, "cannot grow: the disk is full",
     "free some space; what was stored before is intact"},
    {SQLITE_BUSY, GR_ERR_CATALOG_IO, "is held by another process", "close the program that has it open, and try again"},
    {SQLITE_LOCKED, GR_ERR_CATALOG_IO, "is held by another process",
     "close the program that has it open, and try again"},
    {SQLITE_NOTADB, GR_ERR_CATALOG_IO, "is not a catalog: not a SQLite database",
     "move the file away: Granary makes a new catalog and builds the pre-aggregations again"},
    {SQLITE_CORRUPT, GR_ERR_CATALOG_IO, "is damaged",
     "restore it, or move it away: Granary makes a new catalog and builds the pre-aggregations again"},
    {SQLITE_TOOBIG, GR_ERR_LIMIT, "cannot hold a text of this size", ""},
    {SQLITE_CONSTRAINT, GR_ERR_INTERNAL, "refused a row", ""},
    {SQLITE_MISUSE, GR_ERR_INTERNAL, "was used wrongly", ""},
    {SQLITE_RANGE, GR_ERR_INTERNAL, "was used wrongly", ""},
    {SQLITE_ERROR, GR_ERR_CATALOG_IO, "has not the tables that it should have",
     "restore it, or move it away: Granary makes a new catalog and builds the pre-aggregations again"},
    {-1, GR_ERR_CATALOG_IO, "cannot be read or written", "check the disk and the permissions of the file"},
};

static sqlite_db *sqlite_of(gr_catalog_db *db) { return (sqlite_db *)db; }

static gr_status fail(const sqlite_db *d, int rc, const char *doing, gr_error *err) {
    if ((rc & 0xff) == SQLITE_NOMEM) gr_mem_die(0);
    const code_text *t = code_texts;
    while (t->code != -1 && t->code != (rc & 0xff)) t++;
    int system = d->db ? sqlite3_system_errno(d->db) : 0;
    bool is_system = system && (t->code == SQLITE_CANTOPEN || t->code == -1);
    char buf[128];
    gr_error_set(err, t->status, "%s %s (while %s: %s%s%s)", d->base.name, t->is, doing,
                 d->db ? sqlite3_errmsg(d->db) : sqlite3_errstr(rc), is_system ? ": " : "",
                 is_system ? strerror_r(system, buf, sizeof buf) : "");
    if (*t->hint) gr_error_hint(err, "%s", t->hint);
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%d", rc);
    return t->status;
}

/* ---- statements ---------------------------------------------------------------------------------------------------
 */
static gr_status exec(gr_catalog_db *db, const char *sql, const char *doing, gr_error *err) {
    sqlite_db *d = sqlite_of(db);
    int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? GR_OK : fail(d, rc, doing, err);
}

static int bind(sqlite3_stmt *s, const gr_catalog_param *params, size_t n) {
    int rc = SQLITE_OK;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        const gr_catalog_param *p = &params[i];
        int at = (int)i + 1;
        if (p->kind == GR_CATALOG_NULL)
            rc = sqlite3_bind_null(s, at);
        else if (p->kind == GR_CATALOG_I64)
            rc = sqlite3_bind_int64(s, at, p->number);
        else
            rc = sqlite3_bind_text64(s, at, p->text.n ? p->text.p : "", p->text.n, SQLITE_STATIC, SQLITE_UTF8);
    }
    return rc;
}

enum { MOST_COLUMNS = 64 };

static void read_cell(sqlite3_stmt *s, int at, gr_catalog_cell *cell) {
    *cell = (gr_catalog_cell){0};
    switch (sqlite3_column_type(s, at)) {
    case SQLITE_NULL: cell->is_null = true; break;
    case SQLITE_INTEGER: cell->number = sqlite3_column_int64(s, at); break;
    default: {
        const char *p = (const char *)sqlite3_column_text(s, at);
        cell->text = (gr_str){p, p ? (size_t)sqlite3_column_bytes(s, at) : 0};
    }
    }
}

/* Runs to the end, so that the statement can be used again at once. */
static gr_status step_through(sqlite_db *d, sqlite3_stmt *s, const gr_catalog_param *params, size_t n,
                              gr_catalog_row_fn fn, void *arg, gr_error *err) {
    gr_catalog_cell cells[MOST_COLUMNS];
    int rc = bind(s, params, n), n_columns = sqlite3_column_count(s);
    if (n_columns > MOST_COLUMNS) return gr_error_set(err, GR_ERR_INTERNAL, "a row of %d columns", n_columns);
    const gr_catalog_table row = {1, (size_t)n_columns, cells};
    if (rc == SQLITE_OK) {
        while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
            for (int i = 0; i < n_columns; i++) read_cell(s, i, &cells[i]);
            fn(arg, &row);
        }
        if (rc == SQLITE_DONE) rc = SQLITE_OK;
    }
    gr_status status = rc == SQLITE_OK ? GR_OK : fail(d, rc, "working", err);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return status;
}

typedef struct kept {
    gr_arena *arena;
    size_t n_rows;
    GR_VEC(gr_catalog_cell) cells;
} kept;

static void keep(void *arg, const gr_catalog_table *row) {
    kept *k = arg;
    k->n_rows++;
    for (size_t i = 0; i < row->n_columns; i++) {
        gr_catalog_cell cell = row->cells[i];
        cell.text = gr_arena_dup(k->arena, cell.text);
        GR_PUSH(k->arena, &k->cells, cell);
    }
}

static gr_status run_statement(sqlite_db *d, sqlite3_stmt *s, const gr_catalog_param *params, size_t n, gr_arena *arena,
                               gr_catalog_table *ret, gr_error *err) {
    kept k = {.arena = arena};
    GR_TRY(step_through(d, s, params, n, keep, &k, err));
    if (ret) *ret = (gr_catalog_table){k.n_rows, (size_t)sqlite3_column_count(s), k.cells.v};
    return GR_OK;
}

static gr_status run(gr_catalog_db *db, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                     gr_catalog_table *ret, gr_error *err) {
    sqlite_db *d = sqlite_of(db);
    return run_statement(d, d->stmts[id], params, n, arena, ret, err);
}

static gr_status each(gr_catalog_db *db, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                      gr_catalog_row_fn fn, void *arg, gr_error *err) {
    (void)arena;
    sqlite_db *d = sqlite_of(db);
    return step_through(d, d->stmts[id], params, n, fn, arg, err);
}

static gr_status run_text(gr_catalog_db *db, const char *sql, const gr_catalog_param *params, size_t n, gr_arena *arena,
                          gr_catalog_table *ret, gr_error *err) {
    sqlite_db *d = sqlite_of(db);
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(d->db, sql, -1, &s, NULL);
    gr_status status = rc == SQLITE_OK ? run_statement(d, s, params, n, arena, ret, err) : fail(d, rc, "reading", err);
    sqlite3_finalize(s);
    return status;
}

static gr_status begin(gr_catalog_db *db, bool is_write, gr_error *err) {
    return exec(db, is_write ? "BEGIN IMMEDIATE" : "BEGIN", "beginning", err);
}

static void rollback(gr_catalog_db *db) {
    sqlite_db *d = sqlite_of(db);
    /* A full disk rolls back by itself; a second ROLLBACK would only hide the first message. */
    if (!sqlite3_get_autocommit(d->db)) sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
}

static gr_status commit(gr_catalog_db *db, bool is_change, gr_error *err) {
    (void)is_change; /* the others see it in the file */
    return exec(db, "COMMIT", "committing", err);
}

/* ---- others --------------------------------------------------------------------------------------------------------
 */
/* The machine's clock, and never the fixed one of tests: leases have to run out. */
static gr_status now_us(gr_catalog_db *db, int64_t *ret, gr_error *err) {
    (void)db, (void)err;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    *ret = ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
    return GR_OK;
}

static gr_status is_held(gr_catalog_db *db, int64_t owner, bool *ret, gr_error *err) {
    (void)err;
    *ret = gr_catalog_owner_is_alive(&sqlite_of(db)->owner, owner);
    return GR_OK;
}

/* The number changes when another connection has committed, and not for commits of this one. */
static bool changed(gr_catalog_db *db) {
    sqlite_db *d = sqlite_of(db);
    bool has_changed = false;
    if (sqlite3_step(d->data_version) == SQLITE_ROW) {
        int64_t version = sqlite3_column_int64(d->data_version, 0);
        has_changed = d->has_seen && version != d->seen_version;
        d->seen_version = version;
        d->has_seen = true;
    }
    sqlite3_reset(d->data_version);
    return has_changed;
}

static gr_status gate_enter(gr_catalog_db *db, gr_error *err) {
    (void)db, (void)err; /* taken when the file was opened */
    return GR_OK;
}

static void gate_leave(gr_catalog_db *db) { gr_catalog_owner_leave_gate(&sqlite_of(db)->owner); }

static gr_status reopen(gr_catalog_db *db, gr_error *err) {
    return gr_error_set(err, GR_ERR_INTERNAL, "%s cannot be lost", db->name);
}

/* ---- opening -------------------------------------------------------------------------------------------------------
 */
static gr_status ready(gr_catalog_db *db, gr_error *err) {
    sqlite_db *d = sqlite_of(db);
    GR_TRY(exec(db, "PRAGMA journal_mode = WAL", "switching to a write-ahead log", err));
    for (int i = 0; i < ST__COUNT; i++) {
        const char *sql = gr_catalog_stmt_sql((gr_catalog_stmt)i);
        int rc = sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->stmts[i], NULL);
        if (rc != SQLITE_OK) return fail(d, rc, "preparing", err);
    }
    int rc = sqlite3_prepare_v3(d->db, "PRAGMA data_version", -1, SQLITE_PREPARE_PERSISTENT, &d->data_version, NULL);
    return rc == SQLITE_OK ? GR_OK : fail(d, rc, "preparing", err);
}

static void close_db(gr_catalog_db *db) {
    sqlite_db *d = sqlite_of(db);
    for (int i = 0; i < ST__COUNT; i++) sqlite3_finalize(d->stmts[i]);
    sqlite3_finalize(d->data_version);
    sqlite3_close(d->db);
    gr_catalog_owner_close(&d->owner);
    free(d->base.name);
    free(d->file);
    free(d);
}

static const gr_catalog_db_driver driver = {
    .words = {.has_ours = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
              .has_others = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"},
    .close = close_db,
    .reopen = reopen,
    .gate_enter = gate_enter,
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

/* Says which of the usual things is wrong before SQLite says "unable to open database file". */
static gr_status check_place(const sqlite_db *d, gr_error *err) {
    const char *slash = strrchr(d->file, '/');
    size_t n = slash == d->file ? 1 : (size_t)(slash - d->file);
    char *folder = gr_mem_dup(d->file, n), buf[128];
    struct stat st;
    gr_status status = GR_OK;
    int why = stat(folder, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (why) {
        status = gr_error_set(err, GR_ERR_CATALOG_IO, "the folder of the catalog, %s, cannot be used: %s", folder,
                              strerror_r(why, buf, sizeof buf));
        gr_error_hint(err, "create the folder, or set storage.path to one that exists");
    } else if (stat(d->file, &st) == 0 && !S_ISREG(st.st_mode)) {
        status = gr_error_set(err, GR_ERR_CATALOG_IO, "the catalog %s is not a file", d->file);
        gr_error_hint(err, "move away what is there, or set storage.path to another folder");
    }
    free(folder);
    return status;
}

static gr_status configure(sqlite_db *d, gr_error *err) {
    static const char pragmas[] = "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL";
    if (sqlite3_db_readonly(d->db, "main") == 1) return fail(d, SQLITE_READONLY, "opening", err);
    sqlite3_busy_timeout(d->db, CATALOG_WAIT_MS);
    sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, 16 * CATALOG_MAX_JSON);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return exec(&d->base, pragmas, "opening", err);
}

/* A catalog is small, so all of it is looked at: better a refusal now than a wrong answer later. */
static gr_status check_pages(sqlite_db *d, gr_error *err) {
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(d->db, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(s);
    const char *verdict = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    gr_status status = GR_OK;
    if (rc != SQLITE_ROW) {
        status = fail(d, rc, "checking", err);
    } else if (!verdict || strcmp(verdict, "ok") != 0) {
        status = gr_error_set(err, GR_ERR_CATALOG_IO, "%s is damaged (while checking: %s)", d->base.name,
                              verdict ? verdict : "no verdict");
        gr_error_hint(err,
                      "restore it, or move it away: Granary makes a new catalog and builds the pre-aggregations again");
    }
    sqlite3_finalize(s);
    return status;
}

static gr_status open_all(sqlite_db *d, gr_error *err) {
    GR_TRY(check_place(d, err));
    GR_TRY(gr_catalog_owner_open(&d->owner, err));
    d->base.owner = d->owner.number;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(d->file, &d->db, flags, NULL);
    if (rc != SQLITE_OK) return fail(d, rc, "opening", err);
    GR_TRY(configure(d, err));
    return check_pages(d, err);
}

gr_status gr_catalog_sqlite_open(gr_str file, gr_catalog_db **ret, gr_error *err) {
    enum { MAX_PATH = 4000 };
    gr_catalog_rule_of_text path = {"path", file, MAX_PATH, true, GR_CATALOG_ANY};
    gr_error why;
    if (gr_catalog_texts_check(&path, 1, NULL, &why))
        return gr_error_set(err, GR_ERR_CATALOG_IO, "the catalog's path cannot be used: %s", why.message);
    sqlite_db *d = gr_mem_calloc(1, sizeof *d);
    /* With a folder in front, no name is special to SQLite (":memory:", "file:…"). */
    size_t size = file.n + sizeof "the catalog ./";
    d->file = gr_mem_alloc(size);
    snprintf(d->file, size, "%s" GR_FMT, file.p[0] == '/' ? "" : "./", GR_ARG(file));
    d->owner = (gr_catalog_owner){.file = d->file, .fd = -1};
    d->base = (gr_catalog_db){.driver = &driver,
                              .name = gr_mem_alloc(size),
                              .store_hint = "set storage.path to a folder of Granary's own, or move the file away"};
    snprintf(d->base.name, size, "the catalog %s", d->file);
    gr_status status = open_all(d, err);
    if (status)
        close_db(&d->base);
    else
        *ret = &d->base;
    return status;
}
