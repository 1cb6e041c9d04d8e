/* Parsing of the command line against the tables of args.h and commands.c, and the help that they make.
 * Invariant: a flag is accepted exactly where the command's help shows it. */
#include "cli/args.h"

#include <stdio.h>

static const gr_cli_flag flags[GR_FLAG__COUNT] = {
    [GR_FLAG_CONFIG] = {"--config", "-c", "FILE", "Configuration file; ./granary.yml when absent."},
    [GR_FLAG_JSON] = {"--json", NULL, NULL, "Print JSON for machines instead of a table for people."},
    [GR_FLAG_NO_ROLLUPS] = {"--no-rollups", NULL, NULL, "Answer from the source, whatever pre-aggregation would fit."},
    [GR_FLAG_ESTIMATE] = {"--estimate", NULL, NULL,
                          "Count the rows that repairs would make; scans the source once for each."},
    [GR_FLAG_TIMEZONE] = {"--timezone", NULL, "ZONE", "IANA time zone, instead of the query's own (or the default)."},
    [GR_FLAG_LOCAL] = {"--local", NULL, NULL, "Work in this process, even when a server runs on this store."},
    [GR_FLAG_ALL] = {"--all", NULL, NULL, "Every pre-aggregation of the model."},
    [GR_FLAG_FORCE] = {"--force", NULL, NULL, "Also when it is built already."},
    [GR_FLAG_DIR] = {"--dir", NULL, "DIR", "Folder to work in."},
    [GR_FLAG_ORDERS] = {"--orders", NULL, "N", "Rows of orders; 2000000 when absent."},
    [GR_FLAG_INTO] = {"--into", NULL, "SOURCE",
                      "Also load the tables into this data source of the demo's granary.yml, a database server."},
    [GR_FLAG_LINE_ITEMS] = {"--line-items", NULL, "N", "Rows of line_items; 6000000 when absent."},
    [GR_FLAG_USERS] = {"--users", NULL, "N", "Rows of users; 200000 when absent."},
    [GR_FLAG_PRODUCTS] = {"--products", NULL, "N", "Rows of products; 10000 when absent."},
    [GR_FLAG_SEED] = {"--seed", NULL, "N", "Seed of the generated values; 1 when absent."},
    [GR_FLAG_COMPARE] = {"--compare", NULL, NULL,
                         "Do not generate: run the demo query from the source and from its rollup, and compare."},
    [GR_FLAG_CHECK] = {"--check", NULL, NULL, "Write nothing; fail when a file is not current."},
    [GR_FLAG_NODE] = {"--node", NULL, "NAME", "Only those whose source is this node (a cube of the model)."},
    [GR_FLAG_STATUS] = {"--status", NULL, "STATUS",
                        "Only those that are pending, materializing, active, failed or stale."},
    [GR_FLAG_CUBE] = {"--cube", NULL, "NAME", "Only those that this cube uses."},
    [GR_FLAG_METRICS] = {"--metrics", NULL, "LIST", "Measures, with commas between them: orders.count,orders.total."},
    [GR_FLAG_DIMENSIONS] =
        {"--dimensions", NULL, "LIST",
         "Dimensions, with commas between them; a time dimension with its grain: orders.created_at.day."},
    [GR_FLAG_FILTER] = {"--filter", NULL, "SQL",
                        "A condition, such as \"orders.status = 'paid'\"; may be given several times."},
    [GR_FLAG_STRATEGY] = {"--strategy", NULL, "NAME", "How it is built: full or incremental_time."},
    [GR_FLAG_SCHEDULE] = {"--schedule", NULL, "CRON", "When it is built: five fields of cron."},
    [GR_FLAG_DESCRIPTION] = {"--description", NULL, "TEXT", "What it is, for people."},
    [GR_FLAG_ONCE] = {"--once", NULL, NULL, "End when nothing is due."},
    [GR_FLAG_DRY_RUN] = {"--dry-run", NULL, NULL, "Show what would be recorded; record nothing."},
    [GR_FLAG_DOT] = {"--dot", NULL, NULL, "Print a graph for Graphviz."},
    [GR_FLAG_PARTITION] = {"--partition", NULL, "PARTITION",
                           "One partition: 20240101, 2024-01-01, 2024-01-01T05; may be given several times."},
    [GR_FLAG_RANGE] = {"--range", NULL, "FROM TO", "Partitions from one date or time to another, both included.", true},
    [GR_FLAG_HELP] = {"--help", "-h", NULL, "Show this help."},
};

