/* W3C trace context: reading, writing, and the one that a thread works for. */
#include "base/trace.h"

#include "base/clock.h"

#include <stdio.h>
#include <sys/random.h>

static _Thread_local const gr_trace *current;

void gr_random_hex(size_t bytes, char *out) {
    static const char digits[] = "0123456789abcdef";
    unsigned char r[32] = {0};
    if (bytes > sizeof r) bytes = sizeof r;
    if (getrandom(r, bytes, 0) != (ssize_t)bytes) /* before the kernel's pool is filled: better than the same for all */
        for (size_t i = 0; i < bytes; i++) r[i] = (unsigned char)(gr_clock_mono_us() >> (i % 7 * 8) ^ (int64_t)i);
    for (size_t i = 0; i < bytes; i++) {
        *out++ = digits[r[i] >> 4];
        *out++ = digits[r[i] & 15];
    }
    *out = 0;
}

/* ---- reading --------------------------------------------------------------------------------- */
static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(gr_str s, bool may_be_zero) {
    bool is_zero = true;
    for (size_t i = 0; i < s.n; i++) {
        if (hex_value(s.p[i]) < 0) return false;
        is_zero &= s.p[i] == '0';
    }
    return may_be_zero || !is_zero;
}

bool gr_trace_read(gr_str s, gr_trace *ret) {
    if (s.n != GR_TRACE_TEXT - 1 || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-') return false;
    if (s.p[0] != '0' || s.p[1] != '0') return false;
    if (!is_hex(gr_str_sub(s, 3, 32), false) || !is_hex(gr_str_sub(s, 36, 16), false)) return false;
    if (!is_hex(gr_str_sub(s, 53, 2), true)) return false;
    *ret = (gr_trace){.flags = (uint8_t)(hex_value(s.p[53]) * 16 + hex_value(s.p[54]))};
    memcpy(ret->trace_id, s.p + 3, 32);
    memcpy(ret->span_id, s.p + 36, 16);
    return true;
}

/* Members key=value with commas between; blank ones may be there. */
static bool is_state(gr_str s) {
    enum { MOST_MEMBERS = 32 };
    size_t n = 0;
    if (!s.n || s.n > GR_TRACE_STATE_MAX) return false;
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' || s.p[i] > '~') && s.p[i] != '\t') return false;
    for (size_t at = 0, comma; at <= s.n; at = comma + 1) {
        comma = gr_str_find(s, ',', at);
        if (comma == SIZE_MAX) comma = s.n;
        gr_str member = gr_str_trim(gr_str_sub(s, at, comma - at));
        if (!member.n) continue;
        size_t equals = gr_str_find(member, '=', 0);
        if (equals == SIZE_MAX || equals == 0 || ++n > MOST_MEMBERS) return false;
    }
    return n > 0;
}

void gr_trace_begin(gr_str traceparent, gr_str tracestate, gr_trace *ret) {
    gr_trace trace = {.flags = 1};
    if (!gr_trace_read(traceparent, &trace))
        gr_random_hex(16, trace.trace_id);
    else if (is_state(tracestate))
        memcpy(trace.state, tracestate.p, tracestate.n);
    gr_random_hex(8, trace.span_id);
    *ret = trace;
}

gr_trace gr_trace_child(const gr_trace *trace) {
    gr_trace child = *trace;
    gr_random_hex(8, child.span_id);
    return child;
}

/* Of the flags only the one that version 00 knows is passed on. */
void gr_trace_write(const gr_trace *trace, char out[GR_TRACE_TEXT]) {
    snprintf(out, GR_TRACE_TEXT, "00-%s-%s-0%d", trace->trace_id, trace->span_id, trace->flags & 1);
}

/* ---- the current one ------------------------------------------------------------------------- */
const gr_trace *gr_trace_enter(const gr_trace *trace) {
    const gr_trace *before = current;
    current = trace && trace->trace_id[0] ? trace : NULL;
    return before;
}

const gr_trace *gr_trace_current(void) { return current; }
