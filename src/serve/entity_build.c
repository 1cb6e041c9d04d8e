/* Builds of entities on request, and what goes with them: removal, settings, workflows. */
#include "serve/entity.h"

gr_status gr_serve_check_buildable(const gr_entity_view *view, gr_error *err) {
    long long id = view->row.id;
    if (view->row.decl.external.n)
        return gr_error_set(err, GR_ERR_PREAGG_EXTERNAL,
                            "Pre-aggregation %lld is a registered table: it is filled by somebody else", id);
    if (view->row.status == GR_PREAGG_MATERIALIZING)
        return gr_error_set(err, GR_ERR_PREAGG_MATERIALIZING, "Pre-aggregation %lld is being built already", id);
    return GR_OK;
}

/* DJ's own path starts a workflow: it needs a strategy, and gets a schedule. */
static gr_status take_workflow(gr_serve *serve, const gr_entity_view *view, const gr_materialize_ask *ask,
                               gr_actor actor, gr_arena *arena, gr_error *err) {
    gr_preagg_config config = {.strategy = ask->strategy};
    gr_preagg_row row;
    GR_TRY(gr_serve_check_config(&config, err));
    if (!ask->needs_strategy && !ask->strategy.n) return GR_OK;
    if (ask->needs_strategy && !ask->strategy.n && !view->row.strategy.n)
        return gr_error_set(err, GR_ERR_QUERY_INVALID,
                            "Pre-aggregation %lld has no strategy: set one with PATCH /preaggs/%lld/config",
                            (long long)view->row.id, (long long)view->row.id);
    if (ask->needs_strategy) {
        config.workflow_status = GR_STR("active");
        if (!view->row.schedule.n) config.schedule = GR_STR("0 0 * * *");
    }
    return gr_catalog_configure(gr_exec_catalog(serve->exec), view->row.id, &config, actor, arena, &row, err);
}

gr_status gr_serve_is_stale(const gr_entity_view *view, gr_error *err) {
    gr_error_set(err, GR_ERR_PREAGG_STALE,
                 "Pre-aggregation %lld is of version %.*s of '" GR_FMT "', which the model in service does not have",
                 (long long)view->row.id, (int)view->row.version.n, view->row.version.p, GR_ARG(view->row.decl.node));
    gr_error_hint(err, "materialize the one of the current version: GET /nodes/%.*s/pre-aggregations",
                  (int)view->row.decl.node.n, view->row.decl.node.p);
    return GR_ERR_PREAGG_STALE;
}

bool gr_serve_is_forced(const gr_entity_view *view, const gr_rollup *r, bool is_asked) {
    return is_asked || (view->row.status == GR_PREAGG_FAILED && r->partition == GR_GRAIN_NONE);
}

static gr_status start(gr_serve *serve, const gr_snapshot *snapshot, const gr_entity_view *view,
                       const gr_materialize_ask *ask, gr_actor actor, gr_flight **ret_flight, gr_error *err) {
    const gr_tz *zone;
    const gr_rollup *r = gr_exec_rollup_of(snapshot, view->row.id, &zone);
    if (!r) return gr_serve_is_stale(view, err);
    const gr_rollup_state *state = gr_snapshot_state(snapshot, r->preagg, zone);
    bool is_fresh =
        view->row.status == GR_PREAGG_ACTIVE && state && state->is_built && !state->lacks && !state->n_missing;
    if (is_fresh && !ask->force) return GR_OK;
    const gr_lane_ask all = {.run = gr_run_all, .is_forced = gr_serve_is_forced(view, r, ask->force)};
    return gr_lane_submit_claimed(serve, snapshot, r, zone, &all, actor, ret_flight, err);
}

