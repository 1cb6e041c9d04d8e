/* The ClickHouse driver on a server of its own: cancel, time limits and streams as in every driver, ClickHouse's types
 * at their extremes, values in statements, its errors, and loads from and into DuckDB. Skips visibly where there is
 * none. */
#define TEST_DRIVER gr_engine_clickhouse_driver
#include "clickhouse/server.h"
#include "conformance/engine/engine_fixture.h"

#define SOURCE "shop"
#define NUMBERS(n) "numbers(" #n ")"
#define SLOW "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1"
#define SLOW_TABLE "INSERT INTO sink "
#define ENDLESS "SELECT number FROM system.numbers WHERE sipHash64(number) % 100 < 50"
static fixture f;
#include "conformance/engine/running_suite.h"

static clickhouse_server server;
static gr_source_config source;

static int open_it(void **state) {
    (void)state;
    if (clickhouse_start(&server, 1)) return -1;
    if (!server.urls[0][0]) {
        printf("[  SKIPPED ] no ClickHouse server is installed\n");
        exit(0);
    }
    set_up_folder(&f);
    if (try_open(&f, NULL)) return -1;
    source = (gr_source_config){.name = GR_STR(SOURCE),
                                .kind = GR_SOURCE_CLICKHOUSE,
                                .url = {gr_str_from(server.urls[0])},
                                .user = GR_STR("granary"),
                                .password = {GR_STR("secret")}};
    if (driver->attach(f.engine, &source, false, &f.err)) return -1;
    f.conn = connect_to(&f, SOURCE);
    run(&f, "CREATE TABLE sink (n UInt64) ENGINE = Null");
    return 0;
}

static int close_it(void **state) {
    (void)state;
    tear_down(&f);
    return clickhouse_stop(&server);
}

/* ---- types ---------------------------------------------------------------------------------------------------------
 */

