/* Aggregate calls of a measure's SQL: their kinds, arguments and filters, what is computed of them, and what is left
 * alone. Holes whose name starts with "m_" are measures, with "t_" times. */
#include "base/buf.h"
#include "expr/portable.h"
#include "expr/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *const kinds[GR_CALL__COUNT] = {
    [GR_CALL_COUNT_ROWS] = "count_rows",
    [GR_CALL_COUNT] = "count",
    [GR_CALL_COUNT_DISTINCT] = "distinct",
    [GR_CALL_COUNT_DISTINCT_APPROX] = "approx",
    [GR_CALL_SUM] = "sum",
    [GR_CALL_AVG] = "avg",
    [GR_CALL_MIN] = "min",
    [GR_CALL_MAX] = "max",
    [GR_CALL_VAR_POP] = "var_pop",
    [GR_CALL_VAR_SAMP] = "var_samp",
    [GR_CALL_STDDEV_POP] = "stddev_pop",
    [GR_CALL_STDDEV_SAMP] = "stddev_samp",
};

static gr_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_arena_free(arena);
    return 0;
}

static gr_split split(gr_str text) {
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_expr *expr = gr_expr_parse(text, (gr_loc){0}, arena, &diags);
    if (!expr) fail_msg("'" GR_FMT "': " GR_FMT, GR_ARG(text), GR_ARG(diags.list.v[0].message));
    gr_hole_role *roles = GR_NEW_N(arena, gr_hole_role, expr->n_parts);
    for (size_t i = 0; i < expr->n_parts; i++) {
        bool is_measure = gr_str_starts(expr->parts[i].text, GR_STR("m_"));
        bool is_time = gr_str_starts(expr->parts[i].text, GR_STR("t_"));
        roles[i] = is_measure ? GR_HOLE_MEASURE : is_time ? GR_HOLE_TIME : GR_HOLE_ROW;
    }
    gr_split ret;
    gr_expr_split(expr, roles, arena, &ret);
    return ret;
}

static void add_expr(gr_buf *out, const gr_expr *expr) {
    if (expr->is_column) gr_buf_z(out, "column ");
    for (size_t i = 0; i < expr->n_parts; i++)
        gr_buf_printf(out, expr->parts[i].kind == GR_PART_TEXT ? GR_FMT : "{" GR_FMT "}", GR_ARG(expr->parts[i].text));
}

