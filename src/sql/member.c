/* Dimensions, segments and joins as SQL. Over source tables a member is its expression with table aliases put in; over
 * a rollup it is its stored column, or its expression computed from stored columns. */
#include "sql/internal.h"

/* `sql_table: orders` is a name, where a member's bare identifier would be a column. */
static gr_str table_name(gr_sqlw *w, const gr_cube *cube) {
    return cube->sql_table->is_column ? cube->sql_table->parts[0].text : gr_sqlw_expr(w, cube->sql_table, cube);
}

static gr_str part_text(gr_sqlw *w, const gr_part *part) {
    switch (part->kind) {
    case GR_PART_TEXT: return part->text;
    case GR_PART_TABLE: return gr_sqlw_ident(w, part->cube->alias);
    case GR_PART_CUBE_SQL: {
        if (part->cube->sql) return gr_sqlw_expr(w, part->cube->sql, part->cube);
        gr_str name = table_name(w, part->cube);
        return gr_arena_printf(w->arena, "SELECT * FROM " GR_FMT, GR_ARG(name));
    }
    case GR_PART_MEMBER:
        if (part->granularity) return gr_sqlw_member_bucket(w, part->member, part->granularity);
        if (part->member->kind == GR_MEMBER_MEASURE) return gr_sqlw_measure(w, part->member);
        return gr_sqlw_member(w, part->member);
    }
    return GR_STR("NULL");
}

gr_str gr_sqlw_expr(gr_sqlw *w, const gr_expr *expr, const gr_cube *owner) {
    if (expr->is_column) {
        gr_str alias = gr_sqlw_ident(w, owner->alias);
        return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(alias), GR_ARG(expr->parts[0].text));
    }
    gr_str *texts = GR_NEW_N(w->arena, gr_str, expr->n_parts + 1);
    for (size_t i = 0; i < expr->n_parts; i++) {
        texts[i] = part_text(w, &expr->parts[i]);
        bool is_part_of_more = expr->n_parts > 1 && expr->parts[i].kind == GR_PART_MEMBER;
        if (is_part_of_more) texts[i] = gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(texts[i]));
    }
    return gr_sqlw_join(w, texts, expr->n_parts, "");
}

static gr_str case_text(gr_sqlw *w, const gr_member *m) {
    gr_str text = GR_STR("CASE");
    for (size_t i = 0; i < m->n_cases; i++) {
        const gr_case *c = &m->cases[i];
        gr_str label = c->label_sql ? gr_sqlw_expr(w, c->label_sql, m->cube) : gr_sqlw_text_literal(w, c->label);
        if (c->when) {
            gr_str when = gr_sqlw_expr(w, c->when, m->cube);
            text = gr_arena_printf(w->arena, GR_FMT " WHEN " GR_FMT " THEN " GR_FMT, GR_ARG(text), GR_ARG(when),
                                   GR_ARG(label));
        } else {
            text = gr_arena_printf(w->arena, GR_FMT " ELSE " GR_FMT, GR_ARG(text), GR_ARG(label));
        }
    }
    return gr_arena_printf(w->arena, GR_FMT " END", GR_ARG(text));
}

gr_str gr_sqlw_stored(gr_sqlw *w, gr_str column) {
    gr_str table = gr_sqlw_ident(w, w->from->preagg->alias), name = gr_sqlw_ident(w, column);
    return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(table), GR_ARG(name));
}

gr_str gr_sqlw_member(gr_sqlw *w, const gr_member *m) {
    const gr_rollup_column *column = w->from ? gr_plan_stored_column(w->plan, m) : NULL;
    if (column) return gr_sqlw_stored(w, column->name);
    if (m->n_cases) return case_text(w, m);
    if (m->latitude && m->longitude)
        return gr_sqlw_op2(w, GR_SQL_CONCAT_GEO, gr_sqlw_expr(w, m->latitude, m->cube),
                           gr_sqlw_expr(w, m->longitude, m->cube));
    if (!m->sql) return gr_sqlw_fail(w, GR_ERR_INTERNAL, "'" GR_FMT "' has no expression", GR_ARG(m->id));
    return gr_sqlw_expr(w, m->sql, m->cube);
}

/* What an operator is put beside: `a OR b` and `x > 10` must not fall apart. */
gr_str gr_sqlw_operand(gr_sqlw *w, gr_str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool is_plain = c == '.' || c == '_' || c == '"' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z');
        if (!is_plain) return gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(text));
    }
    return text;
}

gr_str gr_sqlw_member_out(gr_sqlw *w, const gr_member *m) {
    gr_str raw = gr_sqlw_member(w, m);
    if (m->kind != GR_MEMBER_DIMENSION || m->dim_type != GR_DIM_TIME) return raw;
    return gr_sqlw_local(w, gr_sqlw_instant(w, m, raw));
}

static gr_str table_text(gr_sqlw *w, const gr_cube *cube) {
    gr_str alias = gr_sqlw_ident(w, cube->alias);
    gr_str text = cube->sql ? gr_sqlw_expr(w, cube->sql, cube) : table_name(w, cube);
    return gr_arena_printf(w->arena, cube->sql ? "(" GR_FMT ") AS " GR_FMT : GR_FMT " AS " GR_FMT, GR_ARG(text),
                           GR_ARG(alias));
}

gr_str gr_sqlw_from(gr_sqlw *w, const gr_tree *tree) {
    if (w->from) {
        gr_str table = w->plan->state ? w->plan->state->table : gr_sqlw_ident(w, w->from->entity->preagg->alias);
        gr_str alias = gr_sqlw_ident(w, w->from->preagg->alias);
        return gr_arena_printf(w->arena, " FROM " GR_FMT " AS " GR_FMT, GR_ARG(table), GR_ARG(alias));
    }
    gr_str root = table_text(w, tree->nodes[0].cube);
    gr_str text = gr_arena_printf(w->arena, " FROM " GR_FMT, GR_ARG(root));
    for (size_t i = 1; i < tree->n; i++) {
        const gr_tree_node *node = &tree->nodes[i];
        gr_str table = table_text(w, node->cube), on = gr_sqlw_expr(w, node->join->sql, node->join->from);
        text = gr_arena_printf(w->arena, GR_FMT " LEFT JOIN " GR_FMT " ON " GR_FMT, GR_ARG(text), GR_ARG(table),
                               GR_ARG(on));
    }
    return text;
}
