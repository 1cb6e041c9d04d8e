/* Refresh keys as they are loaded: each form that cube.md 1.5 and 1.13 know, months (decisions 24), and fingerprints.
 */
#include "unit/model/model_fixture.h"

#define MODEL(cube_key, preagg_key)                                                                                    \
    "cubes:\n"                                                                                                         \
    "  - name: orders\n"                                                                                               \
    "    sql_table: o\n"                                                                                               \
    "    refresh_key: " cube_key "\n"                                                                                  \
    "    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: at, sql: at, type: time}]\n"        \
    "    measures: [{name: count, type: count}]\n"                                                                     \
    "    pre_aggregations:\n"                                                                                          \
    "      - {name: r, measures: [count], refresh_key: " preagg_key "}\n"

static const gr_refresh_key *of_cube(const char *yaml) {
    load_good(yaml);
    const gr_refresh_key *key = gr_model_cube(model, GR_STR("orders"))->refresh;
    assert_non_null(key);
    return key;
}

static const gr_refresh_key *of_preagg(const char *yaml) {
    load_good(yaml);
    assert_non_null(model->preaggs[0]->refresh_key);
    assert_non_null(model->preaggs[0]->refresh);
    return model->preaggs[0]->refresh;
}

static void test_times(void **state) {
    (void)state;
    const gr_refresh_key *key = of_cube(MODEL("{every: 10 minutes}", "{every: 1 day}"));
    assert_int_equal(diags.list.n, 0);
    assert_true(key->has_every && !key->every.is_cron && !key->every.tz && !key->sql && !key->is_immutable);
    assert_int_equal(key->every.every.seconds, 600);
    expect_str(key->every.text, "10 minutes");
    assert_int_equal(key->loc.line, 4);

    key = of_cube(MODEL("{every: 30 5 * * 5, timezone: america/los_angeles}", "{every: 1 day}"));
    assert_true(key->has_every && key->every.is_cron);
    expect_str(gr_tz_name(key->every.tz), "America/Los_Angeles");
    assert_int_equal(key->every.cron.hours, 1 << 5);
    assert_int_equal(key->every.cron.weekdays, 1 << 5);

    assert_true(of_cube(MODEL("{immutable: true}", "{every: 1 day}"))->is_immutable);

    key = of_preagg(MODEL("{every: 1 day}", "{every: 2 months, incremental: true, update_window: 3 months}"));
    assert_true(key->has_every && key->is_incremental && key->has_update_window);
    assert_int_equal(key->every.every.months, 2);
    assert_int_equal(key->every.every.seconds, 0);
    assert_int_equal(key->update_window.months, 3);
    expect_str(key->update_window_text, "3 months");
    assert_int_equal(key->fingerprint, GR_FINGERPRINT_NONE);

    key = of_preagg(MODEL("{every: 1 day}", "{every: 0 0 * * *, incremental: true}"));
    assert_true(key->every.is_cron && key->is_incremental && !key->has_update_window);
}

static void test_sql(void **state) {
    (void)state;
    const gr_refresh_key *key = of_cube(MODEL("{sql: select max(at) from o}", "{sql: select 1, every: 1 hour}"));
    assert_false(key->has_every);
    expect_str(key->sql->source, "select max(at) from o");
    key = model->preaggs[0]->refresh;
    assert_true(key->has_every && key->sql);
    assert_int_equal(key->every.every.seconds, 3600);
    /* the rows of a cube, also of one that comes later */
    static const char *const texts[] = {"{orders.sql()}", "{CUBE.sql()}", "{later.sql()}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        gr_arena *text = gr_arena_new();
        gr_str yaml = gr_arena_printf(text,
                                      MODEL("{sql: \"select max(at) from (%s) t\"}",
                                            "{sql: \"select 1 from (%s) t\"}") "  - {name: later, sql_table: l}\n",
                                      texts[i], texts[i]);
        key = of_cube(yaml.p);
        const gr_refresh_key *keys[] = {key, model->preaggs[0]->refresh};
        const gr_cube *want = gr_model_cube(model, i == 2 ? GR_STR("later") : GR_STR("orders"));
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(keys[k]->sql->n_parts, 3);
            assert_int_equal(keys[k]->sql->parts[1].kind, GR_PART_CUBE_SQL);
            assert_ptr_equal(keys[k]->sql->parts[1].cube, want);
        }
        gr_arena_free(text);
    }
}

