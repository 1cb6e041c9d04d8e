/* Cubes by API: metrics by dimensions under a name, and the entities that they need (dj.md 1.7, 1.9, appendix D).
 *
 *      ask ── merged with what the cube is ──> query ──> definitions ──> draft ──> one transaction: revision, entities,
 *                                                                                 links ──> published
 *
 * A cube of the model's files is a node too, and not changed here. */
#include "serve/entity.h"

#include "base/buf.h"
#include "data/digest.h"
#include "data/json.h"

#include <stdlib.h>

/* ---- definitions ---------------------------------------------------------------------------------------------------
 */

typedef struct cube_def {
    gr_names metrics, dimensions;
    json_t *filters;  /* as given; borrowed or of the arena */
    gr_str time_zone; /* of its grains of a day and coarser; empty: UTC */
} cube_def;

static void put_list(gr_jw *w, const char *key, const gr_names *names) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < names->n; i++) gr_jw_str(w, names->v[i]);
    gr_jw_array_end(w);
}

static gr_str definition_text(const cube_def *d, gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 4 << 20);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    put_list(&w, "metrics", &d->metrics);
    put_list(&w, "dimensions", &d->dimensions);
    gr_jw_key(&w, GR_STR("filters"));
    if (d->filters) {
        gr_jw_json(&w, d->filters);
    } else {
        gr_jw_array(&w);
        gr_jw_array_end(&w);
    }
    if (d->time_zone.n) gr_jw_key_str(&w, "time_zone", d->time_zone);
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static void read_list(const json_t *list, gr_names *out, gr_arena *arena) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)))
            gr_serve_add_name(out, gr_arena_dup(arena, gr_json_str(json_array_get(list, i))), arena);
}

static void read_definition(gr_str text, gr_arena *arena, cube_def *ret) {
    json_t *root;
    *ret = (cube_def){0};
    if (gr_json_parse(text, 4 << 20, arena, &root, NULL)) return;
    read_list(json_object_get(root, "metrics"), &ret->metrics, arena);
    read_list(json_object_get(root, "dimensions"), &ret->dimensions, arena);
    ret->filters = json_object_get(root, "filters");
    const json_t *zone = json_object_get(root, "time_zone");
    if (json_is_string(zone)) ret->time_zone = gr_arena_dup(arena, gr_json_str(zone));
}

/* Another set of members or filters is another cube; another order is the same one, told otherwise (dj.md 1.2). */
static void hash_definition(const cube_def *d, const gr_cube_ask *ask, gr_node_decl *node, gr_arena *arena) {
    cube_def sorted = {.time_zone = d->time_zone};
    gr_names filters = {0};
    for (size_t i = 0; i < d->metrics.n; i++) GR_PUSH(arena, &sorted.metrics, d->metrics.v[i]);
    for (size_t i = 0; i < d->dimensions.n; i++) GR_PUSH(arena, &sorted.dimensions, d->dimensions.v[i]);
    for (size_t i = 0; i < json_array_size(d->filters); i++) {
        char *text = json_dumps(json_array_get(d->filters, i), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        if (text) gr_serve_add_name(&filters, gr_arena_dup(arena, gr_str_from(text)), arena);
        free(text);
    }
    gr_serve_sort_names(&sorted.metrics);
    gr_serve_sort_names(&sorted.dimensions);
    gr_serve_sort_names(&filters);
    gr_str content = definition_text(&sorted, arena);
    for (size_t i = 0; i < filters.n; i++)
        content = gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(content), GR_ARG(filters.v[i]));
    node->content_hash = gr_digest_md5_hex(content, arena);
    node->meta_hash =
        gr_digest_md5_hex(gr_arena_printf(arena, GR_FMT "\n%zu:" GR_FMT "\n%zu:" GR_FMT "\n" GR_FMT,
                                          GR_ARG(node->definition), node->display_name.n, GR_ARG(node->display_name),
                                          node->description.n, GR_ARG(node->description), GR_ARG(node->mode)),
                          arena);
    (void)ask;
}

/* ---- checks --------------------------------------------------------------------------------------------------------
 */

/* "ns.part.name": words that do not start with a digit. */
static gr_status check_name(gr_str name, gr_error *err) {
    enum { MOST = 255 };
    bool is_start = true, is_good = name.n > 0 && name.n <= MOST;
    for (size_t i = 0; i < name.n && is_good; i++) {
        char c = name.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_', is_digit = c >= '0' && c <= '9';
        is_good = c == '.' ? !is_start : is_letter || (is_digit && !is_start);
        is_start = c == '.';
    }
    if (is_good && !is_start) return GR_OK;
    return gr_error_set(err, GR_ERR_QUERY_INVALID,
                        "'%.*s' is no name of a cube: parts of letters, digits and _, separated by dots",
                        (int)(name.n < 100 ? name.n : 100), name.p);
}

