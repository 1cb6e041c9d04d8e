/* Values: every type that results carry, at its extremes, and every type that they do not. */
#include "conformance/engine/engine_fixture.h"

static fixture f;

static int open_it(void **state) {
    (void)state;
    set_up(&f, NULL);
    return 0;
}
static int close_it(void **state) {
    (void)state;
    tear_down(&f);
    return 0;
}

static void test_every_type(void **state) {
    (void)state;
    static const type_case cases[] = {
        {"true", GR_TYPE_BOOL, 0, 0, "true"},
        {"false", GR_TYPE_BOOL, 0, 0, "false"},
        {"(-128)::TINYINT", GR_TYPE_INT64, 0, 0, "-128"},
        {"(-32768)::SMALLINT", GR_TYPE_INT64, 0, 0, "-32768"},
        {"(-2147483648)::INTEGER", GR_TYPE_INT64, 0, 0, "-2147483648"},
        {"9223372036854775807::BIGINT", GR_TYPE_INT64, 0, 0, "9223372036854775807"},
        {"(-9223372036854775808)::BIGINT", GR_TYPE_INT64, 0, 0, "-9223372036854775808"},
        {"255::UTINYINT", GR_TYPE_INT64, 0, 0, "255"},
        {"65535::USMALLINT", GR_TYPE_INT64, 0, 0, "65535"},
        {"4294967295::UINTEGER", GR_TYPE_INT64, 0, 0, "4294967295"},
        {"18446744073709551615::UBIGINT", GR_TYPE_DECIMAL, 20, 0, "18446744073709551615"},
        {"170141183460469231731687303715884105727::HUGEINT", GR_TYPE_DECIMAL, 38, 0,
         "170141183460469231731687303715884105727"},
        {"(-170141183460469231731687303715884105728)::HUGEINT", GR_TYPE_DECIMAL, 38, 0,
         "-170141183460469231731687303715884105728"},
        {"170141183460469231731687303715884105727::UHUGEINT", GR_TYPE_DECIMAL, 38, 0,
         "170141183460469231731687303715884105727"},
        {"0.1::FLOAT", GR_TYPE_FLOAT64, 0, 0, "0.10000000149011612"},
        {"1.7976931348623157e308::DOUBLE", GR_TYPE_FLOAT64, 0, 0, "1.7976931348623157e+308"},
        {"5e-324::DOUBLE", GR_TYPE_FLOAT64, 0, 0, "4.9406564584124654e-324"},
        {"'-0.0'::DOUBLE", GR_TYPE_FLOAT64, 0, 0, "-0"},
        {"'nan'::DOUBLE", GR_TYPE_FLOAT64, 0, 0, "nan"},
        {"'inf'::DOUBLE", GR_TYPE_FLOAT64, 0, 0, "inf"},
        {"'-inf'::DOUBLE", GR_TYPE_FLOAT64, 0, 0, "-inf"},
        {"(-1.5)::DECIMAL(4,2)", GR_TYPE_DECIMAL, 4, 2, "-1.50"},
        {"1234567.89::DECIMAL(9,2)", GR_TYPE_DECIMAL, 9, 2, "1234567.89"},
        {"0.000000000000000001::DECIMAL(18,18)", GR_TYPE_DECIMAL, 18, 18, "0.000000000000000001"},
        {"99999999999999999999999999999999999999::DECIMAL(38,0)", GR_TYPE_DECIMAL, 38, 0,
         "99999999999999999999999999999999999999"},
        {"'-0.99999999999999999999999999999999999999'::DECIMAL(38,38)", GR_TYPE_DECIMAL, 38, 38,
         "-0.99999999999999999999999999999999999999"},
        {"''", GR_TYPE_UTF8, 0, 0, ""},
        {"'exactly twelv'", GR_TYPE_UTF8, 0, 0, "exactly twelv"},
        {"'twelve bytes'", GR_TYPE_UTF8, 0, 0, "twelve bytes"},
        {"'naïve 日本 🦆'", GR_TYPE_UTF8, 0, 0, "naïve 日本 🦆"},
        {"'{\"a\":1}'::JSON", GR_TYPE_UTF8, 0, 0, "{\"a\":1}"},
        {"'\\x00\\xFFab'::BLOB", GR_TYPE_BINARY, 0, 0, "00ff6162"},
        {"DATE '1969-12-31'", GR_TYPE_DATE, 0, 0, "-1"},
        {"DATE '0001-01-01'", GR_TYPE_DATE, 0, 0, "-719162"},
        {"DATE '9999-12-31'", GR_TYPE_DATE, 0, 0, "2932896"},
        {"DATE '5881580-07-10'", GR_TYPE_DATE, 0, 0, "2147483646"},
        {"DATE 'infinity'", GR_TYPE_DATE, 0, 0, "NULL"},
        {"DATE '-infinity'", GR_TYPE_DATE, 0, 0, "NULL"},
        {"TIMESTAMP '1969-12-31 23:59:59.999999'", GR_TYPE_TIMESTAMP, 0, 0, "-1"},
        {"TIMESTAMP '2101-02-03 04:05:06.000007'", GR_TYPE_TIMESTAMP, 0, 0, "4136846706000007"},
        {"TIMESTAMP 'infinity'", GR_TYPE_TIMESTAMP, 0, 0, "NULL"},
        {"'2001-01-01 00:00:01'::TIMESTAMP_S", GR_TYPE_TIMESTAMP, 0, 0, "978307201000000"},
        {"'2001-01-01 00:00:00.001'::TIMESTAMP_MS", GR_TYPE_TIMESTAMP, 0, 0, "978307200001000"},
        {"'1969-12-31 23:59:59.999999999'::TIMESTAMP_NS", GR_TYPE_TIMESTAMP, 0, 0, "-1"},
        {"'2001-01-01 00:00:00.000001999'::TIMESTAMP_NS", GR_TYPE_TIMESTAMP, 0, 0, "978307200000001"},
        {"TIMESTAMPTZ '1970-01-01 02:00:00+02'", GR_TYPE_TIMESTAMPTZ, 0, 0, "0"},
        {"TIMESTAMPTZ '-infinity'", GR_TYPE_TIMESTAMPTZ, 0, 0, "NULL"},
        {"TIMESTAMP '2001-01-01 00:00:00'::TIMESTAMPTZ", GR_TYPE_TIMESTAMPTZ, 0, 0, "978307200000000"},
        {"TIME '13:14:15'", GR_TYPE_UTF8, 0, 0, "13:14:15"},
        {"TIME '00:00:00.0205'", GR_TYPE_UTF8, 0, 0, "00:00:00.0205"},
        {"'00112233-4455-6677-8899-aabbccddeeff'::UUID", GR_TYPE_UTF8, 0, 0, "00112233-4455-6677-8899-aabbccddeeff"},
        {"'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID", GR_TYPE_UTF8, 0, 0, "ffffffff-ffff-ffff-ffff-ffffffffffff"},
        {"'sad'::ENUM('happy', 'sad')", GR_TYPE_UTF8, 0, 0, "sad"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_type(&f, &cases[i], false, true);
}

static void test_types_that_results_do_not_carry(void **state) {
    (void)state;
    static const char *const cases[] = {"[1, 2]",         "{'a': 1}",   "MAP {'a': 1}",         "array_value(1, 2)",
                                        "INTERVAL 1 DAY", "'101'::BIT", "TIMETZ '10:00:00+02'", "union_value(a := 1)"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT 1 AS fine, %s AS odd", cases[i]);
        assert_int_equal(status_of(&f, sql), GR_ERR_ENGINE_DATA);
        assert_non_null(strstr(f.err.message, "\"odd\""));
        assert_non_null(strstr(f.err.hint, "CAST"));
        gr_column_schema *schema;
        size_t n;
        assert_int_equal(driver->describe(f.conn, gr_str_from(sql), f.arena, &schema, &n, &f.err), GR_ERR_ENGINE_DATA);
        assert_non_null(strstr(f.err.message, "\"odd\""));
        snprintf(sql, sizeof sql, "SELECT (%s)::VARCHAR IS NOT NULL", cases[i]);
        assert_string_equal(rows(&f, sql), "true");
    }
}

static void test_values_out_of_range(void **state) {
    (void)state;
    static const struct {
        const char *sql;
        const char *state;
    } cases[] = {
        {"SELECT 340282366920938463463374607431768211455::UHUGEINT AS u", ""},
        {"SELECT 9223372036854775807::BIGINT + i FROM range(1, 3) t(i)", "1"},
        {"SELECT ('x' || i)::INTEGER FROM range(3) t(i)", "2"},
        {"SELECT sum(i) FROM (SELECT 170141183460469231731687303715884105727::HUGEINT AS i FROM range(2))", "1"},
        {"SELECT error('boom')", "32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (status_of(&f, cases[i].sql) != GR_ERR_ENGINE_DATA)
            fail_msg("%s: %d %s", cases[i].sql, f.err.status, f.err.message);
        assert_string_equal(f.err.engine_state, cases[i].state);
        assert_null(strchr(f.err.message, '\n'));
        assert_null(strstr(f.err.message, "LINE 1"));
    }
}

/* An error in a late chunk comes after the good ones, stays, and is never taken for a cancellation. */
static void test_late_error(void **state) {
    (void)state;
    for (int round = 0; round < 60; round++) {
        gr_stream *stream;
        gr_str sql = GR_STR("SELECT CASE WHEN i < 1000000 THEN i ELSE ('x' || i)::BIGINT END FROM range(5000000) t(i)");
        assert_int_equal(driver->query(f.conn, &f.ctx, sql, NULL, 0, true, &stream, &f.err), GR_OK);
        const gr_batch *batch;
        size_t n = 0;
        gr_status status;
        while (!(status = stream->next(stream, &batch, &f.err)) && batch) n += batch->n_rows;
        gr_status again = stream->next(stream, &batch, &f.err);
        stream->close(stream);
        assert_int_equal(status, GR_ERR_ENGINE_DATA);
        assert_int_equal(again, GR_ERR_ENGINE_DATA);
        assert_true(n > 0 && n <= 1000000);
    }
    assert_string_equal(rows(&f, "SELECT 1"), "1");
}

static void test_long_texts(void **state) {
    (void)state;
    gr_stream *stream;
    const char *sql = "SELECT repeat(chr((97 + i)::INTEGER), 1048576) AS t FROM range(5) t(i) ORDER BY i";
    assert_int_equal(driver->query(f.conn, &f.ctx, gr_str_from(sql), NULL, 0, false, &stream, &f.err), GR_OK);
    const gr_batch *batch;
    size_t row = 0;
    while (!stream->next(stream, &batch, &f.err) && batch) {
        for (size_t r = 0; r < batch->n_rows; r++, row++) {
            gr_str text = gr_column_text(&batch->columns[0], r);
            assert_int_equal(text.n, 1048576);
            assert_int_equal(text.p[0], 'a' + (int)row);
            assert_int_equal(text.p[text.n - 1], 'a' + (int)row);
        }
    }
    assert_int_equal(row, 5);
    stream->close(stream);
    gr_str text;
    assert_int_equal(try_rows(&f, f.conn, "SELECT 'a' || chr(0) || 'b'", NULL, 0, false, &text), GR_OK);
    assert_int_equal(text.n, 3);
    assert_memory_equal(text.p, "a\0b", 3);
}

static void test_shapes(void **state) {
    (void)state;
    gr_stream *stream;
    const gr_batch *batch = (const gr_batch *)1;
    const char *empty = "SELECT 1::BIGINT AS a, 'x' AS b WHERE false";
    assert_int_equal(driver->query(f.conn, &f.ctx, gr_str_from(empty), NULL, 0, false, &stream, &f.err), GR_OK);
    assert_int_equal(stream->n_columns, 2);
    assert_int_equal(stream->schema[1].type, GR_TYPE_UTF8);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    assert_null(batch);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    assert_null(batch);
    stream->close(stream);

    gr_buf wide;
    gr_buf_init(&wide, 1 << 16);
    gr_buf_z(&wide, "SELECT 0 AS c0");
    for (int i = 1; i < 100; i++) gr_buf_printf(&wide, ", %d AS c%d", i * i, i);
    gr_str sql;
    assert_true(gr_buf_finish(&wide, &sql));
    assert_int_equal(driver->query(f.conn, &f.ctx, sql, NULL, 0, false, &stream, &f.err), GR_OK);
    assert_int_equal(stream->n_columns, 100);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    for (size_t i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%zu", i);
        assert_true(gr_str_eq_z(stream->schema[i].name, name));
        assert_int_equal(((const int64_t *)batch->columns[i].data)[0], i * i);
    }
    stream->close(stream);
    gr_buf_done(&wide);
    assert_string_equal(rows(&f, "SELECT 1 AS a, 2 AS a"), "1|2");
}

static void test_a_hundred_thousand_rows(void **state) {
    (void)state;
    gr_stream *stream;
    const char *sql = "SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'row ' || i END, (i * 0.5)::DOUBLE, "
                      "DATE '2020-01-01' + (i % 400)::INTEGER, i % 2 = 0, i::DECIMAL(18,2) FROM range(100000) t(i)";
    assert_int_equal(driver->query(f.conn, &f.ctx, gr_str_from(sql), NULL, 0, false, &stream, &f.err), GR_OK);
    const gr_batch *batch;
    int64_t row = 0;
    size_t n_batches = 0;
    gr_status status;
    while (!(status = stream->next(stream, &batch, &f.err)) && batch) {
        n_batches++;
        for (size_t r = 0; r < batch->n_rows; r++, row++) {
            char text[32];
            snprintf(text, sizeof text, "row %lld", (long long)row);
            assert_true(((const int64_t *)batch->columns[0].data)[r] == row);
            assert_true(gr_column_is_null(&batch->columns[1], r) == (row % 3 == 0));
            if (row % 3) assert_true(gr_str_eq_z(gr_column_text(&batch->columns[1], r), text));
            assert_true(((const double *)batch->columns[2].data)[r] == (double)row * 0.5);
            assert_true(((const int32_t *)batch->columns[3].data)[r] == 18262 + row % 400);
            assert_true(((const uint8_t *)batch->columns[4].data)[r] == (row % 2 == 0));
            assert_true(((const __int128 *)batch->columns[5].data)[r] == row * 100);
        }
    }
    assert_int_equal(status, GR_OK);
    assert_int_equal(row, 100000);
    assert_true(n_batches > 10);
    stream->close(stream);
}

static void test_bound_values(void **state) {
    (void)state;
    run(&f, "CREATE TABLE bound AS SELECT * FROM (VALUES (1::INTEGER, DATE '2020-02-29', 'x''y')) t(i, d, s)");
    static const struct {
        const char *sql;
        gr_value value;
        const char *text;
    } cases[] = {
        {"SELECT $1 IS NULL", {.type = GR_TYPE_NULL}, "true"},
        {"SELECT NOT $1", {.type = GR_TYPE_BOOL, .as.b = true}, "false"},
        {"SELECT $1::BIGINT", {.type = GR_TYPE_INT64, .as.i = INT64_MIN}, "-9223372036854775808"},
        {"SELECT count(*) FROM bound WHERE i = $1", {.type = GR_TYPE_INT64, .as.i = 1}, "1"},
        {"SELECT count(*) FROM bound WHERE i < $1", {.type = GR_TYPE_INT64, .as.i = 3000000000}, "1"},
        {"SELECT $1 / 2", {.type = GR_TYPE_FLOAT64, .as.d = 0.5}, "0.25"},
        {"SELECT count(*) FROM bound WHERE s = $1", {.type = GR_TYPE_UTF8, .as.s = GR_STR_INIT("x'y")}, "1"},
        {"SELECT $1",
         {.type = GR_TYPE_UTF8, .as.s = GR_STR_INIT("'; DROP TABLE bound; --")},
         "'; DROP TABLE bound; --"},
        {"SELECT length($1)", {.type = GR_TYPE_UTF8}, "0"},
        {"SELECT count(*) FROM bound WHERE d = $1", {.type = GR_TYPE_DATE, .as.i = 18321}, "1"},
        {"SELECT $1 + INTERVAL 1 DAY", {.type = GR_TYPE_TIMESTAMP, .as.i = -1}, "86399999999"},
        {"SELECT $1 AT TIME ZONE 'Asia/Tokyo'", {.type = GR_TYPE_TIMESTAMPTZ, .as.i = 0}, "32400000000"},
        {"SELECT count(*) FROM bound WHERE d >= $1", {.type = GR_TYPE_TIMESTAMPTZ, .as.i = 0}, "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int again = 0; again < 2; again++) {
            gr_str text;
            if (try_rows(&f, f.conn, cases[i].sql, &cases[i].value, 1, true, &text))
                fail_msg("%s: %s", cases[i].sql, f.err.message);
            assert_string_equal(text.p, cases[i].text);
        }
    }
    gr_str text;
    gr_value two[2] = {{.type = GR_TYPE_INT64, .as.i = 1}, {.type = GR_TYPE_INT64, .as.i = 2}};
    assert_int_equal(try_rows(&f, f.conn, "SELECT $1::BIGINT + 1", two, 2, false, &text), GR_ERR_ENGINE_SQL);
    assert_int_equal(try_rows(&f, f.conn, "SELECT $2::BIGINT - $1::BIGINT", two, 1, false, &text), GR_ERR_ENGINE_SQL);
    assert_int_equal(try_rows(&f, f.conn, "SELECT $2::BIGINT - $1::BIGINT", two, 2, false, &text), GR_OK);
    assert_string_equal(text.p, "1");
    gr_value bad = {.type = GR_TYPE_UTF8, .as.s = GR_STR("\xFF\xFE")};
    assert_int_equal(try_rows(&f, f.conn, "SELECT $1", &bad, 1, false, &text), GR_ERR_ENGINE_DATA);
    gr_value far = {.type = GR_TYPE_DATE, .as.i = INT64_MAX};
    assert_int_equal(try_rows(&f, f.conn, "SELECT $1", &far, 1, false, &text), GR_ERR_ENGINE_DATA);
}

static void test_describe(void **state) {
    (void)state;
    run(&f, "CREATE TABLE facts(id BIGINT, amount DECIMAL(18,4), moment TIMESTAMPTZ, note VARCHAR)");
    gr_column_schema *schema;
    size_t n;
    const char *sql = "SELECT note, sum(amount) AS total, count(*) AS n, $1 AS p, max(moment) FROM facts WHERE id > $2 "
                      "GROUP BY note;\n";
    assert_int_equal(driver->describe(f.conn, gr_str_from(sql), f.arena, &schema, &n, &f.err), GR_OK);
    static const gr_type types[] = {GR_TYPE_UTF8, GR_TYPE_DECIMAL, GR_TYPE_INT64, GR_TYPE_INT64, GR_TYPE_TIMESTAMPTZ};
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        if (i != 3) assert_int_equal(schema[i].type, types[i]);
    assert_int_equal(schema[1].precision, 38);
    assert_int_equal(schema[1].scale, 4);
    assert_true(gr_str_eq_z(schema[1].name, "total"));
    assert_true(gr_str_eq_z(schema[3].name, "p"));
    assert_int_equal(driver->describe(f.conn, GR_STR("SELECT nope FROM facts"), f.arena, &schema, &n, &f.err),
                     GR_ERR_ENGINE_SQL);
    assert_int_equal(driver->describe(f.conn, GR_STR("DROP TABLE facts"), f.arena, &schema, &n, &f.err),
                     GR_ERR_ENGINE_SQL);
    assert_string_equal(rows(&f, "SELECT count(*) FROM facts"), "0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_types_that_results_do_not_carry),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_late_error),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_a_hundred_thousand_rows),
        cmocka_unit_test(test_bound_values),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, open_it, close_it);
}
