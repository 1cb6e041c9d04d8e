/* Answers from the result cache, and identical queries that run at the same time run once.
 *
 *   planned ── bypass ────────────────────────────────────> run
 *      │   ── renewal is the entry's ──> HIT
 *      │   ── stale-while-revalidate, an entry ──> STALE, and one caller refreshes it
 *      │   ── no entry, or of other versions ──> an identical query runs? ── yes: its flight is waited for, then anew
 *      └──────────────────────────────────────────────────────────────────── no: MISS, run with a ticket, keep
 *
 * Invariants: only a whole answer is kept, by gr_answer_keep; the ticket's renewal was taken before the run began, so
 * that an entry is never older than what it is kept under. Source: cube.md 6.7; house.md §1. */
#include "serve/internal.h"

#include <stdlib.h>

#define SECOND_US 1000000

gr_str gr_serve_cache_outcome_name(gr_cache_outcome outcome) {
    static const gr_str names[] = {[GR_CACHE_BYPASS] = GR_STR_INIT("bypass"),
                                   [GR_CACHE_MISS] = GR_STR_INIT("miss"),
                                   [GR_CACHE_HIT] = GR_STR_INIT("hit"),
                                   [GR_CACHE_STALE] = GR_STR_INIT("stale")};
    return names[outcome];
}

/* ---- queries that run ------------------------------------------------------------------------ */
static gr_str lead_text(const gr_cache_ticket *ticket, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(ticket->renewal), GR_ARG(ticket->key));
}

/* The flight of the one that runs already (owned), or NULL: this one leads now. */
static gr_flight *join_or_lead(gr_serve *serve, gr_cache_ticket *ticket, gr_arena *arena) {
    gr_str text = lead_text(ticket, arena);
    gr_flight *joined = NULL;
    pthread_mutex_lock(&serve->leads_lock);
    for (gr_lead *lead = serve->leads; lead && !joined; lead = lead->next)
        if (gr_str_eq((gr_str){lead->text, lead->n_text}, text)) joined = gr_flight_ref(lead->flight);
    if (!joined) {
        gr_lead *lead = gr_mem_calloc(1, sizeof *lead);
        lead->text = gr_mem_dup(text.p, text.n);
        lead->n_text = text.n;
        ticket->lead = gr_flight_new_query(serve);
        lead->flight = gr_flight_ref(ticket->lead);
        lead->next = serve->leads;
        serve->leads = lead;
    }
    pthread_mutex_unlock(&serve->leads_lock);
    return joined;
}

void gr_serve_cached_lead_end(gr_cache_ticket *ticket) {
    gr_flight *flight = ticket->lead;
    if (!flight) return;
    gr_serve *serve = flight->serve;
    bool is_cancelled = ticket->is_cancelled && atomic_load(ticket->is_cancelled);
    ticket->lead = NULL;
    gr_lead *lead, **at;
    pthread_mutex_lock(&serve->leads_lock);
    for (at = &serve->leads; (*at)->flight != flight; at = &(*at)->next) continue;
    lead = *at;
    *at = lead->next;
    pthread_mutex_unlock(&serve->leads_lock);
    gr_error err = {0};
    gr_status status = is_cancelled ? gr_error_set(&err, GR_ERR_CANCELLED, "The request was cancelled") : GR_OK;
    gr_flight_finish(flight, status, &err, 0);
    gr_flight_unref(lead->flight);
    gr_flight_unref(flight);
    free(lead->text);
    free(lead);
}

/* ---- looking --------------------------------------------------------------------------------- */
static bool is_young(const gr_cached *entry) { return gr_clock_mono_us() - entry->started_mono_us < entry->max_age_us; }

static bool is_current(const gr_cached *entry, gr_str renewal) {
    return gr_str_eq(entry->renewal, renewal) && is_young(entry);
}

/* Who waited came when the keys were these. */
static bool is_accepted(const gr_cached *entry, gr_str accepts) {
    return accepts.n && gr_str_eq(entry->renewal, accepts);
}

static void serve_entry(gr_answer *a, gr_cached *entry, gr_cache_outcome outcome) {
    a->cached = entry;
    a->outcome = outcome;
    a->refreshed_us = entry->refreshed_us;
}

