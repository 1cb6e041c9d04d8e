/* Templates into parts, and what is wrong with malformed ones. */
#include "expr/expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gr_arena *arena;
static gr_diags diags;

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    gr_diags_init(&diags, arena);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_arena_free(arena);
    return 0;
}

static gr_expr *parse(const char *text, bool is_ref) {
    gr_diags_init(&diags, arena);
    gr_loc loc = {GR_STR("m.yml"), 7, 3};
    /* Exactly as long as it is, so that reading one byte too far is seen. */
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    gr_str s = gr_arena_dup(arena, (gr_str){copy, n});
    gr_expr *e = is_ref ? gr_expr_parse_ref((gr_str){copy, n}, loc, arena, &diags)
                        : gr_expr_parse((gr_str){copy, n}, loc, arena, &diags);
    free(copy);
    size_t before = diags.list.n;
    gr_expr *again = is_ref ? gr_expr_parse_ref(s, loc, arena, &diags) : gr_expr_parse(s, loc, arena, &diags);
    assert_int_equal(e == NULL, again == NULL);
    diags.list.n = before;
    return again;
}

/* "T:text|M:a.b|C:CUBE|S:x" */
static void show(const gr_expr *e, char *out, size_t size) {
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < e->n_parts; i++) {
        const gr_part *p = &e->parts[i];
        at += (size_t)snprintf(out + at, size - at, "%s%c:", i ? "|" : "", "TCMS"[p->kind]);
        if (p->kind == GR_PART_TEXT) at += (size_t)snprintf(out + at, size - at, GR_FMT, GR_ARG(p->text));
        for (size_t k = 0; k < p->n_names; k++)
            at += (size_t)snprintf(out + at, size - at, "%s" GR_FMT, k ? "." : "", GR_ARG(p->names[k]));
    }
}

