/* The operations of ClickHouse's dialect give the same answers as DuckDB's, over the same values: at the ends of
 * months, in the hours that clocks skip and repeat, for null, for empty input, for floats and decimals, of columns that
 * cannot be null. What it refuses is on a list. Skips visibly where there is no ClickHouse. */
#include "conformance/engine/clickhouse_fixture.h"

/* ---- the same rows in both -----------------------------------------------------------------------------------------
 */

enum { MOST_ROWS = 16 };
typedef struct relation {
    const char *columns[8], *types[2][8];
    const char *rows[MOST_ROWS]; /* literals in quotes, which are cast */
} relation;

static const relation times = {{"x"},
                               {{"TIMESTAMP"}, {"Nullable(DateTime('UTC'))"}},
                               {"'2024-02-29 23:59:59'", "'2024-03-10 06:59:59'", "'2024-03-10 07:00:00'",
                                "'2024-11-03 05:30:00'", "'2024-11-03 06:30:00'", "'2013-04-06 14:59:59'",
                                "'2013-04-06 15:10:00'", "'1971-01-05 00:00:01'", "'2099-12-31 12:00:00'",
                                "'2021-01-31 00:00:00'", "'2020-12-28 00:00:00'", "NULL"}};
static const relation numbers = {{"g", "i", "d", "f", "r", "s"},
                                 {{"INTEGER", "INTEGER", "DECIMAL(9,2)", "DOUBLE", "REAL", "VARCHAR"},
                                  {"Int32", "Nullable(Int32)", "Nullable(Decimal(9,2))", "Nullable(Float64)",
                                   "Nullable(Float32)", "Nullable(String)"}},
                                 {"'1','10','1.5','0.1','0.1','a%b'", "'1','-7','2.25','0.2','16777216','A_B'",
                                  "'2','3',NULL,'1e300','1','x\\\\y'", "'2',NULL,'-0.01',NULL,'1',NULL",
                                  "'3',NULL,NULL,NULL,NULL,'Zürich'"}};
/* Columns that cannot be null. */
static const relation sure = {
    {"g", "i", "d", "f", "s"},
    {{"INTEGER", "BIGINT", "DECIMAL(18,3)", "DOUBLE", "VARCHAR"},
     {"UInt8", "Int64", "Decimal(18,3)", "Float64", "String"}},
    {"'1','9000000000000000000','1.5','0.25','b'", "'1','-5','2.125','1e10','a'", "'2','7','-3','-0.5','c'"}};

static void add_values(gr_buf *out, const relation *r, int k, const char *row) {
    for (size_t i = 0; r->columns[i]; i++) {
        const char *end = row;
        if (*row == '\'')
            for (end = row + 1; *end != '\''; end++) continue;
        end += strcspn(end, ",");
        gr_buf_printf(out, "%sCAST(", i ? ", " : "");
        for (const char *p = row; p < end; p++) {
            bool is_doubled = k == 0 && p[0] == '\\' && p[1] == '\\'; /* DuckDB has no escapes */
            gr_buf_add(out, (gr_str){p, 1});
            p += is_doubled;
        }
        gr_buf_printf(out, " AS %s) AS %s", r->types[k][i], r->columns[i]);
        row = *end ? end + 1 : end;
    }
}

