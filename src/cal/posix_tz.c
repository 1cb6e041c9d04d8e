/* The rule at the end of a TZif file: POSIX TZ text such as `EET-2EEST,M4.5.5/0,M10.5.4/24`, for the years after the
 * last change that the file lists.
 *
 *   std offset [ dst [offset] , start [/time] , end [/time] ]
 *
 * Summer time is the union of [start, end) over the years. So that the result ascends whatever the rule says, a change
 * at or before the one last appended takes that one back: summer that begins before the last one ended goes on (all
 * year, as in `EST5EDT,0/0,J365/25`), summer that ends when it begins never was. Invariant: numbers are bounded as they
 * are read, so that no arithmetic here can overflow. Threads: pure. */
#include "cal/zone_table.h"

#define SECONDS_PER_DAY INT64_C(86400)

/* ---- text ------------------------------------------------------------------------------------------------------ */

/* Three letters or more, or `<…>` around letters, digits and signs. */
static bool scan_name(gr_cal_cursor *c) {
    bool is_quoted = gr_cal_scan_char(c, '<');
    const char *from = c->p;
    while (c->p < c->end &&
           (gr_cal_is_alpha(*c->p) || (is_quoted && (gr_cal_is_digit(*c->p) || *c->p == '+' || *c->p == '-'))))
        c->p++;
    return c->p - from >= 3 && (!is_quoted || gr_cal_scan_char(c, '>'));
}

static bool scan_within(gr_cal_cursor *c, int max_digits, int64_t min, int64_t max, int64_t *ret) {
    return gr_cal_scan_number(c, 1, max_digits, ret) && *ret >= min && *ret <= max;
}

/* `[+-]hh[:mm[:ss]]` */
static bool scan_time(gr_cal_cursor *c, int64_t max_hours, int64_t *ret_s) {
    bool is_negative = gr_cal_scan_char(c, '-');
    if (!is_negative) (void)gr_cal_scan_char(c, '+');
    int64_t hours, minutes = 0, seconds = 0;
    if (!scan_within(c, 3, 0, max_hours, &hours)) return false;
    if (gr_cal_scan_char(c, ':')) {
        if (!scan_within(c, 2, 0, 59, &minutes)) return false;
        if (gr_cal_scan_char(c, ':') && !scan_within(c, 2, 0, 59, &seconds)) return false;
    }
    int64_t s = hours * 3600 + minutes * 60 + seconds;
    *ret_s = is_negative ? -s : s;
    return true;
}

/* POSIX counts westwards. */
static bool scan_offset(gr_cal_cursor *c, int64_t *ret_s) {
    int64_t west_s;
    if (!scan_time(c, 24, &west_s)) return false;
    *ret_s = -west_s;
    return true;
}

static bool scan_day(gr_cal_cursor *c, gr_cal_rule *ret) {
    int64_t month = 0, week = 0, day;
    if (gr_cal_scan_char(c, 'M')) {
        ret->kind = GR_CAL_RULE_WEEKDAY;
        if (!scan_within(c, 2, 1, 12, &month) || !gr_cal_scan_char(c, '.') || !scan_within(c, 1, 1, 5, &week) ||
            !gr_cal_scan_char(c, '.') || !scan_within(c, 1, 0, 6, &day))
            return false;
    } else {
        bool is_julian = gr_cal_scan_char(c, 'J');
        ret->kind = is_julian ? GR_CAL_RULE_JULIAN : GR_CAL_RULE_DAY;
        if (!scan_within(c, 3, is_julian, 365, &day)) return false;
    }
    ret->month = (int)month;
    ret->week = (int)week;
    ret->day = (int)day;
    return true;
}

/* `,day[/time]`; two o'clock when no time is given. */
static bool scan_rule(gr_cal_cursor *c, gr_cal_rule *ret) {
    if (!gr_cal_scan_char(c, ',') || !scan_day(c, ret)) return false;
    ret->time_s = 2 * 3600;
    return !gr_cal_scan_char(c, '/') || scan_time(c, 167, &ret->time_s);
}

