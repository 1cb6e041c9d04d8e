/* The encoders: texts byte for byte where they are a contract. */
#include "unit/http/shop.h"

static gr_str finish(gr_buf *out) {
    gr_str text;
    assert_true(gr_buf_finish(out, &text));
    json_error_t where;
    json_t *json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (!json) fail_msg("not JSON: %s at %d in %s", where.text, where.position, text.p);
    json_decref(json);
    return text;
}

static void has(gr_str text, const char *part) {
    if (gr_str_find_str(text, gr_str_from(part)) == SIZE_MAX) fail_msg("no  %s\nin  %.*s", part, (int)text.n, text.p);
}

static void has_not(gr_str text, const char *part) {
    if (gr_str_find_str(text, gr_str_from(part)) != SIZE_MAX) fail_msg("has %s\nin  %.*s", part, (int)text.n, text.p);
}

static gr_status load(shop *s, gr_http_load_options options, int n_batches, int fail_at, size_t max, gr_buf *out) {
    gr_error err = {0};
    options.config = &s->config;
    gr_buf_init(out, max);
    s->answer.stream = shop_rows(n_batches, fail_at);
    gr_status status = gr_http_encode_load(&s->answer, &options, s->arena, out, &err);
    s->answer.stream->close(s->answer.stream);
    if (status) assert_true(err.message[0]);
    assert_int_equal(status, err.status);
    return status;
}

/* Encode with one batch and check the end of the text, from "data" on. */
static void expect_data(shop *s, const char *want) {
    gr_buf out;
    assert_int_equal(load(s, (gr_http_load_options){0}, 1, -1, 1 << 20, &out), GR_OK);
    gr_str text = finish(&out);
    size_t at = gr_str_find_str(text, GR_STR("\"data\":"));
    assert_true(at != SIZE_MAX);
    assert_string_equal(text.p + at, want);
    gr_buf_done(&out);
}

#define MONTH1 "2024-01-01T00:00:00.000"
#define MONTH2 "2024-02-01T00:00:00.000"
#define DAY(n) "2024-01-0" #n "T00:00:00.000"
#define BIG_COUNT "9223372036854775807"

static void test_default_rows(void **state) {
    (void)state;
    shop *s = shop_new();
    expect_data(s, "\"data\":["
                   "{\"orders.status\":\"new\",\"orders.created_at.month\":\"" MONTH1
                   "\",\"orders.created_at\":\"" DAY(2) "\",\"orders.created_at.day\":\"" DAY(
                       2) "\",\"orders.count\":\"1\",\"orders.ratio\":\"0.5\"},"
                          "{\"orders.status\":\"a\\\"b\\\\\\n\",\"orders.created_at.month\":\"" MONTH1
                          "\",\"orders.created_at\":\"" DAY(3) "\",\"orders.created_at.day\":\"" DAY(
                              3) "\",\"orders.count\":\"-20\",\"orders.ratio\":\"1000000000000000000000\"},"
                                 "{\"orders.status\":null,\"orders.created_at.month\":\"" MONTH2
                                 "\",\"orders.created_at\":\"" MONTH2 "\",\"orders.created_at.day\":\"" MONTH2
                                 "\",\"orders.count\":\"" BIG_COUNT "\",\"orders.ratio\":\"0\"}]}");
    shop_free(s);
}

/* A plain dimension of the same name keeps the key for itself. */
static void test_plain_dimension_wins(void **state) {
    (void)state;
    shop *s = shop_new();
    s->query.columns[0] = (gr_query_column){GR_COLUMN_DIMENSION, 0, GR_STR("orders.created_at"), GR_STR("c")};
    s->query.dimensions[0] = shop_field(s, CREATED);
    s->query.n_columns = 2;
    expect_data(s, "\"data\":[{\"orders.created_at\":\"new\",\"orders.created_at.month\":\"" MONTH1 "\"},"
                   "{\"orders.created_at\":\"a\\\"b\\\\\\n\",\"orders.created_at.month\":\"" MONTH1 "\"},"
                   "{\"orders.created_at\":null,\"orders.created_at.month\":\"" MONTH2 "\"}]}");
    shop_free(s);
}

/* The smallest of several granularities, a custom one among them. */
static void test_smallest_granularity(void **state) {
    (void)state;
    shop *s = shop_new();
    s->query.time_dimensions[1].granularity = &s->week2;
    s->query.columns[2].key = GR_STR("orders.created_at.two_weeks");
    gr_buf out;
    assert_int_equal(load(s, (gr_http_load_options){0}, 1, -1, 1 << 20, &out), GR_OK);
    has(finish(&out), "\"orders.created_at.month\":\"" MONTH1 "\",\"orders.created_at\":\"" DAY(2) "\"");
    gr_buf_done(&out);
    s->query.time_dimensions[0].granularity = gr_granularity_predefined(GR_GRAIN_WEEK);
    assert_int_equal(load(s, (gr_http_load_options){0}, 1, -1, 1 << 20, &out), GR_OK);
    has(finish(&out), "\"orders.created_at.month\":\"" MONTH1 "\",\"orders.created_at\":\"" MONTH1 "\"");
    gr_buf_done(&out);
    shop_free(s);
}

