/* One reading of a rollup or of the source: conditions, group columns, components.
 *
 *   SELECT group columns, components FROM … WHERE rows GROUP BY 1, 2
 *
 * Over distinct keys (cube.md 5.3), where the joins repeat the rows of a cube:
 *
 *   SELECT group columns, sum(v0) FROM (SELECT DISTINCT group columns, keys, value AS v0 FROM …) GROUP BY 1, 2 */
#include "sql/internal.h"

/* ---- conditions ----------------------------------------------------------------------------------------------------
 */

typedef GR_VEC(gr_str) texts_vec;

static void add_text(gr_sqlw *w, texts_vec *out, gr_str text) {
    if (text.n) GR_PUSH(w->arena, out, text);
}

/* measureFilter conditions are on rows although they name a measure; ungrouped rows have no HAVING. */
bool gr_sqlw_is_on_rows(const gr_sqlw *w, const gr_filter *f) {
    if (w->query->is_ungrouped) return true;
    return f->kind == GR_FILTER_LEAF && f->op == GR_OP_MEASURE_FILTER;
}

static const gr_time_field *times_of(const gr_sqlw *w) { return w->scan ? w->scan->times : w->query->time_dimensions; }

gr_str gr_sqlw_where(gr_sqlw *w) {
    const gr_query *q = w->query;
    texts_vec all = {0};
    for (size_t i = 0; i < q->n_row_filters; i++)
        if (!w->scan || !gr_scan_is_absorbed(w->scan, q->row_filters[i]))
            add_text(w, &all, gr_sqlw_filter(w, q->row_filters[i]));
    for (size_t i = 0; i < q->n_measure_filters; i++)
        if (gr_sqlw_is_on_rows(w, q->measure_filters[i])) add_text(w, &all, gr_sqlw_filter(w, q->measure_filters[i]));
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (times_of(w)[i].has_range) add_text(w, &all, gr_sqlw_range(w, &times_of(w)[i]));
    for (size_t i = 0; i < q->n_segments && w->scan; i++) { /* of a load they are columns */
        gr_str text = gr_sqlw_member(w, q->segments[i].member);
        if (w->dialect->reads_alone) text = gr_sqlw_op1(w, GR_SQL_BOOLEAN, text); /* it may be an integer there */
        add_text(w, &all, gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(text)));
    }
    if (w->limited && !w->limits) {
        gr_str time = gr_sqlw_instant(w, w->limited->member, gr_sqlw_member(w, w->limited->member));
        add_text(w, &all, gr_arena_printf(w->arena, "(" GR_FMT ") IS NULL", GR_ARG(time)));
    }
    if (w->limited && w->limits && w->limits->from_local_us != INT64_MIN)
        add_text(w, &all, gr_sqlw_point(w, w->limited->member, ">=", w->limits, true));
    if (w->limited && w->limits && w->limits->to_local_us != INT64_MAX)
        add_text(w, &all, gr_sqlw_point(w, w->limited->member, "<", w->limits, false));
    if (w->table && w->table->live) {
        gr_str column = gr_sqlw_stored(w, NULL, w->from->ranged->name), live = gr_sqlw_live(w, column, w->table);
        add_text(w, &all, gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(live)));
    }
    if (!all.n) return (gr_str){0};
    gr_str text = gr_sqlw_join(w, all.v, all.n, " AND ");
    return gr_arena_printf(w->arena, " WHERE " GR_FMT, GR_ARG(text));
}

/* ---- group columns -------------------------------------------------------------------------------------------------
 */

size_t gr_sqlw_grain_n(const gr_sql_grain *g) {
    if (g->load) return g->load->n_columns;
    size_t n = 0;
    while (n < g->query->n_columns && g->query->columns[n].kind != GR_COLUMN_MEASURE) n++;
    return n;
}

gr_str gr_sqlw_grain_name(const gr_sql_grain *g, size_t i) {
    return g->load ? g->load->columns[i].name : g->query->columns[i].alias;
}

gr_str gr_sqlw_own(gr_sqlw *w, const char *name) {
    return gr_sqlw_ident(w, gr_arena_printf(w->arena, "%s%s", w->dialect->reads_alone ? "granary_" : "", name));
}

