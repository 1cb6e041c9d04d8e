/* Limits: what is too deep, too long or too many is refused before it costs anything. */
#include "base/clock.h"
#include "query_fixture.h"

static json_t *nested(size_t depth, const char *key) {
    json_t *filter = json_pack("{s:s,s:s}", "member", "orders.status", "operator", "set");
    for (size_t i = 0; i < depth; i++) filter = json_pack("{s:[o]}", i % 2 ? key : "and", filter);
    return json_pack("{s:[s],s:[o]}", "measures", "orders.count", "filters", filter);
}

static gr_status try_json(fixture *f, json_t *json, gr_error *err) {
    gr_query *q = NULL;
    gr_arena *arena = gr_arena_new();
    *err = (gr_error){0};
    gr_status status = gr_query_parse(f->model, json, &f->options, arena, &q, err);
    assert_true(status ? q == NULL : q != NULL);
    gr_arena_free(arena);
    json_decref(json);
    return status;
}

static void depth(void **state) {
    fixture *f = *state;
    gr_error err;
    assert_int_equal(try_json(f, nested(31, "or"), &err), GR_OK);
    assert_int_equal(try_json(f, nested(32, "or"), &err), GR_OK);
    assert_int_equal(try_json(f, nested(33, "or"), &err), GR_ERR_LIMIT);
    assert_string_equal(err.message, "The filters are nested too deeply: the limit is 32 levels");
    int64_t before = gr_clock_mono_us();
    assert_int_equal(try_json(f, nested(1000, "or"), &err), GR_ERR_LIMIT);
    assert_true(gr_clock_mono_us() - before < 1000000);
    /* however the limit is set, the recursion has an end */
    f->options.max_filter_depth = SIZE_MAX;
    assert_int_equal(try_json(f, nested(64, "or"), &err), GR_OK);
    assert_int_equal(try_json(f, nested(65, "or"), &err), GR_ERR_LIMIT);
    f->options.max_filter_depth = 0;
    assert_int_equal(try_json(f, nested(0, "or"), &err), GR_OK);
    assert_int_equal(try_json(f, nested(1, "or"), &err), GR_ERR_LIMIT);
    f->options.max_filter_depth = 32;
}

static json_t *list_of(size_t n, json_t *item) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append(list, item);
    json_decref(item);
    return list;
}

static void many_members(void **state) {
    static const struct {
        const char *key, *item;
    } lists[] = {{"measures", "\"orders.count\""},
                 {"dimensions", "\"orders.status\""},
                 {"segments", "\"orders.paid\""},
                 {"timeDimensions", "\"orders.created_at\""},
                 {"filters", "{\"member\":\"orders.status\",\"operator\":\"set\"}"},
                 {"filters", "{\"or\":[]}"},
                 {"order", "[\"orders.count\",\"asc\"]"}};
    fixture *f = *state;
    gr_error err;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *item = json_loads(lists[i].item, JSON_DECODE_ANY, NULL);
        json_t *query = json_pack("{s:[s],s:o}", "measures", "orders.count", lists[i].key, list_of(10000, item));
        assert_int_equal(try_json(f, query, &err), GR_ERR_LIMIT);
        assert_non_null(strstr(err.message, "too many members"));
        assert_non_null(strstr(err.message, "500"));
    }
}

/* Counted over the lists together, duplicates and filters included. */
static void members_add_up(void **state) {
    fixture *f = *state;
    gr_error err;
    json_t *filter = json_pack("{s:s,s:s}", "member", "orders.status", "operator", "set");
    for (size_t extra = 0; extra < 2; extra++) {
        json_t *query = json_pack("{s:o,s:o,s:[{s:o}]}", "measures", list_of(200, json_string("orders.count")),
                                  "dimensions", list_of(200, json_string("orders.created_at.day")), "filters", "or",
                                  list_of(100 + extra, json_incref(filter)));
        assert_int_equal(try_json(f, query, &err), extra ? GR_ERR_LIMIT : GR_OK);
    }
    assert_string_equal(err.message, "The query has too many members: the limit is 500");
    json_decref(filter);
}

static void many_values(void **state) {
    fixture *f = *state;
    gr_error err;
    for (size_t extra = 0; extra < 2; extra++) {
        json_t *query = json_pack("{s:[s],s:[{s:s,s:s,s:o}]}", "measures", "orders.count", "filters", "member",
                                  "orders.price", "operator", "in", "values", list_of(10000 + extra, json_integer(5)));
        assert_int_equal(try_json(f, query, &err), extra ? GR_ERR_LIMIT : GR_OK);
    }
    assert_string_equal(err.message, "The filter has too many values: 10001, the limit is 10000");
}

static void default_limit_is_below_the_maximum(void **state) {
    fixture *f = *state;
    f->options.default_limit = 100;
    f->options.max_limit = 10;
    assert_int_equal(fixture_query(f, "{\"measures\":[\"orders.count\"]}")->limit, 10);
    f->options.max_limit = 1000;
    assert_int_equal(fixture_query(f, "{\"measures\":[\"orders.count\"]}")->limit, 100);
    assert_int_equal(fixture_query(f, "{\"measures\":[\"orders.count\"],\"limit\":1000}")->limit, 1000);
    f->options.default_limit = 10000;
    f->options.max_limit = 50000;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth),
        cmocka_unit_test(many_members),
        cmocka_unit_test(members_add_up),
        cmocka_unit_test(many_values),
        cmocka_unit_test(default_limit_is_below_the_maximum),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
