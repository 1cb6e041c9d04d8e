/* Opening PostgreSQL connections, and the table of what its errors mean. */
#include "pg/pg.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- messages ------------------------------------------------------------------------------------------------------
 */
typedef struct state_text {
    const char *state; /* the beginning of an SQLSTATE; longer ones first */
    gr_status status;
    const char *is, *hint;
} state_text;

static const char again[] = "try again: the next call opens the connection again";
static const char tables[] = "restore the schema, or drop it: Granary makes a new catalog and builds the "
                             "pre-aggregations again";

/* The last row is for all others. */
static const state_text state_texts[] = {
    {"55P03", GR_ERR_CATALOG_IO, "is held by another process", "try again; look for a session that holds its locks"},
    {"57014", GR_ERR_CATALOG_IO, "cancelled the statement", "try again; look at statement_timeout of the role"},
    {"57P", GR_ERR_CATALOG_IO, "closed the connection", again},
    {"53100", GR_ERR_CATALOG_IO, "cannot grow: the disk is full", "free some space; what was stored before is intact"},
    {"53300", GR_ERR_CATALOG_IO, "has no connection left", "raise max_connections, or stop other clients"},
    {"53", GR_ERR_CATALOG_IO, "is out of memory or of another resource", "look at the log of the PostgreSQL server"},
    {"25006", GR_ERR_CATALOG_IO, "cannot be written: the server or the session is read-only",
     "connect to the primary server (target_session_attrs=read-write)"},
    {"42501", GR_ERR_CATALOG_IO, "may not be used by this role",
     "grant the role CREATE on the database, or make the schema and grant it USAGE and CREATE there"},
    {"28", GR_ERR_CATALOG_IO, "refused the user or the password",
     "check user and password, and pg_hba.conf of the server"},
    {"3D000", GR_ERR_CATALOG_IO, "has no such database", "create the database, or name another one"},
    {"40", GR_ERR_CATALOG_IO, "gave way to another process", "try again"},
    {"42P01", GR_ERR_CATALOG_IO, "has not the tables that it should have", tables},
    {"42703", GR_ERR_CATALOG_IO, "has not the tables that it should have", tables},
    {"23", GR_ERR_INTERNAL, "refused a row", ""},
    {"54", GR_ERR_LIMIT, "cannot hold a text of this size", ""},
    {"22", GR_ERR_INTERNAL, "refused a value", ""},
    {"42", GR_ERR_INTERNAL, "was used wrongly", ""},
    {"08", GR_ERR_CATALOG_IO, "was lost", again},
    {"", GR_ERR_CATALOG_IO, "cannot be read or written", "look at the log of the PostgreSQL server"},
};

void gr_pg_message(const gr_pg *pg, const char *from, char *out, size_t size) {
    size_t n = 0, n_secret = pg->secret ? strlen(pg->secret) : 0;
    for (const char *p = from; *p && n + 4 < size;) {
        if (n_secret && strncmp(p, pg->secret, n_secret) == 0) {
            memcpy(out + n, "***", 3);
            n += 3;
            p += n_secret;
        } else {
            unsigned char c = (unsigned char)*p++;
            out[n++] = (char)(c < ' ' ? ' ' : c);
        }
    }
    while (n && out[n - 1] == ' ') n--;
    out[n] = 0;
}

gr_status gr_pg_fail(const gr_pg *pg, const PGresult *result, const char *what, const char *doing, gr_error *err) {
    const char *field = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = field ? field : gr_pg_is_lost(pg) ? "08006" : "";
    const state_text *t = state_texts;
    char message[512];
    gr_pg_message(pg, text ? text : PQerrorMessage(pg->conn), message, sizeof message);
    while (*t->state && strncmp(state, t->state, strlen(t->state)) != 0) t++;
    gr_error_set(err, t->status, "%s in %s %s (while %s: %s)", what, pg->place, t->is, doing, message);
    if (*t->hint) gr_error_hint(err, "%s", t->hint);
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%s", state);
    return t->status;
}

/* ---- connecting ----------------------------------------------------------------------------------------------------
 */
static gr_status fail_of_string(gr_pg_use use, gr_error *err) {
    /* What libpq says here quotes the string, in which the password stands. */
    gr_error_set(err, use.unreachable, "the PostgreSQL connection string of %s cannot be read", use.what);
    gr_error_hint(err, "write host=… dbname=… user=… password=…, or postgresql://user:password@host:port/database "
                       "with %%40 for @, %%3A for : and %%2F for / within user and password");
    return use.unreachable;
}

/* A URL whose password was not encoded is taken apart in the wrong places, and parts of the password become host or
 * port: there is one @ in "user:password@host:port", and none later unless there was one. */
static bool is_ambiguous(const char *conninfo) {
    const char *at = strncmp(conninfo, "postgres", strlen("postgres")) == 0 ? strstr(conninfo, "://") : NULL;
    if (!at) return false;
    at += strlen("://");
    size_t n_authority = strcspn(at, "/?"), n_at = 0;
    for (size_t i = 0; i < n_authority; i++) n_at += at[i] == '@';
    return n_at > 1 || (n_at == 0 && strchr(at, '@'));
}

