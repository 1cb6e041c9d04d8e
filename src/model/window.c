/* `rolling_window:` of a measure (cube.md 1.10): what is aggregated for a bucket of time reaches over its edges, or
 * begins with the year. Invariant: a window that is loaded has a bound: trailing or leading, or the granularity of a
 * to_date. */
#include "model/loader.h"

enum { KIND_FIXED, KIND_TO_DATE, KIND_SHORT };

static const struct {
    gr_str name;
    int kind;
    gr_grain to_date;
} kinds[] = {
    {GR_STR_INIT("fixed"), KIND_FIXED, GR_GRAIN_NONE},
    {GR_STR_INIT("to_date"), KIND_TO_DATE, GR_GRAIN_NONE},
    {GR_STR_INIT("year_to_date"), KIND_SHORT, GR_GRAIN_YEAR},
    {GR_STR_INIT("quarter_to_date"), KIND_SHORT, GR_GRAIN_QUARTER},
    {GR_STR_INIT("month_to_date"), KIND_SHORT, GR_GRAIN_MONTH},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ^-?\d+ (minute|hour|day|week|month|quarter|year)s?$ */
static bool parse_interval(gr_str text, gr_interval *ret, gr_grain *ret_unit) {
    size_t i = text.n && text.p[0] == '-', first = i;
    while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9') i++;
    if (i == first || i == text.n || text.p[i] != ' ') return false;
    gr_str unit = gr_str_sub(text, i + 1, text.n - i - 1);
    if (unit.n && unit.p[unit.n - 1] == 's') unit.n--;
    gr_grain grain = gr_grain_from_name(unit);
    if (grain < GR_GRAIN_MINUTE || !gr_interval_parse(text, true, ret)) return false;
    *ret_unit = grain;
    return true;
}

bool gr_model_read_interval(gr_loader *l, const gr_fields *f, gr_key key, gr_interval *ret, gr_grain *ret_unit) {
    if (parse_interval(gr_fields_text(f, key), ret, ret_unit)) return true;
    gr_diag *d = gr_model_bad_value(l, f, key,
                                    "does not match regexp: /^(-?\\d+) (minute|hour|day|week|month|quarter|year)s?$/");
    gr_model_hint(l, d, "one number and one unit, such as '7 day'");
    return false;
}

/* The unit of the bound is taken into `unit`. */
static void read_bound(gr_loader *l, const gr_fields *f, gr_key key, bool *ret_has, bool *ret_is_unbounded,
                       gr_interval *ret, gr_grain *unit) {
    gr_grain own;
    if (!gr_fields_get(f, key)) return;
    *ret_has = true;
    *ret_is_unbounded = gr_str_eq_z(gr_fields_text(f, key), "unbounded");
    if (*ret_is_unbounded || !gr_model_read_interval(l, f, key, ret, &own)) return;
    /* Weeks and months have only days in common. */
    *unit = *unit == GR_GRAIN_NONE ? own : gr_grain_common(*unit, own);
}

static void read_fixed(gr_loader *l, const gr_fields *f, gr_window *w) {
    static const gr_str offsets[] = {GR_STR_INIT("end"), GR_STR_INIT("start")};
    w->kind = GR_WINDOW_FIXED;
    gr_model_not_allowed(l, f, GR_KEY_WINDOW_GRANULARITY);
    read_bound(l, f, GR_KEY_WINDOW_TRAILING, &w->has_trailing, &w->is_trailing_unbounded, &w->trailing, &w->unit);
    read_bound(l, f, GR_KEY_WINDOW_LEADING, &w->has_leading, &w->is_leading_unbounded, &w->leading, &w->unit);
    w->is_offset_start =
        gr_model_fields_word(l, f, GR_KEY_WINDOW_OFFSET, offsets, 2, "must be one of [start, end]") == 1;
    if (gr_fields_has(f, GR_KEY_WINDOW_TRAILING) || gr_fields_has(f, GR_KEY_WINDOW_LEADING)) return;
    gr_diag *d =
        gr_model_fault(l, GR_ERR_MODEL_INVALID, f->node->loc, f->place, (gr_str){0}, NULL, "needs trailing or leading");
    gr_model_hint(l, d, "trailing: 7 day, or trailing: unbounded for a running total");
}

static void read_to_date(gr_loader *l, const gr_fields *f, gr_grain grain, gr_window *w) {
    static const gr_key others[] = {GR_KEY_WINDOW_TRAILING, GR_KEY_WINDOW_LEADING, GR_KEY_WINDOW_OFFSET};
    w->kind = GR_WINDOW_TO_DATE;
    w->to_date = grain;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) gr_model_not_allowed(l, f, others[i]);
    if (grain != GR_GRAIN_NONE) {
        gr_model_not_allowed(l, f, GR_KEY_WINDOW_GRANULARITY);
        return;
    }
    if (!gr_fields_has(f, GR_KEY_WINDOW_GRANULARITY)) gr_model_required(l, f, GR_KEY_WINDOW_GRANULARITY);
    if (!gr_fields_get(f, GR_KEY_WINDOW_GRANULARITY)) return;
    w->to_date = gr_grain_from_name(gr_fields_text(f, GR_KEY_WINDOW_GRANULARITY));
    if (w->to_date == GR_GRAIN_NONE)
        gr_model_bad_value(l, f, GR_KEY_WINDOW_GRANULARITY,
                           "must be one of [second, minute, hour, day, week, month, quarter, year]");
}

void gr_model_read_window(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_yaml *node = gr_fields_get(f, GR_KEY_MEASURE_ROLLING_WINDOW);
    if (!node) return;
    gr_place place = {f->place, GR_STR("rollingWindow"), -1};
    gr_window *w = &draft->member.window;
    gr_fields x;
    gr_model_fields_read(l, node, GR_CONTEXT_WINDOW, &place, &x);
    gr_str names[N_KINDS];
    for (size_t i = 0; i < N_KINDS; i++) names[i] = kinds[i].name;
    int kind = gr_model_fields_word(l, &x, GR_KEY_WINDOW_TYPE, names, N_KINDS,
                                    "must be one of [fixed, to_date, year_to_date, quarter_to_date, month_to_date]");
    if (kind < 0 && gr_fields_has(&x, GR_KEY_WINDOW_TYPE)) return; /* its other keys cannot be judged */
    if (kind <= 0)
        read_fixed(l, &x, w);
    else
        read_to_date(l, &x, kinds[kind].to_date, w);
}
