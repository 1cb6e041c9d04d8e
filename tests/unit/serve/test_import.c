/* The importer without a server: which documents are materializations, and what their names mean in a model. */
#include "serve/import.h"

#include "data/json.h"

#include "unit/serve/serve_shop.h"

/* A text of JSON with ' for ". */
static json_t *document(const char *text, gr_arena *arena) {
    char *json = gr_arena_alloc(arena, strlen(text) + 1);
    gr_error err = {0};
    json_t *root;
    for (size_t i = 0; text[i]; i++) json[i] = text[i];
    for (size_t i = 0; json[i]; i++)
        if (json[i] == '\'') json[i] = '"';
    if (gr_json_parse(gr_str_from(json), 8 << 20, arena, &root, &err)) fail_msg("%s: %s", text, err.message);
    return root;
}

/* ---- documents -----------------------------------------------------------------------------------------------------
 */

#define BLOB                                                                                                           \
    "{'source_node': 'orders.fact_orders', 'grain': ['date_id', 'customer_id'], 'measures': ['sum_revenue', "          \
    "'count_orders'], 'table_hash': 'abc123', 'status': 'active'}"
#define SAYS "orders.fact_orders date_id,customer_id sum_revenue,count_orders"
#define MEASURES(value) "{'measures_materialization': " value "}"
#define CONFIG(value) "{'materialization_config': " value "}"
#define NONE "no: it has no measures_materialization"

static gr_str joined(gr_str out, const gr_str *names, size_t n, gr_arena *arena) {
    out = gr_arena_printf(arena, GR_FMT " ", GR_ARG(out));
    for (size_t i = 0; i < n; i++)
        out = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(out), i ? "," : "", GR_ARG(names[i]));
    return out;
}

/* "cube=source grain measures" of each, one after the other. */
static gr_str words(const gr_import_blob *blobs, size_t n, gr_arena *arena) {
    gr_str out = {0};
    for (size_t i = 0; i < n; i++) {
        const gr_import_blob *b = &blobs[i];
        out = gr_arena_printf(arena, GR_FMT "%s" GR_FMT "%s", GR_ARG(out), i ? " | " : "", GR_ARG(b->cube),
                              b->cube.n ? "=" : "");
        if (b->problem.n) {
            out = gr_arena_printf(arena, GR_FMT "no: " GR_FMT, GR_ARG(out), GR_ARG(b->problem));
            continue;
        }
        out = gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(out), GR_ARG(b->source_node));
        out = joined(out, b->grain, b->n_grain, arena);
        out = joined(out, b->measures, b->n_measures, arena);
    }
    return out;
}

static void documents(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {BLOB, SAYS},
        {MEASURES(BLOB), SAYS},
        {MEASURES("[" BLOB ", " BLOB "]"), SAYS " | " SAYS},
        {CONFIG(MEASURES(BLOB)), SAYS},
        {"{'name': 'sales', 'materialization_config': " MEASURES(BLOB) "}", "sales=" SAYS},
        {"{'name': 'sales', 'measures_materialization': " BLOB "}", "sales=" SAYS},
        {"[]", ""},
        {"[" BLOB ", {'name': 'x', 'materialization_config': " MEASURES(BLOB) "}, " MEASURES(BLOB) "]",
         SAYS " | x=" SAYS " | " SAYS},
        {"{'a': " BLOB ", 'b': " MEASURES(BLOB) ", 'c': " CONFIG(MEASURES(BLOB)) ", 'd': [" BLOB "]}",
         "a=" SAYS " | b=" SAYS " | c=" SAYS " | d=" SAYS},
        {"{'a': {'name': 'own', 'materialization_config': " MEASURES(BLOB) "}}", "own=" SAYS},
        /* a cube without one is named, and nothing is wrong with the rest */
        {"[{'name': 'a', 'materialization_config': null}, {'name': 'b', 'materialization_config': {}}, {'name': 'c', "
         "'materialization_config': {'spark': {}}}, {'name': 'd', 'measures_materialization': []}, {'name': 'e', "
         "'measures_materialization': null}, " BLOB "]",
         "a=" NONE " | b=" NONE " | c=" NONE " | d=" NONE " | e=" NONE " | " SAYS},
        {"{'source_node': 'orders', 'grain': [], 'measures': []}", "orders  "},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_import_blob *blobs = NULL;
        size_t n = 0;
        gr_error err = {0};
        if (gr_serve_import_read(document(rows[i].text, arena), arena, &blobs, &n, &err))
            fail_msg("%s: %s", rows[i].text, err.message);
        gr_str got = words(blobs, n, arena);
        if (!gr_str_eq_z(got, rows[i].wanted))
            fail_msg("%s: '" GR_FMT "' is not '%s'", rows[i].text, GR_ARG(got), rows[i].wanted);
        gr_arena_free(arena);
    }
}

