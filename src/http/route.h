/* The table of routes: one row makes the dispatch, the check of the scope and the OpenAPI document. Private to http/;
 * nothing here needs the HTTP library, so that the command line can ask in this process what a server would answer. */
#ifndef GR_HTTP_ROUTE_H
#define GR_HTTP_ROUTE_H
#include "base/error.h"

typedef struct gr_http_request gr_http_request;
typedef struct gr_dj gr_dj;

/* ---- URLs (url.c) ---------------------------------------------------------------------------- */
typedef struct gr_http_param {
    gr_str key, value;
} gr_http_param;
typedef struct gr_http_params {
    gr_http_param *v;
    size_t n;
} gr_http_params;
enum { GR_HTTP_MAX_PARAMS = 64, GR_HTTP_MAX_SEGMENTS = 8, GR_HTTP_MAX_WILD = 2 };

/* %XX (and '+' as space in a query). Errors: query.invalid for a malformed escape or text that is not UTF-8. */
GR_MUST_CHECK gr_status gr_http_url_decode(gr_str raw, bool is_query, gr_arena *arena, gr_str *ret, gr_error *err);
GR_MUST_CHECK gr_status gr_http_url_params(gr_str raw_query, gr_arena *arena, gr_http_params *ret, gr_error *err);
/* Path and query of a request target; "http://host/x?y" too. Both are parts of `target`. */
void gr_http_url_split(gr_str target, gr_str *ret_path, gr_str *ret_query);

/* ---- routes (routes.c) ----------------------------------------------------------------------- */
enum {
    GR_HTTP_GET = 1,
    GR_HTTP_POST = 2,
    GR_HTTP_DELETE = 4,
    GR_HTTP_HEAD = 8,
    GR_HTTP_OPTIONS = 16,
    GR_HTTP_PATCH = 32
};
unsigned gr_http_method(const char *name); /* 0 when no route takes it */
typedef struct gr_http_method_name {
    const char *name;
    unsigned method;
} gr_http_method_name;
const gr_http_method_name *gr_http_methods(size_t *ret_n);

typedef enum gr_http_lane_kind {
    GR_HTTP_INLINE, /* on MHD's thread: never waits */
    GR_HTTP_QUERY,  /* runs queries */
    GR_HTTP_LIGHT,  /* plans, reads the model or the catalog; not held up by queries */
    GR_HTTP_LANE__COUNT
} gr_http_lane_kind;

/* Fills request->out (and http_status); or sets request->flight to wait for it and be called again. */
typedef gr_status gr_http_handler(gr_http_request *request, gr_error *err);
/* The same for DataJunction's and the seed's routes: writes dj->w, or sets dj->answer->flight (dj_internal.h). */
typedef gr_status gr_dj_handler(gr_dj *dj, gr_error *err);

/* What openapi.c says of a route. `params`: "status*:Status, limit:integer" with * for what may be given several times;
 * the type is text when it is left out. `body` and `answer` are names of schemas; "[X]" is a list of X; "text/plain" is
 * what it says, and no JSON. */
typedef struct gr_http_doc {
    const char *summary, *params, *body;
    int status;
    const char *answer;
} gr_http_doc;

typedef struct gr_http_route {
    unsigned methods;
    const char *path;  /* "/ops/x/{}/y": {} is one segment, given to the handler decoded; at most two */
    const char *scope; /* NULL: open to everyone, also while the server stops */
    gr_http_lane_kind lane;
    bool wants_query; /* a GET must have the parameter `query` */
    gr_http_handler *handle;
    gr_dj_handler *dj; /* NULL: a route of Cube's, with errors in its form */
    gr_http_doc doc;
} gr_http_route;

typedef struct gr_http_match {
    const gr_http_route *route;
    unsigned allowed;                  /* methods of all routes of this path; 0: there is no such path */
    bool is_dj;                        /* the path is one of DataJunction's or the seed's */
    gr_str segments[GR_HTTP_MAX_WILD]; /* what stood for each {}, decoded */
} gr_http_match;
/* match->route is NULL when no route has path and method. Of several that fit, the one with the first literal segment
 * where the others have {} wins. Errors: query.invalid (malformed escape). */
GR_MUST_CHECK gr_status gr_http_route_find(gr_str path, unsigned method, gr_arena *arena, gr_http_match *ret,
                                           gr_error *err);
const gr_http_route *gr_http_routes(size_t *ret_n);
#endif
