/* Configuration: granary.yml, overridden by the environment, overridden by flags. One table (settings.def) yields the
 * parser, `--help`, `granary doctor` and docs/config.md. Immutable once loaded. Memory: everything in `arena`. */
#ifndef GR_CONFIG_CONFIG_H
#define GR_CONFIG_CONFIG_H
#include "base/error.h"

typedef enum gr_source_kind {
    GR_SOURCE_DUCKDB,
    GR_SOURCE_POSTGRES,
    GR_SOURCE_CLICKHOUSE,
    GR_SOURCE_KIND__COUNT
} gr_source_kind;
gr_str gr_config_kind_name(gr_source_kind kind); /* "duckdb" …: the `type` of a source */
typedef enum gr_tristate { GR_UNSET, GR_FALSE, GR_TRUE } gr_tristate;

typedef struct gr_secret {
    gr_str value;
} gr_secret; /* prints as ***: never put .value in a message */

typedef struct gr_source_config {
    gr_str name; /* "default" */
    gr_source_kind kind;
    gr_str path; /* absolute: a database file or a folder of files */
    bool is_folder;
    /* Of a server. `url`: as it was given, or made of the others: of PostgreSQL a connection string of libpq, of
     * ClickHouse the address of its HTTP interface alone. */
    gr_secret url, password;
    gr_str host, port, database, user, ssl;
    /* Of ClickHouse: tables are made on every node, as parts of a table that is spread over the cluster. */
    gr_str cluster;
    gr_str *nodes; /* HTTP addresses */
    size_t n_nodes;
    gr_str schema;         /* where names without a schema are looked for; empty: as the server has it */
    gr_tristate read_only; /* unset: read-only unless a pre-aggregation of the model lives in this source */
    int64_t max_queries;   /* connections that queries use at once; 0: engine.connections */
    int64_t max_builds;    /* builds at once that read it; 0: build.at_once */
    gr_loc loc;
} gr_source_config;

/* Who is told of events (config/events.h). */
typedef struct gr_webhook_config {
    gr_secret url;    /* may hold a password: only `origin` is shown */
    gr_str origin;    /* "https://host:8080" */
    gr_secret secret; /* key of the signature; empty: none */
    unsigned events;  /* 1 << kind for each that is sent */
    gr_loc loc;
} gr_webhook_config;

typedef struct gr_config {
    gr_str file; /* absolute path of granary.yml */
    gr_str root; /* its folder, absolute; relative paths are relative to it */
    gr_loc loc;  /* of its first line, for what is missing */
    gr_source_config *sources;
    size_t n_sources;
    gr_webhook_config *webhooks;
    size_t n_webhooks;
    /* The scalar settings: one field per row of settings.def. */
#define GR_SETTING_STR(field, ...) gr_str field;
#define GR_SETTING_INT(field, ...) int64_t field;
#define GR_SETTING_BOOL(field, ...) bool field;
#define GR_SETTING_SECRET(field, ...) gr_secret field;
#include "config/settings.def"
#undef GR_SETTING_STR
#undef GR_SETTING_INT
#undef GR_SETTING_BOOL
#undef GR_SETTING_SECRET
} gr_config;

typedef struct gr_setting_info {
    const char *yaml_path; /* "http.port" */
    const char *env;       /* "GRANARY_HTTP_PORT" */
    const char *env_cube;  /* "CUBEJS_…" with the same meaning, or NULL */
    const char *flag;      /* "--port", or NULL */
    const char *type;      /* "string", "integer", "boolean", "secret", with the unit */
    const char *default_text;
    int64_t min, max; /* integers */
    const char *doc;
} gr_setting_info;

/* All settings, in the order of settings.def. */
const gr_setting_info *gr_config_settings(size_t *ret_n);

/* One `--flag value` of the command line, already split. */
typedef struct gr_config_flag {
    gr_str flag, value;
} gr_config_flag;

/* `file` may be empty: ./granary.yml. `environ_pairs` is a NULL-ended array of NAME=value (pass environ).
 * Errors: config.not_found, config.invalid, config.unknown_key, yaml.*, each with file:line:column where there is one.
 */
GR_MUST_CHECK gr_status gr_config_load(gr_str file, const gr_config_flag *flags, size_t n_flags,
                                       char *const *environ_pairs, gr_arena *arena, gr_config **ret, gr_error *err);
const gr_source_config *gr_config_source(const gr_config *config, gr_str name);
/* The settings as text for `granary doctor`: secrets as ***. */
gr_str gr_config_value_text(const gr_config *config, size_t setting, gr_arena *arena);
/* docs/config.md, whole. */
struct gr_buf;
void gr_config_write_docs(struct gr_buf *out);
#endif
