/* What is DuckDB's own: error texts by kind, quoting, glob patterns, and the pool over real connections. */
#include "conformance/engine/engine_fixture.h"
#include "engine/duckdb_internal.h"

static void test_error_texts(void **state) {
    (void)state;
    static const struct {
        int type; /* 0: by prefix */
        const char *text;
        gr_status status;
        const char *state, *message;
    } cases[] = {
        {0, "Parser Error: syntax error at or near \"x\"\n\nLINE 1: x\n        ^", GR_ERR_ENGINE_SQL, "14",
         "syntax error at or near \"x\""},
        {0, "Binder Error: no such column", GR_ERR_ENGINE_SQL, "24", "no such column"},
        {13, "Catalog Error: Table with name t does not exist!\nDid you mean \"secret\"?", GR_ERR_ENGINE_SQL, "13",
         "Table with name t does not exist!"},
        {0, "Conversion Error: bad", GR_ERR_ENGINE_DATA, "2", "bad"},
        {1, "Out of Range Error: Overflow", GR_ERR_ENGINE_DATA, "1", "Overflow"},
        {18, "Constraint Error: Duplicate key", GR_ERR_ENGINE_DATA, "18", "Duplicate key"},
        {32, "Invalid Input Error: boom", GR_ERR_ENGINE_DATA, "32", "boom"},
        {32, "Invalid Input Error: Cannot prepare multiple statements at once!", GR_ERR_ENGINE_SQL, "32",
         "Cannot prepare multiple statements at once!"},
        {0, "IO Error: No files found", GR_ERR_ENGINE_IO, "28", "No files found"},
        {28, "IO Error: Could not set lock on file \"x\": Conflicting lock is held in y (PID 42). See also",
         GR_ERR_ENGINE_LOCKED, "28",
         "Could not set lock on file \"x\": Conflicting lock is held in y (PID 42). See also"},
        {29, "INTERRUPT Error: Interrupted!", GR_ERR_CANCELLED, "29", "Interrupted!"},
        {33, "Out of Memory Error: failed", GR_ERR_ENGINE_MEMORY, "33", "failed"},
        {10, "TransactionContext Error: Catalog write-write conflict on create", GR_ERR_ENGINE_LOCKED, "10",
         "Catalog write-write conflict on create"},
        {10, "TransactionContext Error: Cannot CHECKPOINT: there are other write transactions active",
         GR_ERR_ENGINE_LOCKED, "10", "Cannot CHECKPOINT: there are other write transactions active"},
        {10, "TransactionContext Error: cannot start a transaction within a transaction", GR_ERR_ENGINE_SQL, "10",
         "cannot start a transaction within a transaction"},
        {34, "Permission Error: no", GR_ERR_ENGINE_SQL, "34", "no"},
        {31, "INTERNAL Error: assertion", GR_ERR_INTERNAL, "31", "assertion"},
        {0, "something else", GR_ERR_INTERNAL, "0", "something else"},
        {99, "from the future", GR_ERR_INTERNAL, "0", "from the future"},
        {0, NULL, GR_ERR_INTERNAL, "0", ""},
        {0, "Binder Error:", GR_ERR_ENGINE_SQL, "24", "Binder Error:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_error err = {0};
        assert_int_equal(gr_engine_duckdb_fail((duckdb_error_type)cases[i].type, cases[i].text, &err), cases[i].status);
        assert_int_equal(err.status, cases[i].status);
        assert_string_equal(err.engine_state, cases[i].state);
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(gr_engine_duckdb_fail((duckdb_error_type)cases[i].type, cases[i].text, NULL), cases[i].status);
    }
    assert_int_equal(gr_engine_duckdb_lock_pid("held in x (PID 4711). See"), 4711);
    assert_int_equal(gr_engine_duckdb_lock_pid("held"), 0);
    assert_int_equal(gr_engine_duckdb_lock_pid(NULL), 0);
}

static void test_quoting(void **state) {
    (void)state;
    static const struct {
        const char *text, *name, *literal, *glob;
    } cases[] = {
        {"plain", "\"plain\"", "'plain'", "plain"},
        {"", "\"\"", "''", ""},
        {"a\"b'c", "\"a\"\"b'c\"", "'a\"b''c'", "a\"b'c"},
        {"x[1]*?", "\"x[1]*?\"", "'x[1]*?'", "x[[]1][*][?]"},
    };
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_buf b;
        gr_buf_init(&b, 1000);
        gr_engine_duckdb_add_name(&b, gr_str_from(cases[i].text));
        assert_true(gr_str_eq_z(gr_buf_str(&b), cases[i].name));
        gr_buf_reset(&b);
        gr_engine_duckdb_add_literal(&b, gr_str_from(cases[i].text));
        assert_true(gr_str_eq_z(gr_buf_str(&b), cases[i].literal));
        assert_true(gr_str_eq_z(gr_engine_duckdb_glob_escape(gr_str_from(cases[i].text), arena), cases[i].glob));
        gr_buf_done(&b);
    }
    gr_arena_free(arena);
}

