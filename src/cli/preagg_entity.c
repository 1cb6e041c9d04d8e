/* granary preagg show | cubes | history | builds | rm | materialize: one entity, by id or name. */
#include "cli/answer.h"
#include "cli/progress.h"

#include "base/mem.h"

#include <stdio.h>
#include <time.h>

#define N(list) (sizeof(list) / sizeof *(list))
enum { FIRST_POLL_MS = 5, LAST_POLL_MS = 200 };

static void url_of(gr_cli *cli, const char *what, gr_buf *ret) {
    gr_cli_url_init(ret, "/pre-aggregations/");
    gr_cli_url_text(ret, cli->args.operands[0]);
    gr_buf_z(ret, what);
}

static gr_status ask(gr_cli *cli, const char *method, const char *what, json_t **ret, gr_error *err) {
    gr_buf url;
    url_of(cli, what, &url);
    gr_status status = gr_cli_ask_once(cli, method, &url, NULL, ret, err);
    gr_buf_done(&url);
    return status;
}

gr_status gr_cli_run_preagg_show(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {
        {"id", "id", true},
        {"name", "name", false},
        {"status", "status", false},
        {"node_name", "source node", false},
        {"node_version", "version", false},
        {"grain_columns", "grain", false},
        {"filters", "filters", false},
        {"measures", "measures", false},
        {"related_metrics", "serves", false},
        {"time_zone", "time zone", false},
        {"store", "store", false},
        {"table", "table", false},
        {"external", "external", false},
        {"materialized_at", "built at", false},
        {"row_count", "rows", true},
        {"bytes", "bytes", true},
        {"build_ms", "build ms", true},
        {"materialization_error", "error", false},
        {"problem", "problem", false},
        {"min_partition", "from", false},
        {"max_partition", "to", false},
        {"strategy", "strategy", false},
        {"schedule", "schedule", false},
        {"workflow_status", "workflow", false},
        {"next_refresh", "next refresh", false},
        {"refresh_failures", "failed", true},
        {"refresh_error", "refresh error", false},
        {"cubes", "cubes", false},
        {"declared_by", "declared by", false},
        {"hits", "hits", true},
        {"last_served_at", "last served", false},
        {"created_at", "created", false},
        {"updated_at", "updated", false},
        {"grain_hash", "grain hash", false},
        {"preagg_hash", "preagg hash", false},
        {"sql", "sql", false},
    };
    json_t *json;
    (void)ret_exit;
    GR_TRY(ask(cli, "GET", "", &json, err));
    if (!cli->args.has[GR_FLAG_JSON]) gr_cli_flatten_refresh(json);
    return gr_cli_show_object(cli, json, shown, N(shown), err);
}

gr_status gr_cli_run_preagg_cubes(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"name", "cube", false},
                                         {"type", "type", false},
                                         {"version", "version", false},
                                         {"status", "status", false},
                                         {"display_name", "title", false}};
    json_t *json;
    (void)ret_exit;
    GR_TRY(ask(cli, "GET", "/cubes", &json, err));
    return gr_cli_show_list(cli, json, json, shown, N(shown), err);
}

gr_status gr_cli_run_preagg_history(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"created_at", "when", false}, {"activity_type", "what", false},
                                         {"user", "who", false},        {"pre", "before", false},
                                         {"post", "after", false},      {"details", "details", false}};
    json_t *json;
    (void)ret_exit;
    GR_TRY(ask(cli, "GET", "/history", &json, err));
    return gr_cli_show_list(cli, json, json, shown, N(shown), err);
}

gr_status gr_cli_run_preagg_builds(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"version", "build", true},       {"status", "status", false},
                                         {"started_at", "started", false}, {"build_ms", "ms", true},
                                         {"rows", "rows", true},           {"bytes", "bytes", true},
                                         {"table", "table", false},        {"error", "error", false}};
    json_t *json;
    (void)ret_exit;
    GR_TRY(ask(cli, "GET", "/builds", &json, err));
    return gr_cli_show_list(cli, json, json, shown, N(shown), err);
}

gr_status gr_cli_run_preagg_rm(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    json_t *json;
    (void)ret_exit;
    GR_TRY(ask(cli, "DELETE", "", &json, err));
    return gr_cli_print_message(cli, json, err);
}

/* ---- materialize --------------------------------------------------------------------------------------------------
 */
static bool is_materializing(const json_t *entity) {
    return gr_str_eq(gr_cli_json_text(entity, "status"), GR_STR("materializing"));
}

