/* What only PostgreSQL has: connections that are lost, servers that do not share a store, roles, schemas, passwords. */
#include "conformance/catalog/suite.h"
#include "unit/catalog/schemas.h"

#include <libpq-fe.h>
#include <time.h>

/* A handle whose sessions have a name of their own, so that a test can end them. */
static gr_catalog *named(fixture *f, const char *name) {
    gr_catalog *c = NULL;
    gr_str conninfo = gr_arena_printf(f->arena, "%s application_name=%s_%s", f->postgres, name, f->schema);
    gr_catalog_options options = fixture_options(f);
    options.postgres = conninfo;
    assert_ok(f, gr_catalog_open(&options, &c, &f->err));
    return c;
}

/* Ends its statements' session (LISTEN is the last of the other), or both. Waits until they are gone. */
static void end_sessions(fixture *f, const char *name, bool main, bool listener) {
    gr_str which = gr_arena_printf(f->arena, "application_name = '%s_%s' AND query %s", name, f->schema,
                                   main && listener ? "IS NOT NULL"
                                   : listener       ? "LIKE 'LISTEN%'"
                                                    : "NOT LIKE 'LISTEN%'");
    gr_str end = gr_arena_printf(
        f->arena, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE " GR_FMT, GR_ARG(which));
    gr_str left = gr_arena_printf(f->arena, "SELECT count(*) FROM pg_stat_activity WHERE " GR_FMT, GR_ARG(which));
    assert_int_equal(raw_i64(f, end.p), main + listener);
    for (int i = 0; i < 500 && raw_i64(f, left.p); i++) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(raw_i64(f, left.p), 0);
}

static gr_preagg_decl main_decl(fixture *f) { return decl_of(f->arena, "orders", "g1", "b", "a=1", "orders.main"); }

static void a_connection_is_lost(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_catalog *victim = named(f, "victim");
    int64_t id = declared_by(f, victim, &node, 1, &d, 1, 1)[0].id, build, other;
    assert_ok(f, try_begin(f, victim, id, &d, 2, &build));
    for (int both = 0; both < 2; both++) {
        bool is_changed = true, is_found = false;
        gr_preagg_row row;
        gr_doomed_table *old;
        size_t n;
        end_sessions(f, "victim", true, both);
        /* Its lock is free, and its lease runs: nobody takes the build away, and its declarations stay. */
        assert_ok(f, gr_catalog_heartbeat(f->catalog, 3, &is_changed, &f->err));
        assert_false(is_changed);
        assert_int_equal(try_begin(f, f->catalog, id, &d, 3, &other), GR_ERR_PREAGG_MATERIALIZING);
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 2);
        /* The call that finds it lost fails, the next one opens it again. */
        assert_int_equal(gr_catalog_get(victim, id, f->arena, &row, &is_found, &f->err), GR_ERR_CATALOG_IO);
        assert_true(*f->err.hint);
        assert_ok(f, gr_catalog_get(victim, id, f->arena, &row, &is_found, &f->err));
        assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
        assert_true(is_changed);
        assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
        assert_false(is_changed);
        /* It is told of changes again, and holds its lock again. */
        const gr_preagg_config config = {.strategy = gr_arena_printf(f->arena, "full%d", both)};
        assert_ok(f, gr_catalog_configure(f->catalog, id, &config, at(4), f->arena, &row, &f->err));
        for (int i = 0; i < 1000 && !is_changed; i++) {
            assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
        assert_true(is_changed);
        end_leases(f, "server");
        assert_ok(f, gr_catalog_heartbeat(f->catalog, 5, NULL, &f->err));
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 2);
        assert_ok(f, gr_catalog_heartbeat(victim, 5, NULL, &f->err));
        assert_ok(f, gr_catalog_build_done(victim, build, 1, 1, GR_STR("{}"), at(6), f->arena, &old, &n, &f->err));
        assert_status(f, id, "active");
        assert_ok(f, try_begin(f, victim, id, &d, 7, &build));
    }
    gr_catalog_close(victim);
}

/* Lost for longer than its lease: it is dead to the others, and when it is back it is on the list as a newcomer that
 * declares what it declared. */
static void lost_for_too_long(fixture *f) {
    gr_preagg_decl d = main_decl(f);
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_catalog *victim = named(f, "victim");
    int64_t id = declared_by(f, victim, &node, 1, &d, 1, 1)[0].id, build;
    assert_ok(f, try_begin(f, victim, id, &d, 2, &build));
    end_sessions(f, "victim", true, true);
    end_leases(f, "server");
    bool is_changed = false;
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 3, &is_changed, &f->err));
    assert_true(is_changed);
    assert_status(f, id, "failed");
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1);
    gr_doomed_table *old;
    size_t n;
    gr_status status = GR_ERR_CATALOG_IO;
    for (int i = 0; i < 2 && status == GR_ERR_CATALOG_IO; i++)
        status = gr_catalog_build_done(victim, build, 1, 1, GR_STR("{}"), at(4), f->arena, &old, &n, &f->err);
    assert_int_equal(status, GR_ERR_PREAGG_BUILD);
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 2);
    gr_preagg_row row = got(f, id);
    assert_int_equal(row.decl.n_declared_by, 1);
    assert_int_equal(row.status, GR_PREAGG_FAILED);
    gr_catalog_close(victim);
}