static void malformed(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{}", "The document has no materialization"},
        {"'x'", "The document must be an object or a list"},
        {"7", "The document must be an object or a list"},
        {"[7]", "'[0]' must be a materialization"},
        {"[" BLOB ", [" BLOB "]]", "'[1]' must be a materialization"},
        {"{'a': 7}", "'a' must be a materialization"},
        {"{'a': {}}", "'a.source_node' must be the name of a node"},
        {"{'a': [" BLOB ", null]}", "'a[1]' must be a materialization"},
        {CONFIG("7"), "'materialization_config' must be an object"},
        {CONFIG(MEASURES("7")), "'materialization_config.measures_materialization' must be an object"},
        {MEASURES("[" BLOB ", 7]"), "'measures_materialization[1]' must be an object"},
        {MEASURES("{'source_node': '', 'grain': [], 'measures': []}"),
         "'measures_materialization.source_node' must be the name"},
        {"{'source_node': 'orders', 'measures': ['count']}", "'grain' must be a list of names"},
        {"{'source_node': 'orders', 'grain': 'status', 'measures': ['count']}", "'grain' must be a list of names"},
        {"{'source_node': 'orders', 'grain': []}", "'measures' must be a list of names"},
        {"[{'source_node': 'orders', 'grain': ['a', 7], 'measures': []}]", "'[0].grain[1]' must be a name"},
        {"{'source_node': 'orders', 'grain': [], 'measures': ['']}", "'measures[0]' must be a name"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_import_blob *blobs = NULL;
        size_t n = 99;
        gr_error err = {0};
        gr_status status = gr_serve_import_read(document(rows[i].text, arena), arena, &blobs, &n, &err);
        if (status != GR_ERR_QUERY_INVALID || !strstr(err.message, rows[i].message))
            fail_msg("%s: %d '%s' is not '%s'", rows[i].text, (int)status, err.message, rows[i].message);
        assert_int_equal(n, 99);
        assert_null(blobs);
        gr_arena_free(arena);
    }
}

static void too_many(void **state) {
    (void)state;
    for (int more = 0; more < 2; more++) {
        gr_arena *arena = gr_arena_new();
        json_t *list = json_array(),
               *blob = json_pack("{s:s, s:[], s:[s]}", "source_node", "o", "grain", "measures", "m");
        for (int i = 0; i < GR_IMPORT_MOST_BLOBS + more; i++) json_array_append(list, blob);
        gr_import_blob *blobs = NULL;
        size_t n = 0;
        gr_error err = {0};
        assert_int_equal(gr_serve_import_read(list, arena, &blobs, &n, &err), more ? GR_ERR_LIMIT : GR_OK);
        assert_int_equal(n, more ? 0 : GR_IMPORT_MOST_BLOBS);
        json_decref(blob);
        json_decref(list);
        gr_arena_free(arena);
    }
}

/* ---- names ---------------------------------------------------------------------------------------------------------
 */

static gr_import_match match(const gr_snapshot *s, const char *source, const char *grain, const char *measure,
                             gr_arena *arena) {
    gr_str one = gr_str_from(grain), other = gr_str_from(measure);
    gr_import_blob blob = {.source_node = gr_str_from(source),
                           .grain = &one,
                           .n_grain = one.n > 0,
                           .measures = &other,
                           .n_measures = other.n > 0};
    return gr_serve_import_match(s->model, s->index, &blob, arena);
}

typedef struct name_row {
    const char *source, *name, *means; /* NULL: it is not found */
    const char *problem;
} name_row;

static void check_name(const name_row *row, const gr_import_match *m, gr_str got) {
    if (row->means && m->problem.n) fail_msg("%s %s: " GR_FMT, row->source, row->name, GR_ARG(m->problem));
    if (row->means && !gr_str_eq_z(got, row->means))
        fail_msg("%s %s: '" GR_FMT "' is not '%s'", row->source, row->name, GR_ARG(got), row->means);
    if (!row->means && !gr_str_eq_z(m->problem, row->problem))
        fail_msg("%s %s: '" GR_FMT "' is not '%s'", row->source, row->name, GR_ARG(m->problem), row->problem);
}

static void sources(void **state) {
    (void)state;
    static const name_row rows[] = {
        {"orders", "", "orders", NULL},
        {"cube.orders", "", "orders", NULL},
        {"warehouse.facts.orders", "", "orders", NULL}, /* its last part */
        {"shop.fact_sales", "", "orders", NULL},        /* its table */
        {"dj.people", "", "raw_users", NULL},           /* the last part is a table */
        {"orders.fact_orders", "", "orders", NULL},     /* another part */
        {"orders.fact_visits", "", "fact_visits", NULL},
        {"ordes", "", NULL, "there is no cube 'ordes'; did you mean 'orders'?"},
        {"x.shps", "", NULL, "there is no cube 'shps'; did you mean 'shops'?"},
        {"ov", "", NULL, "there is no cube 'ov'"}, /* a view has no rows of its own */
        {"....", "", NULL, "there is no cube ''"},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_import_match m = match(&s, rows[i].source, "", "orders.count", arena);
        check_name(&rows[i], &m, m.node);
    }
    shop_free(&s, arena);
}

