/* Queries made from queries: what a window, a stage or a sub_query dimension reads below itself. They have groups and
 * conditions, and neither order nor limit. */
#include "plan/internal.h"

gr_query *gr_planner_inner_query(const gr_query *query, gr_arena *arena) {
    gr_query *q = GR_NEW(arena, gr_query);
    *q = *query;
    q->time_dimensions = GR_NEW_N(arena, gr_time_field, query->n_time_dimensions + 1);
    for (size_t i = 0; i < query->n_time_dimensions; i++) q->time_dimensions[i] = query->time_dimensions[i];
    q->columns = NULL;
    q->n_columns = q->n_order = 0;
    q->order = NULL;
    q->limit = -1;
    q->offset = 0;
    q->want_total = q->is_ungrouped = false;
    return q;
}

static void add_column(gr_query *q, gr_column_kind kind, size_t index, const gr_field *field,
                       const gr_granularity *granularity, gr_arena *arena) {
    gr_str alias = field->asked->column;
    if (granularity) alias = gr_arena_printf(arena, GR_FMT "_" GR_FMT, GR_ARG(alias), GR_ARG(granularity->name));
    for (size_t i = 0; i < q->n_columns; i++) /* a dimension `t_day` beside `t` by day */
        if (gr_str_eq_nocase(q->columns[i].alias, alias))
            alias = gr_arena_printf(arena, GR_FMT "__%zu", GR_ARG(alias), i);
    q->columns[q->n_columns++] = (gr_query_column){kind, index, field->id, alias};
}

void gr_planner_group_columns(gr_query *q, gr_arena *arena) {
    q->columns = GR_NEW_N(arena, gr_query_column, q->n_dimensions + q->n_time_dimensions + 1);
    q->n_columns = 0;
    for (size_t i = 0; i < q->n_dimensions; i++) add_column(q, GR_COLUMN_DIMENSION, i, &q->dimensions[i], NULL, arena);
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (q->time_dimensions[i].granularity)
            add_column(q, GR_COLUMN_TIME, i, &q->time_dimensions[i].field, q->time_dimensions[i].granularity, arena);
}

/* ---- sub_query dimensions (5.9) -------------------------------------------------------------------------------------
 */

static bool can_join(const gr_snapshot *s, gr_query *q, const gr_components *components, gr_arena *arena) {
    gr_ask ask = {.snapshot = s, .query = q, .components = *components};
    gr_groups facts = {0};
    return gr_group_facts(&ask, arena, &facts, NULL) == GR_OK && facts.n == 1;
}

static bool uses_sub_query(const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return gr_component_reads_sub_query(f->field.member);
    for (size_t i = 0; i < f->n_children; i++)
        if (uses_sub_query(f->children[i])) return true;
    return false;
}

/* The filters of the outer query that can be asked inside too: whose members the inner joins reach. */
static void propagate(const gr_snapshot *s, const gr_query *outer, const gr_components *components, gr_query *q,
                      gr_arena *arena) {
    GR_VEC(gr_filter *) filters = {0};
    for (size_t i = 0; i < outer->n_row_filters; i++) {
        if (uses_sub_query(outer->row_filters[i])) continue;
        GR_PUSH(arena, &filters, outer->row_filters[i]);
        q->row_filters = filters.v;
        q->n_row_filters = filters.n;
        if (!can_join(s, q, components, arena)) q->n_row_filters = --filters.n;
    }
    q->segments = GR_NEW_N(arena, gr_field, outer->n_segments + 1);
    for (size_t i = 0; i < outer->n_segments; i++) {
        if (gr_component_reads_sub_query(outer->segments[i].member)) continue;
        q->segments[q->n_segments++] = outer->segments[i];
        if (!can_join(s, q, components, arena)) q->n_segments--;
    }
    q->time_dimensions = GR_NEW_N(arena, gr_time_field, outer->n_time_dimensions + 1);
    for (size_t i = 0; i < outer->n_time_dimensions; i++) {
        if (!outer->time_dimensions[i].has_range) continue;
        if (gr_component_reads_sub_query(outer->time_dimensions[i].field.member)) continue;
        gr_time_field *t = &q->time_dimensions[q->n_time_dimensions++];
        *t = outer->time_dimensions[i];
        t->granularity = NULL;
        if (!can_join(s, q, components, arena)) q->n_time_dimensions--;
    }
}

static gr_field field_of(const gr_member *member, gr_arena *arena) {
    return (gr_field){member->id, member, member, gr_tree_path_of_cube(member->cube, arena)};
}

gr_status gr_plan_sub_query(const gr_snapshot *s, const gr_member *dimension, const gr_query *outer, const gr_tz *tz,
                            gr_arena *arena, gr_plan **ret, gr_error *err) {
    gr_planner p = {.snapshot = s, .arena = arena, .err = err, .options = {.without_rollups = true}};
    const gr_cube *cube = dimension->cube;
    gr_query *q = GR_NEW(arena, gr_query);
    *q = (gr_query){.model = s->model, .tz = tz, .limit = -1, .n_measures = 1};
    q->measures = GR_NEW_N(arena, gr_field, 1);
    q->measures[0] = field_of(dimension->sql->parts[0].member, arena);
    const gr_part *part = &dimension->sql->parts[0];
    if (part->n_path) /* by the way that the model names */
        q->measures[0].path = gr_tree_path_through(gr_tree_path_of_cube(cube, arena), part, arena);
    q->dimensions = GR_NEW_N(arena, gr_field, cube->n_primary_keys + 1);
    for (size_t i = 0; i < cube->n_primary_keys; i++)
        q->dimensions[q->n_dimensions++] = field_of(cube->primary_keys[i], arena);
    gr_ask ask = {.snapshot = s, .query = q};
    gr_measure_components(s->index, part->member, arena, &ask.components);
    if (outer && dimension->propagates_filters) propagate(s, outer, &ask.components, q, arena);
    gr_planner_group_columns(q, arena);
    GR_TRY(gr_relation_plan(&p, &ask, ret));
    if (p.to_probe)
        return gr_error_set(err, GR_ERR_PLAN_UNSUPPORTED, "'" GR_FMT "' reads a measure over a window of time",
                            GR_ARG(dimension->id));
    return GR_OK;
}

/* ---- the span of a time dimension ---------------------------------------------------------------------------------
 */

gr_status gr_plan_probe(const gr_plan *plan, const gr_time_field *time, const gr_rollup *only, gr_arena *arena,
                        gr_plan **ret, gr_error *err) {
    const gr_plan_options options = {.without_rollups = !only, .without_builds = true, .only = only};
    gr_planner p = {.snapshot = plan->snapshot, .arena = arena, .err = err, .options = options};
    gr_query *q = gr_planner_inner_query(plan->query, arena);
    q->n_dimensions = 0;
    q->n_time_dimensions = 1;
    q->time_dimensions[0] = *time;
    gr_planner_group_columns(q, arena);
    if (only) gr_planner_find_candidates(&p, q);
    gr_ask ask = {.snapshot = plan->snapshot, .query = q};
    GR_TRY(gr_relation_plan(&p, &ask, ret));
    gr_planner_finish(&p, *ret);
    if (only && ((*ret)->reads_source || !(*ret)->n_uses)) *ret = NULL;
    return GR_OK;
}
