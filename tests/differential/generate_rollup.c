/* Random rollups over a finished world: narrow and wide ones, twins of one grain, with static filters, of other cubes.
 */
#include "differential/generate_expr.h"

#include <stdlib.h>

static const char *random_grain(diff_random *r, const diff_world *w, const diff_dim *d, bool want_fine) {
    static const char *const grains[] = {"second", "minute", "hour",  "hour",  "hour",    "day",  "day",
                                         "day",    "day",    "day",   "day",   "day",     "week", "week",
                                         "week",   "month",  "month", "month", "quarter", "year"};
    static const char *const fine[] = {"minute", "hour", "hour", "day", "day"};
    static const char *const finest[] = {"minute", "hour", "hour", "hour"};
    if (w->is_about_jumps && diff_chance(r, 70)) return DIFF_ONE_OF(r, finest);
    size_t n = 0;
    while (d->granularities && d->granularities[n].name) n++;
    if (!want_fine && n && diff_chance(r, 12)) return d->granularities[diff_pick(r, n)].name;
    return want_fine ? DIFF_ONE_OF(r, fine) : DIFF_ONE_OF(r, grains);
}

typedef GR_VEC(diff_item) items;

static void add_time_item(diff_maker *m, items *list, size_t cube, bool want_fine) {
    const diff_cube *c = &m->w->cubes[cube];
    size_t tries = 8, index;
    do index = diff_pick(m->r, c->n_dims);
    while (c->dims[index].type != DIFF_DIM_TIME && --tries);
    if (c->dims[index].type != DIFF_DIM_TIME) return;
    diff_item item = {.kind = DIFF_ITEM_TIME,
                      .cube = cube,
                      .index = index,
                      .granularity = random_grain(m->r, m->w, &c->dims[index], want_fine)};
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].kind == DIFF_ITEM_TIME && list->v[i].cube == cube && list->v[i].index == index &&
            !strcmp(list->v[i].granularity, item.granularity))
            return;
    GR_PUSH(m->arena, list, item);
}

static void add_members(diff_maker *m, items *list, size_t cube, unsigned percent, bool is_own) {
    const diff_cube *c = &m->w->cubes[cube];
    unsigned dims = is_own ? percent : percent / 2;
    for (size_t i = 0; i < c->n_measures && is_own; i++)
        if (diff_chance(m->r, percent) && !c->measures[i].stage)
            GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube, .index = i});
    for (size_t i = 0; i < c->n_dims; i++) {
        unsigned p = c->dims[i].is_primary_key || c->dims[i].type == DIFF_DIM_TIME ? dims / 8 : dims;
        if (diff_chance(m->r, p))
            GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_DIMENSION, .cube = cube, .index = i});
    }
    for (size_t i = 0; i < c->n_segments; i++)
        if (diff_chance(m->r, dims / 2))
            GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_SEGMENT, .cube = cube, .index = i});
}

/* Measures of other cubes: mostly of those whose rows the joins do not repeat, now and then of any. */
static void add_their_measures(diff_maker *m, items *list, size_t cube, unsigned percent) {
    bool is_any = diff_chance(m->r, 40);
    for (size_t other = 0; other < m->w->n_cubes; other++) {
        const diff_cube *c = &m->w->cubes[cube];
        bool is_wanted = is_any && other != cube && diff_chance(m->r, 50);
        for (size_t i = 0; i < c->n_joins; i++)
            is_wanted |= c->joins[i].to == other && c->joins[i].relationship == DIFF_ONE_TO_ONE;
        for (size_t k = 0; is_wanted && k < m->w->cubes[other].n_measures; k++)
            if (diff_chance(m->r, percent) && !m->w->cubes[other].measures[k].stage)
                GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = other, .index = k});
    }
}

/* The keys of all its cubes: then single rows can be read from it. */
static void add_keys(diff_maker *m, items *list, const size_t *cubes, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m->w->cubes[cubes[i]].n_dims; k++) {
            bool is_there = !m->w->cubes[cubes[i]].dims[k].is_primary_key;
            for (size_t at = 0; at < list->n; at++)
                is_there |=
                    list->v[at].kind == DIFF_ITEM_DIMENSION && list->v[at].cube == cubes[i] && list->v[at].index == k;
            if (!is_there)
                GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_DIMENSION, .cube = cubes[i], .index = k});
        }
}

static gr_str random_filters(diff_maker *m, size_t cube) {
    json_t *list = json_array();
    size_t n = (size_t)diff_between(m->r, 1, 2);
    for (size_t i = 0; i < n; i++) json_array_append_new(list, diff_generate_filter(m->w, m->r, cube, m->arena));
    char *text = json_dumps(list, JSON_COMPACT | JSON_ENSURE_ASCII);
    gr_str kept = gr_arena_dup(m->arena, gr_str_from(text));
    free(text);
    json_decref(list);
    return kept;
}

