/* Random queries: most are drawn from the members of a rollup, so that rollups serve; the others are drawn from the
 * whole model. Filter values are values that rows have, texts cut from them, nulls, and values that no row has. */
#include "differential/generate.h"

#include "differential/reference.h"

#include <stdio.h>

typedef struct maker {
    diff_random *r;
    const diff_world *w;
    gr_arena *arena;
    json_t *query;
    size_t root, witness;      /* a row of the root's table that most filter values come from */
    const diff_rollup *rollup; /* or NULL */
    const gr_tz *tz;
    size_t cubes[DIFF_MAX_CUBES], n_cubes;
    bool is_exact;         /* all of the rollup's members at its grains */
    bool is_simple;        /* a measure or two by one time dimension */
    const diff_view *view; /* or NULL */
    bool is_static;        /* for a model: no relative dates */
    bool has_window;       /* some measure looks over the edges of its bucket, or is computed in stages */
} maker;

static gr_str id_of(const maker *m, size_t cube, gr_str name) {
    gr_str owner = m->w->cubes[cube].name;
    gr_str alias = m->view ? diff_view_member(m->w, m->view, cube, name, m->arena) : (gr_str){0};
    if (!alias.n) return gr_arena_printf(m->arena, GR_FMT "." GR_FMT, GR_ARG(owner), GR_ARG(name));
    return gr_arena_printf(m->arena, GR_FMT "." GR_FMT, GR_ARG(m->view->name), GR_ARG(alias));
}

static json_t *json_text(gr_str s) { return json_stringn_nocheck(s.n ? s.p : "", s.n); }

static json_t *list_of(maker *m, const char *key) {
    json_t *list = json_object_get(m->query, key);
    if (list) return list;
    json_object_set_new(m->query, key, json_array());
    return json_object_get(m->query, key);
}

static void add_id(maker *m, const char *key, size_t cube, gr_str name) {
    json_array_append_new(list_of(m, key), json_text(id_of(m, cube, name)));
}

static bool is_windowed(const diff_world *w, size_t cube, size_t index) {
    const diff_measure *d = &w->cubes[cube].measures[index];
    bool is_any = d->window || d->stage;
    for (size_t i = 0; d->type >= DIFF_CALC_NUMBER && !d->stage && i < d->sql->n_args; i++) {
        const diff_expr *e = d->sql->args[i];
        if (e->op == DIFF_OP_MEASURE) is_any |= is_windowed(w, e->cube, e->index);
    }
    return is_any;
}

static void add_measure(maker *m, size_t cube, size_t index) {
    m->has_window |= is_windowed(m->w, cube, index);
    add_id(m, "measures", cube, m->w->cubes[cube].measures[index].name);
}

/* ---- times ----------------------------------------------------------------------------------------------------------
 */

/* Mostly of the query's one row, so that conditions on several members can hold together. */
static diff_value value_on_some_row(maker *m, size_t cube, size_t dim) {
    const diff_table *t = m->w->cubes[m->root].table;
    if (t->n_rows && diff_chance(m->r, 75))
        return diff_reference_dimension(m->w, m->root, m->witness, cube, dim, m->arena);
    t = m->w->cubes[cube].table;
    return t->n_rows ? diff_reference_dimension(m->w, cube, diff_pick(m->r, t->n_rows), cube, dim, m->arena)
                     : diff_null();
}

static int64_t random_local(maker *m, size_t cube, size_t dim) {
    const diff_table *t = m->w->cubes[cube].table;
    int64_t us;
    for (int tries = 0; tries < 5 && t->n_rows && diff_chance(m->r, 85); tries++) {
        diff_value v = value_on_some_row(m, cube, dim);
        if (diff_instant(&v, &us)) return gr_tz_to_local(m->tz, us);
    }
    return gr_tz_to_local(m->tz, diff_random_instant(m->r, m->w));
}

static gr_str stamp_text(maker *m, int64_t local_us, bool is_date) {
    gr_civil c = gr_civil_from_us(local_us);
    if (is_date) return gr_arena_printf(m->arena, "%04lld-%02d-%02d", (long long)c.year, c.month, c.day);
    gr_str text = gr_arena_printf(m->arena, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)c.year, c.month, c.day,
                                  c.hour, c.minute, c.second);
    if (c.us % 1000 == 0 && diff_chance(m->r, 50))
        return gr_arena_printf(m->arena, GR_FMT ".%03lld", GR_ARG(text), (long long)(c.us / 1000));
    return c.us ? gr_arena_printf(m->arena, GR_FMT ".%06lld", GR_ARG(text), (long long)c.us) : text;
}

static const gr_granularity *granularity_of(maker *m, const diff_dim *d, const char *name) {
    const gr_granularity *known = gr_granularity_predefined(gr_grain_from_name(gr_str_from(name)));
    if (known) return known;
    for (const diff_granularity *g = d->granularities; g && g->name; g++) {
        gr_granularity *parsed = GR_NEW(m->arena, gr_granularity);
        gr_str parts[] = {gr_str_from(g->interval), gr_str_from(g->offset), gr_str_from(g->origin)};
        if (!strcmp(g->name, name) &&
            !gr_granularity_parse(gr_str_from(name), parts[0], parts[1], parts[2], parsed, NULL))
            return parsed;
    }
    return gr_granularity_predefined(GR_GRAIN_DAY);
}