const gr_cli_flag *gr_cli_flag_info(gr_cli_flag_id id) { return &flags[id]; }

static const struct {
    gr_exit code;
    const char *doc;
} exits[] = {
    {GR_EXIT_OK, "Done. Warnings may have been printed."},
    {GR_EXIT_USER, "The query, the model or the configuration is wrong."},
    {GR_EXIT_USAGE, "The command line is wrong: an unknown command or flag, or a missing value."},
    {GR_EXIT_ENVIRONMENT, "The surroundings failed: an engine, the store, the catalog, the network or the disk."},
    {GR_EXIT_STOPPED, "Interrupted, or a time limit was reached."},
};

/* Statuses that are neither the user's mistake by their table nor, like the rest, the environment's. */
static const struct {
    gr_status status;
    gr_exit code;
} special_exits[] = {
    {GR_ERR_CLI_USAGE, GR_EXIT_USAGE},       {GR_ERR_CANCELLED, GR_EXIT_STOPPED},
    {GR_ERR_TIMEOUT, GR_EXIT_STOPPED},       {GR_ERR_QUERY_LIMIT, GR_EXIT_USER},
    {GR_ERR_CONFIG_INVALID, GR_EXIT_USER},   {GR_ERR_CONFIG_UNKNOWN_KEY, GR_EXIT_USER},
    {GR_ERR_CONFIG_NOT_FOUND, GR_EXIT_USER}, {GR_ERR_YAML_SYNTAX, GR_EXIT_USER},
    {GR_ERR_YAML_LIMIT, GR_EXIT_USER},       {GR_ERR_AUTH_MISSING, GR_EXIT_USER},
    {GR_ERR_AUTH_INVALID, GR_EXIT_USER},     {GR_ERR_AUTH_SCOPE, GR_EXIT_USER},
};

gr_exit gr_cli_exit_of(gr_status status) {
    if (status == GR_OK) return GR_EXIT_OK;
    for (size_t i = 0; i < sizeof special_exits / sizeof special_exits[0]; i++)
        if (special_exits[i].status == status) return special_exits[i].code;
    const gr_error_info *info = gr_error_info_of(status);
    if (info->is_user || gr_str_starts(gr_str_from(info->id), GR_STR("model."))) return GR_EXIT_USER;
    return GR_EXIT_ENVIRONMENT;
}

/* ---- parsing ------------------------------------------------------------------------------------------------------
 */

enum { MOST_NAMES = 64, MOST_ARGS = 100000 };

const gr_cli_command *gr_cli_command_find(gr_str name) {
    size_t n;
    const gr_cli_command *commands = gr_cli_commands(&n);
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq_z(name, commands[i].name)) return &commands[i];
    return NULL;
}

/* First words of commands and whole names, for "did you mean". */
static gr_status unknown_command(gr_str word, gr_error *err) {
    size_t n, n_names = 0;
    const gr_cli_command *commands = gr_cli_commands(&n);
    gr_str names[MOST_NAMES];
    for (size_t i = 0; i < n && n_names < MOST_NAMES; i++)
        if (!commands[i].is_hidden) names[n_names++] = gr_str_from(commands[i].name);
    gr_str near = gr_diags_nearest(word, names, n_names);
    gr_status status = gr_error_set(err, GR_ERR_CLI_USAGE, "there is no command \"" GR_FMT "\"", GR_ARG(word));
    if (near.n)
        gr_error_hint(err, "did you mean \"" GR_FMT "\"?", GR_ARG(near));
    else
        gr_error_hint(err, "granary --help lists the commands");
    return status;
}

/* The command of the first one or two words; *ret_used says how many were its name. */
static gr_status find_command(const char *const *args, size_t n_args, size_t *ret_used, const gr_cli_command **ret,
                              gr_error *err) {
    gr_str first = gr_str_from(args[0]);
    char pair[128];
    if (n_args > 1) {
        snprintf(pair, sizeof pair, "%s %s", args[0], args[1]);
        *ret = gr_cli_command_find(gr_str_from(pair));
        *ret_used = 2;
        if (*ret) return GR_OK;
    }
    *ret = gr_cli_command_find(first);
    *ret_used = 1;
    if (*ret) return GR_OK;
    size_t n;
    const gr_cli_command *commands = gr_cli_commands(&n);
    for (size_t i = 0; i < n; i++) {
        gr_str name = gr_str_from(commands[i].name);
        if (!gr_str_starts(name, first) || gr_str_find(name, ' ', 0) != first.n) continue;
        if (n_args < 2 || args[1][0] == '-')
            return gr_error_set(err, GR_ERR_CLI_USAGE, "\"" GR_FMT "\" needs a second word, such as \"%s\"",
                                GR_ARG(first), commands[i].name);
        return unknown_command(gr_str_from(pair), err);
    }
    return unknown_command(first, err);
}

