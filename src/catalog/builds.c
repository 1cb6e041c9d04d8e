/* Builds: one row per try to fill an entity's table, numbered from 1 in each entity.
 * Invariants: at most one build of an entity is running (also a unique index says so); a table is visible only through
 * its `done` record, and after a publish exactly one build of the entity is done. A row names its table as long as the
 * table may exist, so that whatever a crash leaves behind can be found and dropped. */
#include "catalog/internal.h"

#include "base/clock.h"

enum { N_STATUSES = GR_BUILD_DROPPED + 1 };

static const char *const status_names[N_STATUSES] = {[GR_BUILD_RUNNING] = "running",
                                                     [GR_BUILD_DONE] = "done",
                                                     [GR_BUILD_FAILED] = "failed",
                                                     [GR_BUILD_DROPPED] = "dropped"};

static const gr_str left_behind = GR_STR_INIT("the process ended during the build");

typedef GR_VEC(gr_build_row) row_list;

gr_str gr_build_status_name(gr_build_status status) {
    return gr_str_from((unsigned)status < N_STATUSES ? status_names[status] : "unknown");
}

/* The table's CHECK lets no other text in. */
static gr_build_status status_of(sqlite3_stmt *s, int at) {
    const char *text = (const char *)sqlite3_column_text(s, at);
    for (int i = 0; text && i < N_STATUSES; i++)
        if (strcmp(text, status_names[i]) == 0) return (gr_build_status)i;
    return GR_BUILD_FAILED;
}

/* Columns as in GR_CATALOG_BUILD_COLUMNS. */
void gr_catalog_build_read(sqlite3_stmt *s, int first, gr_arena *arena, gr_build_row *ret) {
    *ret = (gr_build_row){
        .id = sqlite3_column_int64(s, first),
        .preagg_id = sqlite3_column_int64(s, first + 1),
        .number = sqlite3_column_int64(s, first + 2),
        .status = status_of(s, first + 3),
        .table_name = gr_catalog_col_str(s, first + 4, arena),
        .structure_hash = gr_catalog_col_str(s, first + 5, arena),
        .started_us = sqlite3_column_int64(s, first + 6),
        .finished_us = sqlite3_column_int64(s, first + 7),
        .rows = sqlite3_column_int64(s, first + 8),
        .bytes = sqlite3_column_int64(s, first + 9),
        .error = gr_catalog_col_str(s, first + 10, arena),
        .coverage = gr_catalog_col_str(s, first + 11, arena),
    };
}

static gr_status read_all(gr_catalog *c, sqlite3_stmt *s, gr_arena *arena, row_list *rows, gr_error *err) {
    for (bool is_row = true;;) {
        GR_TRY(gr_catalog_step(c, s, &is_row, err));
        if (!is_row) return GR_OK;
        gr_build_row row;
        gr_catalog_build_read(s, 0, arena, &row);
        GR_PUSH(arena, rows, row);
    }
}

/* A build together with what its entity says about it now. */
typedef struct build_state {
    int64_t id, number;
    gr_build_status status;
    gr_catalog_entity entity;
    bool is_wanted;
} build_state;

static gr_status find_build(gr_catalog *c, int64_t id, build_state *ret, gr_error *err) {
    bool is_found = false;
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_STATE);
    sqlite3_bind_int64(s, 1, id);
    GR_TRY(gr_catalog_step(c, s, &is_found, err));
    if (!is_found) return gr_error_set(err, GR_ERR_INTERNAL, "the catalog has no build with id %lld", (long long)id);
    int64_t preagg_id = sqlite3_column_int64(s, 0);
    *ret = (build_state){.id = id,
                         .number = sqlite3_column_int64(s, 1),
                         .status = status_of(s, 2),
                         .is_wanted = sqlite3_column_int(s, 3) != 0};
    sqlite3_reset(s);
    return gr_catalog_entity_find(c, preagg_id, &ret->entity, err);
}

