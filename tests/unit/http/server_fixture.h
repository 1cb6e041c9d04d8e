/* A front door over the played use cases, and checks of its answers. */
#ifndef GR_TEST_SERVER_FIXTURE_H
#define GR_TEST_SERVER_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/http/client.h"
#include "unit/http/fake_serve.h"

typedef struct door {
    gr_serve *serve;
    gr_http *http;
    uint16_t port;
} door;

static inline gr_config fake_config(void) {
    return (gr_config){.http_host = GR_STR("127.0.0.1"),
                       .http_threads = 2,
                       .workers = 2,
                       .queue_max = 1000,
                       .body_max_bytes = 10000,
                       .cors_origin = GR_STR("*"),
                       .drain_ms = 3000,
                       .query_timeout_ms = 60000,
                       .continue_wait_ms = 10000,
                       .default_timezone = GR_STR("UTC"),
                       .preagg_schema = GR_STR("granary")};
}

static inline door door_open_with(gr_config config, gr_http_options options) {
    door d = {0};
    gr_error err = {0};
    assert_int_equal(gr_serve_open(&config, (gr_serve_options){0}, NULL, &d.serve, &err), GR_OK);
    options.has_port = true;
    gr_status status = gr_http_start(d.serve, &options, &d.http, &err);
    if (status) fail_msg("%s", err.message);
    d.port = gr_http_port(d.http);
    return d;
}

static inline door door_open(gr_config config, size_t max_result_bytes) {
    return door_open_with(config, (gr_http_options){.max_result_bytes = max_result_bytes});
}

static inline void door_close(door *d) {
    gr_http_stop(d->http);
    gr_serve_close(d->serve);
}

/* One call; checks the status and that the body has (or is, when it starts with '=') the text. */
static inline void expect(const door *d, const char *request, const char *body, int status, const char *text) {
    reply r = client_call(d->port, request, body);
    bool is_whole = text && text[0] == '=';
    bool fits = !text || (is_whole ? gr_str_eq_z(gr_buf_str(&r.body), text + 1)
                                   : gr_str_find_str(gr_buf_str(&r.body), gr_str_from(text)) != SIZE_MAX);
    if (r.status != status || !fits)
        fail_msg("%s\nwanted %d %s\ngot    %d %.*s", request, status, text ? text : "", r.status,
                 (int)(r.body.n < 2000 ? r.body.n : 2000), r.body.p ? r.body.p : "");
    reply_done(&r);
}

/* The same, tried again for five seconds. */
static inline void expect_soon(const door *d, const char *request, const char *text) {
    for (int i = 0; i < 250; i++) {
        reply r = client_call(d->port, request, NULL);
        bool fits = gr_str_find_str(gr_buf_str(&r.body), gr_str_from(text)) != SIZE_MAX;
        reply_done(&r);
        if (fits) return;
        sleep_ms(20);
    }
    expect(d, request, NULL, 200, text);
}

static inline void expect_header(const door *d, const char *request, const char *name, const char *want) {
    reply r = client_call(d->port, request, NULL);
    gr_str got = reply_header(&r, name);
    if (!gr_str_eq_z(got, want)) fail_msg("%s: %s is \"%.*s\", not \"%s\"", request, name, (int)got.n, got.p, want);
    reply_done(&r);
}

#define POST_LOAD "POST /cubejs-api/v1/load HTTP/1.1"

/* Poll until `what` has the value; false after five seconds. */
static inline bool eventually(atomic_int *what, int value) {
    for (int i = 0; i < 1000; i++) {
        if (atomic_load(what) == value) return true;
        sleep_ms(5);
    }
    return false;
}
#endif
