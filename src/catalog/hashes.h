#ifndef GR_CATALOG_HASHES_H
#define GR_CATALOG_HASHES_H
#include "base/arena.h"
gr_str gr_catalog_expr_hash(gr_str expression, gr_arena *arena);
#endif
