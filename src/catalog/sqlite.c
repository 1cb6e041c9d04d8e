/* One SQLite file behind the catalog: opening it, its prepared statements, its transactions, its errors.
 * Invariant: a transaction holds the handle's mutex from begin to end, and begins IMMEDIATE, so that it never has to be
 * upgraded and never fails half-way because of another process. Every commit is synced (synchronous=FULL): what was
 * said to be published stays published when the power fails. */
#include "catalog/internal.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const statement_sql[] = {
#define GR_STATEMENT(name, sql) [ST_##name] = sql,
#include "catalog/statements.def"
#undef GR_STATEMENT
};

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

gr_status gr_catalog_fail(const gr_catalog *c, int rc, const char *doing, gr_error *err) {
    if ((rc & 0xff) == SQLITE_NOMEM) gr_mem_die(0);
    const code_text *t = code_texts;
    while (t->code != -1 && t->code != (rc & 0xff)) t++;
    int system = c->db ? sqlite3_system_errno(c->db) : 0;
    bool is_system = system && (t->code == SQLITE_CANTOPEN || t->code == -1);
    char buf[128];
    gr_error_set(err, t->status, "the catalog %s %s (while %s: %s%s%s)", c->file, t->is, doing,
                 c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc), is_system ? ": " : "",
                 is_system ? strerror_r(system, buf, sizeof buf) : "");
    if (*t->hint) gr_error_hint(err, "%s", t->hint);
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%d", rc);
    return t->status;
}

gr_status gr_catalog_exec(gr_catalog *c, const char *sql, const char *doing, gr_error *err) {
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? GR_OK : gr_catalog_fail(c, rc, doing, err);
}

gr_status gr_catalog_query_i64(gr_catalog *c, const char *sql, int64_t *ret, gr_error *err) {
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(s);
    gr_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? GR_OK : gr_catalog_fail(c, rc, "reading", err);
    if (!status) *ret = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return status;
}

sqlite3_stmt *gr_catalog_stmt_get(gr_catalog *c, gr_catalog_stmt id) {
    sqlite3_reset(c->stmts[id]);
    sqlite3_clear_bindings(c->stmts[id]);
    return c->stmts[id];
}

