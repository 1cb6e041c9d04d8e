/* Requests of several queries: what they become, and what is wrong with them. In the tables ' stands for ". */
#include "query_fixture.h"

static gr_status try_set(fixture *f, const char *text, gr_query_set *ret, gr_error *err) {
    return gr_query_parse_set(f->model, fixture_json(f, fixture_quotes(f, text)), &f->options, f->arena, ret, err);
}

static gr_query_set set_of(fixture *f, const char *text) {
    gr_query_set set = {0};
    gr_error err = {0};
    if (try_set(f, text, &set, &err)) fail_msg("%s\nfailed: %s", text, err.message);
    return set;
}

static const char *dumped(fixture *f, const json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    gr_str copy = gr_arena_dup(f->arena, gr_str_from(text));
    free(text);
    return copy.p;
}

/* ---- types ----------------------------------------------------------------------------------- */
static void types(void **state) {
    static const struct {
        const char *query;
        gr_query_type type;
    } rows[] = {
        {"{'measures':['orders.count']}", GR_QUERY_REGULAR},
        {"[]", GR_QUERY_BLENDING},
        {"[{'timeDimensions':[{'compareDateRange':['today']}]}]", GR_QUERY_BLENDING},
        {"{'timeDimensions':['orders.created_at',{'compareDateRange':[]}]}", GR_QUERY_COMPARE},
        {"{'timeDimensions':[{'compareDateRange':5}]}", GR_QUERY_COMPARE},
        {"{'timeDimensions':[{'compareDateRange':null}]}", GR_QUERY_REGULAR},
        {"{'timeDimensions':{'compareDateRange':['today']}}", GR_QUERY_REGULAR},
        {"{'compareDateRange':['today']}", GR_QUERY_REGULAR},
        {"'compareDateRange'", GR_QUERY_REGULAR},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (gr_query_type_of(fixture_json(f, fixture_quotes(f, rows[i].query))) != rows[i].type)
            fail_msg("%s is not of type %d", rows[i].query, rows[i].type);
    assert_true(gr_str_eq_z(gr_query_type_name(GR_QUERY_REGULAR), "regularQuery"));
    assert_true(gr_str_eq_z(gr_query_type_name(GR_QUERY_COMPARE), "compareDateRangeQuery"));
    assert_true(gr_str_eq_z(gr_query_type_name(GR_QUERY_BLENDING), "blendingQuery"));
}

/* ---- good ones ------------------------------------------------------------------------------- */
typedef struct row {
    const char *query;
    const char *sources[3], *times[3]; /* timeDimensions of the normal form */
} row;

#define AT "'dimension':'orders.created_at'"
#define DAY AT ",'granularity':'day'"
#define T0 "T00:00:00.000"
#define T1 "T23:59:59.999"

static const row comparisons[] = {
    {"{'measures':['orders.count'],'timeDimensions':[{" DAY ",'compareDateRange':['this week',['2021-03-01',"
     "'2021-03-07']]}],'limit':7}",
     {"{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':'this week'}],'limit':7}",
      "{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':['2021-03-01','2021-03-07']}],'limit':7}"},
     {"[{" DAY ",'dateRange':['2021-03-08" T0 "','2021-03-14" T1 "']}]",
      "[{" DAY ",'dateRange':['2021-03-01" T0 "','2021-03-07" T1 "']}]"}},
    /* one range, no granularity */
    {"{'measures':['orders.count'],'timeDimensions':[{" AT ",'compareDateRange':[['2021-01-05']]}]}",
     {"{'measures':['orders.count'],'timeDimensions':[{" AT ",'dateRange':['2021-01-05']}]}"},
     {"[{" AT ",'dateRange':['2021-01-05" T0 "','2021-01-05" T1 "']}]"}},
    /* not the first time dimension, which has a range of its own */
    {"{'measures':['orders.count'],'timeDimensions':[{'dimension':'users.joined_at','dateRange':'today'},{" DAY
     ",'compareDateRange':['yesterday','today','today']}]}",
     {"{'measures':['orders.count'],'timeDimensions':[{'dimension':'users.joined_at','dateRange':'today'},{" DAY
      ",'dateRange':'yesterday'}]}",
      "{'measures':['orders.count'],'timeDimensions':[{'dimension':'users.joined_at','dateRange':'today'},{" DAY
      ",'dateRange':'today'}]}",
      "{'measures':['orders.count'],'timeDimensions':[{'dimension':'users.joined_at','dateRange':'today'},{" DAY
      ",'dateRange':'today'}]}"},
     {"[{'dimension':'users.joined_at','dateRange':['2021-03-10" T0 "','2021-03-10" T1 "']},{" DAY
      ",'dateRange':['2021-03-09" T0 "','2021-03-09" T1 "']}]",
      "[{'dimension':'users.joined_at','dateRange':['2021-03-10" T0 "','2021-03-10" T1 "']},{" DAY
      ",'dateRange':['2021-03-10" T0 "','2021-03-10" T1 "']}]",
      "[{'dimension':'users.joined_at','dateRange':['2021-03-10" T0 "','2021-03-10" T1 "']},{" DAY
      ",'dateRange':['2021-03-10" T0 "','2021-03-10" T1 "']}]"}},
    /* the same column asked for before: the range goes there */
    {"{'measures':['orders.count'],'timeDimensions':[{" DAY "},{" DAY ",'compareDateRange':['yesterday','today']}]}",
     {"{'measures':['orders.count'],'timeDimensions':[{" DAY "},{" DAY ",'dateRange':'yesterday'}]}",
      "{'measures':['orders.count'],'timeDimensions':[{" DAY "},{" DAY ",'dateRange':'today'}]}"},
     {"[{" DAY ",'dateRange':['2021-03-09" T0 "','2021-03-09" T1 "']}]",
      "[{" DAY ",'dateRange':['2021-03-10" T0 "','2021-03-10" T1 "']}]"}},
    /* the same column with a range: both hold */
    {"{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':'this month'},{" DAY
     ",'compareDateRange':['yesterday','today']}]}",
     {"{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':'this month'},{" DAY
      ",'dateRange':'yesterday'}]}",
      "{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':'this month'},{" DAY
      ",'dateRange':'today'}]}"},
     {"[{" DAY ",'dateRange':['2021-03-01" T0 "','2021-03-31" T1 "']},{" AT ",'dateRange':['2021-03-09" T0
      "','2021-03-09" T1 "']}]",
      "[{" DAY ",'dateRange':['2021-03-01" T0 "','2021-03-31" T1 "']},{" AT ",'dateRange':['2021-03-10" T0
      "','2021-03-10" T1 "']}]"}},
};

/* What `source` gives when it is read on its own, but for the type. */
static void source_is_regular(fixture *f, const gr_query *q, const char *type) {
    gr_query *again = NULL;
    gr_error err = {0};
    if (gr_query_parse(f->model, q->source, &f->options, f->arena, &again, &err)) fail_msg("%s", err.message);
    json_t *want = json_copy(again->normalized);
    json_object_set_new(want, "queryType", json_string(type));
    fixture_same(type, dumped(f, q->normalized), dumped(f, want));
    json_decref(want);
    assert_int_equal(q->n_columns, again->n_columns);
}

static void compare(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        const row *r = &comparisons[i];
        gr_query_set set = set_of(f, r->query);
        size_t n = 0;
        while (n < 3 && r->sources[n]) n++;
        assert_int_equal(set.type, GR_QUERY_COMPARE);
        assert_int_equal(set.n, n);
        for (size_t k = 0; k < n; k++) {
            const gr_query *q = set.queries[k];
            const char *times = fixture_quotes(f, r->times[k]);
            fixture_same(r->query, dumped(f, q->source), fixture_quotes(f, r->sources[k]));
            fixture_same(r->query, dumped(f, json_object_get(q->normalized, "timeDimensions")), times);
            gr_str range = gr_arena_printf(f->arena, "\"dateRange\":[\"" GR_FMT "\",\"" GR_FMT "\"]",
                                           GR_ARG(set.ranges[k].from_text), GR_ARG(set.ranges[k].to_text));
            if (!strstr(times, range.p)) fail_msg("%s: the range of query %zu is %s", r->query, k, range.p);
            source_is_regular(f, q, "compareDateRangeQuery");
        }
    }
}

