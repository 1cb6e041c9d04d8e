/* What every implementation of the catalog must do, through catalog.h alone: identity, life, numbering, publishing,
 * threads and sudden ends. */
#include "unit/catalog/catalog_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define HASH GR_STR("0123456789abcdef0123456789abcdef")

static gr_build_row *builds_of(fixture *f, int64_t preagg_id, size_t *ret_n) {
    gr_build_row *rows = NULL;
    assert_ok(f, gr_catalog_builds(f->catalog, preagg_id, f->arena, &rows, ret_n, &f->err));
    return rows;
}

static void test_identity(void **state) {
    fixture *f = *state;
    static const struct {
        const char *node, *version, *grain;
        int64_t id;
    } cases[] = {
        {"orders", "v1.0", grain_a, 1}, {"orders", "v1.0", grain_b, 2}, {"orders", "v1.1", grain_a, 3},
        {"users", "v1.0", grain_a, 4},  {"orders", "v1.0", grain_a, 1}, {"orders", "v1.0", grain_b, 2},
        {"orders", "v1.1", grain_a, 3}, {"users", "v1.0", grain_a, 4},  {"Orders", "v1.0", grain_a, 5},
    };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            gr_preagg_decl d = decl_of(cases[i].node, cases[i].version, cases[i].grain);
            assert_int_equal(declared(f, &d, 1000).id, cases[i].id);
        }
        fixture_reopen(f);
    }
    gr_preagg_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_list(f->catalog, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) assert_int_equal(rows[i].id, i + 1);
}

static void test_two_declarations_share_the_entity(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1000).id;
    d.declared_by = GR_STR("orders.second");
    gr_preagg_row row = declared(f, &d, 2000);
    assert_int_equal(row.id, id);
    assert_str(row.decl.declared_by, "[\"orders.main\",\"orders.second\"]");
    fixture_reopen(f);
    assert_str(got(f, id).decl.declared_by, "[\"orders.main\",\"orders.second\"]");
}

static void test_life(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1000).id, build, number;
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, HASH, 2000, &build, &number, &f->err));
    assert_int_equal(number, 1);
    assert_int_equal(got(f, id).status, GR_PREAGG_MATERIALIZING);
    assert_false(got(f, id).has_serving);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("store.t1"), &f->err));
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("no such table"), 3000, &f->err));
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    assert_str(row.error, "no such table");
    assert_int_equal(row.updated_us, 3000);
    assert_false(row.has_serving);

    assert_ok(f, gr_catalog_build_begin(f->catalog, id, HASH, 4000, &build, &number, &f->err));
    assert_int_equal(number, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("store.t2"), &f->err));
    gr_build_row *old;
    size_t n_old = 77;
    gr_str coverage = GR_STR("{\"orders.created_at\":[1,2]}");
    assert_ok(f, gr_catalog_build_done(f->catalog, build, 42, 4242, coverage, 5000, f->arena, &old, &n_old, &f->err));
    assert_int_equal(n_old, 0);
    row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_str(row.error, "");
    assert_int_equal(row.materialized_us, 5000);
    assert_true(row.has_serving);
    assert_int_equal(row.serving.id, build);
    assert_int_equal(row.serving.preagg_id, id);
    assert_int_equal(row.serving.number, 2);
    assert_int_equal(row.serving.status, GR_BUILD_DONE);
    assert_str(row.serving.table_name, "store.t2");
    assert_true(gr_str_eq(row.serving.structure_hash, HASH));
    assert_int_equal(row.serving.started_us, 4000);
    assert_int_equal(row.serving.finished_us, 5000);
    assert_int_equal(row.serving.rows, 42);
    assert_int_equal(row.serving.bytes, 4242);
    assert_str(row.serving.error, "");
    assert_true(gr_str_eq(row.serving.coverage, coverage));

    size_t n;
    gr_build_row *rows = builds_of(f, id, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].number, 2);
    assert_int_equal(rows[1].number, 1);
    assert_int_equal(rows[1].status, GR_BUILD_FAILED);
    assert_str(rows[1].error, "no such table");
    assert_str(rows[1].table_name, "store.t1");
    assert_int_equal(rows[1].finished_us, 3000);
}

