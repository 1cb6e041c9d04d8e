/* Static filters of a rollup: only rows that pass are stored. A query is served when its conditions imply them; what
 * they say already need not be asked again; they are a part of the table's identity; and what cannot be a condition on
 * stored rows is refused when the model is loaded. */
#include "plan_shop.h"
#include "plan_test.h"

#define OF(filters) "  - {name: st, measures: [count, uniq], dimensions: [city], filters: [" filters "]}\n"
#define WITH_STATUS(filters)                                                                                           \
    "  - {name: st, measures: [count, uniq], dimensions: [status, city], filters: [" filters "]}\n"
#define BY_DAY(filters)                                                                                                \
    "  - {name: st, measures: [count], time_dimension: created_at, granularity: day, filters: [" filters "]}\n"
#define IS(member, op, ...) "{member: " member ", operator: " op ", values: [" __VA_ARGS__ "]}"
#define A IS("status", "equals", "a")
#define AB IS("status", "in", "a, b")
#define Y2020 IS("created_at", "inDateRange", "'2020-01-01', '2020-12-31'")

static const test_case cases[] = {
    /* Every row that is asked for is stored. */
    {OF(A), "count", "", "", "", "source", "static_filter"},
    {OF(A), "count", "city", "", FILTER("city", "equals", "'x'"), "source", "static_filter"},
    {OF(A), "count", "", "", FILTER("status", "equals", "'a'"), "st", NULL},
    {OF(A), "count", "city", "", FILTER("status", "in", "'a'"), "st", NULL},
    {OF(A), "count", "", "", FILTER("status", "equals", "'b'"), "source", "filter_missing"},
    {OF(A), "count", "", "", FILTER("status", "equals", "'a','b'"), "source", "static_filter"},
    {OF(A), "count", "", "", "'filters':[{'or':[" F("status", "equals", "'a'") "," F("city", "equals", "'x'") "]}]",
     "source", "static_filter"},
    {OF(A), "count", "", "", "'filters':[{'and':[" F("status", "equals", "'a'") "," F("city", "equals", "'x'") "]}]",
     "st", NULL},
    {OF(A), "ov.count", "", "", "'filters':[{'member':'ov.status','operator':'equals','values':['a']}]", "st", NULL},
    /* A segment says nothing of the filter, although its SQL might. */
    {OF(A), "count", "", "", "'segments':['orders.done']", "source", "segment_missing"},
    /* What the static filter does not say already must be asked of a stored column. */
    {OF(AB), "count", "", "", FILTER("status", "in", "'b','a'"), "st", NULL},
    {OF(AB), "count", "", "", FILTER("status", "equals", "'a'"), "source", "filter_missing"},
    {WITH_STATUS(AB), "count", "", "", FILTER("status", "equals", "'a'"), "st", NULL},
    {WITH_STATUS(AB), "count", "", "", FILTER("status", "equals", "'c'"), "source", "static_filter"},
    {WITH_STATUS(AB), "count", "status", "", "", "source", "static_filter"},
    {OF(A), "count", "", "", "'filters':[" F("status", "equals", "'a'") "," F("status", "set", "") "]", "st", NULL},
    {OF(A), "count", "", "", "'filters':[" F("status", "equals", "'a'") "," F("status", "contains", "'a'") "]",
     "source", "filter_missing"},
    {OF(IS("status", "notEquals", "a")), "count", "", "", FILTER("status", "notEquals", "'a'"), "st", NULL},
    {OF(IS("status", "notEquals", "a")), "count", "", "", FILTER("status", "notEquals", "'b','a'"), "source",
     "filter_missing"},
    {OF("{member: status, operator: set}"), "count", "", "", FILTER("status", "set", ""), "st", NULL},
    /* A fixed value is the same in every stored row. */
    {OF(A), "uniq", "city", "", FILTER("status", "equals", "'a'"), "st", NULL},
    {WITH_STATUS(A), "uniq", "city", "", FILTER("status", "equals", "'a'"), "st", NULL},
    {WITH_STATUS(AB), "uniq", "city", "", FILTER("status", "equals", "'a','b'"), "source", "exact_grain"},
    {WITH_STATUS(AB), "uniq", "city", "", FILTER("status", "equals", "'a'"), "st", NULL},
    /* Several filters, all of them; a choice, as a whole. */
    {OF(A ", " IS("user_id", "gt", "5")), "count", "", "", FILTER("status", "equals", "'a'"), "source",
     "static_filter"},
    {OF(A ", " IS("user_id", "gt", "5")), "count", "", "",
     "'filters':[" F("user_id", "gt", "'5'") "," F("status", "equals", "'a'") "]", "st", NULL},
    {WITH_STATUS("{or: [" A ", " IS("city", "equals", "x") "]}"), "count", "", "",
     "'filters':[{'or':[" F("status", "equals", "'a'") "," F("city", "equals", "'x'") "]}]", "st", NULL},
    {WITH_STATUS("{or: [" A ", " IS("city", "equals", "x") "]}"), "count", "", "", FILTER("city", "equals", "'x'"),
     "st", NULL},
    {WITH_STATUS("{or: [" A ", " IS("city", "equals", "x") "]}"), "count", "", "", FILTER("city", "equals", "'y'"),
     "source", "static_filter"},
    {OF("{and: [" A ", " IS("user_id", "equals", "5") "]}"), "count", "", "",
     "'filters':[" F("user_id", "equals", "'5'") "," F("status", "equals", "'a'") "]", "st", NULL},
    /* On a joined cube: by the same way. */
    {OF(IS("users.country", "equals", "DE")), "count", "", "",
     "'filters':[{'member':'users.country','operator':'equals','values':['DE']}]", "st", NULL},
    {OF(IS("users.country", "equals", "DE")), "count", "", "", "", "source", "static_filter"},
    {OF(IS("CUBE.users.country", "equals", "DE")), "count", "", "",
     "'filters':[{'member':'ov.country','operator':'equals','values':['DE']}]", "st", NULL},
    /* Ranges of dates, given as a filter or as a dateRange; read in UTC. */
    {BY_DAY(Y2020), "count", "", "day 2020-02-01 2020-02-29", "", "st[2020-02-01 .. 2020-03-01)", NULL},
    {BY_DAY(Y2020), "count", "", "day", "", "source", "static_filter"},
    {BY_DAY(Y2020), "count", "", "day 2019-12-31 2020-02-29", "", "source[2019-12-31 .. 2020-03-01)", "static_filter"},
    {BY_DAY(Y2020), "count", "", "- 2020-01-01 2020-12-31", "", "st[2020-01-01 .. 2021-01-01)", NULL},
    {BY_DAY(Y2020), "count", "", "- 2020-01-01T10:00:00 2020-12-31", "",
     "st[2020-01-02 .. 2021-01-01) + source[2020-01-01T10:00:00.000 .. 2020-01-02)", "range_not_aligned"},
    {BY_DAY(Y2020), "count", "", "- 2020-01-01 2020-12-31", "'timezone':'America/New_York'",
     "source[2020-01-01 .. 2021-01-01)", "static_filter"},
    {BY_DAY(Y2020), "count", "", "- 2020-01-01 2020-12-30", "'timezone':'America/New_York'",
     "st[2020-01-01 .. 2020-12-31)", NULL},
    {BY_DAY(IS("created_at", "afterOrOnDate", "'2020-01-01'")), "count", "", "day 2020-02-01 2020-02-29", "",
     "st[2020-02-01 .. 2020-03-01)", NULL},
    {BY_DAY(Y2020), "count", "", "", FILTER("created_at", "inDateRange", "'2020-01-01','2020-12-31'"), "st", NULL},
    {BY_DAY(Y2020), "count", "", "", FILTER("created_at", "inDateRange", "'2020-02-01','2020-12-31'"), "source",
     "filter_missing"},
    /* None at all is none. */
    {OF(""), "count", "", "", "", "st", NULL},
};

