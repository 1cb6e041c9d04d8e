/* Changes of the first table: rows come at the end of time or late, are corrected, move to another time, and go. Each
 * makes a new version and writes it to the source whole. */
#include "differential/time/life.h"

typedef struct editor {
    time_life *life;
    diff_random *r;
    const diff_table *from;
    diff_table *to;
} editor;

gr_status time_run_sql(time_life *life, gr_str sql, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_ctx ctx = {.arena = scratch, .now_us = life->now_us};
    gr_sql text = {.text = sql, .place = GR_STR("default")};
    gr_status status = gr_exec_update(life->bench.exec, &ctx, &text, err);
    gr_arena_free(scratch);
    return status;
}

static diff_value *row_of(const diff_table *t, size_t row) { return &t->cells[row * t->n_columns]; }

static void copy_row(editor *e, const diff_value *cells) {
    memcpy(row_of(e->to, e->to->n_rows++), cells, e->to->n_columns * sizeof *cells);
}

static void copy_all(editor *e) {
    for (size_t i = 0; i < e->from->n_rows; i++) copy_row(e, row_of(e->from, i));
}

static void insert(editor *e, bool is_last) {
    time_life *l = e->life;
    size_t n = (size_t)diff_between(e->r, 1, 6);
    copy_all(e);
    for (size_t i = 0; i < n && l->n_pooled < l->pool->n_rows; i++) {
        diff_value *row = row_of(e->to, e->to->n_rows);
        copy_row(e, row_of(l->pool, l->n_pooled++));
        row[DIFF_COL_AT] = time_random_cell(l, e->r);
        int64_t us;
        if (!is_last || !time_of_row(e->to, e->to->n_rows - 1, &us)) continue;
        /* as late as the clock, and now and then beyond all partitions */
        int64_t shift = (l->now_us - us) / TIME_DAY * TIME_DAY;
        if (row[DIFF_COL_AT].kind == DIFF_TIME) row[DIFF_COL_AT].as.us = us + shift;
    }
}

/* Other values than keys, from another row that is to come. */
static void update(editor *e) {
    time_life *l = e->life;
    unsigned percent = (unsigned)diff_between(e->r, 3, 40);
    for (size_t i = 0; i < e->from->n_rows; i++) {
        diff_value *row = row_of(e->to, e->to->n_rows);
        copy_row(e, row_of(e->from, i));
        if (!diff_chance(e->r, percent)) continue;
        const diff_value *other = row_of(l->pool, diff_pick(e->r, l->pool->n_rows));
        for (size_t k = DIFF_COL_TXT; k < DIFF_COL_AT; k++)
            if (diff_chance(e->r, 50)) row[k] = other[k];
    }
}

static void move(editor *e) {
    unsigned percent = (unsigned)diff_between(e->r, 3, 30);
    for (size_t i = 0; i < e->from->n_rows; i++) {
        diff_value *row = row_of(e->to, e->to->n_rows);
        copy_row(e, row_of(e->from, i));
        if (!diff_chance(e->r, percent)) continue;
        row[DIFF_COL_AT] = diff_chance(e->r, 20) ? diff_null() : time_random_cell(e->life, e->r);
    }
}

static void drop(editor *e, bool is_stretch) {
    unsigned percent = (unsigned)diff_between(e->r, 3, 40);
    int64_t from_us = time_random_instant(e->life, e->r), to_us = from_us + 2 * e->life->unit_us, us;
    for (size_t i = 0; i < e->from->n_rows; i++) {
        bool has_time = time_of_row(e->from, i, &us);
        bool goes = is_stretch ? has_time && us >= from_us && us < to_us : diff_chance(e->r, percent);
        if (!goes) copy_row(e, row_of(e->from, i));
    }
}

static void write_table(time_life *life) {
    gr_error err = {0};
    const diff_table *t = time_table(life);
    gr_arena *scratch = gr_arena_new();
    gr_str insert_sql = diff_table_insert_sql(t, scratch);
    gr_status status = time_run_sql(life, gr_arena_printf(scratch, "DELETE FROM " GR_FMT, GR_ARG(t->name)), &err);
    if (!status && insert_sql.n) status = time_run_sql(life, insert_sql, &err);
    if (status) time_fail(life, "the source cannot be written: %s", err.message);
    gr_arena_free(scratch);
}

void time_change_table(time_life *life, diff_random *r, time_change change) {
    static const char *const names[] = {"insert at the end", "insert late",   "update",    "move in time",
                                        "delete some",       "delete a time", "delete all"};
    diff_table *to = GR_NEW(life->arena, diff_table);
    editor e = {.life = life, .r = r, .from = time_table(life), .to = to};
    *to = *e.from;
    to->n_rows = 0;
    to->cells = GR_NEW_N(life->arena, diff_value, (e.from->n_rows + 8) * to->n_columns);
    switch (change) {
    case TIME_INSERT_LAST: insert(&e, true); break;
    case TIME_INSERT_LATE: insert(&e, false); break;
    case TIME_UPDATE: update(&e); break;
    case TIME_MOVE: move(&e); break;
    case TIME_DELETE: drop(&e, false); break;
    case TIME_DELETE_STRETCH: drop(&e, true); break;
    case TIME_DELETE_ALL: break;
    }
    life->world.cubes[0].table = to;
    GR_PUSH(life->arena, &life->versions, (const diff_table *)to);
    TIME_LOG(life, "  %s: version %zu, %zu rows\n", names[change], time_version(life), to->n_rows);
    write_table(life);
}
