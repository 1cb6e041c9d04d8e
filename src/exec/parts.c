/* Building the partitions of one version.
 *
 *   range -> list of partitions -> those that are due, newest first -> chunks -> one table for each chunk
 *
 *      chunks:  [1][ 2 ][   4   ][       8       ] …      older time  -->
 *
 * The newest partition comes alone, so that it serves soon; older ones in runs that double (a build that goes on
 * where another stopped begins with runs as long as what is there), so that a thousand
 * partitions are ten statements and ten tables, and not a thousand scans of the source. A table is named before it is
 * made, counted and compared with the source when it is, and then only recorded as made: nothing of it serves before
 * the version is published. */
#include "exec/build.h"

#include "base/fault.h"
#include "base/mem.h"

#include <stdlib.h>

enum { MOST_IN_CHUNK = 256 };

typedef struct chunk {
    size_t first, n; /* of the list, in order of time */
} chunk;

typedef struct work {
    gr_exec_job *job;
    gr_exec_parts parts;
    gr_exec_range range;
    gr_partition_row *rows; /* of the catalog, when it was begun */
    size_t n_rows;
    GR_VEC(chunk) chunks;
    pthread_mutex_t mutex; /* guards all below */
    size_t next, n_done, n_due;
    int64_t until_us; /* no chunk is begun after it; 0: all are */
    gr_status status;
    gr_error error;
    GR_VEC(int64_t) added;
    int64_t *min_us, *max_us; /* by column, of what was built */
    int64_t rows_built;
} work;

/* ---- what is due ---------------------------------------------------------------------------------------------------
 */

static bool is_same_run(const gr_partition_row *row, const gr_exec_part *part) {
    return row->from_us == part->run.from_us && row->to_us == part->run.to_us;
}

/* What there is of each: the newest that holds what is meant now and is not known to be wrong. */
static void match_rows(work *w) {
    gr_str structure = gr_str_from(w->job->claim.structure_hash);
    size_t at = 0;
    for (size_t i = 0; i < w->parts.n; i++) {
        gr_exec_part *part = &w->parts.v[i];
        while (at < w->n_rows && w->rows[at].from_us < part->run.from_us) at++;
        for (size_t k = at; k < w->n_rows && w->rows[k].from_us == part->run.from_us; k++) {
            const gr_partition_row *row = &w->rows[k];
            if (!is_same_run(row, part) || row->quarantine.n || !gr_str_eq(row->structure_hash, structure)) continue;
            if (!part->row || row->built_us >= part->row->built_us) part->row = row;
        }
    }
}

static int64_t end_of(const work *w, const gr_exec_part *part) {
    if (part->start_us == INT64_MIN || w->job->rollup->partition == GR_GRAIN_NONE) return INT64_MAX;
    gr_exec_axis x = gr_exec_axis_of(w->job->rollup, w->job->zone, w->job->ctx->now_us);
    return gr_tz_to_utc(x.tz, part->run.to_us, NULL);
}

static bool touches(const gr_run *run, const gr_exec_part *part) {
    if (part->start_us == INT64_MIN) return run->from_us == INT64_MIN; /* as parts_state.c says that it misses */
    return part->run.from_us < run->to_us && run->from_us < part->run.to_us;
}

static bool is_wanted(const gr_build_ask *ask, const gr_exec_part *part) {
    for (size_t i = 0; i < ask->n_only; i++)
        if (touches(&ask->only[i], part)) return true;
    return !ask->n_only && touches(&ask->run, part);
}

/* A build that is made in slices comes back for the rest, and not for what it has made. */
static bool is_forced(const gr_build_ask *ask, const gr_exec_part *part) {
    return ask->is_forced && (!ask->forced_since_us || !part->row || part->row->built_us < ask->forced_since_us);
}

static gr_exec_part *part_of_key(work *w, int64_t key_us) {
    size_t lo = 0, hi = w->parts.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (w->parts.v[mid].start_us < key_us)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < w->parts.n && w->parts.v[lo].start_us == key_us ? &w->parts.v[lo] : NULL;
}

