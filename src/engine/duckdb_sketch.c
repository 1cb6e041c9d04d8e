/* Sketches and merged variances in DuckDB's SQL:
 *
 *   granary_hll_add(BIGINT | VARCHAR, INTEGER log2m) -> BLOB   NULL over no rows, an empty sketch over NULLs alone
 *   granary_state_add(BIGINT | VARCHAR, INTEGER log2m) -> BLOB the same over ClickHouse's hashes
 *   granary_hll_union(BLOB) -> BLOB                            NULL over no sketch
 *   granary_hll_cardinality(BLOB) -> BIGINT                    rounded; NULL of NULL
 *   granary_merge_m2(n, sum, m2) -> DOUBLE                     all DOUBLE; NULL over no rows
 *
 * The engine moves states by memcpy, combines them from many threads and, in windows, uses one as the source of several
 * combinations. Invariant: a state refers to its sketch, which duckdb_held.c keeps, and combine leaves its source as it
 * was.
 * Rows with NULLs do reach the functions; each looks for itself. A broken sketch ends the query.
 *
 * Not to be called with an ORDER BY of their own, granary_hll_add(x, 11 ORDER BY y): 1.5.6 then hands the C API one
 * state for a whole chunk as if it were one per row, and reads behind it. Generated SQL never does; order means
 * nothing here. */
#include "base/mem.h"
#include "engine/duckdb_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct column {
    const void *data;
    const uint64_t *validity; /* NULL: no NULLs */
} column;

static column column_at(duckdb_data_chunk chunk, idx_t at) {
    duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, at);
    return (column){duckdb_vector_get_data(vector), duckdb_vector_get_validity(vector)};
}

static bool is_valid(const column *c, idx_t row) { return !c->validity || (c->validity[row >> 6] >> (row & 63) & 1); }

static gr_str bytes_at(const column *c, idx_t row) {
    const duckdb_string_t *s = (const duckdb_string_t *)c->data + row;
    bool is_inlined = s->value.inlined.length <= sizeof s->value.inlined.inlined;
    return (gr_str){is_inlined ? s->value.inlined.inlined : s->value.pointer.ptr, s->value.inlined.length};
}

static void set_null(duckdb_vector vector, idx_t row) {
    duckdb_vector_ensure_validity_writable(vector);
    duckdb_validity_set_row_invalid(duckdb_vector_get_validity(vector), row);
}

/* "sketch.invalid: ...", so that the driver and its users can tell it from the engine's own errors. */
typedef void set_error(duckdb_function_info info, const char *message);
static void fail(set_error *set, duckdb_function_info info, const gr_error *err) {
    char text[sizeof err->message + 64];
    snprintf(text, sizeof text, "%s: %s", gr_error_info_of(err->status)->id, err->message);
    set(info, text);
}

/* ---- sketches as states -------------------------------------------------------------------------------------------
 */

typedef struct sketch_state {
    gr_duckdb_ref ref; /* none: no row yet */
} sketch_state;

static idx_t sketch_state_size(duckdb_function_info info) {
    (void)info;
    return sizeof(sketch_state);
}

static sketch_state *state_of(duckdb_aggregate_state state) { return (sketch_state *)(void *)state; }

static void sketch_init(duckdb_function_info info, duckdb_aggregate_state state) {
    (void)info;
    *state_of(state) = (sketch_state){0};
}

static void sketch_destroy(duckdb_aggregate_state *states, idx_t n) {
    for (idx_t i = 0; i < n; i++) {
        gr_engine_duckdb_held_drop(state_of(states[i])->ref);
        *state_of(states[i]) = (sketch_state){0};
    }
}

/* *ret: the state's sketch, or NULL when it has none yet. */
static gr_status sketch_of(duckdb_aggregate_state state, gr_hll **ret, gr_error *err) {
    gr_duckdb_ref ref = state_of(state)->ref;
    *ret = gr_engine_duckdb_held_get(ref);
    if (*ret || !gr_engine_duckdb_held_is_over(ref)) return GR_OK;
    return gr_error_set(err, GR_ERR_CANCELLED, "the statement that made the sketch has ended");
}

