/* Bases: what is worked out once for a model and its definitions by API, and shared by the snapshots of its time. */
#include "exec/internal.h"

#include "base/map.h"

#include <stdlib.h>

static gr_ctx own_ctx(gr_arena *arena) { return (gr_ctx){.arena = arena, .now_us = gr_clock_now_us()}; }

/* Comparisons are UInt8 in ClickHouse: what the model calls boolean is one (gr_sqlw_seen). */
static const gr_column_schema boolean = {GR_STR_INIT("boolean"), GR_TYPE_BOOL, 0, 0, false};
static bool has_integers_for_booleans(const gr_exec *exec, const gr_cube *cube) {
    const gr_source_config *source = gr_config_source(exec->config, cube->data_source);
    return source && source->kind == GR_SOURCE_CLICKHOUSE;
}

/* Of all that is described, or of one member alone. */
static gr_status describe(gr_exec *exec, gr_exec_base *base, const gr_cube *cube, const gr_member *only,
                          gr_engine_conn *conn, gr_arena *scratch, gr_error *err) {
    const gr_member **members;
    size_t n = 0, n_columns = 0;
    gr_str text;
    gr_column_schema *columns;
    GR_TRY(gr_sql_describe_cube(base->model, cube, only, gr_exec_dialect_of(exec, cube->data_source), scratch, &members,
                                &n, &text, err));
    if (only && !n) return GR_OK;
    GR_TRY(conn->driver->describe(conn, text, base->arena, &columns, &n_columns, err));
    for (size_t i = 0; i < n && i < n_columns; i++)
        (gr_sql_describes_value(members[i]) ? base->values : base->types)[members[i]->index] = &columns[i];
    return GR_OK;
}

/* SQL of one member that the source does not take hides nothing of the others. */
static void describe_each(gr_exec *exec, gr_exec_base *base, const gr_cube *cube, gr_engine_conn *conn,
                          gr_arena *scratch) {
    gr_error ignored;
    for (size_t i = 0; i < base->model->n_members; i++)
        if (base->model->members[i]->cube == cube)
            (void)!describe(exec, base, cube, base->model->members[i], conn, scratch, &ignored);
}

/* Types of a cube's dimensions as its source describes them. A source that cannot say (a missing table) leaves them
 * unknown: queries then take the general casts, or get the engine's own error. */
static void learn_types(gr_exec *exec, gr_exec_base *base, const gr_cube *cube, gr_diags *diags) {
    gr_arena *scratch = gr_arena_new();
    gr_ctx ctx = own_ctx(scratch);
    gr_error err = {0};
    gr_engine_conn *conn = NULL;
    gr_status status = gr_exec_take(exec, &ctx, cube->data_source, true, &conn, &err);
    if (!status) status = describe(exec, base, cube, NULL, conn, scratch, &err);
    if (status) gr_diags_warn(diags, status, cube->loc, "cube '" GR_FMT "': %s", GR_ARG(cube->name), err.message);
    gr_node_row known;
    bool is_found = false;
    if (status &&
        !gr_catalog_node_get(exec->catalog, cube->name, (gr_str){0}, true, base->arena, &known, &is_found, NULL) &&
        is_found)
        gr_exec_types_recall(base->model, cube, known.decl.definition, base->arena, base->types);
    bool is_of_some = status == GR_ERR_ENGINE_SQL || status == GR_ERR_ENGINE_DATA || status == GR_ERR_PLAN_UNSUPPORTED;
    if (conn && is_of_some) describe_each(exec, base, cube, conn, scratch);
    gr_exec_give(exec, conn);
    for (size_t i = 0; has_integers_for_booleans(exec, cube) && i < cube->n_dimensions; i++)
        if (cube->dimensions[i]->dim_type == GR_DIM_BOOLEAN) base->types[cube->dimensions[i]->index] = &boolean;
    base->is_unknown[cube->index] = status != GR_OK;
    base->has_unknown_types |= status != GR_OK;
    gr_arena_free(scratch);
}

