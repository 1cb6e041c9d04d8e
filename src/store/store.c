/* Rollup tables in DuckDB databases: the embedded store and file sources. One CREATE TABLE AS per build. */
#include "store/store.h"

#include "base/buf.h"
#include "base/fault.h"
#include "store/arrival.h"
#include "store/boolean.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool is_embedded(const gr_rollup *r) { return !r->place.n; }

gr_str gr_store_name(const gr_rollup *r, gr_arena *arena) {
    if (is_embedded(r)) return GR_STR("embedded");
    return gr_arena_printf(arena, "%s:" GR_FMT, r->is_external ? "store" : "source", GR_ARG(r->place));
}

gr_str gr_store_table_base(const gr_rollup *r, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT "_" GR_FMT, GR_ARG(r->preagg->cube->alias), GR_ARG(r->preagg->alias));
}

gr_str gr_store_table_key(const gr_config *config, const gr_rollup *r, gr_arena *arena) {
    gr_str schema = r->is_external || !config->preagg_schema.n ? GR_STR("granary") : config->preagg_schema;
    return gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(schema), GR_ARG(gr_store_table_base(r, arena)));
}

gr_store_table gr_store_table_name(const gr_config *config, const gr_rollup *r, gr_str digits, gr_str structure_hash,
                                   int64_t build, const gr_dialect *dialect, gr_arena *arena) {
    gr_store_table t = {.catalog = GR_STR("granary_store"), .schema = GR_STR("main")};
    bool is_shared = is_embedded(r) && config->storage_shared, is_native = false;
    if (!is_embedded(r)) {
        const gr_source_config *source = gr_config_source(config, r->place);
        t.catalog = source ? gr_engine_duckdb_source_catalog(source, arena) : (gr_str){0};
        t.schema = config->preagg_schema;
        is_native = source && source->kind != GR_SOURCE_DUCKDB;
    }
    /* A source may hold the tables of several projects, whose builds count from 1 each. */
    if (!is_embedded(r)) structure_hash = gr_store_source_hash(config, structure_hash, arena);
    static const char base32[] = "0123456789abcdefghijklmnopqrstuv";
    char number[16];
    size_t at = sizeof number;
    do number[--at] = base32[build & 31];
    while ((build >>= 5) > 0 && at > 0);
    gr_str tail =
        gr_arena_printf(arena, GR_FMT "_" GR_FMT "_" GR_FMT, GR_ARG(digits), GR_ARG(gr_str_sub(structure_hash, 0, 8)),
                        GR_ARG(((gr_str){number + at, sizeof number - at})));
    gr_str base = gr_store_table_base(r, arena);
    enum { MOST_NAME_BYTES = 63 }; /* databases cut at that, without a word */
    if (is_native && tail.n < MOST_NAME_BYTES) base = gr_sql_shortened(base, MOST_NAME_BYTES - tail.n, arena);
    t.name = gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(base), GR_ARG(tail));
    if (is_shared) t.catalog = gr_arena_printf(arena, "t_" GR_FMT, GR_ARG(t.name));
    gr_str parts[] = {gr_sql_quote(dialect, t.catalog, arena), gr_sql_quote(dialect, t.schema, arena),
                      gr_sql_quote(dialect, t.name, arena)};
    t.text = gr_arena_printf(arena, GR_FMT "." GR_FMT "." GR_FMT, GR_ARG(parts[0]), GR_ARG(parts[1]), GR_ARG(parts[2]));
    t.local = gr_store_local(config, t.text);
    return t;
}

static const gr_source_config *native_source(const gr_config *config, gr_str table) {
    gr_str head = GR_STR("\"src_");
    size_t end = gr_str_starts(table, head) ? gr_str_find(table, '"', head.n) : SIZE_MAX;
    if (end == SIZE_MAX) return NULL;
    const gr_source_config *source = gr_config_source(config, gr_str_sub(table, head.n, end - head.n));
    return source && source->kind != GR_SOURCE_DUCKDB ? source : NULL;
}

gr_str gr_store_place(const gr_config *config, gr_str table) {
    const gr_source_config *source = native_source(config, table);
    return source ? source->name : (gr_str){0};
}

gr_str gr_store_local(const gr_config *config, gr_str table) {
    const gr_source_config *source = native_source(config, table);
    if (!source) return table;
    size_t head = strlen("\"src_\".") + source->name.n;
    return gr_str_sub(table, head, table.n - head);
}

static gr_status run(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, gr_error *err) {
    return conn->driver->update(conn, ctx, sql, NULL, 0, NULL, NULL, NULL, err);
}

/* ---- the shared store ----------------------------------------------------------------------------------------------
 */

bool gr_store_is_shared_table(gr_str table) { return gr_str_starts(table, GR_STR("\"t_")); }

