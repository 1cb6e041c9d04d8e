/* Views (cube.md 1.12): which members they show, under which names, by which path; and their faults. */
#include "unit/model/model_fixture.h"

#define SHOP                                                                                                           \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: o\n"                                                                                               \
    "    title: The Orders\n"                                                                                          \
    "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.u = {users}.id\"}, {name: shops, "             \
    "relationship: many_to_one, sql: \"{CUBE}.s = {shops}.id\"}]\n"                                                    \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: status, sql: s, type: string, "     \
    "title: State, description: D, meta: {a: 1}}, {name: at, sql: at, type: time, granularities: [{name: fy, "         \
    "interval: 1 year, offset: 1 month}]}, {name: secret, sql: x, type: string, public: false}]\n"                     \
    "    measures: [{name: count, type: count, drill_members: [id, status, users.name]}]\n"                            \
    "    segments: [{name: done, sql: \"{status} = 'd'\"}]\n"                                                          \
    "  - name: users\n"                                                                                                \
    "    sql_table: u\n"                                                                                               \
    "    joins: [{name: cities, relationship: many_to_one, sql: \"{CUBE}.c = {cities}.id\"}]\n"                        \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: name, sql: n, type: string}]\n"     \
    "    measures: [{name: count, type: count}]\n"                                                                     \
    "  - name: shops\n"                                                                                                \
    "    sql_table: s\n"                                                                                               \
    "    joins: [{name: cities, relationship: many_to_one, sql: \"{CUBE}.c = {cities}.id\"}]\n"                        \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}]\n"                                         \
    "  - {name: cities, sql_table: c, dimensions: [{name: city, sql: city, type: string}]}\n" /* line 18 */            \
    "views:\n" /* 19; a view starts on line 20 */

