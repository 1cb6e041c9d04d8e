/* URL decoding and the table of routes. */
#include "http/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct decode_case {
    const char *raw, *want; /* NULL: refused */
    bool is_query;
} decode_case;

static void test_decode(void **state) {
    (void)state;
    static const decode_case cases[] = {
        {"", "", true},
        {"abc", "abc", true},
        {"a+b", "a b", true},
        {"a+b", "a+b", false},
        {"%7B%22a%22%3a1%7d", "{\"a\":1}", true},
        {"%C3%A9", "\xC3\xA9", false},
        {"100%25", "100%", true},
        {"%", NULL, true},
        {"%4", NULL, true},
        {"a%zzb", NULL, true},
        {"%C3", NULL, true},
        {"%ff%fe", NULL, false},
        {"\xff", NULL, true},
    };
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_error err = {0};
        gr_str got = {0};
        gr_status status = gr_http_url_decode(gr_str_from(cases[i].raw), cases[i].is_query, arena, &got, &err);
        if (!cases[i].want) {
            assert_int_equal(status, GR_ERR_QUERY_INVALID);
            assert_true(err.message[0]);
            continue;
        }
        assert_int_equal(status, GR_OK);
        assert_true(gr_str_eq_z(got, cases[i].want));
    }
    gr_arena_free(arena);
}

static void test_params(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_http_params params;
    assert_int_equal(gr_http_url_params(GR_STR("a=1&&b&c=x%3Dy=z&a=2&"), arena, &params, NULL), GR_OK);
    assert_int_equal(params.n, 4);
    static const char *want[][2] = {{"a", "1"}, {"b", ""}, {"c", "x=y=z"}, {"a", "2"}};
    for (size_t i = 0; i < params.n; i++) {
        assert_true(gr_str_eq_z(params.v[i].key, want[i][0]));
        assert_true(gr_str_eq_z(params.v[i].value, want[i][1]));
    }
    gr_buf many;
    gr_buf_init(&many, 10000);
    for (int i = 0; i < GR_HTTP_MAX_PARAMS + 1; i++) gr_buf_z(&many, "k=v&");
    gr_error err = {0};
    assert_int_equal(gr_http_url_params(gr_buf_str(&many), arena, &params, &err), GR_ERR_LIMIT);
    many.n = (size_t)GR_HTTP_MAX_PARAMS * 4;
    assert_int_equal(gr_http_url_params(gr_buf_str(&many), arena, &params, &err), GR_OK);
    gr_buf_done(&many);
    assert_int_equal(gr_http_url_params(GR_STR("a=%"), arena, &params, &err), GR_ERR_QUERY_INVALID);
    gr_arena_free(arena);
}

