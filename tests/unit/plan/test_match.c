/* Matching, as tables: the worked examples of cube.md §4.8 that need no fan-out, the grain matrix of §4.4, alignment of
 * ranges (§4.5, §9.2 with the exact default of decisions 1), the seed's selection rules. */
#include "plan_test.h"

#define HEAD                                                                                                           \
    "cubes:\n"                                                                                                         \
    "- name: orders\n  sql_table: orders\n"                                                                            \
    "  joins:\n  - {name: users, sql: '{CUBE}.user_id = {users.id}', relationship: many_to_one}\n"                     \
    "  dimensions:\n"                                                                                                  \
    "  - {name: id, sql: id, type: number, primary_key: true, public: true}\n"                                         \
    "  - {name: user_id, sql: user_id, type: number}\n"                                                                \
    "  - {name: status, sql: status, type: string}\n"                                                                  \
    "  - {name: city, sql: city, type: string}\n"                                                                      \
    "  - {name: status_city, sql: \"{status} || {city}\", type: string}\n"                                             \
    "  - {name: status_raw, sql: \"{status} || town\", type: string}\n"                                                \
    "  - {name: status_alias, sql: \"{status}\", type: string}\n"                                                      \
    "  - name: created_at\n    sql: created_at\n    type: time\n    granularities:\n"                                  \
    "    - {name: fiscal_year, interval: 1 year, offset: 3 months}\n"                                                  \
    "    - {name: half_year, interval: 6 months, origin: '2020-01-01'}\n"                                              \
    "    - {name: sunday_week, interval: 1 week, offset: -1 day}\n"                                                    \
    "    - {name: fifteen_min, interval: 15 minutes}\n"                                                                \
    "  - {name: updated_at, sql: updated_at, type: time}\n"                                                            \
    "  measures:\n"                                                                                                    \
    "  - {name: count, type: count}\n"                                                                                 \
    "  - {name: total, sql: amount, type: sum}\n"                                                                      \
    "  - {name: total_again, sql: \"{CUBE}.amount\", type: sum}\n"                                                     \
    "  - {name: top, sql: amount, type: max}\n"                                                                        \
    "  - {name: mn, sql: amount, type: min}\n"                                                                         \
    "  - {name: avg_a, sql: amount, type: avg}\n"                                                                      \
    "  - {name: uniq, sql: user_id, type: count_distinct}\n"                                                           \
    "  - {name: uniqa, sql: user_id, type: count_distinct_approx}\n"                                                   \
    "  - {name: ratio, sql: \"{total} / {count}\", type: number}\n"                                                    \
    "  - {name: ratio2, sql: \"{ratio} * 2 + {uniq}\", type: number}\n"                                                \
    "  - {name: own, sql: \"sum({CUBE}.amount) / count(*)\", type: number}\n"                                          \
    "  - name: done_total\n    sql: amount\n    type: sum\n    filters: [{sql: \"{CUBE}.status = 'done'\"}]\n"         \
    "  segments:\n  - {name: done, sql: \"{CUBE}.status = 'done'\"}\n"                                                 \
    "  pre_aggregations:\n"

#define USERS                                                                                                          \
    "- name: users\n  sql_table: users\n"                                                                              \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                                        \
    "  - {name: country, sql: country, type: string}\n  - {name: name, sql: name, type: string}\n"                     \
    "  measures:\n  - {name: count, type: count}\n  - {name: age, sql: age, type: sum}\n"                              \
    "views:\n- name: ov\n  cubes:\n  - {join_path: orders, includes: [status, city, created_at, count, ratio, "        \
    "uniq]}\n"                                                                                                         \
    "  - {join_path: orders.users, includes: [country]}\n"

#define MAIN                                                                                                           \
    "  - {name: main, measures: [count, total, mn, avg_a, uniq, uniqa], dimensions: [status, city], time_dimension: "  \
    "created_at, granularity: day}\n"
