/* One value of a column as the text that Cube's API shows (decisions 8): a number is a decimal string in its shortest
 * plain form, a time is YYYY-MM-DDTHH:mm:ss.SSS, bytes are base64.
 * Invariant: what has no such text (null, NaN, the infinities of floats, dates and times) is null, and then nothing was
 * appended. */
#include "cal/cal.h"
#include "data/batch.h"
#include "data/internal.h"

#include <math.h>

/* Values may lie at addresses that only suit their engine, so they are copied out. */
#define VALUE_AT(T, column, row)                                                                                       \
    ({                                                                                                                 \
        T value_;                                                                                                      \
        memcpy(&value_, (const char *)(column)->data + (row) * sizeof(T), sizeof(T));                                  \
        value_;                                                                                                        \
    })

enum { TIME_BYTES = 40 };

static bool format_null(const gr_column *c, size_t row, gr_buf *out) {
    (void)c, (void)row, (void)out;
    return false;
}

static bool format_bool(const gr_column *c, size_t row, gr_buf *out) {
    gr_buf_add(out, VALUE_AT(uint8_t, c, row) ? GR_STR("true") : GR_STR("false"));
    return true;
}

static bool format_int64(const gr_column *c, size_t row, gr_buf *out) {
    gr_buf_i64(out, VALUE_AT(int64_t, c, row));
    return true;
}

static bool format_float64(const gr_column *c, size_t row, gr_buf *out) {
    double v = VALUE_AT(double, c, row);
    if (!isfinite(v)) return false;
    char text[GR_DATA_F64_MAX_BYTES];
    gr_buf_add(out, (gr_str){text, gr_data_f64_text(v, text)});
    return true;
}

static bool format_decimal(const gr_column *c, size_t row, gr_buf *out) {
    __int128 v = VALUE_AT(__int128, c, row);
    /* 128 bits are 39 digits, a scale is at most 255: sign, "0.", zeros, digits. */
    char text[320];
    char *end = text + sizeof text, *p = end;
    unsigned __int128 u = v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v;
    unsigned scale = c->scale;
    while (scale && u % 10 == 0) {
        u /= 10;
        scale--;
    }
    for (unsigned i = 0; i < scale; i++, u /= 10) *--p = (char)('0' + (int)(u % 10));
    if (scale) *--p = '.';
    do *--p = (char)('0' + (int)(u % 10));
    while (u /= 10);
    if (v < 0) *--p = '-';
    gr_buf_add(out, (gr_str){p, (size_t)(end - p)});
    return true;
}

static bool format_utf8(const gr_column *c, size_t row, gr_buf *out) {
    gr_buf_add(out, gr_column_text(c, row));
    return true;
}

static bool format_date(const gr_column *c, size_t row, gr_buf *out) {
    int32_t days = VALUE_AT(int32_t, c, row);
    if (days == INT32_MAX || days <= -INT32_MAX) return false;
    char text[TIME_BYTES];
    gr_buf_add(out, (gr_str){text, gr_date_format(days, text)});
    gr_buf_add(out, GR_STR("T00:00:00.000"));
    return true;
}

static bool format_timestamp(const gr_column *c, size_t row, gr_buf *out) {
    int64_t us = VALUE_AT(int64_t, c, row);
    if (us == INT64_MAX || us <= -INT64_MAX) return false;
    char text[TIME_BYTES];
    gr_buf_add(out, (gr_str){text, gr_time_format(us, text)});
    return true;
}

static bool format_binary(const gr_column *c, size_t row, gr_buf *out) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    gr_str bytes = gr_column_text(c, row);
    char *p = gr_buf_reserve(out, (bytes.n + 2) / 3 * 4);
    if (!p) return true; /* the buffer remembers that it is over */
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t three = (uint32_t)(unsigned char)bytes.p[i] << 16;
        if (left > 1) three |= (uint32_t)(unsigned char)bytes.p[i + 1] << 8;
        if (left > 2) three |= (unsigned char)bytes.p[i + 2];
        *p++ = letters[three >> 18];
        *p++ = letters[three >> 12 & 63];
        *p++ = left > 1 ? letters[three >> 6 & 63] : '=';
        *p++ = left > 2 ? letters[three & 63] : '=';
    }
    out->n += (bytes.n + 2) / 3 * 4;
    return true;
}

static bool (*const formats[GR_TYPE__COUNT])(const gr_column *, size_t, gr_buf *) = {
    [GR_TYPE_NULL] = format_null,
    [GR_TYPE_BOOL] = format_bool,
    [GR_TYPE_INT64] = format_int64,
    [GR_TYPE_FLOAT64] = format_float64,
    [GR_TYPE_DECIMAL] = format_decimal,
    [GR_TYPE_UTF8] = format_utf8,
    [GR_TYPE_DATE] = format_date,
    [GR_TYPE_TIMESTAMP] = format_timestamp,
    [GR_TYPE_TIMESTAMPTZ] = format_timestamp,
    [GR_TYPE_BINARY] = format_binary,
};

bool gr_batch_format(const gr_column *column, size_t row, gr_buf *out, bool *ret_is_bool) {
    *ret_is_bool = false;
    if (gr_column_is_null(column, row) || (unsigned)column->type >= GR_TYPE__COUNT) return false;
    *ret_is_bool = column->type == GR_TYPE_BOOL;
    return formats[column->type](column, row, out);
}
