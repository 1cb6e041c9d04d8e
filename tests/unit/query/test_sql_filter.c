/* Conditions in SQL: what each form becomes, what is refused and how it is said, and that the filters are ones that a
 * query takes. What they mean is compared with DuckDB in tests/sql_filter. */
#include "query_fixture.h"

#include "query/sql_filter.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct row {
    const char *sql, *want; /* filters with ' for ", or the message */
} row;

#define LEAF(member, op, values) "{'member':'" member "','operator':'" op "','values':[" values "]}"
#define BARE(member, op) "{'member':'" member "','operator':'" op "'}"

static const row good[] = {
    /* equality: null among the values takes the missing ones out */
    {"o.s = 'x'", LEAF("o.s", "equals", "'x'")},
    {"'x' = o.s", LEAF("o.s", "equals", "'x'")},
    {"o.s <> 'x'", LEAF("o.s", "notEquals", "'x',null")},
    {"o.s != 'x'", LEAF("o.s", "notEquals", "'x',null")},
    {"NOT o.s = 'x'", LEAF("o.s", "notEquals", "'x',null")},
    {"NOT o.s <> 'x'", LEAF("o.s", "equals", "'x'")},
    {"o.s IN ('x', 'y')", LEAF("o.s", "equals", "'x','y'")},
    {"o.s NOT IN ('x', 'y')", LEAF("o.s", "notEquals", "'x','y',null")},
    {"NOT o.s IN ('x')", LEAF("o.s", "notEquals", "'x',null")},
    {"NOT (o.s NOT IN ('x'))", LEAF("o.s", "equals", "'x'")},
    /* literals */
    {"o.s = ''", LEAF("o.s", "equals", "''")},
    {"o.s = 'it''s (1) -- ; \"q\"'", LEAF("o.s", "equals", "'it\\u0027s (1) -- ; \\\"q\\\"'")},
    {"o.n = 5", LEAF("o.n", "equals", "'5'")},
    {"o.n = 0", LEAF("o.n", "equals", "'0'")},
    {"o.n = -5", LEAF("o.n", "equals", "'-5'")},
    {"o.n=-5", LEAF("o.n", "equals", "'-5'")},
    {"o.n!=-5", LEAF("o.n", "notEquals", "'-5',null")},
    {"o.n = - ( 5 )", LEAF("o.n", "equals", "'-5'")},
    {"o.n = - -5", LEAF("o.n", "equals", "'5'")},
    {"o.n = - - -5", LEAF("o.n", "equals", "'-5'")},
    {"o.n IN (-1, 0, 1, -2147483648)", LEAF("o.n", "equals", "'-1','0','1','-2147483648'")},
    {"o.n = -1.50", LEAF("o.n", "equals", "'-1.50'")},
    {"o.n = .5", LEAF("o.n", "equals", "'.5'")},
    {"o.n = 1e-3", LEAF("o.n", "equals", "'1e-3'")},
    {"o.n = 123456789012345678901234567890", LEAF("o.n", "equals", "'123456789012345678901234567890'")},
    {"o.b = TRUE", LEAF("o.b", "equals", "'true'")},
    {"FALSE = o.b", LEAF("o.b", "equals", "'false'")},
    /* order */
    {"o.n < 1", LEAF("o.n", "lt", "'1'")},
    {"o.n <= 1", LEAF("o.n", "lte", "'1'")},
    {"o.n > 1", LEAF("o.n", "gt", "'1'")},
    {"o.n >= 1", LEAF("o.n", "gte", "'1'")},
    {"1 < o.n", LEAF("o.n", "gt", "'1'")},
    {"1 <= o.n", LEAF("o.n", "gte", "'1'")},
    {"1 > o.n", LEAF("o.n", "lt", "'1'")},
    {"1 >= o.n", LEAF("o.n", "lte", "'1'")},
    {"NOT o.n < 1", LEAF("o.n", "gte", "'1'")},
    {"NOT 1 < o.n", LEAF("o.n", "lte", "'1'")},
    {"o.n BETWEEN -1 AND 2", LEAF("o.n", "gte", "'-1'") "," LEAF("o.n", "lte", "'2'")},
    {"o.n NOT BETWEEN -1 AND 2", "{'or':[" LEAF("o.n", "lt", "'-1'") "," LEAF("o.n", "gt", "'2'") "]}"},
    {"NOT o.n NOT BETWEEN -1 AND 2", LEAF("o.n", "gte", "'-1'") "," LEAF("o.n", "lte", "'2'")},
    {"o.t >= '2020-01-01' AND o.t < '2020-02-01T00:00:00.999'",
     LEAF("o.t", "gte", "'2020-01-01'") "," LEAF("o.t", "lt", "'2020-02-01T00:00:00.999'")},
    {"o.t <= '2020-01-01 10:00:00.998999'", LEAF("o.t", "lte", "'2020-01-01 10:00:00.998999'")},
    {"o.t = '2020-01-01T00:00:00Z'", LEAF("o.t", "equals", "'2020-01-01T00:00:00Z'")},
    {"o.s > '5' OR o.s > 'abc'", "{'or':[" LEAF("o.s", "gt", "'5'") "," LEAF("o.s", "gt", "'abc'") "]}"},
    /* NULL */
    {"o.s IS NULL", BARE("o.s", "notSet")},
    {"o.s IS NOT NULL", BARE("o.s", "set")},
    {"NOT o.s IS NULL", BARE("o.s", "set")},
    {"NOT o.s IS NOT NULL", BARE("o.s", "notSet")},
    /* patterns */
    {"o.s ILIKE '%Ab%'", LEAF("o.s", "contains", "'Ab'")},
    {"o.s ILIKE 'Ab%'", LEAF("o.s", "startsWith", "'Ab'")},
    {"o.s ILIKE '%Ab'", LEAF("o.s", "endsWith", "'Ab'")},
    {"o.s NOT ILIKE '%Ab%'", LEAF("o.s", "notContains", "'Ab',null")},
    {"o.s NOT ILIKE 'Ab%'", LEAF("o.s", "notStartsWith", "'Ab',null")},
    {"NOT o.s ILIKE '%Ab'", LEAF("o.s", "notEndsWith", "'Ab',null")},
    {"NOT (o.s NOT ILIKE '%Ab')", LEAF("o.s", "endsWith", "'Ab'")},
    {"o.s LIKE '2020-%'", LEAF("o.s", "startsWith", "'2020-'")},
    {"o.s NOT LIKE '%.5%'", LEAF("o.s", "notContains", "'.5',null")},
    /* truth */
    {"o.b", LEAF("o.b", "equals", "'true'")},
    {"NOT o.b", LEAF("o.b", "equals", "'false'")},
    {"o.b IS TRUE", LEAF("o.b", "equals", "'true'")},
    {"o.b IS NOT TRUE", LEAF("o.b", "notEquals", "'true'")},
    {"o.b IS FALSE", LEAF("o.b", "equals", "'false'")},
    {"o.b IS NOT FALSE", LEAF("o.b", "notEquals", "'false'")},
    {"NOT o.b IS NOT FALSE", LEAF("o.b", "equals", "'false'")},
    {"o.b IS UNKNOWN", BARE("o.b", "notSet")},
    {"o.b IS NOT UNKNOWN", BARE("o.b", "set")},
    {"(o.s = 'x') IS NOT TRUE", LEAF("o.s", "notEquals", "'x'")},
    {"(o.s = 'x') IS NOT FALSE", LEAF("o.s", "equals", "'x',null")},
    {"(o.s <> 'x') IS NOT FALSE", LEAF("o.s", "notEquals", "'x'")},
    {"(o.n < 1) IS NOT TRUE", "{'or':[" LEAF("o.n", "gte", "'1'") "," BARE("o.n", "notSet") "]}"},
    {"(o.n < 1) IS NOT FALSE", "{'or':[" LEAF("o.n", "lt", "'1'") "," BARE("o.n", "notSet") "]}"},
    {"(o.s IS NULL) IS NOT TRUE", BARE("o.s", "set")},
    {"(o.b AND o.n = 1) IS NOT TRUE",
     "{'or':[" LEAF("o.b", "notEquals", "'true'") "," LEAF("o.n", "notEquals", "'1'") "]}"},
    {"(o.n BETWEEN 1 AND 2) IS NOT FALSE",
     "{'or':[" LEAF("o.n", "gte", "'1'") "," BARE("o.n", "notSet") "]},{'or':[" LEAF("o.n", "lte", "'2'") "," BARE(
         "o.n", "notSet") "]}"},
    /* groups */
    {"o.b AND o.n = 1 AND o.s = 'x'",
     LEAF("o.b", "equals", "'true'") "," LEAF("o.n", "equals", "'1'") "," LEAF("o.s", "equals", "'x'")},
    {"o.b AND (o.n = 1 AND o.s = 'x')",
     LEAF("o.b", "equals", "'true'") "," LEAF("o.n", "equals", "'1'") "," LEAF("o.s", "equals", "'x'")},
    {"o.b OR o.n = 1 OR (o.c OR o.d)",
     "{'or':[" LEAF("o.b", "equals", "'true'") "," LEAF("o.n", "equals", "'1'") "," LEAF(
         "o.c", "equals", "'true'") "," LEAF("o.d", "equals", "'true'") "]}"},
    {"o.b AND (o.c OR o.d AND o.e)",
     LEAF("o.b", "equals", "'true'") ",{'or':[" LEAF("o.c", "equals", "'true'") ",{'and':[" LEAF(
         "o.d", "equals", "'true'") "," LEAF("o.e", "equals", "'true'") "]}]}"},
    {"NOT (o.b AND NOT o.c)", "{'or':[" LEAF("o.b", "equals", "'false'") "," LEAF("o.c", "equals", "'true'") "]}"},
    {"NOT (o.b OR o.n = 1)", LEAF("o.b", "equals", "'false'") "," LEAF("o.n", "notEquals", "'1',null")},
    {"NOT NOT NOT o.b", LEAF("o.b", "equals", "'false'")},
    {"((((o.b))))", LEAF("o.b", "equals", "'true'")},
    /* references */
    {"Orders.createdAt = 1", LEAF("Orders.createdAt", "equals", "'1'")},
    {"\"order\".\"Limit\" = 1", LEAF("order.Limit", "equals", "'1'")},
    {"o . s=1", LEAF("o.s", "equals", "'1'")},
    {"orders.users.country = 1", LEAF("orders.users.country", "equals", "'1'")},
    {"o.and = 1 AND o.select = 2", LEAF("o.and", "equals", "'1'") "," LEAF("o.select", "equals", "'2'")},
};

