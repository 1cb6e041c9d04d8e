/* The scheduler on a virtual clock, over a world that is made up: sources that change, builds that take time and fail,
 * a clock that jumps, items that come and go. `world.now_us` is the time that really goes by; the clock that the
 * scheduler is told is `clock_skew_us` off. */
#include "refresh/scheduler.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define NEVER INT64_MAX
enum { N_THINGS = 50, MOST_PARTS = 2, MOST_TEXT = 200 };

/* ---- the world -----------------------------------------------------------------------------------------------------
 */
typedef struct thing {
    gr_refresh_policy policy;
    gr_refresh_part parts[MOST_PARTS];
    bool is_watched, is_built, is_building, checks, will_fail;
    int64_t ends_us, began_us;
    int64_t source[MOST_PARTS], rows;          /* counts of changes; `rows` are seen by the fingerprint alone */
    int64_t started[MOST_PARTS], started_rows; /* as the running build read them */
    int64_t built[MOST_PARTS], built_rows;     /* as what serves was made from */
    int64_t asked[MOST_PARTS], asked_us[MOST_PARTS], checked_us;
    char started_value[MOST_TEXT], built_value[MOST_TEXT];
    int64_t changed_us[MOST_PARTS], rows_changed_us; /* NEVER: nothing is due */
    int64_t allowed_us;                              /* for builds and failures, while something is due */
    int64_t n_failures, no_promise_until_us;
    unsigned may_ask_early; /* by part: a bit that its next asking takes */
    int64_t n_asked, n_built, n_skipped;
} thing;

typedef struct world {
    int64_t now_us, clock_skew_us;
    uint64_t random;
    gr_scheduler *scheduler;
    thing things[N_THINGS];
    size_t n;
    bool all_builds_fail, asks_fail;
    int64_t n_steps, most_late_us;
} world;

static uint64_t chance(world *w) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random >> 16;
}

static int64_t between(world *w, int64_t least, int64_t most) {
    return least + (int64_t)(chance(w) % (uint64_t)(most - least + 1));
}

static int64_t clock_us(const world *w) { return w->now_us + w->clock_skew_us; }

static gr_schedule every(int64_t seconds) {
    return (gr_schedule){.text = GR_STR("every"), .every = {seconds, 0}, .tz = gr_tz_utc()};
}

static gr_schedule cron(const char *line) {
    gr_schedule s = {.text = gr_str_from(line), .is_cron = true, .tz = gr_tz_utc()};
    assert_true(gr_cron_parse(s.text, &s.cron));
    return s;
}

static thing *thing_of_part(world *w, const gr_refresh_part *part, size_t *ret_at) {
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->things[i].policy.n_parts; k++)
            if (&w->things[i].parts[k] == part) {
                *ret_at = k;
                return &w->things[i];
            }
    fail_msg("a part of nothing");
    return NULL;
}

static gr_str source_text(const thing *t, size_t k, gr_arena *arena) {
    return gr_arena_printf(arena, "%lld", (long long)t->source[k]);
}

static gr_status ask(void *arg, const gr_refresh_part *part, gr_arena *arena, gr_str *ret, gr_error *err) {
    world *w = arg;
    size_t k = 0;
    thing *t = thing_of_part(w, part, &k);
    t->n_asked++;
    if (w->asks_fail) return gr_error_set(err, GR_ERR_PREAGG_KEY, "the key fails");
    if (!(t->may_ask_early >> k & 1) && t->asked_us[k] != INT64_MIN)
        assert_true(w->now_us - t->asked_us[k] >= part->schedule.every.seconds * SECOND);
    t->may_ask_early &= ~(1u << k);
    t->asked_us[k] = w->now_us;
    t->asked[k] = t->source[k];
    *ret = source_text(t, k, arena);
    return GR_OK;
}