static gr_status refuse(const build_state *b, const char *to, gr_error *err) {
    return gr_error_set(err, GR_ERR_PREAGG_BUILD, "build %lld of pre-aggregation %lld cannot become %s: it is %s",
                        (long long)b->number, (long long)b->entity.id, to, status_names[b->status]);
}

/* The longest head of at most `max` bytes that does not end within a UTF-8 sequence. */
static gr_str cut_utf8(gr_str s, size_t max) {
    if (s.n <= max) return s;
    size_t n = max;
    while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) n--;
    return gr_str_sub(s, 0, n);
}

static gr_status fail_build(gr_catalog *c, const build_state *b, gr_str error, int64_t now_us, gr_error *err) {
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_FAIL);
    sqlite3_bind_int64(s, 1, b->id);
    sqlite3_bind_int64(s, 2, now_us);
    gr_catalog_bind_str(s, 3, error);
    GR_TRY(gr_catalog_run(c, s, err));
    return gr_catalog_entity_move(c, &b->entity, GR_PREAGG_FAILED, error, b->entity.materialized_us, now_us, err);
}

/* A running build, of one entity or (0) of any, whose process is gone becomes failed. *ret_alive: one still runs. */
static gr_status recover(gr_catalog *c, int64_t preagg_id, int64_t now_us, bool *ret_alive, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    GR_VEC(int64_t) dead = {0};
    gr_status status;
    *ret_alive = false;
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_RUNNING);
    sqlite3_bind_int64(s, 1, preagg_id);
    for (bool is_row = true; !(status = gr_catalog_step(c, s, &is_row, err)) && is_row;) {
        if (gr_catalog_owner_is_alive(c, sqlite3_column_int64(s, 1)))
            *ret_alive = true;
        else
            GR_PUSH(scratch, &dead, sqlite3_column_int64(s, 0));
    }
    for (size_t i = 0; !status && i < dead.n; i++) {
        build_state b = {0};
        status = find_build(c, dead.v[i], &b, err);
        if (!status) status = fail_build(c, &b, left_behind, now_us, err);
    }
    gr_arena_free(scratch);
    return status;
}

gr_status gr_catalog_builds_recover(gr_catalog *c, gr_error *err) {
    bool is_alive;
    GR_TRY(gr_catalog_tx_begin(c, err));
    return gr_catalog_tx_end(c, recover(c, 0, gr_clock_now_us(), &is_alive, err), err);
}

static gr_status prune(gr_catalog *c, int64_t preagg_id, int64_t number, gr_error *err) {
    if (number <= CATALOG_KEEP_BUILDS) return GR_OK;
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_PRUNE);
    sqlite3_bind_int64(s, 1, preagg_id);
    sqlite3_bind_int64(s, 2, number - CATALOG_KEEP_BUILDS);
    return gr_catalog_run(c, s, err);
}

static gr_status begin_build(gr_catalog *c, int64_t preagg_id, gr_str structure_hash, int64_t now_us, int64_t *ret_id,
                             int64_t *ret_number, gr_error *err) {
    bool is_alive = false, is_row = false;
    gr_catalog_entity entity;
    GR_TRY(recover(c, preagg_id, now_us, &is_alive, err));
    GR_TRY(gr_catalog_entity_find(c, preagg_id, &entity, err));
    if (is_alive)
        return gr_error_set(err, GR_ERR_PREAGG_BUILD, "a build of pre-aggregation %lld is running already",
                            (long long)preagg_id);
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_ADD);
    sqlite3_bind_int64(s, 1, preagg_id);
    sqlite3_bind_int64(s, 2, c->owner);
    gr_catalog_bind_str(s, 3, structure_hash);
    sqlite3_bind_int64(s, 4, now_us);
    GR_TRY(gr_catalog_step(c, s, &is_row, err));
    *ret_id = sqlite3_column_int64(s, 0);
    *ret_number = sqlite3_column_int64(s, 1);
    sqlite3_reset(s);
    GR_TRY(prune(c, preagg_id, *ret_number, err));
    return gr_catalog_entity_move(c, &entity, GR_PREAGG_MATERIALIZING, (gr_str){0}, entity.materialized_us, now_us,
                                  err);
}

