/* The servers of a catalog: who is there, what each declares, and what follows when one leaves.
 *
 *     held lock          lease        the server      its running builds
 *     yes                runs         lives           live
 *     yes                ended        lives           are dead: it does not look after them
 *     no  (PostgreSQL)   runs         lives, unless its process is provably gone: it comes back with a new connection
 *     no                 ended        is dead         are dead
 *
 * A lock of SQLite goes with the process, so there a free lock means dead at once. */
#include "catalog/internal.h"

#include "base/fault.h"

#include <stdlib.h>

int64_t gr_catalog_lease_us(void) { return gr_fault_lease_us(GR_CATALOG_LEASE_US); }

/* ---- the list ------------------------------------------------------------------------------------------------------
 */
typedef struct server_row {
    int64_t owner, lease_until;
    gr_str name, process, store;
    bool is_store_shared;
} server_row;

static server_row read_server(const gr_catalog_table *t, size_t i) {
    return (server_row){.owner = gr_catalog_i64(t, i, 0),
                        .name = gr_catalog_text(t, i, 1),
                        .process = gr_catalog_text(t, i, 2),
                        .store = gr_catalog_text(t, i, 3),
                        .is_store_shared = gr_catalog_i64(t, i, 4) != 0,
                        .lease_until = gr_catalog_i64(t, i, 5)};
}

static gr_status server_lives(gr_catalog_call *k, const server_row *s, bool *ret) {
    gr_catalog_db *db = k->c->db;
    int64_t now = 0;
    if (s->owner == db->owner) {
        *ret = true;
        return GR_OK;
    }
    GR_TRY(db->driver->is_held(db, s->owner, ret, k->err));
    if (*ret || !db->driver->may_reconnect) return GR_OK;
    GR_TRY(db->driver->now_us(db, &now, k->err));
    *ret = s->lease_until > now && !gr_catalog_process_is_gone(s->process, k->arena);
    return GR_OK;
}

gr_status gr_catalog_owner_lives(gr_catalog_call *k, int64_t owner, bool *ret) {
    gr_catalog_table t = {0};
    *ret = false;
    GR_TRY(RUN(k, SERVER_ALL, &t));
    for (size_t i = 0; i < t.n_rows; i++) {
        server_row s = read_server(&t, i);
        if (s.owner == owner) return server_lives(k, &s, ret);
    }
    return GR_OK;
}

gr_status gr_catalog_servers_sweep(gr_catalog_call *k, bool *ret_gone, bool *ret_others) {
    gr_catalog_table t = {0};
    *ret_gone = *ret_others = false;
    GR_TRY(RUN(k, SERVER_ALL, &t));
    for (size_t i = 0; i < t.n_rows; i++) {
        server_row s = read_server(&t, i);
        bool is_alive = false;
        if (s.owner == k->c->db->owner) continue;
        GR_TRY(server_lives(k, &s, &is_alive));
        if (is_alive)
            *ret_others = true;
        else
            *ret_gone = true;
        if (!is_alive) GR_TRY(RUN(k, SERVER_REMOVE, NULL, I64(s.owner)));
    }
    return GR_OK;
}

/* An embedded store belongs to one process: two servers of one catalog must share a store that may be shared. */
static gr_status check_stores(gr_catalog_call *k) {
    const gr_catalog *c = k->c;
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, SERVER_ALL, &t));
    for (size_t i = 0; i < t.n_rows; i++) {
        server_row s = read_server(&t, i);
        if (s.owner == c->db->owner || (gr_str_eq(s.store, c->store) && s.is_store_shared && c->is_store_shared))
            continue;
        gr_error_set(k->err, GR_ERR_STORE_NOT_SHARED,
                     "the server " GR_FMT " uses %s too, with the store " GR_FMT "%s; the store here is " GR_FMT "%s",
                     GR_ARG(s.name), c->db->name, GR_ARG(s.store), s.is_store_shared ? "" : " that is not shared",
                     GR_ARG(c->store), c->is_store_shared ? "" : " that is not shared");
        gr_error_hint(k->err, "servers that share a catalog need one store that several processes may write; stop the "
                              "other server, or give this one a catalog of its own");
        return GR_ERR_STORE_NOT_SHARED;
    }
    return GR_OK;
}

