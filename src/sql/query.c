/* Statements: the query of a plan, its total, the load of a rollup, the description of a cube.
 *
 *   SELECT dimensions, time buckets, measures FROM … WHERE rows GROUP BY 1, 2 HAVING groups ORDER BY … LIMIT …
 *
 * With a limit the group columns (of ungrouped rows: all columns) that the order does not name break ties, so that
 * pages are stable (decisions 9). */
#include "sql/internal.h"

static gr_str column_text(gr_sqlw *w, const gr_query_column *c) {
    const gr_query *q = w->query;
    if (c->kind == GR_COLUMN_DIMENSION) return gr_sqlw_member_out(w, q->dimensions[c->index].member);
    if (c->kind == GR_COLUMN_TIME) return gr_sqlw_time_field(w, &q->time_dimensions[c->index]);
    return gr_sqlw_measure(w, q->measures[c->index].member);
}

static gr_str select_list(gr_sqlw *w) {
    const gr_query *q = w->query;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, q->n_columns + 1);
    for (size_t i = 0; i < q->n_columns; i++) {
        gr_str text = column_text(w, &q->columns[i]), alias = gr_sqlw_ident(w, q->columns[i].alias);
        texts[i] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(alias));
    }
    return gr_sqlw_join(w, texts, q->n_columns, ", ");
}

typedef GR_VEC(gr_str) texts_vec;

static void add_text(gr_sqlw *w, texts_vec *out, gr_str text) {
    if (text.n) GR_PUSH(w->arena, out, text);
}

/* measureFilter conditions are on rows although they name a measure; ungrouped rows have no HAVING. */
static bool is_on_rows(const gr_sqlw *w, const gr_filter *f) {
    if (w->query->is_ungrouped) return true;
    return f->kind == GR_FILTER_LEAF && f->op == GR_OP_MEASURE_FILTER;
}

static gr_str conditions(gr_sqlw *w, bool want_groups) {
    const gr_query *q = w->query;
    texts_vec all = {0};
    for (size_t i = 0; !want_groups && i < q->n_row_filters; i++)
        add_text(w, &all, gr_sqlw_filter(w, q->row_filters[i]));
    for (size_t i = 0; i < q->n_measure_filters; i++)
        if (is_on_rows(w, q->measure_filters[i]) != want_groups)
            add_text(w, &all, gr_sqlw_filter(w, q->measure_filters[i]));
    for (size_t i = 0; !want_groups && i < q->n_time_dimensions; i++)
        if (q->time_dimensions[i].has_range) add_text(w, &all, gr_sqlw_range(w, &q->time_dimensions[i]));
    for (size_t i = 0; !want_groups && i < q->n_segments; i++) {
        gr_str text = gr_sqlw_member(w, q->segments[i].member);
        add_text(w, &all, gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(text)));
    }
    if (!all.n) return (gr_str){0};
    gr_str text = gr_sqlw_join(w, all.v, all.n, " AND ");
    return gr_arena_printf(w->arena, want_groups ? " HAVING " GR_FMT : " WHERE " GR_FMT, GR_ARG(text));
}

static gr_str ordinals(gr_sqlw *w, size_t n) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) texts[i] = gr_arena_printf(w->arena, "%zu", i + 1);
    gr_str all = gr_sqlw_join(w, texts, n, ", ");
    return n ? gr_arena_printf(w->arena, " GROUP BY " GR_FMT, GR_ARG(all)) : (gr_str){0};
}

static size_t count_groups(const gr_query *q) {
    size_t n = 0;
    while (n < q->n_columns && q->columns[n].kind != GR_COLUMN_MEASURE) n++;
    return n;
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

static gr_sqlw writer_of(const gr_plan *plan, const gr_dialect *dialect, gr_arena *arena, gr_error *err) {
    return (gr_sqlw){.dialect = dialect,
                     .snapshot = plan->snapshot,
                     .plan = plan,
                     .query = plan->query,
                     .from = plan->rollup,
                     .tz = plan->query->tz,
                     .now_us = plan->snapshot->now_us,
                     .arena = arena,
                     .err = err};
}

static gr_str body(gr_sqlw *w) {
    gr_str list = select_list(w), from = gr_sqlw_from(w, &w->plan->tree), where = conditions(w, false);
    gr_str group = w->query->is_ungrouped ? (gr_str){0} : ordinals(w, count_groups(w->query));
    gr_str having = conditions(w, true);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT GR_FMT GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from),
                           GR_ARG(where), GR_ARG(group), GR_ARG(having));
}

static gr_status finish(gr_sqlw *w, gr_str text, gr_sql *ret) {
    if (w->status) return w->status;
    *ret = (gr_sql){text, w->params.v, w->params.n};
    return GR_OK;
}

