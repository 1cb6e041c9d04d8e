/* The Prometheus text format (version 0.0.4) of GET /ops/metrics. One table, metrics.def, makes the families, their
 * help and docs/metrics.md. */
#ifndef GR_HTTP_METRICS_H
#define GR_HTTP_METRICS_H
#include "base/buf.h"

enum { GR_HTTP_METRIC_PREAGGS = 1000 }; /* pre-aggregations with metrics of their own */

/* docs/metrics.md, whole. */
void gr_http_metrics_write_docs(gr_buf *out);
/* Text of a label's value: backslash, quote and newline escaped. */
void gr_http_metrics_escape(gr_buf *out, gr_str value);
#endif
