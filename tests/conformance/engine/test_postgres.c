/* The PostgreSQL driver on a server of its own: the suite of all drivers, PostgreSQL's types at their extremes, its
 * errors, and what happens to connections. Skips visibly where there is no PostgreSQL. */
#define TEST_DRIVER gr_engine_postgres_driver
#include "conformance/engine/engine_fixture.h"
#include "postgres/server.h"

#define SOURCE "shop"
#define NUMBERS(n) "generate_series(0, " #n " - 1)"
#define SLOW                                                                                                           \
    "SELECT count(*) FROM generate_series(1, 100000000) a(x), generate_series(1, 100000) b(y) WHERE (x * y) % 7 = 3"
#define ENDLESS "SELECT x, y FROM generate_series(1, 100000) a(x), generate_series(1, 100000) b(y)"
static fixture f;
#include "conformance/engine/running_suite.h"

static postgres_server server;
static gr_source_config source;

static int open_it(void **state) {
    (void)state;
    if (postgres_start(&server)) return -1;
    if (!server.connection[0]) {
        printf("[  SKIPPED ] no PostgreSQL server is installed\n");
        exit(0);
    }
    set_up_folder(&f);
    if (try_open(&f, NULL)) return -1;
    source =
        (gr_source_config){.name = GR_STR(SOURCE), .kind = GR_SOURCE_POSTGRES, .url = {gr_str_from(server.connection)}};
    if (driver->attach(f.engine, &source, false, &f.err)) return -1;
    f.conn = connect_to(&f, SOURCE);
    return 0;
}

static int close_it(void **state) {
    (void)state;
    tear_down(&f);
    return postgres_stop(&server);
}

/* ---- types ---------------------------------------------------------------------------------------------------------
 */

