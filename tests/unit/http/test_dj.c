/* DataJunction's and the seed's routes over real sockets: statuses, bodies, parameters, shapes, errors, waiting. */
#include "unit/http/server_fixture.h"

typedef struct call {
    const char *request, *body;
    int status;
    const char *text;
} call;

#define H " HTTP/1.1"
#define RUN(calls)                                                                                                     \
    for (size_t i = 0; i < sizeof(calls) / sizeof *(calls); i++)                                                       \
    expect(&d, (calls)[i].request, (calls)[i].body, (calls)[i].status, (calls)[i].text)

static bool has(gr_str text, const char *part) { return gr_str_find_str(text, gr_str_from(part)) != SIZE_MAX; }

static void test_lists(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const call calls[] = {
        {"GET /pre-aggregations" H, NULL, 200,
         "{\"items\":[{\"id\":1,\"name\":\"orders.main\",\"source_node\":{\"id\":7"},
        {"GET /pre-aggregations/" H, NULL, 200, "],\"total\":4,\"limit\":50,\"offset\":0}"},
        {"GET /pre-aggregations?limit=1&offset=2" H, NULL, 200, "{\"items\":[{\"id\":3,"},
        {"GET /pre-aggregations?limit=1&offset=2" H, NULL, 200, "\"total\":4,\"limit\":1,\"offset\":2}"},
        {"GET /pre-aggregations?status=failed&status=pending" H, NULL, 200, "\"total\":2"},
        {"GET /pre-aggregations?status=failed,active" H, NULL, 200, "\"total\":3"},
        {"GET /pre-aggregations?cube=sales" H, NULL, 200, "\"total\":1"},
        {"GET /pre-aggregations?external=True" H, NULL, 200, "{\"items\":[{\"id\":3,"},
        {"GET /pre-aggregations?external=false" H, NULL, 200, "\"total\":3"},
        {"GET /pre-aggregations?node_name=orders&node_version=v1.0" H, NULL, 200, "{\"items\":[{\"id\":2,"},
        {"GET /pre-aggregations?source_node=cube.orders" H, NULL, 200, "\"total\":4"},
        {"GET /pre-aggregations?source_node=orders&include_stale=false" H, NULL, 200, "\"total\":3"},
        {"GET /pre-aggregations?status=done" H, NULL, 422,
         "{\"detail\":[{\"loc\":[\"query\",\"status\"],\"msg\":\"A status is "},
        {"GET /pre-aggregations?limit=0" H, NULL, 422, "\"loc\":[\"query\",\"limit\"]"},
        {"GET /pre-aggregations?limit=101" H, NULL, 422, "less_than_equal"},
        {"GET /pre-aggregations?limit=x" H, NULL, 422, "int_parsing"},
        {"GET /pre-aggregations?offset=-1" H, NULL, 422, "\"loc\":[\"query\",\"offset\"]"},
        {"GET /pre-aggregations?external=maybe" H, NULL, 422, "bool_parsing"},
        {"GET /pre-aggregations?grain_mode=some&limit=0" H, NULL, 422, "\"loc\":[\"query\",\"grain_mode\"]"},
        {"GET /pre-aggregations?source_node=nothing" H, NULL, 404,
         "\"message\":\"A node with name `nothing` does not exist.\""},
        {"GET /pre-aggregations?source_node=orders&version=v9.9" H, NULL, 404, "`v9.9` does not exist"},
        {"GET /pre-aggregations?cube=nothing" H, NULL, 404, "`nothing` does not exist"},
        {"GET /preaggs?node_name=orders" H, NULL, 200, "\"total\":3"},
        {"GET /preaggs?node_name=orders&include_stale=True" H, NULL, 200, "\"total\":4"},
        {"GET /preaggs?node_name=orders&node_version=v1.0" H, NULL, 200, "\"total\":1"},
        {"GET /preaggs?node_version=v1.0" H, NULL, 200, "\"total\":4"},
        {"GET /preaggs?status=done" H, NULL, 404, "There is no status `done`"},
        {"GET /preaggs/?grain_mode=x" H, NULL, 422, "grain_mode is exact or superset"},
        {"GET /cubes/sales/pre-aggregations" H, NULL, 200, "[{\"id\":1,"},
        {"GET /cubes/nothing/pre-aggregations" H, NULL, 404, "A node with name `nothing` does not exist."},
        {"GET /nodes/orders/pre-aggregations" H, NULL, 200, "{\"id\":4,"},
        {"GET /nodes/orders/pre-aggregations?include_stale=false&status=pending" H, NULL, 200, "=[]"},
        {"GET /nodes/nothing/pre-aggregations" H, NULL, 404, "A node with name `nothing` does not exist."},
        {"GET /nodes/orders/pre-aggregations?status=x" H, NULL, 422, "\"type\":\"enum\""},
    };
    RUN(calls);
    expect(&d, "GET /pre-aggregations?grain=orders.status,%20a.b&grain_mode=superset&measures=x&grain_group_hash=gg" H,
           NULL, 200, NULL);
    const gr_preagg_filter *f = &fake_noted.filter;
    assert_true(f->has_grain);
    assert_int_equal(f->n_grain, 2);
    assert_int_equal(f->grain_mode, GR_GRAIN_MODE_SUPERSET);
    assert_int_equal(f->n_measures, 1);
    door_close(&d);
}

