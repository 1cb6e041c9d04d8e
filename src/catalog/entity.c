/* One declaration of an entity: which row it is, and what becomes of that row.
 *
 *     node, grain hash ──> rows of all versions
 *        a row of the declared version, or of one of equal content      ──> declared again, at this version
 *        else one of equal base without a conflict in components        ──> the same thing: pinned to the newer version
 *        else                                                           ──> a new row, heir of the newest earlier one
 *
 * Invariant: nothing is written, and no time stamp moves, when nothing is new. */
#include "catalog/hashes.h"
#include "catalog/internal.h"

gr_status gr_catalog_decl_check(const gr_preagg_decl *d, gr_arena *arena, gr_error *err) {
    const gr_catalog_rule_of_text texts[] = {
        {"node's name", d->node, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"grain hash", d->grain_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"list of grain columns", d->grain_columns, CATALOG_MAX_JSON, true, GR_CATALOG_TEXTS},
        {"list of filters", d->filters, CATALOG_MAX_JSON, false, GR_CATALOG_LIST},
        {"base hash", d->base_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"structure hash", d->structure_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"time zone", d->time_zone, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"store", d->store, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"SQL text", d->sql, CATALOG_MAX_JSON, false, GR_CATALOG_ANY},
        {"list of columns", d->columns, CATALOG_MAX_JSON, false, GR_CATALOG_LIST},
        {"definition", d->definition, CATALOG_MAX_JSON, false, GR_CATALOG_OBJECT},
        {"name", d->name, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"external table", d->external, CATALOG_MAX_JSON, false, GR_CATALOG_OBJECT},
    };
    GR_TRY(gr_catalog_texts_check(texts, sizeof texts / sizeof texts[0], arena, err));
    for (size_t i = 0; i < d->n_declared_by; i++) {
        const gr_catalog_rule_of_text name = {"declaring name", d->declared_by[i], CATALOG_MAX_NAME, true,
                                              GR_CATALOG_ANY};
        GR_TRY(gr_catalog_texts_check(&name, 1, arena, err));
    }
    return gr_catalog_components_check(d->components, d->n_components, arena, err);
}

/* A declaration as it is stored: what may be left out is there, lists are JSON, hashes are computed. */
typedef struct stored {
    gr_str filters, columns, measures, details, table_hash, group_hash, preagg_hash;
    gr_str *terms[2]; /* case-folded grain columns, component names */
    size_t n_terms[2];
} stored;

/* For people and for names of tables: the head of the structure hash. */
static gr_str table_hash(gr_str structure_hash) {
    enum { TABLE_HASH_DIGITS = 16 };
    return gr_str_sub(structure_hash, 0, structure_hash.n < TABLE_HASH_DIGITS ? structure_hash.n : TABLE_HASH_DIGITS);
}

static gr_status store_of(gr_catalog_call *k, const gr_preagg_decl *d, int64_t revision_id, stored *ret) {
    gr_str *grain = NULL, *names = GR_NEW_N(k->arena, gr_str, d->n_components + 1),
           *tokens = GR_NEW_N(k->arena, gr_str, d->n_components + 1);
    size_t n_grain = 0, n_tokens = 0;
    GR_TRY(gr_catalog_list_read(d->grain_columns, k->arena, &grain, &n_grain, k->err));
    for (size_t i = 0; i < d->n_components; i++) {
        names[i] = d->components[i].name;
        if (d->components[i].token.n) tokens[n_tokens++] = d->components[i].token;
    }
    *ret = (stored){.filters = d->filters.n ? d->filters : GR_STR("[]"),
                    .columns = d->columns.n ? d->columns : GR_STR("[]"),
                    .measures = gr_catalog_list_write(names, d->n_components, k->arena),
                    .details = gr_catalog_components_write(d->components, d->n_components, k->arena),
                    .table_hash = table_hash(d->structure_hash),
                    .group_hash = gr_catalog_grain_group_hash(revision_id, grain, n_grain, k->arena),
                    .preagg_hash = gr_catalog_preagg_hash(revision_id, grain, n_grain, tokens, n_tokens, k->arena)};
    ret->terms[0] = gr_catalog_folded(grain, n_grain, k->arena, &ret->n_terms[0]);
    ret->terms[1] = gr_catalog_folded(names, d->n_components, k->arena, &ret->n_terms[1]);
    return GR_OK;
}

