/* The room's own thread: sees what other servers wrote (within a fifth of a second), extends leases, and writes counts
 * of what was served. Nothing of it is on a query's way: a hit is a few words under a short lock. */
#include "exec/internal.h"

#include <stdlib.h>
#include <time.h>

enum { LOOK_US = 200000, BEAT_US = 3000000, HITS_US = 2000000 };

void gr_exec_note_hit(gr_exec *exec, int64_t entity_id, int64_t now_us) {
    pthread_mutex_lock(&exec->mutex);
    for (size_t k = 0, at = (size_t)entity_id; k < 64; k++) {
        gr_exec_hit *hit = &exec->hits[(at + k) % GR_EXEC_HIT_SLOTS];
        if (hit->id && hit->id != entity_id) continue;
        if (!hit->id) exec->n_hits++;
        hit->id = entity_id;
        hit->count++;
        if (now_us > hit->last_us) hit->last_us = now_us;
        break;
    }
    pthread_mutex_unlock(&exec->mutex);
}

void gr_exec_hits_flush(gr_exec *exec) {
    gr_arena *scratch = gr_arena_new();
    size_t n = 0;
    pthread_mutex_lock(&exec->mutex);
    int64_t *ids = GR_NEW_N(scratch, int64_t, exec->n_hits + 1), *counts = GR_NEW_N(scratch, int64_t, exec->n_hits + 1),
            *last = GR_NEW_N(scratch, int64_t, exec->n_hits + 1);
    for (size_t i = 0; exec->n_hits && i < GR_EXEC_HIT_SLOTS; i++) {
        if (!exec->hits[i].id) continue;
        ids[n] = exec->hits[i].id;
        counts[n] = exec->hits[i].count;
        last[n++] = exec->hits[i].last_us;
        exec->hits[i] = (gr_exec_hit){0};
    }
    exec->n_hits = 0;
    pthread_mutex_unlock(&exec->mutex);
    gr_error ignored; /* counts are for people: a catalog that cannot be written has louder ways to say so */
    if (n) (void)!gr_catalog_note_served(exec->catalog, ids, counts, last, n, &ignored);
    gr_arena_free(scratch);
}

static bool wait_a_little(gr_exec *exec) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + LOOK_US * 1000LL;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&exec->watch_lock);
    if (!exec->is_watch_stopping) pthread_cond_timedwait(&exec->watch_wake, &exec->watch_lock, &until);
    bool is_stopping = exec->is_watch_stopping;
    pthread_mutex_unlock(&exec->watch_lock);
    return !is_stopping;
}

static void *watch_main(void *arg) {
    gr_exec *exec = arg;
    int64_t beat_at = 0, hits_at = gr_clock_mono_us() + HITS_US;
    bool is_behind = false; /* a refresh failed: the catalog was away */
    while (wait_a_little(exec)) {
        gr_error err = {0};
        int64_t now = gr_clock_mono_us();
        bool is_changed = false, is_recovered = false;
        if (now >= beat_at) {
            if (!gr_catalog_heartbeat(exec->catalog, gr_clock_now_us(), &is_recovered, &err)) {
                beat_at = now + BEAT_US;
                gr_exec_lost_builds_record(exec);
            }
        }
        if (now >= hits_at) {
            gr_exec_hits_flush(exec);
            hits_at = now + HITS_US;
        }
        if (gr_catalog_changed(exec->catalog, &is_changed, &err)) is_changed = false;
        if (is_changed || is_recovered || is_behind) is_behind = gr_exec_refresh(exec, &err) != GR_OK;
    }
    return NULL;
}

void gr_exec_watch_start(gr_exec *exec) {
    exec->is_watching = pthread_create(&exec->watcher, NULL, watch_main, exec) == 0;
}

void gr_exec_watch_stop(gr_exec *exec) {
    if (!exec->is_watching) return;
    pthread_mutex_lock(&exec->watch_lock);
    exec->is_watch_stopping = true;
    pthread_cond_signal(&exec->watch_wake);
    pthread_mutex_unlock(&exec->watch_lock);
    pthread_join(exec->watcher, NULL);
    exec->is_watching = false;
}
