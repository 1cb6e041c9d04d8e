/* What every driver does with statements: changes, cancel and time limits, transactions, streams, prepared statements.
 * The file that includes it has said, in its own dialect: TEST_DRIVER, SOURCE (of its connections), NUMBERS(n) (a
 * relation of the numbers below n), SLOW (a statement that takes for ever), ENDLESS (one with rows for ever), and has
 * the fixture `f`. */
#ifndef GR_TEST_ENGINE_RUNNING_SUITE_H
#define GR_TEST_ENGINE_RUNNING_SUITE_H
#include <pthread.h>

#ifndef SLOW_TABLE
#define SLOW_TABLE "CREATE TABLE slow AS " /* and a SELECT */
#endif

static void count_progress(void *arg, double fraction) {
    int *n = arg;
    assert_true(fraction < 0 || fraction <= 1);
    ++*n;
}

SHARED void test_update(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        int64_t rows;
    } cases[] = {
        {"DROP TABLE IF EXISTS u", 0},
        {"DROP TABLE IF EXISTS v", 0},
        {"CREATE TABLE u(a BIGINT, b VARCHAR)", 0},
        {"INSERT INTO u SELECT i, 'x' FROM " NUMBERS(1000) " t(i)", 1000},
        {"UPDATE u SET b = 'y' WHERE a < 10", 10},
        {"DELETE FROM u WHERE a >= 500", 500},
        {"CREATE TABLE v AS SELECT * FROM u WHERE a < 123", 123},
        {"BEGIN", 0},
        {"INSERT INTO u VALUES (1, 'z')", 1},
        {"ROLLBACK", 0},
        {"ROLLBACK", 0}, /* nothing to do is no error */
        {"BEGIN", 0},
        {"DROP TABLE v", 0},
        {"COMMIT", 0},
    };
    for (int with_progress = 0; with_progress < 2; with_progress++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            if (with_progress && strcmp(cases[i].sql, "ROLLBACK") == 0 && strcmp(cases[i - 1].sql, "ROLLBACK") == 0)
                continue;
            int64_t n = -1;
            int calls = 0;
            if (driver->update(f.conn, &f.ctx, gr_str_from(cases[i].sql), NULL, 0,
                               with_progress ? count_progress : NULL, &calls, &n, &f.err))
                fail_msg("%s: %s", cases[i].sql, f.err.message);
            if (n != cases[i].rows) fail_msg("%s: %lld rows", cases[i].sql, (long long)n);
        }
        assert_string_equal(rows(&f, "SELECT count(*), count(*) FILTER (WHERE b = 'y') FROM u"), "500|10");
    }
    gr_value value = {.type = GR_TYPE_UTF8, .as.s = GR_STR("it's")};
    assert_int_equal(
        driver->update(f.conn, &f.ctx, GR_STR("INSERT INTO u VALUES (-1, $1)"), &value, 1, NULL, NULL, NULL, &f.err),
        GR_OK);
    assert_string_equal(rows(&f, "SELECT b FROM u WHERE a = -1"), "it's");
    assert_int_equal(try_run(&f, "INSERT INTO u VALUES ('x', '1')"), GR_ERR_ENGINE_DATA);
    assert_int_equal(try_run(&f, "CREATE TABLE u(a INT)"), GR_ERR_ENGINE_SQL);
    assert_int_equal(try_run(&f, "nonsense"), GR_ERR_ENGINE_SQL);
}

SHARED void test_failed_transaction_is_over(void **state) {
    (void)state;
    run(&f, "DROP TABLE IF EXISTS tx");
    run(&f, "CREATE TABLE tx AS SELECT 1 AS a");
    run(&f, "BEGIN");
    run(&f, "INSERT INTO tx VALUES (2)");
    assert_int_equal(try_run(&f, "INSERT INTO tx VALUES ('x')"), GR_ERR_ENGINE_DATA);
    assert_string_equal(rows(&f, "SELECT count(*) FROM tx"), "1");
    run(&f, "ROLLBACK");
    run(&f, "BEGIN");
    run(&f, "INSERT INTO tx VALUES (2)");
    assert_int_equal(status_of(&f, "SELECT CAST('x' || a AS INTEGER) FROM tx"), GR_ERR_ENGINE_DATA);
    assert_string_equal(rows(&f, "SELECT count(*) FROM tx"), "1");
    run(&f, "BEGIN");
    run(&f, "INSERT INTO tx VALUES (2)");
    driver->reset(f.conn);
    assert_string_equal(rows(&f, "SELECT count(*) FROM tx"), "1");
}

/* ---- cancel and limits ----------------------------------------------------------------------------------------------
 */

typedef struct canceller {
    atomic_bool flag;
    int64_t after_us;
    gr_engine_conn *interrupted; /* instead of the flag */
    atomic_bool is_over;
} canceller;

