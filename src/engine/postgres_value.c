/* PostgreSQL's binary values as columns of a batch.
 *
 *   one row at a time  -->  a builder for each column  -->  a batch of at most BATCH_ROWS rows
 *
 *   numeric: digits of base 10,000 with a weight; a numeric without declared scale keeps its own scale for each value
 *   until the batch ends, which then has the largest of them.
 *
 * Invariant: nothing is rounded. What does not fit fails with engine.data; infinite dates and timestamps and numerics
 * that are no number, which no canonical type has, become NULL. */
#include "engine/postgres_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_ROWS = 2048, BATCH_BYTES = 4 << 20, DAYS_TO_2000 = 10957, MOST_DIGITS = 38 };
#define MICROS_TO_2000 INT64_C(946684800000000)

typedef struct builder {
    gr_str name;
    Oid oid;
    gr_type type;
    uint8_t scale;
    bool is_open_scale;
    void *data; /* buffers, owned */
    size_t cap_bytes, n_bytes;
    uint32_t *offsets;
    uint64_t *validity;
    uint8_t *scales; /* of a numeric without one */
} builder;

struct gr_postgres_reader {
    const gr_postgres_conn *conn;
    size_t n, n_rows, n_bytes;
    builder *builders;
    gr_column *columns;
};

gr_postgres_reader *gr_engine_postgres_reader_new(const gr_postgres_conn *conn, const gr_column_schema *schema,
                                                  const PGresult *result) {
    gr_postgres_reader *r = gr_mem_calloc(1, sizeof *r);
    r->conn = conn;
    r->n = (size_t)PQnfields(result);
    r->builders = gr_mem_calloc(r->n + 1, sizeof *r->builders);
    r->columns = gr_mem_calloc(r->n + 1, sizeof *r->columns);
    for (size_t i = 0; i < r->n; i++) {
        builder *b = &r->builders[i];
        b->name = schema[i].name;
        b->oid = PQftype(result, (int)i);
        b->type = schema[i].type;
        b->scale = schema[i].scale;
        b->is_open_scale = b->type == GR_TYPE_DECIMAL && !schema[i].precision;
        b->validity = gr_mem_calloc(BATCH_ROWS / 64, sizeof *b->validity);
        if (b->type == GR_TYPE_UTF8 || b->type == GR_TYPE_BINARY)
            b->offsets = gr_mem_calloc(BATCH_ROWS + 1, sizeof *b->offsets);
        else
            b->data = gr_mem_calloc(BATCH_ROWS, b->type == GR_TYPE_DECIMAL ? sizeof(__int128) : sizeof(int64_t));
        if (b->is_open_scale) b->scales = gr_mem_calloc(BATCH_ROWS, 1);
    }
    return r;
}

void gr_engine_postgres_reader_free(gr_postgres_reader *r) {
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) {
        free(r->builders[i].data);
        free(r->builders[i].offsets);
        free(r->builders[i].validity);
        free(r->builders[i].scales);
    }
    free(r->builders);
    free(r->columns);
    free(r);
}

void gr_engine_postgres_reader_begin(gr_postgres_reader *r) {
    r->n_rows = r->n_bytes = 0;
    for (size_t i = 0; i < r->n; i++) {
        r->builders[i].n_bytes = 0;
        memset(r->builders[i].validity, 0, BATCH_ROWS / 8);
    }
}

bool gr_engine_postgres_reader_is_full(const gr_postgres_reader *r) {
    return r->n_rows == BATCH_ROWS || r->n_bytes >= BATCH_BYTES;
}

/* ---- values --------------------------------------------------------------------------------------------------------
 */

static uint64_t big_endian(const char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | (unsigned char)p[i];
    return v;
}

static int64_t integer(const char *p, size_t n) {
    uint64_t v = big_endian(p, n);
    return n == 2 ? (int16_t)v : n == 4 ? (int32_t)v : (int64_t)v;
}

static double floating(const char *p, size_t n) {
    uint64_t wide = big_endian(p, n);
    uint32_t narrow = (uint32_t)wide;
    float f;
    double d;
    memcpy(&f, &narrow, sizeof f);
    memcpy(&d, &wide, sizeof d);
    return n == 4 ? (double)f : d;
}

static gr_status misfit(const gr_postgres_reader *r, const builder *b, const char *what, gr_error *err) {
    return gr_error_set(err, GR_ERR_ENGINE_DATA, "%s: a value of column \"" GR_FMT "\" does not fit: %s",
                        r->conn->pg->what, GR_ARG(b->name), what);
}

static __int128 power_of_ten(unsigned n) {
    __int128 v = 1;
    while (n--) v *= 10;
    return v;
}

/* v * 10^n + more, of at most 38 digits; false: it has more. v and more are not negative. */
static bool shift_and_add(__int128 *v, unsigned n, unsigned more) {
    __int128 most = power_of_ten(MOST_DIGITS) - 1;
    if (!*v) n = 0;
    if (n > MOST_DIGITS) return false;
    __int128 factor = power_of_ten(n);
    if (*v > (most - (__int128)more) / factor) return false;
    *v = *v * factor + (__int128)more;
    return true;
}

