/* Tables that are to be dropped: they are written down in the transaction that makes them useless, and forgotten when
 * somebody says that they are gone; so a crash between the two loses none. */
#include "catalog/internal.h"

gr_status gr_catalog_doom(gr_catalog_call *k, int64_t build_id, gr_str table_name, gr_arena *arena,
                          gr_catalog_doomed_list *ret) {
    gr_catalog_table t = {0};
    if (!table_name.n) return GR_OK;
    GR_TRY(RUN(k, DOOMED_ADD, &t, STR(table_name), TIME(build_id)));
    if (ret) {
        gr_doomed_table doomed = {gr_catalog_i64(&t, 0, 0), gr_arena_dup(arena, table_name)};
        GR_PUSH(arena, ret, doomed);
    }
    return GR_OK;
}

gr_status gr_catalog_doomed(gr_catalog *c, gr_arena *arena, gr_doomed_table **ret, size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    gr_catalog_table t = {0};
    gr_catalog_doomed_list list = {0};
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    gr_status status = RUN(&k, DOOMED_ALL, &t);
    for (size_t i = 0; !status && i < t.n_rows; i++) {
        gr_doomed_table doomed = {gr_catalog_i64(&t, i, 0), gr_arena_dup(arena, gr_catalog_text(&t, i, 1))};
        GR_PUSH(arena, &list, doomed);
    }
    GR_TRY(gr_catalog_call_end(&k, status));
    *ret = list.v;
    *ret_n = list.n;
    return GR_OK;
}

gr_status gr_catalog_table_names(gr_catalog *c, gr_arena *arena, gr_str **ret, size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    gr_catalog_table t = {0};
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    gr_status status = RUN(&k, TABLE_NAMES, &t);
    gr_str *names = GR_NEW_N(arena, gr_str, t.n_rows + 1);
    for (size_t i = 0; !status && i < t.n_rows; i++) names[i] = gr_arena_dup(arena, gr_catalog_text(&t, i, 0));
    GR_TRY(gr_catalog_call_end(&k, status));
    *ret = names;
    *ret_n = t.n_rows;
    return GR_OK;
}

static gr_status forget(gr_catalog_call *k, int64_t id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, DOOMED_TAKE, &t, I64(id)));
    if (!t.n_rows || gr_catalog_cell_at(&t, 0, 0)->is_null) return GR_OK;
    return RUN(k, BUILD_TABLE, NULL, I64(gr_catalog_i64(&t, 0, 0)), STR(GR_STR("")));
}

/* A name that is used again is not to be dropped. */
gr_status gr_catalog_doomed_spare(gr_catalog_call *k, gr_str table_name) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, DOOMED_OF_NAME, &t, STR(table_name)));
    for (size_t i = 0; i < t.n_rows; i++) GR_TRY(forget(k, gr_catalog_i64(&t, i, 0)));
    return GR_OK;
}

gr_status gr_catalog_doomed_done(gr_catalog *c, int64_t id, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    k.fault = "doomed_done";
    return gr_catalog_call_end(&k, forget(&k, id));
}
