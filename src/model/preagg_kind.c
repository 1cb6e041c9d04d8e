/* The kinds of pre-aggregations: what each allows and requires, and how they refer to one another (cube.md 1.13, 4.9,
 * 4.10, 4.11). Invariant: a rollup_join that is loaded joins at least two rollups, each of another cube; a
 * rollup_lambda has at least one, all with the same names of members, each cut as finely as the one before it. */
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
    if (type >= 0 && type <= GR_PREAGG_ROLLUP_LAMBDA) {
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
        gr_model_hint(l, d, "the other types are; leave this pre-aggregation out, queries are answered without it");
    }
    return false;
}

/* Keys that a type does not allow, a flag only when it is true. */
static const struct {
    gr_preagg_type type;
    gr_key key;
    const char *hint; /* or NULL */
} refused[] = {
    {GR_PREAGG_ROLLUP, GR_KEY_PREAGG_ROLLUPS, "rollups are listed by type: rollup_join or rollup_lambda"},
    {GR_PREAGG_ROLLUP, GR_KEY_PREAGG_ROLLUP_REFERENCES, "rollups are listed by type: rollup_join or rollup_lambda"},
    {GR_PREAGG_ROLLUP, GR_KEY_PREAGG_UNION_WITH_SOURCE_DATA, "it belongs to type: rollup_lambda"},
    {GR_PREAGG_ORIGINAL_SQL, GR_KEY_PREAGG_UNION_WITH_SOURCE_DATA, "it belongs to type: rollup_lambda"},
    {GR_PREAGG_ROLLUP_JOIN, GR_KEY_PREAGG_UNION_WITH_SOURCE_DATA, "it belongs to type: rollup_lambda"},
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

/* Of a rollup_lambda there are only these: all else is said of the rollups that it is made of. */
static const gr_key lambda_keys[] = {
    GR_KEY_PREAGG_NAME,
    GR_KEY_PREAGG_TYPE,
    GR_KEY_PREAGG_MEASURES,
    GR_KEY_PREAGG_DIMENSIONS,
    GR_KEY_PREAGG_SEGMENTS,
    GR_KEY_PREAGG_TIME_DIMENSION,
    GR_KEY_PREAGG_GRANULARITY,
    GR_KEY_PREAGG_ROLLUPS,
    GR_KEY_PREAGG_UNION_WITH_SOURCE_DATA,
    GR_KEY_PREAGG_MEASURE_REFERENCES,
    GR_KEY_PREAGG_DIMENSION_REFERENCES,
    GR_KEY_PREAGG_SEGMENT_REFERENCES,
    GR_KEY_PREAGG_TIME_DIMENSION_REFERENCE,
    GR_KEY_PREAGG_ROLLUP_REFERENCES,
};

static bool is_lambda_key(gr_key key) {
    for (size_t i = 0; i < sizeof lambda_keys / sizeof *lambda_keys; i++)
        if (lambda_keys[i] == key) return true;
    return false;
}

static void check_lambda_keys(gr_loader *l, const gr_fields *f) {
    const gr_yaml *map = f->node;
    for (size_t i = 0; map->kind == GR_YAML_MAP && i < map->n; i++) {
        gr_key key = gr_model_key_find(GR_CONTEXT_PREAGG, map->pairs[i].key);
        if (key == GR_KEY__COUNT || is_lambda_key(key)) continue;
        const gr_key_info *info = gr_model_key_info(key);
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, map->pairs[i].key_loc, f->place, info->name,
                                    map->pairs[i].value, "is not allowed");
        gr_model_hint(l, d, "a rollup_lambda has no table: give it to the rollups that it is made of");
    }
}

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
    if (p->type == GR_PREAGG_ROLLUP_LAMBDA) check_lambda_keys(l, f);
    if (gr_preagg_has_table(p)) return;
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
    for (size_t i = 0; p->type == GR_PREAGG_ROLLUP_JOIN && i < p->n_rollups; i++) {
        if (p->rollups[i]->cube != part->cube) continue;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                                     "(" GR_FMT ") '" GR_FMT "' and '" GR_FMT "' are rollups of one cube", GR_ARG(at),
                                     GR_ARG(p->rollups[i]->id), GR_ARG(part->id));
        gr_model_hint(l, d, "a rollup_join joins rollups of different cubes");
        return false;
    }
    return true;
}

