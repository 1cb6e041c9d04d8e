/* The e-commerce demo: its data (demo_data.c), its granary.yml and model (demo_files.c), and the comparison that
 * scripts/demo shows (demo_compare.c). */
#ifndef GR_CLI_DEMO_H
#define GR_CLI_DEMO_H
#include "cli/command.h"

typedef struct gr_demo_size {
    int64_t orders, line_items, users, products, seed;
} gr_demo_size;

/* Writes granary.yml and model/ into `dir`; files that are there already stay as they are. */
GR_MUST_CHECK gr_status gr_cli_demo_write_files(gr_str dir, gr_arena *arena, gr_error *err);
/* Makes data/shop.duckdb in `dir`, unless it is there complete and of this size. `config`: of the demo. */
GR_MUST_CHECK gr_status gr_cli_demo_write_data(gr_str dir, const gr_demo_size *size, const gr_config *config,
                                               gr_arena *arena, gr_error *err);
/* Loads the tables of the data set into the data source of this name, a database server. */
GR_MUST_CHECK gr_status gr_cli_demo_copy(gr_str dir, const gr_config *config, gr_str source, gr_arena *arena,
                                         gr_error *err);
/* *ret: the data set is there, complete and of this size. */
GR_MUST_CHECK gr_status gr_cli_demo_is_complete(gr_str dir, const gr_demo_size *size, gr_arena *arena, bool *ret,
                                                gr_error *err);
/* Runs the demo query from the source and from the rollup. Errors: engine.data when the answers differ. */
GR_MUST_CHECK gr_status gr_cli_demo_compare(gr_cli *cli, const gr_config *config, gr_error *err);
#endif