static void test_shape(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const call calls[] = {
        {"GET /pre-aggregations/orders.main" H, NULL, 200, "\"measures\":[\"orders__amount\",\"orders__count\"]"},
        {"GET /pre-aggregations/1" H, NULL, 200,
         "\"measure_details\":[{\"name\":\"orders__amount\",\"expression\":\"amount\",\"merge\":\"SUM\",\"rule\":{"
         "\"type\":\"full\"},\"expr_hash\":\"0123456789ab\",\"aggregation\":\"SUM\"},{\"name\":\"orders__count\","
         "\"expr_hash\":\"ba9876543210\",\"aggregation\":\"COUNT\"}]"},
        {"GET /preaggs/1" H, NULL, 200, "\"measures\":[{\"name\":\"orders__amount\",\"expression\":\"amount\""},
        {"GET /pre-aggregations/1" H, NULL, 200,
         "\"source_node\":{\"id\":7,\"name\":\"orders\",\"type\":\"source\"},\"source_node_version\":\"v2.0\",\"node_"
         "revision_id\":71,\"node_name\":\"orders\",\"node_version\":\"v2.0\",\"grain_columns\":[\"orders.status\"],"
         "\"grain_hash\":\"aa\""},
        {"GET /pre-aggregations/1" H, NULL, 200,
         "\"table\":\"memory.main.orders_main_abc_1\",\"materialized_table_ref\":\"memory.main.orders_main_abc_1\","
         "\"status\":\"active\",\"materialized_at\":\"2021-02-03T04:05:06.000Z\",\"materialization_error\":null,"
         "\"row_count\":42,\"build_ms\":6000,\"bytes\":4096,\"served_build\":{\"id\":11,\"version\":3,"},
        {"GET /pre-aggregations/1" H, NULL, 200,
         "\"valid_through_ts\":null,\"min_partition\":[\"1970-01-01T00:00:00.000\"],\"max_partition\":[\"1970-01-02T00:"
         "00:00.000\"]"},
        {"GET /pre-aggregations/1" H, NULL, 200,
         "\"workflow_status\":\"active\",\"workflow_urls\":[{\"label\":\"scheduled\",\"url\":\"/pre-aggregations/1/"
         "builds\"}],\"workflow_names\":[\"preagg-1\"],\"external\":false,\"cubes\":[\"orders\",\"sales\"],\"declared_"
         "by\":[\"orders.main\"],\"related_metrics\":[\"orders.amount\",\"orders.count\"]"},
        {"GET /pre-aggregations/2" H, NULL, 200,
         "\"table\":null,\"materialized_table_ref\":null,\"status\":\"pending\",\"materialized_at\":null,"
         "\"materialization_error\":null,\"row_count\":null,\"build_ms\":null,\"bytes\":null,\"served_build\":null"},
        {"GET /pre-aggregations/2" H, NULL, 200,
         "\"workflow_status\":null,\"workflow_urls\":null,\"workflow_names\":null"},
        {"GET /pre-aggregations/3" H, NULL, 200,
         "\"valid_through_ts\":9,\"min_partition\":null,\"max_partition\":[\"20240131\"],\"strategy\":\"external\""},
        {"GET /pre-aggregations/3" H, NULL, 200, "\"external\":true"},
        {"GET /pre-aggregations/4" H, NULL, 200, "\"materialization_error\":\"the disk is full\""},
        {"GET /pre-aggregations/1/cubes" H, NULL, 200,
         "=[{\"name\":\"sales\",\"display_name\":\"Sales\",\"type\":\"cube\",\"version\":\"v1.0\",\"status\":\"valid\"}"
         "]"},
        {"GET /pre-aggregations/2/cubes" H, NULL, 200, "=[]"},
        {"GET /pre-aggregations/1/builds?limit=1" H, NULL, 200,
         "[{\"id\":12,\"pre_aggregation_id\":1,\"version\":4,\"status\":\"failed\",\"progress\":null"},
        {"GET /pre-aggregations/1/builds" H, NULL, 200, "\"version\":3,\"status\":\"done\",\"progress\":1,"},
        {"GET /pre-aggregations/2/builds" H, NULL, 200, "\"status\":\"running\",\"progress\":0.5,"},
        {"GET /pre-aggregations/1/history" H, NULL, 200,
         "[{\"id\":5,\"entity_type\":\"pre_aggregation\",\"entity_name\":\"1\",\"node\":\"orders\",\"activity_type\":"
         "\"status_change\",\"user\":\"granary\",\"pre\":{},\"post\":{\"status\":\"active\"},\"details\":{},\"created_"
         "at\":\"2021-02-03T04:05:06.000Z\"}]"},
        {"GET /pre-aggregations/99" H, NULL, 404, "There is no pre-aggregation '99'"},
        {"GET /pre-aggregations/no.such" H, NULL, 404, "\"code\":\"UNKNOWN_ERROR\""},
        {"GET /preaggs/99" H, NULL, 404, "There is no pre-aggregation '99'"},
        {"GET /preaggs/orders.main" H, NULL, 422, "{\"detail\":[{\"loc\":[\"path\",\"preagg_id\"],"},
        {"GET /pre-aggregations/99/cubes" H, NULL, 404, "preagg.not_found"},
        {"GET /pre-aggregations/99/history" H, NULL, 404, "preagg.not_found"},
        {"GET /pre-aggregations/99/lineage" H, NULL, 404, "preagg.not_found"},
    };
    RUN(calls);
    door_close(&d);
}

