/* Rows on their way into a table of another place, and the check that all of them have arrived.
 * Threads: one at a time. Memory: the arena that it is made with. */
#ifndef GR_STORE_ARRIVAL_H
#define GR_STORE_ARRIVAL_H
#include "engine/engine.h"

typedef struct gr_arrival gr_arrival;
/* The rows of `from`, counted as they pass; `from` stays its owner's. */
gr_arrival *gr_store_arrival(gr_stream *from, gr_arena *arena);
gr_stream *gr_store_arrival_rows(gr_arrival *arrival);
/* After all have passed, while `from` is open: the table (qualified and quoted) has as many rows, as many values that
 * are not NULL in each column, and the same sums of whole numbers. `load`: by which it was made. A column of states
 * has one in every row.
 * Errors: store.io (says what differs), engine.*, cancelled, timeout. */
GR_MUST_CHECK gr_status gr_store_arrived(const gr_arrival *arrival, gr_engine_conn *conn, const gr_ctx *ctx,
                                         gr_str table, const gr_engine_load *load, gr_error *err);
#endif
