/* Where data comes from: the embedded store, database files and folders of files, and all that can be wrong with them.
 */
#include "conformance/engine/engine_fixture.h"

static fixture f;

static int tear(void **state) {
    (void)state;
    tear_down(&f);
    return 0;
}

static gr_source_config source_at(const char *name, const char *path, bool is_folder) {
    return (gr_source_config){.name = gr_str_from(name), .path = path_in(&f, path), .is_folder = is_folder};
}

/* A database file with table t of three rows, made while no engine is open here. */
static void make_database(const char *file) {
    assert_int_equal(try_open(&f, file), GR_OK);
    assert_int_equal(driver->connect(f.engine, (gr_str){0}, &f.conn, &f.err), GR_OK);
    run(&f, "CREATE TABLE t AS SELECT range AS a FROM range(3)");
    driver->disconnect(f.conn);
    driver->close(f.engine);
    f.conn = NULL;
    f.engine = NULL;
}

static void open_engine(const char *store) {
    if (try_open(&f, store)) fail_msg("%s", f.err.message);
    assert_int_equal(driver->connect(f.engine, (gr_str){0}, &f.conn, &f.err), GR_OK);
}

static void attach(const gr_source_config *source, bool want_write) {
    if (driver->attach(f.engine, source, want_write, &f.err)) fail_msg("%s", f.err.message);
}

/* ---- store ---------------------------------------------------------------------------------------------------------
 */

static void test_store_is_kept(void **state) {
    (void)state;
    set_up(&f, "deep/er/store.duckdb");
    run(&f, "CREATE TABLE kept AS SELECT 5 AS a");
    driver->disconnect(f.conn);
    driver->close(f.engine);
    open_engine("deep/er/store.duckdb");
    assert_string_equal(rows(&f, "SELECT a FROM granary_store.main.kept"), "5");
    gr_engine_options options = {&f.config, path_in(&f, "deep/er/store.duckdb")};
    gr_engine *second = NULL;
    assert_int_equal(driver->open(&options, &second, &f.err), GR_ERR_STORE_LOCKED);
    assert_null(second);
    assert_string_equal(rows(&f, "SELECT a FROM kept"), "5");
}

static void test_store_of_another_process(void **state) {
    (void)state;
    set_up_folder(&f);
    holder h = holder_start(path_in(&f, "store.duckdb"));
    assert_int_equal(try_open(&f, "store.duckdb"), GR_ERR_STORE_LOCKED);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld ", (long)h.pid);
    assert_non_null(strstr(f.err.hint, pid));
    holder_stop(h);
    open_engine("store.duckdb");
    assert_string_equal(rows(&f, "SELECT 1"), "1");
}

