/* Sketches as bytes: the storage format of postgresql-hll, schema version 1.
 *
 *   byte 0  version, type        byte 1  regwidth - 1 (3 bits), log2m (5 bits)
 *   byte 2  0, sparse enabled, EXPLICIT up to (6 bits, 63 = auto; of a state n, for 2^(n - 1))
 *   EXPLICIT  the hashes, 8 bytes each, highest first, ascending as signed integers
 *   FULL      all registers, 5 bits each, one string of bits from the top down
 *   SPARSE    log2m bits of index and 5 of value for each register that is not 0, ascending; then zero bits
 *
 * Invariant: bytes are looked through before anything is changed, and what is accepted stores back to a sketch of the
 * same content. Registers have no order of bytes, so SWAR words are made big-endian at both ends. */
#include "sketch/internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, SPARSE_ENABLED = 0x40, AUTO = 63, HEADER = 3 };
enum { UNDEFINED, EMPTY, EXPLICIT, SPARSE, FULL, N_TYPES };

typedef struct stored {
    const uint8_t *data; /* behind the header */
    size_t n;
    int type, log2m;
    bool is_state;
} stored;

static uint8_t settings_of(int log2m, bool is_state) {
    int limit = is_state ? __builtin_ctzll(gr_sketch_threshold(log2m, true)) + 1 : AUTO;
    return (uint8_t)(SPARSE_ENABLED | limit);
}

/* ---- eight registers and their 40 bits ----------------------------------------------------------------------------
 */

static void unpack(const uint8_t *bits, uint8_t *registers) {
    uint32_t upper;
    memcpy(&upper, bits, sizeof upper);
    uint64_t x = (uint64_t)be32toh(upper) << 8 | bits[4];
    x = (x & UINT64_C(0xfffff00000)) << 12 | (x & UINT64_C(0xfffff));                          /* 2 x 20 */
    x = (x & UINT64_C(0x000ffc00000ffc00)) << 6 | (x & UINT64_C(0x000003ff000003ff));          /* 4 x 10 */
    x = htobe64((x & UINT64_C(0x03e003e003e003e0)) << 3 | (x & UINT64_C(0x001f001f001f001f))); /* 8 x 5 */
    memcpy(registers, &x, sizeof x);
}

static void pack(const uint8_t *registers, uint8_t *bits) {
    uint64_t x;
    memcpy(&x, registers, sizeof x);
    x = be64toh(x);
    x = (x >> 3 & UINT64_C(0x03e003e003e003e0)) | (x & UINT64_C(0x001f001f001f001f));
    x = (x >> 6 & UINT64_C(0x000ffc00000ffc00)) | (x & UINT64_C(0x000003ff000003ff));
    x = (x >> 12 & UINT64_C(0xfffff00000)) | (x & UINT64_C(0xfffff));
    uint32_t upper = htobe32((uint32_t)(x >> 8));
    memcpy(bits, &upper, sizeof upper);
    bits[4] = (uint8_t)x;
}

/* ---- strings of bits ----------------------------------------------------------------------------------------------
 */

typedef struct bit_reader {
    const uint8_t *p;
    uint64_t held;
    unsigned n_held;
} bit_reader;

/* width <= 22; the caller knows that so many bits are left. */
static unsigned take_bits(bit_reader *r, unsigned width) {
    while (r->n_held < width) {
        r->held = r->held << 8 | *r->p++;
        r->n_held += 8;
    }
    r->n_held -= width;
    return (unsigned)(r->held >> r->n_held) & ((1u << width) - 1);
}

typedef struct bit_writer {
    uint8_t *p;
    uint64_t held;
    unsigned n_held;
} bit_writer;

static void put_bits(bit_writer *w, unsigned bits, unsigned width) {
    w->held = w->held << width | bits;
    w->n_held += width;
    for (; w->n_held >= 8; w->n_held -= 8) *w->p++ = (uint8_t)(w->held >> (w->n_held - 8));
}

static void put_end(bit_writer *w) {
    if (w->n_held) *w->p++ = (uint8_t)(w->held << (8 - w->n_held));
}

/* ---- looking through ----------------------------------------------------------------------------------------------
 */

static int64_t value_at(const stored *b, size_t i) {
    uint64_t value;
    memcpy(&value, b->data + 8 * i, sizeof value);
    return (int64_t)be64toh(value);
}

