/* Hash map from text to pointer, in an arena; insertion order is kept. Keys are borrowed: keep them as long as the map.
 * Threads: any number of readers once nobody puts. */
#ifndef GR_BASE_MAP_H
#define GR_BASE_MAP_H
#include "base/arena.h"

typedef struct gr_map_entry {
    gr_str key;
    void *value;
    uint64_t hash;
} gr_map_entry;

typedef struct gr_map {
    gr_arena *arena;
    gr_map_entry *entries; /* in order of insertion */
    size_t n, cap;
    uint32_t *slots; /* index + 1 into entries, 0 = free */
    size_t n_slots;
} gr_map;

void gr_map_init(gr_map *map, gr_arena *arena);
/* NULL when absent. */
void *gr_map_get(const gr_map *map, gr_str key);
/* False, and the old value stays, when the key is there already. */
bool gr_map_put(gr_map *map, gr_str key, void *value);
/* Overwrites. */
void gr_map_set(gr_map *map, gr_str key, void *value);
#endif
