/* The answer of /v1/explain: the decision, and all that led to it: join trees, grain groups, every candidate with the
 * rules that it passed and failed and what would help, the pieces that were chosen. Invariant: a rule is said to have
 * passed only when it was asked. Source: decisions 11, 14; docs/http-api.md. */
#include "http/encode.h"

/* Rules about what there is now, or about the request; the others are about definitions. */
static const bool is_of_the_moment[GR_RULE__COUNT] = {
    [GR_RULE_FORBIDDEN] = true,    [GR_RULE_TIME_ZONE] = true, [GR_RULE_BUILD_RANGE] = true,
    [GR_RULE_EDGES] = true,        [GR_RULE_NOT_BUILT] = true, [GR_RULE_VERSION] = true,
    [GR_RULE_BUILD_FAILED] = true, [GR_RULE_LAMBDA] = true,    [GR_RULE_PARTITION] = true};
/* Asked first, in this order; when one fails, nothing else is asked. */
static const gr_rule gates[] = {GR_RULE_CANNOT_BUILD, GR_RULE_ROOT, GR_RULE_FACTS};
enum { N_GATES = sizeof gates / sizeof *gates };

typedef struct writer {
    gr_jw *w;
    gr_arena *arena;
    const gr_explanation *e;
    const gr_plan *shown;
} writer;

