/* Rolling windows by definition (cube.md 5.8): for each bucket of the answer, the rows whose time lies in its stretch.
 *
 *      bucket [f, end), t = end - 1 ms     trailing N, end:    t - N < time <= t      start:  f - N <= time < f
 *                                          leading N, end:     t < time <= t + N      start:  f <= time < f + N
 *                                          to_date G:          trunc(G, f) <= time <= t */
#include "differential/reference_internal.h"

#include <stdlib.h>

#define MS 1000

typedef struct stretch {
    int64_t from, to; /* INT64_MIN, INT64_MAX: unbounded */
} stretch;

size_t diff_window_time(const gr_query *q) {
    size_t with_range = SIZE_MAX;
    for (size_t i = q->n_time_dimensions; i-- > 0;)
        if (q->time_dimensions[i].has_range) with_range = i;
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        if (q->time_dimensions[i].granularity) return i;
    return with_range;
}

static bool same_text(const char *a, const char *b) { return a && b ? !strcmp(a, b) : a == b; }

bool diff_same_window(const diff_window *a, const diff_window *b) {
    return same_text(a->trailing, b->trailing) && same_text(a->leading, b->leading) &&
           a->is_offset_start == b->is_offset_start && a->to_date == b->to_date;
}

static bool is_unbounded(const char *text) { return text && !strcmp(text, "unbounded"); }

static int64_t moved(const char *by, int sign, int64_t at) {
    gr_interval interval;
    if (!gr_interval_parse(gr_str_from(by), true, &interval)) abort();
    return gr_interval_add(interval, sign, at);
}

static int64_t start_of(gr_grain grain, int64_t at) {
    return gr_granularity_floor(gr_granularity_predefined(grain), 0, at);
}

static stretch stretch_of(const diff_window *w, int64_t f, int64_t end) {
    if (w->to_date) return (stretch){start_of(w->to_date, f), end};
    int64_t edge = w->is_offset_start ? f : end;
    stretch s = {edge, edge};
    if (is_unbounded(w->trailing))
        s.from = INT64_MIN;
    else if (w->trailing) /* t - N < time, in whole milliseconds */
        s.from = w->is_offset_start ? moved(w->trailing, -1, f) : moved(w->trailing, -1, end - MS) + MS;
    if (is_unbounded(w->leading))
        s.to = INT64_MAX;
    else if (w->leading)
        s.to = w->is_offset_start ? moved(w->leading, 1, f) : moved(w->leading, 1, end - MS) + MS;
    return s;
}

static stretch limits_of(const diff_window *w, int64_t from, int64_t to) {
    if (w->to_date) return (stretch){start_of(w->to_date, from), to};
    stretch s = {from, to};
    if (w->trailing) s.from = is_unbounded(w->trailing) ? INT64_MIN : moved(w->trailing, -1, from);
    if (w->leading) s.to = is_unbounded(w->leading) ? INT64_MAX : moved(w->leading, 1, to);
    return s;
}

/* ---- rows -----------------------------------------------------------------------------------------------------------
 */

typedef struct timed_row {
    const diff_joined *row;
    int64_t at;
    diff_value *keys;
} timed_row;
typedef GR_VEC(timed_row) timed_rows;

static timed_rows rows_with_time(diff_evaluation *e, const diff_joins *joined, size_t time) {
    timed_rows out = {0};
    for (size_t i = 0; i < joined->n; i++) {
        timed_row r = {.row = &joined->v[i]};
        e->scope.row = r.row;
        bool has_time = diff_local_time(e, e->query->time_dimensions[time].field.member, &r.at);
        if (!has_time || !diff_row_passes(e, time)) continue;
        r.keys = GR_NEW_N(e->arena, diff_value, e->n_keys + 1);
        for (size_t k = 0; k < e->n_keys; k++) r.keys[k] = diff_key_value(e, &e->query->columns[k]);
        GR_PUSH(e->arena, &out, r);
    }
    return out;
}

/* Column of the bucket among the keys; SIZE_MAX: no granularity. */
static size_t bucket_column(const diff_evaluation *e, size_t time) {
    for (size_t i = 0; i < e->n_keys; i++)
        if (e->query->columns[i].kind == GR_COLUMN_TIME && e->query->columns[i].index == time) return i;
    return SIZE_MAX;
}

