/* The number of distinct values of a sketch, with the arithmetic of postgresql-hll: a bare count while EXPLICIT, linear
 * counting while registers are empty and few values came, else the harmonic mean, stretched near the top of its range.
 * The sum of the registers is exact: integers below 2^48. */
#include "sketch/internal.h"

#include <math.h>

static double alpha(double m) {
    if (m == 16) return 0.673;
    if (m == 32) return 0.697;
    if (m == 64) return 0.709;
    return 0.7213 / (1.0 + 1.079 / m);
}

/* `n` of the `range` hashes that there are were met: so many values have met them. */
static double unmet(double n, double range) { return -range * log(1.0 - n / range); }

/* Near the end of the range an estimate may lie behind it. */
static double of_32_bits(double n) {
    const double range = 4294967296.0, most = range - 4194304.0;
    return unmet(n < most ? n : most, range);
}

double gr_hll_cardinality(const gr_hll *sketch) {
    gr_sketch_settle(sketch);
    if (!sketch->is_dense) return sketch->n;
    size_t n = gr_sketch_registers(sketch->log2m), zeros = 0;
    uint64_t sum = 0; /* of 2^-register, in units of 2^-31 */
    for (size_t i = 0; i < n; i++) {
        zeros += !sketch->registers[i];
        sum += UINT64_C(1) << (GR_SKETCH_MAX_VALUE - sketch->registers[i]);
    }
    double m = (double)n, inverse = ldexp((double)sum, -GR_SKETCH_MAX_VALUE);
    double estimate = alpha(m) * m * m / inverse;
    if (zeros && estimate < 2.5 * m) estimate = m * log(m / (double)zeros);
    if (sketch->is_state) return of_32_bits(estimate);
    double range = ldexp(1.0, (1 << GR_HLL_REGWIDTH) - 2 + sketch->log2m);
    return estimate <= range / 30 ? estimate : unmet(estimate, range);
}
