/* The event bus: an event becomes JSON once, goes into the ring, and to the webhooks.
 * Invariant: numbers have no holes, and the ring holds the last ones in order. */
#include "serve/events.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cal/cal.h"
#include "data/json.h"
#include "serve/webhook.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEPT = 1024, MAX_TEXT = 1024, MAX_ERROR = 4096, MAX_JSON = 64 << 10 };

struct gr_serve_bus {
    pthread_mutex_t lock; /* guards the ring */
    char life[17];
    uint64_t last;             /* number of the newest */
    gr_serve_told *ring[KEPT]; /* by number */
    atomic_uint_fast64_t counts[GR_EVENT__COUNT];
    gr_serve_hooks *hooks;
};

gr_serve_told *gr_serve_told_ref(gr_serve_told *told) {
    atomic_fetch_add(&told->refs, 1);
    return told;
}

void gr_serve_told_unref(gr_serve_told *told) {
    if (told && atomic_fetch_sub(&told->refs, 1) == 1) free(told);
}

gr_serve_bus *gr_serve_bus_new(const gr_config *config) {
    gr_serve_bus *bus = gr_mem_calloc(1, sizeof *bus);
    pthread_mutex_init(&bus->lock, NULL);
    gr_random_hex(8, bus->life);
    bus->hooks = gr_serve_hooks_new(config, 1000000);
    return bus;
}

void gr_serve_bus_free(gr_serve_bus *bus, int64_t until_mono_us) {
    if (!bus) return;
    gr_serve_hooks_free(bus->hooks, until_mono_us);
    for (size_t i = 0; i < KEPT; i++) gr_serve_told_unref(bus->ring[i]);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* ---- telling --------------------------------------------------------------------------------- */
/* Cut where a character begins. Escaped, all texts together are shorter than MAX_JSON. */
static void put_text(gr_jw *w, const char *key, gr_str s, size_t max) {
    size_t n = s.n < max ? s.n : max;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80) n--;
    if (n) gr_jw_key_str(w, key, gr_str_sub(s, 0, n));
}

static void put_json(gr_buf *out, const char *id, gr_event_kind kind, const gr_event_fields *f, const gr_trace *trace) {
    char at[48];
    size_t n = gr_time_format(gr_clock_now_us(), at);
    at[n++] = 'Z';
    gr_jw writer, *w = &writer;
    gr_jw_init(w, out);
    gr_jw_object(w);
    gr_jw_key_str(w, "id", gr_str_from(id));
    gr_jw_key_str(w, "event", gr_event_name(kind));
    gr_jw_key_str(w, "at", (gr_str){at, n});
    put_text(w, "pre_aggregation", f->pre_aggregation, MAX_TEXT);
    if (f->entity_id) gr_jw_key_i64(w, "entity_id", f->entity_id);
    put_text(w, "zone", f->zone, MAX_TEXT);
    if (f->build_number) gr_jw_key_i64(w, "build_number", f->build_number);
    put_text(w, "partition", f->partition, MAX_TEXT);
    if (f->has_rows) gr_jw_key_i64(w, "rows", f->rows);
    if (f->has_duration) gr_jw_key_i64(w, "duration_ms", f->duration_ms);
    put_text(w, "error", f->error, MAX_ERROR);
    if (trace) gr_jw_key_str(w, "trace_id", gr_str_from(trace->trace_id));
    gr_jw_object_end(w);
}

void gr_serve_bus_put(gr_serve_bus *bus, gr_event_kind kind, const gr_event_fields *fields) {
    static const gr_event_fields none;
    const gr_trace *trace = gr_trace_current();
    char id[GR_EVENT_ID_MAX];
    gr_buf out;
    gr_buf_init(&out, MAX_JSON);
    atomic_fetch_add_explicit(&bus->counts[kind], 1, memory_order_relaxed);
    pthread_mutex_lock(&bus->lock);
    uint64_t seq = ++bus->last;
    snprintf(id, sizeof id, "%s-%llu", bus->life, (unsigned long long)seq);
    put_json(&out, id, kind, fields ? fields : &none, trace);
    gr_serve_told *told = gr_mem_alloc(sizeof *told + out.n);
    *told = (gr_serve_told){.seq = seq, .kind = kind, .n = out.n};
    atomic_init(&told->refs, 1);
    memcpy(told->id, id, sizeof id);
    if (trace) told->trace = *trace;
    memcpy(told->json, out.p, out.n);
    gr_serve_told_unref(bus->ring[seq % KEPT]);
    bus->ring[seq % KEPT] = told;
    gr_serve_hooks_put(bus->hooks, told);
    pthread_mutex_unlock(&bus->lock);
    gr_buf_done(&out);
}

/* ---- reading --------------------------------------------------------------------------------- */
uint64_t gr_serve_bus_last(gr_serve_bus *bus) {
    pthread_mutex_lock(&bus->lock);
    uint64_t last = bus->last;
    pthread_mutex_unlock(&bus->lock);
    return last;
}

bool gr_serve_bus_seek(gr_serve_bus *bus, gr_str id, uint64_t *ret_cursor) {
    size_t n = strlen(bus->life);
    int64_t seq = 0;
    uint64_t last = gr_serve_bus_last(bus);
    bool is_ours = id.n > n + 1 && memcmp(id.p, bus->life, n) == 0 && id.p[n] == '-' &&
                   gr_str_to_i64(gr_str_sub(id, n + 1, id.n - n - 1), &seq) && seq > 0 && (uint64_t)seq <= last;
    *ret_cursor = is_ours ? (uint64_t)seq : last > KEPT ? last - KEPT : 0;
    return is_ours;
}

gr_serve_told *gr_serve_bus_next(gr_serve_bus *bus, uint64_t *cursor, uint64_t *ret_missed) {
    gr_serve_told *told = NULL;
    *ret_missed = 0;
    pthread_mutex_lock(&bus->lock);
    if (*cursor < bus->last) {
        uint64_t oldest = bus->last > KEPT ? bus->last - KEPT + 1 : 1, at = *cursor + 1;
        if (at < oldest) {
            *ret_missed = oldest - at;
            at = oldest;
        }
        told = gr_serve_told_ref(bus->ring[at % KEPT]);
        *cursor = at;
    }
    pthread_mutex_unlock(&bus->lock);
    return told;
}

/* ---- counts ---------------------------------------------------------------------------------- */
uint64_t gr_serve_bus_count(gr_serve_bus *bus, gr_event_kind kind) {
    return atomic_load_explicit(&bus->counts[kind], memory_order_relaxed);
}

gr_webhook_view gr_serve_bus_webhook(gr_serve_bus *bus, size_t index) { return gr_serve_hooks_look(bus->hooks, index); }
