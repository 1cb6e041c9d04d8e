/* See split.h. The template is spelled with a name for each hole, folded, and parsed as `SELECT (…)`; a walk over the
 * parse tree sorts it into aggregate calls and the rest; a scan from the place of each call finds its text.
 * Invariant: each piece that is cut out is parsed again alone, and must give the tree that it had within the whole, and
 * each hole must be met exactly once: a disagreement about where something ends is a refusal, never another number. */
#include "expr/split.h"

#include "base/buf.h"
#include "expr/portable.h"
#include "expr/scan.h"
#include "expr/tree.h"

#include <ctype.h>
#include <stdlib.h>

/* The parser and the writer of its tree recurse along operators: the limit keeps that within a small stack. jansson
 * holds the depth of what the walks here see below 2048. */
enum { MOST_BYTES = 16 << 10 };

#define HOLE GR_EXPR_HOLE
#define CALL "granary_call_"
#define HEAD "SELECT ("

typedef struct span {
    size_t from, to;
} span;

typedef struct occurrence {
    span at;
    size_t call;
} occurrence;

/* A call's identity: equal texts have equal holes, because equal holes have equal names. */
typedef struct call_text {
    gr_str argument, filter;
} call_text;

typedef struct splitter {
    const gr_expr *expr;
    const gr_hole_role *roles;
    gr_arena *arena, *scratch;
    gr_str text; /* the statement, NUL-terminated */
    size_t n_holes, n_met;
    bool has_time; /* the finish reckons with times or intervals */
    const char *why;
    GR_VEC(gr_call) calls;
    GR_VEC(call_text) texts; /* parallel */
    GR_VEC(occurrence) places;
    GR_VEC(gr_finish_part) finish;
} splitter;

static bool refuse(splitter *s, const char *why) {
    if (!s->why) s->why = why;
    return false;
}

/* ---- names for holes -------------------------------------------------------------------------------------------- */

static bool is_same_hole(const gr_part *a, const gr_part *b) {
    if (a->kind != b->kind) return false;
    if (!a->cube && !a->member) return !b->cube && !b->member && gr_str_eq(a->text, b->text);
    if (a->cube != b->cube || a->member != b->member || a->granularity != b->granularity || a->n_path != b->n_path)
        return false;
    for (size_t i = 0; i < a->n_path; i++)
        if (a->path[i] != b->path[i]) return false;
    return true;
}

static size_t first_same(const gr_expr *expr, size_t i) {
    size_t k = 0;
    while (expr->parts[k].kind == GR_PART_TEXT || !is_same_hole(&expr->parts[k], &expr->parts[i])) k++;
    return k;
}

static bool spell_text(splitter *s, gr_scan *scan, gr_str text, gr_buf *out) {
    /* A backtick quotes in some engines and is an operator to this parser. */
    if (gr_str_find(text, '`', 0) != SIZE_MAX || gr_str_find(text, 0, 0) != SIZE_MAX)
        return refuse(s, "the SQL has characters with other meanings elsewhere");
    if (gr_expr_tree_holds(text, HOLE) || gr_expr_tree_holds(text, CALL))
        return refuse(s, "the SQL uses reserved names");
    for (size_t i = 0; i < text.n;) i += gr_expr_scan_step(scan, text, i);
    gr_buf_add(out, text);
    return true;
}

static bool spell(splitter *s, gr_buf *out) {
    gr_scan scan = {0};
    for (size_t i = 0; i < s->expr->n_parts; i++) {
        const gr_part *part = &s->expr->parts[i];
        if (part->kind == GR_PART_TEXT) {
            if (!spell_text(s, &scan, part->text, out)) return false;
            continue;
        }
        if (scan.mode != GR_SCAN_CODE) return refuse(s, "a reference stands in quotes or in a comment");
        if (part->kind == GR_PART_CUBE_SQL) return refuse(s, "a sub-select");
        gr_expr_scan_hole(&scan);
        gr_buf_printf(out, HOLE "%zu_", first_same(s->expr, i));
        s->n_holes++;
    }
    return true;
}

