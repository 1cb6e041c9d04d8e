/* Cubes by API: nodes of type cube, each linked to the entities that it needs and to no others. */
#include "catalog/internal.h"

static bool is_cube(const gr_node_row *row) { return row->decl.type == GR_NODE_CUBE && !row->deactivated_us; }

/* The cube that is there, or node.not_found. */
static gr_status find_cube(gr_catalog_call *k, gr_str name, gr_node_row *ret) {
    bool is_found = false;
    GR_TRY(gr_catalog_node_find(k, name, (gr_str){0}, k->arena, ret, &is_found));
    return is_found && is_cube(ret) ? GR_OK : gr_catalog_node_missing(name, k->err);
}

static gr_status check_name(gr_catalog_call *k, const gr_cube_put *put) {
    gr_node_row old;
    bool is_found = false;
    if (!put->is_update) {
        GR_TRY(gr_catalog_node_find(k, put->node.name, (gr_str){0}, k->arena, &old, &is_found));
        bool may_take = !is_found || (old.deactivated_us && old.decl.type == GR_NODE_CUBE);
        if (may_take) return GR_OK;
        return gr_error_set(k->err, GR_ERR_NODE_EXISTS, "A node with name `" GR_FMT "` already exists.",
                            GR_ARG(put->node.name));
    }
    GR_TRY(find_cube(k, put->node.name, &old));
    if (!put->if_version.n || gr_str_eq(put->if_version, old.version)) return GR_OK;
    gr_error_set(k->err, GR_ERR_NODE_CHANGED, "the cube " GR_FMT " is at version " GR_FMT ", not at " GR_FMT,
                 GR_ARG(put->node.name), GR_ARG(old.version), GR_ARG(put->if_version));
    gr_error_hint(k->err, "read it again, and make the change to what is there now");
    return GR_ERR_NODE_CHANGED;
}

typedef struct put_result {
    gr_node_row node;
    gr_preagg_row *rows;
    bool *created;
    gr_catalog_held_list held;
} put_result;

static gr_status put_cube(gr_catalog_call *k, const gr_cube_put *put, gr_arena *arena, put_result *ret) {
    gr_catalog_node_at node;
    bool is_found = false;
    int64_t *ids = GR_NEW_N(k->arena, int64_t, put->n_entities + 1);
    GR_TRY(check_name(k, put));
    GR_TRY(gr_catalog_node_put(k, &put->node, &node));
    GR_TRY(gr_catalog_entities_add(k, put->entities, put->n_entities, ids, ret->created, &ret->held));
    GR_TRY(gr_catalog_links_set(k, node.id, put->node.name, ids, put->n_entities));
    GR_TRY(gr_catalog_node_find(k, node.name, node.version, arena, &ret->node, &is_found));
    return gr_catalog_entities_of(k, ids, put->n_entities, arena, ret->rows);
}

static gr_status check_put(const gr_cube_put *put, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_status status = gr_catalog_node_check(&put->node, scratch, err);
    gr_arena_free(scratch);
    GR_TRY(status);
    if (put->node.type != GR_NODE_CUBE) return gr_error_set(err, GR_ERR_INTERNAL, "a cube by API has another type");
    return gr_catalog_decls_check(put->entities, put->n_entities, NULL, err);
}

gr_status gr_catalog_cube_put(gr_catalog *c, const gr_cube_put *put, gr_actor actor, gr_arena *arena, gr_node_row *ret,
                              gr_preagg_row **ret_rows, bool *ret_created, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(check_put(put, err));
    put_result made = {.rows = GR_NEW_N(arena, gr_preagg_row, put->n_entities + 1),
                       .created = GR_NEW_N(arena, bool, put->n_entities + 1)};
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "cube_put";
    gr_status status = gr_catalog_call_commit(&k, put_cube(&k, put, arena, &made));
    if (!status) gr_catalog_memory_add(c, &made.held);
    gr_catalog_call_leave(&k);
    GR_TRY(status);
    *ret = made.node;
    if (ret_rows) *ret_rows = made.rows;
    if (ret_created && put->n_entities) memcpy(ret_created, made.created, put->n_entities * sizeof made.created[0]);
    return GR_OK;
}

static gr_status set_status(gr_catalog_call *k, gr_str name, gr_str status) {
    gr_node_row row;
    GR_TRY(find_cube(k, name, &row));
    return gr_catalog_node_set_status(k, &row, status);
}

gr_status gr_catalog_cube_status(gr_catalog *c, gr_str name, gr_str status, gr_actor actor, gr_error *err) {
    gr_catalog_call k;
    if (!gr_str_eq_z(status, "valid") && !gr_str_eq_z(status, "invalid"))
        return gr_error_set(err, GR_ERR_INTERNAL, "a cube was given a status that is none");
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    return gr_catalog_call_end(&k, set_status(&k, name, status));
}

static gr_status delete_cube(gr_catalog_call *k, gr_str name) {
    gr_node_row row;
    GR_TRY(find_cube(k, name, &row));
    GR_TRY(gr_catalog_links_set(k, row.id, name, NULL, 0));
    GR_TRY(RUN(k, NODE_DEACTIVATE, NULL, I64(row.id), I64(k->actor.now_us)));
    return gr_catalog_note(
        k, (gr_catalog_event){.entity_type = "node",
                              .activity = "delete",
                              .entity_name = name,
                              .node = name,
                              .pre = gr_catalog_object_write(k->arena, "version", row.version, NULL, (gr_str){0})});
}

gr_status gr_catalog_cube_delete(gr_catalog *c, gr_str name, gr_actor actor, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    return gr_catalog_call_end(&k, delete_cube(&k, name));
}