gr_status gr_catalog_build_begin(gr_catalog *c, int64_t preagg_id, gr_str structure_hash, int64_t now_us,
                                 int64_t *ret_build_id, int64_t *ret_number, gr_error *err) {
    const gr_catalog_text text = {"structure hash", structure_hash, CATALOG_MAX_NAME, true};
    int64_t id = 0, number = 0;
    GR_TRY(gr_catalog_check_texts(&text, 1, err));
    GR_TRY(gr_catalog_tx_begin(c, err));
    GR_TRY(gr_catalog_tx_end(c, begin_build(c, preagg_id, structure_hash, now_us, &id, &number, err), err));
    *ret_build_id = id;
    *ret_number = number;
    return GR_OK;
}

static gr_status name_table(gr_catalog *c, int64_t build_id, gr_str table_name, gr_error *err) {
    build_state b = {0};
    GR_TRY(find_build(c, build_id, &b, err));
    bool may_name = b.status == GR_BUILD_RUNNING,
         may_forget = b.status == GR_BUILD_FAILED || b.status == GR_BUILD_DROPPED;
    if (table_name.n ? !may_name : !may_forget) return refuse(&b, table_name.n ? "a table" : "forgotten", err);
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_TABLE);
    sqlite3_bind_int64(s, 1, build_id);
    gr_catalog_bind_str(s, 2, table_name);
    return gr_catalog_run(c, s, err);
}

gr_status gr_catalog_build_table(gr_catalog *c, int64_t build_id, gr_str table_name, gr_error *err) {
    const gr_catalog_text text = {"table name", table_name, CATALOG_MAX_NAME, false};
    GR_TRY(gr_catalog_check_texts(&text, 1, err));
    GR_TRY(gr_catalog_tx_begin(c, err));
    return gr_catalog_tx_end(c, name_table(c, build_id, table_name, err), err);
}

/* Every done build of the entity becomes dropped; rows are returned as they are afterwards. */
static gr_status drop_done(gr_catalog *c, int64_t preagg_id, gr_arena *arena, row_list *rows, gr_error *err) {
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_SERVING);
    sqlite3_bind_int64(s, 1, preagg_id);
    GR_TRY(read_all(c, s, arena, rows, err));
    for (size_t i = 0; i < rows->n; i++) rows->v[i].status = GR_BUILD_DROPPED;
    s = gr_catalog_stmt_get(c, ST_BUILD_DROP);
    sqlite3_bind_int64(s, 1, preagg_id);
    return gr_catalog_run(c, s, err);
}

typedef struct built {
    int64_t rows, bytes;
    gr_str coverage;
} built;

static gr_status publish(gr_catalog *c, int64_t build_id, const built *made, int64_t now_us, gr_arena *arena,
                         row_list *old, gr_error *err) {
    build_state b = {0};
    GR_TRY(find_build(c, build_id, &b, err));
    if (b.status != GR_BUILD_RUNNING) return refuse(&b, "done", err);
    GR_TRY(drop_done(c, b.entity.id, arena, old, err));
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_DONE);
    sqlite3_bind_int64(s, 1, build_id);
    sqlite3_bind_int64(s, 2, now_us);
    sqlite3_bind_int64(s, 3, made->rows);
    sqlite3_bind_int64(s, 4, made->bytes);
    gr_catalog_bind_str(s, 5, made->coverage);
    GR_TRY(gr_catalog_run(c, s, err));
    gr_preagg_status to = b.is_wanted ? GR_PREAGG_ACTIVE : GR_PREAGG_STALE;
    return gr_catalog_entity_move(c, &b.entity, to, (gr_str){0}, now_us, now_us, err);
}

