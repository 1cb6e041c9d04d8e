/* Worlds for the harness with time: a generated model of one or two cubes, whose first cube has rows around a jump of a
 * zone's clock, and one or two rollups that are partitioned, limited and refreshed in every way. */
#include "differential/time/life.h"

#include <stdio.h>

/* A zone with jumps comes twice as often. */
static const char *const zones[] = {"UTC",
                                    "America/New_York",
                                    "America/New_York",
                                    "Europe/London",
                                    "Europe/London",
                                    "Australia/Lord_Howe",
                                    "Australia/Lord_Howe",
                                    "America/Sao_Paulo",
                                    "America/Sao_Paulo",
                                    "Asia/Kolkata",
                                    "Asia/Kathmandu"};

static const struct size {
    const char *name;
    int64_t unit_us;
} sizes[] = {{"hour", TIME_HOUR},        {"day", TIME_DAY},        {"day", TIME_DAY},
             {"week", 7 * TIME_DAY},     {"month", 30 * TIME_DAY}, {"month", 30 * TIME_DAY},
             {"quarter", 91 * TIME_DAY}, {"year", 365 * TIME_DAY}, {NULL, 10 * TIME_DAY}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static const char *const refreshes[] = {
    NULL,
    "{every: 1 hour}",
    "{every: 30 seconds}",
    "{every: 1 day}",
    "{every: '0 3 * * *', timezone: Europe/London}",
    "{sql: SELECT count(*) FROM T}",
    "{sql: SELECT max(id) FROM T, every: 1 minute}",
    "{every: 1 hour, incremental: true}",
    "{every: 10 minutes, incremental: true, update_window: 1 day}",
    "{every: 1 hour, incremental: true, update_window: 1 week}",
    "{fingerprint: rows}",
    "{fingerprint: rows, every: 10 minutes}",
    "{fingerprint: '{CUBE}.num'}",
    "{every: 1 hour, incremental: true, update_window: 1 day, fingerprint: rows}",
    "{sql: SELECT sum(num) FROM T, fingerprint: rows}",
};

static const char *random_refresh(diff_random *r, gr_str table, gr_arena *arena) {
    const char *text = DIFF_ONE_OF(r, refreshes), *hole = text ? strstr(text, " T") : NULL;
    if (!hole) return text;
    gr_str made = gr_arena_printf(arena, "%.*s " GR_FMT "%s", (int)(hole - text), text, GR_ARG(table), hole + 2);
    char *z = gr_arena_alloc(arena, made.n + 1);
    memcpy(z, made.p, made.n);
    z[made.n] = 0;
    return z;
}

/* ---- times ----------------------------------------------------------------------------------------------------------
 */

static int64_t floor_to(int64_t us, int64_t unit) {
    int64_t rest = us % unit;
    return us - (rest < 0 ? rest + unit : rest);
}

int64_t time_random_instant(const time_life *life, diff_random *r) {
    size_t kind = diff_pick(r, 10);
    int64_t wide = 6 * life->unit_us;
    if (kind < 3) return life->jump_us + diff_between(r, -16, 16) * 15 * 60 * TIME_SECOND;
    if (kind == 3) return life->jump_us + diff_between(r, -2, 1);
    int64_t us = life->jump_us + diff_between(r, -wide / 2, wide / 2);
    if (kind > 5) return kind > 7 ? us : floor_to(us, TIME_SECOND);
    int64_t local = gr_tz_to_local(life->tz, us);
    return gr_tz_to_utc(life->tz, floor_to(local, kind == 4 ? TIME_DAY : TIME_HOUR), NULL);
}

static diff_value cell_of(const char *type, int64_t us, gr_arena *arena) {
    if (!strcmp(type, "DATE")) return diff_time(floor_to(us, TIME_DAY));
    if (!strcmp(type, "TIMESTAMP_S")) return diff_time(floor_to(us, TIME_SECOND));
    if (!strcmp(type, "TIMESTAMP_MS")) return diff_time(floor_to(us, 1000));
    if (strcmp(type, "VARCHAR") != 0) return diff_time(us);
    gr_civil c = gr_civil_from_us(us);
    return diff_text(gr_arena_printf(arena, "%04d-%02d-%02d %02d:%02d:%02d.%06dZ", (int)c.year, c.month, c.day, c.hour,
                                     c.minute, c.second, (int)c.us));
}

diff_value time_random_cell(const time_life *life, diff_random *r) {
    if (diff_chance(r, life->null_percent)) return diff_null();
    return cell_of(life->pool->columns[DIFF_COL_AT].sql_type, time_random_instant(life, r), life->arena);
}

bool time_of_row(const diff_table *t, size_t row, int64_t *ret_us) {
    const diff_value *cell = &t->cells[row * t->n_columns + DIFF_COL_AT];
    return cell->kind != DIFF_NULL && diff_instant(cell, ret_us);
}

/* ---- rollups --------------------------------------------------------------------------------------------------------
 */

typedef GR_VEC(diff_item) items;

/* What merges is most of what rollups are for. */
static bool is_wanted(const diff_measure *m, diff_random *r) {
    bool is_hard = m->type == DIFF_COUNT_DISTINCT || m->type >= DIFF_CALC_NUMBER || m->window;
    return !m->stage && diff_chance(r, is_hard ? 12 : 65);
}

static void add_members(const diff_world *w, diff_random *r, items *list, gr_arena *arena) {
    for (size_t cube = 0; cube < w->n_cubes; cube++) {
        const diff_cube *c = &w->cubes[cube];
        for (size_t i = 0; i < c->n_measures && !cube; i++)
            if (is_wanted(&c->measures[i], r)) GR_PUSH(arena, list, (diff_item){.kind = DIFF_ITEM_MEASURE, .index = i});
        for (size_t i = 0; i < c->n_dims; i++) {
            const diff_dim *d = &c->dims[i];
            unsigned percent = d->is_sub_query || d->type == DIFF_DIM_TIME ? 0 : d->is_primary_key ? 4 : 14;
            if (diff_chance(r, percent))
                GR_PUSH(arena, list, (diff_item){.kind = DIFF_ITEM_DIMENSION, .cube = cube, .index = i});
        }
        for (size_t i = 0; i < c->n_segments && !cube; i++)
            if (diff_chance(r, 15)) GR_PUSH(arena, list, (diff_item){.kind = DIFF_ITEM_SEGMENT, .index = i});
    }
}

static const char *random_grain(const diff_dim *ts, diff_random *r) {
    static const char *const grains[] = {"minute", "hour", "hour", "hour",  "day",    "day",
                                         "day",    "day",  "week", "month", "quarter"};
    size_t n = 0;
    while (ts->granularities && ts->granularities[n].name) n++;
    if (n && diff_chance(r, 18)) return ts->granularities[diff_pick(r, n)].name;
    return DIFF_ONE_OF(r, grains);
}

/* Near the rows, outside of them, or just where they are. */
static void limit(const time_life *life, diff_random *r, diff_rollup *rollup) {
    int64_t a = time_random_instant(life, r), b = time_random_instant(life, r);
    if (diff_chance(r, 15)) b += 20 * life->unit_us;
    int64_t unit = diff_chance(r, 50) ? TIME_DAY : TIME_SECOND;
    rollup->has_start = diff_chance(r, 85);
    rollup->has_end = !rollup->has_start || diff_chance(r, 70);
    rollup->start_us = floor_to(a < b ? a : b, unit);
    rollup->end_us = floor_to(a < b ? b : a, unit);
    rollup->is_range_date = unit == TIME_DAY && diff_chance(r, 50);
    const char *type = life->pool->columns[DIFF_COL_AT].sql_type;
    rollup->is_range_of_rows = strcmp(type, "VARCHAR") != 0 && diff_chance(r, 25);
}

static const struct size *size_near(const time_life *life, diff_random *r) {
    for (int tries = 0; tries < 50; tries++) {
        const struct size *s = &sizes[diff_pick(r, N_SIZES)];
        if (!s->name || (s->unit_us <= 8 * life->unit_us && s->unit_us * 8 >= life->unit_us)) return s;
    }
    return &sizes[N_SIZES - 1];
}

void time_change_rollup(time_life *life, diff_random *r, diff_rollup *rollup) {
    if (diff_chance(r, 70)) rollup->partition = size_near(life, r)->name;
    if (diff_chance(r, 50)) rollup->refresh = random_refresh(r, life->pool->name, life->arena);
}

static void add_rollup(time_life *life, diff_random *r, const char *partition) {
    diff_cube *c = &life->world.cubes[0];
    items list = {0};
    add_members(&life->world, r, &list, life->arena);
    if (!list.n) GR_PUSH(life->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE});
    GR_PUSH(life->arena, &list,
            (diff_item){.kind = DIFF_ITEM_TIME, .index = life->ts, .granularity = random_grain(&c->dims[life->ts], r)});
    diff_rollup *rollup = &c->rollups[c->n_rollups];
    *rollup = (diff_rollup){.name = gr_arena_printf(life->arena, "r%zu", c->n_rollups),
                            .items = list.v,
                            .n_items = list.n,
                            .is_external = diff_chance(r, 20) ? 0 : -1,
                            .is_non_strict = diff_chance(r, 30) ? 0 : -1,
                            .partition = partition,
                            .refresh = random_refresh(r, life->pool->name, life->arena)};
    if (diff_chance(r, 30)) limit(life, r, rollup);
    if (diff_chance(r, 12)) {
        json_t *filters = json_pack("[o]", diff_generate_filter(&life->world, r, 0, life->arena));
        char *text = json_dumps(filters, JSON_COMPACT | JSON_ENSURE_ASCII);
        rollup->filters = gr_arena_dup(life->arena, gr_str_from(text));
        free(text);
        json_decref(filters);
    }
    c->n_rollups++;
}

