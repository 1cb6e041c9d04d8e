/* granary cube list | show | create | rm: the model's cubes, and those made by API. */
#include "cli/answer.h"

#include "base/mem.h"

#define N(list) (sizeof(list) / sizeof *(list))

static const gr_cli_shown shown_node[] = {{"name", "name", false},          {"display_name", "title", false},
                                          {"type", "type", false},          {"version", "version", false},
                                          {"status", "status", false},      {"description", "description", false},
                                          {"metrics", "metrics", false},    {"dimensions", "dimensions", false},
                                          {"filters", "filters", false},    {"pre_aggregations", "entities", false},
                                          {"created_at", "created", false}, {"updated_at", "updated", false},
                                          {"query", "sql", false}};

static gr_status ask_node(gr_cli *cli, const char *method, json_t **ret, gr_error *err) {
    gr_buf url;
    gr_cli_url_init(&url, "/nodes/");
    gr_cli_url_text(&url, cli->args.operands[0]);
    gr_status status = gr_cli_ask_once(cli, method, &url, NULL, ret, err);
    gr_buf_done(&url);
    return status;
}

gr_status gr_cli_run_cube_list(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"name", "cube", false},
                                         {"type", "type", false},
                                         {"display_name", "title", false},
                                         {"description", "description", false}};
    gr_buf url;
    json_t *json = NULL;
    (void)ret_exit;
    gr_cli_url_init(&url, "/nodes/details");
    gr_status status = gr_cli_ask_once(cli, "GET", &url, NULL, &json, err);
    gr_buf_done(&url);
    GR_TRY(status);
    return gr_cli_show_list(cli, json, json, shown, N(shown), err);
}

gr_status gr_cli_run_cube_show(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    json_t *json = NULL;
    (void)ret_exit;
    GR_TRY(ask_node(cli, "GET", &json, err));
    return gr_cli_show_object(cli, json, shown_node, N(shown_node), err);
}

gr_status gr_cli_run_cube_create(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_str name = cli->args.operands[0];
    json_t *body, *json = NULL;
    gr_buf url;
    (void)ret_exit;
    GR_TRY(gr_cli_asked_members(cli, &body, err));
    if (json_object_set_new(body, "name", json_stringn(name.p, name.n)))
        return gr_error_set(err, GR_ERR_CLI_USAGE, "the name is not a text in UTF-8");
    gr_cli_url_init(&url, "/nodes/cube");
    gr_status status = gr_cli_ask_once(cli, "POST", &url, body, &json, err);
    gr_buf_done(&url);
    GR_TRY(status);
    return gr_cli_show_object(cli, json, shown_node, N(shown_node), err);
}

gr_status gr_cli_run_cube_rm(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    json_t *json = NULL;
    (void)ret_exit;
    GR_TRY(ask_node(cli, "DELETE", &json, err));
    return gr_cli_print_message(cli, json, err);
}