static diff_rollup random_rollup(diff_maker *m, size_t cube, size_t number) {
    size_t reach[DIFF_MAX_CUBES], n = diff_reachable(m->w, cube, reach);
    bool is_wide = diff_chance(m->r, 28),
         is_narrow = !is_wide &&
                     diff_chance(m->r, m->w->is_about_jumps ? 70 : 45); /* narrow: few columns, groups of many rows */
    unsigned percent = is_wide ? 90 : (unsigned)diff_between(m->r, 10, 60), dims = is_narrow ? 7 : percent;
    items list = {0};
    add_members(m, &list, cube, is_narrow ? 60 : percent, dims);
    for (size_t i = 1; i < n; i++)
        if (diff_chance(m->r, is_wide ? 90 : 50)) add_members(m, &list, reach[i], 0, dims / 2);
    if (diff_chance(m->r, 30)) add_their_measures(m, &list, cube, percent);
    if (diff_chance(m->r, is_narrow ? 60 : 80)) add_time_item(m, &list, cube, is_wide);
    if (diff_chance(m->r, 15)) add_time_item(m, &list, reach[diff_pick(m->r, n)], false);
    bool has_rows = diff_chance(m->r, 10);
    if (has_rows) add_keys(m, &list, reach, diff_chance(m->r, 50) ? 1 : n);
    if (!list.n) GR_PUSH(m->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube});
    return (diff_rollup){.name = gr_arena_printf(m->arena, "r%zu", number),
                         .items = list.v,
                         .n_items = list.n,
                         .is_external = diff_chance(m->r, 20)   ? 0
                                        : diff_chance(m->r, 20) ? 1
                                                                : -1,
                         .filters = diff_chance(m->r, 22) ? random_filters(m, cube) : (gr_str){0},
                         .is_cheapest = diff_chance(m->r, 6),
                         .is_non_strict = diff_chance(m->r, 30) ? 0 : -1};
}

/* The grain of another rollup, other measures: the two are one entity. */
static diff_rollup twin_of(diff_maker *m, const diff_rollup *other, size_t cube, size_t number) {
    items list = {0};
    for (size_t i = 0; i < other->n_items; i++)
        if (other->items[i].kind != DIFF_ITEM_MEASURE) GR_PUSH(m->arena, &list, other->items[i]);
    for (size_t i = 0; i < m->w->cubes[cube].n_measures; i++)
        if (diff_chance(m->r, 35) && !m->w->cubes[cube].measures[i].stage)
            GR_PUSH(m->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube, .index = i});
    if (diff_chance(m->r, 50)) add_their_measures(m, &list, cube, 30);
    if (!list.n) GR_PUSH(m->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube});
    return (diff_rollup){.name = gr_arena_printf(m->arena, "r%zu", number),
                         .items = list.v,
                         .n_items = list.n,
                         .is_external = other->is_external,
                         .filters = other->filters,
                         .is_non_strict = -1};
}

void diff_add_rollups(diff_maker *m) {
    size_t n = (size_t)diff_between(m->r, 1, 6);
    for (size_t cube = 0; cube < m->w->n_cubes; cube++) m->w->cubes[cube].rollups = GR_NEW_N(m->arena, diff_rollup, n);
    for (size_t i = 0; i < n; i++) {
        diff_cube *c = &m->w->cubes[diff_chance(m->r, 85) ? 0 : diff_pick(m->r, m->w->n_cubes)];
        size_t cube = diff_chance(m->r, 12)
                          ? 0
                          : (size_t)(c - m->w->cubes); /* where its rows come from; mostly where it is declared */
        bool is_twin = c->n_rollups && diff_chance(m->r, 20);
        diff_rollup fresh =
            is_twin ? twin_of(m, &c->rollups[diff_pick(m->r, c->n_rollups)], cube, i) : random_rollup(m, cube, i);
        c->rollups[c->n_rollups++] = fresh;
    }
}

/* Limits near times that rows have, and near edges of the stored grain. */
void diff_add_build_ranges(diff_maker *m) {
    static const int64_t units[] = {INT64_C(86400000000), INT64_C(86400000000), INT64_C(3600000000), 1000000};
    for (size_t cube = 0; cube < m->w->n_cubes; cube++)
        for (size_t i = 0; i < m->w->cubes[cube].n_rollups; i++) {
            diff_rollup *r = &m->w->cubes[cube].rollups[i];
            bool has_time = false;
            for (size_t k = 0; k < r->n_items; k++) has_time |= r->items[k].kind == DIFF_ITEM_TIME;
            if (!has_time || !diff_chance(m->r, 18)) continue;
            int64_t a = diff_random_instant(m->r, m->w), b = a + diff_between(m->r, -900, 900) * units[0];
            int64_t unit = DIFF_ONE_OF(m->r, units);
            r->has_start = diff_chance(m->r, 85);
            r->has_end = !r->has_start || diff_chance(m->r, 70);
            r->start_us = (a < b ? a : b) / unit * unit;
            r->end_us = (a < b ? b : a) / unit * unit;
            r->is_range_date = unit == units[0] && diff_chance(m->r, 50);
        }
}

