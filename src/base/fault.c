/* Fault points as GRANARY_FAULT says (fault.h). Without GRANARY_FAULTS this file is empty. */
#include "base/fault.h"

#ifdef GRANARY_FAULTS
#include "base/str.h"

#include <fcntl.h>
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

static const char *const points[] = {
#define GR_FAULT(name, what) #name,
#define GR_FAULT_CALL(name, what) "catalog." #name ".before_commit", "catalog." #name ".after_commit",
#include "base/fault.def"
#undef GR_FAULT
#undef GR_FAULT_CALL
};

/* A point that is in no table is one that no test looks for. Migrations are counted, not listed. */
static void check_known(const char *name) {
    if (gr_str_starts(gr_str_from(name), GR_STR("catalog.migrate."))) return;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if (!strcmp(points[i], name)) return;
    fprintf(stderr, "the fault point %s is not in base/fault.def\n", name);
    abort();
}

static void note_pass(const char *name) {
    const char *file = getenv("GRANARY_FAULT_LOG");
    char line[128];
    if (!file || !*file) return;
    int n = snprintf(line, sizeof line, "%s\n", name), fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        fprintf(stderr, "the passes of fault points cannot be written: %m\n");
    if (fd >= 0) close(fd);
}

int64_t gr_fault_lease_us(int64_t usual_us) {
    const char *text = getenv("GRANARY_FAULT_LEASE_MS");
    int64_t ms = 0;
    return text && gr_str_to_i64(gr_str_from(text), &ms) ? ms * 1000 : usual_us;
}

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
    check_known(name);
    note_pass(name);
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
