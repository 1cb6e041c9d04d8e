/* The table of routes, and finding one by path and method. A trailing slash is the same route.
 * Invariant: a route without scope is health only; test_routes holds that every other one names a scope of serve/. */
#include "http/route.h"

#include "http/dj_internal.h"
#include "http/internal.h"

enum { READ = GR_HTTP_GET | GR_HTTP_POST, LOOK = GR_HTTP_GET | GR_HTTP_HEAD };

#define GET GR_HTTP_GET
#define POST GR_HTTP_POST
#define PATCH GR_HTTP_PATCH
#define DELETE GR_HTTP_DELETE
#define LIGHT GR_HTTP_LIGHT
/* Routes of Cube's API and of the operations: (methods, path, scope, lane, needs `query`, handler, documentation). */
#define CUBE(methods, path, scope, lane, wants_query, handle, ...)                                                     \
    {                                                                                                                  \
        methods, path, scope, lane, wants_query, handle, NULL, { __VA_ARGS__ }                                         \
    }
/* DataJunction's and the seed's: reading is "meta", what changes something is "jobs". */
#define READS(path, handle, ...)                                                                                       \
    {                                                                                                                  \
        GR_HTTP_GET, path, "meta", GR_HTTP_LIGHT, false, gr_http_do_dj, handle, { __VA_ARGS__ }                        \
    }
#define WRITES(methods, path, handle, ...)                                                                             \
    {                                                                                                                  \
        methods, path, "jobs", GR_HTTP_LIGHT, false, gr_http_do_dj, handle, { __VA_ARGS__ }                            \
    }

#define QUERY_PARAMS "query, queryType, cache"
#define HEALTH_DOC "Is the server alive, or ready?", "", "", 200, "Health"
#define LIST_PARAMS                                                                                                    \
    "node_name, node_version, source_node, version, status*:Status, cube, grain, grain_mode:GrainMode, measures, "     \
    "external:boolean, grain_group_hash, include_stale:boolean, limit:integer, offset:integer"