static void test_changes(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const call calls[] = {
        {"DELETE /pre-aggregations/2" H, NULL, 200, "={\"message\":\"Pre-aggregation 2 is deleted.\"}"},
        {"DELETE /pre-aggregations/3/" H, NULL, 200, "its table stays"},
        {"DELETE /pre-aggregations/1" H, NULL, 409, "is used by orders, sales"},
        {"DELETE /pre-aggregations/4" H, NULL, 409, "preagg.materializing"},
        {"DELETE /pre-aggregations/99" H, NULL, 404, "'99'"},
        {"PATCH /preaggs/2/config" H, "{\"strategy\":\"full\",\"schedule\":null}", 200, "{\"id\":2,"},
        {"PATCH /preaggs/2/config" H, "{\"strategi\":\"full\"}", 422, "extra_forbidden"},
        {"PATCH /preaggs/2/config" H, "{\"strategy\":1}", 422, "string_type"},
        {"PATCH /preaggs/2/config" H, NULL, 422,
         "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"A JSON object is required\",\"type\":\"missing\"}]}"},
        {"PATCH /preaggs/99/config" H, "{}", 404, "'99'"},
        {"DELETE /preaggs/1/workflow" H, NULL, 200,
         "{\"workflow_url\":null,\"status\":\"none\",\"message\":\"The workflow is stopped"},
        {"DELETE /preaggs/2/workflow" H, NULL, 200, "There was no workflow."},
        {"DELETE /preaggs/workflows" H, NULL, 422, "\"loc\":[\"query\",\"node_name\"]"},
        {"DELETE /preaggs/workflows?node_name=nothing" H, NULL, 404, "`nothing` does not exist"},
        {"DELETE /preaggs/workflows?node_name=orders" H, NULL, 200,
         "={\"deactivated_count\":1,\"deactivated\":[{\"id\":1,\"workflow_name\":\"preagg-1\"}],\"skipped_count\":1,"
         "\"message\":\"1 workflow is stopped.\"}"},
        {"DELETE /preaggs/workflows?node_name=orders&stale_only=true" H, NULL, 200, "There was no active workflow."},
        {"POST /preaggs/1/backfill" H, "{\"start_date\":\"2024-01-01\",\"end_date\":\"2024-01-31\"}", 200,
         "={\"job_url\":\"/pre-aggregations/1/"
         "builds\",\"start_date\":\"2024-01-01\",\"end_date\":\"2024-01-31\",\"status\":\"running\"}"},
        {"POST /preaggs/1/backfill" H, "{\"start_date\":\"2024-01-01\"}", 200, "\"end_date\":\"2"},
        {"POST /preaggs/1/backfill" H, "{}", 422, "\"loc\":[\"body\",\"start_date\"],\"msg\":\"Field required\""},
        {"POST /preaggs/1/backfill" H, "{\"start_date\":\"yesterday\"}", 422, "date_parsing"},
        {"POST /preaggs/1/backfill" H, "{\"start_date\":\"2024-01-02\",\"end_date\":\"2024-01-01\"}", 422,
         "is after end_date"},
        {"POST /preaggs/2/backfill" H, "{\"start_date\":\"2024-01-01\"}", 422, "has no workflow"},
        {"POST /preaggs/3/backfill" H, "{\"start_date\":\"2024-01-01\"}", 422, "preagg.external"},
        {"POST /preaggs/3/availability/" H,
         "{\"catalog\":\"c\",\"schema_\":\"s\",\"table\":\"t\",\"valid_through_ts\":1}", 200, "{\"id\":3,"},
        {"POST /preaggs/3/availability" H, "{\"catalog\":\"c\",\"table\":\"t\"}", 422,
         "\"loc\":[\"body\",\"valid_through_ts\"]"},
        {"POST /preaggs/1/availability" H, "{\"catalog\":\"c\",\"table\":\"t\",\"valid_through_ts\":1}", 422,
         "preagg.not_external"},
    };
    RUN(calls);
    assert_int_equal(fake_noted.n_forced, 2);
    door_close(&d);
}

