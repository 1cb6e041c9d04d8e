/* Windows without a dateRange: their buckets are those between the first and the last value of their time dimension.
 * These are asked of the source; and when one rollup then serves the whole answer, of that rollup, so that buckets and
 * values are of the same time. */
#include "exec/exec.h"
#include "sql/sql.h"

enum { MOST_SPANS = 16 };

typedef struct asker {
    gr_exec *exec;
    const gr_ctx *ctx;
    const gr_query *query;
    gr_plan_options how;
    gr_span spans[MOST_SPANS];
    const gr_time_field *times[MOST_SPANS]; /* parallel */
} asker;

static gr_status read_span(asker *a, const gr_plan *probe, gr_span *ret, gr_error *err) {
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    GR_TRY(gr_sql_span(probe, gr_exec_places(a->exec), a->ctx->arena, &sql, err));
    GR_TRY(gr_exec_query(a->exec, a->ctx, &sql, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    if (!status && batch && batch->n_rows && !gr_column_is_null(&batch->columns[0], 0)) {
        ret->is_empty = false;
        ret->min_local_us = ((const int64_t *)batch->columns[0].data)[0];
        ret->max_local_us = ((const int64_t *)batch->columns[1].data)[0];
    }
    while (!status && batch) status = stream->next(stream, &batch, err); /* to its end, so that nothing stays open */
    stream->close(stream);
    return status;
}

static gr_status ask_source(asker *a, const gr_plan *plan, gr_error *err) {
    size_t i = a->how.n_spans++;
    gr_plan *probe;
    a->times[i] = plan->to_probe;
    a->spans[i] = (gr_span){.member = plan->to_probe->field.member, .is_empty = true};
    GR_TRY(gr_plan_probe(plan, a->times[i], NULL, a->ctx->arena, &probe, err));
    return read_span(a, probe, &a->spans[i], err);
}

/* False when the rollup cannot tell. */
static gr_status ask_rollup(asker *a, const gr_plan *plan, bool *ret_is_known, gr_error *err) {
    gr_plan *probe;
    *ret_is_known = true;
    for (size_t i = 0; i < a->how.n_spans && *ret_is_known; i++) {
        GR_TRY(gr_plan_probe(plan, a->times[i], plan->uses[0].rollup, a->ctx->arena, &probe, err));
        *ret_is_known = probe != NULL;
        a->spans[i].is_empty = true;
        if (probe) GR_TRY(read_span(a, probe, &a->spans[i], err));
    }
    return GR_OK;
}

static bool is_one_rollups(const gr_plan *plan) {
    return plan->n_uses == 1 && !plan->reads_source && !plan->to_build && !plan->uses[0].lambda;
}

/* The rollup serves the windows only while the source has nothing to make buckets of: over its own time it does not
 * (`again` says why). Then buckets and values would be of two times, and the query does without it. */
static gr_status plan_without(const asker *a, const gr_snapshot *snapshot, gr_plan_options how, const gr_plan *again,
                              const gr_rollup *rollup, gr_plan **ret, gr_error *err) {
    gr_arena *arena = a->ctx->arena;
    const gr_rollup **passed_by = GR_NEW_N(arena, const gr_rollup *, how.n_passed_by + 1);
    if (how.n_passed_by) memcpy(passed_by, how.passed_by, how.n_passed_by * sizeof *passed_by);
    passed_by[how.n_passed_by++] = rollup;
    how.passed_by = passed_by;
    GR_TRY(gr_exec_plan(a->exec, a->ctx, snapshot, a->query, how, ret, err));
    gr_refusal *refusals = GR_NEW_N(arena, gr_refusal, (*ret)->n_refusals + again->n_refusals + 1);
    size_t n = 0;
    for (size_t i = 0; i < again->n_refusals; i++)
        if (again->refusals[i].rollup->entity == rollup->entity) refusals[n++] = again->refusals[i];
    for (size_t i = 0; i < (*ret)->n_refusals; i++) refusals[n++] = (*ret)->refusals[i];
    (*ret)->refusals = refusals;
    (*ret)->n_refusals = n;
    return GR_OK;
}

gr_status gr_exec_plan(gr_exec *exec, const gr_ctx *ctx, const gr_snapshot *snapshot, const gr_query *query,
                       gr_plan_options how, gr_plan **ret, gr_error *err) {
    asker a = {.exec = exec, .ctx = ctx, .query = query, .how = how};
    bool is_known;
    a.how.spans = a.spans;
    a.how.n_spans = 0;
    GR_TRY(gr_plan_query(snapshot, query, a.how, ctx->arena, ret, err));
    while ((*ret)->to_probe && a.how.n_spans < MOST_SPANS) {
        GR_TRY(ask_source(&a, *ret, err));
        GR_TRY(gr_plan_query(snapshot, query, a.how, ctx->arena, ret, err));
    }
    if (!a.how.n_spans || how.ignore_builds || !is_one_rollups(*ret)) return GR_OK;
    GR_TRY(ask_rollup(&a, *ret, &is_known, err));
    if (!is_known) return GR_OK;
    gr_plan *again;
    GR_TRY(gr_plan_query(snapshot, query, a.how, ctx->arena, &again, err));
    const gr_rollup *rollup = (*ret)->uses[0].rollup;
    if (!is_one_rollups(again) || again->uses[0].rollup != rollup)
        return plan_without(&a, snapshot, how, again, rollup, ret, err);
    *ret = again;
    return GR_OK;
}
