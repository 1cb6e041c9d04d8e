/* From what a plan reads to the rows that its answer must be made of; and whether the state behind it is sound. */
#include "differential/time/life.h"

#include "exec/internal.h"

#include <stdarg.h>
#include <stdio.h>

void time_fail(time_life *life, const char *format, ...) {
    char text[4096];
    va_list args;
    if (life->fault.n) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    life->fault = gr_arena_dup(life->arena, gr_str_from(text));
    TIME_LOG(life, "  FAULT: %s\n", text);
}

/* ---- which version ------------------------------------------------------------------------------------------------
 */

const time_made *time_made_of(const time_life *life, int64_t id) {
    for (size_t i = life->made.n; i-- > 0;)
        if (life->made.v[i].id == id) return &life->made.v[i];
    return NULL;
}

static size_t all_rows(time_life *life, gr_arena *arena, gr_partition_row **ret) {
    size_t n = 0;
    gr_error err = {0};
    if (gr_catalog_partitions(gr_exec_catalog(life->bench.exec), 0, arena, ret, &n, &err))
        time_fail(life, "the catalog cannot be read: %s", err.message);
    return n;
}

/* What is put together with others keeps the moment at which it was made. */
static time_made made_at(time_life *life, const gr_partition_row *row) {
    if (row->built_us == life->now_us) return (time_made){row->id, time_version(life), life->now_us};
    for (size_t i = life->made.n; i-- > 0;)
        if (life->made.v[i].now_us == row->built_us)
            return (time_made){row->id, life->made.v[i].version, row->built_us};
    time_fail(life, "a partition says that it was built at %lld, when nothing was", (long long)row->built_us);
    return (time_made){row->id, time_version(life), life->now_us};
}

void time_note_made(time_life *life) {
    gr_arena *scratch = gr_arena_new();
    gr_partition_row *rows;
    size_t n = all_rows(life, scratch, &rows);
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].built_us || time_made_of(life, rows[i].id)) continue;
        time_made one = made_at(life, &rows[i]);
        GR_PUSH(life->arena, &life->made, one);
    }
    gr_arena_free(scratch);
}

/* Of a rollup without partitions: the row that serves. */
static const time_made *made_whole(time_life *life, const gr_rollup_state *s) {
    gr_arena *scratch = gr_arena_new();
    gr_partition_row *rows;
    const time_made *ret = NULL;
    size_t n = all_rows(life, scratch, &rows);
    for (size_t i = 0; i < n; i++)
        if (rows[i].preagg_id == s->entity_id && rows[i].since && rows[i].to_us == INT64_MAX)
            ret = time_made_of(life, rows[i].id);
    gr_arena_free(scratch);
    return ret;
}

/* ---- buckets --------------------------------------------------------------------------------------------------------
 */

static int64_t bucket_of(const gr_rollup *r, const gr_tz *zone, int64_t us, int64_t now_us) {
    const gr_granularity *g = r->ranged->granularity;
    const gr_tz *tz = r->ranged->is_instant ? gr_tz_utc() : zone;
    int64_t anchor = g->grain == GR_GRAIN_CUSTOM ? gr_granularity_anchor(g, tz, now_us) : 0;
    return gr_granularity_floor(g, anchor, gr_tz_to_local(tz, us));
}

static bool is_timeless(const gr_run *run) { return run->to_us == INT64_MIN; }

static bool is_in_run(const gr_rollup *r, const gr_tz *zone, const gr_run *run, const diff_table *t, size_t row,
                      int64_t now_us) {
    int64_t us;
    if (!time_of_row(t, row, &us)) return is_timeless(run);
    if (is_timeless(run)) return false;
    int64_t bucket = bucket_of(r, zone, us, now_us);
    return bucket >= run->from_us && bucket < run->to_us;
}

