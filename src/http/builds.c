/* Which builds were started through the API, so that their progress and outcome can be asked for and streamed.
 *
 * A flight holds on to a snapshot, and a snapshot to tables that wait to be dropped. So a flight is let go of when it
 * ends, on the build's own thread, and only a copy of its outcome is kept.
 * Invariant: `flight` is set exactly while the build is not known to be over; the subscription holds a reference to the
 * record until then, so it is safe to forget a record at any time. Locks: a record's before the flight's. */
#include "base/mem.h"
#include "http/internal.h"

#include <stdlib.h>

struct gr_http_build {
    atomic_int refs;
    pthread_mutex_t lock;
    gr_flight *flight;
    int64_t entity_id;        /* 0: not told */
    char *preagg_id, *zone;   /* owned */
    gr_http_progress outcome; /* when flight is NULL; its texts are static or of this record */
    gr_error error;
};

void gr_http_build_unref(gr_http_build *build) {
    if (!build || atomic_fetch_sub(&build->refs, 1) != 1) return;
    pthread_mutex_destroy(&build->lock);
    free(build->preagg_id);
    free(build->zone);
    free(build);
}

static gr_http_build *build_ref(gr_http_build *build) {
    atomic_fetch_add(&build->refs, 1);
    return build;
}

static gr_http_progress with_own_names(const gr_http_build *build, gr_http_progress progress) {
    progress.entity_id = build->entity_id;
    progress.preagg_id = gr_str_from(build->preagg_id);
    progress.zone = gr_str_from(build->zone);
    return progress;
}

static void on_end(void *arg) {
    gr_http_build *build = arg;
    pthread_mutex_lock(&build->lock);
    gr_flight *flight = build->flight;
    build->outcome = with_own_names(build, gr_http_progress_of(flight, (gr_str){0}, &build->error));
    build->flight = NULL;
    pthread_mutex_unlock(&build->lock);
    gr_flight_unref(flight);
    gr_http_build_unref(build);
}

gr_http_build *gr_http_build_new(int64_t entity_id, gr_str preagg_id, gr_str zone, gr_flight *flight) {
    gr_http_build *build = gr_mem_calloc(1, sizeof *build);
    atomic_init(&build->refs, 2); /* the caller's and the subscription's */
    pthread_mutex_init(&build->lock, NULL);
    build->flight = gr_flight_ref(flight);
    build->entity_id = entity_id;
    build->preagg_id = gr_mem_dup(preagg_id.p, preagg_id.n);
    build->zone = gr_mem_dup(zone.p, zone.n);
    (void)gr_flight_subscribe(flight, on_end, build);
    return build;
}

gr_http_progress gr_http_build_look(gr_http_build *build, gr_error *error) {
    pthread_mutex_lock(&build->lock);
    gr_http_progress progress = build->outcome;
    if (build->flight) {
        progress = with_own_names(build, gr_http_progress_of(build->flight, (gr_str){0}, error));
    } else if (progress.error) {
        *error = build->error;
        progress.error = error;
    }
    pthread_mutex_unlock(&build->lock);
    return progress;
}

/* ---- the list -------------------------------------------------------------------------------- */
void gr_http_builds_init(gr_http_builds *builds) {
    *builds = (gr_http_builds){.n = 0};
    pthread_mutex_init(&builds->lock, NULL);
}

static void remove_at(gr_http_builds *builds, size_t i) {
    gr_http_build_unref(builds->v[i]);
    memmove(&builds->v[i], &builds->v[i + 1], (builds->n - i - 1) * sizeof(gr_http_build *));
    builds->n--;
}

void gr_http_builds_done(gr_http_builds *builds) {
    while (builds->n) remove_at(builds, builds->n - 1);
    pthread_mutex_destroy(&builds->lock);
}

static size_t find(const gr_http_builds *builds, gr_str preagg_id, gr_str zone) {
    for (size_t i = 0; i < builds->n; i++)
        if (gr_str_eq_z(preagg_id, builds->v[i]->preagg_id) && gr_str_eq_z(zone, builds->v[i]->zone)) return i;
    return SIZE_MAX;
}

gr_http_build *gr_http_builds_put(gr_http_builds *builds, gr_str preagg_id, gr_str zone, gr_flight *flight) {
    gr_http_build *build = gr_http_build_new(0, preagg_id, zone, flight);
    pthread_mutex_lock(&builds->lock);
    size_t old = find(builds, preagg_id, zone);
    if (old == SIZE_MAX && builds->n == GR_HTTP_MAX_BUILDS) old = 0;
    if (old != SIZE_MAX) remove_at(builds, old);
    builds->v[builds->n++] = build_ref(build);
    pthread_mutex_unlock(&builds->lock);
    return build;
}

gr_http_build *gr_http_builds_get(gr_http_builds *builds, gr_str preagg_id, gr_str zone) {
    pthread_mutex_lock(&builds->lock);
    size_t at = find(builds, preagg_id, zone);
    gr_http_build *build = at == SIZE_MAX ? NULL : build_ref(builds->v[at]);
    pthread_mutex_unlock(&builds->lock);
    return build;
}
