/* The command line: what is accepted, what is refused and how it is said, and that the help shows exactly what is
 * accepted. */
#include "cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MOST_ARGS = 8 };

static size_t count(const char *const *args) {
    size_t n = 0;
    while (n < MOST_ARGS && args[n]) n++;
    return n;
}

static const struct {
    const char *args[MOST_ARGS];
    const char *command;
    const char *operands[MOST_ARGS];
    const char *setting, *setting_value; /* the last one */
} accepted[] = {
    {{"serve"}, "serve", {0}, NULL, NULL},
    {{"serve", "--port", "0"}, "serve", {0}, "--port", "0"},
    {{"serve", "--port=4001", "-c", "x.yml"}, "serve", {0}, "--port", "4001"},
    {{"serve", "--dev"}, "serve", {0}, "--dev", "true"},
    {{"serve", "--dev=false"}, "serve", {0}, "--dev", "false"},
    {{"query", "{}"}, "query", {"{}"}, NULL, NULL},
    {{"query", "-", "--json"}, "query", {"-"}, NULL, NULL},
    {{"query", "--json", "{}", "--no-rollups", "--timezone", "UTC"}, "query", {"{}"}, NULL, NULL},
    {{"query", "--", "--odd"}, "query", {"--odd"}, NULL, NULL},
    {{"query", "--storage=", "{}"}, "query", {"{}"}, "--storage", ""},
    {{"preagg", "list"}, "preagg list", {0}, NULL, NULL},
    {{"preagg", "build", "a.b", "c.d", "--force"}, "preagg build", {"a.b", "c.d"}, NULL, NULL},
    {{"preagg", "drop", "a.b"}, "preagg drop", {"a.b"}, NULL, NULL},
    {{"preagg", "list", "--node", "orders", "--status=active"}, "preagg list", {0}, NULL, NULL},
    {{"preagg", "show", "12"}, "preagg show", {"12"}, NULL, NULL},
    {{"preagg", "plan", "--metrics", "a.b,c.d", "--dry-run"}, "preagg plan", {0}, NULL, NULL},
    {{"preagg", "materialize", "a.b", "--force"}, "preagg materialize", {"a.b"}, NULL, NULL},
    {{"preagg", "partitions", "a.b", "--json"}, "preagg partitions", {"a.b"}, NULL, NULL},
    {{"preagg", "refresh", "--range", "2024-01-01", "2024-01-02", "a.b"}, "preagg refresh", {"a.b"}, NULL, NULL},
    {{"preagg", "refresh", "a.b", "--partition=20240101", "--partition", "1"}, "preagg refresh", {"a.b"}, NULL, NULL},
    {{"cube", "create", "x", "--metrics=a.b"}, "cube create", {"x"}, NULL, NULL},
    {{"lineage"}, "lineage", {0}, NULL, NULL},
    {{"lineage", "a.b", "--dot"}, "lineage", {"a.b"}, NULL, NULL},
    {{"import", "dj-materializations", "-"}, "import dj-materializations", {"-"}, NULL, NULL},
    {{"demo", "--orders", "10"}, "demo", {0}, NULL, NULL},
    {{"help", "preagg", "build"}, "help", {"preagg", "build"}, NULL, NULL},
    {{"query", "--help"}, "query", {0}, NULL, NULL},
};

static void accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        gr_arena *arena = gr_arena_new();
        gr_cli_args args;
        gr_error err = {0};
        assert_int_equal(gr_cli_args_parse(accepted[i].args, count(accepted[i].args), arena, &args, &err), GR_OK);
        assert_string_equal(args.command->name, accepted[i].command);
        assert_int_equal(args.n_operands, count(accepted[i].operands));
        for (size_t k = 0; k < args.n_operands; k++)
            assert_true(gr_str_eq_z(args.operands[k], accepted[i].operands[k]));
        assert_int_equal(args.n_settings, accepted[i].setting ? 1 : 0);
        if (accepted[i].setting) {
            assert_true(gr_str_eq_z(args.settings[0].flag, accepted[i].setting));
            assert_true(gr_str_eq_z(args.settings[0].value, accepted[i].setting_value));
        }
        gr_arena_free(arena);
    }
}

