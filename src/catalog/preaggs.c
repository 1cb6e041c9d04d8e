/* Rows of entities: reading them, and the steps of their life.
 *
 *     pending, failed, active, stale --begin--> materializing --done--> active, pending or stale
 *                                               materializing --fail--> failed
 *     active --widened--> pending;  pending, failed, stale --covered again--> active;  stale --declared again-->
 * pending pending, failed, active --changed in substance, or declared by nobody--> stale active, failed --builds
 * dropped--> pending
 *
 * Invariant: whatever a status says, what readers use is the newest done build, which has its own list of components.
 * A page of rows is read with a few statements over all of its ids, never with one per row. */
#include "catalog/internal.h"

#include "data/json.h"

#include <stdlib.h>

enum { N_STATUSES = GR_PREAGG_STALE + 1 };

static const char *const status_names[N_STATUSES] = {
    [GR_PREAGG_PENDING] = "pending", [GR_PREAGG_MATERIALIZING] = "materializing",
    [GR_PREAGG_ACTIVE] = "active",   [GR_PREAGG_FAILED] = "failed",
    [GR_PREAGG_STALE] = "stale",
};

/* By where it comes from: the set of statuses that may follow. To stay what it is, is no step. */
#define TO(name) (1u << GR_PREAGG_##name)
static const unsigned may_become[N_STATUSES] = {
    [GR_PREAGG_PENDING] = TO(MATERIALIZING) | TO(ACTIVE) | TO(STALE),
    [GR_PREAGG_MATERIALIZING] = TO(ACTIVE) | TO(FAILED) | TO(STALE) | TO(PENDING),
    [GR_PREAGG_ACTIVE] = TO(MATERIALIZING) | TO(STALE) | TO(PENDING),
    [GR_PREAGG_FAILED] = TO(MATERIALIZING) | TO(PENDING) | TO(ACTIVE) | TO(STALE),
    [GR_PREAGG_STALE] = TO(MATERIALIZING) | TO(ACTIVE) | TO(PENDING),
};

gr_str gr_preagg_status_name(gr_preagg_status status) {
    return gr_str_from((unsigned)status < N_STATUSES ? status_names[status] : "unknown");
}

