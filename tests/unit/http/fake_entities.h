/* The entities of serve/, played: a few rows, and calls that note what they were given. Part of fake_serve.h.
 *
 *   id  name        node     status    what asking for it plays
 *   1   orders.main orders   active    used by a cube: not removed; materializing it again starts the flight "entity1"
 *   2   -           orders   pending   of an older version; materializing starts "entity2"; without a strategy
 *   3   -           orders   active    an external table
 *   4   -           orders   failed    somebody builds it: preagg.materializing */
#ifndef GR_TEST_FAKE_ENTITIES_H
#define GR_TEST_FAKE_ENTITIES_H
#include "serve/entities.h"
#include "serve/jobs.h"

enum { FAKE_ENTITIES = 4 };

typedef struct fake_notes {
    gr_preagg_filter filter;
    gr_materialize_ask how;
    gr_preagg_config config;
    gr_register_ask reg;
    gr_cube_ask cube;
    gr_history_filter history;
    char text[4000]; /* what the last asking call was given, in short */
    int n_forced;
    gr_flight *building; /* of gr_serve_entity_flight; owned */
} fake_notes;
static fake_notes fake_noted;

static gr_status fake_error(const char *id, const char *text, gr_error *err) {
    for (int s = 1; s < GR_STATUS__COUNT; s++)
        if (strcmp(gr_error_info_of((gr_status)s)->id, id) == 0) return gr_error_set(err, (gr_status)s, "%s", text);
    return gr_error_set(err, GR_ERR_INTERNAL, "unknown id %s", id);
}

static gr_component_decl fake_components[] = {
    {GR_STR_INIT("orders__amount"), GR_STR_INIT("00"), GR_STR_INIT("0123456789ab:SUM"),
     GR_STR_INIT("{\"name\":\"x\",\"expression\":\"amount\",\"merge\":\"SUM\",\"rule\":{\"type\":\"full\"}}")},
    {GR_STR_INIT("orders__count"), GR_STR_INIT("01"), GR_STR_INIT("ba9876543210:COUNT"), GR_STR_INIT("")},
};
static gr_str fake_cubes[] = {GR_STR_INIT("orders"), GR_STR_INIT("sales")};
static gr_str fake_names[] = {GR_STR_INIT("orders.main")};
static gr_str fake_metrics[] = {GR_STR_INIT("orders.amount"), GR_STR_INIT("orders.count")};
static gr_str fake_dimensions[] = {GR_STR_INIT("orders.created_at.day"), GR_STR_INIT("orders.users.country")};

static inline gr_entity_view fake_entity(int64_t id) {
    static const gr_preagg_status statuses[] = {GR_PREAGG_ACTIVE, GR_PREAGG_PENDING, GR_PREAGG_ACTIVE,
                                                GR_PREAGG_FAILED};
    gr_preagg_row row = {.id = id,
                         .node_id = 7,
                         .node_revision_id = 70 + id,
                         .node_type = GR_NODE_SOURCE,
                         .decl = {.node = GR_STR("orders"),
                                  .grain_hash = GR_STR("aa"),
                                  .grain_columns = GR_STR("[\"orders.status\"]"),
                                  .components = fake_components,
                                  .n_components = 2},
                         .version = id == 2 ? GR_STR("v1.0") : GR_STR("v2.0"),
                         .status = statuses[id - 1],
                         .grain_group_hash = GR_STR("gg"),
                         .created_us = 1612325106000000,
                         .updated_us = 1612325106000000,
                         .is_current = id != 2};
    gr_entity_view view = {.row = row, .metrics = fake_metrics, .n_metrics = 2};
    if (id == 1) {
        view.name = GR_STR("orders.main");
        view.table = GR_STR("memory.main.orders_main_abc_1");
        view.row.decl.declared_by = fake_names;
        view.row.decl.n_declared_by = 1;
        view.row.decl.time_zone = GR_STR("UTC");
        view.row.cubes = fake_cubes;
        view.row.n_cubes = 2;
        view.row.strategy = GR_STR("full");
        view.row.schedule = GR_STR("0 0 * * *");
        view.row.workflow_status = GR_STR("active");
        view.row.materialized_us = 1612325106000000;
        view.row.has_serving = true;
        view.row.serving = (gr_build_row){.id = 11,
                                          .preagg_id = 1,
                                          .number = 3,
                                          .status = GR_BUILD_DONE,
                                          .components = fake_components,
                                          .n_components = 1,
                                          .started_us = 1612325100000000,
                                          .finished_us = 1612325106000000,
                                          .rows = 42,
                                          .bytes = 4096,
                                          .coverage = GR_STR("{\"orders.created_at\":[0,86400000000]}")};
    }
    if (id == 3) {
        view.row.decl.external = GR_STR("{\"table\":\"t\"}");
        view.row.availability = GR_STR("{\"valid_through_ts\":9,\"max_temporal_partition\":[\"20240131\"]}");
        view.row.strategy = GR_STR("external");
    }
    if (id == 4) view.row.error = GR_STR("the disk is full");
    return view;
}