static gr_status look(void *arg, int64_t id, const gr_refresh_policy *policy, const gr_str *sql_values,
                      gr_scheduler_due *ret, gr_error *err) {
    world *w = arg;
    thing *t = &w->things[id - 1];
    (void)err;
    assert_ptr_equal(policy, &t->policy);
    gr_arena *arena = gr_arena_new();
    gr_str value = gr_refresh_value(policy, sql_values, clock_us(w), INT64_MAX, arena);
    *ret = (gr_scheduler_due){.is_built = t->is_built, .look_again_us = INT64_MAX};
    if (t->is_built) ret->n_stale = !gr_str_eq_z(value, t->built_value);
    gr_arena_free(arena);
    return GR_OK;
}

/* As a build does: it takes the key's value of when it begins. */
static void build(void *arg, int64_t id, bool checks) {
    world *w = arg;
    thing *t = &w->things[id - 1];
    assert_false(t->is_building);
    assert_true(t->is_watched);
    gr_arena *arena = gr_arena_new();
    gr_str values[MOST_PARTS];
    for (size_t k = 0; k < t->policy.n_parts; k++) {
        values[k] = source_text(t, k, arena);
        t->started[k] = t->source[k];
    }
    gr_str value = gr_refresh_value(&t->policy, values, clock_us(w), INT64_MAX, arena);
    assert_true(value.n < MOST_TEXT);
    snprintf(t->started_value, sizeof t->started_value, GR_FMT, GR_ARG(value));
    gr_arena_free(arena);
    t->is_building = true;
    t->checks = checks || !t->is_built;
    t->began_us = w->now_us;
    t->started_rows = t->rows;
    t->ends_us = w->now_us + between(w, 0, 600) * SECOND;
    t->will_fail = w->all_builds_fail || chance(w) % 20 == 0;
    t->allowed_us += t->ends_us - t->began_us;
}

static void world_open(world *w, size_t n) {
    *w = (world){.now_us = 1700000000 * SECOND, .random = 88172645463325252u, .n = n};
    w->scheduler = gr_scheduler_new((gr_scheduler_ops){w, ask, look, build}, 7);
    for (size_t i = 0; i < n; i++) {
        thing *t = &w->things[i];
        t->policy.parts = t->parts;
        t->policy.tz = gr_tz_utc();
        t->rows_changed_us = t->changed_us[0] = t->changed_us[1] = NEVER;
        t->asked_us[0] = t->asked_us[1] = t->checked_us = INT64_MIN;
        t->ends_us = NEVER;
    }
}

static void add_part(thing *t, gr_refresh_kind kind, gr_schedule schedule) {
    static const gr_expr sql;
    t->parts[t->policy.n_parts++] =
        (gr_refresh_part){.kind = kind, .schedule = schedule, .sql = kind == GR_REFRESH_SQL ? &sql : NULL};
}

static void watch(world *w, bool all) {
    gr_scheduler_item items[N_THINGS];
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        thing *t = &w->things[i];
        bool was = t->is_watched;
        t->is_watched = all || chance(w) % 8;
        if (t->is_watched)
            items[n++] = (gr_scheduler_item){.id = (int64_t)i + 1, .policy = &t->policy, .builds_first = true};
        if (was || !t->is_watched) continue;
        t->may_ask_early = ~0u; /* nothing is known of it, and its promise begins now */
        for (size_t k = 0; k < MOST_PARTS; k++)
            if (t->changed_us[k] != NEVER) t->changed_us[k] = w->now_us;
        if (t->rows_changed_us != NEVER) t->rows_changed_us = w->now_us;
    }
    gr_scheduler_set(w->scheduler, items, n, clock_us(w));
}

/* ---- what is promised ----------------------------------------------------------------------------------------------
 */

