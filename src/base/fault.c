/* Fault points as GRANARY_FAULT says (fault.h). Without GRANARY_FAULTS this file is empty. */
#include "base/fault.h"

#ifdef GRANARY_FAULTS
#include "base/str.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SPEC = 256, EXIT_CODE = 97 };

static void act_kill(int64_t ms) {
    (void)ms;
    kill(getpid(), SIGKILL);
}

static void act_stop(int64_t ms) {
    (void)ms;
    kill(getpid(), SIGSTOP);
}

static void act_exit(int64_t ms) {
    (void)ms;
    _exit(EXIT_CODE);
}

static void act_sleep(int64_t ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

static const struct {
    const char *name;
    void (*act)(int64_t ms);
} actions[] = {{"kill", act_kill}, {"stop", act_stop}, {"exit", act_exit}, {"sleep-", act_sleep}};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char current[MAX_SPEC]; /* the value that `passes` counts for */
static int64_t passes;

/* True when this pass of `name` is the one that `spec` means; *ret_action is what stands behind the last '='. */
static bool is_meant(gr_str spec, const char *name, gr_str *ret_action) {
    size_t equals = gr_str_find(spec, '=', 0);
    if (equals == SIZE_MAX) return false;
    gr_str point = gr_str_sub(spec, 0, equals);
    int64_t at = 1;
    size_t colon = gr_str_find(point, ':', 0);
    if (colon != SIZE_MAX) {
        if (!gr_str_to_i64(gr_str_sub(point, colon + 1, point.n - colon - 1), &at)) return false;
        point = gr_str_sub(point, 0, colon);
    }
    if (!gr_str_eq_z(point, name)) return false;
    *ret_action = gr_str_sub(spec, equals + 1, spec.n - equals - 1);
    return ++passes == at;
}

void gr_fault_point(const char *name) {
    const char *spec = getenv("GRANARY_FAULT");
    if (!spec || !*spec || strlen(spec) >= MAX_SPEC) return;
    gr_str action = {0};
    pthread_mutex_lock(&lock);
    if (strcmp(spec, current) != 0) {
        snprintf(current, sizeof current, "%s", spec);
        passes = 0;
    }
    bool is_now = is_meant(gr_str_from(current), name, &action);
    pthread_mutex_unlock(&lock);
    if (!is_now) return;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        gr_str word = gr_str_from(actions[i].name);
        bool takes_ms = word.p[word.n - 1] == '-';
        int64_t ms = 0;
        if (takes_ms ? !gr_str_starts(action, word) : !gr_str_eq(action, word)) continue;
        if (takes_ms && !gr_str_to_i64(gr_str_sub(action, word.n, action.n - word.n), &ms)) continue;
        actions[i].act(ms);
        return;
    }
}
#endif
