/* Bad queries: the status and the exact text. In the tables ' stands for ", and ` for '. */
#include "query_fixture.h"

typedef struct row {
    gr_status status;
    const char *query, *want, *hint; /* hint NULL: not looked at */
} row;

#define ID_PATTERN "fails to match the required pattern: /^[a-zA-Z0-9_]+\\.[a-zA-Z0-9_]+$/"
#define ID3_PATTERN "fails to match the required pattern: /^[a-zA-Z0-9_]+\\.[a-zA-Z0-9_]+(\\.[a-zA-Z0-9_]+)?$/"
#define BAD(query, want)                                                                                               \
    { GR_ERR_QUERY_INVALID, query, "Invalid query format: " want, NULL }
#define HIDDEN(member)                                                                                                 \
    "You requested hidden member: `" member "`. Please make it visible using \x01public: true\x01. Please note "       \
    "primaryKey fields are \x01public: false\x01 by default: "                                                         \
    "https://cube.dev/docs/schema/reference/joins#setting-a-primary-key."
#define EMPTY                                                                                                          \
    "Query should contain either measures, dimensions or timeDimensions with granularities in order to be valid"

static const row shape[] = {
    {GR_ERR_QUERY_INVALID, "{'measure':['orders.count']}", "Invalid query format: 'measure' is not allowed",
     "did you mean 'measures'?"},
    BAD("{'measures':['orders.count'],'preAggregations':'never'}",
        "'preAggregations' must be one of [prefer, require, forbid]"),
    BAD("{'measures':['orders.count'],'preAggregations':['forbid']}",
        "'preAggregations' must be one of [prefer, require, forbid]"),
    BAD("{'measures':['orders.count'],'selection':'best'}", "'selection' must be one of [first, cheapest]"),
    BAD("{'measures':['orders.count'],'selection':null}", "'selection' must be one of [first, cheapest]"),
    BAD("{'measures':['orders.count'],'queryType':'multi'}", "'queryType' is not allowed"),
    BAD("{'measures':['orders.count'],'maskedMembers':[]}", "'maskedMembers' is not allowed"),
    BAD("'orders.count'", "'value' must be of type object"),
    BAD("{'measures':'orders.count'}", "'measures' must be an array"),
    BAD("{'measures':[1]}", "'measures[0]' must be a string"),
    BAD("{'measures':['orders.count','count']}", "'measures[1]' with value 'count' " ID_PATTERN),
    BAD("{'measures':['orders.count.day']}", "'measures[0]' with value 'orders.count.day' " ID_PATTERN),
    BAD("{'measures':['orders.']}", "'measures[0]' with value 'orders.' " ID_PATTERN),
    BAD("{'measures':['']}", "'measures[0]' with value '' " ID_PATTERN),
    BAD("{'segments':['a b.c']}", "'segments[0]' with value 'a b.c' " ID_PATTERN),
    BAD("{'dimensions':['a.b.c.d']}", "'dimensions[0]' with value 'a.b.c.d' " ID3_PATTERN),
    BAD("{'dimensions':['a..c']}", "'dimensions[0]' with value 'a..c' " ID3_PATTERN),
    BAD("{'timeDimensions':{}}", "'timeDimensions' must be an array"),
    BAD("{'timeDimensions':[7]}", "'timeDimensions[0]' must be of type object"),
    BAD("{'timeDimensions':[{}]}", "'timeDimensions[0].dimension' is required"),
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','grain':'day'}]}",
        "'timeDimensions[0].grain' is not allowed"),
    BAD("{'timeDimensions':['orders.created_at.day']}",
        "'timeDimensions[0]' with value 'orders.created_at.day' " ID_PATTERN),
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','granularity':5}]}",
        "'timeDimensions[0].granularity' must be a string"),
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','dateRange':5}]}",
        "'timeDimensions[0].dateRange' must be a string or an array"),
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','dateRange':[]}]}",
        "'timeDimensions[0].dateRange' must contain at least 1 items"),
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','dateRange':['2020-01-01','2020-01-02','2020-01-03']}]}",
        "'timeDimensions[0].dateRange' must contain less than or equal to 2 items"),
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','dateRange':['2020-01-01',null]}]}",
        "'timeDimensions[0].dateRange[1]' must be a string"),
    BAD("{'measures':['orders.count'],'limit':'10'}", "'limit' must be a number"),
    BAD("{'measures':['orders.count'],'limit':1.5}", "'limit' must be an integer"),
    BAD("{'measures':['orders.count'],'limit':-1}", "'limit' must be greater than or equal to 0"),
    BAD("{'measures':['orders.count'],'offset':true}", "'offset' must be a number"),
    BAD("{'measures':['orders.count'],'total':1}", "'total' must be a boolean"),
    BAD("{'measures':['orders.count'],'ungrouped':'yes'}", "'ungrouped' must be a boolean"),
    BAD("{'measures':['orders.count'],'renewQuery':'yes'}", "'renewQuery' must be a boolean"),
    BAD("{'measures':['orders.count'],'timezone':0}", "'timezone' must be a string"),
    BAD("{'measures':['orders.count'],'responseFormat':'csv'}",
        "'responseFormat' must be one of [default, compact, columnar]"),
    BAD("{'measures':['orders.count'],'cache':'never'}",
        "'cache' must be one of [stale-if-slow, stale-while-revalidate, must-revalidate, no-cache]"),
    BAD("{'measures':['orders.count'],'order':'orders.count'}", "'order' must be an object or an array"),
    BAD("{'measures':['orders.count'],'order':{'orders.count':'up'}}",
        "'order.orders.count' must be one of [asc, desc]"),
    BAD("{'measures':['orders.count'],'order':{'count':'asc'}}", "'order.count' with value 'count' " ID3_PATTERN),
    BAD("{'measures':['orders.count'],'order':['orders.count']}", "'order[0]' must be an array"),
    BAD("{'measures':['orders.count'],'order':[['orders.count']]}", "'order[0]' must contain 2 items"),
    BAD("{'measures':['orders.count'],'order':[['orders.count','DESC']]}", "'order[0][1]' must be one of [asc, desc]"),
    {GR_ERR_QUERY_INVALID, "{}", EMPTY, NULL},
    {GR_ERR_QUERY_INVALID, "{'measures':[],'segments':['orders.paid']}", EMPTY, NULL},
    {GR_ERR_QUERY_INVALID, "{'timeDimensions':['orders.completed_at']}", EMPTY, NULL},
    {GR_ERR_QUERY_INVALID, "{'timeDimensions':[{'dimension':'orders.completed_at','dateRange':'today'}]}", EMPTY, NULL},
    {GR_ERR_QUERY_UNSUPPORTED, "[{'measures':['orders.count']}]",
     "Data blending (an array of queries) is not supported here: one query is expected", NULL},
    {GR_ERR_QUERY_UNSUPPORTED, "{'measures':['orders.count'],'subqueryJoins':[]}", "'subqueryJoins' is not supported",
     NULL},
    {GR_ERR_QUERY_UNSUPPORTED, "{'measures':['orders.count'],'joinHints':[]}", "'joinHints' is not supported", NULL},
    {GR_ERR_QUERY_UNSUPPORTED,
     "{'timeDimensions':[{'dimension':'orders.created_at','granularity':'day','compareDateRange':['today']}]}",
     "compareDateRange is not supported here: it makes several queries of one", NULL},
    BAD("{'timeDimensions':[{'dimension':'orders.created_at','granularity':'day','compareDateRange':null}]}",
        "'timeDimensions[0].compareDateRange' must be an array"),
    {GR_ERR_QUERY_LIMIT, "{'measures':['orders.count'],'limit':50001}", "The query limit has been exceeded.", NULL},
    {GR_ERR_QUERY_TIMEZONE, "{'measures':['orders.count'],'timezone':'+05:00'}", "Unknown time zone: `+05:00`", NULL},
    {GR_ERR_QUERY_TIMEZONE, "{'measures':['orders.count'],'timezone':''}", "Unknown time zone: ``", NULL},
};

