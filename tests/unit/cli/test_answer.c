/* Targets, cells and tables of what the routes of entities answer, and the members of the flags. */
#include "cli/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void targets(void **state) {
    (void)state;
    gr_buf url;
    gr_cli_url_init(&url, "/pre-aggregations/");
    gr_cli_url_text(&url, GR_STR("orders.main/x y%?"));
    gr_buf_z(&url, "/builds");
    gr_cli_url_param(&url, "limit", GR_STR("1"));
    gr_cli_url_param(&url, "node", GR_STR("a&b=\xC3\xA9"));
    assert_true(gr_str_eq_z(gr_buf_str(&url),
                            "/pre-aggregations/orders.main%2Fx%20y%25%3F/builds?limit=1&node=a%26b%3D%C3%A9"));
    gr_buf_done(&url);
}

static void cells(void **state) {
    (void)state;
    static const struct {
        const char *json, *want;
    } cases[] = {{"\"x\"", "x"},
                 {"12", "12"},
                 {"0.25", "25 %"},
                 {"true", "yes"},
                 {"false", "no"},
                 {"null", ""},
                 {"[]", ""},
                 {"{}", ""},
                 {"[\"a\",1,{\"name\":\"b\"}]", "a, 1, b"},
                 {"{\"status\":\"active\"}", "{\"status\":\"active\"}"}};
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        assert_true(gr_str_eq_z(gr_cli_cell(value, arena), cases[i].want));
        json_decref(value);
    }
    assert_int_equal(gr_cli_cell(NULL, arena).n, 0);
    gr_arena_free(arena);
}

static void tables(void **state) {
    (void)state;
    static const gr_cli_shown shown[] = {{"id", "entity", true}, {"cubes", "cubes", false}};
    gr_arena *arena = gr_arena_new();
    json_t *items = json_loads("[{\"id\":7,\"cubes\":[\"a\",\"b\"]},{\"cubes\":null}]", 0, NULL);
    gr_buf out;
    gr_str text;
    gr_buf_init(&out, 10000);
    gr_cli_render(items, shown, 2, arena, &out);
    assert_true(gr_buf_finish(&out, &text));
    assert_string_equal(text.p, "entity  cubes\n------  -----\n     7  a, b\n        \n");
    gr_buf_done(&out);
    json_decref(items);
    gr_arena_free(arena);
}

static void members(void **state) {
    (void)state;
    static const struct {
        const char *args[16], *want; /* NULL: refused */
    } cases[] = {
        {{"preagg", "plan", "--metrics", "a.b, c.d", "--metrics=e.f", "--dimensions", "x.y,", "--filter", "p IN (1, 2)",
          "--filter", "q", "--timezone", "UTC", "--strategy=full"},
         "{\"metrics\":[\"a.b\",\"c.d\",\"e.f\"],\"dimensions\":[\"x.y\"],\"filters\":[\"p IN (1, "
         "2)\",\"q\"],\"timezone\":"
         "\"UTC\",\"strategy\":\"full\"}"},
        {{"cube", "create", "n", "--metrics", "a.b"}, "{\"metrics\":[\"a.b\"],\"dimensions\":[],\"filters\":[]}"},
        {{"preagg", "plan", "--dimensions", "a.b"}, NULL},
        {{"preagg", "plan", "--metrics", "a\xff"}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_cli cli = {.arena = gr_arena_new()};
        size_t n = 0;
        json_t *body;
        gr_error err = {0};
        while (n < 16 && cases[i].args[n]) n++;
        assert_int_equal(gr_cli_args_parse(cases[i].args, n, cli.arena, &cli.args, &err), GR_OK);
        gr_status status = gr_cli_asked_members(&cli, &body, &err);
        assert_int_equal(status, cases[i].want ? GR_OK : GR_ERR_CLI_USAGE);
        if (!status) {
            char *text = json_dumps(body, JSON_COMPACT);
            assert_string_equal(text, cases[i].want);
            free(text);
        }
        gr_arena_free(cli.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(targets), cmocka_unit_test(cells), cmocka_unit_test(tables),
                                       cmocka_unit_test(members)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
