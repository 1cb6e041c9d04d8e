/* Running statements: errors by kind, changes and progress, cancel and time limits, transactions, prepared statements.
 */
#include "conformance/engine/engine_fixture.h"

#include <pthread.h>

static fixture f;

static int open_it(void **state) {
    (void)state;
    set_up(&f, "state/store.duckdb");
    return 0;
}
static int close_it(void **state) {
    (void)state;
    tear_down(&f);
    return 0;
}

#define SLOW "SELECT count(*) FROM range(100000000) a(x), range(100000) b(y) WHERE (x * y) % 7 = 3"

static void test_errors(void **state) {
    (void)state;
    run(&f, "CREATE OR REPLACE TABLE t AS SELECT 1 AS a");
    static const struct {
        const char *sql;
        gr_status status;
        const char *state, *has;
    } cases[] = {
        {"SELEC 1", GR_ERR_ENGINE_SQL, "14", "selec"},
        {"SELECT * FROM missing", GR_ERR_ENGINE_SQL, "13", "missing"},
        {"SELECT missing FROM t", GR_ERR_ENGINE_SQL, "24", "missing"},
        {"SELECT nofn(1)", GR_ERR_ENGINE_SQL, "13", "nofn"},
        {"SELECT 1; SELECT 2", GR_ERR_ENGINE_SQL, "", ""},
        {"", GR_ERR_ENGINE_SQL, "", ""},
        {"DROP TABLE t", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"SELECT 'x'::INTEGER", GR_ERR_ENGINE_DATA, "2", "x"},
        {"SELECT * FROM read_parquet('/nowhere/at/all.parquet')", GR_ERR_ENGINE_IO, "28", "all.parquet"},
        {"SELECT now() AT TIME ZONE 'Nowhere/Land'", GR_ERR_ENGINE_SQL, "11", "Nowhere"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_status status = status_of(&f, cases[i].sql);
        if (status != cases[i].status)
            fail_msg("%s: %s: %s", cases[i].sql, gr_error_info_of(status)->id, f.err.message);
        if (*cases[i].state) assert_string_equal(f.err.engine_state, cases[i].state);
        assert_non_null(strcasestr(f.err.message, cases[i].has));
        assert_null(strstr(f.err.message, "LINE 1"));
        assert_null(strchr(f.err.message, '\n'));
        assert_null(strstr(f.err.message, " Error: "));
    }
    gr_str text;
    gr_stream *stream;
    assert_int_equal(driver->query(f.conn, &f.ctx, (gr_str){"SELECT '\xFF'", 10}, NULL, 0, false, &stream, &f.err),
                     GR_ERR_ENGINE_DATA);
    assert_int_equal(driver->query(f.conn, &f.ctx, (gr_str){"SELECT\0 1", 9}, NULL, 0, false, &stream, &f.err),
                     GR_ERR_ENGINE_SQL);
    assert_int_equal(try_rows(&f, f.conn, "SELECT a FROM t", NULL, 0, false, &text), GR_OK);
    assert_string_equal(text.p, "1");
}

static void test_memory_limit(void **state) {
    (void)state;
    run(&f, "SET memory_limit = '60MiB'");
    run(&f, "SET max_temp_directory_size = '1MiB'");
    gr_status status =
        status_of(&f, "SELECT count(DISTINCT i::VARCHAR || 'a long text that takes room') FROM range(20000000) t(i)");
    assert_int_equal(status, GR_ERR_ENGINE_MEMORY);
    run(&f, "SET memory_limit = '1GiB'");
    run(&f, "RESET max_temp_directory_size");
    assert_string_equal(rows(&f, "SELECT 1"), "1");
}

static void test_settings(void **state) {
    (void)state;
    assert_string_equal(rows(&f, "SELECT current_setting('TimeZone')"), "UTC");
    assert_string_equal(rows(&f, "SELECT current_setting('threads')"), "2");
    assert_string_equal(rows(&f, "SELECT current_setting('memory_limit')"), "1.0 GiB");
    assert_string_equal(rows(&f, "SELECT current_setting('autoinstall_known_extensions')"), "false");
    assert_string_equal(rows(&f, "SELECT current_setting('autoload_known_extensions')"), "false");
    assert_string_equal(rows(&f, "SELECT current_setting('allow_community_extensions')"), "false");
    assert_string_equal(rows(&f, "SELECT current_setting('temp_directory')"), path_in(&f, ".granary/tmp").p);
    assert_string_equal(rows(&f, "SELECT x FROM (VALUES (2), (NULL), (1)) t(x) ORDER BY x DESC"), "2;1;NULL");
    assert_string_equal(rows(&f, "SELECT current_catalog()"), "granary_store");
}

/* ---- changes -------------------------------------------------------------------------------------------------------
 */

static void count_progress(void *arg, double fraction) {
    int *n = arg;
    assert_true(fraction < 0 || fraction <= 1);
    ++*n;
}

static void test_update(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        int64_t rows;
    } cases[] = {
        {"CREATE OR REPLACE TABLE u(a BIGINT, b VARCHAR)", 0},
        {"INSERT INTO u SELECT i, 'x' FROM range(1000) t(i)", 1000},
        {"UPDATE u SET b = 'y' WHERE a < 10", 10},
        {"DELETE FROM u WHERE a >= 500", 500},
        {"CREATE OR REPLACE TABLE v AS SELECT * FROM u WHERE a < 123", 123},
        {"CHECKPOINT granary_store", 0},
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
            if (with_progress && i == 9) continue;
            int64_t n = -1;
            int calls = 0;
            if (driver->update(f.conn, &f.ctx, gr_str_from(cases[i].sql), NULL, 0,
                               with_progress ? count_progress : NULL, &calls, &n, &f.err))
                fail_msg("%s: %s", cases[i].sql, f.err.message);
            if (n != cases[i].rows) fail_msg("%s: %lld rows", cases[i].sql, (long long)n);
        }
        assert_string_equal(rows(&f, "SELECT count(*), count(*) FILTER (b = 'y') FROM u"), "500|10");
    }
    gr_value value = {.type = GR_TYPE_UTF8, .as.s = GR_STR("it's")};
    assert_int_equal(
        driver->update(f.conn, &f.ctx, GR_STR("INSERT INTO u VALUES (-1, $1)"), &value, 1, NULL, NULL, NULL, &f.err),
        GR_OK);
    assert_string_equal(rows(&f, "SELECT b FROM u WHERE a = -1"), "it's");
    assert_int_equal(try_run(&f, "INSERT INTO u VALUES ('x', 1)"), GR_ERR_ENGINE_DATA);
    assert_int_equal(try_run(&f, "CREATE TABLE u(a INT)"), GR_ERR_ENGINE_SQL);
    assert_int_equal(try_run(&f, "nonsense"), GR_ERR_ENGINE_SQL);
}