bool time_is_same_slice(const time_life *life, const gr_rollup *r, const gr_tz *zone, const gr_run *run, size_t a,
                        size_t b, int64_t now_us) {
    const diff_table *x = life->versions.v[a], *y = life->versions.v[b];
    size_t i = 0, k = 0;
    bool is_all = run->from_us == INT64_MIN && run->to_us == INT64_MAX;
    for (;;) { /* rows keep their order through all changes */
        while (i < x->n_rows && !is_all && !is_in_run(r, zone, run, x, i, now_us)) i++;
        while (k < y->n_rows && !is_all && !is_in_run(r, zone, run, y, k, now_us)) k++;
        if (i == x->n_rows || k == y->n_rows) return i == x->n_rows && k == y->n_rows;
        for (size_t c = 0; c < x->n_columns; c++)
            if (!diff_same(&x->cells[i * x->n_columns + c], &y->cells[k * y->n_columns + c])) return false;
        i++, k++;
    }
}

size_t time_rows_in(const time_life *life, const gr_rollup *r, const gr_tz *zone, const gr_run *run, size_t version,
                    int64_t now_us) {
    const diff_table *t = life->versions.v[version];
    bool is_all = run->from_us == INT64_MIN && run->to_us == INT64_MAX;
    size_t n = 0;
    for (size_t row = 0; row < t->n_rows; row++) n += is_all || is_in_run(r, zone, run, t, row, now_us);
    return n;
}

/* ---- as served ------------------------------------------------------------------------------------------------------
 */

typedef struct reading {
    const gr_rollup *rollup; /* NULL: the source */
    const gr_rollup_state *state;
    bool has_range;
    gr_range range;
} reading;

typedef struct serving {
    time_life *life;
    const gr_plan *plan;
    diff_table *to;
    GR_VEC(reading) readings;
    int64_t oldest_us; /* of the partitions that give a row */
} serving;

/* As the statement asks: instants, except on a wall clock that shows the bound twice, and of days that are stored. */
static bool is_asked(const serving *s, const reading *one, const diff_table *t, size_t row) {
    int64_t us;
    const gr_range *x = &one->range;
    if (!one->has_range) return true;
    if (!time_of_row(t, row, &us)) return false;
    int64_t local = gr_tz_to_local(s->plan->query->tz, us);
    bool is_wall = one->rollup && !(one->rollup->ranged && one->rollup->ranged->is_instant);
    bool is_after = is_wall || x->is_from_ambiguous ? local >= x->from_local_us : us >= x->from_utc_us;
    bool is_before = is_wall || x->is_to_ambiguous ? local < x->to_local_us : us < x->to_utc_us;
    return is_after && is_before;
}

static void add_row(serving *s, const diff_table *t, size_t row) {
    diff_table *to = s->to;
    memcpy(&to->cells[to->n_rows++ * to->n_columns], &t->cells[row * t->n_columns], t->n_columns * sizeof *t->cells);
}

static bool is_covered(const gr_rollup *r, const gr_rollup_state *s, const diff_table *t, size_t row, int64_t now_us) {
    int64_t us;
    if (!r->ranged || !s->has_range) return true;
    if (!time_of_row(t, row, &us)) { /* outside of a build range rows without a time are not stored */
        for (size_t i = 0; i < s->n_missing; i++)
            if (s->missing[i].from_us == INT64_MIN) return false;
        return !r->has_build_range;
    }
    int64_t bucket = bucket_of(r, s->zone, us, now_us);
    for (size_t i = 0; i < s->n_covered; i++)
        if (bucket >= s->covered[i].from_us && bucket < s->covered[i].to_us) return true;
    return false;
}

static void add_slice(serving *s, const reading *one, const gr_run *run, const time_made *made) {
    const diff_table *t = s->life->versions.v[made->version];
    bool has_any = false;
    for (size_t row = 0; row < t->n_rows; row++) {
        if (!is_asked(s, one, t, row)) continue;
        if (run && !is_in_run(one->rollup, one->state->zone, run, t, row, made->now_us)) continue;
        if (!run && !is_covered(one->rollup, one->state, t, row, made->now_us)) continue;
        add_row(s, t, row);
        has_any = true;
    }
    if (has_any && made->now_us < s->oldest_us) s->oldest_us = made->now_us;
}

