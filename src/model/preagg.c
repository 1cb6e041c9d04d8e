/* Pre-aggregations: their members by reference, their time dimensions with granularity, and the keys that are kept for
 * later. Invariant: a pre-aggregation that is loaded names only members that exist, none of them twice, and no measure
 * that is computed in stages. */
#include "model/loader.h"

enum { MOST_REFS = 1000, N_LISTS = 3 };

typedef GR_VEC(gr_member_ref) ref_list;

/* The three lists of members, by gr_member_kind. */
static const struct {
    gr_key key, old_key;
} lists[N_LISTS] = {
    [GR_MEMBER_DIMENSION] = {GR_KEY_PREAGG_DIMENSIONS, GR_KEY_PREAGG_DIMENSION_REFERENCES},
    [GR_MEMBER_MEASURE] = {GR_KEY_PREAGG_MEASURES, GR_KEY_PREAGG_MEASURE_REFERENCES},
    [GR_MEMBER_SEGMENT] = {GR_KEY_PREAGG_SEGMENTS, GR_KEY_PREAGG_SEGMENT_REFERENCES},
};

static bool is_same_path(gr_path a, gr_path b) {
    return a.n == b.n && memcmp(a.cubes, b.cubes, a.n * sizeof *a.cubes) == 0;
}

static void add_ref(gr_loader *l, ref_list *list, gr_member_ref ref, const char *where) {
    for (size_t i = 0; i < list->n; i++) {
        const gr_member_ref *x = &list->v[i];
        if (x->member != ref.member || x->granularity != ref.granularity || !is_same_path(x->path, ref.path)) continue;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_DUPLICATE, ref.loc, "(%s) '" GR_FMT "' is listed twice", where,
                                     GR_ARG(ref.member->id));
        gr_model_hint(l, d, "the first is at " GR_FMT ":%u:%u", GR_ARG(x->loc.file), x->loc.line, x->loc.col);
        return;
    }
    GR_PUSH(l->arena, list, ref);
}

/* A reference to a member of one kind; NULL member when it is none, and that is reported. */
static gr_member_ref read_ref(gr_loader *l, const gr_yaml *node, const gr_place *place, gr_member_kind kind) {
    gr_misfit misfit;
    gr_member_ref ref = gr_model_read_ref(l, node, place, kind, &misfit);
    if (!misfit.d) return ref;
    if (misfit.member->kind != kind)
        gr_model_hint(l, misfit.d, "list it under '" GR_FMT "'",
                      GR_ARG(gr_model_key_info(lists[misfit.member->kind].key)->name));
    else
        gr_model_hint(l, misfit.d, "write time_dimension: " GR_FMT " and granularity: " GR_FMT,
                      GR_ARG(misfit.member->id), GR_ARG(misfit.granularity->name));
    return ref;
}

/* What is stored is merged later; what a stage computes belongs to one query. */
static bool is_stored(gr_loader *l, const gr_member_ref *ref, const gr_place *place) {
    const gr_member *m = ref->member;
    if (!l->has_stage[m->index]) return true;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, ref->loc,
                                 "(" GR_FMT ") '" GR_FMT "' is computed in stages, from the rows of a query",
                                 GR_ARG(gr_model_place_text(l, place, (gr_str){0})), GR_ARG(m->id));
    const gr_part *first = NULL;
    for (size_t i = 0; m->sql && i < m->sql->n_parts && !first; i++)
        if (m->sql->parts[i].member) first = &m->sql->parts[i];
    if (first)
        gr_model_hint(l, d, "store the measures that it is made of: " GR_FMT, GR_ARG(first->member->id));
    else
        gr_model_hint(l, d, "store the measures that it is made of");
    return false;
}

static void read_list(gr_loader *l, const gr_fields *f, gr_key key, gr_member_kind kind, ref_list *out) {
    const gr_yaml *node = gr_fields_get(f, key);
    if (!node) return;
    gr_place list = {f->place, gr_model_key_info(lists[kind].key)->name, -1};
    if (node->n > MOST_REFS) gr_model_bad_value(l, f, key, "has more than 1000 items");
    for (size_t i = 0; i < node->n && i < MOST_REFS; i++) {
        gr_place at = {&list, {0}, (int64_t)i};
        gr_member_ref ref = read_ref(l, node->items[i], &at, kind);
        if (ref.member && is_stored(l, &ref, &at)) add_ref(l, out, ref, gr_model_kind_name(kind));
    }
}

/* ---- time dimensions -------------------------------------------------------------------------------------------- */

