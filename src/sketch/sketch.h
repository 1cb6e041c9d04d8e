/* HyperLogLog in the storage format of postgresql-hll, byte for byte: EMPTY, EXPLICIT, SPARSE, FULL; log2m 4…17,
 * regwidth 5, expthresh -1 (auto), sparseon 1; Murmur3 x64-128, first 64 bits, seed 0, as hll_hash_bigint and
 * hll_hash_text do.
 *
 *   bytes in storage  --load-->  registers, one byte each  --store-->  bytes
 *
 * In memory a sketch is either a short sorted list of hashes (EXPLICIT) or unpacked registers, so that a union is a max
 * over bytes.
 *
 * A state of ClickHouse's uniqCombined is the same thing over hashes of 32 bits, and is kept in the same bytes, which
 * say so by their expthresh: sketches of the one kind of hashes never meet those of the other.
 *
 *              hashes                   log2m   EXPLICIT up to      expthresh
 *   sketch     64 bits, Murmur3         4…17    160 at log2m 11     auto
 *   state      32 bits, of ClickHouse   12…17   2^(log2m - 5)       the same
 *
 * Memory: owned by the caller of gr_hll_new. Threads: one sketch, one thread.
 * Source: engines.md §3.5, §6 (formats), decisions 23. */
#ifndef GR_SKETCH_SKETCH_H
#define GR_SKETCH_SKETCH_H
#include "base/error.h"

enum { GR_HLL_MIN_LOG2M = 4, GR_HLL_MAX_LOG2M = 17, GR_HLL_DEFAULT_LOG2M = 11, GR_HLL_REGWIDTH = 5 };
enum { GR_HLL_STATE_MIN_LOG2M = 12 }; /* uniqCombined(12) is its coarsest */

typedef struct gr_hll gr_hll;

uint64_t gr_hll_hash_i64(int64_t value);
uint64_t gr_hll_hash_bytes(const void *bytes, size_t n);

/* As uniqCombined hashes an UInt64. A text is its gr_hll_hash_bytes, an integer its 64 bits. */
uint64_t gr_hll_state_hash(uint64_t value);

gr_hll *gr_hll_new(int log2m); /* EMPTY; log2m in range (asserted) */
gr_hll *gr_hll_new_state(int log2m);
bool gr_hll_is_state(const gr_hll *sketch);
void gr_hll_free(gr_hll *sketch);
int gr_hll_log2m(const gr_hll *sketch);
void gr_hll_add(gr_hll *sketch, uint64_t hash);
void gr_hll_add_many(gr_hll *sketch, const uint64_t *hashes, size_t n);
/* Hint that something will be added soon, when many sketches are added to by turns. The sketch itself is read. */
void gr_hll_prefetch(const gr_hll *sketch);
/* Both of one precision and of one kind of hashes, else GR_ERR_SKETCH: "register count does not match". */
GR_MUST_CHECK gr_status gr_hll_union(gr_hll *into, const gr_hll *other, gr_error *err);
/* The extension's own estimate, not rounded; of a state the values are added that share their hash with another. */
double gr_hll_cardinality(const gr_hll *sketch);
/* A sketch of fewer registers with the same content as if its values had been added to it (EXPLICIT stays). log2m not
 * above the sketch's own. */
gr_hll *gr_hll_fold(const gr_hll *sketch, int log2m);
/* Errors: GR_ERR_SKETCH for broken bytes: truncated, unknown version or type, other regwidth, registers out of range.
 */
GR_MUST_CHECK gr_status gr_hll_load(const void *bytes, size_t n, gr_hll **ret, gr_error *err);
/* gr_hll_load and gr_hll_union in one, without the sketch between them. `into` is untouched on failure. */
GR_MUST_CHECK gr_status gr_hll_union_bytes(gr_hll *into, const void *bytes, size_t n, gr_error *err);
size_t gr_hll_store_size(const gr_hll *sketch); /* exact */
size_t gr_hll_store(const gr_hll *sketch, void *out);

/* States as ClickHouse sends and takes them, where nothing tells how long one is (state.c). *ret_used 0: it is not
 * whole yet, and *ret is NULL. Errors: GR_ERR_SKETCH. */
GR_MUST_CHECK gr_status gr_hll_load_state(const void *bytes, size_t n, int log2m, size_t *ret_used, gr_hll **ret,
                                          gr_error *err);
size_t gr_hll_state_size(const gr_hll *state); /* exact; a state (asserted) */
size_t gr_hll_store_state(const gr_hll *state, void *out);
#endif
