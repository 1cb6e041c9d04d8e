/* Questions about SQL text that need its quotes and comments told apart from its code, and nothing else of its grammar.
 */
#include "expr/expr.h"
#include "expr/scan.h"

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

gr_str gr_expr_fold_space(gr_str sql, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, sql.n + 1);
    size_t n = 0;
    gr_scan scan = {0};
    bool want_blank = false;
    for (size_t i = 0; i < sql.n;) {
        gr_scan_mode before = scan.mode;
        size_t step = gr_expr_scan_step(&scan, sql, i);
        bool is_code = before == GR_SCAN_CODE && scan.mode == GR_SCAN_CODE;
        if (gr_expr_scan_is_comment(before) || gr_expr_scan_is_comment(scan.mode) || (is_code && is_blank(sql.p[i]))) {
            want_blank = true;
        } else {
            if (want_blank && n > 0) out[n++] = ' ';
            want_blank = false;
            memcpy(out + n, sql.p + i, step);
            n += step;
        }
        i += step;
    }
    return (gr_str){out, n};
}

/* Functions that turn many rows into one value in the engines of the reference. Names ending in '*' are prefixes. */
static const char *const aggregates[] = {
    "any_value",
    "approx_*",
    "approximate_*",
    "arbitrary",
    "arg_max",
    "arg_min",
    "argmax",
    "argmin",
    "array_agg",
    "avg",
    "avgif",
    "avgweighted",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bitstring_agg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "count_big",
    "count_if",
    "countif",
    "covar_*",
    "covarpop",
    "covarsamp",
    "every",
    "entropy",
    "favg",
    "first",
    "fsum",
    "geomean",
    "geometric_mean",
    "group_concat",
    "groupArray",
    "groupUniqArray",
    "histogram",
    "hll_*",
    "json_agg",
    "json_group_*",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "kahan_sum",
    "kurtosis*",
    "last",
    "list",
    "listagg",
    "logical_and",
    "logical_or",
    "mad",
    "max",
    "max_by",
    "maxif",
    "mean",
    "median*",
    "min",
    "min_by",
    "minif",
    "mode",
    "ntile",
    "percentile",
    "percentile_*",
    "product",
    "quantile*",
    "regr_*",
    "reservoir_quantile",
    "sem",
    "skewness",
    "std",
    "stddev*",
    "string_agg",
    "sum",
    "sumif",
    "sum_no_overflow",
    "sumkahan",
    "uniq*",
    "var*",
    "xmlagg",
    "count_distinct",
};

static bool is_aggregate(gr_str word) {
    for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++) {
        gr_str name = gr_str_from(aggregates[i]), head = word;
        if (name.p[name.n - 1] == '*') {
            name.n--;
            if (head.n > name.n) head.n = name.n;
        }
        if (gr_str_eq_nocase(head, name)) return true;
    }
    return false;
}

/* "varchar(10)" in a cast is a type, although it starts like var_pop. */
static bool is_type_name(gr_str word) {
    static const gr_str types[] = {GR_STR_INIT("varchar"), GR_STR_INIT("varchar2"), GR_STR_INIT("varbinary"),
                                   GR_STR_INIT("varying"), GR_STR_INIT("variant"),  GR_STR_INIT("varbit")};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (gr_str_eq_nocase(word, types[i])) return true;
    return false;
}

/* A word of code followed by '(' in one TEXT part; `scan` runs on from part to part. */
static bool text_has_aggregate(gr_scan *scan, gr_str text) {
    gr_str word = {0};
    for (size_t i = 0; i < text.n;) {
        gr_scan_mode before = scan->mode;
        size_t step = gr_expr_scan_step(scan, text, i);
        if (before != GR_SCAN_CODE || scan->mode != GR_SCAN_CODE) {
            word = (gr_str){0};
        } else if (gr_expr_scan_is_word(text.p[i])) {
            bool goes_on = word.n && word.p + word.n == text.p + i;
            word = goes_on ? (gr_str){word.p, word.n + 1} : gr_str_sub(text, i, 1);
        } else if (text.p[i] == '(') {
            if (is_aggregate(word) && !is_type_name(word)) return true;
            word = (gr_str){0};
        } else if (!is_blank(text.p[i])) {
            word = (gr_str){0};
        }
        i += step;
    }
    return false;
}

bool gr_expr_has_aggregate(const gr_expr *expr) {
    gr_scan scan = {0};
    for (size_t i = 0; i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        if (part->kind != GR_PART_TEXT)
            gr_expr_scan_hole(&scan);
        else if (text_has_aggregate(&scan, part->text))
            return true;
    }
    return false;
}