static void test_materialize(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const call calls[] = {
        {"POST /pre-aggregations/1/materialize" H, NULL, 200, "\"status\":\"active\""},
        {"POST /pre-aggregations/orders.main/materialize" H, "{\"force\":true}", 202, "\"status\":\"materializing\""},
        {"POST /pre-aggregations/2/materialize" H, "{\"strategy\":null}", 202, "\"status\":\"materializing\""},
        {"POST /pre-aggregations/1/materialize" H, "{\"timezone\":\"utc\"}", 200, NULL},
        {"POST /pre-aggregations/1/materialize" H, "{\"timezone\":\"Asia/Tokyo\"}", 422, "query.timezone"},
        {"POST /pre-aggregations/1/materialize" H, "{\"force\":1}", 422, "bool_type"},
        {"POST /pre-aggregations/1/materialize" H, "[]", 422, "dict_type"},
        {"POST /pre-aggregations/1/materialize" H, "{", 422, "json_invalid"},
        {"POST /pre-aggregations/3/materialize" H, NULL, 422, "preagg.external"},
        {"POST /pre-aggregations/4/materialize" H, NULL, 409, "preagg.materializing"},
        {"POST /pre-aggregations/99/materialize" H, NULL, 404, "'99'"},
        {"POST /preaggs/2/materialize" H, NULL, 422, "It has no strategy"},
        {"POST /preaggs/2/materialize" H, "{\"strategy\":\"full\"}", 200, "\"status\":\"materializing\""},
        {"POST /preaggs/3/materialize" H, NULL, 422, "preagg.external"},
    };
    RUN(calls);
    door_close(&d);
}

typedef struct waiter {
    const door *d;
    const char *request, *body;
    reply r;
} waiter;

static void *wait_in_thread(void *arg) {
    waiter *w = arg;
    w->r = client_call(w->d->port, w->request, w->body);
    return NULL;
}

