/* Kinds of pre-aggregations beside the plain rollup: stored rows of a cube (original_sql), joins of rollups with every
 * reason why one cannot be; rollups that another cube declares; sub_query dimensions; and what explain lists. */
#include "plan_shop.h"
#include "plan_test.h"

/* ---- original_sql -------------------------------------------------------------------------------------------------
 */

#define ORIGINAL "  - {name: stored, type: original_sql}\n"
#define ORIGINAL_2 "  - {name: stored_again, type: original_sql}\n"

#define TAIL                                                                                                           \
    "- name: users\n  sql_table: users\n"                                                                              \
    "  joins:\n  - {name: orders, sql: '{CUBE}.id = {orders}.user_id', relationship: one_to_many}\n"                   \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                                        \
    "  - {name: country, sql: country, type: string}\n"                                                                \
    "  - {name: spent, sub_query: true, sql: \"{orders.total}\", type: number}\n"                                      \
    "  - {name: spent_then, sub_query: true, sql: \"{orders.total}\", type: number, propagate_filters_to_sub_query: "  \
    "true}\n"                                                                                                          \
    "  measures:\n  - {name: count, type: count}\n"                                                                    \
    "  pre_aggregations:\n  - {name: users_stored, type: original_sql}\n"                                              \
    "  - {name: spenders, measures: [count], dimensions: [spent, spent_then, country]}\n"                              \
    "  - {name: foreign, measures: [orders.top], dimensions: [orders.status, country]}\n"

static void originals(void **state) {
    (void)state;
    static const struct {
        const char *rollups, *measures, *dimensions, *more, *serves, *originals;
    } rows[] = {
        {ORIGINAL, "count", "status", "", "source", "orders"},
        {ORIGINAL, "count", "users.country", "", "source", "orders users"},
        {ORIGINAL ORIGINAL_2, "count", "status", "", "source", "orders"}, /* the first of a cube */
        {MAIN ORIGINAL, "count", "status", "", "main", ""},
        {ORIGINAL MAIN, "count", "status", "", "main", ""}, /* rollups first, wherever they stand */
        {MAIN ORIGINAL, "top", "city", "", "source", "orders"},
        {MAIN, "top", "city", "", "source", ""},
        {ORIGINAL, "users.count", "users.country", FILTER("status", "equals", "'a'"), "source/users", "users orders"},
        {ORIGINAL, "count", "status", "'preAggregations':'forbid'", "source", ""},
        /* They are no rollups: what needs one is refused still. */
        {ORIGINAL, "count", "status", "'preAggregations':'require'", "plan.rollup_only", ""},
    };
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(gr_arena_printf(arena, "%s%s%s", HEAD, rows[i].rollups, TAIL).p, arena);
        test_case c = {"", rows[i].measures, rows[i].dimensions, "", rows[i].more, rows[i].serves, NULL};
        bool is_good = test_case_holds(&s, &c, i, false, arena);
        gr_plan *plan = NULL;
        gr_error err = {0};
        gr_str words = {0};
        const char *json = test_json(rows[i].measures, rows[i].dimensions, "", rows[i].more, arena);
        if (!test_plan(&s, json, arena, &plan, &err))
            for (size_t k = 0; k < plan->n_originals; k++) {
                assert_int_equal(plan->originals[k].rollup->preagg->type, GR_PREAGG_ORIGINAL_SQL);
                assert_ptr_equal(plan->originals[k].rollup->preagg->cube, plan->originals[k].cube);
                words = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(words), k ? " " : "",
                                        GR_ARG(plan->originals[k].cube->name));
            }
        if (plan) assert_true(plan->n_uses >= plan->n_originals);
        if (!gr_str_eq_z(words, rows[i].originals)) print_error("row %zu: '" GR_FMT "'\n", i, GR_ARG(words));
        n_bad += !is_good || !gr_str_eq_z(words, rows[i].originals);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* A rollup that is loaded from stored rows waits for them. */
