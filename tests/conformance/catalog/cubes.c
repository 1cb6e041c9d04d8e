/* Cubes by API: making, changing, deleting; what they are linked to; removing entities; external tables. */
#include "conformance/catalog/suite.h"

static gr_node_decl cube_of(const char *name, const char *content, const char *meta) {
    gr_node_decl d = node_of(name, content, meta);
    d.type = GR_NODE_CUBE;
    return d;
}

typedef struct put_result {
    gr_node_row node;
    gr_preagg_row *rows;
    bool created[4];
} put_result;

static gr_status try_put(fixture *f, gr_node_decl node, bool is_update, const char *if_version,
                         const gr_preagg_decl *entities, size_t n, int64_t now_us, put_result *ret) {
    const gr_cube_put put = {node, is_update, gr_str_from(if_version), entities, n};
    return gr_catalog_cube_put(f->catalog, &put, at(now_us), f->arena, &ret->node, &ret->rows, ret->created, &f->err);
}

static put_result put_cube(fixture *f, gr_node_decl node, bool is_update, const gr_preagg_decl *entities, size_t n,
                           int64_t now_us) {
    put_result made = {0};
    assert_ok(f, try_put(f, node, is_update, "", entities, n, now_us, &made));
    return made;
}

static gr_preagg_decl entity(fixture *f, const char *grain, const char *components) {
    return decl_of(f->arena, "orders", grain, grain, components, "");
}

/* The model of every test here: one YAML cube with one rollup. */
static int64_t with_orders(fixture *f) {
    gr_preagg_decl d = decl_of(f->arena, "orders", "g0", "g0", "a=1", "orders.main");
    return declared(f, "c", &d, 1).id;
}

static void life(fixture *f) {
    int64_t main_id = with_orders(f);
    const gr_preagg_decl d[] = {entity(f, "g0", "a=1"), entity(f, "g1", "a=1"), entity(f, "g2", "a=1")};
    gr_node_decl cube = cube_of("sales", "s1", "m");
    cube.definition = GR_STR("{\"metrics\": []}");
    put_result made = put_cube(f, cube, false, d, 2, 2);
    assert_str(made.node.version, "v1.0");
    assert_int_equal(made.node.decl.type, GR_NODE_CUBE);
    assert_str(made.node.decl.definition, "{\"metrics\": []}");
    assert_int_equal(made.rows[0].id, main_id); /* one entity, whoever declared it */
    assert_false(made.created[0]);
    assert_true(made.created[1]);
    assert_int_equal(made.rows[1].status, GR_PREAGG_PENDING);
    assert_str(made.rows[1].cubes[0], "sales");
    assert_int_equal(got(f, main_id).n_cubes, 2);
    assert_int_equal(got(f, main_id).decl.n_declared_by, 1);

    /* Another set of entities; only another hash makes a revision. */
    const gr_preagg_decl other[] = {d[1], d[2]};
    made = put_cube(f, cube, true, other, 2, 3);
    assert_str(made.node.version, "v1.0");
    assert_int_equal(got(f, main_id).n_cubes, 1);
    assert_str(got(f, made.rows[1].id).cubes[0], "sales");
    cube.meta_hash = GR_STR("m2");
    assert_str(put_cube(f, cube, true, other, 2, 4).node.version, "v1.1");
    cube.content_hash = GR_STR("s2");
    assert_str(put_cube(f, cube, true, other, 2, 5).node.version, "v2.0");

    int64_t ids[] = {made.rows[0].id, made.rows[1].id};
    assert_ok(f, gr_catalog_cube_delete(f->catalog, GR_STR("sales"), at(6), &f->err));
    for (int i = 0; i < 2; i++) assert_int_equal(got(f, ids[i]).n_cubes, 0);
    gr_node_row row;
    bool is_found = true;
    assert_ok(f,
              gr_catalog_node_get(f->catalog, GR_STR("sales"), (gr_str){0}, false, f->arena, &row, &is_found, &f->err));
    assert_false(is_found);
    assert_ok(f,
              gr_catalog_node_get(f->catalog, GR_STR("sales"), (gr_str){0}, true, f->arena, &row, &is_found, &f->err));
    assert_true(is_found);
    assert_int_equal(row.deactivated_us, 6);
    gr_node_row *nodes;
    size_t n;
    assert_ok(f, gr_catalog_nodes(f->catalog, 1u << GR_NODE_CUBE, f->arena, &nodes, &n, &f->err));
    assert_int_equal(n, 0);

    cube.content_hash = GR_STR("s3"); /* taken up again */
    made = put_cube(f, cube, false, d, 1, 7);
    assert_str(made.node.version, "v3.0");
    assert_int_equal(made.node.id, row.id);
    assert_int_equal(made.node.deactivated_us, 0);
    assert_str(history_of(f, "node", "sales"),
               "create:sales >v1.0 | update:sales v1.0>v1.1 | update:sales v1.1>v2.0 | delete:sales v2.0> | "
               "restore:sales >v3.0 | update:sales v2.0>v3.0");
}

