/* Requests of several queries: what is answered, when the parts run, and what one part does to the others. */
#include "unit/http/server_fixture.h"

#define WAIT_TEXT "{\"error\":\"Continue wait\"}"
#define TIME "\"timeDimensions\":[{\"dimension\":\"orders.at\",\"granularity\":\"day\"}]"
/* A query of the model that plays {…}, written with ' for ". */
#define PART(play)                                                                                                     \
    "{\"measures\":[\"orders.count\"]," TIME                                                                           \
    ",\"filters\":[{\"member\":\"orders.play\",\"operator\":\"equals\",\"values\":[\"" play "\"]}]}"
#define MULTI(query) "{\"queryType\":\"multi\",\"query\":" query "}"
#define PLAY(key, value) "{\\\"" key "\\\":" value "}"
#define TEXT(text) "\\\"" text "\\\""
#define ROWS(n) PART(PLAY("rows", n))
#define COMPARE                                                                                                        \
    "{\"measures\":[\"orders.count\"],\"timeDimensions\":[{\"dimension\":\"orders.at\",\"compareDateRange\":["         \
    "[\"2024-01-01\",\"2024-01-02\"],[\"2023-01-01\",\"2023-01-02\"]]}]}"

static door multi_open(int64_t window_ms) {
    gr_config config = fake_config();
    config.continue_wait_ms = window_ms;
    config.default_limit = config.max_limit = 100;
    config.max_members = config.max_filter_values = 100;
    config.max_filter_depth = 10;
    door d = door_open(config, 0);
    fake_load_model(d.serve);
    return d;
}

static void test_shapes(void **state) {
    (void)state;
    door d = multi_open(10000);
    expect(&d, POST_LOAD, MULTI("[" ROWS("1") "," ROWS("2") "]"), 200,
           "\"data\":[{\"orders.at.day\":\"0\",\"orders.at\":\"0\",\"orders.count\":\"0\",\"time.day\":\"0\"}]},{"
           "\"query\"");
    expect(&d, POST_LOAD, MULTI("[" ROWS("1") "," ROWS("0") "]"), 200,
           "\"data\":[]}],\"pivotQuery\":{\"measures\":[\"orders.count\"],\"dimensions\":[],\"timeDimensions\":[{"
           "\"dimension\":\"time\",\"granularity\":\"day\"}],\"queryType\":\"blendingQuery\"},\"slowQuery\":false}");
    expect(&d, POST_LOAD, MULTI(COMPARE), 200,
           "{\"queryType\":\"compareDateRangeQuery\",\"results\":[{\"query\":{\"measures\":[\"orders.count\"]");
    expect(&d, POST_LOAD, MULTI(COMPARE), 200,
           "{\"orders.count\":\"0\",\"compareDateRange\":\"2023-01-01T00:00:00.000 - 2023-01-02T23:59:59.999\"}]}]");
    reply r = client_call(d.port, POST_LOAD, MULTI(COMPARE));
    assert_true(gr_str_eq_z(reply_header(&r, "x-granary-served-by"), "source"));
    assert_true(gr_str_starts(reply_header(&r, "x-granary-timing"), GR_STR("plan=22, engine=44, total=")));
    reply_done(&r);
    expect(&d, "POST /cubejs-api/v1/sql HTTP/1.1", MULTI(COMPARE), 200, "[{\"sql\":{\"sql\":[\"SELECT 1\",[]]");
    expect(&d, "POST /cubejs-api/v1/sql HTTP/1.1", "{\"query\":[" ROWS("1") "]}", 200,
           "=[{\"sql\":{\"sql\":[\"SELECT "
           "1\",[]],\"order\":[{\"id\":\"orders.at\",\"desc\":false}],\"external\":false,\"preAggregations\":[],"
           "\"aliasNameToMember\":{\"orders__at_day\":\"orders.at.day\",\"orders__count\":\"orders.count\"},"
           "\"dataSource\":\"default\",\"rollupMatchResults\":[]},\"dataSource\":\"default\"}]");
    expect(&d, "POST /cubejs-api/v1/dry-run HTTP/1.1", "{\"query\":" COMPARE "}", 200,
           "{\"queryType\":\"compareDateRangeQuery\",\"normalizedQueries\":[{");
    door_close(&d);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *body, *text;
        int status;
    } rows[] = {
        {"{\"query\":" COMPARE "}",
         "\"error\":\"'compareDateRangeQuery' query type is not supported by the client.Please update the client.\"",
         400},
        {"{\"query\":[" ROWS("1") "],\"queryType\":\"one\"}",
         "\"error\":\"'blendingQuery' query type is not supported by the client.Please update the client.\"", 400},
        {MULTI("[]"), "\"error\":\"Data blending query without granularity is not supported\"", 400},
        {MULTI("[" ROWS("1") ",{\"measures\":[\"orders.nothing\"]}]"), "\"id\":\"query.unknown_member\"", 400},
        {MULTI("[" ROWS("1") "," PART(PLAY("fail", TEXT("plan.no_join_path"))) "]"), "\"id\":\"plan.no_join_path\"",
         400},
    };
    door d = multi_open(10000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(&d, POST_LOAD, rows[i].body, rows[i].status, rows[i].text);
    assert_int_equal(atomic_load(&d.serve->n_queries), 0); /* nothing ran for what is bad */
    /* a part that fails when it runs fails the whole */
    expect(&d, POST_LOAD, MULTI("[" ROWS("3") "," PART(PLAY("fail_late", TEXT("engine.data"))) "," ROWS("1") "]"), 400,
           "{\"error\":\"it broke: \\\"engine.data\\\"\",\"id\":\"engine.data\"");
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    door_close(&d);
}