/* Whoever waits gets the outcome; nobody holds a thread meanwhile, so that more wait than there are workers. */
static void test_waiting(void **state) {
    (void)state;
    static const struct {
        gr_status end;
        int status;
        const char *text;
    } cases[] = {{GR_OK, 200, "\"status\":\"active\""}, {GR_ERR_ENGINE_SQL, 500, "the build of entity1 broke"}};
    for (size_t c = 0; c < 2; c++) {
        gr_config config = fake_config();
        config.continue_wait_ms = 50; /* of loads; not of these */
        door d = door_open(config, 0);
        waiter w[6];
        pthread_t threads[6];
        for (size_t i = 0; i < 6; i++) {
            w[i] = (waiter){&d, "POST /pre-aggregations/1/materialize" H, "{\"force\":true,\"wait\":true}", {0}};
            pthread_create(&threads[i], NULL, wait_in_thread, &w[i]);
        }
        sleep_ms(400);
        expect(&d, "GET /pre-aggregations/1" H, NULL, 200, NULL);
        fake_build_end(d.serve, "entity1", cases[c].end);
        for (size_t i = 0; i < 6; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(w[i].r.status, cases[c].status);
            assert_true(has(gr_buf_str(&w[i].r.body), cases[c].text));
            reply_done(&w[i].r);
        }
        door_close(&d);
    }
}

static void test_waiting_too_long(void **state) {
    (void)state;
    gr_config config = fake_config();
    config.query_timeout_ms = 200;
    door d = door_open(config, 0);
    expect(&d, "POST /pre-aggregations/2/materialize" H, "{\"wait\":true}", 202, "{\"id\":2,");
    door_close(&d);
}

static void test_builds_stream(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const char stream[] = "GET /pre-aggregations/1/builds HTTP/1.0\r\nAccept: text/event-stream";
    static const struct {
        gr_status end;
        const char *last;
    } cases[] = {{GR_OK, "\n\nevent: done\ndata: {\"pre_aggregation_id\":1,\"pre_aggregation\":\"orders.main\""},
                 {GR_ERR_ENGINE_SQL, "\n\nevent: failed\ndata: {\"pre_aggregation_id\":1,"}};
    for (size_t c = 0; c < 2; c++) {
        char name[8];
        snprintf(name, sizeof name, "b%zu", c);
        fake_noted.building = gr_flight_ref(fake_flight(d.serve, name));
        int fd = client_connect(d.port);
        client_write(fd, stream, NULL);
        sleep_ms(300);
        gr_flight_unref(fake_noted.building);
        fake_noted.building = NULL;
        fake_build_end(d.serve, name, cases[c].end);
        reply r = client_read(fd, false);
        gr_str body = gr_buf_str(&r.body);
        assert_int_equal(r.status, 200);
        assert_true(gr_str_eq_z(reply_header(&r, "content-type"), "text/event-stream; charset=utf-8"));
        assert_true(gr_str_starts(body, GR_STR("event: progress\ndata: {\"pre_aggregation_id\":1,")));
        assert_true(has(body, cases[c].last));
        reply_done(&r);
        close(fd);
    }
    expect(&d, stream, NULL, 200, "event: failed\ndata: {\"pre_aggregation_id\":1,");
    expect(&d, "GET /pre-aggregations/2/builds HTTP/1.0\r\nAccept: text/event-stream", NULL, 200,
           "=retry: 2000\nevent: progress\ndata: {\"pre_aggregation_id\":2,\"pre_aggregation\":\"\",\"timezone\":\"\","
           "\"status\":\"pending\",\"is_done\":false,\"progress\":0.5,\"rows\":0,\"started_at\":null}\n\n");
    expect(&d, "GET /pre-aggregations/99/builds HTTP/1.0\r\nAccept: text/event-stream", NULL, 404, "preagg.not_found");
    door_close(&d);
}

