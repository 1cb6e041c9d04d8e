/* Sketches: the union beside a bare loop of byte maxima over as many bytes, the kernel that adds hashed values, stored
 * bytes to a sketch and back, and the SQL functions beside DuckDB's own approx_count_distinct over the same rows in the
 * same process. Each figure is the best of ROUNDS, ours and the other by turns. Prints one JSON object. */
#include "base/mem.h"
#include "engine/engine.h"
#include "sketch/sketch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9, LOG2M = 11, REGISTERS = 1 << LOG2M, SKETCHES = 512, PASSES = 40, VALUES = 1 << 22 };

static double now_s(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(gr_status status, const gr_error *err) {
    if (!status) return;
    fprintf(stderr, "bench_sketch: %s\n", err->message);
    exit(1);
}

static double least(double a, double b) { return a == 0 || b < a ? b : a; }

/* The bare loop, for which the compiler knows everything but the bytes. */
__attribute__((noinline)) static void bare_max(uint8_t *restrict into, const uint8_t *restrict from) {
    for (size_t i = 0; i < REGISTERS; i++) into[i] = into[i] > from[i] ? into[i] : from[i];
}

static gr_hll *dense_sketch(int64_t first) {
    gr_hll *s = gr_hll_new(LOG2M);
    for (int64_t i = first; i < first + 20000; i++) gr_hll_add(s, gr_hll_hash_i64(i));
    return s;
}

static void bench_union(void) {
    static gr_hll *sketches[SKETCHES];
    static uint8_t bytes[SKETCHES][REGISTERS], into[REGISTERS], stored[SKETCHES][REGISTERS];
    size_t n_stored[SKETCHES];
    for (size_t i = 0; i < SKETCHES; i++) {
        sketches[i] = dense_sketch((int64_t)i * 1000);
        n_stored[i] = gr_hll_store(sketches[i], stored[i]);
        for (size_t j = 0; j < REGISTERS; j++)
            bytes[i][j] = (uint8_t)(gr_hll_hash_i64((int64_t)(i * REGISTERS + j)) & 31);
    }
    double ours = 0, bare = 0, loaded = 0;
    gr_error err;
    for (int round = 0; round < ROUNDS; round++) {
        gr_hll *sum = dense_sketch(0);
        double start = now_s();
        for (int pass = 0; pass < PASSES; pass++)
            for (size_t i = 0; i < SKETCHES; i++) must(gr_hll_union(sum, sketches[i], &err), &err);
        ours = least(ours, now_s() - start);
        start = now_s();
        for (int pass = 0; pass < PASSES; pass++)
            for (size_t i = 0; i < SKETCHES; i++) bare_max(into, bytes[i]);
        bare = least(bare, now_s() - start);
        start = now_s();
        for (size_t i = 0; i < SKETCHES; i++) must(gr_hll_union_bytes(sum, stored[i], n_stored[i], &err), &err);
        loaded = least(loaded, now_s() - start);
        if (gr_hll_cardinality(sum) < 1) exit(1);
        gr_hll_free(sum);
    }
    double n = (double)PASSES * SKETCHES;
    printf("\"union\": {\"log2m\": %d, \"ns\": %.1f, \"bare_loop_ns\": %.1f, \"speed_ratio\": %.2f, "
           "\"of_stored_bytes_ns\": "
           "%.1f}",
           LOG2M, ours / n * 1e9, bare / n * 1e9, bare / ours, loaded / SKETCHES * 1e9);
    for (size_t i = 0; i < SKETCHES; i++) gr_hll_free(sketches[i]);
}

static void bench_add(void) {
    static const int precisions[] = {11, 14, 17};
    uint64_t *hashes = gr_mem_alloc(VALUES * sizeof *hashes);
    double hashing = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_s();
        for (int64_t i = 0; i < VALUES; i++) hashes[i] = gr_hll_hash_i64(i);
        hashing = least(hashing, now_s() - start);
    }
    printf(", \"hash_bigint_mvalues_per_s\": %.0f, \"add_mvalues_per_s\": {", VALUES / hashing / 1e6);
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        double took = 0;
        for (int round = 0; round < ROUNDS; round++) {
            gr_hll *s = gr_hll_new(precisions[p]);
            double start = now_s();
            gr_hll_add_many(s, hashes, VALUES);
            took = least(took, now_s() - start);
            if (gr_hll_cardinality(s) < 1) exit(1);
            gr_hll_free(s);
        }
        printf("%s\"log2m_%d\": %.0f", p ? ", " : "", precisions[p], VALUES / took / 1e6);
    }
    printf("}");
    free(hashes);
}

