/* Random tables: few distinct values, so that groups fill; nulls; texts that differ in case or look like patterns;
 * times around jumps of the clock, the ends of months and weeks, and 1970, to the microsecond. */
#include "differential/generate.h"

#include <stdio.h>

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

static const char *const words[] = {
    "a",
    "A",
    "b",
    "B",
    "",
    " ",
    "ab",
    "aB",
    "AB",
    "50%",
    "a_b",
    "axb",
    "a%b",
    "a\\b",
    "it's",
    "\xc3\xa9",
    "\xc3\x89",
    "null",
    "Z\xc3\xbcrich",
    "z\xc3\x9cRICH",
    "{x}",
    "a,b",
    "0",
    "\xe6\x97\xa5\xe6\x9c\xac",
    "new york",
    "New York",
    "1e5",
    "a\"b",
    "-",
    "true",
};

gr_str diff_random_word(diff_random *r) { return gr_str_from(DIFF_ONE_OF(r, words)); }

int64_t diff_next_jump(const gr_tz *tz, int64_t at) {
    int64_t step = 9 * DAY;
    for (int i = 0; i < 50; i++, at += step) {
        int64_t offset = gr_tz_to_local(tz, at) - at;
        if (gr_tz_to_local(tz, at + step) - at - step == offset) continue;
        int64_t low = at, high = at + step;
        while (high - low > SECOND) {
            int64_t mid = low + (high - low) / 2 / SECOND * SECOND;
            if (mid == low) mid += SECOND;
            if (mid == high) break;
            if (gr_tz_to_local(tz, mid) - mid == offset)
                low = mid;
            else
                high = mid;
        }
        return high;
    }
    return at;
}

static int64_t random_jump(diff_random *r, const gr_tz *tz) {
    return diff_next_jump(tz, diff_between(r, -3650, 23000) * DAY);
}

static int64_t random_civil(diff_random *r, const diff_world *w) {
    static const int64_t years[] = {1969, 1970, 1999, 2000, 2020, 2023, 2023, 2024, 2024, 2024, 2025, 2037, 1900};
    gr_civil c = {.year = DIFF_ONE_OF(r, years), .month = (int)diff_between(r, 1, 12), .day = 1};
    if (diff_chance(r, 30)) c.month = 1;
    int64_t us = gr_civil_to_us(c);
    if (diff_chance(r, 25)) us += diff_between(r, 0, 31) * DAY;
    if (diff_chance(r, 20)) us = gr_granularity_floor(gr_granularity_predefined(GR_GRAIN_WEEK), 0, us);
    const gr_tz *tz = gr_tz_utc();
    if (gr_tz_get(w->zones[diff_pick(r, w->n_zones)], &tz, NULL)) tz = gr_tz_utc();
    return gr_tz_to_utc(tz, us, NULL);
}

static int64_t random_anchor(diff_random *r, const diff_world *w) {
    const gr_tz *tz = gr_tz_utc();
    if (gr_tz_get(w->zones[diff_pick(r, w->n_zones)], &tz, NULL)) tz = gr_tz_utc();
    size_t kind = diff_pick(r, 100);
    if (w->is_about_jumps && !gr_tz_get(w->zones[0], &tz, NULL)) kind = 0;
    if (kind < 35) return random_jump(r, tz);
    if (kind < 60) return random_civil(r, w);
    if (kind < 65) return 0;
    if (kind < 67) return -diff_between(r, 20000, 36500) * DAY;
    return w->now_us - diff_between(r, -20, 400) * DAY;
}

static int64_t random_shift(diff_random *r) {
    int64_t sign = diff_chance(r, 50) ? 1 : -1;
    switch (diff_pick(r, 9)) {
    case 0: return 0;
    case 1: return sign;
    case 2: return sign * 1000;
    case 3: return sign * SECOND;
    case 4: return sign * diff_between(r, 0, HOUR / SECOND) * SECOND;
    case 5: return sign * diff_between(r, 0, 3 * HOUR);
    case 6: return sign * diff_between(r, 0, 36) * 1800 * SECOND;
    case 7: return sign * diff_between(r, 0, 20) * DAY;
    default: return sign * diff_between(r, 0, 90 * DAY);
    }
}

int64_t diff_random_instant(diff_random *r, const diff_world *w) { return random_anchor(r, w) + random_shift(r); }

/* ---- cells ----------------------------------------------------------------------------------------------------------
 */

typedef struct filler {
    diff_random *random;
    diff_world *world;
    gr_arena *arena;
    unsigned null_percent[DIFF_N_COLS];
    gr_str texts[2][8];
    size_t n_texts[2];
    int64_t anchors[4];
    size_t n_anchors;
    int64_t most;   /* numbers lie in ±most */
    bool is_spread; /* times lie all over a year, so that every bucket has rows */
} filler;

static int64_t floor_to(int64_t us, int64_t unit) {
    int64_t rest = us % unit;
    return us - (rest < 0 ? rest + unit : rest);
}