/* Metrics that do not exist are all listed; what is no metric is refused. */
static gr_status check_metrics(const gr_model *model, const gr_names *metrics, gr_error *err) {
    char missing[900];
    size_t n = 0;
    missing[0] = 0;
    if (!metrics->n) return gr_error_set(err, GR_ERR_QUERY_INVALID, "At least one metric is required");
    for (size_t i = 0; i < metrics->n; i++) {
        const gr_member *m;
        if (!gr_model_member(model, metrics->v[i], &m, NULL)) continue;
        int wrote = snprintf(missing + n, sizeof missing - n, "%sA node with name `%.*s` does not exist.", n ? " " : "",
                             (int)(metrics->v[i].n < 100 ? metrics->v[i].n : 100), metrics->v[i].p);
        if (wrote > 0 && n + (size_t)wrote < sizeof missing) n += (size_t)wrote;
    }
    missing[n] = 0;
    if (n) return gr_error_set(err, GR_ERR_NODE_NOT_FOUND, "%s", missing);
    for (size_t i = 0; i < metrics->n; i++) {
        const gr_member *m;
        GR_TRY(gr_model_member(model, metrics->v[i], &m, err));
        if (m->kind != GR_MEMBER_MEASURE)
            return gr_error_set(err, GR_ERR_QUERY_INVALID,
                                "Node '" GR_FMT "' of type dimension cannot be a metric of a "
                                "cube",
                                GR_ARG(m->id));
    }
    return GR_OK;
}

static gr_status check_free(const gr_model *model, gr_str name, gr_error *err) {
    if (!gr_model_cube(model, gr_serve_bare_name(name))) return GR_OK;
    return gr_error_set(err, GR_ERR_NODE_EXISTS, "A node with name `%.*s` already exists.", (int)name.n, name.p);
}

/* ---- putting -------------------------------------------------------------------------------------------------------
 */

static void take_ask(const gr_cube_ask *ask, cube_def *d, gr_arena *arena) {
    if (!ask->is_update || ask->has_metrics) {
        d->metrics = (gr_names){0};
        for (size_t i = 0; i < ask->ask.n_metrics; i++) gr_serve_add_name(&d->metrics, ask->ask.metrics[i], arena);
    }
    if (!ask->is_update || ask->has_dimensions) {
        d->dimensions = (gr_names){0};
        for (size_t i = 0; i < ask->ask.n_dimensions; i++)
            gr_serve_add_name(&d->dimensions, ask->ask.dimensions[i], arena);
    }
    if (!ask->is_update || ask->has_filters) d->filters = (json_t *)(uintptr_t)ask->ask.filters;
    if (!ask->is_update || ask->ask.time_zone.n) d->time_zone = ask->ask.time_zone;
}

static gr_status write(gr_serve *serve, gr_entity_draft *draft, const gr_cube_put *put, gr_actor actor, gr_arena *arena,
                       gr_entity_plan *ret_plan, gr_error *err) {
    gr_cube_put all = *put;
    gr_preagg_decl *decls;
    gr_node_row node;
    gr_preagg_row *rows;
    gr_entity_view *views;
    GR_TRY(gr_serve_draft_decls(draft, arena, &decls, err));
    all.entities = decls;
    all.n_entities = draft->definitions.n;
    GR_TRY(gr_catalog_cube_put(gr_exec_catalog(serve->exec), &all, actor, arena, &node, &rows, NULL, err));
    return gr_serve_draft_commit(serve, draft, rows, arena, ret_plan, &views, err);
}

static gr_status put_cube(gr_serve *serve, const gr_cube_put *put, const cube_def *d, gr_actor actor, gr_arena *arena,
                          gr_entity_plan *ret_plan, gr_error *err) {
    gr_entity_ask ask = {d->metrics.v, d->dimensions.v, d->metrics.n, d->dimensions.n, d->filters, d->time_zone};
    gr_entity_draft draft;
    GR_TRY(gr_serve_draft(serve, &ask, (gr_str){0}, NULL, arena, &draft, err));
    gr_status status = write(serve, &draft, put, actor, arena, ret_plan, err);
    gr_serve_draft_done(&draft);
    return status;
}

