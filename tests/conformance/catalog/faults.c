/* kill -9 at each named fault point (base/fault.h): what whoever opens the catalog next finds is whole, either all of
 * the call or nothing of it. Only in a build with GRANARY_FAULTS; else these tests are skipped, and say so. */
#include "conformance/catalog/suite.h"
#include "unit/catalog/schemas.h"

#include <signal.h>

#ifdef GRANARY_FAULTS
enum { IS_ON = 1 };
#else
enum { IS_ON = 0 };
#endif

static void need_faults(void) {
    if (IS_ON) return;
    print_message("built without GRANARY_FAULTS: skipped\n");
    skip();
}

static gr_preagg_decl main_decl(fixture *f) { return decl_of(f->arena, "orders", "g1", "b", "a=1", "orders.main"); }

/* Everything that can be done to an entity, in one process that dies on the way. */
static int live_and_die(fixture *f, int told) {
    (void)told;
    gr_preagg_decl d = main_decl(f);
    gr_build_plan plan = plan_of(&d);
    const gr_node_decl node = node_of("orders", "c", "m");
    const gr_model_decl model = {&node, 1, &d, 1}, nothing = {&node, 1, NULL, 0};
    gr_doomed_table *tables;
    int64_t build, number;
    size_t n;
    if (fixture_open(f)) return 1;
    if (gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, NULL, &f->err)) return 2;
    if (gr_catalog_build_begin(f->catalog, 1, &plan, at(2), &build, &number, &f->err)) return 3;
    if (gr_catalog_build_table(f->catalog, build, GR_STR("t1"), &f->err)) return 4;
    if (gr_catalog_build_done(f->catalog, build, 1, 1, GR_STR("{}"), at(3), f->arena, &tables, &n, &f->err)) return 5;
    if (gr_catalog_declare(f->catalog, &nothing, at(4), f->arena, NULL, NULL, &f->err)) return 6;
    if (gr_catalog_remove(f->catalog, 1, at(5), f->arena, &tables, &n, &f->err)) return 7;
    fixture_close(f);
    return 0;
}

static void die_at(fixture *f, const char *point, int (*run)(fixture *f, int told)) {
    setenv("GRANARY_FAULT", gr_arena_printf(f->arena, "%s=kill", point).p, 1);
    int code = exit_code_of(child(f, run, NULL));
    unsetenv("GRANARY_FAULT");
    if (code != 128 + SIGKILL) print_error("%s was not passed: %d\n", point, code);
    assert_int_equal(code, 128 + SIGKILL);
}

static void empty(fixture *f) {
    if (!f->postgres) {
        unlink(f->file);
        unlink(gr_arena_printf(f->arena, "%s-wal", f->file).p);
        unlink(gr_arena_printf(f->arena, "%s-shm", f->file).p);
        return;
    }
    raw_exec(f, gr_arena_printf(f->arena, "DROP SCHEMA IF EXISTS %s CASCADE", f->schema).p);
}

static void killed_in_a_life(fixture *f) {
    static const struct {
        const char *point, *status; /* status NULL: there is no entity */
        int64_t n_builds, n_doomed;
    } cases[] = {
        {"catalog.declare.before_commit", NULL, 0, 0},          {"catalog.declare.after_commit", "pending", 0, 0},
        {"catalog.build_begin.before_commit", "pending", 0, 0}, {"catalog.build_begin.after_commit", "failed", 1, 0},
        {"catalog.build_done.before_commit", "failed", 1, 1},   {"catalog.build_done.after_commit", "active", 1, 0},
        {"catalog.remove.before_commit", "stale", 1, 0},        {"catalog.remove.after_commit", NULL, 0, 1},
    };
    need_faults();
    for (size_t i = 0; i < N_OF(cases); i++) {
        empty(f);
        die_at(f, cases[i].point, live_and_die);
        assert_ok(f, fixture_open(f));
        size_t n;
        gr_preagg_row *rows = found(f, (gr_preagg_filter){0}, &n);
        assert_int_equal(n, cases[i].status != NULL);
        if (n) assert_str(gr_preagg_status_name(rows[0].status), cases[i].status);
        if (n) assert_int_equal(rows[0].has_serving, cases[i].n_builds && strcmp(cases[i].status, "failed") != 0);
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM builds"), cases[i].n_builds);
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM doomed_table"), cases[i].n_doomed);
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM preagg_term"), n ? 3 : 0);
        gr_preagg_decl d = main_decl(f); /* and it goes on */
        int64_t id = declared(f, "c", &d, 10).id;
        built(f, id, &d, 11);
        assert_status(f, id, "active");
        fixture_close(f);
    }
}

