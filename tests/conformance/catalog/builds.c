/* Builds: numbers, publishing, dropping, failing, tables to be dropped, leases, and what kill -9 leaves. */
#include "conformance/catalog/suite.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static gr_preagg_decl main_decl(fixture *f) { return decl_of(f->arena, "orders", "g1", "b", "a=1", "orders.main"); }

static int64_t with_orders(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    return declared(f, "c", &d, 1).id;
}

static gr_build_row *builds_of(fixture *f, int64_t preagg_id, size_t *ret_n) {
    gr_build_row *rows = NULL;
    assert_ok(f, gr_catalog_builds(f->catalog, preagg_id, 0, f->arena, &rows, ret_n, &f->err));
    return rows;
}

static gr_doomed_table *doomed(fixture *f, size_t *ret_n) {
    gr_doomed_table *tables;
    assert_ok(f, gr_catalog_doomed(f->catalog, f->arena, &tables, ret_n, &f->err));
    return tables;
}

static void life(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    gr_build_plan plan = plan_of(&d);
    int64_t id = with_orders(f), build, number;
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(2000), &build, &number, &f->err));
    assert_int_equal(number, 1);
    assert_status(f, id, "materializing");
    assert_false(got(f, id).has_serving);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("store.t1"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("no such table"), at(3000), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("told again"), at(3500), &f->err));
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    assert_str(row.error, "no such table");
    assert_int_equal(row.updated_us, 3000);

    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(4000), &build, &number, &f->err));
    assert_int_equal(number, 2);
    assert_str(got(f, id).error, "");
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("store.t2"), &f->err));
    gr_doomed_table *old;
    size_t n_old = 77;
    gr_str coverage = GR_STR("{\"orders.created_at\":[1,2]}");
    assert_ok(f,
              gr_catalog_build_done(f->catalog, build, 42, 4242, coverage, at(5000), f->arena, &old, &n_old, &f->err));
    assert_int_equal(n_old, 0);
    row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_int_equal(row.materialized_us, 5000);
    assert_true(row.has_serving);
    const gr_build_row *s = &row.serving;
    assert_int_equal(s->id, build);
    assert_int_equal(s->preagg_id, id);
    assert_int_equal(s->number, 2);
    assert_int_equal(s->status, GR_BUILD_DONE);
    assert_str(s->table_name, "store.t2");
    assert_true(gr_str_eq(s->base_hash, d.base_hash));
    assert_true(gr_str_eq(s->structure_hash, d.structure_hash));
    assert_int_equal(s->n_components, 1);
    assert_str(s->components[0].name, "a");
    assert_str(s->components[0].signature, "1");
    assert_int_equal(s->started_us, 4000);
    assert_int_equal(s->finished_us, 5000);
    assert_int_equal(s->rows, 42);
    assert_int_equal(s->bytes, 4242);
    assert_str(s->error, "");
    assert_str(s->server, "here:1");
    assert_true(gr_str_eq(s->coverage, coverage));

    size_t n;
    gr_build_row *rows = builds_of(f, id, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].number, 2);
    assert_int_equal(rows[1].status, GR_BUILD_FAILED);
    assert_str(rows[1].error, "no such table");
    assert_int_equal(rows[1].finished_us, 3000);
    gr_str history = history_of(f, "build", "orders");
    assert_str(history,
               gr_arena_printf(f->arena,
                               "create:%lld >running | status_change:%lld running>failed | create:%lld "
                               ">running | status_change:%lld running>done",
                               (long long)rows[1].id, (long long)rows[1].id, (long long)build, (long long)build)
                   .p);
    assert_str(history_of(f, "pre_aggregation", "orders"),
               gr_arena_printf(f->arena,
                               "create:%1$d >pending | status_change:%1$d pending>materializing | "
                               "status_change:%1$d materializing>failed | status_change:%1$d failed>materializing | "
                               "status_change:%1$d materializing>active",
                               (int)id)
                   .p);
}

