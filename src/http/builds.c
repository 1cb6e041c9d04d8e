/* Which builds were started through the API, so that GET …/build can show how far they are. Holds a reference to each
 * flight; finished ones stay until their place is needed, so that their outcome can still be asked for.
 * Invariant: at most one flight per key, oldest first. */
#include "base/mem.h"
#include "http/internal.h"

#include <stdio.h>
#include <stdlib.h>

void gr_http_builds_init(gr_http_builds *builds) {
    *builds = (gr_http_builds){.n = 0};
    pthread_mutex_init(&builds->lock, NULL);
}

static void remove_at(gr_http_builds *builds, size_t i) {
    free(builds->v[i].key);
    gr_flight_unref(builds->v[i].flight);
    memmove(&builds->v[i], &builds->v[i + 1], (builds->n - i - 1) * sizeof *builds->v);
    builds->n--;
}

void gr_http_builds_done(gr_http_builds *builds) {
    while (builds->n) remove_at(builds, builds->n - 1);
    pthread_mutex_destroy(&builds->lock);
}

static char *key_of(gr_str preagg_id, gr_str zone) {
    size_t size = preagg_id.n + zone.n + 2;
    char *key = gr_mem_alloc(size);
    snprintf(key, size, GR_FMT "@" GR_FMT, GR_ARG(preagg_id), GR_ARG(zone));
    return key;
}

static size_t find(const gr_http_builds *builds, const char *key) {
    for (size_t i = 0; i < builds->n; i++)
        if (strcmp(builds->v[i].key, key) == 0) return i;
    return SIZE_MAX;
}

/* The oldest that is finished, else the oldest. */
static size_t oldest(gr_http_builds *builds) {
    for (size_t i = 0; i < builds->n; i++)
        if (gr_flight_look(builds->v[i].flight).is_done) return i;
    return 0;
}

void gr_http_builds_put(gr_http_builds *builds, gr_str preagg_id, gr_str zone, gr_flight *flight) {
    char *key = key_of(preagg_id, zone);
    pthread_mutex_lock(&builds->lock);
    size_t old = find(builds, key);
    if (old == SIZE_MAX && builds->n == GR_HTTP_MAX_BUILDS) old = oldest(builds);
    if (old != SIZE_MAX) remove_at(builds, old);
    builds->v[builds->n].key = key;
    builds->v[builds->n++].flight = gr_flight_ref(flight);
    pthread_mutex_unlock(&builds->lock);
}

gr_flight *gr_http_builds_get(gr_http_builds *builds, gr_str preagg_id, gr_str zone) {
    char *key = key_of(preagg_id, zone);
    pthread_mutex_lock(&builds->lock);
    size_t at = find(builds, key);
    gr_flight *flight = at == SIZE_MAX ? NULL : gr_flight_ref(builds->v[at].flight);
    pthread_mutex_unlock(&builds->lock);
    free(key);
    return flight;
}