/* The same, of either sign. */
static bool shift_left(__int128 *v, unsigned n) {
    __int128 size = *v < 0 ? -*v : *v;
    if (!shift_and_add(&size, n, 0)) return false;
    *v = *v < 0 ? -size : size;
    return true;
}

/* The digits as a number of the least scale that holds them; false: too many. */
static bool take_digits(const char *p, size_t n_digits, int weight, __int128 *ret, int *ret_scale) {
    __int128 v = 0;
    int exponent = 4 * (weight - (int)n_digits + 1); /* v * 10^exponent */
    for (size_t i = 0; i < n_digits; i++) {
        unsigned digit = (unsigned)big_endian(p + 2 * i, 2), width = 4;
        for (; i + 1 == n_digits && digit && digit % 10 == 0; width--, exponent++) digit /= 10; /* zeros at the end */
        if (!v && digit)
            v = digit;
        else if (v && !shift_and_add(&v, width, digit))
            return false;
    }
    if (exponent > 0 && !shift_left(&v, (unsigned)exponent)) return false;
    *ret = v;
    *ret_scale = v && exponent < 0 ? -exponent : 0;
    return *ret_scale <= MOST_DIGITS;
}

enum { NEGATIVE = 0x4000, NO_NUMBER = 0xc000, PLUS_INFINITY = 0xd000, MINUS_INFINITY = 0xf000 };

static gr_status take_numeric(gr_postgres_reader *r, builder *b, const char *p, size_t n, bool *ret_is_null,
                              gr_error *err) {
    unsigned sign = (unsigned)big_endian(p + 4, 2);
    size_t n_digits = (size_t)big_endian(p, 2);
    __int128 v = 0;
    int scale = 0;
    *ret_is_null = sign == NO_NUMBER || sign == PLUS_INFINITY || sign == MINUS_INFINITY;
    if (*ret_is_null) return GR_OK;
    bool fits = n >= 8 + 2 * n_digits && take_digits(p + 8, n_digits, (int16_t)big_endian(p + 2, 2), &v, &scale);
    if (fits && !b->is_open_scale) fits = scale <= b->scale && shift_left(&v, (unsigned)(b->scale - scale));
    if (!fits) return misfit(r, b, "it has more than 38 digits", err);
    if (b->is_open_scale) b->scales[r->n_rows] = (uint8_t)scale;
    ((__int128 *)b->data)[r->n_rows] = sign == NEGATIVE ? -v : v;
    return GR_OK;
}

static gr_status add_bytes(gr_postgres_reader *r, builder *b, const char *p, size_t n, gr_error *err) {
    if (b->n_bytes + n > UINT32_MAX) return misfit(r, b, "texts of more than 4 GiB in a batch", err);
    if (b->n_bytes + n > b->cap_bytes) {
        b->cap_bytes = 2 * (b->n_bytes + n) + 1024;
        b->data = gr_mem_realloc(b->data, b->cap_bytes);
    }
    if (n) memcpy((char *)b->data + b->n_bytes, p, n);
    b->n_bytes += n;
    r->n_bytes += n;
    return GR_OK;
}

static gr_status add_uuid(gr_postgres_reader *r, builder *b, const char *p, gr_error *err) {
    char text[40];
    size_t at = 0;
    for (size_t i = 0; i < 16; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                               (unsigned char)p[i]);
    return add_bytes(r, b, text, at, err);
}