/* ISO text: UTC without offset, with Z, or with one. */
static diff_value time_text(filler *f, int64_t us) {
    static const struct {
        int64_t us;
        const char *text;
    } offsets[] = {{0, ""}, {0, "Z"}, {-5 * HOUR, "-05:00"}, {19800 * SECOND, "+05:30"}};
    size_t which = diff_pick(f->random, 4);
    gr_civil c = gr_civil_from_us(us + offsets[which].us);
    char text[64];
    int n = snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%06d%s", (int)c.year, c.month, c.day, c.hour,
                     c.minute, c.second, (int)c.us, offsets[which].text);
    return diff_text(gr_arena_dup(f->arena, (gr_str){text, (size_t)n}));
}

static diff_value time_cell(filler *f, const char *type) {
    int64_t us = f->anchors[diff_pick(f->random, f->n_anchors)];
    if (f->is_spread && diff_chance(f->random, 80))
        us = f->world->now_us - diff_between(f->random, -60 * DAY, 400 * DAY);
    else
        us += f->world->is_about_jumps && diff_chance(f->random, 75) ? diff_between(f->random, -16, 16) * 900 * SECOND
                                                                     : random_shift(f->random);
    if (diff_is_clickhouse) { /* whole seconds, and no time before 1970 */
        us = floor_to(us < 0 ? -us : us, SECOND) % (45000 * DAY);
        if (us < 1000 * DAY) us += 1000 * DAY;
    }
    if (!strcmp(type, "DATE")) return diff_time(floor_to(us, DAY));
    if (!strcmp(type, "VARCHAR")) return time_text(f, us);
    if (!strcmp(type, "TIMESTAMP_S")) return diff_time(floor_to(us, SECOND));
    return diff_time(!strcmp(type, "TIMESTAMP_MS") ? floor_to(us, 1000) : us);
}

static diff_value number_cell(filler *f, const diff_column *column, size_t index) {
    diff_random *r = f->random;
    int64_t n = diff_between(r, -f->most, f->most);
    if (index == DIFF_COL_NUM) return diff_int(n);
    if (index == DIFF_COL_BIG)
        return diff_int(diff_chance(r, 70) ? diff_between(r, -9, 9) * INT64_C(1000000000000000000) : n);
    if (index == DIFF_COL_DEC) {
        bool is_short = !strcmp(column->sql_type, "DECIMAL(4,1)"), is_long = !strcmp(column->sql_type, "DECIMAL(18,6)");
        uint8_t scale = is_short ? 1 : is_long ? 6 : 2;
        int64_t unit = is_short ? 1 : is_long ? 2500 : 5;
        return (diff_value){.kind = DIFF_DECIMAL, .scale = scale, .as.i = n * unit + diff_between(r, 0, 3)};
    }
    diff_value v = diff_double((double)n / 8);
    if (!column->is_wild) return v;
    v.is_wild = true;
    v.as.d = diff_chance(r, 20) ? (double)n * 1e15 + 0.1 : (double)n / 10 + 0.001;
    return v;
}

static diff_value cell(filler *f, const diff_column *column, size_t index) {
    diff_random *r = f->random;
    if (diff_chance(r, f->null_percent[index])) return diff_null();
    switch (index) {
    case DIFF_COL_TXT:
    case DIFF_COL_TXT2: {
        size_t which = index - DIFF_COL_TXT;
        return diff_text(f->texts[which][diff_pick(r, f->n_texts[which])]);
    }
    case DIFF_COL_FLAG: return diff_bool(diff_chance(r, 50));
    case DIFF_COL_AT:
    case DIFF_COL_AT2: return time_cell(f, column->sql_type);
    default: return number_cell(f, column, index);
    }
}

static size_t random_rows(diff_random *r, const diff_world *w, bool is_fact) {
    size_t kind = diff_pick(r, 100);
    if (w->has_fan_out) /* the joined rows are many more */
        return kind < 3 ? 0 : kind < 6 ? 1 : (size_t)diff_between(r, 2, is_fact ? 60 : 40);
    if (kind < 3) return 0;
    if (kind < 6) return 1;
    if (!is_fact) return (size_t)diff_between(r, 2, 20);
    if (kind < 18) return (size_t)diff_between(r, 2, 12);
    return (size_t)(kind < 65 ? diff_between(r, 12, 80) : diff_between(r, 80, 260));
}

/* Keys that exist, keys that do not, and nulls. Of a one to one join each key at most once. */
static diff_value foreign_key(filler *f, const diff_foreign_key *key, size_t row, size_t first) {
    const diff_table *to = f->world->cubes[key->to].table;
    if (key->is_unique) {
        if (diff_chance(f->random, 10)) return diff_null();
        size_t at = (row + first) % (to->n_rows + 3);
        return row < to->n_rows + 3 ? diff_int((diff_wide)at + 1) : diff_null();
    }
    if (diff_chance(f->random, 12)) return diff_null();
    return diff_int((diff_wide)diff_between(f->random, 1, (int64_t)to->n_rows + 1));
}

