/* Rows that go from one engine to another and back: every type with its ends, wide and empty tables, long texts; half a
 * table is never seen. PostgreSQL's part is skipped visibly where there is none. */
#include "conformance/engine/engine_fixture.h"
#include "postgres/server.h"

static fixture f;
static postgres_server server;

typedef struct side {
    const char *name, *schema, *catalog, *prefix;
    const gr_engine_driver *driver;
    gr_engine *engine;
    gr_engine_conn *conn, *write;
} side;
static side sides[] = {
    {.name = "duckdb", .schema = "main", .catalog = "granary_store", .prefix = "", .driver = &gr_engine_duckdb_driver},
    {.name = "postgres", .schema = "public", .catalog = "", .prefix = "", .driver = &gr_engine_postgres_driver}};
static size_t n_sides = sizeof sides / sizeof *sides;

static int open_all(void **state) {
    (void)state;
    gr_engine_options options = {&f.config, {0}};
    set_up_folder(&f);
    if (postgres_start(&server)) return -1;
    if (!server.connection[0]) {
        printf("[  SKIPPED ] no PostgreSQL server is installed: DuckDB alone\n");
        n_sides = 1;
    }
    const gr_source_config source = {
        .name = GR_STR("pg"), .kind = GR_SOURCE_POSTGRES, .url = {gr_str_from(server.connection)}};
    for (size_t i = 0; i < n_sides; i++) {
        side *s = &sides[i];
        bool is_open = !s->driver->open(&options, &s->engine, &f.err) &&
                       (i == 0 || !s->driver->attach(s->engine, &source, true, &f.err)) &&
                       !s->driver->connect(s->engine, i ? source.name : GR_STR(""), &s->conn, &f.err) &&
                       !s->driver->connect(s->engine, i ? source.name : GR_STR(""), &s->write, &f.err);
        if (!is_open) return printf("%s\n", f.err.message), -1;
    }
    return 0;
}

