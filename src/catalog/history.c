/* History: what happened to nodes, entities, builds and links, newest first when it is read. Whatever a snapshot shows
 * writes it, so that writing it is also what tells the other servers of the catalog. */
#include "catalog/internal.h"

static gr_str or_empty(gr_str json) { return json.n ? json : GR_STR("{}"); }

gr_status gr_catalog_note(gr_catalog_call *k, gr_catalog_event e) {
    k->is_change = true;
    gr_str user = k->actor.user.n ? k->actor.user : GR_STR("granary");
    return RUN(k, HISTORY_ADD, NULL, I64(k->actor.now_us), STR(gr_str_from(e.entity_type)), STR(e.entity_name),
               STR(e.node), STR(gr_str_from(e.activity)), STR(user), STR(or_empty(e.pre)), STR(or_empty(e.post)),
               STR(or_empty(e.details)));
}

static gr_status read_rows(gr_catalog_call *k, const gr_history_filter *f, gr_arena *arena, gr_history_row **ret,
                           size_t *ret_n) {
    enum { DEFAULT_LIMIT = 100 };
    gr_buf sql;
    gr_buf_init(&sql, CATALOG_MAX_JSON);
    gr_catalog_where w = {.sql = &sql, .arena = k->arena};
    gr_buf_z(&sql, "SELECT id, created_at, entity_type, entity_name, node, activity_type, user_name, pre, post, details"
                   " FROM history");
    if (f->entity_type.n) gr_catalog_where_add(&w, "entity_type = ?", &STR(f->entity_type), 1);
    if (f->entity_name.n) gr_catalog_where_add(&w, "entity_name = ?", &STR(f->entity_name), 1);
    if (f->node.n) gr_catalog_where_add(&w, "node = ?", &STR(f->node), 1);
    gr_buf_z(&sql, " ORDER BY id DESC LIMIT ");
    gr_catalog_where_param(&w, I64(f->limit > 0 ? f->limit : DEFAULT_LIMIT));
    gr_buf_z(&sql, " OFFSET ");
    gr_catalog_where_param(&w, I64(f->offset > 0 ? f->offset : 0));
    gr_catalog_table t = {0};
    gr_status status = gr_catalog_where_run(k, &w, &t);
    gr_buf_done(&sql);
    if (status) return status;
    gr_history_row *rows = GR_NEW_N(arena, gr_history_row, t.n_rows + 1);
    for (size_t i = 0; i < t.n_rows; i++) {
        gr_history_row *r = &rows[i];
        gr_str *const texts[] = {&r->entity_type, &r->entity_name, &r->node, &r->activity,
                                 &r->user,        &r->pre,         &r->post, &r->details};
        r->id = gr_catalog_i64(&t, i, 0);
        r->at_us = gr_catalog_i64(&t, i, 1);
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
            *texts[j] = gr_arena_dup(arena, gr_catalog_text(&t, i, j + 2));
    }
    *ret = rows;
    *ret_n = t.n_rows;
    return GR_OK;
}

gr_status gr_catalog_history(gr_catalog *c, const gr_history_filter *filter, gr_arena *arena, gr_history_row **ret,
                             size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    gr_history_row *rows = NULL;
    size_t n = 0;
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, read_rows(&k, filter, arena, &rows, &n)));
    *ret = rows;
    *ret_n = n;
    return GR_OK;
}
