/* Templates into parts. One pass over the source keeps three things in step: the SQL around the holes (scan.h, so that
 * a bracket in a string is not counted), the open brackets, and the parts. Invariant: the offsets in messages are those
 * of the text as written, counted from 1. */
#include "expr/expr.h"
#include "expr/scan.h"

enum { MOST_BYTES = 1 << 20, MOST_NAMES = 32, MOST_BRACKETS = 1000 };

typedef struct bracket {
    char open;
    size_t at;
} bracket;

typedef struct parser {
    gr_str text;
    gr_loc loc;
    gr_arena *arena;
    gr_diags *diags; /* NULL: silent, and malformed holes are left out */
    gr_expr *expr;
    char *out; /* of the TEXT part being written; room for the whole source */
    size_t n_out;
    gr_scan scan;
    size_t quote_at; /* where the quote or comment that is open was opened */
    GR_VEC(bracket) open;
    bool is_bad, is_bracket_bad;
} parser;

/* First words of holes that the reference fills in from the request, and what each of them would do. */
static const struct {
    gr_str name;
    const char *does;
} context_symbols[] = {
    {GR_STR_INIT("FILTER_PARAMS"), "puts a condition of the query into the SQL"},
    {GR_STR_INIT("FILTER_GROUP"), "puts conditions of the query into the SQL"},
    {GR_STR_INIT("SECURITY_CONTEXT"), "puts claims of the user into the SQL"},
    {GR_STR_INIT("USER_CONTEXT"), "puts claims of the user into the SQL"},
    {GR_STR_INIT("COMPILE_CONTEXT"), "makes the model depend on the tenant"},
    {GR_STR_INIT("SQL_UTILS"), "converts to the time zone of the query"},
};

static void fail(parser *p, gr_status status, gr_str hint, const char *message, size_t at) {
    p->is_bad = true;
    if (!p->diags) return;
    gr_diag *d = gr_diags_error(p->diags, status, p->loc, "%s (at character %zu)", message, at + 1);
    d->hint = hint;
}

static bool is_escape(gr_str text, size_t i) {
    return text.p[i] == '\\' && i + 1 < text.n && (text.p[i + 1] == '{' || text.p[i + 1] == '}');
}

static gr_str hint_of(const parser *p, const char *text) {
    return p->diags ? gr_arena_dup(p->diags->arena, gr_str_from(text)) : (gr_str){0};
}

static gr_part *add_part(parser *p, gr_part_kind kind, gr_str text) {
    gr_part *part = &p->expr->parts[p->expr->n_parts++];
    *part = (gr_part){.kind = kind, .loc = p->loc, .text = text};
    return part;
}

static void flush_text(parser *p) {
    if (p->n_out) add_part(p, GR_PART_TEXT, (gr_str){p->out, p->n_out});
    p->out += p->n_out;
    p->n_out = 0;
}

/* ---- holes ------------------------------------------------------------------------------------------------------ */

/* The '}' that closes the '{' at i, or SIZE_MAX. Nested braces occur in the callback forms of FILTER_PARAMS. */
static size_t find_close(gr_str text, size_t i) {
    size_t depth = 0;
    for (; i < text.n; i++) {
        if (text.p[i] == '{') depth++;
        if (text.p[i] == '}' && --depth == 0) return i;
    }
    return SIZE_MAX;
}

/* Dotted identifiers into part->names; false when the text is of another form. */
static bool split_names(parser *p, gr_str text, gr_part *part) {
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == '.';
    if (n > MOST_NAMES) return false;
    part->names = GR_NEW_N(p->arena, gr_str, n);
    for (size_t from = 0; part->n_names < n;) {
        size_t dot = gr_str_find(text, '.', from);
        size_t end = dot == SIZE_MAX ? text.n : dot;
        gr_str name = gr_str_trim(gr_str_sub(text, from, end - from));
        if (!gr_str_is_identifier(name)) return false;
        part->names[part->n_names++] = name;
        from = end + 1;
    }
    return true;
}

static bool refuse_context(parser *p, gr_str inside, size_t at) {
    size_t n = 0;
    while (n < inside.n && gr_expr_scan_is_word(inside.p[n])) n++;
    gr_str word = gr_str_sub(inside, 0, n);
    for (size_t i = 0; i < sizeof context_symbols / sizeof *context_symbols; i++) {
        if (!gr_str_eq(word, context_symbols[i].name)) continue;
        p->is_bad = true;
        if (!p->diags) return true;
        gr_diag *d = gr_diags_error(p->diags, GR_ERR_MODEL_UNSUPPORTED, p->loc,
                                    GR_FMT " is not executed yet (at character %zu)", GR_ARG(word), at + 1);
        d->hint = gr_arena_printf(p->diags->arena, GR_FMT " %s; ignoring it would give other numbers", GR_ARG(word),
                                  context_symbols[i].does);
        return true;
    }
    return false;
}

