/* Refresh keys: from a map to what the refresh room works with. Invariant: a key that is loaded without an error is one
 * of the forms that gr_refresh_key lists, so that nobody need ask again. */
#include "model/loader.h"

#include <stdio.h>

static const char *const interval_rule = "does not match regexp: /^(\\d+) (second|minute|hour|day|week)s?$/";

static void read_every(gr_loader *l, const gr_fields *f, bool may_be_cron, gr_refresh_key *key) {
    gr_schedule *s = &key->every;
    s->text = gr_fields_text(f, GR_KEY_REFRESH_KEY_EVERY);
    if (!gr_fields_get(f, GR_KEY_REFRESH_KEY_EVERY)) return;
    s->is_cron = may_be_cron && gr_cron_parse(s->text, &s->cron);
    key->has_every = s->is_cron || gr_every_parse(s->text, &s->every);
    if (key->has_every) return;
    gr_diag *d = gr_model_bad_value(l, f, GR_KEY_REFRESH_KEY_EVERY, interval_rule);
    gr_model_hint(l, d,
                  may_be_cron ? "an interval such as '1 hour', or a cron schedule such as '30 5 * * *'"
                              : "with sql, only an interval such as '1 hour' is possible");
}

static void read_update_window(gr_loader *l, const gr_fields *f, gr_refresh_key *key) {
    if (!gr_fields_get(f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW)) return;
    key->update_window_text = gr_fields_text(f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW);
    key->has_update_window = gr_every_parse(key->update_window_text, &key->update_window);
    if (key->has_update_window) return;
    gr_diag *d = gr_model_bad_value(l, f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW, interval_rule);
    gr_model_hint(l, d, "an interval such as '7 days'");
}

static void read_timezone(gr_loader *l, const gr_fields *f, gr_refresh_key *key) {
    gr_error err;
    if (!gr_fields_get(f, GR_KEY_REFRESH_KEY_TIMEZONE)) return;
    if (gr_tz_get(gr_fields_text(f, GR_KEY_REFRESH_KEY_TIMEZONE), &key->every.tz, &err) == GR_OK) return;
    gr_model_bad_value(
        l, f, GR_KEY_REFRESH_KEY_TIMEZONE,
        "unknown timezone. Take a look here https://docs.cube.dev/admin/time-zones#valid-time-zone-values to "
        "get available time zones");
}

/* A query whose only holes are {cube.sql()}. Those of cubes wait for all cubes to be there. */
static void read_sql(gr_loader *l, const gr_fields *f, bool is_cube, gr_refresh_key *key) {
    gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_REFRESH_KEY_SQL);
    key->sql = sql;
    if (is_cube)
        gr_model_add_binding(l, sql, GR_ROLE_REFRESH_SQL, NULL, NULL);
    else
        gr_model_bind_expr(l, sql, GR_ROLE_REFRESH_SQL);
}

/* `rows`, or an expression that has a value for each row. */
static void read_fingerprint(gr_loader *l, const gr_fields *f, gr_refresh_key *key) {
    if (gr_str_eq_z(gr_fields_text(f, GR_KEY_REFRESH_KEY_FINGERPRINT), "rows")) {
        key->fingerprint = GR_FINGERPRINT_ROWS;
        return;
    }
    gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_REFRESH_KEY_FINGERPRINT);
    if (!sql) return;
    gr_model_bind_expr(l, sql, GR_ROLE_FINGERPRINT);
    if (gr_expr_has_aggregate(sql)) {
        gr_diag *d = gr_model_bad_value(l, f, GR_KEY_REFRESH_KEY_FINGERPRINT, "holds an aggregate function");
        gr_model_hint(l, d, "write what has a value for each row, {CUBE}.updated_at; it is aggregated by partition");
    }
    key->fingerprint = GR_FINGERPRINT_SQL;
    key->fingerprint_sql = sql;
}

/* Not one of the things that say when: the forms that it could have been. */
static void report_formless(gr_loader *l, const gr_fields *f, bool is_cube) {
    gr_str place = gr_model_place_text(l, f->place, (gr_str){0});
    gr_str window = gr_fields_text(f, GR_KEY_REFRESH_KEY_UPDATE_WINDOW);
    char reason[256] = "";
    if (window.n)
        snprintf(reason, sizeof reason, " (" GR_FMT ".updateWindow = %.*s) is not allowed,", GR_ARG(place),
                 (int)(window.n < 64 ? window.n : 64), window.p);
    gr_diag *d =
        gr_model_report(l, GR_ERR_MODEL_INVALID, f->node->loc,
                        "\"" GR_FMT "\" does not match any of the allowed types. Possible reasons (one of): (" GR_FMT
                        ".sql) is required,%s (" GR_FMT ".every) is required",
                        GR_ARG(place), GR_ARG(place), reason, GR_ARG(place));
    gr_model_hint(l, d, is_cube ? "give it every, sql or immutable: true" : "give it every, sql or fingerprint: rows");
}