/* Two ends on boundaries of the granularity, written in one of the ways in which clients write them. */
static json_t *aligned_range(maker *m, size_t cube, size_t dim, const char *granularity) {
    const gr_granularity *g = granularity_of(m, &m->w->cubes[cube].dims[dim], granularity);
    int64_t anchor = g->grain == GR_GRAIN_CUSTOM ? gr_granularity_anchor(g, m->tz, m->w->now_us) : 0;
    int64_t from = gr_granularity_floor(g, anchor, random_local(m, cube, dim)), to = from;
    int64_t buckets = diff_chance(m->r, 35) ? diff_between(m->r, 1, 4) : diff_between(m->r, 1, 150);
    while (buckets--) to = gr_granularity_next(g, anchor, to);
    bool are_dates = from % INT64_C(86400000000) == 0 && to % INT64_C(86400000000) == 0;
    if (are_dates && diff_chance(m->r, 60))
        return json_pack("[o, o]", json_text(stamp_text(m, from, true)), json_text(stamp_text(m, to - 1, true)));
    int64_t last = diff_chance(m->r, 50) ? to - 1000 : to - 1;
    return json_pack("[o, o]", json_text(stamp_text(m, from, false)), json_text(stamp_text(m, last, false)));
}

static json_t *loose_range(maker *m, size_t cube, size_t dim) {
    static const int64_t units[] = {1, 1000, 1000000, INT64_C(60000000), INT64_C(3600000000), INT64_C(86400000000)};
    int64_t ends[2];
    for (int i = 0; i < 2; i++) {
        int64_t unit = DIFF_ONE_OF(m->r, units), us = random_local(m, cube, dim), rest = us % unit;
        ends[i] = us - (rest < 0 ? rest + unit : rest);
    }
    bool is_swapped = ends[0] > ends[1] && diff_chance(m->r, 90);
    gr_str a = stamp_text(m, ends[is_swapped], diff_chance(m->r, 20)),
           b = stamp_text(m, ends[!is_swapped], diff_chance(m->r, 20));
    if (diff_chance(m->r, 5)) return json_pack("[o]", json_text(a));
    return json_pack("[o, o]", json_text(a), json_text(b));
}

/* Whole hours, days, weeks or months that are no whole number of coarser buckets: edges that a finer rollup has. */
static json_t *ragged_range(maker *m, size_t cube, size_t dim, const char *stored) {
    static const gr_grain units[] = {GR_GRAIN_MINUTE, GR_GRAIN_HOUR, GR_GRAIN_HOUR, GR_GRAIN_DAY,
                                     GR_GRAIN_DAY,    GR_GRAIN_DAY,  GR_GRAIN_WEEK, GR_GRAIN_MONTH};
    gr_grain unit = DIFF_ONE_OF(m->r, units), bucket = stored ? gr_grain_from_name(gr_str_from(stored)) : GR_GRAIN_NONE;
    if (bucket == GR_GRAIN_HOUR) unit = GR_GRAIN_MINUTE;
    if (bucket == GR_GRAIN_DAY && unit >= GR_GRAIN_DAY && diff_chance(m->r, 70)) unit = GR_GRAIN_HOUR;
    if (bucket == GR_GRAIN_WEEK && unit >= GR_GRAIN_WEEK) unit = GR_GRAIN_DAY;
    const gr_granularity *g = gr_granularity_predefined(unit);
    int64_t ends[2] = {random_local(m, cube, dim), random_local(m, cube, dim)};
    if (diff_chance(m->r, 50)) ends[1] = ends[0] + diff_between(m->r, -400, 400) * INT64_C(86400000000);
    int64_t from = ends[ends[0] > ends[1]], to = ends[ends[0] <= ends[1]];
    from = gr_granularity_floor(g, 0, from);
    to = gr_granularity_next(g, 0, gr_granularity_floor(g, 0, to));
    return json_pack("[o, o]", json_text(stamp_text(m, from, false)), json_text(stamp_text(m, to - 1000, false)));
}

/* Inside, across and outside of what a rollup stores. */
static json_t *range_about_build(maker *m, const diff_rollup *r) {
    static const int64_t units[] = {INT64_C(86400000000), INT64_C(86400000000), INT64_C(3600000000), 1000000};
    int64_t edge = r->has_start && (!r->has_end || diff_chance(m->r, 50)) ? r->start_us : r->end_us, ends[2];
    int64_t unit = DIFF_ONE_OF(m->r, units);
    for (int i = 0; i < 2; i++) {
        int64_t us = gr_tz_to_local(m->tz, edge) + diff_between(m->r, -60, 60) * units[0];
        if (diff_chance(m->r, 25)) us = gr_tz_to_local(m->tz, edge);
        if (diff_chance(m->r, 25)) us += diff_between(m->r, -1000, 1000) * units[0];
        us -= ((us % unit) + unit) % unit;
        if (diff_chance(m->r, 40)) us = gr_granularity_floor(gr_granularity_predefined(GR_GRAIN_MONTH), 0, us);
        ends[i] = us;
    }
    bool is_swapped = ends[0] > ends[1];
    gr_str from = stamp_text(m, ends[is_swapped], false), to = stamp_text(m, ends[!is_swapped] - 1, false);
    return json_pack("[o, o]", json_text(from), json_text(to));
}

