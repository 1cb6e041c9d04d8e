/* Builds: one row per try to fill an entity's table, numbered from 1 in each entity.
 * Invariants: at most one build of an entity is running (also a unique index says so), held by a handle that lives and
 * looks after it (servers.c); a table is visible only through its `done` record; the newest done build of an entity is
 * what serves, earlier ones stay done as far as they are kept (keep_versions). A row names its table as long as the
 * table may exist, so that whatever a crash leaves behind can be found and dropped. */
#include "catalog/internal.h"

#include <math.h>

enum { N_STATUSES = GR_BUILD_DROPPED + 1, PARTS = 1000000 /* progress is stored in millionths */ };

static const char *const status_names[N_STATUSES] = {[GR_BUILD_RUNNING] = "running",
                                                     [GR_BUILD_DONE] = "done",
                                                     [GR_BUILD_FAILED] = "failed",
                                                     [GR_BUILD_DROPPED] = "dropped"};

static const gr_str left_behind = GR_STR_INIT("the process ended during the build");

gr_str gr_build_status_name(gr_build_status status) {
    return gr_str_from((unsigned)status < N_STATUSES ? status_names[status] : "unknown");
}

/* The table's CHECK lets no other text in. */
static gr_build_status status_of(gr_str name) {
    for (int i = 0; i < N_STATUSES; i++)
        if (gr_str_eq_z(name, status_names[i])) return (gr_build_status)i;
    return GR_BUILD_FAILED;
}

/* Columns as in GR_CATALOG_BUILD_COLUMNS. */
gr_status gr_catalog_build_read(const gr_catalog_table *t, size_t i, gr_arena *arena, gr_build_row *ret,
                                gr_error *err) {
    gr_build_row b = {.id = gr_catalog_i64(t, i, 0),
                      .preagg_id = gr_catalog_i64(t, i, 1),
                      .number = gr_catalog_i64(t, i, 2),
                      .status = status_of(gr_catalog_text(t, i, 3)),
                      .table_name = gr_arena_dup(arena, gr_catalog_text(t, i, 4)),
                      .base_hash = gr_arena_dup(arena, gr_catalog_text(t, i, 5)),
                      .structure_hash = gr_arena_dup(arena, gr_catalog_text(t, i, 6)),
                      .started_us = gr_catalog_i64(t, i, 8),
                      .finished_us = gr_catalog_i64(t, i, 9),
                      .rows = gr_catalog_i64(t, i, 10),
                      .bytes = gr_catalog_i64(t, i, 11),
                      .fraction = -1,
                      .error = gr_arena_dup(arena, gr_catalog_text(t, i, 13)),
                      .coverage = gr_arena_dup(arena, gr_catalog_text(t, i, 14)),
                      .server = gr_arena_dup(arena, gr_catalog_text(t, i, 15))};
    int64_t progress = gr_catalog_i64(t, i, 12);
    if (b.status == GR_BUILD_RUNNING && progress >= 0) b.fraction = (double)progress / PARTS;
    GR_TRY(gr_catalog_components_read(gr_catalog_text(t, i, 7), arena, &b.components, &b.n_components, err));
    *ret = b;
    return GR_OK;
}

/* ---- steps ---------------------------------------------------------------------------------------------------------
 */
typedef struct build_state {
    gr_build_row row;
    gr_catalog_entity entity;
} build_state;

static gr_status find_build(gr_catalog_call *k, int64_t id, build_state *ret) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, BUILD_BY_ID, &t, I64(id)));
    if (!t.n_rows) return gr_error_set(k->err, GR_ERR_INTERNAL, "the catalog has no build with id %lld", (long long)id);
    GR_TRY(gr_catalog_build_read(&t, 0, k->arena, &ret->row, k->err));
    return gr_catalog_entity_find(k, ret->row.preagg_id, FILL_SERVING, k->arena, &ret->entity);
}

static gr_status refuse(gr_catalog_call *k, const build_state *b, const char *to) {
    return gr_error_set(k->err, GR_ERR_PREAGG_BUILD, "build %lld of pre-aggregation %lld cannot become %s: it is %s",
                        (long long)b->row.number, (long long)b->row.preagg_id, to, status_names[b->row.status]);
}