static void test_parts(void **state) {
    (void)state;
    static const struct {
        const char *text, *parts;
        bool is_column;
    } rows[] = {
        {"amount", "T:amount", true},
        {"  amount\n", "T:amount", true},
        {"a + b", "T:a + b", false},
        {"1", "T:1", false},
        {"{CUBE}.amount", "C:CUBE|T:.amount", false},
        {"{TABLE}.amount", "C:TABLE|T:.amount", false},
        {"{CUBE.x}", "M:CUBE.x", false},
        {"{x}", "M:x", false},
        {"{ x }", "M:x", false},
        {"{CUBE}.price / (1 + {CUBE}.profit_margin)", "C:CUBE|T:.price / (1 + |C:CUBE|T:.profit_margin)", false},
        {"{created_at.day}", "M:created_at.day", false},
        {"{a.b.c.x}", "M:a.b.c.x", false},
        {"SELECT * FROM ({other.sql()}) t", "T:SELECT * FROM (|S:other|T:) t", false},
        {"{a}{b}", "M:a|M:b", false},
        {"${x}", "T:$|M:x", false},
        {"\\{1\\}", "T:{1}", false},
        {"\\{{x}\\}", "T:{|M:x|T:}", false},
        {"'a''(' || \"b(\" || `c(`", "T:'a''(' || \"b(\" || `c(`", false},
        {"E'it\\'s (' || x", "T:E'it\\'s (' || x", false},
        {"like'(' ", "T:like'('", false},
        {"f(a) /* ( /* nested ( */ */ -- (", "T:f(a) /* ( /* nested ( */ */ -- (\n", false},
        {"a -- it's\n + b", "T:a -- it's\n + b", false},
        {"$$ ( ' $$ || $t$ ) $t$", "T:$$ ( ' $$ || $t$ ) $t$", false},
        {"x::date[1]", "T:x::date[1]", false},
        {"'{x}'", "T:'|M:x|T:'", false},
        {"a $1 b $1", "T:a $1 b $1", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_expr *e = parse(rows[i].text, false);
        if (!e) fail_msg("row %zu: %s", i, diags.list.v[0].message.p);
        char shown[512];
        show(e, shown, sizeof shown);
        if (strcmp(shown, rows[i].parts) != 0) fail_msg("row %zu: %s", i, shown);
        if (e->is_column != rows[i].is_column) fail_msg("row %zu: is_column", i);
        assert_int_equal(diags.n_errors, 0);
        assert_int_equal(e->loc.line, 7);
    }
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *text;
        gr_status status;
        const char *message; /* a part of it */
    } rows[] = {
        {"{CUBE.price} / (1 + {CUBE.profit_margin}", GR_ERR_MODEL_EXPRESSION,
         "')' is missing: the '(' is never closed (at character 16)"},
        {"", GR_ERR_MODEL_EXPRESSION, "empty"},
        {"  \n", GR_ERR_MODEL_EXPRESSION, "empty"},
        {"(a", GR_ERR_MODEL_EXPRESSION, "(at character 1)"},
        {"a)", GR_ERR_MODEL_EXPRESSION, "the ')' closes nothing"},
        {"a]", GR_ERR_MODEL_EXPRESSION, "the ']' closes nothing"},
        {"(a]", GR_ERR_MODEL_EXPRESSION, "the ']' closes a '('"},
        {"[a)", GR_ERR_MODEL_EXPRESSION, "the ')' closes a '['"},
        {"x[1", GR_ERR_MODEL_EXPRESSION, "']' is missing"},
        {"'a", GR_ERR_MODEL_EXPRESSION, "quote is never closed (at character 1)"},
        {"a || \"b", GR_ERR_MODEL_EXPRESSION, "quote is never closed (at character 6)"},
        {"$x$ a", GR_ERR_MODEL_EXPRESSION, "quote is never closed"},
        {"a /* b", GR_ERR_MODEL_EXPRESSION, "comment is never closed (at character 3)"},
        {"{x", GR_ERR_MODEL_EXPRESSION, "'{' is never closed"},
        {"x}", GR_ERR_MODEL_EXPRESSION, "the '}' has no '{'"},
        {"'}'", GR_ERR_MODEL_EXPRESSION, "the '}' has no '{'"},
        {"{}", GR_ERR_MODEL_EXPRESSION, "hold nothing"},
        {"{ }", GR_ERR_MODEL_EXPRESSION, "hold nothing"},
        {"{a..b}", GR_ERR_MODEL_EXPRESSION, "do not hold a reference"},
        {"{1a}", GR_ERR_MODEL_EXPRESSION, "do not hold a reference"},
        {"{a.b()}", GR_ERR_MODEL_EXPRESSION, "do not hold a reference"},
        {"{.sql()}", GR_ERR_MODEL_EXPRESSION, "do not hold a reference"},
        {"a;", GR_ERR_MODEL_EXPRESSION, "ends the statement"},
        {"{{ x }}", GR_ERR_MODEL_UNSUPPORTED, "Jinja"},
        {"{% if x %}", GR_ERR_MODEL_UNSUPPORTED, "Jinja"},
        {"{FILTER_PARAMS.orders.at.filter('at')}", GR_ERR_MODEL_UNSUPPORTED,
         "FILTER_PARAMS is not executed yet (at character 1)"},
        {"a AND {FILTER_GROUP(FILTER_PARAMS.a.b.filter(lambda x: {y}))}", GR_ERR_MODEL_UNSUPPORTED, "FILTER_GROUP"},
        {"{SECURITY_CONTEXT.tenant.filter('t')}", GR_ERR_MODEL_UNSUPPORTED, "SECURITY_CONTEXT"},
        {"{COMPILE_CONTEXT.security_context.x}", GR_ERR_MODEL_UNSUPPORTED, "COMPILE_CONTEXT"},
        {"{SQL_UTILS.convertTz(x)}", GR_ERR_MODEL_UNSUPPORTED, "SQL_UTILS"},
        {"{USER_CONTEXT.x}", GR_ERR_MODEL_UNSUPPORTED, "USER_CONTEXT"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_expr *e = parse(rows[i].text, false);
        if (e) fail_msg("row %zu is accepted", i);
        assert_true(diags.list.n >= 1);
        const gr_diag *d = &diags.list.v[0];
        if (d->status != rows[i].status) fail_msg("row %zu: status %s", i, gr_error_info_of(d->status)->id);
        if (!strstr(d->message.p, rows[i].message)) fail_msg("row %zu: %s", i, d->message.p);
        assert_int_equal(d->loc.line, 7);
        assert_int_equal(d->loc.col, 3);
    }
}

static void test_two_faults_at_once(void **state) {
    (void)state;
    assert_null(parse("{} + (a + {FILTER_PARAMS.x}", false));
    assert_int_equal(diags.list.n, 3);
}

static void test_holes_of_a_broken_text(void **state) {
    (void)state;
    char shown[256];
    gr_expr *e = gr_expr_parse_holes(GR_STR("{CUBE.price} / (1 + {} + {CUBE.profit_margin}"), (gr_loc){0}, arena);
    show(e, shown, sizeof shown);
    assert_string_equal(shown, "M:CUBE.price|T: / (1 + |T: + |M:CUBE.profit_margin");
    e = gr_expr_parse_holes(GR_STR(""), (gr_loc){0}, arena);
    assert_int_equal(e->n_parts, 0);
}

static void test_references(void **state) {
    (void)state;
    static const struct {
        const char *text, *parts;
    } rows[] = {
        {"count", "M:count"},
        {"CUBE.count", "M:CUBE.count"},
        {" orders.users.name ", "M:orders.users.name"},
        {"created_at.day", "M:created_at.day"},
        {"", NULL},
        {"{count}", NULL},
        {"a b", NULL},
        {"a.", NULL},
        {"{{ x }}", NULL},
        {"SECURITY_CONTEXT.x", NULL},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f.g.h", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_expr *e = parse(rows[i].text, true);
        if (!rows[i].parts) {
            if (e) fail_msg("row %zu is accepted", i);
            assert_true(diags.list.n == 1);
            continue;
        }
        if (!e) fail_msg("row %zu is refused", i);
        char shown[256];
        show(e, shown, sizeof shown);
        assert_string_equal(shown, rows[i].parts);
    }
}

static void test_limits(void **state) {
    (void)state;
    size_t n = (1u << 20) + 1;
    char *big = malloc(n);
    memset(big, 'a', n);
    gr_diags_init(&diags, arena);
    assert_null(gr_expr_parse((gr_str){big, n}, (gr_loc){0}, arena, &diags));
    assert_non_null(strstr(diags.list.v[0].message.p, "longer than"));
    memset(big, '(', 5000);
    gr_diags_init(&diags, arena);
    assert_null(gr_expr_parse((gr_str){big, 5000}, (gr_loc){0}, arena, &diags));
    assert_non_null(strstr(diags.list.v[0].message.p, "nested too deeply"));
    free(big);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_faults_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_holes_of_a_broken_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
