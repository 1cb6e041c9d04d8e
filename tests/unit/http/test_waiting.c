/* Requests that wait, leave, crowd and are still there when the server stops. */
#include "unit/http/server_fixture.h"

enum { CROWD = 100 };

/* A hundred requests wait for one build on two workers: they hold none of them, and all are answered when it ends. */
static void test_crowd_waits(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    int fds[CROWD];
    for (int i = 0; i < CROWD; i++) {
        fds[i] = client_connect(d.port);
        client_write(fds[i], POST_LOAD, "{\"query\":{\"wait\":\"w\",\"rows\":1}}");
    }
    assert_true(eventually(&d.serve->n_queries, CROWD));
    expect(&d, "GET /livez HTTP/1.1", NULL, 200, NULL);
    expect(&d, POST_LOAD, "{\"query\":{\"rows\":1}}", 200, "\"data\"");
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"busy_workers\":0,\"queued\":0,\"parked\":100");
    fake_build_end(d.serve, "w", GR_OK);
    for (int i = 0; i < CROWD; i++) {
        reply r = client_read(fds[i], false);
        assert_int_equal(r.status, 200);
        assert_true(gr_str_ends(gr_buf_str(&r.body), GR_STR("\"data\":[{\"orders.count\":\"0\"}]}")));
        reply_done(&r);
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&d.serve->n_queries), 2 * CROWD + 1);
    door_close(&d);
}

static void test_continue_wait(void **state) {
    (void)state;
    gr_config config = fake_config();
    config.continue_wait_ms = 50;
    door d = door_open(config, 0);
    expect(&d, POST_LOAD, "{\"query\":{\"wait\":\"w\"}}", 200, "={\"error\":\"Continue wait\"}");
    expect(&d, POST_LOAD, "{\"query\":{\"wait\":\"w\"},\"queryType\":\"multi\"}", 200,
           "={\"error\":\"Continue wait\"}");
    fake_build_end(d.serve, "w", GR_OK);
    expect(&d, POST_LOAD, "{\"query\":{\"wait\":\"w\"}}", 200, "\"data\"");
    expect(&d, "GET /ops/status HTTP/1.1", NULL, 200, "\"continue_wait\":2");
    door_close(&d);
}

/* Builds that end just when the wait does: every request gets exactly one answer. */
static void test_photo_finish(void **state) {
    (void)state;
    gr_config config = fake_config();
    config.continue_wait_ms = 30;
    door d = door_open(config, 0);
    for (int round = 0; round < 10; round++) {
        int fds[16];
        char name[16], body[64];
        snprintf(name, sizeof name, "w%d", round);
        snprintf(body, sizeof body, "{\"query\":{\"wait\":\"%s\"}}", name);
        for (int i = 0; i < 16; i++) {
            fds[i] = client_connect(d.port);
            client_write(fds[i], POST_LOAD, body);
        }
        sleep_ms(26 + round);
        fake_build_end(d.serve, name, GR_OK);
        for (int i = 0; i < 16; i++) {
            reply r = client_read(fds[i], false);
            gr_str text = gr_buf_str(&r.body);
            assert_int_equal(r.status, 200);
            assert_true(gr_str_eq_z(text, "{\"error\":\"Continue wait\"}") ||
                        gr_str_find_str(text, GR_STR("\"data\"")) != SIZE_MAX);
            reply_done(&r);
            close(fds[i]);
        }
    }
    door_close(&d);
}

static void test_busy(void **state) {
    (void)state;
    gr_config config = fake_config();
    config.workers = 1;
    config.queue_max = 1;
    door d = door_open(config, 0);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect(d.port);
        client_write(fds[i], POST_LOAD, "{\"query\":{\"sleep_ms\":700}}");
        if (i == 0) assert_true(eventually(&d.serve->n_running, 1));
        sleep_ms(50);
    }
    reply r = client_call(d.port, POST_LOAD, "{\"query\":{}}");
    assert_int_equal(r.status, 503);
    assert_true(gr_str_eq_z(reply_header(&r, "Retry-After"), "1"));
    assert_true(gr_str_find_str(gr_buf_str(&r.body), GR_STR("\"id\":\"http.busy\"")) != SIZE_MAX);
    reply_done(&r);
    expect(&d, "GET /livez HTTP/1.1", NULL, 200, NULL);
    expect(&d, "GET /cubejs-api/v1/meta HTTP/1.1", NULL, 200, NULL); /* has a lane of its own */
    for (int i = 0; i < 2; i++) {
        r = client_read(fds[i], false);
        assert_int_equal(r.status, 200);
        reply_done(&r);
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&d.serve->most_running), 1);
    door_close(&d);
}