static void add_reading(serving *s, const reading *one) {
    time_life *life = s->life;
    const diff_table *now = time_table(life);
    for (size_t row = 0; row < now->n_rows; row++) {
        bool is_beyond = !one->state || !is_covered(one->rollup, one->state, now, row, life->now_us);
        if (is_beyond && is_asked(s, one, now, row)) add_row(s, now, row);
    }
    if (!one->state) return;
    for (size_t i = 0; i < one->state->n_partitions; i++) {
        const gr_partition *p = &one->state->partitions[i];
        const time_made *made = time_made_of(life, p->id);
        if (!made)
            time_fail(life, "partition %lld was never seen made", (long long)p->id);
        else
            add_slice(s, one, &p->run, made);
    }
    if (one->state->n_partitions) return;
    const time_made *made = made_whole(life, one->state);
    if (!made)
        time_fail(life, "what serves of entity %lld has no record", (long long)one->state->entity_id);
    else
        add_slice(s, one, NULL, made);
}

static bool do_overlap(const reading *a, const reading *b) {
    if (!a->has_range || !b->has_range) return true;
    return a->range.from_local_us < b->range.to_local_us && b->range.from_local_us < a->range.to_local_us;
}

/* False: this plan cannot be followed here. */
static bool add_scan(serving *s, const gr_scan *scan) {
    reading one = {.rollup = scan->rollup ? scan->rollup->entity : NULL, .state = scan->state};
    for (size_t i = 0; i < scan->query->n_time_dimensions; i++) {
        if (!scan->times[i].has_range) continue;
        one.has_range = true;
        one.range = scan->times[i].range;
    }
    for (size_t i = 0; i < s->readings.n; i++) {
        const reading *other = &s->readings.v[i];
        bool is_same = other->state == one.state && other->has_range == one.has_range &&
                       other->range.from_local_us == one.range.from_local_us &&
                       other->range.to_local_us == one.range.to_local_us;
        if (is_same) return true; /* other components of the same rows */
        if (do_overlap(other, &one)) return false;
    }
    GR_PUSH(s->life->arena, &s->readings, one);
    return true;
}

static bool follow(serving *s) {
    const gr_plan *plan = s->plan;
    bool has_inner = false;
    for (size_t i = 0; i < plan->n_pieces; i++) has_inner |= plan->pieces[i].kind != GR_PIECE_SCAN;
    if (has_inner) { /* windows look outside of the query's range: then one thing serves all of it, or it is left */
        if (plan->n_uses > 1 || plan->reads_source) return false;
        reading all = {.rollup = plan->uses[0].rollup->entity, .state = plan->uses[0].state};
        GR_PUSH(s->life->arena, &s->readings, all);
        return true;
    }
    for (size_t i = 0; i < plan->n_pieces; i++)
        if (!add_scan(s, &plan->pieces[i].scan)) return false;
    return true;
}

static void check_watermark(serving *s) {
    bool is_plain = s->plan->n_uses == 1; /* windows read less of the time than what is compared */
    for (size_t k = 0; k < s->plan->n_pieces; k++) is_plain &= s->plan->pieces[k].kind == GR_PIECE_SCAN;
    for (size_t i = 0; i < s->plan->n_uses; i++) {
        const gr_plan_use *use = &s->plan->uses[i];
        int64_t oldest_us = INT64_MAX;
        for (size_t k = 0; k < s->plan->n_pieces; k++) {
            const gr_scan *scan = &s->plan->pieces[k].scan;
            if (s->plan->pieces[k].kind != GR_PIECE_SCAN || scan->state != use->state) continue;
            for (size_t p = 0; p < scan->reading.n; p++)
                if (scan->reading.v[p]->built_at_us < oldest_us) oldest_us = scan->reading.v[p]->built_at_us;
        }
        if (use->state->n_partitions && oldest_us != INT64_MAX && use->built_at_us > oldest_us)
            time_fail(s->life, "the watermark %lld is younger than a partition that is read (%lld)",
                      (long long)use->built_at_us, (long long)oldest_us);
        if (is_plain && use->built_at_us > s->oldest_us)
            time_fail(s->life, "the watermark %lld is younger than rows of the answer (%lld)",
                      (long long)use->built_at_us, (long long)s->oldest_us);
    }
}