/* One grouped question for all partitions. */
static gr_status read_fingerprints(work *w, gr_engine_conn *conn, gr_error *err) {
    gr_exec_job *j = w->job;
    gr_sql_load_options options = j->options;
    gr_range range;
    gr_sql sql;
    gr_stream *stream;
    const gr_batch *batch;
    if (j->rollup->partition != GR_GRAIN_NONE && j->rollup->has_build_range) { /* what lies beyond is not stored */
        const gr_exec_range *x = &w->range;
        gr_exec_axis axis = gr_exec_axis_of(j->rollup, j->zone, j->ctx->now_us);
        range =
            gr_range_of_local(x->has_from ? x->run.from_us : INT64_MIN, x->has_to ? x->run.to_us : INT64_MAX, axis.tz);
        options.range = &range;
    }
    GR_TRY(gr_sql_fingerprint(j->snapshot, j->rollup, j->zone, options, j->ask->freshness->change, &j->exec->places,
                              j->ctx->arena, &sql, err));
    GR_TRY(gr_exec_query_on(j->exec, conn, j->ctx, &sql, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    while (!status && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            gr_exec_part *part = part_of_key(w, ((const int64_t *)batch->columns[0].data)[i]);
            if (!part) continue;
            gr_str text = gr_column_text(&batch->columns[1], i);
            part->fingerprint = gr_arena_printf(j->ctx->arena, GR_FMT "%s" GR_FMT, GR_ARG(part->fingerprint),
                                                part->fingerprint.n ? "," : "", GR_ARG(text));
        }
        status = stream->next(stream, &batch, err);
    }
    stream->close(stream);
    for (size_t i = 0; !status && i < w->parts.n; i++)
        if (!w->parts.v[i].fingerprint.n) w->parts.v[i].fingerprint = GR_STR("0");
    return status;
}

static gr_status find_due(work *w, gr_engine_conn *conn, gr_error *err) {
    const gr_build_ask *ask = w->job->ask;
    const gr_build_freshness *f = ask->freshness;
    bool has_due = false, has_any = false, must_look = f && f->checks_fingerprint;
    for (size_t i = 0; i < w->parts.n; i++) {
        gr_exec_part *part = &w->parts.v[i];
        if (f) part->value = f->value(f->arg, end_of(w, part), w->job->ctx->arena);
        has_any |= part->row != NULL;
        if (!is_wanted(ask, part)) continue;
        bool is_stale = part->row && f && !gr_str_eq(part->row->refresh_value, part->value);
        part->is_due = !part->row || is_forced(ask, part) || is_stale;
        has_due |= part->is_due;
    }
    /* Of what lies outside of the data there is nothing, in the shape of the newest partition (cube.md 6.4.3). */
    if (!has_due && !has_any && w->parts.n) w->parts.v[w->parts.n - 1].is_due = has_due = true;
    if (f && f->has_fingerprint && (has_due || must_look)) GR_TRY(read_fingerprints(w, conn, err));
    for (size_t i = 0; i < w->parts.n; i++) {
        gr_exec_part *part = &w->parts.v[i];
        part->is_due |= must_look && part->row && !gr_str_eq(part->row->fingerprint, part->fingerprint);
        w->n_due += part->is_due;
    }
    return GR_OK;
}

/* From the newest to the oldest; the rows without a time come last, as a chunk of their own. */
static void cut_chunks(work *w) {
    gr_arena *arena = w->job->ctx->arena;
    size_t most = 0, i = w->parts.n;
    for (size_t k = 0; k < w->parts.n; k++) most += w->parts.v[k].row != NULL; /* as if they had come before */
    if (most < 1) most = 1;
    if (most > MOST_IN_CHUNK) most = MOST_IN_CHUNK;
    while (i > 0) {
        if (!w->parts.v[i - 1].is_due) {
            i--;
            continue;
        }
        chunk c = {i - 1, 1};
        bool is_alone = w->parts.v[i - 1].start_us == INT64_MIN;
        while (!is_alone && c.n < most && c.first > 0) {
            const gr_exec_part *before = &w->parts.v[c.first - 1], *first = &w->parts.v[c.first];
            if (!before->is_due || before->start_us == INT64_MIN || before->run.to_us != first->run.from_us) break;
            c.first--;
            c.n++;
        }
        GR_PUSH(arena, &w->chunks, c);
        i = c.first;
        if (most < MOST_IN_CHUNK) most *= 2;
    }
}

/* ---- one chunk -----------------------------------------------------------------------------------------------------
 */

typedef struct chunk_job {
    work *w;
    chunk c;
    gr_ctx ctx; /* with an arena of this thread's own */
    gr_engine_conn *conn;
    gr_store_table table;
    gr_sql_load_options options;
    gr_range range;
    gr_partition_row *rows;
    int64_t *ids;
    gr_store_stat stat;
    bool is_named, is_foreign; /* foreign: a table of that name was there before */
} chunk_job;

static void chunk_limits(chunk_job *k) {
    const gr_exec_job *j = k->w->job;
    const gr_exec_part *first = &k->w->parts.v[k->c.first], *last = first + k->c.n - 1;
    k->options = j->options;
    k->options.range = NULL;
    if (first->start_us == INT64_MIN) {
        k->options.is_without_time = true;
        return;
    }
    gr_exec_axis x = gr_exec_axis_of(j->rollup, j->zone, j->ctx->now_us);
    k->range = gr_range_of_local(first->run.from_us, last->run.to_us, x.tz);
    k->options.range = &k->range;
}

static gr_status name_chunk(chunk_job *k, gr_error *err) {
    const gr_exec_job *j = k->w->job;
    const gr_exec_part *first = &k->w->parts.v[k->c.first];
    gr_str structure = gr_str_from(j->claim.structure_hash);
    gr_str digits = gr_exec_part_digits(j->rollup, first->start_us, k->ctx.arena);
    k->table = gr_store_table_name(j->exec->config, j->rollup, digits, structure, j->claim.build_id, j->exec->dialect,
                                   k->ctx.arena);
    k->rows = GR_NEW_N(k->ctx.arena, gr_partition_row, k->c.n + 1);
    k->ids = GR_NEW_N(k->ctx.arena, int64_t, k->c.n + 1);
    for (size_t i = 0; i < k->c.n; i++)
        k->rows[i] = (gr_partition_row){.from_us = first[i].run.from_us,
                                        .to_us = first[i].run.to_us,
                                        .table_name = k->table.text,
                                        .table_parts = (int64_t)k->c.n,
                                        .structure_hash = structure,
                                        .refresh_value = first[i].value,
                                        .fingerprint = first[i].fingerprint};
    return gr_catalog_partitions_begin(j->exec->catalog, j->claim.build_id, k->rows, k->c.n, k->ids, err);
}

static gr_status fill_chunk(chunk_job *k, gr_error *err) {
    const gr_exec_job *j = k->w->job;
    gr_sql load;
    GR_TRY(gr_sql_load(j->snapshot, j->rollup, j->zone, k->options, &j->exec->places, k->ctx.arena, &load, err));
    gr_status status = gr_exec_fill(k->w->job, false, k->conn, &k->ctx, &k->table, &load, err);
    k->is_foreign = status && gr_exec_is_taken(err);
    GR_TRY(status);
    gr_fault_point("build.chunk");
    return gr_store_stat_table(k->conn, &k->ctx, j->rollup, k->table.local,
                               gr_exec_dialect_of(j->exec, j->rollup->place), &k->stat, err);
}

/* A source that is written to between the two looks differs once, and not again. */
static gr_status fill_and_verify(chunk_job *k, int64_t *ret_verified_us, gr_error *err) {
    enum { TRIES = 3 };
    const gr_exec_job *j = k->w->job;
    gr_status status = GR_OK;
    for (int i = 0; i < TRIES; i++) {
        GR_TRY(fill_chunk(k, err));
        status = gr_exec_verify(j->exec, k->conn, &k->ctx, j->snapshot, j->rollup, j->zone, k->options, k->table.local,
                                ret_verified_us, err);
        if (status != GR_ERR_PREAGG_MISMATCH) return status;
        gr_ctx after = {.arena = k->ctx.arena, .now_us = k->ctx.now_us};
        GR_TRY(gr_store_drop(k->conn, &after, j->exec->shared_dir, k->table.local, err));
    }
    return status;
}

/* Only what lies in a partition is its: rows that lie in none would be lost without a word. */
static gr_status count_chunk(chunk_job *k, int64_t verified_us, int64_t built_us, gr_error *err) {
    const gr_exec_job *j = k->w->job;
    const gr_exec_part *first = &k->w->parts.v[k->c.first];
    int64_t width = 8 * (int64_t)(j->rollup->n_columns + j->rollup->n_components), rows = 0;
    size_t at = 0;
    for (size_t i = 0; i < k->c.n; i++) {
        gr_partition_row *row = &k->rows[i];
        row->id = k->ids[i];
        row->built_us = built_us;
        row->verified_us = verified_us;
        row->checksum = GR_STR("0");
        while (at < k->stat.n_parts && k->stat.parts[at].key_us < first[i].start_us) at++;
        if (at == k->stat.n_parts || k->stat.parts[at].key_us != first[i].start_us) continue;
        row->rows = k->stat.parts[at].rows;
        row->bytes = row->rows * width;
        row->checksum = k->stat.parts[at].checksum;
        rows += row->rows;
    }
    if (rows == k->stat.rows) return GR_OK;
    return gr_error_set(err, GR_ERR_PREAGG_MISMATCH, "%lld rows of " GR_FMT " lie in no partition",
                        (long long)(k->stat.rows - rows), GR_ARG(k->table.text));
}

static void tell_parts(work *w) {
    const gr_build_progress *p = &w->job->ask->progress;
    gr_exec_job_tell(w->job, w->n_due ? (double)w->n_done / (double)w->n_due : 1);
    if (p->parts) p->parts(p->arg, w->n_done, w->n_due, w->rows_built);
}

static void note_chunk(chunk_job *k) {
    work *w = k->w;
    const gr_rollup *r = w->job->rollup;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < k->c.n; i++) {
        GR_PUSH(w->job->ctx->arena, &w->added, k->ids[i]);
        w->parts.v[k->c.first + i].is_made = true;
    }
    for (size_t i = 0; i < r->n_columns && k->stat.rows; i++) {
        if (k->stat.min_us[i] < w->min_us[i]) w->min_us[i] = k->stat.min_us[i];
        if (k->stat.max_us[i] > w->max_us[i]) w->max_us[i] = k->stat.max_us[i];
    }
    w->n_done += k->c.n;
    w->rows_built += k->stat.rows;
    tell_parts(w);
    pthread_mutex_unlock(&w->mutex);
}

