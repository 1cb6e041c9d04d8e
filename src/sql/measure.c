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
/* `amount`, `{CUBE}.amount`: null where the row is not there. */
static bool is_plain_column(const gr_member *m) {
    const gr_expr *e = m->sql;
    if (!e || e->is_column) return true; /* without sql it is the key itself that is counted */
    bool is_of_table = e->n_parts == 2 && e->parts[0].kind == GR_PART_TABLE && e->parts[0].cube == m->cube &&
                       e->parts[1].kind == GR_PART_TEXT && e->parts[1].text.n > 1 && e->parts[1].text.p[0] == '.';
    return is_of_table && gr_str_is_identifier(gr_str_sub(e->parts[1].text, 1, e->parts[1].text.n - 1));
}

/* A row that a join did not find is no row of the cube, whatever the expression makes of its nulls. */
static gr_str guarded(gr_sqlw *w, const gr_member *m, gr_str value) {
    bool is_at_root = !w->tree || w->tree->nodes[0].cube == m->cube;
    bool is_grouped = !w->query || !w->query->is_ungrouped;
    if (is_at_root || !is_grouped || !m->cube->n_primary_keys || is_plain_column(m)) return value;
    gr_str text = GR_STR("CASE WHEN ");
    for (size_t i = 0; i < m->cube->n_primary_keys; i++) {
        gr_str key = gr_sqlw_operand(w, gr_sqlw_member(w, m->cube->primary_keys[i]));
        text =
            gr_arena_printf(w->arena, GR_FMT "%s" GR_FMT " IS NOT NULL", GR_ARG(text), i ? " AND " : "", GR_ARG(key));
    }
    return gr_arena_printf(w->arena, GR_FMT " THEN " GR_FMT " END", GR_ARG(text), GR_ARG(value));
}

static gr_str row_value(gr_sqlw *w, const gr_member *m);

gr_str gr_sqlw_row_value(gr_sqlw *w, const gr_member *m) {
    gr_str value = row_value(w, m);
    return value.n ? guarded(w, m, value) : value;
}

static gr_str row_value(gr_sqlw *w, const gr_member *m) {
    gr_str value = m->sql ? gr_sqlw_expr(w, m->sql, m->cube) : key_expr(w, m->cube);
    if (!m->n_filters) return value;
    gr_str when = gr_sqlw_own_filters(w, m);
    return gr_arena_printf(w->arena, "CASE WHEN " GR_FMT " THEN " GR_FMT " END", GR_ARG(when),
                           GR_ARG(value.n ? value : GR_STR("1")));
}

/* ---- sketches ------------------------------------------------------------------------------------------------------
 */

gr_sql_op gr_sql_sketch_op(const gr_component *c, gr_sql_op op) {
    if (!c->is_state) return op;
    switch ((int)op) {
    case GR_SQL_BIGINT: return GR_SQL_STATE_INTEGER;
    case GR_SQL_TEXT: return GR_SQL_STATE_TEXT;
    case GR_SQL_HLL_ADD: return GR_SQL_STATE_ADD;
    case GR_SQL_HLL_UNION: return GR_SQL_STATE_UNION;
    case GR_SQL_HLL_CARDINALITY: return GR_SQL_STATE_CARDINALITY;
    case GR_SQL_ONE_IF_SKETCHED: return GR_SQL_ONE_IF_STATE;
    default: return op;
    }
}

static gr_str precision(gr_sqlw *w, const gr_component *c) { return gr_arena_printf(w->arena, "%d", c->log2m); }

gr_str gr_sqlw_sketch(gr_sqlw *w, const gr_component *c, gr_str hashed) {
    return gr_sqlw_op2(w, gr_sql_sketch_op(c, GR_SQL_HLL_ADD), hashed, precision(w, c));
}

/* Integers are hashed as bigint, everything else as its text (decisions 23). */
gr_str gr_sqlw_hashed(gr_sqlw *w, const gr_component *c, gr_str value) {
    const gr_column_schema *type = w->snapshot->types ? w->snapshot->types[c->measure->index] : NULL;
    bool is_integer = type && type->type == GR_TYPE_INT64;
    bool is_time = type && (type->type == GR_TYPE_TIMESTAMP || type->type == GR_TYPE_TIMESTAMPTZ);
    if (is_time && c->is_state) return gr_sqlw_op1(w, GR_SQL_STATE_TIME, value);
    return gr_sqlw_op1(w, gr_sql_sketch_op(c, is_integer ? GR_SQL_BIGINT : GR_SQL_TEXT), value);
}

const gr_column_schema *gr_sqlw_ordered_type(const gr_sqlw *w, const gr_component *c) {
    bool is_ordered = c->agg == GR_AGG_MIN || c->agg == GR_AGG_MAX;
    return is_ordered && w->snapshot && w->snapshot->values ? w->snapshot->values[c->measure->index] : NULL;
}