/* ---- the parse tree --------------------------------------------------------------------------------------------- */

static const json_t *field(const json_t *object, const char *name) { return json_object_get(object, name); }

/* The one column of `SELECT (…)`, in a tree that the caller gives back; NULL when it is anything else. */
static const json_t *parse(const char *statement, json_t **ret_tree) {
    const json_t *select = gr_expr_tree_select(statement, NULL, ret_tree, NULL);
    const json_t *targets = field(select, "targetList");
    if (field(select, "whereClause")) return NULL;
    if (json_array_size(targets) != 1) return NULL;
    const json_t *target = field(json_array_get(targets, 0), "ResTarget");
    return field(target, "name") ? NULL : field(target, "val");
}

/* The column reference is this generated name alone. */
static bool is_name(const json_t *node, const char *prefix, size_t *ret) {
    const json_t *fields = field(field(node, "ColumnRef"), "fields");
    gr_str name = gr_str_from(gr_expr_tree_string(json_array_get(fields, 0)));
    return json_array_size(fields) == 1 && name.n && gr_expr_tree_numbered(name, prefix, ret) == name.n;
}

static size_t location_of(const json_t *node) { return (size_t)json_integer_value(field(node, "location")); }

static bool is_same_tree(const splitter *s, const json_t *a, const json_t *b);

static bool is_same_object(const splitter *s, const json_t *a, const json_t *b) {
    const json_t *call = field(a, "FuncCall");
    for (size_t i = 0; call && i < s->places.n; i++) {
        size_t k;
        if (s->places.v[i].at.from == location_of(call)) return is_name(b, CALL, &k) && k == s->places.v[i].call;
    }
    const char *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)a, key, value) {
        bool is_location = strcmp(key, "location") == 0;
        if (!is_location && !is_same_tree(s, value, field(b, key))) return false;
        n += field(b, key) != NULL;
    }
    return n == json_object_size(b);
}

/* Equal but for locations, and for calls of `a` whose results `b` names. */
static bool is_same_tree(const splitter *s, const json_t *a, const json_t *b) {
    if (!a || !b || json_typeof(a) != json_typeof(b)) return false;
    if (json_is_object(a)) return is_same_object(s, a, b);
    if (!json_is_array(a)) return json_equal((json_t *)(uintptr_t)a, (json_t *)(uintptr_t)b);
    if (json_array_size(a) != json_array_size(b)) return false;
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!is_same_tree(s, json_array_get(a, i), json_array_get(b, i))) return false;
    return true;
}

static bool parses_alone(const splitter *s, gr_str piece, const json_t *as) {
    json_t *tree;
    gr_str statement = gr_arena_printf(s->scratch, HEAD GR_FMT ")", GR_ARG(piece));
    const json_t *root = parse(statement.p, &tree);
    bool is_same = root && is_same_tree(s, as, root);
    json_decref(tree);
    return is_same;
}

/* ---- the text of a call ----------------------------------------------------------------------------------------- */

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* What lies in the brackets that open behind `word` and blanks at *at, which moves behind them. */
static bool take_brackets(gr_str text, gr_str word, size_t *at, gr_str *ret) {
    size_t i = *at;
    if (text.n - i < word.n || !gr_str_eq_nocase(gr_str_sub(text, i, word.n), word)) return false;
    for (i += word.n; i < text.n && is_blank(text.p[i]);) i++;
    if (i >= text.n || text.p[i] != '(') return false;
    size_t from = i + 1, depth = 0;
    gr_scan scan = {0};
    while (i < text.n) {
        gr_scan_mode before = scan.mode;
        size_t step = gr_expr_scan_step(&scan, text, i);
        bool is_code = before == GR_SCAN_CODE && scan.mode == GR_SCAN_CODE;
        if (is_code && text.p[i] == '(') depth++;
        if (is_code && text.p[i] == ')' && --depth == 0) {
            *ret = gr_str_trim(gr_str_sub(text, from, i - from));
            *at = i + 1;
            return true;
        }
        i += step;
    }
    return false;
}