/* What an update leaves as it was. */
static gr_status start_from(gr_serve *serve, const gr_cube_ask *ask, gr_arena *arena, gr_cube_put *put, cube_def *d,
                            gr_error *err) {
    gr_node_row row;
    bool is_found = false;
    if (!ask->is_update) return GR_OK;
    GR_TRY(
        gr_catalog_node_get(gr_exec_catalog(serve->exec), ask->name, (gr_str){0}, false, arena, &row, &is_found, err));
    if (!is_found) return gr_serve_no_node(ask->name, err);
    read_definition(row.decl.definition, arena, d);
    put->node = row.decl;
    put->if_version = row.version;
    put->is_update = true;
    return GR_OK;
}

static gr_status of_model(gr_str name, gr_error *err) {
    gr_error_set(err, GR_ERR_NODE_OF_MODEL, "`%.*s` is defined in the files of the model, and is changed there",
                 (int)name.n, name.p);
    return GR_ERR_NODE_OF_MODEL;
}

static bool is_of_model(gr_serve *serve, gr_str name) {
    const gr_snapshot *s = gr_serve_snapshot_ref(serve);
    bool is = gr_model_cube(s->model, gr_serve_bare_name(name)) != NULL;
    gr_serve_snapshot_unref(s);
    return is;
}

static gr_str last_part(gr_str name) {
    size_t from = name.n;
    while (from > 0 && name.p[from - 1] != '.') from--;
    return gr_str_sub(name, from, name.n - from);
}

static gr_status check_ask(gr_serve *serve, const gr_cube_ask *ask, const cube_def *d, gr_error *err) {
    const gr_snapshot *s = gr_serve_snapshot_ref(serve);
    gr_status status = ask->is_update ? GR_OK : check_name(ask->name, err);
    if (!status && !ask->is_update) status = check_free(s->model, ask->name, err);
    if (!status && ask->mode.n && !gr_str_eq(ask->mode, GR_STR("published")) && !gr_str_eq(ask->mode, GR_STR("draft")))
        status = gr_error_set(err, GR_ERR_QUERY_INVALID, "mode must be one of published, draft");
    if (!status && ask->display_name.n > 100)
        status = gr_error_set(err, GR_ERR_QUERY_INVALID, "display_name has at most 100 characters");
    if (!status) status = check_metrics(s->model, &d->metrics, err);
    gr_serve_snapshot_unref(s);
    return status;
}

static gr_status check_exists(gr_serve *serve, const gr_cube_ask *ask, gr_arena *arena, gr_error *err) {
    gr_node_row row;
    bool is_found = false;
    if (ask->is_update) return is_of_model(serve, ask->name) ? of_model(ask->name, err) : GR_OK;
    GR_TRY(
        gr_catalog_node_get(gr_exec_catalog(serve->exec), ask->name, (gr_str){0}, false, arena, &row, &is_found, err));
    if (!is_found) return GR_OK;
    return gr_error_set(err, GR_ERR_NODE_EXISTS, "A node with name `%.*s` already exists.", (int)ask->name.n,
                        ask->name.p);
}

static gr_status put_once(gr_serve *serve, const gr_cube_ask *ask, gr_actor actor, gr_arena *arena,
                          gr_entity_plan *ret_plan, gr_error *err) {
    gr_cube_put put = {.node = {.name = ask->name, .type = GR_NODE_CUBE}};
    cube_def d = {0};
    GR_TRY(check_exists(serve, ask, arena, err));
    GR_TRY(start_from(serve, ask, arena, &put, &d, err));
    take_ask(ask, &d, arena);
    GR_TRY(check_ask(serve, ask, &d, err));
    if (!ask->is_update || ask->has_display_name) put.node.display_name = ask->display_name;
    if (!ask->is_update || ask->has_description) put.node.description = ask->description;
    if (ask->mode.n) put.node.mode = ask->mode;
    if (!put.node.display_name.n) put.node.display_name = gr_model_titleize(last_part(ask->name), arena);
    put.node.status = GR_STR("valid");
    put.node.definition = definition_text(&d, arena);
    hash_definition(&d, ask, &put.node, arena);
    return put_cube(serve, &put, &d, actor, arena, ret_plan, err);
}