static json_t *random_range(maker *m, size_t cube, size_t dim, const char *granularity) {
    static const char *const relative[] = {"today",
                                           "yesterday",
                                           "this week",
                                           "last week",
                                           "this month",
                                           "last month",
                                           "last 7 days",
                                           "last 2 quarters",
                                           "this year",
                                           "last year",
                                           "last 90 days",
                                           "last 3 months",
                                           "next 2 weeks",
                                           "this quarter",
                                           "last 1 year",
                                           "last 48 hours",
                                           "from 90 days ago to now",
                                           "last 3 hours"};
    static const char *const grains[] = {"day", "day", "month", "week", "year", "quarter", "hour"};
    size_t kind = diff_pick(m->r, 100);
    bool is_limited = m->rollup && (m->rollup->has_start || m->rollup->has_end);
    if (is_limited && diff_chance(m->r, 60)) return range_about_build(m, m->rollup);
    if (kind < 15 && !m->is_static) return json_string(DIFF_ONE_OF(m->r, relative));
    if (kind < 30) return loose_range(m, cube, dim);
    if (kind < (m->is_exact ? 40 : 65)) return ragged_range(m, cube, dim, granularity);
    bool is_known = granularity && diff_chance(m->r, 70);
    return aligned_range(m, cube, dim, is_known ? granularity : DIFF_ONE_OF(m->r, grains));
}

/* ---- members --------------------------------------------------------------------------------------------------------
 */

static const char *coarser(maker *m, const diff_dim *d, const char *stored) {
    static const char *const all[] = {"second", "minute", "hour", "day", "week", "month", "quarter", "year"};
    size_t from = 0, n = 0;
    while (d->granularities && d->granularities[n].name) n++;
    while (from < 8 && strcmp(all[from], stored) != 0) from++;
    if (from == 8 || m->is_exact || diff_chance(m->r, 35)) return stored;
    if (n && diff_chance(m->r, 20)) return d->granularities[diff_pick(m->r, n)].name;
    return all[(size_t)diff_between(m->r, (int64_t)from, 7)];
}

static void add_time(maker *m, size_t cube, size_t dim, const char *stored) {
    const diff_dim *d = &m->w->cubes[cube].dims[dim];
    const char *granularity = diff_chance(m->r, 85) || m->is_exact ? coarser(m, d, stored) : NULL;
    bool has_range = !granularity || diff_chance(m->r, m->is_exact ? 25 : 50);
    if (granularity && !has_range && diff_chance(m->r, 15)) { /* the id of three parts */
        gr_str id = gr_arena_printf(m->arena, GR_FMT ".%s", GR_ARG(id_of(m, cube, d->name)), granularity);
        json_array_append_new(list_of(m, "dimensions"), json_text(id));
        return;
    }
    json_t *item = json_pack("{s:o}", "dimension", json_text(id_of(m, cube, d->name)));
    if (granularity) json_object_set_new(item, "granularity", json_string(granularity));
    if (has_range) json_object_set_new(item, "dateRange", random_range(m, cube, dim, stored));
    json_array_append_new(list_of(m, "timeDimensions"), item);
}

static json_t *dim_leaf(maker *m, size_t cube, size_t dim);
static json_t *dim_value(maker *m, size_t cube, size_t dim, bool is_like);

/* One value of a stored dimension instead of the dimension: what cannot be merged is right then, and wrong when the
 * filter lets a second value or a null pass. */
static void fix_dimension(maker *m, size_t cube, size_t dim) {
    json_t *values = json_pack("[o]", dim_value(m, cube, dim, false));
    size_t kind = diff_pick(m->r, 6);
    if (kind == 0) json_array_append_new(values, json_null());
    if (kind == 1) json_array_append_new(values, dim_value(m, cube, dim, false));
    json_t *leaf = json_pack("{s:o, s:s, s:o}", "member", json_text(id_of(m, cube, m->w->cubes[cube].dims[dim].name)),
                             "operator", kind == 2 ? "in" : "equals", "values", values);
    if (kind == 3) leaf = json_pack("{s:[o, o]}", "or", leaf, dim_leaf(m, cube, dim));
    if (kind == 4) leaf = json_pack("{s:[o]}", "and", leaf);
    json_array_append_new(list_of(m, "filters"), leaf);
}

static void add_from_rollup(maker *m) {
    unsigned percent = m->is_exact ? 100 : m->is_simple ? 0 : (unsigned)diff_between(m->r, 15, 70);
    unsigned fixed_percent = diff_chance(m->r, 50) ? 100 : 40;
    bool is_fixed = m->is_exact && diff_chance(m->r, 60), is_at_home = diff_chance(m->r, 40),
         is_one = diff_chance(m->r, 60);
    for (size_t i = 0; i < m->rollup->n_items; i++) {
        const diff_item *item = &m->rollup->items[i];
        const diff_cube *c = &m->w->cubes[item->cube];
        bool is_reachable = false; /* a rollup may be declared beside cubes that its rows do not start from */
        for (size_t k = 0; k < m->n_cubes; k++) is_reachable |= m->cubes[k] == item->cube;
        if (is_at_home && !is_reachable) continue;
        bool is_mergeable = item->kind == DIFF_ITEM_MEASURE && c->measures[item->index].type < DIFF_COUNT_DISTINCT;
        unsigned measures = !m->is_exact ? 30 : is_mergeable ? 40 : 75;
        if (item->kind == DIFF_ITEM_MEASURE && diff_chance(m->r, measures)) add_measure(m, item->cube, item->index);
        if (item->kind == DIFF_ITEM_DIMENSION && is_fixed && diff_chance(m->r, fixed_percent)) {
            fix_dimension(m, item->cube, item->index);
            is_fixed = !is_one;
        } else if (item->kind == DIFF_ITEM_DIMENSION && diff_chance(m->r, percent))
            add_id(m, "dimensions", item->cube, c->dims[item->index].name);
        if (item->kind == DIFF_ITEM_SEGMENT && !m->is_simple && diff_chance(m->r, m->is_exact ? 100 : 30))
            add_id(m, "segments", item->cube, c->segments[item->index].name);
        if (item->kind == DIFF_ITEM_TIME && (m->is_exact || diff_chance(m->r, 75)))
            add_time(m, item->cube, item->index, item->granularity);
    }
    const diff_cube *root = &m->w->cubes[m->root];
    for (size_t i = 0; i < root->n_measures && !m->is_exact; i++) /* a rollup stores what they stand on */
        if (root->measures[i].stage && diff_chance(m->r, 7)) add_measure(m, m->root, i);
}

