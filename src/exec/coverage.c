/* What a build covers: the stretch of time that it holds, as the catalog keeps it and as a state shows it. */
#include "exec/build.h"

#include "base/buf.h"
#include "data/json.h"

/* Of a partitioned rollup: what all partitions together are meant to hold, and how many rows have no time. */
static const char wanted[] = "wanted";
static const char without_time[] = "without time";
/* Instant columns by name: first and last bucket. "build range", which no column is called: what is stored of the
 * ranged column, null where there is no bound. */
static const char build_range[] = "build range";
/* Of a rollup with a time column: the start of the bucket that was still open. */
static const char closed_until[] = "closed until";
/* Of a build that read stored tables: when the oldest of them was built. */
static const char as_of[] = "as of";

static void write_bound(gr_jw *w, int64_t us) {
    if (us == INT64_MIN || us == INT64_MAX)
        gr_jw_null(w);
    else
        gr_jw_i64(w, us);
}

static void write_run(gr_jw *w, const char *name, int64_t from_us, int64_t to_us) {
    gr_jw_key(w, gr_str_from(name));
    gr_jw_array(w);
    write_bound(w, from_us);
    write_bound(w, to_us);
    gr_jw_array_end(w);
}

static void write_instants(gr_jw *w, const gr_rollup *r, const gr_store_stat *stat) {
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!r->columns[i].is_instant) continue;
        gr_jw_key(w, r->columns[i].name);
        gr_jw_array(w);
        gr_jw_i64(w, stat->min_us[i]);
        gr_jw_i64(w, stat->max_us[i]);
        gr_jw_array_end(w);
    }
}

static void write_as_of(gr_jw *w, int64_t as_of_us) {
    if (as_of_us == INT64_MAX) return;
    gr_jw_key(w, gr_str_from(as_of));
    gr_jw_i64(w, as_of_us);
}

static void write_closed(gr_jw *w, const gr_rollup *r, int64_t closed_us) {
    if (!gr_rollup_time(r)) return;
    gr_jw_key(w, gr_str_from(closed_until));
    gr_jw_i64(w, closed_us);
}

static gr_str finish(gr_jw *w, gr_buf *out, gr_arena *arena) {
    gr_jw_object_end(w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(out));
    gr_buf_done(out);
    return text;
}

gr_str gr_exec_coverage_write(const gr_rollup *r, const gr_store_stat *stat, const gr_range *range, int64_t closed_us,
                              int64_t as_of_us, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_jw w;
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    write_instants(&w, r, stat);
    if (range && r->ranged->is_instant)
        write_run(&w, build_range, range->from_utc_us, range->to_utc_us);
    else if (range)
        write_run(&w, build_range, range->from_local_us, range->to_local_us);
    write_closed(&w, r, closed_us);
    write_as_of(&w, as_of_us);
    return finish(&w, &out, arena);
}

/* What an instant column spans is that of the earlier version and of what is new: at worst more than there is. */
static gr_store_stat widened(const gr_exec_job *j) {
    gr_store_stat stat = j->stat;
    const gr_rollup_state *s = gr_snapshot_state(j->current, j->rollup->preagg, j->zone);
    for (size_t i = 0; i < j->rollup->n_columns; i++) {
        bool is_known = s && s->is_built && s->min_us && s->rows;
        if (is_known && s->min_us[i] < stat.min_us[i]) stat.min_us[i] = s->min_us[i];
        if (is_known && s->max_us[i] > stat.max_us[i]) stat.max_us[i] = s->max_us[i];
        if (stat.min_us[i] > stat.max_us[i]) stat.min_us[i] = stat.max_us[i] = 0;
    }
    return stat;
}

gr_str gr_exec_coverage_of_parts(const gr_exec_job *j, const gr_exec_range *range, int64_t closed_us) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_jw w;
    gr_store_stat stat = widened(j);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    write_instants(&w, j->rollup, &stat);
    write_run(&w, build_range, range->has_from ? range->run.from_us : INT64_MIN,
              range->has_to ? range->run.to_us : INT64_MAX);
    write_run(&w, wanted, range->run.from_us, range->run.to_us);
    gr_jw_key(&w, gr_str_from(without_time));
    gr_jw_i64(&w, range->n_without_time);
    write_closed(&w, j->rollup, closed_us);
    write_as_of(&w, j->as_of_us);
    return finish(&w, &out, j->ctx->arena);
}

static int64_t read_bound(const json_t *pair, size_t at, int64_t none) {
    const json_t *bound = json_array_get(pair, at);
    return json_is_integer(bound) ? json_integer_value(bound) : none;
}

static bool read_run(const json_t *root, const char *name, gr_run *ret) {
    const json_t *pair = json_object_get(root, name);
    if (!json_is_array(pair)) return false;
    *ret = (gr_run){read_bound(pair, 0, INT64_MIN), read_bound(pair, 1, INT64_MAX)};
    return true;
}

void gr_exec_coverage_read(const gr_rollup *r, gr_str json, gr_arena *arena, gr_rollup_state *state) {
    json_t *root;
    state->has_range = r->ranged != NULL; /* nothing, until it is read what */
    if (gr_json_parse(json, 1 << 20, arena, &root, NULL) || !json_is_object(root)) return;
    const json_t *told = json_object_get(root, as_of);
    if (json_is_integer(told) && json_integer_value(told) < state->built_at_us)
        state->built_at_us = json_integer_value(told);
    const json_t *closed = json_object_get(root, closed_until);
    state->has_closed = json_is_integer(closed);
    state->closed_until_us = json_integer_value(closed);
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
    gr_run *run = GR_NEW(arena, gr_run);
    if (!read_run(root, build_range, run)) return;
    state->covered = run;
    state->n_covered = 1;
}

bool gr_exec_coverage_wanted(gr_str json, gr_arena *arena, gr_run *ret_wanted, gr_run *ret_limits,
                             int64_t *ret_without_time) {
    json_t *root;
    if (gr_json_parse(json, 1 << 20, arena, &root, NULL) || !json_is_object(root)) return false;
    *ret_without_time = json_integer_value(json_object_get(root, without_time));
    return read_run(root, wanted, ret_wanted) && read_run(root, build_range, ret_limits);
}
