/* A change of definitions: the model as it would be, what that makes of each definition, and taking it into service.
 *
 *      exec.define ── draft: catalog's definitions + more ── decls ──> (the caller's transaction) ── commit: publish
 *
 * Invariant: what is published has been declared; a draft that is not committed leaves nothing behind. */
#include "exec/internal.h"

#include <stdlib.h>

struct gr_exec_draft {
    gr_exec *exec;
    gr_arena *arena;
    gr_exec_base *base, *old;
    gr_snapshot view;
    gr_exec_drafted *items;
    size_t *entry_of; /* by item: its entry of the base, SIZE_MAX when it cannot be built */
    size_t n;
};

/* In the zone that the definition is for. */
static size_t entry_at(const gr_exec_base *base, const gr_rollup *r, const gr_preagg *p) {
    const gr_tz *zone = gr_tz_utc();
    if (p->time_zone.n && gr_tz_get(p->time_zone, &zone, NULL)) zone = gr_tz_utc();
    zone = gr_rollup_zone(r, zone);
    for (size_t i = 0; i < base->entries.n; i++)
        if (base->entries.v[i].rollup == r && base->entries.v[i].zone == zone) return i;
    return SIZE_MAX;
}

static int64_t known_id(const gr_exec_base *old, const gr_exec_entry *e) {
    gr_str node = e->rollup->tree.nodes[0].cube->name;
    for (size_t i = 0; old && i < old->entries.n; i++) {
        const gr_exec_entry *o = &old->entries.v[i];
        if (gr_str_eq(o->identity.grain_hash, e->identity.grain_hash) &&
            gr_str_eq(o->rollup->tree.nodes[0].cube->name, node))
            return o->entity_id;
    }
    return 0;
}

static gr_status fill(gr_exec_draft *d, const gr_exec_definitions *more, const size_t *places, gr_error *err) {
    d->items = GR_NEW_N(d->arena, gr_exec_drafted, more->n + 1);
    d->entry_of = GR_NEW_N(d->arena, size_t, more->n + 1);
    d->n = more->n;
    for (size_t i = 0; i < more->n; i++) {
        gr_exec_drafted *item = &d->items[i];
        item->preagg = d->base->preaggs[places[i]];
        item->bindings = d->base->definitions.v[places[i]].bindings;
        if (!item->preagg)
            return gr_error_set(err, GR_ERR_QUERY_INVALID, "The definition over '" GR_FMT "' does not fit the model",
                                GR_ARG(more->v[i].node));
        item->rollup = gr_plan_index_rollup(d->base->index, item->preagg);
        if (item->rollup->can_build) item->rollup = item->rollup->entity;
        size_t at = item->rollup->can_build ? entry_at(d->base, item->rollup, item->preagg) : SIZE_MAX;
        d->entry_of[i] = at;
        item->version = gr_exec_base_version(d->base, more->v[i].node);
        if (at == SIZE_MAX) continue;
        item->decl = gr_exec_entry_decl(d->base, &d->base->entries.v[at], d->arena);
        item->entity_id = known_id(d->old, &d->base->entries.v[at]);
    }
    return GR_OK;
}

gr_status gr_exec_draft_new(gr_exec *exec, const gr_exec_definitions *more, gr_exec_draft **ret,
                            gr_exec_drafted **ret_items, gr_error *err) {
    gr_exec_draft *d = gr_mem_calloc(1, sizeof *d);
    pthread_mutex_lock(&exec->define);
    d->exec = exec;
    d->arena = gr_arena_new();
    d->old = gr_exec_base_ref_current(exec);
    gr_exec_definitions all;
    gr_exec_rows rows;
    size_t *places = GR_NEW_N(d->arena, size_t, more->n + 1);
    gr_status status = gr_catalog_scan(exec->catalog, d->arena, &rows.v, &rows.n, err);
    if (!status) gr_exec_definitions_read(&rows, d->arena, &all);
    for (size_t i = 0; !status && i < more->n; i++) gr_exec_definitions_merge(&all, &more->v[i], d->arena, &places[i]);
    if (!status) {
        d->base = gr_exec_base_extend(exec, d->old, &all);
        d->view = gr_exec_base_view(d->base);
        status = gr_exec_entries_make(exec, d->base, d->old, &rows, err);
    }
    if (!status) status = fill(d, more, places, err);
    if (status) {
        gr_exec_draft_done(d);
        return status;
    }
    *ret = d;
    *ret_items = d->items;
    return GR_OK;
}

const gr_snapshot *gr_exec_draft_view(const gr_exec_draft *draft) { return &draft->view; }

/* Entries that were declared before keep their ids; those of the items get what the catalog said. */
gr_status gr_exec_draft_commit(gr_exec_draft *d, const gr_preagg_row *rows, gr_error *err) {
    for (size_t i = 0; i < d->base->entries.n; i++) {
        gr_exec_entry *e = &d->base->entries.v[i];
        for (size_t k = 0; d->old && k < d->old->entries.n && !e->entity_id; k++) {
            const gr_exec_entry *o = &d->old->entries.v[k];
            if (!gr_str_eq(o->identity.grain_hash, e->identity.grain_hash) || o->zone != e->zone ||
                !gr_str_eq(o->rollup->tree.nodes[0].cube->name, e->rollup->tree.nodes[0].cube->name))
                continue;
            e->entity_id = o->entity_id;
            e->version = gr_arena_dup(d->base->arena, o->version);
        }
    }
    for (size_t i = 0; i < d->n; i++) {
        if (d->entry_of[i] == SIZE_MAX || !rows[i].id) continue;
        gr_exec_entry *e = &d->base->entries.v[d->entry_of[i]];
        e->entity_id = rows[i].id;
        e->version = gr_arena_dup(d->base->arena, rows[i].version);
    }
    /* Somebody else's definitions that came in with this one are declared like all others. */
    bool is_all_known = true;
    for (size_t i = 0; i < d->base->entries.n; i++) is_all_known &= d->base->entries.v[i].entity_id != 0;
    if (!is_all_known) GR_TRY(gr_exec_declare_all(d->exec, d->base, err));
    return gr_exec_publish(d->exec, d->base, NULL, 0, err);
}

void gr_exec_draft_done(gr_exec_draft *d) {
    if (!d) return;
    gr_exec_base_unref(d->base);
    gr_exec_base_unref(d->old);
    gr_arena_free(d->arena);
    pthread_mutex_unlock(&d->exec->define);
    free(d);
}

const gr_rollup *gr_exec_rollup_of(const gr_snapshot *snapshot, int64_t entity_id, const gr_tz **ret_zone) {
    const gr_exec_base *base = gr_exec_base_of(snapshot);
    for (size_t i = 0; i < base->entries.n; i++) {
        if (base->entries.v[i].entity_id != entity_id) continue;
        if (ret_zone) *ret_zone = base->entries.v[i].zone;
        return base->entries.v[i].rollup;
    }
    return NULL;
}
