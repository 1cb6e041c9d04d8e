/* What the files of this room share: civil arithmetic that saturates, units, and a cursor over the text of a date.
 * Invariant: no function overflows, whatever the input: results beyond int64 stop at its ends. Threads: pure. */
#ifndef GR_CAL_INTERNAL_H
#define GR_CAL_INTERNAL_H
#include "cal/cal.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_HOUR (3600 * US_PER_SECOND)
#define US_PER_DAY (86400 * US_PER_SECOND)

__extension__ typedef __int128 gr_cal_wide;

static inline int64_t gr_cal_narrow(gr_cal_wide v) {
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}
static inline int64_t gr_cal_add(int64_t a, int64_t b) { return gr_cal_narrow((gr_cal_wide)a + b); }
static inline int64_t gr_cal_sub(int64_t a, int64_t b) { return gr_cal_narrow((gr_cal_wide)a - b); }
static inline int64_t gr_cal_mul(int64_t a, int64_t b) { return gr_cal_narrow((gr_cal_wide)a * b); }
/* Rounds towards minus infinity; b > 0. */
static inline int64_t gr_cal_div_floor(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int64_t gr_cal_mod_floor(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; }

/* Days since 1970-01-01 of a proleptic Gregorian date; the year within ±10,000,000. */
int64_t gr_cal_days_from_date(int64_t year, int month, int day);
void gr_cal_date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);
int gr_cal_month_days(int64_t year, int month);
/* Months since year 0. */
int64_t gr_cal_month_index(int64_t local_us);
/* The same day and time, `months` later; clamped to the month's end. */
int64_t gr_cal_add_months(int64_t local_us, int64_t months);
/* Start of the bucket of a predefined grain, and of the next one. */
int64_t gr_cal_grain_floor(gr_grain grain, int64_t local_us);
int64_t gr_cal_grain_next(gr_grain grain, int64_t bucket_local_us);

/* The furthest reading that the clock of `tz` has shown at or before an instant: ahead of what it shows now when it was
 * set back. gr_tz_to_utc(local) <= utc_us  <=>  local <= this. */
int64_t gr_cal_reached(const gr_tz *tz, int64_t utc_us);
/* The next instant at which the offset changes; INT64_MAX when it never does again. */
int64_t gr_cal_next_change(const gr_tz *tz, int64_t utc_us);

/* A name of a unit: one of the eight grains, with "s" behind it when `allow_plural`. Exact case. */
gr_grain gr_cal_unit_from_text(gr_str text, bool allow_plural);
/* One unit as an interval. */
gr_interval gr_cal_unit_interval(gr_grain unit);

/* A cursor over text; every scan moves it only when it succeeds. */
typedef struct gr_cal_cursor {
    const char *p, *end;
} gr_cal_cursor;

static inline gr_cal_cursor gr_cal_cursor_of(gr_str s) {
    const char *p = s.n ? s.p : "";
    return (gr_cal_cursor){p, p + s.n};
}
static inline bool gr_cal_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool gr_cal_is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool gr_cal_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool gr_cal_scan_char(gr_cal_cursor *c, char want);
/* Between min and max digits, and no digit behind them; max <= 18. */
bool gr_cal_scan_number(gr_cal_cursor *c, int min_digits, int max_digits, int64_t *ret);
/* `YYYY-MM-DD` (or a sign and six digits of year) that exists. */
bool gr_cal_scan_iso_date(gr_cal_cursor *c, int64_t *ret_days);
/* `HH:mm[:ss[.f…]]`; what is finer than a microsecond is dropped. */
bool gr_cal_scan_iso_time(gr_cal_cursor *c, int64_t *ret_us);
/* `Z`, `±HH`, `±HHMM` or `±HH:MM`. */
bool gr_cal_scan_zone(gr_cal_cursor *c, int64_t *ret_offset_us);

/* From relative and natural-language text to wall-clock bounds, [from, to). On failure *ret_culprit is the part that
 * makes no sense. */
bool gr_cal_natural_range(gr_str text, const gr_tz *tz, int64_t now_utc_us, int64_t *ret_from_local_us,
                          int64_t *ret_to_local_us, gr_str *ret_culprit);
#endif
