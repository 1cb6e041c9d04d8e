/* Expressions by their meaning: three-valued logic, null in null out, calendar buckets on the wall clock of the zone;
 * and aggregates by looking at every row. */
#include "differential/evaluate.h"

#include <math.h>
#include <stdlib.h>

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
    case DIFF_OP_MEASURE: return diff_eval_measure(s, e->cube, e->index);
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
    if (d->is_sub_query) {
        int32_t row = s->row->row[cube];
        return row == DIFF_NO_ROW || !s->sub_query_of ? diff_null() : s->sub_query_of(s->context, cube, index, row);
    }
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
    GR_VEC(double) numbers;
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
    if (diff_is_number(v)) {
        t->magnitude += fabs(diff_to_double(v));
        GR_PUSH(arena, &t->numbers, diff_to_double(v));
    }
    for (size_t i = 0; i < t->distinct.n; i++)
        if (diff_same(&t->distinct.v[i], v)) return;
    GR_PUSH(arena, &t->distinct, *v);
}

static diff_value tally_sum(const tally *t) {
    diff_value sum = t->n ? t->sum : diff_null();
    if (sum.kind == DIFF_INT && diff_divides_integers) sum.kind = DIFF_DECIMAL;
    if (sum.kind == DIFF_DOUBLE && sum.is_wild) sum.tol = 1e-9 * t->magnitude;
    return sum;
}

static diff_value tally_avg(const tally *t) {
    if (!t->n) return diff_null();
    diff_value sum = tally_sum(t), n = diff_int((diff_wide)t->n);
    return diff_arith('/', &sum, &n);
}

/* A sketch of few values is nearly exact; what it is of many is not known here. */
static diff_value tally_about(const tally *t) {
    diff_value v = {.kind = DIFF_ANY, .as.d = (double)t->distinct.n, .tol = 0.1 * (double)t->distinct.n};
    if (v.tol < 1) v.tol = 1;
    return v;
}

/* By definition, in two passes. Other orders may end 1e-9 of the squares' size away. */
static diff_value tally_spread(const tally *t, bool is_sample, bool is_root) {
    if (t->n <= (size_t)is_sample) return diff_null();
    long double mean = 0, sum = 0;
    double most = 0;
    for (size_t i = 0; i < t->numbers.n; i++) mean += (long double)t->numbers.v[i] / (long double)t->n;
    for (size_t i = 0; i < t->numbers.n; i++) {
        sum += (t->numbers.v[i] - mean) * (t->numbers.v[i] - mean);
        if (fabs(t->numbers.v[i]) > most) most = fabs(t->numbers.v[i]);
    }
    diff_value v = diff_double((double)(sum / (long double)(t->n - is_sample)));
    v.is_wild = true;
    v.tol = 1e-9 * most * most;
    if (!is_root) return v;
    double low = v.as.d > v.tol ? sqrt(v.as.d - v.tol) : 0, high = sqrt(v.as.d + v.tol);
    v.as.d = sqrt(v.as.d);
    v.tol = high - low;
    return v;
}

static int cmp_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static diff_value tally_median(const tally *t) {
    size_t n = t->numbers.n;
    if (!n) return diff_null();
    qsort(t->numbers.v, n, sizeof *t->numbers.v, cmp_numbers);
    return diff_double((t->numbers.v[(n - 1) / 2] + t->numbers.v[n / 2]) / 2);
}

static diff_value tally_result(const tally *t, diff_measure_type type) {
    switch (type) {
    case DIFF_COUNT: return diff_int((diff_wide)t->n);
    case DIFF_SUM: return tally_sum(t);
    case DIFF_AVG: return tally_avg(t);
    case DIFF_MIN: return t->n ? t->min : diff_null();
    case DIFF_MAX: return t->n ? t->max : diff_null();
    case DIFF_COUNT_DISTINCT: return diff_int((diff_wide)t->distinct.n);
    case DIFF_COUNT_DISTINCT_APPROX: return tally_about(t);
    case DIFF_CALC_NUMBER:
    case DIFF_CALC_STRING:
    case DIFF_CALC_BOOLEAN:
    case DIFF_RANK: break;
    }
    return (diff_value){.kind = DIFF_ANY};
}

static diff_rows rows_of(const diff_scope *s, const diff_leaf *leaf) { return s->rows_of(s->context, leaf); }

