/* Answers about a query that is not run: its SQL, its normal form, and the decision: what serves it and what does not.
 * Invariant: a value of the query never stands in the SQL text; it is listed in `params`. Source: cube.md 3.7;
 * decisions 14. */
#include "http/encode.h"
#include "store/store.h"

static void put_time_value(gr_jw *w, const gr_value *value) {
    char text[48];
    size_t n =
        value->type == GR_TYPE_DATE ? gr_date_format((int32_t)value->as.i, text) : gr_time_format(value->as.i, text);
    if (value->type == GR_TYPE_TIMESTAMPTZ) text[n++] = 'Z';
    gr_jw_str(w, (gr_str){text, n});
}

static void put_value(gr_jw *w, const gr_value *value) {
    switch (value->type) {
    case GR_TYPE_BOOL: gr_jw_bool(w, value->as.b); return;
    case GR_TYPE_INT64: gr_jw_i64(w, value->as.i); return;
    case GR_TYPE_FLOAT64: gr_jw_f64(w, value->as.d); return;
    case GR_TYPE_UTF8: gr_jw_str(w, value->as.s); return;
    case GR_TYPE_DATE:
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: put_time_value(w, value); return;
    case GR_TYPE_NULL:
    case GR_TYPE_DECIMAL:
    case GR_TYPE_BINARY:
    case GR_TYPE__COUNT: break;
    }
    gr_jw_null(w);
}

void gr_http_put_params(gr_jw *w, const gr_sql *sql) {
    gr_jw_array(w);
    for (size_t i = 0; i < sql->n_params; i++) put_value(w, &sql->params[i]);
    gr_jw_array_end(w);
}

/* Orders name a time dimension without its granularity, as the query does. */
static gr_str order_id(const gr_query *query, const gr_order *order) {
    const gr_query_column *column = &query->columns[order->column];
    return column->kind == GR_COLUMN_TIME ? query->time_dimensions[column->index].field.id : column->key;
}

/* ---- /v1/sql --------------------------------------------------------------------------------- */
static void put_descriptions(gr_jw *w, const gr_plan *plan, const gr_config *config, gr_arena *arena) {
    gr_jw_key(w, GR_STR("preAggregations"));
    gr_jw_array(w);
    for (size_t i = 0; i < plan->n_uses; i++) {
        const gr_rollup *rollup = plan->uses[i].rollup;
        gr_jw_object(w);
        gr_jw_key_str(w, "preAggregationId", rollup->preagg->id);
        gr_jw_key_str(w, "tableName", gr_store_table_key(config, rollup, arena));
        gr_jw_key_str(w, "type", gr_http_preagg_type(rollup->preagg));
        gr_jw_key_bool(w, "external", rollup->is_external);
        gr_jw_key_str(w, "dataSource", plan->data_source);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_aliases(gr_jw *w, const gr_query *query) {
    gr_jw_key(w, GR_STR("aliasNameToMember"));
    gr_jw_object(w);
    for (size_t c = 0; c < query->n_columns; c++) {
        gr_jw_key(w, query->columns[c].alias);
        gr_jw_str(w, query->columns[c].key);
    }
    gr_jw_object_end(w);
}

void gr_http_put_refusal(gr_jw *w, const gr_refusal *refusal, bool with_name, gr_arena *arena) {
    gr_jw_object(w);
    if (with_name) gr_jw_key_str(w, "pre_aggregation", refusal->rollup->preagg->id);
    gr_jw_key_str(w, "rule", gr_rule_id(refusal->rule));
    if (refusal->member) gr_jw_key_str(w, "member", refusal->member->id);
    if (refusal->granularity) gr_jw_key_str(w, "granularity", refusal->granularity->name);
    gr_jw_key_str(w, "detail", gr_refusal_detail(refusal, arena));
    gr_http_put_text_key(w, "repair", gr_refusal_repair(refusal, arena));
    gr_jw_object_end(w);
}

static void put_refusals(gr_jw *w, const gr_plan *plan, gr_arena *arena) {
    gr_jw_array(w);
    for (size_t i = 0; i < plan->n_refusals; i++) gr_http_put_refusal(w, &plan->refusals[i], true, arena);
    gr_jw_array_end(w);
}

gr_status gr_http_encode_sql(const gr_answer *answer, const gr_config *config, gr_arena *arena, gr_buf *out,
                             gr_error *err) {
    const gr_query *query = answer->query;
    gr_jw writer, *w = &writer;
    gr_jw_init(w, out);
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("sql"));
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("sql"));
    gr_jw_array(w);
    gr_jw_str(w, answer->sql.text);
    gr_http_put_params(w, &answer->sql);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("order"));
    gr_jw_array(w);
    for (size_t i = 0; i < query->n_order; i++) {
        gr_jw_object(w);
        gr_jw_key_str(w, "id", order_id(query, &query->order[i]));
        gr_jw_key_bool(w, "desc", query->order[i].is_desc);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_key_bool(w, "external", gr_http_is_external(answer->plan));
    put_descriptions(w, answer->plan, config, arena);
    put_aliases(w, query);
    gr_jw_key_str(w, "dataSource", answer->plan->data_source);
    gr_jw_key(w, GR_STR("rollupMatchResults"));
    put_refusals(w, answer->plan, arena);
    gr_jw_object_end(w);
    gr_jw_key_str(w, "dataSource", answer->plan->data_source);
    gr_jw_object_end(w);
    return gr_http_encode_check(out, err);
}

