/* The OpenAPI document says what the routes say, and what they answer is what its schemas say; asked without a socket,
 * as the command line asks in its own process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/dj.h"
#include "http/openapi.h"
#include "http/route.h"
#include "unit/http/fake_serve.h"

#include <ctype.h>

typedef struct world {
    gr_arena *arena;
    json_t *doc;
    gr_serve *serve;
    gr_config config;
} world;

static int set_up(void **state) {
    world *w = gr_mem_calloc(1, sizeof *w);
    w->arena = gr_arena_new();
    gr_buf out;
    gr_jw jw;
    gr_error err = {0};
    gr_buf_init(&out, 10 << 20);
    gr_jw_init(&jw, &out);
    gr_http_put_openapi(&jw, w->arena);
    if (gr_json_parse(gr_buf_str(&out), 10 << 20, w->arena, &w->doc, &err)) fail_msg("%s", err.message);
    gr_buf_done(&out);
    assert_int_equal(gr_serve_open(&w->config, (gr_serve_options){0}, NULL, &w->serve, &err), GR_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    gr_serve_close(w->serve);
    gr_arena_free(w->arena);
    free(w);
    return 0;
}

/* "/cubes/{name}/x" is the pattern "/cubes/{}/x". */
static bool is_pattern(const char *path, const char *pattern) {
    while (*path && *pattern) {
        if (*path != *pattern) return false;
        if (*path == '{')
            while (path[1] != '}') path++;
        path++;
        pattern++;
    }
    return *path == *pattern;
}

static void test_routes(void **state) {
    const world *w = *state;
    size_t n, n_methods, n_wanted = 0, n_told = 0;
    const gr_http_route *routes = gr_http_routes(&n);
    const gr_http_method_name *methods = gr_http_methods(&n_methods);
    const char *path, *verb;
    json_t *paths = json_object_get(w->doc, "paths"), *item, *operation;
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < n_methods; m++) {
            if (!(routes[i].methods & methods[m].method)) continue;
            char name[16];
            for (size_t c = 0; c <= strlen(methods[m].name); c++) name[c] = (char)tolower(methods[m].name[c]);
            bool is_told = false;
            json_object_foreach(paths, path, item) if (is_pattern(path, routes[i].path)) is_told |=
                json_object_get(item, name) != NULL;
            if (!is_told) fail_msg("%s %s is not in the document", name, routes[i].path);
            n_wanted++;
        }
    json_object_foreach(paths, path, item) {
        json_object_foreach(item, verb, operation) {
            n_told++;
            assert_true(json_string_length(json_object_get(operation, "summary")) > 0);
        }
    }
    assert_int_equal(n_told, n_wanted);
}

/* ---- schemas --------------------------------------------------------------------------------- */
static const json_t *resolve(const world *w, const json_t *schema) {
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (!ref) return schema;
    const json_t *schemas = json_object_get(json_object_get(w->doc, "components"), "schemas");
    const json_t *found = json_object_get(schemas, strrchr(ref, '/') + 1);
    if (!found) fail_msg("there is no schema %s", ref);
    return found;
}

static void check_refs(const world *w, const json_t *value) {
    const char *key;
    json_t *item;
    size_t i;
    if (json_object_get(value, "$ref")) (void)resolve(w, value);
    json_object_foreach((json_t *)(uintptr_t)value, key, item) check_refs(w, item);
    json_array_foreach(value, i, item) check_refs(w, item);
}

static void test_refs(void **state) {
    const world *w = *state;
    check_refs(w, w->doc);
}

static bool fits_type(const json_t *value, const char *type) {
    return (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "null") == 0 && json_is_null(value)) || (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value));
}

static bool fits_any_type(const json_t *value, const json_t *type) {
    bool fits = json_is_string(type) && fits_type(value, json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++)
        fits |= fits_type(value, json_string_value(json_array_get(type, i)));
    return fits;
}

/* Every field is one of the schema's, and those that are always there are there. */
static void check_value(const world *w, const json_t *value, const json_t *schema, const char *where) {
    const char *key;
    json_t *item;
    size_t i;
    const json_t *one = json_object_get(schema, "oneOf");
    if (one && json_is_null(value)) return;
    if (one) schema = json_array_get(one, 0);
    schema = resolve(w, schema);
    const json_t *type = json_object_get(schema, "type"), *properties = json_object_get(schema, "properties");
    if (type && !fits_any_type(value, type)) fail_msg("%s has the wrong type", where);
    if (json_is_array(value))
        json_array_foreach(value, i, item) check_value(w, item, json_object_get(schema, "items"), where);
    if (!properties || !json_is_object(value)) return;
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        const json_t *property = json_object_get(properties, key);
        if (!property) fail_msg("%s has %s, which the document does not", where, key);
        check_value(w, item, property, key);
    }
    json_array_foreach(json_object_get(schema, "required"), i, item) {
        if (!json_object_get(value, json_string_value(item))) fail_msg("%s lacks %s", where, json_string_value(item));
    }
}

