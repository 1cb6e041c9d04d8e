/* rollup_lambda: where each part ends, what the source gives, and what stands against it. The pieces are half-open and
 * meet at the cuts, so that each row is in one of them. */
#include "plan/internal.h"
#include "plan_shop.h"
#include "plan_test.h"

/* What is known of one part. */
typedef struct part {
    const char *name, *zone; /* name NULL: the end */
    const char *closed;      /* closed_until; NULL: not known */
    const char *bounds;      /* of its partitions: each begins where the one before ends; NULL: in one table */
    const char *from, *to;   /* what is stored; NULL: without limit */
    bool has_null;           /* a partition of the rows without a time */
} part;

typedef struct lambda_case {
    const char *rollups;
    part parts[3];
    const char *measures, *dimensions, *times, *more;
    const char *words; /* the plan with ranges */
    const char *rule;  /* a refusal of the lambda, without "match."; NULL: there is none */
} lambda_case;

#define L(list, more) "  - {name: l, type: rollup_lambda, rollups: [" list "]" more "}\n"
#define LIVE ", union_with_source_data: true"
#define PART(name, measures, grain, more)                                                                              \
    "  - {name: " name ", measures: [" measures                                                                        \
    "], dimensions: [status], time_dimension: created_at, granularity: " grain more "}\n"
#define M(more) PART("m", "count, avg_a", "day", ", partition_granularity: month" more)
#define D(more) PART("d", "count, avg_a", "day", ", partition_granularity: day" more)
#define W(more) PART("w", "count, avg_a", "day", more)
#define H(more) PART("h", "count, avg_a", "hour", more)
#define U(more) PART("u", "uniq", "day", more)
#define NON_STRICT ", allow_non_strict_date_range_match: true"
#define RANGED ", build_range_start: {sql: select 1}, build_range_end: {sql: select 2}"

#define BUILT_M                                                                                                        \
    { "m", "UTC", "2020-03-10", "2020-01-01 2020-02-01 2020-03-01 2020-04-01", NULL, NULL, false }
#define BUILT_D                                                                                                        \
    { "d", "UTC", "2020-03-20", "2020-03-18 2020-03-19 2020-03-20 2020-03-21", NULL, NULL, false }
#define BUILT_W                                                                                                        \
    { "w", "UTC", "2020-03-10", NULL, NULL, NULL, false }

