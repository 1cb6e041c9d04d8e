/* Events: what happens to pre-aggregations and the model, told to whoever reads the ring and to the webhooks.
 *
 *   gr_serve_event ──> bus ──┬─> ring of the last 1,024 ──> GET /ops/events (each reader has a cursor)
 *                            └─> webhooks: a queue for each, sent by one thread (webhook.c)
 *
 * An event is a JSON object {"id","event","at", and of the fields below those that are known, "trace_id"?}. Its id is
 * `<16 hex digits of this process's life>-<number, counted from 1>`.
 * Threads: any. Locks: the bus's, then the webhooks'; nothing else is called while they are held. */
#ifndef GR_SERVE_EVENTS_H
#define GR_SERVE_EVENTS_H
#include "base/trace.h"
#include "config/config.h"
#include "config/events.h"

#include <stdatomic.h>

typedef struct gr_serve_bus gr_serve_bus;

/* What is empty, 0 or not `has_` is left out. Texts are borrowed for the call, and cut: names at 1 KiB, the error at 4.
 */
typedef struct gr_event_fields {
    gr_str pre_aggregation; /* "orders.main" */
    gr_str zone, partition, error;
    int64_t entity_id, build_number;
    bool has_rows, has_duration;
    int64_t rows, duration_ms;
} gr_event_fields;

enum { GR_EVENT_ID_MAX = 40 };
/* One event as it is told. Counted. */
typedef struct gr_serve_told {
    atomic_uint refs;
    uint64_t seq;
    gr_event_kind kind;
    char id[GR_EVENT_ID_MAX];
    gr_trace trace; /* that it happened in; empty: none */
    size_t n;
    char json[];
} gr_serve_told;
void gr_serve_told_unref(gr_serve_told *told); /* accepts NULL */
gr_serve_told *gr_serve_told_ref(gr_serve_told *told);

/* `config` is borrowed for life. */
gr_serve_bus *gr_serve_bus_new(const gr_config *config);
/* Webhooks have until then (monotonic us) to take what waits; then everything is freed. Accepts NULL. */
void gr_serve_bus_free(gr_serve_bus *bus, int64_t until_mono_us);
/* In the trace of the thread, if it has one. */
void gr_serve_bus_put(gr_serve_bus *bus, gr_event_kind kind, const gr_event_fields *fields);

/* ---- reading --------------------------------------------------------------------------------------------------- */
/* The number of the last event: who reads on from there gets what comes. */
uint64_t gr_serve_bus_last(gr_serve_bus *bus);
/* *ret_cursor: after the event with this id. False when it is not one of this process's: then it is before the oldest.
 */
bool gr_serve_bus_seek(gr_serve_bus *bus, gr_str id, uint64_t *ret_cursor);
/* The event after *cursor, which moves on to it; NULL: there is none yet. *ret_missed: how many between them are not in
 * the ring any more. Owned: gr_serve_told_unref. */
gr_serve_told *gr_serve_bus_next(gr_serve_bus *bus, uint64_t *cursor, uint64_t *ret_missed);

/* ---- counts ---------------------------------------------------------------------------------------------------- */
uint64_t gr_serve_bus_count(gr_serve_bus *bus, gr_event_kind kind);
typedef struct gr_webhook_view {
    gr_str origin; /* borrowed from the configuration */
    uint64_t delivered, retried, lost, dropped;
    size_t waiting;
} gr_webhook_view;
gr_webhook_view gr_serve_bus_webhook(gr_serve_bus *bus, size_t index); /* index < config->n_webhooks */
#endif
