/* The table of finished answers: text to text, bounded in bytes; what was not asked for longest goes first.
 *
 * An entry says what was asked (`key`) and what it was made from (`renewal`): there is one entry for a key, and whoever
 * looks compares the renewal with that of now, so that an answer of other versions is never taken for one of these.
 * Entries are counted and do not change: one that is thrown out stays readable for those who hold it. All its memory is
 * counted, with that of the table; 0 bytes: nothing is ever kept.
 * Threads: any; one lock, held for a look into a hash table. Source: cube.md 6.7. */
#ifndef GR_SERVE_CACHE_H
#define GR_SERVE_CACHE_H
#include "base/arena.h"

#include <stdatomic.h>

typedef struct gr_cache gr_cache;

/* A moment at which a text of a request means what it meant: until a publish, a new value of a refresh key or the end
 * of the second. */
typedef struct gr_cache_moment {
    uint64_t generation, key_changes;
    int64_t second;
} gr_cache_moment;

typedef struct gr_cached {
    gr_str key, renewal;
    gr_str head, tail; /* the text of the answer, in two parts */
    gr_str served_by;
    const int64_t *entities; /* that served it */
    size_t n_entities;
    int64_t refreshed_us;                /* as of when it is */
    int64_t started_mono_us, max_age_us; /* when its run began, and how long after that it may serve */
    gr_cache_moment moment;              /* of the text of a request */
    atomic_bool is_refreshing;           /* somebody makes a newer one in the background */
    atomic_int_fast64_t hit_second;      /* of its last hit */
    /* the table's */
    atomic_uint refs;
    uint64_t hash;
    size_t bytes;
    struct gr_cached *next, *newer, *older;
} gr_cached;

gr_cache *gr_serve_cache_new(size_t max_bytes);
void gr_serve_cache_free(gr_cache *cache); /* accepts NULL; entries that are held stay */
/* The largest entry that is kept: an eighth of all. */
size_t gr_serve_cache_max_entry(const gr_cache *cache);
/* A copy of these fields, with all that they point to; owned: gr_serve_cached_unref. */
gr_cached *gr_serve_cached_new(const gr_cached *fields);
gr_cached *gr_serve_cached_ref(gr_cached *entry);
void gr_serve_cached_unref(gr_cached *entry); /* accepts NULL */

/* The entry of a key, which counts as asked for; owned, or NULL. */
gr_cached *gr_serve_cache_get(gr_cache *cache, gr_str key);
/* Take an entry in, in place of the one with its key, unless that was made of the same by a run that began later.
 * False: it was not taken. The table takes a reference of its own. */
bool gr_serve_cache_put(gr_cache *cache, gr_cached *entry);

typedef struct gr_cache_sizes {
    size_t entries, bytes, max_bytes;
    uint64_t evictions;
} gr_cache_sizes;
gr_cache_sizes gr_serve_cache_sizes(gr_cache *cache);
#endif
