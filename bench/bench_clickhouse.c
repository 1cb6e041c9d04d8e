/* ClickHouse beside a bare client of libcurl, in one process and run, alternating: ROWS rows in blocks of format
 * Native, each value looked at, and the same statement as batches; and into a DuckDB table.
 *
 * bench_clickhouse ROWS; prints one JSON object. Starts a private server; exits with 77 where there is none. */
#include "base/mem.h"
#include "clickhouse/server.h"
#include "engine/engine.h"
#include "measure.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <time.h>

static clickhouse_server server;

static double now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void must(gr_status status, const gr_error *err) {
    if (!status) return;
    fprintf(stderr, "bench_clickhouse: %s\n", err->message);
    (void)!clickhouse_stop(&server);
    exit(1);
}

static const char select_all[] = "SELECT id, kind, s, v, ts FROM bench_rows";

/* ---- the bare client -----------------------------------------------------------------------------------------------
 */

typedef struct body {
    char *p;
    size_t n, cap;
    int64_t rows;
    uint64_t sum;
} body;

static bool take_varuint(const char **p, const char *end, uint64_t *ret) {
    uint64_t v = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        unsigned char b = (unsigned char)*(*p)++;
        v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128)) return *ret = v, true;
    }
    return false;
}

static bool skip_string(const char **p, const char *end) {
    uint64_t n;
    if (!take_varuint(p, end, &n) || (uint64_t)(end - *p) < n) return false;
    *p += n;
    return true;
}

static bool fixed(const char **p, const char *end, uint64_t n, size_t width, uint64_t *sum) {
    if ((uint64_t)(end - *p) < n * width) return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t v = 0;
        memcpy(&v, *p + i * width, width);
        *sum += v;
    }
    *p += n * width;
    return true;
}

/* Int64, UInt32, String, Nullable(Float64), DateTime: the end of the first block, or NULL when it is not whole. */
static const char *block(const char *p, const char *end, int64_t *rows, uint64_t *sum) {
    static const size_t widths[] = {8, 4, 0, 8, 4};
    uint64_t columns, n, total = 0;
    if (!take_varuint(&p, end, &columns) || !take_varuint(&p, end, &n) || columns != 5) return NULL;
    for (int c = 0; c < 5; c++) {
        if (!skip_string(&p, end) || !skip_string(&p, end)) return NULL;
        if (c == 3 && !fixed(&p, end, n, 1, &total)) return NULL;
        if (widths[c] && !fixed(&p, end, n, widths[c], &total)) return NULL;
        for (uint64_t i = 0; c == 2 && i < n; i++) {
            const char *at = p;
            if (!skip_string(&p, end)) return NULL;
            total += (uint64_t)(p - at) + (unsigned char)p[-1];
        }
    }
    *rows += (int64_t)n;
    *sum += total;
    return p;
}

static void read_blocks(body *b) {
    const char *at = b->p, *end = b->p + b->n;
    for (const char *next; at < end && (next = block(at, end, &b->rows, &b->sum)); at = next) continue;
    b->n = (size_t)(end - at);
    memmove(b->p, at, b->n);
}

static size_t take(char *data, size_t size, size_t n, void *arg) {
    enum { WORTH_A_TRY = 4 << 20 };
    body *b = arg;
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n) + WORTH_A_TRY;
        b->p = gr_mem_realloc(b->p, b->cap);
    }
    memcpy(b->p + b->n, data, size * n);
    b->n += size * n;
    if (b->n > WORTH_A_TRY) read_blocks(b);
    return size * n;
}

static double bare_ms(int64_t *ret_rows) {
    body b = {0};
    char url[256];
    double start = now_ms();
    CURL *easy = curl_easy_init();
    snprintf(url, sizeof url, "%s/?user=granary&password=secret&default_format=Native&buffer_size=1048576",
             server.urls[0]);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, select_all);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &b);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    (void)curl_easy_perform(easy);
    read_blocks(&b);
    curl_easy_cleanup(easy);
    free(b.p);
    *ret_rows = b.sum ? b.rows : -1;
    return now_ms() - start;
}

/* ---- ours ----------------------------------------------------------------------------------------------------------
 */