static void read_time(gr_loader *l, const gr_yaml *dimension, const gr_yaml *granularity, const gr_place *place,
                      ref_list *out) {
    gr_place at = {place, GR_STR("timeDimension"), -1};
    if (place->index >= 0) at.name = GR_STR("dimension");
    gr_member_ref ref = read_ref(l, dimension, &at, GR_MEMBER_DIMENSION);
    if (!ref.member) return;
    if (ref.member->dim_type != GR_DIM_TIME) {
        gr_diag *d =
            gr_model_report(l, GR_ERR_MODEL_INVALID, ref.loc, "(" GR_FMT ") '" GR_FMT "' is not a time dimension",
                            GR_ARG(gr_model_place_text(l, &at, (gr_str){0})), GR_ARG(ref.member->id));
        gr_model_hint(l, d, "its type must be time");
        return;
    }
    if (!granularity) return;
    gr_str name = gr_str_trim(granularity->text);
    ref.granularity = gr_member_granularity(ref.member, name);
    if (ref.granularity) {
        add_ref(l, out, ref, "time dimension");
        return;
    }
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, granularity->loc,
                                 "Granularity \"" GR_FMT "\" does not exist in dimension " GR_FMT, GR_ARG(name),
                                 GR_ARG(ref.member->id));
    gr_map names;
    gr_map_init(&names, l->scratch);
    for (int g = GR_GRAIN_SECOND; g < GR_GRAIN_CUSTOM; g++) gr_map_put(&names, gr_grain_name((gr_grain)g), l);
    for (size_t i = 0; i < ref.member->n_granularities; i++) gr_map_put(&names, ref.member->granularities[i].name, l);
    gr_model_hint_nearest(l, d, name, &names);
}

static void read_times(gr_loader *l, const gr_fields *f, ref_list *out) {
    bool is_old = gr_fields_has(f, GR_KEY_PREAGG_TIME_DIMENSION_REFERENCE);
    gr_key key = is_old ? GR_KEY_PREAGG_TIME_DIMENSION_REFERENCE : GR_KEY_PREAGG_TIME_DIMENSION;
    bool has_one = gr_fields_has(f, key), has_grain = gr_fields_has(f, GR_KEY_PREAGG_GRANULARITY);
    const gr_yaml *many = gr_fields_get(f, GR_KEY_PREAGG_TIME_DIMENSIONS);
    if (many && has_one)
        gr_model_not_allowed(l, f, GR_KEY_PREAGG_TIME_DIMENSIONS);
    else if (has_one && !has_grain)
        gr_model_required(l, f, GR_KEY_PREAGG_GRANULARITY);
    if (!has_one) gr_model_not_allowed(l, f, GR_KEY_PREAGG_GRANULARITY);
    if (gr_fields_get(f, key))
        read_time(l, gr_fields_get(f, key), gr_fields_get(f, GR_KEY_PREAGG_GRANULARITY), f->place, out);
    if (has_one) return;
    gr_place list = {f->place, GR_STR("timeDimensions"), -1};
    for (size_t i = 0; many && i < many->n && i < MOST_REFS; i++) {
        gr_place at = {&list, {0}, (int64_t)i};
        gr_fields t;
        gr_model_fields_read(l, many->items[i], GR_CONTEXT_TIME_DIMENSION, &at, &t);
        if (t.node->kind != GR_YAML_MAP) continue;
        if (!gr_fields_has(&t, GR_KEY_TIME_DIMENSION_DIMENSION))
            gr_model_required(l, &t, GR_KEY_TIME_DIMENSION_DIMENSION);
        if (!gr_fields_has(&t, GR_KEY_TIME_DIMENSION_GRANULARITY))
            gr_model_required(l, &t, GR_KEY_TIME_DIMENSION_GRANULARITY);
        const gr_yaml *dimension = gr_fields_get(&t, GR_KEY_TIME_DIMENSION_DIMENSION);
        if (dimension) read_time(l, dimension, gr_fields_get(&t, GR_KEY_TIME_DIMENSION_GRANULARITY), &at, out);
    }
}

/* An original_sql has no grain: its time dimension is what its table is cut by. */
static void read_partition_time(gr_loader *l, const gr_fields *f) {
    bool is_old = gr_fields_has(f, GR_KEY_PREAGG_TIME_DIMENSION_REFERENCE);
    gr_key key = is_old ? GR_KEY_PREAGG_TIME_DIMENSION_REFERENCE : GR_KEY_PREAGG_TIME_DIMENSION;
    const gr_yaml *node = gr_fields_get(f, key);
    bool has_partitions = gr_fields_has(f, GR_KEY_PREAGG_PARTITION_GRANULARITY);
    ref_list none = {0};
    if (node) read_time(l, node, NULL, f->place, &none);
    if (gr_fields_has(f, key) && !has_partitions) gr_model_required(l, f, GR_KEY_PREAGG_PARTITION_GRANULARITY);
    if (!gr_fields_has(f, key) && has_partitions) gr_model_required(l, f, GR_KEY_PREAGG_TIME_DIMENSION);
}

