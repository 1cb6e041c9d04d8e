/* DataJunction's and the seed's routes as one function without a socket: what the HTTP server answers, and what the
 * command line asks in its own process when no server runs. Both give the same bytes.
 *
 * Threads: any. Memory: `arena` is scratch that must live as long as the answer's texts. Source: seed; dj.md 1.0, 4.3;
 * decisions 11, 15–20; docs/http-api.md. */
#ifndef GR_HTTP_DJ_H
#define GR_HTTP_DJ_H
#include "base/buf.h"
#include "http/cube.h"
#include "serve/entities.h"

typedef struct gr_dj_request {
    gr_str method; /* "GET" */
    gr_str target; /* path and query, percent-encoded: "/pre-aggregations?status=active" */
    gr_str body;   /* JSON text, or empty */
    gr_str user;   /* for the history; may be empty */
    bool wants_stream;
    gr_flight *waited; /* borrowed: the flight of an earlier answer to this request: it has ended, or nobody waits on */
} gr_dj_request;

typedef struct gr_dj_answer {
    int http_status;
    const char *content_type; /* static */
    const char *exception;    /* static: of X-DBAPI-Exception; NULL: no error in DataJunction's form */
    bool is_error;
    gr_flight *flight; /* owned: wait for it, then ask again with it as `waited`; nothing was written */
    /* Answered by events of a build: those of `flight`, or `progress` alone when that is NULL. */
    bool is_stream;
    gr_http_progress progress;
} gr_dj_answer;

/* Writes the answer to `out`, also that of an error. Returns the error as well, for those who want no JSON. */
GR_MUST_CHECK gr_status gr_dj_call(gr_serve *serve, const gr_dj_request *request, gr_arena *arena, gr_buf *out,
                                   gr_dj_answer *ret, gr_error *err);
/* A status by its id in errors.def; `fallback` when there is none. */
gr_status gr_dj_status_of(gr_str id, gr_status fallback);
/* The error that a body in one of the forms of DataJunction tells of; NULL for what is none. */
gr_status gr_dj_error_read(const json_t *body, int http_status, gr_error *err);
#endif
