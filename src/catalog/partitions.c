/* Partitions: which stretches of time an entity's builds hold, and in which tables.
 *
 *      (none) --begin--> named --made--> made --publish--> live in builds [since, until) --ended--> gone
 *                          |               |
 *                          '-- build failed '-- taken over by the next build of the same structure, or dropped
 *
 * A build is a version: it consists of the partitions with since <= number < until, so that publishing one writes as
 * many rows as have changed. A table may hold several partitions; it is to be dropped when the last row that names it
 * goes, and a row goes when no kept build has it. Nothing here is decided by time stamps. */
#include "catalog/internal.h"

/* ---- named, then made ----------------------------------------------------------------------------------------------
 */

static gr_status check_running(gr_catalog_call *k, int64_t build_id, int64_t *ret_preagg_id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, BUILD_STATUS, &t, I64(build_id)));
    if (!t.n_rows || !gr_str_eq(gr_catalog_text(&t, 0, 1), GR_STR("running")))
        return gr_error_set(k->err, GR_ERR_PREAGG_BUILD, "build with id %lld is not running any more",
                            (long long)build_id);
    *ret_preagg_id = gr_catalog_i64(&t, 0, 0);
    return GR_OK;
}

static gr_status begin(gr_catalog_call *k, int64_t build_id, const gr_partition_row *rows, size_t n, int64_t *ret_ids) {
    int64_t preagg_id = 0;
    GR_TRY(check_running(k, build_id, &preagg_id));
    for (size_t i = 0; i < n; i++) {
        const gr_partition_row *r = &rows[i];
        gr_catalog_table t = {0};
        if (r->table_name.n) GR_TRY(gr_catalog_doomed_spare(k, r->table_name));
        GR_TRY(RUN(k, PARTITION_ADD, &t, I64(preagg_id), I64(build_id), I64(r->from_us), I64(r->to_us),
                   STR(r->table_name), I64(r->table_parts), STR(r->structure_hash)));
        ret_ids[i] = gr_catalog_i64(&t, 0, 0);
    }
    return GR_OK;
}

gr_status gr_catalog_partitions_begin(gr_catalog *c, int64_t build_id, const gr_partition_row *rows, size_t n,
                                      int64_t *ret_ids, gr_error *err) {
    gr_catalog_call k;
    for (size_t i = 0; i < n; i++) {
        const gr_catalog_rule_of_text texts[] = {
            {"table name", rows[i].table_name, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
            {"structure hash", rows[i].structure_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY}};
        GR_TRY(gr_catalog_texts_check(texts, 2, NULL, err));
    }
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    k.fault = "partitions_begin";
    return gr_catalog_call_end(&k, begin(&k, build_id, rows, n, ret_ids));
}

static gr_status unname(gr_catalog_call *k, const int64_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) GR_TRY(RUN(k, PARTITION_UNNAME, NULL, I64(ids[i])));
    return GR_OK;
}

gr_status gr_catalog_partitions_unname(gr_catalog *c, const int64_t *ids, size_t n, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    return gr_catalog_call_end(&k, unname(&k, ids, n));
}

static gr_status made(gr_catalog_call *k, int64_t build_id, const gr_partition_row *rows, size_t n) {
    int64_t preagg_id = 0;
    GR_TRY(check_running(k, build_id, &preagg_id));
    GR_TRY(RUN(k, PARTITION_STAMP, NULL, I64(preagg_id)));
    for (size_t i = 0; i < n; i++) {
        const gr_partition_row *r = &rows[i];
        GR_TRY(RUN(k, PARTITION_MADE, NULL, I64(r->id), I64(r->rows), I64(r->bytes), STR(r->checksum),
                   STR(r->refresh_value), STR(r->fingerprint), I64(r->built_us), TIME(r->verified_us)));
    }
    return GR_OK;
}

gr_status gr_catalog_partitions_made(gr_catalog *c, int64_t build_id, const gr_partition_row *rows, size_t n,
                                     gr_error *err) {
    gr_catalog_call k;
    for (size_t i = 0; i < n; i++) {
        const gr_catalog_rule_of_text texts[] = {
            {"checksum", rows[i].checksum, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
            {"refresh value", rows[i].refresh_value, CATALOG_MAX_JSON, false, GR_CATALOG_ANY},
            {"fingerprint", rows[i].fingerprint, CATALOG_MAX_NAME, false, GR_CATALOG_ANY}};
        GR_TRY(gr_catalog_texts_check(texts, 3, NULL, err));
    }
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    k.fault = "partitions_made";
    return gr_catalog_call_end(&k, made(&k, build_id, rows, n));
}

/* ---- going ---------------------------------------------------------------------------------------------------------
 */

/* Rows have gone: their tables go when no other row names them. */
static gr_status doom_unused(gr_catalog_call *k, const gr_catalog_table *gone, gr_arena *arena,
                             gr_catalog_doomed_list *ret) {
    gr_str last = {0};
    for (size_t i = 0; i < gone->n_rows; i++) {
        gr_str name = gr_catalog_text(gone, i, 0);
        gr_catalog_table t = {0};
        if (!name.n || gr_str_eq(name, last)) continue;
        last = name;
        GR_TRY(RUN(k, PARTITION_TABLE_USED, &t, STR(name)));
        if (gr_catalog_i64(&t, 0, 0)) continue;
        GR_TRY(RUN(k, DOOMED_OF_NAME, &t, STR(name)));
        if (!t.n_rows) GR_TRY(gr_catalog_doom(k, 0, name, arena, ret));
    }
    return GR_OK;
}

gr_status gr_catalog_partitions_sweep(gr_catalog_call *k, int64_t preagg_id, gr_arena *arena,
                                      gr_catalog_doomed_list *ret) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, PARTITION_SWEEP, &t, I64(preagg_id)));
    return doom_unused(k, &t, arena, ret);
}

