/* What a stored table is held against: the source's own numbers by partition, and fingerprints of the source's rows.
 *
 *   stored   SELECT k, merged components FROM table GROUP BY k      \   one row for each partition
 *   source   SELECT k, components FROM joined tables GROUP BY k      >  in which they differ
 *
 * Counts and exact sums must be equal; sums in floating point within 1e-9 of the sum of the absolute values, for their
 * order is not fixed. Where the joins repeat rows, the source's side is the load itself, aggregated: there the number
 * of a partition is not the sum over its groups. */
#include "sql/internal.h"

/* Partition of a stored bucket as a number, for both sides alike. */
static gr_str partition_key(gr_sqlw *w, const gr_rollup *r, gr_str bucket) {
    if (r->partition == GR_GRAIN_NONE) return gr_sqlw_op1(w, GR_SQL_GROUP_KEY, GR_STR("CAST(0 AS BIGINT)"));
    gr_str start = gr_sqlw_op2(w, GR_SQL_TRUNC, bucket, gr_sqlw_text_literal(w, gr_grain_name(r->partition)));
    return gr_sqlw_op1(w, GR_SQL_EPOCH, start);
}

gr_str gr_sql_partition_key(const gr_rollup *rollup, const gr_dialect *dialect, gr_arena *arena) {
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .status = &status};
    return partition_key(&w, rollup, rollup->ranged ? gr_sqlw_ident(&w, rollup->ranged->name) : GR_STR("NULL"));
}

gr_str gr_sql_exact_sum(const gr_dialect *dialect, gr_str column, gr_arena *arena) {
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .status = &status};
    return gr_sqlw_op1(&w, GR_SQL_EXACT_SUM, column);
}

gr_str gr_sql_edge(const gr_dialect *dialect, gr_str column, bool is_greatest, gr_arena *arena) {
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .status = &status};
    gr_str edge = gr_sqlw_op1(&w, is_greatest ? GR_SQL_MAX : GR_SQL_MIN, column);
    gr_str epoch = gr_sqlw_op1(&w, GR_SQL_EPOCH, edge);
    return gr_arena_printf(arena, "CASE WHEN " GR_FMT " IS NOT NULL THEN " GR_FMT " END", GR_ARG(edge), GR_ARG(epoch));
}

static bool is_compared(const gr_rollup_component *c) {
    return c->component.agg == GR_AGG_COUNT || c->component.agg == GR_AGG_SUM || c->component.agg == GR_AGG_MIN ||
           c->component.agg == GR_AGG_MAX;
}

static gr_str by_key(gr_sqlw *w) {
    gr_str own = w->dialect->reads_alone ? gr_sqlw_own(w, "k") : GR_STR("1");
    return gr_sqlw_group_by_texts(w, &own, 1);
}

/* Of a side, in its order. */
static const gr_str *side_names(gr_sqlw *w, const gr_rollup *r) {
    gr_str *names = GR_NEW_N(w->arena, gr_str, 2 * r->n_components + 1);
    size_t n = 0;
    names[n++] = GR_STR("k");
    for (size_t i = 0; i < r->n_components; i++) {
        if (!is_compared(&r->components[i])) continue;
        names[n++] = gr_arena_printf(w->arena, "v%zu", i);
        if (r->components[i].component.agg == GR_AGG_SUM) names[n++] = gr_arena_printf(w->arena, "a%zu", i);
    }
    return names;
}

/* SELECT k, v<i>, a<i> FROM <table> GROUP BY k: stored columns merged. Each side is one row for each partition, and is
 * worked out where it lies; they meet in the embedded engine. */
static gr_str merged_side(gr_sqlw *w, const gr_rollup *r, gr_str table) {
    gr_str bucket = r->ranged ? gr_sqlw_ident(w, r->ranged->name) : (gr_str){0};
    gr_str own = gr_sqlw_own(w, "k"), key = partition_key(w, r, bucket);
    gr_str text = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(key), GR_ARG(own));
    for (size_t i = 0; i < r->n_components; i++) {
        const gr_component *c = &r->components[i].component;
        if (!is_compared(&r->components[i])) continue;
        gr_str column = gr_sqlw_ident(w, r->components[i].name), none = {0};
        gr_str merged = gr_sqlw_merge_values(w, c, column, none, none);
        text = gr_arena_printf(w->arena, GR_FMT ", " GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(merged),
                               GR_ARG(gr_sqlw_own_at(w, "v", i)));
        if (c->agg != GR_AGG_SUM) continue;
        gr_str size = gr_sqlw_op1(w, GR_SQL_SUM, gr_sqlw_op1(w, GR_SQL_ABS, column));
        text = gr_arena_printf(w->arena, GR_FMT ", " GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(size),
                               GR_ARG(gr_sqlw_own_at(w, "a", i)));
    }
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM " GR_FMT GR_FMT, GR_ARG(text), GR_ARG(table),
                           GR_ARG(by_key(w)));
}

