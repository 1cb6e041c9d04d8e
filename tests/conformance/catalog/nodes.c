/* Nodes: versions, revisions found again, drafts, what is listed, history. */
#include "conformance/catalog/suite.h"

static gr_node_row node_at(fixture *f, const char *name, const char *version) {
    gr_node_row row;
    bool is_found = false;
    assert_ok(f, gr_catalog_node_get(f->catalog, gr_str_from(name), gr_str_from(version), false, f->arena, &row,
                                     &is_found, &f->err));
    assert_true(is_found);
    return row;
}

static bool has_node(fixture *f, const char *name, const char *version, bool with_deactivated) {
    gr_node_row row = {.id = 77};
    bool is_found = false;
    assert_ok(f, gr_catalog_node_get(f->catalog, gr_str_from(name), gr_str_from(version), with_deactivated, f->arena,
                                     &row, &is_found, &f->err));
    assert_int_equal(row.id == 77, !is_found);
    return is_found;
}

static gr_node_row put(fixture *f, gr_node_decl d, int64_t now_us) {
    declared_by(f, f->catalog, &d, 1, NULL, 0, now_us);
    gr_str name = gr_arena_dup(f->arena, d.name);
    return node_at(f, name.p, "");
}

static void versions(fixture *f) {
    static const struct {
        const char *content, *meta, *version;
    } cases[] = {
        {"a", "x", "v1.0"}, {"a", "x", "v1.0"}, {"a", "y", "v1.1"}, {"b", "y", "v2.0"}, {"b", "x", "v2.1"},
        {"a", "x", "v1.0"}, {"a", "z", "v1.2"}, {"c", "z", "v3.0"}, {"b", "y", "v2.0"}, {"d", "", "v4.0"},
    };
    int64_t id = 0;
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_node_row row = put(f, node_of("orders", cases[i].content, cases[i].meta), 100 + (int64_t)i);
        assert_str(row.version, cases[i].version);
        assert_str(row.current_version, cases[i].version);
        assert_str(row.decl.content_hash, cases[i].content);
        assert_str(row.decl.meta_hash, cases[i].meta);
        assert_int_equal(row.created_us, 100);
        if (i) assert_int_equal(row.id, id);
        id = row.id;
    }
    gr_node_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_revisions(f->catalog, GR_STR("orders"), f->arena, &rows, &n, &f->err));
    static const char *const all[] = {"v1.0", "v1.1", "v2.0", "v2.1", "v1.2", "v3.0", "v4.0"};
    assert_int_equal(n, N_OF(all));
    for (size_t i = 0; i < n; i++) {
        assert_str(rows[i].version, all[i]);
        assert_str(rows[i].current_version, "v4.0");
        assert_int_equal(node_at(f, "orders", all[i]).revision_id, rows[i].revision_id);
    }
    assert_int_equal(rows[0].updated_us, 100);
    assert_int_equal(rows[6].updated_us, 109);
    assert_false(has_node(f, "orders", "v9.0", true));
    assert_str(
        history_of(f, "node", "orders"),
        "create:orders >v1.0 | update:orders v1.0>v1.1 | update:orders v1.1>v2.0 | update:orders v2.0>v2.1 | "
        "update:orders v2.1>v1.0 | update:orders v1.0>v1.2 | update:orders v1.2>v3.0 | update:orders v3.0>v2.0 | "
        "update:orders v2.0>v4.0");
}

static void drafts(fixture *f) {
    gr_node_decl d = node_of("orders", "a", "x");
    d.mode = GR_STR("draft");
    assert_str(put(f, d, 1).version, "v0.1");
    d.meta_hash = GR_STR("y");
    assert_str(put(f, d, 2).version, "v0.2");
    d.content_hash = GR_STR("b");
    d.mode = GR_STR("published");
    gr_node_row row = put(f, d, 3);
    assert_str(row.version, "v1.0");
    assert_str(row.decl.mode, "published");
    assert_str(node_at(f, "orders", "v0.1").decl.mode, "draft");
}

