/* Random queries over what a rollup stores, with and without a range of time, and the answer that is due. */
#include "differential/time/life.h"

#include <stdlib.h>

typedef struct asking {
    time_life *life;
    diff_random *r;
    const diff_rollup *rollup;
    const gr_tz *tz;
    gr_arena *arena;
    json_t *query;
} asking;

static json_t *text(gr_str s) { return json_stringn(s.p, s.n); }

static gr_str id_of(const asking *a, size_t cube, gr_str name) {
    return gr_arena_printf(a->arena, GR_FMT "." GR_FMT, GR_ARG(a->life->world.cubes[cube].name), GR_ARG(name));
}

static void add_members(asking *a, diff_item_kind kind, const char *key, unsigned percent) {
    json_t *list = json_array();
    for (size_t i = 0; i < a->rollup->n_items; i++) {
        const diff_item *item = &a->rollup->items[i];
        const diff_cube *c = &a->life->world.cubes[item->cube];
        if (item->kind != kind || !diff_chance(a->r, percent)) continue;
        gr_str name = kind == DIFF_ITEM_MEASURE   ? c->measures[item->index].name
                      : kind == DIFF_ITEM_SEGMENT ? c->segments[item->index].name
                                                  : c->dims[item->index].name;
        json_array_append_new(list, text(id_of(a, item->cube, name)));
    }
    if (json_array_size(list))
        json_object_set_new(a->query, key, list);
    else
        json_decref(list);
}

static const gr_granularity *granularity_of(const asking *a, const char *name) {
    const gr_granularity *known = gr_granularity_predefined(gr_grain_from_name(gr_str_from(name)));
    if (known) return known;
    const diff_granularity *g = a->life->world.cubes[0].dims[a->life->ts].granularities;
    for (; g && g->name; g++) {
        gr_granularity *parsed = GR_NEW(a->arena, gr_granularity);
        if (!strcmp(g->name, name) &&
            !gr_granularity_parse(gr_str_from(g->name), gr_str_from(g->interval),
                                  g->offset ? gr_str_from(g->offset) : (gr_str){0},
                                  g->origin ? gr_str_from(g->origin) : (gr_str){0}, parsed, NULL))
            return parsed;
    }
    return gr_granularity_predefined(GR_GRAIN_DAY);
}

static gr_str stamp(const asking *a, int64_t local_us) {
    gr_civil c = gr_civil_from_us(local_us);
    return gr_arena_printf(a->arena, "%04lld-%02d-%02dT%02d:%02d:%02d.%03d", (long long)c.year, c.month, c.day, c.hour,
                           c.minute, c.second, (int)(c.us / 1000));
}

static int64_t aligned(const asking *a, const char *grain, int64_t local_us) {
    const gr_granularity *g = granularity_of(a, grain);
    int64_t anchor = g->grain == GR_GRAIN_CUSTOM ? gr_granularity_anchor(g, a->tz, a->life->now_us) : 0;
    return gr_granularity_floor(g, anchor, local_us);
}

static json_t *random_range(asking *a, const char *stored) {
    static const char *const grains[] = {"hour", "day", "day", "week", "month"};
    int64_t x = gr_tz_to_local(a->tz, time_random_instant(a->life, a->r)),
            y = gr_tz_to_local(a->tz, time_random_instant(a->life, a->r));
    int64_t from = x < y ? x : y, to = x < y ? y : x;
    const char *grain = diff_chance(a->r, 60) ? stored : DIFF_ONE_OF(a->r, grains);
    if (diff_chance(a->r, 20)) to += 3 * a->life->unit_us;
    if (diff_chance(a->r, 75)) from = aligned(a, grain, from), to = aligned(a, grain, to);
    from = aligned(a, "second", from);
    to = aligned(a, "second", to) - 1000;
    if (to < from) to = from + a->life->unit_us - 1000;
    return json_pack("[o, o]", text(stamp(a, from)), text(stamp(a, to)));
}

static void add_time(asking *a) {
    static const char *const coarse[] = {"hour", "day", "week", "month", "quarter", "year"};
    const char *stored = "day";
    for (size_t i = 0; i < a->rollup->n_items; i++)
        if (a->rollup->items[i].kind == DIFF_ITEM_TIME) stored = a->rollup->items[i].granularity;
    bool is_alone = !json_object_get(a->query, "measures") && !json_object_get(a->query, "dimensions");
    bool has_range = diff_chance(a->r, 65), has_grain = is_alone || !has_range || diff_chance(a->r, 60);
    json_t *item = json_pack("{s:o}", "dimension", text(id_of(a, 0, a->life->world.cubes[0].dims[a->life->ts].name)));
    if (has_grain)
        json_object_set_new(item, "granularity",
                            json_string(diff_chance(a->r, 55) ? stored : DIFF_ONE_OF(a->r, coarse)));
    if (has_range) json_object_set_new(item, "dateRange", random_range(a, stored));
    json_object_set_new(a->query, "timeDimensions", json_pack("[o]", item));
}