/* The same, with a new sketch when there is none. */
static gr_status sketch_or_new(duckdb_aggregate_state state, int log2m, bool is_state, gr_hll **ret, gr_error *err) {
    GR_TRY(sketch_of(state, ret, err));
    if (*ret) return GR_OK;
    *ret = is_state ? gr_hll_new_state(log2m) : gr_hll_new(log2m);
    state_of(state)->ref = gr_engine_duckdb_held_put(*ret);
    return GR_OK;
}

static gr_status combine_one(duckdb_aggregate_state source, duckdb_aggregate_state target, gr_error *err) {
    gr_hll *from, *into;
    GR_TRY(sketch_of(source, &from, err));
    if (!from) return GR_OK;
    GR_TRY(sketch_or_new(target, gr_hll_log2m(from), gr_hll_is_state(from), &into, err));
    return gr_hll_union(into, from, err);
}

static void sketch_combine(duckdb_function_info info, duckdb_aggregate_state *source, duckdb_aggregate_state *target,
                           idx_t n) {
    gr_error err;
    gr_status status = GR_OK;
    gr_engine_duckdb_held_begin();
    for (idx_t i = 0; i < n && !status; i++) status = combine_one(source[i], target[i], &err);
    gr_engine_duckdb_held_end();
    if (status) fail(duckdb_aggregate_function_set_error, info, &err);
}

typedef struct bytes {
    void *p; /* owned; used again for the next sketch */
    size_t room;
} bytes;

static gr_status finalize_one(duckdb_aggregate_state state, duckdb_vector result, idx_t row, bytes *b, gr_error *err) {
    gr_hll *sketch;
    GR_TRY(sketch_of(state, &sketch, err));
    if (!sketch) {
        set_null(result, row);
        return GR_OK;
    }
    size_t size = gr_hll_store_size(sketch);
    if (size > b->room) b->p = gr_mem_realloc(b->p, b->room = size * 2);
    gr_hll_store(sketch, b->p);
    duckdb_vector_assign_string_element_len(result, row, b->p, size);
    return GR_OK;
}

static void sketch_finalize(duckdb_function_info info, duckdb_aggregate_state *states, duckdb_vector result, idx_t n,
                            idx_t offset) {
    bytes b = {0};
    gr_error err;
    gr_status status = GR_OK;
    gr_engine_duckdb_held_begin();
    for (idx_t i = 0; i < n && !status; i++) status = finalize_one(states[i], result, offset + i, &b, &err);
    gr_engine_duckdb_held_end();
    if (status) fail(duckdb_aggregate_function_set_error, info, &err);
    free(b.p);
}

/* ---- granary_hll_add, granary_state_add
 * ----------------------------------------------------------------------------------------------
 */

enum { BLOCK = 1024, NEAR = 64 };

/* Hashes of the rows [from, to) that are not NULL; returns their number. */
typedef size_t hash_rows(const column *values, idx_t from, idx_t to, uint64_t *out);
typedef struct adding {
    hash_rows *hash;
    int min_log2m;
    bool is_state;
} adding;

static size_t hash_integers(const column *values, idx_t from, idx_t to, uint64_t *out) {
    const int64_t *v = values->data;
    size_t n = 0;
    if (!values->validity) {
        for (idx_t i = from; i < to; i++) out[n++] = gr_hll_hash_i64(v[i]);
        return n;
    }
    for (idx_t i = from; i < to; i++)
        if (is_valid(values, i)) out[n++] = gr_hll_hash_i64(v[i]);
    return n;
}

static size_t hash_texts(const column *values, idx_t from, idx_t to, uint64_t *out) {
    size_t n = 0;
    for (idx_t i = from; i < to; i++) {
        if (!is_valid(values, i)) continue;
        gr_str text = bytes_at(values, i);
        out[n++] = gr_hll_hash_bytes(text.p, text.n);
    }
    return n;
}

static size_t hash_integers_of_state(const column *values, idx_t from, idx_t to, uint64_t *out) {
    const int64_t *v = values->data;
    size_t n = 0;
    for (idx_t i = from; i < to; i++)
        if (is_valid(values, i)) out[n++] = gr_hll_state_hash((uint64_t)v[i]);
    return n;
}

static size_t hash_texts_of_state(const column *values, idx_t from, idx_t to, uint64_t *out) {
    size_t n = hash_texts(values, from, to, out);
    for (size_t i = 0; i < n; i++) out[i] = gr_hll_state_hash(out[i]);
    return n;
}