static void test_compact_and_columnar(void **state) {
    (void)state;
    shop *s = shop_new();
    s->query.format = GR_FORMAT_COMPACT;
    s->query.n_columns = 2;
    expect_data(
        s, "\"data\":{\"members\":[\"orders.status\",\"orders.created_at.month\",\"orders.created_at\"],\"dataset\":["
           "[\"new\",\"" MONTH1 "\",\"" MONTH1 "\"],[\"a\\\"b\\\\\\n\",\"" MONTH1 "\",\"" MONTH1 "\"],[null,\"" MONTH2
           "\",\"" MONTH2 "\"]]}}");
    s->query.format = GR_FORMAT_COLUMNAR;
    expect_data(
        s, "\"data\":{\"members\":[\"orders.status\",\"orders.created_at.month\",\"orders.created_at\"],\"columns\":["
           "[\"new\",\"a\\\"b\\\\\\n\",null],[\"" MONTH1 "\",\"" MONTH1 "\",\"" MONTH2 "\"],[\"" MONTH1 "\",\"" MONTH1
           "\",\"" MONTH2 "\"]]}}");
    shop_free(s);
}

static void test_empty(void **state) {
    (void)state;
    static const char *ends[] = {[GR_FORMAT_DEFAULT] = "\"data\":[]}",
                                 [GR_FORMAT_COMPACT] = "\"dataset\":[]}}",
                                 [GR_FORMAT_COLUMNAR] = "\"columns\":[[],[],[],[],[],[]]}}"};
    shop *s = shop_new();
    for (int f = 0; f < 3; f++) {
        gr_buf out;
        s->query.format = (gr_format)f;
        assert_int_equal(load(s, (gr_http_load_options){0}, 0, -1, 1 << 20, &out), GR_OK);
        assert_true(gr_str_ends(finish(&out), gr_str_from(ends[f])));
        gr_buf_done(&out);
    }
    shop_free(s);
}

static void test_many_batches(void **state) {
    (void)state;
    shop *s = shop_new();
    for (int f = 0; f < 3; f++) {
        gr_buf out;
        s->query.format = (gr_format)f;
        assert_int_equal(load(s, (gr_http_load_options){0}, 50, -1, 1 << 20, &out), GR_OK);
        gr_str text = finish(&out);
        size_t n = 0;
        for (size_t at = 0; at + 4 < text.n; at++) n += memcmp(text.p + at, "-20\"", 4) == 0;
        assert_int_equal(n, 50);
        gr_buf_done(&out);
        assert_int_equal(load(s, (gr_http_load_options){0}, 50, -1, 6000, &out), GR_ERR_LIMIT);
        gr_buf_done(&out);
        assert_int_equal(load(s, (gr_http_load_options){0}, 50, 30, 1 << 20, &out), GR_ERR_ENGINE_DATA);
        gr_buf_done(&out);
    }
    shop_free(s);
}

static void test_source_facts(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_buf out;
    assert_int_equal(load(s, (gr_http_load_options){.request_id = GR_STR("r1")}, 0, -1, 1 << 20, &out), GR_OK);
    gr_str text = finish(&out);
    has(text, "{\"query\":{\"measures\":[\"orders.count\"]},\"lastRefreshTime\":\"2021-02-03T04:05:06.000Z\","
              "\"fromCache\":false,\"requestId\":\"r1\",\"annotation\":");
    has(text, "\"dataSource\":\"default\",\"dbType\":\"duckdb\",\"extDbType\":\"duckdb\",\"external\":null,"
              "\"slowQuery\":false,\"total\":null,\"data\":");
    has_not(text, "usedPreAggregations");
    has_not(text, "explain");
    gr_buf_done(&out);
    assert_true(gr_str_eq(gr_http_served_by(&s->answer, s->arena), GR_STR("source")));
    shop_free(s);
}

static void test_rollup_facts(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_buf out;
    shop_serve(s);
    s->plan.is_non_strict_range = s->piece.scan.is_non_strict_range = true;
    s->answer.has_total = true;
    s->answer.total = 12;
    assert_int_equal(load(s, (gr_http_load_options){.want_explain = true, .is_multi = true}, 1, -1, 1 << 20, &out),
                     GR_OK);
    gr_str text = finish(&out);
    has(text, "\"usedPreAggregations\":{\"granary.orders_main\":{\"preAggregationId\":\"orders.main\","
              "\"lastUpdatedAt\":1612325106000,"
              "\"type\":\"rollup\",\"version\":7,\"id\":4,\"exactness\":\"non_strict_range\"}}");
    has(text, "\"external\":true,\"slowQuery\":false,\"total\":12,");
    has(text, "\"explain\":{\"pre_aggregations\":[\"orders.main\"],\"source\":null,");
    assert_true(gr_str_starts(text, GR_STR("{\"queryType\":\"regularQuery\",\"results\":[{\"query\":")));
    assert_true(gr_str_ends(text, GR_STR("}],\"pivotQuery\":{\"measures\":[\"orders.count\"]},\"slowQuery\":false}")));
    assert_true(gr_str_eq(gr_http_served_by(&s->answer, s->arena), GR_STR("orders.main")));
    gr_buf_done(&out);
    s->rollup.is_external = false;
    assert_int_equal(load(s, (gr_http_load_options){0}, 1, -1, 1 << 20, &out), GR_OK);
    has(finish(&out), "\"side.orders_main\"");
    gr_buf_done(&out);
    shop_free(s);
}

