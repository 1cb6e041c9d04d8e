/* What people set on an entity: strategy, schedule, lookback window, workflow; and the availability of an external
 * table, which makes it active. Also the counts of what an entity has served. */
#include "catalog/internal.h"

gr_status gr_catalog_config_check(const gr_preagg_config *config, gr_error *err) {
    const gr_catalog_rule_of_text texts[] = {
        {"strategy", config->strategy, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"schedule", config->schedule, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"lookback window", config->lookback_window, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"workflow status", config->workflow_status, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
    };
    return gr_catalog_texts_check(texts, sizeof texts / sizeof texts[0], NULL, err);
}

static gr_preagg_config config_of(const gr_preagg_row *row) {
    return (gr_preagg_config){row->strategy, row->schedule, row->lookback_window, row->workflow_status};
}

static bool is_same(const gr_preagg_config *a, const gr_preagg_config *b) {
    return gr_str_eq(a->strategy, b->strategy) && gr_str_eq(a->schedule, b->schedule) &&
           gr_str_eq(a->lookback_window, b->lookback_window) && gr_str_eq(a->workflow_status, b->workflow_status);
}

static gr_str write_config(const gr_preagg_config *c, gr_arena *arena) {
    const gr_str texts[] = {c->strategy, c->schedule, c->lookback_window, c->workflow_status};
    return gr_catalog_object_write(arena, "config", gr_catalog_list_write(texts, 4, arena), NULL, (gr_str){0});
}

static gr_status set_config(gr_catalog_call *k, const gr_preagg_row *row, const gr_preagg_config *config) {
    gr_preagg_config old = config_of(row);
    if (is_same(&old, config)) return GR_OK;
    GR_TRY(RUN(k, PREAGG_CONFIGURE, NULL, I64(row->id), STR_OR_NULL(config->strategy), STR_OR_NULL(config->schedule),
               STR_OR_NULL(config->lookback_window), STR_OR_NULL(config->workflow_status), I64(k->actor.now_us)));
    return gr_catalog_note(k, (gr_catalog_event){.entity_type = "pre_aggregation",
                                                 .activity = "update",
                                                 .entity_name = gr_catalog_id_text(row->id, k->arena),
                                                 .node = row->decl.node,
                                                 .pre = write_config(&old, k->arena),
                                                 .post = write_config(config, k->arena)});
}

static gr_str or_old(gr_str text, gr_str old) { return text.n ? text : old; }

gr_status gr_catalog_entity_configure(gr_catalog_call *k, int64_t id, const gr_preagg_config *config) {
    gr_catalog_entity e;
    GR_TRY(gr_catalog_entity_find(k, id, 0, k->arena, &e));
    const gr_preagg_config wanted = {or_old(config->strategy, e.row.strategy), or_old(config->schedule, e.row.schedule),
                                     or_old(config->lookback_window, e.row.lookback_window),
                                     or_old(config->workflow_status, e.row.workflow_status)};
    return set_config(k, &e.row, &wanted);
}

gr_status gr_catalog_configure(gr_catalog *c, int64_t preagg_id, const gr_preagg_config *config, gr_actor actor,
                               gr_arena *arena, gr_preagg_row *ret, gr_error *err) {
    gr_catalog_call k;
    gr_preagg_row row;
    GR_TRY(gr_catalog_config_check(config, err));
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    gr_status status = gr_catalog_entity_configure(&k, preagg_id, config);
    if (!status) status = gr_catalog_entities_of(&k, &preagg_id, 1, arena, &row);
    GR_TRY(gr_catalog_call_end(&k, status));
    *ret = row;
    return GR_OK;
}

static gr_status clear_workflow(gr_catalog_call *k, int64_t id, bool *ret_had) {
    static const gr_preagg_config nothing = {0};
    gr_catalog_entity e;
    GR_TRY(gr_catalog_entity_find(k, id, 0, k->arena, &e));
    *ret_had = e.row.workflow_status.n > 0;
    return *ret_had ? set_config(k, &e.row, &nothing) : GR_OK;
}

gr_status gr_catalog_workflow_clear(gr_catalog *c, int64_t preagg_id, gr_actor actor, bool *ret_had, gr_error *err) {
    gr_catalog_call k;
    bool had = false;
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    GR_TRY(gr_catalog_call_end(&k, clear_workflow(&k, preagg_id, &had)));
    if (ret_had) *ret_had = had;
    return GR_OK;
}

/* ---- external tables -----------------------------------------------------------------------------------------------
 */
static gr_status set_availability(gr_catalog_call *k, int64_t id, gr_str availability, gr_arena *arena,
                                  gr_preagg_row *ret) {
    gr_catalog_entity e;
    GR_TRY(gr_catalog_entity_find(k, id, 0, k->arena, &e));
    gr_build_row made;
    if (!e.row.decl.external.n && !gr_catalog_availability_read(availability, k->arena, &made))
        return gr_error_set(k->err, GR_ERR_PREAGG_NOT_EXTERNAL,
                            "pre-aggregation %lld is built by Granary: its availability cannot be told", (long long)id);
    if (!gr_str_eq(e.row.availability, availability)) {
        GR_TRY(RUN(k, PREAGG_AVAILABILITY, NULL, I64(id), STR(availability), I64(k->actor.now_us)));
        GR_TRY(gr_catalog_note(k, (gr_catalog_event){.entity_type = "pre_aggregation",
                                                     .activity = "refresh",
                                                     .entity_name = gr_catalog_id_text(id, k->arena),
                                                     .node = e.row.decl.node,
                                                     .pre = e.row.availability,
                                                     .post = availability}));
    }
    const gr_catalog_step step = {GR_PREAGG_ACTIVE, {0}, k->actor.now_us, e.is_declared};
    GR_TRY(gr_catalog_entity_move(k, &e, step));
    return gr_catalog_entities_of(k, &id, 1, arena, ret);
}

gr_status gr_catalog_availability(gr_catalog *c, int64_t preagg_id, gr_str availability, gr_actor actor,
                                  gr_arena *arena, gr_preagg_row *ret, gr_error *err) {
    gr_catalog_call k;
    gr_preagg_row row;
    gr_arena *scratch = gr_arena_new();
    const gr_catalog_rule_of_text text = {"availability", availability, CATALOG_MAX_JSON, true, GR_CATALOG_OBJECT};
    gr_status status = gr_catalog_texts_check(&text, 1, scratch, err);
    gr_arena_free(scratch);
    GR_TRY(status);
    GR_TRY(gr_catalog_call_begin(c, true, actor, &k, err));
    GR_TRY(gr_catalog_call_end(&k, set_availability(&k, preagg_id, availability, arena, &row)));
    *ret = row;
    return GR_OK;
}

/* ---- what was served -----------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_note_served(gr_catalog *c, const int64_t *ids, const int64_t *hits, const int64_t *last_us,
                                 size_t n, gr_error *err) {
    gr_catalog_call k;
    gr_status status = GR_OK;
    if (!n) return GR_OK;
    GR_TRY(gr_catalog_call_begin(c, true, (gr_actor){0}, &k, err));
    for (size_t i = 0; !status && i < n; i++)
        status = RUN(&k, PREAGG_SERVED, NULL, I64(ids[i]), I64(hits[i]), I64(last_us[i]));
    return gr_catalog_call_end(&k, status);
}
