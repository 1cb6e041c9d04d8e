/* The scalar settings: settings.def as a table, and how a value gets into its field.
 * Invariant: a value is stored only when it is of its type, in its range and of its form; no message shows a secret. */
#include "cal/cal.h"
#include "config/internal.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

typedef enum kind { STR, INT, BOOL, SECRET } kind;

static const struct {
    kind kind;
    size_t offset;
} fields[] = {
#define GR_SETTING_STR(field, ...) {STR, offsetof(gr_config, field)},
#define GR_SETTING_INT(field, ...) {INT, offsetof(gr_config, field)},
#define GR_SETTING_BOOL(field, ...) {BOOL, offsetof(gr_config, field)},
#define GR_SETTING_SECRET(field, ...) {SECRET, offsetof(gr_config, field)},
#include "config/settings.def"
#undef GR_SETTING_STR
#undef GR_SETTING_INT
#undef GR_SETTING_BOOL
#undef GR_SETTING_SECRET
};

enum { N_SETTINGS = sizeof fields / sizeof *fields };

static gr_setting_info infos[N_SETTINGS] = {
#define GR_SETTING_STR(field, yaml, env, cube, flag, text, min, max, doc)                                              \
    {yaml, env, cube, flag, "string", text, min, max, doc},
#define GR_SETTING_INT(field, yaml, env, cube, flag, text, min, max, doc)                                              \
    {yaml, env, cube, flag, "integer", text, min, max, doc},
#define GR_SETTING_BOOL(field, yaml, env, cube, flag, text, min, max, doc)                                             \
    {yaml, env, cube, flag, "boolean", text, min, max, doc},
#define GR_SETTING_SECRET(field, yaml, env, cube, flag, text, min, max, doc)                                           \
    {yaml, env, cube, flag, "secret", text, min, max, doc},
#include "config/settings.def"
#undef GR_SETTING_STR
#undef GR_SETTING_INT
#undef GR_SETTING_BOOL
#undef GR_SETTING_SECRET
};

/* Names end with their unit. */
static const struct {
    gr_str suffix;
    const char *type;
} units[] = {
    {GR_STR_INIT("_ms"), "integer, milliseconds"},
    {GR_STR_INIT("_bytes"), "integer, bytes"},
    {GR_STR_INIT("_mb"), "integer, megabytes"},
};

static void add_units(void) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        for (size_t u = 0; u < sizeof units / sizeof *units; u++)
            if (fields[i].kind == INT && gr_str_ends(gr_str_from(infos[i].yaml_path), units[u].suffix))
                infos[i].type = units[u].type;
}

const gr_setting_info *gr_config_settings(size_t *ret_n) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, add_units);
    *ret_n = N_SETTINGS;
    return infos;
}

size_t gr_config_by_yaml(gr_str path) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (gr_str_eq_z(path, infos[i].yaml_path)) return i;
    return SIZE_MAX;
}

size_t gr_config_by_flag(gr_str flag) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (infos[i].flag && gr_str_eq_z(flag, infos[i].flag)) return i;
    return SIZE_MAX;
}

gr_status gr_config_invalid(gr_error *err, gr_loc loc, const char *format, ...) {
    char text[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gr_error_set(err, GR_ERR_CONFIG_INVALID, "%s", text);
    if (loc.line) gr_error_at(err, loc);
    return GR_ERR_CONFIG_INVALID;
}

/* ---- forms of single settings --------------------------------------------------------------------------------- */

static bool is_not_empty(gr_str s) { return s.n > 0; }

static bool is_log_level(gr_str s) {
    static const char *const levels[] = {"debug", "info", "warn", "error", "off"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (gr_str_eq_z(s, levels[i])) return true;
    return false;
}

static bool is_log_format(gr_str s) { return gr_str_eq_z(s, "text") || gr_str_eq_z(s, "json"); }

static bool is_zone(gr_str s) {
    const gr_tz *tz;
    return gr_tz_get(s, &tz, NULL) == GR_OK;
}

/* It goes into a header of each answer. */
static bool is_header_text(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] >= 0x7F) return false;
    return true;
}

static const struct {
    size_t offset;
    bool (*is_good)(gr_str);
    const char *must;
} forms[] = {
    {offsetof(gr_config, model_dir), is_not_empty, "must be the path of a folder"},
    {offsetof(gr_config, state_dir), is_not_empty, "must be the path of a folder"},
    {offsetof(gr_config, http_host), is_not_empty, "must be an address"},
    {offsetof(gr_config, preagg_schema), gr_str_is_identifier, "must be an identifier"},
    {offsetof(gr_config, cors_origin), is_header_text, "must be one line of ASCII text"},
    {offsetof(gr_config, default_timezone), is_zone, "must be an IANA time zone, such as `Europe/Paris`"},
    {offsetof(gr_config, log_level), is_log_level, "must be debug, info, warn, error or off"},
    {offsetof(gr_config, log_format), is_log_format, "must be text or json"},
};

/* ---- setting --------------------------------------------------------------------------------------------------- */

static void *field_of(gr_config *config, size_t setting) { return (char *)config + fields[setting].offset; }

static gr_status set_str(gr_config *config, size_t setting, gr_str text, const gr_config_origin *origin,
                         gr_arena *arena, gr_error *err) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].offset == fields[setting].offset && !forms[i].is_good(text))
            return gr_config_invalid(err, origin->loc, GR_FMT " %s, not `" GR_FMT "`.", GR_ARG(origin->name),
                                     forms[i].must, GR_ARG(text));
    *(gr_str *)field_of(config, setting) = gr_arena_dup(arena, text);
    return GR_OK;
}

