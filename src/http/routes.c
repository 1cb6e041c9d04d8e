/* The table of routes, and finding one by path and method. A trailing slash is the same route.
 * Invariant: a route without scope is health only; test_routes holds that every other one names a scope of serve/. */
#include "http/internal.h"

enum { READ = GR_HTTP_GET | GR_HTTP_POST, LOOK = GR_HTTP_GET | GR_HTTP_HEAD };

static const gr_http_route routes[] = {
    {READ, "/cubejs-api/v1/load", "data", GR_HTTP_QUERY, true, gr_http_do_load},
    {READ, "/cubejs-api/v1/sql", "sql", GR_HTTP_LIGHT, true, gr_http_do_sql},
    {READ, "/cubejs-api/v1/dry-run", "meta", GR_HTTP_LIGHT, true, gr_http_do_dry_run},
    {READ, "/cubejs-api/v1/explain", "meta", GR_HTTP_LIGHT, true, gr_http_do_explain},
    {READ, "/v1/explain", "meta", GR_HTTP_LIGHT, true, gr_http_do_explain},
    {GR_HTTP_GET, "/cubejs-api/v1/meta", "meta", GR_HTTP_LIGHT, false, gr_http_do_meta},
    {LOOK, "/livez", NULL, GR_HTTP_INLINE, false, gr_http_do_health},
    {LOOK, "/readyz", NULL, GR_HTTP_INLINE, false, gr_http_do_ready},
    {LOOK, "/cubejs-api/livez", NULL, GR_HTTP_INLINE, false, gr_http_do_health},
    {LOOK, "/cubejs-api/readyz", NULL, GR_HTTP_INLINE, false, gr_http_do_ready},
    {GR_HTTP_GET, "/ops/status", "jobs", GR_HTTP_LIGHT, false, gr_http_do_status},
    {GR_HTTP_POST, "/ops/reload", "jobs", GR_HTTP_LIGHT, false, gr_http_do_reload},
    {GR_HTTP_GET, "/ops/pre-aggregations", "jobs", GR_HTTP_LIGHT, false, gr_http_do_preaggs},
    {GR_HTTP_DELETE, "/ops/pre-aggregations/{}", "jobs", GR_HTTP_LIGHT, false, gr_http_do_drop},
    {GR_HTTP_POST, "/ops/pre-aggregations/{}/build", "jobs", GR_HTTP_LIGHT, false, gr_http_do_build},
    {GR_HTTP_GET, "/ops/pre-aggregations/{}/build", "jobs", GR_HTTP_LIGHT, false, gr_http_do_build_progress},
};

const gr_http_route *gr_http_routes(size_t *ret_n) {
    *ret_n = sizeof routes / sizeof *routes;
    return routes;
}

typedef struct method_name {
    const char *name;
    unsigned method;
} method_name;

static const method_name methods[] = {{"GET", GR_HTTP_GET},
                                      {"POST", GR_HTTP_POST},
                                      {"DELETE", GR_HTTP_DELETE},
                                      {"HEAD", GR_HTTP_HEAD},
                                      {"OPTIONS", GR_HTTP_OPTIONS}};

unsigned gr_http_method(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0) return methods[i].method;
    return 0;
}

/* The next segment of a path that starts with '/' at *at; false at the end. */
static bool next_segment(gr_str path, size_t *at, gr_str *ret) {
    if (*at >= path.n || path.p[*at] != '/') return false;
    size_t end = gr_str_find(path, '/', *at + 1);
    if (end == SIZE_MAX) end = path.n;
    *ret = gr_str_sub(path, *at + 1, end - *at - 1);
    *at = end;
    return true;
}

static bool matches(const char *pattern, const gr_str *segments, size_t n, gr_str *ret_wild) {
    gr_str path = gr_str_from(pattern), want;
    size_t at = 0, i = 0;
    for (; next_segment(path, &at, &want); i++) {
        if (i == n) return false;
        if (gr_str_eq(want, GR_STR("{}"))) {
            if (!segments[i].n) return false;
            *ret_wild = segments[i];
        } else if (!gr_str_eq(want, segments[i])) {
            return false;
        }
    }
    return i == n;
}

gr_status gr_http_route_find(gr_str path, unsigned method, gr_arena *arena, gr_http_match *ret, gr_error *err) {
    gr_str segments[GR_HTTP_MAX_SEGMENTS], raw;
    size_t n = 0, at = 0;
    *ret = (gr_http_match){0};
    if (!path.n || path.p[0] != '/') return GR_OK;
    if (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    while (next_segment(path, &at, &raw)) {
        if (n == GR_HTTP_MAX_SEGMENTS) return GR_OK;
        GR_TRY(gr_http_url_decode(raw, false, arena, &segments[n++], err));
    }
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        gr_str wild = {0};
        if (!matches(routes[i].path, segments, n, &wild)) continue;
        ret->allowed |= routes[i].methods;
        if (!(routes[i].methods & method)) continue;
        ret->route = &routes[i];
        ret->segment = wild;
    }
    return GR_OK;
}
