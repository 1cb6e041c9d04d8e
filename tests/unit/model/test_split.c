/* Measures that aggregate by themselves: their synthetic measures, and the SQL that is put over them. */
#include "unit/model/model_fixture.h"

#include "base/buf.h"

static const char *const head =
    "cubes:\n"
    "  - name: orders\n"
    "    sql_table: orders\n"
    "    joins:\n"
    "      - {name: users, relationship: many_to_one, sql: \"{CUBE}.user_id = {users.id}\"}\n"
    "    dimensions:\n"
    "      - {name: id, sql: id, type: number, primary_key: true}\n"
    "      - {name: status, sql: status, type: string}\n"
    "      - {name: created_at, sql: created_at, type: time}\n"
    "      - {name: ended_at, sql: ended_at, type: time}\n"
    "    segments:\n"
    "      - {name: done, sql: \"{CUBE}.status = 'done'\"}\n"
    "    measures:\n";
static const char *const tail = "  - name: users\n"
                                "    sql_table: users\n"
                                "    dimensions:\n"
                                "      - {name: id, sql: id, type: number, primary_key: true}\n"
                                "      - {name: age, sql: age, type: number}\n"
                                "    measures:\n"
                                "      - {name: number, type: count}\n"
                                "views:\n"
                                "  - name: shown\n"
                                "    cubes:\n"
                                "      - {join_path: orders, includes: '*'}\n";

static void load_measures(const char *measures) { load_good(gr_arena_printf(arena, "%s%s%s", head, measures, tail).p); }

/* The id of a synthetic measure is that of the measure it was taken from. */
static gr_str own_id(const gr_member *m) {
    return gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(m->cube->name), GR_ARG(m->name));
}

static void add_expr(gr_buf *out, const gr_expr *expr) {
    for (size_t i = 0; i < expr->n_parts; i++) {
        const gr_part *p = &expr->parts[i];
        if (p->kind == GR_PART_MEMBER)
            gr_buf_printf(out, "{" GR_FMT "%s}", GR_ARG(own_id(p->member)), p->granularity ? ".day" : "");
        else if (p->kind == GR_PART_TABLE)
            gr_buf_printf(out, "{" GR_FMT "}", GR_ARG(p->cube->name));
        else
            gr_buf_printf(out, expr->is_column ? "column " GR_FMT : GR_FMT, GR_ARG(p->text));
    }
}

static gr_str text_of(const gr_expr *expr) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    add_expr(&out, expr);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static const gr_member *synthetic(const char *id) {
    for (size_t i = 0; i < model->n_members; i++)
        if (model->members[i]->is_synthetic && gr_str_eq_z(own_id(model->members[i]), id)) return model->members[i];
    fail_msg("no synthetic '%s'", id);
    return NULL;
}

static void expect_sql(const char *id, const char *sql) {
    const gr_member *m = member(id);
    assert_true(m->is_calculated);
    assert_false(m->has_own_aggregate);
    expect_str(text_of(m->sql), sql);
}

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *sql, *finish, *id, *column;
        gr_measure_type agg;
        const char *of, *filter;
    } rows[] = {
        {"sum({CUBE}.a)", "{orders.x__sum1}", "orders.x__sum1", "orders__x__sum1", GR_MEASURE_SUM, "{orders}.a", NULL},
        {"sum(a)", "{orders.x__sum1}", "orders.x__sum1", "orders__x__sum1", GR_MEASURE_SUM, "column a", NULL},
        {"count(*)", "{orders.x__count1}", "orders.x__count1", "orders__x__count1", GR_MEASURE_COUNT, "1", NULL},
        {"count({status})", "{orders.x__count1}", "orders.x__count1", "orders__x__count1", GR_MEASURE_COUNT,
         "{orders.status}", NULL},
        {"count(*) filter (where {done})", "{orders.x__count1}", "orders.x__count1", "orders__x__count1",
         GR_MEASURE_COUNT, "1", "{orders.done}"},
        {"sum({users.age}) filter (where {CUBE}.b > 1)", "{orders.x__sum1}", "orders.x__sum1", "orders__x__sum1",
         GR_MEASURE_SUM, "{users.age}", "{orders}.b > 1"},
        {"count(distinct {created_at.day}) + 0", "{orders.x__count_distinct1} + 0", "orders.x__count_distinct1",
         "orders__x__count_distinct1", GR_MEASURE_COUNT_DISTINCT, "{orders.created_at.day}", NULL},
        {"approx_count_distinct(b)", "{orders.x__count_distinct_approx1}", "orders.x__count_distinct_approx1",
         "orders__x__count_distinct_approx1", GR_MEASURE_COUNT_DISTINCT_APPROX, "column b", NULL},
        {"100 * avg(a + 1)", "100 * {orders.x__avg1}", "orders.x__avg1", "orders__x__avg1", GR_MEASURE_AVG, "a + 1",
         NULL},
        {"sum(a) / max({CUBE}.b)", "{orders.x__sum1} / {orders.x__max2}", "orders.x__max2", "orders__x__max2",
         GR_MEASURE_MAX, "{orders}.b", NULL},
        {"min(a) - sum(b) / min(a)", "{orders.x__min1} - {orders.x__sum2} / {orders.x__min1}", "orders.x__min1",
         "orders__x__min1", GR_MEASURE_MIN, "column a", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_measures(gr_arena_printf(arena,
                                      "      - {name: x, type: number, sql: \"%s\"}\n      - {name: n, type: count}\n",
                                      rows[i].sql)
                          .p);
        expect_sql("orders.x", rows[i].finish);
        const gr_member *m = synthetic(rows[i].id);
        expect_str(m->id, "orders.x");
        expect_str(m->column, rows[i].column);
        assert_int_equal(m->kind, GR_MEMBER_MEASURE);
        assert_int_equal(m->agg, rows[i].agg);
        assert_false(m->is_calculated);
        assert_false(m->is_public);
        assert_ptr_equal(m->cube, gr_model_cube(model, GR_STR("orders")));
        expect_str(text_of(m->sql), rows[i].of);
        assert_int_equal(m->n_filters, rows[i].filter != NULL);
        if (rows[i].filter) expect_str(text_of(m->filters[0]), rows[i].filter);
        expect_str(member("orders.x")->sql->source, rows[i].sql);
    }
}

