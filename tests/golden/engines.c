/* The cases of this folder on other engines: the same data and model, with the source there, and rollups in Granary's
 * store or beside the data. All answers are those of DuckDB, or the case is refused with dialect.unsupported and stands
 * in refused.<engine>. */
#include "golden/world.h"

#include <dirent.h>
#include <unistd.h>

#include "postgres/server.h"

typedef struct side {
    const char *name;
    bool is_external;
    gr_exec *exec;
    gr_str refused; /* lines */
    size_t n_refused;
} side;

static char root[] = "/tmp/granary-golden-XXXXXX";
static postgres_server server;
static gr_exec *reference;
static side sides[] = {{"postgres, rollups in the store", true, NULL, {0}, 0},
                       {"postgres, rollups in the source", false, NULL, {0}, 0}};
enum { N_SIDES = sizeof sides / sizeof *sides };

/* ---- data ----------------------------------------------------------------------------------------------------------
 */

static void must(gr_status status, const gr_error *err) {
    if (status) fail_msg("%s", err->message);
}

/* Each table goes over as it is, by the driver's own load. */
static void copy_data(const gr_config *from, const gr_config *to) {
    static const char *const tables[] = {"users", "orders", "items", "returns"};
    const gr_source_config *source = &from->sources[0], *target = &to->sources[0];
    gr_engine *a, *b;
    gr_engine_conn *read, *write;
    gr_error err = {0};
    gr_ctx ctx = {.arena = golden_suite};
    must(gr_engine_duckdb_driver.open(&(gr_engine_options){from, {0}}, &a, &err), &err);
    must(a->driver->attach(a, source, false, &err), &err);
    must(a->driver->connect(a, source->name, &read, &err), &err);
    must(gr_engine_postgres_driver.open(&(gr_engine_options){to, {0}}, &b, &err), &err);
    must(b->driver->attach(b, target, true, &err), &err);
    must(b->driver->connect(b, target->name, &write, &err), &err);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        gr_stream *rows;
        int64_t n = 0;
        const gr_engine_load load = {.schema = GR_STR("public"), .name = gr_str_from(tables[i])};
        gr_str sql = gr_arena_printf(golden_suite, "SELECT * FROM %s", tables[i]);
        must(a->driver->query(read, &ctx, sql, NULL, 0, false, &rows, &err), &err);
        must(b->driver->load(write, &ctx, &load, rows, &n, &err), &err);
        rows->close(rows);
        assert_true(n > 0);
    }
    a->driver->disconnect(read);
    a->driver->close(a);
    b->driver->disconnect(write);
    b->driver->close(b);
}

static gr_source_config *postgres_source(void) {
    gr_source_config *source = GR_NEW(golden_suite, gr_source_config);
    *source = (gr_source_config){
        .name = GR_STR("default"), .kind = GR_SOURCE_POSTGRES, .url = {gr_str_from(server.connection)}};
    return source;
}

static int open_all(void **state) {
    (void)state;
    if (!server.connection[0]) return 0;
    gr_source_config *source = GR_NEW(golden_suite, gr_source_config);
    *source =
        (gr_source_config){.name = GR_STR("default"), .path = gr_arena_printf(golden_suite, "%s/data.duckdb", root)};
    golden_make_data(gr_str_from(root), source->path);
    gr_config *config = golden_config(gr_str_from(root), source);
    copy_data(config, golden_config(gr_str_from(root), postgres_source()));
    reference = golden_open(config);
    for (size_t i = 0; i < N_SIDES; i++) {
        gr_config *own = golden_config(gr_str_from(root), postgres_source());
        own->state_dir = gr_arena_printf(golden_suite, "state%zu", i);
        own->external_default = sides[i].is_external;
        sides[i].exec = golden_open(own);
    }
    return 0;
}

static int close_all(void **state) {
    (void)state;
    gr_exec_close(reference);
    for (size_t i = 0; i < N_SIDES; i++) gr_exec_close(sides[i].exec);
    return system(gr_arena_printf(golden_suite, "rm -rf %s", root).p); /* NOLINT(cert-env33-c): a name of ours */
}

/* ---- cases ---------------------------------------------------------------------------------------------------------
 */

static bool is_listed(const char *name) {
    gr_str all = golden_read_file(GR_GOLDEN_DIR "/refused.postgres");
    gr_str line = gr_arena_printf(golden_suite, "%s\n", name);
    return memmem(all.p, all.n, line.p, line.n) != NULL;
}

static void run_side(side *s, const gr_ctx *ctx, json_t *query, bool rollups, gr_str expected, const char *name) {
    gr_error err = {0};
    gr_str actual = {0};
    gr_status status = golden_run(s->exec, ctx, query, rollups, &actual, &err);
    if (status == GR_ERR_PLAN_UNSUPPORTED && is_listed(name)) return;
    if (status) fail_msg("%s, %s: %s", s->name, rollups ? "from a rollup" : "from the source", err.message);
    if (!golden_are_same(expected, actual))
        fail_msg("%s, %s\nexpected:\n" GR_FMT "\nactual:\n" GR_FMT, s->name,
                 rollups ? "from a rollup" : "from the source", GR_ARG(expected), GR_ARG(actual));
}

static void run_case(void **state) {
    const char *name = *state;
    if (!server.connection[0]) skip();
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
    if (!mkdtemp(root) || postgres_start(&server)) return 1;
    if (!server.connection[0]) print_message("skipped: there is no PostgreSQL on this machine\n");
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
    if (postgres_stop(&server)) failed++;
    gr_arena_free(golden_suite);
    return n_tests == 0 ? 1 : failed;
}