typedef struct example {
    const char *method, *target, *body, *path; /* path and method in the document */
} example;

static const example examples[] = {
    {"GET", "/pre-aggregations", "", "/pre-aggregations"},
    {"GET", "/pre-aggregations/orders.main", "", "/pre-aggregations/{id}"},
    {"GET", "/pre-aggregations/3", "", "/pre-aggregations/{id}"},
    {"GET", "/pre-aggregations/1/cubes", "", "/pre-aggregations/{id}/cubes"},
    {"GET", "/pre-aggregations/1/builds", "", "/pre-aggregations/{id}/builds"},
    {"GET", "/pre-aggregations/2/builds", "", "/pre-aggregations/{id}/builds"},
    {"GET", "/pre-aggregations/1/partitions", "", "/pre-aggregations/{id}/partitions"},
    {"GET", "/pre-aggregations/2/partitions", "", "/pre-aggregations/{id}/partitions"},
    {"GET", "/pre-aggregations/1/partitions?summary=true", "", "/pre-aggregations/{id}/partitions"},
    {"POST", "/pre-aggregations/1/partitions:refresh", "", "/pre-aggregations/{id}/partitions:refresh"},
    {"POST", "/preaggs/1/partitions:refresh", "{\"partitions\":[\"20240101\"]}", "/preaggs/{id}/partitions:refresh"},
    {"GET", "/preaggs/1/partitions", "", "/preaggs/{id}/partitions"},
    {"GET", "/pre-aggregations/1/history", "", "/pre-aggregations/{id}/history"},
    {"GET", "/pre-aggregations/1/lineage", "", "/pre-aggregations/{id}/lineage"},
    {"POST", "/pre-aggregations/2/materialize", "{\"wait\":false}", "/pre-aggregations/{id}/materialize"},
    {"DELETE", "/pre-aggregations/2", "", "/pre-aggregations/{id}"},
    {"GET", "/cubes/sales/pre-aggregations", "", "/cubes/{name}/pre-aggregations"},
    {"GET", "/nodes/orders/pre-aggregations", "", "/nodes/{name}/pre-aggregations"},
    {"GET", "/grain-groups?metrics=orders.count", "", "/grain-groups"},
    {"GET", "/cubes", "", "/cubes"},
    {"GET", "/cubes/sales", "", "/cubes/{name}"},
    {"GET", "/cubes/orders/versions/v1.0", "", "/cubes/{name}/versions/{version}"},
    {"GET", "/nodes", "", "/nodes"},
    {"GET", "/nodes/details", "", "/nodes/details"},
    {"GET", "/nodes/orders", "", "/nodes/{name}"},
    {"GET", "/nodes/sales/revisions", "", "/nodes/{name}/revisions"},
    {"POST", "/nodes/cube", "{\"name\":\"x\",\"metrics\":[\"orders.count\"]}", "/nodes/cube"},
    {"PATCH", "/nodes/sales", "{\"description\":\"x\"}", "/nodes/{name}"},
    {"DELETE", "/nodes/sales", "", "/nodes/{name}"},
    {"GET", "/history", "", "/history"},
    {"GET", "/history/node/orders", "", "/history/{entity_type}/{entity_name}"},
    {"GET", "/lineage", "", "/lineage"},
    {"GET", "/preaggs", "", "/preaggs"},
    {"GET", "/preaggs/1", "", "/preaggs/{id}"},
    {"POST", "/preaggs/plan", "{\"metrics\":[\"orders.count\"]}", "/preaggs/plan"},
    {"POST", "/preaggs/1/materialize", "", "/preaggs/{id}/materialize"},
    {"PATCH", "/preaggs/1/config", "{}", "/preaggs/{id}/config"},
    {"DELETE", "/preaggs/1/workflow", "", "/preaggs/{id}/workflow"},
    {"DELETE", "/preaggs/workflows?node_name=orders", "", "/preaggs/workflows"},
    {"POST", "/preaggs/1/backfill", "{\"start_date\":\"2024-01-01\"}", "/preaggs/{id}/backfill"},
    {"POST", "/preaggs/3/availability", "{\"catalog\":\"c\",\"table\":\"t\",\"valid_through_ts\":1}",
     "/preaggs/{id}/availability"},
    {"POST", "/import/dj-materializations", "{}", "/import/dj-materializations"},
};

