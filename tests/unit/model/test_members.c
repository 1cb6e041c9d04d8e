/* A model without faults: what is loaded is what was written, and every name is bound. */
#include "unit/model/model_fixture.h"

static const char *const shop =
    "cubes:\n"
    "  - name: orders\n"
    "    sql_table: public.orders\n"
    "    title: Shop Orders\n"
    "    description: All\n"
    "    meta: {owner: {team: a}}\n"
    "    joins:\n"
    "      - {name: users, relationship: many_to_one, sql: \"{CUBE.user_id} = {users.id}\"}\n"
    "      - {name: items, relationship: hasMany, sql: \"{CUBE}.id = {items}.order_id\"}\n"
    "    dimensions:\n"
    "      - {name: id, sql: id, type: number, primary_key: \"true\"}\n"
    "      - {name: userId, sql: user_id, type: number, public: false}\n"
    "      - {name: user_id, sql: \"{CUBE}.user_id\", type: number, format: id}\n"
    "      - {name: status, sql: status, type: string, order: desc, title: State}\n"
    "      - name: size\n"
    "        type: string\n"
    "        case:\n"
    "          when:\n"
    "            - {sql: \"{total_of_row} > 100\", label: big}\n"
    "            - {sql: \"{CUBE}.x > 10\", label: {sql: \"{CUBE.status} || 'x'\"}}\n"
    "          else: {label: small}\n"
    "      - {name: total_of_row, sql: \"{CUBE}.amount * 2\", type: number}\n"
    "      - {name: place, type: geo, latitude: {sql: \"{CUBE}.lat\"}, longitude: {sql: lon}}\n"
    "      - name: created_at\n"
    "        sql: created_at\n"
    "        type: time\n"
    "        granularities:\n"
    "          - {name: fiscal_year, interval: 1 year, offset: 3 months}\n"
    "          - {name: five_days, interval: 5 days, origin: '2024-01-01', title: Fives}\n"
    "      - {name: month, sql: \"{created_at.month}\", type: time}\n"
    "      - {name: fy, sql: \"{CUBE.created_at.fiscal_year}\", type: time}\n"
    "      - {name: country, sql: \"{CUBE.users.country}\", type: string}\n"
    "      - {name: name, sql: \"{users.country}\", type: string}\n"
    "    measures:\n"
    "      - {name: count, type: count, drill_members: [id, CUBE.status, users.country]}\n"
    "      - {name: star, type: count, sql: \"*\"}\n"
    "      - {name: total, type: sum, sql: amount, format: currency, currency: EUR, filters: [{sql: \"{CUBE.status} = "
    "'done'\"}, {sql: \"1 = 1\"}]}\n"
    "      - {name: avg_total, type: number, sql: \"{total} / nullif({count}, 0)\", meta: {a: 1}}\n"
    "      - {name: ratio, type: number, sql: \"sum({CUBE}.a) / count(*)\"}\n"
    "      - {name: odd, type: number, sql: \"my_own({CUBE}.a)\"}\n"
    "      - {name: one, type: number, sql: \"1\"}\n"
    "      - {name: uniq, type: countDistinct, sql: \"{userId}\"}\n"
    "      - {name: approx, type: count_distinct_approx, sql: user_id, shown: false}\n"
    "      - {name: first_at, type: min, sql: \"{created_at}\", cumulative: true}\n"
    "      - {name: label, type: string, sql: \"max({CUBE}.status)\"}\n"
    "    segments:\n"
    "      - {name: done, sql: \"{CUBE.status} = 'done'\"}\n"
    "    hierarchies:\n"
    "      - {name: where_it_is, levels: [users.country, status]}\n"
    "  - name: users\n"
    "    sql: select * from users\n"
    "    sqlAlias: U1\n"
    "    dataSource: default\n"
    "    public: false\n"
    "    dimensions:\n"
    "      - {name: id, sql: id, type: number, primaryKey: true, public: true}\n"
    "      - {name: country, sql: country, type: string}\n"
    "  - name: items\n"
    "    sql: \"select * from ({users.sql()}) t\"\n"
    "    dimensions:\n"
    "      - {name: a, sql: a, type: number, primary_key: true}\n"
    "      - {name: b, sql: b, type: number, primary_key: true}\n"
    "  - {name: alone, sql_table: x, data_source: other}\n";

