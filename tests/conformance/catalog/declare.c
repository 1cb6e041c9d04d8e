/* Declaring: identity, widening, narrowing, staleness, re-pinning, twins, links; one server and a rolling deploy. */
#include "conformance/catalog/suite.h"

#define ORDERS(content, meta) node_of("orders", content, meta)

static gr_preagg_row one(fixture *f, gr_catalog *c, gr_node_decl node, gr_preagg_decl d, int64_t now_us) {
    return declared_by(f, c, &node, 1, &d, 1, now_us)[0];
}

static gr_preagg_decl main_decl(fixture *f, const char *base, const char *components) {
    return decl_of(f->arena, "orders", "g1", base, components, "orders.main");
}

static void identity(fixture *f) {
    static const struct {
        const char *node, *content, *grain;
    } cases[] = {
        {"orders", "c1", "g1"}, {"orders", "c1", "g2"}, {"orders", "c2", "g1"},
        {"users", "c1", "g1"},  {"Orders", "c1", "g1"},
    };
    int64_t ids[N_OF(cases)];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < N_OF(cases); i++) {
            gr_str base = gr_arena_printf(f->arena, "base %zu", i);
            gr_preagg_decl d = decl_of(f->arena, cases[i].node, cases[i].grain, base.p, "n=s", "");
            int64_t id = one(f, f->catalog, node_of(cases[i].node, cases[i].content, "m"), d, 1000).id;
            if (!round) ids[i] = id;
            assert_int_equal(id, ids[i]);
            for (size_t j = 0; j < i; j++) assert_int_not_equal(id, ids[j]);
        }
        fixture_reopen(f);
    }
    size_t n;
    gr_preagg_row *rows = found(f, (gr_preagg_filter){0}, &n);
    assert_int_equal(n, N_OF(cases));
    for (size_t i = 1; i < n; i++) assert_true(rows[i].id > rows[i - 1].id);
}

static void narrow_and_wide(fixture *f) {
    gr_preagg_decl narrow = main_decl(f, "b", "a=1"), wide = main_decl(f, "b", "a=1 c=2");
    int64_t id = one(f, f->catalog, ORDERS("c", "m"), narrow, 1).id;
    built(f, id, &narrow, 2);
    assert_status(f, id, "active");
    /* The old build goes on serving what it holds. */
    gr_preagg_row row = one(f, f->catalog, ORDERS("c", "m"), wide, 3);
    assert_int_equal(row.status, GR_PREAGG_PENDING);
    assert_true(row.has_serving);
    assert_int_equal(row.serving.n_components, 1);
    assert_int_equal(row.materialized_us, 2);
    assert_int_equal(one(f, f->catalog, ORDERS("c", "m"), narrow, 4).status, GR_PREAGG_ACTIVE);
    one(f, f->catalog, ORDERS("c", "m"), wide, 5);
    built(f, id, &wide, 6);
    assert_status(f, id, "active");
    row = one(f, f->catalog, ORDERS("c", "m"), narrow, 7);
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_int_equal(row.serving.n_components, 2);
    assert_str(history_of(f, "pre_aggregation", "orders"),
               gr_arena_printf(f->arena,
                               "create:%1$d >pending | status_change:%1$d pending>materializing | "
                               "status_change:%1$d materializing>active | widen:%1$d [{\\>[{\\ | "
                               "status_change:%1$d active>pending | update:%1$d [{\\>[{\\ | "
                               "status_change:%1$d pending>active | widen:%1$d [{\\>[{\\ | "
                               "status_change:%1$d active>pending | status_change:%1$d pending>materializing | "
                               "status_change:%1$d materializing>active | update:%1$d [{\\>[{\\",
                               (int)id)
                   .p);
}

