/* Partitions of a pre-aggregation: the list, and building chosen ones again. Source: cube.md 6.2; docs/http-api.md. */
#include "http/dj_internal.h"
#include "http/encode.h"
#include "http/encode_dj.h"
#include "serve/partitions.h"

static gr_ctx new_ctx(const gr_dj *dj) {
    return (gr_ctx){.arena = dj->arena,
                    .deadline_mono_us = gr_clock_mono_us() + gr_serve_config(dj->serve)->query_timeout_ms * 1000,
                    .now_us = dj->actor.now_us};
}

/* ---- the list -------------------------------------------------------------------------------- */
static void put_i64_or_null(gr_jw *w, const char *key, bool is_there, int64_t value) {
    if (is_there)
        gr_jw_key_i64(w, key, value);
    else
        gr_http_put_null_key(w, key);
}

static void put_partition(gr_jw *w, const gr_partition_view *p) {
    bool is_made = p->status != GR_PARTITION_MISSING;
    gr_jw_object(w);
    gr_http_put_text_or_null(w, "partition", p->digits);
    gr_http_put_text_or_null(w, "name", p->name);
    gr_http_put_text_or_null(w, "from", p->from);
    gr_http_put_text_or_null(w, "to", p->to);
    gr_jw_key_str(w, "status", gr_serve_partition_status_name(p->status));
    gr_http_put_text_or_null(w, "table", p->table);
    put_i64_or_null(w, "rows", is_made, p->rows);
    put_i64_or_null(w, "bytes", is_made, p->bytes);
    gr_http_put_text_or_null(w, "checksum", p->checksum);
    gr_jw_key(w, GR_STR("built_at"));
    gr_http_put_instant(w, p->built_us);
    gr_jw_key(w, GR_STR("verified_at"));
    gr_http_put_instant(w, p->verified_us);
    gr_http_put_text_or_null(w, "refresh_value", p->refresh_value);
    put_i64_or_null(w, "version", is_made, p->since);
    gr_http_put_text_or_null(w, "quarantine", p->quarantine);
    gr_jw_object_end(w);
}

static void put_building(gr_jw *w, const gr_partitions_view *view) {
    gr_jw_key(w, GR_STR("building"));
    if (!view->has_flight) {
        gr_jw_null(w);
        return;
    }
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("progress"));
    if (view->flight.fraction >= 0)
        gr_jw_f64(w, view->flight.fraction);
    else
        gr_jw_null(w);
    gr_jw_key_i64(w, "partitions_done", (int64_t)view->flight.n_done);
    gr_jw_key_i64(w, "partitions_due", (int64_t)view->flight.n_due);
    gr_jw_key_i64(w, "rows", view->flight.rows_built);
    gr_http_put_transfer(w, view->flight.moved_rows, view->flight.moved_bytes, view->flight.moved_us);
    gr_jw_object_end(w);
}

gr_status gr_dj_do_partitions(gr_dj *dj, gr_error *err) {
    gr_entity_view entity;
    gr_partitions_view view;
    gr_jw *w = dj->w;
    bool is_summary = gr_dj_param_bool(dj, "summary", false);
    GR_TRY(gr_dj_entity(dj, &entity, err));
    GR_TRY(gr_dj_in_zone(dj, gr_dj_param(dj, "timezone"), &entity, err));
    gr_ctx ctx = new_ctx(dj);
    GR_TRY(gr_serve_partitions(dj->serve, &ctx, entity.row.id, &view, err));
    gr_jw_object(w);
    gr_jw_key_i64(w, "pre_aggregation_id", view.entity.row.id);
    gr_http_put_text_or_null(w, "name", view.entity.name);
    gr_jw_key_str(w, "timezone", view.zone);
    gr_jw_key_str(w, "status", gr_preagg_status_name(view.entity.row.status));
    gr_http_put_text_or_null(w, "error", view.entity.row.error);
    gr_jw_key_bool(w, "is_building", view.is_building);
    put_building(w, &view);
    gr_jw_key_i64(w, "total", (int64_t)view.n);
    gr_jw_key_i64(w, "built", (int64_t)view.counts[GR_PARTITION_BUILT]);
    gr_jw_key_i64(w, "missing", (int64_t)view.counts[GR_PARTITION_MISSING]);
    gr_jw_key_i64(w, "quarantined", (int64_t)view.counts[GR_PARTITION_QUARANTINED]);
    gr_jw_key_i64(w, "rows", view.rows);
    if (!is_summary) {
        gr_jw_key(w, GR_STR("partitions"));
        gr_jw_array(w);
        for (size_t i = 0; i < view.n; i++) put_partition(w, &view.v[i]);
        gr_jw_array_end(w);
    }
    gr_jw_object_end(w);
    return GR_OK;
}

/* ---- refresh --------------------------------------------------------------------------------- */
typedef struct asked {
    gr_partitions_ask how;
    bool is_waiting;
    gr_str zone;
} asked;

/* An unknown field is refused: of a misspelt choice nothing would be left but all. */
static asked read_asked(gr_dj *dj) {
    static const char *const known[] = {"partitions", "dateRange", "force", "wait", "timezone", NULL};
    asked ret = {.how.is_forced = true};
    if (!dj->body) return ret;
    gr_dj_need_body(dj);
    gr_dj_refuse_others(dj, known);
    const json_t *names_given = json_object_get(dj->body, "partitions"),
                 *range_given = json_object_get(dj->body, "dateRange");
    bool has_names = names_given && !json_is_null(names_given), has_range = range_given && !json_is_null(range_given);
    gr_dj_texts names = gr_dj_texts_of(dj, dj->body, "partitions", false),
                range = gr_dj_texts_of(dj, dj->body, "dateRange", false);
    if (has_names && !names.n && json_is_array(names_given))
        gr_dj_detail_add(dj, "body", GR_STR("partitions"), "too_short",
                         "The list has no partition; without it all are meant");
    if (has_range && range.n != 2 && json_is_array(range_given))
        gr_dj_detail_add(dj, "body", GR_STR("dateRange"), "too_short", "The range is a list of two dates or times");
    if (has_names && has_range)
        gr_dj_detail_add(dj, "body", GR_STR("dateRange"), "extra_forbidden", "Give either partitions or dateRange");
    ret.how.names = names.v;
    ret.how.n_names = names.n;
    if (range.n == 2) {
        ret.how.from = range.v[0];
        ret.how.to = range.v[1];
        if (!ret.how.from.n || !ret.how.to.n)
            gr_dj_detail_add(dj, "body", GR_STR("dateRange"), "date_parsing", "A bound of the range is empty");
    }
    ret.how.is_forced = gr_dj_bool(dj, dj->body, "force", true);
    ret.is_waiting = gr_dj_bool(dj, dj->body, "wait", false);
    ret.zone = gr_dj_text(dj, dj->body, "timezone", false);
    return ret;
}

gr_status gr_dj_do_partitions_refresh(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_flight *flight = NULL;
    asked what = read_asked(dj);
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_dj_in_zone(dj, what.zone, &view, err));
    dj->answer->http_status = 200;
    if (dj->waited) return gr_dj_put_outcome(dj, &view, err);
    gr_ctx ctx = new_ctx(dj);
    GR_TRY(gr_serve_partitions_refresh(dj->serve, &ctx, view.row.id, &what.how, dj->actor, &view, &flight, err));
    if (flight && what.is_waiting) {
        dj->answer->flight = flight;
        return GR_OK;
    }
    bool is_running = flight != NULL;
    gr_flight_unref(flight);
    return gr_dj_put_built(dj, &view, is_running);
}
