/* The query JSON as a whole: which keys there are, the scalars, and the order in which the parts are read (the zone
 * first, for dates are read in it). Invariant: the result is handed out only when every part was good. */
#include "query/internal.h"

static const gr_str formats[] = {GR_STR_INIT("default"), GR_STR_INIT("compact"), GR_STR_INIT("columnar")};
static const gr_str cache_modes[] = {GR_STR_INIT("stale-if-slow"), GR_STR_INIT("stale-while-revalidate"),
                                     GR_STR_INIT("must-revalidate"), GR_STR_INIT("no-cache")};

static const gr_str rollup_uses[] = {GR_STR_INIT("prefer"), GR_STR_INIT("require"), GR_STR_INIT("forbid")};
static const gr_str selections[] = {GR_STR_INIT("first"), GR_STR_INIT("cheapest")};

/* The last two are known to the reference and not executed here. */
static const gr_str keys[] = {
    GR_STR_INIT("measures"),
    GR_STR_INIT("dimensions"),
    GR_STR_INIT("timeDimensions"),
    GR_STR_INIT("filters"),
    GR_STR_INIT("segments"),
    GR_STR_INIT("order"),
    GR_STR_INIT("limit"),
    GR_STR_INIT("offset"),
    GR_STR_INIT("total"),
    GR_STR_INIT("timezone"),
    GR_STR_INIT("ungrouped"),
    GR_STR_INIT("cache"),
    GR_STR_INIT("renewQuery"),
    GR_STR_INIT("responseFormat"),
    GR_STR_INIT("cacheMode"),
    GR_STR_INIT("preAggregations"),
    GR_STR_INIT("selection"),
    GR_STR_INIT("preAggregationVersion"),
    GR_STR_INIT("pre_aggregation_version"),
    GR_STR_INIT("joinHints"),
    GR_STR_INIT("subqueryJoins"),
};

static gr_status check_shape(gr_query_parser *p) {
    if (json_is_array(p->json))
        return gr_error_set(p->err, GR_ERR_QUERY_UNSUPPORTED,
                            "Data blending (an array of queries) is not supported here: one query is expected");
    if (!json_is_object(p->json)) return gr_query_bad(p, NULL, "must be of type object");
    GR_TRY(gr_query_check_keys(p, p->json, NULL, keys, sizeof keys / sizeof *keys));
    for (size_t i = sizeof keys / sizeof *keys - 2; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(p->json, keys[i].p))
            return gr_error_set(p->err, GR_ERR_QUERY_UNSUPPORTED, "\"" GR_FMT "\" is not supported", GR_ARG(keys[i]));
    return GR_OK;
}

static gr_status read_zone(gr_query_parser *p) {
    const json_t *value = json_object_get(p->json, "timezone");
    gr_query_place place = gr_query_at_key(NULL, "timezone");
    gr_str name;
    p->query->tz = p->options->default_tz ? p->options->default_tz : gr_tz_utc();
    if (!value) return GR_OK;
    GR_TRY(gr_query_want_str(p, value, &place, &name));
    return gr_tz_get(name, &p->query->tz, p->err);
}

static gr_status read_limit(gr_query_parser *p) {
    const gr_query_options *o = p->options;
    gr_query *q = p->query;
    q->limit = o->default_limit < o->max_limit ? o->default_limit : o->max_limit;
    GR_TRY(gr_query_get_count(p, "limit", &q->limit));
    GR_TRY(gr_query_get_count(p, "offset", &q->offset));
    if (q->limit <= o->max_limit) return GR_OK;
    gr_status status = gr_error_set(p->err, GR_ERR_QUERY_LIMIT, "The query limit has been exceeded.");
    gr_error_hint(p->err, "the limit is at most %lld rows", (long long)o->max_limit);
    return status;
}

/* renewQuery and a cache mode together: the fresher of the two. */
static gr_status read_cache(gr_query_parser *p) {
    size_t n = sizeof cache_modes / sizeof *cache_modes;
    int mode = GR_CACHE_STALE_IF_SLOW;
    bool is_renewed = false;
    GR_TRY(gr_query_get_word(p, "cacheMode", cache_modes, n, &mode));
    GR_TRY(gr_query_get_word(p, "cache", cache_modes, n, &mode));
    GR_TRY(gr_query_get_bool(p, "renewQuery", &is_renewed));
    if (is_renewed && mode < GR_CACHE_MUST_REVALIDATE) mode = GR_CACHE_MUST_REVALIDATE;
    p->query->cache = (gr_cache_mode)mode;
    return GR_OK;
}

static gr_status read_version(gr_query_parser *p, const char *key) {
    const json_t *value = json_object_get(p->json, key);
    gr_query_place place = gr_query_at_key(NULL, key);
    if (!value || json_is_null(value)) return GR_OK;
    GR_TRY(gr_query_want_str(p, value, &place, &p->query->pinned_version));
    if (p->query->pinned_version.n > 64)
        return gr_query_bad(p, &place, "length must be less than or equal to 64 bytes");
    return GR_OK;
}

static gr_status read_choice(gr_query_parser *p) {
    int use = GR_ROLLUPS_PREFER, selection = -1;
    GR_TRY(gr_query_get_word(p, "preAggregations", rollup_uses, sizeof rollup_uses / sizeof *rollup_uses, &use));
    GR_TRY(gr_query_get_word(p, "selection", selections, sizeof selections / sizeof *selections, &selection));
    GR_TRY(read_version(p, "preAggregationVersion"));
    GR_TRY(read_version(p, "pre_aggregation_version"));
    p->query->rollups = (gr_rollup_use)use;
    p->query->selection = (gr_selection)(GR_SELECTION_FIRST + selection); /* not given: that of the model */
    return GR_OK;
}

static gr_status read_scalars(gr_query_parser *p) {
    int format = GR_FORMAT_DEFAULT;
    GR_TRY(gr_query_get_word(p, "responseFormat", formats, sizeof formats / sizeof *formats, &format));
    p->query->format = (gr_format)format;
    GR_TRY(gr_query_get_bool(p, "total", &p->query->want_total));
    GR_TRY(gr_query_get_bool(p, "ungrouped", &p->query->is_ungrouped));
    GR_TRY(read_cache(p));
    GR_TRY(read_choice(p));
    GR_TRY(read_zone(p));
    return read_limit(p);
}

gr_status gr_query_parse_one(gr_query_parser *p, gr_query **ret) {
    GR_TRY(check_shape(p));
    p->query = GR_NEW(p->arena, gr_query);
    p->query->model = p->model;
    p->query->source = p->json;
    GR_TRY(read_scalars(p));
    GR_TRY(gr_query_read_members(p));
    GR_TRY(gr_query_read_times(p));
    GR_TRY(gr_query_read_filters(p));
    gr_query_make_columns(p);
    if (p->query->n_columns == 0)
        return gr_error_set(p->err, GR_ERR_QUERY_INVALID,
                            "Query should contain either measures, dimensions or timeDimensions with granularities in "
                            "order to be valid");
    GR_TRY(gr_query_read_order(p));
    gr_query_normalize(p);
    *ret = p->query;
    return GR_OK;
}

gr_status gr_query_parse(const gr_model *model, json_t *json, const gr_query_options *options, gr_arena *arena,
                         gr_query **ret, gr_error *err) {
    gr_query_parser p = {.model = model, .options = options, .arena = arena, .err = err, .json = json};
    return gr_query_parse_one(&p, ret);
}
