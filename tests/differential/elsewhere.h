/* The product's source on another engine than DuckDB: a server of the harness's own, and the worlds' tables in it. */
#ifndef DIFFERENTIAL_ELSEWHERE_H
#define DIFFERENTIAL_ELSEWHERE_H
#include "differential/world.h"
#include "exec/exec.h"

/* "duckdb"; "postgres": rollups in the store; "postgres-source": beside the data; "postgres-store": the tables in
 * DuckDB, and the rollups there; the same of "clickhouse". False: not known. *ret_is_missing:
 * there is no such server on this machine. */
bool diff_elsewhere_start(const char *engine, bool *ret_is_missing);
void diff_elsewhere_stop(void);
bool diff_elsewhere_is_used(void);
/* Copies the tables of a DuckDB file; lines of granary.yml that name the copy. Both do nothing for "duckdb", whose text
 * is empty. */
GR_MUST_CHECK gr_status diff_elsewhere_copy(gr_str file, const diff_world *worlds, size_t n, gr_arena *arena,
                                            gr_str *ret_config, gr_error *err);
#endif
