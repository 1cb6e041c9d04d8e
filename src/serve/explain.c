/* The use case of an explanation: plan each query of a request, ask every candidate for every rule that it fails, and
 * work out what would help (repair.c). Invariant: nothing is built; without an estimate nothing is read but the ends of
 * a time dimension, where the plan itself needs them. */
#include "serve/internal.h"

static gr_status explain_one(gr_serve *serve, const gr_ctx *ctx, const gr_explain_request *request, json_t *query,
                             gr_explanation *ret, gr_error *err) {
    gr_request one = request->serve;
    one.query = query;
    gr_explanation e = {.places = gr_exec_places(serve->exec)};
    GR_TRY(gr_serve_plan(serve, ctx, &one, request->as_if_built, &e.answer, err));
    gr_status status = gr_plan_explain(e.answer.plan, ctx->arena, &e.report, err);
    e.repairs = GR_NEW_N(ctx->arena, gr_repair, e.report.n_candidates + 1);
    if (!status)
        status = gr_serve_repairs_find(serve, ctx, e.answer.plan, &e.report, request->wants_estimate, e.repairs, err);
    if (status)
        gr_answer_done(&e.answer);
    else
        *ret = e;
    return status;
}

static gr_status explain_set(gr_serve *serve, const gr_ctx *ctx, const gr_explain_request *request,
                             const gr_snapshot *snapshot, gr_explanations *ret, gr_error *err) {
    gr_query_options options;
    gr_query_set set;
    GR_TRY(gr_serve_query_options(serve, ctx->now_us, &options, err));
    GR_TRY(gr_query_parse_set(snapshot->model, request->serve.query, &options, ctx->arena, &set, err));
    ret->v = GR_NEW_N(ctx->arena, gr_explanation, set.n);
    for (size_t i = 0; i < set.n; i++) {
        if (gr_ctx_is_cancelled(ctx)) return gr_error_set(err, GR_ERR_CANCELLED, "The request was cancelled");
        if (gr_ctx_is_late(ctx)) return gr_error_set(err, GR_ERR_TIMEOUT, "The explanations took too long");
        GR_TRY(explain_one(serve, ctx, request, set.queries[i]->source, &ret->v[ret->n], err));
        ret->n++;
    }
    return GR_OK;
}

gr_status gr_serve_explain(gr_serve *serve, const gr_ctx *ctx, const gr_explain_request *request, gr_explanations *ret,
                           gr_error *err) {
    gr_explanations all = {.type = gr_query_type_of(request->serve.query)};
    gr_status status;
    if (all.type == GR_QUERY_REGULAR) {
        all.v = GR_NEW(ctx->arena, gr_explanation);
        status = explain_one(serve, ctx, request, request->serve.query, all.v, err);
        all.n = !status;
    } else {
        const gr_snapshot *snapshot = gr_serve_snapshot_ref(serve);
        status = explain_set(serve, ctx, request, snapshot, &all, err);
        gr_serve_snapshot_unref(snapshot);
    }
    if (status)
        gr_serve_explanations_done(&all);
    else
        *ret = all;
    return status;
}

void gr_serve_explanations_done(gr_explanations *all) {
    for (size_t i = 0; all && i < all->n; i++) gr_answer_done(&all->v[i].answer);
}
