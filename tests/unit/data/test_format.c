/* Values of columns as the text of Cube's API (decisions 8), and whole results as tables. */
#include "base/buf.h"
#include "data/batch.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define I128_MAX ((__int128)(((unsigned __int128)1 << 127) - 1))
#define I128_MIN (-I128_MAX - 1)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static void expect(const gr_column *column, size_t row, const char *want, bool want_bool) {
    gr_buf out;
    gr_buf_init(&out, 4096);
    bool is_bool = !want_bool;
    bool is_value = gr_batch_format(column, row, &out, &is_bool);
    gr_str text;
    assert_true(gr_buf_finish(&out, &text));
    assert_int_equal(is_bool, want_bool);
    assert_int_equal(is_value, want != NULL);
    assert_string_equal(text.p, want ? want : "");
    gr_buf_done(&out);
}

static void test_floats(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *want;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {100, "100"},
        {1e15, "1000000000000000"},
        {9007199254740993.0, "9007199254740992"},
        {1e21, "1000000000000000000000"},
        {-1e21, "-1000000000000000000000"},
        {1.5e22, "15000000000000000000000"},
        {1e-7, "0.0000001"},
        {-1.25e-7, "-0.000000125"},
        {123456.789, "123456.789"},
        {1234567890.12, "1234567890.12"},
        {0.000123, "0.000123"},
        {4.35, "4.35"},
        {1.005, "1.005"},
        {INFINITY, NULL},
        {-INFINITY, NULL},
        {NAN, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_column column = {.type = GR_TYPE_FLOAT64, .data = &cases[i].v};
        expect(&column, 0, cases[i].want, false);
    }
}

/* The extremes have too many zeros to be written here: they are counted. */
static void test_float_extremes(void **state) {
    (void)state;
    const double values[] = {5e-324, DBL_MAX, DBL_MIN};
    const size_t lengths[] = {2 + 323 + 1, 309, 2 + 307 + 17};
    const char *digits[] = {"5", "17976931348623157", "22250738585072014"};
    for (size_t i = 0; i < COUNT(values); i++) {
        gr_column column = {.type = GR_TYPE_FLOAT64, .data = values};
        gr_buf out;
        gr_buf_init(&out, 4096);
        bool is_bool;
        assert_true(gr_batch_format(&column, i, &out, &is_bool));
        gr_str text;
        assert_true(gr_buf_finish(&out, &text));
        assert_int_equal(text.n, lengths[i]);
        assert_true(gr_str_find_str(text, gr_str_from(digits[i])) != SIZE_MAX);
        assert_true(strtod(text.p, NULL) == values[i]);
        gr_buf_done(&out);
    }
}

/* Any double reads back the same, and is never longer than printf's %.17g says. */
static void test_float_round_trip(void **state) {
    (void)state;
    uint64_t seed = 0x9E3779B97F4A7C15u;
    gr_buf out;
    gr_buf_init(&out, 4096);
    for (int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double v;
        uint64_t bits = seed ^ seed >> 29;
        memcpy(&v, &bits, sizeof v);
        if (i % 3 == 1) v = (double)(int64_t)(bits >> 20) / 100;
        if (i % 3 == 2) v = (double)(int64_t)(bits >> 40) / (double)(1 + bits % 9999);
        if (!isfinite(v)) continue;
        gr_column column = {.type = GR_TYPE_FLOAT64, .data = &v};
        gr_buf_reset(&out);
        bool is_bool;
        assert_true(gr_batch_format(&column, 0, &out, &is_bool));
        gr_str text;
        assert_true(gr_buf_finish(&out, &text));
        if (strtod(text.p, NULL) != v) fail_msg("%.17g became %s", v, text.p);
        if (memchr(text.p, 'e', text.n)) fail_msg("%s has an exponent", text.p);
        size_t point = gr_str_find(text, '.', 0);
        if (point != SIZE_MAX && text.p[text.n - 1] == '0') fail_msg("%s has trailing zeros", text.p);
        char few[40];
        snprintf(few, sizeof few, "%.15g", v);
        size_t n_few = 0, n_text = 0, zeros = 0;
        for (const char *p = few; *p && *p != 'e'; p++) n_few += *p >= '0' && *p <= '9' && !(n_few == 0 && *p == '0');
        for (const char *p = text.p; *p; p++) {
            if (*p < '0' || *p > '9' || (n_text == 0 && *p == '0')) continue;
            n_text++;
            zeros = *p == '0' ? zeros + 1 : 0;
        }
        if (strtod(few, NULL) == v && v != 0 && n_text - zeros > n_few) fail_msg("%s is longer than %s", text.p, few);
    }
    gr_buf_done(&out);
}