static void test_fingerprints(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        gr_fingerprint fingerprint;
        bool has_every, has_sql, is_incremental;
    } rows[] = {
        {MODEL("{every: 1 day}", "{fingerprint: rows}"), GR_FINGERPRINT_ROWS, false, false, false},
        {MODEL("{every: 1 day}", "{fingerprint: rows, every: 1 hour}"), GR_FINGERPRINT_ROWS, true, false, false},
        {MODEL("{every: 1 day}", "{fingerprint: rows, every: 0 1 * * *, timezone: Asia/Kolkata}"), GR_FINGERPRINT_ROWS,
         true, false, false},
        {MODEL("{every: 1 day}",
               "{fingerprint: \"{CUBE}.updated_at\", every: 1 hour, incremental: true, update_window: 1 day}"),
         GR_FINGERPRINT_SQL, true, false, true},
        {MODEL("{every: 1 day}", "{fingerprint: \"{at}\", sql: select 1}"), GR_FINGERPRINT_SQL, false, true, false},
        {MODEL("{every: 1 day}", "{fingerprint: updated_at, sql: select 1, every: 1 hour}"), GR_FINGERPRINT_SQL, true,
         true, false},
        {MODEL("{every: 1 day}", "{fingerprint: \"{CUBE}.rows\"}"), GR_FINGERPRINT_SQL, false, false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_refresh_key *key = of_preagg(rows[i].yaml);
        assert_int_equal(diags.list.n, 0);
        assert_int_equal(key->fingerprint, rows[i].fingerprint);
        assert_int_equal(key->has_every, rows[i].has_every);
        assert_int_equal(key->sql != NULL, rows[i].has_sql);
        assert_int_equal(key->is_incremental, rows[i].is_incremental);
        assert_int_equal(key->fingerprint_sql != NULL, rows[i].fingerprint == GR_FINGERPRINT_SQL);
    }
    const gr_expr *sql = of_preagg(rows[3].yaml)->fingerprint_sql;
    assert_int_equal(sql->parts[0].kind, GR_PART_TABLE);
    assert_ptr_equal(sql->parts[0].cube, model->cubes[0]);
    sql = of_preagg(rows[4].yaml)->fingerprint_sql;
    assert_int_equal(sql->parts[0].kind, GR_PART_MEMBER);
    assert_ptr_equal(sql->parts[0].member, member("orders.at"));
    assert_true(of_preagg(rows[5].yaml)->fingerprint_sql->is_column);
}

/* What is inherited is read again, for the child: {CUBE} is the child then. */
static void test_inherited(void **state) {
    (void)state;
    load_good(MODEL("{sql: \"select 1 from ({CUBE.sql()}) t\"}",
                    "{fingerprint: \"{CUBE}.x\"}") "  - {name: child, sql_table: c, extends: orders}\n");
    const gr_cube *parent = gr_model_cube(model, GR_STR("orders")), *child = gr_model_cube(model, GR_STR("child"));
    assert_ptr_equal(parent->refresh->sql->parts[1].cube, parent);
    assert_ptr_equal(child->refresh->sql->parts[1].cube, child);
    assert_ptr_equal(parent->preaggs[0]->refresh->fingerprint_sql->parts[0].cube, parent);
    assert_ptr_equal(child->preaggs[0]->refresh->fingerprint_sql->parts[0].cube, child);
    load_good(
        "cubes: [{name: a, sql_table: t, dimensions: [{name: d, sql: d, type: string}], pre_aggregations: [{name: "
        "r, dimensions: [d]}]}]\n");
    assert_null(model->cubes[0]->refresh);
    assert_null(model->preaggs[0]->refresh);
}

/* A fault of what is inherited is the parent's alone. */
static void test_inherited_faults(void **state) {
    (void)state;
    static const char *const keys[] = {"{every: soon}", "{sql: \"select {at}\"}", "{update_window: 1 day}",
                                       "{every: 1 day, incremental: true}"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        gr_str yaml = gr_arena_printf(
            arena, MODEL("%s", "{every: 1 day}") "  - {name: child, sql_table: c, extends: orders}\n", keys[i]);
        assert_int_equal(load(yaml.p), GR_ERR_MODEL_INVALID_SET);
        if (diags.n_errors != 1) print_diags();
        assert_int_equal(diags.n_errors, 1);
        for (size_t k = 0; k < diags.list.n; k++) assert_true(has(diags.list.v[k].message, "orders cube"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sql, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fingerprints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inherited_faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
