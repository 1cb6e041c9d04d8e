/* Statements: the query of a plan, its total, the load of a rollup, the description of a cube.
 *
 *   one scan:    SELECT dimensions, time buckets, measures FROM … WHERE rows GROUP BY 1, 2 HAVING … ORDER BY … LIMIT …
 *   more:        SELECT …, finished measures FROM (pieces) AS "u" GROUP BY 1, 2 HAVING … ORDER BY … LIMIT …
 *
 * With a limit the group columns (of ungrouped rows: all columns) that the order does not name break ties, so that
 * pages are stable (decisions 9). */
#include "sql/internal.h"

static gr_str column_text(gr_sqlw *w, const gr_sql_grain *grain, size_t i) {
    const gr_query_column *c = &w->query->columns[i];
    if (c->kind == GR_COLUMN_MEASURE) return gr_sqlw_measure(w, w->query->measures[c->index].member);
    if (w->read != GR_READ_UNION) return gr_sqlw_grain_text(w, grain, i);
    gr_str alias = gr_sqlw_ident(w, c->alias);
    return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(w->rows), GR_ARG(alias));
}

static gr_str select_list(gr_sqlw *w) {
    const gr_query *q = w->query;
    gr_sql_grain grain = {.query = q};
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_columns + 1);
    for (size_t i = 0; i < q->n_columns; i++) {
        gr_str text = column_text(w, &grain, i), alias = gr_sqlw_ident(w, q->columns[i].alias);
        texts[i] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(alias));
    }
    return gr_sqlw_join(w, texts, q->n_columns, ", ");
}

/* After the GROUP BY of `n_groups` columns. */
static gr_str having(gr_sqlw *w, size_t n_groups) {
    const gr_query *q = w->query;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_measure_filters + 1);
    size_t n = 0;
    for (size_t i = 0; i < q->n_measure_filters; i++) {
        gr_str text = {0};
        if (!gr_sqlw_is_on_rows(w, q->measure_filters[i])) text = gr_sqlw_filter(w, q->measure_filters[i]);
        if (text.n) texts[n++] = text;
    }
    if (!n) return (gr_str){0};
    gr_str all = gr_sqlw_join(w, texts, n, " AND ");
    return gr_arena_printf(w->arena, " %s " GR_FMT, n_groups && w->dialect->reads_alone ? "AND" : "HAVING",
                           GR_ARG(all));
}

static size_t count_groups(const gr_query *q) {
    gr_sql_grain grain = {.query = q};
    return gr_sqlw_grain_n(&grain);
}

static gr_str order_text(gr_sqlw *w) {
    const gr_query *q = w->query;
    size_t n_groups = q->is_ungrouped ? q->n_columns : count_groups(q); /* of rows, all that is seen of them */
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_order + n_groups + 1);
    size_t n = 0;
    for (size_t i = 0; i < q->n_order; i++)
        texts[n++] = gr_arena_printf(w->arena, "%zu %s NULLS LAST", q->order[i].column + 1,
                                     q->order[i].is_desc ? "DESC" : "ASC");
    for (size_t c = 0; c < n_groups; c++) {
        bool is_named = false;
        for (size_t i = 0; i < q->n_order; i++) is_named |= q->order[i].column == c;
        if (!is_named) texts[n++] = gr_arena_printf(w->arena, "%zu ASC NULLS LAST", c + 1);
    }
    gr_str all = gr_sqlw_join(w, texts, n, ", ");
    return n ? gr_arena_printf(w->arena, " ORDER BY " GR_FMT, GR_ARG(all)) : (gr_str){0};
}

/* Texts are ordered by their bytes everywhere, whatever the database thinks of them: then their names stand in the
 * order, in a SELECT around. */