static gr_status set_int(gr_config *config, size_t setting, int64_t v, const gr_config_origin *origin, gr_error *err) {
    if (v < infos[setting].min || v > infos[setting].max)
        return gr_config_invalid(err, origin->loc, GR_FMT " must be from %lld to %lld, not %lld.", GR_ARG(origin->name),
                                 (long long)infos[setting].min, (long long)infos[setting].max, (long long)v);
    *(int64_t *)field_of(config, setting) = v;
    return GR_OK;
}

static bool bool_of_text(gr_str text, bool *ret) {
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (gr_str_eq_nocase(text, gr_str_from(words[i]))) {
            *ret = i & 1;
            return true;
        }
    return false;
}

static gr_status not_an_integer(gr_str text, size_t setting, const gr_config_origin *origin, gr_error *err) {
    return gr_config_invalid(err, origin->loc, GR_FMT " must be an integer from %lld to %lld, not `" GR_FMT "`.",
                             GR_ARG(origin->name), (long long)infos[setting].min, (long long)infos[setting].max,
                             GR_ARG(text));
}

static gr_status not_a_boolean(gr_str text, const gr_config_origin *origin, gr_error *err) {
    return gr_config_invalid(err, origin->loc, GR_FMT " must be true or false, not `" GR_FMT "`.", GR_ARG(origin->name),
                             GR_ARG(text));
}

gr_status gr_config_set_text(gr_config *config, size_t setting, gr_str text, const gr_config_origin *origin,
                             gr_arena *arena, gr_error *err) {
    switch (fields[setting].kind) {
    case STR: return set_str(config, setting, text, origin, arena, err);
    case SECRET: ((gr_secret *)field_of(config, setting))->value = gr_arena_dup(arena, text); return GR_OK;
    case INT: {
        int64_t v;
        if (!gr_str_to_i64(text, &v)) return not_an_integer(text, setting, origin, err);
        return set_int(config, setting, v, origin, err);
    }
    case BOOL: {
        bool v;
        if (!bool_of_text(text, &v)) return not_a_boolean(text, origin, err);
        *(bool *)field_of(config, setting) = v;
        return GR_OK;
    }
    }
    return gr_error_set(err, GR_ERR_INTERNAL, "A setting is of no kind.");
}

gr_status gr_config_set_yaml(gr_config *config, size_t setting, const gr_yaml *node, gr_arena *arena, gr_error *err) {
    gr_config_origin origin = {gr_arena_printf(arena, "`%s`", infos[setting].yaml_path), node->loc};
    if (node->kind == GR_YAML_NULL) return GR_OK;
    if (node->kind != GR_YAML_SCALAR)
        return gr_config_invalid(err, node->loc, GR_FMT " must be one value (%s), not a list or a map.",
                                 GR_ARG(origin.name), infos[setting].type);
    bool truth;
    int64_t number;
    switch (fields[setting].kind) {
    case STR:
    case SECRET: return gr_config_set_text(config, setting, node->text, &origin, arena, err);
    case INT:
        if (!gr_yaml_is_i64(node, &number)) return not_an_integer(node->text, setting, &origin, err);
        return set_int(config, setting, number, &origin, err);
    case BOOL:
        if (!gr_yaml_is_bool(node, &truth)) return not_a_boolean(node->text, &origin, err);
        *(bool *)field_of(config, setting) = truth;
        return GR_OK;
    }
    return gr_error_set(err, GR_ERR_INTERNAL, "A setting is of no kind.");
}

/* ---- checks over all ------------------------------------------------------------------------------------------- */

/* Decision 27. A name other than localhost could resolve to anything. */
static bool is_loopback(gr_str host) {
    if (gr_str_eq_nocase(host, GR_STR("localhost"))) return true;
    char text[INET6_ADDRSTRLEN];
    if (host.n >= sizeof text) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

gr_str gr_config_absolute(gr_str root, gr_str path, gr_arena *arena) {
    if (path.n && path.p[0] == '/') return path;
    bool is_root = gr_str_eq_z(root, "/");
    return gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(root), is_root ? "" : "/", GR_ARG(path));
}

gr_status gr_config_check(gr_config *config, gr_arena *arena, gr_error *err) {
    config->model_dir = gr_config_absolute(config->root, config->model_dir, arena);
    config->state_dir = gr_config_absolute(config->root, config->state_dir, arena);
    if (!config->api_secret.value.n) { /* the first of several is the one */
        gr_str list = config->api_secrets.value;
        size_t comma = gr_str_find(list, ',', 0);
        config->api_secret.value = gr_str_trim(gr_str_sub(list, 0, comma == SIZE_MAX ? list.n : comma));
    }
    bool is_guarded = config->api_secret.value.n && !config->dev_mode;
    if (is_guarded || is_loopback(config->http_host)) return GR_OK;
    gr_config_invalid(err, (gr_loc){0}, "`http.host` is " GR_FMT ", which other machines can reach, and %s.",
                      GR_ARG(config->http_host),
                      config->dev_mode ? "`dev_mode` enforces no tokens" : "there is no `api_secret`");
    gr_error_hint(err, "Set GRANARY_API_SECRET without dev_mode, or listen on 127.0.0.1.");
    return GR_ERR_CONFIG_INVALID;
}

gr_str gr_config_value_text(const gr_config *config, size_t setting, gr_arena *arena) {
    if (setting >= N_SETTINGS) return (gr_str){0};
    const void *field = (const char *)config + fields[setting].offset;
    switch (fields[setting].kind) {
    case STR: return *(const gr_str *)field;
    case INT: return gr_arena_printf(arena, "%lld", (long long)*(const int64_t *)field);
    case BOOL: return *(const bool *)field ? GR_STR("true") : GR_STR("false");
    case SECRET: return ((const gr_secret *)field)->value.n ? GR_STR("***") : GR_STR("");
    }
    return (gr_str){0};
}
