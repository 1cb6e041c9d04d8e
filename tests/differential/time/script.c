/* The script of a case: random steps on a virtual clock, each with a random stream of its own, so that leaving one out
 * leaves the others what they are. */
#include "differential/time/life.h"

typedef struct step {
    const char *name;
    void (*run)(time_life *life, diff_random *r);
    unsigned weight;
} step;

/* ---- steps ----------------------------------------------------------------------------------------------------------
 */

static void tick(time_life *life, int64_t us) {
    life->now_us += us;
    life->world.now_us = life->now_us;
    diff_bench_set_now(life->now_us);
}

static void change(time_life *life, diff_random *r) {
    static const time_change changes[] = {TIME_INSERT_LAST, TIME_INSERT_LATE, TIME_INSERT_LATE,   TIME_UPDATE,
                                          TIME_UPDATE,      TIME_MOVE,        TIME_DELETE,        TIME_DELETE_STRETCH,
                                          TIME_INSERT_LAST, TIME_MOVE,        TIME_DELETE_STRETCH};
    time_change_table(life, r, diff_chance(r, 5) ? TIME_DELETE_ALL : DIFF_ONE_OF(r, changes));
}

static void advance(time_life *life, diff_random *r) {
    const int64_t units[] = {TIME_SECOND, 60 * TIME_SECOND, TIME_HOUR, TIME_DAY, life->unit_us, 30 * TIME_DAY};
    tick(life, diff_between(r, 1, 5) * DIFF_ONE_OF(r, units));
}

/* The clock of the machine is set back. */
static void set_back(time_life *life, diff_random *r) { tick(life, -diff_between(r, 1, 3) * TIME_HOUR); }

static void load_model(time_life *life) {
    gr_arena *scratch = gr_arena_new();
    gr_error err = {0};
    if (diff_bench_load(&life->bench, time_yaml(life, scratch), &err))
        time_fail(life, "the model is not accepted: %s", err.message);
    gr_arena_free(scratch);
}

static void reopen(time_life *life, diff_random *r) {
    gr_error err = {0};
    (void)r;
    life->counts->reopened++;
    if (diff_bench_reopen(&life->bench, &err)) {
        time_fail(life, "it does not open again: %s", err.message);
        return;
    }
    load_model(life);
    time_check_states(life);
}

static void redefine(time_life *life, diff_random *r) {
    diff_cube *c = &life->world.cubes[0];
    life->redefined_us = life->now_us;
    time_change_rollup(life, r, &c->rollups[diff_pick(r, c->n_rollups)]);
    for (size_t i = 0; i < c->n_rollups; i++)
        TIME_LOG(life, "  r%zu: partitions of a %s, key %s\n", i,
                 c->rollups[i].partition ? c->rollups[i].partition : "-",
                 c->rollups[i].refresh ? c->rollups[i].refresh : "-");
    load_model(life);
    time_check_states(life);
}

static void ask(time_life *life, diff_random *r) {
    size_t n = (size_t)diff_between(r, 2, 4);
    for (size_t i = 0; i < n && time_is_well(life); i++) time_ask(life, r);
}

/* The law of partitions: the same rollup cut otherwise and built anew answers as the source does. */
static void recut(time_life *life, diff_random *r) {
    redefine(life, r);
    if (time_is_well(life)) time_refresh_all(life, r);
    life->counts->by_law++;
    if (time_is_well(life)) ask(life, r);
}

static void look(time_life *life, diff_random *r) {
    change(life, r);
    if (time_is_well(life)) time_look(life, r);
    if (time_is_well(life)) ask(life, r);
}

static const step steps[] = {{"change", change, 26},
                             {"advance", advance, 12},
                             {"refresh", time_refresh, 24},
                             {"query", ask, 24},
                             {"fail", time_fail_refresh, 5},
                             {"reopen", reopen, 4},
                             {"redefine", redefine, 3},
                             {"recut", recut, 4},
                             {"set back", set_back, 1},
                             {"verify", time_verify, 3},
                             {"look", look, 10}};
enum { N_STEPS = sizeof steps / sizeof *steps };

static const step *random_step(diff_random *r) {
    unsigned sum = 0;
    for (size_t i = 0; i < N_STEPS; i++) sum += steps[i].weight;
    unsigned at = (unsigned)diff_pick(r, sum);
    for (size_t i = 0;; i++) {
        if (at < steps[i].weight) return &steps[i];
        at -= steps[i].weight;
    }
}

/* ---- a life ---------------------------------------------------------------------------------------------------------
 */

static bool begin(time_life *life) {
    gr_error err = {0};
    gr_str build = gr_arena_printf(life->arena, "  partitions_at_once: %zu\n%c", life->n_stretched, 0);
    diff_bench_set_now(life->now_us);
    diff_world source = life->world;
    if (diff_bench_open_with(&source, 1, 1, build.p, &life->bench, &err)) {
        time_fail(life, "it does not open: %s", err.message);
        return false;
    }
    life->bench.watch = (diff_watch){life, time_on_plan, time_before_build, time_after_build};
    load_model(life);
    return true;
}

static void run_steps(time_life *life, const bool *without, diff_random *r, size_t n) {
    for (size_t i = 0; i < n && time_is_well(life); i++) {
        const step *one = random_step(r);
        diff_random own = {diff_random_next(r)};
        if (without[i]) continue;
        tick(life, 1);
        TIME_LOG(life, "step %zu: %s, at %lld\n", i, one->name, (long long)life->now_us);
        one->run(life, &own);
    }
    diff_random own = {diff_random_next(r)};
    if (!time_is_well(life)) return;
    tick(life, 1);
    TIME_LOG(life, "at the end, at %lld\n", (long long)life->now_us);
    time_refresh_all(life, &own);
    if (time_is_well(life)) ask(life, &own);
}

void time_live(time_life *life, uint64_t seed, uint64_t number, const bool *without, size_t *ret_steps) {
    gr_buf_init(&life->log, 4 << 20);
    diff_random random = diff_random_of(seed, number, 78);
    time_life_make(life, seed, number);
    *ret_steps = (size_t)diff_between(&random, 5, 14);
    if (!begin(life)) return;
    if (time_is_well(life)) run_steps(life, without, &random, *ret_steps);
    diff_bench_close(&life->bench);
}
