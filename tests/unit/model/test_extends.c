/* What a child inherits (cube.md 1.14), and that a fault of a parent is reported once. */
#include "unit/model/model_fixture.h"

#define PARENT                                                                                                         \
    "cubes:\n"                                                                                                         \
    "  - name: base\n"                                                                                                 \
    "    sql_table: t\n"                                                                                               \
    "    title: The Base\n"                                                                                            \
    "    sql_alias: bb\n"                                                                                              \
    "    data_source: other\n"                                                                                         \
    "    public: false\n"                                                                                              \
    "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.u = {users}.id\"}]\n"                          \
    "    dimensions:\n"                                                                                                \
    "      - {name: id, sql: id, type: number, primary_key: true}\n"                                                   \
    "      - {name: a, sql: \"{CUBE}.a\", type: string}\n"                                                             \
    "      - {name: b, sql: \"{a} || 'x'\", type: string}\n"                                                           \
    "    measures: [{name: count, type: count}]\n"                                                                     \
    "    segments: [{name: s, sql: \"{a} = 'x'\"}]\n"                                                                  \
    "    hierarchies: [{name: h, levels: [a, b]}]\n"                                                                   \
    "    pre_aggregations:\n"                                                                                          \
    "      - {name: p1, measures: [CUBE.count]}\n"                                                                     \
    "      - {name: p2, measures: [count], dimensions: [a]}\n"                                                         \
    "  - {name: users, sql_table: u}\n"

static void test_inherits(void **state) {
    (void)state;
    load_good(PARENT "  - name: child\n"
                     "    extends: base\n"
                     "    sql: select * from t2\n"
                     "    dimensions:\n"
                     "      - {name: c, sql: c, type: number}\n"
                     "      - {name: a, sql: \"upper({CUBE}.a)\", type: string}\n"
                     "    pre_aggregations:\n"
                     "      - {name: p3, measures: [count]}\n"
                     "      - {name: p2, measures: [count], dimensions: [c]}\n");
    const gr_cube *child = gr_model_cube(model, GR_STR("child"));
    assert_null(child->sql_table);
    expect_str(child->sql->source, "select * from t2");
    expect_str(child->title, "The Base");
    expect_str(child->alias, "child");
    expect_str(child->data_source, "other");
    assert_false(child->is_public);
    static const char *const dims[] = {"id", "a", "b", "c"};
    assert_int_equal(child->n_dimensions, 4);
    for (size_t i = 0; i < 4; i++) expect_str(child->dimensions[i]->name, dims[i]);
    expect_str(member("child.a")->sql->source, "upper({CUBE}.a)");
    expect_str(member("base.a")->sql->source, "{CUBE}.a");
    /* {a} of the inherited b is the child's. */
    assert_ptr_equal(member("child.b")->sql->parts[0].member, member("child.a"));
    assert_ptr_equal(member("base.b")->sql->parts[0].member, member("base.a"));
    assert_ptr_equal(member("child.s")->cube, child);
    expect_str(child->hierarchies[0].levels[1], "child.b");
    assert_int_equal(child->n_joins, 1);
    assert_ptr_equal(child->joins[0].from, child);
    assert_ptr_equal(child->joins[0].sql->parts[0].cube, child);
    static const char *const preaggs[] = {"child.p3", "child.p2", "child.p1"};
    assert_int_equal(child->n_preaggs, 3);
    for (size_t i = 0; i < 3; i++) expect_str(child->preaggs[i]->id, preaggs[i]);
    assert_ptr_equal(child->preaggs[2]->measures[0].member, member("child.count"));
    assert_ptr_equal(child->preaggs[1]->dimensions[0].member, member("child.c"));
    assert_int_equal(model->n_preaggs, 5);
    for (size_t i = 0; i < model->n_preaggs; i++) assert_int_equal(model->preaggs[i]->index, i);
}

