/* Finding entities: which they are is worked out over indexes alone; rows are read of one page.
 *
 *     SELECT count(*)  ┐ WHERE … (one text)            rows of one page, then their builds, names and cubes:
 *     SELECT id … LIMIT┘                               one statement each (preaggs.c)
 *
 *     with grain columns or measures: SELECT id of each term, and of the rest; what is in all of them */
#include "catalog/internal.h"

#include <stdio.h>

enum { MOST_TERMS = 200 };

static void add_statuses(gr_catalog_where *w, unsigned statuses) {
    char text[128];
    size_t n = (size_t)snprintf(text, sizeof text, "p.status IN (");
    const char *comma = "";
    for (unsigned i = 0; i <= GR_PREAGG_STALE; i++) {
        if (!(statuses & 1u << i)) continue;
        gr_str name = gr_preagg_status_name((gr_preagg_status)i);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s'" GR_FMT "'", comma, GR_ARG(name));
        comma = ", ";
    }
    snprintf(text + n, sizeof text - n, *comma ? ")" : "'')"); /* bits that mean nothing let nothing pass */
    gr_catalog_where_add(w, text, NULL, 0);
}

static void add_conditions(gr_catalog_where *w, const gr_preagg_filter *f) {
    size_t n = 0;
    if (f->node.n)
        gr_catalog_where_add(w, "p.source_node_id = (SELECT n.id FROM node n WHERE n.name = ?)", &STR(f->node), 1);
    if (f->version.n) gr_catalog_where_add(w, "p.source_node_version = ?", &STR(f->version), 1);
    if (f->current_only) gr_catalog_where_add(w, "p.is_at_current = 1", NULL, 0);
    if (f->statuses) add_statuses(w, f->statuses);
    if (f->cube.n)
        gr_catalog_where_add(w,
                             "p.id IN (SELECT l.pre_aggregation_id FROM cube_pre_aggregation l JOIN node n"
                             " ON n.id = l.cube_id WHERE n.name = ?)",
                             &STR(f->cube), 1);
    if (f->has_grain) {
        (void)gr_catalog_folded(f->grain, f->n_grain, w->arena, &n); /* how many different ones */
        if (f->grain_mode == GR_GRAIN_MODE_EXACT) gr_catalog_where_add(w, "p.n_grain = ?", &I64((int64_t)n), 1);
    }
    if (f->grain_group_hash.n) gr_catalog_where_add(w, "p.grain_group_hash = ?", &STR(f->grain_group_hash), 1);
    if (f->external) gr_catalog_where_add(w, "p.is_external = ?", &I64(f->external > 0), 1);
}

typedef enum extent { COUNTED, ORDERED, PAGED } extent;

static gr_status run_find(gr_catalog_call *k, const gr_preagg_filter *f, const char *head, extent how,
                          gr_catalog_table *ret) {
    gr_buf sql;
    gr_buf_init(&sql, CATALOG_MAX_JSON);
    gr_catalog_where w = {.sql = &sql, .arena = k->arena};
    gr_buf_z(&sql, head);
    add_conditions(&w, f);
    if (how != COUNTED) {
        gr_buf_z(&sql, " ORDER BY p.id");
        if (how == PAGED && (f->limit > 0 || f->offset > 0)) {
            gr_buf_z(&sql, " LIMIT ");
            gr_catalog_where_param(&w, I64(f->limit > 0 ? f->limit : INT64_MAX));
            gr_buf_z(&sql, " OFFSET ");
            gr_catalog_where_param(&w, I64(f->offset > 0 ? f->offset : 0));
        }
    }
    gr_status status = gr_catalog_where_run(k, &w, ret);
    gr_buf_done(&sql);
    return status;
}

typedef struct found {
    gr_preagg_row *rows;
    size_t n;
    int64_t total;
} found;

typedef struct id_list {
    int64_t *v;
    size_t n;
} id_list;

static void keep_common(id_list *a, const gr_catalog_table *b) {
    size_t n = 0;
    for (size_t i = 0, k = 0; i < a->n && k < b->n_rows;) {
        int64_t x = a->v[i], y = gr_catalog_i64(b, k, 0);
        if (x == y) a->v[n++] = x;
        i += x <= y;
        k += y <= x;
    }
    a->n = n;
}

static void take(gr_catalog_call *k, bool *is_first, id_list *ids, const gr_catalog_table *t) {
    if (!*is_first) {
        keep_common(ids, t);
        return;
    }
    *is_first = false;
    *ids = (id_list){GR_NEW_N(k->arena, int64_t, t->n_rows + 1), t->n_rows};
    for (size_t i = 0; i < t->n_rows; i++) ids->v[i] = gr_catalog_i64(t, i, 0);
}

static gr_status take_terms(gr_catalog_call *k, const char *kind, const gr_str *names, size_t n, bool *is_first,
                            id_list *ids) {
    size_t n_folded = 0;
    gr_str *folded = gr_catalog_folded(names, n, k->arena, &n_folded);
    for (size_t i = 0; i < n_folded; i++) {
        gr_catalog_table t = {0};
        GR_TRY(RUN(k, TERM_FIND, &t, STR(gr_str_from(kind)), STR(folded[i])));
        take(k, is_first, ids, &t);
    }
    return GR_OK;
}

static bool has_conditions(const gr_preagg_filter *f) {
    return f->node.n || f->version.n || f->current_only || f->statuses || f->cube.n || f->external ||
           f->grain_group_hash.n || (f->has_grain && f->grain_mode == GR_GRAIN_MODE_EXACT);
}

