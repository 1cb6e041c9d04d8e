/* States of ClickHouse's uniqCombined, against bytes that 18.16 gave (26.7 gives the same; live servers are asked in
 * conformance.engine.clickhouse_state): they are the registers and lists of our sketches, over its hashes. Broken bytes
 * are refused with sketch.invalid, and half a state is not taken for a whole one. */
#include "sketch/sketch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MAX_BYTES = 1 << GR_HLL_MAX_LOG2M };
static uint8_t bytes[MAX_BYTES], again[MAX_BYTES];

static size_t from_hex(const char *hex, uint8_t *out) {
    size_t n = 0;
    for (; hex[2 * n]; n++) {
        char two[3] = {hex[2 * n], hex[2 * n + 1], 0};
        out[n] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static gr_hll *state_of(int log2m, int64_t from, int64_t to, int64_t step) {
    gr_hll *s = gr_hll_new_state(log2m);
    for (int64_t i = from; i < to; i++) gr_hll_add(s, gr_hll_state_hash((uint64_t)(i * step)));
    return s;
}

static void assert_same(const gr_hll *a, const gr_hll *b) {
    size_t n = gr_hll_store_size(a);
    assert_int_equal(gr_hll_store_size(b), n);
    gr_hll_store(a, bytes);
    gr_hll_store(b, again);
    assert_memory_equal(bytes, again, n);
}

static gr_hll *taken(const void *from, size_t n, int log2m) {
    gr_hll *s;
    gr_error err = {0};
    size_t used;
    if (gr_hll_load_state(from, n, log2m, &used, &s, &err)) fail_msg("%s", err.message);
    assert_int_equal(used, n);
    return s;
}

/* ---- what ClickHouse gave ------------------------------------------------------------------------------------------
 */

static void test_lists(void **state) {
    (void)state;
    static const char *const hex[] = {
        "0103000000002ccbc234e7830665", /* toUInt64 of 0, 1, 2 */
        "0103215f824b000000002ccbc234", /* of -1, 0, 1 */
        /* of 0 … 16 */
        "0211000000000dd348251c774c0a2ccbc2342de2ce1835b0a8444489c6d345313dd873457cc77518f0a875554cd587c6a393c472d5a1ce"
        "d8"
        "f809d5f1f4f7ddd168e4e7830665",
    };
    static const int64_t ranges[][2] = {{0, 3}, {-1, 2}, {0, 17}};
    for (size_t i = 0; i < COUNT(hex); i++) {
        uint8_t given[256];
        size_t n = from_hex(hex[i], given);
        gr_hll *theirs = taken(given, n, 12), *ours = state_of(12, ranges[i][0], ranges[i][1], 1);
        assert_same(theirs, ours);
        assert_true(gr_hll_cardinality(theirs) == (double)(ranges[i][1] - ranges[i][0]));
        assert_int_equal(gr_hll_state_size(ours), n);
        assert_int_equal(gr_hll_store_state(ours, bytes), n);
        gr_hll *back = taken(bytes, n, 12);
        assert_same(back, ours);
        gr_hll_free(back);
        gr_hll_free(theirs);
        gr_hll_free(ours);
    }
}

static void test_texts(void **state) {
    (void)state;
    uint8_t given[64];
    size_t n = from_hex("0103f3430b0da56649d4f08566ea", given); /* value 0 … value 2 */
    gr_hll *theirs = taken(given, n, 12), *ours = gr_hll_new_state(12);
    for (int i = 0; i < 3; i++) {
        char text[16];
        int length = snprintf(text, sizeof text, "value %d", i);
        gr_hll_add(ours, gr_hll_state_hash(gr_hll_hash_bytes(text, (size_t)length)));
    }
    assert_same(theirs, ours);
    gr_hll_free(theirs);
    gr_hll_free(ours);
}

/* Of toUInt64(number * 7), 300000 of them. */
static void test_registers(void **state) {
    (void)state;
    static const struct {
        int log2m;
        size_t n;
        int64_t digest; /* gr_hll_hash_bytes of what ClickHouse gave */
    } cases[] = {{12, 2651, -7213281098271605547},
                 {14, 10323, -6991531920301791742},
                 {15, 20559, -2543802521313824346},
                 {17, 81993, 4015528515192701028}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_hll *ours = state_of(cases[i].log2m, 0, 300000, 7);
        assert_int_equal(gr_hll_state_size(ours), cases[i].n);
        assert_int_equal(gr_hll_store_state(ours, bytes), cases[i].n);
        assert_int_equal((int64_t)gr_hll_hash_bytes(bytes, cases[i].n), cases[i].digest);
        gr_hll *back = taken(bytes, cases[i].n, cases[i].log2m);
        assert_same(back, ours);
        gr_hll_free(back);
        gr_hll_free(ours);
    }
}

/* ---- the laws ------------------------------------------------------------------------------------------------------
 */

/* The form depends on the set alone, whatever way it came: on both sides of the limits of ours and of theirs. */
static void test_union(void **state) {
    (void)state;
    static const int64_t counts[] = {0, 1, 16, 17, 127, 128, 129, 255, 256, 257, 258, 5000};
    for (size_t i = 0; i < COUNT(counts); i++) {
        gr_hll *whole = state_of(12, 0, counts[i], 1), *joined = gr_hll_new_state(12);
        for (int64_t part = 0; part < 3; part++) {
            gr_hll *s = state_of(12, part * counts[i] / 4, (part + 2) * counts[i] / 4, 1); /* they overlap */
            size_t n = gr_hll_store_state(s, bytes);
            gr_hll *theirs = taken(bytes, n, 12);
            if (part % 2) {
                n = gr_hll_store(theirs, bytes);
                assert_int_equal(gr_hll_union_bytes(joined, bytes, n, NULL), GR_OK);
            } else {
                assert_int_equal(gr_hll_union(joined, theirs, NULL), GR_OK);
            }
            gr_hll_free(theirs);
            gr_hll_free(s);
        }
        assert_same(joined, whole);
        gr_hll_free(joined);
        gr_hll_free(whole);
    }
}

static void test_kinds_do_not_meet(void **state) {
    (void)state;
    gr_error err;
    for (int swap = 0; swap < 2; swap++)
        for (int is_dense = 0; is_dense < 2; is_dense++) {
            gr_hll *a = gr_hll_new_state(12), *b = gr_hll_new(12);
            for (uint64_t i = 0; is_dense && i < 9999; i++) gr_hll_add(swap ? b : a, i << 20 | i);
            gr_hll *into = swap ? a : b, *other = swap ? b : a;
            assert_int_equal(gr_hll_union(into, other, &err), GR_ERR_SKETCH);
            assert_non_null(strstr(err.message, "hashes do not match"));
            size_t n = gr_hll_store(other, bytes);
            assert_int_equal(gr_hll_union_bytes(into, bytes, n, &err), GR_ERR_SKETCH);
            gr_hll_free(a);
            gr_hll_free(b);
        }
    gr_hll *a = gr_hll_new_state(12), *b = gr_hll_new_state(14);
    assert_int_equal(gr_hll_union(a, b, &err), GR_ERR_SKETCH);
    assert_non_null(strstr(err.message, "register count"));
    gr_hll_free(a);
    gr_hll_free(b);
}

/* Within 4 standard errors; near 2^32 values, where hashes meet, too. */
static void test_estimate(void **state) {
    (void)state;
    static const int64_t counts[] = {129, 1000, 5000, 10240, 100000, 1000000};
    for (int log2m = GR_HLL_STATE_MIN_LOG2M; log2m <= GR_HLL_MAX_LOG2M; log2m++)
        for (size_t i = 0; i < COUNT(counts); i++) {
            gr_hll *s = state_of(log2m, 0, counts[i], 1);
            double estimate = gr_hll_cardinality(s), n = (double)counts[i];
            if (fabs(estimate - n) > 4 * 1.04 / sqrt(ldexp(1, log2m)) * n)
                fail_msg("2^%d, %.0f: %.1f", log2m, n, estimate);
            gr_hll_free(s);
        }
}

/* Registers as 2^32 times `fill` different hashes leave them: 1 - e^-fill of the hashes that there are. */
static void test_estimate_where_hashes_meet(void **state) {
    (void)state;
    static const double fills[] = {0.05, 0.5, 1}; /* of more the registers are full */
    for (size_t i = 0; i < COUNT(fills); i++) {
        gr_hll *s = gr_hll_new_state(12);
        double n_hashes = ldexp(-expm1(-fills[i]), 32);
        uint64_t x = 1;
        for (uint64_t at = 0; at < 4096; at++) {
            x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            double u = ((double)(x >> 11) + 0.5) / ldexp(1, 53); /* P(value <= v) = (1 - 2^-v)^(n / 4096) */
            int v = 1;
            while (v < 21 && pow(1 - ldexp(1, -v), n_hashes / 4096) < u) v++;
            gr_hll_add(s, at | UINT64_C(1) << (11 + v));
        }
        double wanted = ldexp(fills[i], 32), estimate = gr_hll_cardinality(s);
        if (fabs(estimate - wanted) > 0.2 * wanted) fail_msg("%g: %g", wanted, estimate);
        gr_hll_free(s);
    }
    gr_hll *full = gr_hll_new_state(12); /* no data does that, and it is a number still */
    for (uint64_t at = 0; at < 4096; at++) gr_hll_add(full, at | UINT64_C(1) << 32);
    assert_true(isfinite(gr_hll_cardinality(full)));
    gr_hll_free(full);
}

/* ---- what is not whole, and what is broken -------------------------------------------------------------------------
 */

static void test_half(void **state) {
    (void)state;
    static const int64_t counts[] = {0, 16, 17, 128, 129};
    for (size_t i = 0; i < COUNT(counts); i++) {
        gr_hll *s = state_of(12, 0, counts[i], 1), *got;
        size_t n = gr_hll_store_state(s, bytes), used;
        for (size_t cut = 0; cut < n; cut++) {
            assert_int_equal(gr_hll_load_state(bytes, cut, 12, &used, &got, NULL), GR_OK);
            assert_int_equal(used, 0);
            assert_null(got);
        }
        memset(bytes + n, 0xff, 64); /* the next one */
        assert_int_equal(gr_hll_load_state(bytes, n + 64, 12, &used, &got, NULL), GR_OK);
        assert_int_equal(used, n);
        gr_hll_free(got);
        gr_hll_free(s);
    }
}

static void test_broken(void **state) {
    (void)state;
    static const struct {
        const char *hex, *message;
        int log2m;
    } cases[] = {{"00", "unknown type", 12},        {"04", "unknown type", 12},   {"01ffffffff", "too many hashes", 12},
                 {"028102", "too many hashes", 12}, /* 257 */
                 {"0100", "not supported", 11},     {"0100", "not supported", 18}};
    gr_error err;
    gr_hll *s;
    size_t used;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t given[16];
        size_t n = from_hex(cases[i].hex, given);
        assert_int_equal(gr_hll_load_state(given, n, cases[i].log2m, &used, &s, &err), GR_ERR_SKETCH);
        if (!strstr(err.message, cases[i].message)) fail_msg("%s: %s", cases[i].hex, err.message);
    }
    memset(bytes, 0, sizeof bytes);
    bytes[0] = 3;
    bytes[1] = 22; /* of 32 bits, 12 say which register it is: 21 at most */
    assert_int_equal(gr_hll_load_state(bytes, MAX_BYTES, 12, &used, &s, &err), GR_ERR_SKETCH);
    assert_non_null(strstr(err.message, "registers out of range"));
    /* Stored: a state of fewer registers than ClickHouse has, ones that say another limit than their own, no hash. */
    static const char *const stored[] = {"118b47", "118c49", "118c7e", "128c480000000000000001"};
    for (size_t i = 0; i < COUNT(stored); i++) {
        uint8_t given[16];
        size_t n = from_hex(stored[i], given);
        assert_int_equal(gr_hll_load(given, n, &s, &err), GR_ERR_SKETCH);
    }
}

/* Whatever bytes come: an error, not enough, or a state that stores to itself. */
static void test_any_bytes(void **state) {
    (void)state;
    enum { CASES = 20000, MOST = 3000 };
    uint64_t x = 42;
    for (int i = 0; i < CASES; i++) {
        gr_hll *s = NULL, *back;
        size_t used, n;
        for (size_t k = 0; k < MOST; k++) {
            x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[k] = (uint8_t)(x >> 56);
            if (i % 4 == 0) bytes[k] &= 0x21; /* small registers */
        }
        bytes[0] = (uint8_t)(1 + i % 3);
        if (gr_hll_load_state(bytes, (size_t)(x >> 40) % MOST, 12, &used, &s, NULL) || !used) continue;
        n = gr_hll_store_state(s, again);
        back = taken(again, n, 12);
        assert_same(s, back);
        gr_hll_free(back);
        gr_hll_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_union),
        cmocka_unit_test(test_kinds_do_not_meet),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_estimate_where_hashes_meet),
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests_name("sketch.state", tests, NULL, NULL);
}
