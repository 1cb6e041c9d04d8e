/* Lineage, and the importer of DataJunction's materializations. */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

/* ---- lineage --------------------------------------------------------------------------------- */
static bool read_format(gr_dj *dj) {
    gr_str format = gr_dj_param(dj, "format");
    bool is_dot = gr_str_eq(format, GR_STR("dot"));
    if (format.n && !is_dot && !gr_str_eq(format, GR_STR("json")))
        gr_dj_detail_add(dj, "query", GR_STR("format"), "enum", "format is json or dot");
    return is_dot;
}

static gr_status put_lineage(gr_dj *dj, gr_str name, gr_error *err) {
    gr_lineage lineage = {0};
    bool is_dot = read_format(dj);
    GR_TRY(gr_dj_check(dj, err));
    gr_status status = gr_serve_lineage(dj->serve, name, dj->arena, &lineage, err);
    if (gr_dj_is(status, "node.not_found")) return gr_dj_no_node(name, err);
    GR_TRY(status);
    if (!is_dot) {
        gr_http_put_lineage(dj->w, &lineage);
        return GR_OK;
    }
    gr_buf_add(dj->w->out, gr_serve_lineage_dot(&lineage, dj->arena));
    dj->answer->content_type = "text/vnd.graphviz; charset=utf-8";
    return GR_OK;
}

gr_status gr_dj_do_lineage(gr_dj *dj, gr_error *err) { return put_lineage(dj, gr_dj_param(dj, "name"), err); }

gr_status gr_dj_do_lineage_of_node(gr_dj *dj, gr_error *err) { return put_lineage(dj, dj->segments[0], err); }

gr_status gr_dj_do_lineage_of(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    GR_TRY(gr_dj_entity(dj, &view, err));
    return put_lineage(dj, gr_arena_printf(dj->arena, "%lld", (long long)view.row.id), err);
}

/* ---- import ---------------------------------------------------------------------------------- */
static void put_line(gr_jw *w, const gr_import_line *line) {
    gr_jw_object(w);
    gr_jw_key_str(w, "cube", line->cube);
    gr_http_put_text_or_null(w, "source_node", line->source_node);
    gr_jw_key_str(w, "result", line->result);
    gr_http_put_text_or_null(w, "problem", line->problem);
    if (line->entity_id)
        gr_jw_key_i64(w, "pre_aggregation_id", line->entity_id);
    else
        gr_http_put_null_key(w, "pre_aggregation_id");
    gr_jw_object_end(w);
}

gr_status gr_dj_do_import(gr_dj *dj, gr_error *err) {
    gr_import_line *lines = NULL;
    size_t n = 0;
    if (!dj->body && !dj->details.n)
        gr_dj_detail_add(dj, "body", (gr_str){0}, "missing", "A JSON object or list is required");
    GR_TRY(gr_dj_check(dj, err));
    GR_TRY(gr_serve_import_materializations(dj->serve, dj->body, dj->actor, dj->arena, &lines, &n, err));
    gr_jw_object(dj->w);
    gr_jw_key(dj->w, GR_STR("results"));
    gr_jw_array(dj->w);
    for (size_t i = 0; i < n; i++) put_line(dj->w, &lines[i]);
    gr_jw_array_end(dj->w);
    gr_jw_object_end(dj->w);
    return GR_OK;
}
