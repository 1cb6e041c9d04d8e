/* What would make a refused candidate fit. Its definition is changed as its refusals say, indexed again, and asked
 * again:
 *
 *   refusals ──> draft of the definition ──> index of the model with all drafts ──> report ──┬── none left: proved
 *      ^                                                                                     │
 *      └──────────────────── others have come up (a few rounds at most) ─────────────────────┘
 *
 * So a repair that is called proved was decided by the matcher itself. Invariant: the model and the snapshot in service
 * are not touched; a draft is a copy that stands at its place in a copy of the model's list. */
#include "serve/internal.h"

typedef struct draft {
    const gr_rollup *rollup;
    const gr_group *group; /* of the query */
    const gr_query *query;
    gr_repair *repair;
    gr_arena *arena;
    gr_preagg preagg;
    gr_refusals refusals; /* not answered yet */
    GR_VEC(gr_str) texts; /* of the refusals that were answered */
    bool is_open;
    /* when proved */
    const gr_snapshot *snapshot;
    const gr_rollup *changed;
} draft;

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static uint32_t node_of(const gr_tree *tree, const gr_cube *cube) {
    for (uint32_t i = 0; i < tree->n; i++)
        if (tree->nodes[i].cube == cube) return i;
    return 0;
}

/* The way of the query, so that it hangs in the rollup's joins as it does in those of the query. */
static gr_path path_of(const draft *d, const gr_member *member) {
    const gr_tree *tree = &d->group->tree;
    uint32_t node = node_of(tree, member->cube);
    size_t n = 1;
    for (uint32_t i = node; i; i = tree->nodes[i].parent) n++;
    gr_path path = {GR_NEW_N(d->arena, const gr_cube *, n), n};
    for (uint32_t i = node; n; i = tree->nodes[i].parent) path.cubes[--n] = tree->nodes[i].cube;
    if (path.cubes[path.n - 1] != member->cube) path = (gr_path){0};
    return path;
}

/* "status", "users.country", "shops.towns.name" */
static gr_str written(const draft *d, const gr_member *member, gr_path path) {
    if (member->cube == d->preagg.cube && path.n <= 1) return member->name;
    size_t first = path.n && path.cubes[0] == d->preagg.cube ? 1 : 0;
    if (path.n < first + 2) return member->id;
    gr_str text = path.cubes[first]->name;
    for (size_t i = first + 1; i < path.n; i++)
        text = gr_arena_printf(d->arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(path.cubes[i]->name));
    return gr_arena_printf(d->arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(member->name));
}

/* False when it is there already: then adding it is no help. */
static bool add_ref(draft *d, gr_change_kind kind, gr_member_ref **refs, size_t *n, const gr_member *member,
                    const gr_granularity *granularity) {
    for (size_t i = 0; i < *n; i++) {
        const gr_granularity *have = (*refs)[i].granularity;
        bool is_same = have == granularity || (have && granularity && gr_granularity_eq(have, granularity));
        if ((*refs)[i].member == member && is_same) return false;
    }
    gr_member_ref *grown = GR_NEW_N(d->arena, gr_member_ref, *n + 1);
    if (*n) memcpy(grown, *refs, *n * sizeof *grown);
    gr_path path = path_of(d, member);
    grown[(*n)++] = (gr_member_ref){.member = member, .granularity = granularity, .path = path, .loc = d->preagg.loc};
    *refs = grown;
    GR_PUSH(d->arena, &d->repair->changes, ((gr_change){kind, written(d, member, path), granularity, NULL}));
    return true;
}

static bool add_dimension(draft *d, const gr_refusal *r) {
    return r->member && r->member->kind == GR_MEMBER_DIMENSION &&
           add_ref(d, GR_CHANGE_DIMENSION, &d->preagg.dimensions, &d->preagg.n_dimensions, r->member, NULL);
}

static bool add_segment(draft *d, const gr_refusal *r) {
    return add_ref(d, GR_CHANGE_SEGMENT, &d->preagg.segments, &d->preagg.n_segments, r->member, NULL);
}

/* A synthetic measure has the id of the one that a person wrote. */
static bool add_measure(draft *d, const gr_refusal *r) {
    const gr_member *member = r->member;
    if (member->is_synthetic && gr_model_member(d->query->model, member->id, &member, NULL)) return false;
    return add_ref(d, GR_CHANGE_MEASURE, &d->preagg.measures, &d->preagg.n_measures, member, NULL);
}