/* ---- /v1/dry-run ----------------------------------------------------------------------------- */
static void put_ids(gr_jw *w, const char *key, const gr_field *fields, size_t n) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) gr_jw_str(w, fields[i].id);
    gr_jw_array_end(w);
}

/* The reference's description of the query for its matcher, as far as a client can use it. */
static void put_transformed(gr_jw *w, const gr_query *query) {
    gr_jw_object(w);
    put_ids(w, "measures", query->measures, query->n_measures);
    put_ids(w, "sortedDimensions", query->dimensions, query->n_dimensions);
    gr_jw_key(w, GR_STR("timeDimensions"));
    gr_jw_array(w);
    for (size_t i = 0; i < query->n_time_dimensions; i++) {
        const gr_time_field *time = &query->time_dimensions[i];
        gr_jw_array(w);
        gr_jw_str(w, time->field.id);
        if (time->granularity)
            gr_jw_str(w, time->granularity->name);
        else
            gr_jw_null(w);
        gr_jw_array_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_key_str(w, "timezone", gr_tz_name(query->tz));
    gr_jw_key_bool(w, "ungrouped", query->is_ungrouped);
    gr_jw_object_end(w);
}

static void put_order(gr_jw *w, const gr_query *query) {
    gr_jw_object(w);
    for (size_t i = 0; i < query->n_order; i++) {
        gr_jw_key(w, order_id(query, &query->order[i]));
        gr_jw_str(w, query->order[i].is_desc ? GR_STR("desc") : GR_STR("asc"));
    }
    gr_jw_object_end(w);
}

gr_status gr_http_encode_dry_run(const gr_query_set *set, gr_arena *arena, gr_buf *out, gr_error *err) {
    gr_jw writer, *w = &writer;
    gr_jw_init(w, out);
    gr_jw_object(w);
    gr_jw_key_str(w, "queryType", gr_query_type_name(set->type));
    gr_jw_key(w, GR_STR("normalizedQueries"));
    gr_jw_array(w);
    for (size_t i = 0; i < set->n; i++) gr_http_put_normalized(w, set->queries[i]);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("queryOrder"));
    gr_jw_array(w);
    for (size_t i = 0; i < set->n; i++) put_order(w, set->queries[i]);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("transformedQueries"));
    gr_jw_array(w);
    for (size_t i = 0; i < set->n; i++) put_transformed(w, set->queries[i]);
    gr_jw_array_end(w);
    gr_http_put_pivot(w, set, arena);
    gr_jw_object_end(w);
    return gr_http_encode_check(out, err);
}

/* ---- decisions ------------------------------------------------------------------------------- */
/* What it reads from elsewhere, when it does. */
static void put_fetches(gr_jw *w, const gr_sql *sql) {
    if (!sql->n_fetches) return;
    gr_jw_key(w, GR_STR("fetches"));
    gr_jw_array(w);
    for (size_t i = 0; i < sql->n_fetches; i++) {
        const gr_sql_fetch *f = &sql->fetches[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "source", f->sql.place);
        gr_jw_key_str(w, "table", f->table);
        gr_jw_key_str(w, "sql", f->sql.text);
        gr_jw_key(w, GR_STR("params"));
        gr_http_put_params(w, &f->sql);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

void gr_http_put_decision(gr_jw *w, const gr_answer *answer, gr_arena *arena) {
    const gr_plan *plan = answer->plan, *shown = answer->shown ? answer->shown : plan;
    gr_jw_key(w, GR_STR("pre_aggregations"));
    gr_jw_array(w);
    for (size_t i = 0; i < shown->n_uses; i++) gr_jw_str(w, shown->uses[i].rollup->preagg->id);
    if (!shown->n_uses && plan->to_build) gr_jw_str(w, plan->to_build->preagg->id);
    gr_jw_array_end(w);
    if (shown->reads_source || (!shown->n_uses && !plan->to_build))
        gr_jw_key_str(w, "source", shown->data_source);
    else
        gr_http_put_null_key(w, "source");
    gr_jw_key_str(w, "exactness", shown->is_non_strict_range ? GR_STR("non_strict_range") : GR_STR("exact"));
    gr_jw_key(w, GR_STR("to_build"));
    gr_jw_array(w);
    if (plan->to_build) {
        gr_jw_object(w);
        gr_jw_key_str(w, "pre_aggregation", plan->to_build->preagg->id);
        if (plan->to_build_zone) gr_jw_key_str(w, "timezone", gr_tz_name(plan->to_build_zone));
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("refusals"));
    put_refusals(w, plan, arena);
    if (answer->sql.text.n)
        gr_jw_key_str(w, "sql", answer->sql.text);
    else
        gr_http_put_null_key(w, "sql");
    gr_jw_key(w, GR_STR("params"));
    gr_http_put_params(w, &answer->sql);
    put_fetches(w, &answer->sql);
}

void gr_http_put_explain(gr_jw *w, const gr_answer *answer, gr_arena *arena) {
    gr_jw_object(w);
    gr_http_put_decision(w, answer, arena);
    gr_jw_object_end(w);
}
