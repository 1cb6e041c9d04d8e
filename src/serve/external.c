/* Registered tables: rollups that somebody else fills. Their columns are bound to dimensions and stored components, and
 * checked; from then on they are entities like all others, and serve while they are available (dj.md 4.5, 4.6). */
#include "serve/external.h"

#include "base/buf.h"
#include "data/json.h"

#include <stdlib.h>

/* ---- the table -----------------------------------------------------------------------------------------------------
 */

gr_status gr_external_find_table(gr_external_work *w, gr_str catalog, gr_str asked_schema, gr_str table) {
    const gr_config *config = w->serve->config;
    const gr_source_config *source = gr_config_source(config, catalog);
    if (!source)
        return gr_error_set(w->err, GR_ERR_CONFIG_SOURCE_UNKNOWN, "Catalog with name `%.*s` does not exist.",
                            (int)(catalog.n < 100 ? catalog.n : 100), catalog.p);
    const gr_sql_place *place = gr_sql_place_of(gr_exec_places(w->serve->exec), source->name);
    gr_str schema = asked_schema;
    if (!schema.n) schema = place->is_embedded ? GR_STR("main") : source->schema;
    if (source->is_folder) schema = gr_arena_printf(w->arena, "src_" GR_FMT, GR_ARG(source->name));
    gr_str catalog_name = place->is_embedded ? gr_engine_duckdb_source_catalog(source, w->arena) : (gr_str){0};
    gr_str parts[] = {catalog_name, schema, table};
    for (size_t i = 0; i < 3; i++) {
        if (!parts[i].n) continue;
        gr_str quoted = gr_sql_quote(place->dialect, parts[i], w->arena);
        w->table_text = w->table_text.n
                            ? gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(w->table_text), GR_ARG(quoted))
                            : quoted;
    }
    gr_error why = {0};
    if (gr_exec_describe_table(w->serve->exec, catalog, w->table_text, w->arena, &w->columns, &w->n_columns, &why))
        return gr_error_set(w->err, GR_ERR_QUERY_INVALID, "The table %.*s.%.*s.%.*s cannot be read: %.300s",
                            (int)catalog.n, catalog.p, (int)asked_schema.n, asked_schema.p, (int)table.n, table.p,
                            why.message);
    return GR_OK;
}

static const gr_column_schema *column_named(const gr_external_work *w, gr_str name) {
    for (size_t i = 0; i < w->n_columns; i++)
        if (gr_str_eq_nocase(w->columns[i].name, name)) return &w->columns[i];
    return NULL;
}

gr_status gr_external_need_column(const gr_external_work *w, gr_str name, gr_str member, const gr_column_schema **ret) {
    *ret = column_named(w, name);
    if (*ret) return GR_OK;
    gr_str names[256];
    size_t n = 0;
    for (; n < w->n_columns && n < 256; n++) names[n] = w->columns[n].name;
    gr_error_set(w->err, GR_ERR_QUERY_INVALID, "The table has no column '%.*s', which '" GR_FMT "' is bound to",
                 (int)(name.n < 100 ? name.n : 100), name.p, GR_ARG(member));
    gr_str near = gr_diags_nearest(name, names, n);
    if (near.n) gr_error_hint(w->err, "did you mean '" GR_FMT "'?", GR_ARG(near));
    return GR_ERR_QUERY_INVALID;
}

/* ---- types: the same broad category (dj.md 4.5) --------------------------------------------------------------------
 */

static gr_external_category category_of(gr_type type) {
    switch (type) {
    case GR_TYPE_BOOL: return GR_EXTERNAL_BOOLEAN;
    case GR_TYPE_INT64:
    case GR_TYPE_FLOAT64:
    case GR_TYPE_DECIMAL: return GR_EXTERNAL_NUMBER;
    case GR_TYPE_UTF8: return GR_EXTERNAL_TEXT;
    case GR_TYPE_DATE:
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: return GR_EXTERNAL_TIME;
    case GR_TYPE_BINARY: return GR_EXTERNAL_BYTES;
    case GR_TYPE_NULL:
    case GR_TYPE__COUNT: return GR_EXTERNAL_ANY;
    }
    return GR_EXTERNAL_ANY;
}

