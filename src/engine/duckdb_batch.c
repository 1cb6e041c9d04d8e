/* DuckDB's vectors as columns of a batch. Where the layouts agree the column points into the chunk; texts are packed
 * into offsets and bytes; the rest is widened into buffers that the reader keeps from chunk to chunk.
 *
 *   chunk (<= 2,048 rows, flat)          batch
 *   int64, double, date, timestamp  -->  the same memory
 *   int8..32, float, decimal        -->  buffer of int64, double, __int128
 *   string_t[]                      -->  offsets[n + 1] + bytes
 *
 * Invariant: nothing is rounded. What does not fit fails with engine.data; infinite dates and timestamps, which no
 * canonical type has, become NULL. Nanoseconds are cut to microseconds, towards the past. */
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_TEXT_BYTES = 1 << 30 };

typedef struct column_reader {
    const struct kind *kind;
    gr_str name;
    duckdb_type storage; /* of a decimal or an enum */
    void *data;          /* buffers, owned */
    size_t data_bytes;
    uint32_t *offsets;
    uint64_t *validity;
    size_t n_rows; /* that offsets and validity have room for */
    duckdb_logical_type type;
    gr_str *words; /* of an enum, made when first read */
    size_t n_words;
} column_reader;

struct gr_duckdb_reader {
    size_t n;
    gr_arena *arena; /* borrowed */
    gr_column_schema *schema;
    column_reader *readers;
    gr_column *columns;
};

typedef struct job {
    column_reader *r;
    const void *data;
    const uint64_t *validity;
    size_t n;
    gr_column *out;
    gr_arena *arena;
} job;

typedef struct kind {
    const char *name;
    gr_type to;
    uint8_t precision;
    gr_status (*read)(job *j, gr_error *err);
} kind;

static bool is_valid(const job *j, size_t row) { return !j->validity || ((j->validity[row >> 6] >> (row & 63)) & 1); }

static void *room(column_reader *r, size_t bytes) {
    if (bytes > r->data_bytes) {
        free(r->data);
        r->data_bytes = bytes + bytes / 4;
        r->data = gr_mem_alloc(r->data_bytes);
    }
    return r->data;
}

static void room_for_rows(column_reader *r, size_t n) {
    if (n <= r->n_rows) return;
    r->n_rows = n < 2048 ? 2048 : n;
    free(r->offsets);
    free(r->validity);
    r->offsets = gr_mem_alloc((r->n_rows + 1) * sizeof *r->offsets);
    r->validity = gr_mem_alloc((r->n_rows + 63) / 64 * sizeof *r->validity);
}

/* The column gets a bitmap of its own, in which bits can be cleared. */
static uint64_t *own_validity(job *j) {
    uint64_t *own = j->r->validity;
    if (j->out->validity == own) return own;
    size_t bytes = (j->n + 63) / 64 * sizeof *own;
    if (j->validity)
        memcpy(own, j->validity, bytes);
    else
        memset(own, 0xFF, bytes);
    j->out->validity = own;
    return own;
}

static void make_null(job *j, size_t row) { own_validity(j)[row >> 6] &= ~(1ull << (row & 63)); }

static gr_status fail_value(const job *j, gr_error *err) {
    gr_error_set(err, GR_ERR_ENGINE_DATA, "a value of column \"" GR_FMT "\" is out of the range of results",
                 GR_ARG(j->r->name));
    gr_error_hint(err, "%s values are wider than what results carry; cast the column in the SQL", j->r->kind->name);
    return GR_ERR_ENGINE_DATA;
}

static gr_status read_same(job *j, gr_error *err) {
    (void)err;
    j->out->data = j->data;
    return GR_OK;
}

static gr_status read_null(job *j, gr_error *err) {
    (void)err;
    (void)j;
    return GR_OK;
}

#define WIDEN(name, FROM, TO)                                                                                          \
    static gr_status name(job *j, gr_error *err) {                                                                     \
        (void)err;                                                                                                     \
        const FROM *from = j->data;                                                                                    \
        TO *to = room(j->r, j->n * sizeof *to);                                                                        \
        for (size_t i = 0; i < j->n; i++) to[i] = (TO)from[i];                                                         \
        j->out->data = to;                                                                                             \
        return GR_OK;                                                                                                  \
    }