/* Members that the rollup may not have, or have only through others. */
static void add_from_model(maker *m, unsigned percent) {
    const diff_cube *root = &m->w->cubes[m->root];
    while (diff_chance(m->r, percent)) add_measure(m, m->root, diff_pick(m->r, root->n_measures));
    while (diff_chance(m->r, percent)) {
        size_t cube = m->cubes[diff_pick(m->r, m->n_cubes)];
        const diff_cube *c = &m->w->cubes[cube];
        const diff_dim *d = &c->dims[diff_pick(m->r, c->n_dims)];
        if (d->is_primary_key && diff_chance(m->r, 80)) continue;
        add_id(m, "dimensions", cube, d->name);
    }
    while (diff_chance(m->r, percent / 3)) {
        size_t cube = m->cubes[diff_pick(m->r, m->n_cubes)], dim;
        const diff_cube *c = &m->w->cubes[cube];
        dim = diff_pick(m->r, c->n_dims);
        if (c->dims[dim].type == DIFF_DIM_TIME) add_time(m, cube, dim, diff_chance(m->r, 50) ? "day" : "hour");
    }
    if (root->n_segments && diff_chance(m->r, percent / 5))
        add_id(m, "segments", m->root, root->segments[diff_pick(m->r, root->n_segments)].name);
    /* its rows may be repeated, or be another fact's */
    size_t other = diff_chance(m->r, 50) ? m->cubes[diff_pick(m->r, m->n_cubes)] : diff_pick(m->r, m->w->n_cubes);
    const diff_cube *c = &m->w->cubes[other];
    if (other != m->root && diff_chance(m->r, percent / 3)) add_measure(m, other, diff_pick(m->r, c->n_measures));
}

/* Measures of several cubes by members that all of them may reach. */
static void add_facts(maker *m) {
    size_t n = (size_t)diff_between(m->r, 2, 3);
    for (size_t i = 0; i < n; i++) {
        size_t cube = diff_pick(m->r, m->w->n_cubes);
        add_measure(m, cube, diff_pick(m->r, m->w->cubes[cube].n_measures));
    }
    size_t shared = m->w->n_cubes - 1 - diff_pick(m->r, m->w->n_cubes > 2 ? 2 : 1);
    const diff_cube *c = &m->w->cubes[shared];
    for (n = diff_pick(m->r, 3); n-- > 0;) {
        size_t dim = diff_pick(m->r, c->n_dims);
        if (c->dims[dim].type == DIFF_DIM_TIME && diff_chance(m->r, 70))
            add_time(m, shared, dim, "day");
        else
            add_id(m, "dimensions", shared, c->dims[dim].name);
    }
}

/* sub_query dimensions, and what stands on them. */
static void add_sub_queries(maker *m) {
    for (size_t i = 0; i < m->n_cubes; i++) {
        const diff_cube *c = &m->w->cubes[m->cubes[i]];
        for (size_t k = 0; k < c->n_dims; k++) {
            bool is_about = gr_str_starts(c->dims[k].name, GR_STR("sub_"));
            if (is_about && diff_chance(m->r, 35)) add_id(m, "dimensions", m->cubes[i], c->dims[k].name);
            if (is_about && diff_chance(m->r, 20))
                json_array_append_new(list_of(m, "filters"), dim_leaf(m, m->cubes[i], k));
        }
        for (size_t k = 0; k < c->n_measures; k++)
            if (gr_str_starts(c->measures[k].name, GR_STR("sub_")) && diff_chance(m->r, 40))
                add_measure(m, m->cubes[i], k);
    }
}

/* A measure over a window or over groups, mostly by time. */
static void add_special(maker *m) {
    size_t cube = diff_chance(m->r, 60) ? m->root : diff_pick(m->r, m->w->n_cubes);
    const diff_cube *c = &m->w->cubes[cube];
    for (int tries = 0; tries < 60; tries++) {
        size_t at = diff_pick(m->r, c->n_measures);
        if (!is_windowed(m->w, cube, at)) continue;
        add_measure(m, cube, at);
        if (diff_chance(m->r, 60)) break;
    }
    if (!m->has_window || json_array_size(json_object_get(m->query, "timeDimensions")) || diff_chance(m->r, 20)) return;
    cube = diff_chance(m->r, 70) ? cube : m->cubes[diff_pick(m->r, m->n_cubes)];
    for (int tries = 0; tries < 20; tries++) {
        size_t dim = diff_pick(m->r, m->w->cubes[cube].n_dims);
        if (m->w->cubes[cube].dims[dim].type != DIFF_DIM_TIME) continue;
        add_time(m, cube, dim, "day");
        return;
    }
}

/* ---- filters --------------------------------------------------------------------------------------------------------
 */