diff_value diff_eval_measure(const diff_scope *scope, size_t cube, size_t index) {
    const diff_measure *m = &scope->world->cubes[cube].measures[index];
    if (m->stage) return scope->stage_of(scope->context, cube, index);
    diff_scope s = *scope;
    s.owner = m;
    if (m->type >= DIFF_CALC_NUMBER) return diff_eval(&s, cube, m->sql);
    diff_rows rows = rows_of(&s, &(diff_leaf){cube, m, NULL});
    tally t = {0};
    for (size_t i = 0; i < rows.n; i++) {
        s.row = rows.v[i];
        diff_value v = row_value(&s, cube, m);
        tally_add(&t, &v, s.arena);
    }
    return tally_result(&t, m->type);
}

diff_value diff_aggregate(const diff_value *values, size_t n, diff_measure_type type, gr_arena *arena) {
    tally t = {0};
    for (size_t i = 0; i < n; i++) tally_add(&t, &values[i], arena);
    return tally_result(&t, type);
}

/* ---- aggregate calls ------------------------------------------------------------------------------------------------
 */

typedef enum call { SUM, AVG, MIN, MAX, COUNT, DISTINCT, VAR_POP, VAR_SAMP, STDDEV_POP, STDDEV_SAMP, MEDIAN } call;

static const struct {
    const char *name;
    call call;
} calls[] = {{"sum", SUM},
             {"avg", AVG},
             {"min", MIN},
             {"max", MAX},
             {"count", COUNT},
             {"count distinct", DISTINCT},
             {"var_pop", VAR_POP},
             {"var_samp", VAR_SAMP},
             {"variance", VAR_SAMP},
             {"stddev_pop", STDDEV_POP},
             {"stddev_samp", STDDEV_SAMP},
             {"stddev", STDDEV_SAMP},
             {"median", MEDIAN}};

static call call_of(const char *name) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(calls[i].name, name)) return calls[i].call;
    abort();
}

static diff_value call_result(const tally *t, call c) {
    switch (c) {
    case SUM: return tally_sum(t);
    case AVG: return tally_avg(t);
    case MIN: return tally_result(t, DIFF_MIN);
    case MAX: return tally_result(t, DIFF_MAX);
    case COUNT: return diff_int((diff_wide)t->n);
    case DISTINCT: return diff_int((diff_wide)t->distinct.n);
    case VAR_POP: return tally_spread(t, false, false);
    case VAR_SAMP: return tally_spread(t, true, false);
    case STDDEV_POP: return tally_spread(t, false, true);
    case STDDEV_SAMP: return tally_spread(t, true, true);
    case MEDIAN: break;
    }
    return tally_median(t);
}

static diff_value aggregate_value(const diff_scope *scope, size_t cube, const diff_expr *e) {
    diff_rows rows = rows_of(scope, &(diff_leaf){cube, scope->owner, e});
    diff_scope s = *scope;
    tally t = {0};
    for (size_t i = 0; i < rows.n; i++) {
        s.row = rows.v[i];
        diff_value v = diff_int(1), where = diff_bool(true);
        if (e->where) where = diff_eval(&s, cube, e->where);
        if (!diff_is_true(&where)) continue;
        if (e->n_args) v = diff_eval(&s, cube, e->args[0]);
        tally_add(&t, &v, s.arena);
    }
    return call_result(&t, call_of(e->text));
}

bool diff_is_opaque(const diff_leaf *leaf) { return leaf->call && call_of(leaf->call->text) == MEDIAN; }

bool diff_stands_fan_out(const diff_leaf *leaf) {
    if (!leaf->call) {
        diff_measure_type t = leaf->measure->type;
        return t != DIFF_COUNT && t != DIFF_SUM && t != DIFF_AVG;
    }
    call c = call_of(leaf->call->text);
    return c == MIN || c == MAX || c == DISTINCT;
}

bool diff_is_mergeable(const diff_leaf *leaf) {
    if (!leaf->call) return leaf->measure->type != DIFF_COUNT_DISTINCT;
    call c = call_of(leaf->call->text);
    return c != DISTINCT && c != MEDIAN;
}

diff_value diff_eval_contribution(const diff_scope *scope, size_t cube, size_t index) {
    const diff_measure *m = &scope->world->cubes[cube].measures[index];
    if (m->type >= DIFF_CALC_NUMBER) return (diff_value){.kind = DIFF_ANY};
    diff_value v = row_value(scope, cube, m);
    bool is_count = m->type == DIFF_COUNT || m->type == DIFF_COUNT_DISTINCT || m->type == DIFF_COUNT_DISTINCT_APPROX;
    return is_count && v.kind != DIFF_NULL ? diff_int(1) : v;
}