gr_external_category gr_external_category_of_column(const gr_rollup_column *c) {
    static const gr_external_category by_type[] = {[GR_DIM_STRING] = GR_EXTERNAL_TEXT,
                                                   [GR_DIM_NUMBER] = GR_EXTERNAL_NUMBER,
                                                   [GR_DIM_BOOLEAN] = GR_EXTERNAL_BOOLEAN,
                                                   [GR_DIM_TIME] = GR_EXTERNAL_TIME,
                                                   [GR_DIM_GEO] = GR_EXTERNAL_ANY};
    return c->member->kind == GR_MEMBER_SEGMENT ? GR_EXTERNAL_BOOLEAN : by_type[c->member->dim_type];
}

gr_external_category gr_external_category_of(gr_agg agg) {
    if (agg == GR_AGG_COUNT_DISTINCT_APPROX) return GR_EXTERNAL_BYTES;
    return agg == GR_AGG_COUNT || agg == GR_AGG_SUM || agg == GR_AGG_M2 ? GR_EXTERNAL_NUMBER : GR_EXTERNAL_ANY;
}

gr_status gr_external_check_type(const gr_external_work *w, const gr_column_schema *column, gr_external_category wanted,
                                 gr_str member) {
    static const char *const names[] = {"any value", "numbers", "text", "booleans", "times", "sketches (bytes)"};
    gr_external_category has = category_of(column->type);
    if (wanted == GR_EXTERNAL_ANY || has == GR_EXTERNAL_ANY || has == wanted) return GR_OK;
    return gr_error_set(w->err, GR_ERR_QUERY_INVALID, "Column '" GR_FMT "' holds %s, and '" GR_FMT "' needs %s",
                        GR_ARG(column->name), names[has], GR_ARG(member), names[wanted]);
}

/* ---- bindings ------------------------------------------------------------------------------------------------------
 */

/* Metrics that are bound must be measures: one stored component, and no average or ratio. */
static gr_status check_measures(const gr_external_work *w, const gr_snapshot *snapshot) {
    for (size_t i = 0; i < w->ask->n_measure_columns; i++) {
        gr_str id = w->ask->measure_columns[i].member;
        const gr_member *m;
        GR_TRY(gr_model_member(snapshot->model, id, &m, w->err));
        const gr_components *own = gr_plan_index_components(snapshot->index, gr_member_base(m));
        bool is_one = m->kind == GR_MEMBER_MEASURE && own->n == 1 && own->v[0].agg != GR_AGG_STAGE &&
                      own->v[0].agg != GR_AGG_OPAQUE && !own->v[0].suffix.n && !gr_member_base(m)->is_calculated;
        if (!is_one)
            return gr_error_set(w->err, GR_ERR_QUERY_INVALID,
                                "'" GR_FMT "' is not a measure: it is calculated from "
                                "others, and those are what a table holds",
                                GR_ARG(id));
    }
    return GR_OK;
}

/* Bound now, or by an earlier registration of the same table (`old`: its bindings). */
static gr_str bound_measure(const gr_external_work *w, const gr_snapshot *view, const gr_rollup_component *stored,
                            const json_t *old, gr_str *ret_member) {
    const gr_component *c = &stored->component;
    for (size_t i = 0; i < w->ask->n_measure_columns; i++) {
        const gr_member *m;
        if (gr_model_member(view->model, w->ask->measure_columns[i].member, &m, NULL)) continue;
        const gr_components *own = gr_plan_index_components(view->index, gr_member_base(m));
        *ret_member = w->ask->measure_columns[i].member;
        if (own->n == 1 && gr_str_eq(own->v[0].stored_key, c->stored_key)) return w->ask->measure_columns[i].column;
    }
    *ret_member = c->measure->id;
    const json_t *before = json_object_getn(json_object_get(old, "measures"), stored->name.p, stored->name.n);
    return json_is_string(before) ? gr_json_str(before) : (gr_str){0};
}

/* The name that a dimension was asked for under, with its column; without a binding it is stored under our name for it.
 */
static gr_str bound_dimension(const gr_external_work *w, const gr_rollup_column *c, gr_str *ret_member) {
    *ret_member = c->member->id;
    if (c->granularity)
        *ret_member = gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(c->member->id), GR_ARG(c->granularity->name));
    for (size_t i = 0; i < w->ask->n_dimension_columns; i++) {
        gr_str name = w->ask->dimension_columns[i].member;
        if (gr_str_eq(name, *ret_member) ||
            gr_str_ends(name, gr_arena_printf(w->arena, "." GR_FMT, GR_ARG(*ret_member))))
            return w->ask->dimension_columns[i].column;
    }
    return c->name;
}

