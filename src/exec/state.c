/* What the catalog's rows are worth: for each entry whether its table serves, what that holds, and what earlier
 * versions of it still have (decisions 17, 19).
 *
 *      row.serving.base_hash == entry's      its rows are what would be stored now
 *      … and a component's signature too     and so are its values; else the state lacks it
 *      row of another version                serves only who pins that version; what it holds goes by name and
 *                                            aggregation, and what became of its members is said (gr_member_change) */
#include "exec/internal.h"

#include "base/buf.h"
#include "base/map.h"
#include "data/json.h"

typedef struct assembly {
    gr_exec_snapshot *snapshot;
    gr_arena *scratch;
    const gr_preagg_row *rows;
    size_t n_rows;
    gr_partition_row *parts; /* of all entities, by entity */
    size_t n_parts;
    gr_map by_identity; /* "node grain_hash" -> list of rows that are no entry's own */
    gr_map changes;     /* "node version" -> what became of its members since */
} assembly;

static void note_failure(gr_exec *exec, gr_arena *arena, gr_str structure_hash, gr_rollup_state *state) {
    pthread_mutex_lock(&exec->mutex);
    for (gr_exec_failure *f = exec->failures; f; f = f->next) {
        if (!gr_str_eq_z(structure_hash, f->key)) continue;
        state->is_failed = true;
        state->retry_at_us = f->retry_at_us;
        state->failure = gr_arena_dup(arena, gr_str_from(f->message));
    }
    pthread_mutex_unlock(&exec->mutex);
}

static const gr_component_decl *component_named(const gr_build_row *build, gr_str name) {
    for (size_t i = 0; i < build->n_components; i++)
        if (gr_str_eq(build->components[i].name, name)) return &build->components[i];
    return NULL;
}

/* DJ's token is "<hash of the expression>:<AGGREGATION>". */
static gr_str aggregation_in(gr_str token) {
    size_t at = token.n;
    while (at && token.p[at - 1] != ':') at--;
    return gr_str_sub(token, at, token.n - at);
}

static bool is_held(const gr_component_decl *mine, const gr_component_decl *held, bool by_name) {
    if (!held) return false;
    if (!by_name) return gr_str_eq(held->signature, mine->signature);
    return held->token.n && gr_str_eq(aggregation_in(held->token), aggregation_in(mine->token));
}

/* NULL when nothing is missing. `by_name`: an earlier version, whose values are others and wanted. */
static const bool *lacks_of(const gr_exec_entry *e, const gr_build_row *build, bool by_name, gr_arena *arena) {
    bool *lacks = NULL;
    for (size_t i = 0; i < e->rollup->n_components; i++) {
        const gr_component_decl *mine = &e->identity.components[i];
        if (is_held(mine, component_named(build, mine->name), by_name)) continue;
        if (!lacks) lacks = GR_NEW_N(arena, bool, e->rollup->n_components + 1);
        lacks[i] = true;
    }
    return lacks;
}

static const gr_partition_row *parts_of(const assembly *a, int64_t entity_id, size_t *ret_n) {
    size_t lo = 0, hi = a->n_parts;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (a->parts[mid].preagg_id < entity_id)
            lo = mid + 1;
        else
            hi = mid;
    }
    size_t n = 0;
    while (lo + n < a->n_parts && a->parts[lo + n].preagg_id == entity_id) n++;
    *ret_n = n;
    return &a->parts[lo];
}

/* Without partitions it is one; what was found wrong does not serve. */
static bool is_quarantined(const gr_partition_row *parts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (parts[i].since && parts[i].quarantine.n) return true;
    return false;
}

static void take_build(const assembly *a, const gr_exec_entry *e, const gr_build_row *build, bool by_name,
                       gr_rollup_state *out) {
    gr_arena *arena = a->snapshot->arena;
    size_t n;
    const gr_partition_row *parts = parts_of(a, build->preagg_id, &n);
    out->is_built = true;
    out->table = gr_store_local(a->snapshot->exec->config, build->table_name);
    out->build_number = build->number;
    out->built_at_us = build->finished_us;
    out->rows = build->rows;
    out->lacks = lacks_of(e, build, by_name, arena);
    gr_exec_coverage_read(e->rollup, build->coverage, arena, out);
    if (e->rollup->partition != GR_GRAIN_NONE)
        gr_exec_parts_show(a->snapshot->exec, e->rollup, build, parts, n, arena, out);
    else if (is_quarantined(parts, n))
        out->is_built = false;
}

