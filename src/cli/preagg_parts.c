/* granary preagg partitions | refresh. */
#include "base/map.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/progress.h"

#include <stdio.h>
#include <time.h>

enum { FIRST_POLL_MS = 5, LAST_POLL_MS = 200 };

static void free_json(void *json) { json_decref(json); }

static void set(json_t *object, const char *key, json_t *value) {
    if (!value || json_object_set_new(object, key, value)) gr_mem_die(0);
}

static json_t *new_text(gr_str text) { return json_stringn(text.p, text.n); }

/* `entity`: an id or a name. */
static gr_status ask_partitions(gr_cli *cli, gr_door *door, gr_str entity, bool is_summary, json_t **ret,
                                gr_error *err) {
    gr_buf url;
    gr_cli_url_init(&url, "/pre-aggregations/");
    gr_cli_url_text(&url, entity);
    gr_buf_z(&url, "/partitions");
    if (is_summary) gr_cli_url_param(&url, "summary", GR_STR("true"));
    if (cli->args.has[GR_FLAG_TIMEZONE]) gr_cli_url_param(&url, "timezone", cli->args.value[GR_FLAG_TIMEZONE]);
    gr_status status = gr_cli_ask(cli, door, "GET", gr_buf_str(&url), NULL, ret, err);
    gr_buf_done(&url);
    return status;
}

gr_status gr_cli_run_preagg_partitions(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"partition", "partition", false},
                                         {"from", "from", false},
                                         {"to", "to", false},
                                         {"status", "status", false},
                                         {"rows", "rows", true},
                                         {"bytes", "bytes", true},
                                         {"built_at", "built at", false},
                                         {"verified_at", "verified at", false},
                                         {"version", "version", true},
                                         {"table", "table", false},
                                         {"quarantine", "quarantine", false},
                                         {"checksum", "checksum", false}};
    gr_door *door;
    json_t *json = NULL;
    (void)ret_exit;
    GR_TRY(gr_cli_open_door(cli, &door, err));
    gr_status status = ask_partitions(cli, door, cli->args.operands[0], false, &json, err);
    gr_cli_door_close(door);
    GR_TRY(status);
    return gr_cli_show_list(cli, json, json_object_get(json, "partitions"), shown, sizeof shown / sizeof *shown, err);
}

/* ---- refresh -----------------------------------------------------------------------------------------------------
 */

static gr_status read_body(gr_cli *cli, json_t **ret, gr_error *err) {
    const gr_cli_args *args = &cli->args;
    json_t *body = json_pack("{s:b}", "force", (int)args->has[GR_FLAG_FORCE]);
    if (!body) gr_mem_die(0);
    gr_arena_defer(cli->arena, free_json, body);
    if (args->has[GR_FLAG_PARTITION] && args->has[GR_FLAG_RANGE])
        return gr_error_set(err, GR_ERR_CLI_USAGE, "give either --partition or --range");
    json_t *names = json_array(), *range = json_array();
    for (size_t i = 0; i < args->n_given; i++) {
        const gr_cli_given *given = &args->given[i];
        json_t *list = given->id == GR_FLAG_PARTITION ? names : given->id == GR_FLAG_RANGE ? range : NULL;
        if (list && json_array_append_new(list, new_text(given->value)))
            return gr_error_set(err, GR_ERR_CLI_USAGE, "%s is not a text in UTF-8", gr_cli_flag_info(given->id)->name);
    }
    if (json_array_size(range) > 2) return gr_error_set(err, GR_ERR_CLI_USAGE, "give --range once");
    if (args->has[GR_FLAG_PARTITION])
        set(body, "partitions", names);
    else
        json_decref(names);
    if (args->has[GR_FLAG_RANGE])
        set(body, "dateRange", range);
    else
        json_decref(range);
    if (args->has[GR_FLAG_TIMEZONE]) set(body, "timezone", new_text(args->value[GR_FLAG_TIMEZONE]));
    *ret = body;
    return GR_OK;
}

static void draw(gr_cli_progress *bar, const json_t *json) {
    const json_t *building = json_object_get(json, "building"), *progress = json_object_get(building, "progress");
    const json_t *transfer = json_object_get(building, "transfer");
    int64_t due = gr_cli_json_number(building, "partitions_due");
    if (transfer)
        gr_cli_progress_note_transfer(bar, gr_cli_json_number(transfer, "rows"),
                                      (double)gr_cli_json_number(transfer, "rows_per_second"),
                                      (double)gr_cli_json_number(transfer, "bytes_per_second"));
    else if (due)
        gr_cli_progress_note(bar, gr_cli_json_number(building, "partitions_done"), due,
                             gr_cli_json_number(building, "rows"));
    gr_cli_progress_update(bar, json_is_number(progress) ? json_number_value(progress) : -1);
}