/* The one precision of all rows, 0 when they have none in common that can be used. */
static int precision_of(const column *c, idx_t n, int least) {
    const int32_t *v = c->data;
    if (!n || v[0] < least || v[0] > GR_HLL_MAX_LOG2M) return 0;
    for (idx_t i = 0; i < n; i++)
        if (!is_valid(c, i) || v[i] != v[0]) return 0;
    return v[0];
}

/* With many groups each row goes to a sketch that left the caches long ago. The three steps of the way to it are gone
 * for a block of rows at a time, so that the waits of the rows overlap. */
static void prefetch(duckdb_aggregate_state *states, idx_t n) {
    const gr_hll *sketches[NEAR];
    for (idx_t i = 0; i < n; i++) __builtin_prefetch(state_of(states[i])->ref.slot);
    for (idx_t i = 0; i < n; i++) {
        sketches[i] = gr_engine_duckdb_held_get(state_of(states[i])->ref);
        __builtin_prefetch(sketches[i]);
    }
    for (idx_t i = 0; i < n; i++)
        if (sketches[i]) gr_hll_prefetch(sketches[i]);
}

/* Neighbouring rows of one group go in together: without groups that is the whole chunk. */
static gr_status add_rows(const column *values, int log2m, duckdb_aggregate_state *states, idx_t n, const adding *how,
                          gr_error *err) {
    uint64_t hashes[BLOCK];
    for (idx_t from = 0, to, near = 0; from < n; from = to) {
        gr_hll *sketch;
        for (to = from + 1; to < n && to - from < BLOCK && states[to] == states[from];) to++;
        if (from >= near && to - from < NEAR) {
            near = n - from < NEAR ? n : from + NEAR;
            prefetch(states + from, near - from);
        }
        GR_TRY(sketch_or_new(states[from], log2m, how->is_state, &sketch, err));
        if (gr_hll_log2m(sketch) != log2m)
            return gr_error_set(err, GR_ERR_SKETCH, "register count does not match: log2m differs from row to row");
        gr_hll_add_many(sketch, hashes, how->hash(values, from, to, hashes));
    }
    return GR_OK;
}

static void add(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states, adding how) {
    idx_t n = duckdb_data_chunk_get_size(input);
    if (!n) return;
    column values = column_at(input, 0), precisions = column_at(input, 1);
    int log2m = precision_of(&precisions, n, how.min_log2m);
    gr_error err;
    gr_status status;
    gr_engine_duckdb_held_begin();
    if (log2m)
        status = add_rows(&values, log2m, states, n, &how, &err);
    else
        status = gr_error_set(&err, GR_ERR_SKETCH, "log2m must be one number from %d to %d", how.min_log2m,
                              GR_HLL_MAX_LOG2M);
    gr_engine_duckdb_held_end();
    if (status) fail(duckdb_aggregate_function_set_error, info, &err);
}

static void add_integers(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
    add(info, input, states, (adding){hash_integers, GR_HLL_MIN_LOG2M, false});
}

static void add_texts(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
    add(info, input, states, (adding){hash_texts, GR_HLL_MIN_LOG2M, false});
}

static void add_integers_to_state(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
    add(info, input, states, (adding){hash_integers_of_state, GR_HLL_STATE_MIN_LOG2M, true});
}

static void add_texts_to_state(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
    add(info, input, states, (adding){hash_texts_of_state, GR_HLL_STATE_MIN_LOG2M, true});
}

/* ---- granary_hll_union, granary_hll_cardinality -------------------------------------------------------------------
 */

static gr_status union_one(duckdb_aggregate_state state, gr_str stored, gr_error *err) {
    gr_hll *sketch;
    GR_TRY(sketch_of(state, &sketch, err));
    if (sketch) return gr_hll_union_bytes(sketch, stored.p, stored.n, err);
    GR_TRY(gr_hll_load(stored.p, stored.n, &sketch, err));
    state_of(state)->ref = gr_engine_duckdb_held_put(sketch);
    return GR_OK;
}

