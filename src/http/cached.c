/* The result cache at the front door: what is asked often is answered on the library's own thread, by the text of the
 * request; the rest is put together by a worker from the parts that serve/ keeps.
 *
 *   a result   {"query":{…} | head: lastRefreshTime, what serves | "fromCache", "requestId" | tail: annotation … data}
 *              whose own     kept                                  whose own                  kept
 *
 * Invariant: a whole text is kept only when all of it came from the cache and nothing in it is of one request alone; it
 * is taken only in its moment (serve/cache.h). Source: cube.md 6.7; decisions 11. */
#include "http/internal.h"

static bool is_load(const gr_http_request *request) { return request->route && request->route->lane == GR_HTTP_QUERY; }

/* All that the client wrote and that an answer depends on; who asks does not matter once it may. */
static gr_str text_of(gr_http_request *request) {
    gr_str body = gr_buf_str(&request->body), target = request->target;
    char *p = gr_arena_alloc(request->arena, target.n + body.n + 2);
    p[0] = request->method == GR_HTTP_POST ? 'p' : 'g';
    memcpy(p + 1, target.p, target.n);
    if (body.n) memcpy(p + 2 + target.n, body.p, body.n);
    return (gr_str){p, target.n + body.n + 2};
}

static bool tells_request(const gr_http_request *request) { return request->http->config->dev_mode; }

bool gr_http_cached_take(gr_http_request *request) {
    if (!is_load(request) || tells_request(request) || gr_http_run_exists(request)) return false;
    gr_cached *entry = gr_serve_cache_quick(request->http->serve, text_of(request));
    if (!entry) return false;
    request->cached = entry;
    request->http_status = 200;
    request->served_by = entry->served_by;
    request->outcome = GR_CACHE_HIT;
    request->has_outcome = request->has_timing = true;
    return true;
}

void gr_http_cached_begin(gr_http_request *request, gr_http_asked *asked, int64_t now_us) {
    request->moment = gr_serve_cache_moment(request->http->serve, now_us);
    request->has_outcome = false;
    request->is_hot = true;
    request->entities.n = request->entities.cap = 0; /* their arena was reset */
    request->entities.v = NULL;
    asked->serve.may_cache = !gr_http_param_is_on(request, GR_STR("explain"));
    asked->serve.must_run = request->joined.n > 0;
    asked->serve.accepts = request->joined;
    if (!request->is_refresh) return;
    asked->serve.cache = GR_CACHE_NO_CACHE;
    asked->serve.has_cache = true;
}

/* Of an answer in parts: the one that tells most about how old it may be. */
static void note_outcome(gr_http_request *request, gr_cache_outcome outcome) {
    static const int weight[] = {[GR_CACHE_HIT] = 0, [GR_CACHE_BYPASS] = 1, [GR_CACHE_MISS] = 2, [GR_CACHE_STALE] = 3};
    if (request->has_outcome && weight[outcome] < weight[request->outcome]) return;
    request->outcome = outcome;
    request->has_outcome = true;
}

gr_status gr_http_cached_put(gr_http_request *request, gr_answer *answer, gr_http_load_options options, gr_arena *arena,
                             gr_error *err) {
    gr_http_load_marks marks;
    gr_cached *entry = answer->cached;
    gr_buf *out = &request->out;
    options.marks = &marks;
    if (answer->wants_refresh) {
        GR_PUSH(request->arena, &request->stale, gr_serve_cached_ref(entry));
        answer->wants_refresh = false;
    }
    GR_TRY(gr_http_encode_load(answer, &options, arena, out, err));
    note_outcome(request, answer->outcome);
    gr_http_add_served(request, answer);
    if (entry) {
        bool is_for_all = !answer->is_late && answer->query->cache != GR_CACHE_MUST_REVALIDATE; /* asks each time */
        request->is_hot &= gr_serve_cache_is_hot(entry, request->moment.second * 1000000) && is_for_all;
        for (size_t i = 0; i < entry->n_entities; i++) GR_PUSH(request->work, &request->entities, entry->entities[i]);
        return GR_OK;
    }
    gr_str all = gr_buf_str(out);
    gr_answer_keep(request->http->serve, answer, gr_str_sub(all, marks.head, marks.head_end - marks.head),
                   gr_str_sub(all, marks.tail, marks.tail_end - marks.tail), gr_http_served_by(answer, arena));
    return GR_OK;
}

void gr_http_cached_end(gr_http_request *request) {
    bool is_whole = request->has_outcome && request->outcome == GR_CACHE_HIT && request->is_hot;
    if (!is_whole || tells_request(request) || request->is_refresh) return;
    gr_serve_cache_quick_put(request->http->serve, &(gr_cached){.key = text_of(request),
                                                                .head = gr_buf_str(&request->out),
                                                                .served_by = request->served_by,
                                                                .entities = request->entities.v,
                                                                .n_entities = request->entities.n,
                                                                .moment = request->moment});
}

gr_http_request *gr_http_cached_again(gr_http_request *request) {
    if (!request->stale.n) return NULL;
    gr_arena *arena = gr_arena_new();
    gr_http_request *again = GR_NEW(arena, gr_http_request);
    *again = (gr_http_request){.http = request->http,
                               .fd = -1,
                               .arena = arena,
                               .target = gr_arena_dup(arena, request->target),
                               .path = gr_arena_dup(arena, request->path),
                               .method = request->method,
                               .route = request->route,
                               .request_id = gr_arena_dup(arena, request->request_id),
                               .started_mono_us = gr_clock_mono_us(),
                               .http_status = 200,
                               .state = GR_HTTP_RUNNING,
                               .is_refresh = true};
    again->params.v = GR_NEW_N(arena, gr_http_param, request->params.n + 1);
    for (size_t i = 0; i < request->params.n; i++) {
        const gr_http_param *p = &request->params.v[i];
        again->params.v[again->params.n++] =
            (gr_http_param){gr_arena_dup(arena, p->key), gr_arena_dup(arena, p->value)};
    }
    gr_buf_init(&again->body, request->body.max); /* a copy: the timer may look at the other one still */
    gr_buf_add(&again->body, gr_buf_str(&request->body));
    gr_buf_init(&again->out, request->out.max);
    for (size_t i = 0; i < request->stale.n; i++) GR_PUSH(arena, &again->stale, request->stale.v[i]);
    request->stale.n = 0;
    return again;
}
