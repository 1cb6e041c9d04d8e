/* GET /ops/metrics. A scrape reads counters and gauges as they stand, the catalog once for each pre-aggregation, and
 * two files of /proc; it takes no lock for longer than copying a few numbers. Invariants: HELP and TYPE come once,
 * before the family's samples; a family's writer writes nothing but its own samples; label sets are bounded: routes,
 * methods, rules, kinds and lanes are tables, webhooks are limited by the configuration, and of pre-aggregations the
 * first GR_HTTP_METRIC_PREAGGS are shown. */
#include "http/metrics.h"

#include "http/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

typedef enum family {
#define GR_METRIC(name, ...) M_##name,
#include "http/metrics.def"
#undef GR_METRIC
    M__COUNT
} family;

enum { COUNTER, GAUGE, HISTOGRAM };
static const char *const type_names[] = {"counter", "gauge", "histogram"};
static const struct {
    const char *name;
    int type;
    const char *labels, *help;
} families[] = {
#define GR_METRIC(name, text, type, labels, help) {text, type, labels, help},
#include "http/metrics.def"
#undef GR_METRIC
};

typedef struct scrape {
    gr_http *http;
    gr_buf *out;
    family family; /* that is being written */
    gr_http_load_now now;
    gr_builds_now builds;
    bool has_preaggs; /* the catalog answered */
    gr_preagg_view *preaggs;
    size_t n_preaggs;
    int64_t now_us;
} scrape;

typedef struct label {
    const char *name;
    gr_str value;
} label;
enum { MAX_LABELS = 4 };

/* ---- samples --------------------------------------------------------------------------------- */
void gr_http_metrics_escape(gr_buf *out, gr_str value) {
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' || c == '"' || c == '\n') gr_buf_char(out, '\\');
        gr_buf_char(out, c == '\n' ? 'n' : c);
    }
}

/* Name, labels and the blank before the value. */
static void begin(scrape *s, const char *suffix, const label *labels, size_t n) {
    gr_buf_printf(s->out, "%s%s", families[s->family].name, suffix);
    for (size_t i = 0; i < n; i++) {
        gr_buf_printf(s->out, "%s%s=\"", i ? "," : "{", labels[i].name);
        gr_http_metrics_escape(s->out, labels[i].value);
        gr_buf_char(s->out, '"');
    }
    gr_buf_z(s->out, n ? "} " : " ");
}

static void put_count(scrape *s, const label *labels, size_t n, uint64_t value) {
    begin(s, "", labels, n);
    gr_buf_printf(s->out, "%llu\n", (unsigned long long)value);
}

static void put_seconds(scrape *s, const char *suffix, const label *labels, size_t n, int64_t us) {
    begin(s, suffix, labels, n);
    gr_buf_printf(s->out, "%s%lld.%06lld\n", us < 0 ? "-" : "", (long long)(us < 0 ? -us : us) / 1000000,
                  (long long)(us < 0 ? -us : us) % 1000000);
}

static void put_one(scrape *s, uint64_t value) { put_count(s, NULL, 0, value); }

/* The count is the sum of the buckets that were read, so that the two never disagree. */
static void put_histogram(scrape *s, const gr_histogram *h, const label *labels, size_t n) {
    label all[MAX_LABELS] = {{0}};
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) all[i] = labels[i];
    int64_t sum_us = (int64_t)atomic_load_explicit(&h->sum_us, memory_order_relaxed);
    for (size_t i = 0; i <= h->n_bounds; i++) {
        char bound[32] = "+Inf";
        if (i < h->n_bounds) snprintf(bound, sizeof bound, "%g", (double)h->bounds_us[i] / 1e6);
        all[n] = (label){"le", gr_str_from(bound)};
        total += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        begin(s, "_bucket", all, n + 1);
        gr_buf_printf(s->out, "%llu\n", (unsigned long long)total);
    }
    put_seconds(s, "_sum", labels, n, sum_us);
    begin(s, "_count", labels, n);
    gr_buf_printf(s->out, "%llu\n", (unsigned long long)total);
}

/* ---- the front door -------------------------------------------------------------------------- */
static void put_uptime(scrape *s) { put_seconds(s, "", NULL, 0, gr_clock_mono_us() - s->http->started_mono_us); }
static void put_catalog_up(scrape *s) { put_one(s, s->has_preaggs); }

