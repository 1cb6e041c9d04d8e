/* The decision for one query: its join tree, the candidates in order, what serves, one refusal for each that does not.
 *
 *   query -> join tree -> fan-out check -> candidates of each cube, in query order, then definition order
 *                                            | refused: rule, member
 *                                            | fits, built:     serves
 *                                            | fits, on demand: to_build (plan again afterwards)
 *                                            '-> none: the source */
#include "plan/internal.h"

static gr_status check_fan_out(const gr_plan *plan, const gr_member *measure, gr_error *err) {
    const gr_components *components = &plan->snapshot->index->components[measure->index];
    for (size_t i = 0; i < components->n; i++) {
        const gr_component *c = &components->v[i];
        uint32_t node = gr_tree_find(&plan->tree, c->measure->cube);
        if (node == GR_TREE_NONE || !plan->tree.nodes[node].is_multiplied || gr_component_survives_fan_out(c->agg))
            continue;
        gr_status status =
            gr_error_set(err, GR_ERR_PLAN_FAN_OUT,
                         "The joins of this query multiply the rows of '" GR_FMT "', so '" GR_FMT "' would be inflated",
                         GR_ARG(c->measure->cube->name), GR_ARG(c->measure->id));
        gr_error_hint(err,
                      "ask for the measures of '" GR_FMT "' in a query of their own, without members of '" GR_FMT "'",
                      GR_ARG(c->measure->cube->name), GR_ARG(plan->tree.nodes[0].cube->name));
        return status;
    }
    return GR_OK;
}

static gr_status check_filter_fan_out(const gr_plan *plan, const gr_filter *f, gr_error *err) {
    if (f->kind == GR_FILTER_LEAF)
        return f->field.member->kind == GR_MEMBER_MEASURE ? check_fan_out(plan, f->field.member, err) : GR_OK;
    for (size_t i = 0; i < f->n_children; i++) GR_TRY(check_filter_fan_out(plan, f->children[i], err));
    return GR_OK;
}

static void collect_filter(const gr_filter *f, gr_arena *arena, gr_paths *out) {
    if (f->kind == GR_FILTER_LEAF) gr_tree_collect(f->field.member, f->field.path, arena, out);
    for (size_t i = 0; i < f->n_children; i++) collect_filter(f->children[i], arena, out);
}

static gr_status build_tree(gr_plan *plan, gr_arena *arena, gr_error *err) {
    const gr_query *q = plan->query;
    gr_paths paths = {0};
    for (size_t i = 0; i < q->n_measures; i++)
        gr_tree_collect(q->measures[i].member, q->measures[i].path, arena, &paths);
    for (size_t i = 0; i < q->n_dimensions; i++)
        gr_tree_collect(q->dimensions[i].member, q->dimensions[i].path, arena, &paths);
    for (size_t i = 0; i < q->n_segments; i++)
        gr_tree_collect(q->segments[i].member, q->segments[i].path, arena, &paths);
    for (size_t i = 0; i < q->n_row_filters; i++) collect_filter(q->row_filters[i], arena, &paths);
    for (size_t i = 0; i < q->n_measure_filters; i++) collect_filter(q->measure_filters[i], arena, &paths);
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        gr_tree_collect(q->time_dimensions[i].field.member, q->time_dimensions[i].field.path, arena, &paths);
    GR_TRY(gr_tree_build(&paths, plan->snapshot->model->n_cubes, arena, &plan->tree, err));
    plan->data_source = plan->tree.nodes[0].cube->data_source;
    for (uint32_t i = 1; i < plan->tree.n; i++)
        if (!gr_str_eq(plan->tree.nodes[i].cube->data_source, plan->data_source))
            return gr_error_set(err, GR_ERR_PLAN_MIXED_SOURCES,
                                "'" GR_FMT "' and '" GR_FMT "' live in different data sources",
                                GR_ARG(plan->tree.nodes[0].cube->name), GR_ARG(plan->tree.nodes[i].cube->name));
    if (q->is_ungrouped) return GR_OK;
    for (size_t i = 0; i < q->n_measures; i++) GR_TRY(check_fan_out(plan, q->measures[i].member, err));
    for (size_t i = 0; i < q->n_measure_filters; i++) GR_TRY(check_filter_fan_out(plan, q->measure_filters[i], err));
    return GR_OK;
}

typedef struct chooser {
    gr_plan *plan;
    gr_plan_options options;
    gr_arena *arena;
    GR_VEC(gr_refusal) refusals;
} chooser;

