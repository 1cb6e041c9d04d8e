/* Shared by the tests of this room: a model from text, a query from a few words, the plan as if everything were built,
 * and the plan in words:
 *
 *      main                       one rollup
 *      main + source              two pieces
 *      source/users               over the distinct keys of users
 *      window(main)               a piece that looks at a stretch of the rows of another plan
 *      shift(main), over(main)    a multi-stage measure; spread(rows, inner)
 *      build main, probe t        planning stopped: that is wanted first */
#ifndef GR_TESTS_PLAN_TEST_H
#define GR_TESTS_PLAN_TEST_H
#include "base/buf.h"
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const int64_t test_now = 1594944000000000; /* 2020-07-17T00:00:00Z */

static inline gr_snapshot test_snapshot_with(const char *yaml, gr_plan_defaults defaults, gr_arena *arena) {
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), gr_str_from(yaml)};
    gr_model *model = NULL;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err))
        fail_msg("%s: " GR_FMT "\n%s", err.message, GR_ARG(diags.list.n ? diags.list.v[0].message : GR_STR("")), yaml);
    return (gr_snapshot){
        .model = model, .index = gr_plan_index_new(model, defaults, NULL, arena), .max_zones = 8, .now_us = test_now};
}

static inline gr_snapshot test_snapshot(const char *yaml, gr_arena *arena) {
    return test_snapshot_with(yaml, (gr_plan_defaults){.is_external = true}, arena);
}

static inline gr_query *test_query(const gr_snapshot *s, const char *json, gr_arena *arena) {
    gr_query_options options = {10000, 50000, 500, 32, 1000, gr_tz_utc(), test_now, true};
    gr_error err = {0};
    json_t *root;
    gr_query *query;
    if (gr_json_parse(gr_str_from(json), 1 << 20, arena, &root, &err)) fail_msg("%s: %s", json, err.message);
    if (gr_query_parse(s->model, root, &options, arena, &query, &err)) fail_msg("%s: %s", json, err.message);
    return query;
}

static inline gr_status test_plan(const gr_snapshot *s, const char *json, gr_arena *arena, gr_plan **ret,
                                  gr_error *err) {
    gr_query *query = test_query(s, json, arena);
    return gr_plan_query(s, query, (gr_plan_options){.ignore_builds = true}, arena, ret, err);
}

/* ---- queries in words -------------------------------------------------------------------------------------------- */

/* The next word up to a character of `ends`; empty at the end. */
static inline gr_str test_word(const char **at, const char *ends) {
    while (**at == ' ') ++*at;
    size_t n = strcspn(*at, ends);
    gr_str word = {*at, n};
    *at += n;
    return word;
}

static inline void test_add_member(gr_buf *out, gr_str name) {
    bool is_short = gr_str_find(name, '.', 0) >= name.n;
    gr_buf_printf(out, "\"%s" GR_FMT "\"", is_short ? "orders." : "", GR_ARG(name));
}

static inline void test_add_list(gr_buf *out, const char *key, const char *names) {
    gr_buf_printf(out, "\"%s\":[", key);
    const char *at = names ? names : "";
    bool is_first = true;
    for (gr_str word = test_word(&at, " "); word.n; word = test_word(&at, " "), is_first = false) {
        if (!is_first) gr_buf_char(out, ',');
        test_add_member(out, word);
    }
    gr_buf_z(out, "],");
}

/* "day", "updated_at:month", "- 2020-01-01 2020-01-31", several separated by ';'. */
static inline void test_add_times(gr_buf *out, const char *times) {
    gr_buf_z(out, "\"timeDimensions\":[");
    for (const char *at = times ? times : ""; *at;) {
        gr_str grain = test_word(&at, " ;"), member = GR_STR("created_at");
        size_t colon = gr_str_find(grain, ':', 0);
        if (colon < grain.n) {
            member = gr_str_sub(grain, 0, colon);
            grain = gr_str_sub(grain, colon + 1, grain.n - colon - 1);
        }
        gr_buf_z(out, "{\"dimension\":");
        test_add_member(out, member);
        if (!gr_str_eq_z(grain, "-")) gr_buf_printf(out, ",\"granularity\":\"" GR_FMT "\"", GR_ARG(grain));
        gr_str from = test_word(&at, " ;"), to = test_word(&at, " ;");
        if (from.n) gr_buf_printf(out, ",\"dateRange\":[\"" GR_FMT "\",\"" GR_FMT "\"]", GR_ARG(from), GR_ARG(to));
        gr_buf_char(out, '}');
        if (*at == ';') {
            at++;
            gr_buf_char(out, ',');
        }
    }
    gr_buf_z(out, "],");
}