static void dependencies(void **state) {
    (void)state;
    static const struct {
        const char *rollup, *needs;
    } rows[] = {
        {"  - {name: r, measures: [count], dimensions: [status], use_original_sql_pre_aggregations: true}\n", "stored"},
        {"  - {name: r, measures: [count], dimensions: [users.country], use_original_sql_pre_aggregations: true}\n",
         "stored users_stored"},
        {"  - {name: r, measures: [count], dimensions: [users.country]}\n", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s =
            test_snapshot(gr_arena_printf(arena, "%s%s%s%s", HEAD, rows[i].rollup, ORIGINAL, TAIL).p, arena);
        const gr_rollup **list;
        const gr_rollup *r = gr_plan_index_rollup(s.index, gr_model_cube(s.model, GR_STR("orders"))->preaggs[0]);
        size_t n = gr_rollup_dependencies(s.index, r, arena, &list);
        gr_str words = {0};
        for (size_t k = 0; k < n; k++)
            words =
                gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(words), k ? " " : "", GR_ARG(list[k]->preagg->name));
        if (!gr_str_eq_z(words, rows[i].needs)) fail_msg("row %zu: '" GR_FMT "'", i, GR_ARG(words));
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* ---- rollups of other cubes, sub_query dimensions
 * -------------------------------------------------------------------- */

static const test_case elsewhere[] = {
    /* Declared by users, computed over orders. */
    {MAIN, "top", "status", "", "", "foreign", "measure_missing"},
    {MAIN, "top", "users.country", "", "", "foreign", NULL},
    {MAIN, "top", "", "", "", "foreign", "measure_missing"},
    {"  - {name: own_top, measures: [top], dimensions: [status]}\n", "top", "status", "", "", "own_top", NULL},
    /* A sub_query dimension is a stored value; with filters that it takes over, it would be another one. */
    {MAIN, "users.count", "users.spent", "", "", "spenders", NULL},
    {MAIN, "users.count", "users.spent_then", "", "", "spenders", NULL},
    {MAIN, "users.count", "users.spent", "",
     "'filters':[{'member':'users.country','operator':'equals','values':['DE']}]", "spenders", NULL},
    {MAIN, "users.count", "users.spent_then", "",
     "'filters':[{'member':'users.country','operator':'equals','values':['DE']}]", "source", "sub_query_filter"},
    {MAIN, "users.count", "users.country", "",
     "'filters':[{'member':'users.spent_then','operator':'gt','values':['5']}]", "source", "filter_missing"},
};

static void of_other_cubes(void **state) {
    (void)state;
    test_check_cases(HEAD, TAIL, elsewhere, COUNT(elsewhere), false);
}

/* The plan that fills a sub_query dimension: its measure by the keys of its cube, with the filters that it takes over.
 */
static void sub_queries(void **state) {
    (void)state;
    static const struct {
        const char *dimension, *times, *more;
        size_t n_filters, n_times, n_segments;
    } rows[] = {
        {"users.spent", "", FILTER("status", "equals", "'a'"), 0, 0, 0},
        {"users.spent_then", "", FILTER("status", "equals", "'a'"), 1, 0, 0},
        {"users.spent_then", "- 2020-01-01 2020-01-31", "'segments':['orders.done']", 0, 1, 1},
        {"users.spent_then", "day", "", 0, 0, 0},
        /* A filter on a sub_query dimension is not one of rows below. */
        {"users.spent_then", "", "'filters':[{'member':'users.spent','operator':'gt','values':['5']}]", 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(HEAD MAIN TAIL, arena);
        gr_query *outer =
            test_query(&s, test_json("count", rows[i].dimension, rows[i].times, rows[i].more, arena), arena);
        const gr_member *dimension;
        gr_error err = {0};
        gr_plan *plan;
        assert_int_equal(gr_model_member(s.model, gr_str_from(rows[i].dimension), &dimension, &err), GR_OK);
        assert_int_equal(gr_plan_sub_query(&s, dimension, outer, gr_tz_utc(), arena, &plan, &err), GR_OK);
        const gr_query *q = plan->query;
        assert_string_equal(test_words(plan, false, arena).p, "source");
        assert_string_equal(test_tree_words(&plan->pieces[0].scan.group.tree, arena).p, "users users>orders");
        assert_int_equal(q->n_dimensions, 1);
        assert_string_equal(q->dimensions[0].id.p, "users.id");
        assert_string_equal(q->measures[0].id.p, "orders.total");
        if (q->n_row_filters != rows[i].n_filters || q->n_time_dimensions != rows[i].n_times ||
            q->n_segments != rows[i].n_segments)
            fail_msg("row %zu", i);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* ---- rollup_join
 * ------------------------------------------------------------------------------------------------------- */

#define JOIN_KEYS "{CUBE.user_id} = {users.id}"
#define JOINED_MODEL(join_sql, more_joins, rollups, users_rollups)                                                     \
    "cubes:\n- name: orders\n  sql_table: orders\n  joins:\n"                                                          \
    "  - {name: users, sql: '" join_sql "', relationship: many_to_one}\n" more_joins "  dimensions:\n"                 \
    "  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: user_id, sql: user_id, type: number}\n"      \
    "  - {name: status, sql: status, type: string}\n  - {name: at, sql: at, type: time}\n"                             \
    "  measures:\n  - {name: count, type: count}\n  - {name: total, sql: amount, type: sum}\n"                         \
    "  - {name: uniq, sql: status, type: count_distinct}\n  pre_aggregations:\n" rollups                               \
    "- name: users\n  sql_table: users\n  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"     \
    "  - {name: name, sql: name, type: string}\n  - {name: since, sql: since, type: time}\n"                           \
    "  measures:\n  - {name: count, type: count}\n  - {name: age, sql: age, type: sum}\n  "                            \
    "pre_aggregations:\n" users_rollups "- name: cards\n  sql_table: cards\n"                                          \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n  - {name: color, sql: color, type: "    \
    "string}\n"                                                                                                        \
    "  measures:\n  - {name: count, type: count}\n"
#define BY_USER "  - {name: by_user, measures: [total, count, uniq], dimensions: [user_id, status]}\n"
#define NAMES "  - {name: names, dimensions: [id, name]}\n"
#define JOIN_OF(members) "  - {name: joined, type: rollup_join, rollups: [by_user, users.names], " members "}\n"
#define JOINED JOIN_OF("measures: [total], dimensions: [status, users.name]")

static const struct {
    const char *yaml, *problem; /* NULL: it can be read */
} joins[] = {
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOINED, NAMES), NULL},
    {JOINED_MODEL("{users.id} = {CUBE.user_id}", "", BY_USER JOINED, NAMES), NULL},
    {JOINED_MODEL("{CUBE.user_id} = {users.id} AND {CUBE.status} = {users.name}", "", BY_USER JOINED, NAMES), NULL},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("dimensions: [status, users.name]"), NAMES), NULL},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [total, count], dimensions: [status, users.id]"), NAMES),
     NULL},
    /* Parts that cannot serve. */
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOINED,
                  "  - {name: names, dimensions: [id, name], filters: [{member: name, operator: set}]}\n"),
     "its rollup 'users.names' cannot be built"},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOINED, "  - {name: names, dimensions: [id, name], external: false}\n"), NULL},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOINED, "  - {name: names, dimensions: [id, name, cards.color]}\n"),
     "its rollup 'users.names' cannot be built"},
    /* Members that none of them stores. */
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [total], dimensions: [id, users.name]"), NAMES),
     "'orders.id' is stored in none of its rollups"},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [users.age], dimensions: [users.name, status]"), NAMES),
     "'users.age' is stored in none of its rollups"},
    /* Case 80: a time is stored at another granularity than the one that the join names. */
    {JOINED_MODEL(JOIN_KEYS, "",
                  "  - {name: by_user, measures: [total], dimensions: [user_id], time_dimension: at, granularity: "
                  "day}\n" JOIN_OF("measures: [total], dimensions: [users.name], time_dimension: at, granularity: "
                                   "month"),
                  NAMES),
     "'orders.at' is stored in none of its rollups"},
    /* Measures of both sides, or such as cannot be merged. */
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [total, users.age], dimensions: [users.name]"),
                  "  - {name: names, measures: [age], dimensions: [id, name]}\n"),
     "its measures come from more than one of its rollups"},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [uniq], dimensions: [users.name]"), NAMES),
     "'orders.uniq' cannot be merged"},
    /* Hops. */
    {JOINED_MODEL("{CUBE}.user_id = {users}.id", "", BY_USER JOINED, NAMES),
     "Please make sure join fields are referencing dimensions instead of columns"},
    {JOINED_MODEL("{CUBE.user_id} > {users.id}", "", BY_USER JOINED, NAMES), "does not compare dimensions"},
    {JOINED_MODEL("{CUBE.user_id} = {users.id} AND {users.name} = 5", "", BY_USER JOINED, NAMES),
     "does not compare dimensions"},
    {JOINED_MODEL(JOIN_KEYS, "", "  - {name: by_user, measures: [total], dimensions: [status]}\n" JOINED, NAMES),
     "does not compare dimensions that both rollups store"},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOINED, "  - {name: names, dimensions: [name]}\n"),
     "does not compare dimensions that both rollups store"},
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [total], dimensions: [status]"), NAMES),
     "Nothing to join in rollup join"},
    {JOINED_MODEL(JOIN_KEYS, "  - {name: cards, sql: '{CUBE.id} = {cards.id}', relationship: many_to_one}\n",
                  "  - {name: by_user, measures: [total], dimensions: [user_id, id, status, cards.color]}\n" JOIN_OF(
                      "measures: [total], dimensions: [cards.color, users.name]"),
                  NAMES),
     "No rollups found that can be used for a rollup join from \"orders\" to \"cards\""},
    /* Met on something else than the whole key: several rows of users for one of orders. */
    {JOINED_MODEL("{CUBE.status} = {users.name}", "", BY_USER JOINED, NAMES),
     "is not met on its whole primary key, so the join would multiply the measures"},
    /* Seen from users, there are several orders of each. */
    {JOINED_MODEL(JOIN_KEYS, "", BY_USER JOIN_OF("measures: [users.age], dimensions: [status]"),
                  "  - {name: names, measures: [age], dimensions: [id, name]}\n"),
     "is not met on its whole primary key"},
};

