/* The operations of every dialect give the same answers as DuckDB's, over the same values: at the ends of months, in
 * the hours that clocks skip and repeat, before 1970, for null, for empty input, for floats and decimals. An operation
 * that a dialect refuses is counted. Skips visibly where there is no PostgreSQL. */
#include "conformance/engine/dialect_fixture.h"
#include "postgres/server.h"

static fixture f;
static postgres_server server;

static side sides[2] = {{.name = "duckdb"}, {.name = "postgres"}};

static int open_all(void **state) {
    (void)state;
    set_up_folder(&f);
    if (postgres_start(&server)) return -1;
    if (!server.connection[0]) {
        printf("[  SKIPPED ] no PostgreSQL server is installed\n");
        exit(0);
    }
    const gr_source_config source = {
        .name = GR_STR("pg"), .kind = GR_SOURCE_POSTGRES, .url = {gr_str_from(server.connection)}};
    return open_sides(&f, sides, &gr_engine_postgres_driver, &source);
}

static int close_all(void **state) {
    (void)state;
    close_sides(&f, sides);
    return postgres_stop(&server);
}

/* ---- relations, in words that both have ----------------------------------------------------------------------------
 */

#define TIMES                                                                                                          \
    "(VALUES (TIMESTAMP '2024-02-29 23:59:59.999999'), (TIMESTAMP '2024-03-10 06:59:59'), (TIMESTAMP '2024-03-10 "     \
    "07:00:00'), (TIMESTAMP '2024-11-03 05:30:00'), (TIMESTAMP '2024-11-03 06:30:00'), (TIMESTAMP '2013-04-06 "        \
    "14:59:59'), (TIMESTAMP '2013-04-06 15:10:00'), (TIMESTAMP '1969-12-31 23:59:59.5'), (TIMESTAMP '1900-01-01 "      \
    "00:00:00'), (TIMESTAMP '1883-11-18 17:00:01'), (TIMESTAMP '2199-12-31 12:00:00.000001'), (TIMESTAMP '2021-01-31 " \
    "00:00:00'), (TIMESTAMP '2020-12-28 00:00:00'), (CAST(NULL AS TIMESTAMP))) AS t(x)"
#define NUMBERS                                                                                                        \
    "(VALUES (1, 10, CAST(1.5 AS DECIMAL(9,2)), CAST(0.1 AS DOUBLE PRECISION), CAST(0.1 AS REAL), 'a%b'), (1, -7, "    \
    "2.25, 0.2, 16777216, 'A_B'), (2, 3, NULL, 1e300, 1, 'x\\y'), (2, NULL, -0.01, NULL, 1, NULL), (3, NULL, NULL, "   \
    "NULL, NULL, 'Zürich')) AS t(g, i, d, f, r, s)"

/* Holes are texts that stand in both; `from` has rows in the order of their first column, when that is asked for. */
typedef struct operation {
    gr_sql_op op;
    const char *holes[4], *from;
    bool is_grouped; /* by g, and once more over no rows at all */
} operation;