static gr_status build_chunk(chunk_job *k, gr_error *err) {
    const gr_exec_job *j = k->w->job;
    int64_t built_us = gr_clock_now_us(), verified_us = 0;
    chunk_limits(k);
    GR_TRY(name_chunk(k, err));
    k->is_named = true;
    gr_fault_point("build.named");
    GR_TRY(fill_and_verify(k, &verified_us, err));
    gr_fault_point("build.verified");
    GR_TRY(count_chunk(k, verified_us, built_us, err));
    GR_TRY(gr_catalog_partitions_made(j->exec->catalog, j->claim.build_id, k->rows, k->c.n, err));
    gr_fault_point("build.made");
    note_chunk(k);
    return GR_OK;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------
 */

static bool take_chunk(work *w, chunk *ret) {
    pthread_mutex_lock(&w->mutex);
    bool is_over = w->until_us && w->next > 0 && gr_clock_mono_us() > w->until_us;
    bool has_one = !w->status && !is_over && w->next < w->chunks.n;
    if (has_one) *ret = w->chunks.v[w->next++];
    pthread_mutex_unlock(&w->mutex);
    return has_one;
}

static void note_dropped(chunk_job *k) {
    gr_exec_job *j = k->w->job;
    pthread_mutex_lock(&k->w->mutex);
    GR_PUSH(j->ctx->arena, &j->dropped, gr_arena_dup(j->ctx->arena, k->table.text));
    pthread_mutex_unlock(&k->w->mutex);
}

/* Nobody reads what was not made. The catalog still names it: that goes with the build's record; and when the drop
 * fails, the sweep at the next start takes the table. */
static void give_up(chunk_job *k) {
    gr_error ignored;
    gr_exec_job *j = k->w->job;
    gr_ctx after = {.arena = k->ctx.arena, .now_us = k->ctx.now_us};
    if (k->is_foreign)
        (void)!gr_catalog_partitions_unname(j->exec->catalog, k->ids, k->c.n, &ignored);
    else if (k->is_named && !gr_store_drop(k->conn, &after, j->exec->shared_dir, k->table.local, &ignored))
        note_dropped(k);
}

static void build_chunks(work *w, gr_engine_conn *conn) {
    chunk c;
    while (take_chunk(w, &c)) {
        gr_arena *arena = gr_arena_new();
        chunk_job k = {.w = w, .c = c, .ctx = *w->job->ctx, .conn = conn};
        gr_error err = {0};
        k.ctx.arena = arena;
        gr_status status = build_chunk(&k, &err);
        if (status) give_up(&k);
        pthread_mutex_lock(&w->mutex);
        if (status && !w->status) {
            w->status = status;
            w->error = err;
        }
        pthread_mutex_unlock(&w->mutex);
        gr_arena_free(arena);
    }
}

static void *help(void *arg) {
    work *w = arg;
    gr_engine_conn *conn = NULL;
    gr_ctx ctx = *w->job->ctx;
    ctx.arena = gr_arena_new();
    if (!gr_exec_take_store(w->job->exec, &ctx, w->job->rollup, &conn, NULL)) { /* without: the others do it all */
        build_chunks(w, conn);
        gr_exec_give(w->job->exec, conn);
    }
    gr_arena_free(ctx.arena);
    return NULL;
}

static void run_chunks(work *w, gr_engine_conn *conn) {
    enum { MOST = 16 };
    pthread_t threads[MOST];
    size_t n = 0, wanted = (size_t)w->job->exec->config->build_partitions_at_once;
    while (n + 1 < wanted && n + 1 < w->chunks.n && n < MOST) {
        if (pthread_create(&threads[n], NULL, help, w)) break;
        n++;
    }
    build_chunks(w, conn);
    for (size_t i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

/* ---- the version ---------------------------------------------------------------------------------------------------
 */

/* Made by an earlier build that failed, and still what is meant. */
static void take_made(work *w) {
    for (size_t i = 0; i < w->parts.n; i++) {
        const gr_exec_part *part = &w->parts.v[i];
        if (part->row && !part->row->since && !part->is_due) GR_PUSH(w->job->ctx->arena, &w->added, part->row->id);
    }
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool is_timeless(const gr_partition_row *row) { return row->to_us == INT64_MIN; }

/* It lies outside of the range, or `*at`, the first added row that ends after it begins, takes its place. */
static bool is_ended(const work *w, const gr_partition_row *row, const gr_partition_row *rows, const bool *is_added,
                     size_t n, size_t *at) {
    if (is_timeless(row)) {
        bool is_replaced = !w->range.n_without_time;
        for (size_t k = 0; k < n && is_timeless(&rows[k]); k++) is_replaced |= is_added[k];
        return is_replaced;
    }
    if (row->to_us <= w->range.run.from_us || row->from_us >= w->range.run.to_us) return true;
    while (*at < n && (!is_added[*at] || is_timeless(&rows[*at]) || rows[*at].to_us <= row->from_us)) ++*at;
    return *at < n && rows[*at].from_us < row->to_us;
}

static bool is_before(const gr_partition_row *a, const gr_partition_row *b) {
    return a->from_us != b->from_us ? a->from_us < b->from_us : a->id < b->id;
}

/* What was known and what this build made since, in order of time. */
static gr_status rows_of_now(work *w, gr_partition_row **ret, size_t *ret_n, gr_error *err) {
    gr_exec_job *j = w->job;
    gr_partition_row *made;
    size_t n_made, n = 0, at = 0;
    int64_t newest = 0;
    for (size_t i = 0; i < w->n_rows; i++)
        if (w->rows[i].id > newest) newest = w->rows[i].id;
    GR_TRY(
        gr_catalog_partitions_after(j->exec->catalog, j->claim.entity_id, newest, j->ctx->arena, &made, &n_made, err));
    gr_partition_row *rows = GR_NEW_N(j->ctx->arena, gr_partition_row, w->n_rows + n_made + 1);
    for (size_t i = 0; i < w->n_rows; i++) {
        while (at < n_made && is_before(&made[at], &w->rows[i])) rows[n++] = made[at++];
        rows[n++] = w->rows[i];
    }
    while (at < n_made) rows[n++] = made[at++];
    *ret = rows;
    *ret_n = n;
    return GR_OK;
}

/* Live rows that go, and how many rows the version then has. Rows are in order of time; added ones do not overlap. */
static gr_status list_ended(work *w, gr_error *err) {
    gr_exec_job *j = w->job;
    gr_partition_row *rows;
    size_t n, at = 0;
    GR_VEC(int64_t) ended = {0};
    gr_str structure = gr_str_from(j->claim.structure_hash);
    GR_TRY(rows_of_now(w, &rows, &n, err));
    bool *is_added = GR_NEW_N(j->ctx->arena, bool, n + 1);
    if (w->added.n) qsort(w->added.v, w->added.n, sizeof *w->added.v, by_number);
    for (size_t i = 0; i < n && w->added.n; i++)
        is_added[i] = bsearch(&rows[i].id, w->added.v, w->added.n, sizeof *w->added.v, by_number) != NULL;
    j->result.rows = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_live = is_added[i] || (rows[i].since && gr_str_eq(rows[i].structure_hash, structure));
        bool goes = rows[i].since && !is_added[i] && is_ended(w, &rows[i], rows, is_added, n, &at);
        if (goes) GR_PUSH(j->ctx->arena, &ended, rows[i].id);
        if (is_live && !goes) j->result.rows += rows[i].rows;
    }
    j->ended = ended.v;
    j->n_ended = ended.n;
    return GR_OK;
}

/* Something of another structure serves: it is replaced whole, and until then goes on. */
static bool is_replacing(const work *w) {
    gr_str structure = gr_str_from(w->job->claim.structure_hash);
    for (size_t i = 0; i < w->n_rows; i++)
        if (w->rows[i].since && !gr_str_eq(w->rows[i].structure_hash, structure)) return true;
    return false;
}

static bool is_added(const work *w, int64_t id) { /* sorted by list_ended */
    return w->added.n && bsearch(&id, w->added.v, w->added.n, sizeof *w->added.v, by_number);
}

static bool is_replaced(const work *w, const gr_partition_row *row) {
    size_t lo = 0, hi = w->parts.n;
    while (lo < hi) { /* the first that ends after the row begins; without a time is before all */
        size_t mid = lo + (hi - lo) / 2;
        if (w->parts.v[mid].run.to_us <= row->from_us)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < w->parts.n && w->parts.v[lo].run.from_us < row->to_us; lo++)
        if (w->parts.v[lo].is_made) return true;
    return false;
}

/* What came between the build of a partition and this one is in neither: what is kept stays open where it was. Of what
 * a build made that failed it is not known where. */
static int64_t closed_until(const work *w) {
    const gr_exec_job *j = w->job;
    const gr_rollup_state *s = gr_snapshot_state(j->current, j->rollup->preagg, j->zone);
    gr_str structure = gr_str_from(j->claim.structure_hash);
    int64_t closed = w->range.closed_us;
    for (size_t i = 0; i < w->n_rows; i++) {
        const gr_partition_row *row = &w->rows[i];
        if (is_timeless(row) || row->quarantine.n || !gr_str_eq(row->structure_hash, structure)) continue;
        if (!row->since && !is_added(w, row->id)) continue;
        bool is_known = row->since && s && s->is_built && s->has_closed;
        int64_t open = is_known && s->closed_until_us > row->from_us ? s->closed_until_us : row->from_us;
        if (open < row->to_us && open < closed && !is_replaced(w, row)) closed = open;
    }
    return closed;
}

/* Time within what is known already: no need to ask the source again where its data begins and ends. */
static bool is_range_known(work *w) {
    const gr_exec_job *j = w->job;
    const gr_run *run = &j->ask->run;
    const gr_rollup_state *s = gr_snapshot_state(j->current, j->rollup->preagg, j->zone);
    bool has_changed = s && s->entity_id != j->claim.entity_id;
    if (!s || !s->n_partitions || has_changed || s->n_missing) return false;
    if (run->from_us < s->wanted.from_us || run->to_us > s->wanted.to_us) return false;
    w->range = (gr_exec_range){.run = s->wanted,
                               .has_from = s->limits.from_us != INT64_MIN,
                               .has_to = s->limits.to_us != INT64_MAX,
                               .closed_us = s->has_closed ? s->closed_until_us : INT64_MIN,
                               .n_without_time = s->n_without_time};
    return true;
}

/* The partitions that there should be, and what there is of them. */
static gr_status list(work *w, gr_engine_conn *conn, gr_error *err) {
    gr_exec_job *j = w->job;
    gr_arena *arena = j->ctx->arena;
    if (!is_range_known(w))
        GR_TRY(gr_exec_range_read(j->exec, conn, j->ctx, j->snapshot, j->rollup, j->zone, j->options, &w->range, err));
    GR_TRY(gr_exec_parts_list(j->rollup, j->zone, &w->range, j->exec->config->build_max_partitions, j->ctx->now_us,
                              arena, &w->parts, err));
    GR_TRY(gr_catalog_partitions(j->exec->catalog, j->claim.entity_id, arena, &w->rows, &w->n_rows, err));
    match_rows(w);
    return GR_OK;
}

static gr_status run(work *w, gr_engine_conn *conn, gr_error *err) {
    gr_exec_job *j = w->job;
    gr_build_ask whole = *j->ask;
    GR_TRY(list(w, conn, err));
    if (is_replacing(w)) {
        whole.run = gr_run_all;
        whole.n_only = 0;
        whole.slice_us = 0;
        j->ask = &whole;
    }
    gr_status status = find_due(w, conn, err);
    if (!status) {
        cut_chunks(w);
        w->until_us = j->ask->slice_us ? gr_clock_mono_us() + j->ask->slice_us : 0;
        take_made(w);
        tell_parts(w);
        run_chunks(w, conn);
        status = w->status;
        if (status) *err = w->error;
    }
    j->result.n_built = w->n_done;
    j->result.n_due = w->n_due;
    j->result.is_more = !status && w->n_done < w->n_due;
    if (!status) status = list_ended(w, err);
    return status;
}

gr_status gr_exec_parts_look(gr_exec_job *j, gr_engine_conn *conn, size_t *ret_due, gr_error *err) {
    work w = {.job = j};
    GR_TRY(list(&w, conn, err));
    GR_TRY(find_due(&w, conn, err));
    *ret_due = w.n_due;
    return GR_OK;
}

gr_status gr_exec_parts_build(gr_exec_job *j, gr_engine_conn *conn, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    const gr_rollup *r = j->rollup;
    work w = {.job = j};
    gr_error own = {0};
    pthread_mutex_init(&w.mutex, NULL);
    w.min_us = GR_NEW_N(arena, int64_t, r->n_columns + 1);
    w.max_us = GR_NEW_N(arena, int64_t, r->n_columns + 1);
    for (size_t i = 0; i < r->n_columns; i++) w.min_us[i] = INT64_MAX, w.max_us[i] = INT64_MIN;
    const gr_build_ask *asked = j->ask;
    gr_status status = run(&w, conn, &own);
    j->ask = asked;
    pthread_mutex_destroy(&w.mutex);
    if (status) {
        if (err) *err = own;
        return status;
    }
    j->added = w.added.v;
    j->n_added = w.added.n;
    j->stat = (gr_store_stat){.rows = j->result.rows, .min_us = w.min_us, .max_us = w.max_us};
    j->stat.bytes = j->stat.rows * (int64_t)(8 * (r->n_columns + r->n_components));
    j->coverage = gr_exec_coverage_of_parts(j, &w.range, closed_until(&w));
    /* Of a source that lost rows less is wanted than the version that serves says: who waits for it would wait for
     * ever. */
    const gr_rollup_state *serving = gr_snapshot_state(j->current, r->preagg, j->zone);
    j->is_news = !asked->is_compaction && serving && serving->is_built && gr_rollup_is_missing(serving, &asked->run);
    return GR_OK;
}

/* ---- without partitions --------------------------------------------------------------------------------------------
 */

gr_status gr_exec_whole_look(gr_exec_job *j, gr_engine_conn *conn, gr_exec_part *ret, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    work w = {.job = j};
    gr_exec_part part = {.run = gr_run_all}; /* start_us 0: the key of what has no partitions */
    GR_PUSH(arena, &w.parts, part);
    GR_TRY(gr_catalog_partitions(j->exec->catalog, j->claim.entity_id, arena, &w.rows, &w.n_rows, err));
    match_rows(&w);
    /* What was made and not published went with its build's table; what serves without a record is of an earlier
     * Granary, and as good as any without a freshness to ask for. */
    if (w.parts.v[0].row && !w.parts.v[0].row->since) w.parts.v[0].row = NULL;
    if (j->ask->freshness || j->ask->is_forced)
        GR_TRY(find_due(&w, conn, err));
    else
        w.parts.v[0].is_due = true;
    *ret = w.parts.v[0];
    return GR_OK;
}

gr_status gr_exec_whole_made(gr_exec_job *j, const gr_exec_part *part, int64_t built_us, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    gr_partition_row *rows, row = {.from_us = INT64_MIN,
                                   .to_us = INT64_MAX,
                                   .table_parts = 1,
                                   .structure_hash = gr_str_from(j->claim.structure_hash),
                                   .rows = j->stat.rows,
                                   .bytes = j->stat.bytes,
                                   .checksum = j->stat.n_parts ? j->stat.parts[0].checksum : GR_STR("0"),
                                   .refresh_value = part->value,
                                   .fingerprint = part->fingerprint,
                                   .built_us = built_us,
                                   .verified_us = j->verified_us};
    size_t n;
    j->added = GR_NEW_N(arena, int64_t, 1);
    GR_TRY(gr_catalog_partitions(j->exec->catalog, j->claim.entity_id, arena, &rows, &n, err));
    j->ended = GR_NEW_N(arena, int64_t, n + 1);
    for (size_t i = 0; i < n; i++)
        if (rows[i].since) j->ended[j->n_ended++] = rows[i].id;
    GR_TRY(gr_catalog_partitions_begin(j->exec->catalog, j->claim.build_id, &row, 1, j->added, err));
    row.id = j->added[0];
    GR_TRY(gr_catalog_partitions_made(j->exec->catalog, j->claim.build_id, &row, 1, err));
    j->n_added = 1;
    return GR_OK;
}

/* ---- looking only --------------------------------------------------------------------------------------------------
 */

gr_status gr_exec_due_of(gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                         const gr_build_freshness *f, gr_str settled, int64_t since_us, int64_t now_us, gr_arena *arena,
                         gr_exec_due *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    const gr_rollup_state *state = gr_snapshot_state(snapshot, r->preagg, zone);
    gr_exec_due due = {.is_built = state && state->is_built, .n_missing = state ? state->n_missing : 0};
    gr_partition_row *rows;
    size_t n = 0;
    if (due.is_built) GR_TRY(gr_catalog_partitions(exec->catalog, state->entity_id, arena, &rows, &n, err));
    due.open_ends_us = GR_NEW_N(arena, int64_t, n + 1);
    if (due.is_built && !n) due.n_stale = 1; /* built by an earlier Granary, which kept no values */
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].since) continue;
        bool is_timed = r->partition != GR_GRAIN_NONE && rows[i].to_us != INT64_MIN;
        const gr_tz *tz = is_timed ? gr_exec_axis_of(r, zone, now_us).tz : NULL;
        int64_t end_us = is_timed ? gr_tz_to_utc(tz, rows[i].to_us, NULL) : INT64_MAX;
        gr_str value = f->value(f->arg, end_us, arena);
        if (!gr_str_eq(value, rows[i].refresh_value) && rows[i].built_us < since_us) due.n_stale++;
        if (end_us != INT64_MAX && !gr_str_eq(value, settled)) due.open_ends_us[due.n_open++] = end_us;
    }
    *ret = due;
    return GR_OK;
}