/* A hundred ranges cost no more than one, but for the ranges. */
static void compared_share(void **state) {
    fixture *f = *state;
    gr_query_set set = set_of(f, "{'measures':['orders.count'],'dimensions':['orders.status'],'filters':[{'member':"
                                 "'orders.status','operator':'equals','values':['a']}],'timeDimensions':[{" DAY
                                 ",'compareDateRange':['yesterday','today']}]}");
    const gr_query *a = set.queries[0], *b = set.queries[1];
    assert_ptr_equal(a->row_filters, b->row_filters);
    assert_ptr_equal(a->measures, b->measures);
    assert_ptr_equal(json_object_get(a->normalized, "filters"), json_object_get(b->normalized, "filters"));
    assert_ptr_not_equal(a->time_dimensions, b->time_dimensions);
    assert_true(a->time_dimensions[0].range.to_utc_us == b->time_dimensions[0].range.from_utc_us);
}

static const char *const blends[][3] = {
    {"{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':'today'}]}",
     "{'measures':['users.count'],'dimensions':['users.city'],'timeDimensions':[{'dimension':'users.joined_at',"
     "'granularity':'day'}]}"},
    /* ids of three parts, and a range before the column */
    {"{'measures':['orders.count'],'dimensions':['orders.created_at.day']}",
     "{'measures':['orders.count'],'timeDimensions':[{'dimension':'orders.completed_at','dateRange':'today'},{" DAY
     "},{" AT ",'granularity':'month'}]}",
     "{'measures':['ov.count'],'timeDimensions':[{'dimension':'ov.created_at','granularity':'day'}]}"},
    {"{'measures':['orders.count'],'timeDimensions':[{" DAY "}],'responseFormat':'compact','timezone':'Asia/Tokyo'}"},
};