static void test_every_type(void **state) {
    (void)state;
    static const type_case cases[] = {
        {"true", GR_TYPE_BOOL, 0, 0, "true"},
        {"false", GR_TYPE_BOOL, 0, 0, "false"},
        {"(-32768)::smallint", GR_TYPE_INT64, 0, 0, "-32768"},
        {"(-2147483648)::integer", GR_TYPE_INT64, 0, 0, "-2147483648"},
        {"9223372036854775807::bigint", GR_TYPE_INT64, 0, 0, "9223372036854775807"},
        {"(-9223372036854775808)::bigint", GR_TYPE_INT64, 0, 0, "-9223372036854775808"},
        {"4294967295::oid", GR_TYPE_INT64, 0, 0, "4294967295"},
        {"0.1::real", GR_TYPE_FLOAT64, 0, 0, "0.10000000149011612"},
        {"1.7976931348623157e308::float8", GR_TYPE_FLOAT64, 0, 0, "1.7976931348623157e+308"},
        {"5e-324::float8", GR_TYPE_FLOAT64, 0, 0, "4.9406564584124654e-324"},
        {"'-0'::float8", GR_TYPE_FLOAT64, 0, 0, "-0"},
        {"'NaN'::float8", GR_TYPE_FLOAT64, 0, 0, "nan"},
        {"'Infinity'::float8", GR_TYPE_FLOAT64, 0, 0, "inf"},
        {"'-Infinity'::float8", GR_TYPE_FLOAT64, 0, 0, "-inf"},
        {"(-1.5)::numeric(4,2)", GR_TYPE_DECIMAL, 4, 2, "-1.50"},
        {"1234567.89::numeric(9,2)", GR_TYPE_DECIMAL, 9, 2, "1234567.89"},
        {"0.000000000000000001::numeric(18,18)", GR_TYPE_DECIMAL, 18, 18, "0.000000000000000001"},
        {"99999999999999999999999999999999999999::numeric(38,0)", GR_TYPE_DECIMAL, 38, 0,
         "99999999999999999999999999999999999999"},
        {"(-0.99999999999999999999999999999999999999)::numeric(38,38)", GR_TYPE_DECIMAL, 38, 38,
         "-0.99999999999999999999999999999999999999"},
        {"0.05::numeric(3,3)", GR_TYPE_DECIMAL, 3, 3, "0.050"},
        {"'NaN'::numeric(9,2)", GR_TYPE_DECIMAL, 9, 2, "NULL"},
        {"12345678901234567890::numeric", GR_TYPE_DECIMAL, 0, 0, "12345678901234567890"},
        {"10000::numeric", GR_TYPE_DECIMAL, 0, 0, "10000"},
        {"1e37::numeric", GR_TYPE_DECIMAL, 0, 0, "10000000000000000000000000000000000000"},
        {"0.0001::numeric", GR_TYPE_DECIMAL, 0, 0, "0.0001"},
        {"-1.50::numeric", GR_TYPE_DECIMAL, 0, 0, "-1.5"},
        {"0.00::numeric", GR_TYPE_DECIMAL, 0, 0, "0"},
        {"1::numeric / 3", GR_TYPE_DECIMAL, 0, 0, "0.33333333333333333333"},
        {"'Infinity'::numeric", GR_TYPE_DECIMAL, 0, 0, "NULL"},
        {"''::text", GR_TYPE_UTF8, 0, 0, ""},
        {"'unknown'", GR_TYPE_UTF8, 0, 0, "unknown"},
        {"'naïve 日本 🦆'::varchar(20)", GR_TYPE_UTF8, 0, 0, "naïve 日本 🦆"},
        {"'ab'::char(4)", GR_TYPE_UTF8, 0, 0, "ab  "},
        {"'x'::\"char\"", GR_TYPE_UTF8, 0, 0, "x"},
        {"'a name'::name", GR_TYPE_UTF8, 0, 0, "a name"},
        {"'{\"a\":1}'::json", GR_TYPE_UTF8, 0, 0, "{\"a\":1}"},
        {"'{\"a\":1}'::jsonb", GR_TYPE_UTF8, 0, 0, "{\"a\": 1}"},
        {"'sad'::mood", GR_TYPE_UTF8, 0, 0, "sad"},
        {"7::positive", GR_TYPE_INT64, 0, 0, "7"},
        {"'\\x00ff6162'::bytea", GR_TYPE_BINARY, 0, 0, "00ff6162"},
        {"DATE '1969-12-31'", GR_TYPE_DATE, 0, 0, "-1"},
        {"DATE '0001-01-01'", GR_TYPE_DATE, 0, 0, "-719162"},
        {"DATE '9999-12-31'", GR_TYPE_DATE, 0, 0, "2932896"},
        {"DATE '4713-01-01 BC'", GR_TYPE_DATE, 0, 0, "-2440550"},
        {"DATE 'infinity'", GR_TYPE_DATE, 0, 0, "NULL"},
        {"DATE '-infinity'", GR_TYPE_DATE, 0, 0, "NULL"},
        {"TIMESTAMP '1969-12-31 23:59:59.999999'", GR_TYPE_TIMESTAMP, 0, 0, "-1"},
        {"TIMESTAMP '2101-02-03 04:05:06.000007'", GR_TYPE_TIMESTAMP, 0, 0, "4136846706000007"},
        {"TIMESTAMP 'infinity'", GR_TYPE_TIMESTAMP, 0, 0, "NULL"},
        {"TIMESTAMPTZ '1970-01-01 02:00:00+02'", GR_TYPE_TIMESTAMPTZ, 0, 0, "0"},
        {"TIMESTAMPTZ '-infinity'", GR_TYPE_TIMESTAMPTZ, 0, 0, "NULL"},
        {"TIMESTAMPTZ '2001-01-01 00:00:00'", GR_TYPE_TIMESTAMPTZ, 0, 0, "978307200000000"},
        {"TIME '13:14:15'", GR_TYPE_UTF8, 0, 0, "13:14:15"},
        {"TIME '00:00:00.0205'", GR_TYPE_UTF8, 0, 0, "00:00:00.0205"},
        {"'00112233-4455-6677-8899-aabbccddeeff'::uuid", GR_TYPE_UTF8, 0, 0, "00112233-4455-6677-8899-aabbccddeeff"},
    };
    run(&f, "DROP TYPE IF EXISTS mood");
    run(&f, "CREATE TYPE mood AS ENUM ('happy', 'sad')");
    run(&f, "DROP DOMAIN IF EXISTS positive");
    run(&f, "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) /* a union forgets a scale */
        check_type(&f, &cases[i], i % 2, !cases[i].precision && strcmp(cases[i].sql, "'unknown'") != 0);
}

/* numeric without a scale: each batch has that of its longest value. */
static void test_open_scales(void **state) {
    (void)state;
    assert_string_equal(rows(&f, "SELECT x::numeric FROM (VALUES (1), (2.50), (-0.125), (NULL), (1000)) t(x)"),
                        "1.000;2.500;-0.125;NULL;1000.000");
    static const char *const cases[] = {"SELECT 1e38::numeric", "SELECT 1e-39::numeric",
                                        "SELECT x::numeric FROM (VALUES (1e37), (1e-5)) t(x)",
                                        "SELECT (2.0 ^ 200)::numeric", "SELECT 1e-30::numeric(38,35) * 1e-30"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(status_of(&f, cases[i]), GR_ERR_ENGINE_DATA);
        assert_non_null(strstr(f.err.message, "38 digits"));
    }
}

static void test_types_that_results_do_not_carry(void **state) {
    (void)state;
    static const char *const cases[] = {"ARRAY[1, 2]",   "INTERVAL '1 day'",   "TIMETZ '10:00:00+02'", "B'101'",
                                        "'1.50'::money", "'[1,3)'::int4range", "'10.0.0.1'::inet",     "'(1,2)'::point",
                                        "ROW(1, 2)",     "1::numeric(1000,2)", "1::numeric(5,-2)"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT 1 AS fine, %s AS odd", cases[i]);
        for (int again = 0; again < 2; again++) {
            if (status_of(&f, sql) != GR_ERR_ENGINE_DATA) fail_msg("%s: %s", sql, f.err.message);
            assert_non_null(strstr(f.err.message, "\"odd\""));
            assert_true(*f.err.hint);
        }
        gr_column_schema *schema;
        size_t n;
        assert_int_equal(driver->describe(f.conn, gr_str_from(sql), f.arena, &schema, &n, &f.err), GR_ERR_ENGINE_DATA);
        assert_string_equal(rows(&f, "SELECT 1"), "1");
    }
}

/* ---- values that are bound, results of all sizes -------------------------------------------------------------------
 */

static void test_parameters(void **state) {
    (void)state;
    const gr_value values[] = {
        {.type = GR_TYPE_BOOL, .as.b = true},
        {.type = GR_TYPE_INT64, .as.i = INT64_MIN},
        {.type = GR_TYPE_FLOAT64, .as.d = 0.1},
        {.type = GR_TYPE_UTF8, .as.s = GR_STR("it's \\ \"日本\"\n")},
        {.type = GR_TYPE_DATE, .as.i = -1},
        {.type = GR_TYPE_TIMESTAMP, .as.i = -1},
        {.type = GR_TYPE_TIMESTAMPTZ, .as.i = 4136846706000007},
        {.type = GR_TYPE_NULL},
        {.type = GR_TYPE_DATE, .as.i = -719528 - 365},           /* before the year 0 */
        {.type = GR_TYPE_TIMESTAMP, .as.i = 253402300800000000}, /* the year 10000 */
    };
    gr_str text;
    const char *sql = "SELECT $1, $2, $3, $4, $5, $6, $7, $8::integer, $9, $10";
    for (int i = 0; i < 3; i++) {
        if (try_rows(&f, f.conn, sql, values, 10, i > 0, &text)) fail_msg("%s", f.err.message);
        assert_string_equal(text.p, "true|-9223372036854775808|0.10000000000000001|it's \\ \"日本\"\n|-1|-1|"
                                    "4136846706000007|NULL|-719893|253402300800000000");
    }
    /* A text has the type of its place. */
    run(&f, "DROP TABLE IF EXISTS typed");
    run(&f, "CREATE TABLE typed AS SELECT 5 AS i, '00112233-4455-6677-8899-aabbccddeeff'::uuid AS u, 'x'::text AS t");
    const gr_value texts[] = {{.type = GR_TYPE_UTF8, .as.s = GR_STR("5")},
                              {.type = GR_TYPE_UTF8, .as.s = GR_STR("00112233-4455-6677-8899-AABBCCDDEEFF")},
                              {.type = GR_TYPE_UTF8, .as.s = GR_STR("X")}};
    if (try_rows(&f, f.conn, "SELECT 1 FROM typed WHERE i = $1 AND u = $2 AND t ILIKE $3", texts, 3, true, &text))
        fail_msg("%s", f.err.message);
    assert_string_equal(text.p, "1");
    const gr_value bad = {.type = GR_TYPE_UTF8, .as.s = GR_STR("five")};
    assert_int_equal(try_rows(&f, f.conn, "SELECT 1 FROM typed WHERE i = $1", &bad, 1, true, &text),
                     GR_ERR_ENGINE_DATA);
    const gr_value zero = {.type = GR_TYPE_UTF8, .as.s = {"a\0b", 3}};
    assert_int_equal(try_rows(&f, f.conn, "SELECT $1", &zero, 1, true, &text), GR_ERR_ENGINE_DATA);
    assert_int_equal(try_rows(&f, f.conn, "SELECT $1, $2", texts, 1, true, &text), GR_ERR_ENGINE_SQL);
}

static void test_sizes(void **state) {
    (void)state;
    assert_string_equal(rows(&f, "SELECT 1 AS x, 'y' AS y WHERE false"), "");
    assert_string_equal(rows(&f, "SELECT count(*), min(x), max(x) FROM generate_series(1, 0) t(x)"), "0|NULL|NULL");
    /* Texts of a megabyte, and batches that end early because of them. */
    gr_str text;
    if (try_rows(&f, f.conn, "SELECT repeat('x', 1048576) FROM generate_series(1, 9)", NULL, 0, false, &text))
        fail_msg("%s", f.err.message);
    assert_int_equal(text.n, 9 * 1048576 + 8);
    /* Wide, and long: rows meet their own places across batches. */
    gr_buf wide;
    gr_buf_init(&wide, 1 << 20);
    for (int i = 0; i < 1000; i++) gr_buf_printf(&wide, "%sx + %d AS c%d", i ? ", " : "SELECT ", i, i);
    gr_buf_z(&wide, " FROM generate_series(1, 3) t(x)");
    gr_buf_char(&wide, 0);
    const char *all = rows(&f, gr_buf_str(&wide).p);
    assert_true(strncmp(all, "1|2|3|", 6) == 0 && strstr(all, "|1000;2|3|"));
    gr_buf_done(&wide);
    gr_stream *stream;
    const gr_batch *batch;
    int64_t next = 1, n_null = 0;
    const char *sql =
        "SELECT x, CASE WHEN x % 3 = 0 THEN NULL ELSE 'v' || x END, x::numeric / 4 FROM generate_series(1, "
        "100000) t(x)";
    assert_int_equal(driver->query(f.conn, &f.ctx, gr_str_from(sql), NULL, 0, false, &stream, &f.err), GR_OK);
    while (stream->next(stream, &batch, &f.err) == GR_OK && batch) {
        for (size_t i = 0; i < batch->n_rows; i++, next++) {
            assert_int_equal(((const int64_t *)batch->columns[0].data)[i], next);
            bool is_null = gr_column_is_null(&batch->columns[1], i);
            assert_int_equal(is_null, next % 3 == 0);
            n_null += is_null;
            if (!is_null) {
                char want[32];
                snprintf(want, sizeof want, "v%lld", (long long)next);
                assert_true(gr_str_eq_z(gr_column_text(&batch->columns[1], i), want));
            }
            assert_int_equal(batch->columns[2].scale, 2);
            assert_int_equal((int64_t)((const __int128 *)batch->columns[2].data)[i], 25 * next);
        }
    }
    stream->close(stream);
    assert_int_equal(next, 100001);
    assert_int_equal(n_null, 33333);
}

/* ---- errors and sessions --------------------------------------------------------------------------------------------
 */

static void test_errors(void **state) {
    (void)state;
    run(&f, "DROP TABLE IF EXISTS t");
    run(&f, "CREATE TABLE t AS SELECT 1 AS a");
    static const error_case cases[] = {
        {"SELEC 1", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"SELECT 1 FORM t", GR_ERR_ENGINE_SQL, "42601", "syntax"},
        {"SELECT * FROM missing", GR_ERR_ENGINE_SQL, "42P01", "missing"},
        {"SELECT missing FROM t", GR_ERR_ENGINE_SQL, "42703", "missing"},
        {"SELECT nofn(1)", GR_ERR_ENGINE_SQL, "42883", "nofn"},
        {"SELECT 1; SELECT 2", GR_ERR_ENGINE_SQL, "42601", ""},
        {"", GR_ERR_ENGINE_SQL, "", ""},
        {"DROP TABLE t", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"DELETE FROM t RETURNING a", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"WITH gone AS (DELETE FROM t RETURNING a) SELECT * FROM gone", GR_ERR_ENGINE_SQL, "25006", "read-only"},
        {"/* SELECT */ -- SELECT\n DELETE FROM t", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"selection", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"SET timezone = 'Asia/Tokyo'", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"COPY t TO STDOUT", GR_ERR_ENGINE_SQL, "", "reads rows"},
        {"SELECT 'x'::integer", GR_ERR_ENGINE_DATA, "22P02", "x"},
        {"SELECT 1 / 0", GR_ERR_ENGINE_DATA, "22012", "zero"},
        {"SELECT 9223372036854775807 + 1", GR_ERR_ENGINE_DATA, "22003", "range"},
        {"SELECT 100 / (50000 - x) FROM generate_series(1, 60000) t(x)", GR_ERR_ENGINE_DATA, "22012", "zero"},
        {"SELECT (SELECT x FROM generate_series(1, 2) t(x))", GR_ERR_ENGINE_DATA, "21000", "more than one row"},
        {"SELECT now() AT TIME ZONE 'Nowhere/Land'", GR_ERR_ENGINE_DATA, "22023", "Nowhere"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_error(&f, &cases[i]);
        assert_string_equal(rows(&f, "SELECT a FROM t"), "1");
        assert_string_equal(rows(&f, "SELECT current_setting('timezone')"), "UTC");
    }
    check_odd_statements(&f);
}

static void test_time_limit_of_the_server(void **state) {
    (void)state;
    gr_source_config limited = source;
    limited.name = GR_STR("limited");
    limited.url.value = gr_arena_printf(f.arena, "%s options='-c statement_timeout=150'", server.connection);
    assert_int_equal(driver->attach(f.engine, &limited, false, &f.err), GR_OK);
    gr_engine_conn *conn = connect_to(&f, "limited");
    gr_str text;
    assert_int_equal(try_rows(&f, conn, SLOW, NULL, 0, false, &text), GR_ERR_TIMEOUT);
    assert_non_null(strstr(f.err.hint, "statement_timeout"));
    assert_string_equal(rows_on(&f, conn, "SELECT 1"), "1");
    driver->disconnect(conn);
}

static void test_schema(void **state) {
    (void)state;
    gr_source_config other = source;
    other.name = GR_STR("other");
    other.schema = GR_STR("A \"b\"");
    run(&f, "DROP SCHEMA IF EXISTS \"A \"\"b\"\"\" CASCADE");
    run(&f, "CREATE SCHEMA \"A \"\"b\"\"\"");
    run(&f, "CREATE TABLE \"A \"\"b\"\"\".here AS SELECT 7 AS x");
    assert_int_equal(driver->attach(f.engine, &other, false, &f.err), GR_OK);
    gr_engine_conn *conn = connect_to(&f, "other");
    assert_string_equal(rows_on(&f, conn, "SELECT x FROM here"), "7");
    driver->disconnect(conn);
    assert_int_equal(status_of(&f, "SELECT x FROM here"), GR_ERR_ENGINE_SQL);
    assert_int_equal(driver->connect(f.engine, GR_STR("nobody"), &conn, &f.err), GR_ERR_ENGINE_OPEN);
}

/* What does not answer, and what says no: clear errors, without the password. */
static void test_refused(void **state) {
    (void)state;
    run(&f, "DROP ROLE IF EXISTS locked");
    run(&f, "CREATE ROLE locked LOGIN PASSWORD 'p@ss ''w\"ord%'");
    static const struct {
        const char *conninfo, *has, *state;
    } cases[] = {
        {"host=%s user=locked password=sesame dbname=postgres", "password authentication failed", "08001"},
        {"host=127.0.0.1 port=1 user=locked password=sesame dbname=postgres", "cannot be reached", "08001"},
        {"host=%s user=postgres password=sesame dbname=no_such_database", "does not exist", "08001"},
        {"host=%s user=no_such_role password=sesame dbname=postgres", "does not exist", "08001"},
        {"host=%s user=postgres password=sesame dbname=postgres options='-c no.such=1 -c nosuch=2'", "nosuch", "08001"},
        {"nonsense password=sesame", "cannot be read", ""},
        {"postgresql://locked:ses@me@127.0.0.1/postgres", "cannot be read", ""},
    };
    char host[600];
    snprintf(host, sizeof host, "%s", server.connection); /* host=… port=… user=… */
    char *user = strstr(host, " user=");
    if (user) *user = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_source_config bad = source;
        gr_engine_conn *conn = NULL;
        bad.name = gr_arena_printf(f.arena, "bad%zu", i);
        gr_str text = gr_str_from(cases[i].conninfo);
        if (strstr(cases[i].conninfo, "host=%s"))
            text = gr_arena_printf(f.arena, "%s%s", host, cases[i].conninfo + strlen("host=%s"));
        bad.url.value = text;
        assert_int_equal(driver->attach(f.engine, &bad, false, &f.err), GR_OK); /* a server may be away at the start */
        if (driver->connect(f.engine, bad.name, &conn, &f.err) != GR_ERR_ENGINE_OPEN)
            fail_msg("%s: connected, or %s", text.p, f.err.message);
        if (!strstr(f.err.message, cases[i].has)) fail_msg("%s: %s", text.p, f.err.message);
        assert_null(strstr(f.err.message, "sesame"));
        assert_null(strstr(f.err.hint, "sesame"));
        assert_true(*f.err.hint);
        assert_non_null(strstr(f.err.message, "data source \"bad"));
    }
    gr_source_config odd = source; /* a password with everything in it */
    odd.name = GR_STR("odd");
    odd.url.value = gr_arena_printf(f.arena, "%s user=locked password='p@ss \\'w\"ord%%' dbname=postgres", host);
    assert_int_equal(driver->attach(f.engine, &odd, false, &f.err), GR_OK);
    gr_engine_conn *conn = connect_to(&f, "odd");
    assert_string_equal(rows_on(&f, conn, "SELECT current_user"), "locked");
    gr_str text;
    assert_int_equal(try_rows(&f, conn, "SELECT rolpassword FROM pg_authid", NULL, 0, false, &text), GR_ERR_ENGINE_SQL);
    assert_string_equal(f.err.engine_state, "42501");
    driver->disconnect(conn);
    run(&f, "DROP ROLE locked");
}

/* ---- connections that are lost --------------------------------------------------------------------------------------
 */

static void end_session(gr_engine_conn *conn) {
    const char *pid = rows_on(&f, conn, "SELECT pg_backend_pid()");
    char sql[200];
    gr_engine_conn *other = connect_to(&f, SOURCE);
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%s)", pid);
    assert_string_equal(rows_on(&f, other, sql), "true");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid);
    for (int i = 0; i < 500 && strcmp(rows_on(&f, other, sql), "0") != 0; i++) usleep(5000);
    usleep(200000); /* it leaves the list before its socket is closed */
    driver->disconnect(other);
}