static void union_update(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
    column sketches = column_at(input, 0);
    gr_error err;
    gr_status status = GR_OK;
    gr_engine_duckdb_held_begin();
    for (idx_t i = 0, n = duckdb_data_chunk_get_size(input); i < n && !status; i++)
        if (is_valid(&sketches, i)) status = union_one(states[i], bytes_at(&sketches, i), &err);
    gr_engine_duckdb_held_end();
    if (status) fail(duckdb_aggregate_function_set_error, info, &err);
}

static gr_status rounded_cardinality(gr_str stored, int64_t *ret, gr_error *err) {
    gr_hll *sketch = NULL;
    GR_TRY(gr_hll_load(stored.p, stored.n, &sketch, err));
    double estimate = gr_hll_cardinality(sketch);
    gr_hll_free(sketch);
    /* Registers at their top, which no data fills: the estimate is no number. */
    if (!isfinite(estimate)) return gr_error_set(err, GR_ERR_SKETCH, "a broken sketch: registers out of range");
    *ret = (int64_t)rint(estimate); /* half to even, as round(double precision) of PostgreSQL */
    return GR_OK;
}

static void cardinality(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
    column sketches = column_at(input, 0);
    int64_t *out = duckdb_vector_get_data(output);
    for (idx_t i = 0, n = duckdb_data_chunk_get_size(input); i < n; i++) {
        gr_error err;
        if (!is_valid(&sketches, i)) {
            set_null(output, i);
        } else if (rounded_cardinality(bytes_at(&sketches, i), &out[i], &err)) {
            fail(duckdb_scalar_function_set_error, info, &err);
            return;
        }
    }
}

/* ---- granary_merge_m2 ---------------------------------------------------------------------------------------------
 */

/* n values of a mean and the sum of their squared deviations from it. Squares of differences of means are added, never
 * differences of squares, so that large values of small variance do not cancel. */
typedef struct m2_state {
    double n, mean, m2;
} m2_state;

static idx_t m2_state_size(duckdb_function_info info) {
    (void)info;
    return sizeof(m2_state);
}

static m2_state *m2_of(duckdb_aggregate_state state) { return (m2_state *)(void *)state; }

static void m2_init(duckdb_function_info info, duckdb_aggregate_state state) {
    (void)info;
    *m2_of(state) = (m2_state){0};
}

static void m2_merge(m2_state *into, m2_state from) {
    if (from.n == 0) return;
    if (into->n == 0) {
        *into = from;
        return;
    }
    double n = into->n + from.n, apart = from.mean - into->mean;
    into->m2 += from.m2 + apart * apart * (into->n * from.n / n);
    into->mean += apart * (from.n / n);
    into->n = n;
}

static void m2_update(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
    column counts = column_at(input, 0), sums = column_at(input, 1), deviations = column_at(input, 2);
    const double *n = counts.data, *sum = sums.data, *m2 = deviations.data;
    for (idx_t i = 0, n_rows = duckdb_data_chunk_get_size(input); i < n_rows; i++) {
        if (!is_valid(&counts, i) || n[i] == 0) continue;
        if (!(n[i] > 0) || !is_valid(&sums, i) || !is_valid(&deviations, i)) {
            duckdb_aggregate_function_set_error(info, "granary_merge_m2: a count of values without their sum and m2");
            return;
        }
        m2_merge(m2_of(states[i]), (m2_state){n[i], sum[i] / n[i], m2[i]});
    }
}

static void m2_combine(duckdb_function_info info, duckdb_aggregate_state *source, duckdb_aggregate_state *target,
                       idx_t n) {
    (void)info;
    for (idx_t i = 0; i < n; i++) m2_merge(m2_of(target[i]), *m2_of(source[i]));
}

static void m2_finalize(duckdb_function_info info, duckdb_aggregate_state *states, duckdb_vector result, idx_t n,
                        idx_t offset) {
    (void)info;
    double *out = duckdb_vector_get_data(result);
    for (idx_t i = 0; i < n; i++) {
        if (m2_of(states[i])->n == 0)
            set_null(result, offset + i);
        else
            out[offset + i] = m2_of(states[i])->m2;
    }
}

/* ---- registration -------------------------------------------------------------------------------------------------
 */

enum { MAX_PARAMETERS = 3, MAX_OVERLOADS = 2 };

