/* Strategy, schedule and workflow of entities. Source: dj.md 4.3. */
#include "http/dj_internal.h"
#include "http/encode_dj.h"

gr_status gr_dj_do_config(gr_dj *dj, gr_error *err) {
    static const char *const known[] = {"strategy", "schedule", "lookback_window", NULL};
    gr_entity_view view;
    gr_dj_need_body(dj);
    gr_dj_refuse_others(dj, known);
    gr_preagg_config config = {.strategy = gr_dj_text(dj, dj->body, "strategy", false),
                               .schedule = gr_dj_text(dj, dj->body, "schedule", false),
                               .lookback_window = gr_dj_text(dj, dj->body, "lookback_window", false)};
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_serve_entity_configure(dj->serve, view.row.id, &config, dj->actor, dj->arena, &view, err));
    gr_http_put_entity(dj->w, &view, true, dj->arena);
    return GR_OK;
}

gr_status gr_dj_do_workflow_clear(gr_dj *dj, gr_error *err) {
    gr_entity_view view;
    bool had = false;
    GR_TRY(gr_dj_entity(dj, &view, err));
    GR_TRY(gr_serve_workflow_clear(dj->serve, view.row.id, dj->actor, &had, err));
    gr_jw_object(dj->w);
    gr_http_put_null_key(dj->w, "workflow_url");
    gr_jw_key_str(dj->w, "status", GR_STR("none"));
    gr_jw_key_str(dj->w, "message",
                  had ? GR_STR("The workflow is stopped; strategy, schedule and lookback window are cleared.")
                      : GR_STR("There was no workflow."));
    gr_jw_object_end(dj->w);
    return GR_OK;
}

static void put_cleared(gr_jw *w, const gr_workflows_cleared *cleared, gr_arena *arena) {
    gr_jw_object(w);
    gr_jw_key_i64(w, "deactivated_count", (int64_t)cleared->n);
    gr_jw_key(w, GR_STR("deactivated"));
    gr_jw_array(w);
    for (size_t i = 0; i < cleared->n; i++) {
        gr_jw_object(w);
        gr_jw_key_i64(w, "id", cleared->ids[i]);
        gr_jw_key_str(w, "workflow_name", cleared->names[i]);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_key_i64(w, "skipped_count", (int64_t)cleared->n_skipped);
    gr_jw_key_str(w, "message",
                  cleared->n
                      ? gr_arena_printf(arena, "%zu workflow%s stopped.", cleared->n, cleared->n == 1 ? " is" : "s are")
                      : GR_STR("There was no active workflow."));
    gr_jw_object_end(w);
}

gr_status gr_dj_do_workflows_clear(gr_dj *dj, gr_error *err) {
    gr_workflows_cleared cleared = {0};
    gr_node_view node;
    gr_str name = gr_dj_param(dj, "node_name");
    bool stale_only = gr_dj_param_bool(dj, "stale_only", false);
    if (!name.n) gr_dj_detail_add(dj, "query", GR_STR("node_name"), "missing", "Field required");
    GR_TRY(gr_dj_check(dj, err));
    GR_TRY(gr_dj_node(dj, name, (gr_str){0}, &node, err));
    GR_TRY(gr_serve_workflows_clear(dj->serve, node.row.decl.name, stale_only, dj->actor, dj->arena, &cleared, err));
    put_cleared(dj->w, &cleared, dj->arena);
    return GR_OK;
}
