/* Reading partitions: what has changed since they were last read.
 *
 *      entity 7, stamp 12:   [r1][r2][r3] … [r1000]        kept here
 *      catalog, stamp 13:    its ids, and the rows with a stamp > 12
 *
 * A publish changes a few of a thousand rows, and a thousand rows take a millisecond to read. Every change of an
 * entity's rows gives it a new stamp in the same transaction and marks the rows with it (partitions.c): a stamp that is
 * known means that nothing has changed. Rows that went are found by their ids, for they leave no mark. Whatever does
 * not fit together is read anew as a whole. */
#include "catalog/internal.h"

#include "base/mem.h"

#include <stdlib.h>

enum { MOST_KEPT = 500000 /* rows of all entities */, UNREAD = -1 /* a stamp */ };

typedef struct row_list {
    gr_arena *arena;
    GR_VEC(gr_partition_row) rows; /* by from_us and id */
} row_list;

typedef struct known_entity {
    int64_t preagg_id, stamp;
    row_list list;
    size_t n_replaced; /* whose texts are still in the arena */
} known_entity;

struct gr_catalog_known {
    int64_t owner;   /* of the connection that they were read with */
    known_entity *v; /* by preagg_id */
    size_t n, cap;
};

void gr_catalog_known_free(gr_catalog_known *known) {
    if (!known) return;
    for (size_t i = 0; i < known->n; i++) gr_arena_free(known->v[i].list.arena);
    free(known->v);
    free(known);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------
 */

/* Most texts are the same in row after row: they are kept once. */
static gr_str keep_text(gr_arena *arena, gr_str text, gr_str before) {
    return gr_str_eq(text, before) ? before : gr_arena_dup(arena, text);
}

static void add_row(row_list *list, const gr_partition_row *row) {
    static const gr_partition_row none;
    const gr_partition_row *before = list->rows.n ? &list->rows.v[list->rows.n - 1] : &none;
    gr_partition_row copy = *row;
    copy.table_name = keep_text(list->arena, row->table_name, before->table_name);
    copy.structure_hash = keep_text(list->arena, row->structure_hash, before->structure_hash);
    copy.checksum = gr_arena_dup(list->arena, row->checksum);
    copy.refresh_value = keep_text(list->arena, row->refresh_value, before->refresh_value);
    copy.fingerprint = keep_text(list->arena, row->fingerprint, before->fingerprint);
    copy.quarantine = keep_text(list->arena, row->quarantine, before->quarantine);
    GR_PUSH(list->arena, &list->rows, copy);
}

static void read_row(void *arg, const gr_catalog_table *t) {
    const gr_partition_row row = {
        .id = gr_catalog_i64(t, 0, 0),
        .preagg_id = gr_catalog_i64(t, 0, 1),
        .build_id = gr_catalog_i64(t, 0, 2),
        .from_us = gr_catalog_i64(t, 0, 3),
        .to_us = gr_catalog_i64(t, 0, 4),
        .table_name = gr_catalog_text(t, 0, 5),
        .table_parts = gr_catalog_i64(t, 0, 6),
        .structure_hash = gr_catalog_text(t, 0, 7),
        .since = gr_catalog_i64(t, 0, 8),
        .until = gr_catalog_i64(t, 0, 9),
        .rows = gr_catalog_i64(t, 0, 10),
        .bytes = gr_catalog_i64(t, 0, 11),
        .checksum = gr_catalog_text(t, 0, 12),
        .refresh_value = gr_catalog_text(t, 0, 13),
        .fingerprint = gr_catalog_text(t, 0, 14),
        .built_us = gr_catalog_i64(t, 0, 15),
        .verified_us = gr_catalog_i64(t, 0, 16),
        .quarantine = gr_catalog_text(t, 0, 17),
    };
    add_row(arg, &row);
}

/* ---- one entity ----------------------------------------------------------------------------------------------------
 */

static gr_status read_whole(gr_catalog_call *k, known_entity *e) {
    gr_arena_free(e->list.arena);
    e->list = (row_list){.arena = gr_arena_new()};
    e->n_replaced = 0;
    return EACH(k, PARTITION_OF, read_row, &e->list, I64(e->preagg_id));
}

typedef struct id_list {
    gr_arena *arena;
    GR_VEC(int64_t) ids;
} id_list;

static void read_id(void *arg, const gr_catalog_table *t) {
    id_list *list = arg;
    GR_PUSH(list->arena, &list->ids, gr_catalog_i64(t, 0, 0));
}

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool comes_before(const gr_partition_row *a, const gr_partition_row *b) {
    return a->from_us != b->from_us ? a->from_us < b->from_us : a->id < b->id;
}

static bool has_id(const gr_partition_row *rows, size_t n, int64_t id) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].id == id) return true;
    return false;
}

