/* Containment of conditions: does one set of filters let through only rows that another filter lets through too? Asked
 * in both directions: the query's filters against the static filters of a rollup (is every row of the answer stored?),
 * and the static filters against a filter of the query (need it be asked of stored rows at all?).
 *
 * Each leaf is a set of values of one member, and whether null is in it:
 *
 *      equals, in          {v, w}            finite
 *      notEquals, notIn    all but {v, w}    cofinite
 *      gt, inDateRange …   an interval       set: all
 *
 * Invariant: "yes" is proved, "no" means not proved. Numbers are compared as they round: a < b as doubles proves a < b,
 * equal doubles prove nothing. */
#include "plan/internal.h"

/* ---- values ------------------------------------------------------------------------------------------------------ */

typedef enum order { UNKNOWN, LESS, SAME, GREATER } order;

static bool is_number(const gr_member *m) { return m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_NUMBER; }

static bool truth_of(gr_str text) { return gr_str_eq_nocase(text, GR_STR("true")) || gr_str_eq_z(text, "1"); }

static order compare_numbers(gr_str a, gr_str b) {
    int64_t x, y;
    if (gr_str_to_i64(a, &x) && gr_str_to_i64(b, &y)) return x < y ? LESS : x > y ? GREATER : SAME;
    double u, v;
    if (!gr_str_to_f64(a, &u) || !gr_str_to_f64(b, &v)) return UNKNOWN;
    return u < v ? LESS : u > v ? GREATER : UNKNOWN;
}

static bool is_time(const gr_member *m) { return m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_TIME; }

/* A time without offset is another instant in another zone, and the two filters may be read in two. */
static bool is_instant(gr_str text) {
    int64_t us;
    gr_time_zone_part part;
    bool is_date;
    return gr_time_parse(text, &us, &part, &is_date) && part == GR_TIME_ZONED;
}

static order compare(const gr_member *m, gr_str a, gr_str b) {
    if (is_number(m)) return gr_str_eq(a, b) ? SAME : compare_numbers(a, b);
    if (m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_BOOLEAN)
        return truth_of(a) == truth_of(b) ? SAME : LESS;
    if (is_time(m)) return is_instant(a) && gr_str_eq(a, b) ? SAME : UNKNOWN;
    int c = gr_str_cmp(a, b);
    return c < 0 ? LESS : c > 0 ? GREATER : SAME;
}

/* ---- leaves as sets ---------------------------------------------------------------------------------------------- */

typedef enum shape { FINITE, COFINITE, INTERVAL, TIME_INTERVAL, OTHER } shape;

static const shape shapes[GR_OP__COUNT] = {
    [GR_OP_EQUALS] = FINITE,
    [GR_OP_IN] = FINITE,
    [GR_OP_NOT_SET] = FINITE,
    [GR_OP_NOT_EQUALS] = COFINITE,
    [GR_OP_NOT_IN] = COFINITE,
    [GR_OP_SET] = COFINITE,
    [GR_OP_CONTAINS] = OTHER,
    [GR_OP_NOT_CONTAINS] = OTHER,
    [GR_OP_STARTS_WITH] = OTHER,
    [GR_OP_NOT_STARTS_WITH] = OTHER,
    [GR_OP_ENDS_WITH] = OTHER,
    [GR_OP_NOT_ENDS_WITH] = OTHER,
    [GR_OP_GT] = INTERVAL,
    [GR_OP_GTE] = INTERVAL,
    [GR_OP_LT] = INTERVAL,
    [GR_OP_LTE] = INTERVAL,
    [GR_OP_IN_DATE_RANGE] = TIME_INTERVAL,
    [GR_OP_ON_THE_DATE] = TIME_INTERVAL,
    [GR_OP_BEFORE_DATE] = TIME_INTERVAL,
    [GR_OP_AFTER_OR_ON_DATE] = TIME_INTERVAL,
    [GR_OP_NOT_IN_DATE_RANGE] = OTHER,
    [GR_OP_BEFORE_OR_ON_DATE] = OTHER,
    [GR_OP_AFTER_DATE] = OTHER,
    [GR_OP_MEASURE_FILTER] = OTHER,
};

static shape shape_of(const gr_filter *f) {
    if (f->op >= GR_OP__COUNT || (is_time(f->field.member) && shapes[f->op] == INTERVAL)) return OTHER;
    return shapes[f->op];
}

