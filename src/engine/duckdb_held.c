/* The sketches that states of aggregates hold. DuckDB does not destroy every state: groups that a LIMIT leaves unread,
 * and those of a statement that fails or is cancelled after its groups were made, are dropped without a call to the
 * destructor (seen with 1.5.6). So each sketch is listed here by the time at which it was made, and what is older than
 * every statement that still runs is freed when a statement ends:
 *
 *   clock        1        2             3        4
 *   statements   A begins B begins      A ends   C begins
 *   sketches              a' (2)  b' (2)
 *                                       oldest still running: B, 2 -> nothing made before 2 is of use
 *
 * Invariant: a sketch made at time t belongs to a statement that began at t or before; hence when all that run began
 * later, its owner is gone. A state refers to a slot by number of use, so that a destructor called after that, or a
 * task that outlived its statement, finds nothing in place of freed memory. Threads: callbacks hold `in_use` for
 * reading, the sweep for writing; slots are never given back to malloc. */
#include "base/mem.h"
#include "engine/duckdb_internal.h"

#include <limits.h>

enum { SHARDS = 16, SLAB = 64 };

struct gr_duckdb_held {
    gr_duckdb_held *prev, *next; /* by time; `next` alone in the list of free slots */
    gr_hll *sketch;              /* owned; NULL: the slot is free */
    atomic_uint_fast64_t use;    /* counts the uses of the slot */
    uint64_t made_at;
    unsigned shard;
};

typedef struct shard {
    _Alignas(64) pthread_mutex_t lock;
    gr_duckdb_held *first, *last, *unused;
} shard;

static shard shards[SHARDS] = {[0 ... SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};
/* Writers first: under load readers follow each other without a gap. */
static pthread_rwlock_t in_use = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;
static gr_duckdb_running *running_first, *running_last; /* in the order in which they began */
static atomic_uint_fast64_t now;
static atomic_size_t n_held;
static atomic_uint next_shard;

static shard *my_shard(unsigned *ret) {
    static _Thread_local unsigned mine = UINT_MAX;
    if (mine == UINT_MAX) mine = atomic_fetch_add(&next_shard, 1) % SHARDS;
    *ret = mine;
    return &shards[mine];
}

static gr_duckdb_held *take_slot(shard *s, unsigned at) {
    if (!s->unused) {
        gr_duckdb_held *slab = gr_mem_calloc(SLAB, sizeof *slab);
        for (size_t i = 0; i < SLAB; i++) slab[i].next = i + 1 < SLAB ? &slab[i + 1] : NULL;
        s->unused = slab;
    }
    gr_duckdb_held *slot = s->unused;
    s->unused = slot->next;
    slot->shard = at;
    return slot;
}

/* Under the shard's lock. The sketch is the caller's now. */
static gr_hll *free_slot(shard *s, gr_duckdb_held *slot) {
    gr_hll *sketch = slot->sketch;
    *(slot->prev ? &slot->prev->next : &s->first) = slot->next;
    *(slot->next ? &slot->next->prev : &s->last) = slot->prev;
    atomic_fetch_add(&slot->use, 1);
    slot->sketch = NULL;
    slot->next = s->unused;
    s->unused = slot;
    atomic_fetch_sub(&n_held, 1);
    return sketch;
}

void gr_engine_duckdb_held_begin(void) { pthread_rwlock_rdlock(&in_use); }
void gr_engine_duckdb_held_end(void) { pthread_rwlock_unlock(&in_use); }

bool gr_engine_duckdb_held_is_over(gr_duckdb_ref ref) { return ref.slot && atomic_load(&ref.slot->use) != ref.use; }

gr_hll *gr_engine_duckdb_held_get(gr_duckdb_ref ref) {
    return ref.slot && atomic_load(&ref.slot->use) == ref.use ? ref.slot->sketch : NULL;
}

gr_duckdb_ref gr_engine_duckdb_held_put(gr_hll *sketch) {
    unsigned at;
    shard *s = my_shard(&at);
    pthread_mutex_lock(&s->lock);
    gr_duckdb_held *slot = take_slot(s, at);
    slot->sketch = sketch;
    slot->made_at = atomic_load(&now);
    slot->prev = s->last;
    slot->next = NULL;
    *(s->last ? &s->last->next : &s->first) = slot;
    s->last = slot;
    atomic_fetch_add(&n_held, 1);
    gr_duckdb_ref ref = {slot, atomic_load(&slot->use)};
    pthread_mutex_unlock(&s->lock);
    return ref;
}

void gr_engine_duckdb_held_drop(gr_duckdb_ref ref) {
    if (!ref.slot) return;
    shard *s = &shards[ref.slot->shard];
    pthread_mutex_lock(&s->lock);
    gr_hll *sketch = atomic_load(&ref.slot->use) == ref.use ? free_slot(s, ref.slot) : NULL;
    pthread_mutex_unlock(&s->lock);
    gr_hll_free(sketch);
}

size_t gr_engine_duckdb_held_count(void) { return atomic_load(&n_held); }

/* ---- statements ---------------------------------------------------------------------------------------------------
 */

static bool has_older(uint64_t than) {
    bool has = false;
    for (size_t i = 0; !has && i < SHARDS && atomic_load(&n_held); i++) {
        pthread_mutex_lock(&shards[i].lock);
        has = shards[i].first && shards[i].first->made_at < than;
        pthread_mutex_unlock(&shards[i].lock);
    }
    return has;
}

static void sweep(uint64_t older_than) {
    if (!has_older(older_than)) return;
    pthread_rwlock_wrlock(&in_use);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        while (shards[i].first && shards[i].first->made_at < older_than)
            gr_hll_free(free_slot(&shards[i], shards[i].first));
        pthread_mutex_unlock(&shards[i].lock);
    }
    pthread_rwlock_unlock(&in_use);
}

void gr_engine_duckdb_running_begin(gr_duckdb_running *running) {
    gr_engine_duckdb_running_end(running);
    pthread_mutex_lock(&running_lock);
    *running = (gr_duckdb_running){.began_at = atomic_fetch_add(&now, 1) + 1, .prev = running_last};
    *(running_last ? &running_last->next : &running_first) = running;
    running_last = running;
    pthread_mutex_unlock(&running_lock);
}

void gr_engine_duckdb_running_end(gr_duckdb_running *running) {
    if (!running->began_at) return;
    pthread_mutex_lock(&running_lock);
    *(running->prev ? &running->prev->next : &running_first) = running->next;
    *(running->next ? &running->next->prev : &running_last) = running->prev;
    *running = (gr_duckdb_running){0};
    uint64_t oldest = running_first ? running_first->began_at : UINT64_MAX;
    pthread_mutex_unlock(&running_lock);
    sweep(oldest);
}