/* ---- trees and groups ------------------------------------------------------------------------ */
static void put_tree(gr_jw *w, const gr_tree *tree) {
    static const gr_str relationships[] = {[GR_JOIN_MANY_TO_ONE] = GR_STR_INIT("many_to_one"),
                                           [GR_JOIN_ONE_TO_MANY] = GR_STR_INIT("one_to_many"),
                                           [GR_JOIN_ONE_TO_ONE] = GR_STR_INIT("one_to_one")};
    gr_jw_array(w);
    for (size_t i = 0; i < tree->n; i++) {
        const gr_tree_node *node = &tree->nodes[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "cube", node->cube->name);
        if (node->join) {
            gr_jw_key_str(w, "parent", tree->nodes[node->parent].cube->name);
            gr_jw_key_str(w, "relationship", relationships[node->join->relationship]);
        } else {
            gr_http_put_null_key(w, "parent");
            gr_http_put_null_key(w, "relationship");
        }
        gr_jw_key_bool(w, "multiplied", node->is_multiplied);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_components(gr_jw *w, const gr_components *components) {
    static const char *const aggs[] = {[GR_AGG_COUNT] = "count",
                                       [GR_AGG_SUM] = "sum",
                                       [GR_AGG_MIN] = "min",
                                       [GR_AGG_MAX] = "max",
                                       [GR_AGG_COUNT_DISTINCT] = "count_distinct",
                                       [GR_AGG_COUNT_DISTINCT_APPROX] = "count_distinct_approx",
                                       [GR_AGG_M2] = "m2",
                                       [GR_AGG_OPAQUE] = "opaque",
                                       [GR_AGG_STAGE] = "stage"};
    gr_jw_key(w, GR_STR("components"));
    gr_jw_array(w);
    for (size_t i = 0; i < components->n; i++) {
        const gr_component *c = &components->v[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "measure", c->measure->id);
        gr_jw_key_str(w, "aggregation", gr_str_from(aggs[c->agg]));
        gr_jw_key_str(w, "key", c->key);
        gr_jw_key_bool(w, "mergeable", gr_component_is_mergeable(c->agg));
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

/* ---- candidates ------------------------------------------------------------------------------ */
static bool has_failed(const gr_candidate *c, gr_rule rule) {
    for (size_t i = 0; i < c->refusals.n; i++)
        if (c->refusals.v[i].rule == rule) return true;
    return false;
}

static void put_passed(const writer *x, const gr_candidate *c) {
    bool is_open = true;
    gr_jw_key(x->w, GR_STR("passed"));
    gr_jw_array(x->w);
    for (size_t i = 0; i < N_GATES && is_open; i++) {
        is_open = !has_failed(c, gates[i]);
        if (is_open) gr_jw_str(x->w, gr_rule_id(gates[i]));
    }
    for (int rule = 0; rule < GR_RULE__COUNT && is_open; rule++) {
        bool is_gate = false;
        for (size_t i = 0; i < N_GATES; i++) is_gate |= gates[i] == (gr_rule)rule;
        if (!is_gate && !is_of_the_moment[rule] && !has_failed(c, (gr_rule)rule))
            gr_jw_str(x->w, gr_rule_id((gr_rule)rule));
    }
    gr_jw_array_end(x->w);
}

static void put_failed(const writer *x, const gr_candidate *c) {
    const gr_plan *plan = x->e->answer.plan;
    gr_jw_key(x->w, GR_STR("failed"));
    gr_jw_array(x->w);
    for (size_t i = 0; i < c->refusals.n; i++) gr_http_put_refusal(x->w, &c->refusals.v[i], false, x->arena);
    for (size_t i = 0; i < plan->n_refusals; i++) {
        const gr_refusal *r = &plan->refusals[i];
        if (r->rollup == c->rollup && is_of_the_moment[r->rule]) gr_http_put_refusal(x->w, r, false, x->arena);
    }
    gr_jw_array_end(x->w);
}

static bool has_change(const gr_repair *repair, gr_change_kind kind) {
    for (size_t i = 0; i < repair->changes.n; i++)
        if (repair->changes.v[i].kind == kind) return true;
    return false;
}

static void put_change(gr_jw *w, const gr_change *c) {
    if (c->kind != GR_CHANGE_TIME_DIMENSION) {
        gr_jw_str(w, c->member);
        return;
    }
    gr_jw_object(w);
    gr_jw_key_str(w, "dimension", c->member);
    gr_jw_key_str(w, "granularity", c->granularity->name);
    if (c->old_granularity) gr_jw_key_str(w, "instead_of", c->old_granularity->name);
    gr_jw_object_end(w);
}

static void put_changes(gr_jw *w, const gr_repair *repair) {
    static const char *const keys[] = {[GR_CHANGE_MEASURE] = "measures",
                                       [GR_CHANGE_DIMENSION] = "dimensions",
                                       [GR_CHANGE_SEGMENT] = "segments",
                                       [GR_CHANGE_TIME_DIMENSION] = "time_dimensions"};
    gr_jw_key(w, GR_STR("add"));
    gr_jw_object(w);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        if (!has_change(repair, (gr_change_kind)k)) continue;
        gr_jw_key(w, gr_str_from(keys[k]));
        gr_jw_array(w);
        for (size_t i = 0; i < repair->changes.n; i++)
            if (repair->changes.v[i].kind == (gr_change_kind)k) put_change(w, &repair->changes.v[i]);
        gr_jw_array_end(w);
    }
    gr_jw_object_end(w);
}

/* New measures make no new rows. */
static bool adds_measures_only(const gr_repair *r) {
    return !has_change(r, GR_CHANGE_DIMENSION) && !has_change(r, GR_CHANGE_SEGMENT) &&
           !has_change(r, GR_CHANGE_TIME_DIMENSION);
}

static void put_repair(gr_jw *w, const gr_repair *r) {
    if (!r->is_known) {
        gr_http_put_null_key(w, "repair");
        return;
    }
    gr_jw_key(w, GR_STR("repair"));
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("changes"));
    gr_jw_array(w);
    for (size_t i = 0; i < r->n_texts; i++) gr_jw_str(w, r->texts[i]);
    gr_jw_array_end(w);
    gr_jw_key_bool(w, "is_proved", r->is_proved);
    if (r->is_proved) put_changes(w, r);
    if (r->has_rows_now) gr_jw_key_i64(w, "rows_now", r->rows_now);
    if (r->has_rows) gr_jw_key_i64(w, "estimated_rows", r->rows);
    if (r->is_proved && adds_measures_only(r))
        gr_jw_key_i64(w, "estimated_rows_added", 0);
    else if (r->has_rows && r->has_rows_now)
        gr_jw_key_i64(w, "estimated_rows_added", r->rows - r->rows_now);
    gr_http_put_text_key(w, "estimate_problem", r->rows_problem);
    gr_jw_object_end(w);
}

static bool is_chosen(const gr_plan *shown, const gr_rollup *rollup) {
    for (size_t i = 0; i < shown->n_uses; i++)
        if (shown->uses[i].rollup == rollup || shown->uses[i].lambda == rollup) return true;
    return false;
}

static void put_candidates(const writer *x, size_t group) {
    const gr_plan_report *report = &x->e->report;
    gr_jw_key(x->w, GR_STR("candidates"));
    gr_jw_array(x->w);
    for (size_t i = 0; i < report->n_candidates; i++) {
        const gr_candidate *c = &report->candidates[i];
        if (c->group != group) continue;
        gr_jw_object(x->w);
        gr_jw_key_str(x->w, "pre_aggregation", c->rollup->preagg->id);
        gr_jw_key_bool(x->w, "is_chosen", is_chosen(x->shown, c->rollup));
        put_passed(x, c);
        put_failed(x, c);
        put_repair(x->w, &x->e->repairs[i]);
        gr_jw_object_end(x->w);
    }
    gr_jw_array_end(x->w);
}

static void put_groups(const writer *x) {
    gr_jw_key(x->w, GR_STR("grain_groups"));
    gr_jw_array(x->w);
    for (size_t i = 0; i < x->e->report.groups.n; i++) {
        const gr_group *g = &x->e->report.groups.v[i];
        gr_jw_object(x->w);
        gr_jw_key_str(x->w, "fact", g->tree.nodes[0].cube->name);
        if (g->key_node == GR_TREE_NONE)
            gr_http_put_null_key(x->w, "key_cube");
        else
            gr_jw_key_str(x->w, "key_cube", g->tree.nodes[g->key_node].cube->name);
        gr_jw_key(x->w, GR_STR("join_tree"));
        put_tree(x->w, &g->tree);
        put_components(x->w, &g->components);
        put_candidates(x, i);
        gr_jw_object_end(x->w);
    }
    gr_jw_array_end(x->w);
}

/* ---- pieces ---------------------------------------------------------------------------------- */
static void put_point(gr_jw *w, const char *key, int64_t local_us) {
    char text[48];
    if (local_us == INT64_MIN || local_us == INT64_MAX)
        gr_http_put_null_key(w, key);
    else
        gr_jw_key_str(w, key, (gr_str){text, gr_time_format(local_us, text)});
}

static void put_ranges(gr_jw *w, const gr_scan *scan) {
    gr_jw_key(w, GR_STR("ranges"));
    gr_jw_array(w);
    for (size_t i = 0; i < scan->query->n_time_dimensions; i++) {
        const gr_time_field *t = &scan->times[i];
        if (!t->has_range) continue;
        gr_jw_object(w);
        gr_jw_key_str(w, "dimension", t->field.id);
        put_point(w, "from", t->range.from_local_us);
        put_point(w, "to", t->range.to_local_us);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static void put_scan(const writer *x, const gr_plan *plan, size_t index) {
    const gr_scan *scan = &plan->pieces[index].scan;
    gr_jw *w = x->w;
    if (scan->rollup) {
        gr_jw_key_str(w, "pre_aggregation", scan->rollup->preagg->id);
        if (scan->rollup_zone) gr_jw_key_str(w, "timezone", gr_tz_name(scan->rollup_zone));
        gr_jw_key_str(w, "exactness", scan->is_non_strict_range ? GR_STR("non_strict_range") : GR_STR("exact"));
    } else {
        gr_jw_key_str(w, "source", scan->group.tree.nodes[0].cube->data_source);
    }
    put_ranges(w, scan);
    gr_sql sql;
    gr_plan with = *plan; /* an inner plan reads the same originals as the whole */
    with.originals = x->shown->originals;
    with.n_originals = x->shown->n_originals;
    if (plan->query->is_ungrouped || gr_sql_piece(&with, index, x->e->places, x->arena, &sql, NULL)) return;
    gr_jw_key_str(w, "sql", sql.text);
    gr_jw_key(w, GR_STR("params"));
    gr_http_put_params(w, &sql);
}

/* Depth: that of nested measures, which planning limits. */
static void put_pieces(const writer *x, const char *key, const gr_plan *plan);

static void put_stage(const writer *x, const gr_stage_read *stage) {
    static const char *const forms[] = {[GR_STAGE_SHIFT] = "shift",
                                        [GR_STAGE_SPREAD] = "spread",
                                        [GR_STAGE_OVER] = "over",
                                        [GR_STAGE_FOLD] = "fold",
                                        [GR_STAGE_RANK] = "rank"};
    gr_jw_key_str(x->w, "form", gr_str_from(forms[stage->form]));
    gr_jw_key_str(x->w, "measure", stage->measure->id);
    if (stage->rows) put_pieces(x, "rows", stage->rows);
    if (stage->inner) put_pieces(x, "pieces", stage->inner);
}

static void put_piece(const writer *x, const gr_plan *plan, size_t index) {
    static const char *const kinds[] = {
        [GR_PIECE_SCAN] = "scan", [GR_PIECE_WINDOW] = "window", [GR_PIECE_STAGE] = "stage"};
    const gr_piece *piece = &plan->pieces[index];
    gr_jw_object(x->w);
    gr_jw_key_str(x->w, "kind", gr_str_from(kinds[piece->kind]));
    put_components(x->w, &piece->components);
    if (piece->kind == GR_PIECE_SCAN) put_scan(x, plan, index);
    if (piece->kind == GR_PIECE_WINDOW) {
        gr_jw_key_i64(x->w, "buckets", (int64_t)piece->window.n_buckets);
        put_pieces(x, "pieces", piece->window.inner);
    }
    if (piece->kind == GR_PIECE_STAGE) put_stage(x, &piece->stage);
    gr_jw_object_end(x->w);
}

static void put_pieces(const writer *x, const char *key, const gr_plan *plan) {
    gr_jw_key(x->w, gr_str_from(key));
    gr_jw_array(x->w);
    for (size_t i = 0; i < plan->n_pieces; i++) put_piece(x, plan, i);
    gr_jw_array_end(x->w);
}

/* ---- the whole ------------------------------------------------------------------------------- */
static void put_timings(gr_jw *w, const gr_answer *a) {
    gr_jw_key(w, GR_STR("timings_us"));
    gr_jw_object(w);
    gr_jw_key_i64(w, "parse", a->parsed_us);
    gr_jw_key_i64(w, "plan", a->planned_us - a->parsed_us - a->rendered_us);
    gr_jw_key_i64(w, "render", a->rendered_us);
    gr_jw_object_end(w);
}

static void put_explanation(gr_jw *w, const gr_explanation *e, gr_arena *arena) {
    const gr_answer *a = &e->answer;
    writer x = {w, arena, e, a->shown ? a->shown : a->plan};
    gr_jw_object(w);
    gr_http_put_decision(w, a, arena);
    gr_jw_key(w, GR_STR("join_tree"));
    put_tree(w, &a->plan->tree);
    put_groups(&x);
    put_pieces(&x, "pieces", x.shown);
    put_timings(w, a);
    gr_jw_object_end(w);
}

gr_status gr_http_encode_explain(const gr_explanations *all, gr_arena *arena, gr_buf *out, gr_error *err) {
    gr_jw w;
    gr_jw_init(&w, out);
    if (all->type != GR_QUERY_REGULAR) gr_jw_array(&w);
    for (size_t i = 0; i < all->n; i++) {
        put_explanation(&w, &all->v[i], arena);
        GR_TRY(gr_http_encode_check(out, err));
    }
    if (all->type != GR_QUERY_REGULAR) gr_jw_array_end(&w);
    return gr_http_encode_check(out, err);
}
