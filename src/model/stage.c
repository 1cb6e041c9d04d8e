/* Multi-stage measures (cube.md 1.9, 5.9): computed of measures, at a grain of their own. Read first, as far as no
 * names are needed; the dimensions that they list are resolved when all cubes are there. Invariant: the SQL of a
 * multi-stage measure looks at measures only, and what it lists are dimensions of cubes. */
#include "model/loader.h"

enum { MOST_REFS = 1000 };

static const gr_key stage_keys[] = {GR_KEY_MEASURE_GROUP_BY, GR_KEY_MEASURE_REDUCE_BY, GR_KEY_MEASURE_ADD_GROUP_BY,
                                    GR_KEY_MEASURE_FILTER,   GR_KEY_MEASURE_GRAIN,     GR_KEY_MEASURE_TIME_SHIFT,
                                    GR_KEY_MEASURE_ORDER_BY};

void gr_model_refuse_stage(gr_loader *l, const gr_fields *f) {
    for (size_t i = 0; i < sizeof stage_keys / sizeof *stage_keys; i++) {
        const gr_yaml_pair *pair = gr_fields_pair(f, stage_keys[i]);
        if (!pair) continue;
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->key_loc, f->place,
                                    gr_model_key_info(stage_keys[i])->name, NULL, "belongs to multi-stage measures");
        gr_model_hint(l, d, "add multi_stage: true");
    }
}

/* ---- lists of dimensions ---------------------------------------------------------------------------------------- */

/* False when the key is absent. `key` and `sub_key` are where the list stands. */
static bool add_list(gr_loader *l, gr_draft *draft, const gr_fields *f, gr_key key, gr_str up, gr_stage_list list) {
    const gr_yaml *node = gr_fields_get(f, key);
    if (!node) return false;
    if (node->n > MOST_REFS) {
        gr_model_bad_value(l, f, key, "has more than 1000 items");
        return true;
    }
    gr_str name = gr_model_key_info(key)->name;
    gr_stage_refs refs = {.node = node,
                          .list = list,
                          .key = up.n ? up : name,
                          .sub_key = up.n ? name : (gr_str){0},
                          .draft = draft,
                          .is_inherited = l->is_inherited};
    GR_PUSH(l->scratch, &l->stage_refs, refs);
    return true;
}

/* Two keys of which at most one may be there. */
static void exclude_each_other(gr_loader *l, const gr_fields *f, gr_key a, gr_key b) {
    if (gr_fields_has(f, a)) gr_model_not_allowed(l, f, b);
}

static void read_grain(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    static const struct {
        gr_key key, synonym;
        gr_stage_list list;
    } rows[] = {
        {GR_KEY_MEASURE_GROUP_BY, GR_KEY_GRAIN_KEEP_ONLY, GR_STAGE_GROUP_BY},
        {GR_KEY_MEASURE_REDUCE_BY, GR_KEY_GRAIN_EXCLUDE, GR_STAGE_REDUCE_BY},
        {GR_KEY_MEASURE_ADD_GROUP_BY, GR_KEY_GRAIN_INCLUDE, GR_STAGE_ADD_GROUP_BY},
    };
    const gr_yaml *grain = gr_fields_get(f, GR_KEY_MEASURE_GRAIN);
    gr_place place = {f->place, GR_STR("grain"), -1};
    gr_fields g = {0};
    if (grain) {
        gr_model_fields_read(l, grain, GR_CONTEXT_GRAIN, &place, &g);
        exclude_each_other(l, &g, GR_KEY_GRAIN_KEEP_ONLY, GR_KEY_GRAIN_EXCLUDE);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (grain && gr_fields_has(&g, rows[i].synonym)) gr_model_not_allowed(l, f, rows[i].key);
        bool is_there = add_list(l, draft, f, rows[i].key, (gr_str){0}, rows[i].list);
        if (!is_there && grain) is_there = add_list(l, draft, &g, rows[i].synonym, GR_STR("grain"), rows[i].list);
        if (is_there && rows[i].list == GR_STAGE_GROUP_BY) draft->member.stage->has_group_by = true;
    }
}