static bool is_allowed(const gr_cli_command *command, size_t id) {
    return id == GR_FLAG_HELP || (command && (command->flags >> id & 1));
}

static gr_status unknown_flag(const gr_cli_command *command, gr_str flag, gr_error *err) {
    gr_str names[GR_FLAG__COUNT + MOST_NAMES];
    size_t n_names = 0, n_settings;
    for (size_t i = 0; i < GR_FLAG__COUNT; i++)
        if (is_allowed(command, i)) names[n_names++] = gr_str_from(flags[i].name);
    const gr_setting_info *settings = gr_config_settings(&n_settings);
    for (size_t i = 0; command && command->takes_settings && i < n_settings && n_names < GR_FLAG__COUNT + MOST_NAMES;
         i++)
        if (settings[i].flag) names[n_names++] = gr_str_from(settings[i].flag);
    gr_str near = gr_diags_nearest(flag, names, n_names);
    gr_status status =
        command ? gr_error_set(err, GR_ERR_CLI_USAGE, "\"%s\" has no flag " GR_FMT, command->name, GR_ARG(flag))
                : gr_error_set(err, GR_ERR_CLI_USAGE, "there is no flag " GR_FMT, GR_ARG(flag));
    if (near.n)
        gr_error_hint(err, "did you mean " GR_FMT "?", GR_ARG(near));
    else if (command)
        gr_error_hint(err, "granary %s --help lists its flags", command->name);
    else
        gr_error_hint(err, "granary --help lists the commands");
    return status;
}

typedef struct parser {
    const char *const *args;
    size_t n_args, at;
    gr_arena *arena;
    gr_cli_args *out;
    GR_VEC(gr_config_flag) settings;
    GR_VEC(gr_str) operands;
    GR_VEC(gr_cli_given) given;
} parser;

/* The value behind `=`, or the next argument. */
static gr_status take_value(parser *p, gr_str flag, gr_str inline_value, bool has_inline, const char *what, gr_str *ret,
                            gr_error *err) {
    if (has_inline) {
        *ret = inline_value;
        return GR_OK;
    }
    if (p->at >= p->n_args)
        return gr_error_set(err, GR_ERR_CLI_USAGE, GR_FMT " needs a value (%s)", GR_ARG(flag), what);
    *ret = gr_str_from(p->args[p->at++]);
    return GR_OK;
}

static gr_status parse_setting(parser *p, gr_str flag, gr_str inline_value, bool has_inline, bool *ret_found,
                               gr_error *err) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    *ret_found = false;
    if (!p->out->command || !p->out->command->takes_settings) return GR_OK;
    for (size_t i = 0; i < n; i++) {
        if (!settings[i].flag || !gr_str_eq_z(flag, settings[i].flag)) continue;
        *ret_found = true;
        gr_str value = GR_STR("true"); /* a boolean's flag alone switches it on */
        if (has_inline || !gr_str_starts(gr_str_from(settings[i].type), GR_STR("bool")))
            GR_TRY(take_value(p, flag, inline_value, has_inline, settings[i].type, &value, err));
        GR_PUSH(p->arena, &p->settings, (gr_config_flag){gr_str_from(settings[i].flag), value});
        return GR_OK;
    }
    return GR_OK;
}

static gr_status take_second(parser *p, gr_str flag, gr_cli_flag_id id, gr_error *err) {
    gr_str *value = &p->out->value[id];
    if (p->at < p->n_args && gr_str_starts(gr_str_from(p->args[p->at]), GR_STR("--")))
        return gr_error_set(err, GR_ERR_CLI_USAGE, GR_FMT " needs two values (%s)", GR_ARG(flag), flags[id].value);
    GR_TRY(take_value(p, flag, (gr_str){0}, false, flags[id].value, value, err));
    GR_PUSH(p->arena, &p->given, (gr_cli_given){id, *value});
    return GR_OK;
}

