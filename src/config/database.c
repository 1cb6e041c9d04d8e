/* Data sources that are servers: where they are and who asks, by granary.yml and by the environment.
 *
 *      granary.yml                  environment, which goes before it
 *      url                          GRANARY_SOURCE_<NAME>_URL
 *      host, port, database, …      GRANARY_SOURCE_<NAME>_HOST …, CUBEJS_DS_<NAME>_DB_HOST …, of `default` also
 *                                   CUBEJS_DB_HOST …
 *
 * A file without sources has the one that CUBEJS_DB_TYPE names. Invariant: no message has a password or a URL in it. */
#include "config/internal.h"

#include <ctype.h>

typedef struct part {
    gr_str key;
    const char *ours, *cubes; /* ends of names of variables */
    size_t at;
} part;

#define PART(key, ours, cubes, field)                                                                                  \
    { GR_STR_INIT(key), ours, cubes, offsetof(gr_source_config, field) }
static const part parts[] = {
    PART("url", "URL", "URL", url.value),       PART("host", "HOST", "HOST", host),
    PART("port", "PORT", "PORT", port),         PART("database", "DATABASE", "NAME", database),
    PART("user", "USER", "USER", user),         PART("password", "PASSWORD", "PASS", password.value),
    PART("schema", "SCHEMA", "SCHEMA", schema), PART("ssl", "SSL", "SSL", ssl),
};
enum { N_PARTS = sizeof parts / sizeof *parts };

static bool is_address(gr_str url) {
    return gr_str_starts(url, GR_STR("http://")) || gr_str_starts(url, GR_STR("https://"));
}

/* The addresses of all nodes of a cluster, of which the statements that make and drop tables are sent to each. */
static gr_status read_nodes(gr_source_config *source, const gr_yaml *map, gr_arena *arena, gr_error *err) {
    const gr_yaml *cluster = gr_yaml_get(map, GR_STR("cluster")), *nodes = gr_yaml_get(map, GR_STR("nodes"));
    if (!cluster && !nodes) return GR_OK;
    if (!cluster || !gr_yaml_is_string(cluster) || !cluster->text.n || !nodes || nodes->kind != GR_YAML_LIST ||
        !nodes->n) {
        gr_config_invalid(err, (cluster ? cluster : nodes)->loc,
                          "The data source `" GR_FMT "` needs both `cluster` and `nodes`.", GR_ARG(source->name));
        gr_error_hint(err, "Write the cluster's name in the servers' remote_servers, and "
                           "`nodes: [http://one:8123, http://two:8123]`: the HTTP addresses of all its servers.");
        return GR_ERR_CONFIG_INVALID;
    }
    source->cluster = gr_arena_dup(arena, cluster->text);
    source->nodes = GR_NEW_N(arena, gr_str, nodes->n);
    for (size_t i = 0; i < nodes->n; i++) {
        const gr_yaml *node = nodes->items[i];
        if (!gr_yaml_is_string(node) || !is_address(node->text))
            return gr_config_invalid(err, node->loc, "A node of the data source `" GR_FMT "` is no HTTP address.",
                                     GR_ARG(source->name));
        source->nodes[source->n_nodes++] = gr_arena_dup(arena, node->text);
    }
    return GR_OK;
}

static gr_str *field_of(gr_source_config *source, const part *p) { return (gr_str *)(void *)((char *)source + p->at); }

gr_status gr_config_read_database(gr_source_config *source, const gr_yaml *map, gr_arena *arena, gr_error *err) {
    for (size_t i = 0; i < N_PARTS; i++) {
        const gr_yaml *node = gr_yaml_get(map, parts[i].key);
        if (!node || node->kind == GR_YAML_NULL) continue;
        if (node->kind != GR_YAML_SCALAR)
            return gr_config_invalid(err, node->loc, "`" GR_FMT "` of the data source `" GR_FMT "` must be a text.",
                                     GR_ARG(parts[i].key), GR_ARG(source->name));
        *field_of(source, &parts[i]) = gr_arena_dup(arena, node->text);
    }
    return source->kind == GR_SOURCE_CLICKHOUSE ? read_nodes(source, map, arena, err) : GR_OK;
}

