/* Loads: the SELECT that fills a rollup. Over one fact it is one statement, at the source; several facts that the
 * embedded engine does not see are fetched, and meet there. */
#include "sql/internal.h"

/* Time first: a range then reads a run of rows (duckdb.md §7). */
static gr_str load_order(gr_sqlw *w, const gr_rollup *r) {
    gr_str *order = GR_NEW_N(w->arena, gr_str, r->n_columns + 1);
    for (size_t i = 0; i < r->n_columns; i++) {
        size_t at = (i + r->n_columns - r->n_times) % r->n_columns;
        order[i] =
            w->dialect->reads_alone ? gr_sqlw_ident(w, r->columns[at].name) : gr_arena_printf(w->arena, "%zu", at + 1);
    }
    gr_str by = gr_sqlw_join(w, order, r->n_columns, ", ");
    return r->n_columns ? gr_arena_printf(w->arena, " ORDER BY " GR_FMT, GR_ARG(by)) : (gr_str){0};
}

/* The stored columns over the union of the grain groups, each under its stored name. */
static gr_str load_text(gr_sqlw *w, const gr_rollup *r, const gr_components *components) {
    gr_sql_grain grain = {.load = r};
    gr_str *texts = GR_NEW_N(w->arena, gr_str, r->n_columns + r->n_components + 1);
    gr_str *selects = GR_NEW_N(w->arena, gr_str, r->groups.n + 1);
    for (size_t i = 0; i < r->groups.n; i++) {
        gr_sqlw g = *w;
        const gr_group *group = &r->groups.v[i];
        const gr_sql_place *place = w->places ? gr_sql_place_of(w->places, gr_sql_load_source(r)) : NULL;
        bool is_seen = !place || gr_sqlw_sees(w, place);
        selects[i] = is_seen ? gr_sqlw_scan(&g, &grain, group, components)
                             : gr_sqlw_scan_from(&g, place, &grain, group, components);
    }
    gr_str pieces = gr_sqlw_join(w, selects, r->groups.n, " UNION ALL ");
    gr_sqlw u = *w;
    u.read = r->groups.n > 1 ? GR_READ_UNION : GR_READ_PLAIN;
    u.components = components;
    u.rows = GR_STR("\"u\"");
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) {
        gr_str name = gr_sqlw_ident(w, r->columns[i].name);
        texts[n++] = gr_arena_printf(w->arena, "\"u\"." GR_FMT " AS " GR_FMT, GR_ARG(name), GR_ARG(name));
    }
    for (size_t i = 0; i < r->n_components; i++) {
        gr_str text = gr_sqlw_component(&u, &r->components[i].component),
               name = gr_sqlw_ident(w, r->components[i].name);
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(name));
    }
    gr_str list = gr_sqlw_join(w, texts, n, ", "), by = {0};
    if (u.read == GR_READ_UNION) by = gr_sqlw_group_by(w, r->n_columns);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"u\"" GR_FMT, GR_ARG(list),
                           GR_ARG(pieces), GR_ARG(by));
}

/* One grain group, each joined row once: no need to go through a union. */
static gr_str plain_load(gr_sqlw *w, const gr_rollup *r) {
    w->tree = &r->tree;
    gr_sql_grain grain = {.load = r};
    gr_str *texts = GR_NEW_N(w->arena, gr_str, r->n_columns + r->n_components + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) {
        gr_str text = gr_sqlw_grain_text(w, &grain, i), name = gr_sqlw_grain_alias(w, &grain, i);
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(name));
    }
    for (size_t i = 0; i < r->n_components; i++) {
        gr_str text = gr_sqlw_component(w, &r->components[i].component), name = gr_sqlw_ident(w, r->components[i].name);
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(name));
    }
    gr_str list = gr_sqlw_join(w, texts, n, ", "), where = gr_sqlw_where(w), from = gr_sqlw_from(w, &r->tree),
           by = gr_sqlw_group_by(w, r->n_columns);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from), GR_ARG(where),
                           GR_ARG(by));
}

static gr_str range_text(gr_sqlw *w, const void *arg) {
    const gr_rollup *r = arg;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, 2), given[] = {r->range_start, r->range_end};
    size_t n = 0;
    for (size_t i = 0; i < 2; i++)
        if (given[i].n)
            texts[n++] = gr_arena_printf(w->arena, "(" GR_FMT ") AS " GR_FMT, GR_ARG(given[i]),
                                         GR_ARG(gr_sqlw_own(w, i ? "b" : "a")));
    return gr_arena_printf(w->arena, "SELECT " GR_FMT, GR_ARG(gr_sqlw_join(w, texts, n, ", ")));
}