static void numbers_count_per_entity(fixture *f) {
    gr_preagg_decl d[] = {main_decl(f), main_decl(f)};
    d[1].grain_hash = GR_STR("g2");
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_preagg_row *rows = declared_by(f, f->catalog, &node, 1, d, 2, 1);
    const int64_t ids[] = {rows[0].id, rows[1].id};
    for (int i = 1; i <= 6; i++) {
        for (int which = 0; which < 2; which++) {
            int64_t build, number;
            gr_build_plan plan = plan_of(&d[which]);
            assert_ok(f, gr_catalog_build_begin(f->catalog, ids[which], &plan, at(i), &build, &number, &f->err));
            assert_int_equal(number, i);
            if (i % 2)
                done(f, build, i);
            else
                assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("x"), at(i), &f->err));
        }
        fixture_reopen(f);
    }
    size_t n;
    gr_build_row *all = builds_of(f, 0, &n);
    assert_int_equal(n, 12);
    for (size_t i = 1; i < n; i++) assert_true(all[i].id < all[i - 1].id);
    builds_of(f, 99, &n);
    assert_int_equal(n, 0);
}

/* A look that finds nothing to do is no build that mends one. */
static void what_has_failed_stays_failed_when_nothing_is_done(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    gr_build_plan plan = plan_of(&d);
    gr_doomed_table *old;
    size_t n_old;
    int64_t id = with_orders(f), build, number;
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(1), &build, &number, &f->err));
    assert_ok(f, gr_catalog_build_cancel(f->catalog, build, at(2), &f->err));
    assert_status(f, id, "pending");
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(3), &build, &number, &f->err));
    assert_ok(f, gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), at(4), f->arena, &old, &n_old, &f->err));
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(5), &build, &number, &f->err));
    assert_ok(f, gr_catalog_build_cancel(f->catalog, build, at(6), &f->err));
    assert_status(f, id, "active");
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(7), &build, &number, &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("no such table"), at(8), &f->err));
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, &plan, at(9), &build, &number, &f->err));
    assert_ok(f, gr_catalog_build_cancel(f->catalog, build, at(10), &f->err));
    assert_status(f, id, "failed");
    assert_str(got(f, id).error, "no such table");
    assert_true(got(f, id).has_serving);
}

static void publishing_returns_what_it_replaced(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f);
    size_t n;
    for (int i = 1; i <= 3; i++) {
        int64_t build = begun(f, id, &d, 10 * i);
        gr_str table = gr_arena_printf(f->arena, "t%d", i), before = gr_arena_printf(f->arena, "t%d", i - 1);
        assert_ok(f, gr_catalog_build_table(f->catalog, build, table, &f->err));
        if (i > 1) assert_str(got(f, id).serving.table_name, before.p); /* until the moment of publishing */
        gr_doomed_table *old;
        assert_ok(f, gr_catalog_build_done(f->catalog, build, 1, 1, (gr_str){0}, at(10 * i + 1), f->arena, &old, &n,
                                           &f->err));
        assert_int_equal(n, i > 1);
        if (n) assert_str(old[0].table_name, before.p);
        assert_true(gr_str_eq(got(f, id).serving.table_name, table));
        assert_str(got(f, id).serving.coverage, "{}");
    }
    gr_doomed_table *tables = doomed(f, &n);
    assert_int_equal(n, 2);
    assert_ok(f, gr_catalog_doomed_done(f->catalog, tables[0].id, &f->err));
    gr_build_row *rows = builds_of(f, id, &n);
    assert_int_equal(rows[2].status, GR_BUILD_DROPPED);
    assert_str(rows[2].table_name, "");
    assert_str(rows[1].table_name, "t2");
    /* The other way to say that a table is gone. */
    assert_ok(f, gr_catalog_build_table(f->catalog, rows[1].id, (gr_str){0}, &f->err));
    doomed(f, &n);
    assert_int_equal(n, 0);
    assert_ok(f, gr_catalog_doomed_done(f->catalog, 4711, &f->err)); /* nothing of that number */
}

