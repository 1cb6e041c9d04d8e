/* The kinds of pre-aggregations: what each allows and requires, and how they refer to one another (cube.md 1.13, 4.9,
 * 4.10). Invariant: a rollup_join that is loaded joins at least two rollups, each of another cube. */
#include "model/loader.h"

enum { MOST_ROLLUPS = 100 };

static const gr_str types[] = {
    [GR_PREAGG_ROLLUP] = GR_STR_INIT("rollup"),
    [GR_PREAGG_ORIGINAL_SQL] = GR_STR_INIT("original_sql"),
    [GR_PREAGG_ROLLUP_JOIN] = GR_STR_INIT("rollup_join"),
    [GR_PREAGG_ROLLUP_LAMBDA] = GR_STR_INIT("rollup_lambda"),
    GR_STR_INIT("auto_rollup"),
};
enum { N_TYPES = sizeof types / sizeof *types };

bool gr_model_read_preagg_type(gr_loader *l, gr_preagg *p, const gr_fields *f) {
    const gr_yaml *node = gr_fields_get(f, GR_KEY_PREAGG_TYPE);
    if (!node) return true;
    gr_str text = gr_str_trim(node->text);
    int type = gr_model_word(text, types, N_TYPES);
    if (type >= 0 && type < GR_PREAGG_ROLLUP_LAMBDA) {
        p->type = (gr_preagg_type)type;
        return true;
    }
    gr_diag *d;
    if (type < 0) {
        d = gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                            "\"" GR_FMT
                            "\" must be one of [autoRollup, originalSql, rollupJoin, rollup]. It is '" GR_FMT "'.",
                            GR_ARG(gr_model_place_text(l, f->place, GR_STR("type"))), GR_ARG(text));
        gr_str near = gr_diags_nearest(text, types, N_TYPES);
        if (near.n) gr_model_hint(l, d, "did you mean '" GR_FMT "'?", GR_ARG(near));
    } else {
        d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, node->loc, f->place, GR_STR("type"), node,
                           "is not executed yet");
        gr_model_hint(l, d,
                      "rollup, rollup_join and original_sql are; leave this pre-aggregation out, queries are answered "
                      "without it");
    }
    return false;
}

/* Keys that a type does not allow, a flag only when it is true. */
static const struct {
    gr_preagg_type type;
    gr_key key;
    const char *hint; /* or NULL */
} refused[] = {
    {GR_PREAGG_ROLLUP, GR_KEY_PREAGG_ROLLUPS, "rollups are listed by type: rollup_join"},
    {GR_PREAGG_ROLLUP, GR_KEY_PREAGG_ROLLUP_REFERENCES, "rollups are listed by type: rollup_join"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_MEASURES, "an original_sql stores the rows of its cube, and no members"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_DIMENSIONS, "an original_sql stores the rows of its cube, and no members"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_SEGMENTS, "an original_sql stores the rows of its cube, and no members"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_MEASURE_REFERENCES, NULL},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_DIMENSION_REFERENCES, NULL},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_SEGMENT_REFERENCES, NULL},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_GRANULARITY, "an original_sql has no grain"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_TIME_DIMENSIONS, "time_dimension, with partition_granularity"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_FILTERS, "filters belong to rollups"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_ROLLUPS, "rollups are listed by type: rollup_join"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_ROLLUP_REFERENCES, "rollups are listed by type: rollup_join"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_USE_ORIGINAL_SQL, "it is one itself"},
    {GR_PREAGG_ROLLUP_JOIN, GR_KEY_PREAGG_SCHEDULED_REFRESH, "the rollups that it joins are refreshed"},
    {GR_PREAGG_ROLLUP_JOIN, GR_KEY_PREAGG_FILTERS, "give the filters to the rollups that it joins"},
    {GR_PREAGG_ROLLUP_JOIN, GR_KEY_PREAGG_USE_ORIGINAL_SQL, "give it to the rollups that it joins"},
};

void gr_model_check_preagg_keys(gr_loader *l, const gr_preagg *p, const gr_fields *f) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        gr_key key = refused[i].key;
        const gr_yaml_pair *pair = gr_fields_pair(f, key);
        if (refused[i].type != p->type || !pair) continue;
        const gr_key_info *info = gr_model_key_info(key);
        if (info->form == GR_FORM_FLAG && !gr_fields_flag(f, key, false)) continue;
        gr_diag *d =
            gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->key_loc, f->place, info->name, pair->value, "is not allowed");
        if (refused[i].hint) gr_model_hint(l, d, "%s", refused[i].hint);
    }
    if (p->type != GR_PREAGG_ROLLUP_JOIN) return;
    bool is_old = gr_fields_has(f, GR_KEY_PREAGG_ROLLUP_REFERENCES);
    if (gr_fields_has(f, GR_KEY_PREAGG_ROLLUPS))
        gr_model_not_allowed(l, f, GR_KEY_PREAGG_ROLLUP_REFERENCES);
    else if (!is_old)
        gr_model_required(l, f, GR_KEY_PREAGG_ROLLUPS);
}

/* ---- references ------------------------------------------------------------------------------------------------- */

static const gr_yaml_pair *pair_of(const gr_yaml *map, gr_key key) {
    for (size_t i = 0; map->kind == GR_YAML_MAP && i < map->n; i++)
        if (gr_model_key_find(GR_CONTEXT_PREAGG, map->pairs[i].key) == key) return &map->pairs[i];
    return NULL;
}

