/* The background refresh as JSON: of one pre-aggregation, and of all. */
#include "http/encode.h"
#include "http/encode_dj.h"

static void put_view(gr_jw *w, const gr_refresh_view *view) {
    gr_jw_key_bool(w, "is_building", view->is_building);
    gr_http_put_time_key(w, "next_at", view->next_us == INT64_MAX ? 0 : view->next_us);
    gr_http_put_time_key(w, "looked_at", view->looked_us);
    gr_jw_key_i64(w, "failures", view->n_failures);
    gr_http_put_text_or_null(w, "error", view->error);
}

void gr_http_put_refresh_key(gr_jw *w, bool is_refreshed, const gr_refresh_view *view) {
    gr_jw_key(w, GR_STR("refresh"));
    if (!is_refreshed) {
        gr_jw_null(w);
        return;
    }
    gr_jw_object(w);
    put_view(w, view);
    gr_jw_object_end(w);
}

gr_status gr_http_encode_refresh(const gr_refresh_overview *all, gr_buf *out, gr_error *err) {
    gr_jw writer, *w = &writer;
    gr_jw_init(w, out);
    gr_jw_object(w);
    gr_jw_key_str(w, "state", gr_serve_refresh_state_name(all->state));
    gr_jw_key_bool(w, "is_enabled", all->is_enabled);
    gr_jw_key_bool(w, "is_drained", all->is_drained);
    gr_jw_key_bool(w, "is_finished", all->is_finished);
    gr_jw_key_i64(w, "done", (int64_t)all->n_done);
    gr_jw_key_i64(w, "failed", (int64_t)all->n_failed);
    gr_jw_key(w, GR_STR("items"));
    gr_jw_array(w);
    for (size_t i = 0; i < all->n_items; i++) {
        const gr_refresh_item *item = &all->items[i];
        gr_jw_object(w);
        gr_jw_key_i64(w, "id", item->id);
        gr_jw_key_str(w, "pre_aggregation", item->preagg_id);
        gr_jw_key_str(w, "zone", item->zone);
        put_view(w, &item->view);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_object_end(w);
    return gr_http_encode_check(out, err);
}
