/* States of uniqCombined between a live ClickHouse and here: what it makes of values is what we make of them, byte for
 * byte; what we send it, it merges as its own. Skips visibly where there is no ClickHouse. */
#include "conformance/engine/clickhouse_fixture.h"

static gr_str op(int at, gr_sql_op op, gr_str a, gr_str b) {
    gr_status status = GR_OK;
    gr_sqlw w = {
        .dialect = gr_dialect_get(gr_str_from(sides[at].name)), .arena = f.arena, .status = &status, .err = &f.err};
    return gr_sqlw_op2(&w, op, a, b);
}

static gr_status try_asked(int at, gr_str sql, gr_str *ret) {
    gr_stream *stream;
    GR_TRY(sides[at].conn->driver->query(sides[at].conn, &f.ctx, sql, NULL, 0, false, &stream, &f.err));
    return read_all(&f, stream, ret);
}

static const char *asked(int at, gr_str sql) {
    gr_str text = {0};
    if (try_asked(at, sql, &text)) fail_msg(GR_FMT ": %s", GR_ARG(sql), f.err.message);
    return text.p;
}

/* ---- made there, made here -----------------------------------------------------------------------------------------
 */

static const struct value {
    gr_sql_op op;
    const char *duck, *house; /* of n */
} values[] = {
    {GR_SQL_STATE_INTEGER, "n", "n"},
    {GR_SQL_STATE_INTEGER, "n * -1000000007", "n * -1000000007"},
    {GR_SQL_STATE_INTEGER, "9223372036854775807 - n", "9223372036854775807 - n"},
    {GR_SQL_STATE_INTEGER, "nullif(n % 2000, 7)", "nullIf(n % 2000, 7)"},
    {GR_SQL_STATE_TEXT, "'value ' || n", "concat('value ', toString(n))"},
    {GR_SQL_STATE_TEXT, "repeat('ä', CAST(n % 50 AS BIGINT))",
     "substring('ääääääääääääääääääääääääääääääääääääääääääääääääää', 1, 2 * (n % 50))"},
    {GR_SQL_STATE_TEXT, "nullif(CAST(n AS VARCHAR), '7')", "nullIf(toString(n), '7')"},
    {GR_SQL_STATE_TEXT, "CAST(n % 100 AS VARCHAR)", "toString(n % 100)"},
};

static gr_str state_sql(int at, const struct value *v, int log2m, int n) {
    gr_str value = gr_str_from(at == DUCK ? v->duck : v->house), none = {0};
    gr_str made = op(at, GR_SQL_STATE_ADD, op(at, v->op, value, none), gr_arena_printf(f.arena, "%d", log2m));
    return gr_arena_printf(f.arena, "SELECT " GR_FMT " FROM (SELECT %s AS n FROM %s WHERE %s < %d)", GR_ARG(made),
                           at == DUCK ? "range" : "toInt64(number)", at == DUCK ? "range(20000)" : "numbers(20000)",
                           at == DUCK ? "range" : "number", n);
}

static void states_are_the_same(void **state) {
    (void)state;
    static const int counts[] = {1, 16, 17, 128, 129, 255, 256, 257, 20000};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (int log2m = 12; log2m <= 17; log2m++)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                gr_str there = state_sql(HOUSE, &values[v], log2m, counts[c]);
                const char *theirs = asked(HOUSE, there);
                const char *ours = asked(DUCK, state_sql(DUCK, &values[v], log2m, counts[c]));
                if (strcmp(theirs, ours) != 0)
                    fail_msg(GR_FMT "\ngives %.80s\nhere  %.80s", GR_ARG(there), theirs, ours);
            }
}

/* Values that are all null, and no rows: a state of nothing. */
static void nothing_is_a_state(void **state) {
    (void)state;
    static const char *const froms[] = {"(SELECT toInt64(number) AS n FROM numbers(5) WHERE number > 9)",
                                        "(SELECT CAST(NULL AS Nullable(Int64)) AS n FROM numbers(5))"};
    gr_str made = op(HOUSE, GR_SQL_STATE_ADD, op(HOUSE, GR_SQL_STATE_INTEGER, GR_STR("n"), (gr_str){0}), GR_STR("12"));
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(asked(HOUSE, gr_arena_printf(f.arena, "SELECT " GR_FMT " FROM %s", GR_ARG(made), froms[i])),
                            "118c48");
    assert_string_equal(asked(DUCK, GR_STR("SELECT granary_hll_cardinality('\\x11\\x8C\\x48'::BLOB)")), "0");
}

/* ---- sent there ----------------------------------------------------------------------------------------------------
 */

static void run_there(const char *sql) {
    if (sides[HOUSE].conn->driver->update(sides[HOUSE].conn, &f.ctx, gr_str_from(sql), NULL, 0, NULL, NULL, NULL,
                                          &f.err))
        fail_msg("%s: %s", sql, f.err.message);
}

static gr_status send(const char *select, int log2m) {
    gr_stream *stream;
    int states[] = {0, log2m};
    const gr_str names[] = {GR_STR("g"), GR_STR("s")};
    const gr_engine_load load = {
        .schema = GR_STR("default"), .name = GR_STR("sent"), .columns = names, .states = states};
    run_there("DROP TABLE IF EXISTS default.sent");
    if (sides[DUCK].conn->driver->query(sides[DUCK].conn, &f.ctx, gr_str_from(select), NULL, 0, false, &stream, &f.err))
        fail_msg("%s: %s", select, f.err.message);
    gr_status status = sides[HOUSE].conn->driver->load(sides[HOUSE].conn, &f.ctx, &load, stream, NULL, &f.err);
    stream->close(stream);
    return status;
}

