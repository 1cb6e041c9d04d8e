/* The columns of the own table that an expression reads. Holes are not bound here but for CUBE and TABLE, so that every
 * other one is a member; the last test binds some by hand. */
#include "base/buf.h"
#include "expr/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gr_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_arena_free(arena);
    return 0;
}

static gr_expr *parse(gr_str text) {
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_expr *expr = gr_expr_parse(text, (gr_loc){0}, arena, &diags);
    if (!expr) fail_msg("'" GR_FMT "': " GR_FMT, GR_ARG(text), GR_ARG(diags.list.v[0].message));
    return expr;
}

/* The names with a bar between them. */
static gr_str columns_of(const gr_expr *expr) {
    gr_str *names, all = GR_STR("");
    size_t n;
    gr_expr_columns(expr, arena, &names, &n);
    for (size_t i = 0; i < n; i++)
        all = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(all), i ? "|" : "", GR_ARG(names[i]));
    return all;
}

static void check(const char *sql, const gr_expr *expr, const char *want) {
    gr_str got = columns_of(expr);
    if (!gr_str_eq_z(got, want)) fail_msg("%s\ngot:  " GR_FMT "\nwant: %s", sql, GR_ARG(got), want);
}

typedef struct row {
    const char *sql, *want;
} row;

static const row rows[] = {
    {"amount", "amount"},
    {"Amount", "Amount"},
    {"order", "order"}, /* reserved, and still a bare column */
    {"1 + 2", ""},
    {"'amount'", ""},
    {"{CUBE}.amount", "amount"},
    {"{TABLE}.amount", "amount"},
    {"{CUBE} . amount", "amount"},
    {"{CUBE}.\"Two words\"", "Two words"},
    {"{CUBE}.\"a\"\"b\"", "a\"b"},
    {"{CUBE}.createdAt", "createdAt"},
    {"{CUBE}.order", "order"},
    {"{CUBE}.a_name_that_is_longer_than_the_sixty_three_bytes_which_the_parser_keeps_of_it",
     "a_name_that_is_longer_than_the_sixty_three_bytes_which_the_parser_keeps_of_it"},
    {"{CUBE}.b + a * {CUBE}.c - b", "a|b|c"},
    {"{CUBE}.b || {CUBE}.B", "B|b"},
    {"{CUBE}.doc.part", "doc"},
    {"({CUBE}.doc).part", "doc"},
    {"{CUBE}.tags[1]", "tags"},
    {"{CUBE}.doc -> 'key'", "doc"},
    {"count(*)", ""},
    {"count({CUBE}.*)", ""},
    {"{CUBE}", ""},
    {"{status} || {users.name} || {CUBE.city}", ""},
    {"{status} || status", "status"},
    {"u.name || users.city || s.t.c", ""},
    {"CASE WHEN {CUBE}.a > 1 THEN b WHEN c IS NULL THEN 'd' ELSE -{CUBE}.e END", "a|b|c|e"},
    {"sum(amount) FILTER (WHERE {CUBE}.status = 'done' AND {paid})", "amount|status"},
    {"row_number() OVER (PARTITION BY a ORDER BY {CUBE}.b DESC)", "a|b"},
    {"cast(a AS date) + b::int", "a|b"},
    {"extract(year FROM {CUBE}.created_at)", "created_at"},
    {"coalesce(a, greatest(b, c), nullif(d, 0))", "a|b|c|d"},
    {"a IN (1, b) AND c BETWEEN d AND e AND f LIKE 'g' AND h IS NOT NULL", "a|b|c|d|e|f|h"},
    {"a -- b\n + c /* d */", "a|c"},
    {"'{CUBE}.a' || b", "b"},
    /* in a sub-select with a FROM a bare name is that one's */
    {"(SELECT max(x) FROM other WHERE other.id = {CUBE}.id AND y = 1)", "id"},
    {"(SELECT max(x.y) FROM ({orders.sql()}) AS x WHERE x.id = {CUBE}.id) + z", "id|z"},
    {"(SELECT a + 1)", "a"},
    {"EXISTS (SELECT 1 FROM t WHERE a IN (SELECT b)) AND c", "c"},
    /* not the parser's SQL: what stands right behind {CUBE}. */
    {"TRY_CAST({CUBE}.a AS int) + b", "a"},
    {"TRY_CAST({CUBE}.b AS int) + TRY_CAST({CUBE}.a AS int) + {CUBE}.a", "a|b"},
    {"TRY_CAST({CUBE}.\"A b\" AS int) + {CUBE} + {CUBE} || {x}.y", "A b"},
    {"`x` + {CUBE}.`y z` + {CUBE}  .  w", "w|y z"},
    {"TRY_CAST('{CUBE}.a' AS int) + {CUBE}.b -- {CUBE}.c", "b"},
    {"granary_hole_0_ + a + {CUBE}.b", "b"},
};

static void test_columns(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) check(rows[i].sql, parse(gr_str_from(rows[i].sql)), rows[i].want);
}

/* Too long for the parser: found in the tokens. */
static void test_long(void **state) {
    (void)state;
    gr_buf text;
    gr_buf_init(&text, 1 << 20);
    for (int i = 0; i < 5000; i++) gr_buf_z(&text, "a + ");
    gr_buf_z(&text, "{CUBE}.b");
    check("long", parse(gr_buf_str(&text)), "b");
    gr_buf_done(&text);
}

/* As the model room binds: {orders} is the own cube, {users} another one. */
static void test_bound(void **state) {
    (void)state;
    gr_expr *expr = parse(GR_STR("{orders}.a = {users}.b"));
    const struct gr_cube *path[2] = {NULL, NULL};
    for (size_t i = 0; i < expr->n_parts; i++)
        if (expr->parts[i].kind == GR_PART_MEMBER) expr->parts[i].kind = GR_PART_TABLE;
    expr->parts[2].path = path;
    expr->parts[2].n_path = 2;
    check("{orders}.a = {users}.b", expr, "a");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
    };
    return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