static size_t n_cached(gr_engine_conn *conn) {
    size_t n = 0;
    for (size_t i = 0; i < GR_DUCKDB_CACHED; i++) n += ((gr_duckdb_conn *)(void *)conn)->cached[i].sql != NULL;
    return n;
}

static void test_statement_cache(void **state) {
    (void)state;
    fixture f;
    set_up(&f, NULL);
    gr_str text;
    char sql[64];
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_int_equal(try_rows(&f, f.conn, sql, NULL, 0, i % 10 != 0, &text), GR_OK);
        assert_int_equal(try_rows(&f, f.conn, "SELECT 'often'", NULL, 0, true, &text), GR_OK);
    }
    assert_int_equal(n_cached(f.conn), GR_DUCKDB_CACHED);
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)f.conn;
    assert_non_null(gr_engine_duckdb_cached(conn, GR_STR("SELECT 'often'")));
    assert_non_null(gr_engine_duckdb_cached(conn, GR_STR("SELECT 99")));
    assert_null(gr_engine_duckdb_cached(conn, GR_STR("SELECT 1")));  /* the oldest */
    assert_null(gr_engine_duckdb_cached(conn, GR_STR("SELECT 90"))); /* not asked for */
    driver->forget_statements(f.conn);
    assert_int_equal(n_cached(f.conn), 0);
    assert_int_equal(try_rows(&f, f.conn, "SELECT nope", NULL, 0, true, &text), GR_ERR_ENGINE_SQL);
    assert_int_equal(n_cached(f.conn), 0);
    tear_down(&f);
}

/* What gave wrong numbers (docs/decisions/0007) is in no plan. */
static void test_optimizers_that_are_off(void **state) {
    (void)state;
    fixture f;
    set_up(&f, "store.duckdb");
    run(&f, "CREATE TABLE t AS SELECT range % 100 AS k, range AS v FROM range(10000)");
    const char *text = rows(&f, "EXPLAIN SELECT k, sum(v) FROM t GROUP BY 1 ORDER BY 1 ASC NULLS LAST LIMIT 1");
    assert_non_null(strstr(text, "ORDER_BY"));
    assert_null(strstr(text, "TOP_N"));
    tear_down(&f);
}

static void test_pool_over_duckdb(void **state) {
    (void)state;
    fixture f;
    set_up(&f, "store.duckdb");
    run(&f, "CREATE TABLE t AS SELECT range AS a FROM range(100000)");
    gr_pool *pool = gr_pool_new(f.engine, 1);
    gr_engine_conn *conn = NULL;
    assert_int_equal(gr_pool_take(pool, &f.ctx, (gr_str){0}, &conn, &f.err), GR_OK);
    gr_stream *stream;
    const gr_batch *batch;
    assert_int_equal(driver->update(conn, &f.ctx, GR_STR("BEGIN"), NULL, 0, NULL, NULL, NULL, &f.err), GR_OK);
    assert_int_equal(driver->query(conn, &f.ctx, GR_STR("SELECT a FROM t"), NULL, 0, true, &stream, &f.err), GR_OK);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    gr_pool_give(pool, conn);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_ERR_INTERNAL);
    stream->close(stream);
    run(&f, "CHECKPOINT granary_store"); /* nobody holds a snapshot any more */
    assert_int_equal(n_cached(conn), 1);
    gr_pool_forget_statements(pool);
    assert_int_equal(n_cached(conn), 0);
    gr_engine_conn *again = NULL;
    assert_int_equal(gr_pool_take(pool, &f.ctx, (gr_str){0}, &again, &f.err), GR_OK);
    assert_ptr_equal(again, conn);
    gr_pool_give(pool, again);
    assert_int_equal(gr_pool_take(pool, &f.ctx, GR_STR("unknown"), &again, &f.err), GR_ERR_ENGINE_OPEN);
    gr_pool_free(pool);
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_texts),      cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_statement_cache),  cmocka_unit_test(test_optimizers_that_are_off),
        cmocka_unit_test(test_pool_over_duckdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
