/* ClickHouse's names of types, as results carry them.
 *
 *   Int8 … Int64, UInt8 … UInt64   int64 (a UInt64 above 2^63 - 1 fails)   Date, Date32           date
 *   Int128                         decimal(38, 0)                          DateTime, DateTime64   timestamp (naive UTC)
 *   Float32, Float64               float64
 *   Decimal(p, s)                  decimal                                 Bool                   bool
 *   String, FixedString, Enum, UUID   utf8                                 Nullable(T)            T
 *   LowCardinality(T)              T
 *   AggregateFunction(uniqCombined(p), UInt64)                             binary: the bytes of sketch/ for that state
 *
 * Everything else (arrays, states of other aggregates, IP addresses, …) is refused by name. */
#include "engine/clickhouse_internal.h"

#include "sketch/sketch.h"

#include <ctype.h>
#include <stdlib.h>

/* `Name(inner)`: the inside; false when the text has another form. */
static bool inside(gr_str text, const char *name, gr_str *ret) {
    gr_str head = gr_str_from(name);
    if (!gr_str_starts(text, head) || text.n < head.n + 2 || text.p[head.n] != '(' || text.p[text.n - 1] != ')')
        return false;
    *ret = gr_str_sub(text, head.n + 1, text.n - head.n - 2);
    return true;
}

static int number_at(gr_str text, size_t *at) {
    int n = 0;
    while (*at < text.n && !isdigit((unsigned char)text.p[*at])) ++*at;
    while (*at < text.n && isdigit((unsigned char)text.p[*at]) && n < 1000) n = n * 10 + (text.p[(*at)++] - '0');
    return n;
}

