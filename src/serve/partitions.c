/* Partitions of an entity, as people and clients see them and choose them.
 *
 *      rows of the catalog   [built)[built)        [quarantined)          live ones of the version that serves
 *      missing runs                        [- - - -)            [- - )    of the state, cut as a build would
 *
 * A quarantined one is missing too, and told once. */
#include "serve/partitions.h"

#include "serve/entity.h"

#include <stdlib.h>

gr_str gr_serve_partition_status_name(gr_partition_status status) {
    static const gr_str names[] = {[GR_PARTITION_BUILT] = GR_STR_INIT("built"),
                                   [GR_PARTITION_MISSING] = GR_STR_INIT("missing"),
                                   [GR_PARTITION_QUARANTINED] = GR_STR_INIT("quarantined")};
    return names[status];
}

/* ---- the list ----------------------------------------------------------------------------------------------------
 */

typedef struct item {
    gr_run run;
    gr_partition_view view;
} item;

typedef struct lister {
    gr_serve *serve;
    const gr_ctx *ctx;
    const gr_snapshot *snapshot;
    const gr_entity_view *entity;
    const gr_rollup *rollup; /* NULL: its definition is not in service */
    const gr_tz *zone;
    GR_VEC(item) items;
} lister;

static gr_str text_of_bound(int64_t us, gr_arena *arena) {
    char text[48];
    if (us == INT64_MIN || us == INT64_MAX) return (gr_str){0};
    return gr_arena_dup(arena, (gr_str){text, gr_time_format(us, text)});
}

/* Of an entity whose definition is gone it is not known how its partitions were called. */
static gr_str digits_of(const lister *l, gr_run run) {
    return l->rollup ? gr_exec_slot_digits(l->rollup, run, l->ctx->arena) : (gr_str){0};
}

static void add(lister *l, gr_run run, gr_str digits, gr_partition_view view) {
    gr_arena *arena = l->ctx->arena;
    view.digits = digits;
    view.from = text_of_bound(run.from_us, arena);
    view.to = text_of_bound(run.to_us, arena);
    if (l->rollup)
        view.name =
            gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(gr_store_table_base(l->rollup, arena)), GR_ARG(digits));
    item it = {run, view};
    GR_PUSH(arena, &l->items, it);
}

static gr_status add_rows(lister *l, gr_error *err) {
    const gr_preagg_row *entity = &l->entity->row;
    gr_arena *arena = l->ctx->arena;
    gr_partition_row *rows;
    size_t n = 0;
    if (!entity->has_serving) return GR_OK;
    GR_TRY(gr_catalog_partitions(gr_exec_catalog(l->serve->exec), entity->id, arena, &rows, &n, err));
    for (size_t i = 0; i < n; i++) {
        const gr_partition_row *row = &rows[i];
        if (!row->since || !gr_str_eq(row->structure_hash, entity->serving.structure_hash)) continue;
        gr_str table = row->table_name.n ? row->table_name : entity->serving.table_name;
        gr_run run = {row->from_us, row->to_us};
        add(l, run, digits_of(l, run),
            (gr_partition_view){.status = row->quarantine.n ? GR_PARTITION_QUARANTINED : GR_PARTITION_BUILT,
                                .table = gr_serve_bare_table(table, arena),
                                .rows = row->rows,
                                .bytes = row->bytes,
                                .built_us = row->built_us,
                                .verified_us = row->verified_us,
                                .checksum = row->checksum,
                                .refresh_value = row->refresh_value,
                                .since = row->since,
                                .quarantine = row->quarantine});
    }
    if (l->items.n || !entity->serving.table_name.n) return GR_OK;
    /* Built by an earlier Granary, which kept no record of partitions. */
    add(l, gr_run_all, (gr_str){0},
        (gr_partition_view){.table = gr_serve_bare_table(entity->serving.table_name, arena),
                            .rows = entity->serving.rows,
                            .bytes = entity->serving.bytes,
                            .built_us = entity->serving.finished_us,
                            .since = entity->serving.number});
    return GR_OK;
}

static void add_missing(lister *l, const gr_exec_slot *slots, size_t n) {
    size_t n_rows = l->items.n;
    for (size_t i = 0; i < n; i++) {
        bool is_told = false;
        for (size_t k = 0; k < n_rows && !is_told; k++) is_told = l->items.v[k].run.from_us == slots[i].run.from_us;
        if (!is_told) add(l, slots[i].run, slots[i].digits, (gr_partition_view){.status = GR_PARTITION_MISSING});
    }
}