/* Idle, it is opened again without a word, with its settings; nothing of the old session is believed. */
static void test_lost_while_idle(void **state) {
    (void)state;
    gr_engine_conn *conn = connect_to(&f, SOURCE);
    gr_str text;
    for (int i = 0; i < 3; i++) {
        if (try_rows(&f, conn, "SELECT 'happy'::mood, current_setting('timezone')", NULL, 0, true, &text))
            fail_msg("%s", f.err.message);
        assert_string_equal(text.p, "happy|UTC");
        end_session(conn);
    }
    assert_int_equal(
        driver->update(conn, &f.ctx, GR_STR("DROP TABLE IF EXISTS never"), NULL, 0, NULL, NULL, NULL, &f.err), GR_OK);
    driver->disconnect(conn);
}

typedef struct ender {
    char pid[32];
} ender;

static void *end_later(void *arg) {
    ender *e = arg;
    char sql[100];
    gr_stream *stream;
    gr_engine_conn *conn = NULL;
    usleep(150000);
    if (driver->connect(f.engine, GR_STR(SOURCE), &conn, NULL)) return NULL;
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%s)", e->pid);
    gr_ctx ctx = {0};
    if (!driver->query(conn, &ctx, gr_str_from(sql), NULL, 0, false, &stream, NULL)) stream->close(stream);
    driver->disconnect(conn);
    return NULL;
}