static const lambda_case cases[] = {
    /* One part and the source: up to the bucket that was open. */
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count avg_a",
     "status",
     "day 2020-03-01 2020-03-31",
     "",
     "w[2020-03-01 .. 2020-03-10) + source[2020-03-10 .. 2020-04-01)",
     NULL},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "month 2020-03-01 2020-03-09",
     "",
     "w[2020-03-01 .. 2020-03-10)",
     NULL},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "day 2020-03-10 2020-03-11",
     "",
     "source[2020-03-10 .. 2020-03-12)",
     NULL},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "day 2020-04-01 2020-04-02",
     "",
     "source[2020-04-01 .. 2020-04-03)",
     NULL},
    {L("m", LIVE) M(""),
     {BUILT_M},
     "count",
     "",
     "- 2020-02-10 2020-03-20",
     "",
     "m[2020-02-10 .. 2020-03-10) + source[2020-03-10 .. 2020-03-21)",
     NULL},
    /* Ragged ends: the start is an edge, the end is the source's anyway; within closed time both are edges. */
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "- 2020-03-01 2020-03-20T10:00:00",
     "",
     "w[2020-03-01 .. 2020-03-10) + source[2020-03-10 .. 2020-03-20T10:00:00.000+1us)",
     NULL},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "- 2020-03-01T05:00:00 2020-03-20",
     "",
     "w[2020-03-02 .. 2020-03-10) + source[2020-03-01T05:00:00.000 .. 2020-03-02) + source[2020-03-10 .. 2020-03-21)",
     "range_not_aligned"},
    {L("w", LIVE) W("") H(""),
     {BUILT_W, {"h", "UTC", "2020-03-10T07:00:00", NULL, NULL, NULL, false}},
     "count",
     "",
     "- 2020-03-01 2020-03-05T05:59:59.999",
     "",
     "h[2020-03-01 .. 2020-03-05T06:00:00.000)",
     "range_not_aligned"},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "- 2020-03-01 2020-03-05T05:59:59.999",
     "",
     "w[2020-03-01 .. 2020-03-05) + source[2020-03-05 .. 2020-03-05T06:00:00.000)",
     "range_not_aligned"},
    /* Without a range: rows without a time are the first part's. */
    {L("w", LIVE) W(""), {BUILT_W}, "count", "status", "", "", "w[ .. 2020-03-10) + source[2020-03-10 .. )", NULL},
    {L("w", LIVE) W(""), {BUILT_W}, "count", "", "month", "", "w[ .. 2020-03-10) + source[2020-03-10 .. )", NULL},
    {L("m, d", LIVE) M("") D(""),
     {{"m", "UTC", "2020-03-10", "2020-01-01 2020-02-01 2020-03-01 2020-04-01", NULL, NULL, true}, BUILT_D},
     "count",
     "",
     "",
     "",
     "m[ .. 2020-03-01) + d[2020-03-01 .. 2020-03-20) + source[2020-03-20 .. )",
     NULL},
    {L("w", LIVE) W(RANGED),
     {{"w", "UTC", "2020-03-10", NULL, "2020-01-01", "2020-03-11", false}},
     "count",
     "status",
     "",
     "",
     "source",
     "build_range"},
    /* Several: whole partitions of all but the last one. */
    {L("m, d", "") M("") D(""),
     {BUILT_M, BUILT_D},
     "count",
     "",
     "day 2020-02-10 2020-03-31",
     "",
     "m[2020-02-10 .. 2020-03-01) + d[2020-03-01 .. 2020-04-01)",
     NULL},
    {L("m, d", LIVE) M("") D(""),
     {BUILT_M, BUILT_D},
     "count",
     "",
     "week 2020-02-03 2020-04-05",
     "",
     "m[2020-02-03 .. 2020-03-01) + d[2020-03-01 .. 2020-03-20) + source[2020-03-20 .. 2020-04-06)",
     NULL},
    {L("m, d", LIVE) M("") D(""),
     {BUILT_M, BUILT_D},
     "count",
     "",
     "day 2020-02-03 2020-02-05",
     "",
     "m[2020-02-03 .. 2020-02-06)",
     NULL},
    {L("m, d", LIVE) M("") D(""),
     {BUILT_M, BUILT_D},
     "count",
     "",
     "day 2020-03-03 2020-03-05",
     "",
     "d[2020-03-03 .. 2020-03-06)",
     NULL},
    {L("m, d", LIVE) M("") D(""),
     {{"m", "UTC", "2020-01-20", "2020-01-01 2020-02-01", NULL, NULL, false}, BUILT_D},
     "count",
     "",
     "day 2020-01-03 2020-01-25",
     "",
     "d[2020-01-03 .. 2020-01-26)",
     NULL},
    /* The picture of cube.md 6.10: ranges that overlap. */
    {L("m, d", "") M(RANGED) D(RANGED),
     {{"m", "UTC", "2020-03-01", "2020-01-01 2020-02-01 2020-03-01 2020-03-02", "2020-01-01", "2020-03-02", false},
      {"d", "UTC", "2020-03-20", "2020-02-27 2020-03-01 2020-03-21", "2020-02-27", "2020-03-21", false}},
     "count",
     "",
     "day 2020-01-01 2020-03-20",
     "",
     "m[2020-01-01 .. 2020-03-01) + d[2020-03-01 .. 2020-03-21)",
     NULL},
    /* … and beyond them, before, after, and in a gap between the two. */
    {L("m, d", "") M(RANGED) D(RANGED),
     {{"m", "UTC", "2020-02-01", "2020-01-01 2020-02-01 2020-02-02", "2020-01-01", "2020-02-02", false},
      {"d", "UTC", "2020-03-20", "2020-03-01 2020-03-21", "2020-03-01", "2020-03-21", false}},
     "count",
     "",
     "day 2019-12-30 2020-03-25",
     "",
     "m[2020-01-01 .. 2020-02-01) + d[2020-03-01 .. 2020-03-21) + source[2019-12-30 .. 2020-01-01) + m[2020-02-01 .. "
     "2020-02-02) + source[2020-02-02 .. 2020-03-01) + source[2020-03-21 .. 2020-03-26)",
     "range_not_aligned"},
    {L("m, d", LIVE) M(RANGED) D(RANGED),
     {{"m", "UTC", "2020-02-01", "2020-01-01 2020-02-01 2020-02-02", "2020-01-01", "2020-02-02", false},
      {"d", "UTC", "2020-03-20", "2020-02-01 2020-03-21", "2020-02-01", "2020-03-21", false}},
     "count",
     "",
     "day 2020-01-05 2020-03-25",
     "",
     "m[2020-01-05 .. 2020-02-01) + d[2020-02-01 .. 2020-03-20) + source[2020-03-20 .. 2020-03-26)",
     NULL},
    /* Each part is built when it is needed. */
    {L("m, d", LIVE) M("") D(""), {{0}}, "count", "", "day 2020-02-03 2020-02-05", "", "build m", NULL},
    {L("m, d", LIVE) M("") D(""), {BUILT_M}, "count", "", "day 2020-02-03 2020-03-05", "", "build d", NULL},
    {L("m, d", LIVE) M("") D(""),
     {BUILT_M},
     "count",
     "",
     "day 2020-02-03 2020-02-05",
     "",
     "m[2020-02-03 .. 2020-02-06)",
     NULL},
    {L("m, d", LIVE) M(", build: explicit") D(""),
     {BUILT_D},
     "count",
     "",
     "day 2020-02-03 2020-02-05",
     "",
     "d[2020-02-03 .. 2020-02-06)",
     "not_built"},
    {L("w", LIVE) W(""),
     {{0}},
     "count",
     "id",
     "day 2020-02-03 2020-02-05",
     "",
     "source[2020-02-03 .. 2020-02-06)",
     "dimension_missing"},
    /* Measures that cannot be merged: at whole groups, or not at all. */
    {L("u", LIVE) U(""),
     {{"u", "UTC", "2020-03-10", NULL, NULL, NULL, false}},
     "uniq",
     "status",
     "day 2020-03-01 2020-03-31",
     "",
     "u[2020-03-01 .. 2020-03-10) + source[2020-03-10 .. 2020-04-01)",
     NULL},
    {L("u", LIVE) U(""),
     {{"u", "UTC", "2020-03-10", NULL, NULL, NULL, false}},
     "uniq",
     "status",
     "- 2020-03-09 2020-03-09",
     "",
     "u[2020-03-09 .. 2020-03-10)",
     NULL},
    {L("u", LIVE) U(""),
     {{"u", "UTC", "2020-03-10", NULL, NULL, NULL, false}},
     "uniq",
     "status",
     "- 2020-03-09 2020-03-10",
     "",
     "source[2020-03-09 .. 2020-03-11)",
     "exact_grain"},
    /* A loose range is loose at its ends, and not at cuts. */
    {L("w", LIVE) W(NON_STRICT),
     {BUILT_W},
     "count",
     "",
     "- 2020-03-01T05:00:00 2020-03-20",
     "",
     "w[2020-03-01T05:00:00.000 .. 2020-03-10) + source[2020-03-10 .. 2020-03-21)",
     NULL},
    /* Time zones: the wall clock; a cut in a doubled hour has no place on it. */
    {L("h", LIVE) H(""),
     {{"h", "UTC", "2020-03-10T07:00:00", NULL, NULL, NULL, false}},
     "count",
     "",
     "day 2020-03-01 2020-03-31",
     "'timezone':'America/New_York'",
     "h[2020-03-01 .. 2020-03-10T03:00:00.000) + source[2020-03-10T03:00:00.000 .. 2020-04-01)",
     NULL},
    {L("h", LIVE) PART("h", "count", "minute", ""),
     {{"h", "UTC", "2019-11-03T05:30:00", NULL, NULL, NULL, false}},
     "count",
     "",
     "day 2019-11-01 2019-11-30",
     "'timezone':'America/New_York'",
     "h[2019-11-01 .. 2019-12-01)",
     "lambda"},
    {L("h", LIVE) H(""), /* the end of the doubled hour reads as its beginning */
     {{"h", "UTC", "2019-11-03T06:00:00", NULL, NULL, NULL, false}},
     "count",
     "",
     "day 2019-11-01 2019-11-30",
     "'timezone':'America/New_York'",
     "h[2019-11-01 .. 2019-11-03T01:00:00.000) + source[2019-11-03T01:00:00.000 .. 2019-12-01)",
     NULL},
    {L("h", LIVE) H(""),
     {{"h", "UTC", "2020-03-10T07:00:00", NULL, NULL, NULL, false}},
     "count",
     "",
     "day 2020-03-01 2020-03-31",
     "'timezone':'Asia/Kolkata'",
     "source[2020-03-01 .. 2020-04-01)",
     "time_zone"},
    {L("w", LIVE) W(""),
     {{"w", "Asia/Kolkata", "2020-03-10", NULL, NULL, NULL, false}},
     "count",
     "",
     "day 2020-03-01 2020-03-31",
     "'timezone':'Asia/Kolkata'",
     "w[2020-03-01 .. 2020-03-10) + source[2020-03-10 .. 2020-04-01)",
     NULL},
    /* An earlier Granary did not say how far it is closed. */
    {L("w", LIVE) W(""),
     {{"w", "UTC", NULL, NULL, NULL, NULL, false}},
     "count",
     "",
     "day 2020-03-01 2020-03-31",
     "",
     "w[2020-03-01 .. 2020-04-01)",
     "lambda"},
    /* A pinned version has no live half; rows are not put together from pieces. */
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "day 2020-03-01 2020-03-31",
     "'preAggregations':'require'",
     "plan.rollup_only",
     NULL},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "day 2020-03-01 2020-03-05",
     "'preAggregations':'require'",
     "w[2020-03-01 .. 2020-03-06)",
     NULL},
    {L("w", LIVE) W(""),
     {BUILT_W},
     "count",
     "",
     "day 2020-03-01 2020-03-31",
     "'preAggregations':'forbid'",
     "source[2020-03-01 .. 2020-04-01)",
     "forbidden"},
    /* Of one rollup it is another name. */
    {L("w", "") W(""), {BUILT_W}, "count", "", "day 2020-03-01 2020-03-31", "", "w[2020-03-01 .. 2020-04-01)", NULL},
    {L("w", "") W(""), {BUILT_W}, "count", "", "", "", "w", NULL},
};