static gr_str collated(gr_sqlw *w, gr_str *select) {
    const gr_query *q = w->query;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_order + q->n_columns + 1);
    size_t n = 0, n_text = 0, n_groups = q->is_ungrouped ? q->n_columns : count_groups(q);
    bool *is_named = GR_NEW_N(w->arena, bool, q->n_columns + 1);
    for (size_t i = 0; i < q->n_order + n_groups; i++) {
        size_t column = i < q->n_order ? q->order[i].column : i - q->n_order;
        const gr_query_column *c = &q->columns[column];
        const gr_column_schema *type = NULL;
        if (is_named[column]) continue;
        if (c->kind == GR_COLUMN_DIMENSION) type = w->snapshot->types[q->dimensions[c->index].member->index];
        bool is_time = type && q->dimensions[c->index].member->dim_type == GR_DIM_TIME; /* answered as a time */
        bool is_text = type && type->type == GR_TYPE_UTF8 && !is_time, is_desc = i < q->n_order && q->order[i].is_desc;
        is_named[column] = true;
        n_text += is_text;
        gr_str alias = gr_sqlw_ident(w, c->alias);
        gr_str key =
            is_text ? gr_arena_printf(w->arena, "\"o\"." GR_FMT GR_FMT, GR_ARG(alias), GR_ARG(w->dialect->collation))
                    : gr_arena_printf(w->arena, "%zu", column + 1);
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " %s NULLS LAST", GR_ARG(key), is_desc ? "DESC" : "ASC");
    }
    if (!n_text) return order_text(w);
    *select = gr_arena_printf(w->arena, "SELECT * FROM (" GR_FMT ") AS \"o\"", GR_ARG(*select));
    gr_str all = gr_sqlw_join(w, texts, n, ", ");
    return gr_arena_printf(w->arena, " ORDER BY " GR_FMT, GR_ARG(all));
}

typedef gr_sql_statement statement;

static gr_sqlw writer_of(const gr_plan *plan, const gr_sql_places *places, const gr_sql_home *home, statement *s,
                         gr_arena *arena, gr_error *err) {
    gr_sqlw w = {.snapshot = plan->snapshot,
                 .query = plan->query,
                 .outer = plan->query, /* as asked, whatever ranges the pieces have */
                 .originals = plan->originals,
                 .n_originals = plan->n_originals,
                 .tz = plan->query->tz,
                 .now_us = plan->snapshot->now_us,
                 .arena = arena,
                 .n_sub_queries = &s->n_sub_queries,
                 .reads_source = &s->reads_source,
                 .params = &s->params,
                 .status = &s->status,
                 .err = err};
    gr_sqlw_take_home(&w, places, home, s);
    return w;
}

/* One reading whose rows need no merge with others. */
static bool is_direct(const gr_sqlw *w, const gr_plan *plan) {
    const gr_piece *p = &plan->pieces[0];
    if (plan->n_pieces != 1 || p->kind != GR_PIECE_SCAN) return false;
    const gr_sql_place *place = w->places ? gr_sql_place_of_scan(w->places, &p->scan) : NULL;
    return (!place || gr_sqlw_sees(w, place)) && (p->scan.rollup || p->scan.group.key_node == GR_TREE_NONE);
}

/* ` ORDER BY "granary_o2" DESC NULLS LAST, …`: as order_text, by the names of a reading. */
static gr_str order_of_rows(gr_sqlw *w) {
    const gr_query *q = w->query;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_order + q->n_columns + 1);
    bool *is_named = GR_NEW_N(w->arena, bool, q->n_columns + 1);
    size_t n = 0;
    for (size_t i = 0; i < q->n_columns; i++) is_named[i] = false;
    for (size_t i = 0; i < q->n_order + q->n_columns; i++) {
        size_t column = i < q->n_order ? q->order[i].column : i - q->n_order;
        bool is_desc = i < q->n_order && q->order[i].is_desc;
        if (is_named[column]) continue;
        is_named[column] = true;
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " %s NULLS LAST", GR_ARG(gr_sqlw_own_at(w, "o", column)),
                                     is_desc ? "DESC" : "ASC");
    }
    return gr_sqlw_join(w, texts, n, ", ");
}

