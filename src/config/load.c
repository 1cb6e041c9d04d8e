/* granary.yml, the environment and the flags become one gr_config.
 * Invariant: each step writes over the one before it: defaults, file, environment (GRANARY_… before CUBEJS_…), flags;
 * and the checks over several settings come last, when all of them are known. The process's environment is not read: it
 * is given. */
#include "config/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the file -------------------------------------------------------------------------------------------------- */

static gr_status not_found(gr_str file, const char *why, gr_error *err) {
    gr_error_set(err, GR_ERR_CONFIG_NOT_FOUND, "The configuration file " GR_FMT " %s.", GR_ARG(file), why);
    gr_error_hint(err, "Give its path with --config, or start in the folder of granary.yml.");
    return GR_ERR_CONFIG_NOT_FOUND;
}

/* Reads until the end, the limit, or an error (-1). A file that grows meanwhile does not matter. */
static ssize_t read_all(int fd, char *p, size_t size) {
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, p + n, size - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static gr_status read_file(gr_str file, gr_arena *arena, gr_str *ret, gr_error *err) {
    gr_str path = gr_arena_dup(arena, file);
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return not_found(file, errno == ENOENT ? "does not exist" : "cannot be opened", err);
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return not_found(file, "is not a file", err);
    }
    size_t max = GR_YAML_LIMITS_DEFAULT.max_bytes;
    if (st.st_size < 0 || (uint64_t)st.st_size > max) {
        close(fd);
        gr_error_set(err, GR_ERR_YAML_LIMIT, "The configuration file has more than %zu bytes.", max);
        gr_error_at(err, (gr_loc){.file = file, .line = 1, .col = 1});
        return GR_ERR_YAML_LIMIT;
    }
    char *p = gr_arena_alloc(arena, (size_t)st.st_size + 1);
    ssize_t n = read_all(fd, p, (size_t)st.st_size);
    close(fd);
    if (n < 0) return not_found(file, "cannot be read", err);
    *ret = (gr_str){p, (size_t)n};
    return GR_OK;
}

/* root = the real folder that the name of the file stands in. The file itself may be a link to elsewhere (as mounted
 * configuration is): relative paths start where the link is. */
static gr_status find_root(gr_config *config, gr_str file, gr_arena *arena, gr_error *err) {
    size_t slash = file.n;
    while (slash > 0 && file.p[slash - 1] != '/') slash--;
    gr_str dir = slash ? gr_str_sub(file, 0, slash) : GR_STR(".");
    char *real = realpath(gr_arena_dup(arena, dir).p, NULL);
    if (!real) return not_found(file, "does not exist", err);
    config->root = gr_arena_dup(arena, gr_str_from(real));
    free(real);
    config->file = gr_config_absolute(config->root, gr_str_sub(file, slash, file.n - slash), arena);
    return GR_OK;
}

/* ---- its keys -------------------------------------------------------------------------------------------------- */

gr_status gr_config_unknown_key(gr_str key, gr_loc loc, gr_str where, const gr_str *names, size_t n, gr_error *err) {
    gr_error_set(err, GR_ERR_CONFIG_UNKNOWN_KEY, "`" GR_FMT "` is not a key of " GR_FMT ".", GR_ARG(key),
                 GR_ARG(where));
    gr_error_at(err, loc);
    gr_str near = gr_diags_nearest(key, names, n);
    if (near.n) gr_error_hint(err, "Did you mean `" GR_FMT "`?", GR_ARG(near));
    return GR_ERR_CONFIG_UNKNOWN_KEY;
}

/* "http" of "http.port", the whole of "watch". */
static gr_str group_of(gr_str path) {
    size_t point = gr_str_find(path, '.', 0);
    return point == SIZE_MAX ? path : gr_str_sub(path, 0, point);
}

/* The keys of the top (`group` empty) or of one group. */
static size_t names_in(gr_str group, gr_str *names) {
    size_t n_settings, n = 0;
    const gr_setting_info *settings = gr_config_settings(&n_settings);
    if (!group.n) {
        names[n++] = GR_STR("data_sources");
        names[n++] = GR_STR("webhooks");
    }
    for (size_t i = 0; i < n_settings; i++) {
        gr_str path = gr_str_from(settings[i].yaml_path), head = group_of(path);
        if (!group.n && !(n && gr_str_eq(names[n - 1], head))) names[n++] = head;
        if (group.n && gr_str_eq(head, group) && path.n > head.n)
            names[n++] = gr_str_sub(path, head.n + 1, path.n - head.n - 1);
    }
    return n;
}

