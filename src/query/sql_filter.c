/* See sql_filter.h. Three steps: the tokens are looked at, and only words and signs of conditions may be among them;
 * libpg_query's parser reads the rest; the tree becomes filters, for what is wanted of each part:
 *
 *      wanted      NOT e is      e1 AND e2 is       e1 OR e2 is       c = 'x' is
 *      true        e false       both true          one true          equals x
 *      false       e true        one false          both false        notEquals x, null
 *      not true    e not false   one not true       both not true     notEquals x
 *      not false   e not true    both not false     one not false     equals x, null
 *
 * Invariant: what is not understood is refused. The words let through cannot make another clause, statement or
 * sub-select, and bound how deep the parser and the walk go down. */
#include "query/sql_filter.h"

#include "expr/scan.h"
#include "expr/tree.h"
#include "query/internal.h"

#define HEAD "SELECT 1 WHERE "

/* Brackets, and signs before an operand, within each other: what the parser's stack has to bear. */
enum { MOST_OPEN = 200, MOST_FRACTION_DIGITS = 6 };

typedef struct reader {
    gr_str text;
    char *statement; /* HEAD and the text, NUL-terminated */
    gr_arena *arena;
    gr_error *err;
    size_t depth;
} reader;

typedef enum want { WANT_TRUE, WANT_FALSE, WANT_NOT_TRUE, WANT_NOT_FALSE } want;

static want negated(want w) {
    static const want of[] = {[WANT_TRUE] = WANT_FALSE,
                              [WANT_FALSE] = WANT_TRUE,
                              [WANT_NOT_TRUE] = WANT_NOT_FALSE,
                              [WANT_NOT_FALSE] = WANT_NOT_TRUE};
    return of[w];
}
/* The operator as written, and not its opposite. */
static bool is_affirmed(want w) { return w == WANT_TRUE || w == WANT_NOT_FALSE; }
static bool takes_null(want w) { return w == WANT_NOT_TRUE || w == WANT_NOT_FALSE; }

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void hint(reader *r) {
    gr_error_hint(r->err,
                  "supported: cube.member =, <>, !=, <, <=, >, >= a text, number, TRUE or FALSE; "
                  "[NOT] IN (...), [NOT] BETWEEN, IS [NOT] NULL, [NOT] ILIKE with %% at the ends only, LIKE like "
                  "that without letters; a boolean member alone, IS [NOT] TRUE, IS [NOT] FALSE; AND, OR, NOT, "
                  "brackets");
}

static size_t character(gr_str text, size_t at) {
    size_t n = 1;
    for (size_t i = 0; i < at && i < text.n; i++) n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

static gr_status refuse_at(reader *r, size_t at, const char *why) {
    gr_str piece = gr_query_shown(gr_str_sub(r->text, at, r->text.n - at));
    gr_status status = gr_error_set(r->err, GR_ERR_QUERY_INVALID, "Invalid filter: %s (at character %zu): " GR_FMT, why,
                                    character(r->text, at), GR_ARG(piece));
    hint(r);
    return status;
}

/* The first byte of the text that the node stands for. */
static size_t first_byte(const json_t *node) {
    size_t first = SIZE_MAX;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node, key, value) {
        bool is_place = strcmp(key, "location") == 0 && json_integer_value(value) >= (json_int_t)strlen(HEAD);
        size_t at = is_place ? (size_t)json_integer_value(value) - strlen(HEAD) : first_byte(value);
        if (at < first) first = at;
    }
    for (size_t i = 0; i < json_array_size(node); i++) {
        size_t at = first_byte(json_array_get(node, i));
        if (at < first) first = at;
    }
    return first;
}

static gr_status refuse(reader *r, const json_t *node, const char *why) {
    size_t at = first_byte(node);
    return refuse_at(r, at < r->text.n ? at : 0, why);
}