/* How far the newest build is; below 0: unknown. */
static gr_status look_at_build(gr_cli *cli, gr_door *door, gr_str builds, double *ret, gr_error *err) {
    json_t *list = NULL;
    GR_TRY(gr_cli_ask(cli, door, "GET", builds, NULL, &list, err));
    const json_t *progress = json_object_get(json_array_get(list, 0), "progress");
    *ret = json_is_number(progress) ? json_number_value(progress) : -1;
    return GR_OK;
}

/* Looks until the build has ended, with a bar. A process that builds itself goes on while this one looks. */
static gr_status wait_for_end(gr_cli *cli, gr_door *door, gr_str entity, json_t **json, gr_error *err) {
    gr_cli_progress bar;
    gr_str builds = gr_arena_printf(cli->arena, GR_FMT "/builds?limit=1", GR_ARG(entity));
    gr_status status = GR_OK;
    int64_t pause_ms = FIRST_POLL_MS;
    gr_cli_progress_start(&bar, cli->args.operands[0]);
    while (!status && is_materializing(*json)) {
        double fraction = -1;
        status = look_at_build(cli, door, builds, &fraction, err);
        gr_cli_progress_update(&bar, fraction);
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000L}, NULL);
        if (pause_ms < LAST_POLL_MS) pause_ms *= 2;
        if (!status) status = gr_cli_ask(cli, door, "GET", entity, NULL, json, err);
        if (!status && atomic_load(&gr_cli_is_interrupted))
            status = gr_error_set(err, GR_ERR_CANCELLED, "interrupted; a server goes on with the build");
    }
    gr_cli_progress_end(&bar);
    return status;
}

/* By id from here on: a name may come to mean another entity while this one is built. */
static gr_status build_and_wait(gr_cli *cli, gr_door *door, gr_str url, const json_t *body, json_t **json,
                                bool *ret_was_built, gr_error *err) {
    GR_TRY(gr_cli_ask(cli, door, "POST", url, body, json, err));
    *ret_was_built = !is_materializing(*json);
    if (*ret_was_built) return GR_OK;
    gr_str entity = gr_arena_printf(cli->arena, "/pre-aggregations/%lld", (long long)gr_cli_json_number(*json, "id"));
    GR_TRY(wait_for_end(cli, door, entity, json, err));
    gr_str error = gr_cli_json_text(*json, "materialization_error");
    if (!gr_str_eq(gr_cli_json_text(*json, "status"), GR_STR("failed"))) return GR_OK;
    return gr_error_set(err, GR_ERR_PREAGG_BUILD, GR_FMT, GR_ARG(error));
}

static gr_status report(gr_cli *cli, const json_t *json, bool was_built, int64_t took_ms, gr_error *err) {
    if (cli->args.has[GR_FLAG_JSON]) return gr_cli_print_json(json, err);
    gr_str name = cli->args.operands[0];
    if (was_built)
        printf(GR_FMT ": is built already\n", GR_ARG(name));
    else
        printf(GR_FMT ": built (%lld ms, %lld rows)\n", GR_ARG(name), (long long)took_ms,
               (long long)gr_cli_json_number(json, "row_count"));
    fflush(stdout);
    return GR_OK;
}

static void free_json(void *json) { json_decref(json); }

static gr_status read_body(gr_cli *cli, json_t **ret, gr_error *err) {
    json_t *body = json_pack("{s:b}", "force", (int)cli->args.has[GR_FLAG_FORCE]);
    if (!body) gr_mem_die(0);
    gr_arena_defer(cli->arena, free_json, body);
    gr_str strategy = cli->args.value[GR_FLAG_STRATEGY];
    if (cli->args.has[GR_FLAG_STRATEGY] && json_object_set_new(body, "strategy", json_stringn(strategy.p, strategy.n)))
        return gr_error_set(err, GR_ERR_CLI_USAGE, "--strategy is not a text in UTF-8");
    *ret = body;
    return GR_OK;
}

gr_status gr_cli_run_preagg_materialize(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_door *door;
    gr_buf url;
    json_t *json = NULL, *body = NULL;
    bool was_built = false;
    (void)ret_exit;
    GR_TRY(read_body(cli, &body, err));
    GR_TRY(gr_cli_open_door(cli, &door, err));
    url_of(cli, "/materialize", &url);
    int64_t started = gr_clock_mono_us();
    gr_status status = build_and_wait(cli, door, gr_buf_str(&url), body, &json, &was_built, err);
    gr_buf_done(&url);
    gr_cli_door_close(door);
    GR_TRY(status);
    return report(cli, json, was_built, (gr_clock_mono_us() - started) / 1000, err);
}
