/* Golden files: a query over the model of this folder -> what serves it, each refusal, and the SQL. Every case is also
 * executed: the planned statement must run, and the answer from a rollup must be the answer from the source.
 * `golden --bless` rewrites the expectations (plan.json, duckdb.sql); look at the difference before committing it. */
#include "golden/world.h"

#include <dirent.h>
#include <unistd.h>

static bool is_bless;
static gr_exec *executor;
static char root[] = "/tmp/granary-golden-XXXXXX";

static void check_file(const char *dir, const char *name, gr_str actual) {
    gr_str path = gr_arena_printf(golden_suite, "%s/%s", dir, name);
    if (is_bless) {
        FILE *f = fopen(path.p, "wb");
        assert_non_null(f);
        fwrite(actual.p, 1, actual.n, f);
        fclose(f);
        return;
    }
    gr_str expected = golden_read_file(path.p);
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
    gr_str text = gr_arena_dup(golden_suite, gr_buf_str(&out));
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
    gr_str text = gr_arena_dup(golden_suite, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static void run_case(void **state) {
    const char *dir = *state;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = GOLDEN_NOW};
    json_t *input;
    gr_error err = {0};
    if (gr_json_parse(golden_read_file(gr_arena_printf(arena, "%s/case.json", dir).p), 1 << 20, arena, &input, &err))
        fail_msg("%s", err.message);
    json_t *query = json_object_get(input, "query");
    bool rollups = json_is_true(json_object_get(input, "rollups"));
    const gr_snapshot *s = gr_exec_snapshot_ref(executor);
    gr_snapshot unbuilt = *s; /* goldens do not depend on what earlier cases built */
    unbuilt.states = NULL;
    unbuilt.n_states = NULL;
    gr_plan *plan = golden_plan(&ctx, &unbuilt, query, rollups, true);
    gr_sql sql;
    if (gr_sql_query(plan, gr_exec_places(executor), arena, &sql, &err)) fail_msg("%s", err.message);
    check_file(dir, "plan.json", plan_text(plan));
    check_file(dir, "duckdb.sql", sql_text(&sql));
    gr_exec_snapshot_unref(s);
    gr_str from_source, from_rollup;
    if (golden_run(executor, &ctx, query, false, &from_source, &err)) fail_msg("%s", err.message);
    assert_true(from_source.n > 0);
    if (golden_run(executor, &ctx, query, true, &from_rollup, &err)) fail_msg("%s", err.message);
    if (!golden_are_same(from_source, from_rollup))
        fail_msg("answers differ\nsource:\n" GR_FMT "\nrollup:\n" GR_FMT, GR_ARG(from_source), GR_ARG(from_rollup));
    gr_arena_free(arena);
}

static int open_all(void **state) {
    (void)state;
    assert_non_null(mkdtemp(root));
    gr_source_config *source = GR_NEW(golden_suite, gr_source_config);
    *source =
        (gr_source_config){.name = GR_STR("default"), .path = gr_arena_printf(golden_suite, "%s/data.duckdb", root)};
    golden_make_data(gr_str_from(root), source->path);
    executor = golden_open(golden_config(gr_str_from(root), source));
    return 0;
}

static int close_all(void **state) {
    (void)state;
    gr_exec_close(executor);
    return system(gr_arena_printf(golden_suite, "rm -rf %s", root).p);
}

int main(int argc, char **argv) {
    is_bless = argc > 1 && strcmp(argv[1], "--bless") == 0;
    golden_suite = gr_arena_new();
    struct dirent **entries;
    int n = scandir(GR_GOLDEN_DIR "/cases", &entries, NULL, alphasort);
    struct CMUnitTest *tests = GR_NEW_N(golden_suite, struct CMUnitTest, (size_t)(n > 0 ? n : 1));
    size_t n_tests = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            gr_str name = gr_arena_dup(golden_suite, gr_str_from(entries[i]->d_name));
            gr_str dir = gr_arena_printf(golden_suite, GR_GOLDEN_DIR "/cases/" GR_FMT, GR_ARG(name));
            char *path = strdup(dir.p);
            tests[n_tests++] = (struct CMUnitTest){.name = name.p, .test_func = run_case, .initial_state = path};
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    int failed = _cmocka_run_group_tests("golden", tests, n_tests, open_all, close_all);
    for (size_t i = 0; i < n_tests; i++) free(tests[i].initial_state);
    gr_arena_free(golden_suite);
    return n_tests == 0 ? 1 : failed;
}