WIDEN(read_i8, int8_t, int64_t)
WIDEN(read_i16, int16_t, int64_t)
WIDEN(read_i32, int32_t, int64_t)
WIDEN(read_u8, uint8_t, int64_t)
WIDEN(read_u16, uint16_t, int64_t)
WIDEN(read_u32, uint32_t, int64_t)
WIDEN(read_u64, uint64_t, __int128)
WIDEN(read_float, float, double)
WIDEN(read_decimal_16, int16_t, __int128)
WIDEN(read_decimal_32, int32_t, __int128)
WIDEN(read_decimal_64, int64_t, __int128)

/* {uint64 lower, int64 upper} is a little-endian __int128; only its alignment is not promised. */
static gr_status read_huge(job *j, gr_error *err) {
    (void)err;
    j->out->data = j->data;
    if ((uintptr_t)j->data % _Alignof(__int128))
        j->out->data = memcpy(room(j->r, j->n * sizeof(__int128)), j->data, j->n * sizeof(__int128));
    return GR_OK;
}

static gr_status read_unsigned_huge(job *j, gr_error *err) {
    const duckdb_uhugeint *from = j->data;
    for (size_t i = 0; i < j->n; i++)
        if (is_valid(j, i) && from[i].upper >> 63) return fail_value(j, err);
    return read_huge(j, err);
}

static gr_status read_decimal(job *j, gr_error *err) {
    if (j->r->storage == DUCKDB_TYPE_SMALLINT) return read_decimal_16(j, err);
    if (j->r->storage == DUCKDB_TYPE_INTEGER) return read_decimal_32(j, err);
    return j->r->storage == DUCKDB_TYPE_BIGINT ? read_decimal_64(j, err) : read_huge(j, err);
}

static gr_status read_date(job *j, gr_error *err) {
    (void)err;
    const int32_t *days = j->data;
    for (size_t i = 0; i < j->n; i++)
        if (days[i] == INT32_MAX || days[i] == -INT32_MAX) make_null(j, i);
    j->out->data = days;
    return GR_OK;
}

static bool is_infinite(int64_t v) { return v == INT64_MAX || v == -INT64_MAX; }

static gr_status read_timestamp(job *j, gr_error *err) {
    (void)err;
    const int64_t *us = j->data;
    for (size_t i = 0; i < j->n; i++)
        if (is_infinite(us[i])) make_null(j, i);
    j->out->data = us;
    return GR_OK;
}

static gr_status read_coarse_timestamp(job *j, int64_t factor, gr_error *err) {
    const int64_t *from = j->data;
    int64_t *to = room(j->r, j->n * sizeof *to);
    for (size_t i = 0; i < j->n; i++) {
        to[i] = 0;
        if (!is_valid(j, i)) continue;
        if (is_infinite(from[i]))
            make_null(j, i);
        else if (__builtin_mul_overflow(from[i], factor, &to[i]))
            return fail_value(j, err);
    }
    j->out->data = to;
    return GR_OK;
}

static gr_status read_seconds(job *j, gr_error *err) { return read_coarse_timestamp(j, 1000000, err); }
static gr_status read_millis(job *j, gr_error *err) { return read_coarse_timestamp(j, 1000, err); }

static gr_status read_nanos(job *j, gr_error *err) {
    (void)err;
    const int64_t *from = j->data;
    int64_t *to = room(j->r, j->n * sizeof *to);
    for (size_t i = 0; i < j->n; i++) {
        to[i] = from[i] / 1000 - (from[i] % 1000 < 0);
        if (is_infinite(from[i])) make_null(j, i);
    }
    j->out->data = to;
    return GR_OK;
}

static gr_status fail_text(const job *j, gr_error *err) {
    return gr_error_set(err, GR_ERR_LIMIT, "the texts of column \"" GR_FMT "\" in %zu rows are longer than %d bytes",
                        GR_ARG(j->r->name), j->n, MOST_TEXT_BYTES);
}

