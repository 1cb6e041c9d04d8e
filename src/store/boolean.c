/* Segments and boolean dimensions are stored as booleans: an engine without them (ClickHouse) sends 0 and 1. */
#include "store/boolean.h"

typedef struct booleans {
    gr_stream base;
    gr_stream *from;
    const gr_rollup *rollup;
    gr_arena *arena;
    gr_column_schema *schema;
    gr_batch batch;
    gr_column *columns;
    uint8_t **values; /* by column; NULL: it goes through as it is */
    size_t capacity;
} booleans;

static bool is_boolean(const gr_rollup *r, size_t i) {
    const gr_member *m = i < r->n_columns && !r->columns[i].granularity ? r->columns[i].member : NULL;
    return m && (m->kind == GR_MEMBER_SEGMENT || (m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_BOOLEAN));
}

static void tell_schema(booleans *b) {
    memcpy(b->schema, b->from->schema, b->from->n_columns * sizeof *b->schema);
    for (size_t i = 0; i < b->from->n_columns; i++)
        if (is_boolean(b->rollup, i) && b->schema[i].type == GR_TYPE_INT64) b->schema[i].type = GR_TYPE_BOOL;
}

static void convert(booleans *b, size_t i, size_t n) {
    const int64_t *from = b->columns[i].data;
    if (n > b->capacity) {
        b->capacity = n;
        for (size_t k = 0; k < b->base.n_columns; k++) b->values[k] = NULL;
    }
    if (!b->values[i]) b->values[i] = GR_NEW_N(b->arena, uint8_t, b->capacity);
    for (size_t k = 0; k < n; k++) b->values[i][k] = from[k] != 0;
    b->columns[i].type = GR_TYPE_BOOL;
    b->columns[i].data = b->values[i];
}

static gr_status next(gr_stream *stream, const gr_batch **ret, gr_error *err) {
    booleans *b = (booleans *)(void *)stream;
    const gr_batch *batch;
    GR_TRY(b->from->next(b->from, &batch, err));
    tell_schema(b); /* the first batch may say more of it */
    *ret = batch;
    if (!batch) return GR_OK;
    b->batch = *batch;
    memcpy(b->columns, batch->columns, batch->n_columns * sizeof *b->columns);
    for (size_t i = 0; i < batch->n_columns; i++)
        if (is_boolean(b->rollup, i) && b->columns[i].type == GR_TYPE_INT64) convert(b, i, batch->n_rows);
    b->batch.columns = b->columns;
    *ret = &b->batch;
    return GR_OK;
}

static void close_nothing(gr_stream *stream) { (void)stream; } /* `from` is its owner's */

gr_stream *gr_store_booleans(gr_stream *from, const gr_rollup *rollup, gr_arena *arena) {
    bool has_any = false;
    for (size_t i = 0; i < from->n_columns; i++)
        has_any |= is_boolean(rollup, i) && from->schema[i].type == GR_TYPE_INT64;
    if (!has_any) return from;
    booleans *b = GR_NEW(arena, booleans);
    *b = (booleans){.from = from, .rollup = rollup, .arena = arena};
    b->schema = GR_NEW_N(arena, gr_column_schema, from->n_columns);
    b->columns = GR_NEW_N(arena, gr_column, from->n_columns);
    b->values = GR_NEW_N(arena, uint8_t *, from->n_columns);
    for (size_t i = 0; i < from->n_columns; i++) b->values[i] = NULL;
    tell_schema(b);
    b->base = (gr_stream){b->schema, from->n_columns, next, close_nothing};
    return &b->base;
}
