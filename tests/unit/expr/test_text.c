/* Folding of blanks and comments, and the search for aggregates. */
#include "expr/expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void test_fold_space(void **state) {
    (void)state;
    static const struct {
        const char *text, *folded;
    } rows[] = {
        {"", ""},
        {"  a \n\t b  ", "a b"},
        {"a -- comment\n+ b", "a + b"},
        {"a/* x */b", "a b"},
        {"a /* ' */ ' x  -- y ' b", "a ' x  -- y ' b"},
        {"\"a  b\"   `c  d`", "\"a  b\" `c  d`"},
        {"$$ a  b $$  c", "$$ a  b $$ c"},
        {"-- only", ""},
        {"/* a */ x /* b */", "x"},
        {"'it''s  '  ||  E'\\'  '", "'it''s  ' || E'\\'  '"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str folded = gr_expr_fold_space(gr_str_from(rows[i].text), arena);
        if (!gr_str_eq_z(folded, rows[i].folded)) fail_msg("row %zu: '" GR_FMT "'", i, GR_ARG(folded));
        gr_arena_free(arena);
    }
}

static void test_has_aggregate(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool has;
    } rows[] = {
        {"sum(x)", true},
        {"SUM (x)", true},
        {"1.0 * Count(*) / 2", true},
        {"{total} / {count}", false},
        {"'sum(x)'", false},
        {"-- sum(x)\n1", false},
        {"/* sum( */ {a}", false},
        {"summary(x)", false},
        {"checksum(x)", false},
        {"account", false},
        {"count", false},
        {"sum + (x)", false},
        {"stddev_pop({CUBE}.x)", true},
        {"var_samp(x)", true},
        {"cast(x as varchar(10))", false},
        {"coalesce({a}, 0)", false},
        {"percentile_cont(0.5) within group (order by x)", true},
        {"approx_quantile(x, 0.5)", true},
        {"{sum}(x)", false},
        {"\"sum\"(x)", false},
        {"round(avg({CUBE}.x), 2)", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_diags diags;
        gr_diags_init(&diags, arena);
        gr_expr *e = gr_expr_parse(gr_str_from(rows[i].text), (gr_loc){0}, arena, &diags);
        assert_non_null(e);
        if (gr_expr_has_aggregate(e) != rows[i].has) fail_msg("row %zu: %s", i, rows[i].text);
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold_space),
        cmocka_unit_test(test_has_aggregate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