/* ---- keys that are kept ----------------------------------------------------------------------------------------- */

static void check_indexes(gr_loader *l, const gr_fields *f) {
    static const gr_str types[] = {GR_STR_INIT("regular"), GR_STR_INIT("aggregate")};
    const gr_yaml *list = gr_fields_get(f, GR_KEY_PREAGG_INDEXES);
    gr_map names;
    gr_map_init(&names, l->scratch);
    for (size_t i = 0; list && i < list->n; i++) {
        const gr_yaml *name = gr_yaml_get(list->items[i], GR_STR("name"));
        bool has_name = name && name->kind == GR_YAML_SCALAR;
        gr_place up = {f->place, GR_STR("indexes"), -1},
                 at = {&up, has_name ? name->text : (gr_str){0}, has_name ? -1 : (int64_t)i};
        gr_fields x;
        gr_model_fields_read(l, list->items[i], GR_CONTEXT_INDEX, &at, &x);
        if (x.node->kind != GR_YAML_MAP) continue;
        if (!gr_fields_has(&x, GR_KEY_INDEX_NAME))
            gr_model_required(l, &x, GR_KEY_INDEX_NAME);
        else if (has_name && !gr_map_put(&names, name->text, l))
            gr_model_report(l, GR_ERR_MODEL_DUPLICATE, name->loc, "Found duplicate index '" GR_FMT "'.",
                            GR_ARG(name->text));
        bool has_sql = gr_fields_has(&x, GR_KEY_INDEX_SQL), has_columns = gr_fields_has(&x, GR_KEY_INDEX_COLUMNS);
        if (has_sql && has_columns) gr_model_not_allowed(l, &x, GR_KEY_INDEX_SQL);
        if (!has_sql && !has_columns) gr_model_required(l, &x, GR_KEY_INDEX_COLUMNS);
        (void)gr_model_fields_sql(l, &x, GR_KEY_INDEX_SQL);
        if (gr_fields_get(&x, GR_KEY_INDEX_TYPE) && gr_model_word(gr_fields_text(&x, GR_KEY_INDEX_TYPE), types, 2) < 0)
            gr_model_bad_value(l, &x, GR_KEY_INDEX_TYPE, "must be one of [regular, aggregate]");
    }
}

static void check_column_types(gr_loader *l, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_PREAGG_OUTPUT_COLUMN_TYPES);
    for (size_t i = 0; list && i < list->n; i++) {
        gr_place up = {f->place, GR_STR("outputColumnTypes"), -1}, at = {&up, {0}, (int64_t)i};
        gr_fields x;
        gr_model_fields_read(l, list->items[i], GR_CONTEXT_COLUMN_TYPE, &at, &x);
        if (x.node->kind != GR_YAML_MAP) continue;
        if (!gr_fields_has(&x, GR_KEY_COLUMN_TYPE_MEMBER)) gr_model_required(l, &x, GR_KEY_COLUMN_TYPE_MEMBER);
        if (!gr_fields_has(&x, GR_KEY_COLUMN_TYPE_TYPE)) gr_model_required(l, &x, GR_KEY_COLUMN_TYPE_TYPE);
    }
}

/* A bound of the build range, by its new or its old name. */
static const gr_yaml *read_bound(gr_loader *l, const gr_fields *f, gr_key key, gr_key old_key) {
    if (gr_fields_has(f, key)) gr_model_not_allowed(l, f, old_key);
    const gr_yaml *node = gr_fields_get(f, gr_fields_has(f, key) ? key : old_key);
    char camel[64];
    gr_place place = {f->place, gr_model_camel(gr_model_key_info(key)->name, camel), -1};
    if (node) (void)gr_model_sql_map(l, node, &place);
    return node;
}