/* Without the leading word, where it stands there. */
static bool drop_word(gr_str *text, const char *word) {
    gr_str w = gr_str_from(word);
    bool is_there =
        text->n > w.n && gr_str_eq_nocase(gr_str_sub(*text, 0, w.n), w) && !gr_expr_scan_is_word(text->p[w.n]);
    if (is_there) *text = gr_str_trim(gr_str_sub(*text, w.n, text->n - w.n));
    return is_there;
}

static bool find_text(const splitter *s, const json_t *call, const char *name, span *ret, call_text *ret_text) {
    size_t at = location_of(call);
    ret->from = at;
    if (at >= s->text.n || !take_brackets(s->text, gr_str_from(name), &at, &ret_text->argument)) return false;
    if (json_is_true(field(call, "agg_distinct"))) {
        if (!drop_word(&ret_text->argument, "distinct")) return false;
    } else {
        drop_word(&ret_text->argument, "all");
    }
    ret_text->filter = (gr_str){0};
    if (field(call, "agg_filter")) {
        while (at < s->text.n && is_blank(s->text.p[at])) at++;
        if (!take_brackets(s->text, GR_STR("filter"), &at, &ret_text->filter)) return false;
        if (!drop_word(&ret_text->filter, "where")) return false;
    }
    ret->to = at;
    return true;
}

/* ---- pieces into templates -------------------------------------------------------------------------------------- */

typedef struct piece_part {
    gr_str text;
    const gr_part *hole; /* or NULL */
    size_t call;         /* SIZE_MAX: text or hole */
} piece_part;

/* The next run of text, or one name, from *at on. */
static piece_part next_part(const splitter *s, gr_str piece, size_t *at) {
    size_t from = *at, number;
    gr_str rest = gr_str_sub(piece, from, piece.n - from);
    size_t n = gr_expr_tree_numbered(rest, HOLE, &number);
    if (n) {
        *at += n;
        return (piece_part){gr_str_sub(piece, from, n), &s->expr->parts[number], SIZE_MAX};
    }
    n = gr_expr_tree_numbered(rest, CALL, &number);
    if (n) {
        *at += n;
        return (piece_part){gr_str_sub(piece, from, n), NULL, number};
    }
    gr_str hole = GR_STR(HOLE), call = GR_STR(CALL);
    for (n = 1; n < rest.n; n++) {
        gr_str tail = gr_str_sub(rest, n, rest.n - n);
        if (tail.p[0] == HOLE[0] && (gr_str_starts(tail, hole) || gr_str_starts(tail, call))) break;
    }
    *at += n;
    return (piece_part){gr_str_sub(piece, from, n), NULL, SIZE_MAX};
}

static const gr_expr *template_of(splitter *s, gr_str piece, const json_t *node) {
    GR_VEC(gr_part) parts = {0};
    gr_buf source;
    gr_buf_init(&source, 1 << 20);
    for (size_t at = 0; at < piece.n;) {
        piece_part p = next_part(s, piece, &at);
        gr_part part = {.kind = GR_PART_TEXT, .loc = s->expr->loc, .text = gr_arena_dup(s->arena, p.text)};
        if (p.hole) part = *p.hole;
        GR_PUSH(s->arena, &parts, part);
        gr_buf_printf(&source, p.hole ? "{" GR_FMT "}" : GR_FMT, GR_ARG(part.text));
    }
    gr_expr *expr = GR_NEW(s->arena, gr_expr);
    bool is_column = parts.n == 1 && parts.v[0].kind == GR_PART_TEXT && field(node, "ColumnRef");
    *expr = (gr_expr){.parts = parts.v,
                      .n_parts = parts.n,
                      .source = gr_arena_dup(s->arena, gr_buf_str(&source)),
                      .loc = s->expr->loc,
                      .is_column = is_column && gr_str_is_identifier(parts.v[0].text)};
    gr_buf_done(&source);
    return expr;
}

