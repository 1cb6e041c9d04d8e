/* Entities: their identity, what they are declared as, and the steps of their life.
 *
 *     pending -----begin-----> materializing
 *     materializing --done---> active, or stale when by then another structure is declared, or none
 *     materializing --fail---> failed
 *     active --redefined, or declared by nobody---> stale --its definition is back---> active
 *     active, failed, stale --begin---> materializing; --builds dropped---> pending
 *
 * Invariants: one row per (node, grain hash, version); `active` means that the newest done build has the structure that
 * the entity is declared with now. What readers use is that build, whatever the status says. */
#include "catalog/internal.h"

#include <stdio.h>

enum { N_STATUSES = GR_PREAGG_STALE + 1 };

static const char *const status_names[N_STATUSES] = {
    [GR_PREAGG_PENDING] = "pending", [GR_PREAGG_MATERIALIZING] = "materializing",
    [GR_PREAGG_ACTIVE] = "active",   [GR_PREAGG_FAILED] = "failed",
    [GR_PREAGG_STALE] = "stale",
};

/* By where it comes from: the set of statuses that may follow. To stay what it is, is no step. */
#define TO(name) (1u << GR_PREAGG_##name)
static const unsigned may_become[N_STATUSES] = {
    [GR_PREAGG_PENDING] = TO(MATERIALIZING),
    [GR_PREAGG_MATERIALIZING] = TO(ACTIVE) | TO(FAILED) | TO(STALE),
    [GR_PREAGG_ACTIVE] = TO(MATERIALIZING) | TO(STALE) | TO(PENDING),
    [GR_PREAGG_FAILED] = TO(MATERIALIZING) | TO(PENDING),
    [GR_PREAGG_STALE] = TO(MATERIALIZING) | TO(ACTIVE) | TO(PENDING),
};

gr_str gr_preagg_status_name(gr_preagg_status status) {
    return gr_str_from((unsigned)status < N_STATUSES ? status_names[status] : "unknown");
}

/* The table's CHECK lets no other text in. */
static gr_preagg_status status_of(sqlite3_stmt *s, int at) {
    const char *text = (const char *)sqlite3_column_text(s, at);
    for (int i = 0; text && i < N_STATUSES; i++)
        if (strcmp(text, status_names[i]) == 0) return (gr_preagg_status)i;
    return GR_PREAGG_FAILED;
}

/* Columns as in GR_CATALOG_PREAGG_SELECT. */
static void read_row(sqlite3_stmt *s, gr_arena *arena, gr_preagg_row *row) {
    enum { SERVING = 16 };
    gr_str *const texts[] = {&row->decl.node,          &row->decl.node_version,   &row->decl.grain_hash,
                             &row->decl.grain_columns, &row->decl.measures,       &row->decl.declared_by,
                             &row->decl.time_zone,     &row->decl.structure_hash, &row->decl.store};
    *row = (gr_preagg_row){.id = sqlite3_column_int64(s, 0)};
    for (int i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++) *texts[i] = gr_catalog_col_str(s, i + 1, arena);
    row->status = status_of(s, 10);
    row->table_hash = gr_catalog_col_str(s, 11, arena);
    row->error = gr_catalog_col_str(s, 12, arena);
    row->created_us = sqlite3_column_int64(s, 13);
    row->updated_us = sqlite3_column_int64(s, 14);
    row->materialized_us = sqlite3_column_int64(s, 15);
    row->has_serving = sqlite3_column_type(s, SERVING) != SQLITE_NULL;
    if (row->has_serving) gr_catalog_build_read(s, SERVING, arena, &row->serving);
}

/* One entity by a statement that is bound already. */
static gr_status read_one(gr_catalog *c, sqlite3_stmt *s, gr_arena *arena, gr_preagg_row *ret, bool *ret_found,
                          gr_error *err) {
    GR_TRY(gr_catalog_step(c, s, ret_found, err));
    if (!*ret_found) return GR_OK;
    read_row(s, arena, ret);
    sqlite3_reset(s);
    return GR_OK;
}

gr_status gr_catalog_entity_find(gr_catalog *c, int64_t id, gr_catalog_entity *ret, gr_error *err) {
    bool is_found = false;
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_STATE);
    sqlite3_bind_int64(s, 1, id);
    GR_TRY(gr_catalog_step(c, s, &is_found, err));
    if (!is_found)
        return gr_error_set(err, GR_ERR_PREAGG_NOT_FOUND, "there is no pre-aggregation with id %lld", (long long)id);
    *ret = (gr_catalog_entity){id, sqlite3_column_int64(s, 1), status_of(s, 0)};
    sqlite3_reset(s);
    return GR_OK;
}

