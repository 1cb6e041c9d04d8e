/* DuckDB 1.5 (duckdb.md §6). The wall clock of a zone is asked of the engine room's own function, so that statements
 * and the bounds of ranges follow one rule set. Naive time stamps are UTC; the session's zone is never relied on,
 * except that casts of text without offset to TIMESTAMPTZ happen in a session that the engine room sets to UTC. */
#include "sql/internal.h"

#define MONTHS "(date_part('year', {0}) * 12 + date_part('month', {0}) - 1 - ({3}))"
#define BIN "CAST(floor(" MONTHS " / {1}.0) AS INTEGER)"

const gr_dialect gr_dialect_duckdb = {
    .name = GR_STR_INIT("duckdb"),
    .quote = '"',
    .wide_integer = GR_STR_INIT("HUGEINT"),
    .create_schema = GR_STR_INIT("CREATE SCHEMA IF NOT EXISTS {0}"),
    .ops =
        {
            [GR_SQL_INSTANT_OF_TIMESTAMP] = GR_STR_INIT("{0}"),
            [GR_SQL_INSTANT_OF_DATE] = GR_STR_INIT("CAST({0} AS TIMESTAMP)"),
            [GR_SQL_INSTANT_OF_TIMESTAMPTZ] = GR_STR_INIT("make_timestamp(epoch_us({0}))"),
            [GR_SQL_INSTANT_OF_ANY] = GR_STR_INIT("make_timestamp(epoch_us(CAST({0} AS TIMESTAMPTZ)))"),
            [GR_SQL_AT_ZONE] = GR_STR_INIT("granary_local({0}, {1})"),
            [GR_SQL_TIME_OF_SECONDS] = GR_STR_INIT("make_timestamp(CAST({0} AS BIGINT) * 1000000)"),
            [GR_SQL_TRUNC] = GR_STR_INIT("date_trunc({1}, {0})"),
            /* Month ends clamp, so that bin k starts at origin + k months; one step back where that overshot. */
            [GR_SQL_BIN_MONTHS] =
                GR_STR_INIT("(CASE WHEN {2} + to_months(" BIN " * {1}) > {0} THEN {2} + to_months((" BIN
                            " - 1) * {1}) ELSE {2} + to_months(" BIN " * {1}) END)"),
            [GR_SQL_BIN_MICROS] = GR_STR_INIT("time_bucket(to_microseconds({1}), {0}, {2})"),
            [GR_SQL_TIMESTAMP_LITERAL] = GR_STR_INIT("TIMESTAMP {0}"),
            [GR_SQL_EXACT_SUM] = GR_STR_INIT("sum({0})"),
            [GR_SQL_GROUP_KEY] = GR_STR_INIT("{0}"),
            [GR_SQL_COUNT_ROWS] = GR_STR_INIT("count(*)"),
            [GR_SQL_COUNT] = GR_STR_INIT("count({0})"),
            [GR_SQL_SUM] = GR_STR_INIT("sum({0})"),
            /* 1.5.6 takes an empty right side of a LEFT JOIN for no rows at all, and adds 64-bit integers without a
             * look at overflow; greatest hides from it what it knows of the values (docs/decisions/0007). */
            [GR_SQL_SUM_JOINED] = GR_STR_INIT("sum(greatest({0}, {0}))"),
            [GR_SQL_MIN] = GR_STR_INIT("min({0})"),
            [GR_SQL_MAX] = GR_STR_INIT("max({0})"),
            [GR_SQL_COUNT_DISTINCT] = GR_STR_INIT("count(DISTINCT {0})"),
            [GR_SQL_MERGE_COUNT] = GR_STR_INIT("CAST(coalesce(sum({0}), 0) AS BIGINT)"),
            [GR_SQL_MERGE_ONE_COUNT] = GR_STR_INIT("coalesce(max({0}), 0)"),
            [GR_SQL_MERGE_ONE] = GR_STR_INIT("any_value({0})"),
            [GR_SQL_AVG_FINISH] = GR_STR_INIT("(CAST({0} AS DOUBLE) / nullif({1}, 0))"),
            [GR_SQL_BOOLEAN] = GR_STR_INIT("CAST({0} AS BOOLEAN)"),
            [GR_SQL_BIGINT] = GR_STR_INIT("CAST({0} AS BIGINT)"),
            [GR_SQL_TEXT] = GR_STR_INIT("CAST({0} AS VARCHAR)"),
            [GR_SQL_LIKE] = GR_STR_INIT("{0} ILIKE {1} ESCAPE '\\'"),
            [GR_SQL_NOT_LIKE] = GR_STR_INIT("{0} NOT ILIKE {1} ESCAPE '\\'"),
            [GR_SQL_HLL_ADD] = GR_STR_INIT("granary_hll_add({0}, {1})"),
            [GR_SQL_SKETCH_TO_TEXT] = GR_STR_INIT("hex({0})"),
            [GR_SQL_SKETCH_OF_TEXT] = GR_STR_INIT("unhex({0})"),
            [GR_SQL_HLL_UNION] = GR_STR_INIT("granary_hll_union({0})"),
            [GR_SQL_HLL_CARDINALITY] = GR_STR_INIT("coalesce(granary_hll_cardinality({0}), 0)"),
            [GR_SQL_STATE_INTEGER] = GR_STR_INIT("CAST({0} AS BIGINT)"),
            [GR_SQL_STATE_TEXT] = GR_STR_INIT("CAST({0} AS VARCHAR)"),
            [GR_SQL_STATE_TIME] = GR_STR_INIT("CAST({0} AS VARCHAR)"),
            [GR_SQL_STATE_ADD] = GR_STR_INIT("granary_state_add({0}, {1})"),
            [GR_SQL_STATE_UNION] = GR_STR_INIT("granary_hll_union({0})"),
            [GR_SQL_STATE_CARDINALITY] = GR_STR_INIT("coalesce(granary_hll_cardinality({0}), 0)"),
            [GR_SQL_STATE_MARK] = GR_STR_INIT("{0}"),
            [GR_SQL_M2] = GR_STR_INIT("(var_pop(CAST({0} AS DOUBLE)) * count({0}))"),
            [GR_SQL_MERGE_M2] =
                GR_STR_INIT("granary_merge_m2(CAST({0} AS BIGINT), CAST({1} AS DOUBLE), CAST({2} AS DOUBLE))"),
            [GR_SQL_AVG] = GR_STR_INIT("avg({0})"),
            [GR_SQL_RANK] = GR_STR_INIT("rank()"),
            [GR_SQL_NULL_SAFE_EQ] = GR_STR_INIT("{0} IS NOT DISTINCT FROM {1}"),
            [GR_SQL_ONE_IF_ANY] = GR_STR_INIT("CASE WHEN {0} > 0 THEN 1 END"),
            [GR_SQL_ONE_IF_SKETCHED] = GR_STR_INIT("CASE WHEN octet_length({0}) > 3 THEN 1 END"), /* its header */
            [GR_SQL_ONE_IF_STATE] = GR_STR_INIT("CASE WHEN octet_length({0}) > 3 THEN 1 END"),
            [GR_SQL_SHIFT_MONTHS] = GR_STR_INIT("({0} + to_months({1}))"),
            [GR_SQL_SHIFT_MICROS] = GR_STR_INIT("({0} + to_microseconds({1}))"),
            [GR_SQL_TIMESTAMP_LOWEST] = GR_STR_INIT("CAST('-infinity' AS TIMESTAMP)"),
            [GR_SQL_TIMESTAMP_HIGHEST] = GR_STR_INIT("CAST('infinity' AS TIMESTAMP)"),
            [GR_SQL_EPOCH] = GR_STR_INIT("coalesce(epoch_us({0}), CAST(-9223372036854775808 AS BIGINT))"),
            [GR_SQL_HASH_SUM] = GR_STR_INIT("coalesce(CAST(sum(hash({0})) AS VARCHAR), '')"),
            [GR_SQL_HASHED_VALUE] = GR_STR_INIT("coalesce(CAST(TRY_CAST(CAST({0} AS VARCHAR) AS DOUBLE) AS VARCHAR), "
                                                "CAST({0} AS VARCHAR))"),
            [GR_SQL_ABS] = GR_STR_INIT("abs({0})"),
            [GR_SQL_IS_NEAR] =
                GR_STR_INIT("(typeof({0}) IN ('DOUBLE', 'FLOAT') AND abs(CAST({0} AS DOUBLE) - CAST({1} AS DOUBLE)) <= "
                            "1e-9 * CAST({2} AS DOUBLE))"),
            [GR_SQL_CONCAT_GEO] = GR_STR_INIT("(CAST({0} AS VARCHAR) || ',' || CAST({1} AS VARCHAR))"),
        },
};