static void read_kept(gr_loader *l, gr_preagg *p, const gr_fields *f) {
    static const gr_str builds[] = {GR_STR_INIT("on_demand"), GR_STR_INIT("explicit")};
    static const gr_str selections[] = {GR_STR_INIT("first"), GR_STR_INIT("cheapest")};
    static const gr_str offsets[] = {GR_STR_INIT("earliest"), GR_STR_INIT("latest")};
    if (gr_model_fields_word(l, f, GR_KEY_PREAGG_BUILD, builds, 2, "must be one of [on_demand, explicit]") == 1)
        p->build = GR_BUILD_EXPLICIT;
    p->is_cheapest =
        gr_model_fields_word(l, f, GR_KEY_PREAGG_SELECTION, selections, 2, "must be one of [first, cheapest]") == 1;
    (void)gr_model_fields_word(l, f, GR_KEY_PREAGG_STREAM_OFFSET, offsets, 2, "must be one of [earliest, latest]");
    gr_grain grain = gr_grain_from_name(gr_fields_text(f, GR_KEY_PREAGG_PARTITION_GRANULARITY));
    if (gr_fields_get(f, GR_KEY_PREAGG_PARTITION_GRANULARITY) && grain < GR_GRAIN_HOUR)
        gr_model_bad_value(l, f, GR_KEY_PREAGG_PARTITION_GRANULARITY,
                           "must be one of [hour, day, week, month, quarter, year]");
    p->partition_granularity = grain < GR_GRAIN_HOUR ? GR_GRAIN_NONE : grain;
    p->build_range_start = read_bound(l, f, GR_KEY_PREAGG_BUILD_RANGE_START, GR_KEY_PREAGG_REFRESH_RANGE_START);
    p->build_range_end = read_bound(l, f, GR_KEY_PREAGG_BUILD_RANGE_END, GR_KEY_PREAGG_REFRESH_RANGE_END);
    p->indexes = gr_fields_get(f, GR_KEY_PREAGG_INDEXES);
    p->refresh_key = gr_fields_get(f, GR_KEY_PREAGG_REFRESH_KEY);
    gr_place place = {f->place, GR_STR("refreshKey"), -1};
    if (p->refresh_key) p->refresh = gr_model_read_refresh_key(l, p->refresh_key, &place, false);
    check_indexes(l, f);
    check_column_types(l, f);
    /* Of what has no table, the parts are refreshed. */
    p->scheduled_refresh = gr_fields_flag(f, GR_KEY_PREAGG_SCHEDULED_REFRESH, gr_preagg_has_table(p));
    p->unions_source = gr_fields_flag(f, GR_KEY_PREAGG_UNION_WITH_SOURCE_DATA, false);
    p->is_external = -1; /* also of original_sql: our default place is the embedded store (decisions 21) */
    p->store = gr_fields_text(f, GR_KEY_PREAGG_STORE);
    p->distribute_by = gr_fields_text(f, GR_KEY_PREAGG_DISTRIBUTE_BY);
    if (gr_fields_get(f, GR_KEY_PREAGG_EXTERNAL)) p->is_external = gr_fields_flag(f, GR_KEY_PREAGG_EXTERNAL, true);
    p->is_non_strict =
        gr_fields_get(f, GR_KEY_PREAGG_NON_STRICT) ? gr_fields_flag(f, GR_KEY_PREAGG_NON_STRICT, true) : -1;
}

/* ---- the pre-aggregation ---------------------------------------------------------------------------------------- */

/* Old and new names of the member keys do not mix. */
static void check_old_names(gr_loader *l, const gr_fields *f) {
    static const gr_key fresh[] = {GR_KEY_PREAGG_MEASURES, GR_KEY_PREAGG_DIMENSIONS, GR_KEY_PREAGG_SEGMENTS,
                                   GR_KEY_PREAGG_TIME_DIMENSION, GR_KEY_PREAGG_TIME_DIMENSIONS};
    static const gr_key old[] = {GR_KEY_PREAGG_MEASURE_REFERENCES, GR_KEY_PREAGG_DIMENSION_REFERENCES,
                                 GR_KEY_PREAGG_SEGMENT_REFERENCES, GR_KEY_PREAGG_TIME_DIMENSION_REFERENCE};
    bool has_fresh = false;
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++) has_fresh = has_fresh || gr_fields_has(f, fresh[i]);
    for (size_t i = 0; has_fresh && i < sizeof old / sizeof *old; i++) gr_model_not_allowed(l, f, old[i]);
}

