/* The schema, as numbered steps that are never changed once released: a database of any earlier number is brought up by
 * the steps that it lacks, each in a transaction of its own. A database with a higher number than the last step here
 * was written by a newer Granary and is refused untouched. */
#include "catalog/internal.h"

#include "base/clock.h"

typedef struct migration {
    const char *name;
    const char *sql;
} migration;

#define JSON_CHECK(column, kind)                                                                                       \
    " CHECK (CASE WHEN json_valid(" column ") THEN json_type(" column ") = '" kind "' ELSE 0 END)"

/* Number n stands at index n - 1. */
static const migration migrations[] = {
    {"nodes and their pre-aggregations",
     "CREATE TABLE node ("
     " id INTEGER PRIMARY KEY,"
     " name TEXT NOT NULL UNIQUE,"
     " version TEXT NOT NULL);"
     "CREATE TABLE pre_aggregations ("
     " id INTEGER PRIMARY KEY AUTOINCREMENT,"
     " source_node_id INTEGER NOT NULL REFERENCES node (id),"
     " grain_hash TEXT NOT NULL,"
     " grain_columns TEXT NOT NULL" JSON_CHECK(
         "grain_columns",
         "array") ","
                  " measures TEXT NOT NULL" JSON_CHECK(
                      "measures",
                      "array") ","
                               " source_node_version TEXT NOT NULL,"
                               " table_hash TEXT NOT NULL,"
                               " status TEXT NOT NULL DEFAULT 'pending'"
                               "  CHECK (status IN ('pending', 'materializing', 'active', 'failed', 'stale')),"
                               " materialized_at INTEGER,"
                               " materialization_error TEXT,"
                               " created_at INTEGER NOT NULL,"
                               " updated_at INTEGER NOT NULL,"
                               " CONSTRAINT uq_pre_agg_identity UNIQUE (source_node_id, grain_hash, "
                               "source_node_version))"},

    {"what an entity is declared as",
     "ALTER TABLE pre_aggregations ADD COLUMN declared_by TEXT NOT NULL DEFAULT '[]'" JSON_CHECK(
         "declared_by", "array") ";"
                                 "ALTER TABLE pre_aggregations ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';"
                                 "ALTER TABLE pre_aggregations ADD COLUMN structure_hash TEXT NOT NULL DEFAULT '';"
                                 "ALTER TABLE pre_aggregations ADD COLUMN store TEXT NOT NULL DEFAULT 'embedded';"
                                 "ALTER TABLE pre_aggregations ADD COLUMN is_retired INTEGER NOT NULL DEFAULT 0 CHECK "
                                 "(is_retired IN (0, 1))"},

    /* Before builds were recorded nothing says which table serves: what was built is built again. */
    {"builds",
     "CREATE TABLE builds ("
     " id INTEGER PRIMARY KEY AUTOINCREMENT,"
     " preagg_id INTEGER NOT NULL REFERENCES pre_aggregations (id),"
     " number INTEGER NOT NULL CHECK (number > 0),"
     " status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed', 'dropped')),"
     " owner INTEGER NOT NULL DEFAULT 0,"
     " table_name TEXT NOT NULL DEFAULT '',"
     " structure_hash TEXT NOT NULL,"
     " started_at INTEGER NOT NULL,"
     " finished_at INTEGER,"
     " row_count INTEGER NOT NULL DEFAULT 0,"
     " byte_count INTEGER NOT NULL DEFAULT 0,"
     " error TEXT NOT NULL DEFAULT '',"
     " coverage TEXT NOT NULL DEFAULT '{}'" JSON_CHECK(
         "coverage", "object") ","
                               " CONSTRAINT uq_build_number UNIQUE (preagg_id, number));"
                               "CREATE UNIQUE INDEX uq_build_running ON builds (preagg_id) WHERE status = 'running';"
                               "UPDATE pre_aggregations SET status = 'pending', materialized_at = NULL"
                               " WHERE status IN ('active', 'materializing', 'stale')"},
};

enum { N_MIGRATIONS = sizeof migrations / sizeof migrations[0] };

static const char find_ours[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
static const char find_others[] = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
static const char find_number[] = "SELECT max(number) FROM schema_migrations";

/* The number of the file: 0 = empty. Nothing has been written to it yet when this refuses. */
static gr_status find_version(gr_catalog *c, int64_t *ret, gr_error *err) {
    int64_t has_ours = 0, has_others = 0, number = 0;
    GR_TRY(gr_catalog_query_i64(c, find_ours, &has_ours, err));
    if (!has_ours) {
        GR_TRY(gr_catalog_query_i64(c, find_others, &has_others, err));
        if (has_others) {
            gr_error_set(err, GR_ERR_CATALOG_IO, "the file %s is a database of another program, not a catalog",
                         c->file);
            gr_error_hint(err, "set storage.path to a folder of Granary's own");
            return GR_ERR_CATALOG_IO;
        }
    } else {
        GR_TRY(gr_catalog_query_i64(c, find_number, &number, err));
    }
    if (number > N_MIGRATIONS) {
        gr_error_set(err, GR_ERR_CATALOG_VERSION,
                     "the catalog %s has schema number %lld, and this Granary knows numbers up to %d", c->file,
                     (long long)number, (int)N_MIGRATIONS);
        gr_error_hint(err, "run the newer Granary that wrote it, or move the file away to start with an empty catalog");
        return GR_ERR_CATALOG_VERSION;
    }
    *ret = number < 0 ? 0 : number;
    return GR_OK;
}

static gr_status record(gr_catalog *c, int64_t number, gr_error *err) {
    static const char sql[] = "INSERT INTO schema_migrations (number, name, applied_at) VALUES (?1, ?2, ?3)";
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(s, 1, number);
        gr_catalog_bind_str(s, 2, gr_str_from(migrations[number - 1].name));
        sqlite3_bind_int64(s, 3, gr_clock_now_us());
        rc = sqlite3_step(s);
    }
    gr_status status = rc == SQLITE_DONE ? GR_OK : gr_catalog_fail(c, rc, "recording a migration", err);
    sqlite3_finalize(s);
    return status;
}

static gr_status apply(gr_catalog *c, int64_t number, gr_error *err) {
    GR_TRY(gr_catalog_exec(c, "BEGIN IMMEDIATE", "starting a migration", err));
    gr_status status = gr_catalog_exec(c, migrations[number - 1].sql, "migrating", err);
    if (!status) status = record(c, number, err);
    if (!status) status = gr_catalog_exec(c, "COMMIT", "finishing a migration", err);
    if (status && !sqlite3_get_autocommit(c->db)) sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

gr_status gr_catalog_migrate(gr_catalog *c, gr_error *err) {
    int64_t number = 0;
    GR_TRY(find_version(c, &number, err));
    if (number == N_MIGRATIONS) return GR_OK;
    GR_TRY(
        gr_catalog_exec(c,
                        "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                        " applied_at INTEGER NOT NULL)",
                        "creating the catalog", err));
    while (number < N_MIGRATIONS) GR_TRY(apply(c, ++number, err));
    return GR_OK;
}