static void test_spread(void **state) {
    (void)state;
    static const struct {
        const char *sql, *finish;
    } rows[] = {
        {"var_pop(a)",
         "(case when {orders.x__count1} > 0 then greatest({orders.x__m2_1}, 0) / {orders.x__count1} end)"},
        {"variance(a)",
         "(case when {orders.x__count1} > 1 then greatest({orders.x__m2_1}, 0) / ({orders.x__count1} - 1) end)"},
        {"stddev_pop(a) * 2",
         "sqrt(case when {orders.x__count1} > 0 then greatest({orders.x__m2_1}, 0) / {orders.x__count1} end) * 2"},
        {"stddev(a) filter (where {done})",
         "sqrt(case when {orders.x__count1} > 1 then greatest({orders.x__m2_1}, 0) / ({orders.x__count1} - 1) end)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_measures(gr_arena_printf(arena, "      - {name: x, type: number, sql: \"%s\"}\n", rows[i].sql).p);
        expect_sql("orders.x", rows[i].finish);
        const gr_member *m2 = synthetic("orders.x__m2_1"), *count = synthetic("orders.x__count1");
        assert_int_equal(m2->agg, GR_MEASURE_M2);
        assert_int_equal(count->agg, GR_MEASURE_COUNT);
        assert_ptr_equal(m2->sql, count->sql);
        assert_int_equal(m2->n_filters, count->n_filters);
        assert_int_equal(m2->n_filters, i == 3);
        expect_str(text_of(m2->sql), "column a");
    }
}

/* What stays opaque: as written, without synthetic measures. */
static void test_opaque(void **state) {
    (void)state;
    static const struct {
        const char *type, *sql;
    } rows[] = {
        {"number", "median(a)"},
        {"number", "a"},
        {"number", "my_own({CUBE}.a)"},
        {"number", "sum(a) / {status}"},
        {"number", "sum(a) over ()"},
        {"number", "avg({ended_at} - {created_at})"},
        {"number", "sum({n})"},
        {"string", "string_agg(a, ',')"},
        {"time", "avg(a)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        load_measures(
            gr_arena_printf(arena,
                            "      - {name: x, type: %s, sql: \"%s\"}\n      - {name: n, type: number, sql: \"1\"}\n",
                            rows[i].type, rows[i].sql)
                .p);
        if (!member("orders.x")->has_own_aggregate) fail_msg("'%s' is split", rows[i].sql);
        assert_true(member("shown.x")->has_own_aggregate);
        for (size_t k = 0; k < model->n_members; k++) assert_false(model->members[k]->is_synthetic);
    }
}