static gr_status too_much(reader *r, const char *what, size_t limit) {
    return gr_error_set(r->err, GR_ERR_LIMIT, "The filter %s: the limit is %zu", what, limit);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

typedef struct gate {
    reader *r;
    size_t n_tokens;
    bool is_after_dot;
    size_t n_open, n_signs; /* what is open, and the signs before the operand that is to come */
    GR_VEC(size_t) outside; /* n_signs outside of each bracket that is open */
} gate;

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static gr_status open_one(gate *g) {
    return ++g->n_open > MOST_OPEN ? too_much(g->r, "has too many brackets within each other", MOST_OPEN) : GR_OK;
}

static gr_status add_sign(gate *g) {
    g->n_signs++;
    return open_one(g);
}

static void end_signs(gate *g) {
    g->n_open -= g->n_signs;
    g->n_signs = 0;
}

static gr_status see_bracket(gate *g, size_t at) {
    if (g->r->text.p[at] == '(') {
        GR_PUSH(g->r->arena, &g->outside, g->n_signs);
        g->n_signs = 0;
        return open_one(g);
    }
    if (!g->outside.n) return refuse_at(g->r, at, "the bracket closes nothing");
    end_signs(g);
    g->n_open--;
    g->n_signs = g->outside.v[--g->outside.n];
    end_signs(g);
    return GR_OK;
}

static size_t skip_quoted(gr_str text, size_t i) {
    gr_scan scan = {0};
    do i += gr_expr_scan_step(&scan, text, i);
    while (i < text.n && scan.mode != GR_SCAN_CODE);
    return i;
}

static size_t skip_number(gr_str text, size_t i) {
    while (i < text.n) {
        bool is_exponent = text.p[i] == 'e' || text.p[i] == 'E';
        if (!gr_expr_scan_is_word(text.p[i]) && text.p[i] != '.') break;
        i++;
        if (is_exponent && i < text.n && (text.p[i] == '-' || text.p[i] == '+')) i++;
    }
    return i;
}

/* A dot of a reference, and not of a number, follows. */
static bool is_before_dot(gr_str text, size_t i) {
    while (i < text.n && is_blank(text.p[i])) i++;
    return i < text.n && text.p[i] == '.' && !(i + 1 < text.n && is_digit(text.p[i + 1]));
}

static gr_status see_word(gate *g, size_t from, size_t to) {
    static const char *const words[] = {"and",   "or",      "in",   "between", "is",   "null",
                                        "false", "unknown", "like", "ilike",   "true", "escape"};
    gr_str text = g->r->text, word = gr_str_sub(text, from, to - from);
    bool is_name = g->is_after_dot || is_before_dot(text, to);
    if (!is_name && gr_str_eq_nocase(word, GR_STR("not"))) return add_sign(g);
    end_signs(g);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_name || gr_str_eq_nocase(word, gr_str_from(words[i]))) return GR_OK;
    return refuse_at(g->r, from, "this is neither a member, cube.member, nor supported");
}

static gr_status see_sign(gate *g, size_t at) {
    gr_str rest = gr_str_sub(g->r->text, at, g->r->text.n - at);
    bool is_doubled = rest.n > 1 && rest.p[1] == rest.p[0];
    if (rest.p[0] == '-' && is_doubled) return refuse_at(g->r, at, "comments are not supported");
    if (rest.p[0] == '-') return add_sign(g);
    if (rest.p[0] == '(' || rest.p[0] == ')') return see_bracket(g, at);
    end_signs(g);
    if (rest.p[0] == '[') return refuse_at(g->r, at, "roles and indices are not supported");
    if (!rest.p[0] || !strchr("=<>!,.", rest.p[0])) return refuse_at(g->r, at, "this is not supported");
    /* The parser would read `!=-1` as an operator of three signs; `<>-1` it reads as two and a number. */
    if (gr_str_starts(rest, GR_STR("!="))) memcpy(g->r->statement + strlen(HEAD) + at, "<>", 2);
    return GR_OK;
}

