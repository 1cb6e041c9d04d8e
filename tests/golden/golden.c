/* Golden files: a query over the model of this folder -> what serves it, each refusal, and the SQL. Every case is also
 * executed: the planned statement must run, and the answer from a rollup must be the answer from the source.
 * `golden --bless` rewrites the expectations (plan.json, duckdb.sql); look at the difference before committing it. */
#include "base/buf.h"
#include "data/json.h"
#include "exec/exec.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_bless;
static gr_arena *suite;
static gr_exec *executor;
static char root[] = "/tmp/granary-golden-XXXXXX";
static const int64_t fixed_now = 1594944000000000; /* 2020-07-17 */

static gr_str read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return (gr_str){0};
    gr_buf text;
    gr_buf_init(&text, 1 << 24);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f));) gr_buf_add(&text, (gr_str){chunk, n});
    fclose(f);
    gr_str copy = gr_arena_dup(suite, gr_buf_str(&text));
    gr_buf_done(&text);
    return copy;
}

static void check_file(const char *dir, const char *name, gr_str actual) {
    gr_str path = gr_arena_printf(suite, "%s/%s", dir, name);
    if (is_bless) {
        FILE *f = fopen(path.p, "wb");
        assert_non_null(f);
        fwrite(actual.p, 1, actual.n, f);
        fclose(f);
        return;
    }
    gr_str expected = read_file(path.p);
    if (gr_str_eq(expected, actual)) return;
    fail_msg("%s differs.\nexpected: " GR_FMT "\nactual:   " GR_FMT, path.p, GR_ARG(expected), GR_ARG(actual));
}

static void add_scan(const gr_scan *scan, gr_buf *out) {
    gr_buf_printf(out, "scan " GR_FMT, GR_ARG(scan->rollup ? scan->rollup->preagg->id : GR_STR("source")));
    if (scan->group.key_node != GR_TREE_NONE)
        gr_buf_printf(out, ", keys of " GR_FMT, GR_ARG(scan->group.tree.nodes[scan->group.key_node].cube->name));
    for (size_t i = 0; i < scan->query->n_time_dimensions; i++) {
        const gr_range *r = &scan->times[i].range;
        char from[48] = "", to[48] = "";
        if (!scan->times[i].has_range) continue;
        if (r->from_local_us != INT64_MIN) from[gr_time_format(r->from_local_us, from)] = 0;
        if (r->to_local_us != INT64_MAX) to[gr_time_format(r->to_local_us, to)] = 0;
        gr_buf_printf(out, ", [%s, %s)", from, to);
    }
}

static void add_pieces(const gr_plan *plan, int depth, gr_buf *out) {
    static const char *const forms[] = {"shift", "spread", "over", "fold", "rank"};
    for (size_t i = 0; plan && i < plan->n_pieces; i++) {
        const gr_piece *piece = &plan->pieces[i];
        gr_buf_printf(out, "%s\n    \"%*s", i || depth ? "," : "", 2 * depth, "");
        if (piece->kind == GR_PIECE_SCAN) add_scan(&piece->scan, out);
        if (piece->kind == GR_PIECE_WINDOW) gr_buf_printf(out, "window of %zu buckets", piece->window.n_buckets);
        if (piece->kind == GR_PIECE_STAGE) gr_buf_printf(out, "stage %s", forms[piece->stage.form]);
        gr_buf_char(out, '"');
        add_pieces(piece->window.inner, depth + 1, out);
        add_pieces(piece->stage.rows, depth + 1, out);
        add_pieces(piece->stage.inner, depth + 1, out);
    }
}

