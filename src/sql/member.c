/* Dimensions, segments and joins as SQL. Over source tables a member is its expression with table aliases put in; over
 * a rollup it is its stored column, or its expression computed from stored columns. */
#include "expr/common.h"
#include "sql/internal.h"

/* `sql_table: orders` is a name, where a member's bare identifier would be a column. */
static gr_str table_name(gr_sqlw *w, const gr_cube *cube) {
    return cube->sql_table->is_column ? cube->sql_table->parts[0].text : gr_sqlw_expr(w, cube->sql_table, cube);
}

static gr_str part_text(gr_sqlw *w, const gr_part *part) {
    switch (part->kind) {
    case GR_PART_TEXT: return part->text;
    case GR_PART_TABLE: return gr_sqlw_ident(w, part->cube->alias);
    case GR_PART_CUBE_SQL: return gr_sqlw_cube_rows(w, part->cube);
    case GR_PART_MEMBER:
        if (part->granularity) return gr_sqlw_member_bucket(w, part->member, part->granularity);
        if (part->member->kind == GR_MEMBER_MEASURE) return gr_sqlw_measure(w, part->member);
        return gr_sqlw_member(w, part->member);
    }
    return GR_STR("NULL");
}

/* The source's SQL is worked out by the embedded engine, over what was read of it. */
static bool is_elsewhere(const gr_sqlw *w, const gr_cube *owner) {
    bool is_over_rows = w->read != GR_READ_SOURCE && w->places && w->fetches;
    return is_over_rows && !gr_sql_place_of(w->places, owner->data_source)->is_embedded;
}

static gr_str common_text(gr_sqlw *w, const gr_expr *expr, const gr_cube *owner, const gr_part *part) {
    bool divides, is_abroad = w->from && w->from->is_abroad && !w->from->n_links && w->dialect != &gr_dialect_duckdb;
    gr_str why = part->text;
    if (expr->n_parts == 1 || (!is_abroad && !is_elsewhere(w, owner))) return part->text;
    if (!is_abroad && gr_plan_expr_is_common(expr, w->snapshot, &divides, &why))
        return gr_expr_common_text(part->text, divides, w->arena);
    return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                        "The SQL `" GR_FMT "` of '" GR_FMT "' is the source's own (" GR_FMT
                        "), and for this query it would be worked out by another engine, over rows of several readings",
                        GR_ARG(gr_str_sub(expr->source, 0, 120)), GR_ARG(owner->name), GR_ARG(why));
}

gr_str gr_sqlw_expr(gr_sqlw *w, const gr_expr *expr, const gr_cube *owner) {
    if (expr->is_column) {
        gr_str alias = gr_sqlw_ident(w, owner->alias);
        return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(alias), GR_ARG(expr->parts[0].text));
    }
    gr_str *texts = GR_NEW_N(w->arena, gr_str, expr->n_parts + 1);
    for (size_t i = 0; i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        texts[i] = part->kind == GR_PART_TEXT ? common_text(w, expr, owner, part) : part_text(w, part);
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

/* Of a rollup alone its own short name; parts of a join of rollups may have the same. */
static gr_str rollup_alias(gr_sqlw *w, const gr_rollup *part) {
    if (!part) return gr_sqlw_ident(w, w->from->preagg->alias);
    gr_str name =
        gr_arena_printf(w->arena, GR_FMT "__" GR_FMT, GR_ARG(part->preagg->cube->alias), GR_ARG(part->preagg->alias));
    return gr_sqlw_ident(w, name);
}

gr_str gr_sqlw_stored(gr_sqlw *w, const gr_rollup *part, gr_str column) {
    gr_str table = rollup_alias(w, part), name = gr_sqlw_ident(w, column);
    return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(table), GR_ARG(name));
}

/* The value of a sub_query dimension, which joins its relation to the SELECT in the making. */
static gr_str sub_query_value(gr_sqlw *w, const gr_member *m) {
    size_t at = 0;
    while (at < w->sub_queries.n && w->sub_queries.v[at].dimension != m) at++;
    if (at == w->sub_queries.n) {
        /* no cube can be called so */
        gr_str name = gr_arena_printf(w->arena, GR_FMT ":" GR_FMT, GR_ARG(m->cube->alias), GR_ARG(m->name));
        gr_sql_sub_query fresh = {m, name, gr_sqlw_ident(w, name)};
        GR_PUSH(w->arena, &w->sub_queries, fresh);
    }
    return gr_arena_printf(w->arena, GR_FMT ".\"value\"", GR_ARG(w->sub_queries.v[at].alias));
}

