/* The HTTP front door: Cube's REST API and the operations, over the use cases of serve/.
 *
 * The library's threads never wait: what needs an engine or the catalog is suspended and runs on a worker lane; health
 * and refusals are answered inline. A request that waits for a build holds no thread at all. Source: cube.md §3;
 * decisions 8, 10, 11, 20, 21, 25, 27; docs/http-api.md. */
#ifndef GR_HTTP_SERVER_H
#define GR_HTTP_SERVER_H
#include "serve/serve.h"

typedef struct gr_http gr_http;

typedef struct gr_http_options {
    gr_str host;   /* empty: http.host of the configuration; a name, or an IPv4 or IPv6 address without brackets */
    bool has_port; /* else http.port of the configuration */
    uint16_t port; /* 0: a free one */
    int64_t continue_wait_ms, drain_ms; /* 0: of the configuration */
    size_t max_result_bytes;            /* largest answer of /v1/load; 0: GR_HTTP_MAX_RESULT_BYTES of cube.h */
    /* Loads that outlast continue_wait_ms and go on without their client: */
    int64_t orphan_ms;    /* cancelled when nobody polls for so long; 0: two minutes */
    int64_t keep_ms;      /* how long an answer is kept for those who were told to ask again; 0: half a minute */
    size_t max_runs;      /* at most so many, running or kept; 0: 64 */
    size_t max_run_bytes; /* of their answers and keys together; 0: 256 MiB */
} gr_http_options;

/* Listen and serve. `serve` is borrowed until gr_http_stop; `options` may be NULL.
 * Errors: server.listen: the address is in use or cannot be had, or it is not loopback and there is no API secret. */
GR_MUST_CHECK gr_status gr_http_start(gr_serve *serve, const gr_http_options *options, gr_http **ret, gr_error *err);
uint16_t gr_http_port(const gr_http *http);
/* "http://127.0.0.1:4000", an address that a client on this machine can use (for 0.0.0.0: loopback). Borrowed. */
gr_str gr_http_url(const gr_http *http);
/* Stop accepting; new requests are answered 503; running ones may finish for drain_ms, then they are cancelled and
 * answered; then everything is closed and freed. Call before gr_serve_close. Accepts NULL. */
void gr_http_stop(gr_http *http);
#endif
