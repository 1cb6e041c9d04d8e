/* One line per event at the boundary: `ts level event key=value …`, or the same as JSON. What is written while the
 * thread works for a trace (base/trace.h) ends with `trace=…`, in JSON with trace_id and span_id. Library rooms never
 * call this above debug. Threads: any. */
#ifndef GR_BASE_LOG_H
#define GR_BASE_LOG_H
#include "base/str.h"

typedef enum gr_log_level { GR_LOG_DEBUG, GR_LOG_INFO, GR_LOG_WARN, GR_LOG_ERROR, GR_LOG_OFF } gr_log_level;

void gr_log_setup(gr_log_level least, bool is_json); /* default: info, text, on stderr */
/* Pairs of (const char *key, gr_str value), ended by NULL: gr_log_event(GR_LOG_INFO, "serve.ready", "url", url, NULL).
 */
void gr_log_event(gr_log_level level, const char *event, ...) __attribute__((sentinel));
/* For numbers in the pairs: a text in a per-thread ring of 16, good until 16 more calls. */
gr_str gr_log_i64(int64_t v);
#endif