/* The least and the greatest text are so by their bytes, as in the embedded engine; and an enum is a text. */
static gr_str ordered(gr_sqlw *w, const gr_component *c, gr_str value, bool is_stored) {
    const gr_column_schema *type = gr_sqlw_ordered_type(w, c);
    if (!type || type->type != GR_TYPE_UTF8) return value;
    if (type->is_text_of_other && !is_stored) value = gr_sqlw_op1(w, GR_SQL_TEXT, value);
    if (!w->dialect->collation.n) return value;
    return gr_arena_printf(w->arena, "(" GR_FMT ")" GR_FMT, GR_ARG(value), GR_ARG(w->dialect->collation));
}

gr_str gr_sqlw_accumulated(gr_sqlw *w, const gr_component *c, gr_str value) {
    static const gr_sql_op ops[GR_AGG__COUNT] = {
        [GR_AGG_COUNT] = GR_SQL_COUNT, [GR_AGG_SUM] = GR_SQL_SUM, [GR_AGG_MIN] = GR_SQL_MIN,
        [GR_AGG_MAX] = GR_SQL_MAX,     [GR_AGG_M2] = GR_SQL_M2,   [GR_AGG_COUNT_DISTINCT] = GR_SQL_COUNT_DISTINCT,
    };
    if (!value.n) return gr_sqlw_op(w, GR_SQL_COUNT_ROWS, NULL);
    if (c->agg == GR_AGG_COUNT_DISTINCT_APPROX) return gr_sqlw_sketch(w, c, gr_sqlw_hashed(w, c, value));
    value = ordered(w, c, value, w->read != GR_READ_SOURCE);
    bool is_joined = w->read == GR_READ_SOURCE ? w->tree && (w->tree->n > 1 || w->sub_queries.n)
                                               : w->from && w->from->n_parts; /* a rollup_join */
    return gr_sqlw_op1(w, c->agg == GR_AGG_SUM && is_joined ? GR_SQL_SUM_JOINED : ops[c->agg], value);
}

/* The merge over parts whose columns are `value`, and for M2 those of its two companions. */
gr_str gr_sqlw_merge_values(gr_sqlw *w, const gr_component *c, gr_str value, gr_str count, gr_str sum) {
    static const gr_sql_op ops[GR_AGG__COUNT] = {
        [GR_AGG_COUNT] = GR_SQL_MERGE_COUNT,
        [GR_AGG_SUM] = GR_SQL_SUM,
        [GR_AGG_MIN] = GR_SQL_MIN,
        [GR_AGG_MAX] = GR_SQL_MAX,
        [GR_AGG_COUNT_DISTINCT] = GR_SQL_MERGE_ONE_COUNT,
        [GR_AGG_OPAQUE] = GR_SQL_MERGE_ONE,
        [GR_AGG_STAGE] = GR_SQL_MERGE_ONE,
    };
    if (c->agg == GR_AGG_M2) return gr_sqlw_op(w, GR_SQL_MERGE_M2, (gr_str[]){count, sum, value});
    if (c->agg == GR_AGG_COUNT_DISTINCT_APPROX)
        return gr_sqlw_op2(w, gr_sql_sketch_op(c, GR_SQL_HLL_UNION), value, precision(w, c));
    value = ordered(w, c, value, true);
    return gr_sqlw_op1(w, ops[c->agg], value);
}

static gr_str stored_column(gr_sqlw *w, const gr_component *c, gr_str key) {
    const gr_rollup_component *have = gr_scan_stored_component(w->scan, key);
    if (!have) return gr_sqlw_fail(w, GR_ERR_INTERNAL, "'" GR_FMT "' is not stored", GR_ARG(c->measure->id));
    return gr_sqlw_stored(w, have->part, have->name);
}

gr_str gr_sqlw_stored_value(gr_sqlw *w, const gr_component *c) {
    const gr_rollup_column *values = gr_scan_value_column(w->scan, c);
    return values ? gr_sqlw_stored(w, values->part, values->name) : stored_column(w, c, c->stored_key);
}

static gr_str from_stored(gr_sqlw *w, const gr_component *c) {
    const gr_rollup_column *values = gr_scan_value_column(w->scan, c);
    if (values) return gr_sqlw_accumulated(w, c, gr_sqlw_stored(w, values->part, values->name));
    gr_str value = stored_column(w, c, c->stored_key), none = {0};
    if (c->agg != GR_AGG_M2) return gr_sqlw_merge_values(w, c, value, none, none);
    return gr_sqlw_merge_values(w, c, value, stored_column(w, c, c->count_key), stored_column(w, c, c->sum_key));
}

