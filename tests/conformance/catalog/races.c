/* Many at once: threads on two handles, processes, and what must be one all the same. */
#include "conformance/catalog/suite.h"

#include <pthread.h>
#include <signal.h>

enum { N_WORKERS = 16 };

typedef struct worker {
    fixture *f;
    gr_catalog *catalog;
    pthread_barrier_t *start;
    int index;
    int n_done, n_refused;
    int64_t id;
    gr_status failed;
} worker;

static void run_all(fixture *f, worker *workers, void *(*work)(void *)) {
    pthread_t threads[N_WORKERS];
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, N_WORKERS), 0);
    gr_catalog *beside = second(f);
    for (int i = 0; i < N_WORKERS; i++) {
        workers[i] = (worker){.f = f, .catalog = i % 2 ? beside : f->catalog, .start = &start, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < N_WORKERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
}

/* Everybody declares the same new entity, and wants to build it. */
static void *declare_and_begin(void *object) {
    worker *w = object;
    gr_arena *arena = gr_arena_new();
    gr_preagg_decl d = decl_of(arena, "orders", "g1", "b", "a=1", "orders.main");
    const gr_node_decl node = node_of("orders", "c", "m");
    const gr_model_decl model = {&node, 1, &d, 1};
    gr_build_plan plan = plan_of(&d);
    gr_preagg_row *rows = NULL;
    int64_t build, number;
    pthread_barrier_wait(w->start);
    w->failed = gr_catalog_declare(w->catalog, &model, at(w->index), arena, NULL, &rows, NULL);
    if (!w->failed) {
        w->id = rows[0].id;
        gr_status status = gr_catalog_build_begin(w->catalog, w->id, &plan, at(1), &build, &number, NULL);
        w->n_done = status == GR_OK;
        w->n_refused = status == GR_ERR_PREAGG_MATERIALIZING;
    }
    gr_arena_free(arena);
    return NULL;
}

static void one_row_one_build(fixture *f) {
    worker workers[N_WORKERS];
    run_all(f, workers, declare_and_begin);
    int n_done = 0;
    for (int i = 0; i < N_WORKERS; i++) {
        assert_int_equal(workers[i].failed, GR_OK);
        assert_int_equal(workers[i].id, workers[0].id);
        assert_int_equal(workers[i].n_done + workers[i].n_refused, 1);
        n_done += workers[i].n_done;
    }
    assert_int_equal(n_done, 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM pre_aggregations"), 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM node"), 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM noderevision"), 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM builds"), 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server_declares"), 2);
}

/* Each worker builds an entity of its own, and takes its turn at one that all share. */
enum { N_ROUNDS = 6 };

static gr_status work_once(worker *w, int64_t id, gr_arena *arena) {
    int64_t build, number;
    gr_doomed_table *old;
    gr_preagg_row *rows;
    size_t n;
    const gr_preagg_filter all = {0};
    const gr_build_plan plan = {GR_STR("b"), GR_STR("s"), NULL, 0};
    gr_status status = gr_catalog_build_begin(w->catalog, id, &plan, at(1), &build, &number, NULL);
    w->n_refused += status == GR_ERR_PREAGG_MATERIALIZING;
    if (status == GR_ERR_PREAGG_MATERIALIZING) return GR_OK;
    GR_TRY(status);
    gr_str table = gr_arena_printf(arena, "t%lld_%lld", (long long)id, (long long)number);
    GR_TRY(gr_catalog_build_table(w->catalog, build, table, NULL));
    GR_TRY(gr_catalog_find(w->catalog, &all, arena, &rows, &n, NULL, NULL));
    GR_TRY(gr_catalog_build_done(w->catalog, build, 1, 1, GR_STR("{}"), at(1), arena, &old, &n, NULL));
    w->n_done++;
    return GR_OK;
}

static void *build_in_turn(void *object) {
    worker *w = object;
    gr_arena *arena = gr_arena_new();
    pthread_barrier_wait(w->start);
    for (int i = 0; i < N_ROUNDS && !w->failed; i++) {
        w->failed = work_once(w, w->index + 2, arena);
        if (!w->failed) w->failed = work_once(w, 1, arena);
    }
    gr_arena_free(arena);
    return NULL;
}

static void threads(fixture *f) {
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_preagg_decl d[N_WORKERS + 1];
    for (size_t i = 0; i < N_OF(d); i++) {
        gr_str grain = gr_arena_printf(f->arena, "g%zu", i);
        d[i] = decl_of(f->arena, "orders", grain.p, "b", "", "");
    }
    gr_preagg_row *rows = declared_by(f, f->catalog, &node, 1, d, N_OF(d), 1);
    for (size_t i = 0; i < N_OF(d); i++) assert_int_equal(rows[i].id, i + 1);
    worker workers[N_WORKERS];
    run_all(f, workers, build_in_turn);
    int n_done = 0;
    for (int i = 0; i < N_WORKERS; i++) {
        assert_int_equal(workers[i].failed, GR_OK);
        assert_int_equal(workers[i].n_done + workers[i].n_refused, 2 * N_ROUNDS);
        n_done += workers[i].n_done;
    }
    size_t n;
    rows = found(f, (gr_preagg_filter){0}, &n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].status, GR_PREAGG_ACTIVE);
        if (rows[i].id > 1) assert_int_equal(rows[i].serving.number, N_ROUNDS);
        gr_str table =
            gr_arena_printf(f->arena, "t%lld_%lld", (long long)rows[i].id, (long long)rows[i].serving.number);
        assert_true(gr_str_eq(rows[i].serving.table_name, table));
    }
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM builds"), n_done);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM builds WHERE status = 'done'"), n);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM doomed_table"), n_done - (int)n);
}

/* Processes that open a catalog that is not there yet, all at once. */
static int open_and_declare(fixture *f, int told) {
    (void)told;
    if (fixture_open(f)) return 1;
    gr_preagg_decl d = decl_of(f->arena, "orders", "g1", "b", "a=1", "orders.main");
    const gr_node_decl node = node_of("orders", "c", "m");
    const gr_model_decl model = {&node, 1, &d, 1};
    gr_preagg_row *rows;
    if (gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, &rows, &f->err)) return 2;
    int64_t id = rows[0].id;
    fixture_close(f);
    return id == 1 ? 0 : 3;
}

static void opened_by_many(fixture *f) {
    enum { N = 6 };
    pid_t pids[N];
    for (int i = 0; i < N; i++) pids[i] = child(f, open_and_declare, NULL);
    for (int i = 0; i < N; i++) assert_int_equal(exit_code_of(pids[i]), 0);
    assert_ok(f, fixture_open(f));
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM pre_aggregations"), 1);
    assert_int_equal(raw_i64(f, "SELECT max(number) FROM schema_migrations"), 7);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1); /* the others left the list */
}

SUITE(suite_races, CASE(one_row_one_build), CASE(threads), RAW_CASE(opened_by_many))