static void test_client_leaves(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    int running = client_connect(d.port), parked = client_connect(d.port);
    client_write(running, POST_LOAD, "{\"query\":{\"sleep_ms\":20000}}");
    client_write(parked, POST_LOAD, "{\"query\":{\"wait\":\"w\"}}");
    assert_true(eventually(&d.serve->n_queries, 2));
    assert_true(eventually(&d.serve->n_running, 1));
    close(running);
    close(parked);
    assert_true(eventually(&d.serve->n_cancelled, 1));
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"parked\":0,\"open_requests\":1");
    fake_build_end(d.serve, "w", GR_OK); /* nobody is told */
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    door_close(&d);
}

static void *stop_it(void *arg) {
    gr_http_stop(arg);
    return NULL;
}

/* What runs may end; what comes meanwhile on an open connection is turned away; then the port is closed. */
static void test_drain(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    int idle = client_connect(d.port), running = client_connect(d.port);
    client_write(idle, "GET /readyz HTTP/1.1", NULL);
    reply r = client_read(idle, false);
    assert_int_equal(r.status, 200);
    reply_done(&r);
    client_write(running, POST_LOAD, "{\"query\":{\"sleep_ms\":600}}");
    assert_true(eventually(&d.serve->n_running, 1));
    pthread_t thread;
    pthread_create(&thread, NULL, stop_it, d.http);
    sleep_ms(150);
    client_write(idle, POST_LOAD, "{\"query\":{}}");
    r = client_read(idle, false);
    assert_int_equal(r.status, 503);
    assert_true(gr_str_find_str(gr_buf_str(&r.body), GR_STR("stopping")) != SIZE_MAX);
    reply_done(&r);
    client_write(idle, "GET /readyz HTTP/1.1", NULL);
    r = client_read(idle, false);
    assert_int_equal(r.status, 500);
    assert_true(gr_str_eq_z(gr_buf_str(&r.body), "{\"health\":\"DOWN\"}"));
    reply_done(&r);
    assert_int_equal(client_connect(d.port), -1);
    r = client_read(running, false);
    assert_int_equal(r.status, 200);
    reply_done(&r);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&d.serve->n_cancelled), 0);
    close(idle);
    close(running);
    gr_serve_close(d.serve);
}

/* What does not end in time is cancelled, and still answered. */
static void test_drain_cancels(void **state) {
    (void)state;
    gr_config config = fake_config();
    config.drain_ms = 100;
    door d = door_open(config, 0);
    static const char *bodies[] = {"{\"query\":{\"sleep_ms\":30000}}", "{\"query\":{\"wait\":\"w\"}}"};
    int fds[3];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect(d.port);
        client_write(fds[i], POST_LOAD, bodies[i]);
    }
    fds[2] = client_connect(d.port);
    client_write(fds[2], "POST /ops/pre-aggregations/orders.main/build HTTP/1.1\r\nAccept: text/event-stream",
                 "{\"force\":true}");
    assert_true(eventually(&d.serve->n_running, 1));
    assert_true(eventually(&d.serve->n_queries, 2));
    assert_true(eventually(&d.serve->n_builds, 1));
    sleep_ms(50);
    int64_t start = gr_clock_mono_us();
    gr_http_stop(d.http);
    assert_true(gr_clock_mono_us() - start < 5000000);
    static const int want[] = {400, 503, 200};
    static const char *texts[] = {"cancelled", "stopping", "event: progress"};
    for (int i = 0; i < 3; i++) {
        reply r = client_read(fds[i], false);
        assert_int_equal(r.status, want[i]);
        assert_true(gr_str_find_str(gr_buf_str(&r.body), gr_str_from(texts[i])) != SIZE_MAX);
        reply_done(&r);
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&d.serve->n_cancelled), 1);
    gr_serve_close(d.serve);
}

int main(void) {
    gr_log_setup(GR_LOG_OFF, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd_waits),   cmocka_unit_test(test_continue_wait), cmocka_unit_test(test_photo_finish),
        cmocka_unit_test(test_busy),          cmocka_unit_test(test_client_leaves), cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