static bool add_time(draft *d, const gr_refusal *r) {
    const gr_granularity *granularity = r->granularity ? r->granularity : gr_granularity_predefined(GR_GRAIN_DAY);
    return add_ref(d, GR_CHANGE_TIME_DIMENSION, &d->preagg.time_dimensions, &d->preagg.n_time_dimensions, r->member,
                   granularity);
}

static const gr_time_field *asked_time(const draft *d, const gr_refusal *r) {
    for (size_t i = 0; i < d->query->n_time_dimensions; i++) {
        const gr_time_field *t = &d->query->time_dimensions[i];
        if (t->field.member == r->member && t->granularity == r->granularity) return t;
    }
    return NULL;
}

static bool is_rigid(const draft *d) {
    for (size_t i = 0; i < d->group->components.n; i++)
        if (!gr_component_is_mergeable(d->group->components.v[i].agg)) return true;
    return false;
}

/* The coarsest grain that what is stored and what is asked for are both made of; what cannot be merged needs its own.
 */
static const gr_granularity *common_granularity(const draft *d, const gr_refusal *r, const gr_granularity *have) {
    const gr_time_field *t = asked_time(d, r);
    if (!t) return NULL;
    if (r->rule == GR_RULE_GRANULARITY && is_rigid(d)) return t->granularity;
    gr_grain grain = gr_granularity_base(have, t->anchor_local_us);
    if (t->granularity) grain = gr_grain_common(grain, gr_granularity_base(t->granularity, t->anchor_local_us));
    const int64_t ends[] = {t->range.from_local_us, t->range.to_local_us};
    for (int i = 0; i < 2 && r->rule == GR_RULE_RANGE; i++)
        if (ends[i] != INT64_MIN && ends[i] != INT64_MAX) grain = gr_grain_common(grain, gr_grain_of_point(ends[i]));
    return grain == GR_GRAIN_NONE || grain == GR_GRAIN_CUSTOM ? NULL : gr_granularity_predefined(grain);
}

static void note_granularity(draft *d, const gr_member_ref *ref, const gr_granularity *granularity) {
    gr_str member = written(d, ref->member, path_of(d, ref->member));
    for (size_t i = 0; i < d->repair->changes.n; i++) {
        gr_change *c = &d->repair->changes.v[i];
        if (c->kind != GR_CHANGE_TIME_DIMENSION || c->granularity != ref->granularity || !gr_str_eq(c->member, member))
            continue;
        c->granularity = granularity;
        return;
    }
    GR_PUSH(d->arena, &d->repair->changes,
            ((gr_change){GR_CHANGE_TIME_DIMENSION, member, granularity, ref->granularity}));
}

/* The first stored bucket of the time dimension becomes a finer one. */
static bool refine_time(draft *d, const gr_refusal *r) {
    for (size_t i = 0; i < d->preagg.n_time_dimensions; i++) {
        gr_member_ref *ref = &d->preagg.time_dimensions[i];
        if (ref->member != r->member) continue;
        const gr_granularity *finer = common_granularity(d, r, ref->granularity);
        if (!finer || gr_granularity_eq(finer, ref->granularity)) return false;
        gr_member_ref *refs = GR_NEW_N(d->arena, gr_member_ref, d->preagg.n_time_dimensions);
        memcpy(refs, d->preagg.time_dimensions, d->preagg.n_time_dimensions * sizeof *refs);
        note_granularity(d, ref, finer);
        refs[i].granularity = finer;
        d->preagg.time_dimensions = refs;
        return true;
    }
    return false;
}

static bool (*const answers[GR_RULE__COUNT])(draft *, const gr_refusal *) = {
    [GR_RULE_DIMENSION_MISSING] = add_dimension, [GR_RULE_FILTER_MISSING] = add_dimension,
    [GR_RULE_UNGROUPED] = add_dimension,         [GR_RULE_SEGMENT_MISSING] = add_segment,
    [GR_RULE_MEASURE_MISSING] = add_measure,     [GR_RULE_TIME_MISSING] = add_time,
    [GR_RULE_GRANULARITY] = refine_time,         [GR_RULE_RANGE] = refine_time,
};

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static void add_text(draft *d, const gr_refusal *r) {
    gr_str text = gr_refusal_repair(r, d->arena);
    for (size_t i = 0; i < d->texts.n; i++)
        if (gr_str_eq(d->texts.v[i], text)) return;
    if (text.n) GR_PUSH(d->arena, &d->texts, text);
}

