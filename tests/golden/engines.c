/* The cases of this folder on other engines: the same data and model, with the source there, and rollups in Granary's
 * store, beside the data, or in yet another engine. All answers are those of DuckDB, or the case is refused with
 * dialect.unsupported and stands in refused.<engine>. */
#include "golden/world.h"

#include <dirent.h>
#include <unistd.h>

#include "clickhouse/server.h"
#include "postgres/server.h"

typedef enum place { NOWHERE, DUCKDB, POSTGRES, CLICKHOUSE } place;
typedef struct side {
    const char *name;
    place source, store; /* store: of the rollups; NOWHERE: Granary's own */
    bool is_external;
    gr_exec *exec;
} side;

static char root[] = "/tmp/granary-golden-XXXXXX";
static postgres_server server;
static clickhouse_server house;
static gr_exec *reference;
static side sides[] = {
    {"postgres, rollups in the store", POSTGRES, NOWHERE, true, NULL},
    {"postgres, rollups beside the data", POSTGRES, NOWHERE, false, NULL},
    {"clickhouse, rollups in the store", CLICKHOUSE, NOWHERE, true, NULL},
    {"clickhouse, rollups beside the data", CLICKHOUSE, NOWHERE, false, NULL},
    {"duckdb, rollups in postgres", DUCKDB, POSTGRES, true, NULL},
    {"duckdb, rollups in clickhouse", DUCKDB, CLICKHOUSE, true, NULL},
    {"postgres, rollups in clickhouse", POSTGRES, CLICKHOUSE, true, NULL},
    {"clickhouse, rollups in postgres", CLICKHOUSE, POSTGRES, true, NULL},
};
enum { N_SIDES = sizeof sides / sizeof *sides };

/* ---- data ----------------------------------------------------------------------------------------------------------
 */

static void must(gr_status status, const gr_error *err) {
    if (status) fail_msg("%s", err->message);
}

static bool is_there(place p) {
    if (p == POSTGRES) return server.connection[0];
    return p != CLICKHOUSE || house.urls[0][0];
}

static gr_source_config source_of(place p, gr_str name) {
    gr_source_config s = {.name = name, .kind = GR_SOURCE_DUCKDB};
    if (p == DUCKDB) s.path = gr_arena_printf(golden_suite, "%s/data.duckdb", root);
    if (p == POSTGRES) {
        s.kind = GR_SOURCE_POSTGRES;
        s.url.value = gr_str_from(server.connection);
    }
    if (p == CLICKHOUSE) {
        s.kind = GR_SOURCE_CLICKHOUSE;
        s.url.value = gr_str_from(house.urls[0]);
        s.user = GR_STR("granary");
        s.password.value = GR_STR("secret");
    }
    return s;
}

static gr_config *config_of(place source, place store) {
    gr_source_config *sources = GR_NEW_N(golden_suite, gr_source_config, 2);
    sources[0] = source_of(source, GR_STR("default"));
    gr_config *config = golden_config(gr_str_from(root), sources);
    if (store == NOWHERE) return config;
    sources[1] = source_of(store, GR_STR("rollups"));
    config->n_sources = 2;
    config->storage_store = GR_STR("rollups");
    return config;
}

/* Each table goes over as it is, by the driver's own load. */
static void copy_data(place to, gr_str schema) {
    static const char *const tables[] = {"users", "orders", "items", "returns"};
    const gr_config *from = config_of(DUCKDB, NOWHERE), *target = config_of(to, NOWHERE);
    const gr_engine_driver *driver = gr_engine_driver_of(target->sources[0].kind);
    gr_engine *a, *b;
    gr_engine_conn *read, *write;
    gr_error err = {0};
    gr_ctx ctx = {.arena = golden_suite};
    must(gr_engine_duckdb_driver.open(&(gr_engine_options){from, {0}}, &a, &err), &err);
    must(a->driver->attach(a, &from->sources[0], false, &err), &err);
    must(a->driver->connect(a, GR_STR("default"), &read, &err), &err);
    must(driver->open(&(gr_engine_options){target, {0}}, &b, &err), &err);
    must(driver->attach(b, &target->sources[0], true, &err), &err);
    must(driver->connect(b, GR_STR("default"), &write, &err), &err);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        gr_stream *rows;
        int64_t n = 0;
        const gr_engine_load load = {.schema = schema, .name = gr_str_from(tables[i])};
        gr_str sql = gr_arena_printf(golden_suite, "SELECT * FROM %s", tables[i]);
        must(a->driver->query(read, &ctx, sql, NULL, 0, false, &rows, &err), &err);
        must(driver->load(write, &ctx, &load, rows, &n, &err), &err);
        rows->close(rows);
        assert_true(n > 0);
    }
    a->driver->disconnect(read);
    a->driver->close(a);
    driver->disconnect(write);
    driver->close(b);
}