static void test_annotation(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_buf out;
    assert_int_equal(load(s, (gr_http_load_options){0}, 0, -1, 1 << 20, &out), GR_OK);
    gr_str text = finish(&out);
    has(text, "\"annotation\":{\"measures\":{\"orders.count\":{\"title\":\"Orders "
              "Count\",\"shortTitle\":\"Count\",\"type\":\"number\","
              "\"formatDescription\":{\"name\":\"number\",\"specifier\":\",.2f\"},\"drillMembers\":[\"orders.status\","
              "\"orders.uniques\"],"
              "\"drillMembersGrouped\":{\"measures\":[\"orders.uniques\"],\"dimensions\":[\"orders.status\"]}}");
    has(text, "\"format\":\"percent_1\",\"formatDescription\":{\"name\":\"percent\",\"specifier\":\".1%\"}");
    has(text, "\"dimensions\":{\"orders.status\":{\"title\":\"Orders "
              "Status\",\"shortTitle\":\"Status\",\"description\":\"How far it is\",\"type\":\"string\"}}");
    has(text, "\"segments\":{\"orders.big\":{\"title\":\"Orders Big\",\"shortTitle\":\"Big\"}}");
    has(text, "\"timeDimensions\":{\"orders.created_at.month\":{\"title\":\"Orders "
              "Created\",\"shortTitle\":\"Created\",\"type\":\"time\","
              "\"granularity\":{\"name\":\"month\",\"title\":\"month\",\"interval\":\"1 month\"}},"
              "\"orders.created_at\":{\"title\":\"Orders Created\",\"shortTitle\":\"Created\",\"type\":\"time\"},"
              "\"orders.created_at.day\":{\"title\":");
    gr_buf_done(&out);
    s->query.dimensions[0] = shop_field(s, AMOUNT);
    s->query.time_dimensions[1].granularity = &s->week2;
    s->query.columns[2].key = GR_STR("orders.created_at.two_weeks");
    assert_int_equal(load(s, (gr_http_load_options){0}, 0, -1, 1 << 20, &out), GR_OK);
    text = finish(&out);
    has(text, "\"format\":\"currency\",\"formatDescription\":{\"name\":\"currency\",\"specifier\":\"$,.2f\","
              "\"currency\":\"EUR\"},\"currency\":\"EUR\"");
    has(text, "\"granularity\":{\"name\":\"two_weeks\",\"title\":\"two_weeks\",\"interval\":\"2 "
              "weeks\",\"origin\":\"2024-01-01\"}");
    gr_buf_done(&out);
    shop_free(s);
}

/* ---- comparisons and blends ------------------------------------------------------------------ */
#define RANGE "2024-01-01T00:00:00.000 - 2024-01-31T23:59:59.999"
static const gr_range january[] = {
    {0},
    {.from_text = GR_STR_INIT("2024-01-01T00:00:00.000"), .to_text = GR_STR_INIT("2024-01-31T23:59:59.999")},
};

typedef struct part_case {
    gr_query_type type;
    gr_format format;
    const char *key; /* of the second column */
    const char *want;
} part_case;

/* Of a query of status and created_at.month. */
static const part_case part_cases[] = {
    {GR_QUERY_COMPARE, GR_FORMAT_DEFAULT, "orders.created_at.month",
     "\"orders.created_at\":\"" MONTH2 "\",\"compareDateRange\":\"" RANGE "\"}]}"},
    {GR_QUERY_COMPARE, GR_FORMAT_COMPACT, "orders.created_at.month",
     "{\"members\":[\"orders.status\",\"orders.created_at.month\",\"orders.created_at\",\"compareDateRange\"],"
     "\"dataset\":[[\"new\",\"" MONTH1 "\",\"" MONTH1 "\",\"" RANGE "\"],[\"a\\\"b\\\\\\n\",\"" MONTH1 "\",\"" MONTH1
     "\",\"" RANGE "\"],[null,\"" MONTH2 "\",\"" MONTH2 "\",\"" RANGE "\"]]}}"},
    {GR_QUERY_COMPARE, GR_FORMAT_COLUMNAR, "orders.created_at.month",
     "\"" MONTH2 "\"],[\"" RANGE "\",\"" RANGE "\",\"" RANGE "\"]]}}"},
    {GR_QUERY_BLENDING, GR_FORMAT_DEFAULT, "orders.created_at.month",
     "\"orders.created_at\":\"" MONTH2 "\",\"time.month\":\"" MONTH2 "\"}]}"},
    {GR_QUERY_BLENDING, GR_FORMAT_COMPACT, "orders.created_at.month",
     "{\"members\":[\"orders.status\",\"orders.created_at.month\",\"orders.created_at\",\"time.month\"],"
     "\"dataset\":[[\"new\",\"" MONTH1 "\",\"" MONTH1 "\",\"" MONTH1 "\"],[\"a\\\"b\\\\\\n\",\"" MONTH1 "\",\"" MONTH1
     "\",\"" MONTH1 "\"],[null,\"" MONTH2 "\",\"" MONTH2 "\",\"" MONTH2 "\"]]}}"},
    {GR_QUERY_BLENDING, GR_FORMAT_COLUMNAR, "orders.created_at.month",
     "\"orders.created_at\",\"time.month\"],\"columns\":[[\"new\",\"a\\\"b\\\\\\n\",null],[\"" MONTH1 "\",\"" MONTH1
     "\",\"" MONTH2 "\"],[\"" MONTH1 "\",\"" MONTH1 "\",\"" MONTH2 "\"],[\"" MONTH1 "\",\"" MONTH1 "\",\"" MONTH2
     "\"]]}}"},
    /* a column of a cube named `time`: no key twice */
    {GR_QUERY_BLENDING, GR_FORMAT_DEFAULT, "time.month",
     "{\"orders.status\":null,\"time.month\":\"" MONTH2 "\",\"orders.created_at\":\"" MONTH2 "\"}]}"},
};

