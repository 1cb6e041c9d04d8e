/* The importer and lineage over a server with its engine and its catalog: what is recorded, shared, skipped, and how it
 * shows. */
#include "serve/entities.h"

#include "base/clock.h"
#include "base/mem.h"
#include "data/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char model_text[] =
    "cubes:\n"
    "- name: orders\n  sql_table: orders\n"
    "  joins:\n  - {name: users, sql: '{CUBE}.customer_id = {users}.id', relationship: many_to_one}\n"
    "  dimensions:\n"
    "  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: date_id, sql: date_id, type: number}\n"
    "  - {name: customer, sql: customer_id, type: number}\n"
    "  measures:\n"
    "  - {name: count, type: count}\n"
    "  - {name: revenue, sql: revenue, type: sum}\n"
    "  - {name: names, sql: \"string_agg({CUBE}.id, ',')\", type: string}\n"
    "  pre_aggregations:\n"
    "  - {name: main, measures: [count], dimensions: [users.country], build: explicit}\n"
    "- name: users\n  sql_table: users\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: country, sql: country, type: string}\n"
    "  measures:\n  - {name: count, type: count}\n";

/* A folder with all that a server needs. */
typedef struct shop {
    char folder[64];
    gr_arena *arena;
    gr_config *config;
    gr_serve *serve;
} shop;

