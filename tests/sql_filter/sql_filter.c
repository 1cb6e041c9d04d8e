/* What conditions in SQL mean: DuckDB answers `SELECT id … WHERE <text>`, and the query with the filters that are made
 * of the text; the same rows must come. Every form alone, and random ones put together with AND, OR, NOT and IS TRUE,
 * over rows of all combinations of values, missing ones among them. */
#include "query/sql_filter.h"

#include "engine/engine.h"
#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { N_RANDOM = 400, MOST_ROWS = 20000 };

static const char model_text[] = "cubes:\n"
                                 "- name: o\n"
                                 "  sql_table: o\n"
                                 "  dimensions:\n"
                                 "  - {name: id, sql: id, type: number, primary_key: true, public: true}\n"
                                 "  - {name: s, sql: s, type: string}\n"
                                 "  - {name: n, sql: n, type: number}\n"
                                 "  - {name: f, sql: f, type: number}\n"
                                 "  - {name: b, sql: b, type: boolean}\n"
                                 "  - {name: t, sql: t, type: time}\n";

static const char data_text[] =
    "CREATE TABLE o AS SELECT row_number() OVER () AS id, * FROM "
    "(VALUES (NULL), ('x'), ('X'), ('xy'), ('aXb'), ('%x_'), ('1.5'), ('2021'), (''), ('é'), ('É')) s(s), "
    "(VALUES (NULL), (-1.50), (0), (1), (2), (2.25)) n(n), "
    "(VALUES (NULL), ('-inf'::DOUBLE), (-0.5), (1), ('nan'::DOUBLE)) f(f), "
    "(VALUES (NULL), (TRUE), (FALSE)) b(b), "
    "(VALUES (NULL), (TIMESTAMP '2020-01-01'), (TIMESTAMP '2020-01-01 23:59:59.999'), "
    "(TIMESTAMP '2020-01-01 23:59:59.999500'), (TIMESTAMP '2020-01-02'), (TIMESTAMP '2020-01-02 12:00')) t(t)";

/* Each is true for some rows, and not for all of them. */
static const char *const leaves[] = {
    "o.s = 'x'",
    "o.s = ''",
    "o.s <> 'x'",
    "'x' != o.s",
    "o.s IN ('x', 'xy', 'é')",
    "o.s NOT IN ('x', 'X', 'nothing')",
    "o.s > 'X'",
    "o.s <= 'x'",
    "o.s BETWEEN 'X' AND 'x'",
    "o.s NOT BETWEEN 'X' AND 'x'",
    "o.s IS NULL",
    "o.s IS NOT NULL",
    "o.s ILIKE '%X%'",
    "o.s ILIKE 'x%'",
    "o.s ILIKE '%B'",
    "o.s ILIKE '%É%'",
    "o.s NOT ILIKE '%x%'",
    "o.s NOT ILIKE 'X%'",
    "o.s NOT ILIKE '%x'",
    "o.s LIKE '%.5%'",
    "o.s LIKE '20%'",
    "o.s NOT LIKE '%5'",
    "o.n = 0",
    "o.n = -1.5",
    "o.n <> 1",
    "o.n IN (-1.5, 2.25, 7)",
    "o.n NOT IN (0, 1)",
    "o.n < 1",
    "o.n <= 1",
    "0 < o.n",
    "o.n >= - -2",
    "o.n > '1'",
    "o.n BETWEEN -1.5 AND 1",
    "o.n NOT BETWEEN 0 AND 1",
    "o.n IS NULL",
    "o.f = 1",
    "o.f <> -0.5",
    "o.f < 1",
    "o.f <= 1",
    "o.f > -0.5",
    "o.f >= 1",
    "o.f BETWEEN -0.5 AND 1",
    "o.f IS NOT NULL",
    "o.b",
    "NOT o.b",
    "o.b = FALSE",
    "o.b <> FALSE",
    "o.b IN (TRUE)",
    "o.b IS TRUE",
    "o.b IS NOT TRUE",
    "o.b IS FALSE",
    "o.b IS NOT FALSE",
    "o.b IS NULL",
    "o.t = '2020-01-01'",
    "o.t <> '2020-01-01'",
    "o.t IN ('2020-01-01', '2020-01-02T12:00:00')",
    "o.t NOT IN ('2020-01-01', '2020-01-02 12:00:00')",
    "o.t < '2020-01-02'",
    "o.t <= '2020-01-02'",
    "o.t > '2020-01-01'",
    "o.t >= '2020-01-01 23:59:59.999'",
    "o.t < '2020-01-01 23:59:59.999'",
    "o.t <= '2020-01-01 23:59:59.9995'",
    "o.t > '2020-01-01 23:59:59.998999'",
    "o.t BETWEEN '2020-01-01' AND '2020-01-02'",
    "o.t NOT BETWEEN '2020-01-01 12:00:00' AND '2020-01-02'",
    "o.t IS NULL",
};

