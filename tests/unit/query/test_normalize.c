/* Query JSON -> the `query` of an answer. In the tables ' stands for ". */
#include "query_fixture.h"

typedef struct row {
    const char *query, *want;
} row;

/* The whole object, which is long, for one query that has everything and one that has nothing. */
static const row whole[] = {
    {"{'measures':['orders.count']}",
     "{'measures':['orders.count'],'dimensions':[],'timeDimensions':[],'filters':[],'order':[],'limit':10000,"
     "'rowLimit':10000,'timezone':'UTC','queryType':'regularQuery','cacheMode':'stale-if-slow'}"},
    /* the seed's query: a plain string (decisions 25) */
    {"{'measures':['orders.count'],'timeDimensions':['orders.completed_at']}",
     "{'measures':['orders.count'],'dimensions':[],'timeDimensions':[{'dimension':'orders.completed_at'}],"
     "'filters':[],'order':[],'limit':10000,'rowLimit':10000,'timezone':'UTC','queryType':'regularQuery',"
     "'cacheMode':'stale-if-slow'}"},
    {"{'measures':['orders.count','orders.amount'],'dimensions':['users.city','orders.status'],'segments':["
     "'orders.paid'],'timeDimensions':[{'dimension':'orders.created_at','granularity':'day','dateRange':["
     "'2020-01-01','2020-01-31']}],'filters':[{'dimension':'orders.status','operator':'equals','values':['a',null,"
     "1]}],'order':{'orders.count':'desc','orders.unknown':'asc'},'limit':5,'offset':0,'timezone':"
     "'america/new_york','total':true,'ungrouped':true,'responseFormat':'compact','cache':'no-cache'}",
     "{'measures':['orders.count','orders.amount'],'dimensions':['users.city','orders.status'],'timeDimensions':[{"
     "'dimension':'orders.created_at','granularity':'day','dateRange':['2020-01-01T00:00:00.000',"
     "'2020-01-31T23:59:59.999']}],'segments':['orders.paid'],'filters':[{'member':'orders.status','operator':"
     "'equals','values':['a',null,'1']}],'order':[{'id':'orders.count','desc':true},{'id':'orders.unknown','desc':"
     "false}],'limit':5,'rowLimit':5,'offset':0,'timezone':'America/New_York','total':true,'ungrouped':true,"
     "'responseFormat':'compact','queryType':'regularQuery','cacheMode':'no-cache'}"},
};

static void whole_object(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        gr_query *q = fixture_query(f, fixture_quotes(f, whole[i].query));
        char *got = json_dumps(q->normalized, JSON_COMPACT);
        fixture_same(whole[i].query, got, fixture_quotes(f, whole[i].want));
        free(got);
    }
}

typedef struct part {
    const char *query, *key, *want; /* want NULL: the key is absent */
} part;