gr_str gr_sqlw_own_at(gr_sqlw *w, const char *name, size_t i) {
    return gr_sqlw_own(w, gr_arena_printf(w->arena, "%s%zu", name, i).p);
}

gr_str gr_sqlw_grain_alias(gr_sqlw *w, const gr_sql_grain *g, size_t i) {
    return w->dialect->reads_alone ? gr_sqlw_own_at(w, "g", i) : gr_sqlw_ident(w, gr_sqlw_grain_name(g, i));
}

static gr_str stored_value(gr_sqlw *w, const gr_rollup_column *c) {
    if (c->granularity) return gr_sqlw_stored_bucket(w, c->member, c->granularity);
    gr_str value = gr_sqlw_seen(w, c->member);
    return c->member->kind == GR_MEMBER_SEGMENT ? gr_sqlw_op1(w, GR_SQL_BOOLEAN, value) : value;
}

static gr_str grain_text(gr_sqlw *w, const gr_sql_grain *g, size_t i) {
    if (g->load) return stored_value(w, &g->load->columns[i]);
    const gr_query_column *c = &g->query->columns[i];
    if (c->kind == GR_COLUMN_DIMENSION) return gr_sqlw_member_out(w, g->query->dimensions[c->index].member);
    return gr_sqlw_time_field(w, &times_of(w)[c->index]);
}

gr_str gr_sqlw_grain_text(gr_sqlw *w, const gr_sql_grain *g, size_t i) {
    return gr_sqlw_op1(w, GR_SQL_GROUP_KEY, grain_text(w, g, i));
}

static gr_str named(gr_sqlw *w, gr_str text, gr_str alias) {
    return gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(alias));
}

bool gr_sqlw_is_wide_key(const gr_sqlw *w, const gr_sql_grain *g, size_t i) {
    enum { MOST_DIGITS_OF_64_BITS = 18 };
    const gr_member *m = NULL;
    if (!w->dialect->reads_alone) return false;
    if (g->load)
        m = g->load->columns[i].granularity ? NULL : g->load->columns[i].member;
    else if (g->query->columns[i].kind == GR_COLUMN_DIMENSION)
        m = g->query->dimensions[g->query->columns[i].index].member;
    if (!m || m->kind != GR_MEMBER_DIMENSION) return false;
    const gr_column_schema *type = w->snapshot->types ? w->snapshot->types[m->index] : NULL;
    if (!type) return m->dim_type == GR_DIM_NUMBER;
    return type->type == GR_TYPE_DECIMAL && (!type->precision || type->precision > MOST_DIGITS_OF_64_BITS);
}

gr_str gr_sqlw_key_alias(gr_sqlw *w, const gr_sql_grain *g, size_t i) {
    return gr_sqlw_is_wide_key(w, g, i) ? gr_sqlw_own_at(w, "h", i) : gr_sqlw_grain_alias(w, g, i);
}

static gr_str any_of(gr_sqlw *w, gr_str key) { return gr_arena_printf(w->arena, "any(" GR_FMT ")", GR_ARG(key)); }

/* As gr_sqlw_group_by, for a reading whose group columns are these texts. */
static gr_str by_keys(gr_sqlw *w, const gr_sql_grain *g, const gr_str *keys, size_t n) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + 1);
    if (!w->dialect->reads_alone || !n) return gr_sqlw_group_by(w, n);
    for (size_t i = 0; i < n; i++) {
        gr_str text = gr_sqlw_own_at(w, "g", i);
        if (gr_sqlw_is_wide_key(w, g, i)) /* lower(), for of toString alone the server groups by what it is made of */
            text = gr_arena_printf(w->arena, "lower(" GR_FMT ")", GR_ARG(gr_sqlw_op1(w, GR_SQL_TEXT, keys[i])));
        texts[i] = text;
    }
    return gr_sqlw_group_by_texts(w, texts, n);
}

gr_str gr_sqlw_group_by(gr_sqlw *w, size_t n) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++)
        texts[i] = w->dialect->reads_alone ? gr_sqlw_own_at(w, "g", i) : gr_arena_printf(w->arena, "%zu", i + 1);
    return gr_sqlw_group_by_texts(w, texts, n);
}

