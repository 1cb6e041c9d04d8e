/* SQL of members that would be worked out by another engine than the one it was written for: over rollups that are kept
 * in another engine, and where rows of several readings meet in the embedded one.
 *
 *      orders.rate   ROUND({done} / {count}, 2)    the same everywhere            expr/common.h
 *      orders.label  to_char({total}, '999.00')    this one's: the rollup is passed by */
#include "expr/common.h"
#include "plan/internal.h"

static bool is_text(const gr_member *m) { return m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_STRING; }

bool gr_plan_expr_is_common(const gr_expr *e, const gr_snapshot *snapshot, bool *ret_divides, gr_str *ret_why) {
    gr_common c = gr_expr_common(e);
    *ret_why = c.stranger;
    *ret_divides = c.has_division;
    if (c.stranger.n) return false;
    bool has_text = c.orders_text, has_other = false;
    for (size_t i = 0; i < e->n_parts; i++) {
        const gr_member *m = e->parts[i].kind == GR_PART_MEMBER ? e->parts[i].member : NULL;
        if (!m) continue;
        const gr_column_schema *type = snapshot->types ? snapshot->types[m->index] : NULL;
        has_text |= is_text(m);
        has_other |= !is_text(m);
        *ret_divides |= m->kind == GR_MEMBER_MEASURE && (m->is_calculated || m->agg == GR_MEASURE_AVG);
        if (type && type->is_text_of_other && e->n_parts > 1) *ret_why = m->id; /* it is compared as what it is there */
    }
    if (c.has_order && has_text) *ret_why = GR_STR("the order of texts");
    if (c.has_concat && has_other) *ret_why = GR_STR("||");
    return !ret_why->n;
}

/* ---- over a rollup -------------------------------------------------------------------------------------------------
 */

static bool is_stored(const gr_rollup *r, const gr_member *member) {
    for (size_t i = 0; i < r->n_columns; i++)
        if (r->columns[i].member == member && !r->columns[i].granularity) return true;
    return false;
}

typedef struct search {
    const gr_scan *scan;
    const gr_rollup *rollup;
    bool is_abroad; /* nothing is worked out there that is not stored */
} search;

static const gr_member *find(const search *s, const gr_member *member, int depth);

static const gr_member *find_in(const search *s, const gr_member *member, const gr_expr *e, int depth) {
    if (!e) return NULL;
    gr_str why;
    bool divides, is_alias = e->n_parts == 1 && e->parts[0].kind == GR_PART_MEMBER;
    if (s->is_abroad ? !is_alias : !gr_plan_expr_is_common(e, s->scan->snapshot, &divides, &why)) return member;
    const gr_member *found = NULL;
    for (size_t i = 0; i < e->n_parts && !found; i++)
        if (e->parts[i].kind == GR_PART_MEMBER && !e->parts[i].granularity)
            found = find(s, e->parts[i].member, depth + 1);
    return found;
}

static const gr_member *find(const search *s, const gr_member *member, int depth) {
    enum { DEEPEST = 16 };
    if (depth > DEEPEST) return NULL;
    bool is_measure = member->kind == GR_MEMBER_MEASURE;
    if (is_measure && (!member->is_calculated || gr_measure_has_stage(member) || !gr_measure_is_decomposable(member)))
        return NULL;
    if (!is_measure && is_stored(s->rollup, member)) return NULL;
    if (member->latitude || member->longitude || (s->is_abroad && member->n_cases)) return member;
    const gr_member *found = find_in(s, member, member->sql, depth);
    for (size_t i = 0; i < member->n_cases && !found; i++) {
        found = find_in(s, member, member->cases[i].when, depth);
        if (!found) found = find_in(s, member, member->cases[i].label_sql, depth);
    }
    return found;
}

static const gr_member *find_in_filter(const search *s, const gr_filter *f) {
    const gr_member *found = NULL;
    if (f->kind == GR_FILTER_LEAF) return find(s, f->field.member, 0);
    for (size_t i = 0; i < f->n_children && !found; i++) found = find_in_filter(s, f->children[i]);
    return found;
}

/* Dimensions, and filters on them: worked out where the table is. */
static const gr_member *find_in_rows(const search *s, const gr_query *q) {
    const gr_rollup *r = s->rollup;
    const gr_member *found = NULL;
    for (size_t i = 0; i < q->n_dimensions && !found; i++) found = find(s, q->dimensions[i].member, 0);
    for (size_t i = 0; i < q->n_row_filters && !found; i++)
        if (!gr_plan_filters_imply(r->filters, r->n_filters, NULL, 0, q->row_filters[i]))
            found = find_in_filter(s, q->row_filters[i]);
    return found;
}

/* Measures over measures: worked out where the table is when that is an engine of the source's kind, else here. */
static const gr_member *find_in_measures(const search *s, const gr_query *q) {
    const gr_member *found = NULL;
    for (size_t i = 0; i < q->n_measures && !found; i++) found = find(s, q->measures[i].member, 0);
    for (size_t i = 0; i < q->n_measure_filters && !found; i++) found = find_in_filter(s, q->measure_filters[i]);
    return found;
}

/* The tables of a rollup_join meet here, unless they are in one database. */
static bool meets_here(const gr_rollup *r) {
    bool is_apart = false;
    for (size_t i = 0; i < r->n_links; i++) {
        const gr_rollup *from = r->links[i].from, *to = r->links[i].to;
        is_apart |= from->is_elsewhere || to->is_elsewhere;
        is_apart |= (from->is_remote || to->is_remote) && !gr_str_eq(from->place, to->place);
    }
    return is_apart;
}

const gr_member *gr_match_engine_sql(const gr_scan *scan, const gr_rollup *r, bool is_merged) {
    const gr_query *q = scan->query;
    bool is_abroad = r->is_abroad && !r->n_links, is_here = r->n_links ? meets_here(r) : r->is_elsewhere;
    const search rows = {scan, r, is_abroad}, measures = {scan, r, is_abroad && q->is_ungrouped};
    const gr_member *found = NULL;
    if (is_abroad || (r->is_remote && is_here)) found = find_in_rows(&rows, q);
    bool are_rows_elsewhere = is_abroad && q->is_ungrouped;
    if (!found && (are_rows_elsewhere || (r->is_remote && (is_here || is_merged))))
        found = find_in_measures(&measures, q);
    return found;
}