static gr_str plan_text(const gr_plan *plan) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    const gr_rollup *r = plan->rollup;
    gr_buf_printf(&out,
                  "{\n  \"serves\": \"" GR_FMT "\",\n  \"zone\": \"" GR_FMT "\",\n  \"exact\": %s,\n  \"pieces\": [",
                  GR_ARG(r              ? r->preagg->id
                         : plan->n_uses ? GR_STR("several")
                                        : GR_STR("source")),
                  GR_ARG(r ? gr_tz_name(plan->rollup_zone) : GR_STR("")), plan->is_exact_match ? "true" : "false");
    add_pieces(plan, 0, &out);
    gr_buf_z(&out, "\n  ],\n  \"refusals\": [");
    for (size_t i = 0; i < plan->n_refusals; i++) {
        const gr_refusal *f = &plan->refusals[i];
        gr_buf_printf(&out, "%s\n    \"" GR_FMT ": " GR_FMT " " GR_FMT "\"", i ? "," : "",
                      GR_ARG(f->rollup->preagg->id), GR_ARG(gr_rule_id(f->rule)),
                      GR_ARG(f->member ? f->member->id : GR_STR("")));
    }
    gr_buf_z(&out, plan->n_refusals ? "\n  ]\n}\n" : "]\n}\n");
    gr_str text = gr_arena_dup(suite, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static gr_str sql_text(const gr_sql *sql) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_buf_add(&out, sql->text);
    gr_buf_char(&out, '\n');
    for (size_t i = 0; i < sql->n_params; i++) {
        const gr_value *v = &sql->params[i];
        char stamp[48];
        gr_buf_printf(&out, "-- $%zu ", i + 1);
        if (v->type == GR_TYPE_UTF8)
            gr_buf_add(&out, v->as.s);
        else if (v->type == GR_TYPE_TIMESTAMP)
            gr_buf_add(&out, (gr_str){stamp, gr_time_format(v->as.i, stamp)});
        else if (v->type == GR_TYPE_FLOAT64)
            gr_buf_printf(&out, "%.17g", v->as.d);
        else
            gr_buf_i64(&out, v->type == GR_TYPE_BOOL ? v->as.b : v->as.i);
        gr_buf_char(&out, '\n');
    }
    gr_str text = gr_arena_dup(suite, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static gr_plan *plan_of(const gr_ctx *ctx, const gr_snapshot *s, json_t *json, bool rollups, bool as_if_built) {
    gr_query_options options = {10000, 50000, 500, 32, 1000, gr_tz_utc(), fixed_now, false};
    gr_query *query;
    gr_plan *plan;
    gr_error err = {0};
    if (gr_query_parse(s->model, json, &options, ctx->arena, &query, &err)) fail_msg("%s", err.message);
    gr_plan_options how = {.without_rollups = !rollups, .ignore_builds = as_if_built, .now_us = fixed_now};
    if (gr_plan_query(s, query, how, ctx->arena, &plan, &err)) fail_msg("%s", err.message);
    return plan;
}

/* All cells as one text, in the order of the answer. */
static gr_str run(const gr_ctx *ctx, json_t *json, bool rollups) {
    gr_error err = {0};
    for (;;) {
        const gr_snapshot *s = gr_exec_snapshot_ref(executor);
        gr_plan *plan = plan_of(ctx, s, json, rollups, false);
        if (plan->to_build) {
            gr_build_result built;
            const gr_build_ask ask = {.run = plan->to_build_run};
            if (gr_exec_build(executor, ctx, s, plan->to_build, plan->to_build_zone, &ask, &built, &err))
                fail_msg("%s", err.message);
            gr_exec_snapshot_unref(s);
            continue;
        }
        gr_sql sql;
        gr_stream *stream;
        gr_table *table;
        if (gr_sql_query(plan, gr_exec_dialect(executor), ctx->arena, &sql, &err)) fail_msg("%s", err.message);
        if (gr_exec_query(executor, ctx, plan->data_source, &sql, &stream, &err))
            fail_msg("%s\n" GR_FMT, err.message, GR_ARG(sql.text));
        if (gr_table_read(stream, 100000, ctx->arena, &table, &err)) fail_msg("%s", err.message);
        stream->close(stream);
        gr_exec_snapshot_unref(s);
        gr_buf out;
        gr_buf_init(&out, 1 << 24);
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
            gr_buf_printf(&out, GR_FMT "%c", GR_ARG(table->cells[i].is_null ? GR_STR("null") : table->cells[i].text),
                          (i + 1) % table->n_columns ? '|' : '\n');
        gr_str text = gr_arena_dup(ctx->arena, gr_buf_str(&out));
        gr_buf_done(&out);
        return text;
    }
}

static size_t number_length(gr_str s, size_t at) {
    size_t n = 0;
    while (at + n < s.n && (strchr("0123456789.-+eE", s.p[at + n]) != NULL)) n++;
    return n;
}

/* Equal texts, but for the last digits of floating point: sums of parts round in another order (decisions 1). */
static bool are_same(gr_str a, gr_str b) {
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

static void run_case(void **state) {
    const char *dir = *state;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = fixed_now};
    json_t *input;
    gr_error err = {0};
    if (gr_json_parse(read_file(gr_arena_printf(arena, "%s/case.json", dir).p), 1 << 20, arena, &input, &err))
        fail_msg("%s", err.message);
    json_t *query = json_object_get(input, "query");
    bool rollups = json_is_true(json_object_get(input, "rollups"));
    const gr_snapshot *s = gr_exec_snapshot_ref(executor);
    gr_snapshot unbuilt = *s; /* goldens do not depend on what earlier cases built */
    unbuilt.states = NULL;
    unbuilt.n_states = NULL;
    gr_plan *plan = plan_of(&ctx, &unbuilt, query, rollups, true);
    gr_sql sql;
    if (gr_sql_query(plan, gr_exec_dialect(executor), arena, &sql, &err)) fail_msg("%s", err.message);
    check_file(dir, "plan.json", plan_text(plan));
    check_file(dir, "duckdb.sql", sql_text(&sql));
    gr_exec_snapshot_unref(s);
    gr_str from_source = run(&ctx, query, false);
    assert_true(from_source.n > 0);
    gr_str from_rollup = run(&ctx, query, true);
    if (!are_same(from_source, from_rollup))
        fail_msg("answers differ\nsource:\n" GR_FMT "\nrollup:\n" GR_FMT, GR_ARG(from_source), GR_ARG(from_rollup));
    gr_arena_free(arena);
}

static void make_data(const gr_config *config) {
    gr_engine *engine;
    gr_engine_conn *conn;
    gr_error err = {0};
    gr_ctx ctx = {.arena = suite};
    if (gr_engine_duckdb_driver.open(&(gr_engine_options){config, gr_str_from("")}, &engine, &err))
        fail_msg("%s", err.message);
    gr_str file = config->sources[0].path;
    if (engine->driver->connect(engine, GR_STR(""), &conn, &err)) fail_msg("%s", err.message);
    gr_str statements[16] = {gr_arena_printf(suite, "ATTACH '" GR_FMT "' AS data", GR_ARG(file)), GR_STR("USE data")};
    size_t n = 2;
    gr_str all = read_file(GR_GOLDEN_DIR "/data.sql");
    for (size_t at = 0, end; (end = gr_str_find(all, ';', at)) != SIZE_MAX; at = end + 1)
        statements[n++] = gr_str_sub(all, at, end - at);
    for (size_t i = 0; i < n; i++)
        if (engine->driver->update(conn, &ctx, statements[i], NULL, 0, NULL, NULL, NULL, &err))
            fail_msg("%s", err.message);
    engine->driver->disconnect(conn);
    engine->driver->close(engine);
}

static int open_all(void **state) {
    (void)state;
    gr_error err = {0};
    assert_non_null(mkdtemp(root));
    gr_source_config *source = GR_NEW(suite, gr_source_config);
    *source = (gr_source_config){.name = GR_STR("default"), .path = gr_arena_printf(suite, "%s/data.duckdb", root)};
    gr_config *config = GR_NEW(suite, gr_config);
    *config = (gr_config){.root = gr_str_from(root),
                          .sources = source,
                          .n_sources = 1,
                          .state_dir = GR_STR("state"),
                          .preagg_schema = GR_STR("granary"),
                          .external_default = true,
                          .max_build_zones = 8,
                          .engine_memory_mb = 1024,
                          .engine_threads = 2,
                          .engine_connections = 4};
    make_data(config);
    gr_diags diags;
    gr_model *model;
    gr_diags_init(&diags, suite);
    if (gr_exec_open(config, &executor, &err)) fail_msg("%s", err.message);
    if (gr_model_load_dir(GR_STR(GR_GOLDEN_DIR "/model"), &diags, &model, &err))
        fail_msg("%s: " GR_FMT, err.message, GR_ARG(diags.list.v[0].message));
    if (gr_exec_set_model(executor, model, &diags, &err)) fail_msg("%s", err.message);
    gr_model_unref(model);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    gr_exec_close(executor);
    return system(gr_arena_printf(suite, "rm -rf %s", root).p);
}

int main(int argc, char **argv) {
    is_bless = argc > 1 && strcmp(argv[1], "--bless") == 0;
    suite = gr_arena_new();
    struct dirent **entries;
    int n = scandir(GR_GOLDEN_DIR "/cases", &entries, NULL, alphasort);
    struct CMUnitTest *tests = GR_NEW_N(suite, struct CMUnitTest, (size_t)(n > 0 ? n : 1));
    size_t n_tests = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            gr_str name = gr_arena_dup(suite, gr_str_from(entries[i]->d_name));
            gr_str dir = gr_arena_printf(suite, GR_GOLDEN_DIR "/cases/" GR_FMT, GR_ARG(name));
            char *path = strdup(dir.p);
            tests[n_tests++] = (struct CMUnitTest){.name = name.p, .test_func = run_case, .initial_state = path};
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    int failed = _cmocka_run_group_tests("golden", tests, n_tests, open_all, close_all);
    for (size_t i = 0; i < n_tests; i++) free(tests[i].initial_state);
    gr_arena_free(suite);
    return n_tests == 0 ? 1 : failed;
}
