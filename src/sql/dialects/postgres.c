/* PostgreSQL 15 (engines.md §6). Zones are those of the server's own tzdata. Naive time stamps are UTC; a session is in
 * UTC, so that a text without offset is read as UTC.
 *
 * Where the obvious word gives another number than the others:
 *   sum(real) rounds at every step: real + 0 is double precision, and all other types stay as they are
 *   avg(integer) is numeric: averages are floating point everywhere
 *   any_value came with 16: the first of the values is taken
 *   M2 of parts needs an aggregate of our own (Chan's formula), and sketches the extension hll: refused here; what has
 *   to be merged then is merged in the embedded engine (place.c) */
#include "sql/internal.h"

#define MONTHS "(date_part('year', {0}) * 12 + date_part('month', {0}) - 1 - ({3}))"
#define BIN "CAST(floor(" MONTHS " / {1}.0) AS integer)"
#define LATER(bins) "{2} + make_interval(months => " bins " * {1})"

#define OPS                                                                                                            \
    [GR_SQL_INSTANT_OF_TIMESTAMP] = GR_STR_INIT("{0}"),                                                                \
    [GR_SQL_INSTANT_OF_DATE] = GR_STR_INIT("CAST({0} AS timestamp)"),                                                  \
    [GR_SQL_INSTANT_OF_TIMESTAMPTZ] = GR_STR_INIT("({0} AT TIME ZONE 'UTC')"),                                         \
    [GR_SQL_INSTANT_OF_ANY] = GR_STR_INIT("(CAST({0} AS timestamptz) AT TIME ZONE 'UTC')"),                            \
    [GR_SQL_AT_ZONE] = GR_STR_INIT("({0} AT TIME ZONE 'UTC' AT TIME ZONE {1})"),                                       \
    [GR_SQL_TRUNC] = GR_STR_INIT("date_trunc({1}, {0})"),                                                              \
    [GR_SQL_BIN_MONTHS] =                                                                                              \
        GR_STR_INIT("(CASE WHEN " LATER(BIN) " > {0} THEN " LATER("(" BIN " - 1)") " ELSE " LATER(BIN) " END)"),       \
    [GR_SQL_BIN_MICROS] = GR_STR_INIT("date_bin({1} * interval '1 microsecond', {0}, {2})"),                           \
    [GR_SQL_TIMESTAMP_LITERAL] = GR_STR_INIT("TIMESTAMP {0}"), [GR_SQL_COUNT_ROWS] = GR_STR_INIT("count(*)"),          \
    [GR_SQL_TIME_OF_SECONDS] = GR_STR_INIT("(TIMESTAMP '1970-01-01 00:00:00' + {0} * interval '1 second')"),           \
    [GR_SQL_EXACT_SUM] = GR_STR_INIT("sum({0})"), [GR_SQL_GROUP_KEY] = GR_STR_INIT("{0}"),                             \
    [GR_SQL_COUNT] = GR_STR_INIT("count({0})"), [GR_SQL_SUM] = GR_STR_INIT("sum({0} + 0)"),                            \
    [GR_SQL_SUM_JOINED] = GR_STR_INIT("sum({0} + 0)"), [GR_SQL_MIN] = GR_STR_INIT("min({0})"),                         \
    [GR_SQL_MAX] = GR_STR_INIT("max({0})"), [GR_SQL_COUNT_DISTINCT] = GR_STR_INIT("count(DISTINCT {0})"),              \
    [GR_SQL_MERGE_COUNT] = GR_STR_INIT("CAST(coalesce(sum({0}), 0) AS bigint)"),                                       \
    [GR_SQL_MERGE_ONE_COUNT] = GR_STR_INIT("coalesce(max({0}), 0)"),                                                   \
    [GR_SQL_MERGE_ONE] = GR_STR_INIT("(array_agg({0}) FILTER (WHERE {0} IS NOT NULL))[1]"),                            \
    [GR_SQL_AVG_FINISH] = GR_STR_INIT("(CAST({0} AS double precision) / nullif({1}, 0))"),                             \
    [GR_SQL_BOOLEAN] = GR_STR_INIT("CAST({0} AS boolean)"), [GR_SQL_BIGINT] = GR_STR_INIT("CAST({0} AS bigint)"),      \
    [GR_SQL_TEXT] = GR_STR_INIT("CAST({0} AS text)"), [GR_SQL_LIKE] = GR_STR_INIT("{0} ILIKE {1} ESCAPE '\\'"),        \
    [GR_SQL_NOT_LIKE] = GR_STR_INIT("{0} NOT ILIKE {1} ESCAPE '\\'"),                                                  \
    [GR_SQL_M2] = GR_STR_INIT("(var_pop(CAST({0} AS double precision)) * count({0}))"),                                \
    [GR_SQL_AVG] = GR_STR_INIT("CAST(avg({0}) AS double precision)"), [GR_SQL_RANK] = GR_STR_INIT("rank()"),           \
    [GR_SQL_NULL_SAFE_EQ] = GR_STR_INIT("{0} IS NOT DISTINCT FROM {1}"),                                               \
    [GR_SQL_ONE_IF_ANY] = GR_STR_INIT("CASE WHEN {0} > 0 THEN 1 END"),                                                 \
    [GR_SQL_SHIFT_MONTHS] = GR_STR_INIT("({0} + make_interval(months => {1}))"),                                       \
    [GR_SQL_SHIFT_MICROS] = GR_STR_INIT("({0} + {1} * interval '1 microsecond')"),                                     \
    [GR_SQL_TIMESTAMP_LOWEST] = GR_STR_INIT("CAST('-infinity' AS timestamp)"),                                         \
    [GR_SQL_TIMESTAMP_HIGHEST] = GR_STR_INIT("CAST('infinity' AS timestamp)"),                                         \
    [GR_SQL_EPOCH] = GR_STR_INIT("coalesce(CAST(extract(epoch FROM {0}) * 1000000 AS bigint), "                        \
                                 "CAST(-9223372036854775808 AS bigint))"),                                             \
    [GR_SQL_HASH_SUM] = GR_STR_INIT("coalesce(CAST(sum(hashtextextended(CAST(ROW({0}) AS text), 0)) AS text), '')"),   \
    [GR_SQL_HASHED_VALUE] = GR_STR_INIT("{0}"), [GR_SQL_STATE_MARK] = GR_STR_INIT("{0}"),                              \
    [GR_SQL_ABS] = GR_STR_INIT("abs({0})"),                                                                            \
    [GR_SQL_IS_NEAR] = GR_STR_INIT("(CAST(pg_typeof({0}) AS text) IN ('double precision', 'real') AND "                \
                                   "abs(CAST({0} AS double precision) - CAST({1} AS double precision)) <= "            \
                                   "1e-9 * CAST({2} AS double precision))"),                                           \
    [GR_SQL_CONCAT_GEO] = GR_STR_INIT("(CAST({0} AS text) || ',' || CAST({1} AS text))")

