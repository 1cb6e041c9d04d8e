/* The answer of /v1/load: the stream of batches becomes JSON text, cell by cell, straight into the response's buffer.
 *
 *   query columns     orders.status | orders.created_at.day | orders.count
 *   output columns    orders.status | orders.created_at.day | orders.created_at | orders.count
 *
 * The rows of a comparison end with compareDateRange, which is the same in all of them; those of a blend with
 * time.<granularity>, the value of their first time column.
 * Invariant: the keys, escaped and with their punctuation, are made once per answer; nothing is allocated per row.
 * Source: cube.md 3.4, 3.5; decisions 8, 11. */
#include "data/batch.h"
#include "http/encode.h"
#include "store/store.h"

enum { FIXED = SIZE_MAX }; /* a source: the same text in every row */

typedef struct out_column {
    size_t source; /* column of the stream */
    gr_str key;
    gr_str prefix; /* `{"key":` or `,"key":` */
} out_column;

typedef struct out_columns {
    out_column *v;
    size_t n;
    size_t *starts, *ends; /* by source column: where its text of this row stands in the buffer */
    gr_str fixed;          /* JSON */
} out_columns;

/* ---- which columns --------------------------------------------------------------------------- */
/* Rough length, only to find the smallest of several granularities of one time dimension. */
static int64_t length_of(const gr_granularity *granularity) {
    static const int64_t days[GR_GRAIN__COUNT] = {
        [GR_GRAIN_DAY] = 1, [GR_GRAIN_WEEK] = 7, [GR_GRAIN_MONTH] = 30, [GR_GRAIN_QUARTER] = 91, [GR_GRAIN_YEAR] = 365};
    if (granularity->grain != GR_GRAIN_CUSTOM) {
        int64_t seconds = gr_grain_seconds(granularity->grain);
        return seconds ? seconds : days[granularity->grain] * 86400;
    }
    const gr_interval *i = &granularity->interval;
    int64_t day_count = 0, seconds = 0;
    if (__builtin_mul_overflow(i->months, 30, &day_count) || __builtin_add_overflow(day_count, i->days, &day_count) ||
        __builtin_mul_overflow(day_count, 86400, &seconds) ||
        __builtin_add_overflow(seconds, i->us / 1000000, &seconds))
        return INT64_MAX;
    return seconds;
}

static const gr_time_field *time_of(const gr_query *query, size_t column) {
    return &query->time_dimensions[query->columns[column].index];
}

/* The column whose value stands under the bare `cube.dim`; false when another column before `at` has brought it
 * already, or when the plain dimension was asked for and keeps the key. */
static bool bare_column(const gr_query *query, size_t at, size_t *ret) {
    gr_str id = time_of(query, at)->field.id;
    for (size_t i = 0; i < query->n_dimensions; i++)
        if (gr_str_eq(query->dimensions[i].id, id)) return false;
    size_t best = at;
    for (size_t c = 0; c < query->n_columns; c++) {
        if (query->columns[c].kind != GR_COLUMN_TIME || !gr_str_eq(time_of(query, c)->field.id, id)) continue;
        if (c < at) return false;
        if (length_of(time_of(query, c)->granularity) < length_of(time_of(query, best)->granularity)) best = c;
    }
    *ret = best;
    return true;
}

static void add_column(out_columns *columns, gr_str key, size_t source, gr_arena *arena) {
    gr_buf text;
    gr_buf_init(&text, SIZE_MAX / 4);
    gr_buf_z(&text, columns->n ? ",\"" : "{\"");
    gr_json_escape(&text, key);
    gr_buf_z(&text, "\":");
    columns->v[columns->n++] = (out_column){source, key, gr_arena_dup(arena, gr_buf_str(&text))};
    gr_buf_done(&text);
}

static void add_range(out_columns *columns, const gr_range *range, gr_arena *arena) {
    columns->fixed = gr_arena_printf(arena, "\"" GR_FMT " - " GR_FMT "\"", GR_ARG(range->from_text),
                                     GR_ARG(range->to_text)); /* digits and marks: nothing to escape */
    add_column(columns, GR_STR("compareDateRange"), FIXED, arena);
}

/* A cube named `time` may have brought the key already: the value of the blend takes its place. */
static void add_blend(out_columns *columns, const gr_query *query, gr_str granularity, gr_arena *arena) {
    gr_str key = gr_arena_printf(arena, "time." GR_FMT, GR_ARG(granularity));
    size_t source = 0;
    while (source < query->n_columns && query->columns[source].kind != GR_COLUMN_TIME) source++;
    if (source == query->n_columns) return;
    for (size_t c = 0; c < columns->n; c++) {
        if (!gr_str_eq(columns->v[c].key, key)) continue;
        columns->v[c].source = source;
        return;
    }
    add_column(columns, key, source, arena);
}

