/* The file: what is found on disk when a catalog is opened, and what becomes of it. Databases of earlier numbers are
 * written here by hand, so that a released migration that is changed afterwards is noticed. */
#include "unit/catalog/catalog_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void raw_exec(const fixture *f, const char *sql) {
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static int raw_code(const fixture *f, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

static gr_str raw_text(fixture *f, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    gr_str text = gr_arena_dup(f->arena, gr_str_from((const char *)sqlite3_column_text(s, 0)));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return text;
}

#define NUMBER_0                                                                                                       \
    "CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL);"
#define NUMBER_1                                                                                                       \
    NUMBER_0                                                                                                           \
    "CREATE TABLE node (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version TEXT NOT NULL);"                    \
    "CREATE TABLE pre_aggregations (id INTEGER PRIMARY KEY AUTOINCREMENT,"                                             \
    " source_node_id INTEGER NOT NULL REFERENCES node (id), grain_hash TEXT NOT NULL, grain_columns TEXT NOT NULL,"    \
    " measures TEXT NOT NULL, source_node_version TEXT NOT NULL, table_hash TEXT NOT NULL,"                            \
    " status TEXT NOT NULL DEFAULT 'pending', materialized_at INTEGER, materialization_error TEXT,"                    \
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"                                                       \
    " CONSTRAINT uq_pre_agg_identity UNIQUE (source_node_id, grain_hash, source_node_version));"                       \
    "INSERT INTO schema_migrations VALUES (1, 'one', 100);"                                                            \
    "INSERT INTO node VALUES (1, 'orders', 'v1.0');"                                                                   \
    "INSERT INTO pre_aggregations VALUES (7, 1, '0cc175b9c0f1b6a831c399e269772661', '[\"orders.status\"]',"            \
    " '[\"orders.count\"]', 'v1.0', '0123456789abcdef', 'active', 300, NULL, 200, 300);"
#define NUMBER_2                                                                                                       \
    NUMBER_1                                                                                                           \
    "ALTER TABLE pre_aggregations ADD COLUMN declared_by TEXT NOT NULL DEFAULT '[]';"                                  \
    "ALTER TABLE pre_aggregations ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';"                                      \
    "ALTER TABLE pre_aggregations ADD COLUMN structure_hash TEXT NOT NULL DEFAULT '';"                                 \
    "ALTER TABLE pre_aggregations ADD COLUMN store TEXT NOT NULL DEFAULT 'embedded';"                                  \
    "ALTER TABLE pre_aggregations ADD COLUMN is_retired INTEGER NOT NULL DEFAULT 0;"                                   \
    "UPDATE pre_aggregations SET declared_by = '[\"orders.main\"]', structure_hash = 'abcd';"                          \
    "INSERT INTO schema_migrations VALUES (2, 'two', 200);"

