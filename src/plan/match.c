/* Matching by definition (cube.md §4; decisions 1, 3, 5, 6): one small predicate per rule, in the order of rules.def.
 * Each says yes or leaves one refusal. A rollup that passes them all gives the same answer as the source.
 *
 * The grain lattice and alignment are asked of cal/; what is stored is asked of the rollup's columns and components;
 * the tree is compared hop by hop, so that equal names reached by different ways stay different members. */
#include "plan/internal.h"

typedef struct matcher {
    gr_plan *plan;
    const gr_query *query;
    const gr_rollup *rollup;
    bool *is_covered;   /* by rollup column: each stored row's value is fixed within a group of the answer */
    bool is_non_strict; /* a range needed allow_non_strict_date_range_match */
    gr_refusal *refusal;
} matcher;

static bool refuse(matcher *m, gr_rule rule, const gr_member *member, const gr_granularity *granularity) {
    *m->refusal = (gr_refusal){rule, m->rollup, member, granularity};
    return false;
}

/* The cube of `member` hangs in the rollup's tree as it hangs in the query's. */
static bool same_way(const matcher *m, const gr_cube *cube) {
    uint32_t in_query = gr_tree_find(&m->plan->tree, cube), in_rollup = gr_tree_find(&m->rollup->tree, cube);
    return in_query != GR_TREE_NONE && in_rollup != GR_TREE_NONE &&
           gr_tree_same_way(&m->plan->tree, in_query, &m->rollup->tree, in_rollup);
}

static const gr_rollup_column *stored(const gr_rollup *rollup, const gr_member *member, const gr_granularity *g) {
    for (size_t i = 0; i < rollup->n_columns; i++) {
        const gr_rollup_column *c = &rollup->columns[i];
        if (c->member == member && (g ? c->granularity && gr_granularity_eq(c->granularity, g) : !c->granularity))
            return c;
    }
    return NULL;
}

static bool is_derivable(const matcher *m, const gr_member *member, int depth);

static bool expr_is_derivable(const matcher *m, const gr_expr *expr, int depth) {
    if (!expr) return true;
    if (expr->is_column) return false;
    for (size_t i = 0; i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        if (part->kind == GR_PART_TEXT && !gr_derive_text_is_portable(part->text)) return false;
        if (part->kind == GR_PART_TABLE || part->kind == GR_PART_CUBE_SQL) return false;
        if (part->kind != GR_PART_MEMBER) continue;
        if (part->granularity) {
            const gr_rollup_column *c = stored(m->rollup, part->member, part->granularity);
            if (!c || c->is_instant || !same_way(m, part->member->cube)) return false;
        } else if (!is_derivable(m, part->member, depth + 1)) {
            return false;
        }
    }
    return true;
}

/* Stored as it is, or computable from members that are (4.2, "owned members"). A time dimension's raw value is
 * zone-free and may be stored; its expression is not derived. */
static bool is_derivable(const matcher *m, const gr_member *member, int depth) {
    enum { DEEPEST = 16 };
    if (depth > DEEPEST) return false;
    if (stored(m->rollup, member, NULL)) return same_way(m, member->cube);
    bool has_expr = member->sql || member->n_cases || member->latitude;
    bool has_hole = false;
    if (member->sql)
        for (size_t i = 0; i < member->sql->n_parts; i++) has_hole |= member->sql->parts[i].kind == GR_PART_MEMBER;
    if (!has_expr || (member->sql && !has_hole)) return false;
    if (!expr_is_derivable(m, member->sql, depth) || !expr_is_derivable(m, member->latitude, depth) ||
        !expr_is_derivable(m, member->longitude, depth))
        return false;
    for (size_t i = 0; i < member->n_cases; i++)
        if (!expr_is_derivable(m, member->cases[i].when, depth) ||
            !expr_is_derivable(m, member->cases[i].label_sql, depth))
            return false;
    return true;
}

/* A member that is nothing but another one: its column covers what the other's would. */
static const gr_member *through_aliases(const gr_member *member) {
    for (int i = 0; i < 16; i++) {
        const gr_expr *e = member->sql;
        if (member->n_cases || !e || e->n_parts != 1 || e->parts[0].kind != GR_PART_MEMBER || e->parts[0].granularity)
            break;
        member = e->parts[0].member;
    }
    return member;
}

static void cover(matcher *m, const gr_member *member) {
    const gr_rollup_column *c = stored(m->rollup, member, NULL);
    if (!c) c = stored(m->rollup, through_aliases(member), NULL);
    if (c) m->is_covered[c - m->rollup->columns] = true;
}