/* The rows that are asked for, of a place that reads alone: put in order and cut there, and once more here. */
static gr_str rows_of_place(gr_sqlw *w, const gr_plan *plan, const gr_sql_place *place, bool is_cut) {
    const gr_query *q = w->query;
    const gr_scan *scan = &plan->pieces[0].scan;
    gr_sql_statement s = {0};
    gr_sqlw of_scan = gr_sqlw_for_scan(w, scan), p = gr_sqlw_for_place(&of_scan, place, &s);
    gr_sql_grain grain = {.query = q};
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_columns + 1), *names = GR_NEW_N(w->arena, gr_str, q->n_columns + 1);
    for (size_t i = 0; i < q->n_columns; i++) {
        const gr_query_column *c = &q->columns[i];
        const gr_member *m = c->kind == GR_COLUMN_MEASURE ? q->measures[c->index].member : NULL;
        if (m && m->is_calculated)
            return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                                "'" GR_FMT
                                "' is computed from other measures, and cannot be asked ungrouped of '" GR_FMT "'",
                                GR_ARG(m->id), GR_ARG(place->name));
        names[i] = c->alias;
        texts[i] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(column_text(&p, &grain, i)),
                                   GR_ARG(gr_sqlw_own_at(&p, "o", i)));
    }
    gr_str list = gr_sqlw_join(w, texts, q->n_columns, ", "), where = gr_sqlw_where(&p);
    gr_str from = gr_sqlw_from_for(&p, &scan->group.tree, list, where), order = order_of_rows(&p);
    gr_str text = gr_arena_printf(w->arena, "SELECT " GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from), GR_ARG(where));
    if (is_cut)
        text = gr_arena_printf(w->arena, GR_FMT " ORDER BY " GR_FMT " LIMIT %lld", GR_ARG(text), GR_ARG(order),
                               (long long)q->limit + (long long)q->offset);
    gr_str rows = gr_sqlw_fetched(w, place, &s, names, text);
    for (size_t i = 0; i < q->n_columns; i++) texts[i] = gr_sqlw_fetched_column(w, place, &grain, i);
    list = gr_sqlw_join(w, texts, q->n_columns, ", ");
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM " GR_FMT " AS \"a\"", GR_ARG(list), GR_ARG(rows));
}

static gr_str body(gr_sqlw *w, const gr_plan *plan, bool is_cut) {
    if (plan->n_pieces == 0) return gr_sqlw_fail(w, GR_ERR_INTERNAL, "The plan is not finished");
    bool is_one = plan->n_pieces == 1 && plan->pieces[0].kind == GR_PIECE_SCAN;
    const gr_sql_place *place = is_one && w->places ? gr_sql_place_of_scan(w->places, &plan->pieces[0].scan) : NULL;
    if (w->query->is_ungrouped && place && !gr_sqlw_sees(w, place)) return rows_of_place(w, plan, place, is_cut);
    gr_sqlw r;
    gr_str from, where = {0}, list, conditions;
    size_t n_groups = w->query->is_ungrouped ? 0 : count_groups(w->query);
    gr_str by = gr_sqlw_group_by(w, n_groups);
    if (is_direct(w, plan)) {
        r = gr_sqlw_for_scan(w, &plan->pieces[0].scan);
        list = select_list(&r);
        where = gr_sqlw_where(&r);
        conditions = having(&r, n_groups);
        from = gr_sqlw_from(&r, &plan->pieces[0].scan.group.tree);
    } else {
        gr_str pieces = gr_sqlw_pieces(w, plan);
        r = *w;
        r.read = GR_READ_UNION;
        r.components = &plan->components;
        r.rows = GR_STR("\"u\"");
        list = select_list(&r);
        conditions = having(&r, n_groups);
        from = gr_arena_printf(w->arena, " FROM (" GR_FMT ") AS \"u\"", GR_ARG(pieces));
    }
    return gr_arena_printf(w->arena, "SELECT " GR_FMT GR_FMT GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from),
                           GR_ARG(where), GR_ARG(by), GR_ARG(conditions));
}