static void read_filter(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    static const gr_str modes[] = {GR_STR_INIT("relative"), GR_STR_INIT("fixed")};
    const gr_yaml *node = gr_fields_get(f, GR_KEY_MEASURE_FILTER);
    if (!node) return;
    gr_place place = {f->place, GR_STR("filter"), -1};
    gr_fields x;
    gr_model_fields_read(l, node, GR_CONTEXT_STAGE_FILTER, &place, &x);
    int mode = gr_model_fields_word(l, &x, GR_KEY_STAGE_FILTER_MODE, modes, 2, "must be one of [relative, fixed]");
    if (mode == 1) {
        const gr_yaml *value = gr_fields_get(&x, GR_KEY_STAGE_FILTER_MODE);
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, value->loc, &place, GR_STR("mode"), value,
                                    "is not executed yet");
        gr_model_hint(l, d, "keep_only: [] takes every filter of the query out");
    }
    exclude_each_other(l, &x, GR_KEY_STAGE_FILTER_KEEP_ONLY, GR_KEY_STAGE_FILTER_EXCLUDE);
    (void)add_list(l, draft, &x, GR_KEY_STAGE_FILTER_EXCLUDE, GR_STR("filter"), GR_STAGE_FILTER_EXCLUDE);
    draft->member.stage->has_filter_keep =
        add_list(l, draft, &x, GR_KEY_STAGE_FILTER_KEEP_ONLY, GR_STR("filter"), GR_STAGE_FILTER_KEEP);
}

/* ---- time shifts and order -------------------------------------------------------------------------------------- */

static void read_shift(gr_loader *l, gr_draft *draft, const gr_fields *f, size_t index, bool is_only) {
    static const gr_str types[] = {GR_STR_INIT("prior"), GR_STR_INIT("next")};
    gr_stage *stage = draft->member.stage;
    if (f->node->kind != GR_YAML_MAP || gr_fields_has(f, GR_KEY_TIME_SHIFT_NAME)) return; /* refused already */
    gr_time_shift *shift = &stage->shifts[stage->n_shifts];
    gr_grain unit;
    bool is_good = false;
    if (gr_fields_get(f, GR_KEY_TIME_SHIFT_INTERVAL))
        is_good = gr_model_read_interval(l, f, GR_KEY_TIME_SHIFT_INTERVAL, &shift->interval, &unit);
    else if (!gr_fields_has(f, GR_KEY_TIME_SHIFT_INTERVAL))
        gr_model_required(l, f, GR_KEY_TIME_SHIFT_INTERVAL);
    int type = gr_model_fields_word(l, f, GR_KEY_TIME_SHIFT_TYPE, types, 2, "must be one of [prior, next]");
    if (!gr_fields_has(f, GR_KEY_TIME_SHIFT_TYPE)) gr_model_required(l, f, GR_KEY_TIME_SHIFT_TYPE);
    const gr_yaml *time = gr_fields_get(f, GR_KEY_TIME_SHIFT_TIME_DIMENSION);
    if (!is_only && !gr_fields_has(f, GR_KEY_TIME_SHIFT_TIME_DIMENSION))
        gr_model_required(l, f, GR_KEY_TIME_SHIFT_TIME_DIMENSION);
    if (!is_good || type < 0) return;
    if (type == 1) shift->interval = (gr_interval){-shift->interval.months, -shift->interval.days, -shift->interval.us};
    gr_stage_refs refs = {.node = time,
                          .list = GR_STAGE_SHIFT_TIME,
                          .key = GR_STR("timeShift"),
                          .index = stage->n_shifts++,
                          .place = index,
                          .draft = draft,
                          .is_inherited = l->is_inherited};
    if (time) GR_PUSH(l->scratch, &l->stage_refs, refs);
}

static void read_shifts(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_MEASURE_TIME_SHIFT);
    if (!list) return;
    if (list->n == 0 || list->n > MOST_REFS) {
        gr_model_bad_value(l, f, GR_KEY_MEASURE_TIME_SHIFT, "must have 1 to 1000 items");
        return;
    }
    draft->member.stage->shifts = GR_NEW_N(l->arena, gr_time_shift, list->n);
    for (size_t i = 0; i < list->n; i++) {
        gr_place up = {f->place, GR_STR("timeShift"), -1}, at = {&up, {0}, (int64_t)i};
        gr_fields x;
        gr_model_fields_read(l, list->items[i], GR_CONTEXT_TIME_SHIFT, &at, &x);
        read_shift(l, draft, &x, i, list->n == 1);
    }
}