/* It serves what it was to serve, in time. What changed since the build began is due from then on. */
static void settle_change(world *w, thing *t, int64_t *changed_us, bool is_in, int64_t promise_us, const char *what) {
    if (*changed_us == NEVER || *changed_us > t->began_us) return;
    int64_t late_us = w->now_us - *changed_us - promise_us - t->allowed_us;
    if (late_us > 0)
        fail_msg("%s of thing %zu: %lld s later than promised", what, (size_t)(t - w->things),
                 (long long)(late_us / SECOND));
    if (w->now_us - *changed_us > w->most_late_us) w->most_late_us = w->now_us - *changed_us;
    *changed_us = is_in ? NEVER : t->began_us;
}

static void end_build(world *w, thing *t) {
    static const int64_t most_us = 600 * SECOND;
    int64_t delay_us = SECOND << (t->n_failures < 10 ? t->n_failures : 10);
    t->is_building = false;
    t->ends_us = NEVER;
    if (t->will_fail) {
        t->allowed_us += (delay_us < most_us ? delay_us : most_us) * 5 / 4;
        t->n_failures++;
    } else {
        t->n_failures = 0;
        t->is_built = true;
        t->n_built++;
        snprintf(t->built_value, sizeof t->built_value, "%s", t->started_value);
        for (size_t k = 0; k < t->policy.n_parts; k++) {
            t->built[k] = t->started[k];
            settle_change(w, t, &t->changed_us[k], t->built[k] == t->source[k],
                          t->parts[k].schedule.every.seconds * SECOND, "a change");
        }
        if (t->checks) {
            t->checked_us = t->began_us;
            t->built_rows = t->started_rows;
        }
        if (t->checks)
            settle_change(w, t, &t->rows_changed_us, t->built_rows == t->rows, t->policy.check.every.seconds * SECOND,
                          "late rows");
        bool is_any_due = t->rows_changed_us != NEVER;
        for (size_t k = 0; k < MOST_PARTS; k++) is_any_due |= t->changed_us[k] != NEVER;
        if (!is_any_due) t->allowed_us = 0;
    }
    gr_scheduler_built(w->scheduler, t - w->things + 1, t->will_fail ? "it fails" : NULL, clock_us(w));
}

/* Of what rests: its key was asked when it was to be, and time keys are as the clock says. */
static void check_rest(world *w, gr_arena *arena) {
    for (size_t i = 0; i < w->n; i++) {
        thing *t = &w->things[i];
        bool has_sql = false;
        if (!t->is_watched || t->is_building || t->n_failures || w->now_us < t->no_promise_until_us) continue;
        assert_true(t->is_built);
        for (size_t k = 0; k < t->policy.n_parts; k++) {
            if (t->parts[k].kind != GR_REFRESH_SQL) continue;
            has_sql = true;
            assert_true(w->now_us - t->asked_us[k] <= t->parts[k].schedule.every.seconds * SECOND);
            assert_true(t->built[k] >= t->asked[k]);
        }
        if (t->policy.fingerprint) assert_true(w->now_us - t->checked_us <= t->policy.check.every.seconds * SECOND);
        if (has_sql) continue;
        gr_str now = gr_refresh_value(&t->policy, NULL, clock_us(w), INT64_MAX, arena);
        if (!gr_str_eq_z(now, t->built_value))
            fail_msg("thing %zu serves %s, and its key says " GR_FMT, i, t->built_value, GR_ARG(now));
    }
}

/* What is due waits for no more turns than there are others. */
static void note_turn(world *w) {
    for (size_t i = 0; i < w->n; i++) {
        gr_scheduler_view view;
        thing *t = &w->things[i];
        bool is_known = gr_scheduler_look(w->scheduler, (int64_t)i + 1, &view);
        bool is_due = is_known && !view.is_building && view.next_us <= clock_us(w);
        t->n_skipped = is_due ? t->n_skipped + 1 : 0;
        assert_true(t->n_skipped <= (int64_t)w->n);
    }
}

static void run_turns(world *w, bool counts) {
    while (gr_scheduler_step(w->scheduler, clock_us(w))) {
        w->n_steps++;
        if (counts) note_turn(w);
    }
}

