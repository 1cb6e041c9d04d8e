/* Refreshes as a server makes them: the policy of a rollup, its value now, what is not fresh, built whole, in part, in
 * slices, or failing half way; and what must have come of it. */
#include "differential/time/life.h"

#include "refresh/refresh.h"

/* ---- freshness ------------------------------------------------------------------------------------------------------
 */

typedef struct freshness {
    gr_build_freshness pub;
    const gr_refresh_policy *policy;
    const gr_str *values;
    int64_t now_us;
} freshness;

static gr_str value_of(const void *arg, int64_t to_utc_us, gr_arena *arena) {
    const freshness *f = arg;
    return gr_refresh_value(f->policy, f->values, f->now_us, to_utc_us, arena);
}

static gr_status ask_key(time_life *life, const gr_refresh_part *part, const gr_cube *own, gr_arena *arena, gr_str *ret,
                         gr_error *err) {
    gr_ctx ctx = {.arena = arena, .now_us = life->now_us};
    gr_stream *stream;
    gr_str text;
    gr_table *table;
    GR_TRY(gr_sql_key(part->sql, part->cube ? part->cube : own, gr_exec_places(life->bench.exec), arena, &text, err));
    gr_sql sql = gr_sql_given(gr_exec_places(life->bench.exec), part->data_source, text);
    GR_TRY(gr_exec_query(life->bench.exec, &ctx, &sql, &stream, err));
    gr_status status = gr_table_read(stream, 1, arena, &table, err);
    stream->close(stream);
    *ret = !status && table->n_rows && !table->cells[0].is_null ? table->cells[0].text : (gr_str){0};
    return status;
}

static gr_status freshness_of(time_life *life, const gr_rollup *rollup, const gr_tz *zone, gr_arena *arena,
                              freshness **ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    const gr_cube **cubes = GR_NEW_N(arena, const gr_cube *, r->trees[0].n + 1);
    for (size_t i = 0; i < r->trees[0].n; i++) cubes[i] = r->trees[0].nodes[i].cube;
    const gr_refresh_policy *policy = gr_refresh_policy_of(r->preagg, cubes, r->trees[0].n, zone, arena);
    gr_str *values = GR_NEW_N(arena, gr_str, policy->n_parts + 1);
    for (size_t i = 0; i < policy->n_parts; i++)
        if (policy->parts[i].kind == GR_REFRESH_SQL)
            GR_TRY(ask_key(life, &policy->parts[i], r->preagg->cube, arena, &values[i], err));
    freshness *f = GR_NEW(arena, freshness);
    *f = (freshness){.policy = policy, .values = values, .now_us = life->now_us};
    f->pub = (gr_build_freshness){.value = value_of,
                                  .arg = f,
                                  .has_fingerprint = policy->fingerprint != GR_FINGERPRINT_NONE,
                                  .change = policy->fingerprint_sql};
    *ret = f;
    return GR_OK;
}

void time_before_build(void *arg, const gr_ctx *ctx, const gr_rollup *rollup, const gr_tz *zone, gr_build_ask *ask) {
    freshness *f;
    gr_error err = {0};
    if (freshness_of(arg, rollup, zone, ctx->arena, &f, &err))
        time_fail(arg, "the key cannot be asked: %s", err.message);
    else
        ask->freshness = &f->pub;
}

void time_after_build(void *arg) {
    time_life *life = arg;
    life->counts->builds++;
    time_note_made(life);
    time_check_states(life);
}

/* ---- what came of it ------------------------------------------------------------------------------------------------
 */

typedef struct asked {
    time_life *life;
    size_t rollup;
    const gr_tz *tz; /* as a query would ask for it */
    gr_run run;
    bool is_forced, is_in_slices, has_freshness, checks_fingerprint;
    size_t most_rounds;
    gr_arena *arena; /* of this refresh */
    gr_partition_row *before;
    size_t n_before;
    const freshness *freshness; /* of the last round */
    bool is_done;
} asked;

static const gr_rollup *rollup_of(const asked *a, const gr_snapshot *s) {
    gr_str id = gr_arena_printf(a->arena, GR_FMT "." GR_FMT, GR_ARG(a->life->world.cubes[0].name),
                                GR_ARG(a->life->world.cubes[0].rollups[a->rollup].name));
    for (size_t i = 0; i < s->model->n_preaggs; i++)
        if (gr_str_eq(s->model->preaggs[i]->id, id)) return gr_plan_index_rollup(s->index, s->model->preaggs[i]);
    return NULL;
}