static out_columns columns_of(const gr_query *query, const gr_http_load_options *options, gr_arena *arena) {
    out_columns columns = {.v = GR_NEW_N(arena, out_column, query->n_columns * 2 + 2),
                           .starts = GR_NEW_N(arena, size_t, query->n_columns + 1),
                           .ends = GR_NEW_N(arena, size_t, query->n_columns + 1)};
    for (size_t c = 0; c < query->n_columns; c++) {
        add_column(&columns, query->columns[c].key, c, arena);
        size_t source;
        if (query->columns[c].kind == GR_COLUMN_TIME && bare_column(query, c, &source))
            add_column(&columns, time_of(query, c)->field.id, source, arena);
    }
    const gr_query_set *set = options->set;
    if (set && set->type == GR_QUERY_COMPARE) add_range(&columns, &set->ranges[options->part], arena);
    if (set && set->type == GR_QUERY_BLENDING) add_blend(&columns, query, set->granularity, arena);
    return columns;
}

/* ---- cells ----------------------------------------------------------------------------------- */
static void put_formatted(gr_buf *out, const gr_column *column, size_t row) {
    size_t start = out->n;
    bool is_bool = false;
    gr_buf_char(out, '"');
    if (!gr_batch_format(column, row, out, &is_bool)) {
        out->n = start;
        gr_buf_add(out, GR_STR("null"));
    } else if (is_bool) {
        out->n = start;
        (void)gr_batch_format(column, row, out, &is_bool);
    } else {
        gr_buf_char(out, '"');
    }
}

/* The bytes' own text may hold anything. */
static void put_binary(gr_buf *out, const gr_column *column, size_t row) {
    gr_buf text;
    bool is_bool = false;
    gr_buf_init(&text, out->max);
    if (gr_batch_format(column, row, &text, &is_bool)) {
        gr_buf_char(out, '"');
        gr_json_escape(out, gr_buf_str(&text));
        gr_buf_char(out, '"');
    } else {
        gr_buf_add(out, GR_STR("null"));
    }
    gr_buf_done(&text);
}

static void put_cell(gr_buf *out, const gr_column *column, size_t row) {
    if (gr_column_is_null(column, row)) {
        gr_buf_add(out, GR_STR("null"));
    } else if (column->type == GR_TYPE_UTF8) {
        gr_buf_char(out, '"');
        gr_json_escape(out, gr_column_text(column, row));
        gr_buf_char(out, '"');
    } else if (column->type == GR_TYPE_INT64) {
        gr_buf_char(out, '"');
        gr_buf_i64(out, ((const int64_t *)column->data)[row]);
        gr_buf_char(out, '"');
    } else if (column->type == GR_TYPE_BOOL) {
        gr_buf_add(out, ((const uint8_t *)column->data)[row] ? GR_STR("true") : GR_STR("false"));
    } else if (column->type == GR_TYPE_BINARY) {
        put_binary(out, column, row);
    } else {
        put_formatted(out, column, row);
    }
}

/* A second column of the same source (cube.dim beside cube.dim.day) copies the text of the first. */
static void put_row_cell(gr_buf *out, const out_columns *columns, size_t c, const gr_batch *batch, size_t row) {
    size_t source = columns->v[c].source;
    if (source == FIXED) {
        gr_buf_add(out, columns->fixed);
        return;
    }
    if (columns->ends[source]) {
        size_t start = columns->starts[source], n = columns->ends[source] - start;
        char *p = gr_buf_reserve(out, n);
        if (!p) return;
        memcpy(p, out->p + start, n);
        out->n += n;
        return;
    }
    columns->starts[source] = out->n;
    put_cell(out, &batch->columns[source], row);
    columns->ends[source] = out->n;
}

/* ---- rows ------------------------------------------------------------------------------------ */
typedef void row_writer(gr_buf *out, const out_columns *columns, const gr_batch *batch, size_t row);

static void put_object_row(gr_buf *out, const out_columns *columns, const gr_batch *batch, size_t row) {
    for (size_t c = 0; c < columns->n; c++) {
        gr_buf_add(out, columns->v[c].prefix);
        put_row_cell(out, columns, c, batch, row);
    }
    if (!columns->n) gr_buf_char(out, '{');
    gr_buf_char(out, '}');
}