static const struct {
    const char *args[MOST_ARGS];
    const char *message, *hint; /* parts of them */
} refused[] = {
    {{"qery", "{}"}, "no command \"qery\"", "did you mean \"query\"?"},
    {{"zzzzzz"}, "no command \"zzzzzz\"", "granary --help"},
    {{"preagg"}, "needs a second word", ""},
    {{"preagg", "biuld"}, "no command \"preagg biuld\"", "did you mean \"preagg build\"?"},
    {{"query"}, "needs '<query JSON>' | -", "granary query --help"},
    {{"preagg", "show"}, "needs ID|NAME", "granary preagg show --help"},
    {{"preagg", "rm", "1", "2"}, "does not know what to do with \"2\"", ""},
    {{"preagg", "plan", "--metric", "a.b"}, "has no flag --metric", "did you mean --metrics?"},
    {{"import"}, "needs a second word", ""},
    {{"query", "{}", "{}"}, "does not know what to do with \"{}\"", ""},
    {{"query", "{}", "--jsn"}, "has no flag --jsn", "did you mean --json?"},
    {{"query", "{}", "--prot", "1"}, "has no flag --prot", "did you mean --port?"},
    {{"query", "{}", "--all"}, "has no flag --all", ""},
    {{"query", "{}", "-x"}, "has no flag -x", ""},
    {{"query", "{}", "--json=yes"}, "--json takes no value", ""},
    {{"query", "{}", "--timezone"}, "--timezone needs a value (ZONE)", ""},
    {{"serve", "--port"}, "--port needs a value", ""},
    {{"serve", "-c"}, "-c needs a value (FILE)", ""},
    {{"preagg", "refresh", "a.b", "--range", "2024-01-01"}, "--range needs a value (FROM TO)", ""},
    {{"preagg", "refresh", "--range", "2024-01-01", "--force", "a.b"}, "--range needs two values (FROM TO)", ""},
    {{"preagg", "list", "--range", "a", "b"}, "has no flag --range", ""},
    {{"demo", "--port", "1"}, "has no flag --port", ""},
    {{"--port", "1"}, "there is no flag --port", ""},
    {{"--help", "serve"}, "no command \"serve\"", ""},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        gr_arena *arena = gr_arena_new();
        gr_cli_args args = {.n_operands = 77};
        gr_error err = {0};
        assert_int_equal(gr_cli_args_parse(refused[i].args, count(refused[i].args), arena, &args, &err),
                         GR_ERR_CLI_USAGE);
        if (!strstr(err.message, refused[i].message) || !strstr(err.hint, refused[i].hint))
            fail_msg("case %zu: %s / %s", i, err.message, err.hint);
        assert_int_equal(args.n_operands, 77); /* outputs are untouched on failure */
        gr_arena_free(arena);
    }
}

static void knows_flags(void **state) {
    (void)state;
    static const char *const argv[] = {"explain", "-c", "a b.yml", "--no-rollups", "{}", "--timezone=Asia/Tokyo"};
    gr_arena *arena = gr_arena_new();
    gr_cli_args args;
    gr_error err = {0};
    assert_int_equal(gr_cli_args_parse(argv, 6, arena, &args, &err), GR_OK);
    assert_true(args.has[GR_FLAG_NO_ROLLUPS]);
    assert_false(args.has[GR_FLAG_JSON]);
    assert_true(gr_str_eq_z(args.value[GR_FLAG_CONFIG], "a b.yml"));
    assert_true(gr_str_eq_z(args.value[GR_FLAG_TIMEZONE], "Asia/Tokyo"));
    gr_arena_free(arena);
}

static void counts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_ok;
        int64_t value;
    } cases[] = {
        {"1", true, 1},   {"100", true, 100}, {"0", false, 0},   {"101", false, 0},
        {"-5", false, 0}, {"", false, 0},     {"1e2", false, 0}, {"99999999999999999999", false, 0},
        {" 7", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gr_cli_args args = {0};
        gr_error err = {0};
        int64_t value = -1;
        args.has[GR_FLAG_ORDERS] = true;
        args.value[GR_FLAG_ORDERS] = gr_str_from(cases[i].text);
        gr_status status = gr_cli_args_count(&args, GR_FLAG_ORDERS, 1, 100, 50, &value, &err);
        assert_int_equal(status, cases[i].is_ok ? GR_OK : GR_ERR_CLI_USAGE);
        assert_int_equal(value, cases[i].is_ok ? cases[i].value : -1);
    }
    gr_cli_args none = {0};
    int64_t value = -1;
    assert_int_equal(gr_cli_args_count(&none, GR_FLAG_ORDERS, 1, 100, 50, &value, NULL), GR_OK);
    assert_int_equal(value, 50);
}