/* Old rows that are still there and have not changed, and those that have, in order. False: they are not the ids. */
static bool merge(known_entity *e, const row_list *changed, const id_list *ids, gr_arena *arena) {
    row_list merged = {.arena = arena};
    size_t at = 0, n = changed->rows.n;
    const gr_partition_row *c = changed->rows.v;
    for (size_t i = 0; i < e->list.rows.n; i++) {
        const gr_partition_row *row = &e->list.rows.v[i];
        bool is_there = ids->ids.n && bsearch(&row->id, ids->ids.v, ids->ids.n, sizeof *ids->ids.v, by_id);
        if (!is_there || has_id(c, n, row->id)) continue;
        while (at < n && comes_before(&c[at], row)) GR_PUSH(arena, &merged.rows, c[at++]);
        GR_PUSH(arena, &merged.rows, *row);
    }
    while (at < n) GR_PUSH(arena, &merged.rows, c[at++]);
    if (merged.rows.n != ids->ids.n) return false;
    e->list.rows.n = 0; /* its array is used again */
    for (size_t i = 0; i < merged.rows.n; i++) {
        bool is_new = has_id(c, n, merged.rows.v[i].id);
        if (is_new)
            add_row(&e->list, &merged.rows.v[i]);
        else
            GR_PUSH(e->list.arena, &e->list.rows, merged.rows.v[i]);
    }
    return true;
}

static gr_status read_changes(gr_catalog_call *k, known_entity *e) {
    enum { MOST_CHANGED = 64 };
    row_list changed = {.arena = k->arena};
    id_list ids = {.arena = k->arena};
    GR_TRY(EACH(k, PARTITION_CHANGED, read_row, &changed, I64(e->preagg_id), I64(e->stamp)));
    e->n_replaced += changed.rows.n;
    if (changed.rows.n > MOST_CHANGED || e->n_replaced > e->list.rows.n) return read_whole(k, e);
    GR_TRY(EACH(k, PARTITION_IDS, read_id, &ids, I64(e->preagg_id)));
    if (ids.ids.n) qsort(ids.ids.v, ids.ids.n, sizeof *ids.ids.v, by_id);
    return merge(e, &changed, &ids, k->arena) ? GR_OK : read_whole(k, e);
}

/* ---- those that are kept -------------------------------------------------------------------------------------------
 */

