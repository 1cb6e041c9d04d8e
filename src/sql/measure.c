/* Measures as SQL (5.4): over source rows their components are accumulated; over a rollup the stored components are
 * merged; the finish is the same text in both, so that both give the same number. */
#include "sql/internal.h"

/* "count(pk)" counts joined rows that exist; a composite key exists when all its parts do. */
static gr_str key_expr(gr_sqlw *w, const gr_cube *cube) {
    if (cube->n_primary_keys == 0) return (gr_str){0};
    if (cube->n_primary_keys == 1) return gr_sqlw_member(w, cube->primary_keys[0]);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, cube->n_primary_keys);
    for (size_t i = 0; i < cube->n_primary_keys; i++) {
        gr_str key = gr_sqlw_operand(w, gr_sqlw_member(w, cube->primary_keys[i]));
        texts[i] = gr_arena_printf(w->arena, GR_FMT " IS NOT NULL", GR_ARG(key));
    }
    gr_str all = gr_sqlw_join(w, texts, cube->n_primary_keys, " AND ");
    return gr_arena_printf(w->arena, "CASE WHEN " GR_FMT " THEN 1 END", GR_ARG(all));
}

gr_str gr_sqlw_own_filters(gr_sqlw *w, const gr_member *m) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, m->n_filters + 1);
    for (size_t i = 0; i < m->n_filters; i++) {
        gr_str f = gr_sqlw_expr(w, m->filters[i], m->cube);
        texts[i] = gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(f));
    }
    return gr_sqlw_join(w, texts, m->n_filters, " AND ");
}

/* What one row contributes; empty for every row (count without key and filters). */
static gr_str row_value(gr_sqlw *w, const gr_member *m) {
    gr_str value = m->sql ? gr_sqlw_expr(w, m->sql, m->cube) : key_expr(w, m->cube);
    if (!m->n_filters) return value;
    gr_str when = gr_sqlw_own_filters(w, m);
    return gr_arena_printf(w->arena, "CASE WHEN " GR_FMT " THEN " GR_FMT " END", GR_ARG(when),
                           GR_ARG(value.n ? value : GR_STR("1")));
}

gr_str gr_sqlw_component(gr_sqlw *w, const gr_component *c) {
    static const gr_sql_op ops[GR_AGG__COUNT] = {
        [GR_AGG_COUNT] = GR_SQL_COUNT,
        [GR_AGG_SUM] = GR_SQL_SUM,
        [GR_AGG_MIN] = GR_SQL_MIN,
        [GR_AGG_MAX] = GR_SQL_MAX,
        [GR_AGG_COUNT_DISTINCT] = GR_SQL_COUNT_DISTINCT,
        [GR_AGG_COUNT_DISTINCT_APPROX] = GR_SQL_APPROX_DISTINCT,
    };
    if (c->agg == GR_AGG_OPAQUE) return gr_sqlw_expr(w, c->measure->sql, c->measure->cube);
    gr_str value = row_value(w, c->measure);
    if (!value.n) return gr_sqlw_op(w, GR_SQL_COUNT_ROWS, NULL);
    return gr_sqlw_op1(w, ops[c->agg], value);
}

static gr_str merged(gr_sqlw *w, const gr_component *c) {
    static const gr_sql_op ops[GR_AGG__COUNT] = {
        [GR_AGG_COUNT] = GR_SQL_MERGE_COUNT,
        [GR_AGG_SUM] = GR_SQL_SUM,
        [GR_AGG_MIN] = GR_SQL_MIN,
        [GR_AGG_MAX] = GR_SQL_MAX,
        [GR_AGG_COUNT_DISTINCT] = GR_SQL_MERGE_ONE_COUNT,
        [GR_AGG_COUNT_DISTINCT_APPROX] = GR_SQL_MERGE_ONE_COUNT,
        [GR_AGG_OPAQUE] = GR_SQL_MERGE_ONE,
    };
    const gr_rollup_component *have = gr_plan_stored_component(w->plan, c);
    if (!have) return gr_sqlw_fail(w, GR_ERR_INTERNAL, "'" GR_FMT "' is not stored", GR_ARG(c->measure->id));
    return gr_sqlw_op1(w, ops[c->agg], gr_sqlw_stored(w, have->name));
}

/* Ungrouped (2.5): the row's own contribution, 1 for what is counted. */
static gr_str ungrouped(gr_sqlw *w, const gr_member *m) {
    if (m->is_calculated) {
        if (!gr_measure_is_decomposable(m))
            return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                                "'" GR_FMT "' aggregates in its own SQL and cannot be asked ungrouped", GR_ARG(m->id));
        return gr_sqlw_expr(w, m->sql, m->cube);
    }
    gr_str value = row_value(w, m);
    bool is_count =
        m->agg == GR_MEASURE_COUNT || m->agg == GR_MEASURE_COUNT_DISTINCT || m->agg == GR_MEASURE_COUNT_DISTINCT_APPROX;
    if (!is_count) return value;
    return value.n ? gr_arena_printf(w->arena, "CASE WHEN (" GR_FMT ") IS NOT NULL THEN 1 END", GR_ARG(value))
                   : GR_STR("1");
}

gr_str gr_sqlw_measure(gr_sqlw *w, const gr_member *m) {
    if (w->query && w->query->is_ungrouped) return ungrouped(w, m);
    if (m->is_calculated && gr_measure_is_decomposable(m)) return gr_sqlw_expr(w, m->sql, m->cube);
    const gr_components *c = gr_plan_index_components(w->snapshot->index, m);
    gr_str texts[2];
    for (size_t i = 0; i < c->n && i < 2; i++)
        texts[i] = w->from ? merged(w, &c->v[i]) : gr_sqlw_component(w, &c->v[i]);
    return c->n == 2 ? gr_sqlw_op(w, GR_SQL_AVG_FINISH, texts) : texts[0];
}