/* A table that somebody else made of the entity's SQL, later than any build of ours: its columns are called as ours. */
static bool take_availability(const gr_exec *exec, const gr_exec_entry *e, const gr_preagg_row *row, gr_arena *arena,
                              gr_rollup_state *out) {
    json_t *root;
    if (!row->availability.n || gr_json_parse(row->availability, 4 << 20, arena, &root, NULL)) return false;
    const json_t *table = json_object_get(root, "table_text"), *base = json_object_get(root, "base_hash"),
                 *held = json_object_get(root, "components");
    int64_t at_us = json_integer_value(json_object_get(root, "at_us"));
    if (!json_is_string(table) || !json_is_string(base) || !gr_str_eq(gr_json_str(base), e->identity.base_hash))
        return false;
    if (row->has_serving && row->serving.finished_us > at_us) return false;
    gr_build_row made = {.finished_us = at_us, .n_components = json_array_size(held)};
    made.components = GR_NEW_N(arena, gr_component_decl, made.n_components + 1);
    for (size_t i = 0; i < made.n_components; i++) {
        const json_t *c = json_array_get(held, i), *name = json_object_get(c, "name"),
                     *signature = json_object_get(c, "signature");
        if (!json_is_string(name) || !json_is_string(signature)) return false;
        made.components[i] = (gr_component_decl){.name = gr_json_str(name), .signature = gr_json_str(signature)};
    }
    out->lacks = lacks_of(e, &made, false, arena);
    out->table = gr_exec_foreign_table(exec, e, root, false, out->lacks, arena);
    out->is_built = out->is_foreign = out->table.n > 0;
    out->built_at_us = at_us;
    return out->is_built;
}

static void make_state(assembly *a, const gr_exec_entry *e, const gr_preagg_row *row, gr_rollup_state *out) {
    gr_exec_snapshot *s = a->snapshot;
    *out = (gr_rollup_state){.zone = e->zone,
                             .entity_id = e->entity_id,
                             .version = e->version,
                             .current_version = gr_exec_base_version(s->base, e->rollup->tree.nodes[0].cube->name)};
    if (row && row->decl.external.n) {
        json_t *root;
        bool is_readable = !gr_json_parse(row->decl.external, 4 << 20, s->arena, &root, NULL);
        if (is_readable)
            out->table = gr_exec_foreign_table(s->exec, e, json_object_get(root, "bindings"), true, NULL, s->arena);
        out->is_built = row->availability.n && out->table.n;
        out->is_foreign = true;
        out->built_at_us = row->materialized_us;
        return;
    }
    if (row && take_availability(s->exec, e, row, s->arena, out)) return;
    if (row && row->has_serving && gr_str_eq(row->serving.base_hash, e->identity.base_hash))
        take_build(a, e, &row->serving, false, out);
    if (!out->is_built || out->lacks || out->n_missing)
        note_failure(s->exec, s->arena, e->identity.structure_hash, out);
}

/* ---- earlier versions ----------------------------------------------------------------------------------------------
 */

typedef GR_VEC(const gr_preagg_row *) row_refs;

static gr_str identity_key(gr_str node, gr_str grain_hash, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT " " GR_FMT, GR_ARG(node), GR_ARG(grain_hash));
}

static void sort_out_rows(assembly *a, const gr_map *own) {
    gr_map_init(&a->by_identity, a->scratch);
    for (size_t i = 0; i < a->n_rows; i++) {
        const gr_preagg_row *row = &a->rows[i];
        gr_str id = gr_arena_printf(a->scratch, "%lld", (long long)row->id);
        if (!row->has_serving || gr_map_get(own, id)) continue;
        gr_str key = identity_key(row->decl.node, row->decl.grain_hash, a->scratch);
        row_refs *list = gr_map_get(&a->by_identity, key);
        if (!list) {
            list = GR_NEW(a->scratch, row_refs);
            gr_map_put(&a->by_identity, key, list);
        }
        GR_PUSH(a->scratch, list, row);
    }
}