static void put_array_row(gr_buf *out, const out_columns *columns, const gr_batch *batch, size_t row) {
    gr_buf_char(out, '[');
    for (size_t c = 0; c < columns->n; c++) {
        if (c) gr_buf_char(out, ',');
        put_row_cell(out, columns, c, batch, row);
    }
    gr_buf_char(out, ']');
}

static gr_status next_batch(gr_stream *stream, const gr_query *query, const gr_batch **ret, gr_error *err) {
    GR_TRY(stream->next(stream, ret, err));
    if (*ret && (*ret)->n_columns < query->n_columns)
        return gr_error_set(err, GR_ERR_INTERNAL, "The engine answered %zu columns, the query has %zu",
                            (*ret)->n_columns, query->n_columns);
    return GR_OK;
}

static gr_status put_rows(gr_buf *out, const gr_answer *answer, const out_columns *columns, row_writer *put_row,
                          gr_error *err) {
    bool is_first = true;
    for (const gr_batch *batch;;) {
        GR_TRY(next_batch(answer->stream, answer->query, &batch, err));
        if (!batch) return GR_OK;
        for (size_t row = 0; row < batch->n_rows; row++) {
            if (!is_first) gr_buf_char(out, ',');
            is_first = false;
            memset(columns->ends, 0, answer->query->n_columns * sizeof *columns->ends);
            put_row(out, columns, batch, row);
        }
        GR_TRY(gr_http_encode_check(out, err));
    }
}

/* ---- the three forms ------------------------------------------------------------------------- */
static void put_members(gr_jw *w, const out_columns *columns) {
    gr_jw_key(w, GR_STR("members"));
    gr_jw_array(w);
    for (size_t c = 0; c < columns->n; c++) gr_jw_str(w, columns->v[c].key);
    gr_jw_array_end(w);
}

static gr_status put_default(gr_jw *w, const gr_answer *answer, const out_columns *columns, gr_arena *arena,
                             gr_error *err) {
    (void)arena;
    gr_jw_array(w);
    GR_TRY(put_rows(w->out, answer, columns, put_object_row, err));
    gr_jw_array_end(w);
    return GR_OK;
}

static gr_status put_compact(gr_jw *w, const gr_answer *answer, const out_columns *columns, gr_arena *arena,
                             gr_error *err) {
    (void)arena;
    gr_jw_object(w);
    put_members(w, columns);
    gr_jw_key(w, GR_STR("dataset"));
    gr_jw_array(w);
    GR_TRY(put_rows(w->out, answer, columns, put_array_row, err));
    gr_jw_array_end(w);
    gr_jw_object_end(w);
    return GR_OK;
}

/* Columns are gathered in buffers of their own, which together hold no more than the answer may. */
static gr_status gather_columns(gr_buf *texts, const gr_answer *answer, size_t max_bytes, size_t *ret_rows,
                                gr_error *err) {
    size_t n_columns = answer->query->n_columns;
    *ret_rows = 0;
    for (const gr_batch *batch;;) {
        GR_TRY(next_batch(answer->stream, answer->query, &batch, err));
        if (!batch) return GR_OK;
        *ret_rows += batch->n_rows;
        size_t total = 0;
        for (size_t c = 0; c < n_columns; c++) {
            for (size_t row = 0; row < batch->n_rows; row++) {
                if (texts[c].n) gr_buf_char(&texts[c], ',');
                put_cell(&texts[c], &batch->columns[c], row);
            }
            GR_TRY(gr_http_encode_check(&texts[c], err));
            total += texts[c].n;
        }
        if (total > max_bytes) return gr_error_set(err, GR_ERR_LIMIT, "The result is larger than %zu bytes", max_bytes);
    }
}

static void put_column(gr_buf *out, const out_columns *columns, size_t c, const gr_buf *texts, size_t n_rows) {
    if (columns->v[c].source != FIXED) {
        gr_buf_add(out, gr_buf_str(&texts[columns->v[c].source]));
        return;
    }
    for (size_t row = 0; row < n_rows && !out->is_over; row++) {
        if (row) gr_buf_char(out, ',');
        gr_buf_add(out, columns->fixed);
    }
}