static gr_str from_of(const relation *r, int k) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < MOST_ROWS && r->rows[i]; i++) {
        gr_buf_z(&out, i ? " UNION ALL SELECT " : "(SELECT ");
        add_values(&out, r, k, r->rows[i]);
    }
    gr_buf_z(&out, ") AS t");
    gr_str text = gr_arena_dup(f.arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

/* ---- operations ----------------------------------------------------------------------------------------------------
 */

#define DUCK_TIME(t) "TIMESTAMP '" t "'"
#define HOUSE_TIME(t) "toDateTime('" t "', 'UTC')"
#define AT(t) DUCK_TIME(t), HOUSE_TIME(t)

typedef struct operation {
    gr_sql_op op;
    const relation *from;
    const char *holes[4];
    const char *duck, *house; /* of the hole "?", which the engines write differently */
    bool is_grouped;          /* by g, and once more over no rows at all */
} operation;

static const operation operations[] = {
    {GR_SQL_INSTANT_OF_TIMESTAMP, &times, {"x"}, NULL, NULL, false},
    {GR_SQL_INSTANT_OF_DATE, &times, {"?"}, "CAST(x AS DATE)", "toDate(x, 'UTC')", false},
    {GR_SQL_TIME_OF_SECONDS, &numbers, {"abs(i) * 86461"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'second'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'minute'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'hour'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'day'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'week'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'month'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'quarter'"}, NULL, NULL, false},
    {GR_SQL_TRUNC, &times, {"x", "'year'"}, NULL, NULL, false},
    {GR_SQL_BIN_MONTHS, &times, {"x", "2", "?", "24240"}, AT("2020-01-31 00:00:00"), false},
    {GR_SQL_BIN_MONTHS, &times, {"x", "6", "?", "24290"}, AT("2024-03-15 10:00:00"), false},
    {GR_SQL_BIN_MONTHS, &times, {"x", "12", "?", "24289"}, AT("2024-02-29 00:00:00"), false},
    {GR_SQL_BIN_MICROS, &times, {"x", "900000000", "?"}, AT("2020-01-01 00:05:00"), false},
    {GR_SQL_BIN_MICROS, &times, {"x", "1209600000000", "?"}, AT("2024-01-01 10:00:00"), false},
    {GR_SQL_BIN_MICROS, &times, {"x", "25200000000", "?"}, AT("2099-12-31 12:00:00"), false},
    {GR_SQL_EPOCH, &times, {"x"}, NULL, NULL, false},
    {GR_SQL_TIMESTAMP_LITERAL, &times, {"'2024-02-29T00:00:00.000'"}, NULL, NULL, false},
    {GR_SQL_COUNT_ROWS, &numbers, {0}, NULL, NULL, true},
    {GR_SQL_COUNT, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_SUM, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_EXACT_SUM, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_EXACT_SUM, &sure, {"i"}, NULL, NULL, true},
    {GR_SQL_GROUP_KEY, &numbers, {"i"}, NULL, NULL, false},
    {GR_SQL_GROUP_KEY, &numbers, {"7"}, NULL, NULL, false},
    {GR_SQL_SUM, &numbers, {"d"}, NULL, NULL, true},
    {GR_SQL_SUM, &numbers, {"f"}, NULL, NULL, true},
    {GR_SQL_SUM, &numbers, {"r"}, NULL, NULL, true}, /* a sum of floats of 4 bytes does not reach it */
    {GR_SQL_SUM, &sure, {"i"}, NULL, NULL, true},
    {GR_SQL_SUM, &sure, {"d"}, NULL, NULL, true},
    {GR_SQL_SUM, &sure, {"f"}, NULL, NULL, true},
    {GR_SQL_SUM_JOINED, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_SUM_JOINED, &numbers, {"d"}, NULL, NULL, true},
    {GR_SQL_MIN, &numbers, {"s"}, NULL, NULL, true},
    {GR_SQL_MIN, &sure, {"s"}, NULL, NULL, true},
    {GR_SQL_MIN, &sure, {"d"}, NULL, NULL, true},
    {GR_SQL_MAX, &numbers, {"d"}, NULL, NULL, true},
    {GR_SQL_MAX, &sure, {"i"}, NULL, NULL, true},
    {GR_SQL_COUNT_DISTINCT, &numbers, {"s"}, NULL, NULL, true},
    {GR_SQL_COUNT_DISTINCT, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_COUNT_DISTINCT, &sure, {"s"}, NULL, NULL, true},
    {GR_SQL_MERGE_COUNT, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_MERGE_ONE_COUNT, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_AVG_FINISH, &numbers, {"sum(d)", "count(d)"}, NULL, NULL, true},
    {GR_SQL_AVG, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_AVG, &numbers, {"d"}, NULL, NULL, true},
    {GR_SQL_AVG, &numbers, {"r"}, NULL, NULL, true},
    {GR_SQL_AVG, &sure, {"d"}, NULL, NULL, true},
    {GR_SQL_M2, &numbers, {"i"}, NULL, NULL, true},
    {GR_SQL_M2, &sure, {"d"}, NULL, NULL, true},
    {GR_SQL_ONE_IF_ANY, &numbers, {"count(i)"}, NULL, NULL, true},
    {GR_SQL_BOOLEAN, &numbers, {"g = 1"}, NULL, NULL, false},
    {GR_SQL_BIGINT, &numbers, {"i"}, NULL, NULL, false},
    {GR_SQL_TEXT, &numbers, {"i"}, NULL, NULL, false},
    {GR_SQL_TEXT, &numbers, {"s"}, NULL, NULL, false},
    {GR_SQL_TEXT, &numbers, {"d"}, NULL, NULL, false},
    {GR_SQL_LIKE, &numbers, {"s", "'%b'"}, NULL, NULL, false},
    {GR_SQL_LIKE, &numbers, {"s", "'ZÜR%'"}, NULL, NULL, false},
    {GR_SQL_NOT_LIKE, &numbers, {"s", "'a%'"}, NULL, NULL, false},
    {GR_SQL_NULL_SAFE_EQ, &numbers, {"i", "NULL"}, NULL, NULL, false},
    {GR_SQL_NULL_SAFE_EQ, &numbers, {"i", "3"}, NULL, NULL, false},
    {GR_SQL_ABS, &numbers, {"d"}, NULL, NULL, false},
    {GR_SQL_CONCAT_GEO, &numbers, {"i", "g"}, NULL, NULL, false},
};

static gr_str text_of(const operation *o, int k) {
    gr_str holes[4];
    gr_status status = GR_OK;
    gr_sqlw w = {
        .dialect = gr_dialect_get(gr_str_from(sides[k].name)), .arena = f.arena, .status = &status, .err = &f.err};
    for (int i = 0; i < 4; i++) holes[i] = gr_str_from(o->holes[i] ? o->holes[i] : "");
    for (int i = 0; i < 4; i++)
        if (gr_str_eq_z(holes[i], "?")) holes[i] = gr_str_from(k ? o->house : o->duck);
    gr_str text = gr_sqlw_op(&w, o->op, holes), from = from_of(o->from, k);
    if (status) fail_msg("%s", f.err.message);
    if (!o->is_grouped)
        return gr_arena_printf(f.arena,
                               "SELECT v FROM (SELECT " GR_FMT " AS v, %s AS o FROM " GR_FMT
                               ") AS u ORDER BY o ASC NULLS LAST, v ASC NULLS LAST",
                               GR_ARG(text), o->from == &times ? "x" : "g", GR_ARG(from));
    return gr_arena_printf(f.arena,
                           "SELECT v FROM (SELECT g AS o, " GR_FMT " AS v FROM " GR_FMT
                           " GROUP BY g UNION ALL SELECT 99 AS o, " GR_FMT " AS v FROM " GR_FMT
                           " WHERE g > 3) AS u ORDER BY o",
                           GR_ARG(text), GR_ARG(from), GR_ARG(text), GR_ARG(from));
}

static void every_operation_answers_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        gr_table *tables[2];
        gr_str sql[2];
        for (int k = 0; k < 2; k++) {
            sql[k] = text_of(&operations[i], k);
            tables[k] = ask(&f, &sides[k], sql[k]);
        }
        assert_int_equal(tables[0]->n_rows, tables[1]->n_rows);
        assert_true(tables[0]->n_rows > 1);
        for (size_t row = 0; row < tables[0]->n_rows; row++) {
            const gr_cell *a = &tables[0]->cells[row], *b = &tables[1]->cells[row];
            if (!is_same_cell(a, b))
                fail_msg(GR_FMT "\nrow %zu: duckdb " GR_FMT ", clickhouse " GR_FMT, GR_ARG(sql[1]), row,
                         GR_ARG(a->is_null ? GR_STR("NULL") : a->text), GR_ARG(b->is_null ? GR_STR("NULL") : b->text));
        }
    }
}

/* Where DuckDB has wider sums, ClickHouse's wrap around: that is an error there, and no number. */
static void sums_do_not_wrap_around(void **state) {
    (void)state;
    static const char *const values[] = {"toInt64(number) + 9000000000000000000",
                                         "toInt64(number) - 9000000000000000000",
                                         "toUInt64(number) + 18000000000000000000"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        gr_status status = GR_OK;
        gr_sqlw w = {
            .dialect = gr_dialect_get(GR_STR("clickhouse")), .arena = f.arena, .status = &status, .err = &f.err};
        gr_str sum = gr_sqlw_op1(&w, GR_SQL_SUM, gr_str_from(values[i]));
        gr_str sql = gr_arena_printf(f.arena, "SELECT " GR_FMT " FROM numbers(2)", GR_ARG(sum));
        gr_stream *stream;
        gr_table *table;
        status = sides[1].conn->driver->query(sides[1].conn, &f.ctx, sql, NULL, 0, false, &stream, &f.err);
        if (!status) {
            status = gr_table_read(stream, 10, f.arena, &table, &f.err);
            stream->close(stream);
        }
        assert_int_equal(status, GR_ERR_ENGINE_DATA);
    }
}

/* By the function of each unit, as by the operation of all. */
static void units_have_functions(void **state) {
    (void)state;
    const gr_dialect *dialect = gr_dialect_get(GR_STR("clickhouse"));
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = dialect, .tz = gr_tz_utc(), .arena = f.arena, .status = &status, .err = &f.err};
    gr_str from = from_of(&times, 1);
    for (int g = GR_GRAIN_SECOND; g < GR_GRAIN_CUSTOM; g++) {
        gr_str unit = gr_sqlw_text_literal(&w, gr_grain_name((gr_grain)g));
        gr_str one = gr_sqlw_filled(&w, dialect->truncs[g], &(gr_str){"x", 1});
        gr_str all = gr_sqlw_op2(&w, GR_SQL_TRUNC, GR_STR("x"), unit);
        gr_table *t = ask(&f, &sides[1],
                          gr_arena_printf(f.arena,
                                          "SELECT toInt64(count()), toInt64(countIf(ifNull(toString(" GR_FMT
                                          "), '-') = ifNull(toString(" GR_FMT "), '-'))) FROM " GR_FMT,
                                          GR_ARG(one), GR_ARG(all), GR_ARG(from)));
        assert_true(gr_str_eq(t->cells[0].text, t->cells[1].text));
    }
}