static double batches_ms(gr_engine_conn *conn, gr_arena *arena, int64_t *ret_rows) {
    gr_error err = {0};
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_stream *stream;
    const gr_batch *batch;
    int64_t rows = 0;
    double start = now_ms();
    must(conn->driver->query(conn, &ctx, gr_str_from(select_all), NULL, 0, false, &stream, &err), &err);
    do {
        must(stream->next(stream, &batch, &err), &err);
        if (batch) rows += (int64_t)batch->n_rows;
    } while (batch);
    stream->close(stream);
    *ret_rows = rows;
    return now_ms() - start;
}

static double into_duckdb_ms(gr_engine_conn *conn, gr_engine_conn *store, gr_arena *arena) {
    gr_error err = {0};
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_stream *stream;
    const gr_engine_load load = {.catalog = GR_STR("memory"), .schema = GR_STR("main"), .name = GR_STR("bench_copy")};
    double start = now_ms();
    must(conn->driver->query(conn, &ctx, gr_str_from(select_all), NULL, 0, false, &stream, &err), &err);
    must(store->driver->load(store, &ctx, &load, stream, NULL, &err), &err);
    stream->close(stream);
    double ms = now_ms() - start;
    gr_str drop = GR_STR("DROP TABLE memory.main.bench_copy");
    must(store->driver->update(store, &ctx, drop, NULL, 0, NULL, NULL, NULL, &err), &err);
    return ms;
}

int main(int argc, char **argv) {
    int64_t n_rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 5000000, n = 0, m = 0;
    gr_arena *arena = gr_arena_new();
    gr_error err = {0};
    if (clickhouse_start(&server, 1)) return 1;
    if (!server.urls[0][0]) return 77;
    const gr_config config = {.engine_threads = 2, .engine_memory_mb = 2048};
    const gr_source_config source = {.name = GR_STR("house"),
                                     .kind = GR_SOURCE_CLICKHOUSE,
                                     .url = {gr_str_from(server.urls[0])},
                                     .user = GR_STR("granary"),
                                     .password = {GR_STR("secret")}};
    gr_engine *engine, *duckdb;
    gr_engine_conn *conn, *store;
    must(gr_engine_clickhouse_driver.open(&(gr_engine_options){.config = &config}, &engine, &err), &err);
    must(engine->driver->attach(engine, &source, false, &err), &err);
    must(engine->driver->connect(engine, source.name, &conn, &err), &err);
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_str make = gr_arena_printf(
        arena,
        "CREATE TABLE bench_rows ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number) AS id, toUInt32(number %% "
        "1000) AS kind, concat('t', toString(number %% 100000)) AS s, if(number %% 10 = 0, NULL, toFloat64(number) / "
        "7) AS v, toDateTime('2024-01-01 00:00:00') + number AS ts FROM numbers(%lld)",
        (long long)n_rows);
    must(conn->driver->update(conn, &ctx, make, NULL, 0, NULL, NULL, NULL, &err), &err);
    double bare = 1e12, ours = 1e12, whole = 1e12;
    (void)bare_ms(&n); /* from the disk, once */
    long before = rss_kb();
    for (int i = 0; i < 5; i++) ours = least(ours, batches_ms(conn, arena, &m));
    long grown = rss_kb() - before;
    for (int i = 0; i < 5; i++) {
        bare = least(bare, bare_ms(&n));
        ours = least(ours, batches_ms(conn, arena, &m));
    }
    must(gr_engine_duckdb_driver.open(&(gr_engine_options){.config = &config}, &duckdb, &err), &err);
    must(duckdb->driver->connect(duckdb, GR_STR(""), &store, &err), &err);
    for (int i = 0; i < 2; i++) whole = least(whole, into_duckdb_ms(conn, store, arena));
    if (n != n_rows || m != n_rows) must(gr_error_set(&err, GR_ERR_INTERNAL, "rows were lost"), &err);
    printf("{\"bulk\": {\"rows\": %lld, \"bare_client_ms\": %.0f, \"batches_ms\": %.0f, \"ratio_of_rows_per_s\": %.3f, "
           "\"batches_memory_kb\": %ld, \"into_duckdb_ms\": %.0f, \"into_duckdb_ratio\": %.3f}}\n",
           (long long)n, bare, ours, bare / ours, grown, whole, bare / whole);
    duckdb->driver->disconnect(store);
    duckdb->driver->close(duckdb);
    engine->driver->disconnect(conn);
    engine->driver->close(engine);
    gr_arena_free(arena);
    return clickhouse_stop(&server) ? 1 : 0;
}
