/* Dimensions: one of `sql`, `case`, `latitude` + `longitude`; custom granularities. Invariant: what would give other
 * values when left out (switches, masks) never gets past this file. */
#include "model/loader.h"

static const gr_str type_names[] = {GR_STR_INIT("string"), GR_STR_INIT("number"), GR_STR_INIT("boolean"),
                                    GR_STR_INIT("time"), GR_STR_INIT("geo")};
enum { N_TYPES = sizeof type_names / sizeof *type_names, MOST_BRANCHES = 1000, MOST_GRANULARITIES = 1000 };

/* ---- case ------------------------------------------------------------------------------------------------------- */

/* A label: a text, or `{sql}`. */
static void read_label(gr_loader *l, gr_draft *draft, const gr_fields *f, gr_key key, gr_case *ret) {
    const gr_yaml *label = gr_fields_get(f, key);
    if (!label) {
        gr_model_required(l, f, key);
        return;
    }
    gr_place place = {f->place, GR_STR("label"), -1};
    if (label->kind == GR_YAML_SCALAR) {
        ret->label = label->text;
    } else if (label->kind == GR_YAML_MAP) {
        gr_expr *sql = gr_model_sql_map(l, label, &place);
        gr_model_add_binding(l, sql, GR_ROLE_DIMENSION, draft, NULL);
        ret->label_sql = sql;
    } else {
        gr_model_bad_value(l, f, key, "must be a string, or an object with sql");
    }
}

static void read_case(gr_loader *l, gr_draft *draft, const gr_yaml *node, const gr_place *up) {
    gr_place place = {up, GR_STR("case"), -1};
    gr_fields f;
    gr_model_fields_read(l, node, GR_CONTEXT_CASE, &place, &f);
    if (gr_fields_has(&f, GR_KEY_CASE_SWITCH)) return; /* refused already */
    const gr_yaml *when = gr_fields_get(&f, GR_KEY_CASE_WHEN), *otherwise = gr_fields_get(&f, GR_KEY_CASE_ELSE);
    size_t n = when ? when->n : 0;
    if (!gr_fields_has(&f, GR_KEY_CASE_WHEN) || (when && n == 0)) gr_model_required(l, &f, GR_KEY_CASE_WHEN);
    if (n > MOST_BRANCHES) {
        gr_model_bad_value(l, &f, GR_KEY_CASE_WHEN, "has more than 1000 branches");
        n = MOST_BRANCHES;
    }
    gr_member *m = &draft->member;
    m->cases = GR_NEW_N(l->arena, gr_case, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_place list = {&place, GR_STR("when"), -1}, at = {&list, {0}, (int64_t)i};
        gr_fields branch;
        gr_model_fields_read(l, when->items[i], GR_CONTEXT_WHEN, &at, &branch);
        gr_case *c = &m->cases[m->n_cases++];
        if (!gr_fields_has(&branch, GR_KEY_WHEN_SQL)) gr_model_required(l, &branch, GR_KEY_WHEN_SQL);
        gr_expr *sql = gr_model_fields_sql(l, &branch, GR_KEY_WHEN_SQL);
        gr_model_add_binding(l, sql, GR_ROLE_DIMENSION, draft, NULL);
        c->when = sql;
        if (!gr_fields_has(&branch, GR_KEY_WHEN_VALUE)) read_label(l, draft, &branch, GR_KEY_WHEN_LABEL, c);
    }
    if (!otherwise) return;
    gr_place at = {&place, GR_STR("else"), -1};
    gr_fields branch;
    gr_model_fields_read(l, otherwise, GR_CONTEXT_ELSE, &at, &branch);
    if (!gr_fields_has(&branch, GR_KEY_ELSE_SQL))
        read_label(l, draft, &branch, GR_KEY_ELSE_LABEL, &m->cases[m->n_cases++]);
}

/* ---- granularities ---------------------------------------------------------------------------------------------- */