static gr_str text_of(maker *m, const diff_value *v) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    if (!diff_show(v, &out)) gr_buf_z(&out, "nothing");
    gr_str text = gr_arena_dup(m->arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static gr_str text_value(maker *m, const diff_value *have, bool is_like) {
    if (have->kind == DIFF_NULL || diff_chance(m->r, 10)) return diff_random_word(m->r);
    gr_str text = diff_cast_text(have, m->arena);
    if (is_like && text.n > 1 && (unsigned char)text.p[0] < 0x80 && (unsigned char)text.p[1] < 0x80 &&
        diff_chance(m->r, 60))
        text.n = 1 + (text.n > 2 && (unsigned char)text.p[2] < 0x80);
    if (diff_chance(m->r, is_like ? 30 : 8))
        text = diff_chance(m->r, 50) ? diff_fold(text, m->arena) : diff_upper(text, m->arena);
    return text;
}

static gr_str number_value(maker *m, const diff_value *have) {
    bool is_safe =
        have->kind == DIFF_INT || have->kind == DIFF_DECIMAL || (have->kind == DIFF_DOUBLE && !have->is_wild);
    if (is_safe && diff_chance(m->r, 88)) return text_of(m, have);
    if (diff_chance(m->r, 40)) return gr_arena_printf(m->arena, "%lld.5", (long long)diff_between(m->r, -4, 9));
    return gr_arena_printf(m->arena, "%lld", (long long)diff_between(m->r, -9, 30));
}

static json_t *dim_value(maker *m, size_t cube, size_t dim, bool is_like) {
    const diff_cube *c = &m->w->cubes[cube];
    diff_value have = value_on_some_row(m, cube, dim);
    switch (c->dims[dim].type) {
    case DIFF_DIM_NUMBER: return json_text(number_value(m, &have));
    case DIFF_DIM_BOOLEAN:
        if (have.kind == DIFF_BOOL && diff_chance(m->r, 70)) return json_string(have.as.b ? "true" : "false");
        return diff_chance(m->r, 30) ? json_boolean(diff_chance(m->r, 50))
                                     : json_string(diff_chance(m->r, 50) ? "true" : "false");
    case DIFF_DIM_TIME: {
        int64_t us = random_local(m, cube, dim);
        return json_text(stamp_text(m, us, diff_chance(m->r, 20)));
    }
    case DIFF_DIM_STRING:
    case DIFF_DIM_GEO: break;
    }
    return json_text(text_value(m, &have, is_like));
}

static json_t *dim_leaf(maker *m, size_t cube, size_t dim) {
    static const char *const text_ops[] = {
        "equals",        "equals",   "notEquals",   "in",  "notIn",  "contains", "notContains", "startsWith",
        "notStartsWith", "endsWith", "notEndsWith", "set", "notSet", "gt",       "lte"};
    static const char *const number_ops[] = {"equals", "equals", "notEquals", "in",  "notIn", "gt",
                                             "gte",    "lt",     "lte",       "set", "notSet"};
    static const char *const boolean_ops[] = {"equals", "notEquals", "in", "notIn", "set", "notSet"};
    static const char *const time_ops[] = {"inDateRange",
                                           "inDateRange",
                                           "notInDateRange",
                                           "onTheDate",
                                           "beforeDate",
                                           "beforeOrOnDate",
                                           "afterDate",
                                           "afterOrOnDate",
                                           "equals",
                                           "notEquals",
                                           "gt",
                                           "gte",
                                           "lt",
                                           "lte",
                                           "set",
                                           "notSet"};
    static const char *const geo_ops[] = {"equals", "contains", "notEquals", "set"};
    const diff_dim *d = &m->w->cubes[cube].dims[dim];
    const char *op = d->type == DIFF_DIM_STRING    ? DIFF_ONE_OF(m->r, text_ops)
                     : d->type == DIFF_DIM_NUMBER  ? DIFF_ONE_OF(m->r, number_ops)
                     : d->type == DIFF_DIM_BOOLEAN ? DIFF_ONE_OF(m->r, boolean_ops)
                     : d->type == DIFF_DIM_TIME    ? DIFF_ONE_OF(m->r, time_ops)
                                                   : DIFF_ONE_OF(m->r, geo_ops);
    json_t *leaf = json_pack("{s:o, s:s}", "member", json_text(id_of(m, cube, d->name)), "operator", op);
    if (!strcmp(op, "set") || !strcmp(op, "notSet")) return leaf;
    if (!strcmp(op, "inDateRange") || !strcmp(op, "notInDateRange")) {
        json_t *range = random_range(m, cube, dim, NULL);
        json_object_set_new(
            leaf, "values",
            json_is_array(range) && json_array_size(range) == 2
                ? range
                : json_pack("[o]", json_is_array(range) ? json_incref(json_array_get(range, 0)) : json_incref(range)));
        if (!json_is_array(range) || json_array_size(range) != 2) json_decref(range);
        return leaf;
    }
    bool is_point = strstr(op, "Date") != NULL, is_single = is_point || op[0] == 'g' || op[0] == 'l';
    bool is_like = strstr(op, "ontains") || strstr(op, "With");
    json_t *values = json_array();
    size_t n = is_single ? 1 : (size_t)diff_between(m->r, 1, diff_chance(m->r, 50) ? 1 : 4);
    for (size_t i = 0; i < n; i++) {
        bool is_null = !is_single && diff_chance(m->r, 12);
        bool is_relative = is_point && !m->is_static && diff_chance(m->r, 15);
        json_array_append_new(values, is_null       ? json_null()
                                      : is_relative ? json_string("last month")
                                                    : dim_value(m, cube, dim, is_like));
    }
    json_object_set_new(leaf, "values", values);
    return leaf;
}

/* A stored dimension of the rollup, or any. */
static void pick_dim(maker *m, size_t *ret_cube, size_t *ret_dim) {
    for (int tries = 0; m->rollup && tries < 12 && diff_chance(m->r, 92); tries++) {
        const diff_item *item = &m->rollup->items[diff_pick(m->r, m->rollup->n_items)];
        if (item->kind != DIFF_ITEM_DIMENSION) continue;
        *ret_cube = item->cube;
        *ret_dim = item->index;
        return;
    }
    *ret_cube = m->cubes[diff_pick(m->r, m->n_cubes)];
    *ret_dim = diff_pick(m->r, m->w->cubes[*ret_cube].n_dims);
}

static json_t *dim_filter(maker *m, int depth) {
    if (depth < 3 && diff_chance(m->r, 22)) {
        json_t *children = json_array();
        size_t n = (size_t)diff_between(m->r, 1, 3);
        for (size_t i = 0; i < n; i++) json_array_append_new(children, dim_filter(m, depth + 1));
        return json_pack("{s:o}", diff_chance(m->r, 60) ? "or" : "and", children);
    }
    size_t cube, dim;
    pick_dim(m, &cube, &dim);
    return dim_leaf(m, cube, dim);
}

json_t *diff_generate_filter(const diff_world *world, diff_random *r, size_t root, gr_arena *arena) {
    maker m = {.r = r, .w = world, .arena = arena, .tz = gr_tz_utc(), .root = root, .is_static = true};
    m.n_cubes = diff_reachable(world, root, m.cubes);
    m.witness = diff_pick(r, world->cubes[root].table->n_rows);
    return dim_filter(&m, 2);
}

/* ---- a rollup's own filters -----------------------------------------------------------------------------------------
 */

/* The first leaf of a filter. */
static json_t *leaf_of(json_t *filter) {
    static const char *const keys[] = {"and", "or"};
    for (size_t i = 0; i < 2; i++) {
        json_t *list = json_object_get(filter, keys[i]);
        if (list) return leaf_of(json_array_get(list, 0));
    }
    return filter;
}

/* A little narrower, or a little wider: one must be served, the other must not. */
static void change_leaf(maker *m, json_t *leaf) {
    json_t *values = json_object_get(leaf, "values");
    const char *op = json_string_value(json_object_get(leaf, "operator"));
    bool is_list = !strcmp(op, "equals") || !strcmp(op, "in") || !strcmp(op, "notEquals") || !strcmp(op, "notIn");
    size_t n = json_array_size(values);
    if (is_list && n > 1 && diff_chance(m->r, 60))
        json_array_remove(values, diff_pick(m->r, n));
    else if (is_list && diff_chance(m->r, 50))
        json_array_append_new(values, diff_chance(m->r, 50) ? json_null() : json_text(diff_random_word(m->r)));
    else if (!strcmp(op, "gte") || !strcmp(op, "lte"))
        json_object_set_new(leaf, "operator", json_string(op[0] == 'g' ? "gt" : "lt"));
    else if (!strcmp(op, "set"))
        json_object_set_new(leaf, "operator", json_string("notSet"));
}

static bool is_typed(const json_t *leaf) { /* numbers and booleans take no words */
    json_t *first = json_array_get(json_object_get(leaf, "values"), 0);
    const char *text = json_string_value(first);
    return !text || !strcmp(text, "true") || !strcmp(text, "false") || strspn(text, "-0123456789.e+:T") == strlen(text);
}

static void add_static_filters(maker *m) {
    size_t kind = diff_pick(m->r, 100);
    if (!m->rollup || !m->rollup->filters.n || kind >= 75) return;
    json_t *list = json_loadb(m->rollup->filters.p, m->rollup->filters.n, 0, NULL);
    size_t i;
    json_t *f;
    json_array_foreach(list, i, f) {
        if (kind >= 65 && i == 0) continue;
        json_t *leaf = leaf_of(f);
        if (kind >= 45 && kind < 65 && !is_typed(leaf)) change_leaf(m, leaf);
        json_array_append(list_of(m, "filters"), f);
    }
    json_decref(list);
}

static const diff_measure *pick_measure(maker *m, size_t *ret_cube) {
    for (int tries = 0; m->rollup && tries < 8; tries++) {
        const diff_item *item = &m->rollup->items[diff_pick(m->r, m->rollup->n_items)];
        if (item->kind != DIFF_ITEM_MEASURE) continue;
        *ret_cube = item->cube;
        m->has_window |= is_windowed(m->w, item->cube, item->index);
        return &m->w->cubes[item->cube].measures[item->index];
    }
    *ret_cube = m->root;
    size_t index = diff_pick(m->r, m->w->cubes[m->root].n_measures);
    m->has_window |= is_windowed(m->w, m->root, index);
    return &m->w->cubes[m->root].measures[index];
}

static json_t *measure_filter(maker *m, int depth) {
    static const char *const ops[] = {"gt", "gte", "lt", "lte", "equals", "notEquals", "set", "notSet", "in", "notIn"};
    if (depth < 2 && diff_chance(m->r, 15))
        return json_pack("{s:[o, o]}", diff_chance(m->r, 60) ? "or" : "and", measure_filter(m, depth + 1),
                         measure_filter(m, depth + 1));
    size_t cube;
    const diff_measure *measure = pick_measure(m, &cube);
    const char *op = DIFF_ONE_OF(m->r, ops);
    bool is_set = !strcmp(op, "set") || !strcmp(op, "notSet");
    if (measure->is_timeless && !is_set) op = "set", is_set = true;
    json_t *leaf = json_pack("{s:o, s:s}", "member", json_text(id_of(m, cube, measure->name)), "operator", op);
    if (is_set) return leaf;
    diff_value small = diff_int(diff_between(m->r, -3, 12));
    json_object_set_new(leaf, "values", json_pack("[o]", json_text(number_value(m, &small))));
    if (!strcmp(op, "notIn") && diff_chance(m->r, 40))
        json_array_append_new(json_object_get(leaf, "values"), json_null());
    return leaf;
}

static void add_filters(maker *m) {
    add_static_filters(m);
    if (m->is_simple) return;
    unsigned percent = m->is_exact ? 12 : 38;
    while (json_array_size(list_of(m, "filters")) < 4 && diff_chance(m->r, percent))
        json_array_append_new(list_of(m, "filters"), dim_filter(m, 0));
    if (diff_chance(m->r, m->is_exact ? 6 : 18)) json_array_append_new(list_of(m, "filters"), measure_filter(m, 0));
    const diff_cube *root = &m->w->cubes[m->root];
    if (diff_chance(m->r, 2)) {
        const diff_measure *measure = &root->measures[diff_pick(m->r, root->n_measures)];
        if (measure->type < DIFF_CALC_NUMBER)
            json_array_append_new(list_of(m, "filters"),
                                  json_pack("{s:o, s:s}", "member", json_text(id_of(m, m->root, measure->name)),
                                            "operator", "measureFilter"));
    }
}

/* ---- order and size -------------------------------------------------------------------------------------------------
 */

static bool is_about(const json_t *id) { return gr_str_ends(gr_str_from(json_string_value(id)), GR_STR("about")); }

static void add_order(maker *m) {
    json_t *ids = json_array(), *measures = json_object_get(m->query, "measures"),
           *times = json_object_get(m->query, "timeDimensions");
    size_t i;
    json_t *at;
    json_array_foreach(json_object_get(m->query, "dimensions"), i, at) json_array_append(ids, at);
    json_array_foreach(measures, i, at) if (!is_about(at)) json_array_append(ids, at);
    json_array_foreach(times, i, at) json_array_append(ids, json_object_get(at, "dimension"));
    bool has_about = false;
    json_array_foreach(measures, i, at) has_about |= is_about(at);
    if (has_about ||
        diff_chance(m->r, 50)) { /* by default the first measure may order, and an estimate has no reference */
        json_t *order = json_array();
        size_t n = diff_pick(m->r, 4);
        for (size_t k = 0; k < n && json_array_size(ids); k++)
            json_array_append_new(order, json_pack("[O, s]", json_array_get(ids, diff_pick(m->r, json_array_size(ids))),
                                                   diff_chance(m->r, 50) ? "asc" : "desc"));
        json_object_set_new(m->query, "order", order);
    }
    json_decref(ids);
    if (diff_chance(m->r, 30))
        json_object_set_new(m->query, "limit", json_integer(diff_chance(m->r, 4) ? 0 : diff_between(m->r, 1, 12)));
    if (diff_chance(m->r, 9)) json_object_set_new(m->query, "offset", json_integer(diff_between(m->r, 0, 6)));
    if (diff_chance(m->r, 20)) json_object_set_new(m->query, "total", json_true());
}

static void drop_empty_lists(json_t *query) {
    static const char *const keys[] = {"measures", "dimensions", "timeDimensions", "filters", "segments"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *list = json_object_get(query, keys[i]);
        if (list && !json_array_size(list)) json_object_del(query, keys[i]);
    }
}

static bool has_columns(const json_t *query) {
    if (json_object_get(query, "measures") || json_object_get(query, "dimensions")) return true;
    size_t i;
    json_t *at;
    json_array_foreach(json_object_get(query, "timeDimensions"), i,
                       at) if (json_object_get(at, "granularity")) return true;
    return false;
}

static size_t n_columns(const diff_rollup *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_items; i++) n += r->items[i].kind != DIFF_ITEM_MEASURE;
    return n;
}