static gr_exec_base *base_of(const gr_exec *exec, gr_model *model) {
    gr_exec_base *base = gr_mem_calloc(1, sizeof *base);
    atomic_init(&base->refs, 1);
    base->arena = gr_arena_new();
    base->model = model;
    gr_plan_defaults defaults = gr_exec_plan_defaults(exec->config, base->arena);
    base->index = gr_plan_index_new(model, defaults, NULL, base->arena); /* its faults were reported by the check */
    base->users = GR_NEW_N(base->arena, gr_preagg_list, model->n_preaggs + 1);
    base->definition_of = GR_NEW_N(base->arena, size_t, model->n_preaggs + 1);
    for (size_t i = 0; i < model->n_preaggs; i++) {
        const gr_rollup *first = gr_plan_index_rollup(base->index, model->preaggs[i])->entity;
        GR_PUSH(base->arena, &base->users[first->preagg->index], model->preaggs[i]);
        base->definition_of[i] = SIZE_MAX;
    }
    return base;
}

gr_exec_base *gr_exec_base_new(gr_exec *exec, gr_model *model, gr_diags *diags) {
    gr_exec_base *base = base_of(exec, gr_model_ref(model));
    base->types = GR_NEW_N(base->arena, const gr_column_schema *, model->n_members + 1);
    base->values = GR_NEW_N(base->arena, const gr_column_schema *, model->n_members + 1);
    base->is_unknown = GR_NEW_N(base->arena, bool, model->n_cubes + 1);
    for (size_t i = 0; i < model->n_cubes; i++)
        if (!model->cubes[i]->is_view) learn_types(exec, base, model->cubes[i], diags);
    base->nodes = gr_exec_nodes(model, base->types, base->arena, &base->n_nodes);
    return base;
}

static gr_names copy_names(const gr_names *from, gr_arena *arena) {
    gr_names names = {0};
    for (size_t i = 0; i < from->n; i++) GR_PUSH(arena, &names, gr_arena_dup(arena, from->v[i]));
    return names;
}

static void copy_definitions(gr_exec_base *base, const gr_exec_definitions *from) {
    for (size_t i = 0; i < from->n; i++) {
        const gr_exec_definition *f = &from->v[i];
        gr_exec_definition d = {.dimensions = copy_names(&f->dimensions, base->arena),
                                .measures = copy_names(&f->measures, base->arena)};
        struct {
            gr_str *to;
            const gr_str *from;
        } const texts[] = {{&d.node, &f->node},         {&d.filters, &f->filters},   {&d.time_zone, &f->time_zone},
                           {&d.external, &f->external}, {&d.bindings, &f->bindings}, {&d.was, &f->was},
                           {&d.key, &f->key},           {&d.text, &f->text}};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
            *texts[k].to = gr_arena_dup(base->arena, *texts[k].from);
        GR_PUSH(base->arena, &base->definitions, d);
    }
    base->definitions_key = gr_exec_definitions_key(from, base->arena);
}

/* What an unchanged definition was made into before. */
static gr_preagg_def def_of(const gr_preagg *p) {
    return (gr_preagg_def){.name = p->name,
                           .cube = p->cube,
                           .measures = p->measures,
                           .n_measures = p->n_measures,
                           .dimensions = p->dimensions,
                           .n_dimensions = p->n_dimensions,
                           .time_dimensions = p->time_dimensions,
                           .n_time_dimensions = p->n_time_dimensions,
                           .filters = p->filters_json,
                           .external = p->external,
                           .time_zone = p->time_zone};
}

/* The definitions that fit the model, and the place of each among its pre-aggregations; SIZE_MAX: it does not fit. */
typedef struct fitting {
    const gr_exec_definitions *definitions;
    gr_preagg_def *defs;
    bool *fits;
    size_t *places, n;
} fitting;

static gr_model *extended(const gr_exec_base *files, const fitting *f, gr_arena *scratch) {
    gr_preagg_def *defs = GR_NEW_N(scratch, gr_preagg_def, f->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        f->places[i] = f->fits[i] ? files->model->n_preaggs + n : SIZE_MAX;
        if (f->fits[i]) defs[n++] = f->defs[i];
    }
    return gr_model_extend(files->model, defs, n);
}

