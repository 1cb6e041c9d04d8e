/* `every: <n> <unit>` of refresh keys: intervals that are counted from 1970 on, on the wall clock of a zone.
 *
 *   wall clock  |---- 6 ----|---- 7 ----|---- 8 ----|      the number of an interval
 *   instants    |---- 6 --|-- 7 --|6|-- 7 ----|- 8 -|      where the clock is set back, a number can come again
 *
 * Invariant: the number is constant from an instant to the next one that gr_every_next gives. */
#include "cal/internal.h"

#define MONTHS_TO_1970 (INT64_C(1970) * 12)
/* No clock is set back further than this. */
#define MOST_SET_BACK_US (2 * INT64_C(26) * US_PER_HOUR)

bool gr_every_parse(gr_str text, gr_every *ret) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    int64_t n;
    if (!gr_cal_scan_number(&c, 1, 9, &n) || n == 0 || !gr_cal_scan_char(&c, ' ')) return false;
    gr_grain unit = gr_cal_unit_from_text((gr_str){c.p, (size_t)(c.end - c.p)}, true);
    if (unit == GR_GRAIN_NONE || unit > GR_GRAIN_MONTH) return false;
    *ret = (gr_every){n * gr_grain_seconds(unit), n * gr_cal_unit_interval(unit).months};
    return true;
}

static int64_t number_of(gr_every every, int64_t local_us) {
    if (every.months) return gr_cal_div_floor(gr_cal_month_index(local_us) - MONTHS_TO_1970, every.months);
    return gr_cal_div_floor(local_us, gr_cal_mul(every.seconds, US_PER_SECOND));
}

/* The reading at which an interval begins. */
static int64_t start_of(gr_every every, int64_t number) {
    if (every.months) return gr_cal_add_months(0, gr_cal_mul(number, every.months));
    return gr_cal_mul(number, gr_cal_mul(every.seconds, US_PER_SECOND));
}

int64_t gr_every_number(gr_every every, const gr_tz *tz, int64_t utc_us) {
    return number_of(every, gr_tz_to_local(tz, utc_us));
}

int64_t gr_every_next(gr_every every, const gr_tz *tz, int64_t utc_us) {
    int64_t number = gr_every_number(every, tz, utc_us);
    int64_t start = start_of(every, number), end = start_of(every, number + 1);
    if (end == INT64_MAX) return INT64_MAX;
    /* From one setting of the clock to the next, as long as the number could go back or has been here before. */
    for (;;) {
        int64_t local = gr_tz_to_local(tz, utc_us), direct = gr_tz_to_utc(tz, end, NULL);
        if (gr_cal_sub(local, start) > MOST_SET_BACK_US && direct > utc_us) return direct;
        int64_t here = gr_cal_add(utc_us, gr_cal_sub(end, local)), change = gr_cal_next_change(tz, utc_us);
        if (here < change || change == INT64_MAX) return here;
        utc_us = change;
        if (gr_every_number(every, tz, utc_us) != number) return utc_us;
    }
}

int64_t gr_every_add(gr_every every, const gr_tz *tz, int64_t utc_us) {
    if (!every.months) return gr_cal_add(utc_us, gr_cal_mul(every.seconds, US_PER_SECOND));
    return gr_tz_to_utc(tz, gr_cal_add_months(gr_tz_to_local(tz, utc_us), every.months), NULL);
}
