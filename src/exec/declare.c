/* From a base to the catalog: which entities its rollups are, in which zones, and as what they are declared. */
#include "exec/internal.h"

#include "base/buf.h"
#include "base/map.h"
#include "data/digest.h"
#include "data/json.h"

#include <stdlib.h>

/* ---- definitions by API --------------------------------------------------------------------------------------------
 */

void gr_exec_definitions_read(const gr_exec_rows *rows, gr_arena *arena, gr_exec_definitions *ret) {
    *ret = (gr_exec_definitions){0};
    gr_map seen;
    gr_map_init(&seen, arena);
    for (size_t i = rows->n; i > 0; i--) { /* of versions of one entity the newest has what the older ones had */
        const gr_preagg_row *row = &rows->v[i - 1];
        gr_exec_definition d;
        if (!row->decl.definition.n || !gr_exec_definition_read(row->decl.definition, arena, &d)) continue;
        d.was = row->decl.definition;
        if (gr_map_put(&seen, d.key, ret)) GR_PUSH(arena, ret, d);
    }
    for (size_t i = 0; i < ret->n / 2; i++) { /* in order of their ids (decisions 12) */
        gr_exec_definition d = ret->v[i];
        ret->v[i] = ret->v[ret->n - 1 - i];
        ret->v[ret->n - 1 - i] = d;
    }
}

/* ---- entries -------------------------------------------------------------------------------------------------------
 */

static void put(gr_buf *out, gr_str text) { gr_buf_printf(out, "%zu:" GR_FMT "\n", text.n, GR_ARG(text)); }

static gr_str fingerprint_of(const gr_rollup *r, const gr_tz *zone, int64_t now_us, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 16 << 20);
    put(&out, r->preagg->id);
    put(&out, gr_tz_name(zone));
    put(&out, r->grain_columns);
    put(&out, r->joins);
    put(&out, r->filters_text);
    put(&out, r->preagg->external);
    for (size_t i = 0; i < r->n_columns; i++) {
        const gr_rollup_column *c = &r->columns[i];
        put(&out, c->name);
        if (!c->granularity || c->granularity->grain != GR_GRAIN_CUSTOM) continue;
        /* without an origin its buckets are cut from the start of this year: another one in the next */
        const gr_tz *tz = c->is_instant ? gr_tz_utc() : zone;
        int64_t anchor = gr_granularity_anchor(c->granularity, tz, now_us);
        put(&out, gr_arena_printf(arena, "%lld", (long long)anchor));
    }
    for (size_t i = 0; i < r->n_components; i++) {
        put(&out, r->components[i].name);
        put(&out, r->components[i].component.stored_key);
    }
    gr_str hash = gr_digest_md5_hex(gr_buf_str(&out), arena);
    gr_buf_done(&out);
    return hash;
}

static gr_exec_identity copy_identity(const gr_exec_identity *from, gr_arena *arena) {
    gr_exec_identity id = *from;
    id.grain_hash = gr_arena_dup(arena, from->grain_hash);
    id.base_hash = gr_arena_dup(arena, from->base_hash);
    id.structure_hash = gr_arena_dup(arena, from->structure_hash);
    id.load = (gr_sql){.text = gr_arena_dup(arena, from->load.text)}; /* a build renders its own, with parameters */
    id.components = GR_NEW_N(arena, gr_component_decl, from->n_components + 1);
    for (size_t i = 0; i < from->n_components; i++) {
        const gr_component_decl *c = &from->components[i];
        id.components[i] = (gr_component_decl){gr_arena_dup(arena, c->name), gr_arena_dup(arena, c->signature),
                                               gr_arena_dup(arena, c->token), gr_arena_dup(arena, c->details)};
    }
    return id;
}

/* ---- a source that could not say what its columns are --------------------------------------------------------------
 */

static bool is_unknown(const gr_exec_base *base, const gr_rollup *r) {
    for (size_t f = 0; f < r->n_facts; f++)
        for (size_t i = 0; i < r->trees[f].n; i++)
            if (base->is_unknown[r->trees[f].nodes[i].cube->index]) return true;
    return false;
}