/* Members without a dot are of orders. `more`: further keys of the query, with ' for ". */
static inline const char *test_json(const char *measures, const char *dimensions, const char *times, const char *more,
                                    gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    gr_buf_char(&out, '{');
    test_add_list(&out, "measures", measures);
    test_add_list(&out, "dimensions", dimensions);
    test_add_times(&out, times);
    for (const char *at = more ? more : ""; *at; at++) gr_buf_char(&out, *at == '\'' ? '"' : *at);
    gr_str text = gr_str_trim(gr_buf_str(&out));
    if (text.p[text.n - 1] == ',') text.n--;
    const char *json = gr_arena_printf(arena, GR_FMT "}", GR_ARG(text)).p;
    gr_buf_done(&out);
    return json;
}

/* One filter, for `more`: 'filters':[F("status", "equals", "'a'")]. */
#define F(member, op, values) "{'member':'orders." member "','operator':'" op "','values':[" values "]}"
#define FILTER(member, op, values) "'filters':[" F(member, op, values) "]"

/* ---- plans in words ------------------------------------------------------------------------------------------------
 */

static inline void test_add_point(gr_buf *out, int64_t us) {
    char text[40];
    if (us == INT64_MIN || us == INT64_MAX) return;
    gr_str s = {text, gr_time_format(us, text)};
    if (gr_str_ends(s, GR_STR("T00:00:00.000"))) s.n -= strlen("T00:00:00.000");
    gr_buf_add(out, s);
    if (us % 1000) gr_buf_printf(out, "+%dus", (int)(us % 1000));
}

static inline void test_add_plan(gr_buf *out, const gr_plan *plan, bool with_ranges);

static inline void test_add_scan(gr_buf *out, const gr_scan *scan, bool with_ranges) {
    gr_buf_add(out, scan->rollup ? scan->rollup->preagg->name : GR_STR("source"));
    if (!scan->rollup && scan->group.key_node != GR_TREE_NONE)
        gr_buf_printf(out, "/" GR_FMT, GR_ARG(scan->group.tree.nodes[scan->group.key_node].cube->name));
    if (!with_ranges || !scan->query->n_time_dimensions || !scan->times[0].has_range) return;
    gr_buf_char(out, '[');
    test_add_point(out, scan->times[0].range.from_local_us);
    gr_buf_z(out, " .. ");
    test_add_point(out, scan->times[0].range.to_local_us);
    gr_buf_char(out, ')');
}

static inline void test_add_plan(gr_buf *out, const gr_plan *plan, bool with_ranges) {
    static const char *const forms[] = {[GR_STAGE_SHIFT] = "shift",
                                        [GR_STAGE_SPREAD] = "spread",
                                        [GR_STAGE_OVER] = "over",
                                        [GR_STAGE_FOLD] = "fold",
                                        [GR_STAGE_RANK] = "rank"};
    if (plan->to_build) gr_buf_printf(out, "build " GR_FMT, GR_ARG(plan->to_build->preagg->name));
    if (plan->to_probe) gr_buf_printf(out, "probe " GR_FMT, GR_ARG(plan->to_probe->field.member->name));
    for (size_t i = 0; i < plan->n_pieces; i++) {
        const gr_piece *piece = &plan->pieces[i];
        if (i) gr_buf_z(out, " + ");
        if (piece->kind == GR_PIECE_SCAN) {
            test_add_scan(out, &piece->scan, with_ranges);
            continue;
        }
        bool is_window = piece->kind == GR_PIECE_WINDOW;
        gr_buf_printf(out, "%s(", is_window ? "window" : forms[piece->stage.form]);
        if (!is_window && piece->stage.rows) {
            test_add_plan(out, piece->stage.rows, with_ranges);
            gr_buf_z(out, ", ");
        }
        test_add_plan(out, is_window ? piece->window.inner : piece->stage.inner, with_ranges);
        gr_buf_char(out, ')');
    }
}