bool gr_preagg_status_from_name(gr_str name, gr_preagg_status *ret) {
    for (int i = 0; i < N_STATUSES; i++) {
        if (!gr_str_eq_z(name, status_names[i])) continue;
        *ret = (gr_preagg_status)i;
        return true;
    }
    return false;
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */
static gr_node_type node_type_of(gr_str name) {
    for (int i = 0; i <= GR_NODE_CUBE; i++)
        if (gr_str_eq(name, gr_node_type_name((gr_node_type)i))) return (gr_node_type)i;
    return GR_NODE_SOURCE;
}

/* Columns as in GR_CATALOG_PREAGG_COLUMNS. */
static gr_status read_row(gr_catalog_call *k, const gr_catalog_table *t, size_t i, gr_arena *arena,
                          gr_catalog_entity *ret) {
    enum { TYPE = 4, CURRENT_VERSION = 5, VERSION = 6, STATUS = 7, COMPONENTS = 11, CREATED = 30 };
    gr_preagg_row row = {.id = gr_catalog_i64(t, i, 0),
                         .node_id = gr_catalog_i64(t, i, 1),
                         .node_revision_id = gr_catalog_i64(t, i, 2),
                         .node_type = node_type_of(gr_catalog_text(t, i, TYPE)),
                         .status = GR_PREAGG_FAILED};
    gr_preagg_decl *d = &row.decl;
    const struct {
        gr_str *text;
        size_t column;
    } texts[] = {
        {&d->node, 3},
        {&row.version, VERSION},
        {&d->grain_hash, 8},
        {&d->grain_columns, 9},
        {&d->filters, 10},
        {&d->base_hash, 12},
        {&d->structure_hash, 13},
        {&d->time_zone, 14},
        {&d->store, 15},
        {&d->sql, 16},
        {&d->columns, 17},
        {&d->definition, 18},
        {&d->name, 19},
        {&d->external, 20},
        {&row.table_hash, 21},
        {&row.grain_group_hash, 22},
        {&row.preagg_hash, 23},
        {&row.error, 24},
        {&row.strategy, 25},
        {&row.schedule, 26},
        {&row.lookback_window, 27},
        {&row.workflow_status, 28},
        {&row.availability, 29},
    };
    for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
        *texts[j].text = gr_arena_dup(arena, gr_catalog_text(t, i, texts[j].column));
    int64_t *const numbers[] = {&row.created_us, &row.updated_us, &row.materialized_us, &row.hits, &row.served_us};
    for (size_t j = 0; j < sizeof numbers / sizeof numbers[0]; j++) *numbers[j] = gr_catalog_i64(t, i, CREATED + j);
    GR_TRY(
        gr_catalog_components_read(gr_catalog_text(t, i, COMPONENTS), arena, &d->components, &d->n_components, k->err));
    gr_preagg_status_from_name(gr_catalog_text(t, i, STATUS), &row.status); /* the table's CHECK lets no other in */
    row.is_current = row.status != GR_PREAGG_STALE && gr_str_eq(row.version, gr_catalog_text(t, i, CURRENT_VERSION));
    *ret = (gr_catalog_entity){row, gr_catalog_i64(t, i, CREATED + 5) != 0};
    return GR_OK;
}

typedef gr_status (*take_row)(gr_catalog_call *k, const gr_catalog_table *t, size_t i, gr_arena *arena,
                              gr_catalog_entity *entity);

static gr_status take_serving(gr_catalog_call *k, const gr_catalog_table *t, size_t i, gr_arena *arena,
                              gr_catalog_entity *entity) {
    entity->row.has_serving = true; /* the newest comes last */
    return gr_catalog_build_read(t, i, arena, &entity->row.serving, k->err);
}

/* Once each; the lists are short. */
static void append(gr_str **list, size_t *n, gr_str text, gr_arena *arena) {
    for (size_t i = 0; i < *n; i++)
        if (gr_str_eq((*list)[i], text)) return;
    gr_str *grown = GR_NEW_N(arena, gr_str, *n + 1);
    if (*n) memcpy(grown, *list, *n * sizeof text);
    grown[*n] = gr_arena_dup(arena, text);
    *list = grown;
    *n += 1;
}

static gr_status take_name(gr_catalog_call *k, const gr_catalog_table *t, size_t i, gr_arena *arena,
                           gr_catalog_entity *entity) {
    (void)k;
    gr_preagg_decl *d = &entity->row.decl;
    gr_str name = gr_catalog_text(t, i, 1);
    if (name.n) append(&d->declared_by, &d->n_declared_by, name, arena);
    return GR_OK;
}

static gr_status take_cube(gr_catalog_call *k, const gr_catalog_table *t, size_t i, gr_arena *arena,
                           gr_catalog_entity *entity) {
    (void)k;
    append(&entity->row.cubes, &entity->row.n_cubes, gr_catalog_text(t, i, 1), arena);
    return GR_OK;
}

/* What belongs to entities in other tables: by a list of ids, or by a range of them when they are many. The first
 * column but one of a build, and the first of the others, is the entity's id. */
static const struct {
    unsigned bit;
    gr_catalog_stmt in, between;
    size_t id_column;
    take_row take;
} fills[] = {
    {FILL_SERVING, ST_BUILD_SERVING_IN, ST_BUILD_SERVING_BETWEEN, 1, take_serving},
    {FILL_NAMES, ST_HELD_IN, ST_HELD_BETWEEN, 0, take_name},
    {FILL_CUBES, ST_LINK_IN, ST_LINK_BETWEEN, 0, take_cube},
};

/* One id is a range too; of many, the range has few others between. */
static bool is_range_better(size_t n) { return n == 1 || n > (size_t)4 * CATALOG_IDS_AT_ONCE; }

static gr_status run_in(gr_catalog_call *k, gr_catalog_stmt id, const gr_catalog_entity *entities, size_t n,
                        gr_catalog_table *ret) {
    gr_catalog_param ids[CATALOG_IDS_AT_ONCE];
    for (size_t i = 0; i < CATALOG_IDS_AT_ONCE; i++) ids[i] = I64(i < n ? entities[i].row.id : 0);
    return gr_catalog_run(k, id, ids, CATALOG_IDS_AT_ONCE, ret);
}

/* Both are ordered by id: they are walked side by side. */
static gr_status fill_from(gr_catalog_call *k, const gr_catalog_table *t, size_t id_column, take_row take,
                           gr_arena *arena, gr_catalog_entity *entities, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < t->n_rows && at < n; i++) {
        int64_t id = gr_catalog_i64(t, i, id_column);
        while (at < n && entities[at].row.id < id) at++;
        if (at < n && entities[at].row.id == id) GR_TRY(take(k, t, i, arena, &entities[at]));
    }
    return GR_OK;
}