static int64_t entity_of(const asked *a, const gr_snapshot *s, const gr_rollup *r) {
    const gr_rollup_state *state = gr_snapshot_state(s, r->entity->preagg, gr_rollup_zone(r->entity, a->tz));
    return state ? state->entity_id : 0;
}

static void read_rows(asked *a, int64_t entity_id, gr_partition_row **ret, size_t *ret_n) {
    gr_error err = {0};
    *ret = NULL;
    *ret_n = 0;
    if (entity_id && gr_catalog_partitions(gr_exec_catalog(a->life->bench.exec), entity_id, a->arena, ret, ret_n, &err))
        time_fail(a->life, "the catalog cannot be read: %s", err.message);
}

static gr_str value_for(const asked *a, const gr_rollup *r, const gr_partition_row *row) {
    bool is_timed = r->partition != GR_GRAIN_NONE && row->to_us != INT64_MIN && row->to_us != INT64_MAX;
    const gr_tz *tz = r->ranged && r->ranged->is_instant ? gr_tz_utc() : gr_rollup_zone(r, a->tz);
    int64_t end_us = is_timed ? gr_tz_to_utc(tz, row->to_us, NULL) : INT64_MAX;
    return value_of(a->freshness, end_us, a->arena);
}

/* Whether this partition need not have been made again. */
static bool is_fresh(const asked *a, const gr_rollup *r, const gr_partition_row *row) {
    const time_made *made = time_made_of(a->life, row->id);
    gr_run run = {row->from_us, row->to_us};
    if (a->is_forced || !made || row->quarantine.n) return false;
    if (!a->has_freshness) return r->partition != GR_GRAIN_NONE;
    if (!gr_str_eq(row->refresh_value, value_for(a, r, row))) return false;
    if (!a->checks_fingerprint) return true;
    if (made->now_us < a->life->redefined_us) return false; /* it may be another fingerprint */
    return row->fingerprint.n && time_is_same_slice(a->life, r, gr_rollup_zone(r, a->tz), &run, made->version,
                                                    time_version(a->life), made->now_us);
}

static bool was_there(const asked *a, int64_t id) {
    for (size_t i = 0; i < a->n_before; i++)
        if (a->before[i].id == id) return true;
    return false;
}

/* What a failed build has made already, later than what serves, may take its place. */
static void check_kept(asked *a, const gr_rollup *r, const gr_partition_row *after, size_t n) {
    for (size_t i = 0; i < a->n_before; i++) {
        const gr_partition_row *was = &a->before[i];
        if (!was->since || !is_fresh(a, r, was)) continue;
        for (size_t k = 0; k < n; k++) {
            const gr_partition_row *is = &after[k];
            if (!is->since || is->from_us != was->from_us || is->to_us != was->to_us ||
                !gr_str_eq(is->structure_hash, was->structure_hash))
                continue;
            if (is->id != was->id && !was_there(a, is->id))
                time_fail(a->life, "partition %lld was fresh and made again", (long long)was->id);
            a->life->counts->kept++;
        }
    }
}

/* All that serves has the value of now. */
static void check_values(asked *a, const gr_rollup *r, const gr_partition_row *after, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!after[i].since) continue;
        if (!gr_str_eq(after[i].refresh_value, value_for(a, r, &after[i])))
            time_fail(a->life, "partition %lld is of key " GR_FMT ", which is " GR_FMT " now", (long long)after[i].id,
                      GR_ARG(after[i].refresh_value), GR_ARG(value_for(a, r, &after[i])));
        a->life->counts->replaced += !was_there(a, after[i].id);
    }
}

/* A fingerprint of rows sees at least how many there are. */
static void check_seen(asked *a, const gr_rollup *r, const gr_partition_row *after, size_t n) {
    const gr_tz *zone = gr_rollup_zone(r, a->tz);
    for (size_t i = 0; i < n && !r->n_filters; i++) {
        const time_made *made = time_made_of(a->life, after[i].id);
        gr_run run = {after[i].from_us, after[i].to_us};
        bool is_limited = r->has_build_range && r->partition == GR_GRAIN_NONE; /* its run does not say to what */
        if (!after[i].since || !made || is_limited) continue;
        size_t then = time_rows_in(a->life, r, zone, &run, made->version, made->now_us),
               now = time_rows_in(a->life, r, zone, &run, time_version(a->life), made->now_us);
        if (then != now)
            time_fail(a->life, "partition %lld is of %zu rows, there are %zu, and it was not seen",
                      (long long)after[i].id, then, now);
    }
}

