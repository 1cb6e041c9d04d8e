/* A list of keys with their values. Keys are few (those that models write), so that a list will do.
 * Invariant: a key that somebody asks for is not forgotten; an asking that was cancelled, or ran out of its asker's
 * time, says nothing about the key: the next one who waits asks again. */
#include "serve/keys.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_VALUE_BYTES = 64 << 10, SLICE_US = 50000 };

typedef struct key {
    struct key *next;
    char *text; /* data source, NUL, SQL */
    size_t n_text;
    char *value; /* NULL: none yet */
    size_t n_value;
    bool is_asking, is_failed;
    int64_t asked_us; /* when the asking began that ended last; 0: never */
    gr_error error;
} key;

struct gr_keys {
    pthread_mutex_t lock; /* serve.keys: not held while the source is asked */
    pthread_cond_t told;
    key *first;
    size_t n, max;
    gr_keys_ask *ask;
    void *arg;
    atomic_uint_fast64_t changes;
};

gr_keys *gr_serve_keys_new(size_t max_keys, gr_keys_ask *ask, void *arg) {
    gr_keys *keys = gr_mem_calloc(1, sizeof *keys);
    keys->max = max_keys;
    keys->ask = ask;
    keys->arg = arg;
    pthread_mutex_init(&keys->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&keys->told, &attr);
    pthread_condattr_destroy(&attr);
    return keys;
}

static void key_free(key *k) {
    free(k->text);
    free(k->value);
    free(k);
}