static void test_decimals(void **state) {
    (void)state;
    static const struct {
        __int128 v;
        uint8_t scale;
        const char *want;
    } cases[] = {
        {0, 0, "0"},
        {0, 10, "0"},
        {-5, 2, "-0.05"},
        {5, 2, "0.05"},
        {-50, 2, "-0.5"},
        {-500, 2, "-5"},
        {12345, 2, "123.45"},
        {12300, 2, "123"},
        {12300, 0, "12300"},
        {100, 3, "0.1"},
        {1, 38, "0.00000000000000000000000000000000000001"},
        {I128_MAX, 0, "170141183460469231731687303715884105727"},
        {I128_MIN, 0, "-170141183460469231731687303715884105728"},
        {I128_MIN, 38, "-1.70141183460469231731687303715884105728"},
        {I128_MAX, 39, "0.170141183460469231731687303715884105727"},
        {I128_MIN, 41, "-0.00170141183460469231731687303715884105728"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_column column = {.type = GR_TYPE_DECIMAL, .scale = cases[i].scale, .data = &cases[i].v};
        expect(&column, 0, cases[i].want, false);
    }
    /* As engines lay them out: 16 bytes each at any address. */
    char shifted[8 + sizeof(__int128)];
    memcpy(shifted + 8, &(__int128){-7}, sizeof(__int128));
    gr_column column = {.type = GR_TYPE_DECIMAL, .scale = 255, .data = shifted + 8};
    gr_buf out;
    gr_buf_init(&out, 4096);
    bool is_bool;
    assert_true(gr_batch_format(&column, 0, &out, &is_bool));
    assert_int_equal(out.n, 3 + 255);
    assert_memory_equal(out.p, "-0.00", 5);
    assert_int_equal(out.p[out.n - 1], '7');
    gr_buf_done(&out);
}

static void test_integers_and_bools(void **state) {
    (void)state;
    const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN};
    const char *want[] = {"0", "-1", "9223372036854775807", "-9223372036854775808"};
    gr_column column = {.type = GR_TYPE_INT64, .data = ints};
    for (size_t i = 0; i < COUNT(ints); i++) expect(&column, i, want[i], false);
    const uint8_t truths[] = {1, 0};
    column = (gr_column){.type = GR_TYPE_BOOL, .data = truths};
    expect(&column, 0, "true", true);
    expect(&column, 1, "false", true);
}

static void test_nulls(void **state) {
    (void)state;
    const int64_t ints[70] = {[0] = 1, [64] = 2, [65] = 3};
    const uint64_t validity[] = {1, 2};
    gr_column column = {.type = GR_TYPE_INT64, .data = ints, .validity = validity};
    expect(&column, 0, "1", false);
    expect(&column, 1, NULL, false);
    expect(&column, 64, NULL, false);
    expect(&column, 65, "3", false);
    column = (gr_column){.type = GR_TYPE_NULL};
    expect(&column, 0, NULL, false);
}

