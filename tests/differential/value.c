/* Values of the reference evaluator: comparison, arithmetic, text forms. Integers and decimals are exact 128-bit
 * numbers; doubles carry the width of their own uncertainty. */
#include "differential/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool diff_is_number(const diff_value *v) {
    return v->kind == DIFF_INT || v->kind == DIFF_DECIMAL || v->kind == DIFF_DOUBLE;
}

static diff_wide power10(unsigned n) {
    diff_wide p = 1;
    while (n--) p *= 10;
    return p;
}

double diff_to_double(const diff_value *v) {
    if (v->kind == DIFF_DOUBLE) return v->as.d;
    return v->kind == DIFF_DECIMAL ? (double)v->as.i / (double)power10(v->scale) : (double)v->as.i;
}

static int cmp_double(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int cmp_number(const diff_value *a, const diff_value *b, bool *is_unsure) {
    if (a->kind == DIFF_DOUBLE || b->kind == DIFF_DOUBLE) {
        double x = diff_to_double(a), y = diff_to_double(b), width = a->tol + b->tol;
        if (is_unsure && width > 0 && !(fabs(x - y) > width)) *is_unsure = true;
        return cmp_double(x, y);
    }
    unsigned scale = a->scale > b->scale ? a->scale : b->scale;
    diff_wide x = a->as.i * power10(scale - a->scale), y = b->as.i * power10(scale - b->scale);
    return (x > y) - (x < y);
}

int diff_cmp(const diff_value *a, const diff_value *b, bool *is_unsure) {
    if (diff_is_number(a) && diff_is_number(b)) return cmp_number(a, b, is_unsure);
    if (a->kind == DIFF_BOOL && b->kind == DIFF_BOOL) return a->as.b - b->as.b;
    if (a->kind == DIFF_TIME && b->kind == DIFF_TIME) return (a->as.us > b->as.us) - (a->as.us < b->as.us);
    if (a->kind == DIFF_TEXT && b->kind == DIFF_TEXT) {
        size_t n = a->as.s.n < b->as.s.n ? a->as.s.n : b->as.s.n;
        int order = n ? memcmp(a->as.s.p, b->as.s.p, n) : 0;
        return order ? order : (a->as.s.n > b->as.s.n) - (a->as.s.n < b->as.s.n);
    }
    if (is_unsure) *is_unsure = true;
    return 0;
}

bool diff_same(const diff_value *a, const diff_value *b) {
    if (a->kind == DIFF_NULL || b->kind == DIFF_NULL) return a->kind == b->kind;
    return diff_cmp(a, b, NULL) == 0;
}

static diff_value arith_double(char op, const diff_value *a, const diff_value *b) {
    double x = diff_to_double(a), y = diff_to_double(b), tx = a->tol, ty = b->tol;
    diff_value r = {.kind = DIFF_DOUBLE, .is_wild = a->is_wild || b->is_wild || op == '/'};
    switch (op) {
    case '+': r.as.d = x + y, r.tol = tx + ty; break;
    case '-': r.as.d = x - y, r.tol = tx + ty; break;
    case '*': r.as.d = x * y, r.tol = fabs(x) * ty + fabs(y) * tx + tx * ty; break;
    default:
        r.as.d = x / y;
        if (tx > 0 || ty > 0) r.tol = fabs(y) > ty ? (tx + fabs(x / y) * ty) / (fabs(y) - ty) : INFINITY;
    }
    return r;
}

bool diff_divides_integers, diff_is_clickhouse, diff_speaks_clickhouse;

diff_value diff_arith(char op, const diff_value *a, const diff_value *b) {
    if (a->kind == DIFF_ANY || b->kind == DIFF_ANY) return (diff_value){.kind = DIFF_ANY};
    if (a->kind == DIFF_NULL || b->kind == DIFF_NULL) return diff_null();
    if (op == '/' && diff_divides_integers && a->kind == DIFF_INT && b->kind == DIFF_INT && b->as.i)
        return diff_int(a->as.i / b->as.i);
    if (op == '/' || a->kind == DIFF_DOUBLE || b->kind == DIFF_DOUBLE) return arith_double(op, a, b);
    unsigned scale = a->scale > b->scale ? a->scale : b->scale;
    diff_wide x = a->as.i, y = b->as.i;
    diff_value r = {.kind = a->kind == DIFF_DECIMAL ? DIFF_DECIMAL : b->kind};
    if (op == '*') {
        r.scale = (uint8_t)(a->scale + b->scale);
        r.as.i = x * y;
        return r;
    }
    x *= power10(scale - a->scale);
    y *= power10(scale - b->scale);
    r.scale = (uint8_t)scale;
    r.as.i = op == '+' ? x + y : x - y;
    return r;
}

bool diff_parse_number(gr_str text, diff_value *ret) {
    diff_value v = {.kind = DIFF_INT};
    size_t i = 0, digits = 0;
    bool is_negative = false, is_fraction = false;
    if (i < text.n && (text.p[i] == '-' || text.p[i] == '+')) is_negative = text.p[i++] == '-';
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (c == '.' && !is_fraction) {
            is_fraction = true;
            v.kind = DIFF_DECIMAL;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > 30) return false;
        v.as.i = v.as.i * 10 + (c - '0');
        if (is_fraction) v.scale++;
    }
    if (is_negative) v.as.i = -v.as.i;
    *ret = v;
    return digits > 0;
}