/* One token from `from` on; *ret_to is behind it. */
static gr_status see_token(gate *g, size_t from, size_t *ret_to) {
    gr_str text = g->r->text;
    char c = text.p[from], next = from + 1 < text.n ? text.p[from + 1] : 0;
    *ret_to = from + 1;
    if (c == '\'' || c == '"' || is_digit(c) || (c == '.' && is_digit(next))) {
        *ret_to = c == '\'' || c == '"' ? skip_quoted(text, from) : skip_number(text, from);
        end_signs(g);
        return GR_OK;
    }
    if (!gr_expr_scan_is_word(c)) return see_sign(g, from);
    while (*ret_to < text.n && gr_expr_scan_is_word(text.p[*ret_to])) ++*ret_to;
    return see_word(g, from, *ret_to);
}

static gr_status check_tokens(reader *r) {
    gate g = {.r = r};
    for (size_t i = 0, to; i < r->text.n; i = to) {
        to = i + 1;
        if (is_blank(r->text.p[i])) continue;
        if (++g.n_tokens > GR_QUERY_SQL_MAX_TOKENS)
            return too_much(r, "has too many words and signs", GR_QUERY_SQL_MAX_TOKENS);
        GR_TRY(see_token(&g, i, &to));
        g.is_after_dot = r->text.p[i] == '.' && to == i + 1;
    }
    return g.n_tokens ? GR_OK : refuse_at(r, 0, "it is empty");
}

/* ---- filters out ------------------------------------------------------------------------------------------------ */

typedef struct list {
    json_t *items; /* owned by the whole */
    bool is_and;
} list;

/* Into the list itself when it is of the kind. */
static list group(list into, bool is_and) {
    if (into.is_and == is_and) return into;
    json_t *object = json_object(), *items = json_array();
    json_object_set_new(object, is_and ? "and" : "or", items);
    json_array_append_new(into.items, object);
    return (list){items, is_and};
}

static void add_leaf(list into, gr_str member, const char *op, const gr_str *values, size_t n, bool has_null) {
    json_t *leaf = json_object(), *texts = n ? json_array() : NULL;
    json_object_set_new(leaf, "member", gr_query_json_text(member));
    json_object_set_new(leaf, "operator", json_string(op));
    for (size_t i = 0; i < n; i++) json_array_append_new(texts, gr_query_json_text(values[i]));
    if (n && has_null) json_array_append_new(texts, json_null());
    if (n) json_object_set_new(leaf, "values", texts);
    json_array_append_new(into.items, leaf);
}

typedef struct op_pair {
    const char *op, *opposite; /* of Cube; the opposite is true where `op` is false */
    bool is_end;               /* a time that ends in .999 is taken for the whole second */
} op_pair;

static const op_pair equality = {"equals", "notEquals", false};

/* The opposites keep missing values, unless null is among theirs; the others take none, unless it is. */
static void add_any(list into, gr_str member, const op_pair *pair, const gr_str *values, size_t n, want w) {
    bool has_null = is_affirmed(w) == takes_null(w);
    add_leaf(into, member, is_affirmed(w) ? pair->op : pair->opposite, values, n, has_null);
}

/* Neither of the two takes missing values. */
static void add_order(list into, gr_str member, const op_pair *pair, gr_str value, want w) {
    list at = takes_null(w) ? group(into, false) : into;
    add_leaf(at, member, is_affirmed(w) ? pair->op : pair->opposite, &value, 1, false);
    if (takes_null(w)) add_leaf(at, member, "notSet", NULL, 0, false);
}

/* ---- operands --------------------------------------------------------------------------------------------------- */

static const json_t *field(const json_t *object, const char *name) { return json_object_get(object, name); }