static void widened_while_it_runs(fixture *f) {
    gr_preagg_decl narrow = main_decl(f, "b", "a=1"), wide = main_decl(f, "b", "a=1 c=2");
    int64_t id = one(f, f->catalog, ORDERS("c", "m"), narrow, 1).id, build = begun(f, id, &narrow, 2);
    assert_int_equal(one(f, f->catalog, ORDERS("c", "m"), wide, 3).status, GR_PREAGG_MATERIALIZING);
    done(f, build, 4);
    assert_status(f, id, "pending");
    assert_int_equal(got(f, id).serving.n_components, 1);
    assert_int_equal(one(f, f->catalog, ORDERS("c", "m"), narrow, 5).status, GR_PREAGG_ACTIVE);
}

static void failed_and_narrowed(fixture *f) {
    gr_preagg_decl narrow = main_decl(f, "b", "a=1"), wide = main_decl(f, "b", "a=1 c=2");
    int64_t id = one(f, f->catalog, ORDERS("c", "m"), narrow, 1).id;
    built(f, id, &narrow, 2);
    one(f, f->catalog, ORDERS("c", "m"), wide, 3);
    assert_ok(f, gr_catalog_build_failed(f->catalog, begun(f, id, &wide, 4), GR_STR("oh"), at(5), &f->err));
    assert_int_equal(one(f, f->catalog, ORDERS("c", "m"), wide, 6).status, GR_PREAGG_FAILED);
    assert_str(got(f, id).error, "oh");
    gr_preagg_row row = one(f, f->catalog, ORDERS("c", "m"), narrow, 7);
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_str(row.error, "");
    /* A failed rebuild of what serves stays failed: nothing new was declared. */
    assert_ok(f, gr_catalog_build_failed(f->catalog, begun(f, id, &narrow, 8), GR_STR("no"), at(9), &f->err));
    row = one(f, f->catalog, ORDERS("c", "m"), narrow, 10);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    assert_int_equal(row.updated_us, 9);
}

static void changed_in_substance(fixture *f) {
    static const struct { const char *base, *components; } others[] = {{"b2", "a=1"}, {"b", "a=9"}};
    for (size_t i = 0; i < N_OF(others); i++) {
        gr_str content = gr_arena_printf(f->arena, "c%zu", i);
        gr_preagg_decl first = main_decl(f, "b", "a=1"), other = main_decl(f, others[i].base, others[i].components);
        first.grain_hash = other.grain_hash = gr_arena_printf(f->arena, "g%zu", i);
        int64_t id = one(f, f->catalog, ORDERS(content.p, "m"), first, 1).id;
        built(f, id, &first, 2);
        gr_preagg_row row = one(f, f->catalog, ORDERS(content.p, "m"), other, 3);
        assert_int_equal(row.id, id);
        assert_int_equal(row.status, GR_PREAGG_STALE);
        assert_true(row.has_serving);
        assert_false(row.is_current);
        /* Nothing is new: it stays. The definition that was built is back: it serves again. */
        assert_int_equal(one(f, f->catalog, ORDERS(content.p, "m"), other, 4).updated_us, 3);
        assert_int_equal(one(f, f->catalog, ORDERS(content.p, "m"), first, 5).status, GR_PREAGG_ACTIVE);
        one(f, f->catalog, ORDERS(content.p, "m"), other, 6);
        built(f, id, &other, 7);
        assert_status(f, id, "active");
        /* Changed while it is built: stale when the build ends. */
        int64_t build = begun(f, id, &other, 8);
        assert_int_equal(one(f, f->catalog, ORDERS(content.p, "m"), first, 9).status, GR_PREAGG_MATERIALIZING);
        done(f, build, 10);
        assert_status(f, id, "stale");
        /* What was never built, or failed, is stale too. */
        gr_doomed_table *tables;
        size_t n;
        built(f, id, &first, 11);
        assert_ok(f, gr_catalog_drop_builds(f->catalog, id, at(12), f->arena, &tables, &n, &f->err));
        assert_status(f, id, "pending");
        assert_int_equal(one(f, f->catalog, ORDERS(content.p, "m"), other, 13).status, GR_PREAGG_STALE);
        build = begun(f, id, &other, 14);
        assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("oh"), at(15), &f->err));
        gr_preagg_row last = one(f, f->catalog, ORDERS(content.p, "m"), first, 16);
        assert_int_equal(last.status, GR_PREAGG_STALE);
        assert_str(last.error, "");
    }
}

