/* Loads that outlast the wait window: they go on without their client, and whoever asks the same gets their answer. */
#include "unit/http/server_fixture.h"

#define WAIT_TEXT "{\"error\":\"Continue wait\"}"
#define GET_LOAD "GET /cubejs-api/v1/load?query="

enum { WINDOW_MS = 100 };

static gr_config slow_config(void) {
    gr_config config = fake_config();
    config.continue_wait_ms = WINDOW_MS;
    return config;
}

static bool is_wait(const reply *r) { return r->status == 200 && gr_str_eq_z(gr_buf_str(&r->body), WAIT_TEXT); }
static bool has(const reply *r, const char *text) {
    return gr_str_find_str(gr_buf_str(&r->body), gr_str_from(text)) != SIZE_MAX;
}

/* Ask until it is answered otherwise. */
static reply poll_until(uint16_t port, const char *request, const char *body, int *ret_waits) {
    for (int waits = 0;; waits++) {
        reply r = client_call(port, request, body);
        if (!is_wait(&r) || waits == 200) {
            if (ret_waits) *ret_waits = waits;
            return r;
        }
        reply_done(&r);
    }
}

/* ---- what is the same request ---------------------------------------------------------------- */
typedef struct same_case {
    const char *request, *body, *request2, *body2;
    bool is_same;
} same_case;

#define LOAD "POST /cubejs-api/v1/load"
#define Q "{\"query\":{\"sleep_ms\":600,\"key\":\"a b\"}}"
static const same_case same_cases[] = {
    {LOAD " HTTP/1.1", Q, LOAD " HTTP/1.1", Q, true},
    {LOAD " HTTP/1.1", Q, LOAD "/ HTTP/1.1\r\nx-request-id: other-span-2", Q, true},
    {LOAD " HTTP/1.1", Q, LOAD "?nonce=7 HTTP/1.1", " { \"query\" :\n{\"sleep_ms\" : 600, \"key\":\t\"a b\"}\r\n} ",
     true},
    {LOAD "?explain=1 HTTP/1.1", Q, LOAD "?explain=true HTTP/1.1", Q, true},
    {LOAD "?explain=1 HTTP/1.1", Q, LOAD " HTTP/1.1", Q, false},
    {LOAD "?without_rollups=1 HTTP/1.1", Q, LOAD " HTTP/1.1", Q, false},
    {LOAD " HTTP/1.1", Q, LOAD " HTTP/1.1", "{\"query\":{\"sleep_ms\":600,\"key\":\"a  b\"}}", false},
    {LOAD " HTTP/1.1", Q, LOAD " HTTP/1.1", "{\"query\":{\"sleep_ms\":600,\"key\":\"a b\"},\"queryType\":\"multi\"}",
     false},
    {LOAD " HTTP/1.1\r\nAuthorization: one", Q, LOAD " HTTP/1.1\r\nAuthorization: one", Q, true},
    {LOAD " HTTP/1.1\r\nAuthorization: one", Q, LOAD " HTTP/1.1\r\nAuthorization: two", Q, false},
    {LOAD " HTTP/1.1\r\nAuthorization: one", Q, LOAD " HTTP/1.1", Q, false},
    {LOAD " HTTP/1.1\r\nAuthorization: one", Q, LOAD " HTTP/1.1\r\nx-cube-authorization: one", Q, true},
    {LOAD " HTTP/1.1", "{\"query\":{\"sleep_ms\":600},\"cache\":\"no-cache\"}", LOAD " HTTP/1.1",
     "{\"query\":{\"sleep_ms\":600},\"cache\":\"no-cache\"}", true},
    {GET_LOAD "{%22sleep_ms%22:600} HTTP/1.1", NULL, GET_LOAD "{%22sleep_ms%22:%20600} HTTP/1.1", NULL, true},
    {GET_LOAD "{%22sleep_ms%22:600} HTTP/1.1", NULL, GET_LOAD "{%22sleep_ms%22:600}&queryType=multi HTTP/1.1", NULL,
     false},
    {GET_LOAD "{%22sleep_ms%22:600} HTTP/1.1", NULL, GET_LOAD "{%22sleep_ms%22:600}&cache=no-cache HTTP/1.1", NULL,
     false},
};