static gr_status read_member(reader *r, const json_t *node, gr_str *ret) {
    const json_t *column = field(node, "ColumnRef");
    gr_str statement = gr_str_from(r->statement), *names, id = {0};
    size_t n;
    if (!column) return refuse(r, node, "a member, cube.member, must be on one side and literals on the other");
    if (!gr_expr_tree_names(statement, column, r->arena, &names, &n) || n < 2)
        return refuse(r, node, "members are written cube.member");
    for (size_t i = 0; i < n; i++) {
        if (!gr_str_is_identifier(names[i])) return refuse(r, node, "this cannot be the name of a member");
        id = i ? gr_arena_printf(r->arena, GR_FMT "." GR_FMT, GR_ARG(id), GR_ARG(names[i])) : names[i];
    }
    *ret = id;
    return GR_OK;
}

/* Zero and below, which the tree does not tell apart. */
static gr_status read_integer(reader *r, const json_t *node, size_t at, gr_str *ret) {
    gr_str statement = gr_str_from(r->statement);
    bool is_negative = false;
    for (; at < statement.n && (is_blank(statement.p[at]) || strchr("-(", statement.p[at])); at++)
        is_negative ^= statement.p[at] == '-';
    size_t n = 0;
    while (at + n < statement.n && is_digit(statement.p[at + n])) n++;
    int64_t value;
    if (!gr_str_to_i64(gr_str_sub(statement, at, n), &value)) return refuse(r, node, "this number is not supported");
    *ret = gr_arena_printf(r->arena, "%lld", (long long)(is_negative ? -value : value));
    return GR_OK;
}

static gr_status read_literal(reader *r, const json_t *node, gr_str *ret) {
    const json_t *c = field(node, "A_Const");
    if (!c) return refuse(r, node, "a literal must stand here");
    if (field(c, "isnull"))
        return refuse(r, node, "a comparison with NULL is never true; IS NULL asks for missing values");
    const json_t *text = field(field(c, "sval"), "sval"), *real = field(field(c, "fval"), "fval");
    if (!text) text = real;
    if (text) {
        *ret = gr_arena_dup(r->arena, gr_json_str(text));
    } else if (field(c, "boolval")) {
        *ret = json_is_true(field(field(c, "boolval"), "boolval")) ? GR_STR("true") : GR_STR("false");
    } else if (field(c, "ival")) {
        json_int_t value = json_integer_value(field(field(c, "ival"), "ival"));
        if (value <= 0) return read_integer(r, node, (size_t)json_integer_value(field(c, "location")), ret);
        *ret = gr_arena_printf(r->arena, "%" JSON_INTEGER_FORMAT, value);
    } else {
        return refuse(r, node, "this literal is not supported");
    }
    return GR_OK;
}

static gr_status read_literals(reader *r, const json_t *node, gr_str **ret, size_t *ret_n) {
    const json_t *items = field(field(node, "List"), "items");
    size_t n = json_array_size(items);
    gr_str *values = GR_NEW_N(r->arena, gr_str, n);
    if (!n) return refuse(r, node, "a list of literals must stand here");
    for (size_t i = 0; i < n; i++) GR_TRY(read_literal(r, json_array_get(items, i), &values[i]));
    *ret = values;
    *ret_n = n;
    return GR_OK;
}

/* A text that the query format, where the member is a time, takes for another point or range than SQL does. */
static const char *other_time(reader *r, gr_str text, bool is_end) {
    int64_t us;
    gr_time_zone_part zone;
    bool is_date;
    gr_range range;
    if (!gr_time_parse(gr_str_trim(text), &us, &zone, &is_date)) {
        bool is_relative = gr_range_parse_text(text, gr_tz_utc(), 0, r->arena, &range, NULL) == GR_OK;
        return is_relative ? "relative times are not supported" : NULL;
    }
    size_t dot = gr_str_find(text, '.', 0), n = 0;
    while (dot != SIZE_MAX && dot + 1 + n < text.n && is_digit(text.p[dot + 1 + n])) n++;
    if (zone == GR_TIME_ZONED) return "a time is written without a zone";
    if (n > MOST_FRACTION_DIGITS) return "a time has at most six digits of a second";
    gr_civil c = gr_civil_from_us(us);
    return is_end && c.us == 999000 ? "a time that ends in .999 would stand for all of its second" : NULL;
}

