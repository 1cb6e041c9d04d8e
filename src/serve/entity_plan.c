/* Plans: the grain groups of a request, shown, and recorded as entities when asked (dj.md 3.2, 4.4). */
#include "serve/entity.h"

/* ---- working out ---------------------------------------------------------------------------------------------------
 */

static gr_status check_metrics(const gr_model *model, const gr_entity_ask *ask, gr_error *err) {
    if (!ask->n_metrics) return gr_error_set(err, GR_ERR_QUERY_INVALID, "At least one metric is required");
    for (size_t i = 0; i < ask->n_metrics; i++) {
        const gr_member *m;
        GR_TRY(gr_model_member(model, ask->metrics[i], &m, err));
        if (m->kind != GR_MEMBER_MEASURE)
            return gr_error_set(err, GR_ERR_QUERY_INVALID, "'" GR_FMT "' is not a metric", GR_ARG(ask->metrics[i]));
    }
    return GR_OK;
}

gr_status gr_serve_draft(gr_serve *serve, const gr_entity_ask *ask, gr_str external, const gr_str *bindings,
                         gr_arena *arena, gr_entity_draft *ret, gr_error *err) {
    gr_entity_draft d = {.snapshot = gr_serve_snapshot_ref(serve)};
    const gr_model *model = d.snapshot->model;
    gr_status status = check_metrics(model, ask, err);
    if (!status) status = gr_query_of_metrics(model, ask, arena, &d.query, err);
    if (!status) status = gr_exec_definitions_of(d.snapshot->index, d.query, external, arena, &d.definitions, err);
    for (size_t i = 0; bindings && i < d.definitions.n; i++) {
        d.definitions.v[i].bindings = bindings[i];
        gr_exec_definition_seal(&d.definitions.v[i], arena);
    }
    if (!status) status = gr_exec_draft_new(serve->exec, &d.definitions, &d.draft, &d.items, err);
    if (status)
        gr_serve_draft_done(&d);
    else
        *ret = d;
    return status;
}

void gr_serve_draft_done(gr_entity_draft *d) {
    gr_exec_draft_done(d->draft);
    if (d->snapshot) gr_serve_snapshot_unref(d->snapshot);
    *d = (gr_entity_draft){0};
}

gr_status gr_serve_draft_decls(const gr_entity_draft *d, gr_arena *arena, gr_preagg_decl **ret, gr_error *err) {
    gr_preagg_decl *decls = GR_NEW_N(arena, gr_preagg_decl, d->definitions.n + 1);
    for (size_t i = 0; i < d->definitions.n; i++) {
        const gr_rollup *r = d->items[i].rollup;
        if (!d->items[i].decl.structure_hash.n)
            return gr_error_set(err, r->problem ? r->problem : GR_ERR_PLAN_UNSUPPORTED, "It cannot be stored: " GR_FMT,
                                GR_ARG(r->problem_text));
        decls[i] = d->items[i].decl;
    }
    *ret = decls;
    return GR_OK;
}

/* ---- showing -------------------------------------------------------------------------------------------------------
 */

static bool is_stored_form(const gr_components *own) {
    for (size_t i = 0; i < own->n; i++)
        if (own->v[i].agg == GR_AGG_STAGE || own->v[i].agg == GR_AGG_OPAQUE) return false;
    return own->n > 0;
}

static bool shares_component(const gr_components *own, const gr_rollup *r) {
    for (size_t i = 0; i < own->n; i++)
        for (size_t k = 0; k < r->n_components; k++)
            if (gr_str_eq(own->v[i].stored_key, r->components[k].component.stored_key)) return true;
    return false;
}

static bool is_held(const gr_component *c, const gr_entity_draft *d) {
    for (size_t i = 0; i < d->definitions.n; i++) {
        const gr_rollup *r = d->items[i].rollup;
        for (size_t k = 0; k < r->n_components; k++)
            if (gr_str_eq(c->stored_key, r->components[k].component.stored_key)) return true;
    }
    return false;
}

static void warn(gr_entity_plan *plan, const char *code, gr_str text, gr_str member, gr_arena *arena) {
    gr_warning *more = GR_NEW_N(arena, gr_warning, plan->n_warnings + 1);
    if (plan->n_warnings) memcpy(more, plan->warnings, plan->n_warnings * sizeof *more);
    more[plan->n_warnings++] = (gr_warning){gr_str_from(code), text, member};
    plan->warnings = more;
}

