/* Constructs that engines answer differently (ClickHouse 18 beside modern ones, PostgreSQL, DuckDB): how Granary says
 * each, with the one answer on every engine; and words that no dialect may use. Engines that are not on the machine are
 * left out visibly. */
#include "clickhouse/server.h"
#include "conformance/engine/dialect_fixture.h"
#include "postgres/server.h"

static fixture f;
static postgres_server server;
static clickhouse_server house;

enum { DUCKDB, POSTGRES, CLICKHOUSE, N_ENGINES };
static side sides[N_ENGINES] = {{.name = "duckdb"}, {.name = "postgres"}, {.name = "clickhouse"}};
static const gr_engine_driver *const drivers[N_ENGINES] = {&gr_engine_duckdb_driver, &gr_engine_postgres_driver,
                                                           &gr_engine_clickhouse_driver};

static bool is_there(int k) {
    return k == DUCKDB || (k == POSTGRES ? server.connection[0] != 0 : house.urls[0][0] != 0);
}

static int open_all(void **state) {
    (void)state;
    set_up_folder(&f);
    if (postgres_start(&server) || clickhouse_start(&house, 1)) return -1;
    const gr_source_config sources[N_ENGINES] = {
        {0},
        {.name = GR_STR("pg"), .kind = GR_SOURCE_POSTGRES, .url = {gr_str_from(server.connection)}},
        {.name = GR_STR("ch"),
         .kind = GR_SOURCE_CLICKHOUSE,
         .url = {gr_str_from(house.urls[0])},
         .user = GR_STR("granary"),
         .password = {GR_STR("secret")}}};
    gr_engine_options options = {&f.config, {0}};
    for (int k = 0; k < N_ENGINES; k++) {
        side *s = &sides[k];
        if (!is_there(k)) {
            printf("[  SKIPPED ] there is no server of %s on this machine\n", s->name);
            continue;
        }
        if (drivers[k]->open(&options, &s->engine, &f.err) ||
            (k != DUCKDB && drivers[k]->attach(s->engine, &sources[k], false, &f.err)) ||
            drivers[k]->connect(s->engine, sources[k].name, &s->conn, &f.err))
            return printf("%s: %s\n", s->name, f.err.message), -1;
    }
    return 0;
}

static int close_all(void **state) {
    (void)state;
    for (int k = 0; k < N_ENGINES; k++) {
        if (sides[k].conn) drivers[k]->disconnect(sides[k].conn);
        if (sides[k].engine) drivers[k]->close(sides[k].engine);
    }
    nftw(f.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    gr_arena_free(f.arena);
    if (is_there(CLICKHOUSE) && clickhouse_stop(&house)) return -1;
    return postgres_stop(&server);
}

/* ---- how it is said ------------------------------------------------------------------------------------------------
 */

/* g: 1, 1, 2; n: 4, null, null; s: 'a', null, 'c'; d: 1.50, 2.25, null; day: a date. */
static const char *const relations[N_ENGINES] = {
    "(VALUES (1, 4, 'a', CAST(1.5 AS DECIMAL(9, 2)), DATE '2024-03-01'), (1, NULL, NULL, 2.25, DATE '2024-03-02'), (2, "
    "NULL, 'c', NULL, NULL)) AS t(g, n, s, d, day)",
    "(VALUES (1, 4, 'a', CAST(1.5 AS DECIMAL(9, 2)), DATE '2024-03-01'), (1, NULL, NULL, 2.25, DATE '2024-03-02'), (2, "
    "NULL, 'c', NULL, NULL)) AS t(g, n, s, d, day)",
    "(SELECT 1 AS g, CAST(4 AS Nullable(Int32)) AS n, CAST('a' AS Nullable(String)) AS s, CAST('1.5' AS "
    "Nullable(Decimal(9, 2))) AS d, CAST('2024-03-01' AS Nullable(Date)) AS day UNION ALL SELECT 1, CAST(NULL AS "
    "Nullable(Int32)), CAST(NULL AS Nullable(String)), CAST('2.25' AS Nullable(Decimal(9, 2))), CAST('2024-03-02' AS "
    "Nullable(Date)) UNION ALL SELECT 2, CAST(NULL AS Nullable(Int32)), CAST('c' AS Nullable(String)), CAST(NULL AS "
    "Nullable(Decimal(9, 2))), CAST(NULL AS Nullable(Date))) AS t"};

typedef struct trap {
    const char *what;
    const char *select; /* with operations as <NAME hole|hole> */
    const char *where;
    const char *answer; /* NULL: null */
} trap;
static const trap traps[] = {
    {"CASE x WHEN 0 THEN … is null on 18", "<ONE_IF_ANY <COUNT n>>", "g = 1", "1"},
    {"… and is not written", "<ONE_IF_ANY <COUNT n>>", "g = 2", NULL},
    {"NULL NOT IN (…) is true on 18", "<COUNT_ROWS>", "(s <> 'a' AND s <> 'b')", "1"},
    {"NULL IN (…) is 0 on 18", "<COUNT_ROWS>", "(s IN ('a', 'c'))", "2"},
    {"maxIf of no row is 0", "<MAX CASE WHEN s = 'x' THEN n END>", "g = 1", NULL},
    {"sum of no rows is 0", "<SUM g>", "g = 9", NULL},
    {"min of no rows is 0", "<MIN g>", "g = 9", NULL},
    {"max of no rows is 0", "<MAX g>", "g = 9", NULL},
    {"a number of no rows", "<COUNT n>", "g = 9", "0"},
    {"uniqExact of nulls is null on 18", "<COUNT_DISTINCT n>", "g = 2", "0"},
    {"nulls are no values", "<COUNT_DISTINCT s>", "g > 0", "2"},
    {"avg of decimals is a decimal on 18", "<AVG d>", "g = 1", "1.875"},
    {"a decimal beside floating point is an error on 18", "<COUNT_ROWS>", "d > CAST('1.5' AS DECIMAL(2, 1))", "1"},
    {"a decimal as text", "<MAX d>", "g = 1", "2.25"},
    {"a date equal to a time is false on 18", "<COUNT_ROWS>",
     "<INSTANT_OF_DATE day> = <TIMESTAMP_LITERAL '2024-03-02T00:00:00.000'>", "1"},
    {"division by zero is infinite", "<AVG_FINISH <SUM d>|<COUNT d>>", "g = 2", NULL},
    {"counts of counts", "<MERGE_COUNT n>", "g = 2", "0"},
};

static gr_sql_op op_named(gr_str name) {
    static const char *const names[] = {
#define GR_OP_DEF(name, holes, doc) #name,
#include "plan/ops.def"
#undef GR_OP_DEF
    };
    for (int i = 0; i < GR_SQL_OP__COUNT; i++)
        if (gr_str_eq_z(name, names[i])) return (gr_sql_op)i;
    fail_msg("there is no operation " GR_FMT, GR_ARG(name));
    return GR_SQL_OP__COUNT;
}

/* `<SUM n>` and what is in it, written for the dialect. A `<` before a blank is an operator. */
static gr_str written(gr_sqlw *w, const char **at, const char *ends) {
    gr_str out = GR_STR("");
    while (**at && !strchr(ends, **at)) {
        bool is_op = **at == '<' && (*at)[1] >= 'A' && (*at)[1] <= 'Z';
        if (!is_op) {
            out = gr_arena_printf(w->arena, GR_FMT "%c", GR_ARG(out), *(*at)++);
            continue;
        }
        size_t n = strcspn(++*at, " >");
        gr_str holes[4], name = {*at, n};
        *at += n;
        for (int i = 0; **at != '>' && i < 4; i++) {
            ++*at;
            holes[i] = written(w, at, "|>");
        }
        ++*at;
        out = gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(out), GR_ARG(gr_sqlw_op(w, op_named(name), holes)));
    }
    return out;
}

