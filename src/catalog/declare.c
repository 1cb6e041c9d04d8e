/* Declaring: the whole model of a server, and more entities of nodes that it has declared.
 *
 *     nodes ──> their versions      entities ──> their rows (entity.c)      what this handle holds ──> server_declares
 *     and then: what nobody holds becomes stale, links of YAML nodes follow the names (servers.c)
 *
 * What is held is remembered in the handle too, once it is committed: a handle that lost its connection says it again.
 */
#include "catalog/internal.h"

static gr_status check_model(const gr_model_decl *m, gr_arena *arena, gr_error *err) {
    gr_map names;
    gr_map_init(&names, arena);
    for (size_t i = 0; i < m->n_nodes; i++) {
        GR_TRY(gr_catalog_node_check(&m->nodes[i], arena, err));
        if (m->nodes[i].type == GR_NODE_CUBE)
            return gr_error_set(err, GR_ERR_INTERNAL, "a model declared a cube by API, " GR_FMT,
                                GR_ARG(m->nodes[i].name));
        if (!gr_map_put(&names, m->nodes[i].name, &names))
            return gr_error_set(err, GR_ERR_INTERNAL, "a model declared the node " GR_FMT " twice",
                                GR_ARG(m->nodes[i].name));
    }
    for (size_t i = 0; i < m->n_entities; i++) GR_TRY(gr_catalog_decl_check(&m->entities[i], arena, err));
    return GR_OK;
}

/* Holds every name of a declaration, or the entity alone when it has none. */
static void hold(gr_arena *arena, gr_catalog_held_list *held, int64_t id, const gr_preagg_decl *d) {
    for (size_t i = 0; i < d->n_declared_by; i++) {
        gr_catalog_held h = {id, d->declared_by[i]};
        GR_PUSH(arena, held, h);
    }
    if (d->n_declared_by) return;
    gr_catalog_held h = {.preagg_id = id};
    GR_PUSH(arena, held, h);
}

static gr_status put_node(gr_catalog_call *k, const gr_node_decl *d, gr_map *nodes) {
    gr_node_row old;
    bool is_found = false;
    GR_TRY(gr_catalog_node_find(k, d->name, (gr_str){0}, k->arena, &old, &is_found));
    if (is_found && old.decl.type == GR_NODE_CUBE && !old.deactivated_us) {
        gr_error_set(k->err, GR_ERR_NODE_EXISTS, "the model has a cube " GR_FMT ", and a cube by API has this name",
                     GR_ARG(d->name));
        gr_error_hint(k->err, "delete the cube that was made by API, or give one of the two another name");
        return GR_ERR_NODE_EXISTS;
    }
    gr_catalog_node_at *node = GR_NEW(k->arena, gr_catalog_node_at);
    GR_TRY(gr_catalog_node_put(k, d, node));
    gr_map_set(nodes, d->name, node);
    return GR_OK;
}

static gr_status put_entity(gr_catalog_call *k, const gr_map *nodes, const gr_preagg_decl *d, int64_t *ret_id,
                            bool *ret_created, gr_catalog_held_list *held) {
    const gr_catalog_node_at *node = gr_map_get(nodes, d->node);
    if (!node) return gr_catalog_node_missing(d->node, k->err);
    GR_TRY(gr_catalog_entity_put(k, node, d, ret_id, ret_created));
    hold(k->arena, held, *ret_id, d);
    return GR_OK;
}

/* ---- what the handle remembers -------------------------------------------------------------------------------------
 */
static void remember_held(gr_catalog_memory *m, const gr_catalog_held_list *held) {
    for (size_t i = 0; i < held->n; i++) {
        bool is_known = false;
        for (size_t j = 0; j < m->held.n && !is_known; j++)
            is_known = m->held.v[j].preagg_id == held->v[i].preagg_id && gr_str_eq(m->held.v[j].name, held->v[i].name);
        if (is_known) continue;
        gr_catalog_held h = {held->v[i].preagg_id, gr_arena_dup(m->arena, held->v[i].name)};
        GR_PUSH(m->arena, &m->held, h);
    }
}

void gr_catalog_memory_add(gr_catalog *c, const gr_catalog_held_list *held) { remember_held(&c->memory, held); }

static gr_catalog_memory memory_new(const gr_map *nodes, const gr_catalog_held_list *held) {
    gr_catalog_memory m = {.arena = gr_arena_new()};
    gr_map_init(&m.nodes, m.arena);
    for (size_t i = 0; i < nodes->n; i++) {
        const gr_catalog_node_at *from = nodes->entries[i].value;
        gr_catalog_node_at *to = GR_NEW(m.arena, gr_catalog_node_at);
        *to = (gr_catalog_node_at){from->id, from->revision_id, gr_arena_dup(m.arena, from->name),
                                   gr_arena_dup(m.arena, from->version)};
        gr_map_set(&m.nodes, to->name, to);
    }
    for (size_t i = 0; i < held->n; i++) {
        gr_catalog_held h = {held->v[i].preagg_id, gr_arena_dup(m.arena, held->v[i].name)};
        GR_PUSH(m.arena, &m.held, h);
    }
    return m;
}

/* ---- declare -------------------------------------------------------------------------------------------------------
 */
typedef struct declared {
    gr_node_row *nodes;
    gr_preagg_row *rows;
    gr_catalog_memory memory;
} declared;