static void read_order(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    static const gr_str directions[] = {GR_STR_INIT("asc"), GR_STR_INIT("desc")};
    gr_stage *stage = draft->member.stage;
    const gr_yaml *list = gr_fields_get(f, GR_KEY_MEASURE_ORDER_BY);
    if (!list) return;
    if (list->n == 0 || list->n > MOST_REFS) {
        gr_model_bad_value(l, f, GR_KEY_MEASURE_ORDER_BY, "must have 1 to 1000 items");
        return;
    }
    stage->order_by = GR_NEW_N(l->arena, gr_stage_order, list->n);
    for (size_t i = 0; i < list->n; i++) {
        gr_place up = {f->place, GR_STR("orderBy"), -1}, at = {&up, {0}, (int64_t)i};
        gr_fields x;
        gr_model_fields_read(l, list->items[i], GR_CONTEXT_STAGE_ORDER, &at, &x);
        if (x.node->kind != GR_YAML_MAP) continue;
        if (!gr_fields_has(&x, GR_KEY_STAGE_ORDER_SQL)) gr_model_required(l, &x, GR_KEY_STAGE_ORDER_SQL);
        gr_expr *sql = gr_model_fields_sql(l, &x, GR_KEY_STAGE_ORDER_SQL);
        int dir = gr_model_fields_word(l, &x, GR_KEY_STAGE_ORDER_DIR, directions, 2, "must be one of [asc, desc]");
        if (!sql) continue;
        gr_model_add_binding(l, sql, GR_ROLE_STAGE_ORDER, draft, NULL);
        stage->order_by[stage->n_order_by++] = (gr_stage_order){sql, dir == 1};
    }
}

/* Rows are ranked by something, and nothing else has an order. */
static void check_order(gr_loader *l, const gr_member *m, const gr_fields *f) {
    if (m->agg == GR_MEASURE_RANK) {
        gr_model_not_allowed(l, f, GR_KEY_MEASURE_SQL);
        if (!gr_fields_has(f, GR_KEY_MEASURE_ORDER_BY)) gr_model_required(l, f, GR_KEY_MEASURE_ORDER_BY);
        return;
    }
    const gr_yaml_pair *pair = gr_fields_pair(f, GR_KEY_MEASURE_ORDER_BY);
    if (!pair) return;
    gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->key_loc, f->place, GR_STR("order_by"), NULL,
                                "belongs to measures of type rank");
    gr_model_hint(l, d, "make it type: rank, or leave the order out");
}