/* Of rows of a relation a dimension is the group column that holds it. */
static gr_str group_column(gr_sqlw *w, const gr_member *m) {
    const gr_query *q = w->query;
    for (size_t i = 0; i < q->n_columns; i++) {
        const gr_query_column *c = &q->columns[i];
        if (c->kind != GR_COLUMN_DIMENSION || q->dimensions[c->index].member != m) continue;
        gr_str name = gr_sqlw_ident(w, c->alias);
        return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(w->rows), GR_ARG(name));
    }
    return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                        "'" GR_FMT "' is used over aggregated rows and is not among the dimensions of the query",
                        GR_ARG(m->id));
}

gr_str gr_sqlw_member(gr_sqlw *w, const gr_member *m) {
    if (w->read == GR_READ_UNION || w->read == GR_READ_PLAIN) return group_column(w, m);
    const gr_rollup_column *column = w->from ? gr_scan_stored_column(w->scan, m) : NULL;
    if (column) return gr_sqlw_stored(w, column->part, column->name);
    if (m->is_sub_query) return sub_query_value(w, m);
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

bool gr_sqlw_is_text_of_other(const gr_sqlw *w, const gr_member *m) {
    const gr_column_schema *s = w->snapshot && w->snapshot->types ? w->snapshot->types[m->index] : NULL;
    return !w->from && s && s->is_text_of_other;
}

bool gr_sqlw_is_integer_for_boolean(const gr_sqlw *w, const gr_member *m) {
    return w->dialect->reads_alone && !w->from && m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_BOOLEAN;
}

gr_str gr_sqlw_seen(gr_sqlw *w, const gr_member *m) {
    gr_str raw = gr_sqlw_member(w, m);
    if (gr_sqlw_is_integer_for_boolean(w, m)) return gr_sqlw_op1(w, GR_SQL_BOOLEAN, raw);
    return gr_sqlw_is_text_of_other(w, m) ? gr_sqlw_op1(w, GR_SQL_TEXT, raw) : raw;
}

gr_str gr_sqlw_member_out(gr_sqlw *w, const gr_member *m) {
    if (m->kind != GR_MEMBER_DIMENSION || m->dim_type != GR_DIM_TIME) return gr_sqlw_seen(w, m);
    gr_str raw = gr_sqlw_member(w, m);
    return gr_sqlw_local(w, gr_sqlw_instant(w, m, raw));
}

/* The cube's table or SELECT, or the table that its original_sql was stored in. */
gr_str gr_sqlw_table(gr_sqlw *w, const gr_cube *cube) {
    if (w->reads_source) *w->reads_source = true;
    gr_str alias = gr_sqlw_ident(w, cube->alias);
    for (size_t i = 0; i < w->n_originals; i++) {
        const gr_original *o = &w->originals[i];
        if (o->cube != cube) continue;
        gr_str table = o->state ? o->state->table : gr_sqlw_ident(w, o->rollup->preagg->alias);
        return gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(table), GR_ARG(alias));
    }
    gr_str text = cube->sql ? gr_sqlw_expr(w, cube->sql, cube) : table_name(w, cube);
    return gr_arena_printf(w->arena, cube->sql ? "(" GR_FMT ") AS " GR_FMT : GR_FMT " AS " GR_FMT, GR_ARG(text),
                           GR_ARG(alias));
}

gr_str gr_sqlw_cube_rows(gr_sqlw *w, const gr_cube *cube) {
    if (cube->sql) return gr_sqlw_expr(w, cube->sql, cube);
    gr_str name = table_name(w, cube);
    return gr_arena_printf(w->arena, "SELECT * FROM " GR_FMT, GR_ARG(name));
}

gr_str gr_sqlw_sub_query_rows(gr_sqlw *w, const gr_member *dimension) {
    enum { MOST_SUB_QUERIES = 64 };
    gr_plan *plan = NULL;
    if (++*w->n_sub_queries > MOST_SUB_QUERIES)
        return gr_sqlw_fail(w, GR_ERR_LIMIT, "The query needs more than %d sub queries, the last for '" GR_FMT "'",
                            MOST_SUB_QUERIES, GR_ARG(dimension->id));
    gr_status status = gr_plan_sub_query(w->snapshot, dimension, w->outer, w->tz, w->arena, &plan, w->err);
    if (!status) return gr_sqlw_keyed_value(w, plan, dimension->sql->parts[0].member);
    if (!*w->status) *w->status = status;
    return GR_STR("NULL");
}

gr_str gr_sqlw_sub_query_on(gr_sqlw *w, const gr_sql_sub_query *s) {
    const gr_cube *cube = s->dimension->cube;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, cube->n_primary_keys + 1);
    for (size_t k = 0; k < cube->n_primary_keys; k++) {
        gr_str key = gr_sqlw_operand(w, gr_sqlw_member(w, cube->primary_keys[k]));
        texts[k] = gr_arena_printf(w->arena, GR_FMT " = " GR_FMT ".\"k%zu\"", GR_ARG(key), GR_ARG(s->alias), k);
    }
    return gr_sqlw_join(w, texts, cube->n_primary_keys, " AND ");
}