static void refusals(fixture *f) {
    with_orders(f);
    gr_preagg_decl d = entity(f, "g1", "a=1");
    put_result made = {.node.id = 77};
    const gr_node_decl sales = cube_of("sales", "s1", "m");
    assert_int_equal(try_put(f, cube_of("orders", "x", "m"), false, "", &d, 1, 2, &made), GR_ERR_NODE_EXISTS);
    assert_int_equal(try_put(f, cube_of("orders", "x", "m"), true, "", &d, 1, 2, &made), GR_ERR_NODE_NOT_FOUND);
    assert_int_equal(try_put(f, sales, true, "", &d, 1, 2, &made), GR_ERR_NODE_NOT_FOUND);
    assert_string_equal(f->err.message, "A node with name `sales` does not exist.");
    assert_int_equal(try_put(f, node_of("sales", "s1", "m"), false, "", &d, 1, 2, &made), GR_ERR_INTERNAL);
    gr_preagg_decl nowhere = decl_of(f->arena, "nowhere", "g", "b", "a=1", "");
    assert_int_equal(try_put(f, sales, false, "", &nowhere, 1, 2, &made), GR_ERR_NODE_NOT_FOUND);
    assert_int_equal(made.node.id, 77);
    put_cube(f, sales, false, &d, 1, 3); /* nothing was left of the tries before */
    assert_int_equal(try_put(f, sales, false, "", &d, 1, 4, &made), GR_ERR_NODE_EXISTS);
    assert_int_equal(try_put(f, cube_of("sales", "s2", "m"), true, "v1.0", &d, 1, 5, &made), GR_OK);
    assert_int_equal(try_put(f, cube_of("sales", "s3", "m"), true, "v1.0", &d, 1, 6, &made), GR_ERR_NODE_CHANGED);
    assert_non_null(strstr(f->err.message, "v2.0"));
    assert_int_equal(gr_catalog_cube_delete(f->catalog, GR_STR("orders"), at(7), &f->err), GR_ERR_NODE_NOT_FOUND);
    assert_int_equal(gr_catalog_cube_status(f->catalog, GR_STR("orders"), GR_STR("valid"), at(7), &f->err),
                     GR_ERR_NODE_NOT_FOUND);
    assert_int_equal(gr_catalog_cube_status(f->catalog, GR_STR("sales"), GR_STR("odd"), at(7), &f->err),
                     GR_ERR_INTERNAL);
    assert_ok(f, gr_catalog_cube_delete(f->catalog, GR_STR("sales"), at(8), &f->err));
    assert_int_equal(gr_catalog_cube_delete(f->catalog, GR_STR("sales"), at(9), &f->err), GR_ERR_NODE_NOT_FOUND);
    assert_int_equal(try_put(f, sales, true, "", &d, 1, 9, &made), GR_ERR_NODE_NOT_FOUND);
    /* A model may take a name over that a deleted cube had, and not that of a living one. */
    const gr_node_decl model_nodes[] = {node_of("orders", "c", "m"), node_of("sales", "y", "m")};
    declared_by(f, f->catalog, model_nodes, 2, NULL, 0, 10);
    assert_int_equal(try_put(f, sales, false, "", NULL, 0, 11, &made), GR_ERR_NODE_EXISTS);
    put_cube(f, cube_of("more", "s", "m"), false, NULL, 0, 12);
    const gr_node_decl taken[] = {node_of("more", "c", "m")};
    const gr_model_decl model = {taken, 1, NULL, 0};
    assert_int_equal(gr_catalog_declare(f->catalog, &model, at(13), f->arena, NULL, NULL, &f->err), GR_ERR_NODE_EXISTS);
}

