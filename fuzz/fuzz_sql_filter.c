/* Conditions in SQL: any bytes are refused with a reason or become filters that are of the query format: what a query
 * says against them then is about its members and their values. */
#include "query/query.h"
#include "query/sql_filter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char model_text[] = "cubes:\n"
                                 "- name: a\n  sql_table: a\n  dimensions:\n  - {name: s, sql: s, type: string}\n  - "
                                 "{name: n, sql: n, type: number}\n"
                                 "  - {name: b, sql: b, type: boolean}\n  - {name: t, sql: t, type: time}\n  "
                                 "measures:\n  - {name: c, type: count}\n";

static const gr_model *model_of(void) {
    gr_arena *arena = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), {model_text, sizeof model_text - 1}};
    gr_model *model;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err)) abort();
    gr_arena_free(arena);
    return model;
}

static void release(void *json) { json_decref(json); }

static gr_status read_query(const gr_model *model, json_t *filters, gr_arena *arena, gr_error *err) {
    gr_query_options options = {.default_limit = 10000,
                                .max_limit = 50000,
                                .max_members = GR_QUERY_SQL_MAX_TOKENS,
                                .max_filter_depth = GR_QUERY_SQL_MAX_NESTING + 2,
                                .max_filter_values = GR_QUERY_SQL_MAX_TOKENS,
                                .default_tz = gr_tz_utc()};
    gr_query *query;
    json_t *json = json_pack("{s:[s], s:O}", "dimensions", "a.s", "filters", filters);
    gr_arena_defer(arena, release, json);
    return gr_query_parse(model, json, &options, arena, &query, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const gr_model *model;
    if (!model) model = model_of();
    gr_arena *arena = gr_arena_new();
    json_t *filters;
    gr_error err = {0};
    gr_status status = gr_query_sql_filter((gr_str){(const char *)data, size}, arena, &filters, &err);
    if (!status) {
        if (!json_array_size(filters)) abort();
        status = read_query(model, filters, arena, &err);
        if (status == GR_ERR_LIMIT || status == GR_ERR_INTERNAL) abort();
    } else if (status != GR_ERR_QUERY_INVALID && status != GR_ERR_LIMIT) {
        abort();
    }
    if (status && !err.message[0]) abort();
    gr_arena_free(arena);
    return 0;
}