static void check_outcome(asked *a) {
    const gr_snapshot *s = gr_exec_snapshot_ref(a->life->bench.exec);
    const gr_rollup *r = rollup_of(a, s)->entity;
    int64_t entity_id = entity_of(a, s, r);
    gr_partition_row *after;
    size_t n;
    read_rows(a, entity_id, &after, &n);
    check_kept(a, r, after, n);
    bool is_whole = a->is_done && a->run.from_us == INT64_MIN && a->run.to_us == INT64_MAX;
    if (is_whole && a->has_freshness) check_values(a, r, after, n);
    const gr_rollup_state *state = gr_snapshot_state(s, r->preagg, gr_rollup_zone(r, a->tz));
    if (is_whole && (!state || !state->is_built || state->n_missing))
        time_fail(a->life, "everything was built, and something is missing");
    bool is_exact = a->is_forced || (a->has_freshness && a->checks_fingerprint &&
                                     a->freshness->policy->fingerprint == GR_FINGERPRINT_ROWS);
    if (is_whole && is_exact) {
        check_seen(a, r, after, n);
        time_promise p = {entity_id, time_version(a->life)};
        GR_PUSH(a->life->arena, &a->life->promises, p);
    }
    gr_exec_snapshot_unref(s);
}

/* ---- one refresh ----------------------------------------------------------------------------------------------------
 */

static gr_status build_round(asked *a, bool *ret_more, gr_error *err) {
    time_life *life = a->life;
    gr_ctx ctx = {.arena = a->arena, .now_us = life->now_us};
    const gr_snapshot *s = gr_exec_snapshot_ref(life->bench.exec);
    const gr_rollup *r = rollup_of(a, s);
    const gr_tz *zone = gr_rollup_zone(r->entity, a->tz);
    gr_build_ask ask = {.run = a->run, .is_forced = a->is_forced, .slice_us = a->is_in_slices ? 1 : 0};
    gr_build_result built = {0};
    freshness *f = NULL;
    gr_status status = freshness_of(life, r, zone, a->arena, &f, err);
    if (!status) {
        f->pub.checks_fingerprint = a->checks_fingerprint = a->checks_fingerprint && f->pub.has_fingerprint;
        a->freshness = f;
        if (a->has_freshness) ask.freshness = &f->pub;
        status = gr_exec_build(life->bench.exec, &ctx, s, r, zone, &ask, &built, err);
        time_after_build(life);
    }
    gr_exec_snapshot_unref(s);
    *ret_more = !status && built.is_more;
    return status;
}

/* As the server does when there are many tables; the numbers of its partitions are others then. */
static gr_status compact(asked *a, gr_error *err) {
    time_life *life = a->life;
    gr_ctx ctx = {.arena = a->arena, .now_us = life->now_us};
    const gr_snapshot *s = gr_exec_snapshot_ref(life->bench.exec);
    const gr_rollup *r = rollup_of(a, s)->entity;
    const gr_tz *zone = gr_rollup_zone(r, a->tz);
    const gr_build_ask ask = {.run = gr_run_all, .is_compaction = true};
    gr_build_result built;
    gr_status status = GR_OK;
    if (gr_exec_wants_compaction(s, r, zone)) {
        status = gr_exec_build(life->bench.exec, &ctx, s, r, zone, &ask, &built, err);
        life->counts->compactions++;
        TIME_LOG(life, "    put together\n");
        time_after_build(life);
    }
    gr_exec_snapshot_unref(s);
    return status;
}

static gr_status run(asked *a, gr_error *err) {
    const gr_snapshot *s = gr_exec_snapshot_ref(a->life->bench.exec);
    const gr_rollup *r = rollup_of(a, s);
    read_rows(a, entity_of(a, s, r), &a->before, &a->n_before);
    gr_exec_snapshot_unref(s);
    /* Forced, in slices, each slice would begin again. */
    size_t rounds = a->is_in_slices && a->is_forced ? 1 : a->most_rounds;
    for (size_t i = 0; i < rounds && !a->is_done && time_is_well(a->life); i++) {
        bool is_more = false;
        GR_TRY(build_round(a, &is_more, err));
        a->is_done = !is_more;
    }
    return GR_OK;
}