static void bind_time(sqlite3_stmt *s, int at, int64_t us) {
    if (us)
        sqlite3_bind_int64(s, at, us);
    else
        sqlite3_bind_null(s, at);
}

gr_status gr_catalog_entity_move(gr_catalog *c, const gr_catalog_entity *entity, gr_preagg_status to, gr_str error,
                                 int64_t materialized_us, int64_t now_us, gr_error *err) {
    if (to != entity->status && !(may_become[entity->status] & 1u << to))
        return gr_error_set(err, GR_ERR_INTERNAL, "pre-aggregation %lld cannot become %s: it is %s",
                            (long long)entity->id, status_names[to], status_names[entity->status]);
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_MOVE);
    sqlite3_bind_int64(s, 1, entity->id);
    gr_catalog_bind_str(s, 2, gr_str_from(status_names[to]));
    if (error.n) gr_catalog_bind_str(s, 3, error);
    bind_time(s, 4, materialized_us);
    sqlite3_bind_int64(s, 5, now_us);
    return gr_catalog_run(c, s, err);
}

/* For people and for names of tables: the head of the structure hash. */
static gr_str table_hash(gr_str structure_hash) {
    enum { TABLE_HASH_DIGITS = 16 };
    return gr_str_sub(structure_hash, 0, structure_hash.n < TABLE_HASH_DIGITS ? structure_hash.n : TABLE_HASH_DIGITS);
}

static gr_status check_decl(const gr_preagg_decl *d, gr_error *err) {
    const gr_catalog_text texts[] = {
        {"node name", d->node, CATALOG_MAX_NAME, true},
        {"node version", d->node_version, CATALOG_MAX_NAME, true},
        {"grain hash", d->grain_hash, CATALOG_MAX_NAME, true},
        {"list of grain columns", d->grain_columns, CATALOG_MAX_JSON, true},
        {"list of measures", d->measures, CATALOG_MAX_JSON, true},
        {"declaring name", d->declared_by, CATALOG_MAX_NAME, true},
        {"time zone", d->time_zone, CATALOG_MAX_NAME, false},
        {"structure hash", d->structure_hash, CATALOG_MAX_NAME, true},
        {"store", d->store, CATALOG_MAX_NAME, true},
    };
    return gr_catalog_check_texts(texts, sizeof texts / sizeof texts[0], err);
}

static gr_status put_node(gr_catalog *c, const gr_preagg_decl *d, int64_t now_us, gr_error *err) {
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_NODE_PUT);
    gr_catalog_bind_str(s, 1, d->node);
    gr_catalog_bind_str(s, 2, d->node_version);
    int64_t before = sqlite3_total_changes64(c->db);
    GR_TRY(gr_catalog_run(c, s, err));
    if (sqlite3_total_changes64(c->db) == before) return GR_OK;
    s = gr_catalog_stmt_get(c, ST_NODE_RETIRE);
    gr_catalog_bind_str(s, 1, d->node);
    gr_catalog_bind_str(s, 2, d->node_version);
    sqlite3_bind_int64(s, 3, now_us);
    return gr_catalog_run(c, s, err);
}

static gr_status add_entity(gr_catalog *c, const gr_preagg_decl *d, int64_t now_us, gr_error *err) {
    const gr_str texts[] = {d->node,          d->grain_hash,     d->node_version,
                            d->grain_columns, d->measures,       d->declared_by,
                            d->time_zone,     d->structure_hash, table_hash(d->structure_hash),
                            d->store};
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_ADD);
    for (int i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++) gr_catalog_bind_str(s, i + 1, texts[i]);
    sqlite3_bind_int64(s, 11, now_us);
    return gr_catalog_run(c, s, err);
}

/* What the served build is worth under the new declaration. */
static gr_preagg_status redeclared_status(const gr_preagg_row *old, const gr_preagg_decl *d) {
    bool is_same = old->has_serving && gr_str_eq(old->serving.structure_hash, d->structure_hash);
    if (old->status == GR_PREAGG_ACTIVE && !is_same) return GR_PREAGG_STALE;
    if (old->status == GR_PREAGG_STALE && is_same) return GR_PREAGG_ACTIVE;
    return old->status;
}

static gr_status update_entity(gr_catalog *c, const gr_preagg_row *old, const gr_preagg_decl *d, int64_t now_us,
                               gr_error *err) {
    gr_str status = gr_preagg_status_name(redeclared_status(old, d));
    const gr_str texts[] = {
        d->grain_columns, d->measures, d->declared_by, d->time_zone, d->structure_hash, table_hash(d->structure_hash),
        d->store,         status};
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_REDECLARE);
    sqlite3_bind_int64(s, 1, old->id);
    for (int i = 0; i < (int)(sizeof texts / sizeof texts[0]); i++) gr_catalog_bind_str(s, i + 2, texts[i]);
    sqlite3_bind_int64(s, 10, now_us);
    return gr_catalog_run(c, s, err);
}