/* ---- conditions ------------------------------------------------------------------------------------------------- */

static gr_status convert(reader *r, const json_t *node, want w, list into);

static gr_status compare(reader *r, const json_t *literal, gr_str member, const op_pair *pair, want w, list into) {
    gr_str value = {0};
    GR_TRY(read_literal(r, literal, &value));
    const char *problem = other_time(r, value, pair->is_end);
    if (problem) return refuse(r, literal, problem);
    add_order(into, member, pair, value, w);
    return GR_OK;
}

static const op_pair below = {"lt", "gte", false}, at_most = {"lte", "gt", true}, above = {"gt", "lte", true},
                     at_least = {"gte", "lt", false};

static gr_status convert_comparison(reader *r, const json_t *e, want w, list into) {
    static const struct {
        const char *sql;
        const op_pair *pair, *flipped;
    } orders[] = {
        {"<", &below, &above}, {"<=", &at_most, &at_least}, {">", &above, &below}, {">=", &at_least, &at_most}};
    const char *sql = gr_expr_tree_string(json_array_get(field(e, "name"), 0));
    const json_t *left = field(e, "lexpr"), *right = field(e, "rexpr");
    bool is_flipped = field(left, "A_Const") != NULL;
    const json_t *literal = is_flipped ? left : right;
    gr_str member = {0}, value = {0};
    GR_TRY(read_member(r, is_flipped ? right : left ? left : e, &member));
    bool is_unequal = strcmp(sql, "<>") == 0;
    if (is_unequal || strcmp(sql, "=") == 0) {
        GR_TRY(read_literal(r, literal, &value));
        add_any(into, member, &equality, &value, 1, is_unequal ? negated(w) : w);
        return GR_OK;
    }
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(sql, orders[i].sql) == 0)
            return compare(r, literal, member, is_flipped ? orders[i].flipped : orders[i].pair, w, into);
    return refuse(r, e, "this operator is not supported");
}

static gr_status convert_in(reader *r, const json_t *e, want w, list into) {
    bool is_not = strcmp(gr_expr_tree_string(json_array_get(field(e, "name"), 0)), "<>") == 0;
    gr_str member = {0}, *values = NULL;
    size_t n = 0;
    GR_TRY(read_member(r, field(e, "lexpr"), &member));
    GR_TRY(read_literals(r, field(e, "rexpr"), &values, &n));
    add_any(into, member, &equality, values, n, is_not ? negated(w) : w);
    return GR_OK;
}

static gr_status between(reader *r, const json_t *e, want w, list into) {
    const json_t *ends = field(field(e, "rexpr"), "List"), *items = field(ends, "items");
    gr_str member = {0};
    GR_TRY(read_member(r, field(e, "lexpr"), &member));
    list at = group(into, is_affirmed(w));
    GR_TRY(compare(r, json_array_get(items, 0), member, &at_least, w, at));
    return compare(r, json_array_get(items, 1), member, &at_most, w, at);
}

static gr_status convert_between(reader *r, const json_t *e, want w, list into) { return between(r, e, w, into); }
static gr_status convert_not_between(reader *r, const json_t *e, want w, list into) {
    return between(r, e, negated(w), into);
}

/* The text without % at its ends, and what the operator would be; NULL when there is none. */
static const op_pair *read_pattern(gr_str *text) {
    static const op_pair pairs[] = {
        {"endsWith", "notEndsWith", false}, {"startsWith", "notStartsWith", false}, {"contains", "notContains", false}};
    bool is_open_left = gr_str_starts(*text, GR_STR("%")), is_open_right = gr_str_ends(*text, GR_STR("%"));
    if (text->n < 2 || (!is_open_left && !is_open_right)) return NULL;
    *text = gr_str_sub(*text, is_open_left, text->n - is_open_left - is_open_right);
    for (size_t i = 0; i < text->n; i++)
        if (strchr("%_\\", text->p[i])) return NULL;
    return text->n ? &pairs[is_open_left + 2 * is_open_right - 1] : NULL;
}

