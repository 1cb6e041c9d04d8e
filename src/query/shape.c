/* The shape of the JSON: places, keys, and scalars of the right type, with the reference's texts.
 * Invariant: nothing of the input is copied into a message without a cut. */
#include "query/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_SHOWN = 160, MAX_JSON_SHOWN = 600 };

static gr_str cut(gr_str text, size_t max) {
    if (text.n <= max) return text;
    while (max > 0 && ((unsigned char)text.p[max] & 0xC0) == 0x80) max--;
    return gr_str_sub(text, 0, max);
}

gr_str gr_query_shown(gr_str text) { return cut(text, MAX_SHOWN); }

gr_str gr_query_json_shown(gr_query_parser *p, const json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    gr_str shown = gr_arena_dup(p->arena, cut(gr_str_from(text), MAX_JSON_SHOWN));
    free(text);
    return shown;
}

static void place_put(gr_buf *out, const gr_query_place *place) {
    const gr_query_place *chain[2 * GR_QUERY_MAX_NESTING + 8];
    size_t n = 0;
    for (; place && n < sizeof chain / sizeof *chain; place = place->parent) chain[n++] = place;
    while (n-- > 0) {
        if (!chain[n]->key) {
            gr_buf_printf(out, "[%zu]", chain[n]->index);
            continue;
        }
        if (out->n) gr_buf_char(out, '.');
        gr_buf_add(out, gr_query_shown(gr_str_from(chain[n]->key)));
    }
}

gr_status gr_query_bad(gr_query_parser *p, const gr_query_place *place, const char *format, ...) {
    char what[640];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    gr_buf path;
    gr_buf_init(&path, 4096);
    if (place)
        place_put(&path, place);
    else
        gr_buf_z(&path, "value");
    gr_status status = gr_error_set(p->err, GR_ERR_QUERY_INVALID, "Invalid query format: \"" GR_FMT "\" %s",
                                    GR_ARG(gr_buf_str(&path)), what);
    gr_buf_done(&path);
    return status;
}

gr_status gr_query_check_keys(gr_query_parser *p, json_t *object, const gr_query_place *place, const gr_str *allowed,
                              size_t n) {
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        gr_str key = gr_str_from(json_object_iter_key(it));
        bool is_known = false;
        for (size_t i = 0; i < n && !is_known; i++) is_known = gr_str_eq(key, allowed[i]);
        if (is_known) continue;
        gr_query_place at = gr_query_at_key(place, key.p);
        gr_status status = gr_query_bad(p, &at, "is not allowed");
        gr_str near = gr_diags_nearest(key, allowed, n);
        if (near.n) gr_error_hint(p->err, "did you mean \"" GR_FMT "\"?", GR_ARG(near));
        return status;
    }
    return GR_OK;
}

gr_status gr_query_get_list(gr_query_parser *p, const json_t *object, const gr_query_place *place, json_t **ret) {
    json_t *list = json_object_get(object, place->key);
    if (list && !json_is_array(list)) return gr_query_bad(p, place, "must be an array");
    if (json_array_size(list) > p->options->max_members)
        return gr_error_set(p->err, GR_ERR_LIMIT, "The query has too many members: \"%s\" has %zu, the limit is %zu",
                            place->key, json_array_size(list), p->options->max_members);
    *ret = list;
    return GR_OK;
}

gr_status gr_query_want_str(gr_query_parser *p, const json_t *json, const gr_query_place *place, gr_str *ret) {
    if (!json_is_string(json)) return gr_query_bad(p, place, "must be a string");
    *ret = gr_json_str(json);
    return GR_OK;
}

gr_status gr_query_get_bool(gr_query_parser *p, const char *key, bool *ret) {
    const json_t *value = json_object_get(p->json, key);
    gr_query_place place = gr_query_at_key(NULL, key);
    if (!value) return GR_OK;
    if (!json_is_boolean(value)) return gr_query_bad(p, &place, "must be a boolean");
    *ret = json_is_true(value);
    return GR_OK;
}

gr_status gr_query_get_count(gr_query_parser *p, const char *key, int64_t *ret) {
    const json_t *value = json_object_get(p->json, key);
    gr_query_place place = gr_query_at_key(NULL, key);
    if (!value) return GR_OK;
    if (!json_is_number(value)) return gr_query_bad(p, &place, "must be a number");
    if (!json_is_integer(value)) return gr_query_bad(p, &place, "must be an integer");
    if (json_integer_value(value) < 0) return gr_query_bad(p, &place, "must be greater than or equal to 0");
    *ret = json_integer_value(value);
    return GR_OK;
}

gr_status gr_query_get_word(gr_query_parser *p, const char *key, const gr_str *words, size_t n, int *ret) {
    const json_t *value = json_object_get(p->json, key);
    gr_query_place place = gr_query_at_key(NULL, key);
    if (!value) return GR_OK;
    for (size_t i = 0; i < n && json_is_string(value); i++) {
        if (!gr_str_eq(gr_json_str(value), words[i])) continue;
        *ret = (int)i;
        return GR_OK;
    }
    gr_buf list;
    gr_buf_init(&list, 512);
    for (size_t i = 0; i < n; i++) {
        gr_buf_z(&list, i ? ", " : "");
        gr_buf_add(&list, words[i]);
    }
    gr_status status = gr_query_bad(p, &place, "must be one of [" GR_FMT "]", GR_ARG(gr_buf_str(&list)));
    gr_buf_done(&list);
    return status;
}
