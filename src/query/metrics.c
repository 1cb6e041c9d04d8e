/* Metrics by dimensions become a query: names are sorted into measures, dimensions and time dimensions with a grain,
 * then the query room's own parser reads them, so that they mean what they mean in any query. Join paths are put back
 * afterwards, for the query format has none. */
#include "query/metrics.h"

#include "query/sql_filter.h"

#include <stdlib.h>

enum { MOST_PARTS = 16 };

typedef struct by_path {
    gr_str id; /* "users.country" */
    gr_path path;
} by_path;

typedef struct reading {
    const gr_model *model;
    gr_arena *arena;
    gr_error *err;
    json_t *json; /* the query */
    GR_VEC(by_path) paths;
} reading;

static gr_status put_name(json_t *list, gr_str name) {
    return json_array_append_new(list, json_stringn(name.p, name.n)) ? GR_ERR_QUERY_INVALID : GR_OK;
}

static size_t split(gr_str name, gr_str *parts) {
    size_t n = 0, from = 0;
    while (n < MOST_PARTS) {
        size_t dot = gr_str_find(name, '.', from);
        size_t end = dot == SIZE_MAX ? name.n : dot;
        parts[n++] = gr_str_sub(name, from, end - from);
        if (dot == SIZE_MAX) return n;
        from = dot + 1;
    }
    return 0;
}

static gr_str tail(const gr_str *parts, size_t n, size_t from) {
    return (gr_str){parts[from].p, (size_t)(parts[n - 1].p + parts[n - 1].n - parts[from].p)};
}

/* "orders.created_at.day": the two parts before the last are a time dimension that has this grain. */
static bool ends_in_grain(const reading *r, const gr_str *parts, size_t n) {
    const gr_member *m;
    if (n < 3 || gr_model_member(r->model, tail(parts, n - 1, n - 3), &m, NULL)) return false;
    return m->kind == GR_MEMBER_DIMENSION && gr_member_granularity(gr_member_base(m), parts[n - 1]);
}

/* The cubes of a path are kept aside under the id that the parser will see. */
static gr_status take_path(reading *r, const gr_str *parts, size_t n_cubes, gr_str id, gr_str whole) {
    by_path p = {.id = id, .path = {GR_NEW_N(r->arena, const gr_cube *, n_cubes), n_cubes}};
    for (size_t i = 0; i < n_cubes; i++) {
        p.path.cubes[i] = gr_model_cube(r->model, parts[i]);
        if (!p.path.cubes[i])
            return gr_error_set(r->err, GR_ERR_QUERY_UNKNOWN_MEMBER,
                                "Cube '" GR_FMT "' not found for path '" GR_FMT "'", GR_ARG(parts[i]), GR_ARG(whole));
        bool is_joined = i == 0;
        for (size_t k = 0; i && k < p.path.cubes[i - 1]->n_joins; k++)
            is_joined |= p.path.cubes[i - 1]->joins[k].to == p.path.cubes[i];
        if (!is_joined)
            return gr_error_set(r->err, GR_ERR_PLAN_NO_JOIN_PATH,
                                "'" GR_FMT "' has no join to '" GR_FMT "', as '" GR_FMT "' says", GR_ARG(parts[i - 1]),
                                GR_ARG(parts[i]), GR_ARG(whole));
    }
    for (size_t i = 0; i < r->paths.n; i++) {
        const by_path *old = &r->paths.v[i];
        if (!gr_str_eq(old->id, id)) continue;
        if (old->path.n == n_cubes && !memcmp(old->path.cubes, p.path.cubes, n_cubes * sizeof *p.path.cubes))
            return GR_OK;
        return gr_error_set(r->err, GR_ERR_QUERY_INVALID, "'" GR_FMT "' is asked for by two join paths", GR_ARG(id));
    }
    GR_PUSH(r->arena, &r->paths, p);
    return GR_OK;
}

