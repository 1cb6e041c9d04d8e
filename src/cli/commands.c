/* The table of commands, and gr_cli_main, which finds one, runs it and turns its error into an exit code. */
#include "cli/cli.h"
#include "cli/command.h"

#include <signal.h>
#include <stdio.h>

#define F(id) (1u << GR_FLAG_##id)
#define QUERY_FLAGS (F(CONFIG) | F(JSON) | F(TIMEZONE) | F(LOCAL))

static const gr_cli_command commands[] = {
    {"serve", "", 0, 0, F(CONFIG), true, false, "Serve the HTTP API until SIGTERM or Ctrl-C.",
     "Writes server.json (url, port, pid, token; mode 0600) into the storage folder, by which the other commands find "
     "it.\n"
     "SIGHUP loads the model again, and so does a change of its files (setting `watch`); a model with errors is "
     "reported\n"
     "and the one in service stays. SIGTERM lets running requests finish (setting `http.drain_ms`), then cancels them.",
     gr_cli_run_serve},
    {"worker", "", 0, 0, F(CONFIG) | F(ONCE), true, false,
     "Refresh pre-aggregations in the background, without the HTTP API.",
     "Builds also what no query has asked for yet. With a shared store (storage.shared) it builds beside the servers;\n"
     "an embedded store that a server owns is built by that server, which is told to (every "
     "refresh.worker_interval_ms);\n"
     "without a server the store is opened here, and is this process's until it ends. Signals as with `serve`.\n"
     "With --once it ends when nothing is due: with 0, or 1 when a build failed.",
     gr_cli_run_worker},
    {"query", "'<query JSON>' | -", 1, 1, QUERY_FLAGS | F(NO_ROLLUPS), true, false,
     "Answer a query; `-` reads it from standard input.",
     "With --json prints the single result object of /cubejs-api/v1/load, else a table and what served it.\n"
     "A pre-aggregation that fits and is not built yet is built first.",
     gr_cli_run_query},
    {"sql", "'<query JSON>' | -", 1, 1, QUERY_FLAGS, true, false, "Print the SQL of a query and its parameters.", NULL,
     gr_cli_run_sql},
    {"explain", "'<query JSON>' | -", 1, 1, QUERY_FLAGS | F(NO_ROLLUPS) | F(ESTIMATE), true, false,
     "Print what serves a query, for each candidate every rule that it fails, and what would make it fit.",
     "The query may also be a comparison or an array of queries. With --json prints what /v1/explain answers\n"
     "(docs/http-api.md): pre_aggregations (those that serve; empty for the source), refusals, grain_groups, pieces.",
     gr_cli_run_explain},
    {"check", "", 0, 0, F(CONFIG) | F(JSON), true, false,
     "Check the configuration and the model; print every diagnostic.",
     "Exits 0 when there are only warnings, 1 when there are errors.", gr_cli_run_check},
    {"preagg list", "", 0, 0, F(CONFIG) | F(JSON) | F(LOCAL) | F(NODE) | F(STATUS) | F(CUBE), true, false,
     "List the pre-aggregations and what is built of them.",
     "Those of the model, and the current ones that were made by API. With --node, --status or --cube every one that\n"
     "fits, also of earlier versions.",
     gr_cli_run_preagg_list},
    {"preagg build", "NAME… | --all", 0, 10000, F(CONFIG) | F(JSON) | F(LOCAL) | F(ALL) | F(TIMEZONE) | F(FORCE), true,
     false, "Build pre-aggregations ahead of the first query.",
     "NAME is `cube.pre_aggregation`, as `preagg list` prints it.", gr_cli_run_preagg_build},
    {"preagg drop", "NAME…", 1, 10000, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "Drop the tables of pre-aggregations; the next query that needs one builds it again.", NULL,
     gr_cli_run_preagg_drop},
    {"preagg show", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false, "Show one pre-aggregation.", NULL,
     gr_cli_run_preagg_show},
    {"preagg plan", "", 0, 0,
     F(CONFIG) | F(JSON) | F(LOCAL) | F(METRICS) | F(DIMENSIONS) | F(FILTER) | F(TIMEZONE) | F(STRATEGY) | F(SCHEDULE) |
         F(DRY_RUN),
     true, false, "Record the pre-aggregations that metrics and dimensions need; nothing is built.",
     "One for each grain group: found, widened by what is missing, or new and pending. `preagg materialize` builds it.",
     gr_cli_run_preagg_plan},
    {"preagg materialize", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL) | F(FORCE) | F(STRATEGY), true, false,
     "Build one pre-aggregation, and wait for it.",
     "One that is active already is left as it is, unless --force is given.", gr_cli_run_preagg_materialize},
    {"preagg partitions", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL) | F(TIMEZONE), true, false,
     "List the partitions of a pre-aggregation, and what is built of them.", NULL, gr_cli_run_preagg_partitions},
    {"preagg refresh", "ID|NAME", 1, 1,
     F(CONFIG) | F(JSON) | F(LOCAL) | F(PARTITION) | F(RANGE) | F(FORCE) | F(TIMEZONE), true, false,
     "Build partitions of a pre-aggregation, and wait for them.",
     "All of them, or those of --partition or --range. What is built and fresh is left as it is, unless --force is\n"
     "given.",
     gr_cli_run_preagg_refresh},
    {"preagg cubes", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "List the cubes that use a pre-aggregation.", NULL, gr_cli_run_preagg_cubes},
    {"preagg history", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "List what happened to a pre-aggregation, newest first.", NULL, gr_cli_run_preagg_history},
    {"preagg builds", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "List the builds of a pre-aggregation, newest first.", NULL, gr_cli_run_preagg_builds},
    {"preagg verify", "ID|NAME…", 1, 10000, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "Compare what is stored with the source, partition by partition.",
     "What is closed and differs serves no more, and is built anew; the exit code is then 1. With --json an object "
     "for\n"
     "each, one a line.",
     gr_cli_run_preagg_verify},
    {"preagg rm", "ID|NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "Delete a pre-aggregation that no cube uses, and its table.", NULL, gr_cli_run_preagg_rm},
    {"cube list", "", 0, 0, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "List the cubes: those of the model, and those made by API.", NULL, gr_cli_run_cube_list},
    {"cube show", "NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false, "Show one cube.", NULL,
     gr_cli_run_cube_show},
    {"cube create", "NAME", 1, 1,
     F(CONFIG) | F(JSON) | F(LOCAL) | F(METRICS) | F(DIMENSIONS) | F(FILTER) | F(TIMEZONE) | F(DESCRIPTION), true,
     false, "Create a cube of metrics and dimensions, and record the pre-aggregations that it needs.", NULL,
     gr_cli_run_cube_create},
    {"cube rm", "NAME", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false, "Deactivate a cube that was made by API.",
     NULL, gr_cli_run_cube_rm},
    {"lineage", "[NAME]", 0, 1, F(CONFIG) | F(JSON) | F(LOCAL) | F(DOT), true, false,
     "Show what a node, a member or a pre-aggregation is made of, and what is made of it.",
     "NAME is a cube (`orders`), a member (`orders.count`), or a pre-aggregation by id or name; without it, "
     "everything.",
     gr_cli_run_lineage},
    {"import dj-materializations", "FILE | -", 1, 1, F(CONFIG) | F(JSON) | F(LOCAL), true, false,
     "Make pre-aggregations of DataJunction's materialization_config blobs.",
     "FILE holds one blob, a list of cubes with their materialization_config, or an object from cube to blob.",
     gr_cli_run_import_dj},
    {"demo", "", 0, 0,
     F(DIR) | F(CONFIG) | F(ORDERS) | F(LINE_ITEMS) | F(INTO) | F(USERS) | F(PRODUCTS) | F(SEED) | F(COMPARE) |
         F(LOCAL),
     false, false, "Make the e-commerce demo: a data set, granary.yml and a model.",
     "The data set is the same on every machine for the same counts and seed. What is complete already is left alone.\n"
     "With --compare it runs one query from the source and from its rollup, prints both times, and fails when the two\n"
     "answers differ.",
     gr_cli_run_demo},
    {"doctor", "", 0, 0, F(CONFIG) | F(JSON), true, false,
     "Check the set-up: settings, model, sources, store, catalog, server, versions; say what to do.", NULL,
     gr_cli_run_doctor},
    {"version", "", 0, 0, F(JSON), false, false, "Print the version.", NULL, gr_cli_run_version},
    {"help", "[COMMAND]", 0, 2, 0, false, false, "Show the help of a command.", NULL, gr_cli_run_help},
    {"docs", "", 0, 0, F(DIR) | F(CHECK), false, true, "Write the documents that are made from tables.", NULL,
     gr_cli_run_docs},
};

