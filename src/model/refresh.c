/* Refresh keys: read and checked in form, run later. Invariant: a key that passes is one of the forms of cube.md 1.5
 * and 1.13 (with months, decisions 24), so that the refresh room need not ask again. */
#include "model/loader.h"

#include <stdio.h>

static const char *const interval_rule = "does not match regexp: /^(\\d+) (second|minute|hour|day|week)s?$/";

static bool is_interval(gr_str text) {
    gr_every every;
    return gr_every_parse(text, &every);
}

static void check_every(gr_loader *l, const gr_fields *f, bool may_be_cron) {
    gr_str text = gr_fields_text(f, GR_KEY_REFRESH_KEY_EVERY);
    if (!gr_fields_get(f, GR_KEY_REFRESH_KEY_EVERY) || is_interval(text) || (may_be_cron && gr_cron_parse(text, &(gr_cron){0})))
        return;
    gr_diag *d = gr_model_bad_value(l, f, GR_KEY_REFRESH_KEY_EVERY, interval_rule);
    gr_model_hint(l, d,
                  may_be_cron ? "an interval such as '1 hour', or a cron schedule such as '30 5 * * *'"
                              : "with sql, only an interval such as '1 hour' is possible");
}

static void check_update_window(gr_loader *l, const gr_fields *f) {
    if (!gr_fields_get(f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW) ||
        is_interval(gr_fields_text(f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW)))
        return;
    gr_diag *d = gr_model_bad_value(l, f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW, interval_rule);
    gr_model_hint(l, d, "an interval such as '7 days'");
}

static void check_timezone(gr_loader *l, const gr_fields *f) {
    const gr_tz *tz;
    gr_error err;
    if (!gr_fields_get(f, GR_KEY_REFRESH_KEY_TIMEZONE)) return;
    if (gr_tz_get(gr_fields_text(f, GR_KEY_REFRESH_KEY_TIMEZONE), &tz, &err) == GR_OK) return;
    gr_model_bad_value(
        l, f, GR_KEY_REFRESH_KEY_TIMEZONE,
        "unknown timezone. Take a look here https://docs.cube.dev/admin/time-zones#valid-time-zone-values to "
        "get available time zones");
}

static void not_allowed(gr_loader *l, const gr_fields *f, const gr_key *keys, size_t n) {
    for (size_t i = 0; i < n; i++) gr_model_not_allowed(l, f, keys[i]);
}

/* Neither sql nor every: the three forms that it could have been. */
static void report_formless(gr_loader *l, const gr_fields *f) {
    gr_str place = gr_model_place_text(l, f->place, (gr_str){0});
    gr_str window = gr_fields_text(f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW);
    char reason[256] = "";
    if (window.n)
        snprintf(reason, sizeof reason, " (" GR_FMT ".updateWindow = %.*s) is not allowed,", GR_ARG(place),
                 (int)(window.n < 64 ? window.n : 64), window.p);
    gr_model_report(l, GR_ERR_MODEL_INVALID, f->node->loc,
                    "\"" GR_FMT "\" does not match any of the allowed types. Possible reasons (one of): (" GR_FMT
                    ".sql) is required,%s (" GR_FMT ".every) is required",
                    GR_ARG(place), GR_ARG(place), reason, GR_ARG(place));
}

void gr_model_check_refresh_key(gr_loader *l, const gr_yaml *node, const gr_place *place, bool is_cube) {
    static const gr_key with_sql[] = {GR_KEY_REFRESH_KEY_INCREMENTAL, GR_KEY_REFRESH_KEY_UPDATE_WINDOW,
                                      GR_KEY_REFRESH_KEY_TIMEZONE};
    static const gr_key with_immutable[] = {GR_KEY_REFRESH_KEY_SQL, GR_KEY_REFRESH_KEY_EVERY,
                                            GR_KEY_REFRESH_KEY_TIMEZONE, GR_KEY_REFRESH_KEY_INCREMENTAL,
                                            GR_KEY_REFRESH_KEY_UPDATE_WINDOW};
    gr_fields f;
    gr_model_fields_read(l, node, GR_CONTEXT_REFRESH_KEY, place, &f);
    bool has_sql = gr_fields_has(&f, GR_KEY_REFRESH_KEY_SQL), has_every = gr_fields_has(&f, GR_KEY_REFRESH_KEY_EVERY);
    bool is_immutable = gr_fields_flag(&f, GR_KEY_REFRESH_KEY_IMMUTABLE, false);
    (void)gr_model_fields_sql(l, &f, GR_KEY_REFRESH_KEY_SQL);
    check_every(l, &f, !has_sql);
    check_update_window(l, &f);
    check_timezone(l, &f);
    if (is_immutable && is_cube) {
        not_allowed(l, &f, with_immutable, 5);
        return;
    }
    if (!is_cube) gr_model_not_allowed(l, &f, GR_KEY_REFRESH_KEY_IMMUTABLE);
    if (!has_sql && !has_every)
        report_formless(l, &f);
    else if (has_sql)
        not_allowed(l, &f, with_sql, 3);
    else if (is_cube)
        not_allowed(l, &f, with_sql, 2);
}