static void test_cubes(void **state) {
    (void)state;
    /* userId and user_id would be one column. */
    assert_int_equal(load(shop), GR_ERR_MODEL_INVALID_SET);
    find_diag(GR_ERR_MODEL_DUPLICATE, "'orders__user_id'");
    assert_int_equal(diags.n_errors, 1);
}

static void load_shop(void) {
    char *text = strdup(shop), *at;
    while ((at = strstr(text, "userId"))) memcpy(at, "buyer1", 6);
    load_good(text);
    free(text);
    if (diags.list.n) {
        print_diags();
        fail_msg("a warning");
    }
}

static void test_cube_keys(void **state) {
    (void)state;
    load_shop();
    assert_int_equal(model->n_cubes, 4);
    const gr_cube *orders = gr_model_cube(model, GR_STR("orders")), *users = gr_model_cube(model, GR_STR("users")),
                  *items = gr_model_cube(model, GR_STR("items")), *alone = gr_model_cube(model, GR_STR("alone"));
    expect_str(orders->title, "Shop Orders");
    expect_str(orders->description, "All");
    expect_str(orders->data_source, "default");
    expect_str(orders->sql_table->source, "public.orders");
    assert_null(orders->sql);
    assert_non_null(gr_yaml_get(orders->meta, GR_STR("owner")));
    assert_true(orders->is_public);
    assert_int_equal(orders->loc.line, 2);
    assert_int_equal(orders->loc.col, 11);
    expect_str(users->alias, "u1");
    expect_str(users->title, "Users");
    assert_false(users->is_public);
    assert_ptr_equal(items->sql->parts[1].cube, users);
    assert_int_equal(items->sql->parts[1].kind, GR_PART_CUBE_SQL);
    assert_int_equal(items->n_primary_keys, 2);
    expect_str(items->primary_keys[1]->name, "b");
    assert_int_equal(orders->component, 1);
    assert_int_equal(users->component, 1);
    assert_int_equal(items->component, 1);
    assert_int_equal(alone->component, 2);
    expect_str(alone->data_source, "other");
    assert_int_equal(orders->n_joins, 2);
    assert_int_equal(orders->joins[0].relationship, GR_JOIN_MANY_TO_ONE);
    assert_int_equal(orders->joins[1].relationship, GR_JOIN_ONE_TO_MANY);
    assert_ptr_equal(orders->joins[1].to, items);
    assert_ptr_equal(orders->joins[0].sql->parts[2].member, member("users.id"));
    assert_int_equal(orders->joins[1].sql->parts[2].kind, GR_PART_TABLE);
    assert_ptr_equal(orders->joins[1].sql->parts[2].cube, items);
    assert_int_equal(orders->n_hierarchies, 1);
    expect_str(orders->hierarchies[0].title, "Where It Is");
    assert_int_equal(orders->hierarchies[0].n_levels, 2);
    expect_str(orders->hierarchies[0].levels[0], "users.country");
    for (size_t i = 0; i < model->n_cubes; i++) assert_int_equal(model->cubes[i]->index, i);
    assert_int_equal(model->hash.n, 32);
}