static void test_plans(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const call calls[] = {
        {"POST /preaggs/plan" H, "{\"metrics\":[\"orders.count\"],\"dimensions\":null,\"future\":1}", 201,
         "{\"preaggs\":[{\"id\":2,"},
        {"POST /preaggs/plan/" H, "{\"metrics\":[\"orders.count\"]}", 201,
         "\"warnings\":[{\"code\":\"FANOUT_RISK\",\"message\":\"careful\",\"debug\":{\"member\":\"orders.count\"}}]}"},
        {"POST /preaggs/plan" H, "{\"dimensions\":[]}", 422,
         "{\"detail\":[{\"loc\":[\"body\",\"metrics\"],\"msg\":\"Field required\",\"type\":\"missing\"}]}"},
        {"POST /preaggs/plan" H, "{\"metrics\":\"orders.count\"}", 422, "list_type"},
        {"POST /preaggs/plan" H, "{\"metrics\":[1],\"filters\":\"x\"}", 422, "\"loc\":[\"body\",\"filters\"]"},
        {"POST /preaggs/plan" H, "{\"metrics\":[\"orders.count\"],\"strategy\":\"view\"}", 422,
         "\"context\":\"query.invalid\""},
        {"POST /preaggs/plan" H, "{\"metrics\":[\"orders.nothing\"]}", 422, "\"code\":\"INVALID_COLUMN\""},
        {"POST /preaggs/plan" H, "nonsense", 422, "\"type\":\"json_invalid\""},
        {"GET /grain-groups" H, NULL, 422, "No metrics"},
        {"GET /grain-groups?metrics=orders.count" H, NULL, 200,
         "{\"grain_groups\":[{\"node_name\":\"orders\",\"node_version\":\"v2.0\",\"grain_columns\":[\"orders."
         "status\"]"},
        {"GET /grain-groups?metrics=orders.count" H, NULL, 200,
         "\"pre_aggregation_id\":2,\"status\":\"pending\",\"is_covered\":false"},
        {"POST /import/dj-materializations" H, "{\"name\":\"sales\"}", 200,
         "={\"results\":[{\"cube\":\"sales\",\"source_node\":\"orders\",\"result\":\"imported\",\"problem\":null,\"pre_"
         "aggregation_id\":2}]}"},
        {"POST /import/dj-materializations" H, NULL, 422, "missing"},
    };
    RUN(calls);
    expect(&d,
           "GET "
           "/grain-groups?metrics=a.b,c.d&metrics=e.f&dimensions=x.y&filters=x+IN+(1,2)&filters=%7B%22a%22:1%7D&"
           "timezone=UTC" H,
           NULL, 200, NULL);
    assert_string_equal(fake_noted.text, "a.b,c.d,e.f|x.y|[\"x IN (1,2)\",{\"a\":1}]|UTC");
    expect(&d, "POST /preaggs/register" H,
           "{\"name\":\"n\",\"metrics\":[\"orders.count\"],\"dimensions\":[],\"table\":{\"catalog\":\"default\","
           "\"schema_\":\"s\","
           "\"table\":\"t\",\"valid_through_ts\":5},\"measure_columns\":{\"orders.count\":\"n\"}}",
           201, "{\"preaggs\":[{\"id\":3,");
    assert_string_equal(fake_noted.text, "orders.count=n s.t 1");
    expect(&d, "POST /preaggs/register" H, "{\"metrics\":[\"orders.count\"]}", 422, "\"loc\":[\"body\",\"table\"]");
    expect(&d, "POST /preaggs/register" H,
           "{\"metrics\":[\"a\"],\"table\":{\"catalog\":\"x\",\"schema\":\"s\",\"table\":\"t\"},\"measure_columns\":{"
           "\"a\":\"b\"}}",
           404, "config.source_unknown");
    expect(&d, "POST /preaggs/register" H,
           "{\"metrics\":[\"a\"],\"table\":{\"catalog\":\"x\"},\"measure_columns\":{\"a\":1}}", 422,
           "\"loc\":[\"body\",\"schema\"]");
    door_close(&d);
}