void gr_serve_keys_free(gr_keys *keys) {
    if (!keys) return;
    for (key *k = keys->first, *next; k; k = next) {
        next = k->next;
        key_free(k);
    }
    pthread_cond_destroy(&keys->told);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

/* ---- the list, under the lock ---------------------------------------------------------------- */
static gr_str text_of(gr_str data_source, gr_str sql, gr_arena *arena) {
    char *p = gr_arena_alloc(arena, data_source.n + sql.n + 1);
    if (data_source.n) memcpy(p, data_source.p, data_source.n);
    if (sql.n) memcpy(p + data_source.n + 1, sql.p, sql.n);
    return (gr_str){p, data_source.n + sql.n + 1};
}

static key *find(const gr_keys *keys, gr_str text) {
    key *k = keys->first;
    while (k && !gr_str_eq((gr_str){k->text, k->n_text}, text)) k = k->next;
    return k;
}

static void forget_oldest(gr_keys *keys) {
    key **oldest = NULL;
    for (key **at = &keys->first; *at; at = &(*at)->next)
        if (!(*at)->is_asking && (!oldest || (*at)->asked_us < (*oldest)->asked_us)) oldest = at;
    if (!oldest) return;
    key *k = *oldest;
    *oldest = k->next;
    keys->n--;
    key_free(k);
}

static key *find_or_add(gr_keys *keys, gr_str text) {
    key *k = find(keys, text);
    if (k) return k;
    if (keys->n >= keys->max) forget_oldest(keys);
    k = gr_mem_calloc(1, sizeof *k);
    k->text = gr_mem_dup(text.p, text.n);
    k->n_text = text.n;
    k->next = keys->first;
    keys->first = k;
    keys->n++;
    return k;
}

static void take_value(gr_keys *keys, key *k, gr_str value) {
    bool is_same = k->value && k->n_value == value.n && memcmp(k->value, value.p, value.n) == 0;
    k->is_failed = false;
    if (is_same) return;
    free(k->value);
    k->value = gr_mem_dup(value.n ? value.p : "", value.n);
    k->n_value = value.n;
    atomic_fetch_add(&keys->changes, 1);
}

/* ---- asking ---------------------------------------------------------------------------------- */
/* The lock is let go meanwhile; `k` stays, since it is being asked. */
static gr_status ask(gr_keys *keys, const gr_ctx *ctx, key *k, gr_str data_source, gr_str sql, bool *ret_is_news,
                     gr_error *err) {
    gr_error error = {0};
    gr_buf value;
    gr_buf_init(&value, MAX_VALUE_BYTES);
    int64_t began = gr_clock_mono_us();
    k->is_asking = true;
    pthread_mutex_unlock(&keys->lock);
    gr_status status = keys->ask(keys->arg, ctx, data_source, sql, &value, &error);
    if (!status && value.is_over)
        status =
            gr_error_set(&error, GR_ERR_LIMIT, "The value of the refresh key is longer than %d bytes", MAX_VALUE_BYTES);
    pthread_mutex_lock(&keys->lock);
    k->is_asking = false;
    if (!status) {
        take_value(keys, k, gr_buf_str(&value));
        k->asked_us = began;
    } else if (status != GR_ERR_CANCELLED && status != GR_ERR_TIMEOUT) {
        if (ret_is_news) *ret_is_news = !k->is_failed;
        k->is_failed = true;
        k->error = error;
        k->asked_us = began;
    }
    pthread_cond_broadcast(&keys->told);
    gr_buf_done(&value);
    if (status && err) *err = error;
    return status;
}

static gr_status wait_for_asker(gr_keys *keys, const gr_ctx *ctx, gr_error *err) {
    int64_t us = gr_clock_mono_us() + SLICE_US;
    struct timespec until = {us / 1000000, us % 1000000 * 1000};
    (void)pthread_cond_timedwait(&keys->told, &keys->lock, &until);
    if (gr_ctx_is_cancelled(ctx)) return gr_error_set(err, GR_ERR_CANCELLED, "The request was cancelled");
    if (gr_ctx_is_late(ctx)) return gr_error_set(err, GR_ERR_TIMEOUT, "The refresh key was not answered in time");
    return GR_OK;
}

static gr_status take_known(const key *k, gr_arena *arena, gr_str *ret, gr_error *err) {
    if (k->is_failed) {
        if (err) *err = k->error;
        return k->error.status;
    }
    *ret = gr_arena_dup(arena, (gr_str){k->value, k->n_value});
    return GR_OK;
}

gr_status gr_serve_keys_get(gr_keys *keys, const gr_ctx *ctx, gr_str data_source, gr_str sql, int64_t max_age_us,
                            gr_str *ret, bool *ret_is_news, gr_error *err) {
    gr_str text = text_of(data_source, sql, ctx->arena);
    int64_t least = gr_clock_mono_us() - max_age_us;
    gr_status status = GR_OK;
    if (ret_is_news) *ret_is_news = false;
    pthread_mutex_lock(&keys->lock);
    for (;;) {
        key *k = find_or_add(keys, text); /* anew: it may have been forgotten while the lock was free */
        if (k->asked_us && k->asked_us >= least) {
            status = take_known(k, ctx->arena, ret, err);
            break;
        }
        if (k->is_asking) {
            status = wait_for_asker(keys, ctx, err);
            if (status) break;
            continue;
        }
        status = ask(keys, ctx, k, data_source, sql, ret_is_news, err);
        if (status) break;
        *ret = gr_arena_dup(ctx->arena, (gr_str){k->value, k->n_value});
        break;
    }
    pthread_mutex_unlock(&keys->lock);
    return status;
}

bool gr_serve_keys_peek(gr_keys *keys, gr_str data_source, gr_str sql, gr_arena *arena, gr_str *ret,
                        int64_t *ret_asked_mono_us) {
    gr_str text = text_of(data_source, sql, arena);
    pthread_mutex_lock(&keys->lock);
    const key *k = find(keys, text);
    bool is_known = k && k->value && !k->is_failed;
    if (is_known) {
        *ret = gr_arena_dup(arena, (gr_str){k->value, k->n_value});
        if (ret_asked_mono_us) *ret_asked_mono_us = k->asked_us;
    }
    pthread_mutex_unlock(&keys->lock);
    return is_known;
}

uint64_t gr_serve_keys_changes(const gr_keys *keys) { return atomic_load(&keys->changes); }
