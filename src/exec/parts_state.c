/* The partitions of a served build: tables, what they cover, and what is missing.
 *
 *      wanted    [-----------------------------)
 *      live      [----)[----)      [----)[----)        rows of the catalog, without quarantined ones
 *      missing              [------)
 *      covered  …[----------)      [-----------)…      … where nothing limits the range, there is nothing beyond it */
#include "exec/internal.h"

#include "base/map.h"

typedef GR_VEC(gr_run) runs;
typedef GR_VEC(gr_partition_table) tables;

/* Joined to the last one when they touch. */
static void add_run(runs *all, gr_run run, gr_arena *arena) {
    if (run.from_us >= run.to_us) return;
    if (all->n && run.from_us <= all->v[all->n - 1].to_us) {
        if (run.to_us > all->v[all->n - 1].to_us) all->v[all->n - 1].to_us = run.to_us;
        return;
    }
    GR_PUSH(arena, all, run);
}

typedef struct shown {
    gr_partition *v;
    size_t n;
    const gr_partition_row **rows; /* parallel */
    tables tables;
    bool has_null;
    int64_t oldest_us, n_rows;
} shown;

static uint32_t table_of(shown *s, gr_map *by_name, const gr_partition_row *row, gr_arena *arena) {
    size_t *known = gr_map_get(by_name, row->table_name);
    if (known) return (uint32_t)*known;
    size_t *at = GR_NEW(arena, size_t);
    *at = s->tables.n;
    gr_partition_table table = {.text = row->table_name};
    GR_PUSH(arena, &s->tables, table);
    gr_map_put(by_name, row->table_name, at);
    return (uint32_t)*at;
}

static void take_rows(shown *s, const gr_build_row *build, const gr_partition_row *rows, size_t n, gr_arena *arena) {
    gr_map by_name;
    gr_map_init(&by_name, arena);
    s->v = GR_NEW_N(arena, gr_partition, n + 1);
    s->rows = GR_NEW_N(arena, const gr_partition_row *, n + 1);
    s->oldest_us = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        const gr_partition_row *row = &rows[i];
        if (!row->since || row->quarantine.n || !gr_str_eq(row->structure_hash, build->structure_hash)) continue;
        s->rows[s->n] = row;
        s->v[s->n++] = (gr_partition){.id = row->id,
                                      .run = {row->from_us, row->to_us},
                                      .table = table_of(s, &by_name, row, arena),
                                      .rows = row->rows,
                                      .built_at_us = row->built_us};
        s->has_null |= row->to_us == INT64_MIN;
        s->n_rows += row->rows;
        if (row->built_us < s->oldest_us) s->oldest_us = row->built_us;
    }
}

/* A table that holds more than what is live of it is read by ranges. */
static void find_live(shown *s, gr_arena *arena) {
    size_t *counts = GR_NEW_N(arena, size_t, s->tables.n + 1);
    runs *live = GR_NEW_N(arena, runs, s->tables.n + 1);
    for (size_t i = 0; i < s->n; i++) counts[s->v[i].table]++;
    for (size_t i = 0; i < s->n; i++) {
        gr_partition_table *t = &s->tables.v[s->v[i].table];
        if ((int64_t)counts[s->v[i].table] == s->rows[i]->table_parts) continue;
        if (s->v[i].run.to_us == INT64_MIN) t->has_null = true;
        add_run(&live[s->v[i].table], s->v[i].run, arena);
        t->live = live[s->v[i].table].v;
        t->n_live = live[s->v[i].table].n;
    }
}

static void find_covered(const shown *s, gr_run wanted, gr_run limits, int64_t n_without_time, gr_arena *arena,
                         gr_rollup_state *state) {
    runs covered = {0}, missing = {0};
    int64_t at = wanted.from_us;
    if (n_without_time && !s->has_null) GR_PUSH(arena, &missing, ((gr_run){INT64_MIN, INT64_MIN + 1}));
    if (limits.from_us == INT64_MIN) add_run(&covered, (gr_run){INT64_MIN, wanted.from_us}, arena);
    for (size_t i = 0; i < s->n; i++) {
        gr_run run = s->v[i].run;
        if (run.to_us == INT64_MIN) continue;
        add_run(&missing, (gr_run){at, run.from_us < wanted.to_us ? run.from_us : wanted.to_us}, arena);
        if (run.to_us > at) at = run.to_us;
        add_run(&covered, run, arena);
    }
    add_run(&missing, (gr_run){at, wanted.to_us}, arena);
    /* The last bucket may be whole beyond the last value. */
    int64_t end = at > wanted.to_us ? at : wanted.to_us;
    if (limits.to_us == INT64_MAX) add_run(&covered, (gr_run){end, INT64_MAX}, arena);
    state->covered = covered.v;
    state->n_covered = covered.n;
    state->missing = missing.v;
    state->n_missing = missing.n;
    bool is_all = covered.n == 1 && covered.v[0].from_us == INT64_MIN && covered.v[0].to_us == INT64_MAX;
    state->has_range = !is_all || missing.n;
}

void gr_exec_parts_show(const gr_exec *exec, const gr_rollup *r, const gr_build_row *build,
                        const gr_partition_row *rows, size_t n, gr_arena *arena, gr_rollup_state *state) {
    shown s = {0};
    gr_run wanted, limits;
    int64_t n_without_time = 0;
    state->is_built = false;
    take_rows(&s, build, rows, n, arena);
    if (!s.n || !gr_exec_coverage_wanted(build->coverage, arena, &wanted, &limits, &n_without_time)) return;
    state->wanted = wanted;
    state->limits = limits;
    state->n_without_time = n_without_time;
    for (size_t i = 0; i < s.tables.n; i++) s.tables.v[i].text = gr_store_local(exec->config, s.tables.v[i].text);
    find_live(&s, arena);
    find_covered(&s, wanted, limits, n_without_time, arena, state);
    state->is_built = true;
    state->partitions = s.v;
    state->n_partitions = s.n;
    state->tables = s.tables.v;
    state->n_tables = s.tables.n;
    state->rows = s.n_rows;
    if (s.oldest_us < state->built_at_us) state->built_at_us = s.oldest_us;
    state->table = gr_sql_partitions(r, state, gr_exec_dialect_of(exec, r->place), arena);
}