static gr_status put_terms(gr_catalog_call *k, int64_t id, const stored *s) {
    static const char *const kinds[] = {"grain", "measure"};
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < s->n_terms[kind]; i++)
            GR_TRY(RUN(k, TERM_ADD, NULL, STR(gr_str_from(kinds[kind])), STR(s->terms[kind][i]), I64(id)));
    return GR_OK;
}

static gr_status note(gr_catalog_call *k, int64_t id, gr_str node, const char *activity, const char *key, gr_str pre,
                      gr_str post) {
    return gr_catalog_note(
        k, (gr_catalog_event){.entity_type = "pre_aggregation",
                              .activity = activity,
                              .entity_name = gr_catalog_id_text(id, k->arena),
                              .node = node,
                              .pre = pre.n ? gr_catalog_object_write(k->arena, key, pre, NULL, (gr_str){0}) : pre,
                              .post = post.n ? gr_catalog_object_write(k->arena, key, post, NULL, (gr_str){0}) : post});
}

/* ---- which row it is -----------------------------------------------------------------------------------------------
 */
typedef struct placed {
    gr_catalog_entity *row;           /* NULL: none is there */
    const gr_catalog_entity *heir_of; /* of a new row; may be NULL */
    bool is_pinned_here;              /* the row goes to the declared version */
} placed;

static bool is_same_content(const gr_catalog_entity *e, const gr_catalog_node_at *node) {
    return gr_catalog_version_read(e->row.version).major == gr_catalog_version_read(node->version).major;
}

static bool is_same_thing(const gr_catalog_entity *e, const gr_preagg_decl *d) {
    const gr_preagg_decl *old = &e->row.decl;
    return gr_str_eq(old->base_hash, d->base_hash) &&
           !gr_catalog_has_conflict(old->components, old->n_components, d->components, d->n_components);
}

static void take_newer(gr_catalog_entity **best, gr_catalog_entity *e) {
    if (!*best || gr_catalog_version_cmp((*best)->row.version, e->row.version) < 0) *best = e;
}

static placed place(gr_catalog_entity_list *rows, const gr_catalog_node_at *node, const gr_preagg_decl *d) {
    gr_catalog_entity *exact = NULL, *content = NULL, *thing = NULL, *heir_of = NULL;
    for (size_t i = 0; i < rows->n; i++) {
        gr_catalog_entity *e = &rows->v[i];
        if (gr_str_eq(e->row.version, node->version)) exact = e;
        if (is_same_content(e, node)) take_newer(&content, e);
        if (is_same_thing(e, d)) take_newer(&thing, e);
        if (e->is_declared && gr_catalog_version_cmp(e->row.version, node->version) < 0) take_newer(&heir_of, e);
    }
    if (exact) return (placed){.row = exact, .is_pinned_here = true};
    if (content) return (placed){.row = content, .is_pinned_here = true};
    if (thing)
        return (placed){.row = thing, .is_pinned_here = gr_catalog_version_cmp(thing->row.version, node->version) < 0};
    return (placed){.heir_of = heir_of};
}

/* ---- a new row -----------------------------------------------------------------------------------------------------
 */
static gr_status create(gr_catalog_call *k, const gr_catalog_node_at *node, const gr_preagg_decl *d,
                        const gr_catalog_entity *heir_of, int64_t *ret_id) {
    static const gr_catalog_entity nobody = {0};
    const gr_preagg_row *old = heir_of ? &heir_of->row : &nobody.row;
    gr_catalog_table t = {0};
    stored s;
    GR_TRY(store_of(k, d, node->revision_id, &s));
    GR_TRY(RUN(k, PREAGG_ADD, &t, I64(node->id), I64(node->revision_id), STR(node->version), STR(d->grain_hash),
               STR(d->grain_columns), STR(s.filters), STR(s.measures), STR(s.details), STR(d->base_hash),
               STR(d->structure_hash), STR(s.table_hash), STR(d->time_zone), STR(d->store), STR(d->sql), STR(s.columns),
               STR(d->definition.n ? d->definition : old->decl.definition), STR(d->name), STR(d->external),
               STR(s.group_hash), STR(s.preagg_hash), I64((int64_t)s.n_terms[0]), STR_OR_NULL(old->strategy),
               STR_OR_NULL(old->schedule), STR_OR_NULL(old->lookback_window), STR_OR_NULL(old->workflow_status),
               I64(k->actor.now_us), I64(d->external.n > 0)));
    *ret_id = gr_catalog_i64(&t, 0, 0);
    GR_TRY(put_terms(k, *ret_id, &s));
    GR_TRY(note(k, *ret_id, d->node, "create", "status", (gr_str){0}, GR_STR("pending")));
    return heir_of ? gr_catalog_links_move(k, heir_of->row.id, *ret_id) : GR_OK;
}