/* The name of a shared table, from its text `"t_<name>"."main"."<name>"`. */
static gr_str shared_name(gr_str table) {
    size_t end = gr_str_find(table, '"', 1);
    return end == SIZE_MAX ? (gr_str){0} : gr_str_sub(table, 3, end - 3);
}

static gr_str file_of(gr_str dir, gr_str name, const char *suffix, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT "/" GR_FMT ".duckdb%s", GR_ARG(dir), GR_ARG(name), suffix);
}

/* Paths are the configuration's; a quote in them is doubled. */
static gr_str literal(gr_str text, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    gr_buf_char(&out, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'') gr_buf_char(&out, '\'');
        gr_buf_char(&out, text.p[i]);
    }
    gr_buf_char(&out, '\'');
    gr_str ret = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return ret;
}

static gr_status attach(gr_engine_conn *conn, const gr_ctx *ctx, gr_str file, gr_str name, const char *mode,
                        gr_error *err) {
    return run(conn, ctx,
               gr_arena_printf(ctx->arena, "ATTACH IF NOT EXISTS " GR_FMT " AS \"t_" GR_FMT "\" (TYPE duckdb%s)",
                               GR_ARG(literal(file, ctx->arena)), GR_ARG(name), mode),
               err);
}

static gr_status detach(gr_engine_conn *conn, const gr_ctx *ctx, gr_str name, gr_error *err) {
    return run(conn, ctx, gr_arena_printf(ctx->arena, "DETACH DATABASE IF EXISTS \"t_" GR_FMT "\"", GR_ARG(name)), err);
}

gr_status gr_store_attach(gr_engine_conn *conn, const gr_ctx *ctx, gr_str store_dir, gr_str table, gr_error *err) {
    gr_str name = shared_name(table), file = file_of(store_dir, name, "", ctx->arena);
    gr_error cause = {0};
    if (!access(file.p, R_OK) && !attach(conn, ctx, file, name, ", READ_ONLY", &cause)) return GR_OK;
    return gr_error_set(err, GR_ERR_STORE_IO, "the table %s of the shared store cannot be read: %s", file.p,
                        *cause.message ? cause.message : "it is gone");
}

/* What a build that was not finished leaves: the file, and its write-ahead log. */
static void remove_part(gr_str part, gr_arena *arena) {
    unlink(part.p);
    unlink(gr_arena_printf(arena, GR_FMT ".wal", GR_ARG(part)).p);
}

/* What a table is filled from: a statement of its own engine, or rows from elsewhere. */
typedef struct filling {
    const gr_sql *select;
    void (*on_progress)(void *, double);
    void *arg;
    gr_stream *rows;
    gr_store_told told;
    const gr_rollup *rollup;
} filling;

static gr_status drop_table(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err) {
    if (conn->driver->drop) return conn->driver->drop(conn, ctx, table, err);
    return run(conn, ctx, gr_arena_printf(ctx->arena, "DROP TABLE IF EXISTS " GR_FMT, GR_ARG(table)), err);
}

static gr_status drop_again(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_status status) {
    const gr_ctx after = {.arena = ctx->arena, .now_us = ctx->now_us};
    gr_error ignored;
    (void)!drop_table(conn, &after, table, &ignored);
    return status;
}

static gr_status create(gr_engine_conn *conn, const gr_ctx *ctx, const gr_store_table *table, const filling *f,
                        gr_error *err) {
    if (f->select && conn->driver->fill) {
        const gr_engine_load load = {.catalog = table->catalog, .schema = table->schema, .name = table->name};
        return conn->driver->fill(conn, ctx, &load, f->select->text, f->select->params, f->select->n_params,
                                  f->on_progress, f->arg, err);
    }
    if (f->select) {
        gr_str sql = gr_arena_printf(ctx->arena, "CREATE TABLE " GR_FMT " AS " GR_FMT, GR_ARG(table->local),
                                     GR_ARG(f->select->text));
        return conn->driver->update(conn, ctx, sql, f->select->params, f->select->n_params, f->on_progress, f->arg,
                                    NULL, err);
    }
    const gr_rollup *r = f->rollup;
    size_t n = f->rows->n_columns;
    gr_str *names = NULL;
    int *states = NULL;
    if (n == r->n_columns + r->n_components) { /* an original_sql has the columns that it has */
        names = GR_NEW_N(ctx->arena, gr_str, n + 1);
        states = GR_NEW_N(ctx->arena, int, n + 1);
        for (size_t i = 0; i < n; i++) {
            const gr_rollup_component *c = i < r->n_columns ? NULL : &r->components[i - r->n_columns];
            names[i] = c ? c->name : r->columns[i].name;
            states[i] = c && c->component.is_state ? c->component.log2m : 0;
        }
    }
    const gr_engine_load load = {.catalog = table->catalog,
                                 .schema = table->schema,
                                 .name = table->name,
                                 .columns = names,
                                 .states = states,
                                 .on_rows = f->told.on_rows,
                                 .arg = f->told.arg};
    gr_arrival *arrival = gr_store_arrival(gr_store_booleans(f->rows, r, ctx->arena), ctx->arena);
    GR_TRY(conn->driver->load(conn, ctx, &load, gr_store_arrival_rows(arrival), NULL, err));
    gr_status status = gr_store_arrived(arrival, conn, ctx, table->local, &load, err);
    return status ? drop_again(conn, ctx, table->local, status) : GR_OK;
}

