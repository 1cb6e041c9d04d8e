/* The availability callback (dj.md 4.6): what a table holds that somebody else fills, be it registered or made of an
 * entity's SQL. Bounds of the same table only widen; what is said of another one replaces them. */
#include "serve/external.h"

#include "data/json.h"

#include <stdio.h>

/* ---- the callback --------------------------------------------------------------------------------------------------
 */

/* null is as good as absent. */
static const json_t *schema_of(const json_t *body) {
    const json_t *schema = json_object_get(body, "schema");
    return json_is_string(schema) ? schema : json_object_get(body, "schema_");
}

static gr_status want(const json_t *body, const char *key, const char *other, gr_error *err) {
    if (json_is_string(json_object_get(body, key)) || (other && json_is_string(json_object_get(body, other))))
        return GR_OK;
    return gr_error_set(err, GR_ERR_QUERY_INVALID, "availability needs the text \"%s\"", key);
}

/* Parts of a partition's bound as text; numbers are turned into it. */
static json_t *texts_of(const json_t *list) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        char buf[32];
        if (json_is_integer(v)) snprintf(buf, sizeof buf, "%lld", (long long)json_integer_value(v));
        json_array_append_new(out, json_is_integer(v)  ? json_string(buf)
                                   : json_is_string(v) ? json_deep_copy(v)
                                                       : json_string(""));
    }
    return out;
}

static bool is_digits(const char *s) {
    for (; *s; s++)
        if (*s < '0' || *s > '9') return false;
    return true;
}

/* Bounds are compared part by part: as numbers where both are digits of different lengths (text order would call 9
 * later than 10), else as text. */
static int compare_bounds(const json_t *a, const json_t *b) {
    size_t n = json_array_size(a) < json_array_size(b) ? json_array_size(a) : json_array_size(b);
    for (size_t i = 0; i < n; i++) {
        const char *x = json_string_value(json_array_get(a, i)), *y = json_string_value(json_array_get(b, i));
        if (is_digits(x) && is_digits(y) && strlen(x) != strlen(y)) return strlen(x) < strlen(y) ? -1 : 1;
        int order = strcmp(x, y);
        if (order) return order;
    }
    return (int)json_array_size(a) - (int)json_array_size(b);
}

static bool is_same_table(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"catalog", "schema", "table"};
    for (size_t i = 0; i < 3; i++)
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i]))) return false;
    return true;
}

static void keep_outer(json_t *fresh, const json_t *old, const char *key, int sign) {
    const json_t *was = json_object_get(old, key), *is = json_object_get(fresh, key);
    if (!json_array_size(was)) return;
    if (!json_array_size(is) || compare_bounds(was, is) * sign > 0)
        json_object_set_new(fresh, key, json_deep_copy(was));
}

static json_t *merged(const json_t *body, const json_t *old) {
    static const char *const kept[] = {"url",        "links",           "categorical_partitions", "temporal_partitions",
                                       "partitions", "valid_through_ts"};
    json_t *a = json_object();
    json_object_set_new(a, "catalog", json_deep_copy(json_object_get(body, "catalog")));
    json_object_set_new(a, "schema", json_deep_copy(schema_of(body)));
    json_object_set_new(a, "table", json_deep_copy(json_object_get(body, "table")));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(body, kept[i]))
            json_object_set_new(a, kept[i], json_deep_copy(json_object_get(body, kept[i])));
    json_object_set_new(a, "min_temporal_partition", texts_of(json_object_get(body, "min_temporal_partition")));
    json_object_set_new(a, "max_temporal_partition", texts_of(json_object_get(body, "max_temporal_partition")));
    if (old && is_same_table(a, old)) {
        keep_outer(a, old, "min_temporal_partition", -1);
        keep_outer(a, old, "max_temporal_partition", 1);
    }
    return a;
}

static gr_status check_body(const json_t *body, gr_error *err) {
    if (!json_is_object(body)) return gr_error_set(err, GR_ERR_QUERY_INVALID, "availability must be an object");
    GR_TRY(want(body, "catalog", NULL, err));
    GR_TRY(want(body, "schema", "schema_", err));
    GR_TRY(want(body, "table", NULL, err));
    if (!json_is_integer(json_object_get(body, "valid_through_ts")))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "availability needs the integer \"valid_through_ts\"");
    return GR_OK;
}

/* The callback names the table that is registered: another one would hold who knows what. */
static gr_status check_table(const gr_entity_view *view, const json_t *body, gr_error *err) {
    char name[800];
    snprintf(name, sizeof name, "%s.%s.%s", json_string_value(json_object_get(body, "catalog")),
             json_string_value(schema_of(body)), json_string_value(json_object_get(body, "table")));
    if (!view->row.decl.external.n || gr_str_eq_z(view->table, name)) return GR_OK;
    return gr_error_set(err, GR_ERR_QUERY_INVALID,
                        "Pre-aggregation %lld is the table " GR_FMT ", and not %s: register that one",
                        (long long)view->row.id, GR_ARG(view->table), name);
}

/* ---- a table that was made of an entity's own SQL ------------------------------------------------------------------
 */