static gr_status put_columnar(gr_jw *w, const gr_answer *answer, const out_columns *columns, gr_arena *arena,
                              gr_error *err) {
    size_t n = answer->query->n_columns, n_rows;
    gr_buf *texts = GR_NEW_N(arena, gr_buf, n + 1);
    for (size_t c = 0; c < n; c++) gr_buf_init(&texts[c], w->out->max);
    gr_status status = gather_columns(texts, answer, w->out->max, &n_rows, err);
    if (status == GR_OK) {
        gr_jw_object(w);
        put_members(w, columns);
        gr_jw_key(w, GR_STR("columns"));
        gr_jw_array(w);
        for (size_t c = 0; c < columns->n; c++) {
            gr_jw_array(w);
            put_column(w->out, columns, c, texts, n_rows);
            gr_jw_array_end(w);
        }
        gr_jw_array_end(w);
        gr_jw_object_end(w);
    }
    for (size_t c = 0; c < n; c++) gr_buf_done(&texts[c]);
    return status;
}

static gr_status (*const forms[])(gr_jw *, const gr_answer *, const out_columns *, gr_arena *, gr_error *) = {
    [GR_FORMAT_DEFAULT] = put_default, [GR_FORMAT_COMPACT] = put_compact, [GR_FORMAT_COLUMNAR] = put_columnar};

/* ---- the result ------------------------------------------------------------------------------ */
gr_str gr_http_preagg_type(const gr_preagg *preagg) {
    static const gr_str names[] = {[GR_PREAGG_ROLLUP] = GR_STR_INIT("rollup"),
                                   [GR_PREAGG_ORIGINAL_SQL] = GR_STR_INIT("originalSql"),
                                   [GR_PREAGG_ROLLUP_JOIN] = GR_STR_INIT("rollupJoin"),
                                   [GR_PREAGG_ROLLUP_LAMBDA] = GR_STR_INIT("rollupLambda")};
    return names[preagg->type];
}

/* Nothing but the source: also for a plan that has no pieces yet. */
static bool reads_source(const gr_plan *plan) { return plan->reads_source || (!plan->n_uses && !plan->to_build); }

bool gr_http_is_external(const gr_plan *plan) {
    bool is_external = plan->n_uses > 0 && !reads_source(plan);
    for (size_t i = 0; i < plan->n_uses; i++) is_external = is_external && plan->uses[i].rollup->is_external;
    return is_external;
}

gr_str gr_http_served_by(const gr_answer *answer, gr_arena *arena) {
    const gr_plan *plan = answer->plan;
    if (answer->cached) return answer->cached->served_by;
    gr_str all = plan->n_uses || !plan->to_build ? (gr_str){0} : plan->to_build->preagg->id;
    for (size_t i = 0; i < plan->n_uses; i++)
        all = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(all), all.n ? ", " : "",
                              GR_ARG(plan->uses[i].rollup->preagg->id));
    if (!reads_source(plan)) return all;
    return all.n ? gr_arena_printf(arena, GR_FMT ", source", GR_ARG(all)) : GR_STR("source");
}

/* Some piece reads the rollup over a range that is not whole buckets. */
static bool is_loose(const gr_plan *plan, const gr_rollup *rollup) {
    for (size_t i = 0; plan && i < plan->n_pieces; i++) {
        const gr_piece *p = &plan->pieces[i];
        if (p->kind == GR_PIECE_SCAN && p->scan.rollup == rollup && p->scan.is_non_strict_range) return true;
        if (is_loose(p->window.inner, rollup) || is_loose(p->stage.rows, rollup) || is_loose(p->stage.inner, rollup))
            return true;
    }
    return false;
}

static void put_use(gr_jw *w, const gr_plan *plan, const gr_plan_use *use) {
    bool is_inexact = plan->is_non_strict_range && is_loose(plan, use->rollup);
    gr_jw_object(w);
    gr_jw_key_str(w, "preAggregationId", use->rollup->preagg->id);
    if (use->state) gr_jw_key_i64(w, "lastUpdatedAt", use->built_at_us / 1000);
    gr_jw_key_str(w, "type", gr_http_preagg_type(use->rollup->preagg));
    if (use->state) {
        gr_jw_key_i64(w, "version", use->state->build_number);
        gr_jw_key_i64(w, "id", use->state->entity_id);
    }
    if (use->lambda) gr_jw_key_str(w, "rollupLambdaId", use->lambda->preagg->id);
    gr_jw_key_str(w, "exactness", is_inexact ? GR_STR("non_strict_range") : GR_STR("exact"));
    gr_jw_object_end(w);
}

static void put_used(gr_jw *w, const gr_plan *plan, const gr_config *config, gr_arena *arena) {
    if (!plan->n_uses) return;
    gr_jw_key(w, GR_STR("usedPreAggregations"));
    gr_jw_object(w);
    for (size_t i = 0; i < plan->n_uses; i++) {
        gr_jw_key(w, gr_store_table_key(config, plan->uses[i].rollup, arena));
        put_use(w, plan, &plan->uses[i]);
    }
    gr_jw_object_end(w);
}

