/* States of ClickHouse's uniqCombined(log2m) over UInt64, as RowBinary and Native carry them (seen the same with 18.16
 * and 26.7); all numbers are little-endian.
 *
 *   byte 0   1 up to 16 hashes, 2 more of them, 3 registers
 *   hashes   varuint number, 4 bytes each, in no order
 *   registers, 5 bits each, one string of bits from the bottom up; then how many of them have each value, 4 bytes for
 *            each of 0 … 33 - log2m, and how many are zero once more, 2 bytes, from log2m 16 on 4
 *
 * A register is found by the lowest bits of a hash and holds the place of the lowest bit that is set behind them, as in
 * postgresql-hll; so a state goes over into a sketch, and back, without loss. */
#include "sketch/internal.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

enum { SMALL = 1, MEDIUM = 2, LARGE = 3, MOST_SMALL = 16, HASH_BITS = 32, VARUINT_BITS = 7 };
static const uint64_t guard = UINT64_C(1) << HASH_BITS; /* gr_hll_state_hash */

static unsigned highest_value(int log2m) { return (unsigned)(HASH_BITS + 1 - log2m); }
static size_t counts_bytes(int log2m) { return 4 * (size_t)(highest_value(log2m) + 1); }
static size_t zeros_bytes(int log2m) { return log2m < 16 ? 2 : 4; }
static size_t large_bytes(int log2m) {
    return 1 + gr_sketch_full_bytes(log2m) + counts_bytes(log2m) + zeros_bytes(log2m);
}
/* ClickHouse goes on to registers behind twice as many as are kept as a list here. */
static size_t most_hashes(int log2m) { return 2 * gr_sketch_threshold(log2m, true); }

static gr_status broken(gr_error *err, const char *what) {
    return gr_error_set(err, GR_ERR_SKETCH, "a broken state of uniqCombined: %s", what);
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

static gr_status load_hashes(const uint8_t *p, size_t n, int log2m, size_t *ret_used, gr_hll **ret, gr_error *err) {
    size_t at = 1, count = 0;
    for (unsigned shift = 0;; shift += VARUINT_BITS) {
        if (at == n) return GR_OK;
        if (shift > 2 * VARUINT_BITS) return broken(err, "too many hashes");
        count |= (size_t)(p[at] & 127) << shift;
        if (!(p[at++] & 128)) break;
    }
    if (count > most_hashes(log2m)) return broken(err, "too many hashes");
    if (n - at < 4 * count) return GR_OK;
    gr_hll *state = gr_hll_new_state(log2m);
    for (size_t i = 0; i < count; i++, at += 4) {
        uint32_t hash;
        memcpy(&hash, p + at, sizeof hash);
        gr_hll_add(state, guard | le32toh(hash));
    }
    *ret_used = at;
    *ret = state;
    return GR_OK;
}

static uint64_t group_of_registers(const uint8_t *bits) {
    uint64_t group = 0;
    for (unsigned i = 0; i < GR_HLL_REGWIDTH; i++) group |= (uint64_t)bits[i] << 8 * i;
    return group;
}

static gr_status load_registers(const uint8_t *p, size_t n, int log2m, size_t *ret_used, gr_hll **ret, gr_error *err) {
    unsigned highest = highest_value(log2m);
    bool is_broken = false;
    if (n < large_bytes(log2m)) return GR_OK;
    gr_hll *state = gr_hll_new_state(log2m);
    gr_sketch_to_dense(state);
    const uint8_t *bits = p + 1;
    for (size_t at = 0; at < gr_sketch_registers(log2m); at += 8, bits += GR_HLL_REGWIDTH) {
        uint64_t group = group_of_registers(bits);
        for (size_t i = 0; i < 8; i++, group >>= GR_HLL_REGWIDTH) {
            uint8_t value = group & GR_SKETCH_MAX_VALUE;
            is_broken |= value > highest;
            state->registers[at + i] = value;
        }
    }
    if (is_broken) {
        gr_hll_free(state);
        return broken(err, "registers out of range");
    }
    *ret_used = large_bytes(log2m);
    *ret = state;
    return GR_OK;
}

gr_status gr_hll_load_state(const void *bytes, size_t n, int log2m, size_t *ret_used, gr_hll **ret, gr_error *err) {
    const uint8_t *p = bytes;
    *ret_used = 0;
    *ret = NULL;
    if (log2m < GR_HLL_STATE_MIN_LOG2M || log2m > GR_HLL_MAX_LOG2M)
        return broken(err, "a number of registers that is not supported");
    if (!n) return GR_OK;
    switch (p[0]) {
    case SMALL:
    case MEDIUM: return load_hashes(p, n, log2m, ret_used, ret, err);
    case LARGE: return load_registers(p, n, log2m, ret_used, ret, err);
    default: return broken(err, "unknown type");
    }
}

/* ---- writing -------------------------------------------------------------------------------------------------------
 */

static uint8_t *put_le(uint8_t *out, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

static uint8_t *put_count(uint8_t *out, uint64_t n) {
    for (; n > 127; n >>= VARUINT_BITS) *out++ = (uint8_t)(n | 128);
    *out++ = (uint8_t)n;
    return out;
}

size_t gr_hll_state_size(const gr_hll *s) {
    uint8_t head[8];
    assert(s->is_state);
    gr_sketch_settle(s);
    return s->is_dense ? large_bytes(s->log2m) : 1 + (size_t)(put_count(head, s->n) - head) + 4 * (size_t)s->n;
}

static uint8_t *put_registers(uint8_t *out, const gr_hll *s) {
    enum { VALUES = GR_SKETCH_MAX_VALUE + 1 };
    uint32_t counts[VALUES] = {0};
    for (size_t at = 0; at < gr_sketch_registers(s->log2m); at += 8) {
        uint64_t group = 0;
        for (unsigned i = 0; i < 8; i++) {
            uint8_t value = s->registers[at + i];
            group |= (uint64_t)value << GR_HLL_REGWIDTH * i;
            counts[value]++;
        }
        out = put_le(out, group, GR_HLL_REGWIDTH);
    }
    for (unsigned v = 0; v <= highest_value(s->log2m); v++) out = put_le(out, counts[v], 4);
    return put_le(out, counts[0], zeros_bytes(s->log2m));
}

size_t gr_hll_store_state(const gr_hll *s, void *bytes) {
    uint8_t *out = bytes;
    assert(s->is_state);
    gr_sketch_settle(s);
    *out++ = s->is_dense ? LARGE : s->n > MOST_SMALL ? MEDIUM : SMALL;
    if (s->is_dense) return (size_t)(put_registers(out, s) - (uint8_t *)bytes);
    out = put_count(out, s->n);
    for (uint32_t i = 0; i < s->n; i++) out = put_le(out, (uint32_t)s->values[i], 4);
    return (size_t)(out - (uint8_t *)bytes);
}
