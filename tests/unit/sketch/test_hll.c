/* Sketches against PostgreSQL's own hll extension (golden.txt, written by make_golden), and the laws of union, fold,
 * load and store. Broken bytes are refused with sketch.invalid, never a crash. */
#include "sketch/sketch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MAX_BYTES = 3 + (1 << GR_HLL_MAX_LOG2M) };

/* ---- golden -------------------------------------------------------------------------------------------------------
 */

typedef struct expected {
    size_t n_bytes;
    int64_t digest;
    double cardinality;
    char hex[512]; /* "-": too many */
} expected;

static size_t from_hex(const char *hex, uint8_t *out) {
    size_t n = 0;
    for (; hex[2 * n] && hex[2 * n] != '-'; n++) {
        char two[3] = {hex[2 * n], hex[2 * n + 1], 0};
        out[n] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

/* The text behind the first `n` words of a line. */
static const char *after(const char *line, int n) {
    for (; n; n--) line = strchr(line, ' ') + 1;
    return line;
}

static expected parse_expected(const char *text) {
    expected e = {0};
    long long digest;
    assert_int_equal(sscanf(text, "%zu %lld %lf %500s", &e.n_bytes, &digest, &e.cardinality, e.hex), 4);
    e.digest = digest;
    return e;
}

static void assert_expected(const gr_hll *s, const char *line, const char *tail) {
    expected e = parse_expected(tail);
    static uint8_t bytes[MAX_BYTES], wanted[300];
    size_t n = gr_hll_store_size(s);
    if (n != e.n_bytes) fail_msg("%s: %zu bytes", line, n);
    assert_int_equal(gr_hll_store(s, bytes), n);
    if (*e.hex != '-') {
        assert_int_equal(from_hex(e.hex, wanted), n);
        if (memcmp(bytes, wanted, n)) fail_msg("%s: other bytes", line);
    }
    if ((int64_t)gr_hll_hash_bytes(bytes, n) != e.digest) fail_msg("%s: other bytes", line);
    double got = gr_hll_cardinality(s);
    if (got != e.cardinality) fail_msg("%s: %.17g is not %.17g", line, got, e.cardinality);

    gr_hll *loaded = NULL;
    static uint8_t again[MAX_BYTES];
    assert_int_equal(gr_hll_load(bytes, n, &loaded, NULL), GR_OK);
    assert_int_equal(gr_hll_log2m(loaded), gr_hll_log2m(s));
    assert_true(gr_hll_cardinality(loaded) == e.cardinality);
    assert_int_equal(gr_hll_store_size(loaded), n);
    assert_int_equal(gr_hll_store(loaded, again), n);
    assert_memory_equal(again, bytes, n);
    gr_hll_free(loaded);
}

static void check_hash(const char *line) {
    const char *value = after(line, 2), *hash = after(line, 3);
    uint8_t text[100];
    uint64_t got = line[5] == 'i' ? gr_hll_hash_i64(strtoll(value, NULL, 10)) : 0;
    if (line[5] == 't') {
        char hex[200] = {0};
        assert_int_equal(sscanf(value, "%199s", hex), 1);
        got = gr_hll_hash_bytes(text, from_hex(hex, text));
    }
    if ((int64_t)got != strtoll(hash, NULL, 10)) fail_msg("%s: got %lld", line, (long long)got);
}

static uint64_t hash_of(bool is_text, int64_t value) {
    if (!is_text) return gr_hll_hash_i64(value);
    char text[40];
    return gr_hll_hash_bytes(text, (size_t)snprintf(text, sizeof text, "value %lld", (long long)value));
}

static gr_hll *sketch_of(bool is_text, int log2m, int64_t from, int64_t n) {
    gr_hll *s = gr_hll_new(log2m);
    for (int64_t i = from; i < from + n; i++) gr_hll_add(s, hash_of(is_text, i));
    return s;
}

static void check_sketch(const char *line) {
    char kind[8];
    int log2m;
    long long from, n;
    assert_int_equal(sscanf(line, "sketch %7s %d %lld %lld", kind, &log2m, &from, &n), 4);
    gr_hll *s = sketch_of(*kind == 't', log2m, from, n);
    assert_expected(s, line, after(line, 5));
    gr_hll_free(s);
}

static void check_union(const char *line) {
    int log2m;
    long long from[2], n[2];
    assert_int_equal(sscanf(line, "union %d %lld %lld %lld %lld", &log2m, &from[0], &n[0], &from[1], &n[1]), 5);
    static uint8_t bytes[MAX_BYTES];
    for (int order = 0; order < 2; order++) {
        gr_hll *into = sketch_of(false, log2m, from[order], n[order]);
        gr_hll *by_bytes = sketch_of(false, log2m, from[order], n[order]);
        gr_hll *other = sketch_of(false, log2m, from[!order], n[!order]);
        assert_int_equal(gr_hll_union(into, other, NULL), GR_OK);
        assert_expected(into, line, after(line, 6));
        assert_int_equal(gr_hll_union_bytes(by_bytes, bytes, gr_hll_store(other, bytes), NULL), GR_OK);
        assert_expected(by_bytes, line, after(line, 6));
        gr_hll_free(into);
        gr_hll_free(by_bytes);
        gr_hll_free(other);
    }
}

static void test_golden(void **state) {
    (void)state;
    static const struct {
        const char *kind;
        void (*check)(const char *line);
    } kinds[] = {{"hash ", check_hash}, {"sketch ", check_sketch}, {"union ", check_union}};
    size_t n_checked[COUNT(kinds)] = {0};
    FILE *file = fopen(GR_TEST_SOURCE_DIR "/tests/unit/sketch/golden.txt", "rb");
    assert_non_null(file);
    char line[1024];
    while (fgets(line, sizeof line, file))
        for (size_t i = 0; i < COUNT(kinds); i++)
            if (!strncmp(line, kinds[i].kind, strlen(kinds[i].kind))) {
                line[strcspn(line, "\n")] = 0;
                kinds[i].check(line);
                n_checked[i]++;
            }
    fclose(file);
    assert_true(n_checked[0] >= 50);
    assert_true(n_checked[1] >= 200);
    assert_true(n_checked[2] >= 40);
}

/* ---- laws ---------------------------------------------------------------------------------------------------------
 */

static void assert_same(const gr_hll *a, const gr_hll *b) {
    static uint8_t left[MAX_BYTES], right[MAX_BYTES];
    size_t n = gr_hll_store(a, left);
    assert_int_equal(gr_hll_store(b, right), n);
    assert_memory_equal(left, right, n);
}

static uint64_t seed = 88172645463325252u;
static uint64_t random_u64(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void test_union_of_many(void **state) {
    (void)state;
    enum { SKETCHES = 8192, EACH = 50 };
    static const int sizes[] = {4, 5, 6, 7, 11, 14};
    for (size_t k = 0; k < COUNT(sizes); k++) {
        gr_hll *all = gr_hll_new(sizes[k]), *joined = gr_hll_new(sizes[k]);
        for (int i = 0; i < SKETCHES; i++) {
            gr_hll *one = gr_hll_new(sizes[k]);
            int n = i % 7 == 0 ? 400 : EACH; /* explicit and registers */
            for (int j = 0; j < n; j++) {
                uint64_t hash = gr_hll_hash_i64((int64_t)(random_u64() % 300000));
                gr_hll_add(one, hash);
                gr_hll_add(all, hash);
            }
            assert_int_equal(gr_hll_union(joined, one, NULL), GR_OK);
            gr_hll_free(one);
        }
        assert_same(all, joined);
        assert_int_equal(gr_hll_union(joined, joined, NULL), GR_OK);
        assert_same(all, joined);
        gr_hll_free(all);
        gr_hll_free(joined);
    }
}

/* However values come - one by one, many at once, again and again, looked at in between - the bytes are the same. */
static void test_order_of_adding(void **state) {
    (void)state;
    static const struct {
        int log2m;
        size_t n_distinct, n_added;
    } cases[] = {{11, 160, 20000},   {11, 161, 20000},    {11, 1, 1000},       {4, 2, 500},       {4, 1, 500},
                 {14, 1280, 200000}, {17, 10240, 400000}, {17, 10241, 400000}, {14, 5000, 100000}};
    for (size_t k = 0; k < COUNT(cases); k++) {
        uint64_t *hashes = calloc(cases[k].n_added, sizeof *hashes);
        for (size_t i = 0; i < cases[k].n_added; i++)
            hashes[i] = gr_hll_hash_i64((int64_t)(i < cases[k].n_distinct ? i : random_u64() % cases[k].n_distinct));
        gr_hll *plain = sketch_of(false, cases[k].log2m, 0, (int64_t)cases[k].n_distinct);
        gr_hll *many = gr_hll_new(cases[k].log2m), *watched = gr_hll_new(cases[k].log2m);
        gr_hll_add_many(many, hashes, cases[k].n_added);
        for (size_t i = cases[k].n_added; i--;) {
            gr_hll_add(watched, hashes[i]);
            if (i % 97 == 0) assert_true(gr_hll_store_size(watched) > 3);
        }
        assert_same(plain, many);
        assert_same(plain, watched);
        gr_hll_free(plain);
        gr_hll_free(many);
        gr_hll_free(watched);
        free(hashes);
    }
}

static void test_fold(void **state) {
    (void)state;
    static const int64_t counts[] = {0, 1, 2, 3, 10, 20, 160, 161, 1280, 1281, 10240, 10241, 200000};
    for (int from = GR_HLL_MIN_LOG2M; from <= GR_HLL_MAX_LOG2M; from++)
        for (size_t k = 0; k < COUNT(counts); k++) {
            gr_hll *fine = sketch_of(false, from, 1, counts[k]);
            for (int to = GR_HLL_MIN_LOG2M; to <= from; to++) {
                gr_hll *folded = gr_hll_fold(fine, to), *coarse = sketch_of(false, to, 1, counts[k]);
                assert_int_equal(gr_hll_log2m(folded), to);
                assert_same(folded, coarse);
                gr_hll_free(folded);
                gr_hll_free(coarse);
            }
            gr_hll_free(fine);
        }
}

/* Registers at the top of their range fold to the top, and a hash without bits above the index counts for nothing. */
static void test_extreme_hashes(void **state) {
    (void)state;
    static const struct {
        uint64_t hash;
        const char *hex; /* of the one register of log2m 4 that it sets, after two others made it registers */
    } cases[] = {
        {0, "0000"},  {UINT64_C(1) << 63, "f800"}, {UINT64_C(1) << 34, "f800"}, {UINT64_C(1) << 33, "f000"},
        {16, "0800"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_hll *s = gr_hll_new(4);
        gr_hll_add(s, cases[i].hash);
        gr_hll_add(s, 31); /* register 15: 1 */
        gr_hll_add(s, 30);
        uint8_t bytes[64], first[2];
        size_t n = gr_hll_store(s, bytes);
        uint8_t full[13] = {0x14, 0x84, 0x7f};
        from_hex(cases[i].hex, first);
        /* as FULL bytes, whichever form it took: its registers are the union's */
        full[3] = first[0], full[4] = first[1], full[11] = 0, full[12] = 0x21;
        gr_hll *wanted = NULL;
        assert_int_equal(gr_hll_load(full, sizeof full, &wanted, NULL), GR_OK);
        assert_same(s, wanted);
        assert_true(n <= 13);
        gr_hll_free(s);
        gr_hll_free(wanted);
    }
}

static void test_precisions_do_not_meet(void **state) {
    (void)state;
    gr_hll *a = sketch_of(false, 11, 1, 1000), *b = sketch_of(false, 12, 1, 1000),
           *copy = sketch_of(false, 11, 1, 1000);
    static uint8_t bytes[MAX_BYTES];
    gr_error err = {0};
    assert_int_equal(gr_hll_union(a, b, &err), GR_ERR_SKETCH);
    assert_string_equal(gr_error_info_of(err.status)->id, "sketch.invalid");
    assert_non_null(strstr(err.message, "register count does not match"));
    err = (gr_error){0};
    assert_int_equal(gr_hll_union_bytes(a, bytes, gr_hll_store(b, bytes), &err), GR_ERR_SKETCH);
    assert_non_null(strstr(err.message, "register count does not match"));
    assert_same(a, copy);
    gr_hll_free(a);
    gr_hll_free(b);
    gr_hll_free(copy);
    gr_hll_free(NULL);
}

/* ---- broken bytes -------------------------------------------------------------------------------------------------
 */

static void test_broken(void **state) {
    (void)state;
    static const struct {
        const char *hex, *message; /* NULL: it loads */
    } cases[] = {
        {"118b7f", NULL},
        {"138b7f", NULL}, /* registers, all of them 0 */
        {"128b7f0000000000000001", NULL},
        {"128b7f80000000000000007fffffffffffffff", NULL},
        {"138b7f0041", NULL},
        {"14847f00000000000000000000", NULL},
        {"", "truncated"},
        {"118b", "truncated"},
        {"018b7f", "unknown version"},
        {"218b7f", "unknown version"},
        {"108b7f", "unknown type"},
        {"158b7f", "unknown type"},
        {"1f8b7f", "unknown type"},
        {"116b7f", "5 bits"},
        {"11ab7f", "5 bits"},
        {"11837f", "number of registers"},
        {"11927f", "number of registers"},
        {"119f7f", "number of registers"},
        {"118bff", "expthresh"},
        {"118b3f", "expthresh"},
        {"118b40", "expthresh"},
        {"118b7f00", "behind an empty sketch"},
        {"128b7f", "truncated"},
        {"128b7f00000000000000", "truncated"},
        {"128b7f00000000000000010000000000000001", "out of order"},
        {"128b7f7fffffffffffffff8000000000000000", "out of order"},
        {"12847f000000000000000100000000000000020000000000000003", "more explicit values"},
        {"138b7f00", "truncated"},
        {"138b7f004100", "truncated"},
        {"138b7f0040", "out of range"},     /* a register with the value 0 */
        {"138b7f00410041", "out of range"}, /* the same register again */
        {"13847f0080", NULL},               /* register 0: 1, and 7 bits of padding */
        {"13847f0081", "bits behind"},      /* padding that is not zero */
        {"14847f000000000000000000", "truncated"},
        {"14847f0000000000000000000000", "truncated"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t bytes[100];
        size_t n = from_hex(cases[i].hex, bytes);
        gr_hll *s = NULL;
        gr_error err = {0};
        gr_status status = gr_hll_load(bytes, n, &s, &err);
        if (!cases[i].message) {
            if (status) fail_msg("%s: %s", cases[i].hex, err.message);
            gr_hll_free(s);
            continue;
        }
        if (status != GR_ERR_SKETCH || !strstr(err.message, cases[i].message))
            fail_msg("%s: %d, %s", cases[i].hex, status, err.message);
        assert_null(s);
        gr_hll *into = sketch_of(false, 11, 1, 10), *copy = sketch_of(false, 11, 1, 10);
        assert_int_equal(gr_hll_union_bytes(into, bytes, n, NULL), GR_ERR_SKETCH);
        assert_same(into, copy);
        gr_hll_free(into);
        gr_hll_free(copy);
    }
}

static size_t mutate(uint8_t *bytes, size_t n, size_t room) {
    for (unsigned i = 0, changes = 1 + (unsigned)(random_u64() % 3); i < changes; i++) {
        size_t at = n ? (random_u64() & 1 ? random_u64() % n : random_u64() % (n < 4 ? n : 4)) : 0;
        switch (random_u64() % 5) {
        case 0: n = at; break;
        case 1:
            if (n < room) bytes[n++] = (uint8_t)random_u64();
            break;
        case 2:
            if (n) bytes[at] ^= (uint8_t)(1u << random_u64() % 8);
            break;
        case 3:
            if (n) bytes[at] = (uint8_t)random_u64();
            break;
        default:
            if (n) bytes[0] = (uint8_t)(0x10 | random_u64() % 6);
        }
    }
    return n;
}

static void test_mutations(void **state) {
    (void)state;
    static const struct {
        int log2m;
        int64_t n;
    } seeds[] = {{4, 2}, {4, 3}, {4, 50}, {5, 4}, {8, 30}, {11, 0}, {11, 5}, {11, 160}, {11, 161}, {11, 5000}};
    size_t n_loaded = 0, n_refused = 0;
    for (size_t round = 0; round < 200000; round++) {
        static uint8_t bytes[4096], out[MAX_BYTES], again[MAX_BYTES];
        gr_hll *s = sketch_of(false, seeds[round % COUNT(seeds)].log2m, 1, seeds[round % COUNT(seeds)].n % 300);
        size_t n = mutate(bytes, gr_hll_store(s, bytes), sizeof bytes);
        gr_hll *loaded = NULL, *other = NULL;
        uint8_t *exact = malloc(n ? n : 1); /* so that a byte too far is seen */
        memcpy(exact, bytes, n);
        gr_status status = gr_hll_load(exact, n, &loaded, NULL);
        assert_int_equal(status, loaded ? GR_OK : GR_ERR_SKETCH);
        gr_status joined = gr_hll_union_bytes(s, exact, n, NULL);
        assert_int_equal(joined, status == GR_OK && gr_hll_log2m(loaded) == gr_hll_log2m(s) ? GR_OK : GR_ERR_SKETCH);
        if (loaded) {
            n_loaded++;
            size_t stored = gr_hll_store(loaded, out);
            assert_int_equal(stored, gr_hll_store_size(loaded));
            assert_int_equal(gr_hll_load(out, stored, &other, NULL), GR_OK);
            assert_int_equal(gr_hll_store(other, again), stored);
            assert_memory_equal(out, again, stored);
            assert_false(gr_hll_cardinality(loaded) < 0);
            gr_hll_free(other);
        } else {
            n_refused++;
        }
        gr_hll_free(loaded);
        gr_hll_free(s);
        free(exact);
    }
    assert_true(n_loaded > 10000);
    assert_true(n_refused > 10000);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_union_of_many),
        cmocka_unit_test(test_order_of_adding), cmocka_unit_test(test_fold),
        cmocka_unit_test(test_extreme_hashes),  cmocka_unit_test(test_precisions_do_not_meet),
        cmocka_unit_test(test_broken),          cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