/* ---- ten years -----------------------------------------------------------------------------------------------------
 */

static void make_things(world *w) {
    static const int64_t seconds[] = {43200, 86400, 2 * 86400, 259200, 604800, 30 * 86400};
    static const char *const lines[] = {"0 3 * * *", "30 0 * * 1", "0 0 1 * *", "15 12 */3 * *"};
    for (size_t i = 0; i < w->n; i++) {
        thing *t = &w->things[i];
        gr_schedule s = every(seconds[chance(w) % 6]), other = every(seconds[chance(w) % 6]);
        switch (i % 5) {
        case 0: add_part(t, GR_REFRESH_TIME, s); break;
        case 1: add_part(t, GR_REFRESH_TIME, cron(lines[chance(w) % 4])); break;
        case 2: add_part(t, GR_REFRESH_SQL, s); break;
        case 3:
            add_part(t, GR_REFRESH_SQL, s);
            add_part(t, GR_REFRESH_SQL, other);
            break;
        default:
            add_part(t, GR_REFRESH_NEVER, (gr_schedule){0});
            t->policy.fingerprint = GR_FINGERPRINT_ROWS;
            t->policy.check = s;
        }
    }
}

static void change_something(world *w) {
    thing *t = &w->things[chance(w) % w->n];
    size_t k = chance(w) % MOST_PARTS;
    if (t->policy.fingerprint) {
        t->rows++;
        if (t->rows_changed_us == NEVER) t->rows_changed_us = w->now_us;
    } else if (k < t->policy.n_parts && t->parts[k].kind == GR_REFRESH_SQL) {
        t->source[k]++;
        if (t->changed_us[k] == NEVER) t->changed_us[k] = w->now_us;
    } else {
        return;
    }
    if (t->is_building) t->allowed_us += t->ends_us - w->now_us;
}

static void jump(world *w, int64_t by_us) {
    run_turns(w, false); /* the thread looks at the clock five times a second: it knows when that was set */
    w->clock_skew_us += by_us;
    for (size_t i = 0; i < w->n; i++) {
        thing *t = &w->things[i];
        const gr_refresh_part *part = &t->parts[0];
        int64_t rhythm_us = part->schedule.is_cron ? 32 * DAY : part->schedule.every.seconds * SECOND;
        if (by_us > 0) t->may_ask_early = ~0u;
        if (by_us < 0 && part->kind == GR_REFRESH_TIME) t->no_promise_until_us = w->now_us + rhythm_us + 1200 * SECOND;
    }
}

static int64_t next_event(const world *w, int64_t next_us) {
    int64_t due_us = gr_scheduler_next_us(w->scheduler);
    if (due_us != INT64_MAX && due_us - w->clock_skew_us < next_us) next_us = due_us - w->clock_skew_us;
    for (size_t i = 0; i < w->n; i++)
        if (w->things[i].ends_us < next_us) next_us = w->things[i].ends_us;
    return next_us > w->now_us ? next_us : w->now_us;
}

static void something_happens(world *w) {
    static const int64_t jumps[] = {-DAY, 30 * DAY, -3600 * SECOND, 60 * SECOND};
    uint64_t what = chance(w) % 200;
    if (what == 0) jump(w, jumps[chance(w) % 4]);
    if (what == 1 || what == 2) watch(w, what == 1);
    if (what > 2) change_something(w);
}