static void declared_by_nobody(fixture *f) {
    gr_preagg_decl d[] = {main_decl(f, "b1", "a=1"), main_decl(f, "b2", "a=1"), main_decl(f, "b3", "a=1"),
                          main_decl(f, "b4", "a=1")};
    const gr_node_decl node = ORDERS("c", "m");
    for (size_t i = 0; i < N_OF(d); i++) d[i].grain_hash = gr_arena_printf(f->arena, "g%zu", i);
    gr_preagg_row *rows = declared_by(f, f->catalog, &node, 1, d, N_OF(d), 1);
    int64_t active = rows[0].id, pending = rows[1].id, running = rows[2].id, failed = rows[3].id;
    built(f, active, &d[0], 2);
    int64_t build = begun(f, running, &d[2], 2);
    assert_ok(f, gr_catalog_build_failed(f->catalog, begun(f, failed, &d[3], 2), GR_STR("oh"), at(2), &f->err));
    declared_by(f, f->catalog, &node, 1, NULL, 0, 3);
    assert_status(f, active, "stale");
    assert_status(f, pending, "stale");
    assert_status(f, running, "materializing");
    assert_status(f, failed, "stale");
    assert_int_equal(got(f, active).updated_us, 3);
    assert_int_equal(got(f, active).decl.n_declared_by, 0);
    assert_int_equal(got(f, active).n_cubes, 0);
    assert_true(got(f, active).has_serving);
    done(f, build, 4);
    assert_status(f, running, "stale");
    declared_by(f, f->catalog, &node, 1, NULL, 0, 5);
    assert_int_equal(got(f, active).updated_us, 3); /* nothing is new */
    rows = declared_by(f, f->catalog, &node, 1, d, N_OF(d), 6);
    static const gr_preagg_status after[] = {GR_PREAGG_ACTIVE, GR_PREAGG_PENDING, GR_PREAGG_ACTIVE, GR_PREAGG_PENDING};
    for (size_t i = 0; i < N_OF(d); i++) assert_int_equal(rows[i].status, after[i]);
    assert_str(rows[0].decl.declared_by[0], "orders.main");
}

static void titles_change(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b", "a=1");
    gr_preagg_row first = one(f, f->catalog, ORDERS("c", "m"), d, 1);
    built(f, first.id, &d, 2);
    gr_preagg_row row = one(f, f->catalog, ORDERS("c", "m2"), d, 3);
    assert_int_equal(row.id, first.id);
    assert_str(row.version, "v1.1");
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_true(row.is_current);
    assert_int_not_equal(row.node_revision_id, first.node_revision_id);
    assert_false(gr_str_eq(row.grain_group_hash, first.grain_group_hash));
    assert_str(one(f, f->catalog, ORDERS("c", "m"), d, 4).version, "v1.0"); /* and back */
    assert_true(gr_str_eq(got(f, row.id).grain_group_hash, first.grain_group_hash));
    size_t n;
    found(f, (gr_preagg_filter){.current_only = true}, &n);
    assert_int_equal(n, 1);
}