static void test_texts(void **state) {
    (void)state;
    static const uint32_t offsets[] = {0, 0, 1, 3, 6, 10};
    gr_column column = {.type = GR_TYPE_UTF8, .data = "abbcccdddd", .offsets = offsets};
    const char *texts[] = {"", "a", "bb", "ccc", "dddd"};
    for (size_t i = 0; i < COUNT(texts); i++) expect(&column, i, texts[i], false);
    /* RFC 4648, 10 */
    column = (gr_column){.type = GR_TYPE_BINARY, .data = "ffofoofoob", .offsets = offsets};
    const char *codes[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="};
    const uint32_t foo[] = {0, 0, 1, 3, 6, 10};
    column.offsets = foo;
    for (size_t i = 0; i < COUNT(codes); i++) expect(&column, i, codes[i], false);
    const uint32_t one[] = {0, 3};
    column = (gr_column){.type = GR_TYPE_BINARY, .data = "\xFB\xFF\xFE", .offsets = one};
    expect(&column, 0, "+//+", false);
}

static void test_times(void **state) {
    (void)state;
    const int32_t days[] = {0, 18262, -1, INT32_MAX, -INT32_MAX, INT32_MIN};
    const char *dates[] = {
        "1970-01-01T00:00:00.000", "2020-01-01T00:00:00.000", "1969-12-31T00:00:00.000", NULL, NULL, NULL};
    gr_column column = {.type = GR_TYPE_DATE, .data = days};
    for (size_t i = 0; i < COUNT(days); i++) expect(&column, i, dates[i], false);
    const int64_t us[] = {0, 1577836800123456, -1000, INT64_MAX, -INT64_MAX, INT64_MIN};
    const char *times[] = {
        "1970-01-01T00:00:00.000", "2020-01-01T00:00:00.123", "1969-12-31T23:59:59.999", NULL, NULL, NULL};
    const gr_type types[] = {GR_TYPE_TIMESTAMP, GR_TYPE_TIMESTAMPTZ};
    for (size_t t = 0; t < COUNT(types); t++) {
        column = (gr_column){.type = types[t], .data = us};
        for (size_t i = 0; i < COUNT(us); i++) expect(&column, i, times[i], false);
    }
}

static void test_type_names(void **state) {
    (void)state;
    for (int t = 0; t < GR_TYPE__COUNT; t++) {
        assert_true(gr_type_name((gr_type)t).n > 0);
        for (int u = 0; u < t; u++) assert_false(gr_str_eq(gr_type_name((gr_type)t), gr_type_name((gr_type)u)));
    }
    assert_true(gr_str_eq_z(gr_type_name(GR_TYPE_INT64), "int64"));
    assert_true(gr_str_eq_z(gr_type_name(GR_TYPE__COUNT), "unknown"));
}

/* ---- tables: a stream of `n_batches` batches of two rows (number, text) ---------------------------------------- */
typedef struct fake_stream {
    gr_stream stream;
    int n_batches, at;
    size_t n_columns;
    bool fails;
    int64_t ints[2];
    char text[8];
    gr_column columns[2];
    gr_batch batch;
} fake_stream;

static const uint64_t only_first[] = {1};
static const uint32_t two_texts[] = {0, 2, 2};

static gr_status fake_next(gr_stream *stream, const gr_batch **ret, gr_error *err) {
    fake_stream *f = (fake_stream *)stream;
    if (f->at == f->n_batches) {
        if (f->fails) return gr_error_set(err, GR_ERR_ENGINE_IO, "The disk is gone.");
        *ret = NULL;
        return GR_OK;
    }
    /* The same memory each time: the table must not point into it. */
    f->ints[0] = f->at * 10;
    f->ints[1] = f->at * 10 + 1;
    snprintf(f->text, sizeof f->text, "t%d", f->at % 10);
    f->columns[0] = (gr_column){.type = GR_TYPE_INT64, .data = f->ints};
    f->columns[1] = (gr_column){.type = GR_TYPE_UTF8, .data = f->text, .offsets = two_texts, .validity = only_first};
    f->batch = (gr_batch){.n_rows = 2, .n_columns = f->n_columns, .columns = f->columns};
    f->at++;
    *ret = &f->batch;
    return GR_OK;
}

static gr_status read_fake(int n_batches, size_t n_columns, bool fails, size_t max_rows, gr_arena *arena,
                           gr_table **ret) {
    static const gr_column_schema schema[] = {{GR_STR_INIT("n"), GR_TYPE_INT64, 0, 0, false},
                                              {GR_STR_INIT("t"), GR_TYPE_UTF8, 0, 0, false}};
    fake_stream f = {.stream = {.schema = schema, .n_columns = 2, .next = fake_next},
                     .n_batches = n_batches,
                     .n_columns = n_columns,
                     .fails = fails};
    gr_error err = {0};
    gr_status status = gr_table_read(&f.stream, max_rows, arena, ret, &err);
    assert_int_equal(status, err.status);
    return status;
}

static void test_table(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_table *t = NULL;
    assert_int_equal(read_fake(3, 2, false, 6, arena, &t), GR_OK);
    assert_int_equal(t->n_rows, 6);
    assert_int_equal(t->n_columns, 2);
    assert_true(gr_str_eq_z(t->schema[1].name, "t"));
    const gr_cell *last = &t->cells[4 * 2];
    assert_true(gr_str_eq_z(last[0].text, "20"));
    assert_true(gr_str_eq_z(last[1].text, "t2"));
    assert_false(last[1].is_null);
    assert_true(gr_str_eq_z(last[2].text, "21"));
    assert_true(last[3].is_null);
    assert_true(gr_str_eq_z(t->cells[1].text, "t0"));

    assert_int_equal(read_fake(0, 2, false, 0, arena, &t), GR_OK);
    assert_int_equal(t->n_rows, 0);

    gr_table *untouched = t;
    assert_int_equal(read_fake(3, 2, false, 5, arena, &t), GR_ERR_LIMIT);
    assert_int_equal(read_fake(1, 2, true, 5, arena, &t), GR_ERR_ENGINE_IO);
    assert_int_equal(read_fake(1, 1, false, 5, arena, &t), GR_ERR_INTERNAL);
    assert_ptr_equal(t, untouched);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_float_extremes),
        cmocka_unit_test(test_float_round_trip),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_integers_and_bools),
        cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_type_names),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
