/* PostgreSQL connections by libpq: opening one, and what its errors mean. Thin: statements and results are libpq's own.
 * TLS, passwords, service files and all other settings are those of libpq's connection strings and environment.
 *
 * Invariant: no message that leaves this room has the connection string or the password in it. Threads: one connection,
 * one thread at a time. */
#ifndef GR_PG_PG_H
#define GR_PG_PG_H
#include "base/error.h"

#include <libpq-fe.h>

/* For whom: the beginning of messages ("the catalog", "data source \"shop\""), and what it is when it cannot be
 * reached.
 */
typedef struct gr_pg_use {
    const char *what;
    gr_status unreachable;
} gr_pg_use;

typedef struct gr_pg {
    PGconn *conn;  /* never NULL once open */
    char *place;   /* "PostgreSQL at 127.0.0.1:5432, database granary": for messages */
    char *secret;  /* the password, or NULL: to be kept out of messages */
    char *options; /* the connection string */
    char *what;    /* of gr_pg_use */
    gr_status unreachable;
} gr_pg;

/* Connects, with connect_timeout (10 s) and application_name=granary unless the string sets them. Errors:
 * use.unreachable, with a hint. Owned: gr_pg_close. */
GR_MUST_CHECK gr_status gr_pg_open(gr_str conninfo, gr_pg_use use, gr_pg **ret, gr_error *err);
static const gr_pg_use gr_pg_for_catalog = {"the catalog", GR_ERR_CATALOG_IO};
/* The same server again, after the connection was lost. */
GR_MUST_CHECK gr_status gr_pg_reopen(gr_pg *pg, gr_error *err);
/* Ends a connection, and leaves what is needed to open it again. */
void gr_pg_hang_up(gr_pg *pg);
void gr_pg_close(gr_pg *pg); /* accepts NULL */
bool gr_pg_is_lost(const gr_pg *pg);

/* One line of `from` without the password, cut to `size`. */
void gr_pg_message(const gr_pg *pg, const char *from, char *out, size_t size);

/* What went wrong with the last statement of a catalog: `result` may be NULL. `what` begins the message ("the catalog
 * \"granary\""), `doing` completes "while …". Returns the status: catalog.io, limit.exceeded or internal. */
gr_status gr_pg_fail(const gr_pg *pg, const PGresult *result, const char *what, const char *doing, gr_error *err);
/* Runs constant SQL, several statements, whose rows nobody wants. */
GR_MUST_CHECK gr_status gr_pg_exec(gr_pg *pg, const char *sql, const char *what, const char *doing, gr_error *err);
/* A name as it stands in SQL, with its quotes. */
gr_str gr_pg_identifier(gr_str name, gr_arena *arena);
#endif