static const row members[] = {
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'measures':['orders.cuont']}", "`cuont` not found for path `orders.cuont`", NULL},
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'measures':['order.count']}", "Cube `order` not found for path `order.count`",
     NULL},
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'measures':['orders.status']}", "`status` not found for path `orders.status`",
     "orders.status is a dimension: ask for it in 'dimensions'"},
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'dimensions':['orders.count']}", "`count` not found for path `orders.count`",
     "orders.count is a measure: ask for it in 'measures'"},
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'measures':['orders.count'],'segments':['orders.status']}",
     "`status` not found for path `orders.status`", NULL},
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'timeDimensions':['orders.count']}", "`count` not found for path `orders.count`",
     NULL},
    {GR_ERR_QUERY_UNKNOWN_MEMBER, "{'measures':['orders.count'],'filters':[{'member':'orders.paid','operator':'set'}]}",
     "`paid` not found for path `orders.paid`", "orders.paid is a segment: ask for it in 'segments'"},
    {GR_ERR_QUERY_HIDDEN_MEMBER, "{'measures':['orders.secret']}", HIDDEN("orders.secret"), NULL},
    {GR_ERR_QUERY_HIDDEN_MEMBER, "{'dimensions':['orders.id']}", HIDDEN("orders.id"), NULL},
    {GR_ERR_QUERY_HIDDEN_MEMBER, "{'dimensions':['vault.code']}", HIDDEN("vault.code"), NULL},
    {GR_ERR_QUERY_HIDDEN_MEMBER,
     "{'measures':['orders.count'],'filters':[{'member':'orders.hidden','operator':'set'}]}", HIDDEN("orders.hidden"),
     NULL},
    {GR_ERR_QUERY_GRANULARITY, "{'timeDimensions':[{'dimension':'orders.created_at','granularity':'fortnight'}]}",
     "Granularity 'fortnight' does not exist in dimension orders.created_at", NULL},
    {GR_ERR_QUERY_GRANULARITY, "{'timeDimensions':[{'dimension':'orders.created_at','granularity':'half_yaer'}]}",
     "Granularity 'half_yaer' does not exist in dimension orders.created_at", "did you mean 'half_year'?"},
    {GR_ERR_QUERY_GRANULARITY, "{'timeDimensions':[{'dimension':'orders.completed_at','granularity':'half_year'}]}",
     "Granularity 'half_year' does not exist in dimension orders.completed_at", NULL},
    {GR_ERR_QUERY_GRANULARITY, "{'timeDimensions':[{'dimension':'orders.created_at','granularity':''}]}",
     "Granularity '' does not exist in dimension orders.created_at", NULL},
    {GR_ERR_QUERY_GRANULARITY, "{'dimensions':['orders.created_at.Day']}",
     "Granularity 'Day' does not exist in dimension orders.created_at", NULL},
    {GR_ERR_QUERY_GRANULARITY, "{'dimensions':['orders.status.day']}",
     "Granularity 'day' does not exist in dimension orders.status",
     "only dimensions of type time have granularities and date ranges"},
    {GR_ERR_QUERY_GRANULARITY, "{'timeDimensions':[{'dimension':'orders.status','granularity':'day'}]}",
     "Granularity 'day' does not exist in dimension orders.status", NULL},
    {GR_ERR_QUERY_INVALID,
     "{'measures':['orders.count'],'timeDimensions':[{'dimension':'orders.status','dateRange':'today'}]}",
     "orders.status is not a time dimension", NULL},
    {GR_ERR_QUERY_INVALID, "{'measures':['orders.count'],'timeDimensions':['orders.price']}",
     "orders.price is not a time dimension", NULL},
    {GR_ERR_QUERY_DATE, "{'timeDimensions':[{'dimension':'orders.created_at','dateRange':'whenever'}]}",
     "Can`t parse date: `whenever`", NULL},
    {GR_ERR_QUERY_DATE, "{'timeDimensions':[{'dimension':'orders.created_at','dateRange':['2021-02-30']}]}",
     "Can`t parse date: `2021-02-30`", NULL},
    {GR_ERR_QUERY_DATE, "{'timeDimensions':[{'dimension':'orders.created_at','dateRange':['last week','today']}]}",
     "Can`t parse date: `last week`", NULL},
};