/* ---- the environment -----------------------------------------------------------------------------------------------
 */

static gr_str upper(gr_str name, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, name.n + 1);
    for (size_t i = 0; i < name.n; i++) out[i] = (char)toupper((unsigned char)name.p[i]);
    return (gr_str){out, name.n};
}

static const char *variable_of(char *const *pairs, const gr_source_config *source, const part *p, gr_arena *arena) {
    gr_str name = upper(source->name, arena);
    const char *value =
        gr_config_variable(pairs, gr_arena_printf(arena, "GRANARY_SOURCE_" GR_FMT "_%s", GR_ARG(name), p->ours).p);
    if (!value)
        value =
            gr_config_variable(pairs, gr_arena_printf(arena, "CUBEJS_DS_" GR_FMT "_DB_%s", GR_ARG(name), p->cubes).p);
    bool is_default = gr_str_eq_z(source->name, "default");
    if (!value && is_default) value = gr_config_variable(pairs, gr_arena_printf(arena, "CUBEJS_DB_%s", p->cubes).p);
    return value;
}

static gr_status read_variables(gr_source_config *source, char *const *pairs, gr_arena *arena, gr_error *err) {
    bool has_place = false;
    for (size_t i = 0; i < N_PARTS; i++) {
        const char *value = variable_of(pairs, source, &parts[i], arena);
        if (!value) continue;
        if (!gr_str_is_utf8(gr_str_from(value)))
            return gr_config_invalid(err, source->loc,
                                     "The variable for `" GR_FMT "` of `" GR_FMT "` is not valid UTF-8.",
                                     GR_ARG(parts[i].key), GR_ARG(source->name));
        bool is_url = parts[i].at == offsetof(gr_source_config, url.value);
        has_place |= parts[i].at == offsetof(gr_source_config, host);
        if (!is_url && has_place) source->url.value = (gr_str){0}; /* they take the place of the file's URL */
        *field_of(source, &parts[i]) = gr_arena_dup(arena, gr_str_from(value));
    }
    return GR_OK;
}

static gr_status make_default(gr_config *config, char *const *pairs, gr_arena *arena, gr_error *err) {
    const char *type = gr_config_variable(pairs, "CUBEJS_DB_TYPE");
    gr_source_config *source = GR_NEW(arena, gr_source_config);
    *source = (gr_source_config){.name = GR_STR("default"), .loc = config->loc};
    if (!type) {
        gr_config_invalid(err, config->loc, "granary.yml has no data source.");
        gr_error_hint(err, "Write `data_sources: {default: {type: duckdb, path: …}}`.");
        return GR_ERR_CONFIG_INVALID;
    }
    if (!gr_config_kind_named(gr_str_from(type), &source->kind) || source->kind == GR_SOURCE_DUCKDB) {
        gr_config_invalid(err, config->loc, "CUBEJS_DB_TYPE is `%.40s`, of which no data source can be made.", type);
        gr_error_hint(err, "Write `data_sources` in granary.yml; a server can be of type postgres or clickhouse.");
        return GR_ERR_CONFIG_INVALID;
    }
    config->sources = source;
    config->n_sources = 1;
    return GR_OK;
}

/* ---- connection strings --------------------------------------------------------------------------------------------
 */

static gr_str quoted(gr_str value, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, 2 * value.n + 3), *p = out;
    *p++ = '\'';
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\') *p++ = '\\';
        *p++ = value.p[i];
    }
    *p++ = '\'';
    return (gr_str){out, (size_t)(p - out)};
}

static gr_str with(gr_str text, const char *key, gr_str value, gr_arena *arena) {
    if (!value.n) return text;
    return gr_arena_printf(arena, GR_FMT "%s%s=" GR_FMT, GR_ARG(text), text.n ? " " : "", key,
                           GR_ARG(quoted(value, arena)));
}

