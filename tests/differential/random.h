/* Random numbers that are the same on every machine (splitmix64). */
#ifndef DIFFERENTIAL_RANDOM_H
#define DIFFERENTIAL_RANDOM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct diff_random {
    uint64_t state;
} diff_random;

static inline uint64_t diff_random_next(diff_random *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A stream of its own for each of (seed, a, b). */
static inline diff_random diff_random_of(uint64_t seed, uint64_t a, uint64_t b) {
    diff_random r = {seed};
    r.state ^= diff_random_next(&r) + a * 0xd6e8feb86659fd93u;
    r.state ^= diff_random_next(&r) + b * 0xa0761d6478bd642fu;
    return r;
}

static inline size_t diff_pick(diff_random *r, size_t n) { return n ? (size_t)(diff_random_next(r) % n) : 0; }
static inline int64_t diff_between(diff_random *r, int64_t low, int64_t high) {
    return low + (int64_t)(diff_random_next(r) % (uint64_t)(high - low + 1));
}
static inline bool diff_chance(diff_random *r, unsigned percent) { return diff_random_next(r) % 100 < percent; }
#define DIFF_ONE_OF(r, list) ((list)[diff_pick((r), sizeof(list) / sizeof *(list))])
#endif
