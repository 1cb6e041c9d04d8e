/* W3C trace context: what is taken, what is ignored, what is passed on; and that log lines name the trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
#define GOOD "00-" TRACE "-" SPAN "-01"

static void test_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {GOOD, true},
        {"00-" TRACE "-" SPAN "-00", true},
        {"00-" TRACE "-" SPAN "-ff", true},
        {"", false},
        {"01-" TRACE "-" SPAN "-01", false},
        {"ff-" TRACE "-" SPAN "-01", false},
        {"00-00000000000000000000000000000000-" SPAN "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-4BF92f3577b34da6a3ce929d0e0e4736-" SPAN "-01", false},
        {"00-" TRACE "-" SPAN "-0G", false},
        {"00-" TRACE "-" SPAN "-1", false},
        {GOOD "-x", false},
        {"00_" TRACE "-" SPAN "-01", false},
        {"00-" TRACE "_" SPAN "-01", false},
        {"00-" TRACE "-" SPAN "_01", false},
        {" " GOOD, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_trace trace = {.flags = 77};
        bool is_good = gr_trace_read(gr_str_from(cases[i].text), &trace);
        if (is_good != cases[i].is_good) fail_msg("%s", cases[i].text);
        assert_true(is_good ? strcmp(trace.trace_id, TRACE) == 0 && strcmp(trace.span_id, SPAN) == 0
                            : trace.flags == 77 && !trace.trace_id[0]);
    }
}

static void test_begin(void **state) {
    (void)state;
    gr_trace a, b;
    char text[GR_TRACE_TEXT];
    gr_trace_begin(GR_STR(GOOD), GR_STR("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"), &a);
    assert_string_equal(a.trace_id, TRACE);
    assert_string_not_equal(a.span_id, SPAN);
    assert_string_equal(a.state, "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE");
    gr_trace_write(&a, text);
    assert_int_equal(strlen(text), GR_TRACE_TEXT - 1);
    assert_true(gr_trace_read(gr_str_from(text), &b));
    assert_string_equal(b.span_id, a.span_id);
    b = gr_trace_child(&a);
    assert_string_equal(b.trace_id, a.trace_id);
    assert_string_not_equal(b.span_id, a.span_id);
    gr_trace_begin(GR_STR("nonsense"), GR_STR("a=1"), &a);
    gr_trace_begin(GR_STR(""), (gr_str){0}, &b);
    assert_int_equal(strlen(a.trace_id), 32);
    assert_string_not_equal(a.trace_id, b.trace_id);
    assert_string_equal(a.state, "");
    gr_trace_write(&a, text);
    assert_true(gr_trace_read(gr_str_from(text), &b));
    gr_trace_begin(GR_STR("00-" TRACE "-" SPAN "-ff"), (gr_str){0}, &a);
    gr_trace_write(&a, text);
    assert_string_equal(text + 53, "01"); /* what version 00 does not know is not passed on */
}

static void test_state(void **state) {
    (void)state;
    char long_one[GR_TRACE_STATE_MAX + 2] = "a=";
    memset(long_one + 2, 'x', sizeof long_one - 3);
    char many[200] = "";
    for (size_t i = 0; i < 33 * 4; i++) many[i] = "a=1,"[i % 4];
    const char *const bad[] = {"a", "=1", "a=1,b", "a=\x01", "a=\xc3\xa9", ",", long_one, many};
    gr_trace trace;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_trace_begin(GR_STR(GOOD), gr_str_from(bad[i]), &trace);
        if (trace.state[0]) fail_msg("%s", bad[i]);
        assert_string_equal(trace.trace_id, TRACE);
    }
    long_one[GR_TRACE_STATE_MAX] = 0;
    gr_trace_begin(GR_STR(GOOD), gr_str_from(long_one), &trace);
    assert_string_equal(trace.state, long_one);
}

/* What gr_log_event writes to stderr. */
static void logged(bool is_json, char *out, size_t max) {
    char name[] = "/tmp/granary-trace-XXXXXX";
    int fd = mkstemp(name), old = dup(STDERR_FILENO);
    assert_true(fd >= 0 && old >= 0);
    dup2(fd, STDERR_FILENO);
    gr_log_setup(GR_LOG_INFO, is_json);
    gr_log_event(GR_LOG_INFO, "x.happened", "key", GR_STR("a b"), NULL);
    dup2(old, STDERR_FILENO);
    close(old);
    ssize_t n = pread(fd, out, max - 1, 0);
    out[n > 0 ? n : 0] = 0;
    close(fd);
    unlink(name);
}

static void test_log(void **state) {
    (void)state;
    char text[500];
    gr_trace trace, none = {0};
    gr_trace_begin(GR_STR(GOOD), (gr_str){0}, &trace);
    assert_null(gr_trace_enter(&trace));
    logged(false, text, sizeof text);
    assert_non_null(strstr(text, " x.happened key=\"a b\" trace=" TRACE "\n"));
    logged(true, text, sizeof text);
    char want[200];
    snprintf(want, sizeof want, "\"key\":\"a b\",\"trace_id\":\"" TRACE "\",\"span_id\":\"%s\"}\n", trace.span_id);
    assert_non_null(strstr(text, want));
    assert_ptr_equal(gr_trace_enter(&none), &trace);
    assert_null(gr_trace_current());
    logged(false, text, sizeof text);
    assert_null(strstr(text, "trace"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_begin),
                                       cmocka_unit_test(test_state), cmocka_unit_test(test_log)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
