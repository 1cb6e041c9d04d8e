/* The pool, on the fake driver: never more than the maximum, waiting that ends, statements that are forgotten. */
#include "engine/fake.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const gr_engine_driver *const driver = &gr_engine_fake_driver;
static gr_engine *engine;
static gr_pool *pool;
static gr_error err;

static int open_it(void **state) {
    (void)state;
    gr_engine_options options = {0};
    if (driver->open(&options, &engine, &err)) return 1;
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        gr_source_config source = {.name = gr_str_from(names[i])};
        if (driver->attach(engine, &source, false, &err)) return 1;
    }
    pool = gr_pool_new(engine, 2);
    return 0;
}

static int close_it(void **state) {
    (void)state;
    gr_pool_free(pool);
    int left = (int)gr_engine_fake_connections(engine);
    driver->close(engine);
    return left;
}

static gr_engine_conn *take(const char *source) {
    gr_engine_conn *conn = NULL;
    assert_int_equal(gr_pool_take(pool, NULL, gr_str_from(source), &conn, &err), GR_OK);
    assert_non_null(conn);
    return conn;
}

static void test_lazy_and_reused(void **state) {
    (void)state;
    assert_int_equal(gr_engine_fake_connections(engine), 0);
    gr_engine_conn *first = take("a");
    gr_engine_conn *second = take("a");
    assert_true(first != second);
    gr_engine_conn *other = take("b");
    assert_int_equal(gr_engine_fake_connections(engine), 3);
    gr_pool_give(pool, first);
    gr_pool_give(pool, second);
    assert_ptr_equal(take("a"), second); /* the warm one */
    assert_ptr_equal(take("a"), first);
    gr_pool_give(pool, first);
    gr_pool_give(pool, second);
    gr_pool_give(pool, other);
    gr_pool_give(pool, NULL);
    gr_engine_conn *store = take("");
    gr_pool_give(pool, store);
    assert_int_equal(gr_engine_fake_connections(engine), 4);
}

typedef struct stopper {
    atomic_bool flag;
} stopper;

static void *cancel_soon(void *arg) {
    usleep(30000);
    atomic_store(&((stopper *)arg)->flag, true);
    return NULL;
}

static void test_waiting_ends(void **state) {
    (void)state;
    gr_engine_conn *held[2] = {take("a"), take("a")};
    gr_engine_conn *conn = NULL;
    gr_ctx late = {.deadline_mono_us = gr_clock_mono_us() + 30000};
    assert_int_equal(gr_pool_take(pool, &late, GR_STR("a"), &conn, &err), GR_ERR_TIMEOUT);
    assert_null(conn);
    stopper stop = {false};
    gr_ctx cancelled = {.is_cancelled = &stop.flag};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &stop), 0);
    assert_int_equal(gr_pool_take(pool, &cancelled, GR_STR("a"), &conn, &err), GR_ERR_CANCELLED);
    pthread_join(thread, NULL);
    gr_engine_conn *other = take("b"); /* another source does not wait */
    gr_pool_give(pool, other);
    gr_pool_give(pool, held[0]);
    gr_ctx in_time = {.deadline_mono_us = gr_clock_mono_us() + 1000000};
    assert_int_equal(gr_pool_take(pool, &in_time, GR_STR("a"), &conn, &err), GR_OK);
    assert_ptr_equal(conn, held[0]);
    gr_pool_give(pool, conn);
    gr_pool_give(pool, held[1]);
}

static void test_failed_connection_frees_its_place(void **state) {
    (void)state;
    gr_fake_answer answer = {.step = GR_FAKE_CONNECT, .times = 3, .fail = GR_ERR_ENGINE_LOCKED};
    gr_engine_fake_script(engine, &answer, 1);
    gr_engine_conn *conn = NULL;
    for (int i = 0; i < 3; i++)
        assert_int_equal(gr_pool_take(pool, NULL, GR_STR("a"), &conn, &err), GR_ERR_ENGINE_LOCKED);
    gr_engine_conn *held[2] = {take("a"), take("a")};
    gr_pool_give(pool, held[0]);
    gr_pool_give(pool, held[1]);
    assert_int_equal(gr_pool_take(pool, NULL, GR_STR("nope"), &conn, &err), GR_ERR_ENGINE_OPEN);
}