/* Two builds are missing: the request waits for one after the other, and no part runs meanwhile. */
static void test_builds(void **state) {
    (void)state;
    door d = multi_open(10000);
    int fd = client_connect(d.port);
    client_write(fd, POST_LOAD,
                 MULTI("[" ROWS("1") "," PART(PLAY("wait", TEXT("a"))) "," PART(PLAY("wait", TEXT("b"))) "]"));
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"parked\":1");
    assert_int_equal(atomic_load(&d.serve->n_queries), 1);
    fake_build_end(d.serve, "a", GR_OK);
    assert_true(eventually(&d.serve->n_queries, 2));
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"parked\":1");
    fake_build_end(d.serve, "b", GR_OK);
    reply r = client_read(fd, false);
    assert_int_equal(r.status, 200);
    assert_true(gr_str_starts(gr_buf_str(&r.body), GR_STR("{\"queryType\":\"blendingQuery\",\"results\":[{")));
    reply_done(&r);
    close(fd);
    assert_int_equal(atomic_load(&d.serve->n_queries), 5);
    door_close(&d);
}

static void test_continue_wait(void **state) {
    (void)state;
    door d = multi_open(60);
    const char *body = MULTI("[" ROWS("1") "," PART(PLAY("wait", TEXT("a"))) "]");
    for (int i = 0; i < 2; i++) expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT);
    fake_build_end(d.serve, "a", GR_OK);
    expect(&d, POST_LOAD, body, 200, "\"pivotQuery\"");
    assert_int_equal(atomic_load(&d.serve->n_queries), 4);
    door_close(&d);
}

/* The parts together outlast the window: they go on, each once, and the poll gets the whole. */
static void test_slow_parts(void **state) {
    (void)state;
    door d = multi_open(100);
    const char *body = MULTI("[" PART(PLAY("sleep_ms", "150")) "," PART(PLAY("sleep_ms", "150")) "]");
    int waits = 0;
    reply r = client_call(d.port, POST_LOAD, body);
    for (; gr_str_eq_z(gr_buf_str(&r.body), WAIT_TEXT) && waits < 100; waits++) {
        reply_done(&r);
        r = client_call(d.port, POST_LOAD, body);
    }
    assert_true(waits >= 1);
    assert_true(gr_str_ends(gr_buf_str(&r.body), GR_STR("\"slowQuery\":false}")));
    reply_done(&r);
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    door_close(&d);
}

/* The client leaves while the first part runs: the second never does. */
static void test_client_leaves(void **state) {
    (void)state;
    door d = multi_open(10000);
    int fd = client_connect(d.port);
    client_write(fd, POST_LOAD, MULTI("[" PART(PLAY("sleep_ms", "20000")) "," ROWS("1") "]"));
    assert_true(eventually(&d.serve->n_running, 1));
    close(fd);
    assert_true(eventually(&d.serve->n_cancelled, 1));
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"open_requests\":1");
    assert_int_equal(atomic_load(&d.serve->n_queries), 1);
    door_close(&d);
}

/* The limit on the answer is for all parts together. */
static void test_large(void **state) {
    (void)state;
    gr_config config = fake_config();
    config.default_limit = config.max_limit = config.max_members = config.max_filter_values = 100;
    config.max_filter_depth = 10;
    door d = door_open(config, 20000);
    fake_load_model(d.serve);
    expect(&d, POST_LOAD, MULTI("[" ROWS("100") "]"), 200, "\"pivotQuery\"");
    expect(&d, POST_LOAD, MULTI("[" ROWS("100") "," ROWS("100") "," ROWS("100") "," ROWS("100") "]"), 400,
           "\"id\":\"limit.exceeded\"");
    door_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_refused),    cmocka_unit_test(test_builds),
        cmocka_unit_test(test_continue_wait), cmocka_unit_test(test_slow_parts), cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