static void put_requests(scrape *s) {
    static const gr_str classes[] = {GR_STR_INIT("1xx"), GR_STR_INIT("2xx"), GR_STR_INIT("3xx"), GR_STR_INIT("4xx"),
                                     GR_STR_INIT("5xx")};
    const gr_http_seen *seen = &s->http->seen;
    size_t n_routes, n_methods;
    const gr_http_route *routes = gr_http_routes(&n_routes);
    const gr_http_method_name *methods = gr_http_methods(&n_methods);
    for (size_t i = 0; i <= n_routes; i++) {
        for (size_t k = 0; k <= n_methods; k++) {
            for (size_t c = 0; c < GR_HTTP_CLASSES; c++) {
                uint64_t n = atomic_load_explicit(&seen->requests[i][k][c], memory_order_relaxed);
                label labels[] = {{"route", gr_str_from(i < n_routes ? routes[i].path : "none")},
                                  {"method", gr_str_from(k < n_methods ? methods[k].name : "other")},
                                  {"status", classes[c]}};
                if (n) put_count(s, labels, 3, n);
            }
        }
    }
}

static void put_durations(scrape *s) {
    for (unsigned i = 0; i < GR_HTTP_GROUP__COUNT; i++)
        put_histogram(s, &s->http->seen.durations[i], &(label){"group", gr_http_group_name((gr_http_group)i)}, 1);
}

static void put_open(scrape *s) { put_one(s, s->now.open); }
static void put_parked(scrape *s) { put_one(s, s->now.parked); }
static void put_detached(scrape *s) { put_one(s, s->now.detached); }

static void put_counter(scrape *s, gr_http_counter counter) { put_one(s, atomic_load(&s->http->counters[counter])); }
static void put_continue(scrape *s) { put_counter(s, GR_HTTP_N_CONTINUE); }
static void put_busy(scrape *s) { put_counter(s, GR_HTTP_N_BUSY); }
static void put_disconnected(scrape *s) { put_counter(s, GR_HTTP_N_DISCONNECTED); }

static void put_lanes(scrape *s) {
    static const char *const names[GR_HTTP_LANE__COUNT] = {[GR_HTTP_QUERY] = "query", [GR_HTTP_LIGHT] = "light"};
    for (size_t i = 0; i < GR_HTTP_LANE__COUNT; i++) {
        const gr_http_lane_now *lane = &s->now.lanes[i];
        size_t n = s->family == M_LANE_WORKERS ? lane->workers : s->family == M_LANE_BUSY ? lane->busy : lane->queued;
        if (names[i]) put_count(s, &(label){"lane", gr_str_from(names[i])}, 1, n);
    }
    size_t n = s->family == M_LANE_WORKERS ? 1 : s->family == M_LANE_BUSY ? s->builds.running : s->builds.queued;
    put_count(s, &(label){"lane", GR_STR("build")}, 1, n);
}

/* ---- builds and queries ---------------------------------------------------------------------- */
static void put_builds_running(scrape *s) { put_one(s, s->builds.running); }
static void put_builds_queued(scrape *s) { put_one(s, s->builds.queued); }

static void put_builds(scrape *s) {
    const gr_serve_stats *stats = gr_serve_counts(s->http->serve);
    put_count(s, &(label){"result", GR_STR("done")}, 1, atomic_load(&stats->builds_done));
    put_count(s, &(label){"result", GR_STR("failed")}, 1, atomic_load(&stats->builds_failed));
}

static void put_build_durations(scrape *s) { put_histogram(s, &gr_serve_counts(s->http->serve)->builds, NULL, 0); }

static void put_refresh_state(scrape *s) {
    gr_refresh_state now = gr_serve_refresh_state(s->http->serve);
    for (unsigned i = 0; i <= GR_REFRESH_DRAINED; i++)
        put_count(s, &(label){"state", gr_serve_refresh_state_name((gr_refresh_state)i)}, 1, i == now);
}

static void put_refreshes(scrape *s) {
    const gr_serve_stats *stats = gr_serve_counts(s->http->serve);
    put_count(s, &(label){"result", GR_STR("done")}, 1, atomic_load(&stats->refreshes_done));
    put_count(s, &(label){"result", GR_STR("failed")}, 1, atomic_load(&stats->refreshes_failed));
}

static void put_queries(scrape *s) {
    const gr_serve_stats *stats = gr_serve_counts(s->http->serve);
    for (unsigned i = 0; i < GR_SERVE_BY__COUNT; i++)
        put_count(s, &(label){"served_by", gr_serve_by_name((gr_serve_by)i)}, 1, atomic_load(&stats->queries[i]));
}

