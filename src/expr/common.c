/* See common.h. Invariant: what is not known is a stranger.
 *
 *      PostgreSQL                  DuckDB                        so
 *      x::float has 8 bytes        4                             spelled DOUBLE
 *      numeric / numeric: exact    floating point                ROUND(x, n) takes 1.005 for 1.005, not for what lies
 *                                                                just below: granary_round
 *      ROUND(x): halves to even    away from zero                a stranger, as casts to integers are
 *      floor(0.3 / 0.1) = 3        2                             strangers: floor, ceil, trunc */
#include "expr/common.h"

#include "base/buf.h"

#include <ctype.h>

static const char *const words[] = {"and", "or", "not",  "case", "when",  "then",    "else",     "end",
                                    "is",  "in", "null", "true", "false", "between", "distinct", "from"};
static const char *const calls[] = {"coalesce", "nullif", "abs", "sign", "greatest", "least", "cast", "round", "sqrt"};
/* Words before a bracket that are no calls. */
static const char *const openers[] = {"and",  "or",   "not",     "in", "when", "then",
                                      "else", "case", "between", "is", "from"};

static const char *const ordering[] = {"between", "greatest", "least"};

#define LISTED(word, list) is_listed((word), (list), sizeof(list) / sizeof *(list))
static bool is_listed(gr_str word, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq_nocase(word, gr_str_from(list[i]))) return true;
    return false;
}

enum { DEEPEST = 64 };
/* Brackets are open across holes. */
typedef struct reader {
    gr_common *out;
    gr_str word; /* the one before: a call when a bracket follows */
    bool is_after_order, is_after_text;
    size_t depth, commas[DEEPEST];
    bool is_round[DEEPEST], is_cast[DEEPEST], is_ordered[DEEPEST];
} reader;

static void strange(reader *r, gr_str text) {
    if (!r->out->stranger.n) r->out->stranger = text;
}

static bool is_word_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t skip_space(gr_str s, size_t i) {
    while (i < s.n && isspace((unsigned char)s.p[i])) i++;
    return i;
}

/* The end of a type that is floating point of eight bytes; `from` when it is another. */
static size_t type_end(gr_str s, size_t from) {
    size_t end = from;
    while (end < s.n && is_word_char(s.p[end])) end++;
    gr_str word = gr_str_sub(s, from, end - from);
    bool has_size = skip_space(s, end) < s.n && s.p[skip_space(s, end)] == '('; /* FLOAT(24) has four */
    if (!has_size && (gr_str_eq_nocase(word, GR_STR("float")) || gr_str_eq_nocase(word, GR_STR("float8")))) return end;
    if (!gr_str_eq_nocase(word, GR_STR("double"))) return from;
    size_t next = skip_space(s, end), last = next;
    while (last < s.n && is_word_char(s.p[last])) last++;
    return gr_str_eq_nocase(gr_str_sub(s, next, last - next), GR_STR("precision")) ? last : from;
}

static size_t read_type(reader *r, gr_str s, size_t i) {
    size_t from = skip_space(s, i), end = type_end(s, from);
    if (end == from) strange(r, gr_str_trim(gr_str_sub(s, i, s.n - i < 24 ? s.n - i : 24)));
    return end > i ? end : i;
}

static void open_bracket(reader *r) {
    if (r->depth + 1 >= DEEPEST) strange(r, GR_STR("("));
    if (r->out->stranger.n) return;
    r->depth++;
    r->commas[r->depth] = 0;
    r->is_round[r->depth] = gr_str_eq_nocase(r->word, GR_STR("round"));
    r->is_cast[r->depth] = gr_str_eq_nocase(r->word, GR_STR("cast"));
    r->is_ordered[r->depth] = r->is_ordered[r->depth - 1] || LISTED(r->word, ordering);
}

static void close_bracket(reader *r) {
    if (!r->depth) return;
    if (r->is_round[r->depth] && r->commas[r->depth] != 1) strange(r, GR_STR("ROUND without a number of digits"));
    r->depth--;
}

static size_t read_word(reader *r, gr_str s, size_t i) {
    size_t end = i;
    while (end < s.n && is_word_char(s.p[end])) end++;
    gr_str word = gr_str_sub(s, i, end - i);
    size_t next = skip_space(s, end);
    bool is_call = next < s.n && s.p[next] == '(' && !LISTED(word, openers);
    r->word = word;
    r->is_after_text = r->is_after_order = false;
    if (gr_str_eq_nocase(word, GR_STR("as")) && r->is_cast[r->depth]) return read_type(r, s, end);
    if (!(is_call ? LISTED(word, calls) : LISTED(word, words))) strange(r, word);
    if (LISTED(word, ordering)) r->out->has_order = r->is_after_order = true;
    return end;
}

