/* Request targets: splitting and percent-decoding. The library's own decoding is switched off, because it passes
 * malformed escapes through; here they are refused. Invariant: decoded text is valid UTF-8. */
#include "http/internal.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

gr_status gr_http_url_decode(gr_str raw, bool is_query, gr_arena *arena, gr_str *ret, gr_error *err) {
    char *out = gr_arena_alloc(arena, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int high = i + 1 < raw.n ? hex_value(raw.p[i + 1]) : -1, low = i + 2 < raw.n ? hex_value(raw.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return gr_error_set(
                    err, GR_ERR_QUERY_INVALID,
                    "Malformed percent-encoding in the URL: '%%' at byte %zu is not followed by two hexadecimal digits",
                    i);
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        out[n++] = c;
    }
    if (!gr_str_is_utf8((gr_str){out, n}))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "The URL does not decode to valid UTF-8");
    *ret = (gr_str){out, n};
    return GR_OK;
}

static gr_status decode_pair(gr_str pair, gr_arena *arena, gr_http_param *ret, gr_error *err) {
    size_t eq = gr_str_find(pair, '=', 0);
    gr_str key = eq == SIZE_MAX ? pair : gr_str_sub(pair, 0, eq);
    gr_str value = eq == SIZE_MAX ? (gr_str){0} : gr_str_sub(pair, eq + 1, pair.n - eq - 1);
    GR_TRY(gr_http_url_decode(key, true, arena, &ret->key, err));
    return gr_http_url_decode(value, true, arena, &ret->value, err);
}

gr_status gr_http_url_params(gr_str raw_query, gr_arena *arena, gr_http_params *ret, gr_error *err) {
    GR_VEC(gr_http_param) params = {0};
    for (size_t at = 0; at < raw_query.n;) {
        size_t end = gr_str_find(raw_query, '&', at);
        if (end == SIZE_MAX) end = raw_query.n;
        if (end > at) {
            if (params.n == GR_HTTP_MAX_PARAMS)
                return gr_error_set(err, GR_ERR_LIMIT, "The URL has more than %d parameters", GR_HTTP_MAX_PARAMS);
            gr_http_param param;
            GR_TRY(decode_pair(gr_str_sub(raw_query, at, end - at), arena, &param, err));
            GR_PUSH(arena, &params, param);
        }
        at = end + 1;
    }
    *ret = (gr_http_params){params.v, params.n};
    return GR_OK;
}

void gr_http_url_split(gr_str target, gr_str *ret_path, gr_str *ret_query) {
    size_t scheme = gr_str_find_str(target, GR_STR("://"));
    if (target.n && target.p[0] != '/' && scheme != SIZE_MAX) {
        size_t slash = gr_str_find(target, '/', scheme + 3);
        target = slash == SIZE_MAX ? GR_STR("/") : gr_str_sub(target, slash, target.n - slash);
    }
    size_t mark = gr_str_find(target, '?', 0);
    *ret_path = mark == SIZE_MAX ? target : gr_str_sub(target, 0, mark);
    *ret_query = mark == SIZE_MAX ? (gr_str){0} : gr_str_sub(target, mark + 1, target.n - mark - 1);
}
