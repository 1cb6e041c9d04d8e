/* Times: raw values of a source become naive UTC, then the wall clock of the query's zone, then buckets (5.5).
 *
 *   raw --instant--> naive UTC --local--> wall clock --trunc--> bucket
 *   stored hour bucket (instant) ---------^                     ^------ stored day bucket (already local)
 *
 * Ranges are half-open. On a source they compare instants, so that indexes and zone maps work; where a bound falls into
 * a doubled hour the wall clock itself is compared, which is what the bound means. */
#include "sql/internal.h"

static gr_value stamp(int64_t us) { return (gr_value){.type = GR_TYPE_TIMESTAMP, .as.i = us}; }

/* A sub_query dimension that is a least or a greatest has the type of what that is taken of; an engine that reads alone
 * has no word for a time of which it is not known. */
static const gr_column_schema *type_of_sub_query(const gr_sqlw *w, const gr_member *m) {
    bool is_asked = m->is_sub_query && w->dialect->reads_alone && w->snapshot && w->snapshot->values;
    const gr_member *measure = is_asked ? gr_member_base(m->sql->parts[0].member) : NULL;
    return measure && gr_sql_describes_value(measure) ? w->snapshot->values[measure->index] : NULL;
}

static gr_type type_of(const gr_sqlw *w, const gr_member *m) {
    const gr_column_schema *schema = w->snapshot && w->snapshot->types ? w->snapshot->types[m->index] : NULL;
    if (!schema) schema = type_of_sub_query(w, m);
    return schema ? schema->type : GR_TYPE_NULL;
}

gr_str gr_sqlw_instant(gr_sqlw *w, const gr_member *member, gr_str raw) {
    gr_type type = type_of(w, member);
    gr_sql_op op = type == GR_TYPE_TIMESTAMP     ? GR_SQL_INSTANT_OF_TIMESTAMP
                   : type == GR_TYPE_DATE        ? GR_SQL_INSTANT_OF_DATE
                   : type == GR_TYPE_TIMESTAMPTZ ? GR_SQL_INSTANT_OF_TIMESTAMPTZ
                                                 : GR_SQL_INSTANT_OF_ANY;
    return gr_sqlw_op1(w, op, gr_sqlw_operand(w, raw));
}

gr_str gr_sqlw_local(gr_sqlw *w, gr_str instant) {
    if (gr_tz_is_utc(w->tz)) return instant;
    if (w->dialect->reads_alone) return gr_sqlw_alone_local(w, instant);
    return gr_sqlw_op2(w, GR_SQL_AT_ZONE, instant, gr_sqlw_text_literal(w, gr_tz_name(w->tz)));
}

gr_str gr_sqlw_stamp(gr_sqlw *w, int64_t us) {
    if (us == INT64_MIN) return gr_sqlw_op(w, GR_SQL_TIMESTAMP_LOWEST, NULL);
    if (us == INT64_MAX) return gr_sqlw_op(w, GR_SQL_TIMESTAMP_HIGHEST, NULL);
    char text[48];
    size_t n = gr_time_format(us, text);
    return gr_sqlw_op1(w, GR_SQL_TIMESTAMP_LITERAL, gr_sqlw_text_literal(w, (gr_str){text, n}));
}

/* The same bins, counted from one that begins in 1970 or later: an engine that reads alone knows no time before. */
static int64_t anchor_from_1970(const gr_granularity *g, int64_t anchor) {
    for (int i = 0; i < 4000 && anchor < 0; i++) anchor = gr_granularity_next(g, anchor, anchor);
    return anchor;
}

gr_str gr_sqlw_trunc(gr_sqlw *w, gr_str local, const gr_granularity *g, int64_t anchor) {
    bool has_own = g->grain != GR_GRAIN_CUSTOM && w->dialect->truncs[g->grain].n;
    if (has_own) return gr_sqlw_filled(w, w->dialect->truncs[g->grain], &local);
    if (g->grain != GR_GRAIN_CUSTOM)
        return gr_sqlw_op2(w, GR_SQL_TRUNC, local, gr_sqlw_text_literal(w, gr_grain_name(g->grain)));
    anchor = gr_plan_anchor(g, anchor);
    bool is_clamping = g->interval.months && gr_civil_from_us(anchor).day > 28;
    if (w->dialect->reads_alone && !is_clamping) anchor = anchor_from_1970(g, anchor);
    gr_str origin = gr_sqlw_stamp(w, anchor);
    if (g->interval.months) {
        gr_civil at = gr_civil_from_us(anchor);
        gr_str months = gr_arena_printf(w->arena, "%lld", (long long)g->interval.months);
        gr_str base = gr_arena_printf(w->arena, "%lld", (long long)(at.year * 12 + at.month - 1));
        return gr_sqlw_op(w, GR_SQL_BIN_MONTHS, (gr_str[]){local, months, origin, base});
    }
    int64_t width = g->interval.days * 86400000000 + g->interval.us;
    return gr_sqlw_op(w, GR_SQL_BIN_MICROS,
                      (gr_str[]){local, gr_arena_printf(w->arena, "%lld", (long long)width), origin});
}

