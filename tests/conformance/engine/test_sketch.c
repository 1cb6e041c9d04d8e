/* The functions that the DuckDB driver adds for sketches and for merged variances: the bytes are those of the sketch
 * room, groups and threads change nothing, NULLs are skipped, and what is broken is an error of the statement only. */
#include "conformance/engine/engine_fixture.h"
#include "engine/duckdb_internal.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static fixture f;

static int open_it(void **state) {
    (void)state;
    set_up(&f, NULL);
    return 0;
}
static int close_it(void **state) {
    (void)state;
    tear_down(&f);
    return 0;
}

/* The bytes of the sketch of `prefix`from … `prefix`to, or of the integers when there is no prefix; freed with the
 * fixture. */
static const char *sketch_hex(int log2m, const char *prefix, int64_t from, int64_t to) {
    gr_hll *s = gr_hll_new(log2m);
    for (int64_t i = from; i <= to; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "%s%lld", prefix ? prefix : "", (long long)i);
        gr_hll_add(s, prefix ? gr_hll_hash_bytes(text, (size_t)n) : gr_hll_hash_i64(i));
    }
    uint8_t *bytes = gr_arena_alloc(f.arena, gr_hll_store_size(s));
    size_t n = gr_hll_store(s, bytes);
    char *hex = gr_arena_alloc(f.arena, 2 * n + 1);
    for (size_t i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    gr_hll_free(s);
    return hex;
}

static void assert_rows(const char *sql, const char *wanted) {
    const char *got = rows(&f, sql);
    if (strcmp(got, wanted)) fail_msg("%s: %.200s is not %.200s", sql, got, wanted);
}

static void test_add(void **state) {
    (void)state;
    static const int precisions[] = {4, 8, 11, 14, 17};
    static const int64_t counts[] = {1, 2, 160, 161, 2049, 5000, 10240, 300000};
    for (size_t p = 0; p < COUNT(precisions); p++)
        for (size_t c = 0; c < COUNT(counts); c++) {
            int log2m = precisions[p];
            long long n = counts[c];
            char sql[256];
            snprintf(sql, sizeof sql, "SELECT granary_hll_add(i, %d) FROM range(1, %lld + 1) t(i)", log2m, n);
            assert_rows(sql, sketch_hex(log2m, NULL, 1, n));
            snprintf(sql, sizeof sql, "SELECT granary_hll_add('value ' || i, %d) FROM range(1, %lld + 1) t(i)", log2m,
                     n);
            assert_rows(sql, sketch_hex(log2m, "value ", 1, n));
        }
}

