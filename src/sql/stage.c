/* Pieces that stand on a relation of their own: rolling windows, and the forms of multi-stage measures (plan/stage.c).
 */
#include "sql/internal.h"

/* ---- common ---------------------------------------------------------------------------------------------------------
 */

static gr_str of(gr_sqlw *w, const char *rows, gr_str column) {
    return gr_arena_printf(w->arena, "\"%s\"." GR_FMT, rows, GR_ARG(column));
}

static gr_str named(gr_sqlw *w, gr_str text, gr_str alias) {
    return gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(alias));
}

static gr_str alias_of(gr_sqlw *w, const gr_query *q, size_t column) {
    return gr_sqlw_ident(w, q->columns[column].alias);
}

/* Reads rows of `plan` under the alias "b". */
static gr_sqlw reader(const gr_sqlw *w, const gr_plan *plan, gr_sql_read read) {
    gr_sqlw r = *w;
    r.query = plan->query;
    r.read = read;
    r.scan = NULL;
    r.from = NULL;
    r.components = &plan->components;
    r.rows = GR_STR("\"b\"");
    return r;
}

static bool gives(const gr_piece *piece, gr_str key) {
    for (size_t i = 0; i < piece->components.n; i++)
        if (gr_str_eq(piece->components.v[i].key, key)) return true;
    return false;
}

/* `groups` named by the answer's columns, then c0 …: `value` where the piece gives the component, else NULL. */
static gr_str select_list(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece, const gr_str *groups, size_t n,
                          gr_str (*value)(gr_sqlw *, const gr_component *, void *), void *arg) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + plan->components.n + 1);
    for (size_t i = 0; i < n; i++) texts[i] = named(w, groups[i], alias_of(w, plan->query, i));
    for (size_t i = 0; i < plan->components.n; i++) {
        const gr_component *c = &plan->components.v[i];
        texts[n + i] = named(w, gives(piece, c->key) ? value(w, c, arg) : GR_STR("NULL"), gr_sqlw_slot(w, i));
    }
    return gr_sqlw_join(w, texts, n + plan->components.n, ", ");
}

static size_t group_count(const gr_query *q) {
    gr_sql_grain grain = {.query = q};
    return gr_sqlw_grain_n(&grain);
}

/* ---- windows --------------------------------------------------------------------------------------------------------
 */

static gr_str series(gr_sqlw *w, const gr_window_read *read) {
    gr_str *rows = GR_NEW_N(w->arena, gr_str, read->n_buckets + 1);
    for (size_t i = 0; i < read->n_buckets; i++) {
        const gr_bucket *b = &read->buckets[i];
        gr_str at = gr_sqlw_stamp(w, b->at_local_us), from = gr_sqlw_stamp(w, b->from_local_us),
               to = gr_sqlw_stamp(w, b->to_local_us);
        rows[i] =
            gr_arena_printf(w->arena, "(" GR_FMT ", " GR_FMT ", " GR_FMT ")", GR_ARG(at), GR_ARG(from), GR_ARG(to));
    }
    gr_str all = gr_sqlw_join(w, rows, read->n_buckets, ", ");
    return gr_arena_printf(w->arena, "(VALUES " GR_FMT ") AS \"s\"(\"at\", \"from\", \"to\")", GR_ARG(all));
}

/* Of a time dimension; the inner query may have one dimension more. */
static size_t inner_place(const gr_plan *plan, const gr_plan *inner, size_t column) {
    if (plan->query->columns[column].kind == GR_COLUMN_DIMENSION) return column;
    return column + inner->query->n_dimensions - plan->query->n_dimensions;
}

/* The inner relation has the components without window, under the same keys; a distinct count has its values. */
static gr_str inner_component(gr_sqlw *w, const gr_component *c, void *arg) {
    const gr_window_read *read = arg;
    if (read->counts_values) {
        gr_str value = of(w, "b", alias_of(w, read->inner->query, read->inner->query->n_dimensions - 1));
        return gr_sqlw_op1(w, GR_SQL_COUNT_DISTINCT, value);
    }
    gr_component plain = *c;
    plain.window = NULL;
    plain.key = c->stored_key;
    return gr_sqlw_component(w, &plain);
}

