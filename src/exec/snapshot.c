/* Snapshots: what is built, read from the catalog, put beside the model, and swapped in.
 *
 *   older --next--> current          a snapshot is held by its users and by the one before it, so `drops` of a snapshot
 *                                    run only when nothing older is left either. */
#include "exec/internal.h"

#include <stdlib.h>

static gr_ctx own_ctx(gr_arena *arena) { return (gr_ctx){.arena = arena, .now_us = gr_clock_now_us()}; }

/* Types of a cube's dimensions as its source describes them. A source that cannot say (a missing table) leaves them
 * unknown: queries then take the general casts, or get the engine's own error. */
static void learn_types(gr_exec *exec, gr_exec_base *base, const gr_cube *cube, gr_diags *diags) {
    gr_arena *scratch = gr_arena_new();
    gr_ctx ctx = own_ctx(scratch);
    const gr_member **members;
    size_t n = 0, n_columns = 0;
    gr_str text;
    gr_error err = {0};
    gr_engine_conn *conn = NULL;
    gr_column_schema *columns;
    gr_status status = gr_sql_describe_cube(base->model, cube, exec->dialect, scratch, &members, &n, &text, &err);
    if (!status) status = gr_pool_take(exec->pool, &ctx, cube->data_source, &conn, &err);
    if (!status) status = conn->driver->describe(conn, text, base->arena, &columns, &n_columns, &err);
    if (conn) gr_pool_give(exec->pool, conn);
    if (status) gr_diags_warn(diags, status, cube->loc, "cube '" GR_FMT "': %s", GR_ARG(cube->name), err.message);
    for (size_t i = 0; !status && i < n && i < n_columns; i++) base->types[members[i]->index] = &columns[i];
    gr_arena_free(scratch);
}

gr_exec_base *gr_exec_base_new(gr_exec *exec, gr_model *model, gr_diags *diags) {
    gr_exec_base *base = gr_mem_calloc(1, sizeof *base);
    atomic_init(&base->refs, 1);
    base->arena = gr_arena_new();
    base->model = gr_model_ref(model);
    gr_plan_defaults defaults = {.is_external = exec->config->external_default,
                                 .is_non_strict = exec->config->allow_non_strict};
    base->index = gr_plan_index_new(model, defaults, NULL, base->arena); /* its faults were reported by the check */
    base->types = GR_NEW_N(base->arena, const gr_column_schema *, model->n_members + 1);
    for (size_t i = 0; i < model->n_cubes; i++)
        if (!model->cubes[i]->is_view) learn_types(exec, base, model->cubes[i], diags);
    return base;
}

void gr_exec_base_unref(gr_exec_base *base) {
    if (!base || atomic_fetch_sub(&base->refs, 1) != 1) return;
    gr_model_unref(base->model);
    gr_arena_free(base->arena);
    free(base);
}

void gr_exec_forget_table(gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_build_row *build) {
    gr_error ignored;
    if (!build->table_name.n || gr_store_drop(conn, ctx, build->table_name, &ignored)) return;
    if (gr_catalog_build_table(exec->catalog, build->id, GR_STR(""), &ignored)) return;
}

static void run_drops(gr_exec_snapshot *s) {
    gr_arena *scratch = gr_arena_new();
    gr_ctx ctx = own_ctx(scratch);
    gr_engine_conn *conn = NULL;
    if (s->drops.n && gr_pool_take(s->exec->pool, &ctx, GR_STR(""), &conn, NULL) == GR_OK) {
        for (size_t i = 0; i < s->drops.n; i++) gr_exec_forget_table(s->exec, conn, &ctx, &s->drops.v[i]);
        gr_pool_give(s->exec->pool, conn);
    }
    gr_arena_free(scratch);
}

static void snapshot_unref(gr_exec_snapshot *s) {
    while (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        gr_exec_snapshot *next = s->next;
        run_drops(s);
        gr_exec_base_unref(s->base);
        gr_arena_free(s->arena);
        free(s);
        s = next;
    }
}

/* pub is the first field */
static gr_exec_snapshot *own_of(const gr_snapshot *snapshot) {
    union {
        const gr_snapshot *pub;
        gr_exec_snapshot *own;
    } u = {.pub = snapshot};
    return u.own;
}

const gr_snapshot *gr_exec_snapshot_hold(const gr_snapshot *snapshot) {
    atomic_fetch_add(&own_of(snapshot)->refs, 1);
    return snapshot;
}

void gr_exec_snapshot_unref(const gr_snapshot *snapshot) { snapshot_unref(own_of(snapshot)); }

const gr_snapshot *gr_exec_snapshot_ref(gr_exec *exec) {
    pthread_mutex_lock(&exec->mutex);
    gr_exec_snapshot *s = exec->current;
    if (s) atomic_fetch_add(&s->refs, 1);
    pthread_mutex_unlock(&exec->mutex);
    return s ? &s->pub : NULL;
}

static void note_failure(gr_exec *exec, gr_arena *arena, gr_str structure_hash, gr_rollup_state *state) {
    pthread_mutex_lock(&exec->mutex);
    for (gr_exec_failure *f = exec->failures; f; f = f->next) {
        if (!gr_str_eq_z(structure_hash, f->key)) continue;
        state->is_failed = true;
        state->retry_at_us = f->retry_at_us;
        state->failure = gr_arena_dup(arena, gr_str_from(f->message));
    }
    pthread_mutex_unlock(&exec->mutex);
}

static const gr_preagg_row *row_of(const gr_preagg_row *rows, size_t n, gr_str node, gr_str grain_hash) {
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq(rows[i].decl.grain_hash, grain_hash) && gr_str_eq(rows[i].decl.node, node)) return &rows[i];
    return NULL;
}

