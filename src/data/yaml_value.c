/* What a YAML node means by the core schema of YAML 1.2, and the node as JSON.
 * Invariant: a quoted scalar is a string, whatever it looks like; no number is rounded on its way to JSON. */
#include "data/internal.h"
#include "data/json.h"
#include "data/yaml.h"

#include <math.h>

gr_yaml *gr_yaml_get(const gr_yaml *map, gr_str key) {
    if (!map || map->kind != GR_YAML_MAP) return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (gr_str_eq(map->pairs[i].key, key)) return map->pairs[i].value;
    return NULL;
}

static bool is_plain(const gr_yaml *node) { return node && node->kind == GR_YAML_SCALAR && !node->is_quoted; }

bool gr_yaml_is_string(const gr_yaml *node) { return node && node->kind == GR_YAML_SCALAR; }

bool gr_yaml_is_bool(const gr_yaml *node, bool *ret) {
    static const struct {
        gr_str text;
        bool value;
    } words[] = {
        {GR_STR_INIT("true"), true},   {GR_STR_INIT("True"), true},   {GR_STR_INIT("TRUE"), true},
        {GR_STR_INIT("false"), false}, {GR_STR_INIT("False"), false}, {GR_STR_INIT("FALSE"), false},
    };
    if (!is_plain(node)) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (gr_str_eq(node->text, words[i].text)) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

/* 0x1F and 0o17 */
static bool radix_value(gr_str s, int64_t *ret) {
    if (s.n < 3 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'o')) return false;
    unsigned radix = s.p[1] == 'x' ? 16 : 8;
    uint64_t v = 0;
    for (size_t i = 2; i < s.n; i++) {
        char c = s.p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;
        if (digit >= radix || v > ((uint64_t)INT64_MAX - digit) / radix) return false;
        v = v * radix + digit;
    }
    *ret = (int64_t)v;
    return true;
}

static size_t digits_at(gr_str s, size_t from) {
    size_t i = from;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') i++;
    return i - from;
}

/* [-+]?[0-9]+ */
static bool is_decimal_int(gr_str s) {
    size_t from = s.n && (s.p[0] == '-' || s.p[0] == '+');
    return s.n > from && digits_at(s, from) == s.n - from;
}

bool gr_yaml_is_i64(const gr_yaml *node, int64_t *ret) {
    if (!is_plain(node)) return false;
    if (is_decimal_int(node->text)) return gr_str_to_i64(node->text, ret);
    return radix_value(node->text, ret);
}

/* [-+]? ( \.[0-9]+ | [0-9]+(\.[0-9]*)? ) ([eE][-+]?[0-9]+)? */
static bool is_float(gr_str s) {
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    size_t whole = digits_at(s, i), part = 0;
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        part = digits_at(s, i + 1);
        i += 1 + part;
    }
    if (whole + part == 0) return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) i++;
        size_t power = digits_at(s, i);
        if (!power) return false;
        i += power;
    }
    return i == s.n;
}

/* A number with the digits that it was written with, in JSON's form: no plus, no zeros in front, a digit on both sides
 * of the point. */
static void write_number(gr_jw *w, gr_str s) {
    gr_jw_raw(w, s.p[0] == '-' ? GR_STR("-") : GR_STR(""));
    if (s.p[0] == '-' || s.p[0] == '+') s = gr_str_sub(s, 1, s.n - 1);
    while (s.n > 1 && s.p[0] == '0' && s.p[1] >= '0' && s.p[1] <= '9') s = gr_str_sub(s, 1, s.n - 1);
    size_t whole = digits_at(s, 0), part = 0;
    gr_buf_add(w->out, whole ? gr_str_sub(s, 0, whole) : GR_STR("0"));
    if (whole < s.n && s.p[whole] == '.') {
        part = 1 + digits_at(s, whole + 1);
        if (part > 1) gr_buf_add(w->out, gr_str_sub(s, whole, part));
    }
    gr_buf_add(w->out, gr_str_sub(s, whole + part, s.n - whole - part));
}

/* Only what a reader of JSON can take: 1e999 stays a text. */
static bool is_number(const gr_yaml *node) {
    double v;
    return is_plain(node) && is_float(node->text) && gr_str_to_f64(node->text, &v) && isfinite(v);
}

static void write_scalar(gr_jw *w, const gr_yaml *node) {
    bool truth;
    int64_t number;
    if (gr_yaml_is_bool(node, &truth))
        gr_jw_bool(w, truth);
    else if (gr_yaml_is_i64(node, &number))
        gr_jw_i64(w, number);
    else if (is_number(node))
        write_number(w, node->text);
    else
        gr_jw_str(w, node->text);
}

/* The recursion ends with the encoder's levels: beyond them the buffer is over and the loops stop. */
static void write_node(gr_jw *w, const gr_yaml *node) {
    switch (node->kind) {
    case GR_YAML_NULL: gr_jw_null(w); break;
    case GR_YAML_SCALAR: write_scalar(w, node); break;
    case GR_YAML_LIST:
        gr_jw_array(w);
        for (size_t i = 0; i < node->n && !w->out->is_over; i++) write_node(w, node->items[i]);
        gr_jw_array_end(w);
        break;
    case GR_YAML_MAP:
        gr_jw_object(w);
        for (size_t i = 0; i < node->n && !w->out->is_over; i++) {
            gr_jw_key(w, node->pairs[i].key);
            write_node(w, node->pairs[i].value);
        }
        gr_jw_object_end(w);
        break;
    }
}

void gr_yaml_to_json(const gr_yaml *node, gr_buf *out) {
    gr_jw w;
    gr_jw_init(&w, out);
    if (node)
        write_node(&w, node);
    else
        gr_jw_null(&w);
}