static void pick_rollup(maker *m) {
    size_t with_rollups[DIFF_MAX_CUBES], n = 0;
    for (size_t i = 0; i < m->w->n_cubes; i++)
        if (m->w->cubes[i].n_rollups) with_rollups[n++] = i;
    m->root = diff_chance(m->r, 80) ? 0 : diff_pick(m->r, m->w->n_cubes);
    if (!n || !diff_chance(m->r, 82)) return;
    m->root = with_rollups[diff_pick(m->r, n)];
    const diff_cube *c = &m->w->cubes[m->root];
    m->rollup = &c->rollups[diff_pick(m->r, c->n_rollups)];
    const diff_rollup *other = &c->rollups[diff_pick(m->r, c->n_rollups)];
    m->is_exact = diff_chance(m->r, m->w->is_about_jumps ? 50 : 28);
    if (m->is_exact && n_columns(other) < n_columns(m->rollup)) m->rollup = other; /* narrow: groups of several rows */
    m->is_simple = !m->is_exact && diff_chance(m->r, 45);
}

/* One time dimension, and buckets that can be counted. */
static void tidy_window(maker *m) {
    static const char *const fine[] = {"second", "minute", "fifteen", "half_minute", "ninety"};
    static const char *const coarse[] = {"month", "quarter", "year", "month", "week"};
    json_t *times = json_object_get(m->query, "timeDimensions"), *dimensions = json_object_get(m->query, "dimensions");
    for (size_t i = json_array_size(dimensions); i-- > 0;) {
        const char *id = json_string_value(json_array_get(dimensions, i));
        if (strchr(strchr(id, '.') + 1, '.')) json_array_remove(dimensions, i);
    }
    while (json_array_size(times) > 1) json_array_remove(times, 1);
    json_t *time = json_array_get(times, 0);
    json_t *name = json_object_get(time, "granularity");
    if (!name) return;
    bool is_fine = false;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) is_fine |= !strcmp(json_string_value(name), fine[i]);
    if (is_fine) json_object_set_new(time, "granularity", json_string("day"));
    gr_str id = gr_str_from(json_string_value(json_object_get(time, "dimension")));
    for (size_t cube = 0; cube < m->w->n_cubes; cube++)
        for (size_t i = 0; i < m->w->cubes[cube].n_dims; i++) {
            const diff_dim *d = &m->w->cubes[cube].dims[i];
            if (!gr_str_eq(id_of(m, cube, d->name), id)) continue;
            if (diff_chance(m->r, 25)) { /* all that there is */
                json_object_del(time, "dateRange");
                size_t n = sizeof coarse / sizeof *coarse;
                json_object_set_new(time, "granularity", json_string(coarse[diff_pick(m->r, n)]));
                return;
            }
            const char *known = json_string_value(json_object_get(time, "granularity"));
            const gr_granularity *g = granularity_of(m, d, known);
            int64_t anchor = g->grain == GR_GRAIN_CUSTOM ? gr_granularity_anchor(g, m->tz, m->w->now_us) : 0;
            int64_t from = random_local(m, cube, i), to = from, n = diff_between(m->r, 1, 14);
            if (diff_chance(m->r, 60)) from = to = gr_granularity_floor(g, anchor, from);
            while (n--) to = gr_granularity_next(g, anchor, gr_granularity_floor(g, anchor, to));
            if (diff_chance(m->r, 25)) to += diff_between(m->r, 0, 40) * INT64_C(3600000000);
            from -= ((from % 1000000) + 1000000) % 1000000;
            json_object_set_new(
                time, "dateRange",
                json_pack("[o, o]", json_text(stamp_text(m, from, false)), json_text(stamp_text(m, to - 1000, false))));
            return;
        }
}