/* ---- within a call ---------------------------------------------------------------------------------------------- */

static bool is_listed(const char *name, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, list[i]) == 0) return true;
    return false;
}
#define LISTED(name, list) is_listed((name), (list), sizeof(list) / sizeof *(list))

/* A hole as a column, or as the table of one. */
static bool meet_column(splitter *s, const json_t *ref, bool is_inside) {
    const json_t *fields = field(ref, "fields");
    size_t number;
    gr_str name = gr_str_from(gr_expr_tree_string(json_array_get(fields, 0)));
    bool is_hole = name.n && gr_expr_tree_numbered(name, HOLE, &number) == name.n;
    if (is_hole) s->n_met++;
    for (size_t i = 0; i < json_array_size(fields); i++)
        if (field(json_array_get(fields, i), "A_Star")) return refuse(s, "a star that is not count(*)");
    if (!is_hole) return is_inside || refuse(s, "a column outside of aggregates");
    bool is_measure = s->expr->parts[number].kind == GR_PART_MEMBER && s->roles[number] == GR_HOLE_MEASURE;
    if (is_inside) return !is_measure || refuse(s, "an aggregate over a measure");
    if (!is_measure) return refuse(s, "a value of rows outside of aggregates");
    return json_array_size(fields) == 1 || refuse(s, "a column outside of aggregates");
}

/* DISTINCT, FILTER, OVER and their like make an aggregate or window of any name. */
static bool is_plain_call(const json_t *call) {
    static const char *const marks[] = {"agg_star", "agg_distinct",     "agg_filter",   "agg_order",
                                        "over",     "agg_within_group", "func_variadic"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (field(call, marks[i])) return false;
    return true;
}

static const char *last_name(const json_t *names) {
    size_t n = json_array_size(names);
    return n ? gr_expr_tree_string(json_array_get(names, n - 1)) : "";
}

/* Of a call that rows are computed with; that it aggregates itself is seen on its text. */
static bool check_row_call(splitter *s, const json_t *call) {
    static const char *const changing[] = {"random",
                                           "rand",
                                           "uuid",
                                           "uuidv4",
                                           "uuidv7",
                                           "nextval",
                                           "currval",
                                           "now",
                                           "today",
                                           "getdate",
                                           "timeofday",
                                           "unnest",
                                           "columns",
                                           "gen_random_uuid",
                                           "clock_timestamp",
                                           "statement_timestamp",
                                           "transaction_timestamp",
                                           "get_current_timestamp",
                                           "get_current_time"};
    if (!is_plain_call(call)) return refuse(s, "an aggregate or window within an aggregate");
    gr_str name = gr_str_from(last_name(field(call, "funcname")));
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++)
        if (gr_str_eq_nocase(name, gr_str_from(changing[i])))
            return refuse(s, "a function whose value changes, or that makes rows");
    return true;
}

static bool walk_inside(splitter *s, const json_t *node);

static bool see_inside(splitter *s, const char *key, const json_t *value) {
    static const char *const refused[] = {"SubLink",      "SQLValueFunction", "GroupingFunc", "ParamRef",
                                          "NamedArgExpr", "SetToDefault",     "CurrentOfExpr"};
    if (LISTED(key, refused)) return refuse(s, "a sub-select, or a value that is not of the row");
    if (strcmp(key, "ColumnRef") == 0) return meet_column(s, value, true);
    if (strcmp(key, "FuncCall") == 0 && !check_row_call(s, value)) return false;
    return walk_inside(s, value);
}

static bool walk_inside(splitter *s, const json_t *node) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node, key, value) {
        if (!see_inside(s, key, value)) return false;
    }
    for (size_t i = 0; i < json_array_size(node); i++)
        if (!walk_inside(s, json_array_get(node, i))) return false;
    return true;
}

/* ---- times ------------------------------------------------------------------------------------------------------ */

