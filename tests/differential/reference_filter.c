/* Conditions by definition, row by row: operators of filters, date ranges on the wall clock of the query's zone,
 * segments (cube.md 2.4, 5.6). */
#include "differential/reference_internal.h"

#include <stdlib.h>

static diff_value asked_value(const diff_value *subject, gr_str text) {
    diff_value v;
    double d;
    if (subject->kind == DIFF_BOOL) return diff_bool(gr_str_eq_z(text, "true"));
    if (subject->kind == DIFF_DOUBLE) return gr_str_to_f64(text, &d) ? diff_double(d) : diff_null();
    if (subject->kind == DIFF_INT || subject->kind == DIFF_DECIMAL) {
        if (diff_parse_number(text, &v)) return v;
        return gr_str_to_f64(text, &d) ? diff_double(d) : diff_null();
    }
    return diff_text(text);
}

/* A time without offset is what the clock of the query's zone shows; with one it is an instant. */
static bool is_same_time(const diff_evaluation *e, int64_t instant, gr_str text) {
    int64_t us;
    gr_time_zone_part part;
    bool is_date;
    if (!gr_time_parse(text, &us, &part, &is_date)) return false;
    return part == GR_TIME_ZONED ? us == instant : us == gr_tz_to_local(e->query->tz, instant);
}

static bool equals_any(diff_evaluation *e, const diff_value *subject, const gr_filter *f, bool is_time) {
    for (size_t i = 0; i < f->n_values; i++) {
        if (is_time) {
            if (is_same_time(e, subject->as.us, f->values[i])) return true;
            continue;
        }
        diff_value asked = asked_value(subject, f->values[i]);
        if (asked.kind != DIFF_NULL && diff_cmp(subject, &asked, &e->is_unsure) == 0) return true;
    }
    return false;
}

static bool is_like(const diff_evaluation *e, gr_str text, gr_str asked, gr_filter_op op) {
    gr_str a = diff_fold(text, e->arena), b = diff_fold(asked, e->arena);
    if (op == GR_OP_STARTS_WITH || op == GR_OP_NOT_STARTS_WITH) return gr_str_starts(a, b);
    if (op == GR_OP_ENDS_WITH || op == GR_OP_NOT_ENDS_WITH) return gr_str_ends(a, b);
    return b.n == 0 || gr_str_find_str(a, b) != SIZE_MAX;
}

static bool like_any(const diff_evaluation *e, const diff_value *subject, const gr_filter *f) {
    gr_str text = diff_cast_text(subject, e->arena);
    for (size_t i = 0; i < f->n_values; i++)
        if (is_like(e, text, f->values[i], f->op)) return true;
    return false;
}

typedef enum family { EQUALITY, LIKENESS, ORDER, PRESENCE, RANGE, OWN_FILTERS } family;
enum { LESS = 1, EQUAL = 2, GREATER = 4 };

static const struct meaning {
    family family;
    bool is_negated;
    unsigned accepts; /* ORDER: how the value may stand to what was asked */
} meanings[GR_OP__COUNT] = {
    [GR_OP_EQUALS] = {EQUALITY, false, 0},
    [GR_OP_IN] = {EQUALITY, false, 0},
    [GR_OP_NOT_EQUALS] = {EQUALITY, true, 0},
    [GR_OP_NOT_IN] = {EQUALITY, true, 0},
    [GR_OP_CONTAINS] = {LIKENESS, false, 0},
    [GR_OP_STARTS_WITH] = {LIKENESS, false, 0},
    [GR_OP_ENDS_WITH] = {LIKENESS, false, 0},
    [GR_OP_NOT_CONTAINS] = {LIKENESS, true, 0},
    [GR_OP_NOT_STARTS_WITH] = {LIKENESS, true, 0},
    [GR_OP_NOT_ENDS_WITH] = {LIKENESS, true, 0},
    [GR_OP_GT] = {ORDER, false, GREATER},
    [GR_OP_GTE] = {ORDER, false, GREATER | EQUAL},
    [GR_OP_LT] = {ORDER, false, LESS},
    [GR_OP_LTE] = {ORDER, false, LESS | EQUAL},
    [GR_OP_BEFORE_DATE] = {ORDER, false, LESS},
    [GR_OP_BEFORE_OR_ON_DATE] = {ORDER, false, LESS | EQUAL},
    [GR_OP_AFTER_DATE] = {ORDER, false, GREATER},
    [GR_OP_AFTER_OR_ON_DATE] = {ORDER, false, GREATER | EQUAL},
    [GR_OP_SET] = {PRESENCE, false, 0},
    [GR_OP_NOT_SET] = {PRESENCE, true, 0},
    [GR_OP_IN_DATE_RANGE] = {RANGE, false, 0},
    [GR_OP_ON_THE_DATE] = {RANGE, false, 0},
    [GR_OP_NOT_IN_DATE_RANGE] = {RANGE, true, 0},
    [GR_OP_MEASURE_FILTER] = {OWN_FILTERS, false, 0},
};

