/* W3C trace context: which trace a piece of work belongs to, and its own span in it.
 *
 * `traceparent` is 00-<32 hex: trace>-<16 hex: span>-<2 hex: flags>, lower case, trace and span not all zero. What is
 * no such text is ignored, and a new trace begins. The trace of a piece of work is known to its thread
 * (gr_trace_enter): log lines and events that are written meanwhile name it without being told. Threads: pure, but for
 * the current one, which is each thread's own. Source: w3.org/TR/trace-context. */
#ifndef GR_BASE_TRACE_H
#define GR_BASE_TRACE_H
#include "base/str.h"

enum { GR_TRACE_TEXT = 56, GR_TRACE_STATE_MAX = 512 };

typedef struct gr_trace {
    char trace_id[33], span_id[17];     /* lower hex, NUL-terminated; empty: no trace */
    uint8_t flags;                      /* 1: sampled */
    char state[GR_TRACE_STATE_MAX + 1]; /* tracestate as it came, passed on; empty: none */
} gr_trace;

/* The caller's trace and span. False, and *ret untouched, when it is not valid. */
bool gr_trace_read(gr_str traceparent, gr_trace *ret);
/* A span of its own in the caller's trace, or in a new one. A tracestate that is not valid, or too long, or comes
 * without a valid traceparent, is dropped. */
void gr_trace_begin(gr_str traceparent, gr_str tracestate, gr_trace *ret);
/* Another span of the same trace, for a call that is made on its behalf. */
gr_trace gr_trace_child(const gr_trace *trace);
/* The value of `traceparent`, NUL-terminated. */
void gr_trace_write(const gr_trace *trace, char out[GR_TRACE_TEXT]);

/* From here on this thread works for `trace` (borrowed; NULL or an empty one: for none). Returns what it was before. */
const gr_trace *gr_trace_enter(const gr_trace *trace);
const gr_trace *gr_trace_current(void); /* NULL: none */

/* 2 * bytes hex digits and a NUL; at most 32 bytes. */
void gr_random_hex(size_t bytes, char *out);
#endif