#define PIECE(what, at, piece) "Invalid filter: " what " (at character " at "): " piece
#define NO_WORD "this is neither a member, cube.member, nor supported"
#define NO_LITERAL "a literal must stand here"
#define NO_MEMBER "a member, cube.member, must be on one side and literals on the other"
#define NO_PATTERN "a pattern is a text with % at one or both ends, and no other %, _ or \\"
#define ANY_CASE "LIKE tells upper from lower case, which filters do not: write ILIKE"
#define NO_NULL "a comparison with NULL is never true; IS NULL asks for missing values"

static const row bad[] = {
    /* more than a condition */
    {"o.s = 'x' ORDER BY 2", PIECE(NO_WORD, "11", "ORDER BY 2")},
    {"o.s = 'x'; DROP TABLE o", PIECE("this is not supported", "10", "; DROP TABLE o")},
    {"o.s = 'x' -- all", PIECE("comments are not supported", "11", "-- all")},
    {"o.s = /* x */ 'x'", PIECE("this is not supported", "7", "/* x */ 'x'")},
    {"o.s = (SELECT 1)", PIECE(NO_WORD, "8", "SELECT 1)")},
    {"EXISTS (SELECT 1)", PIECE(NO_WORD, "1", "EXISTS (SELECT 1)")},
    {"o.s = 'x') OR (o.s = 'y'", PIECE("the bracket closes nothing", "10", ") OR (o.s = 'y'")},
    {"o.s = 'x' UNION SELECT 1", PIECE(NO_WORD, "11", "UNION SELECT 1")},
    {"o.s = $1", PIECE("this is not supported", "7", "$1")},
    {"o.s = $$x$$", PIECE("this is not supported", "7", "$$x$$")},
    {"o.s = E'\\x'", PIECE(NO_WORD, "7", "E'\\x'")},
    {"`o`.s = 1", PIECE("this is not supported", "1", "`o`.s = 1")},
    {"CASE .5 WHEN .5 THEN o.b END", PIECE(NO_WORD, "1", "CASE .5 WHEN .5 THEN o.b END")},
    {"1. NOT .s", "Invalid filter: syntax error at or near \"NOT\" (at character 4)"},
    /* no SQL */
    {"", PIECE("it is empty", "1", "")},
    {" \n", PIECE("it is empty", "1", " \n")},
    {"o.s =", "Invalid filter: syntax error at end of input (at character 6)"},
    {"o.s = 'x", "Invalid filter: unterminated quoted string at or near \"'x\" (at character 7)"},
    {"(o.s = 'x'", "Invalid filter: syntax error at end of input (at character 11)"},
    {"o.s = 'é' AND = 5", "Invalid filter: syntax error at or near \"=\" (at character 15)"},
    {"o.s IN ()", "Invalid filter: syntax error at or near \")\" (at character 9)"},
    {"o.n = 0x10", "Invalid filter: trailing junk after numeric literal at or near \"0x\" (at character 7)"},
    {"user.s = 1", "Invalid filter: syntax error at or near \".\" (at character 5)"},
    /* operands */
    {"status = 'x'", PIECE(NO_WORD, "1", "status = 'x'")},
    {"\"status\" = 'x'", PIECE("members are written cube.member", "1", "\"status\" = 'x'")},
    {"\"o.s\" = 'x'", PIECE("members are written cube.member", "1", "\"o.s\" = 'x'")},
    {"o.\"two words\" = 1", PIECE("this cannot be the name of a member", "1", "o.\"two words\" = 1")},
    {"o.é = 1", PIECE("this cannot be the name of a member", "1", "o.é = 1")},
    {"o.s[customer] = 1", PIECE("roles and indices are not supported", "4", "[customer] = 1")},
    {"o.b AND lower(o.s) = 'x'", PIECE(NO_WORD, "9", "lower(o.s) = 'x'")},
    {"o.s = o.t", PIECE(NO_LITERAL, "7", "o.t")},
    {"o.s = \"x\"", PIECE(NO_LITERAL, "7", "\"x\"")},
    {"o.s IN ('x', o.t)", PIECE(NO_LITERAL, "14", "o.t)")},
    {"o.n BETWEEN 1 AND o.m", PIECE(NO_LITERAL, "19", "o.m")},
    {"1 BETWEEN o.n AND o.m", PIECE(NO_MEMBER, "1", "1 BETWEEN o.n AND o.m")},
    {"1 = 1", PIECE(NO_MEMBER, "5", "1")},
    {"1 IN (1)", PIECE(NO_MEMBER, "1", "1 IN (1)")},
    {"(o.s, o.t) = ('x', 'y')", PIECE(NO_MEMBER, "1", "(o.s, o.t) = ('x', 'y')")},
    {"-o.n = 1", PIECE(NO_MEMBER, "1", "-o.n = 1")},
    {"o.n = -'1'", PIECE(NO_LITERAL, "7", "-'1'")},
    {"o.n + 1 = 2", PIECE("this is not supported", "5", "+ 1 = 2")},
    {"o.s || 'x' = 'y'", PIECE("this is not supported", "5", "|| 'x' = 'y'")},
    {"o.s::text = 'y'", PIECE("this is not supported", "4", "::text = 'y'")},
    {"o.t > DATE '2020-01-01'", PIECE(NO_WORD, "7", "DATE '2020-01-01'")},
    {"(o.s = 'x') = o.b", PIECE(NO_MEMBER, "2", "o.s = 'x') = o.b")},
    {"(o.s = 'x') IS NULL", PIECE(NO_MEMBER, "2", "o.s = 'x') IS NULL")},
    {"(o.s = 'x') IS UNKNOWN", PIECE(NO_MEMBER, "2", "o.s = 'x') IS UNKNOWN")},
    /* what cannot be said, or not exactly */
    {"TRUE", PIECE("this is not a condition that is supported", "1", "TRUE")},
    {"o.b OR 'x'", PIECE("this is not a condition that is supported", "8", "'x'")},
    {"o.s = NULL", PIECE(NO_NULL, "7", "NULL")},
    {"o.s NOT IN ('x', NULL)", PIECE(NO_NULL, "18", "NULL)")},
    {"o.s == 'x'", PIECE("this operator is not supported", "1", "o.s == 'x'")},
    {"o.s <=> 'x'", PIECE("this operator is not supported", "1", "o.s <=> 'x'")},
    {"o.s IS DISTINCT FROM 'x'", PIECE(NO_WORD, "8", "DISTINCT FROM 'x'")},
    {"o.n BETWEEN SYMMETRIC 2 AND 1", PIECE(NO_WORD, "13", "SYMMETRIC 2 AND 1")},
    {"o.s LIKE 'a%'", PIECE(ANY_CASE, "1", "o.s LIKE 'a%'")},
    {"o.s LIKE '%é%'", PIECE(ANY_CASE, "1", "o.s LIKE '%é%'")},
    {"o.s ILIKE 'a'", PIECE(NO_PATTERN, "1", "o.s ILIKE 'a'")},
    {"o.s ILIKE '%'", PIECE(NO_PATTERN, "1", "o.s ILIKE '%'")},
    {"o.s ILIKE '%%'", PIECE(NO_PATTERN, "1", "o.s ILIKE '%%'")},
    {"o.s ILIKE ''", PIECE(NO_PATTERN, "1", "o.s ILIKE ''")},
    {"o.s ILIKE 'a%b'", PIECE(NO_PATTERN, "1", "o.s ILIKE 'a%b'")},
    {"o.s ILIKE 'a%%'", PIECE(NO_PATTERN, "1", "o.s ILIKE 'a%%'")},
    {"o.s ILIKE 'a_%'", PIECE(NO_PATTERN, "1", "o.s ILIKE 'a_%'")},
    {"o.s ILIKE 'a\\%'", PIECE(NO_PATTERN, "1", "o.s ILIKE 'a\\%'")},
    {"o.s ILIKE '#%%' ESCAPE '#'", PIECE(NO_LITERAL, "5", "ILIKE '#%%' ESCAPE '#'")},
    {"o.t > 'yesterday'", PIECE("relative times are not supported", "7", "'yesterday'")},
    {"NOT o.t < 'last 3 days'", PIECE("relative times are not supported", "11", "'last 3 days'")},
    {"o.t > '2020-01-01T00:00:00Z'", PIECE("a time is written without a zone", "7", "'2020-01-01T00:00:00Z'")},
    {"o.t >= '2020-01-01T00:00:00.1234567'",
     PIECE("a time has at most six digits of a second", "8", "'2020-01-01T00:00:00.1234567'")},
    {"o.t <= '2020-01-01T23:59:59.999'",
     PIECE("a time that ends in .999 would stand for all of its second", "8", "'2020-01-01T23:59:59.999'")},
    {"NOT '2020-01-01T23:59:59.999' >= o.t",
     PIECE("a time that ends in .999 would stand for all of its second", "5", "'2020-01-01T23:59:59.999' >= o.t")},
};