gr_status gr_catalog_fill(gr_catalog_call *k, unsigned bits, gr_arena *arena, gr_catalog_entity *entities, size_t n) {
    for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++) {
        if (!(bits & fills[f].bit) || !n) continue;
        bool is_range = is_range_better(n);
        for (size_t from = 0; from < n; from += is_range ? n : CATALOG_IDS_AT_ONCE) {
            size_t count = is_range || n - from < CATALOG_IDS_AT_ONCE ? n - from : CATALOG_IDS_AT_ONCE;
            const gr_catalog_param range[] = {I64(entities[from].row.id), I64(entities[n - 1].row.id)};
            gr_catalog_table t = {0};
            GR_TRY(is_range ? gr_catalog_run(k, fills[f].between, range, 2, &t)
                            : run_in(k, fills[f].in, entities + from, count, &t));
            GR_TRY(fill_from(k, &t, fills[f].id_column, fills[f].take, arena, entities + from, count));
        }
    }
    for (size_t i = 0; i < n; i++) {
        gr_catalog_sort(entities[i].row.decl.declared_by, entities[i].row.decl.n_declared_by);
        gr_catalog_sort(entities[i].row.cubes, entities[i].row.n_cubes);
    }
    return GR_OK;
}

gr_status gr_catalog_entities_read(gr_catalog_call *k, const gr_catalog_table *t, unsigned bits, gr_arena *arena,
                                   gr_catalog_entity_list *ret) {
    ret->v = GR_NEW_N(arena, gr_catalog_entity, t->n_rows + 1);
    ret->n = t->n_rows;
    ret->cap = t->n_rows + 1;
    for (size_t i = 0; i < t->n_rows; i++) GR_TRY(read_row(k, t, i, arena, &ret->v[i]));
    return gr_catalog_fill(k, bits, arena, ret->v, ret->n);
}

gr_status gr_catalog_entity_find(gr_catalog_call *k, int64_t id, unsigned bits, gr_arena *arena,
                                 gr_catalog_entity *ret) {
    gr_catalog_table t = {0};
    gr_catalog_entity_list list = {0};
    GR_TRY(RUN(k, PREAGG_BY_ID, &t, I64(id)));
    if (!t.n_rows)
        return gr_error_set(k->err, GR_ERR_PREAGG_NOT_FOUND, "there is no pre-aggregation with id %lld", (long long)id);
    GR_TRY(gr_catalog_entities_read(k, &t, bits, arena, &list));
    *ret = list.v[0];
    return GR_OK;
}

static int compare_ids(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_entity(const void *id, const void *entity) {
    return compare_ids(id, &((const gr_catalog_entity *)entity)->row.id);
}

static gr_status read_sorted(gr_catalog_call *k, const int64_t *ids, size_t n, gr_arena *arena,
                             gr_catalog_entity_list *ret) {
    gr_catalog_table t = {0};
    GR_VEC(gr_catalog_entity) all = {0};
    bool is_range = is_range_better(n);
    for (size_t from = 0; from < n; from += is_range ? n : CATALOG_IDS_AT_ONCE) {
        gr_catalog_param params[CATALOG_IDS_AT_ONCE] = {I64(ids[0]), I64(ids[n - 1])};
        for (size_t i = 0; !is_range && i < CATALOG_IDS_AT_ONCE; i++) params[i] = I64(from + i < n ? ids[from + i] : 0);
        GR_TRY(gr_catalog_run(k, is_range ? ST_PREAGG_BETWEEN : ST_PREAGG_IN, params,
                              is_range ? 2 : CATALOG_IDS_AT_ONCE, &t));
        gr_catalog_entity_list some = {0};
        GR_TRY(gr_catalog_entities_read(k, &t, 0, arena, &some));
        for (size_t i = 0; i < some.n; i++) GR_PUSH(k->arena, &all, some.v[i]);
    }
    *ret = (gr_catalog_entity_list){all.v, all.n, all.cap};
    return gr_catalog_fill(k, FILL_ALL, arena, all.v, all.n);
}

gr_status gr_catalog_entities_of(gr_catalog_call *k, const int64_t *ids, size_t n, gr_arena *arena,
                                 gr_preagg_row *ret) {
    if (!n) return GR_OK;
    int64_t *sorted = GR_NEW_N(k->arena, int64_t, n);
    gr_catalog_entity_list list = {0};
    memcpy(sorted, ids, n * sizeof ids[0]);
    qsort(sorted, n, sizeof sorted[0], compare_ids);
    size_t n_sorted = 0;
    for (size_t i = 0; i < n; i++)
        if (!n_sorted || sorted[n_sorted - 1] != sorted[i]) sorted[n_sorted++] = sorted[i];
    GR_TRY(read_sorted(k, sorted, n_sorted, arena, &list));
    for (size_t i = 0; i < n; i++) {
        const gr_catalog_entity *e = list.v ? bsearch(&ids[i], list.v, list.n, sizeof list.v[0], compare_entity) : NULL;
        if (!e) return gr_error_set(k->err, GR_ERR_INTERNAL, "a pre-aggregation vanished while it was declared");
        ret[i] = e->row;
    }
    return GR_OK;
}

/* ---- what a build is worth -----------------------------------------------------------------------------------------
 */
static const gr_component_decl *component_of(const gr_component_decl *list, size_t n, gr_str name, size_t likely) {
    if (likely < n && gr_str_eq(list[likely].name, name)) return &list[likely];
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq(list[i].name, name)) return &list[i];
    return NULL;
}