/* Where days begin with a change, clocks move by half an hour, four times a year, or a day is left out. */
static void wall_clocks_are_ours(void **state) {
    (void)state;
    static const char *const zones[] = {"America/New_York",  "Asia/Beirut",    "Africa/Cairo",
                                        "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe",
                                        "Africa/Casablanca", "Pacific/Apia",   "Europe/Berlin",
                                        "Antarctica/Troll",  "Asia/Pyongyang", "Africa/Monrovia"};
    /* 13 h 37 min apart over 130 years; then the hours around every half year. */
    static const char *const instants[2] = {
        "SELECT TIMESTAMP '1970-01-02 00:00:00' + to_seconds(CAST(i AS BIGINT) * 49020) AS x FROM range(83000) t(i)",
        "SELECT toDateTime(toUInt32(86400 + number * 49020), 'UTC') AS x FROM numbers(83000)"};
    static const char *const sums[2] = {"CAST(sum(epoch_us(y) // 1000000) AS VARCHAR)",
                                        "toString(sum(toInt64(toUInt32(y))))"};
    static const char *const mixed[2] = {"CAST(sum((epoch_us(y) // 1000000) % 997 * (i % 89)) AS VARCHAR)",
                                         "toString(sum(toInt64(toUInt32(y)) % 997 * (i % 89)))"};
    static const char *const counted[2] = {"CAST(epoch_us(x) // 49020000000 AS BIGINT)",
                                           "intDiv(toInt64(toUInt32(x)), 49020)"};
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        gr_str seen[2];
        const gr_tz *tz;
        assert_int_equal(gr_tz_get(gr_str_from(zones[z]), &tz, &f.err), GR_OK);
        for (int k = 0; k < 2; k++) {
            gr_status status = GR_OK;
            gr_sqlw w = {.dialect = gr_dialect_get(gr_str_from(sides[k].name)),
                         .tz = tz,
                         .arena = f.arena,
                         .status = &status,
                         .err = &f.err};
            gr_str local = gr_sqlw_local(&w, GR_STR("x"));
            gr_str sql = gr_arena_printf(
                f.arena, "SELECT %s AS a, %s AS b FROM (SELECT " GR_FMT " AS y, %s AS i FROM (%s) AS b) AS c", sums[k],
                mixed[k], GR_ARG(local), counted[k], instants[k]);
            gr_table *t = ask(&f, &sides[k], sql);
            seen[k] = gr_arena_printf(f.arena, GR_FMT " " GR_FMT, GR_ARG(t->cells[0].text), GR_ARG(t->cells[1].text));
        }
        if (!gr_str_eq(seen[0], seen[1]))
            fail_msg("%s: duckdb " GR_FMT ", clickhouse " GR_FMT, zones[z], GR_ARG(seen[0]), GR_ARG(seen[1]));
    }
}