static void test_parts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof part_cases / sizeof *part_cases; i++) {
        const part_case *c = &part_cases[i];
        shop *s = shop_new();
        gr_query another = {.normalized = json_pack("{s:s}", "queryType", "other")};
        const gr_query *queries[] = {&s->query, &another};
        gr_query_set set = {
            .type = c->type, .queries = queries, .n = 2, .ranges = january, .granularity = GR_STR("month")};
        s->query.format = c->format;
        s->query.n_columns = 2;
        s->query.columns[1].key = gr_str_from(c->key);
        gr_buf out;
        assert_int_equal(
            load(s, (gr_http_load_options){.set = &set, .part = 1, .is_multi = true}, 1, -1, 1 << 20, &out), GR_OK);
        gr_str text = finish(&out);
        assert_true(gr_str_starts(text, GR_STR("{\"query\":{\"queryType\":\"other\"},\"lastRefreshTime\"")));
        if (!gr_str_ends(text, gr_str_from(c->want))) fail_msg("no  %s\nat the end of  %s", c->want, text.p);
        has_not(text, "results");
        gr_buf_done(&out);
        for (int batches = 0; batches <= 60; batches += 60) { /* none; and more than there is room for */
            gr_status status = load(s, (gr_http_load_options){.set = &set, .part = 1}, batches, -1, 9000, &out);
            assert_int_equal(status, batches ? GR_ERR_LIMIT : GR_OK);
            if (!status) (void)finish(&out);
            gr_buf_done(&out);
        }
        json_decref(another.normalized);
        shop_free(s);
    }
}

static gr_str envelope_of(shop *s, const gr_query_set *set, gr_buf *out) {
    gr_jw w;
    gr_buf_init(out, 1 << 20);
    gr_jw_init(&w, out);
    gr_http_encode_set_begin(set, &w);
    gr_buf_z(out, "1,2");
    assert_int_equal(gr_http_encode_set_end(set, s->arena, &w, NULL), GR_OK);
    return finish(out);
}

static void test_envelopes(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_buf out;
    gr_query other = s->query;
    gr_field measures[] = {shop_field(s, TOTAL), shop_field(s, COUNT)};
    other.measures = measures;
    other.n_dimensions = 0;
    const gr_query *queries[] = {&s->query, &other};
    gr_query_set set = {.type = GR_QUERY_BLENDING, .queries = queries, .n = 2, .granularity = GR_STR("day")};
    assert_string_equal(envelope_of(s, &set, &out).p,
                        "{\"queryType\":\"blendingQuery\",\"results\":[1,2],\"pivotQuery\":{\"measures\":["
                        "\"orders.count\",\"orders.ratio\",\"orders.uniques\"],\"dimensions\":[\"orders.status\"],"
                        "\"timeDimensions\":[{\"dimension\":\"time\",\"granularity\":\"day\"}],\"queryType\":"
                        "\"blendingQuery\"},\"slowQuery\":false}");
    gr_buf_done(&out);
    set.type = GR_QUERY_COMPARE;
    static const char *const forms[][2] = {{"[]", "[\"compareDateRange\"]"},
                                           {"[\"a.b\"]", "[\"compareDateRange\",\"a.b\"]"}};
    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(s->query.normalized, "dimensions", json_loads(forms[i][0], 0, NULL));
        gr_str text = envelope_of(s, &set, &out);
        gr_str want = gr_arena_printf(s->arena,
                                      "{\"queryType\":\"compareDateRangeQuery\",\"results\":[1,2],\"pivotQuery\":{"
                                      "\"measures\":[\"orders.count\"],\"dimensions\":%s},\"slowQuery\":false}",
                                      forms[i][1]);
        assert_string_equal(text.p, want.p);
        gr_buf_done(&out);
        char *kept = json_dumps(json_object_get(s->query.normalized, "dimensions"), 0);
        assert_string_equal(kept, forms[i][0]);
        free(kept);
    }
    gr_buf_init(&out, 1 << 20);
    assert_int_equal(gr_http_encode_dry_run(&set, s->arena, &out, NULL), GR_OK);
    gr_str text = finish(&out);
    has(text, "{\"queryType\":\"compareDateRangeQuery\",\"normalizedQueries\":[{\"measures\":[\"orders.count\"],"
              "\"dimensions\":[\"a.b\"]},{\"measures\":");
    has(text, "\"queryOrder\":[{\"orders.created_at\":\"asc\",\"orders.count\":\"desc\"},{\"orders.created_at\":");
    has(text, "\"pivotQuery\":{\"measures\":[\"orders.count\"],\"dimensions\":[\"compareDateRange\",\"a.b\"]}}");
    gr_buf_done(&out);
    shop_free(s);
}

/* ---- plans ----------------------------------------------------------------------------------- */
static void test_sql(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_value params[] = {
        {GR_TYPE_UTF8, {.s = S("a\"b")}},
        {GR_TYPE_INT64, {.i = -3}},
        {GR_TYPE_FLOAT64, {.d = 0.5}},
        {GR_TYPE_BOOL, {.b = true}},
        {GR_TYPE_NULL, {.i = 0}},
        {GR_TYPE_DATE, {.i = 19723}},
        {GR_TYPE_TIMESTAMP, {.i = 1704067200000000}},
        {GR_TYPE_TIMESTAMPTZ, {.i = 1704067200000000}},
    };
    s->answer.sql.params = params;
    s->answer.sql.n_params = 8;
    shop_serve(s);
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    assert_int_equal(gr_http_encode_sql(&s->answer, &s->config, s->arena, &out, NULL), GR_OK);
    assert_string_equal(finish(&out).p,
                        "{\"sql\":{\"sql\":[\"SELECT "
                        "\\\"x\\\"\",[\"a\\\"b\",-3,0.5,true,null,\"2024-01-01\",\"2024-01-01T00:00:00.000\",\"2024-01-"
                        "01T00:00:00.000Z\"]],"
                        "\"order\":[{\"id\":\"orders.created_at\",\"desc\":false},{\"id\":\"orders.count\",\"desc\":"
                        "true}],\"external\":true,"
                        "\"preAggregations\":[{\"preAggregationId\":\"orders.main\",\"tableName\":\"granary.orders_"
                        "main\",\"type\":\"rollup\",\"external\":true,\"dataSource\":\"default\"}],"
                        "\"aliasNameToMember\":{\"c0\":\"orders.status\",\"c1\":\"orders.created_at.month\",\"c2\":"
                        "\"orders.created_at.day\",\"c3\":\"orders.count\",\"c4\":\"orders.ratio\"},"
                        "\"dataSource\":\"default\",\"rollupMatchResults\":[]},\"dataSource\":\"default\"}");
    gr_buf_done(&out);
    shop_free(s);
}

