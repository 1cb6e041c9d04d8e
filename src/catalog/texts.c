/* Texts that go in and out: limits, the shapes of JSON, lists, components, versions. Nothing here asks the database. */
#include "catalog/internal.h"

#include "data/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <unicode/ucasemap.h>

/* ---- checks --------------------------------------------------------------------------------------------------------
 */
static bool is_list_of_texts(const json_t *value) {
    if (!json_is_array(value)) return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i))) return false;
    return true;
}

static bool has_shape(gr_str text, gr_catalog_shape shape, gr_arena *arena) {
    json_t *value = NULL;
    if (shape == GR_CATALOG_ANY) return true;
    if (gr_json_parse(text, CATALOG_MAX_JSON, arena, &value, NULL)) return false;
    if (shape == GR_CATALOG_OBJECT) return json_is_object(value);
    return shape == GR_CATALOG_LIST ? json_is_array(value) : is_list_of_texts(value);
}

gr_status gr_catalog_texts_check(const gr_catalog_rule_of_text *texts, size_t n, gr_arena *arena, gr_error *err) {
    static const char *const shapes[] = {"", "a JSON list", "a JSON list of texts", "a JSON object"};
    for (size_t i = 0; i < n; i++) {
        const gr_catalog_rule_of_text *t = &texts[i];
        if (t->text.n > t->max_bytes)
            return gr_error_set(err, GR_ERR_LIMIT, "the %s has %zu bytes, and the catalog keeps at most %zu", t->what,
                                t->text.n, t->max_bytes);
        if (t->is_required && !t->text.n)
            return gr_error_set(err, GR_ERR_INTERNAL, "the catalog was given an empty %s", t->what);
        if (!gr_str_is_utf8(t->text) || gr_str_find(t->text, 0, 0) != SIZE_MAX)
            return gr_error_set(err, GR_ERR_INTERNAL, "the catalog was given a %s that is not UTF-8 text", t->what);
        if (t->text.n && !has_shape(t->text, t->shape, arena))
            return gr_error_set(err, GR_ERR_INTERNAL, "the catalog was given a %s that is not %s", t->what,
                                shapes[t->shape]);
    }
    return GR_OK;
}

gr_status gr_catalog_components_check(const gr_component_decl *components, size_t n, gr_arena *arena, gr_error *err) {
    size_t bytes = 0;
    gr_map names;
    gr_map_init(&names, arena);
    for (size_t i = 0; i < n; i++) {
        const gr_component_decl *c = &components[i];
        const gr_catalog_rule_of_text texts[] = {
            {"component's name", c->name, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
            {"component's signature", c->signature, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
            {"component's token", c->token, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
            {"component's details", c->details, CATALOG_MAX_JSON, false, GR_CATALOG_OBJECT},
        };
        GR_TRY(gr_catalog_texts_check(texts, sizeof texts / sizeof texts[0], arena, err));
        if (!gr_map_put(&names, c->name, &names))
            return gr_error_set(err, GR_ERR_INTERNAL, "the catalog was given the component " GR_FMT " twice",
                                GR_ARG(c->name));
        bytes += c->name.n + c->signature.n + c->token.n + c->details.n;
        if (bytes > CATALOG_MAX_JSON)
            return gr_error_set(err, GR_ERR_LIMIT, "the components have more than %d bytes, which the catalog keeps",
                                (int)CATALOG_MAX_JSON);
    }
    return GR_OK;
}

/* ---- lists and components ------------------------------------------------------------------------------------------
 */
/* Escapes take six bytes for one at most; details are escaped once more by being texts. */
enum { MAX_WRITTEN = 16 * CATALOG_MAX_JSON };

static gr_str finish(gr_buf *out, gr_arena *arena) {
    gr_str text = gr_arena_dup(arena, gr_buf_str(out));
    gr_buf_done(out);
    return text;
}

/* Details stand in it as a text, so that they come back byte for byte. */
gr_str gr_catalog_components_write(const gr_component_decl *components, size_t n, gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, MAX_WRITTEN);
    gr_jw_init(&w, &out);
    gr_jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        gr_jw_object(&w);
        gr_jw_key_str(&w, "name", components[i].name);
        gr_jw_key_str(&w, "signature", components[i].signature);
        gr_jw_key_str(&w, "token", components[i].token);
        gr_jw_key_str(&w, "details", components[i].details);
        gr_jw_object_end(&w);
    }
    gr_jw_array_end(&w);
    return finish(&out, arena);
}

static gr_status parse(gr_str text, gr_arena *arena, json_t **ret, gr_error *err) {
    if (!gr_json_parse(text, MAX_WRITTEN, arena, ret, NULL) && json_is_array(*ret)) return GR_OK;
    return gr_error_set(err, GR_ERR_CATALOG_IO, "the catalog holds a list that cannot be read");
}

static gr_str member(const json_t *object, const char *key, gr_arena *arena) {
    return gr_arena_dup(arena, gr_json_str(json_object_get(object, key)));
}

gr_status gr_catalog_components_read(gr_str text, gr_arena *arena, gr_component_decl **ret, size_t *ret_n,
                                     gr_error *err) {
    json_t *list = NULL;
    gr_arena *scratch = gr_arena_new();
    gr_status status = parse(text, scratch, &list, err);
    if (!status) {
        size_t n = json_array_size(list);
        gr_component_decl *v = n ? GR_NEW_N(arena, gr_component_decl, n) : NULL;
        for (size_t i = 0; i < n; i++) {
            const json_t *c = json_array_get(list, i);
            v[i] = (gr_component_decl){member(c, "name", arena), member(c, "signature", arena),
                                       member(c, "token", arena), member(c, "details", arena)};
        }
        *ret = v;
        *ret_n = n;
    }
    gr_arena_free(scratch);
    return status;
}

gr_status gr_catalog_list_read(gr_str text, gr_arena *arena, gr_str **ret, size_t *ret_n, gr_error *err) {
    json_t *list = NULL;
    *ret = NULL;
    *ret_n = 0;
    if (!text.n) return GR_OK;
    GR_TRY(parse(text, arena, &list, err));
    *ret_n = json_array_size(list);
    *ret = GR_NEW_N(arena, gr_str, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++) (*ret)[i] = gr_arena_dup(arena, gr_json_str(json_array_get(list, i)));
    return GR_OK;
}

gr_str gr_catalog_list_write(const gr_str *texts, size_t n, gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, MAX_WRITTEN);
    gr_jw_init(&w, &out);
    gr_jw_array(&w);
    for (size_t i = 0; i < n; i++) gr_jw_str(&w, texts[i]);
    gr_jw_array_end(&w);
    return finish(&out, arena);
}