gr_status gr_serve_materialize(gr_serve *serve, int64_t id, const gr_materialize_ask *ask, gr_actor actor,
                               gr_arena *arena, gr_entity_view *ret, gr_flight **ret_flight, gr_error *err) {
    gr_entity_view view;
    *ret_flight = NULL;
    GR_TRY(gr_serve_view_get(serve, id, arena, &view, err));
    GR_TRY(gr_serve_check_buildable(&view, err));
    /* Another server may have built, widened or made it a moment ago: what is built is what the catalog says now. */
    GR_TRY(gr_exec_refresh(serve->exec, err));
    GR_TRY(gr_serve_view_get(serve, id, arena, &view, err));
    GR_TRY(take_workflow(serve, &view, ask, actor, arena, err));
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    gr_status status = start(serve, snapshot, &view, ask, actor, ret_flight, err);
    gr_serve_snapshot_unref(snapshot);
    if (ask->needs_strategy)
        gr_serve_refresh_resync(serve); /* after the claim: the build is this one, not the refresh's */
    GR_TRY(status);
    status = gr_serve_view_get(serve, id, arena, ret, err);
    if (status) {
        gr_flight_unref(*ret_flight);
        *ret_flight = NULL;
    }
    return status;
}

gr_status gr_serve_entity_remove(gr_serve *serve, int64_t id, gr_actor actor, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_doomed_table *tables;
    size_t n = 0;
    gr_status status = gr_catalog_remove(gr_exec_catalog(serve->exec), id, actor, scratch, &tables, &n, err);
    if (!status) status = gr_exec_refresh(serve->exec, err);
    if (!status && n) status = gr_exec_drop_tables(serve->exec, tables, n, err);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_serve_entity_configure(gr_serve *serve, int64_t id, const gr_preagg_config *config, gr_actor actor,
                                    gr_arena *arena, gr_entity_view *ret, gr_error *err) {
    gr_preagg_row row;
    GR_TRY(gr_serve_view_get(serve, id, arena, ret, err));
    GR_TRY(gr_serve_check_config(config, err));
    GR_TRY(gr_catalog_configure(gr_exec_catalog(serve->exec), id, config, actor, arena, &row, err));
    gr_serve_refresh_resync(serve);
    return gr_serve_view_get(serve, id, arena, ret, err);
}

gr_status gr_serve_workflow_clear(gr_serve *serve, int64_t id, gr_actor actor, bool *ret_had, gr_error *err) {
    GR_TRY(gr_catalog_workflow_clear(gr_exec_catalog(serve->exec), id, actor, ret_had, err));
    gr_serve_refresh_resync(serve);
    return GR_OK;
}

gr_status gr_serve_workflows_clear(gr_serve *serve, gr_str node, bool stale_only, gr_actor actor, gr_arena *arena,
                                   gr_workflows_cleared *ret, gr_error *err) {
    gr_node_row row;
    gr_preagg_row *rows;
    size_t n;
    int64_t total;
    GR_TRY(gr_serve_node_row(serve, node, (gr_str){0}, arena, &row, err));
    gr_preagg_filter filter = {.node = row.decl.name};
    GR_TRY(gr_catalog_find(gr_exec_catalog(serve->exec), &filter, arena, &rows, &n, &total, err));
    *ret = (gr_workflows_cleared){.ids = GR_NEW_N(arena, int64_t, n + 1), .names = GR_NEW_N(arena, gr_str, n + 1)};
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].workflow_status.n || (stale_only && gr_str_eq(rows[i].version, row.current_version))) continue;
        bool had = false;
        if (gr_catalog_workflow_clear(gr_exec_catalog(serve->exec), rows[i].id, actor, &had, err)) {
            ret->n_skipped++; /* one that went away meanwhile keeps nobody else */
            continue;
        }
        if (!had) continue;
        ret->ids[ret->n] = rows[i].id;
        ret->names[ret->n++] = gr_arena_printf(arena, "preagg-%lld", (long long)rows[i].id);
    }
    if (ret->n) gr_serve_refresh_resync(serve);
    return GR_OK;
}
