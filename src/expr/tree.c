/* See tree.h. Invariant: a name is given back only when what stands in the statement agrees with the tree. */
#include "expr/tree.h"

#include "expr/scan.h"

#include <ctype.h>
#include <pg_query.h>

enum { MOST_NUMBER = 1 << 20, PARSER_NAME_BYTES = 63 };

const json_t *gr_expr_tree_select(const char *statement, gr_arena *arena, json_t **ret_tree, gr_expr_fault *ret_fault) {
    /* The last two are in every SELECT. */
    static const char *const clauses[] = {"targetList", "whereClause", "limitOption", "op"};
    *ret_tree = NULL;
    PgQueryParseResult r = pg_query_parse(statement);
    if (!r.error && r.parse_tree) *ret_tree = json_loads(r.parse_tree, 0, NULL);
    if (ret_fault) {
        *ret_fault = (gr_expr_fault){0};
        if (r.error) ret_fault->message = gr_arena_dup(arena, gr_str_from(r.error->message));
        if (r.error && r.error->cursorpos > 0) ret_fault->at = (size_t)r.error->cursorpos;
    }
    pg_query_free_parse_result(r);
    const json_t *statements = json_object_get(*ret_tree, "stmts");
    if (json_array_size(statements) != 1) return NULL;
    const json_t *statement_node = json_object_get(json_array_get(statements, 0), "stmt");
    const json_t *select = json_object_get(statement_node, "SelectStmt");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)select, key, value) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++) is_known |= strcmp(key, clauses[i]) == 0;
        if (!is_known) return NULL;
    }
    return select;
}

const char *gr_expr_tree_string(const json_t *node) {
    const char *z = json_string_value(json_object_get(json_object_get(node, "String"), "sval"));
    return z ? z : "";
}

/* ---- names as written ------------------------------------------------------------------------------------------- */

static void skip_blanks(gr_str s, size_t *at) {
    while (*at < s.n && isspace((unsigned char)s.p[*at])) (*at)++;
}

/* "…" at *at, with "" for one quote. */
static bool take_quoted(gr_str s, size_t *at, gr_arena *arena, gr_str *ret) {
    char *out = gr_arena_alloc(arena, s.n - *at);
    size_t n = 0, i = *at + 1;
    for (; i < s.n; i++) {
        if (s.p[i] == '"' && !(i + 1 < s.n && s.p[i + 1] == '"')) break;
        if (s.p[i] == '"') i++;
        out[n++] = s.p[i];
    }
    if (i >= s.n) return false;
    *at = i + 1;
    *ret = (gr_str){out, n};
    return true;
}

static bool take_name(gr_str s, size_t *at, gr_arena *arena, gr_str *ret, bool *ret_is_quoted) {
    *ret_is_quoted = *at < s.n && s.p[*at] == '"';
    if (*ret_is_quoted) return take_quoted(s, at, arena, ret);
    size_t from = *at;
    while (*at < s.n && (gr_expr_scan_is_word(s.p[*at]) || s.p[*at] == '$')) (*at)++;
    *ret = gr_arena_dup(arena, gr_str_sub(s, from, *at - from));
    return ret->n > 0;
}

/* The parser cuts at whole characters: it has 60 bytes of the name at least. */
static bool is_same_name(gr_str written, gr_str parsed, bool is_quoted) {
    bool is_cut = written.n > PARSER_NAME_BYTES && parsed.n > PARSER_NAME_BYTES - 4 && parsed.n <= PARSER_NAME_BYTES;
    if (is_cut) written.n = parsed.n;
    return is_quoted ? gr_str_eq(written, parsed) : gr_str_eq_nocase(written, parsed);
}

bool gr_expr_tree_names(gr_str statement, const json_t *column, gr_arena *arena, gr_str **ret, size_t *ret_n) {
    const json_t *fields = json_object_get(column, "fields");
    size_t n = json_array_size(fields), at = (size_t)json_integer_value(json_object_get(column, "location"));
    gr_str *names = GR_NEW_N(arena, gr_str, n);
    for (size_t i = 0; i < n; i++) {
        gr_str parsed = gr_str_from(gr_expr_tree_string(json_array_get(fields, i)));
        bool is_quoted;
        skip_blanks(statement, &at);
        if (i && !(at < statement.n && statement.p[at++] == '.')) return false;
        skip_blanks(statement, &at);
        if (!take_name(statement, &at, arena, &names[i], &is_quoted)) return false;
        if (!is_same_name(names[i], parsed, is_quoted)) return false;
    }
    *ret = names;
    *ret_n = n;
    return n > 0;
}

/* ---- names for holes -------------------------------------------------------------------------------------------- */

size_t gr_expr_tree_numbered(gr_str s, const char *prefix, size_t *ret) {
    gr_str head = gr_str_from(prefix);
    size_t i = head.n, number = 0;
    if (!gr_str_starts(s, head)) return 0;
    for (; i < s.n && isdigit((unsigned char)s.p[i]) && number < MOST_NUMBER; i++)
        number = number * 10 + (size_t)(s.p[i] - '0');
    if (i == head.n || i == s.n || s.p[i] != '_') return 0;
    *ret = number;
    return i + 1;
}

bool gr_expr_tree_holds(gr_str text, const char *word) {
    gr_str w = gr_str_from(word);
    for (size_t i = 0; i + w.n <= text.n; i++)
        if (gr_str_eq_nocase(gr_str_sub(text, i, w.n), w)) return true;
    return false;
}