static size_t read_number(reader *r, gr_str s, size_t i) {
    r->is_after_order = false;
    size_t end = i;
    while (end < s.n && (isdigit((unsigned char)s.p[end]) || s.p[end] == '.')) end++;
    if (end < s.n && (s.p[end] == 'e' || s.p[end] == 'E')) {
        size_t digits = end + 1 + (end + 1 < s.n && (s.p[end + 1] == '-' || s.p[end + 1] == '+'));
        if (digits < s.n && isdigit((unsigned char)s.p[digits])) end = digits;
        while (end < s.n && isdigit((unsigned char)s.p[end])) end++;
    }
    if (end < s.n && (is_word_char(s.p[end]))) strange(r, gr_str_sub(s, i, end + 1 - i)); /* 0x10, 1_000 */
    return end;
}

static size_t read_text(reader *r, gr_str s, size_t i) {
    r->out->orders_text |= r->is_after_order || r->is_ordered[r->depth];
    r->is_after_text = true;
    r->is_after_order = false;
    for (i++; i < s.n; i++) {
        if (s.p[i] != '\'') continue;
        if (i + 1 >= s.n || s.p[i + 1] != '\'') return i + 1;
        i++;
    }
    return i;
}

static bool is_at(gr_str s, size_t i, const char *sign) {
    return i + 1 < s.n && s.p[i] == sign[0] && s.p[i + 1] == sign[1];
}

static size_t read_sign(reader *r, gr_str s, size_t i) {
    char c = s.p[i];
    bool was_text = r->is_after_text;
    r->is_after_text = false;
    r->is_after_order = r->is_after_order && c == '='; /* of <= */
    if (is_at(s, i, "::")) return read_type(r, s, i + 2);
    if (is_at(s, i, "--") || is_at(s, i, "/*") || is_at(s, i, "**")) strange(r, gr_str_sub(s, i, 2));
    if (is_at(s, i, "||")) {
        r->out->has_concat = true;
        return i + 2;
    }
    if (is_at(s, i, "!=") || is_at(s, i, "<>")) return i + 2;
    if (c == '(') open_bracket(r);
    if (c == ')') close_bracket(r);
    if (c == ',') r->commas[r->depth]++;
    if (c == '/') r->out->has_division = true;
    if (c == '<' || c == '>') {
        r->out->has_order = r->is_after_order = true;
        r->out->orders_text |= was_text;
    }
    if (!strchr("()+-*/%,=<>", c)) strange(r, gr_str_sub(s, i, 1));
    return i + 1;
}

static void read_part(reader *r, gr_str s) {
    for (size_t i = 0; i < s.n && !r->out->stranger.n;) {
        char c = s.p[i];
        bool is_number = isdigit((unsigned char)c) || (c == '.' && i + 1 < s.n && isdigit((unsigned char)s.p[i + 1]));
        if (isspace((unsigned char)c)) {
            i++;
            continue;
        }
        gr_str none = {0};
        if (is_number)
            i = read_number(r, s, i);
        else if (c == '\'')
            i = read_text(r, s, i);
        else if (isalpha((unsigned char)c) || c == '_') {
            i = read_word(r, s, i);
            continue;
        } else
            i = read_sign(r, s, i);
        r->word = none;
    }
}

gr_common gr_expr_common(const gr_expr *e) {
    gr_common out = {0};
    reader r = {.out = &out};
    for (size_t i = 0; i < e->n_parts; i++) {
        if (e->parts[i].kind == GR_PART_TEXT)
            read_part(&r, e->parts[i].text);
        else if (e->parts[i].kind != GR_PART_MEMBER)
            strange(&r, e->parts[i].text);
    }
    return out;
}

gr_str gr_expr_common_text(gr_str s, bool is_divided, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < s.n;) {
        size_t end = i + 1;
        if (s.p[i] == '\'') {
            while (end < s.n && s.p[end] != '\'') end++;
            end += end < s.n;
        } else if (is_word_char(s.p[i])) {
            while (end < s.n && is_word_char(s.p[end])) end++;
        }
        gr_str word = gr_str_sub(s, i, end - i);
        if (gr_str_eq_nocase(word, GR_STR("float")) || gr_str_eq_nocase(word, GR_STR("float8")))
            word = GR_STR("DOUBLE");
        else if (is_divided && gr_str_eq_nocase(word, GR_STR("round")))
            word = GR_STR("granary_round");
        gr_buf_add(&out, word);
        i = end;
    }
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}