static void test_split(void **state) {
    (void)state;
    static const char *cases[][3] = {
        {"/a/b?x=1", "/a/b", "x=1"},
        {"/a", "/a", ""},
        {"/a?", "/a", ""},
        {"/a?b?c", "/a", "b?c"},
        {"http://h:1/p?q", "/p", "q"},
        {"http://h", "/", ""},
        {"/x?u=http://y/", "/x", "u=http://y/"},
        {"*", "*", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_str path, query;
        gr_http_url_split(gr_str_from(cases[i][0]), &path, &query);
        assert_true(gr_str_eq_z(path, cases[i][1]));
        assert_true(gr_str_eq_z(query, cases[i][2]));
    }
}

typedef struct route_case {
    const char *path;
    unsigned method;
    const char *want; /* path of the route, or NULL */
    const char *segment;
    bool is_known; /* some method is taken */
} route_case;

static void test_find(void **state) {
    (void)state;
    static const route_case cases[] = {
        {"/cubejs-api/v1/load", GR_HTTP_GET, "/cubejs-api/v1/load", "", true},
        {"/cubejs-api/v1/load/", GR_HTTP_POST, "/cubejs-api/v1/load", "", true},
        {"/cubejs-api/v1/load//", GR_HTTP_POST, NULL, "", false},
        {"/cubejs-api/v1/load", GR_HTTP_DELETE, NULL, "", true},
        {"/cubejs-api/v1/load", 0, NULL, "", true},
        {"/cubejs-api/v1/meta", GR_HTTP_POST, NULL, "", true},
        {"/cubejs-api/v1/loads", GR_HTTP_GET, NULL, "", false},
        {"/cubejs-api/v1", GR_HTTP_GET, NULL, "", false},
        {"/", GR_HTTP_GET, NULL, "", false},
        {"", GR_HTTP_GET, NULL, "", false},
        {"*", GR_HTTP_OPTIONS, NULL, "", false},
        {"/livez", GR_HTTP_HEAD, "/livez", "", true},
        {"/v1/explain", GR_HTTP_POST, "/v1/explain", "", true},
        {"/ops/pre-aggregations", GR_HTTP_GET, "/ops/pre-aggregations", "", true},
        {"/ops/pre-aggregations/", GR_HTTP_GET, "/ops/pre-aggregations", "", true},
        {"/ops/pre-aggregations//build", GR_HTTP_POST, NULL, "", false},
        {"/ops/pre-aggregations/orders.main", GR_HTTP_DELETE, "/ops/pre-aggregations/{}", "orders.main", true},
        {"/ops/pre-aggregations/orders%2Emain/build", GR_HTTP_POST, "/ops/pre-aggregations/{}/build", "orders.main",
         true},
        {"/ops/pre-aggregations/a%2Fb/build", GR_HTTP_GET, "/ops/pre-aggregations/{}/build", "a/b", true},
        {"/ops/pre-aggregations/a/build/x", GR_HTTP_GET, NULL, "", false},
        {"/a/b/c/d/e/f/g/h/i/j", GR_HTTP_GET, NULL, "", false},
        {"/pre-aggregations/", GR_HTTP_GET, "/pre-aggregations", "", true},
        {"/pre-aggregations/orders.main/builds/", GR_HTTP_GET, "/pre-aggregations/{}/builds", "orders.main", true},
        {"/preaggs/workflows", GR_HTTP_DELETE, "/preaggs/workflows", "", true},
        {"/preaggs/workflows", GR_HTTP_GET, "/preaggs/{}", "workflows", true},
        {"/preaggs/7/workflow", GR_HTTP_DELETE, "/preaggs/{}/workflow", "7", true},
        {"/nodes/details", GR_HTTP_GET, "/nodes/details", "", true},
        {"/nodes/cube", GR_HTTP_POST, "/nodes/cube", "", true},
        {"/nodes/cube", GR_HTTP_PATCH, "/nodes/{}", "cube", true},
        {"/nodes/a/b", GR_HTTP_GET, NULL, "", false},
        {"/cubes/x/versions/v1.0", GR_HTTP_GET, "/cubes/{}/versions/{}", "x", true},
        {"/history/node/orders", GR_HTTP_GET, "/history/{}/{}", "node", true},
        {"/history/node", GR_HTTP_GET, NULL, "", false},
    };
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_http_match match;
        assert_int_equal(gr_http_route_find(gr_str_from(cases[i].path), cases[i].method, arena, &match, NULL), GR_OK);
        assert_int_equal(match.allowed != 0, cases[i].is_known);
        assert_int_equal(match.route != NULL, cases[i].want != NULL);
        if (!cases[i].want) continue;
        assert_string_equal(match.route->path, cases[i].want);
        assert_true(gr_str_eq_z(match.segments[0], cases[i].segment));
    }
    gr_http_match match;
    gr_error err = {0};
    assert_int_equal(gr_http_route_find(GR_STR("/cubes/a%20b/versions/v1.0"), GR_HTTP_GET, arena, &match, &err), GR_OK);
    assert_true(gr_str_eq_z(match.segments[0], "a b"));
    assert_true(gr_str_eq_z(match.segments[1], "v1.0"));
    assert_true(match.is_dj);
    assert_int_equal(gr_http_route_find(GR_STR("/%zz"), GR_HTTP_GET, arena, &match, &err), GR_ERR_QUERY_INVALID);
    gr_arena_free(arena);
}

/* Only health is open; everything else names a scope that tokens have, and what may wait is on a lane. */
static void test_scopes(void **state) {
    (void)state;
    static const char *scopes[] = {"data", "meta", "sql", "jobs"};
    size_t n, n_open = 0;
    const gr_http_route *routes = gr_http_routes(&n);
    for (size_t i = 0; i < n; i++) {
        if (!routes[i].scope) {
            assert_true(gr_str_ends(gr_str_from(routes[i].path), GR_STR("z")));
            assert_int_equal(routes[i].lane, GR_HTTP_INLINE);
            n_open++;
            continue;
        }
        bool is_known = false;
        for (size_t s = 0; s < 4; s++) is_known |= strcmp(scopes[s], routes[i].scope) == 0;
        assert_true(is_known);
        /* What changes something, but for the queries that come in a body, asks for more than to read. */
        bool is_read = (routes[i].methods & (GR_HTTP_GET | GR_HTTP_HEAD)) != 0;
        if (routes[i].dj) assert_string_equal(routes[i].scope, is_read ? "meta" : "jobs");
        if (gr_str_starts(gr_str_from(routes[i].path), GR_STR("/ops/"))) assert_string_equal(routes[i].scope, "jobs");
    }
    assert_int_equal(n_open, 4);
}

static void test_methods(void **state) {
    (void)state;
    assert_int_equal(gr_http_method("GET"), GR_HTTP_GET);
    assert_int_equal(gr_http_method("DELETE"), GR_HTTP_DELETE);
    assert_int_equal(gr_http_method("get"), 0);
    assert_int_equal(gr_http_method("BREW"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode), cmocka_unit_test(test_params), cmocka_unit_test(test_split),
        cmocka_unit_test(test_find),   cmocka_unit_test(test_scopes), cmocka_unit_test(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
