/* The answer of /v1/meta: cubes and views as clients see them. Invariant: what is not public is left out with
 * everything in it, and no SQL is shown unless the extended form was asked for. Source: cube.md 3.8. */
#include "http/encode.h"

typedef struct meta {
    gr_jw *w;
    const gr_model *model;
    const gr_cube *cube;
    gr_http_meta_options options;
} meta;

static void put_expr_key(gr_jw *w, const char *key, const gr_expr *expr) {
    if (expr) gr_jw_key_str(w, key, expr->source);
}

static void put_visibility(gr_jw *w, bool is_public) {
    gr_jw_key_bool(w, "isVisible", is_public);
    gr_jw_key_bool(w, "public", is_public);
}

/* ---- members --------------------------------------------------------------------------------- */
static void put_member_head(const meta *m, const gr_member *member) {
    gr_jw_key_str(m->w, "name", member->id);
    gr_http_put_titles(m->w, member);
    gr_http_put_yaml_key(m->w, "meta", member->meta);
    put_visibility(m->w, member->is_public && m->cube->is_public);
    if (member->alias_of) gr_jw_key_str(m->w, "aliasMember", member->alias_of->id);
}

static void put_exprs(gr_jw *w, const char *key, const gr_expr *const *exprs, size_t n) {
    if (!n) return;
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        gr_jw_object(w);
        put_expr_key(w, "sql", exprs[i]);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_measure(const meta *m, const gr_member *member) {
    gr_jw *w = m->w;
    const gr_member *base = gr_member_base(member);
    put_member_head(m, member);
    gr_str type = gr_http_measure_type(member);
    gr_jw_key_str(w, "type", type);
    gr_jw_key_str(w, "aggType", gr_http_agg_type(member));
    gr_http_put_format(w, member, gr_str_eq(type, GR_STR("number")));
    gr_jw_key_bool(w, "cumulative", base->is_cumulative);
    gr_jw_key_bool(w, "cumulativeTotal", base->is_cumulative);
    gr_http_put_drill(w, m->model, member);
    if (!m->options.is_extended) return;
    put_expr_key(w, "sql", base->sql);
    put_exprs(w, "filters", base->filters, base->n_filters);
}

static void put_case(gr_jw *w, const gr_member *base) {
    if (!base->n_cases) return;
    gr_jw_key(w, GR_STR("case"));
    gr_jw_array(w);
    for (size_t i = 0; i < base->n_cases; i++) {
        const gr_case *branch = &base->cases[i];
        gr_jw_object(w);
        put_expr_key(w, "when", branch->when);
        if (branch->label_sql)
            put_expr_key(w, "labelSql", branch->label_sql);
        else
            gr_jw_key_str(w, "label", branch->label);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_dimension(const meta *m, const gr_member *member) {
    gr_jw *w = m->w;
    const gr_member *base = gr_member_base(member);
    put_member_head(m, member);
    gr_str type = gr_http_dim_type(member);
    gr_jw_key_str(w, "type", type);
    gr_http_put_format(w, member, gr_str_eq(type, GR_STR("number")));
    gr_jw_key_bool(w, "suggestFilterValues", member->suggest_filter_values);
    gr_jw_key_bool(w, "primaryKey", base->is_primary_key);
    gr_http_put_text_key(w, "order", base->order);
    if (base->n_granularities) {
        gr_jw_key(w, GR_STR("granularities"));
        gr_jw_array(w);
        for (size_t i = 0; i < base->n_granularities; i++) gr_http_put_granularity(w, &base->granularities[i]);
        gr_jw_array_end(w);
    }
    if (!m->options.is_extended) return;
    put_expr_key(w, "sql", base->sql);
    put_expr_key(w, "latitude", base->latitude);
    put_expr_key(w, "longitude", base->longitude);
    put_case(w, base);
}

static void put_segment(const meta *m, const gr_member *member) {
    put_member_head(m, member);
    if (m->options.is_extended) put_expr_key(m->w, "sql", gr_member_base(member)->sql);
}

static void put_members(const meta *m, const char *key, gr_member *const *members, size_t n,
                        void (*put)(const meta *, const gr_member *)) {
    gr_jw_key(m->w, gr_str_from(key));
    gr_jw_array(m->w);
    for (size_t i = 0; i < n; i++) {
        if (!members[i]->is_public && !m->options.with_hidden) continue;
        gr_jw_object(m->w);
        put(m, members[i]);
        gr_jw_object_end(m->w);
    }
    gr_jw_array_end(m->w);
}

static void put_hierarchies(const meta *m) {
    gr_jw *w = m->w;
    gr_jw_key(w, GR_STR("hierarchies"));
    gr_jw_array(w);
    for (size_t i = 0; i < m->cube->n_hierarchies; i++) {
        const gr_hierarchy *hierarchy = &m->cube->hierarchies[i];
        if (!hierarchy->is_public && !m->options.with_hidden) continue;
        gr_jw_object(w);
        gr_jw_key_str(w, "name", hierarchy->name);
        gr_http_put_text_key(w, "title", hierarchy->title);
        gr_jw_key(w, GR_STR("levels"));
        gr_jw_array(w);
        for (size_t level = 0; level < hierarchy->n_levels; level++) gr_jw_str(w, hierarchy->levels[level]);
        gr_jw_array_end(w);
        put_visibility(w, hierarchy->is_public);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

/* ---- the extended form ----------------------------------------------------------------------- */
static const gr_str relationships[] = {[GR_JOIN_MANY_TO_ONE] = GR_STR_INIT("many_to_one"),
                                       [GR_JOIN_ONE_TO_MANY] = GR_STR_INIT("one_to_many"),
                                       [GR_JOIN_ONE_TO_ONE] = GR_STR_INIT("one_to_one")};

static const gr_str preagg_types[] = {[GR_PREAGG_ROLLUP] = GR_STR_INIT("rollup"),
                                      [GR_PREAGG_ORIGINAL_SQL] = GR_STR_INIT("originalSql"),
                                      [GR_PREAGG_ROLLUP_JOIN] = GR_STR_INIT("rollupJoin"),
                                      [GR_PREAGG_ROLLUP_LAMBDA] = GR_STR_INIT("rollupLambda")};

static void put_joins(const meta *m) {
    gr_jw *w = m->w;
    gr_jw_key(w, GR_STR("joins"));
    gr_jw_array(w);
    for (size_t i = 0; i < m->cube->n_joins; i++) {
        const gr_join *join = &m->cube->joins[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "name", join->to->name);
        gr_jw_key_str(w, "relationship", relationships[join->relationship]);
        put_expr_key(w, "sql", join->sql);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_refs(gr_jw *w, const char *key, const gr_member_ref *refs, size_t n) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) gr_jw_str(w, refs[i].member->id);
    gr_jw_array_end(w);
}

static void put_time_refs(gr_jw *w, const gr_preagg *preagg) {
    gr_jw_key(w, GR_STR("timeDimensions"));
    gr_jw_array(w);
    for (size_t i = 0; i < preagg->n_time_dimensions; i++) {
        const gr_member_ref *ref = &preagg->time_dimensions[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "dimension", ref->member->id);
        if (ref->granularity) gr_jw_key_str(w, "granularity", ref->granularity->name);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_preagg(gr_jw *w, const gr_preagg *preagg) {
    gr_jw_object(w);
    gr_jw_key_str(w, "name", preagg->name);
    gr_jw_key_str(w, "id", preagg->id);
    gr_jw_key_str(w, "type", preagg_types[preagg->type]);
    put_refs(w, "measures", preagg->measures, preagg->n_measures);
    put_refs(w, "dimensions", preagg->dimensions, preagg->n_dimensions);
    put_refs(w, "segments", preagg->segments, preagg->n_segments);
    put_time_refs(w, preagg);
    gr_jw_key_str(w, "build", preagg->build == GR_BUILD_EXPLICIT ? GR_STR("explicit") : GR_STR("on_demand"));
    if (preagg->is_external >= 0) gr_jw_key_bool(w, "external", preagg->is_external != 0);
    if (preagg->is_non_strict >= 0) gr_jw_key_bool(w, "allowNonStrictDateRangeMatch", preagg->is_non_strict != 0);
    gr_jw_key_bool(w, "scheduledRefresh", preagg->scheduled_refresh);
    if (preagg->partition_granularity != GR_GRAIN_NONE)
        gr_jw_key_str(w, "partitionGranularity", gr_grain_name(preagg->partition_granularity));
    gr_http_put_yaml_key(w, "refreshKey", preagg->refresh_key);
    gr_http_put_yaml_key(w, "indexes", preagg->indexes);
    gr_http_put_yaml_key(w, "buildRangeStart", preagg->build_range_start);
    gr_http_put_yaml_key(w, "buildRangeEnd", preagg->build_range_end);
    gr_jw_object_end(w);
}

static void put_extended(const meta *m) {
    const gr_cube *cube = m->cube;
    put_expr_key(m->w, "sql", cube->sql);
    put_expr_key(m->w, "sqlTable", cube->sql_table);
    gr_jw_key_str(m->w, "dataSource", cube->data_source);
    gr_http_put_yaml_key(m->w, "refreshKey", cube->refresh_key);
    put_joins(m);
    gr_jw_key(m->w, GR_STR("preAggregations"));
    gr_jw_array(m->w);
    for (size_t i = 0; i < cube->n_preaggs; i++) put_preagg(m->w, cube->preaggs[i]);
    gr_jw_array_end(m->w);
}

/* ---- cubes ----------------------------------------------------------------------------------- */
static void put_cube(const meta *m) {
    const gr_cube *cube = m->cube;
    gr_jw *w = m->w;
    gr_jw_object(w);
    gr_jw_key_str(w, "name", cube->name);
    gr_jw_key_str(w, "type", cube->is_view ? GR_STR("view") : GR_STR("cube"));
    gr_jw_key_str(w, "title", cube->title);
    put_visibility(w, cube->is_public);
    gr_http_put_text_key(w, "description", cube->description);
    gr_jw_key_i64(w, "connectedComponent", cube->component);
    gr_http_put_yaml_key(w, "meta", cube->meta);
    put_members(m, "measures", cube->measures, cube->n_measures, put_measure);
    put_members(m, "dimensions", cube->dimensions, cube->n_dimensions, put_dimension);
    put_members(m, "segments", cube->segments, cube->n_segments, put_segment);
    put_hierarchies(m);
    gr_jw_key(w, GR_STR("folders"));
    gr_jw_array(w);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("nestedFolders"));
    gr_jw_array(w);
    gr_jw_array_end(w);
    if (m->options.is_extended) put_extended(m);
    gr_jw_object_end(w);
}

gr_status gr_http_encode_meta(const gr_model *model, gr_http_meta_options options, gr_buf *out, gr_error *err) {
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_object(&w);
    gr_jw_key(&w, GR_STR("cubes"));
    gr_jw_array(&w);
    for (size_t i = 0; i < model->n_cubes; i++) {
        const gr_cube *cube = model->cubes[i];
        if ((!cube->is_public && !options.with_hidden) || (!cube->is_view && options.only_views)) continue;
        meta m = {&w, model, cube, options};
        put_cube(&m);
    }
    gr_jw_array_end(&w);
    gr_jw_object_end(&w);
    return gr_http_encode_check(out, err);
}