static void *cancel_main(void *arg) {
    canceller *c = arg;
    usleep((useconds_t)c->after_us);
    if (!c->interrupted) atomic_store(&c->flag, true);
    while (c->interrupted && !atomic_load(&c->is_over)) {
        driver->interrupt(c->interrupted);
        usleep(2000);
    }
    return NULL;
}

enum { KIND_QUERY, KIND_UPDATE, KIND_PROGRESS, KIND_STREAM, N_KINDS };

static gr_status run_slow(int kind, gr_ctx *ctx) {
    f.err = (gr_error){0};
    if (kind == KIND_UPDATE || kind == KIND_PROGRESS) {
        int calls = 0;
        return driver->update(f.conn, ctx, GR_STR(SLOW_TABLE SLOW), NULL, 0,
                              kind == KIND_PROGRESS ? count_progress : NULL, &calls, NULL, &f.err);
    }
    gr_str sql = kind == KIND_QUERY ? GR_STR(SLOW) : GR_STR(ENDLESS);
    gr_stream *stream;
    const gr_batch *batch;
    gr_status status = driver->query(f.conn, ctx, sql, NULL, 0, false, &stream, &f.err);
    if (status) return status;
    while (!(status = stream->next(stream, &batch, &f.err)) && batch)
        if (kind == KIND_STREAM) usleep(200);
    stream->close(stream);
    return status;
}

SHARED void test_cancel(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        canceller c = {.after_us = 100000};
        gr_ctx ctx = {.arena = f.arena, .is_cancelled = &c.flag};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_main, &c), 0);
        int64_t start = gr_clock_mono_us();
        gr_status status = run_slow(kind, &ctx);
        int64_t took = gr_clock_mono_us() - start;
        pthread_join(thread, NULL);
        if (status != GR_ERR_CANCELLED) fail_msg("kind %d: %d %s", kind, status, f.err.message);
        assert_true(took >= 90000 && took < 20000000);
        assert_string_equal(rows(&f, "SELECT 42"), "42");
        assert_int_equal(run_slow(kind, &ctx), GR_ERR_CANCELLED); /* before it starts */
    }
}

SHARED void test_timeout(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        int64_t start = gr_clock_mono_us();
        gr_ctx ctx = {.arena = f.arena, .deadline_mono_us = start + 100000};
        gr_status status = run_slow(kind, &ctx);
        int64_t took = gr_clock_mono_us() - start;
        if (status != GR_ERR_TIMEOUT) fail_msg("kind %d: %d %s", kind, status, f.err.message);
        assert_true(took >= 90000 && took < 20000000);
        assert_string_equal(rows(&f, "SELECT 42"), "42");
        assert_int_equal(run_slow(kind, &ctx), GR_ERR_TIMEOUT);
    }
    usleep(250000); /* the watch has gone to sleep, and must wake */
    gr_ctx ctx = {.arena = f.arena, .deadline_mono_us = gr_clock_mono_us() + 50000};
    assert_int_equal(run_slow(KIND_QUERY, &ctx), GR_ERR_TIMEOUT);
}

SHARED void test_interrupt(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        canceller c = {.after_us = 50000, .interrupted = f.conn};
        gr_ctx ctx = {.arena = f.arena};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_main, &c), 0);
        gr_status status = run_slow(kind, &ctx);
        atomic_store(&c.is_over, true);
        pthread_join(thread, NULL);
        if (status != GR_ERR_CANCELLED) fail_msg("kind %d: %d %s", kind, status, f.err.message);
        assert_string_equal(rows(&f, "SELECT 42"), "42");
    }
    driver->interrupt(f.conn); /* on an idle connection: nothing happens */
    assert_string_equal(rows(&f, "SELECT 42"), "42");
}

/* ---- streams and prepared statements --------------------------------------------------------------------------------
 */

SHARED void test_next_statement_closes_the_stream(void **state) {
    (void)state;
    gr_stream *stream;
    const gr_batch *batch;
    assert_int_equal(
        driver->query(f.conn, &f.ctx, GR_STR("SELECT * FROM " NUMBERS(100000)), NULL, 0, true, &stream, &f.err), GR_OK);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    assert_non_null(batch);
    assert_string_equal(rows(&f, "SELECT 1"), "1");
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_ERR_INTERNAL);
    stream->close(stream);
    gr_str text;
    for (int i = 0; i < 3; i++) { /* the same prepared statement again, while its stream is open */
        assert_int_equal(
            driver->query(f.conn, &f.ctx, GR_STR("SELECT * FROM " NUMBERS(100000)), NULL, 0, true, &stream, &f.err),
            GR_OK);
        assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
        driver->forget_statements(f.conn);
        gr_stream *second;
        assert_int_equal(
            driver->query(f.conn, &f.ctx, GR_STR("SELECT * FROM " NUMBERS(100000)), NULL, 0, true, &second, &f.err),
            GR_OK);
        stream->close(stream);
        assert_int_equal(read_all(&f, second, &text), GR_OK);
        assert_int_equal(text.n, 588889);
    }
    gr_engine_conn *other = connect_to(&f, SOURCE);
    assert_int_equal(
        driver->query(other, &f.ctx, GR_STR("SELECT * FROM " NUMBERS(100000)), NULL, 0, true, &stream, &f.err), GR_OK);
    driver->disconnect(other);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_ERR_INTERNAL);
    stream->close(stream);
}

