/* What stands around the results of a request: its type, and how a client lays the results side by side.
 *
 *   regular       the query itself
 *   comparison    the first query, with compareDateRange as its first dimension
 *   blend         the members of all, over one common time dimension that is named `time`
 *
 * Invariant: the query of a result is never changed for it. Source: cube.md 3.4. */
#include "http/encode.h"

static void put_compared(gr_jw *w, const gr_query *first) {
    json_t *pivot = json_copy(first->normalized), *dimensions = json_array();
    json_array_append_new(dimensions, json_string("compareDateRange"));
    json_array_extend(dimensions, json_object_get(pivot, "dimensions"));
    json_object_set_new(pivot, "dimensions", dimensions);
    gr_jw_json(w, pivot);
    json_decref(pivot);
}

typedef struct fields {
    const gr_field *v;
    size_t n;
} fields;
static fields measures_of(const gr_query *q) { return (fields){q->measures, q->n_measures}; }
static fields dimensions_of(const gr_query *q) { return (fields){q->dimensions, q->n_dimensions}; }

/* Once each, in the order in which they are met. */
static void put_all(gr_jw *w, const char *key, const gr_query_set *set, fields (*of)(const gr_query *),
                    gr_arena *arena) {
    gr_map seen;
    gr_map_init(&seen, arena);
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < set->n; i++) {
        fields list = of(set->queries[i]);
        for (size_t f = 0; f < list.n; f++)
            if (gr_map_put(&seen, list.v[f].id, &seen)) gr_jw_str(w, list.v[f].id);
    }
    gr_jw_array_end(w);
}

static void put_blended(gr_jw *w, const gr_query_set *set, gr_arena *arena) {
    gr_jw_object(w);
    put_all(w, "measures", set, measures_of, arena);
    put_all(w, "dimensions", set, dimensions_of, arena);
    gr_jw_key(w, GR_STR("timeDimensions"));
    gr_jw_array(w);
    gr_jw_object(w);
    gr_jw_key_str(w, "dimension", GR_STR("time"));
    gr_jw_key_str(w, "granularity", set->granularity);
    gr_jw_object_end(w);
    gr_jw_array_end(w);
    gr_jw_key_str(w, "queryType", gr_query_type_name(set->type));
    gr_jw_object_end(w);
}

void gr_http_put_pivot(gr_jw *w, const gr_query_set *set, gr_arena *arena) {
    gr_jw_key(w, GR_STR("pivotQuery"));
    if (set->type == GR_QUERY_COMPARE)
        put_compared(w, set->queries[0]);
    else if (set->type == GR_QUERY_BLENDING)
        put_blended(w, set, arena);
    else
        gr_http_put_normalized(w, set->queries[0]);
}

void gr_http_encode_set_begin(const gr_query_set *set, gr_jw *w) {
    gr_jw_object(w);
    gr_jw_key_str(w, "queryType", gr_query_type_name(set->type));
    gr_jw_key(w, GR_STR("results"));
    gr_jw_array(w);
}

gr_status gr_http_encode_set_end(const gr_query_set *set, gr_arena *arena, gr_jw *w, gr_error *err) {
    gr_jw_array_end(w);
    gr_http_put_pivot(w, set, arena);
    gr_jw_key_bool(w, "slowQuery", false);
    gr_jw_object_end(w);
    return gr_http_encode_check(w->out, err);
}
