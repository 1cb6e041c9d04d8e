/* The differential harness: random tables, models and queries; rollups on = rollups off = the reference evaluator.
 *
 *   seed ---> group: one world (tables + model) ---> case: one query, asked three ways
 *
 * Groups of one batch share an open instance of the product. Exit status 1 on any difference, and when so few cases
 * were served by a rollup that the comparison means little. */
#include "differential/elsewhere.h"
#include "differential/generate.h"
#include "differential/shrink.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CASES_PER_GROUP = 8,
    GROUPS_PER_BATCH = 12,
    LEAST_SERVED_PERCENT = 15,
    MOST_UNSURE_PERCENT = 5,
    LEAST_CASES_TO_JUDGE = 100,
    MOST_REPORTS = 3,
    SKIPPED = 77
};

typedef struct harness {
    uint64_t seed, n_cases;
    int64_t only;              /* a case, or -1 */
    const char *engine;        /* of the source, and where rollups are */
    bool is_verbose, is_quick; /* quick: differences are not made small */
    uint64_t n_done, n_served, n_tiled, n_lambda, n_live, n_facts, n_windows, n_fan_out, n_sub_queries, n_laws,
        n_reversed, n_unmergeable, n_empty, n_different, n_by_verdict[DIFF_VERDICT__COUNT], n_builds,
        n_by_rule[GR_RULE__COUNT];
    int64_t on_us, off_us;
} harness;

/* The last query of a group is asked a year later: what was built before must not serve it when it hangs on the year.
 */
static int64_t now_of(const diff_world *world, uint64_t index) {
    return world->now_us + (index == CASES_PER_GROUP - 1 ? INT64_C(400) * 86400 * 1000000 : 0);
}

static void reverse_rollups(diff_world *world) {
    for (size_t i = 0; i < world->n_cubes; i++)
        for (size_t k = 0, n = world->cubes[i].n_rollups; k < n / 2; k++) {
            diff_rollup *a = &world->cubes[i].rollups[k], *b = &world->cubes[i].rollups[n - 1 - k], other = *a;
            *a = *b;
            *b = other;
        }
}

static void report(harness *h, uint64_t number, const diff_case *c, json_t *query, uint64_t group, bool is_reversed) {
    printf("\n=== seed %llu, case %llu%s\n", (unsigned long long)h->seed, (unsigned long long)number,
           is_reversed ? ", with the rollups in reverse order" : "");
    gr_arena *arena = gr_arena_new();
    diff_world *world = GR_NEW(arena, diff_world);
    diff_generate_world(h->seed, group, arena, world);
    if (is_reversed) reverse_rollups(world);
    int64_t now_us = now_of(world, number % CASES_PER_GROUP);
    bool is_many = h->n_different > MOST_REPORTS || h->is_quick;
    json_t *small = NULL;
    diff_case smaller;
    if (!is_many && diff_shrink(world, query, now_us, h->seed + number, arena, &small, &smaller)) {
        printf("as found: " GR_FMT "\nthe smallest that was found:\n", GR_ARG(c->detail));
        diff_print_case(world, small, now_us, &smaller, true, arena);
        json_decref(small);
    } else {
        if (!is_many)
            printf("alone, in a fresh store, it does not differ: it hangs on what was asked before in its group\n");
        diff_print_case(world, query, now_us, c, !is_many, arena);
    }
    gr_arena_free(arena);
    fflush(stdout);
}

static void count_case(harness *h, const diff_case *c) {
    h->n_done++;
    h->n_by_verdict[c->verdict]++;
    h->n_served += c->on.served_by.n > 0;
    h->n_tiled += c->on.is_tiled;
    h->n_lambda += c->on.is_lambda;
    h->n_live += c->on.is_live;
    h->n_facts += c->reference.n_sources > 1;
    h->n_windows += c->reference.has_window;
    h->n_fan_out += c->reference.has_fan_out;
    h->n_sub_queries += c->reference.has_sub_query;
    h->n_laws += c->has_law;
    h->n_unmergeable += c->on.has_unmergeable;
    h->n_empty += c->on.table && !c->on.table->n_rows;
    h->n_builds += c->on.n_builds;
    h->on_us += c->on.took_us;
    h->off_us += c->off.took_us;
    h->n_different += diff_is_difference(c->verdict);
    for (size_t i = 0; i < c->on.n_refusals; i++) h->n_by_rule[c->on.refusals[i].rule]++;
}

