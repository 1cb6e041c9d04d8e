/* Expressions by their meaning: three-valued logic, null in null out, calendar buckets on the wall clock of the zone;
 * and aggregates by looking at every row. */
#include "differential/evaluate.h"

#include <math.h>

bool diff_is_true(const diff_value *v) { return v->kind == DIFF_BOOL && v->as.b; }

static diff_value column_value(const diff_scope *s, size_t cube, size_t index) {
    const diff_table *t = s->world->cubes[cube].table;
    int32_t row = s->row->row[cube];
    return row == DIFF_NO_ROW ? diff_null() : t->cells[(size_t)row * t->n_columns + index];
}

static diff_value bucket_value(const diff_scope *s, const diff_expr *e) {
    diff_value raw = diff_eval_dimension(s, e->cube, e->index);
    int64_t us;
    if (!diff_instant(&raw, &us)) return diff_null();
    return diff_time(gr_granularity_floor(gr_granularity_predefined(e->grain), 0, gr_tz_to_local(s->tz, us)));
}

static diff_value concat_value(const diff_scope *s, size_t cube, const diff_expr *e) {
    gr_str all = {0};
    for (size_t i = 0; i < e->n_args; i++) {
        diff_value v = diff_eval(s, cube, e->args[i]);
        if (v.kind == DIFF_NULL) return v;
        all = gr_arena_printf(s->arena, GR_FMT GR_FMT, GR_ARG(all), GR_ARG(v.as.s));
    }
    return diff_text(all);
}

static diff_value compare_value(const diff_scope *s, size_t cube, const diff_expr *e) {
    diff_value a = diff_eval(s, cube, e->args[0]), b = diff_eval(s, cube, e->args[1]);
    if (a.kind == DIFF_NULL || b.kind == DIFF_NULL) return diff_null();
    int order = diff_cmp(&a, &b, NULL);
    bool has_equal = e->text[0] == '=' || e->text[1] == '=';
    bool has_less = e->text[0] == '<', has_greater = e->text[0] == '>' || e->text[1] == '>';
    return diff_bool(order < 0 ? has_less : order > 0 ? has_greater : has_equal);
}

/* `decisive` wins over null, null over the rest. */
static diff_value logic_value(const diff_scope *s, size_t cube, const diff_expr *e, bool decisive) {
    bool has_null = false;
    for (size_t i = 0; i < e->n_args; i++) {
        diff_value v = diff_eval(s, cube, e->args[i]);
        if (v.kind == DIFF_NULL)
            has_null = true;
        else if (v.as.b == decisive)
            return v;
    }
    return has_null ? diff_null() : diff_bool(!decisive);
}

static diff_value case_value(const diff_scope *s, size_t cube, const diff_expr *e) {
    for (size_t i = 0; i + 1 < e->n_args; i += 2) {
        diff_value when = diff_eval(s, cube, e->args[i]);
        if (diff_is_true(&when)) return diff_eval(s, cube, e->args[i + 1]);
    }
    return e->n_args % 2 ? diff_eval(s, cube, e->args[e->n_args - 1]) : diff_null();
}

static diff_value unary_value(const diff_scope *s, size_t cube, const diff_expr *e) {
    diff_value v = diff_eval(s, cube, e->args[0]);
    if (e->op == DIFF_OP_IS_NULL) return diff_bool(v.kind == DIFF_NULL);
    if (v.kind == DIFF_NULL) return v;
    if (e->op == DIFF_OP_NOT) return diff_bool(!v.as.b);
    if (e->op == DIFF_OP_LOWER) return diff_text(diff_fold(v.as.s, s->arena));
    if (e->op == DIFF_OP_UPPER) return diff_text(diff_upper(v.as.s, s->arena));
    if (e->op == DIFF_OP_TEXT) return diff_text(diff_cast_text(&v, s->arena));
    gr_civil c = gr_civil_from_us(v.as.us);
    return diff_int(e->text[0] == 'y' ? c.year : e->text[0] == 'm' ? c.month : (c.month + 2) / 3);
}

static diff_value aggregate_value(const diff_scope *s, size_t cube, const diff_expr *e);