static void status_without_a_revision(fixture *f) {
    put_cube(f, cube_of("sales", "s1", "m"), false, NULL, 0, 2);
    const gr_str invalid = GR_STR("invalid");
    gr_node_row row;
    bool is_found;
    for (int i = 0; i < 2; i++) {
        assert_ok(f, gr_catalog_cube_status(f->catalog, GR_STR("sales"), invalid, at(3 + i), &f->err));
        assert_ok(f, gr_catalog_node_get(f->catalog, GR_STR("sales"), (gr_str){0}, false, f->arena, &row, &is_found,
                                         &f->err));
        assert_str(row.decl.status, "invalid");
        assert_str(row.version, "v1.0");
        assert_int_equal(row.updated_us, 3);
    }
    assert_str(history_of(f, "node", "sales"), "create:sales >v1.0 | status_change:sales valid>invalid");
}

static void widened_by_a_cube(fixture *f) {
    int64_t id = with_orders(f);
    gr_preagg_decl d = entity(f, "g0", "a=1"), wide = entity(f, "g0", "a=1 c=2");
    built(f, id, &d, 2);
    put_result made = put_cube(f, cube_of("sales", "s1", "m"), false, &wide, 1, 3);
    assert_int_equal(made.rows[0].id, id);
    assert_int_equal(made.rows[0].status, GR_PREAGG_PENDING);
    assert_true(made.rows[0].has_serving);
    assert_int_equal(made.rows[0].serving.n_components, 1);
}

static void removing(fixture *f) {
    with_orders(f);
    gr_preagg_decl d = entity(f, "g1", "a=1");
    int64_t id = put_cube(f, cube_of("sales", "s1", "m"), false, &d, 1, 2).rows[0].id;
    put_cube(f, cube_of("more", "s1", "m"), false, &d, 1, 2);
    gr_doomed_table *tables = NULL;
    size_t n = 77;
    assert_int_equal(gr_catalog_remove(f->catalog, id, at(3), f->arena, &tables, &n, &f->err), GR_ERR_PREAGG_IN_USE);
    assert_non_null(strstr(f->err.message, "more, sales"));
    assert_ok(f, gr_catalog_cube_delete(f->catalog, GR_STR("sales"), at(4), &f->err));
    assert_int_equal(gr_catalog_remove(f->catalog, id, at(4), f->arena, &tables, &n, &f->err), GR_ERR_PREAGG_IN_USE);
    assert_ok(f, gr_catalog_cube_delete(f->catalog, GR_STR("more"), at(4), &f->err));

    int64_t first = begun(f, id, &d, 5);
    assert_ok(f, gr_catalog_build_table(f->catalog, first, GR_STR("failed_1"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, first, GR_STR("oh"), at(5), &f->err));
    int64_t build = begun(f, id, &d, 6);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("serves_2"), &f->err));
    assert_int_equal(gr_catalog_remove(f->catalog, id, at(7), f->arena, &tables, &n, &f->err),
                     GR_ERR_PREAGG_MATERIALIZING);
    done(f, build, 8);
    assert_int_equal(n, 77);
    assert_ok(f, gr_catalog_remove(f->catalog, id, at(9), f->arena, &tables, &n, &f->err));
    assert_int_equal(n, 2);
    assert_str(tables[0].table_name, "failed_1");
    assert_str(tables[1].table_name, "serves_2");
    gr_doomed_table *doomed;
    assert_ok(f, gr_catalog_doomed(f->catalog, f->arena, &doomed, &n, &f->err));
    assert_int_equal(n, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(doomed[i].id, tables[i].id);
        assert_ok(f, gr_catalog_doomed_done(f->catalog, doomed[i].id, &f->err));
    }
    assert_ok(f, gr_catalog_doomed(f->catalog, f->arena, &doomed, &n, &f->err));
    assert_int_equal(n, 0);
    gr_preagg_row row;
    bool is_found = true;
    assert_ok(f, gr_catalog_get(f->catalog, id, f->arena, &row, &is_found, &f->err));
    assert_false(is_found);
    gr_build_row *builds;
    assert_ok(f, gr_catalog_builds(f->catalog, id, 0, f->arena, &builds, &n, &f->err));
    assert_int_equal(n, 0);
    const gr_str grain[] = {GR_STR("orders.g1")};
    found(f, (gr_preagg_filter){.grain = grain, .n_grain = 1, .has_grain = true, .grain_mode = GR_GRAIN_MODE_SUPERSET},
          &n);
    assert_int_equal(n, 0);
    gr_str history = history_of(f, "pre_aggregation", "orders");
    assert_true(gr_str_ends(history, gr_arena_printf(f->arena, "delete:%d active>", (int)id)));
    /* It may come again, as another row. */
    gr_preagg_row *rows;
    assert_ok(f, gr_catalog_add(f->catalog, &d, 1, NULL, at(10), f->arena, &rows, NULL, &f->err));
    assert_int_not_equal(rows[0].id, id);
    assert_false(rows[0].has_serving);
}

