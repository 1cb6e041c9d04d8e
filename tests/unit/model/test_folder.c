/* Models from folders: which files are read, limits, twenty faults at once, and how long a large model takes. */
#include "unit/model/model_fixture.h"

#include "base/clock.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int setup_dir(void **state) {
    strcpy(dir, "/tmp/granary_model_XXXXXX");
    if (!mkdtemp(dir)) return 1;
    return setup(state);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int teardown_dir(void **state) {
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return teardown(state);
}

static void put(const char *name, const char *text, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static gr_status load_dir(void) {
    gr_model_unref(model);
    model = NULL;
    err = (gr_error){0};
    gr_diags_init(&diags, arena);
    return gr_model_load_dir(gr_str_from(dir), &diags, &model, &err);
}

static void test_which_files(void **state) {
    (void)state;
    put_text("b.yaml", "cubes: [{name: b, sql_table: t}]\n");
    put_text("a/deep/x.yml", "cubes: [{name: x, sql_table: t}]\n");
    put_text("a.yml", "# nothing\n");
    put_text(".hidden.yml", "cubes: [{name: hidden, sql_table: t}]\n");
    put_text(".git/z.yml", "cubes: [{name: git, sql_table: t}]\n");
    put_text("readme.md", "cubes: [{name: md, sql_table: t}]\n");
    put_text("c.yml.bak", "cubes: [{name: bak, sql_table: t}]\n");
    char link[128];
    snprintf(link, sizeof link, "%s/a/back", dir);
    assert_int_equal(symlink(dir, link), 0); /* a circle is walked once */
    if (load_dir()) {
        print_diags();
        fail_msg("%s", err.message);
    }
    assert_int_equal(model->n_cubes, 2);
    expect_str(model->cubes[0]->name, "x");
    expect_str(model->cubes[0]->loc.file, "a/deep/x.yml");
    expect_str(model->cubes[1]->name, "b");
}

static void test_nothing_there(void **state) {
    (void)state;
    assert_int_equal(load_dir(), GR_ERR_MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, "holds no *.yml or *.yaml file"));
    assert_null(model);
    put_text("a.yml", "# nothing\n");
    assert_int_equal(load_dir(), GR_ERR_MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, "holds no cubes"));
    gr_diags_init(&diags, arena);
    assert_int_equal(gr_model_load_dir(GR_STR("/nonexistent/folder"), &diags, &model, &err), GR_ERR_MODEL_NOT_FOUND);
    assert_non_null(strstr(err.message, "cannot be read"));
}

static void test_limits(void **state) {
    (void)state;
    size_t n = (4u << 20) + 1;
    char *big = malloc(n);
    memset(big, '#', n);
    put("big.yml", big, n);
    put_text("a.yml", "cubes: [{name: a, sql_table: t}]\n");
    free(big);
    assert_int_equal(load_dir(), GR_ERR_MODEL_INVALID_SET);
    const gr_diag *d = find_diag(GR_ERR_YAML_LIMIT, "larger than 4 MiB");
    expect_str(d->loc.file, "big.yml");
    assert_null(model);
}

static void test_too_many_files(void **state) {
    (void)state;
    gr_model_file *files = calloc(10001, sizeof *files);
    assert_int_equal(load_files(files, 10001), GR_ERR_LIMIT);
    free(files);
}

/* Inheritance multiplies: 20,000 cubes, each with a member more than the last, would be 200 million. */
static void test_multiplied_members(void **state) {
    (void)state;
    enum { N = 3000 };
    gr_buf text;
    gr_buf_init(&text, 4u << 20);
    gr_buf_z(&text, "cubes:\n  - {name: c0, sql_table: t}\n");
    for (int i = 1; i < N; i++)
        gr_buf_printf(&text, "  - {name: c%d, extends: c%d, measures: [{name: m%d, type: count}]}\n", i, i - 1, i);
    gr_model_file file = {GR_STR("m.yml"), gr_buf_str(&text)};
    assert_int_equal(load_files(&file, 1), GR_ERR_MODEL_INVALID_SET);
    find_diag(GR_ERR_LIMIT, "more than 500000 members");
    gr_buf_done(&text);
}