gr_status gr_serve_cube_put(gr_serve *serve, const gr_cube_ask *ask, gr_actor actor, gr_arena *arena, gr_node_view *ret,
                            gr_entity_plan *ret_plan, gr_error *err) {
    gr_status status = GR_ERR_NODE_CHANGED;
    for (int tries = 0; tries < GR_SERVE_TRIES && status == GR_ERR_NODE_CHANGED; tries++)
        status = put_once(serve, ask, actor, arena, ret_plan, err);
    GR_TRY(status);
    return gr_serve_node(serve, ask->name, (gr_str){0}, arena, ret, err);
}

gr_status gr_serve_cube_delete(gr_serve *serve, gr_str name, gr_actor actor, gr_error *err) {
    if (is_of_model(serve, name)) return of_model(name, err);
    return gr_catalog_cube_delete(gr_exec_catalog(serve->exec), name, actor, err);
}

/* ---- after the model changed ---------------------------------------------------------------------------------------
 */

/* The definitions of all cubes in one draft; each cube has a stretch of them. */
typedef struct recheck {
    gr_serve *serve;
    gr_arena *arena;
    gr_node_row *rows;
    size_t n;
    size_t *from, *to; /* by cube; equal: it does not fit the model */
    gr_exec_definitions all;
} recheck;

static void define_all(recheck *r, const gr_snapshot *snapshot) {
    r->from = GR_NEW_N(r->arena, size_t, r->n + 1);
    r->to = GR_NEW_N(r->arena, size_t, r->n + 1);
    for (size_t i = 0; i < r->n; i++) {
        cube_def d;
        gr_query *query;
        gr_exec_definitions own = {0};
        read_definition(r->rows[i].decl.definition, r->arena, &d);
        gr_entity_ask ask = {d.metrics.v, d.dimensions.v, d.metrics.n, d.dimensions.n, d.filters, d.time_zone};
        r->from[i] = r->to[i] = r->all.n;
        if (gr_query_of_metrics(snapshot->model, &ask, r->arena, &query, NULL) ||
            gr_exec_definitions_of(snapshot->index, query, (gr_str){0}, r->arena, &own, NULL))
            continue;
        for (size_t k = 0; k < own.n; k++) GR_PUSH(r->arena, &r->all, own.v[k]);
        r->to[i] = r->all.n;
    }
}

static gr_status put_again(recheck *r, size_t i, const gr_exec_drafted *items, gr_preagg_row *rows, gr_error *err) {
    gr_catalog *catalog = gr_exec_catalog(r->serve->exec);
    gr_actor actor = {gr_clock_now_us(), {0}};
    size_t from = r->from[i], n = r->to[i] - from;
    bool is_whole = n > 0;
    gr_preagg_decl *decls = GR_NEW_N(r->arena, gr_preagg_decl, n + 1);
    for (size_t k = 0; k < n; k++) {
        decls[k] = items[from + k].decl;
        is_whole &= decls[k].structure_hash.n > 0;
    }
    if (!is_whole) return gr_catalog_cube_status(catalog, r->rows[i].decl.name, GR_STR("invalid"), actor, err);
    gr_cube_put put = {.node = r->rows[i].decl, .is_update = true, .entities = decls, .n_entities = n};
    gr_node_row node;
    gr_preagg_row *made;
    GR_TRY(gr_catalog_cube_put(catalog, &put, actor, r->arena, &node, &made, NULL, err));
    memcpy(rows + from, made, n * sizeof *made);
    return gr_catalog_cube_status(catalog, r->rows[i].decl.name, GR_STR("valid"), actor, err);
}

static gr_status recheck_all(recheck *r, gr_error *err) {
    gr_exec_draft *draft;
    gr_exec_drafted *items;
    GR_TRY(gr_exec_draft_new(r->serve->exec, &r->all, &draft, &items, err));
    gr_preagg_row *rows = GR_NEW_N(r->arena, gr_preagg_row, r->all.n + 1);
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < r->n; i++) status = put_again(r, i, items, rows, err);
    if (!status) status = gr_exec_draft_commit(draft, rows, err);
    gr_exec_draft_done(draft);
    return status;
}

gr_status gr_serve_cubes_recheck(gr_serve *serve, gr_error *err) {
    recheck r = {.serve = serve, .arena = gr_arena_new()};
    gr_status status = gr_catalog_nodes(gr_exec_catalog(serve->exec), 1u << GR_NODE_CUBE, r.arena, &r.rows, &r.n, err);
    if (!status && r.n) {
        const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
        define_all(&r, snapshot);
        status = recheck_all(&r, err);
        gr_serve_snapshot_unref(snapshot);
    }
    gr_arena_free(r.arena);
    return status;
}