static gr_status read_text(job *j, gr_error *err) {
    const duckdb_string_t *from = j->data;
    uint32_t *offsets = j->r->offsets;
    uint64_t total = 0;
    for (size_t i = 0; i < j->n; i++) {
        offsets[i] = (uint32_t)total;
        if (is_valid(j, i)) total += from[i].value.inlined.length;
        if (total > MOST_TEXT_BYTES) return fail_text(j, err);
    }
    offsets[j->n] = (uint32_t)total;
    char *bytes = room(j->r, total + 1);
    for (size_t i = 0; i < j->n; i++) {
        size_t n = offsets[i + 1] - offsets[i];
        const duckdb_string_t *s = &from[i];
        if (n) memcpy(bytes + offsets[i], n <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr, n);
    }
    j->out->data = bytes;
    j->out->offsets = offsets;
    return GR_OK;
}

/* Texts of at most `most` bytes each, made by `write` from item `i`. */
static gr_status read_written(job *j, size_t most, size_t (*write)(const void *data, size_t i, char *to)) {
    char *bytes = room(j->r, j->n * most + 1);
    uint32_t at = 0;
    for (size_t i = 0; i < j->n; i++) {
        j->r->offsets[i] = at;
        if (is_valid(j, i)) at += (uint32_t)write(j->data, i, bytes + at);
    }
    j->r->offsets[j->n] = at;
    j->out->data = bytes;
    j->out->offsets = j->r->offsets;
    return GR_OK;
}

static size_t write_uuid(const void *data, size_t i, char *to) {
    const duckdb_hugeint *all = data;
    uint64_t halves[2] = {(uint64_t)all[i].upper ^ (1ull << 63), all[i].lower};
    size_t n = 0;
    for (int digit = 0; digit < 32; digit++) {
        if (digit == 8 || digit == 12 || digit == 16 || digit == 20) to[n++] = '-';
        to[n++] = "0123456789abcdef"[(halves[digit / 16] >> (60 - digit % 16 * 4)) & 15];
    }
    return n;
}

static size_t write_time(const void *data, size_t i, char *to) {
    int64_t us = ((const int64_t *)data)[i];
    int64_t s = us / 1000000;
    char text[64];
    int n = snprintf(text, sizeof text, "%02d:%02d:%02d.%06d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60),
                     (int)(us % 1000000));
    while (text[n - 1] == '0' && n > 8) n--;
    if (text[n - 1] == '.') n--;
    memcpy(to, text, (size_t)n);
    return (size_t)n;
}

static gr_status read_uuid(job *j, gr_error *err) {
    (void)err;
    return read_written(j, 36, write_uuid);
}

static gr_status read_time(job *j, gr_error *err) {
    (void)err;
    return read_written(j, 32, write_time);
}

static gr_str enum_word(job *j, size_t row) {
    column_reader *r = j->r;
    size_t at = r->storage == DUCKDB_TYPE_UTINYINT    ? ((const uint8_t *)j->data)[row]
                : r->storage == DUCKDB_TYPE_USMALLINT ? ((const uint16_t *)j->data)[row]
                                                      : ((const uint32_t *)j->data)[row];
    if (at >= r->n_words) return GR_STR("");
    if (!r->words[at].p) {
        char *word = duckdb_enum_dictionary_value(r->type, at);
        r->words[at] = gr_arena_dup(j->arena, gr_str_from(word));
        duckdb_free(word);
    }
    return r->words[at];
}

static gr_status read_enum(job *j, gr_error *err) {
    column_reader *r = j->r;
    if (!r->words) {
        r->n_words = duckdb_enum_dictionary_size(r->type);
        r->words = GR_NEW_N(j->arena, gr_str, r->n_words ? r->n_words : 1);
    }
    uint64_t total = 0;
    for (size_t i = 0; i < j->n; i++) {
        r->offsets[i] = (uint32_t)total;
        if (is_valid(j, i)) total += enum_word(j, i).n;
        if (total > MOST_TEXT_BYTES) return fail_text(j, err);
    }
    r->offsets[j->n] = (uint32_t)total;
    char *bytes = room(r, total + 1);
    for (size_t i = 0; i < j->n; i++) {
        gr_str word = is_valid(j, i) ? enum_word(j, i) : GR_STR("");
        if (word.n) memcpy(bytes + r->offsets[i], word.p, word.n);
    }
    j->out->data = bytes;
    j->out->offsets = r->offsets;
    return GR_OK;
}

