/* DuckDB and a ClickHouse server side by side, for the tests that compare them. */
#ifndef GR_TEST_CLICKHOUSE_FIXTURE_H
#define GR_TEST_CLICKHOUSE_FIXTURE_H
#include "clickhouse/server.h"
#include "conformance/engine/dialect_fixture.h"

enum { DUCK, HOUSE };
static fixture f;
static clickhouse_server server;
static side sides[2] = {[DUCK] = {.name = "duckdb"}, [HOUSE] = {.name = "clickhouse"}};

/* Ends the program where there is no ClickHouse. */
static int open_all(void **state) {
    (void)state;
    set_up_folder(&f);
    if (clickhouse_start(&server, 1)) return -1;
    if (!server.urls[0][0]) {
        printf("[  SKIPPED ] no ClickHouse server is installed\n");
        exit(0);
    }
    const gr_source_config source = {.name = GR_STR("ch"),
                                     .kind = GR_SOURCE_CLICKHOUSE,
                                     .url = {gr_str_from(server.urls[0])},
                                     .user = GR_STR("granary"),
                                     .password = {GR_STR("secret")}};
    return open_sides(&f, sides, &gr_engine_clickhouse_driver, &source);
}

static int close_all(void **state) {
    (void)state;
    close_sides(&f, sides);
    return clickhouse_stop(&server);
}
#endif