/* ---- rollup_lambda ---------------------------------------------------------------------------------------------- */

static gr_str names_text(gr_loader *l, const gr_member_ref *refs, size_t n) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        const gr_str grain = refs[i].granularity ? refs[i].granularity->name : (gr_str){0};
        gr_buf_printf(&out, "%s\"" GR_FMT "%s" GR_FMT "\"", i ? "," : "", GR_ARG(refs[i].member->name),
                      grain.n ? "." : "", GR_ARG(grain));
    }
    gr_str text = gr_arena_printf(l->arena, "[" GR_FMT "]", GR_ARG(gr_buf_str(&out)));
    gr_buf_done(&out);
    return text;
}

/* The same names in the same order, whichever cube they are of. */
static void check_names(gr_loader *l, const gr_preagg *p, const gr_preagg *part, const char *what,
                        const gr_member_ref *mine, size_t n_mine, const gr_member_ref *theirs, size_t n_theirs,
                        gr_loc loc) {
    gr_str a = names_text(l, mine, n_mine), b = names_text(l, theirs, n_theirs);
    if (gr_str_eq(a, b)) return;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, loc,
                                 "Names for %s doesn't match between '" GR_FMT "' and '" GR_FMT "': " GR_FMT
                                 " does not equal to " GR_FMT,
                                 what, GR_ARG(p->id), GR_ARG(part->id), GR_ARG(a), GR_ARG(b));
    gr_model_hint(l, d, "list the same %s in the same order", what);
}

/* Where one ends the next goes on, so its partitions are those of the one before, or parts of them. */
static void check_partitions(gr_loader *l, const gr_preagg *p, size_t at, gr_loc loc) {
    const gr_preagg *part = p->rollups[at], *before = at ? p->rollups[at - 1] : NULL;
    if (part->partition_granularity == GR_GRAIN_NONE) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, loc,
                                     "'" GR_FMT "' doesn't have partition granularity. Partition granularity is "
                                     "required if multiple rollups are provided.",
                                     GR_ARG(part->id));
        gr_model_hint(l, d, "give it partition_granularity: day, say");
        return;
    }
    gr_grain a = before ? before->partition_granularity : GR_GRAIN_NONE, b = part->partition_granularity;
    if (a == GR_GRAIN_NONE || a == b || gr_grain_is_built_from(a, b)) return;
    gr_diag *d = gr_model_report(
        l, GR_ERR_MODEL_INVALID, loc,
        "'" GR_FMT "' and '" GR_FMT "' referenced by '" GR_FMT
        "' rollupLambda have incompatible partition granularities. '" GR_FMT "' can't be padded by '" GR_FMT "'",
        GR_ARG(before->id), GR_ARG(part->id), GR_ARG(p->id), GR_ARG(gr_grain_name(a)), GR_ARG(gr_grain_name(b)));
    gr_model_hint(l, d, "list them from coarse to fine, each of partitions that make up those of the one before");
}