const gr_cli_command *gr_cli_commands(size_t *ret_n) {
    *ret_n = sizeof commands / sizeof commands[0];
    return commands;
}

static gr_status print_help(const gr_cli_command *command, gr_error *err) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_cli_args_help(command, &out);
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}

gr_status gr_cli_run_help(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    const gr_cli_args *args = &cli->args;
    if (args->n_operands == 0) return print_help(NULL, err);
    gr_str name = args->operands[0];
    if (args->n_operands == 2)
        name = gr_arena_printf(cli->arena, GR_FMT " " GR_FMT, GR_ARG(name), GR_ARG(args->operands[1]));
    const gr_cli_command *command = gr_cli_command_find(name);
    if (!command) return gr_error_set(err, GR_ERR_CLI_USAGE, "there is no command \"" GR_FMT "\"", GR_ARG(name));
    return print_help(command, err);
}

/* With --json an error is also an object on stdout, so that a machine need not read stderr. */
static void print_json_error(const gr_error *error) {
    gr_buf out;
    gr_error ignored = {0};
    gr_buf_init(&out, 64 * 1024);
    gr_jw w;
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "error", gr_str_from(error->message));
    gr_jw_key_str(&w, "id", gr_str_from(gr_error_info_of(error->status)->id));
    if (*error->hint) gr_jw_key_str(&w, "hint", gr_str_from(error->hint));
    if (*error->file) {
        gr_jw_key_str(&w, "file", gr_str_from(error->file));
        gr_jw_key_i64(&w, "line", error->loc.line);
        gr_jw_key_i64(&w, "column", error->loc.col);
    }
    gr_jw_object_end(&w);
    gr_buf_char(&out, '\n');
    if (gr_cli_print(&out, &ignored)) { /* stdout is closed: stderr has the error */
    }
    gr_buf_done(&out);
}