static gr_status render(gr_serve *serve, const gr_ctx *ctx, gr_answer *a, gr_error *err) {
    return a->sql.text.n ? GR_OK : gr_sql_query(a->plan, gr_exec_places(serve->exec), ctx->arena, &a->sql, err);
}

/* Whatever it was made from, but not after a day. When it is not what would be made now, one caller makes it anew. */
static gr_status look_stale(gr_serve *serve, const gr_ctx *ctx, gr_answer *a, gr_cached *entry, gr_error *err) {
    const int64_t day_us = INT64_C(86400) * SECOND_US;
    if (gr_clock_mono_us() - entry->started_mono_us >= day_us) {
        gr_serve_cached_unref(entry);
        return GR_OK;
    }
    gr_cache_ticket now = {0};
    gr_status status = GR_OK;
    if (!a->plan->to_build) status = gr_serve_renewal(serve, ctx, a, GR_RENEWAL_KNOWN, &now, err);
    if (status) {
        gr_serve_cached_unref(entry);
        return status;
    }
    bool is_stale = a->plan->to_build || !is_current(entry, now.renewal);
    serve_entry(a, entry, is_stale ? GR_CACHE_STALE : GR_CACHE_HIT);
    a->wants_refresh = is_stale && !atomic_exchange(&entry->is_refreshing, true);
    return GR_OK;
}

/* The key of the ticket stays empty when the renewal can not be told: such an answer is not kept. */
static gr_status take_ticket(gr_serve *serve, const gr_ctx *ctx, gr_answer *a, gr_str key, gr_error *err) {
    gr_error why = {0};
    bool asks_anew = a->query->cache == GR_CACHE_MUST_REVALIDATE;
    gr_cache_ticket ticket = {0};
    gr_status status = gr_serve_renewal(serve, ctx, a, asks_anew ? GR_RENEWAL_ANEW : GR_RENEWAL_CACHED, &ticket, &why);
    if (status == GR_ERR_CANCELLED || status == GR_ERR_TIMEOUT) {
        if (err) *err = why;
        return status;
    }
    if (status) return GR_OK;
    ticket.key = key;
    ticket.is_cancelled = ctx->is_cancelled;
    a->ticket = ticket;
    a->outcome = GR_CACHE_MISS;
    return GR_OK;
}

gr_status gr_serve_cached_look(gr_serve *serve, const gr_ctx *ctx, const gr_request *request, gr_answer *a,
                               gr_flight **ret_flight, gr_error *err) {
    gr_cache_mode mode = a->query->cache;
    if (!a->plan->to_build) GR_TRY(render(serve, ctx, a, err));
    if (!request->may_cache || request->without_rollups || !serve->config->cache_max_bytes) return GR_OK;
    gr_str key = gr_serve_identity(a->query, request->form, ctx->arena);
    gr_cached *entry = mode == GR_CACHE_STALE_WHILE_REVALIDATE ? gr_serve_cache_get(serve->cache, key) : NULL;
    if (entry) GR_TRY(look_stale(serve, ctx, a, entry, err));
    if (a->cached || a->plan->to_build) return GR_OK;
    GR_TRY(take_ticket(serve, ctx, a, key, err));
    if (!a->ticket.key.n || mode == GR_CACHE_NO_CACHE) return GR_OK;
    entry = gr_serve_cache_get(serve->cache, key);
    bool is_valid = entry && is_current(entry, a->ticket.renewal);
    if (is_valid || (entry && is_accepted(entry, request->accepts))) {
        a->is_late = !is_valid;
        serve_entry(a, entry, GR_CACHE_HIT);
        return GR_OK;
    }
    gr_serve_cached_unref(entry);
    if (request->must_not_wait && !request->must_run) *ret_flight = join_or_lead(serve, &a->ticket, ctx->arena);
    return GR_OK;
}

static void note_entities(gr_serve *serve, const gr_cached *entry, int64_t now_us) {
    for (size_t i = 0; i < entry->n_entities; i++) gr_exec_note_hit(serve->exec, entry->entities[i], now_us);
}

void gr_serve_cached_count(gr_serve *serve, const gr_answer *a) {
    atomic_fetch_add_explicit(&serve->outcomes[a->outcome], 1, memory_order_relaxed);
    if (a->cached) note_entities(serve, a->cached, gr_clock_now_us());
}

