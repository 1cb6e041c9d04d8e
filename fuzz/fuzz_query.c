/* Query JSON: any bytes are refused with a reason or become a plan and SQL in which every value is bound. */
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
    "  segments:\n  - {name: x, sql: \"{CUBE}.s = 'x'\"}\n"
    "  pre_aggregations:\n  - {name: p, measures: [c, v], dimensions: [s], time_dimension: t, granularity: day}\n"
    "- name: b\n  sql_table: b\n  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: n, "
    "sql: n, type: string}\n"
    "  measures:\n  - {name: c, type: count}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static gr_arena *life;
    static gr_snapshot snapshot;
    gr_error err = {0};
    if (!life) {
        life = gr_arena_new();
        gr_diags diags;
        gr_diags_init(&diags, life);
        gr_model_file file = {GR_STR("m.yml"), {model_text, sizeof model_text - 1}};
        gr_model *model;
        if (gr_model_load_files(&file, 1, &diags, &model, &err)) abort();
        snapshot = (gr_snapshot){.model = model,
                                 .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, life),
                                 .max_zones = 8};
    }
    gr_arena *arena = gr_arena_new();
    gr_query_options options = {10000, 50000, 500, 32, 1000, gr_tz_utc(), 1594944000000000};
    json_t *json;
    gr_query *query;
    gr_plan *plan;
    gr_sql sql;
    gr_status status = gr_json_parse((gr_str){(const char *)data, size}, 1 << 20, arena, &json, &err);
    if (!status) status = gr_query_parse(snapshot.model, json, &options, arena, &query, &err);
    if (!status) status = gr_plan_query(&snapshot, query, (gr_plan_options){.ignore_builds = true}, arena, &plan, &err);
    if (!status) status = gr_sql_query(plan, gr_dialect_get(GR_STR("duckdb")), arena, &sql, &err);
    if (status && !err.message[0]) abort();
    gr_arena_free(arena);
    return 0;
}