static void conditions_imply(void **state) {
    (void)state;
    test_check_cases(HEAD, USERS, cases, COUNT(cases), true);
}

/* Which filters of the query the stored rows pass anyway. */
static void absorbed(void **state) {
    (void)state;
    static const struct {
        const char *rollup, *more, *absorbed; /* by filter of the query */
    } rows[] = {
        {OF(A), FILTER("status", "equals", "'a'"), "1"},
        {OF(A), "'filters':[" F("status", "equals", "'a'") "," F("city", "equals", "'x'") "]", "10"},
        {OF(A), "'filters':[" F("city", "set", "") "," F("status", "equals", "'a'") "," F("status", "set", "") "]",
         "011"},
        {WITH_STATUS(AB), FILTER("status", "equals", "'a'"), "0"},
        {WITH_STATUS(AB), FILTER("status", "equals", "'b','a'"), "1"},
        {WITH_STATUS(""), FILTER("status", "equals", "'a'"), "0"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena, "%s%s%s", HEAD, rows[i].rollup, USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        gr_plan *plan;
        gr_error err = {0};
        assert_int_equal(test_plan(&s, test_json("count", "", "", rows[i].more, arena), arena, &plan, &err), GR_OK);
        assert_non_null(plan->rollup);
        const gr_query *q = plan->query;
        assert_int_equal(q->n_row_filters, strlen(rows[i].absorbed));
        for (size_t k = 0; k < q->n_row_filters; k++)
            if (gr_scan_is_absorbed(&plan->pieces[0].scan, q->row_filters[k]) != (rows[i].absorbed[k] == '1'))
                fail_msg("row %zu, filter %zu", i, k);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* Filters are an extra of the grain hash (decisions 16): another table than without, and one for equal filters. */
static void identity(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {A, A, true},
        {A, "", false},
        {A, AB, false},
        {A, IS("orders.status", "equals", "a"), true},
        {A, IS("CUBE.status", "equals", "'a'"), true},
        {A, "{dimension: status, operator: equals, values: [a]}", true},
        {A, IS("status", "equals", "b"), false},
        {A, IS("status", "notEquals", "a"), false},
        {"", "", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena,
                                      "%s  - {name: a, measures: [count], dimensions: [city], filters: [%s]}\n"
                                      "  - {name: b, measures: [total], dimensions: [city], filters: [%s]}\n%s",
                                      HEAD, rows[i].a, rows[i].b, USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        const gr_rollup *a = gr_plan_index_rollup(s.index, s.model->preaggs[0]);
        const gr_rollup *b = gr_plan_index_rollup(s.index, s.model->preaggs[1]);
        assert_true(a->can_build && b->can_build);
        if (gr_str_eq(a->grain_hash, b->grain_hash) != rows[i].is_same) fail_msg("row %zu", i);
        assert_true(gr_str_eq(a->grain_columns, b->grain_columns));
        assert_true((b->entity == a) == rows[i].is_same);
        assert_int_equal(a->filters_text.n > 0, rows[i].a[0] != 0);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* What is wrong is said when the model is loaded, and such a rollup serves nothing. */
static void faults(void **state) {
    (void)state;
    static const struct {
        const char *filters, *message;
    } rows[] = {
        {IS("status", "equalz", "a"), "Operator equalz not supported for filter"},
        {IS("user_id", "equals", "abc"), "is not a number"},
        {IS("status", "equals", ""), "Values required for filter"},
        {"{member: status, operator: measureFilter}", "is for measures"},
        {IS("status", "inDateRange", "'2020-01-01'"), "cannot be used with orders.status"},
        {IS("created_at", "inDateRange", "last week"), "the filter on 'orders.created_at' has a relative date"},
        {IS("created_at", "afterDate", "now"), "has a relative date"},
        {IS("created_at", "beforeDate", "yesterday"), "has a relative date"},
        {IS("created_at", "inDateRange", "from 7 days ago to now"), "has a relative date"},
        {"{or: [" A ", " IS("created_at", "onTheDate", "today") "]}", "has a relative date"},
        {IS("created_at", "onTheDate", "2020-02-30"), "Can't parse date"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena, "%s" OF("%s") "%s", HEAD, rows[i].filters, USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        gr_diags diags;
        gr_diags_init(&diags, arena);
        s.index = gr_plan_index_new(s.model, (gr_plan_defaults){.is_external = true}, &diags, arena);
        if (diags.n_errors != 1) fail_msg("row %zu: %zu errors", i, diags.n_errors);
        const gr_diag *d = &diags.list.v[0];
        gr_str expected = gr_str_from(rows[i].message);
        if (gr_str_find_str(d->message, expected) == SIZE_MAX) fail_msg("row %zu: " GR_FMT, i, GR_ARG(d->message));
        assert_true(gr_str_find_str(d->message, GR_STR("preAggregations.st.filters")) != SIZE_MAX);
        assert_true(d->loc.line > 0 && d->hint.n > 0);
        const gr_rollup *r = gr_plan_index_rollup(s.index, s.model->preaggs[0]);
        assert_false(r->can_build);
        assert_true(r->problem != GR_OK && gr_str_find_str(r->problem_text, expected) != SIZE_MAX);
        test_case c = {"", "count", "", "", "", "source", "cannot_build"};
        assert_true(test_case_holds(&s, &c, i, false, arena));
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_imply),
        cmocka_unit_test(absorbed),
        cmocka_unit_test(identity),
        cmocka_unit_test(faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
