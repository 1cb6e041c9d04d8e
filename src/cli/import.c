/* granary import dj-materializations FILE. */
#include "cli/answer.h"

enum { MAX_FILE_BYTES = 64 << 20 };

static gr_status read_blobs(gr_cli *cli, json_t **ret, gr_error *err) {
    gr_str file = cli->args.operands[0], text = {0};
    bool is_there = false;
    if (gr_str_eq(file, GR_STR("-"))) file = GR_STR("/dev/stdin");
    GR_TRY(gr_cli_read_file(file, MAX_FILE_BYTES, cli->arena, &text, &is_there, err));
    if (!is_there) return gr_error_set(err, GR_ERR_CLI_USAGE, "there is no file " GR_FMT, GR_ARG(file));
    return gr_json_parse(text, MAX_FILE_BYTES, cli->arena, ret, err);
}

gr_status gr_cli_run_import_dj(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"cube", "cube", false},
                                         {"source_node", "source node", false},
                                         {"result", "result", false},
                                         {"pre_aggregation_id", "entity", true},
                                         {"problem", "problem", false}};
    json_t *blobs = NULL, *json = NULL;
    gr_buf url;
    (void)ret_exit;
    GR_TRY(read_blobs(cli, &blobs, err));
    gr_cli_url_init(&url, "/import/dj-materializations");
    gr_status status = gr_cli_ask_once(cli, "POST", &url, blobs, &json, err);
    gr_buf_done(&url);
    GR_TRY(status);
    return gr_cli_show_list(cli, json, json_object_get(json, "results"), shown, sizeof shown / sizeof *shown, err);
}
