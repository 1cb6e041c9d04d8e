/* Values of refresh keys: asked no more often than need be, by one at a time, and forgotten when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "serve/keys.h"

#include <pthread.h>
#include <time.h>

/* A source whose every key is the number of times that it was asked. */
typedef struct source {
    atomic_int n_asked, n_running, most_running, ms, value; /* value: what is told, 0: the count */
    atomic_int status;
    atomic_size_t value_bytes;
} source;

static gr_status ask(void *arg, const gr_ctx *ctx, gr_str data_source, gr_str sql, gr_buf *out, gr_error *err) {
    (void)ctx, (void)data_source, (void)sql;
    source *s = arg;
    int n = atomic_fetch_add(&s->n_asked, 1) + 1, now = atomic_fetch_add(&s->n_running, 1) + 1;
    if (now > atomic_load(&s->most_running)) atomic_store(&s->most_running, now);
    int ms = atomic_load(&s->ms);
    nanosleep(&(struct timespec){0, ms * 1000000L}, NULL);
    atomic_fetch_sub(&s->n_running, 1);
    gr_status status = (gr_status)atomic_load(&s->status);
    if (status) return gr_error_set(err, status, "it broke");
    for (size_t i = atomic_load(&s->value_bytes); i; i--) gr_buf_char(out, 'x');
    gr_buf_i64(out, atomic_load(&s->value) ? atomic_load(&s->value) : n);
    return GR_OK;
}

enum { LONG = 2000000000 }; /* us */

typedef struct fixture {
    source source;
    gr_keys *keys;
    gr_arena *arena;
    gr_ctx ctx;
} fixture;

static void open_fixture(fixture *f, size_t max) {
    *f = (fixture){.arena = gr_arena_new()};
    f->keys = gr_serve_keys_new(max, ask, &f->source);
    f->ctx = (gr_ctx){.arena = f->arena};
}

static void close_fixture(fixture *f) {
    gr_serve_keys_free(f->keys);
    gr_arena_free(f->arena);
}

static void expect(fixture *f, const char *sql, int64_t max_age_us, const char *value) {
    gr_str got;
    gr_error err = {0};
    assert_int_equal(
        gr_serve_keys_get(f->keys, &f->ctx, GR_STR("default"), gr_str_from(sql), max_age_us, &got, NULL, &err), GR_OK);
    if (!gr_str_eq_z(got, value)) fail_msg("%s: wanted %s, got %.*s", sql, value, (int)got.n, got.p);
}

static void test_ages(void **state) {
    (void)state;
    fixture f;
    gr_str value;
    int64_t asked_us;
    open_fixture(&f, 10);
    assert_false(gr_serve_keys_peek(f.keys, GR_STR("default"), GR_STR("a"), f.arena, &value, &asked_us));
    expect(&f, "a", LONG, "1");
    expect(&f, "a", LONG, "1");
    expect(&f, "b", LONG, "2"); /* another key */
    expect(&f, "a", 0, "3");
    assert_true(gr_serve_keys_peek(f.keys, GR_STR("default"), GR_STR("a"), f.arena, &value, &asked_us));
    assert_true(gr_str_eq_z(value, "3") && asked_us > 0);
    assert_false(gr_serve_keys_peek(f.keys, GR_STR("defaul"), GR_STR("ta"), f.arena, &value, &asked_us));
    assert_int_equal(atomic_load(&f.source.n_asked), 3);
    close_fixture(&f);
}

static void test_changes(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f, 10);
    atomic_store(&f.source.value, 7);
    uint64_t start = gr_serve_keys_changes(f.keys);
    expect(&f, "a", 0, "7");
    uint64_t first = gr_serve_keys_changes(f.keys);
    assert_true(first > start);
    expect(&f, "a", 0, "7");
    assert_int_equal(gr_serve_keys_changes(f.keys), first);
    atomic_store(&f.source.value, 8);
    expect(&f, "a", 0, "8");
    assert_true(gr_serve_keys_changes(f.keys) > first);
    close_fixture(&f);
}

