/* granary preagg plan: the pre-aggregations that metrics and dimensions need, recorded or only shown. */
#include "cli/answer.h"

#include <stdio.h>

#define N(list) (sizeof(list) / sizeof *(list))

static void print_warnings(const json_t *json) {
    const json_t *warnings = json_object_get(json, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const json_t *warning = json_array_get(warnings, i);
        gr_str code = gr_cli_json_text(warning, "code"), message = gr_cli_json_text(warning, "message");
        fprintf(stderr, "warning[" GR_FMT "]: " GR_FMT "\n", GR_ARG(code), GR_ARG(message));
    }
}

static void add_params(gr_buf *url, const char *key, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) gr_cli_url_param(url, key, gr_json_str(json_array_get(list, i)));
}

static gr_status dry_run(gr_cli *cli, const json_t *asked, gr_error *err) {
    static const gr_cli_shown shown[] = {
        {"node_name", "source node", false}, {"name", "pre-aggregation", false}, {"pre_aggregation_id", "entity", true},
        {"status", "status", false},         {"grain_columns", "grain", false},  {"components", "measures", false},
        {"is_covered", "covered", false},    {"is_served", "served", false},     {"problem", "problem", false}};
    gr_buf url;
    json_t *json = NULL;
    gr_cli_url_init(&url, "/grain-groups");
    add_params(&url, "metrics", json_object_get(asked, "metrics"));
    add_params(&url, "dimensions", json_object_get(asked, "dimensions"));
    add_params(&url, "filters", json_object_get(asked, "filters"));
    if (cli->args.has[GR_FLAG_TIMEZONE]) gr_cli_url_param(&url, "timezone", cli->args.value[GR_FLAG_TIMEZONE]);
    gr_status status = gr_cli_ask_once(cli, "GET", &url, NULL, &json, err);
    gr_buf_done(&url);
    GR_TRY(status);
    print_warnings(json);
    return gr_cli_show_list(cli, json, json_object_get(json, "grain_groups"), shown, N(shown), err);
}

gr_status gr_cli_run_preagg_plan(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    static const gr_cli_shown shown[] = {{"id", "entity", true},
                                         {"name", "pre-aggregation", false},
                                         {"status", "status", false},
                                         {"node_name", "source node", false},
                                         {"node_version", "version", false},
                                         {"grain_columns", "grain", false},
                                         {"measures", "measures", false},
                                         {"strategy", "strategy", false},
                                         {"problem", "problem", false}};
    json_t *asked, *json = NULL;
    gr_buf url;
    (void)ret_exit;
    GR_TRY(gr_cli_asked_members(cli, &asked, err));
    if (cli->args.has[GR_FLAG_DRY_RUN]) return dry_run(cli, asked, err);
    gr_cli_url_init(&url, "/preaggs/plan");
    gr_status status = gr_cli_ask_once(cli, "POST", &url, asked, &json, err);
    gr_buf_done(&url);
    GR_TRY(status);
    print_warnings(json);
    return gr_cli_show_list(cli, json, json_object_get(json, "preaggs"), shown, N(shown), err);
}
