/* granary demo: the files, the data, or with --compare the two answers side by side. */
#include "cli/demo.h"

#include "cli/door.h"

#include <stdio.h>
#include <unistd.h>

static gr_status size_of(const gr_cli_args *args, gr_demo_size *ret, gr_error *err) {
    const struct {
        gr_cli_flag_id flag;
        int64_t least, most, fallback, *value;
    } counts[] = {
        {GR_FLAG_ORDERS, 1, 100000000, 2000000, &ret->orders},
        {GR_FLAG_LINE_ITEMS, 1, 300000000, 6000000, &ret->line_items},
        {GR_FLAG_USERS, 1, 100000000, 200000, &ret->users},
        {GR_FLAG_PRODUCTS, 1, 10000000, 10000, &ret->products},
        {GR_FLAG_SEED, 0, 1000000000, 1, &ret->seed},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        GR_TRY(gr_cli_args_count(args, counts[i].flag, counts[i].least, counts[i].most, counts[i].fallback,
                                 counts[i].value, err));
    return GR_OK;
}

static gr_str dir_of(gr_cli *cli) { return cli->args.has[GR_FLAG_DIR] ? cli->args.value[GR_FLAG_DIR] : GR_STR("demo"); }

static gr_status config_of(gr_cli *cli, gr_config **ret, gr_error *err) {
    if (!cli->args.has[GR_FLAG_CONFIG]) {
        cli->args.has[GR_FLAG_CONFIG] = true;
        cli->args.value[GR_FLAG_CONFIG] = gr_arena_printf(cli->arena, GR_FMT "/granary.yml", GR_ARG(dir_of(cli)));
    }
    return gr_cli_config(cli, ret, err);
}

/* The file under a server must not be exchanged. */
static gr_status refuse_running(const gr_config *config, gr_arena *arena, gr_error *err) {
    gr_server_info server;
    bool is_running;
    GR_TRY(gr_cli_server_find(config, arena, &server, &is_running, err));
    if (!is_running) return GR_OK;
    gr_status status =
        gr_error_set(err, GR_ERR_STORE_LOCKED, "a server (process %lld) uses this data set", (long long)server.pid);
    gr_error_hint(err, "stop it, or make the new data set in another folder with --dir");
    return status;
}

/* granary.yml cannot be loaded before the database that it names is there: what making it needs is said here. */
static gr_config before_data(gr_str dir) { return (gr_config){.root = dir, .state_dir = GR_STR(".granary")}; }

static gr_status load_into(gr_cli *cli, gr_str dir, gr_error *err) {
    gr_config *config;
    gr_str source = cli->args.value[GR_FLAG_INTO];
    if (!cli->args.has[GR_FLAG_INTO]) return GR_OK;
    GR_TRY(config_of(cli, &config, err));
    printf("Loading it into data source " GR_FMT " …\n", GR_ARG(source));
    fflush(stdout);
    return gr_cli_demo_copy(dir, config, source, cli->arena, err);
}

gr_status gr_cli_run_demo(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    gr_demo_size size;
    bool is_complete;
    gr_str dir = dir_of(cli);
    GR_TRY(size_of(&cli->args, &size, err));
    if (cli->args.has[GR_FLAG_COMPARE]) {
        gr_config *config;
        GR_TRY(config_of(cli, &config, err));
        return gr_cli_demo_compare(cli, config, err);
    }
    gr_config config = before_data(dir);
    GR_TRY(gr_cli_demo_write_files(dir, cli->arena, err));
    GR_TRY(gr_cli_demo_is_complete(dir, &size, cli->arena, &is_complete, err));
    gr_cli_catch_interrupts();
    if (is_complete) {
        printf("The data set in " GR_FMT "/data is complete.\n", GR_ARG(dir));
        return load_into(cli, dir, err);
    }
    GR_TRY(refuse_running(&config, cli->arena, err));
    printf("Making the data set in " GR_FMT "/data …\n", GR_ARG(dir));
    fflush(stdout);
    GR_TRY(gr_cli_demo_write_data(dir, &size, &config, cli->arena, err));
    printf("Wrote " GR_FMT "/granary.yml, " GR_FMT "/model and " GR_FMT "/data/shop.duckdb.\n", GR_ARG(dir),
           GR_ARG(dir), GR_ARG(dir));
    return load_into(cli, dir, err);
}
