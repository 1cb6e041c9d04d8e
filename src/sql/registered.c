/* Tables that somebody else fills, read as tables of ours: columns under our names, times cut to their buckets, and
 * rows merged to the rollup's grain, for nothing says that there is one row for each group.
 *
 *   (SELECT "cat" AS "product__category", sum("rev") AS "orders__revenue" FROM "c"."s"."t" GROUP BY 1) */
#include "sql/internal.h"

static gr_str column_text(gr_sqlw *w, const gr_rollup_column *c, gr_str column) {
    gr_str text = gr_sqlw_ident(w, column);
    if (c->member->kind == GR_MEMBER_SEGMENT) return gr_sqlw_op1(w, GR_SQL_BOOLEAN, text);
    if (!c->granularity) return text;
    int64_t anchor = c->is_instant ? 0 : gr_granularity_anchor(c->granularity, w->tz, w->now_us);
    return gr_sqlw_trunc(w, gr_sqlw_op1(w, GR_SQL_INSTANT_OF_ANY, text), c->granularity, anchor);
}

/* The other two of an M2's three; empty when they are not bound. */
static gr_str sibling(gr_sqlw *w, const gr_rollup *r, const gr_sql_bound *b, gr_str stored_key) {
    for (size_t i = 0; i < r->n_components; i++)
        if (gr_str_eq(r->components[i].component.stored_key, stored_key))
            return b->components[i].n ? gr_sqlw_ident(w, b->components[i]) : (gr_str){0};
    return (gr_str){0};
}

static gr_str component_text(gr_sqlw *w, const gr_rollup *r, const gr_sql_bound *b, size_t i) {
    const gr_component *c = &r->components[i].component;
    gr_str text = gr_sqlw_ident(w, b->components[i]);
    if (c->agg == GR_AGG_COUNT_DISTINCT && b->holds_values) return gr_sqlw_op1(w, GR_SQL_COUNT_DISTINCT, text);
    gr_str count = {0}, sum = {0};
    if (c->agg == GR_AGG_M2) {
        count = sibling(w, r, b, c->count_key);
        sum = sibling(w, r, b, c->sum_key);
        if (!count.n || !sum.n) return (gr_str){0};
    }
    return gr_sqlw_merge_values(w, c, text, count, sum);
}

gr_status gr_sql_registered(const gr_rollup *r, const gr_sql_bound *b, const gr_tz *zone, int64_t now_us,
                            const gr_dialect *dialect, gr_arena *arena, gr_str *ret, gr_error *err) {
    gr_status status = GR_OK;
    gr_sql_params params = {0};
    gr_sqlw w = {.dialect = dialect,
                 .tz = zone,
                 .now_us = now_us,
                 .arena = arena,
                 .params = &params,
                 .status = &status,
                 .err = err};
    gr_str *texts = GR_NEW_N(arena, gr_str, r->n_columns + r->n_components + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++)
        texts[n++] =
            gr_arena_printf(arena, GR_FMT " AS " GR_FMT, GR_ARG(column_text(&w, &r->columns[i], b->columns[i])),
                            GR_ARG(gr_sqlw_ident(&w, r->columns[i].name)));
    for (size_t i = 0; i < r->n_components; i++) {
        gr_str text = b->components[i].n ? component_text(&w, r, b, i) : (gr_str){0};
        if (!text.n) continue;
        texts[n++] = gr_arena_printf(arena, GR_FMT " AS " GR_FMT, GR_ARG(text),
                                     GR_ARG(gr_sqlw_ident(&w, r->components[i].name)));
    }
    if (!n) texts[n++] = GR_STR("1 AS \"one\"");
    gr_str list = gr_sqlw_join(&w, texts, n, ", "), by = gr_sqlw_group_by(&w, r->n_columns);
    if (status) return status;
    *ret = gr_arena_printf(arena, "(SELECT " GR_FMT " FROM " GR_FMT GR_FMT ")", GR_ARG(list), GR_ARG(b->table),
                           GR_ARG(by));
    return GR_OK;
}
