/* Relative and natural-language ranges, the rules of cube.md 2.3 in their order; the first that matches wins:
 *   1. (this|last|next) <unit>      2. (last|next) N <unit>s      3. today, yesterday, tomorrow
 *   4. from A to B                  5. A, or A to B
 * Rules 1 to 3 look anywhere in the text, as the reference does. In 4 and 5 an instant must be understood to its last
 * character:  now | N <unit>s ago | N <unit>s from now | in N <unit>s | a date with or without time | a time of today.
 * They are widened to whole days, or to hours, minutes or seconds when the text has that word; a month without a day
 * stands for the whole month. Invariant: bounds are within the years 0 to 9999. */
#include "cal/internal.h"

#define MAX_TEXT 200
#define MIN_US (INT64_C(-62167219200) * US_PER_SECOND) /* 0000-01-01 */
#define MAX_US (INT64_C(253402300800) * US_PER_SECOND) /* 10000-01-01 */

typedef struct clock_context {
    const gr_tz *tz;
    int64_t now_utc_us, now_local_us;
} clock_context;

typedef struct instant {
    int64_t local_us;
    gr_grain grain; /* what it names: a month, or a day or less */
} instant;

typedef struct span {
    int64_t from_us, to_us;
} span;

/* ---- words --------------------------------------------------------------------------------------------------- */

static gr_str rest_of(const gr_cal_cursor *c) { return (gr_str){c->p, (size_t)(c->end - c->p)}; }

static bool skip_spaces(gr_cal_cursor *c) {
    const char *first = c->p;
    while (c->p < c->end && gr_cal_is_space(*c->p)) c->p++;
    return c->p > first;
}

static gr_str next_word(const gr_cal_cursor *c) {
    const char *p = c->p;
    while (p < c->end && gr_cal_is_alpha(*p)) p++;
    return (gr_str){c->p, (size_t)(p - c->p)};
}

/* This word, and no letter behind it. */
static bool scan_word(gr_cal_cursor *c, const char *word) {
    gr_str found = next_word(c);
    if (!gr_str_eq_z(found, word)) return false;
    c->p += found.n;
    return true;
}

/* A table of words; the index of the one that stands here, or -1. */
static int scan_one_of(gr_cal_cursor *c, const char *const *words, int n) {
    for (int i = 0; i < n; i++)
        if (scan_word(c, words[i])) return i;
    return -1;
}

/* Wall clock `n` units from now: days and longer keep the time of day, hours and shorter are counted in elapsed time.
 */
static int64_t shifted(const clock_context *k, gr_grain unit, int64_t n) {
    gr_interval one = gr_cal_unit_interval(unit);
    if (one.us > 0) return gr_tz_to_local(k->tz, gr_cal_add(k->now_utc_us, gr_cal_mul(one.us, n)));
    return gr_interval_add(one, n, k->now_local_us);
}

/* ---- rules 1 to 3 -------------------------------------------------------------------------------------------- */

static const struct direction {
    gr_str word;
    int64_t sign;
} directions[] = {{GR_STR_INIT("this"), 0}, {GR_STR_INIT("last"), -1}, {GR_STR_INIT("next"), 1}};

static span whole_units(const clock_context *k, gr_grain unit, int64_t first, int64_t last) {
    int64_t from = gr_cal_grain_floor(unit, shifted(k, unit, first));
    int64_t to = gr_cal_grain_next(unit, gr_cal_grain_floor(unit, shifted(k, unit, last)));
    return (span){from, to};
}

static bool units_here(gr_cal_cursor c, const struct direction *d, bool is_counted, const clock_context *k, span *ret) {
    if (!gr_str_starts(rest_of(&c), d->word)) return false;
    c.p += d->word.n;
    int64_t n = 1;
    if (!skip_spaces(&c)) return false;
    if (is_counted && (d->sign == 0 || !gr_cal_scan_number(&c, 1, 9, &n) || n == 0 || !skip_spaces(&c))) return false;
    for (gr_grain unit = GR_GRAIN_SECOND; unit < GR_GRAIN_CUSTOM; unit++) {
        if (!gr_str_starts(rest_of(&c), gr_grain_name(unit))) continue;
        int64_t first = d->sign < 0 ? -n : d->sign, last = d->sign > 0 ? n : d->sign;
        *ret = whole_units(k, unit, first, last);
        return true;
    }
    return false;
}

