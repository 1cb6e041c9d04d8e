/* Pre-aggregations as they are loaded, and keys that are kept with a warning. */
#include "unit/model/model_fixture.h"

#define CUBES                                                                                                          \
    "cubes:\n"                                                                                                         \
    "  - {name: users, sql_table: u, joins: [{name: cities, relationship: many_to_one, sql: \"{CUBE}.c = "             \
    "{cities}.id\"}], dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: name, sql: n, type: "  \
    "string}]}\n"                                                                                                      \
    "  - {name: cities, sql_table: c, dimensions: [{name: city, sql: c, type: string}]}\n"                             \
    "  - name: orders\n"                                                                                               \
    "    sql_table: o\n"                                                                                               \
    "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.u = {users}.id\"}]\n"                          \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: status, sql: s, type: string}, "    \
    "{name: at, sql: at, type: time, granularities: [{name: fy, interval: 1 year, offset: 3 months}]}]\n"              \
    "    measures: [{name: count, type: count}, {name: total, type: sum, sql: x}]\n"                                   \
    "    segments: [{name: done, sql: \"s = 1\"}]\n"                                                                   \
    "    pre_aggregations:\n" /* line 10 */

static void test_rollup(void **state) {
    (void)state;
    load_good(CUBES "      - name: Main1\n"
                    "        measures: [CUBE.count, total]\n"
                    "        dimensions: [orders.status, users.name, CUBE.users.cities.city, orders.users.id]\n"
                    "        segments: [done]\n"
                    "        timeDimension: CUBE.at\n"
                    "        granularity: fy\n"
                    "        external: \"false\"\n"
                    "        allow_non_strict_date_range_match: true\n"
                    "        build: explicit\n"
                    "      - {name: second, sql_alias: Zwo, type: rollup, time_dimensions: [{dimension: at, "
                    "granularity: day}, {dimension: at, granularity: fy}]}\n"
                    "      - {name: old, measureReferences: [count], dimensionReferences: [status], segmentReferences: "
                    "[done], timeDimensionReference: at, granularity: month}\n");
    assert_int_equal(diags.list.n, 0);
    assert_int_equal(model->n_preaggs, 3);
    const gr_preagg *p = model->preaggs[0];
    expect_str(p->id, "orders.Main1");
    expect_str(p->alias, "main1");
    assert_int_equal(p->loc.line, 11);
    assert_int_equal(p->loc.col, 15);
    assert_int_equal(p->type, GR_PREAGG_ROLLUP);
    assert_int_equal(p->build, GR_BUILD_EXPLICIT);
    assert_int_equal(p->is_external, 0);
    assert_int_equal(p->is_non_strict, 1);
    assert_int_equal(p->n_measures, 2);
    assert_ptr_equal(p->measures[1].member, member("orders.total"));
    assert_int_equal(p->measures[1].loc.col, 32);
    assert_int_equal(p->n_segments, 1);
    assert_int_equal(p->n_dimensions, 4);
    static const struct {
        const char *id;
        size_t n;
        const char *first;
    } paths[] = {{"orders.status", 1, "orders"},
                 {"users.name", 1, "users"},
                 {"cities.city", 3, "orders"},
                 {"users.id", 2, "orders"}};
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(p->dimensions[i].member, member(paths[i].id));
        assert_int_equal(p->dimensions[i].path.n, paths[i].n);
        expect_str(p->dimensions[i].path.cubes[0]->name, paths[i].first);
        assert_ptr_equal(p->dimensions[i].path.cubes[paths[i].n - 1], p->dimensions[i].member->cube);
    }
    assert_int_equal(p->n_time_dimensions, 1);
    assert_ptr_equal(p->time_dimensions[0].granularity, &member("orders.at")->granularities[0]);
    p = model->preaggs[1];
    expect_str(p->alias, "zwo");
    assert_int_equal(p->n_time_dimensions, 2);
    assert_int_equal(p->is_external, -1);
    assert_int_equal(p->is_non_strict, -1);
    assert_int_equal(p->build, GR_BUILD_ON_DEMAND);
    p = model->preaggs[2];
    assert_int_equal(p->n_measures + p->n_dimensions + p->n_segments + p->n_time_dimensions, 4);
    assert_ptr_equal(p->time_dimensions[0].granularity, gr_granularity_predefined(GR_GRAIN_MONTH));
}

/* Each key without effect is kept, and warned of once, at its first place. */
static void test_kept_keys(void **state) {
    (void)state;
    load_good(
        CUBES
        "      - name: r\n"
        "        measures: [count]\n"
        "        time_dimension: at\n"
        "        granularity: day\n"
        "        partition_granularity: month\n"
        "        refresh_key: {every: 1 month, incremental: true, update_window: 3 months, timezone: Europe/Berlin}\n"
        "        build_range_start: {sql: \"select '2020-01-01'\"}\n"
        "        refresh_range_end: {sql: select now()}\n"
        "        scheduled_refresh: false\n"
        "        indexes: [{name: i, columns: [status], type: aggregate}, {name: j, sql: create index}]\n"
        "        unique_key_columns: [id]\n"
        "        output_column_types: [{member: count, type: int}]\n"
        "        stream_offset: earliest\n"
        "        read_only: true\n"
        "        selection: cheapest\n"
        "        use_original_sql_pre_aggregations: false\n"
        "        union_with_source_data: \"false\"\n"
        "      - {name: q, measures: [total], refresh_key: {sql: select max(x) from o, every: 1 hour}, "
        "partition_granularity: day, read_only: true}\n"
        "      - {name: s, measures: [total], dimensions: [status], refresh_key: {every: 30 5 * * *}}\n");
    const gr_preagg *p = model->preaggs[0];
    assert_int_equal(p->partition_granularity, GR_GRAIN_MONTH);
    assert_non_null(p->refresh_key);
    assert_non_null(p->build_range_start);
    assert_non_null(p->build_range_end);
    assert_non_null(p->indexes);
    assert_false(p->scheduled_refresh);
    assert_true(p->is_cheapest);
    assert_false(model->preaggs[1]->is_cheapest);
    assert_false(p->uses_original_sql);
    assert_true(model->preaggs[1]->scheduled_refresh);
    static const struct {
        const char *key;
        uint32_t line, col;
    } rows[] = {
        {"'unique_key_columns'", 21, 9},
        {"'output_column_types'", 22, 9},
        {"'stream_offset'", 23, 9},
        {"'read_only'", 24, 9},
    };
    if (diags.n_warnings != COUNT(rows)) print_diags();
    assert_int_equal(diags.n_warnings, COUNT(rows));
    assert_int_equal(diags.n_errors, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_diag *d = find_diag(GR_ERR_MODEL_NO_EFFECT, rows[i].key);
        assert_true(d->is_warning);
        expect_at(d, rows[i].line, rows[i].col);
    }
    expect_str(find_diag(GR_ERR_MODEL_NO_EFFECT, "'read_only'")->hint, "first of 2 places; the others are not listed");
}

static void test_kept_keys_of_cubes(void **state) {
    (void)state;
    load_good(
        "view_groups: [{name: g}]\n"
        "cubes:\n"
        "  - name: a\n"
        "    sql_table: t\n"
        "    refresh_key: {immutable: true}\n"
        "    rewrite_queries: true\n"
        "    selection: first\n"
        "    calendar: false\n"
        "    dimensions:\n"
        "      - {name: d, sql: d, type: string, suggest_filter_values: false, values_as_segments: true, key: CUBE.d, "
        "field_type: x, aliases: [e], links: [1], propagate_filters_to_sub_query: true, sub_query: false}\n"
        "    measures: [{name: m, type: count, drill_filters: [{sql: x}], aliases: [n]}]\n"
        "    segments: [{name: s, sql: x, aliases: [n]}]\n"
        "views:\n"
        "  - {name: v, cubes: [{join_path: a, includes: \"*\"}], folders: [{name: f, includes: [d]}]}\n");
    assert_int_equal(diags.n_errors, 0);
    if (diags.n_warnings != 12) print_diags();
    assert_int_equal(diags.n_warnings, 12);
    assert_false(gr_model_cube(model, GR_STR("a"))->is_cheapest);
    assert_false(member("a.d")->propagates_filters);
    assert_non_null(gr_model_cube(model, GR_STR("a"))->refresh_key);
    assert_false(member("a.d")->suggest_filter_values);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rollup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept_keys_of_cubes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