static gr_str slot_of(gr_sqlw *w, const gr_component *c, gr_str stored_key) {
    size_t at = gr_components_sibling(w->components, c, stored_key);
    if (at == SIZE_MAX)
        return gr_sqlw_fail(w, GR_ERR_INTERNAL, "'" GR_FMT "' is not among the pieces", GR_ARG(c->measure->id));
    gr_str slot = gr_sqlw_slot(w, at);
    return gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(w->rows), GR_ARG(slot));
}

gr_str gr_sqlw_merged(gr_sqlw *w, const gr_component *c) {
    gr_str value = slot_of(w, c, c->stored_key), none = {0};
    if (c->agg != GR_AGG_M2) return gr_sqlw_merge_values(w, c, value, none, none);
    return gr_sqlw_merge_values(w, c, value, slot_of(w, c, c->count_key), slot_of(w, c, c->sum_key));
}

gr_str gr_sqlw_component(gr_sqlw *w, const gr_component *c) {
    switch (w->read) {
    case GR_READ_STORED: return from_stored(w, c);
    case GR_READ_UNION: return gr_sqlw_merged(w, c);
    case GR_READ_PLAIN: {
        gr_str slot = slot_of(w, c, c->stored_key);
        bool is_count = c->agg == GR_AGG_COUNT || c->agg == GR_AGG_COUNT_DISTINCT;
        return is_count ? gr_arena_printf(w->arena, "coalesce(" GR_FMT ", 0)", GR_ARG(slot)) : slot;
    }
    case GR_READ_SOURCE: break;
    }
    if (c->agg == GR_AGG_OPAQUE) return gr_sqlw_expr(w, c->measure->sql, c->measure->cube);
    return gr_sqlw_accumulated(w, c, gr_sqlw_row_value(w, c->measure));
}

static bool is_count(const gr_member *m) {
    return m->agg == GR_MEASURE_COUNT || m->agg == GR_MEASURE_COUNT_DISTINCT ||
           m->agg == GR_MEASURE_COUNT_DISTINCT_APPROX;
}

static gr_str one_if_set(gr_sqlw *w, gr_str value) {
    return gr_arena_printf(w->arena, "CASE WHEN (" GR_FMT ") IS NOT NULL THEN 1 END", GR_ARG(value));
}

/* One stored row is one row of the source: its sum is the row's value, its count is 1 or 0. */
static gr_str ungrouped_stored(gr_sqlw *w, const gr_member *m) {
    const gr_component *c = &gr_plan_index_components(w->snapshot->index, m)->v[0];
    const gr_rollup_column *values = gr_scan_value_column(w->scan, c);
    if (values) {
        gr_str value = gr_sqlw_stored(w, values->part, values->name);
        return is_count(m) ? one_if_set(w, value) : value;
    }
    gr_str column = stored_column(w, c, c->stored_key);
    if (m->agg == GR_MEASURE_COUNT_DISTINCT_APPROX)
        return gr_sqlw_op1(w, gr_sql_sketch_op(c, GR_SQL_ONE_IF_SKETCHED), column);
    return is_count(m) ? gr_sqlw_op1(w, GR_SQL_ONE_IF_ANY, column) : column;
}

/* Ungrouped (2.5): the row's own contribution, 1 for what is counted. */
static gr_str ungrouped(gr_sqlw *w, const gr_member *m) {
    if (m->is_synthetic || (m->is_calculated && !gr_measure_is_decomposable(m)))
        return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                            "'" GR_FMT "' aggregates in its own SQL and cannot be asked ungrouped", GR_ARG(m->id));
    if (m->is_calculated) return gr_sqlw_expr(w, m->sql, m->cube);
    if (w->read == GR_READ_STORED) return ungrouped_stored(w, m);
    gr_str value = gr_sqlw_row_value(w, m);
    if (!is_count(m)) return value;
    return value.n ? one_if_set(w, value) : GR_STR("1");
}

gr_str gr_sqlw_measure(gr_sqlw *w, const gr_member *m) {
    if (w->query && w->query->is_ungrouped) return ungrouped(w, m);
    bool is_calculation = m->is_calculated && !gr_measure_has_stage(m) && gr_measure_is_decomposable(m);
    if (is_calculation) return gr_sqlw_expr(w, m->sql, m->cube);
    const gr_components *c = gr_plan_index_components(w->snapshot->index, m);
    if (m->agg == GR_MEASURE_AVG && !m->stage) {
        gr_str texts[] = {gr_sqlw_component(w, &c->v[0]), gr_sqlw_component(w, &c->v[1])};
        return gr_sqlw_op(w, GR_SQL_AVG_FINISH, texts);
    }
    const gr_component *last = &c->v[c->n - 1];
    gr_str text = gr_sqlw_component(w, last);
    if (last->agg != GR_AGG_COUNT_DISTINCT_APPROX) return text;
    return gr_sqlw_op1(w, gr_sql_sketch_op(last, GR_SQL_HLL_CARDINALITY), text);
}