#define WITH(filter) "{'measures':['orders.count'],'filters':[" filter "]}"
#define BAD_FILTER(filter, want)                                                                                       \
    { GR_ERR_QUERY_INVALID, WITH(filter), "Invalid query format: " want, NULL }
#define OPERATOR(filter, want)                                                                                         \
    { GR_ERR_QUERY_OPERATOR, WITH(filter), want, NULL }
static const row filters[] = {
    BAD_FILTER("5", "'filters[0]' must be of type object"),
    BAD_FILTER("{'member':'orders.status','operator':'set','value':1}", "'filters[0].value' is not allowed"),
    BAD_FILTER("{'operator':'set'}", "'filters[0]' must contain at least one of [member, dimension]"),
    BAD_FILTER("{'member':'orders.status','dimension':'orders.status','operator':'set'}",
               "'filters[0]' contains a conflict between exclusive peers [member, dimension]"),
    BAD_FILTER("{'member':'status','operator':'set'}", "'filters[0].member' with value 'status' " ID_PATTERN),
    BAD_FILTER("{'dimension':1,'operator':'set'}", "'filters[0].dimension' must be a string"),
    BAD_FILTER("{'member':'orders.status'}", "'filters[0].operator' is required"),
    BAD_FILTER("{'member':'orders.status','operator':null}", "'filters[0].operator' must be a string"),
    BAD_FILTER("{'member':'orders.status','operator':'equals','values':'a'}", "'filters[0].values' must be an array"),
    BAD_FILTER("{'or':[{'and':[{'member':'orders.status','operator':'in','values':['a',{}]}]}]}",
               "'filters[0].or[0].and[0].values[1]' must be a string, a number, a boolean or null"),
    BAD_FILTER("{'and':[],'or':[]}", "'filters[0]' contains a conflict between exclusive peers [and, or]"),
    BAD_FILTER("{'or':{}}", "'filters[0].or' must be an array"),
    BAD_FILTER("{'or':[],'operator':'set'}", "'filters[0].operator' is not allowed"),
    {GR_ERR_QUERY_INVALID, "{'measures':['orders.count'],'filters':{}}",
     "Invalid query format: 'filters' must be an array", NULL},
    {GR_ERR_QUERY_OPERATOR, WITH("{'member':'orders.status','operator':'equal','values':['a']}"),
     "Operator equal not supported for filter: {'member':'orders.status','operator':'equal','values':['a']}",
     "did you mean 'equals'?"},
    OPERATOR("{'member':'orders.status','operator':'equals'}",
             "Values required for filter: {'member':'orders.status','operator':'equals'}"),
    OPERATOR("{'member':'orders.price','operator':'gt','values':[]}",
             "Values required for filter: {'member':'orders.price','operator':'gt','values':[]}"),
    OPERATOR("{'member':'orders.price','operator':'gt','values':[null]}", "Operator 'gt' does not take null"),
    OPERATOR("{'member':'orders.created_at','operator':'inDateRange','values':['2020-01-01',null]}",
             "Operator 'inDateRange' does not take null"),
    OPERATOR(
        "{'member':'orders.created_at','operator':'inDateRange','values':['2020-01-01','2020-01-02','2020-01-03']}",
        "Operator 'inDateRange' takes one or two values, not 3"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':['abc']}",
             "Filter value `abc` of orders.price is not a number"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':[1,'']}",
             "Filter value `` of orders.price is not a number"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':['0x10']}",
             "Filter value `0x10` of orders.price is not a number"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':['nan']}",
             "Filter value `nan` of orders.price is not a number"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':['1e']}",
             "Filter value `1e` of orders.price is not a number"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':['.']}",
             "Filter value `.` of orders.price is not a number"),
    OPERATOR("{'member':'orders.price','operator':'equals','values':['1 OR 1=1']}",
             "Filter value `1 OR 1=1` of orders.price is not a number"),
    OPERATOR("{'member':'orders.count','operator':'gt','values':['many']}",
             "Filter value `many` of orders.count is not a number"),
    OPERATOR("{'member':'orders.is_paid','operator':'equals','values':['yes']}",
             "Filter value `yes` of orders.is_paid is not a boolean"),
    OPERATOR("{'member':'orders.price','operator':'contains','values':['1']}",
             "Operator 'contains' cannot be used with orders.price, which is of type number"),
    OPERATOR("{'member':'orders.created_at','operator':'startsWith','values':['2']}",
             "Operator 'startsWith' cannot be used with orders.created_at, which is of type time"),
    OPERATOR("{'member':'orders.is_paid','operator':'gt','values':[true]}",
             "Operator 'gt' cannot be used with orders.is_paid, which is of type boolean"),
    OPERATOR("{'member':'orders.place','operator':'lt','values':['1']}",
             "Operator 'lt' cannot be used with orders.place, which is of type geo"),
    OPERATOR("{'member':'orders.status','operator':'inDateRange','values':['today']}",
             "Operator 'inDateRange' cannot be used with orders.status, which is of type string"),
    OPERATOR("{'member':'orders.status','operator':'measureFilter'}",
             "Operator 'measureFilter' is for measures, and orders.status is a dimension"),
    {GR_ERR_QUERY_DATE, WITH("{'member':'orders.created_at','operator':'inDateRange','values':['last week','today']}"),
     "Can`t parse date: `last week`", NULL},
    {GR_ERR_QUERY_DATE, WITH("{'member':'orders.created_at','operator':'beforeDate','values':['soonish']}"),
     "Can`t parse date: `soonish`", NULL},
    {GR_ERR_QUERY_DATE, WITH("{'member':'orders.created_at','operator':'gt','values':[5]}"), "Can`t parse date: `5`",
     NULL},
    {GR_ERR_QUERY_INVALID,
     WITH("{'or':[{'member':'orders.count','operator':'set'},{'member':'orders.status','operator':'set'}]}"),
     "You cannot use dimension and measure in same condition: {'or':[{'member':'orders.count','operator':'set'},"
     "{'member':'orders.status','operator':'set'}]}",
     NULL},
    {GR_ERR_QUERY_INVALID,
     WITH("{'or':[{'member':'orders.status','operator':'set'},{'and':[{'or':[{'member':'orders.count','operator':"
          "'set'}]}]}]}"),
     "You cannot use dimension and measure in same condition: {'or':[{'member':'orders.status','operator':'set'},"
     "{'and':[{'or':[{'member':'orders.count','operator':'set'}]}]}]}",
     NULL},
};

