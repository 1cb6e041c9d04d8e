/* Matching by definition (cube.md §4; decisions 1, 3, 5, 6): one small predicate per rule, in the order of rules.def.
 * Each says yes or leaves one refusal. A rollup that passes them all gives the same answer as the source.
 *
 * The grain lattice and alignment are asked of cal/; what is stored is asked of the rollup's columns and components;
 * the tree is compared hop by hop, so that equal names reached by different ways stay different members. */
#include "plan/internal.h"

typedef struct matcher {
    gr_scan *scan;
    const gr_query *query;
    const gr_tree *tree; /* of the group that is asked for */
    const gr_rollup *rollup;
    const gr_tree *stored_tree; /* of the rollup's fact that stands for it */
    bool *is_covered;           /* by rollup column: each stored row's value is fixed within a group of the answer */
    bool is_non_strict;         /* a range needed allow_non_strict_date_range_match */
    gr_tiling *tiling;          /* NULL: the whole range or nothing */
    gr_refusal *refusal;
    gr_refusals *all; /* not NULL: every rule is asked, and all that fail are kept */
    gr_arena *arena;
} matcher;

/* False, and the reason is left; true for a rule that a test has switched off. */
static bool refuse(matcher *m, gr_rule rule, const gr_member *member, const gr_granularity *granularity) {
    if (gr_rule_is_off(rule)) return true;
    *m->refusal = (gr_refusal){rule, m->rollup, member, granularity};
    if (!m->all) return false;
    for (size_t i = 0; i < m->all->n; i++)
        if (gr_refusal_eq(&m->all->v[i], m->refusal)) return true;
    GR_PUSH(m->arena, m->all, *m->refusal);
    return true;
}