static bool has_keys(const diff_world *w, const diff_rollup *r) {
    for (size_t i = 0; i < r->n_items; i++)
        if (r->items[i].kind == DIFF_ITEM_DIMENSION &&
            w->cubes[r->items[i].cube].dims[r->items[i].index].is_primary_key)
            return true;
    return false;
}

static void choose_rows(maker *m) {
    if (diff_chance(m->r, !m->rollup ? 3 : has_keys(m->w, m->rollup) ? 35 : 1))
        json_object_set_new(m->query, "ungrouped", json_true());
    if (diff_chance(m->r, 3))
        json_object_set_new(m->query, "preAggregations", json_string(diff_chance(m->r, 50) ? "forbid" : "prefer"));
    if (diff_chance(m->r, 12))
        json_object_set_new(m->query, "selection", json_string(diff_chance(m->r, 70) ? "cheapest" : "first"));
}

json_t *diff_generate_query(const diff_world *world, uint64_t seed, uint64_t group, uint64_t index, gr_arena *arena) {
    diff_random random = diff_random_of(seed, group, index + 1);
    maker m = {.r = &random, .w = world, .arena = arena, .query = json_object(), .tz = gr_tz_utc()};
    pick_rollup(&m);
    m.n_cubes = diff_reachable(world, m.root, m.cubes);
    m.witness = diff_pick(&random, world->cubes[m.root].table->n_rows);
    if (world->n_views && diff_chance(&random, 40)) m.view = &world->views[diff_pick(&random, world->n_views)];
    if (diff_chance(&random, 60)) {
        gr_str zone = world->zones[world->is_about_jumps ? 0 : diff_pick(&random, world->n_zones)];
        if (!gr_tz_get(zone, &m.tz, NULL)) json_object_set_new(m.query, "timezone", json_text(zone));
    }
    bool has_facts = world->n_cubes > 1 && !m.is_exact && diff_chance(&random, m.rollup ? 6 : 40);
    if (m.rollup) add_from_rollup(&m);
    if (has_facts) add_facts(&m);
    if (!m.is_exact && diff_chance(&random, 14)) add_special(&m);
    if (!m.rollup || (!m.is_simple && !m.is_exact && diff_chance(&random, 15))) add_from_model(&m, m.rollup ? 25 : 60);
    if (diff_chance(&random, 18)) add_sub_queries(&m);
    add_filters(&m);
    drop_empty_lists(m.query);
    if (!has_columns(m.query)) add_measure(&m, m.root, 0);
    choose_rows(&m);
    if (m.has_window) tidy_window(&m);
    drop_empty_lists(m.query);
    if (!has_columns(m.query)) add_measure(&m, m.root, 0);
    add_order(&m);
    if (json_object_get(m.query, "ungrouped")) { /* rows have no order of their own, so no page is certain */
        json_object_del(m.query, "limit");
        json_object_del(m.query, "offset");
    }
    return m.query;
}