static gr_status check_dimension_keys(const gr_external_work *w) {
    for (size_t i = 0; i < w->ask->n_dimension_columns; i++) {
        bool is_asked = false;
        for (size_t k = 0; k < w->ask->ask.n_dimensions; k++)
            is_asked |= gr_str_eq(w->ask->dimension_columns[i].member, w->ask->ask.dimensions[k]);
        if (!is_asked)
            return gr_error_set(w->err, GR_ERR_QUERY_INVALID,
                                "'" GR_FMT "' is bound, and is no dimension of the request",
                                GR_ARG(w->ask->dimension_columns[i].member));
    }
    return GR_OK;
}

static gr_status put_dimensions(gr_external_work *w, const gr_rollup *r, gr_jw *out) {
    gr_jw_key(out, GR_STR("dimensions"));
    gr_jw_object(out);
    for (size_t i = 0; i < r->n_columns; i++) {
        gr_str member, name = bound_dimension(w, &r->columns[i], &member);
        const gr_column_schema *column;
        GR_TRY(gr_external_need_column(w, name, member, &column));
        GR_TRY(gr_external_check_type(w, column, gr_external_category_of_column(&r->columns[i]), member));
        gr_jw_key(out, r->columns[i].name);
        gr_jw_str(out, column->name);
    }
    gr_jw_object_end(out);
    return GR_OK;
}

static gr_status put_measures(gr_external_work *w, const gr_exec_drafted *item, const gr_snapshot *view, gr_jw *out) {
    const gr_rollup *r = item->rollup;
    json_t *old = NULL;
    if (item->bindings.n && gr_json_parse(item->bindings, 4 << 20, w->arena, &old, NULL)) old = NULL;
    bool has_distinct = false, has_other = false;
    gr_jw_key(out, GR_STR("measures"));
    gr_jw_object(out);
    for (size_t i = 0; i < r->n_components; i++) {
        const gr_component *c = &r->components[i].component;
        gr_str member, name = bound_measure(w, view, &r->components[i], old, &member);
        const gr_column_schema *column;
        if (!name.n)
            return gr_error_set(w->err, GR_ERR_QUERY_INVALID,
                                "No column is bound to '" GR_FMT "', which the requested "
                                "metrics are computed from",
                                GR_ARG(member));
        GR_TRY(gr_external_need_column(w, name, member, &column));
        GR_TRY(gr_external_check_type(w, column, gr_external_category_of(c->agg), member));
        has_distinct |= c->agg == GR_AGG_COUNT_DISTINCT;
        has_other |= c->agg == GR_AGG_COUNT_DISTINCT_APPROX || c->agg == GR_AGG_M2;
        gr_jw_key(out, r->components[i].name);
        gr_jw_str(out, column->name);
    }
    gr_jw_object_end(out);
    if (has_distinct && has_other)
        return gr_error_set(w->err, GR_ERR_QUERY_INVALID,
                            "A table with the raw values of a distinct count cannot hold sketches beside them");
    return GR_OK;
}

static gr_status bind_one(gr_external_work *w, const gr_entity_draft *probe, size_t at, gr_str *ret) {
    gr_buf text;
    gr_jw out;
    gr_buf_init(&text, 4 << 20);
    gr_jw_init(&out, &text);
    gr_jw_object(&out);
    gr_jw_key_str(&out, "table_text", w->table_text);
    gr_status status = put_dimensions(w, probe->items[at].rollup, &out);
    if (!status) status = put_measures(w, &probe->items[at], gr_exec_draft_view(probe->draft), &out);
    gr_jw_object_end(&out);
    if (!status) *ret = gr_arena_dup(w->arena, gr_buf_str(&text));
    gr_buf_done(&text);
    return status;
}

/* A table may hold several facts: each is an entity of its own over it. */
static gr_status bind_all(gr_external_work *w, const gr_entity_draft *probe, gr_str **ret) {
    gr_str *bindings = GR_NEW_N(w->arena, gr_str, probe->definitions.n + 1);
    for (size_t i = 0; i < probe->definitions.n; i++) GR_TRY(bind_one(w, probe, i, &bindings[i]));
    *ret = bindings;
    return GR_OK;
}

/* ---- availability --------------------------------------------------------------------------------------------------
 */

