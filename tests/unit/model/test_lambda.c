/* rollup_lambda (cube.md 1.13, 4.11): what is loaded, and each fault with its place and hint. */
#include "unit/model/model_fixture.h"

/* The lambda stands on line 8, its keys from column 40. */
#define L(text) LIST("      - {name: l, type: rollup_lambda, " text "}\n")
#define LIST(lambdas)                                                                                                  \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: o\n"                                                                                               \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: status, sql: s, type: string}, "    \
    "{name: kind, sql: k, type: string}, {name: at, sql: at, type: time}]\n"                                           \
    "    measures: [{name: count, type: count}, {name: total, sql: v, type: sum}]\n"                                   \
    "    segments: [{name: done, sql: \"s = 1\"}]\n"                                                                   \
    "    pre_aggregations:\n" lambdas PART("month",                                                                    \
                                           "partition_granularity: month") PART("week", "partition_granularity: week") \
        PART("day", "partition_granularity: day") PART("hour", "partition_granularity: hour") PART(                    \
            "whole",                                                                                                   \
            "external: true") "      - {name: turned, measures: [total, count], dimensions: [status], "                \
                              "time_dimension: at, "                                                                   \
                              "granularity: hour, partition_granularity: day}\n"                                       \
                              "      - {name: other, measures: [count, total], dimensions: [kind], time_dimension: "   \
                              "at, "                                                                                   \
                              "granularity: hour, partition_granularity: day}\n"                                       \
                              "      - {name: by_day, measures: [count, total], dimensions: [status], "                \
                              "time_dimension: at, "                                                                   \
                              "granularity: day, partition_granularity: day}\n"                                        \
                              "      - {name: cut, measures: [count, total], dimensions: [status], segments: [done], " \
                              "time_dimension: at, granularity: hour, partition_granularity: day}\n"                   \
                              "      - {name: rows, type: original_sql}\n"                                             \
                              "  - {name: streamed, extends: orders, sql_table: live}\n"
#define PART(name, more)                                                                                               \
    "      - {name: " name                                                                                             \
    ", measures: [count, total], dimensions: [status], time_dimension: at, granularity: hour, " more "}\n"

static const gr_preagg *preagg(const char *id) {
    for (size_t i = 0; i < model->n_preaggs; i++)
        if (gr_str_eq_z(model->preaggs[i]->id, id)) return model->preaggs[i];
    fail_msg("no pre-aggregation '%s'", id);
    return NULL;
}

static void test_loaded(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *first, *last;
        size_t n;
        bool unions_source;
    } rows[] = {
        {L("rollups: [whole]"), "orders.whole", "orders.whole", 1, false},
        {L("rollups: [CUBE.month, orders.day, hour], union_with_source_data: true"), "orders.month", "orders.hour", 3,
         true},
        {L("rollupReferences: [day, day], unionWithSourceData: \"true\""), "orders.day", "orders.day", 2, true},
        {L("rollups: [week, day], union_with_source_data: false"), "orders.week", "orders.day", 2, false},
        {L("measures: [count, total], dimensions: [status], time_dimension: at, granularity: hour, rollups: [day]"),
         "orders.day", "orders.day", 1, false},
        {L("measure_references: [count, total], dimension_references: [status], time_dimension_reference: at, "
           "granularity: hour, rollups: [day, streamed.hour]"),
         "orders.day", "streamed.hour", 2, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_good(rows[i].yaml);
        const gr_preagg *l = preagg("orders.l");
        assert_int_equal(l->type, GR_PREAGG_ROLLUP_LAMBDA);
        assert_int_equal(l->n_rollups, rows[i].n);
        assert_ptr_equal(l->rollups[0], preagg(rows[i].first));
        assert_ptr_equal(l->rollups[l->n_rollups - 1], preagg(rows[i].last));
        assert_int_equal(l->unions_source, rows[i].unions_source);
        assert_int_equal(l->n_measures, 2);
        assert_int_equal(l->n_dimensions, 1);
        assert_int_equal(l->n_time_dimensions, 1);
        assert_false(l->scheduled_refresh);
        assert_false(gr_preagg_has_table(l));
        assert_int_equal(diags.n_errors, 0);
    }
}

/* Without members of its own it has those of its first rollup; in a child it is made of the child's. */
static void test_members(void **state) {
    (void)state;
    load_good(L("rollups: [CUBE.cut, CUBE.cut]"));
    const gr_preagg *l = preagg("orders.l"), *child = preagg("streamed.l");
    assert_ptr_equal(l->measures, preagg("orders.cut")->measures);
    assert_int_equal(l->n_segments, 1);
    assert_ptr_equal(l->time_dimensions, preagg("orders.cut")->time_dimensions);
    assert_ptr_equal(child->rollups[1], preagg("streamed.cut"));
    assert_ptr_equal(child->measures[0].member->cube, child->cube);
}