static bool read_granularity(gr_loader *l, const gr_fields *f, gr_granularity *ret) {
    gr_str name = gr_fields_text(f, GR_KEY_GRANULARITY_NAME);
    if (!gr_fields_has(f, GR_KEY_GRANULARITY_NAME)) gr_model_required(l, f, GR_KEY_GRANULARITY_NAME);
    if (gr_fields_has(f, GR_KEY_GRANULARITY_SQL)) return false; /* refused already */
    if (!gr_fields_has(f, GR_KEY_GRANULARITY_INTERVAL)) {
        gr_model_required(l, f, GR_KEY_GRANULARITY_INTERVAL);
        return false;
    }
    if (!name.n) return false;
    if (gr_grain_from_name(name) != GR_GRAIN_NONE) {
        gr_diag *d = gr_model_bad_value(l, f, GR_KEY_GRANULARITY_NAME, "is the name of a predefined granularity");
        gr_model_hint(l, d, "the reference would go on with the predefined one: choose another name");
        return false;
    }
    gr_error err = {0};
    const gr_yaml *interval = gr_fields_get(f, GR_KEY_GRANULARITY_INTERVAL);
    if (!interval) return false;
    if (gr_granularity_parse(name, gr_fields_text(f, GR_KEY_GRANULARITY_INTERVAL),
                             gr_fields_text(f, GR_KEY_GRANULARITY_OFFSET), gr_fields_text(f, GR_KEY_GRANULARITY_ORIGIN),
                             ret, &err)) {
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, interval->loc, f->place, (gr_str){0}, NULL, err.message);
        if (err.hint[0]) gr_model_hint(l, d, "%s", err.hint);
        return false;
    }
    gr_str title = gr_fields_text(f, GR_KEY_GRANULARITY_TITLE);
    ret->title = title.n ? title : gr_model_titleize(name, l->arena);
    return true;
}

static void read_granularities(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_DIMENSION_GRANULARITIES);
    if (!list) return;
    gr_member *m = &draft->member;
    if (m->dim_type != GR_DIM_TIME) {
        gr_model_not_allowed(l, f, GR_KEY_DIMENSION_GRANULARITIES);
        return;
    }
    size_t n = list->n < MOST_GRANULARITIES ? list->n : MOST_GRANULARITIES;
    if (n < list->n) gr_model_bad_value(l, f, GR_KEY_DIMENSION_GRANULARITIES, "has more than 1000 items");
    m->granularities = GR_NEW_N(l->arena, gr_granularity, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str name = {0};
        const gr_yaml *node = gr_yaml_get(list->items[i], GR_STR("name"));
        if (node && node->kind == GR_YAML_SCALAR) name = gr_str_trim(node->text);
        gr_place up = {f->place, GR_STR("granularities"), -1}, at = {&up, name, name.n ? -1 : (int64_t)i};
        gr_fields g;
        gr_model_fields_read(l, list->items[i], GR_CONTEXT_GRANULARITY, &at, &g);
        if (g.node->kind != GR_YAML_MAP) continue;
        bool is_twice = false;
        for (size_t k = 0; name.n && k < m->n_granularities; k++)
            is_twice = is_twice || gr_str_eq(m->granularities[k].name, name);
        if (is_twice)
            gr_model_report(l, GR_ERR_MODEL_DUPLICATE, node->loc,
                            "Found duplicate granularity '" GR_FMT "' in dimension '" GR_FMT "'.", GR_ARG(name),
                            GR_ARG(m->name));
        else if (read_granularity(l, &g, &m->granularities[m->n_granularities]))
            m->n_granularities++;
    }
}

/* ---- the dimension ---------------------------------------------------------------------------------------------- */

/* False when the type is missing, unknown or refused. */
static bool read_type(gr_loader *l, gr_member *m, const gr_fields *f) {
    if (!gr_fields_has(f, GR_KEY_DIMENSION_TYPE)) {
        gr_model_required(l, f, GR_KEY_DIMENSION_TYPE);
        return false;
    }
    const gr_yaml *node = gr_fields_get(f, GR_KEY_DIMENSION_TYPE);
    if (!node) return false;
    gr_str text = gr_str_trim(node->text);
    int type = gr_model_word(text, type_names, N_TYPES);
    if (type >= 0) {
        m->dim_type = (gr_dim_type)type;
        return true;
    }
    if (gr_str_eq_z(text, "switch")) {
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, node->loc, f->place, GR_STR("type"), node,
                                    "is not executed yet");
        gr_model_hint(l, d, "a switch dimension changes what other members compute, so it is refused");
        return false;
    }
    gr_diag *d = gr_model_bad_value(l, f, GR_KEY_DIMENSION_TYPE, "must be one of [string, number, boolean, time, geo]");
    gr_str near = gr_diags_nearest(text, type_names, N_TYPES);
    if (gr_str_eq_nocase(text, GR_STR("date")) || gr_str_eq_nocase(text, GR_STR("timestamp")))
        near = type_names[GR_DIM_TIME];
    if (near.n) gr_model_hint(l, d, "did you mean '" GR_FMT "'?", GR_ARG(near));
    return false;
}