void diff_add_partitions(diff_maker *m) {
    static const char *const sizes[] = {"year", "year", "quarter", "quarter", "month", "week"};
    for (size_t cube = 0; cube < m->w->n_cubes; cube++)
        for (size_t i = 0; i < m->w->cubes[cube].n_rollups; i++) {
            diff_rollup *r = &m->w->cubes[cube].rollups[i];
            bool has_time = false;
            for (size_t k = 0; k < r->n_items; k++) has_time |= r->items[k].kind == DIFF_ITEM_TIME;
            if (has_time && diff_chance(m->r, 35)) r->partition = DIFF_ONE_OF(m->r, sizes);
        }
}

/* Partitions that go on where those of the one before end. */
static const char *finer(diff_maker *m, const char *partition) {
    static const char *const of_year[] = {"year", "quarter", "month"}, *const of_quarter[] = {"quarter", "month",
                                                                                              "month"};
    if (!strcmp(partition, "year")) return DIFF_ONE_OF(m->r, of_year);
    if (!strcmp(partition, "quarter")) return DIFF_ONE_OF(m->r, of_quarter);
    return partition;
}

/* A copy that begins and ends elsewhere: the rows between are in both, or in neither. */
static diff_rollup continued(diff_maker *m, const diff_rollup *before, size_t number) {
    diff_rollup r = *before;
    int64_t day = INT64_C(86400000000);
    r.name = gr_arena_printf(m->arena, "p%zu", number);
    r.partition = finer(m, before->partition);
    r.has_start = r.has_end = false;
    if (diff_chance(m->r, 40)) {
        r.has_start = true;
        r.start_us = (diff_random_instant(m->r, m->w) / day) * day;
    }
    if (diff_chance(m->r, 25)) {
        r.has_end = true;
        r.end_us = (diff_random_instant(m->r, m->w) / day) * day + diff_between(m->r, 0, 3) * day / 4;
        if (r.has_start && r.end_us < r.start_us) r.end_us = r.start_us + 90 * day;
    }
    r.is_range_date = false;
    return r;
}

static void add_lambda(diff_maker *m, diff_cube *c, size_t at) {
    diff_rollup lambda = {.name = gr_arena_printf(m->arena, "l%zu", at),
                          .items = c->rollups[at].items,
                          .n_items = c->rollups[at].n_items,
                          .filters = c->rollups[at].filters,
                          .unions_source = diff_chance(m->r, 65),
                          .is_external = -1,
                          .is_non_strict = c->rollups[at].is_non_strict};
    size_t n = (size_t)diff_between(m->r, 1, DIFF_MAX_PARTS);
    if (n > 1 && !c->rollups[at].partition) c->rollups[at].partition = diff_chance(m->r, 50) ? "year" : "month";
    if (n > 1 && diff_chance(m->r, 35)) c->rollups[at].has_start = c->rollups[at].has_end = false;
    diff_rollup last = c->rollups[at];
    lambda.parts[lambda.n_parts++] = last.name;
    while (lambda.n_parts < n) {
        last = continued(m, &last, c->n_rollups);
        lambda.parts[lambda.n_parts++] = last.name;
        c->rollups[c->n_rollups++] = last;
    }
    lambda.has_start = last.has_start, lambda.start_us = last.start_us; /* where ranges of queries are drawn */
    lambda.has_end = last.has_end, lambda.end_us = last.end_us;
    /* First wins: it goes before its parts. */
    memmove(&c->rollups[1], c->rollups, c->n_rollups * sizeof *c->rollups);
    c->rollups[0] = lambda;
    c->n_rollups++;
}

void diff_add_lambdas(diff_maker *m) {
    for (size_t cube = 0; cube < m->w->n_cubes; cube++) {
        diff_cube *c = &m->w->cubes[cube];
        size_t n_before = c->n_rollups, most = n_before * (DIFF_MAX_PARTS + 1) + 1, n_added = 0;
        diff_rollup *wide = GR_NEW_N(m->arena, diff_rollup, most);
        if (n_before) memcpy(wide, c->rollups, n_before * sizeof *wide);
        c->rollups = wide;
        for (size_t i = 0; i < n_before; i++) {
            const diff_rollup *r = &c->rollups[i + n_added]; /* each lambda went to the front */
            bool has_time = false;
            for (size_t k = 0; k < r->n_items; k++) has_time |= r->items[k].kind == DIFF_ITEM_TIME;
            if (!has_time || !diff_chance(m->r, 25)) continue;
            add_lambda(m, c, i + n_added);
            n_added++;
        }
    }
}