static void the_same_thing_under_a_new_version(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b", "a=1"), wide = main_decl(f, "b", "a=1 c=2");
    int64_t id = one(f, f->catalog, ORDERS("c1", "m"), d, 1).id;
    built(f, id, &d, 2);
    gr_preagg_row row = one(f, f->catalog, ORDERS("c2", "m"), d, 3);
    assert_int_equal(row.id, id);
    assert_str(row.version, "v2.0");
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_true(row.is_current);
    row = one(f, f->catalog, ORDERS("c3", "m"), wide, 4); /* widened on the way */
    assert_int_equal(row.id, id);
    assert_str(row.version, "v3.0");
    assert_int_equal(row.status, GR_PREAGG_PENDING);
    /* A server with the earlier model does not pull it back. */
    row = one(f, second(f), ORDERS("c2", "m"), wide, 5);
    assert_int_equal(row.id, id);
    assert_str(row.version, "v3.0");
    gr_str repins = history_of(f, "pre_aggregation", "orders");
    assert_true(gr_str_find_str(repins, GR_STR(" v1.0>v2.0 | ")) != SIZE_MAX);
    assert_true(gr_str_find_str(repins, GR_STR(" v2.0>v3.0 | ")) != SIZE_MAX);
}

static void twins(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b1", "a=1"), other = main_decl(f, "b2", "a=1");
    d.definition = GR_STR("{\"by\": \"api\"}");
    int64_t id = one(f, f->catalog, ORDERS("c1", "m"), d, 1).id;
    const gr_preagg_config config = {GR_STR("full"), GR_STR("0 0 * * *"), GR_STR("3 DAYS"), GR_STR("active")};
    gr_preagg_row row;
    assert_ok(f, gr_catalog_configure(f->catalog, id, &config, at(2), f->arena, &row, &f->err));
    const gr_cube_put put = {.node = {.name = GR_STR("sales"), .type = GR_NODE_CUBE, .content_hash = GR_STR("s")},
                             .entities = &d,
                             .n_entities = 1};
    gr_node_row cube;
    assert_ok(f, gr_catalog_cube_put(f->catalog, &put, at(3), f->arena, &cube, NULL, NULL, &f->err));
    built(f, id, &d, 4);
    assert_int_equal(got(f, id).n_cubes, 2);

    gr_preagg_row twin = one(f, f->catalog, ORDERS("c2", "m"), other, 5);
    assert_int_not_equal(twin.id, id);
    assert_str(twin.version, "v2.0");
    assert_int_equal(twin.status, GR_PREAGG_PENDING);
    assert_str(twin.decl.definition, "{\"by\": \"api\"}");
    assert_str(twin.strategy, "full");
    assert_str(twin.schedule, "0 0 * * *");
    assert_str(twin.lookback_window, "3 DAYS");
    assert_str(twin.workflow_status, "active");
    assert_int_equal(twin.n_cubes, 2);
    assert_str(twin.cubes[0], "orders");
    assert_str(twin.cubes[1], "sales");
    row = got(f, id); /* readable still, and used by nobody */
    assert_int_equal(row.status, GR_PREAGG_STALE);
    assert_str(row.version, "v1.0");
    assert_str(row.decl.definition, "{\"by\": \"api\"}");
    assert_true(row.has_serving);
    assert_int_equal(row.n_cubes, 0);

    assert_int_equal(one(f, f->catalog, ORDERS("c1", "m"), d, 6).id, id); /* the earlier model is back */
    assert_status(f, id, "active");
    assert_status(f, twin.id, "stale");
}

/* Only what was declared has an heir. */
static void no_heir_of_what_was_gone(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b1", "a=1"), other = main_decl(f, "b2", "a=1");
    d.definition = GR_STR("{\"by\": \"api\"}");
    const gr_node_decl node = ORDERS("c1", "m");
    one(f, f->catalog, node, d, 1);
    declared_by(f, f->catalog, &node, 1, NULL, 0, 2);
    gr_preagg_row row = one(f, f->catalog, ORDERS("c2", "m"), other, 3);
    assert_str(row.decl.definition, "");
}

