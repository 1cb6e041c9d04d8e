/* Reading parameters and bodies of DataJunction's and the seed's routes. What is malformed is collected as details, so
 * that one answer tells of all of it. Null counts as absent, unknown fields are left alone: DataJunction's client sends
 * its whole object. Source: dj.md 1.0, 7.1. */
#include "http/dj_internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { MOST_DETAILS = 50 };

/* ---- details --------------------------------------------------------------------------------- */
void gr_dj_detail_add(gr_dj *dj, const char *where, gr_str field, const char *type, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || dj->details.n == MOST_DETAILS) return;
    gr_str message = {text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1};
    gr_dj_detail detail = {where, gr_arena_dup(dj->arena, field), type, gr_arena_dup(dj->arena, message)};
    GR_PUSH(dj->arena, &dj->details, detail);
}

gr_status gr_dj_check(gr_dj *dj, gr_error *err) {
    if (!dj->details.n) return GR_OK;
    const gr_dj_detail *first = &dj->details.v[0];
    return gr_error_set(err, GR_ERR_QUERY_INVALID, "%s%s" GR_FMT ": " GR_FMT, first->where, first->field.n ? " " : "",
                        GR_ARG(first->field), GR_ARG(first->message));
}

/* ---- parameters ------------------------------------------------------------------------------ */
gr_str gr_dj_param(const gr_dj *dj, const char *key) {
    for (size_t i = 0; i < dj->params.n; i++)
        if (gr_str_eq_z(dj->params.v[i].key, key)) return dj->params.v[i].value;
    return (gr_str){0};
}

bool gr_dj_param_has(const gr_dj *dj, const char *key) { return gr_dj_param(dj, key).n > 0; }

bool gr_dj_param_bool(gr_dj *dj, const char *key, bool fallback) {
    static const struct {
        gr_str text;
        bool value;
    } words[] = {{GR_STR_INIT("true"), true}, {GR_STR_INIT("false"), false}, {GR_STR_INIT("1"), true},
                 {GR_STR_INIT("0"), false},   {GR_STR_INIT("yes"), true},    {GR_STR_INIT("no"), false}};
    gr_str value = gr_dj_param(dj, key);
    if (!value.n) return fallback;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (gr_str_eq_nocase(words[i].text, value)) return words[i].value;
    gr_dj_detail_add(dj, "query", gr_str_from(key), "bool_parsing", "The value must be true or false");
    return fallback;
}

int64_t gr_dj_param_int(gr_dj *dj, const char *key, int64_t least, int64_t most, int64_t fallback) {
    gr_str value = gr_dj_param(dj, key);
    int64_t n = 0;
    if (!value.n) return fallback;
    if (!gr_str_to_i64(value, &n)) {
        gr_dj_detail_add(dj, "query", gr_str_from(key), "int_parsing", "The value must be an integer");
        return fallback;
    }
    if (n >= least && n <= most) return n;
    gr_dj_detail_add(dj, "query", gr_str_from(key), n < least ? "greater_than_equal" : "less_than_equal",
                     "The value must be from %lld to %lld", (long long)least, (long long)most);
    return fallback;
}

static void add_part(gr_dj *dj, gr_str part, gr_dj_texts *list) {
    part = gr_str_trim(part);
    if (part.n) GR_PUSH(dj->arena, list, part);
}

gr_dj_texts gr_dj_param_texts(gr_dj *dj, const char *key, bool is_split) {
    gr_dj_texts list = {0};
    for (size_t i = 0; i < dj->params.n; i++) {
        gr_str value = dj->params.v[i].value;
        if (!gr_str_eq_z(dj->params.v[i].key, key)) continue;
        for (size_t at = 0, end; is_split && at < value.n; at = end + 1) {
            end = gr_str_find(value, ',', at);
            if (end == SIZE_MAX) end = value.n;
            add_part(dj, gr_str_sub(value, at, end - at), &list);
        }
        if (!is_split) add_part(dj, value, &list);
    }
    return list;
}

