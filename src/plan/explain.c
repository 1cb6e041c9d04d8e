/* Explanations: every candidate against every rule. The matcher that decides is the one that is asked, so that an
 * explanation cannot say something else than what was done. */
#include "plan/internal.h"

/* A rollup_lambda fits when all its parts do. */
static void explain_part(gr_planner *p, gr_scan *scan, const gr_rollup *lambda, const gr_rollup *part,
                         gr_refusals *ret) {
    gr_refusals all = {0};
    const gr_tree *tree = gr_rollup_fact_tree(part, scan->group.tree.nodes[0].cube);
    if (!tree) GR_PUSH(p->arena, &all, ((gr_refusal){GR_RULE_ROOT, part, NULL, NULL}));
    if (tree) gr_match_all(scan, part, tree, p->arena, &all);
    for (size_t i = 0; i < all.n; i++) {
        gr_refusal refusal = all.v[i];
        bool is_known = false;
        refusal.rollup = lambda;
        for (size_t k = 0; k < ret->n; k++) is_known |= gr_refusal_eq(&ret->v[k], &refusal);
        if (!is_known) GR_PUSH(p->arena, ret, refusal);
    }
}

static void explain_group(gr_planner *p, const gr_ask *ask, size_t n_facts, size_t group, gr_plan_report *ret) {
    const gr_group *g = &ret->groups.v[group];
    for (size_t i = 0; i < p->candidates.n; i++) {
        const gr_rollup *r = p->candidates.v[i];
        gr_candidate *c = &ret->candidates[ret->n_candidates++];
        *c = (gr_candidate){.rollup = r, .group = group};
        const gr_tree *tree = gr_rollup_fact_tree(r, g->tree.nodes[0].cube);
        if (!r->can_build || !tree || (r->n_facts > 1 && r->n_facts != n_facts)) {
            gr_rule rule = !r->can_build ? GR_RULE_CANNOT_BUILD : tree ? GR_RULE_FACTS : GR_RULE_ROOT;
            GR_PUSH(p->arena, &c->refusals, ((gr_refusal){rule, r, NULL, NULL}));
            continue;
        }
        gr_scan scan = gr_planner_scan(p, ask, g, ask->query->time_dimensions);
        if (!r->n_parts) gr_match_all(&scan, r, tree, p->arena, &c->refusals);
        for (size_t k = 0; k < r->n_parts; k++) explain_part(p, &scan, r, r->parts[k], &c->refusals);
    }
}

/* What is stored of the plan's components: a measure over a window is stored without it. */
static void take_components(const gr_plan *plan, bool with_windows, gr_arena *arena, gr_components *ret) {
    *ret = (gr_components){0};
    for (size_t i = 0; i < plan->components.n; i++) {
        gr_component c = plan->components.v[i];
        if (c.agg == GR_AGG_STAGE || (c.window && !with_windows)) continue;
        c.window = NULL;
        c.key = c.stored_key;
        gr_components_add(ret, &c, arena);
    }
}

static bool find_groups(const gr_ask *ask, gr_arena *arena, gr_groups *facts, gr_groups *ret) {
    *facts = *ret = (gr_groups){0};
    gr_status status = gr_group_facts(ask, arena, facts, NULL);
    for (size_t i = 0; !status && i < facts->n; i++) status = gr_group_split(ask, &facts->v[i], arena, ret, NULL);
    if (status) *facts = *ret = (gr_groups){0};
    return !status;
}

gr_status gr_plan_explain(const gr_plan *plan, gr_arena *arena, gr_plan_report *ret, gr_error *err) {
    gr_planner p = {.snapshot = plan->snapshot, .arena = arena, .err = err};
    gr_ask ask = {.snapshot = plan->snapshot, .query = plan->query};
    gr_planner_find_candidates(&p, plan->query);
    gr_groups facts = {0};
    *ret = (gr_plan_report){0};
    /* With what windows read, too; where that has no groups of its own, the plain part, or nothing. */
    for (int with_windows = 1; with_windows >= 0; with_windows--) {
        take_components(plan, with_windows, arena, &ask.components);
        if (find_groups(&ask, arena, &facts, &ret->groups)) break;
    }
    ret->candidates = GR_NEW_N(arena, gr_candidate, ret->groups.n * p.candidates.n + 1);
    for (size_t i = 0; i < ret->groups.n; i++) explain_group(&p, &ask, facts.n, i, ret);
    return GR_OK;
}