gr_status gr_sqlw_finish(const gr_sql_statement *s, const gr_sql_home *home, gr_str text, gr_sql *ret) {
    if (s->status) return s->status;
    *ret = (gr_sql){.text = text,
                    .params = s->params.v,
                    .n_params = s->params.n,
                    .place = home->place,
                    .is_native = home->is_native,
                    .reads_source = s->reads_source,
                    .fetches = s->fetches.v,
                    .n_fetches = s->fetches.n};
    return GR_OK;
}

gr_status gr_sql_query(const gr_plan *plan, const gr_sql_places *places, gr_arena *arena, gr_sql *ret, gr_error *err) {
    statement s = {0};
    const gr_sql_home home = gr_sql_home_of_plan(places, plan);
    gr_sqlw w = writer_of(plan, places, &home, &s, arena, err);
    gr_str select = body(&w, plan, true);
    bool may_collate = w.dialect->collation.n && w.snapshot->types;
    gr_str order = may_collate ? collated(&w, &select) : order_text(&w);
    gr_str text = gr_arena_printf(arena, GR_FMT GR_FMT " LIMIT %lld", GR_ARG(select), GR_ARG(order),
                                  (long long)plan->query->limit);
    if (plan->query->offset)
        text = gr_arena_printf(arena, GR_FMT " OFFSET %lld", GR_ARG(text), (long long)plan->query->offset);
    return gr_sqlw_finish(&s, &home, text, ret);
}

gr_status gr_sql_piece(const gr_plan *plan, size_t piece, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                       gr_error *err) {
    statement s = {0};
    gr_plan alone = *plan;
    alone.pieces = &plan->pieces[piece];
    alone.n_pieces = 1;
    const gr_sql_home home = gr_sql_home_of_plan(places, &alone);
    gr_sqlw w = writer_of(plan, places, &home, &s, arena, err);
    return gr_sqlw_finish(&s, &home, gr_sqlw_pieces(&w, &alone), ret);
}

gr_status gr_sql_total(const gr_plan *plan, const gr_sql_places *places, gr_arena *arena, gr_sql *ret, gr_error *err) {
    statement s = {0};
    const gr_sql_home home = gr_sql_home_of_plan(places, plan);
    gr_sqlw w = writer_of(plan, places, &home, &s, arena, err);
    gr_str select = body(&w, plan, false);
    return gr_sqlw_finish(&s, &home,
                          gr_arena_printf(arena,
                                          "SELECT count(*) AS \"total_count\" FROM (" GR_FMT ") AS \"original_query\"",
                                          GR_ARG(select)),
                          ret);
}

gr_status gr_sql_span(const gr_plan *plan, const gr_sql_places *places, gr_arena *arena, gr_sql *ret, gr_error *err) {
    statement s = {0};
    const gr_sql_home home = gr_sql_home_of_plan(places, plan);
    gr_sqlw w = writer_of(plan, places, &home, &s, arena, err);
    gr_str rows = gr_sqlw_relation(&w, plan), column = gr_sqlw_ident(&w, plan->query->columns[0].alias);
    gr_str min = gr_sqlw_op1(&w, GR_SQL_MIN, column), max = gr_sqlw_op1(&w, GR_SQL_MAX, column);
    return gr_sqlw_finish(
        &s, &home,
        gr_arena_printf(arena, "SELECT " GR_FMT " AS \"first\", " GR_FMT " AS \"last\" FROM (" GR_FMT ") AS \"r\"",
                        GR_ARG(min), GR_ARG(max), GR_ARG(rows)),
        ret);
}

gr_status gr_sql_key(const gr_expr *query, const gr_cube *owner, const gr_sql_places *places, gr_arena *arena,
                     gr_str *ret, gr_error *err) {
    statement s = {0};
    gr_sqlw w = {.dialect = gr_sql_home_native(places, owner->data_source).dialect,
                 .tz = gr_tz_utc(),
                 .arena = arena,
                 .params = &s.params,
                 .status = &s.status,
                 .err = err};
    gr_str text = gr_sqlw_expr(&w, query, owner);
    if (!s.status) *ret = text;
    return s.status;
}

