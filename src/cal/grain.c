/* The eight grains, their lattice, and intervals of `<n> <unit>` pairs.
 *
 *        year
 *         |
 *      quarter
 *         |
 *       month     week        (a line: what is below is built into what is above; week stands apart)
 *           \     /
 *             day - hour - minute - second
 *
 * Invariant: one table says what a grain is; the lattice is a row of bits per grain. */
#include "cal/internal.h"

#define BIT(grain) (1u << GR_GRAIN_##grain)
#define TO_HOUR (BIT(SECOND) | BIT(MINUTE) | BIT(HOUR))
#define TO_DAY (TO_HOUR | BIT(DAY))
#define TO_MONTH (TO_DAY | BIT(MONTH))
#define TO_QUARTER (TO_MONTH | BIT(QUARTER))

static const struct grain_row {
    gr_str name;
    gr_interval unit;
    int64_t seconds;
    unsigned built_from;
} grains[GR_GRAIN__COUNT] = {
    [GR_GRAIN_NONE] = {GR_STR_INIT("none"), {0, 0, 0}, 0, 0},
    [GR_GRAIN_SECOND] = {GR_STR_INIT("second"), {0, 0, US_PER_SECOND}, 1, BIT(SECOND)},
    [GR_GRAIN_MINUTE] = {GR_STR_INIT("minute"), {0, 0, US_PER_MINUTE}, 60, BIT(SECOND) | BIT(MINUTE)},
    [GR_GRAIN_HOUR] = {GR_STR_INIT("hour"), {0, 0, US_PER_HOUR}, 3600, TO_HOUR},
    [GR_GRAIN_DAY] = {GR_STR_INIT("day"), {0, 1, 0}, 86400, TO_DAY},
    [GR_GRAIN_WEEK] = {GR_STR_INIT("week"), {0, 7, 0}, 604800, TO_DAY | BIT(WEEK)},
    [GR_GRAIN_MONTH] = {GR_STR_INIT("month"), {1, 0, 0}, 0, TO_MONTH},
    [GR_GRAIN_QUARTER] = {GR_STR_INIT("quarter"), {3, 0, 0}, 0, TO_QUARTER},
    [GR_GRAIN_YEAR] = {GR_STR_INIT("year"), {12, 0, 0}, 0, TO_QUARTER | BIT(YEAR)},
    [GR_GRAIN_CUSTOM] = {GR_STR_INIT("custom"), {0, 0, 0}, 0, 0},
};

static const struct grain_row *row_of(gr_grain grain) {
    return &grains[(unsigned)grain < GR_GRAIN__COUNT ? grain : GR_GRAIN_NONE];
}

gr_grain gr_grain_from_name(gr_str name) { return gr_cal_unit_from_text(name, false); }

gr_str gr_grain_name(gr_grain grain) { return row_of(grain)->name; }

bool gr_grain_is_built_from(gr_grain coarse, gr_grain fine) {
    return (unsigned)fine < GR_GRAIN__COUNT && (row_of(coarse)->built_from >> fine & 1u);
}

gr_grain gr_grain_common(gr_grain a, gr_grain b) {
    if (a == GR_GRAIN_NONE) return b; /* no demand on one side leaves the other's */
    if (b == GR_GRAIN_NONE) return a;
    unsigned both = row_of(a)->built_from & row_of(b)->built_from;
    for (gr_grain g = GR_GRAIN_YEAR; g > GR_GRAIN_NONE; g--)
        if (both >> g & 1u) return g; /* ordered by length, and two grains share week only when both are weeks */
    return GR_GRAIN_NONE;
}

int64_t gr_grain_seconds(gr_grain grain) { return row_of(grain)->seconds; }

gr_grain gr_cal_unit_from_text(gr_str text, bool allow_plural) {
    if (allow_plural && text.n > 1 && text.p[text.n - 1] == 's') text.n--;
    for (gr_grain g = GR_GRAIN_SECOND; g < GR_GRAIN_CUSTOM; g++)
        if (gr_str_eq(text, grains[g].name)) return g;
    return GR_GRAIN_NONE;
}

gr_interval gr_cal_unit_interval(gr_grain unit) { return row_of(unit)->unit; }

/* ---- intervals ---------------------------------------------------------------------------------------------- */

#define MAX_PAIRS 8
#define MAX_YEARS 100000

static bool scan_pair(gr_cal_cursor *c, bool allow_negative, gr_interval *sum) {
    bool is_negative = allow_negative && gr_cal_scan_char(c, '-');
    int64_t n;
    if (!gr_cal_scan_number(c, 1, 15, &n)) return false;
    if (c->p == c->end || !gr_cal_is_space(*c->p)) return false;
    while (c->p < c->end && gr_cal_is_space(*c->p)) c->p++;
    const char *word = c->p;
    while (c->p < c->end && gr_cal_is_alpha(*c->p)) c->p++;
    gr_grain unit = gr_cal_unit_from_text((gr_str){word, (size_t)(c->p - word)}, true);
    if (unit == GR_GRAIN_NONE) return false;
    if (is_negative) n = -n;
    gr_interval one = gr_cal_unit_interval(unit);
    sum->months = gr_cal_add(sum->months, gr_cal_mul(n, one.months));
    sum->days = gr_cal_add(sum->days, gr_cal_mul(n, one.days));
    sum->us = gr_cal_add(sum->us, gr_cal_mul(n, one.us));
    return true;
}

static bool is_within(int64_t v, int64_t limit) { return v >= -limit && v <= limit; }

bool gr_interval_parse(gr_str text, bool allow_negative, gr_interval *ret) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    gr_interval sum = {0};
    for (int pairs = 0; pairs < MAX_PAIRS; pairs++) {
        if (!scan_pair(&c, allow_negative, &sum)) return false;
        if (c.p == c.end) {
            bool fits = is_within(sum.months, MAX_YEARS * INT64_C(12)) &&
                        is_within(sum.days, MAX_YEARS * INT64_C(366)) &&
                        is_within(sum.us, MAX_YEARS * INT64_C(366) * US_PER_DAY);
            if (fits) *ret = sum;
            return fits;
        }
        while (c.p < c.end && gr_cal_is_space(*c.p)) c.p++;
    }
    return false;
}

int64_t gr_interval_add(gr_interval interval, int64_t count, int64_t local_us) {
    int64_t moved = gr_cal_add_months(local_us, gr_cal_mul(interval.months, count));
    int64_t rest = gr_cal_add(gr_cal_mul(interval.days, US_PER_DAY), interval.us);
    return gr_cal_narrow(moved + (gr_cal_wide)rest * count);
}
