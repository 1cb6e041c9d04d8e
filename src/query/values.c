/* The values of a filter: as text, checked to fit the member, and dates brought to a range.
 * Invariant: after gr_query_read_values a number is a sign, digits with at most one point, and an exponent (first and
 * last may lack); a boolean is "true" or "false"; an operator over dates has its range set. Whoever renders SQL may
 * rely on it. */
#include "query/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_NUMBER_BYTES = 128 };

/* As JavaScript writes a double: no exponent between 1e-6 and 1e21. */
static gr_str real_text(double v, gr_arena *arena) {
    char text[64];
    int precision = 1;
    do snprintf(text, sizeof text, "%.*e", precision - 1, v);
    while (strtod(text, NULL) != v && ++precision <= 17);
    int64_t exponent = 0;
    if (v == 0 || !gr_str_to_i64(gr_str_from(strchr(text, 'e') + 1), &exponent)) return GR_STR("0");
    if (exponent >= 21 || exponent < -6) return gr_arena_printf(arena, "%.*g", precision, v);
    int decimals = precision - 1 - (int)exponent;
    if (decimals >= 0) return gr_arena_printf(arena, "%.*f", decimals, v);
    return gr_arena_printf(arena, "%.0f", v);
}

/* False when it is none of string, number, boolean. Strings are borrowed from the JSON. */
static bool scalar_text(const json_t *value, gr_arena *arena, gr_str *ret) {
    if (json_is_string(value))
        *ret = gr_json_str(value);
    else if (json_is_boolean(value))
        *ret = json_is_true(value) ? GR_STR("true") : GR_STR("false");
    else if (json_is_integer(value))
        *ret = gr_arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        *ret = real_text(json_real_value(value), arena);
    else
        return false;
    return true;
}

static size_t skip_digits(gr_str s, size_t at) {
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9') at++;
    return at;
}

static size_t skip_sign(gr_str s, size_t at) { return at < s.n && (s.p[at] == '+' || s.p[at] == '-') ? at + 1 : at; }

static bool is_number(gr_str s) {
    if (s.n > MAX_NUMBER_BYTES) return false;
    size_t first = skip_sign(s, 0), at = skip_digits(s, first), digits = at - first;
    if (at < s.n && s.p[at] == '.') {
        first = at + 1;
        at = skip_digits(s, first);
        digits += at - first;
    }
    if (digits == 0) return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        first = skip_sign(s, at + 1);
        at = skip_digits(s, first);
        if (at == first) return false;
    }
    return at == s.n;
}

static bool fit_boolean(gr_str *value) {
    static const struct word {
        gr_str text, meaning;
    } words[] = {{GR_STR_INIT("true"), GR_STR_INIT("true")},
                 {GR_STR_INIT("1"), GR_STR_INIT("true")},
                 {GR_STR_INIT("false"), GR_STR_INIT("false")},
                 {GR_STR_INIT("0"), GR_STR_INIT("false")}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!gr_str_eq_nocase(*value, words[i].text)) continue;
        *value = words[i].meaning;
        return true;
    }
    return false;
}

static gr_status fit_values(gr_query_parser *p, gr_filter *f) {
    gr_query_value_type type = gr_query_value_type_of(f->field.member);
    bool is_boolean = type == GR_QUERY_TYPE_BOOLEAN;
    if (!is_boolean && type != GR_QUERY_TYPE_NUMBER) return GR_OK;
    for (size_t i = 0; i < f->n_values; i++) {
        if (is_boolean ? fit_boolean(&f->values[i]) : is_number(f->values[i])) continue;
        return gr_error_set(p->err, GR_ERR_QUERY_OPERATOR, "Filter value '" GR_FMT "' of " GR_FMT " is not a %s",
                            GR_ARG(gr_query_shown(f->values[i])), GR_ARG(gr_query_shown(f->field.id)),
                            is_boolean ? "boolean" : "number");
    }
    return GR_OK;
}

static gr_status range_of(gr_query_parser *p, gr_filter *f) {
    const gr_tz *tz = p->query->tz;
    int64_t now = p->options->now_us;
    if (f->n_values == 2) return gr_range_parse_pair(f->values[0], f->values[1], tz, now, p->arena, &f->range, p->err);
    return gr_range_parse_text(f->values[0], tz, now, p->arena, &f->range, p->err);
}

/* The whole day of a point, whatever its time of day; a relative text stands for its own range. */
static gr_status day_of(gr_query_parser *p, gr_filter *f) {
    int64_t us;
    gr_time_zone_part zone;
    bool is_date;
    char out[40];
    if (!gr_time_parse(gr_str_trim(f->values[0]), &us, &zone, &is_date)) return range_of(p, f);
    size_t n = gr_time_format(us, out);
    gr_str day = {out, n - strlen("T00:00:00.000")};
    return gr_range_parse_pair(day, day, p->query->tz, p->options->now_us, p->arena, &f->range, p->err);
}

