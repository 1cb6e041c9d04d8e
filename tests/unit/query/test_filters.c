/* Filters as a tree: every operator, what values become, ranges, simplification, the split into rows and measures. */
#include "query_fixture.h"

static void put_time(gr_buf *out, int64_t us) {
    char text[40];
    gr_buf_add(out, (gr_str){text, gr_time_format(us, text)});
}

/* equals(orders.status: a, b, null), range as [from, to) on the wall clock, a point as @time. */
static void put_filter(gr_buf *out, const gr_filter *f) {
    if (f->kind != GR_FILTER_LEAF) {
        gr_buf_z(out, f->kind == GR_FILTER_AND ? "and(" : "or(");
        for (size_t i = 0; i < f->n_children; i++) {
            if (i) gr_buf_z(out, ", ");
            put_filter(out, f->children[i]);
        }
        gr_buf_char(out, ')');
        return;
    }
    gr_buf_printf(out, GR_FMT "(" GR_FMT, GR_ARG(gr_filter_op_name(f->op)), GR_ARG(f->field.id));
    if (f->range.from_text.n) {
        bool is_point = f->range.from_local_us == f->range.to_local_us;
        gr_buf_z(out, is_point ? " @" : " [");
        put_time(out, f->range.from_local_us);
        if (!is_point) {
            gr_buf_z(out, " ");
            put_time(out, f->range.to_local_us);
            gr_buf_z(out, ")");
        }
    } else {
        for (size_t i = 0; i < f->n_values; i++) gr_buf_printf(out, " " GR_FMT, GR_ARG(f->values[i]));
    }
    gr_buf_z(out, f->has_null ? " null)" : ")");
}

static void put_list(gr_buf *out, gr_filter *const *filters, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i) gr_buf_z(out, " ; ");
        put_filter(out, filters[i]);
    }
}

typedef struct row {
    const char *filters, *want; /* rows | measures */
} row;

