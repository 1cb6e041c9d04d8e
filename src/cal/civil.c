/* Civil arithmetic: dates to days and back, months with clamping, buckets of the eight grains.
 * Days are counted from 1970-01-01 in the proleptic Gregorian calendar. Years are thought of as starting in March, so
 * that the leap day is the last of the year and the lengths of months follow one line, (153 m + 2) / 5. */
#include "cal/internal.h"

#define DAYS_PER_ERA 146097 /* 400 years */
#define DAYS_TO_MARCH_0 719468
#define MAX_YEAR 10000000

int64_t gr_cal_days_from_date(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = gr_cal_div_floor(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_MARCH_0;
}

void gr_cal_date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day) {
    days += DAYS_TO_MARCH_0;
    int64_t era = gr_cal_div_floor(days, DAYS_PER_ERA);
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (int)((5 * day_of_year + 2) / 153);
    *ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = era * 400 + year_of_era + (*ret_month <= 2);
}

int gr_cal_month_days(int64_t year, int month) {
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

gr_civil gr_civil_from_us(int64_t us) {
    gr_civil c = {0};
    int64_t days = gr_cal_div_floor(us, US_PER_DAY);
    int64_t rest = gr_cal_mod_floor(us, US_PER_DAY);
    gr_cal_date_from_days(days, &c.year, &c.month, &c.day);
    c.hour = (int)(rest / US_PER_HOUR);
    c.minute = (int)(rest / US_PER_MINUTE % 60);
    c.second = (int)(rest / US_PER_SECOND % 60);
    c.us = rest % US_PER_SECOND;
    return c;
}

int64_t gr_civil_to_us(gr_civil c) {
    int64_t month0 = (int64_t)c.month - 1;
    int64_t year = gr_cal_add(c.year, gr_cal_div_floor(month0, 12));
    if (year > MAX_YEAR) return INT64_MAX;
    if (year < -MAX_YEAR) return INT64_MIN;
    gr_cal_wide days = gr_cal_days_from_date(year, (int)gr_cal_mod_floor(month0, 12) + 1, 1) + (int64_t)c.day - 1;
    return gr_cal_narrow(days * US_PER_DAY + (gr_cal_wide)c.hour * US_PER_HOUR + (gr_cal_wide)c.minute * US_PER_MINUTE +
                         (gr_cal_wide)c.second * US_PER_SECOND + c.us);
}

int64_t gr_cal_month_index(int64_t local_us) {
    gr_civil c = gr_civil_from_us(local_us);
    return c.year * 12 + c.month - 1;
}

int64_t gr_cal_add_months(int64_t local_us, int64_t months) {
    if (months == 0) return local_us;
    gr_civil c = gr_civil_from_us(local_us);
    int64_t index = gr_cal_add(c.year * 12 + c.month - 1, months);
    c.year = gr_cal_div_floor(index, 12);
    c.month = (int)gr_cal_mod_floor(index, 12) + 1;
    int last = gr_cal_month_days(c.year, c.month);
    if (c.day > last) c.day = last;
    return gr_civil_to_us(c);
}

/* Buckets of months: 1, 3 or 12 of them, counted from year 0. */
static int64_t month_bucket(int64_t local_us, int64_t months, int64_t skip) {
    int64_t index = gr_cal_month_index(local_us);
    index += skip * months - gr_cal_mod_floor(index, months);
    return gr_civil_to_us(
        (gr_civil){.year = gr_cal_div_floor(index, 12), .month = (int)gr_cal_mod_floor(index, 12) + 1, .day = 1});
}

static int64_t week_floor(int64_t local_us) {
    int64_t days = gr_cal_div_floor(local_us, US_PER_DAY);
    return gr_cal_mul(days - gr_cal_mod_floor(days + 3, 7), US_PER_DAY); /* day 0 was a Thursday */
}

int64_t gr_cal_grain_floor(gr_grain grain, int64_t local_us) {
    if (grain == GR_GRAIN_WEEK) return week_floor(local_us);
    int64_t seconds = gr_grain_seconds(grain);
    if (seconds > 0) return gr_cal_sub(local_us, gr_cal_mod_floor(local_us, seconds * US_PER_SECOND));
    int64_t months = gr_cal_unit_interval(grain).months;
    return months > 0 ? month_bucket(local_us, months, 0) : local_us;
}

int64_t gr_cal_grain_next(gr_grain grain, int64_t bucket_local_us) {
    int64_t seconds = gr_grain_seconds(grain);
    if (seconds > 0) return gr_cal_add(gr_cal_grain_floor(grain, bucket_local_us), seconds * US_PER_SECOND);
    int64_t months = gr_cal_unit_interval(grain).months;
    return months > 0 ? month_bucket(bucket_local_us, months, 1) : bucket_local_us;
}
