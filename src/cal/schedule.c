/* Schedules of refresh keys: `every: <n> <unit>` and cron lines. Checked here; nothing here computes a next run.
 * Invariant: what is accepted has fields within their bounds, whole to the last character. */
#include "cal/internal.h"

#define MAX_CRON_BYTES 256

bool gr_every_parse(gr_str text, int64_t *ret_seconds, int64_t *ret_months) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    int64_t n;
    if (!gr_cal_scan_number(&c, 1, 9, &n) || n == 0 || !gr_cal_scan_char(&c, ' ')) return false;
    gr_grain unit = gr_cal_unit_from_text((gr_str){c.p, (size_t)(c.end - c.p)}, true);
    if (unit == GR_GRAIN_NONE || unit > GR_GRAIN_MONTH) return false;
    *ret_seconds = n * gr_grain_seconds(unit);
    *ret_months = n * gr_cal_unit_interval(unit).months;
    return true;
}

/* ---- cron ---------------------------------------------------------------------------------------------------- */

typedef struct cron_field {
    int64_t min, max;
    const char *names; /* three letters each, from `min` on; or NULL */
    bool has_any;      /* `?` stands for "no matter" */
} cron_field;

static const cron_field cron_fields[] = {
    {0, 59, NULL, false}, /* second, only in the form of six */
    {0, 59, NULL, false}, /* minute */
    {0, 23, NULL, false}, /* hour */
    {1, 31, NULL, true},  /* day of the month */
    {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", false},
    {0, 7, "sunmontuewedthufrisat", true}, /* day of the week; 7 is Sunday too */
};
#define N_CRON_FIELDS 6

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

/* `*`, `5`, `1-5`, each with or without `/step`. */
static bool cron_item(gr_cal_cursor *c, const cron_field *field) {
    int64_t from, to, step;
    if (!gr_cal_scan_char(c, '*')) {
        if (!cron_value(c, field, &from)) return false;
        if (gr_cal_scan_char(c, '-') && (!cron_value(c, field, &to) || to < from)) return false;
    }
    if (!gr_cal_scan_char(c, '/')) return true;
    return gr_cal_scan_number(c, 1, 4, &step) && step >= 1 && step <= field->max;
}

static bool cron_field_is_valid(gr_str text, const cron_field *field) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    if (field->has_any && gr_str_eq(text, GR_STR("?"))) return true;
    do {
        if (!cron_item(&c, field)) return false;
    } while (gr_cal_scan_char(&c, ','));
    return c.p == c.end;
}

bool gr_cron_is_valid(gr_str text) {
    gr_str fields[N_CRON_FIELDS];
    size_t n = 0;
    if (text.n > MAX_CRON_BYTES) return false;
    for (gr_cal_cursor c = gr_cal_cursor_of(text); c.p < c.end;) {
        const char *first = c.p;
        while (c.p < c.end && !gr_cal_is_space(*c.p)) c.p++;
        if (c.p > first) {
            if (n == N_CRON_FIELDS) return false;
            fields[n++] = (gr_str){first, (size_t)(c.p - first)};
        }
        while (c.p < c.end && gr_cal_is_space(*c.p)) c.p++;
    }
    if (n < N_CRON_FIELDS - 1) return false;
    const cron_field *kind = &cron_fields[N_CRON_FIELDS - n];
    for (size_t i = 0; i < n; i++)
        if (!cron_field_is_valid(fields[i], &kind[i])) return false;
    return true;
}
