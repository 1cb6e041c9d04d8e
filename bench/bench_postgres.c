/* PostgreSQL beside the bare client library, in one process and run, alternating:
 *
 *   bulk      COPY of ROWS rows: libpq alone, each value decoded, and query_bulk as batches; and into a DuckDB table
 *   served    a query that a rollup in PostgreSQL answers: parse, plan, render, run, read, and the same SQL prepared
 *
 * bench_postgres ROWS QUERIES; prints one JSON object. Starts a private server; exits with 77 where there is none. */
#include "exec/exec.h"
#include "measure.h"
#include "postgres/server.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static postgres_server server;

static void must(gr_status status, const gr_error *err) {
    if (!status) return;
    fprintf(stderr, "bench_postgres: %s\n", err->message);
    (void)!postgres_stop(&server);
    exit(1);
}

static const char yaml[] =
    "cubes:\n- name: rows\n  sql_table: bench_rows\n  dimensions:\n  - {name: id, sql: id, type: number, primary_key: "
    "true}\n  - {name: kind, sql: kind, type: number}\n  - {name: ts, sql: ts, type: time}\n  measures:\n  - {name: "
    "count, type: count}\n  - {name: amount, sql: v, type: sum}\n  pre_aggregations:\n  - {name: daily, external: "
    "false, "
    "measures: [count, amount], dimensions: [kind], time_dimension: ts, granularity: day}\n";
static const char select_all[] = "SELECT id, kind, s, v, ts FROM bench_rows";

static void execute(PGconn *pg, const char *sql) {
    PGresult *r = PQexec(pg, sql);
    gr_error err = {0};
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        must(gr_error_set(&err, GR_ERR_ENGINE_SQL, "%s", PQerrorMessage(pg)), &err);
    PQclear(r);
}

/* ---- bulk ----------------------------------------------------------------------------------------------------------
 */

static uint64_t big_endian(const char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | (unsigned char)p[i];
    return v;
}

/* Every value is looked at, nothing is kept. */
static double bare_copy_ms(PGconn *pg, int64_t *ret_rows) {
    int64_t start = now_ns(), rows = 0;
    volatile uint64_t sum = 0;
    char *row;
    char sql[256];
    snprintf(sql, sizeof sql, "COPY (%s) TO STDOUT (FORMAT binary)", select_all);
    PQclear(PQexec(pg, sql));
    for (int n; (n = PQgetCopyData(pg, &row, 0)) > 0;) {
        const char *p = row + (rows ? 0 : 19), *end = row + n;
        int fields = (int)(int16_t)big_endian(p, 2);
        p += 2;
        for (int i = 0; i < fields && p < end; i++) {
            int32_t length = (int32_t)big_endian(p, 4);
            p += 4;
            if (length > 0) sum += big_endian(p, length > 8 ? 8 : (size_t)length);
            p += length > 0 ? length : 0;
        }
        rows += fields > 0;
        PQfreemem(row);
    }
    PQclear(PQgetResult(pg));
    while (PQgetResult(pg)) continue;
    *ret_rows = rows;
    return (double)(now_ns() - start) / 1e6;
}

static double batches_ms(gr_engine_conn *conn, gr_arena *arena, int64_t *ret_rows) {
    gr_error err = {0};
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_stream *stream;
    const gr_batch *batch;
    int64_t start = now_ns(), rows = 0;
    must(conn->driver->query_bulk(conn, &ctx, gr_str_from(select_all), NULL, 0, &stream, &err), &err);
    do {
        must(stream->next(stream, &batch, &err), &err);
        if (batch) rows += (int64_t)batch->n_rows;
    } while (batch);
    stream->close(stream);
    *ret_rows = rows;
    return (double)(now_ns() - start) / 1e6;
}

static double into_duckdb_ms(gr_engine_conn *conn, gr_engine_conn *store, gr_arena *arena) {
    gr_error err = {0};
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_stream *stream;
    const gr_engine_load load = {
        .catalog = GR_STR("granary_store"), .schema = GR_STR("main"), .name = GR_STR("bench_copy")};
    int64_t start = now_ns();
    must(conn->driver->query_bulk(conn, &ctx, gr_str_from(select_all), NULL, 0, &stream, &err), &err);
    must(store->driver->load(store, &ctx, &load, stream, NULL, &err), &err);
    stream->close(stream);
    double ms = (double)(now_ns() - start) / 1e6;
    gr_str drop = GR_STR("DROP TABLE granary_store.main.bench_copy");
    must(store->driver->update(store, &ctx, drop, NULL, 0, NULL, NULL, NULL, &err), &err);
    return ms;
}

