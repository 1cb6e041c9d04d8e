/* Measures: type, expression, filters, precision; windows and stages have files of their own. Invariant: only what
 * aggregates rows has a window, and only what has a stage is a rank or a number_agg. */
#include "model/loader.h"

static const struct {
    gr_str name;
    bool is_calculated, is_additive, is_number, is_staged; /* is_staged: only with multi_stage */
} types[] = {
    [GR_MEASURE_COUNT] = {GR_STR_INIT("count"), false, true, true, false},
    [GR_MEASURE_SUM] = {GR_STR_INIT("sum"), false, true, true, false},
    [GR_MEASURE_AVG] = {GR_STR_INIT("avg"), false, false, true, false},
    [GR_MEASURE_MIN] = {GR_STR_INIT("min"), false, true, true, false},
    [GR_MEASURE_MAX] = {GR_STR_INIT("max"), false, true, true, false},
    [GR_MEASURE_COUNT_DISTINCT] = {GR_STR_INIT("count_distinct"), false, false, true, false},
    [GR_MEASURE_COUNT_DISTINCT_APPROX] = {GR_STR_INIT("count_distinct_approx"), false, true, true, false},
    [GR_MEASURE_NUMBER] = {GR_STR_INIT("number"), true, false, true, false},
    [GR_MEASURE_STRING] = {GR_STR_INIT("string"), true, false, false, false},
    [GR_MEASURE_BOOLEAN] = {GR_STR_INIT("boolean"), true, false, false, false},
    [GR_MEASURE_TIME] = {GR_STR_INIT("time"), true, false, false, false},
    [GR_MEASURE_NUMBER_AGG] = {GR_STR_INIT("number_agg"), true, false, true, true},
    [GR_MEASURE_RANK] = {GR_STR_INIT("rank"), false, false, true, true},
    /* GR_MEASURE_M2 is never written. */
};
enum { N_TYPES = sizeof types / sizeof *types, MOST_FILTERS = 1000, LOG2M_MIN = 4, LOG2M_MAX = 17, LOG2M = 11 };

bool gr_measure_is_additive(const gr_member *measure) {
    const gr_member *m = gr_member_base(measure);
    return m->kind == GR_MEMBER_MEASURE && (size_t)m->agg < N_TYPES && types[m->agg].is_additive && !m->stage;
}

static void report_type(gr_loader *l, const gr_fields *f, const gr_yaml *node, gr_str text) {
    bool is_stage = gr_fields_flag(f, GR_KEY_MEASURE_MULTI_STAGE, false);
    gr_str names[N_TYPES];
    for (size_t i = 0; i < N_TYPES; i++) names[i] = types[i].name;
    gr_diag *d = gr_model_report(
        l, GR_ERR_MODEL_INVALID, node->loc,
        "\"" GR_FMT "\" must be one of [count, number, string, boolean, time, sum, avg, min, max, "
        "countDistinct, countDistinctApprox%s]. It is '" GR_FMT "'.",
        GR_ARG(gr_model_place_text(l, f->place, GR_STR("type"))), is_stage ? ", numberAgg, rank" : "", GR_ARG(text));
    gr_str near = gr_diags_nearest(text, names, N_TYPES);
    if (near.n) gr_model_hint(l, d, "did you mean '" GR_FMT "'?", GR_ARG(near));
}

/* A type that was named, and stands where it may. */
static bool check_type(gr_loader *l, const gr_fields *f, gr_measure_type type, bool is_stage) {
    if (!types[type].is_staged || is_stage) return true;
    gr_diag *d = gr_model_bad_value(l, f, GR_KEY_MEASURE_TYPE, "belongs to multi-stage measures");
    gr_model_hint(l, d, "add multi_stage: true");
    return false;
}

/* A sum over a window that begins with all time. */
static bool read_running_total(gr_loader *l, gr_member *m, const gr_fields *f, bool is_stage) {
    gr_model_not_allowed(l, f, GR_KEY_MEASURE_ROLLING_WINDOW);
    m->agg = GR_MEASURE_SUM;
    m->window = (gr_window){.kind = GR_WINDOW_FIXED, .has_trailing = true, .is_trailing_unbounded = true};
    if (!is_stage) return true;
    const gr_yaml *node = gr_fields_get(f, GR_KEY_MEASURE_TYPE);
    gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, node->loc, f->place, GR_STR("type"), node,
                                "is not executed for multi-stage measures");
    gr_model_hint(l, d, "make the running total a measure of its own, and refer to that");
    return false;
}

static bool read_type(gr_loader *l, gr_member *m, const gr_fields *f, bool is_stage) {
    if (!gr_fields_has(f, GR_KEY_MEASURE_TYPE)) {
        gr_model_required(l, f, GR_KEY_MEASURE_TYPE);
        return false;
    }
    const gr_yaml *node = gr_fields_get(f, GR_KEY_MEASURE_TYPE);
    if (!node) return false;
    gr_str text = gr_str_trim(node->text);
    if (gr_model_key_matches(GR_STR("running_total"), text)) return read_running_total(l, m, f, is_stage);
    for (size_t i = 0; i < N_TYPES; i++) {
        if (!gr_model_key_matches(types[i].name, text)) continue;
        m->agg = (gr_measure_type)i;
        m->is_calculated = types[i].is_calculated;
        return check_type(l, f, m->agg, is_stage);
    }
    report_type(l, f, node, text);
    return false;
}