/* Each term and the rest of the conditions is a list of ids out of an index of its own; what is in all of them is found
 * here, for the rows themselves are wide and far apart. */
static gr_status find_by_terms(gr_catalog_call *k, const gr_preagg_filter *f, id_list *ret) {
    bool is_first = true;
    gr_catalog_table t = {0};
    if (f->has_grain) GR_TRY(take_terms(k, "grain", f->grain, f->n_grain, &is_first, ret));
    GR_TRY(take_terms(k, "measure", f->measures, f->n_measures, &is_first, ret));
    if (!is_first && !has_conditions(f)) return GR_OK;
    GR_TRY(run_find(k, f, "SELECT p.id FROM pre_aggregations p", ORDERED, &t));
    take(k, &is_first, ret, &t);
    return GR_OK;
}

/* Without terms counting is cheap, and the page is read out of an index. */
static gr_status find_ids(gr_catalog_call *k, const gr_preagg_filter *f, id_list *ret, int64_t *ret_total) {
    gr_catalog_table count = {0}, page = {0};
    if (!f->has_grain && !f->n_measures) {
        bool is_first = true;
        GR_TRY(run_find(k, f, "SELECT count(*) FROM pre_aggregations p", COUNTED, &count));
        GR_TRY(run_find(k, f, "SELECT p.id FROM pre_aggregations p", PAGED, &page));
        *ret_total = gr_catalog_i64(&count, 0, 0);
        take(k, &is_first, ret, &page);
        return GR_OK;
    }
    GR_TRY(find_by_terms(k, f, ret));
    *ret_total = (int64_t)ret->n;
    size_t from = f->offset <= 0 ? 0 : (uint64_t)f->offset < ret->n ? (size_t)f->offset : ret->n;
    ret->v += from;
    ret->n -= from;
    if (f->limit > 0 && (uint64_t)f->limit < ret->n) ret->n = (size_t)f->limit;
    return GR_OK;
}

static gr_status find(gr_catalog_call *k, const gr_preagg_filter *f, gr_arena *arena, found *ret) {
    id_list ids = {0};
    GR_TRY(find_ids(k, f, &ids, &ret->total));
    ret->n = ids.n;
    ret->rows = GR_NEW_N(arena, gr_preagg_row, ids.n + 1);
    return gr_catalog_entities_of(k, ids.v, ids.n, arena, ret->rows);
}

gr_status gr_catalog_find(gr_catalog *c, const gr_preagg_filter *filter, gr_arena *arena, gr_preagg_row **ret,
                          size_t *ret_n, int64_t *ret_total, gr_error *err) {
    gr_catalog_call k;
    found made = {0};
    if (filter->n_grain > MOST_TERMS || filter->n_measures > MOST_TERMS)
        return gr_error_set(err, GR_ERR_LIMIT, "a filter names at most %d grain columns and %d measures", MOST_TERMS,
                            MOST_TERMS);
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, find(&k, filter, arena, &made)));
    *ret = made.rows;
    *ret_n = made.n;
    if (ret_total) *ret_total = made.total;
    return GR_OK;
}

static gr_status scan(gr_catalog_call *k, gr_arena *arena, found *ret) {
    gr_catalog_table t = {0};
    gr_catalog_entity_list list = {0};
    GR_TRY(gr_catalog_run(k, ST_PREAGG_SCAN, NULL, 0, &t));
    list.v = GR_NEW_N(k->arena, gr_catalog_entity, t.n_rows + 1);
    list.n = t.n_rows;
    for (size_t i = 0; i < t.n_rows; i++) {
        gr_preagg_row *row = &list.v[i].row;
        gr_str *const texts[] = {&row->decl.node,      &row->version,         &row->decl.grain_hash,
                                 &row->decl.time_zone, &row->decl.definition, &row->decl.external,
                                 &row->availability};
        row->id = gr_catalog_i64(&t, i, 0);
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
            *texts[j] = gr_arena_dup(arena, gr_catalog_text(&t, i, j + 1));
        row->materialized_us = gr_catalog_i64(&t, i, 8);
        gr_preagg_status_from_name(gr_catalog_text(&t, i, 9), &row->status);
    }
    GR_TRY(gr_catalog_fill(k, FILL_SERVING, arena, list.v, list.n));
    ret->rows = GR_NEW_N(arena, gr_preagg_row, list.n + 1);
    ret->n = list.n;
    for (size_t i = 0; i < list.n; i++) ret->rows[i] = list.v[i].row;
    return GR_OK;
}

gr_status gr_catalog_scan(gr_catalog *c, gr_arena *arena, gr_preagg_row **ret, size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    found made = {0};
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, scan(&k, arena, &made)));
    *ret = made.rows;
    *ret_n = made.n;
    return GR_OK;
}

gr_status gr_catalog_get(gr_catalog *c, int64_t id, gr_arena *arena, gr_preagg_row *ret, bool *ret_found,
                         gr_error *err) {
    gr_catalog_call k;
    gr_catalog_entity e = {0};
    gr_error why;
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    k.err = &why;
    gr_status status = gr_catalog_entity_find(&k, id, FILL_ALL, arena, &e);
    status = gr_catalog_call_end(&k, status);
    bool is_known = status == GR_OK || status == GR_ERR_PREAGG_NOT_FOUND;
    if (!is_known && err) *err = why;
    if (!is_known) return status;
    *ret_found = status == GR_OK;
    if (status == GR_OK) *ret = e.row;
    return GR_OK;
}
