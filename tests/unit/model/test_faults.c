/* Each fault of a model: its id, its text as the reference words it (cube.md 1.15 and others), and its exact place. */
#include "unit/model/model_fixture.h"

/* A good cube, to which the body of a row is added at the end. The body starts on line 11. */
#define CUBE                                                                                                           \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: orders\n"                                                                                          \
    "    data_source: default\n"                                                                                       \
    "    dimensions:\n"                                                                                                \
    "      - {name: id, sql: id, type: number, primary_key: true}\n"                                                   \
    "      - {name: status, sql: status, type: string}\n"                                                              \
    "      - {name: created_at, sql: created_at, type: time}\n"                                                        \
    "    title: Orders\n"                                                                                              \
    "    description: All of them\n"
#define MEASURES "    measures:\n      - {name: count, type: count}\n" /* lines 11 and 12 */
#define ROLLUP MEASURES "    pre_aggregations:\n      - name: r\n"     /* body of the rollup starts on line 15 */
#define BODY "        measures: [count]\n"                             /* line 15 */
#define USERS                                                                                                          \
    "  - {name: users, sql_table: users, dimensions: [{name: id, sql: id, type: number, primary_key: true}]}\n"

typedef struct fault {
    const char *yaml;
    gr_status status;
    const char *message;
    uint32_t line, col;
    const char *hint; /* or NULL */
} fault;

static void expect(const fault *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        gr_status status = load(rows[i].yaml);
        if (status != GR_ERR_MODEL_INVALID_SET) {
            print_diags();
            fail_msg("row %zu: status %s", i, gr_error_info_of(status)->id);
        }
        const gr_diag *d = find_diag(rows[i].status, rows[i].message);
        if (d->is_warning) fail_msg("row %zu is a warning", i);
        expect_at(d, rows[i].line, rows[i].col);
        expect_str(d->loc.file, "m.yml");
        if (rows[i].hint && !has(d->hint, rows[i].hint)) fail_msg("row %zu: hint '" GR_FMT "'", i, GR_ARG(d->hint));
        if (diags.n_errors != 1) {
            print_diags();
            fail_msg("row %zu: %zu errors", i, diags.n_errors);
        }
    }
}

