/* JSON out: a streaming encoder. It knows only where it is: the depth, and for each open level whether an item was
 * written there, so that it can put the commas.
 * Invariant: what is written is valid JSON as long as calls are paired; nesting beyond 64 levels puts the buffer over
 * its limit, which gr_buf_finish reports. */
#include "data/internal.h"
#include "data/json.h"

#include <math.h>

enum { MOST_LEVELS = 64 };

void gr_jw_init(gr_jw *w, gr_buf *out) { *w = (gr_jw){.out = out}; }

/* Level 1 is bit 0; a value outside of all levels needs no comma. */
static void before_value(gr_jw *w) {
    if (w->is_after_key) {
        w->is_after_key = false;
        return;
    }
    if (w->depth == 0 || w->depth > MOST_LEVELS) return;
    uint64_t bit = 1ull << (w->depth - 1);
    if (w->has_item & bit) gr_buf_char(w->out, ',');
    w->has_item |= bit;
}

static void open_level(gr_jw *w, char bracket) {
    before_value(w);
    gr_buf_char(w->out, bracket);
    if (w->depth >= MOST_LEVELS)
        w->out->is_over = true;
    else
        w->has_item &= ~(1ull << w->depth);
    w->depth++;
}

static void close_level(gr_jw *w, char bracket) {
    if (w->depth) w->depth--;
    gr_buf_char(w->out, bracket);
}

void gr_jw_object(gr_jw *w) { open_level(w, '{'); }
void gr_jw_object_end(gr_jw *w) { close_level(w, '}'); }
void gr_jw_array(gr_jw *w) { open_level(w, '['); }
void gr_jw_array_end(gr_jw *w) { close_level(w, ']'); }

static bool is_plain(unsigned char c) { return c >= ' ' && c < 0x80 && c != '"' && c != '\\'; }

static void escape_one(gr_buf *out, unsigned char c) {
    static const char shorts[256] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char hex[] = "0123456789abcdef";
    gr_buf_char(out, '\\');
    if (shorts[c]) {
        gr_buf_char(out, shorts[c]);
        return;
    }
    gr_buf_z(out, "u00");
    gr_buf_char(out, hex[c >> 4]);
    gr_buf_char(out, hex[c & 15]);
}

void gr_json_escape(gr_buf *out, gr_str s) {
    size_t from = 0;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t step = is_plain(c) ? 1 : c >= 0x80 ? gr_data_utf8_step(gr_str_sub(s, i, s.n - i)) : 0;
        if (step) {
            i += step;
            continue;
        }
        gr_buf_add(out, gr_str_sub(s, from, i - from));
        if (c >= 0x80)
            gr_buf_z(out, "\xEF\xBF\xBD");
        else
            escape_one(out, c);
        from = ++i;
    }
    if (s.n > from) gr_buf_add(out, gr_str_sub(s, from, s.n - from));
}

static void quoted(gr_buf *out, gr_str s) {
    gr_buf_char(out, '"');
    gr_json_escape(out, s);
    gr_buf_char(out, '"');
}

void gr_jw_key(gr_jw *w, gr_str key) {
    w->is_after_key = false;
    before_value(w);
    quoted(w->out, key);
    gr_buf_char(w->out, ':');
    w->is_after_key = true;
}

void gr_jw_raw(gr_jw *w, gr_str json) {
    before_value(w);
    gr_buf_add(w->out, json);
}

void gr_jw_str(gr_jw *w, gr_str s) {
    before_value(w);
    quoted(w->out, s);
}

void gr_jw_i64(gr_jw *w, int64_t v) {
    before_value(w);
    gr_buf_i64(w->out, v);
}

void gr_jw_null(gr_jw *w) { gr_jw_raw(w, GR_STR("null")); }
void gr_jw_bool(gr_jw *w, bool v) { gr_jw_raw(w, v ? GR_STR("true") : GR_STR("false")); }

void gr_jw_f64(gr_jw *w, double v) {
    if (!isfinite(v)) {
        gr_jw_null(w);
        return;
    }
    char text[GR_DATA_F64_MAX_BYTES];
    gr_jw_raw(w, (gr_str){text, gr_data_f64_json(v, text)});
}

static void write_object(gr_jw *w, const json_t *value) {
    /* jansson's iterators take no const, and change nothing. */
    json_t *object = (json_t *)(uintptr_t)value;
    gr_jw_object(w);
    for (void *it = json_object_iter(object); it && !w->out->is_over; it = json_object_iter_next(object, it)) {
        gr_jw_key(w, (gr_str){json_object_iter_key(it), json_object_iter_key_len(it)});
        gr_jw_json(w, json_object_iter_value(it));
    }
    gr_jw_object_end(w);
}

static void write_array(gr_jw *w, const json_t *value) {
    gr_jw_array(w);
    for (size_t i = 0; i < json_array_size(value) && !w->out->is_over; i++) gr_jw_json(w, json_array_get(value, i));
    gr_jw_array_end(w);
}

/* The recursion ends at MOST_LEVELS: beyond it the buffer is over and the loops above stop. */
void gr_jw_json(gr_jw *w, const json_t *value) {
    if (!value) {
        gr_jw_null(w);
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_object(w, value); break;
    case JSON_ARRAY: write_array(w, value); break;
    case JSON_STRING: gr_jw_str(w, gr_json_str(value)); break;
    case JSON_INTEGER: gr_jw_i64(w, json_integer_value(value)); break;
    case JSON_REAL: gr_jw_f64(w, json_real_value(value)); break;
    case JSON_TRUE: gr_jw_bool(w, true); break;
    case JSON_FALSE: gr_jw_bool(w, false); break;
    case JSON_NULL: gr_jw_null(w); break;
    }
}

void gr_jw_key_str(gr_jw *w, const char *key, gr_str s) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_str(w, s);
}

void gr_jw_key_i64(gr_jw *w, const char *key, int64_t v) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_i64(w, v);
}

void gr_jw_key_bool(gr_jw *w, const char *key, bool v) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_bool(w, v);
}