static void run_case(harness *h, diff_bench *bench, const diff_world *world, uint64_t group, uint64_t index) {
    uint64_t number = group * CASES_PER_GROUP + index;
    gr_arena *arena = gr_arena_new();
    json_t *query = diff_generate_query(world, h->seed, group, index, arena);
    diff_case c;
    diff_judge(bench, world, query, now_of(world, index), h->seed + number, arena, &c);
    bool is_wanted = h->only < 0 || (uint64_t)h->only == number; /* those before it only prepare the store */
    if (is_wanted) count_case(h, &c);
    if (is_wanted && diff_is_difference(c.verdict))
        report(h, number, &c, query, group, false);
    else if (is_wanted && h->is_verbose) {
        printf("\n=== case %llu\n", (unsigned long long)number);
        diff_print_case(world, query, now_of(world, index), &c, h->only >= 0, arena);
    }
    json_decref(query);
    gr_arena_free(arena);
}

static bool may_refuse_model(const gr_error *err) {
    return diff_may_not_be_said(err->status) || (diff_is_clickhouse && err->status == GR_ERR_PLAN_UNSUPPORTED);
}

/* Which of several rollups serves may change with their order, the numbers may not. */
static void run_reversed(harness *h, diff_bench *bench, diff_world *world, uint64_t group) {
    enum { N = 2 };
    static const uint64_t which[N] = {1, 4};
    json_t *queries[N];
    gr_arena *arena = gr_arena_new();
    gr_error err = {0};
    for (size_t i = 0; i < N; i++) queries[i] = diff_generate_query(world, h->seed, group, which[i], arena);
    reverse_rollups(world);
    bool is_used = !diff_bench_use(bench, world, &err), is_refused = !is_used && may_refuse_model(&err);
    if (is_refused) {
        for (size_t i = 0; i < N; i++) json_decref(queries[i]);
        gr_arena_free(arena);
        return;
    }
    if (!is_used)
        printf("seed %llu, group %llu: reversed: %s\n", (unsigned long long)h->seed, (unsigned long long)group,
               err.message);
    h->n_different += !is_used;
    for (size_t i = 0; i < N && is_used; i++) {
        uint64_t number = group * CASES_PER_GROUP + which[i];
        diff_case c;
        diff_judge(bench, world, queries[i], now_of(world, which[i]), h->seed + number, arena, &c);
        h->n_reversed++;
        if (!diff_is_difference(c.verdict)) continue;
        h->n_different++;
        report(h, number, &c, queries[i], group, true);
    }
    for (size_t i = 0; i < N; i++) json_decref(queries[i]);
    gr_arena_free(arena);
}

static void refuse_model(harness *h, const diff_world *world, uint64_t group, const gr_error *err, gr_arena *arena) {
    if (may_refuse_model(err)) {
        h->n_by_verdict[DIFF_ENGINE_REFUSES] += CASES_PER_GROUP;
        return;
    }
    h->n_different++;
    h->n_by_verdict[DIFF_MODEL_ERROR]++;
    printf("\n=== seed %llu, case %llu: the model is not accepted: %s\n", (unsigned long long)h->seed,
           (unsigned long long)(group * CASES_PER_GROUP), err->message);
    if (h->n_different <= MOST_REPORTS) printf(GR_FMT "\n", GR_ARG(diff_world_yaml(world, arena)));
}

static uint64_t end_of(const harness *h) { return h->only >= 0 ? (uint64_t)h->only + 1 : h->n_cases; }

static void run_batch(harness *h, uint64_t first, uint64_t n_groups) {
    gr_arena *arena = gr_arena_new();
    diff_world *worlds = GR_NEW_N(arena, diff_world, n_groups);
    for (uint64_t i = 0; i < n_groups; i++) diff_generate_world(h->seed, first + i, arena, &worlds[i]);
    diff_bench bench;
    gr_error err = {0};
    if (diff_bench_open(worlds, n_groups, (int)(1 + first / GROUPS_PER_BATCH % 2), &bench, &err)) {
        printf("the product cannot be opened: %s\n", err.message);
        exit(2);
    }
    for (uint64_t i = 0; i < n_groups; i++) {
        if (diff_bench_use(&bench, &worlds[i], &err)) {
            refuse_model(h, &worlds[i], first + i, &err, arena);
            continue;
        }
        for (uint64_t k = 0; k < CASES_PER_GROUP && (first + i) * CASES_PER_GROUP + k < end_of(h); k++)
            run_case(h, &bench, &worlds[i], first + i, k);
        if (h->only < 0 && (first + i) % 4 == 2) run_reversed(h, &bench, &worlds[i], first + i);
    }
    diff_bench_close(&bench);
    gr_arena_free(arena);
}

