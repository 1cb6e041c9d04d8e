/* Tiling: the pieces of a range are whole stored buckets and edges; together they are the range, and each instant lies
 * in exactly one. First as a law over random ranges near the jumps of clocks, then as plans. */
#include "plan/internal.h"
#include "plan_shop.h"
#include "plan_test.h"

static const int64_t HOUR = 3600000000;

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int64_t random_between(uint64_t *state, int64_t from, int64_t to) {
    return from + (int64_t)(next_random(state) % ((uint64_t)to - (uint64_t)from));
}

static int64_t at(const char *text) {
    int64_t us = 0;
    gr_time_zone_part zone;
    bool is_date;
    if (!gr_time_parse(gr_str_from(text), &us, &zone, &is_date)) fail_msg("not a point: %s", text);
    return us;
}

/* Where the clock jumps: a gap, a doubled hour, half an hour, midnight itself, a whole day. */
static const struct jump {
    const char *zone, *day;
} jumps[] = {
    {"UTC", "2020-02-29"},
    {"America/New_York", "2019-03-10"},
    {"America/New_York", "2019-11-03"},
    {"Europe/Berlin", "2020-10-25"},
    {"Australia/Lord_Howe", "2019-04-07"},
    {"Australia/Lord_Howe", "2019-10-06"},
    {"America/Sao_Paulo", "2018-11-04"},
    {"America/Havana", "2019-11-03"},
    {"Pacific/Apia", "2011-12-30"},
    {"Asia/Kathmandu", "2020-01-01"},
};

static gr_granularity custom(const char *interval, const char *origin) {
    gr_granularity g;
    gr_error err = {0};
    if (gr_granularity_parse(GR_STR("g"), gr_str_from(interval), (gr_str){0}, gr_str_from(origin), &g, &err))
        fail_msg("%s: %s", interval, err.message);
    return g;
}

static int64_t random_point(uint64_t *random, int64_t around) {
    static const int64_t steps[] = {1, 1000, 1000000, 60000000, 900000000, 3600000000, 86400000000};
    int64_t spread = next_random(random) % 3 ? 30 * HOUR : 400 * 24 * HOUR;
    int64_t us = random_between(random, around - spread, around + spread), step = steps[next_random(random) % 7];
    return us / step * step;
}

/* As a query compares: on the wall clock where the bound is ambiguous, else as instants. */
static bool is_at_or_after(int64_t t, int64_t bound_utc, int64_t bound_local, bool is_ambiguous, const gr_tz *tz) {
    return is_ambiguous ? gr_tz_to_local(tz, t) >= bound_local : t >= bound_utc;
}

static bool holds(const gr_range *r, int64_t t, const gr_tz *tz) {
    return is_at_or_after(t, r->from_utc_us, r->from_local_us, r->is_from_ambiguous, tz) &&
           !is_at_or_after(t, r->to_utc_us, r->to_local_us, r->is_to_ambiguous, tz);
}

/* No bucket of the granularity lies within [from, to). */
static bool has_no_bucket(const gr_granularity *g, int64_t anchor, int64_t from, int64_t to) {
    int64_t start = gr_granularity_floor(g, anchor, from);
    if (start < from) start = gr_granularity_next(g, anchor, start);
    return gr_granularity_next(g, anchor, start) > to;
}

static void check_same_point(const gr_range *left, const gr_range *right) {
    assert_int_equal(left->to_local_us, right->from_local_us);
    assert_int_equal(left->to_utc_us, right->from_utc_us);
    assert_int_equal(left->is_to_ambiguous, right->is_from_ambiguous);
}

/* The pieces in the order of time. */
static size_t pieces_of(const gr_tiling *tiling, gr_range ret[3]) {
    gr_range edges[2];
    size_t n_edges = gr_tile_edges(tiling, edges), n = 0;
    assert_true(n_edges <= 2);
    for (size_t i = 0; i < n_edges; i++)
        if (edges[i].from_local_us < tiling->inner.from_local_us) ret[n++] = edges[i];
    ret[n++] = tiling->inner;
    for (size_t i = 0; i < n_edges; i++)
        if (edges[i].from_local_us >= tiling->inner.to_local_us) ret[n++] = edges[i];
    assert_int_equal(n, n_edges + 1);
    return n;
}