#define SEGMENT "  - {name: seg, measures: [count, uniq], dimensions: [status], segments: [done]}\n"
#define NO_TIME "  - {name: flat, measures: [count, uniq], dimensions: [status]}\n"
#define COUNTRY "  - {name: country, measures: [count, total], dimensions: [users.country]}\n"
#define OWN "  - {name: own_grain, measures: [own], dimensions: [status]}\n"
#define PLAIN_TIME "  - {name: plain, measures: [count], dimensions: [created_at, status]}\n"
#define TWO_TIMES                                                                                                      \
    "  - name: two\n    measures: [count]\n    time_dimensions:\n"                                                     \
    "    - {dimension: created_at, granularity: day}\n    - {dimension: updated_at, granularity: month}\n"
#define COARSE_FIRST                                                                                                   \
    "  - {name: fat, measures: [count], dimensions: [status, city]}\n  - {name: thin, measures: [count], dimensions: " \
    "[status]}\n"

typedef struct match_case {
    const char *rollups, *query, *serves, *rule; /* serves NULL: none, and the first refusal has this rule */
} match_case;

#define TD(gran) "\"timeDimensions\":[{\"dimension\":\"orders.created_at\",\"granularity\":\"" gran "\"}]"
#define TDR(gran, from, to)                                                                                            \
    "\"timeDimensions\":[{\"dimension\":\"orders.created_at\",\"granularity\":\"" gran "\",\"dateRange\":[\"" from     \
    "\",\"" to "\"]}]"
#define RANGE(from, to)                                                                                                \
    "\"timeDimensions\":[{\"dimension\":\"orders.created_at\",\"dateRange\":[\"" from "\",\"" to "\"]}]"
#define EQ(member, ...) "{\"member\":\"" member "\",\"operator\":\"equals\",\"values\":[" __VA_ARGS__ "]}"
#define M(name) "\"measures\":[\"orders." name "\"]"
#define D(...) "\"dimensions\":[" __VA_ARGS__ "]"