static gr_type source_type(const matcher *m, const gr_member *member) {
    const gr_snapshot *s = m->plan->snapshot;
    const gr_column_schema *schema = s->types ? s->types[through_aliases(member)->index] : NULL;
    return schema ? schema->type : GR_TYPE_NULL;
}

static bool is_time(const gr_member *member) {
    return member->kind == GR_MEMBER_DIMENSION && member->dim_type == GR_DIM_TIME;
}

/* What the query groups by tells stored values apart. Times are grouped by their wall clock: texts may spell one
 * instant in several ways, and a doubled hour has two instants of one name. */
static bool tells_apart(const matcher *m, const gr_member *member) {
    if (!is_time(member)) return true;
    gr_type type = source_type(m, member);
    return gr_tz_is_utc(m->query->tz) &&
           (type == GR_TYPE_TIMESTAMP || type == GR_TYPE_DATE || type == GR_TYPE_TIMESTAMPTZ);
}

/* At most one stored value equals the filter's. Not so where the comparison converts the column: '1' and '01' as
 * numbers, 't' and 'true' as booleans, large integers as floating point. */
static bool pins_one_value(const matcher *m, const gr_filter *f) {
    const gr_member *member = f->field.member;
    if ((f->op != GR_OP_EQUALS && f->op != GR_OP_IN) || f->n_values != 1 || f->has_null) return false;
    if (is_time(member)) return tells_apart(m, member);
    if (member->kind != GR_MEMBER_DIMENSION) return false;
    gr_type type = source_type(m, member);
    int64_t integer;
    switch (member->dim_type) {
    case GR_DIM_NUMBER:
        return type == GR_TYPE_FLOAT64 ||
               ((type == GR_TYPE_INT64 || type == GR_TYPE_DECIMAL) && gr_str_to_i64(f->values[0], &integer));
    case GR_DIM_BOOLEAN: return type == GR_TYPE_BOOL;
    case GR_DIM_STRING:
    case GR_DIM_GEO: return true; /* compared as the column's own text, or as the column's own type */
    case GR_DIM_TIME: break;
    }
    return false;
}

static bool check_definition(matcher *m) {
    const gr_rollup *r = m->rollup;
    if (!r->entity->can_build) r = r->entity;
    if (!r->can_build)
        return refuse(m, r->problem == GR_ERR_PLAN_FAN_OUT ? GR_RULE_FAN_OUT : GR_RULE_CANNOT_BUILD, NULL, NULL);
    if (m->query->is_ungrouped) return refuse(m, GR_RULE_UNGROUPED, NULL, NULL);
    if (r->tree.nodes[0].cube != m->plan->tree.nodes[0].cube) return refuse(m, GR_RULE_ROOT, NULL, NULL);
    for (uint32_t i = 1; i < m->plan->tree.n; i++) {
        uint32_t there = gr_tree_find(&r->tree, m->plan->tree.nodes[i].cube);
        if (there != GR_TREE_NONE && !gr_tree_same_way(&m->plan->tree, i, &r->tree, there))
            return refuse(m, GR_RULE_JOIN_PATH, NULL, NULL);
    }
    return true;
}

static bool check_dimensions(matcher *m) {
    for (size_t i = 0; i < m->query->n_dimensions; i++) {
        const gr_member *member = m->query->dimensions[i].member;
        if (!is_derivable(m, member, 0)) return refuse(m, GR_RULE_DIMENSION_MISSING, member, NULL);
        if (tells_apart(m, member)) cover(m, member);
    }
    return true;
}

static bool check_segments(matcher *m) {
    for (size_t i = 0; i < m->query->n_segments; i++) {
        const gr_member *member = m->query->segments[i].member;
        if (!stored(m->rollup, member, NULL) || !same_way(m, member->cube))
            return refuse(m, GR_RULE_SEGMENT_MISSING, member, NULL);
        cover(m, member); /* stored as a boolean, and only true passes */
    }
    return true;
}

/* `is_required`: reached through AND nodes only, so that the condition holds for every row of the answer. */
static bool check_row_filter(matcher *m, const gr_filter *f, bool is_required) {
    if (f->kind == GR_FILTER_LEAF) {
        if (f->op == GR_OP_MEASURE_FILTER) return refuse(m, GR_RULE_MEASURE_FILTER, f->field.member, NULL);
        if (!is_derivable(m, f->field.member, 0)) return refuse(m, GR_RULE_FILTER_MISSING, f->field.member, NULL);
        if (is_required && pins_one_value(m, f)) cover(m, f->field.member);
        return true;
    }
    for (size_t i = 0; i < f->n_children; i++)
        if (!check_row_filter(m, f->children[i], is_required && f->kind == GR_FILTER_AND)) return false;
    return true;
}

