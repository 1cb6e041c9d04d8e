/* Cron lines: from text to sets of values, and from those to the instants at which they fire.
 *
 * A line fires at readings of the wall clock. A reading l fires at gr_tz_to_utc(l), which never falls as l rises; so
 * the readings that have fired at an instant are those up to the furthest one that the clock has shown
 * (gr_cal_reached), and the search for the last and the next is one over dates, where no clock is ever set.
 *
 * Invariant: a cron that was parsed has a value in every field, each within its bounds. No search looks at more than
 * eight years of months, the distance of two leap days around 1900. */
#include "cal/internal.h"

#define MAX_CRON_BYTES 256
#define N_FIELDS 6
#define MOST_MONTHS (8 * 12 + 2)

#define S_PER_DAY INT64_C(86400)
#define ALL_DAYS UINT32_C(0xfffffffe) /* bits 1 to 31 */
#define ALL_WEEKDAYS UINT32_C(0x7f)

/* ---- text ------------------------------------------------------------------------------------------------------- */

typedef struct cron_field {
    int64_t min, max;
    const char *names; /* three letters each, from `min` on; or NULL */
    bool has_any;      /* `?` stands for "no matter" */
} cron_field;

static const cron_field cron_fields[N_FIELDS] = {
    {0, 59, NULL, false}, /* second, only in the form of six */
    {0, 59, NULL, false}, /* minute */
    {0, 23, NULL, false}, /* hour */
    {1, 31, NULL, true},  /* day of the month */
    {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", false},
    {0, 7, "sunmontuewedthufrisat", true}, /* day of the week; 7 is Sunday too */
};

static bool cron_value(gr_cal_cursor *c, const cron_field *field, int64_t *ret) {
    if (gr_cal_scan_number(c, 1, 4, ret)) return *ret >= field->min && *ret <= field->max;
    if (!field->names || c->end - c->p < 3) return false;
    for (size_t i = 0; field->names[3 * i]; i++) {
        if (!gr_str_eq_nocase((gr_str){c->p, 3}, (gr_str){field->names + 3 * i, 3})) continue;
        c->p += 3;
        *ret = field->min + (int64_t)i;
        return true;
    }
    return false;
}

/* `*`, `5`, `1-5`, each with or without `/step`; `5/step` goes on to the end of the field. */
static bool cron_item(gr_cal_cursor *c, const cron_field *field, uint64_t *set) {
    int64_t from = field->min, to = field->max, step = 1;
    bool is_one = false;
    if (!gr_cal_scan_char(c, '*')) {
        if (!cron_value(c, field, &from)) return false;
        is_one = !gr_cal_scan_char(c, '-');
        if (!is_one && (!cron_value(c, field, &to) || to < from)) return false;
    }
    if (gr_cal_scan_char(c, '/')) {
        if (!gr_cal_scan_number(c, 1, 4, &step) || step < 1 || step > field->max) return false;
    } else if (is_one) {
        to = from;
    }
    for (int64_t i = from; i <= to; i += step) *set |= UINT64_C(1) << i;
    return true;
}

static bool cron_field_parse(gr_str text, const cron_field *field, uint64_t *ret) {
    gr_cal_cursor c = gr_cal_cursor_of(field->has_any && gr_str_eq(text, GR_STR("?")) ? GR_STR("*") : text);
    *ret = 0;
    do {
        if (!cron_item(&c, field, ret)) return false;
    } while (gr_cal_scan_char(&c, ','));
    return c.p == c.end;
}

bool gr_cron_parse(gr_str text, gr_cron *ret) {
    gr_str fields[N_FIELDS];
    uint64_t sets[N_FIELDS] = {1}; /* five fields: at second 0 */
    size_t n = 0;
    if (text.n > MAX_CRON_BYTES) return false;
    for (gr_cal_cursor c = gr_cal_cursor_of(text); c.p < c.end;) {
        const char *first = c.p;
        while (c.p < c.end && !gr_cal_is_space(*c.p)) c.p++;
        if (c.p > first) {
            if (n == N_FIELDS) return false;
            fields[n++] = (gr_str){first, (size_t)(c.p - first)};
        }
        while (c.p < c.end && gr_cal_is_space(*c.p)) c.p++;
    }
    if (n < N_FIELDS - 1) return false;
    for (size_t i = 0, at = N_FIELDS - n; i < n; i++)
        if (!cron_field_parse(fields[i], &cron_fields[at + i], &sets[at + i])) return false;
    *ret = (gr_cron){.seconds = sets[0],
                     .minutes = sets[1],
                     .hours = (uint32_t)sets[2],
                     .days = (uint32_t)sets[3],
                     .months = (uint32_t)sets[4],
                     .weekdays = (uint32_t)(sets[5] | sets[5] >> 7) & ALL_WEEKDAYS};
    return true;
}

/* ---- sets ------------------------------------------------------------------------------------------------------- */

/* The lowest bit at or above `from`, the highest at or below `to`; -1 when there is none. */
static int bit_from(uint64_t set, int from) {
    uint64_t rest = from < 64 ? set >> from << from : 0;
    return rest ? __builtin_ctzll(rest) : -1;
}

static int bit_to(uint64_t set, int to) {
    uint64_t rest = to < 0 ? 0 : set & UINT64_MAX >> (63 - to);
    return rest ? 63 - __builtin_clzll(rest) : -1;
}

typedef int bit_fn(uint64_t set, int at);

/* The fire at or after (step 1), or at or before (step -1), a second of the day; -1 when that day has no more. Hours,
 * minutes and seconds are the digits of a number: the longest head that stays, then one step, then the nearest end. */
static int time_near(const gr_cron *cron, int at_s, int step) {
    bit_fn *near = step > 0 ? bit_from : bit_to;
    int end = step > 0 ? 0 : 63, hour = at_s / 3600, minute = at_s / 60 % 60, second = at_s % 60;
    if (cron->hours >> hour & 1) {
        if (cron->minutes >> minute & 1) {
            second = near(cron->seconds, second);
            if (second >= 0) return hour * 3600 + minute * 60 + second;
        }
        minute = near(cron->minutes, minute + step);
        if (minute >= 0) return hour * 3600 + minute * 60 + near(cron->seconds, end);
    }
    hour = near(cron->hours, hour + step);
    return hour < 0 ? -1 : hour * 3600 + near(cron->minutes, end) * 60 + near(cron->seconds, end);
}

/* The days of a month on which the line fires, bits 1 to 31. */
static uint64_t days_of_month(const gr_cron *cron, int64_t first_day, int length) {
    uint64_t all = ((UINT64_C(1) << length) - 1) << 1, by_week = 0;
    for (int d = 1; d <= length; d++) {
        int64_t weekday = gr_cal_mod_floor(first_day + d + 3, 7); /* day 0 was a Thursday */
        by_week |= (uint64_t)(cron->weekdays >> weekday & 1) << d;
    }
    if (cron->days == ALL_DAYS) return by_week;
    return all & (cron->weekdays == ALL_WEEKDAYS ? cron->days : cron->days | by_week);
}

/* The nearest day that fires, from `day` on in the direction of `step`. */
static bool day_near(const gr_cron *cron, int64_t day, int step, int64_t *ret) {
    int64_t year;
    int month, at;
    gr_cal_date_from_days(day, &year, &month, &at);
    for (int i = 0; i < MOST_MONTHS; i++) {
        if (cron->months >> month & 1) {
            int64_t first = gr_cal_days_from_date(year, month, 1);
            uint64_t days = days_of_month(cron, first, gr_cal_month_days(year, month));
            int found = step > 0 ? bit_from(days, at) : bit_to(days, at);
            if (found >= 0) {
                *ret = first + found - 1;
                return true;
            }
        }
        at = step > 0 ? 1 : 31;
        month += step;
        if (month >= 1 && month <= 12) continue;
        year += step;
        month = step > 0 ? 1 : 12;
    }
    return false;
}

/* The nearest reading, in seconds, that fires. */
static bool reading_near(const gr_cron *cron, int64_t local_s, int step, int64_t *ret_us) {
    int64_t day = gr_cal_div_floor(local_s, S_PER_DAY), found;
    if (!day_near(cron, day, step, &found)) return false;
    int time = found == day ? time_near(cron, (int)gr_cal_mod_floor(local_s, S_PER_DAY), step) : -1;
    if (time < 0) {
        if (found == day && !day_near(cron, day + step, step, &found)) return false;
        time = time_near(cron, step > 0 ? 0 : (int)S_PER_DAY - 1, step);
    }
    *ret_us = gr_cal_mul(found * S_PER_DAY + time, US_PER_SECOND);
    return true;
}

/* ---- instants --------------------------------------------------------------------------------------------------- */

int64_t gr_cron_last(const gr_cron *cron, const gr_tz *tz, int64_t utc_us) {
    int64_t reached_s = gr_cal_div_floor(gr_cal_reached(tz, utc_us), US_PER_SECOND), reading;
    if (!reading_near(cron, reached_s, -1, &reading) || reading == INT64_MIN) return INT64_MIN;
    return gr_tz_to_utc(tz, reading, NULL);
}

int64_t gr_cron_next(const gr_cron *cron, const gr_tz *tz, int64_t utc_us) {
    int64_t reached_s = gr_cal_div_floor(gr_cal_reached(tz, utc_us), US_PER_SECOND), reading;
    if (!reading_near(cron, reached_s + 1, 1, &reading) || reading == INT64_MAX) return INT64_MAX;
    return gr_tz_to_utc(tz, reading, NULL);
}

bool gr_cron_is_even(const gr_cron *cron, int64_t *ret_first_s, int64_t *ret_interval_s) {
    int n_weekdays = __builtin_popcount(cron->weekdays);
    int64_t n = (int64_t)__builtin_popcount(cron->hours) * __builtin_popcountll(cron->minutes) *
                __builtin_popcountll(cron->seconds);
    bool is_daily = n_weekdays == 7;
    if (cron->days != ALL_DAYS || __builtin_popcount(cron->months) != 12) return false;
    if (S_PER_DAY % n != 0 || (!is_daily && (n_weekdays != 1 || n != 1))) return false;
    /* As many as that, at equal distances, are one in each n-th part of the day, always at the same place. */
    int first = time_near(cron, 0, 1), interval = (int)(S_PER_DAY / n);
    if (first >= interval) return false;
    for (int at = first; at < S_PER_DAY; at += interval)
        if (time_near(cron, at, 1) != at) return false;
    int64_t reading;
    if (!reading_near(cron, 0, 1, &reading)) return false;
    *ret_first_s = reading / US_PER_SECOND;
    *ret_interval_s = is_daily ? interval : 7 * S_PER_DAY;
    return true;
}
