/* Requests of several queries: the ranges of compareDateRange, and arrays (data blending).
 *
 *   {…, compareDateRange: [a, b]}  ->  {…, dateRange: a}, {…, dateRange: b}      read once: only the range differs
 *   [{…}, {…}]                     ->  {…}, {…}                                  of one granularity
 *
 * Invariant: however many ranges there are, filters and members are in memory once; the result is handed out only when
 * every query was good. Source: cube.md 2.3, 2.6. */
#include "query/internal.h"

gr_str gr_query_type_name(gr_query_type type) {
    static const gr_str names[] = {[GR_QUERY_REGULAR] = GR_STR_INIT("regularQuery"),
                                   [GR_QUERY_COMPARE] = GR_STR_INIT("compareDateRangeQuery"),
                                   [GR_QUERY_BLENDING] = GR_STR_INIT("blendingQuery")};
    return names[type];
}

gr_query_type gr_query_type_of(const json_t *json) {
    if (json_is_array(json)) return GR_QUERY_BLENDING;
    const json_t *times = json_object_get(json, "timeDimensions");
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *compared = json_object_get(json_array_get(times, i), "compareDateRange");
        if (compared && !json_is_null(compared)) return GR_QUERY_COMPARE;
    }
    return GR_QUERY_REGULAR;
}

static void put_type(gr_query *query, gr_query_type type) {
    json_object_set_new(query->normalized, "queryType", gr_query_json_text(gr_query_type_name(type)));
}

/* ---- comparison ----------------------------------------------------------------------------- */
static json_t *source_of(gr_query_parser *p, size_t index) {
    json_t *times = json_object_get(p->json, "timeDimensions");
    json_t *item = json_copy(json_array_get(times, p->compared_item));
    json_object_del(item, "compareDateRange");
    json_object_set(item, "dateRange", json_array_get(p->compared, index));
    times = json_copy(times);
    json_array_set_new(times, p->compared_item, item);
    json_t *source = gr_query_json_own(p->arena, json_copy(p->json));
    json_object_set_new(source, "timeDimensions", times);
    return source;
}

/* The first query about another range. */
static gr_query *about(gr_query_parser *p, const gr_query *first, gr_range range) {
    gr_query *q = GR_NEW(p->arena, gr_query);
    *q = *first;
    q->time_dimensions = GR_NEW_N(p->arena, gr_time_field, first->n_time_dimensions);
    memcpy(q->time_dimensions, first->time_dimensions, first->n_time_dimensions * sizeof *first->time_dimensions);
    q->time_dimensions[p->compared_time].range = range;
    q->normalized = gr_query_json_own(p->arena, json_copy(first->normalized));
    gr_query_put_times(q->normalized, q);
    return q;
}

static gr_status parse_compare(gr_query_parser *p, gr_query_set *ret) {
    gr_query *first;
    p->may_compare = true;
    GR_TRY(gr_query_parse_one(p, &first));
    put_type(first, GR_QUERY_COMPARE);
    size_t n = json_array_size(p->compared);
    const gr_query **queries = GR_NEW_N(p->arena, const gr_query *, n);
    gr_range *ranges = GR_NEW_N(p->arena, gr_range, n);
    ranges[0] = first->time_dimensions[p->compared_time].range;
    for (size_t i = 0; i < n; i++) {
        if (i) GR_TRY(gr_query_read_compared(p, i, &ranges[i]));
        gr_query *q = i ? about(p, first, ranges[i]) : first;
        q->source = source_of(p, i);
        queries[i] = q;
    }
    *ret = (gr_query_set){.type = GR_QUERY_COMPARE, .queries = queries, .n = n, .ranges = ranges};
    return GR_OK;
}

/* ---- blending ------------------------------------------------------------------------------- */
static gr_str granularity_of(const gr_query *q) {
    for (size_t c = 0; c < q->n_columns; c++)
        if (q->columns[c].kind == GR_COLUMN_TIME) return q->time_dimensions[q->columns[c].index].granularity->name;
    return (gr_str){0};
}

static gr_status without_granularity(gr_error *err) {
    return gr_error_set(err, GR_ERR_QUERY_UNSUPPORTED, "Data blending query without granularity is not supported");
}

static gr_status check_granularities(gr_query_parser *p, const gr_query_set *set, gr_str *ret) {
    gr_str all = {0};
    bool is_missing = false;
    for (size_t i = 0; i < set->n; i++) {
        gr_str one = granularity_of(set->queries[i]);
        if (!one.n)
            is_missing = true;
        else if (!all.n)
            all = one;
        else if (!gr_str_eq(all, one))
            return gr_error_set(p->err, GR_ERR_QUERY_INVALID, "Data blending query granularities must match");
    }
    if (is_missing) return without_granularity(p->err);
    *ret = all;
    return GR_OK;
}

static gr_status fail_in(gr_query_parser *p, gr_status status, size_t index, size_t n) {
    if (!p->err) return status;
    char hint[sizeof p->err->hint];
    memcpy(hint, p->err->hint, sizeof hint);
    gr_error_hint(p->err, "%s%sin query %zu of %zu", hint, hint[0] ? "; " : "", index + 1, n);
    return status;
}

static gr_status parse_blending(gr_query_parser *p, gr_query_set *ret) {
    size_t n = json_array_size(p->json);
    if (!n) return without_granularity(p->err);
    if (n > GR_QUERY_MAX_SET)
        return gr_error_set(p->err, GR_ERR_LIMIT, "The array has %zu queries, the limit is %d", n, GR_QUERY_MAX_SET);
    const gr_query **queries = GR_NEW_N(p->arena, const gr_query *, n);
    gr_query_set set = {.type = GR_QUERY_BLENDING, .queries = queries, .n = n};
    for (size_t i = 0; i < n; i++) {
        gr_query *q;
        gr_status status = gr_query_parse(p->model, json_array_get(p->json, i), p->options, p->arena, &q, p->err);
        if (status) return fail_in(p, status, i, n);
        put_type(q, GR_QUERY_BLENDING);
        queries[i] = q;
    }
    GR_TRY(check_granularities(p, &set, &set.granularity));
    *ret = set;
    return GR_OK;
}

/* ---- any ------------------------------------------------------------------------------------ */
static gr_status parse_regular(gr_query_parser *p, gr_query_set *ret) {
    gr_query *query;
    GR_TRY(gr_query_parse_one(p, &query));
    const gr_query **queries = GR_NEW_N(p->arena, const gr_query *, 1);
    queries[0] = query;
    *ret = (gr_query_set){.queries = queries, .n = 1};
    return GR_OK;
}

gr_status gr_query_parse_set(const gr_model *model, json_t *json, const gr_query_options *options, gr_arena *arena,
                             gr_query_set *ret, gr_error *err) {
    static gr_status (*const parsers[])(gr_query_parser *, gr_query_set *) = {
        [GR_QUERY_REGULAR] = parse_regular, [GR_QUERY_COMPARE] = parse_compare, [GR_QUERY_BLENDING] = parse_blending};
    gr_query_parser p = {.model = model, .options = options, .arena = arena, .err = err, .json = json};
    return parsers[gr_query_type_of(json)](&p, ret);
}