static asked random_asked(time_life *life, diff_random *r) {
    enum { ALL_ROUNDS = 200 };
    asked a = {.life = life, .run = gr_run_all, .tz = life->tz, .arena = gr_arena_new(), .has_freshness = true};
    a.rollup = diff_pick(r, life->world.cubes[0].n_rollups);
    if (diff_chance(r, 15) && gr_tz_get(life->world.zones[1], &a.tz, NULL)) a.tz = life->tz;
    a.is_forced = diff_chance(r, 15);
    a.is_in_slices = diff_chance(r, 35);
    a.has_freshness = diff_chance(r, 92);
    a.checks_fingerprint = diff_chance(r, 65);
    a.most_rounds = diff_chance(r, 50) ? (size_t)diff_between(r, 1, 4) : ALL_ROUNDS;
    if (diff_chance(r, 22)) {
        int64_t x = time_random_instant(life, r), y = time_random_instant(life, r);
        a.run = (gr_run){x < y ? x : y, x < y ? y : x};
        if (diff_chance(r, 30)) a.run.from_us = INT64_MIN;
    }
    return a;
}

static void log_asked(const asked *a) {
    TIME_LOG(a->life, "  refresh r%zu for " GR_FMT "%s%s%s%s, at most %zu rounds", a->rollup,
             GR_ARG(a->tz == a->life->tz ? a->life->world.zones[0] : a->life->world.zones[1]),
             a->is_forced ? ", forced" : "", a->is_in_slices ? ", in slices" : "",
             a->has_freshness ? "" : ", without a key", a->checks_fingerprint ? ", looks at the fingerprint" : "",
             a->most_rounds);
    if (a->run.to_us != INT64_MAX)
        TIME_LOG(a->life, ", [%lld, %lld)", (long long)a->run.from_us, (long long)a->run.to_us);
    TIME_LOG(a->life, "\n");
}

/* A build range that is taken from the rows has none without them. */
static bool is_no_range(const asked *a, gr_status status) {
    return status == GR_ERR_PREAGG_RANGE && a->life->world.cubes[0].rollups[a->rollup].is_range_of_rows;
}

void time_refresh(time_life *life, diff_random *r) {
    asked a = random_asked(life, r);
    gr_error err = {0};
    log_asked(&a);
    gr_status status = run(&a, &err);
    if (!status && time_is_well(life)) check_outcome(&a);
    if (!status && time_is_well(life) && diff_chance(r, 60)) status = compact(&a, &err);
    if (status && !is_no_range(&a, status)) time_fail(life, "the refresh failed: %s", err.message);
    gr_arena_free(a.arena);
}

void time_look(time_life *life, diff_random *r) {
    for (size_t i = 0; i < life->world.cubes[0].n_rollups && time_is_well(life); i++) {
        asked a = random_asked(life, r);
        gr_error err = {0};
        a.rollup = i;
        a.tz = life->tz;
        a.run = gr_run_all;
        a.is_forced = a.is_in_slices = false;
        a.has_freshness = a.checks_fingerprint = true;
        log_asked(&a);
        gr_status status = run(&a, &err);
        if (!status && time_is_well(life)) check_outcome(&a);
        if (status && !is_no_range(&a, status)) time_fail(life, "the refresh failed: %s", err.message);
        gr_arena_free(a.arena);
    }
}

void time_verify(time_life *life, diff_random *r) {
    asked a = random_asked(life, r);
    gr_ctx ctx = {.arena = a.arena, .now_us = life->now_us};
    gr_error err = {0};
    gr_verification seen = {0};
    freshness *f = NULL;
    const gr_snapshot *s = gr_exec_snapshot_ref(life->bench.exec);
    const gr_rollup *rollup = rollup_of(&a, s);
    const gr_tz *zone = gr_rollup_zone(rollup->entity, a.tz);
    TIME_LOG(life, "  verify r%zu\n", a.rollup);
    gr_status status = freshness_of(life, rollup, zone, a.arena, &f, &err);
    if (!status) status = gr_exec_verify_served(life->bench.exec, &ctx, s, rollup, zone, &f->pub, &seen, &err);
    gr_exec_snapshot_unref(s);
    if (status && status != GR_ERR_PREAGG_NOT_FOUND) time_fail(life, "the verification failed: %s", err.message);
    if (time_is_well(life)) time_check_states(life);
    gr_arena_free(a.arena);
}