static void every_trap_has_one_answer(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof traps / sizeof *traps; i++)
        for (int k = 0; k < N_ENGINES; k++) {
            if (!is_there(k)) continue;
            gr_status status = GR_OK;
            gr_sqlw w = {.dialect = gr_dialect_get(gr_str_from(sides[k].name)),
                         .tz = gr_tz_utc(),
                         .arena = f.arena,
                         .status = &status,
                         .err = &f.err};
            const char *select = traps[i].select, *where = traps[i].where;
            gr_str list = written(&w, &select, ""),
                   condition = strstr(where, "<>") ? gr_str_from(where) : written(&w, &where, "");
            if (status) fail_msg("%s: %s", sides[k].name, f.err.message);
            gr_str sql = gr_arena_printf(f.arena, "SELECT " GR_FMT " AS v FROM %s WHERE " GR_FMT, GR_ARG(list),
                                         relations[k], GR_ARG(condition));
            const gr_cell *cell = &ask(&f, &sides[k], sql)->cells[0];
            const gr_cell wanted = {.is_null = !traps[i].answer,
                                    .text = gr_str_from(traps[i].answer ? traps[i].answer : "")};
            if (!is_same_cell(&wanted, cell))
                fail_msg("%s, %s: " GR_FMT "\nanswers " GR_FMT, traps[i].what, sides[k].name, GR_ARG(sql),
                         GR_ARG(cell->is_null ? GR_STR("null") : cell->text));
        }
}

/* Whose answers differ between servers of one engine, or that 18 has not. */
static void some_words_are_never_written(void **state) {
    (void)state;
    static const char *const words[] = {
        "greatest(", "least(", "round(", "quantile", "topK",   "groupUniqArray", "maxIf(", "minIf(",          "sumIf(",
        "FILTER",    "ILIKE",  "OVER (", "::",       "NOT IN", "true",           "false",  "uniqExact({0}) ", "CASE {"};
    const gr_dialect *dialect = gr_dialect_get(GR_STR("clickhouse"));
    for (int op = 0; op < GR_SQL_OP__COUNT; op++)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (gr_str_find_str(dialect->ops[op], gr_str_from(words[i])) != SIZE_MAX)
                fail_msg("%s stands in " GR_FMT, words[i], GR_ARG(dialect->ops[op]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_trap_has_one_answer),
        cmocka_unit_test(some_words_are_never_written),
    };
    return cmocka_run_group_tests_name("conformance.engine.traps", tests, open_all, close_all);
}
