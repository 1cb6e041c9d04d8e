/* granary serve: open, listen, tell where (server.json, stdout), then wait for signals and changes of the model.
 * Invariant: server.json exists only while this process serves, is readable by its owner alone, and is never half
 * there.
 *
 * Signals: life.h. */
#include "cli/life.h"

#include "base/log.h"
#include "engine/engine.h"
#include "exec/exec.h"
#include "http/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { WATCH_INTERVAL_MS = 1000, TOKEN_BYTES = 32, RESTART = -1, RESTART_PAUSE_US = 10 * 1000000 };

/* What a process that started again has of itself before: PORT:MONOTONIC MICROSECONDS. */
static const char restarted[] = "GRANARY_RESTARTED";
typedef struct former {
    gr_http_options http;
    int64_t at_us; /* long ago, if it did not start again */
} former;

static gr_status random_token(char *out, gr_error *err) {
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return gr_error_set(err, GR_ERR_SERVER_LISTEN, "cannot get random bytes: %m");
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return GR_OK;
}

static gr_status write_server_file(gr_str file, gr_str url, unsigned port, const char *token, gr_error *err) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 16384);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "url", url);
    gr_jw_key_i64(&w, "port", port);
    gr_jw_key_i64(&w, "pid", getpid());
    gr_jw_key_str(&w, "token", gr_str_from(token));
    gr_jw_object_end(&w);
    gr_buf_char(&out, '\n');
    gr_status status = gr_cli_write_file(file, gr_buf_str(&out), 0600, err);
    gr_buf_done(&out);
    return status;
}

static void log_orphans(const gr_serve *serve) {
    size_t n;
    const gr_exec_orphan *orphans = gr_serve_orphans(serve, &n);
    for (size_t i = 0; i < n; i++)
        gr_log_event(GR_LOG_WARN, "store.orphan", "table", orphans[i].table, "action",
                     orphans[i].is_removed ? GR_STR("removed") : GR_STR("kept"), NULL);
}

/* Until SIGTERM or SIGINT, and returns which; or RESTART, when the engine has stopped for good. A disk that goes on
 * failing makes no busy loop of that. */
static int wait_for_end(gr_serve *serve, const sigset_t *signals, bool must_watch, const former *before) {
    for (;;) {
        int got = gr_cli_life_step(serve, signals, must_watch, WATCH_INTERVAL_MS);
        if (got) return got;
        if (gr_engine_duckdb_is_stopped() && gr_clock_mono_us() > before->at_us + RESTART_PAUSE_US) return RESTART;
    }
}

static former read_former(void) {
    former f = {.at_us = 0 - RESTART_PAUSE_US};
    const char *text = getenv(restarted);
    unsigned port;
    long long at_us;
    if (text && sscanf(text, "%u:%lld", &port, &at_us) == 2 && port <= UINT16_MAX)
        f = (former){.http = {.has_port = true, .port = (uint16_t)port}, .at_us = at_us};
    unsetenv(restarted);
    return f;
}

/* Everything is closed: the same program in the same process, on the same port, as after kill -9 and a start. Returns
 * only when that fails. */
static gr_status start_again(gr_cli *cli, unsigned port, gr_error *err) {
    char text[64];
    snprintf(text, sizeof text, "%u:%lld", port, (long long)gr_clock_mono_us());
    gr_log_event(GR_LOG_ERROR, "serve.restarting", "port", gr_log_i64(port), NULL);
    setenv(restarted, text, 1);
    execv("/proc/self/exe", cli->argv);
    return gr_error_set(err, GR_ERR_ENGINE_STOPPED, "the engine has stopped, and the server cannot start again: %m");
}

/* *ret_port: to start again on, or 0. */
static gr_status serve_until_signal(gr_cli *cli, const gr_config *config, gr_serve *serve, const sigset_t *signals,
                                    const char *token, const former *before, unsigned *ret_port, gr_error *err) {
    gr_http *http = NULL;
    gr_str file = gr_cli_server_file(config, cli->arena);
    gr_serve_set_local_token(serve, gr_str_from(token));
    GR_TRY(gr_http_start(serve, &before->http, &http, err));
    gr_str url = gr_http_url(http);
    gr_status status = write_server_file(file, url, gr_http_port(http), token, err);
    if (!status) {
        printf("Granary serves on " GR_FMT "\n", GR_ARG(url));
        fflush(stdout);
        gr_log_event(GR_LOG_INFO, "serve.ready", "url", url, "pid", gr_log_i64(getpid()), NULL);
        int got = wait_for_end(serve, signals, config->watch_model, before);
        if (got == RESTART) {
            *ret_port = gr_http_port(http);
            gr_log_event(GR_LOG_ERROR, "serve.stopping", "id", GR_STR("engine.stopped"), NULL);
        } else {
            gr_log_event(GR_LOG_INFO, "serve.stopping", "signal", got == SIGINT ? GR_STR("SIGINT") : GR_STR("SIGTERM"),
                         NULL);
        }
        unlink(file.p);
        gr_cli_life_let_kill(signals);
    }
    gr_http_stop(http);
    return status;
}

gr_status gr_cli_run_serve(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    gr_config *config;
    sigset_t signals;
    char token[2 * TOKEN_BYTES + 1];
    GR_TRY(gr_cli_config(cli, &config, err));
    gr_server_info other;
    bool is_running;
    GR_TRY(gr_cli_server_find(config, cli->arena, &other, &is_running, err));
    if (is_running) {
        gr_status status =
            gr_error_set(err, GR_ERR_STORE_LOCKED, "a server (process %lld) already serves this store at " GR_FMT,
                         (long long)other.pid, GR_ARG(other.url));
        gr_error_hint(err, "stop it, or give this one another folder with --storage");
        return status;
    }
    former before = read_former();
    GR_TRY(random_token(token, err));
    gr_cli_life_block(&signals);
    gr_diags diags;
    gr_serve *serve;
    gr_diags_init(&diags, cli->arena);
    gr_serve_options options = {.refreshes = true, .is_restart = before.http.has_port};
    gr_status status = gr_serve_open(config, options, &diags, &serve, err);
    gr_cli_print_diags(&diags, true);
    if (status == GR_ERR_ENGINE_STOPPED && !options.is_restart)
        return start_again(cli, (unsigned)config->http_port, err); /* which then leaves the store alone */
    GR_TRY(status);
    log_orphans(serve);
    unsigned port = 0;
    status = serve_until_signal(cli, config, serve, &signals, token, &before, &port, err);
    gr_serve_close(serve);
    if (!status && port) return start_again(cli, port, err);
    if (!status) gr_log_event(GR_LOG_INFO, "serve.stopped", NULL);
    return status;
}