static void test_new_file(void **state) {
    fixture *f = *state;
    assert_ok(f, fixture_open(f));
    assert_str(raw_text(f, "PRAGMA journal_mode"), "wal");
    assert_str(raw_text(f, "SELECT group_concat(number) FROM schema_migrations"), "1,2,3");
    assert_str(raw_text(f, "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%CONSTRAINT uq_pre_agg_identity UNIQUE "
                           "(source_node_id, grain_hash, source_node_version)%'"),
               "1");
    /* What the code promises, the file holds too. */
    raw_exec(f, "INSERT INTO node VALUES (1, 'n', 'v1')");
    const char *const refused[] = {
        "PRAGMA foreign_keys = ON; INSERT INTO pre_aggregations (source_node_id, grain_hash, grain_columns, measures,"
        " source_node_version, table_hash, created_at, updated_at) VALUES (9, 'h', '[]', '[]', 'v', 't', 1, 1)",
        "INSERT INTO pre_aggregations (source_node_id, grain_hash, grain_columns, measures, source_node_version,"
        " table_hash, status, created_at, updated_at) VALUES (1, 'h', '[]', '[]', 'v', 't', 'odd', 1, 1)",
        "INSERT INTO pre_aggregations (source_node_id, grain_hash, grain_columns, measures, source_node_version,"
        " table_hash, created_at, updated_at) VALUES (1, 'h', 'x', '[]', 'v', 't', 1, 1)",
        "INSERT INTO pre_aggregations (source_node_id, grain_hash, grain_columns, measures, source_node_version,"
        " table_hash, created_at, updated_at) VALUES (1, 'h', '[]', '[]', 'v', 't', 1, 1), (1, 'h', '[]', '[]', 'v',"
        " 't', 1, 1)",
        "INSERT INTO builds (preagg_id, number, status, structure_hash, started_at) VALUES (1, 1, 'odd', 'h', 1)",
        "INSERT INTO builds (preagg_id, number, status, structure_hash, started_at) VALUES (1, 1, 'running', 'h', 1),"
        " (1, 2, 'running', 'h', 1)",
        "INSERT INTO builds (preagg_id, number, status, structure_hash, started_at) VALUES (1, 1, 'done', 'h', 1),"
        " (1, 1, 'done', 'h', 1)",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(raw_code(f, refused[i]), SQLITE_CONSTRAINT);
}

static void test_upgrades(void **state) {
    fixture *f = *state;
    const struct {
        const char *sql, *declared_by, *structure_hash;
        bool has_row;
    } cases[] = {
        {"", NULL, NULL, false},
        {NUMBER_0, NULL, NULL, false},
        {NUMBER_1, "[]", "", true},
        {NUMBER_2, "[\"orders.main\"]", "abcd", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unlink(f->file);
        raw_exec(f, cases[i].sql);
        assert_ok(f, fixture_open(f));
        assert_str(raw_text(f, "SELECT max(number) FROM schema_migrations"), "3");
        gr_preagg_row *rows;
        size_t n;
        assert_ok(f, gr_catalog_list(f->catalog, f->arena, &rows, &n, &f->err));
        assert_int_equal(n, cases[i].has_row);
        if (cases[i].has_row) {
            assert_int_equal(rows[0].id, 7);
            assert_int_equal(rows[0].status, GR_PREAGG_PENDING);
            assert_int_equal(rows[0].created_us, 200);
            assert_int_equal(rows[0].materialized_us, 0);
            assert_str(rows[0].decl.declared_by, cases[i].declared_by);
            assert_str(rows[0].decl.structure_hash, cases[i].structure_hash);
            assert_str(rows[0].decl.store, "embedded");
        }
        gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
        gr_preagg_row row = declared(f, &d, 1000);
        assert_true(cases[i].has_row ? row.id == 7 : row.id != 7);
        assert_str(row.decl.declared_by, "[\"orders.main\"]");
        done(f, begun(f, row.id, d.structure_hash, 2000), 3000);
        fixture_reopen(f);
        assert_int_equal(got(f, row.id).status, GR_PREAGG_ACTIVE);
        fixture_close(f);
    }
}

static gr_str file_bytes(const fixture *f) {
    FILE *in = fopen(f->file, "rb");
    assert_non_null(in);
    char *bytes = gr_arena_alloc(f->arena, 1 << 20);
    gr_str text = {bytes, fread(bytes, 1, 1 << 20, in)};
    fclose(in);
    return text;
}

static void write_file(const fixture *f, const char *bytes, size_t n) {
    FILE *out = fopen(f->file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

static void test_refused_files_are_not_touched(void **state) {
    fixture *f = *state;
    const struct {
        const char *sql;
        gr_status status;
        const char *part;
    } cases[] = {
        {NUMBER_0 "INSERT INTO schema_migrations VALUES (4, 'next year', 1)", GR_ERR_CATALOG_VERSION, "number 4"},
        {NUMBER_2 "INSERT INTO schema_migrations VALUES (4611686018427387904, 'far', 1)", GR_ERR_CATALOG_VERSION,
         "up to 3"},
        {"CREATE TABLE songs (id INTEGER)", GR_ERR_CATALOG_IO, "another program"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unlink(f->file);
        raw_exec(f, cases[i].sql);
        gr_str before = file_bytes(f);
        assert_int_equal(fixture_open(f), cases[i].status);
        assert_non_null(strstr(f->err.message, cases[i].part));
        assert_non_null(strstr(f->err.message, f->file));
        assert_true(*f->err.hint);
        assert_null(f->catalog);
        assert_true(gr_str_eq(before, file_bytes(f)));
    }
}

static void assert_refused(fixture *f, gr_status status, const char *part) {
    assert_int_equal(fixture_open(f), status);
    if (!strstr(f->err.message, part)) print_error("message: %s\n", f->err.message);
    assert_non_null(strstr(f->err.message, part));
    assert_true(*f->err.hint);
    assert_null(f->catalog);
}

static void test_damaged_files(void **state) {
    fixture *f = *state;
    write_file(
        f, "this is not a database, and it is long enough to be looked at for a header of one hundred bytes.....", 100);
    assert_refused(f, GR_ERR_CATALOG_IO, "is not a catalog");
    assert_string_equal(f->err.engine_state, "26");

    unlink(f->file);
    assert_ok(f, fixture_open(f));
    for (int i = 0; i < 50; i++) {
        char node[16];
        snprintf(node, sizeof node, "node%d", i);
        gr_preagg_decl d = decl_of(node, "v1.0", grain_a);
        declared(f, &d, 1);
    }
    fixture_close(f);
    gr_str good = file_bytes(f);
    assert_true(good.n > 5 * 4096);
    write_file(f, good.p, good.n / 2 / 4096 * 4096);
    assert_refused(f, GR_ERR_CATALOG_IO, "is damaged");
    char *bad = gr_arena_alloc(f->arena, good.n);
    for (size_t page = 0; page < good.n / 4096; page++) { /* half of one page, each in turn */
        memcpy(bad, good.p, good.n);
        memset(bad + page * 4096 + (page ? 0 : 100), 0x5a, 2048);
        write_file(f, bad, good.n);
        assert_int_equal(fixture_open(f), GR_ERR_CATALOG_IO);
    }
    write_file(f, good.p, good.n);
    assert_ok(f, fixture_open(f));

    /* Tables that carry our names and are not ours. */
    fixture_close(f);
    raw_exec(f, "ALTER TABLE builds RENAME COLUMN coverage TO covers");
    assert_refused(f, GR_ERR_CATALOG_IO, "has not the tables");
}

static void test_places(void **state) {
    fixture *f = *state;
    char folder[256];
    snprintf(folder, sizeof folder, "%s", f->folder);
    snprintf(f->file, sizeof f->file, "%s/nowhere/catalog.sqlite", folder);
    assert_refused(f, GR_ERR_CATALOG_IO, "No such file or directory");
    assert_non_null(strstr(f->err.message, "/nowhere,"));
    snprintf(f->file, sizeof f->file, "%s", folder);
    assert_refused(f, GR_ERR_CATALOG_IO, "is not a file");
    snprintf(f->file, sizeof f->file, "%s/plain", folder);
    write_file(f, "x", 1);
    snprintf(f->file, sizeof f->file, "%s/plain/catalog.sqlite", folder);
    assert_refused(f, GR_ERR_CATALOG_IO, "Not a directory");

    gr_catalog *c = NULL;
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path);
    const gr_str bad[] = {{0}, {"a\0b", 3}, GR_STR("\xff"), {long_path, sizeof long_path}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gr_catalog_open(bad[i], &c, i ? &f->err : NULL), GR_ERR_CATALOG_IO);
    assert_null(c);
    gr_catalog_close(NULL);
}

/* Names that mean something to SQLite are names of files here. */
static void test_special_names(void **state) {
    fixture *f = *state;
    char before[1024];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(f->folder), 0);
    const char *const names[] = {":memory:", "file:x?mode=memory", "catalog \xc3\xa9.sqlite"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_ok(f, gr_catalog_open(gr_str_from(names[i]), &f->catalog, &f->err));
        fixture_close(f);
        assert_int_equal(access(names[i], F_OK), 0);
    }
    assert_int_equal(chdir(before), 0);
}

/* Runs `step` in a child that is not root, for whom permissions mean something; its result is the exit code. */
static int as_nobody(fixture *f, int (*step)(fixture *)) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (getuid() == 0 && (setgid(65534) || setuid(65534))) _exit(99);
        _exit(step(f));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int expect_unwritable(fixture *f) {
    if (fixture_open(f) != GR_ERR_CATALOG_IO) return 1;
    if (!strstr(f->err.message, f->file)) return 2;
    if (!strstr(f->err.message, "Permission denied") && !strstr(f->err.message, "cannot be written")) return 3;
    return *f->err.hint ? 0 : 4;
}

static void test_read_only(void **state) {
    fixture *f = *state;
    assert_int_equal(chmod(f->folder, 0555), 0);
    assert_int_equal(as_nobody(f, expect_unwritable), 0); /* nothing there, and nothing can be made */
    assert_int_equal(chmod(f->folder, 0755), 0);
    assert_ok(f, fixture_open(f));
    fixture_close(f);
    assert_int_equal(chmod(f->folder, 0555), 0);
    assert_int_equal(as_nobody(f, expect_unwritable), 0);
    char lock[320];
    snprintf(lock, sizeof lock, "%s.lock", f->file);
    assert_int_equal(chmod(lock, 0666), 0);
    assert_int_equal(chmod(f->file, 0444), 0); /* the lock can be had, the file can not be written */
    assert_int_equal(as_nobody(f, expect_unwritable), 0);
    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(as_nobody(f, expect_unwritable), 0);
}

enum { FULL_ROWS = 40 };

static int fill_until_full(fixture *f) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {64 * 1024, 64 * 1024};
    if (setrlimit(RLIMIT_FSIZE, &limit)) return 1;
    for (int i = 0; i < 1000; i++) {
        char node[16];
        snprintf(node, sizeof node, "more%d", i);
        gr_preagg_decl d = decl_of(node, "v1.0", grain_a);
        gr_preagg_row row;
        gr_status status = gr_catalog_declare(f->catalog, &d, 1, f->arena, &row, &f->err);
        if (status == GR_OK) continue;
        if (status != GR_ERR_CATALOG_IO || !*f->err.hint) return 2;
        gr_preagg_row *rows; /* reading goes on */
        size_t n;
        return gr_catalog_list(f->catalog, f->arena, &rows, &n, &f->err) || n != (size_t)i ? 3 : 0;
    }
    return 4;
}

static int open_and_fill(fixture *f) {
    if (fixture_open(f)) return 5;
    return fill_until_full(f);
}

static void test_full_disk(void **state) {
    fixture *f = *state;
    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(as_nobody(f, open_and_fill), 0);
    assert_ok(f, fixture_open(f));
    gr_preagg_row *rows;
    size_t n;
    assert_ok(f, gr_catalog_list(f->catalog, f->arena, &rows, &n, &f->err));
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) assert_true(gr_str_starts(rows[i].decl.node, GR_STR("more")));
}

static void test_many_open_a_new_file_at_once(void **state) {
    fixture *f = *state;
    enum { N = 6 };
    pid_t pids[N];
    fflush(NULL);
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            gr_preagg_decl d = decl_of("orders", "v1.0", grain_a);
            gr_preagg_row row;
            if (fixture_open(f)) _exit(1);
            if (gr_catalog_declare(f->catalog, &d, 1, f->arena, &row, &f->err)) _exit(2);
            fixture_close(f);
            _exit(row.id == 1 ? 0 : 3);
        }
    }
    for (int i = 0; i < N; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_ok(f, fixture_open(f));
    assert_str(raw_text(f, "SELECT count(*) FROM pre_aggregations"), "1");
    assert_str(raw_text(f, "SELECT count(*) FROM schema_migrations"), "3");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_folder, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_new_file),      TEST(test_upgrades),  TEST(test_refused_files_are_not_touched),
        TEST(test_damaged_files), TEST(test_places),    TEST(test_special_names),
        TEST(test_read_only),     TEST(test_full_disk), TEST(test_many_open_a_new_file_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
