#include "differential/elsewhere.h"

#include "postgres/server.h"

static struct {
    bool is_used, is_source;
    postgres_server server;
    int n_schemas;
} elsewhere;

bool diff_elsewhere_start(const char *engine, bool *ret_is_missing) {
    *ret_is_missing = false;
    if (!strcmp(engine, "duckdb")) return true;
    elsewhere.is_source = !strcmp(engine, "postgres-source");
    if (!elsewhere.is_source && strcmp(engine, "postgres") != 0) return false;
    if (postgres_start(&elsewhere.server)) return false;
    *ret_is_missing = !elsewhere.server.connection[0];
    elsewhere.is_used = diff_divides_integers = !*ret_is_missing;
    return true;
}

void diff_elsewhere_stop(void) {
    if (elsewhere.is_used) (void)!postgres_stop(&elsewhere.server);
    elsewhere.is_used = false;
}

bool diff_elsewhere_is_used(void) { return elsewhere.is_used; }

typedef struct ends {
    gr_engine *from, *to;
    gr_engine_conn *read, *write;
} ends;

static gr_status open_ends(gr_str file, const gr_source_config *target, const gr_config *config, ends *e,
                           gr_error *err) {
    GR_TRY(gr_engine_duckdb_driver.open(&(gr_engine_options){config, file}, &e->from, err));
    GR_TRY(e->from->driver->connect(e->from, GR_STR(""), &e->read, err));
    GR_TRY(gr_engine_postgres_driver.open(&(gr_engine_options){config, {0}}, &e->to, err));
    GR_TRY(e->to->driver->attach(e->to, target, true, err));
    return e->to->driver->connect(e->to, target->name, &e->write, err);
}

static void close_ends(ends *e) {
    if (e->read) e->from->driver->disconnect(e->read);
    if (e->from) e->from->driver->close(e->from);
    if (e->write) e->to->driver->disconnect(e->write);
    if (e->to) e->to->driver->close(e->to);
}

static gr_status copy_table(const ends *e, const gr_ctx *ctx, gr_str table, gr_str schema, gr_error *err) {
    gr_stream *rows;
    const gr_engine_load load = {.schema = schema, .name = table};
    gr_str sql = gr_arena_printf(ctx->arena, "SELECT * FROM " GR_FMT, GR_ARG(table));
    GR_TRY(e->read->driver->query(e->read, ctx, sql, NULL, 0, false, &rows, err));
    gr_status status = e->write->driver->load(e->write, ctx, &load, rows, NULL, err);
    rows->close(rows);
    return status;
}

gr_status diff_elsewhere_copy(gr_str file, const diff_world *worlds, size_t n, gr_arena *arena, gr_str *ret_config,
                              gr_error *err) {
    *ret_config = (gr_str){0};
    if (!elsewhere.is_used) return GR_OK;
    gr_config config = {.engine_threads = 1, .engine_memory_mb = 512};
    gr_str schema = gr_arena_printf(arena, "world%d", ++elsewhere.n_schemas);
    const gr_source_config target = {.name = GR_STR("target"),
                                     .kind = GR_SOURCE_POSTGRES,
                                     .url = {gr_str_from(elsewhere.server.connection)},
                                     .schema = schema};
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    ends e = {0};
    gr_status status = open_ends(file, &target, &config, &e, err);
    gr_str make = gr_arena_printf(arena, "CREATE SCHEMA " GR_FMT, GR_ARG(schema));
    if (!status) status = e.write->driver->update(e.write, &ctx, make, NULL, 0, NULL, NULL, NULL, err);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; !status && c < worlds[i].n_cubes; c++)
            status = copy_table(&e, &ctx, worlds[i].cubes[c].table->name, schema, err);
    close_ends(&e);
    *ret_config = gr_arena_printf(arena,
                                  "data_sources:\n  default: {type: postgres, url: '%s', schema: " GR_FMT "}\n"
                                  "storage: {external_default: %s, source_schema: pre_" GR_FMT "}\n",
                                  elsewhere.server.connection, GR_ARG(schema), elsewhere.is_source ? "false" : "true",
                                  GR_ARG(schema));
    return status;
}