static void fill_rows(filler *f, diff_table *t, const diff_cube *cube) {
    size_t first = diff_pick(f->random, 5);
    t->cells = GR_NEW_N(f->arena, diff_value, t->n_rows * t->n_columns + 1);
    for (size_t row = 0; row < t->n_rows; row++) {
        diff_value *cells = &t->cells[row * t->n_columns];
        cells[DIFF_COL_ID] = diff_int((diff_wide)row + 1);
        cells[DIFF_COL_KEY2] = diff_int((diff_wide)(row % 3));
        for (size_t i = 0; i < cube->n_fks; i++) cells[DIFF_COL_FK1 + i] = foreign_key(f, &cube->fks[i], row, first);
        for (size_t i = DIFF_COL_TXT; i < DIFF_N_COLS; i++) cells[i] = cell(f, &t->columns[i], i);
    }
}

static const char *time_type(diff_random *r) {
    size_t kind = diff_pick(r, 100);
    if (diff_is_clickhouse) return kind < 80 ? "TIMESTAMP" : "DATE"; /* a text is a time only to DuckDB */
    return kind < 50   ? "TIMESTAMP"
           : kind < 72 ? "TIMESTAMPTZ"
           : kind < 84 ? "DATE"
           : kind < 92 ? "VARCHAR"
           : kind < 97 ? "TIMESTAMP_MS"
                       : "TIMESTAMP_S";
}

void diff_size_table(diff_random *r, diff_world *world, size_t cube, gr_arena *arena) {
    diff_table *t = GR_NEW(arena, diff_table);
    t->n_rows = random_rows(r, world, world->cubes[cube].n_fks > 0);
    world->cubes[cube].table = t;
}

void diff_generate_table(diff_random *r, diff_world *world, size_t cube, gr_str name, gr_arena *arena) {
    static const char *const decimals[] = {"DECIMAL(12,2)", "DECIMAL(12,2)", "DECIMAL(18,6)", "DECIMAL(4,1)"};
    static const char *const integers[] = {"INTEGER", "BIGINT"};
    static const unsigned nulls[] = {0, 5, 15, 40};
    diff_table *t = world->cubes[cube].table;
    *t = (diff_table){.name = name,
                      .columns = GR_NEW_N(arena, diff_column, DIFF_N_COLS),
                      .n_columns = DIFF_N_COLS,
                      .n_rows = t->n_rows};
    const diff_column columns[DIFF_N_COLS] = {
        [DIFF_COL_ID] = {GR_STR("id"), "INTEGER", false},
        [DIFF_COL_KEY2] = {GR_STR("key2"), "INTEGER", false},
        [DIFF_COL_FK1] = {GR_STR("fk1"), "INTEGER", false},
        [DIFF_COL_FK2] = {GR_STR("fk2"), "INTEGER", false},
        [DIFF_COL_FK3] = {GR_STR("fk3"), "INTEGER", false},
        [DIFF_COL_TXT] = {GR_STR("txt"), "VARCHAR", false},
        [DIFF_COL_TXT2] = {GR_STR("txt2"), "VARCHAR", false},
        [DIFF_COL_NUM] = {GR_STR("num"), DIFF_ONE_OF(r, integers), false},
        [DIFF_COL_DEC] = {GR_STR("price"), DIFF_ONE_OF(r, decimals), false},
        [DIFF_COL_DBL] = {GR_STR("dbl"), "DOUBLE", diff_chance(r, 25)},
        [DIFF_COL_BIG] = {GR_STR("big"), "BIGINT", false},
        [DIFF_COL_FLAG] = {GR_STR("flag"), "BOOLEAN", false},
        [DIFF_COL_AT] = {GR_STR("ts"), time_type(r), false},
        [DIFF_COL_AT2] = {GR_STR("ts2"), time_type(r), false},
    };
    memcpy(t->columns, columns, sizeof columns);
    filler f = {.random = r, .world = world, .arena = arena, .most = diff_chance(r, 60) ? 4 : 200};
    f.is_spread = !world->is_about_jumps && diff_chance(r, 55);
    for (size_t i = 0; i < DIFF_N_COLS; i++) f.null_percent[i] = DIFF_ONE_OF(r, nulls);
    for (size_t k = 0; k < 2; k++) {
        f.n_texts[k] = (size_t)diff_between(r, 1, 7);
        for (size_t i = 0; i < f.n_texts[k]; i++) f.texts[k][i] = diff_random_word(r);
    }
    f.n_anchors = (size_t)diff_between(r, 1, 4);
    for (size_t i = 0; i < f.n_anchors; i++) f.anchors[i] = random_anchor(r, world);
    fill_rows(&f, t, &world->cubes[cube]);
}
