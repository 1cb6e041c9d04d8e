/* DataJunction's hashes: every vector of the specification, and the corners of Python's JSON. */
#include "unit/catalog/catalog_fixture.h"

#include "catalog/hashes.h"

static void test_expr_hash(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"line_total", "83632b779d87"},
        {"quantity", "221d2a4bfdae"},
        {"unit_price", "db19bd0eefd9"},
        {"order_id", "69dfcb072307"},
        {"customer_id", "cb24373bb885"},
        {"view_id", "2e1a13980b67"},
        {"*", "3389dae361af"},
        {"1", "c4ca4238a0b9"},
        {"quantity * unit_price", "66a14ee8431d"},
        {" quantity\n\t*  unit_price\r\n", "66a14ee8431d"},
        {"CASE WHEN status = 'completed' THEN line_total ELSE 0 END", "405d3c16d074"},
        {"CASE\n    WHEN status = 'completed' THEN line_total\n    ELSE 0\nEND", "405d3c16d074"},
    };
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < N_OF(cases); i++)
        assert_str(gr_catalog_expr_hash(gr_str_from(cases[i][0]), arena), cases[i][1]);
    assert_false(gr_str_eq_z(gr_catalog_expr_hash(GR_STR("Line_total"), arena), "83632b779d87"));
    gr_arena_free(arena);
}

static void test_tokens(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    assert_str(gr_catalog_measure_token(GR_STR("line_total"), GR_STR(" sum "), arena), "83632b779d87:SUM");
    assert_str(gr_catalog_measure_token(GR_STR("order_id"), (gr_str){0}, arena), "69dfcb072307:");
    gr_arena_free(arena);
}

static void test_group_hash(void **state) {
    (void)state;
    const gr_str status[] = {GR_STR("v3.order_details.status")};
    const gr_str both[] = {GR_STR("v3.product.category"), GR_STR("v3.order_details.status")};
    const gr_str turned[] = {both[1], both[0]};
    gr_arena *arena = gr_arena_new();
    assert_str(gr_catalog_grain_group_hash(8, status, 1, arena), "55327fdf3d2f019b116eea610ae23a0f");
    assert_str(gr_catalog_grain_group_hash(8, both, 2, arena), "8b15b7265a39f52380f29027dc8db28a");
    assert_str(gr_catalog_grain_group_hash(8, turned, 2, arena), "8b15b7265a39f52380f29027dc8db28a");
    assert_str(gr_catalog_grain_group_hash(8, NULL, 0, arena), "20b02f8e9ff881f1d0577b669f0bfcca");
    gr_arena_free(arena);
}

static void test_preagg_hash(void **state) {
    (void)state;
    const gr_str status[] = {GR_STR("v3.order_details.status")};
    const gr_str both[] = {GR_STR("v3.product.category"), GR_STR("v3.order_details.status")};
    const gr_str sum[] = {GR_STR("83632b779d87:SUM")}, max[] = {GR_STR("83632b779d87:MAX")};
    const gr_str two[] = {GR_STR("83632b779d87:SUM"), GR_STR("221d2a4bfdae:SUM"), GR_STR("83632b779d87:SUM")};
    const gr_str distinct[] = {GR_STR("69dfcb072307:")};
    gr_arena *arena = gr_arena_new();
    assert_str(gr_catalog_preagg_hash(8, status, 1, sum, 1, arena), "b038c6cc");
    assert_str(gr_catalog_preagg_hash(8, status, 1, max, 1, arena), "c8067b69");
    assert_str(gr_catalog_preagg_hash(9, status, 1, sum, 1, arena), "d91fc5fa");
    assert_str(gr_catalog_preagg_hash(8, both, 2, two, 3, arena), "79cab025"); /* tokens are a set */
    assert_str(gr_catalog_preagg_hash(8, status, 1, distinct, 1, arena), "77594300");
    gr_arena_free(arena);
}

/* As Python's hashlib and json.dumps have it. */
static void test_escapes(void **state) {
    (void)state;
    const gr_str grain[] = {GR_STR("a\"\\\n\x01/"), GR_STR("\xc3\xa9\xf0\x9f\x98\x80\x7f")};
    gr_arena *arena = gr_arena_new();
    assert_str(gr_catalog_grain_group_hash(1, grain, 2, arena), "696a4df9c4d1377bb0a32d8463b65543");
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr_hash),   cmocka_unit_test(test_tokens),  cmocka_unit_test(test_group_hash),
        cmocka_unit_test(test_preagg_hash), cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
