/* Names of the types, and a whole result read into an arena.
 * Invariant of gr_table_read: no row over the limit is copied, and the table does not point into the stream. */
#include "data/batch.h"

#include "base/buf.h"

static const gr_str names[GR_TYPE__COUNT] = {
    [GR_TYPE_NULL] = GR_STR_INIT("null"),
    [GR_TYPE_BOOL] = GR_STR_INIT("bool"),
    [GR_TYPE_INT64] = GR_STR_INIT("int64"),
    [GR_TYPE_FLOAT64] = GR_STR_INIT("float64"),
    [GR_TYPE_DECIMAL] = GR_STR_INIT("decimal"),
    [GR_TYPE_UTF8] = GR_STR_INIT("utf8"),
    [GR_TYPE_DATE] = GR_STR_INIT("date"),
    [GR_TYPE_TIMESTAMP] = GR_STR_INIT("timestamp"),
    [GR_TYPE_TIMESTAMPTZ] = GR_STR_INIT("timestamptz"),
    [GR_TYPE_BINARY] = GR_STR_INIT("binary"),
};

gr_str gr_type_name(gr_type type) { return (unsigned)type < GR_TYPE__COUNT ? names[type] : GR_STR("unknown"); }

/* Rows alone do not bound memory: a few rows may hold huge texts. */
enum { MOST_TEXT_BYTES = 1 << 30 };

typedef struct reader {
    gr_arena *arena;
    size_t max_rows, n_columns, n_rows, text_bytes;
    GR_VEC(gr_cell) cells;
    gr_buf scratch;
} reader;

static gr_status read_cell(reader *r, const gr_column *column, size_t row, gr_error *err) {
    gr_cell cell = {0};
    gr_buf_reset(&r->scratch);
    cell.is_null = !gr_batch_format(column, row, &r->scratch, &cell.is_bool);
    gr_str text;
    if (!gr_buf_finish(&r->scratch, &text) || text.n > MOST_TEXT_BYTES - r->text_bytes)
        return gr_error_set(err, GR_ERR_LIMIT, "The result has more than %d bytes of text.", (int)MOST_TEXT_BYTES);
    r->text_bytes += text.n;
    if (!cell.is_null) cell.text = gr_arena_dup(r->arena, text);
    GR_PUSH(r->arena, &r->cells, cell);
    return GR_OK;
}

static gr_status read_batch(reader *r, const gr_batch *batch, gr_error *err) {
    if (batch->n_columns != r->n_columns)
        return gr_error_set(err, GR_ERR_INTERNAL, "A batch has %zu columns, its stream %zu.", batch->n_columns,
                            r->n_columns);
    if (batch->n_rows > r->max_rows - r->n_rows)
        return gr_error_set(err, GR_ERR_LIMIT, "The result has more than %zu rows.", r->max_rows);
    for (size_t row = 0; row < batch->n_rows; row++)
        for (size_t i = 0; i < batch->n_columns; i++) GR_TRY(read_cell(r, &batch->columns[i], row, err));
    r->n_rows += batch->n_rows;
    return GR_OK;
}

static const gr_column_schema *copy_schema(const gr_stream *stream, gr_arena *arena) {
    gr_column_schema *schema = GR_NEW_N(arena, gr_column_schema, stream->n_columns);
    for (size_t i = 0; i < stream->n_columns; i++) {
        schema[i] = stream->schema[i];
        schema[i].name = gr_arena_dup(arena, stream->schema[i].name);
    }
    return schema;
}

static gr_status read_all(reader *r, gr_stream *stream, gr_error *err) {
    for (;;) {
        const gr_batch *batch = NULL;
        GR_TRY(stream->next(stream, &batch, err));
        if (!batch) return GR_OK;
        GR_TRY(read_batch(r, batch, err));
    }
}

gr_status gr_table_read(gr_stream *stream, size_t max_rows, gr_arena *arena, gr_table **ret, gr_error *err) {
    reader r = {.arena = arena, .max_rows = max_rows, .n_columns = stream->n_columns};
    gr_buf_init(&r.scratch, MOST_TEXT_BYTES);
    gr_status status = read_all(&r, stream, err);
    gr_buf_done(&r.scratch);
    if (status) return status;
    gr_table *table = GR_NEW(arena, gr_table);
    *table = (gr_table){
        .n_rows = r.n_rows, .n_columns = r.n_columns, .schema = copy_schema(stream, arena), .cells = r.cells.v};
    *ret = table;
    return GR_OK;
}