static void test_every_type(void **state) {
    (void)state;
    static const type_case cases[] = {
        {"toInt8(-128)", GR_TYPE_INT64, 0, 0, "-128"},
        {"toUInt8(255)", GR_TYPE_INT64, 0, 0, "255"},
        {"toInt16(-32768)", GR_TYPE_INT64, 0, 0, "-32768"},
        {"toUInt16(65535)", GR_TYPE_INT64, 0, 0, "65535"},
        {"toInt32(-2147483648)", GR_TYPE_INT64, 0, 0, "-2147483648"},
        {"toUInt32(4294967295)", GR_TYPE_INT64, 0, 0, "4294967295"},
        {"toInt64('-9223372036854775808')", GR_TYPE_INT64, 0, 0, "-9223372036854775808"},
        {"toUInt64('9223372036854775807')", GR_TYPE_INT64, 0, 0, "9223372036854775807"},
        {"toFloat32(0.5)", GR_TYPE_FLOAT64, 0, 0, "0.5"},
        {"toFloat64('1.7976931348623157e308')", GR_TYPE_FLOAT64, 0, 0, "1.7976931348623157e+308"},
        {"nan", GR_TYPE_FLOAT64, 0, 0, "nan"},
        {"-inf", GR_TYPE_FLOAT64, 0, 0, "-inf"},
        {"toDecimal32('-1.50', 2)", GR_TYPE_DECIMAL, 9, 2, "-1.50"},
        {"toDecimal64('1234567.891', 3)", GR_TYPE_DECIMAL, 18, 3, "1234567.891"},
        {"toDecimal128('99999999999999999999999999999999999999', 0)", GR_TYPE_DECIMAL, 38, 0,
         "99999999999999999999999999999999999999"},
        {"''", GR_TYPE_UTF8, 0, 0, ""},
        {"'naïve 日本 🦆'", GR_TYPE_UTF8, 0, 0, "naïve 日本 🦆"},
        {"toFixedString('ab', 4)", GR_TYPE_UTF8, 0, 0, "ab"},
        {"CAST('sad' AS Enum8('happy' = 1, 'sad' = -2))", GR_TYPE_UTF8, 0, 0, "sad"},
        {"CAST('it\\'s' AS Enum16('it\\'s' = 1000))", GR_TYPE_UTF8, 0, 0, "it's"},
        {"toLowCardinality('é')", GR_TYPE_UTF8, 0, 0, "é"},
        {"toLowCardinality(toFixedString('ab', 4))", GR_TYPE_UTF8, 0, 0, "ab"},
        {"toLowCardinality(toInt32(-7))", GR_TYPE_INT64, 0, 0, "-7"},
        {"toLowCardinality(toDate('1970-01-02'))", GR_TYPE_DATE, 0, 0, "1"},
        {"toUUID('00112233-4455-6677-8899-aabbccddeeff')", GR_TYPE_UTF8, 0, 0, "00112233-4455-6677-8899-aabbccddeeff"},
        {"toDate('2105-12-31')", GR_TYPE_DATE, 0, 0, "49672"},
        {"toDate('1970-01-02')", GR_TYPE_DATE, 0, 0, "1"},
        {"toDateTime('2105-12-31 23:59:59', 'UTC')", GR_TYPE_TIMESTAMP, 0, 0, "4291747199000000"},
        {"toDateTime('2024-03-31 03:00:00', 'Europe/Berlin')", GR_TYPE_TIMESTAMP, 0, 0, "1711846800000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_type(&f, &cases[i], false, false);
        char sql[512], expected[160];
        snprintf(sql, sizeof sql, "SELECT if(number = 1, %s, NULL) AS x FROM numbers(3)", cases[i].sql);
        snprintf(expected, sizeof expected, "NULL;%s;NULL", cases[i].text);
        bool has_union = strncmp(cases[i].sql, "CAST", 4) != 0 && strncmp(cases[i].sql, "toFixed", 7) != 0;
        if (has_union) assert_string_equal(rows(&f, sql), expected);
    }
}

static void test_types_that_results_do_not_carry(void **state) {
    (void)state;
    static const char *const cases[] = {"[1, 2]", "uniqState(toUInt64(1))", "NULL"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT %s AS odd", cases[i]);
        assert_int_equal(status_of(&f, sql), GR_ERR_ENGINE_DATA);
        assert_non_null(strstr(f.err.message, "odd"));
        assert_string_equal(rows(&f, "SELECT 7"), "7");
    }
    gr_column_schema *columns;
    size_t n;
    gr_str describe = GR_STR("SELECT 1 AS a, [1] AS odd, 2 AS b");
    assert_int_equal(driver->describe(f.conn, describe, f.arena, &columns, &n, &f.err), GR_ERR_ENGINE_DATA);
    assert_non_null(strstr(f.err.message, "odd"));
    assert_int_equal(status_of(&f, "SELECT toUInt64('18446744073709551615') AS x"), GR_ERR_ENGINE_DATA);
    assert_int_equal(status_of(&f, "SELECT unhex('ff') AS x"), GR_ERR_ENGINE_DATA);
}

static void test_parameters(void **state) {
    (void)state;
    static const struct {
        gr_value value;
        const char *text;
    } cases[] = {
        {{.type = GR_TYPE_BOOL, .as.b = true}, "1"},
        {{.type = GR_TYPE_INT64, .as.i = INT64_MIN}, "-9223372036854775808"},
        {{.type = GR_TYPE_FLOAT64, .as.d = 0.1}, "0.10000000000000001"},
        {{.type = GR_TYPE_FLOAT64, .as.d = -1e300}, "-1.0000000000000001e+300"},
        {{.type = GR_TYPE_UTF8, .as.s = GR_STR_INIT("a'b\\c$1\"`\n\tü")}, "a'b\\c$1\"`\n\tü"},
        {{.type = GR_TYPE_UTF8, .as.s = {"a\0b", 3}}, "a"},
        {{.type = GR_TYPE_DATE, .as.i = 19789}, "19789"},
        {{.type = GR_TYPE_TIMESTAMP, .as.i = 1711846800000000}, "1711846800000000"},
        {{.type = GR_TYPE_TIMESTAMP, .as.i = -5}, "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_str text;
        if (try_rows(&f, f.conn, "SELECT $1 AS x, '$1' AS y, `x`", &cases[i].value, 1, false, &text))
            fail_msg("%zu: %s", i, f.err.message);
        gr_str expected = gr_arena_printf(f.arena, "%s", cases[i].text);
        assert_true(gr_str_starts(text, expected));
        assert_true(gr_str_find_str(text, GR_STR("|$1|")) != SIZE_MAX);
    }
}

static void test_sizes(void **state) {
    (void)state;
    assert_string_equal(rows(&f, "SELECT number FROM numbers(10) WHERE number > 10"), "");
    assert_string_equal(rows(&f, "SELECT count(), sum(n), max(length(t)) FROM (SELECT number AS n, arrayStringConcat("
                                 "arrayMap(x -> 'x', range(1000000))) AS t FROM numbers(3))"),
                        "3|3|1000000");
    assert_int_equal(strlen(rows(&f, "SELECT arrayStringConcat(arrayMap(x -> 'ä', range(600000)))")), 1200000);
    gr_buf sql;
    gr_buf_init(&sql, 1 << 20);
    gr_buf_z(&sql, "SELECT 0 AS c0");
    for (int i = 1; i < 1000; i++) gr_buf_printf(&sql, ", %d AS c%d", i % 10, i);
    gr_str text;
    assert_int_equal(try_rows(&f, f.conn, gr_arena_dup(f.arena, gr_buf_str(&sql)).p, NULL, 0, false, &text), GR_OK);
    assert_int_equal(text.n, 1999);
    gr_buf_done(&sql);
    gr_stream *stream;
    const gr_batch *batch;
    int64_t n = 0, sum = 0;
    assert_int_equal(
        driver->query(f.conn, &f.ctx, GR_STR("SELECT number FROM numbers(1000000)"), NULL, 0, false, &stream, &f.err),
        GR_OK);
    while (!stream->next(stream, &batch, &f.err) && batch) {
        n += (int64_t)batch->n_rows;
        for (size_t i = 0; i < batch->n_rows; i++) sum += ((const int64_t *)batch->columns[0].data)[i];
    }
    stream->close(stream);
    assert_int_equal(n, 1000000);
    assert_true(sum == INT64_C(499999500000));
}

/* ---- errors --------------------------------------------------------------------------------------------------------
 */

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        gr_status status;
        const char *text;
    } cases[] = {
        {"SELECT nothing", GR_ERR_ENGINE_SQL, "nothing"},
        {"SELECT * FROM not_there", GR_ERR_ENGINE_SQL, "not_there"},
        {"SELECT 1 FROM", GR_ERR_ENGINE_SQL, "Syntax error"},
        {"SELECT no_function(1)", GR_ERR_ENGINE_SQL, "no_function"},
        {"SELECT toInt64('x')", GR_ERR_ENGINE_DATA, "Cannot parse"},
        {"DROP TABLE IF EXISTS x", GR_ERR_ENGINE_SQL, "reads rows"},
        {"SELECT intDiv(1, number - 5) FROM numbers(100)", GR_ERR_ENGINE_DATA, "Division"},
        {"SELECT throwIf(number = 900000) FROM numbers(1000000)", GR_ERR_ENGINE_DATA, ""},
        {"SELECT number, hex(number), throwIf(number = 900000) FROM numbers(1000000)", GR_ERR_ENGINE_DATA, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_status status = status_of(&f, cases[i].sql);
        if (status != cases[i].status || !strstr(f.err.message, cases[i].text))
            fail_msg("%s: %d %s", cases[i].sql, status, f.err.message);
        if (strncmp(cases[i].sql, "DROP", 4) != 0) assert_non_null(strstr(f.err.message, "data source \"" SOURCE "\""));
        assert_string_equal(rows(&f, "SELECT 7"), "7");
    }
}

static gr_status connect_as(const char *name, gr_str url, const char *user, const char *password) {
    gr_engine_conn *conn = NULL;
    const gr_source_config other = {.name = gr_str_from(name),
                                    .kind = GR_SOURCE_CLICKHOUSE,
                                    .url = {url},
                                    .user = gr_str_from(user),
                                    .password = {gr_str_from(password)}};
    assert_int_equal(driver->attach(f.engine, &other, false, &f.err), GR_OK);
    f.err = (gr_error){0};
    gr_status status = driver->connect(f.engine, other.name, &conn, &f.err);
    if (!status) driver->disconnect(conn);
    return status;
}

static void test_refused(void **state) {
    (void)state;
    assert_int_equal(connect_as("wrong", source.url.value, "granary", "w%rong pass"), GR_ERR_ENGINE_OPEN);
    assert_null(strstr(f.err.message, "w%rong"));
    assert_null(strstr(f.err.message, "secret"));
    assert_int_equal(connect_as("nobody", source.url.value, "nobody", ""), GR_ERR_ENGINE_OPEN);
    assert_int_equal(connect_as("away", GR_STR("http://127.0.0.1:1"), "granary", "secret"), GR_ERR_ENGINE_OPEN);
    assert_non_null(strstr(f.err.message, "cannot be reached"));
    assert_int_equal(connect_as("right", source.url.value, "granary", "secret"), GR_OK);
}

static void test_server_restarts(void **state) {
    (void)state;
    assert_string_equal(rows(&f, "SELECT 1"), "1");
    assert_int_equal(clickhouse_node(&server, "stop", 1), 0);
    gr_status status = status_of(&f, "SELECT 1");
    assert_true(status == GR_ERR_ENGINE_OPEN || status == GR_ERR_ENGINE_IO);
    assert_int_equal(clickhouse_node(&server, "again", 1), 0);
    assert_string_equal(rows(&f, "SELECT 2"), "2");
}

/* A statement that is given up does not run on at the server. */
static void test_killed(void **state) {
    (void)state;
    gr_stream *stream;
    const gr_batch *batch;
    gr_ctx ctx = {.arena = f.arena, .deadline_mono_us = gr_clock_mono_us() + 300000};
    assert_int_equal(run_slow(KIND_QUERY, &ctx), GR_ERR_TIMEOUT);
    gr_engine_conn *other = connect_to(&f, SOURCE);
    const char *running = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE "
                          "'%processes%'";
    const char *n = "";
    for (int i = 0; i < 200 && strcmp(n, "0") != 0; i++) {
        n = rows_on(&f, other, running);
        usleep(50000);
    }
    assert_string_equal(n, "0");
    assert_int_equal(
        driver->query(f.conn, &f.ctx, GR_STR("SELECT number FROM numbers(3000000)"), NULL, 0, false, &stream, &f.err),
        GR_OK);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    stream->close(stream); /* in the middle */
    assert_string_equal(rows(&f, "SELECT 7"), "7");
    driver->disconnect(other);
}

/* ---- loads ---------------------------------------------------------------------------------------------------------
 */

static void test_loads(void **state) {
    (void)state;
    gr_engine *duckdb;
    gr_engine_conn *from;
    gr_stream *stream;
    int64_t n = 0;
    gr_engine_options options = {&f.config, {0}};
    assert_int_equal(gr_engine_duckdb_driver.open(&options, &duckdb, &f.err), GR_OK);
    assert_int_equal(gr_engine_duckdb_driver.connect(duckdb, (gr_str){0}, &from, &f.err), GR_OK);
    const char *sql =
        "SELECT i, i % 3 = 0 AS b, CASE WHEN i % 5 > 0 THEN i / 4 END AS d, CAST(i AS DECIMAL(12, 2)) / 1 AS q, "
        "CAST(i - 7 AS DECIMAL(20, 3)) AS m, CASE WHEN i % 7 > 0 THEN 'text ' || i || '''\\' END AS t, DATE "
        "'2000-01-01' "
        "+ CAST(i % 1000 AS INTEGER) AS day, TIMESTAMP '2024-01-01' + to_seconds(i) AS moment FROM range(20000) t(i)";
    if (from->driver->query(from, &f.ctx, gr_str_from(sql), NULL, 0, false, &stream, &f.err))
        fail_msg("%s", f.err.message);
    const gr_engine_load load = {.schema = GR_STR("default"), .name = GR_STR("loaded ü`")};
    if (driver->load(f.conn, &f.ctx, &load, stream, &n, &f.err)) fail_msg("%s", f.err.message);
    stream->close(stream);
    assert_int_equal(n, 20000);
    gr_str expected, actual;
    gr_str back =
        gr_arena_printf(f.arena, "SELECT i, toInt64(b) AS b, d, q, m, t, day, moment FROM `loaded ü\\`` ORDER BY i");
    gr_str there = gr_arena_printf(
        f.arena, "SELECT i, CAST(b AS INTEGER), d, q, m, t, day, moment FROM (%s) AS s ORDER BY i", sql);
    assert_int_equal(from->driver->query(from, &f.ctx, there, NULL, 0, false, &stream, &f.err), GR_OK);
    assert_int_equal(read_all(&f, stream, &expected), GR_OK);
    if (driver->query(f.conn, &f.ctx, back, NULL, 0, false, &stream, &f.err)) fail_msg("%s", f.err.message);
    assert_int_equal(read_all(&f, stream, &actual), GR_OK);
    assert_string_equal(actual.p, expected.p);
    /* And back again, into DuckDB. */
    const gr_engine_load home = {.name = GR_STR("home"), .is_temporary = true};
    if (driver->query(f.conn, &f.ctx, back, NULL, 0, false, &stream, &f.err)) fail_msg("%s", f.err.message);
    if (from->driver->load(from, &f.ctx, &home, stream, &n, &f.err)) fail_msg("%s", f.err.message);
    stream->close(stream);
    assert_int_equal(from->driver->query(from, &f.ctx, GR_STR("SELECT * FROM temp.main.home ORDER BY i"), NULL, 0,
                                         false, &stream, &f.err),
                     GR_OK);
    assert_int_equal(read_all(&f, stream, &actual), GR_OK);
    assert_string_equal(actual.p, expected.p);
    from->driver->disconnect(from);
    gr_engine_duckdb_driver.close(duckdb);
}

static void test_nothing_is_left_of_a_load(void **state) {
    (void)state;
    gr_engine *duckdb;
    gr_engine_conn *from;
    gr_stream *stream;
    gr_engine_options options = {&f.config, {0}};
    assert_int_equal(gr_engine_duckdb_driver.open(&options, &duckdb, &f.err), GR_OK);
    assert_int_equal(gr_engine_duckdb_driver.connect(duckdb, (gr_str){0}, &from, &f.err), GR_OK);
    static const char *const cases[] = {
        "SELECT TIMESTAMP '1969-12-31' AS t",
        "SELECT TIMESTAMP '2024-01-01' + to_microseconds(i) AS t FROM range(5000) r(i)",
        "SELECT CAST(i || CASE WHEN i > 2900000 THEN 'x' ELSE '' END AS BIGINT) AS t FROM range(3000000) r(i)"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const gr_engine_load load = {.schema = GR_STR("default"), .name = GR_STR("half")};
        if (from->driver->query(from, &f.ctx, gr_str_from(cases[i]), NULL, 0, false, &stream, &f.err))
            fail_msg("%s", f.err.message);
        assert_int_equal(driver->load(f.conn, &f.ctx, &load, stream, NULL, &f.err), GR_ERR_ENGINE_DATA);
        stream->close(stream);
        assert_int_equal(status_of(&f, "SELECT * FROM half"), GR_ERR_ENGINE_SQL);
    }
    from->driver->disconnect(from);
    gr_engine_duckdb_driver.close(duckdb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_types_that_results_do_not_carry),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_next_statement_closes_the_stream),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_loads),
        cmocka_unit_test(test_nothing_is_left_of_a_load),
        cmocka_unit_test(test_server_restarts),
    };
    return cmocka_run_group_tests_name("conformance.engine.clickhouse", tests, open_it, close_it);
}