static unsigned sparse_width(int log2m) { return (unsigned)log2m + GR_HLL_REGWIDTH; }
static size_t sparse_words(const stored *b) { return b->n * 8 / sparse_width(b->log2m); }
static size_t sparse_bytes(size_t n_words, int log2m) { return (n_words * sparse_width(log2m) + 7) / 8; }

static const char *look_empty(const stored *b) { return b->n ? "bytes behind an empty sketch" : NULL; }

static const char *look_explicit(const stored *b) {
    size_t n = b->n / 8;
    if (!n || b->n % 8) return "truncated";
    if (n > gr_sketch_threshold(b->log2m, b->is_state)) return "more explicit values than the precision keeps";
    for (size_t i = 1; i < n; i++)
        if (value_at(b, i - 1) >= value_at(b, i)) return "explicit values out of order";
    for (size_t i = 0; i < n && b->is_state; i++)
        if (value_at(b, i) >> 32 != 1) return "explicit values that are no hashes of a state";
    return NULL;
}

static const char *look_sparse(const stored *b) {
    size_t n = sparse_words(b);
    if (n > gr_sketch_registers(b->log2m)) return "registers out of range";
    if (sparse_bytes(n, b->log2m) != b->n) return "truncated";
    bit_reader reader = {.p = b->data};
    for (size_t i = 0, next = 0; i < n; i++) {
        size_t at = take_bits(&reader, (unsigned)b->log2m);
        if (at < next || !take_bits(&reader, GR_HLL_REGWIDTH)) return "registers out of range";
        next = at + 1;
    }
    if (reader.held & ((1u << reader.n_held) - 1)) return "bits behind the last register";
    return NULL;
}

static const char *look_full(const stored *b) { return b->n == gr_sketch_full_bytes(b->log2m) ? NULL : "truncated"; }

/* ---- joining ------------------------------------------------------------------------------------------------------
 */

static void join_empty(gr_hll *into, const stored *b) {
    (void)into;
    (void)b;
}

static void join_explicit(gr_hll *into, const stored *b) {
    size_t n = b->n / 8;
    if (into->is_dense || into->n) {
        for (size_t i = 0; i < n; i++) gr_hll_add(into, (uint64_t)value_at(b, i));
        return;
    }
    gr_sketch_list_reserve(into, n);
    for (size_t i = 0; i < n; i++) into->values[i] = value_at(b, i);
    into->n = into->n_sorted = (uint32_t)n;
}

static void join_sparse(gr_hll *into, const stored *b) {
    gr_sketch_to_dense(into);
    bit_reader reader = {.p = b->data};
    for (size_t i = 0, n = sparse_words(b); i < n; i++) {
        uint8_t *to = &into->registers[take_bits(&reader, (unsigned)b->log2m)];
        uint8_t value = (uint8_t)take_bits(&reader, GR_HLL_REGWIDTH);
        if (*to < value) *to = value;
    }
}

static void join_full(gr_hll *into, const stored *b) {
    enum { CHUNK = 2048 };
    uint8_t chunk[CHUNK] = {0};
    gr_sketch_to_dense(into);
    size_t m = gr_sketch_registers(into->log2m), n = m < CHUNK ? m : CHUNK;
    const uint8_t *bits = b->data;
    for (size_t at = 0; at < m; at += n) {
        for (size_t i = 0; i < n; i += 8, bits += GR_HLL_REGWIDTH) unpack(bits, chunk + i);
        gr_sketch_max(into->registers + at, chunk, n < GR_SKETCH_BLOCK ? GR_SKETCH_BLOCK : n);
    }
}

static const struct {
    const char *(*look)(const stored *b); /* NULL, or what is wrong */
    void (*join)(gr_hll *into, const stored *b);
} types[N_TYPES] = {
    [EMPTY] = {look_empty, join_empty},
    [EXPLICIT] = {look_explicit, join_explicit},
    [SPARSE] = {look_sparse, join_sparse},
    [FULL] = {look_full, join_full},
};

