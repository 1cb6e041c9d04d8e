/* What a call that may block is given first: how long it may take, how it is told to stop, and where it allocates. */
#ifndef GR_BASE_CTX_H
#define GR_BASE_CTX_H
#include "base/arena.h"
#include "base/clock.h"

#include <stdatomic.h>

typedef struct gr_ctx {
    gr_arena *arena;                 /* request or job arena */
    int64_t deadline_mono_us;        /* 0 = none */
    const atomic_bool *is_cancelled; /* may be NULL; set from any thread */
    gr_str request_id;
    int64_t now_us; /* the one "now" of this request, UTC */
    bool is_build;  /* connections that it takes are counted with those of builds (engine/pool.c) */
} gr_ctx;

static inline bool gr_ctx_is_cancelled(const gr_ctx *ctx) {
    return ctx->is_cancelled && atomic_load(ctx->is_cancelled);
}
static inline bool gr_ctx_is_late(const gr_ctx *ctx) {
    return ctx->deadline_mono_us && gr_clock_mono_us() > ctx->deadline_mono_us;
}
#endif
