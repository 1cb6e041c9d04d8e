/* The decision for one query.
 *
 *   query -> components -> plain ones:   facts -> a rollup for all of it, else for each grain group:
 *                                                   a rollup | a rollup and its edges | the source
 *                       -> windows:      an inner plan over the widened range (window.c)
 *                       -> stages:       inner plans at the stage's own grain (stage.c)
 *
 * A candidate is refused (rule, member), serves, or fits and is to be built first; then planning stops, and is done
 * again afterwards. Candidates are tried in a fixed order, so that the same inputs give the same plan. */
#include "plan/internal.h"

/* ---- candidates -------------------------------------------------------------------------------------------------- */

void gr_planner_note(gr_planner *p, gr_refusal refusal) {
    for (size_t i = 0; i < p->refusals.n; i++) /* inner plans ask the same again */
        if (gr_refusal_eq(&p->refusals.v[i], &refusal)) return;
    GR_PUSH(p->arena, &p->refusals, refusal);
}

static bool is_rollup(const gr_preagg *p) { return p->type != GR_PREAGG_ORIGINAL_SQL; }

static bool is_listed(const gr_rollup *const *list, size_t n, const gr_rollup *r) {
    for (size_t i = 0; i < n; i++)
        if (list[i]->entity == r->entity) return true;
    return false;
}

static void add_candidate(gr_planner *p, const gr_rollup *r) {
    if (p->options.only && p->options.only->entity != r->entity) return;
    if (is_listed(p->options.passed_by, p->options.n_passed_by, r)) return;
    for (size_t i = 0; i < p->candidates.n; i++)
        if (p->candidates.v[i] == r) return;
    GR_PUSH(p->arena, &p->candidates, r);
}

/* The rollups of every cube of the query, then those of other cubes that are computed over the same fact (decisions
 * 12). */