static void only_the_listener_is_lost(fixture *f) {
    gr_catalog *victim = named(f, "victim");
    bool is_changed = true;
    assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
    assert_false(is_changed);
    end_sessions(f, "victim", false, true);
    assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
    assert_true(is_changed);
    assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
    assert_false(is_changed);
    assert_ok(f, gr_catalog_heartbeat(victim, 1, NULL, &f->err)); /* listens again */
    assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
    assert_true(is_changed); /* something may have been missed */
    assert_ok(f, gr_catalog_changed(victim, &is_changed, &f->err));
    assert_false(is_changed);
    gr_catalog_close(victim);
}

static void lost_at_the_end(fixture *f) {
    gr_catalog *victim = named(f, "victim");
    end_sessions(f, "victim", true, true);
    gr_catalog_close(victim); /* says nothing, waits for nothing */
    end_leases(f, "server");
    assert_ok(f, gr_catalog_heartbeat(f->catalog, 1, NULL, &f->err));
    assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1);
}

static void stores(fixture *f) {
    static const struct {
        const char *store;
        bool is_shared;
        gr_status status;
    } cases[] = {
        {"/shared/store", true, GR_OK},
        {"/shared/store", false, GR_ERR_STORE_NOT_SHARED},
        {"/other/store", true, GR_ERR_STORE_NOT_SHARED},
        {"/other/store", false, GR_ERR_STORE_NOT_SHARED},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_catalog *c = NULL;
        gr_catalog_options options = fixture_options(f);
        options.store = gr_str_from(cases[i].store);
        options.is_store_shared = cases[i].is_shared;
        options.server = GR_STR("there:2");
        assert_int_equal(gr_catalog_open(&options, &c, &f->err), cases[i].status);
        if (cases[i].status) {
            assert_null(c);
            assert_non_null(strstr(f->err.message, "here:1"));
            assert_true(*f->err.hint);
        }
        gr_catalog_close(c);
        assert_int_equal(raw_i64(f, "SELECT count(*) FROM server"), 1);
    }
    /* A dead one's store is nobody's. */
    fixture_close(f);
    gr_catalog_options alone = fixture_options(f);
    alone.is_store_shared = false;
    assert_ok(f, gr_catalog_open(&alone, &f->catalog, &f->err));
    assert_int_equal(fixture_open_at(f, &f->second), GR_ERR_STORE_NOT_SHARED);
}

static void upgrades(fixture *f) {
    static const char *const cases[] = {NUMBER_4(ID_POSTGRES), NUMBER_5(ID_POSTGRES)};
    static const char counted[] = "SELECT setval(pg_get_serial_sequence('node', 'id'), 100),"
                                  " setval(pg_get_serial_sequence('noderevision', 'id'), 100),"
                                  " setval(pg_get_serial_sequence('builds', 'id'), 100),"
                                  " setval(pg_get_serial_sequence('pre_aggregations', 'id'), 100)";
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_str make =
            gr_arena_printf(f->arena, "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s", f->schema, f->schema);
        raw_exec(f, make.p);
        raw_exec(f, cases[i]);
        raw_exec(f, counted);
        assert_ok(f, fixture_open(f));
        assert_int_equal(raw_i64(f, "SELECT max(number) FROM schema_migrations"), 7);
        upgraded_from_4(f);
        fixture_close(f);
    }
}