static gr_status look_through(const void *bytes, size_t n, stored *ret, gr_error *err) {
    const uint8_t *p = bytes;
    const char *what = NULL;
    if (n < HEADER) return gr_error_set(err, GR_ERR_SKETCH, "a broken sketch: truncated");
    stored b = {p + HEADER, n - HEADER, p[0] & 15, p[1] & 31, p[2] != settings_of(0, false)};
    if (p[0] >> 4 != VERSION)
        what = "unknown version";
    else if (b.type >= N_TYPES || !types[b.type].look)
        what = "unknown type";
    else if ((p[1] >> 5) + 1 != GR_HLL_REGWIDTH)
        what = "registers are not 5 bits wide";
    else if (b.log2m < GR_HLL_MIN_LOG2M || b.log2m > GR_HLL_MAX_LOG2M)
        what = "a number of registers that is not supported";
    else if (b.is_state && (b.log2m < GR_HLL_STATE_MIN_LOG2M || p[2] != settings_of(b.log2m, true)))
        what = "not made with expthresh -1 and sparseon 1";
    else
        what = types[b.type].look(&b);
    if (what) return gr_error_set(err, GR_ERR_SKETCH, "a broken sketch: %s", what);
    *ret = b;
    return GR_OK;
}

gr_status gr_hll_load(const void *bytes, size_t n, gr_hll **ret, gr_error *err) {
    stored b = {0};
    GR_TRY(look_through(bytes, n, &b, err));
    gr_hll *sketch = gr_sketch_new(b.log2m, b.is_state);
    types[b.type].join(sketch, &b);
    *ret = sketch;
    return GR_OK;
}

gr_status gr_hll_union_bytes(gr_hll *into, const void *bytes, size_t n, gr_error *err) {
    stored b = {0};
    GR_TRY(look_through(bytes, n, &b, err));
    GR_TRY(gr_sketch_meets(into, b.log2m, b.is_state, err));
    types[b.type].join(into, &b);
    return GR_OK;
}

/* ---- storing ------------------------------------------------------------------------------------------------------
 */

static size_t count_filled(const gr_hll *s) {
    size_t n = gr_sketch_registers(s->log2m), filled = 0;
    for (size_t i = 0; i < n; i++) filled += s->registers[i] != 0;
    return filled;
}

typedef struct form {
    int type;
    size_t n; /* bytes behind the header */
} form;

static form form_of(const gr_hll *s) {
    gr_sketch_settle(s);
    if (!s->is_dense) return s->n ? (form){EXPLICIT, 8 * (size_t)s->n} : (form){EMPTY, 0};
    size_t filled = count_filled(s);
    if (filled * sparse_width(s->log2m) < gr_sketch_registers(s->log2m) * GR_HLL_REGWIDTH)
        return (form){SPARSE, sparse_bytes(filled, s->log2m)};
    return (form){FULL, gr_sketch_full_bytes(s->log2m)};
}

static void store_explicit(const gr_hll *s, uint8_t *out) {
    for (uint32_t i = 0; i < s->n; i++) {
        uint64_t value = htobe64((uint64_t)s->values[i]);
        memcpy(out + 8 * (size_t)i, &value, sizeof value);
    }
}

static void store_sparse(const gr_hll *s, uint8_t *out) {
    bit_writer writer = {.p = out};
    for (size_t i = 0, n = gr_sketch_registers(s->log2m); i < n; i++)
        if (s->registers[i])
            put_bits(&writer, (unsigned)i << GR_HLL_REGWIDTH | s->registers[i], sparse_width(s->log2m));
    put_end(&writer);
}

static void store_full(const gr_hll *s, uint8_t *out) {
    for (size_t i = 0, n = gr_sketch_registers(s->log2m); i < n; i += 8, out += GR_HLL_REGWIDTH)
        pack(s->registers + i, out);
}

size_t gr_hll_store_size(const gr_hll *sketch) { return HEADER + form_of(sketch).n; }

size_t gr_hll_store(const gr_hll *sketch, void *out) {
    static void (*const stores[N_TYPES])(const gr_hll *, uint8_t *) = {
        [EXPLICIT] = store_explicit, [SPARSE] = store_sparse, [FULL] = store_full};
    form f = form_of(sketch);
    uint8_t *p = out;
    p[0] = (uint8_t)(VERSION << 4 | f.type);
    p[1] = (uint8_t)((GR_HLL_REGWIDTH - 1) << 5 | sketch->log2m);
    p[2] = settings_of(sketch->log2m, sketch->is_state);
    if (stores[f.type]) stores[f.type](sketch, p + HEADER);
    return HEADER + f.n;
}