/* In the middle of a statement it is an error that may be tried again, and the next statement finds it open. */
static void test_lost_in_a_statement(void **state) {
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++) {
        ender e;
        pthread_t thread;
        snprintf(e.pid, sizeof e.pid, "%s", rows(&f, "SELECT pg_backend_pid()"));
        assert_int_equal(pthread_create(&thread, NULL, end_later, &e), 0);
        gr_ctx ctx = {.arena = f.arena};
        gr_status status = run_slow(kind, &ctx);
        pthread_join(thread, NULL);
        if (status != GR_ERR_ENGINE_IO) fail_msg("kind %d: %d %s", kind, status, f.err.message);
        assert_true(gr_error_info_of(status)->is_retryable);
        assert_string_equal(rows(&f, "SELECT 42"), "42");
    }
}

static void test_server_restarts(void **state) {
    (void)state;
    if (!server.folder[0]) skip(); /* not ours to stop */
    gr_engine_conn *conn = connect_to(&f, SOURCE), *late = NULL;
    char line[512], port[16];
    gr_str text;
    const char *at = strstr(server.connection, "port=");
    assert_non_null(at);
    snprintf(port, sizeof port, "%ld", strtol(at + 5, NULL, 10));
    assert_string_equal(rows_on(&f, conn, "SELECT 1"), "1");
    assert_int_equal(postgres_command(&server, "stop", "", line, sizeof line), 0);
    assert_int_equal(try_rows(&f, conn, "SELECT 1", NULL, 0, true, &text), GR_ERR_ENGINE_OPEN);
    assert_int_equal(driver->connect(f.engine, GR_STR(SOURCE), &late, &f.err), GR_ERR_ENGINE_OPEN);
    assert_int_equal(postgres_command(&server, "again", port, line, sizeof line), 0);
    assert_string_equal(rows_on(&f, conn, "SELECT 1"), "1");
    assert_string_equal(rows(&f, "SELECT 2"), "2");
    driver->disconnect(conn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_open_scales),
        cmocka_unit_test(test_types_that_results_do_not_carry),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_time_limit_of_the_server),
        RUNNING_SUITE,
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lost_while_idle),
        cmocka_unit_test(test_lost_in_a_statement),
        cmocka_unit_test(test_server_restarts),
    };
    return cmocka_run_group_tests_name("conformance.engine.postgres", tests, open_it, close_it);
}