/* ---- SQL ----------------------------------------------------------------------------------------------------------
 */

static const gr_engine_driver *const driver = &gr_engine_duckdb_driver;

static double time_query(gr_engine_conn *conn, const char *sql) {
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = {.arena = arena};
    gr_error err;
    gr_stream *stream;
    const gr_batch *batch;
    double start = now_s();
    must(driver->query(conn, &ctx, gr_str_from(sql), NULL, 0, true, &stream, &err), &err);
    do must(stream->next(stream, &batch, &err), &err);
    while (batch);
    double took = now_s() - start;
    stream->close(stream);
    gr_arena_free(arena);
    return took;
}

static void bench_sql(void) {
    static const char table[] =
        "CREATE TABLE t AS SELECT hash(i) % 2000000 AS v, 'user ' || hash(i) % 2000000 AS s, i % 100 AS "
        "g, hash(i) % 100000 AS h FROM range(10000000) r(i)";
    static const char narrow[] = "ALTER TABLE t ALTER v TYPE BIGINT";
    static const struct {
        const char *name, *ours, *builtin;
    } cases[] = {
        {"bigint", "SELECT granary_hll_cardinality(granary_hll_add(v, 11)) FROM t",
         "SELECT approx_count_distinct(v) FROM t"},
        {"varchar", "SELECT granary_hll_cardinality(granary_hll_add(s, 11)) FROM t",
         "SELECT approx_count_distinct(s) FROM t"},
        {"groups_100", "SELECT g, granary_hll_cardinality(granary_hll_add(v, 11)) FROM t GROUP BY g",
         "SELECT g, approx_count_distinct(v) FROM t GROUP BY g"},
        {"groups_100000", "SELECT h, granary_hll_cardinality(granary_hll_add(v, 11)) FROM t GROUP BY h",
         "SELECT h, approx_count_distinct(v) FROM t GROUP BY h"},
    };
    gr_config config = {.engine_memory_mb = 4096, .engine_threads = 2};
    gr_engine_options options = {&config, {0}};
    gr_engine *engine;
    gr_engine_conn *conn;
    gr_error err;
    must(driver->open(&options, &engine, &err), &err);
    must(driver->connect(engine, (gr_str){0}, &conn, &err), &err);
    must(driver->update(conn, NULL, gr_str_from(table), NULL, 0, NULL, NULL, NULL, &err), &err);
    must(driver->update(conn, NULL, gr_str_from(narrow), NULL, 0, NULL, NULL, NULL, &err), &err);
    printf(", \"sql_10m_rows\": {");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ours = 0, builtin = 0;
        for (int round = 0; round < 5; round++) {
            ours = least(ours, time_query(conn, cases[i].ours));
            builtin = least(builtin, time_query(conn, cases[i].builtin));
        }
        printf("%s\"%s\": {\"ms\": %.1f, \"approx_count_distinct_ms\": %.1f, \"ratio\": %.2f}", i ? ", " : "",
               cases[i].name, ours * 1e3, builtin * 1e3, ours / builtin);
    }
    must(driver->update(conn, NULL,
                        GR_STR("CREATE TABLE u AS SELECT h, granary_hll_add(v, 11) AS sketch FROM t GROUP BY h"), NULL,
                        0, NULL, NULL, NULL, &err),
         &err);
    double merged = 0;
    for (int round = 0; round < 5; round++)
        merged = least(merged, time_query(conn, "SELECT granary_hll_cardinality(granary_hll_union(sketch)) FROM u"));
    printf(", \"union_of_100000_stored_ms\": %.1f}", merged * 1e3);
    driver->disconnect(conn);
    driver->close(engine);
}

int main(void) {
    printf("{");
    bench_union();
    bench_add();
    bench_sql();
    printf("}\n");
    return 0;
}
