/* granary serve: open, listen, tell where (server.json, stdout), then wait for signals and changes of the model.
 * Invariant: server.json exists only while this process serves, is readable by its owner alone, and is never half
 * there.
 *
 * Signals: life.h. */
#include "cli/life.h"

#include "base/log.h"
#include "http/server.h"

#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum { TOKEN_BYTES = 32 };

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

static gr_status serve_until_signal(gr_cli *cli, const gr_config *config, gr_serve *serve, const sigset_t *signals,
                                    const char *token, gr_error *err) {
    gr_http *http = NULL;
    gr_str file = gr_cli_server_file(config, cli->arena);
    gr_serve_set_local_token(serve, gr_str_from(token));
    GR_TRY(gr_http_start(serve, NULL, &http, err));
    gr_str url = gr_http_url(http);
    gr_status status = write_server_file(file, url, gr_http_port(http), token, err);
    if (!status) {
        printf("Granary serves on " GR_FMT "\n", GR_ARG(url));
        fflush(stdout);
        gr_log_event(GR_LOG_INFO, "serve.ready", "url", url, "pid", gr_log_i64(getpid()), NULL);
        int got = gr_cli_life_wait(serve, signals, config->watch_model);
        gr_log_event(GR_LOG_INFO, "serve.stopping", "signal", got == SIGINT ? GR_STR("SIGINT") : GR_STR("SIGTERM"),
                     NULL);
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
    GR_TRY(random_token(token, err));
    gr_cli_life_block(&signals);
    gr_diags diags;
    gr_serve *serve;
    gr_diags_init(&diags, cli->arena);
    gr_status status = gr_serve_open(config, (gr_serve_options){.refreshes = true}, &diags, &serve, err);
    gr_cli_print_diags(&diags, true);
    GR_TRY(status);
    status = serve_until_signal(cli, config, serve, &signals, token, err);
    gr_serve_close(serve);
    if (!status) gr_log_event(GR_LOG_INFO, "serve.stopped", NULL);
    return status;
}