static void test_nodes(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    static const call calls[] = {
        {"GET /nodes" H, NULL, 200, "=[\"orders\",\"sales\"]"},
        {"GET /nodes/?prefix=sa" H, NULL, 200, "=[\"sales\"]"},
        {"GET /nodes?node_type=cube" H, NULL, 200, "=[\"sales\"]"},
        {"GET /nodes?node_type=thing" H, NULL, 422, "\"loc\":[\"query\",\"node_type\"]"},
        {"GET /nodes/details/" H, NULL, 200,
         "[{\"name\":\"orders\",\"display_name\":\"Orders\",\"description\":\"all of them\",\"type\":\"source\"}"},
        {"GET /nodes/orders" H, NULL, 200,
         "{\"namespace\":\"default\",\"type\":\"source\",\"node_id\":7,\"node_revision_id\":71,\"name\":\"orders\""},
        {"GET /nodes/orders" H, NULL, 200,
         "\"catalog\":{\"name\":\"main\",\"engines\":[]},\"schema_\":\"shop\",\"table\":\"orders\",\"query\":null,"
         "\"columns\":[{\"name\":\"status\"}],\"parents\":[]"},
        {"GET /nodes/orders" H, NULL, 200,
         "\"materializations\":[],\"tags\":[],\"owners\":[],\"availability\":null,\"metric_metadata\":null"},
        {"GET /nodes/nothing/" H, NULL, 404,
         "\"message\":\"A node with name `nothing` does not exist.\",\"errors\":[{\"code\":\"UNKNOWN_NODE\""},
        {"GET /nodes/orders/revisions" H, NULL, 200, "[{\"namespace\":\"default\""},
        {"GET /nodes/nothing/revisions" H, NULL, 404, "`nothing` does not exist"},
        {"GET /cubes" H, NULL, 200, "=[\"orders\",\"sales\"]"},
        {"GET /cubes/sales" H, NULL, 200, "{\"type\":\"cube\",\"node_type\":\"cube\",\"node_id\":7"},
        {"GET /cubes/sales" H, NULL, 200,
         "{\"name\":\"created_at.day\",\"display_name\":\"Created "
         "At.day\",\"node_name\":\"orders\",\"type\":\"dimension\",\"partition\":null,\"role\":null},"
         "{\"name\":\"country\",\"display_name\":\"Country\",\"node_name\":\"orders.users\""},
        {"GET /cubes/sales" H, NULL, 200,
         "\"cube_node_metrics\":[\"orders.amount\",\"orders.count\"],\"cube_node_dimensions\":[\"orders.created_at."
         "day\",\"orders.users.country\"],\"cube_filters\":[]"},
        {"GET /cubes/orders/" H, NULL, 200, "\"node_type\":\"source\""},
        {"GET /cubes/a_metric" H, NULL, 404, "A node with name `a_metric` does not exist."},
        {"GET /cubes/nothing" H, NULL, 404, "does not exist"},
        {"GET /cubes/sales/versions/v1.0" H, NULL, 200, "\"version\":\"v1.0\""},
        {"GET /cubes/sales/versions/v7.0" H, NULL, 404, "A node with name `sales` and version `v7.0` does not exist."},
        {"POST /nodes/cube/" H,
         "{\"name\":\"mine\",\"metrics\":[\"orders.count\"],\"dimensions\":[],\"status\":null,\"tags\":[]}", 201,
         "\"name\":\"mine\""},
        {"POST /nodes/cube" H, "{\"name\":\"mine\",\"metrics\":[\"orders.count\"],\"dimensions\":[]}", 201,
         "\"pre_aggregations\":[2],\"warnings\":[{\"code\":\"FANOUT_RISK\""},
        {"POST /nodes/cube" H, "{\"name\":\"sales\",\"metrics\":[\"orders.count\"]}", 409,
         "\"code\":\"ALREADY_EXISTS\""},
        {"POST /nodes/cube" H, "{\"metrics\":[]}", 422, "\"loc\":[\"body\",\"name\"]"},
        {"PATCH /nodes/sales" H,
         "{\"description\":\"new\",\"metrics\":null,\"columns\":[],\"orderby\":null,\"limit\":null}", 200,
         "\"name\":\"sales\""},
        {"PATCH /nodes/sales" H, "{\"descripton\":\"new\"}", 422, "\"loc\":[\"body\",\"descripton\"]"},
        {"PATCH /nodes/sales" H, "{\"query\":\"SELECT 1\"}", 422, "A cube has no such field"},
        {"PATCH /nodes/orders" H, "{\"description\":\"new\"}", 409, "node.of_model"},
        {"PATCH /nodes/nothing" H, "{}", 404, "does not exist"},
        {"DELETE /nodes/sales" H, NULL, 200, "={\"message\":\"Node `sales` is deactivated.\"}"},
        {"DELETE /nodes/orders" H, NULL, 409, "node.of_model"},
        {"DELETE /nodes/nothing" H, NULL, 404, "does not exist"},
        {"GET /history?node=orders" H, NULL, 200, "[{\"id\":5,\"entity_type\":\"node\""},
        {"GET /history/link/orders?limit=3&offset=4" H, NULL, 200,
         "\"entity_type\":\"link\",\"entity_name\":\"orders\""},
        {"GET /history?limit=x" H, NULL, 422, "int_parsing"},
        {"GET /lineage" H, NULL, 200,
         "={\"nodes\":[{\"id\":\"table:t\\\"1\",\"kind\":\"table\",\"label\":\"t\",\"detail\":null},{\"id\":\"cube:"
         "sales\",\"kind\":\"cube\","
         "\"label\":\"sales\",\"detail\":\"d\"}],\"edges\":[{\"from\":\"table:t\\\"1\",\"to\":\"cube:sales\"}]}"},
        {"GET /lineage?format=svg" H, NULL, 422, "format is json or dot"},
        {"GET /nodes/nothing/lineage" H, NULL, 404, "A node with name `nothing` does not exist."},
        {"GET /nodes/orders/lineage?format=dot" H, NULL, 200,
         "=digraph lineage {\n  rankdir=LR;\n  \"table:t\\\"1\" [label=\"t\", shape=cylinder];\n  \"cube:sales\" "
         "[label=\"sales\\nd\", "
         "shape=folder];\n  \"table:t\\\"1\" -> \"cube:sales\";\n}\n"},
    };
    RUN(calls);
    expect(&d, "PATCH /nodes/sales" H, "{\"description\":\"\",\"dimensions\":[]}", 200, NULL);
    assert_true(fake_noted.cube.is_update && fake_noted.cube.has_description && fake_noted.cube.has_dimensions);
    assert_false(fake_noted.cube.has_metrics || fake_noted.cube.has_filters || fake_noted.cube.has_display_name);
    expect(&d, "GET /pre-aggregations/orders.main/lineage" H, NULL, 200, NULL);
    assert_string_equal(fake_noted.text, "1");
    door_close(&d);
}

