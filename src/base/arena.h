/* Arenas: memory that dies together. Named by lifespan: model (read-only once sealed), request, job.
 * Threads: one thread at a time until sealed; then any number may read. malloc failing aborts. */
#ifndef GR_BASE_ARENA_H
#define GR_BASE_ARENA_H
#include "base/str.h"

typedef struct gr_arena gr_arena;

gr_arena *gr_arena_new(void);
/* Runs the deferred calls in reverse order, then frees all. Accepts NULL. */
void gr_arena_free(gr_arena *arena);
/* Forget all, keep the first block for reuse. Runs deferred calls. */
void gr_arena_reset(gr_arena *arena);
/* Zeroed, 16-byte aligned, never NULL. */
void *gr_arena_alloc(gr_arena *arena, size_t bytes);
/* Copy with a NUL behind it (not counted in n). */
gr_str gr_arena_dup(gr_arena *arena, gr_str s);
gr_str gr_arena_printf(gr_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gr_arena_defer(gr_arena *arena, void (*fn)(void *), void *object);
size_t gr_arena_used_bytes(const gr_arena *arena);

#define GR_NEW(arena, T) ((T *)gr_arena_alloc((arena), sizeof(T)))
#define GR_NEW_N(arena, T, count) ((T *)gr_arena_alloc((arena), sizeof(T) * (count)))

/* Vectors that grow in an arena: `GR_VEC(T) xs = {0}; GR_PUSH(arena, &xs, x); xs.v[i], xs.n`. */
#define GR_VEC(T)                                                                                                      \
    struct {                                                                                                           \
        T *v;                                                                                                          \
        size_t n, cap;                                                                                                 \
    }
#define GR_PUSH(arena, vec, ...)                                                                                       \
    do {                                                                                                               \
        if ((vec)->n == (vec)->cap)                                                                                    \
            (vec)->v = gr_arena_grow((arena), (vec)->v, sizeof *(vec)->v, (vec)->n, &(vec)->cap);                      \
        (vec)->v[(vec)->n++] = (__VA_ARGS__);                                                                          \
    } while (0)
void *gr_arena_grow(gr_arena *arena, void *old, size_t item_bytes, size_t count, size_t *cap);
#endif
