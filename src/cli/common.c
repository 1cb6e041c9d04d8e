/* What several commands need: configuration, the query operand, output, diagnostics, interrupts, small files. */
#include "cli/command.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- configuration and query --------------------------------------------------------------------------------------
 */

static gr_log_level level_of(gr_str name) {
    static const char *const names[] = {"debug", "info", "warn", "error", "off"};
    for (int i = 0; i < 5; i++)
        if (gr_str_eq_z(name, names[i])) return (gr_log_level)i;
    return GR_LOG_INFO;
}

gr_status gr_cli_config(gr_cli *cli, gr_config **ret, gr_error *err) {
    gr_cli_args *args = &cli->args;
    gr_str file = args->has[GR_FLAG_CONFIG] ? args->value[GR_FLAG_CONFIG] : (gr_str){0};
    gr_config *config;
    GR_TRY(gr_config_load(file, args->settings, args->n_settings, cli->environ_pairs, cli->arena, &config, err));
    gr_log_level level = level_of(config->log_level);
    /* Only what goes on until it is stopped tells what it does; the other commands speak when something is wrong, or
     * when they are asked to. */
    bool is_worker = args->command && gr_str_eq_z(GR_STR("worker"), args->command->name) && !args->has[GR_FLAG_ONCE];
    bool is_asked = is_worker || (args->command && gr_str_eq_z(GR_STR("serve"), args->command->name));
    for (size_t i = 0; i < args->n_settings; i++) is_asked |= gr_str_eq_z(args->settings[i].flag, "--log-level");
    if (!is_asked && level < GR_LOG_WARN) level = GR_LOG_WARN;
    gr_log_setup(level, gr_str_eq_z(config->log_format, "json"));
    *ret = config;
    return GR_OK;
}

/* All that a stream gives, up to `max_bytes`. */
static gr_status read_all(int fd, size_t max_bytes, gr_buf *out, const char *what, gr_error *err) {
    gr_buf_init(out, max_bytes);
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return gr_error_set(err, GR_ERR_ENGINE_IO, "cannot read %s: %m", what);
        if (n == 0) return GR_OK;
        gr_buf_add(out, (gr_str){chunk, (size_t)n});
        if (out->is_over) return gr_error_set(err, GR_ERR_LIMIT, "%s is larger than %zu bytes", what, max_bytes);
    }
}

/* In an array in every query; what is no query is found out when they are parsed. */
static gr_status put_zone(json_t *query, gr_str zone, gr_error *err) {
    json_t *value = json_stringn(zone.p, zone.n);
    if (!value) return gr_error_set(err, GR_ERR_QUERY_TIMEZONE, "--timezone is not a text in UTF-8");
    if (json_is_object(query)) json_object_set(query, "timezone", value);
    for (size_t i = 0; json_is_array(query) && i < json_array_size(query); i++)
        json_object_set(json_array_get(query, i), "timezone", value);
    json_decref(value);
    return GR_OK;
}

gr_status gr_cli_query_operand(gr_cli *cli, json_t **ret, gr_error *err) {
    gr_str text = cli->args.operands[0];
    if (gr_str_eq_z(text, "-")) {
        gr_buf input = {0};
        gr_status status = read_all(STDIN_FILENO, GR_CLI_MAX_QUERY_BYTES, &input, "the query on standard input", err);
        text = gr_arena_dup(cli->arena, gr_buf_str(&input));
        gr_buf_done(&input);
        GR_TRY(status);
    }
    json_t *query;
    GR_TRY(gr_json_parse(text, GR_CLI_MAX_QUERY_BYTES, cli->arena, &query, err));
    bool may_be_many = cli->args.command->run == gr_cli_run_explain;
    if (!json_is_object(query) && !(may_be_many && json_is_array(query))) {
        gr_status status = gr_error_set(err, GR_ERR_QUERY_INVALID, "the query must be one JSON object");
        gr_error_hint(err, "for example '{\"measures\": [\"orders.count\"]}'");
        return status;
    }
    if (cli->args.has[GR_FLAG_TIMEZONE]) GR_TRY(put_zone(query, cli->args.value[GR_FLAG_TIMEZONE], err));
    *ret = query;
    return GR_OK;
}

/* ---- output -------------------------------------------------------------------------------------------------------
 */

static bool write_all(int fd, gr_str text) {
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        text = gr_str_sub(text, (size_t)n, text.n - (size_t)n);
    }
    return true;
}

gr_status gr_cli_print(const gr_buf *out, gr_error *err) {
    if (out->is_over) return gr_error_set(err, GR_ERR_LIMIT, "the result is larger than %zu bytes", out->max);
    /* A reader that has seen enough (`| head`) is no failure. */
    if (write_all(STDOUT_FILENO, gr_buf_str(out)) || errno == EPIPE) return GR_OK;
    return gr_error_set(err, GR_ERR_ENGINE_IO, "cannot write to standard output: %m");
}