void time_refresh_all(time_life *life, diff_random *r) {
    for (size_t i = 0; i < life->world.cubes[0].n_rollups && time_is_well(life); i++) {
        asked a = random_asked(life, r);
        gr_error err = {0};
        a.rollup = i;
        a.tz = life->tz;
        a.run = gr_run_all;
        a.is_forced = true;
        a.is_in_slices = false;
        log_asked(&a);
        gr_status status = run(&a, &err);
        if (!status && time_is_well(life)) check_outcome(&a);
        if (status && !is_no_range(&a, status)) time_fail(life, "the refresh failed: %s", err.message);
        gr_arena_free(a.arena);
    }
}

/* ---- failing --------------------------------------------------------------------------------------------------------
 */

/* In the table's place a view, of which one row cannot be read where more is asked than its time. */
static gr_str poisoned(const diff_table *t, int64_t id, gr_arena *arena) {
    gr_str text = gr_arena_printf(arena, "CREATE VIEW " GR_FMT " AS SELECT ", GR_ARG(t->name));
    for (size_t i = 0; i < t->n_columns; i++) {
        gr_str name = t->columns[i].name;
        bool is_plain = i < DIFF_COL_TXT || i >= DIFF_COL_AT;
        text = is_plain
                   ? gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(text), i ? ", " : "", GR_ARG(name))
                   : gr_arena_printf(arena,
                                     GR_FMT ", CASE WHEN id = %lld THEN CAST(error('poison') AS %s) ELSE " GR_FMT
                                            " END AS " GR_FMT,
                                     GR_ARG(text), (long long)id, t->columns[i].sql_type, GR_ARG(name), GR_ARG(name));
    }
    return gr_arena_printf(arena, GR_FMT " FROM " GR_FMT "_away", GR_ARG(text), GR_ARG(t->name));
}

static gr_status take_away(asked *a, diff_random *r, bool is_poison, gr_error *err) {
    const diff_table *t = time_table(a->life);
    GR_TRY(time_run_sql(
        a->life,
        gr_arena_printf(a->arena, "ALTER TABLE " GR_FMT " RENAME TO " GR_FMT "_away", GR_ARG(t->name), GR_ARG(t->name)),
        err));
    size_t row = diff_pick(r, t->n_rows);
    int64_t id = t->n_rows ? (int64_t)t->cells[row * t->n_columns + DIFF_COL_ID].as.i : 0;
    return is_poison ? time_run_sql(a->life, poisoned(t, id, a->arena), err) : GR_OK;
}

static gr_status bring_back(asked *a, bool is_poison, gr_error *err) {
    gr_str name = time_table(a->life)->name;
    if (is_poison) GR_TRY(time_run_sql(a->life, gr_arena_printf(a->arena, "DROP VIEW " GR_FMT, GR_ARG(name)), err));
    return time_run_sql(
        a->life, gr_arena_printf(a->arena, "ALTER TABLE " GR_FMT "_away RENAME TO " GR_FMT, GR_ARG(name), GR_ARG(name)),
        err);
}

void time_fail_refresh(time_life *life, diff_random *r) {
    asked a = random_asked(life, r);
    gr_error err = {0}, why = {0};
    bool is_poison = diff_chance(r, 75);
    a.is_forced = diff_chance(r, 60);
    TIME_LOG(life, "  %s:\n", is_poison ? "a row cannot be read" : "the table is away");
    log_asked(&a);
    if (take_away(&a, r, is_poison, &err)) {
        time_fail(life, "the table cannot be renamed: %s", err.message);
        return;
    }
    gr_status status = run(&a, &why);
    life->counts->failed_builds += status != GR_OK;
    if (!status && !is_poison && a.is_forced) time_fail(life, "it was built without its table");
    TIME_LOG(life, "    %s\n", status ? why.message : "built");
    if (bring_back(&a, is_poison, &err)) time_fail(life, "the table cannot be brought back: %s", err.message);
    gr_arena_free(a.arena);
}