static void test_members(void **state) {
    (void)state;
    load_good(SHOP "  - name: ordersView\n"
                   "    description: V\n"
                   "    cubes:\n"
                   "      - join_path: orders\n"
                   "        includes: \"*\"\n"
                   "        excludes: [secret]\n"
                   "      - joinPath: orders.users\n"
                   "        prefix: true\n"
                   "        includes:\n"
                   "          - id\n"
                   "          - {name: name, alias: who, title: Who, description: W, format: link, meta: {b: 2}}\n"
                   "      - {join_path: orders.users.cities, prefix: \"true\", alias: town, includes: [city]}\n");
    const gr_cube *v = gr_model_cube(model, GR_STR("ordersView"));
    assert_true(v->is_view);
    assert_null(v->sql_table);
    expect_str(v->alias, "orders_view");
    expect_str(v->title, "Orders View");
    assert_int_equal(v->n_dimensions, 6);
    assert_int_equal(v->n_measures, 1);
    assert_int_equal(v->n_segments, 1);
    static const struct {
        const char *id, *base, *column, *title, *path;
        bool is_public;
    } rows[] = {
        {"ordersView.id", "orders.id", "orders_view__id", "Orders View ID", "orders", false},
        {"ordersView.status", "orders.status", "orders_view__status", "Orders View State", "orders", true},
        {"ordersView.count", "orders.count", "orders_view__count", "Orders View Count", "orders", true},
        {"ordersView.done", "orders.done", "orders_view__done", "Orders View Done", "orders", true},
        {"ordersView.users_id", "users.id", "orders_view__users_id", "Orders View Users ID", "orders.users", true},
        {"ordersView.users_who", "users.name", "orders_view__users_who", "Orders View Who", "orders.users", true},
        {"ordersView.town_city", "cities.city", "orders_view__town_city", "Orders View Town City",
         "orders.users.cities", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_member *m = member(rows[i].id);
        assert_ptr_equal(m->alias_of, member(rows[i].base));
        assert_ptr_equal(gr_member_base(m), member(rows[i].base));
        assert_ptr_equal(m->cube, v);
        expect_str(m->column, rows[i].column);
        expect_str(m->title, rows[i].title);
        if (m->is_public != rows[i].is_public) fail_msg("%s: public", rows[i].id);
        char path[64] = "";
        for (size_t k = 0; k < m->path.n; k++) {
            if (k) strcat(path, ".");
            strncat(path, m->path.cubes[k]->name.p, m->path.cubes[k]->name.n);
        }
        assert_string_equal(path, rows[i].path);
    }
    const gr_member *who = member("ordersView.users_who");
    expect_str(who->description, "W");
    expect_str(who->format, "link");
    assert_non_null(gr_yaml_get(who->meta, GR_STR("b")));
    expect_str(member("ordersView.status")->description, "D");
    assert_non_null(gr_yaml_get(member("ordersView.status")->meta, GR_STR("a")));
    assert_non_null(gr_member_granularity(member("ordersView.at"), GR_STR("fy")));
    assert_int_equal(v->n_view_cubes, 3);
    expect_str(v->view_cubes[0]->name, "orders");
    expect_str(v->view_cubes[2]->name, "cities");
    assert_int_equal(v->view_paths[2].n, 3);
    assert_int_equal(v->component, gr_model_cube(model, GR_STR("orders"))->component);
    /* users.name is shown under another name. */
    const gr_member *count = member("ordersView.count");
    assert_int_equal(count->n_drill_members, 3);
    expect_str(count->drill_members[0], "ordersView.id");
    expect_str(count->drill_members[2], "ordersView.users_who");
    const gr_member *gone = NULL;
    assert_int_equal(gr_model_member(model, GR_STR("ordersView.secret"), &gone, &err), GR_ERR_QUERY_UNKNOWN_MEMBER);
}

static void test_hidden_members_stay_hidden(void **state) {
    (void)state;
    load_good(SHOP "  - {name: v, public: false, cubes: [{join_path: orders, includes: [id, secret, status]}]}\n");
    assert_false(gr_model_cube(model, GR_STR("v"))->is_public);
    assert_true(member("v.id")->is_public);
    assert_false(member("v.secret")->is_public);
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *view;
        gr_status status;
        const char *message;
        uint32_t line, col;
        const char *hint;
    } rows[] = {
        {"  - {name: v}\n", GR_ERR_MODEL_INVALID, "v view: (cubes) is required", 20, 5, NULL},
        {"  - {name: v, cubes: [{includes: \"*\"}]}\n", GR_ERR_MODEL_INVALID, "(cubes[0].joinPath) is required", 20, 23,
         NULL},
        {"  - {name: v, cubes: [{join_path: orders}]}\n", GR_ERR_MODEL_INVALID, "(cubes[0].includes) is required", 20,
         23, NULL},
        {"  - {name: v, cubes: [{join_path: orders, includes: all}]}\n", GR_ERR_MODEL_INVALID,
         "(cubes[0].includes = all) must be \"*\" or an array", 20, 53, NULL},
        {"  - {name: v, cubes: [{join_path: order, includes: \"*\"}]}\n", GR_ERR_MODEL_UNRESOLVED,
         "order is not defined", 20, 35, "did you mean 'orders'?"},
        {"  - {name: v, cubes: [{join_path: users.orders, includes: \"*\"}]}\n", GR_ERR_MODEL_JOIN,
         "Can't find join path to join 'users', 'orders'", 20, 35, "declare a join"},
        {"  - {name: v, cubes: [{join_path: orders, includes: [cont]}]}\n", GR_ERR_MODEL_UNRESOLVED,
         "Member 'cont' is included in 'v' but not defined in any cube", 20, 54, "did you mean 'count'?"},
        {"  - {name: v, cubes: [{join_path: orders, includes: \"*\", excludes: [cont]}]}\n", GR_ERR_MODEL_UNRESOLVED,
         "Member 'cont' is excluded from 'v'", 20, 69, "did you mean 'count'?"},
        {"  - {name: v, cubes: [{join_path: orders, includes: [count, count]}]}\n", GR_ERR_MODEL_DUPLICATE,
         "Included member 'count' conflicts with existing member of 'v'.", 20, 61, NULL},
        {"  - {name: v, cubes: [{join_path: orders, includes: [count]}, {join_path: orders.users, includes: [{name: "
         "name, alias: count}]}]}\n",
         GR_ERR_MODEL_DUPLICATE, "Included member 'count' conflicts", 20, 107,
         "one is orders.count, the other users.name"},
        {"  - {name: v, cubes: [{join_path: orders.users.cities, includes: \"*\"}, {join_path: orders.shops.cities, "
         "prefix: true, includes: \"*\"}]}\n",
         GR_ERR_MODEL_INVALID,
         "Views can't define multiple join paths to the same cube. 'cities' is reached from 'users' and from 'shops'",
         20, 84, NULL},
        {"  - {name: v, cubes: [{join_path: orders, includes: [count], foo: 1}]}\n", GR_ERR_MODEL_UNKNOWN_KEY,
         "(cubes[0].foo = 1) is not allowed", 20, 62, NULL},
        {"  - {name: v, cubes: [{join_path: orders, includes: [{alias: x}]}]}\n", GR_ERR_MODEL_INVALID,
         "(cubes[0].includes[0].name) is required", 20, 54, NULL},
        {"  - {name: v, cubes: [{join_path: orders, includes: [{name: count, alias: a b}]}]}\n", GR_ERR_MODEL_INVALID,
         "with value \"a b\"", 20, 75, NULL},
        {"  - {name: v, cubes: [{join_path: orders, split: true, includes: \"*\"}]}\n", GR_ERR_MODEL_UNSUPPORTED,
         "(cubes[0].split) is not executed yet", 20, 43, NULL},
        {"  - {name: v, cubes: [], measures: []}\n", GR_ERR_MODEL_UNKNOWN_KEY,
         "(measures = [object Object]) is not allowed", 20, 26, NULL},
        {"  - {name: v, cubes: [], default_filters: []}\n", GR_ERR_MODEL_UNSUPPORTED,
         "(defaultFilters) is not executed yet", 20, 26, NULL},
        {"  - {name: v, cubes: [], accessPolicy: []}\n", GR_ERR_MODEL_UNSUPPORTED, "(accessPolicy) is not executed yet",
         20, 26, NULL},
        {"  - {name: v, cubes: [{join_path: w, includes: \"*\"}]}\n  - {name: w, cubes: []}\n", GR_ERR_MODEL_INVALID,
         "'w' is a view", 20, 35, NULL},
        {"  - {name: v, cubes: [], folders: [{includes: \"*\"}]}\n", GR_ERR_MODEL_INVALID,
         "(folders[0].name) is required", 20, 36, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_str text = gr_arena_printf(arena, "%s%s", SHOP, rows[i].view);
        gr_model_file file = {GR_STR("m.yml"), text};
        if (load_files(&file, 1) != GR_ERR_MODEL_INVALID_SET) fail_msg("row %zu is accepted", i);
        const gr_diag *d = find_diag(rows[i].status, rows[i].message);
        expect_at(d, rows[i].line, rows[i].col);
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
        if (diags.n_errors != 1) {
            print_diags();
            fail_msg("row %zu: %zu errors", i, diags.n_errors);
        }
    }
}

static void test_split_with_prefix(void **state) {
    (void)state;
    assert_int_equal(
        load(SHOP "  - {name: v, cubes: [{join_path: orders, prefix: true, split: true, includes: \"*\"}]}\n"),
        GR_ERR_MODEL_INVALID_SET);
    find_diag(GR_ERR_MODEL_INVALID, "Using split together with prefix is not supported");
}

/* Two roots may each have their way to one cube. */
static void test_two_roots(void **state) {
    (void)state;
    load_good(SHOP "  - {name: v, cubes: [{join_path: users.cities, includes: \"*\"}, {join_path: shops.cities, "
                   "prefix: true, includes: \"*\"}]}\n");
    assert_int_equal(gr_model_cube(model, GR_STR("v"))->n_view_cubes, 2);
}

/* Several items of one root, one path in several items, one member under several names. */
static void test_items_of_one_root(void **state) {
    (void)state;
    load_good(SHOP "  - name: v\n"
                   "    cubes:\n"
                   "      - {join_path: orders, alias: o, includes: [count, {name: count, alias: number}]}\n"
                   "      - {join_path: orders, prefix: true, includes: [count, {name: status, alias: state}, at], "
                   "excludes: [at]}\n"
                   "      - {join_path: orders.users, prefix: true, alias: buyer, includes: \"*\", excludes: [id]}\n"
                   "      - {join_path: orders.users.cities, includes: [{name: city, alias: town}]}\n"
                   "      - {join_path: orders.shops, prefix: true, includes: [id]}\n");
    static const struct {
        const char *id, *base;
        size_t n_path;
    } rows[] = {
        {"v.count", "orders.count", 1},        {"v.number", "orders.count", 1},
        {"v.orders_count", "orders.count", 1}, {"v.orders_state", "orders.status", 1},
        {"v.buyer_name", "users.name", 2},     {"v.buyer_count", "users.count", 2},
        {"v.town", "cities.city", 3},          {"v.shops_id", "shops.id", 2},
    };
    const gr_cube *v = gr_model_cube(model, GR_STR("v"));
    assert_int_equal(v->members.n, COUNT(rows));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_member *m = member(rows[i].id);
        assert_ptr_equal(m->alias_of, member(rows[i].base));
        assert_int_equal(m->path.n, rows[i].n_path);
        assert_ptr_equal(m->path.cubes[0], gr_model_cube(model, GR_STR("orders")));
        assert_ptr_equal(model->members[m->index], m);
    }
    static const char *const cubes[] = {"orders", "users", "cities", "shops"};
    assert_int_equal(v->n_view_cubes, COUNT(cubes));
    for (size_t i = 0; i < COUNT(cubes); i++) expect_str(v->view_cubes[i]->name, cubes[i]);
}

