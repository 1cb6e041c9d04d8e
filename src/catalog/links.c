/* Which cubes use which entities. Links of YAML nodes follow from the names that live servers declare; links of cubes
 * by API are set with the cube. */
#include "catalog/internal.h"

static gr_status note(gr_catalog_call *k, const char *activity, int64_t preagg_id, gr_str cube) {
    gr_str id = gr_catalog_id_text(preagg_id, k->arena);
    return gr_catalog_note(
        k, (gr_catalog_event){.entity_type = "link",
                              .activity = activity,
                              .entity_name = id,
                              .node = cube,
                              .details = gr_catalog_object_write(k->arena, "cube", cube, "pre_aggregation", id)});
}

static gr_status add_link(gr_catalog_call *k, int64_t cube_id, gr_str cube, int64_t preagg_id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, LINK_ADD, &t, I64(cube_id), I64(preagg_id)));
    return t.n_rows ? note(k, "link", preagg_id, cube) : GR_OK;
}

static gr_status remove_link(gr_catalog_call *k, int64_t cube_id, gr_str cube, int64_t preagg_id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, LINK_REMOVE, &t, I64(cube_id), I64(preagg_id)));
    return t.n_rows ? note(k, "unlink", preagg_id, cube) : GR_OK;
}

gr_status gr_catalog_links_sync(gr_catalog_call *k, bool is_more) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, LINK_MISSING, &t));
    for (size_t i = 0; i < t.n_rows; i++)
        GR_TRY(add_link(k, gr_catalog_i64(&t, i, 0), gr_catalog_text(&t, i, 2), gr_catalog_i64(&t, i, 1)));
    if (is_more) return GR_OK;
    GR_TRY(RUN(k, LINK_EXTRA, &t));
    for (size_t i = 0; i < t.n_rows; i++)
        GR_TRY(remove_link(k, gr_catalog_i64(&t, i, 0), gr_catalog_text(&t, i, 2), gr_catalog_i64(&t, i, 1)));
    return GR_OK;
}

gr_status gr_catalog_links_set(gr_catalog_call *k, int64_t cube_id, gr_str cube, const int64_t *ids, size_t n) {
    gr_catalog_table t = {0};
    for (size_t i = 0; i < n; i++) GR_TRY(add_link(k, cube_id, cube, ids[i]));
    GR_TRY(RUN(k, LINK_OF_CUBE, &t, I64(cube_id)));
    for (size_t i = 0; i < t.n_rows; i++) {
        bool is_wanted = false;
        for (size_t j = 0; j < n; j++) is_wanted |= ids[j] == gr_catalog_i64(&t, i, 0);
        if (!is_wanted) GR_TRY(remove_link(k, cube_id, cube, gr_catalog_i64(&t, i, 0)));
    }
    return GR_OK;
}

gr_status gr_catalog_links_move(gr_catalog_call *k, int64_t from_id, int64_t to_id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, LINK_OF_PREAGG, &t, I64(from_id)));
    for (size_t i = 0; i < t.n_rows; i++) {
        gr_str cube = gr_catalog_text(&t, i, 1);
        if (!gr_str_eq(gr_catalog_text(&t, i, 2), gr_node_type_name(GR_NODE_CUBE))) continue;
        GR_TRY(remove_link(k, gr_catalog_i64(&t, i, 0), cube, from_id));
        GR_TRY(add_link(k, gr_catalog_i64(&t, i, 0), cube, to_id));
    }
    return GR_OK;
}
