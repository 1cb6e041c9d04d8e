/* Partitions: reading some of a rollup's, and what their builds ask of the source.
 *
 *   (SELECT a, b FROM p1 UNION ALL SELECT a, b FROM p2 WHERE c >= … AND c < …)
 *
 * By name: a table that was built while the definitions stood in another order has its columns in that one.
 *
 * A table is read whole while all partitions that were put into it are live; what has been built anew since is left out
 * by its range. Rows outside of the query's own range need no condition here: the query has it. */
#include "sql/internal.h"

static gr_str run_text(gr_sqlw *w, gr_str column, const gr_run *run) {
    bool has_from = run->from_us != INT64_MIN, has_to = run->to_us != INT64_MAX;
    gr_str text = {0};
    if (!has_from && !has_to) return gr_arena_printf(w->arena, GR_FMT " IS NOT NULL", GR_ARG(column));
    if (has_from)
        text = gr_arena_printf(w->arena, GR_FMT " >= " GR_FMT, GR_ARG(column), GR_ARG(gr_sqlw_stamp(w, run->from_us)));
    if (!has_to) return text;
    gr_str below = gr_arena_printf(w->arena, GR_FMT " < " GR_FMT, GR_ARG(column), GR_ARG(gr_sqlw_stamp(w, run->to_us)));
    return has_from ? gr_arena_printf(w->arena, "(" GR_FMT " AND " GR_FMT ")", GR_ARG(text), GR_ARG(below)) : below;
}

gr_str gr_sqlw_live(gr_sqlw *w, gr_str column, const gr_partition_table *t) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, t->n_live + 1);
    size_t n = 0;
    for (size_t i = 0; i < t->n_live; i++) texts[n++] = run_text(w, column, &t->live[i]);
    if (t->has_null) texts[n++] = gr_arena_printf(w->arena, GR_FMT " IS NULL", GR_ARG(column));
    return gr_sqlw_join(w, texts, n, " OR ");
}

static gr_str stored_names(gr_sqlw *w, const gr_rollup *r, const gr_rollup_state *s) {
    gr_str *names = GR_NEW_N(w->arena, gr_str, r->n_columns + r->n_components + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) names[n++] = gr_sqlw_ident(w, r->columns[i].name);
    for (size_t i = 0; i < r->n_components; i++)
        if (!s->lacks || !s->lacks[i]) names[n++] = gr_sqlw_ident(w, r->components[i].name);
    return n ? gr_sqlw_join(w, names, n, ", ") : GR_STR("*");
}

bool *gr_sqlw_tables_of(gr_sqlw *w, const gr_rollup_state *s, const gr_reading *reading, size_t *ret_n) {
    bool *is_read = GR_NEW_N(w->arena, bool, s->n_tables + 1);
    for (size_t i = 0; i < s->n_tables; i++) is_read[i] = false;
    for (size_t i = 0; i < s->n_partitions; i++)
        if (!reading) is_read[s->partitions[i].table] = true;
    for (size_t i = 0; reading && i < reading->n; i++) is_read[reading->v[i]->table] = true;
    *ret_n = 0;
    for (size_t i = 0; i < s->n_tables; i++) *ret_n += is_read[i];
    return is_read;
}

gr_str gr_sqlw_partitions(gr_sqlw *w, const gr_rollup *r, const gr_rollup_state *s, const gr_reading *reading) {
    size_t n_read, n = 0, last = 0;
    bool *is_read = gr_sqlw_tables_of(w, s, reading, &n_read);
    gr_str column = gr_sqlw_ident(w, r->ranged->name), names = stored_names(w, r, s);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, s->n_tables + 1);
    for (size_t i = 0; i < s->n_tables; i++) {
        const gr_partition_table *t = &s->tables[i];
        if (!is_read[i]) continue;
        gr_str live = t->live ? gr_sqlw_live(w, column, t) : (gr_str){0};
        texts[n++] = gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM " GR_FMT "%s" GR_FMT, GR_ARG(names),
                                     GR_ARG(t->text), t->live ? " WHERE " : "", GR_ARG(live));
        last = i;
    }
    if (n == 1 && !s->tables[last].live) return s->tables[last].text;
    gr_str all = gr_sqlw_join(w, texts, n, " UNION ALL ");
    return gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(all));
}

