/* Blocks in format Native as batches.
 *
 *   varuint columns, varuint rows, then for each column: name, type (each varuint length and bytes), values;
 *   Nullable(T): one byte for each row, 1 = null, before the values. Little-endian.
 *   LowCardinality(T), where there are rows: uint64 version 1, uint64 flags, uint64 keys, keys as values of T without
 * its nulls, uint64 rows, numbers of keys; flags: 0 … 3 for numbers of 1, 2, 4, 8 bytes, 0x200 keys follow, 0x100 they
 * are elsewhere. Key 0 of a Nullable is NULL.
 *   AggregateFunction(…): one state after the other, without their lengths.
 *
 * Invariant: nothing is rounded; what does not fit fails with engine.data. */
#include "engine/clickhouse_internal.h"

#include "base/mem.h"
#include "sketch/sketch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
    gr_clickhouse_type type;
    void *data; /* buffers, owned */
    size_t data_bytes;
    uint32_t *offsets;
    uint64_t *validity;
    size_t n_rows; /* that offsets and validity have room for */
} builder;

struct gr_clickhouse_reader {
    const gr_clickhouse_conn *conn;
    gr_arena *arena; /* borrowed */
    size_t n;
    gr_column_schema *schema; /* NULL before the first block */
    builder *builders;
    gr_column *columns;
};

gr_clickhouse_reader *gr_engine_clickhouse_reader_new(const gr_clickhouse_conn *conn, gr_arena *arena) {
    gr_clickhouse_reader *r = gr_mem_calloc(1, sizeof *r);
    r->conn = conn;
    r->arena = arena;
    return r;
}

void gr_engine_clickhouse_reader_free(gr_clickhouse_reader *r) {
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) {
        free(r->builders[i].data);
        free(r->builders[i].offsets);
        free(r->builders[i].validity);
    }
    free(r->builders);
    free(r->columns);
    free(r);
}

const gr_column_schema *gr_engine_clickhouse_reader_schema(const gr_clickhouse_reader *r, size_t *ret_n) {
    *ret_n = r->n;
    return r->schema;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------------
 */

typedef struct cursor {
    const uint8_t *p, *end;
} cursor;

static bool take_varuint(cursor *c, uint64_t *ret) {
    uint64_t v = 0;
    for (int shift = 0; c->p < c->end && shift < 64; shift += 7) {
        uint8_t b = *c->p++;
        v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128)) return *ret = v, true;
    }
    return false;
}

static bool take_bytes(cursor *c, uint64_t n, gr_str *ret) {
    if ((uint64_t)(c->end - c->p) < n) return false;
    *ret = (gr_str){(const char *)c->p, (size_t)n};
    c->p += n;
    return true;
}

static bool take_string(cursor *c, gr_str *ret) {
    uint64_t n;
    return take_varuint(c, &n) && take_bytes(c, n, ret);
}

static bool take_number(cursor *c, uint64_t *ret) {
    gr_str bytes;
    if (!take_bytes(c, sizeof *ret, &bytes)) return false;
    memcpy(ret, bytes.p, sizeof *ret);
    return true;
}

static void room(builder *b, size_t bytes) {
    if (bytes <= b->data_bytes) return;
    b->data_bytes = bytes + bytes / 4;
    b->data = gr_mem_realloc(b->data, b->data_bytes);
}

static void room_for_rows(builder *b, size_t n) {
    if (n <= b->n_rows && b->offsets) return; /* blocks without rows have columns too */
    b->n_rows = n;
    b->offsets = gr_mem_realloc(b->offsets, (n + 1) * sizeof *b->offsets);
    b->validity = gr_mem_realloc(b->validity, ((n + 63) / 64 + 1) * sizeof *b->validity);
}

/* ---- values --------------------------------------------------------------------------------------------------------
 */

typedef struct job {
    gr_clickhouse_reader *r;
    builder *b;
    gr_str name;
    size_t n;
    gr_error *err;
} job;

static gr_status misfit(const job *j, const char *what) {
    return gr_error_set(j->err, GR_ERR_ENGINE_DATA, "%s: a value of column \"" GR_FMT "\" does not fit: %s",
                        j->r->conn->what, GR_ARG(j->name), what);
}

