/* Plans as relations: the union of their pieces, merged by group.
 *
 *   SELECT g, merge(c0), merge(c1) FROM (piece UNION ALL piece …) AS "u" GROUP BY g
 *
 * A plan of one piece is that piece: its rows are groups already. */
#include "sql/internal.h"

static gr_str piece_text(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    gr_sql_grain grain = {.query = plan->query};
    switch (piece->kind) {
    case GR_PIECE_SCAN: {
        gr_sqlw scan = gr_sqlw_for_scan(w, &piece->scan);
        const gr_sql_place *place = w->places ? gr_sql_place_of_scan(w->places, &piece->scan) : NULL;
        if (place && !gr_sqlw_sees(w, place))
            return gr_sqlw_scan_from(&scan, place, &grain, &piece->scan.group, &plan->components);
        return gr_sqlw_scan(&scan, &grain, &piece->scan.group, &plan->components);
    }
    case GR_PIECE_WINDOW: return gr_sqlw_window(w, plan, piece);
    case GR_PIECE_STAGE: return gr_sqlw_stage(w, plan, piece);
    }
    return (gr_str){0};
}

gr_str gr_sqlw_pieces(gr_sqlw *w, const gr_plan *plan) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, plan->n_pieces + 1);
    for (size_t i = 0; i < plan->n_pieces; i++) texts[i] = piece_text(w, plan, &plan->pieces[i]);
    return gr_sqlw_join(w, texts, plan->n_pieces, " UNION ALL ");
}

gr_str gr_sqlw_relation(gr_sqlw *w, const gr_plan *plan) {
    gr_str pieces = gr_sqlw_pieces(w, plan);
    if (plan->n_pieces == 1) return pieces;
    gr_sqlw u = *w;
    u.query = plan->query;
    u.read = GR_READ_UNION;
    u.components = &plan->components;
    u.rows = GR_STR("\"u\"");
    gr_sql_grain grain = {.query = plan->query};
    size_t n = gr_sqlw_grain_n(&grain);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + plan->components.n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str alias = gr_sqlw_grain_alias(w, &grain, i);
        texts[i] = gr_arena_printf(w->arena, "\"u\"." GR_FMT " AS " GR_FMT, GR_ARG(alias), GR_ARG(alias));
    }
    for (size_t i = 0; i < plan->components.n; i++) {
        gr_str text = gr_sqlw_merged(&u, &plan->components.v[i]), slot = gr_sqlw_slot(w, i);
        texts[n + i] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(slot));
    }
    gr_str list = gr_sqlw_join(w, texts, n + plan->components.n, ", "), by = gr_sqlw_group_by(w, n);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"u\"" GR_FMT, GR_ARG(list),
                           GR_ARG(pieces), GR_ARG(by));
}

/* Where the engine reads alone, what is one reading and needs no more than its components: the rest is DuckDB's. */
static bool is_one_value(const gr_plan *plan, const gr_member *measure) {
    bool is_finished = measure->agg == GR_MEASURE_COUNT_DISTINCT_APPROX || measure->is_calculated;
    return plan->n_pieces == 1 && plan->pieces[0].kind == GR_PIECE_SCAN && !is_finished;
}

gr_str gr_sqlw_keyed_value(gr_sqlw *w, const gr_plan *plan, const gr_member *measure) {
    gr_sqlw p = *w;
    gr_sql_grain grain = {.query = plan->query};
    if (w->dialect->reads_alone && !is_one_value(plan, measure))
        return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                            "'" GR_FMT "' is the value of a sub_query dimension, and one that the engine '" GR_FMT
                            "' is not asked to work out",
                            GR_ARG(measure->id), GR_ARG(w->dialect->name));
    gr_str rows = gr_sqlw_relation(&p, plan);
    p.query = plan->query;
    p.read = GR_READ_PLAIN;
    p.components = &plan->components;
    p.rows = GR_STR("\"r\"");
    gr_str value = gr_sqlw_measure(&p, measure), text = GR_STR("SELECT ");
    for (size_t i = 0; i < plan->query->n_columns; i++) {
        gr_str alias = gr_sqlw_key_alias(w, &grain, i);
        text = gr_arena_printf(w->arena, GR_FMT "\"r\"." GR_FMT " AS \"k%zu\", ", GR_ARG(text), GR_ARG(alias), i);
    }
    return gr_arena_printf(w->arena, GR_FMT GR_FMT " AS \"value\" FROM (" GR_FMT ") AS \"r\"", GR_ARG(text),
                           GR_ARG(value), GR_ARG(rows));
}