static const gr_member_change *changes_since(assembly *a, const gr_cube *cube, gr_str version) {
    gr_exec_snapshot *s = a->snapshot;
    gr_str key = identity_key(cube->name, version, a->scratch);
    const gr_member_change *known = gr_map_get(&a->changes, key);
    if (known) return known;
    gr_node_row node = {0};
    bool is_found = false;
    gr_status status =
        gr_catalog_node_get(s->exec->catalog, cube->name, version, true, a->scratch, &node, &is_found, NULL);
    gr_str definition = !status && is_found ? node.decl.definition : (gr_str){0};
    gr_str now = {0};
    for (size_t i = 0; i < s->base->n_nodes; i++)
        if (gr_str_eq(s->base->nodes[i].name, cube->name)) now = s->base->nodes[i].definition;
    known = gr_exec_changes(s->base->model, cube, definition, now, s->arena);
    gr_map_put(&a->changes, key, (void *)(uintptr_t)known);
    return known;
}

static void add_old_states(assembly *a, const gr_exec_entry *e) {
    gr_exec_snapshot *s = a->snapshot;
    const gr_cube *cube = e->rollup->tree.nodes[0].cube;
    gr_str key = identity_key(cube->name, e->identity.grain_hash, a->scratch);
    const row_refs *list = gr_map_get(&a->by_identity, key);
    uint32_t at = e->rollup->preagg->index;
    if (!list) return;
    gr_rollup_state *states = GR_NEW_N(s->arena, gr_rollup_state, s->pub.n_old_states[at] + list->n);
    size_t n = s->pub.n_old_states[at];
    if (n) memcpy(states, s->pub.old_states[at], n * sizeof *states);
    for (size_t i = 0; i < list->n; i++) {
        const gr_preagg_row *row = list->v[i];
        gr_rollup_state *out = &states[n++];
        *out = (gr_rollup_state){.zone = e->zone, .entity_id = row->id, .version = row->version};
        out->changes = changes_since(a, cube, row->version);
        take_build(a, e, &row->serving, true, out);
    }
    s->pub.old_states[at] = states;
    s->pub.n_old_states[at] = n;
}

/* ---- all -----------------------------------------------------------------------------------------------------------
 */

static void add_state(assembly *a, const gr_exec_entry *e, const gr_preagg_row *row) {
    gr_exec_snapshot *s = a->snapshot;
    uint32_t at = e->rollup->preagg->index;
    size_t n = s->pub.n_states[at];
    gr_rollup_state *states = GR_NEW_N(s->arena, gr_rollup_state, n + 1);
    if (n) memcpy(states, s->pub.states[at], n * sizeof *states);
    make_state(a, e, row, &states[n]);
    s->pub.states[at] = states;
    s->pub.n_states[at] = n + 1;
}

gr_status gr_exec_states_make(gr_exec_snapshot *s, gr_error *err) {
    assembly a = {.snapshot = s, .scratch = gr_arena_new()};
    gr_map_init(&a.changes, a.scratch);
    gr_preagg_row *rows;
    gr_status status = gr_catalog_scan(s->exec->catalog, s->arena, &rows, &a.n_rows, err);
    if (!status) status = gr_catalog_partitions(s->exec->catalog, 0, s->arena, &a.parts, &a.n_parts, err);
    if (!status) {
        a.rows = rows;
        gr_map by_id;
        gr_map_init(&by_id, a.scratch);
        for (size_t i = 0; i < a.n_rows; i++)
            gr_map_put(&by_id, gr_arena_printf(a.scratch, "%lld", (long long)rows[i].id), &rows[i]);
        gr_map own;
        gr_map_init(&own, a.scratch);
        for (size_t i = 0; i < s->base->entries.n; i++) {
            gr_exec_entry *e = &s->base->entries.v[i];
            gr_str id = gr_arena_printf(a.scratch, "%lld", (long long)e->entity_id);
            gr_map_put(&own, id, e);
            add_state(&a, e, gr_map_get(&by_id, id));
        }
        sort_out_rows(&a, &own);
        for (size_t i = 0; i < s->base->entries.n; i++) add_old_states(&a, &s->base->entries.v[i]);
    }
    gr_arena_free(a.scratch);
    return status;
}