static inline bool fake_passes(const gr_entity_view *view, const gr_preagg_filter *f) {
    const gr_preagg_row *row = &view->row;
    bool is_linked = !f->cube.n;
    for (size_t i = 0; i < row->n_cubes; i++) is_linked |= gr_str_eq(row->cubes[i], f->cube);
    int external = row->decl.external.n ? 1 : -1;
    return is_linked && (!f->version.n || gr_str_eq(f->version, row->version)) &&
           (!f->current_only || row->is_current) && (!f->statuses || (f->statuses >> row->status & 1)) &&
           (!f->external || f->external == external);
}

gr_status gr_serve_entities(gr_serve *serve, const gr_preagg_filter *filter, gr_arena *arena, gr_entity_view **ret,
                            size_t *ret_n, int64_t *ret_total, gr_error *err) {
    (void)serve;
    (void)err;
    fake_noted.filter = *filter;
    gr_entity_view *views = GR_NEW_N(arena, gr_entity_view, FAKE_ENTITIES);
    int64_t total = 0;
    size_t n = 0;
    for (int64_t id = 1; id <= FAKE_ENTITIES; id++) {
        gr_entity_view view = fake_entity(id);
        if (!fake_passes(&view, filter)) continue;
        if (total++ >= filter->offset && (!filter->limit || (int64_t)n < filter->limit)) views[n++] = view;
    }
    *ret = views;
    *ret_n = n;
    *ret_total = total;
    return GR_OK;
}

gr_status gr_serve_entity(gr_serve *serve, int64_t id, gr_arena *arena, gr_entity_view *ret, gr_error *err) {
    (void)serve;
    (void)arena;
    if (id < 1 || id > FAKE_ENTITIES) return fake_error("preagg.not_found", "There is no such pre-aggregation", err);
    *ret = fake_entity(id);
    return GR_OK;
}

gr_status gr_serve_entity_find(gr_serve *serve, gr_str id_or_name, gr_arena *arena, gr_entity_view *ret,
                               gr_error *err) {
    int64_t id = 0;
    if (gr_str_eq(id_or_name, GR_STR("orders.main"))) id = 1;
    (void)gr_str_to_i64(id_or_name, &id);
    return gr_serve_entity(serve, id, arena, ret, err);
}

gr_status gr_serve_entity_cubes(gr_serve *serve, int64_t id, gr_arena *arena, gr_node_row **ret, size_t *ret_n,
                                gr_error *err) {
    (void)serve;
    (void)err;
    *ret = GR_NEW(arena, gr_node_row);
    **ret = (gr_node_row){.decl = {.name = GR_STR("sales"), .type = GR_NODE_CUBE}, .version = GR_STR("v1.0")};
    *ret_n = id == 1;
    return GR_OK;
}