static gr_status note(gr_catalog_call *k, int64_t id, gr_str node, int64_t number, const char *pre, const char *post) {
    gr_str none = {0};
    return gr_catalog_note(
        k,
        (gr_catalog_event){
            .entity_type = "build",
            .activity = pre ? "status_change" : "create",
            .entity_name = gr_catalog_id_text(id, k->arena),
            .node = node,
            .pre = pre ? gr_catalog_object_write(k->arena, "status", gr_str_from(pre), NULL, none) : none,
            .post = gr_catalog_object_write(k->arena, "status", gr_str_from(post), NULL, none),
            .details = gr_catalog_object_write(k->arena, "number", gr_catalog_id_text(number, k->arena), NULL, none)});
}

static gr_status note_build(gr_catalog_call *k, const build_state *b, gr_build_status to) {
    return note(k, b->row.id, b->entity.row.decl.node, b->row.number, status_names[b->row.status], status_names[to]);
}

/* The longest head of at most `max` bytes that does not end within a UTF-8 sequence. */
static gr_str cut_utf8(gr_str s, size_t max) {
    if (s.n <= max) return s;
    size_t n = max;
    while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) n--;
    return gr_str_sub(s, 0, n);
}

static gr_status fail_build(gr_catalog_call *k, build_state *b, gr_str error) {
    GR_TRY(RUN(k, BUILD_FAIL, NULL, I64(b->row.id), I64(k->actor.now_us), STR(error)));
    GR_TRY(note_build(k, b, GR_BUILD_FAILED));
    GR_TRY(gr_catalog_doom(k, b->row.id, b->row.table_name, k->arena, NULL));
    GR_TRY(gr_catalog_partitions_unmade(k, b->row.id));
    if (b->entity.row.status != GR_PREAGG_MATERIALIZING) return GR_OK; /* external: told to be there meanwhile */
    const gr_catalog_step step = {GR_PREAGG_FAILED, error, b->entity.row.materialized_us, b->entity.is_declared};
    return gr_catalog_entity_move(k, &b->entity, step);
}

gr_status gr_catalog_builds_recover(gr_catalog_call *k, int64_t preagg_id, bool *ret_alive) {
    gr_catalog_db *db = k->c->db;
    gr_catalog_table t = {0};
    int64_t now = 0;
    *ret_alive = false;
    GR_TRY(preagg_id ? RUN(k, BUILD_RUNNING_OF, &t, I64(preagg_id)) : RUN(k, BUILD_RUNNING, &t));
    if (t.n_rows) GR_TRY(db->driver->now_us(db, &now, k->err));
    for (size_t i = 0; i < t.n_rows; i++) {
        bool is_alive = gr_catalog_i64(&t, i, 3) > now;
        if (is_alive) GR_TRY(gr_catalog_owner_lives(k, gr_catalog_i64(&t, i, 2), &is_alive));
        *ret_alive |= is_alive;
        if (is_alive) continue;
        build_state b = {0};
        GR_TRY(find_build(k, gr_catalog_i64(&t, i, 0), &b));
        GR_TRY(fail_build(k, &b, left_behind));
    }
    return GR_OK;
}

/* ---- begin ---------------------------------------------------------------------------------------------------------
 */
static gr_status prune(gr_catalog_call *k, int64_t preagg_id, int64_t number) {
    if (number <= CATALOG_KEEP_BUILDS) return GR_OK;
    return RUN(k, BUILD_PRUNE, NULL, I64(preagg_id), I64(number - CATALOG_KEEP_BUILDS));
}

static gr_status begin_build(gr_catalog_call *k, int64_t preagg_id, const gr_build_plan *plan, int64_t *ret_id,
                             int64_t *ret_number) {
    gr_catalog_db *db = k->c->db;
    gr_catalog_entity e;
    gr_catalog_table t = {0};
    bool is_alive = false;
    int64_t now = 0;
    GR_TRY(gr_catalog_builds_recover(k, preagg_id, &is_alive));
    GR_TRY(gr_catalog_entity_find(k, preagg_id, 0, k->arena, &e));
    if (is_alive)
        return gr_error_set(k->err, GR_ERR_PREAGG_MATERIALIZING, "a build of pre-aggregation %lld is running already",
                            (long long)preagg_id);
    GR_TRY(db->driver->now_us(db, &now, k->err));
    gr_str components = gr_catalog_components_write(plan->components, plan->n_components, k->arena);
    GR_TRY(RUN(k, BUILD_ADD, &t, I64(preagg_id), I64(db->owner), STR(k->c->server), I64(now + gr_catalog_lease_us()),
               STR(plan->base_hash), STR(plan->structure_hash), STR(components), I64(k->actor.now_us)));
    *ret_id = gr_catalog_i64(&t, 0, 0);
    *ret_number = gr_catalog_i64(&t, 0, 1);
    GR_TRY(prune(k, preagg_id, *ret_number));
    GR_TRY(note(k, *ret_id, e.row.decl.node, *ret_number, NULL, "running"));
    const gr_catalog_step step = {GR_PREAGG_MATERIALIZING, {0}, e.row.materialized_us, e.is_declared};
    return gr_catalog_entity_move(k, &e, step);
}