static bool lets_null_pass(const gr_filter *f) {
    switch (f->op) {
    case GR_OP_NOT_SET: return true;
    case GR_OP_EQUALS:
    case GR_OP_IN:
    case GR_OP_CONTAINS:
    case GR_OP_STARTS_WITH:
    case GR_OP_ENDS_WITH: return f->has_null;
    case GR_OP_NOT_EQUALS:
    case GR_OP_NOT_IN:
    case GR_OP_NOT_CONTAINS:
    case GR_OP_NOT_STARTS_WITH:
    case GR_OP_NOT_ENDS_WITH: return !f->has_null;
    case GR_OP_MEASURE_FILTER: return true;
    case GR_OP_GT:
    case GR_OP_GTE:
    case GR_OP_LT:
    case GR_OP_LTE:
    case GR_OP_SET:
    case GR_OP_IN_DATE_RANGE:
    case GR_OP_NOT_IN_DATE_RANGE:
    case GR_OP_ON_THE_DATE:
    case GR_OP_BEFORE_DATE:
    case GR_OP_BEFORE_OR_ON_DATE:
    case GR_OP_AFTER_DATE:
    case GR_OP_AFTER_OR_ON_DATE:
    case GR_OP__COUNT: break;
    }
    return false;
}

static bool is_listed(const gr_filter *f, gr_str value) {
    for (size_t i = 0; i < f->n_values; i++)
        if (compare(f->field.member, value, f->values[i]) == SAME) return true;
    return false;
}

static bool is_surely_unlisted(const gr_filter *f, gr_str value) {
    for (size_t i = 0; i < f->n_values; i++) {
        order o = compare(f->field.member, value, f->values[i]);
        if (o == SAME || o == UNKNOWN) return false;
    }
    return true;
}

static bool is_upward(const gr_filter *f) { return f->op == GR_OP_GT || f->op == GR_OP_GTE; }

static bool is_inside(const gr_filter *interval, gr_str value) {
    order o = compare(interval->field.member, value, interval->values[0]);
    bool is_closed = interval->op == GR_OP_GTE || interval->op == GR_OP_LTE;
    return o == (is_upward(interval) ? GREATER : LESS) || (is_closed && o == SAME);
}

/* One value that is not null passes `f`, for certain. */
static bool passes(const gr_filter *f, gr_str value) {
    switch (shape_of(f)) {
    case FINITE: return is_listed(f, value);
    case COFINITE: return is_surely_unlisted(f, value);
    case INTERVAL: return is_inside(f, value);
    case TIME_INTERVAL:
    case OTHER: break;
    }
    return false;
}

/* x > 5 implies x > 3, x >= 5 and x >= 3. */
static bool interval_in_interval(const gr_filter *p, const gr_filter *c) {
    if (is_upward(p) != is_upward(c)) return false;
    order o = compare(p->field.member, p->values[0], c->values[0]);
    if (o == SAME) return p->op == c->op || p->op == GR_OP_GT || p->op == GR_OP_LT;
    return o == (is_upward(p) ? GREATER : LESS);
}

/* x > 5 implies x not in (1, 5): each listed value lies outside. */
static bool interval_avoids(const gr_filter *p, const gr_filter *list) {
    for (size_t i = 0; i < list->n_values; i++) {
        order o = compare(p->field.member, list->values[i], p->values[0]);
        bool is_outside = is_upward(p) ? o == LESS : o == GREATER;
        if (!is_outside && !(o == SAME && (p->op == GR_OP_GT || p->op == GR_OP_LT))) return false;
    }
    return true;
}

/* ---- time ----------------------------------------------------------------------------------------------------------
 */

typedef struct stretch {
    int64_t from, to; /* instants, [from, to) */
    bool is_sure;
} stretch;

static stretch stretch_of_range(const gr_range *r) {
    return (stretch){r->from_utc_us, r->to_utc_us, !r->is_from_ambiguous && !r->is_to_ambiguous};
}

static stretch stretch_of(const gr_filter *f) {
    stretch s = stretch_of_range(&f->range);
    if (f->op == GR_OP_BEFORE_DATE) s = (stretch){INT64_MIN, f->range.from_utc_us, !f->range.is_from_ambiguous};
    if (f->op == GR_OP_AFTER_OR_ON_DATE) s = (stretch){f->range.from_utc_us, INT64_MAX, !f->range.is_from_ambiguous};
    return s;
}

