/* The importer and lineage over a server with its engine and its catalog: what is recorded, shared, skipped, and how it
 * shows. */
#include "serve/entities.h"

#include "base/clock.h"
#include "base/mem.h"
#include "data/json.h"

#include <ftw.h>
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

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info, (void)type, (void)where;
    return remove(path);
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
    nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(s);
    return 0;
}

static gr_actor actor(void) { return (gr_actor){.now_us = gr_clock_now_us(), .user = GR_STR("tester")}; }

/* One cube with a blob, and what becomes of it. */
typedef struct blob_row {
    const char *cube, *source, *grain, *measures; /* lists of JSON texts, with ' for "; source NULL: no blob */
    const char *result, *problem;
} blob_row;

static const blob_row seed = {
    "sales", "orders.fact_orders", "'date_id', 'customer_id'", "'sum_revenue', 'count_orders'", "imported", ""};

static gr_str cube_text(const blob_row *row, gr_arena *arena) {
    if (!row->source) return gr_arena_printf(arena, "{'name': '%s', 'materialization_config': null}", row->cube);
    return gr_arena_printf(
        arena,
        "{'name': '%s', 'materialization_config': {'measures_materialization': {'source_node': '%s', "
        "'grain': [%s], 'measures': [%s], 'table_hash': 'abc123', 'status': 'active'}}}",
        row->cube, row->source, row->grain, row->measures);
}

/* With ' for ". */
static json_t *parsed(const shop *s, gr_str text) {
    char *json = gr_arena_alloc(s->arena, text.n + 1);
    json_t *root;
    gr_error err = {0};
    for (size_t i = 0; i < text.n; i++) json[i] = (char)(text.p[i] == '\'' ? '"' : text.p[i]);
    if (gr_json_parse((gr_str){json, text.n}, 1 << 20, s->arena, &root, &err)) fail_msg("%s: %s", json, err.message);
    return root;
}

static size_t import(const shop *s, gr_str text, gr_import_line **ret) {
    gr_error err = {0};
    size_t n = 0;
    if (gr_serve_import_materializations(s->serve, parsed(s, text), actor(), s->arena, ret, &n, &err))
        fail_msg("%s", err.message);
    return n;
}

static void expect_line(const gr_import_line *line, const blob_row *row) {
    const char *problem = row->problem;
    bool fits = gr_str_eq_z(line->cube, row->cube) && gr_str_eq_z(line->result, row->result) &&
                (!row->source || gr_str_eq_z(line->source_node, row->source)) &&
                gr_str_find_str(line->problem, gr_str_from(problem)) != SIZE_MAX;
    if (!fits || (!problem[0] && line->problem.n) || (line->entity_id == 0) != (problem[0] != 0))
        fail_msg(GR_FMT " " GR_FMT " '" GR_FMT "' %lld is not %s %s '%s'", GR_ARG(line->cube), GR_ARG(line->result),
                 GR_ARG(line->problem), (long long)line->entity_id, row->cube, row->result, problem);
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
    static const blob_row more[] = {
        {"returns", "orders.fact_orders", "'customer_id', 'date_id'", "'sum_revenue'", "shared", ""},
        {"more", "orders", "'customer', 'orders.date_id'", "'count'", "shared", ""},
        {"countries", "cube.orders", "'country'", "'orders__count'", "shared", ""}, /* orders.main */
        {"none", NULL, NULL, NULL, "skipped", "it has no measures_materialization"},
        {"typo", "orders", "'date_id'", "'sum_revenues'", "skipped", "did you mean 'sum_revenue'?"},
        {"other", "orders", "'country'", "'users.count'", "skipped", "computed over 'users' and not 'orders'"},
        {"raw", "orders", "'date_id'", "'count', 'names'", "skipped", "'orders.names' has no parts that can be stored"},
        {"days", "orders", "'date_id'", "'sum_revenue'", "imported", ""},
    };
    enum { N = sizeof more / sizeof *more };
    gr_import_line *lines;
    gr_entity_view *views;
    assert_int_equal(entities(s, &views), 1); /* orders.main */
    int64_t main_id = views[0].row.id;
    gr_str text = gr_arena_printf(s->arena, "[" GR_FMT, GR_ARG(cube_text(&seed, s->arena)));
    for (size_t i = 0; i < N; i++)
        text = gr_arena_printf(s->arena, GR_FMT ", " GR_FMT, GR_ARG(text), GR_ARG(cube_text(&more[i], s->arena)));
    assert_int_equal(import(s, gr_arena_printf(s->arena, GR_FMT "]", GR_ARG(text)), &lines), N + 1);
    expect_line(&lines[0], &seed);
    for (size_t i = 0; i < N; i++) expect_line(&lines[i + 1], &more[i]);
    assert_int_equal(lines[1].entity_id, lines[0].entity_id); /* two cubes, one entity */
    assert_int_equal(lines[2].entity_id, lines[0].entity_id);
    assert_int_equal(lines[3].entity_id, main_id);
    assert_int_equal(entities(s, &views), 3); /* what was skipped left nothing behind */
    size_t n_found = 0;
    for (size_t i = 0; i < 3; i++)
        if (views[i].row.id == lines[0].entity_id) {
            n_found++;
            assert_true(gr_str_eq_z(views[i].row.decl.grain_columns, "[\"orders.customer\", \"orders.date_id\"]"));
            assert_int_equal(views[i].row.decl.n_components, 2);
            assert_int_equal(views[i].row.status, GR_PREAGG_PENDING);
            assert_int_equal(views[i].n_metrics, 2);
        }
    assert_int_equal(n_found, 1);
    blob_row again = seed;
    again.result = "shared";
    assert_int_equal(import(s, cube_text(&again, s->arena), &lines), 1);
    expect_line(&lines[0], &again);
    assert_int_equal(entities(s, &views), 3);
}

static void malformed_imports_nothing(void **state) {
    const shop *s = *state;
    gr_error err = {0};
    gr_entity_view *views;
    gr_import_line *lines = NULL;
    size_t n = 77;
    gr_str text = gr_arena_printf(s->arena, "[" GR_FMT ", {'source_node': 7}]", GR_ARG(cube_text(&seed, s->arena)));
    gr_status status = gr_serve_import_materializations(s->serve, parsed(s, text), actor(), s->arena, &lines, &n, &err);
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