static void parse_hole(parser *p, gr_str inside, size_t at) {
    gr_str name = gr_str_trim(inside);
    if (name.n == 0) {
        fail(p, GR_ERR_MODEL_EXPRESSION, hint_of(p, "name a member or a cube between the braces, or write \\{ \\}"),
             "the braces hold nothing", at);
        return;
    }
    if (refuse_context(p, name, at)) return;
    gr_str path = name;
    gr_part_kind kind = GR_PART_MEMBER;
    if (gr_str_ends(name, GR_STR(".sql()"))) {
        kind = GR_PART_CUBE_SQL;
        path.n -= strlen(".sql()");
    }
    gr_part part = {.kind = kind, .loc = p->loc, .text = name};
    if (!split_names(p, path, &part)) {
        fail(p, GR_ERR_MODEL_EXPRESSION,
             hint_of(p, "write {cube.member}, {member}, {CUBE}, or \\{ \\} for literal braces"),
             "the braces do not hold a reference", at);
        return;
    }
    if (part.n_names == 1 && kind == GR_PART_MEMBER &&
        (gr_str_eq_z(part.names[0], "CUBE") || gr_str_eq_z(part.names[0], "TABLE")))
        part.kind = GR_PART_TABLE;
    *add_part(p, part.kind, name) = part;
}

/* At a '{' that is not escaped; returns the bytes taken. */
static size_t take_hole(parser *p, size_t i) {
    gr_str rest = gr_str_sub(p->text, i, p->text.n - i);
    if (gr_str_starts(rest, GR_STR("{{")) || gr_str_starts(rest, GR_STR("{%"))) {
        fail(p, GR_ERR_MODEL_UNSUPPORTED,
             hint_of(p, "write the value itself; a reference has single braces, a literal brace is \\{"),
             "Jinja templates are not executed", i);
        size_t close = find_close(p->text, i);
        return (close == SIZE_MAX ? p->text.n : close + 1) - i;
    }
    size_t close = find_close(p->text, i);
    if (close == SIZE_MAX) {
        fail(p, GR_ERR_MODEL_EXPRESSION, hint_of(p, "close it with '}', or write \\{ for a literal brace"),
             "the '{' is never closed", i);
        return p->text.n - i;
    }
    flush_text(p);
    parse_hole(p, gr_str_sub(p->text, i + 1, close - i - 1), i);
    gr_expr_scan_hole(&p->scan);
    return close + 1 - i;
}

/* ---- brackets and quotes ---------------------------------------------------------------------------------------- */

static void bracket_error(parser *p, size_t at, const char *message) {
    if (!p->is_bracket_bad) fail(p, GR_ERR_MODEL_EXPRESSION, (gr_str){0}, message, at);
    p->is_bracket_bad = true;
}

static void close_bracket(parser *p, char c, size_t at) {
    bool is_round = c == ')';
    if (p->open.n == 0) {
        bracket_error(p, at,
                      is_round ? "the ')' closes nothing: '(' is missing" : "the ']' closes nothing: '[' is missing");
        return;
    }
    bool was_round = p->open.v[--p->open.n].open == '(';
    if (was_round != is_round) bracket_error(p, at, is_round ? "the ')' closes a '['" : "the ']' closes a '('");
}

static void see_code(parser *p, char c, size_t at) {
    if (c == '(' || c == '[') {
        if (p->open.n >= MOST_BRACKETS)
            bracket_error(p, at, "brackets are nested too deeply");
        else
            GR_PUSH(p->arena, &p->open, (bracket){c, at});
    } else if (c == ')' || c == ']') {
        close_bracket(p, c, at);
    } else if (c == ';') {
        fail(p, GR_ERR_MODEL_EXPRESSION, hint_of(p, "leave the ';' out: the SQL becomes a part of a larger statement"),
             "a ';' ends the statement", at);
    } else if (c == '}') {
        fail(p, GR_ERR_MODEL_EXPRESSION, hint_of(p, "write \\} for a literal brace"), "the '}' has no '{'", at);
    }
}

static size_t take_text(parser *p, size_t i) {
    gr_scan_mode before = p->scan.mode;
    size_t step = gr_expr_scan_step(&p->scan, p->text, i);
    if (before == GR_SCAN_CODE && p->scan.mode == GR_SCAN_CODE)
        see_code(p, p->text.p[i], i);
    else if (before == GR_SCAN_CODE)
        p->quote_at = i;
    else if (p->text.p[i] == '}')
        see_code(p, '}', i);
    memcpy(p->out + p->n_out, p->text.p + i, step);
    p->n_out += step;
    return step;
}

