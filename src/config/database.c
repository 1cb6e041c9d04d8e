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
    return GR_OK;
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
        gr_error_hint(err, "Write `data_sources` in granary.yml; a server can be of type postgres.");
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

gr_status gr_config_finish_databases(gr_config *config, char *const *pairs, gr_arena *arena, gr_error *err) {
    if (!config->n_sources) GR_TRY(make_default(config, pairs, arena, err));
    for (size_t i = 0; i < config->n_sources; i++) {
        gr_source_config *s = &config->sources[i];
        if (s->kind == GR_SOURCE_DUCKDB) continue;
        GR_TRY(read_variables(s, pairs, arena, err));
        if (s->kind == GR_SOURCE_POSTGRES) make_conninfo(s, arena);
    }
    return GR_OK;
}