static void refused_schemas(fixture *f) {
    static const struct {
        const char *sql;
        gr_status status;
        const char *part;
    } cases[] = {
        {"CREATE TABLE songs (id INTEGER)", GR_ERR_CATALOG_IO, "another program"},
        {"CREATE TABLE schema_migrations (number BIGINT); INSERT INTO schema_migrations VALUES (99)",
         GR_ERR_CATALOG_VERSION, "number 99"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        gr_str make =
            gr_arena_printf(f->arena, "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s; SET search_path TO %s;%s",
                            f->schema, f->schema, f->schema, cases[i].sql);
        raw_exec(f, make.p);
        assert_int_equal(fixture_open(f), cases[i].status);
        assert_non_null(strstr(f->err.message, cases[i].part));
        assert_true(*f->err.hint);
        assert_null(f->catalog);
        gr_str count = gr_arena_printf(f->arena,
                                       "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid ="
                                       " c.relnamespace WHERE n.nspname = '%s' AND c.relkind = 'r'",
                                       f->schema);
        assert_int_equal(raw_i64(f, count.p), 1);
    }
    gr_catalog_options options = fixture_options(f);
    static const char long_name[] = "x123456789012345678901234567890123456789012345678901234567890123";
    options.schema = gr_str_from(long_name);
    assert_int_equal(gr_catalog_open(&options, &f->catalog, &f->err), GR_ERR_LIMIT);
}

static void odd_schema_names(fixture *f) {
    static const char *const names[] = {"A b", "a\"b", "a'b; DROP", "\xc3\xa9"};
    for (size_t i = 0; i < N_OF(names); i++) {
        gr_catalog_options options = fixture_options(f);
        gr_catalog *c = NULL, *beside = NULL;
        gr_str name = gr_arena_printf(f->arena, "%s %s", f->schema, names[i]);
        options.schema = name;
        assert_ok(f, gr_catalog_open(&options, &c, &f->err));
        assert_ok(f, gr_catalog_open(&options, &beside, &f->err));
        const gr_node_decl node = node_of("orders", "c", "m");
        declared_by(f, c, &node, 1, NULL, 0, 1);
        bool is_changed = false;
        for (int j = 0; j < 1000 && !is_changed; j++) {
            assert_ok(f, gr_catalog_changed(beside, &is_changed, &f->err));
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
        assert_true(is_changed);
        gr_catalog_close(c);
        gr_catalog_close(beside);
        PGconn *conn = PQconnectdb(f->postgres);
        char *quoted = PQescapeIdentifier(conn, name.p, name.n);
        gr_str drop = gr_arena_printf(f->arena, "DROP SCHEMA %s CASCADE", quoted);
        PQfreemem(quoted);
        PQfinish(conn);
        raw_exec(f, drop.p);
    }
}

/* A role that may do less than a catalog needs, and one for which a schema was made. */
static void roles(fixture *f) {
    gr_str role = gr_arena_printf(f->arena, "r_%s", f->schema);
    raw_exec(f, gr_arena_printf(f->arena, "CREATE ROLE %s LOGIN", role.p).p);
    gr_catalog_options options = fixture_options(f);
    options.postgres = gr_arena_printf(f->arena, "%s user=%s", f->postgres, role.p);
    gr_catalog *c = NULL;
    assert_int_equal(gr_catalog_open(&options, &c, &f->err), GR_ERR_CATALOG_IO);
    assert_string_equal(f->err.engine_state, "42501");
    assert_non_null(strstr(f->err.message, "may not be used by this role"));
    assert_true(*f->err.hint);
    raw_exec(f, gr_arena_printf(f->arena, "CREATE SCHEMA %s AUTHORIZATION %s", f->schema, role.p).p);
    assert_ok(f, gr_catalog_open(&options, &c, &f->err));
    gr_catalog_close(c);
    c = NULL;
    /* Read-only: as on a standby. */
    raw_exec(f, gr_arena_printf(f->arena, "ALTER ROLE %s SET default_transaction_read_only = on", role.p).p);
    assert_int_equal(gr_catalog_open(&options, &c, &f->err), GR_ERR_CATALOG_IO);
    assert_non_null(strstr(f->err.message, "read-only"));
    raw_exec(f, gr_arena_printf(f->arena, "DROP OWNED BY %s; DROP ROLE %s", role.p, role.p).p);
    assert_null(c);
}

/* Somebody else's transaction holds the catalog: reading goes on, writing waits and then says so. */
static void held_by_another(fixture *f) {
    PGconn *conn = PQconnectdb(f->postgres);
    gr_str sql = gr_arena_printf(f->arena, "SET search_path TO %s; BEGIN; LOCK TABLE schema_migrations", f->schema);
    PGresult *result = PQexec(conn, sql.p);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    gr_preagg_row *rows;
    size_t n;
    const gr_preagg_filter all = {0};
    const gr_node_decl node = node_of("orders", "c", "m");
    const gr_model_decl model = {&node, 1, NULL, 0};
    gr_status read = gr_catalog_find(f->catalog, &all, f->arena, &rows, &n, NULL, &f->err);
    gr_status written = gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, NULL, &f->err);
    PQfinish(conn); /* before anything can fail: who cleans up must not wait for it */
    assert_int_equal(read, GR_OK);
    assert_int_equal(written, GR_ERR_CATALOG_IO);
    assert_non_null(strstr(f->err.message, "held by another process"));
    declared_by(f, f->catalog, &node, 1, NULL, 0, 2); /* and goes on afterwards */
}

SUITE(suite_postgres, CASE(a_connection_is_lost), CASE(lost_for_too_long), CASE(only_the_listener_is_lost),
      CASE(lost_at_the_end), CASE(stores), RAW_CASE(upgrades), RAW_CASE(refused_schemas), RAW_CASE(odd_schema_names),
      RAW_CASE(roles), CASE(held_by_another))