static bool is_plain(const gr_rollup *r) { return r->groups.n == 1 && r->groups.v[0].key_node == GR_TREE_NONE; }

/* The same from the joined rows. */
static gr_str source_side(gr_sqlw *w, const gr_rollup *r) {
    w->tree = &r->tree;
    gr_str bucket = r->ranged ? gr_sqlw_stored_bucket(w, r->ranged->member, r->ranged->granularity) : (gr_str){0};
    gr_str own = gr_sqlw_own(w, "k"), key = partition_key(w, r, bucket);
    gr_str text = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(key), GR_ARG(own));
    for (size_t i = 0; i < r->n_components; i++) {
        const gr_component *c = &r->components[i].component;
        if (!is_compared(&r->components[i])) continue;
        gr_str value = gr_sqlw_component(w, c);
        text = gr_arena_printf(w->arena, GR_FMT ", " GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(value),
                               GR_ARG(gr_sqlw_own_at(w, "v", i)));
        if (c->agg != GR_AGG_SUM) continue;
        gr_str row = gr_sqlw_row_value(w, c->measure);
        gr_str size = gr_sqlw_op1(w, GR_SQL_SUM, gr_sqlw_op1(w, GR_SQL_ABS, row));
        text = gr_arena_printf(w->arena, GR_FMT ", " GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(size),
                               GR_ARG(gr_sqlw_own_at(w, "a", i)));
    }
    gr_str where = gr_sqlw_where(w), from = gr_sqlw_from_for(w, &r->tree, text, where);
    gr_str by = r->n_columns ? by_key(w) : (gr_str){0}; /* without columns there is one row, also of nothing */
    return gr_arena_printf(w->arena, "SELECT " GR_FMT GR_FMT GR_FMT GR_FMT, GR_ARG(text), GR_ARG(from), GR_ARG(where),
                           GR_ARG(by));
}

/* `CASE WHEN NOT same THEN 'orders__amount: stored …, source …' …` */
static gr_str difference(gr_sqlw *w, const gr_rollup *r) {
    gr_str text = GR_STR("CASE");
    for (size_t i = 0; i < r->n_components; i++) {
        if (!is_compared(&r->components[i])) continue;
        gr_str v = gr_sqlw_own_at(w, "v", i), a = gr_sqlw_own_at(w, "a", i);
        gr_str stored = gr_arena_printf(w->arena, "t." GR_FMT, GR_ARG(v)),
               source = gr_arena_printf(w->arena, "s." GR_FMT, GR_ARG(v));
        gr_str same = gr_sqlw_op2(w, GR_SQL_NULL_SAFE_EQ, stored, source);
        if (r->components[i].component.agg == GR_AGG_SUM) {
            gr_str size = gr_arena_printf(w->arena, "s." GR_FMT, GR_ARG(a));
            gr_str near = gr_sqlw_op(w, GR_SQL_IS_NEAR, (gr_str[]){stored, source, size});
            same = gr_arena_printf(w->arena, GR_FMT " OR " GR_FMT, GR_ARG(same), GR_ARG(near));
        }
        gr_str name = gr_sqlw_text_literal(w, r->components[i].name);
        gr_str a_text = gr_sqlw_op1(w, GR_SQL_TEXT, stored), b_text = gr_sqlw_op1(w, GR_SQL_TEXT, source);
        text =
            gr_arena_printf(w->arena,
                            GR_FMT " WHEN (" GR_FMT ") IS NOT TRUE THEN " GR_FMT " || ': stored ' || coalesce(" GR_FMT
                                   ", 'null') || ', source ' || coalesce(" GR_FMT ", 'null')",
                            GR_ARG(text), GR_ARG(same), GR_ARG(name), GR_ARG(a_text), GR_ARG(b_text));
    }
    return gr_arena_printf(w->arena, GR_FMT " END", GR_ARG(text));
}