gr_str gr_catalog_object_write(gr_arena *arena, const char *key, gr_str text, const char *key2, gr_str text2) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, MAX_WRITTEN);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, key, text);
    if (key2) gr_jw_key_str(&w, key2, text2);
    gr_jw_object_end(&w);
    return finish(&out, arena);
}

static int compare(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

void gr_catalog_sort(gr_str *texts, size_t n) {
    if (n > 1) qsort(texts, n, sizeof texts[0], compare);
}

static bool fold_ascii(gr_str text, char *out) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80) return false;
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return true;
}

static gr_str fold(gr_str text, gr_arena *arena) {
    UErrorCode code = U_ZERO_ERROR;
    int32_t size = (int32_t)text.n * 3 + 1; /* folding makes at most three bytes of one */
    char *out = gr_arena_alloc(arena, (size_t)size);
    if (fold_ascii(text, out)) return (gr_str){out, text.n};
    UCaseMap *map = ucasemap_open("", U_FOLD_CASE_DEFAULT, &code);
    int32_t n = ucasemap_utf8FoldCase(map, out, size, text.p ? text.p : "", (int32_t)text.n, &code);
    ucasemap_close(map);
    return U_FAILURE(code) ? text : (gr_str){out, (size_t)n};
}

gr_str *gr_catalog_folded(const gr_str *texts, size_t n, gr_arena *arena, size_t *ret_n) {
    gr_str *out = GR_NEW_N(arena, gr_str, n + 1);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) out[i] = fold(texts[i], arena);
    gr_catalog_sort(out, n);
    for (size_t i = 0; i < n; i++)
        if (!kept || !gr_str_eq(out[kept - 1], out[i])) out[kept++] = out[i];
    *ret_n = kept;
    return out;
}

gr_str gr_catalog_id_text(int64_t id, gr_arena *arena) { return gr_arena_printf(arena, "%lld", (long long)id); }

/* ---- versions ------------------------------------------------------------------------------------------------------
 */
gr_catalog_version gr_catalog_version_read(gr_str text) {
    gr_catalog_version v = {0};
    size_t dot = gr_str_find(text, '.', 0);
    if (!text.n || text.p[0] != 'v' || dot == SIZE_MAX) return v;
    if (!gr_str_to_i64(gr_str_sub(text, 1, dot - 1), &v.major)) return (gr_catalog_version){0};
    if (!gr_str_to_i64(gr_str_sub(text, dot + 1, text.n - dot - 1), &v.minor)) return (gr_catalog_version){0};
    return v;
}

int gr_catalog_version_cmp(gr_str a, gr_str b) {
    gr_catalog_version x = gr_catalog_version_read(a), y = gr_catalog_version_read(b);
    if (x.major != y.major) return x.major < y.major ? -1 : 1;
    return x.minor < y.minor ? -1 : x.minor > y.minor;
}
