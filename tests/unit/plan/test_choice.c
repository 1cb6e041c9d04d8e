/* Which of the rollups that match serves: what is built, failed, to be built first; the fewest rows; what the request
 * asks for; zones and build ranges of what is stored. */
#include "plan_shop.h"
#include "plan_test.h"

enum { NEVER = 0, BUILT = 1, FAILED = 2 };

/* What is known of one rollup in one zone. */
typedef struct known {
    const char *name, *zone; /* name NULL: the end */
    int state;
    int64_t rows;
    const char *from, *to; /* the stored range, or NULL */
} known;

typedef struct choice_case {
    const char *rollups;
    known states[3];
    const char *measures, *times, *more;
    const char *excluded; /* its build failed for this request, or NULL */
    const char *serves, *rule;
} choice_case;

#define A(more) "  - {name: a, measures: [count], dimensions: [status, city]" more "}\n"
#define B(more) "  - {name: b, measures: [count], dimensions: [status]" more "}\n"
#define C(more) "  - {name: c, measures: [count], time_dimension: created_at, granularity: day" more "}\n"
#define H(more) "  - {name: h, measures: [count], time_dimension: created_at, granularity: hour" more "}\n"
#define LATER ", build: explicit"
#define CHEAP ", selection: cheapest"
#define RANGED ", build_range_start: {sql: select 1}, build_range_end: {sql: select 2}"

