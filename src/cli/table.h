/* Tables for people: columns as wide as their widest cell on a terminal, numbers to the right.
 * Memory: everything in the given arena; cells are borrowed until the table is printed. */
#ifndef GR_CLI_TABLE_H
#define GR_CLI_TABLE_H
#include "base/arena.h"
#include "base/buf.h"

typedef enum gr_cli_align { GR_ALIGN_LEFT, GR_ALIGN_RIGHT } gr_cli_align;
typedef struct gr_cli_column {
    gr_str title;
    gr_cli_align align;
} gr_cli_column;
typedef struct gr_cli_table gr_cli_table;

enum { GR_CLI_CELL_WIDTH = 120 }; /* wider cells are cut with an ellipsis */

gr_cli_table *gr_cli_table_new(gr_arena *arena, const gr_cli_column *columns, size_t n);
/* cells[n]; they may hold any bytes: control characters and bad UTF-8 are made visible. */
void gr_cli_table_row(gr_cli_table *table, const gr_str *cells);
/* `max_cell` is the width at which cells are cut; 0 = never. */
void gr_cli_table_print(const gr_cli_table *table, size_t max_cell, gr_buf *out);
/* Columns that a text takes on a terminal: wide letters 2, marks that stand on others 0. */
size_t gr_cli_text_width(gr_str text);
#endif
