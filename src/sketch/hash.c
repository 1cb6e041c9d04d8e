/* MurmurHash3 x64-128 with seed 0, of which only the first 64 bits are kept: what hll_hash_bigint and hll_hash_text of
 * postgresql-hll give. A bigint is its 8 bytes, lowest first. ClickHouse's hash of a number is the last step of it. */
#include "sketch/sketch.h"

#include <endian.h>
#include <string.h>

static const uint64_t c1 = UINT64_C(0x87c37b91114253d5), c2 = UINT64_C(0x4cf5ad432745937f);

static inline uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static inline uint64_t word_at(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

/* The 0…8 bytes of an unfinished word. */
static inline uint64_t short_word(const uint8_t *p, size_t n) {
    uint64_t word = 0;
    memcpy(&word, p, n);
    return le64toh(word);
}

static inline uint64_t mix_first(uint64_t k) { return rotate(k * c1, 31) * c2; }
static inline uint64_t mix_second(uint64_t k) { return rotate(k * c2, 33) * c1; }

static inline uint64_t avalanche(uint64_t k) {
    k = (k ^ k >> 33) * UINT64_C(0xff51afd7ed558ccd);
    k = (k ^ k >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ k >> 33;
}

static inline uint64_t finish(uint64_t h1, uint64_t h2, size_t n) {
    h1 ^= n;
    h2 ^= n;
    h1 += h2;
    h2 += h1;
    return avalanche(h1) + avalanche(h2);
}

uint64_t gr_hll_hash_i64(int64_t value) { return finish(mix_first((uint64_t)value), 0, sizeof value); }

/* Its lower half, behind a bit that ends the search for the first one that is set: where all others are zero ClickHouse
 * counts to the end of the 32. */
uint64_t gr_hll_state_hash(uint64_t value) { return (avalanche(value) & UINT32_MAX) | UINT64_C(1) << 32; }

uint64_t gr_hll_hash_bytes(const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    uint64_t h1 = 0, h2 = 0;
    size_t left = n;
    for (; left >= 16; left -= 16, p += 16) {
        h1 = (rotate(h1 ^ mix_first(word_at(p)), 27) + h2) * 5 + 0x52dce729;
        h2 = (rotate(h2 ^ mix_second(word_at(p + 8)), 31) + h1) * 5 + 0x38495ab5;
    }
    /* A word of zeros mixes to zero, so that an absent one needs no branch of its own. */
    if (left > 8) h2 ^= mix_second(short_word(p + 8, left - 8));
    if (left) h1 ^= mix_first(short_word(p, left < 8 ? left : 8));
    return finish(h1, h2, n);
}
