/* The file: what is found on disk when a catalog is opened, and what becomes of it. Databases of earlier numbers are
 * written in schemas.h by hand, so that a released migration that is changed afterwards is noticed. */
#include "unit/catalog/catalog_fixture.h"
#include "unit/catalog/schemas.h"

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

static void test_new_file(void **state) {
    fixture *f = *state;
    assert_ok(f, fixture_open(f));
    assert_str(raw_text(f, "PRAGMA journal_mode"), "wal");
    assert_str(raw_text(f, "SELECT group_concat(number) FROM schema_migrations"), "1,2,3,4,5,6,7");
    assert_str(raw_text(f, "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%CONSTRAINT uq_pre_agg_identity UNIQUE "
                           "(source_node_id, grain_hash, source_node_version)%'"),
               "1");
    gr_preagg_decl d = decl_of(f->arena, "orders", "g1", "b1", "count=s1", "orders.main");
    declared(f, "c1", &d, 1);
    /* What the code promises, the file holds too. */
    const char *const refused[] = {
        "PRAGMA foreign_keys = ON; UPDATE pre_aggregations SET source_node_id = 9",
        "PRAGMA foreign_keys = ON; DELETE FROM node",
        "UPDATE pre_aggregations SET status = 'odd'",
        "UPDATE node SET type = 'odd'",
        "UPDATE noderevision SET mode = 'odd'",
        "INSERT INTO pre_aggregations (source_node_id, node_revision_id, grain_hash, grain_columns, n_grain, measures,"
        " source_node_version, table_hash, created_at, updated_at) VALUES (1, 1, 'g1', '[]', 0, '[]', 'v1.0', 't', 1,"
        " 1)",
        "INSERT INTO builds (preagg_id, number, status, structure_hash, started_at) VALUES (1, 1, 'odd', 'h', 1)",
        "INSERT INTO builds (preagg_id, number, status, structure_hash, started_at) VALUES (1, 1, 'running', 'h', 1),"
        " (1, 2, 'running', 'h', 1)",
        "INSERT INTO builds (preagg_id, number, status, structure_hash, started_at) VALUES (1, 1, 'done', 'h', 1),"
        " (1, 1, 'done', 'h', 1)",
        "INSERT INTO cube_pre_aggregation SELECT cube_id, pre_aggregation_id FROM cube_pre_aggregation",
    };
    for (size_t i = 0; i < N_OF(refused); i++) assert_int_equal(raw_code(f, refused[i]), SQLITE_CONSTRAINT);
}

/* ---- earlier numbers ------------------------------------------------------------------------------------------------
 */
/* Entity 7 goes on under its id: declared, built, served. */
static void goes_on(fixture *f, const char *node, const char *grain) {
    gr_preagg_decl d = decl_of(f->arena, node, grain, "base", "count=s9", "orders.main");
    gr_preagg_row row = declared(f, "c9", &d, 1000);
    assert_int_equal(row.id, 7);
    assert_int_equal(row.created_us, 200);
    assert_str(row.version, "v1.0");
    assert_true(row.is_current || row.status == GR_PREAGG_STALE);
    built(f, 7, &d, 3000);
    fixture_reopen(f);
    assert_status(f, 7, "active");
    assert_str(got(f, 7).serving.components[0].signature, "s9");
}

static void test_upgrade_from_nothing(void **state) {
    fixture *f = *state;
    const char *const cases[] = {"", NUMBER_0};
    for (size_t i = 0; i < N_OF(cases); i++) {
        unlink(f->file);
        raw_exec(f, cases[i]);
        assert_ok(f, fixture_open(f));
        assert_str(raw_text(f, "SELECT max(number) FROM schema_migrations"), "7");
        gr_preagg_decl d = decl_of(f->arena, "orders", "g", "b", "c=s", "orders.main");
        assert_int_equal(declared(f, "c", &d, 1).id, 1);
        fixture_close(f);
    }
}

static void test_upgrades_from_1_and_2(void **state) {
    fixture *f = *state;
    const char *const cases[] = {NUMBER_1, NUMBER_2};
    for (size_t i = 0; i < N_OF(cases); i++) {
        unlink(f->file);
        raw_exec(f, cases[i]);
        assert_ok(f, fixture_open(f));
        assert_str(raw_text(f, "SELECT max(number) FROM schema_migrations"), "7");
        gr_preagg_row row = got(f, 7);
        assert_int_equal(row.status, GR_PREAGG_PENDING); /* nothing says which table served */
        assert_int_equal(row.created_us, 200);
        assert_int_equal(row.materialized_us, 0);
        assert_str(row.decl.node, "orders");
        assert_str(row.version, "v1.0");
        assert_str(row.decl.structure_hash, i ? "abcd" : "");
        assert_str(row.decl.store, "embedded");
        assert_str(row.decl.components[0].name, "orders.count");
        assert_int_equal(row.n_cubes, i); /* the names that declared it linked its cube */
        size_t n;
        const gr_str measures[] = {GR_STR("Orders.Count")};
        found(f, (gr_preagg_filter){.measures = measures, .n_measures = 1, .current_only = true}, &n);
        assert_int_equal(n, 1);
        goes_on(f, "orders", "0cc175b9c0f1b6a831c399e269772661");
        fixture_close(f);
    }
}