diff_value diff_eval(const diff_scope *s, size_t cube, const diff_expr *e) {
    diff_value a, b;
    switch (e->op) {
    case DIFF_OP_COLUMN: return column_value(s, cube, e->index);
    case DIFF_OP_MEMBER: return diff_eval_dimension(s, e->cube, e->index);
    case DIFF_OP_MEASURE: return diff_eval_measure(s, cube, e->index);
    case DIFF_OP_BUCKET: return bucket_value(s, e);
    case DIFF_OP_LITERAL: return e->literal;
    case DIFF_OP_CONCAT: return concat_value(s, cube, e);
    case DIFF_OP_COMPARE: return compare_value(s, cube, e);
    case DIFF_OP_AND: return logic_value(s, cube, e, false);
    case DIFF_OP_OR: return logic_value(s, cube, e, true);
    case DIFF_OP_CASE: return case_value(s, cube, e);
    case DIFF_OP_AGGREGATE: return aggregate_value(s, cube, e);
    case DIFF_OP_ARITH:
        a = diff_eval(s, cube, e->args[0]);
        b = diff_eval(s, cube, e->args[1]);
        return diff_arith(e->symbol, &a, &b);
    case DIFF_OP_COALESCE:
        for (size_t i = 0; i < e->n_args; i++)
            if ((a = diff_eval(s, cube, e->args[i])).kind != DIFF_NULL) return a;
        return diff_null();
    case DIFF_OP_NULLIF:
        a = diff_eval(s, cube, e->args[0]);
        b = diff_eval(s, cube, e->args[1]);
        return a.kind != DIFF_NULL && b.kind != DIFF_NULL && diff_cmp(&a, &b, NULL) == 0 ? diff_null() : a;
    case DIFF_OP_NOT:
    case DIFF_OP_IS_NULL:
    case DIFF_OP_LOWER:
    case DIFF_OP_UPPER:
    case DIFF_OP_TEXT:
    case DIFF_OP_PART: return unary_value(s, cube, e);
    }
    return diff_null();
}

diff_value diff_eval_dimension(const diff_scope *s, size_t cube, size_t index) {
    const diff_dim *d = &s->world->cubes[cube].dims[index];
    if (d->type == DIFF_DIM_GEO) {
        diff_value latitude = diff_eval(s, cube, d->latitude), longitude = diff_eval(s, cube, d->longitude);
        if (latitude.kind == DIFF_NULL || longitude.kind == DIFF_NULL) return diff_null();
        gr_str a = diff_cast_text(&latitude, s->arena), b = diff_cast_text(&longitude, s->arena);
        return diff_text(gr_arena_printf(s->arena, GR_FMT "," GR_FMT, GR_ARG(a), GR_ARG(b)));
    }
    return diff_eval(s, cube, d->cases ? d->cases : d->sql);
}

/* ---- measures -------------------------------------------------------------------------------------------------------
 */

bool diff_eval_own_filters(const diff_scope *s, size_t cube, const diff_measure *m) {
    for (size_t i = 0; i < m->n_filters; i++) {
        diff_value v = diff_eval(s, cube, m->filters[i]);
        if (!diff_is_true(&v)) return false;
    }
    return true;
}

/* A count without SQL counts rows whose key is there; a cube without key counts every row. */
static diff_value key_value(const diff_scope *s, size_t cube) {
    const diff_cube *c = &s->world->cubes[cube];
    for (size_t i = 0; i < c->n_dims; i++) {
        if (!c->dims[i].is_primary_key) continue;
        diff_value v = diff_eval_dimension(s, cube, i);
        if (v.kind == DIFF_NULL) return v;
    }
    return diff_int(1);
}

static diff_value row_value(const diff_scope *s, size_t cube, const diff_measure *m) {
    if (!diff_eval_own_filters(s, cube, m)) return diff_null();
    return m->sql ? diff_eval(s, cube, m->sql) : key_value(s, cube);
}

typedef struct tally {
    size_t n;
    diff_value sum, min, max;
    double magnitude;
    GR_VEC(diff_value) distinct;
} tally;