/* Sets of 1, 5, 25, … values that overlap: each has as many values as ClickHouse counts itself (none lies between our
 * limit of a list and its own), and so has their union. */
static void sent_states_are_its_own(void **state) {
    (void)state;
    static const int precisions[] = {12, 15, 17};
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        int k = precisions[p];
        gr_str select = gr_arena_printf(
            f.arena,
            "SELECT g, granary_state_add(v, %d) AS s FROM (SELECT g, unnest(range(CAST(pow(5, g) AS BIGINT))) * 3 AS v "
            "FROM range(7) t(g)) GROUP BY g UNION ALL SELECT 9, NULL",
            k);
        if (send(select.p, k)) fail_msg("%s", f.err.message);
        gr_str type = gr_arena_printf(f.arena, "AggregateFunction(uniqCombined(%d), UInt64)", k);
        assert_string_equal(
            asked(HOUSE, GR_STR("SELECT toTypeName(s) FROM (SELECT s FROM default.sent LIMIT 1) LIMIT 1")), type.p);
        gr_str own = gr_arena_printf(
            f.arena,
            "SELECT uniqCombined(%d)(toUInt64(number * 3)) FROM numbers(65536) WHERE number < toUInt64(pow(5, ", k);
        for (int g = 0; g < 7; g++)
            assert_string_equal(
                asked(HOUSE,
                      gr_arena_printf(f.arena, "SELECT finalizeAggregation(s) FROM default.sent WHERE g = %d", g)),
                asked(HOUSE, gr_arena_printf(f.arena, GR_FMT "%d))", GR_ARG(own), g)));
        assert_string_equal(asked(HOUSE, GR_STR("SELECT finalizeAggregation(s) FROM default.sent WHERE g = 9")), "0");
        gr_str united = op(HOUSE, GR_SQL_STATE_UNION, GR_STR("s"), gr_arena_printf(f.arena, "%d", k));
        for (int g = 0; g < 7; g++) {
            gr_str there = gr_arena_printf(f.arena, "SELECT " GR_FMT " FROM default.sent WHERE g <= %d OR g = 9",
                                           GR_ARG(united), g);
            gr_str here = gr_arena_printf(
                f.arena, "SELECT granary_hll_union(s) FROM (" GR_FMT ") WHERE g <= %d OR g = 9", GR_ARG(select), g);
            assert_string_equal(asked(HOUSE, there), asked(DUCK, here));
        }
    }
    run_there("DROP TABLE default.sent");
}

/* They are long, and cut anywhere as they come. */
static void many_states_come_whole(void **state) {
    (void)state;
    gr_str made = op(HOUSE, GR_SQL_STATE_ADD, op(HOUSE, GR_SQL_STATE_INTEGER, GR_STR("n"), (gr_str){0}), GR_STR("14"));
    gr_stream *stream;
    const gr_batch *batch;
    int64_t n = 0, bytes = 0;
    gr_str sql =
        gr_arena_printf(f.arena,
                        "SELECT g, " GR_FMT " AS s FROM (SELECT number %% 3000 AS g, toInt64(number) AS n FROM "
                        "numbers(4000000)) GROUP BY g",
                        GR_ARG(made));
    if (sides[HOUSE].conn->driver->query(sides[HOUSE].conn, &f.ctx, sql, NULL, 0, false, &stream, &f.err))
        fail_msg("%s", f.err.message);
    while (!stream->next(stream, &batch, &f.err) && batch) {
        n += (int64_t)batch->n_rows;
        for (size_t i = 0; i < batch->n_rows; i++) bytes += (int64_t)gr_column_text(&batch->columns[1], i).n;
    }
    stream->close(stream);
    assert_int_equal(n, 3000);
    assert_true(bytes > n * 2000);
}

static void what_is_no_state_fails(void **state) {
    (void)state;
    static const struct {
        const char *select;
        int log2m;
        gr_status status;
    } cases[] = {
        {"SELECT 1 AS g, granary_hll_add(range, 12) AS s FROM range(10)", 12, GR_ERR_ENGINE_DATA},
        {"SELECT 1 AS g, granary_state_add(range, 12) AS s FROM range(10)", 14, GR_ERR_ENGINE_DATA},
        {"SELECT 1 AS g, 'x'::BLOB AS s", 12, GR_ERR_SKETCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(send(cases[i].select, cases[i].log2m), cases[i].status);
        assert_string_equal(asked(HOUSE, GR_STR("EXISTS TABLE default.sent")), "0");
    }
    /* States of other functions, and of other values than ours, are no sketches of ours. */
    static const char *const others[] = {"uniqState(toUInt64(1))", "uniqCombinedState(12)('a')",
                                         "uniqCombinedState(18)(toUInt64(1))", "uniqCombinedState(12)(toUInt8(1))"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        gr_str text;
        gr_str sql = gr_arena_printf(f.arena, "SELECT %s AS s", others[i]);
        assert_int_equal(try_asked(HOUSE, sql, &text), GR_ERR_ENGINE_DATA);
        assert_non_null(strstr(f.err.message, "results cannot carry column \"s\""));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_the_same),     cmocka_unit_test(nothing_is_a_state),
        cmocka_unit_test(sent_states_are_its_own), cmocka_unit_test(many_states_come_whole),
        cmocka_unit_test(what_is_no_state_fails),
    };
    return cmocka_run_group_tests_name("conformance.engine.clickhouse_state", tests, open_all, close_all);
}
