/* Partitions: reading some of a rollup's, and what their builds ask of the source.
 *
 *   (SELECT * FROM p1 UNION ALL SELECT * FROM p2 WHERE c >= … AND c < …)
 *
 * A table is read whole while all partitions that were put into it are live; what has been built anew since is left out
 * by its range. Rows outside of the query's own range need no condition here: the query has it. */
#include "sql/internal.h"

static gr_str run_text(gr_sqlw *w, gr_str column, const gr_run *run) {
    gr_str from = gr_sqlw_stamp(w, run->from_us), to = gr_sqlw_stamp(w, run->to_us);
    if (run->from_us == INT64_MIN && run->to_us == INT64_MAX)
        return gr_arena_printf(w->arena, GR_FMT " IS NOT NULL", GR_ARG(column));
    if (run->from_us == INT64_MIN) return gr_arena_printf(w->arena, GR_FMT " < " GR_FMT, GR_ARG(column), GR_ARG(to));
    if (run->to_us == INT64_MAX) return gr_arena_printf(w->arena, GR_FMT " >= " GR_FMT, GR_ARG(column), GR_ARG(from));
    return gr_arena_printf(w->arena, "(" GR_FMT " >= " GR_FMT " AND " GR_FMT " < " GR_FMT ")", GR_ARG(column),
                           GR_ARG(from), GR_ARG(column), GR_ARG(to));
}

static gr_str live_text(gr_sqlw *w, gr_str column, const gr_partition_table *t) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, t->n_live + 1);
    size_t n = 0;
    for (size_t i = 0; i < t->n_live; i++) texts[n++] = run_text(w, column, &t->live[i]);
    if (t->has_null) texts[n++] = gr_arena_printf(w->arena, GR_FMT " IS NULL", GR_ARG(column));
    gr_str all = gr_sqlw_join(w, texts, n, " OR ");
    return gr_arena_printf(w->arena, "SELECT * FROM " GR_FMT " WHERE " GR_FMT, GR_ARG(t->text), GR_ARG(all));
}

gr_str gr_sqlw_partitions(gr_sqlw *w, const gr_rollup *r, const gr_rollup_state *s, const gr_reading *reading) {
    bool *is_read = GR_NEW_N(w->arena, bool, s->n_tables + 1);
    for (size_t i = 0; i < s->n_partitions; i++)
        if (!reading) is_read[s->partitions[i].table] = true;
    for (size_t i = 0; reading && i < reading->n; i++) is_read[reading->v[i]->table] = true;
    gr_str column = gr_sqlw_ident(w, r->ranged->name);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, s->n_tables + 1);
    size_t n = 0, last = 0;
    for (size_t i = 0; i < s->n_tables; i++) {
        const gr_partition_table *t = &s->tables[i];
        if (!is_read[i]) continue;
        texts[n++] =
            t->live ? live_text(w, column, t) : gr_arena_printf(w->arena, "SELECT * FROM " GR_FMT, GR_ARG(t->text));
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

gr_status gr_sql_time_span(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                           gr_sql_load_options options, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                           gr_error *err) {
    const gr_rollup *r = rollup->entity;
    gr_sql_statement s = {0};
    const gr_sql_home home = gr_sql_home_native(places, gr_sql_load_source(r));
    gr_sqlw w = gr_sqlw_for_load(snapshot, r, zone, options, home.dialect, &s, arena, err);
    gr_str *texts = GR_NEW_N(arena, gr_str, r->groups.n + 1);
    for (size_t i = 0; i < r->groups.n; i++) {
        gr_sqlw g = w;
        gr_tree root;
        g.tree = tree_of_time(r, &r->groups.v[i], &root);
        gr_str value = gr_sqlw_instant(&g, r->ranged->member, gr_sqlw_member(&g, r->ranged->member));
        gr_str where = gr_sqlw_where(&g), from = gr_sqlw_from(&g, g.tree);
        texts[i] = gr_arena_printf(
            arena, "SELECT min(" GR_FMT ") AS a, max(" GR_FMT ") AS b, count(*) - count(" GR_FMT ") AS n" GR_FMT GR_FMT,
            GR_ARG(value), GR_ARG(value), GR_ARG(value), GR_ARG(from), GR_ARG(where));
    }
    gr_str all = gr_sqlw_join(&w, texts, r->groups.n, " UNION ALL ");
    return gr_sqlw_finish(&s, &home,
                          gr_arena_printf(arena,
                                          "SELECT CAST(min(a) AS TIMESTAMP), CAST(max(b) AS TIMESTAMP), "
                                          "CAST(coalesce(sum(n), 0) AS BIGINT) FROM (" GR_FMT ") AS \"t\"",
                                          GR_ARG(all)),
                          ret);
}