static void dropping(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f), build = begun(f, id, &d, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("t1"), &f->err));
    done(f, build, 3);
    gr_doomed_table *tables;
    size_t n;
    for (size_t expected = 1;; expected = 0) {
        assert_ok(f, gr_catalog_drop_builds(f->catalog, id, at(4), f->arena, &tables, &n, &f->err));
        assert_int_equal(n, expected);
        assert_status(f, id, "pending");
        assert_int_equal(got(f, id).materialized_us, 0);
        assert_false(got(f, id).has_serving);
        if (!expected) break;
        assert_str(tables[0].table_name, "t1");
    }
    /* A running build goes on. */
    built(f, id, &d, 5);
    build = begun(f, id, &d, 6);
    assert_ok(f, gr_catalog_drop_builds(f->catalog, id, at(7), f->arena, &tables, &n, &f->err));
    assert_status(f, id, "materializing");
    assert_false(got(f, id).has_serving);
    done(f, build, 8);
    assert_status(f, id, "active");
    /* Stale stays stale. */
    const gr_node_decl node = node_of("orders", "c", "m");
    declared_by(f, f->catalog, &node, 1, NULL, 0, 9);
    assert_ok(f, gr_catalog_drop_builds(f->catalog, id, at(10), f->arena, &tables, &n, &f->err));
    assert_status(f, id, "stale");
    /* Failed becomes pending. */
    declared(f, "c", &d, 11);
    assert_ok(f, gr_catalog_build_failed(f->catalog, begun(f, id, &d, 12), GR_STR("oh"), at(13), &f->err));
    assert_ok(f, gr_catalog_drop_builds(f->catalog, id, at(14), f->arena, &tables, &n, &f->err));
    assert_status(f, id, "pending");
    assert_str(got(f, id).error, "");
}

/* A removed entity's table waits to be dropped when a new entity's build takes its name. */
static void a_name_that_is_used_again(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f), build = begun(f, id, &d, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("t1"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("oh"), at(3), &f->err));
    size_t n;
    doomed(f, &n);
    assert_int_equal(n, 1);
    int64_t next = begun(f, id, &d, 4);
    assert_ok(f, gr_catalog_build_table(f->catalog, next, GR_STR("t1"), &f->err));
    doomed(f, &n);
    assert_int_equal(n, 0);
    assert_str(builds_of(f, id, &n)[1].table_name, "");
}

static void progress(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f), build = begun(f, id, &d, 2);
    size_t n;
    static const double cases[][2] = {{0.25, 0.25}, {0, 0}, {1.5, 1}, {-0.1, -1}, {0.0 / 0.0, -1}, {0.5, 0.5}};
    assert_true(builds_of(f, id, &n)[0].fraction < 0);
    for (size_t i = 0; i < N_OF(cases); i++) {
        assert_ok(f, gr_catalog_build_progress(f->catalog, build, cases[i][0], &f->err));
        assert_true(builds_of(f, id, &n)[0].fraction == cases[i][1]);
    }
    done(f, build, 3);
    assert_true(builds_of(f, id, &n)[0].fraction < 0);
}

/* ---- who holds a build ----------------------------------------------------------------------------------------------
 */