static void blending(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof blends / sizeof *blends; i++) {
        size_t n = 0;
        gr_str text = GR_STR("[");
        for (; n < 3 && blends[i][n]; n++)
            text = gr_arena_printf(f->arena, GR_FMT "%s%s", GR_ARG(text), n ? "," : "", blends[i][n]);
        gr_query_set set = set_of(f, gr_arena_printf(f->arena, GR_FMT "]", GR_ARG(text)).p);
        assert_int_equal(set.type, GR_QUERY_BLENDING);
        assert_int_equal(set.n, n);
        assert_true(gr_str_eq_z(set.granularity, "day"));
        for (size_t k = 0; k < n; k++) {
            fixture_same(blends[i][k], dumped(f, set.queries[k]->source), fixture_quotes(f, blends[i][k]));
            source_is_regular(f, set.queries[k], "blendingQuery");
        }
    }
}

static void regular(void **state) {
    fixture *f = *state;
    gr_query_set set = set_of(f, "{'measures':['orders.count']}");
    assert_int_equal(set.type, GR_QUERY_REGULAR);
    assert_int_equal(set.n, 1);
    source_is_regular(f, set.queries[0], "regularQuery");
}

/* ---- bad ones -------------------------------------------------------------------------------- */
typedef struct bad {
    gr_status status;
    const char *query, *want, *hint;
} bad;

#define ONE "{'measures':['orders.count'],'timeDimensions':[{" DAY "}]}"
#define COMPARED(ranges) "{'measures':['orders.count'],'timeDimensions':[{" DAY ",'compareDateRange':" ranges "}]}"
#define PLACE "Invalid query format: 'timeDimensions[0].compareDateRange"

