/* Stored sketches: any bytes either load, and then store to bytes of the same content, or are refused with a reason.
 * The input is two sketches, cut where its first byte says; both are also joined, in memory and from their bytes. The
 * second is also read as a state of ClickHouse. */
#include "sketch/sketch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_true) {
    if (!is_true) abort();
}

static bool is_same(const gr_hll *a, const gr_hll *b) {
    size_t n = gr_hll_store_size(a), m = gr_hll_store_size(b);
    uint8_t *left = malloc(n), *right = malloc(m); /* exact, so that a byte too far is seen */
    check(gr_hll_store(a, left) == n && gr_hll_store(b, right) == m);
    bool is_equal = n == m && !memcmp(left, right, n);
    free(left);
    free(right);
    return is_equal;
}

static gr_hll *load(const uint8_t *bytes, size_t n) {
    uint8_t *exact = malloc(n ? n : 1);
    if (n) memcpy(exact, bytes, n);
    gr_hll *sketch = NULL, *again = NULL;
    gr_error err = {0};
    gr_status status = gr_hll_load(exact, n, &sketch, &err);
    check(status == (sketch ? GR_OK : GR_ERR_SKETCH));
    check(sketch || err.message[0]);
    free(exact);
    if (!sketch) return NULL;
    check(!(gr_hll_cardinality(sketch) < 0));
    size_t stored = gr_hll_store_size(sketch);
    uint8_t *out = malloc(stored);
    check(gr_hll_store(sketch, out) == stored);
    check(!gr_hll_load(out, stored, &again, NULL));
    check(is_same(sketch, again));
    free(out);
    gr_hll_free(again);
    return sketch;
}

/* It is refused, not whole yet, or stores to a state of the same content. */
static void check_state(const uint8_t *bytes, size_t n, int log2m) {
    uint8_t *exact = malloc(n ? n : 1);
    if (n) memcpy(exact, bytes, n);
    gr_hll *state = NULL, *again = NULL;
    gr_error err = {0};
    size_t used = 0, again_used = 0;
    gr_status status = gr_hll_load_state(exact, n, log2m, &used, &state, &err);
    check(status == GR_OK || (status == GR_ERR_SKETCH && err.message[0]));
    check((state != NULL) == (!status && used) && used <= n);
    free(exact);
    if (!state) return;
    check(gr_hll_is_state(state) && gr_hll_cardinality(state) >= 0);
    size_t stored = gr_hll_state_size(state);
    uint8_t *out = malloc(stored);
    check(gr_hll_store_state(state, out) == stored);
    check(!gr_hll_load_state(out, stored, log2m, &again_used, &again, NULL) && again_used == stored);
    check(is_same(state, again));
    free(out);
    gr_hll_free(again);
    gr_hll_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    size_t cut = data[0] < size - 1 ? data[0] : size - 1;
    const uint8_t *first = data + 1, *second = first + cut;
    size_t n_second = size - 1 - cut;
    check_state(second, n_second, GR_HLL_STATE_MIN_LOG2M + data[0] % 6);
    gr_hll *a = load(first, cut), *b = load(second, n_second), *copy = load(first, cut);
    if (a && b) {
        gr_error err = {0};
        bool fits = gr_hll_log2m(a) == gr_hll_log2m(b) && gr_hll_is_state(a) == gr_hll_is_state(b);
        check(gr_hll_union(a, b, &err) == (fits ? GR_OK : GR_ERR_SKETCH));
        check(gr_hll_union_bytes(copy, second, n_second, &err) == (fits ? GR_OK : GR_ERR_SKETCH));
        check(is_same(a, copy));
        int least = gr_hll_is_state(a) ? GR_HLL_STATE_MIN_LOG2M : GR_HLL_MIN_LOG2M;
        gr_hll *folded = gr_hll_fold(a, least);
        check(gr_hll_log2m(folded) == least && gr_hll_store_size(folded) <= (gr_hll_is_state(a) ? 2563 : 13));
        gr_hll_free(folded);
    } else if (a) {
        check(gr_hll_union_bytes(a, second, n_second, NULL) == GR_ERR_SKETCH);
        check(is_same(a, copy));
    }
    gr_hll_free(a);
    gr_hll_free(b);
    gr_hll_free(copy);
    return 0;
}