static void bench_bulk(PGconn *pg, const gr_config *config, int64_t n_rows, gr_arena *arena) {
    gr_error err = {0};
    gr_engine *engine, *duckdb;
    gr_engine_conn *conn, *store;
    must(gr_engine_postgres_driver.open(&(gr_engine_options){.config = config}, &engine, &err), &err);
    must(engine->driver->attach(engine, &config->sources[0], false, &err), &err);
    must(engine->driver->connect(engine, config->sources[0].name, &conn, &err), &err);
    double bare = 1e12, ours = 1e12, whole = 1e12;
    int64_t n = 0, m = 0;
    long before = rss_kb();
    for (int i = 0; i < 3; i++) {
        bare = least(bare, bare_copy_ms(pg, &n));
        ours = least(ours, batches_ms(conn, arena, &m));
    }
    long grown = rss_kb() - before;
    gr_str file = gr_arena_printf(arena, GR_FMT "/bench.duckdb", GR_ARG(config->root));
    must(gr_engine_duckdb_driver.open(&(gr_engine_options){config, file}, &duckdb, &err), &err);
    must(duckdb->driver->connect(duckdb, GR_STR(""), &store, &err), &err);
    for (int i = 0; i < 2; i++) whole = least(whole, into_duckdb_ms(conn, store, arena));
    if (n != n_rows || m != n_rows) must(gr_error_set(&err, GR_ERR_INTERNAL, "rows were lost"), &err);
    printf("\"bulk\": {\"rows\": %lld, \"bare_copy_ms\": %.0f, \"batches_ms\": %.0f, \"ratio_of_rows_per_s\": %.3f, "
           "\"batches_memory_kb\": %ld, \"into_duckdb_ms\": %.0f, \"into_duckdb_ratio\": %.3f}, ",
           (long long)n, bare, ours, bare / ours, grown, whole, bare / whole);
    duckdb->driver->disconnect(store);
    duckdb->driver->close(duckdb);
    engine->driver->disconnect(conn);
    engine->driver->close(engine);
}

/* ---- served --------------------------------------------------------------------------------------------------------
 */

typedef struct served {
    gr_exec *exec;
    gr_model *model;
    json_t *query;
    gr_sql sql;
} served;

static double ours_us(served *s, bool keeps) {
    gr_error err = {0};
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    const gr_query_options options = {.default_limit = 1000,
                                      .max_limit = 1000,
                                      .max_members = 50,
                                      .max_filter_depth = 4,
                                      .max_filter_values = 10,
                                      .default_tz = gr_tz_utc(),
                                      .now_us = ctx.now_us};
    int64_t start = now_ns();
    const gr_snapshot *snapshot = gr_exec_snapshot_ref(s->exec);
    gr_query *query;
    gr_plan *plan;
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    must(gr_query_parse(snapshot->model, s->query, &options, arena, &query, &err), &err);
    must(gr_plan_query(snapshot, query, (gr_plan_options){.now_us = ctx.now_us}, arena, &plan, &err), &err);
    if (plan->to_build) {
        gr_build_result built;
        const gr_build_ask ask = {.run = gr_run_all};
        must(gr_exec_build(s->exec, &ctx, snapshot, plan->to_build, plan->to_build_zone, &ask, &built, &err), &err);
        gr_exec_snapshot_unref(snapshot);
        gr_arena_free(arena);
        return ours_us(s, keeps);
    }
    if (!plan->rollup || plan->reads_source) must(gr_error_set(&err, GR_ERR_INTERNAL, "not served"), &err);
    must(gr_sql_query(plan, gr_exec_places(s->exec), arena, &sql, &err), &err);
    must(gr_exec_query(s->exec, &ctx, &sql, &stream, &err), &err);
    do must(stream->next(stream, &batch, &err), &err);
    while (batch);
    stream->close(stream);
    gr_exec_snapshot_unref(snapshot);
    double us = (double)(now_ns() - start) / 1e3;
    if (keeps) {
        s->sql = sql; /* with its arena, which is not freed */
        return us;
    }
    gr_arena_free(arena);
    return us;
}

