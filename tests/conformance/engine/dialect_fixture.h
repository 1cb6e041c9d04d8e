/* What the tests of dialects share: one statement asked of an engine, and cells that are the same in both. */
#ifndef GR_TEST_DIALECT_FIXTURE_H
#define GR_TEST_DIALECT_FIXTURE_H
#include "conformance/engine/engine_fixture.h"
#include "sql/internal.h"

#include <math.h>

/* One engine, its dialect and a connection. */
typedef struct side {
    const char *name;
    gr_engine *engine;
    gr_engine_conn *conn;
    int n_refused;
} side;

/* DuckDB, and the engine whose dialect is compared with it. 0, or -1 with the reason on stdout. */
SHARED int open_sides(fixture *f, side sides[2], const gr_engine_driver *other, const gr_source_config *source) {
    const gr_engine_driver *duckdb = &gr_engine_duckdb_driver;
    gr_engine_options options = {&f->config, {0}};
    bool is_open = !duckdb->open(&options, &sides[0].engine, &f->err) &&
                   !other->open(&options, &sides[1].engine, &f->err) &&
                   !other->attach(sides[1].engine, source, false, &f->err) &&
                   !duckdb->connect(sides[0].engine, (gr_str){0}, &sides[0].conn, &f->err) &&
                   !other->connect(sides[1].engine, source->name, &sides[1].conn, &f->err);
    if (!is_open) printf("%s\n", f->err.message);
    return is_open ? 0 : -1;
}

SHARED void close_sides(fixture *f, side sides[2]) {
    for (int i = 0; i < 2; i++) {
        sides[i].conn->driver->disconnect(sides[i].conn);
        sides[i].engine->driver->close(sides[i].engine);
    }
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    gr_arena_free(f->arena);
}

SHARED gr_table *ask(fixture *f, side *s, gr_str sql) {
    gr_stream *stream;
    gr_table *table = NULL;
    if (s->conn->driver->query(s->conn, &f->ctx, sql, NULL, 0, false, &stream, &f->err) ||
        gr_table_read(stream, 1000, f->arena, &table, &f->err))
        fail_msg("%s: " GR_FMT ": %s", s->name, GR_ARG(sql), f->err.message);
    stream->close(stream);
    return table;
}

SHARED bool is_same_cell(const gr_cell *a, const gr_cell *b) {
    double x, y;
    if (a->is_bool && !b->is_bool && !b->is_null) return gr_str_eq_z(b->text, gr_str_eq_z(a->text, "true") ? "1" : "0");
    if (a->is_null || b->is_null) return a->is_null == b->is_null;
    if (gr_str_eq(a->text, b->text)) return true;
    if (!gr_str_to_f64(a->text, &x) || !gr_str_to_f64(b->text, &y)) return false;
    return fabs(x - y) <= 1e-12 * fmax(fabs(x), fabs(y));
}
#endif