static bool expr_stays_home(const gr_expr *expr);

static bool member_stays_home(const gr_member *m) {
    bool is_home =
        !m->is_sub_query && expr_stays_home(m->sql) && expr_stays_home(m->latitude) && expr_stays_home(m->longitude);
    for (size_t i = 0; i < m->n_cases; i++)
        is_home = is_home && expr_stays_home(m->cases[i].when) && expr_stays_home(m->cases[i].label_sql);
    return is_home;
}

static bool expr_stays_home(const gr_expr *expr) {
    for (size_t i = 0; expr && i < expr->n_parts; i++) {
        if (expr->parts[i].n_path) return false;
        if (expr->parts[i].kind == GR_PART_MEMBER && !member_stays_home(expr->parts[i].member)) return false;
    }
    return true;
}

bool gr_sql_describes_value(const gr_member *m) {
    return m->kind == GR_MEMBER_MEASURE && (m->agg == GR_MEASURE_MIN || m->agg == GR_MEASURE_MAX);
}

/* Taken of rows, not of other measures. */
static bool is_of_rows(const gr_expr *e) {
    for (size_t i = 0; i < e->n_parts; i++)
        if (e->parts[i].kind == GR_PART_MEMBER && e->parts[i].member->kind == GR_MEMBER_MEASURE) return false;
    return true;
}

/* A measure whose values are hashed, put in order or told apart: how depends on their type (decisions 23). */
static bool is_by_type(const gr_member *m, const gr_cube *cube) {
    bool is_counted =
        m->agg == GR_MEASURE_COUNT || m->agg == GR_MEASURE_COUNT_DISTINCT || m->agg == GR_MEASURE_COUNT_DISTINCT_APPROX;
    return m->kind == GR_MEMBER_MEASURE && m->cube == cube && !m->alias_of && m->sql && is_of_rows(m->sql) &&
           (is_counted || gr_sql_describes_value(m));
}

gr_status gr_sql_describe_cube(const gr_model *model, const gr_cube *cube, const gr_member *only,
                               const gr_dialect *dialect, gr_arena *arena, const gr_member ***ret_members,
                               size_t *ret_n, gr_str *ret_text, gr_error *err) {
    statement s = {0};
    gr_sqlw w = {
        .dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .params = &s.params, .status = &s.status, .err = err};
    GR_VEC(const gr_member *) members = {0};
    for (size_t i = 0; i < cube->n_dimensions; i++)
        if ((!only || cube->dimensions[i] == only) && member_stays_home(cube->dimensions[i]))
            GR_PUSH(arena, &members, cube->dimensions[i]);
    for (size_t i = 0; i < model->n_members; i++)
        if ((!only || model->members[i] == only) && is_by_type(model->members[i], cube) &&
            member_stays_home(model->members[i]))
            GR_PUSH(arena, &members, model->members[i]);
    gr_str *texts = GR_NEW_N(arena, gr_str, members.n + 1);
    for (size_t i = 0; i < members.n; i++) {
        bool is_measure = members.v[i]->kind == GR_MEMBER_MEASURE;
        gr_str text = is_measure ? gr_sqlw_expr(&w, members.v[i]->sql, cube) : gr_sqlw_member(&w, members.v[i]);
        texts[i] = gr_arena_printf(arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(gr_sqlw_own_at(&w, "c", i)));
    }
    gr_tree_node root = {.cube = cube};
    gr_str list = members.n ? gr_sqlw_join(&w, texts, members.n, ", ") : GR_STR("1 AS c0");
    gr_str from = gr_sqlw_from(&w, &(gr_tree){&root, 1});
    if (s.status) return s.status;
    *ret_members = members.v;
    *ret_n = members.n;
    *ret_text = gr_arena_printf(arena, "SELECT " GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from));
    return GR_OK;
}