static void test_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof same_cases / sizeof *same_cases; i++) {
        const same_case *c = &same_cases[i];
        door d = door_open(slow_config(), 0);
        expect(&d, c->request, c->body, 200, "=" WAIT_TEXT);
        reply r = client_call(d.port, c->request2, c->body2);
        assert_true(is_wait(&r));
        reply_done(&r);
        if (atomic_load(&d.serve->n_queries) != (c->is_same ? 1 : 2))
            fail_msg("case %zu: %d queries", i, atomic_load(&d.serve->n_queries));
        r = poll_until(d.port, c->request, c->body, NULL);
        assert_int_equal(r.status, 200);
        assert_true(has(&r, "\"data\""));
        reply_done(&r);
        door_close(&d);
    }
}

/* ---- the answer ------------------------------------------------------------------------------ */
static void test_slow_answer(void **state) {
    (void)state;
    door d = door_open(slow_config(), 0);
    const char *body = "{\"query\":{\"sleep_ms\":450,\"rows\":3}}";
    int waits = 0;
    int64_t start = gr_clock_mono_us();
    reply r = poll_until(d.port, POST_LOAD "\r\nx-request-id: mine", body, &waits);
    assert_true(gr_clock_mono_us() - start >= 450000);
    assert_true(waits >= 1 && waits <= 8);
    assert_int_equal(r.status, 200);
    assert_true(has(&r, "\"data\":[{\"orders.count\":\"0\"},{\"orders.count\":\"1\"},{\"orders.count\":\"2\"}]"));
    assert_true(gr_str_eq_z(reply_header(&r, "x-request-id"), "mine"));
    assert_true(gr_str_eq_z(reply_header(&r, "x-granary-served-by"), "source"));
    assert_true(gr_str_starts(reply_header(&r, "x-granary-timing"), GR_STR("plan=11, engine=22, total=")));
    reply_done(&r);
    assert_int_equal(atomic_load(&d.serve->n_queries), 1);
    expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT); /* it was taken: this one is new */
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    door_close(&d);
}

/* Ended between two polls: the answer is kept for the next, and once. */
static void test_answer_is_kept(void **state) {
    (void)state;
    door d = door_open_with(slow_config(), (gr_http_options){.keep_ms = 700});
    const char *body = "{\"query\":{\"sleep_ms\":200}}";
    for (int round = 0; round < 2; round++) {
        expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT);
        expect_soon(&d, "GET /ops/status HTTP/1.1", "\"detached\":0");
        if (round) sleep_ms(1000); /* fetched too late: asked anew */
        expect(&d, POST_LOAD, body, 200, round ? "=" WAIT_TEXT : "\"data\"");
        assert_int_equal(atomic_load(&d.serve->n_queries), round ? 3 : 1);
    }
    door_close(&d);
}

static void test_slow_error(void **state) {
    (void)state;
    door d = door_open(slow_config(), 0);
    const char *body = "{\"query\":{\"sleep_ms\":300,\"fail_late\":\"engine.sql\"}}";
    int waits = 0;
    reply r = poll_until(d.port, POST_LOAD, body, &waits);
    assert_true(waits >= 1);
    assert_int_equal(r.status, 400);
    assert_true(has(&r, "it broke"));
    assert_int_equal(reply_header(&r, "x-granary-timing").n, 0);
    reply_done(&r);
    assert_int_equal(atomic_load(&d.serve->n_queries), 1);
    door_close(&d);
}

/* The slow run finds out that it needs a build: those who wait for it wait for the build. */
static void test_slow_then_build(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.continue_wait_ms = 250;
    door d = door_open(config, 0);
    const char *body = "{\"query\":{\"sleep_first_ms\":400,\"wait\":\"w\"}}";
    expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT);
    int fd = client_connect(d.port);
    client_write(fd, POST_LOAD, body);
    assert_true(eventually(&d.serve->n_queries, 2));
    fake_build_end(d.serve, "w", GR_OK);
    reply r = client_read(fd, false);
    close(fd);
    assert_true(is_wait(&r) || has(&r, "\"data\""));
    reply_done(&r);
    r = poll_until(d.port, POST_LOAD, body, NULL);
    assert_true(has(&r, "\"data\""));
    reply_done(&r);
    door_close(&d);
}

/* ---- many ------------------------------------------------------------------------------------ */
typedef struct poller {
    pthread_t thread;
    uint16_t port;
    const char *body;
    int status;
    bool has_data;
} poller;

static void *poll_it(void *arg) {
    poller *p = arg;
    reply r = poll_until(p->port, POST_LOAD, p->body, NULL);
    p->status = r.status;
    p->has_data = has(&r, "\"data\"");
    reply_done(&r);
    return NULL;
}