static void held_by_a_handle(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f), other;
    built(f, id, &d, 3);
    int64_t build = begun(f, id, &d, 4);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("half"), &f->err));

    /* Whoever opens it beside us leaves our build alone. */
    gr_catalog *beside = second(f);
    assert_status(f, id, "materializing");
    bool is_changed = true;
    assert_ok(f, gr_catalog_heartbeat(beside, 5, &is_changed, &f->err));
    assert_false(is_changed);
    assert_int_equal(try_begin(f, beside, id, &d, 5, &other), GR_ERR_PREAGG_MATERIALIZING);

    /* When we are gone, whoever wants to build finds out, without opening again. */
    fixture_close(f);
    f->catalog = beside;
    f->second = NULL;
    assert_status(f, id, "materializing");
    assert_ok(f, try_begin(f, beside, id, &d, 6, &other));
    size_t n;
    gr_build_row *rows = builds_of(f, id, &n);
    assert_int_equal(n, 3);
    assert_int_equal(rows[0].number, 3);
    assert_int_equal(rows[1].status, GR_BUILD_FAILED);
    assert_str(rows[1].error, "the process ended during the build");
    assert_true(rows[1].finished_us > 0);

    /* And whoever opens it then finds that build failed too. */
    fixture_reopen(f);
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    assert_str(row.error, "the process ended during the build");
    assert_int_equal(row.serving.number, 1);
    gr_doomed_table *tables = doomed(f, &n);
    assert_int_equal(n, 1);
    assert_str(tables[0].table_name, "half");
    /* Its builder, were it not dead after all, can not publish any more. */
    gr_doomed_table *old;
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), at(7), f->arena, &old, &n, &f->err),
                     GR_ERR_PREAGG_BUILD);
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("late"), at(8), &f->err));
}

static void leases(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f), build = begun(f, id, &d, 2), other;
    gr_catalog *beside = second(f);
    bool is_changed = true;
    /* Extended in time. */
    end_leases(f, "builds");
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 3, &is_changed, &f->err));
    assert_false(is_changed);
    assert_ok(f, gr_catalog_heartbeat(beside, 3, NULL, &f->err));
    assert_status(f, id, "materializing");
    int64_t left = raw_i64(f, "SELECT max(lease_until) FROM builds");
    assert_true(left > 1000000000000000); /* the database's clock, not `now_us` */
    /* Not extended: dead, though its process lives. */
    end_leases(f, "builds");
    assert_ok(f, gr_catalog_heartbeat(beside, 4, &is_changed, &f->err));
    assert_true(is_changed);
    assert_status(f, id, "failed");
    assert_int_equal(got(f, id).updated_us, 4);
    assert_ok(f, gr_catalog_changed(f->catalog, &is_changed, &f->err));
    assert_true(is_changed);
    /* Begin finds it too, and also its own. */
    build = begun(f, id, &d, 5);
    end_leases(f, "builds");
    assert_ok(f, try_begin(f, f->catalog, id, &d, 6, &other));
    gr_doomed_table *old;
    size_t n;
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), at(7), f->arena, &old, &n, &f->err),
                     GR_ERR_PREAGG_BUILD);
    done(f, other, 8);
    assert_status(f, id, "active");
    /* Nobody noticed that it ended: the build is done all the same. */
    build = begun(f, id, &d, 9);
    end_leases(f, "builds");
    done(f, build, 10);
}

/* ---- kill -9 --------------------------------------------------------------------------------------------------------
 */
/* Builds and publishes without end, in a process that will be killed. */
static int build_without_end(fixture *f, int told) {
    gr_preagg_decl d = main_decl(f);
    gr_build_plan plan = plan_of(&d);
    if (fixture_open(f)) return 1;
    for (int i = 0;; i++) {
        int64_t build, number;
        gr_doomed_table *old;
        size_t n;
        char table[32];
        if (gr_catalog_build_begin(f->catalog, 1, &plan, at(1), &build, &number, &f->err)) return 2;
        if (i == 0 && write(told, "b", 1) != 1) return 3;
        snprintf(table, sizeof table, "t%lld", (long long)number);
        if (gr_catalog_build_table(f->catalog, build, gr_str_from(table), &f->err)) return 4;
        if (gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), at(1), f->arena, &old, &n, &f->err)) return 5;
    }
}

