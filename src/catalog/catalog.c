/* The handle: opening and closing it, and the frame of every call: lock, connection, transaction, scratch memory.
 *
 *     call_begin: mutex ── lost? reopen, register again ── BEGIN
 *     the rule:   statements, history
 *     call_end:   COMMIT (and tell the others) or ROLLBACK ── mutex free
 *
 * Invariant: between a call's begin and end nobody else uses the connection; a rule that fails leaves nothing behind.
 */
#include "catalog/internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const statement_sql[] = {
#define GR_STATEMENT(name, sql) [ST_##name] = sql,
#include "catalog/statements.def"
#undef GR_STATEMENT
};

const char *gr_catalog_stmt_sql(gr_catalog_stmt id) { return statement_sql[id]; }

void gr_catalog_fault(const char *what, const char *when) {
#ifdef GRANARY_FAULTS
    char name[64];
    snprintf(name, sizeof name, "catalog.%s.%s", what, when);
    gr_fault_point(name);
#else
    (void)what, (void)when;
#endif
}

gr_status gr_catalog_run(gr_catalog_call *k, gr_catalog_stmt id, const gr_catalog_param *params, size_t n,
                         gr_catalog_table *ret) {
    gr_catalog_db *db = k->c->db;
    return db->driver->run(db, id, params, n, k->arena, ret, k->err);
}

gr_status gr_catalog_each(gr_catalog_call *k, gr_catalog_stmt id, const gr_catalog_param *params, size_t n,
                          gr_catalog_row_fn fn, void *arg) {
    gr_catalog_db *db = k->c->db;
    return db->driver->each(db, id, params, n, k->arena, fn, arg, k->err);
}

gr_status gr_catalog_run_text(gr_catalog_call *k, const char *sql, const gr_catalog_param *params, size_t n,
                              gr_catalog_table *ret) {
    gr_catalog_db *db = k->c->db;
    return db->driver->run_text(db, sql, params, n, k->arena, ret, k->err);
}

/* ---- the frame of a call -------------------------------------------------------------------------------------------
 */
void gr_catalog_call_leave(gr_catalog_call *k) {
    gr_arena_free(k->arena);
    pthread_mutex_unlock(&k->c->lock);
}

gr_status gr_catalog_call_commit(gr_catalog_call *k, gr_status status) {
    gr_catalog_db *db = k->c->db;
    if (!status && k->fault) gr_catalog_fault(k->fault, "before_commit");
    if (!status) status = db->driver->commit(db, k->is_change, k->err);
    if (!status && k->fault) gr_catalog_fault(k->fault, "after_commit");
    if (status) db->driver->rollback(db);
    return status;
}

/* A connection that was lost: opened again, and this handle is on the list of servers as it was. */
static gr_status come_back(gr_catalog_call *k) {
    gr_catalog_db *db = k->c->db;
    if (db->is_lost) GR_TRY(db->driver->reopen(db, k->err));
    if (!db->is_reopened) return GR_OK;
    GR_TRY(db->driver->begin(db, true, k->err));
    GR_TRY(gr_catalog_call_commit(k, gr_catalog_server_register(k)));
    k->is_change = false;
    db->is_reopened = false;
    return GR_OK;
}

gr_status gr_catalog_call_begin(gr_catalog *c, bool is_write, gr_actor actor, gr_catalog_call *ret, gr_error *err) {
    pthread_mutex_lock(&c->lock);
    *ret = (gr_catalog_call){.c = c, .arena = gr_arena_new(), .actor = actor, .err = err, .is_write = is_write};
    gr_status status = come_back(ret);
    if (!status) status = c->db->driver->begin(c->db, is_write, err);
    if (status) gr_catalog_call_leave(ret);
    return status;
}

gr_status gr_catalog_call_end(gr_catalog_call *k, gr_status status) {
    status = gr_catalog_call_commit(k, status);
    gr_catalog_call_leave(k);
    return status;
}

/* ---- opening and closing -------------------------------------------------------------------------------------------
 */
/* The list of servers is as it was found until this handle is on it: what a process that crashed had declared stays,
 * unless others are at work who would see it go. */
