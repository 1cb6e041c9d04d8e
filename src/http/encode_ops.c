/* Errors and the answers of the operations: pre-aggregations, progress of builds, diagnostics of a reload.
 * Invariant: every error body has the stable id of errors.def. Source: cube.md 3.3; decisions 20. */
#include "http/encode.h"
#include "http/encode_dj.h"

#include <stdio.h>

/* ---- errors ---------------------------------------------------------------------------------- */
int gr_http_error_status(gr_status status) { return status == GR_OK ? 500 : gr_error_info_of(status)->http_status; }

static void put_location(gr_jw *w, const gr_error *error) {
    if (!error->file[0]) return;
    char text[300];
    int n = snprintf(text, sizeof text, "%s:%u:%u", error->file, error->loc.line, error->loc.col);
    gr_jw_key_str(w, "location", (gr_str){text, (size_t)n});
}

void gr_http_encode_error(const gr_error *error, gr_str request_id, gr_buf *out) {
    const gr_error_info *info = gr_error_info_of(error->status);
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_object(&w);
    if (info->is_user) gr_jw_key_str(&w, "type", GR_STR("UserError"));
    gr_jw_key(&w, GR_STR("error"));
    char text[sizeof error->message + 8];
    int n = snprintf(text, sizeof text, "%s%s", info->http_status == 500 ? "Error: " : "", error->message);
    gr_jw_str(&w, (gr_str){text, (size_t)n});
    gr_jw_key_str(&w, "id", gr_str_from(info->id));
    gr_http_put_text_key(&w, "hint", gr_str_from(error->hint));
    put_location(&w, error);
    gr_http_put_text_key(&w, "requestId", request_id);
    gr_jw_object_end(&w);
}

void gr_http_encode_diags(const gr_diags *diags, gr_buf *out) {
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_array(&w);
    for (size_t i = 0; i < diags->list.n; i++) {
        const gr_diag *diag = &diags->list.v[i];
        gr_jw_object(&w);
        gr_jw_key_str(&w, "severity", diag->is_warning ? GR_STR("warning") : GR_STR("error"));
        gr_jw_key_str(&w, "id", gr_str_from(gr_error_info_of(diag->status)->id));
        gr_jw_key_str(&w, "message", diag->message);
        gr_http_put_text_key(&w, "hint", diag->hint);
        gr_http_put_text_key(&w, "file", diag->loc.file);
        if (diag->loc.line) gr_jw_key_i64(&w, "line", diag->loc.line);
        if (diag->loc.col) gr_jw_key_i64(&w, "column", diag->loc.col);
        gr_jw_object_end(&w);
    }
    gr_jw_array_end(&w);
}

/* ---- pre-aggregations ------------------------------------------------------------------------ */
static void put_view(gr_jw *w, const gr_preagg_view *view) {
    gr_jw_object(w);
    gr_jw_key_str(w, "id", view->id);
    gr_jw_key_str(w, "cube", view->cube);
    gr_jw_key_str(w, "name", view->name);
    gr_jw_key_str(w, "timezone", view->zone);
    gr_jw_key_str(w, "store", view->store);
    if (view->entity_id)
        gr_jw_key_i64(w, "entity_id", view->entity_id);
    else
        gr_http_put_null_key(w, "entity_id");
    gr_jw_key_str(w, "status", view->status);
    gr_jw_key_bool(w, "is_built", view->is_built);
    if (view->is_built) {
        gr_jw_key_str(w, "table", view->table);
        gr_jw_key_i64(w, "version", view->build_number);
        gr_jw_key_i64(w, "rows", view->rows);
        gr_jw_key_i64(w, "bytes", view->bytes);
        gr_jw_key(w, GR_STR("built_at"));
        gr_http_put_instant(w, view->built_at_us);
        gr_jw_key_i64(w, "build_ms", view->build_ms);
    }
    gr_http_put_text_key(w, "error", view->error);
    gr_http_put_text_key(w, "problem", view->problem);
    gr_http_put_refresh_key(w, view->is_refreshed, &view->refresh);
    gr_jw_object_end(w);
}

gr_status gr_http_encode_preaggs(const gr_preagg_view *views, size_t n, gr_buf *out, gr_error *err) {
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_object(&w);
    gr_jw_key(&w, GR_STR("pre_aggregations"));
    gr_jw_array(&w);
    for (size_t i = 0; i < n; i++) put_view(&w, &views[i]);
    gr_jw_array_end(&w);
    gr_jw_object_end(&w);
    return gr_http_encode_check(out, err);
}

void gr_http_put_transfer(gr_jw *w, int64_t rows, int64_t bytes, int64_t us) {
    const double seconds = (double)us / 1e6;
    if (!us) return;
    gr_jw_key(w, GR_STR("transfer"));
    gr_jw_object(w);
    gr_jw_key_i64(w, "rows", rows);
    gr_jw_key_i64(w, "bytes", bytes);
    gr_jw_key_i64(w, "rows_per_second", (int64_t)((double)rows / seconds));
    gr_jw_key_i64(w, "bytes_per_second", (int64_t)((double)bytes / seconds));
    gr_jw_object_end(w);
}

gr_http_progress gr_http_progress_of(gr_flight *flight, gr_str zone, gr_error *error) {
    gr_flight_view view = gr_flight_look(flight);
    gr_http_progress progress = {.preagg_id = view.preagg_id,
                                 .zone = zone,
                                 .status = GR_STR("materializing"),
                                 .is_done = view.is_done,
                                 .fraction = view.fraction,
                                 .rows = view.rows,
                                 .started_us = view.started_us,
                                 .moved_rows = view.moved_rows,
                                 .moved_bytes = view.moved_bytes,
                                 .moved_us = view.moved_us};
    if (!view.is_done) return progress;
    progress.status = view.status ? GR_STR("failed") : GR_STR("active");
    if (!view.status) {
        progress.fraction = 1;
        return progress;
    }
    /* It is done: the wait is over at once and only fetches the build's error. */
    *error = (gr_error){.status = view.status};
    (void)gr_flight_wait(flight, 1, error);
    if (!error->status) error->status = view.status;
    progress.error = error;
    return progress;
}

gr_status gr_http_encode_progress(const gr_http_progress *progress, gr_buf *out, gr_error *err) {
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_object(&w);
    if (progress->entity_id) gr_jw_key_i64(&w, "pre_aggregation_id", progress->entity_id);
    gr_jw_key_str(&w, "pre_aggregation", progress->preagg_id);
    gr_jw_key_str(&w, "timezone", progress->zone);
    gr_jw_key_str(&w, "status", progress->status);
    gr_jw_key_bool(&w, "is_done", progress->is_done);
    gr_jw_key(&w, GR_STR("progress"));
    if (progress->fraction >= 0)
        gr_jw_f64(&w, progress->fraction > 1 ? 1 : progress->fraction);
    else
        gr_jw_null(&w);
    gr_jw_key_i64(&w, "rows", progress->rows);
    gr_jw_key(&w, GR_STR("started_at"));
    gr_http_put_instant(&w, progress->started_us);
    gr_http_put_transfer(&w, progress->moved_rows, progress->moved_bytes, progress->moved_us);
    if (progress->error) {
        gr_jw_key_str(&w, "error", gr_str_from(progress->error->message));
        gr_jw_key_str(&w, "error_id", gr_str_from(gr_error_info_of(progress->error->status)->id));
    }
    gr_jw_object_end(&w);
    return gr_http_encode_check(out, err);
}
