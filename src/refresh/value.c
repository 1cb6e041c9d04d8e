/* Values of keys, and when they change. Invariant: two values are equal only when all their parts are, and those of one
 * policy change at no other instant than gr_refresh_next_us and gr_refresh_closes_us give. */
#include "refresh/refresh.h"

#include "base/buf.h"
#include "data/digest.h"

enum { MOST_VALUE_BYTES = 256, TIME_BYTES = 40 };

/* ---- values ----------------------------------------------------------------------------------------------------- */

static gr_str time_value(const gr_schedule *s, int64_t now_us, gr_arena *arena) {
    if (!s->is_cron) return gr_arena_printf(arena, "%lld", (long long)gr_every_number(s->every, s->tz, now_us));
    int64_t last_us = gr_cron_last(&s->cron, s->tz, now_us);
    if (last_us == INT64_MIN) return GR_STR("never");
    char text[TIME_BYTES];
    size_t n = gr_time_format(last_us, text);
    return gr_arena_printf(arena, "%.*sZ", (int)n, text);
}

/* A backslash stands before what has a meaning: '|' joins parts, \N is NULL, \# a hash. */
static gr_str sql_value(gr_str value, gr_arena *arena) {
    if (!value.p) return GR_STR("\\N");
    if (value.n > MOST_VALUE_BYTES)
        return gr_arena_printf(arena, "\\#" GR_FMT, GR_ARG(gr_digest_md5_hex(value, arena)));
    char *out = gr_arena_alloc(arena, 2 * value.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '|' || value.p[i] == '\\') out[n++] = '\\';
        out[n++] = value.p[i];
    }
    return (gr_str){out, n};
}

static gr_str part_value(const gr_refresh_part *part, gr_str sql, int64_t now_us, gr_arena *arena) {
    switch (part->kind) {
    case GR_REFRESH_NEVER: return GR_STR("never");
    case GR_REFRESH_TIME: return time_value(&part->schedule, now_us, arena);
    case GR_REFRESH_SQL: return sql_value(sql, arena);
    }
    return (gr_str){0};
}

gr_str gr_refresh_value(const gr_refresh_policy *policy, const gr_str *sql_values, int64_t now_us,
                        int64_t partition_to_utc_us, gr_arena *arena) {
    int64_t closes_us = gr_refresh_closes_us(policy, partition_to_utc_us);
    if (closes_us != INT64_MAX && closes_us <= now_us) return GR_STR("closed");
    gr_str value = {0};
    for (size_t i = 0; i < policy->n_parts; i++) {
        const gr_refresh_part *part = &policy->parts[i];
        gr_str one = part_value(part, part->kind == GR_REFRESH_SQL ? sql_values[i] : (gr_str){0}, now_us, arena);
        value = i ? gr_arena_printf(arena, GR_FMT "|" GR_FMT, GR_ARG(value), GR_ARG(one)) : one;
    }
    return value;
}

int64_t gr_refresh_closes_us(const gr_refresh_policy *policy, int64_t partition_to_utc_us) {
    if (!policy->is_incremental || partition_to_utc_us == INT64_MAX) return INT64_MAX;
    if (!policy->has_update_window) return partition_to_utc_us;
    return gr_every_add(policy->update_window, policy->tz, partition_to_utc_us);
}

/* ---- when to look ----------------------------------------------------------------------------------------------- */

static int64_t due_us(const gr_schedule *s, int64_t now_us, int64_t asked_us) {
    if (asked_us == INT64_MIN) return now_us;
    int64_t from_us = asked_us < now_us ? asked_us : now_us;
    int64_t due = s->is_cron ? gr_cron_next(&s->cron, s->tz, from_us) : gr_every_add(s->every, s->tz, from_us);
    return due > now_us ? due : now_us;
}

int64_t gr_refresh_part_next_us(const gr_refresh_part *part, int64_t now_us, int64_t asked_us) {
    const gr_schedule *s = &part->schedule;
    switch (part->kind) {
    case GR_REFRESH_NEVER: return INT64_MAX;
    case GR_REFRESH_TIME:
        return s->is_cron ? gr_cron_next(&s->cron, s->tz, now_us) : gr_every_next(s->every, s->tz, now_us);
    case GR_REFRESH_SQL: return due_us(s, now_us, asked_us);
    }
    return INT64_MAX;
}

int64_t gr_refresh_fingerprint_next_us(const gr_refresh_policy *policy, int64_t now_us, int64_t asked_us) {
    return policy->fingerprint == GR_FINGERPRINT_NONE ? INT64_MAX : due_us(&policy->check, now_us, asked_us);
}

int64_t gr_refresh_next_us(const gr_refresh_policy *policy, int64_t now_us, const int64_t *asked_us,
                           int64_t fingerprint_asked_us) {
    int64_t next = gr_refresh_fingerprint_next_us(policy, now_us, fingerprint_asked_us);
    for (size_t i = 0; i < policy->n_parts; i++) {
        int64_t one = gr_refresh_part_next_us(&policy->parts[i], now_us, asked_us[i]);
        if (one < next) next = one;
    }
    return next;
}
