/* Compiled zones (TZif, RFC 9636): bytes -> table.
 *
 *   header, block with times of 32 bits | header, block with times of 64 bits | \n rule \n | whatever is to come
 *   (skipped)                           | times, their types, types, names, leaps, two kinds of flags
 *
 * Before the first time, type 0 holds; after the last one, the rule. Invariant: sizes are checked against the bytes
 * before any of them is read, and each number before it is used: what is odd makes the whole file unusable. Threads:
 * pure. */
#include "cal/zone_table.h"

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define MAX_TYPES 256
#define MIN_YEAR 1 /* where a rule begins that has no change before it */

typedef struct bytes {
    const unsigned char *p;
    size_t n;
} bytes;

typedef struct counts {
    uint32_t n_ut, n_standard, n_leaps, n_times, n_types, n_chars;
} counts;

typedef struct block {
    counts count;
    const unsigned char *times, *indices, *types, *chars, *standard, *ut;
} block;

static uint32_t read_u32(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t read_i64(const unsigned char *p) { return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4)); }

static bool skip(bytes *b, uint64_t n) {
    if (n > b->n) return false;
    b->p += n;
    b->n -= (size_t)n;
    return true;
}

static bool header_read(bytes *b, counts *ret) {
    const unsigned char *p = b->p;
    if (!skip(b, HEADER_BYTES) || memcmp(p, "TZif", 4) != 0 || p[4] < '2') return false;
    *ret = (counts){read_u32(p + 20), read_u32(p + 24), read_u32(p + 28),
                    read_u32(p + 32), read_u32(p + 36), read_u32(p + 40)};
    return true;
}

static uint64_t block_bytes(const counts *c, uint64_t time_bytes) {
    return c->n_times * (time_bytes + 1) + c->n_types * (uint64_t)TYPE_BYTES + c->n_chars +
           c->n_leaps * (time_bytes + 4) + c->n_standard + c->n_ut;
}

static bool counts_are_sound(const counts *c) {
    return c->n_leaps == 0 && c->n_types >= 1 && c->n_types <= MAX_TYPES && c->n_chars >= 1 &&
           (c->n_standard == 0 || c->n_standard == c->n_types) && (c->n_ut == 0 || c->n_ut == c->n_types);
}

static bool block_read(bytes *b, block *ret) {
    counts first;
    if (!header_read(b, &first) || !skip(b, block_bytes(&first, 4))) return false;
    counts *c = &ret->count;
    if (!header_read(b, c) || !counts_are_sound(c)) return false;
    ret->times = b->p;
    if (!skip(b, block_bytes(c, 8))) return false;
    ret->indices = ret->times + c->n_times * (size_t)8;
    ret->types = ret->indices + c->n_times;
    ret->chars = ret->types + c->n_types * (size_t)TYPE_BYTES;
    ret->standard = ret->chars + c->n_chars;
    ret->ut = ret->standard + c->n_standard;
    return true;
}

static int64_t type_offset_s(const block *b, size_t type) { return (int32_t)read_u32(b->types + type * TYPE_BYTES); }

static bool flags_are_sound(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] > 1) return false;
    return true;
}

static bool block_is_sound(const block *b) {
    const counts *c = &b->count;
    for (size_t i = 0; i < c->n_types; i++) {
        const unsigned char *type = b->types + i * TYPE_BYTES;
        int64_t offset_s = type_offset_s(b, i);
        if (offset_s < -GR_CAL_OFFSET_MAX_S || offset_s > GR_CAL_OFFSET_MAX_S || type[4] > 1 || type[5] >= c->n_chars)
            return false;
    }
    for (size_t i = 0; i < c->n_times; i++)
        if (b->indices[i] >= c->n_types || (i > 0 && read_i64(b->times + i * 8) <= read_i64(b->times + (i - 1) * 8)))
            return false;
    return b->chars[c->n_chars - 1] == 0 && flags_are_sound(b->standard, c->n_standard) &&
           flags_are_sound(b->ut, c->n_ut);
}

static bool times_add(const block *b, gr_cal_table *table) {
    table->n = 0;
    if (!gr_cal_table_add(table, INT64_MIN, type_offset_s(b, 0) * US_PER_SECOND)) return false;
    for (size_t i = 0; i < b->count.n_times; i++) {
        int64_t start_us = gr_cal_mul(read_i64(b->times + i * 8), US_PER_SECOND);
        if (start_us >= GR_CAL_SCAN_END_US) break;
        if (!gr_cal_table_add(table, start_us, type_offset_s(b, b->indices[i]) * US_PER_SECOND)) return false;
    }
    return true;
}

/* The text between two line feeds; empty when nothing is said about later times. */
static bool footer_read(bytes b, gr_str *ret) {
    if (b.n == 0 || b.p[0] != '\n') return false;
    const unsigned char *end = memchr(b.p + 1, '\n', b.n - 1);
    if (!end) return false;
    *ret = (gr_str){(const char *)b.p + 1, (size_t)(end - b.p) - 1};
    return true;
}

static bool rules_add(const block *b, const gr_cal_rules *rules, gr_cal_table *table) {
    if (b->count.n_times == 0) {
        int64_t offset_s = type_offset_s(b, 0);
        return (offset_s == rules->standard_s || (rules->has_summer && offset_s == rules->summer_s)) &&
               gr_cal_rules_expand(rules, MIN_YEAR, INT64_MIN, table);
    }
    size_t last = b->count.n_times - 1;
    int64_t last_s = read_i64(b->times + last * 8), last_us = gr_cal_mul(last_s, US_PER_SECOND);
    if (last_us >= GR_CAL_SCAN_END_US) return true;
    int64_t year = MIN_YEAR;
    int month, day;
    if (last_us > gr_cal_days_from_date(MIN_YEAR, 1, 1) * US_PER_DAY)
        gr_cal_date_from_days(gr_cal_div_floor(last_us, US_PER_DAY), &year, &month, &day);
    /* what holds from the last time on must be what the rule says then: else one of them is damaged */
    if (rules->has_summer && year == MIN_YEAR) return gr_cal_rules_expand(rules, MIN_YEAR, last_us, table);
    int64_t ruled_s = rules->has_summer ? gr_cal_rules_offset_s(rules, year, last_s) : rules->standard_s;
    return type_offset_s(b, b->indices[last]) == ruled_s && gr_cal_rules_expand(rules, year - 1, last_us, table);
}

bool gr_cal_tzif_parse(const unsigned char *p, size_t n, gr_cal_table *table) {
    bytes rest = {p, n};
    block b;
    gr_str footer;
    gr_cal_rules rules;
    if (!block_read(&rest, &b) || !block_is_sound(&b) || !footer_read(rest, &footer) || !times_add(&b, table))
        return false;
    return footer.n == 0 || (gr_cal_rules_parse(footer, &rules) && rules_add(&b, &rules, table));
}
