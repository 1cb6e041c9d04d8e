/* From refresh keys to a policy: own key, keys of cubes, defaults. Invariant: a policy has at least one part, and each
 * schedule its zone. */
#include "refresh/refresh.h"

typedef GR_VEC(gr_refresh_part) part_list;

static const gr_schedule every_hour = {.text = GR_STR_INIT("1 hour"), .every = {3600, 0}};
static const gr_schedule every_10_seconds = {.text = GR_STR_INIT("10 seconds"), .every = {10, 0}};
static const gr_schedule every_2_minutes = {.text = GR_STR_INIT("2 minutes"), .every = {120, 0}};

/* Intervals are counted on the rollup's wall clock, whatever the key says; cron lines on their own, else in UTC. */
static gr_schedule in_zone(gr_schedule schedule, const gr_tz *tz) {
    if (!schedule.is_cron)
        schedule.tz = tz;
    else if (!schedule.tz)
        schedule.tz = gr_tz_utc();
    return schedule;
}

static gr_refresh_part sql_part(const gr_refresh_key *key, const gr_cube *from, const gr_tz *tz) {
    return (gr_refresh_part){.kind = GR_REFRESH_SQL,
                             .schedule = in_zone(key->has_every ? key->every : every_10_seconds, tz),
                             .sql = key->sql,
                             .data_source = from->data_source};
}

static gr_refresh_part time_part(gr_schedule schedule, const gr_tz *tz) {
    return (gr_refresh_part){.kind = GR_REFRESH_TIME, .schedule = in_zone(schedule, tz)};
}

static void set_own(gr_refresh_policy *policy, const gr_preagg *preagg, part_list *parts, gr_arena *arena) {
    const gr_refresh_key *key = preagg->refresh;
    bool has_print = key->fingerprint != GR_FINGERPRINT_NONE;
    policy->is_incremental = key->is_incremental;
    policy->has_update_window = key->has_update_window;
    policy->update_window = key->update_window;
    policy->update_window_text = key->update_window_text;
    policy->fingerprint = key->fingerprint;
    policy->fingerprint_sql = key->fingerprint_sql;
    if (has_print) policy->check = in_zone(key->has_every ? key->every : every_2_minutes, policy->tz);
    if (key->sql)
        GR_PUSH(arena, parts, sql_part(key, preagg->cube, policy->tz));
    else if (has_print && !key->is_incremental)
        GR_PUSH(arena, parts, (gr_refresh_part){.kind = GR_REFRESH_NEVER});
    else
        GR_PUSH(arena, parts, time_part(key->every, policy->tz));
}

/* `key` is NULL when the cube has none, or when it does not count. */
static gr_refresh_part cube_part(const gr_cube *cube, const gr_refresh_key *key, gr_schedule otherwise,
                                 const gr_tz *tz) {
    gr_refresh_part part = {.kind = GR_REFRESH_NEVER};
    if (!key)
        part = time_part(otherwise, tz);
    else if (key->sql)
        part = sql_part(key, cube, tz);
    else if (!key->is_immutable)
        part = time_part(key->every, tz);
    part.cube = cube;
    part.is_default = !key;
    return part;
}

static void set_cubes(gr_refresh_policy *policy, const gr_preagg *preagg, const gr_cube *const *cubes, size_t n_cubes,
                      part_list *parts, gr_arena *arena) {
    bool has_sql = false;
    for (size_t i = 0; i < n_cubes; i++) has_sql = has_sql || (cubes[i]->refresh && cubes[i]->refresh->sql);
    bool has_keys = has_sql || preagg->cube->refresh;
    for (size_t i = 0; i < n_cubes; i++) {
        const gr_refresh_key *key = cubes[i]->refresh;
        bool counts = key && (has_keys || key->is_immutable);
        GR_PUSH(arena, parts,
                cube_part(cubes[i], counts ? key : NULL, has_sql ? every_10_seconds : every_hour, policy->tz));
    }
}

const gr_refresh_policy *gr_refresh_policy_of(const gr_preagg *preagg, const gr_cube *const *cubes, size_t n_cubes,
                                              const gr_tz *tz, gr_arena *arena) {
    gr_refresh_policy *policy = GR_NEW(arena, gr_refresh_policy);
    part_list parts = {0};
    policy->tz = tz;
    bool is_own_alone = preagg->type == GR_PREAGG_ORIGINAL_SQL || n_cubes == 0;
    if (preagg->refresh)
        set_own(policy, preagg, &parts, arena);
    else if (is_own_alone)
        set_cubes(policy, preagg, &preagg->cube, 1, &parts, arena);
    else
        set_cubes(policy, preagg, cubes, n_cubes, &parts, arena);
    policy->parts = parts.v;
    policy->n_parts = parts.n;
    return policy;
}