static gr_status find_missing(lister *l, gr_error *err) {
    const gr_rollup *r = l->rollup;
    gr_exec_slot *slots;
    size_t n = 0;
    if (!r || !r->can_build || r->preagg->type == GR_PREAGG_ROLLUP_JOIN || r->preagg->external.n) return GR_OK;
    const gr_rollup_state *state = gr_snapshot_state(l->snapshot, r->preagg, l->zone);
    if (!l->items.n) {
        GR_TRY(gr_exec_slots_ask(l->serve->exec, l->ctx, l->snapshot, r, l->zone, &slots, &n, err));
        add_missing(l, slots, n);
        return GR_OK;
    }
    for (size_t i = 0; state && i < state->n_missing; i++) {
        GR_TRY(gr_exec_slots_cut(l->serve->exec, r, l->zone, state->missing[i], l->ctx->now_us, l->ctx->arena, &slots,
                                 &n, err));
        add_missing(l, slots, n);
    }
    return GR_OK;
}

static int by_time(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->run.from_us != y->run.from_us) return x->run.from_us < y->run.from_us ? -1 : 1;
    return (x->run.to_us > y->run.to_us) - (x->run.to_us < y->run.to_us);
}

static void give(lister *l, gr_partitions_view *out) {
    size_t n = l->items.n;
    if (n) qsort(l->items.v, n, sizeof *l->items.v, by_time);
    out->v = GR_NEW_N(l->ctx->arena, gr_partition_view, n + 1);
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        out->v[i] = l->items.v[i].view;
        out->counts[out->v[i].status]++;
        if (out->v[i].status == GR_PARTITION_BUILT) out->rows += out->v[i].rows;
    }
}

gr_status gr_serve_partitions(gr_serve *serve, const gr_ctx *ctx, int64_t id, gr_partitions_view *ret, gr_error *err) {
    gr_partitions_view out = {0};
    gr_flight *flight = gr_serve_entity_flight(serve, id); /* looked at first: when it is over, the rows say so */
    if (flight) {
        out.has_flight = true;
        out.flight = gr_flight_look(flight);
        out.flight.preagg_id = gr_arena_dup(ctx->arena, out.flight.preagg_id);
        gr_flight_unref(flight);
    }
    GR_TRY(gr_serve_view_get(serve, id, ctx->arena, &out.entity, err));
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    lister l = {.serve = serve, .ctx = ctx, .snapshot = snapshot, .entity = &out.entity};
    l.rollup = gr_exec_rollup_of(snapshot, id, &l.zone);
    gr_status status = add_rows(&l, err);
    if (!status) status = find_missing(&l, err);
    gr_serve_snapshot_unref(snapshot);
    GR_TRY(status);
    out.is_building = out.has_flight || out.entity.row.status == GR_PREAGG_MATERIALIZING;
    out.zone = out.entity.row.decl.time_zone.n ? out.entity.row.decl.time_zone : GR_STR("UTC");
    give(&l, &out);
    *ret = out;
    return GR_OK;
}

/* ---- choosing ----------------------------------------------------------------------------------------------------
 */

static gr_status read_bound(gr_str text, bool is_end, gr_bound *ret, gr_error *err) {
    gr_time_zone_part zone;
    bool is_date = false;
    int64_t us = 0;
    if (!gr_time_parse(text, &us, &zone, &is_date)) {
        int shown = (int)(text.n < 100 ? text.n : 100);
        gr_error_set(err, GR_ERR_QUERY_DATE, "Cannot read '%.*s' as a date or a time", shown, text.p);
        gr_error_hint(err, "write it as 2024-01-31 or 2024-01-31T12:00:00.000");
        return GR_ERR_QUERY_DATE;
    }
    if (is_end) us += is_date ? 86400 * (int64_t)1000000 : 1; /* exclusive from here on */
    *ret = (gr_bound){us, zone == GR_TIME_ZONED};
    return GR_OK;
}

