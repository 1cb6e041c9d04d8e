#include "golden/world.h"

gr_arena *golden_suite;

gr_str golden_read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return (gr_str){0};
    gr_buf text;
    gr_buf_init(&text, 1 << 24);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f));) gr_buf_add(&text, (gr_str){chunk, n});
    fclose(f);
    gr_str copy = gr_arena_dup(golden_suite, gr_buf_str(&text));
    gr_buf_done(&text);
    return copy;
}

gr_plan *golden_plan(const gr_ctx *ctx, const gr_snapshot *s, json_t *json, bool rollups, bool as_if_built) {
    gr_query_options options = {10000, 50000, 500, 32, 1000, gr_tz_utc(), GOLDEN_NOW, false};
    gr_query *query;
    gr_plan *plan;
    gr_error err = {0};
    if (gr_query_parse(s->model, json, &options, ctx->arena, &query, &err)) fail_msg("%s", err.message);
    gr_plan_options how = {.without_rollups = !rollups, .ignore_builds = as_if_built, .now_us = GOLDEN_NOW};
    if (gr_plan_query(s, query, how, ctx->arena, &plan, &err)) fail_msg("%s", err.message);
    return plan;
}

static gr_str text_of(const gr_table *table, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 24);
    for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
        gr_buf_printf(&out, GR_FMT "%c", GR_ARG(table->cells[i].is_null ? GR_STR("null") : table->cells[i].text),
                      (i + 1) % table->n_columns ? '|' : '\n');
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

gr_status golden_run(gr_exec *exec, const gr_ctx *ctx, json_t *json, bool rollups, gr_str *ret, gr_error *err) {
    for (;;) {
        const gr_snapshot *s = gr_exec_snapshot_ref(exec);
        gr_plan *plan = golden_plan(ctx, s, json, rollups, false);
        gr_status status = GR_OK;
        if (plan->to_build) {
            gr_build_result built;
            const gr_build_ask ask = {.run = plan->to_build_run};
            status = gr_exec_build(exec, ctx, s, plan->to_build, plan->to_build_zone, &ask, &built, err);
            gr_exec_snapshot_unref(s);
            GR_TRY(status);
            continue;
        }
        gr_sql sql;
        gr_stream *stream;
        gr_table *table = NULL;
        status = gr_sql_query(plan, gr_exec_places(exec), ctx->arena, &sql, err);
        if (!status) {
            status = gr_exec_query(exec, ctx, &sql, &stream, err);
            if (status) print_error(GR_FMT "\n", GR_ARG(sql.text));
            for (size_t i = 0; status && i < sql.n_fetches; i++)
                print_error(GR_FMT "\n", GR_ARG(sql.fetches[i].sql.text));
        }
        if (!status) {
            status = gr_table_read(stream, 100000, ctx->arena, &table, err);
            stream->close(stream);
        }
        gr_exec_snapshot_unref(s);
        if (!status) *ret = text_of(table, ctx->arena);
        return status;
    }
}

static size_t number_length(gr_str s, size_t at) {
    size_t n = 0;
    while (at + n < s.n && (strchr("0123456789.-+eE", s.p[at + n]) != NULL)) n++;
    return n;
}

bool golden_are_same(gr_str a, gr_str b) {
    size_t i = 0, j = 0;
    while (i < a.n && j < b.n) {
        size_t n = number_length(a, i), m = number_length(b, j);
        if (!n || !m) {
            if (a.p[i++] != b.p[j++]) return false;
            continue;
        }
        double x, y;
        gr_str left = gr_str_sub(a, i, n), right = gr_str_sub(b, j, m);
        bool is_close = gr_str_to_f64(left, &x) && gr_str_to_f64(right, &y) && gr_str_find(left, '.', 0) != SIZE_MAX &&
                        (x > y ? x - y : y - x) <= 1e-9 * (1 + (x > 0 ? x : -x));
        if (!gr_str_eq(left, right) && !is_close) return false;
        i += n;
        j += m;
    }
    return i == a.n && j == b.n;
}

void golden_make_data(gr_str root, gr_str file) {
    const gr_config own = {.root = root, .state_dir = GR_STR("made"), .engine_memory_mb = 1024, .engine_threads = 2},
                    *config = &own;
    gr_engine *engine;
    gr_engine_conn *conn;
    gr_error err = {0};
    gr_ctx ctx = {.arena = golden_suite};
    if (gr_engine_duckdb_driver.open(&(gr_engine_options){config, gr_str_from("")}, &engine, &err))
        fail_msg("%s", err.message);
    if (engine->driver->connect(engine, GR_STR(""), &conn, &err)) fail_msg("%s", err.message);
    gr_str statements[16] = {gr_arena_printf(golden_suite, "ATTACH '" GR_FMT "' AS data", GR_ARG(file)),
                             GR_STR("USE data")};
    size_t n = 2;
    gr_str all = golden_read_file(GR_GOLDEN_DIR "/data.sql");
    for (size_t at = 0, end; (end = gr_str_find(all, ';', at)) != SIZE_MAX; at = end + 1)
        statements[n++] = gr_str_sub(all, at, end - at);
    for (size_t i = 0; i < n; i++)
        if (engine->driver->update(conn, &ctx, statements[i], NULL, 0, NULL, NULL, NULL, &err))
            fail_msg("%s", err.message);
    engine->driver->disconnect(conn);
    engine->driver->close(engine);
}

gr_config *golden_config(gr_str root, gr_source_config *source) {
    gr_config *config = GR_NEW(golden_suite, gr_config);
    *config = (gr_config){.root = root,
                          .sources = source,
                          .n_sources = 1,
                          .state_dir = GR_STR("state"),
                          .preagg_schema = GR_STR("granary"),
                          .external_default = true,
                          .build_verify = true,
                          .max_build_zones = 8,
                          .engine_memory_mb = 1024,
                          .engine_threads = 2,
                          .engine_connections = 4};
    return config;
}

gr_exec *golden_open(const gr_config *config) {
    gr_exec *exec;
    gr_diags diags;
    gr_model *model;
    gr_error err = {0};
    gr_diags_init(&diags, golden_suite);
    if (gr_exec_open(config, &exec, &err)) fail_msg("%s", err.message);
    if (gr_model_load_dir(GR_STR(GR_GOLDEN_DIR "/model"), &diags, &model, &err))
        fail_msg("%s: " GR_FMT, err.message, GR_ARG(diags.list.v[0].message));
    if (gr_exec_set_model(exec, model, &diags, &err)) fail_msg("%s", err.message);
    gr_model_unref(model);
    return exec;
}
