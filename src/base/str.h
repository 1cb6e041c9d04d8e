/* Slices: text that is passed by value and is not NUL-terminated unless a comment says so. Thread-safe: pure. */
#ifndef GR_BASE_STR_H
#define GR_BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct gr_str {
    const char *p;
    size_t n;
} gr_str;

/* Only for literals: a variable does not compile. */
#define GR_STR(lit) ((gr_str){"" lit "", sizeof(lit) - 1})
#define GR_STR_INIT(lit)                                                                                               \
    { "" lit "", sizeof(lit) - 1 }
#define GR_FMT "%.*s"
#define GR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline gr_str gr_str_from(const char *z) { return z ? (gr_str){z, strlen(z)} : (gr_str){0}; }
static inline bool gr_str_eq(gr_str a, gr_str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool gr_str_eq_z(gr_str a, const char *z) { return gr_str_eq(a, gr_str_from(z)); }
static inline gr_str gr_str_sub(gr_str s, size_t from, size_t n) { return (gr_str){s.p + from, n}; }
/* Byte order, shorter first among equals. */
int gr_str_cmp(gr_str a, gr_str b);
bool gr_str_eq_nocase(gr_str a, gr_str b); /* ASCII */
bool gr_str_starts(gr_str s, gr_str prefix);
bool gr_str_ends(gr_str s, gr_str suffix);
/* Index of the first `c` at or after `from`, or SIZE_MAX. */
size_t gr_str_find(gr_str s, char c, size_t from);
/* First place of `needle`, or SIZE_MAX. */
size_t gr_str_find_str(gr_str s, gr_str needle);
gr_str gr_str_trim(gr_str s);
uint64_t gr_str_hash(gr_str s);
uint64_t gr_str_hash_seeded(gr_str s, uint64_t seed); /* for keys that strangers choose */
/* The whole of `s` is a decimal integer that fits; *ret is untouched otherwise. */
bool gr_str_to_i64(gr_str s, int64_t *ret);
bool gr_str_to_f64(gr_str s, double *ret);
bool gr_str_is_utf8(gr_str s);
/* ^[_a-zA-Z][_a-zA-Z0-9]*$ (cube.md 1.1) */
bool gr_str_is_identifier(gr_str s);
/* Edits (Damerau-Levenshtein, ASCII case folded) between two short names; SIZE_MAX when over `max`. */
size_t gr_str_distance(gr_str a, gr_str b, size_t max);
#endif