static void read_geo(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_key keys[] = {GR_KEY_DIMENSION_LATITUDE, GR_KEY_DIMENSION_LONGITUDE};
    gr_expr *sql[2] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        const gr_yaml *node = gr_fields_get(f, keys[i]);
        if (!gr_fields_has(f, keys[i])) gr_model_required(l, f, keys[i]);
        if (!node) continue;
        gr_place place = {f->place, gr_model_key_info(keys[i])->name, -1};
        sql[i] = gr_model_sql_map(l, node, &place);
        gr_model_add_binding(l, sql[i], GR_ROLE_DIMENSION, draft, NULL);
    }
    draft->member.latitude = sql[0];
    draft->member.longitude = sql[1];
    const gr_key others[] = {GR_KEY_DIMENSION_SQL, GR_KEY_DIMENSION_CASE};
    for (size_t i = 0; i < 2; i++) gr_model_not_allowed(l, f, others[i]);
    if (draft->member.is_sub_query) gr_model_not_allowed(l, f, GR_KEY_DIMENSION_SUB_QUERY);
}

static void read_value(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    bool has_case = gr_fields_has(f, GR_KEY_DIMENSION_CASE), has_sql = gr_fields_has(f, GR_KEY_DIMENSION_SQL);
    gr_model_not_allowed(l, f, GR_KEY_DIMENSION_LATITUDE);
    gr_model_not_allowed(l, f, GR_KEY_DIMENSION_LONGITUDE);
    const gr_yaml *cases = gr_fields_get(f, GR_KEY_DIMENSION_CASE);
    if (has_case && has_sql)
        gr_model_not_allowed(l, f, GR_KEY_DIMENSION_SQL);
    else if (!has_case && !has_sql)
        gr_model_required(l, f, GR_KEY_DIMENSION_SQL);
    else if (cases)
        read_case(l, draft, cases, f->place);
    bool is_sub_query = draft->member.is_sub_query;
    if (has_case && is_sub_query) gr_model_not_allowed(l, f, GR_KEY_DIMENSION_SUB_QUERY);
    if (has_case) return;
    gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_DIMENSION_SQL);
    draft->member.sql = sql;
    gr_model_add_binding(l, sql, is_sub_query ? GR_ROLE_SUB_QUERY : GR_ROLE_DIMENSION, draft, NULL);
}

void gr_model_read_dimension(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    static const gr_str orders[] = {GR_STR_INIT("asc"), GR_STR_INIT("desc")};
    gr_member *m = &draft->member;
    m->is_primary_key = gr_fields_flag(f, GR_KEY_DIMENSION_PRIMARY_KEY, false);
    m->is_sub_query = gr_fields_flag(f, GR_KEY_DIMENSION_SUB_QUERY, false);
    m->propagates_filters = m->is_sub_query && gr_fields_flag(f, GR_KEY_DIMENSION_PROPAGATE_FILTERS, false);
    m->suggest_filter_values = gr_fields_flag(f, GR_KEY_DIMENSION_SUGGEST_FILTER_VALUES, true);
    gr_model_read_format(draft, gr_fields_get(f, GR_KEY_DIMENSION_FORMAT));
    m->order = gr_fields_text(f, GR_KEY_DIMENSION_ORDER);
    if (m->order.n && gr_model_word(m->order, orders, 2) < 0)
        gr_model_bad_value(l, f, GR_KEY_DIMENSION_ORDER, "must be one of [asc, desc]");
    bool is_typed = read_type(l, m, f);
    if (is_typed && m->dim_type == GR_DIM_GEO)
        read_geo(l, draft, f);
    else if (is_typed)
        read_value(l, draft, f);
    else if (!gr_fields_has(f, GR_KEY_DIMENSION_VALUES)) {
        gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_DIMENSION_SQL);
        draft->member.sql = sql;
        gr_model_add_binding(l, sql, GR_ROLE_DIMENSION, draft, NULL);
    }
    if (is_typed) read_granularities(l, draft, f);
    gr_model_read_currency(l, draft, f, GR_KEY_DIMENSION_CURRENCY, !is_typed || m->dim_type == GR_DIM_NUMBER);
}
