/* Time is asked for in one place, so that tests can give their own. */
#ifndef GR_BASE_CLOCK_H
#define GR_BASE_CLOCK_H
#include <stdint.h>

int64_t gr_clock_now_us(
    void); /* wall clock, UTC microseconds since 1970; GRANARY_NOW (tests) overrides it with a fixed instant in us */
int64_t gr_clock_mono_us(void); /* monotonic, for durations and deadlines */
#endif