gr_status gr_serve_entity_builds(gr_serve *serve, int64_t id, int64_t limit, gr_arena *arena, gr_build_row **ret,
                                 size_t *ret_n, gr_error *err) {
    (void)serve;
    (void)err;
    gr_build_row *rows = GR_NEW_N(arena, gr_build_row, 2);
    rows[0] = (gr_build_row){.id = 12,
                             .preagg_id = id,
                             .number = 4,
                             .status = GR_BUILD_FAILED,
                             .error = GR_STR("no"),
                             .started_us = 1612325100000000,
                             .finished_us = 1612325106000000};
    if (id == 2)
        rows[0] = (gr_build_row){.id = 13, .preagg_id = 2, .number = 1, .status = GR_BUILD_RUNNING, .fraction = 0.5};
    rows[1] = fake_entity(1).row.serving;
    *ret = rows;
    *ret_n = limit < 2 ? (size_t)limit : 2;
    return GR_OK;
}

static inline gr_flight *fake_flight(gr_serve *serve, const char *name);

gr_status gr_serve_verify_entity(gr_serve *serve, const gr_ctx *ctx, int64_t entity_id, gr_verification *ret,
                                 gr_flight **ret_flight, gr_error *err) {
    (void)serve, (void)ctx, (void)entity_id, (void)err;
    *ret = (gr_verification){0};
    *ret_flight = NULL;
    return GR_OK;
}
gr_str gr_verdict_name(gr_verdict verdict) {
    (void)verdict;
    return GR_STR("equal");
}
gr_status gr_serve_materialize(gr_serve *serve, int64_t id, const gr_materialize_ask *ask, gr_actor actor,
                               gr_arena *arena, gr_entity_view *ret, gr_flight **ret_flight, gr_error *err) {
    (void)actor;
    fake_noted.how = *ask;
    GR_TRY(gr_serve_entity(serve, id, arena, ret, err));
    if (id == 3) return fake_error("preagg.external", "It is external", err);
    if (id == 4) return fake_error("preagg.materializing", "It is being built", err);
    if (ask->needs_strategy && !ret->row.strategy.n && !ask->strategy.n)
        return fake_error("query.invalid", "It has no strategy", err);
    *ret_flight = NULL;
    if (id == 1 && !ask->force) return GR_OK;
    fake_noted.n_forced += ask->force;
    *ret_flight = gr_flight_ref(fake_flight(serve, id == 1 ? "entity1" : "entity2"));
    ret->row.status = GR_PREAGG_MATERIALIZING;
    return GR_OK;
}

gr_flight *gr_serve_entity_flight(gr_serve *serve, int64_t id) {
    (void)serve;
    return id == 1 && fake_noted.building ? gr_flight_ref(fake_noted.building) : NULL;
}

gr_status gr_serve_entity_remove(gr_serve *serve, int64_t id, gr_actor actor, gr_error *err) {
    (void)serve;
    (void)actor;
    if (id == 1) return fake_error("preagg.in_use", "Pre-aggregation 1 is used by orders, sales", err);
    if (id == 4) return fake_error("preagg.materializing", "It is being built", err);
    return GR_OK;
}

/* ---- plans ----------------------------------------------------------------------------------- */
static void fake_note_ask(const gr_entity_ask *ask) {
    int n = 0;
    char *filters = ask->filters ? json_dumps(ask->filters, JSON_COMPACT) : NULL;
    for (size_t i = 0; i < ask->n_metrics; i++)
        n += snprintf(fake_noted.text + n, sizeof fake_noted.text - (size_t)n, "%s" GR_FMT, i ? "," : "",
                      GR_ARG(ask->metrics[i]));
    for (size_t i = 0; i < ask->n_dimensions; i++)
        n += snprintf(fake_noted.text + n, sizeof fake_noted.text - (size_t)n, "%s" GR_FMT, i ? "," : "|",
                      GR_ARG(ask->dimensions[i]));
    snprintf(fake_noted.text + n, sizeof fake_noted.text - (size_t)n, "|%s|" GR_FMT, filters ? filters : "",
             GR_ARG(ask->time_zone));
    free(filters);
}

