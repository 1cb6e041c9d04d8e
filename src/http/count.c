/* Requests by route, method and class of status, and how long their answers took. The tables are made at start:
 * counting is three atomic additions. */
#include "base/mem.h"
#include "http/internal.h"

#include <stdlib.h>

#define MS(n) ((n)*INT64_C(1000))
static const int64_t bounds_us[] = {500,     MS(1),   MS(2) + 500, MS(5),    MS(10),   MS(25),    MS(50),   MS(100),
                                    MS(250), MS(500), MS(1000),    MS(2500), MS(5000), MS(10000), MS(30000)};

gr_str gr_http_group_name(gr_http_group group) {
    static const gr_str names[] = {
        [GR_HTTP_GROUP_LOAD] = GR_STR_INIT("load"),         [GR_HTTP_GROUP_PLAN] = GR_STR_INIT("plan"),
        [GR_HTTP_GROUP_ENTITIES] = GR_STR_INIT("entities"), [GR_HTTP_GROUP_OPS] = GR_STR_INIT("ops"),
        [GR_HTTP_GROUP_HEALTH] = GR_STR_INIT("health"),     [GR_HTTP_GROUP_NONE] = GR_STR_INIT("none")};
    return names[group];
}

static gr_http_group group_of(const gr_http_route *route) {
    if (route->handle == gr_http_do_load) return GR_HTTP_GROUP_LOAD;
    if (route->lane == GR_HTTP_INLINE) return GR_HTTP_GROUP_HEALTH;
    if (route->dj) return GR_HTTP_GROUP_ENTITIES;
    return gr_str_starts(gr_str_from(route->path), GR_STR("/ops/")) ? GR_HTTP_GROUP_OPS : GR_HTTP_GROUP_PLAN;
}

void gr_http_seen_init(gr_http_seen *seen) {
    const gr_http_route *routes = gr_http_routes(&seen->n_routes);
    seen->groups = gr_mem_calloc(seen->n_routes + 1, sizeof *seen->groups);
    for (size_t i = 0; i < seen->n_routes; i++) seen->groups[i] = group_of(&routes[i]);
    seen->groups[seen->n_routes] = GR_HTTP_GROUP_NONE;
    seen->requests = gr_mem_calloc(seen->n_routes + 1, sizeof *seen->requests);
    for (size_t i = 0; i < GR_HTTP_GROUP__COUNT; i++) {
        seen->durations[i].bounds_us = bounds_us;
        seen->durations[i].n_bounds = sizeof bounds_us / sizeof *bounds_us;
    }
}

void gr_http_seen_done(gr_http_seen *seen) {
    free(seen->groups);
    free(seen->requests);
}

void gr_http_seen_add(gr_http_seen *seen, const gr_http_route *route, unsigned method, int http_status, int64_t us) {
    size_t n_methods, n_routes, at = 0;
    const gr_http_method_name *methods = gr_http_methods(&n_methods);
    while (at < n_methods && methods[at].method != method) at++;
    size_t row = route ? (size_t)(route - gr_http_routes(&n_routes)) : seen->n_routes;
    size_t class = http_status >= 100 && http_status < 600 ? (size_t)http_status / 100 - 1 : 4;
    atomic_fetch_add_explicit(&seen->requests[row][at][class], 1, memory_order_relaxed);
    gr_histogram_add(&seen->durations[seen->groups[row]], us);
}