/* ---- a row that is there -------------------------------------------------------------------------------------------
 */
/* What the row is worth as it is declared now. `old` is as it was; its status tells where it comes from. */
static gr_preagg_status status_after(const gr_catalog_entity *old, const gr_preagg_row *now) {
    const gr_preagg_row *was = &old->row;
    const gr_preagg_decl *a = &was->decl, *b = &now->decl;
    bool is_changed = !gr_str_eq(a->base_hash, b->base_hash) ||
                      gr_catalog_has_conflict(a->components, a->n_components, b->components, b->n_components);
    bool is_ready = gr_catalog_is_ready(now) && !(b->external.n && is_changed);
    switch (was->status) {
    case GR_PREAGG_MATERIALIZING: return was->status;
    case GR_PREAGG_STALE:
        if (is_ready) return GR_PREAGG_ACTIVE;
        return old->is_declared ? GR_PREAGG_STALE : GR_PREAGG_PENDING;
    case GR_PREAGG_ACTIVE:
        if (is_changed && !is_ready) return GR_PREAGG_STALE;
        return is_ready ? GR_PREAGG_ACTIVE : GR_PREAGG_PENDING;
    case GR_PREAGG_FAILED: /* what it had before the failure is no news */
        if (is_ready) return gr_catalog_is_ready(was) ? GR_PREAGG_FAILED : GR_PREAGG_ACTIVE;
        return is_changed ? GR_PREAGG_STALE : GR_PREAGG_FAILED;
    case GR_PREAGG_PENDING:
        if (is_ready) return GR_PREAGG_ACTIVE;
        return is_changed ? GR_PREAGG_STALE : GR_PREAGG_PENDING;
    }
    return was->status;
}