static gr_status read_nodes(gr_catalog_call *k, const gr_model_decl *m, const gr_map *nodes, gr_arena *arena,
                            gr_node_row *ret) {
    for (size_t i = 0; i < m->n_nodes; i++) {
        const gr_catalog_node_at *at = gr_map_get(nodes, m->nodes[i].name);
        bool is_found = false;
        GR_TRY(gr_catalog_node_find(k, at->name, at->version, arena, &ret[i], &is_found));
    }
    return GR_OK;
}

static gr_status declare(gr_catalog_call *k, const gr_model_decl *m, gr_arena *arena, declared *ret) {
    bool is_gone, has_others, is_created;
    gr_map nodes;
    gr_catalog_held_list held = {0};
    int64_t *ids = GR_NEW_N(k->arena, int64_t, m->n_entities + 1);
    gr_map_init(&nodes, k->arena);
    GR_TRY(gr_catalog_servers_sweep(k, &is_gone, &has_others));
    for (size_t i = 0; i < m->n_nodes; i++) GR_TRY(put_node(k, &m->nodes[i], &nodes));
    for (size_t i = 0; i < m->n_entities; i++)
        GR_TRY(put_entity(k, &nodes, &m->entities[i], &ids[i], &is_created, &held));
    GR_TRY(gr_catalog_held_put(k, &held, false));
    GR_TRY(gr_catalog_settle(k));
    ret->nodes = GR_NEW_N(arena, gr_node_row, m->n_nodes + 1);
    ret->rows = GR_NEW_N(arena, gr_preagg_row, m->n_entities + 1);
    GR_TRY(read_nodes(k, m, &nodes, arena, ret->nodes));
    GR_TRY(gr_catalog_entities_of(k, ids, m->n_entities, arena, ret->rows));
    ret->memory = memory_new(&nodes, &held);
    return GR_OK;
}

gr_status gr_catalog_declare(gr_catalog *c, const gr_model_decl *model, gr_actor actor, gr_arena *arena,
                             gr_node_row **ret_nodes, gr_preagg_row **ret_rows, gr_error *err) {
    gr_catalog_call k;
    declared made = {0};
    gr_arena *scratch = gr_arena_new();
    gr_status status = check_model(model, scratch, err);
    gr_arena_free(scratch);
    GR_TRY(status);
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "declare";
    gr_catalog_memory *memory = &c->memory;
    status = declare(&k, model, arena, &made);
    /* Under the lock still: the handle remembers exactly what was committed. */
    status = gr_catalog_call_commit(&k, status);
    if (!status) {
        gr_arena_free(memory->arena);
        *memory = made.memory;
    } else {
        gr_arena_free(made.memory.arena);
    }
    gr_catalog_call_leave(&k);
    GR_TRY(status);
    if (ret_nodes) *ret_nodes = made.nodes;
    if (ret_rows) *ret_rows = made.rows;
    return GR_OK;
}

/* ---- add -----------------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_entities_add(gr_catalog_call *k, const gr_preagg_decl *decls, size_t n, int64_t *ret_ids,
                                  bool *ret_created, gr_catalog_held_list *held) {
    for (size_t i = 0; i < n; i++)
        GR_TRY(put_entity(k, &k->c->memory.nodes, &decls[i], &ret_ids[i], &ret_created[i], held));
    GR_TRY(gr_catalog_held_put(k, held, true));
    return gr_catalog_links_sync(k, true);
}

static gr_status add(gr_catalog_call *k, const gr_preagg_decl *decls, size_t n, const gr_preagg_config *config,
                     gr_arena *arena, gr_preagg_row *rows, bool *created, gr_catalog_held_list *held) {
    int64_t *ids = GR_NEW_N(k->arena, int64_t, n + 1);
    GR_TRY(gr_catalog_entities_add(k, decls, n, ids, created, held));
    for (size_t i = 0; i < n && config; i++) GR_TRY(gr_catalog_entity_configure(k, ids[i], config));
    return gr_catalog_entities_of(k, ids, n, arena, rows);
}

gr_status gr_catalog_decls_check(const gr_preagg_decl *decls, size_t n, const gr_preagg_config *config, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_status status = config ? gr_catalog_config_check(config, err) : GR_OK;
    for (size_t i = 0; !status && i < n; i++) status = gr_catalog_decl_check(&decls[i], scratch, err);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_catalog_add(gr_catalog *c, const gr_preagg_decl *decls, size_t n, const gr_preagg_config *config,
                         gr_actor actor, gr_arena *arena, gr_preagg_row **ret_rows, bool *ret_created, gr_error *err) {
    gr_catalog_call k;
    gr_catalog_held_list held = {0};
    GR_TRY(gr_catalog_decls_check(decls, n, config, err));
    gr_preagg_row *rows = GR_NEW_N(arena, gr_preagg_row, n + 1);
    bool *created = GR_NEW_N(arena, bool, n + 1);
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "add";
    gr_status status = gr_catalog_call_commit(&k, add(&k, decls, n, config, arena, rows, created, &held));
    if (!status) gr_catalog_memory_add(c, &held);
    gr_catalog_call_leave(&k);
    GR_TRY(status);
    if (ret_rows) *ret_rows = rows;
    if (ret_created && n) memcpy(ret_created, created, n * sizeof created[0]);
    return GR_OK;
}