/* ---- the world ------------------------------------------------------------------------------------------------------
 */

static bool is_fit(const diff_world *w) {
    return w->n_cubes <= 2 && !w->has_fan_out && w->cubes[0].table->n_rows >= 30 &&
           (w->n_cubes == 1 || w->cubes[0].n_joins);
}

static void make_world(time_life *life, uint64_t seed, uint64_t number) {
    for (uint64_t i = 0;; i++) {
        gr_arena *scratch = gr_arena_new();
        diff_world *tried = GR_NEW(scratch, diff_world);
        diff_generate_world(seed, number * 1000 + i, scratch, tried);
        bool fits = is_fit(tried);
        gr_arena_free(scratch);
        if (!fits) continue;
        diff_generate_world(seed, number * 1000 + i, life->arena, &life->world);
        return;
    }
}

static void set_zones(time_life *life, diff_random *r) {
    diff_world *w = &life->world;
    w->n_zones = 2;
    for (size_t i = 0; i < 2; i++) w->zones[i] = gr_str_from(DIFF_ONE_OF(r, zones));
    if (gr_tz_get(w->zones[0], &life->tz, NULL)) life->tz = gr_tz_utc();
    int64_t year = diff_between(r, 2013, 2017); /* São Paulo had jumps then */
    life->jump_us = diff_next_jump(
        life->tz, gr_civil_to_us((gr_civil){.year = year, .month = 1 + (int)diff_pick(r, 12), .day = 1}));
    if (diff_chance(r, 20)) /* or the end of a year */
        life->jump_us = gr_tz_to_utc(life->tz, gr_civil_to_us((gr_civil){.year = year, .month = 1, .day = 1}), NULL);
}