static void forms(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < COUNT(good); i++) {
        json_t *got;
        gr_error err = {0};
        if (gr_query_sql_filter(gr_str_from(good[i].sql), f->arena, &got, &err))
            fail_msg("%s\nfailed: %s", good[i].sql, err.message);
        gr_str text = gr_arena_printf(f->arena, "[%s]", good[i].want);
        json_t *want = fixture_json(f, fixture_quotes(f, text.p));
        char *shown = json_dumps(got, JSON_COMPACT);
        if (!json_equal(got, want)) fail_msg("%s\ngot:  %s\nwant: %s", good[i].sql, shown, text.p);
        free(shown);
    }
}

static void refusals(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        json_t *got = NULL;
        gr_error err = {0};
        gr_status status = gr_query_sql_filter(gr_str_from(bad[i].sql), f->arena, &got, &err);
        if (status != GR_ERR_QUERY_INVALID || got) fail_msg("%s: %d", bad[i].sql, status);
        fixture_same(bad[i].sql, err.message, bad[i].want);
        assert_non_null(strstr(err.hint, "AND, OR, NOT, brackets")); /* whole */
    }
}

static gr_status try(fixture *f, const char *before, const char *item, const char *behind, size_t n, gr_error *err) {
    gr_buf text;
    json_t *got;
    gr_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < n; i++) gr_buf_z(&text, before);
    gr_buf_z(&text, item);
    for (size_t i = 0; i < n; i++) gr_buf_z(&text, behind);
    *err = (gr_error){0};
    gr_status status = gr_query_sql_filter(gr_buf_str(&text), f->arena, &got, err);
    gr_buf_done(&text);
    return status;
}