/* As a user who may not write: root may everything, so the test changes who it is. */
static void test_store_in_read_only_folder(void **state) {
    (void)state;
    set_up_folder(&f);
    assert_int_equal(mkdir(path_in(&f, "ro").p, 0555), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        if (!geteuid() && seteuid(65534)) _exit(90);
        gr_status in_folder = try_open(&f, "ro/store.duckdb");
        gr_status below = try_open(&f, "ro/below/store.duckdb");
        _exit(in_folder == GR_ERR_STORE_IO && below == GR_ERR_STORE_IO && strstr(f.err.message, "below") ? 0 : 91);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_store_that_is_no_database(void **state) {
    (void)state;
    set_up_folder(&f);
    write_file(&f, "store.duckdb", "this is a text file that is long enough to hold a header, or is it? I think so.\n");
    assert_int_equal(try_open(&f, "store.duckdb"), GR_ERR_STORE_IO);
    assert_non_null(strstr(f.err.message, "store.duckdb"));
    write_file(&f, "file", "x");
    assert_int_equal(try_open(&f, "file/store.duckdb"), GR_ERR_STORE_IO);
}

/* ---- database files -------------------------------------------------------------------------------------------------
 */

static void test_database_file(void **state) {
    (void)state;
    set_up_folder(&f);
    make_database("it's \"odd\".duckdb");
    open_engine("store.duckdb");
    gr_source_config source = source_at("de\"fault", "it's \"odd\".duckdb", false);
    gr_engine_conn *conn = NULL;
    assert_int_equal(driver->connect(f.engine, source.name, &conn, &f.err), GR_ERR_ENGINE_OPEN);
    attach(&source, false);
    conn = connect_to(&f, "de\"fault");
    assert_string_equal(rows_on(&f, conn, "SELECT sum(a)::BIGINT FROM t"), "3");
    assert_true(gr_str_eq_z(gr_engine_duckdb_source_catalog(&source, f.arena), "src_de\"fault"));
    assert_string_equal(rows(&f, "SELECT sum(a)::BIGINT FROM \"src_de\"\"fault\".main.t"), "3");

    int64_t n = 0;
    assert_int_equal(driver->update(conn, &f.ctx, GR_STR("CREATE TABLE granary_store.main.r AS SELECT a FROM t"), NULL,
                                    0, NULL, NULL, &n, &f.err),
                     GR_OK);
    assert_int_equal(n, 3);
    assert_string_equal(rows(&f, "SELECT count(*) FROM r"), "3");
    assert_int_equal(
        driver->update(conn, &f.ctx, GR_STR("CREATE TABLE w AS SELECT 1 AS a"), NULL, 0, NULL, NULL, NULL, &f.err),
        GR_ERR_ENGINE_SQL);

    attach(&source, true); /* now a rollup is to live in it; the connection stays good */
    assert_int_equal(
        driver->update(conn, &f.ctx, GR_STR("CREATE TABLE w AS SELECT 1 AS a"), NULL, 0, NULL, NULL, NULL, &f.err),
        GR_OK);
    assert_string_equal(rows_on(&f, conn, "SELECT a FROM w"), "1");
    attach(&source, true);
    attach(&source, false);
    assert_int_equal(driver->update(conn, &f.ctx, GR_STR("DROP TABLE w"), NULL, 0, NULL, NULL, NULL, &f.err),
                     GR_ERR_ENGINE_SQL);
    source.read_only = GR_TRUE;
    attach(&source, true);
    assert_int_equal(driver->update(conn, &f.ctx, GR_STR("DROP TABLE w"), NULL, 0, NULL, NULL, NULL, &f.err),
                     GR_ERR_ENGINE_SQL);
    driver->disconnect(conn);
}

/* Re-attached while a stream still reads: refused for a while, and the source stays. */
static void test_reattach_waits_for_readers(void **state) {
    (void)state;
    set_up_folder(&f);
    make_database("d.duckdb");
    open_engine(NULL);
    gr_source_config source = source_at("d", "d.duckdb", false);
    attach(&source, true);
    gr_engine_conn *conn = connect_to(&f, "d");
    assert_int_equal(driver->update(conn, &f.ctx, GR_STR("CREATE TABLE big AS SELECT range AS a FROM range(500000)"),
                                    NULL, 0, NULL, NULL, NULL, &f.err),
                     GR_OK);
    gr_stream *stream;
    const gr_batch *batch;
    assert_int_equal(driver->query(conn, &f.ctx, GR_STR("SELECT a FROM big"), NULL, 0, false, &stream, &f.err), GR_OK);
    assert_int_equal(stream->next(stream, &batch, &f.err), GR_OK);
    assert_int_equal(driver->attach(f.engine, &source, false, &f.err), GR_ERR_ENGINE_LOCKED);
    gr_str text;
    assert_int_equal(read_all(&f, stream, &text), GR_OK);
    attach(&source, false);
    assert_string_equal(rows_on(&f, conn, "SELECT count(*) FROM big"), "500000");
    driver->disconnect(conn);
}

static void test_exchanged_file(void **state) {
    (void)state;
    set_up_folder(&f);
    make_database("a.duckdb");
    make_database("b.duckdb");
    open_engine(NULL);
    gr_source_config source = source_at("s", "a.duckdb", false), other = source_at("o", "b.duckdb", false);
    attach(&other, true);
    run(&f, "DELETE FROM \"src_o\".main.t WHERE a > 0");
    driver->disconnect(f.conn);
    driver->close(f.engine);
    open_engine(NULL);
    attach(&source, false);
    gr_engine_conn *conn = connect_to(&f, "s");
    assert_string_equal(rows_on(&f, conn, "SELECT count(*) FROM t"), "3");
    assert_int_equal(rename(path_in(&f, "b.duckdb").p, path_in(&f, "a.duckdb").p), 0);
    attach(&source, false);
    assert_string_equal(rows_on(&f, conn, "SELECT count(*) FROM t"), "1");
    driver->disconnect(conn);
}

static void test_file_that_may_not_be_written(void **state) {
    (void)state;
    set_up_folder(&f);
    make_database("d.duckdb");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        if (!geteuid() && seteuid(65534)) _exit(90);
        gr_source_config source = source_at("d", "d.duckdb", false);
        f.config.state_dir = (gr_str){0};
        gr_str text = {0};
        if (try_open(&f, NULL) || driver->attach(f.engine, &source, true, &f.err) ||
            driver->connect(f.engine, source.name, &f.conn, &f.err)) {
            fprintf(stderr, "%s\n", f.err.message);
            _exit(91);
        }
        if (try_rows(&f, f.conn, "SELECT count(*) FROM t", NULL, 0, false, &text) || !gr_str_eq_z(text, "3")) _exit(92);
        gr_status status = try_run(&f, "DROP TABLE t");
        driver->disconnect(f.conn);
        driver->close(f.engine);
        _exit(status == GR_ERR_ENGINE_SQL ? 0 : 93);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_file_of_another_process(void **state) {
    (void)state;
    set_up_folder(&f);
    make_database("d.duckdb");
    holder h = holder_start(path_in(&f, "d.duckdb"));
    open_engine(NULL);
    gr_source_config source = source_at("d", "d.duckdb", false);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld ", (long)h.pid);
    for (int want_write = 0; want_write < 2; want_write++) {
        assert_int_equal(driver->attach(f.engine, &source, want_write, &f.err), GR_ERR_ENGINE_LOCKED);
        assert_non_null(strstr(f.err.hint, pid));
        assert_non_null(strstr(f.err.message, "\"d\""));
    }
    holder_stop(h);
    attach(&source, false);
}

static void test_wrong_paths(void **state) {
    (void)state;
    set_up(&f, NULL);
    write_file(&f, "text.duckdb", "not a database at all, but long enough to be looked at for a while\n");
    write_file(&f, "a.csv", "a,b\n1,2\n");
    assert_int_equal(mkdir(path_in(&f, "folder").p, 0755), 0);
    static const struct {
        const char *path;
        bool is_folder;
        const char *has;
    } cases[] = {
        {"missing.duckdb", false, "No such file"}, {"text.duckdb", false, "not a valid DuckDB"},
        {"a.csv", false, "not a valid DuckDB"},    {"folder", false, "is a folder"},
        {"missing", true, "No such file"},         {"a.csv", true, "is a file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int want_write = 0; want_write < 2; want_write++) {
            gr_source_config source = source_at("bad", cases[i].path, cases[i].is_folder);
            source.loc = (gr_loc){GR_STR("granary.yml"), 7, 3};
            assert_int_equal(driver->attach(f.engine, &source, want_write, &f.err), GR_ERR_ENGINE_OPEN);
            if (!strstr(f.err.message, cases[i].has)) fail_msg("%s: %s", cases[i].path, f.err.message);
            assert_int_equal(f.err.loc.line, 7);
            gr_engine_conn *conn;
            assert_int_equal(driver->connect(f.engine, GR_STR("bad"), &conn, &f.err), GR_ERR_ENGINE_OPEN);
        }
    }
    assert_int_equal(access(path_in(&f, "missing.duckdb").p, F_OK), -1);
}

/* ---- folders
 * --------------------------------------------------------------------------------------------------------- */

static void make_folder(void) {
    set_up(&f, "store.duckdb");
    static const char *const folders[] = {"data",       "data/events",  "data/events/2024",
                                          "data/empty", "data/.hidden", "data/we[i]rd"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(path_in(&f, folders[i]).p, 0755), 0);
    runf(&f,
         "COPY (SELECT i AS id, 'n' || i AS name, DATE '2020-01-01' + i::INTEGER AS d FROM range(10) t(i)) TO "
         "'%s/data/orders.parquet'",
         f.dir);
    runf(&f, "COPY (SELECT i AS id, i * 1.5 AS v FROM range(5) t(i)) TO '%s/data/items.csv'", f.dir);
    runf(&f, "COPY (SELECT i AS id FROM range(6) t(i)) TO '%s/data/zipped.csv.gz'", f.dir);
    runf(&f, "COPY (SELECT i AS id, 'x' AS t FROM range(7) t(i)) TO '%s/data/logs.json'", f.dir);
    runf(&f, "COPY (SELECT i AS id FROM range(8) t(i)) TO '%s/data/lines.ndjson' (FORMAT json)", f.dir);
    runf(&f, "COPY (SELECT i AS id FROM range(2) t(i)) TO '%s/data/arr.json.gz' (FORMAT json, ARRAY true)", f.dir);
    runf(&f, "COPY (SELECT 1 AS id) TO '%s/data/events/a.parquet'", f.dir);
    runf(&f, "COPY (SELECT 2 AS id) TO '%s/data/events/2024/B.PARQUET' (FORMAT parquet)", f.dir);
    runf(&f, "COPY (SELECT 3 AS id) TO '%s/data/we[i]rd/x.parquet'", f.dir);
    write_file(&f, "data/README.md", "not data\n");
    write_file(&f, "data/.hidden.csv", "a\n1\n");
    write_file(&f, "data/.hidden/x.csv", "a\n1\n");
    write_file(&f, "data/events/.tmp.parquet", "half written");
    write_file(&f, "data/it's \"q\".csv", "a\n1\n");
}

static void test_folder(void **state) {
    (void)state;
    make_folder();
    gr_source_config source = source_at("shop", "data", true);
    attach(&source, false);
    gr_engine_conn *conn = connect_to(&f, "shop");
    static const struct {
        const char *sql, *rows;
    } cases[] = {
        {"SELECT string_agg(view_name, ',' ORDER BY view_name) FROM duckdb_views() WHERE schema_name = 'src_shop'",
         "arr,events,it's \"q\",items,lines,logs,orders,we[i]rd,zipped"},
        {"SELECT count(*), max(name), max(d) FROM orders", "10|n9|18271"},
        {"SELECT count(*), sum(v)::DOUBLE FROM items", "5|15"},
        {"SELECT count(*) FROM zipped", "6"},
        {"SELECT count(*), max(t) FROM logs", "7|x"},
        {"SELECT count(*) FROM lines", "8"},
        {"SELECT count(*) FROM arr", "2"},
        {"SELECT id FROM events ORDER BY id", "1;2"},
        {"SELECT id FROM \"we[i]rd\"", "3"},
        {"SELECT a FROM \"it's \"\"q\"\"\"", "1"},
        {"SELECT count(*) FROM memory.src_shop.orders", "10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(rows_on(&f, conn, cases[i].sql), cases[i].rows);
    assert_true(gr_str_eq_z(gr_engine_duckdb_source_catalog(&source, f.arena), "memory"));

    /* A file that arrives later is read; a new table appears when attached again; prepared statements go on. */
    gr_str text;
    assert_int_equal(try_rows(&f, conn, "SELECT id FROM events ORDER BY id", NULL, 0, true, &text), GR_OK);
    assert_string_equal(text.p, "1;2");
    runf(&f, "COPY (SELECT 9 AS id) TO '%s/data/events/c.parquet'", f.dir);
    runf(&f, "COPY (SELECT 9 AS id) TO '%s/data/late.parquet'", f.dir);
    assert_int_equal(try_rows(&f, conn, "SELECT id FROM events ORDER BY id", NULL, 0, true, &text), GR_OK);
    assert_string_equal(text.p, "1;2;9");
    assert_int_equal(try_rows(&f, conn, "SELECT count(*) FROM orders", NULL, 0, true, &text), GR_OK);
    attach(&source, true);
    assert_string_equal(rows_on(&f, conn, "SELECT id FROM late"), "9");
    assert_int_equal(try_rows(&f, conn, "SELECT count(*) FROM orders", NULL, 0, true, &text), GR_OK);
    assert_string_equal(text.p, "10");
    assert_int_equal(driver->update(conn, &f.ctx, GR_STR("CREATE TABLE granary_store.main.r AS SELECT * FROM orders"),
                                    NULL, 0, NULL, NULL, NULL, &f.err),
                     GR_OK);

    /* A broken folder leaves the old views. */
    write_file(&f, "data/ORDERS.csv", "a\n1\n");
    assert_int_equal(driver->attach(f.engine, &source, false, &f.err), GR_ERR_ENGINE_OPEN);
    assert_non_null(strstr(f.err.message, "ORDERS.csv"));
    assert_non_null(strstr(f.err.message, "orders.parquet"));
    assert_string_equal(rows_on(&f, conn, "SELECT count(*) FROM orders"), "10");
    driver->disconnect(conn);
}

static void test_csv(void **state) {
    (void)state;
    set_up(&f, NULL);
    static const char *const folders[] = {"csv", "csv/many"};
    for (size_t i = 0; i < 2; i++) assert_int_equal(mkdir(path_in(&f, folders[i]).p, 0755), 0);
    write_file(&f, "csv/empty.csv", "a,b,c\n1,\"\",NULL\n2,,x\n");
    write_file(&f, "csv/semic.csv", "a;b\r\n1;\"x;\r\ny\"\r\n2;z\r\n");
    write_file(&f, "csv/tab.csv", "a\tb\n1\tx y\n");
    write_file(&f, "csv/dates.csv", "d,t\n31/12/2020,2020-01-01 10:00:00\n01/02/2021,2020-01-01T10:00:00\n");
    write_file(&f, "csv/quotes.csv", "a,b\n\"x \"\"q\"\", y\",1\n");
    write_file(&f, "csv/header.csv", "id,name\n");
    write_file(&f, "csv/many/1.csv", "id,v\n1,2\n");
    write_file(&f, "csv/many/2.csv", "id,v\n2,2.5\n");
    gr_buf late; /* a text only in row 30,001: more rows than the engine samples */
    gr_buf_init(&late, 1 << 20);
    gr_buf_z(&late, "id,code\n");
    for (int i = 0; i < 30000; i++) gr_buf_printf(&late, "%d,%d\n", i, i % 7);
    gr_buf_z(&late, "30000,N/A\n");
    gr_buf_char(&late, 0);
    write_file(&f, "csv/late.csv", late.p);
    gr_buf_done(&late);
    gr_source_config source = source_at("c", "csv", true);
    attach(&source, false);
    gr_engine_conn *conn = connect_to(&f, "c");
    static const struct {
        const char *sql, *rows;
    } cases[] = {
        {"SELECT a, b = '', b IS NULL, c FROM empty ORDER BY a", "1|true|false|NULL;2|NULL|true|x"},
        {"SELECT a, length(b) FROM semic ORDER BY a", "1|5;2|1"},
        {"SELECT a, b FROM tab", "1|x y"},
        {"SELECT d, t FROM dates ORDER BY d", "18627|1577872800000000;18659|1577872800000000"},
        {"SELECT a, b FROM quotes", "x \"q\", y|1"},
        {"SELECT count(*) FROM header", "0"},
        {"SELECT typeof(code), count(*), max(code) FROM late GROUP BY 1", "VARCHAR|30001|N/A"},
        {"SELECT id, v FROM many ORDER BY id", "1|2;2|2.5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_str text;
        if (try_rows(&f, conn, cases[i].sql, NULL, 0, false, &text)) fail_msg("%s: %s", cases[i].sql, f.err.message);
        assert_string_equal(text.p, cases[i].rows);
    }
    /* The file changes so that it no longer fits: an error, not another shape. */
    write_file(&f, "csv/tab.csv", "a\tb\n1\tx\ty\n");
    gr_str text;
    assert_int_not_equal(try_rows(&f, conn, "SELECT * FROM tab", NULL, 0, false, &text), GR_OK);
    write_file(&f, "csv/tab.csv", "b\ta\nz\t3\n");
    assert_string_equal(rows_on(&f, conn, "SELECT a, b FROM tab"), "3|z");
    driver->disconnect(conn);
}

static void test_bad_folders(void **state) {
    (void)state;
    set_up(&f, NULL);
    static const struct {
        const char *folder, *files[2], *texts[2], *has;
    } cases[] = {
        {"ragged", {"r.csv", NULL}, {"a,b,c\n1,2,3\n4,5\n6,7,8\n", NULL}, "r.csv"},
        {"long", {"r.csv", NULL}, {"a,b\n1,2,3\n4,5,6\n", NULL}, "r.csv"},
        {"utf8", {"r.csv", NULL}, {"a,b\n1,\xFF\xFE\n", NULL}, "r.csv"},
        {"clash", {"x.csv", "x.json"}, {"a\n1\n", "{\"a\":1}"}, "x.json"},
        {"case", {"x.csv", "X.ndjson"}, {"a\n1\n", "{\"a\":1}"}, "X.ndjson"},
        {"zipclash", {"x.csv", "x.csv.gz"}, {"a\n1\n", "nonsense"}, "x.csv.gz"},
        {"database", {"x.duckdb", NULL}, {"", NULL}, "x.duckdb"},
        {"parquet", {"p.parquet", NULL}, {"this is not parquet, not even nearly", NULL}, "p.parquet"},
        {"json", {"j.json", NULL}, {"{\"a\":1}\n{\"a\":", NULL}, "j.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mkdir(path_in(&f, cases[i].folder).p, 0755), 0);
        for (int j = 0; j < 2 && cases[i].files[j]; j++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%s", cases[i].folder, cases[i].files[j]);
            write_file(&f, name, cases[i].texts[j]);
        }
        gr_source_config source = source_at("b", cases[i].folder, true);
        if (driver->attach(f.engine, &source, false, &f.err) != GR_ERR_ENGINE_OPEN)
            fail_msg("%s is accepted", cases[i].folder);
        if (!strstr(f.err.message, cases[i].has)) fail_msg("%s: %s", cases[i].folder, f.err.message);
    }
    assert_int_equal(mkdir(path_in(&f, "mixed").p, 0755), 0);
    assert_int_equal(mkdir(path_in(&f, "mixed/sub").p, 0755), 0);
    write_file(&f, "mixed/sub/a.csv", "a\n1\n");
    write_file(&f, "mixed/sub/b.json", "{\"a\":1}");
    gr_source_config source = source_at("b", "mixed", true);
    assert_int_equal(driver->attach(f.engine, &source, false, &f.err), GR_ERR_ENGINE_OPEN);
    assert_non_null(strstr(f.err.message, "mixes"));
    assert_int_equal(mkdir(path_in(&f, "none").p, 0755), 0);
    source = source_at("b", "none", true);
    attach(&source, false);
    gr_engine_conn *conn = connect_to(&f, "b");
    assert_string_equal(rows_on(&f, conn, "SELECT 1"), "1");
    driver->disconnect(conn);
    source = source_at("B", "none", true);
    assert_int_equal(driver->attach(f.engine, &source, false, &f.err), GR_ERR_ENGINE_OPEN);
}

/* Outside data, where there is some. */
static void test_flights(void **state) {
    (void)state;
    set_up(&f, NULL);
    const char *root = getenv("GRANARY_TEST_DATA");
    gr_str path = gr_arena_printf(f.arena, "%s/flights", root ? root : GR_TEST_DATA);
    if (access(path.p, R_OK)) {
        print_message("no %s\n", path.p);
        skip();
    }
    gr_source_config source = {.name = GR_STR("flights"), .path = path, .is_folder = true};
    attach(&source, false);
    gr_engine_conn *conn = connect_to(&f, "flights");
    assert_string_equal(rows_on(&f, conn, "SELECT count(*) FROM flights"), "20000");
    assert_string_equal(rows_on(&f, conn, "SELECT count(*) > 3000, typeof(any_value(latitude)) FROM airports"),
                        "true|DOUBLE");
    driver->disconnect(conn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_store_is_kept, tear),
        cmocka_unit_test_teardown(test_store_of_another_process, tear),
        cmocka_unit_test_teardown(test_store_in_read_only_folder, tear),
        cmocka_unit_test_teardown(test_store_that_is_no_database, tear),
        cmocka_unit_test_teardown(test_database_file, tear),
        cmocka_unit_test_teardown(test_reattach_waits_for_readers, tear),
        cmocka_unit_test_teardown(test_exchanged_file, tear),
        cmocka_unit_test_teardown(test_file_that_may_not_be_written, tear),
        cmocka_unit_test_teardown(test_file_of_another_process, tear),
        cmocka_unit_test_teardown(test_wrong_paths, tear),
        cmocka_unit_test_teardown(test_folder, tear),
        cmocka_unit_test_teardown(test_csv, tear),
        cmocka_unit_test_teardown(test_bad_folders, tear),
        cmocka_unit_test_teardown(test_flights, tear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