/* One zone of one rollup. Declares the entity when the catalog does not have it as it is now. */
static gr_status add_state(gr_exec_snapshot *s, const gr_rollup *r, const gr_tz *zone, const gr_preagg_row *rows,
                           size_t n_rows, gr_rollup_state *out, gr_error *err) {
    gr_exec_identity identity;
    GR_TRY(gr_exec_identify(s->exec, &s->pub, r, zone, s->arena, &identity, err));
    const gr_preagg_row *row = row_of(rows, n_rows, r->tree.nodes[0].cube->name, identity.grain_hash);
    gr_preagg_row declared;
    if (!row || row->status == GR_PREAGG_STALE || !gr_str_eq(row->decl.structure_hash, identity.structure_hash)) {
        gr_preagg_decl decl = gr_exec_declaration(r, zone, &identity, s->arena);
        GR_TRY(gr_catalog_declare(s->exec->catalog, &decl, gr_clock_now_us(), s->arena, &declared, err));
        row = &declared;
    }
    *out = (gr_rollup_state){.zone = zone, .entity_id = row->id};
    if (row->has_serving && gr_str_eq(row->serving.structure_hash, identity.structure_hash)) {
        out->is_built = true;
        out->table = row->serving.table_name;
        out->build_number = row->serving.number;
        out->built_at_us = row->serving.finished_us;
        out->rows = row->serving.rows;
        gr_exec_coverage_read(r, row->serving.coverage, s->arena, out);
    } else {
        note_failure(s->exec, s->arena, identity.structure_hash, out);
    }
    return GR_OK;
}

/* The zones of a rollup: UTC, and each that the catalog has an entity of this definition for. */
static gr_status add_states(gr_exec_snapshot *s, const gr_rollup *r, const gr_preagg_row *rows, size_t n_rows,
                            gr_error *err) {
    uint32_t at = r->preagg->index;
    const gr_tz **zones = GR_NEW_N(s->arena, const gr_tz *, n_rows + 1);
    size_t n = 0;
    zones[n++] = gr_tz_utc();
    for (size_t i = 0; r->depends_on_zone && i < n_rows; i++) {
        const gr_tz *zone;
        if (!rows[i].decl.time_zone.n || gr_tz_get(rows[i].decl.time_zone, &zone, NULL) || gr_tz_is_utc(zone)) continue;
        if (!gr_str_eq(rows[i].decl.grain_hash, gr_rollup_grain_hash(r, zone, s->arena))) continue;
        if (!gr_str_eq(rows[i].decl.node, r->tree.nodes[0].cube->name)) continue;
        zones[n++] = zone;
    }
    gr_rollup_state *states = GR_NEW_N(s->arena, gr_rollup_state, n);
    for (size_t i = 0; i < n; i++) GR_TRY(add_state(s, r, zones[i], rows, n_rows, &states[i], err));
    s->pub.states[at] = states;
    s->pub.n_states[at] = n;
    return GR_OK;
}

static gr_status assemble(gr_exec *exec, gr_exec_base *base, gr_exec_snapshot **ret, gr_error *err) {
    gr_exec_snapshot *s = gr_mem_calloc(1, sizeof *s);
    atomic_init(&s->refs, 1);
    s->arena = gr_arena_new();
    s->exec = exec;
    s->base = base;
    atomic_fetch_add(&base->refs, 1);
    size_t n = base->model->n_preaggs, n_rows = 0;
    s->pub = (gr_snapshot){.model = base->model,
                           .index = base->index,
                           .types = base->types,
                           .states = GR_NEW_N(s->arena, gr_rollup_state *, n + 1),
                           .n_states = GR_NEW_N(s->arena, size_t, n + 1),
                           .max_zones = exec->config->max_build_zones,
                           .now_us = gr_clock_now_us(),
                           .is_rollup_only = exec->config->rollup_only};
    gr_preagg_row *rows = NULL;
    gr_status status = gr_catalog_list(exec->catalog, s->arena, &rows, &n_rows, err);
    for (size_t i = 0; !status && i < n; i++) {
        const gr_rollup *r = gr_plan_index_rollup(base->index, base->model->preaggs[i]);
        bool has_table = r->entity == r && r->can_build && r->preagg->type != GR_PREAGG_ROLLUP_JOIN;
        if (has_table) status = add_states(s, r, rows, n_rows, err);
    }
    if (status)
        snapshot_unref(s);
    else
        *ret = s;
    return status;
}

gr_status gr_exec_publish(gr_exec *exec, gr_exec_base *base, const gr_build_row *drops, size_t n_drops, gr_error *err) {
    pthread_mutex_lock(&exec->publish);
    gr_exec_snapshot *fresh = NULL;
    gr_status status =
        assemble(exec, base ? base : exec->current->base, &fresh, err); /* `current` changes under `publish` only */
    if (!status) {
        atomic_fetch_add(&fresh->refs, 1); /* one for `current`, one for the older snapshot's `next` */
        pthread_mutex_lock(&exec->mutex);
        gr_exec_snapshot *old = exec->current;
        exec->current = fresh;
        pthread_mutex_unlock(&exec->mutex);
        if (old) {
            old->next = fresh;
            for (size_t i = 0; i < n_drops; i++) {
                gr_build_row drop = {.id = drops[i].id, .table_name = gr_arena_dup(old->arena, drops[i].table_name)};
                GR_PUSH(old->arena, &old->drops, drop);
            }
            snapshot_unref(old);
        } else {
            snapshot_unref(fresh);
        }
        gr_pool_forget_statements(exec->pool);
    }
    pthread_mutex_unlock(&exec->publish);
    return status;
}