/* ` LEFT JOIN (SELECT key, value …) AS "orders__n" ON key = key`, for those of this cube. */
static gr_str sub_query_joins(gr_sqlw *w, const gr_cube *cube, gr_str text) {
    for (size_t i = 0; i < w->sub_queries.n; i++) {
        const gr_sql_sub_query s = w->sub_queries.v[i];
        if (s.dimension->cube != cube) continue;
        gr_str rows = gr_sqlw_sub_query_rows(w, s.dimension), on = gr_sqlw_sub_query_on(w, &s);
        text = gr_arena_printf(w->arena, GR_FMT " LEFT JOIN (" GR_FMT ") AS " GR_FMT " ON " GR_FMT, GR_ARG(text),
                               GR_ARG(rows), GR_ARG(s.alias), GR_ARG(on));
    }
    return text;
}

static gr_str part_table(gr_sqlw *w, const gr_rollup *part) {
    const gr_rollup_state *state = gr_snapshot_state(w->snapshot, part->preagg, gr_rollup_zone(part, w->tz));
    gr_str table = state && state->is_built ? state->table : gr_sqlw_ident(w, part->entity->preagg->alias);
    const gr_sql_place *place = w->places ? gr_sql_place_of(w->places, part->entity->place) : NULL;
    if (place && !gr_sqlw_sees(w, place)) { /* rollups of several places: this one comes whole */
        table = gr_sqlw_fetched_whole(w, place, part, table);
    }
    gr_str alias = rollup_alias(w, part);
    return gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(table), GR_ARG(alias));
}

static gr_str from_parts(gr_sqlw *w) {
    const gr_rollup *r = w->from;
    gr_str first = part_table(w, r->links[0].from);
    gr_str text = gr_arena_printf(w->arena, " FROM " GR_FMT, GR_ARG(first));
    for (size_t i = 0; i < r->n_links; i++) {
        const gr_rollup_link *l = &r->links[i];
        gr_str table = part_table(w, l->to);
        text = gr_arena_printf(w->arena, GR_FMT " LEFT JOIN " GR_FMT " ON ", GR_ARG(text), GR_ARG(table));
        for (size_t k = 0; k < l->n; k++) {
            gr_str a = gr_sqlw_stored(w, l->from, l->from_columns[k]->name),
                   b = gr_sqlw_stored(w, l->to, l->to_columns[k]->name);
            text = gr_arena_printf(w->arena, GR_FMT "%s" GR_FMT " = " GR_FMT, GR_ARG(text), k ? " AND " : "", GR_ARG(a),
                                   GR_ARG(b));
        }
    }
    return text;
}

gr_str gr_sqlw_from(gr_sqlw *w, const gr_tree *tree) {
    if (w->from && w->from->n_links) return from_parts(w);
    if (w->from) {
        const gr_rollup_state *s = w->scan->state;
        gr_str table = w->table                  ? w->table->text
                       : s && w->scan->reading.v ? gr_sqlw_partitions(w, w->from, s, &w->scan->reading)
                       : s                       ? s->table
                                                 : gr_sqlw_ident(w, w->from->entity->preagg->alias);
        gr_str alias = rollup_alias(w, NULL);
        return gr_arena_printf(w->arena, " FROM " GR_FMT " AS " GR_FMT, GR_ARG(table), GR_ARG(alias));
    }
    gr_str root = gr_sqlw_table(w, tree->nodes[0].cube);
    gr_str text = gr_arena_printf(w->arena, " FROM " GR_FMT, GR_ARG(root));
    text = sub_query_joins(w, tree->nodes[0].cube, text);
    for (size_t i = 1; i < tree->n; i++) {
        const gr_tree_node *node = &tree->nodes[i];
        gr_str table = gr_sqlw_table(w, node->cube), on = gr_sqlw_expr(w, node->join->sql, node->join->from);
        text = gr_arena_printf(w->arena, GR_FMT " LEFT JOIN " GR_FMT " ON " GR_FMT, GR_ARG(text), GR_ARG(table),
                               GR_ARG(on));
        text = sub_query_joins(w, node->cube, text);
    }
    return text;
}

gr_str gr_sqlw_from_for(gr_sqlw *w, const gr_tree *tree, gr_str list, gr_str where) {
    return w->dialect->reads_alone ? gr_sqlw_alone_from(w, tree, list, where) : gr_sqlw_from(w, tree);
}
