/* Time dimensions: the object form, the plain string (decisions 25), and the ids of three parts among `dimensions`.
 * Invariant: a dimension at a granularity is one column, however often it is named; every date range that was given is
 * in the query, for ranges of one dimension are ANDed. */
#include "query/internal.h"

enum { MAX_GRANULARITY_BYTES = 128 };

typedef struct time_request {
    gr_str dimension, granularity;
    const json_t *range; /* or NULL */
    bool is_compared;    /* it is one of compareDateRange, at `compared_index` */
    size_t compared_index;
    gr_query_place place;
    size_t item;
} time_request;

static gr_status no_granularity(gr_query_parser *p, const time_request *r) {
    return gr_error_set(p->err, GR_ERR_QUERY_GRANULARITY,
                        "Granularity \"" GR_FMT "\" does not exist in dimension " GR_FMT,
                        GR_ARG(gr_query_shown(r->granularity)), GR_ARG(gr_query_shown(r->dimension)));
}

static gr_status find_granularity(gr_query_parser *p, const time_request *r, gr_time_field *time) {
    const gr_member *member = time->field.member;
    time->granularity = gr_member_granularity(member, r->granularity);
    if (!time->granularity) {
        gr_str names[GR_GRAIN_CUSTOM + 32];
        size_t n = 0;
        for (gr_grain g = GR_GRAIN_SECOND; g < GR_GRAIN_CUSTOM; g++) names[n++] = gr_grain_name(g);
        for (size_t i = 0; i < member->n_granularities && n < sizeof names / sizeof *names; i++)
            names[n++] = member->granularities[i].name;
        gr_status status = no_granularity(p, r);
        gr_str near = gr_diags_nearest(r->granularity, names, n);
        if (near.n) gr_error_hint(p->err, "did you mean \"" GR_FMT "\"?", GR_ARG(near));
        return status;
    }
    if (time->granularity->sql.n)
        return gr_error_set(p->err, GR_ERR_QUERY_UNSUPPORTED,
                            "Granularity \"" GR_FMT "\" of " GR_FMT " is defined by SQL, which is not supported yet",
                            GR_ARG(r->granularity), GR_ARG(gr_query_shown(r->dimension)));
    if (time->granularity->grain == GR_GRAIN_CUSTOM)
        time->anchor_local_us = gr_granularity_anchor(time->granularity, p->query->tz, p->options->now_us);
    return GR_OK;
}

static gr_status read_range(gr_query_parser *p, const time_request *r, gr_range *ret) {
    gr_query_place at_key = gr_query_at_key(&r->place, r->is_compared ? "compareDateRange" : "dateRange");
    gr_query_place at_item = gr_query_at_item(&at_key, r->compared_index);
    const gr_query_place *place = r->is_compared ? &at_item : &at_key;
    const gr_tz *tz = p->query->tz;
    int64_t now = p->options->now_us;
    if (json_is_string(r->range)) return gr_range_parse_text(gr_json_str(r->range), tz, now, p->arena, ret, p->err);
    if (!json_is_array(r->range)) return gr_query_bad(p, place, "must be a string or an array");
    size_t n = json_array_size(r->range);
    if (n < 1) return gr_query_bad(p, place, "must contain at least 1 items");
    if (n > 2) return gr_query_bad(p, place, "must contain less than or equal to 2 items");
    gr_str ends[2];
    for (size_t i = 0; i < 2; i++) {
        size_t index = i < n ? i : 0;
        gr_query_place at = gr_query_at_item(place, index);
        GR_TRY(gr_query_want_str(p, json_array_get(r->range, index), &at, &ends[i]));
    }
    return gr_range_parse_pair(ends[0], ends[1], tz, now, p->arena, ret, p->err);
}

/* Where the range is found. */
static size_t add_time(gr_query_parser *p, gr_query_times *times, gr_map *seen, gr_time_field time) {
    gr_str granularity = time.granularity ? time.granularity->name : (gr_str){0};
    gr_str key = gr_arena_printf(p->arena, GR_FMT "." GR_FMT, GR_ARG(time.field.id), GR_ARG(granularity));
    size_t at = (uintptr_t)gr_map_get(seen, key);
    if (at) {
        gr_time_field *first = &times->v[at - 1];
        if (!time.has_range) return at - 1;
        if (!first->has_range) {
            first->range = time.range;
            first->has_range = true;
            return at - 1;
        }
        time.granularity = NULL; /* the column is there: only the range is new */
    } else {
        gr_map_put(seen, key, (void *)(uintptr_t)(times->n + 1));
    }
    GR_PUSH(p->arena, times, time);
    return times->n - 1;
}

static gr_status read_time(gr_query_parser *p, const time_request *r, gr_time_field *ret) {
    gr_time_field time = {0};
    GR_TRY(gr_query_resolve(p, r->dimension, GR_QUERY_DIMENSION, false, &time.field));
    if (time.field.member->dim_type != GR_DIM_TIME) {
        gr_status status = r->granularity.n
                               ? no_granularity(p, r)
                               : gr_error_set(p->err, GR_ERR_QUERY_INVALID, GR_FMT " is not a time dimension",
                                              GR_ARG(gr_query_shown(r->dimension)));
        gr_error_hint(p->err, "only dimensions of type time have granularities and date ranges");
        return status;
    }
    if (r->granularity.p) GR_TRY(find_granularity(p, r, &time));
    if (r->range) {
        GR_TRY(read_range(p, r, &time.range));
        time.has_range = true;
    }
    *ret = time;
    return GR_OK;
}

