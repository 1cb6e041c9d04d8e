/* One thread per instance that stops statements which were cancelled or are late. An interrupt that meets an idle
 * connection is lost, so it is repeated at every round until the statement has returned.
 * Invariant: a connection is interrupted only while its call is in the list, and the list changes only under the lock;
 * so no interrupt reaches the statement after the one it was meant for.
 * The thread sleeps for good only after a while without calls: under load nobody pays for waking it. */
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <stdlib.h>
#include <time.h>

enum { ROUND_NS = 4 * 1000 * 1000, IDLE_ROUNDS = 25 };

static void wait_round(gr_duckdb_watch *watch) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ROUND_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
}

static gr_status why_stop(const gr_ctx *ctx) {
    if (gr_ctx_is_cancelled(ctx)) return GR_ERR_CANCELLED;
    return gr_ctx_is_late(ctx) ? GR_ERR_TIMEOUT : GR_OK;
}

static void *watch_main(void *arg) {
    gr_duckdb_watch *watch = arg;
    int idle = 0;
    pthread_mutex_lock(&watch->lock);
    while (!watch->is_stopping) {
        for (gr_duckdb_call *call = watch->first; call; call = call->next) {
            if (!call->fired) call->fired = why_stop(call->ctx);
            if (call->fired) duckdb_interrupt(call->handle);
        }
        idle = watch->first ? 0 : idle + 1;
        if (idle > IDLE_ROUNDS) {
            watch->is_asleep = true;
            pthread_cond_wait(&watch->wake, &watch->lock);
            watch->is_asleep = false;
            idle = 0;
        } else {
            wait_round(watch);
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

void gr_engine_duckdb_watch_start(gr_duckdb_watch *watch) {
    *watch = (gr_duckdb_watch){0};
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&watch->thread, NULL, watch_main, watch)) gr_mem_die(0);
}

void gr_engine_duckdb_watch_stop(gr_duckdb_watch *watch) {
    pthread_mutex_lock(&watch->lock);
    watch->is_stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
}

gr_status gr_engine_duckdb_watch_begin(gr_duckdb_watch *watch, gr_duckdb_call *call, duckdb_connection handle,
                                       const gr_ctx *ctx, gr_error *err) {
    *call = (gr_duckdb_call){.handle = handle, .ctx = ctx};
    if (!ctx || (!ctx->deadline_mono_us && !ctx->is_cancelled)) return GR_OK;
    gr_status stop = why_stop(ctx);
    if (stop) return gr_engine_duckdb_fired(stop, err);
    pthread_mutex_lock(&watch->lock);
    call->is_listed = true;
    call->next = watch->first;
    if (call->next) call->next->prev = call;
    watch->first = call;
    if (watch->is_asleep) pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    return GR_OK;
}

gr_status gr_engine_duckdb_watch_end(gr_duckdb_watch *watch, gr_duckdb_call *call) {
    if (!call->is_listed) return GR_OK;
    pthread_mutex_lock(&watch->lock);
    if (call->prev)
        call->prev->next = call->next;
    else
        watch->first = call->next;
    if (call->next) call->next->prev = call->prev;
    gr_status fired = call->fired;
    pthread_mutex_unlock(&watch->lock);
    call->is_listed = false;
    return fired;
}