static void rollup_joins(void **state) {
    (void)state;
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(joins); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(joins[i].yaml, arena);
        const gr_rollup *r = gr_plan_index_rollup(s.index, gr_model_cube(s.model, GR_STR("orders"))->preaggs[1]);
        bool is_good = joins[i].problem
                           ? !r->can_build && r->problem != GR_OK &&
                                 gr_str_find_str(r->problem_text, gr_str_from(joins[i].problem)) != SIZE_MAX
                           : r->can_build && r->n_links == 1 && r->links[0].n >= 1;
        if (!is_good) print_error("row %zu: %d '" GR_FMT "'\n", i, r->can_build, GR_ARG(r->problem_text));
        n_bad += !is_good;
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* Which queries a rollup_join serves, and what must be built for it. */
static void rollup_joins_serve(void **state) {
    (void)state;
    static const test_case cases[] = {
        {"", "total", "status users.name", "", "", "joined", "dimension_missing"},
        {"", "total", "users.name", "", "", "joined", "dimension_missing"},
        {"", "total", "status", "", "", "by_user", NULL}, /* the first that matches */
        {"", "total", "", "", "'filters':[{'member':'users.name','operator':'equals','values':['x']}]", "joined", NULL},
        {"", "count", "users.name", "", "", "source", "dimension_missing"},
        {"", "total", "users.since", "", "", "source", NULL},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(JOINED_MODEL(JOIN_KEYS, "", BY_USER JOINED, NAMES), arena);
    for (size_t i = 0; i < COUNT(cases); i++) assert_true(test_case_holds(&s, &cases[i], i, false, arena));
    const gr_rollup **list;
    const gr_rollup *r = gr_plan_index_rollup(s.index, gr_model_cube(s.model, GR_STR("orders"))->preaggs[1]);
    assert_int_equal(gr_rollup_dependencies(s.index, r, arena, &list), 2);
    assert_string_equal(list[0]->preagg->id.p, "orders.by_user");
    assert_string_equal(list[1]->preagg->id.p, "users.names");
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* ---- explain
 * -------------------------------------------------------------------------------------------------------------- */

static void explains(void **state) {
    (void)state;
    static const struct {
        const char *rollups, *measures, *dimensions, *times, *more, *words;
    } rows[] = {
        {MAIN, "count", "status", "", "", "main: | foreign: measure_missing"},
        {MAIN, "top uniq", "user_id", "hour 2020-01-01T10:20:00 2020-01-31", "'segments':['orders.done']",
         "main: dimension_missing segment_missing granularity measure_missing exact_grain | foreign: "
         "dimension_missing segment_missing time_dimension_missing measure_missing exact_grain"},
        {MAIN "  - {name: other, measures: [top], dimensions: [city]}\n", "top", "status", "", "",
         "main: measure_missing | other: dimension_missing | foreign:"},
        {"  - {name: st, measures: [count], dimensions: [city], filters: [{member: status, operator: equals, values: "
         "[a]}]}\n",
         "count", "user_id", "", "",
         "st: dimension_missing static_filter | foreign: dimension_missing measure_missing"},
        {"  - {name: bad, measures: [count], dimensions: [status], filters: [{member: user_id, operator: equals, "
         "values: [x]}]}\n",
         "count", "status", "", "", "bad: cannot_build | foreign: measure_missing"},
        {MAIN, "count", "status", "", "'ungrouped':true", "main: ungrouped | foreign: ungrouped measure_missing"},
        /* By group: orders, then users over their keys. */
        {MAIN, "total users.count", "status", "", "",
         "main: | spenders: join_root | foreign: measure_missing | 2 main: measure_missing | 2 spenders: join_root | 2 "
         "foreign: measure_missing"},
    };
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(gr_arena_printf(arena, "%s%s%s", HEAD, rows[i].rollups, TAIL).p, arena);
        gr_plan *plan;
        gr_error err = {0};
        const char *json = test_json(rows[i].measures, rows[i].dimensions, rows[i].times, rows[i].more, arena);
        assert_int_equal(test_plan(&s, json, arena, &plan, &err), GR_OK);
        gr_plan_report report;
        assert_int_equal(gr_plan_explain(plan, arena, &report, &err), GR_OK);
        gr_str words = {0};
        for (size_t k = 0; k < report.n_candidates; k++) {
            const gr_candidate *c = &report.candidates[k];
            words = gr_arena_printf(arena, GR_FMT "%s%s" GR_FMT ":", GR_ARG(words), k ? " | " : "",
                                    c->group ? "2 " : "", GR_ARG(c->rollup->preagg->name));
            for (size_t j = 0; j < c->refusals.n; j++) {
                words = gr_arena_printf(arena, GR_FMT " %s", GR_ARG(words),
                                        gr_rule_id(c->refusals.v[j].rule).p + strlen("match."));
                assert_true(gr_refusal_detail(&c->refusals.v[j], arena).n > 0);
            }
        }
        if (!gr_str_eq_z(words, rows[i].words)) {
            print_error("row %zu: '" GR_FMT "', expected\n  '%s'\n", i, GR_ARG(words), rows[i].words);
            n_bad++;
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* Every rule has an id, a sentence, and where something small would help, that. */
static void words_of_rules(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD MAIN TAIL, arena);
    const gr_member *member;
    assert_int_equal(gr_model_member(s.model, GR_STR("orders.created_at"), &member, NULL), GR_OK);
    const gr_granularity *hour = gr_granularity_predefined(GR_GRAIN_HOUR);
    const gr_rollup *r = gr_plan_index_rollup(s.index, gr_model_cube(s.model, GR_STR("orders"))->preaggs[0]);
    for (int rule = 0; rule < GR_RULE__COUNT; rule++) {
        gr_refusal refusal = {(gr_rule)rule, r, member, hour};
        assert_true(gr_str_starts(gr_rule_id(refusal.rule), GR_STR("match.")));
        for (int other = 0; other < rule; other++)
            assert_false(gr_str_eq(gr_rule_id(refusal.rule), gr_rule_id((gr_rule)other)));
        gr_str doc = gr_rule_doc(refusal.rule), detail = gr_refusal_detail(&refusal, arena);
        assert_true(doc.n > 10 && gr_str_ends(doc, GR_STR(".")));
        assert_true(gr_str_find_str(detail, GR_STR("orders.created_at (hour)")) != SIZE_MAX);
        gr_str repair = gr_refusal_repair(&refusal, arena);
        assert_true(repair.n == 0 || repair.n > 10);
    }
    gr_refusal refusal = {GR_RULE_GRANULARITY, r, member, hour};
    assert_string_equal(gr_refusal_repair(&refusal, arena).p,
                        "store orders.created_at at granularity hour or finer (it is stored by day)");
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(originals),   cmocka_unit_test(dependencies),   cmocka_unit_test(of_other_cubes),
        cmocka_unit_test(sub_queries), cmocka_unit_test(rollup_joins),   cmocka_unit_test(rollup_joins_serve),
        cmocka_unit_test(explains),    cmocka_unit_test(words_of_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