static bool units_anywhere(gr_str text, bool is_counted, const clock_context *k, span *ret) {
    for (gr_cal_cursor c = gr_cal_cursor_of(text); c.p < c.end; c.p++)
        for (size_t i = 0; i < sizeof directions / sizeof *directions; i++)
            if (units_here(c, &directions[i], is_counted, k, ret)) return true;
    return false;
}

static bool day_anywhere(gr_str text, const clock_context *k, span *ret) {
    static const struct direction days[] = {
        {GR_STR_INIT("today"), 0}, {GR_STR_INIT("yesterday"), -1}, {GR_STR_INIT("tomorrow"), 1}};
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        if (gr_str_find_str(text, days[i].word) == SIZE_MAX) continue;
        *ret = whole_units(k, GR_GRAIN_DAY, days[i].sign, days[i].sign);
        return true;
    }
    return false;
}

/* ---- instants ------------------------------------------------------------------------------------------------- */

static bool scan_amount(gr_cal_cursor *c, int64_t *ret) {
    static const char *const words[] = {"a",     "one",   "two",  "three", "four",   "five",   "six",
                                        "seven", "eight", "nine", "ten",   "eleven", "twelve", "an"};
    if (gr_cal_scan_number(c, 1, 9, ret)) return true;
    int i = scan_one_of(c, words, sizeof words / sizeof *words);
    if (i < 0) return false;
    *ret = i == 0 || i == 13 ? 1 : i;
    return true;
}

static bool scan_unit(gr_cal_cursor *c, gr_grain *ret) {
    gr_str word = next_word(c);
    *ret = gr_cal_unit_from_text(word, true);
    c->p += word.n;
    return *ret != GR_GRAIN_NONE;
}

/* `N units ago`, `N units from now`, `N units later`, `in N units`. */
static bool scan_relative(gr_cal_cursor *c, const clock_context *k, instant *ret) {
    gr_cal_cursor at = *c;
    int64_t n;
    gr_grain unit;
    bool is_in = scan_word(&at, "in") && skip_spaces(&at);
    if (!scan_amount(&at, &n) || !skip_spaces(&at) || !scan_unit(&at, &unit)) return false;
    if (!is_in) {
        if (!skip_spaces(&at)) return false;
        if (scan_word(&at, "ago"))
            n = -n;
        else if (!scan_word(&at, "later") && !(scan_word(&at, "from") && skip_spaces(&at) && scan_word(&at, "now")))
            return false;
    }
    *ret = (instant){shifted(k, unit, n), GR_GRAIN_DAY};
    *c = at;
    return true;
}