static void fill_pool(time_life *life, diff_random *r) {
    diff_table *pool = time_table(life);
    static const unsigned percents[] = {0, 0, 8, 25};
    life->pool = pool;
    life->null_percent = DIFF_ONE_OF(r, percents);
    for (size_t row = 0; row < pool->n_rows; row++)
        pool->cells[row * pool->n_columns + DIFF_COL_AT] = time_random_cell(life, r);
    diff_table *first = GR_NEW(life->arena, diff_table);
    *first = *pool;
    first->n_rows = diff_chance(r, 12) ? 0 : 1 + diff_pick(r, pool->n_rows * 2 / 3);
    life->n_pooled = first->n_rows;
    life->world.cubes[0].table = first;
    GR_PUSH(life->arena, &life->versions, (const diff_table *)first);
}

static void find_ts(time_life *life) {
    const diff_cube *c = &life->world.cubes[0];
    for (size_t i = 0; i < c->n_dims; i++)
        if (gr_str_eq_z(c->dims[i].name, "ts")) life->ts = i;
}

void time_life_make(time_life *life, uint64_t seed, uint64_t number) {
    static const char *const keys[] = {NULL, NULL, NULL, "{every: 2 hours}", "{immutable: true}"};
    diff_random random = diff_random_of(seed, number, 77), *r = &random;
    make_world(life, seed, number);
    diff_world *w = &life->world;
    w->n_views = 0;
    for (size_t i = 0; i < w->n_cubes; i++) w->cubes[i].n_rollups = 0, w->cubes[i].is_cheapest = false;
    w->cubes[0].refresh = DIFF_ONE_OF(r, keys);
    w->cubes[0].rollups = GR_NEW_N(life->arena, diff_rollup, TIME_MAX_ROLLUPS);
    set_zones(life, r);
    find_ts(life);
    const struct size *size = &sizes[diff_pick(r, N_SIZES)];
    life->unit_us = size->unit_us;
    fill_pool(life, r);
    life->now_us = w->now_us = life->jump_us + diff_between(r, -2 * life->unit_us, 3 * life->unit_us);
    life->n_stretched = diff_chance(r, 50) ? 1 : 4;
    add_rollup(life, r, size->name);
    if (diff_chance(r, 40)) add_rollup(life, r, size_near(life, r)->name);
}

/* One rollup that lives in the source makes the source writable, as the changes of its table need. */
gr_str time_yaml(const time_life *life, gr_arena *arena) {
    return gr_arena_printf(arena,
                           GR_FMT "  - name: none\n    sql: SELECT 1 AS one\n    measures: [{name: n, type: count}]\n"
                                  "    pre_aggregations: [{name: in_source, measures: [CUBE.n], external: false}]\n",
                           GR_ARG(diff_world_yaml(&life->world, arena)));
}