void gr_planner_find_candidates(gr_planner *p, const gr_query *q) {
    const gr_plan_index *index = p->snapshot->index;
    const gr_cube **cubes;
    size_t n = gr_query_cubes(q, p->arena, &cubes);
    p->is_cheapest = index->is_cheapest;
    for (size_t i = 0; i < n; i++) {
        p->is_cheapest |= cubes[i]->is_cheapest;
        for (size_t k = 0; k < cubes[i]->n_preaggs; k++) {
            p->is_cheapest |= cubes[i]->preaggs[k]->is_cheapest;
            if (is_rollup(cubes[i]->preaggs[k])) add_candidate(p, &index->rollups[cubes[i]->preaggs[k]->index]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const gr_rollup_list *list = &index->by_fact[cubes[i]->index];
        for (size_t k = 0; k < list->n; k++) add_candidate(p, list->v[k]);
    }
    if (q->selection != GR_SELECTION_MODEL) p->is_cheapest = q->selection == GR_SELECTION_CHEAPEST;
}

static bool is_excluded(const gr_plan_options *options, const gr_rollup *r) {
    return is_listed(options->excluded, options->n_excluded, r);
}

const gr_rollup_state *gr_planner_state(const gr_planner *p, const gr_query *q, const gr_rollup *r, const gr_tz *zone) {
    return q->pinned_version.n ? gr_snapshot_pinned(p->snapshot, r->preagg, zone, q->pinned_version)
                               : gr_snapshot_state(p->snapshot, r->preagg, zone);
}

/* A component that the scan reads and the build does not hold; what a value column gives is computed from that. NULL:
 * it holds all. Without a scan every component is read. */
static const gr_member *find_lack(const gr_scan *scan, const gr_rollup *r, const gr_rollup_state *state) {
    if (!state || !state->lacks) return NULL;
    for (size_t i = 0; !scan && i < r->n_components; i++)
        if (state->lacks[i]) return r->components[i].component.measure;
    for (size_t i = 0; scan && i < scan->group.components.n; i++) {
        const gr_component *c = &scan->group.components.v[i];
        gr_scan reading = *scan;
        reading.rollup = r;
        if (gr_scan_value_column(&reading, c)) continue;
        const gr_rollup_component *stored = gr_scan_stored_component(&reading, c->stored_key);
        if (stored && state->lacks[stored - r->components]) return c->measure;
    }
    return NULL;
}

/* It is wanted and not there: built first, unless something stands against that. */
static gr_verdict build_or_refuse(gr_planner *p, const gr_rollup *r, const gr_rollup *asked,
                                  const gr_rollup_state *state, const gr_member *lacking, const gr_tz *zone,
                                  const gr_run *wanted) {
    bool has_failed = state && state->is_failed && p->options.now_us < state->retry_at_us;
    if (has_failed || is_excluded(&p->options, r))
        gr_planner_note(p, (gr_refusal){GR_RULE_BUILD_FAILED, asked, NULL, NULL});
    else if (asked->preagg->build == GR_BUILD_EXPLICIT || p->options.without_builds ||
             (asked->n_parts && r->preagg->build == GR_BUILD_EXPLICIT))
        gr_planner_note(p, (gr_refusal){GR_RULE_NOT_BUILT, asked, lacking, NULL});
    else if (!state && r->depends_on_zone && p->snapshot->n_states &&
             (int64_t)p->snapshot->n_states[r->entity->preagg->index] >= p->snapshot->max_zones)
        gr_planner_note(p, (gr_refusal){GR_RULE_TIME_ZONE, asked, NULL, NULL});
    else {
        p->to_build = r;
        p->to_build_zone = zone;
        p->to_build_run = *wanted;
        return GR_BUILD_FIRST;
    }
    return GR_REFUSED;
}

gr_verdict gr_planner_settle(gr_planner *p, const gr_query *q, const gr_scan *scan, const gr_rollup *r,
                             const gr_rollup *asked, const gr_rollup_state **ret_state, const gr_tz **ret_zone) {
    const gr_tz *zone = gr_rollup_zone(r, q->tz);
    const gr_rollup_state *state = gr_planner_state(p, q, r, zone);
    const gr_member *lacking = state && state->is_built ? find_lack(scan, r, state) : NULL;
    const gr_member *changed =
        state && state->is_built && !lacking ? gr_plan_pinned_changed(p, q, scan, r, state) : NULL;
    bool is_built =
        state && state->is_built && !lacking && !changed && !(state->is_foreign && is_excluded(&p->options, r));
    gr_run wanted = scan ? gr_tile_run(scan, r) : (gr_run){INT64_MIN, INT64_MAX};
    *ret_zone = zone;
    *ret_state = is_built ? state : NULL;
    if (p->options.ignore_builds) return GR_SERVES;
    if (is_built) {
        bool is_missing = !q->pinned_version.n && gr_rollup_is_missing(state, &wanted);
        if (is_missing && build_or_refuse(p, r, asked, state, NULL, zone, &wanted) == GR_BUILD_FIRST)
            return GR_BUILD_FIRST;
        return !scan && state->n_missing ? GR_REFUSED : GR_SERVES;
    }
    if (q->pinned_version.n) {
        gr_rule rule = changed ? GR_RULE_CHANGED : state ? GR_RULE_NOT_BUILT : GR_RULE_VERSION;
        gr_planner_note(p, (gr_refusal){rule, asked, changed ? changed : lacking, NULL});
        return GR_REFUSED;
    }
    return build_or_refuse(p, r, asked, state, lacking, zone, &wanted);
}

/* A build range, or partitions that are not there: all that the query wants is stored, or (with a tiling) some of it.
 */
static bool clip(gr_planner *p, gr_scan *scan, const gr_rollup *r, const gr_rollup_state *state, gr_tiling *tiling) {
    gr_tiling scratch = {0}, *t = tiling ? tiling : &scratch;
    gr_run wanted = gr_tile_run(scan, r);
    gr_rule rule = state && gr_rollup_is_missing(state, &wanted) ? GR_RULE_PARTITION : GR_RULE_BUILD_RANGE;
    gr_clip c = gr_rule_is_off(rule) ? GR_CLIP_WHOLE : gr_tile_clip(scan, r, state, t);
    gr_refusal refusal = {rule, r, r->ranged ? r->ranged->member : NULL, NULL};
    bool is_served = c == GR_CLIP_WHOLE;
    if (c == GR_CLIP_PART && tiling) {
        scan->times[t->time].range = t->inner;
        is_served = gr_match_edges(scan, r, gr_rollup_fact_tree(r, scan->group.tree.nodes[0].cube), t, &refusal);
    }
    if (!is_served) gr_planner_note(p, refusal);
    return is_served;
}

/* What is built decides: serve, build first, or go on. A rollup_join is as built as its parts. */
static gr_verdict settle(gr_planner *p, gr_scan *scan, const gr_rollup *r, gr_tiling *tiling) {
    const gr_rollup_state *state = NULL;
    const gr_tz *zone = scan->query->tz;
    gr_refusal refusal = {0};
    gr_verdict v = GR_SERVES;
    if (r->n_links && !gr_match_zone(scan, r, NULL, &refusal)) {
        gr_planner_note(p, refusal);
        return GR_REFUSED;
    }
    for (size_t i = 0; i < r->n_links && v == GR_SERVES; i++) {
        if (i == 0) v = gr_planner_settle(p, scan->query, NULL, r->links[i].from, r, &state, &zone);
        if (v == GR_SERVES) v = gr_planner_settle(p, scan->query, NULL, r->links[i].to, r, &state, &zone);
    }
    if (!r->n_links) {
        zone = gr_rollup_zone(r, scan->query->tz);
        state = gr_planner_state(p, scan->query, r, zone);
        if (!gr_match_zone(scan, r, state && state->is_built ? state : NULL, &refusal)) {
            gr_planner_note(p, refusal);
            return GR_REFUSED;
        }
        v = gr_planner_settle(p, scan->query, scan, r, r, &state, &zone);
        if (v == GR_SERVES && !clip(p, scan, r, state, tiling)) return GR_REFUSED;
    }
    if (v != GR_SERVES) return v;
    scan->rollup = r;
    scan->rollup_zone = zone;
    scan->state = state;
    if (state && !r->n_links) scan->reading = gr_tile_reading(scan, r, state, p->arena);
    return GR_SERVES;
}

/* ---- one scan ---------------------------------------------------------------------------------------------------- */

gr_scan gr_planner_scan(gr_planner *p, const gr_ask *ask, const gr_group *group, const gr_time_field *times) {
    size_t n = ask->query->n_time_dimensions;
    gr_scan scan = {.query = ask->query, .snapshot = p->snapshot, .group = *group};
    scan.times = GR_NEW_N(p->arena, gr_time_field, n + 1);
    if (n) memcpy(scan.times, times, n * sizeof *times);
    return scan;
}

const gr_tree *gr_rollup_fact_tree(const gr_rollup *r, const gr_cube *root) {
    for (size_t i = 0; i < r->n_facts; i++)
        if (r->facts[i] == root) return &r->trees[i];
    return NULL;
}

bool gr_planner_matches(gr_planner *p, const gr_groups *facts, const gr_rollup *r, gr_scan *scan, gr_tiling *tiling,
                        gr_refusal *refusal) {
    *refusal = (gr_refusal){r->can_build ? GR_RULE_ROOT : GR_RULE_CANNOT_BUILD, r, NULL, NULL};
    if (!r->can_build || !r->entity->can_build) {
        refusal->rule = GR_RULE_CANNOT_BUILD;
        return false;
    }
    gr_components all = {0};
    for (size_t i = 0; i < facts->n; i++) {
        scan->group = facts->v[i];
        const gr_tree *tree = gr_rollup_fact_tree(r, facts->v[i].tree.nodes[0].cube);
        if (!tree && !gr_rule_is_off(GR_RULE_ROOT)) return false;
        if (!gr_match_rollup(scan, r, tree ? tree : &r->tree, facts->n > 1 ? NULL : tiling, refusal)) return false;
        for (size_t k = 0; k < scan->group.components.n; k++)
            gr_components_add(&all, &scan->group.components.v[k], p->arena);
    }
    if (facts->n != r->n_facts && !gr_rule_is_off(GR_RULE_FACTS)) {
        refusal->rule = GR_RULE_FACTS;
        return false;
    }
    scan->group.components = all;
    return true;
}

/* What serves: one rollup, whole or tiled, or the parts of a rollup_lambda. */
typedef struct choice {
    gr_scan scan;
    gr_tiling tiling;          /* without a column: it gives the whole range */
    gr_lambda_reading *lambda; /* or NULL; then there is no scan */
} choice;

typedef enum reach {
    REACH_FACTS, /* several facts or groups at once: one table has them all */
    REACH_WHOLE, /* the whole range */
    REACH_TILES  /* only those are tried whose range was all that stood against them */
} reach;

static gr_verdict try_lambda(gr_planner *p, const gr_ask *ask, const gr_groups *facts, const gr_time_field *times,
                             const gr_rollup *r, reach how, choice *ret) {
    if (how == REACH_FACTS) {
        gr_planner_note(p, (gr_refusal){GR_RULE_FACTS, r, NULL, NULL});
        return GR_REFUSED;
    }
    ret->lambda = GR_NEW(p->arena, gr_lambda_reading);
    gr_verdict v = gr_planner_read_lambda(p, ask, facts, times, r, how == REACH_TILES, ret->lambda);
    if (how != REACH_TILES || v != GR_SERVES || ret->lambda->edges.n) return v;
    return GR_REFUSED; /* it fitted whole, and something else stood against it */
}

static gr_verdict try_rollup(gr_planner *p, const gr_groups *facts, const gr_rollup *r, reach how, choice *ret) {
    bool is_tiled = how == REACH_TILES;
    gr_refusal refusal = {GR_RULE_FORBIDDEN, r, NULL, NULL};
    gr_tiling *tiling = is_tiled ? &ret->tiling : NULL;
    if (p->options.without_rollups || !gr_planner_matches(p, facts, r, &ret->scan, tiling, &refusal)) {
        if (!is_tiled || refusal.rule == GR_RULE_EDGES) gr_planner_note(p, refusal);
        return GR_REFUSED;
    }
    gr_verdict v = settle(p, &ret->scan, r, tiling);
    if (v == GR_REFUSED || !is_tiled || tiling->column) return v;
    p->to_build = NULL; /* it fitted whole, and is not to be built now */
    return GR_REFUSED;
}

static gr_verdict try_candidate(gr_planner *p, const gr_ask *ask, const gr_groups *facts, const gr_time_field *times,
                                const gr_rollup *r, reach how, choice *ret) {
    *ret = (choice){.scan = gr_planner_scan(p, ask, &facts->v[0], times)};
    if (r->can_build && r->n_parts == 1 && !gr_rollup_lambda_has_cuts(r)) {
        ret->scan.lambda = r;
        r = r->parts[0];
    }
    bool is_lambda = r->preagg->type == GR_PREAGG_ROLLUP_LAMBDA && !p->options.without_rollups;
    return is_lambda ? try_lambda(p, ask, facts, times, r, how, ret) : try_rollup(p, facts, r, how, ret);
}

/* Rows that are read; -1: that is not known. */
static int64_t rows_of(const choice *c) {
    if (c->lambda) return c->lambda->rows;
    return c->scan.state ? c->scan.state->rows : -1;
}

/* The first candidate that serves, or the one of the fewest rows. */
static gr_verdict choose(gr_planner *p, const gr_ask *ask, const gr_groups *facts, const gr_time_field *times,
                         reach how, choice *ret) {
    choice best;
    bool has_best = false;
    const gr_rollup *first = NULL; /* to be built, unless something that is built serves */
    const gr_tz *first_zone = NULL;
    gr_run first_run = {0};
    for (size_t i = 0; i < p->candidates.n; i++) {
        choice c;
        gr_verdict v = try_candidate(p, ask, facts, times, p->candidates.v[i], how, &c);
        if (v == GR_REFUSED) continue;
        if (p->is_cheapest && v == GR_BUILD_FIRST) {
            if (!first) first = p->to_build, first_zone = p->to_build_zone, first_run = p->to_build_run;
            p->to_build = NULL;
            continue;
        }
        if (p->is_cheapest && rows_of(&c) >= 0) {
            if (has_best && rows_of(&best) <= rows_of(&c)) continue;
            best = c;
            has_best = true;
            continue;
        }
        if (has_best) continue;
        *ret = c;
        return v;
    }
    if (!has_best) {
        p->to_build = first;
        p->to_build_zone = first_zone;
        p->to_build_run = first_run;
        return first ? GR_BUILD_FIRST : GR_REFUSED;
    }
    *ret = best;
    return GR_SERVES;
}

/* ---- the source -------------------------------------------------------------------------------------------------- */

static gr_status check_one_source(const gr_tree *tree, gr_str *ret, gr_error *err) {
    *ret = tree->nodes[0].cube->data_source;
    for (uint32_t i = 1; i < tree->n; i++)
        if (!gr_str_eq(tree->nodes[i].cube->data_source, *ret))
            return gr_error_set(err, GR_ERR_PLAN_MIXED_SOURCES,
                                "'" GR_FMT "' and '" GR_FMT "' live in different data sources",
                                GR_ARG(tree->nodes[0].cube->name), GR_ARG(tree->nodes[i].cube->name));
    return GR_OK;
}

static bool has_original(const gr_planner *p, const gr_cube *cube) {
    for (size_t i = 0; i < p->originals.n; i++)
        if (p->originals.v[i].cube == cube) return true;
    return false;
}

/* A cube whose original_sql is stored is read from there (4.10). */
static gr_verdict use_originals(gr_planner *p, const gr_query *q, const gr_tree *tree) {
    for (uint32_t i = 0; i < tree->n && !p->options.without_rollups; i++) {
        const gr_cube *cube = tree->nodes[i].cube;
        for (size_t k = 0; k < cube->n_preaggs && !has_original(p, cube); k++) {
            if (cube->preaggs[k]->type != GR_PREAGG_ORIGINAL_SQL) continue;
            const gr_rollup *r = &p->snapshot->index->rollups[cube->preaggs[k]->index];
            gr_original o = {.cube = cube, .rollup = r};
            const gr_tz *zone;
            gr_verdict v = r->can_build ? gr_planner_settle(p, q, NULL, r, r, &o.state, &zone) : GR_REFUSED;
            if (v == GR_BUILD_FIRST) return v;
            if (v == GR_SERVES) GR_PUSH(p->arena, &p->originals, o);
        }
    }
    return GR_SERVES;
}

static gr_status read_source(gr_planner *p, gr_plan *plan, gr_scan *scan) {
    gr_str source;
    GR_TRY(check_one_source(&scan->group.tree, &source, p->err));
    if (p->reads_source && !gr_str_eq(source, p->data_source))
        return gr_error_set(p->err, GR_ERR_PLAN_MIXED_SOURCES,
                            "'" GR_FMT "' lives in another data source than the rest of this query",
                            GR_ARG(scan->group.tree.nodes[0].cube->name));
    p->data_source = source;
    p->reads_source = true;
    if (use_originals(p, scan->query, &scan->group.tree) == GR_BUILD_FIRST) return GR_OK;
    gr_piece piece = {.kind = GR_PIECE_SCAN, .components = scan->group.components, .scan = *scan};
    GR_PUSH(p->arena, &plan->piece_list, piece);
    return GR_OK;
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static void serve(gr_planner *p, gr_plan *plan, const gr_scan *scan) {
    gr_piece piece = {.kind = GR_PIECE_SCAN, .components = scan->group.components, .scan = *scan};
    GR_PUSH(p->arena, &plan->piece_list, piece);
}

static gr_status plan_group(gr_planner *p, const gr_ask *ask, const gr_group *group, const gr_time_field *times,
                            int depth, gr_plan *plan);

/* The rollup gives whole buckets; each edge is a group of its own with a shorter range. */
static gr_status plan_tiles(gr_planner *p, const gr_ask *ask, const gr_group *group, const gr_time_field *times,
                            const gr_tiling *tiling, const gr_scan *scan, int depth, gr_plan *plan) {
    gr_range edges[2];
    size_t n = gr_tile_edges(tiling, edges);
    serve(p, plan, scan);
    for (size_t i = 0; i < n && !p->to_build; i++) {
        gr_scan edge = gr_planner_scan(p, ask, group, times);
        edge.times[tiling->time].range = edges[i];
        GR_TRY(plan_group(p, ask, group, edge.times, depth + 1, plan));
    }
    return GR_OK;
}

/* The parts' pieces, what is left to others, and the rest by the source. */
static gr_status plan_lambda(gr_planner *p, const gr_group *group, const gr_lambda_reading *l, int depth,
                             gr_plan *plan) {
    for (size_t i = 0; i < l->scans.n; i++) serve(p, plan, &l->scans.v[i]);
    for (size_t i = 0; i < l->edges.n + l->is_live && !p->to_build; i++) {
        bool is_edge = i < l->edges.n;
        gr_scan rest = gr_planner_scan(p, &l->ask, group, l->times);
        rest.times[l->time].has_range = true;
        rest.times[l->time].range = is_edge ? l->edges.v[i] : l->live;
        if (is_edge)
            GR_TRY(plan_group(p, &l->ask, group, rest.times, depth + 1, plan));
        else
            GR_TRY(read_source(p, plan, &rest));
    }
    return GR_OK;
}

static gr_status plan_choice(gr_planner *p, const gr_ask *ask, const gr_group *group, const gr_time_field *times,
                             const choice *c, int depth, gr_plan *plan) {
    if (c->lambda) return plan_lambda(p, group, c->lambda, depth, plan);
    if (c->tiling.column) return plan_tiles(p, ask, group, times, &c->tiling, &c->scan, depth, plan);
    serve(p, plan, &c->scan);
    return GR_OK;
}

static gr_status plan_group(gr_planner *p, const gr_ask *ask, const gr_group *group, const gr_time_field *times,
                            int depth, gr_plan *plan) {
    enum { DEEPEST_TILE = 3 };
    gr_groups facts = {0};
    GR_PUSH(p->arena, &facts, *group);
    choice c;
    gr_verdict v = choose(p, ask, &facts, times, REACH_WHOLE, &c);
    if (v == GR_REFUSED && depth < DEEPEST_TILE) v = choose(p, ask, &facts, times, REACH_TILES, &c);
    if (v == GR_SERVES) return plan_choice(p, ask, group, times, &c, depth, plan);
    if (v == GR_BUILD_FIRST) return GR_OK;
    gr_scan scan = gr_planner_scan(p, ask, group, times);
    return read_source(p, plan, &scan);
}

static gr_status plan_scans(gr_planner *p, const gr_ask *ask, gr_plan *plan) {
    gr_groups facts = {0};
    GR_TRY(gr_group_facts(ask, p->arena, &facts, p->err));
    if (!plan->tree.n) plan->tree = facts.v[0].tree;
    p->first_source = facts.v[0].tree.nodes[0].cube->data_source;
    gr_groups groups = {0};
    for (size_t i = 0; i < facts.n; i++) GR_TRY(gr_group_split(ask, &facts.v[i], p->arena, &groups, p->err));
    if (groups.n > 1) { /* one rollup for everything goes first (4.7.8) */
        choice c;
        gr_verdict v = choose(p, ask, &facts, ask->query->time_dimensions, REACH_FACTS, &c);
        if (v == GR_SERVES) serve(p, plan, &c.scan);
        if (v != GR_REFUSED) return GR_OK;
    }
    for (size_t i = 0; i < groups.n && !p->to_build; i++)
        GR_TRY(plan_group(p, ask, &groups.v[i], ask->query->time_dimensions, 0, plan));
    return GR_OK;
}

/* ---- relations --------------------------------------------------------------------------------------------------- */

gr_status gr_relation_plan(gr_planner *p, const gr_ask *ask, gr_plan **ret) {
    enum { DEEPEST = 16, MOST = 256 };
    if (p->depth >= DEEPEST || p->n_relations >= MOST)
        return gr_error_set(p->err, GR_ERR_LIMIT,
                            "Measures over measures are nested too deeply: the limit is %d levels and %d readings",
                            DEEPEST, MOST);
    p->n_relations++;
    p->depth++;
    gr_plan *plan = GR_NEW(p->arena, gr_plan);
    *plan = (gr_plan){.query = ask->query, .snapshot = p->snapshot, .components = ask->components};
    gr_ask plain = {.snapshot = p->snapshot, .query = ask->query, .whole = ask->whole};
    GR_VEC(gr_ask) windows = {0};
    for (size_t i = 0; i < ask->components.n; i++) {
        const gr_component *c = &ask->components.v[i];
        if (c->agg == GR_AGG_STAGE) continue;
        if (!c->window || !gr_window_has_time(ask->query)) {
            GR_PUSH(p->arena, &plain.components, *c);
            continue;
        }
        size_t at = 0;
        while (at < windows.n && !gr_window_is_same(windows.v[at].components.v[0].window, c->window)) at++;
        if (at == windows.n)
            GR_PUSH(p->arena, &windows, ((gr_ask){.snapshot = p->snapshot, .query = ask->query, .whole = ask->whole}));
        GR_PUSH(p->arena, &windows.v[at].components, *c);
    }
    gr_status status = GR_OK;
    if (plain.components.n || !ask->components.n) status = plan_scans(p, &plain, plan);
    for (size_t i = 0; i < windows.n && !status && !gr_planner_must_stop(p); i++)
        status = gr_window_plan(p, &windows.v[i], plan);
    for (size_t i = 0; i < ask->components.n && !status && !gr_planner_must_stop(p); i++)
        if (ask->components.v[i].agg == GR_AGG_STAGE) status = gr_stage_plan(p, ask, &ask->components.v[i], plan);
    plan->pieces = plan->piece_list.v;
    plan->n_pieces = plan->piece_list.n;
    p->depth--;
    if (!status) *ret = plan;
    return status;
}

/* Components of measures below measures: the leaves of the whole query. */
static void add_leaves(gr_planner *p, const gr_components *from, int depth) {
    enum { DEEPEST = 16 };
    for (size_t i = 0; i < from->n && depth < DEEPEST; i++) {
        gr_component c = from->v[i];
        if (c.agg == GR_AGG_STAGE) {
            gr_components below = {0};
            const gr_stage *s = c.measure->stage;
            for (size_t k = 0; k < s->n_add_group_by; k++) {
                const gr_member *m = s->add_group_by[k];
                gr_field field = {m->id, m, m, gr_tree_path_of_cube(m->cube, p->arena)};
                GR_PUSH(p->arena, &p->whole.dimensions, field);
            }
            gr_stage_components(p, c.measure, &below);
            add_leaves(p, &below, depth + 1);
            continue;
        }
        c.window = NULL;
        c.key = c.stored_key;
        gr_components_add(&p->whole.components, &c, p->arena);
    }
}

static bool has_inner(const gr_components *components) {
    for (size_t i = 0; i < components->n; i++)
        if (components->v[i].window || components->v[i].agg == GR_AGG_STAGE) return true;
    return false;
}

/* ---- the query --------------------------------------------------------------------------------------------------- */

static void add_filter_components(gr_planner *p, const gr_filter *f, gr_components *out) {
    if (f->kind == GR_FILTER_LEAF && f->op != GR_OP_MEASURE_FILTER)
        gr_measure_components(p->snapshot->index, f->field.member, p->arena, out);
    for (size_t i = 0; i < f->n_children; i++) add_filter_components(p, f->children[i], out);
}

static gr_status check_ungrouped(const gr_query *q, const gr_components *components, gr_error *err) {
    for (size_t i = 0; q->is_ungrouped && i < components->n; i++)
        if (components->v[i].window || components->v[i].agg == GR_AGG_STAGE)
            return gr_error_set(err, GR_ERR_PLAN_UNSUPPORTED,
                                "'" GR_FMT "' is computed over aggregated rows and cannot be asked ungrouped",
                                GR_ARG(components->v[i].measure->id));
    return GR_OK;
}

/* A rollup is one use, however many pieces read it; of what they read, the oldest counts. */
static void add_use(gr_planner *p, gr_plan *plan, gr_plan_use use) {
    for (size_t i = 0; i < plan->n_uses; i++) {
        gr_plan_use *known = &plan->uses[i];
        if (known->rollup->entity != use.rollup->entity || known->zone != use.zone) continue;
        if (use.built_at_us < known->built_at_us) known->built_at_us = use.built_at_us;
        if (use.n_partitions > known->n_partitions) known->n_partitions = use.n_partitions;
        if (!known->lambda) known->lambda = use.lambda;
        return;
    }
    gr_plan_use *uses = GR_NEW_N(p->arena, gr_plan_use, plan->n_uses + 1);
    if (plan->n_uses) memcpy(uses, plan->uses, plan->n_uses * sizeof *uses);
    uses[plan->n_uses++] = use;
    plan->uses = uses;
}

static void add_uses(gr_planner *p, gr_plan *plan, const gr_plan *of) {
    for (size_t i = 0; of && i < of->n_pieces; i++) {
        const gr_piece *piece = &of->pieces[i];
        const gr_scan *scan = &piece->scan;
        if (piece->kind == GR_PIECE_SCAN && scan->rollup) {
            const gr_reading *r = &scan->reading;
            int64_t built_at_us = r->v ? r->built_at_us : scan->state ? scan->state->built_at_us : INT64_MAX;
            add_use(p, plan,
                    (gr_plan_use){scan->rollup, scan->state, scan->rollup_zone, built_at_us, r->v ? r->n : 0,
                                  scan->lambda});
            plan->is_non_strict_range |= scan->is_non_strict_range;
        }
        add_uses(p, plan, piece->window.inner);
        add_uses(p, plan, piece->stage.rows);
        add_uses(p, plan, piece->stage.inner);
    }
}

void gr_planner_finish(gr_planner *p, gr_plan *plan) {
    plan->refusals = p->refusals.v;
    plan->n_refusals = p->refusals.n;
    plan->to_build = p->to_build;
    plan->to_build_zone = p->to_build_zone;
    plan->to_build_run = p->to_build_run;
    plan->to_probe = p->to_build ? NULL : p->to_probe;
    plan->data_source = p->reads_source ? p->data_source : p->first_source;
    plan->reads_source = p->reads_source;
    if (gr_planner_must_stop(p)) {
        plan->n_pieces = 0;
        return;
    }
    plan->originals = p->originals.v;
    plan->n_originals = p->originals.n;
    add_uses(p, plan, plan);
    for (size_t i = 0; i < plan->n_originals; i++) {
        const gr_original *o = &plan->originals[i];
        add_use(p, plan,
                (gr_plan_use){o->rollup, o->state, gr_tz_utc(), o->state ? o->state->built_at_us : INT64_MAX, 0, NULL});
    }
    const gr_scan *only = &plan->pieces[0].scan;
    if (plan->n_pieces == 1 && plan->pieces[0].kind == GR_PIECE_SCAN && only->rollup) {
        plan->rollup = only->rollup;
        plan->state = only->state;
        plan->rollup_zone = only->rollup_zone;
        plan->is_exact_match = only->is_exact_match;
    }
}

static void hint_refusal(const gr_planner *p, const gr_plan *plan, size_t at, gr_error *err) {
    if (at >= plan->n_refusals) return;
    gr_str detail = gr_refusal_detail(&plan->refusals[at], p->arena);
    gr_error_hint(err, GR_FMT ": " GR_FMT, GR_ARG(plan->refusals[at].rollup->preagg->id), GR_ARG(detail));
}

/* The source has the current definition: what a pinned version would have answered it does not know (decisions 19). */
static gr_status check_pinned(const gr_planner *p, const gr_query *q, const gr_plan *plan, gr_error *err) {
    if (!q->pinned_version.n || !p->reads_source) return GR_OK;
    gr_status status = gr_error_set(err, GR_ERR_PLAN_VERSION,
                                    "No pre-aggregation of version '" GR_FMT "' serves this query, which pins it",
                                    GR_ARG(q->pinned_version));
    size_t at = 0; /* the one that came nearest: all but the change was right */
    while (at < plan->n_refusals && plan->refusals[at].rule != GR_RULE_CHANGED) at++;
    hint_refusal(p, plan, at < plan->n_refusals ? at : 0, err);
    return status;
}

static gr_status check_required(const gr_planner *p, const gr_query *q, gr_plan *plan, gr_error *err) {
    GR_TRY(check_pinned(p, q, plan, err));
    bool is_required = (p->snapshot->is_rollup_only || q->rollups == GR_ROLLUPS_REQUIRE) && !p->options.without_rollups;
    if (!is_required || !p->reads_source || plan->to_build) return GR_OK;
    gr_status status =
        gr_error_set(err, GR_ERR_PLAN_ROLLUP_ONLY, "No pre-aggregation serves this query, and %s",
                     p->snapshot->is_rollup_only ? "rollup-only mode is on" : "it asks for `preAggregations: require`");
    hint_refusal(p, plan, 0, err);
    return status;
}

gr_status gr_plan_query(const gr_snapshot *snapshot, const gr_query *query, gr_plan_options options, gr_arena *arena,
                        gr_plan **ret, gr_error *err) {
    gr_planner p = {.snapshot = snapshot, .query = query, .options = options, .arena = arena, .err = err};
    if (query->rollups == GR_ROLLUPS_FORBID) p.options.without_rollups = true;
    gr_ask ask = {.snapshot = snapshot, .query = query};
    for (size_t i = 0; i < query->n_measures; i++)
        gr_measure_components(snapshot->index, query->measures[i].member, arena, &ask.components);
    for (size_t i = 0; i < query->n_measure_filters; i++)
        add_filter_components(&p, query->measure_filters[i], &ask.components);
    GR_TRY(check_ungrouped(query, &ask.components, err));
    gr_planner_find_candidates(&p, query);
    if (has_inner(&ask.components)) {
        p.whole.query = query;
        add_leaves(&p, &ask.components, 0);
        ask.whole = &p.whole;
    }
    gr_plan *plan = GR_NEW(arena, gr_plan);
    GR_TRY(gr_relation_plan(&p, &ask, &plan));
    gr_planner_finish(&p, plan);
    GR_TRY(check_required(&p, query, plan, err));
    *ret = plan;
    return GR_OK;
}
