/* YAML as a tree with places, under limits. */
#include "data/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gr_arena *arena;
static gr_error err;

static gr_status parse(gr_str text, gr_yaml **ret) {
    err = (gr_error){0};
    /* Exactly as long as it is, so that reading one byte too far is seen. */
    char *copy = malloc(text.n ? text.n : 1);
    if (text.n) memcpy(copy, text.p, text.n);
    gr_status status = gr_yaml_parse((gr_str){copy, text.n}, GR_STR("m.yml"), GR_YAML_LIMITS_DEFAULT, arena, ret, &err);
    free(copy);
    return status;
}

static gr_yaml *good(gr_str text) {
    gr_yaml *node = NULL;
    if (parse(text, &node)) fail_msg("%s at %u:%u", err.message, err.loc.line, err.loc.col);
    return node;
}

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_arena_free(arena);
    return 0;
}

static void expect_place(const gr_yaml *node, uint32_t line, uint32_t col) {
    assert_true(gr_str_eq_z(node->loc.file, "m.yml"));
    assert_int_equal(node->loc.line, line);
    assert_int_equal(node->loc.col, col);
}

static void test_tree(void **state) {
    (void)state;
    gr_yaml *root = good(GR_STR("cubes:\n"
                                "  - name: orders   # a comment\n"
                                "    sql: >\n"
                                "      select 1\n"
                                "      from t\n"
                                "    é: 'q'\n"
                                "    empty:\n"
                                "    flow: [a, {b: \"c\"}]\n"));
    assert_int_equal(root->kind, GR_YAML_MAP);
    gr_yaml *cubes = gr_yaml_get(root, GR_STR("cubes"));
    assert_int_equal(cubes->kind, GR_YAML_LIST);
    assert_int_equal(cubes->n, 1);
    gr_yaml *cube = cubes->items[0];
    assert_int_equal(cube->n, 5);
    expect_place(cube, 2, 5);
    assert_int_equal(cube->pairs[1].key_loc.line, 3);
    assert_int_equal(cube->pairs[1].key_loc.col, 5);
    gr_yaml *name = gr_yaml_get(cube, GR_STR("name"));
    assert_true(gr_str_eq_z(name->text, "orders"));
    assert_false(name->is_quoted);
    expect_place(name, 2, 11);
    gr_yaml *sql = gr_yaml_get(cube, GR_STR("sql"));
    assert_true(gr_str_eq_z(sql->text, "select 1 from t\n"));
    assert_true(sql->is_quoted);
    expect_place(gr_yaml_get(cube, GR_STR("é")), 6, 8);
    gr_yaml *empty = gr_yaml_get(cube, GR_STR("empty"));
    assert_int_equal(empty->kind, GR_YAML_NULL);
    expect_place(empty, 7, 5);
    gr_yaml *flow = gr_yaml_get(cube, GR_STR("flow"));
    expect_place(flow, 8, 11);
    expect_place(gr_yaml_get(flow->items[1], GR_STR("b")), 8, 19);
    assert_null(gr_yaml_get(cube, GR_STR("nope")));
    assert_null(gr_yaml_get(name, GR_STR("name")));
    assert_null(gr_yaml_get(NULL, GR_STR("name")));
}

static void test_empty(void **state) {
    (void)state;
    static const gr_str texts[] = {GR_STR_INIT(""),
                                   GR_STR_INIT("\n\n"),
                                   GR_STR_INIT("# only\n"),
                                   GR_STR_INIT("---\n"),
                                   GR_STR_INIT("\xEF\xBB\xBF"),
                                   GR_STR_INIT("~"),
                                   GR_STR_INIT("--- # x\n...\n")};
    for (size_t i = 0; i < COUNT(texts); i++) {
        gr_yaml *root = good(texts[i]);
        assert_int_equal(root->kind, GR_YAML_NULL);
        assert_int_equal(root->loc.line, 1);
    }
    assert_true(gr_str_eq_z(gr_yaml_get(good(GR_STR("\xEF\xBB\xBF"
                                                    "a: b\r\n")),
                                        GR_STR("a"))
                                ->text,
                            "b"));
}