static gr_status date_of(gr_query_parser *p, const gr_query_operator *op, gr_filter *f) {
    if (op->arity == GR_QUERY_RANGE) return range_of(p, f);
    if (op->arity == GR_QUERY_DAY) return day_of(p, f);
    return gr_range_parse_point(f->values[0], op->is_end, p->query->tz, p->options->now_us, p->arena, &f->range,
                                p->err);
}

static json_t *texts_json(const gr_str *texts, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, texts[i].p ? gr_query_json_text(texts[i]) : json_null());
    return list;
}

/* What the values were taken to mean: ranges as their two texts, a relative point as its text, the rest as given. */
static json_t *dates_json(const gr_query_operator *op, const gr_filter *f) {
    int64_t us;
    gr_time_zone_part zone;
    bool is_date;
    gr_str ends[2] = {f->range.from_text, f->range.to_text};
    if (op->arity == GR_QUERY_RANGE || op->arity == GR_QUERY_DAY) return texts_json(ends, 2);
    bool is_absolute = gr_time_parse(gr_str_trim(f->values[0]), &us, &zone, &is_date);
    return texts_json(is_absolute ? f->values : ends, 1);
}

static gr_status values_required(gr_query_parser *p, const json_t *leaf) {
    return gr_error_set(p->err, GR_ERR_QUERY_OPERATOR, "Values required for filter: " GR_FMT,
                        GR_ARG(gr_query_json_shown(p, leaf)));
}

/* The list as texts, a null as an empty slice without address. */
static gr_status read_texts(gr_query_parser *p, const json_t *list, const gr_query_place *place, gr_str **ret,
                            size_t *ret_n) {
    size_t n = json_array_size(list);
    if (n > p->options->max_filter_values)
        return gr_error_set(p->err, GR_ERR_LIMIT, "The filter has too many values: %zu, the limit is %zu", n,
                            p->options->max_filter_values);
    gr_str *texts = GR_NEW_N(p->arena, gr_str, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        gr_query_place at = gr_query_at_item(place, i);
        if (json_is_null(value) || scalar_text(value, p->arena, &texts[i])) continue;
        return gr_query_bad(p, &at, "must be a string, a number, a boolean or null");
    }
    *ret = texts;
    *ret_n = n;
    return GR_OK;
}

/* How many of `n` values the operator reads, and that none of them is a null that it cannot take. */
static gr_status check_arity(gr_query_parser *p, const gr_query_operator *op, const gr_str *texts, size_t *n) {
    if (op->arity == GR_QUERY_ANY_VALUES) return GR_OK;
    if (op->arity == GR_QUERY_RANGE && *n > 2)
        return gr_error_set(p->err, GR_ERR_QUERY_OPERATOR, "Operator \"" GR_FMT "\" takes one or two values, not %zu",
                            GR_ARG(op->name), *n);
    if (op->arity != GR_QUERY_RANGE) *n = 1;
    for (size_t i = 0; i < *n; i++)
        if (!texts[i].p)
            return gr_error_set(p->err, GR_ERR_QUERY_OPERATOR, "Operator \"" GR_FMT "\" does not take null",
                                GR_ARG(op->name));
    return GR_OK;
}

gr_status gr_query_read_values(gr_query_parser *p, const json_t *leaf, const gr_query_place *place, gr_filter *f,
                               json_t **ret_normalized) {
    const gr_query_operator *op = gr_query_operator_of(f->op);
    const json_t *list = json_object_get(leaf, "values");
    gr_query_place at = gr_query_at_key(place, "values");
    gr_str *texts = NULL;
    size_t n_given = 0;
    if (list && !json_is_array(list)) return gr_query_bad(p, &at, "must be an array");
    GR_TRY(read_texts(p, list, &at, &texts, &n_given));
    size_t n = n_given;
    if (op->arity == GR_QUERY_NO_VALUES) {
        *ret_normalized = NULL;
        return GR_OK;
    }
    if (n == 0) return values_required(p, leaf);
    GR_TRY(check_arity(p, op, texts, &n));
    f->values = GR_NEW_N(p->arena, gr_str, n);
    for (size_t i = 0; i < n; i++) {
        if (texts[i].p)
            f->values[f->n_values++] = texts[i];
        else
            f->has_null = true;
    }
    GR_TRY(fit_values(p, f));
    bool is_compare =
        op->arity == GR_QUERY_FIRST_VALUE && gr_query_value_type_of(f->field.member) != GR_QUERY_TYPE_TIME;
    if (op->arity == GR_QUERY_ANY_VALUES || is_compare) {
        *ret_normalized = texts_json(texts, n_given);
        return GR_OK;
    }
    GR_TRY(date_of(p, op, f));
    *ret_normalized = dates_json(op, f);
    return GR_OK;
}