static void test_dry_run(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    const gr_query *query = &s->query;
    gr_query_set set = {.queries = &query, .n = 1};
    assert_int_equal(gr_http_encode_dry_run(&set, s->arena, &out, NULL), GR_OK);
    gr_str text = finish(&out);
    has(text, "{\"queryType\":\"regularQuery\",\"normalizedQueries\":[{\"measures\":[\"orders.count\"]}],"
              "\"queryOrder\":[{\"orders.created_at\":\"asc\",\"orders.count\":\"desc\"}],\"transformedQueries\":[{");
    has(text,
        "\"timeDimensions\":[[\"orders.created_at\",\"month\"],[\"orders.created_at\",\"day\"]],\"timezone\":\"UTC\"");
    assert_true(gr_str_ends(text, GR_STR("}],\"pivotQuery\":{\"measures\":[\"orders.count\"]}}")));
    gr_buf_done(&out);
    shop_free(s);
}

/* Tiles, a second rollup, the source: all are named. */
static void test_several_uses(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_preagg hourly = s->main;
    hourly.name = hourly.alias = GR_STR("hourly");
    hourly.id = GR_STR("orders.hourly");
    gr_rollup second = {.preagg = &hourly, .is_external = true};
    gr_rollup_state younger = s->state;
    younger.build_number = 9;
    gr_plan_use uses[] = {{&s->rollup, &s->state, gr_tz_utc(), s->state.built_at_us, 0, NULL},
                          {&second, &younger, gr_tz_utc(), younger.built_at_us, 0, NULL}};
    gr_piece pieces[3] = {{.kind = GR_PIECE_SCAN, .scan = {.query = &s->query, .rollup = &s->rollup}},
                          {.kind = GR_PIECE_WINDOW},
                          {.kind = GR_PIECE_SCAN, .scan = {.query = &s->query}}};
    gr_piece inside = {.kind = GR_PIECE_SCAN,
                       .scan = {.query = &s->query, .rollup = &second, .is_non_strict_range = true}};
    gr_plan inner = {.query = &s->query, .pieces = &inside, .n_pieces = 1};
    pieces[1].window.inner = &inner;
    s->plan.uses = uses;
    s->plan.n_uses = 2;
    s->plan.pieces = pieces;
    s->plan.n_pieces = 3;
    s->plan.is_non_strict_range = true;
    gr_buf out;
    assert_int_equal(load(s, (gr_http_load_options){0}, 0, -1, 1 << 20, &out), GR_OK);
    gr_str text = finish(&out);
    has(text, "\"version\":7,\"id\":4,\"exactness\":\"exact\"},\"granary.orders_hourly\":{\"preAggregationId\":"
              "\"orders.hourly\",\"lastUpdatedAt\":1612325106000,\"type\":\"rollup\",\"version\":9,\"id\":4,"
              "\"exactness\":\"non_strict_range\"}}");
    has(text, "\"external\":true,");
    assert_true(gr_str_eq(gr_http_served_by(&s->answer, s->arena), GR_STR("orders.main, orders.hourly")));
    gr_buf_done(&out);
    s->plan.reads_source = true;
    hourly.type = GR_PREAGG_ORIGINAL_SQL;
    assert_int_equal(load(s, (gr_http_load_options){0}, 0, -1, 1 << 20, &out), GR_OK);
    text = finish(&out);
    has(text, "\"external\":false,");
    has(text, "\"type\":\"originalSql\"");
    assert_true(gr_str_eq(gr_http_served_by(&s->answer, s->arena), GR_STR("orders.main, orders.hourly, source")));
    gr_buf_done(&out);
    s->plan.reads_source = false;
    second.is_external = false;
    assert_int_equal(load(s, (gr_http_load_options){0}, 0, -1, 1 << 20, &out), GR_OK);
    has(finish(&out), "\"external\":false,");
    gr_buf_done(&out);
    shop_free(s);
}

