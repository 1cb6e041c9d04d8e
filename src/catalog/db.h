/* The database under the catalog: what the rules (nodes.c, declare.c, builds.c, …) ask of it, and the two drivers that
 * answer. A rule names a statement of statements.def, gives parameters, and gets the whole result as a table in an
 * arena: no cursor stays open, so that statements may follow each other in any order.
 *
 *     rules ──> gr_catalog_db_* (below) ──> driver ──> db_sqlite.c    one file; the lock file says who lives (owner.c)
 *                                                └───> db_postgres.c  libpq; advisory locks, LISTEN/NOTIFY
 *
 * One writer at a time, on both: write transactions begin by taking the catalog's lock (SQLite: BEGIN IMMEDIATE;
 * PostgreSQL: LOCK TABLE schema_migrations), and what they read then stays true until they commit. Read transactions
 * see one state.
 *
 * Threads: one at a time; the catalog's mutex sees to that. Only `changed` may run beside another call. */
#ifndef GR_CATALOG_DB_H
#define GR_CATALOG_DB_H
#include "catalog/catalog.h"

typedef enum gr_catalog_stmt {
#define GR_STATEMENT(name, sql) ST_##name,
#include "catalog/statements.def"
#undef GR_STATEMENT
    ST__COUNT
} gr_catalog_stmt;
const char *gr_catalog_stmt_sql(gr_catalog_stmt id);

typedef enum gr_catalog_param_kind { GR_CATALOG_NULL, GR_CATALOG_I64, GR_CATALOG_TEXT } gr_catalog_param_kind;
typedef struct gr_catalog_param {
    gr_catalog_param_kind kind;
    int64_t number;
    gr_str text;
} gr_catalog_param;

/* Both are filled: text of a number is empty, number of a text is 0, NULL is empty and 0. */
typedef struct gr_catalog_cell {
    gr_str text;
    int64_t number;
    bool is_null;
} gr_catalog_cell;

typedef struct gr_catalog_table {
    size_t n_rows, n_columns;
    gr_catalog_cell *cells; /* row by row */
} gr_catalog_table;

/* One row: a table of one, whose cells and texts live until it returns. It asks nothing of the catalog. */
typedef void (*gr_catalog_row_fn)(void *arg, const gr_catalog_table *row);

/* What a driver writes where the two databases have different words. */
typedef struct gr_catalog_words {
    const char *has_ours;   /* SELECT of 0 or 1: is there a schema_migrations? */
    const char *has_others; /* SELECT of a count: tables of other programs */
} gr_catalog_words;

typedef struct gr_catalog_db_driver gr_catalog_db_driver;

/* The part of an open database that every driver begins with. */
typedef struct gr_catalog_db {
    const gr_catalog_db_driver *driver;
    char *name;             /* for messages: "the catalog /a/b.sqlite" */
    const char *store_hint; /* for messages: what to set to use another place */
    int64_t owner;          /* this handle's number: written into the builds that it begins */
    bool is_lost;           /* the connection is gone; nothing but `reopen` and `close` may be called */
    bool is_reopened;       /* set by `reopen`: the handle has to register again */
    int64_t earlier_owner;  /* of the connection that was lost */
} gr_catalog_db;

struct gr_catalog_db_driver {
    gr_catalog_words words;
    bool is_postgres;
    /* Its holder may be gone for a while and come back: a server without its lock lives on until its lease ends. */
    bool may_reconnect;
    void (*close)(gr_catalog_db *db);
    gr_status (*reopen)(gr_catalog_db *db, gr_error *err);
    /* One handle at a time opens, migrates and registers. */
    gr_status (*gate_enter)(gr_catalog_db *db, gr_error *err); /* nothing when opening has taken it */
    void (*gate_leave)(gr_catalog_db *db);
    /* After the migrations: what could not be done before. */
    gr_status (*ready)(gr_catalog_db *db, gr_error *err);
    /* Constant SQL, several statements. `doing` completes "while …" in the message. */
    gr_status (*exec)(gr_catalog_db *db, const char *sql, const char *doing, gr_error *err);
    gr_status (*run)(gr_catalog_db *db, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                     gr_catalog_table *ret, gr_error *err);
    /* As run, row by row, for results of thousands of rows. */
    gr_status (*each)(gr_catalog_db *db, gr_catalog_stmt id, const gr_catalog_param *params, size_t n, gr_arena *arena,
                      gr_catalog_row_fn fn, void *arg, gr_error *err);
    gr_status (*run_text)(gr_catalog_db *db, const char *sql, const gr_catalog_param *params, size_t n, gr_arena *arena,
                          gr_catalog_table *ret, gr_error *err);
    gr_status (*begin)(gr_catalog_db *db, bool is_write, gr_error *err);
    gr_status (*commit)(gr_catalog_db *db, bool is_change, gr_error *err); /* is_change: tell the others */
    void (*rollback)(gr_catalog_db *db);
    gr_status (*now_us)(gr_catalog_db *db, int64_t *ret, gr_error *err); /* the database's own clock */
    gr_status (*is_held)(gr_catalog_db *db, int64_t owner, bool *ret, gr_error *err);
    bool (*changed)(gr_catalog_db *db);
};

gr_status gr_catalog_sqlite_open(gr_str file, gr_catalog_db **ret, gr_error *err);
gr_status gr_catalog_postgres_open(gr_str conninfo, gr_str schema, gr_catalog_db **ret, gr_error *err);
#endif
