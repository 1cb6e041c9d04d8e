/* Granularities: the eight predefined ones and the custom ones of a time dimension (cube.md 1.8).
 *
 *        anchor - n      anchor       anchor + n    anchor + 2n
 *   --------|--------------|--------------|--------------|----->  wall clock
 *
 * Bucket k of a custom one starts at anchor + k intervals. Months are counted from the anchor, never from the bucket
 * before, so that an anchor on the 31st comes back to the 31st after a short month.
 * Invariant: an interval holds months, or days and time, never both, and is positive. */
#include "cal/internal.h"

#define PREDEFINED(GRAIN, text)                                                                                        \
    [GR_GRAIN_##GRAIN] = {.name = GR_STR_INIT(text),                                                                   \
                          .grain = GR_GRAIN_##GRAIN,                                                                   \
                          .title = GR_STR_INIT(text),                                                                  \
                          .interval_text = GR_STR_INIT("1 " text)}

static const gr_granularity predefined[GR_GRAIN_CUSTOM] = {
    PREDEFINED(SECOND, "second"),   PREDEFINED(MINUTE, "minute"), PREDEFINED(HOUR, "hour"),
    PREDEFINED(DAY, "day"),         PREDEFINED(WEEK, "week"),     PREDEFINED(MONTH, "month"),
    PREDEFINED(QUARTER, "quarter"), PREDEFINED(YEAR, "year"),
};

const gr_granularity *gr_granularity_predefined(gr_grain grain) {
    return grain > GR_GRAIN_NONE && grain < GR_GRAIN_CUSTOM ? &predefined[grain] : NULL;
}

/* ---- parsing ------------------------------------------------------------------------------------------------- */

static bool divides(int64_t part, int64_t whole) { return part > 0 && whole % part == 0; }

/* Buckets of this single pair are unions of whole calendar units that start anew each year, day, hour or minute. */
static bool tiles_naturally(gr_str text, gr_interval v) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    while (c.p < c.end && !gr_cal_is_alpha(*c.p)) c.p++;
    switch (gr_cal_unit_from_text((gr_str){c.p, (size_t)(c.end - c.p)}, true)) {
    case GR_GRAIN_YEAR: return true;
    case GR_GRAIN_QUARTER: return divides(v.months, 12);
    case GR_GRAIN_MONTH: return divides(v.months, 12);
    case GR_GRAIN_WEEK: return v.days == 7;
    case GR_GRAIN_DAY: return v.days == 1;
    case GR_GRAIN_HOUR: return divides(v.us, US_PER_DAY);
    case GR_GRAIN_MINUTE: return divides(v.us, US_PER_HOUR);
    case GR_GRAIN_SECOND: return divides(v.us, US_PER_MINUTE);
    case GR_GRAIN_NONE: /* more than one pair */
    case GR_GRAIN_CUSTOM:
    case GR_GRAIN__COUNT: break;
    }
    return false;
}

static gr_status interval_parse(gr_str text, gr_interval *ret, gr_error *err) {
    gr_interval v;
    if (!gr_interval_parse(text, false, &v)) {
        gr_error_set(err, GR_ERR_MODEL_INVALID, "'" GR_FMT "' is not an interval", GR_ARG(text));
        gr_error_hint(err, "Write 1 to 8 pairs of a number and a unit, such as '1 month' or '2 weeks 3 days'.");
        return GR_ERR_MODEL_INVALID;
    }
    if (v.months == 0 && v.days == 0 && v.us == 0)
        return gr_error_set(err, GR_ERR_MODEL_INVALID, "The interval '" GR_FMT "' is empty", GR_ARG(text));
    if (v.months != 0 && (v.days != 0 || v.us != 0))
        return gr_error_set(err, GR_ERR_MODEL_INVALID,
                            "The interval '" GR_FMT
                            "' mixes months (or quarters, years) with days or time: its buckets "
                            "would have no fixed start",
                            GR_ARG(text));
    if (gr_cal_narrow((gr_cal_wide)v.days * US_PER_DAY + v.us) == INT64_MAX)
        return gr_error_set(err, GR_ERR_MODEL_INVALID, "The interval '" GR_FMT "' is too long", GR_ARG(text));
    *ret = v;
    return GR_OK;
}

/* ISO 8601, also cut short: `2024`, `2024-04`. */
static bool origin_parse(gr_str text, int64_t *ret_us, gr_time_zone_part *ret_zone) {
    char full[] = "0000-01-01";
    bool is_date;
    if (text.n == 4 || text.n == 7) {
        memcpy(full, text.p, text.n);
        text = (gr_str){full, sizeof full - 1};
    }
    return gr_time_parse(text, ret_us, ret_zone, &is_date);
}

