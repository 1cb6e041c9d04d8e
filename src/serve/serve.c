/* Opening, closing and reloading: the model in service is replaced only by one that loads. */
#include "serve/entity.h"
#include "serve/jobs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MOST_KEYS = 4096 };

/* Names, sizes and times of the YAML files below a folder. */
static uint64_t fingerprint(const char *dir, int depth) {
    enum { DEEPEST = 16 };
    uint64_t sum = 0;
    DIR *d = depth < DEEPEST ? opendir(dir) : NULL;
    if (!d) return 1;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char path[4096];
        struct stat st;
        int n = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (n < 0 || (size_t)n >= sizeof path || stat(path, &st)) continue;
        if (S_ISDIR(st.st_mode)) {
            sum += fingerprint(path, depth + 1);
            continue;
        }
        gr_str name = gr_str_from(e->d_name);
        if (!gr_str_ends(name, GR_STR(".yml")) && !gr_str_ends(name, GR_STR(".yaml"))) continue;
        char text[4300];
        int m = snprintf(text, sizeof text, "%s %lld %lld.%ld %llu", path, (long long)st.st_size,
                         (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (unsigned long long)st.st_ino);
        if (m > 0) sum += gr_str_hash((gr_str){text, (size_t)m < sizeof text ? (size_t)m : sizeof text - 1});
    }
    closedir(d);
    return sum;
}

static gr_status load(gr_serve *serve, gr_diags *diags, bool *ret_changed, gr_error *err) {
    uint64_t seen = fingerprint(serve->model_dir.p, 0); /* before reading: a change during it is found again */
    gr_model *model = NULL;
    gr_status status = gr_model_load_dir(serve->model_dir, diags, &model, err);
    if (!status && !serve->exec) status = gr_exec_check_model(serve->config, model, diags, err);
    if (!status && serve->exec) {
        const gr_snapshot *current = gr_exec_snapshot_ref(serve->exec);
        bool is_same = current && gr_str_eq(current->model->hash, model->hash);
        if (current) gr_exec_snapshot_unref(current);
        bool wants_model = false;
        if (is_same) status = gr_exec_rescan(serve->exec, &wants_model, err);
        is_same = is_same && !wants_model;
        if (!is_same && !status) status = gr_exec_set_model(serve->exec, model, diags, err);
        if (!is_same && !status) status = gr_serve_cubes_recheck(serve, err);
        if (!status && ret_changed) *ret_changed = !is_same;
    }
    gr_model_unref(model);
    atomic_fetch_add(&serve->reloads, 1); /* what the sources hold may have changed with it */
    serve->fingerprint = seen;            /* a broken model is not tried again until it changes */
    return status;
}

gr_status gr_serve_open(const gr_config *config, gr_serve_options options, gr_diags *diags, gr_serve **ret,
                        gr_error *err) {
    gr_serve *serve = gr_mem_calloc(1, sizeof *serve);
    serve->config = config;
    serve->options = options;
    serve->arena = gr_arena_new();
    pthread_mutex_init(&serve->reload, NULL);
    serve->bus = gr_serve_bus_new(config);
    gr_serve_stats_init(&serve->stats);
    pthread_mutex_init(&serve->leads_lock, NULL);
    serve->cache = gr_serve_cache_new((size_t)config->cache_max_bytes);
    serve->keys = gr_serve_keys_new(MOST_KEYS, gr_serve_ask_key, serve);
    gr_str dir = config->model_dir;
    serve->model_dir = dir.n && dir.p[0] == '/'
                           ? gr_arena_dup(serve->arena, dir)
                           : gr_arena_printf(serve->arena, GR_FMT "/" GR_FMT, GR_ARG(config->root), GR_ARG(dir));
    gr_status status = options.is_check_only ? GR_OK : gr_exec_open(config, &serve->exec, err);
    if (!status && serve->exec && options.is_restart) gr_exec_spare_store(serve->exec);
    if (!status) status = load(serve, diags, NULL, err);
    if (!status && serve->exec) gr_lane_start(serve);
    if (!status && serve->exec) serve->jobs = gr_serve_jobs_new(serve);
    if (!status && serve->exec && options.refreshes) gr_refresher_start(serve);
    if (status)
        gr_serve_close(serve);
    else
        *ret = serve;
    return status;
}

/* Until when webhooks may take what waits: the end of the drain time, of which some is left for them in any case. */
static int64_t last_call(gr_serve *serve) {
    enum { LEAST_US = 1000000 };
    int64_t now = gr_clock_mono_us(), drain_us = serve->config->drain_ms * 1000;
    int64_t until = atomic_load(&serve->stop_by_us), least = now + (drain_us < LEAST_US ? drain_us : LEAST_US);
    if (!until) until = now + drain_us;
    return until > least ? until : least;
}

void gr_serve_stop_by(gr_serve *serve, int64_t until_mono_us) { atomic_store(&serve->stop_by_us, until_mono_us); }

void gr_serve_close(gr_serve *serve) {
    if (!serve) return;
    gr_serve_jobs_free(serve->jobs);
    gr_refresher_stop(serve);
    gr_lane_stop(serve);
    gr_refresher_free(serve);
    gr_serve_bus_free(serve->bus, last_call(serve));
    gr_exec_close(serve->exec);
    gr_serve_cache_free(serve->cache);
    gr_serve_keys_free(serve->keys);
    pthread_mutex_destroy(&serve->leads_lock);
    pthread_mutex_destroy(&serve->reload);
    gr_arena_free(serve->arena);
    free(serve);
}

gr_serve_bus *gr_serve_events(gr_serve *serve) { return serve->bus; }
const gr_exec_orphan *gr_serve_orphans(const gr_serve *serve, size_t *ret_n) {
    *ret_n = 0;
    return serve->exec ? gr_exec_orphans(serve->exec, ret_n) : NULL;
}

gr_serve_stats *gr_serve_counts(gr_serve *serve) { return &serve->stats; }
const gr_config *gr_serve_config(const gr_serve *serve) { return serve->config; }

gr_status gr_serve_reload(gr_serve *serve, gr_diags *diags, bool *ret_changed, gr_error *err) {
    bool has_changed = false;
    pthread_mutex_lock(&serve->reload);
    const gr_snapshot *before = gr_serve_snapshot_ref(serve);
    gr_status status = load(serve, diags, &has_changed, err);
    if (!status && has_changed) gr_serve_reload_told(serve, before);
    gr_serve_snapshot_unref(before);
    pthread_mutex_unlock(&serve->reload);
    if (!status && ret_changed) *ret_changed = has_changed;
    return status;
}

bool gr_serve_model_changed(gr_serve *serve) {
    uint64_t now = fingerprint(serve->model_dir.p, 0);
    pthread_mutex_lock(&serve->reload);
    bool is_changed = now != serve->fingerprint;
    pthread_mutex_unlock(&serve->reload);
    return is_changed;
}

const gr_snapshot *gr_serve_snapshot_ref(gr_serve *serve) { return gr_exec_snapshot_ref(serve->exec); }
void gr_serve_snapshot_unref(const gr_snapshot *snapshot) { gr_exec_snapshot_unref(snapshot); }
void gr_serve_set_local_token(gr_serve *serve, gr_str token) { serve->local_token = gr_arena_dup(serve->arena, token); }