static gr_str local_of_member(gr_sqlw *w, const gr_member *m) {
    return gr_sqlw_local(w, gr_sqlw_instant(w, m, gr_sqlw_member(w, m)));
}

gr_str gr_sqlw_member_bucket(gr_sqlw *w, const gr_member *m, const gr_granularity *g) {
    for (size_t i = 0; w->from && i < w->from->n_columns; i++) {
        const gr_rollup_column *c = &w->from->columns[i];
        if (c->member == m && c->granularity && gr_granularity_eq(c->granularity, g))
            return gr_sqlw_stored(w, c->part, c->name);
    }
    return gr_sqlw_trunc(w, local_of_member(w, m), g, gr_granularity_anchor(g, w->tz, w->now_us));
}

gr_str gr_sqlw_stored_bucket(gr_sqlw *w, const gr_member *m, const gr_granularity *g) {
    bool is_instant = g->grain == GR_GRAIN_SECOND || g->grain == GR_GRAIN_MINUTE || g->grain == GR_GRAIN_HOUR;
    if (is_instant) return gr_sqlw_trunc(w, gr_sqlw_instant(w, m, gr_sqlw_member(w, m)), g, 0);
    return gr_sqlw_member_bucket(w, m, g);
}

gr_str gr_sqlw_time_field(gr_sqlw *w, const gr_time_field *t) {
    const gr_granularity *g = t->granularity;
    if (!w->from) return gr_sqlw_trunc(w, local_of_member(w, t->field.member), g, t->anchor_local_us);
    const gr_rollup_column *c = gr_scan_stored_time(w->scan, t);
    if (!c) return gr_sqlw_fail(w, GR_ERR_INTERNAL, "no stored bucket of '" GR_FMT "'", GR_ARG(t->field.id));
    gr_str column = gr_sqlw_stored(w, c->part, c->name);
    if (c->is_instant && !gr_tz_is_utc(w->tz)) return gr_sqlw_trunc(w, gr_sqlw_local(w, column), g, t->anchor_local_us);
    return gr_granularity_eq(c->granularity, g) ? column : gr_sqlw_trunc(w, column, g, t->anchor_local_us);
}

/* One bound against a value that is a naive UTC time stamp (`is_instant`) or a naive local one. */
static gr_str bound(gr_sqlw *w, gr_str value, bool is_instant, const char *comparison, const gr_range *r,
                    bool is_from) {
    bool is_ambiguous = is_from ? r->is_from_ambiguous : r->is_to_ambiguous;
    if (is_instant && is_ambiguous) {
        value = gr_sqlw_local(w, value);
        is_instant = false;
    }
    int64_t us = is_instant ? (is_from ? r->from_utc_us : r->to_utc_us) : (is_from ? r->from_local_us : r->to_local_us);
    if (w->dialect->reads_alone) return gr_sqlw_alone_compare(w, value, comparison, us);
    gr_str param = gr_sqlw_param(w, stamp(us));
    return gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(value), comparison, GR_ARG(param));
}

gr_str gr_sqlw_point(gr_sqlw *w, const gr_member *m, const char *comparison, const gr_range *range, bool is_from) {
    return bound(w, gr_sqlw_instant(w, m, gr_sqlw_member(w, m)), true, comparison, range, is_from);
}

/* The range of one value. */
static gr_str range_of(gr_sqlw *w, const gr_time_field *t, gr_str value, bool is_instant) {
    if (t->range.from_local_us == INT64_MIN && t->range.to_local_us == INT64_MAX)
        return gr_arena_printf(w->arena, "(" GR_FMT " IS NOT NULL)", GR_ARG(value));
    if (t->range.to_local_us == INT64_MAX) return bound(w, value, is_instant, ">=", &t->range, true);
    if (t->range.from_local_us == INT64_MIN) return bound(w, value, is_instant, "<", &t->range, false);
    gr_str from = bound(w, value, is_instant, ">=", &t->range, true),
           to = bound(w, value, is_instant, "<", &t->range, false);
    return gr_arena_printf(w->arena, "(" GR_FMT " AND " GR_FMT ")", GR_ARG(from), GR_ARG(to));
}

gr_str gr_sqlw_range(gr_sqlw *w, const gr_time_field *t) {
    gr_str value;
    bool is_instant = true;
    if (w->from) {
        const gr_rollup_column *c = gr_scan_stored_time(w->scan, t);
        if (!c) return gr_sqlw_fail(w, GR_ERR_INTERNAL, "no stored bucket of '" GR_FMT "'", GR_ARG(t->field.id));
        value = gr_sqlw_stored(w, c->part, c->name);
        is_instant = c->is_instant;
    } else {
        value = gr_sqlw_instant(w, t->field.member, gr_sqlw_member(w, t->field.member));
    }
    gr_str range = range_of(w, t, value, is_instant);
    if (!t->or_null) return range;
    return gr_arena_printf(w->arena, "(" GR_FMT " OR " GR_FMT " IS NULL)", GR_ARG(range), GR_ARG(value));
}