static const operation operations[] = {
    {GR_SQL_INSTANT_OF_TIMESTAMP, {"x"}, TIMES, false},
    {GR_SQL_INSTANT_OF_DATE, {"CAST(x AS DATE)"}, TIMES, false},
    {GR_SQL_INSTANT_OF_TIMESTAMPTZ, {"TIMESTAMPTZ '2024-05-05 05:05:05+02'"}, TIMES, false},
    {GR_SQL_INSTANT_OF_ANY, {"'2024-05-05 05:05:05+02'"}, TIMES, false},
    {GR_SQL_INSTANT_OF_ANY, {"'2024-05-05T05:05:05'"}, TIMES, false},
    {GR_SQL_INSTANT_OF_ANY, {"x"}, TIMES, false},
    {GR_SQL_AT_ZONE, {"x", "'UTC'"}, TIMES, false},
    {GR_SQL_AT_ZONE, {"x", "'America/New_York'"}, TIMES, false},
    {GR_SQL_AT_ZONE, {"x", "'Australia/Lord_Howe'"}, TIMES, false},
    {GR_SQL_AT_ZONE, {"x", "'Asia/Kathmandu'"}, TIMES, false},
    {GR_SQL_AT_ZONE, {"x", "'Europe/Berlin'"}, TIMES, false},
    {GR_SQL_TIME_OF_SECONDS, {"86461"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'second'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'minute'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'hour'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'day'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'week'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'month'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'quarter'"}, TIMES, false},
    {GR_SQL_TRUNC, {"x", "'year'"}, TIMES, false},
    {GR_SQL_BIN_MONTHS, {"x", "2", "TIMESTAMP '2020-01-31 00:00:00'", "24240"}, TIMES, false},
    {GR_SQL_BIN_MONTHS, {"x", "6", "TIMESTAMP '2024-03-15 10:00:00'", "24290"}, TIMES, false},
    {GR_SQL_BIN_MONTHS, {"x", "12", "TIMESTAMP '2024-02-29 00:00:00'", "24289"}, TIMES, false},
    {GR_SQL_BIN_MICROS, {"x", "900000000", "TIMESTAMP '2020-01-01 00:05:00'"}, TIMES, false},
    {GR_SQL_BIN_MICROS, {"x", "1209600000000", "TIMESTAMP '2024-01-01 10:00:00'"}, TIMES, false},
    {GR_SQL_BIN_MICROS, {"x", "25200000000", "TIMESTAMP '2199-12-31 12:00:00'"}, TIMES, false},
    {GR_SQL_SHIFT_MONTHS, {"x", "1"}, TIMES, false},
    {GR_SQL_SHIFT_MONTHS, {"x", "-12"}, TIMES, false},
    {GR_SQL_SHIFT_MICROS, {"x", "86400000000"}, TIMES, false},
    {GR_SQL_SHIFT_MICROS, {"x", "-1"}, TIMES, false},
    {GR_SQL_EPOCH, {"x"}, TIMES, false},
    {GR_SQL_TIMESTAMP_LITERAL, {"'2024-02-29T00:00:00.000'"}, TIMES, false},
    {GR_SQL_COUNT_ROWS, {0}, NUMBERS, true},
    {GR_SQL_COUNT, {"i"}, NUMBERS, true},
    {GR_SQL_SUM, {"i"}, NUMBERS, true},
    {GR_SQL_SUM, {"CAST(i AS BIGINT) * 4000000000000000000"}, "(VALUES (1, 1), (1, 2), (2, -2)) AS t(g, i)", true},
    {GR_SQL_SUM, {"d"}, NUMBERS, true},
    {GR_SQL_SUM, {"f"}, NUMBERS, true},
    {GR_SQL_SUM, {"r"}, NUMBERS, true}, /* 16777216 + 1 + 1, which a sum of floats of 4 bytes does not reach */
    {GR_SQL_SUM_JOINED, {"i"}, NUMBERS, true},
    {GR_SQL_SUM_JOINED, {"d"}, NUMBERS, true},
    {GR_SQL_SUM_JOINED, {"r"}, NUMBERS, true},
    {GR_SQL_MIN, {"s"}, NUMBERS, true},
    {GR_SQL_MAX, {"d"}, NUMBERS, true},
    {GR_SQL_COUNT_DISTINCT, {"s"}, NUMBERS, true},
    {GR_SQL_MERGE_COUNT, {"i"}, NUMBERS, true},
    {GR_SQL_MERGE_ONE_COUNT, {"i"}, NUMBERS, true},
    {GR_SQL_MERGE_ONE, {"s"}, "(VALUES (1, 'a'), (1, NULL), (2, NULL)) AS t(g, s)", true},
    {GR_SQL_AVG_FINISH, {"sum(d)", "count(d)"}, NUMBERS, true},
    {GR_SQL_AVG, {"i"}, NUMBERS, true},
    {GR_SQL_AVG, {"d"}, NUMBERS, true},
    {GR_SQL_AVG, {"r"}, NUMBERS, true},
    {GR_SQL_M2, {"f"}, "(VALUES (1, 1.5e0), (1, 2.5e0), (1, NULL), (2, 7e0)) AS t(g, f)", true},
    {GR_SQL_ONE_IF_ANY, {"count(i)"}, NUMBERS, true},
    {GR_SQL_BOOLEAN, {"g = 1"}, NUMBERS, false},
    {GR_SQL_BIGINT, {"i"}, NUMBERS, false},
    {GR_SQL_TEXT, {"i"}, NUMBERS, false},
    {GR_SQL_TEXT, {"s"}, NUMBERS, false},
    {GR_SQL_TEXT, {"d"}, NUMBERS, false},
    {GR_SQL_LIKE, {"s", "'%\\%b'"}, NUMBERS, false},
    {GR_SQL_LIKE, {"s", "'a\\_%'"}, NUMBERS, false},
    {GR_SQL_LIKE, {"s", "'ZÜR%'"}, NUMBERS, false},
    {GR_SQL_NOT_LIKE, {"s", "'x\\\\%'"}, NUMBERS, false},
    {GR_SQL_NULL_SAFE_EQ, {"i", "NULL"}, NUMBERS, false},
    {GR_SQL_NULL_SAFE_EQ, {"i", "3"}, NUMBERS, false},
    {GR_SQL_ABS, {"d"}, NUMBERS, false},
    {GR_SQL_CONCAT_GEO, {"i", "g"}, NUMBERS, false},
    {GR_SQL_IS_NEAR, {"f", "f + 1e-12", "abs(f)"}, NUMBERS, false},
    {GR_SQL_IS_NEAR, {"d", "d", "abs(d)"}, NUMBERS, false},
};

/* ---- asking both ---------------------------------------------------------------------------------------------------
 */

static gr_str text_of(const operation *o, const gr_dialect *dialect, gr_status *ret_status) {
    gr_str holes[4];
    gr_sqlw w = {.dialect = dialect, .arena = f.arena, .status = ret_status, .err = &f.err};
    for (int i = 0; i < 4; i++) holes[i] = gr_str_from(o->holes[i] ? o->holes[i] : "");
    *ret_status = GR_OK;
    gr_str text = gr_sqlw_op(&w, o->op, holes);
    if (!o->is_grouped) {
        bool is_of_times = strcmp(o->from, TIMES) == 0;
        return gr_arena_printf(f.arena, "SELECT " GR_FMT " AS v FROM %s ORDER BY %s", GR_ARG(text), o->from,
                               is_of_times ? "x NULLS LAST" : "g, s NULLS LAST, d NULLS LAST");
    }
    return gr_arena_printf(f.arena,
                           "SELECT v FROM (SELECT g, " GR_FMT " AS v FROM %s GROUP BY g UNION ALL SELECT 99, " GR_FMT
                           " FROM %s WHERE g > 3) AS u ORDER BY g",
                           GR_ARG(text), o->from, GR_ARG(text), o->from);
}

static void every_operation_answers_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const operation *o = &operations[i];
        gr_table *tables[2];
        gr_str sql[2];
        gr_status status[2];
        for (int k = 0; k < 2; k++) sql[k] = text_of(o, gr_dialect_get(gr_str_from(sides[k].name)), &status[k]);
        assert_int_equal(status[0], GR_OK);
        sides[1].n_refused += status[1] != GR_OK;
        if (status[1]) continue;
        for (int k = 0; k < 2; k++) tables[k] = ask(&f, &sides[k], sql[k]);
        assert_int_equal(tables[0]->n_rows, tables[1]->n_rows);
        assert_true(tables[0]->n_rows > 1);
        for (size_t row = 0; row < tables[0]->n_rows; row++) {
            const gr_cell *a = &tables[0]->cells[row], *b = &tables[1]->cells[row];
            if (!is_same_cell(a, b))
                fail_msg(GR_FMT "\nrow %zu: duckdb " GR_FMT ", postgres " GR_FMT, GR_ARG(sql[1]), row,
                         GR_ARG(a->is_null ? GR_STR("NULL") : a->text), GR_ARG(b->is_null ? GR_STR("NULL") : b->text));
        }
    }
}

