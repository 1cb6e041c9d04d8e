#include "differential/elsewhere.h"

#include "clickhouse/server.h"
#include "postgres/server.h"
#include <unistd.h>

static const struct {
    const char *name;
    gr_source_kind kind;
    bool is_source; /* the tables are there, and rollups beside them */
    bool is_store;  /* the rollups are there, and the tables in DuckDB */
} modes[] = {
    {"postgres", GR_SOURCE_POSTGRES, false, false},           {"postgres-source", GR_SOURCE_POSTGRES, true, false},
    {"postgres-store", GR_SOURCE_POSTGRES, false, true},      {"clickhouse", GR_SOURCE_CLICKHOUSE, false, false},
    {"clickhouse-source", GR_SOURCE_CLICKHOUSE, true, false}, {"clickhouse-store", GR_SOURCE_CLICKHOUSE, false, true},
};

static struct {
    int mode;
    bool is_used;
    postgres_server server;
    clickhouse_server house;
    int n_schemas;
} elsewhere;

bool diff_elsewhere_start(const char *engine, bool *ret_is_missing) {
    *ret_is_missing = false;
    if (!strcmp(engine, "duckdb")) return true;
    size_t mode = 0, n = sizeof modes / sizeof *modes;
    while (mode < n && strcmp(engine, modes[mode].name) != 0) mode++;
    if (mode == n) return false;
    elsewhere.mode = (int)mode;
    bool is_postgres = modes[mode].kind == GR_SOURCE_POSTGRES;
    if (is_postgres ? postgres_start(&elsewhere.server) : clickhouse_start(&elsewhere.house, 1)) return false;
    *ret_is_missing = is_postgres ? !elsewhere.server.connection[0] : !elsewhere.house.urls[0][0];
    elsewhere.is_used = !*ret_is_missing;
    diff_divides_integers = elsewhere.is_used && is_postgres && !modes[mode].is_store;
    diff_is_clickhouse = elsewhere.is_used && !is_postgres;
    diff_speaks_clickhouse = diff_is_clickhouse && !modes[mode].is_store;
    return true;
}

void diff_elsewhere_stop(void) {
    bool is_postgres = modes[elsewhere.mode].kind == GR_SOURCE_POSTGRES;
    if (elsewhere.is_used) (void)!(is_postgres ? postgres_stop(&elsewhere.server) : clickhouse_stop(&elsewhere.house));
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
    GR_TRY(gr_engine_driver_of(target->kind)->open(&(gr_engine_options){config, {0}}, &e->to, err));
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

static gr_source_config target_of(gr_source_kind kind, gr_str schema) {
    gr_source_config target = {.name = GR_STR("target"), .kind = kind, .schema = schema};
    bool is_postgres = kind == GR_SOURCE_POSTGRES;
    target.url.value = gr_str_from(is_postgres ? elsewhere.server.connection : elsewhere.house.urls[0]);
    if (is_postgres) return target;
    target.schema = GR_STR("default"); /* to connect to; it is named in each statement */
    target.user = GR_STR("granary");
    target.password.value = GR_STR("secret");
    return target;
}

static gr_str config_text(gr_source_kind kind, gr_str schema, gr_arena *arena) {
    if (kind == GR_SOURCE_POSTGRES)
        return gr_arena_printf(arena, "{type: postgres, url: '%s', schema: " GR_FMT "}", elsewhere.server.connection,
                               GR_ARG(schema));
    return gr_arena_printf(arena,
                           "{type: clickhouse, url: '%s', user: granary, password: secret, database: " GR_FMT "}",
                           elsewhere.house.urls[0], GR_ARG(schema));
}

gr_status diff_elsewhere_copy(gr_str file, const diff_world *worlds, size_t n, gr_arena *arena, gr_str *ret_config,
                              gr_error *err) {
    *ret_config = (gr_str){0};
    if (!elsewhere.is_used) return GR_OK;
    gr_config config = {.engine_threads = 1, .engine_memory_mb = 512};
    bool is_store = modes[elsewhere.mode].is_store;
    gr_source_kind kind = modes[elsewhere.mode].kind;
    gr_str schema = gr_arena_printf(arena, "world%d_%ld", ++elsewhere.n_schemas, (long)getpid());
    const gr_source_config target = target_of(kind, schema);
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    ends e = {0};
    gr_status status = open_ends(file, &target, &config, &e, err);
    gr_str make =
        gr_arena_printf(arena, "CREATE %s " GR_FMT, kind == GR_SOURCE_POSTGRES ? "SCHEMA" : "DATABASE", GR_ARG(schema));
    if (!status) status = e.write->driver->update(e.write, &ctx, make, NULL, 0, NULL, NULL, NULL, err);
    for (size_t i = 0; i < n && !is_store; i++)
        for (size_t c = 0; !status && c < worlds[i].n_cubes; c++)
            status = copy_table(&e, &ctx, worlds[i].cubes[c].table->name, schema, err);
    close_ends(&e);
    gr_str place = config_text(kind, schema, arena);
    *ret_config =
        is_store ? gr_arena_printf(arena,
                                   "data_sources:\n  default: {type: duckdb, path: '" GR_FMT "'}\n  house: " GR_FMT
                                   "\nstorage: {external_default: true, store: house, source_schema: pre_" GR_FMT "}\n",
                                   GR_ARG(file), GR_ARG(place), GR_ARG(schema))
                 : gr_arena_printf(arena,
                                   "data_sources:\n  default: " GR_FMT
                                   "\nstorage: {external_default: %s, source_schema: pre_" GR_FMT "}\n",
                                   GR_ARG(place), modes[elsewhere.mode].is_source ? "false" : "true", GR_ARG(schema));
    return status;
}