static void test_short_refusals(void **state) {
    (void)state;
    static const char wanted[] = "\"preAggregationRefusals\":[{\"preAggregation\":\"orders.main\",\"rule\":\"match."
                                 "dimension_missing\",\"member\":\"orders.status\"},{\"preAggregation\":\"orders."
                                 "main\",\"rule\":\"match.forbidden\"}],";
    shop *s = shop_new();
    gr_refusal refusals[] = {{GR_RULE_DIMENSION_MISSING, &s->rollup, &s->members[STATUS], NULL},
                             {GR_RULE_FORBIDDEN, &s->rollup, NULL, NULL}};
    const struct {
        bool has_secret, is_dev, is_asked, is_served, is_refused, is_shown;
    } rows[] = {{0, 0, 0, 0, 1, 1}, {1, 0, 0, 0, 1, 0}, {1, 1, 0, 0, 1, 1}, {1, 0, 1, 0, 1, 1},
                {0, 0, 0, 1, 1, 0}, {0, 0, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gr_buf out;
        s->config.api_secret.value = rows[i].has_secret ? GR_STR("x") : (gr_str){0};
        s->config.dev_mode = rows[i].is_dev;
        s->plan.refusals = refusals;
        s->plan.n_refusals = rows[i].is_refused ? 2 : 0;
        s->plan.n_uses = 0;
        if (rows[i].is_served) shop_serve(s);
        gr_http_load_options options = {.want_explain = rows[i].is_asked};
        assert_int_equal(load(s, options, 0, -1, 1 << 20, &out), GR_OK);
        gr_str text = finish(&out);
        (rows[i].is_shown ? has : has_not)(text, rows[i].is_shown ? wanted : "preAggregationRefusals");
        gr_buf_done(&out);
    }
    shop_free(s);
}

static gr_str explain(shop *s, gr_explanation *v, gr_query_type type, size_t n, gr_buf *out) {
    gr_explanations all = {.type = type, .v = v, .n = n};
    gr_buf_init(out, 1 << 20);
    assert_int_equal(gr_http_encode_explain(&all, s->arena, out, NULL), GR_OK);
    return finish(out);
}

static void test_explain(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_refusal refusals[] = {{GR_RULE_DIMENSION_MISSING, &s->rollup, &s->members[STATUS], NULL},
                             {GR_RULE_UNGROUPED, &s->rollup, NULL, NULL}};
    s->plan.refusals = refusals;
    s->plan.n_refusals = 2;
    s->answer.planned_us = 60;
    s->answer.parsed_us = 10;
    s->answer.rendered_us = 20;
    gr_buf out;
    gr_explanation e[2] = {{.answer = s->answer}};
    gr_str text = explain(s, e, GR_QUERY_REGULAR, 1, &out);
    has(text, "{\"pre_aggregations\":[],\"source\":\"default\",\"exactness\":\"exact\",\"to_build\":[],\"refusals\":[{"
              "\"pre_aggregation\":\"orders.main\","
              "\"rule\":\"match.dimension_missing\",\"member\":\"orders.status\",\"detail\":\"");
    has(text, "{\"pre_aggregation\":\"orders.main\",\"rule\":\"match.ungrouped\",\"detail\":\"");
    has(text, "],\"sql\":\"SELECT \\\"x\\\"\",\"params\":[],\"join_tree\":[],\"grain_groups\":[],\"pieces\":[],"
              "\"timings_us\":{\"parse\":10,\"plan\":30,\"render\":20}}");
    gr_buf_done(&out);
    s->plan.n_refusals = 0;
    s->plan.to_build = &s->rollup;
    s->plan.to_build_zone = gr_tz_utc();
    e[0].answer.sql.text = (gr_str){0};
    e[1] = e[0];
    text = explain(s, e, GR_QUERY_COMPARE, 2, &out);
    has(text, "[{\"pre_aggregations\":[\"orders.main\"],\"source\":null,\"exactness\":\"exact\",\"to_build\":"
              "[{\"pre_aggregation\":\"orders.main\",\"timezone\":\"UTC\"}],\"refusals\":[],\"sql\":null,");
    has(text, "}},{\"pre_aggregations\":[\"orders.main\"]");
    assert_true(gr_str_ends(text, GR_STR("}}]")));
    assert_true(gr_str_eq(gr_http_served_by(&e[0].answer, s->arena), GR_STR("orders.main")));
    gr_buf_done(&out);
    gr_buf_init(&out, 200);
    gr_explanations all = {.v = e, .n = 1};
    assert_int_equal(gr_http_encode_explain(&all, s->arena, &out, NULL), GR_ERR_LIMIT);
    gr_buf_done(&out);
    shop_free(s);
}

static size_t count_of(gr_str text, const char *part) {
    size_t n = 0;
    for (size_t at = gr_str_find_str(text, gr_str_from(part)); at != SIZE_MAX;) {
        n++;
        text = gr_str_sub(text, at + 1, text.n - at - 1);
        at = gr_str_find_str(text, gr_str_from(part));
    }
    return n;
}

/* Candidates: what was asked of them, what is of the moment, what would help. */
static void test_candidates(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_tree_node node = {.cube = &s->orders};
    gr_group group = {.tree = {&node, 1}, .key_node = 0};
    gr_refusal missing = {GR_RULE_DIMENSION_MISSING, &s->rollup, &s->members[STATUS], NULL},
               facts = {GR_RULE_FACTS, &s->rollup, NULL, NULL}, now = {GR_RULE_NOT_BUILT, &s->rollup, NULL, NULL};
    gr_candidate candidates[] = {{.rollup = &s->rollup, .refusals = {&missing, 1, 1}},
                                 {.rollup = &s->rollup, .refusals = {&facts, 1, 1}}};
    gr_change changes[] = {
        {GR_CHANGE_TIME_DIMENSION, S("created_at"), gr_granularity_predefined(GR_GRAIN_DAY),
         gr_granularity_predefined(GR_GRAIN_MONTH)},
        {GR_CHANGE_DIMENSION, S("status"), NULL, NULL},
    };
    gr_str words[] = {S("do this")};
    gr_repair repairs[2] = {{.is_known = true,
                             .is_proved = true,
                             .texts = words,
                             .n_texts = 1,
                             .changes = {changes, 2, 2},
                             .has_rows = true,
                             .rows = 50,
                             .has_rows_now = true,
                             .rows_now = 8}};
    s->plan.refusals = &now;
    s->plan.n_refusals = 1;
    gr_explanation e = {.answer = s->answer,
                        .report = {.groups = {&group, 1, 1}, .candidates = candidates, .n_candidates = 2},
                        .repairs = repairs};
    gr_buf out;
    gr_str text = explain(s, &e, GR_QUERY_REGULAR, 1, &out);
    has(text, "\"grain_groups\":[{\"fact\":\"orders\",\"key_cube\":\"orders\",\"join_tree\":[{\"cube\":\"orders\","
              "\"parent\":null,\"relationship\":null,\"multiplied\":false}],\"components\":[],\"candidates\":[{"
              "\"pre_aggregation\":\"orders.main\",\"is_chosen\":false,\"passed\":[\"match.cannot_build\","
              "\"match.join_root\",\"match.facts\",");
    has(text, "\"failed\":[{\"rule\":\"match.dimension_missing\",\"member\":\"orders.status\",");
    has(text, "\"repair\":{\"changes\":[\"do this\"],\"is_proved\":true,\"add\":{\"dimensions\":[\"status\"],"
              "\"time_dimensions\":[{\"dimension\":\"created_at\",\"granularity\":\"day\",\"instead_of\":\"month\"}]},"
              "\"rows_now\":8,\"estimated_rows\":50,\"estimated_rows_added\":42}}");
    has(text, "\"passed\":[\"match.cannot_build\",\"match.join_root\"],\"failed\":[{\"rule\":\"match.facts\",");
    assert_int_equal(count_of(text, "\"rule\":\"match.not_built\""), 3); /* as decided, and of each candidate */
    assert_true(gr_str_find_str(text, GR_STR("\"repair\":null}")) != SIZE_MAX);
    gr_buf_done(&out);
    shop_free(s);
}

/* ---- meta ------------------------------------------------------------------------------------ */
static void test_meta(void **state) {
    (void)state;
    shop *s = shop_new();
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    assert_int_equal(gr_http_encode_meta(&s->model, (gr_http_meta_options){0}, &out, NULL), GR_OK);
    gr_str text = finish(&out);
    has(text, "{\"cubes\":[{\"name\":\"orders\",\"type\":\"cube\",\"title\":\"Orders\",\"isVisible\":true,\"public\":"
              "true,\"connectedComponent\":1,");
    has(text, "{\"name\":\"orders.uniques\",\"title\":\"Orders "
              "Uniques\",\"shortTitle\":\"Uniques\",\"isVisible\":true,\"public\":true,\"type\":\"number\",\"aggType\":"
              "\"countDistinct\"");
    has(text, "\"granularities\":[{\"name\":\"two_weeks\"");
    has(text, "{\"name\":\"ov\",\"type\":\"view\"");
    has(text, "\"aliasMember\":\"orders.count\"");
    has_not(text, "secret");
    has_not(text, "\"sql\"");
    has_not(text, "sqlTable");
    gr_buf_done(&out);
    gr_buf_init(&out, 1 << 20);
    assert_int_equal(
        gr_http_encode_meta(&s->model, (gr_http_meta_options){.is_extended = true, .with_hidden = true}, &out, NULL),
        GR_OK);
    text = finish(&out);
    has(text, "\"sqlTable\":\"main.orders\"");
    has(text, "\"sql\":\"{CUBE}.status\"");
    has(text, "\"preAggregations\":[{\"name\":\"main\",\"id\":\"orders.main\",\"type\":\"rollup\"");
    has(text, "\"name\":\"orders.secret\",\"title\":\"Orders "
              "Secret\",\"shortTitle\":\"Secret\",\"isVisible\":false,\"public\":false");
    gr_buf_done(&out);
    gr_buf_init(&out, 1 << 20);
    assert_int_equal(gr_http_encode_meta(&s->model, (gr_http_meta_options){.only_views = true}, &out, NULL), GR_OK);
    text = finish(&out);
    has(text, "{\"cubes\":[{\"name\":\"ov\"");
    gr_buf_done(&out);
    s->orders.is_public = false;
    gr_buf_init(&out, 1 << 20);
    assert_int_equal(gr_http_encode_meta(&s->model, (gr_http_meta_options){0}, &out, NULL), GR_OK);
    has_not(finish(&out), "\"name\":\"orders\"");
    gr_buf_done(&out);
    gr_error err = {0};
    gr_buf_init(&out, 100);
    assert_int_equal(gr_http_encode_meta(&s->model, (gr_http_meta_options){0}, &out, &err), GR_ERR_LIMIT);
    gr_buf_done(&out);
    shop_free(s);
}

/* ---- errors and operations ------------------------------------------------------------------- */
typedef struct error_case {
    gr_status status;
    int http;
    const char *body;
} error_case;

static void test_errors(void **state) {
    (void)state;
    static const error_case cases[] = {
        {GR_ERR_QUERY_DATE, 400, "{\"type\":\"UserError\",\"error\":\"no \\\"x\\\"\",\"id\":\"query.date\"}"},
        {GR_ERR_ENGINE_SQL, 400, "{\"error\":\"no \\\"x\\\"\",\"id\":\"engine.sql\"}"},
        {GR_ERR_PREAGG_BUILD, 400, "{\"error\":\"no \\\"x\\\"\",\"id\":\"preagg.build_failed\"}"},
        {GR_ERR_QUERY_LIMIT, 500, "{\"error\":\"Error: no \\\"x\\\"\",\"id\":\"query.limit\"}"},
        {GR_ERR_INTERNAL, 500, "{\"error\":\"Error: no \\\"x\\\"\",\"id\":\"internal\"}"},
        {GR_ERR_AUTH_MISSING, 403, "{\"error\":\"no \\\"x\\\"\",\"id\":\"auth.missing\"}"},
        {GR_ERR_HTTP_BUSY, 503, "{\"error\":\"no \\\"x\\\"\",\"id\":\"http.busy\"}"},
        {GR_ERR_HTTP_BODY, 413, "{\"type\":\"UserError\",\"error\":\"no \\\"x\\\"\",\"id\":\"http.body\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_error err = {0};
        gr_buf out;
        gr_error_set(&err, cases[i].status, "no \"x\"");
        gr_buf_init(&out, 10000);
        gr_http_encode_error(&err, (gr_str){0}, &out);
        assert_string_equal(finish(&out).p, cases[i].body);
        assert_int_equal(gr_http_error_status(cases[i].status), cases[i].http);
        gr_buf_done(&out);
    }
    gr_error err = {0};
    gr_buf out;
    gr_error_set(&err, GR_ERR_MODEL_INVALID, "bad");
    gr_error_hint(&err, "do");
    gr_error_at(&err, (gr_loc){GR_STR("a.yml"), 3, 4});
    gr_buf_init(&out, 10000);
    gr_http_encode_error(&err, GR_STR("r-span-1"), &out);
    assert_string_equal(
        finish(&out).p,
        "{\"error\":\"Error: "
        "bad\",\"id\":\"model.invalid\",\"hint\":\"do\",\"location\":\"a.yml:3:4\",\"requestId\":\"r-span-1\"}");
    gr_buf_done(&out);
}

static void test_operations(void **state) {
    (void)state;
    gr_buf out;
    gr_preagg_view views[] = {
        {.id = S("a.b"),
         .cube = S("a"),
         .name = S("b"),
         .zone = S("UTC"),
         .store = S("embedded"),
         .status = S("active"),
         .entity_id = 2,
         .is_built = true,
         .table = S("t"),
         .build_number = 3,
         .rows = 4,
         .bytes = 5,
         .built_at_us = 1612325106000000,
         .build_ms = 6,
         .is_refreshed = true,
         .refresh = {.next_us = 1612325106000000, .n_failures = 2, .error = S("late")}},
        {.id = S("a.c"),
         .cube = S("a"),
         .name = S("c"),
         .status = S("failed"),
         .error = S("why"),
         .problem = S("never")},
    };
    gr_buf_init(&out, 10000);
    assert_int_equal(gr_http_encode_preaggs(views, 2, &out, NULL), GR_OK);
    assert_string_equal(
        finish(&out).p,
        "{\"pre_aggregations\":[{\"id\":\"a.b\",\"cube\":\"a\",\"name\":\"b\",\"timezone\":\"UTC\","
        "\"store\":\"embedded\",\"entity_id\":2,\"status\":\"active\","
        "\"is_built\":true,\"table\":\"t\",\"version\":3,\"rows\":4,\"bytes\":5,\"built_at\":\"2021-02-"
        "03T04:05:06.000Z\",\"build_ms\":6,\"refresh\":{\"is_building\":false,\"next_at\":"
        "\"2021-02-03T04:05:06.000Z\",\"looked_at\":null,\"failures\":2,\"error\":\"late\"}},"
        "{\"id\":\"a.c\",\"cube\":\"a\",\"name\":\"c\",\"timezone\":\"\",\"store\":\"\",\"entity_id\":"
        "null,\"status\":\"failed\",\"is_built\":false,\"error\":\"why\",\"problem\":\"never\",\"refresh\":null}]}");
    gr_buf_done(&out);
    gr_error err = {0};
    gr_error_set(&err, GR_ERR_PREAGG_BUILD, "broke");
    gr_http_progress progress = {.preagg_id = S("a.b"),
                                 .zone = S("UTC"),
                                 .status = S("failed"),
                                 .is_done = true,
                                 .fraction = -1,
                                 .error = &err,
                                 .moved_rows = 10,
                                 .moved_bytes = 4000,
                                 .moved_us = 2000000};
    gr_buf_init(&out, 10000);
    assert_int_equal(gr_http_encode_progress(&progress, &out, NULL), GR_OK);
    assert_string_equal(finish(&out).p, "{\"pre_aggregation\":\"a.b\",\"timezone\":\"UTC\",\"status\":\"failed\",\"is_"
                                        "done\":true,\"progress\":null,\"rows\":0,\"started_at\":null,"
                                        "\"transfer\":{\"rows\":10,\"bytes\":4000,\"rows_per_second\":5,"
                                        "\"bytes_per_second\":2000},"
                                        "\"error\":\"broke\",\"error_id\":\"preagg.build_failed\"}");
    gr_buf_done(&out);
    gr_arena *arena = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_diags_warn(&diags, GR_ERR_MODEL_NO_EFFECT, (gr_loc){0}, "unused")->hint = GR_STR("drop it");
    gr_diags_error(&diags, GR_ERR_MODEL_CYCLE, (gr_loc){GR_STR("x.yml"), 1, 2}, "round");
    gr_buf_init(&out, 10000);
    gr_http_encode_diags(&diags, &out);
    assert_string_equal(
        finish(&out).p,
        "[{\"severity\":\"warning\",\"id\":\"model.no_effect\",\"message\":\"unused\",\"hint\":\"drop it\"},"
        "{\"severity\":\"error\",\"id\":\"model.cycle\",\"message\":\"round\",\"file\":\"x.yml\",\"line\":1,\"column\":"
        "2}]");
    gr_buf_done(&out);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_rows),
        cmocka_unit_test(test_plain_dimension_wins),
        cmocka_unit_test(test_smallest_granularity),
        cmocka_unit_test(test_compact_and_columnar),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_many_batches),
        cmocka_unit_test(test_source_facts),
        cmocka_unit_test(test_rollup_facts),
        cmocka_unit_test(test_annotation),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_sql),
        cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_several_uses),
        cmocka_unit_test(test_short_refusals),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
