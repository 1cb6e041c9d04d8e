/* Columns of the answer, their order, fields behind views, and the cubes of a query. */
#include "query_fixture.h"

typedef struct row {
    const char *query;
    const char *columns; /* key=alias, in select order */
    const char *order;   /* key, with - in front when descending */
} row;

#define ALL                                                                                                            \
    "'measures':['orders.count','orders.amount'],'dimensions':['orders.status','users.city'],'timeDimensions':[{"      \
    "'dimension':'orders.created_at','granularity':'month'},{'dimension':'orders.created_at','granularity':'day'}]"
#define ALL_COLUMNS                                                                                                    \
    "orders.status=orders__status users.city=users__city orders.created_at.month=orders__created_at_month "            \
    "orders.created_at.day=orders__created_at_day orders.count=orders__count orders.amount=orders__amount"

static const row rows[] = {
    /* defaults */
    {"{" ALL "}", ALL_COLUMNS, "orders.created_at.month"},
    {"{'measures':['orders.count','orders.amount'],'dimensions':['orders.status']}",
     "orders.status=orders__status orders.count=orders__count orders.amount=orders__amount", "-orders.count"},
    {"{'dimensions':['users.city','orders.status']}", "users.city=users__city orders.status=orders__status",
     "users.city"},
    {"{'measures':['orders.count']}", "orders.count=orders__count", ""},
    {"{'measures':['orders.count'],'timeDimensions':['orders.completed_at']}", "orders.count=orders__count", ""},
    {"{'dimensions':['orders.completed_at','orders.created_at.half_year']}",
     "orders.completed_at=orders__completed_at orders.created_at.half_year=orders__created_at_half_year",
     "orders.created_at.half_year"},
    /* explicit and empty: none */
    {"{" ALL ",'order':{}}", ALL_COLUMNS, ""},
    {"{" ALL ",'order':[]}", ALL_COLUMNS, ""},
    /* both forms */
    {"{" ALL ",'order':{'orders.amount':'desc','orders.status':'asc'}}", ALL_COLUMNS, "-orders.amount orders.status"},
    {"{" ALL ",'order':[['users.city','asc'],['orders.count','desc']]}", ALL_COLUMNS, "users.city -orders.count"},
    /* time dimensions: the first granularity, or the one named */
    {"{" ALL ",'order':{'orders.created_at':'desc'}}", ALL_COLUMNS, "-orders.created_at.month"},
    {"{" ALL ",'order':{'orders.created_at.day':'desc','orders.created_at':'asc'}}", ALL_COLUMNS,
     "-orders.created_at.day orders.created_at.month"},
    /* the plain dimension goes before a granularity */
    {"{'dimensions':['orders.created_at','orders.created_at.day'],'order':{'orders.created_at':'desc'}}",
     "orders.created_at=orders__created_at orders.created_at.day=orders__created_at_day", "-orders.created_at"},
    /* not selected: ignored, also when it does not exist; twice: the first */
    {"{" ALL ",'order':{'orders.price':'asc','no.such':'desc','orders.created_at.year':'asc'}}", ALL_COLUMNS, ""},
    {"{" ALL ",'order':[['orders.count','desc'],['orders.count','asc']]}", ALL_COLUMNS, "-orders.count"},
    /* a clash of spellings gives two aliases */
    {"{'dimensions':['orders.created_at_day','orders.created_at.day']}",
     "orders.created_at_day=orders__created_at_day orders.created_at.day=orders__created_at_day_2",
     "orders.created_at.day"},
    /* views: ids and aliases of the view */
    {"{'measures':['ov.count'],'dimensions':['ov.users_city','ov.created_at.day']}",
     "ov.users_city=ov__users_city ov.created_at.day=ov__created_at_day ov.count=ov__count", "ov.created_at.day"},
};

static void columns_and_order(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gr_query *q = fixture_query(f, fixture_quotes(f, rows[i].query));
        gr_buf columns, order;
        gr_str text;
        gr_buf_init(&columns, 1u << 16);
        gr_buf_init(&order, 1u << 16);
        for (size_t j = 0; j < q->n_columns; j++)
            gr_buf_printf(&columns, "%s" GR_FMT "=" GR_FMT, j ? " " : "", GR_ARG(q->columns[j].key),
                          GR_ARG(q->columns[j].alias));
        for (size_t j = 0; j < q->n_order; j++) {
            assert_true(q->order[j].column < q->n_columns);
            gr_buf_printf(&order, "%s%s" GR_FMT, j ? " " : "", q->order[j].is_desc ? "-" : "",
                          GR_ARG(q->columns[q->order[j].column].key));
        }
        gr_buf_z(&order, "");
        assert_true(gr_buf_finish(&columns, &text));
        fixture_same(rows[i].query, text.p, rows[i].columns);
        assert_true(gr_buf_finish(&order, &text));
        fixture_same(rows[i].query, text.n ? text.p : "", rows[i].order);
        gr_buf_done(&columns);
        gr_buf_done(&order);
    }
}