static const match_case cases[] = {
    /* The numbered rows of §4.8. */
    {MAIN, "{" M("count") "," D("\"orders.status\"") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "}", "orders.main", NULL},
    {MAIN, "{" M("uniq") "," D("\"orders.status\"") "}", NULL, "match.exact_grain"},
    {MAIN, "{" M("uniq") "," D("\"orders.status\",\"orders.city\"") "}", NULL, "match.exact_grain"},
    {MAIN, "{" M("uniq") "," D("\"orders.city\",\"orders.status\"") "," TD("day") "}", "orders.main", NULL},
    {MAIN, "{" M("uniq") "," D("\"orders.status\",\"orders.city\"") "," TD("month") "}", NULL, "match.exact_grain"},
    {MAIN, "{" M("uniq") "," D("\"orders.status\",\"orders.city\"") "," TDR("day", "2020-01-01", "2020-01-31") "}",
     "orders.main", NULL},
    {MAIN,
     "{" M("uniq") "," D("\"orders.status\",\"orders.city\"") "," TDR("day", "2020-01-01", "2020-01-31T15:30:00") "}",
     NULL, "match.range_not_aligned"},
    {MAIN,
     "{" M("uniq") "," TD("day") ",\"filters\":[" EQ("orders.status", "\"a\"") "," EQ("orders.city", "\"b\"") "]}",
     "orders.main", NULL},
    {MAIN, "{" M("uniq") "," D("\"orders.city\"") "," TD("day") ",\"filters\":[" EQ("orders.status", "\"a\"") "]}",
     "orders.main", NULL},
    {MAIN,
     "{" M("uniq") "," D("\"orders.city\"") "," TD("day") ",\"filters\":[" EQ("orders.status", "\"a\",\"b\"") "]}",
     NULL, "match.exact_grain"},
    {MAIN,
     "{" M("uniq") "," D("\"orders.city\",\"orders.status\"") "," TD("day") ",\"filters\":[" EQ("orders.status",
                                                                                                "\"a\",\"b\"") "]}",
     "orders.main", NULL},
    {MAIN, "{" M("avg_a") "," D("\"orders.city\",\"orders.status\"") "," TD("day") "}", "orders.main", NULL},
    {MAIN, "{" M("avg_a") "," D("\"orders.status\"") "}", "orders.main",
     NULL}, /* beyond the reference: sum and count are stored */
    {MAIN, "{" M("ratio") "," D("\"orders.status\"") "}", "orders.main", NULL},
    {MAIN, "{" M("ratio2") "," D("\"orders.status\"") "}", NULL, "match.exact_grain"},
    {MAIN, "{" M("ratio2") "," D("\"orders.status\",\"orders.city\"") "," TD("day") "}", "orders.main", NULL},
    {MAIN, "{" M("done_total") "," D("\"orders.status\"") "}", NULL, "match.measure_missing"},
    {MAIN, "{" M("count") ",\"timeDimensions\":[{\"dimension\":\"orders.updated_at\",\"granularity\":\"day\"}]}", NULL,
     "match.time_dimension_missing"},
    {MAIN, "{" M("count") "," RANGE("2020-01-01", "2020-01-31") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," RANGE("2020-01-01T10:00:00", "2020-01-31") "}", NULL, "match.range_not_aligned"},
    {MAIN, "{" M("total") "," TDR("month", "2020-01-01", "2020-01-31T15:00:00") "}", NULL, "match.range_not_aligned"},
    {MAIN, "{" M("count") "," TD("hour") "}", NULL, "match.granularity"},
    {MAIN, "{" M("count") "," TD("week") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," TD("quarter") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," TD("year") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," TD("fiscal_year") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," TD("half_year") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," TD("sunday_week") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," TD("fifteen_min") "}", NULL, "match.granularity"},
    {MAIN,
     "{" M("count") ",\"timeDimensions\":[{\"dimension\":\"orders.created_at\",\"granularity\":\"day\"},{\"dimension\":"
                    "\"orders.created_at\",\"granularity\":\"month\"}]}",
     "orders.main", NULL},
    {MAIN,
     "{" M("count") ",\"filters\":[{\"member\":\"orders.created_at\",\"operator\":\"inDateRange\",\"values\":[\"2020-"
                    "01-01\",\"2020-01-31\"]}]}",
     NULL, "match.filter_missing"},
    {MAIN, "{" M("count") "," D("\"orders.created_at\"") "}", NULL, "match.dimension_missing"},
    {MAIN, "{" M("count") "," D("\"orders.status_city\"") "}", "orders.main", NULL},
    {MAIN, "{" M("count") "," D("\"orders.status_raw\"") "}", NULL,
     "match.dimension_missing"}, /* a raw column hides in it */
    {MAIN, "{" M("uniq") "," D("\"orders.status_city\"") "," TD("day") "}", NULL, "match.exact_grain"},
    {MAIN, "{" M("uniq") "," D("\"orders.status_alias\",\"orders.city\"") "," TD("day") "}", "orders.main", NULL},
    {MAIN, "{" M("count") ",\"segments\":[\"orders.done\"]}", NULL, "match.segment_missing"},
    {MAIN,
     "{" M("count") "," D(
         "\"orders.status\"") ",\"filters\":[{\"member\":\"orders.count\",\"operator\":\"gt\",\"values\":[\"1\"]}]}",
     "orders.main", NULL},
    {MAIN, "{" M("count") ",\"filters\":[{\"member\":\"orders.done_total\",\"operator\":\"gt\",\"values\":[\"1\"]}]}",
     NULL, "match.measure_missing"},
    {MAIN, "{" M("count") ",\"filters\":[{\"or\":[" EQ("orders.status", "\"a\"") "," EQ("orders.city", "\"b\"") "]}]}",
     "orders.main", NULL},
    {MAIN, "{" M("count") "," D("\"users.name\"") "}", NULL, "match.dimension_missing"},
    {MAIN, "{\"measures\":[\"ov.count\"]," D("\"ov.status\"") "}", "orders.main", NULL},
    {MAIN, "{\"measures\":[\"ov.ratio\"]," D("\"ov.status\"") "}", "orders.main", NULL},
    {MAIN, "{" D("\"orders.status\"") "}", "orders.main", NULL},
    {MAIN, "{" D("\"orders.user_id\"") "}", NULL, "match.dimension_missing"},
    {MAIN, "{" M("count") "," D("\"orders.status\"") ",\"ungrouped\":true}", NULL, "match.ungrouped"},
    {MAIN, "{" M("done_total") ",\"filters\":[{\"member\":\"orders.done_total\",\"operator\":\"measureFilter\"}]}",
     NULL, "match.measure_filter"},
    {MAIN,
     "{" M("count") "," D(
         "\"orders.status\"") ",\"order\":{\"orders.status\":\"desc\"},\"limit\":3,\"offset\":2,\"total\":true}",
     "orders.main", NULL},
    /* Equal components are shared by expression and aggregation, never by name. */
    {MAIN, "{" M("total_again") "}", "orders.main", NULL},
    {MAIN, "{" M("top") "}", NULL, "match.measure_missing"},
    {MAIN, "{" M("uniqa") "," D("\"orders.status\"") "}", NULL, "match.exact_grain"}, /* until sketches */
    {MAIN, "{" M("uniqa") "," D("\"orders.status\",\"orders.city\"") "," TD("day") "}", "orders.main", NULL},
    /* Segments are stored columns. */
    {SEGMENT, "{" M("count") "," D("\"orders.status\"") ",\"segments\":[\"orders.done\"]}", "orders.seg", NULL},
    {SEGMENT, "{" M("count") "," D("\"orders.status\"") "}", "orders.seg", NULL},
    {SEGMENT, "{" M("uniq") "," D("\"orders.status\"") ",\"segments\":[\"orders.done\"]}", "orders.seg", NULL},
    {SEGMENT, "{" M("uniq") "," D("\"orders.status\"") "}", NULL, "match.exact_grain"},
    /* Without time dimension. */
    {NO_TIME, "{" M("uniq") "," D("\"orders.status\"") "}", "orders.flat", NULL},
    {NO_TIME, "{" M("uniq") "}", NULL, "match.exact_grain"},
    {NO_TIME, "{" M("uniq") ",\"filters\":[" EQ("orders.status", "\"a\"") "]}", "orders.flat", NULL},
    {NO_TIME, "{" M("uniq") ",\"filters\":[{\"and\":[" EQ("orders.status", "\"a\"") "]}]}", "orders.flat", NULL},
    {NO_TIME,
     "{" M("uniq") ",\"filters\":[{\"or\":[" EQ("orders.status", "\"a\"") "," EQ("orders.status", "\"b\"") "]}]}", NULL,
     "match.exact_grain"},
    {NO_TIME, "{" M("uniq") ",\"filters\":[" EQ("orders.status", "\"a\"") "," EQ("orders.status", "\"a\",\"b\"") "]}",
     "orders.flat", NULL},
    {NO_TIME, "{" M("uniq") ",\"filters\":[" EQ("orders.status", "null") "]}", NULL, "match.exact_grain"},
    {NO_TIME, "{" M("count") "," RANGE("2020-01-01", "2020-01-31") "}", NULL, "match.time_dimension_missing"},
    /* Across a join. */
    {COUNTRY, "{" M("total") "," D("\"users.country\"") "}", "orders.country", NULL},
    {COUNTRY, "{" M("total") "}", "orders.country", NULL},
    {COUNTRY, "{" M("total") "," D("\"orders.status\"") "}", NULL, "match.dimension_missing"},
    {COUNTRY, "{\"measures\":[\"ov.count\"]," D("\"ov.country\"") "}", "orders.country", NULL},
    /* A measure with aggregates of its own: its exact grain, and only where its row is certain. */
    {OWN, "{" M("own") "," D("\"orders.status\"") "}", "orders.own_grain", NULL},
    {OWN, "{" M("own") "}", NULL, "match.exact_grain"},
    {OWN, "{" M("own") ",\"filters\":[" EQ("orders.status", "\"a\"") "]}", NULL, "match.exact_grain"},
    /* A time dimension stored as a plain dimension. */
    {PLAIN_TIME, "{" M("count") "," D("\"orders.created_at\"") "}", "orders.plain", NULL},
    {PLAIN_TIME,
     "{" M("count") ",\"filters\":[{\"member\":\"orders.created_at\",\"operator\":\"inDateRange\",\"values\":[\"2020-"
                    "01-01\",\"2020-01-31\"]}]}",
     "orders.plain", NULL},
    {PLAIN_TIME, "{" M("count") "," TD("day") "}", NULL, "match.time_dimension_missing"},
    {PLAIN_TIME, "{" M("count") "," RANGE("2020-01-01", "2020-01-31") "}", NULL, "match.time_dimension_missing"},
    /* Several time dimensions. */
    {TWO_TIMES, "{" M("count") "," TD("day") "}", "orders.two", NULL},
    {TWO_TIMES, "{" M("count") ",\"timeDimensions\":[{\"dimension\":\"orders.updated_at\",\"granularity\":\"month\"}]}",
     "orders.two", NULL},
    {TWO_TIMES, "{" M("count") ",\"timeDimensions\":[{\"dimension\":\"orders.updated_at\",\"granularity\":\"day\"}]}",
     NULL, "match.granularity"},
    /* Definition order, whatever the size. */
    {COARSE_FIRST, "{" M("count") "," D("\"orders.status\"") "}", "orders.fat", NULL},
};