static void test_numbers_count_per_entity(void **state) {
    fixture *f = *state;
    gr_preagg_decl a = decl_of("orders", "v1.0", grain_a), b = decl_of("orders", "v1.0", grain_b);
    const int64_t ids[] = {declared(f, &a, 1).id, declared(f, &b, 1).id};
    for (int i = 1; i <= 6; i++) {
        for (int which = 0; which < 2; which++) {
            int64_t build, number;
            assert_ok(f, gr_catalog_build_begin(f->catalog, ids[which], HASH, i, &build, &number, &f->err));
            assert_int_equal(number, i);
            if (i % 2)
                done(f, build, i);
            else
                assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("x"), i, &f->err));
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

static void test_publish_returns_what_it_replaced(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a), other = decl_of("users", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id, users = declared(f, &other, 1).id;
    done(f, begun(f, users, HASH, 2), 3);
    for (int i = 1; i <= 3; i++) {
        int64_t build = begun(f, id, HASH, 10 * i);
        gr_str table = gr_arena_printf(f->arena, "t%d", i), before = gr_arena_printf(f->arena, "t%d", i - 1);
        assert_ok(f, gr_catalog_build_table(f->catalog, build, table, &f->err));
        if (i > 1) assert_str(got(f, id).serving.table_name, before.p); /* until the moment of publishing */
        gr_build_row *old;
        size_t n;
        assert_ok(f,
                  gr_catalog_build_done(f->catalog, build, 1, 1, (gr_str){0}, 10 * i + 1, f->arena, &old, &n, &f->err));
        assert_int_equal(n, i > 1);
        if (n) {
            assert_str(old[0].table_name, before.p);
            assert_int_equal(old[0].status, GR_BUILD_DROPPED);
            assert_int_equal(old[0].number, i - 1);
        }
        assert_true(gr_str_eq(got(f, id).serving.table_name, table));
        assert_str(got(f, id).serving.coverage, "{}");
    }
    assert_true(got(f, users).has_serving);
}

static void test_drop_builds(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id, build = begun(f, id, HASH, 2);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("t1"), &f->err));
    done(f, build, 3);
    gr_build_row *rows;
    size_t n;
    for (size_t expected = 1;; expected = 0) {
        assert_ok(f, gr_catalog_drop_builds(f->catalog, id, 4, f->arena, &rows, &n, &f->err));
        assert_int_equal(n, expected);
        assert_int_equal(got(f, id).status, GR_PREAGG_PENDING);
        assert_int_equal(got(f, id).materialized_us, 0);
        assert_false(got(f, id).has_serving);
        if (!expected) break;
        assert_str(rows[0].table_name, "t1");
        assert_int_equal(rows[0].status, GR_BUILD_DROPPED);
    }
    int64_t number;
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, HASH, 5, &build, &number, &f->err));
    assert_int_equal(number, 2);
}

static void test_left_behind(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id;
    done(f, begun(f, id, HASH, 2), 3);
    int64_t build = begun(f, id, HASH, 4);
    assert_ok(f, gr_catalog_build_table(f->catalog, build, GR_STR("half"), &f->err));

    /* Whoever opens the file beside us leaves our build alone. */
    gr_catalog *second;
    assert_ok(f, gr_catalog_open(gr_str_from(f->file), &second, &f->err));
    assert_int_equal(got(f, id).status, GR_PREAGG_MATERIALIZING);
    int64_t other, number;
    assert_int_equal(gr_catalog_build_begin(second, id, HASH, 5, &other, &number, &f->err), GR_ERR_PREAGG_BUILD);

    /* When we are gone, whoever wants to build finds out, without opening again. */
    fixture_close(f);
    f->catalog = second;
    assert_int_equal(got(f, id).status, GR_PREAGG_MATERIALIZING);
    assert_ok(f, gr_catalog_build_begin(second, id, HASH, 6, &other, &number, &f->err));
    assert_int_equal(number, 3);

    /* And whoever opens it then finds the build failed. */
    fixture_reopen(f);
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    assert_str(row.error, "the process ended during the build");
    assert_int_equal(row.serving.number, 1);
    size_t n;
    gr_build_row *rows = builds_of(f, id, &n);
    assert_int_equal(n, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rows[i].status, GR_BUILD_FAILED);
        assert_str(rows[i].error, "the process ended during the build");
        assert_true(rows[i].finished_us > 0);
    }
    assert_str(rows[1].table_name, "half");
    /* Its builder, were it not dead after all, can not publish any more. */
    gr_build_row *old;
    assert_int_equal(gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), 7, f->arena, &old, &n, &f->err),
                     GR_ERR_PREAGG_BUILD);
}