typedef struct world {
    gr_arena *life;
    gr_snapshot snapshot;
    gr_engine *engine;
    gr_engine_conn *conn;
} world;

static world w;
static uint64_t seed = 20200717;

static size_t random_below(size_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

static gr_str rows_of(gr_str sql, const gr_value *params, size_t n, gr_arena *arena) {
    gr_ctx ctx = {.arena = arena};
    gr_stream *stream;
    gr_table *table;
    gr_error err = {0};
    if (w.engine->driver->query(w.conn, &ctx, sql, params, n, false, &stream, &err))
        fail_msg("%s\n" GR_FMT, err.message, GR_ARG(sql));
    if (gr_table_read(stream, MOST_ROWS, arena, &table, &err)) fail_msg("%s", err.message);
    stream->close(stream);
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < table->n_rows; i++) gr_buf_printf(&out, GR_FMT "\n", GR_ARG(table->cells[i].text));
    gr_str rows = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return rows;
}

static gr_str rows_by_sql(gr_str condition, gr_arena *arena) {
    gr_str sql = gr_arena_printf(arena, "SELECT id FROM o WHERE " GR_FMT " ORDER BY id", GR_ARG(condition));
    return rows_of(sql, NULL, 0, arena);
}

static gr_str rows_by_filters(gr_str condition, gr_arena *arena) {
    gr_query_options options = {MOST_ROWS, MOST_ROWS, 500, 26, 1000, gr_tz_utc(), 0, false};
    json_t *filters, *json = json_object();
    gr_query *query;
    gr_plan *plan;
    gr_sql sql;
    gr_error err = {0};
    if (gr_query_sql_filter(condition, arena, &filters, &err)) fail_msg(GR_FMT "\n%s", GR_ARG(condition), err.message);
    json_object_set_new(json, "dimensions", json_pack("[s]", "o.id"));
    json_object_set_new(json, "order", json_pack("{s:s}", "o.id", "asc"));
    json_object_set_new(json, "ungrouped", json_true());
    json_object_set(json, "filters", filters);
    if (gr_query_parse(w.snapshot.model, json, &options, arena, &query, &err))
        fail_msg(GR_FMT "\n%s", GR_ARG(condition), err.message);
    if (gr_plan_query(&w.snapshot, query, (gr_plan_options){0}, arena, &plan, &err)) fail_msg("%s", err.message);
    if (gr_sql_query(plan, &gr_sql_places_embedded, arena, &sql, &err)) fail_msg("%s", err.message);
    gr_str rows = rows_of(sql.text, sql.params, sql.n_params, arena);
    json_decref(json);
    return rows;
}

/* The rows that pass, as both say. */
static gr_str compare(gr_str condition, gr_arena *arena) {
    gr_str want = rows_by_sql(condition, arena), got = rows_by_filters(condition, arena);
    if (!gr_str_eq(want, got))
        fail_msg(GR_FMT "\nSQL: %zu bytes of ids, filters: %zu", GR_ARG(condition), want.n, got.n);
    return got;
}