/* Written beside its place and moved there whole, so that no process ever attaches half a table. */
static gr_status create_shared(gr_engine_conn *conn, const gr_ctx *ctx, const gr_store_table *table, gr_str dir,
                               const filling *f, gr_error *err) {
    gr_str part = file_of(dir, table->name, ".part", ctx->arena), file = file_of(dir, table->name, "", ctx->arena);
    gr_ctx after = {.arena = ctx->arena, .now_us = ctx->now_us}; /* what is begun is put in order, whatever happened */
    remove_part(part, ctx->arena);
    GR_TRY(attach(conn, ctx, part, table->name, "", err));
    gr_status status = create(conn, ctx, table, f, err);
    conn->driver->forget_statements(conn);
    gr_error ignored;
    gr_status closed = detach(conn, &after, table->name, status ? &ignored : err);
    if (!status) status = closed;
    if (!status) gr_fault_point("store.part");
    if (!status && rename(part.p, file.p))
        status = gr_error_set(err, GR_ERR_STORE_IO, "the table %s cannot be put in its place: %m", file.p);
    if (status) remove_part(part, ctx->arena);
    if (!status) gr_fault_point("store.renamed");
    return status ? status : attach(conn, &after, file, table->name, ", READ_ONLY", err);
}

static pthread_mutex_t schema_lock = PTHREAD_MUTEX_INITIALIZER; /* store.schema: last of all, held over one statement */

/* Several partitions are built at once, and each finds that there is no schema yet: all but one would lose against that
 * one, whether they say IF NOT EXISTS or not. Against another process it is tried again. */
static gr_status make_schema(gr_engine_conn *conn, const gr_ctx *ctx, const gr_store_table *table, gr_error *err) {
    enum { TRIES = 3, PAUSE_NS = 20000000 };
    const gr_dialect *dialect = gr_dialect_get(gr_str_from(conn->driver->dialect));
    bool is_native = table->local.n < table->text.n; /* the connection is to the very database */
    gr_str sql = gr_sql_create_schema(dialect, is_native ? (gr_str){0} : table->catalog, table->schema, ctx->arena);
    gr_status status = GR_OK;
    for (int i = 0; i < TRIES; i++) {
        if (i) nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
        pthread_mutex_lock(&schema_lock);
        status = conn->driver->define ? conn->driver->define(conn, ctx, sql, err) : run(conn, ctx, sql, err);
        pthread_mutex_unlock(&schema_lock);
        if (status != GR_ERR_ENGINE_SQL) return status;
    }
    return status;
}

static gr_status build(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, const gr_store_table *table,
                       gr_str store_dir, const filling *f, gr_error *err) {
    if (gr_store_is_shared_table(table->text) && store_dir.n) return create_shared(conn, ctx, table, store_dir, f, err);
    if (!is_embedded(r)) GR_TRY(make_schema(conn, ctx, table, err));
    return create(conn, ctx, table, f, err);
}

gr_status gr_store_build_in_place(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r,
                                  const gr_store_table *table, gr_str store_dir, const gr_sql *select,
                                  void (*on_progress)(void *, double), void *arg, gr_error *err) {
    const filling f = {.select = select, .on_progress = on_progress, .arg = arg, .rollup = r};
    return build(conn, ctx, r, table, store_dir, &f, err);
}

gr_status gr_store_build_from(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, const gr_store_table *table,
                              gr_str store_dir, gr_stream *rows, gr_store_told told, gr_error *err) {
    const filling f = {.rows = rows, .told = told, .rollup = r};
    return build(conn, ctx, r, table, store_dir, &f, err);
}

static bool has_edges(const gr_rollup *r, size_t i) {
    return r->columns[i].is_instant || &r->columns[i] == gr_rollup_time(r);
}

/* One row for each partition: its key, rows, checksum, then first and last of each instant column and of the first time
 * column. */
