/* ClickHouse 18 and later (engines.md §3): one text that both read. Sessions have join_use_nulls = 1.
 *
 * An instant is a DateTime, in whole seconds of 1970 to 2105. Naive time stamps are DateTimes of zone UTC, a wall clock
 * is what it shows, read as UTC again.
 *
 * Where the obvious word gives another number than the others:
 *   sum, min and max of a column that cannot be null are 0 over no rows: toNullable makes them null
 *   sums of integers wrap around: where the sum in floating point says that they did, the statement fails
 *   quantities of decimals: averages are of toFloat64
 *   NULL NOT IN (…) is true on old servers: who writes it adds IS NOT NULL
 *   its zone rules are wrong around changes: alone.c has the offsets instead of AT_ZONE
 *   18.16 falls over where a decimal of 128 bits is one of several keys of groups (scan.c)
 *   units of time have a function each, and truncating to a week and more gives dates
 *
 * Windows and stages run in the embedded engine, and sketches are of another format: both are refused here. Its own are
 * states of uniqCombined, which we read and write (sketch/state.c). */
#include "sql/internal.h"

#define SUM_OF(x) "sum(toNullable(" x "))"
#define FLOAT_SUM_OF(x) "sum(toFloat64(toNullable(" x ")))"
/* A wrap is by 2^64 or more. */
#define HAS_WRAPPED(x) "abs(toFloat64(" SUM_OF(x) ") - " FLOAT_SUM_OF(x) ") > 1e17 + 1e-6 * abs(" FLOAT_SUM_OF(x) ")"
#define GUARDED_SUM "(" SUM_OF("{0}") " + 0 * throwIf(ifNull(" HAS_WRAPPED("{0}") ", 0)))"

/* What would begin before 1970 fails; there it would be another time. */
#define NOT_IF(condition) " + throwIf(ifNull(" condition ", 0))" /* it does not look whether a value is null */
#define START(function) "toDateTime(" function "({0}, 'UTC'), 'UTC')"
#define WEEK START("toMonday") NOT_IF("toUInt32({0}) < 345600")
#define STARTS(unit, text) "{1} = '" unit "', " text ", "
#define MONTHS "(toYear({0}, 'UTC') * 12 + toMonth({0}, 'UTC') - 1 - ({3}))"
#define BIN "toInt32(floor(" MONTHS " / {1}))"
#define LATER(bins) "addMonths({2}, " bins " * {1})"
#define SECONDS(x) "toInt64(toUInt32(" x "))"

#define TEXT_HASH(x) "reinterpretAsUInt64(substring(murmurHash3_128(" x "), 1, 8))"

