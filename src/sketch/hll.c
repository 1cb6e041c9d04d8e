/* Sketches in memory: add, union, fold. See internal.h for the two forms. */
#include "base/mem.h"
#include "sketch/internal.h"

#include <assert.h>
#include <stdlib.h>

gr_hll *gr_sketch_new(int log2m, bool is_state) {
    assert(log2m >= (is_state ? GR_HLL_STATE_MIN_LOG2M : GR_HLL_MIN_LOG2M) && log2m <= GR_HLL_MAX_LOG2M);
    gr_hll *s = gr_mem_calloc(1, sizeof *s);
    s->self = s;
    s->log2m = log2m;
    s->is_state = is_state;
    return s;
}

gr_hll *gr_hll_new(int log2m) { return gr_sketch_new(log2m, false); }
gr_hll *gr_hll_new_state(int log2m) { return gr_sketch_new(log2m, true); }
bool gr_hll_is_state(const gr_hll *s) { return s->is_state; }

void gr_hll_free(gr_hll *s) {
    if (!s) return;
    free(s->is_dense ? (void *)s->registers : (void *)s->values);
    free(s);
}

int gr_hll_log2m(const gr_hll *s) { return s->log2m; }

void gr_hll_add(gr_hll *s, uint64_t hash) {
    if (s->is_dense)
        gr_sketch_register_add(s->registers, hash, s->log2m);
    else
        gr_sketch_list_add(s, (int64_t)hash);
}

void gr_hll_add_many(gr_hll *s, const uint64_t *hashes, size_t n) {
    size_t i = 0;
    for (; i < n && !s->is_dense; i++) gr_sketch_list_add(s, (int64_t)hashes[i]);
    uint8_t *registers = s->registers;
    int log2m = s->log2m;
    for (; i < n; i++) gr_sketch_register_add(registers, hashes[i], log2m);
}

void gr_hll_prefetch(const gr_hll *s) {
    if (!s->is_dense && s->n) __builtin_prefetch(&s->values[s->n - 1], 1);
}

/* The inner loop has a constant length, so that it becomes vector instructions at -O2. */
void gr_sketch_max(uint8_t *restrict into, const uint8_t *restrict from, size_t n) {
    for (size_t at = 0; at < n; at += GR_SKETCH_BLOCK)
        for (size_t i = 0; i < GR_SKETCH_BLOCK; i++)
            into[at + i] = into[at + i] > from[at + i] ? into[at + i] : from[at + i];
}

gr_status gr_sketch_meets(const gr_hll *s, int log2m, bool is_state, gr_error *err) {
    if (s->is_state != is_state)
        return gr_error_set(err, GR_ERR_SKETCH, "hashes do not match: a state of ClickHouse and a sketch");
    if (s->log2m != log2m)
        return gr_error_set(err, GR_ERR_SKETCH, "register count does not match: 2^%d and 2^%d", s->log2m, log2m);
    return GR_OK;
}

/* `other` is only read, not even settled: the engine combines one state into several on several threads. */
gr_status gr_hll_union(gr_hll *into, const gr_hll *other, gr_error *err) {
    GR_TRY(gr_sketch_meets(into, other->log2m, other->is_state, err));
    if (into == other) return GR_OK;
    if (!other->is_dense) {
        for (uint32_t i = 0; i < other->n; i++) gr_hll_add(into, (uint64_t)other->values[i]);
        return GR_OK;
    }
    gr_sketch_to_dense(into);
    size_t n = gr_sketch_registers(into->log2m);
    gr_sketch_max(into->registers, other->registers, n < GR_SKETCH_BLOCK ? GR_SKETCH_BLOCK : n);
    return GR_OK;
}

/* With fewer index bits the upper ones of the old index become the lowest of the rest: when one of them is set it
 * decides the value, else the old value counts on from there. */
static void fold_registers(gr_hll *into, const gr_hll *from) {
    unsigned shift = (unsigned)(from->log2m - into->log2m);
    size_t mask = gr_sketch_registers(into->log2m) - 1;
    for (size_t i = 0, n = gr_sketch_registers(from->log2m); i < n; i++) {
        if (!from->registers[i]) continue;
        size_t upper = i >> into->log2m;
        unsigned value = upper ? (unsigned)__builtin_ctzll(upper) + 1 : from->registers[i] + shift;
        if (value > GR_SKETCH_MAX_VALUE) value = GR_SKETCH_MAX_VALUE;
        uint8_t *to = &into->registers[i & mask];
        if (*to < value) *to = (uint8_t)value;
    }
}

gr_hll *gr_hll_fold(const gr_hll *sketch, int log2m) {
    assert(log2m <= sketch->log2m);
    gr_hll *s = gr_sketch_new(log2m, sketch->is_state);
    if (sketch->is_dense) {
        gr_sketch_to_dense(s);
        fold_registers(s, sketch);
    } else {
        for (uint32_t i = 0; i < sketch->n; i++) gr_hll_add(s, (uint64_t)sketch->values[i]);
    }
    return s;
}