/* ---- bodies ---------------------------------------------------------------------------------- */
void gr_dj_need_body(gr_dj *dj) {
    if (json_is_object(dj->body) || dj->details.n) return;
    if (!dj->body)
        gr_dj_detail_add(dj, "body", (gr_str){0}, "missing", "A JSON object is required");
    else
        gr_dj_detail_add(dj, "body", (gr_str){0}, "dict_type", "The body must be a JSON object");
}

/* The field when it is there; else a detail when it is needed. */
static const json_t *field_of(gr_dj *dj, const json_t *object, const char *key, bool is_needed) {
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_null(value)) return value;
    /* Of a body that is no object that alone is told. */
    if (is_needed && json_is_object(object))
        gr_dj_detail_add(dj, "body", gr_str_from(key), "missing", "Field required");
    return NULL;
}

gr_str gr_dj_text(gr_dj *dj, const json_t *object, const char *key, bool is_needed) {
    const json_t *value = field_of(dj, object, key, is_needed);
    if (!value) return (gr_str){0};
    if (json_is_string(value)) return gr_json_str(value);
    gr_dj_detail_add(dj, "body", gr_str_from(key), "string_type", "The value must be a text");
    return (gr_str){0};
}

bool gr_dj_bool(gr_dj *dj, const json_t *object, const char *key, bool fallback) {
    const json_t *value = field_of(dj, object, key, false);
    if (!value) return fallback;
    if (json_is_boolean(value)) return json_is_true(value);
    gr_dj_detail_add(dj, "body", gr_str_from(key), "bool_type", "The value must be true or false");
    return fallback;
}

bool gr_dj_int(gr_dj *dj, const json_t *object, const char *key, bool is_needed, int64_t *ret) {
    const json_t *value = field_of(dj, object, key, is_needed);
    if (!value) return false;
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    gr_dj_detail_add(dj, "body", gr_str_from(key), "int_type", "The value must be an integer");
    return false;
}

gr_dj_texts gr_dj_texts_of(gr_dj *dj, const json_t *object, const char *key, bool is_needed) {
    gr_dj_texts list = {0};
    const json_t *value = field_of(dj, object, key, is_needed);
    if (!value) return list;
    bool is_fine = json_is_array(value);
    for (size_t i = 0; is_fine && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        is_fine = json_is_string(item);
        if (is_fine) GR_PUSH(dj->arena, &list, gr_json_str(item));
    }
    if (!is_fine) gr_dj_detail_add(dj, "body", gr_str_from(key), "list_type", "The value must be a list of texts");
    return list;
}

const json_t *gr_dj_object(gr_dj *dj, const json_t *object, const char *key, bool is_needed) {
    const json_t *value = field_of(dj, object, key, is_needed);
    if (!value || json_is_object(value)) return value;
    gr_dj_detail_add(dj, "body", gr_str_from(key), "dict_type", "The value must be an object");
    return NULL;
}

static const json_t *filters_of(gr_dj *dj) {
    const json_t *filters = field_of(dj, dj->body, "filters", false);
    if (!filters || json_is_array(filters)) return filters;
    gr_dj_detail_add(dj, "body", GR_STR("filters"), "list_type", "The value must be a list");
    return NULL;
}

gr_entity_ask gr_dj_ask(gr_dj *dj, bool needs_metrics) {
    gr_dj_texts metrics = gr_dj_texts_of(dj, dj->body, "metrics", needs_metrics);
    gr_dj_texts dimensions = gr_dj_texts_of(dj, dj->body, "dimensions", false);
    return (gr_entity_ask){.metrics = metrics.v,
                           .n_metrics = metrics.n,
                           .dimensions = dimensions.v,
                           .n_dimensions = dimensions.n,
                           .filters = filters_of(dj),
                           .time_zone = gr_dj_text(dj, dj->body, "timezone", false)};
}

void gr_dj_refuse_others(gr_dj *dj, const char *const *known) {
    const char *key;
    json_t *value;
    json_object_foreach(dj->body, key, value) {
        bool is_known = false;
        for (size_t i = 0; known[i]; i++) is_known |= strcmp(known[i], key) == 0;
        if (!is_known) gr_dj_detail_add(dj, "body", gr_str_from(key), "extra_forbidden", "There is no such field");
    }
}