/* Of rows in any order the same, and of a value that is null, empty or another, another. */
static void hashes_tell_rows_apart(void **state) {
    (void)state;
    static const char *const rows[] = {
        "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'", "SELECT 2 AS a, 'y' AS b UNION ALL SELECT 1, 'x'",
        "SELECT 1 AS a, 'y' AS b UNION ALL SELECT 2, 'x'", "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, ''",
        "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, CAST(NULL AS Nullable(String))"};
    gr_str sums[5];
    gr_status status = GR_OK;
    gr_sqlw w = {.dialect = gr_dialect_get(GR_STR("clickhouse")), .arena = f.arena, .status = &status, .err = &f.err};
    gr_str a = gr_sqlw_op1(&w, GR_SQL_HASHED_VALUE, GR_STR("a")), b = gr_sqlw_op1(&w, GR_SQL_HASHED_VALUE, GR_STR("b"));
    gr_str sum = gr_sqlw_op1(&w, GR_SQL_HASH_SUM, gr_arena_printf(f.arena, GR_FMT ", " GR_FMT, GR_ARG(a), GR_ARG(b)));
    for (size_t i = 0; i < 5; i++)
        sums[i] = ask(&f, &sides[1], gr_arena_printf(f.arena, "SELECT " GR_FMT " FROM (%s)", GR_ARG(sum), rows[i]))
                      ->cells[0]
                      .text;
    assert_true(sums[0].n > 1 && gr_str_eq(sums[0], sums[1]));
    for (size_t i = 1; i < 5; i++)
        for (size_t k = i + 1; k < 5; k++) assert_false(gr_str_eq(sums[i], sums[k]));
}