static void test_ten_years(void **state) {
    (void)state;
    world *w = gr_mem_alloc(sizeof *w);
    gr_arena *arena = gr_arena_new();
    world_open(w, N_THINGS);
    make_things(w);
    watch(w, true);
    int64_t began_us = w->now_us, changes_us = w->now_us, n_events = 0, n_built = 0;
    while (w->now_us < began_us + 3652 * DAY) {
        if (w->now_us >= changes_us) {
            something_happens(w);
            changes_us = w->now_us + between(w, 60, 8 * 3600) * SECOND;
        }
        for (size_t i = 0; i < w->n; i++)
            if (w->things[i].ends_us <= w->now_us) end_build(w, &w->things[i]);
        run_turns(w, n_events % 16 == 0);
        if (n_events++ % 32 == 0) check_rest(w, arena);
        if (n_events % 4096 == 0) {
            gr_arena_free(arena);
            arena = gr_arena_new();
        }
        w->now_us = next_event(w, changes_us);
    }
    for (size_t i = 0; i < w->n; i++) {
        thing *t = &w->things[i];
        n_built += t->n_built;
        for (size_t k = 0; k < t->policy.n_parts; k++) /* none was forgotten */
            assert_true(!t->is_watched || t->changed_us[k] > w->now_us - 32 * DAY);
        assert_true(t->n_built > 50);
    }
    assert_true(n_built > 20000 && w->n_steps > 50000);
    assert_true(w->most_late_us > 10 * DAY); /* the promise was put to the test */
    gr_scheduler_free(w->scheduler);
    gr_arena_free(arena);
    free(w);
}

/* ---- one thing at a time -------------------------------------------------------------------------------------------
 */

static world small;

static int open_small(void **state) {
    (void)state;
    world_open(&small, N_THINGS);
    return 0;
}

static int close_small(void **state) {
    (void)state;
    gr_scheduler_free(small.scheduler);
    return 0;
}

static gr_scheduler_view view_of(int64_t id) {
    gr_scheduler_view view;
    assert_true(gr_scheduler_look(small.scheduler, id, &view));
    return view;
}

static void set_one(const gr_refresh_policy *policy, int64_t id, bool builds_first) {
    gr_scheduler_item one = {.id = id, .policy = policy, .builds_first = builds_first};
    gr_scheduler_set(small.scheduler, &one, 1, clock_us(&small));
}

static void finish(thing *t) {
    t->will_fail = small.all_builds_fail;
    small.now_us = t->ends_us;
    end_build(&small, t);
}

static void test_backoff(void **state) {
    (void)state;
    thing *t = &small.things[0];
    static const int64_t want[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600};
    add_part(t, GR_REFRESH_TIME, every(86400 * 365));
    t->is_watched = true;
    set_one(&t->policy, 1, true);
    small.all_builds_fail = true;
    bool is_spread = false;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        run_turns(&small, false);
        assert_true(t->is_building);
        finish(t);
        gr_scheduler_view view = view_of(1);
        int64_t delay_us = view.next_us - clock_us(&small), full_us = want[i] * SECOND;
        assert_in_range(delay_us, full_us * 3 / 4, full_us * 5 / 4);
        is_spread |= delay_us != full_us;
        assert_int_equal(view.n_failures, i + 1);
        assert_true(gr_str_eq_z(view.error, "it fails"));
        small.now_us += delay_us - 1;
        assert_false(gr_scheduler_step(small.scheduler, clock_us(&small)));
        small.now_us++;
    }
    assert_true(is_spread);
    small.all_builds_fail = false;
    run_turns(&small, false);
    finish(t);
    assert_int_equal(view_of(1).n_failures, 0);
    assert_int_equal(view_of(1).error.n, 0);
    small.all_builds_fail = true; /* and it begins at one second again */
    gr_scheduler_hurry(small.scheduler, 1, clock_us(&small));
    t->built_value[0] = 0;
    run_turns(&small, false);
    finish(t);
    assert_in_range(view_of(1).next_us - clock_us(&small), SECOND * 3 / 4, SECOND * 5 / 4);
}