static char *spelled(fixture *f, const char *text) {
    char *copy = gr_arena_alloc(f->arena, strlen(text) + 1);
    for (size_t i = 0; text[i]; i++) {
        char c = text[i];
        copy[i] = c == '\'' ? '"' : c == '`' ? '\'' : c == '\x01' ? '`' : c;
    }
    return copy;
}

static void check(fixture *f, const row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        gr_query *q = NULL;
        gr_error err = {0};
        gr_status status = fixture_try(f, fixture_quotes(f, rows[i].query), &q, &err);
        fixture_same(rows[i].query, err.message, spelled(f, rows[i].want));
        if (status != rows[i].status)
            fail_msg("%s: %s, not %s", rows[i].query, gr_error_info_of(status)->id,
                     gr_error_info_of(rows[i].status)->id);
        if (rows[i].hint) fixture_same(rows[i].query, err.hint, spelled(f, rows[i].hint));
        assert_null(q); /* untouched on failure */
    }
}

static void bad_shapes(void **state) { check(*state, shape, sizeof shape / sizeof *shape); }
static void bad_members(void **state) { check(*state, members, sizeof members / sizeof *members); }
static void bad_filters(void **state) { check(*state, filters, sizeof filters / sizeof *filters); }

/* Messages are cut, never torn: a value of a megabyte in two-byte characters. */
static void long_values_are_cut(void **state) {
    fixture *f = *state;
    enum { N = 500000 };
    char *value = malloc(2 * N + 1);
    for (size_t i = 0; i < N; i++) memcpy(value + 2 * i, "\xc3\xa9", 2);
    value[2 * N] = 0;
    static const char *const forms[] = {
        "{\"measures\":[\"%s\"]}",
        "{\"measures\":[\"orders.count\"],\"filters\":[{\"member\":\"orders.price\","
        "\"operator\":\"equals\",\"values\":[\"%s\"]}]}",
        "{\"measures\":[\"orders.count\"],\"filters\":[{\"member\":\"orders.price\","
        "\"operator\":\"%s\"}]}",
        "{\"measures\":[\"orders.count\"],\"filters\":[{\"member\":\"orders.price\","
        "\"operator\":\"set\",\"%s\":1}]}",
        "{\"%s\":1}",
        "{\"timeDimensions\":[{\"dimension\":\"orders.created_at\",\"dateRange\":\"%s\"}]}",
        "{\"measures\":[\"orders.count\"],\"timezone\":\"%s\"}"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char *text = malloc(2 * N + 200);
        const char *hole = strstr(forms[i], "%s");
        sprintf(text, "%.*s%s%s", (int)(hole - forms[i]), forms[i], value, hole + 2);
        json_t *json = json_loads(text, 0, NULL);
        gr_query *q = NULL;
        gr_error err = {0};
        assert_non_null(json);
        assert_int_not_equal(gr_query_parse(f->model, json, &f->options, f->arena, &q, &err), GR_OK);
        assert_true(strlen(err.message) < 1000);
        assert_true(gr_str_is_utf8(gr_str_from(err.message)));
        json_decref(json);
        free(text);
    }
    free(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_shapes),
        cmocka_unit_test(bad_members),
        cmocka_unit_test(bad_filters),
        cmocka_unit_test(long_values_are_cut),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