gr_status gr_serve_grain_groups(gr_serve *serve, const gr_entity_ask *ask, gr_arena *arena, gr_entity_plan *ret,
                                gr_error *err) {
    (void)serve;
    fake_note_ask(ask);
    if (!ask->n_metrics) return fake_error("query.invalid", "No metrics", err);
    if (gr_str_eq(ask->metrics[0], GR_STR("orders.nothing")))
        return fake_error("query.unknown_member", "There is no orders.nothing", err);
    static gr_warning warning = {GR_STR_INIT("FANOUT_RISK"), GR_STR_INIT("careful"), GR_STR_INIT("orders.count")};
    ret->groups = GR_NEW(arena, gr_grain_group);
    ret->n_groups = 1;
    ret->groups[0] = (gr_grain_group){.node = GR_STR("orders"),
                                      .node_version = GR_STR("v2.0"),
                                      .grain_columns = GR_STR("[\"orders.status\"]"),
                                      .grain_hash = GR_STR("aa"),
                                      .metrics = fake_metrics,
                                      .n_metrics = 2,
                                      .aggregability = GR_STR("full"),
                                      .components = fake_components,
                                      .n_components = 2,
                                      .sql = GR_STR("SELECT 1"),
                                      .entity_id = 2,
                                      .status = GR_PREAGG_PENDING};
    ret->warnings = &warning;
    ret->n_warnings = 1;
    return GR_OK;
}

gr_status gr_serve_entity_plan(gr_serve *serve, const gr_entity_ask *ask, const gr_preagg_config *config,
                               gr_actor actor, gr_arena *arena, gr_entity_plan *ret, gr_entity_view **ret_views,
                               gr_error *err) {
    (void)actor;
    fake_noted.config = *config;
    if (gr_str_eq(config->strategy, GR_STR("view")))
        return fake_error("query.invalid", "strategy is full or incremental_time", err);
    GR_TRY(gr_serve_grain_groups(serve, ask, arena, ret, err));
    *ret_views = GR_NEW(arena, gr_entity_view);
    **ret_views = fake_entity(2);
    return GR_OK;
}

gr_status gr_serve_entity_register(gr_serve *serve, const gr_register_ask *ask, gr_actor actor, gr_arena *arena,
                                   gr_entity_plan *ret, gr_entity_view **ret_views, gr_error *err) {
    (void)actor;
    fake_noted.reg = *ask;
    if (!gr_str_eq(ask->catalog, GR_STR("default")))
        return fake_error("config.source_unknown", "There is no catalog of this name", err);
    GR_TRY(gr_serve_grain_groups(serve, &ask->ask, arena, ret, err));
    snprintf(fake_noted.text, sizeof fake_noted.text, GR_FMT "=" GR_FMT " " GR_FMT "." GR_FMT " %d",
             GR_ARG(ask->measure_columns[0].member), GR_ARG(ask->measure_columns[0].column), GR_ARG(ask->schema),
             GR_ARG(ask->table), ask->has_valid_through);
    *ret_views = GR_NEW(arena, gr_entity_view);
    **ret_views = fake_entity(3);
    return GR_OK;
}

gr_status gr_serve_availability(gr_serve *serve, int64_t id, const json_t *body, gr_actor actor, gr_arena *arena,
                                gr_entity_view *ret, gr_error *err) {
    (void)actor;
    (void)body;
    GR_TRY(gr_serve_entity(serve, id, arena, ret, err));
    return id == 3 ? GR_OK : fake_error("preagg.not_external", "It is built here", err);
}