static void test_chain_and_order_of_files(void **state) {
    (void)state;
    static const gr_model_file files[] = {
        {GR_STR_INIT("z.yml"),
         GR_STR_INIT("cubes:\n  - {name: one, sql_table: t, public: false, measures: [{name: m, type: count}]}\n")},
        {GR_STR_INIT("a.yml"), GR_STR_INIT("cubes:\n  - {name: three, extends: two, shown: true}\n")},
        {GR_STR_INIT("b/c.yml"), GR_STR_INIT("cubes:\n  - {name: two, extends: one, title: Zwei}\n")},
    };
    assert_int_equal(load_files(files, 3), GR_OK);
    expect_str(model->cubes[0]->name, "three");
    expect_str(model->cubes[1]->name, "two");
    expect_str(model->cubes[2]->name, "one");
    assert_true(model->cubes[0]->is_public);
    assert_false(model->cubes[1]->is_public);
    expect_str(model->cubes[0]->title, "Zwei");
    expect_str(member("three.m")->id, "three.m");
    expect_str(member("three.m")->loc.file, "z.yml");
    gr_str hash = gr_arena_dup(arena, model->hash);
    static const gr_model_file turned[] = {
        {GR_STR_INIT("a.yml"), GR_STR_INIT("cubes:\n  - {name: three, extends: two, shown: true}\n")},
        {GR_STR_INIT("b/c.yml"), GR_STR_INIT("cubes:\n  - {name: two, extends: one, title: Zwei}\n")},
        {GR_STR_INIT("z.yml"),
         GR_STR_INIT("cubes:\n  - {name: one, sql_table: t, public: false, measures: [{name: m, type: count}]}\n")},
    };
    assert_int_equal(load_files(turned, 3), GR_OK);
    assert_true(gr_str_eq(hash, model->hash));
    assert_int_equal(load_files(turned + 1, 2), GR_OK);
    assert_false(gr_str_eq(hash, model->hash));
}

static void test_long_chain(void **state) {
    (void)state;
    enum { N = 5000 };
    gr_buf text;
    gr_buf_init(&text, 4u << 20);
    gr_buf_z(&text, "cubes:\n");
    for (int i = 0; i < N; i++)
        gr_buf_printf(&text,
                      "  - {name: c%d, extends: c%d, dimensions: [{name: d, sql: \"{CUBE}.d\", type: string}]}\n", i,
                      i + 1);
    gr_buf_printf(&text, "  - {name: c%d, sql_table: t}\n", N);
    gr_model_file file = {GR_STR("m.yml"), gr_buf_str(&text)};
    assert_int_equal(load_files(&file, 1), GR_OK);
    expect_str(gr_model_cube(model, GR_STR("c0"))->sql_table->source, "t");
    gr_buf_done(&text);
}

static void test_faults_of_a_parent_are_reported_once(void **state) {
    (void)state;
    assert_int_equal(load("cubes:\n"
                          "  - {name: c2, extends: base}\n"
                          "  - name: base\n"
                          "    sql_table: t\n"
                          "    dimensions: [{name: x, sql: \"{nope}\", type: date}]\n"
                          "    measures: [{name: m, type: sum, sql: \"(a\"}]\n"
                          "    pre_aggregations: [{name: r, measures: [gone]}]\n"
                          "  - {name: c1, extends: base}\n"),
                     GR_ERR_MODEL_INVALID_SET);
    if (diags.n_errors != 4) {
        print_diags();
        fail_msg("%zu errors", diags.n_errors);
    }
    for (size_t i = 0; i < diags.list.n; i++) assert_true(has(diags.list.v[i].message, "base cube: "));
}

/* What is right in the parent and wrong in the child is the child's fault. */
static void test_faults_that_only_the_child_has(void **state) {
    (void)state;
    assert_int_equal(load("cubes:\n"
                          "  - {name: base, sql_table: t, dimensions: [{name: a, sql: a, type: string}, {name: b, sql: "
                          "\"{base}.b\", type: string}],\n"
                          "     pre_aggregations: [{name: r, dimensions: [a]}]}\n"
                          "  - {name: child, extends: base, measures: [{name: a, type: count}]}\n"),
                     GR_ERR_MODEL_INVALID_SET);
    expect_at(find_diag(GR_ERR_MODEL_DUPLICATE, "child cube: a defined more than once"), 4, 52);
    /* {base} in what the child inherits is another cube than the child. */
    find_diag(GR_ERR_MODEL_INVALID, "Member 'child.b' references foreign cubes: base.");
}

static void test_views_extend_views(void **state) {
    (void)state;
    load_good(PARENT "views:\n"
                     "  - {name: v1, title: V, cubes: [{join_path: base, includes: [a]}]}\n"
                     "  - {name: v2, extends: v1, cubes: [{join_path: base, includes: [b]}]}\n");
    expect_str(gr_model_cube(model, GR_STR("v2"))->title, "V");
    assert_ptr_equal(member("v2.a")->alias_of, member("base.a"));
    assert_ptr_equal(member("v2.b")->alias_of, member("base.b"));
    assert_int_equal(gr_model_cube(model, GR_STR("v2"))->n_view_cubes, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inherits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain_and_order_of_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_of_a_parent_are_reported_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults_that_only_the_child_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_views_extend_views, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