gr_str gr_external_dump(const json_t *value, gr_arena *arena) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    gr_str ret = text ? gr_arena_dup(arena, gr_str_from(text)) : (gr_str){0};
    free(text);
    return ret;
}

static gr_str first_availability(const gr_register_ask *ask, gr_arena *arena) {
    json_t *a = json_pack("{s:s%, s:s%, s:s%, s:I}", "catalog", ask->catalog.p, ask->catalog.n, "schema",
                          ask->schema.n ? ask->schema.p : "", ask->schema.n, "table", ask->table.p, ask->table.n,
                          "valid_through_ts", (json_int_t)ask->valid_through_ts);
    gr_str text = gr_external_dump(a, arena);
    json_decref(a);
    return text;
}

/* A version before this one was available: so is the same table now (dj.md 4.5). */
static gr_str inherited(gr_serve *serve, const gr_preagg_row *row, gr_arena *arena) {
    gr_preagg_filter filter = {.node = row->decl.node, .external = 1};
    gr_preagg_row *rows;
    size_t n;
    int64_t total;
    gr_str found = {0};
    if (gr_catalog_find(gr_exec_catalog(serve->exec), &filter, arena, &rows, &n, &total, NULL)) return found;
    for (size_t i = 0; i < n; i++)
        if (rows[i].id != row->id && gr_str_eq(rows[i].decl.grain_hash, row->decl.grain_hash) && rows[i].availability.n)
            found = rows[i].availability;
    return found;
}

static gr_status register_all(gr_serve *serve, gr_entity_draft *draft, const gr_register_ask *ask, gr_actor actor,
                              gr_arena *arena, gr_entity_plan *ret, gr_entity_view **ret_views, gr_error *err) {
    gr_catalog *catalog = gr_exec_catalog(serve->exec);
    gr_preagg_config config = {.strategy = GR_STR("external")};
    gr_preagg_decl *decls;
    gr_preagg_row *rows;
    GR_TRY(gr_serve_draft_decls(draft, arena, &decls, err));
    for (size_t i = 0; i < draft->definitions.n; i++) decls[i].name = ask->name;
    GR_TRY(gr_catalog_add(catalog, decls, draft->definitions.n, &config, actor, arena, &rows, NULL, err));
    for (size_t i = 0; i < draft->definitions.n; i++) {
        gr_str availability = ask->has_valid_through ? first_availability(ask, arena) : (gr_str){0};
        if (!availability.n && !rows[i].availability.n) availability = inherited(serve, &rows[i], arena);
        if (availability.n)
            GR_TRY(gr_catalog_availability(catalog, rows[i].id, availability, actor, arena, &rows[i], err));
    }
    return gr_serve_draft_commit(serve, draft, rows, arena, ret, ret_views, err);
}

gr_status gr_serve_entity_register(gr_serve *serve, const gr_register_ask *ask, gr_actor actor, gr_arena *arena,
                                   gr_entity_plan *ret, gr_entity_view **ret_views, gr_error *err) {
    gr_external_work w = {.serve = serve, .ask = ask, .arena = arena, .err = err};
    gr_entity_draft draft;
    gr_str *bindings = NULL;
    gr_str table = gr_arena_printf(arena, GR_FMT "." GR_FMT "." GR_FMT, GR_ARG(ask->catalog),
                                   GR_ARG(ask->schema.n ? ask->schema : GR_STR("main")), GR_ARG(ask->table));
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
    gr_status status = check_measures(&w, snapshot);
    gr_serve_snapshot_unref(snapshot);
    GR_TRY(status);
    GR_TRY(check_dimension_keys(&w));
    GR_TRY(gr_external_find_table(&w, ask->catalog, ask->schema, ask->table));
    GR_TRY(gr_serve_draft(serve, &ask->ask, table, NULL, arena, &draft, err)); /* to see what is stored */
    status = bind_all(&w, &draft, &bindings);
    gr_serve_draft_done(&draft);
    GR_TRY(status);
    status = GR_ERR_NODE_CHANGED;
    for (int tries = 0; tries < GR_SERVE_TRIES && status == GR_ERR_NODE_CHANGED; tries++) {
        GR_TRY(gr_serve_draft(serve, &ask->ask, table, bindings, arena, &draft, err));
        status = register_all(serve, &draft, ask, actor, arena, ret, ret_views, err);
        gr_serve_draft_done(&draft);
    }
    return status;
}
