/* granary preagg verify: what is stored against its source, partition by partition, of each that is named. Ends with 1
 * when something was wrong. */
#include "cli/answer.h"

#include <stdio.h>

static void print_counts(const json_t *json, gr_str name) {
    printf(GR_FMT ": %lld equal, %lld stale or open, %lld quarantined%s\n", GR_ARG(name),
           (long long)gr_cli_json_number(json, "equal"), (long long)gr_cli_json_number(json, "stale"),
           (long long)gr_cli_json_number(json, "quarantined"),
           json_is_true(json_object_get(json, "rebuilding")) ? " (built anew in the background)" : "");
    fflush(stdout);
}

static gr_status show_differences(gr_cli *cli, const json_t *json, gr_error *err) {
    static const gr_cli_shown shown[] = {{"partition", "partition", false},
                                         {"verdict", "verdict", false},
                                         {"rows", "rows", true},
                                         {"difference", "difference", false}};
    json_t *items = json_array(), *part;
    size_t i;
    json_array_foreach(json_object_get(json, "partitions"), i, part) {
        if (!gr_str_eq(gr_cli_json_text(part, "verdict"), GR_STR("equal"))) json_array_append(items, part);
    }
    gr_status status = GR_OK;
    if (json_array_size(items)) status = gr_cli_show_list(cli, json, items, shown, sizeof shown / sizeof *shown, err);
    json_decref(items);
    return status;
}

static gr_status verify_one(gr_cli *cli, gr_str name, gr_exit *ret_exit, gr_error *err) {
    gr_buf url;
    json_t *json = NULL;
    gr_cli_url_init(&url, "/pre-aggregations/");
    gr_cli_url_text(&url, name);
    gr_buf_z(&url, "/verify");
    gr_status status = gr_cli_ask_once(cli, "POST", &url, NULL, &json, err);
    gr_buf_done(&url);
    GR_TRY(status);
    if (gr_cli_json_number(json, "quarantined")) *ret_exit = GR_EXIT_USER;
    if (cli->args.has[GR_FLAG_JSON]) return gr_cli_print_json(json, err);
    if (!json_is_true(json_object_get(json, "can_verify"))) {
        printf(GR_FMT ": stores nothing that can be compared\n", GR_ARG(name));
        fflush(stdout);
        return GR_OK;
    }
    GR_TRY(show_differences(cli, json, err));
    print_counts(json, name);
    return GR_OK;
}

gr_status gr_cli_run_preagg_verify(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    for (size_t i = 0; i < cli->args.n_operands; i++) GR_TRY(verify_one(cli, cli->args.operands[i], ret_exit, err));
    return GR_OK;
}