/* "sum(a) where b; count_rows | #0 / #1" */
static gr_str spell(const gr_split *s) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < s->n_calls; i++) {
        const gr_call *c = &s->calls[i];
        gr_buf_printf(&out, "%s%s", i ? "; " : "", kinds[c->kind]);
        if (c->argument) {
            gr_buf_char(&out, '(');
            add_expr(&out, c->argument);
            gr_buf_char(&out, ')');
        }
        if (c->filter) {
            gr_buf_z(&out, " where ");
            add_expr(&out, c->filter);
        }
    }
    gr_buf_z(&out, " | ");
    for (size_t i = 0; i < s->n_finish; i++) {
        const gr_part *part = s->finish[i].part;
        if (!part)
            gr_buf_printf(&out, "#%zu", s->finish[i].call);
        else
            gr_buf_printf(&out, part->kind == GR_PART_TEXT ? GR_FMT : "{" GR_FMT "}", GR_ARG(part->text));
    }
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static void test_split(void **state) {
    (void)state;
    static const struct {
        const char *text, *is;
    } rows[] = {
        {"sum({CUBE}.a)", "sum({CUBE}.a) | #0"},
        {"SUM (amount)", "sum(column amount) | #0"},
        {"sum(a.amount)", "sum(a.amount) | #0"},
        {"sum(\"Amount\")", "sum(\"Amount\") | #0"},
        {"sum(true)", "sum(true) | #0"},
        {"count(*)", "count_rows | #0"},
        {"Count ( * )", "count_rows | #0"},
        {"count(1)", "count(1) | #0"},
        {"count(all x)", "count(column x) | #0"},
        {"count(distinct {user})", "distinct({user}) | #0"},
        {"count(DISTINCT(x))", "distinct((x)) | #0"},
        {"count(distinct (a, b))", "distinct((a, b)) | #0"},
        {"min(distinct x) + max(distinct y)", "min(column x); max(column y) | #0 + #1"},
        {"approx_count_distinct(x) + approx_distinct({CUBE}.y)", "approx(column x); approx({CUBE}.y) | #0 + #1"},
        {"avg(x)", "avg(column x) | #0"},
        {"var_pop(x)+var_samp(x)+variance(x)", "var_pop(column x); var_samp(column x) | #0+#1+#1"},
        {"stddev_pop(x)+stddev_samp(x)+stddev(x)", "stddev_pop(column x); stddev_samp(column x) | #0+#1+#1"},
        /* filters */
        {"count(*) filter (where {CUBE}.a > 1)", "count_rows where {CUBE}.a > 1 | #0"},
        {"sum(x) FILTER(WHERE(a or b))", "sum(column x) where (a or b) | #0"},
        {"sum(x) filter (where ok) / sum(x)", "sum(column x) where column ok; sum(column x) | #0 / #1"},
        {"count(distinct {user}) filter (where {paid} = 'it''s :)' )",
         "distinct({user}) where {paid} = 'it''s :)' | #0"},
        /* equal calls are one */
        {"sum({a}  + 1) / (sum({a} + 1) + count(*))", "sum({a} + 1); count_rows | #0 / (#0 + #1)"},
        {"sum({a}) / sum({b}) + SUM({a})", "sum({a}); sum({b}) | #0 / #1 + #0"},
        {"max(a) - min(a) - max( a )", "max(column a); min(column a) | #0 - #1 - #0"},
        {"sum('a  b') + sum('a b')", "sum('a  b'); sum('a b') | #0 + #1"},
        /* order of appearance, whatever the tree looks like */
        {"case when count(*) > 1 then sum(a) else min(b) end",
         "count_rows; sum(column a); min(column b) | case when #0 > 1 then #1 else #2 end"},
        {"nullif(sum(a), 0)", "sum(column a) | nullif(#0, 0)"},
        {"1.0 * sum(a) / nullif(count(*), 0)::numeric(10, 2)",
         "sum(column a); count_rows | 1.0 * #0 / nullif(#1, 0)::numeric(10, 2)"},
        {"cast(sum(a) as double precision) / greatest(count(b), 1)",
         "sum(column a); count(column b) | cast(#0 as double precision) / greatest(#1, 1)"},
        {"round(sqrt(sum(a * a)), 2)", "sum(a * a) | round(sqrt(#0), 2)"},
        {"coalesce(sum(a), {m_total})", "sum(column a) | coalesce(#0, {m_total})"},
        {"{m_total} / sum(a)", "sum(column a) | {m_total} / #0"},
        {"extract(year from max({t_at}))", "max({t_at}) | extract(year from #0)"},
        {"count(*) > 0 and not bool(max(x)) is null", NULL},
        {"max(x) is not null and min(y) = 'a'", "max(column x); min(column y) | #0 is not null and #1 = 'a'"},
        {"upper(max({CUBE}.status)) || '!'", "max({CUBE}.status) | upper(#0) || '!'"},
        {"sum(x) - {m_a} * {m_a}", "sum(column x) | #0 - {m_a} * {m_a}"},
        {"trunc(sum(x)::float8)", "sum(column x) | trunc(#0::float8)"},
        /* spans: quotes, comments, dollars, brackets within arguments */
        {"sum(case when s = ')' then 1 end) + 1", "sum(case when s = ')' then 1 end) | #0 + 1"},
        {"sum /* ( */ (x -- )\n)", "sum(column x) | #0"},
        {"sum(length($$)$$ || \"a)\"))", "sum(length($$)$$ || \"a)\")) | #0"},
        {"max(E'\\')' || x)", "max(E'\\')' || x) | #0"},
        {"sum(coalesce(x, (y + 1) * 2)) * (2)", "sum(coalesce(x, (y + 1) * 2)) | #0 * (2)"},
        {"'sum(x)' || max(x)", "max(column x) | 'sum(x)' || #0"},
        {"sum(my_own(x))", "sum(my_own(x)) | #0"},
        {"max(to_timestamp(x))", "max(to_timestamp(x)) | #0"},
        {"sum(({CUBE}.x).y[1])", "sum(({CUBE}.x).y[1]) | #0"},
        {"avg(date_diff('day', {t_a}, {t_b}))", "avg(date_diff('day', {t_a}, {t_b})) | #0"},
        {"avg(case when {t_a} > '2024-01-01' then x end)", "avg(case when {t_a} > '2024-01-01' then x end) | #0"},
        {"avg(extract(epoch from {t_a} - {t_b}))", "avg(extract(epoch from {t_a} - {t_b})) | #0"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_split s = split(gr_str_from(rows[i].text));
        if (!rows[i].is) {
            assert_false(s.is_split);
            continue;
        }
        if (!s.is_split) fail_msg("'%s': %s", rows[i].text, s.why);
        assert_null(s.why);
        gr_str is = spell(&s);
        if (!gr_str_eq_z(is, rows[i].is)) fail_msg("'%s': '" GR_FMT "'", rows[i].text, GR_ARG(is));
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"sum(x) +", "not understood"},
        {"try_cast(sum(x) as int)", "not understood"},
        {"sum(x), sum(y)", "not known"}, /* a row of two */
        {"1_000 * sum(x)", "not understood"},
        {"sum(x) over (partition by y)", "window"},
        {"sum(sum(x)) over ()", "window"},
        {"rank() over (order by sum(x))", "not known"},
        {"sum(x order by y)", "order"},
        {"max(x) within group (order by y)", "order"},
        {"count(*) + percentile_cont(0.5) within group (order by x)", "not known"},
        {"sum(distinct x)", "DISTINCT"},
        {"avg(distinct x)", "DISTINCT"},
        {"stddev(distinct x)", "DISTINCT"},
        {"approx_count_distinct(distinct x)", "DISTINCT"},
        {"median(x)", "not known"},
        {"sum(x) / quantile_cont(y, 0.5)", "not known"},
        {"string_agg(x, ',')", "not known"},
        {"array_agg(x)", "not known"},
        {"mode(x)", "not known"},
        {"my_own(sum(x))", "not known"},
        {"\"SUM\"(x)", "not known"},
        {"pg_catalog.sum(x)", "not known"},
        {"\"sum\"(x)", "cannot be told"},
        {"random() * sum(x)", "not known"},
        {"lower(distinct sum(x))", "not known"},
        {"count()", "several arguments"},
        {"sum(*)", "star"},
        {"sum(variadic x)", "window"},
        {"max(x, 3)", "several arguments"},
        {"count(distinct a, b)", "several arguments"},
        {"count({CUBE}.*)", "star"},
        {"sum(columns(*))", "within an aggregate"},
        {"sum(columns('a'))", "changes"},
        {"(select sum(x) from t)", "not known"},
        {"sum(x) / (select count(*) from t)", "not known"},
        {"sum((select 1))", "sub-select"},
        {"sum(x) filter (where exists (select 1))", "sub-select"},
        {"(select max(a) from ({b.sql()}) q)", "sub-select"},
        {"sum(max(x))", "within an aggregate"},
        {"sum(median(x))", "within an aggregate"},
        {"sum(x) filter (where count(*) > 1)", "within an aggregate"},
        {"sum(row_number() over ())", "within an aggregate"},
        {"sum(count(*))", "within an aggregate"},
        {"sum(random())", "changes"},
        {"sum(\"RANDOM\"())", "changes"},
        {"max(Now())", "changes"},
        {"sum(case when current_date > a then 1 end)", "not of the row"},
        {"sum($1)", "not of the row"},
        {"sum(x) / amount", "a column"},
        {"sum(x) / {CUBE}.amount", "rows outside"},
        {"sum(x) / {amount}", "rows outside"},
        {"sum(x) / {CUBE}", "rows outside"},
        {"sum(x) / {m_total}.a", "a column"},
        {"amount", "a column"},
        {"{m_a} + 1", "no aggregate"},
        {"sum({m_total})", "over a measure"},
        {"sum(x) filter (where {m_total} > 1)", "over a measure"},
        {"sum({CUBE}x)", "no value"},
        {"sum({f}(x))", "no value"},
        {"sum({CUBE}5)", "no value"},
        {"sum('{a}')", "quotes"},
        {"sum(x /* {a} */)", "quotes"},
        {"sum(`x`)", "other meanings"},
        {"sum(granary_hole_0_)", "reserved"},
        {"sum(GRANARY_CALL_0_)", "reserved"},
        {"sum(x) at time zone 'UTC'", "not known"},
        {"array[sum(x)]", "not known"},
        {"current_date - max(x)", "not known"},
        {"sum(x)::mood", "not known"},
        {"max(x) collate \"C\"", "not known"},
        {"sum(x) = $1", "not known"},
        /* averages are divided as numbers */
        {"extract(epoch from avg(a - b))", "average of times"},
        {"avg(a - b) > interval '1 day'", "average of times"},
        {"avg({t_end} - {t_start})", "average of times"},
        {"avg(case when x then a::timestamp - b else c end)", "average of times"},
        {"avg(coalesce(age(a, b), c))", "average of times"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_split s = split(gr_str_from(rows[i].text));
        if (s.is_split) fail_msg("'%s' is split", rows[i].text);
        if (!s.why || !strstr(s.why, rows[i].why)) fail_msg("'%s': %s", rows[i].text, s.why ? s.why : "no reason");
    }
}

/* Deep and long texts are refused, or split; neither stack nor time runs out. */
static void test_limits(void **state) {
    (void)state;
    static const struct {
        const char *head, *unit, *middle, *tail;
        size_t n;
        bool is_split;
    } rows[] = {
        {"sum(x)", "+1", "", "", 100, true},          {"sum(x)", "+1", "", "", 8000, false},
        {"sum(x)", "+1", "", "", 100000, false},      {"", "abs(", "sum(x)", ")", 100, true},
        {"", "abs(", "sum(x)", ")", 900, false},      {"sum(", "(", "x", ")", 900, true},
        {"sum(", "- ", "x)", "", 3000, false},        {"count(*)", "+sum(x)", "", "", 900, true},
        {"count(*)", "+sum(x)", "", "", 3000, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_buf text;
        gr_buf_init(&text, 1 << 20);
        gr_buf_z(&text, rows[i].head);
        for (size_t k = 0; k < rows[i].n; k++) gr_buf_z(&text, rows[i].unit);
        gr_buf_z(&text, rows[i].middle);
        for (size_t k = 0; k < rows[i].n; k++) gr_buf_z(&text, rows[i].tail);
        if (rows[i].head[0] == 's' && rows[i].tail[0] == ')') gr_buf_z(&text, ")");
        gr_split s = split(gr_arena_dup(arena, gr_buf_str(&text)));
        gr_buf_done(&text);
        if (s.is_split != rows[i].is_split) fail_msg("row %zu: %s", i, s.why ? s.why : "is split");
    }
}

/* The hole of an argument keeps what it is bound to, and equal text with other bindings is another call. */
static void test_bindings(void **state) {
    (void)state;
    gr_str source = GR_STR("sum({a}) + sum({a}) + {m_b} * sum({a})");
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_expr *expr = gr_expr_parse(source, (gr_loc){GR_STR("f"), 3, 4}, arena, &diags);
    gr_hole_role roles[16] = {0};
    static const char cubes[2], members[2];
    for (size_t i = 0, n = 0; i < expr->n_parts; i++) {
        gr_part *p = &expr->parts[i];
        if (p->kind == GR_PART_TEXT) continue;
        bool is_measure = p->text.p[0] == 'm';
        p->cube = (const void *)&cubes[0];
        p->member = is_measure ? (const void *)&members[1] : (const void *)&members[0];
        if (!is_measure) p->granularity = n++ == 1 ? gr_granularity_predefined(GR_GRAIN_DAY) : NULL;
        roles[i] = is_measure ? GR_HOLE_MEASURE : GR_HOLE_ROW;
    }
    gr_split s;
    gr_expr_split(expr, roles, arena, &s);
    assert_true(s.is_split);
    assert_int_equal(s.n_calls, 2);
    for (size_t i = 0; i < 2; i++) {
        const gr_expr *a = s.calls[i].argument;
        assert_int_equal(a->n_parts, 1);
        assert_ptr_equal(a->parts[0].member, &members[0]);
        assert_int_equal(a->parts[0].granularity != NULL, i == 1);
        assert_true(gr_str_eq_z(a->source, "{a}"));
        assert_int_equal(a->loc.line, 3);
    }
    assert_true(gr_str_eq_z(spell(&s), "sum({a}); sum({a}) | #0 + #1 + {m_b} * #0"));
    assert_ptr_equal(s.finish[4].part->member, &members[1]);
}

static void test_portable(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_portable;
    } rows[] = {
        {" / nullif(", true},
        {"case when ", true},
        {" > 1.5e3 then 'a b' else null end", true},
        {"::numeric(10, 2)", true},
        {"log10(trunc(", true},
        {" + amount", false},
        {".amount", false},
        {"median(", false},
        {"\"a\"", false},
        {"$$a$$", false},
        {"`a`", false},
        {" at time zone 'UTC'", false},
        {"date", false},
        {"-- x", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (gr_expr_text_is_portable(gr_str_from(rows[i].text)) != rows[i].is_portable) fail_msg("%s", rows[i].text);
    assert_true(gr_expr_call_is_portable(GR_STR("ROUND")));
    assert_false(gr_expr_call_is_portable(GR_STR("sum")));
    assert_false(gr_expr_call_is_portable(GR_STR("case")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_split, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bindings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_portable, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