/* True when something was changed. */
static bool answer_refusals(draft *d) {
    bool is_changed = false;
    for (size_t i = 0; i < d->refusals.n; i++) {
        const gr_refusal *r = &d->refusals.v[i];
        if (!answers[r->rule] || !answers[r->rule](d, r)) continue;
        add_text(d, r);
        is_changed = true;
    }
    return is_changed;
}

/* The snapshot as it would be with the drafts as definitions. */
static gr_snapshot *hypothesis(const gr_serve *serve, const gr_snapshot *now, draft *drafts, size_t n,
                               gr_arena *arena) {
    gr_model *model = GR_NEW(arena, gr_model);
    gr_snapshot *ret = GR_NEW(arena, gr_snapshot);
    *model = *now->model;
    model->preaggs = GR_NEW_N(arena, gr_preagg *, model->n_preaggs + 1);
    if (model->n_preaggs) memcpy(model->preaggs, now->model->preaggs, model->n_preaggs * sizeof(gr_preagg *));
    for (size_t i = 0; i < n; i++)
        if (drafts[i].is_open) {
            gr_preagg *copy = GR_NEW(arena, gr_preagg);
            *copy = drafts[i].preagg;
            model->preaggs[copy->index] = copy;
        }
    *ret = *now;
    ret->model = model;
    ret->index = gr_plan_index_new(model, gr_exec_plan_defaults(serve->config, arena), NULL, arena);
    return ret;
}

static void take_report(draft *d, const gr_plan_report *report, size_t group, const gr_snapshot *snapshot) {
    d->is_open = false;
    for (size_t i = 0; i < report->n_candidates; i++) {
        const gr_candidate *c = &report->candidates[i];
        if (c->group != group || c->rollup->preagg->index != d->preagg.index) continue;
        d->is_open = c->refusals.n > 0;
        d->refusals = c->refusals;
        if (d->is_open) return;
        d->repair->is_proved = true;
        d->snapshot = snapshot;
        d->changed = c->rollup;
    }
}

static gr_status prove(const gr_serve *serve, const gr_plan *plan, size_t group, draft *drafts, size_t n,
                       gr_arena *arena, gr_error *err) {
    enum { MOST_ROUNDS = 4 };
    for (int round = 0; round < MOST_ROUNDS; round++) {
        bool is_any = false;
        for (size_t i = 0; i < n; i++) {
            if (drafts[i].is_open) drafts[i].is_open = answer_refusals(&drafts[i]);
            is_any |= drafts[i].is_open;
        }
        if (!is_any) return GR_OK;
        gr_plan with = *plan;
        gr_plan_report report;
        with.snapshot = hypothesis(serve, plan->snapshot, drafts, n, arena);
        GR_TRY(gr_plan_explain(&with, arena, &report, err));
        for (size_t i = 0; i < n; i++)
            if (drafts[i].is_open) take_report(&drafts[i], &report, group, with.snapshot);
    }
    return GR_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static bool names_in(const gr_field *fields, size_t n, const gr_member *member) {
    for (size_t i = 0; i < n; i++)
        if (fields[i].member == member) return true;
    return false;
}

static bool filter_names(const gr_filter *f, const gr_member *member) {
    if (f->kind == GR_FILTER_LEAF) return f->field.member == member;
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_names(f->children[i], member)) return true;
    return false;
}

static bool query_names(const gr_query *q, const gr_member *member) {
    if (names_in(q->dimensions, q->n_dimensions, member) || names_in(q->segments, q->n_segments, member)) return true;
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (q->time_dimensions[i].field.member == member) return true;
    for (size_t i = 0; i < q->n_row_filters; i++)
        if (filter_names(q->row_filters[i], member)) return true;
    return false;
}

/* How many groups a member makes is told only of what a query may ask for. */
static const gr_member *hidden_column(const draft *d) {
    for (size_t i = 0; i < d->changed->n_columns; i++) {
        const gr_member *m = d->changed->columns[i].member;
        if (!(m->is_public && m->cube->is_public) && !query_names(d->query, m)) return m;
    }
    return NULL;
}