static gr_status read_dimension(reading *r, gr_str name, json_t *list) {
    gr_str parts[MOST_PARTS];
    size_t n = split(name, parts);
    size_t n_own = ends_in_grain(r, parts, n) ? 3 : 2;
    if (n <= n_own) return put_name(list, name);
    gr_str id = tail(parts, n - (n_own == 3), n - n_own);
    GR_TRY(take_path(r, parts, n - n_own + 1, id, name));
    return put_name(list, tail(parts, n, n - n_own));
}

/* Members of filters by join path: the parser sees the member, and the path is put back. */
static gr_status shorten(reading *r, json_t *filter) {
    size_t i;
    json_t *item;
    const char *key;
    json_array_foreach(filter, i, item) GR_TRY(shorten(r, item));
    if (!json_is_object(filter)) return GR_OK;
    json_object_foreach(filter, key, item) {
        if (json_is_array(item) && strcmp(key, "values") != 0) GR_TRY(shorten(r, item));
        gr_str parts[MOST_PARTS], name = json_is_string(item) ? gr_json_str(item) : (gr_str){0};
        size_t n = strcmp(key, "member") == 0 && name.n ? split(gr_arena_dup(r->arena, name), parts) : 0;
        if (n <= 2) continue;
        gr_str id = tail(parts, n, n - 2);
        GR_TRY(take_path(r, parts, n - 1, id, name));
        json_object_set_new(filter, key, json_stringn(id.p, id.n));
    }
    return GR_OK;
}

static gr_status read_filter(reading *r, const json_t *item, json_t *list) {
    json_t *made = NULL;
    if (json_is_string(item)) GR_TRY(gr_query_sql_filter(gr_json_str(item), r->arena, &made, r->err));
    json_t *one = made ? NULL : json_deep_copy(item);
    if (made ? json_array_extend(list, made) : json_array_append_new(list, one))
        return gr_error_set(r->err, GR_ERR_QUERY_INVALID, "A filter is a SQL text or a query filter");
    return GR_OK;
}

const gr_filter *gr_query_relative_filter(const gr_filter *f) {
    for (size_t i = 0; i < f->n_children; i++) {
        const gr_filter *found = gr_query_relative_filter(f->children[i]);
        if (found) return found;
    }
    bool is_time = f->kind == GR_FILTER_LEAF && f->field.member->kind == GR_MEMBER_DIMENSION &&
                   f->field.member->dim_type == GR_DIM_TIME;
    for (size_t i = 0; is_time && i < f->n_values; i++) {
        int64_t us;
        gr_time_zone_part zone;
        bool is_date;
        if (!gr_time_parse(gr_str_trim(f->values[i]), &us, &zone, &is_date)) return f;
    }
    return NULL;
}

static gr_status check(const reading *r, const gr_query *q) {
    if (q->n_measure_filters)
        return gr_error_set(r->err, GR_ERR_QUERY_INVALID, "A filter is on a measure, and what is stored are rows");
    for (size_t i = 0; i < q->n_row_filters; i++) {
        const gr_filter *f = gr_query_relative_filter(q->row_filters[i]);
        if (f)
            return gr_error_set(r->err, GR_ERR_QUERY_INVALID,
                                "The filter on '" GR_FMT "' has a relative date, and what is stored stays",
                                GR_ARG(f->field.id));
    }
    return GR_OK;
}

static void put_path(const reading *r, gr_field *field) {
    for (size_t i = 0; i < r->paths.n; i++)
        if (gr_str_eq(r->paths.v[i].id, field->id)) field->path = r->paths.v[i].path;
}

static void put_filter_path(const reading *r, gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) put_path(r, &f->field);
    for (size_t i = 0; i < f->n_children; i++) put_filter_path(r, f->children[i]);
}

