/* Labels of metrics, and counting of requests by many threads at once. */
#include "http/internal.h"
#include "http/metrics.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_escape(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},          {"a b", "a b"},   {"\\", "\\\\"},          {"a\"b", "a\\\"b"},
        {"x\ny", "x\\ny"}, {"\\n", "\\\\n"}, {"\xC3\xA9", "\xC3\xA9"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_buf out;
        gr_buf_init(&out, 100);
        gr_http_metrics_escape(&out, gr_str_from(cases[i][0]));
        if (!gr_str_eq_z(gr_buf_str(&out), cases[i][1])) fail_msg("%s", cases[i][0]);
        gr_buf_done(&out);
    }
}

static void test_groups(void **state) {
    (void)state;
    gr_http_seen seen = {0};
    gr_http_seen_init(&seen);
    size_t n;
    const gr_http_route *routes = gr_http_routes(&n);
    static const struct {
        const char *path, *group;
    } cases[] = {{"/cubejs-api/v1/load", "load"},
                 {"/v1/explain", "plan"},
                 {"/readyz", "health"},
                 {"/ops/metrics", "ops"},
                 {"/preaggs/{}", "entities"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        size_t i = 0;
        while (i < n && strcmp(routes[i].path, cases[k].path) != 0) i++;
        assert_true(i < n);
        assert_true(gr_str_eq_z(gr_http_group_name(seen.groups[i]), cases[k].group));
    }
    assert_int_equal(seen.groups[n], GR_HTTP_GROUP_NONE);
    size_t n_methods;
    (void)gr_http_methods(&n_methods);
    assert_int_equal(n_methods + 1, GR_HTTP_METHODS);
    gr_http_seen_done(&seen);
}

enum { THREADS = 4, TIMES = 50000 };

static void *count(void *arg) {
    gr_http_seen *seen = arg;
    size_t n;
    const gr_http_route *routes = gr_http_routes(&n);
    for (int i = 0; i < TIMES; i++) {
        gr_http_seen_add(seen, &routes[0], GR_HTTP_POST, 200, i % 2 ? 500 : 501);
        gr_http_seen_add(seen, NULL, 0, i % 2 ? 404 : 1000, -1);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    gr_http_seen seen = {0};
    gr_http_seen_init(&seen);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, count, &seen), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    const gr_histogram *load = &seen.durations[GR_HTTP_GROUP_LOAD], *none = &seen.durations[GR_HTTP_GROUP_NONE];
    assert_int_equal(load->counts[0], THREADS * TIMES / 2); /* a bound belongs to its bucket */
    assert_int_equal(load->counts[1], THREADS * TIMES / 2);
    assert_int_equal(load->sum_us, THREADS * (TIMES / 2) * INT64_C(1001));
    assert_int_equal(none->counts[0], THREADS * TIMES);
    assert_int_equal(none->sum_us, 0);
    uint64_t all = 0;
    for (size_t m = 0; m < GR_HTTP_METHODS; m++) all += seen.requests[0][m][1];
    assert_int_equal(all, THREADS * TIMES);
    assert_int_equal(seen.requests[seen.n_routes][GR_HTTP_METHODS - 1][3], THREADS * TIMES / 2);
    assert_int_equal(seen.requests[seen.n_routes][GR_HTTP_METHODS - 1][4], THREADS * TIMES / 2);
    gr_http_seen_done(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escape), cmocka_unit_test(test_groups),
                                       cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