static const part parts[] = {
    /* duplicates are answered once */
    {"{'measures':['orders.count','orders.count'],'dimensions':['orders.status','orders.status']}", "measures",
     "['orders.count']"},
    {"{'measures':['orders.count','orders.count'],'dimensions':['orders.status','orders.status']}", "dimensions",
     "['orders.status']"},
    /* ids of three parts come after the explicit ones, and not twice */
    {"{'dimensions':['orders.created_at.month','orders.status','orders.created_at.day'],'timeDimensions':[{"
     "'dimension':'orders.created_at','granularity':'day','dateRange':['2020-01-01','2020-01-01']}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','granularity':'day','dateRange':['2020-01-01T00:00:00.000',"
     "'2020-01-01T23:59:59.999']},{'dimension':'orders.created_at','granularity':'month'}]"},
    {"{'dimensions':['orders.created_at.month','orders.status','orders.created_at.half_year']}", "dimensions",
     "['orders.status']"},
    {"{'dimensions':['orders.created_at.month','orders.status','orders.created_at.half_year']}", "timeDimensions",
     "[{'dimension':'orders.created_at','granularity':'month'},{'dimension':'orders.created_at','granularity':"
     "'half_year'}]"},
    {"{'dimensions':['ov.created_at.half_year']}", "timeDimensions",
     "[{'dimension':'ov.created_at','granularity':'half_year'}]"},
    /* two ranges of one dimension both hold */
    {"{'timeDimensions':[{'dimension':'orders.created_at','granularity':'day','dateRange':'today'},{'dimension':"
     "'orders.created_at','granularity':'day','dateRange':['2021-03-01']}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','granularity':'day','dateRange':['2021-03-10T00:00:00.000',"
     "'2021-03-10T23:59:59.999']},{'dimension':'orders.created_at','dateRange':['2021-03-01T00:00:00.000',"
     "'2021-03-01T23:59:59.999']}]"},
    {"{'timeDimensions':[{'dimension':'orders.created_at','granularity':'day'},{'dimension':'orders.created_at',"
     "'granularity':'day','dateRange':['2021-03-01']}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','granularity':'day','dateRange':['2021-03-01T00:00:00.000',"
     "'2021-03-01T23:59:59.999']}]"},
    {"{'measures':['orders.count'],'timeDimensions':[{'dimension':'orders.created_at','granularity':null}]}",
     "timeDimensions", "[{'dimension':'orders.created_at'}]"},
    /* relative ranges at 2021-03-10T12:00Z */
    {"{'measures':['orders.count'],'timeDimensions':[{'dimension':'orders.created_at','dateRange':'last 7 days'}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','dateRange':['2021-03-03T00:00:00.000','2021-03-09T23:59:59.999']}]"},
    {"{'measures':['orders.count'],'timeDimensions':[{'dimension':'orders.created_at','dateRange':'This Week'}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','dateRange':['2021-03-08T00:00:00.000','2021-03-14T23:59:59.999']}]"},
    {"{'measures':['orders.count'],'timezone':'Asia/Tokyo','timeDimensions':[{'dimension':'orders.created_at',"
     "'dateRange':'from 1 hour ago to now'}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','dateRange':['2021-03-10T20:00:00.000','2021-03-10T21:59:59.999']}]"},
    /* a zone in the text: the wall clock of UTC */
    {"{'measures':['orders.count'],'timeDimensions':[{'dimension':'orders.created_at','dateRange':["
     "'2021-01-01T00:00:00+02:00','2021-01-02T00:00:00.000Z']}]}",
     "timeDimensions",
     "[{'dimension':'orders.created_at','dateRange':['2020-12-31T22:00:00.000','2021-01-02T00:00:00.000']}]"},
    /* order, both forms */
    {"{'dimensions':['orders.status'],'order':[['orders.status','desc'],['orders.created_at.day','asc']]}", "order",
     "[{'id':'orders.status','desc':true},{'id':'orders.created_at.day','desc':false}]"},
    {"{'dimensions':['orders.status'],'order':{}}", "order", "[]"},
    /* limits */
    {"{'measures':['orders.count'],'limit':0}", "limit", "0"},
    {"{'measures':['orders.count'],'limit':50000}", "rowLimit", "50000"},
    {"{'measures':['orders.count'],'offset':9223372036854775807}", "offset", "9223372036854775807"},
    {"{'measures':['orders.count']}", "offset", NULL},
    {"{'measures':['orders.count']}", "segments", NULL},
    {"{'measures':['orders.count']}", "responseFormat", NULL},
    {"{'measures':['orders.count'],'responseFormat':'columnar'}", "responseFormat", "'columnar'"},
    {"{'measures':['orders.count'],'timezone':'utc'}", "timezone", "'UTC'"},
    /* cache */
    {"{'measures':['orders.count'],'renewQuery':true}", "cacheMode", "'must-revalidate'"},
    {"{'measures':['orders.count'],'renewQuery':false}", "cacheMode", "'stale-if-slow'"},
    {"{'measures':['orders.count'],'renewQuery':true,'cache':'no-cache'}", "cacheMode", "'no-cache'"},
    {"{'measures':['orders.count'],'renewQuery':true,'cache':'stale-while-revalidate'}", "cacheMode",
     "'must-revalidate'"},
    {"{'measures':['orders.count'],'cacheMode':'stale-while-revalidate'}", "cacheMode", "'stale-while-revalidate'"},
    /* which rollups: shown when it was asked for */
    {"{'measures':['orders.count']}", "preAggregations", NULL},
    {"{'measures':['orders.count']}", "selection", NULL},
    {"{'measures':['orders.count'],'preAggregations':'prefer'}", "preAggregations", "'prefer'"},
    {"{'measures':['orders.count'],'preAggregations':'forbid'}", "preAggregations", "'forbid'"},
    {"{'measures':['orders.count'],'selection':'cheapest'}", "selection", "'cheapest'"},
    /* filters (conformance case 128 and more) */
    {"{'measures':['orders.count'],'filters':[{'member':'orders.price','operator':'equals','values':[10.5]},{'or':[{"
     "'member':'orders.price','operator':'equals','values':[0]},{'and':[]},{'member':'orders.price','operator':"
     "'set'}]}]}",
     "filters",
     "[{'member':'orders.price','operator':'equals','values':['10.5']},{'or':[{'member':'orders.price','operator':"
     "'equals','values':['0']},{'member':'orders.price','operator':'set'}]}]"},
    {"{'measures':['orders.count'],'filters':[{'or':[]},{'and':[{'or':[]}]}]}", "filters", "[]"},
    {"{'measures':['orders.count'],'filters':[{'member':'orders.price','operator':'in','values':[1e21,1e20,0.000001,"
     "1e-7,-2.50,1.0,100,123456.789,-0.0,9007199254740993,0.1]}]}",
     "filters",
     "[{'member':'orders.price','operator':'in','values':['1e+21','100000000000000000000','0.000001','1e-07','-2.5',"
     "'1','100','123456.789','0','9007199254740993','0.1']}]"},
    {"{'measures':['orders.count'],'filters':[{'member':'orders.is_paid','operator':'equals','values':[true,0]}]}",
     "filters", "[{'member':'orders.is_paid','operator':'equals','values':['true','0']}]"},
    {"{'measures':['orders.count'],'filters':[{'member':'orders.created_at','operator':'inDateRange','values':["
     "'yesterday']},{'member':'orders.created_at','operator':'beforeOrOnDate','values':['last month']},{'member':"
     "'orders.created_at','operator':'afterDate','values':['2020-01-01']},{'member':'orders.created_at','operator':"
     "'onTheDate','values':['2020-02-29T23:00:00']}]}",
     "filters",
     "[{'member':'orders.created_at','operator':'inDateRange','values':['2021-03-09T00:00:00.000',"
     "'2021-03-09T23:59:59.999']},{'member':'orders.created_at','operator':'beforeOrOnDate','values':["
     "'2021-02-28T23:59:59.999']},{'member':'orders.created_at','operator':'afterDate','values':['2020-01-01']},{"
     "'member':'orders.created_at','operator':'onTheDate','values':['2020-02-29T00:00:00.000',"
     "'2020-02-29T23:59:59.999']}]"},
};