void gr_catalog_bind_str(sqlite3_stmt *s, int at, gr_str text) {
    sqlite3_bind_text64(s, at, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

gr_status gr_catalog_step(gr_catalog *c, sqlite3_stmt *s, bool *ret_row, gr_error *err) {
    int rc = sqlite3_step(s);
    gr_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? GR_OK : gr_catalog_fail(c, rc, "working", err);
    if (rc != SQLITE_ROW) sqlite3_reset(s);
    if (!status) *ret_row = rc == SQLITE_ROW;
    return status;
}

gr_status gr_catalog_run(gr_catalog *c, sqlite3_stmt *s, gr_error *err) {
    bool is_row = true;
    while (is_row) GR_TRY(gr_catalog_step(c, s, &is_row, err));
    return GR_OK;
}

gr_status gr_catalog_tx_begin(gr_catalog *c, gr_error *err) {
    pthread_mutex_lock(&c->lock);
    gr_status status = gr_catalog_run(c, gr_catalog_stmt_get(c, ST_BEGIN), err);
    if (status) pthread_mutex_unlock(&c->lock);
    return status;
}

gr_status gr_catalog_tx_end(gr_catalog *c, gr_status status, gr_error *err) {
    if (!status) status = gr_catalog_run(c, gr_catalog_stmt_get(c, ST_COMMIT), err);
    /* A full disk rolls back by itself; the second ROLLBACK would only hide the first message. */
    if (status && !sqlite3_get_autocommit(c->db)) {
        sqlite3_step(gr_catalog_stmt_get(c, ST_ROLLBACK));
        sqlite3_reset(c->stmts[ST_ROLLBACK]);
    }
    pthread_mutex_unlock(&c->lock);
    return status;
}

gr_str gr_catalog_col_str(sqlite3_stmt *s, int at, gr_arena *arena) {
    const char *p = (const char *)sqlite3_column_text(s, at);
    return gr_arena_dup(arena, (gr_str){p, p ? (size_t)sqlite3_column_bytes(s, at) : 0});
}

gr_status gr_catalog_check_texts(const gr_catalog_text *texts, size_t n, gr_error *err) {
    for (size_t i = 0; i < n; i++) {
        const gr_catalog_text *t = &texts[i];
        if (t->text.n > t->max_bytes)
            return gr_error_set(err, GR_ERR_LIMIT, "the %s has %zu bytes, and the catalog keeps at most %zu", t->what,
                                t->text.n, t->max_bytes);
        if (t->is_required && !t->text.n)
            return gr_error_set(err, GR_ERR_INTERNAL, "the catalog was given an empty %s", t->what);
        if (!gr_str_is_utf8(t->text) || gr_str_find(t->text, 0, 0) != SIZE_MAX)
            return gr_error_set(err, GR_ERR_INTERNAL, "the catalog was given a %s that is not UTF-8 text", t->what);
    }
    return GR_OK;
}

/* Says which of the usual things is wrong before SQLite says "unable to open database file". */
static gr_status check_place(const gr_catalog *c, gr_error *err) {
    const char *slash = strrchr(c->file, '/');
    size_t n = slash == c->file ? 1 : (size_t)(slash - c->file);
    char *folder = gr_mem_dup(c->file, n), buf[128];
    struct stat st;
    gr_status status = GR_OK;
    int why = stat(folder, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (why) {
        status = gr_error_set(err, GR_ERR_CATALOG_IO, "the folder of the catalog, %s, cannot be used: %s", folder,
                              strerror_r(why, buf, sizeof buf));
        gr_error_hint(err, "create the folder, or set storage.path to one that exists");
    } else if (stat(c->file, &st) == 0 && !S_ISREG(st.st_mode)) {
        status = gr_error_set(err, GR_ERR_CATALOG_IO, "the catalog %s is not a file", c->file);
        gr_error_hint(err, "move away what is there, or set storage.path to another folder");
    }
    free(folder);
    return status;
}

static gr_status configure(gr_catalog *c, gr_error *err) {
    static const char pragmas[] = "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON;"
                                  "PRAGMA synchronous = FULL";
    if (sqlite3_db_readonly(c->db, "main") == 1) return gr_catalog_fail(c, SQLITE_READONLY, "opening", err);
    sqlite3_busy_timeout(c->db, CATALOG_WAIT_MS);
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, 16 * CATALOG_MAX_JSON);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return gr_catalog_exec(c, pragmas, "opening", err);
}

/* A catalog is small, so all of it is looked at: better a refusal now than a wrong answer later. */
static gr_status check_pages(gr_catalog *c, gr_error *err) {
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(s);
    const char *verdict = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    gr_status status = GR_OK;
    if (rc != SQLITE_ROW) {
        status = gr_catalog_fail(c, rc, "checking", err);
    } else if (!verdict || strcmp(verdict, "ok") != 0) {
        status = gr_error_set(err, GR_ERR_CATALOG_IO, "the catalog %s is damaged (while checking: %s)", c->file,
                              verdict ? verdict : "no verdict");
        gr_error_hint(err,
                      "restore it, or move it away: Granary makes a new catalog and builds the pre-aggregations again");
    }
    sqlite3_finalize(s);
    return status;
}

static gr_status prepare_all(gr_catalog *c, gr_error *err) {
    for (int i = 0; i < ST__COUNT; i++) {
        int rc = sqlite3_prepare_v3(c->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &c->stmts[i], NULL);
        if (rc != SQLITE_OK) return gr_catalog_fail(c, rc, "preparing", err);
    }
    return GR_OK;
}

static gr_status open_all(gr_catalog *c, gr_error *err) {
    GR_TRY(check_place(c, err));
    GR_TRY(gr_catalog_owner_open(c, err));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(c->file, &c->db, flags, NULL);
    if (rc != SQLITE_OK) return gr_catalog_fail(c, rc, "opening", err);
    GR_TRY(configure(c, err));
    GR_TRY(check_pages(c, err));
    GR_TRY(gr_catalog_migrate(c, err));
    GR_TRY(gr_catalog_exec(c, "PRAGMA journal_mode = WAL", "switching to a write-ahead log", err));
    GR_TRY(prepare_all(c, err));
    GR_TRY(gr_catalog_builds_recover(c, err));
    gr_catalog_owner_leave_gate(c);
    return GR_OK;
}

gr_status gr_catalog_open(gr_str file, gr_catalog **ret, gr_error *err) {
    gr_catalog_text path = {"path", file, 4000, true};
    gr_error why;
    if (gr_catalog_check_texts(&path, 1, &why))
        return gr_error_set(err, GR_ERR_CATALOG_IO, "the catalog's path cannot be used: %s", why.message);
    gr_catalog *c = gr_mem_calloc(1, sizeof *c);
    c->lock_fd = -1;
    /* With a folder in front, no name is special to SQLite (":memory:", "file:…"). */
    size_t size = file.n + sizeof "./";
    c->file = gr_mem_alloc(size);
    snprintf(c->file, size, "%s" GR_FMT, file.p[0] == '/' ? "" : "./", GR_ARG(file));
    pthread_mutex_init(&c->lock, NULL);
    gr_status status = open_all(c, err);
    if (status) {
        gr_catalog_close(c);
        return status;
    }
    *ret = c;
    return GR_OK;
}

void gr_catalog_close(gr_catalog *c) {
    if (!c) return;
    for (int i = 0; i < ST__COUNT; i++) sqlite3_finalize(c->stmts[i]);
    sqlite3_close(c->db);
    gr_catalog_owner_close(c);
    pthread_mutex_destroy(&c->lock);
    free(c->file);
    free(c);
}