static gr_str stat_text(const gr_rollup *r, gr_str table, const gr_dialect *dialect, gr_arena *arena) {
    gr_str key = gr_sql_partition_key(r, dialect, arena), checksum = gr_sql_checksum(r, dialect, arena);
    gr_buf sql;
    gr_buf_init(&sql, 1 << 20);
    gr_buf_printf(&sql, "SELECT " GR_FMT " AS granary_k, count(*) AS granary_n, " GR_FMT, GR_ARG(key),
                  GR_ARG(checksum));
    for (size_t i = 0; i < r->n_columns; i++) {
        gr_str name = gr_sql_quote(dialect, r->columns[i].name, arena);
        if (has_edges(r, i))
            gr_buf_printf(&sql, ", " GR_FMT ", " GR_FMT, GR_ARG(gr_sql_edge(dialect, name, false, arena)),
                          GR_ARG(gr_sql_edge(dialect, name, true, arena)));
    }
    gr_buf_printf(&sql, " FROM " GR_FMT " GROUP BY granary_k HAVING count(*) > 0 ORDER BY granary_k", GR_ARG(table));
    gr_str text = gr_arena_dup(arena, gr_buf_str(&sql));
    gr_buf_done(&sql);
    return text;
}

static void take_row(const gr_rollup *r, const gr_batch *b, size_t row, gr_arena *arena, gr_store_stat *out) {
    gr_store_part_stat part = {.key_us = ((const int64_t *)b->columns[0].data)[row],
                               .rows = ((const int64_t *)b->columns[1].data)[row],
                               .checksum = gr_arena_dup(arena, gr_column_text(&b->columns[2], row))};
    size_t at = 3;
    out->parts[out->n_parts++] = part;
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!has_edges(r, i)) continue;
        const gr_column *lo = &b->columns[at++], *hi = &b->columns[at++];
        if (gr_column_is_null(lo, row)) continue;
        int64_t min = ((const int64_t *)lo->data)[row], max = ((const int64_t *)hi->data)[row];
        if (min < out->min_us[i]) out->min_us[i] = min;
        if (max > out->max_us[i]) out->max_us[i] = max;
    }
    out->rows += part.rows;
}

gr_status gr_store_stat_table(gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r, gr_str table,
                              const gr_dialect *dialect, gr_store_stat *ret, gr_error *err) {
    gr_stream *stream;
    const gr_batch *batch;
    gr_store_stat out = {.min_us = GR_NEW_N(ctx->arena, int64_t, r->n_columns + 1),
                         .max_us = GR_NEW_N(ctx->arena, int64_t, r->n_columns + 1)};
    for (size_t i = 0; i < r->n_columns; i++) out.min_us[i] = INT64_MAX, out.max_us[i] = INT64_MIN;
    GR_TRY(conn->driver->query(conn, ctx, stat_text(r, table, dialect, ctx->arena), NULL, 0, false, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    while (!status && batch) {
        gr_store_part_stat *parts = GR_NEW_N(ctx->arena, gr_store_part_stat, out.n_parts + batch->n_rows + 1);
        if (out.n_parts) memcpy(parts, out.parts, out.n_parts * sizeof *parts);
        out.parts = parts;
        for (size_t i = 0; i < batch->n_rows; i++) take_row(r, batch, i, ctx->arena, &out);
        status = stream->next(stream, &batch, err);
    }
    stream->close(stream);
    GR_TRY(status);
    const gr_rollup_column *time = gr_rollup_time(r);
    out.last_us = time ? out.max_us[time - r->columns] : INT64_MIN;
    for (size_t i = 0; i < r->n_columns; i++)
        if (out.min_us[i] > out.max_us[i]) out.min_us[i] = out.max_us[i] = 0; /* there is none */
    /* Width of a row by its types is enough for a report; DuckDB does not say how many blocks one table has. */
    out.bytes = out.rows * (int64_t)(8 * (r->n_columns + r->n_components));
    *ret = out;
    return GR_OK;
}

gr_status gr_store_detach(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err) {
    return gr_store_is_shared_table(table) ? detach(conn, ctx, shared_name(table), err) : GR_OK;
}

gr_status gr_store_drop(gr_engine_conn *conn, const gr_ctx *ctx, gr_str store_dir, gr_str table, gr_error *err) {
    if (!gr_store_is_shared_table(table) || !store_dir.n) return drop_table(conn, ctx, table, err);
    gr_str name = shared_name(table), file = file_of(store_dir, name, "", ctx->arena);
    GR_TRY(detach(conn, ctx, name, err));
    remove_part(file_of(store_dir, name, ".part", ctx->arena), ctx->arena);
    if (unlink(file.p) && errno != ENOENT)
        return gr_error_set(err, GR_ERR_STORE_IO, "the table %s cannot be removed: %m", file.p);
    return GR_OK;
}
