/* Shared by the files of this room only: the handle, the statements, transactions, and how SQLite's codes become
 * errors. Lock order: gr_catalog.lock is the only lock; it is held from tx_begin to tx_end, and around each read. */
#ifndef GR_CATALOG_INTERNAL_H
#define GR_CATALOG_INTERNAL_H
#include "catalog/catalog.h"

#include <pthread.h>
#include <sqlite3.h>

typedef enum gr_catalog_stmt {
#define GR_STATEMENT(name, sql) ST_##name,
#include "catalog/statements.def"
#undef GR_STATEMENT
    ST__COUNT
} gr_catalog_stmt;

struct gr_catalog {
    pthread_mutex_t lock;
    sqlite3 *db;
    sqlite3_stmt *stmts[ST__COUNT];
    char *file;    /* NUL-terminated, never one of SQLite's special names */
    int lock_fd;   /* <file>.lock */
    int64_t owner; /* this handle's byte in the lock file; written into the builds that it begins */
};

enum {
    CATALOG_MAX_NAME = 1024,    /* names, hashes, zones, stores, table names */
    CATALOG_MAX_JSON = 1 << 20, /* grain columns, measures, coverage */
    CATALOG_MAX_ERROR = 4096,   /* error texts are cut, not refused */
    CATALOG_KEEP_BUILDS = 100,  /* finished builds without a table that an entity keeps as history */
    CATALOG_WAIT_MS = 10000     /* for a lock of another process */
};

/* sqlite.c. `doing` completes "while …" in the message. */
gr_status gr_catalog_fail(const gr_catalog *c, int rc, const char *doing, gr_error *err);
gr_status gr_catalog_exec(gr_catalog *c, const char *sql, const char *doing, gr_error *err);
/* The first column of the first row of a constant query, 0 without rows. */
gr_status gr_catalog_query_i64(gr_catalog *c, const char *sql, int64_t *ret, gr_error *err);
/* A statement ready for binding. It stays valid until it is asked for again. */
sqlite3_stmt *gr_catalog_stmt_get(gr_catalog *c, gr_catalog_stmt id);
/* Texts that are bound are borrowed until the statement's last step. */
void gr_catalog_bind_str(sqlite3_stmt *s, int at, gr_str text);
/* One row, or none: then, and on failure, the statement is reset. */
gr_status gr_catalog_step(gr_catalog *c, sqlite3_stmt *s, bool *ret_row, gr_error *err);
/* To the end, for statements without rows. */
gr_status gr_catalog_run(gr_catalog *c, sqlite3_stmt *s, gr_error *err);
gr_status gr_catalog_tx_begin(gr_catalog *c, gr_error *err);
/* Commits when `status` is GR_OK, else rolls back. Returns what the caller returns. */
gr_status gr_catalog_tx_end(gr_catalog *c, gr_status status, gr_error *err);
gr_str gr_catalog_col_str(sqlite3_stmt *s, int at, gr_arena *arena);

/* A text that is about to be stored. */
typedef struct gr_catalog_text {
    const char *what;
    gr_str text;
    size_t max_bytes;
    bool is_required;
} gr_catalog_text;
gr_status gr_catalog_check_texts(const gr_catalog_text *texts, size_t n, gr_error *err);

/* migrate.c */
gr_status gr_catalog_migrate(gr_catalog *c, gr_error *err);

/* owner.c */
gr_status gr_catalog_owner_open(gr_catalog *c, gr_error *err); /* also takes the gate: one handle opens at a time */
void gr_catalog_owner_leave_gate(gr_catalog *c);
bool gr_catalog_owner_is_alive(const gr_catalog *c, int64_t owner);
void gr_catalog_owner_close(gr_catalog *c);

/* preaggs.c */
typedef struct gr_catalog_entity {
    int64_t id, materialized_us;
    gr_preagg_status status;
} gr_catalog_entity;
gr_status gr_catalog_entity_find(gr_catalog *c, int64_t id, gr_catalog_entity *ret, gr_error *err);
/* Moves the entity along the state machine; refuses a step that it does not have. */
gr_status gr_catalog_entity_move(gr_catalog *c, const gr_catalog_entity *entity, gr_preagg_status to, gr_str error,
                                 int64_t materialized_us, int64_t now_us, gr_error *err);

/* builds.c */
void gr_catalog_build_read(sqlite3_stmt *s, int first, gr_arena *arena, gr_build_row *ret);
gr_status gr_catalog_builds_recover(gr_catalog *c, gr_error *err);
#endif
