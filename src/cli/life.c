#include "cli/life.h"

#include "base/log.h"

#include <errno.h>
#include <time.h>

enum { WATCH_INTERVAL_MS = 1000 };

void gr_cli_life_block(sigset_t *ret) {
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ret, NULL);
}

static void log_diags(const gr_diags *diags) {
    for (size_t i = 0; i < diags->list.n; i++) {
        const gr_diag *d = &diags->list.v[i];
        char place[512] = "";
        if (d->loc.file.n)
            snprintf(place, sizeof place, GR_FMT ":%u:%u", GR_ARG(d->loc.file), (unsigned)d->loc.line,
                     (unsigned)d->loc.col);
        gr_log_event(d->is_warning ? GR_LOG_WARN : GR_LOG_ERROR, "model.diagnostic", "at", gr_str_from(place), "id",
                     gr_str_from(gr_error_info_of(d->status)->id), "message", d->message, "hint", d->hint, NULL);
    }
}

/* The model in service stays when the new one has errors. */
static void reload(gr_serve *serve) {
    gr_arena *arena = gr_arena_new();
    gr_diags diags;
    gr_error err = {0};
    bool has_changed = false;
    gr_diags_init(&diags, arena);
    int64_t started = gr_clock_mono_us();
    gr_status status = gr_serve_reload(serve, &diags, &has_changed, &err);
    if (status || has_changed) log_diags(&diags);
    if (status)
        gr_log_event(GR_LOG_ERROR, "model.kept", "reason", gr_str_from(err.message), "errors",
                     gr_log_i64((int64_t)diags.n_errors), NULL);
    else
        gr_log_event(GR_LOG_INFO, has_changed ? "model.reloaded" : "model.unchanged", "warnings",
                     gr_log_i64((int64_t)diags.n_warnings), "ms", gr_log_i64((gr_clock_mono_us() - started) / 1000),
                     NULL);
    gr_arena_free(arena);
}

int gr_cli_life_step(gr_serve *serve, const sigset_t *signals, bool must_watch, int64_t ms) {
    const struct timespec interval = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    int got = sigtimedwait(signals, NULL, &interval);
    if (got == SIGTERM || got == SIGINT) return got;
    bool is_late = got < 0 && errno == EAGAIN;
    if (got == SIGHUP || (is_late && must_watch && gr_serve_model_changed(serve))) reload(serve);
    return 0;
}

int gr_cli_life_wait(gr_serve *serve, const sigset_t *signals, bool must_watch) {
    for (;;) {
        int got = gr_cli_life_step(serve, signals, must_watch, WATCH_INTERVAL_MS);
        if (got) return got;
    }
}

void gr_cli_life_let_kill(const sigset_t *signals) {
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}