/* What is left out is libpq's to find: its variables, its service and password files. */
static void make_conninfo(gr_source_config *s, gr_arena *arena) {
    if (s->url.value.n) return;
    gr_str text = with((gr_str){0}, "host", s->host, arena);
    text = with(text, "port", s->port, arena);
    text = with(text, "dbname", s->database, arena);
    text = with(text, "user", s->user, arena);
    text = with(text, "password", s->password.value, arena);
    bool truth = gr_str_eq_z(s->ssl, "true") || gr_str_eq_z(s->ssl, "1");
    bool is_off = !s->ssl.n || gr_str_eq_z(s->ssl, "false") || gr_str_eq_z(s->ssl, "0");
    if (!is_off) text = with(text, "sslmode", truth ? GR_STR("require") : s->ssl, arena);
    s->url.value = text;
}

/* ---- HTTP addresses ------------------------------------------------------------------------------------------------
 */

/* `http://user:password@host:8123/database`: what is in front of the host and behind it goes to the other fields. */
static void split_url(gr_source_config *s, gr_arena *arena) {
    gr_str url = s->url.value;
    size_t head = gr_str_find_str(url, GR_STR("://")) + 3, slash = gr_str_find(url, '/', head);
    if (slash == SIZE_MAX) slash = url.n;
    gr_str server = gr_str_sub(url, head, slash - head), path = gr_str_sub(url, slash, url.n - slash);
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < server.n; i++)
        if (server.p[i] == '@') at = i;
    if (path.n > 1 && !s->database.n) s->database = gr_str_sub(path, 1, path.n - 1);
    if (at != SIZE_MAX) {
        gr_str who = gr_str_sub(server, 0, at);
        size_t colon = gr_str_find(who, ':', 0);
        s->user = gr_str_sub(who, 0, colon == SIZE_MAX ? who.n : colon);
        if (colon != SIZE_MAX) s->password.value = gr_str_sub(who, colon + 1, who.n - colon - 1);
        server = gr_str_sub(server, at + 1, server.n - at - 1);
    }
    s->url.value = gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(gr_str_sub(url, 0, head)), GR_ARG(server));
}

static bool has_control(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ') return true;
    return false;
}

static gr_status make_address(gr_source_config *s, gr_arena *arena, gr_error *err) {
    bool is_off = !s->ssl.n || gr_str_eq_z(s->ssl, "false") || gr_str_eq_z(s->ssl, "0");
    gr_str host = s->host.n ? s->host : GR_STR("localhost");
    gr_str port = s->port.n ? s->port : is_off ? GR_STR("8123") : GR_STR("8443");
    bool is_ipv6 = gr_str_find(host, ':', 0) != SIZE_MAX && host.p[0] != '[';
    if (!s->url.value.n)
        s->url.value = gr_arena_printf(arena, is_ipv6 ? "%s://[" GR_FMT "]:" GR_FMT : "%s://" GR_FMT ":" GR_FMT,
                                       is_off ? "http" : "https", GR_ARG(host), GR_ARG(port));
    if (!is_address(s->url.value) || has_control(s->url.value) || has_control(s->user) ||
        has_control(s->password.value)) {
        gr_config_invalid(err, s->loc, "The address of the data source `" GR_FMT "` is none of HTTP.", GR_ARG(s->name));
        gr_error_hint(err, "Write `url: http://host:8123`, the address of ClickHouse's HTTP interface, and `user`, "
                           "`password`, `database` beside it.");
        return GR_ERR_CONFIG_INVALID;
    }
    split_url(s, arena);
    return GR_OK;
}

gr_status gr_config_finish_databases(gr_config *config, char *const *pairs, gr_arena *arena, gr_error *err) {
    if (!config->n_sources) GR_TRY(make_default(config, pairs, arena, err));
    for (size_t i = 0; i < config->n_sources; i++) {
        gr_source_config *s = &config->sources[i];
        if (s->kind == GR_SOURCE_DUCKDB) continue;
        GR_TRY(read_variables(s, pairs, arena, err));
        if (s->kind == GR_SOURCE_POSTGRES) make_conninfo(s, arena);
        if (s->kind == GR_SOURCE_CLICKHOUSE) GR_TRY(make_address(s, arena, err));
    }
    return GR_OK;
}
