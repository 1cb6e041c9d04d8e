/* Column batches in Arrow layout, the one form in which results leave an engine.
 * Memory: a batch is borrowed from its stream until the next call on the stream. */
#ifndef GR_DATA_BATCH_H
#define GR_DATA_BATCH_H
#include "base/ctx.h"
#include "base/error.h"

typedef enum gr_type {
    GR_TYPE_NULL = 0,
    GR_TYPE_BOOL, /* one byte each, 0 or 1 (not a bitmap) */
    GR_TYPE_INT64,
    GR_TYPE_FLOAT64,
    GR_TYPE_DECIMAL, /* __int128, scale in the column; integers wider than 64 bits have scale 0 */
    GR_TYPE_UTF8,
    GR_TYPE_DATE,        /* int32 days */
    GR_TYPE_TIMESTAMP,   /* int64 us, naive */
    GR_TYPE_TIMESTAMPTZ, /* int64 us, UTC */
    GR_TYPE_BINARY,
    GR_TYPE__COUNT
} gr_type;

gr_str gr_type_name(gr_type type); /* static: "int64" … */

typedef struct gr_column_schema {
    gr_str name;
    gr_type type;
    uint8_t precision, scale; /* decimal */
    bool is_text_of_other; /* utf8: in its engine it is of another type, an enum, a UUID, and not compared as a text */
} gr_column_schema;

typedef struct gr_column {
    gr_type type;
    uint8_t scale;
    const uint64_t *validity; /* bit i set = valid; NULL = all valid */
    const void *data;         /* fixed width values, or for utf8/binary the bytes */
    const uint32_t *offsets;  /* utf8/binary: n_rows + 1 */
} gr_column;

typedef struct gr_batch {
    size_t n_rows, n_columns;
    const gr_column *columns;
} gr_batch;

static inline bool gr_column_is_null(const gr_column *c, size_t row) {
    return c->type == GR_TYPE_NULL || (c->validity && !((c->validity[row >> 6] >> (row & 63)) & 1));
}
static inline gr_str gr_column_text(const gr_column *c, size_t row) {
    return (gr_str){(const char *)c->data + c->offsets[row], c->offsets[row + 1] - c->offsets[row]};
}

/* A pull stream of batches. One thread at a time; cancel through the gr_ctx that it was opened with. */
typedef struct gr_stream gr_stream;
struct gr_stream {
    const gr_column_schema *schema; /* known once opened */
    size_t n_columns;
    /* *ret is NULL at the end. */
    gr_status (*next)(gr_stream *stream, const gr_batch **ret, gr_error *err);
    void (*close)(gr_stream *stream); /* frees the stream; gives its connection back */
};

/* A value of Cube's API as text: numbers as decimal strings without trailing zeros, floats shortest round trip without
 * exponent, NaN and infinities are null, times YYYY-MM-DDTHH:mm:ss.SSS (decisions 8). False = null. Appends the bare
 * text (no quotes) to `out`; *ret_is_bool for true/false. Timestamps are shifted by nobody here: plans do that. */
struct gr_buf;
bool gr_batch_format(const gr_column *column, size_t row, struct gr_buf *out, bool *ret_is_bool);

/* A whole result in an arena, for callers that need all rows (bounded by `max_rows`: GR_ERR_LIMIT). */
typedef struct gr_cell {
    bool is_null, is_bool;
    gr_str text;
} gr_cell;
typedef struct gr_table {
    size_t n_rows, n_columns;
    const gr_column_schema *schema;
    gr_cell *cells; /* row-major */
} gr_table;
GR_MUST_CHECK gr_status gr_table_read(gr_stream *stream, size_t max_rows, gr_arena *arena, gr_table **ret,
                                      gr_error *err);

/* Bound parameter of a statement. */
typedef struct gr_value {
    gr_type type; /* NULL, BOOL, INT64, FLOAT64, UTF8, DATE, TIMESTAMP, TIMESTAMPTZ */
    union {
        bool b;
        int64_t i;
        double d;
        gr_str s;
    } as; /* DATE: days in i */
} gr_value;
#endif