static gr_str content_of(const gr_exec_base *base, gr_str node) {
    for (size_t i = 0; i < base->n_nodes; i++)
        if (gr_str_eq(base->nodes[i].name, node)) return base->nodes[i].content_hash;
    return (gr_str){0};
}

static void take_hashes(const gr_preagg_row *row, gr_arena *arena, gr_exec_identity *id) {
    id->base_hash = gr_arena_dup(arena, row->decl.base_hash);
    bool is_whole = row->decl.n_components == id->n_components;
    for (size_t i = 0; i < id->n_components; i++) {
        bool is_there = false;
        for (size_t k = 0; k < row->decl.n_components && !is_there; k++) {
            const gr_component_decl *c = &row->decl.components[k];
            is_there = gr_str_eq(c->name, id->components[i].name) && gr_str_eq(c->token, id->components[i].token);
            if (is_there) id->components[i].signature = gr_arena_dup(arena, c->signature);
        }
        is_whole &= is_there;
    }
    if (is_whole) id->structure_hash = gr_arena_dup(arena, row->decl.structure_hash);
}

/* The text of a load depends on the types of the source. While that is away, what the catalog has of the same
 * definition is what it is: what was built goes on serving just then. */
static gr_status adopt(gr_exec *exec, gr_exec_base *base, gr_exec_entry *e, gr_error *err) {
    gr_str node = e->rollup->tree.nodes[0].cube->name, content = content_of(base, node);
    gr_arena *scratch = gr_arena_new();
    gr_preagg_filter filter = {.node = node};
    gr_preagg_row *rows;
    size_t n = 0;
    int64_t total;
    gr_node_row revision;
    bool is_found = false;
    gr_status status = gr_catalog_node_get(exec->catalog, node, (gr_str){0}, true, scratch, &revision, &is_found, err);
    if (!status && is_found) status = gr_catalog_find(exec->catalog, &filter, scratch, &rows, &n, &total, err);
    for (size_t i = n; !status && i > 0; i--) {
        if (!gr_str_eq(rows[i - 1].decl.grain_hash, e->identity.grain_hash)) continue;
        status =
            gr_catalog_node_get(exec->catalog, node, rows[i - 1].version, true, scratch, &revision, &is_found, err);
        if (status || !is_found || !gr_str_eq(revision.decl.content_hash, content)) continue;
        take_hashes(&rows[i - 1], base->arena, &e->identity);
        break;
    }
    gr_arena_free(scratch);
    return status;
}

static gr_status add_entry(gr_exec *exec, gr_exec_base *base, const gr_rollup *r, const gr_tz *zone,
                           const gr_map *known, gr_error *err) {
    gr_snapshot view = gr_exec_base_view(base);
    gr_exec_entry e = {.rollup = r, .zone = zone, .fingerprint = fingerprint_of(r, zone, view.now_us, base->arena)};
    const gr_exec_entry *old = known ? gr_map_get(known, e.fingerprint) : NULL;
    if (old)
        e.identity = copy_identity(&old->identity, base->arena);
    else
        GR_TRY(gr_exec_identify(exec, &view, r, zone, base->arena, &e.identity, err));
    if (!old && is_unknown(base, r)) GR_TRY(adopt(exec, base, &e, err));
    GR_PUSH(base->arena, &base->entries, e);
    return GR_OK;
}

static bool has_table(const gr_rollup *r) { return r->entity == r && r->can_build && gr_preagg_has_table(r->preagg); }

static const gr_tz *zone_named(gr_str name) {
    const gr_tz *zone;
    return !name.n || gr_tz_get(name, &zone, NULL) ? gr_tz_utc() : zone;
}