static void test_twenty_faults_at_once(void **state) {
    (void)state;
    put_text("broken.yml", "cubes:\n  - {name: x\n");
    put_text("jinja.yml", "cubes:\n  - {{ x }}\n");
    put_text("orders.yml", "cubes:\n"
                           "  - name: orders\n"
                           "    sql_tabel: orders\n" /* 1 unknown key, 2 no table */
                           "    joins:\n"
                           "      - {name: user, relationship: many_to_one, sql: \"1 = 1\"}\n" /* 3 no such cube */
                           "      - {name: users, relationship: many, sql: \"1 = 1\"}\n"       /* 4 relationship */
                           "    dimensions:\n"
                           "      - {name: id, sql: id, type: number, primary_key: perhaps}\n" /* 5 flag */
                           "      - {name: status, sql: \"(status\", type: string}\n"          /* 6 bracket */
                           "      - {name: at, sql: \"{created}\", type: time}\n"              /* 7 unresolved */
                           "      - {name: at, sql: at, type: time}\n"                         /* 8 duplicate */
                           "      - {name: x, sql: \"{y}\", type: string}\n"                   /* 9 circle */
                           "      - {name: y, sql: \"{x}\", type: string}\n"
                           "      - {name: z, sql: \"{users}.name\", type: string}\n" /* 10 foreign */
                           "    measures:\n"
                           "      - {name: total, type: sum}\n"                   /* 11 sql */
                           "      - {name: twice, type: sum, sql: \"{total}\"}\n" /* 12 nested */
                           "      - {name: odd, type: median, sql: x}\n"          /* 13 type */
                           "      - {name: roll, type: sum, sql: x, case: {}}\n"  /* 14 refused */
                           "    segments:\n"
                           "      - {name: mine, sql: \"{SECURITY_CONTEXT.user}\"}\n" /* 15 refused */
                           "    pre_aggregations:\n"
                           "      - {name: p, measures: [gone]}\n"   /* 16 unresolved */
                           "      - {name: q, time_dimension: at}\n" /* 17 granularity */
                           "      - {name: r, measures: [total], partition_granularity: minute}\n"); /* 18 */
    put_text("users.yml", "cubes:\n  - {name: users, sql_table: u, access_policy: []}\n");           /* 19 refused */
    put_text("views.yml", "views:\n  - {name: v, cubes: [{join_path: users, includes: [gone]}]}\n"); /* 20 unknown */
    assert_int_equal(load_dir(), GR_ERR_MODEL_INVALID_SET);
    assert_null(model);
    static const struct {
        gr_status status;
        const char *file;
        uint32_t line, col;
    } rows[] = {
        {GR_ERR_YAML_SYNTAX, "broken.yml", 3, 1},         {GR_ERR_MODEL_UNSUPPORTED, "jinja.yml", 2, 5},
        {GR_ERR_MODEL_INVALID, "orders.yml", 2, 11},      {GR_ERR_MODEL_UNKNOWN_KEY, "orders.yml", 3, 5},
        {GR_ERR_MODEL_JOIN, "orders.yml", 5, 16},         {GR_ERR_MODEL_INVALID, "orders.yml", 6, 37},
        {GR_ERR_MODEL_INVALID, "orders.yml", 8, 56},      {GR_ERR_MODEL_EXPRESSION, "orders.yml", 9, 29},
        {GR_ERR_MODEL_UNRESOLVED, "orders.yml", 10, 25},  {GR_ERR_MODEL_DUPLICATE, "orders.yml", 11, 16},
        {GR_ERR_MODEL_CYCLE, "orders.yml", 12, 24},       {GR_ERR_MODEL_INVALID, "orders.yml", 14, 24},
        {GR_ERR_MODEL_INVALID, "orders.yml", 16, 9},      {GR_ERR_MODEL_NESTED_AGGREGATE, "orders.yml", 17, 39},
        {GR_ERR_MODEL_INVALID, "orders.yml", 18, 27},     {GR_ERR_MODEL_UNSUPPORTED, "orders.yml", 19, 41},
        {GR_ERR_MODEL_UNSUPPORTED, "orders.yml", 21, 27}, {GR_ERR_MODEL_UNRESOLVED, "orders.yml", 23, 30},
        {GR_ERR_MODEL_INVALID, "orders.yml", 24, 9},      {GR_ERR_MODEL_INVALID, "orders.yml", 25, 61},
        {GR_ERR_MODEL_UNSUPPORTED, "users.yml", 2, 33},   {GR_ERR_MODEL_UNRESOLVED, "views.yml", 2, 53},
    };
    if (diags.n_errors != COUNT(rows)) print_diags();
    assert_int_equal(diags.n_errors, COUNT(rows));
    /* In the order of files and lines; what has no effect is among them as a warning. */
    for (size_t i = 0, k = 0; i < diags.list.n; i++) {
        const gr_diag *d = &diags.list.v[i];
        if (d->is_warning) continue;
        if (d->status != rows[k].status || !gr_str_eq_z(d->loc.file, rows[k].file) || d->loc.line != rows[k].line ||
            d->loc.col != rows[k].col) {
            print_diags();
            fail_msg("row %zu is " GR_FMT ":%u:%u " GR_FMT, k, GR_ARG(d->loc.file), d->loc.line, d->loc.col,
                     GR_ARG(d->message));
        }
        k++;
    }
}