/* Builds and queries wait for their own; a source may have another limit for queries. */
static void test_builds_apart(void **state) {
    (void)state;
    gr_ctx query = {.deadline_mono_us = gr_clock_mono_us() + 5000000}, build = query;
    gr_engine_conn *conn[5] = {0}, *more = NULL;
    build.is_build = true;
    gr_pool_limit(pool, GR_STR("c"), 1);
    for (int round = 0; round < 2; round++) { /* the second one with warm connections */
        assert_int_equal(gr_pool_take(pool, &query, GR_STR("c"), &conn[0], &err), GR_OK);
        assert_int_equal(gr_pool_take(pool, &build, GR_STR("c"), &conn[1], &err), GR_OK);
        assert_int_equal(gr_pool_take(pool, &build, GR_STR("c"), &conn[2], &err), GR_OK);
        gr_ctx late = {.deadline_mono_us = gr_clock_mono_us() + 20000};
        assert_int_equal(gr_pool_take(pool, &late, GR_STR("c"), &more, &err), GR_ERR_TIMEOUT);
        late = (gr_ctx){.deadline_mono_us = gr_clock_mono_us() + 20000, .is_build = true};
        assert_int_equal(gr_pool_take(pool, &late, GR_STR("c"), &more, &err), GR_ERR_TIMEOUT);
        gr_pool_give(pool, conn[1]); /* a build's place is none for a query */
        late = (gr_ctx){.deadline_mono_us = gr_clock_mono_us() + 20000};
        assert_int_equal(gr_pool_take(pool, &late, GR_STR("c"), &more, &err), GR_ERR_TIMEOUT);
        gr_pool_give(pool, conn[0]);
        assert_int_equal(gr_pool_take(pool, &query, GR_STR("c"), &conn[0], &err), GR_OK);
        gr_pool_give(pool, conn[0]);
        gr_pool_give(pool, conn[2]);
    }
    gr_engine_conn *held[2] = {take("b"), take("b")}; /* that of another source is as before */
    gr_pool_give(pool, held[0]);
    gr_pool_give(pool, held[1]);
}

static void test_forget(void **state) {
    (void)state;
    gr_engine_conn *busy = take("a"), *idle = take("a");
    gr_pool_give(pool, idle);
    gr_pool_forget_statements(pool);
    assert_int_equal(gr_engine_fake_forgettings(engine), 1);
    gr_pool_forget_statements(pool);
    assert_int_equal(gr_engine_fake_forgettings(engine), 2);
    gr_pool_give(pool, busy);
    assert_int_equal(gr_engine_fake_forgettings(engine), 3); /* both at once */
    gr_pool_give(pool, take("a"));
    assert_int_equal(gr_engine_fake_forgettings(engine), 3);
}

static void test_given_back_closes_its_stream(void **state) {
    (void)state;
    static const gr_column_schema schema[] = {{GR_STR_INIT("n"), GR_TYPE_INT64, 0, 0, false}};
    static const gr_value cells[2] = {{.type = GR_TYPE_INT64}, {.type = GR_TYPE_INT64}};
    gr_fake_answer answer = {.schema = schema, .n_columns = 1, .n_rows = 2, .cells = cells, .batch_rows = 1};
    gr_engine_fake_script(engine, &answer, 1);
    gr_engine_conn *conn = take("a");
    gr_stream *stream;
    const gr_batch *batch;
    gr_ctx ctx = {0};
    assert_int_equal(driver->query(conn, &ctx, GR_STR("x"), NULL, 0, false, &stream, &err), GR_OK);
    gr_pool_give(pool, conn);
    assert_int_equal(stream->next(stream, &batch, &err), GR_ERR_INTERNAL);
    stream->close(stream);
}

typedef struct shared {
    atomic_int now, most, done;
} shared;

static void *work(void *arg) {
    shared *s = arg;
    for (int i = 0; i < 50; i++) {
        gr_engine_conn *conn = NULL;
        gr_ctx ctx = {.deadline_mono_us = gr_clock_mono_us() + 20000000};
        if (gr_pool_take(pool, &ctx, GR_STR("a"), &conn, NULL)) continue;
        int now = atomic_fetch_add(&s->now, 1) + 1, most = atomic_load(&s->most);
        while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now)) {
        }
        if (!driver->update(conn, &ctx, GR_STR("x"), NULL, 0, NULL, NULL, NULL, NULL)) atomic_fetch_add(&s->done, 1);
        atomic_fetch_sub(&s->now, 1);
        gr_pool_give(pool, conn);
        if (i % 16 == 0) gr_pool_forget_statements(pool);
    }
    return NULL;
}

static void test_many_threads(void **state) {
    (void)state;
    gr_fake_answer answer = {.rows_changed = 1, .delay_ms = 1};
    gr_engine_fake_script(engine, &answer, 1);
    shared s = {0};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &s), 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&s.done), 400);
    assert_int_equal(atomic_load(&s.most), 2);
    assert_int_equal(gr_engine_fake_connections(engine), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lazy_and_reused, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_waiting_ends, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_failed_connection_frees_its_place, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_builds_apart, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_forget, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_given_back_closes_its_stream, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_many_threads, open_it, close_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
