/* Fault points: in a build without them nothing happens, whatever the environment says; in a build with them
 * (GRANARY_FAULTS) the K-th pass of the named point acts, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fault.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef GRANARY_FAULTS
enum { IS_ON = 1 };
#else
enum { IS_ON = 0 };
#endif

/* A child passes a, b, a, b, a, b and ends with the number of its passes; or it ends on the way. */
static int passes_of(const char *spec) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int n = 0;
        if (spec) setenv("GRANARY_FAULT", spec, 1);
        for (int i = 0; i < 6; i++, n++) gr_fault_point(i % 2 ? "b" : "a");
        _exit(n);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status)) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return 128 + WSTOPSIG(status);
}

static void test_actions(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        int on; /* what a build with fault points does */
    } cases[] = {
        {NULL, 6},
        {"", 6},
        {"a=kill", 128 + SIGKILL},
        {"b:3=kill", 128 + SIGKILL},
        {"b:4=kill", 6},
        {"a=exit", 97},
        {"a=stop", 128 + SIGSTOP},
        {"c=exit", 6},
        {"ab=exit", 6},
        {"a:x=exit", 6},
        {"a=other", 6},
        {"a", 6},
        {"a=sleep-x", 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(passes_of(cases[i].spec), IS_ON ? cases[i].on : 6);
}

static void test_sleep(void **state) {
    (void)state;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(passes_of("a:2=sleep-300"), 6);
    clock_gettime(CLOCK_MONOTONIC, &to);
    int64_t ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    if (IS_ON) assert_true(ms >= 300);
    assert_true(ms < 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_actions), cmocka_unit_test(test_sleep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
