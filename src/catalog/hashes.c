/* Hashes as DataJunction computes them: MD5 of texts that Python's json.dumps would write, with ", " between items and
 * everything outside of printable ASCII as \uXXXX. */
#include "catalog/hashes.h"

#include "base/buf.h"
#include "catalog/internal.h"
#include "data/digest.h"

enum { EXPR_DIGITS = 12, PREAGG_DIGITS = 8, MAX_TEXT = 64 << 20 };

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

gr_str gr_catalog_expr_hash(gr_str expression, gr_arena *arena) {
    gr_str s = gr_str_trim(expression);
    char *text = gr_arena_alloc(arena, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_space(s.p[i]))
            text[n++] = s.p[i];
        else if (n && text[n - 1] != ' ')
            text[n++] = ' ';
    }
    while (n && text[n - 1] == ' ') n--;
    return gr_str_sub(gr_digest_md5_hex((gr_str){text, n}, arena), 0, EXPR_DIGITS);
}

gr_str gr_catalog_measure_token(gr_str expression, gr_str aggregation, gr_arena *arena) {
    gr_str hash = gr_catalog_expr_hash(expression, arena), trimmed = gr_str_trim(aggregation);
    char *upper = gr_arena_alloc(arena, trimmed.n + 1);
    for (size_t i = 0; i < trimmed.n; i++) {
        char c = trimmed.p[i];
        upper[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return gr_arena_printf(arena, GR_FMT ":%s", GR_ARG(hash), upper);
}

/* The code point at the start of `s`, and its length; a byte that is no UTF-8 stands for itself. */
static uint32_t code_point(gr_str s, size_t *ret_n) {
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    uint32_t point = n == 1 ? c : c & (0xFFu >> (n + 1));
    *ret_n = 1;
    if (n > s.n) return c;
    for (size_t i = 1; i < n; i++) point = point << 6 | ((unsigned char)s.p[i] & 0x3F);
    *ret_n = n;
    return point;
}

static void escape(gr_buf *out, uint32_t point) {
    static const char shorts[256] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (point < 256 && shorts[point])
        gr_buf_printf(out, "\\%c", shorts[point]);
    else if (point >= ' ' && point < 0x7F)
        gr_buf_char(out, (char)point);
    else if (point < 0x10000)
        gr_buf_printf(out, "\\u%04x", point);
    else
        gr_buf_printf(out, "\\u%04x\\u%04x", 0xD800 + ((point - 0x10000) >> 10), 0xDC00 + ((point - 0x10000) & 0x3FF));
}

static void write_list(gr_buf *out, const gr_str *texts, size_t n, bool is_set, gr_arena *arena) {
    gr_str *sorted = GR_NEW_N(arena, gr_str, n + 1);
    if (n) memcpy(sorted, texts, n * sizeof texts[0]);
    gr_catalog_sort(sorted, n);
    gr_buf_char(out, '[');
    bool is_first = true;
    for (size_t i = 0; i < n; i++) {
        if (is_set && i && gr_str_eq(sorted[i], sorted[i - 1])) continue;
        gr_buf_z(out, is_first ? "\"" : ", \"");
        is_first = false;
        for (size_t at = 0, step = 0; at < sorted[i].n; at += step)
            escape(out, code_point(gr_str_sub(sorted[i], at, sorted[i].n - at), &step));
        gr_buf_char(out, '"');
    }
    gr_buf_char(out, ']');
}

static gr_str digest(gr_buf *text, gr_arena *arena) {
    gr_str hash = gr_digest_md5_hex(gr_buf_str(text), arena);
    gr_buf_done(text);
    return hash;
}

gr_str gr_catalog_grain_group_hash(int64_t revision_id, const gr_str *grain, size_t n_grain, gr_arena *arena) {
    gr_buf text;
    gr_buf_init(&text, MAX_TEXT);
    gr_buf_printf(&text, "%lld:", (long long)revision_id);
    write_list(&text, grain, n_grain, false, arena);
    return digest(&text, arena);
}

gr_str gr_catalog_preagg_hash(int64_t revision_id, const gr_str *grain, size_t n_grain, const gr_str *tokens,
                              size_t n_tokens, gr_arena *arena) {
    gr_buf text;
    gr_buf_init(&text, MAX_TEXT);
    gr_buf_printf(&text, "%lld:", (long long)revision_id);
    write_list(&text, grain, n_grain, false, arena);
    gr_buf_char(&text, ':');
    write_list(&text, tokens, n_tokens, true, arena);
    return gr_str_sub(digest(&text, arena), 0, PREAGG_DIGITS);
}