static int close_all(void **state) {
    (void)state;
    for (size_t i = 0; i < n_sides; i++) {
        sides[i].driver->disconnect(sides[i].conn);
        sides[i].driver->disconnect(sides[i].write);
        sides[i].driver->close(sides[i].engine);
    }
    nftw(f.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    gr_arena_free(f.arena);
    return postgres_stop(&server);
}

static void must(gr_status status, const char *what) {
    if (status) fail_msg("%s: %s", what, f.err.message);
}

static gr_str answer(const side *s, const char *sql, bool is_bulk) {
    gr_stream *stream;
    gr_str text;
    bool has_bulk = is_bulk && s->driver->query_bulk;
    must(has_bulk ? s->driver->query_bulk(s->conn, &f.ctx, gr_str_from(sql), NULL, 0, &stream, &f.err)
                  : s->driver->query(s->conn, &f.ctx, gr_str_from(sql), NULL, 0, false, &stream, &f.err),
         sql);
    must(read_all(&f, stream, &text), sql);
    return text;
}

static void drop(const side *s, const char *table) {
    gr_str sql = gr_arena_printf(f.arena, "DROP TABLE IF EXISTS %s", table);
    must(s->driver->update(s->conn, &f.ctx, sql, NULL, 0, NULL, NULL, NULL, &f.err), "drop");
}

static gr_engine_load load_into(const side *s, const char *table) {
    return (gr_engine_load){
        .catalog = gr_str_from(s->catalog), .schema = gr_str_from(s->schema), .name = gr_str_from(table)};
}

/* The rows of a SELECT go over, and are read there as they were. */
static void move(const side *from, const side *to, const char *sql, const char *order, bool is_bulk) {
    gr_stream *stream;
    int64_t n = -1;
    const gr_engine_load load = load_into(to, "moved");
    drop(to, "moved");
    bool has_bulk = is_bulk && from->driver->query_bulk;
    must(has_bulk ? from->driver->query_bulk(from->conn, &f.ctx, gr_str_from(sql), NULL, 0, &stream, &f.err)
                  : from->driver->query(from->conn, &f.ctx, gr_str_from(sql), NULL, 0, false, &stream, &f.err),
         sql);
    must(to->driver->load(to->write, &f.ctx, &load, stream, &n, &f.err), sql);
    stream->close(stream);
    gr_str expected = answer(from, sql, false);
    gr_str actual = answer(to, gr_arena_printf(f.arena, "SELECT * FROM moved%s", order).p, is_bulk);
    if (!gr_str_eq(expected, actual))
        fail_msg("%s to %s, %s:\nexpected %.400s\nactual   %.400s", from->name, to->name, sql, expected.p, actual.p);
    size_t n_rows = expected.n > 0;
    for (size_t i = 0; i < expected.n; i++) n_rows += expected.p[i] == ';';
    assert_int_equal(n, n_rows);
    drop(to, "moved");
}

#define TYPED                                                                                                          \
    "(1, true, CAST(-9223372036854775808 AS BIGINT), CAST('-1.5e300' AS DOUBLE PRECISION), "                           \
    "CAST('-12345678901234567890"                                                                                      \
    "1234567890123456.78' AS DECIMAL(38, 2)), CAST('0.1' AS DECIMAL(4, 1)), DATE '0001-01-01', TIMESTAMP '1969-12-31 " \
    "23:59:59.999999', TIMESTAMPTZ '1900-01-01 00:00:00+00', 'a,b|\"c'' ü', NULL), "                                  \
    "(2, false, CAST(9223372036854775807 AS BIGINT), CAST('4.9e-324' AS DOUBLE PRECISION), "                           \
    "CAST('123456789012345678901234567890123456.78' AS DECIMAL(38, 2)), CAST('-999.9' AS DECIMAL(4, 1)), DATE "        \
    "'9999-12-31', TIMESTAMP '2262-04-11 23:47:16.854775', TIMESTAMPTZ '2199-12-31 23:59:59.999999+00', '', 'x'), "    \
    "(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), "                                                \
    "(4, true, 0, 0, 0, 0, DATE '1970-01-01', TIMESTAMP '2000-01-01 00:00:00', TIMESTAMPTZ '2024-03-31 01:00:00+00', " \
    "'long', NULL)"
#define TYPED_ROWS                                                                                                     \
    "SELECT id, b, i, d, CAST(wide AS DECIMAL(38, 2)) AS wide, CAST(small AS DECIMAL(4, 1)) AS small, day, naive, "    \
    "zoned, t, u FROM (VALUES " TYPED ") AS v(id, b, i, d, wide, small, day, naive, zoned, t, u) ORDER BY id"

static void test_types(void **state) {
    (void)state;
    for (size_t a = 0; a < n_sides; a++)
        for (size_t b = 0; b < n_sides; b++)
            for (int bulk = 0; bulk < 2; bulk++) move(&sides[a], &sides[b], TYPED_ROWS, " ORDER BY id", bulk);
}

static void test_sizes(void **state) {
    (void)state;
    static const char *const numbers[] = {"range(5000) AS t(i)", "generate_series(0, 4999) AS t(i)"};
    for (size_t a = 0; a < n_sides; a++)
        for (size_t b = 0; b < n_sides; b++)
            for (int bulk = 0; bulk < 2; bulk++) {
                const char *from = numbers[a];
                gr_str many = gr_arena_printf(f.arena,
                                              "SELECT CAST(i AS BIGINT) AS i, CAST(i AS VARCHAR) AS t FROM %s "
                                              "ORDER BY 1",
                                              from);
                gr_str none =
                    gr_arena_printf(f.arena, "SELECT CAST(i AS BIGINT) AS i, 'x' AS t FROM %s WHERE i < 0", from);
                move(&sides[a], &sides[b], many.p, " ORDER BY i", bulk);
                move(&sides[a], &sides[b], none.p, "", bulk);
                move(&sides[a], &sides[b], "SELECT 1 AS id, repeat('ä', 600000) AS t", "", bulk);
            }
}

/* Numerics without a scale: DECIMAL(38, 10) in DuckDB whatever they are, and DOUBLE once one does not fit. */
static void test_open_scales(void **state) {
    (void)state;
    if (n_sides < 2) skip();
    static const struct {
        const char *sql, *type, *value;
    } cases[] = {
        {"SELECT sum(x) AS x FROM (VALUES (1), (2)) AS t(x)", "BIGINT", "3"}, /* bigint, of integers */
        {"SELECT sum(CAST(x AS bigint)) AS x FROM (VALUES (1), (2)) AS t(x)", "DECIMAL(38,10)", "3.0000000000"},
        {"SELECT CAST('0.17' AS numeric) AS x", "DECIMAL(38,10)", "0.1700000000"},
        {"SELECT CAST('-9999999999999999999999999999' AS numeric) AS x", "DECIMAL(38,10)",
         "-9999999999999999999999999999.0000000000"},
        {"SELECT CAST('0.00000000001' AS numeric) AS x", "DOUBLE", "9.9999999999999994e-12"},
        {"SELECT CAST('1e30' AS numeric) AS x", "DOUBLE", "1.0000000000000000199e+30"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_stream *stream;
        const gr_engine_load load = {.name = GR_STR("opened"), .is_temporary = true};
        must(sides[1].driver->query(sides[1].conn, &f.ctx, gr_str_from(cases[i].sql), NULL, 0, false, &stream, &f.err),
             cases[i].sql);
        must(sides[0].driver->load(sides[0].conn, &f.ctx, &load, stream, NULL, &f.err), cases[i].sql);
        stream->close(stream);
        assert_string_equal(answer(&sides[0], "SELECT typeof(x) FROM temp.main.opened", false).p, cases[i].type);
        double expected = strtod(cases[i].value, NULL);
        gr_str actual = answer(&sides[0], "SELECT x FROM temp.main.opened", false);
        if (strcmp(cases[i].type, "DOUBLE") == 0)
            assert_true(strtod(actual.p, NULL) == expected);
        else
            assert_string_equal(actual.p, cases[i].value);
    }
}

/* ---- rows that end badly -------------------------------------------------------------------------------------------
 */

typedef struct broken {
    gr_stream pub;
    gr_stream *inner;
    int n;
    atomic_bool *cancels;
} broken;

static gr_status broken_next(gr_stream *s, const gr_batch **ret, gr_error *err) {
    broken *b = (broken *)(void *)s;
    if (b->n++ == 2 && !b->cancels) return gr_error_set(err, GR_ERR_ENGINE_DATA, "the rows end here");
    if (b->n == 2 && b->cancels) atomic_store(b->cancels, true);
    return b->inner->next(b->inner, ret, err);
}

static void test_nothing_is_left(void **state) {
    (void)state;
    for (size_t i = 0; i < n_sides; i++)
        for (int cancels = 0; cancels < 2; cancels++) {
            const side *to = &sides[i];
            atomic_bool is_cancelled = false;
            gr_ctx ctx = {.arena = f.arena, .is_cancelled = &is_cancelled};
            gr_stream *inner;
            gr_engine_conn *other;
            const gr_engine_load load = load_into(to, "half");
            must(sides[0].driver->connect(sides[0].engine, GR_STR(""), &other, &f.err), "connect");
            must(other->driver->query(other, &f.ctx, GR_STR("SELECT i FROM range(100000) t(i)"), NULL, 0, false, &inner,
                                      &f.err),
                 "query");
            broken b = {{inner->schema, inner->n_columns, broken_next, NULL}, inner, 0, cancels ? &is_cancelled : NULL};
            gr_status status = to->driver->load(to->conn, &ctx, &load, &b.pub, NULL, &f.err);
            assert_int_equal(status, cancels ? GR_ERR_CANCELLED : GR_ERR_ENGINE_DATA);
            if (!cancels) assert_string_equal(f.err.message, "the rows end here");
            inner->close(inner);
            other->driver->disconnect(other);
            gr_column_schema *schema;
            size_t n;
            status = to->driver->describe(to->conn, GR_STR("SELECT * FROM half"), f.arena, &schema, &n, &f.err);
            assert_int_equal(status, GR_ERR_ENGINE_SQL);
            assert_string_equal(answer(to, "SELECT 7", false).p, "7");
        }
}

static void test_name_is_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < n_sides; i++)
        for (int again = 0; again < 2; again++) {
            gr_stream *stream;
            const gr_engine_load load = load_into(&sides[i], "taken");
            if (!again) drop(&sides[i], "taken");
            gr_engine_conn *other;
            must(sides[0].driver->connect(sides[0].engine, GR_STR(""), &other, &f.err), "connect");
            must(other->driver->query(other, &f.ctx, GR_STR("SELECT 1 AS x"), NULL, 0, false, &stream, &f.err),
                 "query");
            gr_status status = sides[i].driver->load(sides[i].conn, &f.ctx, &load, stream, NULL, &f.err);
            stream->close(stream);
            other->driver->disconnect(other);
            assert_int_equal(status, again ? GR_ERR_ENGINE_SQL : GR_OK);
            if (again) assert_non_null(strstr(f.err.message, "already exists"));
        }
}

