/* Metrics by dimensions, as DataJunction asks for them: what cubes by API, plans and grain groups are made from.
 * Threads: pure. Source: dj.md 3.1, 3.3, 4.4. */
#ifndef GR_QUERY_METRICS_H
#define GR_QUERY_METRICS_H
#include "query/query.h"

typedef struct gr_metrics_ask {
    const gr_str *metrics, *dimensions; /* "orders.count"; "orders.status", "orders.users.country" by join path,
                                           "orders.created_at.day" with a grain */
    size_t n_metrics, n_dimensions;
    const json_t *filters; /* list of SQL texts ("orders.status = 'x'") and query filters, ANDed; NULL: none */
    gr_str time_zone;      /* of grains of a day and coarser; empty: UTC */
} gr_metrics_ask;

/* The query for all rows: measures, dimensions, time dimensions with a grain, row filters; `normalized` has the filters
 * in canonical form. Hidden members may be named. Duplicates are asked once. Memory: `arena`; the ask is borrowed.
 * Errors: query.unknown_member, query.invalid (no metric and no dimension, a filter on a measure, a relative date),
 * query.operator, query.granularity, query.timezone. */
GR_MUST_CHECK gr_status gr_query_of_metrics(const gr_model *model, const gr_metrics_ask *ask, gr_arena *arena,
                                            gr_query **ret, gr_error *err);
/* The filters of such a query as canonical JSON list; empty without. Memory: arena. */
gr_str gr_query_filters_text(const gr_query *query, gr_arena *arena);
/* A filter on rows whose meaning changes with the day it is read on ("last week"), or NULL. */
const gr_filter *gr_query_relative_filter(const gr_filter *filter);
#endif
