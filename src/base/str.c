/* Slices: comparison, search, conversion. Nothing here allocates. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

int gr_str_cmp(gr_str a, gr_str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c) return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

static int lower(char c) { return tolower((unsigned char)c); }

bool gr_str_eq_nocase(gr_str a, gr_str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

bool gr_str_starts(gr_str s, gr_str prefix) { return s.n >= prefix.n && gr_str_eq(gr_str_sub(s, 0, prefix.n), prefix); }

bool gr_str_ends(gr_str s, gr_str suffix) {
    return s.n >= suffix.n && gr_str_eq(gr_str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

size_t gr_str_find(gr_str s, char c, size_t from) {
    if (from >= s.n) return SIZE_MAX;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t gr_str_find_str(gr_str s, gr_str needle) {
    if (needle.n == 0) return 0;
    if (s.n < needle.n) return SIZE_MAX;
    const char *hit = memmem(s.p, s.n, needle.p, needle.n);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

gr_str gr_str_trim(gr_str s) {
    while (s.n && isspace((unsigned char)s.p[0])) s = gr_str_sub(s, 1, s.n - 1);
    while (s.n && isspace((unsigned char)s.p[s.n - 1])) s.n--;
    return s;
}

uint64_t gr_str_hash(gr_str s) { return XXH3_64bits(s.p ? s.p : "", s.n); }

uint64_t gr_str_hash_seeded(gr_str s, uint64_t seed) { return XXH3_64bits_withSeed(s.p ? s.p : "", s.n, seed); }

bool gr_str_to_i64(gr_str s, int64_t *ret) {
    char buf[24];
    if (s.n == 0 || s.n >= sizeof buf) return false;
    char first = s.p[0];
    if (first != '-' && first != '+' && !isdigit((unsigned char)first)) return false;
    memcpy(buf, s.p, s.n);
    buf[s.n] = 0;
    char *end;
    errno = 0;
    long long v = strtoll(buf, &end, 10);
    if (errno || end != buf + s.n) return false;
    *ret = v;
    return true;
}

bool gr_str_to_f64(gr_str s, double *ret) {
    char buf[512];
    if (s.n == 0 || s.n >= sizeof buf || isspace((unsigned char)s.p[0])) return false;
    memcpy(buf, s.p, s.n);
    buf[s.n] = 0;
    char *end;
    double v = strtod(buf, &end);
    if (end != buf + s.n) return false;
    *ret = v;
    return true;
}

/* Length of the UTF-8 sequence at p (n bytes left), 0 when it is not one (RFC 3629: no surrogates, no overlong form).
 */
static size_t utf8_step(const unsigned char *p, size_t n) {
    if (p[0] < 0x80) return 1;
    size_t len = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
    if (len == 0 || n < len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (p[0] == 0xE0 && p[1] < 0xA0) return 0;
    if (p[0] == 0xED && p[1] > 0x9F) return 0;
    if (p[0] == 0xF0 && p[1] < 0x90) return 0;
    if (p[0] == 0xF4 && p[1] > 0x8F) return 0;
    return len;
}

bool gr_str_is_utf8(gr_str s) {
    for (size_t i = 0; i < s.n;) {
        size_t step = utf8_step((const unsigned char *)s.p + i, s.n - i);
        if (!step) return false;
        i += step;
    }
    return true;
}

bool gr_str_is_identifier(gr_str s) {
    if (s.n == 0 || isdigit((unsigned char)s.p[0])) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_' && (!isalnum((unsigned char)s.p[i]) || (unsigned char)s.p[i] >= 0x80)) return false;
    return true;
}

size_t gr_str_distance(gr_str a, gr_str b, size_t max) {
    enum { LIMIT = 64 };
    if (a.n > LIMIT || b.n > LIMIT) return SIZE_MAX;
    size_t rows[3][LIMIT + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n; j++) last[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            int x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);
            size_t best = last[j - 1] + (x != y);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && x == lower(b.p[j - 2]) && lower(a.p[i - 2]) == y && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.n] <= max ? last[b.n] : SIZE_MAX;
}
