/* The models of the seed document, as printed and repaired (decisions 26). */
#include "unit/model/model_fixture.h"

#define SEED(cost, products, rollups)                                                                                  \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: orders\n"                                                                                          \
    " \n"                                                                                                              \
    "    measures:\n"                                                                                                  \
    "      - name: count\n"                                                                                            \
    "        type: count\n"                                                                                            \
    " \n"                                                                                                              \
    "    dimensions:\n"                                                                                                \
    "      - name: id\n"                                                                                               \
    "        sql: id\n"                                                                                                \
    "        type: number\n"                                                                                           \
    "        primary_key: true\n"                                                                                      \
    " \n"                                                                                                              \
    "      - name: status\n"                                                                                           \
    "        sql: status\n"                                                                                            \
    "        type: string\n"                                                                                           \
    " \n"                                                                                                              \
    "      - name: completed_at\n"                                                                                     \
    "        sql: completed_at\n"                                                                                      \
    "        type: time\n"                                                                                             \
    " \n"                                                                                                              \
    "    pre_aggregations:\n"                                                                                          \
    "      - name: order_statuses\n"                                                                                   \
    "        dimensions:\n"                                                                                            \
    "          - status\n"                                                                                             \
    "      - name: orders_by_completed_at\n"                                                                           \
    "        measures:\n"                                                                                              \
    "          - count\n"                                                                                              \
    "        time_dimension: completed_at\n"                                                                           \
    "        granularity: month\n"                                                                                     \
    "  - name: line_items\n"                                                                                           \
    "    sql_table: line_items\n"                                                                                      \
    " \n"                                                                                                              \
    "    joins:\n"                                                                                                     \
    "      - name: orders\n"                                                                                           \
    "        sql: \"{CUBE}.order_id = {orders.id}\"\n"                                                                 \
    "        relationship: many_to_one\n"                                                                              \
    " \n"                                                                                                              \
    "    measures:\n"                                                                                                  \
    "      - name: count\n"                                                                                            \
    "        type: count\n"                                                                                            \
    "      - name: quantity\n"                                                                                         \
    "        sql: quantity\n"                                                                                          \
    "        type: sum\n"                                                                                              \
    "      - name: price\n"                                                                                            \
    "        type: sum\n"                                                                                              \
    "        sql: price\n"                                                                                             \
    "        format: currency\n"                                                                                       \
    "      - name: cost\n"                                                                                             \
    "        sql: \"" cost "\"\n" /* line 51 */                                                                        \
    "        type: sum\n"                                                                                              \
    "      - name: count_distinct_products\n"                                                                          \
    "        sql: product_id\n"                                                                                        \
    "        type: " products "\n"                                                                                     \
    " \n"                                                                                                              \
    "    dimensions:\n"                                                                                                \
    "      - name: id\n"                                                                                               \
    "        sql: id\n"                                                                                                \
    "        type: number\n"                                                                                           \
    "        primary_key: true\n"                                                                                      \
    "      - name: created_at\n"                                                                                       \
    "        sql: created_at\n"                                                                                        \
    "        type: time\n"                                                                                             \
    "      - name: profit_margin\n"                                                                                    \
    "        sql: profit_margin\n"                                                                                     \
    "        type: number\n"                                                                                           \
    "        format: percent\n" rollups

#define AS_PRINTED "{CUBE.price} / (1 + {CUBE.profit_margin}"
#define REPAIRED "{CUBE}.price / (1 + {CUBE}.profit_margin)"
#define APPROX                                                                                                         \
    "    pre_aggregations:\n      - name: my_rollup\n        measures:\n          - count_distinct_products\n"

static void test_as_printed(void **state) {
    (void)state;
    assert_int_equal(load(SEED(AS_PRINTED, "count_distinct", "")), GR_ERR_MODEL_INVALID_SET);
    const gr_diag *d = find_diag(GR_ERR_MODEL_EXPRESSION, "line_items cube: (measures.cost.sql) ')' is missing");
    expect_at(d, 51, 14);
    expect_str(d->hint, "add the missing ')'");
    /* The other fault of the same line is reported at once. */
    d = find_diag(GR_ERR_MODEL_NESTED_AGGREGATE,
                  "Measure 'line_items.cost' aggregates over the measure 'line_items.price'");
    expect_at(d, 51, 14);
    assert_true(has(d->hint, "{CUBE}.price"));
    assert_int_equal(diags.n_errors, 2);
    assert_int_equal(err.loc.line, 51);
    assert_string_equal(err.file, "m.yml");
}

static void test_with_the_parenthesis_only(void **state) {
    (void)state;
    assert_int_equal(load(SEED(AS_PRINTED ")", "count_distinct", "")), GR_ERR_MODEL_INVALID_SET);
    assert_int_equal(diags.n_errors, 1);
    expect_at(find_diag(GR_ERR_MODEL_NESTED_AGGREGATE, "'line_items.price'"), 51, 14);
}

static void test_repaired(void **state) {
    (void)state;
    load_good(SEED(REPAIRED, "count_distinct_approx", APPROX));
    assert_int_equal(diags.list.n, 0);
    assert_int_equal(model->n_cubes, 2);
    assert_int_equal(model->n_preaggs, 3);
    const gr_preagg *p = model->preaggs[0];
    expect_str(p->id, "orders.order_statuses");
    assert_int_equal(p->type, GR_PREAGG_ROLLUP);
    assert_int_equal(p->build, GR_BUILD_ON_DEMAND);
    assert_ptr_equal(p->dimensions[0].member, member("orders.status"));
    p = model->preaggs[1];
    assert_ptr_equal(p->measures[0].member, member("orders.count"));
    assert_ptr_equal(p->time_dimensions[0].member, member("orders.completed_at"));
    assert_int_equal(p->time_dimensions[0].granularity->grain, GR_GRAIN_MONTH);
    expect_str(model->preaggs[2]->id, "line_items.my_rollup");
    assert_true(gr_measure_is_additive(member("line_items.count_distinct_products")));
    assert_true(gr_measure_is_additive(member("line_items.cost")));
    const gr_cube *items = gr_model_cube(model, GR_STR("line_items"));
    assert_ptr_equal(items->joins[0].to, gr_model_cube(model, GR_STR("orders")));
    assert_int_equal(items->component, items->joins[0].to->component);
    expect_str(member("line_items.profit_margin")->format, "percent");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_as_printed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_the_parenthesis_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repaired, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