static void fill(diff_evaluation *e, size_t source, const timed_rows *rows, stretch s, size_t column, int64_t bucket) {
    bool is_by_time_alone = e->n_keys == (size_t)(column != SIZE_MAX);
    diff_value *keys = GR_NEW_N(e->arena, diff_value, e->n_keys + 1);
    if (column != SIZE_MAX) keys[column] = diff_time(bucket);
    if (is_by_time_alone) diff_group_at(e, keys);
    for (size_t i = 0; i < rows->n; i++) {
        const timed_row *r = &rows->v[i];
        if (r->at < s.from || r->at >= s.to) continue;
        if (e->n_keys) memcpy(keys, r->keys, e->n_keys * sizeof *keys);
        if (column != SIZE_MAX) keys[column] = diff_time(bucket);
        diff_group *g = diff_group_at(e, keys);
        GR_PUSH(e->arena, &g->rows[source], r->row);
    }
}

/* ---- buckets --------------------------------------------------------------------------------------------------------
 */

static gr_status span_of(diff_evaluation *e, size_t time, stretch *ret) {
    const gr_time_field *t = &e->query->time_dimensions[time];
    diff_tree tree;
    diff_joins joined = {0};
    GR_TRY(diff_find_probe(e->world, e->query, t, e->arena, &tree));
    diff_joined none;
    for (size_t i = 0; i < DIFF_MAX_CUBES; i++) none.row[i] = DIFF_NO_ROW;
    diff_join_rows(e->world, &tree, 0, none, e->arena, &joined);
    *ret = (stretch){INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < joined.n; i++) {
        int64_t at;
        e->scope.row = &joined.v[i];
        if (!diff_row_passes(e, time) || !diff_local_time(e, t->field.member, &at)) continue;
        if (at < ret->from) ret->from = at;
        if (at > ret->to) ret->to = at;
    }
    if (ret->from > ret->to) return GR_OK;
    ret->from = gr_granularity_floor(t->granularity, t->anchor_local_us, ret->from);
    ret->to = gr_granularity_floor(t->granularity, t->anchor_local_us, ret->to);
    ret->to = gr_granularity_next(t->granularity, t->anchor_local_us, ret->to);
    return GR_OK;
}

static gr_status by_granularity(diff_evaluation *e, const diff_window *w, size_t time, stretch range, size_t first) {
    enum { MOST_BUCKETS = 50000 };
    const gr_time_field *t = &e->query->time_dimensions[time];
    stretch limits = limits_of(w, range.from, range.to);
    size_t column = bucket_column(e, time);
    for (size_t source = first; source < e->sources.n; source++) {
        timed_rows rows = rows_with_time(e, &e->sources.v[source].joined, time);
        int64_t f = gr_granularity_floor(t->granularity, t->anchor_local_us, range.from);
        for (size_t n = 0; f < range.to; n++) {
            if (n == MOST_BUCKETS) return GR_ERR_PLAN_SERIES;
            int64_t end = gr_granularity_next(t->granularity, t->anchor_local_us, f);
            stretch s = stretch_of(w, f, end);
            if (s.from < limits.from) s.from = limits.from;
            if (s.to > limits.to) s.to = limits.to;
            fill(e, source, &rows, s, column, f);
            f = end;
        }
    }
    return GR_OK;
}

gr_status diff_add_window(diff_evaluation *e, const diff_leaves *leaves) {
    const diff_window *w = leaves->v[0].measure->window;
    size_t time = diff_window_time(e->query), first;
    const gr_time_field *t = &e->query->time_dimensions[time];
    stretch range = {t->range.from_local_us, t->range.to_local_us};
    if (!t->has_range) GR_TRY(span_of(e, time, &range));
    GR_TRY(diff_add_source(e, leaves, w, &first));
    if (t->granularity) GR_TRY(diff_check_repeats(e, first, t));
    if (t->granularity) return range.from < range.to ? by_granularity(e, w, time, range, first) : GR_OK;
    stretch s = stretch_of(w, range.from, range.to);
    for (size_t source = first; source < e->sources.n; source++) {
        timed_rows rows = rows_with_time(e, &e->sources.v[source].joined, time);
        fill(e, source, &rows, s, SIZE_MAX, 0);
    }
    return GR_OK;
}