static void test_upgrade_from_3(void **state) {
    fixture *f = *state;
    raw_exec(f, NUMBER_3);
    assert_ok(f, fixture_open(f));
    assert_str(raw_text(f, "SELECT max(number) FROM schema_migrations"), "7");
    gr_preagg_row row = got(f, 7);
    assert_int_equal(row.status, GR_PREAGG_ACTIVE);
    assert_true(row.has_serving);
    assert_int_equal(row.serving.id, 5);
    assert_int_equal(row.serving.number, 2);
    assert_str(row.serving.table_name, "serves");
    assert_int_equal(row.serving.rows, 12);
    assert_int_equal(row.serving.bytes, 345);
    assert_str(row.serving.coverage, "{\"orders.created_at\":[1,2]}");
    assert_status(f, 10, "stale");
    assert_false(got(f, 10).is_current);
    assert_status(f, 9, "failed"); /* whoever built it was an earlier Granary, which cannot finish it here */
    gr_doomed_table *doomed;
    size_t n;
    assert_ok(f, gr_catalog_doomed(f->catalog, f->arena, &doomed, &n, &f->err));
    assert_int_equal(n, 2);
    assert_str(doomed[0].table_name, "left");
    assert_str(doomed[1].table_name, "half");
    goes_on(f, "orders", "0cc175b9c0f1b6a831c399e269772661");
    assert_int_equal(got(f, 7).serving.number, 3);
    gr_node_row node;
    bool is_found;
    assert_ok(
        f, gr_catalog_node_get(f->catalog, GR_STR("orders"), (gr_str){0}, false, f->arena, &node, &is_found, &f->err));
    assert_true(is_found);
    assert_str(node.decl.content_hash, "c9"); /* no new version: the hashes were not known before */
    assert_str(node.current_version, "v1.0");
}

static void test_upgrades_from_4_and_5(void **state) {
    fixture *f = *state;
    const char *const cases[] = {NUMBER_4(ID_SQLITE), NUMBER_5(ID_SQLITE)};
    for (size_t i = 0; i < N_OF(cases); i++) {
        unlink(f->file);
        raw_exec(f, cases[i]);
        assert_ok(f, fixture_open(f));
        assert_str(raw_text(f, "SELECT max(number) FROM schema_migrations"), "7");
        upgraded_from_4(f);
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
        {NUMBER_0 "INSERT INTO schema_migrations VALUES (99, 'next year', 1)", GR_ERR_CATALOG_VERSION, "number 99"},
        {NUMBER_2 "INSERT INTO schema_migrations VALUES (4611686018427387904, 'far', 1)", GR_ERR_CATALOG_VERSION,
         "up to 7"},
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
        gr_preagg_decl d = decl_of(f->arena, node, "g", "b", "count=s", "");
        declared(f, "c", &d, 1);
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
    for (size_t i = 0; i < N_OF(bad); i++) {
        const gr_catalog_options options = {.file = bad[i]};
        assert_int_equal(gr_catalog_open(&options, &c, i ? &f->err : NULL), GR_ERR_CATALOG_IO);
    }
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
        const gr_catalog_options options = {.file = gr_str_from(names[i])};
        assert_ok(f, gr_catalog_open(&options, &f->catalog, &f->err));
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

static gr_status declare_number(fixture *f, int i) {
    char name[16];
    snprintf(name, sizeof name, "more%d", i);
    gr_node_decl nodes[1000];
    gr_preagg_decl d = decl_of(f->arena, name, "g", "b", "count=s", "");
    gr_arena *arena = gr_arena_new();
    for (int j = 0; j <= i; j++) nodes[j] = node_of(gr_arena_printf(arena, "more%d", j).p, "c", "m");
    const gr_model_decl model = {nodes, (size_t)i + 1, &d, 1};
    gr_status status = gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, NULL, &f->err);
    gr_arena_free(arena);
    return status;
}

static int fill_until_full(fixture *f) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {256 * 1024, 256 * 1024};
    if (setrlimit(RLIMIT_FSIZE, &limit)) return 1;
    for (int i = 0; i < 1000; i++) {
        gr_status status = declare_number(f, i);
        if (status == GR_OK) continue;
        if (status != GR_ERR_CATALOG_IO || !*f->err.hint) return 2;
        gr_preagg_row *rows; /* reading goes on, and what failed left nothing behind */
        size_t n = 0;
        const gr_preagg_filter all = {0};
        return gr_catalog_find(f->catalog, &all, f->arena, &rows, &n, NULL, &f->err) || n != (size_t)i ? 3 : 0;
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
    size_t n;
    gr_preagg_row *rows = found(f, (gr_preagg_filter){0}, &n);
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
            if (fixture_open(f)) _exit(1);
            gr_preagg_decl d = decl_of(f->arena, "orders", "g", "b", "count=s", "orders.main");
            gr_node_decl node = node_of("orders", "c", "m");
            gr_preagg_row *rows;
            const gr_model_decl model = {&node, 1, &d, 1};
            if (gr_catalog_declare(f->catalog, &model, at(1), f->arena, NULL, &rows, &f->err)) _exit(2);
            int64_t id = rows[0].id;
            fixture_close(f);
            _exit(id == 1 ? 0 : 3);
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
    assert_str(raw_text(f, "SELECT count(*) FROM schema_migrations"), "7");
    assert_str(raw_text(f, "SELECT count(*) FROM server"), "1"); /* the others left the list */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_folder, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_new_file),
        TEST(test_upgrade_from_nothing),
        TEST(test_upgrades_from_1_and_2),
        TEST(test_upgrade_from_3),
        TEST(test_upgrades_from_4_and_5),
        TEST(test_refused_files_are_not_touched),
        TEST(test_damaged_files),
        TEST(test_places),
        TEST(test_special_names),
        TEST(test_read_only),
        TEST(test_full_disk),
        TEST(test_many_open_a_new_file_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