/* By type id; without `read` a result cannot carry it. */
static const kind kinds[] = {
    [DUCKDB_TYPE_BOOLEAN] = {"BOOLEAN", GR_TYPE_BOOL, 0, read_same},
    [DUCKDB_TYPE_TINYINT] = {"TINYINT", GR_TYPE_INT64, 0, read_i8},
    [DUCKDB_TYPE_SMALLINT] = {"SMALLINT", GR_TYPE_INT64, 0, read_i16},
    [DUCKDB_TYPE_INTEGER] = {"INTEGER", GR_TYPE_INT64, 0, read_i32},
    [DUCKDB_TYPE_BIGINT] = {"BIGINT", GR_TYPE_INT64, 0, read_same},
    [DUCKDB_TYPE_UTINYINT] = {"UTINYINT", GR_TYPE_INT64, 0, read_u8},
    [DUCKDB_TYPE_USMALLINT] = {"USMALLINT", GR_TYPE_INT64, 0, read_u16},
    [DUCKDB_TYPE_UINTEGER] = {"UINTEGER", GR_TYPE_INT64, 0, read_u32},
    [DUCKDB_TYPE_UBIGINT] = {"UBIGINT", GR_TYPE_DECIMAL, 20, read_u64},
    [DUCKDB_TYPE_FLOAT] = {"FLOAT", GR_TYPE_FLOAT64, 0, read_float},
    [DUCKDB_TYPE_DOUBLE] = {"DOUBLE", GR_TYPE_FLOAT64, 0, read_same},
    [DUCKDB_TYPE_TIMESTAMP] = {"TIMESTAMP", GR_TYPE_TIMESTAMP, 0, read_timestamp},
    [DUCKDB_TYPE_DATE] = {"DATE", GR_TYPE_DATE, 0, read_date},
    [DUCKDB_TYPE_TIME] = {"TIME", GR_TYPE_UTF8, 0, read_time},
    [DUCKDB_TYPE_INTERVAL] = {"INTERVAL", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_HUGEINT] = {"HUGEINT", GR_TYPE_DECIMAL, 38, read_huge},
    [DUCKDB_TYPE_UHUGEINT] = {"UHUGEINT", GR_TYPE_DECIMAL, 38, read_unsigned_huge},
    [DUCKDB_TYPE_VARCHAR] = {"VARCHAR", GR_TYPE_UTF8, 0, read_text},
    [DUCKDB_TYPE_BLOB] = {"BLOB", GR_TYPE_BINARY, 0, read_text},
    [DUCKDB_TYPE_DECIMAL] = {"DECIMAL", GR_TYPE_DECIMAL, 0, read_decimal},
    [DUCKDB_TYPE_TIMESTAMP_S] = {"TIMESTAMP_S", GR_TYPE_TIMESTAMP, 0, read_seconds},
    [DUCKDB_TYPE_TIMESTAMP_MS] = {"TIMESTAMP_MS", GR_TYPE_TIMESTAMP, 0, read_millis},
    [DUCKDB_TYPE_TIMESTAMP_NS] = {"TIMESTAMP_NS", GR_TYPE_TIMESTAMP, 0, read_nanos},
    [DUCKDB_TYPE_ENUM] = {"ENUM", GR_TYPE_UTF8, 0, read_enum},
    [DUCKDB_TYPE_LIST] = {"LIST", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_STRUCT] = {"STRUCT", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_MAP] = {"MAP", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_ARRAY] = {"ARRAY", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_UUID] = {"UUID", GR_TYPE_UTF8, 0, read_uuid},
    [DUCKDB_TYPE_UNION] = {"UNION", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_BIT] = {"BIT", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_TIME_TZ] = {"TIME WITH TIME ZONE", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_TIMESTAMP_TZ] = {"TIMESTAMP WITH TIME ZONE", GR_TYPE_TIMESTAMPTZ, 0, read_timestamp},
    [DUCKDB_TYPE_BIGNUM] = {"BIGNUM", GR_TYPE_NULL, 0, NULL},
    [DUCKDB_TYPE_SQLNULL] = {"NULL", GR_TYPE_NULL, 0, read_null},
    [DUCKDB_TYPE_TIME_NS] = {"TIME_NS", GR_TYPE_NULL, 0, NULL},
};
static const kind unknown_kind = {"newer than this driver", GR_TYPE_NULL, 0, NULL};

