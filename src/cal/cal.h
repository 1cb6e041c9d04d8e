/* The calendar: time zones, grains and their lattice, custom intervals, date ranges.
 *
 * Two kinds of time point, both int64 microseconds since 1970-01-01T00:00:00:
 *   *_utc_us    an instant
 *   *_local_us  a wall-clock reading without zone ("naive"), as stored in a TIMESTAMP column
 * Ranges are half-open [from, to). Zones come from the system's tzdata (GRANARY_TZDIR, else TZDIR, else
 * /usr/share/zoneinfo), their names and what is missing there from ICU; no other room calls ICU.
 * Threads: everything here is pure or guarded; zones live for the whole process (static).
 * Source: decisions 1, 5, 6; cube.md 1.8, 2.3, 4.4, 4.5, 5.5, 9.2. */
#ifndef GR_CAL_CAL_H
#define GR_CAL_CAL_H
#include "base/error.h"

/* ---- zones -------------------------------------------------------------------------------------------------- */
typedef struct gr_tz gr_tz;

/* IANA name, case-insensitive, canonical spelling kept ("utc" -> "UTC", "america/new_york" -> "America/New_York").
 * Names that ICU knows, and newer ones that there is a zone file of.
 * Offsets such as "+05:00" and unknown names: GR_ERR_QUERY_TIMEZONE. *ret is static: never freed. */
GR_MUST_CHECK gr_status gr_tz_get(gr_str name, const gr_tz **ret, gr_error *err);
const gr_tz *gr_tz_utc(void);
gr_str gr_tz_name(const gr_tz *tz); /* static, NUL-terminated */
bool gr_tz_is_utc(const gr_tz *tz); /* UTC, Etc/UTC, GMT…: offset 0 for ever */
int64_t gr_tz_to_local(const gr_tz *tz, int64_t utc_us);
/* The first instant whose wall clock is at or after `local_us`: in a gap the instant of the jump; in a doubled hour the
 * earlier instant, and *ret_is_ambiguous (may be NULL) is set. When it is not set, for every instant t:
 * t >= result  <=>  local(t) >= local_us.  (So the first reading of a doubled stretch, to which the clock falls back
 * and which it never goes below again, is not ambiguous.) */
int64_t gr_tz_to_utc(const gr_tz *tz, int64_t local_us, bool *ret_is_ambiguous);
/* Every offset that the zone has at an instant of [from, to) is a multiple of `seconds`. Bounds may be INT64_MIN/MAX.
 */
bool gr_tz_offsets_divide(const gr_tz *tz, int64_t from_utc_us, int64_t to_utc_us, int64_t seconds);

/* ---- grains ------------------------------------------------------------------------------------------------- */
typedef enum gr_grain {
    GR_GRAIN_NONE = 0,
    GR_GRAIN_SECOND,
    GR_GRAIN_MINUTE,
    GR_GRAIN_HOUR,
    GR_GRAIN_DAY,
    GR_GRAIN_WEEK, /* ISO, Monday */
    GR_GRAIN_MONTH,
    GR_GRAIN_QUARTER,
    GR_GRAIN_YEAR,
    GR_GRAIN_CUSTOM,
    GR_GRAIN__COUNT
} gr_grain;

gr_grain gr_grain_from_name(gr_str name); /* GR_GRAIN_NONE when it is none of the eight */
gr_str gr_grain_name(gr_grain grain);     /* static */
/* Buckets of `coarse` are unions of buckets of `fine` (reflexive; week stands apart above day). Custom: false. */
bool gr_grain_is_built_from(gr_grain coarse, gr_grain fine);
/* The coarsest grain that both are built from: min(week, month) = day. */
gr_grain gr_grain_common(gr_grain a, gr_grain b);
int64_t gr_grain_seconds(gr_grain grain); /* second..week; 0 for month and coarser */

/* An interval of 1-8 `<n> <unit>` pairs, summed by kind. */
typedef struct gr_interval {
    int64_t months, days, us;
} gr_interval;

/* "1 year", "2 weeks 3 days", also negative when `allow_negative`. False when it is not of that form. */
bool gr_interval_parse(gr_str text, bool allow_negative, gr_interval *ret);
int64_t gr_interval_add(gr_interval interval, int64_t count,
                        int64_t local_us); /* months first, clamped to the month's end */