static const bad bads[] = {
    {GR_ERR_QUERY_INVALID, COMPARED("'today'"), PLACE "' must be an array", ""},
    {GR_ERR_QUERY_INVALID, COMPARED("[]"), PLACE "' must contain at least 1 items", ""},
    {GR_ERR_QUERY_INVALID, COMPARED("[5]"), PLACE "[0]' must be a string or an array", ""},
    {GR_ERR_QUERY_INVALID, COMPARED("['today',null]"), PLACE "[1]' must be a string or an array", ""},
    {GR_ERR_QUERY_INVALID, COMPARED("['today',[]]"), PLACE "[1]' must contain at least 1 items", ""},
    {GR_ERR_QUERY_INVALID, COMPARED("['today',['2021-01-01',7]]"), PLACE "[1][1]' must be a string", ""},
    {GR_ERR_QUERY_INVALID, COMPARED("[['2021-01-01','2021-01-02','2021-01-03']]"),
     PLACE "[0]' must contain less than or equal to 2 items", ""},
    {GR_ERR_QUERY_DATE, COMPARED("['today','no such day']"), "Can't parse date: 'no such day'", NULL},
    {GR_ERR_QUERY_INVALID,
     "{'measures':['orders.count'],'timeDimensions':[{" DAY ",'dateRange':'today','compareDateRange':['today']}]}",
     "Invalid query format: 'timeDimensions[0]' contains a conflict between optional exclusive peers [dateRange, "
     "compareDateRange]",
     ""},
    {GR_ERR_QUERY_INVALID,
     "{'measures':['orders.count'],'timeDimensions':[{" DAY
     ",'compareDateRange':['today']},{'dimension':'users.joined_at','compareDateRange':['today']}]}",
     "compareDateRange can only exist for one timeDimension", ""},
    {GR_ERR_QUERY_INVALID, "{'timeDimensions':[{" AT ",'compareDateRange':['today']}]}",
     "Query should contain either measures, dimensions or timeDimensions with granularities in order to be valid", ""},
    {GR_ERR_QUERY_UNSUPPORTED, "[]", "Data blending query without granularity is not supported", ""},
    {GR_ERR_QUERY_UNSUPPORTED, "[{'measures':['orders.count']},{'measures':['users.count']}]",
     "Data blending query without granularity is not supported", ""},
    {GR_ERR_QUERY_UNSUPPORTED, "[" ONE ",{'measures':['users.count']}]",
     "Data blending query without granularity is not supported", ""},
    {GR_ERR_QUERY_INVALID, "[" ONE ",{'measures':['users.count'],'dimensions':['users.joined_at.month']}]",
     "Data blending query granularities must match", ""},
    {GR_ERR_QUERY_INVALID, "[" ONE ",7]", "Invalid query format: 'value' must be of type object", "in query 2 of 2"},
    {GR_ERR_QUERY_UNSUPPORTED, "[[" ONE "]]",
     "Data blending (an array of queries) is not supported here: one query is expected", "in query 1 of 1"},
    {GR_ERR_QUERY_UNSUPPORTED, "[" ONE "," COMPARED("['today']") "]",
     "compareDateRange is not supported here: it makes several queries of one", "in query 2 of 2"},
    {GR_ERR_QUERY_INVALID, "[{'measure':[]}," ONE "]", "Invalid query format: 'measure' is not allowed",
     "did you mean 'measures'?; in query 1 of 2"},
};

static void bad_sets(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        gr_query_set set = {0};
        gr_error err = {0};
        gr_status status = try_set(f, bads[i].query, &set, &err);
        for (char *p = err.message; *p; p++)
            if (*p == '"') *p = '\'';
        for (char *p = err.hint; *p; p++)
            if (*p == '"') *p = '\'';
        fixture_same(bads[i].query, err.message, bads[i].want);
        if (status != bads[i].status) fail_msg("%s: %s", bads[i].query, gr_error_info_of(status)->id);
        if (bads[i].hint) fixture_same(bads[i].query, err.hint, bads[i].hint);
        assert_int_equal(set.n, 0); /* untouched on failure */
        assert_int_equal(try_set(f, bads[i].query, &set, NULL), status);
    }
}

static json_t *repeated(const char *item, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_loads(item, JSON_DECODE_ANY, NULL));
    return list;
}

static void limits(void **state) {
    fixture *f = *state;
    for (size_t extra = 0; extra < 2; extra++) {
        size_t n = GR_QUERY_MAX_SET + extra;
        json_t *jsons[] = {
            json_pack("{s:[{s:s,s:s,s:o}]}", "timeDimensions", "dimension", "orders.created_at", "granularity", "day",
                      "compareDateRange", repeated("\"today\"", n)),
            repeated("{\"dimensions\":[\"orders.created_at.day\"]}", n),
        };
        static const char *const texts[] = {"compareDateRange has 101 ranges, the limit is 100",
                                            "The array has 101 queries, the limit is 100"};
        for (size_t i = 0; i < 2; i++) {
            gr_arena *arena = gr_arena_new();
            gr_query_set set = {0};
            gr_error err = {0};
            gr_status status = gr_query_parse_set(f->model, jsons[i], &f->options, arena, &set, &err);
            assert_int_equal(status, extra ? GR_ERR_LIMIT : GR_OK);
            assert_int_equal(set.n, extra ? 0 : GR_QUERY_MAX_SET);
            if (extra) assert_string_equal(err.message, texts[i]);
            gr_arena_free(arena);
            json_decref(jsons[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),    cmocka_unit_test(compare), cmocka_unit_test(compared_share),
        cmocka_unit_test(blending), cmocka_unit_test(regular), cmocka_unit_test(bad_sets),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