/* A key that fails is asked again soon, and when it is mended the item goes on as before. */
static void test_key_fails(void **state) {
    (void)state;
    thing *t = &small.things[0];
    add_part(t, GR_REFRESH_SQL, every(3600));
    t->is_watched = true;
    set_one(&t->policy, 1, true);
    run_turns(&small, false);
    finish(t);
    small.now_us += 3600 * SECOND;
    small.asks_fail = true;
    run_turns(&small, false);
    assert_true(gr_str_eq_z(view_of(1).error, "the key fails"));
    assert_false(t->is_building);
    small.now_us = view_of(1).next_us;
    run_turns(&small, false);
    assert_int_equal(view_of(1).n_failures, 2);
    small.asks_fail = false;
    t->source[0]++;
    small.now_us = view_of(1).next_us;
    run_turns(&small, false);
    assert_true(t->is_building);
    finish(t);
    assert_int_equal(view_of(1).n_failures, 0);
}

/* More work than time: everybody gets every n-th turn. */
static void test_fair_when_late(void **state) {
    (void)state;
    enum { N = 20, TURNS = 400 };
    gr_scheduler_item items[N];
    for (size_t i = 0; i < N; i++) {
        thing *t = &small.things[i];
        add_part(t, GR_REFRESH_SQL, every(1));
        t->is_watched = t->is_built = true;
        snprintf(t->built_value, sizeof t->built_value, "0");
        items[i] = (gr_scheduler_item){.id = (int64_t)i + 1, .policy = &t->policy, .builds_first = true};
    }
    gr_scheduler_set(small.scheduler, items, N, clock_us(&small));
    for (int i = 0; i < TURNS; i++) {
        assert_true(gr_scheduler_step(small.scheduler, clock_us(&small)));
        note_turn(&small);
        small.now_us += SECOND;
    }
    for (size_t i = 0; i < N; i++) assert_int_equal(small.things[i].n_asked, TURNS / N);
}

/* A build that fails has compared nothing: late rows are looked for again with its next try, not at the next check. */
static void test_failed_check(void **state) {
    (void)state;
    thing *t = &small.things[0];
    add_part(t, GR_REFRESH_NEVER, (gr_schedule){0});
    t->policy.fingerprint = GR_FINGERPRINT_ROWS;
    t->policy.check = every(86400);
    t->is_watched = true;
    set_one(&t->policy, 1, true);
    run_turns(&small, false);
    finish(t);
    small.now_us = view_of(1).next_us;
    small.all_builds_fail = true;
    run_turns(&small, false);
    assert_true(t->is_building && t->checks);
    finish(t);
    small.now_us = view_of(1).next_us;
    run_turns(&small, false);
    assert_true(t->is_building && t->checks);
    assert_true(small.now_us - t->checked_us < DAY + 1300 * SECOND);
}

static void test_clock_set_back(void **state) {
    (void)state;
    thing *t = &small.things[0], *u = &small.things[1];
    add_part(t, GR_REFRESH_SQL, every(60));
    add_part(u, GR_REFRESH_TIME, every(3600));
    t->is_watched = u->is_watched = true;
    gr_scheduler_item items[] = {{1, &t->policy, true, false}, {2, &u->policy, true, false}};
    gr_scheduler_set(small.scheduler, items, 2, clock_us(&small));
    run_turns(&small, false);
    finish(t);
    if (u->ends_us > small.now_us) small.now_us = u->ends_us;
    finish(u);
    run_turns(&small, false);
    small.clock_skew_us -= DAY;
    gr_scheduler_set(small.scheduler, items, 2, clock_us(&small)); /* it is told here first */
    t->source[0]++;
    int64_t changed_us = small.now_us;
    while (!t->is_building) {
        small.now_us = next_event(&small, NEVER);
        run_turns(&small, false);
        assert_true(small.now_us <= changed_us + 60 * SECOND);
    }
    assert_true(view_of(2).next_us - clock_us(&small) <= 3600 * SECOND);
}

/* Nobody asks for it, and it is looked at now and then; once somebody has it built, its key counts at once. */
static void test_built_by_others(void **state) {
    (void)state;
    thing *t = &small.things[0];
    add_part(t, GR_REFRESH_TIME, every(1));
    t->is_watched = true;
    gr_scheduler_item one = {.id = 1, .policy = &t->policy};
    gr_scheduler_set(small.scheduler, &one, 1, clock_us(&small));
    run_turns(&small, false);
    small.now_us += 5 * SECOND;
    t->is_built = one.is_built = true;
    gr_scheduler_set(small.scheduler, &one, 1, clock_us(&small));
    run_turns(&small, false);
    assert_true(t->is_building);
}

