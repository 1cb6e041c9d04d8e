/* The list of servers: who is on it, what follows when one leaves or dies, and what the others are told. */
#include "conformance/catalog/suite.h"

#include <signal.h>
#include <time.h>

static gr_preagg_decl main_decl(fixture *f, const char *base) {
    return decl_of(f->arena, "orders", "g1", base, "a=1", "orders.main");
}

enum { A_WHILE = 20, AT_LAST = 1000 }; /* how often one looks for a notice that may be on its way: 0.1 and 5 s */

static bool is_told(fixture *f, gr_catalog *c, int looks) {
    bool is_changed = false;
    for (int i = 0; i < looks && !is_changed; i++) {
        assert_ok(f, gr_catalog_changed(c, &is_changed, &f->err));
        if (!is_changed) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return is_changed;
}

/* At most one more, and then nothing. */
static void forget(fixture *f, gr_catalog *c) {
    bool is_changed = true;
    for (int i = 0; i < 5 && is_changed; i++) is_changed = is_told(f, c, A_WHILE);
    assert_false(is_changed);
}

static void told_of_changes(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b"), more = decl_of(f->arena, "orders", "g2", "b2", "a=1", "");
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_catalog *beside = second(f);
    forget(f, f->catalog);
    forget(f, beside);
    int64_t id = declared(f, "c", &d, 1).id;
    assert_true(is_told(f, beside, AT_LAST));
    assert_false(is_told(f, beside, A_WHILE));     /* since the last call */
    assert_false(is_told(f, f->catalog, A_WHILE)); /* not of one's own */
    int64_t build = begun(f, id, &d, 2);
    assert_true(is_told(f, beside, AT_LAST));
    done(f, build, 3);
    assert_true(is_told(f, beside, AT_LAST));
    gr_preagg_row *rows, row;
    forget(f, f->catalog);
    declared_by(f, beside, &node, 1, &d, 1, 4);
    /* Another server with the same model is no news, though it is on the list now. */
    assert_int_equal(is_told(f, f->catalog, f->postgres ? A_WHILE : AT_LAST), !f->postgres);
    forget(f, f->catalog);
    assert_ok(f, gr_catalog_add(beside, &more, 1, NULL, at(5), f->arena, &rows, NULL, &f->err));
    assert_true(is_told(f, f->catalog, AT_LAST));
    const gr_preagg_config config = {.strategy = GR_STR("full")};
    assert_ok(f, gr_catalog_configure(beside, id, &config, at(6), f->arena, &row, &f->err));
    assert_true(is_told(f, f->catalog, AT_LAST));
    /* A write that failed is none. */
    assert_int_equal(gr_catalog_configure(beside, 99, &config, at(6), f->arena, &row, &f->err),
                     GR_ERR_PREAGG_NOT_FOUND);
    assert_false(is_told(f, f->catalog, A_WHILE));
    if (!f->postgres) return;
    /* What no snapshot shows is not told on PostgreSQL. */
    const int64_t hits = 3, last = 100;
    build = begun(f, id, &d, 7);
    assert_true(is_told(f, beside, AT_LAST));
    assert_ok(f, gr_catalog_note_served(f->catalog, &id, &hits, &last, 1, &f->err));
    assert_ok(f, gr_catalog_build_progress(f->catalog, build, 0.5, &f->err));
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 8, NULL, &f->err));
    declared_by(f, f->catalog, &node, 1, &d, 1, 9);
    assert_false(is_told(f, beside, A_WHILE));
}

static void hits(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b");
    int64_t id = declared(f, "c", &d, 1).id;
    const int64_t ids[] = {id, 4711, id}, hits[] = {3, 1, 4}, last[] = {200, 5, 100};
    assert_ok(f, gr_catalog_note_served(f->catalog, ids, hits, last, 3, &f->err));
    assert_int_equal(got(f, id).hits, 7);
    assert_int_equal(got(f, id).served_us, 200);
    assert_int_equal(got(f, id).updated_us, 1);
    assert_ok(f, gr_catalog_note_served(f->catalog, ids, hits, last, 0, &f->err));
    assert_int_equal(got(f, id).hits, 7);
}

static int declare_and_wait(fixture *f, int told) {
    if (fixture_open(f)) return 1;
    gr_preagg_decl d = decl_of(f->arena, "orders", "g2", "b2", "a=1", "orders.child");
    const gr_node_decl node = node_of("orders", "c", "m");
    const gr_model_decl model = {&node, 1, &d, 1};
    if (gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, NULL, &f->err)) return 2;
    if (write(told, "d", 1) != 1) return 3;
    for (;;) pause();
}

