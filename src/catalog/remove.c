/* Removing an entity: only when no cube uses it and nobody builds it. What was built is written down to be dropped. */
#include "catalog/internal.h"

static gr_status refuse_in_use(gr_catalog_call *k, const gr_preagg_row *row) {
    enum { MOST_TEXT = 700 }; /* of an error's message */
    gr_buf cubes;
    gr_str text;
    size_t i = 0;
    gr_buf_init(&cubes, CATALOG_MAX_JSON);
    for (; i < row->n_cubes && (!i || cubes.n + row->cubes[i].n < MOST_TEXT); i++)
        gr_buf_printf(&cubes, "%s" GR_FMT, i ? ", " : "", GR_ARG(row->cubes[i]));
    if (i < row->n_cubes) gr_buf_printf(&cubes, " and %zu more", row->n_cubes - i);
    if (!gr_buf_finish(&cubes, &text)) text = GR_STR("many");
    gr_error_set(k->err, GR_ERR_PREAGG_IN_USE, "pre-aggregation %lld is used by these cubes: " GR_FMT,
                 (long long)row->id, GR_ARG(text));
    gr_error_hint(k->err, "take it out of the cubes first, or delete them");
    gr_buf_done(&cubes);
    return GR_ERR_PREAGG_IN_USE;
}

/* Tables of builds that were dropped or failed are on the list already. */
static gr_status doom_tables(gr_catalog_call *k, int64_t id, gr_arena *arena, gr_catalog_doomed_list *ret) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, BUILD_TABLES_OF, &t, I64(id)));
    for (size_t i = 0; i < t.n_rows; i++) {
        GR_TRY(RUN(k, DOOMED_FORGET_BUILD, NULL, I64(gr_catalog_i64(&t, i, 0))));
        GR_TRY(gr_catalog_doom(k, 0, gr_catalog_text(&t, i, 1), arena, ret));
    }
    return GR_OK;
}

static gr_status remove_entity(gr_catalog_call *k, int64_t id, gr_arena *arena, gr_catalog_doomed_list *ret) {
    gr_catalog_entity e;
    bool is_alive = false;
    GR_TRY(gr_catalog_builds_recover(k, id, &is_alive));
    GR_TRY(gr_catalog_entity_find(k, id, FILL_CUBES, k->arena, &e));
    if (e.row.n_cubes) return refuse_in_use(k, &e.row);
    if (is_alive)
        return gr_error_set(k->err, GR_ERR_PREAGG_MATERIALIZING,
                            "pre-aggregation %lld is being built and cannot be removed", (long long)id);
    GR_TRY(doom_tables(k, id, arena, ret));
    GR_TRY(gr_catalog_partitions_drop(k, id, arena, ret));
    GR_TRY(RUN(k, BUILD_REMOVE_OF, NULL, I64(id)));
    GR_TRY(RUN(k, TERM_REMOVE, NULL, I64(id)));
    GR_TRY(RUN(k, HELD_REMOVE_PREAGG, NULL, I64(id)));
    /* With the version that is declared its definition goes: else an older one's would bring it back. */
    if (e.is_declared)
        GR_TRY(RUN(k, DEFINITION_SPREAD, NULL, I64(e.row.node_id), STR(e.row.decl.grain_hash), STR(GR_STR(""))));
    GR_TRY(RUN(k, PREAGG_REMOVE, NULL, I64(id)));
    gr_str status = gr_preagg_status_name(e.row.status);
    return gr_catalog_note(
        k, (gr_catalog_event){.entity_type = "pre_aggregation",
                              .activity = "delete",
                              .entity_name = gr_catalog_id_text(id, k->arena),
                              .node = e.row.decl.node,
                              .pre = gr_catalog_object_write(k->arena, "status", status, "version", e.row.version)});
}

gr_status gr_catalog_remove(gr_catalog *c, int64_t preagg_id, gr_actor actor, gr_arena *arena,
                            gr_doomed_table **ret_tables, size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    gr_catalog_doomed_list list = {0};
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "remove";
    GR_TRY(gr_catalog_call_end(&k, remove_entity(&k, preagg_id, arena, &list)));
    *ret_tables = list.v;
    *ret_n = list.n;
    return GR_OK;
}
