/* granary lineage: what comes from what, as a list of arrows, as JSON or as a graph. */
#include "cli/answer.h"

/* The text of a graph is no JSON: printed as it comes. */
static gr_status print_dot(gr_cli *cli, const gr_buf *url, gr_error *err) {
    gr_door *door;
    gr_buf out;
    GR_TRY(gr_cli_open_door(cli, &door, err));
    gr_buf_init(&out, GR_CLI_MAX_OUTPUT_BYTES);
    gr_status status = door->call(door, "GET", gr_buf_str(url), NULL, &out, err);
    gr_cli_door_close(door);
    if (!status) status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}

static gr_status print_arrows(gr_cli *cli, const gr_buf *url, gr_error *err) {
    static const gr_cli_shown shown[] = {{"from", "from", false}, {"to", "to", false}};
    json_t *json = NULL;
    GR_TRY(gr_cli_ask_once(cli, "GET", url, NULL, &json, err));
    return gr_cli_show_list(cli, json, json_object_get(json, "edges"), shown, 2, err);
}

gr_status gr_cli_run_lineage(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_buf url;
    bool is_dot = cli->args.has[GR_FLAG_DOT];
    (void)ret_exit;
    if (is_dot && cli->args.has[GR_FLAG_JSON])
        return gr_error_set(err, GR_ERR_CLI_USAGE, "\"lineage\" takes --dot or --json, and not both");
    gr_cli_url_init(&url, "/lineage");
    if (cli->args.n_operands) gr_cli_url_param(&url, "name", cli->args.operands[0]);
    if (is_dot) gr_cli_url_param(&url, "format", GR_STR("dot"));
    gr_status status = is_dot ? print_dot(cli, &url, err) : print_arrows(cli, &url, err);
    gr_buf_done(&url);
    return status;
}