static bool is_time_type(const json_t *cast) {
    static const char *const types[] = {"interval", "timestamp", "timestamptz", "datetime", "date", "time", "timetz"};
    return LISTED(last_name(field(field(cast, "typeName"), "names")), types);
}

static const char *const time_calls[] = {
    "age",     "date_trunc",   "date_part",     "extract",        "timezone",    "epoch",           "strftime",
    "to_char", "to_timestamp", "make_interval", "make_timestamp", "to_years",    "to_months",       "to_weeks",
    "to_days", "to_hours",     "to_minutes",    "to_seconds",     "time_bucket", "to_milliseconds", "to_microseconds"};

/* The value is seen to be a time or an interval. Of a raw column that cannot be seen. */
static bool is_time(const splitter *s, const json_t *node) {
    size_t number;
    if (field(node, "TypeCast")) return is_time_type(field(node, "TypeCast"));
    if (is_name(node, HOLE, &number)) return s->roles[number] == GR_HOLE_TIME;
    const json_t *call = field(node, "FuncCall");
    if (call) {
        const char *name = last_name(field(call, "funcname"));
        return strcmp(name, "extract") && strcmp(name, "date_part") && strcmp(name, "epoch") &&
               LISTED(name, time_calls);
    }
    static const char *const kinds[] = {"A_Expr", "CaseExpr", "CoalesceExpr", "MinMaxExpr", "CaseWhen"};
    static const char *const values[] = {"lexpr", "rexpr", "args", "result", "defresult"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            const json_t *value = field(field(node, kinds[k]), values[v]);
            if (json_is_object(value) && is_time(s, value)) return true;
            for (size_t i = 0; i < json_array_size(value); i++)
                if (is_time(s, json_array_get(value, i))) return true;
        }
    return false;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    gr_call_kind kind;
} aggregates[] = {
    {"count", GR_CALL_COUNT},
    {"sum", GR_CALL_SUM},
    {"avg", GR_CALL_AVG},
    {"min", GR_CALL_MIN},
    {"max", GR_CALL_MAX},
    {"var_pop", GR_CALL_VAR_POP},
    {"var_samp", GR_CALL_VAR_SAMP},
    {"variance", GR_CALL_VAR_SAMP},
    {"stddev_pop", GR_CALL_STDDEV_POP},
    {"stddev_samp", GR_CALL_STDDEV_SAMP},
    {"stddev", GR_CALL_STDDEV_SAMP},
    {"approx_count_distinct", GR_CALL_COUNT_DISTINCT_APPROX},
    {"approx_distinct", GR_CALL_COUNT_DISTINCT_APPROX},
};

/* The kind of the call, with its DISTINCT and star; false: no such aggregate. */
static bool read_kind(splitter *s, const json_t *call, gr_call_kind *ret) {
    static const char *const marks[] = {"agg_order", "over", "agg_within_group", "func_variadic"};
    const char *name = last_name(field(call, "funcname"));
    size_t i = 0, n = sizeof aggregates / sizeof *aggregates;
    while (i < n && strcmp(aggregates[i].name, name)) i++;
    if (i == n || json_array_size(field(call, "funcname")) != 1) return false;
    *ret = aggregates[i].kind;
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
        if (field(call, marks[k])) return refuse(s, "a window, or an order within an aggregate");
    bool is_star = json_is_true(field(call, "agg_star"));
    if (is_star && *ret != GR_CALL_COUNT) return refuse(s, "a star that is not count(*)");
    if (json_array_size(field(call, "args")) != !is_star) return refuse(s, "an aggregate of several arguments");
    if (is_star) *ret = GR_CALL_COUNT_ROWS;
    if (!json_is_true(field(call, "agg_distinct"))) return true;
    if (*ret == GR_CALL_COUNT) *ret = GR_CALL_COUNT_DISTINCT;
    bool is_indifferent = *ret == GR_CALL_COUNT_DISTINCT || *ret == GR_CALL_MIN || *ret == GR_CALL_MAX;
    return is_indifferent || refuse(s, "DISTINCT within an aggregate other than count, min and max");
}

