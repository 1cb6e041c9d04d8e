/* What a build of an earlier version still says (decisions 19). Its columns hold that version's values; how they are
 * merged, finished and derived from each other is read from today's model. So a member is answered only where the two
 * versions cannot differ:
 *
 *      stored under its own name         its shape (kind, type, aggregation, grains) is what it was
 *      read from another member's column both are word for word what they were
 *      calculated from others            word for word, and so on for what it names
 *      of a joined cube                  all joins and keys on the way are what they were */
#include "plan/internal.h"

typedef struct pin {
    const gr_planner *planner;
    const gr_rollup *rollup;
    const gr_member_change *changes; /* by member index */
    const gr_member *changed;        /* the first that cannot be told */
} pin;

static bool is_same(pin *p, const gr_member *m) {
    /* A call inside a calculated measure: as old as the measure that holds it. */
    bool is_same = m->is_synthetic || p->changes[m->index] == GR_MEMBER_SAME;
    if (!is_same && !p->changed) p->changed = m;
    return is_same;
}

static bool has_same_shape(pin *p, const gr_member *m) {
    return p->changes[m->index] == GR_MEMBER_SQL_CHANGED || is_same(p, m);
}

static bool are_columns_same(pin *p) {
    for (size_t i = 0; i < p->rollup->n_columns; i++)
        if (!is_same(p, p->rollup->columns[i].member)) return false;
    return true;
}

static bool column_says(pin *p, const gr_member *m) {
    for (size_t i = 0; i < p->rollup->n_columns; i++)
        if (p->rollup->columns[i].member == m) return has_same_shape(p, m);
    return is_same(p, m) && are_columns_same(p);
}

static const gr_rollup_component *stored(const pin *p, gr_str stored_key) {
    for (size_t i = 0; i < p->rollup->n_components; i++)
        if (gr_str_eq(p->rollup->components[i].component.stored_key, stored_key)) return &p->rollup->components[i];
    return NULL;
}

static bool leaf_says(pin *p, const gr_member *m) {
    gr_components parts = {0};
    gr_measure_components(p->planner->snapshot->index, m, p->planner->arena, &parts);
    for (size_t i = 0; i < parts.n; i++) {
        const gr_rollup_component *c = stored(p, parts.v[i].stored_key);
        bool is_own = c && c->component.measure == m;
        if (is_own ? !has_same_shape(p, m) : !is_same(p, m)) return false;
        if (!is_own && !(c ? is_same(p, c->component.measure) : are_columns_same(p))) return false;
    }
    return true;
}

static bool member_says(pin *p, const gr_member *m);

static bool refs_say(pin *p, const gr_expr *e) {
    for (size_t i = 0; e && i < e->n_parts; i++)
        if (e->parts[i].kind == GR_PART_MEMBER && !member_says(p, e->parts[i].member)) return false;
    return true;
}

static bool member_says(pin *p, const gr_member *m) {
    if (m->kind != GR_MEMBER_MEASURE) return column_says(p, m);
    bool is_leaf = !m->is_calculated && !m->stage;
    if ((!is_leaf || m->window.kind != GR_WINDOW_NONE) && !is_same(p, m)) return false;
    return is_leaf ? leaf_says(p, m) : refs_say(p, m->sql);
}

static bool filters_say(pin *p, gr_filter *const *filters, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const gr_filter *f = filters[i];
        if (f->kind == GR_FILTER_LEAF ? !member_says(p, f->field.member) : !filters_say(p, f->children, f->n_children))
            return false;
    }
    return true;
}

static bool fields_say(pin *p, const gr_field *fields, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!member_says(p, fields[i].member)) return false;
    return true;
}

static bool query_says(pin *p, const gr_query *q) {
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (!member_says(p, q->time_dimensions[i].field.member)) return false;
    return fields_say(p, q->measures, q->n_measures) && fields_say(p, q->dimensions, q->n_dimensions) &&
           fields_say(p, q->segments, q->n_segments) && filters_say(p, q->row_filters, q->n_row_filters) &&
           filters_say(p, q->measure_filters, q->n_measure_filters);
}

/* A count of distinct values, a least or greatest, may be read from the column of a dimension. */
static bool scan_says(pin *p, const gr_scan *scan) {
    if (!scan) return p->rollup->n_components == 0 || are_columns_same(p);
    gr_scan reading = *scan;
    reading.rollup = p->rollup;
    for (size_t i = 0; i < scan->group.components.n; i++) {
        const gr_component *c = &scan->group.components.v[i];
        const gr_rollup_column *column = gr_scan_value_column(&reading, c);
        if (column && !(is_same(p, c->measure) && is_same(p, column->member))) return false;
    }
    return true;
}

/* Which rows are repeated, and so what may be added up, is read from today's joins, also over columns that are not
 * asked for. */
static bool joins_say(pin *p) {
    const gr_rollup *r = p->rollup;
    const gr_cube *root = r->tree.nodes[0].cube;
    for (size_t i = 0; i < r->n_columns + r->n_components; i++) {
        const gr_member *m =
            i < r->n_columns ? r->columns[i].member : r->components[i - r->n_columns].component.measure;
        if (m->cube != root && !has_same_shape(p, m)) return false;
    }
    return true;
}

const gr_member *gr_plan_pinned_changed(const gr_planner *planner, const gr_query *query, const gr_scan *scan,
                                        const gr_rollup *rollup, const gr_rollup_state *state) {
    pin p = {.planner = planner, .rollup = rollup, .changes = state->changes};
    if (!state->changes || gr_rule_is_off(GR_RULE_CHANGED)) return NULL;
    bool says = joins_say(&p) && query_says(&p, query) && (query == planner->query || query_says(&p, planner->query)) &&
                scan_says(&p, scan);
    return says ? NULL : p.changed;
}