static void put_refusals(scrape *s) {
    const gr_serve_stats *stats = gr_serve_counts(s->http->serve);
    for (unsigned i = 0; i < GR_RULE__COUNT; i++)
        put_count(s, &(label){"rule", gr_rule_id((gr_rule)i)}, 1, atomic_load(&stats->refusals[i]));
}

/* ---- pre-aggregations ------------------------------------------------------------------------ */
static size_t n_shown(const scrape *s) {
    return s->n_preaggs < GR_HTTP_METRIC_PREAGGS ? s->n_preaggs : GR_HTTP_METRIC_PREAGGS;
}

static void put_preaggs(scrape *s) {
    if (s->has_preaggs) put_one(s, s->n_preaggs);
}

static void put_left_out(scrape *s) {
    if (s->has_preaggs) put_one(s, s->n_preaggs - n_shown(s));
}

static void put_preagg(scrape *s) {
    for (size_t i = 0; i < n_shown(s); i++) {
        const gr_preagg_view *view = &s->preaggs[i];
        label labels[] = {{"pre_aggregation", view->id}, {"zone", view->zone}};
        if (s->family == M_PREAGG_BUILT)
            put_count(s, labels, 2, view->is_built);
        else if (s->family == M_PREAGG_HITS)
            put_count(s, labels, 2, gr_serve_stats_hits(gr_serve_counts(s->http->serve), view->entity_id));
        else if (!view->is_built)
            continue;
        else if (s->family == M_PREAGG_WATERMARK)
            put_seconds(s, "", labels, 2, view->built_at_us);
        else if (s->family == M_PREAGG_BEHIND)
            put_seconds(s, "", labels, 2, s->now_us - view->built_at_us);
        else
            put_count(s, labels, 2, (uint64_t)(s->family == M_PREAGG_ROWS ? view->rows : view->bytes));
    }
}

static void put_preagg_refresh(scrape *s) {
    for (size_t i = 0; i < n_shown(s); i++) {
        const gr_preagg_view *view = &s->preaggs[i];
        label labels[] = {{"pre_aggregation", view->id}, {"zone", view->zone}};
        if (!view->is_refreshed) continue;
        if (s->family == M_PREAGG_FAILURES)
            put_count(s, labels, 2, (uint64_t)view->refresh.n_failures);
        else if (view->refresh.next_us != INT64_MAX)
            put_seconds(s, "", labels, 2, view->refresh.next_us);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */
static void put_cache(scrape *s) {
    gr_cache_stats stats = gr_serve_cache_stats(s->http->serve);
    if (s->family == M_CACHE_EVICTIONS) put_one(s, stats.evictions);
    if (s->family == M_CACHE_ENTRIES) put_one(s, stats.entries);
    if (s->family == M_CACHE_BYTES) put_one(s, stats.bytes);
    for (int i = 0; s->family == M_CACHE_ANSWERS && i < GR_CACHE__COUNT; i++)
        put_count(s, &(label){"outcome", gr_serve_cache_outcome_name((gr_cache_outcome)i)}, 1, stats.count[i]);
}

static void put_events(scrape *s) {
    for (unsigned i = 0; i < GR_EVENT__COUNT; i++) {
        uint64_t n = gr_serve_bus_count(gr_serve_events(s->http->serve), (gr_event_kind)i);
        put_count(s, &(label){"event", gr_event_name((gr_event_kind)i)}, 1, n);
    }
}

static void put_webhooks(scrape *s) {
    for (size_t i = 0; i < s->http->config->n_webhooks; i++) {
        gr_webhook_view view = gr_serve_bus_webhook(gr_serve_events(s->http->serve), i);
        label labels[] = {{"webhook", gr_log_i64((int64_t)i)}, {"result", GR_STR("delivered")}};
        if (s->family == M_WEBHOOK_RETRIES) put_count(s, labels, 1, view.retried);
        if (s->family == M_WEBHOOK_QUEUED) put_count(s, labels, 1, view.waiting);
        if (s->family != M_WEBHOOKS) continue;
        put_count(s, labels, 2, view.delivered);
        labels[1].value = GR_STR("lost");
        put_count(s, labels, 2, view.lost);
        labels[1].value = GR_STR("dropped");
        put_count(s, labels, 2, view.dropped);
    }
}

/* ---- the process ----------------------------------------------------------------------------- */
static void put_memory(scrape *s) {
    unsigned long long whole, resident;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &whole, &resident) == 2) put_one(s, resident * (uint64_t)sysconf(_SC_PAGESIZE));
    if (f) fclose(f);
}

