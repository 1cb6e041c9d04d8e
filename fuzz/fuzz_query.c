/* Query JSON, of one query or of a set (compareDateRange, an array): any bytes are refused with a reason or become
 * plans and SQL in which every value is bound. A regular query is read alike in both ways. */
#include "sql/sql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char model_text[] =
    "cubes:\n"
    "- name: a\n  sql_table: a\n"
    "  joins:\n  - {name: b, sql: '{CUBE}.b_id = {b.id}', relationship: many_to_one}\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true, public: true}\n  - {name: s, sql: s, "
    "type: string}\n"
    "  - {name: f, sql: f, type: boolean}\n"
    "  - name: t\n    sql: t\n    type: time\n    granularities:\n    - {name: g, interval: 5 days, origin: "
    "'2020-01-01'}\n"
    "  measures:\n  - {name: c, type: count}\n  - {name: v, sql: v, type: sum}\n  - {name: r, sql: '{v} / {c}', type: "
    "number}\n"
    "  - {name: w, sql: v, type: sum, rolling_window: {trailing: 7 day}}\n"
    "  - {name: g, sql: '{v}', type: sum, multi_stage: true, group_by: [s]}\n"
    "  segments:\n  - {name: x, sql: \"{CUBE}.s = 'x'\"}\n"
    "  pre_aggregations:\n  - {name: p, measures: [c, v], dimensions: [s], time_dimension: t, granularity: day}\n"
    "- name: b\n  sql_table: b\n  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: n, "
    "sql: n, type: string}\n"
    "  measures:\n  - {name: c, type: count}\n";

static const gr_snapshot *snapshot_of(gr_arena *life) {
    gr_diags diags;
    gr_diags_init(&diags, life);
    gr_model_file file = {GR_STR("m.yml"), {model_text, sizeof model_text - 1}};
    gr_model *model;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err)) abort();
    gr_snapshot *s = GR_NEW(life, gr_snapshot);
    *s = (gr_snapshot){.model = model,
                       .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, life),
                       .max_zones = 8};
    return s;
}

static gr_status plan(const gr_snapshot *snapshot, const gr_query *query, gr_arena *arena, gr_error *err) {
    gr_plan *plan;
    gr_sql sql;
    GR_TRY(gr_plan_query(snapshot, query, (gr_plan_options){.ignore_builds = true}, arena, &plan, err));
    if (plan->to_probe) return GR_OK;
    return gr_sql_query(plan, &gr_sql_places_embedded, arena, &sql, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const gr_snapshot *snapshot;
    static gr_arena *life;
    if (!life) snapshot = snapshot_of(life = gr_arena_new());
    gr_arena *arena = gr_arena_new();
    gr_query_options options = {.default_limit = 10000,
                                .max_limit = 50000,
                                .max_members = 500,
                                .max_filter_depth = 32,
                                .max_filter_values = 1000,
                                .default_tz = gr_tz_utc(),
                                .now_us = 1594944000000000};
    json_t *json;
    gr_query *query;
    gr_query_set set;
    gr_error err = {0};
    gr_status status = gr_json_parse((gr_str){(const char *)data, size}, 1 << 20, arena, &json, &err);
    if (!status) {
        status = gr_query_parse_set(snapshot->model, json, &options, arena, &set, &err);
        gr_error alone = {0};
        gr_status regular = gr_query_parse(snapshot->model, json, &options, arena, &query, &alone);
        if (gr_query_type_of(json) == GR_QUERY_REGULAR && regular != status) abort();
        if (!status && (!set.n || set.n > GR_QUERY_MAX_SET)) abort();
        for (size_t i = 0; !status && i < set.n; i++) status = plan(snapshot, set.queries[i], arena, &err);
    }
    if (status && !err.message[0]) abort();
    if (status == GR_ERR_INTERNAL) abort();
    gr_arena_free(arena);
    return 0;
}
