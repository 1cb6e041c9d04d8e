/* What PostgreSQL says, in Granary's errors, by SQLSTATE. Only the primary message goes out: detail and hint quote rows
 * and statements.
 * Invariant: no message has the password in it. */
#include "engine/postgres_internal.h"

#include <stdio.h>

typedef struct state_kind {
    const char *state; /* the beginning of an SQLSTATE; longer ones first */
    gr_status status;
    const char *hint;
} state_kind;

/* The last row is for all others. */
static const state_kind state_kinds[] = {
    {"57014", GR_ERR_TIMEOUT, "look at statement_timeout of the role and of the database"},
    {"57P", GR_ERR_ENGINE_IO, "try again: the next statement opens the connection again"},
    {"08P01", GR_ERR_ENGINE_SQL, ""},
    {"08", GR_ERR_ENGINE_IO, "try again: the next statement opens the connection again"},
    {"28", GR_ERR_ENGINE_OPEN, "check user and password, and pg_hba.conf of the server"},
    {"3D000", GR_ERR_ENGINE_OPEN, "create the database, or name another one"},
    {"3F000", GR_ERR_ENGINE_SQL, "create the schema, or name another one"},
    {"25006", GR_ERR_ENGINE_SQL, "only builds write, and only to a primary server"},
    {"25", GR_ERR_ENGINE_SQL, ""},
    {"42501", GR_ERR_ENGINE_SQL,
     "grant the role what it needs: SELECT on the tables of the model, and CREATE on the "
     "schema of pre-aggregations when they live in the source"},
    {"42", GR_ERR_ENGINE_SQL, ""},
    {"0A", GR_ERR_ENGINE_SQL, ""},
    {"26", GR_ERR_ENGINE_SQL, ""},
    {"2B", GR_ERR_ENGINE_SQL, "drop what depends on it first"},
    {"40", GR_ERR_ENGINE_LOCKED, "try again"},
    {"55P03", GR_ERR_ENGINE_LOCKED, "try again; look for a session that holds its locks"},
    {"55", GR_ERR_ENGINE_LOCKED, "try again"},
    {"53100", GR_ERR_ENGINE_IO, "the disk of the server is full: free some space"},
    {"53200", GR_ERR_ENGINE_MEMORY, "look at the log of the PostgreSQL server"},
    {"53300", GR_ERR_ENGINE_OPEN, "raise max_connections of the server, or lower engine.connections"},
    {"53", GR_ERR_ENGINE_IO, "look at the log of the PostgreSQL server"},
    {"54", GR_ERR_ENGINE_SQL, ""},
    {"22", GR_ERR_ENGINE_DATA, ""},
    {"23", GR_ERR_ENGINE_DATA, ""},
    {"21", GR_ERR_ENGINE_DATA, ""},
    {"2", GR_ERR_ENGINE_DATA, ""},
    {"P0", GR_ERR_ENGINE_DATA, ""},
    {"58", GR_ERR_ENGINE_IO, "look at the log of the PostgreSQL server"},
    {"XX", GR_ERR_ENGINE_IO, "look at the log of the PostgreSQL server"},
    {"", GR_ERR_ENGINE_IO, "look at the log of the PostgreSQL server"},
};

bool gr_engine_postgres_is_lost(const gr_postgres_conn *conn) { return gr_pg_is_lost(conn->pg); }

static gr_status fail_fired(gr_status fired, gr_error *err) {
    if (fired == GR_ERR_TIMEOUT)
        return gr_error_set(err, GR_ERR_TIMEOUT, "the statement ran into the time limit and was stopped");
    return gr_error_set(err, GR_ERR_CANCELLED, "cancelled");
}

gr_status gr_engine_postgres_fail(const gr_postgres_conn *conn, const PGresult *result, gr_status fired,
                                  gr_error *err) {
    if (fired) return fail_fired(fired, err);
    const char *field = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = field ? field : gr_engine_postgres_is_lost(conn) ? "08006" : "";
    const state_kind *k = state_kinds;
    char message[1024];
    gr_pg_message(conn->pg, text ? text : PQerrorMessage(conn->pg->conn), message, sizeof message);
    while (*k->state && strncmp(state, k->state, strlen(k->state)) != 0) k++;
    gr_error_set(err, k->status, "%s: %s", conn->pg->what, *message ? message : "the connection was lost");
    if (*k->hint) gr_error_hint(err, "%s", k->hint);
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%s", state);
    return k->status;
}