/* The zones other than UTC that entities of the catalog have, each once. */
static void find_zones(const gr_exec_rows *rows, gr_arena *arena, gr_map *by_hash, const gr_tz ***ret, size_t *ret_n) {
    GR_VEC(const gr_tz *) zones = {0};
    for (size_t i = 0; i < rows->n; i++) {
        const gr_preagg_decl *d = &rows->v[i].decl;
        const gr_tz *zone = zone_named(d->time_zone);
        if (gr_tz_is_utc(zone)) continue;
        gr_map_set(by_hash, gr_arena_printf(arena, GR_FMT " " GR_FMT, GR_ARG(d->node), GR_ARG(d->grain_hash)), by_hash);
        bool is_known = false;
        for (size_t k = 0; k < zones.n; k++) is_known |= zones.v[k] == zone;
        if (!is_known) GR_PUSH(arena, &zones, zone);
    }
    *ret = zones.v;
    *ret_n = zones.n;
}

typedef struct making {
    gr_exec *exec;
    gr_exec_base *base;
    gr_map known;   /* entries of the old base, by fingerprint */
    gr_map by_hash; /* entities of other zones than UTC */
    const gr_tz **zones;
    size_t n_zones;
} making;

static bool has_entry(const gr_exec_base *base, size_t from, const gr_rollup *r, const gr_tz *zone) {
    for (size_t i = from; i < base->entries.n; i++)
        if (base->entries.v[i].rollup == r && base->entries.v[i].zone == zone) return true;
    return false;
}

/* UTC for items of files, its own zone for each definition by API, and the zones that the catalog has entities for. */
static gr_status make_entries_of(making *m, const gr_rollup *r, gr_arena *scratch, gr_error *err) {
    const gr_preagg_list *users = &m->base->users[r->preagg->index];
    gr_str node = r->tree.nodes[0].cube->name;
    size_t from = m->base->entries.n;
    for (size_t i = 0; i < users->n; i++) {
        const gr_tz *zone = gr_rollup_zone(r, zone_named(users->v[i]->time_zone));
        if (!has_entry(m->base, from, r, zone)) GR_TRY(add_entry(m->exec, m->base, r, zone, &m->known, err));
    }
    for (size_t i = 0; r->depends_on_zone && i < m->n_zones; i++) {
        gr_str hash = gr_rollup_grain_hash(r, m->zones[i], scratch);
        gr_str key = gr_arena_printf(scratch, GR_FMT " " GR_FMT, GR_ARG(node), GR_ARG(hash));
        if (gr_map_get(&m->by_hash, key) && !has_entry(m->base, from, r, m->zones[i]))
            GR_TRY(add_entry(m->exec, m->base, r, m->zones[i], &m->known, err));
    }
    return GR_OK;
}

gr_status gr_exec_entries_make(gr_exec *exec, gr_exec_base *base, const gr_exec_base *old, const gr_exec_rows *rows,
                               gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    making m = {.exec = exec, .base = base};
    gr_map_init(&m.known, scratch);
    gr_map_init(&m.by_hash, scratch);
    bool is_same = old && gr_model_is_same_files(old->model, base->model);
    for (size_t i = 0; is_same && i < old->entries.n; i++)
        gr_map_put(&m.known, old->entries.v[i].fingerprint, &old->entries.v[i]);
    find_zones(rows, scratch, &m.by_hash, &m.zones, &m.n_zones);
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < base->model->n_preaggs; i++) {
        const gr_rollup *r = gr_plan_index_rollup(base->index, base->model->preaggs[i]);
        if (has_table(r)) status = make_entries_of(&m, r, scratch, err);
    }
    gr_arena_free(scratch);
    return status;
}

/* ---- declarations --------------------------------------------------------------------------------------------------
 */

/* A registered table: where it is, and which columns hold what. */
static gr_str external_of(const gr_exec_definition *d, gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 4 << 20);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "table", d->external);
    gr_jw_key(&w, GR_STR("bindings"));
    gr_jw_raw(&w, d->bindings.n ? d->bindings : GR_STR("{}"));
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