static const gr_http_route routes[] = {
    CUBE(READ, "/cubejs-api/v1/load", "data", GR_HTTP_QUERY, true, gr_http_do_load, "Run a query.",
         QUERY_PARAMS ", explain:boolean, without_rollups:boolean", "CubeQuery", 200, "CubeResult"),
    CUBE(READ, "/cubejs-api/v1/sql", "sql", LIGHT, true, gr_http_do_sql, "The SQL of a query, not run.", QUERY_PARAMS,
         "CubeQuery", 200, "Any"),
    CUBE(READ, "/cubejs-api/v1/dry-run", "meta", LIGHT, true, gr_http_do_dry_run, "The query in its normal form.",
         QUERY_PARAMS, "CubeQuery", 200, "Any"),
    CUBE(READ, "/cubejs-api/v1/explain", "meta", LIGHT, true, gr_http_do_explain, "What would serve a query, and why.",
         QUERY_PARAMS ", as_if_built:boolean, estimate:boolean", "CubeQuery", 200, "Any"),
    CUBE(READ, "/v1/explain", "meta", LIGHT, true, gr_http_do_explain, "What would serve a query, and why.",
         QUERY_PARAMS ", as_if_built:boolean, estimate:boolean", "CubeQuery", 200, "Any"),
    CUBE(GET, "/cubejs-api/v1/meta", "meta", LIGHT, false, gr_http_do_meta, "Cubes, views and their members.",
         "extended:boolean, onlyViews:boolean", "", 200, "Any"),
    CUBE(POST, "/cubejs-api/v1/pre-aggregations/jobs", "jobs", LIGHT, false, gr_http_do_jobs,
         "Start jobs that build what a selector means, or ask how they are.", "", "JobsRequest", 200, "Any"),
    CUBE(LOOK, "/livez", NULL, GR_HTTP_INLINE, false, gr_http_do_health, HEALTH_DOC),
    CUBE(LOOK, "/readyz", NULL, GR_HTTP_INLINE, false, gr_http_do_ready, HEALTH_DOC),
    CUBE(LOOK, "/cubejs-api/livez", NULL, GR_HTTP_INLINE, false, gr_http_do_health, HEALTH_DOC),
    CUBE(LOOK, "/cubejs-api/readyz", NULL, GR_HTTP_INLINE, false, gr_http_do_ready, HEALTH_DOC),
    CUBE(GET, "/ops/status", "jobs", LIGHT, false, gr_http_do_status, "Model, load and counters of the server.", "", "",
         200, "Any"),
    CUBE(GET, "/ops/metrics", "jobs", LIGHT, false, gr_http_do_metrics, "Metrics in the Prometheus text format.", "",
         "", 200, "text/plain"),
    CUBE(GET, "/ops/events", "jobs", LIGHT, false, gr_http_do_events, "What happens, as server-sent events.",
         "last_event_id", "", 200, "text/event-stream"),
    CUBE(POST, "/ops/reload", "jobs", LIGHT, false, gr_http_do_reload, "Load the model again.", "", "", 200, "Any"),
    CUBE(GET, "/ops/refresh", "jobs", LIGHT, false, gr_http_do_refresh,
         "The background refresh: its state, and what it does next.", "", "", 200, "Refresh"),
    CUBE(POST, "/ops/refresh", "jobs", LIGHT, false, gr_http_do_refresh_order,
         "Pause, drain or resume the background refresh, or let it look now.", "", "RefreshOrder", 200, "Refresh"),
    CUBE(GET, "/cubejs-api/v1/run-scheduled-refresh", "jobs", LIGHT, false, gr_http_do_scheduled_refresh,
         "Refresh what is due, and say whether that has ended.", "", "", 200, "Any"),
    CUBE(GET, "/ops/pre-aggregations", "jobs", LIGHT, false, gr_http_do_preaggs,
         "The pre-aggregations of the model and what serves.", "", "", 200, "Any"),
    CUBE(DELETE, "/ops/pre-aggregations/{}", "jobs", LIGHT, false, gr_http_do_drop,
         "Drop the tables of a pre-aggregation of the model.", "", "", 200, "Any"),
    CUBE(POST, "/ops/pre-aggregations/{}/build", "jobs", LIGHT, false, gr_http_do_build,
         "Start a build, or join the one that runs.", "timezone, force:boolean", "BuildRequest?", 202, "Progress"),
    CUBE(GET, "/ops/pre-aggregations/{}/build", "jobs", LIGHT, false, gr_http_do_build_progress, "How far a build is.",
         "timezone", "", 200, "Progress"),

    READS("/pre-aggregations", gr_dj_do_list, "List pre-aggregations.", LIST_PARAMS, "", 200, "PreAggregationList"),
    READS("/pre-aggregations/{}", gr_dj_do_get, "One pre-aggregation, by id or name.", "", "", 200, "PreAggregation"),
    WRITES(DELETE, "/pre-aggregations/{}", gr_dj_do_remove, "Delete a pre-aggregation that no cube uses.", "", "", 200,
           "Message"),
    READS("/pre-aggregations/{}/cubes", gr_dj_do_cubes_of, "The cubes that use it.", "", "", 200, "[CubeName]"),
    WRITES(POST, "/pre-aggregations/{}/materialize", gr_dj_do_materialize, "Build it now.", "", "MaterializeRequest?",
           202, "PreAggregation"),
    WRITES(POST, "/pre-aggregations/{}/verify", gr_dj_do_verify,
           "Compare what is stored with the source; what is wrong serves no more, and is built anew.", "", "", 200,
           "Verification"),
    READS("/pre-aggregations/{}/builds", gr_dj_do_builds,
          "Its builds, newest first; as server-sent events by the Accept header.", "limit:integer", "", 200, "[Build]"),
    READS("/pre-aggregations/{}/partitions", gr_dj_do_partitions, "Its partitions, and what is built of them.",
          "summary:boolean, timezone", "", 200, "Partitions"),
    WRITES(POST, "/pre-aggregations/{}/partitions:refresh", gr_dj_do_partitions_refresh,
           "Build chosen partitions, or all, again.", "", "PartitionsRequest?", 202, "PreAggregation"),
    READS("/pre-aggregations/{}/history", gr_dj_do_history_of, "What happened to it, newest first.",
          "limit:integer, offset:integer", "", 200, "[History]"),
    READS("/pre-aggregations/{}/lineage", gr_dj_do_lineage_of, "What it is made of, and what uses it.",
          "format:LineageFormat", "", 200, "Lineage"),
    READS("/cubes/{}/pre-aggregations", gr_dj_do_of_cube, "The pre-aggregations of a cube.", "version", "", 200,
          "[PreAggregation]"),
    READS("/nodes/{}/pre-aggregations", gr_dj_do_of_node, "The pre-aggregations sourced from a node.",
          "version, status*:Status, include_stale:boolean", "", 200, "[PreAggregation]"),
    READS("/nodes/{}/lineage", gr_dj_do_lineage_of_node, "What a node comes from, and what is made of it.",
          "format:LineageFormat", "", 200, "Lineage"),
    READS("/lineage", gr_dj_do_lineage, "The lineage of everything, or of one name.", "name, format:LineageFormat", "",
          200, "Lineage"),
    READS("/grain-groups", gr_dj_do_groups, "The grain groups of a request; nothing is recorded.",
          "metrics*, dimensions*, filters*, timezone", "", 200, "GrainGroups"),

    READS("/cubes", gr_dj_do_cube_names, "Names of the cubes.", "", "", 200, "[Text]"),
    READS("/cubes/{}", gr_dj_do_cube, "One cube.", "", "", 200, "Cube"),
    READS("/cubes/{}/versions/{}", gr_dj_do_cube_version, "One cube at a version.", "", "", 200, "Cube"),
    READS("/nodes", gr_dj_do_nodes, "Names of the nodes.", "node_type:NodeType, prefix", "", 200, "[Text]"),
    READS("/nodes/details", gr_dj_do_node_details, "Names, titles and types of the nodes.", "", "", 200,
          "[NodeDetails]"),
    READS("/nodes/{}", gr_dj_do_node, "One node.", "", "", 200, "Node"),
    READS("/nodes/{}/revisions", gr_dj_do_revisions, "Its revisions, oldest first.", "", "", 200, "[Node]"),
    WRITES(POST, "/nodes/cube", gr_dj_do_cube_create, "Create a cube, and record the pre-aggregations that it needs.",
           "", "CubeCreate", 201, "Node"),
    WRITES(PATCH, "/nodes/{}", gr_dj_do_node_patch, "Change a cube that was made by API.", "", "CubePatch", 200,
           "Node"),
    WRITES(DELETE, "/nodes/{}", gr_dj_do_node_delete, "Deactivate a cube that was made by API.", "", "", 200,
           "Message"),
    READS("/history", gr_dj_do_history, "What happened, newest first.", "node, limit:integer, offset:integer", "", 200,
          "[History]"),
    READS("/history/{}/{}", gr_dj_do_history_by_name, "What happened to one thing: entity type, then its name.",
          "limit:integer, offset:integer", "", 200, "[History]"),

    READS("/preaggs", gr_dj_do_list, "List pre-aggregations as DataJunction does.", LIST_PARAMS, "", 200,
          "PreAggregationList"),
    READS("/preaggs/{}", gr_dj_do_get, "One pre-aggregation.", "", "", 200, "PreAggregation"),
    WRITES(POST, "/preaggs/plan", gr_dj_do_plan, "Record the pre-aggregations that metrics and dimensions need.", "",
           "PlanRequest", 201, "Planned"),
    WRITES(POST, "/preaggs/register", gr_dj_do_register, "Register a table that something else fills.", "",
           "RegisterRequest", 201, "Planned"),
    WRITES(POST, "/preaggs/{}/materialize", gr_dj_do_materialize, "Build it now; it must have a strategy.", "",
           "MaterializeRequest?", 200, "PreAggregation"),
    READS("/preaggs/{}/partitions", gr_dj_do_partitions, "Its partitions, and what is built of them.",
          "summary:boolean, timezone", "", 200, "Partitions"),
    WRITES(POST, "/preaggs/{}/partitions:refresh", gr_dj_do_partitions_refresh,
           "Build chosen partitions, or all, again.", "", "PartitionsRequest?", 200, "PreAggregation"),
    WRITES(PATCH, "/preaggs/{}/config", gr_dj_do_config, "Strategy, schedule, lookback window.", "", "ConfigRequest",
           200, "PreAggregation"),
    WRITES(DELETE, "/preaggs/{}/workflow", gr_dj_do_workflow_clear, "Stop its workflow.", "", "", 200,
           "WorkflowStopped"),
    WRITES(DELETE, "/preaggs/workflows", gr_dj_do_workflows_clear, "Stop the workflows of a node.",
           "node_name, stale_only:boolean", "", 200, "WorkflowsStopped"),
    WRITES(POST, "/preaggs/{}/backfill", gr_dj_do_backfill, "Build the data of a range of days again.", "",
           "BackfillRequest", 200, "Backfill"),
    WRITES(POST, "/preaggs/{}/availability", gr_dj_do_availability, "Tell what an external table holds.", "",
           "Availability", 200, "PreAggregation"),
    WRITES(POST, "/import/dj-materializations", gr_dj_do_import,
           "Make pre-aggregations of materialization_config blobs.", "", "Any", 200, "Imported"),
    READS("/openapi.json", gr_dj_do_openapi, "This document.", "", "", 200, "Any"),
};

