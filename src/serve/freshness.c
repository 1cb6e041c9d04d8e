/* What the refresh key of a pre-aggregation says now: its policy, and the values of the queries in it. Whoever builds
 * keeps these with what is built; whoever looks compares. Source: cube.md 6.6; refresh/refresh.h. */
#include "serve/refresher.h"

#include "base/log.h"

/* All cubes that decide what is stored, the pre-aggregation's own first. */
static size_t cubes_of(const gr_rollup *r, gr_arena *arena, const gr_cube ***ret) {
    GR_VEC(const gr_cube *) all = {0};
    GR_PUSH(arena, &all, r->preagg->cube);
    for (size_t f = 0; f < r->n_facts; f++)
        for (size_t i = 0; i < r->trees[f].n; i++) {
            bool is_known = false;
            for (size_t k = 0; k < all.n; k++) is_known |= all.v[k] == r->trees[f].nodes[i].cube;
            if (!is_known) GR_PUSH(arena, &all, r->trees[f].nodes[i].cube);
        }
    *ret = all.v;
    return all.n;
}

/* One made by API goes by its workflow's schedule, and never by itself without one. */
static gr_status policy_of_workflow(gr_serve *serve, int64_t entity_id, const gr_refresh_policy **ret, gr_arena *arena,
                                    gr_error *err) {
    gr_preagg_row row;
    bool is_found = false;
    *ret = NULL;
    if (!entity_id) return GR_OK;
    GR_TRY(gr_catalog_get(gr_exec_catalog(serve->exec), entity_id, arena, &row, &is_found, err));
    if (!is_found || !row.schedule.n || !gr_str_eq(row.workflow_status, GR_STR("active"))) return GR_OK;
    gr_refresh_policy *p = GR_NEW(arena, gr_refresh_policy);
    gr_refresh_part *part = GR_NEW(arena, gr_refresh_part);
    *part = (gr_refresh_part){.kind = GR_REFRESH_TIME};
    part->schedule = (gr_schedule){.text = row.schedule, .is_cron = true, .tz = gr_tz_utc()};
    if (!gr_cron_parse(row.schedule, &part->schedule.cron)) return GR_OK; /* refused where it was set */
    *p = (gr_refresh_policy){.parts = part, .n_parts = 1, .tz = gr_tz_utc()};
    *ret = p;
    return GR_OK;
}

gr_status gr_serve_policy(gr_serve *serve, const gr_rollup *rollup, const gr_tz *zone, int64_t entity_id,
                          gr_arena *arena, const gr_refresh_policy **ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    const gr_cube **cubes;
    if (r->preagg->is_by_api) return policy_of_workflow(serve, entity_id, ret, arena, err);
    size_t n = cubes_of(r, arena, &cubes);
    *ret = gr_refresh_policy_of(r->preagg, cubes, n, zone, arena);
    return GR_OK;
}

gr_status gr_serve_key_value(gr_serve *serve, const gr_ctx *ctx, const gr_refresh_part *part, const gr_cube *own,
                             int64_t max_age_us, gr_str *ret, gr_error *err) {
    gr_str sql, value;
    bool is_news = false;
    gr_error why = {0};
    GR_TRY(gr_sql_key(part->sql, part->cube ? part->cube : own, gr_exec_places(serve->exec), ctx->arena, &sql, err));
    gr_status status = gr_serve_keys_get(serve->keys, ctx, part->data_source, sql, max_age_us, &value, &is_news, &why);
    if (status && is_news)
        gr_log_event(GR_LOG_WARN, "refresh_key.failed", "cube", own->name, "error", gr_str_from(why.message), NULL);
    if (status) {
        gr_error_set(err, status == GR_ERR_CANCELLED ? status : GR_ERR_PREAGG_KEY, "The refresh key failed: %s",
                     why.message);
        return status == GR_ERR_CANCELLED ? status : GR_ERR_PREAGG_KEY;
    }
    *ret = value;
    return GR_OK;
}

static gr_str value_of(const void *arg, int64_t to_utc_us, gr_arena *arena) {
    const gr_serve_freshness *f = arg;
    return gr_refresh_value(f->policy, f->values, f->now_us, to_utc_us, arena);
}

void gr_serve_freshness_init(gr_serve_freshness *f, const gr_refresh_policy *policy, const gr_str *values,
                             int64_t now_us) {
    f->policy = policy;
    f->values = values;
    f->now_us = now_us;
    f->pub = (gr_build_freshness){.value = value_of,
                                  .arg = f,
                                  .has_fingerprint = policy->fingerprint != GR_FINGERPRINT_NONE,
                                  .change = policy->fingerprint_sql};
}

