/* What the tests of the calendar share: points and zones by their text, comparison as text. */
#ifndef GR_TESTS_UNIT_CAL_TEST_H
#define GR_TESTS_UNIT_CAL_TEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cal/cal.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* A point, whatever its zone part; fails the test when it does not parse. */
static inline int64_t at(const char *text) {
    int64_t us = 0;
    gr_time_zone_part zone;
    bool is_date;
    if (!gr_time_parse(gr_str_from(text), &us, &zone, &is_date)) fail_msg("not a point: %s", text);
    return us;
}

static inline const gr_tz *zone_of(const char *name) {
    const gr_tz *tz = NULL;
    gr_error err = {0};
    if (gr_tz_get(gr_str_from(name), &tz, &err)) fail_msg("%s: %s", name, err.message);
    return tz;
}

static inline void assert_point(int64_t got_us, const char *want, const char *what) {
    char out[41];
    out[gr_time_format(got_us, out)] = 0;
    if (got_us != at(want)) fail_msg("%s: got %s, want %s", what, out, want);
}

static inline void assert_text(gr_str got, const char *want, const char *what) {
    if (!gr_str_eq_z(got, want)) fail_msg("%s: got '" GR_FMT "', want '%s'", what, GR_ARG(got), want);
}

/* A small generator, so that every run sees the same points. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline int64_t random_between(uint64_t *state, int64_t from, int64_t to) {
    return from + (int64_t)(next_random(state) % ((uint64_t)to - (uint64_t)from));
}
#endif