/* A build that has nothing to do, which only another server brings about: one of the entity is running, or none was. */
static int begin_and_cancel(fixture *f, int told) {
    (void)told;
    gr_preagg_decl d = main_decl(f);
    gr_build_plan plan = plan_of(&d);
    int64_t build, number;
    if (fixture_open(f)) return 1;
    int64_t id = declared(f, "c", &d, 1).id;
    if (gr_catalog_build_begin(f->catalog, id, &plan, at(2), &build, &number, &f->err)) return 2;
    if (gr_catalog_build_cancel(f->catalog, build, at(3), &f->err)) return 3;
    fixture_close(f);
    return 0;
}

static void killed_in_a_cancel(fixture *f) {
    static const struct {
        const char *point, *status;
        int64_t n_builds;
    } cases[] = {{"catalog.build_cancel.before_commit", "failed", 1},
                 {"catalog.build_cancel.after_commit", "pending", 0}};
    need_faults();
    for (size_t i = 0; i < N_OF(cases); i++) {
        empty(f);
        die_at(f, cases[i].point, begin_and_cancel);
        assert_ok(f, fixture_open(f));
        gr_preagg_decl d = main_decl(f);
        int64_t id = declared(f, "c", &d, 10).id;
        assert_status(f, id, cases[i].status);
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM builds"), cases[i].n_builds);
        built(f, id, &d, 11);
        assert_status(f, id, "active");
        fixture_close(f);
    }
}

static int only_open(fixture *f, int told) {
    (void)told;
    return fixture_open(f) ? 1 : 0;
}

static void killed_in_a_migration(fixture *f) {
    static const struct {
        const char *point;
        int64_t number;
    } cases[] = {
        {"catalog.migrate.4.before_commit", 3}, {"catalog.migrate.4.after_commit", 4},
        {"catalog.migrate.5.before_commit", 4}, {"catalog.migrate.5.after_commit", 5},
        {"catalog.migrate.6.before_commit", 5}, {"catalog.migrate.6.after_commit", 6},
        {"catalog.migrate.7.before_commit", 6}, {"catalog.migrate.7.after_commit", 7},
    };
    need_faults();
    for (size_t i = 0; i < N_OF(cases); i++) {
        empty(f);
        if (!f->postgres) raw_exec(f, NUMBER_3);
        die_at(f, cases[i].point, only_open);
        int64_t number = raw_i64(f, "SELECT max(number) FROM schema_migrations");
        assert_int_equal(number, f->postgres && cases[i].number == 3 ? 0 : cases[i].number);
        assert_ok(f, fixture_open(f));
        assert_int_equal(raw_i64(f, "SELECT max(number) FROM schema_migrations"), 7);
        if (!f->postgres) assert_str(got(f, 7).serving.table_name, "serves");
        gr_preagg_decl d = main_decl(f);
        assert_int_equal(declared(f, "c", &d, 10).status, GR_PREAGG_PENDING);
        fixture_close(f);
    }
}

SUITE(suite_faults, RAW_CASE(killed_in_a_life), RAW_CASE(killed_in_a_cancel), RAW_CASE(killed_in_a_migration))