/* Server 1 has the old model, server 2 the new one; then server 1 is replaced. */
static void rolling_deploy(fixture *f) {
    gr_preagg_decl old = main_decl(f, "b1", "a=1"), new = main_decl(f, "b2", "a=1"),
                   both = decl_of(f->arena, "orders", "g2", "b3", "a=1", "orders.both");
    const gr_preagg_decl olds[] = {old, both}, news[] = {new, both};
    const gr_node_decl node1 = ORDERS("c1", "m"), node2 = ORDERS("c2", "m");
    gr_preagg_row *rows = declared_by(f, f->catalog, &node1, 1, olds, 2, 1);
    int64_t id_old = rows[0].id, id_both = rows[1].id;
    built(f, id_old, &old, 2);
    built(f, id_both, &both, 2);
    rows = declared_by(f, second(f), &node2, 1, news, 2, 3);
    int64_t id_new = rows[0].id;
    assert_int_not_equal(id_new, id_old);
    assert_int_equal(rows[1].id, id_both);
    assert_status(f, id_old, "active"); /* a live server declares it still */
    assert_false(got(f, id_old).is_current);
    assert_int_equal(got(f, id_old).n_cubes, 1);
    assert_status(f, id_both, "active");
    assert_int_equal(got(f, id_both).decl.n_declared_by, 1);
    fixture_close(f);
    f->catalog = f->second;
    f->second = NULL;
    assert_status(f, id_old, "stale");
    assert_int_equal(got(f, id_old).n_cubes, 0);
    assert_status(f, id_new, "pending");
    assert_status(f, id_both, "active");
    /* The last server that leaves takes nothing with it. */
    fixture_reopen(f);
    assert_status(f, id_both, "active");
    assert_status(f, id_new, "pending");
    assert_int_equal(got(f, id_both).n_cubes, 1);
}

static void links_follow_the_names(fixture *f) {
    const gr_node_decl nodes[] = {ORDERS("c", "m"), node_of("users", "c", "m")};
    gr_preagg_decl d = decl_of(f->arena, "orders", "g1", "b", "a=1", "orders.main users.by_orders nobody.x");
    gr_preagg_row row = declared_by(f, f->catalog, nodes, 2, &d, 1, 1)[0];
    assert_int_equal(row.n_cubes, 2);
    assert_str(row.cubes[0], "orders");
    assert_str(row.cubes[1], "users");
    assert_int_equal(row.decl.n_declared_by, 3);
    gr_preagg_decl less = decl_of(f->arena, "orders", "g1", "b", "a=1", "users.by_orders");
    row = declared_by(f, second(f), nodes, 2, &less, 1, 2)[0];
    assert_int_equal(row.n_cubes, 2); /* the first server declares the others still */
    row = declared_by(f, f->catalog, nodes, 2, &less, 1, 3)[0];
    assert_int_equal(row.n_cubes, 1);
    assert_str(row.cubes[0], "users");
    assert_str(history_of(f, "link", "orders"),
               gr_arena_printf(f->arena, "link:%1$d > | unlink:%1$d >", (int)row.id).p);
    assert_str(history_of(f, "link", "users"), gr_arena_printf(f->arena, "link:%d >", (int)row.id).p);
}