/* `n_errors`: how many there were before this pre-aggregation. */
static void read_members(gr_loader *l, gr_preagg *p, const gr_fields *f, size_t n_errors) {
    ref_list refs[N_LISTS] = {0}, times = {0};
    for (size_t k = 0; k < N_LISTS; k++) {
        bool has_fresh = gr_fields_has(f, lists[k].key);
        read_list(l, f, has_fresh ? lists[k].key : lists[k].old_key, (gr_member_kind)k, &refs[k]);
    }
    read_times(l, f, &times);
    p->dimensions = refs[GR_MEMBER_DIMENSION].v;
    p->n_dimensions = refs[GR_MEMBER_DIMENSION].n;
    p->measures = refs[GR_MEMBER_MEASURE].v;
    p->n_measures = refs[GR_MEMBER_MEASURE].n;
    p->segments = refs[GR_MEMBER_SEGMENT].v;
    p->n_segments = refs[GR_MEMBER_SEGMENT].n;
    p->time_dimensions = times.v;
    p->n_time_dimensions = times.n;
    size_t n = p->n_dimensions + p->n_measures + p->n_segments + p->n_time_dimensions;
    /* Of an inherited one, the parent has said so; a rollup_lambda takes those of its first rollup. */
    if (n == 0 && p->type != GR_PREAGG_ROLLUP_LAMBDA && l->diags->n_errors == n_errors && !l->is_inherited) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, p->loc, "pre-aggregation '" GR_FMT "' has no members",
                                     GR_ARG(p->id));
        gr_model_hint(l, d, "give it measures, dimensions, segments or a time dimension");
    }
}

static gr_preagg *make_preagg(gr_loader *l, const gr_item *item) {
    gr_cube *cube = l->at->cube;
    gr_place list = {NULL, GR_STR("preAggregations"), -1}, place = {&list, item->name, -1};
    size_t n_errors = l->diags->n_errors;
    gr_fields f;
    gr_model_fields_read(l, item->node, GR_CONTEXT_PREAGG, &place, &f);
    gr_preagg *p = GR_NEW(l->arena, gr_preagg);
    gr_str alias = gr_fields_text(&f, GR_KEY_PREAGG_SQL_ALIAS);
    *p = (gr_preagg){.name = item->name,
                     .cube = cube,
                     .loc = item->loc,
                     .build = GR_BUILD_ON_DEMAND,
                     .is_external = -1,
                     .is_non_strict = -1};
    p->id = gr_arena_printf(l->arena, GR_FMT "." GR_FMT, GR_ARG(cube->name), GR_ARG(item->name));
    p->alias = gr_model_underscore(alias.n ? alias : item->name, l->arena);
    /* "An empty body is rejected with 'type is required'" (cube.md 1.13). */
    if (item->node->n == 1)
        gr_model_required(l, &f, GR_KEY_PREAGG_TYPE);
    else if (gr_model_read_preagg_type(l, p, &f)) {
        check_old_names(l, &f);
        gr_model_check_preagg_keys(l, p, &f);
        if (p->type == GR_PREAGG_ORIGINAL_SQL)
            read_partition_time(l, &f);
        else
            read_members(l, p, &f, n_errors);
        if (p->type == GR_PREAGG_ROLLUP) gr_model_read_preagg_filters(l, p, &f);
        read_kept(l, p, &f);
    }
    return p;
}

static void find_stages(gr_loader *l) {
    l->has_stage = GR_NEW_N(l->scratch, bool, l->model->n_members + 1);
    for (size_t i = 0; i < l->model->n_members; i++) l->has_stage[i] = gr_member_base(l->members[i])->stage != NULL;
    gr_model_spread(l, l->has_stage);
}

void gr_model_make_preaggs(gr_loader *l) {
    find_stages(l);
    for (size_t i = 0; i < l->order.n; i++) {
        gr_source *s = l->order.v[i];
        const gr_items *items = &s->sections[GR_SECTION_PREAGGS];
        if (s->is_view || items->n == 0) continue;
        l->at = s;
        s->cube->preaggs = GR_NEW_N(l->arena, gr_preagg *, items->n);
        for (size_t k = 0; k < items->n; k++) {
            l->is_inherited = items->v[k].is_inherited;
            s->cube->preaggs[s->cube->n_preaggs++] = make_preagg(l, &items->v[k]);
        }
        l->is_inherited = false;
        l->model->n_preaggs += items->n;
    }
    l->at = NULL;
    l->model->preaggs = GR_NEW_N(l->arena, gr_preagg *, l->model->n_preaggs + 1);
    for (size_t i = 0, n = 0; i < l->model->n_cubes; i++)
        for (size_t k = 0; k < l->model->cubes[i]->n_preaggs; k++) {
            gr_preagg *p = l->model->cubes[i]->preaggs[k];
            p->index = (uint32_t)n;
            l->model->preaggs[n++] = p;
        }
    gr_model_bind_preaggs(l);
}