static bool take_integer(gr_str text, gr_clickhouse_type *t) {
    static const struct {
        const char *name;
        size_t width;
        bool is_signed;
    } names[] = {{"Int8", 1, true},   {"Int16", 2, true},   {"Int32", 4, true},   {"Int64", 8, true},
                 {"UInt8", 1, false}, {"UInt16", 2, false}, {"UInt32", 4, false}, {"UInt64", 8, false}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (gr_str_eq_z(text, names[i].name)) {
            t->form = GR_CH_INT;
            t->to = GR_TYPE_INT64;
            t->width = names[i].width;
            t->is_signed = names[i].is_signed;
            return true;
        }
    return false;
}

static bool take_decimal(gr_str text, gr_clickhouse_type *t) {
    static const struct {
        const char *name;
        int precision;
    } sized[] = {{"Decimal32", 9}, {"Decimal64", 18}, {"Decimal128", 38}};
    gr_str in;
    size_t at = 0;
    int precision = 0, scale = 0;
    if (inside(text, "Decimal", &in)) {
        precision = number_at(in, &at);
        scale = number_at(in, &at);
    }
    for (size_t i = 0; i < sizeof sized / sizeof *sized; i++)
        if (inside(text, sized[i].name, &in)) {
            precision = sized[i].precision;
            scale = number_at(in, &at);
        }
    if (gr_str_eq_z(text, "Int128")) precision = 38;
    if (precision < 1 || precision > 38 || scale > precision) return false;
    t->form = GR_CH_DECIMAL;
    t->to = GR_TYPE_DECIMAL;
    t->precision = (uint8_t)precision;
    t->scale = (uint8_t)scale;
    t->width = precision <= 9 ? 4 : precision <= 18 ? 8 : 16;
    return true;
}

static bool take_time(gr_str text, gr_clickhouse_type *t) {
    gr_str in = {0};
    size_t at = 0;
    bool is_wide = inside(text, "DateTime64", &in);
    bool is_plain = gr_str_eq_z(text, "DateTime") || inside(text, "DateTime", &in);
    if (gr_str_eq_z(text, "Date") || gr_str_eq_z(text, "Date32")) {
        *t = (gr_clickhouse_type){.form = GR_CH_DATE, .to = GR_TYPE_DATE, .width = text.n > 4 ? 4 : 2};
        return true;
    }
    if (!is_wide && !is_plain) return false;
    int scale = is_wide ? number_at(in, &at) : 0;
    t->form = GR_CH_DATETIME;
    t->to = GR_TYPE_TIMESTAMP; /* Native does not say which zone it is shown in: as UTC it is the same instant */
    t->width = is_wide ? 8 : 4;
    t->scale = (uint8_t)scale;
    return scale <= 9;
}

/* 'a' = 1, 'b\'' = -2 */
static bool take_enum(gr_str text, gr_arena *arena, gr_clickhouse_type *t) {
    gr_str in;
    GR_VEC(gr_clickhouse_word) words = {0};
    size_t width = inside(text, "Enum8", &in) ? 1 : inside(text, "Enum16", &in) ? 2 : 0;
    for (size_t i = 0; width && i < in.n;) {
        while (i < in.n && in.p[i] != '\'') i++;
        if (i++ >= in.n) break;
        char *word = gr_arena_alloc(arena, in.n - i + 1);
        size_t n = 0;
        for (; i < in.n && in.p[i] != '\''; i++) {
            if (in.p[i] == '\\' && i + 1 < in.n) i++;
            word[n++] = in.p[i];
        }
        while (i < in.n && in.p[i] != '=') i++;
        bool is_negative = false;
        for (i++; i < in.n && in.p[i] == ' '; i++) continue;
        if (i < in.n && in.p[i] == '-') is_negative = true;
        int value = number_at(in, &i);
        GR_PUSH(arena, &words, ((gr_clickhouse_word){is_negative ? -value : value, {word, n}}));
    }
    t->form = GR_CH_ENUM;
    t->to = GR_TYPE_UTF8;
    t->width = width;
    t->words = words.v;
    t->n_words = words.n;
    return width && words.n;
}

static bool take_text(gr_str text, gr_clickhouse_type *t) {
    gr_str in;
    size_t at = 0;
    t->to = GR_TYPE_UTF8;
    t->form = GR_CH_STRING;
    if (gr_str_eq_z(text, "String")) return true;
    t->form = GR_CH_UUID;
    t->width = 16;
    if (gr_str_eq_z(text, "UUID")) return true;
    t->form = GR_CH_FIXED;
    if (!inside(text, "FixedString", &in)) return false;
    t->width = (size_t)number_at(in, &at);
    return t->width > 0 && at == in.n;
}

static bool take_state(gr_str text, gr_clickhouse_type *t) {
    gr_str in, tail = GR_STR("), UInt64"), head = GR_STR("uniqCombined(");
    size_t at = 0;
    if (!inside(text, "AggregateFunction", &in) || !gr_str_starts(in, head) || in.n < head.n + tail.n) return false;
    gr_str digits = gr_str_sub(in, head.n, in.n - head.n - tail.n);
    int log2m = number_at(digits, &at);
    t->form = GR_CH_STATE;
    t->to = GR_TYPE_BINARY;
    t->precision = (uint8_t)log2m;
    return gr_str_eq(gr_str_sub(in, in.n - tail.n, tail.n), tail) && at == digits.n &&
           log2m >= GR_HLL_STATE_MIN_LOG2M && log2m <= GR_HLL_MAX_LOG2M;
}

gr_str gr_engine_clickhouse_state_type(int log2m, gr_arena *arena) {
    return gr_arena_printf(arena, "AggregateFunction(uniqCombined(%d), UInt64)", log2m);
}

gr_str gr_engine_clickhouse_plain_type(gr_str text) {
    gr_str in;
    return inside(text, "LowCardinality", &in) ? in : text;
}

bool gr_engine_clickhouse_type(gr_str text, gr_arena *arena, gr_clickhouse_type *ret) {
    gr_str in;
    *ret = (gr_clickhouse_type){0};
    gr_str plain = gr_engine_clickhouse_plain_type(text);
    bool has_keys = plain.n < text.n;
    text = plain;
    bool is_nullable = inside(text, "Nullable", &in);
    if (is_nullable) text = in;
    bool is_float = gr_str_eq_z(text, "Float32") || gr_str_eq_z(text, "Float64");
    if (is_float)
        *ret = (gr_clickhouse_type){.form = GR_CH_FLOAT, .to = GR_TYPE_FLOAT64, .width = text.p[5] == '3' ? 4 : 8};
    bool is_bool = gr_str_eq_z(text, "Bool");
    if (is_bool) *ret = (gr_clickhouse_type){.form = GR_CH_BOOL, .to = GR_TYPE_BOOL, .width = 1};
    bool is_known = is_float || is_bool || take_integer(text, ret) || take_decimal(text, ret) || take_time(text, ret) ||
                    take_enum(text, arena, ret) || take_text(text, ret) || take_state(text, ret);
    ret->is_nullable = is_nullable;
    ret->has_keys = has_keys;
    return is_known;
}

gr_column_schema gr_engine_clickhouse_schema(gr_str name, const gr_clickhouse_type *t) {
    bool is_text_of_other = t->to == GR_TYPE_UTF8 && t->form != GR_CH_STRING; /* 'zz' is an error beside an enum */
    return (gr_column_schema){name, t->to, t->precision, t->to == GR_TYPE_DECIMAL ? t->scale : 0, is_text_of_other};
}
