/* JSON in under limits, and JSON out. */
#include "data/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gr_str repeat(gr_arena *arena, const char *unit, size_t times, const char *middle, const char *back) {
    gr_buf b;
    gr_buf_init(&b, 1 << 20);
    for (size_t i = 0; i < times; i++) gr_buf_z(&b, unit);
    gr_buf_z(&b, middle);
    for (size_t i = 0; i < times; i++) gr_buf_z(&b, back);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&b));
    gr_buf_done(&b);
    return text;
}

static void test_reads(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_error err = {0};
    json_t *value = NULL;
    gr_str text = GR_STR("{\"z\":1,\"a\":[true,null,\"\\u00e9\",-2.5],\"m\":{\"[\":\"}\\\"]\"}}");
    assert_int_equal(gr_json_parse(text, 1000, arena, &value, &err), GR_OK);
    void *it = json_object_iter(value);
    assert_string_equal(json_object_iter_key(it), "z");
    it = json_object_iter_next(value, it);
    assert_string_equal(json_object_iter_key(it), "a");
    assert_true(gr_str_eq_z(gr_json_str(json_array_get(json_object_iter_value(it), 2)), "é"));
    assert_int_equal(gr_json_parse(GR_STR(" 9223372036854775807 "), 1000, arena, &value, &err), GR_OK);
    assert_int_equal(json_integer_value(value), INT64_MAX);
    gr_arena_free(arena);
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        gr_str text;
        gr_status status;
        uint32_t line, col;
        const char *says;
    } cases[] = {
        {GR_STR_INIT(""), GR_ERR_JSON_SYNTAX, 1, 1, "empty"},
        {GR_STR_INIT(" \n "), GR_ERR_JSON_SYNTAX, 1, 1, "empty"},
        {GR_STR_INIT("{"), GR_ERR_JSON_SYNTAX, 1, 1, "ends too early"},
        {GR_STR_INIT("{\"a\":\n  tru}"), GR_ERR_JSON_SYNTAX, 2, 5, "line 2, column 5"},
        {GR_STR_INIT("{\"a\":1}x"), GR_ERR_JSON_SYNTAX, 1, 8, "end of the value"},
        {GR_STR_INIT("{\"a\":1,\"a\":2}"), GR_ERR_JSON_SYNTAX, 1, 10, "twice"},
        {GR_STR_INIT("[9223372036854775808]"), GR_ERR_JSON_SYNTAX, 1, 20, "64 bits"},
        {GR_STR_INIT("[-99999999999999999999999999999999999]"), GR_ERR_JSON_SYNTAX, 1, 37, "64 bits"},
        {GR_STR_INIT("[1e999]"), GR_ERR_JSON_SYNTAX, 1, 6, "too large"},
        {GR_STR_INIT("[\"a\xFF\"]"), GR_ERR_JSON_SYNTAX, 1, 4, "UTF-8"},
        {GR_STR_INIT("[\"\xC3\xA9\",\n\"\xC0\x80\"]"), GR_ERR_JSON_SYNTAX, 2, 2, "UTF-8"},
        {GR_STR_INIT("[\"\xED\xA0\x80\"]"), GR_ERR_JSON_SYNTAX, 1, 3, "UTF-8"},
        {GR_STR_INIT("[\"\\ud800\"]"), GR_ERR_JSON_SYNTAX, 1, 9, "D800"},
        {GR_STR_INIT("[\"a\\u0000b\"]"), GR_ERR_JSON_SYNTAX, 1, 11, "u0000"},
        {GR_STR_INIT("{\"a\\u0000b\":1}"), GR_ERR_JSON_SYNTAX, 1, 11, "u0000"},
        {GR_STR_INIT("[\"a\nb\"]"), GR_ERR_JSON_SYNTAX, 1, 3, "newline"},
        {GR_STR_INIT("[1,]"), GR_ERR_JSON_SYNTAX, 1, 4, "unexpected"},
        {GR_STR_INIT("[NaN]"), GR_ERR_JSON_SYNTAX, 1, 4, "invalid token"},
        {GR_STR_INIT("\"\\"), GR_ERR_JSON_SYNTAX, 1, 2, "invalid escape"},
    };
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_error err = {0};
        json_t *value = NULL;
        gr_status status = gr_json_parse(cases[i].text, 1000, arena, &value, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].says) || err.loc.line != cases[i].line ||
            err.loc.col != cases[i].col)
            fail_msg("case %zu: status %d, %s at %u:%u", i, status, err.message, err.loc.line, err.loc.col);
        assert_null(value);
        char place[40];
        snprintf(place, sizeof place, "line %u, column %u", err.loc.line, err.loc.col);
        assert_non_null(strstr(err.message, place));
    }
    gr_arena_free(arena);
}