gr_status gr_catalog_partitions_unmade(gr_catalog_call *k, int64_t build_id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, PARTITION_UNMADE, &t, I64(build_id)));
    return doom_unused(k, &t, k->arena, NULL);
}

gr_status gr_catalog_partitions_drop(gr_catalog_call *k, int64_t preagg_id, gr_arena *arena,
                                     gr_catalog_doomed_list *ret) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, PARTITION_STAMP, NULL, I64(preagg_id)));
    GR_TRY(RUN(k, PARTITION_DROP_OF, &t, I64(preagg_id)));
    return doom_unused(k, &t, arena, ret);
}

gr_status gr_catalog_partitions_publish(gr_catalog_call *k, int64_t preagg_id, int64_t number, gr_str structure_hash,
                                        const gr_build_made *made) {
    GR_TRY(RUN(k, PARTITION_STAMP, NULL, I64(preagg_id)));
    for (size_t i = 0; i < made->n_ended; i++) GR_TRY(RUN(k, PARTITION_END, NULL, I64(made->ended[i]), I64(number)));
    for (size_t i = 0; i < made->n_added; i++)
        GR_TRY(RUN(k, PARTITION_PUBLISH, NULL, I64(made->added[i]), I64(number)));
    /* What this version does not have, of another structure or made and not wanted, is of no use any more. */
    GR_TRY(RUN(k, PARTITION_END_OTHERS, NULL, I64(preagg_id), I64(number), STR(structure_hash)));
    return RUN(k, PARTITION_FORGET_MADE, NULL, I64(preagg_id), I64(number));
}

/* ---- what is found out about them
 * ------------------------------------------------------------------------------------
 */

/* A new stamp for the entity of this row, unless it is the one that has just got one. */
static gr_status stamp_entity_of(gr_catalog_call *k, int64_t id, int64_t *last) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, PARTITION_PREAGG, &t, I64(id)));
    if (!t.n_rows || gr_catalog_i64(&t, 0, 0) == *last) return GR_OK;
    *last = gr_catalog_i64(&t, 0, 0);
    return RUN(k, PARTITION_STAMP, NULL, I64(*last));
}

static gr_status judge(gr_catalog_call *k, const int64_t *ids, size_t n, gr_str quarantine) {
    int64_t stamped = 0;
    for (size_t i = 0; i < n; i++) {
        GR_TRY(stamp_entity_of(k, ids[i], &stamped));
        GR_TRY(RUN(k, PARTITION_JUDGE, NULL, I64(ids[i]), TIME(quarantine.n ? 0 : k->actor.now_us), STR(quarantine)));
    }
    if (!quarantine.n || !n) return GR_OK;
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, PARTITION_NODE, &t, I64(ids[0])));
    if (!t.n_rows) return GR_OK;
    return gr_catalog_note(k, (gr_catalog_event){.entity_type = "build",
                                                 .activity = "status_change",
                                                 .entity_name = gr_catalog_id_text(gr_catalog_i64(&t, 0, 0), k->arena),
                                                 .node = gr_catalog_text(&t, 0, 1),
                                                 .post = gr_catalog_object_write(
                                                     k->arena, "status", GR_STR("quarantined"), "reason", quarantine)});
}

gr_status gr_catalog_partitions_judge(gr_catalog *c, const int64_t *ids, size_t n, gr_str quarantine, gr_actor actor,
                                      gr_error *err) {
    gr_catalog_call k;
    const gr_catalog_rule_of_text text = {"reason", quarantine, CATALOG_MAX_ERROR, false, GR_CATALOG_ANY};
    GR_TRY(gr_catalog_texts_check(&text, 1, NULL, err));
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    return gr_catalog_call_end(&k, judge(&k, ids, n, quarantine));
}

static gr_status note_values(gr_catalog_call *k, const gr_partition_row *rows, size_t n) {
    int64_t stamped = 0;
    for (size_t i = 0; i < n; i++) {
        GR_TRY(stamp_entity_of(k, rows[i].id, &stamped));
        GR_TRY(RUN(k, PARTITION_VALUES, NULL, I64(rows[i].id), STR(rows[i].refresh_value), STR(rows[i].fingerprint)));
    }
    return GR_OK;
}

gr_status gr_catalog_partitions_note(gr_catalog *c, const gr_partition_row *rows, size_t n, gr_error *err) {
    gr_catalog_call k;
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    return gr_catalog_call_end(&k, note_values(&k, rows, n));
}
