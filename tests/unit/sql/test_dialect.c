/* Every operation is filled or refused on purpose, with as many holes as ops.def says; identifiers are quoted. */
#include "sql/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_operation_is_decided(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int holes;
    } ops[] = {
#define GR_OP_DEF(name, holes, doc) {#name, holes},
#include "plan/ops.def"
#undef GR_OP_DEF
    };
    enum { CLICKHOUSE = 3 };
    const gr_dialect *dialects[] = {gr_dialect_get(GR_STR("duckdb")), gr_dialect_get(GR_STR("postgres")),
                                    gr_dialect_get(GR_STR("postgres+hll")), gr_dialect_get(GR_STR("clickhouse"))};
    for (size_t d = 0; d < sizeof dialects / sizeof *dialects; d++) {
        assert_non_null(dialects[d]);
        for (int op = 0; op < GR_SQL_OP__COUNT; op++) {
            gr_str t = dialects[d]->ops[op];
            if ((t.n > 0) == dialects[d]->refuses[op])
                fail_msg("%s: %s is neither filled nor refused, or both", dialects[d]->name.p, ops[op].name);
            for (int hole = 0; hole < 9 && t.n; hole++) {
                char text[4] = {'{', (char)('0' + hole), '}', 0};
                bool is_used = gr_str_find_str(t, gr_str_from(text)) != SIZE_MAX;
                if (op == GR_SQL_STATE_UNION && hole == 1 && d != CLICKHOUSE) continue; /* it is in the bytes */
                if (is_used != (hole < ops[op].holes))
                    fail_msg("%s: %s, hole %d", dialects[d]->name.p, ops[op].name, hole);
            }
        }
    }
}

static void identifiers_are_quoted(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    const gr_dialect *duckdb = gr_dialect_get(GR_STR("duckdb"));
    assert_true(gr_str_eq_z(gr_sql_quote(duckdb, GR_STR("a"), arena), "\"a\""));
    assert_true(
        gr_str_eq_z(gr_sql_quote(duckdb, GR_STR("a\"; DROP TABLE x; --"), arena), "\"a\"\"; DROP TABLE x; --\""));
    gr_arena_free(arena);
}

static void an_empty_operation_is_refused_by_name(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_dialect poor = *gr_dialect_get(GR_STR("duckdb"));
    poor.ops[GR_SQL_HLL_ADD] = (gr_str){0};
    gr_error err = {0};
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = &poor, .arena = arena, .status = &status, .err = &err};
    gr_sqlw_op2(&w, GR_SQL_HLL_ADD, GR_STR("x"), GR_STR("11"));
    assert_int_equal(status, GR_ERR_PLAN_UNSUPPORTED);
    assert_non_null(strstr(err.message, "sketch of the distinct values"));
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_decided),
        cmocka_unit_test(identifiers_are_quoted),
        cmocka_unit_test(an_empty_operation_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