static gr_status parse_flag(parser *p, gr_str text, gr_error *err) {
    size_t equals = gr_str_starts(text, GR_STR("--")) ? gr_str_find(text, '=', 0) : SIZE_MAX;
    bool has_inline = equals != SIZE_MAX;
    gr_str flag = has_inline ? gr_str_sub(text, 0, equals) : text;
    gr_str inline_value = has_inline ? gr_str_sub(text, equals + 1, text.n - equals - 1) : (gr_str){0};
    for (size_t i = 0; i < GR_FLAG__COUNT; i++) {
        if (!gr_str_eq_z(flag, flags[i].name) && !(flags[i].short_name && gr_str_eq_z(flag, flags[i].short_name)))
            continue;
        if (!is_allowed(p->out->command, i)) break;
        if (!flags[i].value && has_inline)
            return gr_error_set(err, GR_ERR_CLI_USAGE, GR_FMT " takes no value", GR_ARG(flag));
        if (flags[i].value)
            GR_TRY(take_value(p, flag, inline_value, has_inline, flags[i].value, &p->out->value[i], err));
        p->out->has[i] = true;
        if (flags[i].value) GR_PUSH(p->arena, &p->given, (gr_cli_given){(gr_cli_flag_id)i, p->out->value[i]});
        return flags[i].is_pair ? take_second(p, flag, (gr_cli_flag_id)i, err) : GR_OK;
    }
    bool is_setting;
    GR_TRY(parse_setting(p, flag, inline_value, has_inline, &is_setting, err));
    return is_setting ? GR_OK : unknown_flag(p->out->command, flag, err);
}

static gr_status check_operands(const gr_cli_args *args, gr_error *err) {
    const gr_cli_command *c = args->command;
    if (!c || args->has[GR_FLAG_HELP]) return GR_OK;
    if (args->n_operands < c->min_operands) {
        gr_status status = gr_error_set(err, GR_ERR_CLI_USAGE, "\"%s\" needs %s", c->name, c->operands);
        gr_error_hint(err, "granary %s --help shows how it is used", c->name);
        return status;
    }
    if (args->n_operands > c->max_operands)
        return gr_error_set(err, GR_ERR_CLI_USAGE, "\"%s\" does not know what to do with \"" GR_FMT "\"", c->name,
                            GR_ARG(args->operands[c->max_operands]));
    return GR_OK;
}

gr_status gr_cli_args_parse(const char *const *args, size_t n_args, gr_arena *arena, gr_cli_args *ret, gr_error *err) {
    gr_cli_args out = {0};
    parser p = {.args = args, .n_args = n_args, .arena = arena, .out = &out};
    if (n_args > MOST_ARGS) return gr_error_set(err, GR_ERR_CLI_USAGE, "too many arguments");
    if (n_args && args[0][0] != '-') GR_TRY(find_command(args, n_args, &p.at, &out.command, err));
    bool only_operands = false;
    while (p.at < n_args) {
        gr_str text = gr_str_from(args[p.at++]);
        if (!only_operands && gr_str_eq_z(text, "--"))
            only_operands = true;
        else if (!only_operands && text.n > 1 && text.p[0] == '-')
            GR_TRY(parse_flag(&p, text, err));
        else if (!out.command)
            return unknown_command(text, err);
        else
            GR_PUSH(arena, &p.operands, text);
    }
    out.settings = p.settings.v;
    out.n_settings = p.settings.n;
    out.operands = p.operands.v;
    out.n_operands = p.operands.n;
    out.given = p.given.v;
    out.n_given = p.given.n;
    GR_TRY(check_operands(&out, err));
    *ret = out;
    return GR_OK;
}

gr_status gr_cli_args_count(const gr_cli_args *args, gr_cli_flag_id id, int64_t least, int64_t most, int64_t fallback,
                            int64_t *ret, gr_error *err) {
    int64_t value = fallback;
    if (args->has[id] && (!gr_str_to_i64(args->value[id], &value) || value < least || value > most))
        return gr_error_set(err, GR_ERR_CLI_USAGE, "%s must be a whole number from %lld to %lld", flags[id].name,
                            (long long)least, (long long)most);
    *ret = value;
    return GR_OK;
}

/* ---- help ---------------------------------------------------------------------------------------------------------
 */

enum { DOC_COLUMN = 30 };

/* "  left            right", with the right part on its own line when the left one is long. */
static void help_line(gr_buf *out, const char *left, const char *right) {
    size_t n = strlen(left);
    gr_buf_printf(out, "  %s", left);
    if (n + 4 > DOC_COLUMN) {
        gr_buf_char(out, '\n');
        n = 0;
        gr_buf_z(out, "  ");
    }
    for (; n + 2 < DOC_COLUMN; n++) gr_buf_char(out, ' ');
    gr_buf_printf(out, "%s\n", right);
}