static void read_filters(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_MEASURE_FILTERS);
    if (!list || list->n == 0) return;
    gr_member *m = &draft->member;
    if (m->is_calculated || m->stage) {
        const gr_yaml_pair *pair = gr_fields_pair(f, GR_KEY_MEASURE_FILTERS);
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, pair->key_loc, f->place, GR_STR("filters"), NULL,
                                    m->stage ? "is not executed for multi-stage measures"
                                             : "is not executed for calculated measures");
        gr_model_hint(l, d, "put the filters on the measures that the expression is made of");
        return;
    }
    size_t n = list->n < MOST_FILTERS ? list->n : MOST_FILTERS;
    if (n < list->n) gr_model_bad_value(l, f, GR_KEY_MEASURE_FILTERS, "has more than 1000 items");
    m->filters = GR_NEW_N(l->arena, const gr_expr *, n);
    for (size_t i = 0; i < n; i++) {
        gr_place up = {f->place, GR_STR("filters"), -1}, at = {&up, {0}, (int64_t)i};
        gr_expr *sql = gr_model_sql_map(l, list->items[i], &at);
        if (!sql) continue;
        gr_model_add_binding(l, sql, GR_ROLE_MEASURE_FILTER, draft, NULL);
        m->filters[m->n_filters++] = sql;
    }
}

/* `count` over `*` is count without sql. */
static bool is_star(const gr_member *m, gr_str sql) {
    return m->agg == GR_MEASURE_COUNT && !m->stage &&
           (gr_str_eq_z(sql, "*") || gr_str_eq_nocase(sql, GR_STR("count(*)")));
}

/* Any measure has one, for the sketches that its expression may call for. */
static void read_precision(gr_loader *l, gr_member *m, const gr_fields *f) {
    const gr_yaml *node = gr_fields_get(f, GR_KEY_MEASURE_PRECISION);
    int64_t n = LOG2M;
    if (m->agg != GR_MEASURE_COUNT_DISTINCT_APPROX) {
        gr_model_not_allowed(l, f, GR_KEY_MEASURE_PRECISION);
    } else if (node && (!gr_yaml_is_i64(node, &n) || n < LOG2M_MIN || n > LOG2M_MAX)) {
        gr_diag *d = gr_model_bad_value(l, f, GR_KEY_MEASURE_PRECISION, "must be a whole number from 4 to 17");
        gr_model_hint(l, d, "11 is off by 2.3 %% as a rule, 14 by 0.8 %%");
        n = LOG2M;
    }
    m->hll_log2m = (int)n;
}

/* A window aggregates the aggregates of finer buckets; an expression over aggregates has none of its own. */
static void read_window(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_member *m = &draft->member;
    const gr_yaml_pair *pair = gr_fields_pair(f, GR_KEY_MEASURE_ROLLING_WINDOW);
    if (!pair || m->window.kind) return; /* running_total: refused already */
    if (!m->is_calculated && !m->stage) {
        gr_model_read_window(l, draft, f);
        return;
    }
    gr_diag *d =
        gr_model_fault(l, m->stage ? GR_ERR_MODEL_UNSUPPORTED : GR_ERR_MODEL_INVALID, pair->key_loc, f->place,
                       GR_STR("rolling_window"), NULL,
                       m->stage ? "is not executed for multi-stage measures" : "needs a measure that aggregates rows");
    gr_model_hint(l, d, "put the window on the measures that the expression is made of");
}

/* What has no type is looked at as if calculated: only its names can be checked. */
static void read_sql(gr_loader *l, gr_draft *draft, const gr_fields *f, bool is_typed) {
    gr_member *m = &draft->member;
    bool needs_none = (m->agg == GR_MEASURE_COUNT && !m->stage) || m->agg == GR_MEASURE_RANK;
    if (is_typed && !needs_none && !gr_fields_has(f, GR_KEY_MEASURE_SQL)) gr_model_required(l, f, GR_KEY_MEASURE_SQL);
    if (is_typed && (m->agg == GR_MEASURE_RANK || is_star(m, gr_fields_text(f, GR_KEY_MEASURE_SQL)))) return;
    gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_MEASURE_SQL);
    m->sql = sql;
    if (!is_typed) m->is_calculated = true;
    gr_model_add_binding(l, sql, is_typed && m->stage ? GR_ROLE_STAGE : GR_ROLE_MEASURE, draft, NULL);
}

void gr_model_read_measure(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    gr_member *m = &draft->member;
    bool is_stage = gr_fields_flag(f, GR_KEY_MEASURE_MULTI_STAGE, false);
    bool is_typed = read_type(l, m, f, is_stage);
    gr_model_read_format(draft, gr_fields_get(f, GR_KEY_MEASURE_FORMAT));
    m->is_cumulative = gr_fields_flag(f, GR_KEY_MEASURE_CUMULATIVE, false);
    draft->drill = gr_fields_get(f, GR_KEY_MEASURE_DRILL_MEMBERS);
    if (!draft->drill) draft->drill = gr_fields_get(f, GR_KEY_MEASURE_DRILL_MEMBER_REFERENCES);
    if (is_stage)
        gr_model_read_stage(l, draft, f, is_typed);
    else if (is_typed || !gr_fields_has(f, GR_KEY_MEASURE_TYPE))
        gr_model_refuse_stage(l, f);
    read_sql(l, draft, f, is_typed);
    read_filters(l, draft, f);
    if (is_typed) read_window(l, draft, f);
    if (is_typed) read_precision(l, m, f);
    gr_model_read_currency(l, draft, f, GR_KEY_MEASURE_CURRENCY, !is_typed || types[m->agg].is_number);
}
