/* DataJunction's own hashes, computed where its API shows them (dj.md 4.2; decisions 22). Pure. Texts in the arena. */
#ifndef GR_CATALOG_HASHES_H
#define GR_CATALOG_HASHES_H
#include "base/arena.h"

/* 12 hex digits of an expression, in which runs of white space count as one space. */
gr_str gr_catalog_expr_hash(gr_str expression, gr_arena *arena);
/* A measure's token "<expr_hash>:<AGGREGATION>"; the aggregation is trimmed and in upper case, empty for DISTINCT. */
gr_str gr_catalog_measure_token(gr_str expression, gr_str aggregation, gr_arena *arena);
/* 32 hex digits of a revision and a grain, whose order does not count. */
gr_str gr_catalog_grain_group_hash(int64_t revision_id, const gr_str *grain, size_t n_grain, gr_arena *arena);
/* 8 hex digits of a revision, a grain and a set of tokens. */
gr_str gr_catalog_preagg_hash(int64_t revision_id, const gr_str *grain, size_t n_grain, const gr_str *tokens,
                              size_t n_tokens, gr_arena *arena);
#endif