typedef struct seen {
    int n;
    double most;
} seen;

static void note_progress(void *arg, double fraction) {
    seen *s = arg;
    s->n++;
    if (fraction > s->most) s->most = fraction;
}

static void test_progress(void **state) {
    (void)state;
    run(&f, "CREATE OR REPLACE TABLE big AS SELECT i, (i * 7919) % 100003 AS k FROM range(3000000) t(i)");
    seen s = {.most = -2};
    int64_t n = 0;
    const char *sql =
        "CREATE OR REPLACE TABLE sums AS SELECT k, sum(sqrt(i) * ln(i + 1)) AS s, count(DISTINCT i % 1000) AS d "
        "FROM big GROUP BY k ORDER BY s";
    assert_int_equal(driver->update(f.conn, &f.ctx, gr_str_from(sql), NULL, 0, note_progress, &s, &n, &f.err), GR_OK);
    assert_int_equal(n, 100003);
    assert_true(s.n >= 1);
    assert_true(s.most > 0 && s.most <= 1);
    assert_string_equal(rows(&f, "SELECT count(*) FROM sums"), "100003");
}

static void test_failed_transaction_is_over(void **state) {
    (void)state;
    run(&f, "CREATE OR REPLACE TABLE tx AS SELECT 1 AS a");
    run(&f, "BEGIN");
    run(&f, "INSERT INTO tx VALUES (2)");
    assert_int_equal(try_run(&f, "INSERT INTO tx VALUES ('x')"), GR_ERR_ENGINE_DATA);
    assert_string_equal(rows(&f, "SELECT count(*) FROM tx"), "1");
    run(&f, "ROLLBACK");
    run(&f, "BEGIN");
    run(&f, "INSERT INTO tx VALUES (2)");
    assert_int_equal(status_of(&f, "SELECT ('x' || a)::INTEGER FROM tx"), GR_ERR_ENGINE_DATA);
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
        return driver->update(f.conn, ctx, GR_STR("CREATE OR REPLACE TABLE slow AS " SLOW), NULL, 0,
                              kind == KIND_PROGRESS ? count_progress : NULL, &calls, NULL, &f.err);
    }
    gr_str sql =
        kind == KIND_QUERY ? GR_STR(SLOW) : GR_STR("SELECT x, y FROM range(100000000) a(x), range(100000) b(y)");
    gr_stream *stream;
    const gr_batch *batch;
    gr_status status = driver->query(f.conn, ctx, sql, NULL, 0, false, &stream, &f.err);
    if (status) return status;
    while (!(status = stream->next(stream, &batch, &f.err)) && batch)
        if (kind == KIND_STREAM) usleep(200);
    stream->close(stream);
    return status;
}