static void each_form(void **state) {
    (void)state;
    static const char *const around[] = {"%s",
                                         "NOT (%s)",
                                         "(%s) IS TRUE",
                                         "(%s) IS NOT TRUE",
                                         "(%s) IS FALSE",
                                         "(%s) IS NOT FALSE",
                                         "NOT ((%s) IS NOT TRUE)",
                                         "NOT ((%s) IS NOT FALSE)",
                                         "(NOT (%s)) IS NOT TRUE"};
    for (size_t i = 0; i < COUNT(leaves); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str all = rows_by_sql(GR_STR("1 = 1"), arena), some = compare(gr_str_from(leaves[i]), arena);
        if (!some.n || some.n == all.n) fail_msg("%s: no or all rows", leaves[i]);
        for (size_t k = 0; k < COUNT(around); k++) {
            const char *hole = strstr(around[k], "%s");
            gr_str text = gr_arena_printf(arena, "%.*s%s%s", (int)(hole - around[k]), around[k], leaves[i], hole + 2);
            compare(text, arena);
        }
        gr_arena_free(arena);
    }
}

static gr_str random_condition(size_t depth, gr_arena *arena) {
    static const char *const tests[] = {"IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"};
    size_t form = depth ? random_below(8) : 0;
    if (form <= 1) return gr_str_from(leaves[random_below(COUNT(leaves))]);
    gr_str a = random_condition(depth - 1, arena);
    if (form == 2) return gr_arena_printf(arena, "NOT (" GR_FMT ")", GR_ARG(a));
    if (form == 3) return gr_arena_printf(arena, "(" GR_FMT ") %s", GR_ARG(a), tests[random_below(COUNT(tests))]);
    gr_str b = random_condition(depth - 1, arena), c = random_condition(depth - 1, arena);
    const char *word = form & 1 ? "AND" : "OR";
    bool has_three = random_below(3) == 0;
    if (has_three)
        return gr_arena_printf(arena, "(" GR_FMT ") %s (" GR_FMT ") %s (" GR_FMT ")", GR_ARG(a), word, GR_ARG(b), word,
                               GR_ARG(c));
    return gr_arena_printf(arena, "(" GR_FMT ") %s (" GR_FMT ")", GR_ARG(a), word, GR_ARG(b));
}

static void random_forms(void **state) {
    (void)state;
    size_t n_some = 0;
    for (size_t i = 0; i < N_RANDOM; i++) {
        gr_arena *arena = gr_arena_new();
        n_some += compare(random_condition(2 + i % 4, arena), arena).n > 0;
        gr_arena_free(arena);
    }
    assert_true(n_some > N_RANDOM / 2);
}

static int open_all(void **state) {
    (void)state;
    gr_error err = {0};
    gr_diags diags;
    gr_model *model;
    w.life = gr_arena_new();
    gr_diags_init(&diags, w.life);
    gr_model_file file = {GR_STR("m.yml"), {model_text, sizeof model_text - 1}};
    if (gr_model_load_files(&file, 1, &diags, &model, &err)) fail_msg("%s", err.message);
    w.snapshot = (gr_snapshot){
        .model = model, .index = gr_plan_index_new(model, (gr_plan_defaults){0}, NULL, w.life), .max_zones = 8};
    static const gr_config config = {.engine_memory_mb = 512, .engine_threads = 2, .engine_connections = 2};
    gr_ctx ctx = {.arena = w.life};
    if (gr_engine_duckdb_driver.open(&(gr_engine_options){&config, gr_str_from("")}, &w.engine, &err))
        fail_msg("%s", err.message);
    if (w.engine->driver->connect(w.engine, GR_STR(""), &w.conn, &err)) fail_msg("%s", err.message);
    if (w.engine->driver->update(w.conn, &ctx, gr_str_from(data_text), NULL, 0, NULL, NULL, NULL, &err))
        fail_msg("%s", err.message);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    w.engine->driver->disconnect(w.conn);
    w.engine->driver->close(w.engine);
    gr_model_unref((gr_model *)(uintptr_t)w.snapshot.model);
    gr_arena_free(w.life);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_form), cmocka_unit_test(random_forms)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
