/* The map `data_sources` of granary.yml: name -> {type, path, read_only}, or {type, url, …} of a server (database.c).
 * Invariant: a file or folder that is kept exists on disk, has an absolute path, and a name that no other has, in any
 * case of letters (engines attach databases by name and do not mind the case). */
#include "config/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static const gr_str file_keys[] = {GR_STR_INIT("type"), GR_STR_INIT("path"), GR_STR_INIT("read_only"),
                                   GR_STR_INIT("max_queries"), GR_STR_INIT("max_builds")};
/* After the first four those of database.c. */
static const gr_str server_keys[] = {GR_STR_INIT("type"),       GR_STR_INIT("read_only"), GR_STR_INIT("max_queries"),
                                     GR_STR_INIT("max_builds"), GR_STR_INIT("url"),       GR_STR_INIT("host"),
                                     GR_STR_INIT("port"),       GR_STR_INIT("database"),  GR_STR_INIT("user"),
                                     GR_STR_INIT("password"),   GR_STR_INIT("schema"),    GR_STR_INIT("ssl"),
                                     GR_STR_INIT("cluster"),    GR_STR_INIT("nodes")}; /* those two of ClickHouse */
enum { N_CLUSTER_KEYS = 2 };

static const struct {
    gr_str name;
    gr_source_kind kind;
} kinds[] = {{GR_STR_INIT("duckdb"), GR_SOURCE_DUCKDB},
             {GR_STR_INIT("postgres"), GR_SOURCE_POSTGRES},
             {GR_STR_INIT("clickhouse"), GR_SOURCE_CLICKHOUSE}};

gr_str gr_config_kind_name(gr_source_kind kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind) return kinds[i].name;
    return (gr_str){0};
}

bool gr_config_kind_named(gr_str name, gr_source_kind *ret) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (gr_str_eq(name, kinds[i].name)) return *ret = kinds[i].kind, true;
    return false;
}

static gr_status read_type(gr_source_config *source, const gr_yaml *node, gr_error *err) {
    if (!gr_yaml_is_string(node)) {
        gr_config_invalid(err, node ? node->loc : source->loc, "The data source `" GR_FMT "` has no `type`.",
                          GR_ARG(source->name));
        gr_error_hint(err, "Write `type: duckdb`, `type: postgres` or `type: clickhouse`.");
        return GR_ERR_CONFIG_INVALID;
    }
    if (gr_config_kind_named(node->text, &source->kind)) return GR_OK;
    gr_config_invalid(err, node->loc, "`" GR_FMT "` is not a type of data source.", GR_ARG(node->text));
    gr_error_hint(err, "Known types: duckdb, postgres, clickhouse.");
    return GR_ERR_CONFIG_INVALID;
}

static gr_status bad_path(const gr_source_config *source, gr_loc loc, gr_str path, const char *why, gr_error *err) {
    gr_config_invalid(err, loc, "The path of the data source `" GR_FMT "` %s: " GR_FMT, GR_ARG(source->name), why,
                      GR_ARG(path));
    gr_error_hint(err, "It must be a DuckDB file or a folder of data files; a relative path starts at the folder of "
                       "granary.yml.");
    return GR_ERR_CONFIG_INVALID;
}

static gr_status read_path(gr_source_config *source, gr_str root, const gr_yaml *node, gr_arena *arena, gr_error *err) {
    if (!gr_yaml_is_string(node) || node->text.n == 0) {
        gr_config_invalid(err, node ? node->loc : source->loc, "The data source `" GR_FMT "` has no `path`.",
                          GR_ARG(source->name));
        gr_error_hint(err, "Write the path of a DuckDB file or of a folder of Parquet, CSV or JSON files.");
        return GR_ERR_CONFIG_INVALID;
    }
    gr_str path = gr_arena_dup(arena, gr_config_absolute(root, node->text, arena));
    char *real = realpath(path.p, NULL);
    if (!real) return bad_path(source, node->loc, path, errno == ENOENT ? "does not exist" : "cannot be followed", err);
    source->path = gr_arena_dup(arena, gr_str_from(real));
    struct stat st;
    bool is_there = !stat(real, &st);
    free(real);
    if (!is_there) return bad_path(source, node->loc, path, "cannot be read", err);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return bad_path(source, node->loc, path, "is neither a file nor a folder", err);
    source->is_folder = S_ISDIR(st.st_mode);
    return GR_OK;
}

static gr_status read_read_only(gr_source_config *source, const gr_yaml *node, gr_error *err) {
    if (!node || node->kind == GR_YAML_NULL) return GR_OK;
    bool truth;
    if (!gr_yaml_is_bool(node, &truth))
        return gr_config_invalid(err, node->loc, "`read_only` of the data source `" GR_FMT "` must be true or false.",
                                 GR_ARG(source->name));
    source->read_only = truth ? GR_TRUE : GR_FALSE;
    return GR_OK;
}