gr_status gr_catalog_build_done(gr_catalog *c, int64_t build_id, int64_t rows, int64_t bytes, gr_str coverage,
                                int64_t now_us, gr_arena *arena, gr_build_row **ret_old, size_t *ret_n_old,
                                gr_error *err) {
    const built made = {rows, bytes, coverage.n ? coverage : GR_STR("{}")};
    const gr_catalog_text text = {"coverage", made.coverage, CATALOG_MAX_JSON, true};
    row_list old = {0};
    GR_TRY(gr_catalog_check_texts(&text, 1, err));
    GR_TRY(gr_catalog_tx_begin(c, err));
    GR_TRY(gr_catalog_tx_end(c, publish(c, build_id, &made, now_us, arena, &old, err), err));
    *ret_old = old.v;
    *ret_n_old = old.n;
    return GR_OK;
}

static gr_status give_up(gr_catalog *c, int64_t build_id, gr_str error, int64_t now_us, gr_error *err) {
    build_state b = {0};
    GR_TRY(find_build(c, build_id, &b, err));
    if (b.status == GR_BUILD_FAILED) return GR_OK; /* told twice; the first reason stays */
    if (b.status != GR_BUILD_RUNNING) return refuse(&b, "failed", err);
    return fail_build(c, &b, error, now_us, err);
}

gr_status gr_catalog_build_failed(gr_catalog *c, int64_t build_id, gr_str error, int64_t now_us, gr_error *err) {
    /* An engine's message is not ours to vouch for: what is no text is replaced, for the failure must be recorded. */
    gr_str why = cut_utf8(error, CATALOG_MAX_ERROR);
    if (!why.n) why = GR_STR("the build failed without a message");
    if (!gr_str_is_utf8(why) || gr_str_find(why, 0, 0) != SIZE_MAX)
        why = GR_STR("the build failed; its message is not UTF-8 text");
    GR_TRY(gr_catalog_tx_begin(c, err));
    return gr_catalog_tx_end(c, give_up(c, build_id, why, now_us, err), err);
}

gr_status gr_catalog_builds(gr_catalog *c, int64_t preagg_id, gr_arena *arena, gr_build_row **ret, size_t *ret_n,
                            gr_error *err) {
    row_list rows = {0};
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *s = gr_catalog_stmt_get(c, ST_BUILD_ALL);
    sqlite3_bind_int64(s, 1, preagg_id);
    gr_status status = read_all(c, s, arena, &rows, err);
    pthread_mutex_unlock(&c->lock);
    if (status) return status;
    *ret = rows.v;
    *ret_n = rows.n;
    return GR_OK;
}

static gr_status drop_builds(gr_catalog *c, int64_t preagg_id, int64_t now_us, gr_arena *arena, row_list *rows,
                             gr_error *err) {
    bool is_alive = false;
    gr_catalog_entity entity;
    GR_TRY(recover(c, preagg_id, now_us, &is_alive, err));
    GR_TRY(gr_catalog_entity_find(c, preagg_id, &entity, err));
    GR_TRY(drop_done(c, preagg_id, arena, rows, err));
    gr_preagg_status to = is_alive ? GR_PREAGG_MATERIALIZING : GR_PREAGG_PENDING;
    return gr_catalog_entity_move(c, &entity, to, (gr_str){0}, 0, now_us, err);
}

gr_status gr_catalog_drop_builds(gr_catalog *c, int64_t preagg_id, int64_t now_us, gr_arena *arena, gr_build_row **ret,
                                 size_t *ret_n, gr_error *err) {
    row_list rows = {0};
    GR_TRY(gr_catalog_tx_begin(c, err));
    GR_TRY(gr_catalog_tx_end(c, drop_builds(c, preagg_id, now_us, arena, &rows, err), err));
    *ret = rows.v;
    *ret_n = rows.n;
    return GR_OK;
}