static gr_status check_plan(const gr_build_plan *plan, gr_error *err) {
    const gr_catalog_rule_of_text texts[] = {
        {"base hash", plan->base_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"structure hash", plan->structure_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
    };
    gr_arena *scratch = gr_arena_new();
    gr_status status = gr_catalog_texts_check(texts, sizeof texts / sizeof texts[0], scratch, err);
    if (!status) status = gr_catalog_components_check(plan->components, plan->n_components, scratch, err);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_catalog_build_begin(gr_catalog *c, int64_t preagg_id, const gr_build_plan *plan, gr_actor actor,
                                 int64_t *ret_build_id, int64_t *ret_number, gr_error *err) {
    gr_catalog_call k;
    int64_t id = 0, number = 0;
    GR_TRY(check_plan(plan, err));
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "build_begin";
    GR_TRY(gr_catalog_call_end(&k, begin_build(&k, preagg_id, plan, &id, &number)));
    *ret_build_id = id;
    *ret_number = number;
    return GR_OK;
}

/* ---- while it runs -------------------------------------------------------------------------------------------------
 */
static gr_status name_table(gr_catalog_call *k, int64_t build_id, gr_str table_name) {
    build_state b = {0};
    GR_TRY(find_build(k, build_id, &b));
    bool may_name = b.row.status == GR_BUILD_RUNNING,
         may_forget = b.row.status == GR_BUILD_FAILED || b.row.status == GR_BUILD_DROPPED;
    if (table_name.n ? !may_name : !may_forget) return refuse(k, &b, table_name.n ? "a table" : "forgotten");
    if (table_name.n)
        GR_TRY(gr_catalog_doomed_spare(k, table_name));
    else
        GR_TRY(RUN(k, DOOMED_FORGET_BUILD, NULL, I64(build_id)));
    return RUN(k, BUILD_TABLE, NULL, I64(build_id), STR(table_name));
}

gr_status gr_catalog_build_table(gr_catalog *c, int64_t build_id, gr_str table_name, gr_error *err) {
    gr_catalog_call k;
    const gr_catalog_rule_of_text text = {"table name", table_name, CATALOG_MAX_NAME, false, GR_CATALOG_ANY};
    GR_TRY(gr_catalog_texts_check(&text, 1, NULL, err));
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    k.fault = "build_table";
    return gr_catalog_call_end(&k, name_table(&k, build_id, table_name));
}

static gr_status set_progress(gr_catalog_call *k, int64_t build_id, double fraction) {
    build_state b = {0};
    GR_TRY(find_build(k, build_id, &b));
    if (b.row.status != GR_BUILD_RUNNING) return refuse(k, &b, "any further");
    int64_t parts = fraction >= 0 ? (int64_t)llround((fraction < 1 ? fraction : 1) * PARTS) : -1;
    return RUN(k, BUILD_PROGRESS, NULL, I64(build_id), I64(parts));
}

gr_status gr_catalog_build_progress(gr_catalog *c, int64_t build_id, double fraction, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    return gr_catalog_call_end(&k, set_progress(&k, build_id, fraction));
}

/* ---- its end -------------------------------------------------------------------------------------------------------
 */
/* The done builds of the entity, but for the `keep` newest, become dropped, and their tables are to be dropped. */
static gr_status drop_done(gr_catalog_call *k, const gr_preagg_row *row, int64_t keep, gr_arena *arena,
                           gr_catalog_doomed_list *ret) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, BUILD_SERVING, &t, I64(row->id)));
    for (size_t i = 0; i < t.n_rows && (int64_t)(t.n_rows - i) > keep; i++) {
        int64_t id = gr_catalog_i64(&t, i, 0);
        GR_TRY(RUN(k, BUILD_DROP, NULL, I64(id)));
        GR_TRY(gr_catalog_doom(k, id, gr_catalog_text(&t, i, 1), arena, ret));
        GR_TRY(note(k, id, row->decl.node, gr_catalog_i64(&t, i, 2), "done", "dropped"));
    }
    return GR_OK;
}