static void put_files(scrape *s) {
    DIR *d = opendir("/proc/self/fd");
    if (!d) return;
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    put_one(s, n - 1); /* without the one that read the folder */
}

/* ---- the whole ------------------------------------------------------------------------------- */
static void (*const writers[M__COUNT])(scrape *s) = {
    [M_UPTIME] = put_uptime,
    [M_CATALOG_UP] = put_catalog_up,
    [M_REQUESTS] = put_requests,
    [M_DURATIONS] = put_durations,
    [M_OPEN] = put_open,
    [M_PARKED] = put_parked,
    [M_DETACHED] = put_detached,
    [M_CONTINUE] = put_continue,
    [M_BUSY] = put_busy,
    [M_DISCONNECTED] = put_disconnected,
    [M_LANE_WORKERS] = put_lanes,
    [M_LANE_BUSY] = put_lanes,
    [M_LANE_QUEUED] = put_lanes,
    [M_BUILDS_RUNNING] = put_builds_running,
    [M_BUILDS_QUEUED] = put_builds_queued,
    [M_BUILDS] = put_builds,
    [M_BUILD_DURATIONS] = put_build_durations,
    [M_REFRESH_STATE] = put_refresh_state,
    [M_REFRESHES] = put_refreshes,
    [M_QUERIES] = put_queries,
    [M_REFUSALS] = put_refusals,
    [M_PREAGGS] = put_preaggs,
    [M_PREAGGS_LEFT_OUT] = put_left_out,
    [M_PREAGG_BUILT] = put_preagg,
    [M_PREAGG_WATERMARK] = put_preagg,
    [M_PREAGG_BEHIND] = put_preagg,
    [M_PREAGG_ROWS] = put_preagg,
    [M_PREAGG_BYTES] = put_preagg,
    [M_PREAGG_HITS] = put_preagg,
    [M_CACHE_ANSWERS] = put_cache,
    [M_CACHE_EVICTIONS] = put_cache,
    [M_CACHE_ENTRIES] = put_cache,
    [M_CACHE_BYTES] = put_cache,
    [M_PREAGG_NEXT] = put_preagg_refresh,
    [M_PREAGG_FAILURES] = put_preagg_refresh,
    [M_EVENTS] = put_events,
    [M_WEBHOOKS] = put_webhooks,
    [M_WEBHOOK_RETRIES] = put_webhooks,
    [M_WEBHOOK_QUEUED] = put_webhooks,
    [M_MEMORY] = put_memory,
    [M_FILES] = put_files,
};

gr_status gr_http_do_metrics(gr_http_request *request, gr_error *err) {
    gr_http *http = request->http;
    gr_error ignored = {0};
    scrape s = {.http = http,
                .out = &request->out,
                .now = gr_http_measure(http),
                .builds = gr_serve_builds_now(http->serve),
                .now_us = gr_clock_now_us()};
    s.has_preaggs = gr_serve_preaggs(http->serve, request->work, &s.preaggs, &s.n_preaggs, &ignored) == GR_OK;
    if (!s.has_preaggs) s.n_preaggs = 0;
    for (unsigned i = 0; i < M__COUNT; i++) {
        s.family = (family)i;
        gr_buf_printf(s.out, "# HELP %s %s\n# TYPE %s %s\n", families[i].name, families[i].help, families[i].name,
                      type_names[families[i].type]);
        writers[i](&s);
    }
    if (s.out->is_over) return gr_error_set(err, GR_ERR_LIMIT, "The metrics are larger than the largest answer");
    request->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return GR_OK;
}

void gr_http_metrics_write_docs(gr_buf *out) {
    gr_buf_z(
        out,
        "# Metrics\n\n"
        "<!-- Made from src/http/metrics.def by `granary docs`; do not edit. -->\n\n"
        "`GET /ops/metrics` (scope `jobs`; a scraper gives its token as `Authorization: Bearer …`) answers in the\n"
        "Prometheus text format, version 0.0.4. Counters are of this process, since it began. Names and labels stay "
        "the\n"
        "same over versions. Label sets are bounded: routes, rules, events and lanes are tables of the program, "
        "webhooks\n"
        "are at most 32, and of the pre-aggregations of the model, each time zone on its own, the first 1,000 in its\n"
        "order have metrics of their own; `granary_preaggregations_left_out` says how many have none.\n\n"
        "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    for (unsigned i = 0; i < M__COUNT; i++)
        gr_buf_printf(out, "| `%s` | %s | %s | %s |\n", families[i].name, type_names[families[i].type],
                      families[i].labels, families[i].help);
}