bool gr_cal_rules_parse(gr_str text, gr_cal_rules *ret) {
    gr_cal_cursor c = gr_cal_cursor_of(text);
    gr_cal_rules rules = {0};
    if (!scan_name(&c) || !scan_offset(&c, &rules.standard_s)) return false;
    if (c.p < c.end) {
        rules.has_summer = true;
        rules.summer_s = rules.standard_s + 3600;
        if (!scan_name(&c)) return false;
        if (c.p < c.end && *c.p != ',' && !scan_offset(&c, &rules.summer_s)) return false;
        if (!scan_rule(&c, &rules.start) || !scan_rule(&c, &rules.end)) return false;
    }
    if (c.p != c.end) return false;
    *ret = rules;
    return true;
}

/* ---- meaning --------------------------------------------------------------------------------------------------- */

static int64_t rule_day(const gr_cal_rule *rule, int64_t year) {
    if (rule->kind == GR_CAL_RULE_WEEKDAY) {
        int64_t first = gr_cal_days_from_date(year, rule->month, 1);
        int64_t weekday = gr_cal_mod_floor(first + 4, 7); /* 1970-01-01 was a Thursday */
        int64_t day = gr_cal_mod_floor(rule->day - weekday, 7) + 7 * (rule->week - 1);
        return first + (day < gr_cal_month_days(year, rule->month) ? day : day - 7);
    }
    int64_t first = gr_cal_days_from_date(year, 1, 1);
    if (rule->kind == GR_CAL_RULE_DAY) return first + rule->day;
    return first + rule->day - 1 + (rule->day >= 60 && gr_cal_month_days(year, 2) == 29); /* J60 is always 1 March */
}

static int64_t rule_utc_s(const gr_cal_rule *rule, int64_t year, int64_t offset_s) {
    return rule_day(rule, year) * SECONDS_PER_DAY + rule->time_s - offset_s;
}

typedef struct change {
    int64_t utc_s, offset_s;
} change;

/* The two changes of a year, in order. */
static void changes_of(const gr_cal_rules *rules, int64_t year, change ret[2]) {
    change start = {rule_utc_s(&rules->start, year, rules->standard_s), rules->summer_s};
    change end = {rule_utc_s(&rules->end, year, rules->summer_s), rules->standard_s};
    bool is_reversed = end.utc_s < start.utc_s; /* the southern half: summer over the turn of the year */
    ret[is_reversed] = start;
    ret[!is_reversed] = end;
}

static bool expand(const gr_cal_rules *rules, int64_t year, int64_t last_year, int64_t after_us, gr_cal_table *table) {
    size_t base = table->n;
    for (; rules->has_summer && year <= last_year; year++) {
        change changes[2];
        changes_of(rules, year, changes);
        for (int i = 0; i < 2; i++) {
            int64_t start_us = changes[i].utc_s * US_PER_SECOND;
            if (start_us <= after_us) continue;
            while (table->n > base && start_us <= table->v[table->n - 1].start_us) table->n--;
            if (!gr_cal_table_add(table, start_us, changes[i].offset_s * US_PER_SECOND)) return false;
        }
    }
    return true;
}

int64_t gr_cal_rules_offset_s(const gr_cal_rules *rules, int64_t year, int64_t utc_s) {
    /* two changes in each of five years: never full */
    gr_cal_segment few[16] = {{.start_us = INT64_MIN, .offset_us = rules->standard_s * US_PER_SECOND}};
    gr_cal_table table = {few, 1};
    if (!expand(rules, year - 2, year + 2, INT64_MIN, &table)) return rules->standard_s;
    size_t i = table.n - 1;
    while (i > 0 && few[i].start_us > utc_s * US_PER_SECOND) i--;
    return few[i].offset_us / US_PER_SECOND;
}

bool gr_cal_rules_expand(const gr_cal_rules *rules, int64_t year, int64_t after_us, gr_cal_table *table) {
    return expand(rules, year, GR_CAL_TABLE_YEAR, after_us, table);
}
