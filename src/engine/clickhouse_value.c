/* Values in statements: 18.16 has no bound parameters, so they are written into the text, each in a form that is read
 * back as exactly that value (engines.md §2, §3.4). */
#include "engine/clickhouse_internal.h"

#include <ctype.h>
#include <math.h>

enum { MOST_BYTES = 1 << 28 };

gr_str gr_engine_clickhouse_quote(gr_str text, char quote, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, 2 * text.n + 3), *p = out;
    *p++ = quote;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == quote || c == '\\') *p++ = '\\';
        if (c == 0) *p++ = '\\';
        *p++ = c ? c : '0';
    }
    *p++ = quote;
    return (gr_str){out, (size_t)(p - out)};
}

/* Times are whole seconds in 18.16, from 1970 to 2106: what lies before or after is the first and the last of them. */
static void add_time(gr_buf *out, int64_t us) {
    const int64_t last = UINT32_MAX;
    int64_t s = us / 1000000 - (us % 1000000 < 0);
    if (s < 0) s = 0;
    if (s > last) s = last;
    gr_buf_printf(out, "toDateTime(%lld, 'UTC')", (long long)s);
}

static void add_float(gr_buf *out, double d) {
    if (isnan(d))
        gr_buf_z(out, "nan");
    else if (isinf(d))
        gr_buf_z(out, d < 0 ? "-inf" : "inf");
    else
        gr_buf_printf(out, "toFloat64(%.17g)", d);
}

static void add_value(gr_buf *out, const gr_value *v, gr_arena *arena) {
    switch (v->type) {
    case GR_TYPE_BOOL: gr_buf_char(out, v->as.b ? '1' : '0'); break;
    case GR_TYPE_INT64: gr_buf_printf(out, "toInt64('%lld')", (long long)v->as.i); break;
    case GR_TYPE_FLOAT64: add_float(out, v->as.d); break;
    case GR_TYPE_UTF8: gr_buf_add(out, gr_engine_clickhouse_quote(v->as.s, '\'', arena)); break;
    case GR_TYPE_DATE: gr_buf_printf(out, "toDate(%lld)", (long long)v->as.i); break;
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: add_time(out, v->as.i); break;
    case GR_TYPE_NULL:
    case GR_TYPE_DECIMAL:
    case GR_TYPE_BINARY:
    case GR_TYPE__COUNT: gr_buf_z(out, "NULL"); break;
    }
}

gr_status gr_engine_clickhouse_with_values(gr_str sql, const gr_value *params, size_t n_params, gr_arena *arena,
                                           gr_str *ret, gr_error *err) {
    gr_buf out;
    gr_buf_init(&out, MOST_BYTES);
    char quote = 0;
    for (size_t i = 0; i < sql.n; i++) {
        char c = sql.p[i];
        size_t number = 0, end = i + 1;
        if (quote && c == '\\' && i + 1 < sql.n) {
            gr_buf_char(&out, c);
            c = sql.p[++i];
        } else if (quote || c == '\'' || c == '"' || c == '`') {
            quote = !quote ? c : c == quote ? 0 : quote;
        }
        while (c == '$' && !quote && end < sql.n && isdigit((unsigned char)sql.p[end]) && number <= n_params)
            number = number * 10 + (size_t)(sql.p[end++] - '0');
        if (number && number <= n_params) {
            add_value(&out, &params[number - 1], arena);
            i = end - 1;
        } else {
            gr_buf_char(&out, c);
        }
    }
    bool is_over = out.is_over;
    if (!is_over) *ret = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return is_over ? gr_error_set(err, GR_ERR_LIMIT, "a statement of more than 256 MiB") : GR_OK;
}
