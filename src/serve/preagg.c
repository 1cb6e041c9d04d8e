/* Pre-aggregations by name: build, list, drop. */
#include "serve/entity.h"

const gr_rollup *gr_serve_rollup(const gr_snapshot *snapshot, gr_str id) {
    for (size_t i = 0; i < snapshot->model->n_preaggs; i++)
        if (gr_str_eq(snapshot->model->preaggs[i]->id, id))
            return gr_plan_index_rollup(snapshot->index, snapshot->model->preaggs[i]);
    return NULL;
}

gr_status gr_serve_no_preagg(const gr_snapshot *snapshot, gr_str id, gr_error *err) {
    gr_str names[256];
    size_t n = snapshot->model->n_preaggs < 256 ? snapshot->model->n_preaggs : 256;
    for (size_t i = 0; i < n; i++) names[i] = snapshot->model->preaggs[i]->id;
    gr_status status =
        gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "There is no pre-aggregation '" GR_FMT "'", GR_ARG(id));
    gr_str near = gr_diags_nearest(id, names, n);
    if (near.n)
        gr_error_hint(err, "did you mean '" GR_FMT "'?", GR_ARG(near));
    else
        gr_error_hint(err, "`granary preagg list` shows them all, as cube.name");
    return status;
}

gr_status gr_serve_build(gr_serve *serve, gr_str preagg_id, const gr_tz *zone, bool force, gr_flight **ret,
                         gr_error *err) {
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    const gr_rollup *rollup = gr_serve_rollup(snapshot, preagg_id);
    gr_status status = GR_OK;
    if (!rollup) {
        status = gr_serve_no_preagg(snapshot, preagg_id, err);
    } else if (!rollup->can_build || !rollup->entity->can_build) {
        const gr_rollup *stuck = rollup->can_build ? rollup->entity : rollup;
        status = gr_error_set(err, stuck->problem, "'" GR_FMT "' cannot be built: " GR_FMT, GR_ARG(preagg_id),
                              GR_ARG(stuck->problem_text));
    } else {
        const gr_tz *own = gr_rollup_zone(rollup, zone);
        const gr_rollup_state *state = gr_snapshot_state(snapshot, rollup->preagg, own);
        const gr_lane_ask ask = {.run = gr_run_all, .is_forced = force, .is_by_name = true};
        if (state && state->is_built && !state->lacks && !state->n_missing && !force)
            *ret = NULL;
        else
            status = gr_lane_submit(serve, snapshot, rollup, own, &ask, ret, err);
    }
    gr_serve_snapshot_unref(snapshot);
    return status;
}

static gr_status view_of(gr_serve *serve, const gr_snapshot *snapshot, const gr_rollup *r, const gr_rollup_state *state,
                         gr_arena *arena, gr_preagg_view *ret, gr_error *err) {
    *ret = (gr_preagg_view){.id = gr_arena_dup(arena, r->preagg->id),
                            .cube = gr_arena_dup(arena, r->preagg->cube->name),
                            .name = gr_arena_dup(arena, r->preagg->name),
                            .zone = state ? gr_tz_name(state->zone) : GR_STR("UTC"),
                            .store = r->can_build ? gr_store_name(r, arena) : GR_STR(""),
                            .status = GR_STR("pending"),
                            .problem = gr_arena_dup(arena, r->problem_text)};
    if (!state) return GR_OK;
    gr_preagg_row row;
    bool is_found = false;
    GR_TRY(gr_exec_entity(serve->exec, snapshot, r, state->zone, arena, &row, &is_found, err));
    if (!is_found) return GR_OK;
    ret->entity_id = row.id;
    ret->status = gr_preagg_status_name(row.status);
    ret->is_built = state->is_built;
    ret->error = row.error;
    ret->is_refreshed = gr_serve_refresh_view(serve, row.id, arena, &ret->refresh);
    if (!state->is_built) return GR_OK;
    ret->table = row.serving.table_name;
    ret->build_number = row.serving.number;
    ret->rows = row.serving.rows;
    ret->bytes = row.serving.bytes;
    ret->built_at_us = row.serving.finished_us;
    ret->build_ms = (row.serving.finished_us - row.serving.started_us) / 1000;
    return GR_OK;
}

gr_status gr_serve_preaggs(gr_serve *serve, gr_arena *arena, gr_preagg_view **ret, size_t *ret_n, gr_error *err) {
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    GR_VEC(gr_preagg_view) views = {0};
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < snapshot->model->n_preaggs; i++) {
        const gr_rollup *r = gr_plan_index_rollup(snapshot->index, snapshot->model->preaggs[i]);
        uint32_t at = r->entity->preagg->index;
        size_t n = snapshot->n_states[at];
        for (size_t k = 0; !status && k < (n ? n : 1); k++) {
            gr_preagg_view view;
            status = view_of(serve, snapshot, r, n ? &snapshot->states[at][k] : NULL, arena, &view, err);
            if (!status) GR_PUSH(arena, &views, view);
        }
    }
    gr_serve_snapshot_unref(snapshot);
    if (status) return status;
    *ret = views.v;
    *ret_n = views.n;
    return GR_OK;
}

gr_status gr_serve_drop(gr_serve *serve, gr_str preagg_id, size_t *ret_tables, gr_error *err) {
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    const gr_rollup *rollup = gr_serve_rollup(snapshot, preagg_id);
    gr_status status = rollup ? gr_exec_drop(serve->exec, &ctx, rollup, ret_tables, err)
                              : gr_serve_no_preagg(snapshot, preagg_id, err);
    gr_arena_free(arena);
    gr_serve_snapshot_unref(snapshot);
    return status;
}