/* More faults than are kept: all are counted, none is written past the end. */
static void test_many_faults(void **state) {
    (void)state;
    gr_buf text;
    gr_buf_init(&text, 4u << 20);
    gr_buf_z(&text, "cubes:\n");
    for (int i = 0; i < 3000; i++) gr_buf_printf(&text, "  - {name: c%d, sql_tabel: t}\n", i);
    gr_model_file file = {GR_STR("m.yml"), gr_buf_str(&text)};
    assert_int_equal(load_files(&file, 1), GR_ERR_MODEL_INVALID_SET);
    assert_int_equal(diags.n_errors, 6000);
    assert_true(diags.n_dropped > 0);
    gr_buf_done(&text);
}

static void write_large_cube(gr_buf *text, int i) {
    gr_buf_printf(text, "  - name: cube_%d\n    sql_table: public.table_%d\n", i, i);
    if (i)
        gr_buf_printf(
            text, "    joins: [{name: cube_%d, relationship: many_to_one, sql: \"{CUBE}.parent = {cube_%d.id}\"}]\n",
            i - 1, i - 1);
    gr_buf_z(text, "    dimensions:\n      - {name: id, sql: id, type: number, primary_key: true}\n"
                   "      - {name: created_at, sql: created_at, type: time}\n");
    for (int d = 0; d < 5; d++)
        gr_buf_printf(text, "      - {name: dim_%d, sql: \"{CUBE}.dim_%d\", type: string}\n", d, d);
    gr_buf_z(text, "    measures:\n      - {name: count, type: count}\n      - {name: total, type: sum, sql: amount}\n"
                   "      - {name: average, type: number, sql: \"{total} / {count}\"}\n    pre_aggregations:\n");
    for (int r = 0; r < 5; r++)
        gr_buf_printf(text,
                      "      - {name: rollup_%d, measures: [count, total], dimensions: [dim_%d, dim_%d], "
                      "time_dimension: created_at, granularity: day, refresh_key: {every: 1 hour}}\n",
                      r, r, (r + 1) % 5);
}

static void test_large_model(void **state) {
    (void)state;
    enum { N = 1000 };
    gr_model_file files[N];
    gr_buf texts[N];
    for (int i = 0; i < N; i++) {
        gr_buf_init(&texts[i], 1u << 20);
        gr_buf_z(&texts[i], "cubes:\n");
        write_large_cube(&texts[i], i);
        files[i] = (gr_model_file){gr_arena_printf(arena, "cube_%04d.yml", i), gr_buf_str(&texts[i])};
    }
    int64_t start = gr_clock_mono_us();
    assert_int_equal(load_files(files, N), GR_OK);
    int64_t took_us = gr_clock_mono_us() - start;
    print_message("1,000 cubes with 5,000 rollups: %lld ms, %zu KiB\n", (long long)(took_us / 1000),
                  gr_arena_used_bytes(model->arena) >> 10);
    assert_int_equal(model->n_preaggs, 5 * N);
    assert_int_equal(model->n_members, 10 * N);
    assert_int_equal(diags.n_warnings, 0);
    assert_true(took_us <
                20 * 1000000); /* well under a second as released; sanitizers and a busy machine take their share */
    for (int i = 0; i < N; i++) gr_buf_done(&texts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_which_files, setup_dir, teardown_dir),
        cmocka_unit_test_setup_teardown(test_nothing_there, setup_dir, teardown_dir),
        cmocka_unit_test_setup_teardown(test_limits, setup_dir, teardown_dir),
        cmocka_unit_test_setup_teardown(test_too_many_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_multiplied_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twenty_faults_at_once, setup_dir, teardown_dir),
        cmocka_unit_test_setup_teardown(test_many_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