static int64_t at(const char *text) {
    int64_t us = 0;
    gr_time_zone_part zone;
    bool is_date;
    if (!gr_time_parse(gr_str_from(text), &us, &zone, &is_date)) fail_msg("not a point: %s", text);
    return us;
}

static void add_partitions(gr_rollup_state *out, const part *p, gr_arena *arena) {
    gr_partition *v = GR_NEW_N(arena, gr_partition, 16);
    size_t n = 0;
    if (p->has_null) v[n++] = (gr_partition){.run = {INT64_MIN, INT64_MIN}};
    int64_t before = INT64_MIN;
    for (const char *text = p->bounds; *text;) {
        gr_str word = test_word(&text, " ");
        int64_t us = at(gr_arena_printf(arena, GR_FMT, GR_ARG(word)).p);
        if (before != INT64_MIN) v[n++] = (gr_partition){.run = {before, us}};
        before = us;
    }
    out->partitions = v;
    out->n_partitions = n;
    out->tables = GR_NEW_N(arena, gr_partition_table, 1);
    out->n_tables = 1;
}

static const gr_rollup *rollup_named(const gr_snapshot *s, const char *name) {
    for (size_t i = 0; i < s->model->n_preaggs; i++)
        if (gr_str_eq_z(s->model->preaggs[i]->name, name)) return gr_plan_index_rollup(s->index, s->model->preaggs[i]);
    fail_msg("no rollup %s", name);
    return NULL;
}