/* The entity counts as declared again; what had become stale meanwhile is looked at. *ret_found: it is there still. */
static gr_status revive(gr_catalog_call *k, int64_t id, bool *ret_found) {
    gr_catalog_table t = {0};
    gr_catalog_entity_list list = {0};
    GR_TRY(RUN(k, PREAGG_BY_ID, &t, I64(id)));
    *ret_found = t.n_rows > 0;
    if (!t.n_rows) return GR_OK;
    GR_TRY(gr_catalog_entities_read(k, &t, FILL_SERVING, k->arena, &list));
    gr_catalog_entity *e = &list.v[0];
    gr_preagg_status to = e->row.status;
    if (to == GR_PREAGG_STALE && !e->is_declared)
        to = gr_catalog_is_ready(&e->row) ? GR_PREAGG_ACTIVE : GR_PREAGG_PENDING;
    const gr_catalog_step step = {to, e->row.error, e->row.materialized_us, true};
    return gr_catalog_entity_move(k, e, step);
}

/* After a lost connection: what this handle declares counts again, but for what was removed. */
static gr_status declare_again(gr_catalog_call *k) {
    const gr_catalog_held_list *held = &k->c->memory.held;
    gr_catalog_held_list left = {0};
    for (size_t i = 0; i < held->n; i++) {
        bool is_found = false;
        GR_TRY(revive(k, held->v[i].preagg_id, &is_found));
        if (is_found) GR_PUSH(k->arena, &left, held->v[i]);
    }
    GR_TRY(gr_catalog_held_put(k, &left, false));
    return gr_catalog_links_sync(k, true);
}

gr_status gr_catalog_server_register(gr_catalog_call *k) {
    gr_catalog *c = k->c;
    gr_catalog_db *db = c->db;
    gr_catalog_table t = {0};
    int64_t now = 0;
    GR_TRY(db->driver->now_us(db, &now, k->err));
    if (db->driver->is_postgres) GR_TRY(check_stores(k));
    if (db->earlier_owner && db->earlier_owner != db->owner) {
        GR_TRY(RUN(k, SERVER_RENAME, NULL, I64(db->earlier_owner), I64(db->owner)));
        GR_TRY(RUN(k, BUILD_RENAME, NULL, I64(db->earlier_owner), I64(db->owner)));
    }
    GR_TRY(RUN(k, SERVER_LEASE, &t, I64(db->owner), I64(now + gr_catalog_lease_us())));
    if (t.n_rows) return GR_OK;
    GR_TRY(RUN(k, SERVER_PUT, NULL, I64(db->owner), STR(c->server), STR(c->process), STR(c->store),
               I64(c->is_store_shared), I64(now), I64(now + gr_catalog_lease_us())));
    return declare_again(k);
}

/* ---- what a server declares ----------------------------------------------------------------------------------------
 */
typedef struct held_row {
    int64_t owner;
    gr_catalog_held held;
} held_row;

static int compare_held(const void *a, const void *b) {
    const gr_catalog_held *x = a, *y = b;
    if (x->preagg_id != y->preagg_id) return x->preagg_id < y->preagg_id ? -1 : 1;
    return gr_str_cmp(x->name, y->name);
}

static bool is_in(const gr_catalog_held *held, const gr_catalog_held_list *sorted) {
    return sorted->n && bsearch(held, sorted->v, sorted->n, sizeof sorted->v[0], compare_held);
}

static void sort(gr_catalog_held_list *list) {
    if (list->n > 1) qsort(list->v, list->n, sizeof list->v[0], compare_held);
}

/* All that is declared now: by this handle, and by the others. */
static gr_status read_held(gr_catalog_call *k, gr_catalog_held_list *mine, gr_catalog_held_list *theirs) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, HELD_ALL, &t));
    for (size_t i = 0; i < t.n_rows; i++) {
        gr_catalog_held held = {gr_catalog_i64(&t, i, 1), gr_catalog_text(&t, i, 2)};
        GR_PUSH(k->arena, gr_catalog_i64(&t, i, 0) == k->c->db->owner ? mine : theirs, held);
    }
    sort(mine);
    sort(theirs);
    return GR_OK;
}

/* "orders" of "orders.main": the node that such a name links. */
static gr_str node_of(gr_str name) {
    size_t dot = gr_str_find(name, '.', 0);
    return dot == SIZE_MAX ? name : gr_str_sub(name, 0, dot);
}