static gr_status run(gr_cli *cli, int argc, char **argv, gr_exit *ret_exit, gr_error *err) {
    /* `granary --version` is what every other program answers to, too. */
    static const char *const version[] = {"version"};
    const char *const *args = (const char *const *)argv + 1;
    size_t n_args = argc > 0 ? (size_t)argc - 1 : 0;
    if (n_args == 1 && (gr_str_eq_z(GR_STR("--version"), args[0]) || gr_str_eq_z(GR_STR("-V"), args[0])))
        args = version;
    GR_TRY(gr_cli_args_parse(args, n_args, cli->arena, &cli->args, err));
    if (!cli->args.command && !cli->args.has[GR_FLAG_HELP]) {
        GR_TRY(print_help(NULL, err));
        *ret_exit = GR_EXIT_USAGE;
        return GR_OK;
    }
    if (cli->args.has[GR_FLAG_HELP]) return print_help(cli->args.command, err);
    return cli->args.command->run(cli, ret_exit, err);
}

int gr_cli_main(int argc, char **argv, char *const *environ_pairs) {
    gr_cli cli = {.arena = gr_arena_new(), .environ_pairs = environ_pairs, .argv = argv};
    gr_error err = {0};
    gr_exit code = GR_EXIT_OK;
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write() */
    gr_status status = run(&cli, argc, argv, &code, &err);
    if (status) {
        if (cli.args.has[GR_FLAG_JSON]) print_json_error(&err);
        gr_cli_print_error(&err);
        code = gr_cli_exit_of(status);
    }
    gr_arena_free(cli.arena);
    return (int)code;
}