gr_str gr_sqlw_group_by_texts(gr_sqlw *w, const gr_str *texts, size_t n) {
    gr_str all = gr_sqlw_join(w, texts, n, ", ");
    if (!n) return (gr_str){0};
    return gr_arena_printf(w->arena, " GROUP BY " GR_FMT "%s", GR_ARG(all),
                           w->dialect->reads_alone ? " HAVING count() > 0" : "");
}

gr_str gr_sqlw_slot(gr_sqlw *w, size_t i) { return gr_sqlw_own_at(w, "c", i); }

/* ---- the SELECT ----------------------------------------------------------------------------------------------------
 */

static const gr_component *given(const gr_group *group, gr_str key) {
    for (size_t i = 0; i < group->components.n; i++)
        if (gr_str_eq(group->components.v[i].key, key)) return &group->components.v[i];
    return NULL;
}

/* 18.16 looks at each of the streams that it reads a join in by itself, unless the rows come out of a SELECT. */
static gr_str distinct_rows(gr_sqlw *w, gr_str list, gr_str from, gr_str where) {
    bool is_apart = w->dialect->reads_alone;
    return gr_arena_printf(w->arena, "SELECT DISTINCT %s" GR_FMT GR_FMT GR_FMT "%s", is_apart ? "* FROM (SELECT " : "",
                           GR_ARG(list), GR_ARG(from), GR_ARG(where), is_apart ? ")" : "");
}

/* The rows of the key's cube, once for each group. A composite key exists when all its parts do. */
static gr_str distinct_keys(gr_sqlw *w, const gr_sql_grain *grain, const gr_group *group) {
    const gr_cube *cube = group->tree.nodes[group->key_node].cube;
    size_t n = gr_sqlw_grain_n(grain), at = 0;
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + cube->n_primary_keys + group->components.n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str text = gr_sqlw_grain_text(w, grain, i);
        texts[at++] = named(w, text, gr_sqlw_grain_alias(w, grain, i));
    }
    for (size_t i = 0; i < cube->n_primary_keys; i++)
        texts[at++] = named(w, gr_sqlw_member(w, cube->primary_keys[i]), gr_sqlw_own_at(w, "k", i));
    for (size_t i = 0; i < group->components.n; i++)
        texts[at++] = named(w, gr_sqlw_row_value(w, group->components.v[i].measure), gr_sqlw_own_at(w, "v", i));
    gr_str list = gr_sqlw_join(w, texts, at, ", "), where = gr_sqlw_where(w),
           from = gr_sqlw_from_for(w, &group->tree, list, where);
    return distinct_rows(w, list, from, where);
}

gr_str gr_sqlw_values(gr_sqlw *w, const gr_sql_grain *grain, const gr_group *group, const gr_component *c) {
    w->tree = &group->tree;
    size_t n = gr_sqlw_grain_n(grain);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str text = gr_sqlw_grain_text(w, grain, i);
        texts[i] = named(w, text, gr_sqlw_grain_alias(w, grain, i));
    }
    texts[n] = named(w, gr_sqlw_hashed(w, c, gr_sqlw_row_value(w, c->measure)), gr_sqlw_own(w, "v"));
    gr_str list = gr_sqlw_join(w, texts, n + 1, ", "), where = gr_sqlw_where(w),
           from = gr_sqlw_from_for(w, &group->tree, list, where);
    return distinct_rows(w, list, from, where);
}

/* Results of an engine that reads alone carry no bytes but those of its own states. */
bool gr_sqlw_is_sent_as_text(const gr_sqlw *w, const gr_component *c) {
    return w->dialect->reads_alone && c->agg == GR_AGG_COUNT_DISTINCT_APPROX && !c->is_state;
}

/* `key AS alias`, and the key itself for GROUP BY. */
static gr_str key_text(gr_sqlw *w, const gr_sql_grain *grain, size_t i, gr_str key, gr_str *ret_key) {
    *ret_key = key;
    bool is_grouped_by_text = !w->is_unmerged && gr_sqlw_is_wide_key(w, grain, i);
    gr_str alias = w->is_unmerged ? gr_sqlw_grain_alias(w, grain, i) : gr_sqlw_key_alias(w, grain, i);
    return named(w, is_grouped_by_text ? any_of(w, key) : key, alias);
}