static void tally_add(tally *t, const diff_value *v, gr_arena *arena) {
    if (v->kind == DIFF_NULL) return;
    if (t->n == 0) {
        t->sum = t->min = t->max = *v;
    } else {
        bool is_wild = t->sum.is_wild || v->is_wild;
        if (diff_is_number(v)) t->sum = diff_arith('+', &t->sum, v);
        t->sum.is_wild = is_wild;
        if (diff_cmp(v, &t->min, NULL) < 0) t->min = *v;
        if (diff_cmp(v, &t->max, NULL) > 0) t->max = *v;
    }
    t->n++;
    if (diff_is_number(v)) t->magnitude += fabs(diff_to_double(v));
    for (size_t i = 0; i < t->distinct.n; i++)
        if (diff_same(&t->distinct.v[i], v)) return;
    GR_PUSH(arena, &t->distinct, *v);
}

static diff_value tally_sum(const tally *t) {
    diff_value sum = t->n ? t->sum : diff_null();
    if (sum.kind == DIFF_DOUBLE && sum.is_wild) sum.tol = 1e-9 * t->magnitude;
    return sum;
}

static diff_value tally_avg(const tally *t) {
    if (!t->n) return diff_null();
    diff_value sum = tally_sum(t), n = diff_int((diff_wide)t->n);
    return diff_arith('/', &sum, &n);
}

static diff_value tally_result(const tally *t, diff_measure_type type) {
    switch (type) {
    case DIFF_COUNT: return diff_int((diff_wide)t->n);
    case DIFF_SUM: return tally_sum(t);
    case DIFF_AVG: return tally_avg(t);
    case DIFF_MIN: return t->n ? t->min : diff_null();
    case DIFF_MAX: return t->n ? t->max : diff_null();
    case DIFF_COUNT_DISTINCT: return diff_int((diff_wide)t->distinct.n);
    case DIFF_COUNT_DISTINCT_APPROX:
    case DIFF_CALC_NUMBER:
    case DIFF_CALC_STRING:
    case DIFF_CALC_BOOLEAN: break;
    }
    return (diff_value){.kind = DIFF_ANY};
}

diff_value diff_eval_measure(const diff_scope *scope, size_t cube, size_t index) {
    const diff_measure *m = &scope->world->cubes[cube].measures[index];
    if (m->type >= DIFF_CALC_NUMBER) return diff_eval(scope, cube, m->sql);
    diff_scope s = *scope;
    tally t = {0};
    for (size_t i = 0; i < s.n_rows; i++) {
        s.row = s.rows[i];
        diff_value v = row_value(&s, cube, m);
        tally_add(&t, &v, s.arena);
    }
    return tally_result(&t, m->type);
}

static diff_value aggregate_value(const diff_scope *scope, size_t cube, const diff_expr *e) {
    if (!e->n_args) return diff_int((diff_wide)scope->n_rows);
    static const struct {
        const char *name;
        diff_measure_type type;
    } names[] = {{"sum", DIFF_SUM}, {"min", DIFF_MIN}, {"max", DIFF_MAX}, {"count", DIFF_COUNT}};
    diff_scope s = *scope;
    tally t = {0};
    for (size_t i = 0; i < s.n_rows; i++) {
        s.row = s.rows[i];
        diff_value v = diff_eval(&s, cube, e->args[0]);
        tally_add(&t, &v, s.arena);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(e->text, names[i].name)) return tally_result(&t, names[i].type);
    return diff_null();
}

diff_value diff_eval_contribution(const diff_scope *scope, size_t cube, size_t index) {
    const diff_measure *m = &scope->world->cubes[cube].measures[index];
    if (m->type >= DIFF_CALC_NUMBER) return (diff_value){.kind = DIFF_ANY};
    diff_value v = row_value(scope, cube, m);
    bool is_count = m->type == DIFF_COUNT || m->type == DIFF_COUNT_DISTINCT || m->type == DIFF_COUNT_DISTINCT_APPROX;
    return is_count && v.kind != DIFF_NULL ? diff_int(1) : v;
}