/* ---- keeping --------------------------------------------------------------------------------- */
void gr_answer_keep(gr_serve *serve, gr_answer *a, gr_str head, gr_str tail, gr_str served_by) {
    const gr_cache_ticket *ticket = &a->ticket;
    size_t bytes = head.n + tail.n + ticket->key.n;
    if (!ticket->key.n || a->cached || bytes > gr_serve_cache_max_entry(serve->cache)) return;
    int64_t *entities = gr_mem_calloc(a->plan->n_uses + 1, sizeof *entities);
    size_t n = 0;
    for (size_t i = 0; i < a->plan->n_uses; i++)
        if (a->plan->uses[i].state) entities[n++] = a->plan->uses[i].state->entity_id;
    gr_cached *entry = gr_serve_cached_new(&(gr_cached){.key = ticket->key,
                                                        .renewal = ticket->renewal,
                                                        .head = head,
                                                        .tail = tail,
                                                        .served_by = served_by,
                                                        .entities = entities,
                                                        .n_entities = n,
                                                        .refreshed_us = a->refreshed_us,
                                                        .started_mono_us = ticket->started_mono_us,
                                                        .max_age_us = ticket->max_age_us});
    (void)gr_serve_cache_put(serve->cache, entry);
    gr_serve_cached_unref(entry);
    free(entities);
}

void gr_serve_cache_refreshed(gr_cached *entry) {
    atomic_store(&entry->is_refreshing, false);
    gr_serve_cached_unref(entry);
}

/* ---- by the text of the request -------------------------------------------------------------- */
gr_cache_moment gr_serve_cache_moment(const gr_serve *serve, int64_t now_us) {
    return (gr_cache_moment){.generation = gr_exec_generation(serve->exec),
                             .key_changes = gr_serve_keys_changes(serve->keys) + atomic_load(&serve->reloads),
                             .second = now_us / SECOND_US};
}

static bool is_now(const gr_serve *serve, const gr_cache_moment *moment, int64_t now_us) {
    gr_cache_moment now = gr_serve_cache_moment(serve, now_us);
    return now.second == moment->second && now.generation == moment->generation &&
           now.key_changes == moment->key_changes;
}

/* By the text that its header has. */
static gr_serve_by served_by(const gr_cached *entry) {
    bool reads_source = gr_str_ends(entry->served_by, GR_STR("source"));
    if (!entry->n_entities) return GR_SERVE_BY_SOURCE;
    return reads_source ? GR_SERVE_BY_BOTH : GR_SERVE_BY_ROLLUP;
}

gr_cached *gr_serve_cache_quick(gr_serve *serve, gr_str text) {
    if (!serve->config->cache_max_bytes) return NULL;
    gr_cached *entry = gr_serve_cache_get(serve->cache, text);
    if (!entry) return NULL;
    int64_t now_us = gr_clock_now_us();
    if (is_now(serve, &entry->moment, now_us)) {
        atomic_fetch_add_explicit(&serve->outcomes[GR_CACHE_HIT], 1, memory_order_relaxed);
        note_entities(serve, entry, now_us);
        gr_serve_stats_repeated(&serve->stats, entry->entities, entry->n_entities, served_by(entry));
        return entry;
    }
    gr_serve_cached_unref(entry);
    return NULL;
}

bool gr_serve_cache_is_hot(gr_cached *entry, int64_t now_us) {
    int64_t second = now_us / SECOND_US;
    return atomic_exchange(&entry->hit_second, second) == second;
}

void gr_serve_cache_quick_put(gr_serve *serve, const gr_cached *fields) {
    if (!is_now(serve, &fields->moment, gr_clock_now_us())) return;
    gr_cached *entry = gr_serve_cached_new(fields);
    (void)gr_serve_cache_put(serve->cache, entry);
    gr_serve_cached_unref(entry);
}

/* ---- counts ---------------------------------------------------------------------------------- */
gr_cache_stats gr_serve_cache_stats(gr_serve *serve) {
    gr_cache_sizes sizes = gr_serve_cache_sizes(serve->cache);
    gr_cache_stats stats = {
        .evictions = sizes.evictions, .entries = sizes.entries, .bytes = sizes.bytes, .max_bytes = sizes.max_bytes};
    for (size_t i = 0; i < GR_CACHE__COUNT; i++) stats.count[i] = atomic_load(&serve->outcomes[i]);
    return stats;
}