static void test_cardinality(void **state) {
    (void)state;
    static const struct {
        const char *what, *wanted; /* of PostgreSQL's extension, rounded; tests/unit/sketch/golden.txt */
    } cases[] = {
        {"(SELECT granary_hll_add(i, 11) FROM range(1, 10241) t(i))", "10225"},
        {"(SELECT granary_hll_add(i, 14) FROM range(1, 50001) t(i))", "50679"},
        {"(SELECT granary_hll_add('value ' || i, 17) FROM range(1, 10242) t(i))", "10248"},
        {"(SELECT granary_hll_add(i, 11) FROM range(160) t(i))", "160"},
        {"'\\x11\\x8B\\x7F'::BLOB", "0"},
        {"'\\x13\\x8B\\x7F'::BLOB", "0"},
        {"NULL::BLOB", "NULL"},
        {"NULL", "NULL"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT granary_hll_cardinality(%s)", cases[i].what);
        assert_rows(sql, cases[i].wanted);
    }
    assert_rows("SELECT count(*) FROM (SELECT i, CASE WHEN i % 3 > 0 THEN '\\x11\\x8B\\x7F'::BLOB END AS b FROM "
                "range(5000) t(i)) WHERE granary_hll_cardinality(b) IS NULL",
                "1667");
    gr_column_schema *schema;
    size_t n;
    assert_int_equal(driver->describe(f.conn,
                                      GR_STR("SELECT granary_hll_cardinality(x), granary_hll_union(x), "
                                             "granary_hll_add(1, 11), granary_merge_m2(1, 2, 3) FROM (SELECT "
                                             "''::BLOB AS x) GROUP BY x"),
                                      f.arena, &schema, &n, &f.err),
                     GR_OK);
    static const gr_type types[] = {GR_TYPE_INT64, GR_TYPE_BINARY, GR_TYPE_BINARY, GR_TYPE_FLOAT64};
    assert_int_equal(n, COUNT(types));
    for (size_t i = 0; i < n; i++) assert_int_equal(schema[i].type, types[i]);
}

/* Which types go where: the narrower integers as BIGINT, texts as text; the rest only with a cast. */
static void test_types(void **state) {
    (void)state;
    enum { AS_BIGINT, AS_TEXT, WANTS_CAST };
    static const struct {
        const char *value;
        int how;
        const char *text; /* what it is hashed as, given or cast */
    } cases[] = {
        {"7::TINYINT", AS_BIGINT, "7"},
        {"7::SMALLINT", AS_BIGINT, "7"},
        {"7::INTEGER", AS_BIGINT, "7"},
        {"7::BIGINT", AS_BIGINT, "7"},
        {"7::UTINYINT", AS_BIGINT, "7"},
        {"7::USMALLINT", AS_BIGINT, "7"},
        {"4294967295::UINTEGER", AS_BIGINT, "4294967295"},
        {"'x'", AS_TEXT, "x"},
        {"'{\"a\":1}'::JSON", AS_TEXT, "{\"a\":1}"},
        {"'sad'::ENUM('happy', 'sad')", AS_TEXT, "sad"},
        {"18446744073709551615::UBIGINT", WANTS_CAST, "18446744073709551615"},
        {"7::HUGEINT", WANTS_CAST, "7"},
        {"7::UHUGEINT", WANTS_CAST, "7"},
        {"1.50::DECIMAL(9,2)", WANTS_CAST, "1.50"},
        {"1.5::FLOAT", WANTS_CAST, "1.5"},
        {"1.5::DOUBLE", WANTS_CAST, "1.5"},
        {"true", WANTS_CAST, "true"},
        {"DATE '2020-01-02'", WANTS_CAST, "2020-01-02"},
        {"TIMESTAMP '2020-01-02 03:04:05'", WANTS_CAST, "2020-01-02 03:04:05"},
        {"TIMESTAMPTZ '2020-01-02 03:04:05+00'", WANTS_CAST, "2020-01-02 03:04:05+00"},
        {"TIME '03:04:05'", WANTS_CAST, "03:04:05"},
        {"'00112233-4455-6677-8899-aabbccddeeff'::UUID", WANTS_CAST, "00112233-4455-6677-8899-aabbccddeeff"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char plain[256], cast[256], wanted[64];
        snprintf(plain, sizeof plain, "SELECT granary_hll_add(%s, 11)", cases[i].value);
        snprintf(cast, sizeof cast, "SELECT granary_hll_add(CAST(%s AS %s), 11)", cases[i].value,
                 cases[i].how == AS_BIGINT ? "BIGINT" : "VARCHAR");
        uint64_t hash = cases[i].how == AS_BIGINT ? gr_hll_hash_i64(strtoll(cases[i].text, NULL, 10))
                                                  : gr_hll_hash_bytes(cases[i].text, strlen(cases[i].text));
        snprintf(wanted, sizeof wanted, "128b7f%016llx", (unsigned long long)hash);
        assert_rows(cast, wanted);
        if (cases[i].how != WANTS_CAST)
            assert_rows(plain, wanted);
        else
            assert_int_equal(status_of(&f, plain), GR_ERR_ENGINE_SQL);
    }
}

static void test_nulls_and_no_rows(void **state) {
    (void)state;
    static const struct {
        const char *sql, *wanted;
    } cases[] = {
        {"SELECT granary_hll_add(i, 11) FROM range(5) t(i) WHERE i > 9", "NULL"},
        {"SELECT granary_hll_add(i::VARCHAR, 11) FROM range(5) t(i) WHERE i > 9", "NULL"},
        {"SELECT granary_hll_add(i, 11) FROM range(5) t(i) WHERE i > 9 GROUP BY i", ""},
        {"SELECT granary_hll_add(CASE WHEN i > 9 THEN i END, 11) FROM range(5) t(i)", "118b7f"},
        {"SELECT granary_hll_add(CASE WHEN i > 9 THEN 'a' END, 14) FROM range(5) t(i)", "118e7f"},
        {"SELECT granary_hll_add(NULL, 11)", "118b7f"},
        {"SELECT granary_hll_add(i, 11) FILTER (WHERE i > 9) FROM range(5) t(i)", "NULL"},
        {"SELECT granary_hll_cardinality(granary_hll_add(CASE WHEN i % 2 = 0 THEN i END, 11)) FROM range(9000) t(i) "
         "WHERE i < 200 OR i % 4 = 1",
         "100"},
        {"SELECT granary_hll_cardinality(granary_hll_add(CASE WHEN i % 2 = 0 THEN 'a long text, not inlined ' || i "
         "END, "
         "11)) FROM range(200) t(i)",
         "100"},
        {"SELECT granary_hll_union(b) FROM (SELECT NULL::BLOB AS b FROM range(3))", "NULL"},
        {"SELECT granary_hll_union(b) FROM (SELECT ''::BLOB AS b) WHERE b <> ''::BLOB", "NULL"},
        {"SELECT granary_hll_union(b) FROM (VALUES (NULL::BLOB), ('\\x11\\x8B\\x7F'::BLOB), (NULL)) t(b)", "118b7f"},
        {"SELECT granary_hll_union(NULL)", "NULL"},
        {"SELECT granary_merge_m2(n, s, m) FROM (SELECT 1 AS n, 2 AS s, 3 AS m) WHERE n > 1", "NULL"},
        {"SELECT granary_merge_m2(n, s, m) FROM (VALUES (NULL::BIGINT, NULL::DOUBLE, NULL::DOUBLE), (0, NULL, NULL), "
         "(0, 5, 5)) t(n, s, m)",
         "NULL"},
        {"SELECT granary_merge_m2(n, s, m) FROM (VALUES (NULL::BIGINT, 1e0, 1e0), (0, NULL, NULL), (2, 8, 2)) t(n, s, "
         "m)",
         "2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) assert_rows(cases[i].sql, cases[i].wanted);
}

/* More groups than a hash table keeps in one place; stored, read and merged again. */
static void test_groups(void **state) {
    (void)state;
    run(&f, "CREATE TABLE many AS SELECT i % 150000 AS g, i // 3 AS v FROM range(600000) t(i)");
    run(&f, "CREATE TABLE stored AS SELECT g, granary_hll_add(v, 11) AS ints, granary_hll_add('v' || v, 8) AS texts, "
            "count(DISTINCT v) AS exact FROM many GROUP BY g");
    assert_rows("SELECT count(*), sum(exact), sum(granary_hll_cardinality(ints))::BIGINT FROM stored WHERE exact = "
                "granary_hll_cardinality(ints) AND exact = granary_hll_cardinality(texts)",
                "150000|600000|600000");
    assert_rows("SELECT granary_hll_union(ints) FROM stored", sketch_hex(11, NULL, 0, 199999));
    assert_rows("SELECT granary_hll_union(texts) FROM stored", sketch_hex(8, "v", 0, 199999));
    assert_rows("SELECT count(*) FROM (SELECT g % 1000 AS k, granary_hll_union(ints) AS u FROM stored GROUP BY k) JOIN "
                "(SELECT g % 1000 AS k, granary_hll_add(v, 11) AS a FROM many GROUP BY k) USING (k) WHERE u = a",
                "1000");
    assert_rows("SELECT count(*) FROM (SELECT g // 500 AS k, granary_hll_union(ints) AS u FROM stored GROUP BY k) JOIN "
                "(SELECT g // 500 AS k, granary_hll_add(v, 11) AS a FROM many GROUP BY k) USING (k) WHERE u = a",
                "300");
    run(&f, "DROP TABLE many");
    run(&f, "DROP TABLE stored");
}

/* The ways in which the engine uses states otherwise. */
static void test_forms_of_aggregation(void **state) {
    (void)state;
    static const char *const cases[] = {
        /* each gives only rows where ours and the exact count agree */
        "SELECT count(*) FROM (SELECT granary_hll_cardinality(granary_hll_add(i % 7, 11)) OVER w AS a, count(DISTINCT "
        "i % "
        "7) OVER w AS b FROM range(500) t(i) WINDOW w AS (ORDER BY i ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING)) WHERE "
        "a "
        "<> b",
        "SELECT count(*) FROM (SELECT granary_hll_cardinality(granary_hll_add(i, 11) OVER w) AS a, count(DISTINCT i) "
        "OVER w "
        "AS b FROM range(5000) t(i) WINDOW w AS (ORDER BY i ROWS BETWEEN 90 PRECEDING AND 40 FOLLOWING)) WHERE a <> b",
        "SELECT count(*) FROM (SELECT granary_hll_cardinality(granary_hll_add('t' || i, 11) OVER w) AS a, "
        "count(DISTINCT i) "
        "OVER w AS b FROM range(3000) t(i) WINDOW w AS (PARTITION BY i % 30 ORDER BY i)) WHERE a <> b",
        "SELECT count(*) FROM (SELECT i % 3 AS g, i % 5 AS h, granary_hll_cardinality(granary_hll_add(i % 40, 11)) AS "
        "a, "
        "count(DISTINCT i % 40) AS b FROM range(9000) t(i) GROUP BY ROLLUP (g, h)) WHERE a <> b",
        "SELECT count(*) FROM (SELECT granary_hll_cardinality(granary_hll_add(DISTINCT i % 40, 11)) AS a, 40 AS b FROM "
        "range(9000) t(i)) WHERE a <> b",
        "SELECT count(*) FROM (SELECT granary_hll_cardinality(granary_hll_add(i, 11) FILTER (WHERE i % 90 = 0)) AS a, "
        "100 AS "
        "b FROM range(9000) t(i)) WHERE a <> b",
        "SELECT count(*) FROM (SELECT granary_hll_cardinality(granary_hll_union(s) OVER w) AS a, count(*) OVER w AS b "
        "FROM "
        "(SELECT i, granary_hll_add(i, 11) AS s FROM range(1000) t(i) GROUP BY i) WINDOW w AS (ORDER BY i ROWS BETWEEN "
        "70 "
        "PRECEDING AND 40 FOLLOWING)) WHERE a <> b",
        "SELECT count(*) FROM (SELECT granary_merge_m2(1, i, 0) OVER w AS a, var_pop(i) OVER w * count(*) OVER w AS b "
        "FROM "
        "range(1000) t(i) WINDOW w AS (ORDER BY i ROWS BETWEEN 70 PRECEDING AND 40 FOLLOWING)) WHERE abs(a - b) > 1e-6 "
        "* b",
    };
    for (size_t i = 1; i < COUNT(cases); i++) assert_rows(cases[i], "0");
    assert_int_equal(status_of(&f, cases[0]), GR_ERR_ENGINE_SQL); /* OVER belongs to the aggregate */
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *sql, *message;
    } cases[] = {
        {"SELECT granary_hll_add(i, 3) FROM range(9) t(i)", "log2m must be"},
        {"SELECT granary_hll_add(i, 18) FROM range(9) t(i)", "log2m must be"},
        {"SELECT granary_hll_add(i, -1) FROM range(9) t(i)", "log2m must be"},
        {"SELECT granary_hll_add(i, NULL) FROM range(9) t(i)", "log2m must be"},
        {"SELECT granary_hll_add('x', (i + 8)::INTEGER) FROM range(9) t(i)", "log2m must be"},
        {"SELECT granary_hll_add(i, (i // 200000 + 8)::INTEGER) FROM range(400000) t(i)", ""},
        {"SELECT granary_hll_union(b) FROM (VALUES (''::BLOB)) t(b)", "truncated"},
        {"SELECT granary_hll_union(b) FROM (VALUES ('\\x11\\x8B\\x7F'::BLOB), ('\\x11\\x8B'::BLOB)) t(b)", "truncated"},
        {"SELECT granary_hll_union(b) FROM (VALUES ('\\x15\\x8B\\x7F'::BLOB)) t(b)", "unknown type"},
        {"SELECT granary_hll_union(b) FROM (VALUES ('\\x11\\x8B\\x7F'::BLOB), ('\\x11\\x8C\\x7F'::BLOB)) t(b)",
         "register count does not match"},
        {"SELECT granary_hll_union(b) FROM (SELECT granary_hll_add(i, 11) AS b FROM range(1000) t(i) GROUP BY i % 9 "
         "UNION "
         "ALL SELECT granary_hll_add(i, 12) AS b FROM range(1000) t(i) GROUP BY i % 9)",
         "register count does not match"},
        {"SELECT i % 1000 AS g, granary_hll_union(CASE WHEN i = 399999 THEN 'xyz'::BLOB ELSE '\\x11\\x8B\\x7F'::BLOB "
         "END) "
         "FROM range(400000) t(i) GROUP BY g",
         ""},
        {"SELECT granary_hll_cardinality('x'::BLOB)", "truncated"},
        {"SELECT granary_hll_cardinality(('\\x14\\x84\\x7F\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF\\xFF')::BLOB)",
         "out of range"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_status status = status_of(&f, cases[i].sql);
        if (status != GR_ERR_ENGINE_DATA && status != GR_ERR_SKETCH)
            fail_msg("%s: %d %s", cases[i].sql, status, f.err.message);
        if (*cases[i].message &&
            (!strstr(f.err.message, "sketch.invalid: ") || !strstr(f.err.message, cases[i].message)))
            fail_msg("%s: %s", cases[i].sql, f.err.message);
    }
    static const char *const bad_m2[] = {"(5, NULL::DOUBLE, 1e0)", "(5, 1e0, NULL::DOUBLE)", "(-1, 1e0, 1e0)",
                                         "('nan'::DOUBLE, 1e0, 1e0)"};
    for (size_t i = 0; i < COUNT(bad_m2); i++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT granary_merge_m2(n, s, m) FROM (VALUES %s) t(n, s, m)", bad_m2[i]);
        assert_int_equal(status_of(&f, sql), GR_ERR_ENGINE_DATA);
        assert_non_null(strstr(f.err.message, "granary_merge_m2"));
    }
    assert_rows("SELECT 1", "1");
}

/* The engine does not destroy the states of groups that nobody reads; none may stay behind all the same. */
static void test_nothing_stays(void **state) {
    (void)state;
    static const char *const cases[] = {
        "SELECT g, granary_hll_add(v, 11) FROM (SELECT i % 90000 AS g, i AS v FROM range(270000) t(i)) GROUP BY g "
        "LIMIT 1",
        "SELECT g, granary_hll_add(v, 11) FROM (SELECT i % 90000 AS g, i AS v FROM range(270000) t(i)) GROUP BY g "
        "LIMIT 0",
        "SELECT granary_hll_union(s) FROM (SELECT granary_hll_add(v, 11) AS s FROM (SELECT i % 90000 AS g, i AS v FROM "
        "range(270000) t(i)) GROUP BY g LIMIT 100)",
        "SELECT g, CAST('x' || granary_hll_cardinality(granary_hll_add(v, 11)) AS INTEGER) FROM (SELECT i % 90000 AS "
        "g, i AS "
        "v FROM range(270000) t(i)) GROUP BY g",
        "SELECT g, granary_hll_union(s) FROM (SELECT i % 40000 AS g, granary_hll_add(i, 11 + (i // 200000)::INTEGER) "
        "AS s "
        "FROM range(400000) t(i) GROUP BY i, g) GROUP BY g",
        "SELECT granary_hll_add(i, 11) OVER (ORDER BY i ROWS 5 PRECEDING) FROM range(5000) t(i) LIMIT 3",
    };
    gr_engine_conn *other = connect_to(&f, "");
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int cached = 0; cached < 3; cached++) {
            gr_str text;
            (void)!try_rows(&f, f.conn, cases[i], NULL, 0, cached > 0, &text);
            if (gr_engine_duckdb_held_count()) fail_msg("%s: %zu stay", cases[i], gr_engine_duckdb_held_count());
        }
    gr_stream *stream; /* left unread, and another statement ends in the meantime */
    assert_int_equal(driver->query(f.conn, &f.ctx, gr_str_from(cases[0]), NULL, 0, false, &stream, &f.err), GR_OK);
    const char *wanted = sketch_hex(11, NULL, 0, 99999);
    assert_string_equal(rows_on(&f, other, "SELECT granary_hll_add(i, 11) FROM range(100000) t(i)"), wanted);
    stream->close(stream);
    assert_string_equal(rows(&f, "SELECT 1"), "1"); /* until then tasks of the unread one may go on */
    assert_int_equal(gr_engine_duckdb_held_count(), 0);
    driver->disconnect(other);
}

typedef struct reader {
    pthread_t thread;
    gr_engine_conn *conn;
    const char *wanted;
    bool is_equal;
} reader;

static void *read_on(void *arg) {
    reader *r = arg;
    fixture mine = f; /* with an arena and an error of its own */
    mine.arena = gr_arena_new();
    mine.ctx = (gr_ctx){.arena = mine.arena};
    r->is_equal = true;
    for (int i = 0; i < 20; i++) {
        gr_str text;
        if (try_rows(&mine, r->conn,
                     "SELECT granary_hll_union(s) FROM (SELECT granary_hll_add(v, 11) AS s FROM range(60000) t(v) "
                     "GROUP BY v % 20000)",
                     NULL, 0, true, &text) ||
            strcmp(text.p, r->wanted))
            r->is_equal = false;
        if (try_rows(&mine, r->conn, "SELECT granary_hll_add(v, 11) FROM range(30000) t(v) GROUP BY v % 10000 LIMIT 2",
                     NULL, 0, true, &text))
            r->is_equal = false;
    }
    gr_arena_free(mine.arena);
    return NULL;
}

/* What ended statements leave is freed while others run, and nothing of theirs. */
static void test_nothing_stays_of_many(void **state) {
    (void)state;
    reader readers[4];
    const char *wanted = sketch_hex(11, NULL, 0, 59999);
    for (size_t i = 0; i < COUNT(readers); i++) {
        readers[i] = (reader){.conn = connect_to(&f, ""), .wanted = wanted};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(readers); i++) {
        pthread_join(readers[i].thread, NULL);
        driver->disconnect(readers[i].conn);
        assert_true(readers[i].is_equal);
    }
    assert_int_equal(gr_engine_duckdb_held_count(), 0);
}

/* ---- granary_merge_m2 ---------------------------------------------------------------------------------------------
 */

static void test_merge_m2_types(void **state) {
    (void)state;
    static const char *const types[][3] = {
        {"BIGINT", "DOUBLE", "DOUBLE"},        {"BIGINT", "DECIMAL(18,2)", "DOUBLE"},
        {"BIGINT", "BIGINT", "DOUBLE"},        {"HUGEINT", "HUGEINT", "DOUBLE"},
        {"INTEGER", "DECIMAL(38,4)", "FLOAT"}, {"UBIGINT", "FLOAT", "DECIMAL(9,3)"},
        {"HUGEINT", "DECIMAL(9,0)", "DOUBLE"},
    };
    for (size_t i = 0; i < COUNT(types); i++) {
        char sql[512];
        snprintf(sql, sizeof sql,
                 "SELECT granary_merge_m2(n::%s, s::%s, m::%s) FROM (VALUES (2, 3, 0.5), (3, 12, 2)) t(n, s, m)",
                 types[i][0], types[i][1], types[i][2]);
        assert_rows(sql, "10"); /* 1, 2 and 3, 4, 5 */
    }
}

static double number(const char *sql) {
    const char *text = rows(&f, sql);
    assert_string_not_equal(text, "NULL");
    return strtod(text, NULL);
}

/* Values near `base` in steps of 2^-10, in groups whose means differ: what is exact for the small numbers holds for the
 * large ones. */
static void test_merge_m2_does_not_cancel(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double may_differ, may_differ_tiny; /* a mean has only the 53 bits of a double */
    } bases[] = {
        {"0", 1e-12, 1e-12}, {"1000", 1e-12, 1e-9}, {"1e9", 1e-8, 1e-3}, {"-1e9", 1e-8, 1e-3}, {"1e12", 1e-5, 0.1}};
    double exact = number("SELECT var_pop(i / 1024.0) * count(*) FROM range(500000) t(i)");
    double tiny = number("SELECT var_pop(i % 10 / 1024.0) * count(*) FROM range(400000) t(i)");
    for (size_t i = 0; i < COUNT(bases); i++) {
        char sql[512];
        snprintf(
            sql, sizeof sql,
            "SELECT granary_merge_m2(n, s, m) FROM (SELECT i // 1000 AS g, count(*) AS n, sum(%s + i / 1024.0) AS s, "
            "var_pop(i / 1024.0) * count(*) AS m FROM range(500000) t(i) GROUP BY g)",
            bases[i].text);
        double got = number(sql);
        if (fabs(got / exact - 1) > bases[i].may_differ) fail_msg("%s: %.17g is not %.17g", bases[i].text, got, exact);
        /* every group one value: all of the variance is between the groups, a few steps of a double's last place */
        snprintf(sql, sizeof sql, "SELECT granary_merge_m2(1, %s + i %% 10 / 1024.0, 0) FROM range(400000) t(i)",
                 bases[i].text);
        got = number(sql);
        if (fabs(got / tiny - 1) > bases[i].may_differ_tiny)
            fail_msg("%s: %.17g is not %.17g", bases[i].text, got, tiny);
        assert_true(got > 0);
    }
    assert_rows("SELECT granary_merge_m2(1, 1e9, 0) FROM range(300000) t(i)", "0");
    assert_rows("SELECT granary_merge_m2(n, s, m) FROM (VALUES (1, 5, 0)) t(n, s, m)", "0");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_cardinality),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_nulls_and_no_rows),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_forms_of_aggregation),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_nothing_stays),
        cmocka_unit_test(test_nothing_stays_of_many),
        cmocka_unit_test(test_merge_m2_types),
        cmocka_unit_test(test_merge_m2_does_not_cancel),
    };
    return cmocka_run_group_tests(tests, open_it, close_it);
}
