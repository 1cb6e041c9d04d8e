/* granary_local(TIMESTAMP, VARCHAR) -> TIMESTAMP: a naive UTC time stamp on the wall clock of a zone, by the calendar
 * of cal/. DuckDB brings zone rules of its own (in its ICU); bounds of ranges are computed by cal/, and two rule sets
 * of different age would put rows on the wrong side of a bound. One table decides, and it is faster besides.
 *
 * Infinities stay what they are; an unknown zone ends the query. Threads: DuckDB's own; zones are static. */
#include "cal/cal.h"
#include "engine/duckdb_internal.h"

static bool is_finite(int64_t us) { return us != INT64_MAX && us != -INT64_MAX && us != INT64_MIN; }

static gr_str text_at(duckdb_string_t *texts, idx_t row) {
    return (gr_str){duckdb_string_t_data(&texts[row]), duckdb_string_t_length(texts[row])};
}

static bool is_valid(const uint64_t *validity, idx_t row) {
    return !validity || (validity[row >> 6] >> (row & 63) & 1);
}

static void to_local(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    duckdb_vector times = duckdb_data_chunk_get_vector(input, 0), zones = duckdb_data_chunk_get_vector(input, 1);
    const int64_t *us = duckdb_vector_get_data(times);
    duckdb_string_t *names = duckdb_vector_get_data(zones);
    const uint64_t *times_valid = duckdb_vector_get_validity(times), *zones_valid = duckdb_vector_get_validity(zones);
    int64_t *out = duckdb_vector_get_data(output);
    duckdb_vector_ensure_validity_writable(output);
    uint64_t *out_valid = duckdb_vector_get_validity(output);
    const gr_tz *tz = NULL;
    gr_str last = {0};
    for (idx_t i = 0, n = duckdb_data_chunk_get_size(input); i < n; i++) {
        if (!is_valid(times_valid, i) || !is_valid(zones_valid, i)) {
            duckdb_validity_set_row_invalid(out_valid, i);
            continue;
        }
        gr_str name = text_at(names, i);
        gr_error err;
        if (!tz || !gr_str_eq(name, last)) {
            if (gr_tz_get(name, &tz, &err)) {
                duckdb_scalar_function_set_error(info, err.message);
                return;
            }
            last = name;
        }
        out[i] = is_finite(us[i]) ? gr_tz_to_local(tz, us[i]) : us[i];
    }
}

bool gr_engine_duckdb_register_zone(duckdb_connection handle) {
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type time = duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP),
                        text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_scalar_function_set_name(function, "granary_local");
    duckdb_scalar_function_add_parameter(function, time);
    duckdb_scalar_function_add_parameter(function, text);
    duckdb_scalar_function_set_return_type(function, time);
    duckdb_scalar_function_set_function(function, to_local);
    bool is_ok = duckdb_register_scalar_function(handle, function) == DuckDBSuccess;
    duckdb_destroy_logical_type(&time);
    duckdb_destroy_logical_type(&text);
    duckdb_destroy_scalar_function(&function);
    return is_ok;
}