static const json_t *schema_of(const world *w, const example *e, int code) {
    char verb[16], status[16];
    for (size_t c = 0; c <= strlen(e->method); c++) verb[c] = (char)tolower(e->method[c]);
    snprintf(status, sizeof status, "%d", code);
    const json_t *operation = json_object_get(json_object_get(json_object_get(w->doc, "paths"), e->path), verb);
    const json_t *responses = json_object_get(operation, "responses");
    const json_t *response = json_object_get(responses, status);
    if (!response && code >= 400) response = json_object_get(responses, "default");
    if (!response) fail_msg("%s %s: the document does not know %d", e->method, e->path, code);
    return json_object_get(json_object_get(json_object_get(response, "content"), "application/json"), "schema");
}

/* Asks in this process, and checks the answer against the document. */
static void check_example(const world *w, const example *e) {
    gr_buf out;
    gr_dj_answer answer;
    gr_error err = {0};
    json_t *json;
    gr_buf_init(&out, 1 << 20);
    gr_dj_request request = {
        .method = gr_str_from(e->method), .target = gr_str_from(e->target), .body = gr_str_from(e->body)};
    gr_status status = gr_dj_call(w->serve, &request, w->arena, &out, &answer, &err);
    assert_int_equal(status != GR_OK, answer.http_status >= 400);
    if (gr_json_parse(gr_buf_str(&out), 1 << 20, w->arena, &json, &err))
        fail_msg("%s %s: %s", e->method, e->target, err.message);
    check_value(w, json, schema_of(w, e, answer.http_status), e->target);
    gr_buf_done(&out);
}

static void test_answers(void **state) {
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) check_example(*state, &examples[i]);
}

static void test_refusals(void **state) {
    static const example bad[] = {
        {"GET", "/pre-aggregations/99", "", "/pre-aggregations/{id}"},
        {"GET", "/pre-aggregations?limit=0", "", "/pre-aggregations"},
        {"POST", "/preaggs/plan", "{", "/preaggs/plan"},
        {"POST", "/preaggs/plan", "{\"metrics\":[\"orders.nothing\"]}", "/preaggs/plan"},
        {"GET", "/preaggs/x", "", "/preaggs/{id}"},
        {"POST", "/pre-aggregations/1/partitions:refresh", "{\"partition\":[\"20240101\"]}",
         "/pre-aggregations/{id}/partitions:refresh"},
        {"POST", "/pre-aggregations/1/partitions:refresh", "{\"partitions\":[\"19000101\"]}",
         "/pre-aggregations/{id}/partitions:refresh"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check_example(*state, &bad[i]);
}

/* What the command line makes of an answer that it got over HTTP is what it would have got in its own process. */
static void test_errors_read(void **state) {
    const world *w = *state;
    static const char *const targets[][2] = {{"GET", "/pre-aggregations/99"}, {"DELETE", "/pre-aggregations/1"},
                                             {"GET", "/preaggs/x"},           {"GET", "/pre-aggregations?limit=0"},
                                             {"GET", "/no/such/route"},       {"GET", "/livez"},
                                             {"BREW", "/pre-aggregations"},   {"GET", "/lineage?x=%zz"}};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        gr_buf out;
        gr_dj_answer answer;
        gr_error here = {0}, there = {0};
        json_t *json;
        gr_buf_init(&out, 1 << 20);
        gr_dj_request request = {.method = gr_str_from(targets[i][0]), .target = gr_str_from(targets[i][1])};
        gr_status status = gr_dj_call(w->serve, &request, w->arena, &out, &answer, &here);
        assert_int_not_equal(status, GR_OK);
        assert_int_equal(gr_json_parse(gr_buf_str(&out), 1 << 20, w->arena, &json, &there), GR_OK);
        assert_int_equal(gr_dj_error_read(json, answer.http_status, &there), status);
        assert_string_equal(here.message, there.message);
        assert_string_equal(here.hint, there.hint);
        gr_buf_done(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),   cmocka_unit_test(test_refs),        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_errors_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
