/* granary version. */
#include "cli/version.h"

#include "cli/command.h"

gr_status gr_cli_run_version(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    gr_buf out;
    gr_buf_init(&out, 4096);
    if (cli->args.has[GR_FLAG_JSON])
        gr_buf_z(&out, "{\"version\":\"" GR_VERSION "\"}\n");
    else
        gr_buf_z(&out, "granary " GR_VERSION "\n");
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}
