/* granary preagg list: what the model declares, as /ops/pre-aggregations tells it, joined with the entities, and the
 * current entities that were made by API. With a filter: the entities that fit, in the same form. */
#include "cli/answer.h"

#include "base/mem.h"

#include <stdio.h>

static const gr_cli_shown shown[] = {
    {"id", "pre-aggregation", false},
    {"entity_id", "entity", true},
    {"timezone", "time zone", false},
    {"store", "store", false},
    {"status", "status", false},
    {"rows", "rows", true},
    {"bytes", "bytes", true},
    {"built_at", "built at", false},
    {"build_ms", "ms", true},
    {"next_refresh", "next refresh", false},
    {"refresh_failures", "failed", true},
    {"hits", "hits", true},
    {"cubes", "cubes", false},
    {"declared_by", "declared by", false},
    {"remark", "remark", false},
};

static void free_json(void *json) { json_decref(json); }

static void set(json_t *object, const char *key, json_t *value) {
    if (!value || json_object_set_new(object, key, value)) gr_mem_die(0);
}

/* All that the filter lets pass, a page at a time; in a list of the arena. */
static gr_status all_entities(gr_cli *cli, gr_door *door, json_t **ret, gr_error *err) {
    static const struct {
        gr_cli_flag_id id;
        const char *key;
    } filters[] = {{GR_FLAG_NODE, "source_node"}, {GR_FLAG_STATUS, "status"}, {GR_FLAG_CUBE, "cube"}};
    json_t *list = json_array(), *page = NULL;
    if (!list) gr_mem_die(0);
    gr_arena_defer(cli->arena, free_json, list);
    do {
        gr_buf url;
        gr_cli_url_init(&url, "/pre-aggregations?limit=100&offset=");
        gr_buf_i64(&url, (int64_t)json_array_size(list));
        for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
            if (cli->args.has[filters[i].id]) gr_cli_url_param(&url, filters[i].key, cli->args.value[filters[i].id]);
        gr_status status = gr_cli_ask(cli, door, "GET", gr_buf_str(&url), NULL, &page, err);
        gr_buf_done(&url);
        GR_TRY(status);
        if (json_array_extend(list, json_object_get(page, "items"))) gr_mem_die(0);
    } while (json_array_size(json_object_get(page, "items")) &&
             (int64_t)json_array_size(list) < gr_cli_json_number(page, "total"));
    *ret = list;
    return GR_OK;
}

/* What /ops/pre-aggregations does not tell. */
static void add_entity(json_t *view, const json_t *entity) {
    static const char *const keys[] = {"cubes", "declared_by", "hits", "last_served_at"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        set(view, keys[i], json_deep_copy(json_object_get(entity, keys[i])));
}

/* An entity in the form of /ops/pre-aggregations. Owned. */
static json_t *view_of(const json_t *entity) {
    static const struct {
        const char *to, *from;
        bool is_build; /* only when one serves */
    } keys[] = {{"entity_id", "id", false},       {"cube", "node_name", false},
                {"timezone", "time_zone", false}, {"store", "store", false},
                {"status", "status", false},      {"source_node_version", "source_node_version", false},
                {"table", "table", true},         {"rows", "row_count", true},
                {"bytes", "bytes", true},         {"built_at", "materialized_at", true},
                {"build_ms", "build_ms", true}};
    json_t *view = json_object();
    const json_t *name = json_object_get(entity, "name"), *build = json_object_get(entity, "served_build");
    bool is_built = json_is_object(build);
    char id[32];
    if (!view) gr_mem_die(0);
    snprintf(id, sizeof id, "%lld", (long long)gr_cli_json_number(entity, "id"));
    set(view, "id", json_is_string(name) ? json_deep_copy(name) : json_string(id));
    set(view, "is_built", json_boolean(is_built));
    if (is_built) set(view, "version", json_deep_copy(json_object_get(build, "version")));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (is_built || !keys[i].is_build) set(view, keys[i].to, json_deep_copy(json_object_get(entity, keys[i].from)));
    if (gr_cli_json_text(entity, "materialization_error").n)
        set(view, "error", json_deep_copy(json_object_get(entity, "materialization_error")));
    set(view, "refresh", json_deep_copy(json_object_get(entity, "refresh")));
    if (gr_cli_json_text(entity, "problem").n) set(view, "problem", json_deep_copy(json_object_get(entity, "problem")));
    add_entity(view, entity);
    return view;
}

static const json_t *find(const json_t *list, const char *key, int64_t id) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (gr_cli_json_number(item, key) == id) return item;
    }
    return NULL;
}