/* What a dialect refuses is on a list, so that nothing is refused by accident. */
static void refusals_are_listed(void **state) {
    (void)state;
    static const gr_sql_op refused[] = {GR_SQL_HLL_ADD,       GR_SQL_HLL_UNION,      GR_SQL_HLL_CARDINALITY,
                                        GR_SQL_MERGE_M2,      GR_SQL_SKETCH_TO_TEXT, GR_SQL_SKETCH_OF_TEXT,
                                        GR_SQL_STATE_INTEGER, GR_SQL_STATE_TEXT,     GR_SQL_STATE_TIME,
                                        GR_SQL_STATE_ADD,     GR_SQL_STATE_UNION,    GR_SQL_STATE_CARDINALITY};
    const gr_dialect *postgres = gr_dialect_get(GR_STR("postgres"));
    size_t n = 0;
    for (int op = 0; op < GR_SQL_OP__COUNT; op++) n += postgres->refuses[op];
    assert_int_equal(n, sizeof refused / sizeof *refused);
    for (size_t i = 0; i < n; i++) assert_true(postgres->refuses[refused[i]]);
    assert_int_equal(sides[1].n_refused, 0); /* of those above */
}

/* Hashes differ between engines; within one they tell changes, and not the order. */
static void hashes_tell_changes(void **state) {
    (void)state;
    static const char *const relations[] = {
        "(VALUES (1, 'a'), (2, NULL)) AS t(x, y)", "(VALUES (2, NULL), (1, 'a')) AS t(x, y)",
        "(VALUES (1, 'b'), (2, NULL)) AS t(x, y)", "(VALUES (1, 'a'), (2, '')) AS t(x, y)"};
    for (int k = 0; k < 2; k++) {
        gr_str seen[4];
        for (int i = 0; i < 4; i++) {
            const operation o = {GR_SQL_HASH_SUM, {"x, y"}, relations[i], false};
            gr_status status;
            gr_str text = text_of(&o, gr_dialect_get(gr_str_from(sides[k].name)), &status);
            text = gr_str_sub(text, 0, gr_str_find_str(text, GR_STR(" ORDER BY")));
            seen[i] = ask(&f, &sides[k], text)->cells[0].text;
        }
        assert_true(gr_str_eq(seen[0], seen[1]));
        assert_false(gr_str_eq(seen[0], seen[2]));
        assert_false(gr_str_eq(seen[0], seen[3]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_answers_the_same),
        cmocka_unit_test(refusals_are_listed),
        cmocka_unit_test(hashes_tell_changes),
    };
    return cmocka_run_group_tests_name("conformance.engine.dialects", tests, open_all, close_all);
}