/* The columns of a registered table under its own names (dj.md 4.1). */
static gr_str with_sources(gr_str columns, gr_str bindings, gr_arena *arena) {
    json_t *list, *bound;
    size_t i;
    json_t *column;
    if (gr_json_parse(columns, 4 << 20, arena, &list, NULL) || gr_json_parse(bindings, 4 << 20, arena, &bound, NULL))
        return columns;
    json_array_foreach(list, i, column) {
        gr_str name = gr_json_str(json_object_get(column, "name"));
        json_t *source = json_object_getn(json_object_get(bound, "dimensions"), name.p, name.n);
        if (!source) source = json_object_getn(json_object_get(bound, "measures"), name.p, name.n);
        if (source) json_object_set(column, "source_column", source);
    }
    char *text = json_dumps(list, JSON_COMPACT);
    gr_str ret = text ? gr_arena_dup(arena, gr_str_from(text)) : columns;
    free(text);
    return ret;
}

gr_preagg_decl gr_exec_entry_decl(const gr_exec_base *base, const gr_exec_entry *e, gr_arena *arena) {
    gr_preagg_decl d = gr_exec_declaration(e->rollup, e->zone, &e->identity, arena);
    GR_VEC(gr_str) names = {0};
    gr_exec_definitions mine = {0};
    const gr_preagg_list *users = &base->users[e->rollup->preagg->index];
    for (size_t i = 0; i < users->n; i++) {
        const gr_preagg *p = users->v[i];
        if (!p->is_by_api) {
            GR_PUSH(arena, &names, p->id);
            continue;
        }
        if (gr_rollup_zone(e->rollup, zone_named(p->time_zone)) != e->zone) continue;
        gr_exec_definition definition = base->definitions.v[base->definition_of[p->index]];
        if (mine.n) definition.key = mine.v[0].key; /* another way to say the same: one entity keeps one text */
        gr_exec_definitions_merge(&mine, &definition, arena, NULL);
    }
    d.declared_by = names.v;
    d.n_declared_by = names.n;
    if (mine.n) {
        d.definition = mine.v[0].text;
        d.definition_was = mine.v[0].was;
        d.has_definition_was = !base->is_lenient;
    }
    if (mine.n && mine.v[0].external.n) {
        d.external = external_of(&mine.v[0], arena);
        d.columns = with_sources(d.columns, mine.v[0].bindings, arena);
    }
    return d;
}

gr_status gr_exec_declare_all(gr_exec *exec, gr_exec_base *base, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_preagg_decl *decls = GR_NEW_N(scratch, gr_preagg_decl, base->entries.n + 1);
    for (size_t i = 0; i < base->entries.n; i++) decls[i] = gr_exec_entry_decl(base, &base->entries.v[i], scratch);
    gr_model_decl all = {base->nodes, base->n_nodes, decls, base->entries.n};
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_node_row *nodes;
    gr_preagg_row *rows;
    gr_status status = gr_catalog_declare(exec->catalog, &all, actor, scratch, &nodes, &rows, err);
    for (size_t i = 0; !status && i < base->entries.n; i++) {
        base->entries.v[i].entity_id = rows[i].id;
        base->entries.v[i].version = gr_arena_dup(base->arena, rows[i].version);
    }
    if (!status) base->versions = GR_NEW_N(base->arena, gr_str, base->n_nodes + 1);
    for (size_t i = 0; !status && i < base->n_nodes; i++)
        base->versions[i] = gr_arena_dup(base->arena, nodes[i].version);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_exec_entry_for(gr_exec *exec, gr_exec_base *base, const gr_rollup *rollup, const gr_tz *zone,
                            gr_exec_entry *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    for (size_t i = 0; i < base->entries.n; i++)
        if (base->entries.v[i].rollup == r && base->entries.v[i].zone == zone) {
            *ret = base->entries.v[i];
            return GR_OK;
        }
    GR_TRY(add_entry(exec, base, r, zone, NULL, err));
    gr_exec_entry *e = &base->entries.v[base->entries.n - 1];
    gr_arena *scratch = gr_arena_new();
    gr_preagg_decl decl = gr_exec_entry_decl(base, e, scratch);
    gr_preagg_row *rows;
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_status status = gr_catalog_add(exec->catalog, &decl, 1, NULL, actor, scratch, &rows, NULL, err);
    if (status) {
        base->entries.n--;
    } else {
        e->entity_id = rows[0].id;
        e->version = gr_arena_dup(base->arena, rows[0].version);
        *ret = *e;
    }
    gr_arena_free(scratch);
    return status;
}
