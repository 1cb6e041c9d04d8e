/* A driver that plays a script (fake.h). Invariant: it never waits longer than the script says, and it notices cancel,
 * deadline and interrupt within 2 ms. */
#include "engine/fake.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KEPT = 256, MOST_ANSWERS = 1000, MOST_SOURCES = 64 };

typedef struct fake_engine {
    gr_engine base;
    pthread_mutex_t lock;
    gr_fake_answer *answers; /* owned */
    size_t *hits;
    size_t n_answers;
    char *kept[KEPT]; /* statements, a ring */
    size_t n_statements, n_connections, n_forgettings;
    char *sources[MOST_SOURCES];
    size_t n_sources;
} fake_engine;

typedef struct fake_stream fake_stream;

typedef struct fake_conn {
    gr_engine_conn base;
    atomic_bool is_interrupted;
    fake_stream *open;
} fake_conn;

struct fake_stream {
    gr_stream base;
    fake_conn *conn; /* NULL when its connection went on */
    const gr_ctx *ctx;
    gr_fake_answer answer;
    gr_arena *arena;
    size_t at;
    gr_column *columns;
    gr_batch batch;
    bool is_failed;
};

static fake_engine *engine_of(gr_engine *engine) { return (fake_engine *)(void *)engine; }

/* ---- script -------------------------------------------------------------------------------------------------------
 */

void gr_engine_fake_script(gr_engine *engine, const gr_fake_answer *answers, size_t n) {
    fake_engine *f = engine_of(engine);
    if (n > MOST_ANSWERS) n = MOST_ANSWERS;
    pthread_mutex_lock(&f->lock);
    free(f->answers);
    free(f->hits);
    f->answers = gr_mem_calloc(n, sizeof *f->answers);
    f->hits = gr_mem_calloc(n, sizeof *f->hits);
    if (n) memcpy(f->answers, answers, n * sizeof *answers);
    f->n_answers = n;
    pthread_mutex_unlock(&f->lock);
}

size_t gr_engine_fake_hits(gr_engine *engine, size_t i) {
    fake_engine *f = engine_of(engine);
    pthread_mutex_lock(&f->lock);
    size_t hits = i < f->n_answers ? f->hits[i] : 0;
    pthread_mutex_unlock(&f->lock);
    return hits;
}

static size_t counted(gr_engine *engine, const size_t *counter) {
    fake_engine *f = engine_of(engine);
    pthread_mutex_lock(&f->lock);
    size_t n = *counter;
    pthread_mutex_unlock(&f->lock);
    return n;
}

size_t gr_engine_fake_count(gr_engine *engine) { return counted(engine, &engine_of(engine)->n_statements); }
size_t gr_engine_fake_connections(gr_engine *engine) { return counted(engine, &engine_of(engine)->n_connections); }
size_t gr_engine_fake_forgettings(gr_engine *engine) { return counted(engine, &engine_of(engine)->n_forgettings); }

gr_str gr_engine_fake_statement(gr_engine *engine, size_t i, gr_arena *arena) {
    fake_engine *f = engine_of(engine);
    pthread_mutex_lock(&f->lock);
    bool is_kept = i < f->n_statements && i + KEPT >= f->n_statements;
    gr_str text = is_kept ? gr_arena_dup(arena, gr_str_from(f->kept[i % KEPT])) : (gr_str){0};
    pthread_mutex_unlock(&f->lock);
    return text;
}

static bool matches(const gr_fake_answer *answer, gr_fake_step step, gr_str text) {
    return answer->step == step &&
           (!answer->sql_has || gr_str_find_str(text, gr_str_from(answer->sql_has)) != SIZE_MAX);
}

static bool find_answer(fake_engine *f, gr_fake_step step, gr_str text, gr_fake_answer *ret) {
    bool is_found = false;
    pthread_mutex_lock(&f->lock);
    if (step == GR_FAKE_STATEMENT) {
        char **place = &f->kept[f->n_statements++ % KEPT];
        free(*place);
        *place = gr_mem_dup(text.p, text.n);
    }
    for (size_t i = 0; i < f->n_answers && !is_found; i++) {
        const gr_fake_answer *a = &f->answers[i];
        if (!matches(a, step, text) || (a->times && f->hits[i] >= a->times)) continue;
        f->hits[i]++;
        *ret = *a;
        is_found = true;
    }
    pthread_mutex_unlock(&f->lock);
    return is_found;
}

