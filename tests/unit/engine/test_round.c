/* ROUND of what a division of decimals gave: as if it were still a decimal. */
#include "engine/duckdb_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_round(void **state) {
    (void)state;
    static const struct {
        double x;
        int32_t decimals;
        double rounded;
    } rows[] = {
        {1.005, 2, 1.01},
        {100.0 * 201 / 20000, 2, 1.01},
        {-1.005, 2, -1.01},
        {2.5, 0, 3},
        {0.1 + 0.2, 1, 0.3},
        {2.675, 2, 2.68},
        {1.0049, 2, 1.0},
        {9.995, 2, 10.0},
        {999.9995, 3, 1000.0},
        {0.5, 0, 1},
        {0.05, 1, 0.1},
        {0.04, 1, 0},
        {0.004, 1, 0},
        {1234.5, -2, 1200},
        {1250, -2, 1300},
        {49, -2, 0},
        {50, -2, 100},
        {0, 2, 0},
        {1e300, 2, 1e300},
        {1e-300, 2, 0},
        {1.0 / 3, 17, 1.0 / 3},
        {123456789.125, 2, 123456789.13},
        {INFINITY, 2, INFINITY},
        {1e15 + 0.5, 0, 1e15 + 0.5},
        {5e-324, 2147483647, 5e-324},
        {1, -2147483647, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double got = gr_engine_round_decimal(rows[i].x, rows[i].decimals);
        if (got != rows[i].rounded) fail_msg("row %zu: %.17g of %.17g", i, got, rows[i].x);
    }
    assert_true(isnan(gr_engine_round_decimal(NAN, 2)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