static gr_status find_identity(gr_catalog *c, const gr_preagg_decl *d, gr_arena *arena, gr_preagg_row *ret,
                               bool *ret_found, gr_error *err) {
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_BY_IDENTITY);
    gr_catalog_bind_str(s, 1, d->node);
    gr_catalog_bind_str(s, 2, d->grain_hash);
    gr_catalog_bind_str(s, 3, d->node_version);
    return read_one(c, s, arena, ret, ret_found, err);
}

static gr_status declare(gr_catalog *c, const gr_preagg_decl *d, int64_t now_us, gr_arena *arena, gr_preagg_row *ret,
                         gr_error *err) {
    bool is_found = false;
    GR_TRY(put_node(c, d, now_us, err));
    GR_TRY(find_identity(c, d, arena, ret, &is_found, err));
    GR_TRY(is_found ? update_entity(c, ret, d, now_us, err) : add_entity(c, d, now_us, err));
    GR_TRY(find_identity(c, d, arena, ret, &is_found, err));
    return is_found ? GR_OK : gr_error_set(err, GR_ERR_INTERNAL, "a pre-aggregation vanished while it was declared");
}

gr_status gr_catalog_declare(gr_catalog *c, const gr_preagg_decl *decl, int64_t now_us, gr_arena *arena,
                             gr_preagg_row *ret, gr_error *err) {
    gr_preagg_row row = {0};
    GR_TRY(check_decl(decl, err));
    GR_TRY(gr_catalog_tx_begin(c, err));
    GR_TRY(gr_catalog_tx_end(c, declare(c, decl, now_us, arena, &row, err), err));
    *ret = row;
    return GR_OK;
}

gr_status gr_catalog_retire(gr_catalog *c, const int64_t *declared_ids, size_t n, int64_t now_us, gr_error *err) {
    enum { MOST_IDS = 1000000, ID_BYTES = 21 };
    if (n > MOST_IDS)
        return gr_error_set(err, GR_ERR_LIMIT, "%zu pre-aggregations are declared, and the catalog takes at most %d", n,
                            MOST_IDS);
    gr_arena *scratch = gr_arena_new();
    char *text = gr_arena_alloc(scratch, n * ID_BYTES + 3), *at = text;
    *at++ = '[';
    for (size_t i = 0; i < n; i++) at += snprintf(at, ID_BYTES + 1, "%s%lld", i ? "," : "", (long long)declared_ids[i]);
    *at++ = ']';
    gr_status status = gr_catalog_tx_begin(c, err);
    if (!status) {
        sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_RETIRE);
        gr_catalog_bind_str(s, 1, (gr_str){text, (size_t)(at - text)});
        sqlite3_bind_int64(s, 2, now_us);
        status = gr_catalog_tx_end(c, gr_catalog_run(c, s, err), err);
    }
    gr_arena_free(scratch);
    return status;
}

typedef GR_VEC(gr_preagg_row) row_list;

static gr_status list_rows(gr_catalog *c, gr_arena *arena, row_list *rows, gr_error *err) {
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_ALL);
    for (bool is_row = true;;) {
        GR_TRY(gr_catalog_step(c, s, &is_row, err));
        if (!is_row) return GR_OK;
        gr_preagg_row row;
        read_row(s, arena, &row);
        GR_PUSH(arena, rows, row);
    }
}

gr_status gr_catalog_list(gr_catalog *c, gr_arena *arena, gr_preagg_row **ret, size_t *ret_n, gr_error *err) {
    row_list rows = {0};
    pthread_mutex_lock(&c->lock);
    gr_status status = list_rows(c, arena, &rows, err);
    pthread_mutex_unlock(&c->lock);
    if (status) return status;
    *ret = rows.v;
    *ret_n = rows.n;
    return GR_OK;
}

gr_status gr_catalog_get(gr_catalog *c, int64_t id, gr_arena *arena, gr_preagg_row *ret, bool *ret_found,
                         gr_error *err) {
    gr_preagg_row row = {0};
    bool is_found = false;
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_PREAGG_BY_ID);
    sqlite3_bind_int64(s, 1, id);
    gr_status status = read_one(c, s, arena, &row, &is_found, err);
    pthread_mutex_unlock(&c->lock);
    if (status) return status;
    if (is_found) *ret = row;
    *ret_found = is_found;
    return GR_OK;
}