static void test_cancel(void **state) {
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
        assert_true(took >= 90000 && took < 3000000);
        assert_string_equal(rows(&f, "SELECT 42"), "42");
        assert_int_equal(run_slow(kind, &ctx), GR_ERR_CANCELLED); /* before it starts */
    }
}

static void test_timeout(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        int64_t start = gr_clock_mono_us();
        gr_ctx ctx = {.arena = f.arena, .deadline_mono_us = start + 100000};
        gr_status status = run_slow(kind, &ctx);
        int64_t took = gr_clock_mono_us() - start;
        if (status != GR_ERR_TIMEOUT) fail_msg("kind %d: %d %s", kind, status, f.err.message);
        assert_true(took >= 90000 && took < 3000000);
        assert_string_equal(rows(&f, "SELECT 42"), "42");
        assert_int_equal(run_slow(kind, &ctx), GR_ERR_TIMEOUT);
    }
    usleep(250000); /* the watch has gone to sleep, and must wake */
    gr_ctx ctx = {.arena = f.arena, .deadline_mono_us = gr_clock_mono_us() + 50000};
    assert_int_equal(run_slow(KIND_QUERY, &ctx), GR_ERR_TIMEOUT);
}

static void test_interrupt(void **state) {
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

static void test_next_statement_closes_the_stream(void **state) {
    (void)state;
    gr_stream *stream;
    const gr_batch *batch;
    assert_int_equal(
        driver->query(f.conn, &f.ctx, GR_STR("SELECT * FROM range(100000)"), NULL, 0, true, &stream, &f.err), GR_OK);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    assert_non_null(batch);
    assert_string_equal(rows(&f, "SELECT 1"), "1");
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_ERR_INTERNAL);
    stream->close(stream);
    gr_str text;
    for (int i = 0; i < 3; i++) { /* the same prepared statement again, while its stream is open */
        assert_int_equal(
            driver->query(f.conn, &f.ctx, GR_STR("SELECT * FROM range(100000)"), NULL, 0, true, &stream, &f.err),
            GR_OK);
        assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
        driver->forget_statements(f.conn);
        gr_stream *second;
        assert_int_equal(
            driver->query(f.conn, &f.ctx, GR_STR("SELECT * FROM range(100000)"), NULL, 0, true, &second, &f.err),
            GR_OK);
        stream->close(stream);
        assert_int_equal(read_all(&f, second, &text), GR_OK);
        assert_int_equal(text.n, 588889);
    }
    gr_engine_conn *other = connect_to(&f, "");
    assert_int_equal(
        driver->query(other, &f.ctx, GR_STR("SELECT * FROM range(100000)"), NULL, 0, true, &stream, &f.err), GR_OK);
    driver->disconnect(other);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_ERR_INTERNAL);
    stream->close(stream);
}

static void test_prepared_statements_survive_ddl(void **state) {
    (void)state;
    gr_engine_conn *other = connect_to(&f, "");
    gr_str text, sql = GR_STR("SELECT * FROM kept");
    run(&f, "CREATE OR REPLACE TABLE kept_base AS SELECT 1 AS a");
    static const struct {
        const char *ddl, *text;
        gr_status status;
    } steps[] = {
        {"CREATE OR REPLACE TABLE kept AS SELECT 1 AS a", "1", GR_OK},
        {"CREATE OR REPLACE TABLE kept AS SELECT 'x' AS b, 2.5 AS c", "x|2.5", GR_OK},
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

static void *read_main(void *arg) {
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
static void test_publish_under_readers(void **state) {
    (void)state;
    run(&f, "CREATE OR REPLACE TABLE pub AS SELECT 0::BIGINT AS v FROM range(1000)");
    reader readers[3] = {0};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        readers[i].conn = connect_to(&f, "");
        assert_int_equal(pthread_create(&threads[i], NULL, read_main, &readers[i]), 0);
    }
    for (int i = 1; i <= 20; i++) {
        run(&f, "BEGIN");
        runf(&f, "CREATE TABLE pub_new AS SELECT %d::BIGINT AS v FROM range(1000)", i);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_failed_transaction_is_over),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_next_statement_closes_the_stream),
        cmocka_unit_test(test_prepared_statements_survive_ddl),
        cmocka_unit_test(test_publish_under_readers),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, open_it, close_it);
}