/* One row of sources for each row of the answer: as it is. */
static gr_str pass_through(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece, gr_str rows) {
    const gr_plan *inner = piece->window.inner;
    gr_sqlw r = reader(w, inner, GR_READ_PLAIN);
    size_t n = group_count(plan->query);
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) groups[i] = of(w, "b", alias_of(w, inner->query, inner_place(plan, inner, i)));
    gr_window_read read = piece->window;
    gr_str list = select_list(&r, plan, piece, groups, n, inner_component, &read);
    gr_str by = read.counts_values ? gr_sqlw_group_by(w, n) : (gr_str){0};
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"b\"" GR_FMT, GR_ARG(list), GR_ARG(rows),
                           GR_ARG(by));
}

gr_str gr_sqlw_window(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    gr_window_read window = piece->window, *read = &window;
    const gr_plan *inner = read->inner;
    gr_str rows = gr_sqlw_relation(w, inner);
    if (!read->n_buckets) return pass_through(w, plan, piece, rows);
    gr_sqlw r = reader(w, inner, GR_READ_UNION);
    const gr_query *q = plan->query;
    size_t n = group_count(q);
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1), base = {0};
    for (size_t i = 0; i < n; i++) {
        bool is_bucket = q->columns[i].kind == GR_COLUMN_TIME && q->columns[i].index == read->time;
        gr_str inner_column = of(w, "b", alias_of(w, inner->query, inner_place(plan, inner, i)));
        groups[i] = is_bucket ? GR_STR("\"s\".\"at\"") : inner_column;
        if (is_bucket) base = inner_column;
    }
    gr_str list = select_list(&r, plan, piece, groups, n, inner_component, read), buckets = series(w, read);
    gr_str by = gr_sqlw_group_by(w, n);
    return gr_arena_printf(w->arena,
                           "SELECT " GR_FMT " FROM " GR_FMT " %s JOIN (" GR_FMT ") AS \"b\" ON " GR_FMT
                           " >= \"s\".\"from\" AND " GR_FMT " < \"s\".\"to\"" GR_FMT,
                           GR_ARG(list), GR_ARG(buckets), read->keeps_empty ? "LEFT" : "INNER", GR_ARG(rows),
                           GR_ARG(base), GR_ARG(base), GR_ARG(by));
}

/* ---- stages ---------------------------------------------------------------------------------------------------------
 */

/* What the measure is over one inner group. */
static gr_str inner_value(gr_sqlw *r, const gr_member *m) { return gr_sqlw_expr(r, m->sql, m->cube); }

static gr_str given_value(gr_sqlw *w, const gr_component *c, void *arg) {
    (void)w;
    (void)c;
    return *(const gr_str *)arg;
}

static gr_str moved(gr_sqlw *w, const gr_time_shift *shift, gr_str time) {
    const gr_interval *i = &shift->interval;
    if (i->months)
        time = gr_sqlw_op2(w, GR_SQL_SHIFT_MONTHS, time, gr_arena_printf(w->arena, "%lld", (long long)i->months));
    int64_t us = i->days * 86400000000 + i->us;
    if (us) time = gr_sqlw_op2(w, GR_SQL_SHIFT_MICROS, time, gr_arena_printf(w->arena, "%lld", (long long)us));
    return time;
}