static bool has_measure_filter_op(const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return f->op == GR_OP_MEASURE_FILTER;
    for (size_t i = 0; i < f->n_children; i++)
        if (has_measure_filter_op(f->children[i])) return true;
    return false;
}

static bool check_filters(matcher *m) {
    for (size_t i = 0; i < m->query->n_row_filters; i++)
        if (!check_row_filter(m, m->query->row_filters[i], true)) return false;
    for (size_t i = 0; i < m->query->n_measure_filters; i++)
        if (has_measure_filter_op(m->query->measure_filters[i])) return refuse(m, GR_RULE_MEASURE_FILTER, NULL, NULL);
    return true;
}

/* Buckets of the query's granularity are unions of stored buckets (4.4). A custom stored grain serves only itself. */
static bool serves_granularity(const gr_time_field *t, const gr_granularity *have) {
    if (!t->granularity || gr_granularity_eq(t->granularity, have)) return true;
    if (have->grain == GR_GRAIN_CUSTOM) return false;
    return gr_grain_is_built_from(gr_granularity_base(t->granularity, t->anchor_local_us), have->grain);
}

int64_t gr_plan_anchor(const gr_granularity *g, int64_t anchor) {
    bool is_clamping = g->interval.months && gr_civil_from_us(anchor).day > 28;
    return is_clamping ? anchor : gr_granularity_floor(g, anchor, 0);
}

/* A stored custom grain was cut from the anchor that its load used; the query's must be the same point. */
static bool same_anchor(const gr_plan *plan, const gr_time_field *t, const gr_granularity *have) {
    if (have->grain != GR_GRAIN_CUSTOM || !t->granularity) return true;
    int64_t stored_from = gr_granularity_anchor(have, plan->query->tz, plan->snapshot->now_us);
    return gr_plan_anchor(have, stored_from) == gr_plan_anchor(have, t->anchor_local_us);
}

static bool range_is_aligned(const gr_time_field *t, const gr_granularity *have) {
    if (!t->has_range) return true;
    if (have->grain == GR_GRAIN_CUSTOM && (!t->granularity || !gr_granularity_eq(t->granularity, have))) return false;
    return gr_range_is_aligned(&t->range, have, t->anchor_local_us);
}

/* The first stored grain of the time dimension that the query's can be computed from; else the rule that failed. */
static const gr_rollup_column *pick_time(const gr_plan *plan, const gr_rollup *rollup, const gr_time_field *t,
                                         bool *ret_is_loose, gr_rule *ret_rule) {
    const gr_rollup_column *loose = NULL;
    *ret_rule = GR_RULE_TIME_MISSING;
    *ret_is_loose = false;
    for (size_t i = 0; i < rollup->n_columns; i++) {
        const gr_rollup_column *c = &rollup->columns[i];
        if (c->member != t->field.member || !c->granularity) continue;
        if (!serves_granularity(t, c->granularity) || !same_anchor(plan, t, c->granularity)) {
            if (*ret_rule == GR_RULE_TIME_MISSING) *ret_rule = GR_RULE_GRANULARITY;
            continue;
        }
        if (range_is_aligned(t, c->granularity)) return c;
        if (!loose) loose = c;
        *ret_rule = GR_RULE_RANGE;
    }
    *ret_is_loose = loose && rollup->is_non_strict; /* an exact grain goes first */
    return *ret_is_loose ? loose : NULL;
}

const gr_rollup_column *gr_plan_stored_time(const gr_plan *plan, const gr_time_field *time) {
    bool is_loose;
    gr_rule rule;
    return pick_time(plan, plan->rollup, time, &is_loose, &rule);
}

static bool check_time(matcher *m, const gr_time_field *t) {
    const gr_member *member = t->field.member;
    gr_rule rule = GR_RULE_TIME_MISSING;
    bool is_loose = false;
    const gr_rollup_column *best =
        same_way(m, member->cube) ? pick_time(m->plan, m->rollup, t, &is_loose, &rule) : NULL;
    if (!best) return refuse(m, rule, member, t->granularity);
    m->is_non_strict |= is_loose;
    /* A doubled hour has two stored instants and one name on the wall clock, so only UTC keeps them one to one. */
    bool is_one_to_one = !best->is_instant || gr_tz_is_utc(m->query->tz);
    if (t->granularity && gr_granularity_eq(t->granularity, best->granularity) && is_one_to_one)
        m->is_covered[best - m->rollup->columns] = true;
    return true;
}

static const gr_rollup_component *stored_component(const gr_rollup *r, const gr_component *c) {
    for (size_t i = 0; i < r->n_components; i++)
        if (gr_str_eq(r->components[i].component.key, c->key)) return &r->components[i];
    return NULL;
}