/* What the dialect refuses is on a list, so that nothing is refused by accident. */
static void refusals_are_listed(void **state) {
    (void)state;
    static const gr_sql_op refused[] = {
        GR_SQL_AT_ZONE,         GR_SQL_INSTANT_OF_ANY,  GR_SQL_HLL_ADD,           GR_SQL_HLL_UNION,
        GR_SQL_HLL_CARDINALITY, GR_SQL_ONE_IF_SKETCHED, GR_SQL_MERGE_M2,          GR_SQL_RANK,
        GR_SQL_SHIFT_MONTHS,    GR_SQL_SHIFT_MICROS,    GR_SQL_TIMESTAMP_LOWEST,  GR_SQL_TIMESTAMP_HIGHEST,
        GR_SQL_SKETCH_OF_TEXT,  GR_SQL_IS_NEAR,         GR_SQL_STATE_CARDINALITY, GR_SQL_ONE_IF_STATE};
    const gr_dialect *dialect = gr_dialect_get(GR_STR("clickhouse"));
    size_t n = 0;
    for (int op = 0; op < GR_SQL_OP__COUNT; op++) n += dialect->refuses[op];
    assert_int_equal(n, sizeof refused / sizeof *refused);
    for (size_t i = 0; i < n; i++) assert_true(dialect->refuses[refused[i]]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_answers_the_same),
        cmocka_unit_test(sums_do_not_wrap_around),
        cmocka_unit_test(units_have_functions),
        cmocka_unit_test(wall_clocks_are_ours),
        cmocka_unit_test(hashes_tell_rows_apart),
        cmocka_unit_test(refusals_are_listed),
    };
    return cmocka_run_group_tests_name("conformance.engine.clickhouse_dialect", tests, open_all, close_all);
}
