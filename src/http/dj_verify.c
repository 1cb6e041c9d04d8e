/* What is stored against its source, on request. */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

static void put_part(gr_jw *w, const gr_verified_part *part) {
    gr_jw_object(w);
    gr_http_put_text_or_null(w, "partition", part->name);
    gr_jw_key_str(w, "verdict", gr_verdict_name(part->verdict));
    gr_jw_key_i64(w, "rows", part->rows);
    gr_http_put_text_or_null(w, "difference", part->what);
    gr_jw_object_end(w);
}

static void put_verification(gr_jw *w, gr_str id, const gr_verification *v, bool is_rebuilding) {
    gr_jw_object(w);
    gr_jw_key_str(w, "pre_aggregation", id);
    gr_jw_key(w, GR_STR("can_verify"));
    gr_jw_bool(w, v->can_verify);
    for (int i = 0; i < GR_VERDICT__COUNT; i++) {
        gr_jw_key(w, gr_verdict_name((gr_verdict)i));
        gr_jw_i64(w, (int64_t)v->counts[i]);
    }
    gr_jw_key(w, GR_STR("rebuilding"));
    gr_jw_bool(w, is_rebuilding);
    gr_jw_key(w, GR_STR("partitions"));
    gr_jw_array(w);
    for (size_t i = 0; i < v->n; i++) put_part(w, &v->parts[i]);
    gr_jw_array_end(w);
    gr_jw_object_end(w);
}

gr_status gr_dj_do_verify(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    gr_verification v;
    gr_flight *flight = NULL;
    gr_ctx ctx = {.arena = dj->arena, .now_us = gr_clock_now_us()};
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_serve_verify_entity(dj->serve, &ctx, view.row.id, &v, &flight, err));
    put_verification(dj->w, view.name.n ? view.name : dj->segments[0], &v, flight != NULL);
    gr_flight_unref(flight);
    return GR_OK;
}