const gr_dialect gr_dialect_clickhouse =
    {
        .name = GR_STR_INIT("clickhouse"),
        .quote = '"',
        .most_name_bytes = 0,
        .reads_alone = true,
        .has_states = true,
        .create_schema = GR_STR_INIT("CREATE DATABASE IF NOT EXISTS {0}"),
        .wide_integer = GR_STR_INIT("Decimal(38, 0)"),
        .ops =
            {
                [GR_SQL_INSTANT_OF_TIMESTAMP] = GR_STR_INIT("toDateTime({0}, 'UTC')"),
                [GR_SQL_INSTANT_OF_DATE] = GR_STR_INIT("toDateTime({0}, 'UTC')"),
                [GR_SQL_INSTANT_OF_TIMESTAMPTZ] = GR_STR_INIT("toDateTime({0}, 'UTC')"),
                [GR_SQL_TIME_OF_SECONDS] = GR_STR_INIT("toDateTime(toUInt32({0})" NOT_IF("({0}) < 0") ", 'UTC')"),
                [GR_SQL_TRUNC] =
                    GR_STR_INIT("multiIf(" STARTS("minute", START("toStartOfMinute"))
                                    STARTS("hour", START("toStartOfHour")) STARTS("day", START("toStartOfDay")) STARTS("week", START(
                                                                                                                                   "toMonday") NOT_IF("{1} = 'week' AND toUInt32({0}) < "
                                                                                                                                                      "345600")) STARTS("month",
                                                                                                                                                                        START("toStartOfMonth")) STARTS("quarter", START("toStartOfQuarter")) STARTS("year", START("toStartOfYear")) "toDateTime({0}, 'UTC'))"),
                /* Month ends clamp, so that bin k starts at origin + k months; one step back where that overshot. */
                [GR_SQL_BIN_MONTHS] =
                    GR_STR_INIT("if(" LATER(BIN) " > {0}, " LATER("(" BIN " - 1)") ", " LATER(BIN) ")"),
                [GR_SQL_BIN_MICROS] =
                    GR_STR_INIT(
                        "toDateTime(toUInt32(" SECONDS("{2}") " + toInt64(floor((" SECONDS("{0}") " - " SECONDS(
                            "{2}") ") / ({1} / 1000000))) * intDiv({1}, 1000000)), 'UTC')"),
                /* Fractions of a second are not cut off: what has one fails. */
                [GR_SQL_TIMESTAMP_LITERAL] =
                    GR_STR_INIT("toDateTime(replaceOne(replaceOne({0}, 'T', ' '), '.000', ''), "
                                "'UTC')"),
                /* Rows that are grouped by a constant alone are one group, also when there are none. */
                [GR_SQL_GROUP_KEY] = GR_STR_INIT("materialize({0})"),
                [GR_SQL_COUNT_ROWS] = GR_STR_INIT("count()"),
                /* 18.16 takes the null of a LowCardinality for a value. */
                [GR_SQL_COUNT] = GR_STR_INIT("countIf(isNotNull({0}))"),
                [GR_SQL_EXACT_SUM] = GR_STR_INIT("sum(toDecimal128(toNullable({0}), 0))"),
                [GR_SQL_SUM] = GR_STR_INIT(GUARDED_SUM),
                [GR_SQL_SUM_JOINED] = GR_STR_INIT(GUARDED_SUM),
                [GR_SQL_MIN] = GR_STR_INIT("min(toNullable({0}))"),
                [GR_SQL_MAX] = GR_STR_INIT("max(toNullable({0}))"),
                [GR_SQL_COUNT_DISTINCT] = GR_STR_INIT("uniqExactIf(assumeNotNull({0}), isNotNull({0}))"),
                [GR_SQL_MERGE_COUNT] = GR_STR_INIT("toInt64(ifNull(sum(toNullable({0})), 0))"),
                [GR_SQL_MERGE_ONE_COUNT] = GR_STR_INIT("ifNull(max(toNullable({0})), 0)"),
                [GR_SQL_MERGE_ONE] = GR_STR_INIT("any(toNullable({0}))"),
                [GR_SQL_AVG_FINISH] = GR_STR_INIT("(toFloat64({0}) / nullIf({1}, 0))"),
                [GR_SQL_BOOLEAN] = GR_STR_INIT("(({0}) != 0)"),
                [GR_SQL_BIGINT] = GR_STR_INIT("toInt64({0})"),
                [GR_SQL_TEXT] = GR_STR_INIT("toString({0})"),
                [GR_SQL_LIKE] = GR_STR_INIT("(lowerUTF8({0}) LIKE lowerUTF8({1}))"),
                [GR_SQL_NOT_LIKE] = GR_STR_INIT("(lowerUTF8({0}) NOT LIKE lowerUTF8({1}))"),
                [GR_SQL_M2] = GR_STR_INIT("(varPop(toFloat64(toNullable({0}))) * count({0}))"),
                [GR_SQL_AVG] = GR_STR_INIT("avg(toFloat64(toNullable({0})))"),
                [GR_SQL_NULL_SAFE_EQ] = GR_STR_INIT("(ifNull({0} = {1}, 0) OR (isNull({0}) AND isNull({1})))"),
                [GR_SQL_ONE_IF_ANY] = GR_STR_INIT("CASE WHEN {0} > 0 THEN 1 END"),
                [GR_SQL_EPOCH] = GR_STR_INIT("ifNull(" SECONDS("{0}") " * 1000000, toInt64(-9223372036854775807) - 1)"),
                /* A hash of what may be null is null. */
                [GR_SQL_HASHED_VALUE] = GR_STR_INIT("ifNull(concat('=', toString({0})), '-')"),
                [GR_SQL_HASH_SUM] = GR_STR_INIT("toString(sum(sipHash64({0})))"),
                [GR_SQL_SKETCH_TO_TEXT] = GR_STR_INIT("hex({0})"),
                /* Of values that cannot be null: of others the states of 18.16 and 26 differ. */
                [GR_SQL_STATE_INTEGER] = GR_STR_INIT("toUInt64(toInt64({0}))"),
                [GR_SQL_STATE_TEXT] = GR_STR_INIT(TEXT_HASH("toString({0})")),
                [GR_SQL_STATE_TIME] = GR_STR_INIT(TEXT_HASH("toString(toTimeZone({0}, 'UTC'))")),
                [GR_SQL_STATE_ADD] = GR_STR_INIT("uniqCombinedStateIf({1})(assumeNotNull({0}), isNotNull({0}))"),
                [GR_SQL_STATE_UNION] = GR_STR_INIT("uniqCombinedMergeState({1})({0})"),
                [GR_SQL_STATE_MARK] = GR_STR_INIT("toString(finalizeAggregation({0}))"),
                [GR_SQL_ABS] = GR_STR_INIT("abs(toFloat64({0}))"), /* of Int64 it is UInt64 */
                [GR_SQL_CONCAT_GEO] = GR_STR_INIT("concat(toString({0}), ',', toString({1}))"),
            },
        .truncs =
            {
                [GR_GRAIN_SECOND] = GR_STR_INIT("toDateTime({0}, 'UTC')"),
                [GR_GRAIN_MINUTE] = GR_STR_INIT(START("toStartOfMinute")),
                [GR_GRAIN_HOUR] = GR_STR_INIT(START("toStartOfHour")),
                [GR_GRAIN_DAY] = GR_STR_INIT(START("toStartOfDay")),
                [GR_GRAIN_WEEK] = GR_STR_INIT("(" WEEK ")"),
                [GR_GRAIN_MONTH] = GR_STR_INIT(START("toStartOfMonth")),
                [GR_GRAIN_QUARTER] = GR_STR_INIT(START("toStartOfQuarter")),
                [GR_GRAIN_YEAR] = GR_STR_INIT(START("toStartOfYear")),
            },
        .refuses =
            {
                [GR_SQL_AT_ZONE] = true,        /* alone.c has the offsets */
                [GR_SQL_INSTANT_OF_ANY] = true, /* types are learned; a text is a time only to its own reader */
                [GR_SQL_HLL_ADD] = true,
                [GR_SQL_HLL_UNION] = true,
                [GR_SQL_SKETCH_OF_TEXT] = true,
                [GR_SQL_HLL_CARDINALITY] = true,
                [GR_SQL_ONE_IF_SKETCHED] = true,
                [GR_SQL_ONE_IF_STATE] = true,      /* no rollup that is kept there is asked for rows */
                [GR_SQL_STATE_CARDINALITY] = true, /* by our own arithmetic, wherever the state comes from */
                [GR_SQL_MERGE_M2] = true,
                [GR_SQL_RANK] = true,
                [GR_SQL_SHIFT_MONTHS] = true,
                [GR_SQL_SHIFT_MICROS] = true,
                [GR_SQL_TIMESTAMP_LOWEST] = true,
                [GR_SQL_TIMESTAMP_HIGHEST] = true,
                [GR_SQL_IS_NEAR] = true,
            },
};
