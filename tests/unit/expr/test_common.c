/* SQL that means the same in every engine, and how the embedded one spells it. */
#include "expr/common.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gr_expr *parse(const char *text, gr_arena *arena) {
    gr_diags diags;
    gr_diags_init(&diags, arena);
    return gr_expr_parse(gr_str_from(text), (gr_loc){0}, arena, &diags);
}

static void test_strangers(void **state) {
    (void)state;
    static const struct {
        const char *text, *stranger; /* NULL: it is common */
    } rows[] = {
        {"{a} / {b}", NULL},
        {"{a}/NULLIF({b}, 0)", NULL},
        {"100.0 * {a} / {b}", NULL},
        {"1e3 * {a} + .5 - 2.", NULL},
        {"ROUND(100.0 * {a} / NULLIF({b}, 0), 2)", NULL},
        {"round(coalesce({a}, 0), 2) + ROUND({b}, 1)", NULL},
        {"ROUND({a})", "ROUND without a number of digits"},
        {"ROUND({a} / {b})", "ROUND without a number of digits"},
        {"ROUND(greatest({a}, {b}))", "ROUND without a number of digits"},
        {"ROUND({a}, 2, 3)", "ROUND without a number of digits"},
        {"CASE WHEN {a} > 0 AND NOT ({b} IS NULL) THEN {a} ELSE 0 END", NULL},
        {"CASE {a} WHEN 1 THEN 'x' END", NULL},
        {"{a} IN (1, 2) OR {b} BETWEEN 1 AND 3", NULL},
        {"{a} IS NOT DISTINCT FROM {b}", NULL},
        {"abs({a}) <> -1 and sign({b}) != 1", NULL},
        {"{a}::float / {b}", NULL},
        {"{a}::float8 / {b}::double precision", NULL},
        {"CAST({a} AS double  precision) / {b}", NULL},
        {"cast({a} as float)", NULL},
        {"{a} :: FLOAT", NULL},
        {"{a}::float(24)", "float(24)"},
        {"{a}::float4", "float4"},
        {"{a}::real", "real"},
        {"{a}::double", "double"},
        {"{a}::numeric", "numeric"},
        {"{a}::numeric(10,2)", "numeric(10,2)"},
        {"{a}::int", "int"},
        {"CAST({a} AS bigint)", "bigint)"},
        {"{a}::text", "text"},
        {"{a} as x", "as"},
        {"{a} ~ 'x'", "~"},
        {"{a} || 'x'", NULL},
        {"{a} | 1", "|"},
        {"{a} # 1", "#"},
        {"{a} ^ 2", "^"},
        {"{a} ** 2", "**"},
        {"{a} % 2", NULL},
        {"{a} -- x\n", "--"},
        {"/* x */ {a}", "/*"},
        {"to_char({a}, '999')", "to_char"},
        {"floor({a})", "floor"},
        {"{a} LIKE 'x%'", "LIKE"},
        {"E'a\\n' || {a}", "E"},
        {"'it''s (to_char' || {a}", NULL},
        {"0x10 + {a}", "0x"},
        {"1_000 + {a}", "1_"},
        {"if({a}, 1, 2)", "if"},
        {"coalesce + {a}", "coalesce"},
        {"{a}[1]", "["},
        {"now() > {a}", "now"},
        {"\"x\" + {a}", "\""},
        {"interval '1 day' + {a}", "interval"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_expr *e = parse(rows[i].text, arena);
        assert_non_null(e);
        gr_common c = gr_expr_common(e);
        const char *stranger = rows[i].stranger ? rows[i].stranger : "";
        if (!gr_str_eq_z(c.stranger, stranger)) fail_msg("%s: '" GR_FMT "'", rows[i].text, GR_ARG(c.stranger));
        gr_arena_free(arena);
    }
}

/* o: order, c: ||, t: texts are ordered, d: division */
static void test_uses(void **state) {
    (void)state;
    static const struct {
        const char *text, *uses;
    } rows[] = {
        {"{a} + {b}", ""},
        {"{a} / {b}", "d"},
        {"{a} = 'x'", ""},
        {"{a} < {b}", "o"},
        {"{a} >= 'x'", "ot"},
        {"'x' < {a}", "ot"},
        {"'x'<={a}", "ot"},
        {"{a} <> 'x'", ""},
        {"{a} != 1", ""},
        {"{a} || {b}", "c"},
        {"'/<||' || {a}", "c"},
        {"greatest({a}, {b})", "o"},
        {"greatest({a}, 'x')", "ot"},
        {"greatest({a}, ({b}), 'x')", "ot"},
        {"greatest({a}, (coalesce({b}, 'x')))", "ot"},
        {"{a} BETWEEN 1 AND 2", "o"},
        {"{a} BETWEEN 'x' AND 'y'", "ot"},
        {"CASE WHEN {a} > 0 THEN 'many' ELSE 'few' END", "o"},
        {"CASE WHEN {a} > {b} THEN 'many' END", "o"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_common c = gr_expr_common(parse(rows[i].text, arena));
        char uses[8];
        snprintf(uses, sizeof uses, "%s%s%s%s", c.has_order ? "o" : "", c.has_concat ? "c" : "",
                 c.orders_text ? "t" : "", c.has_division ? "d" : "");
        if (strcmp(uses, rows[i].uses) != 0) fail_msg("%s: %s", rows[i].text, uses);
        gr_arena_free(arena);
    }
}

static void test_spelling(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_divided;
        const char *spelled;
    } rows[] = {
        {"::float / ", false, "::DOUBLE / "},
        {"::FLOAT8", false, "::DOUBLE"},
        {"::double precision", false, "::double precision"},
        {"ROUND(", false, "ROUND("},
        {"round (", true, "granary_round ("},
        {"'round float' || rounded", true, "'round float' || rounded"},
        {"'it''s float'", true, "'it''s float'"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str text = gr_expr_common_text(gr_str_from(rows[i].text), rows[i].is_divided, arena);
        if (!gr_str_eq_z(text, rows[i].spelled)) fail_msg("%s: " GR_FMT, rows[i].text, GR_ARG(text));
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_uses),
        cmocka_unit_test(test_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