static void check_end(parser *p) {
    gr_scan_mode mode = p->scan.mode;
    if (mode == GR_SCAN_LINE_COMMENT) {
        /* Else the comment would swallow what the statement has behind this expression. */
        p->out[p->n_out++] = '\n';
    } else if (mode == GR_SCAN_BLOCK_COMMENT) {
        fail(p, GR_ERR_MODEL_EXPRESSION, hint_of(p, "close it with */"), "the comment is never closed", p->quote_at);
    } else if (mode != GR_SCAN_CODE) {
        fail(p, GR_ERR_MODEL_EXPRESSION, (gr_str){0}, "the quote is never closed", p->quote_at);
    } else if (p->open.n && !p->is_bracket_bad) {
        bracket b = p->open.v[p->open.n - 1];
        bool is_round = b.open == '(';
        fail(p, GR_ERR_MODEL_EXPRESSION, hint_of(p, is_round ? "add the missing ')'" : "add the missing ']'"),
             is_round ? "')' is missing: the '(' is never closed" : "']' is missing: the '[' is never closed", b.at);
    }
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static gr_expr *parse(gr_str source, gr_loc loc, gr_arena *arena, gr_diags *diags, bool *ret_is_bad) {
    parser p = {.text = gr_str_trim(source), .loc = loc, .arena = arena, .diags = diags};
    p.expr = GR_NEW(arena, gr_expr);
    *p.expr = (gr_expr){.source = source, .loc = loc};
    *ret_is_bad = true;
    if (p.text.n == 0) {
        if (diags) gr_diags_error(diags, GR_ERR_MODEL_EXPRESSION, loc, "the expression is empty");
        return p.expr;
    }
    if (source.n > MOST_BYTES) {
        if (diags)
            gr_diags_error(diags, GR_ERR_MODEL_EXPRESSION, loc, "the expression is longer than %d bytes", MOST_BYTES);
        return p.expr;
    }
    size_t most_parts = 1;
    for (size_t i = 0; i < p.text.n; i++) most_parts += p.text.p[i] == '{' ? 2 : 0;
    p.expr->parts = GR_NEW_N(arena, gr_part, most_parts);
    p.out = gr_arena_alloc(arena, p.text.n + 1); /* one more for the '\n' behind a comment */
    for (size_t i = 0; i < p.text.n;) {
        if (is_escape(p.text, i)) {
            p.out[p.n_out++] = p.text.p[i + 1];
            i += 2;
        } else {
            i += p.text.p[i] == '{' ? take_hole(&p, i) : take_text(&p, i);
        }
    }
    check_end(&p);
    flush_text(&p);
    p.expr->is_column = p.expr->n_parts == 1 && p.expr->parts[0].kind == GR_PART_TEXT && gr_str_is_identifier(p.text);
    *ret_is_bad = p.is_bad;
    return p.expr;
}

gr_expr *gr_expr_parse(gr_str text, gr_loc loc, gr_arena *arena, gr_diags *diags) {
    bool is_bad;
    gr_expr *expr = parse(text, loc, arena, diags, &is_bad);
    return is_bad ? NULL : expr;
}

gr_expr *gr_expr_parse_holes(gr_str text, gr_loc loc, gr_arena *arena) {
    bool is_bad;
    return parse(text, loc, arena, NULL, &is_bad);
}

gr_expr *gr_expr_parse_ref(gr_str text, gr_loc loc, gr_arena *arena, gr_diags *diags) {
    parser p = {.text = gr_str_trim(text), .loc = loc, .arena = arena, .diags = diags};
    p.expr = GR_NEW(arena, gr_expr);
    *p.expr = (gr_expr){.source = text, .loc = loc};
    p.expr->parts = GR_NEW(arena, gr_part);
    if (refuse_context(&p, p.text, 0)) return NULL;
    gr_part *part = add_part(&p, GR_PART_MEMBER, p.text);
    if (split_names(&p, p.text, part)) return p.expr;
    bool has_brace = gr_str_find(p.text, '{', 0) != SIZE_MAX;
    bool is_jinja =
        gr_str_find_str(p.text, GR_STR("{{")) != SIZE_MAX || gr_str_find_str(p.text, GR_STR("{%")) != SIZE_MAX;
    gr_diag *d = is_jinja ? gr_diags_error(diags, GR_ERR_MODEL_UNSUPPORTED, loc, "Jinja templates are not executed")
                          : gr_diags_error(diags, GR_ERR_MODEL_EXPRESSION, loc, "'" GR_FMT "' is not a reference",
                                           GR_ARG(p.text));
    d->hint = hint_of(&p, is_jinja    ? "write the name itself"
                          : has_brace ? "a reference in this place has no braces: CUBE.member, cube.member"
                                      : "write member, CUBE.member, cube.member or cube.other_cube.member");
    return NULL;
}
