/* Connections to one engine, kept per source and handed out to one user at a time. They are made when first needed, up
 * to a maximum per source; the one given back last is handed out first, because its prepared statements are warm.
 * Builds and queries are counted apart, so that neither waits for the other's; and so are those who hold a connection
 * of another kind already: whoever has one of these waits for nobody, so that there is no circle.
 * Invariant: a connection is in the hands of one user or idle, never both; an idle one has no open stream and no
 * transaction. Threads: any. The lock is not held while connecting. */
#include "engine/engine.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { WAIT_NS = 10 * 1000 * 1000 };

typedef enum taker { QUERY, BUILD, SECOND, TAKERS } taker;

typedef struct slot {
    gr_engine_conn *conn;
    bool is_busy;
    taker taker;     /* in whose hands it is */
    uint64_t forgot; /* the pool's count of forgettings that this connection has followed */
    uint64_t given_at;
} slot;

typedef struct line { /* the connections of one source */
    struct line *next;
    gr_str source;                         /* owned */
    size_t n, max[TAKERS], n_used[TAKERS]; /* used: also while it is being connected */
    slot *slots;                           /* as many as all of max */
} line;

struct gr_pool {
    gr_engine *engine;
    size_t max;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    line *lines;
    uint64_t forgettings, tick;
};

gr_pool *gr_pool_new(gr_engine *engine, size_t max_per_source) {
    gr_pool *pool = gr_mem_calloc(1, sizeof *pool);
    pool->engine = engine;
    pool->max = max_per_source ? max_per_source : 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->freed, &attr);
    pthread_condattr_destroy(&attr);
    return pool;
}

void gr_pool_free(gr_pool *pool) {
    if (!pool) return;
    for (line *l = pool->lines, *next; l; l = next) {
        next = l->next;
        for (size_t i = 0; i < l->n; i++) pool->engine->driver->disconnect(l->slots[i].conn);
        free(l->slots);
        free((void *)(uintptr_t)l->source.p);
        free(l);
    }
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static line *line_of(gr_pool *pool, gr_str source, size_t max) {
    for (line *l = pool->lines; l; l = l->next)
        if (gr_str_eq(l->source, source)) return l;
    line *l = gr_mem_calloc(1, sizeof *l);
    l->source = (gr_str){gr_mem_dup(source.p, source.n), source.n};
    l->max[QUERY] = max;
    l->max[BUILD] = l->max[SECOND] = pool->max;
    l->slots = gr_mem_calloc(max + 2 * pool->max, sizeof *l->slots);
    l->next = pool->lines;
    return pool->lines = l;
}

void gr_pool_limit(gr_pool *pool, gr_str source, size_t max) {
    pthread_mutex_lock(&pool->lock);
    (void)line_of(pool, source, max);
    pthread_mutex_unlock(&pool->lock);
}

static slot *warmest_idle(line *l) {
    slot *best = NULL;
    for (size_t i = 0; i < l->n; i++)
        if (!l->slots[i].is_busy && (!best || l->slots[i].given_at > best->given_at)) best = &l->slots[i];
    return best;
}

static gr_status stopped(const gr_ctx *ctx, gr_error *err) {
    if (ctx && gr_ctx_is_cancelled(ctx))
        return gr_error_set(err, GR_ERR_CANCELLED, "cancelled while waiting for a connection");
    if (ctx && gr_ctx_is_late(ctx))
        return gr_error_set(err, GR_ERR_TIMEOUT, "no connection became free within the time limit");
    return GR_OK;
}

static void wait_a_little(gr_pool *pool) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&pool->freed, &pool->lock, &until);
}

/* The lock is held at entry and at return. */
static gr_status connect_one(gr_pool *pool, line *l, taker who, gr_engine_conn **ret, gr_error *err) {
    uint64_t forgot = pool->forgettings;
    pthread_mutex_unlock(&pool->lock);
    gr_engine_conn *conn = NULL;
    gr_status status = pool->engine->driver->connect(pool->engine, l->source, &conn, err);
    pthread_mutex_lock(&pool->lock);
    if (status) {
        l->n_used[who]--;
        pthread_cond_broadcast(&pool->freed);
        return status;
    }
    conn->source = l->source;
    l->slots[l->n++] = (slot){conn, true, who, forgot, ++pool->tick};
    *ret = conn;
    return GR_OK;
}

static gr_status take(gr_pool *pool, const gr_ctx *ctx, gr_str source, taker who, gr_engine_conn **ret, gr_error *err) {
    gr_status status = GR_OK;
    pthread_mutex_lock(&pool->lock);
    line *l = line_of(pool, source, pool->max);
    while (!(status = stopped(ctx, err))) {
        if (l->n_used[who] >= l->max[who]) {
            wait_a_little(pool);
            continue;
        }
        slot *idle = warmest_idle(l);
        l->n_used[who]++;
        if (!idle) {
            status = connect_one(pool, l, who, ret, err);
            break;
        }
        idle->is_busy = true;
        idle->taker = who;
        *ret = idle->conn;
        break;
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

gr_status gr_pool_take(gr_pool *pool, const gr_ctx *ctx, gr_str source, gr_engine_conn **ret, gr_error *err) {
    return take(pool, ctx, source, ctx && ctx->is_build ? BUILD : QUERY, ret, err);
}

gr_status gr_pool_take_second(gr_pool *pool, const gr_ctx *ctx, gr_str source, gr_engine_conn **ret, gr_error *err) {
    return take(pool, ctx, source, SECOND, ret, err);
}

static slot *slot_of(gr_pool *pool, const gr_engine_conn *conn, line **ret_line) {
    for (line *l = pool->lines; l; l = l->next)
        for (size_t i = 0; i < l->n; i++)
            if (l->slots[i].conn == conn) {
                *ret_line = l;
                return &l->slots[i];
            }
    return NULL;
}

void gr_pool_give(gr_pool *pool, gr_engine_conn *conn) {
    if (!conn) return;
    conn->driver->reset(conn);
    pthread_mutex_lock(&pool->lock);
    line *l = NULL;
    slot *s = slot_of(pool, conn, &l);
    if (s) {
        l->n_used[s->taker]--;
        if (s->forgot != pool->forgettings) conn->driver->forget_statements(conn);
        s->forgot = pool->forgettings;
        s->given_at = ++pool->tick;
        s->is_busy = false;
        pthread_cond_broadcast(&pool->freed);
    }
    pthread_mutex_unlock(&pool->lock);
}

void gr_pool_forget_statements(gr_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->forgettings++;
    for (line *l = pool->lines; l; l = l->next) {
        for (size_t i = 0; i < l->n; i++) {
            slot *s = &l->slots[i];
            if (s->is_busy) continue;
            s->conn->driver->forget_statements(s->conn);
            s->forgot = pool->forgettings;
        }
    }
    pthread_mutex_unlock(&pool->lock);
}