static bool is_current(const json_t *entity) {
    return json_is_true(json_object_get(entity, "is_current")) &&
           !gr_str_eq(gr_cli_json_text(entity, "status"), GR_STR("stale"));
}

/* `with_old`: also what is of earlier versions. */
static void add_missing(json_t *views, const json_t *entities, bool with_old) {
    for (size_t i = 0; i < json_array_size(entities); i++) {
        const json_t *entity = json_array_get(entities, i);
        bool is_there = find(views, "entity_id", gr_cli_json_number(entity, "id")) != NULL;
        bool is_declared = json_array_size(json_object_get(entity, "declared_by")) > 0;
        if (is_there || (!with_old && (is_declared || !is_current(entity)))) continue;
        if (json_array_append_new(views, view_of(entity))) gr_mem_die(0);
    }
}

static gr_status of_model(gr_cli *cli, gr_door *door, const json_t *entities, json_t **ret, gr_error *err) {
    gr_buf answer;
    json_t *json = NULL;
    gr_buf_init(&answer, GR_CLI_MAX_OUTPUT_BYTES);
    gr_status status = door->preaggs(door, &answer, err);
    if (!status) status = gr_json_parse(gr_buf_str(&answer), GR_CLI_MAX_OUTPUT_BYTES, cli->arena, &json, err);
    gr_buf_done(&answer);
    GR_TRY(status);
    json_t *views = json_object_get(json, "pre_aggregations");
    for (size_t i = 0; i < json_array_size(views); i++) {
        json_t *view = json_array_get(views, i);
        int64_t id = gr_cli_json_number(view, "entity_id");
        const json_t *entity = id ? find(entities, "id", id) : NULL;
        if (entity) add_entity(view, entity);
    }
    *ret = json;
    return GR_OK;
}

static gr_status collect(gr_cli *cli, gr_door *door, json_t **ret, gr_error *err) {
    const bool *has = cli->args.has;
    bool is_filtered = has[GR_FLAG_NODE] || has[GR_FLAG_STATUS] || has[GR_FLAG_CUBE];
    json_t *entities = NULL, *json = NULL;
    GR_TRY(all_entities(cli, door, &entities, err));
    if (is_filtered) {
        json = json_object();
        if (!json) gr_mem_die(0);
        gr_arena_defer(cli->arena, free_json, json);
        set(json, "pre_aggregations", json_array());
    } else {
        GR_TRY(of_model(cli, door, entities, &json, err));
    }
    add_missing(json_object_get(json, "pre_aggregations"), entities, is_filtered);
    *ret = json;
    return GR_OK;
}

/* One column for what is wrong with it. */
static void add_remarks(json_t *views) {
    for (size_t i = 0; i < json_array_size(views); i++) {
        json_t *view = json_array_get(views, i);
        gr_cli_flatten_refresh(view);
        gr_str problem = gr_cli_json_text(view, "problem"), failure = gr_cli_json_text(view, "refresh_error");
        const json_t *remark = json_object_get(view, problem.n ? "problem" : failure.n ? "refresh_error" : "error");
        if (remark) set(view, "remark", json_deep_copy(remark));
    }
}

gr_status gr_cli_run_preagg_list(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    gr_door *door;
    json_t *json = NULL;
    GR_TRY(gr_cli_open_door(cli, &door, err));
    gr_status status = collect(cli, door, &json, err);
    gr_cli_door_close(door);
    GR_TRY(status);
    json_t *views = json_object_get(json, "pre_aggregations");
    if (!cli->args.has[GR_FLAG_JSON]) add_remarks(views);
    return gr_cli_show_list(cli, json, views, shown, sizeof shown / sizeof *shown, err);
}
