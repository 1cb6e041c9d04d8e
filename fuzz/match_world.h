/* Worlds for the matcher: bytes are choices, and what comes out is always a model and a query in text, as a user would
 * write them. Only members that the query or a rollup uses are written, so that a find is short. */
#ifndef GR_FUZZ_MATCH_WORLD_H
#define GR_FUZZ_MATCH_WORLD_H
#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct match_choices {
    const uint8_t *p;
    size_t n;
} match_choices;
/* From 0 to n - 1; 0 once the bytes are used up. */
static inline unsigned match_pick(match_choices *c, unsigned n) {
    if (!c->n || n < 2) return 0;
    c->n--;
    return *c->p++ % n;
}

typedef struct match_world {
    gr_str model, reversed; /* the same with the rollups of each cube in the opposite order */
    gr_str query;
    match_choices rest; /* for what happens while planning */
} match_world;

match_world match_world_make(const uint8_t *data, size_t size, gr_arena *arena);
#endif