static void note(chooser *c, gr_refusal refusal) { GR_PUSH(c->arena, &c->refusals, refusal); }

static bool is_excluded(const gr_plan_options *options, const gr_rollup *r) {
    for (size_t i = 0; i < options->n_excluded; i++)
        if (options->excluded[i]->entity == r->entity) return true;
    return false;
}

/* What is built decides: serve, build first, or go on. True when the search ends here. */
static bool settle(chooser *c, const gr_rollup *r) {
    gr_plan *plan = c->plan;
    const gr_tz *zone = gr_rollup_zone(r, plan->query->tz);
    const gr_rollup_state *state = gr_snapshot_state(plan->snapshot, r->preagg, zone);
    gr_refusal refusal = {0};
    if (!gr_match_zone(plan, r, state && state->is_built ? state : NULL, &refusal)) {
        note(c, refusal);
        return false;
    }
    bool is_built = state && state->is_built;
    if (c->options.ignore_builds || is_built) {
        plan->rollup = r;
        plan->rollup_zone = zone;
        plan->state = is_built ? state : NULL;
        return true;
    }
    bool has_failed = state && state->is_failed && c->options.now_us < state->retry_at_us;
    if (has_failed || is_excluded(&c->options, r))
        note(c, (gr_refusal){GR_RULE_BUILD_FAILED, r, NULL, NULL});
    else if (r->preagg->build == GR_BUILD_EXPLICIT)
        note(c, (gr_refusal){GR_RULE_NOT_BUILT, r, NULL, NULL});
    else if (!state && r->depends_on_zone && plan->snapshot->n_states &&
             (int64_t)plan->snapshot->n_states[r->entity->preagg->index] >= plan->snapshot->max_zones)
        note(c, (gr_refusal){GR_RULE_TIME_ZONE, r, NULL, NULL});
    else {
        plan->to_build = r;
        plan->to_build_zone = zone;
        return true;
    }
    return false;
}

static void choose(chooser *c) {
    const gr_cube **cubes;
    size_t n = gr_query_cubes(c->plan->query, c->arena, &cubes);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < cubes[i]->n_preaggs; k++) {
            const gr_preagg *p = cubes[i]->preaggs[k];
            if (p->type != GR_PREAGG_ROLLUP) continue;
            const gr_rollup *r = gr_plan_index_rollup(c->plan->snapshot->index, p);
            gr_refusal refusal = {GR_RULE_FORBIDDEN, r, NULL, NULL};
            if (c->options.without_rollups || !gr_match_rollup(c->plan, r, &refusal))
                note(c, refusal);
            else if (settle(c, r))
                return;
        }
}

gr_status gr_plan_query(const gr_snapshot *snapshot, const gr_query *query, gr_plan_options options, gr_arena *arena,
                        gr_plan **ret, gr_error *err) {
    gr_plan *plan = GR_NEW(arena, gr_plan);
    *plan = (gr_plan){.query = query, .snapshot = snapshot};
    GR_TRY(build_tree(plan, arena, err));
    chooser c = {.plan = plan, .options = options, .arena = arena};
    choose(&c);
    plan->refusals = c.refusals.v;
    plan->n_refusals = c.refusals.n;
    if (!plan->rollup) plan->is_non_strict_range = plan->is_exact_match = false;
    if (snapshot->is_rollup_only && !plan->rollup && !plan->to_build && !options.without_rollups) {
        gr_status status = gr_error_set(err, GR_ERR_PLAN_ROLLUP_ONLY,
                                        "No pre-aggregation serves this query, and rollup-only mode is on");
        if (plan->n_refusals) {
            gr_str detail = gr_refusal_detail(&plan->refusals[0], arena);
            gr_error_hint(err, GR_FMT ": " GR_FMT, GR_ARG(plan->refusals[0].rollup->preagg->id), GR_ARG(detail));
        }
        return status;
    }
    *ret = plan;
    return GR_OK;
}

const gr_rollup_column *gr_plan_stored_column(const gr_plan *plan, const gr_member *member) {
    for (size_t i = 0; i < plan->rollup->n_columns; i++)
        if (plan->rollup->columns[i].member == member && !plan->rollup->columns[i].granularity)
            return &plan->rollup->columns[i];
    return NULL;
}

const gr_rollup_component *gr_plan_stored_component(const gr_plan *plan, const gr_component *component) {
    for (size_t i = 0; i < plan->rollup->n_components; i++)
        if (gr_str_eq(plan->rollup->components[i].component.key, component->key)) return &plan->rollup->components[i];
    return NULL;
}