static gr_status like(reader *r, const json_t *e, bool is_any_case, want w, list into) {
    bool is_not = gr_expr_tree_string(json_array_get(field(e, "name"), 0))[0] == '!';
    gr_str member = {0}, text = {0};
    GR_TRY(read_member(r, field(e, "lexpr"), &member));
    GR_TRY(read_literal(r, field(e, "rexpr"), &text));
    const op_pair *pair = read_pattern(&text);
    if (!pair) return refuse(r, e, "a pattern is a text with % at one or both ends, and no other %, _ or \\");
    for (size_t i = 0; i < text.n && !is_any_case; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80 || (gr_expr_scan_is_word(text.p[i]) && !is_digit(text.p[i]) && c != '_'))
            return refuse(r, e, "LIKE tells upper from lower case, which filters do not: write ILIKE");
    }
    add_any(into, member, pair, &text, 1, is_not ? negated(w) : w);
    return GR_OK;
}

static gr_status convert_like(reader *r, const json_t *e, want w, list into) { return like(r, e, false, w, into); }
static gr_status convert_ilike(reader *r, const json_t *e, want w, list into) { return like(r, e, true, w, into); }

static gr_status convert_bool(reader *r, const json_t *e, want w, list into) {
    const char *op = json_string_value(field(e, "boolop"));
    const json_t *args = field(e, "args");
    bool is_and = op && strcmp(op, "AND_EXPR") == 0;
    if (op && strcmp(op, "NOT_EXPR") == 0) return convert(r, json_array_get(args, 0), negated(w), into);
    list at = group(into, is_and == is_affirmed(w));
    for (size_t i = 0; i < json_array_size(args); i++) GR_TRY(convert(r, json_array_get(args, i), w, at));
    return GR_OK;
}

static gr_status add_null_test(reader *r, const json_t *node, bool is_null, list into) {
    gr_str member = {0};
    GR_TRY(read_member(r, node, &member));
    add_leaf(into, member, is_null ? "notSet" : "set", NULL, 0, false);
    return GR_OK;
}

static gr_status convert_null(reader *r, const json_t *e, want w, list into) {
    const char *type = json_string_value(field(e, "nulltesttype"));
    bool is_null = type && strcmp(type, "IS_NULL") == 0;
    return add_null_test(r, field(e, "arg"), is_null == is_affirmed(w), into);
}

/* IS TRUE and its kin are never unknown. */
static gr_status convert_truth(reader *r, const json_t *e, want w, list into) {
    static const struct {
        const char *type;
        want affirmed, negated;
    } tests[] = {{"IS_TRUE", WANT_TRUE, WANT_NOT_TRUE},
                 {"IS_NOT_TRUE", WANT_NOT_TRUE, WANT_TRUE},
                 {"IS_FALSE", WANT_FALSE, WANT_NOT_FALSE},
                 {"IS_NOT_FALSE", WANT_NOT_FALSE, WANT_FALSE}};
    const char *type = json_string_value(field(e, "booltesttype"));
    const json_t *arg = field(e, "arg");
    for (size_t i = 0; type && i < sizeof tests / sizeof *tests; i++)
        if (strcmp(type, tests[i].type) == 0)
            return convert(r, arg, is_affirmed(w) ? tests[i].affirmed : tests[i].negated, into);
    bool is_unknown = type && strcmp(type, "IS_UNKNOWN") == 0;
    return add_null_test(r, arg, is_unknown == is_affirmed(w), into);
}

/* A boolean member alone. */
static gr_status convert_column(reader *r, const json_t *node, want w, list into) {
    static const struct {
        const char *op;
        gr_str value;
    } tests[] = {[WANT_TRUE] = {"equals", GR_STR_INIT("true")},
                 [WANT_FALSE] = {"equals", GR_STR_INIT("false")},
                 [WANT_NOT_TRUE] = {"notEquals", GR_STR_INIT("true")},
                 [WANT_NOT_FALSE] = {"notEquals", GR_STR_INIT("false")}};
    gr_str member = {0};
    GR_TRY(read_member(r, node, &member));
    add_leaf(into, member, tests[w].op, &tests[w].value, 1, false);
    return GR_OK;
}