static void texts_of_a_revision(fixture *f) {
    gr_node_decl d = node_of("orders", "a", "x");
    gr_node_row row = put(f, d, 1);
    assert_str(row.decl.mode, "published");
    assert_str(row.decl.status, "valid");
    assert_str(row.decl.definition, "{}");
    d.meta_hash = GR_STR("y");
    d.type = GR_NODE_TRANSFORM;
    d.display_name = GR_STR("Orders");
    d.description = GR_STR("all of \"them\" \xc3\xa9");
    d.definition = GR_STR("{\"sql\": \"SELECT 1\"}");
    d.status = GR_STR("invalid");
    row = put(f, d, 2);
    assert_int_equal(row.decl.type, GR_NODE_TRANSFORM);
    assert_true(gr_str_eq(row.decl.display_name, d.display_name));
    assert_true(gr_str_eq(row.decl.description, d.description));
    assert_true(gr_str_eq(row.decl.definition, d.definition));
    assert_str(row.decl.status, "invalid");
    assert_int_equal(node_at(f, "orders", "v1.0").decl.type, GR_NODE_SOURCE);
    /* The status alone may change in a revision. */
    d.status = GR_STR("valid");
    row = put(f, d, 3);
    assert_str(row.version, "v1.1");
    assert_str(row.decl.status, "valid");
    assert_int_equal(row.updated_us, 3);
    assert_int_equal(put(f, d, 4).updated_us, 3);
    assert_str(history_of(f, "node", "orders"),
               "create:orders >v1.0 | update:orders v1.0>v1.1 | status_change:orders invalid>valid");
}

static void lists(fixture *f) {
    gr_node_decl nodes[] = {node_of("b", "1", "1"), node_of("a", "1", "1"), node_of("_c", "1", "1"),
                            node_of("B", "1", "1")};
    nodes[1].type = GR_NODE_TRANSFORM;
    declared_by(f, f->catalog, nodes, N_OF(nodes), NULL, 0, 1);
    static const struct {
        unsigned types;
        const char *names;
    } cases[] = {
        {0, "B _c a b "},
        {1u << GR_NODE_SOURCE, "B _c b "},
        {1u << GR_NODE_TRANSFORM | 1u << GR_NODE_CUBE, "a "},
        {1u << GR_NODE_CUBE, ""},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_node_row *rows;
        size_t n;
        gr_str names = GR_STR("");
        assert_ok(f, gr_catalog_nodes(f->catalog, cases[i].types, f->arena, &rows, &n, &f->err));
        for (size_t j = 0; j < n; j++)
            names = gr_arena_printf(f->arena, GR_FMT GR_FMT " ", GR_ARG(names), GR_ARG(rows[j].decl.name));
        assert_str(names, cases[i].names);
    }
    /* The name stands for itself: no other case, no part of it. */
    assert_false(has_node(f, "A", "", true));
    assert_false(has_node(f, "", "", true));
    gr_node_row *rows = NULL;
    size_t n = 77;
    assert_int_equal(gr_catalog_revisions(f->catalog, GR_STR("no"), f->arena, &rows, &n, &f->err),
                     GR_ERR_NODE_NOT_FOUND);
    assert_string_equal(f->err.message, "A node with name `no` does not exist.");
    assert_int_equal(n, 77);
}

static void history_filters(fixture *f) {
    const gr_node_decl nodes[] = {node_of("a", "1", "1"), node_of("b", "1", "1")};
    gr_preagg_decl d = decl_of(f->arena, "a", "g", "b", "c=s", "a.main");
    int64_t id = declared_by(f, f->catalog, nodes, 2, &d, 1, 5)[0].id;
    gr_str id_text = gr_arena_printf(f->arena, "%lld", (long long)id);
    const struct {
        gr_history_filter filter;
        size_t n;
        const char *first;
    } cases[] = {
        {{.limit = 0}, 4, "link"},
        {{.limit = 2}, 2, "link"},
        {{.limit = 2, .offset = 3}, 1, "node"},
        {{.node = GR_STR("b")}, 1, "node"},
        {{.node = GR_STR("a")}, 3, "link"},
        {{.entity_type = GR_STR("pre_aggregation")}, 1, "pre_aggregation"},
        {{.entity_type = GR_STR("pre_aggregation"), .entity_name = id_text}, 1, "pre_aggregation"},
        {{.entity_type = GR_STR("node"), .entity_name = GR_STR("a"), .node = GR_STR("b")}, 0, ""},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_history_row *rows;
        size_t n;
        assert_ok(f, gr_catalog_history(f->catalog, &cases[i].filter, f->arena, &rows, &n, &f->err));
        assert_int_equal(n, cases[i].n);
        if (!n) continue;
        assert_str(rows[0].entity_type, cases[i].first);
        assert_str(rows[0].user, "ann");
        assert_int_equal(rows[0].at_us, 5);
        for (size_t j = 1; j < n; j++) assert_true(rows[j].id < rows[j - 1].id);
    }
}

SUITE(suite_nodes, CASE(versions), CASE(drafts), CASE(texts_of_a_revision), CASE(lists), CASE(history_filters))