static gr_status read_limit(const gr_source_config *source, const gr_yaml *map, const char *key, int64_t most,
                            int64_t *ret, gr_error *err) {
    const gr_yaml *node = gr_yaml_get(map, gr_str_from(key));
    if (!node || node->kind == GR_YAML_NULL) return GR_OK;
    int64_t n;
    if (!gr_yaml_is_i64(node, &n) || n < 1 || n > most)
        return gr_config_invalid(err, node->loc,
                                 "`%s` of the data source `" GR_FMT "` must be an integer from 1 to %lld.", key,
                                 GR_ARG(source->name), (long long)most);
    *ret = n;
    return GR_OK;
}

static gr_status read_name(const gr_config *config, size_t n_before, const gr_yaml_pair *pair, gr_error *err) {
    if (!gr_str_is_identifier(pair->key))
        return gr_config_invalid(err, pair->key_loc,
                                 "The name of a data source must be letters, digits and _, not `" GR_FMT "`.",
                                 GR_ARG(pair->key));
    for (size_t i = 0; i < n_before; i++)
        if (gr_str_eq_nocase(config->sources[i].name, pair->key))
            return gr_config_invalid(err, pair->key_loc,
                                     "The data sources `" GR_FMT "` and `" GR_FMT "` differ only in case.",
                                     GR_ARG(config->sources[i].name), GR_ARG(pair->key));
    return GR_OK;
}

static gr_status read_source(gr_config *config, size_t at, const gr_yaml_pair *pair, gr_arena *arena, gr_error *err) {
    GR_TRY(read_name(config, at, pair, err));
    gr_source_config *source = &config->sources[at];
    *source = (gr_source_config){.name = pair->key, .loc = pair->key_loc};
    const gr_yaml *map = pair->value;
    if (map->kind != GR_YAML_MAP) {
        gr_config_invalid(err, map->loc, "The data source `" GR_FMT "` must be a map.", GR_ARG(pair->key));
        gr_error_hint(err, "Write `" GR_FMT ": {type: duckdb, path: …}`.", GR_ARG(pair->key));
        return GR_ERR_CONFIG_INVALID;
    }
    GR_TRY(read_type(source, gr_yaml_get(map, GR_STR("type")), err));
    bool is_server = source->kind != GR_SOURCE_DUCKDB;
    const gr_str *keys = is_server ? server_keys : file_keys;
    size_t n_keys = is_server ? sizeof server_keys / sizeof *keys : sizeof file_keys / sizeof *keys;
    if (is_server && source->kind != GR_SOURCE_CLICKHOUSE) n_keys -= N_CLUSTER_KEYS;
    for (size_t i = 0; i < map->n; i++) {
        bool is_known = false;
        for (size_t k = 0; k < n_keys; k++) is_known |= gr_str_eq(map->pairs[i].key, keys[k]);
        gr_str where = gr_arena_printf(arena, "data_sources." GR_FMT, GR_ARG(pair->key));
        if (!is_known) return gr_config_unknown_key(map->pairs[i].key, map->pairs[i].key_loc, where, keys, n_keys, err);
    }
    if (is_server)
        GR_TRY(gr_config_read_database(source, map, arena, err));
    else
        GR_TRY(read_path(source, config->root, gr_yaml_get(map, GR_STR("path")), arena, err));
    GR_TRY(read_limit(source, map, "max_queries", GR_CONFIG_MOST_QUERIES, &source->max_queries, err));
    GR_TRY(read_limit(source, map, "max_builds", GR_CONFIG_MOST_BUILDS, &source->max_builds, err));
    return read_read_only(source, gr_yaml_get(map, GR_STR("read_only")), err);
}

gr_status gr_config_read_sources(gr_config *config, const gr_yaml *node, gr_arena *arena, gr_error *err) {
    if (node->kind == GR_YAML_NULL) return GR_OK;
    if (node->kind != GR_YAML_MAP) {
        gr_config_invalid(err, node->loc, "`data_sources` must be a map of names.");
        gr_error_hint(err, "Write `data_sources: {default: {type: duckdb, path: …}}`.");
        return GR_ERR_CONFIG_INVALID;
    }
    if (node->n > GR_CONFIG_MAX_SOURCES)
        return gr_config_invalid(err, node->loc, "There are %zu data sources; at most %d are allowed.", node->n,
                                 (int)GR_CONFIG_MAX_SOURCES);
    config->sources = GR_NEW_N(arena, gr_source_config, node->n);
    for (size_t i = 0; i < node->n; i++) GR_TRY(read_source(config, i, &node->pairs[i], arena, err));
    config->n_sources = node->n;
    return GR_OK;
}

const gr_source_config *gr_config_source(const gr_config *config, gr_str name) {
    for (size_t i = 0; i < config->n_sources; i++)
        if (gr_str_eq(config->sources[i].name, name)) return &config->sources[i];
    return NULL;
}