static bool is_promised(const time_life *life, const gr_plan *plan) {
    for (size_t i = 0; i < plan->n_uses; i++) {
        bool is_one = false;
        for (size_t k = 0; k < life->promises.n; k++)
            is_one |= life->promises.v[k].entity_id == plan->uses[i].state->entity_id &&
                      life->promises.v[k].version == time_version(life);
        if (!is_one) return false;
    }
    return true;
}

void time_on_plan(void *arg, const gr_plan *plan) {
    time_life *life = arg;
    serving s = {.life = life, .plan = plan, .oldest_us = INT64_MAX, .to = GR_NEW(life->arena, diff_table)};
    life->served = time_table(life);
    life->is_by_rollup = plan->n_uses > 0;
    life->is_mixed = plan->n_uses && plan->reads_source;
    life->is_promised = is_promised(life, plan);
    if (!plan->n_uses) return;
    if (!follow(&s)) {
        life->is_skipped = true;
        return;
    }
    *s.to = *time_table(life);
    s.to->n_rows = 0;
    size_t most = 1;
    for (size_t i = 0; i < life->versions.n; i++) most += life->versions.v[i]->n_rows;
    s.to->cells = GR_NEW_N(life->arena, diff_value, most * (s.readings.n + 1) * s.to->n_columns);
    for (size_t i = 0; i < s.readings.n; i++) add_reading(&s, &s.readings.v[i]);
    life->served = s.to;
    check_watermark(&s);
}

/* ---- states ---------------------------------------------------------------------------------------------------------
 */

static bool do_runs_meet(const gr_run *a, const gr_run *b) { return a->from_us < b->to_us && b->from_us < a->to_us; }

/* Covered and missing runs are in order and disjoint, and between the first and the last there is nothing else. */
static void check_runs(time_life *life, const gr_rollup_state *s) {
    size_t i = 0, k = 0;
    while (k < s->n_missing && s->missing[k].from_us == INT64_MIN) k++; /* rows without a time */
    bool is_first = true;
    int64_t at = 0;
    while (i < s->n_covered || k < s->n_missing) {
        bool is_covered_next =
            k == s->n_missing || (i < s->n_covered && s->covered[i].from_us <= s->missing[k].from_us);
        gr_run run = is_covered_next ? s->covered[i++] : s->missing[k++];
        if (run.from_us >= run.to_us) time_fail(life, "an empty run is shown");
        if (!is_first && run.from_us < at) time_fail(life, "covered and missing runs overlap at %lld", (long long)at);
        if (!is_first && run.from_us > at) time_fail(life, "neither covered nor missing from %lld", (long long)at);
        at = run.to_us;
        is_first = false;
    }
}

/* What lies between two partitions is not built. */
static void check_holes(time_life *life, const gr_rollup_state *s) {
    for (size_t i = 1; i < s->n_partitions; i++) {
        gr_run hole = {s->partitions[i - 1].run.to_us, s->partitions[i].run.from_us};
        if (hole.from_us == INT64_MIN || hole.from_us >= hole.to_us) continue;
        for (size_t k = 0; k < s->n_covered; k++)
            if (do_runs_meet(&s->covered[k], &hole))
                time_fail(life, "a hole from %lld is covered", (long long)hole.from_us);
        if (!gr_rollup_is_missing(s, &hole))
            time_fail(life, "a hole from %lld is not missing", (long long)hole.from_us);
    }
}