/* Where the root of its joins is another cube by now, it would be another definition. */
static bool keep_rooted(const gr_exec_base *base, fitting *f) {
    bool are_all = true;
    for (size_t i = 0; i < f->n; i++) {
        if (!f->fits[i]) continue;
        const gr_rollup *r = gr_plan_index_rollup(base->index, base->model->preaggs[f->places[i]]);
        f->fits[i] = !r->can_build || gr_str_eq(r->tree.nodes[0].cube->name, f->definitions->v[i].node);
        are_all &= f->fits[i];
    }
    return are_all;
}

static gr_exec_base *base_of_fitting(gr_exec *exec, const gr_exec_base *files, fitting *f, gr_arena *scratch) {
    gr_exec_base *base = base_of(exec, extended(files, f, scratch));
    if (keep_rooted(base, f)) return base;
    gr_exec_base_unref(base);
    return base_of(exec, extended(files, f, scratch));
}

gr_exec_base *gr_exec_base_extend(gr_exec *exec, gr_exec_base *of, const gr_exec_definitions *definitions) {
    gr_exec_base *files = of->files ? of->files : of;
    gr_arena *scratch = gr_arena_new();
    size_t n = definitions->n;
    fitting f = {definitions, GR_NEW_N(scratch, gr_preagg_def, n + 1), GR_NEW_N(scratch, bool, n + 1),
                 GR_NEW_N(scratch, size_t, n + 1), n};
    gr_map made;
    gr_map_init(&made, scratch);
    for (size_t i = 0; i < of->definitions.n; i++)
        if (of->preaggs[i]) gr_map_put(&made, of->definitions.v[i].text, (void *)(uintptr_t)of->preaggs[i]);
    for (size_t i = 0; i < n; i++) {
        const gr_preagg *before = gr_map_get(&made, definitions->v[i].text);
        if (before) f.defs[i] = def_of(before);
        f.fits[i] = before || gr_exec_definition_resolve(files->model, &definitions->v[i], scratch, &f.defs[i]);
    }
    gr_exec_base *base = base_of_fitting(exec, files, &f, scratch);
    copy_definitions(base, definitions);
    base->preaggs = GR_NEW_N(base->arena, const gr_preagg *, n + 1);
    for (size_t i = 0; i < n; i++) {
        base->preaggs[i] = f.places[i] == SIZE_MAX ? NULL : base->model->preaggs[f.places[i]];
        if (base->preaggs[i]) base->definition_of[f.places[i]] = i;
    }
    gr_arena_free(scratch);
    base->files = files;
    atomic_fetch_add(&files->refs, 1);
    base->types = files->types;
    base->values = files->values;
    base->is_unknown = files->is_unknown;
    base->has_unknown_types = files->has_unknown_types;
    base->nodes = files->nodes;
    base->n_nodes = files->n_nodes;
    if (of->versions) {
        base->versions = GR_NEW_N(base->arena, gr_str, of->n_nodes + 1);
        for (size_t i = 0; i < of->n_nodes; i++) base->versions[i] = gr_arena_dup(base->arena, of->versions[i]);
    }
    return base;
}

void gr_exec_base_unref(gr_exec_base *base) {
    if (!base || atomic_fetch_sub(&base->refs, 1) != 1) return;
    gr_exec_base *files = base->files;
    gr_model_unref(base->model);
    gr_arena_free(base->arena);
    free(base);
    gr_exec_base_unref(files);
}

gr_snapshot gr_exec_base_view(const gr_exec_base *base) {
    return (gr_snapshot){.model = base->model,
                         .index = base->index,
                         .types = base->types,
                         .values = base->values,
                         .now_us = gr_clock_now_us()};
}

gr_str gr_exec_base_version(const gr_exec_base *base, gr_str node) {
    for (size_t i = 0; base->versions && i < base->n_nodes; i++)
        if (gr_str_eq(base->nodes[i].name, node)) return base->versions[i];
    return (gr_str){0};
}

gr_str gr_exec_node_version(const gr_snapshot *snapshot, gr_str node) {
    return gr_exec_base_version(gr_exec_base_of(snapshot), node);
}
