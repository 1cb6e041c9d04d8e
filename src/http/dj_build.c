/* Materializing. A request that waits is called twice: it starts the build and is parked; when that has ended, or its
 * time is over, it is called again and tells how things are. Source: dj.md 4.4, 5; appendix D. */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

typedef struct asked {
    gr_materialize_ask how;
    bool is_waiting;
    gr_str zone;
} asked;

static asked read_asked(gr_dj *dj) {
    asked ret = {.how.needs_strategy = gr_dj_is_strict(dj)};
    if (!dj->body) return ret;
    gr_dj_need_body(dj);
    ret.how.force = gr_dj_bool(dj, dj->body, "force", false);
    ret.how.strategy = gr_dj_text(dj, dj->body, "strategy", false);
    ret.is_waiting = gr_dj_bool(dj, dj->body, "wait", false);
    ret.zone = gr_dj_text(dj, dj->body, "timezone", false);
    return ret;
}

static gr_str zone_of(const gr_entity_view *view) {
    return view->row.decl.time_zone.n ? view->row.decl.time_zone : GR_STR("UTC");
}

gr_status gr_dj_in_zone(gr_dj *dj, gr_str zone, gr_entity_view *view, gr_error *err) {
    bool is_independent = !view->row.decl.time_zone.n;
    if (!zone.n || is_independent || gr_str_eq_nocase(zone, zone_of(view))) return GR_OK;
    gr_preagg_filter filter = {.node = view->row.decl.node, .version = view->row.version};
    gr_entity_view *all = NULL;
    size_t n = 0;
    int64_t total = 0;
    GR_TRY(gr_serve_entities(dj->serve, &filter, dj->arena, &all, &n, &total, err));
    for (size_t i = 0; i < n; i++) {
        if (!view->name.n || !gr_str_eq(all[i].name, view->name) || !gr_str_eq_nocase(zone, zone_of(&all[i]))) continue;
        *view = all[i];
        return GR_OK;
    }
    gr_error_set(err, GR_ERR_QUERY_TIMEZONE,
                 "Pre-aggregation '%.*s' has the time zone " GR_FMT ", and none of its name has %.*s",
                 (int)(dj->segments[0].n < 200 ? dj->segments[0].n : 200), dj->segments[0].p, GR_ARG(zone_of(view)),
                 (int)(zone.n < 100 ? zone.n : 100), zone.p);
    gr_error_hint(err, "A query in that time zone makes it, or a plan with `timezone`.");
    return GR_ERR_QUERY_TIMEZONE;
}

gr_status gr_dj_put_built(gr_dj *dj, const gr_entity_view *view, bool is_running) {
    if (is_running && !gr_dj_is_strict(dj)) dj->answer->http_status = 202;
    gr_http_put_entity(dj->w, view, gr_dj_is_strict(dj), dj->arena);
    return GR_OK;
}

/* The build that was waited for: it is done, it failed, or it goes on. */
gr_status gr_dj_put_outcome(gr_dj *dj, gr_entity_view *view, gr_error *err) {
    gr_flight_view flight = gr_flight_look(dj->waited);
    gr_error cause = {0};
    if (flight.is_done && flight.status) {
        (void)gr_flight_wait(dj->waited, 1, &cause);
        if (flight.status == GR_ERR_CANCELLED) return gr_error_set(err, flight.status, "%s", cause.message);
        gr_error_set(err, GR_ERR_PREAGG_BUILD, "%s", cause.message);
        if (cause.hint[0]) gr_error_hint(err, "%s", cause.hint);
        return GR_ERR_PREAGG_BUILD;
    }
    return gr_dj_put_built(dj, view, !flight.is_done);
}

gr_status gr_dj_do_materialize(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_flight *flight = NULL;
    asked what = read_asked(dj);
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_dj_in_zone(dj, what.zone, &view, err));
    dj->answer->http_status = 200;
    if (dj->waited) return gr_dj_put_outcome(dj, &view, err);
    GR_TRY(gr_serve_materialize(dj->serve, view.row.id, &what.how, dj->actor, dj->arena, &view, &flight, err));
    if (flight && what.is_waiting) {
        dj->answer->flight = flight;
        return GR_OK;
    }
    bool is_running = flight != NULL;
    gr_flight_unref(flight);
    return gr_dj_put_built(dj, &view, is_running);
}

/* ---- backfill -------------------------------------------------------------------------------- */
static gr_str read_date(gr_dj *dj, const char *key, bool is_needed) {
    int64_t us;
    gr_time_zone_part zone;
    bool is_date = false;
    gr_str text = gr_dj_text(dj, dj->body, key, is_needed);
    if (text.n && !(gr_time_parse(text, &us, &zone, &is_date) && is_date))
        gr_dj_detail_add(dj, "body", gr_str_from(key), "date_parsing", "The value must be a date, YYYY-MM-DD");
    return text;
}

static gr_status check_backfill(const gr_entity_view *view, gr_error *err) {
    if (view->row.decl.external.n)
        return gr_error_set(err, GR_ERR_PREAGG_EXTERNAL,
                            "Pre-aggregation %lld is an external table: something else fills it",
                            (long long)view->row.id);
    if (view->row.workflow_status.n) return GR_OK;
    gr_error_set(err, GR_ERR_QUERY_INVALID, "Pre-aggregation %lld has no workflow", (long long)view->row.id);
    gr_error_hint(err, "POST /preaggs/%lld/materialize makes one.", (long long)view->row.id);
    return GR_ERR_QUERY_INVALID;
}

static void put_backfill(gr_dj *dj, int64_t id, gr_str from, gr_str to) {
    gr_jw *w = dj->w;
    gr_jw_object(w);
    gr_jw_key_str(w, "job_url", gr_arena_printf(dj->arena, "/pre-aggregations/%lld/builds", (long long)id));
    gr_jw_key_str(w, "start_date", from);
    gr_jw_key_str(w, "end_date", to);
    gr_jw_key_str(w, "status", GR_STR("running"));
    gr_jw_object_end(w);
}

/* There are no partitions yet: the whole is built again, which has the range in it. */
gr_status gr_dj_do_backfill(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_flight *flight = NULL;
    char today[48];
    gr_dj_need_body(dj);
    gr_str from = read_date(dj, "start_date", true), to = read_date(dj, "end_date", false);
    if (!to.n) to = (gr_str){today, gr_time_format(dj->actor.now_us, today) - sizeof "T00:00:00.000" + 1};
    GR_TRY(gr_dj_entity(dj, &view, err));
    if (gr_str_cmp(from, to) > 0)
        return gr_error_set(err, GR_ERR_QUERY_DATE, "start_date " GR_FMT " is after end_date " GR_FMT, GR_ARG(from),
                            GR_ARG(to));
    GR_TRY(check_backfill(&view, err));
    gr_materialize_ask how = {.force = true, .needs_strategy = true};
    GR_TRY(gr_serve_materialize(dj->serve, view.row.id, &how, dj->actor, dj->arena, &view, &flight, err));
    gr_flight_unref(flight);
    put_backfill(dj, view.row.id, from, to);
    return GR_OK;
}