gr_status gr_sql_query(const gr_plan *plan, const gr_dialect *dialect, gr_arena *arena, gr_sql *ret, gr_error *err) {
    gr_sqlw w = writer_of(plan, dialect, arena, err);
    gr_str select = body(&w), order = order_text(&w);
    gr_str text = gr_arena_printf(arena, GR_FMT GR_FMT " LIMIT %lld", GR_ARG(select), GR_ARG(order),
                                  (long long)plan->query->limit);
    if (plan->query->offset)
        text = gr_arena_printf(arena, GR_FMT " OFFSET %lld", GR_ARG(text), (long long)plan->query->offset);
    return finish(&w, text, ret);
}

gr_status gr_sql_total(const gr_plan *plan, const gr_dialect *dialect, gr_arena *arena, gr_sql *ret, gr_error *err) {
    gr_sqlw w = writer_of(plan, dialect, arena, err);
    gr_str select = body(&w);
    return finish(&w,
                  gr_arena_printf(arena, "SELECT count(*) AS \"total_count\" FROM (" GR_FMT ") AS \"original_query\"",
                                  GR_ARG(select)),
                  ret);
}

static gr_str stored_value(gr_sqlw *w, const gr_rollup_column *c) {
    if (c->granularity) return gr_sqlw_stored_bucket(w, c->member, c->granularity);
    gr_str value = gr_sqlw_member(w, c->member);
    return c->member->kind == GR_MEMBER_SEGMENT ? gr_sqlw_op1(w, GR_SQL_BOOLEAN, value) : value;
}

gr_status gr_sql_load(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                      const gr_dialect *dialect, gr_arena *arena, gr_sql *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    gr_sqlw w = {
        .dialect = dialect, .snapshot = snapshot, .tz = zone, .now_us = snapshot->now_us, .arena = arena, .err = err};
    gr_str *texts = GR_NEW_N(arena, gr_str, r->n_columns + r->n_components + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) {
        const gr_rollup_column *c = &r->columns[i];
        gr_str text = stored_value(&w, c);
        gr_str name = gr_sqlw_ident(&w, c->name);
        texts[n++] = gr_arena_printf(arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(name));
    }
    for (size_t i = 0; i < r->n_components; i++) {
        gr_str text = gr_sqlw_component(&w, &r->components[i].component),
               name = gr_sqlw_ident(&w, r->components[i].name);
        texts[n++] = gr_arena_printf(arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(name));
    }
    gr_str list = gr_sqlw_join(&w, texts, n, ", "), from = gr_sqlw_from(&w, &r->tree),
           group = ordinals(&w, r->n_columns);
    /* Time first: a range then reads a run of rows (duckdb.md §7). */
    gr_str *order = GR_NEW_N(arena, gr_str, r->n_columns + 1);
    for (size_t i = 0; i < r->n_columns; i++)
        order[i] = gr_arena_printf(arena, "%zu", (i + r->n_columns - r->n_times) % r->n_columns + 1);
    gr_str by = gr_sqlw_join(&w, order, r->n_columns, ", ");
    gr_str text = gr_arena_printf(arena, "SELECT " GR_FMT GR_FMT GR_FMT "%s" GR_FMT, GR_ARG(list), GR_ARG(from),
                                  GR_ARG(group), r->n_columns ? " ORDER BY " : "", GR_ARG(by));
    return finish(&w, text, ret);
}

static bool expr_stays_home(const gr_expr *expr);

static bool member_stays_home(const gr_member *m) {
    bool is_home = expr_stays_home(m->sql) && expr_stays_home(m->latitude) && expr_stays_home(m->longitude);
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

gr_status gr_sql_describe_cube(const gr_cube *cube, const gr_dialect *dialect, gr_arena *arena,
                               const gr_member ***ret_members, size_t *ret_n, gr_str *ret_text, gr_error *err) {
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = arena, .err = err};
    const gr_member **members = GR_NEW_N(arena, const gr_member *, cube->n_dimensions + 1);
    gr_str *texts = GR_NEW_N(arena, gr_str, cube->n_dimensions + 1);
    size_t n = 0;
    for (size_t i = 0; i < cube->n_dimensions; i++) {
        if (!member_stays_home(cube->dimensions[i])) continue;
        members[n] = cube->dimensions[i];
        gr_str text = gr_sqlw_member(&w, cube->dimensions[i]);
        texts[n] = gr_arena_printf(arena, GR_FMT " AS c%zu", GR_ARG(text), n);
        n++;
    }
    if (!n) texts[n++] = GR_STR("1 AS c0");
    gr_tree_node root = {.cube = cube};
    gr_str list = gr_sqlw_join(&w, texts, n, ", "), from = gr_sqlw_from(&w, &(gr_tree){&root, 1});
    if (w.status) return w.status;
    *ret_members = members;
    *ret_n = n;
    *ret_text = gr_arena_printf(arena, "SELECT " GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from));
    return GR_OK;
}