static void test_scalars(void **state) {
    (void)state;
    enum { NONE, BOOL, INT, NULLS };
    static const struct {
        const char *text;
        int kind;
        int64_t value;
    } cases[] = {
        {"true", BOOL, 1},
        {"True", BOOL, 1},
        {"FALSE", BOOL, 0},
        {"yes", NONE, 0},
        {"'true'", NONE, 0},
        {"on", NONE, 0},
        {"12", INT, 12},
        {"-12", INT, -12},
        {"+7", INT, 7},
        {"010", INT, 10},
        {"0x1F", INT, 31},
        {"0o17", INT, 15},
        {"0o18", NONE, 0},
        {"0x", NONE, 0},
        {"0x7fffffffffffffff", INT, INT64_MAX},
        {"0x8000000000000000", NONE, 0},
        {"9223372036854775807", INT, INT64_MAX},
        {"9223372036854775808", NONE, 0},
        {"-9223372036854775808", INT, INT64_MIN},
        {"1.0", NONE, 0},
        {"1_000", NONE, 0},
        {"\"5\"", NONE, 0},
        {"!!str 5", NONE, 0},
        {"!!str true", NONE, 0},
        {"null", NULLS, 0},
        {"~", NULLS, 0},
        {"NULL", NULLS, 0},
        {"''", NONE, 0},
        {"'null'", NONE, 0},
        {"-", NONE, 0},
        {"nul", NONE, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[64];
        snprintf(text, sizeof text, "[%s]", cases[i].text);
        if (!strcmp(cases[i].text, "-")) snprintf(text, sizeof text, "[+]");
        const gr_yaml *node = good(gr_str_from(text))->items[0];
        bool truth = false;
        int64_t number = 0;
        bool is_bool = gr_yaml_is_bool(node, &truth), is_int = gr_yaml_is_i64(node, &number);
        if (is_bool != (cases[i].kind == BOOL) || is_int != (cases[i].kind == INT) ||
            gr_yaml_is_string(node) == (cases[i].kind == NULLS))
            fail_msg("%s: bool %d, int %d", cases[i].text, is_bool, is_int);
        if (is_bool) assert_int_equal(truth, cases[i].value);
        if (is_int) assert_int_equal(number, cases[i].value);
    }
    assert_false(gr_yaml_is_string(NULL));
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        gr_str text;
        uint32_t line, col;
        const char *says;
    } cases[] = {
        {GR_STR_INIT("a: [1, 2\nb: 3\n"), 3, 1, "closing bracket"},
        {GR_STR_INIT("a: 1\n\tb: 2\n"), 1, 4, "multiline"},
        {GR_STR_INIT("a: b: c\n"), 1, 5, "nested"},
        {GR_STR_INIT("a: 1\nb:\n  c: 2\n  c: 3\n"), 4, 3, "`c` comes twice"},
        {GR_STR_INIT("{a: 1, 'a': 2}"), 1, 8, "twice"},
        {GR_STR_INIT("a: 1\n---\nb: 2\n"), 2, 1, "more than one document"},
        {GR_STR_INIT("a: x\xFFy\n"), 1, 5, "UTF-8"},
        {GR_STR_INIT("é: x\n\xC3"), 2, 1, "UTF-8"},
        {GR_STR_INIT("a: 1\0b: 2\n"), 1, 5, "control character"},
        {GR_STR_INIT("a: \"x\\0y\"\n"), 1, 4, "NUL"},
        {GR_STR_INIT("%YAML 1.1\n---\na: 1\n"), 1, 1, "Directives"},
        {GR_STR_INIT("? [x]\n: 1\n"), 1, 3, "A key must be"},
        {GR_STR_INIT("a: 1\n: 2\n"), 1, 1, "key is missing"},
        {GR_STR_INIT("a: *nope\n"), 1, 5, "no anchor `&nope`"},
        {GR_STR_INIT("a: &x [1, *x]\n"), 1, 12, "inside of its own anchor"},
        {GR_STR_INIT("a: !ruby/object x\n"), 1, 4, "Tags"},
        {GR_STR_INIT("a: !!int '1'\n"), 1, 4, "Tags"},
        {GR_STR_INIT("a: !!str [x]\n"), 1, 4, "Tags"},
        {GR_STR_INIT("a: \"x\n"), 1, 5, "closing quote"},
        {GR_STR_INIT("a: @x\n"), 1, 4, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_yaml *node = NULL;
        gr_status status = parse(cases[i].text, &node);
        if (status != GR_ERR_YAML_SYNTAX || !strstr(err.message, cases[i].says) || err.loc.line != cases[i].line ||
            err.loc.col != cases[i].col || strcmp(err.file, "m.yml") != 0)
            fail_msg("case %zu: status %d, %s at %s:%u:%u", i, status, err.message, err.file, err.loc.line,
                     err.loc.col);
        assert_null(node);
    }
}

static void test_aliases(void **state) {
    (void)state;
    gr_yaml *root = good(GR_STR("base: &b {x: 1}\nother: *b\nkey: &k name\n*k : v\n&e empty:\nb: &b 2\nc: *b\n"));
    assert_true(gr_str_eq_z(gr_yaml_get(gr_yaml_get(root, GR_STR("other")), GR_STR("x"))->text, "1"));
    assert_true(gr_str_eq_z(gr_yaml_get(root, GR_STR("name"))->text, "v"));
    assert_true(gr_str_eq_z(gr_yaml_get(root, GR_STR("c"))->text, "2"));
    /* Merge keys are no special keys here. */
    root = good(GR_STR("a: &a {x: 1}\nb:\n  <<: *a\n"));
    assert_null(gr_yaml_get(gr_yaml_get(root, GR_STR("b")), GR_STR("x")));
    assert_non_null(gr_yaml_get(gr_yaml_get(root, GR_STR("b")), GR_STR("<<")));
}

/* The billion laughs, by nodes; and by depth, where each alias adds its height to that of the place it stands at. */
static void test_bombs(void **state) {
    (void)state;
    gr_buf b;
    gr_buf_init(&b, 1 << 20);
    gr_buf_z(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        gr_buf_printf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) gr_buf_printf(&b, "%s*a%d", j ? "," : "", i - 1);
        gr_buf_z(&b, "]\n");
    }
    gr_yaml *node = NULL;
    assert_int_equal(parse(gr_buf_str(&b), &node), GR_ERR_YAML_LIMIT);
    assert_int_equal(err.loc.line, 6); /* 10^4 nodes fit, 10^5 too, then the sum is over 200,000 */
    assert_null(node);
    assert_true(gr_arena_used_bytes(arena) < 1 << 20);

    gr_buf_reset(&b);
    gr_buf_z(&b, "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n");
    for (int i = 1; i < 10; i++) gr_buf_printf(&b, "a%d: &a%d [[[[[[[[[[*a%d]]]]]]]]]]\n", i, i, i - 1);
    assert_int_equal(parse(gr_buf_str(&b), &node), GR_ERR_YAML_LIMIT);
    assert_int_equal(err.loc.line, 7); /* 60 levels and the map fit into 64 */
    gr_buf_done(&b);
}