static void add_line(gr_buf *out, gr_loc loc, const char *severity, gr_status status, gr_str message, gr_str hint) {
    if (loc.file.n) {
        gr_buf_add(out, loc.file);
        if (loc.line) gr_buf_printf(out, ":%u:%u", (unsigned)loc.line, (unsigned)loc.col);
        gr_buf_z(out, ": ");
    }
    gr_buf_printf(out, "%s[%s]: ", severity, gr_error_info_of(status)->id);
    gr_buf_add(out, message);
    gr_buf_char(out, '\n');
    if (hint.n) {
        gr_buf_z(out, "  hint: ");
        gr_buf_add(out, hint);
        gr_buf_char(out, '\n');
    }
}

void gr_cli_add_diag(const gr_diag *diag, gr_buf *out) {
    add_line(out, diag->loc, diag->is_warning ? "warning" : "error", diag->status, diag->message, diag->hint);
}

static void print_stderr(gr_buf *out) {
    if (!write_all(STDERR_FILENO, gr_buf_str(out))) { /* nowhere left to report to */
    }
    gr_buf_done(out);
}

void gr_cli_print_error(const gr_error *error) {
    gr_buf out;
    gr_buf_init(&out, 16 * 1024);
    gr_loc loc = {gr_str_from(error->file), error->loc.line, error->loc.col};
    add_line(&out, loc, "error", error->status, gr_str_from(error->message), gr_str_from(error->hint));
    print_stderr(&out);
}

void gr_cli_print_diags(const gr_diags *diags, bool with_warnings) {
    gr_buf out;
    gr_buf_init(&out, 8 << 20);
    for (size_t i = 0; i < diags->list.n; i++)
        if (with_warnings || !diags->list.v[i].is_warning) gr_cli_add_diag(&diags->list.v[i], &out);
    if (diags->n_dropped) gr_buf_printf(&out, "… and %zu more\n", diags->n_dropped);
    print_stderr(&out);
}

/* ---- interrupts ---------------------------------------------------------------------------------------------------
 */

atomic_bool gr_cli_is_interrupted;

static void on_interrupt(int signal_number) {
    if (atomic_exchange(&gr_cli_is_interrupted, true)) _exit(128 + signal_number);
}

void gr_cli_catch_interrupts(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------
 */

gr_str gr_cli_json_text(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? gr_json_str(value) : (gr_str){0};
}

int64_t gr_cli_json_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : 0;
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

gr_status gr_cli_write_file(gr_str path, gr_str text, unsigned mode, gr_error *err) {
    char *name = gr_mem_dup(path.p, path.n), *temporary = NULL;
    if (asprintf(&temporary, "%s.%d.tmp", name, (int)getpid()) < 0) gr_mem_die(path.n);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool is_ok = fd >= 0 && write_all(fd, text) && fsync(fd) == 0;
    if (fd >= 0) is_ok = close(fd) == 0 && is_ok;
    is_ok = is_ok && rename(temporary, name) == 0;
    gr_status status = GR_OK;
    if (!is_ok) {
        status = gr_error_set(err, GR_ERR_STORE_IO, "cannot write %s: %m", name);
        unlink(temporary);
    }
    free(temporary);
    free(name);
    return status;
}

gr_status gr_cli_read_file(gr_str path, size_t max_bytes, gr_arena *arena, gr_str *ret, bool *ret_found,
                           gr_error *err) {
    gr_str name = gr_arena_dup(arena, path);
    /* Standard input may be a socket, which /dev/stdin does not open. */
    bool is_stdin = gr_str_eq(path, GR_STR("/dev/stdin"));
    int fd = is_stdin ? dup(STDIN_FILENO) : open(name.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_found = false;
        return GR_OK;
    }
    if (fd < 0) return gr_error_set(err, GR_ERR_STORE_IO, "cannot read %s: %m", name.p);
    gr_buf text = {0};
    gr_status status = read_all(fd, max_bytes, &text, name.p, err);
    close(fd);
    if (!status) {
        *ret = gr_arena_dup(arena, gr_buf_str(&text));
        *ret_found = true;
    }
    gr_buf_done(&text);
    return status;
}

gr_status gr_cli_make_dir(gr_str path, gr_error *err) {
    char *name = gr_mem_dup(path.p, path.n);
    for (size_t i = 1; i <= path.n; i++) {
        if (i < path.n && name[i] != '/') continue;
        name[i] = 0;
        if (mkdir(name, 0777) && errno != EEXIST) {
            gr_status status = gr_error_set(err, GR_ERR_STORE_IO, "cannot make the folder %s: %m", name);
            free(name);
            return status;
        }
        if (i < path.n) name[i] = '/';
    }
    free(name);
    return GR_OK;
}
