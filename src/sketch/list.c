/* EXPLICIT sketches: the hashes themselves, sorted as signed integers. What is added goes to an unsorted tail, which is
 * merged in when it has grown to an eighth of the list: a list of thousands then costs a few moves per value, not
 * thousands.
 * Invariant: values[0, n_sorted) ascend strictly and are at most the threshold. */
#include "base/mem.h"
#include "sketch/internal.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_TAIL = 16, MAX_TAIL = GR_SKETCH_MAX_THRESHOLD / 8, FIRST_CAP = 4, INSERTION_SORT = 32 };

static size_t tail_limit(const gr_hll *s) { return s->n_sorted / 8 > MIN_TAIL ? s->n_sorted / 8 : MIN_TAIL; }

void gr_sketch_list_reserve(gr_hll *s, size_t n) {
    if (n <= s->cap) return;
    s->cap = (uint32_t)n;
    s->values = gr_mem_realloc(s->values, n * sizeof *s->values);
}

void gr_sketch_list_add(gr_hll *s, int64_t value) {
    if (s->n - s->n_sorted >= tail_limit(s)) {
        gr_sketch_settle(s);
        if (s->is_dense) {
            gr_sketch_register_add(s->registers, (uint64_t)value, s->log2m);
            return;
        }
    }
    if (s->n == s->cap) gr_sketch_list_reserve(s, s->cap ? s->cap * 2 : FIRST_CAP);
    s->values[s->n++] = value;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sort(int64_t *v, size_t n) {
    if (n > INSERTION_SORT) {
        qsort(v, n, sizeof *v, by_value);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        int64_t x = v[i];
        size_t at = i;
        for (; at && v[at - 1] > x; at--) v[at] = v[at - 1];
        v[at] = x;
    }
}

static size_t drop_equal(int64_t *v, size_t n) {
    size_t kept = n ? 1 : 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[kept - 1]) v[kept++] = v[i];
    return kept;
}

/* Merge the sorted, distinct `tail` in from the end, where there is room for it; equal values leave a gap that closes
 * at last. */
static void merge(gr_hll *s, const int64_t *tail, size_t n_tail) {
    int64_t *v = s->values;
    size_t left = s->n_sorted, to = s->n_sorted + n_tail, end = to;
    while (n_tail) {
        if (left && v[left - 1] > tail[n_tail - 1])
            v[--to] = v[--left];
        else if (left && v[left - 1] == tail[n_tail - 1])
            n_tail--;
        else
            v[--to] = tail[--n_tail];
    }
    if (to > left) memmove(v + left, v + to, (end - to) * sizeof *v);
    s->n = s->n_sorted = (uint32_t)(left + end - to);
}

void gr_sketch_settle(const gr_hll *sketch) {
    gr_hll *s = sketch->self;
    if (s->is_dense || s->n == s->n_sorted) return;
    int64_t tail[MAX_TAIL];
    size_t n_tail = s->n - s->n_sorted;
    memcpy(tail, s->values + s->n_sorted, n_tail * sizeof *tail);
    sort(tail, n_tail);
    merge(s, tail, drop_equal(tail, n_tail));
    if (s->n > gr_sketch_threshold(s->log2m, s->is_state)) gr_sketch_to_dense(s);
}

void gr_sketch_to_dense(gr_hll *s) {
    if (s->is_dense) return;
    size_t bytes = gr_sketch_registers(s->log2m);
    uint8_t *registers = gr_mem_calloc(bytes < GR_SKETCH_BLOCK ? GR_SKETCH_BLOCK : bytes, 1);
    for (uint32_t i = 0; i < s->n; i++) gr_sketch_register_add(registers, (uint64_t)s->values[i], s->log2m);
    free(s->values);
    s->registers = registers;
    s->n = s->n_sorted = s->cap = 0;
    s->is_dense = true;
}