static void help_exits(gr_buf *out) {
    gr_buf_z(out, "\nExit codes:\n");
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        char code[8];
        snprintf(code, sizeof code, "%d", (int)exits[i].code);
        help_line(out, code, exits[i].doc);
    }
}

static void help_program(gr_buf *out) {
    size_t n;
    const gr_cli_command *commands = gr_cli_commands(&n);
    gr_buf_z(out, "granary: a pre-aggregation server. A YAML model answers metric queries, and rollups serve them.\n\n"
                  "Usage: granary COMMAND [flags]\n\nCommands:\n");
    for (size_t i = 0; i < n; i++)
        if (!commands[i].is_hidden) help_line(out, commands[i].name, commands[i].doc);
    gr_buf_z(out,
             "\n`granary COMMAND --help` shows a command's flags. Settings come from granary.yml, are overridden by\n"
             "GRANARY_… variables of the environment, and these by flags (docs/config.md has all of them).\n");
    help_exits(out);
}

static void help_flag(const gr_cli_flag *flag, gr_buf *out) {
    char left[96];
    snprintf(left, sizeof left, "%s%s%s%s%s", flag->short_name ? flag->short_name : "", flag->short_name ? ", " : "",
             flag->name, flag->value ? " " : "", flag->value ? flag->value : "");
    help_line(out, left, flag->doc);
}

static void help_settings(gr_buf *out) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    gr_buf_z(out, "\nSettings of granary.yml that have a flag:\n");
    for (size_t i = 0; i < n; i++) {
        if (!settings[i].flag) continue;
        bool is_bool = gr_str_starts(gr_str_from(settings[i].type), GR_STR("bool"));
        char left[96], right[512];
        snprintf(left, sizeof left, "%s%s%s", settings[i].flag, is_bool ? "" : " ", is_bool ? "" : "VALUE");
        snprintf(right, sizeof right, "%s [%s, %s; default: %s]", settings[i].doc, settings[i].yaml_path,
                 settings[i].env, *settings[i].default_text ? settings[i].default_text : "none");
        help_line(out, left, right);
    }
}

static void help_usage(const gr_cli_command *c, gr_buf *out) {
    gr_buf_printf(out, "granary %s [flags]%s%s", c->name, *c->operands ? " " : "", c->operands);
}

void gr_cli_args_help(const gr_cli_command *c, gr_buf *out) {
    if (!c) {
        help_program(out);
        return;
    }
    gr_buf_z(out, "Usage: ");
    help_usage(c, out);
    gr_buf_printf(out, "\n\n%s\n", c->doc);
    if (c->detail) gr_buf_printf(out, "\n%s\n", c->detail);
    gr_buf_z(out, "\nFlags:\n");
    for (size_t i = 0; i < GR_FLAG__COUNT; i++)
        if (is_allowed(c, i)) help_flag(&flags[i], out);
    if (c->takes_settings) help_settings(out);
    help_exits(out);
}

void gr_cli_args_write_docs(gr_buf *out) {
    size_t n;
    const gr_cli_command *commands = gr_cli_commands(&n);
    gr_buf_z(out, "# The command line\n\n<!-- Made from the tables in src/cli by `granary docs`; do not edit. -->\n\n");
    gr_buf_z(
        out,
        "Every command shows this with `--help`. While `granary serve` runs, `query`, `sql`, `explain` and `preagg`\n"
        "go through it: they find it by `server.json` in the storage folder. Without a server they open the model,\n"
        "the sources and the store themselves.\n\n```text\n");
    gr_cli_args_help(NULL, out);
    gr_buf_z(out, "```\n");
    for (size_t i = 0; i < n; i++) {
        const gr_cli_command *c = &commands[i];
        if (c->is_hidden) continue;
        gr_buf_printf(out, "\n## granary %s\n\n%s\n\n```text\n", c->name, c->doc);
        help_usage(c, out);
        gr_buf_z(out, "\n```\n");
        if (c->detail) gr_buf_printf(out, "\n%s\n", c->detail);
        gr_buf_z(out, "\n| flag | meaning |\n|---|---|\n");
        for (size_t f = 0; f < GR_FLAG__COUNT; f++)
            if (is_allowed(c, f))
                gr_buf_printf(out, "| `%s%s%s` | %s |\n", flags[f].name, flags[f].value ? " " : "",
                              flags[f].value ? flags[f].value : "", flags[f].doc);
        if (c->takes_settings) gr_buf_z(out, "| the flags of settings | see [config.md](config.md) |\n");
    }
}