static int open_all(void **state) {
    (void)state;
    golden_make_data(gr_str_from(root), gr_arena_printf(golden_suite, "%s/data.duckdb", root));
    if (is_there(POSTGRES)) copy_data(POSTGRES, GR_STR("public"));
    if (is_there(CLICKHOUSE)) copy_data(CLICKHOUSE, GR_STR("default"));
    reference = golden_open(config_of(DUCKDB, NOWHERE));
    for (size_t i = 0; i < N_SIDES; i++) {
        if (!is_there(sides[i].source) || !is_there(sides[i].store)) continue;
        gr_config *own = config_of(sides[i].source, sides[i].store);
        own->state_dir = gr_arena_printf(golden_suite, "state%zu", i);
        own->external_default = sides[i].is_external;
        sides[i].exec = golden_open(own);
    }
    return 0;
}

static int close_all(void **state) {
    (void)state;
    gr_exec_close(reference);
    for (size_t i = 0; i < N_SIDES; i++)
        if (sides[i].exec) gr_exec_close(sides[i].exec);
    return system(gr_arena_printf(golden_suite, "rm -rf %s", root).p); /* NOLINT(cert-env33-c): a name of ours */
}

/* ---- cases ---------------------------------------------------------------------------------------------------------
 */

/* A line `case` of the list of an engine: it refuses that case. */
static bool is_listed(const char *engine, const char *name) {
    gr_str all = golden_read_file(gr_arena_printf(golden_suite, GR_GOLDEN_DIR "/refused.%s", engine).p);
    gr_str line = gr_arena_printf(golden_suite, "\n%s\n", name);
    all = gr_arena_printf(golden_suite, "\n" GR_FMT, GR_ARG(all));
    return memmem(all.p, all.n, line.p, line.n) != NULL;
}

static const char *engine_of(const side *s) {
    return s->source == CLICKHOUSE ? "clickhouse" : s->source == POSTGRES ? "postgres" : "duckdb";
}

static void run_side(side *s, const gr_ctx *ctx, json_t *query, bool rollups, gr_str expected, const char *name) {
    gr_error err = {0};
    gr_str actual = {0};
    gr_status status = golden_run(s->exec, ctx, query, rollups, &actual, &err);
    if (status == GR_ERR_PLAN_UNSUPPORTED && is_listed(engine_of(s), name)) return;
    if (!status && is_listed(engine_of(s), name) && !rollups) fail_msg("%s answers what it is said to refuse", s->name);
    if (status) fail_msg("%s, %s: %s", s->name, rollups ? "from a rollup" : "from the source", err.message);
    if (!golden_are_same(expected, actual))
        fail_msg("%s, %s\nexpected:\n" GR_FMT "\nactual:\n" GR_FMT, s->name,
                 rollups ? "from a rollup" : "from the source", GR_ARG(expected), GR_ARG(actual));
}

static void run_case(void **state) {
    const char *name = *state;
    if (!is_there(POSTGRES) || !is_there(CLICKHOUSE)) skip();
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = GOLDEN_NOW};
    json_t *input;
    gr_error err = {0};
    gr_str expected;
    gr_str text = golden_read_file(gr_arena_printf(arena, GR_GOLDEN_DIR "/cases/%s/case.json", name).p);
    must(gr_json_parse(text, 1 << 20, arena, &input, &err), &err);
    json_t *query = json_object_get(input, "query");
    must(golden_run(reference, &ctx, query, false, &expected, &err), &err);
    for (size_t i = 0; i < N_SIDES; i++) {
        run_side(&sides[i], &ctx, query, false, expected, name);
        run_side(&sides[i], &ctx, query, true, expected, name);
    }
    gr_arena_free(arena);
}

int main(void) {
    golden_suite = gr_arena_new();
    if (!mkdtemp(root) || postgres_start(&server) || clickhouse_start(&house, 1)) return 1;
    if (!is_there(POSTGRES)) print_message("skipped: there is no PostgreSQL on this machine\n");
    if (!is_there(CLICKHOUSE)) print_message("skipped: there is no ClickHouse on this machine\n");
    struct dirent **entries;
    int n = scandir(GR_GOLDEN_DIR "/cases", &entries, NULL, alphasort);
    struct CMUnitTest *tests = GR_NEW_N(golden_suite, struct CMUnitTest, (size_t)(n > 0 ? n : 1));
    size_t n_tests = 0;
    for (int i = 0; i < n; i++) {
        gr_str name = gr_arena_dup(golden_suite, gr_str_from(entries[i]->d_name));
        if (name.p[0] != '.')
            tests[n_tests++] =
                (struct CMUnitTest){.name = name.p, .test_func = run_case, .initial_state = (void *)(uintptr_t)name.p};
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    int failed = _cmocka_run_group_tests("golden.engines", tests, n_tests, open_all, close_all);
    if (postgres_stop(&server) || (is_there(CLICKHOUSE) && clickhouse_stop(&house))) failed++;
    gr_arena_free(golden_suite);
    return n_tests == 0 ? 1 : failed;
}
