/* Putting the tables of many small partitions together.
 *
 *   tables by size:  [1][1][2][4][8][8][16] … [512]      too many to read at once
 *                    '------- merged -------'  [512]     the same partitions, in fewer tables
 *
 * A query that reads a year of days would pay for hundreds of tables; so when a version has more than MOST_TABLES, the
 * smallest are copied into one. Nothing else changes: partitions keep their time, build time, checksum and values, and
 * the copy is only published when the checksum of each is the same. */
#include "exec/build.h"

#include "base/buf.h"
#include "base/fault.h"

#include <stdlib.h>

enum { MOST_TABLES = 8, KEPT_TABLES = 3 };

typedef struct table {
    gr_str name;
    int64_t rows;
    bool is_merged;
} table;
typedef GR_VEC(table) tables;

static table *table_of(tables *all, gr_str name) {
    for (size_t i = 0; i < all->n; i++)
        if (gr_str_eq(all->v[i].name, name)) return &all->v[i];
    return NULL;
}

static int by_rows(const void *a, const void *b) {
    const table *x = a, *y = b;
    if (x->rows != y->rows) return x->rows < y->rows ? -1 : 1;
    return gr_str_cmp(x->name, y->name);
}

static bool is_live(const gr_exec_job *j, const gr_partition_row *row) {
    return row->since && !row->quarantine.n && gr_str_eq(row->structure_hash, gr_str_from(j->claim.structure_hash));
}

/* All but the largest few; none when they are not too many. */
static size_t choose(const gr_exec_job *j, const gr_partition_row *rows, size_t n, tables *ret) {
    tables all = {0};
    for (size_t i = 0; i < n; i++) {
        if (!is_live(j, &rows[i])) continue;
        table *t = table_of(&all, rows[i].table_name);
        if (!t) {
            table fresh = {.name = rows[i].table_name};
            GR_PUSH(j->ctx->arena, &all, fresh);
            t = &all.v[all.n - 1];
        }
        t->rows += rows[i].rows;
    }
    *ret = all;
    if (all.n <= MOST_TABLES) return 0;
    qsort(all.v, all.n, sizeof *all.v, by_rows);
    for (size_t i = 0; i + KEPT_TABLES < all.n; i++) all.v[i].is_merged = true;
    return all.n - KEPT_TABLES;
}

/* Time first, as in every load. */
static gr_str order_of(const gr_exec_job *j) {
    const gr_rollup *r = j->rollup;
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < r->n_columns; i++) {
        const gr_rollup_column *c = &r->columns[(i + r->n_columns - r->n_times) % r->n_columns];
        gr_buf_printf(&out, "%s" GR_FMT, i ? ", " : "",
                      GR_ARG(gr_sql_quote(gr_exec_dialect_of(j->exec, r->place), c->name, j->ctx->arena)));
    }
    gr_str text = gr_arena_dup(j->ctx->arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static int64_t key_of(const gr_rollup *r, const gr_partition_row *row) {
    if (row->to_us == INT64_MIN) return INT64_MIN;
    return gr_granularity_floor(gr_granularity_predefined(r->partition), 0, row->from_us);
}

/* Each partition came over as it was. */
static gr_status check(gr_exec_job *j, const gr_partition_row *rows, size_t n, gr_error *err) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t key = key_of(j->rollup, &rows[i]), found = 0;
        gr_str checksum = GR_STR("0");
        while (at < j->stat.n_parts && j->stat.parts[at].key_us < key) at++;
        if (at < j->stat.n_parts && j->stat.parts[at].key_us == key) {
            found = j->stat.parts[at].rows;
            checksum = j->stat.parts[at].checksum;
        }
        if (found == rows[i].rows && gr_str_eq(checksum, rows[i].checksum)) continue;
        return gr_error_set(err, GR_ERR_PREAGG_MISMATCH, "Partition " GR_FMT " has changed while it was copied",
                            GR_ARG(gr_exec_part_digits(j->rollup, key, j->ctx->arena)));
    }
    return GR_OK;
}

static gr_status copy(gr_exec_job *j, gr_engine_conn *conn, const gr_build_row *serving, gr_partition_row *rows,
                      size_t n, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    gr_rollup_state from = {0};
    gr_exec_parts_show(j->exec, j->rollup, serving, rows, n, arena, &from);
    if (!from.is_built) return gr_error_set(err, GR_ERR_INTERNAL, "there is nothing to put together");
    j->table = gr_store_table_name(j->exec->config, j->rollup, GR_STR("merged"), gr_str_from(j->claim.structure_hash),
                                   j->claim.build_id, j->exec->dialect, arena);
    const gr_sql select = {.text = gr_arena_printf(arena, "SELECT * FROM " GR_FMT " AS \"p\" ORDER BY " GR_FMT,
                                                   GR_ARG(from.table), GR_ARG(order_of(j))),
                           .place = gr_exec_store_source(j->rollup),
                           .is_native = conn->engine != j->exec->engine};
    j->added = GR_NEW_N(arena, int64_t, n + 1);
    j->ended = GR_NEW_N(arena, int64_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        j->ended[i] = rows[i].id;
        rows[i].table_name = j->table.text;
        rows[i].table_parts = (int64_t)n;
    }
    GR_TRY(gr_catalog_partitions_begin(j->exec->catalog, j->claim.build_id, rows, n, j->added, err));
    gr_fault_point("build.named");
    GR_TRY(gr_exec_fill(j, false, conn, j->ctx, &j->table, &select, err));
    GR_TRY(gr_store_stat_table(conn, j->ctx, j->rollup, j->table.local, gr_exec_dialect_of(j->exec, j->rollup->place),
                               &j->stat, err));
    GR_TRY(check(j, rows, n, err));
    for (size_t i = 0; i < n; i++) rows[i].id = j->added[i];
    GR_TRY(gr_catalog_partitions_made(j->exec->catalog, j->claim.build_id, rows, n, err));
    gr_fault_point("build.made");
    j->n_added = j->n_ended = n;
    return GR_OK;
}

gr_status gr_exec_parts_compact(gr_exec_job *j, gr_engine_conn *conn, gr_error *err) {
    gr_arena *arena = j->ctx->arena;
    gr_partition_row *rows, *chosen;
    gr_preagg_row row;
    size_t n, n_chosen = 0;
    tables all;
    bool is_found = false;
    GR_TRY(gr_catalog_get(j->exec->catalog, j->claim.entity_id, arena, &row, &is_found, err));
    GR_TRY(gr_catalog_partitions(j->exec->catalog, j->claim.entity_id, arena, &rows, &n, err));
    bool is_same =
        is_found && row.has_serving && gr_str_eq(row.serving.structure_hash, gr_str_from(j->claim.structure_hash));
    if (!is_same || !choose(j, rows, n, &all)) return GR_OK;
    chosen = GR_NEW_N(arena, gr_partition_row, n + 1);
    for (size_t i = 0; i < n; i++)
        if (is_live(j, &rows[i]) && table_of(&all, rows[i].table_name)->is_merged) chosen[n_chosen++] = rows[i];
    GR_TRY(copy(j, conn, &row.serving, chosen, n_chosen, err));
    j->coverage = row.serving.coverage;
    j->stat.rows = j->result.rows = row.serving.rows;
    j->stat.bytes = row.serving.bytes;
    j->result.n_built = 0;
    return GR_OK;
}

bool gr_exec_wants_compaction(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone) {
    const gr_rollup_state *s = gr_snapshot_state(snapshot, rollup->preagg, zone);
    return s && s->is_built && s->n_tables > MOST_TABLES;
}