static void add_warnings(const gr_entity_draft *d, gr_arena *arena, gr_entity_plan *ret) {
    const gr_snapshot *view = gr_exec_draft_view(d->draft);
    for (size_t i = 0; i < d->query->n_measures; i++) {
        const gr_member *m = d->query->measures[i].member;
        const gr_components *own = gr_plan_index_components(view->index, m);
        gr_str id = gr_arena_dup(arena, m->id);
        if (!is_stored_form(own)) {
            warn(ret, "NON_DECOMPOSABLE",
                 gr_arena_printf(arena, "'" GR_FMT "' has no parts that can be stored and merged: it is left out",
                                 GR_ARG(id)),
                 id, arena);
            continue;
        }
        bool is_whole = true;
        for (size_t k = 0; k < own->n; k++) is_whole &= is_held(&own->v[k], d);
        if (!is_whole)
            warn(ret, "NOT_STORED",
                 gr_arena_printf(arena,
                                 "Parts of '" GR_FMT "' are computed over several facts in one expression, and are not "
                                 "stored",
                                 GR_ARG(id)),
                 id, arena);
    }
}

static bool build_covers(const gr_build_row *build, const gr_preagg_decl *decl) {
    if (!gr_str_eq(build->base_hash, decl->base_hash)) return false;
    for (size_t i = 0; i < decl->n_components; i++) {
        bool is_there = false;
        for (size_t k = 0; k < build->n_components && !is_there; k++)
            is_there = gr_str_eq(build->components[k].name, decl->components[i].name) &&
                       gr_str_eq(build->components[k].signature, decl->components[i].signature);
        if (!is_there) return false;
    }
    return true;
}

static gr_status put_entity(gr_serve *serve, int64_t id, const gr_preagg_decl *decl, gr_arena *arena,
                            gr_grain_group *out, gr_error *err) {
    gr_preagg_row row;
    bool is_found = false;
    if (!id) return GR_OK;
    GR_TRY(gr_catalog_get(gr_exec_catalog(serve->exec), id, arena, &row, &is_found, err));
    if (!is_found) return GR_OK;
    out->entity_id = row.id;
    out->node_version = row.version;
    out->status = row.status;
    out->is_covered = gr_str_eq(row.decl.base_hash, decl->base_hash) && row.decl.n_components >= decl->n_components;
    out->is_served = row.has_serving && build_covers(&row.serving, decl);
    return GR_OK;
}

static gr_status show_item(gr_serve *serve, const gr_entity_draft *d, size_t at, gr_arena *arena, gr_grain_group *out,
                           gr_error *err) {
    const gr_exec_drafted *item = &d->items[at];
    const gr_preagg_decl *decl = &item->decl;
    const gr_snapshot *view = gr_exec_draft_view(d->draft);
    gr_names metrics = {0};
    for (size_t i = 0; i < d->query->n_measures; i++) {
        const gr_member *m = d->query->measures[i].member;
        if (shares_component(gr_plan_index_components(view->index, m), item->rollup))
            gr_serve_add_name(&metrics, gr_arena_dup(arena, m->id), arena);
    }
    *out = (gr_grain_group){
        .node = gr_arena_dup(arena, d->definitions.v[at].node),
        .node_version = gr_arena_dup(arena, item->version),
        .grain_columns = gr_arena_dup(arena, decl->structure_hash.n ? decl->grain_columns : GR_STR("[]")),
        .grain_hash = gr_arena_dup(arena, decl->grain_hash),
        .filters = decl->filters.n ? gr_arena_dup(arena, decl->filters) : GR_STR("[]"),
        .metrics = metrics.v,
        .n_metrics = metrics.n,
        .aggregability = gr_exec_aggregability(item->rollup),
        .components = GR_NEW_N(arena, gr_component_decl, decl->n_components + 1),
        .n_components = decl->n_components,
        .sql = gr_arena_dup(arena, decl->sql),
        .columns = decl->columns.n ? gr_arena_dup(arena, decl->columns) : GR_STR("[]"),
        .name = gr_arena_dup(arena, decl->n_declared_by ? decl->declared_by[0] : item->preagg->id),
        .problem = gr_arena_dup(arena, item->rollup->problem_text),
    };
    for (size_t i = 0; i < decl->n_components; i++)
        out->components[i] = (gr_component_decl){
            gr_arena_dup(arena, decl->components[i].name), gr_arena_dup(arena, decl->components[i].signature),
            gr_arena_dup(arena, decl->components[i].token), gr_arena_dup(arena, decl->components[i].details)};
    return put_entity(serve, item->entity_id, decl, arena, out, err);
}

gr_status gr_serve_draft_show(gr_serve *serve, const gr_entity_draft *d, gr_arena *arena, gr_entity_plan *ret,
                              gr_error *err) {
    *ret =
        (gr_entity_plan){.groups = GR_NEW_N(arena, gr_grain_group, d->definitions.n + 1), .n_groups = d->definitions.n};
    for (size_t i = 0; i < d->definitions.n; i++) GR_TRY(show_item(serve, d, i, arena, &ret->groups[i], err));
    add_warnings(d, arena, ret);
    return GR_OK;
}

gr_status gr_serve_grain_groups(gr_serve *serve, const gr_entity_ask *ask, gr_arena *arena, gr_entity_plan *ret,
                                gr_error *err) {
    gr_entity_draft draft;
    GR_TRY(gr_serve_draft(serve, ask, (gr_str){0}, NULL, arena, &draft, err));
    gr_status status = gr_serve_draft_show(serve, &draft, arena, ret, err);
    gr_serve_draft_done(&draft);
    return status;
}