gr_sql gr_sql_build_range(const gr_rollup *r, const gr_sql_places *places, gr_arena *arena) {
    gr_sql_statement s = {0};
    gr_sql ret = {0};
    gr_error ignored;
    gr_str source = gr_sql_load_source(r), *columns = GR_NEW_N(arena, gr_str, 2);
    size_t n = 0;
    if (r->range_start.n) columns[n++] = GR_STR("a");
    if (r->range_end.n) columns[n++] = GR_STR("b");
    const gr_sql_home home = gr_sql_home_of_readings(places, source);
    gr_sqlw w = {.dialect = home.dialect, .tz = gr_tz_utc(), .arena = arena, .params = &s.params, .status = &s.status};
    w.err = &ignored;
    gr_sqlw_take_home(&w, places, &home, &s);
    gr_str from = gr_sqlw_read_at(&w, gr_sql_place_of(places, source), columns, range_text, r);
    gr_str start = r->range_start.n ? GR_STR("CAST(a AS TIMESTAMP)") : GR_STR("CAST(NULL AS TIMESTAMP)");
    gr_str end = r->range_end.n ? GR_STR("CAST(b AS TIMESTAMP)") : GR_STR("CAST(NULL AS TIMESTAMP)");
    gr_str text = gr_arena_printf(arena, "SELECT " GR_FMT ", " GR_FMT " FROM (" GR_FMT ") AS \"r\"", GR_ARG(start),
                                  GR_ARG(end), GR_ARG(from));
    (void)!gr_sqlw_finish(&s, &home, text, &ret); /* nothing in it can fail */
    return ret;
}

gr_sqlw gr_sqlw_for_load(const gr_snapshot *snapshot, const gr_rollup *r, const gr_tz *zone,
                         gr_sql_load_options options, const gr_dialect *dialect, gr_sql_statement *s, gr_arena *arena,
                         gr_error *err) {
    return (gr_sqlw){.dialect = dialect,
                     .snapshot = snapshot,
                     .query = r->definition,
                     .originals = options.originals,
                     .n_originals = options.n_originals,
                     .limited = options.range || options.is_without_time ? r->ranged : NULL,
                     .limits = options.range,
                     .tz = zone,
                     .now_us = snapshot->now_us,
                     .arena = arena,
                     .n_sub_queries = &s->n_sub_queries,
                     .params = &s->params,
                     .status = &s->status,
                     .err = err};
}

/* `SELECT "granary_g0" AS "status", … FROM (reading) ORDER BY …`: under the stored names, which the reading may not
 * use. */
static gr_str alone_load(gr_sqlw *w, const gr_rollup *r) {
    gr_sql_grain grain = {.load = r};
    gr_components components = {0};
    gr_str *texts = GR_NEW_N(w->arena, gr_str, r->n_columns + r->n_components + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_components; i++) gr_components_add(&components, &r->components[i].component, w->arena);
    gr_str reading = gr_sqlw_scan(w, &grain, &r->groups.v[0], &components);
    for (size_t i = 0; i < r->n_columns + r->n_components; i++) {
        bool is_column = i < r->n_columns;
        gr_str own = is_column ? gr_sqlw_key_alias(w, &grain, i) : gr_sqlw_slot(w, i - r->n_columns);
        gr_str name = gr_sqlw_ident(w, is_column ? r->columns[i].name : r->components[i - r->n_columns].name);
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(own), GR_ARG(name));
    }
    gr_str list = gr_sqlw_join(w, texts, n, ", ");
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ")", GR_ARG(list), GR_ARG(reading));
}

bool gr_sql_load_meets_here(const gr_sql_place *source, const gr_rollup *r) {
    if (source->is_embedded) return false;
    for (size_t i = 0; i < r->groups.n; i++)
        if (gr_sql_lacks_sketches(source, &r->groups.v[i].components)) return true;
    return r->groups.n > 1;
}

gr_str gr_sqlw_load(gr_sqlw *w, const gr_rollup *r) {
    gr_components components = {0};
    for (size_t i = 0; i < r->n_components; i++) gr_components_add(&components, &r->components[i].component, w->arena);
    const gr_sql_place *source = w->places ? gr_sql_place_of(w->places, gr_sql_load_source(r)) : NULL;
    bool is_seen = !source || gr_sqlw_sees(w, source);
    bool is_plain = r->groups.n == 1 && r->groups.v[0].key_node == GR_TREE_NONE;
    if (w->dialect->reads_alone) return alone_load(w, r);
    return is_plain && is_seen ? plain_load(w, r) : load_text(w, r, &components);
}

gr_str gr_sql_load_source(const gr_rollup *rollup) { return rollup->tree.nodes[0].cube->data_source; }

gr_status gr_sql_load(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                      gr_sql_load_options options, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                      gr_error *err) {
    const gr_rollup *r = rollup->entity;
    gr_sql_statement s = {0};
    gr_str source = gr_sql_load_source(r);
    bool is_here = gr_sql_load_meets_here(gr_sql_place_of(places, source), r);
    const gr_sql_home home = is_here ? gr_sql_home_embedded(places, source) : gr_sql_home_native(places, source);
    gr_sqlw w = gr_sqlw_for_load(snapshot, r, zone, options, home.dialect, &s, arena, err);
    gr_sqlw_take_home(&w, places, &home, &s);
    if (r->preagg->type == GR_PREAGG_ORIGINAL_SQL)
        return gr_sqlw_finish(&s, &home, gr_sqlw_cube_rows(&w, r->preagg->cube), ret);
    gr_str select = gr_sqlw_load(&w, r), order = load_order(&w, r);
    return gr_sqlw_finish(&s, &home, gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(select), GR_ARG(order)), ret);
}
