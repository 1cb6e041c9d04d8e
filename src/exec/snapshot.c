/* Snapshots: what is built, read from the catalog, put beside the model, and swapped in.
 *
 *   older --next--> current          a snapshot is held by its users and by the one before it, so `drops` of a snapshot
 *                                    run only when nothing older is left either. */
#include "exec/internal.h"

#include "base/fault.h"

#include <stdlib.h>

static gr_ctx own_ctx(gr_arena *arena) { return (gr_ctx){.arena = arena, .now_us = gr_clock_now_us()}; }

static gr_status drop_where_it_is(gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err) {
    gr_str place = gr_store_place(exec->config, table);
    if (!place.n) return gr_store_drop(conn, ctx, exec->shared_dir, table, err);
    GR_TRY(gr_exec_take(exec, ctx, place, true, &conn, err));
    gr_status status = gr_store_drop(conn, ctx, (gr_str){0}, gr_store_local(exec->config, table), err);
    gr_exec_give(exec, conn);
    return status;
}

void gr_exec_forget_table(gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_doomed_table *table) {
    gr_error ignored;
    if (!table->id) { /* its record is there still: it is only let go of */
        (void)!gr_store_detach(conn, ctx, table->table_name, &ignored);
        return;
    }
    gr_fault_point("drop.before");
    if (table->table_name.n && drop_where_it_is(exec, conn, ctx, table->table_name, &ignored)) return;
    gr_fault_point("drop.after");
    if (gr_catalog_doomed_done(exec->catalog, table->id, &ignored)) return;
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

uint64_t gr_exec_generation(const gr_exec *exec) { return atomic_load(&exec->generation); }

gr_exec_base *gr_exec_base_of(const gr_snapshot *snapshot) { return own_of(snapshot)->base; }

gr_exec_base *gr_exec_base_ref_current(gr_exec *exec) {
    pthread_mutex_lock(&exec->mutex);
    gr_exec_base *base = exec->current ? exec->current->base : NULL;
    if (base) atomic_fetch_add(&base->refs, 1);
    pthread_mutex_unlock(&exec->mutex);
    return base;
}

static bool attach_one(gr_exec_snapshot *s, gr_engine_conn *conn, const gr_ctx *ctx, gr_str table) {
    if (!gr_store_is_shared_table(table)) return true;
    if (gr_store_attach(conn, ctx, s->exec->shared_dir, table, NULL)) return false;
    GR_PUSH(s->arena, &s->tables, table);
    return true;
}

static void attach_state(gr_exec_snapshot *s, gr_engine_conn *conn, const gr_ctx *ctx, gr_rollup_state *state) {
    if (!state->is_built) return;
    if (!state->n_tables) state->is_built = attach_one(s, conn, ctx, state->table);
    for (size_t i = 0; i < state->n_tables && state->is_built; i++)
        state->is_built = attach_one(s, conn, ctx, state->tables[i].text);
}

/* Tables of a shared store are attached where a snapshot names them for the first time; one that is gone already
 * (another server has published since) serves no more, and the next look at the catalog shows what took its place. */
static void attach_tables(gr_exec_snapshot *s) {
    gr_arena *scratch = gr_arena_new();
    gr_ctx ctx = own_ctx(scratch);
    gr_engine_conn *conn = NULL;
    size_t n = s->base->model->n_preaggs;
    bool is_shared = s->exec->shared_dir.n && !gr_pool_take(s->exec->pool, &ctx, GR_STR(""), &conn, NULL);
    for (size_t i = 0; is_shared && i < 2 * n; i++) {
        gr_rollup_state *states = i < n ? s->pub.states[i] : s->pub.old_states[i - n];
        size_t n_states = i < n ? s->pub.n_states[i] : s->pub.n_old_states[i - n];
        for (size_t k = 0; k < n_states; k++) attach_state(s, conn, &ctx, &states[k]);
    }
    if (conn) gr_pool_give(s->exec->pool, conn);
    gr_arena_free(scratch);
}

/* What the older snapshot read and the new one does not: to be let go with the older one. */
static void detach_later(gr_exec_snapshot *old, const gr_exec_snapshot *fresh) {
    for (size_t i = 0; i < old->tables.n; i++) {
        bool is_kept = false;
        for (size_t k = 0; k < fresh->tables.n && !is_kept; k++)
            is_kept = gr_str_eq(old->tables.v[i], fresh->tables.v[k]);
        for (size_t k = 0; k < old->drops.n && !is_kept; k++)
            is_kept = gr_str_eq(old->tables.v[i], old->drops.v[k].table_name);
        if (!is_kept) GR_PUSH(old->arena, &old->drops, ((gr_doomed_table){0, old->tables.v[i]}));
    }
}

static gr_status assemble(gr_exec *exec, gr_exec_base *base, gr_exec_snapshot **ret, gr_error *err) {
    gr_exec_snapshot *s = gr_mem_calloc(1, sizeof *s);
    atomic_init(&s->refs, 1);
    s->arena = gr_arena_new();
    s->exec = exec;
    s->base = base;
    atomic_fetch_add(&base->refs, 1);
    size_t n = base->model->n_preaggs;
    s->pub = gr_exec_base_view(base);
    s->pub.states = GR_NEW_N(s->arena, gr_rollup_state *, n + 1);
    s->pub.n_states = GR_NEW_N(s->arena, size_t, n + 1);
    s->pub.old_states = GR_NEW_N(s->arena, gr_rollup_state *, n + 1);
    s->pub.n_old_states = GR_NEW_N(s->arena, size_t, n + 1);
    s->pub.max_zones = exec->config->max_build_zones;
    s->pub.is_rollup_only = exec->config->rollup_only;
    gr_status status = gr_exec_states_make(s, err);
    if (status) {
        snapshot_unref(s);
        return status;
    }
    attach_tables(s);
    *ret = s;
    return GR_OK;
}

gr_status gr_exec_publish(gr_exec *exec, gr_exec_base *base, const gr_doomed_table *drops, size_t n_drops,
                          gr_error *err) {
    pthread_mutex_lock(&exec->publish);
    gr_exec_snapshot *fresh = NULL;
    gr_status status =
        assemble(exec, base ? base : exec->current->base, &fresh, err); /* `current` changes under `publish` only */
    if (!status) {
        gr_fault_point("publish.made");
        atomic_fetch_add(&fresh->refs, 1); /* one for `current`, one for the older snapshot's `next` */
        pthread_mutex_lock(&exec->mutex);
        gr_exec_snapshot *old = exec->current;
        exec->current = fresh;
        atomic_fetch_add(&exec->generation, 1);
        pthread_mutex_unlock(&exec->mutex);
        gr_fault_point("publish.swapped");
        if (old) {
            old->next = fresh;
            for (size_t i = 0; i < n_drops; i++) {
                gr_doomed_table drop = {drops[i].id, gr_arena_dup(old->arena, drops[i].table_name)};
                GR_PUSH(old->arena, &old->drops, drop);
            }
            detach_later(old, fresh);
            snapshot_unref(old);
        } else {
            snapshot_unref(fresh);
        }
        gr_exec_places_forget(exec);
    }
    pthread_mutex_unlock(&exec->publish);
    return status;
}