/* Ids alone: the words are for who asks (decisions 11, 14). */
static void put_short_refusals(gr_jw *w, const gr_plan *plan, const gr_http_load_options *options) {
    const gr_config *config = options->config;
    bool is_developer = config->dev_mode || !config->api_secret.value.n;
    bool is_news = is_developer && reads_source(plan) && plan->n_refusals;
    if (!options->want_explain && !is_news) return;
    gr_jw_key(w, GR_STR("preAggregationRefusals"));
    gr_jw_array(w);
    for (size_t i = 0; i < plan->n_refusals; i++) {
        const gr_refusal *r = &plan->refusals[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "preAggregation", r->rollup->preagg->id);
        gr_jw_key_str(w, "rule", gr_rule_id(r->rule));
        if (r->member) gr_jw_key_str(w, "member", r->member->id);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

void gr_http_put_normalized(gr_jw *w, const gr_query *query) {
    if (query->normalized) {
        gr_jw_json(w, query->normalized);
    } else {
        gr_jw_object(w);
        gr_jw_object_end(w);
    }
}

static void put_facts(gr_jw *w, const gr_answer *answer) {
    const gr_plan *plan = answer->plan;
    gr_jw_key_str(w, "dataSource", answer->data_source);
    gr_jw_key_str(w, "dbType", answer->db_type);
    gr_jw_key_str(w, "extDbType", GR_STR("duckdb"));
    if (plan->n_uses)
        gr_jw_key_bool(w, "external", gr_http_is_external(plan));
    else
        gr_http_put_null_key(w, "external");
    gr_jw_key_bool(w, "slowQuery", false);
    if (answer->has_total)
        gr_jw_key_i64(w, "total", answer->total);
    else
        gr_http_put_null_key(w, "total");
}

/* Between the query and what tells this request: as the answer was when it was made. */
static void put_head(gr_jw *w, const gr_answer *answer, const gr_http_load_options *options, gr_arena *arena) {
    if (answer->cached) { /* begins with the comma */
        gr_buf_add(w->out, answer->cached->head);
        return;
    }
    gr_jw_key(w, GR_STR("lastRefreshTime"));
    gr_http_put_instant(w, answer->refreshed_us);
    put_used(w, answer->plan, options->config, arena);
    put_short_refusals(w, answer->plan, options);
}

static gr_status put_tail(gr_jw *w, gr_answer *answer, const gr_http_load_options *options, gr_arena *arena,
                          gr_error *err) {
    if (answer->cached) {
        gr_buf_add(w->out, answer->cached->tail);
        return GR_OK;
    }
    gr_http_put_annotation(w, answer->query);
    put_facts(w, answer);
    if (options->want_explain) {
        gr_jw_key(w, GR_STR("explain"));
        gr_http_put_explain(w, answer, arena);
    }
    gr_jw_key(w, GR_STR("data"));
    out_columns columns = columns_of(answer->query, options, arena);
    return forms[answer->query->format](w, answer, &columns, arena, err);
}

static gr_status put_result(gr_jw *w, gr_answer *answer, const gr_http_load_options *options, gr_arena *arena,
                            gr_error *err) {
    gr_http_load_marks marks;
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("query"));
    gr_http_put_normalized(w, options->set ? options->set->queries[options->part] : answer->query);
    marks.head = w->out->n;
    put_head(w, answer, options, arena);
    marks.head_end = w->out->n;
    gr_jw_key_bool(w, "fromCache", answer->cached != NULL);
    gr_http_put_text_key(w, "requestId", options->request_id);
    marks.tail = w->out->n;
    GR_TRY(put_tail(w, answer, options, arena, err));
    marks.tail_end = w->out->n;
    gr_jw_object_end(w);
    if (options->marks) *options->marks = marks;
    return GR_OK;
}

gr_status gr_http_encode_load(gr_answer *answer, const gr_http_load_options *options, gr_arena *arena, gr_buf *out,
                              gr_error *err) {
    gr_jw w;
    gr_query_set alone = {.queries = &answer->query, .n = 1};
    bool has_envelope = options->is_multi && !options->set;
    gr_jw_init(&w, out);
    if (has_envelope) gr_http_encode_set_begin(&alone, &w);
    GR_TRY(put_result(&w, answer, options, arena, err));
    return has_envelope ? gr_http_encode_set_end(&alone, arena, &w, err) : gr_http_encode_check(out, err);
}