gr_status gr_serve_entity_configure(gr_serve *serve, int64_t id, const gr_preagg_config *config, gr_actor actor,
                                    gr_arena *arena, gr_entity_view *ret, gr_error *err) {
    (void)actor;
    fake_noted.config = *config;
    return gr_serve_entity(serve, id, arena, ret, err);
}

gr_status gr_serve_workflow_clear(gr_serve *serve, int64_t id, gr_actor actor, bool *ret_had, gr_error *err) {
    (void)serve;
    (void)actor;
    (void)err;
    *ret_had = id == 1;
    return GR_OK;
}

gr_status gr_serve_workflows_clear(gr_serve *serve, gr_str node, bool stale_only, gr_actor actor, gr_arena *arena,
                                   gr_workflows_cleared *ret, gr_error *err) {
    (void)serve;
    (void)node;
    (void)actor;
    (void)err;
    *ret = (gr_workflows_cleared){
        .ids = GR_NEW(arena, int64_t), .names = GR_NEW(arena, gr_str), .n = !stale_only, .n_skipped = 1};
    ret->ids[0] = 1;
    ret->names[0] = GR_STR("preagg-1");
    return GR_OK;
}

/* ---- nodes: orders (of the model), sales (a cube by API), orders at v1.0, a metric ---------------- */
static inline gr_node_view fake_node_view(gr_str name, gr_node_type type, gr_str version) {
    gr_node_row row = {.id = 7,
                       .revision_id = 71,
                       .decl = {.name = name, .type = type, .description = GR_STR("all of them")},
                       .version = version,
                       .current_version = GR_STR("v2.0"),
                       .created_us = 1612325106000000,
                       .updated_us = 1612325106000000};
    gr_node_view view = {
        .row = row, .metrics = fake_metrics, .n_metrics = 2, .dimensions = fake_dimensions, .n_dimensions = 2};
    if (type == GR_NODE_SOURCE) {
        view.table = GR_STR("shop.orders");
        view.row.decl.definition = GR_STR("{\"catalog\":\"main\",\"columns\":[{\"name\":\"status\"}]}");
    } else {
        view.query = GR_STR("SELECT 1");
    }
    return view;
}

gr_status gr_serve_node(gr_serve *serve, gr_str name, gr_str version, gr_arena *arena, gr_node_view *ret,
                        gr_error *err) {
    (void)serve;
    (void)arena;
    gr_str current = version.n ? version : GR_STR("v2.0");
    bool is_known = !version.n || gr_str_eq(version, GR_STR("v1.0")) || gr_str_eq(version, GR_STR("v2.0"));
    if (gr_str_eq(name, GR_STR("cube.orders"))) name = GR_STR("orders");
    if (is_known && gr_str_eq(name, GR_STR("orders")))
        *ret = fake_node_view(name, GR_NODE_SOURCE, current);
    else if (is_known && gr_str_eq(name, GR_STR("sales")))
        *ret = fake_node_view(name, GR_NODE_CUBE, current);
    else if (gr_str_eq(name, GR_STR("a_metric")))
        *ret = fake_node_view(name, GR_NODE_METRIC, current);
    else
        return fake_error("node.not_found", "no such node", err);
    return GR_OK;
}

gr_status gr_serve_nodes(gr_serve *serve, unsigned types, gr_arena *arena, gr_node_view **ret, size_t *ret_n,
                         gr_error *err) {
    (void)serve;
    (void)err;
    gr_node_view *views = GR_NEW_N(arena, gr_node_view, 2);
    size_t n = 0;
    if (!types || (types >> GR_NODE_SOURCE & 1))
        views[n++] = fake_node_view(GR_STR("orders"), GR_NODE_SOURCE, GR_STR("v2.0"));
    if (!types || (types >> GR_NODE_CUBE & 1))
        views[n++] = fake_node_view(GR_STR("sales"), GR_NODE_CUBE, GR_STR("v1.0"));
    *ret = views;
    *ret_n = n;
    return GR_OK;
}

