/* Rows that are lost, doubled or changed on their way into a table are told of, by what differs. */
#include "store/arrival.h"

#include "conformance/engine/engine_fixture.h"

static fixture f;
static gr_engine_conn *reader; /* the rows come over another connection */

static void must(gr_status status) {
    if (status) fail_msg("%s", f.err.message);
}

static int open_all(void **state) {
    (void)state;
    set_up(&f, "store.duckdb");
    run(&f, "CREATE TABLE sent AS SELECT i AS id, CASE WHEN i % 3 = 0 THEN NULL ELSE 9223372036854775807 - i END AS "
            "amount, "
            "CASE WHEN i % 5 = 0 THEN NULL ELSE 'text ' || i END AS label, i / 7.0::DOUBLE AS share, NULL::BIGINT AS "
            "nothing "
            "FROM range(5000) t(i)");
    return driver->connect(f.engine, (gr_str){0}, &reader, &f.err) ? -1 : 0;
}

static int close_all(void **state) {
    (void)state;
    driver->disconnect(reader);
    driver->disconnect(f.conn);
    driver->close(f.engine);
    nftw(f.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    gr_arena_free(f.arena);
    return 0;
}

/* Counts all rows of `sent`, makes the table that stands for what arrived, and compares. */
static gr_status arrived(const char *made, const gr_str *names) {
    gr_stream *rows;
    const gr_batch *batch;
    must(driver->query(reader, &f.ctx, GR_STR("SELECT * FROM sent"), NULL, 0, false, &rows, &f.err));
    gr_arrival *arrival = gr_store_arrival(rows, f.arena);
    gr_stream *counted = gr_store_arrival_rows(arrival);
    do must(counted->next(counted, &batch, &f.err));
    while (batch);
    counted->close(counted);
    run(&f, "DROP TABLE IF EXISTS got");
    run(&f, made);
    gr_status status =
        gr_store_arrived(arrival, f.conn, &f.ctx, GR_STR("\"got\""), &(gr_engine_load){.columns = names}, &f.err);
    rows->close(rows);
    return status;
}

static void test_whole(void **state) {
    (void)state;
    const gr_str names[] = {GR_STR("a"), GR_STR("b b"), GR_STR("c"), GR_STR("d"), GR_STR("\"e\"")};
    must(arrived("CREATE TABLE got AS SELECT * FROM sent ORDER BY label DESC", NULL));
    must(arrived(
        "CREATE TABLE got AS SELECT id AS a, amount AS \"b b\", label AS c, share AS d, nothing AS \"\"\"e\"\"\" "
        "FROM sent",
        names));
}

static void test_differs(void **state) {
    (void)state;
    static const struct {
        const char *made, *message;
    } cases[] = {
        {"CREATE TABLE got AS SELECT * FROM sent LIMIT 4999", "the number of rows is 4999 in the table, and was 5000"},
        {"CREATE TABLE got AS SELECT * FROM sent UNION ALL SELECT * FROM sent WHERE id = 1",
         "the number of rows is 5001"},
        {"CREATE TABLE got AS SELECT * FROM sent LIMIT 0", "the number of rows is 0"},
        {"CREATE TABLE got AS SELECT * REPLACE (coalesce(label, '') AS label) FROM sent",
         "the number of values of label is 5000 in the table, and was 4000"},
        {"CREATE TABLE got AS SELECT * REPLACE (CASE WHEN id = 1 THEN 0 ELSE amount END AS amount) FROM sent",
         "the sum of amount is"},
        {"CREATE TABLE got AS SELECT * REPLACE (id + 1 AS id) FROM sent", "the sum of id is 12502500"},
        {"CREATE TABLE got AS SELECT * REPLACE (0 AS nothing) FROM sent", "the number of values of nothing is 5000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(arrived(cases[i].made, NULL), GR_ERR_STORE_IO);
        if (!strstr(f.err.message, cases[i].message)) fail_msg("%s\n%s", cases[i].made, f.err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_differs),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