/* What the entity is once this build serves: see the picture in catalog.h. */
static gr_preagg_status status_when_done(const build_state *b) {
    const gr_preagg_decl *d = &b->entity.row.decl;
    if (!b->entity.is_declared) return GR_PREAGG_STALE;
    if (gr_catalog_covers(&b->row, d)) return GR_PREAGG_ACTIVE;
    bool is_same_thing =
        gr_str_eq(b->row.base_hash, d->base_hash) &&
        !gr_catalog_has_conflict(b->row.components, b->row.n_components, d->components, d->n_components);
    return is_same_thing ? GR_PREAGG_PENDING : GR_PREAGG_STALE;
}

static gr_status publish(gr_catalog_call *k, int64_t build_id, const gr_build_made *made, gr_arena *arena,
                         gr_catalog_doomed_list *old) {
    build_state b = {0};
    GR_TRY(find_build(k, build_id, &b));
    if (b.row.status != GR_BUILD_RUNNING) return refuse(k, &b, "done");
    GR_TRY(drop_done(k, &b.entity.row, made->keep, arena, old));
    gr_str coverage = made->coverage.n ? made->coverage : GR_STR("{}");
    GR_TRY(RUN(k, BUILD_DONE, NULL, I64(build_id), I64(k->actor.now_us), I64(made->rows), I64(made->bytes),
               STR(coverage)));
    GR_TRY(gr_catalog_partitions_publish(k, b.row.preagg_id, b.row.number, b.row.structure_hash, made));
    GR_TRY(gr_catalog_partitions_sweep(k, b.row.preagg_id, arena, old));
    GR_TRY(note_build(k, &b, GR_BUILD_DONE));
    const gr_catalog_step step = {status_when_done(&b), {0}, k->actor.now_us, b.entity.is_declared};
    return gr_catalog_entity_move(k, &b.entity, step);
}

gr_status gr_catalog_build_publish(gr_catalog *c, int64_t build_id, const gr_build_made *made, gr_actor actor,
                                   gr_arena *arena, gr_doomed_table **ret_old, size_t *ret_n_old, gr_error *err) {
    const gr_catalog_rule_of_text text = {"coverage", made->coverage, CATALOG_MAX_JSON, false, GR_CATALOG_OBJECT};
    gr_catalog_call k;
    gr_catalog_doomed_list old = {0};
    gr_arena *scratch = gr_arena_new();
    gr_status status = gr_catalog_texts_check(&text, 1, scratch, err);
    gr_arena_free(scratch);
    GR_TRY(status);
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "build_done";
    GR_TRY(gr_catalog_call_end(&k, publish(&k, build_id, made, arena, &old)));
    *ret_old = old.v;
    *ret_n_old = old.n;
    return GR_OK;
}

gr_status gr_catalog_build_done(gr_catalog *c, int64_t build_id, int64_t rows, int64_t bytes, gr_str coverage,
                                gr_actor actor, gr_arena *arena, gr_doomed_table **ret_old, size_t *ret_n_old,
                                gr_error *err) {
    const gr_build_made made = {.rows = rows, .bytes = bytes, .coverage = coverage};
    return gr_catalog_build_publish(c, build_id, &made, actor, arena, ret_old, ret_n_old, err);
}

static gr_status give_up(gr_catalog_call *k, int64_t build_id, gr_str error) {
    build_state b = {0};
    GR_TRY(find_build(k, build_id, &b));
    if (b.row.status == GR_BUILD_FAILED) return GR_OK; /* told twice; the first reason stays */
    if (b.row.status != GR_BUILD_RUNNING) return refuse(k, &b, "failed");
    return fail_build(k, &b, error);
}

gr_status gr_catalog_build_failed(gr_catalog *c, int64_t build_id, gr_str error, gr_actor actor, gr_error *err) {
    gr_catalog_call k;
    /* An engine's message is not ours to vouch for: what is no text is replaced, for the failure must be recorded. */
    gr_str why = cut_utf8(error, CATALOG_MAX_ERROR);
    if (!why.n) why = GR_STR("the build failed without a message");
    if (!gr_str_is_utf8(why) || gr_str_find(why, 0, 0) != SIZE_MAX)
        why = GR_STR("the build failed; its message is not UTF-8 text");
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "build_failed";
    return gr_catalog_call_end(&k, give_up(&k, build_id, why));
}