static void print_summary(const harness *h, int64_t took_us) {
    printf("\nseed %llu, %.1f ms per case (on %.1f, off %.1f), %llu builds\n", (unsigned long long)h->seed,
           (double)took_us / 1000 / (double)(h->n_done ? h->n_done : 1),
           (double)h->on_us / 1000 / (double)(h->n_done ? h->n_done : 1),
           (double)h->off_us / 1000 / (double)(h->n_done ? h->n_done : 1), (unsigned long long)h->n_builds);
    for (int i = 0; i < DIFF_VERDICT__COUNT; i++)
        if (h->n_by_verdict[i])
            printf("%8llu  %s\n", (unsigned long long)h->n_by_verdict[i], diff_verdict_text((diff_verdict)i));
    printf("%8llu  answered without rows\n", (unsigned long long)h->n_empty);
    printf("%8llu  by a rollup_lambda\n%8llu  … and the source beside it\n", (unsigned long long)h->n_lambda,
           (unsigned long long)h->n_live);
    printf("%8llu  of several tiles\n%8llu  of several facts or windows\n%8llu  through windows or stages\n"
           "%8llu  with rows that joins repeat\n%8llu  with sub_query dimensions\n%8llu  under a law\n%8llu  asked "
           "again with the rollups in reverse order\n",
           (unsigned long long)h->n_tiled, (unsigned long long)h->n_facts, (unsigned long long)h->n_windows,
           (unsigned long long)h->n_fan_out, (unsigned long long)h->n_sub_queries, (unsigned long long)h->n_laws,
           (unsigned long long)h->n_reversed);
    printf("%8llu  served at the exact grain of a measure that cannot be merged\nrefusals of rollups:\n",
           (unsigned long long)h->n_unmergeable);
    for (int i = 0; i < GR_RULE__COUNT; i++)
        if (h->n_by_rule[i])
            printf("%8llu  " GR_FMT "\n", (unsigned long long)h->n_by_rule[i], GR_ARG(gr_rule_id((gr_rule)i)));
}

/* A harness in which hardly anything is served, or hardly anything compared, tests nothing. */
static bool is_meaningful(const harness *h) {
    if (h->n_done < LEAST_CASES_TO_JUDGE) return true;
    if (h->n_served * 100 < h->n_done * LEAST_SERVED_PERCENT) {
        printf("fewer than %d %% of the cases were served by a rollup: the generator has degenerated\n",
               LEAST_SERVED_PERCENT);
        return false;
    }
    if (h->n_unmergeable * 100 < h->n_done) {
        printf("fewer than 1 %% of the cases were served at an exact grain: the generator has degenerated\n");
        return false;
    }
    if (h->n_by_verdict[DIFF_UNSURE] * 100 > h->n_done * MOST_UNSURE_PERCENT) {
        printf("more than %d %% of the cases cannot be compared: the generator has degenerated\n", MOST_UNSURE_PERCENT);
        return false;
    }
    return true;
}

static int usage(void) {
    fprintf(stderr,
            "usage: granary_differential --seed S --cases N [--only CASE] [--verbose] [--quick] [--engine NAME]\n");
    return 2;
}

static bool read_arguments(int argc, char **argv, harness *h) {
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        int64_t value = 0;
        if (has_value && !strcmp(argv[i], "--engine")) {
            h->engine = argv[++i];
            continue;
        }
        if (!strcmp(argv[i], "--verbose")) {
            h->is_verbose = true;
            continue;
        }
        if (!strcmp(argv[i], "--quick")) {
            h->is_quick = true;
            continue;
        }
        if (!has_value || !gr_str_to_i64(gr_str_from(argv[i + 1]), &value) || value < 0) return false;
        if (!strcmp(argv[i], "--seed"))
            h->seed = (uint64_t)value;
        else if (!strcmp(argv[i], "--cases"))
            h->n_cases = (uint64_t)value;
        else if (!strcmp(argv[i], "--only"))
            h->only = value;
        else
            return false;
        i++;
    }
    return true;
}

int main(int argc, char **argv) {
    harness h = {.seed = 1, .n_cases = 300, .only = -1, .engine = "duckdb"};
    bool is_missing = false;
    if (!read_arguments(argc, argv, &h)) return usage();
    if (!diff_elsewhere_start(h.engine, &is_missing)) return usage();
    if (is_missing) return printf("skipped: there is no server for %s on this machine\n", h.engine), SKIPPED;
    int64_t start = gr_clock_mono_us();
    uint64_t first = h.only >= 0 ? (uint64_t)h.only / CASES_PER_GROUP : 0;
    uint64_t last = (end_of(&h) + CASES_PER_GROUP - 1) / CASES_PER_GROUP;
    for (uint64_t group = first; group < last; group += GROUPS_PER_BATCH)
        run_batch(&h, group, last - group < GROUPS_PER_BATCH ? last - group : GROUPS_PER_BATCH);
    diff_elsewhere_stop();
    print_summary(&h, gr_clock_mono_us() - start);
    bool is_good = is_meaningful(&h) && !h.n_different;
    printf("%llu cases, %llu served by a rollup, %llu differences\n", (unsigned long long)h.n_done,
           (unsigned long long)h.n_served, (unsigned long long)h.n_different);
    return is_good ? 0 : 1;
}
