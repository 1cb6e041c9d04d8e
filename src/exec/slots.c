/* Which partitions a rollup has, or would have: for those who list or choose some, and build nothing yet.
 * Invariant: what is cut here are the partitions that a build makes (range.c), of the same runs and under the same
 * names. */
#include "exec/build.h"

typedef GR_VEC(gr_exec_slot) slots;

static gr_status cut(const gr_exec *exec, const gr_rollup *r, const gr_tz *zone, const gr_exec_range *range,
                     int64_t now_us, gr_arena *arena, slots *all, gr_error *err) {
    gr_exec_parts parts;
    GR_TRY(gr_exec_parts_list(r, zone, range, exec->config->build_max_partitions, now_us, arena, &parts, err));
    for (size_t i = 0; i < parts.n; i++) {
        gr_exec_slot slot = {parts.v[i].run, gr_exec_part_digits(r, parts.v[i].start_us, arena)};
        GR_PUSH(arena, all, slot);
    }
    return GR_OK;
}

static void give(slots *all, gr_exec_slot **ret, size_t *ret_n) {
    *ret = all->v;
    *ret_n = all->n;
}

gr_status gr_exec_slots_ask(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *rollup,
                            const gr_tz *zone, gr_exec_slot **ret, size_t *ret_n, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    slots all = {0};
    if (r->partition == GR_GRAIN_NONE) {
        gr_exec_slot whole = {.run = gr_run_all};
        GR_PUSH(ctx->arena, &all, whole);
        give(&all, ret, ret_n);
        return GR_OK;
    }
    gr_exec_range range;
    gr_status status = gr_exec_range_read(exec, NULL, ctx, snapshot, r, zone, (gr_sql_load_options){0}, &range, err);
    GR_TRY(status);
    GR_TRY(cut(exec, r, zone, &range, ctx->now_us, ctx->arena, &all, err));
    give(&all, ret, ret_n);
    return GR_OK;
}

gr_status gr_exec_slots_cut(const gr_exec *exec, const gr_rollup *rollup, const gr_tz *zone, gr_run run, int64_t now_us,
                            gr_arena *arena, gr_exec_slot **ret, size_t *ret_n, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    bool is_timeless = run.from_us == INT64_MIN;
    gr_exec_range range = {
        .run = run, .has_from = r->range_start.n > 0, .has_to = r->range_end.n > 0, .n_without_time = is_timeless};
    if (is_timeless) range.run = (gr_run){0, 0};
    slots all = {0};
    GR_TRY(cut(exec, r, zone, &range, now_us, arena, &all, err));
    give(&all, ret, ret_n);
    return GR_OK;
}

gr_str gr_exec_slot_digits(const gr_rollup *rollup, gr_run run, gr_arena *arena) {
    const gr_rollup *r = rollup->entity;
    if (r->partition == GR_GRAIN_NONE) return (gr_str){0};
    if (run.to_us == INT64_MIN) return gr_exec_part_digits(r, INT64_MIN, arena);
    return gr_exec_part_digits(r, gr_granularity_floor(gr_granularity_predefined(r->partition), 0, run.from_us), arena);
}

const gr_tz *gr_exec_stored_zone(const gr_rollup *rollup, const gr_tz *zone) {
    const gr_rollup *r = rollup->entity;
    return r->ranged && r->ranged->is_instant ? gr_tz_utc() : zone;
}

gr_status gr_exec_entity_id(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                            int64_t *ret, gr_error *err) {
    gr_exec_entry e;
    pthread_mutex_lock(&exec->publish);
    gr_status status =
        gr_exec_entry_for(exec, gr_exec_base_of(snapshot), rollup, gr_rollup_zone(rollup->entity, zone), &e, err);
    pthread_mutex_unlock(&exec->publish);
    if (!status) *ret = e.entity_id;
    return status;
}