bool gr_sql_can_verify(const gr_rollup *r) {
    for (size_t i = 0; i < r->n_components; i++)
        if (is_compared(&r->components[i])) return true;
    return false;
}

static gr_sqlw side_writer(gr_sqlw *w, const gr_sql_place *place, gr_sql_statement *s) {
    return gr_sqlw_sees(w, place) ? *w : gr_sqlw_for_place(w, place, s);
}

static gr_str side_text(gr_sqlw *w, const gr_sql_place *place, const gr_rollup *r, const gr_sql_statement *s,
                        gr_str text) {
    return gr_sqlw_sees(w, place) ? gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(text))
                                  : gr_sqlw_fetched(w, place, s, side_names(w, r), text);
}

/* Several facts of a source that the embedded engine does not see meet in it, as in the load. */
static gr_str loaded_side(gr_sqlw *w, const gr_sql_place *place, const gr_rollup *r) {
    gr_sql_statement s = {0};
    bool is_here = gr_sql_load_meets_here(place, r);
    gr_sqlw p = is_here ? *w : side_writer(w, place, &s);
    gr_str load = gr_sqlw_load(&p, r);
    gr_str text = merged_side(&p, r, gr_arena_printf(w->arena, "(" GR_FMT ") AS \"l\"", GR_ARG(load)));
    if (is_here) return gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(text));
    return side_text(w, place, r, &s, text);
}

static gr_str plain_side(gr_sqlw *w, const gr_sql_place *place, const gr_rollup *r) {
    gr_sql_statement s = {0};
    gr_sqlw p = side_writer(w, place, &s);
    gr_str text = source_side(&p, r);
    return side_text(w, place, r, &s, text);
}

static gr_str stored_side(gr_sqlw *w, const gr_sql_place *place, const gr_rollup *r, gr_str table) {
    gr_sql_statement s = {0};
    gr_sqlw p = side_writer(w, place, &s);
    gr_str text = merged_side(&p, r, table);
    return side_text(w, place, r, &s, text);
}

gr_status gr_sql_verify(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                        gr_sql_load_options options, gr_str table, const gr_sql_places *places, gr_arena *arena,
                        gr_sql *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    const gr_sql_place *from = gr_sql_place_of(places, gr_sql_load_source(r)), *at = gr_sql_place_of(places, r->place);
    const gr_sql_home home = gr_sql_home_embedded(places, gr_sql_load_source(r));
    gr_sql_statement s = {0};
    gr_sqlw w = gr_sqlw_for_load(snapshot, r, zone, options, home.dialect, &s, arena, err);
    gr_sqlw_take_home(&w, places, &home, &s);
    gr_str source = is_plain(r) ? plain_side(&w, from, r) : loaded_side(&w, from, r);
    gr_str stored = stored_side(&w, at, r, table), what = difference(&w, r);
    return gr_sqlw_finish(&s, &home,
                          gr_arena_printf(arena,
                                          "SELECT k, what FROM (SELECT coalesce(s.k, t.k) AS k, " GR_FMT
                                          " AS what FROM " GR_FMT " AS s FULL JOIN " GR_FMT
                                          " AS t ON s.k = t.k) AS d WHERE what IS NOT NULL ORDER BY 1",
                                          GR_ARG(what), GR_ARG(source), GR_ARG(stored)),
                          ret);
}

/* ---- fingerprints --------------------------------------------------------------------------------------------------
 */

/* All that decides what is stored of a row. */
static gr_str row_values(gr_sqlw *w, const gr_rollup *r, const gr_group *group) {
    gr_sql_grain grain = {.load = r};
    gr_str *texts = GR_NEW_N(w->arena, gr_str, r->n_columns + group->components.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) texts[n++] = gr_sqlw_grain_text(w, &grain, i);
    for (size_t i = 0; i < group->components.n; i++) {
        const gr_member *m = group->components.v[i].measure;
        gr_str value = group->components.v[i].agg == GR_AGG_OPAQUE ? (gr_str){0} : gr_sqlw_row_value(w, m);
        if (value.n) texts[n++] = value;
    }
    for (size_t i = 0; i < n && w->dialect->reads_alone; i++) texts[i] = gr_sqlw_op1(w, GR_SQL_HASHED_VALUE, texts[i]);
    return gr_sqlw_join(w, texts, n, ", ");
}

typedef struct mark_of {
    const gr_rollup *rollup;
    size_t group;
    const gr_expr *change; /* or NULL */
} mark_of;

