/* What the files of this room share and no other room sees. */
#ifndef GR_CONFIG_INTERNAL_H
#define GR_CONFIG_INTERNAL_H
#include "config/config.h"
#include "data/yaml.h"

enum { GR_CONFIG_MAX_SOURCES = 64 };
enum { GR_CONFIG_MAX_WEBHOOKS = 32 };
enum { GR_CONFIG_MOST_QUERIES = 512, GR_CONFIG_MOST_BUILDS = 16 }; /* of one source: as many as of all */

/* Where a value comes from, for messages: a flag, a variable, or a place in the file. */
typedef struct gr_config_origin {
    gr_str name; /* "`http.port`", "the variable GRANARY_HTTP_PORT", "the flag --port" */
    gr_loc loc;  /* of the file, else empty */
} gr_config_origin;

/* Index of the setting, SIZE_MAX when there is none. */
size_t gr_config_by_yaml(gr_str path);
size_t gr_config_by_flag(gr_str flag);
/* A value that is text: of the environment, a flag, or the default. */
gr_status gr_config_set_text(gr_config *config, size_t setting, gr_str text, const gr_config_origin *origin,
                             gr_arena *arena, gr_error *err);
/* A value of the file, which has YAML's types. Null leaves the setting as it is. */
gr_status gr_config_set_yaml(gr_config *config, size_t setting, const gr_yaml *node, gr_arena *arena, gr_error *err);
/* What holds between settings, once all are set: folders become absolute, without a secret only loopback. */
gr_status gr_config_check(gr_config *config, gr_arena *arena, gr_error *err);

/* The map under `data_sources`. */
gr_status gr_config_read_sources(gr_config *config, const gr_yaml *node, gr_arena *arena, gr_error *err);
bool gr_config_kind_named(gr_str name, gr_source_kind *ret);
/* database.c: sources that are servers. */
gr_status gr_config_read_database(gr_source_config *source, const gr_yaml *map, gr_arena *arena, gr_error *err);
/* What the environment says of them, and then their connection strings. A `default` is made when there is no source and
 * the environment names one. */
gr_status gr_config_finish_databases(gr_config *config, char *const *environ_pairs, gr_arena *arena, gr_error *err);
const char *gr_config_variable(char *const *pairs, const char *name);
/* The list under `webhooks`. */
gr_status gr_config_read_webhooks(gr_config *config, const gr_yaml *node, gr_arena *arena, gr_error *err);
void gr_config_write_event_docs(gr_buf *out); /* a table */
/* config.unknown_key for `key` at `loc`, which is none of `names`. `where` says in which map: "`http`". */
gr_status gr_config_unknown_key(gr_str key, gr_loc loc, gr_str where, const gr_str *names, size_t n, gr_error *err);
gr_status gr_config_invalid(gr_error *err, gr_loc loc, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* `path`, or root/path when it is relative. */
gr_str gr_config_absolute(gr_str root, gr_str path, gr_arena *arena);
#endif
