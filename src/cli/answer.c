/* See answer.h. */
#include "cli/answer.h"

#include "base/mem.h"

#include <stdio.h>

gr_status gr_cli_open_door(gr_cli *cli, gr_door **ret, gr_error *err) {
    gr_config *config;
    GR_TRY(gr_cli_config(cli, &config, err));
    return gr_cli_door_open(cli, config, ret, err);
}

/* ---- targets ----------------------------------------------------------------------------------------------------- */
enum { MAX_URL_BYTES = 48 * 1024 }; /* what the server takes */

void gr_cli_url_init(gr_buf *url, const char *path) {
    gr_buf_init(url, MAX_URL_BYTES);
    gr_buf_z(url, path);
}

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

void gr_cli_url_text(gr_buf *url, gr_str text) {
    for (size_t i = 0; i < text.n; i++)
        if (is_plain(text.p[i]))
            gr_buf_char(url, text.p[i]);
        else
            gr_buf_printf(url, "%%%02X", (unsigned char)text.p[i]);
}

void gr_cli_url_param(gr_buf *url, const char *key, gr_str value) {
    bool is_first = gr_str_find(gr_buf_str(url), '?', 0) == SIZE_MAX;
    gr_buf_char(url, is_first ? '?' : '&');
    gr_buf_z(url, key);
    gr_buf_char(url, '=');
    gr_cli_url_text(url, value);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */
gr_status gr_cli_ask(gr_cli *cli, gr_door *door, const char *method, gr_str target, const json_t *body, json_t **ret,
                     gr_error *err) {
    gr_buf answer;
    gr_buf_init(&answer, GR_CLI_MAX_OUTPUT_BYTES);
    gr_status status = door->call(door, method, target, body, &answer, err);
    if (!status) status = gr_json_parse(gr_buf_str(&answer), GR_CLI_MAX_OUTPUT_BYTES, cli->arena, ret, err);
    gr_buf_done(&answer);
    return status;
}

gr_status gr_cli_ask_once(gr_cli *cli, const char *method, const gr_buf *target, const json_t *body, json_t **ret,
                          gr_error *err) {
    gr_door *door;
    if (target->is_over) return gr_error_set(err, GR_ERR_LIMIT, "the request is longer than %zu bytes", target->max);
    GR_TRY(gr_cli_open_door(cli, &door, err));
    gr_status status = gr_cli_ask(cli, door, method, gr_buf_str(target), body, ret, err);
    gr_cli_door_close(door);
    return status;
}

/* ---- showing ----------------------------------------------------------------------------------------------------- */
gr_status gr_cli_print_json(const json_t *json, gr_error *err) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, GR_CLI_MAX_OUTPUT_BYTES);
    gr_jw_init(&w, &out);
    gr_jw_json(&w, json);
    gr_buf_char(&out, '\n');
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}

gr_status gr_cli_print_message(gr_cli *cli, const json_t *json, gr_error *err) {
    gr_str message = gr_cli_json_text(json, "message");
    if (cli->args.has[GR_FLAG_JSON]) return gr_cli_print_json(json, err);
    printf(GR_FMT "\n", GR_ARG(message));
    fflush(stdout);
    return GR_OK;
}

static gr_str list_cell(const json_t *list, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 64 * 1024);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (i) gr_buf_z(&out, ", ");
        gr_buf_add(&out, gr_cli_cell(json_is_object(item) ? json_object_get(item, "name") : item, arena));
    }
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

gr_str gr_cli_cell(const json_t *value, gr_arena *arena) {
    if (json_is_string(value)) return gr_json_str(value);
    if (json_is_integer(value)) return gr_arena_printf(arena, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value)) return gr_arena_printf(arena, "%.0f %%", json_real_value(value) * 100);
    if (json_is_boolean(value)) return json_is_true(value) ? GR_STR("yes") : GR_STR("no");
    if (json_is_array(value)) return list_cell(value, arena);
    if (!json_is_object(value) || !json_object_size(value)) return GR_STR("");
    char *text = json_dumps(value, JSON_COMPACT);
    if (!text) gr_mem_die(0);
    gr_str cell = gr_arena_dup(arena, gr_str_from(text));
    free(text);
    return cell;
}

void gr_cli_render(const json_t *items, const gr_cli_shown *shown, size_t n, gr_arena *arena, gr_buf *out) {
    gr_cli_column *columns = GR_NEW_N(arena, gr_cli_column, n);
    gr_str *cells = GR_NEW_N(arena, gr_str, n);
    for (size_t i = 0; i < n; i++)
        columns[i] = (gr_cli_column){gr_str_from(shown[i].title), shown[i].is_number ? GR_ALIGN_RIGHT : GR_ALIGN_LEFT};
    gr_cli_table *table = gr_cli_table_new(arena, columns, n);
    for (size_t row = 0; row < json_array_size(items); row++) {
        const json_t *item = json_array_get(items, row);
        for (size_t i = 0; i < n; i++) cells[i] = gr_cli_cell(json_object_get(item, shown[i].key), arena);
        gr_cli_table_row(table, cells);
    }
    gr_cli_table_print(table, 0, out);
}