/* Builds and publishes without end, in a process that will be killed. */
static void build_without_end(fixture *f, int64_t id, int told) {
    fixture_close(f);
    if (fixture_open(f)) _exit(1);
    for (int i = 0;; i++) {
        int64_t build, number;
        gr_build_row *old;
        size_t n;
        char table[32];
        if (gr_catalog_build_begin(f->catalog, id, HASH, 1, &build, &number, &f->err)) _exit(2);
        if (i == 0 && write(told, "b", 1) != 1) _exit(3);
        snprintf(table, sizeof table, "t%lld", (long long)number);
        if (gr_catalog_build_table(f->catalog, build, gr_str_from(table), &f->err)) _exit(4);
        if (gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), 1, f->arena, &old, &n, &f->err)) _exit(5);
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
}

static void test_killed_while_building(void **state) {
    fixture *f = *state;
    gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
    int64_t id = declared(f, &d, 1).id;
    int64_t last = 0;
    fixture_close(f);
    for (int round = 0; round < 12; round++) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) build_without_end(f, id, told[1]);
        close(told[1]);
        char byte;
        assert_int_equal(read(told[0], &byte, 1), 1);
        close(told[0]);
        nanosleep(&(struct timespec){.tv_nsec = 1700000L * round}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_ok(f, fixture_open(f));
        check_after_the_kill(f, id);
        size_t n;
        int64_t newest = builds_of(f, id, &n)[0].number;
        assert_true(newest > last);
        last = newest;
        fixture_close(f);
    }
}

typedef struct worker {
    gr_catalog *catalog;
    int index, n_done, n_refused;
    gr_status failed;
} worker;

enum { N_WORKERS = 6, N_ROUNDS = 25 };

/* Each worker builds an entity of its own, and takes its turn at one that all share. */
static gr_status work_once(worker *w, gr_arena *arena, const gr_preagg_decl *d) {
    gr_preagg_row row, *rows;
    int64_t build, number;
    gr_build_row *old;
    size_t n;
    GR_TRY(gr_catalog_declare(w->catalog, d, 1, arena, &row, NULL));
    gr_status status = gr_catalog_build_begin(w->catalog, row.id, HASH, 1, &build, &number, NULL);
    w->n_refused += status == GR_ERR_PREAGG_BUILD;
    if (status == GR_ERR_PREAGG_BUILD) return GR_OK;
    GR_TRY(status);
    GR_TRY(gr_catalog_build_table(w->catalog, build, GR_STR("t"), NULL));
    GR_TRY(gr_catalog_list(w->catalog, arena, &rows, &n, NULL));
    GR_TRY(gr_catalog_build_done(w->catalog, build, 1, 1, GR_STR("{}"), 1, arena, &old, &n, NULL));
    w->n_done++;
    return GR_OK;
}

static void *work(void *object) {
    worker *w = object;
    gr_arena *arena = gr_arena_new();
    char node[16];
    snprintf(node, sizeof node, "node%d", w->index);
    gr_preagg_decl own = decl_of(node, "v1.0", grain_a), shared = decl_of("shared", "v1.0", grain_a);
    for (int i = 0; i < N_ROUNDS && !w->failed; i++) {
        w->failed = work_once(w, arena, &own);
        if (!w->failed) w->failed = work_once(w, arena, &shared);
        gr_arena_reset(arena);
    }
    gr_arena_free(arena);
    return NULL;
}

static void test_threads(void **state) {
    fixture *f = *state;
    pthread_t threads[N_WORKERS];
    worker workers[N_WORKERS];
    gr_catalog *second; /* half of the workers come in by another handle, as another process would */
    assert_ok(f, gr_catalog_open(gr_str_from(f->file), &second, &f->err));
    for (int i = 0; i < N_WORKERS; i++) {
        workers[i] = (worker){.catalog = i % 2 ? second : f->catalog, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < N_WORKERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    gr_catalog_close(second);
    int n_shared = 0;
    for (int i = 0; i < N_WORKERS; i++) {
        assert_int_equal(workers[i].failed, GR_OK);
        assert_int_equal(workers[i].n_done + workers[i].n_refused, 2 * N_ROUNDS);
        n_shared += workers[i].n_done - N_ROUNDS;
    }
    gr_preagg_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_list(f->catalog, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, N_WORKERS + 1);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].status, GR_PREAGG_ACTIVE);
        assert_int_equal(rows[i].serving.number, gr_str_eq_z(rows[i].decl.node, "shared") ? n_shared : N_ROUNDS);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_two_declarations_share_the_entity),
        TEST(test_life),
        TEST(test_numbers_count_per_entity),
        TEST(test_publish_returns_what_it_replaced),
        TEST(test_drop_builds),
        TEST(test_left_behind),
        TEST(test_killed_while_building),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