static size_t intern_call(splitter *s, gr_call call, call_text text) {
    for (size_t i = 0; i < s->calls.n; i++)
        if (s->calls.v[i].kind == call.kind && gr_str_eq(s->texts.v[i].argument, text.argument) &&
            gr_str_eq(s->texts.v[i].filter, text.filter))
            return i;
    GR_PUSH(s->scratch, &s->calls, call);
    GR_PUSH(s->scratch, &s->texts, text);
    return s->calls.n - 1;
}

static bool take_piece(splitter *s, gr_str text, const json_t *node, const gr_expr **ret) {
    if (!walk_inside(s, node)) return false;
    if (!text.n || !parses_alone(s, text, node)) return refuse(s, "the end of an aggregate cannot be told");
    *ret = template_of(s, text, node);
    return !gr_expr_has_aggregate(*ret) || refuse(s, "an aggregate within an aggregate");
}

static bool take_call(splitter *s, const json_t *body, gr_call call) {
    const json_t *argument = json_array_get(field(body, "args"), 0), *filter = field(body, "agg_filter");
    occurrence o;
    call_text text;
    if (!find_text(s, body, last_name(field(body, "funcname")), &o.at, &text))
        return refuse(s, "the end of an aggregate cannot be told");
    if (argument && !take_piece(s, text.argument, argument, &call.argument)) return false;
    if (filter && !take_piece(s, text.filter, filter, &call.filter)) return false;
    if (call.kind == GR_CALL_AVG && is_time(s, argument)) return refuse(s, "an average of times");
    o.call = intern_call(s, call, text);
    GR_PUSH(s->scratch, &s->places, o);
    return true;
}

/* ---- outside of calls ------------------------------------------------------------------------------------------- */

static bool walk_outside(splitter *s, const json_t *node);

static bool see_call(splitter *s, const json_t *call) {
    gr_call_kind kind;
    const json_t *format = field(call, "funcformat");
    bool is_syntax = json_is_string(format) && strcmp(json_string_value(format), "COERCE_SQL_SYNTAX") == 0;
    if (!is_syntax && read_kind(s, call, &kind)) return take_call(s, call, (gr_call){.kind = kind});
    if (s->why) return false;
    const json_t *names = field(call, "funcname");
    const char *name = last_name(names);
    bool is_known = is_syntax || (json_array_size(names) == 1 && gr_expr_call_is_portable(gr_str_from(name)));
    if (!is_known || !is_plain_call(call)) return refuse(s, "a function that is not known, or a window");
    s->has_time |= LISTED(name, time_calls);
    return walk_outside(s, field(call, "args"));
}

/* Keys in capitals are the kinds of nodes. */
static bool see_outside(splitter *s, const char *key, const json_t *value) {
    static const char *const known[] = {"A_Expr",   "BoolExpr",    "CaseExpr", "CaseWhen", "CoalesceExpr", "MinMaxExpr",
                                        "NullTest", "BooleanTest", "TypeCast", "A_Const",  "List",         "String"};
    if (strcmp(key, "ColumnRef") == 0) return meet_column(s, value, false);
    if (strcmp(key, "FuncCall") == 0) return see_call(s, value);
    if (strcmp(key, "TypeCast") == 0) s->has_time |= is_time_type(value);
    if (isupper((unsigned char)key[0]) && !LISTED(key, known)) return refuse(s, "a form that is not known");
    return walk_outside(s, value);
}

static bool walk_outside(splitter *s, const json_t *node) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node, key, value) {
        if (!see_outside(s, key, value)) return false;
    }
    for (size_t i = 0; i < json_array_size(node); i++)
        if (!walk_outside(s, json_array_get(node, i))) return false;
    return true;
}

