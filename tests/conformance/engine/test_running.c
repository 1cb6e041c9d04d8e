/* Running statements: errors by kind, changes and progress, cancel and time limits, transactions, prepared statements.
 */
#include "conformance/engine/engine_fixture.h"

#define SOURCE ""
#define NUMBERS(n) "range(" #n ")"
#define SLOW "SELECT count(*) FROM range(100000000) a(x), range(100000) b(y) WHERE (x * y) % 7 = 3"
#define ENDLESS "SELECT x, y FROM range(100000000) a(x), range(100000) b(y)"
static fixture f;
#include "conformance/engine/running_suite.h"

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

static void test_errors(void **state) {
    (void)state;
    run(&f, "CREATE OR REPLACE TABLE t AS SELECT 1 AS a");
    static const error_case cases[] = {
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
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_error(&f, &cases[i]);
    check_odd_statements(&f);
    gr_str text;
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

/* ---- progress ------------------------------------------------------------------------------------------------------
 */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),       RUNNING_SUITE,
        cmocka_unit_test(test_settings),     cmocka_unit_test(test_progress),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, open_it, close_it);
}