static void test_members(void **state) {
    (void)state;
    load_measures("      - {name: total, type: sum, sql: a}\n"
                  "      - {name: ratio, type: number, sql: \"sum(a) / nullif(count(*), 0)\"}\n"
                  "      - {name: label, type: string, sql: \"upper(max(status))\"}\n"
                  "      - {name: any, type: boolean, sql: \"max(a) > 1\"}\n"
                  "      - {name: last, type: time, sql: \"max({created_at})\"}\n"
                  "      - {name: scaled, type: number, sql: \"{ratio} * 100\"}\n"
                  "      - {name: mixed, type: number, sql: \"sum(b) / {total} + {ratio}\"}\n");
    expect_sql("orders.scaled", "{orders.ratio} * 100");
    expect_sql("orders.mixed", "{orders.mixed__sum1} / {orders.total} + {orders.ratio}");
    assert_ptr_equal(member("orders.scaled")->sql->parts[0].member, member("orders.ratio"));
    expect_sql("orders.label", "upper({orders.label__max1})");
    expect_sql("orders.any", "{orders.any__max1} > 1");
    expect_sql("orders.last", "{orders.last__max1}");
    /* Each member has its place by its index; only the synthetic ones, which are last, are of no list. */
    size_t n_written = 0, n_synthetic = 0;
    for (size_t i = 0; i < model->n_members; i++) {
        const gr_member *m = model->members[i];
        assert_int_equal(m->index, i);
        const gr_member *found = gr_map_get(&m->cube->members, m->name);
        assert_ptr_equal(found, m->is_synthetic ? NULL : m);
        n_synthetic += m->is_synthetic;
        n_written += !m->is_synthetic;
        if (!m->is_synthetic) assert_int_equal(n_synthetic, 0);
    }
    assert_int_equal(n_synthetic, 6);
    size_t n_listed = 0;
    for (size_t i = 0; i < model->n_cubes; i++) n_listed += model->cubes[i]->members.n;
    assert_int_equal(n_written, n_listed);
    const gr_member *m;
    assert_int_equal(gr_model_member(model, GR_STR("orders.ratio__sum1"), &m, &err), GR_ERR_QUERY_UNKNOWN_MEMBER);
    assert_false(member("shown.ratio")->has_own_aggregate);
    assert_ptr_equal(member("shown.ratio")->alias_of, member("orders.ratio"));
}

static void test_names_that_are_taken(void **state) {
    (void)state;
    load_measures("      - {name: x, type: number, sql: \"sum(a) - sum(b)\"}\n"
                  "      - {name: x__sum1, type: count}\n"
                  "      - {name: xSum2, type: count, sql: a}\n"
                  "      - {name: x__sum2, type: count}\n");
    expect_sql("orders.x", "{orders.x__sum3} - {orders.x__sum4}");
    expect_str(text_of(synthetic("orders.x__sum3")->sql), "column a");
    expect_str(synthetic("orders.x__sum4")->column, "orders__x__sum4");
}

/* Each cube has its own, also of what it inherits. */
static void test_inherited(void **state) {
    (void)state;
    load_good("cubes:\n"
              "  - name: a\n"
              "    sql_table: a\n"
              "    measures:\n"
              "      - {name: x, type: number, sql: \"sum({CUBE}.v) / count(*)\"}\n"
              "  - {name: b, sql_table: b, extends: a}\n");
    expect_sql("a.x", "{a.x__sum1} / {a.x__count2}");
    expect_sql("b.x", "{b.x__sum1} / {b.x__count2}");
    expect_str(text_of(synthetic("b.x__sum1")->sql), "{b}.v");
    expect_str(text_of(synthetic("a.x__sum1")->sql), "{a}.v");
}

/* Circles and unknown names are reported by the names that were written. */
static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *measures;
        gr_status status;
        const char *part;
    } rows[] = {
        {"      - {name: x, type: number, sql: \"sum(a) + {y}\"}\n"
         "      - {name: y, type: number, sql: \"max(b) + {x}\"}\n",
         GR_ERR_MODEL_CYCLE, "orders.x -> orders.y -> orders.x"},
        {"      - {name: x, type: number, sql: \"sum({CUBE}.a) + {nothing}\"}\n", GR_ERR_MODEL_UNRESOLVED, "nothing"},
        {"      - {name: x, type: number, sql: \"sum({users}.a)\"}\n", GR_ERR_MODEL_INVALID, "foreign cubes"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *text = gr_arena_printf(arena, "%s%s%s", head, rows[i].measures, tail).p;
        assert_int_equal(load(text), GR_ERR_MODEL_INVALID_SET);
        const gr_diag *d = find_diag(rows[i].status, rows[i].part);
        assert_false(has(d->message, "__"));
        assert_int_equal(diags.n_errors, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opaque, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