static void test_limits(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    json_t *value = NULL;
    gr_error err = {0};
    assert_int_equal(gr_json_parse(GR_STR("[1,2]"), 5, arena, &value, &err), GR_OK);
    assert_int_equal(gr_json_parse(GR_STR("[1,2]"), 4, arena, &value, &err), GR_ERR_JSON_LIMIT);
    assert_int_equal(gr_json_parse(repeat(arena, "[", GR_JSON_MAX_DEPTH, "", "]"), 5000, arena, &value, &err), GR_OK);
    assert_int_equal(gr_json_parse(repeat(arena, "[", GR_JSON_MAX_DEPTH + 1, "", "]"), 5000, arena, &value, &err),
                     GR_ERR_JSON_LIMIT);
    assert_int_equal(err.loc.col, GR_JSON_MAX_DEPTH + 1);
    assert_int_equal(gr_json_parse(repeat(arena, "{\"a\":", 1000, "1", "}"), 1 << 20, arena, &value, &err),
                     GR_ERR_JSON_LIMIT);
    assert_int_equal(gr_json_parse(repeat(arena, "[", 100000, "", ""), 1 << 20, arena, &value, &err),
                     GR_ERR_JSON_LIMIT);
    /* Brackets in a text are no depth. */
    assert_int_equal(gr_json_parse(repeat(arena, "[", 0,
                                          "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                                          "[[[[[[[[[[[[[[\"",
                                          ""),
                                   5000, arena, &value, &err),
                     GR_OK);
    gr_arena_free(arena);
}

static void expect_text(gr_buf *out, const char *want) {
    gr_str text;
    assert_true(gr_buf_finish(out, &text));
    assert_string_equal(text.p, want);
    gr_buf_reset(out);
}

static void test_writes(void **state) {
    (void)state;
    gr_buf out;
    gr_buf_init(&out, 4096);
    gr_jw w;
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "a", GR_STR("x\"\\\n\x01/é"));
    gr_jw_key(&w, GR_STR("b\t"));
    gr_jw_array(&w);
    gr_jw_array(&w);
    gr_jw_array_end(&w);
    gr_jw_object(&w);
    gr_jw_object_end(&w);
    gr_jw_i64(&w, INT64_MIN);
    gr_jw_f64(&w, -0.05);
    gr_jw_f64(&w, 1e300);
    gr_jw_f64(&w, -1.25e-7);
    gr_jw_f64(&w, 4);
    gr_jw_f64(&w, NAN);
    gr_jw_f64(&w, INFINITY);
    gr_jw_bool(&w, false);
    gr_jw_null(&w);
    gr_jw_raw(&w, GR_STR("{\"r\":1}"));
    gr_jw_array_end(&w);
    gr_jw_key_i64(&w, "c", 7);
    gr_jw_key_bool(&w, "d", true);
    gr_jw_key(&w, GR_STR("e"));
    gr_jw_json(&w, NULL);
    gr_jw_object_end(&w);
    expect_text(&out, "{\"a\":\"x\\\"\\\\\\n\\u0001/"
                      "é\",\"b\\t\":[[],{},-9223372036854775808,-0.05,1e300,-1.25e-7,4,null,null,false,null,"
                      "{\"r\":1}],\"c\":7,\"d\":true,\"e\":null}");
    gr_buf_done(&out);
}

static void test_escapes(void **state) {
    (void)state;
    static const struct {
        gr_str in;
        const char *want;
    } cases[] = {
        {GR_STR_INIT(""), ""},
        {GR_STR_INIT("plain"), "plain"},
        {GR_STR_INIT("\b\f\n\r\t\x1f\x7f"), "\\b\\f\\n\\r\\t\\u001f\x7f"},
        {GR_STR_INIT("a\0b"), "a\\u0000b"},
        {GR_STR_INIT("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80"},
        {GR_STR_INIT("a\xFFz"), "a\xEF\xBF\xBDz"},
        {GR_STR_INIT("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {GR_STR_INIT("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {GR_STR_INIT("\xC3\"\xC3\xA9"), "\xEF\xBF\xBD\\\"\xC3\xA9"},
    };
    gr_buf out;
    gr_buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_json_escape(&out, cases[i].in);
        expect_text(&out, cases[i].want);
    }
    gr_buf_done(&out);
}

/* What the encoder writes, the parser reads back as the same value. */
static void test_round_trips(void **state) {
    (void)state;
    static const gr_str texts[] = {
        GR_STR_INIT("{\"a\":[1,2.5,-3e-9,1e300,\"\\u0001\\n\\\"\\\\\\/\",{\"\":null}],\"b\":{\"c\":[[],{},[[]]]}}"),
        GR_STR_INIT("[0.1,0.30000000000000004,123456789.125,5e-324]"),
        GR_STR_INIT("\"\\ud83d\\ude00 \\u00e9\""),
        GR_STR_INIT("[9223372036854775807,-9223372036854775808]"),
        GR_STR_INIT("true"),
    };
    gr_arena *arena = gr_arena_new();
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    for (size_t i = 0; i <= COUNT(texts); i++) {
        gr_str text = i < COUNT(texts) ? texts[i] : (gr_str){0};
        if (i == COUNT(texts)) text = repeat(arena, "{\"a\":[", 32, "1", ",2]}");
        gr_error err = {0};
        json_t *before = NULL, *after = NULL;
        assert_int_equal(gr_json_parse(text, 1 << 16, arena, &before, &err), GR_OK);
        gr_jw w;
        gr_jw_init(&w, &out);
        gr_jw_json(&w, before);
        gr_str written;
        assert_true(gr_buf_finish(&out, &written));
        assert_int_equal(gr_json_parse(written, 1 << 16, arena, &after, &err), GR_OK);
        assert_true(json_equal(before, after));
        gr_buf_reset(&out);
    }
    gr_buf_done(&out);
    gr_arena_free(arena);
}

/* Beyond 64 levels the encoder says so at the end, rather than writing wrong commas. */
static void test_too_deep_to_write(void **state) {
    (void)state;
    gr_buf out;
    gr_buf_init(&out, 4096);
    gr_str text;
    for (int levels = 64; levels <= 65; levels++) {
        gr_buf_reset(&out);
        gr_jw w;
        gr_jw_init(&w, &out);
        for (int i = 0; i < levels; i++) gr_jw_array(&w);
        gr_jw_i64(&w, 1);
        gr_jw_i64(&w, 2);
        for (int i = 0; i < levels; i++) gr_jw_array_end(&w);
        assert_int_equal(gr_buf_finish(&out, &text), levels == 64);
        if (levels == 64) assert_int_equal(text.n, 64 * 2 + 3);
    }
    gr_buf_done(&out);

    json_t *deep = json_integer(1);
    for (int i = 0; i < 500; i++) {
        json_t *list = json_array();
        json_array_append_new(list, deep);
        deep = list;
    }
    gr_buf_init(&out, 4096);
    gr_jw w;
    gr_jw_init(&w, &out);
    gr_jw_json(&w, deep);
    assert_false(gr_buf_finish(&out, &text));
    json_decref(deep);
    gr_buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_too_deep_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