static void grains(void **state) {
    (void)state;
    static const name_row rows[] = {
        {"orders", "orders.status", "orders.status", NULL},
        {"orders", "status", "orders.status", NULL},
        {"orders", "order_status", "orders.status", NULL},
        {"shop.fact_sales", "shop.fact_sales.order_status", "orders.status", NULL}, /* as DataJunction qualifies it */
        {"cube.orders", "cube.orders.status", "orders.status", NULL},
        {"orders", "date_id", "orders.day", NULL},
        {"orders", "orders.created_at.day", "orders.created_at.day", NULL},
        {"orders", "created_at.month", "orders.created_at.month", NULL},
        {"orders", "created_at.fortnight", NULL, "there is no dimension 'created_at.fortnight' of 'orders'"},
        {"orders", "day", "orders.day", NULL}, /* a dimension, and no grain */
        {"orders", "users.country", "users.country", NULL},
        {"orders", "orders.users.country", "orders.users.country", NULL},
        {"orders", "country", "users.country", NULL},
        {"orders", "region", "cities.region", NULL}, /* over two joins */
        {"orders", "name", NULL, "'name' may be 'users.name' or 'shops.name'"},
        {"orders", "id", "orders.id", NULL},
        {"orders", "count", NULL, "there is no dimension 'count' of 'orders'"},
        {"orders", "done", NULL, "there is no dimension 'done' of 'orders'"},
        {"orders", "statsu", NULL, "there is no dimension 'statsu' of 'orders'; did you mean 'status'?"},
        {"orders", "date_ids", NULL, "there is no dimension 'date_ids' of 'orders'; did you mean 'date_id'?"},
        {"orders", "orders.statu", NULL, "there is no dimension 'statu' of 'orders'; did you mean 'status'?"},
        {"fact_visits", "country", NULL, "there is no dimension 'country' of 'fact_visits'"},
        {"orders", "nowhere.users.country", NULL, "there is no dimension 'nowhere.users.country' of 'orders'"},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_import_match m = match(&s, rows[i].source, rows[i].name, "orders.count", arena);
        check_name(&rows[i], &m, m.problem.n ? m.problem : m.ask.dimensions[0]);
    }
    shop_free(&s, arena);
}

static void measures(void **state) {
    (void)state;
    static const name_row rows[] = {
        {"orders", "orders.count", "orders.count", NULL},
        {"orders", "count", "orders.count", NULL},
        {"cube.orders", "cube.orders.count", "orders.count", NULL},
        {"orders", "sum_amount", "orders.revenue", NULL}, /* and not the one with a filter, or a window */
        {"orders", "avg_price", "orders.price", NULL},
        {"orders", "count_distinct_user_id", "orders.buyers", NULL},
        {"orders", "count_fee", "orders.paid", NULL},
        {"orders", "count_orders", "orders.count", NULL},
        {"orders", "count_order", "orders.count", NULL},
        {"orders.fact_orders", "count_orders", "orders.count", NULL},
        {"shop.fact_sales", "count_sales", "orders.count", NULL},
        {"fact_visits", "count_visits", "fact_visits.number", NULL},
        {"fact_visits", "count_visit", "fact_visits.number", NULL},
        {"orders", "orders__count", "orders.count", NULL},
        {"orders", "orders__revenue", "orders.revenue", NULL},
        {"orders", "orders__price__sum", "orders.price", NULL},
        {"orders", "ratio", "orders.ratio", NULL},
        {"orders", "max_amount", NULL, "there is no measure 'max_amount' of 'orders'"},
        {"orders", "sum_amuont", NULL, "there is no measure 'sum_amuont' of 'orders'; did you mean 'sum_amount'?"},
        {"orders", "count_visits", NULL, "there is no measure 'count_visits' of 'orders'"},
        {"orders", "count_price", NULL, "there is no measure 'count_price' of 'orders'"},
        {"orders", "sum_", NULL, "there is no measure 'sum_' of 'orders'"},
        {"orders", "status", NULL, "there is no measure 'status' of 'orders'"},
        {"orders", "revenu", NULL, "there is no measure 'revenu' of 'orders'; did you mean 'revenue'?"},
        {"orders", "users__count", NULL, "there is no measure 'users__count' of 'orders'"},
        {"orders", "", NULL, "it has no measures"},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_import_match m = match(&s, rows[i].source, "", rows[i].name, arena);
        check_name(&rows[i], &m, m.problem.n ? m.problem : m.ask.metrics[0]);
    }
    shop_free(&s, arena);
}

/* All that is missing is said at once. */
static void all_problems(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = shop_snapshot(arena);
    gr_import_match m = match(&s, "orders", "stats", "cuont", arena);
    assert_true(gr_str_eq_z(m.problem, "there is no measure 'cuont' of 'orders'; did you mean 'count'?; there is no "
                                       "dimension 'stats' of 'orders'; did you mean 'status'?"));
    char *name = gr_arena_alloc(arena, 100001);
    memset(name, 'x', 100000);
    m = match(&s, "orders", name, name, arena);
    assert_true(m.problem.n > 0 && m.problem.n <= 4096);
    shop_free(&s, arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),    cmocka_unit_test(malformed), cmocka_unit_test(too_many),
        cmocka_unit_test(sources),      cmocka_unit_test(grains),    cmocka_unit_test(measures),
        cmocka_unit_test(all_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