static void test_dimensions(void **state) {
    (void)state;
    load_shop();
    const gr_member *m = member("orders.id");
    assert_true(m->is_primary_key);
    assert_false(m->is_public);
    assert_true(m->sql->is_column);
    assert_true(member("users.id")->is_public);
    assert_false(member("orders.buyer1")->is_public);
    m = member("orders.status");
    expect_str(m->column, "orders__status");
    expect_str(m->title, "Shop Orders State");
    expect_str(m->short_title, "State");
    expect_str(m->order, "desc");
    assert_int_equal(m->loc.line, 14);
    assert_int_equal(m->loc.col, 16);
    expect_str(member("users.country")->column, "u1__country");
    expect_str(member("orders.user_id")->short_title, "User ID");
    expect_str(member("orders.user_id")->format, "id");
    m = member("orders.size");
    assert_null(m->sql);
    assert_int_equal(m->n_cases, 3);
    expect_str(m->cases[0].label, "big");
    assert_ptr_equal(m->cases[0].when->parts[0].member, member("orders.total_of_row"));
    assert_ptr_equal(m->cases[1].label_sql->parts[0].member, member("orders.status"));
    assert_null(m->cases[2].when);
    expect_str(m->cases[2].label, "small");
    m = member("orders.place");
    assert_int_equal(m->dim_type, GR_DIM_GEO);
    assert_int_equal(m->latitude->parts[0].kind, GR_PART_TABLE);
    assert_true(m->longitude->is_column);
    m = member("orders.created_at");
    assert_int_equal(m->n_granularities, 2);
    expect_str(m->granularities[0].title, "Fiscal Year");
    expect_str(m->granularities[1].title, "Fives");
    expect_str(m->granularities[1].origin_text, "2024-01-01");
}

static void test_granularities(void **state) {
    (void)state;
    load_shop();
    const gr_member *created = member("orders.created_at");
    assert_ptr_equal(gr_member_granularity(created, GR_STR("day")), gr_granularity_predefined(GR_GRAIN_DAY));
    assert_ptr_equal(gr_member_granularity(created, GR_STR("fiscal_year")), &created->granularities[0]);
    assert_null(gr_member_granularity(created, GR_STR("Day")));
    assert_null(gr_member_granularity(member("orders.status"), GR_STR("day")));
    assert_null(gr_member_granularity(member("orders.count"), GR_STR("day")));
    assert_ptr_equal(member("orders.month")->sql->parts[0].granularity, gr_granularity_predefined(GR_GRAIN_MONTH));
    assert_ptr_equal(member("orders.fy")->sql->parts[0].granularity, &created->granularities[0]);
}

static void test_paths(void **state) {
    (void)state;
    load_shop();
    const gr_part *p = &member("orders.country")->sql->parts[0];
    assert_int_equal(p->kind, GR_PART_MEMBER);
    assert_int_equal(p->n_path, 2);
    expect_str(p->path[0]->name, "orders");
    expect_str(p->path[1]->name, "users");
    p = &member("orders.name")->sql->parts[0];
    assert_int_equal(p->n_path, 1);
    expect_str(p->path[0]->name, "users");
    assert_ptr_equal(p->member, member("users.country"));
    p = &member("orders.size")->cases[0].when->parts[0];
    assert_int_equal(p->n_path, 0);
    assert_ptr_equal(p->cube, gr_model_cube(model, GR_STR("orders")));
}

static void test_measures(void **state) {
    (void)state;
    static const struct {
        const char *id;
        gr_measure_type agg;
        bool is_calculated, has_own, is_additive;
    } rows[] = {
        {"orders.count", GR_MEASURE_COUNT, false, false, true},
        {"orders.star", GR_MEASURE_COUNT, false, false, true},
        {"orders.total", GR_MEASURE_SUM, false, false, true},
        {"orders.avg_total", GR_MEASURE_NUMBER, true, false, false},
        {"orders.ratio", GR_MEASURE_NUMBER, true, false, false}, /* taken apart */
        {"orders.odd", GR_MEASURE_NUMBER, true, true, false},
        {"orders.one", GR_MEASURE_NUMBER, true, false, false},
        {"orders.uniq", GR_MEASURE_COUNT_DISTINCT, false, false, false},
        {"orders.approx", GR_MEASURE_COUNT_DISTINCT_APPROX, false, false, true},
        {"orders.first_at", GR_MEASURE_MIN, false, false, true},
        {"orders.label", GR_MEASURE_STRING, true, false, false},
    };
    load_shop();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_member *m = member(rows[i].id);
        if (m->agg != rows[i].agg || m->is_calculated != rows[i].is_calculated ||
            m->has_own_aggregate != rows[i].has_own || gr_measure_is_additive(m) != rows[i].is_additive)
            fail_msg("%s", rows[i].id);
    }
    assert_null(member("orders.star")->sql);
    assert_int_equal(member("orders.total")->n_filters, 2);
    assert_ptr_equal(member("orders.total")->filters[0]->parts[0].member, member("orders.status"));
    expect_str(member("orders.total")->currency, "EUR");
    expect_str(member("orders.total")->format, "currency");
    assert_false(member("orders.approx")->is_public);
    assert_true(member("orders.first_at")->is_cumulative);
    const gr_member *count = member("orders.count");
    assert_int_equal(count->n_drill_members, 3);
    expect_str(count->drill_members[2], "users.country");
    assert_ptr_equal(member("orders.avg_total")->sql->parts[2].member, count);
    assert_int_equal(member("orders.done")->kind, GR_MEMBER_SEGMENT);
}

