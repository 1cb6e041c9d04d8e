/* Measures: type, expression, filters. Invariant: a measure that is loaded is one of the eleven types of the reference
 * that aggregate rows once; everything computed over aggregated rows is refused. */
#include "model/loader.h"

static const struct {
    gr_str name;
    bool is_calculated, is_additive, is_number;
} types[] = {
    [GR_MEASURE_COUNT] = {GR_STR_INIT("count"), false, true, true},
    [GR_MEASURE_SUM] = {GR_STR_INIT("sum"), false, true, true},
    [GR_MEASURE_AVG] = {GR_STR_INIT("avg"), false, false, true},
    [GR_MEASURE_MIN] = {GR_STR_INIT("min"), false, true, true},
    [GR_MEASURE_MAX] = {GR_STR_INIT("max"), false, true, true},
    [GR_MEASURE_COUNT_DISTINCT] = {GR_STR_INIT("count_distinct"), false, false, true},
    [GR_MEASURE_COUNT_DISTINCT_APPROX] = {GR_STR_INIT("count_distinct_approx"), false, true, true},
    [GR_MEASURE_NUMBER] = {GR_STR_INIT("number"), true, false, true},
    [GR_MEASURE_STRING] = {GR_STR_INIT("string"), true, false, false},
    [GR_MEASURE_BOOLEAN] = {GR_STR_INIT("boolean"), true, false, false},
    [GR_MEASURE_TIME] = {GR_STR_INIT("time"), true, false, false},
};
enum { N_TYPES = sizeof types / sizeof *types, MOST_FILTERS = 1000 };

/* Types of the reference that need what is not there yet. */
static const struct {
    gr_str name;
    const char *hint;
} refused_types[] = {
    {GR_STR_INIT("running_total"), "a running total is a window over buckets of time, and those are not executed yet"},
    {GR_STR_INIT("number_agg"), "the type belongs to multi_stage measures"},
    {GR_STR_INIT("rank"), "the type belongs to multi_stage measures"},
};

bool gr_measure_is_additive(const gr_member *measure) {
    const gr_member *m = gr_member_base(measure);
    return m->kind == GR_MEMBER_MEASURE && types[m->agg].is_additive;
}

static void report_type(gr_loader *l, const gr_fields *f, const gr_yaml *node, gr_str text) {
    for (size_t i = 0; i < sizeof refused_types / sizeof *refused_types; i++) {
        if (!gr_model_key_matches(refused_types[i].name, text)) continue;
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, node->loc, f->place, GR_STR("type"), node,
                                    "is not executed yet");
        gr_model_hint(l, d, "%s", refused_types[i].hint);
        return;
    }
    gr_str names[N_TYPES];
    for (size_t i = 0; i < N_TYPES; i++) names[i] = types[i].name;
    gr_diag *d =
        gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                        "\"" GR_FMT "\" must be one of [count, number, string, boolean, time, sum, avg, min, max, "
                        "countDistinct, countDistinctApprox]. It is '" GR_FMT "'.",
                        GR_ARG(gr_model_place_text(l, f->place, GR_STR("type"))), GR_ARG(text));
    gr_str near = gr_diags_nearest(text, names, N_TYPES);
    if (near.n) gr_model_hint(l, d, "did you mean '" GR_FMT "'?", GR_ARG(near));
}

static bool read_type(gr_loader *l, gr_member *m, const gr_fields *f) {
    if (!gr_fields_has(f, GR_KEY_MEASURE_TYPE)) {
        gr_model_required(l, f, GR_KEY_MEASURE_TYPE);
        return false;
    }
    const gr_yaml *node = gr_fields_get(f, GR_KEY_MEASURE_TYPE);
    if (!node) return false;
    gr_str text = gr_str_trim(node->text);
    for (size_t i = 0; i < N_TYPES; i++) {
        if (!gr_model_key_matches(types[i].name, text)) continue;
        m->agg = (gr_measure_type)i;
        m->is_calculated = types[i].is_calculated;
        return true;
    }
    report_type(l, f, node, text);
    return false;
}

static void read_filters(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_MEASURE_FILTERS);
    if (!list || list->n == 0) return;
    gr_member *m = &draft->member;
    if (m->is_calculated) {
        const gr_yaml_pair *pair = gr_fields_pair(f, GR_KEY_MEASURE_FILTERS);
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, pair->key_loc, f->place, GR_STR("filters"), NULL,
                                    "is not executed for calculated measures");
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
    return m->agg == GR_MEASURE_COUNT && (gr_str_eq_z(sql, "*") || gr_str_eq_nocase(sql, GR_STR("count(*)")));
}

void gr_model_read_measure(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    gr_member *m = &draft->member;
    bool is_typed = read_type(l, m, f);
    gr_model_read_format(draft, gr_fields_get(f, GR_KEY_MEASURE_FORMAT));
    m->is_cumulative = gr_fields_flag(f, GR_KEY_MEASURE_CUMULATIVE, false);
    draft->drill = gr_fields_get(f, GR_KEY_MEASURE_DRILL_MEMBERS);
    if (!draft->drill) draft->drill = gr_fields_get(f, GR_KEY_MEASURE_DRILL_MEMBER_REFERENCES);
    /* Multi-stage measures have rules of their own; the key itself is refused already. */
    bool is_multi_stage = gr_fields_flag(f, GR_KEY_MEASURE_MULTI_STAGE, false);
    if (is_typed && m->agg != GR_MEASURE_COUNT && !is_multi_stage && !gr_fields_has(f, GR_KEY_MEASURE_SQL))
        gr_model_required(l, f, GR_KEY_MEASURE_SQL);
    if (!is_typed || !is_star(m, gr_fields_text(f, GR_KEY_MEASURE_SQL))) {
        gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_MEASURE_SQL);
        m->sql = sql;
        /* Of a type that is not known, only the names can be looked at: as if calculated. */
        if (!is_typed || is_multi_stage) m->is_calculated = true;
        gr_model_add_binding(l, sql, GR_ROLE_MEASURE, draft, NULL);
    }
    read_filters(l, draft, f);
    gr_model_read_currency(l, draft, f, GR_KEY_MEASURE_CURRENCY, !is_typed || types[m->agg].is_number);
}
