/* The fake driver: what the script says is what comes out, and waiting ends early on cancel, deadline and interrupt. */
#include "engine/fake.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const gr_engine_driver *const driver = &gr_engine_fake_driver;
static gr_engine *engine;
static gr_engine_conn *conn;
static gr_error err;
static gr_ctx ctx;

static int open_it(void **state) {
    (void)state;
    gr_engine_options options = {0};
    engine = NULL;
    ctx = (gr_ctx){0};
    if (driver->open(&options, &engine, &err)) return 1;
    gr_source_config source = {.name = GR_STR("src")};
    return driver->attach(engine, &source, false, &err) || driver->connect(engine, GR_STR("src"), &conn, &err);
}

static int close_it(void **state) {
    (void)state;
    driver->disconnect(conn);
    driver->close(engine);
    return 0;
}

static const gr_column_schema schema[] = {
    {GR_STR_INIT("n"), GR_TYPE_INT64, 0, 0, false},    {GR_STR_INIT("t"), GR_TYPE_UTF8, 0, 0, false},
    {GR_STR_INIT("d"), GR_TYPE_DECIMAL, 18, 2, false}, {GR_STR_INIT("b"), GR_TYPE_BOOL, 0, 0, false},
    {GR_STR_INIT("day"), GR_TYPE_DATE, 0, 0, false},   {GR_STR_INIT("x"), GR_TYPE_FLOAT64, 0, 0, false},
};
enum { N_COLUMNS = 6, N_ROWS = 5 };
static gr_value cells[N_ROWS * N_COLUMNS];

static void make_cells(void) {
    for (int r = 0; r < N_ROWS; r++) {
        gr_value *row = &cells[r * N_COLUMNS];
        row[0] = (gr_value){.type = GR_TYPE_INT64, .as.i = r * 100};
        row[1] = (gr_value){.type = r == 2 ? GR_TYPE_NULL : GR_TYPE_UTF8, .as.s = r == 3 ? GR_STR("") : GR_STR("text")};
        row[2] = (gr_value){.type = GR_TYPE_DECIMAL, .as.i = -r};
        row[3] = (gr_value){.type = GR_TYPE_BOOL, .as.b = r == 1};
        row[4] = (gr_value){.type = GR_TYPE_DATE, .as.i = r - 2};
        row[5] = (gr_value){.type = GR_TYPE_FLOAT64, .as.d = r * 0.5};
    }
}

static gr_fake_answer answer_with_rows(const char *sql_has) {
    make_cells();
    return (gr_fake_answer){.sql_has = sql_has,
                            .schema = schema,
                            .n_columns = N_COLUMNS,
                            .n_rows = N_ROWS,
                            .cells = cells,
                            .batch_rows = 2};
}

static void test_rows(void **state) {
    (void)state;
    gr_fake_answer answer = answer_with_rows(NULL);
    gr_engine_fake_script(engine, &answer, 1);
    gr_stream *stream;
    const gr_batch *batch;
    assert_int_equal(driver->query(conn, &ctx, GR_STR("SELECT"), NULL, 0, true, &stream, &err), GR_OK);
    assert_int_equal(stream->n_columns, N_COLUMNS);
    static const size_t sizes[] = {2, 2, 1};
    int row = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stream->next(stream, &batch, &err), GR_OK);
        assert_int_equal(batch->n_rows, sizes[i]);
        for (size_t r = 0; r < batch->n_rows; r++, row++) {
            const gr_column *c = batch->columns;
            assert_int_equal(((const int64_t *)c[0].data)[r], row * 100);
            assert_true(gr_column_is_null(&c[1], r) == (row == 2));
            if (row != 2) assert_true(gr_str_eq_z(gr_column_text(&c[1], r), row == 3 ? "" : "text"));
            assert_true(((const __int128 *)c[2].data)[r] == -row);
            assert_int_equal(c[2].scale, 2);
            assert_int_equal(((const uint8_t *)c[3].data)[r], row == 1);
            assert_int_equal(((const int32_t *)c[4].data)[r], row - 2);
            assert_true(((const double *)c[5].data)[r] == row * 0.5);
        }
    }
    assert_int_equal(stream->next(stream, &batch, &err), GR_OK);
    assert_null(batch);
    stream->close(stream);
    gr_arena *arena = gr_arena_new();
    gr_column_schema *described;
    size_t n;
    assert_int_equal(driver->describe(conn, GR_STR("SELECT"), arena, &described, &n, &err), GR_OK);
    assert_int_equal(n, N_COLUMNS);
    assert_true(gr_str_eq_z(described[4].name, "day"));
    gr_arena_free(arena);
}