const gr_http_route *gr_http_routes(size_t *ret_n) {
    *ret_n = sizeof routes / sizeof *routes;
    return routes;
}

static const gr_http_method_name methods[] = {{"GET", GR_HTTP_GET},   {"HEAD", GR_HTTP_HEAD},
                                              {"POST", GR_HTTP_POST}, {"PATCH", GR_HTTP_PATCH},
                                              {"DELETE", DELETE},     {"OPTIONS", GR_HTTP_OPTIONS}};

const gr_http_method_name *gr_http_methods(size_t *ret_n) {
    *ret_n = sizeof methods / sizeof *methods;
    return methods;
}

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

/* *ret_wild gets a bit for each {}, the first segment's the highest: of two patterns that fit the smaller is the more
 * exact one. */
static bool matches(const char *pattern, const gr_str *segments, size_t n, unsigned *ret_wild) {
    gr_str path = gr_str_from(pattern), want;
    size_t at = 0, i = 0;
    unsigned wild = 0;
    for (; next_segment(path, &at, &want); i++) {
        if (i == n) return false;
        if (gr_str_eq(want, GR_STR("{}"))) {
            if (!segments[i].n) return false;
            wild |= 1u << (GR_HTTP_MAX_SEGMENTS - i);
        } else if (!gr_str_eq(want, segments[i])) {
            return false;
        }
    }
    *ret_wild = wild;
    return i == n;
}