/* What failed is known for as long as a value, and told once as news. */
static void test_failures(void **state) {
    (void)state;
    fixture f;
    gr_str value;
    gr_error err = {0};
    bool is_news;
    open_fixture(&f, 10);
    atomic_store(&f.source.status, GR_ERR_ENGINE_SQL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            gr_serve_keys_get(f.keys, &f.ctx, GR_STR("default"), GR_STR("a"), LONG, &value, &is_news, &err),
            GR_ERR_ENGINE_SQL);
        assert_string_equal(err.message, "it broke");
        assert_int_equal(is_news, i == 0);
    }
    assert_int_equal(atomic_load(&f.source.n_asked), 1);
    assert_int_equal(gr_serve_keys_get(f.keys, &f.ctx, GR_STR("default"), GR_STR("a"), 0, &value, &is_news, &err),
                     GR_ERR_ENGINE_SQL);
    assert_false(is_news);
    assert_false(gr_serve_keys_peek(f.keys, GR_STR("default"), GR_STR("a"), f.arena, &value, NULL));
    atomic_store(&f.source.status, GR_ERR_CANCELLED); /* of its asker: says nothing of the key */
    assert_int_equal(gr_serve_keys_get(f.keys, &f.ctx, GR_STR("default"), GR_STR("c"), LONG, &value, NULL, &err),
                     GR_ERR_CANCELLED);
    atomic_store(&f.source.status, GR_OK);
    expect(&f, "c", LONG, "4");
    expect(&f, "a", 0, "5");
    atomic_store(&f.source.value_bytes, 70000);
    assert_int_equal(gr_serve_keys_get(f.keys, &f.ctx, GR_STR("default"), GR_STR("d"), 0, &value, NULL, &err),
                     GR_ERR_LIMIT);
    close_fixture(&f);
}

static void test_bound(void **state) {
    (void)state;
    fixture f;
    gr_str value;
    char sql[16];
    open_fixture(&f, 4);
    for (int i = 0; i < 20; i++) {
        snprintf(sql, sizeof sql, "k%d", i);
        (void)nanosleep(&(struct timespec){0, 2000}, NULL);
        gr_error err;
        assert_int_equal(
            gr_serve_keys_get(f.keys, &f.ctx, GR_STR("default"), gr_str_from(sql), LONG, &value, NULL, &err), GR_OK);
    }
    int n_known = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(sql, sizeof sql, "k%d", i);
        bool is_known = gr_serve_keys_peek(f.keys, GR_STR("default"), gr_str_from(sql), f.arena, &value, NULL);
        n_known += is_known;
        assert_true(!is_known || i >= 16);
    }
    assert_int_equal(n_known, 4);
    close_fixture(&f);
}

typedef struct asker {
    fixture *f;
    int64_t max_age_us;
    int value;
} asker;

static void *ask_once(void *arg) {
    asker *a = arg;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena};
    gr_str value;
    gr_error err = {0};
    int64_t n = -1;
    if (!gr_serve_keys_get(a->f->keys, &ctx, GR_STR("default"), GR_STR("a"), a->max_age_us, &value, NULL, &err))
        (void)gr_str_to_i64(value, &n);
    a->value = (int)n;
    gr_arena_free(arena);
    return NULL;
}

/* Many at once: one asks. Who wants it anew while somebody asks already waits for the next asking, which all share. */
static void test_single_flight(void **state) {
    (void)state;
    enum { THREADS = 12 };
    fixture f;
    pthread_t threads[THREADS];
    asker askers[THREADS];
    open_fixture(&f, 10);
    atomic_store(&f.source.ms, 200);
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker){&f, LONG, 0};
        pthread_create(&threads[i], NULL, ask_once, &askers[i]);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) assert_int_equal(askers[i].value, 1);
    assert_int_equal(atomic_load(&f.source.n_asked), 1);
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker){&f, 0, 0};
        pthread_create(&threads[i], NULL, ask_once, &askers[i]);
        if (!i) nanosleep(&(struct timespec){0, 50000000}, NULL); /* the first one asks when the others come */
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(askers[0].value, 2);
    for (int i = 1; i < THREADS; i++) assert_int_equal(askers[i].value, 3);
    assert_int_equal(atomic_load(&f.source.most_running), 1);
    close_fixture(&f);
}

/* Who waits is let go by its own deadline. */
static void test_deadline(void **state) {
    (void)state;
    fixture f;
    pthread_t thread;
    gr_str value;
    gr_error err = {0};
    open_fixture(&f, 10);
    atomic_store(&f.source.ms, 500);
    asker first = {&f, 0, 0};
    pthread_create(&thread, NULL, ask_once, &first);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    f.ctx.deadline_mono_us = gr_clock_mono_us() + 20000;
    assert_int_equal(gr_serve_keys_get(f.keys, &f.ctx, GR_STR("default"), GR_STR("a"), LONG, &value, NULL, &err),
                     GR_ERR_TIMEOUT);
    pthread_join(thread, NULL);
    assert_int_equal(first.value, 1);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ages),          cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_failures),      cmocka_unit_test(test_bound),
                                       cmocka_unit_test(test_single_flight), cmocka_unit_test(test_deadline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