static gr_status unknown(gr_str group, const gr_yaml_pair *pair, gr_arena *arena, gr_error *err) {
    size_t n_settings;
    const gr_setting_info *settings = gr_config_settings(&n_settings);
    gr_str *names = GR_NEW_N(arena, gr_str, n_settings + 2);
    gr_str where = group.n ? gr_arena_printf(arena, "`" GR_FMT "`", GR_ARG(group)) : GR_STR("granary.yml");
    gr_status status = gr_config_unknown_key(pair->key, pair->key_loc, where, names, names_in(group, names), err);
    if (err && err->hint[0]) return status;
    for (size_t i = 0; i < n_settings; i++) {
        gr_str path = gr_str_from(settings[i].yaml_path), head = group_of(path);
        bool is_inside = path.n > head.n && gr_str_eq_z(pair->key, settings[i].yaml_path + head.n + 1);
        bool is_dotted = path.n > head.n && gr_str_eq(pair->key, path);
        if (!is_inside && !is_dotted) continue;
        gr_error_hint(err, "It belongs under `" GR_FMT ":`, as `%s`.", GR_ARG(head),
                      settings[i].yaml_path + head.n + 1);
        break;
    }
    return status;
}

static bool is_group(gr_str name) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (size_t i = 0; i < n; i++) {
        gr_str path = gr_str_from(settings[i].yaml_path), head = group_of(path);
        if (path.n > head.n && gr_str_eq(head, name)) return true;
    }
    return false;
}

static gr_status read_group(gr_config *config, const gr_yaml_pair *group, gr_arena *arena, gr_error *err) {
    const gr_yaml *map = group->value;
    if (map->kind == GR_YAML_NULL) return GR_OK;
    if (map->kind != GR_YAML_MAP)
        return gr_config_invalid(err, map->loc, "`" GR_FMT "` must be a map of settings.", GR_ARG(group->key));
    for (size_t i = 0; i < map->n; i++) {
        const gr_yaml_pair *pair = &map->pairs[i];
        gr_str path = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(group->key), GR_ARG(pair->key));
        size_t setting = gr_config_by_yaml(path);
        if (setting == SIZE_MAX) return unknown(group->key, pair, arena, err);
        GR_TRY(gr_config_set_yaml(config, setting, pair->value, arena, err));
    }
    return GR_OK;
}

static gr_status read_top(gr_config *config, const gr_yaml_pair *pair, gr_arena *arena, gr_error *err) {
    if (gr_str_eq_z(pair->key, "data_sources")) return gr_config_read_sources(config, pair->value, arena, err);
    if (gr_str_eq_z(pair->key, "webhooks")) return gr_config_read_webhooks(config, pair->value, arena, err);
    if (is_group(pair->key)) return read_group(config, pair, arena, err);
    size_t setting = gr_str_find(pair->key, '.', 0) == SIZE_MAX ? gr_config_by_yaml(pair->key) : SIZE_MAX;
    if (setting == SIZE_MAX) return unknown((gr_str){0}, pair, arena, err);
    return gr_config_set_yaml(config, setting, pair->value, arena, err);
}

static gr_status read_yaml(gr_config *config, gr_str file, gr_arena *arena, gr_error *err) {
    gr_str text;
    GR_TRY(read_file(file, arena, &text, err));
    gr_yaml *root;
    GR_TRY(gr_yaml_parse(text, file, GR_YAML_LIMITS_DEFAULT, arena, &root, err));
    if (root->kind != GR_YAML_MAP && root->kind != GR_YAML_NULL)
        return gr_config_invalid(err, root->loc, "granary.yml must be a map of settings.");
    for (size_t i = 0; i < root->n; i++) GR_TRY(read_top(config, &root->pairs[i], arena, err));
    config->loc = root->loc;
    return GR_OK;
}

/* ---- what comes before and after the file ---------------------------------------------------------------------- */

static gr_status set_defaults(gr_config *config, gr_arena *arena, gr_error *err) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (size_t i = 0; i < n; i++) {
        gr_config_origin origin = {.name = gr_arena_printf(arena, "The default of `%s`", settings[i].yaml_path)};
        GR_TRY(gr_config_set_text(config, i, gr_str_from(settings[i].default_text), &origin, arena, err));
    }
    return GR_OK;
}