static void test_indexes_are_dense(void **state) {
    (void)state;
    load_shop();
    size_t n = 0;
    for (size_t i = 0; i < model->n_members; i++) {
        assert_int_equal(model->members[i]->index, i);
        n += !model->members[i]->is_synthetic;
    }
    for (size_t i = 0; i < model->n_cubes; i++)
        for (size_t k = 0; k < model->cubes[i]->members.n; k++) {
            const gr_member *m = model->cubes[i]->members.entries[k].value;
            assert_true(m->index < model->n_members);
            assert_ptr_equal(model->members[m->index], m);
            n--;
        }
    assert_int_equal(n, 0);
}

/* Both ends of a loop of joins may be declared. */
static void test_join_loop(void **state) {
    (void)state;
    load_good(
        "cubes:\n"
        "  - {name: a, sql_table: a, joins: [{name: b, relationship: one_to_many, sql: \"{CUBE}.id = {b}.a_id\"}]}\n"
        "  - {name: b, sql_table: b, joins: [{name: a, relationship: many_to_one, sql: \"{CUBE}.a_id = {a}.id\"}]}\n");
    assert_int_equal(diags.list.n, 0);
}

/* A step of a path that is no declared join is filled in with the shortest way. */
static void test_path_over_a_gap(void **state) {
    (void)state;
    load_good("cubes:\n"
              "  - {name: a, sql_table: a, joins: [{name: b, relationship: many_to_one, sql: \"{CUBE}.b = {b}.id\"}], "
              "dimensions: [{name: x, sql: \"{CUBE.c.y}\", type: string}]}\n"
              "  - {name: b, sql_table: b, joins: [{name: c, relationship: many_to_one, sql: \"{CUBE}.c = {c}.id\"}]}\n"
              "  - {name: c, sql_table: c, dimensions: [{name: y, sql: y, type: string}]}\n");
    const gr_part *p = &member("a.x")->sql->parts[0];
    assert_int_equal(p->n_path, 3);
    expect_str(p->path[1]->name, "b");
}

/* A cube and a member of one name: in SQL the cube is meant, in a list of members the member. */
static void test_cube_and_member_of_one_name(void **state) {
    (void)state;
    load_good("cubes:\n"
              "  - name: orders\n"
              "    sql_table: o\n"
              "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.u = {users}.id\"}]\n"
              "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: x, sql: \"{users.y}\", "
              "type: string}]\n"
              "    measures: [{name: users, type: count_distinct, sql: u, drill_members: [users.y, users]}]\n"
              "  - {name: users, sql_table: u, dimensions: [{name: y, sql: y, type: string}]}\n");
    assert_ptr_equal(member("orders.x")->sql->parts[0].member, member("users.y"));
    expect_str(member("orders.users")->drill_members[0], "users.y");
    expect_str(member("orders.users")->drill_members[1], "orders.users");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cubes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cube_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dimensions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_granularities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_measures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_indexes_are_dense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_join_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_path_over_a_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cube_and_member_of_one_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