static gr_status wait_for_end(gr_cli *cli, gr_door *door, gr_str entity, gr_error *err) {
    gr_cli_progress bar;
    gr_status status = GR_OK;
    json_t *json = NULL;
    int64_t pause_ms = FIRST_POLL_MS;
    gr_cli_progress_start(&bar, cli->args.operands[0]);
    for (;;) {
        status = ask_partitions(cli, door, entity, true, &json, err);
        if (status || !json_is_true(json_object_get(json, "is_building"))) break;
        draw(&bar, json);
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000L}, NULL);
        if (pause_ms < LAST_POLL_MS) pause_ms *= 2;
        if (!atomic_load(&gr_cli_is_interrupted)) continue;
        status = gr_error_set(err, GR_ERR_CANCELLED, "interrupted; a server goes on with the build");
        break;
    }
    gr_cli_progress_end(&bar);
    if (status || !gr_str_eq(gr_cli_json_text(json, "status"), GR_STR("failed"))) return status;
    return gr_error_set(err, GR_ERR_PREAGG_BUILD, GR_FMT, GR_ARG(gr_cli_json_text(json, "error")));
}

/* A build gives a partition another time; another table may be no more than compaction. */
static gr_str mark_of(const json_t *partition, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT " " GR_FMT, GR_ARG(gr_cli_json_text(partition, "name")),
                           GR_ARG(gr_cli_json_text(partition, "built_at")));
}

typedef struct outcome {
    json_t *names; /* of what was built; owned by the arena */
    int64_t n, rows;
} outcome;

static outcome compare(gr_cli *cli, const json_t *before, const json_t *after) {
    outcome out = {.names = json_array()};
    gr_map known;
    gr_map_init(&known, cli->arena);
    if (!out.names) gr_mem_die(0);
    gr_arena_defer(cli->arena, free_json, out.names);
    before = json_object_get(before, "partitions");
    after = json_object_get(after, "partitions");
    for (size_t i = 0; i < json_array_size(before); i++)
        gr_map_put(&known, mark_of(json_array_get(before, i), cli->arena), cli);
    for (size_t i = 0; i < json_array_size(after); i++) {
        const json_t *partition = json_array_get(after, i);
        bool is_built = gr_str_eq(gr_cli_json_text(partition, "status"), GR_STR("built"));
        if (!is_built || gr_map_get(&known, mark_of(partition, cli->arena))) continue;
        if (json_array_append_new(out.names, new_text(gr_cli_json_text(partition, "name")))) gr_mem_die(0);
        out.n++;
        out.rows += gr_cli_json_number(partition, "rows");
    }
    return out;
}

static gr_status report(gr_cli *cli, const outcome *out, int64_t took_ms, gr_error *err) {
    gr_str name = cli->args.operands[0];
    if (cli->args.has[GR_FLAG_JSON]) {
        json_t *json =
            json_pack("{s:I,s:I,s:O}", "rows", (json_int_t)out->rows, "ms", (json_int_t)took_ms, "built", out->names);
        if (!json) gr_mem_die(0);
        gr_arena_defer(cli->arena, free_json, json);
        set(json, "pre_aggregation", new_text(name));
        return gr_cli_print_json(json, err);
    }
    if (out->n)
        printf(GR_FMT ": %lld partition%s built (%lld ms, %lld rows)\n", GR_ARG(name), (long long)out->n,
               out->n == 1 ? "" : "s", (long long)took_ms, (long long)out->rows);
    else
        printf(GR_FMT ": is built already\n", GR_ARG(name));
    fflush(stdout);
    return GR_OK;
}

/* By id from here on: a name may come to mean another entity while this one is built. */
static gr_status refresh(gr_cli *cli, gr_door *door, const json_t *body, outcome *ret, gr_error *err) {
    json_t *before = NULL, *after = NULL, *started = NULL;
    GR_TRY(ask_partitions(cli, door, cli->args.operands[0], false, &before, err));
    gr_str id = gr_arena_printf(cli->arena, "%lld", (long long)gr_cli_json_number(before, "pre_aggregation_id"));
    gr_str url = gr_arena_printf(cli->arena, "/pre-aggregations/" GR_FMT "/partitions:refresh", GR_ARG(id));
    GR_TRY(gr_cli_ask(cli, door, "POST", url, body, &started, err));
    GR_TRY(wait_for_end(cli, door, id, err));
    GR_TRY(ask_partitions(cli, door, id, false, &after, err));
    *ret = compare(cli, before, after);
    return GR_OK;
}

gr_status gr_cli_run_preagg_refresh(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_door *door;
    json_t *body = NULL;
    outcome out;
    (void)ret_exit;
    GR_TRY(read_body(cli, &body, err));
    GR_TRY(gr_cli_open_door(cli, &door, err));
    int64_t started = gr_clock_mono_us();
    gr_status status = refresh(cli, door, body, &out, err);
    gr_cli_door_close(door);
    GR_TRY(status);
    return report(cli, &out, (gr_clock_mono_us() - started) / 1000, err);
}