/* The cube of `member` hangs in the rollup's tree as it hangs in the query's. */
static bool same_way(const matcher *m, const gr_cube *cube) {
    uint32_t in_query = gr_tree_find(m->tree, cube), in_rollup = gr_tree_find(m->stored_tree, cube);
    return in_query != GR_TREE_NONE && in_rollup != GR_TREE_NONE &&
           gr_tree_same_way(m->tree, in_query, m->stored_tree, in_rollup);
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

/* A sub_query dimension whose value depends on the filters of the query: what is stored was computed without. */
static bool is_narrowed(const matcher *m, const gr_member *member) {
    if (!gr_component_propagates(member)) return false;
    bool has_range = false;
    for (size_t i = 0; i < m->query->n_time_dimensions; i++) has_range |= m->scan->times[i].has_range;
    return has_range || m->query->n_row_filters || m->query->n_segments || m->rollup->n_filters;
}

/* Stored as it is, or computable from members that are (4.2, "owned members"). A time dimension's raw value is
 * zone-free and may be stored; its expression is not derived. */
static bool is_derivable(const matcher *m, const gr_member *member, int depth) {
    enum { DEEPEST = 16 };
    if (depth > DEEPEST) return false;
    if (stored(m->rollup, member, NULL)) return same_way(m, member->cube) && !is_narrowed(m, member);
    if (member->is_sub_query) return false;
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
    const gr_snapshot *s = m->scan->snapshot;
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

/* Ungrouped: one stored row must be one joined row, so the keys of all joined cubes are stored (2.5, 4.7.9). */
static bool check_ungrouped(matcher *m) {
    if (m->rollup->is_for_groups && !refuse(m, GR_RULE_UNGROUPED, NULL, NULL)) return false;
    if (m->rollup->n_facts > 1 || m->stored_tree->n != m->tree->n) return refuse(m, GR_RULE_UNGROUPED, NULL, NULL);
    for (size_t i = 0; i < m->stored_tree->n; i++) {
        const gr_cube *cube = m->stored_tree->nodes[i].cube;
        if (!cube->n_primary_keys && !refuse(m, GR_RULE_UNGROUPED, NULL, NULL)) return false;
        for (size_t k = 0; k < cube->n_primary_keys; k++)
            if (!stored(m->rollup, cube->primary_keys[k], NULL))
                return refuse(m, GR_RULE_UNGROUPED, cube->primary_keys[k], NULL);
    }
    return true;
}

static bool check_definition(matcher *m) {
    const gr_rollup *r = m->rollup;
    if (!r->entity->can_build) r = r->entity;
    if (!r->can_build) { /* never switched off: there is nothing to read */
        *m->refusal = (gr_refusal){GR_RULE_CANNOT_BUILD, m->rollup, NULL, NULL};
        return false;
    }
    for (uint32_t i = 1; i < m->tree->n; i++) {
        uint32_t there = gr_tree_find(m->stored_tree, m->tree->nodes[i].cube);
        if (there != GR_TREE_NONE && !gr_tree_same_way(m->tree, i, m->stored_tree, there) &&
            !refuse(m, GR_RULE_JOIN_PATH, NULL, NULL))
            return false;
    }
    return !m->query->is_ungrouped || check_ungrouped(m);
}

/* Every row that the query wants is stored: its conditions imply those of the rollup. What a static filter fixes to one
 * value is the same in every stored row. */
static bool check_static_filters(matcher *m) {
    const gr_query *q = m->query;
    for (size_t i = 0; i < m->rollup->n_filters; i++) {
        const gr_filter *f = m->rollup->filters[i];
        if (!gr_plan_filters_imply(q->row_filters, q->n_row_filters, m->scan->times, q->n_time_dimensions, f) &&
            !refuse(m, GR_RULE_STATIC_FILTER, f->kind == GR_FILTER_LEAF ? f->field.member : NULL, NULL))
            return false;
        if (f->kind == GR_FILTER_LEAF && pins_one_value(m, f)) cover(m, f->field.member);
    }
    return true;
}

static bool check_dimensions(matcher *m) {
    for (size_t i = 0; i < m->query->n_dimensions; i++) {
        const gr_member *member = m->query->dimensions[i].member;
        gr_rule rule = is_narrowed(m, member) ? GR_RULE_SUB_QUERY : GR_RULE_DIMENSION_MISSING;
        if (!is_derivable(m, member, 0) && !refuse(m, rule, member, NULL)) return false;
        if (tells_apart(m, member)) cover(m, member);
    }
    return true;
}

static bool check_segments(matcher *m) {
    for (size_t i = 0; i < m->query->n_segments; i++) {
        const gr_member *member = m->query->segments[i].member;
        if (is_narrowed(m, member) && !refuse(m, GR_RULE_SUB_QUERY, member, NULL)) return false;
        if ((!stored(m->rollup, member, NULL) || !same_way(m, member->cube)) &&
            !refuse(m, GR_RULE_SEGMENT_MISSING, member, NULL))
            return false;
        cover(m, member); /* stored as a boolean, and only true passes */
    }
    return true;
}

/* `is_required`: reached through AND nodes only, so that the condition holds for every row of the answer. */
static bool check_row_filter(matcher *m, const gr_filter *f, bool is_required) {
    if (m->rollup->n_filters && gr_plan_filters_imply(m->rollup->filters, m->rollup->n_filters, NULL, 0, f))
        return true;
    if (f->kind == GR_FILTER_LEAF) {
        if (f->op == GR_OP_MEASURE_FILTER) return refuse(m, GR_RULE_MEASURE_FILTER, f->field.member, NULL);
        if (!is_derivable(m, f->field.member, 0) && !refuse(m, GR_RULE_FILTER_MISSING, f->field.member, NULL))
            return false;
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
        if (has_measure_filter_op(m->query->measure_filters[i]) && !refuse(m, GR_RULE_MEASURE_FILTER, NULL, NULL))
            return false;
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
static bool same_anchor(const gr_scan *scan, const gr_time_field *t, const gr_granularity *have) {
    if (have->grain != GR_GRAIN_CUSTOM || !t->granularity) return true;
    int64_t stored_from = gr_granularity_anchor(have, scan->query->tz, scan->snapshot->now_us);
    return gr_plan_anchor(have, stored_from) == gr_plan_anchor(have, t->anchor_local_us);
}

static bool range_is_aligned(const gr_time_field *t, const gr_granularity *have) {
    if (!t->has_range) return true;
    if (have->grain == GR_GRAIN_CUSTOM && (!t->granularity || !gr_granularity_eq(t->granularity, have))) return false;
    return gr_range_is_aligned(&t->range, have, t->anchor_local_us);
}

/* The first stored grain of the time dimension that the query's can be computed from; else the rule that failed, and
 * the grain that would do but for the range. */
static const gr_rollup_column *pick_time(const gr_scan *scan, const gr_rollup *rollup, const gr_time_field *t,
                                         const gr_rollup_column **ret_loose, gr_rule *ret_rule) {
    *ret_rule = GR_RULE_TIME_MISSING;
    *ret_loose = NULL;
    for (size_t i = 0; i < rollup->n_columns; i++) {
        const gr_rollup_column *c = &rollup->columns[i];
        if (c->member != t->field.member || !c->granularity) continue;
        bool is_served = serves_granularity(t, c->granularity) && same_anchor(scan, t, c->granularity);
        if (!is_served && !gr_rule_is_off(GR_RULE_GRANULARITY)) {
            if (*ret_rule == GR_RULE_TIME_MISSING) *ret_rule = GR_RULE_GRANULARITY;
            continue;
        }
        if (range_is_aligned(t, c->granularity) || gr_rule_is_off(GR_RULE_RANGE)) return c;
        if (!*ret_loose) *ret_loose = c;
        *ret_rule = GR_RULE_RANGE;
    }
    return NULL;
}

const gr_rollup_column *gr_scan_stored_time(const gr_scan *scan, const gr_time_field *time) {
    const gr_rollup_column *loose;
    gr_rule rule;
    const gr_rollup_column *best = pick_time(scan, scan->rollup, time, &loose, &rule);
    return best ? best : loose; /* the loose one was accepted when the scan was planned */
}

/* The whole stored buckets inside the range; the rest is left to others. False when there is none. */
static bool tile(matcher *m, size_t index, const gr_rollup_column *c) {
    const gr_time_field *t = &m->scan->times[index];
    if (!m->tiling || m->tiling->column || m->query->is_ungrouped || !t->has_range) return false;
    if (c->granularity->grain == GR_GRAIN_CUSTOM && !t->granularity) return false;
    gr_range inner;
    if (!gr_tile_inner(t, c->granularity, m->query->tz, &inner)) return false;
    *m->tiling = (gr_tiling){.column = c, .time = index, .outer = t->range, .inner = inner};
    m->scan->times[index].range = inner;
    return true;
}

/* The range is exactly one stored bucket: as good as grouping by it. */
static bool is_one_bucket(const matcher *m, const gr_time_field *t, const gr_rollup_column *c) {
    if (!t->has_range || t->range.from_local_us == INT64_MIN || t->range.to_local_us == INT64_MAX) return false;
    if (c->is_instant) { /* stored by UTC buckets */
        int64_t us = gr_grain_seconds(c->granularity->grain) * 1000000;
        return !t->range.is_from_ambiguous && !t->range.is_to_ambiguous && t->range.from_utc_us % us == 0 &&
               t->range.to_utc_us - t->range.from_utc_us == us;
    }
    int64_t anchor = gr_granularity_anchor(c->granularity, m->query->tz, m->scan->snapshot->now_us);
    return gr_granularity_floor(c->granularity, anchor, t->range.from_local_us) == t->range.from_local_us &&
           gr_granularity_next(c->granularity, anchor, t->range.from_local_us) == t->range.to_local_us;
}

static bool check_time(matcher *m, size_t index) {
    const gr_time_field *t = &m->scan->times[index];
    const gr_member *member = t->field.member;
    gr_rule rule = GR_RULE_TIME_MISSING;
    const gr_rollup_column *loose = NULL, *best = NULL;
    if (same_way(m, member->cube)) best = pick_time(m->scan, m->rollup, t, &loose, &rule);
    if (!best && loose && m->rollup->is_non_strict) { /* an exact grain went first */
        best = loose;
        m->is_non_strict = true;
    }
    if (!best && loose && tile(m, index, loose)) best = loose;
    if (!best) return refuse(m, rule, member, t->granularity);
    /* A doubled hour has two stored instants and one name on the wall clock, so only UTC keeps them one to one. */
    bool is_one_to_one = !best->is_instant || gr_tz_is_utc(m->query->tz);
    bool is_grouped = t->granularity && gr_granularity_eq(t->granularity, best->granularity) && is_one_to_one;
    if (is_grouped || (!m->is_non_strict && is_one_bucket(m, t, best))) m->is_covered[best - m->rollup->columns] = true;
    return true;
}

static const gr_rollup_component *stored_component(const gr_rollup *r, gr_str key) {
    for (size_t i = 0; i < r->n_components; i++)
        if (gr_str_eq(r->components[i].component.stored_key, key)) return &r->components[i];
    return NULL;
}

const gr_rollup_component *gr_scan_stored_component(const gr_scan *scan, gr_str key) {
    return stored_component(scan->rollup, key);
}

const gr_rollup_column *gr_scan_stored_column(const gr_scan *scan, const gr_member *member) {
    return stored(scan->rollup, member, NULL);
}

/* Beside its data, or in the same engine without a way in between. */
static bool is_at_home(const gr_rollup *r) {
    return !r->is_elsewhere && (!r->is_remote || gr_str_eq(r->place, r->tree.nodes[0].cube->data_source));
}

/* The stored value of a dimension is the one that is counted at the source. Not so of an integer that is stored as the
 * boolean that it stands for; and of what is hashed as a text (decisions 23) where another engine writes it: 1 and 1.0,
 * a time in a zone. */
static bool is_same_value(const gr_rollup *r, const gr_component *c, const gr_member *dimension,
                          const gr_column_schema *const *types) {
    const gr_column_schema *stored = types ? types[dimension->index] : NULL,
                           *counted = types ? types[c->measure->index] : NULL;
    bool is_boolean = dimension->kind == GR_MEMBER_DIMENSION && dimension->dim_type == GR_DIM_BOOLEAN;
    if (is_boolean && stored && stored->type != GR_TYPE_BOOL) return false;
    if (c->agg != GR_AGG_COUNT_DISTINCT_APPROX || is_at_home(r)) return true;
    if (!counted) return false;
    return counted->type == GR_TYPE_INT64 || counted->type == GR_TYPE_UTF8 || counted->type == GR_TYPE_DATE;
}

/* Computed anew from a stored dimension: what repeated values do not change. */
static const gr_rollup_column *value_column(const gr_rollup *r, const gr_component *c,
                                            const gr_column_schema *const *types) {
    if (!c->value.n || !gr_component_survives_fan_out(c->agg) || r->n_facts > 1) return NULL;
    /* Of a row that a join did not find, an expression may be stored that is no value of the measure. */
    if (r->tree.nodes[0].cube != c->measure->cube && !gr_component_is_column(c->measure)) return NULL;
    for (size_t i = 0; i < r->n_columns; i++)
        if (gr_str_eq(r->columns[i].value, c->value) && r->columns[i].member->cube == c->measure->cube &&
            is_same_value(r, c, r->columns[i].member, types))
            return &r->columns[i];
    return NULL;
}

const gr_rollup_column *gr_scan_value_column(const gr_scan *scan, const gr_component *c) {
    bool is_stored = stored_component(scan->rollup, c->stored_key) != NULL;
    if (is_stored && (gr_component_is_mergeable(c->agg) || scan->is_exact_match)) return NULL;
    return value_column(scan->rollup, c, scan->snapshot->types);
}

bool gr_scan_is_absorbed(const gr_scan *scan, const gr_filter *f) {
    const gr_rollup *r = scan->rollup;
    return r && r->n_filters && gr_plan_filters_imply(r->filters, r->n_filters, NULL, 0, f);
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

/* Rows of the component's cube stand under several values of the column: merging over it would count them again. */
static bool is_fanned_by(const matcher *m, const gr_component *c, const gr_rollup_column *column) {
    if (gr_component_survives_fan_out(c->agg)) return false;
    uint32_t from = gr_tree_find(m->stored_tree, c->measure->cube);
    for (size_t i = 0; from != GR_TREE_NONE && i < column->n_cubes; i++) {
        uint32_t to = gr_tree_find(m->stored_tree, column->cubes[i]);
        if (to != GR_TREE_NONE && gr_tree_multiplies(m->stored_tree, from, to)) return true;
    }
    return false;
}

/* The stored groups that make one group of the answer can be merged. */
static bool check_merge(matcher *m, const gr_component *c) {
    bool is_mergeable = gr_component_is_mergeable(c->agg);
    if (!is_mergeable && (!all_covered(m) || is_opaque_risk(m, c->agg)))
        return refuse(m, GR_RULE_EXACT_GRAIN, c->measure, NULL);
    for (size_t i = 0; is_mergeable && i < m->rollup->n_columns; i++)
        if (!m->is_covered[i] && is_fanned_by(m, c, &m->rollup->columns[i]) &&
            !refuse(m, GR_RULE_FAN_OUT, m->rollup->columns[i].member, m->rollup->columns[i].granularity))
            return false;
    return true;
}

static bool check_components(matcher *m) {
    const gr_components *needed = &m->scan->group.components;
    for (size_t i = 0; i < needed->n; i++) {
        const gr_component *c = &needed->v[i];
        const gr_rollup_component *have = stored_component(m->rollup, c->stored_key);
        bool is_merged = have && (gr_component_is_mergeable(c->agg) || all_covered(m));
        bool is_counted_anew =
            !is_merged && value_column(m->rollup, c, m->scan->snapshot->types) && same_way(m, c->measure->cube);
        if (is_counted_anew && !is_narrowed(m, c->measure)) continue;
        if ((!have || !same_way(m, c->measure->cube)) && !refuse(m, GR_RULE_MEASURE_MISSING, c->measure, NULL))
            return false;
        if (is_narrowed(m, c->measure) && !refuse(m, GR_RULE_SUB_QUERY, c->measure, NULL)) return false;
        if (!check_merge(m, c)) return false;
    }
    return true;
}

/* A component that cannot be put together from pieces that are cut at this column; NULL: all can. */
static const gr_component *find_rigid(const matcher *m, const gr_rollup_column *column) {
    const gr_components *needed = &m->scan->group.components;
    for (size_t i = 0; i < needed->n; i++)
        if (!gr_component_is_mergeable(needed->v[i].agg) || is_fanned_by(m, &needed->v[i], column))
            return &needed->v[i];
    return NULL;
}

/* Where a component cannot be put together from pieces, no group of the answer may lie in two of them: the cut is moved
 * to whole buckets of the query's own granularity. */
static bool check_edges(matcher *m) {
    gr_tiling *tiling = m->tiling;
    if (!tiling || !tiling->column) return true;
    const gr_component *rigid = find_rigid(m, tiling->column);
    if (!rigid) return true;
    gr_time_field t = m->scan->times[tiling->time];
    t.range = tiling->inner;
    if (!t.granularity || !gr_tile_inner(&t, t.granularity, m->query->tz, &tiling->inner))
        return refuse(m, GR_RULE_EDGES, rigid->measure, NULL);
    m->scan->times[tiling->time].range = tiling->inner;
    return true;
}

static bool check_engine_sql(matcher *m) {
    const gr_member *found = gr_match_engine_sql(m->scan, m->rollup, m->tiling != NULL);
    return !found || refuse(m, GR_RULE_ENGINE_SQL, found, NULL);
}

static bool match(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_tiling *tiling,
                  gr_refusal *ret_refusal, gr_refusals *all, gr_arena *arena) {
    enum { MOST_COLUMNS = 256 };
    bool covered[MOST_COLUMNS] = {false};
    matcher m = {.all = all,
                 .arena = arena,
                 .scan = scan,
                 .query = scan->query,
                 .tree = &scan->group.tree,
                 .rollup = rollup,
                 .stored_tree = stored_tree,
                 .is_covered = covered,
                 .tiling = tiling,
                 .refusal = ret_refusal};
    if (rollup->n_columns > MOST_COLUMNS) {
        *ret_refusal = (gr_refusal){GR_RULE_CANNOT_BUILD, rollup, NULL, NULL};
        return false;
    }
    if (!check_definition(&m) || !check_dimensions(&m) || !check_segments(&m) || !check_filters(&m)) return false;
    for (size_t i = 0; i < scan->query->n_time_dimensions; i++)
        if (!check_time(&m, i)) return false;
    if (!check_static_filters(&m) || !check_components(&m) || !check_engine_sql(&m) || !check_edges(&m)) return false;
    scan->is_exact_match = all_covered(&m);
    scan->is_non_strict_range = m.is_non_strict;
    return true;
}

bool gr_match_edges(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_tiling *tiling,
                    gr_refusal *ret_refusal) {
    matcher m = {.scan = scan,
                 .query = scan->query,
                 .rollup = rollup,
                 .stored_tree = stored_tree,
                 .tiling = tiling,
                 .refusal = ret_refusal};
    return check_edges(&m);
}

bool gr_match_cut(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, size_t time, int64_t *cut_us,
                  gr_refusal *ret_refusal) {
    matcher m = {
        .scan = scan, .query = scan->query, .rollup = rollup, .stored_tree = stored_tree, .refusal = ret_refusal};
    const gr_component *rigid = find_rigid(&m, gr_rollup_time(rollup));
    const gr_time_field *t = &scan->times[time];
    if (!rigid) return true;
    if (!t->granularity) return refuse(&m, GR_RULE_EDGES, rigid->measure, NULL);
    *cut_us = gr_granularity_floor(t->granularity, t->anchor_local_us, *cut_us);
    return true;
}

bool gr_match_rollup(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_tiling *tiling,
                     gr_refusal *ret_refusal) {
    return match(scan, rollup, stored_tree, tiling, ret_refusal, NULL, NULL);
}

void gr_match_all(gr_scan *scan, const gr_rollup *rollup, const gr_tree *stored_tree, gr_arena *arena,
                  gr_refusals *ret) {
    gr_refusal last = {0};
    bool passed = match(scan, rollup, stored_tree, NULL, &last, ret, arena);
    if (!passed) GR_PUSH(arena, ret, last); /* nothing after it could be asked */
}

static int64_t floor_to(int64_t us, int64_t unit_us) {
    int64_t rest = us % unit_us;
    if (rest < 0) rest += unit_us;
    return us < INT64_MIN + unit_us ? us : us - rest;
}

/* Instant columns hold UTC buckets: they can be re-cut for a zone whose offsets, over the time that matters, are
 * multiples of the grain. That time is the query's range, else what is stored, else (not built yet) from 1970 on: the
 * build then says what is stored, and the query is planned again. Of a range it is whole UTC buckets: one that begins
 * where the clock jumps, in the middle of a bucket, needs that bucket cut in two. */
bool gr_match_zone(const gr_scan *scan, const gr_rollup *rollup, const gr_rollup_state *state,
                   gr_refusal *ret_refusal) {
    static const int64_t from_1970 = 0;
    const gr_query *q = scan->query;
    if (gr_rule_is_off(GR_RULE_TIME_ZONE)) return true;
    for (size_t i = 0; i < rollup->n_columns; i++) {
        const gr_rollup_column *c = &rollup->columns[i];
        if (!c->is_instant || gr_tz_is_utc(q->tz)) continue;
        int64_t seconds = gr_grain_seconds(c->granularity->grain), unit_us = seconds * 1000000;
        int64_t from = state && state->min_us ? state->min_us[i] : from_1970;
        int64_t to = state && state->max_us ? state->max_us[i] + unit_us : INT64_MAX;
        bool is_used = false;
        for (size_t k = 0; k < q->n_time_dimensions; k++) {
            const gr_time_field *t = &scan->times[k];
            if (t->field.member != c->member) continue;
            is_used = true;
            if (t->has_range && t->range.from_utc_us > from) from = floor_to(t->range.from_utc_us, unit_us);
            if (t->has_range && t->range.to_utc_us < to) to = t->range.to_utc_us;
        }
        if (is_used && from < to && !gr_tz_offsets_divide(q->tz, from, to, seconds)) {
            *ret_refusal = (gr_refusal){GR_RULE_TIME_ZONE, rollup, c->member, c->granularity};
            return false;
        }
    }
    return true;
}
