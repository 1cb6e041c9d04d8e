/* Date ranges: pairs of ends, one text, one point; always brought to [from, to) on the wall clock and as instants.
 * Invariant: from <= to in both clocks; a range that ends before it starts is empty at its start, and only its texts
 * still say what was asked for. A value with a zone is read as the wall clock of UTC (cube.md 2.3). */
#include "cal/internal.h"

#define US_PER_MS 1000
#define MAX_SHOWN 200

static gr_status date_error(gr_str text, gr_error *err) {
    size_t n = text.n;
    if (n > MAX_SHOWN)
        for (n = MAX_SHOWN; n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80;) n--; /* whole characters */
    return gr_error_set(err, GR_ERR_QUERY_DATE, "Can't parse date: '" GR_FMT "'", (int)n, n ? text.p : "");
}

static gr_str text_of(int64_t local_us, gr_arena *arena) {
    char out[40];
    return gr_arena_dup(arena, (gr_str){out, gr_time_format(local_us, out)});
}

/* An end of .999 stands for the whole rest of its second, as that is how clients write an inclusive end. */
static bool is_second_end(int64_t us) {
    int64_t fraction = gr_cal_mod_floor(us, US_PER_SECOND);
    return fraction == 999000 || fraction == 999999;
}

static int64_t second_last(int64_t us) { return gr_cal_grain_next(GR_GRAIN_SECOND, us) - 1; }

static void range_finish(int64_t from, int64_t to, int64_t last, const gr_tz *tz, gr_arena *arena, gr_range *ret) {
    gr_range r = {.from_local_us = from, .to_local_us = to < from ? from : to};
    r.from_utc_us = gr_tz_to_utc(tz, r.from_local_us, &r.is_from_ambiguous);
    r.to_utc_us = gr_tz_to_utc(tz, r.to_local_us, &r.is_to_ambiguous);
    r.from_text = text_of(from, arena);
    r.to_text = text_of(last, arena);
    *ret = r;
}

gr_status gr_range_parse_pair(gr_str from, gr_str to, const gr_tz *tz, int64_t now_utc_us, gr_arena *arena,
                              gr_range *ret, gr_error *err) {
    (void)now_utc_us; /* both ends are absolute */
    int64_t from_us, to_us, last;
    gr_time_zone_part zone;
    bool is_date;
    if (!gr_time_parse(gr_str_trim(from), &from_us, &zone, &is_date)) return date_error(from, err);
    if (!gr_time_parse(gr_str_trim(to), &to_us, &zone, &is_date)) return date_error(to, err);
    if (is_date) {
        to_us = gr_cal_add(to_us, US_PER_DAY);
        last = gr_cal_sub(to_us, US_PER_MS);
    } else {
        last = to_us;
        to_us = gr_cal_add(is_second_end(to_us) ? second_last(to_us) : to_us, 1);
    }
    range_finish(from_us, to_us, last, tz, arena, ret);
    return GR_OK;
}

gr_status gr_range_parse_text(gr_str text, const gr_tz *tz, int64_t now_utc_us, gr_arena *arena, gr_range *ret,
                              gr_error *err) {
    int64_t from, to;
    gr_str culprit;
    if (!gr_cal_natural_range(text, tz, now_utc_us, &from, &to, &culprit)) return date_error(culprit, err);
    range_finish(from, to, gr_cal_sub(to, US_PER_MS), tz, arena, ret);
    return GR_OK;
}

gr_status gr_range_parse_point(gr_str text, bool want_end, const gr_tz *tz, int64_t now_utc_us, gr_arena *arena,
                               gr_range *ret_point, gr_error *err) {
    int64_t from, to;
    gr_str culprit;
    gr_time_zone_part zone;
    bool is_date;
    if (gr_time_parse(gr_str_trim(text), &from, &zone, &is_date)) {
        if (want_end && is_second_end(from)) from = second_last(from);
    } else {
        if (!gr_cal_natural_range(text, tz, now_utc_us, &from, &to, &culprit)) return date_error(culprit, err);
        if (want_end) from = gr_cal_sub(to, 1);
    }
    gr_range r = {.from_local_us = from, .to_local_us = from};
    if (want_end) /* the last instant that reads at most this: also where the clock jumps over it */
        r.from_utc_us = gr_cal_sub(gr_tz_to_utc(tz, gr_cal_add(from, 1), &r.is_from_ambiguous), 1);
    else
        r.from_utc_us = gr_tz_to_utc(tz, from, &r.is_from_ambiguous);
    r.to_utc_us = r.from_utc_us;
    r.is_to_ambiguous = r.is_from_ambiguous;
    r.from_text = r.to_text = text_of(from, arena);
    *ret_point = r;
    return GR_OK;
}

bool gr_range_is_aligned(const gr_range *range, const gr_granularity *g, int64_t anchor_local_us) {
    int64_t from = range->from_local_us, to = range->to_local_us;
    return (from == INT64_MIN || gr_granularity_floor(g, anchor_local_us, from) == from) &&
           (to == INT64_MAX || gr_granularity_floor(g, anchor_local_us, to) == to);
}

gr_range gr_range_of_local(int64_t from, int64_t to, const gr_tz *tz) {
    gr_range r = {.from_local_us = from, .to_local_us = to, .from_utc_us = from, .to_utc_us = to};
    if (from != INT64_MIN) r.from_utc_us = gr_tz_to_utc(tz, from, &r.is_from_ambiguous);
    if (to != INT64_MAX) r.to_utc_us = gr_tz_to_utc(tz, to, &r.is_to_ambiguous);
    return r;
}