static void test_script_order(void **state) {
    (void)state;
    gr_fake_answer answers[] = {
        {.sql_has = "INSERT", .times = 2, .rows_changed = 7},
        {.sql_has = "INSERT", .fail = GR_ERR_ENGINE_IO, .fail_message = "disk full"},
        {.step = GR_FAKE_CONNECT, .sql_has = "src", .times = 1, .fail = GR_ERR_ENGINE_LOCKED},
        {.step = GR_FAKE_ATTACH, .sql_has = "bad", .fail = GR_ERR_ENGINE_OPEN},
    };
    gr_engine_fake_script(engine, answers, 4);
    int64_t n = 0;
    static const gr_status expected[] = {GR_OK, GR_OK, GR_ERR_ENGINE_IO, GR_ERR_ENGINE_IO};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(driver->update(conn, &ctx, GR_STR("INSERT 1"), NULL, 0, NULL, NULL, &n, &err), expected[i]);
    assert_int_equal(n, 7);
    assert_string_equal(err.message, "disk full");
    assert_int_equal(driver->update(conn, &ctx, GR_STR("DELETE"), NULL, 0, NULL, NULL, &n, &err), GR_ERR_ENGINE_SQL);
    assert_int_equal(gr_engine_fake_hits(engine, 0), 2);
    assert_int_equal(gr_engine_fake_hits(engine, 1), 2);
    assert_int_equal(gr_engine_fake_count(engine), 5);
    gr_arena *arena = gr_arena_new();
    assert_true(gr_str_eq_z(gr_engine_fake_statement(engine, 4, arena), "DELETE"));
    assert_int_equal(gr_engine_fake_statement(engine, 5, arena).n, 0);
    gr_arena_free(arena);
    gr_engine_conn *other = NULL;
    assert_int_equal(driver->connect(engine, GR_STR("src"), &other, &err), GR_ERR_ENGINE_LOCKED);
    assert_int_equal(driver->connect(engine, GR_STR("nope"), &other, &err), GR_ERR_ENGINE_OPEN);
    assert_int_equal(gr_engine_fake_connections(engine), 1);
    assert_int_equal(driver->connect(engine, GR_STR("src"), &other, &err), GR_OK);
    assert_int_equal(gr_engine_fake_connections(engine), 2);
    driver->disconnect(other);
    gr_source_config bad = {.name = GR_STR("bad")};
    assert_int_equal(driver->attach(engine, &bad, true, &err), GR_ERR_ENGINE_OPEN);
}

static void test_late_failure(void **state) {
    (void)state;
    gr_fake_answer answer = answer_with_rows("SELECT");
    answer.fail = GR_ERR_ENGINE_DATA;
    answer.is_failing_late = true;
    gr_engine_fake_script(engine, &answer, 1);
    gr_stream *stream;
    const gr_batch *batch;
    size_t n = 0;
    gr_status status;
    assert_int_equal(driver->query(conn, &ctx, GR_STR("SELECT"), NULL, 0, true, &stream, &err), GR_OK);
    while (!(status = stream->next(stream, &batch, &err)) && batch) n += batch->n_rows;
    assert_int_equal(status, GR_ERR_ENGINE_DATA);
    assert_int_equal(n, N_ROWS);
    stream->close(stream);
}

typedef struct stopper {
    atomic_bool flag;
    bool is_interrupting;
} stopper;

static void *stop_soon(void *arg) {
    stopper *s = arg;
    usleep(20000);
    if (s->is_interrupting)
        driver->interrupt(conn);
    else
        atomic_store(&s->flag, true);
    return NULL;
}

static void test_waiting_ends_early(void **state) {
    (void)state;
    gr_fake_answer answers[] = {{.sql_has = "SLOW", .delay_ms = 20000}, answer_with_rows("BATCHES")};
    answers[1].batch_delay_ms = 20000;
    gr_engine_fake_script(engine, answers, 2);
    for (int how = 0; how < 3; how++) {
        for (int where = 0; where < 2; where++) {
            stopper stop = {.is_interrupting = how == 2};
            gr_ctx limited = {.is_cancelled = how == 0 ? &stop.flag : NULL,
                              .deadline_mono_us = how == 1 ? gr_clock_mono_us() + 20000 : 0};
            pthread_t thread;
            if (how != 1) assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stop), 0);
            int64_t start = gr_clock_mono_us();
            gr_stream *stream = NULL;
            const gr_batch *batch;
            gr_status status =
                driver->query(conn, &limited, where ? GR_STR("BATCHES") : GR_STR("SLOW"), NULL, 0, true, &stream, &err);
            if (where) {
                assert_int_equal(status, GR_OK);
                status = stream->next(stream, &batch, &err);
                stream->close(stream);
            }
            if (how != 1) pthread_join(thread, NULL);
            assert_int_equal(status, how == 1 ? GR_ERR_TIMEOUT : GR_ERR_CANCELLED);
            assert_true(gr_clock_mono_us() - start < 5000000);
        }
    }
}

static void test_next_statement_closes_the_stream(void **state) {
    (void)state;
    gr_fake_answer answer = answer_with_rows(NULL);
    gr_engine_fake_script(engine, &answer, 1);
    gr_stream *first, *second;
    const gr_batch *batch;
    assert_int_equal(driver->query(conn, &ctx, GR_STR("a"), NULL, 0, true, &first, &err), GR_OK);
    assert_int_equal(first->next(first, &batch, &err), GR_OK);
    assert_int_equal(driver->query(conn, &ctx, GR_STR("b"), NULL, 0, true, &second, &err), GR_OK);
    assert_int_equal(first->next(first, &batch, &err), GR_ERR_INTERNAL);
    first->close(first);
    assert_int_equal(second->next(second, &batch, &err), GR_OK);
    driver->reset(conn);
    assert_int_equal(second->next(second, &batch, &err), GR_ERR_INTERNAL);
    second->close(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_script_order, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_late_failure, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_waiting_ends_early, open_it, close_it),
        cmocka_unit_test_setup_teardown(test_next_statement_closes_the_stream, open_it, close_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