static const char *value_of(const PQconninfoOption *options, const char *keyword) {
    for (; options && options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0) return options->val && *options->val ? options->val : NULL;
    return NULL;
}

static char *place_of(const gr_pg *pg) {
    const char *host = PQhost(pg->conn), *port = PQport(pg->conn), *db = PQdb(pg->conn);
    size_t size = strlen(host ? host : "") + strlen(port ? port : "") + strlen(db ? db : "") + 64;
    char *text = gr_mem_alloc(size), *place = gr_mem_alloc(3 * size);
    snprintf(text, size, "PostgreSQL at %s:%s, database %s", host && *host ? host : "localhost",
             port && *port ? port : "5432", db ? db : "");
    gr_pg_message(pg, text, place, 3 * size); /* three stars for each letter at worst */
    free(text);
    return place;
}

/* Ours first, so that what the connection string says wins; the encoding is not for it to choose. A server that is cut
 * off is noticed within half a minute. */
static PGconn *connect_to(const char *conninfo) {
    static const char *const keywords[] = {"connect_timeout", "fallback_application_name", "tcp_user_timeout",
                                           "keepalives_idle", "keepalives_interval",       "keepalives_count",
                                           "dbname",          "client_encoding",           NULL};
    const char *const values[] = {"10", "granary", "30000", "30", "10", "3", conninfo, "UTF8", NULL};
    return PQconnectdbParams(keywords, values, 1);
}

static void ignore_notice(void *arg, const char *message) { (void)arg, (void)message; }

static gr_status connected(gr_pg *pg, gr_error *err) {
    pg->conn = connect_to(pg->options);
    if (!pg->conn) gr_mem_die(0);
    free(pg->place);
    pg->place = place_of(pg);
    PQsetNoticeProcessor(pg->conn, ignore_notice, NULL);
    if (PQstatus(pg->conn) == CONNECTION_OK) {
        if (!pg->secret && PQpass(pg->conn) &&
            *PQpass(pg->conn)) /* from a service file, ~/.pgpass or the environment */
            pg->secret = gr_mem_dup(PQpass(pg->conn), strlen(PQpass(pg->conn)));
        return GR_OK;
    }
    char message[512];
    gr_pg_message(pg, PQerrorMessage(pg->conn), message, sizeof message);
    gr_error_set(err, pg->unreachable, "%s cannot be reached: %s: %s", pg->what, pg->place, message);
    gr_error_hint(err,
                  "check that the server runs and takes connections from here, and the user, password and database "
                  "of the connection string");
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "08001");
    return pg->unreachable;
}

gr_status gr_pg_open(gr_str conninfo, gr_pg_use use, gr_pg **ret, gr_error *err) {
    if (!gr_str_is_utf8(conninfo) || gr_str_find(conninfo, 0, 0) != SIZE_MAX) return fail_of_string(use, err);
    gr_pg *pg = gr_mem_calloc(1, sizeof *pg);
    pg->options = gr_mem_dup(conninfo.p, conninfo.n);
    pg->what = gr_mem_dup(use.what, strlen(use.what));
    pg->unreachable = use.unreachable;
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(pg->options, &why);
    PQfreemem(why);
    const char *secret = value_of(options, "password");
    if (!secret) secret = getenv("PGPASSWORD");
    if (secret && *secret) pg->secret = gr_mem_dup(secret, strlen(secret));
    gr_status status = !options || is_ambiguous(pg->options) ? fail_of_string(use, err) : connected(pg, err);
    PQconninfoFree(options);
    if (status)
        gr_pg_close(pg);
    else
        *ret = pg;
    return status;
}

gr_status gr_pg_reopen(gr_pg *pg, gr_error *err) {
    gr_pg_hang_up(pg);
    return connected(pg, err);
}

void gr_pg_hang_up(gr_pg *pg) {
    PQfinish(pg->conn);
    pg->conn = NULL;
}

void gr_pg_close(gr_pg *pg) {
    if (!pg) return;
    gr_pg_hang_up(pg);
    free(pg->place);
    free(pg->secret);
    free(pg->options);
    free(pg->what);
    free(pg);
}

bool gr_pg_is_lost(const gr_pg *pg) { return PQstatus(pg->conn) != CONNECTION_OK; } /* NULL is no connection */

/* ---- statements ----------------------------------------------------------------------------------------------------
 */
gr_status gr_pg_exec(gr_pg *pg, const char *sql, const char *what, const char *doing, gr_error *err) {
    PGresult *result = PQexec(pg->conn, sql);
    ExecStatusType code = PQresultStatus(result);
    bool is_ok = code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK || code == PGRES_EMPTY_QUERY;
    gr_status status = is_ok ? GR_OK : gr_pg_fail(pg, result, what, doing, err);
    PQclear(result);
    return status;
}

gr_str gr_pg_identifier(gr_str name, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, 2 * name.n + 3);
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') out[n++] = '"';
        out[n++] = name.p[i];
    }
    out[n++] = '"';
    return (gr_str){out, n};
}