bool gr_catalog_has_conflict(const gr_component_decl *a, size_t n_a, const gr_component_decl *b, size_t n_b) {
    for (size_t i = 0; i < n_a; i++) {
        const gr_component_decl *other = component_of(b, n_b, a[i].name, i);
        if (other && !gr_str_eq(other->signature, a[i].signature)) return true;
    }
    return false;
}

bool gr_catalog_covers(const gr_build_row *build, const gr_preagg_decl *decl) {
    if (!gr_str_eq(build->base_hash, decl->base_hash)) return false;
    for (size_t i = 0; i < decl->n_components; i++) {
        const gr_component_decl *c = &decl->components[i];
        const gr_component_decl *built = component_of(build->components, build->n_components, c->name, i);
        if (!built || !gr_str_eq(built->signature, c->signature)) return false;
    }
    return true;
}

/* What somebody else made of the entity's SQL: {"base_hash", "components": [{"name", "signature"}]}. */
bool gr_catalog_availability_read(gr_str availability, gr_arena *arena, gr_build_row *ret) {
    json_t *root;
    *ret = (gr_build_row){0};
    if (!availability.n || gr_json_parse(availability, CATALOG_MAX_JSON, arena, &root, NULL)) return false;
    const json_t *base = json_object_get(root, "base_hash"), *held = json_object_get(root, "components");
    if (!json_is_string(base) || !json_is_array(held)) return false;
    ret->base_hash = gr_json_str(base);
    ret->components = GR_NEW_N(arena, gr_component_decl, json_array_size(held) + 1);
    for (size_t i = 0; i < json_array_size(held); i++) {
        const json_t *name = json_object_get(json_array_get(held, i), "name"),
                     *signature = json_object_get(json_array_get(held, i), "signature");
        if (!json_is_string(name) || !json_is_string(signature)) return false;
        ret->components[ret->n_components++] =
            (gr_component_decl){.name = gr_json_str(name), .signature = gr_json_str(signature)};
    }
    return true;
}

bool gr_catalog_is_ready(const gr_preagg_row *row) {
    if (row->decl.external.n) return row->availability.n > 0;
    if (row->has_serving && gr_catalog_covers(&row->serving, &row->decl)) return true;
    if (!row->availability.n) return false;
    gr_arena *scratch = gr_arena_new();
    gr_build_row made;
    bool is_ready =
        gr_catalog_availability_read(row->availability, scratch, &made) && gr_catalog_covers(&made, &row->decl);
    gr_arena_free(scratch);
    return is_ready;
}

/* ---- steps ---------------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_entity_move(gr_catalog_call *k, gr_catalog_entity *entity, gr_catalog_step step) {
    gr_preagg_row *row = &entity->row;
    bool is_other = step.to != row->status;
    if (is_other && !(may_become[row->status] & 1u << step.to))
        return gr_error_set(k->err, GR_ERR_INTERNAL, "pre-aggregation %lld cannot become %s: it is %s",
                            (long long)row->id, status_names[step.to], status_names[row->status]);
    if (!is_other && gr_str_eq(step.error, row->error) && step.materialized_us == row->materialized_us &&
        step.is_declared == entity->is_declared)
        return GR_OK;
    gr_str pre = gr_preagg_status_name(row->status), post = gr_preagg_status_name(step.to);
    GR_TRY(RUN(k, PREAGG_MOVE, NULL, I64(row->id), STR(post), STR_OR_NULL(step.error), TIME(step.materialized_us),
               I64(step.is_declared), I64(k->actor.now_us)));
    k->is_change = true;
    row->status = step.to;
    row->error = step.error;
    row->materialized_us = step.materialized_us;
    row->updated_us = k->actor.now_us;
    entity->is_declared = step.is_declared;
    if (!is_other) return GR_OK;
    return gr_catalog_note(
        k, (gr_catalog_event){.entity_type = "pre_aggregation",
                              .activity = "status_change",
                              .entity_name = gr_catalog_id_text(row->id, k->arena),
                              .node = row->decl.node,
                              .pre = gr_catalog_object_write(k->arena, "status", pre, NULL, (gr_str){0}),
                              .post = step.error.n
                                          ? gr_catalog_object_write(k->arena, "status", post, "error", step.error)
                                          : gr_catalog_object_write(k->arena, "status", post, NULL, (gr_str){0})});
}
