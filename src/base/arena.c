/* Arenas as a chain of blocks that double up to 1 MiB; large requests get a block of their own. */
#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct block {
    struct block *next;
    size_t size, used;
    _Alignas(16) char data[];
} block;

typedef struct deferred {
    struct deferred *next;
    void (*fn)(void *);
    void *object;
} deferred;

struct gr_arena {
    block *blocks; /* newest first */
    deferred *deferred;
    size_t used_bytes;
};

enum { FIRST_BYTES = 4096, MOST_BYTES = 1 << 20 };

static block *block_new(size_t size) {
    block *b = gr_mem_alloc(sizeof *b + size);
    b->next = NULL;
    b->size = size;
    b->used = 0;
    return b;
}

gr_arena *gr_arena_new(void) {
    gr_arena *a = gr_mem_alloc(sizeof *a);
    *a = (gr_arena){.blocks = block_new(FIRST_BYTES)};
    return a;
}

static void run_deferred(gr_arena *a) {
    for (deferred *d = a->deferred; d; d = d->next) d->fn(d->object);
    a->deferred = NULL;
}

void gr_arena_free(gr_arena *a) {
    if (!a) return;
    run_deferred(a);
    for (block *b = a->blocks; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

void gr_arena_reset(gr_arena *a) {
    run_deferred(a);
    block *b = a->blocks;
    while (b->next) {
        block *next = b->next;
        free(b);
        b = next;
    }
    b->used = 0;
    a->blocks = b;
    a->used_bytes = 0;
}

void *gr_arena_alloc(gr_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 2) gr_mem_die(bytes);
    bytes = (bytes + 15) & ~(size_t)15;
    block *b = a->blocks;
    if (b->size - b->used < bytes) {
        size_t size = b->size * 2 > MOST_BYTES ? MOST_BYTES : b->size * 2;
        block *fresh = block_new(bytes > size ? bytes : size);
        fresh->next = b;
        a->blocks = b = fresh;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    a->used_bytes += bytes;
    return memset(p, 0, bytes);
}

gr_str gr_arena_dup(gr_arena *a, gr_str s) {
    char *p = gr_arena_alloc(a, s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    return (gr_str){p, s.n};
}

gr_str gr_arena_printf(gr_arena *a, const char *format, ...) {
    char small[256]; /* most texts are written once */
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n;
    char *p = gr_arena_alloc(a, size + 1);
    if (size < sizeof small)
        memcpy(p, small, size);
    else
        vsnprintf(p, size + 1, format, again);
    p[size] = 0;
    va_end(again);
    return (gr_str){p, size};
}

void gr_arena_defer(gr_arena *a, void (*fn)(void *), void *object) {
    deferred *d = GR_NEW(a, deferred);
    *d = (deferred){a->deferred, fn, object};
    a->deferred = d;
}

size_t gr_arena_used_bytes(const gr_arena *a) { return a->used_bytes; }

void *gr_arena_grow(gr_arena *a, void *old, size_t item_bytes, size_t count, size_t *cap) {
    size_t fresh = *cap ? *cap * 2 : 8;
    void *p = gr_arena_alloc(a, fresh * item_bytes);
    if (count) memcpy(p, old, count * item_bytes);
    *cap = fresh;
    return p;
}