static gr_status join(gr_catalog_call *k) {
    bool is_gone = false, has_others = false, is_alive = false;
    GR_TRY(gr_catalog_servers_sweep(k, &is_gone, &has_others));
    if (is_gone && has_others) GR_TRY(gr_catalog_settle(k));
    GR_TRY(gr_catalog_server_register(k));
    return gr_catalog_builds_recover(k, 0, &is_alive);
}

static gr_status open_rules(gr_catalog *c, gr_error *err) {
    gr_catalog_db *db = c->db;
    gr_catalog_call k;
    GR_TRY(gr_catalog_migrate(db, err));
    GR_TRY(db->driver->ready(db, err));
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){.now_us = gr_clock_now_us()}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, join(&k)));
    c->is_registered = true;
    db->driver->changed(db); /* from now on */
    return GR_OK;
}

static gr_status open_all(gr_catalog *c, const gr_catalog_options *o, gr_error *err) {
    if (o->postgres.n)
        GR_TRY(gr_catalog_postgres_open(o->postgres, o->schema.n ? o->schema : GR_STR("granary"), &c->db, err));
    else
        GR_TRY(gr_catalog_sqlite_open(o->file, &c->db, err));
    GR_TRY(c->db->driver->gate_enter(c->db, err));
    gr_status status = open_rules(c, err);
    c->db->driver->gate_leave(c->db);
    return status;
}

gr_status gr_catalog_open(const gr_catalog_options *o, gr_catalog **ret, gr_error *err) {
    const gr_catalog_rule_of_text texts[] = {
        {"schema", o->schema, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"server's name", o->server, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"store", o->store, CATALOG_MAX_JSON, false, GR_CATALOG_ANY},
    };
    GR_TRY(gr_catalog_texts_check(texts, sizeof texts / sizeof texts[0], NULL, err));
    gr_catalog *c = gr_mem_calloc(1, sizeof *c);
    c->arena = gr_arena_new();
    c->server = gr_arena_dup(c->arena, o->server);
    c->store = gr_arena_dup(c->arena, o->store);
    c->process = gr_catalog_process_self(c->arena);
    c->is_store_shared = o->is_store_shared;
    c->memory.arena = gr_arena_new();
    gr_map_init(&c->memory.nodes, c->memory.arena);
    pthread_mutex_init(&c->lock, NULL);
    gr_status status = open_all(c, o, err);
    if (status)
        gr_catalog_close(c);
    else
        *ret = c;
    return status;
}

static gr_status leave_list(gr_catalog_call *k) {
    bool is_gone = false, has_others = false;
    GR_TRY(RUN(k, SERVER_REMOVE, NULL, I64(k->c->db->owner)));
    GR_TRY(gr_catalog_servers_sweep(k, &is_gone, &has_others));
    return has_others ? gr_catalog_settle(k) : GR_OK;
}

/* A handle that cannot say good-bye is found dead by the others. */
static void say_goodbye(gr_catalog *c) {
    gr_catalog_call k;
    gr_error err;
    if (!c->is_registered || c->db->is_lost) return;
    if (gr_catalog_call_begin(c, true, (gr_actor){.now_us = gr_clock_now_us()}, &k, &err)) return;
    if (gr_catalog_call_end(&k, leave_list(&k))) return;
}

void gr_catalog_close(gr_catalog *c) {
    if (!c) return;
    if (c->db) {
        say_goodbye(c);
        c->db->driver->close(c->db);
    }
    gr_arena_free(c->memory.arena);
    gr_catalog_known_free(c->known);
    gr_arena_free(c->arena);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Never waits: while another call is at work, nothing is known to have changed. */
gr_status gr_catalog_changed(gr_catalog *c, bool *ret_changed, gr_error *err) {
    (void)err;
    bool is_free = pthread_mutex_trylock(&c->lock) == 0, has_changed = false;
    if (is_free) {
        has_changed = c->db->driver->changed(c->db);
        pthread_mutex_unlock(&c->lock);
    }
    *ret_changed = has_changed;
    return GR_OK;
}