typedef struct fault {
    const char *yaml, *message;
    uint32_t col; /* of line 8 */
    const char *hint;
} fault;

static void test_faults(void **state) {
    (void)state;
    static const fault rows[] = {
        {L("union_with_source_data: true"), "(preAggregations.l.rollups) is required", 9, NULL},
        {L("rollups: []"), "rollupLambda 'orders.l' should reference at least one rollup", 49, "from coarse to fine"},
        {L("rollups: [day, rows]"),
         "(preAggregations.l.rollups[1]) 'orders.rows' is of type original_sql, and a rollup", 55, NULL},
        {L("rollups: [l]"), "'orders.l' is of type rollup_lambda, and a rollup is expected", 50, NULL},
        {L("rollups: [day, whole]"),
         "'orders.whole' doesn't have partition granularity. Partition granularity is required if multiple rollups are "
         "provided.",
         55, "partition_granularity"},
        {L("rollups: [day, week]"),
         "'orders.day' and 'orders.week' referenced by 'orders.l' rollupLambda have incompatible partition "
         "granularities. 'day' can't be padded by 'week'",
         55, "from coarse to fine"},
        {L("rollups: [month, week]"), "'month' can't be padded by 'week'", 57, NULL},
        {L("rollups: [hour, day]"), "'hour' can't be padded by 'day'", 56, NULL},
        {L("rollups: [day, turned]"),
         "Names for measures doesn't match between 'orders.l' and 'orders.turned': [\"count\",\"total\"] does not "
         "equal "
         "to [\"total\",\"count\"]",
         55, "in the same order"},
        {L("rollups: [day, other]"),
         "Names for dimensions doesn't match between 'orders.l' and 'orders.other': [\"status\"] does not equal to "
         "[\"kind\"]",
         55, NULL},
        {L("rollups: [day, by_day]"),
         "Names for timeDimensions doesn't match between 'orders.l' and 'orders.by_day': [\"at.hour\"] does not equal "
         "to [\"at.day\"]",
         55, NULL},
        {L("rollups: [day, cut]"), "Names for segments doesn't match", 55, NULL},
        {L("measures: [count], dimensions: [status], time_dimension: at, granularity: hour, rollups: [day]"),
         "Names for measures doesn't match between 'orders.l' and 'orders.day': [\"count\"] does not equal to "
         "[\"count\",\"total\"]",
         130, NULL},
        {L("rollups: [day, streamed.day], union_with_source_data: true"),
         "unionWithSourceData can be enabled only for pre-aggregation within 'orders' cube but 'streamed.day' "
         "pre-aggregation is defined within 'streamed' cube",
         55, "one of the cube 'orders'"},
        {L("rollups: [day], refresh_key: {every: 1 hour}"),
         "(preAggregations.l.refreshKey = [object Object]) is not allowed", 56, "to the rollups that it is made of"},
        {L("rollups: [day], external: true"), "(preAggregations.l.external = true) is not allowed", 56, NULL},
        {L("rollups: [day], partition_granularity: day"),
         "(preAggregations.l.partitionGranularity = day) is not allowed", 56, NULL},
        {L("rollups: [day], indexes: [{name: i, columns: [status]}]"), "(preAggregations.l.indexes = ", 56, NULL},
        {L("rollups: [day], scheduled_refresh: false"), "(preAggregations.l.scheduledRefresh = false) is not allowed",
         56, NULL},
        {L("rollups: [day], build: explicit"), "(preAggregations.l.build = explicit) is not allowed", 56, NULL},
        {L("rollups: [day], rollup_references: [day]"), "(preAggregations.l.rollupReferences = ", 56, NULL},
        {LIST("      - {name: l, measures: [count],      union_with_source_data: true}\n"),
         "(preAggregations.l.unionWithSourceData = true) is not allowed", 43, "rollup_lambda"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (load(rows[i].yaml) != GR_ERR_MODEL_INVALID_SET) fail_msg("row %zu is accepted", i);
        const gr_diag *d = find_diag(GR_ERR_MODEL_INVALID, rows[i].message);
        if (d->loc.line != 8 || d->loc.col != rows[i].col) fail_msg("row %zu: %u:%u", i, d->loc.line, d->loc.col);
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
    }
    assert_int_equal(load(L("rollups: [day, gone]")), GR_ERR_MODEL_INVALID_SET);
    find_diag(GR_ERR_MODEL_UNRESOLVED, "(preAggregations.l.rollups[1]) there is no pre-aggregation 'gone'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