static gr_str shift_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    const gr_stage_read *read = &piece->stage;
    const gr_query *q = plan->query;
    gr_sqlw r = reader(w, read->inner, GR_READ_UNION);
    size_t n = group_count(q);
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        groups[i] = of(w, "b", alias_of(w, read->inner->query, read->column_of[i]));
        if (q->columns[i].kind != GR_COLUMN_TIME || !read->shifts[q->columns[i].index]) continue;
        const gr_time_field *t = &q->time_dimensions[q->columns[i].index];
        groups[i] = gr_sqlw_trunc(w, moved(w, read->shifts[q->columns[i].index], groups[i]), t->granularity,
                                  t->anchor_local_us);
    }
    gr_str value = inner_value(&r, read->measure), rows = gr_sqlw_relation(w, read->inner);
    gr_str list = select_list(w, plan, piece, groups, n, given_value, &value), by = gr_sqlw_group_by(w, n);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"b\"" GR_FMT, GR_ARG(list), GR_ARG(rows),
                           GR_ARG(by));
}

/* SELECT inner group columns as g0 …, the measure as "value". */
static gr_str inner_rows(gr_sqlw *w, const gr_stage_read *read) {
    gr_sqlw r = reader(w, read->inner, GR_READ_PLAIN);
    size_t n = group_count(read->inner->query);
    gr_str text = GR_STR("SELECT "), rows = gr_sqlw_relation(w, read->inner);
    for (size_t i = 0; i < n; i++) {
        gr_str column = of(w, "b", alias_of(w, read->inner->query, i));
        text = gr_arena_printf(w->arena, GR_FMT GR_FMT " AS \"g%zu\", ", GR_ARG(text), GR_ARG(column), i);
    }
    gr_str value = inner_value(&r, read->measure);
    return gr_arena_printf(w->arena, GR_FMT GR_FMT " AS \"value\" FROM (" GR_FMT ") AS \"b\"", GR_ARG(text),
                           GR_ARG(value), GR_ARG(rows));
}

static gr_str inner_group(gr_sqlw *w, const char *rows, size_t i) {
    return gr_arena_printf(w->arena, "\"%s\".\"g%zu\"", rows, i);
}

static gr_str spread_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    const gr_stage_read *read = &piece->stage;
    size_t n = group_count(plan->query);
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1), *tests = GR_NEW_N(w->arena, gr_str, n + 1);
    size_t n_tests = 0;
    for (size_t i = 0; i < n; i++) {
        groups[i] = of(w, "r", alias_of(w, read->rows->query, i));
        if (read->column_of[i] != SIZE_MAX)
            tests[n_tests++] = gr_sqlw_op2(w, GR_SQL_NULL_SAFE_EQ, groups[i], inner_group(w, "v", read->column_of[i]));
    }
    gr_str value = GR_STR("\"v\".\"value\""), rows = gr_sqlw_relation(w, read->rows), values = inner_rows(w, read);
    gr_str list = select_list(w, plan, piece, groups, n, given_value, &value);
    gr_str on = n_tests ? gr_sqlw_join(w, tests, n_tests, " AND ") : GR_STR("TRUE");
    return gr_arena_printf(w->arena,
                           "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"r\" LEFT JOIN (" GR_FMT ") AS \"v\" ON " GR_FMT,
                           GR_ARG(list), GR_ARG(rows), GR_ARG(values), GR_ARG(on));
}

static gr_str aggregate(gr_sqlw *w, const gr_member *m, gr_str value) {
    static const gr_sql_op ops[] = {
        [GR_MEASURE_COUNT] = GR_SQL_COUNT, [GR_MEASURE_SUM] = GR_SQL_SUM,
        [GR_MEASURE_AVG] = GR_SQL_AVG,     [GR_MEASURE_MIN] = GR_SQL_MIN,
        [GR_MEASURE_MAX] = GR_SQL_MAX,     [GR_MEASURE_COUNT_DISTINCT] = GR_SQL_COUNT_DISTINCT,
    };
    if (m->agg > GR_MEASURE_COUNT_DISTINCT)
        return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED, "'" GR_FMT "' cannot aggregate aggregated rows", GR_ARG(m->id));
    return gr_sqlw_op1(w, ops[m->agg], value);
}

