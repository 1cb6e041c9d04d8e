/* The shapes in which materialization blobs come (seed):
 *
 *      document   shape | [shape, …] | {cube: shape | [shape, …], …}
 *      shape      {"materialization_config": config, "name"?: cube}
 *                 {"measures_materialization": blob | [blob, …], "name"?: cube}
 *                 blob
 *      config     {"measures_materialization": …}; a cube may have none
 *      blob       {"source_node": text, "grain": [text, …], "measures": [text, …], …}
 *
 * Invariant: a document that is not of this form is refused whole. */
#include "serve/import.h"

typedef struct reading {
    gr_arena *arena;
    gr_error *err;
    GR_VEC(gr_import_blob) blobs;
} reading;

static const char *const source_key = "source_node", *const measures_key = "measures_materialization",
                         *const config_key = "materialization_config";

static gr_status invalid(reading *r, gr_str where, const char *what) {
    if (!where.n) return gr_error_set(r->err, GR_ERR_QUERY_INVALID, "The document %s", what);
    return gr_error_set(r->err, GR_ERR_QUERY_INVALID, "'%.*s' %s", (int)(where.n < 300 ? where.n : 300), where.p, what);
}

/* "sales.measures_materialization" */
static gr_str below(reading *r, gr_str where, const char *key) {
    return gr_arena_printf(r->arena, GR_FMT "%s%s", GR_ARG(where), where.n ? "." : "", key);
}

static gr_str item_of(reading *r, gr_str where, size_t i) {
    return gr_arena_printf(r->arena, GR_FMT "[%zu]", GR_ARG(where), i);
}

static gr_status push(reading *r, const gr_import_blob *blob) {
    if (r->blobs.n == GR_IMPORT_MOST_BLOBS)
        return gr_error_set(r->err, GR_ERR_LIMIT, "There are more than %d materializations in one document",
                            GR_IMPORT_MOST_BLOBS);
    GR_PUSH(r->arena, &r->blobs, *blob);
    return GR_OK;
}

static gr_status read_texts(reading *r, const json_t *blob, const char *key, gr_str where, gr_str **ret,
                            size_t *ret_n) {
    const json_t *list = json_object_get(blob, key);
    size_t n = json_array_size(list);
    if (!json_is_array(list)) return invalid(r, below(r, where, key), "must be a list of names");
    *ret = GR_NEW_N(r->arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(list, i);
        if (!json_is_string(text) || !json_string_length(text))
            return invalid(r, item_of(r, below(r, where, key), i), "must be a name");
        (*ret)[i] = gr_json_str(text);
    }
    *ret_n = n;
    return GR_OK;
}

static gr_status read_blob(reading *r, const json_t *value, gr_str cube, gr_str where) {
    gr_import_blob blob = {.cube = cube};
    const json_t *source = json_object_get(value, source_key);
    if (!json_is_object(value)) return invalid(r, where, "must be an object with source_node, grain and measures");
    if (!json_is_string(source) || !json_string_length(source))
        return invalid(r, below(r, where, source_key), "must be the name of a node");
    blob.source_node = gr_json_str(source);
    GR_TRY(read_texts(r, value, "grain", where, &blob.grain, &blob.n_grain));
    GR_TRY(read_texts(r, value, "measures", where, &blob.measures, &blob.n_measures));
    return push(r, &blob);
}

/* Of a cube that has been given a configuration, and no materialization in it. */
static gr_status note_absent(reading *r, gr_str cube) {
    gr_import_blob blob = {.cube = cube, .problem = GR_STR("it has no measures_materialization")};
    return push(r, &blob);
}

static gr_status read_measures(reading *r, const json_t *value, gr_str cube, gr_str where) {
    if (!value || json_is_null(value) || (json_is_array(value) && !json_array_size(value))) return note_absent(r, cube);
    if (!json_is_array(value)) return read_blob(r, value, cube, where);
    for (size_t i = 0; i < json_array_size(value); i++)
        GR_TRY(read_blob(r, json_array_get(value, i), cube, item_of(r, where, i)));
    return GR_OK;
}

static gr_status read_config(reading *r, const json_t *value, gr_str cube, gr_str where) {
    if (json_is_null(value)) return note_absent(r, cube);
    if (!json_is_object(value)) return invalid(r, where, "must be an object with measures_materialization");
    return read_measures(r, json_object_get(value, measures_key), cube, below(r, where, measures_key));
}

static bool is_shape(const json_t *value) {
    return json_object_get(value, config_key) || json_object_get(value, measures_key) ||
           json_is_string(json_object_get(value, source_key));
}

static gr_status read_shape(reading *r, const json_t *value, gr_str cube, gr_str where) {
    const json_t *config = json_object_get(value, config_key), *measures = json_object_get(value, measures_key);
    const json_t *name = json_object_get(value, "name");
    if (!json_is_object(value)) return invalid(r, where, "must be a materialization, or a cube with one");
    if ((config || measures) && json_is_string(name)) cube = gr_json_str(name);
    if (config) return read_config(r, config, cube, below(r, where, config_key));
    if (measures) return read_measures(r, measures, cube, below(r, where, measures_key));
    return read_blob(r, value, cube, where);
}

static gr_status read_list(reading *r, const json_t *list, gr_str cube, gr_str where) {
    for (size_t i = 0; i < json_array_size(list); i++)
        GR_TRY(read_shape(r, json_array_get(list, i), cube, item_of(r, where, i)));
    return GR_OK;
}

static gr_status read_map(reading *r, json_t *map) {
    const char *key;
    json_t *value;
    if (!json_object_size(map)) return invalid(r, (gr_str){0}, "has no materialization");
    json_object_foreach(map, key, value) {
        gr_str cube = gr_str_from(key);
        if (json_is_array(value))
            GR_TRY(read_list(r, value, cube, cube));
        else
            GR_TRY(read_shape(r, value, cube, cube));
    }
    return GR_OK;
}

gr_status gr_serve_import_read(const json_t *document, gr_arena *arena, gr_import_blob **ret, size_t *ret_n,
                               gr_error *err) {
    reading r = {.arena = arena, .err = err};
    if (json_is_array(document))
        GR_TRY(read_list(&r, document, (gr_str){0}, (gr_str){0}));
    else if (is_shape(document))
        GR_TRY(read_shape(&r, document, (gr_str){0}, (gr_str){0}));
    else if (json_is_object(document))
        GR_TRY(read_map(&r, (json_t *)(uintptr_t)document));
    else
        GR_TRY(invalid(&r, (gr_str){0}, "must be an object or a list"));
    *ret = r.blobs.v;
    *ret_n = r.blobs.n;
    return GR_OK;
}
