/* Points in time as text: ISO 8601 in, Cube's output form out.
 * Invariant: a text is accepted only when it names a point that exists (no 30th of February, no hour 24), and whole.
 * Formatting is on the path of every cell of an answer: digits are placed by hand. */
#include "cal/internal.h"

/* ---- in ----------------------------------------------------------------------------------------------------- */

bool gr_cal_scan_char(gr_cal_cursor *c, char want) {
    if (c->p == c->end || *c->p != want) return false;
    c->p++;
    return true;
}

bool gr_cal_scan_number(gr_cal_cursor *c, int min_digits, int max_digits, int64_t *ret) {
    const char *p = c->p;
    int64_t v = 0;
    while (p < c->end && gr_cal_is_digit(*p)) {
        if (p - c->p == max_digits) return false;
        v = v * 10 + (*p++ - '0');
    }
    if (p - c->p < min_digits) return false;
    c->p = p;
    *ret = v;
    return true;
}

static bool scan_two(gr_cal_cursor *c, int64_t max, int64_t *ret) {
    return gr_cal_scan_number(c, 2, 2, ret) && *ret <= max;
}

bool gr_cal_scan_iso_date(gr_cal_cursor *c, int64_t *ret_days) {
    gr_cal_cursor at = *c;
    int64_t year, month, day;
    bool is_negative = gr_cal_scan_char(&at, '-');
    bool is_long = is_negative || gr_cal_scan_char(&at, '+');
    int digits = is_long ? 6 : 4;
    if (!gr_cal_scan_number(&at, digits, digits, &year) || !gr_cal_scan_char(&at, '-') || !scan_two(&at, 12, &month) ||
        !gr_cal_scan_char(&at, '-') || !scan_two(&at, 31, &day))
        return false;
    if (is_negative) year = -year;
    if (month < 1 || day < 1 || day > gr_cal_month_days(year, (int)month)) return false;
    *ret_days = gr_cal_days_from_date(year, (int)month, (int)day);
    *c = at;
    return true;
}

static bool scan_fraction(gr_cal_cursor *c, int64_t *ret_us) {
    const char *first = c->p;
    int64_t us = 0, weight = US_PER_SECOND / 10;
    for (; c->p < c->end && gr_cal_is_digit(*c->p); c->p++, weight /= 10) us += (*c->p - '0') * weight;
    *ret_us = us;
    return c->p > first;
}

bool gr_cal_scan_iso_time(gr_cal_cursor *c, int64_t *ret_us) {
    gr_cal_cursor at = *c;
    int64_t hour, minute, second = 0, fraction = 0;
    if (!scan_two(&at, 23, &hour) || !gr_cal_scan_char(&at, ':') || !scan_two(&at, 59, &minute)) return false;
    if (gr_cal_scan_char(&at, ':')) {
        if (!scan_two(&at, 59, &second)) return false;
        if (gr_cal_scan_char(&at, '.') && !scan_fraction(&at, &fraction)) return false;
    }
    *ret_us = hour * US_PER_HOUR + minute * US_PER_MINUTE + second * US_PER_SECOND + fraction;
    *c = at;
    return true;
}

bool gr_cal_scan_zone(gr_cal_cursor *c, int64_t *ret_offset_us) {
    gr_cal_cursor at = *c;
    int64_t hours = 0, minutes = 0;
    bool is_utc = gr_cal_scan_char(&at, 'Z') || gr_cal_scan_char(&at, 'z');
    bool is_negative = false;
    if (!is_utc) {
        is_negative = gr_cal_scan_char(&at, '-');
        if (!is_negative && !gr_cal_scan_char(&at, '+')) return false;
        const char *first = at.p;
        int64_t digits;
        if (gr_cal_scan_number(&at, 4, 4, &digits)) {
            hours = digits / 100, minutes = digits % 100;
        } else if (!gr_cal_scan_number(&at, 2, 2, &hours) ||
                   (gr_cal_scan_char(&at, ':') && !gr_cal_scan_number(&at, 2, 2, &minutes))) {
            at.p = first;
            return false;
        }
        if (hours > 18 || minutes > 59) return false;
    }
    *ret_offset_us = (hours * US_PER_HOUR + minutes * US_PER_MINUTE) * (is_negative ? -1 : 1);
    *c = at;
    return true;
}

bool gr_time_parse(gr_str text, int64_t *ret_us, gr_time_zone_part *ret_zone, bool *ret_is_date) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    int64_t days, time_us = 0, offset_us = 0;
    if (!gr_cal_scan_iso_date(&c, &days)) return false;
    bool is_date = c.p == c.end, has_zone = false;
    if (!is_date) {
        if (!gr_cal_scan_char(&c, 'T') && !gr_cal_scan_char(&c, ' ') && !gr_cal_scan_char(&c, 't')) return false;
        if (!gr_cal_scan_iso_time(&c, &time_us)) return false;
        if (c.p < c.end) {
            has_zone = true;
            gr_cal_scan_char(&c, ' ');
            if (!gr_cal_scan_zone(&c, &offset_us) || c.p != c.end) return false;
        }
    }
    gr_cal_wide us = (gr_cal_wide)days * US_PER_DAY + time_us - offset_us;
    if (us > INT64_MAX || us < INT64_MIN) return false;
    *ret_us = (int64_t)us;
    *ret_zone = has_zone ? GR_TIME_ZONED : GR_TIME_NAIVE;
    *ret_is_date = is_date;
    return true;
}

/* ---- out ---------------------------------------------------------------------------------------------------- */

static char *put_two(char *p, unsigned v) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    memcpy(p, pairs + 2 * v, 2);
    return p + 2;
}

/* At least four digits, or a sign and at least six. */
static char *put_year(char *p, int64_t year) {
    if (year >= 0 && year <= 9999) return put_two(put_two(p, (unsigned)year / 100), (unsigned)year % 100);
    *p++ = year < 0 ? '-' : '+';
    uint64_t v = year < 0 ? 0 - (uint64_t)year : (uint64_t)year;
    if (v >= 1000000) /* up to 5,881,580: the last year that an int32 of days reaches */
        p = put_two(p, (unsigned)(v / 1000000));
    return put_two(put_two(put_two(p, (unsigned)(v / 10000 % 100)), (unsigned)(v / 100 % 100)), (unsigned)(v % 100));
}

static char *put_date(char *p, int64_t year, int month, int day) {
    p = put_year(p, year);
    *p++ = '-';
    p = put_two(p, (unsigned)month);
    *p++ = '-';
    return put_two(p, (unsigned)day);
}

size_t gr_time_format(int64_t us, char *out) {
    gr_civil c = gr_civil_from_us(us);
    unsigned ms = (unsigned)(c.us / 1000);
    char *p = put_date(out, c.year, c.month, c.day);
    *p++ = 'T';
    p = put_two(p, (unsigned)c.hour);
    *p++ = ':';
    p = put_two(p, (unsigned)c.minute);
    *p++ = ':';
    p = put_two(p, (unsigned)c.second);
    *p++ = '.';
    *p++ = (char)('0' + ms / 100);
    return (size_t)(put_two(p, ms % 100) - out);
}

size_t gr_date_format(int32_t days, char *out) {
    int64_t year;
    int month, day;
    gr_cal_date_from_days(days, &year, &month, &day);
    return (size_t)(put_date(out, year, month, day) - out);
}