static double bare_us(PGconn *pg, const char *const *values, int n) {
    int64_t start = now_ns();
    PGresult *r = PQexecPrepared(pg, "bench", n, values, NULL, NULL, 1);
    volatile uint64_t sum = 0;
    for (int i = 0; i < PQntuples(r); i++)
        for (int k = 0; k < PQnfields(r); k++) sum += big_endian(PQgetvalue(r, i, k), PQgetlength(r, i, k) > 8 ? 8 : 1);
    PQclear(r);
    return (double)(now_ns() - start) / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_served(PGconn *pg, const gr_config *config, int n_queries, gr_arena *arena) {
    gr_error err = {0};
    gr_diags diags;
    gr_diags_init(&diags, arena);
    served s = {.query = json_loads("{\"measures\":[\"rows.count\",\"rows.amount\"],\"dimensions\":[\"rows.kind\"],"
                                    "\"timeDimensions\":[{\"dimension\":\"rows.ts\",\"dateRange\":[\"2024-01-05\","
                                    "\"2024-01-05\"]}]}",
                                    0, NULL)};
    const gr_model_file file = {GR_STR("m.yml"), {yaml, sizeof yaml - 1}};
    must(gr_model_load_files(&file, 1, &diags, &s.model, &err), &err);
    must(gr_exec_open(config, &s.exec, &err), &err);
    must(gr_exec_set_model(s.exec, s.model, &diags, &err), &err);
    (void)ours_us(&s, true);
    PGresult *r = PQprepare(pg, "bench", gr_arena_dup(arena, s.sql.text).p, 0, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        must(gr_error_set(&err, GR_ERR_ENGINE_SQL, "%s", PQerrorMessage(pg)), &err);
    PQclear(r);
    static const char *const values[] = {"2024-01-05 00:00:00", "2024-01-06 00:00:00"};
    double *bare = GR_NEW_N(arena, double, n_queries), *ours = GR_NEW_N(arena, double, n_queries);
    for (int i = 0; i < 200; i++) (void)bare_us(pg, values, 2), (void)ours_us(&s, false);
    for (int i = 0; i < n_queries; i++) {
        bare[i] = bare_us(pg, values, 2);
        ours[i] = ours_us(&s, false);
    }
    qsort(bare, (size_t)n_queries, sizeof *bare, by_size);
    qsort(ours, (size_t)n_queries, sizeof *ours, by_size);
    double a = bare[n_queries / 2], b = ours[n_queries / 2];
    printf("\"served\": {\"queries\": %d, \"bare_prepared_us\": %.1f, \"granary_us\": %.1f, \"overhead_us\": %.1f, "
           "\"ratio\": %.3f}",
           n_queries, a, b, b - a, b / a);
    gr_exec_close(s.exec);
    gr_model_unref(s.model);
    json_decref(s.query);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: bench_postgres ROWS QUERIES\n"), 2;
    long n_rows = strtol(argv[1], NULL, 10);
    char root[] = "/tmp/granary-bench-XXXXXX", sql[512];
    gr_arena *arena = gr_arena_new();
    if (!mkdtemp(root) || postgres_start(&server)) return 1;
    if (!server.connection[0]) return fprintf(stderr, "bench_postgres: there is no PostgreSQL on this machine\n"), 77;
    gr_source_config source = {
        .name = GR_STR("default"), .kind = GR_SOURCE_POSTGRES, .url = {gr_str_from(server.connection)}};
    gr_config config = {.root = gr_str_from(root),
                        .sources = &source,
                        .n_sources = 1,
                        .state_dir = GR_STR("state"),
                        .preagg_schema = GR_STR("pre"),
                        .max_build_zones = 4,
                        .engine_memory_mb = 2048,
                        .engine_threads = 2,
                        .engine_connections = 4};
    PGconn *pg = PQconnectdb(server.connection);
    snprintf(
        sql, sizeof sql,
        "CREATE TABLE bench_rows AS SELECT CAST(i AS bigint) AS id, i %% 10 AS kind, 'v' || i %% 1000 AS s, CASE WHEN "
        "i %% 7 > 0 THEN i / 3.0::float8 END AS v, timestamp '2024-01-01' + i * interval '1 second' AS ts FROM "
        "generate_series(1, %ld) AS t(i)",
        n_rows);
    execute(pg, sql);
    execute(pg, "ANALYZE bench_rows");
    printf("{");
    bench_bulk(pg, &config, n_rows, arena);
    bench_served(pg, &config, (int)strtol(argv[2], NULL, 10), arena);
    printf("}\n");
    PQfinish(pg);
    gr_arena_free(arena);
    snprintf(sql, sizeof sql, "rm -rf %s", root);
    return system(sql) || postgres_stop(&server); /* NOLINT(cert-env33-c): a name of ours */
}
