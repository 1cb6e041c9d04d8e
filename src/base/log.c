#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/trace.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int least_level = GR_LOG_INFO;
static atomic_bool as_json = false;

void gr_log_setup(gr_log_level least, bool is_json) {
    atomic_store(&least_level, (int)least);
    atomic_store(&as_json, is_json);
}

static void add_quoted(gr_buf *b, gr_str s) {
    gr_buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') gr_buf_char(b, '\\');
        if (c < 0x20)
            gr_buf_printf(b, "\\u%04x", c);
        else
            gr_buf_char(b, (char)c);
    }
    gr_buf_char(b, '"');
}

static bool is_plain(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=') return false;
    return s.n > 0;
}

static void add_pair(gr_buf *b, bool json, const char *key, gr_str value) {
    if (json) {
        gr_buf_char(b, ',');
        add_quoted(b, gr_str_from(key));
        gr_buf_char(b, ':');
        add_quoted(b, value);
    } else {
        gr_buf_printf(b, " %s=", key);
        if (is_plain(value))
            gr_buf_add(b, value);
        else
            add_quoted(b, value);
    }
}

static void add_trace(gr_buf *b, bool json) {
    const gr_trace *trace = gr_trace_current();
    if (!trace) return;
    add_pair(b, json, json ? "trace_id" : "trace", gr_str_from(trace->trace_id));
    if (json) add_pair(b, json, "span_id", gr_str_from(trace->span_id));
}

void gr_log_event(gr_log_level level, const char *event, ...) {
    static const char *names[] = {"debug", "info", "warn", "error", "off"};
    if ((int)level < atomic_load(&least_level)) return;
    bool json = atomic_load(&as_json);
    int64_t now = gr_clock_now_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm tm;
    char stamp[40];
    gmtime_r(&seconds, &tm);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(stamp + n, sizeof stamp - n, ".%03dZ", (int)(now / 1000 % 1000));

    gr_buf line;
    gr_buf_init(&line, 64 * 1024);
    gr_buf_printf(&line, json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %s %s", stamp, names[level],
                  event);
    va_list args;
    va_start(args, event);
    for (const char *key; (key = va_arg(args, const char *));) add_pair(&line, json, key, va_arg(args, gr_str));
    va_end(args);
    add_trace(&line, json);
    gr_buf_z(&line, json ? "}\n" : "\n");
    gr_str text = gr_buf_str(&line);
    ssize_t written = write(STDERR_FILENO, text.p, text.n);
    (void)written; /* a log that cannot be written has nowhere to be reported */
    gr_buf_done(&line);
}

gr_str gr_log_i64(int64_t v) {
    static _Thread_local char ring[16][24];
    static _Thread_local unsigned at;
    char *p = ring[at++ % 16];
    int n = snprintf(p, sizeof ring[0], "%lld", (long long)v);
    return (gr_str){p, (size_t)n};
}
