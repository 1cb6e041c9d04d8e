/* Names made from names (cube.md 1.17), and the search for members by id. */
#include "unit/model/model_fixture.h"

static void test_underscore(void **state) {
    (void)state;
    static const struct {
        const char *name, *under;
    } rows[] = {
        {"OrdersPAIndex", "orders_pa_index"},
        {"OrdersPAIndexGranularity", "orders_pa_index_granularity"},
        {"createdAt", "created_at"},
        {"created_at", "created_at"},
        {"orders", "orders"},
        {"ID", "id"},
        {"userID", "user_id"},
        {"x2Y", "x2_y"},
        {"A", "a"},
        {"", ""},
        {"_x", "_x"},
        {"Orders_View", "orders_view"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_str(gr_model_underscore(gr_str_from(rows[i].name), arena), rows[i].under);
}

static void test_titleize(void **state) {
    (void)state;
    static const struct {
        const char *name, *title;
    } rows[] = {
        {"users_count", "Users Count"},
        {"createdAt", "Created At"},
        {"id", "ID"},
        {"user_id", "User ID"},
        {"idea", "Idea"},
        {"paid", "Paid"},
        {"id_card", "Id Card"},
        {"orders", "Orders"},
        {"_x__y_", "X Y"},
        {"_", "_"},
        {"hybrid", "Hybrid"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_str(gr_model_titleize(gr_str_from(rows[i].name), arena), rows[i].title);
}

static const char *const text = "cubes:\n"
                                "  - name: orders\n"
                                "    sql_table: o\n"
                                "    measures: [{name: count, type: count}, {name: total, type: sum, sql: x}]\n"
                                "  - name: users\n"
                                "    sql_table: u\n";

static void test_member_by_id(void **state) {
    (void)state;
    static const struct {
        const char *id, *message, *hint;
    } rows[] = {
        {"orders.count", NULL, NULL},
        {"order.count", "Cube 'order' not found for path 'order.count'", "'orders'"},
        {"orders.cuont", "'cuont' not found for path 'orders.cuont'", "'orders.count'"},
        {"orders.nothing_like_it", "'nothing_like_it' not found for path 'orders.nothing_like_it'", NULL},
        {"orders.count.day", "'count.day' not found for path 'orders.count.day'", NULL},
        {"orders", "'orders' is not a path of a member", "cube.member"},
        {"", "'' is not a path of a member", NULL},
        {".", "Cube '' not found for path '.'", NULL},
        {"users.x", "'x' not found for path 'users.x'", NULL},
    };
    load_good(text);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_member *m = NULL;
        gr_error e = {0};
        gr_status status = gr_model_member(model, gr_str_from(rows[i].id), &m, &e);
        if (!rows[i].message) {
            assert_int_equal(status, GR_OK);
            expect_str(m->id, rows[i].id);
            continue;
        }
        assert_int_equal(status, GR_ERR_QUERY_UNKNOWN_MEMBER);
        assert_null(m);
        assert_string_equal(e.message, rows[i].message);
        if (rows[i].hint && !strstr(e.hint, rows[i].hint)) fail_msg("row %zu: hint '%s'", i, e.hint);
    }
    assert_non_null(gr_model_cube(model, GR_STR("users")));
    assert_null(gr_model_cube(model, GR_STR("Users")));
}

static void test_references_are_counted(void **state) {
    (void)state;
    load_good(text);
    gr_model *other = gr_model_ref(model);
    assert_ptr_equal(other, model);
    gr_model_unref(model);
    expect_str(member("orders.count")->id, "orders.count"); /* still there */
    gr_model_unref(NULL);
    assert_null(gr_model_ref(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_underscore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_titleize, setup, teardown),
        cmocka_unit_test_setup_teardown(test_member_by_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references_are_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