/* Of another engine's data queries are finished in the embedded engine: its hashes are not made here, only joined. */
#define NO_STATES                                                                                                      \
    [GR_SQL_STATE_INTEGER] = true, [GR_SQL_STATE_TEXT] = true, [GR_SQL_STATE_TIME] = true, [GR_SQL_STATE_ADD] = true,  \
    [GR_SQL_STATE_CARDINALITY] = true

/* Long names are cut by the server without a word: ours are shortened before. */
enum { MOST_NAME_BYTES = 63 };

const gr_dialect gr_dialect_postgres = {
    .name = GR_STR_INIT("postgres"),
    .quote = '"',
    .wide_integer = GR_STR_INIT("numeric"),
    .create_schema = GR_STR_INIT("CREATE SCHEMA IF NOT EXISTS {0}"),
    .most_name_bytes = MOST_NAME_BYTES,
    .collation = GR_STR_INIT(" COLLATE \"C\""),
    .ops = {OPS, [GR_SQL_ONE_IF_SKETCHED] = GR_STR_INIT("CASE WHEN octet_length({0}) > 3 THEN 1 END"), /* its header */
            [GR_SQL_ONE_IF_STATE] = GR_STR_INIT("CASE WHEN octet_length({0}) > 3 THEN 1 END")},
    .refuses = {[GR_SQL_SKETCH_TO_TEXT] = true,
                [GR_SQL_SKETCH_OF_TEXT] = true,
                [GR_SQL_HLL_ADD] = true,
                [GR_SQL_HLL_UNION] = true,
                [GR_SQL_HLL_CARDINALITY] = true,
                NO_STATES,
                [GR_SQL_STATE_UNION] = true,
                [GR_SQL_MERGE_M2] = true},
};

/* With the extension hll, whose sketches have the bytes of ours. */
const gr_dialect gr_dialect_postgres_hll = {
    .name = GR_STR_INIT("postgres+hll"),
    .quote = '"',
    .wide_integer = GR_STR_INIT("numeric"),
    .create_schema = GR_STR_INIT("CREATE SCHEMA IF NOT EXISTS {0}"),
    .most_name_bytes = MOST_NAME_BYTES,
    .collation = GR_STR_INIT(" COLLATE \"C\""),
    .ops = {OPS, [GR_SQL_HLL_ADD] = GR_STR_INIT("hll_add_agg(hll_hash_any({0}), {1}, 5, -1, 1)"),
            [GR_SQL_HLL_UNION] = GR_STR_INIT("hll_union_agg(CAST({0} AS hll))"),
            [GR_SQL_ONE_IF_SKETCHED] = GR_STR_INIT("CASE WHEN hll_cardinality(CAST({0} AS hll)) > 0 THEN 1 END"),
            [GR_SQL_HLL_CARDINALITY] =
                GR_STR_INIT("coalesce(CAST(round(CAST(hll_cardinality({0}) AS numeric)) AS bigint), 0)"),
            [GR_SQL_STATE_UNION] = GR_STR_INIT("hll_union_agg(CAST({0} AS hll))"),
            [GR_SQL_ONE_IF_STATE] = GR_STR_INIT("CASE WHEN hll_cardinality(CAST({0} AS hll)) > 0 THEN 1 END")},
    .refuses = {[GR_SQL_SKETCH_TO_TEXT] = true, [GR_SQL_SKETCH_OF_TEXT] = true, NO_STATES, [GR_SQL_MERGE_M2] = true},
};