/* Rows of COPY that are given up: the connection is good for the next statement. */
static void test_bulk_is_given_up(void **state) {
    (void)state;
    if (n_sides < 2) skip();
    for (int i = 0; i < 3; i++) {
        gr_stream *stream;
        const gr_batch *batch;
        gr_str sql =
            GR_STR("SELECT i, repeat('x', 100) FROM generate_series(1, 3000000) AS t(i) WHERE i > $1 OR '$1' = ''");
        const gr_value five = {.type = GR_TYPE_INT64, .as.i = 5};
        must(sides[1].driver->query_bulk(sides[1].conn, &f.ctx, sql, &five, 1, &stream, &f.err), "bulk");
        must(stream->next(stream, &batch, &f.err), "next");
        assert_int_equal(((const int64_t *)batch->columns[0].data)[0], 6);
        stream->close(stream);
        assert_string_equal(answer(&sides[1], "SELECT 7", true).p, "7");
    }
    gr_stream *stream;
    gr_status status = sides[1].driver->query_bulk(sides[1].conn, &f.ctx,
                                                   GR_STR("SELECT 1 / (i - 3000) FROM "
                                                          "generate_series(1, 5000) AS t(i)"),
                                                   NULL, 0, &stream, &f.err);
    gr_str text;
    if (!status) status = read_all(&f, stream, &text);
    assert_int_equal(status, GR_ERR_ENGINE_DATA);
    assert_string_equal(answer(&sides[1], "SELECT 8", true).p, "8");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),         cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_open_scales),   cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_name_is_taken), cmocka_unit_test(test_bulk_is_given_up),
    };
    return cmocka_run_group_tests_name("conformance.engine.loads", tests, open_all, close_all);
}