/* ---- recording -----------------------------------------------------------------------------------------------------
 */

gr_status gr_serve_draft_commit(gr_serve *serve, gr_entity_draft *draft, const gr_preagg_row *rows, gr_arena *arena,
                                gr_entity_plan *ret, gr_entity_view **ret_views, gr_error *err) {
    GR_TRY(gr_exec_draft_commit(draft->draft, rows, err));
    for (size_t i = 0; i < draft->definitions.n; i++) draft->items[i].entity_id = rows[i].id;
    GR_TRY(gr_serve_draft_show(serve, draft, arena, ret, err));
    gr_entity_view *views = GR_NEW_N(arena, gr_entity_view, draft->definitions.n + 1);
    for (size_t i = 0; i < draft->definitions.n; i++)
        GR_TRY(gr_serve_view_get(serve, rows[i].id, arena, &views[i], err));
    *ret_views = views;
    return GR_OK;
}

static bool is_strategy(gr_str s) { return gr_str_eq(s, GR_STR("full")) || gr_str_eq(s, GR_STR("incremental_time")); }

/* Five or six fields of a cron expression, or one of its names. */
static bool is_schedule(gr_str s) {
    size_t fields = 0;
    bool is_in = false;
    if (gr_str_starts(s, GR_STR("@"))) return s.n > 1;
    for (size_t i = 0; i < s.n; i++) {
        bool is_blank = s.p[i] == ' ' || s.p[i] == '\t';
        if (!is_blank && !strchr("0123456789*/,-?LW#ABCDEFGHIJKMNOPQRSTUVXYZabcdefghijklmnopqrstuvwxyz", s.p[i]))
            return false;
        if (!is_blank && !is_in) fields++;
        is_in = !is_blank;
    }
    return fields == 5 || fields == 6;
}

gr_status gr_serve_check_config(const gr_preagg_config *config, gr_error *err) {
    if (!config) return GR_OK;
    if (config->strategy.n && !is_strategy(config->strategy))
        return gr_error_set(err, GR_ERR_QUERY_INVALID,
                            "'%.*s' is no strategy: it must be one of full, incremental_time",
                            (int)(config->strategy.n < 64 ? config->strategy.n : 64), config->strategy.p);
    if (config->schedule.n && !is_schedule(config->schedule))
        return gr_error_set(err, GR_ERR_QUERY_INVALID, "'%.*s' is no cron expression of five or six fields",
                            (int)(config->schedule.n < 64 ? config->schedule.n : 64), config->schedule.p);
    return GR_OK;
}

static gr_status check_incremental(const gr_entity_draft *draft, const gr_preagg_config *config, gr_error *err) {
    if (!config || !gr_str_eq(config->strategy, GR_STR("incremental_time"))) return GR_OK;
    for (size_t i = 0; i < draft->definitions.n; i++)
        if (!draft->items[i].rollup->n_times)
            return gr_error_set(err, GR_ERR_QUERY_INVALID,
                                "incremental_time needs a time dimension with a grain among the dimensions, and that "
                                "of '" GR_FMT "' has none",
                                GR_ARG(draft->definitions.v[i].node));
    return GR_OK;
}

static gr_status record(gr_serve *serve, gr_entity_draft *draft, const gr_preagg_config *config, gr_actor actor,
                        gr_arena *arena, gr_entity_plan *ret, gr_entity_view **ret_views, gr_error *err) {
    gr_preagg_decl *decls;
    gr_preagg_row *rows;
    GR_TRY(check_incremental(draft, config, err));
    GR_TRY(gr_serve_draft_decls(draft, arena, &decls, err));
    GR_TRY(gr_catalog_add(gr_exec_catalog(serve->exec), decls, draft->definitions.n, config, actor, arena, &rows, NULL,
                          err));
    return gr_serve_draft_commit(serve, draft, rows, arena, ret, ret_views, err);
}

gr_status gr_serve_entity_plan(gr_serve *serve, const gr_entity_ask *ask, const gr_preagg_config *config,
                               gr_actor actor, gr_arena *arena, gr_entity_plan *ret, gr_entity_view **ret_views,
                               gr_error *err) {
    gr_status status = GR_ERR_NODE_CHANGED; /* another server widened the same entity: again, with what it added */
    GR_TRY(gr_serve_check_config(config, err));
    for (int tries = 0; tries < GR_SERVE_TRIES && status == GR_ERR_NODE_CHANGED; tries++) {
        gr_entity_draft draft;
        GR_TRY(gr_serve_draft(serve, ask, (gr_str){0}, NULL, arena, &draft, err));
        status = record(serve, &draft, config, actor, arena, ret, ret_views, err);
        gr_serve_draft_done(&draft);
    }
    return status;
}