static void check_after_the_kill(fixture *f, int64_t id) {
    size_t n, n_done = 0;
    gr_build_row *rows = builds_of(f, id, &n);
    gr_preagg_row row = got(f, id);
    for (size_t i = 0; i < n; i++) {
        assert_int_not_equal(rows[i].status, GR_BUILD_RUNNING);
        n_done += rows[i].status == GR_BUILD_DONE;
        if (i) assert_true(rows[i].number < rows[i - 1].number);
        if (rows[i].status == GR_BUILD_DONE) assert_int_equal(rows[i].number, row.serving.number);
        if (rows[i].status == GR_BUILD_DONE)
            assert_str(rows[i].table_name, gr_arena_printf(f->arena, "t%lld", (long long)rows[i].number).p);
    }
    assert_int_equal(n_done, row.has_serving);
    assert_true(n > 0);
    assert_int_equal(row.status, rows[0].status == GR_BUILD_DONE ? GR_PREAGG_ACTIVE : GR_PREAGG_FAILED);
    /* Each table that was made serves, or is on the list. */
    int64_t lost = raw_i64(f, "SELECT count(*) FROM builds b WHERE table_name <> '' AND status <> 'done' AND NOT EXISTS"
                              " (SELECT 1 FROM doomed_table d WHERE d.build_id = b.id)");
    assert_int_equal(lost, 0);
}

static void killed_while_building(fixture *f) {
    int64_t id = with_orders(f), last = 0;
    assert_int_equal(id, 1);
    fixture_close(f);
    for (int round = 0; round < 10; round++) {
        int told;
        pid_t pid = child(f, build_without_end, &told);
        char byte;
        assert_int_equal(read(told, &byte, 1), 1);
        close(told);
        nanosleep(&(struct timespec){.tv_nsec = 2900000L * round}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(exit_code_of(pid), 128 + SIGKILL);
        assert_ok(f, fixture_open(f)); /* at once: nobody waits for a lease */
        check_after_the_kill(f, id);
        size_t n;
        int64_t newest = builds_of(f, id, &n)[0].number;
        assert_true(newest > last);
        last = newest;
        fixture_close(f);
    }
}

static int build_and_wait(fixture *f, int told) {
    gr_preagg_decl d = main_decl(f);
    gr_build_plan plan = plan_of(&d);
    int64_t build, number;
    if (fixture_open(f)) return 1;
    if (gr_catalog_build_begin(f->catalog, 1, &plan, at(1), &build, &number, &f->err)) return 2;
    if (gr_catalog_build_table(f->catalog, build, GR_STR("half"), &f->err)) return 3;
    if (write(told, "b", 1) != 1) return 4;
    for (;;) pause();
}

/* The same while another handle lives: its next begin finds out. */
static void killed_beside_another(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    int64_t id = with_orders(f), build;
    int told;
    pid_t pid = child(f, build_and_wait, &told);
    char byte;
    assert_int_equal(read(told, &byte, 1), 1);
    close(told);
    assert_int_equal(kill(pid, SIGSTOP), 0); /* a process that stands still is no dead one */
    assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
    assert_int_equal(try_begin(f, f->catalog, id, &d, 2, &build), GR_ERR_PREAGG_MATERIALIZING);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(exit_code_of(pid), 128 + SIGKILL);
    gr_status status = GR_ERR_PREAGG_MATERIALIZING;
    for (int i = 0; i < 500 && status == GR_ERR_PREAGG_MATERIALIZING; i++) {
        status = try_begin(f, f->catalog, id, &d, 3, &build);
        if (status) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* a session takes a moment to end */
    }
    assert_int_equal(status, GR_OK);
    done(f, build, 4);
    size_t n;
    gr_doomed_table *tables = doomed(f, &n);
    assert_int_equal(n, 1);
    assert_str(tables[0].table_name, "half");
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 5, NULL, &f->err));
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1);
}

SUITE(suite_builds, CASE(life), CASE(numbers_count_per_entity), CASE(what_has_failed_stays_failed_when_nothing_is_done),
      CASE(publishing_returns_what_it_replaced), CASE(dropping), CASE(a_name_that_is_used_again), CASE(progress),
      CASE(held_by_a_handle), CASE(leases), CASE(killed_while_building), CASE(killed_beside_another))