static void matches_as_the_table_says(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(arena, "%s%s%s", HEAD, cases[i].rollups, USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        gr_plan *plan;
        gr_error err = {0};
        if (test_plan(&s, cases[i].query, arena, &plan, &err))
            fail_msg("case %zu %s: %s", i, cases[i].query, err.message);
        gr_str serves = plan->rollup ? plan->rollup->preagg->id : (gr_str){0};
        if (!gr_str_eq(serves, gr_str_from(cases[i].serves)))
            fail_msg("case %zu %s: served by '" GR_FMT "', expected %s (" GR_FMT ")", i, cases[i].query, GR_ARG(serves),
                     cases[i].serves ? cases[i].serves : "none",
                     GR_ARG(plan->n_refusals ? gr_rule_id(plan->refusals[0].rule) : GR_STR("")));
        if (cases[i].rule) {
            assert_true(plan->n_refusals > 0);
            if (!gr_str_eq_z(gr_rule_id(plan->refusals[0].rule), cases[i].rule))
                fail_msg("case %zu %s: refused by " GR_FMT ", expected %s", i, cases[i].query,
                         GR_ARG(gr_rule_id(plan->refusals[0].rule)), cases[i].rule);
            assert_true(gr_refusal_detail(&plan->refusals[0], arena).n > 0);
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* §4.4: rows are stored grains, columns the queries that they serve. */
static void grain_matrix(void **state) {
    (void)state;
    static const char *const queries[] = {"second",      "minute",    "hour",        "day",
                                          "week",        "month",     "quarter",     "year",
                                          "fiscal_year", "half_year", "sunday_week", "fifteen_min"};
    static const struct {
        const char *stored, *serves;
    } rows[] = {
        {"second", "111111111111"},    {"minute", "011111111111"},      {"hour", "001111111110"},
        {"day", "000111111110"},       {"week", "000010000000"},        {"month", "000001111100"},
        {"quarter", "000000111100"},   {"year", "000000010000"},        {"fiscal_year", "000000001000"},
        {"half_year", "000000000100"}, {"sunday_week", "000000000010"}, {"fifteen_min", "000000000001"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml = gr_arena_printf(
            arena, "%s  - {name: g, measures: [count], time_dimension: created_at, granularity: %s}\n%s", HEAD,
            rows[r].stored, USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
            gr_plan *plan;
            gr_error err = {0};
            gr_str json = gr_arena_printf(arena,
                                          "{\"measures\":[\"orders.count\"],\"timeDimensions\":[{\"dimension\":"
                                          "\"orders.created_at\",\"granularity\":\"%s\"}]}",
                                          queries[q]);
            if (test_plan(&s, json.p, arena, &plan, &err)) fail_msg("%s: %s", json.p, err.message);
            if ((plan->rollup != NULL) != (rows[r].serves[q] == '1'))
                fail_msg("stored %s, query %s: served %d", rows[r].stored, queries[q], plan->rollup != NULL);
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* §9.2: the coarsest stored grain on whose boundaries the range starts and ends. */
static void alignment(void **state) {
    (void)state;
    static const char *const grains[] = {"year", "quarter", "month", "week", "day", "hour", "minute", "second"};
    static const struct {
        const char *from, *to, *serves;
    } rows[] = {
        {"2020-01-01", "2020-12-31", "11101111"},
        {"2020-01-01", "2020-01-31", "00101111"},
        {"2020-02-01", "2020-04-30", "00101111"},
        {"2020-01-06", "2020-01-12", "00011111"},
        {"2020-06-01", "2020-06-07", "00011111"}, /* beyond the reference, whose Monday 1 June is a month start only */
        {"2020-01-02", "2020-01-15", "00001111"},
        {"2020-01-01", "2020-01-31T22:59:59.999", "00000111"},
        {"2020-01-01", "2020-01-31T22:50:59.999", "00000011"},
        {"2020-01-01", "2020-01-31T22:50:50.999", "00000001"},
        {"2020-01-01", "2020-02-01T00:00:00.000", "00000000"},
    };
    for (size_t g = 0; g < sizeof grains / sizeof *grains; g++) {
        gr_arena *arena = gr_arena_new();
        gr_str yaml =
            gr_arena_printf(arena,
                            "%s  - {name: g, measures: [count], time_dimension: created_at, granularity: %s}\n"
                            "  - {name: loose, measures: [count], time_dimension: created_at, granularity: %s, "
                            "allow_non_strict_date_range_match: true}\n%s",
                            HEAD, grains[g], strcmp(grains[g], "year") ? "year" : "month", USERS);
        gr_snapshot s = test_snapshot(yaml.p, arena);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            gr_plan *plan;
            gr_error err = {0};
            gr_str json = gr_arena_printf(arena,
                                          "{\"measures\":[\"orders.count\"],\"timeDimensions\":[{\"dimension\":"
                                          "\"orders.created_at\",\"dateRange\":[\"%s\",\"%s\"]}]}",
                                          rows[r].from, rows[r].to);
            if (test_plan(&s, json.p, arena, &plan, &err)) fail_msg("%s: %s", json.p, err.message);
            assert_non_null(plan->rollup); /* the second one takes what the first refuses, and says so */
            bool is_strict = gr_str_eq_z(plan->rollup->preagg->name, "g");
            if (is_strict != (rows[r].serves[g] == '1'))
                fail_msg("stored %s, range %s..%s: served strictly %d", grains[g], rows[r].from, rows[r].to, is_strict);
            if (is_strict) assert_false(plan->is_non_strict_range);
        }
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

/* The default for those that do not say; what says so itself is not overruled. */
static void non_strict_by_default(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD MAIN USERS, arena);
    static const char query[] = "{" M("count") "," RANGE("2020-01-01", "2020-01-15T15:30:00") "}";
    gr_plan *plan;
    gr_error err = {0};
    assert_int_equal(test_plan(&s, query, arena, &plan, &err), GR_OK);
    assert_null(plan->rollup);
    s.index = gr_plan_index_new(s.model, (gr_plan_defaults){.is_external = true, .is_non_strict = true}, arena);
    assert_int_equal(test_plan(&s, query, arena, &plan, &err), GR_OK);
    assert_non_null(plan->rollup);
    assert_true(plan->is_non_strict_range);
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

static void fan_out_is_refused(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD MAIN USERS, arena);
    gr_plan *plan;
    gr_error err = {0};
    assert_int_equal(
        test_plan(&s, "{\"measures\":[\"users.age\"],\"dimensions\":[\"orders.status\"]}", arena, &plan, &err),
        GR_ERR_PLAN_FAN_OUT);
    assert_int_equal(test_plan(&s, "{\"measures\":[\"orders.total\",\"users.count\"]}", arena, &plan, &err),
                     GR_ERR_PLAN_FAN_OUT);
    assert_int_equal(test_plan(&s,
                               "{\"measures\":[\"orders.total\"],\"filters\":[{\"member\":\"users.age\",\"operator\":"
                               "\"gt\",\"values\":[\"3\"]}]}",
                               arena, &plan, &err),
                     GR_ERR_PLAN_FAN_OUT);
    assert_int_equal(
        test_plan(&s, "{\"measures\":[\"users.age\"],\"dimensions\":[\"users.country\"]}", arena, &plan, &err), GR_OK);
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* The same inputs give the same plan, and rollup-only mode refuses what nothing serves. */
static void rollup_only_refuses(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(HEAD MAIN USERS, arena);
    s.is_rollup_only = true;
    gr_plan *plan;
    gr_error err = {0};
    assert_int_equal(test_plan(&s, "{\"measures\":[\"orders.top\"]}", arena, &plan, &err), GR_ERR_PLAN_ROLLUP_ONLY);
    assert_non_null(strstr(err.hint, "orders.main"));
    assert_int_equal(test_plan(&s, "{\"measures\":[\"orders.total\"]}", arena, &plan, &err), GR_OK);
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* decisions 16: MD5 of the bare JSON list of sorted, qualified grain columns; one identity shares its components. */
static void identity(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s =
        test_snapshot(HEAD "  - {name: a, measures: [count], dimensions: [status, city]}\n  - {name: b, measures: "
                           "[total], dimensions: [city, status]}\n"
                           "  - {name: d, measures: [total], time_dimension: created_at, granularity: day}\n" USERS,
                      arena);
    const gr_cube *orders = gr_model_cube(s.model, GR_STR("orders"));
    const gr_rollup *a = gr_plan_index_rollup(s.index, orders->preaggs[0]),
                    *b = gr_plan_index_rollup(s.index, orders->preaggs[1]);
    const gr_rollup *d = gr_plan_index_rollup(s.index, orders->preaggs[2]);
    assert_true(gr_str_eq_z(a->grain_columns, "[\"orders.city\", \"orders.status\"]"));
    assert_true(gr_str_eq(a->grain_hash, b->grain_hash));
    assert_ptr_equal(b->entity, a);
    assert_int_equal(b->n_components, 2);
    assert_true(gr_str_eq_z(d->grain_columns, "[\"orders.created_at.day\"]"));
    const gr_tz *tokyo;
    assert_int_equal(gr_tz_get(GR_STR("Asia/Tokyo"), &tokyo, NULL), GR_OK);
    assert_ptr_equal(gr_rollup_zone(a, tokyo), gr_tz_utc());
    assert_ptr_equal(gr_rollup_zone(d, tokyo), tokyo);
    assert_false(gr_str_eq(gr_rollup_grain_hash(d, tokyo, arena), d->grain_hash));
    gr_plan *plan;
    gr_error err = {0};
    assert_int_equal(test_plan(&s,
                               "{\"measures\":[\"orders.count\",\"orders.total\"],\"dimensions\":[\"orders.city\"]}",
                               arena, &plan, &err),
                     GR_OK);
    assert_ptr_equal(plan->rollup, a); /* together they cover what neither declares alone */
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_the_table_says),
        cmocka_unit_test(grain_matrix),
        cmocka_unit_test(alignment),
        cmocka_unit_test(non_strict_by_default),
        cmocka_unit_test(fan_out_is_refused),
        cmocka_unit_test(rollup_only_refuses),
        cmocka_unit_test(identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
