/* granary_round(DOUBLE, INTEGER) -> DOUBLE: to so many decimals, halves away from zero, of the number that the double
 * was meant to be: its first 15 digits. 1.005 is rounded to 1.01, as where it is a decimal, although the double lies
 * below. */
#include "engine/duckdb_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double gr_engine_round_decimal(double x, int32_t decimals) {
    enum { DIGITS = 15, SIZE = 48 };
    char text[SIZE], digits[DIGITS + 2];
    if (!isfinite(x) || x == 0.0) return x;
    snprintf(text, sizeof text, "%.*e", DIGITS - 1, fabs(x)); /* d.ddd…e±x */
    int64_t exponent = strtol(strchr(text, 'e') + 1, NULL, 10), kept = exponent + 1 + decimals;
    if (kept >= DIGITS) return x; /* there is nothing to round */
    if (kept < 0) return 0.0;
    digits[0] = '0'; /* for what is carried */
    digits[1] = text[0];
    memcpy(digits + 2, text + 2, DIGITS - 1);
    bool is_up = digits[kept + 1] >= '5';
    for (int64_t i = kept; is_up && i >= 0; i--) {
        is_up = digits[i] == '9';
        digits[i] = (char)(is_up ? '0' : digits[i] + 1);
    }
    snprintf(text, sizeof text, "%.*se%lld", (int)kept + 1, digits, (long long)-decimals);
    double rounded = strtod(text, NULL);
    return x < 0 ? -rounded : rounded;
}

static void round_rows(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    (void)info;
    duckdb_vector values = duckdb_data_chunk_get_vector(input, 0), counts = duckdb_data_chunk_get_vector(input, 1);
    const double *x = duckdb_vector_get_data(values);
    const int32_t *decimals = duckdb_vector_get_data(counts);
    uint64_t *x_valid = duckdb_vector_get_validity(values), *n_valid = duckdb_vector_get_validity(counts);
    double *out = duckdb_vector_get_data(output);
    duckdb_vector_ensure_validity_writable(output);
    uint64_t *out_valid = duckdb_vector_get_validity(output);
    for (idx_t i = 0, n = duckdb_data_chunk_get_size(input); i < n; i++) {
        bool is_there = duckdb_validity_row_is_valid(x_valid, i) && duckdb_validity_row_is_valid(n_valid, i);
        if (is_there)
            out[i] = gr_engine_round_decimal(x[i], decimals[i]);
        else
            duckdb_validity_set_row_invalid(out_valid, i);
    }
}

bool gr_engine_duckdb_register_round(duckdb_connection handle) {
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type real = duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE),
                        integer = duckdb_create_logical_type(DUCKDB_TYPE_INTEGER);
    duckdb_scalar_function_set_name(function, "granary_round");
    duckdb_scalar_function_add_parameter(function, real);
    duckdb_scalar_function_add_parameter(function, integer);
    duckdb_scalar_function_set_return_type(function, real);
    duckdb_scalar_function_set_function(function, round_rows);
    bool is_ok = duckdb_register_scalar_function(handle, function) == DuckDBSuccess;
    duckdb_destroy_logical_type(&real);
    duckdb_destroy_logical_type(&integer);
    duckdb_destroy_scalar_function(&function);
    return is_ok;
}