/* The first range stands for all, which differ in nothing else. */
static gr_status read_compared(gr_query_parser *p, const json_t *compared, time_request *r) {
    gr_query_place place = gr_query_at_key(&r->place, "compareDateRange");
    size_t n = json_array_size(compared);
    if (r->range)
        return gr_query_bad(p, &r->place,
                            "contains a conflict between optional exclusive peers [dateRange, compareDateRange]");
    if (!json_is_array(compared)) return gr_query_bad(p, &place, "must be an array");
    if (!p->may_compare)
        return gr_error_set(p->err, GR_ERR_QUERY_UNSUPPORTED,
                            "compareDateRange is not supported here: it makes several queries of one");
    if (p->compared)
        return gr_error_set(p->err, GR_ERR_QUERY_INVALID, "compareDateRange can only exist for one timeDimension");
    if (n < 1) return gr_query_bad(p, &place, "must contain at least 1 items");
    if (n > GR_QUERY_MAX_SET)
        return gr_error_set(p->err, GR_ERR_LIMIT, "compareDateRange has %zu ranges, the limit is %d", n,
                            GR_QUERY_MAX_SET);
    p->compared = compared;
    p->compared_item = r->item;
    r->range = json_array_get(compared, 0);
    r->is_compared = true;
    return GR_OK;
}

gr_status gr_query_read_compared(gr_query_parser *p, size_t index, gr_range *ret) {
    gr_query_place list = gr_query_at_key(NULL, "timeDimensions");
    time_request r = {.place = gr_query_at_item(&list, p->compared_item),
                      .range = json_array_get(p->compared, index),
                      .is_compared = true,
                      .compared_index = index};
    return read_range(p, &r, ret);
}

static gr_status read_object(gr_query_parser *p, json_t *item, time_request *r) {
    static const gr_str keys[] = {GR_STR_INIT("dimension"), GR_STR_INIT("granularity"), GR_STR_INIT("dateRange"),
                                  GR_STR_INIT("compareDateRange")};
    GR_TRY(gr_query_check_keys(p, item, &r->place, keys, sizeof keys / sizeof *keys));
    gr_query_place at_dimension = gr_query_at_key(&r->place, "dimension");
    gr_query_place at_granularity = gr_query_at_key(&r->place, "granularity");
    const json_t *dimension = json_object_get(item, "dimension");
    if (!dimension) return gr_query_bad(p, &at_dimension, "is required");
    GR_TRY(gr_query_want_str(p, dimension, &at_dimension, &r->dimension));
    GR_TRY(gr_query_check_id(p, &at_dimension, r->dimension, 2));
    const json_t *granularity = json_object_get(item, "granularity");
    if (granularity && !json_is_null(granularity)) {
        GR_TRY(gr_query_want_str(p, granularity, &at_granularity, &r->granularity));
        if (r->granularity.n > MAX_GRANULARITY_BYTES)
            return gr_query_bad(p, &at_granularity, "length must be less than or equal to %d bytes long",
                                MAX_GRANULARITY_BYTES);
    }
    r->range = json_object_get(item, "dateRange");
    const json_t *compared = json_object_get(item, "compareDateRange");
    return compared ? read_compared(p, compared, r) : GR_OK;
}

static gr_status read_item(gr_query_parser *p, json_t *item, time_request *r) {
    if (json_is_object(item)) return read_object(p, item, r);
    if (!json_is_string(item)) return gr_query_bad(p, &r->place, "must be of type object");
    r->dimension = gr_json_str(item);
    return gr_query_check_id(p, &r->place, r->dimension, 2);
}

gr_status gr_query_read_times(gr_query_parser *p) {
    gr_query_place list_place = gr_query_at_key(NULL, "timeDimensions");
    gr_query_times times = {0};
    gr_time_field time;
    json_t *list;
    gr_map seen;
    gr_map_init(&seen, p->arena);
    GR_TRY(gr_query_get_list(p, p->json, &list_place, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        time_request r = {.place = gr_query_at_item(&list_place, i), .item = i};
        GR_TRY(read_item(p, json_array_get(list, i), &r));
        GR_TRY(read_time(p, &r, &time));
        size_t at = add_time(p, &times, &seen, time);
        if (r.is_compared) p->compared_time = at;
    }
    gr_query_place dimensions = gr_query_at_key(NULL, "dimensions");
    for (size_t i = 0; i < p->suffixed.n; i++) {
        const gr_query_suffixed *s = &p->suffixed.v[i];
        time_request r = {
            .dimension = s->id, .granularity = s->granularity, .place = gr_query_at_item(&dimensions, s->index)};
        GR_TRY(read_time(p, &r, &time));
        (void)add_time(p, &times, &seen, time);
    }
    p->query->time_dimensions = times.v;
    p->query->n_time_dimensions = times.n;
    return GR_OK;
}