gr_status gr_serve_node_revisions(gr_serve *serve, gr_str name, gr_arena *arena, gr_node_view **ret, size_t *ret_n,
                                  gr_error *err) {
    gr_node_view view;
    GR_TRY(gr_serve_node(serve, name, (gr_str){0}, arena, &view, err));
    *ret = GR_NEW_N(arena, gr_node_view, 2);
    (*ret)[0] = fake_node_view(view.row.decl.name, view.row.decl.type, GR_STR("v1.0"));
    (*ret)[1] = view;
    *ret_n = 2;
    return GR_OK;
}

gr_status gr_serve_cube_put(gr_serve *serve, const gr_cube_ask *ask, gr_actor actor, gr_arena *arena, gr_node_view *ret,
                            gr_entity_plan *ret_plan, gr_error *err) {
    (void)actor;
    fake_noted.cube = *ask;
    fake_note_ask(&ask->ask);
    if (!ask->is_update && gr_str_eq(ask->name, GR_STR("sales")))
        return fake_error("node.exists", "A node with name `sales` already exists", err);
    gr_entity_ask some = {.metrics = fake_metrics, .n_metrics = 1};
    GR_TRY(gr_serve_grain_groups(serve, ask->ask.n_metrics ? &ask->ask : &some, arena, ret_plan, err));
    *ret = fake_node_view(gr_arena_dup(arena, ask->name), GR_NODE_CUBE, GR_STR("v1.0"));
    return GR_OK;
}

gr_status gr_serve_cube_delete(gr_serve *serve, gr_str name, gr_actor actor, gr_error *err) {
    (void)serve;
    (void)actor;
    return gr_str_eq(name, GR_STR("orders")) ? fake_error("node.of_model", "`orders` is of the model", err) : GR_OK;
}

gr_status gr_serve_history(gr_serve *serve, const gr_history_filter *filter, gr_arena *arena, gr_history_row **ret,
                           size_t *ret_n, gr_error *err) {
    (void)serve;
    (void)err;
    fake_noted.history = *filter;
    *ret = GR_NEW(arena, gr_history_row);
    **ret = (gr_history_row){.id = 5,
                             .at_us = 1612325106000000,
                             .entity_type = filter->entity_type.n ? filter->entity_type : GR_STR("node"),
                             .entity_name = filter->entity_name.n ? filter->entity_name : GR_STR("orders"),
                             .node = GR_STR("orders"),
                             .activity = GR_STR("status_change"),
                             .user = GR_STR("granary"),
                             .post = GR_STR("{\"status\":\"active\"}")};
    *ret_n = 1;
    return GR_OK;
}

/* ---- partitions and jobs ---------------------------------------------------------------------- */
gr_str gr_serve_partition_status_name(gr_partition_status status) {
    return status == GR_PARTITION_BUILT ? GR_STR("built") : GR_STR("missing");
}

gr_status gr_serve_partitions(gr_serve *serve, const gr_ctx *ctx, int64_t id, gr_partitions_view *ret, gr_error *err) {
    static gr_partition_view all[] = {{.status = GR_PARTITION_BUILT,
                                       .digits = GR_STR_INIT("20240101"),
                                       .name = GR_STR_INIT("orders_main20240101"),
                                       .from = GR_STR_INIT("2024-01-01T00:00:00.000"),
                                       .to = GR_STR_INIT("2024-01-02T00:00:00.000"),
                                       .table = GR_STR_INIT("a.b.c"),
                                       .rows = 3,
                                       .built_us = 1612325106000000,
                                       .checksum = GR_STR_INIT("12"),
                                       .since = 1},
                                      {.status = GR_PARTITION_MISSING, .digits = GR_STR_INIT("20240102")}};
    *ret = (gr_partitions_view){.zone = GR_STR("UTC"), .v = all, .n = 2, .counts = {1, 1, 0}, .rows = 3};
    if (id == 2) ret->is_building = ret->has_flight = true;
    return gr_serve_entity(serve, id, ctx->arena, &ret->entity, err);
}