const char *gr_config_variable(char *const *pairs, const char *name) {
    size_t n = name ? strlen(name) : 0;
    for (; n && pairs && *pairs; pairs++)
        if (strncmp(*pairs, name, n) == 0 && (*pairs)[n] == '=') return *pairs + n + 1;
    return NULL;
}

/* The reference's durations are seconds, or a number with s, m or h; ours are milliseconds. */
static gr_str milliseconds(gr_str text, gr_arena *arena) {
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}};
    int64_t factor = 1000, n;
    gr_str number = text;
    for (size_t i = 0; text.n && i < sizeof units / sizeof *units; i++)
        if (text.p[text.n - 1] == units[i].unit) factor = units[i].ms, number.n = text.n - 1;
    if (!gr_str_to_i64(number, &n) || n < 0 || n > INT64_MAX / factor) return text; /* refused as it was written */
    n *= factor;
    return gr_arena_printf(arena, "%lld", (long long)n);
}

static gr_status read_environment(gr_config *config, char *const *pairs, gr_arena *arena, gr_error *err) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (size_t i = 0; i < n; i++) {
        const char *name = settings[i].env;
        const char *value = gr_config_variable(pairs, name);
        if (!value) {
            name = settings[i].env_cube;
            value = gr_config_variable(pairs, name);
        }
        if (!value) continue;
        gr_config_origin origin = {.name = gr_arena_printf(arena, "The variable %s", name)};
        gr_str text = gr_str_from(value);
        if (!gr_str_is_utf8(text))
            return gr_config_invalid(err, origin.loc, GR_FMT " is not valid UTF-8.", GR_ARG(origin.name));
        if (strcmp(name, "CUBEJS_DB_QUERY_TIMEOUT") == 0) text = milliseconds(text, arena);
        GR_TRY(gr_config_set_text(config, i, text, &origin, arena, err));
    }
    return GR_OK;
}

static gr_status unknown_flag(gr_str flag, gr_arena *arena, gr_error *err) {
    size_t n, n_names = 0;
    const gr_setting_info *settings = gr_config_settings(&n);
    gr_str *names = GR_NEW_N(arena, gr_str, n);
    for (size_t i = 0; i < n; i++)
        if (settings[i].flag) names[n_names++] = gr_str_from(settings[i].flag);
    gr_error_set(err, GR_ERR_CLI_USAGE, "There is no flag " GR_FMT ".", GR_ARG(flag));
    gr_str near = gr_diags_nearest(flag, names, n_names);
    if (near.n) gr_error_hint(err, "Did you mean " GR_FMT "?", GR_ARG(near));
    return GR_ERR_CLI_USAGE;
}

static gr_status read_flags(gr_config *config, const gr_config_flag *flags, size_t n_flags, gr_arena *arena,
                            gr_error *err) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (size_t i = 0; i < n_flags; i++) {
        size_t setting = gr_config_by_flag(flags[i].flag);
        if (setting == SIZE_MAX) return unknown_flag(flags[i].flag, arena, err);
        gr_config_origin origin = {.name = gr_arena_printf(arena, "The flag %s", settings[setting].flag)};
        /* A switch: `--dev` alone turns it on. */
        bool is_switch = !flags[i].value.n && strcmp(settings[setting].type, "boolean") == 0;
        if (!is_switch && !gr_str_is_utf8(flags[i].value))
            return gr_config_invalid(err, origin.loc, GR_FMT " is not valid UTF-8.", GR_ARG(origin.name));
        GR_TRY(gr_config_set_text(config, setting, is_switch ? GR_STR("true") : flags[i].value, &origin, arena, err));
    }
    return GR_OK;
}

gr_status gr_config_load(gr_str file, const gr_config_flag *flags, size_t n_flags, char *const *environ_pairs,
                         gr_arena *arena, gr_config **ret, gr_error *err) {
    gr_config *config = GR_NEW(arena, gr_config);
    file = gr_arena_dup(arena, file.n ? file : GR_STR("granary.yml"));
    GR_TRY(set_defaults(config, arena, err));
    GR_TRY(find_root(config, file, arena, err));
    GR_TRY(read_yaml(config, file, arena, err));
    GR_TRY(read_environment(config, environ_pairs, arena, err));
    GR_TRY(gr_config_finish_databases(config, environ_pairs, arena, err));
    GR_TRY(read_flags(config, flags, n_flags, arena, err));
    GR_TRY(gr_config_check(config, arena, err));
    *ret = config;
    return GR_OK;
}