static const kind *kind_of(duckdb_logical_type type) {
    unsigned id = (unsigned)duckdb_get_type_id(type);
    return id < sizeof kinds / sizeof *kinds && kinds[id].name ? &kinds[id] : &unknown_kind;
}

gr_status gr_engine_duckdb_type(duckdb_logical_type type, gr_str name, gr_column_schema *ret, gr_error *err) {
    const kind *k = kind_of(type);
    if (!k->read) {
        gr_error_set(err, GR_ERR_ENGINE_DATA, "column \"" GR_FMT "\" has a type that results cannot carry (%s)",
                     GR_ARG(name), k->name);
        gr_error_hint(err, "cast it in the SQL, for instance CAST(\"" GR_FMT "\" AS VARCHAR)", GR_ARG(name));
        return GR_ERR_ENGINE_DATA;
    }
    *ret = (gr_column_schema){.name = name, .type = k->to, .precision = k->precision};
    if (k->read == read_decimal) {
        ret->precision = duckdb_decimal_width(type);
        ret->scale = duckdb_decimal_scale(type);
    }
    return GR_OK;
}

static gr_status column_init(column_reader *r, duckdb_logical_type type, gr_column_schema *schema, gr_error *err) {
    GR_TRY(gr_engine_duckdb_type(type, schema->name, schema, err));
    r->kind = kind_of(type);
    r->name = schema->name;
    if (r->kind->read == read_decimal) r->storage = duckdb_decimal_internal_type(type);
    if (r->kind->read == read_enum) r->storage = duckdb_enum_internal_type(type);
    return GR_OK;
}

gr_status gr_engine_duckdb_reader_new(duckdb_result *result, gr_arena *arena, gr_duckdb_reader **ret, gr_error *err) {
    size_t n = (size_t)duckdb_column_count(result);
    gr_duckdb_reader *reader = GR_NEW(arena, gr_duckdb_reader);
    *reader = (gr_duckdb_reader){n, arena, GR_NEW_N(arena, gr_column_schema, n + 1),
                                 GR_NEW_N(arena, column_reader, n + 1), GR_NEW_N(arena, gr_column, n + 1)};
    gr_status status = GR_OK;
    for (size_t i = 0; i < n && !status; i++) {
        column_reader *r = &reader->readers[i];
        reader->schema[i].name = gr_arena_dup(arena, gr_str_from(duckdb_column_name(result, i)));
        r->type = duckdb_column_logical_type(result, i);
        status = column_init(r, r->type, &reader->schema[i], err);
    }
    if (status)
        gr_engine_duckdb_reader_free(reader);
    else
        *ret = reader;
    return status;
}

void gr_engine_duckdb_reader_free(gr_duckdb_reader *reader) {
    for (size_t i = 0; reader && i < reader->n; i++) {
        column_reader *r = &reader->readers[i];
        duckdb_destroy_logical_type(&r->type);
        free(r->data);
        free(r->offsets);
        free(r->validity);
    }
}

const gr_column_schema *gr_engine_duckdb_reader_schema(const gr_duckdb_reader *reader, size_t *ret_n) {
    *ret_n = reader->n;
    return reader->schema;
}

gr_status gr_engine_duckdb_reader_read(gr_duckdb_reader *reader, duckdb_data_chunk chunk, gr_batch *ret,
                                       gr_error *err) {
    size_t n_rows = (size_t)duckdb_data_chunk_get_size(chunk);
    for (size_t i = 0; i < reader->n; i++) {
        column_reader *r = &reader->readers[i];
        duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
        room_for_rows(r, n_rows);
        job j = {r,
                 duckdb_vector_get_data(vector),
                 duckdb_vector_get_validity(vector),
                 n_rows,
                 &reader->columns[i],
                 reader->arena};
        *j.out = (gr_column){.type = r->kind->to, .scale = reader->schema[i].scale, .validity = j.validity};
        GR_TRY(r->kind->read(&j, err));
    }
    *ret = (gr_batch){n_rows, reader->n, reader->columns};
    return GR_OK;
}
