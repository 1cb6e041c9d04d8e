/* granary docs (hidden): the documents that are made from tables. `--check` writes nothing and fails when one is not
 * current, which a test does. */
#include "cli/docs.h"

#include "cli/command.h"
#include "http/metrics.h"
#include "model/docs.h"

#include <stdio.h>

static void write_errors(gr_buf *out) {
    gr_buf_z(out, "# Errors\n\n");
    gr_buf_printf(out, GR_CLI_DOCS_BANNER, "src/base/errors.def");
    gr_buf_z(out,
             "Every error has an id that stays the same over versions; its text may change. *Retry*: the same request\n"
             "may succeed later. *Exit*: what the command line ends with.\n\n"
             "| id | HTTP | exit | retry | meaning |\n|---|---|---|---|---|\n");
    for (unsigned i = 1; i < GR_STATUS__COUNT; i++) {
        const gr_error_info *info = gr_error_info_of((gr_status)i);
        gr_buf_printf(out, "| `%s` | %d | %d | %s | %s |\n", info->id, info->http_status,
                      (int)gr_cli_exit_of((gr_status)i), info->is_retryable ? "yes" : "", info->doc);
    }
}

static const struct {
    const char *file;
    void (*write)(gr_buf *out);
} documents[] = {
    {"errors.md", write_errors},         {"matching.md", gr_cli_write_matching_docs},
    {"config.md", gr_config_write_docs}, {"model-keys.md", gr_model_write_key_docs},
    {"cli.md", gr_cli_args_write_docs},  {"metrics.md", gr_http_metrics_write_docs},
};

static gr_status check_one(gr_cli *cli, gr_str path, gr_str text, bool *ret_is_current, gr_error *err) {
    gr_str have = {0};
    bool is_there = false;
    GR_TRY(gr_cli_read_file(path, 4 << 20, cli->arena, &have, &is_there, err));
    *ret_is_current = is_there && gr_str_eq(have, text);
    if (!*ret_is_current) printf(GR_FMT " is not current: run granary docs\n", GR_ARG(path));
    return GR_OK;
}

gr_status gr_cli_run_docs(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_str dir = cli->args.has[GR_FLAG_DIR] ? cli->args.value[GR_FLAG_DIR] : GR_STR("docs");
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        gr_str path = gr_arena_printf(cli->arena, GR_FMT "/%s", GR_ARG(dir), documents[i].file);
        gr_buf out;
        bool is_current = true;
        gr_buf_init(&out, 4 << 20);
        documents[i].write(&out);
        gr_status status = cli->args.has[GR_FLAG_CHECK] ? check_one(cli, path, gr_buf_str(&out), &is_current, err)
                                                        : gr_cli_write_file(path, gr_buf_str(&out), 0644, err);
        gr_buf_done(&out);
        GR_TRY(status);
        if (!is_current) *ret_exit = GR_EXIT_USER;
    }
    return GR_OK;
}