static inline gr_str test_words(const gr_plan *plan, bool with_ranges, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    test_add_plan(&out, plan, with_ranges);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

/* "users", "users>orders": cubes with the one that each hangs from, root first. */
static inline gr_str test_tree_words(const gr_tree *tree, gr_arena *arena) {
    gr_str text = {0};
    for (size_t i = 0; i < tree->n; i++) {
        gr_str name = tree->nodes[i].cube->name, up = tree->nodes[tree->nodes[i].parent].cube->name;
        text = i == 0 ? name
                      : gr_arena_printf(arena, GR_FMT " " GR_FMT ">" GR_FMT, GR_ARG(text), GR_ARG(up), GR_ARG(name));
    }
    return text;
}

/* ---- tables --------------------------------------------------------------------------------------------------------
 */

typedef struct test_case {
    const char *rollups;                              /* of the pre_aggregations of orders */
    const char *measures, *dimensions, *times, *more; /* see test_json */
    const char *serves;                               /* the plan in words, or the id of the error ("plan.…") */
    const char *rule; /* of the first refusals, without "match."; "nothing": there is none; NULL: not asked */
} test_case;

/* "match.a match.b" without the prefixes, of the first refusals. */
static inline gr_str test_rules(const gr_plan *plan, size_t n, gr_arena *arena) {
    if (!plan->n_refusals) return GR_STR("nothing");
    gr_str text = {0};
    for (size_t i = 0; i < n && i < plan->n_refusals; i++) {
        gr_str id = gr_rule_id(plan->refusals[i].rule);
        text = gr_arena_printf(arena, GR_FMT "%s%s", GR_ARG(text), i ? " " : "", id.p + strlen("match."));
        assert_true(gr_refusal_detail(&plan->refusals[i], arena).n > 0);
        (void)gr_refusal_repair(&plan->refusals[i], arena);
    }
    return text;
}

/* False, and the reason is printed. */
static inline bool test_case_holds(const gr_snapshot *s, const test_case *c, size_t row, bool with_ranges,
                                   gr_arena *arena) {
    const char *json = test_json(c->measures, c->dimensions, c->times, c->more, arena);
    gr_plan *plan = NULL;
    gr_error err = {0};
    if (test_plan(s, json, arena, &plan, &err)) {
        if (!strcmp(gr_error_info_of(err.status)->id, c->serves)) return true;
        print_error("row %zu %s: %s (%s), expected '%s'\n", row, json, err.message, err.hint, c->serves);
        return false;
    }
    size_t n_rules = 1;
    for (const char *at = c->rule; at && (at = strchr(at, ' ')); at++) n_rules++;
    gr_str words = test_words(plan, with_ranges, arena), rules = test_rules(plan, n_rules, arena);
    if (gr_str_eq_z(words, c->serves) && (!c->rule || gr_str_eq_z(rules, c->rule))) return true;
    print_error("row %zu %s:\n  '" GR_FMT "' (" GR_FMT "), expected\n  '%s' (%s)\n", row, json, GR_ARG(words),
                GR_ARG(rules), c->serves, c->rule ? c->rule : "any");
    return false;
}

/* Each row's model is `head`, its rollups, `tail`. */
static inline void test_check_cases(const char *head, const char *tail, const test_case *cases, size_t n,
                                    bool with_ranges) {
    size_t n_bad = 0;
    for (size_t i = 0; i < n; i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena, "%s%s%s", head, cases[i].rollups, tail);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        n_bad += !test_case_holds(&s, &cases[i], i, with_ranges, arena);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}
#endif