static const choice_case choices[] = {
    /* Built, to be built on demand, waiting for its user. */
    {A(""), {{"a", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "a", NULL},
    {A(""), {{0}}, "count", "", "", NULL, "build a", NULL},
    {A(LATER), {{0}}, "count", "", "", NULL, "source", "not_built"},
    {A(LATER), {{"a", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "a", NULL},
    {A(LATER) B(""), {{"b", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "b", "not_built"},
    {A("") B(""), {{"b", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "build a", NULL}, /* the first that matches */
    /* Failed: the next one, then the source, until it may be tried again. */
    {A(""), {{"a", "UTC", FAILED, 0, 0, 0}}, "count", "", "", NULL, "source", "build_failed"},
    {A("") B(""),
     {{"a", "UTC", FAILED, 0, 0, 0}, {"b", "UTC", BUILT, 5, 0, 0}},
     "count",
     "",
     "",
     NULL,
     "b",
     "build_failed"},
    {A("") B(""), {{"a", "UTC", FAILED, 0, 0, 0}}, "count", "", "", NULL, "build b", "build_failed"},
    {A(""), {{0}}, "count", "", "", "a", "source", "build_failed"},
    {A("") B(""), {{0}}, "count", "", "", "a", "build b", "build_failed"},
    /* The request: nothing but the source, nothing but rollups. */
    {A(""), {{"a", "UTC", BUILT, 5, 0, 0}}, "count", "", "'preAggregations':'forbid'", NULL, "source", "forbidden"},
    {A(""), {{"a", "UTC", BUILT, 5, 0, 0}}, "count", "", "'preAggregations':'require'", NULL, "a", NULL},
    {A(""), {{"a", "UTC", BUILT, 5, 0, 0}}, "total", "", "'preAggregations':'require'", NULL, "plan.rollup_only", NULL},
    {A(""), {{0}}, "count", "", "'preAggregations':'require'", NULL, "build a", NULL},
    {A(LATER), {{0}}, "count", "", "'preAggregations':'require'", NULL, "plan.rollup_only", NULL},
    {C(""),
     {{"c", "UTC", BUILT, 5, 0, 0}},
     "count",
     "- 2020-01-01T10:00:00 2020-01-05",
     "'preAggregations':'require'",
     NULL,
     "plan.rollup_only",
     NULL},
    /* The fewest rows, where the model or the request says so; ties go to the first. */
    {A("") B(""), {{"a", "UTC", BUILT, 9, 0, 0}, {"b", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "a", NULL},
    {A("") B(CHEAP), {{"a", "UTC", BUILT, 9, 0, 0}, {"b", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "b", NULL},
    {A(CHEAP) B(""), {{"a", "UTC", BUILT, 5, 0, 0}, {"b", "UTC", BUILT, 9, 0, 0}}, "count", "", "", NULL, "a", NULL},
    {A(CHEAP) B(""), {{"a", "UTC", BUILT, 5, 0, 0}, {"b", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "a", NULL},
    {A("") B(""),
     {{"a", "UTC", BUILT, 9, 0, 0}, {"b", "UTC", BUILT, 5, 0, 0}},
     "count",
     "",
     "'selection':'cheapest'",
     NULL,
     "b",
     NULL},
    {A("") B(CHEAP),
     {{"a", "UTC", BUILT, 9, 0, 0}, {"b", "UTC", BUILT, 5, 0, 0}},
     "count",
     "",
     "'selection':'first'",
     NULL,
     "a",
     NULL},
    /* What is built goes before what would be built first. */
    {A(CHEAP) B(""), {{"b", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "b", NULL},
    {A(CHEAP) B(""), {{"a", "UTC", BUILT, 5, 0, 0}}, "count", "", "", NULL, "a", NULL},
    {A(CHEAP) B(""), {{0}}, "count", "", "", NULL, "build a", NULL},
    {A(CHEAP) B(""), {{"a", "UTC", FAILED, 0, 0, 0}}, "count", "", "", NULL, "build b", "build_failed"},
    /* Zones: each of its own, within the limit (two here). */
    {C(""), {{"c", "UTC", BUILT, 5, 0, 0}}, "count", "day", "'timezone':'Asia/Tokyo'", NULL, "build c", NULL},
    {C(""), {{"c", "Asia/Tokyo", BUILT, 5, 0, 0}}, "count", "day", "'timezone':'Asia/Tokyo'", NULL, "c", NULL},
    {C(""),
     {{"c", "UTC", BUILT, 5, 0, 0}, {"c", "Europe/Berlin", NEVER, 0, 0, 0}},
     "count",
     "day",
     "'timezone':'Asia/Tokyo'",
     NULL,
     "source",
     "time_zone"},
    {C(""),
     {{"c", "UTC", BUILT, 5, 0, 0}, {"c", "Asia/Tokyo", NEVER, 0, 0, 0}},
     "count",
     "day",
     "'timezone':'Asia/Tokyo'",
     NULL,
     "build c",
     NULL},
    {H(""), {{"h", "UTC", BUILT, 5, 0, 0}}, "count", "day", "'timezone':'Asia/Tokyo'", NULL, "h", NULL},
    /* Tiles: each rollup is built before it is read. */
    {C(""), {{"c", "UTC", BUILT, 5, 0, 0}}, "count", "- 2020-01-01T10:00:00 2020-01-05", "", NULL, "c + source", NULL},
    {C(""), {{0}}, "count", "- 2020-01-01T10:00:00 2020-01-05", "", NULL, "build c", NULL},
    {C("") H(""),
     {{"c", "UTC", BUILT, 5, 0, 0}},
     "count",
     "- 2020-01-01T10:20:00 2020-01-05",
     "",
     NULL,
     "build h",
     NULL},
    {C("") H(LATER),
     {{"c", "UTC", BUILT, 5, 0, 0}},
     "count",
     "- 2020-01-01T10:20:00 2020-01-05",
     "",
     NULL,
     "c + source",
     NULL},
    {C(LATER) H(""),
     {{"h", "UTC", BUILT, 5, 0, 0}},
     "count",
     "- 2020-01-01T10:20:00 2020-01-05",
     "",
     NULL,
     "h + source",
     NULL},
    /* What begins where a doubled hour ends has no such place on the clock. */
    {H(RANGED),
     {{"h", "UTC", BUILT, 5, "2019-11-03T06:00:00", "2019-12-01"}},
     "count",
     "day 2019-11-01 2019-11-05",
     "'timezone':'America/New_York'",
     NULL,
     "source",
     "build_range"},
    {H(RANGED),
     {{"h", "UTC", BUILT, 5, "2019-11-03T05:00:00", "2019-12-01"}},
     "count",
     "day 2019-11-01 2019-11-05",
     "'timezone':'America/New_York'",
     NULL,
     "h + source",
     NULL},
    /* Build ranges: what lies outside is read elsewhere. */
    {C(RANGED),
     {{"c", "UTC", BUILT, 5, "2020-01-01", "2020-02-01"}},
     "count",
     "day 2020-01-05 2020-01-31",
     "",
     NULL,
     "c",
     NULL},
    {C(RANGED),
     {{"c", "UTC", BUILT, 5, "2020-01-01", "2020-02-01"}},
     "count",
     "day 2020-01-05 2020-02-05",
     "",
     NULL,
     "c + source",
     "build_range"},
    {C(RANGED),
     {{"c", "UTC", BUILT, 5, "2020-01-01", "2020-02-01"}},
     "count",
     "day 2020-03-05 2020-03-06",
     "",
     NULL,
     "source",
     "build_range"},
    {C(RANGED),
     {{"c", "UTC", BUILT, 5, "2020-01-01", "2020-02-01"}},
     "count",
     "day",
     "",
     NULL,
     "source",
     "build_range"},
    {C(RANGED), {{"c", "UTC", BUILT, 5, "2020-01-01", "2020-02-01"}}, "count", "", "", NULL, "source", "build_range"},
};

static const gr_rollup *named(const gr_snapshot *s, const char *name) {
    const gr_cube *orders = gr_model_cube(s->model, GR_STR("orders"));
    for (size_t i = 0; i < orders->n_preaggs; i++)
        if (gr_str_eq_z(orders->preaggs[i]->name, name)) return gr_plan_index_rollup(s->index, orders->preaggs[i]);
    fail_msg("no rollup '%s'", name);
    return NULL;
}

static int64_t at(const char *text) {
    int64_t us = 0;
    gr_time_zone_part zone;
    bool is_date;
    assert_true(gr_time_parse(gr_str_from(text), &us, &zone, &is_date));
    return us;
}

static void add_state(gr_snapshot *s, const known *k, gr_arena *arena) {
    const gr_rollup *r = named(s, k->name);
    uint32_t index = r->preagg->index;
    gr_rollup_state *list = GR_NEW_N(arena, gr_rollup_state, s->n_states[index] + 1);
    if (s->n_states[index]) memcpy(list, s->states[index], s->n_states[index] * sizeof *list);
    gr_rollup_state *state = &list[s->n_states[index]++];
    *state = (gr_rollup_state){.is_built = k->state == BUILT,
                               .is_failed = k->state == FAILED,
                               .retry_at_us = test_now + 1,
                               .rows = k->rows,
                               .has_range = k->from != NULL};
    assert_int_equal(gr_tz_get(gr_str_from(k->zone), &state->zone, NULL), GR_OK);
    if (k->from) {
        gr_run *run = GR_NEW(arena, gr_run);
        run->from_us = at(k->from);
        run->to_us = at(k->to);
        state->covered = run;
        state->n_covered = 1;
    }
    s->states[index] = list;
}

static gr_status plan_choice(const choice_case *c, int64_t now_us, gr_arena *arena, gr_snapshot *s, gr_plan **ret,
                             gr_error *err) {
    *s = test_snapshot(gr_arena_printf(arena, "%s%s%s", HEAD, c->rollups, USERS).p, arena);
    s->states = GR_NEW_N(arena, gr_rollup_state *, s->model->n_preaggs);
    s->n_states = GR_NEW_N(arena, size_t, s->model->n_preaggs);
    s->max_zones = 2;
    for (size_t k = 0; k < COUNT(c->states) && c->states[k].name; k++) add_state(s, &c->states[k], arena);
    const gr_rollup *excluded = c->excluded ? named(s, c->excluded) : NULL;
    gr_plan_options options = {.excluded = &excluded, .n_excluded = excluded != NULL, .now_us = now_us};
    const gr_query *q = test_query(s, test_json(c->measures, "", c->times, c->more, arena), arena);
    return gr_plan_query(s, q, options, arena, ret, err);
}

static void what_serves(void **state) {
    (void)state;
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(choices); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s;
        gr_plan *plan = NULL;
        gr_error err = {0};
        gr_str words, rules = {0};
        if (plan_choice(&choices[i], test_now, arena, &s, &plan, &err)) {
            words = gr_str_from(gr_error_info_of(err.status)->id);
        } else {
            words = test_words(plan, false, arena);
            rules = test_rules(plan, 1, arena);
            assert_true(!plan->to_build || plan->n_pieces == 0);
            if (plan->rollup)
                assert_ptr_equal(plan->state, gr_snapshot_state(&s, plan->rollup->preagg, plan->rollup_zone));
        }
        bool is_good =
            gr_str_eq_z(words, choices[i].serves) && (!choices[i].rule || gr_str_eq_z(rules, choices[i].rule));
        if (!is_good)
            print_error("row %zu: '" GR_FMT "' (" GR_FMT "), expected '%s'\n", i, GR_ARG(words), GR_ARG(rules),
                        choices[i].serves);
        n_bad += !is_good;
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* A failed build is tried again when its time has come. */
static void tries_again(void **state) {
    (void)state;
    static const choice_case c = {A(""), {{"a", "UTC", FAILED, 0, 0, 0}}, "count", "", "", NULL, "", NULL};
    static const struct {
        int64_t after_us;
        const char *words;
    } rows[] = {{-1, "source"}, {0, "source"}, {1, "build a"}, {1000, "build a"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s;
        gr_plan *plan = NULL;
        gr_error err = {0};
        assert_int_equal(plan_choice(&c, test_now + rows[i].after_us, arena, &s, &plan, &err), GR_OK);
        assert_string_equal(test_words(plan, false, arena).p, rows[i].words);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* The pieces of a query that goes beyond the build range. */
static void outside_the_build_range(void **state) {
    (void)state;
    static const struct {
        const char *times, *words;
    } rows[] = {
        {"day 2019-12-30 2020-02-05",
         "c[2020-01-01 .. 2020-02-01) + source[2019-12-30 .. 2020-01-01) + source[2020-02-01 .. 2020-02-06)"},
        {"month 2020-01-10 2020-02-05", "c[2020-01-10 .. 2020-02-01) + source[2020-02-01 .. 2020-02-06)"},
        {"- 2020-01-10T10:00:00 2020-02-05", "c[2020-01-11 .. 2020-02-01) + source[2020-01-10T10:00:00.000 .. "
                                             "2020-01-11) + source[2020-02-01 .. 2020-02-06)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        choice_case c = {
            C(RANGED), {{"c", "UTC", BUILT, 5, "2020-01-01", "2020-02-01"}}, "count", rows[i].times, "", NULL, "",
            NULL};
        gr_arena *arena = gr_arena_new();
        gr_snapshot s;
        gr_plan *plan = NULL;
        gr_error err = {0};
        assert_int_equal(plan_choice(&c, test_now, arena, &s, &plan, &err), GR_OK);
        gr_str words = test_words(plan, true, arena);
        if (!gr_str_eq_z(words, rows[i].words)) fail_msg("row %zu: " GR_FMT, i, GR_ARG(words));
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_serves),
        cmocka_unit_test(tries_again),
        cmocka_unit_test(outside_the_build_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