gr_status gr_granularity_parse(gr_str name, gr_str interval, gr_str offset, gr_str origin, gr_granularity *ret,
                               gr_error *err) {
    gr_granularity g = {.name = name,
                        .grain = GR_GRAIN_CUSTOM,
                        .interval_text = interval,
                        .offset_text = offset,
                        .origin_text = origin,
                        .has_offset = offset.n > 0,
                        .has_origin = origin.n > 0};
    GR_TRY(interval_parse(interval, &g.interval, err));
    if (g.has_offset && g.has_origin)
        return gr_error_set(err, GR_ERR_MODEL_INVALID, "A granularity has an offset or an origin, not both");
    if (g.has_offset && !gr_interval_parse(offset, true, &g.offset)) {
        gr_error_set(err, GR_ERR_MODEL_INVALID, "'" GR_FMT "' is not an offset", GR_ARG(offset));
        gr_error_hint(err, "Write 1 to 8 pairs of a number and a unit, such as '3 months' or '-1 day'.");
        return GR_ERR_MODEL_INVALID;
    }
    if (g.has_origin) {
        gr_time_zone_part zone;
        if (!origin_parse(origin, &g.origin_local_us, &zone)) {
            gr_error_set(err, GR_ERR_MODEL_INVALID, "'" GR_FMT "' is not an origin", GR_ARG(origin));
            gr_error_hint(err, "Write an ISO 8601 date or date and time, such as '2024-01-01'.");
            return GR_ERR_MODEL_INVALID;
        }
        g.origin_is_utc = zone == GR_TIME_ZONED;
    } else if (!tiles_naturally(interval, g.interval)) {
        return gr_error_set(err, GR_ERR_MODEL_INVALID,
                            "Arbitrary intervals cannot be used without origin point specified");
    }
    *ret = g;
    return GR_OK;
}

/* ---- buckets ------------------------------------------------------------------------------------------------- */

int64_t gr_granularity_anchor(const gr_granularity *g, const gr_tz *tz, int64_t now_utc_us) {
    if (g->has_origin) return g->origin_is_utc ? gr_tz_to_local(tz, g->origin_local_us) : g->origin_local_us;
    int64_t start = gr_cal_grain_floor(GR_GRAIN_YEAR, gr_tz_to_local(tz, now_utc_us));
    bool is_weeks = g->interval.days > 0 && g->interval.days % 7 == 0 && g->interval.us == 0;
    if (is_weeks) start = gr_cal_grain_floor(GR_GRAIN_WEEK, start);
    return g->has_offset ? gr_interval_add(g->offset, 1, start) : start;
}

static int64_t width_us(const gr_granularity *g) {
    return gr_cal_add(gr_cal_mul(g->interval.days, US_PER_DAY), g->interval.us);
}

/* Start of the bucket that holds `local_us`, or of the one `skip` later. */
static int64_t bucket(const gr_granularity *g, int64_t anchor, int64_t local_us, int64_t skip) {
    int64_t months = g->interval.months, width = width_us(g);
    if (months > 0) {
        int64_t apart = gr_cal_month_index(local_us) - gr_cal_month_index(anchor);
        int64_t k = gr_cal_div_floor(apart, months);
        /* clamped or not, bucket k starts within the month k intervals from the anchor's */
        if (gr_cal_add_months(anchor, k * months) > local_us) k--;
        return gr_cal_add_months(anchor, (k + skip) * months);
    }
    if (width <= 0) return local_us;
    gr_cal_wide apart = (gr_cal_wide)local_us - anchor;
    gr_cal_wide k = apart / width - (apart % width < 0);
    return gr_cal_narrow(anchor + (k + skip) * width);
}

int64_t gr_granularity_floor(const gr_granularity *g, int64_t anchor_local_us, int64_t local_us) {
    if (g->grain != GR_GRAIN_CUSTOM) return gr_cal_grain_floor(g->grain, local_us);
    return bucket(g, anchor_local_us, local_us, 0);
}

int64_t gr_granularity_next(const gr_granularity *g, int64_t anchor_local_us, int64_t bucket_local_us) {
    if (g->grain != GR_GRAIN_CUSTOM) return gr_cal_grain_next(g->grain, bucket_local_us);
    return bucket(g, anchor_local_us, bucket_local_us, 1);
}

/* ---- relations ----------------------------------------------------------------------------------------------- */

gr_grain gr_granularity_base(const gr_granularity *g, int64_t anchor) {
    if (g->grain != GR_GRAIN_CUSTOM) return g->grain;
    int64_t width = width_us(g);
    for (gr_grain unit = GR_GRAIN_YEAR; unit > GR_GRAIN_NONE; unit--) {
        if (gr_cal_grain_floor(unit, anchor) != anchor) continue;
        gr_interval one = gr_cal_unit_interval(unit);
        /* A month's bucket is a union of months only in whole numbers; weeks and shorter ones are of one length, but a
         * count of months is no whole number of weeks. */
        bool tiles = g->interval.months > 0
                         ? (one.months > 0 ? g->interval.months % one.months == 0 : unit != GR_GRAIN_WEEK)
                         : one.months == 0 && width % (gr_grain_seconds(unit) * US_PER_SECOND) == 0;
        if (tiles) return unit;
    }
    return GR_GRAIN_NONE;
}

static bool interval_eq(gr_interval a, gr_interval b) {
    return a.months == b.months && a.days == b.days && a.us == b.us;
}

bool gr_granularity_eq(const gr_granularity *a, const gr_granularity *b) {
    if (a->grain != b->grain || !gr_str_eq(a->sql, b->sql)) return false;
    if (a->grain != GR_GRAIN_CUSTOM) return true;
    return interval_eq(a->interval, b->interval) && a->has_offset == b->has_offset &&
           (!a->has_offset || interval_eq(a->offset, b->offset)) && a->has_origin == b->has_origin &&
           (!a->has_origin || (a->origin_is_utc == b->origin_is_utc && a->origin_local_us == b->origin_local_us));
}

gr_grain gr_grain_of_point(int64_t local_us) {
    static const gr_grain tried[] = {GR_GRAIN_YEAR, GR_GRAIN_MONTH, GR_GRAIN_WEEK,
                                     GR_GRAIN_DAY,  GR_GRAIN_HOUR,  GR_GRAIN_MINUTE};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        if (gr_cal_grain_floor(tried[i], local_us) == local_us) return tried[i];
    return GR_GRAIN_SECOND;
}