static bool has_same_texts(const gr_preagg_row *a, const gr_preagg_row *b) {
    const gr_preagg_decl *x = &a->decl, *y = &b->decl;
    const gr_str pairs[][2] = {
        {x->grain_columns, y->grain_columns},
        {x->filters, y->filters},
        {x->base_hash, y->base_hash},
        {x->structure_hash, y->structure_hash},
        {x->time_zone, y->time_zone},
        {x->store, y->store},
        {x->sql, y->sql},
        {x->columns, y->columns},
        {x->definition, y->definition},
        {x->name, y->name},
        {x->external, y->external},
        {a->grain_group_hash, b->grain_group_hash},
        {a->preagg_hash, b->preagg_hash},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (!gr_str_eq(pairs[i][0], pairs[i][1])) return false;
    return true;
}

static bool has_same_components(const gr_preagg_decl *a, const gr_preagg_decl *b) {
    if (a->n_components != b->n_components) return false;
    for (size_t i = 0; i < a->n_components; i++) {
        const gr_component_decl *x = &a->components[i], *y = &b->components[i];
        if (!gr_str_eq(x->name, y->name) || !gr_str_eq(x->signature, y->signature) || !gr_str_eq(x->token, y->token) ||
            !gr_str_eq(x->details, y->details))
            return false;
    }
    return true;
}

/* Everything that was there is there still, and more. */
static bool is_wider(const gr_preagg_decl *old, const gr_preagg_decl *d) {
    gr_build_row all = {.base_hash = d->base_hash, .components = d->components, .n_components = d->n_components};
    return d->n_components > old->n_components && gr_catalog_covers(&all, old);
}

static gr_status write(gr_catalog_call *k, const gr_catalog_entity *old, const gr_preagg_row *now, const stored *s) {
    const gr_preagg_decl *d = &now->decl;
    GR_TRY(RUN(k, PREAGG_UPDATE, NULL, I64(now->id), I64(now->node_revision_id), STR(now->version),
               STR(d->grain_columns), STR(d->filters), STR(s->measures), STR(s->details), STR(d->base_hash),
               STR(d->structure_hash), STR(s->table_hash), STR(d->time_zone), STR(d->store), STR(d->sql),
               STR(d->columns), STR(d->definition), STR(d->name), STR(d->external), STR(s->group_hash),
               STR(s->preagg_hash), I64((int64_t)s->n_terms[0]), I64(d->external.n > 0), I64(k->actor.now_us)));
    GR_TRY(RUN(k, TERM_REMOVE, NULL, I64(now->id)));
    GR_TRY(put_terms(k, now->id, s));
    if (!gr_str_eq(old->row.version, now->version))
        GR_TRY(note(k, now->id, d->node, "repin", "version", old->row.version, now->version));
    if (has_same_texts(&old->row, now) && has_same_components(&old->row.decl, d)) return GR_OK;
    gr_component_decl *const before = old->row.decl.components;
    gr_str names = gr_catalog_components_write(before, old->row.decl.n_components, k->arena);
    return note(k, now->id, d->node, is_wider(&old->row.decl, d) ? "widen" : "update", "components", names, s->details);
}

static gr_status check_definition(const gr_catalog_entity *entity, const gr_preagg_decl *d, gr_error *err) {
    const gr_preagg_row *old = &entity->row;
    if (!d->has_definition_was || !old->decl.definition.n || gr_str_eq(old->decl.definition, d->definition_was) ||
        gr_str_eq(old->decl.definition, d->definition))
        return GR_OK;
    return gr_error_set(err, GR_ERR_NODE_CHANGED, "The definition of pre-aggregation %lld was changed meanwhile",
                        (long long)old->id);
}

static gr_status update(gr_catalog_call *k, gr_catalog_entity *old, bool is_pinned_here, const gr_catalog_node_at *node,
                        const gr_preagg_decl *d) {
    gr_catalog_entity now = *old;
    stored s;
    GR_TRY(check_definition(old, d, k->err));
    if (is_pinned_here) {
        now.row.version = node->version;
        now.row.node_revision_id = node->revision_id;
    }
    GR_TRY(store_of(k, d, now.row.node_revision_id, &s));
    now.row.decl = *d;
    now.row.decl.filters = s.filters;
    now.row.decl.columns = s.columns;
    if (!d->definition.n) now.row.decl.definition = old->row.decl.definition;
    if (!d->name.n) now.row.decl.name = old->row.decl.name;
    now.row.grain_group_hash = s.group_hash;
    now.row.preagg_hash = s.preagg_hash;
    if (!has_same_texts(&old->row, &now.row) || !has_same_components(&old->row.decl, d) ||
        !gr_str_eq(old->row.version, now.row.version))
        GR_TRY(write(k, old, &now.row, &s));
    gr_preagg_status to = status_after(old, &now.row);
    return gr_catalog_entity_move(k, old,
                                  (gr_catalog_step){.to = to,
                                                    .error = to == GR_PREAGG_FAILED ? old->row.error : (gr_str){0},
                                                    .materialized_us = old->row.materialized_us,
                                                    .is_declared = true});
}

gr_status gr_catalog_entity_put(gr_catalog_call *k, const gr_catalog_node_at *node, const gr_preagg_decl *d,
                                int64_t *ret_id, bool *ret_created) {
    gr_catalog_table t = {0};
    gr_catalog_entity_list rows = {0};
    GR_TRY(RUN(k, PREAGG_OF_GRAIN, &t, I64(node->id), STR(d->grain_hash)));
    GR_TRY(gr_catalog_entities_read(k, &t, FILL_SERVING, k->arena, &rows));
    placed p = place(&rows, node, d);
    *ret_created = !p.row;
    if (p.row) *ret_id = p.row->row.id;
    GR_TRY(p.row ? update(k, p.row, p.is_pinned_here, node, d) : create(k, node, d, p.heir_of, ret_id));
    if (!d->definition.n) return GR_OK;
    return RUN(k, DEFINITION_SPREAD, NULL, I64(node->id), STR(d->grain_hash), STR(d->definition));
}