static void check_partitions(time_life *life, const gr_rollup_state *s) {
    int64_t rows = 0, oldest_us = INT64_MAX;
    for (size_t i = 0; i < s->n_partitions; i++) {
        const gr_partition *p = &s->partitions[i];
        const time_made *made = time_made_of(life, p->id);
        rows += p->rows;
        if (p->built_at_us < oldest_us) oldest_us = p->built_at_us;
        for (size_t k = 0; k < i; k++)
            if (do_runs_meet(&s->partitions[k].run, &p->run)) time_fail(life, "two live partitions overlap");
        if (made && made->now_us != p->built_at_us)
            time_fail(life, "a partition of %lld says that it was built at %lld", (long long)made->now_us,
                      (long long)p->built_at_us);
    }
    if (s->n_partitions && rows != s->rows)
        time_fail(life, "%lld rows in the partitions, %lld in all", (long long)rows, (long long)s->rows);
    if (s->n_partitions && s->built_at_us > oldest_us)
        time_fail(life, "the state is younger than one of its partitions");
}

/* Numbers and checksums of a table, counted again. */
static void recount(time_life *life, gr_engine_conn *conn, const gr_ctx *ctx, const gr_rollup *r,
                    const gr_partition_row *rows, size_t n, gr_str table) {
    gr_store_stat stat;
    gr_error err = {0};
    if (gr_store_stat_table(conn, ctx, r, table, gr_dialect_get(GR_STR("duckdb")), &stat, &err)) {
        time_fail(life, "a live table cannot be read: %s", err.message);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].since || !gr_str_eq(rows[i].table_name, table)) continue;
        if (rows[i].built_us < life->redefined_us) continue; /* of other measures than the rollup has now */
        bool is_null = rows[i].to_us == INT64_MIN;
        int64_t key =
            is_null ? INT64_MIN : gr_granularity_floor(gr_granularity_predefined(r->partition), 0, rows[i].from_us);
        gr_store_part_stat found = {.checksum = GR_STR("0")};
        for (size_t k = 0; k < stat.n_parts; k++)
            if (stat.parts[k].key_us == key) found = stat.parts[k];
        if (found.rows != rows[i].rows || !gr_str_eq(found.checksum, rows[i].checksum))
            time_fail(life, "partition %lld has %lld rows with checksum " GR_FMT ", and its record %lld with " GR_FMT,
                      (long long)rows[i].id, (long long)found.rows, GR_ARG(found.checksum), (long long)rows[i].rows,
                      GR_ARG(rows[i].checksum));
    }
}

static void recount_all(time_life *life, const gr_rollup *r, const gr_rollup_state *s) {
    gr_arena *scratch = gr_arena_new();
    gr_ctx ctx = {.arena = scratch, .now_us = life->now_us};
    gr_engine_conn *conn;
    gr_partition_row *rows;
    gr_error err = {0};
    size_t n = 0;
    gr_status status = gr_catalog_partitions(gr_exec_catalog(life->bench.exec), s->entity_id, scratch, &rows, &n, &err);
    if (!status) status = gr_pool_take(life->bench.exec->pool, &ctx, GR_STR("default"), &conn, &err);
    for (size_t i = 0; !status && i < s->n_tables; i++) recount(life, conn, &ctx, r, rows, n, s->tables[i].text);
    if (!status) gr_pool_give(life->bench.exec->pool, conn);
    if (status) time_fail(life, "recount: %s", err.message);
    gr_arena_free(scratch);
}

void time_check_states(time_life *life) {
    const gr_snapshot *snapshot = gr_exec_snapshot_ref(life->bench.exec);
    for (size_t i = 0; snapshot && i < snapshot->model->n_preaggs; i++) {
        const gr_rollup *r = gr_plan_index_rollup(snapshot->index, snapshot->model->preaggs[i])->entity;
        for (size_t k = 0; k < snapshot->n_states[i]; k++) {
            const gr_rollup_state *s = &snapshot->states[i][k];
            if (!s->is_built) continue;
            check_runs(life, s);
            check_partitions(life, s);
            check_holes(life, s);
            if (s->n_partitions) recount_all(life, r, s);
        }
    }
    gr_exec_snapshot_unref(snapshot);
}
