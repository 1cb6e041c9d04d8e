/* What the files of the sketch room share: the sketch in memory.
 *
 *   EXPLICIT   values: [ sorted, distinct ............ | tail, as it came ]
 *                       0                       n_sorted               n
 *   registers  one byte each, 2^log2m of them; zeroed up to a multiple of GR_SKETCH_BLOCK
 *
 * Invariant: which of the two it is depends only on the set of values that went in, once the list is settled; so every
 * function that lets the form be seen settles it first. */
#ifndef GR_SKETCH_INTERNAL_H
#define GR_SKETCH_INTERNAL_H
#include "sketch/sketch.h"

enum {
    GR_SKETCH_BLOCK = 64,           /* loops over registers go by whole blocks; 2^log2m may be only 16 */
    GR_SKETCH_MAX_THRESHOLD = 10240 /* of log2m 17; the extension's own ceiling, 16384, is never met */
};
enum { GR_SKETCH_MAX_VALUE = (1 << GR_HLL_REGWIDTH) - 1 };

struct gr_hll {
    gr_hll *self; /* this sketch: settling changes its form and not its content, so that readers may do it too */
    int log2m;
    bool is_state; /* over ClickHouse's hashes */
    bool is_dense;
    uint32_t n, n_sorted, cap; /* of values */
    union {
        int64_t *values;
        uint8_t *registers;
    };
};

static inline size_t gr_sketch_registers(int log2m) { return (size_t)1 << log2m; }
static inline size_t gr_sketch_full_bytes(int log2m) { return gr_sketch_registers(log2m) * GR_HLL_REGWIDTH / 8; }
/* So many distinct values stay EXPLICIT. ClickHouse keeps twice as many, so that what is a list here never was more
 * than one there. */
static inline size_t gr_sketch_threshold(int log2m, bool is_state) {
    enum { STATE_SHIFT = 5 };
    return is_state ? (size_t)1 << (log2m - STATE_SHIFT) : gr_sketch_full_bytes(log2m) / 8;
}

/* The value of a register after `hash`. A hash without a bit above the index is 0, as in the extension. */
static inline unsigned gr_sketch_value(uint64_t hash, int log2m) {
    uint64_t rest = hash >> log2m;
    unsigned value = (unsigned)__builtin_ctzll(rest | UINT64_C(1) << (GR_SKETCH_MAX_VALUE - 1)) + 1;
    return rest ? value : 0;
}

static inline void gr_sketch_register_add(uint8_t *registers, uint64_t hash, int log2m) {
    size_t at = hash & (gr_sketch_registers(log2m) - 1);
    uint8_t value = (uint8_t)gr_sketch_value(hash, log2m);
    if (registers[at] < value) registers[at] = value;
}

gr_hll *gr_sketch_new(int log2m, bool is_state);
/* GR_ERR_SKETCH when what is so cannot be joined with it. */
gr_status gr_sketch_meets(const gr_hll *sketch, int log2m, bool is_state, gr_error *err);

/* into[i] = max(into[i], from[i]); n is a multiple of GR_SKETCH_BLOCK. */
void gr_sketch_max(uint8_t *restrict into, const uint8_t *restrict from, size_t n);

/* ---- EXPLICIT (list.c); the sketch is not dense -------------------------------------------------------------------
 */
/* May turn the sketch dense. */
void gr_sketch_list_add(gr_hll *sketch, int64_t value);
/* Room for n values at once, in a sketch that has none. */
void gr_sketch_list_reserve(gr_hll *sketch, size_t n);
/* Sort and count; more distinct values than the threshold become registers. Does nothing to a dense sketch. */
void gr_sketch_settle(const gr_hll *sketch);
/* To registers, whatever the number of values. Does nothing to a dense sketch. */
void gr_sketch_to_dense(gr_hll *sketch);
#endif