static gr_status add_time(gr_postgres_reader *r, builder *b, const char *p, gr_error *err) {
    char text[32];
    int64_t us = integer(p, 8), s = us / 1000000;
    size_t n =
        (size_t)snprintf(text, sizeof text, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    if (us % 1000000) {
        n += (size_t)snprintf(text + n, sizeof text - n, ".%06d", (int)(us % 1000000));
        while (text[n - 1] == '0') n--;
    }
    return add_bytes(r, b, text, n, err);
}

enum { JSONB = 3802, UUID = 2950, TIME = 1083 };

static gr_status add_text(gr_postgres_reader *r, builder *b, const char *p, size_t n, gr_error *err) {
    if (b->oid == UUID && n == 16) return add_uuid(r, b, p, err);
    if (b->oid == TIME && n == 8) return add_time(r, b, p, err);
    if (b->oid == JSONB && n) return add_bytes(r, b, p + 1, n - 1, err); /* after the version of the format */
    if (r->conn->is_ascii && b->type == GR_TYPE_UTF8 && !gr_str_is_utf8((gr_str){p, n}))
        return misfit(r, b, "the database has encoding SQL_ASCII, and it is no UTF-8", err);
    return add_bytes(r, b, p, n, err);
}

static gr_status add_instant(gr_postgres_reader *r, builder *b, const char *p, bool *ret_is_null, gr_error *err) {
    int64_t us = integer(p, 8);
    *ret_is_null = us == INT64_MAX || us == INT64_MIN;
    if (!*ret_is_null && __builtin_add_overflow(us, MICROS_TO_2000, &((int64_t *)b->data)[r->n_rows]))
        return misfit(r, b, "it is later than the year 294246", err);
    return GR_OK;
}

static void add_date(gr_postgres_reader *r, builder *b, const char *p, bool *ret_is_null) {
    int32_t days = (int32_t)integer(p, 4);
    *ret_is_null = days == INT32_MAX || days == INT32_MIN;
    if (!*ret_is_null) ((int32_t *)b->data)[r->n_rows] = days + DAYS_TO_2000;
}

static gr_status add_value(gr_postgres_reader *r, builder *b, const char *p, size_t n, bool *ret_is_null,
                           gr_error *err) {
    *ret_is_null = false;
    switch (b->type) {
    case GR_TYPE_BOOL: ((uint8_t *)b->data)[r->n_rows] = *p != 0; break;
    case GR_TYPE_INT64:
        ((int64_t *)b->data)[r->n_rows] = b->oid == 26 ? (int64_t)big_endian(p, n) : integer(p, n);
        break;
    case GR_TYPE_FLOAT64: ((double *)b->data)[r->n_rows] = floating(p, n); break;
    case GR_TYPE_DATE: add_date(r, b, p, ret_is_null); break;
    case GR_TYPE_TIMESTAMP:
    case GR_TYPE_TIMESTAMPTZ: return add_instant(r, b, p, ret_is_null, err);
    case GR_TYPE_DECIMAL: return take_numeric(r, b, p, n, ret_is_null, err);
    case GR_TYPE_UTF8:
    case GR_TYPE_BINARY: return add_text(r, b, p, n, err);
    case GR_TYPE_NULL:
    case GR_TYPE__COUNT: *ret_is_null = true; break;
    }
    return GR_OK;
}

/* p NULL: null. */
static gr_status add_cell(gr_postgres_reader *r, size_t i, const char *p, size_t n, gr_error *err) {
    builder *b = &r->builders[i];
    size_t at = r->n_rows;
    bool is_null = !p;
    if (b->offsets) b->offsets[at] = (uint32_t)b->n_bytes;
    if (p) GR_TRY(add_value(r, b, p, n, &is_null, err));
    if (!is_null) b->validity[at >> 6] |= UINT64_C(1) << (at & 63);
    if (is_null && b->is_open_scale) b->scales[at] = 0;
    if (is_null && b->type == GR_TYPE_DECIMAL) ((__int128 *)b->data)[at] = 0;
    return GR_OK;
}

gr_status gr_engine_postgres_reader_add(gr_postgres_reader *r, const PGresult *result, int row, gr_error *err) {
    for (size_t i = 0; i < r->n; i++) {
        const char *p = PQgetisnull(result, row, (int)i) ? NULL : PQgetvalue(result, row, (int)i);
        GR_TRY(add_cell(r, i, p, (size_t)PQgetlength(result, row, (int)i), err));
    }
    r->n_rows++;
    return GR_OK;
}

gr_status gr_engine_postgres_reader_add_copied(gr_postgres_reader *r, const char *p, size_t n, gr_error *err) {
    const char *end = p + n;
    bool is_whole = n >= 2 && big_endian(p, 2) == r->n;
    p += 2;
    for (size_t i = 0; i < r->n && is_whole; i++) {
        is_whole = end - p >= 4;
        int32_t length = is_whole ? (int32_t)big_endian(p, 4) : 0;
        p += 4;
        is_whole &= length <= end - p;
        if (is_whole) GR_TRY(add_cell(r, i, length < 0 ? NULL : p, (size_t)(length < 0 ? 0 : length), err));
        p += length < 0 ? 0 : length;
    }
    if (!is_whole)
        return gr_error_set(err, GR_ERR_ENGINE_DATA, "%s: a row of a COPY is not as it should be", r->conn->pg->what);
    r->n_rows++;
    return GR_OK;
}

/* ---- batches -------------------------------------------------------------------------------------------------------
 */

/* All values of the batch with the scale of the longest. */
static gr_status level(gr_postgres_reader *r, builder *b, gr_error *err) {
    uint8_t scale = 0;
    for (size_t i = 0; i < r->n_rows; i++)
        if (b->scales[i] > scale) scale = b->scales[i];
    for (size_t i = 0; i < r->n_rows; i++)
        if (!shift_left(&((__int128 *)b->data)[i], (unsigned)(scale - b->scales[i])))
            return misfit(r, b, "with the decimals of the others it has more than 38 digits", err);
    b->scale = scale;
    return GR_OK;
}

gr_status gr_engine_postgres_reader_end(gr_postgres_reader *r, gr_batch *ret, gr_error *err) {
    for (size_t i = 0; i < r->n; i++) {
        builder *b = &r->builders[i];
        if (b->is_open_scale) GR_TRY(level(r, b, err));
        if (b->offsets) b->offsets[r->n_rows] = (uint32_t)b->n_bytes;
        r->columns[i] = (gr_column){
            .type = b->type, .scale = b->scale, .validity = b->validity, .data = b->data, .offsets = b->offsets};
    }
    *ret = (gr_batch){r->n_rows, r->n, r->columns};
    return GR_OK;
}