static void check_tiling(const gr_time_field *t, const gr_granularity *g, const gr_tz *tz, uint64_t *random,
                         size_t *n_tiled) {
    gr_tiling tiling = {.outer = t->range};
    int64_t anchor = t->anchor_local_us;
    if (!gr_tile_inner(t, g, tz, &tiling.inner)) {
        assert_true(has_no_bucket(g, anchor, t->range.from_local_us, t->range.to_local_us));
        return;
    }
    ++*n_tiled;
    const gr_range *outer = &tiling.outer, *inner = &tiling.inner;
    assert_true(gr_range_is_aligned(inner, g, anchor));
    assert_true(inner->from_local_us < inner->to_local_us);
    assert_true(has_no_bucket(g, anchor, outer->from_local_us, inner->from_local_us));
    assert_true(has_no_bucket(g, anchor, inner->to_local_us, outer->to_local_us));
    gr_range pieces[3];
    size_t n = pieces_of(&tiling, pieces);
    assert_int_equal(pieces[0].from_local_us, outer->from_local_us);
    assert_int_equal(pieces[0].from_utc_us, outer->from_utc_us);
    assert_int_equal(pieces[0].is_from_ambiguous, outer->is_from_ambiguous);
    assert_int_equal(pieces[n - 1].to_local_us, outer->to_local_us);
    assert_int_equal(pieces[n - 1].to_utc_us, outer->to_utc_us);
    assert_int_equal(pieces[n - 1].is_to_ambiguous, outer->is_to_ambiguous);
    for (size_t i = 0; i < n; i++) {
        assert_true(pieces[i].from_local_us < pieces[i].to_local_us);
        assert_true(pieces[i].from_utc_us <= pieces[i].to_utc_us);
        if (i) check_same_point(&pieces[i - 1], &pieces[i]);
    }
    for (int k = 0; k < 20; k++) {
        int64_t near = pieces[next_random(random) % n].from_utc_us;
        int64_t instant = random_between(random, near - 4 * HOUR, near + 4 * HOUR);
        size_t n_holding = 0;
        for (size_t i = 0; i < n; i++) n_holding += holds(&pieces[i], instant, tz);
        if (n_holding != holds(outer, instant, tz)) fail_msg("%zu pieces hold %lld", n_holding, (long long)instant);
    }
}

static void pieces_are_the_range(void **state) {
    (void)state;
    const gr_granularity customs[] = {custom("15 minutes", "2020-01-01"), custom("2 weeks", "2019-01-07T10:00:00"),
                                      custom("1 month", "2019-01-31"), custom("7 hours", "2019-05-05T00:30:00")};
    uint64_t random = 20200717;
    size_t n_tiled = 0, n_grains = GR_GRAIN_CUSTOM - 1 + COUNT(customs);
    for (size_t i = 0; i < 12000; i++) {
        const struct jump *j = &jumps[next_random(&random) % COUNT(jumps)];
        const gr_tz *tz = NULL;
        assert_int_equal(gr_tz_get(gr_str_from(j->zone), &tz, NULL), GR_OK);
        size_t k = next_random(&random) % n_grains;
        const gr_granularity *g = k < GR_GRAIN_CUSTOM - 1 ? gr_granularity_predefined((gr_grain)(k + 1))
                                                          : &customs[k - (GR_GRAIN_CUSTOM - 1)];
        int64_t from = random_point(&random, at(j->day)), to = random_point(&random, at(j->day));
        if (from > to) {
            int64_t other = from;
            from = to;
            to = other;
        }
        gr_time_field t = {.has_range = true, .range = gr_range_of_local(from, to, tz)};
        if (g->grain == GR_GRAIN_CUSTOM) t.anchor_local_us = gr_granularity_anchor(g, tz, test_now);
        check_tiling(&t, g, tz, &random, &n_tiled);
    }
    assert_true(n_tiled > 3000); /* else the law was asked of nothing */
}

/* What is built of hours or minutes, on the clock of any zone: a part of it, that begins and ends with stored buckets.
 * At the end of Lord Howe's summer half an hour is doubled: what ends at 15:00Z is shown as if it ended at 14:30Z, in
 * the middle of a bucket, and the other half was read twice. */