/* The path leads back to a cube that it came by. */
static void test_path_in_a_circle(void **state) {
    (void)state;
    static const char *const paths[] = {"a.b.a", "a.b.c.b"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        gr_str text = gr_arena_printf(
            arena,
            "cubes:\n"
            "  - {name: a, sql_table: a, joins: [{name: b, relationship: one_to_many, sql: \"1 = 1\"}]}\n"
            "  - {name: b, sql_table: b, joins: [{name: a, relationship: many_to_one, sql: \"1 = 1\"}, {name: c, "
            "relationship: one_to_one, sql: \"1 = 1\"}]}\n"
            "  - {name: c, sql_table: c, joins: [{name: b, relationship: one_to_one, sql: \"1 = 1\"}]}\n"
            "views:\n"
            "  - {name: v, cubes: [{join_path: %s, includes: \"*\"}]}\n",
            paths[i]);
        gr_model_file file = {GR_STR("m.yml"), text};
        assert_int_equal(load_files(&file, 1), GR_ERR_MODEL_INVALID_SET);
        const gr_diag *d = find_diag(GR_ERR_MODEL_INVALID, "Views can't define multiple join paths to the same cube.");
        expect_at(d, 6, 35);
        assert_true(has(d->message, "stands twice in the path"));
        assert_true(has(d->hint, "make a cube that extends"));
        assert_int_equal(diags.n_errors, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hidden_members_stay_hidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_split_with_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_roots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_items_of_one_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_path_in_a_circle, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