#define LEAF(member, op, values) "{'member':'" member "','operator':'" op "','values':[" values "]}"
static const row rows[] = {
    {LEAF("orders.status", "equals", "'a'"), "equals(orders.status a) | "},
    {LEAF("orders.status", "equals", "'a','b',null"), "equals(orders.status a b null) | "},
    {LEAF("orders.status", "equals", "null"), "equals(orders.status null) | "},
    {LEAF("orders.status", "notEquals", "'a',null"), "notEquals(orders.status a null) | "},
    {LEAF("orders.status", "in", "'a'"), "in(orders.status a) | "},
    {LEAF("orders.status", "notIn", "'a','b'"), "notIn(orders.status a b) | "},
    {LEAF("orders.status", "contains", "'a','b'"), "contains(orders.status a b) | "},
    {LEAF("orders.status", "notContains", "'a',null"), "notContains(orders.status a null) | "},
    {LEAF("orders.status", "startsWith", "'a'"), "startsWith(orders.status a) | "},
    {LEAF("orders.status", "notStartsWith", "'a'"), "notStartsWith(orders.status a) | "},
    {LEAF("orders.status", "endsWith", "'a'"), "endsWith(orders.status a) | "},
    {LEAF("orders.status", "notEndsWith", "'a'"), "notEndsWith(orders.status a) | "},
    {LEAF("orders.place", "contains", "'1,2'"), "contains(orders.place 1,2) | "},
    {LEAF("orders.status", "equals", "''"), "equals(orders.status ) | "},
    {LEAF("orders.status", "equals", "true,5,0.5"), "equals(orders.status true 5 0.5) | "},
    {LEAF("orders.status", "gt", "'a','b'"), "gt(orders.status a) | "},
    {LEAF("orders.price", "gt", "5,6"), "gt(orders.price 5) | "},
    {LEAF("orders.price", "gte", "'-5.25'"), "gte(orders.price -5.25) | "},
    {LEAF("orders.price", "lt", "'+1e-3'"), "lt(orders.price +1e-3) | "},
    {LEAF("orders.price", "lte", "'.5','abc'"), "lte(orders.price .5) | "},
    {LEAF("orders.price", "equals", "'5.'"), "equals(orders.price 5.) | "},
    {LEAF("orders.is_paid", "equals", "true"), "equals(orders.is_paid true) | "},
    {LEAF("orders.is_paid", "equals", "'TRUE','0',1,false,null"),
     "equals(orders.is_paid true false true false null) | "},
    {"{'member':'orders.status','operator':'set'}", "set(orders.status) | "},
    {LEAF("orders.status", "notSet", "'ignored'"), "notSet(orders.status) | "},
    {"{'dimension':'orders.status','operator':'set'}", "set(orders.status) | "},
    /* a primary key is hidden, and still may be filtered by */
    {LEAF("orders.id", "equals", "7"), "equals(orders.id 7) | "},
    /* dates: now is 2021-03-10T12:00Z */
    {LEAF("orders.created_at", "equals", "'2021-01-01T00:00:00.000'"),
     "equals(orders.created_at 2021-01-01T00:00:00.000) | "},
    {LEAF("orders.created_at", "inDateRange", "'2021-01-01','2021-01-31'"),
     "inDateRange(orders.created_at [2021-01-01T00:00:00.000 2021-02-01T00:00:00.000)) | "},
    {LEAF("orders.created_at", "notInDateRange", "'last month'"),
     "notInDateRange(orders.created_at [2021-02-01T00:00:00.000 2021-03-01T00:00:00.000)) | "},
    {LEAF("orders.created_at", "inDateRange", "'2021-01-05'"),
     "inDateRange(orders.created_at [2021-01-05T00:00:00.000 2021-01-06T00:00:00.000)) | "},
    {LEAF("orders.created_at", "onTheDate", "'2021-01-05'"),
     "onTheDate(orders.created_at [2021-01-05T00:00:00.000 2021-01-06T00:00:00.000)) | "},
    {LEAF("orders.created_at", "onTheDate", "'2021-01-05T23:30:00-01:00'"),
     "onTheDate(orders.created_at [2021-01-06T00:00:00.000 2021-01-07T00:00:00.000)) | "},
    {LEAF("orders.created_at", "onTheDate", "'yesterday'"),
     "onTheDate(orders.created_at [2021-03-09T00:00:00.000 2021-03-10T00:00:00.000)) | "},
    {LEAF("orders.created_at", "beforeDate", "'2021-01-05'"),
     "beforeDate(orders.created_at @2021-01-05T00:00:00.000) | "},
    {LEAF("orders.created_at", "beforeDate", "'last month'"),
     "beforeDate(orders.created_at @2021-02-01T00:00:00.000) | "},
    {LEAF("orders.created_at", "beforeOrOnDate", "'last month'"),
     "beforeOrOnDate(orders.created_at @2021-02-28T23:59:59.999) | "},
    {LEAF("orders.created_at", "beforeOrOnDate", "'2021-01-05'"),
     "beforeOrOnDate(orders.created_at @2021-01-05T00:00:00.000) | "},
    {LEAF("orders.created_at", "afterDate", "'last month'"),
     "afterDate(orders.created_at @2021-02-28T23:59:59.999) | "},
    {LEAF("orders.created_at", "afterOrOnDate", "'last month'"),
     "afterOrOnDate(orders.created_at @2021-02-01T00:00:00.000) | "},
    {LEAF("orders.created_at", "gt", "'2021-01-05T10:00:00'"), "gt(orders.created_at @2021-01-05T10:00:00.000) | "},
    {LEAF("orders.created_at", "gte", "'last month'"), "gte(orders.created_at @2021-02-01T00:00:00.000) | "},
    {LEAF("orders.created_at", "lt", "'last month'"), "lt(orders.created_at @2021-02-01T00:00:00.000) | "},
    {LEAF("orders.created_at", "lte", "'last month'"), "lte(orders.created_at @2021-02-28T23:59:59.999) | "},
    /* measures */
    {LEAF("orders.count", "gt", "5"), " | gt(orders.count 5)"},
    {LEAF("orders.states", "contains", "'x'"), " | contains(orders.states x)"},
    {LEAF("orders.is_large", "equals", "1"), " | equals(orders.is_large true)"},
    {LEAF("orders.last_at", "afterDate", "'2021-01-05'"), " | afterDate(orders.last_at @2021-01-05T00:00:00.000)"},
    {"{'member':'orders.paid_count','operator':'measureFilter'}", "measureFilter(orders.paid_count) | "},
    {LEAF("orders.count", "gt", "5") "," LEAF("orders.status", "equals", "'a'") "," LEAF("orders.amount", "lt", "9"),
     "equals(orders.status a) | gt(orders.count 5) ; lt(orders.amount 9)"},
    /* groups */
    {"{'or':[" LEAF("orders.status", "equals", "'a'") "," LEAF("users.city", "set", "") "]}",
     "or(equals(orders.status a), set(users.city)) | "},
    {"{'or':[" LEAF("orders.status", "set", "") ",{'and':[" LEAF("orders.price", "gt", "1") "," LEAF("orders.price",
                                                                                                     "lt", "2") "]}]}",
     "or(set(orders.status), and(gt(orders.price 1), lt(orders.price 2))) | "},
    {"{'or':[" LEAF("orders.count", "gt", "5") "," LEAF("orders.count", "lt", "2") "]}",
     " | or(gt(orders.count 5), lt(orders.count 2))"},
    /* case 94: a date range inside an OR */
    {"{'or':[" LEAF("orders.created_at", "inDateRange", "'2024-01-01','2024-01-31'") "," LEAF("orders.status", "equals",
                                                                                              "'pending'") "]}",
     "or(inDateRange(orders.created_at [2024-01-01T00:00:00.000 2024-02-01T00:00:00.000)), equals(orders.status "
     "pending)) | "},
    /* simplification: AND below AND, groups of one, empty groups */
    {"{'and':[" LEAF("orders.status", "set", "") ",{'and':[" LEAF("orders.price", "set", "") "," LEAF("orders.id",
                                                                                                      "set", "") "]}]}",
     "set(orders.status) ; set(orders.price) ; set(orders.id) | "},
    {"{'or':[{'and':[{'or':[" LEAF("orders.status", "set", "") "]}]}]}", "set(orders.status) | "},
    {"{'or':[{'and':[]},{'or':[]}," LEAF("orders.status", "set", "") "," LEAF("orders.price", "set", "") "]}",
     "or(set(orders.status), set(orders.price)) | "},
    {"{'or':[]},{'and':[{'or':[]}]}", " | "},
    {"{'or':[{'and':[" LEAF("orders.status", "set", "") ",{'and':[" LEAF("orders.price", "set", "") "]}," LEAF(
         "orders.id", "set", "") "]}," LEAF("users.city", "set", "") "]}",
     "or(and(set(orders.status), set(orders.price), set(orders.id)), set(users.city)) | "},
    /* measureFilter is a condition on rows, so it goes with dimensions */
    {"{'or':[{'member':'orders.paid_count','operator':'measureFilter'}," LEAF("orders.status", "set", "") "]}",
     "or(measureFilter(orders.paid_count), set(orders.status)) | "},
    /* a view's member */
    {LEAF("ov.users_city", "equals", "'x'"), "equals(ov.users_city x) | "},
};