static void write_file(const shop *s, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(const shop *s, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void remove_all(const shop *s) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", s->folder);
    assert_int_equal(system(command), 0);
}

static int setup(void **state) {
    char *none[] = {NULL};
    shop *s = gr_mem_calloc(1, sizeof *s);
    gr_error err = {0};
    snprintf(s->folder, sizeof s->folder, "/tmp/granary-import-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    make_folder(s, "model");
    make_folder(s, "data");
    write_file(s, "granary.yml", "data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\n");
    write_file(s, "model/shop.yml", model_text);
    write_file(s, "data/orders.csv",
               "id,date_id,customer_id,revenue\n1,20240101,1,10\n2,20240101,2,5\n3,20240102,1,7\n");
    write_file(s, "data/users.csv", "id,country\n1,de\n2,fr\n");
    s->arena = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, s->arena);
    gr_str file = gr_arena_printf(s->arena, "%s/granary.yml", s->folder);
    if (gr_config_load(file, NULL, 0, none, s->arena, &s->config, &err) ||
        gr_serve_open(s->config, (gr_serve_options){0}, &diags, &s->serve, &err))
        fail_msg("%s " GR_FMT, err.message, GR_ARG(diags.list.n ? diags.list.v[0].message : GR_STR("")));
    *state = s;
    return 0;
}

static int teardown(void **state) {
    shop *s = *state;
    gr_serve_close(s->serve);
    gr_arena_free(s->arena);
    remove_all(s);
    free(s);
    return 0;
}

static gr_actor actor(void) { return (gr_actor){.now_us = gr_clock_now_us(), .user = GR_STR("tester")}; }

#define BLOB(source, grain, measures)                                                                                  \
    "{\"source_node\": \"" source "\", \"grain\": [" grain "], \"measures\": [" measures "]}"
#define SEED BLOB("orders.fact_orders", "\"date_id\", \"customer_id\"", "\"sum_revenue\", \"count_orders\"")
#define OF(cube, blob) "{\"name\": \"" cube "\", \"materialization_config\": {\"measures_materialization\": " blob "}}"

static json_t *parsed(const shop *s, const char *text) {
    json_t *root;
    gr_error err = {0};
    if (gr_json_parse(gr_str_from(text), 1 << 20, s->arena, &root, &err)) fail_msg("%s: %s", text, err.message);
    return root;
}

static size_t import(const shop *s, const char *text, gr_import_line **ret) {
    gr_error err = {0};
    size_t n = 0;
    if (gr_serve_import_materializations(s->serve, parsed(s, text), actor(), s->arena, ret, &n, &err))
        fail_msg("%s", err.message);
    return n;
}

static void expect_line(const gr_import_line *line, const char *cube, const char *result, const char *problem) {
    bool fits = gr_str_eq_z(line->cube, cube) && gr_str_eq_z(line->result, result) &&
                gr_str_find_str(line->problem, gr_str_from(problem)) != SIZE_MAX;
    if (!fits || (!problem[0] && line->problem.n) || (line->entity_id == 0) != (problem[0] != 0))
        fail_msg(GR_FMT " " GR_FMT " '" GR_FMT "' %lld is not %s %s '%s'", GR_ARG(line->cube), GR_ARG(line->result),
                 GR_ARG(line->problem), (long long)line->entity_id, cube, result, problem);
}

static size_t entities(const shop *s, gr_entity_view **ret) {
    gr_preagg_filter all = {0};
    gr_error err = {0};
    size_t n = 0;
    int64_t total;
    if (gr_serve_entities(s->serve, &all, s->arena, ret, &n, &total, &err)) fail_msg("%s", err.message);
    return n;
}

static void blobs_become_entities(void **state) {
    const shop *s = *state;
    gr_import_line *lines;
    gr_entity_view *views;
    assert_int_equal(entities(s, &views), 1); /* orders.main */
    int64_t main_id = views[0].row.id;
    size_t
        n =
            import(
                s,
                "[" OF("sales", SEED) ", " OF("returns", SEED) ", " /* two cubes, one entity */
                OF("more", BLOB("orders", "\"customer\", \"orders.date_id\"", "\"count\"")) ", " OF("countries", BLOB("cube.orders", "\"country\"", "\"orders__count\"")) ", " OF(
                    "none",
                    "null") ", " OF("typo",
                                    BLOB("orders", "\"date_id\"",
                                         "\"sum_revenues\"")) ", " OF("other",
                                                                      BLOB("orders", "\"country\"",
                                                                           "\"users.count\"")) ", " OF("raw",
                                                                                                       BLOB("orders",
                                                                                                            "\"date_"
                                                                                                            "id\"",
                                                                                                            "\"count\","
                                                                                                            " \"names"
                                                                                                            "\"")) ","
                                                                                                                   " " OF("days",
                                                                                                                          BLOB(
                                                                                                                              "orders",
                                                                                                                              "\"date_id\"",
                                                                                                                              "\"sum_revenue\"")) "]",
                &lines);
    assert_int_equal(n, 9);
    expect_line(&lines[0], "sales", "imported", "");
    expect_line(&lines[1], "returns", "shared", "");
    expect_line(&lines[2], "more", "shared", "");
    expect_line(&lines[3], "countries", "shared", "");
    expect_line(&lines[4], "none", "skipped", "it has no measures_materialization");
    expect_line(&lines[5], "typo", "skipped", "did you mean 'sum_revenue'?");
    expect_line(&lines[6], "other", "skipped", "computed over 'users' and not 'orders'");
    expect_line(&lines[7], "raw", "skipped", "'orders.names' has no parts that can be stored");
    expect_line(&lines[8], "days", "imported", "");
    assert_int_equal(lines[1].entity_id, lines[0].entity_id);
    assert_int_equal(lines[2].entity_id, lines[0].entity_id);
    assert_int_equal(lines[3].entity_id, main_id);
    assert_true(gr_str_eq_z(lines[0].source_node, "orders.fact_orders"));
    assert_int_equal(entities(s, &views), 3); /* what was skipped left nothing behind */
    for (size_t i = 0; i < 3; i++)
        if (views[i].row.id == lines[0].entity_id) {
            assert_true(gr_str_eq_z(views[i].row.decl.grain_columns, "[\"orders.customer\", \"orders.date_id\"]"));
            assert_int_equal(views[i].row.decl.n_components, 2);
            assert_int_equal(views[i].row.status, GR_PREAGG_PENDING);
            assert_int_equal(views[i].n_metrics, 2);
        }
    n = import(s, SEED, &lines); /* again: nothing new */
    assert_int_equal(n, 1);
    expect_line(&lines[0], "", "shared", "");
    assert_int_equal(entities(s, &views), 3);
}

static void malformed_imports_nothing(void **state) {
    const shop *s = *state;
    gr_error err = {0};
    gr_entity_view *views;
    gr_import_line *lines = NULL;
    size_t n = 77;
    gr_status status = gr_serve_import_materializations(s->serve, parsed(s, "[" SEED ", {\"source_node\": 7}]"),
                                                        actor(), s->arena, &lines, &n, &err);
    assert_int_equal(status, GR_ERR_QUERY_INVALID);
    assert_int_equal(n, 77);
    assert_null(lines);
    assert_int_equal(entities(s, &views), 1);
}

/* ---- lineage of what is there
 * ---------------------------------------------------------------------------------------- */

static gr_lineage lineage(const shop *s, const char *name) {
    gr_error err = {0};
    gr_lineage l = {0};
    if (gr_serve_lineage(s->serve, gr_str_from(name), s->arena, &l, &err)) fail_msg("%s: %s", name, err.message);
    return l;
}

static bool has(const gr_lineage *l, const char *id) {
    for (size_t i = 0; i < l->n_nodes; i++)
        if (gr_str_eq_z(l->nodes[i].id, id)) return true;
    return false;
}

static void lineage_of_names(void **state) {
    const shop *s = *state;
    gr_entity_view *views;
    assert_int_equal(entities(s, &views), 1);
    const char *id = gr_arena_printf(s->arena, "%lld", (long long)views[0].row.id).p;
    const char *node = gr_arena_printf(s->arena, "pre_aggregation:%s", id).p;
    const char *component = gr_arena_printf(s->arena, "component:%s.orders__count", id).p;
    const char *const with_entity[] = {
        "", "orders", "cube.orders", "orders.count", "users.country", "column:users.country", "orders.main",
        id, "users"};
    for (size_t i = 0; i < sizeof with_entity / sizeof *with_entity; i++) {
        gr_lineage l = lineage(s, with_entity[i]);
        if (!has(&l, node) || !has(&l, "metric:orders.count")) fail_msg("%s: no entity", with_entity[i]);
    }
    gr_lineage count = lineage(s, "orders.count"), revenue = lineage(s, "orders.revenue"), whole = lineage(s, "");
    assert_true(has(&count, component));
    assert_true(has(&count, "table:orders"));
    assert_false(has(&count, "member:users.country")); /* beside it, and not on its way */
    assert_true(has(&revenue, "column:orders.revenue"));
    assert_false(has(&revenue, node));
    assert_true(has(&whole, "member:orders.revenue"));
    assert_true(gr_str_find_str(gr_serve_lineage_dot(&whole, s->arena),
                                GR_STR("label=\"orders.main\\npending, v1.0\"")) != SIZE_MAX);
}

static void lineage_of_nothing(void **state) {
    const shop *s = *state;
    static const char *const names[] = {"nothing", "orders.nothing", "cube.", "99", "cube.nothing", "."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        gr_error err = {0};
        gr_lineage l = {.n_nodes = 5};
        assert_int_equal(gr_serve_lineage(s->serve, gr_str_from(names[i]), s->arena, &l, &err), GR_ERR_NODE_NOT_FOUND);
        assert_int_equal(l.n_nodes, 5);
        assert_non_null(strstr(err.message, names[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blobs_become_entities, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_imports_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(lineage_of_names, setup, teardown),
        cmocka_unit_test_setup_teardown(lineage_of_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