static gr_str over(gr_sqlw *w, const gr_str *groups, const size_t *column_of, size_t n, gr_str order) {
    gr_str *kept = GR_NEW_N(w->arena, gr_str, n + 1);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (column_of[i] != SIZE_MAX) kept[n_kept++] = groups[i];
    gr_str list = gr_sqlw_join(w, kept, n_kept, ", ");
    return gr_arena_printf(w->arena, " OVER (%s" GR_FMT GR_FMT ")", n_kept ? "PARTITION BY " : "", GR_ARG(list),
                           GR_ARG(order));
}

static gr_str over_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    const gr_stage_read *read = &piece->stage;
    size_t n = group_count(plan->query);
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) groups[i] = inner_group(w, "v", i);
    gr_str agg = aggregate(w, read->measure, GR_STR("\"v\".\"value\"")),
           window = over(w, groups, read->column_of, n, (gr_str){0});
    gr_str value = gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(agg), GR_ARG(window));
    gr_str rows = inner_rows(w, read), list = select_list(w, plan, piece, groups, n, given_value, &value);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"v\"", GR_ARG(list), GR_ARG(rows));
}

static gr_str fold_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    const gr_stage_read *read = &piece->stage;
    const gr_member *m = read->measure;
    size_t n = group_count(plan->query);
    bool is_own = m->agg == GR_MEASURE_NUMBER_AGG; /* the aggregate stands in the sql itself */
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++)
        groups[i] = is_own ? of(w, "b", alias_of(w, read->inner->query, read->column_of[i]))
                           : inner_group(w, "v", read->column_of[i]);
    gr_sqlw r = reader(w, read->inner, GR_READ_PLAIN);
    gr_str value = is_own ? inner_value(&r, m) : aggregate(w, m, GR_STR("\"v\".\"value\""));
    gr_str rows = is_own ? gr_sqlw_relation(w, read->inner) : inner_rows(w, read);
    gr_str list = select_list(w, plan, piece, groups, n, given_value, &value), by = gr_sqlw_group_by(w, n);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"%s\"" GR_FMT, GR_ARG(list), GR_ARG(rows),
                           is_own ? "b" : "v", GR_ARG(by));
}

static gr_str rank_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    const gr_stage_read *read = &piece->stage;
    const gr_stage *s = read->measure->stage;
    size_t n = group_count(plan->query);
    gr_str *groups = GR_NEW_N(w->arena, gr_str, n + 1), *order = GR_NEW_N(w->arena, gr_str, s->n_order_by + 1);
    for (size_t i = 0; i < n; i++) groups[i] = of(w, "b", alias_of(w, read->inner->query, i));
    gr_sqlw r = reader(w, read->inner, GR_READ_PLAIN);
    for (size_t i = 0; i < s->n_order_by; i++) {
        gr_str key = gr_sqlw_operand(w, gr_sqlw_expr(&r, s->order_by[i].sql, read->measure->cube));
        order[i] =
            gr_arena_printf(w->arena, GR_FMT " %s NULLS LAST", GR_ARG(key), s->order_by[i].is_desc ? "DESC" : "ASC");
    }
    gr_str keys = gr_sqlw_join(w, order, s->n_order_by, ", ");
    gr_str by = gr_arena_printf(w->arena, " ORDER BY " GR_FMT, GR_ARG(keys));
    gr_str rank = gr_sqlw_op(w, GR_SQL_RANK, NULL), window = over(w, groups, read->column_of, n, by);
    gr_str value = gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(rank), GR_ARG(window));
    gr_str rows = gr_sqlw_relation(w, read->inner);
    gr_str list = select_list(w, plan, piece, groups, n, given_value, &value);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"b\"", GR_ARG(list), GR_ARG(rows));
}

gr_str gr_sqlw_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece) {
    switch (piece->stage.form) {
    case GR_STAGE_SHIFT: return shift_stage(w, plan, piece);
    case GR_STAGE_SPREAD: return spread_stage(w, plan, piece);
    case GR_STAGE_OVER: return over_stage(w, plan, piece);
    case GR_STAGE_FOLD: return fold_stage(w, plan, piece);
    case GR_STAGE_RANK: return rank_stage(w, plan, piece);
    }
    return (gr_str){0};
}
