/* Runs every test of the suite on both databases, each in a folder or a schema of its own. */
#include "conformance/catalog/suite.h"
#include "postgres/server.h"

#include <libpq-fe.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

static catalog_tests (*const suites[])(void) = {suite_nodes,      suite_declare, suite_cubes, suite_builds,
                                                suite_partitions, suite_servers, suite_find,  suite_races,
                                                suite_faults,     suite_postgres};

/* ---- the PostgreSQL server ------------------------------------------------------------------------------------------
 */
static postgres_server server;

static int start_server(void **state) {
    (void)state;
    return postgres_start(&server);
}

static int stop_server(void **state) {
    (void)state;
    return postgres_stop(&server);
}

/* ---- behind the catalog's back
 * --------------------------------------------------------------------------------------- */
static PGconn *raw_connect(const fixture *f) {
    char sql[128];
    PGconn *conn = PQconnectdb(f->postgres);
    if (PQstatus(conn) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(conn));
    snprintf(sql, sizeof sql, "SET client_min_messages = warning; SET search_path TO %s", f->schema);
    PQclear(PQexec(conn, sql));
    return conn;
}

static int64_t run_postgres(const fixture *f, const char *sql) {
    PGconn *conn = raw_connect(f);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType code = PQresultStatus(result);
    if (code != PGRES_COMMAND_OK && code != PGRES_TUPLES_OK) fail_msg("%s: %s", sql, PQerrorMessage(conn));
    int64_t n = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(conn);
    return n;
}

static int take_first(void *ret, int n, char **values, char **names) {
    (void)n, (void)names;
    *(int64_t *)ret = values[0] ? strtoll(values[0], NULL, 10) : 0;
    return 0;
}

static int64_t run_sqlite(const fixture *f, const char *sql) {
    sqlite3 *db;
    char *message = NULL;
    int64_t n = 0;
    assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, sql, take_first, &n, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
    return n;
}

int64_t raw_i64(fixture *f, const char *sql) { return f->postgres ? run_postgres(f, sql) : run_sqlite(f, sql); }
void raw_exec(fixture *f, const char *sql) { raw_i64(f, sql); }

void end_leases(fixture *f, const char *table) {
    raw_exec(f, gr_arena_printf(f->arena, "UPDATE %s SET lease_until = 1", table).p);
}

/* ---- words
 * ----------------------------------------------------------------------------------------------------------- */
gr_catalog *second(fixture *f) {
    if (!f->second) assert_ok(f, fixture_open_at(f, &f->second));
    return f->second;
}

/* "pending" of {"status":"pending"}. */
static gr_str value_of(gr_str json) {
    size_t from = gr_str_find_str(json, GR_STR("\":\""));
    if (from == SIZE_MAX) return (gr_str){0};
    return gr_str_sub(json, from + 3, gr_str_find(json, '"', from + 3) - from - 3);
}

gr_str history_of(fixture *f, const char *entity_type, const char *node) {
    const gr_history_filter filter = {gr_str_from(entity_type), {0}, gr_str_from(node), 100000, 0};
    gr_history_row *rows;
    size_t n;
    gr_str text = {0};
    assert_ok(f, gr_catalog_history(f->catalog, &filter, f->arena, &rows, &n, &f->err));
    for (size_t i = n; i-- > 0;) {
        gr_str pre = value_of(rows[i].pre), post = value_of(rows[i].post);
        text = gr_arena_printf(f->arena, GR_FMT "%s" GR_FMT ":" GR_FMT " " GR_FMT ">" GR_FMT, GR_ARG(text),
                               text.n ? " | " : "", GR_ARG(rows[i].activity), GR_ARG(rows[i].entity_name), GR_ARG(pre),
                               GR_ARG(post));
    }
    return text;
}

pid_t child(fixture *f, int (*run)(fixture *f, int told), int *ret_told) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        f->catalog = f->second = NULL; /* the parent's; not to be touched here */
        _exit(run(f, ends[1]));
    }
    close(ends[1]);
    if (ret_told)
        *ret_told = ends[0];
    else
        close(ends[0]);
    return pid;
}

int exit_code_of(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

/* ---- running
 * --------------------------------------------------------------------------------------------------------- */
typedef struct one {
    const catalog_test *test;
    bool is_postgres;
    fixture *fixture;
} one;

static int set_up(void **state) {
    static int number;
    one *o = *state;
    void *made = NULL;
    if (o->is_postgres && !server.connection[0]) return 0;
    if (fixture_folder(&made)) return -1;
    o->fixture = made;
    if (o->is_postgres) {
        o->fixture->postgres = server.connection;
        snprintf(o->fixture->schema, sizeof o->fixture->schema, "granary_%d_%d", (int)getpid(), ++number);
    }
    if (o->test->is_raw || fixture_open(o->fixture) == GR_OK) return 0;
    print_error("%s\n", o->fixture->err.message);
    return -1;
}

static void run_one(void **state) {
    one *o = *state;
    if (!o->fixture) {
        print_message("no PostgreSQL server is installed: skipped\n");
        skip();
    }
    o->test->run(o->fixture);
}

static int tear_down(void **state) {
    one *o = *state;
    void *made = o->fixture;
    if (!made) return 0;
    fixture *f = o->fixture;
    gr_catalog_close(f->second);
    fixture_close(f);
    f->second = NULL;
    if (o->is_postgres) {
        PGconn *conn = PQconnectdb(server.connection);
        gr_str sql = gr_arena_printf(
            f->arena, "SET client_min_messages = warning; SET lock_timeout = 5000; DROP SCHEMA IF EXISTS %s CASCADE",
            f->schema);
        PQclear(PQexec(conn, sql.p));
        PQfinish(conn);
    }
    return fixture_teardown(&made);
}

int main(int argc, char **argv) {
    enum { MOST = 400 };
    static one ones[MOST];
    static struct CMUnitTest tests[MOST];
    static char names[MOST][128];
    size_t n = 0;
    for (size_t i = 0; i < N_OF(suites); i++) {
        catalog_tests suite = suites[i]();
        for (size_t j = 0; j < 2 * suite.n && n < MOST; j++) {
            ones[n] = (one){&suite.tests[j / 2], j % 2 != 0, NULL};
            if (suites[i] == suite_postgres && !ones[n].is_postgres) continue;
            snprintf(names[n], sizeof names[n], "%s [%s]", suite.tests[j / 2].name, j % 2 ? "postgres" : "sqlite");
            tests[n] = (struct CMUnitTest){names[n], run_one, set_up, tear_down, &ones[n]};
            n++;
        }
    }
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("catalog", tests, n, start_server, stop_server);
}