static gr_str mark_text(gr_sqlw *w, const void *arg) {
    const mark_of *of = arg;
    const gr_rollup *r = of->rollup;
    gr_sqlw g = *w;
    g.tree = &r->groups.v[of->group].tree;
    gr_str bucket = r->ranged ? gr_sqlw_stored_bucket(&g, r->ranged->member, r->ranged->granularity) : (gr_str){0};
    gr_str key = partition_key(&g, r, bucket), mark;
    if (of->change)
        mark = gr_sqlw_op1(&g, GR_SQL_TEXT, gr_sqlw_op1(&g, GR_SQL_MAX, gr_sqlw_expr(&g, of->change, r->preagg->cube)));
    else
        mark = gr_sqlw_op1(&g, GR_SQL_HASH_SUM, row_values(&g, r, &r->groups.v[of->group]));
    gr_str names[] = {gr_sqlw_own(&g, "k"), gr_sqlw_own(&g, "g"), gr_sqlw_own(&g, "n"), gr_sqlw_own(&g, "m")};
    gr_str list = gr_arena_printf(
        g.arena, GR_FMT " AS " GR_FMT ", %zu AS " GR_FMT ", count(*) AS " GR_FMT ", " GR_FMT " AS " GR_FMT, GR_ARG(key),
        GR_ARG(names[0]), of->group, GR_ARG(names[1]), GR_ARG(names[2]), GR_ARG(mark), GR_ARG(names[3]));
    gr_str where = gr_sqlw_where(&g), from = gr_sqlw_from_for(&g, g.tree, list, where);
    return gr_arena_printf(g.arena, "SELECT " GR_FMT GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from), GR_ARG(where),
                           GR_ARG(by_key(&g)));
}

gr_status gr_sql_fingerprint(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                             gr_sql_load_options options, const gr_expr *change, const gr_sql_places *places,
                             gr_arena *arena, gr_sql *ret, gr_error *err) {
    static const gr_str columns[] = {GR_STR_INIT("k"), GR_STR_INIT("g"), GR_STR_INIT("n"), GR_STR_INIT("m")};
    const gr_rollup *r = rollup->entity;
    gr_sql_statement s = {0};
    gr_str source = gr_sql_load_source(r);
    const gr_sql_home home = gr_sql_home_of_readings(places, source);
    gr_sqlw w = gr_sqlw_for_load(snapshot, r, zone, options, home.dialect, &s, arena, err);
    gr_sqlw_take_home(&w, places, &home, &s);
    gr_str *texts = GR_NEW_N(arena, gr_str, r->groups.n + 1);
    for (size_t i = 0; i < r->groups.n; i++) {
        const mark_of of = {r, i, change};
        texts[i] = gr_sqlw_read_at(&w, gr_sql_place_of(places, source), columns, mark_text, &of);
    }
    gr_str all = gr_sqlw_join(&w, texts, r->groups.n, " UNION ALL ");
    return gr_sqlw_finish(&s, &home,
                          gr_arena_printf(arena,
                                          "SELECT k, CAST(n AS VARCHAR) || ':' || coalesce(m, '') AS f FROM (" GR_FMT
                                          ") AS \"p\" ORDER BY k, g",
                                          GR_ARG(all)),
                          ret);
}

gr_str gr_sql_checksum(const gr_rollup *r, const gr_dialect *dialect, gr_arena *arena) {
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .status = &status};
    gr_str *texts = GR_NEW_N(arena, gr_str, r->n_columns + r->n_components + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) texts[n++] = gr_sqlw_ident(&w, r->columns[i].name);
    for (size_t i = 0; i < r->n_components; i++) texts[n++] = gr_sqlw_ident(&w, r->components[i].name);
    for (size_t i = 0; i < n && (r->is_remote || dialect->reads_alone); i++) {
        const gr_component *c = i < r->n_columns ? NULL : &r->components[i - r->n_columns].component;
        bool is_sketch = c && c->agg == GR_AGG_COUNT_DISTINCT_APPROX, is_state = is_sketch && c->is_state;
        if (!is_sketch || is_state)
            texts[i] = gr_sqlw_op1(&w, is_state ? GR_SQL_STATE_MARK : GR_SQL_HASHED_VALUE, texts[i]);
    }
    return n ? gr_sqlw_op1(&w, GR_SQL_HASH_SUM, gr_sqlw_join(&w, texts, n, ", ")) : GR_STR("''");
}
