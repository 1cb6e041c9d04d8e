/* The demo's tables in a database server: each is read from the file and loaded there, in place of one of its name. */
#include "cli/demo.h"

#include "cli/progress.h"
#include "engine/engine.h"
#include "sql/sql.h"

#include <stdio.h>

static const char *const tables[] = {"users", "products", "orders", "line_items"};

typedef struct copying {
    gr_engine *from, *to;
    gr_engine_conn *read, *write;
    gr_ctx ctx;
    gr_str schema;
} copying;

static gr_status open_both(copying *c, gr_str file, const gr_config *config, const gr_source_config *target,
                           gr_error *err) {
    const gr_engine_driver *driver = gr_engine_driver_of(target->kind);
    GR_TRY(gr_engine_duckdb_driver.open(&(gr_engine_options){config, file}, &c->from, err));
    GR_TRY(c->from->driver->connect(c->from, GR_STR(""), &c->read, err));
    GR_TRY(driver->open(&(gr_engine_options){.config = config}, &c->to, err));
    GR_TRY(driver->attach(c->to, target, true, err));
    return driver->connect(c->to, target->name, &c->write, err);
}

static void close_both(copying *c) {
    if (c->read) c->from->driver->disconnect(c->read);
    if (c->from) c->from->driver->close(c->from);
    if (c->write) c->to->driver->disconnect(c->write);
    if (c->to) c->to->driver->close(c->to);
}

static void show(void *arg, int64_t rows, int64_t bytes) {
    (void)rows, (void)bytes;
    gr_cli_progress_callback(arg, -1);
}

/* `SELECT * … FROM table`; ClickHouse has times in whole seconds. */
static gr_status reading_of(copying *c, const char *table, gr_str *ret, gr_error *err) {
    gr_arena *arena = c->ctx.arena;
    gr_column_schema *columns;
    size_t n = 0;
    gr_str all = gr_arena_printf(arena, "SELECT * FROM %s", table), cut = {0};
    GR_TRY(c->read->driver->describe(c->read, all, arena, &columns, &n, err));
    for (size_t i = 0; i < n && c->write->driver == &gr_engine_clickhouse_driver; i++) {
        gr_str name = columns[i].name;
        if (columns[i].type == GR_TYPE_TIMESTAMP)
            cut = gr_arena_printf(arena, GR_FMT "%sdate_trunc('second', " GR_FMT ") AS " GR_FMT, GR_ARG(cut),
                                  cut.n ? ", " : "", GR_ARG(name), GR_ARG(name));
    }
    if (cut.n) cut = gr_arena_printf(arena, " REPLACE (" GR_FMT ")", GR_ARG(cut));
    *ret = gr_arena_printf(arena, "SELECT *" GR_FMT " FROM %s ORDER BY id", GR_ARG(cut), table);
    return GR_OK;
}

static gr_status copy_table(copying *c, const char *table, gr_error *err) {
    gr_cli_progress bar;
    gr_stream *rows;
    int64_t n = 0, started = gr_clock_mono_us();
    const gr_dialect *dialect = gr_dialect_get(gr_str_from(c->write->driver->dialect));
    gr_str name = gr_sql_quote(dialect, gr_str_from(table), c->ctx.arena);
    if (c->schema.n)
        name = gr_arena_printf(c->ctx.arena, GR_FMT "." GR_FMT, GR_ARG(gr_sql_quote(dialect, c->schema, c->ctx.arena)),
                               GR_ARG(name));
    gr_str drop = gr_arena_printf(c->ctx.arena, "DROP TABLE IF EXISTS " GR_FMT, GR_ARG(name)), read;
    GR_TRY(reading_of(c, table, &read, err));
    if (c->write->driver->drop)
        GR_TRY(c->write->driver->drop(c->write, &c->ctx, name, err));
    else
        GR_TRY(c->write->driver->update(c->write, &c->ctx, drop, NULL, 0, NULL, NULL, NULL, err));
    GR_TRY(c->read->driver->query(c->read, &c->ctx, read, NULL, 0, false, &rows, err));
    gr_cli_progress_start(&bar, gr_str_from(table));
    const gr_engine_load load = {.schema = c->schema, .name = gr_str_from(table), .on_rows = show, .arg = &bar};
    gr_status status = c->write->driver->load(c->write, &c->ctx, &load, rows, &n, err);
    gr_cli_progress_end(&bar);
    rows->close(rows);
    GR_TRY(status);
    double seconds = (double)(gr_clock_mono_us() - started) / 1e6;
    fprintf(stderr, "  %-12s %10lld rows  %6.1f s  %8.0f rows/s\n", table, (long long)n, seconds,
            seconds > 0 ? (double)n / seconds : 0);
    return GR_OK;
}

gr_status gr_cli_demo_copy(gr_str dir, const gr_config *config, gr_str source, gr_arena *arena, gr_error *err) {
    const gr_source_config *target = gr_config_source(config, source);
    if (!target || target->kind == GR_SOURCE_DUCKDB)
        return gr_error_set(err, GR_ERR_CLI_USAGE,
                            "'" GR_FMT "' is no database server among the data_sources of " GR_FMT, GR_ARG(source),
                            GR_ARG(config->file));
    copying c = {.ctx = {.arena = arena, .is_cancelled = &gr_cli_is_interrupted, .now_us = gr_clock_now_us()},
                 .schema = target->schema};
    gr_str file = gr_arena_printf(arena, GR_FMT "/data/shop.duckdb", GR_ARG(dir));
    gr_status status = open_both(&c, file, config, target, err);
    for (size_t i = 0; !status && i < sizeof tables / sizeof *tables; i++) status = copy_table(&c, tables[i], err);
    close_both(&c);
    return status;
}