/* What is known stays known; another key, another schedule, or that it is to be built unasked is looked at at once. */
static void test_set(void **state) {
    (void)state;
    thing *t = &small.things[0];
    add_part(t, GR_REFRESH_SQL, every(3600));
    gr_refresh_policy same = t->policy;
    t->is_watched = true;
    set_one(&t->policy, 1, false);
    run_turns(&small, false);
    assert_false(t->is_building); /* nobody has asked for it */
    set_one(&t->policy, 1, true);
    run_turns(&small, false);
    assert_true(t->is_building);
    assert_int_equal(t->n_asked, 1);
    set_one(&t->policy, 1, true);
    gr_scheduler_set(small.scheduler, NULL, 0, clock_us(&small)); /* it goes while it is built, and comes back */
    gr_scheduler_view gone;
    assert_false(gr_scheduler_look(small.scheduler, 1, &gone));
    set_one(&t->policy, 1, true);
    run_turns(&small, false); /* asserts that no second build begins */
    assert_true(view_of(1).is_building);
    finish(t);
    t->may_ask_early = ~0u;
    run_turns(&small, false);
    assert_int_equal(t->n_asked, 2);
    set_one(&same, 1, true); /* another object that says the same */
    run_turns(&small, false);
    assert_int_equal(t->n_asked, 2);
    thing *u = &small.things[1]; /* a schedule that is changed */
    add_part(u, GR_REFRESH_TIME, cron("0 0 1 1 *"));
    u->is_watched = true;
    set_one(&u->policy, 2, true);
    run_turns(&small, false);
    finish(u);
    assert_true(view_of(2).next_us - clock_us(&small) > DAY);
    gr_refresh_part each_second = {.kind = GR_REFRESH_TIME, .schedule = cron("* * * * * *")};
    u->parts[0] = each_second; /* in place would go unseen: the old one is what the scheduler holds */
    gr_refresh_part before = {.kind = GR_REFRESH_TIME, .schedule = cron("0 0 1 1 *")};
    gr_refresh_policy old = {.parts = &before, .n_parts = 1, .tz = gr_tz_utc()};
    set_one(&old, 2, true);
    set_one(&u->policy, 2, true);
    run_turns(&small, false);
    assert_true(u->is_building);
    assert_true(view_of(2).next_us - clock_us(&small) <= SECOND);
}

/* It goes for good while it is built: its end is nobody's. */
static void test_gone(void **state) {
    (void)state;
    thing *t = &small.things[0], *u = &small.things[1];
    add_part(t, GR_REFRESH_TIME, every(3600));
    add_part(u, GR_REFRESH_TIME, every(3600));
    t->is_watched = u->is_watched = true;
    gr_scheduler_item items[] = {{1, &t->policy, true, false}, {2, &u->policy, true, false}};
    gr_scheduler_set(small.scheduler, items, 2, clock_us(&small));
    run_turns(&small, false);
    set_one(&u->policy, 2, true);
    finish(t);
    gr_scheduler_view gone;
    assert_false(gr_scheduler_look(small.scheduler, 1, &gone));
    assert_true(view_of(2).is_building);
    gr_scheduler_built(small.scheduler, 77, NULL, clock_us(&small));
}

int main(void) {
#define SMALL(test) cmocka_unit_test_setup_teardown(test, open_small, close_small)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_years),
        SMALL(test_backoff),
        SMALL(test_key_fails),
        SMALL(test_fair_when_late),
        SMALL(test_failed_check),
        SMALL(test_clock_set_back),
        SMALL(test_set),
        SMALL(test_built_by_others),
        SMALL(test_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