gr_status gr_serve_bounds_read(gr_str from, gr_str to, gr_bound ret[2], gr_error *err) {
    GR_TRY(read_bound(from, false, &ret[0], err));
    GR_TRY(read_bound(to, true, &ret[1], err));
    if (ret[0].is_instant != ret[1].is_instant || ret[0].us < ret[1].us) return GR_OK;
    return gr_error_set(err, GR_ERR_QUERY_DATE, "The range ends, at %.*s, before it starts, at %.*s",
                        (int)(to.n < 100 ? to.n : 100), to.p, (int)(from.n < 100 ? from.n : 100), from.p);
}

static int64_t stored_time(const gr_bound *bound, const gr_tz *zone, const gr_tz *stored) {
    if (!bound->is_instant && zone == stored) return bound->us;
    return gr_tz_to_local(stored, bound->is_instant ? bound->us : gr_tz_to_utc(zone, bound->us, NULL));
}

gr_run gr_serve_bounds_run(const gr_bound bounds[2], const gr_tz *zone, const gr_tz *stored) {
    return (gr_run){stored_time(&bounds[0], zone, stored), stored_time(&bounds[1], zone, stored)};
}

typedef GR_VEC(gr_run) runs;
typedef struct choice {
    runs only; /* none: all */
    gr_run hull;
} choice;

/* Slots come in order of time: what touches becomes one. */
static void choose(choice *c, gr_run run, gr_arena *arena) {
    gr_run *last = c->only.n ? &c->only.v[c->only.n - 1] : NULL;
    if (run.to_us == INT64_MIN) run.to_us++; /* as a state says that it misses the rows without a time */
    if (last && last->from_us != INT64_MIN && last->to_us == run.from_us)
        last->to_us = run.to_us;
    else
        GR_PUSH(arena, &c->only, run);
    if (c->only.n == 1) c->hull.from_us = c->only.v[0].from_us;
    if (run.to_us > c->hull.to_us) c->hull.to_us = run.to_us;
}

/* "2024-01-01T05:00" -> "2024010105" and so on: punctuation of dates says nothing, nor do zeros behind the `n_digits`
 * of a name. */
static gr_str plain_name(gr_str name, size_t n_digits, gr_arena *arena) {
    gr_str out = gr_str_trim(name);
    bool is_date = out.n >= 10 && out.p[4] == '-' && out.p[7] == '-';
    if (!is_date) return out;
    char *digits = gr_arena_alloc(arena, out.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < out.n; i++)
        if (out.p[i] >= '0' && out.p[i] <= '9') digits[n++] = out.p[i];
    while (n > n_digits && digits[n - 1] == '0') n--;
    return (gr_str){digits, n};
}

static bool is_named(const gr_exec_slot *slot, gr_str base, gr_str name) {
    if (gr_str_eq(name, slot->digits)) return name.n > 0;
    return gr_str_starts(name, base) && gr_str_eq(gr_str_sub(name, base.n, name.n - base.n), slot->digits);
}

static gr_status no_such(const gr_rollup *r, const gr_exec_slot *slots, size_t n, gr_str name, gr_error *err) {
    gr_error_set(err, GR_ERR_PREAGG_NO_PARTITION, "Pre-aggregation '" GR_FMT "' has no partition '%.*s'",
                 GR_ARG(r->preagg->id), (int)(name.n < 100 ? name.n : 100), name.p);
    if (r->partition == GR_GRAIN_NONE)
        gr_error_hint(err, "it has no partition_granularity: refresh all of it");
    else if (n)
        gr_error_hint(err, "they go from " GR_FMT " to " GR_FMT, GR_ARG(slots[0].digits), GR_ARG(slots[n - 1].digits));
    return GR_ERR_PREAGG_NO_PARTITION;
}