static void column_indexes(void **state) {
    fixture *f = *state;
    gr_query *q = fixture_query(
        f, fixture_quotes(f, "{'measures':['orders.amount','orders.count'],'dimensions':['orders.status'],"
                             "'timeDimensions':['orders.completed_at',{'dimension':'orders.created_at','granularity':"
                             "'half_year'}]}"));
    assert_int_equal(q->n_columns, 4);
    assert_int_equal(q->columns[0].kind, GR_COLUMN_DIMENSION);
    assert_int_equal(q->columns[1].kind, GR_COLUMN_TIME);
    assert_int_equal(q->columns[1].index, 1); /* the first has no granularity, so no column */
    assert_int_equal(q->columns[3].kind, GR_COLUMN_MEASURE);
    assert_int_equal(q->columns[3].index, 1);
    const gr_time_field *half_year = &q->time_dimensions[1];
    assert_int_equal(half_year->granularity->grain, GR_GRAIN_CUSTOM);
    assert_true(half_year->anchor_local_us == gr_civil_to_us((gr_civil){.year = 2024, .month = 1, .day = 1}));
    assert_false(half_year->has_range);
    assert_null(q->time_dimensions[0].granularity);
}

static void fields_behind_views(void **state) {
    fixture *f = *state;
    gr_query *q =
        fixture_query(f, fixture_quotes(f, "{'measures':['ov.count'],'dimensions':['ov.users_city','users.city']}"));
    const gr_field *city = &q->dimensions[0], *own = &q->dimensions[1];
    assert_true(gr_str_eq_z(city->id, "ov.users_city"));
    assert_true(gr_str_eq_z(city->asked->cube->name, "ov"));
    assert_true(gr_str_eq_z(city->member->id, "users.city"));
    assert_int_equal(city->path.n, 2);
    assert_true(gr_str_eq_z(city->path.cubes[0]->name, "orders"));
    assert_true(gr_str_eq_z(city->path.cubes[1]->name, "users"));
    assert_ptr_equal(own->member, city->member);
    assert_int_equal(own->path.n, 1);
    assert_ptr_equal(own->path.cubes[0], own->member->cube);
    assert_int_equal(q->measures[0].path.n, 1);
    assert_true(gr_str_eq_z(q->measures[0].path.cubes[0]->name, "orders"));
}

static const struct cubes_row {
    const char *query, *want;
} cubes_rows[] = {
    {"{'measures':['orders.count']}", "orders"},
    {"{'dimensions':['users.city'],'measures':['orders.count']}", "orders users"},
    {"{'dimensions':['users.city'],'timeDimensions':[{'dimension':'orders.created_at','dateRange':'today'}]}",
     "users orders"},
    {"{'dimensions':['users.city'],'segments':['orders.paid']}", "users orders"},
    {"{'dimensions':['orders.status'],'filters':[{'or':[{'member':'users.city','operator':'set'},{'member':"
     "'orders.status','operator':'set'}]}]}",
     "orders users"},
    {"{'dimensions':['ov.users_city']}", "orders users"},
    {"{'dimensions':['orders.status'],'filters':[{'member':'users.count','operator':'gt','values':[1]}]}",
     "orders users"},
};

static void cubes(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cubes_rows / sizeof *cubes_rows; i++) {
        gr_query *q = fixture_query(f, fixture_quotes(f, cubes_rows[i].query));
        const gr_cube **list;
        gr_buf got;
        gr_str text;
        gr_buf_init(&got, 4096);
        size_t n = gr_query_cubes(q, f->arena, &list);
        for (size_t j = 0; j < n; j++) gr_buf_printf(&got, "%s" GR_FMT, j ? " " : "", GR_ARG(list[j]->name));
        assert_true(gr_buf_finish(&got, &text));
        fixture_same(cubes_rows[i].query, text.p, cubes_rows[i].want);
        gr_buf_done(&got);
    }
}

static void scalars(void **state) {
    fixture *f = *state;
    gr_query *q = fixture_query(f, fixture_quotes(f, "{'measures':['orders.count'],'limit':7,'offset':3,'total':true,"
                                                     "'ungrouped':true,'responseFormat':'columnar','renewQuery':true,"
                                                     "'timezone':'europe/london'}"));
    assert_int_equal(q->limit, 7);
    assert_int_equal(q->offset, 3);
    assert_true(q->want_total);
    assert_true(q->is_ungrouped);
    assert_int_equal(q->format, GR_FORMAT_COLUMNAR);
    assert_int_equal(q->cache, GR_CACHE_MUST_REVALIDATE);
    assert_true(gr_str_eq_z(gr_tz_name(q->tz), "Europe/London"));
    assert_ptr_equal(q->model, f->model);
    q = fixture_query(f, "{\"measures\":[\"orders.count\"]}");
    assert_int_equal(q->limit, 10000);
    assert_int_equal(q->offset, 0);
    assert_int_equal(q->format, GR_FORMAT_DEFAULT);
    assert_false(q->want_total);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_and_order),
        cmocka_unit_test(column_indexes),
        cmocka_unit_test(fields_behind_views),
        cmocka_unit_test(cubes),
        cmocka_unit_test(scalars),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
