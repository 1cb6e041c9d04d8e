/* What the files of the ClickHouse driver share. Only the driver includes this header.
 *
 *   statement ─ POST ─> text of the statement, values written into it     clickhouse_http.c, clickhouse_value.c
 *   rows      <─ Native blocks, one at a time, as batches                  clickhouse_native.c, clickhouse_stream.c
 *   load      ─ POST ─> Native blocks out of batches                       clickhouse_load.c
 *
 * One dialect of HTTP for 18.16 and for modern servers; where they differ the version decides (engines.md §2, §3). */
#ifndef GR_ENGINE_CLICKHOUSE_INTERNAL_H
#define GR_ENGINE_CLICKHOUSE_INTERNAL_H
#include "base/buf.h"
#include "engine/engine.h"

#include <curl/curl.h>
#include <pthread.h>

typedef struct gr_clickhouse_source { /* owned by the engine; never changed nor freed before it */
    struct gr_clickhouse_source *next;
    char *name, *url, *user, *password, *database; /* url: "http://127.0.0.1:8123" */
    int64_t memory_bytes;                          /* of one statement */
    char *cluster;                                 /* or empty */
    char **nodes;                                  /* their addresses */
    size_t n_nodes;
} gr_clickhouse_source;

typedef struct gr_clickhouse {
    gr_engine base;
    pthread_mutex_t lock;
    gr_clickhouse_source *sources;
    int64_t memory_bytes;
} gr_clickhouse;

typedef struct gr_clickhouse_stream gr_clickhouse_stream;

typedef struct gr_clickhouse_conn {
    gr_engine_conn base;
    const gr_clickhouse_source *source;
    CURLM *multi;
    CURL *easy;
    int version; /* the first number: 18, 26 */
    char what[160];
    uint64_t n_statements;
    char query_id[64]; /* of what runs now */
    atomic_bool is_interrupted;
    gr_clickhouse_stream *open; /* the unfinished stream, or NULL */
} gr_clickhouse_conn;

/* ---- one request (clickhouse_http.c) ------------------------------------------------------------------------------
 */
typedef struct gr_clickhouse_request {
    gr_clickhouse_conn *conn;
    const gr_ctx *ctx; /* may be NULL */
    gr_arena *arena;   /* of its texts */
    gr_buf body;       /* of the answer: what has come and was not taken */
    struct curl_slist *headers;
    long status; /* 0: not known yet */
    CURLcode code;
    bool is_running, is_done;
    bool has_rows;   /* the answer is blocks of format Native */
    gr_status fired; /* why it was stopped */
    int64_t next_tick_us;
    void (*on_tick)(void *arg, double fraction); /* may be NULL; every 100 ms or so, with -1 */
    void *arg;
    /* What is sent after the statement, or NULL: fills at most `size` bytes; 0: the end; CURL_READFUNC_ABORT. */
    size_t (*read)(void *arg, char *to, size_t size);
    void *read_arg;
} gr_clickhouse_request;
/* `sql` is the body; with `read` it is a parameter, and the body is what that gives. */
gr_status gr_engine_clickhouse_send(gr_clickhouse_request *request, gr_clickhouse_conn *conn, const gr_ctx *ctx,
                                    gr_str sql, gr_error *err);
/* Until more of the answer is there, or its end (is_done). Errors: engine.*, cancelled, timeout. */
gr_status gr_engine_clickhouse_pump(gr_clickhouse_request *request, gr_error *err);
/* Stops it where it is; the statement is killed at the server. */
void gr_engine_clickhouse_end(gr_clickhouse_request *request);
/* A statement to its end, and what it says. */
gr_status gr_engine_clickhouse_run(gr_clickhouse_conn *conn, const gr_ctx *ctx, gr_str sql, gr_arena *arena,
                                   gr_str *ret_text, gr_error *err);

/* ---- types, values, blocks ----------------------------------------------------------------------------------------
 */
typedef enum gr_clickhouse_form {
    GR_CH_INT,      /* width 1, 2, 4, 8, signed or not */
    GR_CH_FLOAT,    /* width 4, 8 */
    GR_CH_DECIMAL,  /* width 4, 8, 16 */
    GR_CH_STRING,   /* varuint length, bytes */
    GR_CH_FIXED,    /* width bytes, zeros at the end are none */
    GR_CH_DATE,     /* width 2: uint16, 4: int32, days */
    GR_CH_DATETIME, /* width 4: uint32 seconds, 8: int64 of 10^-scale seconds */
    GR_CH_ENUM,     /* width 1, 2 */
    GR_CH_UUID,
    GR_CH_BOOL,
    GR_CH_STATE, /* of uniqCombined(precision): as long as it says itself */
} gr_clickhouse_form;
typedef struct gr_clickhouse_word {
    int value;
    gr_str text;
} gr_clickhouse_word;
typedef struct gr_clickhouse_type {
    gr_clickhouse_form form;
    gr_type to;
    size_t width;
    uint8_t precision, scale;
    bool is_signed, is_nullable;
    bool has_keys;             /* LowCardinality: each block brings its values once, and numbers of them */
    gr_clickhouse_word *words; /* of an enum */
    size_t n_words;
} gr_clickhouse_type;
/* False when results cannot carry it. Memory: arena. */
bool gr_engine_clickhouse_type(gr_str text, gr_arena *arena, gr_clickhouse_type *ret);
gr_str gr_engine_clickhouse_plain_type(gr_str text); /* T of LowCardinality(T) */
gr_str gr_engine_clickhouse_state_type(int log2m, gr_arena *arena);
gr_column_schema gr_engine_clickhouse_schema(gr_str name, const gr_clickhouse_type *type);
/* The statement with its values in place of $1 …, which stand outside of quotes. Errors: limit.exceeded. */
gr_status gr_engine_clickhouse_with_values(gr_str sql, const gr_value *params, size_t n_params, gr_arena *arena,
                                           gr_str *ret, gr_error *err);