SHARED void test_prepared_statements_survive_ddl(void **state) {
    (void)state;
    gr_engine_conn *other = connect_to(&f, SOURCE);
    gr_str text, sql = GR_STR("SELECT * FROM kept");
    run(&f, "DROP TABLE IF EXISTS kept_base");
    run(&f, "CREATE TABLE kept_base AS SELECT 1 AS a");
    static const struct {
        const char *ddl, *text;
        gr_status status;
    } steps[] = {
        {"CREATE TABLE kept AS SELECT 1 AS a", "1", GR_OK},
        {"DROP TABLE kept", "", GR_ERR_ENGINE_SQL},
        {"CREATE TABLE kept AS SELECT 'x' AS b, 2.5 AS c", "x|2.5", GR_OK},
        {"ALTER TABLE kept ADD COLUMN d BIGINT", "x|2.5|NULL", GR_OK},
        {"DROP TABLE kept", "", GR_ERR_ENGINE_SQL},
        {"CREATE VIEW kept AS SELECT a + 6 AS z FROM kept_base", "7", GR_OK},
        {"DROP VIEW kept", "", GR_ERR_ENGINE_SQL},
        {"CREATE TABLE kept AS SELECT DATE '1970-01-02' AS d", "1", GR_OK},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        run(&f, steps[i].ddl);
        for (int again = 0; again < 2; again++) {
            gr_status status = try_rows(&f, other, sql.p, NULL, 0, true, &text);
            if (status != steps[i].status) fail_msg("after %s: %s", steps[i].ddl, f.err.message);
            if (!status) assert_string_equal(text.p, steps[i].text);
        }
    }
    char many[64];
    for (int i = 0; i < 200; i++) { /* more than are kept */
        snprintf(many, sizeof many, "SELECT %d", i % 150);
        assert_int_equal(try_rows(&f, other, many, NULL, 0, true, &text), GR_OK);
        assert_string_equal(text.p, many + 7);
    }
    driver->disconnect(other);
}

typedef struct reader {
    gr_engine_conn *conn;
    int wrong;
} reader;

SHARED void *read_main(void *arg) {
    reader *r = arg;
    for (int i = 0; i < 100; i++) {
        gr_ctx ctx = {.deadline_mono_us = gr_clock_mono_us() + 20000000};
        gr_stream *stream;
        const gr_batch *batch = NULL;
        if (driver->query(r->conn, &ctx, GR_STR("SELECT min(v), max(v), count(*) FROM pub"), NULL, 0, true, &stream,
                          NULL)) {
            r->wrong++;
            continue;
        }
        const int64_t *v[3] = {0};
        if (stream->next(stream, &batch, NULL) || !batch) r->wrong++;
        for (size_t c = 0; batch && c < 3; c++) v[c] = batch->columns[c].data;
        if (batch && (v[0][0] != v[1][0] || v[2][0] != 1000)) r->wrong++;
        stream->close(stream);
    }
    return NULL;
}

/* Publishing while others read: nobody sees half of it. */
SHARED void test_publish_under_readers(void **state) {
    (void)state;
    run(&f, "DROP TABLE IF EXISTS pub");
    run(&f, "CREATE TABLE pub AS SELECT CAST(0 AS BIGINT) AS v FROM " NUMBERS(1000));
    reader readers[3] = {0};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        readers[i].conn = connect_to(&f, SOURCE);
        assert_int_equal(pthread_create(&threads[i], NULL, read_main, &readers[i]), 0);
    }
    for (int i = 1; i <= 20; i++) {
        run(&f, "BEGIN");
        runf(&f, "CREATE TABLE pub_new AS SELECT CAST(%d AS BIGINT) AS v FROM " NUMBERS(1000), i);
        run(&f, "DROP TABLE pub");
        run(&f, "ALTER TABLE pub_new RENAME TO pub");
        run(&f, "COMMIT");
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        driver->disconnect(readers[i].conn);
        assert_int_equal(readers[i].wrong, 0);
    }
}

#define RUNNING_SUITE                                                                                                  \
    cmocka_unit_test(test_update), cmocka_unit_test(test_failed_transaction_is_over), cmocka_unit_test(test_cancel),   \
        cmocka_unit_test(test_timeout), cmocka_unit_test(test_interrupt),                                              \
        cmocka_unit_test(test_next_statement_closes_the_stream),                                                       \
        cmocka_unit_test(test_prepared_statements_survive_ddl), cmocka_unit_test(test_publish_under_readers)
#endif
