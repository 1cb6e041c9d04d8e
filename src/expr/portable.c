/* See portable.h. Invariant: unknown words are taken for columns or aggregates, so that what is not understood is
 * refused, never guessed. */
#include "expr/portable.h"

#include <ctype.h>

static const char *const words[] = {
    "and", "or",   "not",  "case",    "when", "then",  "else",     "end",  "is",     "null",
    "in",  "like", "true", "between", "as",   "false", "distinct", "from", "escape", "ilike",
};
/* Also names of columns, so only where a type or a part of a date must stand. */
static const char *const types[] = {
    "date",    "timestamp", "varchar", "text",   "integer", "int",      "bigint",  "double", "precision",
    "numeric", "decimal",   "boolean", "float",  "char",    "smallint", "hugeint", "real",   "interval",
    "bool",    "tinyint",   "float4",  "float8", "int2",    "int4",     "int8",    "string",
};
static const char *const parts[] = {"year",   "quarter", "month", "week", "day", "hour",
                                    "minute", "second",  "epoch", "dow",  "doy"};
/* Calls that give the same result for the same input, wherever they run. */
static const char *const calls[] = {
    "coalesce",
    "nullif",
    "concat",
    "lower",
    "upper",
    "trim",
    "ltrim",
    "rtrim",
    "length",
    "substr",
    "substring",
    "left",
    "right",
    "replace",
    "round",
    "floor",
    "ceil",
    "ceiling",
    "abs",
    "sign",
    "greatest",
    "least",
    "cast",
    "try_cast",
    "if",
    "ifnull",
    "date_trunc",
    "date_part",
    "extract",
    "strftime",
    "concat_ws",
    "split_part",
    "sqrt",
    "ln",
    "log",
    "exp",
    "power",
    "pow",
    "mod",
    "to_char",
    "regexp_matches",
    "regexp_replace",
    "in",
    "and",
    "or",
    "not",
    "when",
    "then",
    "else",
    "between",
    "decimal",
    "numeric",
    "varchar",
    "case",
    "trunc",
    "log2",
    "log10",
    "cbrt",
    "isnan",
    "isinf",
    "isfinite",
    "char_length",
    "lpad",
    "rpad",
    "repeat",
    "reverse",
    "strpos",
    "contains",
    "starts_with",
};

static bool is_listed(gr_str word, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq_nocase(word, gr_str_from(list[i]))) return true;
    return false;
}

/* The end of the quoted run that starts at `i`; a doubled quote stays inside. */
static size_t skip_quoted(gr_str s, size_t i) {
    for (i++; i < s.n; i++) {
        if (s.p[i] != '\'') continue;
        if (i + 1 < s.n && s.p[i + 1] == '\'')
            i++;
        else
            return i + 1;
    }
    return s.n;
}

#define LISTED(word, list) is_listed((word), (list), sizeof(list) / sizeof *(list))

/* The characters before `at`, white space left out, end in `::`. */
static bool is_after_cast(gr_str s, size_t at) {
    while (at && isspace((unsigned char)s.p[at - 1])) at--;
    return at >= 2 && s.p[at - 1] == ':' && s.p[at - 2] == ':';
}

/* `last` is the word before, `next` the character after. */
static bool is_known(gr_str s, size_t at, gr_str word, gr_str last, char next) {
    if (next == '(') return LISTED(word, calls);
    if (LISTED(word, words)) return true;
    bool is_type_place = next == '\'' || is_after_cast(s, at) || gr_str_eq_nocase(last, GR_STR("as")) ||
                         gr_str_eq_nocase(last, GR_STR("double"));
    if (is_type_place && LISTED(word, types)) return true;
    return gr_str_eq_nocase(last, GR_STR("extract")) && LISTED(word, parts);
}

bool gr_expr_call_is_portable(gr_str name) { return LISTED(name, calls) && !LISTED(name, words); }

bool gr_expr_text_is_portable(gr_str s) {
    gr_str last = {0};
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\'') {
            i = skip_quoted(s, i);
        } else if (c == '"' || c == '$' || c >= 0x80 || c == ';') {
            return false;
        } else if (c == '.' && !(i > 0 && isdigit((unsigned char)s.p[i - 1])) &&
                   !(i + 1 < s.n && isdigit((unsigned char)s.p[i + 1]))) {
            return false; /* {hole}.column */
        } else if (isalpha(c) || c == '_') {
            size_t end = i;
            while (end < s.n && (isalnum((unsigned char)s.p[end]) || s.p[end] == '_')) end++;
            size_t next = end;
            while (next < s.n && isspace((unsigned char)s.p[next])) next++;
            gr_str word = gr_str_sub(s, i, end - i);
            bool is_number_tail = i > 0 && isdigit((unsigned char)s.p[i - 1]); /* 1e9 */
            if (!is_number_tail && !is_known(s, i, word, last, next < s.n ? s.p[next] : 0)) return false;
            last = word;
            i = end;
        } else {
            i++;
        }
    }
    return true;
}