static void test_limits(void **state) {
    (void)state;
    static const char *units[] = {"[", "{a: ", "- ", "? ", "{? ["};
    gr_buf b;
    gr_buf_init(&b, 1 << 20);
    gr_yaml *node = NULL;
    for (size_t i = 0; i < COUNT(units); i++) {
        gr_buf_reset(&b);
        for (int j = 0; j < 1000; j++) gr_buf_z(&b, units[i]);
        gr_status status = parse(gr_buf_str(&b), &node);
        if (status != GR_ERR_YAML_LIMIT) fail_msg("%s: %d %s", units[i], status, err.message);
    }
    for (size_t depth = 64; depth <= 65; depth++) {
        gr_buf_reset(&b);
        for (size_t j = 0; j < depth; j++) gr_buf_char(&b, '[');
        for (size_t j = 0; j < depth; j++) gr_buf_char(&b, ']');
        assert_int_equal(parse(gr_buf_str(&b), &node), depth == 64 ? GR_OK : GR_ERR_YAML_LIMIT);
    }
    gr_buf_done(&b);
    gr_yaml_limits small = {.max_bytes = 16, .max_nodes = 4, .max_depth = 2};
    static const struct {
        gr_str text;
        gr_status status;
    } cases[] = {
        {GR_STR_INIT("[1,2,3]"), GR_OK},
        {GR_STR_INIT("[1,2,3,4]"), GR_ERR_YAML_LIMIT},
        {GR_STR_INIT("{a: 1}"), GR_OK},
        {GR_STR_INIT("{a: 1, b: 2}"), GR_ERR_YAML_LIMIT},
        {GR_STR_INIT("[[1]]"), GR_OK},
        {GR_STR_INIT("[[[1]]]"), GR_ERR_YAML_LIMIT},
        {GR_STR_INIT("aaaaaaaaaaaaaaaa"), GR_OK},
        {GR_STR_INIT("aaaaaaaaaaaaaaaaa"), GR_ERR_YAML_LIMIT},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(gr_yaml_parse(cases[i].text, GR_STR("m.yml"), small, arena, &node, &err), cases[i].status);
}

/* A long line of % once took libfyaml minutes. */
static void test_directive_time(void **state) {
    (void)state;
    size_t n = 4u << 20;
    char *text = malloc(n);
    memset(text, '%', n);
    gr_yaml *node = NULL;
    assert_int_equal(parse((gr_str){text, n}, &node), GR_ERR_YAML_SYNTAX);
    free(text);
}

static void test_many_keys(void **state) {
    (void)state;
    gr_buf b;
    gr_buf_init(&b, 4u << 20);
    for (int i = 0; i < 90000; i++) gr_buf_printf(&b, "k%d: %d\n", i, i);
    gr_yaml *root = good(gr_buf_str(&b));
    assert_int_equal(root->n, 90000);
    assert_true(gr_str_eq_z(gr_yaml_get(root, GR_STR("k89999"))->text, "89999"));
    gr_buf_done(&b);
}

static void test_json(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"", "null"},
        {"{a: 1, b: [true, ~, 'x', \"5\"], c: {}, d: []}", "{\"a\":1,\"b\":[true,null,\"x\",\"5\"],\"c\":{},\"d\":[]}"},
        {"[1.50, -0.5, +.5, 5., 1e3, 1.E-3, 007.5, 0x10, 00012]", "[1.50,-0.5,0.5,5,1e3,1E-3,7.5,16,12]"},
        {"[99999999999999999999, -00099999999999999999999, 1e999, .inf, .nan, 1.2.3, ., e5]",
         "[99999999999999999999,-99999999999999999999,\"1e999\",\".inf\",\".nan\",\"1.2.3\",\".\",\"e5\"]"},
        {"a: &x [1, 2]\nb: *x\n", "{\"a\":[1,2],\"b\":[1,2]}"},
        {"\"a\\nb\": 'say \"x\"'", "{\"a\\nb\":\"say \\\"x\\\"\"}"},
        {"['''''''''''''''''''''', 'a '''' b', '''''b', '''', '']", "[\"''''''''''\",\"a '' b\",\"''b\",\"'\",\"\"]"},
        {"'''''\n  x   \n\n\n  y\r\n  '''' z '", "\"'' x\\n\\ny '' z \""},
        {"a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"},
    };
    gr_buf out;
    gr_buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_buf_reset(&out);
        gr_yaml_to_json(good(gr_str_from(cases[i].yaml)), &out);
        gr_str text;
        assert_true(gr_buf_finish(&out, &text));
        assert_string_equal(text.p, cases[i].json);
    }
    gr_buf_done(&out);
}

/* Diagnostics belong into the error, not onto stderr. */
static void test_is_silent(void **state) {
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(2);
    assert_int_equal(dup2(fileno(file), 2), 2);
    static const gr_str texts[] = {GR_STR_INIT("a: [1\n"), GR_STR_INIT("a: b: c"), GR_STR_INIT("\"\\q\""),
                                   GR_STR_INIT("a: *x"),   GR_STR_INIT("&a &b c"), GR_STR_INIT("\"\\ud83d\"")};
    gr_yaml *node = NULL;
    size_t n_failed = 0;
    for (size_t i = 0; i < COUNT(texts); i++) n_failed += parse(texts[i], &node) == GR_ERR_YAML_SYNTAX;
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    fseek(file, 0, SEEK_END);
    assert_int_equal(ftell(file), 0);
    fclose(file);
    assert_int_equal(n_failed, COUNT(texts));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aliases, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bombs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directive_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_is_silent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