static void limits(void **state) {
    fixture *f = *state;
    gr_error err;
    static const char nest[] = "o.a AND (o.b OR (";
    assert_int_equal(try(f, nest, "o.c", "))", 12, &err), GR_OK);
    assert_int_equal(try(f, nest, "o.c", "))", 13, &err), GR_ERR_LIMIT);
    assert_string_equal(err.message, "The filter is nested too deeply: the limit is 24");
    assert_int_equal(try(f, "NOT ", "o.c", "", 24, &err), GR_OK);
    assert_int_equal(try(f, "NOT ", "o.c", "", 25, &err), GR_ERR_LIMIT);
    assert_int_equal(try(f, "(", "o.c", ")", 200, &err), GR_OK);
    assert_int_equal(try(f, "(", "o.c", ")", 201, &err), GR_ERR_LIMIT);
    assert_string_equal(err.message, "The filter has too many brackets within each other: the limit is 200");
    assert_int_equal(try(f, "(NOT ", "o.c", ")", 101, &err), GR_ERR_LIMIT);
    assert_int_equal(try(f, "NOT ", "o.c", "", 16000, &err), GR_ERR_LIMIT);
    assert_int_equal(try(f, "- ", "o.c", "", 9000, &err), GR_ERR_LIMIT);
    /* wide is not deep */
    assert_int_equal(try(f, "NOT o.n = - -1 AND ", "o.c", "", 1000, &err), GR_OK);
    assert_int_equal(try(f, "", "o.n IN (1", "", 1, &err), GR_ERR_QUERY_INVALID);
    assert_int_equal(try(f, "o.a OR ", "o.c", "", 4000, &err), GR_OK);
    assert_int_equal(try(f, "o.a OR ", "o.c", "", 5000, &err), GR_ERR_LIMIT);
    assert_string_equal(err.message, "The filter has too many words and signs: the limit is 20000");
    assert_int_equal(try(f, " ", "o.c", "", (64 << 10) - 3, &err), GR_OK);
    assert_int_equal(try(f, " ", "o.c", "", (64 << 10) - 2, &err), GR_ERR_LIMIT);
    assert_string_equal(err.message, "The filter has too many bytes: the limit is 65536");
}