void gr_model_read_stage(gr_loader *l, gr_draft *draft, const gr_fields *f, bool is_typed) {
    draft->member.stage = GR_NEW(l->arena, gr_stage);
    read_grain(l, draft, f);
    read_filter(l, draft, f);
    read_shifts(l, draft, f);
    read_order(l, draft, f);
    if (is_typed) check_order(l, &draft->member, f);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

typedef struct target_list {
    const gr_member ***v;
    size_t *n;
} target_list;

static target_list list_of(gr_stage *s, gr_stage_list list) {
    const target_list lists[] = {
        [GR_STAGE_GROUP_BY] = {&s->group_by, &s->n_group_by},
        [GR_STAGE_REDUCE_BY] = {&s->reduce_by, &s->n_reduce_by},
        [GR_STAGE_ADD_GROUP_BY] = {&s->add_group_by, &s->n_add_group_by},
        [GR_STAGE_FILTER_EXCLUDE] = {&s->filter_exclude, &s->n_filter_exclude},
        [GR_STAGE_FILTER_KEEP] = {&s->filter_keep, &s->n_filter_keep},
    };
    return lists[list];
}

static const gr_member *read_dimension(gr_loader *l, gr_draft *draft, const gr_yaml *node, const gr_place *place) {
    gr_misfit misfit;
    gr_member_ref ref = gr_model_read_ref(l, node, place, GR_MEMBER_DIMENSION, &misfit);
    if (misfit.d && misfit.granularity)
        gr_model_hint(l, misfit.d, "name the dimension alone, at whatever granularity: " GR_FMT,
                      GR_ARG(misfit.member->id));
    if (ref.member) GR_PUSH(l->arena, &draft->refs, ref.member);
    return ref.member;
}

static void bind_list(gr_loader *l, const gr_stage_refs *r, const gr_place *place) {
    target_list list = list_of(r->draft->member.stage, r->list);
    *list.v = GR_NEW_N(l->arena, const gr_member *, r->node->n + 1);
    for (size_t i = 0; i < r->node->n; i++) {
        gr_place at = {place, {0}, (int64_t)i};
        const gr_member *m = read_dimension(l, r->draft, r->node->items[i], &at);
        bool is_twice = false;
        for (size_t k = 0; m && k < *list.n; k++) is_twice = is_twice || (*list.v)[k] == m;
        if (is_twice)
            gr_model_report(l, GR_ERR_MODEL_DUPLICATE, r->node->items[i]->loc,
                            "(" GR_FMT ") '" GR_FMT "' is listed twice",
                            GR_ARG(gr_model_place_text(l, place, (gr_str){0})), GR_ARG(m->id));
        else if (m)
            (*list.v)[(*list.n)++] = m;
    }
}

static void bind_shift(gr_loader *l, const gr_stage_refs *r, const gr_place *place) {
    gr_stage *stage = r->draft->member.stage;
    gr_place at = {place, GR_STR("timeDimension"), -1};
    const gr_member *m = read_dimension(l, r->draft, r->node, &at);
    if (!m) return;
    bool is_twice = false;
    for (size_t i = 0; i < r->index; i++) is_twice = is_twice || stage->shifts[i].time == m;
    if (m->dim_type != GR_DIM_TIME)
        gr_model_report(l, GR_ERR_MODEL_INVALID, r->node->loc, "(" GR_FMT ") '" GR_FMT "' is not a time dimension",
                        GR_ARG(gr_model_place_text(l, &at, (gr_str){0})), GR_ARG(m->id));
    else if (is_twice)
        gr_model_report(l, GR_ERR_MODEL_DUPLICATE, r->node->loc, "(" GR_FMT ") '" GR_FMT "' is shifted twice",
                        GR_ARG(gr_model_place_text(l, &at, (gr_str){0})), GR_ARG(m->id));
    stage->shifts[r->index].time = m;
}

void gr_model_bind_stages(gr_loader *l) {
    for (size_t i = 0; i < l->stage_refs.n; i++) {
        const gr_stage_refs *r = &l->stage_refs.v[i];
        char camel[2][64];
        gr_place top = {NULL, GR_STR("measures"), -1}, name = {&top, r->draft->member.name, -1},
                 key = {&name, gr_model_camel(r->key, camel[0]), -1},
                 sub = {&key, gr_model_camel(r->sub_key, camel[1]), -1};
        l->at = r->draft->source;
        l->is_inherited = r->is_inherited;
        if (r->list == GR_STAGE_SHIFT_TIME) {
            sub = (gr_place){&key, {0}, (int64_t)r->place};
            bind_shift(l, r, &sub);
        } else {
            bind_list(l, r, r->sub_key.n ? &sub : &key);
        }
    }
    l->is_inherited = false;
    l->at = NULL;
}

/* ---- expressions ------------------------------------------------------------------------------------------------ */

void gr_model_check_stage_part(gr_loader *l, const gr_binding *b, const gr_part *part) {
    const gr_member *m = &b->draft->member;
    bool is_order = b->role == GR_ROLE_STAGE_ORDER, is_member = part->kind == GR_PART_MEMBER;
    if (is_member && part->member->kind == GR_MEMBER_MEASURE) return;
    if (is_member && is_order && part->member->kind == GR_MEMBER_DIMENSION) return;
    gr_diag *d;
    if (is_member) {
        d = gr_model_report(l, GR_ERR_MODEL_UNSUPPORTED, part->loc,
                            "The multi-stage measure '" GR_FMT "' refers to the %s '" GR_FMT "'", GR_ARG(m->id),
                            gr_model_kind_name(part->member->kind), GR_ARG(part->member->id));
        gr_model_hint(l, d,
                      is_order ? "order by measures or dimensions"
                               : "it is computed of measures; what looks at rows belongs into one of those");
    } else {
        d = gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc,
                            "The multi-stage measure '" GR_FMT "' refers to the table of '" GR_FMT "'", GR_ARG(m->id),
                            GR_ARG(part->cube->name));
        gr_model_hint(l, d, "it sees aggregated rows only: make a measure of the column, and refer to that");
    }
}

void gr_model_check_stage(gr_loader *l, const gr_binding *b) {
    const gr_member *m = &b->draft->member;
    const gr_expr *sql = b->expr;
    size_t n_holes = 0;
    for (size_t i = 0; i < sql->n_parts; i++) n_holes += sql->parts[i].kind != GR_PART_TEXT;
    if (n_holes == 0) {
        gr_str text = gr_str_trim(sql->source);
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, sql->loc,
                                     "The multi-stage measure '" GR_FMT "' refers to no measure", GR_ARG(m->id));
        gr_model_hint(l, d, sql->is_column ? "for the measure, write {" GR_FMT "}" : "a measure is written {name}",
                      GR_ARG(text));
        return;
    }
    if (b->role == GR_ROLE_STAGE && m->agg != GR_MEASURE_NUMBER_AGG && gr_expr_has_aggregate(sql)) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, sql->loc,
                                     "The SQL of the multi-stage measure '" GR_FMT "' calls an aggregate function",
                                     GR_ARG(m->id));
        gr_model_hint(l, d, "type: number_agg is for that; sum, min, max and the like aggregate by themselves");
    }
}