/* What clients parse: the form of errors, their headers, tokens, methods. */
static void test_errors(void **state) {
    (void)state;
    door d = door_open(fake_config(), 0);
    expect(&d, "GET /pre-aggregations/99" H, NULL, 404,
           "={\"message\":\"There is no pre-aggregation "
           "'99'\",\"errors\":[{\"code\":\"UNKNOWN_ERROR\",\"message\":\"There is no "
           "pre-aggregation "
           "'99'\",\"debug\":{\"id\":\"preagg.not_found\",\"is_retryable\":false},\"context\":\"preagg.not_found\"}],"
           "\"warnings\":[]}");
    expect_header(&d, "GET /pre-aggregations/99" H, "content-type", "application/json");
    expect_header(&d, "GET /pre-aggregations/99" H, "x-dj-error", "true");
    expect_header(&d, "GET /pre-aggregations/99" H, "x-dbapi-exception", "DataError");
    expect_header(&d, "GET /pre-aggregations/1" H, "content-type", "application/json");
    expect_header(&d, "GET /pre-aggregations/1" H, "x-dj-error", "");
    expect_header(&d, "GET /lineage?format=dot" H, "content-type", "text/vnd.graphviz; charset=utf-8");
    expect_header(&d, "POST /pre-aggregations" H, "allow", "OPTIONS, GET");
    expect_header(&d, "PUT /nodes/x" H, "allow", "OPTIONS, GET, PATCH, DELETE");
    static const call calls[] = {
        {"POST /pre-aggregations" H, NULL, 405, "\"context\":\"http.method\""},
        {"GET /pre-aggregations?x=%zz" H, NULL, 422, "\"context\":\"query.invalid\""},
        {"GET /nothing" H, NULL, 404, "\"id\":\"http.not_found\""},
    };
    RUN(calls);
    char *big = gr_mem_alloc(20001);
    memset(big, ' ', 20000);
    big[20000] = 0;
    expect(&d, "POST /preaggs/plan" H, big, 413, "\"context\":\"http.body\"");
    free(big);
    door_close(&d);
    gr_config config = fake_config();
    config.api_secret.value = GR_STR("secret");
    d = door_open(config, 0);
    static const call guarded[] = {
        {"GET /pre-aggregations" H, NULL, 403, "\"code\":\"AUTHENTICATION_ERROR\""},
        {"GET /pre-aggregations" H "\r\nAuthorization: Bearer data", NULL, 403, "API scope is missing: meta"},
        {"DELETE /pre-aggregations/2" H "\r\nAuthorization: Bearer data", NULL, 403, "API scope is missing: jobs"},
        {"DELETE /pre-aggregations/2" H "\r\nAuthorization: Bearer all", NULL, 200, NULL},
    };
    RUN(guarded);
    door_close(&d);
}

int main(void) {
    gr_log_setup(GR_LOG_OFF, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),         cmocka_unit_test(test_shape),   cmocka_unit_test(test_changes),
        cmocka_unit_test(test_materialize),   cmocka_unit_test(test_waiting), cmocka_unit_test(test_waiting_too_long),
        cmocka_unit_test(test_builds_stream), cmocka_unit_test(test_plans),   cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