gr_str gr_sql_partitions(const gr_rollup *rollup, const gr_rollup_state *state, const gr_dialect *dialect,
                         gr_arena *arena) {
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .status = &status};
    return gr_sqlw_partitions(&w, rollup, state, NULL);
}

/* ---- what a build asks ---------------------------------------------------------------------------------------------
 */

/* The time column's value in the rows of one fact. Where the root alone decides it and all rows count, the other
 * tables need not be read. */
static const gr_tree *tree_of_time(const gr_rollup *r, const gr_group *group, gr_tree *root) {
    bool is_of_root = r->ranged->n_cubes == 1 && r->ranged->cubes[0] == group->tree.nodes[0].cube;
    if (!is_of_root || r->n_filters) return &group->tree;
    *root = (gr_tree){group->tree.nodes, 1};
    return root;
}

typedef struct span_of {
    const gr_rollup *rollup;
    const gr_group *group;
} span_of;

static gr_str span_text(gr_sqlw *w, const void *arg) {
    const span_of *of = arg;
    gr_sqlw g = *w;
    gr_tree root;
    g.tree = tree_of_time(of->rollup, of->group, &root);
    const gr_member *time = of->rollup->ranged->member;
    gr_str value = gr_sqlw_instant(&g, time, gr_sqlw_member(&g, time));
    gr_str min = gr_sqlw_op1(&g, GR_SQL_MIN, value), max = gr_sqlw_op1(&g, GR_SQL_MAX, value);
    gr_str a = gr_sqlw_own(&g, "a"), b = gr_sqlw_own(&g, "b"), n = gr_sqlw_own(&g, "n");
    gr_str list = gr_arena_printf(
        g.arena, GR_FMT " AS " GR_FMT ", " GR_FMT " AS " GR_FMT ", count(*) - count(" GR_FMT ") AS " GR_FMT,
        GR_ARG(min), GR_ARG(a), GR_ARG(max), GR_ARG(b), GR_ARG(value), GR_ARG(n));
    gr_str where = gr_sqlw_where(&g), from = gr_sqlw_from_for(&g, g.tree, list, where);
    return gr_arena_printf(g.arena, "SELECT " GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from), GR_ARG(where));
}

gr_status gr_sql_time_span(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                           gr_sql_load_options options, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                           gr_error *err) {
    static const gr_str columns[] = {GR_STR_INIT("a"), GR_STR_INIT("b"), GR_STR_INIT("n")};
    const gr_rollup *r = rollup->entity;
    gr_sql_statement s = {0};
    gr_str source = gr_sql_load_source(r);
    const gr_sql_home home = gr_sql_home_of_readings(places, source);
    gr_sqlw w = gr_sqlw_for_load(snapshot, r, zone, options, home.dialect, &s, arena, err);
    gr_sqlw_take_home(&w, places, &home, &s);
    gr_str *texts = GR_NEW_N(arena, gr_str, r->groups.n + 1);
    for (size_t i = 0; i < r->groups.n; i++) {
        const span_of of = {r, &r->groups.v[i]};
        texts[i] = gr_sqlw_read_at(&w, gr_sql_place_of(places, source), columns, span_text, &of);
    }
    gr_str all = gr_sqlw_join(&w, texts, r->groups.n, " UNION ALL ");
    return gr_sqlw_finish(&s, &home,
                          gr_arena_printf(arena,
                                          "SELECT CAST(min(a) AS TIMESTAMP), CAST(max(b) AS TIMESTAMP), "
                                          "CAST(coalesce(sum(n), 0) AS BIGINT) FROM (" GR_FMT ") AS \"t\"",
                                          GR_ARG(all)),
                          ret);
}