gr_status gr_serve_partitions_refresh(gr_serve *serve, const gr_ctx *ctx, int64_t id, const gr_partitions_ask *ask,
                                      gr_actor actor, gr_entity_view *ret, gr_flight **ret_flight, gr_error *err) {
    (void)actor;
    GR_TRY(gr_serve_entity(serve, id, ctx->arena, ret, err));
    if (ask->n_names && gr_str_eq(ask->names[0], GR_STR("19000101")))
        return fake_error("preagg.partition_not_found", "It has no such partition", err);
    snprintf(fake_noted.text, sizeof fake_noted.text, "%zu " GR_FMT " " GR_FMT " %d", ask->n_names, GR_ARG(ask->from),
             GR_ARG(ask->to), ask->is_forced);
    *ret_flight = id == 1 && !ask->is_forced ? NULL : gr_flight_ref(fake_flight(serve, "entity1"));
    return GR_OK;
}

gr_status gr_serve_bounds_read(gr_str from, gr_str to, gr_bound ret[2], gr_error *err) {
    (void)to;
    if (gr_str_eq(from, GR_STR("x"))) return fake_error("query.date", "not a date", err);
    ret[0] = ret[1] = (gr_bound){0};
    return GR_OK;
}

gr_status gr_serve_jobs_post(gr_serve *serve, const gr_ctx *ctx, const gr_jobs_ask *ask, gr_str **ret, size_t *ret_n,
                             gr_error *err) {
    (void)serve;
    (void)err;
    *ret = GR_NEW_N(ctx->arena, gr_str, ask->n_contexts);
    for (size_t i = 0; i < ask->n_contexts; i++) (*ret)[i] = GR_STR("0123456789abcdef0123456789abcdef");
    *ret_n = ask->cubes.is_given && !ask->cubes.n ? 0 : ask->n_contexts;
    return GR_OK;
}

void gr_serve_jobs_look(gr_serve *serve, const gr_str *tokens, size_t n, gr_arena *arena, gr_job_view **ret) {
    (void)serve;
    *ret = GR_NEW_N(arena, gr_job_view, n + 1);
    for (size_t i = 0; i < n; i++) (*ret)[i] = (gr_job_view){.token = tokens[i], .status = GR_STR("not_found")};
}

/* ---- lineage and import ----------------------------------------------------------------------- */
gr_status gr_serve_lineage(gr_serve *serve, gr_str name, gr_arena *arena, gr_lineage *ret, gr_error *err) {
    (void)serve;
    (void)arena;
    static gr_lineage_node nodes[] = {
        {GR_LINEAGE_TABLE, GR_STR_INIT("table:t\"1"), GR_STR_INIT("t"), GR_STR_INIT("")},
        {GR_LINEAGE_CUBE, GR_STR_INIT("cube:sales"), GR_STR_INIT("sales"), GR_STR_INIT("d")}};
    static gr_lineage_edge edges[] = {{0, 1}};
    if (gr_str_eq(name, GR_STR("nothing"))) return fake_error("node.not_found", "no such node", err);
    snprintf(fake_noted.text, sizeof fake_noted.text, GR_FMT, GR_ARG(name));
    *ret = (gr_lineage){nodes, 2, edges, 1};
    return GR_OK;
}

gr_status gr_serve_import_materializations(gr_serve *serve, const json_t *blobs, gr_actor actor, gr_arena *arena,
                                           gr_import_line **ret, size_t *ret_n, gr_error *err) {
    (void)serve;
    (void)actor;
    (void)err;
    *ret = GR_NEW(arena, gr_import_line);
    **ret = (gr_import_line){
        .cube = GR_STR("sales"), .source_node = GR_STR("orders"), .result = GR_STR("imported"), .entity_id = 2};
    *ret_n = json_is_object(blobs) ? 1 : 0;
    return GR_OK;
}
#endif
