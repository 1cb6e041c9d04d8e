/* Comparisons and blends: requests of several queries, which are answered one after another on one worker.
 *
 *   parse all -> plan all -> a build is missing? wait for it, and begin anew
 *                         -> none is: run and encode, part by part
 *
 * Invariants: no part runs before every part is known to be good and its builds are there, so that waiting repeats no
 * work; a part's memory is let go when it is encoded; all parts have the same `now`. */
#include "http/internal.h"

enum { MOST_SERVED_BYTES = 400 }; /* of x-granary-served-by */

typedef struct parts {
    gr_http_request *request;
    const gr_http_asked *asked;
    gr_ctx ctx; /* its arena is that of the part */
    const gr_snapshot *snapshot;
    gr_query_set set;
} parts;

/* ---- the set --------------------------------------------------------------------------------- */
static gr_status parse(parts *p, gr_error *err) {
    const gr_config *c = p->request->http->config;
    gr_query_options options = {.default_limit = c->default_limit,
                                .max_limit = c->max_limit,
                                .max_members = (size_t)c->max_members,
                                .max_filter_depth = (size_t)c->max_filter_depth,
                                .max_filter_values = (size_t)c->max_filter_values,
                                .now_us = p->ctx.now_us};
    GR_TRY(gr_tz_get(c->default_timezone, &options.default_tz, err));
    return gr_query_parse_set(p->snapshot->model, p->asked->serve.query, &options, p->request->work, &p->set, err);
}

static gr_status open_parts(parts *p, gr_http_request *request, const gr_http_asked *asked, const gr_ctx *ctx,
                            gr_error *err) {
    *p = (parts){.request = request, .asked = asked, .ctx = *ctx};
    p->ctx.arena = gr_arena_new();
    p->snapshot = gr_serve_snapshot_ref(request->http->serve);
    request->served_by = (gr_str){0};
    return parse(p, err);
}

static void close_parts(parts *p) {
    gr_serve_snapshot_unref(p->snapshot);
    gr_arena_free(p->ctx.arena);
}

/* Rows of a set have a column more. */
static gr_request request_of(const parts *p, size_t index) {
    gr_request request = p->asked->serve;
    request.query = p->set.queries[index]->source;
    request.form = p->set.type == GR_QUERY_COMPARE
                       ? gr_arena_printf(p->ctx.arena, "compare " GR_FMT " " GR_FMT,
                                         GR_ARG(p->set.ranges[index].from_text), GR_ARG(p->set.ranges[index].to_text))
                       : gr_arena_printf(p->ctx.arena, "blend " GR_FMT, GR_ARG(p->set.granularity));
    return request;
}

static gr_status check_time(const parts *p, gr_error *err) {
    if (gr_ctx_is_cancelled(&p->ctx)) return gr_error_set(err, GR_ERR_CANCELLED, "The request was cancelled");
    if (gr_ctx_is_late(&p->ctx))
        return gr_error_set(err, GR_ERR_TIMEOUT, "The queries of the request took longer than its limit");
    return GR_OK;
}

static void add_one(gr_http_request *request, gr_str id) {
    gr_str all = request->served_by;
    for (size_t at = 0; at < all.n;) {
        size_t end = gr_str_find(all, ',', at);
        if (end == SIZE_MAX) end = all.n;
        if (gr_str_eq(gr_str_sub(all, at, end - at), id)) return;
        at = end + 2;
    }
    if (all.n + id.n + 2 > MOST_SERVED_BYTES) return;
    request->served_by = all.n ? gr_arena_printf(request->arena, GR_FMT ", " GR_FMT, GR_ARG(all), GR_ARG(id))
                               : gr_arena_dup(request->arena, id);
}

void gr_http_add_served(gr_http_request *request, const gr_answer *answer) {
    gr_str all = gr_http_served_by(answer, request->work);
    for (size_t at = 0; at < all.n;) {
        size_t end = gr_str_find(all, ',', at);
        if (end == SIZE_MAX) end = all.n;
        add_one(request, gr_str_sub(all, at, end - at));
        at = end + 2;
    }
}

/* ---- plans ----------------------------------------------------------------------------------- */
typedef gr_status plan_user(parts *p, size_t index, const gr_answer *answer, gr_error *err);

static gr_status plan_one(parts *p, size_t index, bool as_if_built, plan_user *use, gr_error *err) {
    gr_answer answer = {0};
    gr_request request = request_of(p, index);
    GR_TRY(check_time(p, err));
    gr_status status = gr_serve_plan(p->request->http->serve, &p->ctx, &request, as_if_built, &answer, err);
    if (!status) status = use(p, index, &answer, err);
    gr_answer_done(&answer);
    gr_arena_reset(p->ctx.arena);
    return status;
}