static void take_segments(unsigned wild, const gr_str *segments, size_t n, gr_str *ret) {
    size_t taken = 0;
    for (size_t i = 0; i < n && taken < GR_HTTP_MAX_WILD; i++)
        if (wild >> (GR_HTTP_MAX_SEGMENTS - i) & 1) ret[taken++] = segments[i];
}

gr_status gr_http_route_find(gr_str path, unsigned method, gr_arena *arena, gr_http_match *ret, gr_error *err) {
    gr_str segments[GR_HTTP_MAX_SEGMENTS], raw;
    size_t n = 0, at = 0;
    unsigned best = UINT32_MAX;
    *ret = (gr_http_match){0};
    if (!path.n || path.p[0] != '/') return GR_OK;
    if (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    while (next_segment(path, &at, &raw)) {
        if (n == GR_HTTP_MAX_SEGMENTS) return GR_OK;
        GR_TRY(gr_http_url_decode(raw, false, arena, &segments[n++], err));
    }
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        unsigned wild;
        if (!matches(routes[i].path, segments, n, &wild)) continue;
        ret->allowed |= routes[i].methods;
        ret->is_dj |= routes[i].dj != NULL;
        if (!(routes[i].methods & method) || wild >= best) continue;
        ret->route = &routes[i];
        best = wild;
    }
    if (ret->route) take_segments(best, segments, n, ret->segments);
    return GR_OK;
}