static bool scan_month(gr_cal_cursor *c, int *ret) {
    static const char *const full[] = {"january", "february", "march",     "april",   "may",      "june",
                                       "july",    "august",   "september", "october", "november", "december"};
    static const char *const brief[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
    int i = scan_one_of(c, full, 12);
    if (i < 0) {
        i = scan_word(c, "sept") ? 8 : scan_one_of(c, brief, 12);
        if (i >= 0) gr_cal_scan_char(c, '.');
    }
    *ret = i + 1;
    return i >= 0;
}

/* `1`, `1st`, `22nd`. */
static bool scan_day(gr_cal_cursor *c, int64_t *ret) {
    static const char *const suffixes[] = {"st", "nd", "rd", "th"};
    if (!gr_cal_scan_number(c, 1, 2, ret)) return false;
    scan_one_of(c, suffixes, 4);
    return true;
}

static bool scan_gap(gr_cal_cursor *c) {
    bool has_comma = gr_cal_scan_char(c, ',');
    return skip_spaces(c) || has_comma;
}

static bool make_date(int64_t year, int64_t month, int64_t day, instant *ret) {
    if (month < 1 || month > 12 || day < 1 || day > gr_cal_month_days(year, (int)month)) return false;
    *ret = (instant){gr_cal_days_from_date(year, (int)month, (int)day) * US_PER_DAY, GR_GRAIN_DAY};
    return true;
}

/* `Jan 1 2020`, `January 1st, 2020`, `January 2020`. */
static bool scan_month_first(gr_cal_cursor *c, instant *ret) {
    gr_cal_cursor at = *c;
    int month;
    int64_t day = 1, year;
    if (!scan_month(&at, &month) || !scan_gap(&at)) return false;
    bool is_month = gr_cal_scan_number(&at, 4, 4, &year);
    if (!is_month && (!scan_day(&at, &day) || !scan_gap(&at) || !gr_cal_scan_number(&at, 4, 4, &year))) return false;
    if (!make_date(year, month, day, ret)) return false;
    if (is_month) ret->grain = GR_GRAIN_MONTH;
    *c = at;
    return true;
}

/* `1 January 2020`, `1st of Jan, 2020`. */
static bool scan_day_first(gr_cal_cursor *c, instant *ret) {
    gr_cal_cursor at = *c;
    int month;
    int64_t day, year;
    if (!scan_day(&at, &day) || !skip_spaces(&at)) return false;
    if (scan_word(&at, "of") && !skip_spaces(&at)) return false;
    if (!scan_month(&at, &month) || !scan_gap(&at) || !gr_cal_scan_number(&at, 4, 4, &year)) return false;
    if (!make_date(year, month, day, ret)) return false;
    *c = at;
    return true;
}

/* `2020/1/31`, `1/31/2020` (month first, as the reference reads it). */
static bool scan_slashed(gr_cal_cursor *c, instant *ret) {
    gr_cal_cursor at = *c;
    int64_t n[3];
    const char *first = at.p;
    if (!gr_cal_scan_number(&at, 1, 4, &n[0])) return false;
    bool is_year_first = at.p - first == 4;
    if (!gr_cal_scan_char(&at, '/') || !gr_cal_scan_number(&at, 1, 2, &n[1]) || !gr_cal_scan_char(&at, '/'))
        return false;
    if (is_year_first ? !gr_cal_scan_number(&at, 1, 2, &n[2]) : !gr_cal_scan_number(&at, 4, 4, &n[2])) return false;
    if (is_year_first ? !make_date(n[0], n[1], n[2], ret) : !make_date(n[2], n[0], n[1], ret)) return false;
    *c = at;
    return true;
}

static bool scan_iso(gr_cal_cursor *c, instant *ret) {
    int64_t days;
    if (!gr_cal_scan_iso_date(c, &days)) return false;
    *ret = (instant){gr_cal_mul(days, US_PER_DAY), GR_GRAIN_DAY};
    return true;
}

/* `3pm`, `3:30 pm`, `12AM`. */
static bool scan_half_day_time(gr_cal_cursor *c, int64_t *ret_us) {
    gr_cal_cursor at = *c;
    int64_t hour, minute = 0;
    if (!gr_cal_scan_number(&at, 1, 2, &hour) || hour < 1 || hour > 12) return false;
    if (gr_cal_scan_char(&at, ':') && (!gr_cal_scan_number(&at, 2, 2, &minute) || minute > 59)) return false;
    skip_spaces(&at);
    bool is_pm = scan_word(&at, "pm");
    if (!is_pm && !scan_word(&at, "am")) return false;
    *ret_us = (hour % 12 + (is_pm ? 12 : 0)) * US_PER_HOUR + minute * US_PER_MINUTE;
    *c = at;
    return true;
}

/* A time of day, and perhaps a zone: then the wall clock of UTC counts. */
static bool scan_time(gr_cal_cursor *c, int64_t *ret_us) {
    if (scan_half_day_time(c, ret_us)) return true;
    if (!gr_cal_scan_iso_time(c, ret_us)) return false;
    gr_cal_cursor at = *c;
    int64_t offset_us;
    skip_spaces(&at);
    if (gr_cal_scan_zone(&at, &offset_us)) {
        *ret_us -= offset_us;
        *c = at;
    }
    return true;
}

static void scan_time_behind(gr_cal_cursor *c, instant *i) {
    gr_cal_cursor at = *c;
    int64_t time_us;
    if (!gr_cal_scan_char(&at, 't')) {
        if (!scan_gap(&at)) return;
        if (scan_word(&at, "at")) skip_spaces(&at);
    }
    if (!scan_time(&at, &time_us)) return;
    i->local_us = gr_cal_add(i->local_us, time_us);
    *c = at;
}

static bool scan_instant(gr_cal_cursor *c, const clock_context *k, instant *ret) {
    static bool (*const dates[])(gr_cal_cursor *, instant *) = {scan_iso, scan_slashed, scan_month_first,
                                                                scan_day_first};
    if (scan_word(c, "now")) {
        *ret = (instant){k->now_local_us, GR_GRAIN_DAY};
        return true;
    }
    if (scan_relative(c, k, ret)) return true;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        if (!dates[i](c, ret)) continue;
        if (ret->grain == GR_GRAIN_DAY) scan_time_behind(c, ret);
        return true;
    }
    int64_t time_us;
    if (!scan_time(c, &time_us)) return false;
    *ret = (instant){gr_cal_grain_floor(GR_GRAIN_DAY, k->now_local_us) + time_us, GR_GRAIN_DAY};
    return true;
}