static void each_part(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        gr_query *q = fixture_query(f, fixture_quotes(f, parts[i].query));
        const json_t *value = json_object_get(q->normalized, parts[i].key);
        if (!parts[i].want) {
            if (value) fail_msg("%s has \"%s\"", parts[i].query, parts[i].key);
            continue;
        }
        if (!value) fail_msg("%s lacks \"%s\"", parts[i].query, parts[i].key);
        char *got = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        fixture_same(parts[i].query, got, fixture_quotes(f, parts[i].want));
        free(got);
    }
}

typedef struct choice {
    const char *keys;
    gr_rollup_use use;
    gr_selection selection;
} choice;

static const choice choices[] = {
    {"", GR_ROLLUPS_PREFER, GR_SELECTION_MODEL},
    {",'preAggregations':'prefer','selection':'first'", GR_ROLLUPS_PREFER, GR_SELECTION_FIRST},
    {",'preAggregations':'require'", GR_ROLLUPS_REQUIRE, GR_SELECTION_MODEL},
    {",'selection':'cheapest','preAggregations':'forbid'", GR_ROLLUPS_FORBID, GR_SELECTION_CHEAPEST},
};

static void which_rollups(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        char text[200];
        snprintf(text, sizeof text, "{'measures':['orders.count']%s}", choices[i].keys);
        gr_query *q = fixture_query(f, fixture_quotes(f, text));
        assert_int_equal(q->rollups, choices[i].use);
        assert_int_equal(q->selection, choices[i].selection);
    }
}

/* The source may be held by other threads: nothing of it may live on in the normalised form. */
static void source_is_not_shared(void **state) {
    fixture *f = *state;
    json_t *json = json_loads("{\"measures\":[\"orders.count\"],\"order\":{\"orders.count\":\"asc\"},\"filters\":["
                              "{\"member\":\"orders.status\",\"operator\":\"equals\",\"values\":[\"x\"]}]}",
                              0, NULL);
    gr_query *q = NULL;
    gr_error err = {0};
    assert_int_equal(gr_query_parse(f->model, json, &f->options, f->arena, &q, &err), GR_OK);
    assert_ptr_equal(q->source, json);
    json_decref(json);
    char *got = json_dumps(json_object_get(q->normalized, "filters"), JSON_COMPACT);
    assert_string_equal(got, "[{\"member\":\"orders.status\",\"operator\":\"equals\",\"values\":[\"x\"]}]");
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_object),
        cmocka_unit_test(each_part),
        cmocka_unit_test(which_rollups),
        cmocka_unit_test(source_is_not_shared),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