gr_status gr_serve_freshness_ask(gr_serve *serve, const gr_ctx *ctx, const gr_rollup *rollup, const gr_tz *zone,
                                 int64_t entity_id, int64_t max_age_us, gr_serve_freshness *ret, bool *ret_has,
                                 gr_error *err) {
    const gr_refresh_policy *policy;
    *ret_has = false;
    GR_TRY(gr_serve_policy(serve, rollup, zone, entity_id, ctx->arena, &policy, err));
    if (!policy) return GR_OK;
    gr_str *values = GR_NEW_N(ctx->arena, gr_str, policy->n_parts + 1);
    for (size_t i = 0; i < policy->n_parts; i++)
        if (policy->parts[i].kind == GR_REFRESH_SQL)
            GR_TRY(gr_serve_key_value(serve, ctx, &policy->parts[i], rollup->entity->preagg->cube, max_age_us,
                                      &values[i], err));
    gr_serve_freshness_init(ret, policy, values, ctx->now_us);
    *ret_has = true;
    return GR_OK;
}

/* ---- must-revalidate -----------------------------------------------------------------------------------------------
 */

gr_status gr_serve_revalidate(gr_serve *serve, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_plan *plan,
                              int64_t since_us, gr_flight **ret_flight, gr_error *err) {
    for (size_t i = 0; i < plan->n_uses && !*ret_flight; i++) {
        const gr_plan_use *use = &plan->uses[i];
        gr_serve_freshness f;
        gr_exec_due due;
        bool has = false;
        const gr_rollup *r = use->rollup->entity;
        if (!use->state || use->state->is_foreign || r->n_links || use->built_at_us >= since_us) continue;
        int64_t age_us = ctx->now_us - since_us;
        GR_TRY(gr_serve_freshness_ask(serve, ctx, r, use->zone, use->state->entity_id, age_us > 0 ? age_us : 0, &f,
                                      &has, err));
        if (!has) continue;
        GR_TRY(gr_exec_due_of(serve->exec, snapshot, r, use->zone, &f.pub, GR_STR("closed"), since_us, ctx->now_us,
                              ctx->arena, &due, err));
        if (!due.n_stale && !f.pub.has_fingerprint) continue;
        if (!due.n_stale && gr_lane_has_checked(serve, use->state->entity_id, since_us)) continue;
        const gr_lane_ask ask = {.run = gr_run_all, .is_by_name = true, .checks_fingerprint = f.pub.has_fingerprint};
        GR_TRY(gr_lane_submit(serve, snapshot, use->rollup, use->zone, &ask, ret_flight, err));
    }
    return GR_OK;
}

/* ---- verification --------------------------------------------------------------------------------------------------
 */

static void tell_verified(gr_serve *serve, const gr_rollup *r, const gr_tz *zone, const gr_verification *v) {
    gr_event_fields fields = {.pre_aggregation = r->preagg->id, .zone = gr_tz_name(zone)};
    for (size_t i = 0; i < v->n; i++) {
        if (v->parts[i].verdict != GR_VERDICT_QUARANTINED) continue;
        fields.partition = v->parts[i].name;
        fields.error = v->parts[i].what;
        gr_serve_event(serve, GR_EVENT_QUARANTINED, &fields);
        gr_log_event(GR_LOG_ERROR, "preagg.quarantined", "pre_aggregation", r->preagg->id, "partition",
                     v->parts[i].name, "what", v->parts[i].what, NULL);
    }
    fields.partition = fields.error = (gr_str){0};
    gr_serve_event(serve, GR_EVENT_VERIFIED, &fields);
}

gr_status gr_serve_verify_rollup(gr_serve *serve, const gr_ctx *ctx, const gr_snapshot *snapshot,
                                 const gr_rollup *rollup, const gr_tz *zone, gr_verification *ret,
                                 gr_flight **ret_flight, gr_error *err) {
    gr_serve_freshness f;
    gr_error ignored;
    bool has = false;
    const gr_rollup *r = rollup->entity;
    const gr_rollup_state *state = gr_snapshot_state(snapshot, r->preagg, zone);
    if (gr_serve_freshness_ask(serve, ctx, r, zone, state ? state->entity_id : 0, 0, &f, &has, &ignored)) has = false;
    *ret_flight = NULL;
    GR_TRY(gr_exec_verify_served(serve->exec, ctx, snapshot, r, zone, has ? &f.pub : NULL, ret, err));
    tell_verified(serve, r, zone, ret);
    if (!ret->counts[GR_VERDICT_QUARANTINED]) return GR_OK;
    const gr_snapshot *newest = gr_serve_snapshot_ref(serve);
    const gr_lane_ask ask = {.run = gr_run_all, .is_by_name = true};
    gr_status status =
        gr_lane_submit(serve, newest, gr_serve_rollup(newest, rollup->preagg->id), zone, &ask, ret_flight, err);
    gr_serve_snapshot_unref(newest);
    return status;
}

gr_status gr_serve_verify_entity(gr_serve *serve, const gr_ctx *ctx, int64_t entity_id, gr_verification *ret,
                                 gr_flight **ret_flight, gr_error *err) {
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    const gr_tz *zone;
    const gr_rollup *r = gr_exec_rollup_of(snapshot, entity_id, &zone);
    gr_status status = r ? gr_serve_verify_rollup(serve, ctx, snapshot, r, zone, ret, ret_flight, err)
                         : gr_error_set(err, GR_ERR_PREAGG_STALE, "Pre-aggregation %lld is not of the model in service",
                                        (long long)entity_id);
    gr_serve_snapshot_unref(snapshot);
    return status;
}
