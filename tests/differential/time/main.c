/* The differential harness with time: random changes of a source, refreshes and queries on a virtual clock; each answer
 * is that of the source as of the builds that served it.
 *
 *      seed ---> case: a world, a script of steps ---> a fault, or none ---> the fewest steps that still have it
 *
 * Exit status 1 on any fault, and when so few queries were served by a rollup that they mean little. */
#include "differential/time/life.h"

#include <stdio.h>

enum { LEAST_SERVED_PERCENT = 30, MOST_SKIPPED_PERCENT = 10, LEAST_CASES_TO_JUDGE = 50, MOST_SHRUNK = 3 };

typedef struct harness {
    uint64_t seed, n_cases, n_done, n_faults;
    int64_t only;
    bool is_verbose, is_quick, without[TIME_MAX_STEPS];
    time_counts counts;
} harness;

static bool fails_without(const harness *h, uint64_t number, const bool *without) {
    time_counts ignored = {0};
    time_life life = {.arena = gr_arena_new(), .counts = &ignored, .is_quiet = true};
    size_t n;
    time_live(&life, h->seed, number, without, &n);
    bool fails = life.fault.n > 0;
    gr_buf_done(&life.log);
    gr_arena_free(life.arena);
    return fails;
}

static void shrink(const harness *h, uint64_t number, size_t n_steps, bool *without) {
    bool has_changed = true;
    while (has_changed) {
        has_changed = false;
        for (size_t i = n_steps; i-- > 0;) {
            if (without[i]) continue;
            without[i] = true;
            if (fails_without(h, number, without))
                has_changed = true;
            else
                without[i] = false;
        }
    }
}

static void show(const harness *h, uint64_t number, const bool *without, size_t n_steps) {
    time_counts ignored = {0};
    time_life life = {.arena = gr_arena_new(), .counts = &ignored};
    size_t n;
    printf("=== tools/time --seed %llu --only %llu", (unsigned long long)h->seed, (unsigned long long)number);
    for (size_t i = 0; i < n_steps; i++)
        if (without[i]) printf(" --without %zu", i);
    printf("\n");
    time_live(&life, h->seed, number, without, &n);
    printf("--- model\n" GR_FMT "--- script\n" GR_FMT "--- fault: " GR_FMT "\n", GR_ARG(time_yaml(&life, life.arena)),
           GR_ARG(gr_buf_str(&life.log)), GR_ARG(life.fault));
    gr_buf_done(&life.log);
    gr_arena_free(life.arena);
    fflush(stdout);
}

static void run_case(harness *h, uint64_t number) {
    time_life life = {.arena = gr_arena_new(), .counts = &h->counts, .is_quiet = true};
    size_t n = 0;
    time_live(&life, h->seed, number, h->without, &n);
    bool has_fault = life.fault.n > 0, is_shown = has_fault && !h->is_quick && h->n_faults < MOST_SHRUNK;
    if (h->is_verbose) printf("case %llu\n" GR_FMT, (unsigned long long)number, GR_ARG(gr_buf_str(&life.log)));
    if (has_fault)
        printf("seed %llu, case %llu: " GR_FMT "\n", (unsigned long long)h->seed, (unsigned long long)number,
               GR_ARG(life.fault));
    h->n_done++;
    h->n_faults += has_fault;
    gr_buf_done(&life.log);
    gr_arena_free(life.arena);
    fflush(stdout);
    if (!is_shown) return;
    bool without[TIME_MAX_STEPS];
    memcpy(without, h->without, sizeof without);
    shrink(h, number, n, without);
    show(h, number, without, n);
}

static void print_summary(const harness *h, int64_t took_us) {
    const time_counts *c = &h->counts;
    printf("%llu queries: %llu by a rollup, %llu of them with the source beside it, %llu not compared, %llu unsure\n"
           "%llu builds, %llu failed; %llu partitions kept, %llu made again; %llu restarts, %llu recuts, %llu put "
           "together; %.1f ms a case\n",
           (unsigned long long)c->queries, (unsigned long long)c->served, (unsigned long long)c->mixed,
           (unsigned long long)c->skipped, (unsigned long long)c->unsure, (unsigned long long)c->builds,
           (unsigned long long)c->failed_builds, (unsigned long long)c->kept, (unsigned long long)c->replaced,
           (unsigned long long)c->reopened, (unsigned long long)c->by_law, (unsigned long long)c->compactions,
           h->n_done ? (double)took_us / 1000 / (double)h->n_done : 0);
}

static bool is_meaningful(const harness *h) {
    const time_counts *c = &h->counts;
    if (h->n_done < LEAST_CASES_TO_JUDGE) return true;
    bool is_good = c->served * 100 >= c->queries * LEAST_SERVED_PERCENT &&
                   c->skipped * 100 <= c->queries * MOST_SKIPPED_PERCENT && c->kept && c->replaced && c->mixed;
    if (!is_good) printf("too little is compared: the generator has degenerated\n");
    return is_good;
}

static int usage(void) {
    fprintf(stderr, "usage: granary_time --seed S --cases N [--only CASE [--without STEP]…] [--verbose] [--quick]\n");
    return 2;
}

static bool read_arguments(int argc, char **argv, harness *h) {
    for (int i = 1; i < argc; i++) {
        int64_t value = 0;
        bool is_verbose = !strcmp(argv[i], "--verbose"), is_quick = !strcmp(argv[i], "--quick");
        h->is_verbose |= is_verbose;
        h->is_quick |= is_quick;
        if (is_verbose || is_quick) continue;
        if (i + 1 >= argc || !gr_str_to_i64(gr_str_from(argv[i + 1]), &value) || value < 0) return false;
        if (!strcmp(argv[i], "--seed"))
            h->seed = (uint64_t)value;
        else if (!strcmp(argv[i], "--cases"))
            h->n_cases = (uint64_t)value;
        else if (!strcmp(argv[i], "--only"))
            h->only = value;
        else if (!strcmp(argv[i], "--without") && value < TIME_MAX_STEPS)
            h->without[value] = true;
        else
            return false;
        i++;
    }
    return true;
}

int main(int argc, char **argv) {
    harness h = {.seed = 1, .n_cases = 150, .only = -1};
    if (!read_arguments(argc, argv, &h)) return usage();
    int64_t start = gr_clock_mono_us();
    uint64_t first = h.only >= 0 ? (uint64_t)h.only : 0, end = h.only >= 0 ? first + 1 : h.n_cases;
    for (uint64_t number = first; number < end; number++) run_case(&h, number);
    print_summary(&h, gr_clock_mono_us() - start);
    bool is_good = is_meaningful(&h) && !h.n_faults;
    printf("%llu cases, %llu faults\n", (unsigned long long)h.n_done, (unsigned long long)h.n_faults);
    return is_good ? 0 : 1;
}