/* ---- what stands together --------------------------------------------------------------------------------------- */

typedef enum key_form { FORM_NONE, FORM_EVERY, FORM_SQL, FORM_IMMUTABLE, FORM_FINGERPRINT } key_form;

#define BIT(form) (1u << FORM_##form)

/* A key, the forms of a key of a cube and of a pre-aggregation with which it is refused, and a hint, or NULL. */
static const struct {
    gr_key key;
    unsigned cube, preagg;
    const char *hint;
} refused[] = {
    {GR_KEY_REFRESH_KEY_SQL, BIT(IMMUTABLE), 0, NULL},
    {GR_KEY_REFRESH_KEY_EVERY, BIT(IMMUTABLE), 0, NULL},
    {GR_KEY_REFRESH_KEY_TIMEZONE, BIT(IMMUTABLE) | BIT(SQL), BIT(SQL) | BIT(FINGERPRINT), NULL},
    {GR_KEY_REFRESH_KEY_INCREMENTAL, BIT(IMMUTABLE) | BIT(SQL) | BIT(EVERY), BIT(SQL) | BIT(FINGERPRINT),
     "of a pre-aggregation, and with every"},
    {GR_KEY_REFRESH_KEY_UPDATE_WINDOW, BIT(IMMUTABLE) | BIT(SQL) | BIT(EVERY), BIT(SQL) | BIT(FINGERPRINT),
     "of a pre-aggregation, and with every"},
    {GR_KEY_REFRESH_KEY_FINGERPRINT, BIT(IMMUTABLE) | BIT(SQL) | BIT(EVERY) | BIT(NONE), 0,
     "give it to the pre-aggregations"},
    {GR_KEY_REFRESH_KEY_IMMUTABLE, 0, BIT(NONE) | BIT(SQL) | BIT(EVERY) | BIT(FINGERPRINT), NULL},
};

static void check_together(gr_loader *l, const gr_fields *f, key_form form, bool is_cube) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const gr_yaml_pair *pair = gr_fields_pair(f, refused[i].key);
        if (!pair || !((is_cube ? refused[i].cube : refused[i].preagg) >> form & 1)) continue;
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->key_loc, f->place,
                                    gr_model_key_info(refused[i].key)->name, pair->value, "is not allowed");
        if (refused[i].hint) gr_model_hint(l, d, "%s", refused[i].hint);
    }
}

static key_form form_of(const gr_fields *f, bool is_cube) {
    if (is_cube && gr_fields_flag(f, GR_KEY_REFRESH_KEY_IMMUTABLE, false)) return FORM_IMMUTABLE;
    if (gr_fields_has(f, GR_KEY_REFRESH_KEY_SQL)) return FORM_SQL;
    if (gr_fields_has(f, GR_KEY_REFRESH_KEY_EVERY)) return FORM_EVERY;
    return !is_cube && gr_fields_has(f, GR_KEY_REFRESH_KEY_FINGERPRINT) ? FORM_FINGERPRINT : FORM_NONE;
}

const gr_refresh_key *gr_model_read_refresh_key(gr_loader *l, const gr_yaml *node, const gr_place *place,
                                                bool is_cube) {
    gr_fields f;
    gr_model_fields_read(l, node, GR_CONTEXT_REFRESH_KEY, place, &f);
    gr_refresh_key *key = GR_NEW(l->arena, gr_refresh_key);
    key_form form = form_of(&f, is_cube);
    key->loc = node->loc;
    key->is_immutable = form == FORM_IMMUTABLE;
    key->is_incremental = gr_fields_flag(&f, GR_KEY_REFRESH_KEY_INCREMENTAL, false);
    read_sql(l, &f, is_cube, key);
    read_every(l, &f, form != FORM_SQL, key);
    read_update_window(l, &f, key);
    read_timezone(l, &f, key);
    if (!is_cube) read_fingerprint(l, &f, key);
    check_together(l, &f, form, is_cube);
    if (form == FORM_NONE) report_formless(l, &f, is_cube);
    return form == FORM_NONE ? NULL : key;
}
