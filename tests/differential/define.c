/* Definitions by API beside the rollups of a world: of some rollups a part of the measures is defined and built, then
 * the rest is added and not built. So queries meet builds that hold only some of what their entity is declared with,
 * entities that are in no file, and entities that are both (decisions 16, 17). */
#include "differential/bench.h"
#include "differential/random.h"

#include "base/clock.h"

typedef struct defining {
    diff_bench *bench;
    const gr_snapshot *snapshot;
    diff_random random;
    gr_arena *arena;
} defining;

static gr_str name_of(const gr_member_ref *ref, gr_arena *arena) {
    gr_str text = ref->member->id;
    if (ref->path.n > 1) {
        text = ref->path.cubes[0]->name;
        for (size_t i = 1; i < ref->path.n; i++)
            text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(ref->path.cubes[i]->name));
        text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(ref->member->name));
    }
    if (!ref->granularity) return text;
    return gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(ref->granularity->name));
}

/* The rollup as a definition, with the first `n_measures` of its measures, and without dimension `left_out`. */
static gr_exec_definition definition_of(defining *d, const gr_rollup *r, size_t n_measures, size_t left_out) {
    const gr_preagg *p = r->preagg;
    gr_exec_definition def = {.node = r->tree.nodes[0].cube->name, .filters = r->filters_text};
    for (size_t i = 0; i < n_measures; i++) GR_PUSH(d->arena, &def.measures, p->measures[i].member->id);
    for (size_t i = 0; i < p->n_dimensions; i++)
        if (i != left_out) GR_PUSH(d->arena, &def.dimensions, name_of(&p->dimensions[i], d->arena));
    for (size_t i = 0; i < p->n_time_dimensions; i++)
        GR_PUSH(d->arena, &def.dimensions, name_of(&p->time_dimensions[i], d->arena));
    gr_exec_definition_seal(&def, d->arena);
    return def;
}

static gr_status build(defining *d, int64_t entity_id, gr_error *err) {
    const gr_snapshot *s = gr_exec_snapshot_ref(d->bench->exec);
    gr_ctx ctx = {.arena = d->arena, .now_us = gr_clock_now_us()};
    const gr_tz *zone;
    gr_build_result built;
    const gr_build_ask ask = {.run = gr_run_all};
    const gr_rollup *r = gr_exec_rollup_of(s, entity_id, &zone);
    gr_status status = r ? gr_exec_build(d->bench->exec, &ctx, s, r, zone, &ask, &built, err) : GR_OK;
    gr_exec_snapshot_unref(s);
    return status;
}

/* What does not fit (a dimension that the rest leads to, a measure that is not stored) is left out, as the API would.
 */
static gr_status define(defining *d, const gr_exec_definition *def, bool is_built, gr_error *err) {
    gr_exec_definitions one = {0};
    gr_exec_draft *draft;
    gr_exec_drafted *items;
    gr_preagg_row *rows = NULL;
    GR_PUSH(d->arena, &one, *def);
    gr_status status = gr_exec_draft_new(d->bench->exec, &one, &draft, &items, err);
    if (status == GR_ERR_QUERY_INVALID) return GR_OK;
    GR_TRY(status);
    bool can_build = items[0].decl.structure_hash.n > 0;
    gr_actor actor = {gr_clock_now_us(), {0}};
    if (can_build) {
        status =
            gr_catalog_add(gr_exec_catalog(d->bench->exec), &items[0].decl, 1, NULL, actor, d->arena, &rows, NULL, err);
        if (!status) status = gr_exec_draft_commit(draft, rows, err);
    }
    gr_exec_draft_done(draft);
    if (status || !can_build || !is_built) return status;
    status = build(d, rows[0].id, err);
    return status == GR_ERR_ENGINE_SQL ? GR_OK : status; /* the world has faults of its own */
}

static gr_status define_from(defining *d, const gr_rollup *r, gr_error *err) {
    const gr_preagg *p = r->preagg;
    size_t n_first = 1 + diff_pick(&d->random, p->n_measures);
    size_t left_out = diff_chance(&d->random, 50) ? diff_pick(&d->random, p->n_dimensions + 1) : SIZE_MAX;
    gr_exec_definition narrow = definition_of(d, r, n_first, left_out),
                       wide = definition_of(d, r, p->n_measures, left_out);
    GR_TRY(define(d, &narrow, true, err));
    return n_first < p->n_measures ? define(d, &wide, false, err) : GR_OK;
}

/* Entities of earlier worlds go, with their tables: else every model would drag along all that came before it. */
gr_status diff_bench_clear(diff_bench *bench, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_catalog *catalog = gr_exec_catalog(bench->exec);
    gr_preagg_filter stale = {.statuses = 1u << GR_PREAGG_STALE};
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_preagg_row *rows;
    int64_t total;
    size_t n = 0;
    gr_status status = gr_catalog_find(catalog, &stale, arena, &rows, &n, &total, err);
    for (size_t i = 0; !status && i < n; i++) {
        gr_doomed_table *tables;
        size_t n_tables = 0;
        status = gr_catalog_remove(catalog, rows[i].id, actor, arena, &tables, &n_tables, err);
        if (status == GR_ERR_PREAGG_IN_USE) status = GR_OK; /* a cube of this name declares it for another version */
        if (!status && n_tables) status = gr_exec_drop_tables(bench->exec, tables, n_tables, err);
    }
    if (!status && n) status = gr_exec_refresh(bench->exec, err);
    gr_arena_free(arena);
    return status;
}

gr_status diff_bench_define(diff_bench *bench, uint64_t seed, gr_error *err) {
    defining d = {.bench = bench,
                  .snapshot = gr_exec_snapshot_ref(bench->exec),
                  .random = diff_random_of(seed, 1, 4),
                  .arena = gr_arena_new()};
    gr_status status = GR_OK;
    const gr_model *model = d.snapshot->model;
    for (size_t i = 0; !status && i < model->n_preaggs; i++) {
        const gr_preagg *p = model->preaggs[i];
        const gr_rollup *r = gr_plan_index_rollup(d.snapshot->index, p);
        bool is_plain = p->type == GR_PREAGG_ROLLUP && !p->is_by_api && r->can_build && p->n_measures &&
                        !p->n_segments && r->n_facts == 1;
        if (is_plain && diff_chance(&d.random, 34)) status = define_from(&d, r, err);
    }
    gr_exec_snapshot_unref(d.snapshot);
    gr_arena_free(d.arena);
    return status;
}
