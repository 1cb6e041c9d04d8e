/* The `query` of an answer (cube.md 3.4): what the query was understood as, with dates resolved and defaults filled in.
 * Invariant: everything in it is new JSON, owned by the arena; nothing is shared with the source, which other threads
 * may hold. */
#include "query/internal.h"

static void release(void *json) { json_decref(json); }

json_t *gr_query_json_own(gr_arena *arena, json_t *made) {
    gr_arena_defer(arena, release, made);
    return made;
}

json_t *gr_query_json_text(gr_str text) { return json_stringn_nocheck(text.n ? text.p : "", text.n); }

static void put_text(json_t *object, const char *key, gr_str text) {
    json_object_set_new(object, key, gr_query_json_text(text));
}

static void put_fields(json_t *object, const char *key, const gr_field *fields, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, gr_query_json_text(fields[i].id));
    json_object_set_new(object, key, list);
}

void gr_query_put_times(json_t *normalized, const gr_query *q) {
    json_t *list = json_array();
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        const gr_time_field *t = &q->time_dimensions[i];
        json_t *item = json_object();
        put_text(item, "dimension", t->field.id);
        if (t->granularity) put_text(item, "granularity", t->granularity->name);
        if (t->has_range) {
            json_t *range = json_array();
            json_array_append_new(range, gr_query_json_text(t->range.from_text));
            json_array_append_new(range, gr_query_json_text(t->range.to_text));
            json_object_set_new(item, "dateRange", range);
        }
        json_array_append_new(list, item);
    }
    json_object_set_new(normalized, "timeDimensions", list);
}

static void put_order_entry(json_t *list, gr_str id, const json_t *direction) {
    json_t *entry = json_object();
    put_text(entry, "id", id);
    json_object_set_new(entry, "desc", json_boolean(gr_str_eq_z(gr_json_str(direction), "desc")));
    json_array_append_new(list, entry);
}

/* As asked for; its form was checked when it was read. A default order is not shown, as in the reference. */
static void put_order(json_t *object, json_t *order) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(order); i++) {
        const json_t *pair = json_array_get(order, i);
        put_order_entry(list, gr_json_str(json_array_get(pair, 0)), json_array_get(pair, 1));
    }
    for (void *it = json_object_iter(order); it; it = json_object_iter_next(order, it))
        put_order_entry(list, gr_str_from(json_object_iter_key(it)), json_object_iter_value(it));
    json_object_set_new(object, "order", list);
}

void gr_query_normalize(gr_query_parser *p) {
    static const char *const formats[] = {"default", "compact", "columnar"};
    static const char *const modes[] = {"stale-if-slow", "stale-while-revalidate", "must-revalidate", "no-cache"};
    static const char *const own[] = {"preAggregations", "selection"}; /* words that were checked */
    gr_query *q = p->query;
    json_t *out = gr_query_json_own(p->arena, json_object());
    put_fields(out, "measures", q->measures, q->n_measures);
    put_fields(out, "dimensions", q->dimensions, q->n_dimensions);
    gr_query_put_times(out, q);
    if (q->n_segments) put_fields(out, "segments", q->segments, q->n_segments);
    json_object_set(out, "filters", p->filters);
    put_order(out, json_object_get(p->json, "order"));
    json_object_set_new(out, "limit", json_integer(q->limit));
    json_object_set_new(out, "rowLimit", json_integer(q->limit));
    if (json_object_get(p->json, "offset")) json_object_set_new(out, "offset", json_integer(q->offset));
    put_text(out, "timezone", gr_tz_name(q->tz));
    if (q->want_total) json_object_set_new(out, "total", json_true());
    if (q->is_ungrouped) json_object_set_new(out, "ungrouped", json_true());
    if (q->format) put_text(out, "responseFormat", gr_str_from(formats[q->format]));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        const json_t *word = json_object_get(p->json, own[i]);
        if (word) put_text(out, own[i], gr_json_str(word));
    }
    put_text(out, "queryType", gr_query_type_name(GR_QUERY_REGULAR));
    put_text(out, "cacheMode", gr_str_from(modes[q->cache]));
    q->normalized = out;
}