/* Filters are kept by member, without path: a path must be one that a dimension names too, which keeps it. */
static gr_status check_filter_path(const reading *r, const gr_query *q, const gr_filter *f) {
    for (size_t i = 0; i < f->n_children; i++) GR_TRY(check_filter_path(r, q, f->children[i]));
    if (f->kind != GR_FILTER_LEAF || f->field.path.n < 2 || f->field.asked->alias_of) return GR_OK;
    const gr_cube *cube = f->field.path.cubes[f->field.path.n - 1];
    size_t n = q->n_dimensions + q->n_time_dimensions;
    for (size_t i = 0; i < n; i++) {
        const gr_field *d = i < q->n_dimensions ? &q->dimensions[i] : &q->time_dimensions[i - q->n_dimensions].field;
        if (d->path.n >= f->field.path.n && d->path.cubes[f->field.path.n - 1] == cube) return GR_OK;
    }
    gr_status status =
        gr_error_set(r->err, GR_ERR_QUERY_INVALID,
                     "The filter reaches '" GR_FMT "' by a join path that no dimension takes", GR_ARG(f->field.id));
    gr_error_hint(r->err, "write " GR_FMT " without the path, or add a dimension by the same path",
                  GR_ARG(f->field.id));
    return status;
}

static gr_status read_all(reading *r, const gr_metrics_ask *ask) {
    json_t *measures = json_array(), *dimensions = json_array(), *filters = json_array();
    json_object_set_new(r->json, "measures", measures);
    json_object_set_new(r->json, "dimensions", dimensions);
    json_object_set_new(r->json, "filters", filters);
    if (ask->time_zone.n) json_object_set_new(r->json, "timezone", json_stringn(ask->time_zone.p, ask->time_zone.n));
    for (size_t i = 0; i < ask->n_metrics; i++) GR_TRY(put_name(measures, ask->metrics[i]));
    for (size_t i = 0; i < ask->n_dimensions; i++) GR_TRY(read_dimension(r, ask->dimensions[i], dimensions));
    for (size_t i = 0; i < json_array_size(ask->filters); i++)
        GR_TRY(read_filter(r, json_array_get(ask->filters, i), filters));
    return shorten(r, filters);
}

static void release(void *json) { json_decref(json); }

gr_status gr_query_of_metrics(const gr_model *model, const gr_metrics_ask *ask, gr_arena *arena, gr_query **ret,
                              gr_error *err) {
    gr_query_options options = {.default_limit = 1,
                                .max_limit = 1,
                                .max_members = 2000,
                                .max_filter_depth = 28,
                                .max_filter_values = 10000,
                                .default_tz = gr_tz_utc(),
                                .sees_hidden = true};
    reading r = {.model = model, .arena = arena, .err = err, .json = json_object()};
    gr_arena_defer(arena, release, r.json);
    GR_TRY(read_all(&r, ask));
    gr_query *q;
    GR_TRY(gr_query_parse(model, r.json, &options, arena, &q, err));
    GR_TRY(check(&r, q));
    for (size_t i = 0; i < q->n_dimensions; i++) put_path(&r, &q->dimensions[i]);
    for (size_t i = 0; i < q->n_time_dimensions; i++) put_path(&r, &q->time_dimensions[i].field);
    for (size_t i = 0; i < q->n_row_filters; i++) put_filter_path(&r, q->row_filters[i]);
    for (size_t i = 0; i < q->n_row_filters; i++) GR_TRY(check_filter_path(&r, q, q->row_filters[i]));
    q->limit = -1;
    *ret = q;
    return GR_OK;
}

gr_str gr_query_filters_text(const gr_query *query, gr_arena *arena) {
    const json_t *filters = json_object_get(query->normalized, "filters");
    if (!json_array_size(filters)) return (gr_str){0};
    char *text = json_dumps(filters, JSON_COMPACT | JSON_SORT_KEYS);
    gr_str kept = text ? gr_arena_dup(arena, gr_str_from(text)) : (gr_str){0};
    free(text);
    return kept;
}