/* Values that cannot be merged need one row for each group. */
static gr_status check_unique(gr_serve *serve, const gr_external_work *w, const gr_rollup *r, gr_str data_source,
                              gr_arena *arena, gr_error *err) {
    const gr_dialect *dialect = gr_sql_place_of(gr_exec_places(serve->exec), data_source)->dialect;
    gr_str by = {0};
    for (size_t i = 0; i < r->n_columns; i++)
        by = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(by), i ? ", " : " GROUP BY ",
                             GR_ARG(gr_sql_quote(dialect, r->columns[i].name, arena)));
    gr_str text = gr_arena_printf(
        arena, "SELECT count(*) FROM (SELECT 1 FROM " GR_FMT GR_FMT " HAVING count(*) > 1 LIMIT 1) AS t",
        GR_ARG(w->table_text), GR_ARG(by));
    gr_sql sql = gr_sql_given(gr_exec_places(serve->exec), data_source, text);
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_stream *stream;
    const gr_batch *batch;
    int64_t n_twice = 0;
    GR_TRY(gr_exec_query(serve->exec, &ctx, &sql, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    if (!status && batch && batch->n_rows) n_twice = ((const int64_t *)batch->columns[0].data)[0];
    stream->close(stream);
    if (status || !n_twice) return status;
    return gr_error_set(err, GR_ERR_QUERY_INVALID,
                        "The table has several rows for one group, and holds measures that cannot be merged");
}

static bool has_unmergeable(const gr_rollup *r) {
    for (size_t i = 0; i < r->n_components; i++)
        if (!gr_component_is_mergeable(r->components[i].component.agg)) return true;
    return false;
}

/* Its columns are those that the SQL names, of types that can be read as ours. What it holds is what is declared now.
 */
static gr_status put_columns(const gr_external_work *w, const gr_rollup *r, const gr_entity_view *view,
                             json_t *availability) {
    json_t *dimensions = json_object(), *measures = json_object(), *held = json_array();
    json_object_set_new(availability, "dimensions", dimensions);
    json_object_set_new(availability, "measures", measures);
    json_object_set_new(availability, "components", held);
    for (size_t i = 0; i < r->n_columns + r->n_components; i++) {
        const gr_rollup_column *c = i < r->n_columns ? &r->columns[i] : NULL;
        const gr_rollup_component *m = c ? NULL : &r->components[i - r->n_columns];
        gr_str name = c ? c->name : m->name;
        const gr_column_schema *column;
        GR_TRY(gr_external_need_column(w, name, name, &column));
        GR_TRY(gr_external_check_type(w, column,
                                      c ? gr_external_category_of_column(c)
                                      : m->component.agg == GR_AGG_COUNT_DISTINCT
                                          ? GR_EXTERNAL_NUMBER
                                          : gr_external_category_of(m->component.agg),
                                      name));
        json_object_setn_new(c ? dimensions : measures, name.p, name.n, json_stringn(column->name.p, column->name.n));
    }
    for (size_t i = 0; i < view->row.decl.n_components; i++) {
        const gr_component_decl *c = &view->row.decl.components[i];
        json_array_append_new(
            held, json_pack("{s:s%, s:s%}", "name", c->name.p, c->name.n, "signature", c->signature.p, c->signature.n));
    }
    return GR_OK;
}

static gr_status put_own_table(gr_serve *serve, const gr_snapshot *snapshot, const gr_entity_view *view,
                               json_t *availability, gr_arena *arena, gr_error *err) {
    gr_external_work w = {.serve = serve, .arena = arena, .err = err};
    gr_str source = gr_json_str(json_object_get(availability, "catalog"));
    const gr_rollup *r = gr_exec_rollup_of(snapshot, view->row.id, NULL);
    if (!r)
        return gr_error_set(err, GR_ERR_PREAGG_STALE,
                            "Pre-aggregation %lld is of a definition that the model in service does not have",
                            (long long)view->row.id);
    GR_TRY(gr_external_find_table(&w, source, gr_json_str(json_object_get(availability, "schema")),
                                  gr_json_str(json_object_get(availability, "table"))));
    GR_TRY(put_columns(&w, r, view, availability));
    if (has_unmergeable(r)) GR_TRY(check_unique(serve, &w, r, source, arena, err));
    gr_str base = view->row.decl.base_hash;
    json_object_set_new(availability, "base_hash", json_stringn(base.p, base.n));
    json_object_set_new(availability, "table_text", json_stringn(w.table_text.p, w.table_text.n));
    json_object_set_new(availability, "at_us", json_integer(gr_clock_now_us()));
    return GR_OK;
}

gr_status gr_serve_availability(gr_serve *serve, int64_t id, const json_t *body, gr_actor actor, gr_arena *arena,
                                gr_entity_view *ret, gr_error *err) {
    gr_entity_view view;
    gr_preagg_row row;
    json_t *old = NULL;
    GR_TRY(gr_serve_view_get(serve, id, arena, &view, err));
    GR_TRY(check_body(body, err));
    GR_TRY(check_table(&view, body, err));
    if (view.row.availability.n && gr_json_parse(view.row.availability, 4 << 20, arena, &old, NULL)) old = NULL;
    json_t *fresh = merged(body, old);
    gr_status status = GR_OK;
    if (!view.row.decl.external.n) {
        const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
        status = put_own_table(serve, snapshot, &view, fresh, arena, err);
        gr_serve_snapshot_unref(snapshot);
    }
    gr_str text = gr_external_dump(fresh, arena);
    json_decref(fresh);
    GR_TRY(status);
    GR_TRY(gr_catalog_availability(gr_exec_catalog(serve->exec), id, text, actor, arena, &row, err));
    GR_TRY(gr_exec_refresh(serve->exec, err));
    return gr_serve_view_get(serve, id, arena, ret, err);
}