static gr_status choose_names(const gr_rollup *r, const gr_partitions_ask *ask, const gr_exec_slot *slots, size_t n,
                              gr_arena *arena, choice *c, gr_error *err) {
    bool *is_chosen = GR_NEW_N(arena, bool, n + 1);
    gr_str base = gr_store_table_base(r, arena);
    for (size_t i = 0; i < ask->n_names; i++) {
        gr_str name = plain_name(ask->names[i], r->partition == GR_GRAIN_HOUR ? 10 : 8, arena);
        size_t at = 0;
        while (at < n && !is_named(&slots[at], base, name)) at++;
        if (at == n) return no_such(r, slots, n, ask->names[i], err);
        is_chosen[at] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (is_chosen[i]) choose(c, slots[i].run, arena);
    return GR_OK;
}

static gr_status choose_range(const gr_rollup *r, const gr_tz *zone, const gr_partitions_ask *ask,
                              const gr_exec_slot *slots, size_t n, gr_arena *arena, choice *c, gr_error *err) {
    gr_bound bounds[2];
    GR_TRY(gr_serve_bounds_read(ask->from, ask->to, bounds, err));
    gr_run run = gr_serve_bounds_run(bounds, zone, gr_exec_stored_zone(r, zone));
    for (size_t i = 0; i < n; i++)
        if (slots[i].run.from_us < run.to_us && run.from_us < slots[i].run.to_us) choose(c, slots[i].run, arena);
    if (c->only.n) return GR_OK;
    gr_str name = gr_arena_printf(arena, "%.*s to %.*s", (int)ask->from.n, ask->from.p, (int)ask->to.n, ask->to.p);
    return no_such(r, slots, n, name, err);
}

static gr_status choose_all(gr_serve *serve, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_rollup *r,
                            const gr_tz *zone, const gr_partitions_ask *ask, choice *c, gr_error *err) {
    gr_exec_slot *slots;
    size_t n;
    *c = (choice){.hull = gr_run_all};
    bool is_ranged = ask->from.n || ask->to.n, is_cut = r->partition != GR_GRAIN_NONE;
    gr_bound ignored[2];
    if (!is_cut && is_ranged) return gr_serve_bounds_read(ask->from, ask->to, ignored, err);
    if (!ask->n_names && !is_ranged) return GR_OK;
    if (!is_cut) return no_such(r, NULL, 0, ask->names[0], err);
    GR_TRY(gr_exec_slots_ask(serve->exec, ctx, snapshot, r, zone, &slots, &n, err));
    c->hull = (gr_run){INT64_MAX, INT64_MIN};
    return is_ranged ? choose_range(r, zone, ask, slots, n, ctx->arena, c, err)
                     : choose_names(r, ask, slots, n, ctx->arena, c, err);
}

static gr_status start(gr_serve *serve, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_entity_view *view,
                       const gr_partitions_ask *ask, gr_actor actor, gr_flight **ret_flight, gr_error *err) {
    const gr_tz *zone;
    const gr_rollup *r = gr_exec_rollup_of(snapshot, view->row.id, &zone);
    choice c;
    if (!r) return gr_serve_is_stale(view, err);
    GR_TRY(choose_all(serve, ctx, snapshot, r, zone, ask, &c, err));
    const gr_rollup_state *state = gr_snapshot_state(snapshot, r->preagg, zone);
    bool is_fresh = view->row.status == GR_PREAGG_ACTIVE && state && state->is_built && !state->lacks;
    if (is_fresh && !ask->is_forced && r->partition == GR_GRAIN_NONE) return GR_OK;
    const gr_lane_ask wanted = {.run = c.hull,
                                .only = c.only.v,
                                .n_only = c.only.n,
                                .is_forced = gr_serve_is_forced(view, r, ask->is_forced),
                                .is_by_name = true};
    return gr_lane_submit_claimed(serve, snapshot, r, zone, &wanted, actor, ret_flight, err);
}

gr_status gr_serve_partitions_refresh(gr_serve *serve, const gr_ctx *ctx, int64_t id, const gr_partitions_ask *ask,
                                      gr_actor actor, gr_entity_view *ret, gr_flight **ret_flight, gr_error *err) {
    gr_entity_view view;
    *ret_flight = NULL;
    GR_TRY(gr_serve_view_get(serve, id, ctx->arena, &view, err));
    GR_TRY(gr_serve_check_buildable(&view, err));
    GR_TRY(gr_exec_refresh(serve->exec, err));
    GR_TRY(gr_serve_view_get(serve, id, ctx->arena, &view, err));
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    gr_status status = start(serve, ctx, snapshot, &view, ask, actor, ret_flight, err);
    gr_serve_snapshot_unref(snapshot);
    GR_TRY(status);
    status = gr_serve_view_get(serve, id, ctx->arena, ret, err);
    if (status) {
        gr_flight_unref(*ret_flight);
        *ret_flight = NULL;
    }
    return status;
}