static void test_pre_aggregations(void **state) {
    (void)state;
    static const fault rows[] = {
        {CUBE ROLLUP "        time_dimension: created_at\n", GR_ERR_MODEL_INVALID,
         "orders cube: (preAggregations.r.granularity) is required", 14, 9, NULL},
        {CUBE ROLLUP BODY "        granularity: day\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.granularity = day) is not allowed", 16, 9, NULL},
        {CUBE ROLLUP BODY "        partition_granularity: minute\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.partitionGranularity = minute) must be one of [hour, day, week, month, quarter, year]", 16,
         32, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {every: 1 day, update_window: soon}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.updateWindow = soon) does not match regexp: /^(\\d+) "
         "(second|minute|hour|day|week)s?$/",
         16, 52, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {update_window: 1 week}\n", GR_ERR_MODEL_INVALID,
         "\"preAggregations.r.refreshKey\" does not match any of the allowed types", 16, 22, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {sql: select 1, every: 0 * * * *}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.every = 0 * * * *) does not match regexp", 16, 45, "interval"},
        {CUBE ROLLUP BODY "        refresh_key: {sql: select 1, incremental: true}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.incremental = true) is not allowed", 16, 38, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {every: often}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.every = often) does not match regexp", 16, 30, "cron"},
        {CUBE ROLLUP BODY "        refresh_key: {every: 1 day, timezone: Foo/Bar}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.timezone = Foo/Bar) unknown timezone. Take a look here", 16, 47, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {immutable: true, every: 1 day}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.immutable = true) is not allowed", 16, 23, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {}\n", GR_ERR_MODEL_INVALID, "does not match any of the allowed types",
         16, 22, "fingerprint: rows"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: rows, incremental: true}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.incremental = true) is not allowed", 16, 42, "with every"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: rows, update_window: 1 day}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.updateWindow = 1 day) is not allowed", 16, 42, "with every"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: rows, timezone: UTC}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.timezone = UTC) is not allowed", 16, 42, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: \"\"}\n", GR_ERR_MODEL_EXPRESSION,
         "(preAggregations.r.refreshKey.fingerprint) the expression is empty", 16, 36, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: \"max({CUBE}.x)\"}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.fingerprint = max({CUBE}.x)) holds an aggregate function", 16, 36,
         "by partition"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: \"{count}\"}\n", GR_ERR_MODEL_INVALID,
         "a fingerprint cannot be made of 'orders.count', which is a measure", 16, 36, "{CUBE}.updated_at"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: \"{statsu}\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "statsu is not defined", 16, 36, "status"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: \"{CUBE.sql()}\"}\n", GR_ERR_MODEL_INVALID,
         "'{CUBE.sql()}' has no meaning in a fingerprint", 16, 36, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: \"{users}.x\"}\n" USERS, GR_ERR_MODEL_INVALID,
         "looks at the rows of its own cube, and 'users' is another", 16, 36, "of 'orders'"},
        {CUBE ROLLUP BODY "        refresh_key: {fingerprint: [rows]}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.refreshKey.fingerprint = [object Object]) must be a string", 16, 36, NULL},
        {"cubes:\n"
         "  - {name: u, sql_table: u, dimensions: [{name: id, sql: id, type: number, primary_key: true}], measures: "
         "[{name: "
         "n, type: count}], joins: [{name: o, relationship: one_to_many, sql: \"{CUBE}.id = {o}.u\"}]}\n"
         "  - name: o\n"
         "    sql_table: o\n"
         "    joins: [{name: u, relationship: many_to_one, sql: \"{CUBE}.u = {u}.id\"}]\n"
         "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: k, sql: \"{u.n}\", type: "
         "number, "
         "sub_query: true}]\n"
         "    pre_aggregations:\n"
         "      - {name: r, dimensions: [id], refresh_key: {fingerprint: \"{k}\"}}\n",
         GR_ERR_MODEL_INVALID, "a fingerprint cannot be made of 'o.k', which is a sub query", 8, 64, NULL},
        {CUBE ROLLUP BODY "        refresh_key: {sql: \"select max({CUBE}.x)\"}\n", GR_ERR_MODEL_INVALID,
         "'{CUBE}' has no meaning in the SQL of a refresh key", 16, 28, "({CUBE.sql()})"},
        {CUBE ROLLUP BODY "        refresh_key: {sql: \"select 1 from ({nobody.sql()})\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "nobody is not defined", 16, 28, NULL},
        {CUBE ROLLUP BODY "        type: foo\n", GR_ERR_MODEL_INVALID,
         "\"preAggregations.r.type\" must be one of [autoRollup, originalSql, rollupJoin, rollup]. ", 16, 15, NULL},
        {CUBE ROLLUP BODY "        type: rolup\n", GR_ERR_MODEL_INVALID, "must be one of", 16, 15, "rollup"},
        {CUBE ROLLUP BODY "        foo: 1\n", GR_ERR_MODEL_UNKNOWN_KEY, "(preAggregations.r.foo = 1) is not allowed",
         16, 9, NULL},
        {CUBE ROLLUP BODY "        external_: 1\n", GR_ERR_MODEL_UNKNOWN_KEY, "is not allowed", 16, 9,
         "did you mean 'external'?"},
        {CUBE ROLLUP BODY "        refreshKeys: {}\n", GR_ERR_MODEL_UNKNOWN_KEY, "is not allowed", 16, 9,
         "did you mean 'refresh_key'?"},
        {CUBE ROLLUP, GR_ERR_MODEL_INVALID, "(preAggregations.r.type) is required", 14, 9, NULL},
        {CUBE ROLLUP "        type: rollup\n", GR_ERR_MODEL_INVALID, "'orders.r' has no members", 14, 15, NULL},
        {CUBE ROLLUP BODY "        indexes: [{name: i, type: foo, columns: [status]}]\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.indexes.i.type = foo) must be one of [regular, aggregate]", 16, 35, NULL},
        {CUBE ROLLUP BODY "        indexes: [{name: i}]\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.indexes.i.columns) is required", 16, 19, NULL},
        {CUBE ROLLUP BODY "        type: rollup_lambda\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.rollups) is required", 14, 9, NULL},
        {CUBE ROLLUP BODY "        type: auto_rollup\n", GR_ERR_MODEL_UNSUPPORTED, "is not executed yet", 16, 15,
         "leave this pre-aggregation out"},
        {CUBE ROLLUP BODY "        build: sometimes\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.build = sometimes) must be one of [on_demand, explicit]", 16, 16, NULL},
        {CUBE ROLLUP BODY "        external: maybe\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.external = maybe) must be a boolean", 16, 19, NULL},
        {CUBE ROLLUP BODY "        allow_non_strict_date_range_match: \"true\"\n", GR_ERR_MODEL_INVALID,
         "must be a boolean", 16, 44, NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_members_of_pre_aggregations(void **state) {
    (void)state;
    static const fault rows[] = {
        {CUBE ROLLUP "        measures: [count, total]\n", GR_ERR_MODEL_UNRESOLVED, "total is not defined", 15, 27,
         NULL},
        {CUBE ROLLUP "        measures: [CUBE.cont]\n", GR_ERR_MODEL_UNRESOLVED,
         "orders.cont cannot be resolved. There's no such member or cube.", 15, 20, "did you mean 'count'?"},
        {CUBE ROLLUP "        measures: [status]\n", GR_ERR_MODEL_INVALID,
         "'orders.status' is a dimension, and a measure is expected", 15, 20, "dimensions"},
        {CUBE ROLLUP "        measures: [orders]\n", GR_ERR_MODEL_INVALID, "'orders' is a cube", 15, 20, NULL},
        {CUBE ROLLUP "        measures: [count, orders.count]\n", GR_ERR_MODEL_DUPLICATE,
         "'orders.count' is listed twice", 15, 27, "m.yml:15:20"},
        {CUBE ROLLUP "        measures: [\"{count}\"]\n", GR_ERR_MODEL_EXPRESSION, "is not a reference", 15, 20,
         "no braces"},
        {CUBE ROLLUP "        measures: count\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.measures = count) must be an array", 15, 19, NULL},
        {CUBE ROLLUP "        dimensions: [created_at.day]\n", GR_ERR_MODEL_INVALID,
         "a granularity is not allowed here", 15, 22, "time_dimension"},
        {CUBE ROLLUP "        time_dimension: created_at\n        granularity: fortnight\n", GR_ERR_MODEL_UNRESOLVED,
         "Granularity \"fortnight\" does not exist in dimension orders.created_at", 16, 22, NULL},
        {CUBE ROLLUP "        time_dimension: created_at\n        granularity: mont\n", GR_ERR_MODEL_UNRESOLVED,
         "Granularity \"mont\"", 16, 22, "did you mean 'month'?"},
        {CUBE ROLLUP "        time_dimension: status\n        granularity: day\n", GR_ERR_MODEL_INVALID,
         "'orders.status' is not a time dimension", 15, 25, NULL},
        {CUBE ROLLUP "        time_dimension: created_at\n        granularity: day\n        time_dimensions: []\n",
         GR_ERR_MODEL_INVALID, "is not allowed", 17, 9, NULL},
        {CUBE ROLLUP "        time_dimensions: [{dimension: created_at}]\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.timeDimensions[0].granularity) is required", 15, 27, NULL},
        {CUBE ROLLUP "        time_dimensions: [{granularity: day}]\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.timeDimensions[0].dimension) is required", 15, 27, NULL},
        {CUBE ROLLUP BODY "        dimension_references: [status]\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.dimensionReferences = [object Object]) is not allowed", 16, 9, NULL},
        {CUBE ROLLUP BODY "        build_range_start: {}\n", GR_ERR_MODEL_INVALID,
         "(preAggregations.r.buildRangeStart.sql) is required", 16, 28, NULL},
        {CUBE ROLLUP BODY "        build_range_start: {sql: \"select (1\"}\n", GR_ERR_MODEL_EXPRESSION,
         "(preAggregations.r.buildRangeStart.sql) ')' is missing", 16, 34, NULL},
        {CUBE ROLLUP BODY "      - name: r\n" BODY, GR_ERR_MODEL_DUPLICATE,
         "Member names must be unique within a cube. Found duplicate pre-aggregation 'r' in cube 'orders'.", 16, 15,
         "m.yml:14:15"},
        {CUBE ROLLUP BODY "      - name: R\n" BODY, GR_ERR_MODEL_DUPLICATE, "have the same table name", 16, 15, NULL},
        {CUBE ROLLUP BODY "      - measures: [count]\n", GR_ERR_MODEL_INVALID, "(preAggregations[1].name) is required",
         16, 9, NULL},
    };
    expect(rows, COUNT(rows));
}

static void test_measures(void **state) {
    (void)state;
    static const fault rows[] = {
        {CUBE "    measures:\n      - name: x\n", GR_ERR_MODEL_INVALID, "(measures.x.type) is required", 12, 9, NULL},
        {CUBE "    measures:\n      - {name: x, type: median, sql: x}\n", GR_ERR_MODEL_INVALID,
         "\"measures.x.type\" must be one of [count, number, string, boolean, time, sum, avg, min, max, countDistinct, "
         "countDistinctApprox]. ",
         12, 25, NULL},
        {CUBE "    measures:\n      - {name: x, type: count_distnct, sql: x}\n", GR_ERR_MODEL_INVALID, "must be one of",
         12, 25, "did you mean 'count_distinct'?"},
        {CUBE "    measures:\n      - {name: x, type: sum}\n", GR_ERR_MODEL_INVALID, "(measures.x.sql) is required", 12,
         9, NULL},
        {CUBE "    measures:\n      - {name: x, type: number}\n", GR_ERR_MODEL_INVALID, "(measures.x.sql) is required",
         12, 9, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, case: {}}\n", GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.case) is not executed yet", 12, 38, "measures by the value of a dimension"},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, mask: \"0\"}\n", GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.mask)", 12, 38, NULL},
        {CUBE "    measures:\n      - {name: x, type: number, sql: \"sum(x)\", filters: [{sql: y}]}\n",
         GR_ERR_MODEL_UNSUPPORTED, "(measures.x.filters) is not executed for calculated measures", 12, 48, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, filters: [{}]}\n", GR_ERR_MODEL_INVALID,
         "(measures.x.filters[0].sql) is required", 12, 48, NULL},
        {CUBE MEASURES "      - {name: x, type: sum, sql: x, filters: [{sql: \"{count} > 1\"}]}\n",
         GR_ERR_MODEL_INVALID, "a filter of the measure 'orders.x' references the measure 'orders.count'", 13, 54,
         NULL},
        {CUBE MEASURES "      - {name: x, type: sum, sql: \"{count} * 2\"}\n", GR_ERR_MODEL_NESTED_AGGREGATE,
         "Measure 'orders.x' aggregates over the measure 'orders.count'", 13, 35, "{CUBE}.count"},
        {CUBE MEASURES "      - {name: x, type: count_distinct, sql: \"{CUBE.count}\"}\n",
         GR_ERR_MODEL_NESTED_AGGREGATE, "aggregates over", 13, 46, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: \"{amount}\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "amount is not defined", 12, 35, "{CUBE}.amount"},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: \"{CUBE.statu}\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "orders.statu cannot be resolved. There's no such member or cube.", 12, 35, "did you mean 'status'?"},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: \"{ordes.status}\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "ordes is not defined", 12, 35, "did you mean 'orders'?"},
        {CUBE "    measures:\n      - {name: x, type: max, sql: \"{created_at.dy}\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "Granularity \"dy\" does not exist in dimension orders.created_at", 12, 35, "day"},
        {CUBE "    measures:\n      - {name: x, type: max, sql: \"{status.day}\"}\n", GR_ERR_MODEL_UNRESOLVED,
         "orders.status.day cannot be resolved", 12, 35, NULL},
        {CUBE "    measures:\n      - {name: x, type: number, sql: \"{x} + 1\"}\n", GR_ERR_MODEL_CYCLE,
         "orders.x -> orders.x", 12, 38, "{CUBE}.x"},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, currency: EURO}\n", GR_ERR_MODEL_INVALID,
         "(measures.x.currency = EURO) must be an ISO 4217 code", 12, 48, NULL},
        {CUBE "    measures:\n      - {name: x, type: string, sql: \"max(x)\", currency: EUR}\n", GR_ERR_MODEL_INVALID,
         "(measures.x.currency = EUR) is not allowed", 12, 48, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, drill_members: [nothing]}\n",
         GR_ERR_MODEL_UNRESOLVED, "nothing is not defined", 12, 54, NULL},
        {CUBE "    measures:\n      - {name: 1a, type: count}\n", GR_ERR_MODEL_INVALID,
         "with value \"1a\" fails to match the identifier pattern", 12, 16, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: {a: b}}\n", GR_ERR_MODEL_INVALID,
         "(measures.x.sql = [object Object]) must be a string", 12, 35, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, primaryKey: true}\n", GR_ERR_MODEL_UNKNOWN_KEY,
         "(measures.x.primaryKey = true) is not allowed", 12, 38, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, drillMembers: [], drill_members: []}\n",
         GR_ERR_MODEL_DUPLICATE, "is given twice", 12, 56, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: \"{FILTER_PARAMS.orders.status.filter('x')}\"}\n",
         GR_ERR_MODEL_UNSUPPORTED, "(measures.x.sql) FILTER_PARAMS is not executed yet", 12, 35, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: \"{{ amount }}\"}\n", GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.sql) Jinja", 12, 35, NULL},
        {CUBE "    measures:\n      - {name: x, type: sum, sql: x, title: \"{{ t }}\"}\n", GR_ERR_MODEL_UNSUPPORTED,
         "(measures.x.title = {{ t }}) holds a Jinja template", 12, 45, NULL},
        {CUBE MEASURES "      - {name: count, type: sum, sql: x}\n", GR_ERR_MODEL_DUPLICATE,
         "Member names must be unique within a cube. Found duplicate measure 'count' in cube 'orders'.", 13, 16,
         "m.yml:12:16"},
        {CUBE MEASURES "      - {name: Count, type: sum, sql: x}\n", GR_ERR_MODEL_DUPLICATE, "'orders__count'", 13, 16,
         NULL},
        {CUBE "    measures:\n      - {name: status, type: count}\n", GR_ERR_MODEL_DUPLICATE,
         "status defined more than once", 12, 16, "m.yml:7:16"},
        {CUBE MEASURES "    segments:\n      - {name: count, sql: x}\n", GR_ERR_MODEL_DUPLICATE,
         "count defined more than once", 14, 16, NULL},
        {CUBE MEASURES "    pre_aggregations:\n      - {name: count, measures: [count]}\n", GR_ERR_MODEL_DUPLICATE,
         "count defined more than once", 14, 16, NULL},
        {CUBE "    segments:\n      - {name: s}\n", GR_ERR_MODEL_INVALID, "(segments.s.sql) is required", 12, 9, NULL},
        {CUBE MEASURES "    segments:\n      - {name: s, sql: \"{count} > 1\"}\n", GR_ERR_MODEL_INVALID,
         "segment 'orders.s' references the measure", 14, 24, NULL},
        {CUBE MEASURES "    hierarchies:\n      - {name: h, levels: [status, count]}\n", GR_ERR_MODEL_INVALID,
         "Only dimensions can be part of a hierarchy", 14, 36, NULL},
        {CUBE "    hierarchies:\n      - {name: h}\n", GR_ERR_MODEL_INVALID, "(hierarchies.h.levels) is required", 12,
         9, NULL},
    };
    expect(rows, COUNT(rows));
}