static void external_tables(fixture *f) {
    with_orders(f);
    gr_preagg_decl d = entity(f, "g1", "a=1");
    d.external = GR_STR("{\"table\": \"x\"}");
    d.name = GR_STR("handle");
    gr_preagg_row *rows, row;
    assert_ok(f, gr_catalog_add(f->catalog, &d, 1, NULL, at(2), f->arena, &rows, NULL, &f->err));
    int64_t id = rows[0].id;
    assert_int_equal(rows[0].status, GR_PREAGG_PENDING);
    assert_str(rows[0].decl.external, "{\"table\": \"x\"}");
    const gr_str first = GR_STR("{\"valid_through_ts\": 1}"), next = GR_STR("{\"valid_through_ts\": 2}");
    assert_ok(f, gr_catalog_availability(f->catalog, id, first, at(3), f->arena, &row, &f->err));
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_true(gr_str_eq(row.availability, first));
    assert_ok(f, gr_catalog_availability(f->catalog, id, next, at(4), f->arena, &row, &f->err));
    assert_true(gr_str_eq(row.availability, next));
    assert_int_equal(row.updated_us, 4);
    assert_int_equal(got(f, id).status, GR_PREAGG_ACTIVE);
    /* Declared by nobody, and again: the table is there still. */
    const gr_node_decl node = node_of("orders", "c", "m");
    declared_by(f, f->catalog, &node, 1, NULL, 0, 5);
    assert_status(f, id, "stale");
    assert_int_equal(declared_by(f, f->catalog, &node, 1, &d, 1, 6)[0].status, GR_PREAGG_ACTIVE);
    declared_by(f, f->catalog, &node, 1, NULL, 0, 7);
    assert_ok(f, gr_catalog_availability(f->catalog, id, first, at(8), f->arena, &row, &f->err));
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    size_t n;
    found(f, (gr_preagg_filter){.external = 1}, &n);
    assert_int_equal(n, 1);
    found(f, (gr_preagg_filter){.external = -1}, &n);
    assert_int_equal(n, 1);
    assert_str(history_of(f, "pre_aggregation", "orders").n ? GR_STR("written") : GR_STR(""), "written");
}

static void configuration(fixture *f) {
    int64_t id = with_orders(f);
    gr_preagg_row row;
    bool had = true;
    const gr_preagg_config first = {.strategy = GR_STR("full"), .workflow_status = GR_STR("active")},
                           next = {.schedule = GR_STR("0 0 * * *")};
    assert_ok(f, gr_catalog_workflow_clear(f->catalog, id, at(2), &had, &f->err));
    assert_false(had);
    assert_ok(f, gr_catalog_configure(f->catalog, id, &first, at(3), f->arena, &row, &f->err));
    assert_ok(f, gr_catalog_configure(f->catalog, id, &next, at(4), f->arena, &row, &f->err));
    assert_str(row.strategy, "full");
    assert_str(row.schedule, "0 0 * * *");
    assert_str(row.lookback_window, "");
    assert_str(row.workflow_status, "active");
    assert_int_equal(row.updated_us, 4);
    assert_ok(f, gr_catalog_configure(f->catalog, id, &next, at(5), f->arena, &row, &f->err));
    assert_int_equal(row.updated_us, 4);
    assert_ok(f, gr_catalog_workflow_clear(f->catalog, id, at(6), &had, &f->err));
    assert_true(had);
    row = got(f, id);
    assert_int_equal(row.strategy.n + row.schedule.n + row.lookback_window.n + row.workflow_status.n, 0);
    assert_int_equal(row.updated_us, 6);
}

SUITE(suite_cubes, CASE(life), CASE(refusals), CASE(status_without_a_revision), CASE(widened_by_a_cube), CASE(removing),
      CASE(external_tables), CASE(configuration))