/* What the overloads of one function share. */
typedef struct aggregate {
    const char *name;
    duckdb_type result;
    duckdb_aggregate_state_size size;
    duckdb_aggregate_init_t init;
    duckdb_aggregate_combine_t combine;
    duckdb_aggregate_finalize_t finalize;
    duckdb_aggregate_destroy_t destroy; /* or NULL */
    struct {
        duckdb_type parameters[MAX_PARAMETERS + 1]; /* up to DUCKDB_TYPE_INVALID */
        duckdb_aggregate_update_t update;           /* NULL: no such overload */
    } overloads[MAX_OVERLOADS];
} aggregate;

/* The first six of a function over sketches, which differ in what they take. */
#define OF_SKETCHES DUCKDB_TYPE_BLOB, sketch_state_size, sketch_init, sketch_combine, sketch_finalize, sketch_destroy

static const aggregate aggregates[] = {
    {"granary_hll_add",
     OF_SKETCHES,
     {{{DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_INTEGER}, add_integers},
      {{DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INTEGER}, add_texts}}},
    {"granary_state_add",
     OF_SKETCHES,
     {{{DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_INTEGER}, add_integers_to_state},
      {{DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INTEGER}, add_texts_to_state}}},
    {"granary_hll_union", OF_SKETCHES, {{{DUCKDB_TYPE_BLOB}, union_update}}},
    {"granary_merge_m2",
     DUCKDB_TYPE_DOUBLE,
     m2_state_size,
     m2_init,
     m2_combine,
     m2_finalize,
     NULL,
     {{{DUCKDB_TYPE_DOUBLE, DUCKDB_TYPE_DOUBLE, DUCKDB_TYPE_DOUBLE}, m2_update}}},
};

static duckdb_aggregate_function make_overload(const aggregate *a, size_t overload) {
    duckdb_aggregate_function function = duckdb_create_aggregate_function();
    duckdb_logical_type result = duckdb_create_logical_type(a->result);
    duckdb_aggregate_function_set_name(function, a->name);
    for (const duckdb_type *t = a->overloads[overload].parameters; *t != DUCKDB_TYPE_INVALID; t++) {
        duckdb_logical_type type = duckdb_create_logical_type(*t);
        duckdb_aggregate_function_add_parameter(function, type);
        duckdb_destroy_logical_type(&type);
    }
    duckdb_aggregate_function_set_return_type(function, result);
    duckdb_destroy_logical_type(&result);
    duckdb_aggregate_function_set_functions(function, a->size, a->init, a->overloads[overload].update, a->combine,
                                            a->finalize);
    if (a->destroy) duckdb_aggregate_function_set_destructor(function, a->destroy);
    duckdb_aggregate_function_set_special_handling(function);
    return function;
}

static bool register_aggregate(duckdb_connection handle, const aggregate *a) {
    duckdb_aggregate_function_set set = duckdb_create_aggregate_function_set(a->name);
    bool is_ok = set != NULL;
    for (size_t i = 0; is_ok && i < MAX_OVERLOADS && a->overloads[i].update; i++) {
        duckdb_aggregate_function function = make_overload(a, i);
        is_ok = duckdb_add_aggregate_function_to_set(set, function) == DuckDBSuccess;
        duckdb_destroy_aggregate_function(&function);
    }
    is_ok = is_ok && duckdb_register_aggregate_function_set(handle, set) == DuckDBSuccess;
    duckdb_destroy_aggregate_function_set(&set);
    return is_ok;
}

static bool register_cardinality(duckdb_connection handle) {
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type blob = duckdb_create_logical_type(DUCKDB_TYPE_BLOB),
                        bigint = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb_scalar_function_set_name(function, "granary_hll_cardinality");
    duckdb_scalar_function_add_parameter(function, blob);
    duckdb_scalar_function_set_return_type(function, bigint);
    duckdb_scalar_function_set_function(function, cardinality);
    bool is_ok = duckdb_register_scalar_function(handle, function) == DuckDBSuccess;
    duckdb_destroy_logical_type(&blob);
    duckdb_destroy_logical_type(&bigint);
    duckdb_destroy_scalar_function(&function);
    return is_ok;
}

bool gr_engine_duckdb_register_sketch(duckdb_connection handle) {
    for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++)
        if (!register_aggregate(handle, &aggregates[i])) return false;
    return register_cardinality(handle);
}
