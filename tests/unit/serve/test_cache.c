/* The table of finished answers: what it keeps, what it throws out, and that many threads may use it at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "serve/cache.h"

#include <pthread.h>
#include <stdlib.h>

static gr_str name(char *buf, size_t n, int i) { return (gr_str){buf, (size_t)snprintf(buf, n, "key%d", i)}; }

/* An entry "key<i>" whose head is `bytes` long and begins with its number. */
static bool put(gr_cache *cache, int i, const char *renewal, size_t bytes, int64_t started_us) {
    char key[32], *head = gr_mem_calloc(1, bytes + 16);
    snprintf(head, 16, "%d;", i);
    gr_cached *e = gr_serve_cached_new(&(gr_cached){.key = name(key, sizeof key, i),
                                                    .renewal = gr_str_from(renewal),
                                                    .head = {head, bytes},
                                                    .tail = GR_STR("tail"),
                                                    .entities = (const int64_t[]){i, i + 1},
                                                    .n_entities = 2,
                                                    .started_mono_us = started_us});
    bool is_taken = gr_serve_cache_put(cache, e);
    gr_serve_cached_unref(e);
    free(head);
    return is_taken;
}

static bool has(gr_cache *cache, int i) {
    char key[32];
    gr_cached *e = gr_serve_cache_get(cache, name(key, sizeof key, i));
    if (e) assert_int_equal(atoi(e->head.p), i);
    gr_serve_cached_unref(e);
    return e != NULL;
}

static void test_round_trip(void **state) {
    (void)state;
    gr_cache *cache = gr_serve_cache_new(1 << 20);
    assert_false(has(cache, 1));
    assert_true(put(cache, 1, "r1", 100, 0));
    gr_cached *e = gr_serve_cache_get(cache, GR_STR("key1"));
    assert_non_null(e);
    assert_true(gr_str_eq_z(e->renewal, "r1") && gr_str_eq_z(e->tail, "tail") && e->head.n == 100);
    assert_true(e->n_entities == 2 && e->entities[0] == 1 && e->entities[1] == 2);
    assert_true(put(cache, 1, "r2", 50, 0)); /* the one that is held stays as it is */
    assert_int_equal(e->head.n, 100);
    gr_serve_cached_unref(e);
    e = gr_serve_cache_get(cache, GR_STR("key1"));
    assert_true(gr_str_eq_z(e->renewal, "r2"));
    assert_int_equal(gr_serve_cache_sizes(cache).entries, 1);
    gr_serve_cache_free(cache);
    assert_int_equal(atoi(e->head.p), 1); /* outlives the table */
    gr_serve_cached_unref(e);
}

/* A run that began earlier must not undo one that began later and was made of the same. */
static void test_late_runs(void **state) {
    (void)state;
    gr_cache *cache = gr_serve_cache_new(1 << 20);
    assert_true(put(cache, 1, "r", 200, 20));
    assert_false(put(cache, 1, "r", 100, 10));
    assert_true(put(cache, 1, "other", 100, 10));
    assert_true(put(cache, 1, "other", 100, 10));
    gr_serve_cache_free(cache);
}

static void test_least_recently_used(void **state) {
    (void)state;
    gr_cache *cache = gr_serve_cache_new(16 << 10);
    for (int i = 0; i < 8; i++) assert_true(put(cache, i, "r", 1000, 0));
    size_t before = gr_serve_cache_sizes(cache).entries;
    assert_int_equal(before, 8);
    for (int i = 8; i < 100; i++) {
        assert_true(has(cache, 3)); /* in use all the time */
        assert_true(put(cache, i, "r", 1000, 0));
        assert_true(gr_serve_cache_sizes(cache).bytes <= 16 << 10);
    }
    assert_true(has(cache, 3) && has(cache, 99) && has(cache, 98));
    assert_false(has(cache, 0) || has(cache, 4) || has(cache, 50));
    gr_cache_sizes sizes = gr_serve_cache_sizes(cache);
    assert_int_equal(sizes.entries + sizes.evictions, 100);
    gr_serve_cache_free(cache);
}

static void test_bounds(void **state) {
    (void)state;
    gr_cache *cache = gr_serve_cache_new(80000);
    assert_int_equal(gr_serve_cache_max_entry(cache), 10000);
    assert_false(put(cache, 1, "r", 10000, 0)); /* its key and its node count too */
    assert_true(put(cache, 2, "r", 9000, 0));
    gr_cache_sizes one = gr_serve_cache_sizes(cache);
    assert_true(one.bytes > 9000 + sizeof(gr_cached) && one.bytes < 10600);
    for (int i = 0; i < 20000; i++) assert_true(put(cache, i, "r", (size_t)(rand() % 3000), 0));
    assert_true(gr_serve_cache_sizes(cache).bytes <= 80000);
    assert_true(gr_serve_cache_sizes(cache).bytes > 40000);
    gr_serve_cache_free(cache);
    cache = gr_serve_cache_new(0);
    assert_false(put(cache, 1, "r", 1, 0));
    assert_false(has(cache, 1));
    gr_serve_cache_free(cache);
}

/* Small entries: the table of slots grows, and everything is found after it has. */
static void test_many(void **state) {
    (void)state;
    gr_cache *cache = gr_serve_cache_new(8 << 20);
    for (int i = 0; i < 10000; i++) assert_true(put(cache, i, "r", 8, 0));
    for (int i = 0; i < 10000; i++) assert_true(has(cache, i));
    assert_int_equal(gr_serve_cache_sizes(cache).entries, 10000);
    gr_serve_cache_free(cache);
}

static void *hammer(void *arg) {
    gr_cache *cache = arg;
    unsigned seed = (unsigned)(size_t)&seed;
    for (int n = 0; n < 20000; n++) {
        int i = rand_r(&seed) % 60;
        if (n % 3 == 0)
            (void)put(cache, i, n % 2 ? "a" : "b", (size_t)(rand_r(&seed) % 2000) + 16, n);
        else
            (void)has(cache, i);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    enum { THREADS = 6 };
    gr_cache *cache = gr_serve_cache_new(40000);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, hammer, cache), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    gr_cache_sizes sizes = gr_serve_cache_sizes(cache);
    assert_true(sizes.bytes <= 40000 && sizes.entries > 0 && sizes.evictions > 0);
    gr_serve_cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_late_runs), cmocka_unit_test(test_least_recently_used),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_many),      cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
