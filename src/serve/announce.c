/* What builds and reloads tell: events, counts, and of a build that failed a line in the log. Called by those who do
 * the work, on their thread. */
#include "serve/internal.h"

#include "base/log.h"

void gr_serve_event(gr_serve *serve, gr_event_kind kind, const gr_event_fields *fields) {
    gr_serve_bus_put(serve->bus, kind, fields);
}

/* ---- builds ---------------------------------------------------------------------------------- */
typedef struct built {
    bool is_built;
    int64_t entity_id, number, rows;
} built;

/* What serves now, by the newest snapshot: no question to the catalog. */
static built look(gr_serve *serve, const gr_flight *f) {
    const gr_snapshot *newest = gr_serve_snapshot_ref(serve);
    const gr_rollup *r = gr_flight_rollup(f, newest);
    const gr_rollup_state *state = r ? gr_snapshot_state(newest, r->preagg, f->zone) : NULL;
    built found = {0};
    if (state) found.entity_id = state->entity_id;
    if (state && state->is_built) found = (built){true, state->entity_id, state->build_number, state->rows};
    gr_serve_snapshot_unref(newest);
    return found;
}

static gr_event_fields fields_of(const gr_flight *f, built now) {
    return (gr_event_fields){.pre_aggregation = f->rollup->preagg->id,
                             .zone = gr_tz_name(f->zone),
                             .entity_id = f->entity_id ? f->entity_id : now.entity_id};
}

void gr_serve_build_begun(gr_flight *f) {
    gr_trace_enter(&f->trace);
    built now = look(f->serve, f);
    gr_event_fields fields = fields_of(f, now);
    if (f->has_claim) fields.build_number = f->claim.number;
    f->number_before = now.number;
    f->begun_mono_us = gr_clock_mono_us();
    gr_serve_event(f->serve, GR_EVENT_BUILD_STARTED, &fields);
}

void gr_serve_build_ended(gr_flight *f, gr_status status, const gr_error *err) {
    int64_t us = gr_clock_mono_us() - f->begun_mono_us;
    built now = look(f->serve, f);
    gr_event_fields fields = fields_of(f, now);
    fields.has_duration = true;
    fields.duration_ms = us / 1000;
    gr_serve_stats_built(&f->serve->stats, !status, us);
    if (status) {
        fields.build_number = f->has_claim ? f->claim.number : 0;
        fields.error = gr_str_from(err->message);
        gr_serve_event(f->serve, GR_EVENT_BUILD_FAILED, &fields);
        bool is_given_up = status == GR_ERR_CANCELLED;
        gr_log_event(is_given_up ? GR_LOG_INFO : GR_LOG_WARN, gr_event_name(GR_EVENT_BUILD_FAILED).p, "pre_aggregation",
                     fields.pre_aggregation, "zone", fields.zone, "ms", gr_log_i64(fields.duration_ms), "id",
                     gr_str_from(gr_error_info_of(status)->id), "error", fields.error, NULL);
    } else {
        fields.build_number = now.number;
        fields.has_rows = now.is_built; /* a rollup_join has no table of its own */
        fields.rows = now.rows;
        gr_serve_event(f->serve, GR_EVENT_BUILD_DONE, &fields);
        fields.has_duration = false;
        if (now.is_built && now.number != f->number_before)
            gr_serve_event(f->serve, GR_EVENT_VERSION_PUBLISHED, &fields);
    }
    gr_trace_enter(NULL);
}

/* ---- the model ------------------------------------------------------------------------------- */
/* An entity that was of the model before, is not now, and that no other server declares either. */
static void tell_if_stale(gr_serve *serve, const gr_snapshot *after, gr_str name, const gr_rollup_state *state,
                          gr_arena *arena) {
    const gr_tz *zone;
    gr_preagg_row row;
    gr_error ignored;
    bool is_found = false;
    if (!state->entity_id || gr_exec_rollup_of(after, state->entity_id, &zone)) return;
    if (gr_catalog_get(gr_exec_catalog(serve->exec), state->entity_id, arena, &row, &is_found, &ignored)) return;
    if (!is_found || row.status != GR_PREAGG_STALE) return;
    gr_event_fields fields = {.pre_aggregation = name, .zone = gr_tz_name(state->zone), .entity_id = state->entity_id};
    gr_serve_event(serve, GR_EVENT_STALE, &fields);
}

void gr_serve_reload_told(gr_serve *serve, const gr_snapshot *before) {
    gr_serve_event(serve, GR_EVENT_MODEL_RELOADED, NULL);
    const gr_snapshot *after = gr_serve_snapshot_ref(serve);
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < before->model->n_preaggs; i++) {
        const gr_rollup *r = gr_plan_index_rollup(before->index, before->model->preaggs[i]);
        if (r->entity != r) continue; /* another one's table: that one is told */
        for (size_t k = 0; k < before->n_states[i]; k++)
            tell_if_stale(serve, after, r->preagg->id, &before->states[i][k], arena);
    }
    gr_arena_free(arena);
    gr_serve_snapshot_unref(after);
}
