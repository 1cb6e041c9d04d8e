/* See boolean.c. `from` is borrowed, and stays its owner's to close. Memory: arena, which outlives the stream. */
#ifndef GR_STORE_BOOLEAN_H
#define GR_STORE_BOOLEAN_H
#include "data/batch.h"
#include "plan/plan.h"

/* The rows of a load, with its segments and boolean dimensions as booleans; `from` itself when they are. */
gr_stream *gr_store_booleans(gr_stream *from, const gr_rollup *rollup, gr_arena *arena);
#endif