/* "CUBE.main", "orders.main", "main" of the own cube; reported when there is none. */
static gr_preagg *read_rollup(gr_loader *l, const gr_map *by_id, const gr_yaml *node, const gr_place *place) {
    gr_expr *ref = gr_model_ref_node(l, node, place);
    if (!ref) return NULL;
    const gr_part *part = &ref->parts[0];
    gr_str cube = part->names[0], name = part->names[part->n_names - 1];
    bool is_own = part->n_names == 1 || gr_str_eq_z(cube, "CUBE") || gr_str_eq_z(cube, "TABLE");
    if (is_own) cube = l->at->name;
    gr_str id = gr_arena_printf(l->scratch, GR_FMT "." GR_FMT, GR_ARG(cube), GR_ARG(name));
    gr_preagg *p = part->n_names <= 2 ? gr_map_get(by_id, id) : NULL;
    if (p) return p;
    gr_diag *d =
        gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, node->loc, "(" GR_FMT ") there is no pre-aggregation '" GR_FMT "'",
                        GR_ARG(gr_model_place_text(l, place, (gr_str){0})), GR_ARG(gr_str_trim(node->text)));
    gr_model_hint_nearest(l, d, id, by_id);
    if (!d->hint.n) gr_model_hint(l, d, "a rollup is written cube.rollup");
    return NULL;
}

/* False, and reported, when it cannot be a part. */
static bool check_part(gr_loader *l, const gr_preagg *p, const gr_preagg *part, const gr_yaml *node,
                       const gr_place *place) {
    gr_str at = gr_model_place_text(l, place, (gr_str){0});
    if (part->type != GR_PREAGG_ROLLUP) {
        gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                        "(" GR_FMT ") '" GR_FMT "' is of type " GR_FMT ", and a rollup is expected", GR_ARG(at),
                        GR_ARG(part->id), GR_ARG(types[part->type]));
        return false;
    }
    for (size_t i = 0; i < p->n_rollups; i++) {
        if (p->rollups[i]->cube != part->cube) continue;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                                     "(" GR_FMT ") '" GR_FMT "' and '" GR_FMT "' are rollups of one cube", GR_ARG(at),
                                     GR_ARG(p->rollups[i]->id), GR_ARG(part->id));
        gr_model_hint(l, d, "a rollup_join joins rollups of different cubes");
        return false;
    }
    return true;
}

static void bind_rollups(gr_loader *l, const gr_map *by_id, gr_preagg *p, const gr_item *item) {
    const gr_yaml_pair *pair = pair_of(item->node, GR_KEY_PREAGG_ROLLUPS);
    if (!pair) pair = pair_of(item->node, GR_KEY_PREAGG_ROLLUP_REFERENCES);
    if (!pair || pair->value->kind != GR_YAML_LIST) return;
    const gr_yaml *list = pair->value;
    gr_place top = {NULL, GR_STR("preAggregations"), -1}, name = {&top, p->name, -1},
             key = {&name, GR_STR("rollups"), -1};
    if (list->n < 2 || list->n > MOST_ROLLUPS) {
        gr_diag *d =
            gr_model_fault(l, GR_ERR_MODEL_INVALID, list->loc, &key, (gr_str){0}, NULL, "must have 2 to 100 items");
        gr_model_hint(l, d, "a rollup_join joins rollups of different cubes: [orders.main, users.main]");
        return;
    }
    p->rollups = GR_NEW_N(l->arena, gr_preagg *, list->n);
    for (size_t i = 0; i < list->n; i++) {
        gr_place at = {&key, {0}, (int64_t)i};
        gr_preagg *part = read_rollup(l, by_id, list->items[i], &at);
        if (part && check_part(l, p, part, list->items[i], &at)) p->rollups[p->n_rollups++] = part;
    }
}

static bool has_original(const gr_cube *cube) {
    for (size_t i = 0; i < cube->n_preaggs; i++)
        if (cube->preaggs[i]->type == GR_PREAGG_ORIGINAL_SQL) return true;
    return false;
}

static void bind_original(gr_loader *l, gr_preagg *p, const gr_item *item, bool is_there) {
    const gr_yaml_pair *pair = pair_of(item->node, GR_KEY_PREAGG_USE_ORIGINAL_SQL);
    if (!pair || !gr_str_eq_z(pair->value->text, "true")) return;
    p->uses_original_sql = true;
    if (is_there) return;
    gr_place top = {NULL, GR_STR("preAggregations"), -1}, name = {&top, p->name, -1};
    gr_str key = gr_model_key_info(GR_KEY_PREAGG_USE_ORIGINAL_SQL)->name;
    gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->key_loc, &name, key, NULL,
                                "needs a pre-aggregation of type original_sql");
    gr_model_hint(l, d, "declare one in the cube '" GR_FMT "': {name: original, type: original_sql}",
                  GR_ARG(p->cube->name));
}

void gr_model_bind_preaggs(gr_loader *l) {
    gr_map by_id;
    gr_map_init(&by_id, l->scratch);
    for (size_t i = 0; i < l->model->n_preaggs; i++) gr_map_put(&by_id, l->model->preaggs[i]->id, l->model->preaggs[i]);
    for (size_t i = 0; i < l->order.n; i++) {
        const gr_source *s = l->order.v[i];
        const gr_items *items = &s->sections[GR_SECTION_PREAGGS];
        bool is_original = has_original(s->cube);
        l->at = s;
        for (size_t k = 0; k < s->cube->n_preaggs; k++) {
            gr_preagg *p = s->cube->preaggs[k];
            l->is_inherited = items->v[k].is_inherited;
            if (p->type == GR_PREAGG_ROLLUP_JOIN) bind_rollups(l, &by_id, p, &items->v[k]);
            if (p->type == GR_PREAGG_ROLLUP) bind_original(l, p, &items->v[k], is_original);
        }
        l->is_inherited = false;
    }
    l->at = NULL;
}