/* A granularity: one of the eight, or a custom one of a time dimension. */
typedef struct gr_granularity {
    gr_str name;
    gr_grain grain; /* GR_GRAIN_CUSTOM, or a predefined one */
    gr_str title;
    gr_str interval_text, offset_text, origin_text; /* as in the model; empty when absent */
    gr_interval interval;                           /* custom only; kinds are not mixed: months, or days and time */
    gr_interval offset;                             /* has_offset */
    int64_t origin_local_us; /* has_origin and not origin_is_utc: wall clock of the query's zone; else an instant */
    bool has_offset, has_origin, origin_is_utc;
    gr_str sql; /* `sql:` form of a predefined name (kept, unsupported) */
} gr_granularity;

const gr_granularity *gr_granularity_predefined(gr_grain grain); /* static */
/* Parse and check a custom one (cube.md 1.8). `offset` and `origin` may be empty. On failure err->message has the text
 * of the rule, e.g. "Arbitrary intervals cannot be used without origin point specified". */
GR_MUST_CHECK gr_status gr_granularity_parse(gr_str name, gr_str interval, gr_str offset, gr_str origin,
                                             gr_granularity *ret, gr_error *err);
/* The point that bins of a custom granularity are counted from, on the wall clock of `tz`: the origin, or else the
 * start of the current year there (for whole weeks: the ISO Monday of that week), plus the offset. */
int64_t gr_granularity_anchor(const gr_granularity *g, const gr_tz *tz, int64_t now_utc_us);
/* Start of the bucket that holds `local_us`; `anchor` is ignored for predefined grains. Calendar-exact. */
int64_t gr_granularity_floor(const gr_granularity *g, int64_t anchor_local_us, int64_t local_us);
int64_t gr_granularity_next(const gr_granularity *g, int64_t anchor_local_us, int64_t bucket_local_us);
/* The coarsest predefined grain whose buckets tile the buckets of `g` (minGran of cube.md 4.4); itself when predefined.
 */
gr_grain gr_granularity_base(const gr_granularity *g, int64_t anchor_local_us);
bool gr_granularity_eq(const gr_granularity *a, const gr_granularity *b); /* by definition, not by name */
/* granularityFor of cube.md 4.4: the coarsest of year, month, week, day, hour, minute, second that starts at this
 * point. */
gr_grain gr_grain_of_point(int64_t local_us);

/* ---- points as text ----------------------------------------------------------------------------------------- */
typedef enum gr_time_zone_part { GR_TIME_NAIVE, GR_TIME_ZONED } gr_time_zone_part;
/* ISO 8601: `YYYY-MM-DD`, `…THH:mm[:ss[.f…]]` ('T' or space), then `Z` or an offset. 2021-02-30 is refused. With a zone
 * part, *ret_us is the instant; without, the naive reading. *ret_is_date: only a date was given. */
bool gr_time_parse(gr_str text, int64_t *ret_us, gr_time_zone_part *ret_zone, bool *ret_is_date);
/* `YYYY-MM-DDTHH:mm:ss.SSS` (decisions 8); years beyond 9999 and before 0 with sign and six digits. Writes at most 40
 * bytes, returns the count; not NUL-terminated. */
size_t gr_time_format(int64_t us, char *out);
size_t gr_date_format(int32_t days, char *out); /* `YYYY-MM-DD` */
typedef struct gr_civil {
    int64_t year;
    int month, day, hour, minute, second;
    int64_t us;
} gr_civil;
gr_civil gr_civil_from_us(int64_t us);
int64_t gr_civil_to_us(gr_civil c);

/* ---- ranges ------------------------------------------------------------------------------------------------- */
typedef struct gr_range {
    int64_t from_local_us, to_local_us;      /* [from, to) on the wall clock of the query's zone */
    int64_t from_utc_us, to_utc_us;          /* the same as instants */
    bool is_from_ambiguous, is_to_ambiguous; /* the bound is in a doubled hour: compare on the wall clock */
    gr_str from_text, to_text; /* normalised, inclusive: "2020-01-01T00:00:00.000", "2020-01-31T23:59:59.999" */
} gr_range;

