/* What a build covers: the stretch of time that it holds, as the catalog keeps it and as a state shows it. */
#include "exec/internal.h"

#include "base/buf.h"
#include "data/json.h"

/* Instant columns by name: first and last bucket. "build range", which no column is called: what is stored of the
 * ranged column, null where there is no bound. */
static const char build_range[] = "build range";
/* Of a build that read stored tables: when the oldest of them was built. */
static const char as_of[] = "as of";

static void write_bound(gr_jw *w, int64_t us) {
    if (us == INT64_MIN || us == INT64_MAX)
        gr_jw_null(w);
    else
        gr_jw_i64(w, us);
}

gr_str gr_exec_coverage_write(const gr_rollup *r, const gr_store_stat *stat, const gr_range *range, int64_t as_of_us,
                              gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_jw w;
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!r->columns[i].is_instant) continue;
        gr_jw_key(&w, r->columns[i].name);
        gr_jw_array(&w);
        gr_jw_i64(&w, stat->min_us[i]);
        gr_jw_i64(&w, stat->max_us[i]);
        gr_jw_array_end(&w);
    }
    if (range) {
        gr_jw_key(&w, gr_str_from(build_range));
        gr_jw_array(&w);
        write_bound(&w, r->ranged->is_instant ? range->from_utc_us : range->from_local_us);
        write_bound(&w, r->ranged->is_instant ? range->to_utc_us : range->to_local_us);
        gr_jw_array_end(&w);
    }
    if (as_of_us != INT64_MAX) {
        gr_jw_key(&w, gr_str_from(as_of));
        gr_jw_i64(&w, as_of_us);
    }
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static int64_t read_bound(const json_t *pair, size_t at, int64_t none) {
    const json_t *bound = json_array_get(pair, at);
    return json_is_integer(bound) ? json_integer_value(bound) : none;
}

void gr_exec_coverage_read(const gr_rollup *r, gr_str json, gr_arena *arena, gr_rollup_state *state) {
    json_t *root;
    state->has_range = r->ranged != NULL; /* nothing, until it is read what */
    if (gr_json_parse(json, 1 << 20, arena, &root, NULL) || !json_is_object(root)) return;
    const json_t *told = json_object_get(root, as_of);
    if (json_is_integer(told) && json_integer_value(told) < state->built_at_us)
        state->built_at_us = json_integer_value(told);
    int64_t *min = GR_NEW_N(arena, int64_t, r->n_columns + 1), *max = GR_NEW_N(arena, int64_t, r->n_columns + 1);
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!r->columns[i].is_instant) continue;
        json_t *pair = json_object_getn(root, r->columns[i].name.p, r->columns[i].name.n);
        if (!json_is_array(pair) || json_array_size(pair) != 2) return; /* unknown coverage proves nothing */
        min[i] = json_integer_value(json_array_get(pair, 0));
        max[i] = json_integer_value(json_array_get(pair, 1));
    }
    state->min_us = min;
    state->max_us = max;
    const json_t *range = json_object_get(root, build_range);
    if (!json_is_array(range)) return;
    state->range_from_us = read_bound(range, 0, INT64_MIN);
    state->range_to_us = read_bound(range, 1, INT64_MAX);
}