/* Digits of an exact number with `scale` of them behind the point. */
static void add_exact(diff_wide i, unsigned scale, gr_buf *out) {
    char text[64], *end = text + sizeof text, *p = end;
    bool is_negative = i < 0;
    for (unsigned n = 0; n < scale || i || p == end || (scale && n == scale); n++) {
        if (scale && n == scale) *--p = '.';
        *--p = (char)('0' + abs((int)(i % 10)));
        i /= 10;
    }
    if (is_negative) *--p = '-';
    gr_buf_add(out, (gr_str){p, (size_t)(end - p)});
}

static void add_double(double d, gr_buf *out) {
    char text[64];
    int precision = 1;
    do snprintf(text, sizeof text, "%.*g", precision, d);
    while (strtod(text, NULL) != d && ++precision <= 17);
    gr_buf_z(out, text);
}

bool diff_show(const diff_value *v, gr_buf *out) {
    diff_wide i = v->as.i;
    unsigned scale = v->scale;
    char text[40];
    switch (v->kind) {
    case DIFF_NULL: return false;
    case DIFF_BOOL: gr_buf_z(out, v->as.b ? "true" : "false"); return true;
    case DIFF_INT: add_exact(v->as.i, 0, out); return true;
    case DIFF_DECIMAL:
        for (; scale && i % 10 == 0; scale--) i /= 10;
        add_exact(i, scale, out);
        return true;
    case DIFF_DOUBLE:
        if (!isfinite(v->as.d)) return false;
        add_double(v->as.d, out);
        return true;
    case DIFF_TEXT: gr_buf_add(out, v->as.s); return true;
    case DIFF_TIME: gr_buf_add(out, (gr_str){text, gr_time_format(v->as.us, text)}); return true;
    case DIFF_ANY: gr_buf_z(out, "?"); return true;
    }
    return false;
}

gr_str diff_cast_text(const diff_value *v, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    if (v->kind == DIFF_DECIMAL)
        add_exact(v->as.i, v->scale, &out);
    else if (!diff_show(v, &out))
        gr_buf_z(&out, "");
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

bool diff_instant(const diff_value *v, int64_t *ret_us) {
    gr_time_zone_part part;
    bool is_date;
    if (v->kind == DIFF_TEXT) return gr_time_parse(v->as.s, ret_us, &part, &is_date);
    if (v->kind != DIFF_TIME) return false;
    *ret_us = v->as.us;
    return true;
}

/* Letters of Latin-1 are C3 80 … C3 9E in UTF-8, their small forms 0x20 further; C3 97 is the multiplication sign. */
static gr_str change_case(gr_str text, bool is_up, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i], before = i ? (unsigned char)text.p[i - 1] : 0;
        bool is_latin = before == 0xc3 && (c & ~0x20) >= 0x80 && (c & ~0x20) <= 0x9e && (c & ~0x20) != 0x97;
        if (c < 0x80 ? (is_up ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z') : is_latin && ((c & 0x20) != 0) == is_up)
            c ^= 0x20;
        out[i] = (char)c;
    }
    return (gr_str){out, text.n};
}

gr_str diff_fold(gr_str text, gr_arena *arena) { return change_case(text, false, arena); }
gr_str diff_upper(gr_str text, gr_arena *arena) { return change_case(text, true, arena); }