gr_str gr_engine_clickhouse_quote(gr_str text, char quote, gr_arena *arena); /* 'a\'b', `a\`b` */

typedef struct gr_clickhouse_reader gr_clickhouse_reader;
gr_clickhouse_reader *gr_engine_clickhouse_reader_new(const gr_clickhouse_conn *conn, gr_arena *arena);
void gr_engine_clickhouse_reader_free(gr_clickhouse_reader *reader);
/* One block from the start of `bytes`; *ret_used 0: it is not whole yet. The batch points into the reader until the
 * next call, and its schema (the same in every block) lives in the reader's arena. */
gr_status gr_engine_clickhouse_reader_read(gr_clickhouse_reader *reader, gr_str bytes, size_t *ret_used, gr_batch *ret,
                                           gr_error *err);
/* NULL before the first block. */
const gr_column_schema *gr_engine_clickhouse_reader_schema(const gr_clickhouse_reader *reader, size_t *ret_n);

/* ---- statements (clickhouse_query.c, clickhouse_load.c) -----------------------------------------------------------
 */
gr_status gr_engine_clickhouse_query(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                     size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err);
gr_status gr_engine_clickhouse_update(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                                      size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                                      int64_t *ret_rows, gr_error *err);
gr_status gr_engine_clickhouse_describe(gr_engine_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret,
                                        size_t *ret_n, gr_error *err);
gr_status gr_engine_clickhouse_load(gr_engine_conn *conn, const gr_ctx *ctx, const gr_engine_load *load,
                                    gr_stream *rows, int64_t *ret_rows, gr_error *err);
void gr_engine_clickhouse_stream_detach(gr_clickhouse_conn *conn);
/* "`a` Int64, `b` Nullable(String)": the columns of a SELECT, as a table would have them. */
gr_status gr_engine_clickhouse_columns(gr_clickhouse_conn *conn, gr_str sql, gr_arena *arena, gr_str *ret,
                                       gr_error *err);

/* ---- tables (clickhouse_table.c) ----------------------------------------------------------------------------------
 */
typedef struct gr_clickhouse_table {
    gr_clickhouse_conn *conn;
    const gr_engine_load *load;
    gr_arena *arena;
    gr_str text; /* qualified and quoted */
} gr_clickhouse_table;
gr_clickhouse_table gr_engine_clickhouse_table(gr_clickhouse_conn *conn, const gr_engine_load *load, gr_arena *arena);
/* *ret_is_ours: it has to be dropped when what follows fails. */
gr_status gr_engine_clickhouse_make(const gr_clickhouse_table *table, const gr_ctx *ctx, gr_str columns,
                                    bool *ret_is_ours, gr_error *err);
gr_status gr_engine_clickhouse_fill(gr_engine_conn *conn, const gr_ctx *ctx, const gr_engine_load *load, gr_str select,
                                    const gr_value *params, size_t n_params,
                                    void (*on_progress)(void *arg, double fraction), void *arg, gr_error *err);

/* ---- clusters (clickhouse_cluster.c) ------------------------------------------------------------------------------
 */
static inline bool gr_clickhouse_is_cluster(const gr_clickhouse_conn *conn) { return conn->source->n_nodes > 0; }
/* On every node; without a cluster on the connection. */
gr_status gr_engine_clickhouse_define(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, gr_error *err);
gr_status gr_engine_clickhouse_drop(gr_engine_conn *conn, const gr_ctx *ctx, gr_str table, gr_error *err);
/* `"schema"."name_l"` of `"schema"."name"`, which ends in its quote. */
gr_str gr_engine_clickhouse_part(gr_str table, gr_arena *arena);

/* ---- errors (clickhouse_error.c) ----------------------------------------------------------------------------------
 */
/* What an answer that is no 200 says. */
gr_status gr_engine_clickhouse_fail(const gr_clickhouse_conn *conn, gr_str body, gr_error *err);
/* The connection, not the statement. */
gr_status gr_engine_clickhouse_unreachable(const gr_clickhouse_conn *conn, CURLcode code, gr_error *err);
#endif