static gr_str keyed_select(gr_sqlw *w, const gr_sql_grain *grain, const gr_group *group, const gr_components *all) {
    size_t n = gr_sqlw_grain_n(grain);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + all->n + 2), *group_keys = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str alias = gr_sqlw_grain_alias(w, grain, i);
        gr_str key = gr_arena_printf(w->arena, "\"keys\"." GR_FMT, GR_ARG(alias));
        texts[i] = key_text(w, grain, i, key, &group_keys[i]);
    }
    size_t count = n;
    for (size_t i = 0; i < all->n; i++) {
        const gr_component *c = given(group, all->v[i].key);
        gr_str value = GR_STR("NULL");
        if (!c && w->is_given_only) continue;
        gr_str own = c ? gr_sqlw_own_at(w, "v", (size_t)(c - group->components.v)) : value;
        if (c) value = gr_arena_printf(w->arena, "\"keys\"." GR_FMT, GR_ARG(own));
        texts[count++] = named(w, c ? gr_sqlw_accumulated(w, c, value) : value, gr_sqlw_slot(w, i));
    }
    if (!count) texts[count++] = named(w, GR_STR("1"), gr_sqlw_own(w, "one"));
    gr_str list = gr_sqlw_join(w, texts, count, ", "), keys = distinct_keys(w, grain, group);
    gr_str by = by_keys(w, grain, group_keys, n);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM (" GR_FMT ") AS \"keys\"" GR_FMT, GR_ARG(list),
                           GR_ARG(keys), GR_ARG(by));
}

gr_str gr_sqlw_scan(gr_sqlw *w, const gr_sql_grain *grain, const gr_group *group, const gr_components *all) {
    w->tree = &group->tree;
    if (w->read == GR_READ_SOURCE && group->key_node != GR_TREE_NONE) return keyed_select(w, grain, group, all);
    size_t n = gr_sqlw_grain_n(grain);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + all->n + 2), *keys = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) texts[i] = key_text(w, grain, i, gr_sqlw_grain_text(w, grain, i), &keys[i]);
    size_t count = n;
    for (size_t i = 0; i < all->n; i++) {
        const gr_component *c = given(group, all->v[i].key);
        if (!c && w->is_given_only) continue;
        gr_str text = c && w->is_unmerged ? gr_sqlw_stored_value(w, c) : c ? gr_sqlw_component(w, c) : GR_STR("NULL");
        bool is_text = c && w->is_unmerged && !gr_scan_value_column(w->scan, c) && gr_sqlw_is_sent_as_text(w, c);
        if (is_text) text = gr_sqlw_op1(w, GR_SQL_SKETCH_TO_TEXT, text);
        texts[count++] = named(w, text, gr_sqlw_slot(w, i));
    }
    if (!count) texts[count++] = named(w, GR_STR("1"), gr_sqlw_own(w, "one"));
    gr_str list = gr_sqlw_join(w, texts, count, ", "), where = gr_sqlw_where(w),
           from = gr_sqlw_from_for(w, &group->tree, list, where);
    gr_str by = w->is_unmerged ? (gr_str){0} : by_keys(w, grain, keys, n);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT GR_FMT GR_FMT GR_FMT, GR_ARG(list), GR_ARG(from), GR_ARG(where),
                           GR_ARG(by));
}

gr_sqlw gr_sqlw_for_scan(const gr_sqlw *w, const gr_scan *scan) {
    gr_sqlw inner = *w;
    inner.query = scan->query;
    inner.limited = NULL; /* a load is limited, and not what it reads below */
    inner.scan = scan;
    inner.tree = &scan->group.tree;
    inner.from = scan->rollup;
    inner.read = scan->rollup ? GR_READ_STORED : GR_READ_SOURCE;
    inner.sub_queries.n = 0;
    inner.sub_queries.v = NULL;
    inner.sub_queries.cap = 0;
    return inner;
}