static void check_lambda(gr_loader *l, gr_preagg *p, const gr_yaml *list) {
    const gr_preagg *first = p->rollups[0], *last = p->rollups[p->n_rollups - 1];
    if (!p->n_measures && !p->n_dimensions && !p->n_segments && !p->n_time_dimensions) {
        p->measures = first->measures, p->n_measures = first->n_measures;
        p->dimensions = first->dimensions, p->n_dimensions = first->n_dimensions;
        p->segments = first->segments, p->n_segments = first->n_segments;
        p->time_dimensions = first->time_dimensions, p->n_time_dimensions = first->n_time_dimensions;
    }
    for (size_t i = 0; i < p->n_rollups; i++) {
        const gr_preagg *part = p->rollups[i];
        gr_loc loc = list->items[i]->loc;
        check_names(l, p, part, "measures", p->measures, p->n_measures, part->measures, part->n_measures, loc);
        check_names(l, p, part, "dimensions", p->dimensions, p->n_dimensions, part->dimensions, part->n_dimensions,
                    loc);
        check_names(l, p, part, "segments", p->segments, p->n_segments, part->segments, part->n_segments, loc);
        check_names(l, p, part, "timeDimensions", p->time_dimensions, p->n_time_dimensions, part->time_dimensions,
                    part->n_time_dimensions, loc);
        if (p->n_rollups > 1) check_partitions(l, p, i, loc);
    }
    if (!p->unions_source || last->cube == p->cube) return;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, list->items[p->n_rollups - 1]->loc,
                                 "unionWithSourceData can be enabled only for pre-aggregation within '" GR_FMT
                                 "' cube but '" GR_FMT "' pre-aggregation is defined within '" GR_FMT "' cube",
                                 GR_ARG(p->cube->name), GR_ARG(last->id), GR_ARG(last->cube->name));
    gr_model_hint(l, d, "let its last rollup be one of the cube '" GR_FMT "'", GR_ARG(p->cube->name));
}

static bool check_count(gr_loader *l, const gr_preagg *p, const gr_yaml *list, const gr_place *place) {
    bool is_join = p->type == GR_PREAGG_ROLLUP_JOIN;
    if (!is_join && !list->n) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, list->loc,
                                     "rollupLambda '" GR_FMT "' should reference at least one rollup", GR_ARG(p->id));
        gr_model_hint(l, d, "list those that it is made of, from coarse to fine: [by_month, by_day]");
        return false;
    }
    if (list->n >= (is_join ? 2 : 1) && list->n <= MOST_ROLLUPS) return true;
    gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, list->loc, place, (gr_str){0}, NULL,
                                is_join ? "must have 2 to 100 items" : "must have 1 to 100 items");
    if (is_join) gr_model_hint(l, d, "a rollup_join joins rollups of different cubes: [orders.main, users.main]");
    return false;
}

static void bind_rollups(gr_loader *l, const gr_map *by_id, gr_preagg *p, const gr_item *item) {
    const gr_yaml_pair *pair = pair_of(item->node, GR_KEY_PREAGG_ROLLUPS);
    if (!pair) pair = pair_of(item->node, GR_KEY_PREAGG_ROLLUP_REFERENCES);
    if (!pair || pair->value->kind != GR_YAML_LIST) return;
    const gr_yaml *list = pair->value;
    gr_place top = {NULL, GR_STR("preAggregations"), -1}, name = {&top, p->name, -1},
             key = {&name, GR_STR("rollups"), -1};
    if (!check_count(l, p, list, &key)) return;
    p->rollups = GR_NEW_N(l->arena, gr_preagg *, list->n);
    for (size_t i = 0; i < list->n; i++) {
        gr_place at = {&key, {0}, (int64_t)i};
        gr_preagg *part = read_rollup(l, by_id, list->items[i], &at);
        if (part && check_part(l, p, part, list->items[i], &at)) p->rollups[p->n_rollups++] = part;
    }
    if (p->type == GR_PREAGG_ROLLUP_LAMBDA && p->n_rollups == list->n) check_lambda(l, p, list);
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
            if (!gr_preagg_has_table(p)) bind_rollups(l, &by_id, p, &items->v[k]);
            if (p->type == GR_PREAGG_ROLLUP) bind_original(l, p, &items->v[k], is_original);
        }
        l->is_inherited = false;
    }
    l->at = NULL;
}