static void run_pollers(poller *pollers, size_t n, uint16_t port, const char *body) {
    for (size_t i = 0; i < n; i++) {
        pollers[i] = (poller){.port = port, .body = body};
        pthread_create(&pollers[i].thread, NULL, poll_it, &pollers[i]);
    }
    for (size_t i = 0; i < n; i++) {
        pthread_join(pollers[i].thread, NULL);
        assert_int_equal(pollers[i].status, 200);
        assert_true(pollers[i].has_data);
    }
}

static void test_ten_pollers(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.workers = 1; /* that the query keeps: pollers hold none */
    door d = door_open(config, 0);
    const char *body = "{\"query\":{\"sleep_ms\":900,\"rows\":5000}}";
    expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT);
    poller pollers[11];
    run_pollers(pollers, 10, d.port, body);
    assert_int_equal(atomic_load(&d.serve->n_queries), 1);
    expect(&d, "GET /ops/status HTTP/1.1", NULL, 200, "\"detached\":0");
    door_close(&d);
}

/* All at once, so that each runs its own at first: at the window's end one run is left. */
static void test_ten_at_once(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.workers = 10;
    door d = door_open(config, 0);
    poller pollers[10];
    run_pollers(pollers, 10, d.port, "{\"query\":{\"sleep_ms\":900}}");
    assert_int_equal(atomic_load(&d.serve->n_queries), 10);
    assert_int_equal(atomic_load(&d.serve->n_cancelled), 9);
    door_close(&d);
}

/* One that waits for a worker all through its window keeps its place in the queue. */
static void test_queued(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.workers = 1;
    door d = door_open(config, 0);
    const char *bodies[] = {"{\"query\":{\"sleep_ms\":900}}", "{\"query\":{\"rows\":2}}"};
    for (int i = 0; i < 2; i++) expect(&d, POST_LOAD, bodies[i], 200, "=" WAIT_TEXT);
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"queued\":1,\"parked\":0,\"open_requests\":1,\"detached\":2");
    for (int i = 1; i >= 0; i--) {
        reply r = poll_until(d.port, POST_LOAD, bodies[i], NULL);
        assert_true(has(&r, "\"data\""));
        reply_done(&r);
    }
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    door_close(&d);
}

/* No room in the table: the request goes on, and is answered when it ends. */
static void test_full(void **state) {
    (void)state;
    door d = door_open_with(slow_config(), (gr_http_options){.max_runs = 1});
    expect(&d, POST_LOAD, "{\"query\":{\"sleep_ms\":2000}}", 200, "=" WAIT_TEXT);
    int64_t start = gr_clock_mono_us();
    expect(&d, POST_LOAD, "{\"query\":{\"sleep_ms\":500}}", 200, "\"data\"");
    assert_true(gr_clock_mono_us() - start >= 500000);
    door_close(&d);
}

/* Answers that nobody has fetched give way to newer ones when they are too large together. */
static void test_bytes(void **state) {
    (void)state;
    door d = door_open_with(slow_config(), (gr_http_options){.max_run_bytes = 100000});
    const char *bodies[] = {"{\"query\":{\"sleep_ms\":300,\"rows\":3000}}",
                            "{\"query\":{\"sleep_ms\":350,\"rows\":3000}}"};
    for (int i = 0; i < 2; i++) expect(&d, POST_LOAD, bodies[i], 200, "=" WAIT_TEXT);
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"detached\":0");
    expect(&d, POST_LOAD, bodies[1], 200, "\"data\"");
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    expect(&d, POST_LOAD, bodies[0], 200, "=" WAIT_TEXT);
    assert_int_equal(atomic_load(&d.serve->n_queries), 3);
    door_close(&d);
}

/* ---- leaving and stopping -------------------------------------------------------------------- */
static void test_leaves_early(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.continue_wait_ms = 3000;
    door d = door_open(config, 0);
    int fd = client_connect(d.port);
    client_write(fd, POST_LOAD, "{\"query\":{\"sleep_ms\":20000}}");
    assert_true(eventually(&d.serve->n_running, 1));
    close(fd);
    assert_true(eventually(&d.serve->n_cancelled, 1));
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"open_requests\":1,\"detached\":0");
    door_close(&d);
}

