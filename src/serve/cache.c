/* A hash table with chains, and a list of its entries by last use.
 * Invariant, under the lock: `bytes` is the sum of the entries' bytes and the slots', and at most max_bytes when a call
 * ends. The hash has a seed of this process, so that nobody can choose keys that meet in one chain. */
#include "serve/cache.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_SLOTS = 64, MALLOC_BYTES = 16 };

struct gr_cache {
    pthread_mutex_t lock; /* serve.cache: nothing else is taken or called while it is held */
    gr_cached **slots;
    size_t n_slots, n, bytes, max_bytes;
    gr_cached *newest, *oldest;
    uint64_t evictions, seed;
};

/* ---- entries --------------------------------------------------------------------------------- */
static char *copy_text(char *at, gr_str *text) {
    if (text->n) memcpy(at, text->p, text->n);
    text->p = at;
    return at + text->n;
}

gr_cached *gr_serve_cached_new(const gr_cached *fields) {
    size_t entity_bytes = fields->n_entities * sizeof *fields->entities;
    size_t bytes = sizeof *fields + entity_bytes + fields->key.n + fields->renewal.n + fields->head.n + fields->tail.n +
                   fields->served_by.n;
    gr_cached *e = gr_mem_alloc(bytes);
    memset(e, 0, sizeof *e);
    e->key = fields->key;
    e->renewal = fields->renewal;
    e->head = fields->head;
    e->tail = fields->tail;
    e->served_by = fields->served_by;
    e->refreshed_us = fields->refreshed_us;
    e->started_mono_us = fields->started_mono_us;
    e->max_age_us = fields->max_age_us;
    e->moment = fields->moment;
    e->n_entities = fields->n_entities;
    int64_t *entities = (int64_t *)(e + 1);
    if (entity_bytes) memcpy(entities, fields->entities, entity_bytes);
    e->entities = entities;
    gr_str *const texts[] = {&e->key, &e->renewal, &e->head, &e->tail, &e->served_by};
    char *at = (char *)entities + entity_bytes;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) at = copy_text(at, texts[i]);
    e->bytes = bytes + MALLOC_BYTES;
    atomic_init(&e->refs, 1);
    atomic_init(&e->is_refreshing, false);
    atomic_init(&e->hit_second, 0);
    return e;
}

gr_cached *gr_serve_cached_ref(gr_cached *e) {
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void gr_serve_cached_unref(gr_cached *e) {
    if (e && atomic_fetch_sub(&e->refs, 1) == 1) free(e);
}

/* ---- the table, under the lock --------------------------------------------------------------- */
static gr_cached **slot_of(const gr_cache *cache, uint64_t hash) { return &cache->slots[hash & (cache->n_slots - 1)]; }

static gr_cached *find(const gr_cache *cache, uint64_t hash, gr_str key) {
    gr_cached *e = *slot_of(cache, hash);
    while (e && (e->hash != hash || !gr_str_eq(e->key, key))) e = e->next;
    return e;
}

static void unlink_use(gr_cache *cache, gr_cached *e) {
    *(e->newer ? &e->newer->older : &cache->newest) = e->older;
    *(e->older ? &e->older->newer : &cache->oldest) = e->newer;
}

static void link_use(gr_cache *cache, gr_cached *e) {
    e->newer = NULL;
    e->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
    cache->newest = e;
}

/* The reference of the table goes to `out`, whose entries are let go once the lock is free. */
static void take_out(gr_cache *cache, gr_cached *e, gr_cached **out) {
    gr_cached **at = slot_of(cache, e->hash);
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    unlink_use(cache, e);
    cache->n--;
    cache->bytes -= e->bytes;
    e->next = *out;
    *out = e;
}

static void grow(gr_cache *cache) {
    size_t n_old = cache->n_slots;
    gr_cached **old = cache->slots;
    cache->n_slots = n_old ? n_old * 2 : FIRST_SLOTS;
    cache->slots = gr_mem_calloc(cache->n_slots, sizeof *cache->slots);
    cache->bytes += (cache->n_slots - n_old) * sizeof *cache->slots;
    for (size_t i = 0; i < n_old; i++) {
        for (gr_cached *e = old[i], *next; e; e = next) {
            next = e->next;
            gr_cached **slot = slot_of(cache, e->hash);
            e->next = *slot;
            *slot = e;
        }
    }
    free(old);
}

static void put_in(gr_cache *cache, gr_cached *e) {
    gr_cached **slot = slot_of(cache, e->hash);
    e->next = *slot;
    *slot = e;
    link_use(cache, e);
    cache->n++;
    cache->bytes += e->bytes;
}

/* ---- calls ----------------------------------------------------------------------------------- */
gr_cache *gr_serve_cache_new(size_t max_bytes) {
    gr_cache *cache = gr_mem_calloc(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    cache->max_bytes = max_bytes;
    if (getrandom(&cache->seed, sizeof cache->seed, GRND_NONBLOCK) != (ssize_t)sizeof cache->seed)
        cache->seed = (uint64_t)gr_clock_mono_us();
    return cache;
}

/* Each was taken out once: the analyzer does not see that the oldest is another one after that. */
static void let_go(gr_cached *out) {
    while (out) {
        gr_cached *next = out->next; /* NOLINT(clang-analyzer-unix.Malloc) */
        gr_serve_cached_unref(out);
        out = next;
    }
}

void gr_serve_cache_free(gr_cache *cache) {
    if (!cache) return;
    gr_cached *out = NULL;
    while (cache->oldest) take_out(cache, cache->oldest, &out);
    let_go(out);
    pthread_mutex_destroy(&cache->lock);
    free(cache->slots);
    free(cache);
}

size_t gr_serve_cache_max_entry(const gr_cache *cache) { return cache->max_bytes / 8; }

gr_cached *gr_serve_cache_get(gr_cache *cache, gr_str key) {
    if (!cache->max_bytes) return NULL;
    uint64_t hash = gr_str_hash_seeded(key, cache->seed);
    pthread_mutex_lock(&cache->lock);
    gr_cached *e = cache->n ? find(cache, hash, key) : NULL;
    if (e) {
        gr_serve_cached_ref(e);
        if (e != cache->newest) {
            unlink_use(cache, e);
            link_use(cache, e);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return e;
}

bool gr_serve_cache_put(gr_cache *cache, gr_cached *e) {
    if (e->bytes > gr_serve_cache_max_entry(cache)) return false;
    gr_cached *out = NULL;
    e->hash = gr_str_hash_seeded(e->key, cache->seed);
    pthread_mutex_lock(&cache->lock);
    gr_cached *old = cache->n ? find(cache, e->hash, e->key) : NULL;
    bool is_late = old && gr_str_eq(old->renewal, e->renewal) && old->started_mono_us > e->started_mono_us;
    if (!is_late) {
        if (old) take_out(cache, old, &out);
        if (cache->n >= cache->n_slots) grow(cache);
        put_in(cache, gr_serve_cached_ref(e));
        while (cache->bytes > cache->max_bytes && cache->oldest) {
            take_out(cache, cache->oldest, &out);
            cache->evictions++;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    let_go(out);
    return !is_late;
}

gr_cache_sizes gr_serve_cache_sizes(gr_cache *cache) {
    pthread_mutex_lock(&cache->lock);
    gr_cache_sizes sizes = {cache->n, cache->bytes, cache->max_bytes, cache->evictions};
    pthread_mutex_unlock(&cache->lock);
    return sizes;
}
