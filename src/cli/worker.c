/* granary worker: the background refresh without the HTTP API.
 *
 *      a server owns the embedded store ──> it is told to build ahead, again and again (POST /ops/refresh)
 *      a shared store, or no server     ──> catalog and store are opened here, and this process builds
 *
 * A server that goes away is looked for again; without one the worker takes over, once it gets the store. */
#include "cli/life.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 100, ONCE_MS = 20 };

/* What a look came to, be it here or at the server. */
typedef struct outcome {
    bool is_finished, has_failed;
    double fraction; /* of the items: neither due nor being built */
} outcome;

/* ---- here ----------------------------------------------------------------------------------------------------------
 */

static outcome look_here(gr_serve *serve, bool tells) {
    gr_arena *arena = gr_arena_new();
    gr_refresh_overview all = gr_serve_refresh_overview(serve, arena);
    outcome o = {.is_finished = all.is_finished, .has_failed = all.n_failed > 0};
    size_t n_done = 0;
    int64_t now_us = gr_clock_now_us();
    for (size_t i = 0; i < all.n_items; i++) {
        const gr_refresh_item *item = &all.items[i];
        n_done += !item->view.is_building && item->view.next_us > now_us;
        o.has_failed |= item->view.n_failures > 0;
        if (!tells || !item->view.n_failures) continue;
        fprintf(stderr, GR_FMT " (" GR_FMT "): " GR_FMT "\n", GR_ARG(item->preagg_id), GR_ARG(item->zone),
                GR_ARG(item->view.error));
    }
    o.fraction = all.n_items ? (double)n_done / (double)all.n_items : -1;
    gr_arena_free(arena);
    return o;
}

static int run_once(gr_serve *serve, const sigset_t *signals, gr_exit *ret_exit) {
    gr_cli_progress bar;
    int got = 0;
    gr_cli_progress_start(&bar, GR_STR("refresh"));
    (void)gr_serve_refresh_order(serve, (gr_refresh_order){.prebuild = true});
    for (;;) {
        outcome o = look_here(serve, false);
        gr_cli_progress_update(&bar, o.fraction);
        if (o.is_finished) break;
        got = gr_cli_life_step(serve, signals, false, ONCE_MS);
        if (got) break;
    }
    gr_cli_progress_end(&bar);
    if (look_here(serve, true).has_failed) *ret_exit = GR_EXIT_USER;
    if (got) *ret_exit = GR_EXIT_STOPPED;
    return got;
}

static void run_here(gr_cli *cli, const gr_config *config, gr_serve *serve, const sigset_t *signals,
                     gr_exit *ret_exit) {
    if (cli->args.has[GR_FLAG_ONCE]) {
        (void)run_once(serve, signals, ret_exit);
    } else {
        gr_log_event(GR_LOG_INFO, "worker.ready", "pid", gr_log_i64(getpid()), "model", config->model_dir, NULL);
        int got = gr_cli_life_wait(serve, signals, config->watch_model);
        gr_log_event(GR_LOG_INFO, "worker.stopping", "signal", got == SIGINT ? GR_STR("SIGINT") : GR_STR("SIGTERM"),
                     NULL);
    }
    gr_cli_life_let_kill(signals);
    gr_serve_stop_by(serve, gr_clock_mono_us() + config->drain_ms * 1000);
    gr_serve_close(serve);
    if (!cli->args.has[GR_FLAG_ONCE]) gr_log_event(GR_LOG_INFO, "worker.stopped", NULL);
}

static gr_status open_here(gr_cli *cli, gr_config *config, gr_serve **ret, gr_error *err) {
    gr_diags diags;
    gr_diags_init(&diags, cli->arena);
    config->refresh_enabled = config->refresh_prebuild = true;
    gr_status status = gr_serve_open(config, (gr_serve_options){.refreshes = true}, &diags, ret, err);
    if (status != GR_ERR_STORE_LOCKED) gr_cli_print_diags(&diags, true);
    return status;
}

/* ---- at the server -------------------------------------------------------------------------------------------------
 */

typedef struct remote {
    gr_door *door;
    int64_t n_failed_before;
    bool is_told; /* of n_failed_before */
} remote;

static outcome outcome_of(const json_t *answer, bool tells) {
    const json_t *items = json_object_get(answer, "items");
    outcome o = {.is_finished = json_is_true(json_object_get(answer, "is_finished"))};
    size_t n_done = 0, n = json_array_size(items);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(items, i);
        bool is_failing = gr_cli_json_number(item, "failures") > 0;
        gr_str id = gr_cli_json_text(item, "pre_aggregation"), zone = gr_cli_json_text(item, "zone"),
               error = gr_cli_json_text(item, "error");
        n_done += !json_is_true(json_object_get(item, "is_building"));
        o.has_failed |= is_failing;
        if (tells && is_failing)
            fprintf(stderr, GR_FMT " (" GR_FMT "): " GR_FMT "\n", GR_ARG(id), GR_ARG(zone), GR_ARG(error));
    }
    o.fraction = n ? (double)n_done / (double)n : -1;
    return o;
}