static gr_status fail_with(const gr_fake_answer *answer, gr_error *err) {
    return gr_error_set(err, answer->fail, "%s", answer->fail_message ? answer->fail_message : "scripted failure");
}

/* ---- waiting ------------------------------------------------------------------------------------------------------
 */

static gr_status stopped(fake_conn *conn, const gr_ctx *ctx, gr_error *err) {
    if ((ctx && gr_ctx_is_cancelled(ctx)) || (conn && atomic_load(&conn->is_interrupted)))
        return gr_error_set(err, GR_ERR_CANCELLED, "the statement was cancelled");
    if (ctx && gr_ctx_is_late(ctx)) return gr_error_set(err, GR_ERR_TIMEOUT, "the statement ran longer than its limit");
    return GR_OK;
}

static gr_status pass_time(fake_conn *conn, const gr_ctx *ctx, int64_t ms, gr_error *err) {
    int64_t until = gr_clock_mono_us() + ms * 1000;
    for (;;) {
        GR_TRY(stopped(conn, ctx, err));
        int64_t left = until - gr_clock_mono_us();
        if (left <= 0) return GR_OK;
        nanosleep(&(struct timespec){0, (left < 1000 ? left : 1000) * 1000}, NULL);
    }
}

static gr_status begin(gr_engine_conn *base, const gr_ctx *ctx, gr_str sql, gr_fake_answer *answer, gr_error *err) {
    fake_conn *conn = (fake_conn *)(void *)base;
    if (conn->open) conn->open->conn = NULL;
    conn->open = NULL;
    atomic_store(&conn->is_interrupted, false); /* what came while nothing ran is lost, as with real engines */
    GR_TRY(stopped(conn, ctx, err));
    if (!find_answer(engine_of(base->engine), GR_FAKE_STATEMENT, sql, answer))
        return gr_error_set(err, GR_ERR_ENGINE_SQL, "the script has no answer for: " GR_FMT, GR_ARG(sql));
    GR_TRY(pass_time(conn, ctx, answer->delay_ms, err));
    if (answer->fail && !answer->is_failing_late) return fail_with(answer, err);
    return GR_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------
 */

static size_t width_of(gr_type type) {
    static const size_t widths[GR_TYPE__COUNT] = {
        [GR_TYPE_BOOL] = 1, [GR_TYPE_INT64] = 8,     [GR_TYPE_FLOAT64] = 8,     [GR_TYPE_DECIMAL] = 16,
        [GR_TYPE_DATE] = 4, [GR_TYPE_TIMESTAMP] = 8, [GR_TYPE_TIMESTAMPTZ] = 8,
    };
    return widths[type];
}

static void put_fixed(char *to, gr_type type, const gr_value *value) {
    __int128 wide = value->as.i;
    int32_t days = (int32_t)value->as.i;
    char truth = type == GR_TYPE_BOOL && value->as.b;
    const void *from = type == GR_TYPE_DECIMAL ? (const void *)&wide
                       : type == GR_TYPE_DATE  ? (const void *)&days
                       : type == GR_TYPE_BOOL  ? (const void *)&truth
                                               : (const void *)&value->as.i;
    memcpy(to, from, width_of(type));
}

static void fill_column(fake_stream *s, size_t c, size_t from, size_t n) {
    const gr_fake_answer *a = &s->answer;
    gr_type type = a->schema[c].type;
    bool is_text = type == GR_TYPE_UTF8 || type == GR_TYPE_BINARY;
    uint64_t *validity = GR_NEW_N(s->arena, uint64_t, (n + 63) / 64);
    uint32_t *offsets = GR_NEW_N(s->arena, uint32_t, n + 1);
    size_t bytes = is_text ? 0 : n * width_of(type);
    for (size_t r = 0; is_text && r < n; r++) {
        const gr_value *v = &a->cells[(from + r) * a->n_columns + c];
        if (v->type != GR_TYPE_NULL) bytes += v->as.s.n;
    }
    char *data = gr_arena_alloc(s->arena, bytes + 1);
    size_t at = 0;
    for (size_t r = 0; r < n; r++) {
        const gr_value *v = &a->cells[(from + r) * a->n_columns + c];
        offsets[r] = (uint32_t)at;
        if (v->type == GR_TYPE_NULL) continue;
        validity[r >> 6] |= 1ull << (r & 63);
        if (!is_text)
            put_fixed(data + r * width_of(type), type, v);
        else if (v->as.s.n)
            memcpy(data + at, v->as.s.p, v->as.s.n);
        if (is_text) at += v->as.s.n;
    }
    offsets[n] = (uint32_t)at;
    s->columns[c] = (gr_column){type, a->schema[c].scale, validity, data, is_text ? offsets : NULL};
}

static gr_status fake_next(gr_stream *base, const gr_batch **ret, gr_error *err) {
    fake_stream *s = (fake_stream *)(void *)base;
    const gr_fake_answer *a = &s->answer;
    if (s->is_failed) return gr_error_set(err, GR_ERR_INTERNAL, "the stream has failed before");
    if (!s->conn && s->at < a->n_rows)
        return gr_error_set(err, GR_ERR_INTERNAL, "the stream was closed by a later statement of its connection");
    gr_status status = pass_time(s->conn, s->ctx, a->batch_delay_ms, err);
    bool is_end = s->at >= a->n_rows;
    if (!status && is_end && a->fail) status = fail_with(a, err);
    s->is_failed = status != GR_OK;
    if (status) return status;
    if (is_end) {
        if (s->conn) s->conn->open = NULL;
        s->conn = NULL;
        *ret = NULL;
        return GR_OK;
    }
    size_t most = a->batch_rows ? a->batch_rows : 2048;
    size_t n = a->n_rows - s->at < most ? a->n_rows - s->at : most;
    gr_arena_reset(s->arena);
    s->columns = GR_NEW_N(s->arena, gr_column, a->n_columns + 1);
    for (size_t c = 0; c < a->n_columns; c++) fill_column(s, c, s->at, n);
    s->at += n;
    s->batch = (gr_batch){n, a->n_columns, s->columns};
    *ret = &s->batch;
    return GR_OK;
}

static void fake_close_stream(gr_stream *base) {
    if (!base) return;
    fake_stream *s = (fake_stream *)(void *)base;
    if (s->conn) s->conn->open = NULL;
    gr_arena_free(s->arena);
    free(s);
}

/* ---- driver -------------------------------------------------------------------------------------------------------
 */

static gr_status fake_open(const gr_engine_options *options, gr_engine **ret, gr_error *err) {
    (void)options;
    (void)err;
    fake_engine *f = gr_mem_calloc(1, sizeof *f);
    f->base.driver = &gr_engine_fake_driver;
    pthread_mutex_init(&f->lock, NULL);
    *ret = &f->base;
    return GR_OK;
}

static void fake_close(gr_engine *engine) {
    if (!engine) return;
    fake_engine *f = engine_of(engine);
    for (size_t i = 0; i < KEPT; i++) free(f->kept[i]);
    for (size_t i = 0; i < f->n_sources; i++) free(f->sources[i]);
    free(f->answers);
    free(f->hits);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static bool is_attached(fake_engine *f, gr_str source) {
    if (!source.n) return true;
    bool is_found = false;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n_sources; i++)
        if (gr_str_eq_z(source, f->sources[i])) is_found = true;
    pthread_mutex_unlock(&f->lock);
    return is_found;
}

static gr_status fake_attach(gr_engine *engine, const gr_source_config *source, bool want_write, gr_error *err) {
    (void)want_write;
    fake_engine *f = engine_of(engine);
    gr_fake_answer answer = {0};
    if (find_answer(f, GR_FAKE_ATTACH, source->name, &answer)) {
        GR_TRY(pass_time(NULL, NULL, answer.delay_ms, err));
        if (answer.fail) return fail_with(&answer, err);
    }
    if (is_attached(f, source->name)) return GR_OK;
    pthread_mutex_lock(&f->lock);
    bool has_room = f->n_sources < MOST_SOURCES;
    if (has_room) f->sources[f->n_sources++] = gr_mem_dup(source->name.p, source->name.n);
    pthread_mutex_unlock(&f->lock);
    return has_room ? GR_OK : gr_error_set(err, GR_ERR_LIMIT, "the fake driver keeps %d sources", MOST_SOURCES);
}

static gr_status fake_connect(gr_engine *engine, gr_str source, gr_engine_conn **ret, gr_error *err) {
    fake_engine *f = engine_of(engine);
    gr_fake_answer answer = {0};
    if (!is_attached(f, source))
        return gr_error_set(err, GR_ERR_ENGINE_OPEN, "data source \"" GR_FMT "\" is not attached", GR_ARG(source));
    if (find_answer(f, GR_FAKE_CONNECT, source, &answer)) {
        GR_TRY(pass_time(NULL, NULL, answer.delay_ms, err));
        if (answer.fail) return fail_with(&answer, err);
    }
    fake_conn *conn = gr_mem_calloc(1, sizeof *conn);
    conn->base = (gr_engine_conn){.driver = &gr_engine_fake_driver, .engine = engine};
    pthread_mutex_lock(&f->lock);
    f->n_connections++;
    pthread_mutex_unlock(&f->lock);
    *ret = &conn->base;
    return GR_OK;
}

static void fake_reset(gr_engine_conn *base) {
    fake_conn *conn = (fake_conn *)(void *)base;
    if (conn->open) conn->open->conn = NULL;
    conn->open = NULL;
}

static void fake_disconnect(gr_engine_conn *base) {
    if (!base) return;
    fake_engine *f = engine_of(base->engine);
    fake_reset(base);
    pthread_mutex_lock(&f->lock);
    f->n_connections--;
    pthread_mutex_unlock(&f->lock);
    free(base);
}

static gr_status fake_query(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                            size_t n_params, bool hint_cache, gr_stream **ret, gr_error *err) {
    (void)params;
    (void)n_params;
    (void)hint_cache;
    gr_fake_answer answer = {0};
    GR_TRY(begin(conn, ctx, sql, &answer, err));
    fake_stream *s = gr_mem_calloc(1, sizeof *s);
    s->base = (gr_stream){answer.schema, answer.n_columns, fake_next, fake_close_stream};
    s->conn = (fake_conn *)(void *)conn;
    s->conn->open = s;
    s->ctx = ctx;
    s->answer = answer;
    s->arena = gr_arena_new();
    *ret = &s->base;
    return GR_OK;
}

static gr_status fake_update(gr_engine_conn *conn, const gr_ctx *ctx, gr_str sql, const gr_value *params,
                             size_t n_params, void (*on_progress)(void *arg, double fraction), void *arg,
                             int64_t *ret_rows, gr_error *err) {
    (void)params;
    (void)n_params;
    gr_fake_answer answer = {0};
    if (on_progress) on_progress(arg, 0);
    GR_TRY(begin(conn, ctx, sql, &answer, err));
    if (on_progress) on_progress(arg, 0.5);
    if (answer.fail) return fail_with(&answer, err);
    if (on_progress) on_progress(arg, 1);
    if (ret_rows) *ret_rows = answer.rows_changed;
    return GR_OK;
}

static gr_status fake_describe(gr_engine_conn *conn, gr_str sql, gr_arena *arena, gr_column_schema **ret, size_t *ret_n,
                               gr_error *err) {
    gr_fake_answer answer = {0};
    GR_TRY(begin(conn, NULL, sql, &answer, err));
    gr_column_schema *schema = GR_NEW_N(arena, gr_column_schema, answer.n_columns + 1);
    for (size_t i = 0; i < answer.n_columns; i++) {
        schema[i] = answer.schema[i];
        schema[i].name = gr_arena_dup(arena, answer.schema[i].name);
    }
    *ret = schema;
    *ret_n = answer.n_columns;
    return GR_OK;
}

static void fake_interrupt(gr_engine_conn *conn) { atomic_store(&((fake_conn *)(void *)conn)->is_interrupted, true); }

static void fake_forget(gr_engine_conn *conn) {
    fake_engine *f = engine_of(conn->engine);
    pthread_mutex_lock(&f->lock);
    f->n_forgettings++;
    pthread_mutex_unlock(&f->lock);
}

const gr_engine_driver gr_engine_fake_driver = {
    .name = "fake",
    .dialect = "duckdb",
    .caps = GR_ENGINE_CAP_STREAM | GR_ENGINE_CAP_BIND | GR_ENGINE_CAP_CTAS_STORE | GR_ENGINE_CAP_PROGRESS,
    .open = fake_open,
    .close = fake_close,
    .attach = fake_attach,
    .connect = fake_connect,
    .disconnect = fake_disconnect,
    .query = fake_query,
    .update = fake_update,
    .describe = fake_describe,
    .interrupt = fake_interrupt,
    .forget_statements = fake_forget,
    .reset = fake_reset,
};