/* dateRange of two ends, or of one string (cube.md 2.3: relative forms, "last 7 days", "from … to …", natural
 * language). An end of .999 (.999999) means up to the next second; any other end includes exactly that microsecond. A
 * range that ends before it starts is empty: [from, from); its texts stay as asked for. Errors: GR_ERR_QUERY_DATE
 * "Can't parse date: '<text>'". Memory: texts in `arena`. */
GR_MUST_CHECK gr_status gr_range_parse_pair(gr_str from, gr_str to, const gr_tz *tz, int64_t now_utc_us,
                                            gr_arena *arena, gr_range *ret, gr_error *err);
GR_MUST_CHECK gr_status gr_range_parse_text(gr_str text, const gr_tz *tz, int64_t now_utc_us, gr_arena *arena,
                                            gr_range *ret, gr_error *err);
/* One end for beforeDate and its kin: a relative text resolves to the start or the end of its range, an absolute one to
 * itself (a bare date is midnight). *ret_point has both bounds at that point (from = to). An end is the last
 * microsecond that belongs to it (…59.999999), so that all four operators compare with the point itself: `<` and `>=`
 * want the start,
 * `<=` and `>` the end; the instants hold also where the clock jumps over the point. */
GR_MUST_CHECK gr_status gr_range_parse_point(gr_str text, bool want_end, const gr_tz *tz, int64_t now_utc_us,
                                             gr_arena *arena, gr_range *ret_point, gr_error *err);
/* [from, to) given on the wall clock, without texts. INT64_MIN and INT64_MAX: unbounded on that side. */
gr_range gr_range_of_local(int64_t from_local_us, int64_t to_local_us, const gr_tz *tz);
/* Both ends of the range are starts of buckets of the grain, on the wall clock. */
bool gr_range_is_aligned(const gr_range *range, const gr_granularity *g, int64_t anchor_local_us);

/* ---- schedules (of refresh keys; cube.md 6.6) ------------------------------------------------------------------- */
/* `every:` an interval. One of the two is 0, the other is greater. */
typedef struct gr_every {
    int64_t seconds, months;
} gr_every;

/* "<n> second|minute|hour|day|week|month[s]". False, and *ret untouched, when it is not of that form. */
bool gr_every_parse(gr_str text, gr_every *ret);
/* Which of the intervals since 1970 holds this instant, on the wall clock of `tz`: floor((offset + instant) / seconds),
 * or the whole months divided by their number. */
int64_t gr_every_number(gr_every every, const gr_tz *tz, int64_t utc_us);
/* The first instant after this one at which that number is another: where an interval ends, or where the clock is set.
 * INT64_MAX when that is beyond all time. */
int64_t gr_every_next(gr_every every, const gr_tz *tz, int64_t utc_us);
/* One interval later: seconds of time; months on the wall clock of `tz`, clamped to the month's end. */
int64_t gr_every_add(gr_every every, const gr_tz *tz, int64_t utc_us);

/* A cron line, as sets: bit i of a field is set when i is one of its values. */
typedef struct gr_cron {
    uint64_t seconds, minutes;
    uint32_t hours, days, months;
    uint32_t weekdays; /* 0 is Sunday */
} gr_cron;

/* Five fields (minute, hour, day of the month, month, day of the week) or six (a second before them). When both days
 * are restricted, that is when neither field holds all its values, one of them is enough. False: *ret is untouched. */
bool gr_cron_parse(gr_str text, gr_cron *ret);
/* When the line fires, the clock being that of `tz`: the last time at or before an instant, the first one after it;
 * INT64_MIN and INT64_MAX when there is none. A reading that the clock jumps over fires at the instant of the jump; one
 * that it shows twice fires once, the first time. */
int64_t gr_cron_last(const gr_cron *cron, const gr_tz *tz, int64_t utc_us);
int64_t gr_cron_next(const gr_cron *cron, const gr_tz *tz, int64_t utc_us);
/* The line fires at equal distances, on a clock that is never set: at *ret_first_s, the seconds from 1970 on, and then
 * every *ret_interval_s. Else both are untouched. */
bool gr_cron_is_even(const gr_cron *cron, int64_t *ret_first_s, int64_t *ret_interval_s);
#endif