static void make_query(asking *a) {
    time_life *l = a->life;
    gr_str zone = diff_chance(a->r, 72) ? l->world.zones[0] : diff_chance(a->r, 60) ? l->world.zones[1] : GR_STR("UTC");
    if (gr_tz_get(zone, &a->tz, NULL)) a->tz = gr_tz_utc();
    a->query = json_pack("{s:o}", "timezone", text(zone));
    add_members(a, DIFF_ITEM_MEASURE, "measures", 45);
    add_members(a, DIFF_ITEM_DIMENSION, "dimensions", 45);
    add_members(a, DIFF_ITEM_SEGMENT, "segments", 25);
    bool has_some = json_object_get(a->query, "measures") || json_object_get(a->query, "dimensions");
    if (!has_some || diff_chance(a->r, 80)) add_time(a);
    if (a->rollup->filters.n && diff_chance(a->r, 80)) {
        json_t *filters = json_loadb(a->rollup->filters.p, a->rollup->filters.n, 0, NULL);
        if (filters) json_object_set_new(a->query, "filters", filters);
    }
}

/* ---- the answer ----------------------------------------------------------------------------------------------------
 */

static void compare(asking *a, const gr_query *parsed, const diff_run *run, const diff_table *table, const char *what) {
    diff_world as_of = a->life->world;
    diff_table copy = *table;
    diff_answer due;
    diff_case c;
    as_of.cubes[0].table = &copy;
    as_of.now_us = a->life->now_us;
    diff_reference_answer(&as_of, parsed, a->arena, &due);
    diff_judge_answer(run, &due, a->arena, &c);
    a->life->counts->unsure += c.verdict == DIFF_UNSURE;
    if (!diff_is_difference(c.verdict)) return;
    time_fail(a->life, "%s: %s: " GR_FMT, what, diff_verdict_text(c.verdict), GR_ARG(c.detail));
    if (!a->life->is_quiet) diff_print_case(&as_of, a->query, a->life->now_us, &c, true, a->arena);
}

static void run_with(asking *a, const gr_query *parsed) {
    time_life *l = a->life;
    diff_run run;
    l->is_skipped = l->is_by_rollup = l->is_mixed = l->is_promised = false;
    l->served = time_table(l);
    diff_bench_run(&l->bench, a->query, l->now_us, DIFF_WITH_ROLLUPS, 0, a->arena, &run);
    l->counts->queries++;
    l->counts->served += l->is_by_rollup;
    l->counts->mixed += l->is_mixed;
    l->counts->skipped += l->is_skipped;
    for (size_t i = 0; i < run.n_refusals; i++) {
        gr_str rule = gr_rule_id(run.refusals[i].rule);
        TIME_LOG(l, "    " GR_FMT ": " GR_FMT "\n", GR_ARG(run.refusals[i].rollup->preagg->id), GR_ARG(rule));
    }
    TIME_LOG(l, "    served by " GR_FMT "%s\n", GR_ARG(run.served_by.n ? run.served_by : GR_STR("the source")),
             l->is_skipped ? ", not compared" : "");
    if (run.status == GR_ERR_PREAGG_RANGE || !time_is_well(l)) return; /* a range of rows, and there are none */
    if (!l->is_skipped) compare(a, parsed, &run, l->served, "as served");
    if (time_is_well(l) && l->is_by_rollup && l->is_promised)
        compare(a, parsed, &run, time_table(l), "after a look that misses nothing");
}

void time_ask(time_life *life, diff_random *r) {
    gr_arena *arena = gr_arena_new();
    asking a = {.life = life, .r = r, .arena = arena};
    gr_query *parsed;
    gr_error err = {0};
    a.rollup = &life->world.cubes[0].rollups[diff_pick(r, life->world.cubes[0].n_rollups)];
    make_query(&a);
    char *shown = json_dumps(a.query, JSON_COMPACT);
    TIME_LOG(life, "  query %s\n", shown);
    free(shown);
    if (diff_bench_parse(&life->bench, a.query, life->now_us, arena, &parsed, &err))
        time_fail(life, "the query is not accepted: %s", err.message);
    else
        run_with(&a, parsed);
    json_decref(a.query);
    gr_arena_free(arena);
}