static bool stretch_in(stretch inner, stretch outer) {
    return inner.is_sure && outer.is_sure && inner.from >= outer.from && inner.to <= outer.to;
}

/* ---- leaf against leaf ------------------------------------------------------------------------------------------- */

static bool is_all(const gr_filter *f) { return shape_of(f) == COFINITE && f->n_values == 0; }

static bool same_values(const gr_filter *a, const gr_filter *b) {
    if (a->op != b->op || a->has_null != b->has_null || a->n_values != b->n_values) return false;
    bool is_by_text = is_time(a->field.member) && (shape_of(a) == FINITE || shape_of(a) == COFINITE);
    for (size_t i = 0; i < a->n_values; i++)
        if (!gr_str_eq(a->values[i], b->values[i]) || (is_by_text && !is_instant(a->values[i]))) return false;
    return a->range.from_utc_us == b->range.from_utc_us && a->range.to_utc_us == b->range.to_utc_us &&
           a->range.is_from_ambiguous == b->range.is_from_ambiguous &&
           a->range.is_to_ambiguous == b->range.is_to_ambiguous && a->range.from_local_us == b->range.from_local_us &&
           a->range.to_local_us == b->range.to_local_us;
}

static bool cofinite_in(const gr_filter *p, const gr_filter *c) {
    for (size_t i = 0; i < c->n_values; i++)
        if (!is_listed(p, c->values[i])) return false;
    return true;
}

static bool leaf_implies(const gr_filter *p, const gr_filter *c) {
    if (p->field.member != c->field.member) return false;
    if (same_values(p, c)) return true;
    if (lets_null_pass(p) && !lets_null_pass(c)) return false;
    if (is_all(c)) return shape_of(p) != OTHER || p->op != GR_OP_MEASURE_FILTER;
    shape ps = shape_of(p), cs = shape_of(c);
    if (ps == FINITE) {
        for (size_t i = 0; i < p->n_values; i++)
            if (!passes(c, p->values[i])) return false;
        return true;
    }
    if (ps == COFINITE) return cs == COFINITE && cofinite_in(p, c);
    if (ps == INTERVAL) return cs == INTERVAL ? interval_in_interval(p, c) : cs == COFINITE && interval_avoids(p, c);
    return ps == TIME_INTERVAL && cs == TIME_INTERVAL && stretch_in(stretch_of(p), stretch_of(c));
}

/* ---- trees ---------------------------------------------------------------------------------------------------------
 */

static bool implies(const gr_filter *p, const gr_filter *c) {
    if (c->kind != GR_FILTER_LEAF && c->n_children == 0) return true; /* an empty group asks nothing */
    if (c->kind == GR_FILTER_AND) {
        for (size_t i = 0; i < c->n_children; i++)
            if (!implies(p, c->children[i])) return false;
        return true;
    }
    if (p->kind == GR_FILTER_OR) {
        for (size_t i = 0; i < p->n_children; i++)
            if (!implies(p->children[i], c)) return false;
        return p->n_children > 0;
    }
    if (p->kind == GR_FILTER_AND) {
        for (size_t i = 0; i < p->n_children; i++)
            if (implies(p->children[i], c)) return true;
        if (c->kind == GR_FILTER_LEAF) return false;
    }
    if (c->kind == GR_FILTER_LEAF) return leaf_implies(p, c);
    for (size_t i = 0; i < c->n_children; i++)
        if (implies(p, c->children[i])) return true;
    return false;
}

bool gr_plan_filters_imply(gr_filter *const *premises, size_t n, const gr_time_field *times, size_t n_times,
                           const gr_filter *conclusion) {
    if (conclusion->kind == GR_FILTER_AND) {
        for (size_t i = 0; i < conclusion->n_children; i++)
            if (!gr_plan_filters_imply(premises, n, times, n_times, conclusion->children[i])) return false;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (implies(premises[i], conclusion)) return true;
    for (size_t i = 0; i < n_times; i++) {
        gr_filter range = {
            .kind = GR_FILTER_LEAF, .op = GR_OP_IN_DATE_RANGE, .field = times[i].field, .range = times[i].range};
        if (times[i].has_range && implies(&range, conclusion)) return true;
    }
    if (conclusion->kind == GR_FILTER_OR) {
        for (size_t i = 0; i < conclusion->n_children; i++)
            if (gr_plan_filters_imply(premises, n, times, n_times, conclusion->children[i])) return true;
        return conclusion->n_children == 0;
    }
    return false;
}