static size_t place_of(const gr_catalog_known *known, int64_t preagg_id) {
    size_t lo = 0, hi = known->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (known->v[mid].preagg_id < preagg_id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static known_entity *entity_of(gr_catalog_known *known, int64_t preagg_id) {
    size_t at = place_of(known, preagg_id);
    if (at < known->n && known->v[at].preagg_id == preagg_id) return &known->v[at];
    if (known->n == known->cap) {
        known->cap = known->cap ? 2 * known->cap : 16;
        known->v = gr_mem_realloc(known->v, known->cap * sizeof *known->v);
    }
    memmove(&known->v[at + 1], &known->v[at], (known->n++ - at) * sizeof *known->v);
    known->v[at] = (known_entity){.preagg_id = preagg_id, .stamp = UNREAD, .list = {.arena = gr_arena_new()}};
    return &known->v[at];
}

static gr_status refresh(gr_catalog_call *k, known_entity *e, int64_t stamp) {
    if (e->stamp == stamp) return GR_OK;
    gr_status status = e->stamp == UNREAD || e->stamp > stamp ? read_whole(k, e) : read_changes(k, e);
    e->stamp = status ? UNREAD : stamp;
    return status;
}

/* Nothing is kept of those that have gone (they are not in `stamps`), that could not be read, or that are too many. */
static void tidy(gr_catalog_known *known, const gr_catalog_table *stamps) {
    size_t at = 0, n = 0, n_rows = 0;
    for (size_t i = 0; i < known->n; i++) {
        known_entity *e = &known->v[i];
        while (stamps && at < stamps->n_rows && gr_catalog_i64(stamps, at, 0) < e->preagg_id) at++;
        bool is_there = !stamps || (at < stamps->n_rows && gr_catalog_i64(stamps, at, 0) == e->preagg_id);
        if (is_there && e->stamp != UNREAD && n_rows + e->list.rows.n <= MOST_KEPT) {
            n_rows += e->list.rows.n;
            known->v[n++] = *e;
        } else {
            gr_arena_free(e->list.arena);
        }
    }
    known->n = n;
}

/* What another connection read may be of a catalog that was restored since. */
static gr_catalog_known *known_of(gr_catalog *c) {
    if (c->known && c->known->owner != c->db->owner) {
        gr_catalog_known_free(c->known);
        c->known = NULL;
    }
    if (!c->known) c->known = gr_mem_calloc(1, sizeof *c->known);
    c->known->owner = c->db->owner;
    return c->known;
}

static void read_unread(void *arg, const gr_catalog_table *t) {
    known_entity *e = entity_of(arg, gr_catalog_i64(t, 0, 1));
    if (e->stamp == UNREAD) read_row(&e->list, t);
}

/* Many that are not known are read by one statement. */
static gr_status read_many(gr_catalog_call *k, gr_catalog_known *known, const gr_catalog_table *stamps) {
    enum { FEW = 8 };
    size_t n_unread = 0;
    for (size_t i = 0; i < stamps->n_rows; i++)
        n_unread += entity_of(known, gr_catalog_i64(stamps, i, 0))->stamp == UNREAD;
    if (n_unread <= FEW) return GR_OK;
    GR_TRY(EACH(k, PARTITION_ALL, read_unread, known));
    for (size_t i = 0; i < stamps->n_rows; i++) {
        known_entity *e = entity_of(known, gr_catalog_i64(stamps, i, 0));
        if (e->stamp == UNREAD) e->stamp = gr_catalog_i64(stamps, i, 1);
    }
    return GR_OK;
}

static gr_status read_all(gr_catalog_call *k, gr_catalog_known *known, const gr_catalog_table *stamps, row_list *ret) {
    GR_TRY(read_many(k, known, stamps));
    for (size_t i = 0; i < stamps->n_rows; i++) {
        known_entity *e = entity_of(known, gr_catalog_i64(stamps, i, 0));
        GR_TRY(refresh(k, e, gr_catalog_i64(stamps, i, 1)));
        for (size_t j = 0; j < e->list.rows.n; j++) add_row(ret, &e->list.rows.v[j]);
    }
    return GR_OK;
}

static gr_status read_of(gr_catalog_call *k, int64_t preagg_id, row_list *ret) {
    gr_catalog_known *known = known_of(k->c);
    gr_catalog_table stamps = {0};
    GR_TRY(preagg_id ? RUN(k, PARTITION_STAMP_OF, &stamps, I64(preagg_id)) : RUN(k, PARTITION_STAMPS, &stamps));
    gr_status status = read_all(k, known, &stamps, ret);
    tidy(known, preagg_id ? NULL : &stamps);
    return status;
}

gr_status gr_catalog_partitions(gr_catalog *c, int64_t preagg_id, gr_arena *arena, gr_partition_row **ret,
                                size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    row_list list = {.arena = arena};
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, read_of(&k, preagg_id, &list)));
    *ret = list.rows.n ? list.rows.v : GR_NEW(arena, gr_partition_row);
    *ret_n = list.rows.n;
    return GR_OK;
}

gr_status gr_catalog_partitions_after(gr_catalog *c, int64_t preagg_id, int64_t after_id, gr_arena *arena,
                                      gr_partition_row **ret, size_t *ret_n, gr_error *err) {
    if (!after_id) return gr_catalog_partitions(c, preagg_id, arena, ret, ret_n, err);
    gr_catalog_call k;
    row_list list = {.arena = arena};
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, EACH(&k, PARTITION_AFTER, read_row, &list, I64(preagg_id), I64(after_id))));
    *ret = list.rows.n ? list.rows.v : GR_NEW(arena, gr_partition_row);
    *ret_n = list.rows.n;
    return GR_OK;
}