gr_status gr_cli_show_list(gr_cli *cli, const json_t *whole, const json_t *items, const gr_cli_shown *shown, size_t n,
                           gr_error *err) {
    if (cli->args.has[GR_FLAG_JSON]) return gr_cli_print_json(whole, err);
    gr_buf out;
    gr_buf_init(&out, GR_CLI_MAX_OUTPUT_BYTES);
    gr_cli_render(items, shown, n, cli->arena, &out);
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}

gr_status gr_cli_show_object(gr_cli *cli, const json_t *object, const gr_cli_shown *shown, size_t n, gr_error *err) {
    if (cli->args.has[GR_FLAG_JSON]) return gr_cli_print_json(object, err);
    gr_buf out;
    gr_buf_init(&out, GR_CLI_MAX_OUTPUT_BYTES);
    for (size_t i = 0; i < n; i++) {
        gr_str cell = gr_cli_cell(json_object_get(object, shown[i].key), cli->arena);
        if (cell.n) gr_buf_printf(&out, "%-16s " GR_FMT "\n", shown[i].title, GR_ARG(cell));
    }
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}

/* ---- members of the flags ---------------------------------------------------------------------------------------- */
static void free_json(void *json) { json_decref(json); }

static gr_status add_text(json_t *list, gr_str text, gr_cli_flag_id id, gr_error *err) {
    text = gr_str_trim(text);
    if (!text.n || json_array_append_new(list, json_stringn(text.p, text.n)) == 0) return GR_OK;
    return gr_error_set(err, GR_ERR_CLI_USAGE, "%s is not a text in UTF-8", gr_cli_flag_info(id)->name);
}

/* All values of a flag; those of lists at their commas. */
static gr_status add_list(const gr_cli_args *args, gr_cli_flag_id id, json_t *object, const char *key, gr_error *err) {
    json_t *list = json_array();
    if (!list || json_object_set_new(object, key, list)) gr_mem_die(0);
    for (size_t i = 0; i < args->n_given; i++) {
        gr_str value = args->given[i].value;
        if (args->given[i].id != id) continue;
        for (size_t at = 0, end; at < value.n; at = end + 1) {
            end = id == GR_FLAG_FILTER ? SIZE_MAX : gr_str_find(value, ',', at);
            if (end == SIZE_MAX) end = value.n;
            GR_TRY(add_text(list, gr_str_sub(value, at, end - at), id, err));
        }
    }
    return GR_OK;
}

gr_status gr_cli_asked_members(gr_cli *cli, json_t **ret, gr_error *err) {
    const gr_cli_args *args = &cli->args;
    json_t *body = json_object();
    if (!body) gr_mem_die(0);
    gr_arena_defer(cli->arena, free_json, body);
    if (!args->has[GR_FLAG_METRICS])
        return gr_error_set(err, GR_ERR_CLI_USAGE, "\"%s\" needs --metrics", args->command->name);
    GR_TRY(add_list(args, GR_FLAG_METRICS, body, "metrics", err));
    GR_TRY(add_list(args, GR_FLAG_DIMENSIONS, body, "dimensions", err));
    GR_TRY(add_list(args, GR_FLAG_FILTER, body, "filters", err));
    static const struct {
        gr_cli_flag_id id;
        const char *key;
    } texts[] = {{GR_FLAG_TIMEZONE, "timezone"},
                 {GR_FLAG_STRATEGY, "strategy"},
                 {GR_FLAG_SCHEDULE, "schedule"},
                 {GR_FLAG_DESCRIPTION, "description"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        gr_str value = args->value[texts[i].id];
        if (args->has[texts[i].id] && json_object_set_new(body, texts[i].key, json_stringn(value.p, value.n)))
            return gr_error_set(err, GR_ERR_CLI_USAGE, "%s is not a text in UTF-8",
                                gr_cli_flag_info(texts[i].id)->name);
    }
    *ret = body;
    return GR_OK;
}

void gr_cli_flatten_refresh(json_t *view) {
    static const struct {
        const char *to, *from;
    } keys[] = {{"next_refresh", "next_at"}, {"refresh_failures", "failures"}, {"refresh_error", "error"}};
    const json_t *refresh = json_object_get(view, "refresh");
    for (size_t i = 0; json_is_object(refresh) && i < sizeof keys / sizeof *keys; i++) {
        json_t *copy = json_deep_copy(json_object_get(refresh, keys[i].from));
        if (!copy || json_object_set_new(view, keys[i].to, copy)) gr_mem_die(0);
    }
}