static void trees(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gr_str text = gr_arena_printf(f->arena, "{'measures':['orders.count'],'filters':[%s]}", rows[i].filters);
        gr_query *q = fixture_query(f, fixture_quotes(f, text.p));
        gr_buf got;
        gr_str shown;
        gr_buf_init(&got, 1u << 16);
        put_list(&got, q->row_filters, q->n_row_filters);
        gr_buf_z(&got, " | ");
        put_list(&got, q->measure_filters, q->n_measure_filters);
        assert_true(gr_buf_finish(&got, &shown));
        fixture_same(rows[i].filters, shown.p, rows[i].want);
        gr_buf_done(&got);
    }
}

/* Ranges are in the zone of the query, which is read first wherever it stands. */
static void ranges_are_in_the_zone(void **state) {
    fixture *f = *state;
    gr_query *q = fixture_query(
        f, fixture_quotes(f, "{'filters':[{'member':'orders.created_at','operator':'inDateRange','values':["
                             "'2020-01-01','2020-01-31']}],'timeDimensions':[{'dimension':'orders.created_at',"
                             "'dateRange':['2020-03-01','2020-03-10']}],'measures':['orders.count'],'timezone':"
                             "'America/Los_Angeles'}"));
    const gr_range *filter = &q->row_filters[0]->range, *time = &q->time_dimensions[0].range;
    gr_civil jan = {.year = 2020, .month = 1, .day = 1, .hour = 8},
             feb = {.year = 2020, .month = 2, .day = 1, .hour = 8};
    gr_civil mar = {.year = 2020, .month = 3, .day = 11, .hour = 7}; /* summer time began on the 8th */
    assert_true(filter->from_utc_us == gr_civil_to_us(jan));
    assert_true(filter->to_utc_us == gr_civil_to_us(feb));
    assert_true(time->to_utc_us == gr_civil_to_us(mar));
}

static void names(void **state) {
    (void)state;
    assert_true(gr_str_eq_z(gr_filter_op_name(GR_OP_EQUALS), "equals"));
    assert_true(gr_str_eq_z(gr_filter_op_name(GR_OP_AFTER_OR_ON_DATE), "afterOrOnDate"));
    for (unsigned op = 0; op < GR_OP__COUNT; op++) assert_true(gr_filter_op_name((gr_filter_op)op).n > 0);
    assert_true(gr_filter_op_name(GR_OP__COUNT).n == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees),
        cmocka_unit_test(ranges_are_in_the_zone),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