/* `is_order`: to build ahead; else only a look. */
static gr_status ask_server(remote *r, bool is_order, bool tells, outcome *ret, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_buf out;
    json_t *body = is_order ? json_pack("{s:b}", "prebuild", 1) : NULL, *answer = NULL;
    if (is_order && !body) gr_mem_die(0);
    gr_buf_init(&out, GR_CLI_MAX_OUTPUT_BYTES);
    gr_status status = r->door->call(r->door, is_order ? "POST" : "GET", GR_STR("/ops/refresh"), body, &out, err);
    if (!status) status = gr_json_parse(gr_buf_str(&out), GR_CLI_MAX_OUTPUT_BYTES, arena, &answer, err);
    if (!status) {
        int64_t n_failed = gr_cli_json_number(answer, "failed");
        if (!r->is_told) r->n_failed_before = n_failed;
        r->is_told = true;
        *ret = outcome_of(answer, tells);
        ret->has_failed |= n_failed > r->n_failed_before;
    }
    json_decref(body);
    gr_buf_done(&out);
    gr_arena_free(arena);
    return status;
}

static void rest(int64_t ms) {
    int64_t until_us = gr_clock_mono_us() + ms * 1000;
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    while (!atomic_load(&gr_cli_is_interrupted) && gr_clock_mono_us() < until_us) nanosleep(&step, NULL);
}

static gr_status follow_once(remote *r, gr_exit *ret_exit, gr_error *err) {
    gr_cli_progress bar;
    outcome o = {0};
    gr_cli_progress_start(&bar, GR_STR("refresh"));
    gr_status status = ask_server(r, true, false, &o, err);
    while (!status && !o.is_finished && !atomic_load(&gr_cli_is_interrupted)) {
        gr_cli_progress_update(&bar, o.fraction);
        rest(STEP_MS);
        status = ask_server(r, false, false, &o, err);
    }
    gr_cli_progress_end(&bar);
    if (!status && o.is_finished) status = ask_server(r, false, true, &o, err);
    GR_TRY(status);
    if (o.has_failed) *ret_exit = GR_EXIT_USER;
    if (!o.is_finished) *ret_exit = GR_EXIT_STOPPED;
    return GR_OK;
}

/* Until it is interrupted (cancelled) or the server does not answer. */
static gr_status follow(const gr_config *config, remote *r, gr_error *err) {
    outcome o;
    while (!atomic_load(&gr_cli_is_interrupted)) {
        GR_TRY(ask_server(r, true, false, &o, err));
        rest(config->worker_interval_ms);
    }
    return gr_error_set(err, GR_ERR_CANCELLED, "interrupted");
}

static gr_status work_at(gr_cli *cli, const gr_config *config, const gr_server_info *server, gr_exit *ret_exit,
                         gr_error *err) {
    remote r = {0};
    GR_TRY(gr_cli_door_open_remote(cli, server, &r.door, err));
    gr_log_event(GR_LOG_INFO, "worker.hands_over", "url", server->url, "pid", gr_log_i64(server->pid), NULL);
    gr_status status = cli->args.has[GR_FLAG_ONCE] ? follow_once(&r, ret_exit, err) : follow(config, &r, err);
    gr_cli_door_close(r.door);
    return status;
}

/* ---- which of the two ----------------------------------------------------------------------------------------------
 */

/* *ret_is_over: there is no other try to make. */
static gr_status work(gr_cli *cli, gr_config *config, gr_exit *ret_exit, bool *ret_is_over, gr_error *err) {
    gr_server_info server;
    bool is_running = false, is_once = cli->args.has[GR_FLAG_ONCE];
    *ret_is_over = true;
    if (!config->storage_shared) GR_TRY(gr_cli_server_find(config, cli->arena, &server, &is_running, err));
    if (is_running) {
        gr_status status = work_at(cli, config, &server, ret_exit, err);
        *ret_is_over = is_once || status == GR_ERR_CANCELLED;
        if (*ret_is_over) return status == GR_ERR_CANCELLED && !is_once ? GR_OK : status;
        gr_log_event(GR_LOG_WARN, "worker.server_gone", "reason", gr_str_from(err->message), NULL);
        return GR_OK;
    }
    sigset_t signals;
    gr_serve *serve;
    gr_cli_life_block(&signals);
    if (atomic_load(&gr_cli_is_interrupted)) return GR_OK; /* before they were blocked */
    gr_status status = open_here(cli, config, &serve, err);
    if (!status) {
        run_here(cli, config, serve, &signals, ret_exit);
        return GR_OK;
    }
    *ret_is_over = status != GR_ERR_STORE_LOCKED; /* somebody has it for a moment, or a server that begins */
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    return *ret_is_over ? status : GR_OK;
}

gr_status gr_cli_run_worker(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    enum { PAUSE_MS = 500, TRIES = 20 }; /* as long as a server may take to begin */
    gr_config *config;
    GR_TRY(gr_cli_config(cli, &config, err));
    gr_cli_catch_interrupts();
    for (int n = 0; !atomic_load(&gr_cli_is_interrupted); n++) {
        bool is_over = false;
        GR_TRY(work(cli, config, ret_exit, &is_over, err));
        if (is_over) return GR_OK;
        if (n >= TRIES && cli->args.has[GR_FLAG_ONCE])
            return gr_error_set(err, GR_ERR_STORE_LOCKED, "another process holds the store, and does not serve");
        rest(PAUSE_MS);
    }
    return GR_OK;
}