#define D(text)                                                                                                        \
    "cubes:\n  - name: a\n    sql_table: t\n    dimensions:\n      - " text "\n" /* line 5, from column 9              \
                                                                                  */

static void test_dimensions(void **state) {
    (void)state;
    static const fault rows[] = {
        {D("{name: x, sql: x, type: date}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.type = date) must be one of [string, number, boolean, time, geo]", 5, 33,
         "did you mean 'time'?"},
        {D("{name: x, sql: x}"), GR_ERR_MODEL_INVALID, "a cube: (dimensions.x.type) is required", 5, 9, NULL},
        {D("{name: x, type: string}"), GR_ERR_MODEL_INVALID, "(dimensions.x.sql) is required", 5, 9, NULL},
        {D("{name: x, sql: \"\", type: string}"), GR_ERR_MODEL_EXPRESSION, "(dimensions.x.sql) the expression is empty",
         5, 24, NULL},
        {D("{name: t, sql: t, type: time, granularities: [{name: five, interval: 5 days}]}"), GR_ERR_MODEL_INVALID,
         "(dimensions.t.granularities.five) Arbitrary intervals cannot be used without origin point specified", 5, 78,
         NULL},
        {D("{name: t, sql: t, type: string, granularities: [{name: x, interval: 1 year}]}"), GR_ERR_MODEL_INVALID,
         "(dimensions.t.granularities = [object Object]) is not allowed", 5, 41, NULL},
        {D("{name: t, sql: t, type: time, granularities: [{name: x}]}"), GR_ERR_MODEL_INVALID,
         "(dimensions.t.granularities.x.interval) is required", 5, 55, NULL},
        {D("{name: t, sql: t, type: time, granularities: [{name: x, interval: 1 year, offset: soon}]}"),
         GR_ERR_MODEL_INVALID, "'soon' is not an offset", 5, 75, NULL},
        {D("{name: t, sql: t, type: time, granularities: [{name: day, interval: 1 day}]}"), GR_ERR_MODEL_INVALID,
         "is the name of a predefined granularity", 5, 62, NULL},
        {D("{name: t, sql: t, type: time, granularities: [{name: day, sql: x}]}"), GR_ERR_MODEL_UNSUPPORTED,
         "(dimensions.t.granularities.day.sql) is not executed yet", 5, 67, NULL},
        {D("{name: t, sql: t, type: time, granularities: [{name: x, interval: 1 year}, {name: x, interval: 1 year}]}"),
         GR_ERR_MODEL_DUPLICATE, "duplicate granularity 'x'", 5, 91, NULL},
        {D("{name: x, type: geo, latitude: {sql: a}}"), GR_ERR_MODEL_INVALID, "(dimensions.x.longitude) is required", 5,
         9, NULL},
        {D("{name: x, type: geo, latitude: {sql: a}, longitude: {sql: b}, sql: c}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.sql = c) is not allowed", 5, 71, NULL},
        {D("{name: x, type: string, sql: a, longitude: {sql: b}}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.longitude = [object Object]) is not allowed", 5, 41, NULL},
        {D("{name: x, type: switch, values: [a]}"), GR_ERR_MODEL_UNSUPPORTED, "", 5, 25, NULL},
        {D("{name: x, type: string, case: {switch: y, when: []}}"), GR_ERR_MODEL_UNSUPPORTED,
         "(dimensions.x.case.switch)", 5, 40, NULL},
        {D("{name: x, type: string, case: {else: {label: a}}}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.case.when) is required", 5, 39, NULL},
        {D("{name: x, type: string, case: {when: [{sql: a}]}}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.case.when[0].label) is required", 5, 47, NULL},
        {D("{name: x, type: string, case: {when: [{sql: a, label: [b]}]}}"), GR_ERR_MODEL_INVALID,
         "must be a string, or an object with sql", 5, 63, NULL},
        {D("{name: x, type: string, sql: a, case: {when: [{sql: a, label: b}]}}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.sql = a) is not allowed", 5, 33, NULL},
        {D("{name: x, type: number, sql: x, mask: \"null\"}"), GR_ERR_MODEL_UNSUPPORTED, "(dimensions.x.mask)", 5, 41,
         NULL},
        {D("{name: x, type: number, sql: x, multi_stage: \"true\"}"), GR_ERR_MODEL_UNSUPPORTED,
         "(dimensions.x.multiStage)", 5, 41, NULL},
        {D("{name: x, type: number, sql: x, order: up}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.order = up) must be one of [asc, desc]", 5, 48, NULL},
        {D("{name: x, type: number, sql: x, primary_key: yes}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.primaryKey = yes) must be a boolean", 5, 54, NULL},
        {D("{name: x, type: string, sql: x, currency: USD}"), GR_ERR_MODEL_INVALID,
         "(dimensions.x.currency = USD) is not allowed", 5, 41, NULL},
        {D("{name: x, type: number, sql: \"{c} + 1\"}\n    measures: [{name: c, type: count}]"), GR_ERR_MODEL_INVALID,
         "dimension 'a.x' references the measure 'a.c'", 5, 38, "sub_query: true"},
        {D("{name: x, type: number, sql: \"{y}\"}\n      - {name: y, type: number, sql: \"{x}\"}"), GR_ERR_MODEL_CYCLE,
         "a.x -> a.y -> a.x", 5, 38, NULL},
        {D("{name: x, type: number, sql: \"{b}.col\"}\n  - {name: b, sql_table: b}"), GR_ERR_MODEL_INVALID,
         "Member 'a.x' references foreign cubes: b. Please split and move this definition to corresponding cubes.", 5,
         38, "{b.member}"},
        {D("{name: x, type: number, sql: \"{CUBE.b.c}\"}\n  - {name: b, sql_table: b, dimensions: [{name: c, sql: c, "
           "type: number}]}"),
         GR_ERR_MODEL_JOIN, "Can't find join path to join 'a', 'b'", 5, 38, NULL},
        {D("{name: x, type: number, sql: \"{v.x}\"}\nviews:\n  - {name: v, cubes: [{join_path: a, includes: \"*\"}]}"),
         GR_ERR_MODEL_INVALID, "'v' is a view", 5, 38, NULL},
        {D("just text"), GR_ERR_MODEL_INVALID, "(dimensions[0] = just text) must be of type object", 5, 9, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].message[0]) {
            expect(&rows[i], 1);
            continue;
        }
        /* A switch dimension has two refused things: its type and its values. */
        assert_int_equal(load(rows[i].yaml), GR_ERR_MODEL_INVALID_SET);
        expect_at(find_diag(rows[i].status, "(dimensions.x.type = switch) is not executed yet"), 5, 25);
        expect_at(find_diag(rows[i].status, "(dimensions.x.values) is not executed yet"), 5, 33);
        assert_int_equal(diags.n_errors, 2);
    }
}

static void test_cubes_and_joins(void **state) {
    (void)state;
    static const fault rows[] = {
        {CUBE "    foo: 1\n", GR_ERR_MODEL_UNKNOWN_KEY, "orders cube: (foo = 1) is not allowed", 11, 5, NULL},
        {CUBE "    dimension: []\n", GR_ERR_MODEL_UNKNOWN_KEY, "is not allowed", 11, 5, "did you mean 'dimensions'?"},
        {"cubes:\n  - {name: 1a, sql_table: t}\n", GR_ERR_MODEL_INVALID,
         "(name = 1a) with value \"1a\" fails to match the identifier pattern", 2, 12, NULL},
        {"cubes:\n  - sql_table: t\n", GR_ERR_MODEL_INVALID, "(cubes[0].name) is required", 2, 5, NULL},
        {"cubes:\n  - text\n", GR_ERR_MODEL_INVALID, "(cubes[0] = text) must be of type object", 2, 5, NULL},
        {"cubes: {name: a}\n", GR_ERR_MODEL_INVALID, "(cubes = [object Object]) must be an array", 1, 8, NULL},
        {"[1]\n", GR_ERR_MODEL_INVALID, "A model file is a map", 1, 1, NULL},
        {"models: []\n", GR_ERR_MODEL_UNKNOWN_KEY,
         "Unexpected YAML key: models. Only 'cubes', 'views', and 'view_groups' are allowed here.", 1, 1, NULL},
        {"cube: []\n", GR_ERR_MODEL_UNKNOWN_KEY, "Unexpected YAML key: cube.", 1, 1, "did you mean 'cubes'?"},
        {"cubes:\n  - {name: a}\n", GR_ERR_MODEL_INVALID,
         "You must use either sql or sqlTable within a model, but not both", 2, 12, "sql_table: a"},
        {"cubes:\n  - {name: a, sql: select 1, sql_table: t}\n", GR_ERR_MODEL_INVALID,
         "You must use either sql or sqlTable", 2, 30, NULL},
        {"cubes:\n  - {name: a, sql_table: t}\n  - {name: a, sql_table: t}\n", GR_ERR_MODEL_DUPLICATE,
         "Found duplicate cube name 'a'.", 3, 12, "m.yml:2:12"},
        {"cubes:\n  - {name: a, sql_table: t}\nviews:\n  - {name: a, cubes: []}\n", GR_ERR_MODEL_DUPLICATE,
         "A cube and a view share the name 'a'", 4, 12, NULL},
        {"cubes:\n  - {name: a, sql_table: t}\nviews:\n  - {name: v, cubes: []}\n  - {name: v, cubes: []}\n",
         GR_ERR_MODEL_DUPLICATE, "Found duplicate view name 'v'.", 5, 12, NULL},
        {"cubes:\n  - {name: orderItems, sql_table: t}\n  - {name: order_items, sql_table: t}\n",
         GR_ERR_MODEL_DUPLICATE, "the same alias in SQL, 'order_items'", 3, 12, "sql_alias"},
        {CUBE "    access_policy: [{group: all}]\n", GR_ERR_MODEL_UNSUPPORTED,
         "orders cube: (accessPolicy) is not executed yet", 11, 5, NULL},
        {CUBE "    calendar: true\n", GR_ERR_MODEL_UNSUPPORTED, "(calendar) is not executed yet", 11, 5, NULL},
        {CUBE "    refresh_key: {immutable: true, every: 1 day}\n", GR_ERR_MODEL_INVALID,
         "(refreshKey.every = 1 day) is not allowed", 11, 36, NULL},
        {CUBE "    refresh_key: {every: 1 day, incremental: true}\n", GR_ERR_MODEL_INVALID,
         "(refreshKey.incremental = true) is not allowed", 11, 33, NULL},
        {CUBE "    refresh_key: {every: 1 day, fingerprint: rows}\n", GR_ERR_MODEL_INVALID,
         "(refreshKey.fingerprint = rows) is not allowed", 11, 33, "to the pre-aggregations"},
        {CUBE "    refresh_key: {immutable: false}\n", GR_ERR_MODEL_INVALID, "does not match any of the allowed types",
         11, 18, "immutable: true"},
        {CUBE "    refresh_key: {sql: \"select {status}\"}\n", GR_ERR_MODEL_INVALID,
         "'{status}' has no meaning in the SQL of a refresh key", 11, 24, "name tables"},
        {CUBE "    selection: best\n", GR_ERR_MODEL_INVALID, "(selection = best) must be one of [first, cheapest]", 11,
         16, NULL},
        {CUBE "    sql_alias: a-b\n", GR_ERR_MODEL_INVALID, "(sqlAlias = a-b) with value", 11, 16, NULL},
        {"cubes:\n  - {name: a, sql: \"select {CUBE.x} from t\"}\n", GR_ERR_MODEL_INVALID,
         "'{CUBE.x}' has no meaning in the SQL of a cube", 2, 20, NULL},
        {"cubes:\n  - {name: a, sql: \"select * from ({c.sql()})\"}\n", GR_ERR_MODEL_UNRESOLVED, "c is not defined", 2,
         20, NULL},
        {"cubes:\n  - {name: a, sql: \"select * from ({b.sql()})\"}\n  - {name: b, sql: \"select * from "
         "({a.sql()})\"}\n",
         GR_ERR_MODEL_CYCLE, "a -> b -> a", 2, 20, NULL},
        {"cubes:\n  - {name: a, sql: \"select * from ({a.sql()})\"}\n", GR_ERR_MODEL_CYCLE, "a -> a", 2, 20, NULL},
        {CUBE "    joins: [{name: users, relationship: many_to_one, sql: \"{CUBE}.user_id = {users.id}\"}]\n",
         GR_ERR_MODEL_JOIN, "Cube users doesn't exist", 11, 20, NULL},
        {CUBE "    joins: [{name: user, relationship: many_to_one, sql: \"{CUBE}.user_id = {users.id}\"}]\n" USERS,
         GR_ERR_MODEL_JOIN, "Cube user doesn't exist", 11, 20, "did you mean 'users'?"},
        {CUBE "    joins: [{name: users, relationship: manyToMany, sql: \"{CUBE}.user_id = {users.id}\"}]\n" USERS,
         GR_ERR_MODEL_INVALID, "(joins[0].relationship = manyToMany) must be one of [belongsTo, belongs_to, ", 11, 41,
         NULL},
        {CUBE "    joins: [{name: users, sql: \"{CUBE}.user_id = {users.id}\"}]\n" USERS, GR_ERR_MODEL_INVALID,
         "(joins[0].relationship) is required", 11, 13, NULL},
        {CUBE "    joins: [{name: users, relationship: one_to_one}]\n" USERS, GR_ERR_MODEL_INVALID,
         "(joins[0].sql) is required", 11, 13, NULL},
        {CUBE "    joins: [{name: orders, relationship: one_to_one, sql: x}]\n", GR_ERR_MODEL_JOIN,
         "'orders' is joined to itself", 11, 20, "extends"},
        {CUBE "    joins: {users: {}}\n" USERS, GR_ERR_MODEL_INVALID, "(joins = [object Object]) must be an array", 11,
         12, NULL},
        {CUBE "    joins: [{name: users, relationship: one_to_one, sql: \"{users.ix}\"}]\n" USERS,
         GR_ERR_MODEL_UNRESOLVED, "users.ix cannot be resolved", 11, 58, "did you mean 'id'?"},
        {CUBE MEASURES "    joins: [{name: users, relationship: one_to_one, sql: \"{count} = {users.id}\"}]\n" USERS,
         GR_ERR_MODEL_JOIN, "a join refers to the measure 'orders.count'", 13, 58, NULL},
        {CUBE "    joins: [{name: users, relationship: one_to_one, sql: \"{items}.x = {users.id}\"}]\n" USERS
              "  - {name: items, sql_table: i}\n",
         GR_ERR_MODEL_JOIN, "refers to a third cube, 'items'", 11, 58, NULL},
        {CUBE "    joins:\n      - {name: users, relationship: one_to_one, sql: \"{users.id} = 1\"}\n      - {name: "
              "users, relationship: one_to_one, sql: \"{users.id} = 1\"}\n" USERS,
         GR_ERR_MODEL_DUPLICATE, "Found duplicate join 'users' in cube 'orders'.", 13, 16, NULL},
        {CUBE "    joins: [{name: items, relationship: one_to_many, sql: \"{CUBE.id} = {items}.order_id\"}]\n  - "
              "{name: items, sql_table: i, measures: [{name: c, type: count}]}\n",
         GR_ERR_MODEL_JOIN,
         "primary key for 'items' is required when join is defined in order to make aggregates work properly", 11, 20,
         "primary_key: true"},
        {"cubes:\n  - {name: a, sql_table: a, joins: [{name: b, relationship: one_to_one, sql: \"1 = 1\"}], measures: "
         "[{name: s, type: number, sql: \"1\"}]}\n  - {name: b, sql_table: b}\n",
         GR_ERR_MODEL_JOIN, "primary key for 'a' is required", 2, 44, NULL},
        {"cubes:\n  - {name: a, sql_table: a, extends: b}\n", GR_ERR_MODEL_UNRESOLVED, "a cube: b is not defined", 2,
         38, NULL},
        {"cubes:\n  - {name: a, sql_table: a, extends: a}\n", GR_ERR_MODEL_CYCLE, "'a' extends itself", 2, 38, NULL},
        {"cubes:\n  - {name: a, sql_table: a, extends: b}\n  - {name: b, sql_table: a, extends: a}\n",
         GR_ERR_MODEL_CYCLE, "'b' extends itself, by way of 'a'", 3, 38, NULL},
        {"cubes:\n  - {name: a, sql_table: a, extends: v}\nviews:\n  - {name: v, cubes: []}\n", GR_ERR_MODEL_INVALID,
         "a cube cannot extend the view 'v'", 2, 38, NULL},
        {"cubes:\n  - {name: a, sql_table: a\n", GR_ERR_YAML_SYNTAX, "", 3, 1, NULL},
        {"cubes:\n  # {{ this is a comment }}\n  - {{ cube() }}\n", GR_ERR_MODEL_UNSUPPORTED,
         "Jinja templates are not executed", 3, 5, "plain YAML"},
        {"{% for x in y %}\ncubes: []\n{% endfor %}\n", GR_ERR_MODEL_UNSUPPORTED, "Jinja templates are not executed", 1,
         1, NULL},
    };
    expect(rows, COUNT(rows));
}

/* Maps in one line end in }}, which the reference takes for Jinja; here that is plain YAML. */
static void test_braces_that_are_not_jinja(void **state) {
    (void)state;
    load_good("cubes:\n  - {name: a, sql_table: t, meta: {x: {y: 1}}, dimensions: [{name: d, sql: "
              "\"'\\\\{\\\\{x\\\\}\\\\}' || {CUBE}.d\", type: string}]}\n");
    expect_str(member("a.d")->sql->parts[0].text, "'{{x}}' || ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pre_aggregations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_of_pre_aggregations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_measures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dimensions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cubes_and_joins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_braces_that_are_not_jinja, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