gr_status gr_catalog_held_put(gr_catalog_call *k, const gr_catalog_held_list *held, bool is_more) {
    gr_catalog_held_list mine = {0}, theirs = {0}, wanted = {0};
    GR_TRY(read_held(k, &mine, &theirs));
    for (size_t i = 0; i < held->n; i++) GR_PUSH(k->arena, &wanted, held->v[i]);
    sort(&wanted);
    int64_t me = k->c->db->owner;
    for (size_t i = 0; i < wanted.n; i++) {
        const gr_catalog_held *h = &wanted.v[i];
        if (is_in(h, &mine) || (i && compare_held(h, &wanted.v[i - 1]) == 0)) continue;
        GR_TRY(RUN(k, HELD_ADD, NULL, I64(me), I64(h->preagg_id), STR(h->name), STR(node_of(h->name))));
        k->is_change |= h->name.n && !is_in(h, &theirs);
    }
    for (size_t i = 0; i < mine.n && !is_more; i++) {
        const gr_catalog_held *h = &mine.v[i];
        if (is_in(h, &wanted)) continue;
        GR_TRY(RUN(k, HELD_REMOVE, NULL, I64(me), I64(h->preagg_id), STR(h->name)));
        k->is_change |= h->name.n && !is_in(h, &theirs);
    }
    return GR_OK;
}

gr_status gr_catalog_settle(gr_catalog_call *k) {
    gr_catalog_table t = {0};
    gr_catalog_entity_list rows = {0};
    GR_TRY(RUN(k, PREAGG_UNHELD, &t));
    GR_TRY(gr_catalog_entities_read(k, &t, 0, k->arena, &rows));
    for (size_t i = 0; i < rows.n; i++) {
        const gr_preagg_row *row = &rows.v[i].row;
        bool stays = row->status == GR_PREAGG_MATERIALIZING;
        gr_catalog_step step = {stays ? row->status : GR_PREAGG_STALE, stays ? row->error : (gr_str){0},
                                row->materialized_us, false};
        GR_TRY(gr_catalog_entity_move(k, &rows.v[i], step));
    }
    return gr_catalog_links_sync(k, false);
}

/* ---- heartbeat -----------------------------------------------------------------------------------------------------
 */
/* A lock that cannot be lost needs no lease, and a heartbeat that writes nothing does not rouse the others. */
static gr_status is_listed(gr_catalog_call *k, int64_t lease_until, bool *ret) {
    gr_catalog_db *db = k->c->db;
    gr_catalog_table t = {0};
    *ret = false;
    GR_TRY(db->driver->may_reconnect ? RUN(k, SERVER_LEASE, &t, I64(db->owner), I64(lease_until))
                                     : RUN(k, SERVER_ALL, &t));
    for (size_t i = 0; i < t.n_rows; i++) *ret |= gr_catalog_i64(&t, i, 0) == db->owner;
    return GR_OK;
}

static gr_status extend(gr_catalog_call *k) {
    gr_catalog_db *db = k->c->db;
    int64_t now = 0;
    bool is_on_it = false;
    GR_TRY(db->driver->now_us(db, &now, k->err));
    GR_TRY(is_listed(k, now + gr_catalog_lease_us(), &is_on_it));
    if (!is_on_it) GR_TRY(gr_catalog_server_register(k)); /* taken for dead */
    return RUN(k, BUILD_LEASE, NULL, I64(db->owner), I64(now + gr_catalog_lease_us()));
}

static gr_status beat(gr_catalog_call *k) {
    bool is_gone = false, has_others = false, is_alive = false;
    GR_TRY(extend(k));
    GR_TRY(gr_catalog_servers_sweep(k, &is_gone, &has_others));
    if (is_gone) GR_TRY(gr_catalog_settle(k));
    return gr_catalog_builds_recover(k, 0, &is_alive);
}

/* With nobody else on the list, nothing running and no lease to keep, there is nothing to write. */
static gr_status has_work(gr_catalog_call *k, bool *ret) {
    gr_catalog_table servers = {0}, builds = {0};
    GR_TRY(RUN(k, SERVER_ALL, &servers));
    GR_TRY(RUN(k, BUILD_RUNNING, &builds));
    bool is_alone = servers.n_rows == 1 && gr_catalog_i64(&servers, 0, 0) == k->c->db->owner;
    *ret = k->c->db->driver->may_reconnect || !is_alone || builds.n_rows > 0;
    return GR_OK;
}

gr_status gr_catalog_heartbeat(gr_catalog *c, int64_t now_us, bool *ret_changed, gr_error *err) {
    gr_catalog_call k;
    bool is_needed = false, is_change = false;
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, has_work(&k, &is_needed)));
    if (is_needed) {
        GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){.now_us = now_us}, &k, err));
        gr_status status = beat(&k);
        is_change = k.is_change;
        GR_TRY(gr_catalog_call_end(&k, status));
    }
    if (ret_changed) *ret_changed = is_change;
    return GR_OK;
}
