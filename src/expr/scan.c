/* See scan.h. Invariant: every step takes at least one byte, so that a scan always ends. */
#include "expr/scan.h"

static bool is_at(gr_str text, size_t i, gr_str what) {
    return text.n - i >= what.n && memcmp(text.p + i, what.p, what.n) == 0;
}

/* `$$` or `$tag$` at i; 0 when it is only a dollar. */
static size_t dollar_tag(gr_str text, size_t i) {
    size_t j = i + 1;
    if (j < text.n && text.p[j] >= '0' && text.p[j] <= '9') return 0;
    while (j < text.n && gr_expr_scan_is_word(text.p[j])) j++;
    return j < text.n && text.p[j] == '$' ? j + 1 - i : 0;
}

static size_t step_code(gr_scan *s, gr_str text, size_t i) {
    char c = text.p[i], before = s->before;
    s->before = c;
    switch (c) {
    case '\'': s->mode = before == 'e' || before == 'E' ? GR_SCAN_ESCAPED : GR_SCAN_SINGLE; return 1;
    case '"': s->mode = GR_SCAN_DOUBLE; return 1;
    case '`': s->mode = GR_SCAN_BACKTICK; return 1;
    case '-':
        if (!is_at(text, i, GR_STR("--"))) return 1;
        s->mode = GR_SCAN_LINE_COMMENT;
        return 2;
    case '/':
        if (!is_at(text, i, GR_STR("/*"))) return 1;
        s->mode = GR_SCAN_BLOCK_COMMENT;
        s->depth = 1;
        return 2;
    case '$': {
        size_t n = gr_expr_scan_is_word(before) ? 0 : dollar_tag(text, i);
        if (n == 0) return 1;
        s->mode = GR_SCAN_DOLLAR;
        s->tag = gr_str_sub(text, i, n);
        return n;
    }
    case 'e':
    case 'E':
        /* Only a lone E opens an escaped string: the end of a longer word does not. */
        if (gr_expr_scan_is_word(before)) s->before = 'x';
        return 1;
    default: return 1;
    }
}

static size_t end_mode(gr_scan *s, size_t bytes) {
    s->mode = GR_SCAN_CODE;
    return bytes;
}

static size_t step_quote(gr_scan *s, gr_str text, size_t i, char quote) {
    if (text.p[i] == '\\' && s->mode == GR_SCAN_ESCAPED && i + 1 < text.n) return 2;
    if (text.p[i] != quote) return 1;
    if (i + 1 < text.n && text.p[i + 1] == quote) return 2;
    return end_mode(s, 1);
}

static size_t step_block_comment(gr_scan *s, gr_str text, size_t i) {
    if (is_at(text, i, GR_STR("/*"))) {
        s->depth++;
        return 2;
    }
    if (!is_at(text, i, GR_STR("*/"))) return 1;
    if (--s->depth == 0) s->mode = GR_SCAN_CODE;
    return 2;
}

size_t gr_expr_scan_step(gr_scan *s, gr_str text, size_t i) {
    switch (s->mode) {
    case GR_SCAN_CODE: return step_code(s, text, i);
    case GR_SCAN_SINGLE:
    case GR_SCAN_ESCAPED: return step_quote(s, text, i, '\'');
    case GR_SCAN_DOUBLE: return step_quote(s, text, i, '"');
    case GR_SCAN_BACKTICK: return step_quote(s, text, i, '`');
    case GR_SCAN_DOLLAR: return is_at(text, i, s->tag) ? end_mode(s, s->tag.n) : 1;
    case GR_SCAN_LINE_COMMENT: return text.p[i] == '\n' ? end_mode(s, 1) : 1;
    case GR_SCAN_BLOCK_COMMENT: return step_block_comment(s, text, i);
    }
    return 1;
}
