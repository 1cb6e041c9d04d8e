/* granary preagg build | drop. */
#include "base/map.h"
#include "cli/answer.h"

#include <stdio.h>

/* ---- build and drop -----------------------------------------------------------------------------------------------
 */

/* The distinct ids of the model's pre-aggregations (one may be listed once per time zone). */
static gr_status all_names(gr_cli *cli, gr_door *door, gr_str **ret, size_t *ret_n, gr_error *err) {
    gr_buf answer;
    json_t *json = NULL;
    gr_buf_init(&answer, GR_CLI_MAX_OUTPUT_BYTES);
    gr_status status = door->preaggs(door, &answer, err);
    if (!status) status = gr_json_parse(gr_buf_str(&answer), GR_CLI_MAX_OUTPUT_BYTES, cli->arena, &json, err);
    gr_buf_done(&answer);
    GR_TRY(status);
    const json_t *views = json_object_get(json, "pre_aggregations");
    gr_map seen;
    gr_map_init(&seen, cli->arena);
    GR_VEC(gr_str) names = {0};
    for (size_t i = 0; i < json_array_size(views); i++) {
        gr_str id = gr_cli_json_text(json_array_get(views, i), "id");
        if (gr_map_put(&seen, id, cli)) GR_PUSH(cli->arena, &names, id);
    }
    *ret = names.v;
    *ret_n = names.n;
    return GR_OK;
}

/* What was done with each name; with --json one object at the end, else a line each as it happens. */
typedef struct report {
    gr_cli *cli;
    gr_buf json;
    gr_jw w;
    gr_status worst;
} report;

static void report_start(report *r, gr_cli *cli) {
    *r = (report){.cli = cli};
    gr_buf_init(&r->json, GR_CLI_MAX_OUTPUT_BYTES);
    gr_jw_init(&r->w, &r->json);
    gr_jw_object(&r->w);
    gr_jw_key(&r->w, GR_STR("pre_aggregations"));
    gr_jw_array(&r->w);
}

static void report_one(report *r, gr_str id, const char *what, int64_t number, const char *unit,
                       const gr_error *error) {
    if (error && error->status) r->worst = error->status;
    if (r->cli->args.has[GR_FLAG_JSON]) {
        gr_jw_object(&r->w);
        gr_jw_key_str(&r->w, "id", id);
        gr_jw_key_str(&r->w, "result", gr_str_from(what));
        if (unit) gr_jw_key_i64(&r->w, unit, number);
        if (error) gr_jw_key_str(&r->w, "error", gr_str_from(error->message));
        if (error) gr_jw_key_str(&r->w, "error_id", gr_str_from(gr_error_info_of(error->status)->id));
        gr_jw_object_end(&r->w);
        return;
    }
    if (unit)
        printf(GR_FMT ": %s (%lld %s)\n", GR_ARG(id), what, (long long)number, unit);
    else
        printf(GR_FMT ": %s\n", GR_ARG(id), what);
    fflush(stdout);
    if (error) gr_cli_print_error(error);
}

static gr_status report_end(report *r, gr_exit *ret_exit, gr_error *err) {
    gr_status status = GR_OK;
    gr_jw_array_end(&r->w);
    gr_jw_object_end(&r->w);
    gr_buf_char(&r->json, '\n');
    if (r->cli->args.has[GR_FLAG_JSON]) status = gr_cli_print(&r->json, err);
    gr_buf_done(&r->json);
    *ret_exit = gr_cli_exit_of(r->worst);
    return status;
}

/* Each in turn: one that fails does not keep the others from being built. */
static gr_status build_each(gr_cli *cli, gr_door *door, const gr_str *names, size_t n, gr_exit *ret_exit,
                            gr_error *err) {
    const gr_cli_args *args = &cli->args;
    report r;
    report_start(&r, cli);
    for (size_t i = 0; i < n && r.worst != GR_ERR_CANCELLED; i++) {
        gr_door_build build = {names[i], args->has[GR_FLAG_TIMEZONE] ? args->value[GR_FLAG_TIMEZONE] : (gr_str){0},
                               args->has[GR_FLAG_FORCE]};
        gr_error error = {0};
        bool was_built = false;
        int64_t started = gr_clock_mono_us();
        gr_status status = door->build(door, &build, &was_built, &error);
        int64_t took_ms = (gr_clock_mono_us() - started) / 1000;
        if (status)
            report_one(&r, names[i], "failed", 0, NULL, &error);
        else if (was_built)
            report_one(&r, names[i], "is built already", 0, NULL, NULL);
        else
            report_one(&r, names[i], "built", took_ms, "ms", NULL);
    }
    return report_end(&r, ret_exit, err);
}

gr_status gr_cli_run_preagg_build(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    const gr_cli_args *args = &cli->args;
    gr_str *names = args->operands;
    size_t n = args->n_operands;
    gr_door *door;
    if (args->has[GR_FLAG_ALL] == (n > 0))
        return gr_error_set(err, GR_ERR_CLI_USAGE, "\"preagg build\" needs names or --all, and not both");
    GR_TRY(gr_cli_open_door(cli, &door, err));
    gr_status status = GR_OK;
    if (args->has[GR_FLAG_ALL]) status = all_names(cli, door, &names, &n, err);
    if (!status) status = build_each(cli, door, names, n, ret_exit, err);
    gr_cli_door_close(door);
    return status;
}

gr_status gr_cli_run_preagg_drop(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_door *door;
    report r;
    GR_TRY(gr_cli_open_door(cli, &door, err));
    report_start(&r, cli);
    for (size_t i = 0; i < cli->args.n_operands; i++) {
        gr_str name = cli->args.operands[i];
        gr_error error = {0};
        int64_t tables = 0;
        if (door->drop(door, name, &tables, &error))
            report_one(&r, name, "failed", 0, NULL, &error);
        else
            report_one(&r, name, "dropped", tables, "tables", NULL);
    }
    gr_cli_door_close(door);
    return report_end(&r, ret_exit, err);
}