static void add_more(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b", "a=1");
    gr_preagg_decl more[] = {decl_of(f->arena, "orders", "g2", "b2", "a=1", "orders.main"), d};
    int64_t id = one(f, f->catalog, ORDERS("c", "m"), d, 1).id;
    gr_preagg_row *rows;
    bool created[2];
    const gr_preagg_config config = {.strategy = GR_STR("full"), .schedule = GR_STR("hourly")};
    assert_ok(f, gr_catalog_add(f->catalog, more, 2, &config, at(2), f->arena, &rows, created, &f->err));
    assert_true(created[0]);
    assert_false(created[1]);
    assert_int_equal(rows[1].id, id);
    assert_str(rows[0].strategy, "full");
    assert_str(rows[1].schedule, "hourly");
    assert_str(rows[0].lookback_window, "");
    assert_int_equal(rows[0].n_cubes, 1);
    /* They count as declared by this handle, until it declares its model again. */
    const gr_node_decl node = ORDERS("c", "m");
    declared_by(f, second(f), &node, 1, &d, 1, 3);
    assert_status(f, rows[0].id, "pending");
    one(f, f->catalog, node, d, 4);
    assert_status(f, rows[0].id, "stale");

    more[0].node = GR_STR("users"); /* all or nothing */
    more[1].grain_hash = GR_STR("g7");
    gr_preagg_decl turned[] = {more[1], more[0]};
    assert_int_equal(gr_catalog_add(f->catalog, turned, 2, NULL, at(5), f->arena, &rows, NULL, &f->err),
                     GR_ERR_NODE_NOT_FOUND);
    assert_string_equal(f->err.message, "A node with name `users` does not exist.");
    size_t n;
    found(f, (gr_preagg_filter){0}, &n);
    assert_int_equal(n, 2);
    fixture_reopen(f); /* a handle that has declared nothing has no nodes to add to */
    assert_int_equal(gr_catalog_add(f->catalog, &d, 1, NULL, at(6), f->arena, &rows, NULL, &f->err),
                     GR_ERR_NODE_NOT_FOUND);
    assert_ok(f, gr_catalog_add(second(f), &d, 0, NULL, at(6), f->arena, &rows, NULL, &f->err));
}

/* An on-demand entity is at the version that its handle declared, whatever others have declared since. */
static void add_at_the_handle_s_version(fixture *f) {
    gr_preagg_decl old = main_decl(f, "b1", "a=1"), new = main_decl(f, "b2", "a=1");
    gr_preagg_decl more = decl_of(f->arena, "orders", "g2", "b9", "a=1", "orders.zone");
    one(f, f->catalog, ORDERS("c1", "m"), old, 1);
    one(f, second(f), ORDERS("c2", "m"), new, 2);
    gr_preagg_row *rows;
    assert_ok(f, gr_catalog_add(f->catalog, &more, 1, NULL, at(3), f->arena, &rows, NULL, &f->err));
    assert_str(rows[0].version, "v1.0");
    assert_false(rows[0].is_current);
    int64_t id = rows[0].id;
    assert_ok(f, gr_catalog_add(f->second, &more, 1, NULL, at(4), f->arena, &rows, NULL, &f->err));
    assert_int_equal(rows[0].id, id); /* of equal base */
    assert_str(rows[0].version, "v2.0");
}

static void nothing_is_written_twice(fixture *f) {
    const gr_node_decl nodes[] = {ORDERS("c", "m"), node_of("users", "c", "m")};
    const gr_preagg_decl d[] = {main_decl(f, "b", "a=1"), decl_of(f->arena, "users", "g1", "b", "a=1", "users.main")};
    gr_preagg_row *rows = declared_by(f, f->catalog, nodes, 2, d, 2, 1);
    built(f, rows[0].id, &d[0], 2);
    bool is_changed = true;
    gr_catalog *other = second(f);
    assert_ok(f, gr_catalog_changed(other, &is_changed, &f->err));
    int64_t n = raw_i64(f, "SELECT count(*) FROM history");
    declared_by(f, f->catalog, nodes, 2, d, 2, 3);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM history"), n);
    declared_by(f, other, nodes, 2, d, 2, 4);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM history"), n);
    for (int i = 0; i < 2; i++) assert_true(got(f, rows[i].id).updated_us <= 2);
}

SUITE(suite_declare, CASE(identity), CASE(narrow_and_wide), CASE(widened_while_it_runs), CASE(failed_and_narrowed),
      CASE(changed_in_substance), CASE(declared_by_nobody), CASE(titles_change),
      CASE(the_same_thing_under_a_new_version), CASE(twins), CASE(no_heir_of_what_was_gone), CASE(rolling_deploy),
      CASE(links_follow_the_names), CASE(add_more), CASE(add_at_the_handle_s_version), CASE(nothing_is_written_twice))