/* What a range or a point says is said about the wall clock of the query's zone. */
static bool order_passes(diff_evaluation *e, const gr_filter *f, const diff_value *subject, bool is_time) {
    diff_value own = *subject, asked;
    if (is_time) {
        own = diff_time(gr_tz_to_local(e->query->tz, subject->as.us));
        asked = diff_time(f->range.from_local_us);
    } else {
        asked = asked_value(subject, f->values[0]);
        if (asked.kind == DIFF_NULL) abort();
    }
    int order = diff_cmp(&own, &asked, &e->is_unsure);
    return meanings[f->op].accepts & (order < 0 ? LESS : order > 0 ? GREATER : EQUAL);
}

static bool value_passes(diff_evaluation *e, const gr_filter *f, const diff_value *subject, bool is_time) {
    const struct meaning *m = &meanings[f->op];
    bool is_null = subject->kind == DIFF_NULL;
    if (m->family == PRESENCE) return is_null == m->is_negated;
    if (m->family == EQUALITY || m->family == LIKENESS) { /* null is kept by a negation, unless null was named */
        if (is_null) return f->has_null != m->is_negated;
        bool is_met = m->family == EQUALITY ? equals_any(e, subject, f, is_time) : like_any(e, subject, f);
        return is_met != m->is_negated;
    }
    if (is_null) return false;
    if (m->family == ORDER) return order_passes(e, f, subject, is_time);
    int64_t t = gr_tz_to_local(e->query->tz, subject->as.us);
    return (t >= f->range.from_local_us && t < f->range.to_local_us) != m->is_negated;
}

static bool leaf_passes(diff_evaluation *e, const gr_filter *f) {
    const gr_member *m = f->field.member;
    size_t cube = diff_cube_of(e->world, m), index = diff_index_of(e->world, m);
    if (m->kind == GR_MEMBER_MEASURE) {
        if (f->op == GR_OP_MEASURE_FILTER)
            return diff_eval_own_filters(&e->scope, cube, &e->world->cubes[cube].measures[index]);
        diff_value v = e->query->is_ungrouped ? diff_eval_contribution(&e->scope, cube, index)
                                              : diff_measure_in(e, e->group, cube, index);
        e->is_unsure |= v.kind == DIFF_ANY;
        return value_passes(e, f, &v, false);
    }
    diff_value v = diff_eval_dimension(&e->scope, cube, index);
    diff_dim_type type = e->world->cubes[cube].dims[index].type;
    int64_t us;
    if (type == DIFF_DIM_TIME && diff_instant(&v, &us)) v = diff_time(us);
    if (type == DIFF_DIM_STRING && v.kind != DIFF_NULL) v = diff_text(diff_cast_text(&v, e->arena));
    return value_passes(e, f, &v, type == DIFF_DIM_TIME);
}

bool diff_filter_passes(diff_evaluation *e, const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return leaf_passes(e, f);
    bool is_and = f->kind == GR_FILTER_AND;
    for (size_t i = 0; i < f->n_children; i++)
        if (diff_filter_passes(e, f->children[i]) != is_and) return !is_and;
    return is_and;
}

bool diff_local_time(const diff_evaluation *e, const gr_member *m, int64_t *ret) {
    diff_value v = diff_eval_dimension(&e->scope, diff_cube_of(e->world, m), diff_index_of(e->world, m));
    int64_t us;
    if (!diff_instant(&v, &us)) return false;
    *ret = gr_tz_to_local(e->query->tz, us);
    return true;
}

bool diff_row_passes(diff_evaluation *e, size_t without_time) {
    const gr_query *q = e->query;
    for (size_t i = 0; i < q->n_row_filters; i++)
        if (!diff_filter_passes(e, q->row_filters[i])) return false;
    for (size_t i = 0; q->is_ungrouped && i < q->n_measure_filters; i++)
        if (!diff_filter_passes(e, q->measure_filters[i])) return false;
    for (size_t i = 0; i < q->n_segments; i++) {
        size_t cube = diff_cube_of(e->world, q->segments[i].member),
               index = diff_index_of(e->world, q->segments[i].member);
        diff_value v = diff_eval(&e->scope, cube, e->world->cubes[cube].segments[index].sql);
        if (!diff_is_true(&v)) return false;
    }
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        const gr_time_field *t = &q->time_dimensions[i];
        int64_t us;
        if (!t->has_range || i == without_time) continue;
        if (!diff_local_time(e, t->field.member, &us)) return false;
        if (e->shift) us = gr_interval_add(e->shift->interval, 1, us); /* the range is about where it is moved to */
        if (us < t->range.from_local_us || us >= t->range.to_local_us) return false;
    }
    return true;
}