static void what_is_built_ends_with_a_bucket(void **state) {
    (void)state;
    static const char *const grains[] = {"hour", "minute"};
    gr_arena *arena = gr_arena_new();
    uint64_t random = 20130407;
    size_t n_shown = 0;
    for (size_t k = 0; k < COUNT(grains); k++) {
        gr_str yaml =
            gr_arena_printf(arena,
                            HEAD "  - {name: g, measures: [count], time_dimension: created_at, granularity: %s}\n"
                                 "%s",
                            grains[k], USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        const gr_rollup *r = gr_plan_index_rollup(s.index, s.model->preaggs[0]);
        for (size_t i = 0; i < 12000; i++) {
            const struct jump *j = &jumps[next_random(&random) % COUNT(jumps)];
            int64_t unit = k ? HOUR / 60 : HOUR, around = at(j->day) - at(j->day) % unit;
            const gr_tz *tz = NULL;
            gr_range shown;
            assert_int_equal(gr_tz_get(gr_str_from(j->zone), &tz, NULL), GR_OK);
            int64_t from = around + random_between(&random, -36, 36) * unit;
            gr_run run = {from, from + random_between(&random, 1, 72) * unit};
            if (next_random(&random) % 4 == 0) run.from_us = INT64_MIN;
            if (!gr_tile_range_of(r, &run, tz, &shown)) continue;
            n_shown++;
            if (run.from_us != INT64_MIN) assert_int_equal(shown.from_utc_us, run.from_us);
            assert_true(shown.to_utc_us <= run.to_us);
            assert_int_equal(shown.to_utc_us % unit, 0);
        }
        gr_model_unref(s.model);
    }
    assert_true(n_shown > 15000);
    gr_arena_free(arena);
}

/* A window over no rows wants nothing: no partition is to be built for it, as none would ever be enough. */
static void nothing_is_not_missing(void **state) {
    (void)state;
    gr_run missing[] = {{-24 * HOUR, 24 * HOUR}};
    const gr_rollup_state s = {.missing = missing, .n_missing = 1};
    assert_true(gr_rollup_is_missing(&s, &(gr_run){0, HOUR}));
    assert_false(gr_rollup_is_missing(&s, &(gr_run){0, 0}));
    assert_false(gr_rollup_is_missing(&s, &(gr_run){24 * HOUR, 25 * HOUR}));
}

/* Bounds that are open, or so far away that no bucket ends behind them. */
static void open_ranges(void **state) {
    (void)state;
    const gr_granularity *day = gr_granularity_predefined(GR_GRAIN_DAY);
    int64_t noon = at("2020-01-01T12:00:00"), start = at("2020-01-01"), next = at("2020-01-02");
    const struct {
        int64_t from, to, inner_from, inner_to;
        size_t n_edges;
        bool is_tiled;
    } rows[] = {
        {INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX, 0, true},
        {INT64_MIN, noon, INT64_MIN, start, 1, true},
        {noon, INT64_MAX, next, INT64_MAX, 1, true},
        {INT64_MIN, start, INT64_MIN, start, 0, true},
        {start, noon, 0, 0, 0, false},
        {noon, next, 0, 0, 0, false},
        {start, start, 0, 0, 0, false},
        {start, next, start, next, 0, true},
        {start, next + 1, start, next, 1, true},
        {start - 1, next + 1, start, next, 2, true},
        {INT64_MAX - 10, INT64_MAX - 5, 0, 0, 0, false},
        {INT64_MIN + 5, INT64_MIN + 10, 0, 0, 0, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_time_field t = {.has_range = true, .range = gr_range_of_local(rows[i].from, rows[i].to, gr_tz_utc())};
        gr_tiling tiling = {.outer = t.range};
        gr_range edges[2];
        if (gr_tile_inner(&t, day, gr_tz_utc(), &tiling.inner) != rows[i].is_tiled) fail_msg("row %zu", i);
        if (!rows[i].is_tiled) continue;
        assert_int_equal(tiling.inner.from_local_us, rows[i].inner_from);
        assert_int_equal(tiling.inner.to_local_us, rows[i].inner_to);
        assert_int_equal(gr_tile_edges(&tiling, edges), rows[i].n_edges);
    }
}

/* A bound of the query that does not move keeps its own instant, however it was read. */
static void bounds_keep_their_instant(void **state) {
    (void)state;
    gr_time_field t = {.has_range = true, .range = gr_range_of_local(at("2020-01-01"), at("2020-01-03"), gr_tz_utc())};
    t.range.from_utc_us += 7;
    t.range.to_utc_us -= 7;
    t.range.is_from_ambiguous = t.range.is_to_ambiguous = true;
    gr_range inner;
    assert_true(gr_tile_inner(&t, gr_granularity_predefined(GR_GRAIN_DAY), gr_tz_utc(), &inner));
    assert_int_equal(inner.from_utc_us, t.range.from_utc_us);
    assert_int_equal(inner.to_utc_us, t.range.to_utc_us);
    assert_true(inner.is_from_ambiguous && inner.is_to_ambiguous);
}

/* ---- plans ---------------------------------------------------------------------------------------------------------
 */

#define AT(name, measures, grain)                                                                                      \
    "  - {name: " name ", measures: [" measures "], time_dimension: created_at, granularity: " grain "}\n"
#define DAY AT("day", "count, total", "day")
#define HOURLY AT("hour", "count, total", "hour")
#define MONTH AT("month", "count, total", "month")
#define YEAR AT("year", "count, total", "year")
#define SECOND AT("second", "count", "second")
#define UNIQ AT("distinct", "uniq, count", "day")
#define NEW_YORK "'timezone':'America/New_York'"
#define BY_CITY                                                                                                        \
    "  - {name: by_city, measures: [count], dimensions: [city], time_dimension: created_at, granularity: day}\n"

static const test_case plans[] = {
    /* The edges from the source. */
    {DAY, "count", "", "- 2020-01-01T10:00:00 2020-01-31", "",
     "day[2020-01-02 .. 2020-02-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02)", "range_not_aligned"},
    {DAY, "count", "", "- 2020-01-01 2020-01-31T15:30:00", "",
     "day[2020-01-01 .. 2020-01-31) + source[2020-01-31 .. 2020-01-31T15:30:00.000+1us)", "range_not_aligned"},
    {DAY, "total", "", "month 2020-01-01T10:00:00 2020-02-10T15:59:59.999", "",
     "day[2020-01-02 .. 2020-02-10) + source[2020-01-01T10:00:00.000 .. 2020-01-02) + "
     "source[2020-02-10 .. 2020-02-10T16:00:00.000)",
     NULL},
    {DAY, "count", "", "- 2020-01-01T10:00:00 2020-01-01T20:00:00", "",
     "source[2020-01-01T10:00:00.000 .. 2020-01-01T20:00:00.000+1us)", "range_not_aligned"},
    {DAY, "count", "", "- 2020-01-01T10:00:00 2020-01-02T20:00:00", "",
     "source[2020-01-01T10:00:00.000 .. 2020-01-02T20:00:00.000+1us)", "range_not_aligned"},
    /* Nothing to tile: another rule stands against it. */
    {DAY, "count", "", "hour 2020-01-01T10:20:00 2020-01-31", "", "source[2020-01-01T10:20:00.000 .. 2020-02-01)",
     "granularity"},
    {DAY, "count top", "", "- 2020-01-01T10:20:00 2020-01-31", "", "source[2020-01-01T10:20:00.000 .. 2020-02-01)",
     "range_not_aligned"},
    /* The edges from a finer rollup, and theirs from a finer one still; the source in the end. */
    {DAY HOURLY, "count", "", "- 2020-01-01T10:20:00 2020-01-31", "",
     "day[2020-01-02 .. 2020-02-01) + hour[2020-01-01T11:00:00.000 .. 2020-01-02) + "
     "source[2020-01-01T10:20:00.000 .. 2020-01-01T11:00:00.000)",
     "range_not_aligned range_not_aligned"},
    {YEAR MONTH DAY HOURLY, "count", "", "- 2018-03-10T10:20:30 2020-12-31", "",
     "year[2019-01-01 .. 2021-01-01) + month[2018-04-01 .. 2019-01-01) + day[2018-03-11 .. 2018-04-01) + "
     "source[2018-03-10T10:20:30.000 .. 2018-03-11)",
     NULL},
    /* A whole match goes before any tiling, although it reads more rows. */
    {DAY HOURLY, "count", "", "- 2020-01-01T10:00:00 2020-01-31", "", "hour[2020-01-01T10:00:00.000 .. 2020-02-01)",
     "range_not_aligned"},
    {YEAR SECOND, "count", "", "- 2018-03-10T10:20:30 2020-12-31", "", "second[2018-03-10T10:20:30.000 .. 2021-01-01)",
     "range_not_aligned"},
    {HOURLY DAY, "count", "", "- 2020-01-01T10:20:00 2020-01-31", "",
     "hour[2020-01-01T11:00:00.000 .. 2020-02-01) + source[2020-01-01T10:20:00.000 .. 2020-01-01T11:00:00.000)", NULL},
    /* By the wall clock of the query. */
    {DAY, "count", "", "- 2020-03-08T01:30:00 2020-03-09", NEW_YORK,
     "day[2020-03-09 .. 2020-03-10) + source[2020-03-08T01:30:00.000 .. 2020-03-09)", NULL},
    {HOURLY, "count", "", "- 2019-11-03T01:30:00 2019-11-03T04:59:59.999", NEW_YORK,
     "hour[2019-11-03T02:00:00.000 .. 2019-11-03T05:00:00.000) + "
     "source[2019-11-03T01:30:00.000 .. 2019-11-03T02:00:00.000)",
     NULL},
    {HOURLY, "count", "", "- 2019-11-03T01:00:00 2019-11-03T01:59:59.999", NEW_YORK,
     "hour[2019-11-03T01:00:00.000 .. 2019-11-03T02:00:00.000)", "nothing"},
    {HOURLY, "count", "", "- 2020-06-01T01:10:00 2020-06-30", "'timezone':'Asia/Kolkata'",
     "source[2020-06-01T01:10:00.000 .. 2020-07-01)", "range_not_aligned time_zone"},
    /* What cannot be merged: no group of the answer lies in two pieces. */
    {UNIQ, "uniq", "", "day 2020-01-01T10:00:00 2020-01-31T15:30:00", "",
     "distinct[2020-01-02 .. 2020-01-31) + source[2020-01-01T10:00:00.000 .. 2020-01-02) + "
     "source[2020-01-31 .. 2020-01-31T15:30:00.000+1us)",
     "range_not_aligned"},
    {AT("distinct", "uniq", "half_year"), "uniq", "", "half_year 2020-02-01 2021-06-30", "",
     "distinct[2020-07-01 .. 2021-07-01) + source[2020-02-01 .. 2020-07-01)", "range_not_aligned"},
    {UNIQ, "uniq", "", "- 2020-01-01T10:00:00 2020-01-31", "", "source[2020-01-01T10:00:00.000 .. 2020-02-01)",
     "range_not_aligned"},
    {UNIQ, "uniq", "", "day; - 2020-01-01 2020-01-31T15:30:00", "", "source", "range_not_aligned edges"},
    {UNIQ, "uniq", "", "- 2020-01-01T10:00:00 2020-01-02", "", "source[2020-01-01T10:00:00.000 .. 2020-01-03)",
     "range_not_aligned edges"},
    {UNIQ, "uniq", "", "month 2020-01-01T10:00:00 2020-01-02", "", "source[2020-01-01T10:00:00.000 .. 2020-01-03)",
     "range_not_aligned edges"},
    {UNIQ, "uniq", "", "- 2020-01-02 2020-01-02", "", "distinct[2020-01-02 .. 2020-01-03)", "nothing"},
    {UNIQ, "count", "", "- 2020-01-01T10:00:00 2020-01-31", "",
     "distinct[2020-01-02 .. 2020-02-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02)", "range_not_aligned"},
    {AT("sketch", "uniqa, avg_a", "day"), "uniqa avg_a", "", "- 2020-01-01T10:00:00 2020-01-31", "",
     "sketch[2020-01-02 .. 2020-02-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02)", "range_not_aligned"},
    /* Filters and columns hold for each piece; rows are not tiled. */
    {BY_CITY, "count", "city", "- 2020-01-01T10:00:00 2020-01-31", FILTER("city", "equals", "'a'"),
     "by_city[2020-01-02 .. 2020-02-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02)", NULL},
    {"  - {name: rows, measures: [count], dimensions: [id], time_dimension: created_at, granularity: day}\n", "count",
     "id", "- 2020-01-01T10:00:00 2020-01-31", "'ungrouped':true", "source[2020-01-01T10:00:00.000 .. 2020-02-01)",
     "range_not_aligned"},
    /* One range is cut, and only one. */
    {"  - name: two\n    measures: [count]\n    time_dimensions:\n    - {dimension: created_at, granularity: day}\n"
     "    - {dimension: updated_at, granularity: day}\n",
     "count", "", "- 2020-01-01T10:00:00 2020-01-31; updated_at:- 2020-01-01 2020-01-31", "",
     "two[2020-01-02 .. 2020-02-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02)", NULL},
    {"  - name: two\n    measures: [count]\n    time_dimensions:\n    - {dimension: created_at, granularity: day}\n"
     "    - {dimension: updated_at, granularity: day}\n",
     "count", "", "- 2020-01-01T10:00:00 2020-01-31; updated_at:- 2020-01-01T10:00:00 2020-01-31", "",
     "source[2020-01-01T10:00:00.000 .. 2020-02-01)", "range_not_aligned"},
    /* Each group of the answer on its own. */
    {DAY, "total users.age", "", "- 2020-01-01T10:00:00 2020-01-31", "",
     "day[2020-01-02 .. 2020-02-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02) + "
     "source/users[2020-01-01T10:00:00.000 .. 2020-02-01)",
     NULL},
    /* A user stands on several days: one answer cannot be put together of days, but each day can. */
    {AT("ages", "users.age", "day"), "users.age", "", "- 2020-01-01T10:00:00 2020-01-31", "",
     "source/users[2020-01-01T10:00:00.000 .. 2020-02-01)", "range_not_aligned"},
    {AT("ages", "users.age", "day"), "users.age", "", "day 2020-01-01T10:00:00 2020-01-31", "",
     "ages[2020-01-02 .. 2020-02-01) + source/users[2020-01-01T10:00:00.000 .. 2020-01-02)", "range_not_aligned"},
};

static void tiled_plans(void **state) {
    (void)state;
    test_check_cases(HEAD, USERS, plans, COUNT(plans), true);
}

/* What serves is named, once however often. */
static void uses(void **state) {
    (void)state;
    static const struct {
        const char *times, *uses;
        bool reads_source, has_one;
    } rows[] = {
        {"- 2020-01-01 2020-01-31", "day", false, true},
        {"- 2020-01-01T10:00:00 2020-01-31T10:59:59.999", "hour", false, true},
        {"- 2020-01-01T10:20:00 2020-01-31T10:59:59.999", "day hour", true, false},
        {"- 2020-01-01T10:20:00 2020-01-01T10:30:00", "", true, false},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD DAY HOURLY USERS, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_plan *plan;
        gr_error err = {0};
        assert_int_equal(test_plan(&s, test_json("count", "", rows[i].times, "", arena), arena, &plan, &err), GR_OK);
        gr_str text = {0};
        for (size_t k = 0; k < plan->n_uses; k++)
            text = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(text), k ? " " : "",
                                   GR_ARG(plan->uses[k].rollup->preagg->name));
        if (!gr_str_eq_z(text, rows[i].uses)) fail_msg("row %zu: '" GR_FMT "'", i, GR_ARG(text));
        assert_int_equal(plan->reads_source, rows[i].reads_source);
        assert_int_equal(plan->rollup != NULL, rows[i].has_one);
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_the_range),
        cmocka_unit_test(what_is_built_ends_with_a_bucket),
        cmocka_unit_test(nothing_is_not_missing),
        cmocka_unit_test(open_ranges),
        cmocka_unit_test(bounds_keep_their_instant),
        cmocka_unit_test(tiled_plans),
        cmocka_unit_test(uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