static void test_orphan(void **state) {
    (void)state;
    door d = door_open_with(slow_config(), (gr_http_options){.orphan_ms = 500});
    const char *body = "{\"query\":{\"sleep_ms\":20000}}";
    int64_t end = gr_clock_mono_us() + 1200000;
    while (gr_clock_mono_us() < end) expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT);
    assert_int_equal(atomic_load(&d.serve->n_cancelled), 0); /* polled for, it goes on */
    int fd = client_connect(d.port);
    client_write(fd, POST_LOAD, body);
    sleep_ms(30);
    close(fd); /* a poller that leaves cancels nothing */
    sleep_ms(200);
    assert_int_equal(atomic_load(&d.serve->n_cancelled), 0);
    assert_true(eventually(&d.serve->n_cancelled, 1));
    assert_int_equal(atomic_load(&d.serve->n_queries), 1);
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"detached\":0");
    expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT); /* anew, and not "cancelled" */
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    door_close(&d);
}

static void test_stop_detached(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.drain_ms = 300;
    config.continue_wait_ms = 200;
    door d = door_open(config, 0);
    static const char *bodies[] = {"{\"query\":{\"sleep_ms\":30000}}", "{\"query\":{\"sleep_ms\":30001}}"};
    for (int i = 0; i < 2; i++) expect(&d, POST_LOAD, bodies[i], 200, "=" WAIT_TEXT);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_connect(d.port);
        client_write(fds[i], POST_LOAD, bodies[0]);
    }
    expect_soon(&d, "GET /ops/status HTTP/1.1", "\"open_requests\":3,\"detached\":2");
    int64_t start = gr_clock_mono_us();
    gr_http_stop(d.http);
    int64_t took = gr_clock_mono_us() - start;
    assert_true(took >= 300000 && took < 5000000);
    for (int i = 0; i < 2; i++) {
        reply r = client_read(fds[i], false);
        assert_int_equal(r.status, 503);
        assert_true(has(&r, "stopping"));
        reply_done(&r);
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&d.serve->n_cancelled), 2);
    assert_int_equal(atomic_load(&d.serve->n_queries), 2);
    gr_serve_close(d.serve);
}

/* One that is joined when the stop comes, and ends within the time to drain, gets the answer. */
static void test_stop_drains(void **state) {
    (void)state;
    door d = door_open(slow_config(), 0);
    const char *body = "{\"query\":{\"sleep_ms\":900}}";
    expect(&d, POST_LOAD, body, 200, "=" WAIT_TEXT);
    int fd = client_connect(d.port);
    client_write(fd, POST_LOAD, body);
    sleep_ms(40);
    gr_http_stop(d.http);
    reply r = client_read(fd, false);
    close(fd);
    assert_int_equal(r.status, 200);
    assert_true(has(&r, "\"data\""));
    reply_done(&r);
    gr_serve_close(d.serve);
}

/* Runs that end just when the window does, fetched by many that come and go: each request has one answer. */
static void test_photo_finish(void **state) {
    (void)state;
    gr_config config = slow_config();
    config.continue_wait_ms = 20;
    config.workers = 4;
    door d = door_open_with(config, (gr_http_options){.max_runs = 3, .keep_ms = 50, .orphan_ms = 30});
    for (int round = 0; round < 12; round++) {
        int fds[16];
        for (int i = 0; i < 16; i++) {
            char body[64];
            snprintf(body, sizeof body, "{\"query\":{\"sleep_ms\":%d}}", 15 + 5 * (i % 4));
            fds[i] = client_connect(d.port);
            client_write(fds[i], POST_LOAD, body);
            if (i % 8 == 7) close(fds[i]), fds[i] = -1;
        }
        for (int i = 0; i < 16; i++) {
            if (fds[i] < 0) continue;
            reply r = client_read(fds[i], false);
            assert_int_equal(r.status, 200);
            assert_true(is_wait(&r) || has(&r, "\"data\""));
            reply_done(&r);
            close(fds[i]);
        }
    }
    door_close(&d);
}

int main(void) {
    gr_log_setup(GR_LOG_OFF, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_slow_answer),
        cmocka_unit_test(test_answer_is_kept),
        cmocka_unit_test(test_slow_error),
        cmocka_unit_test(test_slow_then_build),
        cmocka_unit_test(test_ten_pollers),
        cmocka_unit_test(test_ten_at_once),
        cmocka_unit_test(test_queued),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_leaves_early),
        cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_stop_detached),
        cmocka_unit_test(test_stop_drains),
        cmocka_unit_test(test_photo_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
