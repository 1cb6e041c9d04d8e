/* How a CSV file is to be read. The engine's sniffer guesses from 20,480 rows; here it is asked once, when the source
 * is attached, to look at all of them, and what it found is written into the view: delimiter, quotes, header, and the
 * type of every column. So a type holds for the whole file, and a file that no longer fits fails instead of changing
 * shape. Invariant: a ragged file never becomes one text column, and a header row is never skipped as if it were a
 * remark. */
#include "engine/duckdb_internal.h"

#include <stdlib.h>

enum {
    COL_DELIMITER,
    COL_QUOTE,
    COL_ESCAPE,
    COL_SKIP,
    COL_HEADER,
    COL_DATE,
    COL_TIMESTAMP,
    COL_NAME,
    COL_TYPE,
    N_COLS
};

static gr_status run_texts(duckdb_connection admin, gr_buf *sql, gr_arena *arena, gr_str **ret, size_t *ret_rows,
                           size_t columns, gr_error *err) {
    gr_str text;
    size_t n_columns = 0;
    gr_status status = gr_buf_finish(sql, &text)
                           ? gr_engine_duckdb_texts(admin, text, arena, ret, ret_rows, &n_columns, err)
                           : gr_error_set(err, GR_ERR_LIMIT, "too many files");
    gr_buf_done(sql);
    if (!status && n_columns != columns)
        status = gr_error_set(err, GR_ERR_INTERNAL, "the engine answers in another form");
    return status;
}

static gr_status sniff(duckdb_connection admin, gr_str file, gr_arena *arena, gr_str **ret, size_t *ret_rows,
                       gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 20);
    gr_buf_z(&sql, "SELECT \"Delimiter\", \"Quote\", \"Escape\", \"SkipRows\"::VARCHAR, \"HasHeader\"::VARCHAR, "
                   "\"DateFormat\", \"TimestampFormat\", c.name, c.type FROM (SELECT *, unnest(\"Columns\") AS c "
                   "FROM sniff_csv(");
    gr_engine_duckdb_add_literal(&sql, gr_engine_duckdb_glob_escape(file, arena));
    gr_buf_z(&sql, ", sample_size=-1, allow_quoted_nulls=false))");
    return run_texts(admin, &sql, arena, ret, ret_rows, N_COLS, err);
}

static gr_status check_shape(const gr_str *row, size_t n_columns, gr_error *err) {
    bool is_one_text = false;
    for (const char *c = ",;|\t"; n_columns == 1 && *c; c++)
        if (gr_str_find(row[COL_NAME], *c, 0) != SIZE_MAX) is_one_text = true;
    if (!is_one_text && gr_str_eq(row[COL_SKIP], GR_STR("0"))) return GR_OK;
    gr_error_set(err, GR_ERR_ENGINE_OPEN, "its rows differ in their number of columns");
    gr_error_hint(err,
                  "every row, the header too, needs the same number of columns; quote texts that hold the delimiter");
    return GR_ERR_ENGINE_OPEN;
}

static void add_option(gr_buf *out, const char *name, gr_str value) {
    gr_buf_printf(out, ", %s=", name);
    gr_engine_duckdb_add_literal(out, value);
}

static void add_reader(gr_buf *out, const gr_str *patterns, size_t n_patterns, const gr_str *dialect) {
    gr_buf_z(out, "read_csv([");
    for (size_t i = 0; i < n_patterns; i++) {
        if (i) gr_buf_char(out, ',');
        gr_engine_duckdb_add_literal(out, patterns[i]);
    }
    gr_buf_z(out, "], skip=0, allow_quoted_nulls=false");
    /* "(empty)": the sample held no quote. One may come in a later file, so the usual one is set. */
    bool has_quote = dialect[COL_QUOTE].n == 1, has_escape = dialect[COL_ESCAPE].n == 1;
    gr_str quote = has_quote ? dialect[COL_QUOTE] : GR_STR("\"");
    add_option(out, "delim", dialect[COL_DELIMITER]);
    add_option(out, "quote", quote);
    add_option(out, "escape", has_quote && has_escape ? dialect[COL_ESCAPE] : quote);
    gr_buf_z(out, gr_str_eq(dialect[COL_HEADER], GR_STR("true")) ? ", header=true" : ", header=false");
    if (dialect[COL_DATE].n) add_option(out, "dateformat", dialect[COL_DATE]);
    if (dialect[COL_TIMESTAMP].n) add_option(out, "timestampformat", dialect[COL_TIMESTAMP]);
}

/* Names and types of the columns of many files together, each looked at whole. */
static gr_status describe_all(duckdb_connection admin, const gr_str *patterns, size_t n_patterns, const gr_str *dialect,
                              gr_arena *arena, gr_str **ret, size_t *ret_rows, gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 24);
    gr_buf_z(&sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ");
    add_reader(&sql, patterns, n_patterns, dialect);
    gr_buf_z(&sql, ", sample_size=-1, files_to_sniff=-1, hive_partitioning=false))");
    return run_texts(admin, &sql, arena, ret, ret_rows, 2, err);
}

gr_status gr_engine_duckdb_csv(duckdb_connection admin, gr_str first_file, const gr_str *patterns, size_t n_patterns,
                               bool is_one_file, gr_arena *arena, gr_buf *out, gr_error *err) {
    gr_str *rows, *types;
    size_t n = 0, n_types = 0, stride = N_COLS;
    GR_TRY(sniff(admin, first_file, arena, &rows, &n, err));
    if (!n) return gr_error_set(err, GR_ERR_ENGINE_OPEN, "it holds no column");
    GR_TRY(check_shape(rows, n, err));
    types = rows + COL_NAME;
    n_types = n;
    if (!is_one_file) {
        GR_TRY(describe_all(admin, patterns, n_patterns, rows, arena, &types, &n_types, err));
        stride = 2;
    }
    add_reader(out, patterns, n_patterns, rows);
    gr_buf_z(out, ", types={");
    for (size_t i = 0; i < n_types; i++) {
        if (i) gr_buf_z(out, ", ");
        gr_engine_duckdb_add_literal(out, types[i * stride]);
        gr_buf_z(out, ": ");
        gr_engine_duckdb_add_literal(out, types[i * stride + 1]);
    }
    gr_buf_z(out, "})");
    return GR_OK;
}