static gr_status put_sql(parts *p, size_t index, const gr_answer *answer, gr_error *err) {
    if (index) gr_buf_char(&p->request->out, ',');
    gr_http_add_served(p->request, answer);
    return gr_http_encode_sql(answer, p->request->http->config, p->ctx.arena, &p->request->out, err);
}

gr_status gr_http_sql_set(gr_http_request *request, const gr_http_asked *asked, gr_error *err) {
    parts p;
    gr_ctx ctx = gr_http_ctx(request);
    gr_status status = open_parts(&p, request, asked, &ctx, err);
    gr_buf_char(&request->out, '[');
    for (size_t i = 0; i < p.set.n && !status; i++) status = plan_one(&p, i, true, put_sql, err);
    gr_buf_char(&request->out, ']');
    close_parts(&p);
    return status;
}

static gr_status note_served(parts *p, size_t index, const gr_answer *answer, gr_error *err) {
    (void)index;
    (void)err;
    gr_http_add_served(p->request, answer);
    return GR_OK;
}

gr_status gr_http_dry_run_set(gr_http_request *request, const gr_http_asked *asked, gr_error *err) {
    parts p;
    gr_ctx ctx = gr_http_ctx(request);
    gr_status status = open_parts(&p, request, asked, &ctx, err);
    for (size_t i = 0; i < p.set.n && !status; i++) status = plan_one(&p, i, true, note_served, err);
    if (!status) status = gr_http_encode_dry_run(&p.set, p.ctx.arena, &request->out, err);
    close_parts(&p);
    return status;
}

/* ---- load ------------------------------------------------------------------------------------ */
/* A build that is missing is asked for by running its query, which comes back at once with the flight. It comes back
 * with an answer when the build has just ended, or has failed lately; then its part will find its way. */
static gr_status await_build(parts *p, size_t index, const gr_answer *plan, gr_error *err) {
    if (!plan->plan->to_build) return GR_OK;
    gr_request request = request_of(p, index);
    gr_answer answer = {0};
    gr_status status = gr_serve_query(p->request->http->serve, &p->ctx, &request, &answer, &p->request->flight, err);
    gr_answer_done(&answer);
    return status;
}

static gr_status encode_part(parts *p, size_t index, gr_answer *answer, gr_error *err) {
    gr_http_request *request = p->request;
    gr_http_load_options options = gr_http_load_options_of(request);
    options.set = &p->set;
    options.part = index;
    if (index) gr_buf_char(&request->out, ',');
    GR_TRY(gr_http_cached_put(request, answer, options, p->ctx.arena, err));
    request->planned_us += answer->planned_us;
    request->engine_us += answer->started_us;
    gr_serve_stats_answered(gr_serve_counts(request->http->serve), answer->plan);
    return GR_OK;
}

/* Sets request->flight when the part needs a build after all. */
static gr_status run_part(parts *p, size_t index, gr_error *err) {
    gr_answer answer = {0};
    gr_request request = request_of(p, index);
    GR_TRY(check_time(p, err));
    gr_status status = gr_serve_query(p->request->http->serve, &p->ctx, &request, &answer, &p->request->flight, err);
    if (answer.joined.n) p->request->joined = gr_arena_dup(p->request->arena, answer.joined);
    if (!status && !p->request->flight) status = encode_part(p, index, &answer, err);
    gr_answer_done(&answer);
    gr_arena_reset(p->ctx.arena);
    return status;
}

static gr_status run_parts(parts *p, gr_error *err) {
    gr_http_request *request = p->request;
    gr_jw w;
    gr_jw_init(&w, &request->out);
    gr_http_encode_set_begin(&p->set, &w);
    request->planned_us = request->engine_us = 0;
    for (size_t i = 0; i < p->set.n; i++) {
        GR_TRY(run_part(p, i, err));
        if (request->flight) return GR_OK;
    }
    GR_TRY(gr_http_encode_set_end(&p->set, p->ctx.arena, &w, err));
    request->has_timing = true;
    gr_http_cached_end(request);
    return GR_OK;
}

gr_status gr_http_load_set(gr_http_request *request, const gr_http_asked *asked, const gr_ctx *ctx, gr_error *err) {
    parts p;
    gr_status status = open_parts(&p, request, asked, ctx, err);
    if (!status && !asked->is_multi)
        status = gr_error_set(err, GR_ERR_QUERY_UNSUPPORTED,
                              "'" GR_FMT "' query type is not supported by the client.Please update the client.",
                              GR_ARG(gr_query_type_name(asked->type)));
    for (size_t i = 0; i < p.set.n && !status && !request->flight; i++)
        status = plan_one(&p, i, false, await_build, err);
    if (!status && !request->flight) status = run_parts(&p, err);
    close_parts(&p);
    return status;
}