typedef gr_status converter(reader *r, const json_t *body, want w, list into);
typedef struct form {
    const char *name;
    converter *convert;
} form;

static gr_status convert_expression(reader *r, const json_t *e, want w, list into) {
    static const form forms[] = {{"AEXPR_OP", convert_comparison},   {"AEXPR_IN", convert_in},
                                 {"AEXPR_LIKE", convert_like},       {"AEXPR_ILIKE", convert_ilike},
                                 {"AEXPR_BETWEEN", convert_between}, {"AEXPR_NOT_BETWEEN", convert_not_between}};
    const char *kind = json_string_value(field(e, "kind"));
    for (size_t i = 0; kind && i < sizeof forms / sizeof *forms; i++)
        if (strcmp(kind, forms[i].name) == 0) return forms[i].convert(r, e, w, into);
    return refuse(r, e, "this is not supported");
}

static gr_status convert(reader *r, const json_t *node, want w, list into) {
    static const form forms[] = {{"BoolExpr", convert_bool},
                                 {"A_Expr", convert_expression},
                                 {"NullTest", convert_null},
                                 {"BooleanTest", convert_truth}};
    gr_status status = GR_OK;
    bool is_known = field(node, "ColumnRef") != NULL;
    if (r->depth > GR_QUERY_SQL_MAX_NESTING) return too_much(r, "is nested too deeply", GR_QUERY_SQL_MAX_NESTING);
    if (is_known) return convert_column(r, node, w, into);
    r->depth++;
    for (size_t i = 0; !is_known && i < sizeof forms / sizeof *forms; i++) {
        const json_t *body = field(node, forms[i].name);
        if (!body) continue;
        is_known = true;
        status = forms[i].convert(r, body, w, into);
    }
    r->depth--;
    return is_known ? status : refuse(r, node, "this is not a condition that is supported");
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static gr_status bad_syntax(reader *r, const gr_expr_fault *fault) {
    size_t head = strlen(HEAD);
    if (!fault->message.n) return refuse_at(r, 0, "it is not one condition");
    size_t at = fault->at > head ? fault->at - head : 1;
    gr_status status = gr_error_set(r->err, GR_ERR_QUERY_INVALID, "Invalid filter: " GR_FMT " (at character %zu)",
                                    GR_ARG(gr_query_shown(fault->message)), at);
    hint(r);
    return status;
}

gr_status gr_query_sql_filter(gr_str text, gr_arena *arena, json_t **ret, gr_error *err) {
    reader r = {.text = text, .arena = arena, .err = err};
    if (text.n > GR_QUERY_SQL_MAX_BYTES) return too_much(&r, "has too many bytes", GR_QUERY_SQL_MAX_BYTES);
    if (!gr_str_is_utf8(text)) return gr_error_set(err, GR_ERR_QUERY_INVALID, "Invalid filter: it is not UTF-8");
    r.statement = gr_arena_alloc(arena, strlen(HEAD) + text.n + 1);
    memcpy(r.statement, HEAD, strlen(HEAD));
    if (text.n) memcpy(r.statement + strlen(HEAD), text.p, text.n);
    GR_TRY(check_tokens(&r));
    gr_expr_fault fault;
    json_t *tree;
    const json_t *select = gr_expr_tree_select(r.statement, arena, &tree, &fault);
    const json_t *where = field(select, "whereClause");
    json_t *filters = gr_query_json_own(arena, json_array());
    gr_status status = where ? convert(&r, where, WANT_TRUE, (list){filters, true}) : bad_syntax(&r, &fault);
    json_decref(tree);
    if (!status) *ret = filters;
    return status;
}
