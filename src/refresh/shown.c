/* Keys as the reference shows them: the query of each and its renewal threshold (cube.md 6.6, 9.4). Nothing here is
 * executed. */
#include "refresh/refresh.h"

enum {
    DEFAULT_S = 10,
    LONGEST_S = 300,        /* of a TIME part */
    DAY_S = 86400,          /* of what does not change any more */
    MONTH_S = 2629746,      /* a twelfth of a mean year */
    MONTHS_TO_1970 = 23641, /* 12 * 1970 + 1: the months of a calendar begin at 1 */
    US_PER_S = 1000000
};

/* ---- thresholds ------------------------------------------------------------------------------------------------- */

/* The distance of two fires; of unequal ones, the first after 1970. 0: it fires once or never. */
static int64_t cron_interval_s(const gr_schedule *s) {
    int64_t first, interval;
    if (gr_cron_is_even(&s->cron, &first, &interval)) return interval;
    int64_t one = gr_cron_next(&s->cron, gr_tz_utc(), -1);
    int64_t two = one == INT64_MAX ? one : gr_cron_next(&s->cron, gr_tz_utc(), one);
    return two == INT64_MAX ? 0 : (two - one) / US_PER_S;
}

static int64_t interval_s(const gr_schedule *s) {
    if (s->is_cron) return cron_interval_s(s);
    return s->every.months ? s->every.months * MONTH_S : s->every.seconds;
}

int64_t gr_refresh_threshold_s(const gr_refresh_part *part) {
    if (part->kind == GR_REFRESH_NEVER) return DAY_S;
    if (part->is_default) return DEFAULT_S;
    int64_t interval = interval_s(&part->schedule);
    if (part->kind == GR_REFRESH_SQL) return interval;
    if (interval == 0) return LONGEST_S;
    int64_t tenth = (interval + 5) / 10;
    return tenth < 1 ? 1 : tenth > LONGEST_S ? LONGEST_S : tenth;
}

int64_t gr_refresh_outside_threshold_s(const gr_refresh_policy *policy, int64_t partition_to_utc_us, int64_t now_us) {
    int64_t closes_us = gr_refresh_closes_us(policy, partition_to_utc_us);
    if (closes_us == INT64_MAX || closes_us > now_us) return 0;
    uint64_t since_s = ((uint64_t)now_us - (uint64_t)closes_us) / US_PER_S;
    return since_s < DAY_S ? (int64_t)since_s : DAY_S;
}

/* ---- queries ---------------------------------------------------------------------------------------------------- */

/* "-28800 + ", or nothing. */
static gr_str offset_prefix(const gr_tz *tz, int64_t now_us, gr_arena *arena) {
    int64_t offset_s = (gr_tz_to_local(tz, now_us) - now_us) / US_PER_S;
    return offset_s ? gr_arena_printf(arena, "%lld + ", (long long)offset_s) : (gr_str){0};
}

static gr_str months_sql(const gr_schedule *s, gr_arena *arena) {
    gr_str now = GR_STR("NOW()");
    if (!gr_tz_is_utc(s->tz))
        now = gr_arena_printf(arena, "NOW() AT TIME ZONE '" GR_FMT "'", GR_ARG(gr_tz_name(s->tz)));
    return gr_arena_printf(arena,
                           "FLOOR((EXTRACT(YEAR FROM " GR_FMT ") * 12 + EXTRACT(MONTH FROM " GR_FMT ") - %d) / %lld)",
                           GR_ARG(now), GR_ARG(now), MONTHS_TO_1970, (long long)s->every.months);
}

static gr_str cron_sql(const gr_schedule *s, int64_t now_us, gr_arena *arena) {
    int64_t first, interval;
    if (gr_cron_is_even(&s->cron, &first, &interval))
        return gr_arena_printf(arena, "FLOOR((" GR_FMT "EXTRACT(EPOCH FROM NOW()) - %lld) / %lld)",
                               GR_ARG(offset_prefix(s->tz, now_us, arena)), (long long)first, (long long)interval);
    int64_t last_us = gr_cron_last(&s->cron, s->tz, now_us);
    if (last_us == INT64_MIN) return GR_STR("NULL");
    char text[40];
    size_t n = gr_time_format(last_us, text);
    return gr_arena_printf(arena, "'%.*sZ'", (int)n, text);
}

static gr_str time_sql(const gr_schedule *s, int64_t now_us, gr_arena *arena) {
    if (s->is_cron) return cron_sql(s, now_us, arena);
    if (s->every.months) return months_sql(s, arena);
    return gr_arena_printf(arena, "FLOOR((" GR_FMT "EXTRACT(EPOCH FROM NOW())) / %lld)",
                           GR_ARG(offset_prefix(s->tz, now_us, arena)), (long long)s->every.seconds);
}

gr_str gr_refresh_sql(const gr_refresh_policy *policy, const gr_refresh_part *part, int64_t now_us, gr_arena *arena) {
    if (part->kind == GR_REFRESH_NEVER) return (gr_str){0};
    if (part->kind == GR_REFRESH_SQL) return part->sql->source;
    gr_str key = time_sql(&part->schedule, now_us, arena);
    if (!policy->is_incremental) return gr_arena_printf(arena, "SELECT " GR_FMT " as refresh_key", GR_ARG(key));
    gr_str window = {0};
    if (policy->has_update_window)
        window = gr_arena_printf(arena, " + interval '" GR_FMT "'", GR_ARG(policy->update_window_text));
    return gr_arena_printf(arena,
                           "SELECT CASE WHEN NOW() < $1::timestamptz" GR_FMT " THEN " GR_FMT " END as refresh_key",
                           GR_ARG(window), GR_ARG(key));
}
