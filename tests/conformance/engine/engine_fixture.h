/* What the tests of engines share: an engine with a store in a folder of its own, statements in one line, and cells as
 * text. Everything fails the test when it fails. */
#ifndef GR_TEST_ENGINE_FIXTURE_H
#define GR_TEST_ENGINE_FIXTURE_H
#include "base/buf.h"
#include "engine/engine.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARED __attribute__((unused)) static

typedef struct fixture {
    char dir[128];
    gr_arena *arena;
    gr_config config;
    gr_engine *engine;
    gr_engine_conn *conn; /* on the store */
    gr_ctx ctx;
    gr_error err;
} fixture;

#ifndef TEST_DRIVER
#define TEST_DRIVER gr_engine_duckdb_driver
#endif
static const gr_engine_driver *const driver = &TEST_DRIVER;

SHARED gr_str path_in(fixture *f, const char *name) { return gr_arena_printf(f->arena, "%s/%s", f->dir, name); }

SHARED void set_up_folder(fixture *f) {
    *f = (fixture){0};
    snprintf(f->dir, sizeof f->dir, "/tmp/granary-engine-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0755), 0);
    f->arena = gr_arena_new();
    f->ctx = (gr_ctx){.arena = f->arena};
    f->config = (gr_config){
        .root = gr_str_from(f->dir), .state_dir = GR_STR(".granary"), .engine_memory_mb = 1024, .engine_threads = 2};
}

SHARED gr_status try_open(fixture *f, const char *store) {
    gr_engine_options options = {&f->config, store ? path_in(f, store) : (gr_str){0}};
    return driver->open(&options, &f->engine, &f->err);
}

SHARED void set_up(fixture *f, const char *store) {
    set_up_folder(f);
    if (try_open(f, store)) fail_msg("open: %s", f->err.message);
    if (driver->connect(f->engine, (gr_str){0}, &f->conn, &f->err)) fail_msg("connect: %s", f->err.message);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

SHARED void tear_down(fixture *f) {
    driver->disconnect(f->conn);
    driver->close(f->engine);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    gr_arena_free(f->arena);
}

SHARED void write_file(fixture *f, const char *name, const char *text) {
    FILE *file = fopen(path_in(f, name).p, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* ---- cells as text -------------------------------------------------------------------------------------------------
 */

SHARED void add_decimal(gr_buf *out, __int128 v, unsigned scale) {
    char digits[64]; /* from the end */
    size_t at = sizeof digits;
    unsigned __int128 u = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    for (unsigned i = 0; u || i <= scale; i++, u /= 10) {
        if (i == scale && scale) digits[--at] = '.';
        digits[--at] = (char)('0' + (int)(u % 10));
    }
    if (v < 0) gr_buf_char(out, '-');
    gr_buf_add(out, (gr_str){digits + at, sizeof digits - at});
}

SHARED gr_str cell_text(fixture *f, const gr_column *c, size_t row) {
    if (gr_column_is_null(c, row)) return GR_STR("NULL");
    gr_buf b;
    gr_buf_init(&b, 1 << 24);
    switch (c->type) {
    case GR_TYPE_BOOL: gr_buf_z(&b, ((const uint8_t *)c->data)[row] ? "true" : "false"); break;
    case GR_TYPE_INT64:
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: gr_buf_i64(&b, ((const int64_t *)c->data)[row]); break;
    case GR_TYPE_FLOAT64: gr_buf_printf(&b, "%.17g", ((const double *)c->data)[row]); break;
    case GR_TYPE_DECIMAL: add_decimal(&b, ((const __int128 *)c->data)[row], c->scale); break;
    case GR_TYPE_DATE: gr_buf_i64(&b, ((const int32_t *)c->data)[row]); break;
    case GR_TYPE_UTF8: gr_buf_add(&b, gr_column_text(c, row)); break;
    case GR_TYPE_BINARY: {
        gr_str bytes = gr_column_text(c, row);
        for (size_t i = 0; i < bytes.n; i++) gr_buf_printf(&b, "%02x", (unsigned char)bytes.p[i]);
        break;
    }
    case GR_TYPE_NULL:
    case GR_TYPE__COUNT: fail_msg("a value of type %d", c->type);
    }
    gr_str text = gr_arena_dup(f->arena, gr_buf_str(&b));
    gr_buf_done(&b);
    return text;
}

/* ---- statements ----------------------------------------------------------------------------------------------------
 */

/* All rows of a stream as "a|b;c|d", closed. */
SHARED gr_status read_all(fixture *f, gr_stream *stream, gr_str *ret) {
    gr_buf b;
    gr_buf_init(&b, 1 << 26);
    const gr_batch *batch;
    gr_status status;
    while (!(status = stream->next(stream, &batch, &f->err)) && batch) {
        for (size_t r = 0; r < batch->n_rows; r++) {
            if (b.n) gr_buf_char(&b, ';');
            for (size_t c = 0; c < batch->n_columns; c++) {
                if (c) gr_buf_char(&b, '|');
                gr_buf_add(&b, cell_text(f, &batch->columns[c], r));
            }
        }
    }
    stream->close(stream);
    *ret = gr_arena_dup(f->arena, gr_buf_str(&b));
    gr_buf_done(&b);
    return status;
}

SHARED gr_status try_rows(fixture *f, gr_engine_conn *conn, const char *sql, const gr_value *params, size_t n,
                          bool cache, gr_str *ret) {
    gr_stream *stream;
    GR_TRY(driver->query(conn, &f->ctx, gr_str_from(sql), params, n, cache, &stream, &f->err));
    return read_all(f, stream, ret);
}

SHARED const char *rows_on(fixture *f, gr_engine_conn *conn, const char *sql) {
    gr_str text;
    if (try_rows(f, conn, sql, NULL, 0, false, &text)) fail_msg("%s: %s", sql, f->err.message);
    return text.p;
}
SHARED const char *rows(fixture *f, const char *sql) { return rows_on(f, f->conn, sql); }

/* The status of a query that is read to its end. */
SHARED gr_status status_of(fixture *f, const char *sql) {
    gr_str text;
    f->err = (gr_error){0};
    return try_rows(f, f->conn, sql, NULL, 0, false, &text);
}

SHARED gr_status try_run(fixture *f, const char *sql) {
    return driver->update(f->conn, &f->ctx, gr_str_from(sql), NULL, 0, NULL, NULL, NULL, &f->err);
}

SHARED void run(fixture *f, const char *sql) {
    if (try_run(f, sql)) fail_msg("%s: %s", sql, f->err.message);
}

__attribute__((format(printf, 2, 3))) SHARED void runf(fixture *f, const char *format, ...) {
    char sql[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    run(f, sql);
}

SHARED gr_engine_conn *connect_to(fixture *f, const char *source) {
    gr_engine_conn *conn = NULL;
    if (driver->connect(f->engine, gr_str_from(source), &conn, &f->err)) fail_msg("connect: %s", f->err.message);
    return conn;
}

/* ---- cases of all drivers -------------------------------------------------------------------------------------------
 */

/* An expression, the type that results carry it as, and its value. */
typedef struct type_case {
    const char *sql;
    gr_type type;
    int precision, scale;
    const char *text;
} type_case;

SHARED void check_schema(const char *sql, const type_case *c, const gr_column_schema *schema, size_t n) {
    assert_int_equal(n, 1);
    assert_true(gr_str_eq_z(schema[0].name, "x"));
    if (schema[0].type != c->type || schema[0].precision != c->precision || schema[0].scale != c->scale)
        fail_msg("%s: type %d(%d,%d)", sql, schema[0].type, schema[0].precision, schema[0].scale);
}

/* Read, described, and (`with_nulls`) between two nulls. */
SHARED void check_type(fixture *f, const type_case *c, bool cache, bool with_nulls) {
    char sql[512], expected[128];
    gr_stream *stream;
    gr_str text;
    gr_column_schema *schema;
    size_t n = 0;
    snprintf(sql, sizeof sql, "SELECT %s AS x", c->sql);
    if (driver->query(f->conn, &f->ctx, gr_str_from(sql), NULL, 0, cache, &stream, &f->err))
        fail_msg("%s: %s", sql, f->err.message);
    check_schema(sql, c, stream->schema, stream->n_columns);
    assert_int_equal(read_all(f, stream, &text), GR_OK);
    assert_string_equal(text.p, c->text);
    if (driver->describe(f->conn, gr_str_from(sql), f->arena, &schema, &n, &f->err))
        fail_msg("%s: %s", sql, f->err.message);
    check_schema(sql, c, schema, n);
    snprintf(sql, sizeof sql,
             "SELECT x FROM (SELECT 1 AS k, NULL AS x UNION ALL SELECT 2, %s UNION ALL SELECT 3, NULL) AS t ORDER BY k",
             c->sql);
    snprintf(expected, sizeof expected, "NULL;%s;NULL", c->text);
    if (with_nulls) assert_string_equal(rows(f, sql), expected);
}

/* A statement, and the error that it has. */
typedef struct error_case {
    const char *sql;
    gr_status status;
    const char *state, *has; /* the engine's own code, or empty; a part of the message */
} error_case;

SHARED void check_error(fixture *f, const error_case *c) {
    gr_status status = status_of(f, c->sql);
    if (status != c->status) fail_msg("%s: %s: %s", c->sql, gr_error_info_of(status)->id, f->err.message);
    if (*c->state) assert_string_equal(f->err.engine_state, c->state);
    if (!strcasestr(f->err.message, c->has)) fail_msg("%s: %s", c->sql, f->err.message);
    assert_null(strstr(f->err.message, "LINE 1"));
    assert_null(strchr(f->err.message, '\n'));
    assert_null(strstr(f->err.message, " Error: "));
}

/* Texts that no statement may be. */
SHARED void check_odd_statements(fixture *f) {
    gr_stream *stream;
    assert_int_equal(driver->query(f->conn, &f->ctx, (gr_str){"SELECT '\xFF'", 10}, NULL, 0, false, &stream, &f->err),
                     GR_ERR_ENGINE_DATA);
    assert_int_equal(driver->query(f->conn, &f->ctx, (gr_str){"SELECT\0 1", 9}, NULL, 0, false, &stream, &f->err),
                     GR_ERR_ENGINE_SQL);
}

/* ---- another process ------------------------------------------------------------------------------------------------
 */

typedef struct holder {
    pid_t pid;
    int go;
} holder;

/* A process that keeps `file` open read-write until holder_stop. Start it while this process has no engine open. */
SHARED holder holder_start(gr_str file) {
    int ready[2], go[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    holder h = {fork(), go[1]};
    assert_true(h.pid >= 0);
    char answer = 0;
    if (!h.pid) {
        close(go[1]);
        close(ready[0]);
        gr_engine *engine = NULL;
        gr_engine_options options = {NULL, file};
        answer = gr_engine_duckdb_driver.open(&options, &engine, NULL) ? 'n' : 'y';
        if (write(ready[1], &answer, 1) != 1) _exit(1);
        if (read(go[0], &answer, 1) < 0) _exit(1);
        gr_engine_duckdb_driver.close(engine);
        _exit(0);
    }
    close(go[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &answer, 1), 1);
    close(ready[0]);
    assert_int_equal(answer, 'y');
    return h;
}

SHARED void holder_stop(holder h) {
    close(h.go);
    int status = -1;
    assert_int_equal(waitpid(h.pid, &status, 0), h.pid);
    assert_int_equal(status, 0);
}
#endif