static gr_status count_rows(const gr_serve *serve, const gr_ctx *ctx, const draft *d, int64_t *ret, gr_error *err) {
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    const gr_tz *zone = gr_rollup_zone(d->changed, d->query->tz);
    GR_TRY(gr_sql_load(d->snapshot, d->changed, zone, (gr_sql_load_options){0}, gr_exec_places(serve->exec), ctx->arena,
                       &sql, err));
    sql.text = gr_arena_printf(ctx->arena, "SELECT count(*) AS \"rows\" FROM (" GR_FMT ") AS \"r\"", GR_ARG(sql.text));
    GR_TRY(gr_exec_query(serve->exec, ctx, &sql, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    if (!status && batch && batch->n_rows) *ret = ((const int64_t *)batch->columns[0].data)[0];
    stream->close(stream);
    return status;
}

static bool makes_rows(const gr_repair *repair) {
    for (size_t i = 0; i < repair->changes.n; i++)
        if (repair->changes.v[i].kind != GR_CHANGE_MEASURE) return true;
    return false;
}

/* What the source says against counting is a problem of the estimate only. */
static gr_status estimate(const gr_serve *serve, const gr_ctx *ctx, draft *d, gr_error *err) {
    gr_repair *r = d->repair;
    if (!d->changed || !makes_rows(r)) return GR_OK;
    const gr_member *hidden = hidden_column(d);
    if (hidden) {
        r->rows_problem = gr_arena_printf(ctx->arena, GR_FMT " is not public", GR_ARG(hidden->id));
        return GR_OK;
    }
    gr_error own = {0};
    gr_status status = count_rows(serve, ctx, d, &r->rows, &own);
    r->has_rows = !status;
    if (status == GR_ERR_CANCELLED || status == GR_ERR_TIMEOUT) {
        if (err) *err = own;
        return status;
    }
    if (status) r->rows_problem = gr_arena_dup(ctx->arena, gr_str_from(own.message));
    return GR_OK;
}

static void put_rows_now(const gr_plan *plan, const draft *d) {
    const gr_tz *zone = gr_rollup_zone(d->rollup, plan->query->tz);
    const gr_rollup_state *state = gr_snapshot_state(plan->snapshot, d->rollup->preagg, zone);
    d->repair->has_rows_now = state && state->is_built;
    if (d->repair->has_rows_now) d->repair->rows_now = state->rows;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* Without a proof: what each rule that fails says, when each says something. */
static void put_words(draft *d, const gr_refusals *refusals) {
    gr_repair *r = d->repair;
    r->is_known = refusals->n > 0;
    if (!r->is_proved) {
        d->texts.n = 0;
        r->changes = (gr_changes){0};
        for (size_t i = 0; i < refusals->n; i++) {
            add_text(d, &refusals->v[i]);
            r->is_known = r->is_known && gr_refusal_repair(&refusals->v[i], d->arena).n > 0;
        }
    }
    r->texts = d->texts.v;
    r->n_texts = d->texts.n;
}

static gr_status repair_group(const gr_serve *serve, const gr_ctx *ctx, const gr_plan *plan,
                              const gr_plan_report *report, size_t group, bool wants_estimate, gr_repair *ret,
                              gr_error *err) {
    draft *drafts = GR_NEW_N(ctx->arena, draft, report->n_candidates + 1);
    size_t n = 0;
    for (size_t i = 0; i < report->n_candidates; i++) {
        const gr_candidate *c = &report->candidates[i];
        if (c->group != group || !c->refusals.n) continue;
        drafts[n++] = (draft){.rollup = c->rollup,
                              .group = &report->groups.v[group],
                              .query = plan->query,
                              .repair = &ret[i],
                              .arena = ctx->arena,
                              .preagg = *c->rollup->preagg,
                              .refusals = c->refusals,
                              .is_open = c->rollup->preagg->type == GR_PREAGG_ROLLUP};
    }
    GR_TRY(prove(serve, plan, group, drafts, n, ctx->arena, err));
    for (size_t i = 0, at = 0; i < report->n_candidates; i++) {
        if (report->candidates[i].group != group || !report->candidates[i].refusals.n) continue;
        draft *d = &drafts[at++];
        put_words(d, &report->candidates[i].refusals);
        put_rows_now(plan, d);
        if (wants_estimate && d->repair->is_proved) GR_TRY(estimate(serve, ctx, d, err));
    }
    return GR_OK;
}

gr_status gr_serve_repairs_find(const gr_serve *serve, const gr_ctx *ctx, const gr_plan *plan,
                                const gr_plan_report *report, bool wants_estimate, gr_repair *ret, gr_error *err) {
    for (size_t group = 0; group < report->groups.n; group++)
        GR_TRY(repair_group(serve, ctx, plan, report, group, wants_estimate, ret, err));
    return GR_OK;
}