static uint64_t little_endian(const char *p, size_t n) {
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

static int64_t widened(uint64_t v, size_t width) {
    return width == 1 ? (int8_t)v : width == 2 ? (int16_t)v : width == 4 ? (int32_t)v : (int64_t)v;
}

static bool is_valid(const job *j, size_t row) { return (j->b->validity[row >> 6] >> (row & 63)) & 1; }

static gr_status read_integers(const job *j, const char *p) {
    const gr_clickhouse_type *t = &j->b->type;
    room(j->b, j->n * sizeof(int64_t));
    int64_t *out = j->b->data;
    for (size_t i = 0; i < j->n; i++) {
        uint64_t v = little_endian(p + i * t->width, t->width);
        out[i] = t->is_signed ? widened(v, t->width) : (int64_t)v;
        if (!t->is_signed && t->width == 8 && out[i] < 0 && is_valid(j, i))
            return misfit(j, "it is greater than 9223372036854775807");
    }
    return GR_OK;
}

static gr_status read_floats(const job *j, const char *p) {
    room(j->b, j->n * sizeof(double));
    double *out = j->b->data;
    if (j->b->type.width == 8) memcpy(out, p, j->n * sizeof *out);
    for (size_t i = 0; j->b->type.width == 4 && i < j->n; i++) {
        float f;
        memcpy(&f, p + i * 4, sizeof f);
        out[i] = (double)f;
    }
    return GR_OK;
}

static gr_status read_decimals(const job *j, const char *p) {
    size_t width = j->b->type.width;
    room(j->b, j->n * sizeof(__int128));
    __int128 *out = j->b->data;
    for (size_t i = 0; i < j->n; i++) {
        if (width == 16)
            memcpy(&out[i], p + i * width, width);
        else
            out[i] = widened(little_endian(p + i * width, width), width);
    }
    return GR_OK;
}

static gr_status read_dates(const job *j, const char *p) {
    size_t width = j->b->type.width;
    room(j->b, j->n * sizeof(int32_t));
    for (size_t i = 0; i < j->n; i++) {
        uint64_t v = little_endian(p + i * width, width);
        ((int32_t *)j->b->data)[i] = width == 2 ? (int32_t)v : (int32_t)widened(v, width);
    }
    return GR_OK;
}

/* Beyond microseconds towards the past. */
static gr_status read_times(const job *j, const char *p) {
    const gr_clickhouse_type *t = &j->b->type;
    int64_t factor = 1, divisor = 1;
    for (int k = t->scale; k < 6; k++) factor *= 10;
    for (int k = 6; k < t->scale; k++) divisor *= 10;
    room(j->b, j->n * sizeof(int64_t));
    for (size_t i = 0; i < j->n; i++) {
        uint64_t raw = little_endian(p + i * t->width, t->width);
        int64_t v = t->width == 4 ? (int64_t)(uint32_t)raw : (int64_t)raw, us;
        if (divisor > 1)
            us = v / divisor - (v % divisor < 0);
        else if (__builtin_mul_overflow(v, factor, &us) && is_valid(j, i))
            return misfit(j, "it is later than the year 294246");
        ((int64_t *)j->b->data)[i] = us;
    }
    return GR_OK;
}

static gr_status read_bools(const job *j, const char *p) {
    room(j->b, j->n);
    for (size_t i = 0; i < j->n; i++) ((uint8_t *)j->b->data)[i] = p[i] != 0;
    return GR_OK;
}

static void add_text(builder *b, size_t row, gr_str text) {
    size_t at = b->offsets[row];
    room(b, at + text.n + 1);
    if (text.n) memcpy((char *)b->data + at, text.p, text.n);
    b->offsets[row + 1] = (uint32_t)(at + text.n);
}

static gr_status read_fixed_texts(const job *j, const char *p) {
    const gr_clickhouse_type *t = &j->b->type;
    j->b->offsets[0] = 0;
    for (size_t i = 0; i < j->n; i++) {
        gr_str text = {p + i * t->width, t->width};
        char uuid[40];
        if (t->form == GR_CH_UUID) { /* two numbers of 64 bits, the first half first */
            uint64_t a = little_endian(text.p, 8), b = little_endian(text.p + 8, 8);
            snprintf(uuid, sizeof uuid, "%08llx-%04llx-%04llx-%04llx-%012llx", (unsigned long long)(a >> 32),
                     (unsigned long long)(a >> 16 & 0xffff), (unsigned long long)(a & 0xffff),
                     (unsigned long long)(b >> 48), (unsigned long long)(b & 0xffffffffffff));
            text = gr_str_from(uuid);
        } else if (t->form == GR_CH_ENUM) {
            int64_t v = widened(little_endian(text.p, t->width), t->width);
            text = (gr_str){0};
            for (size_t k = 0; k < t->n_words; k++)
                if (t->words[k].value == v) text = t->words[k].text;
        } else {
            while (text.n && text.p[text.n - 1] == 0) text.n--;
        }
        if (is_valid(j, i) && !gr_str_is_utf8(text)) return misfit(j, "it is no UTF-8");
        add_text(j->b, i, is_valid(j, i) ? text : (gr_str){0});
    }
    return GR_OK;
}

/* False: it is not whole yet. */
static bool read_strings(const job *j, cursor *c, gr_status *ret_status) {
    size_t total = 0;
    j->b->offsets[0] = 0;
    for (size_t i = 0; i < j->n; i++) {
        gr_str text;
        if (!take_string(c, &text)) return false;
        if ((total += text.n) > UINT32_MAX / 2) {
            *ret_status = misfit(j, "texts of more than 2 GiB in a block");
            return true;
        }
        if (!gr_str_is_utf8(text)) {
            *ret_status = misfit(j, "it is no UTF-8");
            return true;
        }
        add_text(j->b, i, text);
    }
    return true;
}

/* False: it is not whole yet. */
static bool read_states(const job *j, cursor *c, gr_status *ret_status) {
    j->b->offsets[0] = 0;
    for (size_t i = 0; i < j->n; i++) {
        gr_hll *state;
        size_t used, at = j->b->offsets[i];
        *ret_status = gr_hll_load_state(c->p, (size_t)(c->end - c->p), j->b->type.precision, &used, &state, j->err);
        if (*ret_status) return true;
        if (!used) return false;
        c->p += used;
        size_t n = gr_hll_store_size(state);
        room(j->b, at + n);
        gr_hll_store(state, (char *)j->b->data + at);
        gr_hll_free(state);
        if (at + n > UINT32_MAX / 2) {
            *ret_status = misfit(j, "states of more than 2 GiB in a block");
            return true;
        }
        j->b->offsets[i + 1] = (uint32_t)(at + n);
    }
    return true;
}

static gr_status read_values(const job *j, const char *p) {
    switch (j->b->type.form) {
    case GR_CH_INT: return read_integers(j, p);
    case GR_CH_FLOAT: return read_floats(j, p);
    case GR_CH_DECIMAL: return read_decimals(j, p);
    case GR_CH_DATE: return read_dates(j, p);
    case GR_CH_DATETIME: return read_times(j, p);
    case GR_CH_BOOL: return read_bools(j, p);
    case GR_CH_FIXED:
    case GR_CH_ENUM:
    case GR_CH_UUID:
    case GR_CH_STATE:
    case GR_CH_STRING: break;
    }
    return read_fixed_texts(j, p);
}

static void read_nulls(builder *b, const char *nulls, size_t n) {
    memset(b->validity, nulls ? 0 : 0xff, ((n + 63) / 64 + 1) * sizeof *b->validity);
    for (size_t i = 0; nulls && i < n; i++)
        if (!nulls[i]) b->validity[i >> 6] |= UINT64_C(1) << (i & 63);
}

/* ---- columns -------------------------------------------------------------------------------------------------------
 */

static bool read_column(job *j, cursor *c, gr_status *ret_status);

typedef struct keyed {
    gr_str *keys, rows; /* the bytes of each key; numbers of keys */
    size_t width;       /* of a number */
} keyed;

/* False: it is not whole yet. */
static bool take_keys(const job *j, cursor *c, keyed *k, gr_status *ret_status) {
    const gr_clickhouse_type *t = &j->b->type;
    uint64_t version, flags, n_keys, n_rows;
    if (!take_number(c, &version) || !take_number(c, &flags) || !take_number(c, &n_keys)) return false;
    if (version != 1 || (flags & 0x300) != 0x200 || (flags & 0xff) > 3) {
        *ret_status = misfit(j, "its dictionary has a form that is not known here");
        return true;
    }
    if (n_keys > (uint64_t)(c->end - c->p)) return false; /* a key has a byte or more */
    k->keys = gr_mem_calloc((size_t)n_keys + 1, sizeof *k->keys);
    for (uint64_t i = 0; i < n_keys; i++) {
        gr_str text;
        const uint8_t *start = c->p;
        if (t->form == GR_CH_STRING ? !take_string(c, &text) : !take_bytes(c, t->width, &text)) return false;
        k->keys[i] = (gr_str){(const char *)start, (size_t)(c->p - start)};
    }
    k->width = (size_t)1 << (flags & 0xff);
    if (!take_number(c, &n_rows)) return false;
    if (n_rows != j->n) {
        *ret_status = misfit(j, "its rows are not those of its block");
        return true;
    }
    if (!take_bytes(c, n_rows * k->width, &k->rows)) return false;
    for (size_t i = 0; i < j->n; i++)
        if (little_endian(k->rows.p + i * k->width, k->width) >= n_keys) *ret_status = misfit(j, "it has no such key");
    return true;
}

/* As the same column without a dictionary. */
static bool read_keyed(job *j, cursor *c, gr_status *ret_status) {
    builder *b = j->b;
    keyed k = {0};
    bool is_whole = take_keys(j, c, &k, ret_status);
    if (is_whole && !*ret_status && k.rows.p) {
        gr_buf plain;
        gr_buf_init(&plain, UINT32_MAX / 2);
        for (size_t i = 0; b->type.is_nullable && i < j->n; i++)
            gr_buf_char(&plain, little_endian(k.rows.p + i * k.width, k.width) == 0);
        for (size_t i = 0; i < j->n; i++) gr_buf_add(&plain, k.keys[little_endian(k.rows.p + i * k.width, k.width)]);
        if (plain.is_over) *ret_status = misfit(j, "values of more than 2 GiB in a block");
        gr_str bytes = gr_buf_str(&plain);
        cursor all = {(const uint8_t *)bytes.p, (const uint8_t *)bytes.p + bytes.n};
        b->type.has_keys = false;
        if (!*ret_status) is_whole = read_column(j, &all, ret_status);
        b->type.has_keys = true;
        gr_buf_done(&plain);
    }
    free(k.keys);
    return is_whole;
}

static bool read_column(job *j, cursor *c, gr_status *ret_status) {
    builder *b = j->b;
    gr_str nulls = {0}, values;
    if (b->type.has_keys && j->n) return read_keyed(j, c, ret_status);
    if (b->type.is_nullable && !take_bytes(c, j->n, &nulls)) return false;
    room_for_rows(b, j->n);
    read_nulls(b, nulls.p, j->n);
    if (b->type.form == GR_CH_STRING) return read_strings(j, c, ret_status);
    if (b->type.form == GR_CH_STATE) return read_states(j, c, ret_status);
    if (!take_bytes(c, (uint64_t)j->n * b->type.width, &values)) return false;
    *ret_status = read_values(j, values.p);
    return true;
}

static gr_status begin_schema(gr_clickhouse_reader *r, size_t n) {
    r->n = n;
    r->schema = GR_NEW_N(r->arena, gr_column_schema, n + 1);
    r->builders = gr_mem_calloc(n + 1, sizeof *r->builders);
    r->columns = gr_mem_calloc(n + 1, sizeof *r->columns);
    return GR_OK;
}

static gr_status take_type(gr_clickhouse_reader *r, size_t i, gr_str name, gr_str type, gr_error *err) {
    builder *b = &r->builders[i];
    if (!gr_engine_clickhouse_type(gr_arena_dup(r->arena, type), r->arena, &b->type)) {
        gr_error_set(err, GR_ERR_ENGINE_DATA, "%s: results cannot carry column \"" GR_FMT "\" of type " GR_FMT,
                     r->conn->what, GR_ARG(name), GR_ARG(type));
        gr_error_hint(err, "write toString(…), or another type that fits, in the model");
        return GR_ERR_ENGINE_DATA;
    }
    r->schema[i] = gr_engine_clickhouse_schema(gr_arena_dup(r->arena, name), &b->type);
    return GR_OK;
}

static bool has_offsets(gr_type type) { return type == GR_TYPE_UTF8 || type == GR_TYPE_BINARY; }

gr_status gr_engine_clickhouse_reader_read(gr_clickhouse_reader *r, gr_str bytes, size_t *ret_used, gr_batch *ret,
                                           gr_error *err) {
    cursor c = {(const uint8_t *)bytes.p, (const uint8_t *)bytes.p + bytes.n};
    uint64_t n_columns, n_rows;
    *ret_used = 0;
    if (!take_varuint(&c, &n_columns) || !take_varuint(&c, &n_rows)) return GR_OK;
    if (n_columns > 100000 || n_rows > UINT32_MAX || (r->schema && n_columns != r->n))
        return gr_error_set(err, GR_ERR_ENGINE_IO, "%s: what it answers is no block of format Native", r->conn->what);
    bool is_first = !r->schema;
    if (is_first) GR_TRY(begin_schema(r, (size_t)n_columns));
    for (size_t i = 0; i < n_columns; i++) {
        gr_str name, type;
        gr_status status = GR_OK;
        if (!take_string(&c, &name) || !take_string(&c, &type)) return GR_OK;
        if (!r->schema[i].name.p) GR_TRY(take_type(r, i, name, type, err));
        job j = {r, &r->builders[i], r->schema[i].name, (size_t)n_rows, err};
        if (!read_column(&j, &c, &status)) return GR_OK;
        if (status) return status;
        r->columns[i] = (gr_column){.type = j.b->type.to,
                                    .scale = r->schema[i].scale,
                                    .validity = j.b->type.is_nullable ? j.b->validity : NULL,
                                    .data = j.b->data,
                                    .offsets = has_offsets(j.b->type.to) ? j.b->offsets : NULL};
    }
    *ret_used = (size_t)((const char *)c.p - bytes.p);
    *ret = (gr_batch){(size_t)n_rows, r->n, r->columns};
    return GR_OK;
}
