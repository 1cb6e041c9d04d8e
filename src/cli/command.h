/* What every command has in hand, and the commands themselves (one file each; the table is in commands.c). */
#ifndef GR_CLI_COMMAND_H
#define GR_CLI_COMMAND_H
#include "base/clock.h"
#include "cli/args.h"
#include "data/json.h"

#include <stdatomic.h>

struct gr_cli {
    gr_cli_args args;
    gr_arena *arena; /* of the whole run */
    char *const *environ_pairs;
    char **argv; /* as the process was called, for starting again */
};

enum { GR_CLI_MAX_OUTPUT_BYTES = 300 << 20, GR_CLI_MAX_QUERY_BYTES = 1 << 20 };

/* The configuration of --config, environment and flags. Errors: config.*, yaml.*. */
GR_MUST_CHECK gr_status gr_cli_config(gr_cli *cli, gr_config **ret, gr_error *err);
/* The query of the first operand (`-`: stdin), with --timezone put in. *ret lives in the arena. Errors: json.*,
 * query.invalid. */
GR_MUST_CHECK gr_status gr_cli_query_operand(gr_cli *cli, json_t **ret, gr_error *err);

/* Writes all of it to stdout. Errors: engine.io when stdout does not take it. */
GR_MUST_CHECK gr_status gr_cli_print(const gr_buf *out, gr_error *err);
/* `file:line:col: error[id]: message` and its hint, on stderr. */
void gr_cli_print_error(const gr_error *error);
/* One diagnostic in the same form, and its hint on a line of its own. */
void gr_cli_add_diag(const gr_diag *diag, gr_buf *out);
/* The diagnostics of a load on stderr; warnings too when `with_warnings`. */
void gr_cli_print_diags(const gr_diags *diags, bool with_warnings);

/* Set by the first SIGINT or SIGTERM; the second one ends the process at once. */
extern atomic_bool gr_cli_is_interrupted;
void gr_cli_catch_interrupts(void);

/* JSON helpers over an answer: empty or 0 when the key is absent or of another type. */
gr_str gr_cli_json_text(const json_t *object, const char *key);
int64_t gr_cli_json_number(const json_t *object, const char *key);

/* Writes a whole file through a temporary name and a rename, so that a reader sees all of it or nothing. */
GR_MUST_CHECK gr_status gr_cli_write_file(gr_str path, gr_str text, unsigned mode, gr_error *err);
/* A whole file of at most `max_bytes`; *ret_found is false when there is none. */
GR_MUST_CHECK gr_status gr_cli_read_file(gr_str path, size_t max_bytes, gr_arena *arena, gr_str *ret, bool *ret_found,
                                         gr_error *err);
GR_MUST_CHECK gr_status gr_cli_make_dir(gr_str path, gr_error *err); /* and its parents */

gr_status gr_cli_run_serve(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_worker(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_query(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_sql(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_explain(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_check(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_list(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_build(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_drop(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_show(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_plan(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_materialize(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_cubes(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_history(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_verify(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_builds(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_partitions(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_refresh(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_preagg_rm(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_cube_list(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_cube_show(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_cube_create(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_cube_rm(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_lineage(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_import_dj(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_demo(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_doctor(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_version(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_help(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
gr_status gr_cli_run_docs(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
#endif