static void add_state(gr_snapshot *s, const part *p, gr_arena *arena) {
    uint32_t i = rollup_named(s, p->name)->entity->preagg->index;
    gr_rollup_state *out = GR_NEW(arena, gr_rollup_state);
    const gr_tz *zone = NULL;
    assert_int_equal(gr_tz_get(gr_str_from(p->zone), &zone, NULL), GR_OK);
    *out = (gr_rollup_state){.zone = zone, .is_built = true, .rows = 5, .built_at_us = test_now};
    out->has_closed = p->closed != NULL;
    if (p->closed) out->closed_until_us = at(p->closed);
    if (p->bounds) add_partitions(out, p, arena);
    if (p->from) {
        gr_run *run = GR_NEW(arena, gr_run);
        *run = (gr_run){at(p->from), at(p->to)};
        out->has_range = true;
        out->covered = run;
        out->n_covered = 1;
    }
    s->states[i] = out;
    s->n_states[i] = 1;
}

static gr_status plan_of(const lambda_case *c, gr_arena *arena, gr_snapshot *ret, gr_plan **ret_plan, gr_error *err) {
    *ret = test_snapshot(gr_arena_printf(arena, "%s%s%s", HEAD, c->rollups, USERS).p, arena);
    ret->states = GR_NEW_N(arena, gr_rollup_state *, ret->model->n_preaggs + 1);
    ret->n_states = GR_NEW_N(arena, size_t, ret->model->n_preaggs + 1);
    for (size_t i = 0; i < COUNT(c->parts) && c->parts[i].name; i++) add_state(ret, &c->parts[i], arena);
    const char *json = test_json(c->measures, c->dimensions, c->times, c->more, arena);
    gr_query *query = test_query(ret, json, arena);
    return gr_plan_query(ret, query, (gr_plan_options){.now_us = test_now}, arena, ret_plan, err);
}