/* ---- the finish ------------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b) {
    const occurrence *x = a, *y = b;
    return x->at.from < y->at.from ? -1 : x->at.from > y->at.from;
}

/* The calls in order of appearance, and the text with their names for them. */
static gr_str order_calls(splitter *s, gr_buf *out) {
    size_t n = s->calls.n, at = strlen(HEAD);
    qsort(s->places.v, s->places.n, sizeof *s->places.v, by_place);
    gr_call *calls = GR_NEW_N(s->arena, gr_call, n);
    size_t *number = GR_NEW_N(s->scratch, size_t, n), n_numbered = 0;
    for (size_t i = 0; i < n; i++) number[i] = SIZE_MAX;
    for (size_t i = 0; i < s->places.n; i++) {
        occurrence *o = &s->places.v[i];
        if (number[o->call] == SIZE_MAX) {
            calls[n_numbered] = s->calls.v[o->call];
            number[o->call] = n_numbered++;
        }
        o->call = number[o->call];
        gr_buf_add(out, gr_str_sub(s->text, at, o->at.from - at));
        gr_buf_printf(out, CALL "%zu_", o->call);
        at = o->at.to;
    }
    gr_buf_add(out, gr_str_sub(s->text, at, s->text.n - 1 - at));
    s->calls.v = calls;
    return gr_buf_str(out);
}

static bool read_finish(splitter *s, gr_str text) {
    for (size_t at = 0; at < text.n;) {
        piece_part p = next_part(s, text, &at);
        gr_finish_part part = {p.hole, p.call};
        if (!p.hole && p.call == SIZE_MAX) {
            if (!gr_expr_text_is_portable(p.text)) return refuse(s, "what is computed of the aggregates is not known");
            gr_part *own = GR_NEW(s->arena, gr_part);
            *own = (gr_part){.kind = GR_PART_TEXT, .loc = s->expr->loc, .text = gr_arena_dup(s->arena, p.text)};
            part.part = own;
        }
        GR_PUSH(s->arena, &s->finish, part);
    }
    return true;
}

static bool make_finish(splitter *s, const json_t *root) {
    bool has_avg = false;
    for (size_t i = 0; i < s->calls.n; i++) has_avg |= s->calls.v[i].kind == GR_CALL_AVG;
    if (!s->calls.n) return refuse(s, "no aggregate");
    if (s->n_met != s->n_holes) return refuse(s, "a reference that is no value");
    if (has_avg && s->has_time) return refuse(s, "an average of times");
    gr_buf out;
    gr_buf_init(&out, 4 * MOST_BYTES);
    gr_str text = order_calls(s, &out);
    bool is_good =
        parses_alone(s, text, root) ? read_finish(s, text) : refuse(s, "the end of an aggregate cannot be told");
    gr_buf_done(&out);
    return is_good;
}

static bool split(splitter *s, gr_buf *spelled) {
    if (!spell(s, spelled)) return false;
    if (spelled->is_over) return refuse(s, "the SQL is too long");
    gr_str folded = gr_expr_fold_space(gr_buf_str(spelled), s->scratch);
    s->text = gr_arena_printf(s->scratch, HEAD GR_FMT ")", GR_ARG(folded));
    json_t *tree;
    const json_t *root = parse(s->text.p, &tree);
    bool is_good = root ? walk_outside(s, root) && make_finish(s, root) : refuse(s, "the SQL is not understood");
    json_decref(tree);
    return is_good;
}

void gr_expr_split(const gr_expr *expr, const gr_hole_role *roles, gr_arena *arena, gr_split *ret) {
    splitter s = {.expr = expr, .roles = roles, .arena = arena, .scratch = gr_arena_new()};
    gr_buf spelled;
    gr_buf_init(&spelled, MOST_BYTES);
    bool is_split = split(&s, &spelled);
    *ret = (gr_split){.is_split = is_split, .why = s.why};
    if (is_split) {
        ret->calls = s.calls.v;
        ret->n_calls = s.calls.n;
        ret->finish = s.finish.v;
        ret->n_finish = s.finish.n;
    }
    gr_buf_done(&spelled);
    gr_arena_free(s.scratch);
}
