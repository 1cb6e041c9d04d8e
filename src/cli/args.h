/* The command line as tables: commands, their flags, and the settings of granary.yml that have a flag. The same tables
 * parse the arguments and print every `--help`, so that neither can know more than the other.
 * Memory: everything in the given arena; texts are borrowed from argv. */
#ifndef GR_CLI_ARGS_H
#define GR_CLI_ARGS_H
#include "base/buf.h"
#include "config/config.h"

typedef struct gr_cli gr_cli;

typedef enum gr_exit {
    GR_EXIT_OK = 0,
    GR_EXIT_USER = 1,        /* the query, the model or the configuration is wrong */
    GR_EXIT_USAGE = 2,       /* the command line itself */
    GR_EXIT_ENVIRONMENT = 3, /* engine, store, catalog, network, disk */
    GR_EXIT_STOPPED = 4      /* interrupted, or out of time */
} gr_exit;

typedef enum gr_cli_flag_id {
    GR_FLAG_CONFIG,
    GR_FLAG_JSON,
    GR_FLAG_NO_ROLLUPS,
    GR_FLAG_ESTIMATE,
    GR_FLAG_TIMEZONE,
    GR_FLAG_LOCAL,
    GR_FLAG_ALL,
    GR_FLAG_FORCE,
    GR_FLAG_DIR,
    GR_FLAG_ORDERS,
    GR_FLAG_LINE_ITEMS,
    GR_FLAG_INTO,
    GR_FLAG_USERS,
    GR_FLAG_PRODUCTS,
    GR_FLAG_SEED,
    GR_FLAG_COMPARE,
    GR_FLAG_CHECK,
    GR_FLAG_NODE,
    GR_FLAG_STATUS,
    GR_FLAG_CUBE,
    GR_FLAG_METRICS,
    GR_FLAG_DIMENSIONS,
    GR_FLAG_FILTER,
    GR_FLAG_STRATEGY,
    GR_FLAG_SCHEDULE,
    GR_FLAG_DESCRIPTION,
    GR_FLAG_DRY_RUN,
    GR_FLAG_ONCE,
    GR_FLAG_DOT,
    GR_FLAG_PARTITION,
    GR_FLAG_RANGE,
    GR_FLAG_HELP,
    GR_FLAG__COUNT
} gr_cli_flag_id;
_Static_assert(GR_FLAG__COUNT <= 32, "gr_cli_command.flags has a bit for each");

typedef struct gr_cli_flag {
    const char *name;       /* "--config" */
    const char *short_name; /* "-c", or NULL */
    const char *value;      /* what its value is called, or NULL: a switch */
    const char *doc;
    bool is_pair; /* it takes two values, each of which is given */
} gr_cli_flag;

typedef struct gr_cli_command {
    const char *name;     /* one word, or two: "preagg build" */
    const char *operands; /* as in the usage line */
    size_t min_operands, max_operands;
    unsigned flags;      /* bits 1 << gr_cli_flag_id */
    bool takes_settings; /* flags of settings.def are accepted */
    bool is_hidden;
    const char *doc;    /* one line */
    const char *detail; /* paragraphs of its help, or NULL */
    /* Returns the error that ends the command; *ret_exit is looked at when it is GR_OK. */
    gr_status (*run)(gr_cli *cli, gr_exit *ret_exit, gr_error *err);
} gr_cli_command;

/* A flag with a value as it stood there: flags may be given several times. */
typedef struct gr_cli_given {
    gr_cli_flag_id id;
    gr_str value;
} gr_cli_given;

typedef struct gr_cli_args {
    const gr_cli_command *command; /* NULL: no command, only --help */
    bool has[GR_FLAG__COUNT];
    gr_str value[GR_FLAG__COUNT]; /* the last one */
    gr_cli_given *given;          /* all of them */
    size_t n_given;
    gr_config_flag *settings;
    size_t n_settings;
    gr_str *operands;
    size_t n_operands;
} gr_cli_args;

const gr_cli_command *gr_cli_commands(size_t *ret_n); /* cli/commands.c */
const gr_cli_flag *gr_cli_flag_info(gr_cli_flag_id id);

/* Errors: cli.usage, with "did you mean". `args` are argv without the program's name. */
GR_MUST_CHECK gr_status gr_cli_args_parse(const char *const *args, size_t n_args, gr_arena *arena, gr_cli_args *ret,
                                          gr_error *err);
/* A flag's value as a count from `least` to `most`; `fallback` when it was not given. */
GR_MUST_CHECK gr_status gr_cli_args_count(const gr_cli_args *args, gr_cli_flag_id id, int64_t least, int64_t most,
                                          int64_t fallback, int64_t *ret, gr_error *err);
/* The help of one command, or of the program when it is NULL. */
void gr_cli_args_help(const gr_cli_command *command, gr_buf *out);
/* Every command one after the other: docs/cli.md. */
void gr_cli_args_write_docs(gr_buf *out);
const gr_cli_command *gr_cli_command_find(gr_str name);
/* Which exit code an error ends with. */
gr_exit gr_cli_exit_of(gr_status status);
#endif