static void odd_bytes(void **state) {
    fixture *f = *state;
    static const gr_str texts[] = {GR_STR_INIT("o.s = '\xff'"), GR_STR_INIT("o.s = 'a\0b'"), GR_STR_INIT("o.s\0 = 'a'"),
                                   GR_STR_INIT("o.s = 'a'\0")};
    json_t *got;
    gr_error err;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(gr_query_sql_filter(texts[i], f->arena, &got, &err), GR_ERR_QUERY_INVALID);
    assert_int_equal(gr_query_sql_filter((gr_str){0}, f->arena, &got, NULL), GR_ERR_QUERY_INVALID);
}

/* Conditions on dimensions and on measures are several filters, so that they may stand together. */
static void in_a_query(void **state) {
    fixture *f = *state;
    json_t *filters, *json = json_object();
    gr_query *q;
    gr_error err = {0};
    gr_str text = GR_STR("orders.status <> 'x' AND (orders.count > 5 AND orders.created_at >= '2021-01-01') AND "
                         "(orders.is_paid OR users.city ILIKE 'b%')");
    assert_int_equal(gr_query_sql_filter(text, f->arena, &filters, &err), GR_OK);
    json_object_set_new(json, "measures", json_pack("[s]", "orders.count"));
    json_object_set(json, "filters", filters);
    if (gr_query_parse(f->model, json, &f->options, f->arena, &q, &err)) fail_msg("%s", err.message);
    assert_int_equal(q->n_row_filters, 3);
    assert_int_equal(q->n_measure_filters, 1);
    assert_true(q->row_filters[0]->has_null);
    assert_int_equal(q->row_filters[2]->kind, GR_FILTER_OR);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),     cmocka_unit_test(refusals),   cmocka_unit_test(limits),
        cmocka_unit_test(odd_bytes), cmocka_unit_test(in_a_query),
    };
    return cmocka_run_group_tests(tests, fixture_up, fixture_down);
}
