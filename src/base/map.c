#include "base/map.h"

void gr_map_init(gr_map *map, gr_arena *arena) { *map = (gr_map){.arena = arena}; }

static uint32_t *slot_of(const gr_map *m, gr_str key, uint64_t hash) {
    size_t mask = m->n_slots - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        uint32_t at = m->slots[i];
        if (at == 0) return &m->slots[i];
        const gr_map_entry *e = &m->entries[at - 1];
        if (e->hash == hash && gr_str_eq(e->key, key)) return &m->slots[i];
    }
}

static void grow(gr_map *m) {
    m->n_slots = m->n_slots ? m->n_slots * 2 : 16;
    m->slots = GR_NEW_N(m->arena, uint32_t, m->n_slots);
    for (size_t i = 0; i < m->n; i++) *slot_of(m, m->entries[i].key, m->entries[i].hash) = (uint32_t)(i + 1);
}

void *gr_map_get(const gr_map *m, gr_str key) {
    if (m->n == 0) return NULL;
    uint32_t at = *slot_of(m, key, gr_str_hash(key));
    return at ? m->entries[at - 1].value : NULL;
}

static gr_map_entry *entry_for(gr_map *m, gr_str key, bool *ret_is_new) {
    if ((m->n + 1) * 4 > m->n_slots * 3) grow(m);
    uint64_t hash = gr_str_hash(key);
    uint32_t *slot = slot_of(m, key, hash);
    *ret_is_new = *slot == 0;
    if (*slot) return &m->entries[*slot - 1];
    if (m->n == m->cap) m->entries = gr_arena_grow(m->arena, m->entries, sizeof *m->entries, m->n, &m->cap);
    m->entries[m->n] = (gr_map_entry){.key = key, .hash = hash};
    *slot = (uint32_t)(m->n + 1);
    return &m->entries[m->n++];
}

bool gr_map_put(gr_map *m, gr_str key, void *value) {
    bool is_new;
    gr_map_entry *e = entry_for(m, key, &is_new);
    if (is_new) e->value = value;
    return is_new;
}

void gr_map_set(gr_map *m, gr_str key, void *value) {
    bool is_new;
    entry_for(m, key, &is_new)->value = value;
}