/* The build before failed, and nothing has mended that. */
static gr_status find_failure(gr_catalog_call *k, int64_t preagg_id, bool *ret_has, gr_str *ret_error) {
    gr_catalog_table t = {0};
    gr_build_row before = {0};
    GR_TRY(RUN(k, BUILD_OF, &t, I64(preagg_id), I64(1)));
    if (t.n_rows) GR_TRY(gr_catalog_build_read(&t, 0, k->arena, &before, k->err));
    *ret_has = t.n_rows && before.status == GR_BUILD_FAILED;
    *ret_error = before.error;
    return GR_OK;
}

static gr_status cancel(gr_catalog_call *k, int64_t build_id) {
    build_state b = {0};
    bool has_failed;
    gr_str error;
    GR_TRY(find_build(k, build_id, &b));
    if (b.row.status != GR_BUILD_RUNNING || b.row.table_name.n) return refuse(k, &b, "forgotten");
    GR_TRY(gr_catalog_partitions_unmade(k, build_id));
    GR_TRY(RUN(k, BUILD_REMOVE, NULL, I64(build_id)));
    GR_TRY(find_failure(k, b.entity.row.id, &has_failed, &error));
    bool is_ready = gr_catalog_is_ready(&b.entity.row);
    gr_preagg_status to = is_ready ? GR_PREAGG_ACTIVE : GR_PREAGG_PENDING;
    if (has_failed) to = GR_PREAGG_FAILED;
    if (!b.entity.is_declared) to = GR_PREAGG_STALE;
    const gr_catalog_step step = {to, to == GR_PREAGG_FAILED ? error : (gr_str){0}, b.entity.row.materialized_us,
                                  b.entity.is_declared};
    return gr_catalog_entity_move(k, &b.entity, step);
}

gr_status gr_catalog_build_cancel(gr_catalog *c, int64_t build_id, gr_actor actor, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "build_cancel";
    return gr_catalog_call_end(&k, cancel(&k, build_id));
}

static gr_status drop_builds(gr_catalog_call *k, int64_t preagg_id, gr_arena *arena, gr_catalog_doomed_list *ret) {
    gr_catalog_entity e;
    bool is_alive = false;
    GR_TRY(gr_catalog_builds_recover(k, preagg_id, &is_alive));
    GR_TRY(gr_catalog_entity_find(k, preagg_id, 0, k->arena, &e));
    GR_TRY(drop_done(k, &e.row, 0, arena, ret));
    GR_TRY(gr_catalog_partitions_drop(k, preagg_id, arena, ret));
    bool stays = e.row.status == GR_PREAGG_MATERIALIZING || e.row.status == GR_PREAGG_STALE;
    const gr_catalog_step step = {stays ? e.row.status : GR_PREAGG_PENDING, {0}, 0, e.is_declared};
    return gr_catalog_entity_move(k, &e, step);
}

gr_status gr_catalog_drop_builds(gr_catalog *c, int64_t preagg_id, gr_actor actor, gr_arena *arena,
                                 gr_doomed_table **ret, size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    gr_catalog_doomed_list list = {0};
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    k.fault = "drop_builds";
    GR_TRY(gr_catalog_call_end(&k, drop_builds(&k, preagg_id, arena, &list)));
    *ret = list.v;
    *ret_n = list.n;
    return GR_OK;
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */
static gr_status read_builds(gr_catalog_call *k, int64_t preagg_id, int64_t limit, gr_arena *arena, gr_build_row **ret,
                             size_t *ret_n) {
    gr_catalog_table t = {0};
    GR_TRY(preagg_id ? RUN(k, BUILD_OF, &t, I64(preagg_id), I64(limit)) : RUN(k, BUILD_ALL, &t, I64(limit)));
    *ret = GR_NEW_N(arena, gr_build_row, t.n_rows + 1);
    *ret_n = t.n_rows;
    for (size_t i = 0; i < t.n_rows; i++) GR_TRY(gr_catalog_build_read(&t, i, arena, &(*ret)[i], k->err));
    return GR_OK;
}

gr_status gr_catalog_builds(gr_catalog *c, int64_t preagg_id, int64_t limit, gr_arena *arena, gr_build_row **ret,
                            size_t *ret_n, gr_error *err) {
    gr_catalog_call k;
    gr_build_row *rows = NULL;
    size_t n = 0;
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, read_builds(&k, preagg_id, limit > 0 ? limit : INT64_MAX, arena, &rows, &n)));
    *ret = rows;
    *ret_n = n;
    return GR_OK;
}