/* The text is used up, but for a `by hour` whose word has its effect by being there. */
static bool is_at_end(gr_cal_cursor c) {
    if (skip_spaces(&c) && scan_word(&c, "by")) {
        gr_grain unit;
        if (!skip_spaces(&c) || !scan_unit(&c, &unit) || unit > GR_GRAIN_DAY) return false;
        skip_spaces(&c);
    }
    return c.p == c.end;
}

/* ---- rules 4 and 5 --------------------------------------------------------------------------------------------- */

static span widened(gr_str text, instant from, instant to) {
    static const gr_grain fine[] = {GR_GRAIN_SECOND, GR_GRAIN_MINUTE, GR_GRAIN_HOUR};
    gr_grain unit = GR_GRAIN_DAY;
    for (size_t i = 0; i < 3 && unit == GR_GRAIN_DAY; i++)
        if (gr_str_find_str(text, gr_grain_name(fine[i])) != SIZE_MAX) unit = fine[i];
    gr_grain last = to.grain == GR_GRAIN_MONTH ? GR_GRAIN_MONTH : unit;
    return (span){gr_cal_grain_floor(unit, from.local_us), gr_cal_grain_next(last, to.local_us)};
}

static bool whole_instant(gr_str half, const clock_context *k, instant *ret) {
    gr_cal_cursor c = gr_cal_cursor_of(gr_str_trim(half));
    return scan_instant(&c, k, ret) && is_at_end(c);
}

/* Where the last " to " of `from A to B` stands, or SIZE_MAX. */
static size_t last_to(gr_str text) {
    for (size_t i = text.n; i-- > 5;)
        if (gr_str_starts(gr_str_sub(text, i, text.n - i), GR_STR(" to "))) return i;
    return SIZE_MAX;
}

static bool scan_connector(gr_cal_cursor *c) {
    static const char *const words[] = {"to", "till", "until", "through"};
    gr_cal_cursor at = *c;
    if (!skip_spaces(&at)) return false;
    if (scan_one_of(&at, words, 4) < 0 && !gr_cal_scan_char(&at, '-')) return false;
    if (!skip_spaces(&at)) return false;
    *c = at;
    return true;
}

static bool instants(gr_str text, const clock_context *k, instant *from, instant *to) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    if (scan_word(&c, "from")) skip_spaces(&c);
    if (!scan_instant(&c, k, from)) return false;
    *to = *from;
    if (scan_connector(&c) && !scan_instant(&c, k, to)) return false;
    return is_at_end(c);
}

static bool from_to_or_instants(gr_str text, gr_str lower, const clock_context *k, span *ret, gr_str *ret_culprit) {
    instant from, to;
    size_t split = gr_str_starts(lower, GR_STR("from ")) ? last_to(lower) : SIZE_MAX;
    if (split == SIZE_MAX) {
        if (!instants(lower, k, &from, &to)) return false;
    } else {
        size_t second = split + 4;
        bool is_first_known = whole_instant(gr_str_sub(lower, 5, split - 5), k, &from);
        if (!is_first_known || !whole_instant(gr_str_sub(lower, second, lower.n - second), k, &to)) {
            *ret_culprit = is_first_known ? gr_str_sub(text, second, text.n - second) : gr_str_sub(text, 5, split - 5);
            *ret_culprit = gr_str_trim(*ret_culprit);
            return false;
        }
    }
    *ret = widened(lower, from, to);
    return true;
}

bool gr_cal_natural_range(gr_str text, const gr_tz *tz, int64_t now_utc_us, int64_t *ret_from_local_us,
                          int64_t *ret_to_local_us, gr_str *ret_culprit) {
    char buffer[MAX_TEXT];
    *ret_culprit = text;
    text = gr_str_trim(text);
    if (text.n == 0 || text.n > sizeof buffer) return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        buffer[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    gr_str lower = {buffer, text.n};
    clock_context k = {tz, now_utc_us, gr_tz_to_local(tz, now_utc_us)};
    span s;
    if (!units_anywhere(lower, false, &k, &s) && !units_anywhere(lower, true, &k, &s) && !day_anywhere(lower, &k, &s) &&
        !from_to_or_instants(text, lower, &k, &s, ret_culprit))
        return false;
    if (s.from_us < MIN_US || s.from_us >= MAX_US || s.to_us < MIN_US || s.to_us > MAX_US) return false;
    *ret_from_local_us = s.from_us;
    *ret_to_local_us = s.to_us;
    return true;
}