static bool all_covered(const matcher *m) {
    for (size_t i = 0; i < m->rollup->n_columns; i++)
        if (!m->is_covered[i]) return false;
    return true;
}

/* An opaque value of an empty group is unknown here, while the source would compute one: without group columns there is
 * always one row in the answer, so the stored row must be certain to exist. */
static bool is_opaque_risk(const matcher *m, gr_agg agg) {
    bool has_groups = m->query->n_dimensions > 0;
    for (size_t i = 0; i < m->query->n_time_dimensions; i++)
        has_groups |= m->query->time_dimensions[i].granularity != NULL;
    return agg == GR_AGG_OPAQUE && !has_groups && m->rollup->n_columns > 0;
}

static bool check_measure(matcher *m, const gr_member *measure) {
    const gr_components *needed = &m->plan->snapshot->index->components[measure->index];
    for (size_t i = 0; i < needed->n; i++) {
        const gr_component *c = &needed->v[i];
        const gr_rollup_component *have = stored_component(m->rollup, c);
        if (!have || !same_way(m, c->measure->cube)) return refuse(m, GR_RULE_MEASURE_MISSING, c->measure, NULL);
        if (!gr_component_is_mergeable(c->agg) && (!all_covered(m) || is_opaque_risk(m, c->agg)))
            return refuse(m, GR_RULE_EXACT_GRAIN, measure, NULL);
    }
    return true;
}

static bool check_filter_measures(matcher *m, const gr_filter *f) {
    if (f->kind == GR_FILTER_LEAF) return check_measure(m, f->field.member);
    for (size_t i = 0; i < f->n_children; i++)
        if (!check_filter_measures(m, f->children[i])) return false;
    return true;
}

static bool check_measures(matcher *m) {
    for (size_t i = 0; i < m->query->n_measures; i++)
        if (!check_measure(m, m->query->measures[i].member)) return false;
    for (size_t i = 0; i < m->query->n_measure_filters; i++)
        if (!check_filter_measures(m, m->query->measure_filters[i])) return false;
    return true;
}

bool gr_match_rollup(gr_plan *plan, const gr_rollup *rollup, gr_refusal *ret_refusal) {
    enum { MOST_COLUMNS = 256 };
    bool covered[MOST_COLUMNS] = {false};
    matcher m = {.plan = plan, .query = plan->query, .rollup = rollup, .is_covered = covered, .refusal = ret_refusal};
    if (rollup->n_columns > MOST_COLUMNS) return refuse(&m, GR_RULE_CANNOT_BUILD, NULL, NULL);
    if (!check_definition(&m) || !check_dimensions(&m) || !check_segments(&m) || !check_filters(&m)) return false;
    for (size_t i = 0; i < plan->query->n_time_dimensions; i++)
        if (!check_time(&m, &plan->query->time_dimensions[i])) return false;
    if (!check_measures(&m)) return false;
    plan->is_exact_match = all_covered(&m);
    plan->is_non_strict_range = m.is_non_strict;
    return true;
}

/* Instant columns hold UTC buckets: they can be re-cut for a zone whose offsets, over the time that matters, are
 * multiples of the grain. That time is the query's range, else what is stored, else (not built yet) from 1900 on: the
 * build then says what is stored, and the query is planned again. */
bool gr_match_zone(const gr_plan *plan, const gr_rollup *rollup, const gr_rollup_state *state,
                   gr_refusal *ret_refusal) {
    static const int64_t from_1900 = -2208988800000000;
    const gr_query *q = plan->query;
    for (size_t i = 0; i < rollup->n_columns; i++) {
        const gr_rollup_column *c = &rollup->columns[i];
        if (!c->is_instant || gr_tz_is_utc(q->tz)) continue;
        int64_t seconds = gr_grain_seconds(c->granularity->grain);
        int64_t from = state && state->min_us ? state->min_us[i] : from_1900;
        int64_t to = state && state->max_us ? state->max_us[i] + seconds * 1000000 : INT64_MAX;
        bool is_used = false;
        for (size_t k = 0; k < q->n_time_dimensions; k++) {
            const gr_time_field *t = &q->time_dimensions[k];
            if (t->field.member != c->member) continue;
            is_used = true;
            if (t->has_range && t->range.from_utc_us > from) from = t->range.from_utc_us;
            if (t->has_range && t->range.to_utc_us < to) to = t->range.to_utc_us;
        }
        if (is_used && from < to && !gr_tz_offsets_divide(q->tz, from, to, seconds)) {
            *ret_refusal = (gr_refusal){GR_RULE_TIME_ZONE, rollup, c->member, c->granularity};
            return false;
        }
    }
    return true;
}