/* Every flag and setting that a command takes stands in its help, and no other; every command stands in the program's.
 */
static void helps(void **state) {
    (void)state;
    size_t n, n_settings;
    const gr_cli_command *commands = gr_cli_commands(&n);
    const gr_setting_info *settings = gr_config_settings(&n_settings);
    gr_buf all, one;
    gr_str text;
    gr_buf_init(&all, 1 << 20);
    gr_cli_args_help(NULL, &all);
    assert_true(gr_buf_finish(&all, &text));
    for (size_t i = 0; i < n; i++) {
        gr_str help;
        char line[64];
        snprintf(line, sizeof line, "\n  %s ", commands[i].name);
        assert_int_equal(strstr(text.p, line) != NULL, !commands[i].is_hidden);
        gr_buf_init(&one, 1 << 20);
        gr_cli_args_help(&commands[i], &one);
        assert_true(gr_buf_finish(&one, &help));
        for (size_t f = 0; f < GR_FLAG__COUNT; f++) {
            bool takes = f == GR_FLAG_HELP || (commands[i].flags >> f & 1);
            snprintf(line, sizeof line, "%s ", gr_cli_flag_info((gr_cli_flag_id)f)->name);
            assert_int_equal(strstr(help.p, line) != NULL, takes);
        }
        for (size_t s = 0; s < n_settings; s++) {
            if (!settings[s].flag) continue;
            snprintf(line, sizeof line, "\n  %s ", settings[s].flag);
            assert_int_equal(strstr(help.p, line) != NULL, commands[i].takes_settings);
        }
        assert_non_null(strstr(help.p, "Exit codes:"));
        gr_buf_done(&one);
    }
    gr_buf_done(&all);
}

static void tables_are_whole(void **state) {
    (void)state;
    size_t n;
    const gr_cli_command *commands = gr_cli_commands(&n);
    for (size_t f = 0; f < GR_FLAG__COUNT; f++) {
        assert_non_null(gr_cli_flag_info((gr_cli_flag_id)f)->name);
        assert_non_null(gr_cli_flag_info((gr_cli_flag_id)f)->doc);
    }
    for (size_t i = 0; i < n; i++) {
        assert_non_null(commands[i].run);
        assert_true(commands[i].min_operands <= commands[i].max_operands);
        assert_ptr_equal(gr_cli_command_find(gr_str_from(commands[i].name)), &commands[i]);
    }
}

static void exits(void **state) {
    (void)state;
    static const struct {
        gr_status status;
        gr_exit code;
    } cases[] = {
        {GR_OK, GR_EXIT_OK},
        {GR_ERR_CLI_USAGE, GR_EXIT_USAGE},
        {GR_ERR_QUERY_UNKNOWN_MEMBER, GR_EXIT_USER},
        {GR_ERR_QUERY_LIMIT, GR_EXIT_USER},
        {GR_ERR_JSON_SYNTAX, GR_EXIT_USER},
        {GR_ERR_MODEL_INVALID_SET, GR_EXIT_USER},
        {GR_ERR_CONFIG_NOT_FOUND, GR_EXIT_USER},
        {GR_ERR_PREAGG_NOT_FOUND, GR_EXIT_USER},
        {GR_ERR_ENGINE_OPEN, GR_EXIT_ENVIRONMENT},
        {GR_ERR_STORE_LOCKED, GR_EXIT_ENVIRONMENT},
        {GR_ERR_INTERNAL, GR_EXIT_ENVIRONMENT},
        {GR_ERR_TIMEOUT, GR_EXIT_STOPPED},
        {GR_ERR_CANCELLED, GR_EXIT_STOPPED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(gr_cli_exit_of(cases[i].status), cases[i].code);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts), cmocka_unit_test(refuses), cmocka_unit_test(knows_flags),
        cmocka_unit_test(counts),  cmocka_unit_test(helps),   cmocka_unit_test(tables_are_whole),
        cmocka_unit_test(exits),
    };
    return cmocka_run_group_tests_name("cli.args", tests, NULL, NULL);
}