static bool has_refusal(const gr_plan *plan, const gr_rollup *lambda, const char *rule, gr_arena *arena) {
    bool is_there = false;
    for (size_t i = 0; i < plan->n_refusals; i++) {
        const gr_refusal *r = &plan->refusals[i];
        assert_true(gr_refusal_detail(r, arena).n > 0);
        is_there |= r->rollup == lambda &&
                    (!rule || gr_str_eq_z(gr_rule_id(r->rule), gr_arena_printf(arena, "match.%s", rule).p));
    }
    return is_there;
}

static void pieces_of_lambdas(void **state) {
    (void)state;
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const lambda_case *c = &cases[i];
        gr_arena *arena = gr_arena_new();
        gr_snapshot s;
        gr_plan *plan = NULL;
        gr_error err = {0};
        gr_str words;
        bool is_good = true;
        if (plan_of(c, arena, &s, &plan, &err)) {
            words = gr_str_from(gr_error_info_of(err.status)->id);
        } else {
            words = test_words(plan, true, arena);
            is_good = has_refusal(plan, rollup_named(&s, "l"), c->rule, arena) == (c->rule != NULL);
        }
        if (!is_good || !gr_str_eq_z(words, c->words)) {
            print_error("row %zu: '" GR_FMT "'\n  expected '%s' (%s)\n", i, GR_ARG(words), c->words,
                        c->rule ? c->rule : "nothing");
            for (size_t k = 0; plan && k < plan->n_refusals; k++)
                print_error("    " GR_FMT " " GR_FMT "\n", GR_ARG(plan->refusals[k].rollup->preagg->name),
                            GR_ARG(gr_rule_id(plan->refusals[k].rule)));
            n_bad++;
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* What is asked to be built, what is read, and for whom. */
static void what_is_needed(void **state) {
    (void)state;
    static const lambda_case wanted = {L("m, d", LIVE) M("") D(""), {BUILT_M}, "count", "",
                                       "day 2020-02-03 2020-03-05", "",        "",      NULL};
    static const lambda_case read = {
        L("m, d", LIVE) M("") D(""),
        {{"m", "UTC", "2020-03-10", "2020-01-01 2020-02-01 2020-03-01 2020-04-01", NULL, NULL, true}, BUILT_D},
        "count",
        "",
        "",
        "",
        "",
        NULL};
    gr_arena *arena = gr_arena_new();
    gr_snapshot s;
    gr_plan *plan = NULL;
    gr_error err = {0};
    assert_int_equal(plan_of(&wanted, arena, &s, &plan, &err), GR_OK);
    assert_ptr_equal(plan->to_build, rollup_named(&s, "d"));
    assert_int_equal(plan->to_build_run.from_us, at("2020-03-01"));
    assert_int_equal(plan->to_build_run.to_us, at("2020-03-06"));
    gr_model_unref(s.model);
    assert_int_equal(plan_of(&read, arena, &s, &plan, &err), GR_OK);
    assert_int_equal(plan->n_uses, 2);
    for (size_t i = 0; i < plan->n_uses; i++) assert_ptr_equal(plan->uses[i].lambda, rollup_named(&s, "l"));
    assert_true(plan->reads_source);
    const gr_scan *first = &plan->pieces[0].scan, *second = &plan->pieces[1].scan, *live = &plan->pieces[2].scan;
    assert_true(first->times[0].or_null);
    assert_false(second->times[0].or_null || live->times[0].or_null);
    /* the rows without a time, January and February */
    assert_int_equal(first->reading.n, 3);
    assert_int_equal(first->reading.v[0]->run.to_us, INT64_MIN);
    assert_int_equal(second->reading.n, 2);
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* Its parts are built before it; it stands for no table. */
static void definitions(void **state) {
    (void)state;
    static const struct {
        const char *rollups;
        size_t n_parts;
        const char *problem; /* part of its text, or NULL */
    } rows[] = {
        {L("m, d", LIVE) M("") D(""), 2, NULL},
        {L("w", "") W(""), 1, NULL},
        {L("w", LIVE) "  - {name: w, measures: [count], dimensions: [status]}\n", 1, "no time dimension in common"},
        {L("w", "") "  - {name: w, measures: [count], dimensions: [status]}\n", 1, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(gr_arena_printf(arena, "%s%s%s", HEAD, rows[i].rollups, USERS).p, arena);
        const gr_rollup *l = rollup_named(&s, "l"), **deps;
        assert_int_equal(l->n_parts, rows[i].n_parts);
        assert_int_equal(l->can_build, rows[i].problem == NULL);
        if (rows[i].problem && gr_str_find_str(l->problem_text, gr_str_from(rows[i].problem)) == SIZE_MAX)
            fail_msg("row %zu: " GR_FMT, i, GR_ARG(l->problem_text));
        assert_int_equal(gr_rollup_dependencies(s.index, l, arena, &deps), rows[i].n_parts);
        assert_ptr_equal(deps[0], l->parts[0]);
        assert_ptr_equal(l->entity, l);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_lambdas),
        cmocka_unit_test(what_is_needed),
        cmocka_unit_test(definitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