static void a_server_dies(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b");
    declared(f, "c", &d, 1);
    int told;
    pid_t pid = child(f, declare_and_wait, &told);
    char byte;
    assert_int_equal(read(told, &byte, 1), 1);
    close(told);
    size_t n;
    gr_preagg_row *rows = found(f, (gr_preagg_filter){0}, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[1].status, GR_PREAGG_PENDING);
    assert_str(rows[1].decl.declared_by[0], "orders.child");
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 2);
    bool is_changed = true;
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 2, &is_changed, &f->err));
    assert_false(is_changed);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(exit_code_of(pid), 128 + SIGKILL);
    is_changed = false;
    for (int i = 0; i < 500 && !is_changed; i++) {
        assert_ok(f, gr_catalog_heartbeat(f->catalog, 3, &is_changed, &f->err));
        if (!is_changed) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(is_changed);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1);
    rows = found(f, (gr_preagg_filter){0}, &n);
    assert_int_equal(rows[0].status, GR_PREAGG_PENDING);
    assert_int_equal(rows[1].status, GR_PREAGG_STALE);
    assert_int_equal(rows[1].decl.n_declared_by, 0);
    assert_int_equal(rows[1].updated_us, 3);
}

/* The only server crashed: whoever opens the catalog next finds everything as it was. */
static void the_only_server_died(fixture *f) {
    fixture_close(f);
    int told;
    pid_t pid = child(f, declare_and_wait, &told);
    char byte;
    assert_int_equal(read(told, &byte, 1), 1);
    close(told);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(exit_code_of(pid), 128 + SIGKILL);
    assert_ok(f, fixture_open(f));
    size_t n;
    gr_preagg_row *rows = found(f, (gr_preagg_filter){0}, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].status, GR_PREAGG_PENDING);
    assert_int_equal(rows[0].n_cubes, 1);
}

static void closing(fixture *f) {
    gr_preagg_decl d = main_decl(f, "b");
    int64_t id = declared(f, "c", &d, 1).id;
    built(f, id, &d, 2);
    fixture_reopen(f); /* nobody else was there */
    assert_status(f, id, "active");
    assert_int_equal(got(f, id).n_cubes, 1);
    declared(f, "c", &d, 3);
    second(f);
    forget(f, f->second);
    fixture_close(f);
    f->catalog = f->second;
    f->second = NULL;
    assert_true(is_told(f, f->catalog, AT_LAST));
    assert_status(f, id, "stale");
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server_declares"), 0);
    assert_int_equal(declared(f, "c", &d, 4).status, GR_PREAGG_ACTIVE);
    gr_catalog_close(NULL);
}

/* A handle that the others took for dead, for want of a lock and a lease, comes back with its next heartbeat. */
static void taken_for_dead(fixture *f) {
    gr_preagg_decl d[] = {main_decl(f, "b"), decl_of(f->arena, "orders", "g2", "b2", "a=1", "orders.gone")};
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_preagg_row *rows = declared_by(f, f->catalog, &node, 1, d, 2, 1);
    int64_t id = rows[0].id, gone = rows[1].id;
    built(f, id, &d[0], 2);
    gr_catalog *beside = second(f);
    raw_exec(f, "DELETE FROM server_declares");
    raw_exec(f, "DELETE FROM server WHERE started_at = (SELECT min(started_at) FROM server)");
    assert_ok(f, gr_catalog_heartbeat(beside, 3, NULL, &f->err));
    declared_by(f, beside, &node, 1, NULL, 0, 4);
    assert_str(gr_preagg_status_name(got_from(f, beside, id).status), "stale");
    assert_int_equal(got_from(f, beside, id).n_cubes, 0);
    gr_doomed_table *tables;
    size_t n;
    assert_ok(f, gr_catalog_remove(beside, gone, at(4), f->arena, &tables, &n, &f->err));
    bool is_changed = false;
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 5, &is_changed, &f->err));
    assert_true(is_changed);
    assert_status(f, id, "active");
    assert_int_equal(got(f, id).decl.n_declared_by, 1);
    assert_int_equal(got(f, id).n_cubes, 1);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 2);
}

/* Heartbeats of servers that have nothing to say do not make the others look. */
static void quiet_heartbeats(fixture *f) {
    gr_catalog *beside = second(f);
    forget(f, beside);
    for (int i = 0; i < 3; i++) assert_ok(f, gr_catalog_heartbeat(f->catalog, i, NULL, &f->err));
    assert_false(is_told(f, beside, A_WHILE));
}

static void opening_is_checked(fixture *f) {
    gr_catalog *c = NULL;
    const gr_catalog_options good = fixture_options(f);
    static char big[1100];
    memset(big, 'x', sizeof big);
    gr_catalog_options bad = good;
    bad.server = (gr_str){big, sizeof big};
    assert_int_equal(gr_catalog_open(&bad, &c, &f->err), GR_ERR_LIMIT);
    bad = good;
    bad.store = GR_STR("\xff");
    assert_int_equal(gr_catalog_open(&bad, &c, &f->err), GR_ERR_INTERNAL);
    assert_null(c);
}

SUITE(suite_servers, CASE(told_of_changes), CASE(hits), CASE(a_server_dies), CASE(the_only_server_died), CASE(closing),
      CASE(taken_for_dead), CASE(quiet_heartbeats), CASE(opening_is_checked))
