/* Which of PostgreSQL's types results carry, and as what. Domains arrive as their base type. Types that are made by
 * users and extensions have no fixed number: the server is asked once per connection.
 *
 *   bool                       bool            date                     date
 *   int2, int4, int8, oid      int64           timestamp, timestamptz   the same
 *   float4, float8             float64         text, varchar, char, …, time, uuid, json, enums   utf8
 *   numeric(p, s)              decimal(p, s)   bytea, hll               binary
 *   numeric                    decimal, precision 0: each batch has a scale of its own
 *
 * Everything else (arrays, intervals, ranges, money, …) is refused by name: CAST(x AS text) makes it fit. */
#include "engine/postgres_internal.h"

#include <stdio.h>

enum { NUMERIC = 1700, TEXT = 25, VARCHAR = 1043, HEADER = 4 };

static const struct {
    Oid oid;
    gr_type to;
} known[] = {
    {16, GR_TYPE_BOOL},        {20, GR_TYPE_INT64},         {21, GR_TYPE_INT64},        {23, GR_TYPE_INT64},
    {26, GR_TYPE_INT64},       {700, GR_TYPE_FLOAT64},      {701, GR_TYPE_FLOAT64},     {25, GR_TYPE_UTF8},
    {1043, GR_TYPE_UTF8},      {1042, GR_TYPE_UTF8},        {19, GR_TYPE_UTF8},         {18, GR_TYPE_UTF8},
    {705, GR_TYPE_UTF8},       {114, GR_TYPE_UTF8},         {3802, GR_TYPE_UTF8},       {2950, GR_TYPE_UTF8},
    {1083, GR_TYPE_UTF8},      {142, GR_TYPE_UTF8},         {17, GR_TYPE_BINARY},       {1082, GR_TYPE_DATE},
    {1114, GR_TYPE_TIMESTAMP}, {1184, GR_TYPE_TIMESTAMPTZ}, {NUMERIC, GR_TYPE_DECIMAL},
};

static bool find(const gr_postgres_conn *conn, Oid oid, gr_postgres_type *ret) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].oid == oid) return *ret = (gr_postgres_type){.oid = oid, .to = known[i].to}, true;
    for (size_t i = 0; i < conn->n_types; i++)
        if (conn->types[i].oid == oid) return *ret = conn->types[i], true;
    return false;
}

static gr_status refuse(const gr_postgres_conn *conn, gr_str column, const char *type, gr_error *err) {
    gr_error_set(err, GR_ERR_ENGINE_DATA, "%s: results cannot carry column \"" GR_FMT "\" of type %s", conn->pg->what,
                 GR_ARG(column), type);
    gr_error_hint(err, "write CAST(… AS text), or another type that fits, in the model");
    return GR_ERR_ENGINE_DATA;
}

/* numeric(p, s): p << 16 | s, of which s is a number of 11 bits with a sign since version 15. */
static gr_status set_numeric(const gr_postgres_conn *conn, int typmod, gr_column_schema *s, gr_error *err) {
    if (typmod < HEADER) return GR_OK;
    int precision = ((typmod - HEADER) >> 16) & 0xffff, scale = ((((typmod - HEADER) & 0x7ff) ^ 1024) - 1024);
    if (precision > 38 || scale > 38 || scale < 0) {
        char type[64];
        snprintf(type, sizeof type, "numeric(%d,%d)", precision, scale);
        return refuse(conn, s->name, type, err);
    }
    s->precision = (uint8_t)(precision < scale ? scale : precision);
    s->scale = (uint8_t)scale;
    return GR_OK;
}

gr_status gr_engine_postgres_schema(const gr_postgres_conn *conn, const PGresult *result, gr_arena *arena,
                                    gr_column_schema **ret, Oid *ret_unknown, gr_error *err) {
    int n = PQnfields(result);
    gr_column_schema *schema = GR_NEW_N(arena, gr_column_schema, (size_t)n + 1);
    *ret_unknown = 0;
    for (int i = 0; i < n; i++) {
        gr_postgres_type type;
        schema[i].name = gr_arena_dup(arena, gr_str_from(PQfname(result, i)));
        if (!find(conn, PQftype(result, i), &type)) {
            *ret_unknown = PQftype(result, i);
            return GR_OK;
        }
        if (type.to == GR_TYPE_NULL) return refuse(conn, schema[i].name, type.name, err);
        schema[i].type = type.to;
        schema[i].is_text_of_other = type.to == GR_TYPE_UTF8 && type.oid != TEXT && type.oid != VARCHAR;
        if (type.to == GR_TYPE_DECIMAL) GR_TRY(set_numeric(conn, PQfmod(result, i), &schema[i], err));
    }
    *ret = schema;
    return GR_OK;
}

gr_status gr_engine_postgres_learn(gr_postgres_conn *conn, Oid oid, gr_error *err) {
    static const char sql[] = "SELECT format_type(oid, NULL), CASE WHEN typtype = 'e' OR typname = 'citext' THEN 't'"
                              " WHEN typname = 'hll' THEN 'b' ELSE '' END FROM pg_catalog.pg_type WHERE oid = $1::oid";
    char text[16];
    const char *const value = text;
    snprintf(text, sizeof text, "%u", oid);
    PGresult *result = PQexecParams(conn->pg->conn, sql, 1, NULL, &value, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        gr_status status = gr_engine_postgres_fail(conn, result, GR_OK, err);
        PQclear(result);
        return status;
    }
    if (conn->n_types == GR_POSTGRES_TYPES) conn->n_types = 0;
    gr_postgres_type *type = &conn->types[conn->n_types++];
    const char *kind = PQntuples(result) ? PQgetvalue(result, 0, 1) : "";
    *type = (gr_postgres_type){.oid = oid,
                               .to = *kind == 't'   ? GR_TYPE_UTF8
                                     : *kind == 'b' ? GR_TYPE_BINARY
                                                    : GR_TYPE_NULL};
    snprintf(type->name, sizeof type->name, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : text);
    PQclear(result);
    return GR_OK;
}
